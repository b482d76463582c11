/* Instances, references and exceptions at the public border. */
#include <stdlib.h>

#include "api/api.h"

static Extern extern_in(chi_extern x)
{
    Extern r = {.kind = (ExternKind)x.kind};
    r.func = x.any;
    return r;
}

bool chi_import_matches(const chi_module *m, uint32_t i, chi_extern x,
                        char *why, size_t size)
{
    return import_matches(module_of(m), i, extern_in(x), why, size);
}

chi_instance *chi_instance_new(chi_store *s, chi_module *m,
                               const chi_extern *imports, chi_error *err)
{
    uint32_t n = module_of(m)->n_imports;
    Extern few[16];
    Extern *in = n <= 16 ? few : malloc(n * sizeof *in);
    Error e = {0};
    Instance *i = NULL;
    if (in) {
        for (uint32_t k = 0; k < n; k++)
            in[k] = extern_in(imports[k]);
        i = instance_new(store_of(s), module_of(m), in, &e);
    } else {
        error_set(&e, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
    }
    if (!i)
        api_error(err, &e);
    if (in != few)
        free(in);
    return (chi_instance *)i;
}

chi_instance *chi_instance_ref(chi_instance *i)
{
    entity_ref(&instance_of(i)->e);
    return i;
}

void chi_instance_free(chi_instance *i)
{
    if (i)
        entity_unref(&instance_of(i)->e);
}

chi_module *chi_instance_module(const chi_instance *i)
{
    return (chi_module *)instance_of(i)->module;
}

chi_store *chi_instance_store(const chi_instance *i)
{
    return (chi_store *)store_target(instance_of(i)->e.store);
}

chi_extern chi_instance_export(chi_instance *i, uint32_t e)
{
    Extern x = instance_export(instance_of(i), e);
    chi_extern r = {.kind = (chi_kind)x.kind};
    r.any = x.func;
    return r;
}

/* ---- references */

chi_root *chi_root_new(chi_store *s, chi_type type, uint64_t word)
{
    return (chi_root *)root_new(store_of(s), type, word);
}

uint64_t chi_root_word(const chi_root *r) { return ((const Root *)r)->word; }

chi_store *chi_root_store(const chi_root *r)
{
    return (chi_store *)store_target(((const Root *)r)->store);
}

void chi_root_free(chi_root *r)
{
    if (r)
        root_free((Root *)r);
}

chi_is chi_word_is(uint64_t word)
{
    if (!word)
        return CHI_IS_NULL;
    if (word_is_i31(word))
        return CHI_IS_I31;
    uint32_t id = word_object(word)->id;
    if (id == TYPE_ID_EXTERN)
        return CHI_IS_HOST;
    if (id == TYPE_ID_EXN)
        return CHI_IS_EXN;
    return type_def(id)->kind == COMP_STRUCT ? CHI_IS_STRUCT : CHI_IS_ARRAY;
}

bool chi_word_matches(uint64_t word, chi_type type)
{
    return word_matches(word, type);
}

uint64_t chi_host_word(chi_store *s, void *host)
{
    return heap_host(store_of(s), host);
}

void *chi_word_host(uint64_t word)
{
    return ((const HostCell *)word_object(word))->host;
}

uint32_t chi_word_type_id(uint64_t word) { return word_object(word)->id; }

static const TypeDef *def_of(uint64_t word)
{
    return type_def(word_object(word)->id);
}

static const Field *field_of(uint64_t word, uint32_t i)
{
    const TypeDef *t = def_of(word);
    return t->kind == COMP_STRUCT ? &t->structure.fields[i] : &t->array;
}

uint32_t chi_word_n_fields(uint64_t word)
{
    const TypeDef *t = def_of(word);
    return t->kind == COMP_STRUCT ? t->structure.n_fields : 1;
}

chi_field chi_word_field(uint64_t word, uint32_t field)
{
    const Field *f = field_of(word, field);
    return (chi_field){f->type, f->mutable};
}

const char *chi_word_field_name(const chi_module *m, uint64_t word,
                                uint32_t field, uint32_t *len)
{
    uint32_t type = module_type_index(module_of(m), chi_word_type_id(word));
    Name name = {0};
    if (type != NO_TYPE)
        name = names_get_in(module_of(m), NAMES_FIELD, type, field);
    *len = name.len;
    return name.len ? name.bytes : NULL;
}

void chi_struct_get(uint64_t word, uint32_t field, uint64_t *slots)
{
    const Field *f = field_of(word, field);
    field_load((const char *)word_object(word) + f->offset, f->type, true,
               slots);
}

void chi_struct_set(uint64_t word, uint32_t field, const uint64_t *slots)
{
    const Field *f = field_of(word, field);
    field_store((char *)word_object(word) + f->offset, f->type, slots);
}

uint32_t chi_array_len(uint64_t word) { return word_object(word)->length; }

static char *element(uint64_t word, uint32_t i)
{
    const Field *f = &def_of(word)->array;
    return (char *)word_object(word) + f->offset
           + (size_t)i * type_size(f->type);
}

bool chi_array_get(uint64_t word, uint32_t i, uint64_t *slots)
{
    if (i >= word_object(word)->length)
        return false;
    field_load(element(word, i), def_of(word)->array.type, true, slots);
    return true;
}

bool chi_array_set(uint64_t word, uint32_t i, const uint64_t *slots)
{
    if (i >= word_object(word)->length)
        return false;
    field_store(element(word, i), def_of(word)->array.type, slots);
    return true;
}

void *chi_array_data(uint64_t word, size_t *bytes)
{
    *bytes =
        (size_t)word_object(word)->length * type_size(def_of(word)->array.type);
    return element(word, 0);
}

chi_code chi_throw(chi_store *s, chi_tag *tag, const uint64_t *slots)
{
    Store *store = store_of(s);
    Exn *exn = heap_exn(store, tag_of(tag), slots);
    if (!exn)
        return CHI_HEAP_LIMIT;
    store->pending_exn = (uintptr_t)exn;
    return CHI_EXCEPTION;
}

chi_code chi_rethrow(chi_store *s, uint64_t exn_word)
{
    store_of(s)->pending_exn = exn_word;
    return CHI_EXCEPTION;
}

uint64_t chi_store_exception(chi_store *s) { return store_of(s)->pending_exn; }

static const Exn *exn_of(uint64_t word)
{
    return (const Exn *)word_object(word);
}

chi_tag *chi_exn_tag(chi_store *s, uint64_t exn_word)
{
    return (chi_tag *)tag_share(store_of(s), exn_of(exn_word)->tag);
}

bool chi_exn_has_tag(uint64_t exn_word, const chi_tag *tag)
{
    return exn_of(exn_word)->tag == tag_of(tag)->data;
}

const uint64_t *chi_exn_slots(uint64_t exn_word)
{
    return exn_of(exn_word)->slots;
}
