#include "fuzz/run.h"

#include <string.h>

#include "fuzz/fuzz.h"
#include "runtime/heap.h"
#include "wasm/module.h"

enum { SLOTS = 2048, DEPTH = 3, IMPORTS = 64 };
static const uint64_t NOTHING = UINT64_MAX; /* no word of that type */

typedef struct {
    chi_module *module;
    chi_store *store;
    chi_instance *instances[2]; /* NULL until they are there */
    chi_tag *tag;               /* to throw */
    uint32_t n_host_calls, depth;
    uint64_t seen; /* hash of what host functions saw */
} Run;

typedef struct {
    Run *run;
    chi_functype type;
} HostFn;

static const Module *internal(const chi_module *m) { return (const Module *)m; }

/* ---- values */

static uint64_t number(uint64_t x)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     2,
                                     65535,
                                     65536,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     UINT64_MAX,
                                     0x7fc00000,
                                     0x3f800000,
                                     0x3ff0000000000000,
                                     0x4330000000000000,
                                     0x100000000};
    return x % 3 ? edges[x / 3 % 16] : x >> 8;
}

/* A word of a reference type, by the API alone; NOTHING if it has none. */
static uint64_t reference(chi_store *s, chi_type type, uint64_t x)
{
    if (chi_type_is_nullable(type) && x % 4 == 0)
        return 0;
    uint64_t word = chi_i31_word((int32_t)x);
    chi_top top = chi_type_top(type);
    if (top == CHI_TOP_EXTERN)
        word = chi_host_word(s, (void *)(uintptr_t)(x & 0xff0));
    if ((top == CHI_TOP_ANY || top == CHI_TOP_EXTERN) && word
        && chi_word_matches(word, type))
        return word;
    return chi_type_is_nullable(type) ? 0 : NOTHING;
}

/* Fills slots by types; false: some type has no value. */
static bool make_values(chi_store *s, const chi_type *types, uint32_t n,
                        uint64_t seed, uint64_t *slots)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = fuzz_random(&seed);
        *slots = number(x);
        if (types[i] == CHI_I32 || types[i] == CHI_F32)
            *slots = (uint32_t)*slots;
        else if (types[i] == CHI_V128)
            *++slots = x;
        else if (chi_type_is_ref(types[i]))
            *slots = reference(s, types[i], x);
        if (*slots == NOTHING && chi_type_is_ref(types[i]))
            return false;
        slots++;
    }
    return true;
}

/* ---- looking at results */

static uint64_t hash_fields(uint64_t h, uint64_t word, uint32_t n)
{
    for (uint32_t f = 0; f < n; f++) {
        uint64_t slots[2] = {0};
        chi_field field = chi_word_field(word, f);
        chi_struct_get(word, f, slots);
        if (field.mutable_)
            chi_struct_set(word, f, slots);
        if (!chi_type_is_ref(field.type))
            h = fuzz_hash(h, slots, sizeof slots);
    }
    return h;
}

static uint64_t hash_array(uint64_t h, uint64_t word)
{
    uint64_t slots[2] = {0};
    uint32_t n = chi_array_len(word);
    size_t bytes;
    void *data = chi_array_data(word, &bytes);
    FUZZ_CHECK(!chi_array_get(word, n, slots), "an element past the last");
    if (n && chi_array_get(word, n - 1, slots)
        && chi_word_field(word, 0).mutable_)
        chi_array_set(word, n - 1, slots);
    if (!chi_type_is_ref(chi_word_field(word, 0).type))
        h = fuzz_hash(h, data, bytes);
    return fuzz_hash(h, &n, sizeof n);
}

static uint64_t hash_values(uint64_t h, chi_store *s, const chi_type *types,
                            uint32_t n, const uint64_t *slots);

static uint64_t hash_exception(uint64_t h, chi_store *s, uint64_t word)
{
    chi_extern tag = {.kind = CHI_TAG, .tag = chi_exn_tag(s, word)};
    chi_externtype type;
    chi_extern_type(tag, &type);
    h = hash_values(h, s, type.func.types, type.func.n_params,
                    chi_exn_slots(word));
    chi_extern_free(tag);
    return h;
}

static uint64_t hash_word(uint64_t h, chi_store *s, chi_type type,
                          uint64_t word)
{
    if (chi_type_top(type) == CHI_TOP_FUNC) {
        uint32_t index =
            word ? chi_func_index((chi_func *)(uintptr_t)word) : NO_TYPE;
        return fuzz_hash(h, &index, sizeof index);
    }
    chi_is is = chi_word_is(word);
    h = fuzz_hash(h, &is, sizeof is);
    FUZZ_CHECK(chi_word_matches(word, type), "a word is not of its type");
    if (is == CHI_IS_I31)
        return fuzz_hash(h, &word, sizeof word);
    if (is == CHI_IS_STRUCT)
        return hash_fields(h, word, chi_word_n_fields(word));
    if (is == CHI_IS_EXN)
        return hash_exception(h, s, word);
    return is == CHI_IS_ARRAY ? hash_array(h, word) : h;
}

static uint64_t hash_values(uint64_t h, chi_store *s, const chi_type *types,
                            uint32_t n, const uint64_t *slots)
{
    for (uint32_t i = 0; i < n; i++) {
        if (chi_type_is_ref(types[i]))
            h = hash_word(h, s, types[i], *slots);
        else
            h = fuzz_hash(h, slots, types[i] == CHI_V128 ? 16 : 8);
        if ((types[i] == CHI_I32 || types[i] == CHI_F32) && *slots >> 32)
            FUZZ_CHECK(false, "upper half of a slot is not zero");
        slots += types[i] == CHI_V128 ? 2 : 1;
    }
    return h;
}

static uint64_t hash_table(uint64_t h, chi_store *s, chi_table *t,
                           chi_type type)
{
    uint64_t size = chi_table_size(t), word;
    for (uint64_t i = 0; i < size && i < 64; i++)
        if (chi_table_get(t, i, &word))
            h = hash_word(h, s, type, word);
    FUZZ_CHECK(!chi_table_get(t, size, &word), "an element past the last");
    return fuzz_hash(h, &size, sizeof size);
}

static uint64_t hash_extern(uint64_t h, chi_store *s, chi_extern x, size_t most)
{
    chi_externtype type;
    chi_extern_type(x, &type);
    if (x.kind == CHI_MEM) {
        size_t size;
        uint8_t *data = chi_memory_data(x.memory, &size);
        h = fuzz_hash(h, &size, sizeof size);
        h = fuzz_hash(h, data, size < most ? size : most);
    } else if (x.kind == CHI_TABLE) {
        h = hash_table(h, s, x.table, type.type);
    } else if (x.kind == CHI_GLOBAL) {
        uint64_t slots[2];
        chi_global_get(x.global, slots);
        h = hash_values(h, s, &type.type, 1, slots);
    }
    return h;
}

/* Of each memory `most` bytes: reading all of it takes its time. */
static uint64_t hash_state(Run *r, size_t most)
{
    uint64_t h = r->seen;
    uint32_t n = chi_module_n_exports(r->module);
    for (int k = 0; k < 2; k++)
        for (uint32_t e = 0; r->instances[k] && e < n && e < 48; e++)
            h = hash_extern(h, r->store,
                            chi_instance_export(r->instances[k], e), most);
    return h;
}

/* ---- host functions */

/* Calls back into an instance: one of its functions. */
static chi_code call_back(Run *r, chi_instance *instance, uint32_t seed)
{
    uint64_t slots[SLOTS];
    uint32_t n = chi_module_n_exports(r->module);
    for (uint32_t i = 0; i < n; i++) {
        chi_extern x = chi_instance_export(instance, (i + seed) % n);
        if (x.kind != CHI_FUNC)
            continue;
        chi_functype t = chi_func_type(x.func);
        memset(slots, 0, 16);
        if (t.param_slots > SLOTS || t.result_slots > SLOTS
            || !make_values(r->store, t.types, t.n_params, seed, slots))
            continue;
        r->depth++;
        chi_code code = chi_call(x.func, slots, NULL);
        r->depth--;
        return code;
    }
    return CHI_OK;
}

static void grow_memories(Run *r, chi_instance *instance)
{
    for (uint32_t e = 0; e < chi_module_n_exports(r->module); e++) {
        chi_extern x = chi_instance_export(instance, e);
        if (x.kind == CHI_MEM)
            chi_memory_grow(x.memory, 1);
    }
}

/* Which memory the caller has, by export; of what the host can see. */
static void see_caller(Run *r, chi_store *s)
{
    chi_memory *m = chi_caller_memory(s);
    uint32_t which = 0;
    for (uint32_t k = 0; m && k < 2 && r->instances[k]; k++)
        for (uint32_t e = 0; e < chi_module_n_exports(r->module); e++) {
            chi_extern x = chi_instance_export(r->instances[k], e);
            if (x.kind == CHI_MEM && x.memory == m)
                which |= 1u << (2 * k + e % 2);
        }
    r->seen = fuzz_hash(r->seen, &which, sizeof which);
}

static chi_code host_call(void *host, chi_store *s, uint64_t *slots)
{
    HostFn *f = host;
    Run *r = f->run;
    uint32_t n = r->n_host_calls++;
    chi_instance *to = r->instances[n / 8 % 2];
    see_caller(r, s);
    r->seen = hash_values(r->seen, s, f->type.types, f->type.n_params, slots);
    if (n % 8 == 3 && to && r->depth < DEPTH) {
        chi_code code = call_back(r, to, n);
        if (code != CHI_OK)
            return code;
    }
    if (n % 8 == 5)
        chi_store_collect(s);
    if (n % 16 == 7 && to)
        grow_memories(r, to);
    if (n % 16 == 6) {
        uint64_t payload = n;
        return chi_throw(s, r->tag, &payload);
    }
    return make_values(s, f->type.types + f->type.n_params, f->type.n_results,
                       n, slots)
               ? CHI_OK
               : CHI_HOST;
}

/* ---- imports */

static chi_extern make_import(Run *r, uint32_t i, HostFn *f)
{
    chi_import im;
    chi_module_import(r->module, i, &im);
    chi_extern x = {.kind = im.type.kind};
    uint64_t slots[2] = {0};
    chi_error err = {0};
    switch (im.type.kind) {
    case CHI_FUNC:
        *f = (HostFn){r, im.type.func};
        x.func =
            chi_func_for_import(r->store, r->module, i, host_call, f, &err);
        break;
    case CHI_TABLE:
        if (chi_type_is_nullable(im.type.type))
            x.table = chi_table_new(r->store, &im.type, 0, &err);
        break;
    case CHI_MEM: x.memory = chi_memory_new(r->store, &im.type, &err); break;
    case CHI_GLOBAL:
        if (make_values(r->store, &im.type.type, 1, i, slots))
            x.global = chi_global_new(r->store, im.type.type, im.type.mutable_,
                                      slots, &err);
        break;
    case CHI_TAG:
        x.tag = chi_tag_new(r->store, im.type.func.types, im.type.func.n_params,
                            &err);
        break;
    }
    return x;
}

/* Imports of the second instance are the first one's functions, if one has
 * the type and more than its number speaks for it; else its imports. */
static chi_extern import_of_first(Run *r, uint32_t i, chi_extern given)
{
    uint32_t n = chi_module_n_exports(r->module);
    for (uint32_t e = 0; e < n && given.kind == CHI_FUNC; e++) {
        chi_extern x = chi_instance_export(r->instances[0], (e + i) % n);
        if (x.kind == CHI_FUNC && chi_import_matches(r->module, i, x, NULL, 0))
            return x;
    }
    return given;
}

/* Functions of each instance, in the last places of the other's tables. */
static void exchange_functions(Run *r, chi_instance *from, chi_instance *to)
{
    uint32_t n = chi_module_n_exports(r->module);
    for (uint32_t t = 0; t < n; t++) {
        chi_extern table = chi_instance_export(to, t);
        if (table.kind != CHI_TABLE)
            continue;
        uint64_t at = chi_table_size(table.table);
        for (uint32_t e = 0; e < n && e < 3 && at > 0; e++) {
            chi_extern f = chi_instance_export(from, e);
            if (f.kind == CHI_FUNC)
                chi_table_set(table.table, --at, (uintptr_t)f.func);
        }
        return;
    }
}

static void start_second(Run *r, chi_extern *imports, uint32_t n,
                         RunResult *out)
{
    chi_error err = {0};
    chi_extern seconds[IMPORTS];
    for (uint32_t i = 0; i < n; i++)
        seconds[i] = import_of_first(r, i, imports[i]);
    r->instances[1] = chi_instance_new(r->store, r->module, seconds, &err);
    out->start_code = err.code;
    if (!r->instances[1])
        return;
    exchange_functions(r, r->instances[0], r->instances[1]);
    exchange_functions(r, r->instances[1], r->instances[0]);
}

static void start(Run *r, const RunOptions *o, RunResult *out)
{
    uint32_t n = chi_module_n_imports(r->module), made = 0;
    if (n > IMPORTS)
        return;
    chi_extern imports[IMPORTS];
    static HostFn functions[IMPORTS];
    char why[200];
    chi_error err = {0};
    out->linked = true;
    for (; made < n && out->linked; made++) {
        imports[made] = make_import(r, made, &functions[made]);
        out->linked = imports[made].any
                      && chi_import_matches(r->module, made, imports[made], why,
                                            sizeof why);
    }
    if (out->linked)
        r->instances[0] = chi_instance_new(r->store, r->module, imports, &err);
    out->start_code = err.code;
    out->started = r->instances[0] != NULL;
    if (o->pair && out->started)
        start_second(r, imports, n, out);
    for (uint32_t i = 0; i < made; i++)
        chi_extern_free(imports[i]);
}

/* ---- calls */

static void note_place(Run *r, RunResult *out)
{
    chi_frame frame;
    uint32_t n = chi_store_n_frames(r->store), c = out->n_calls;
    for (uint32_t i = 0; i < n; i++) {
        chi_store_frame(r->store, i, &frame);
        FUZZ_CHECK(frame.function < chi_module_n_functions(frame.module),
                   "a frame of no function");
        uint32_t place[] = {frame.function, frame.offset,
                            frame.instance == r->instances[1]};
        out->calls[c].frames =
            fuzz_hash(out->calls[c].frames, place, sizeof place);
    }
    out->calls[c].depth = chi_store_depth(r->store);
    if (n) {
        chi_store_frame(r->store, 0, &frame);
        out->calls[c].function = frame.function;
        out->calls[c].offset = frame.offset;
    }
}

static bool is_vague(chi_code c, const RunOptions *o)
{
    return c == CHI_HEAP_LIMIT || c == CHI_INTERRUPTED || c == CHI_MEMORY
           || (c == CHI_STACK && o->across_tiers);
}

static void call(Run *r, const RunOptions *o, chi_func *f, uint32_t seed,
                 RunResult *out)
{
    static uint64_t slots[SLOTS];
    chi_functype t = chi_func_type(f);
    memset(slots, 0, 16);
    if (t.param_slots > SLOTS || t.result_slots > SLOTS
        || !make_values(r->store, t.types, t.n_params, seed, slots))
        return;
    if (o->fuel != UINT64_MAX)
        chi_store_set_fuel(r->store, o->fuel);
    chi_code code = chi_call(f, slots, NULL);
    uint32_t c = out->n_calls;
    if (chi_code_is_trap(code) || code == CHI_EXCEPTION)
        note_place(r, out);
    out->out_of_fuel |= code == CHI_OUT_OF_FUEL;
    out->vague |= is_vague(code, o);
    out->calls[c].code = code;
    out->calls[c].fuel =
        o->fuel == UINT64_MAX ? 0 : o->fuel - chi_store_fuel(r->store);
    if (code == CHI_OK)
        out->calls[c].results =
            hash_values(0, r->store, t.types + t.n_params, t.n_results, slots);
    else if (code == CHI_EXCEPTION)
        out->calls[c].results =
            hash_exception(0, r->store, chi_store_exception(r->store));
    chi_store_collect(r->store);
    out->calls[out->n_calls++].state = hash_state(r, 1024);
}

static void call_exports(Run *r, const RunOptions *o, uint32_t seed,
                         RunResult *out)
{
    uint32_t n = chi_module_n_exports(r->module);
    for (uint32_t e = 0; e < n && out->n_calls < RUN_CALLS; e++) {
        chi_instance *i =
            r->instances[e % 2] ? r->instances[e % 2] : r->instances[0];
        chi_extern x = chi_instance_export(i, e);
        if (x.kind == CHI_FUNC)
            call(r, o, x.func, e + seed, out);
        bool done = out->out_of_fuel && !o->across_tiers;
        if (r->depth || done || out->vague)
            break;
    }
}

static chi_code interrupt(void *env, chi_store *s)
{
    (void)env, (void)s;
    return CHI_INTERRUPTED;
}

/* A wait may last for ever: those modules are interrupted. */
static bool may_wait(const chi_module *m)
{
    const Module *module = internal(m);
    for (uint32_t i = 0; i < module->n_memories; i++)
        if (module->memories[i].limits.shared)
            return true;
    return false;
}

static chi_store *make_store(const chi_module *m, const RunOptions *o)
{
    const chi_limits limits = {.memory = 8 << 20,
                               .table = 100000,
                               .heap = o->stress ? 1 << 16 : 2 << 20,
                               .stack = o->across_tiers ? 1 << 20 : 1 << 16,
                               .fuel = o->fuel};
    chi_store *s = chi_store_new(&limits);
    chi_error err = {0};
    FUZZ_CHECK(chi_store_configure(s, &o->config, &err), "%s", err.message);
    chi_store_set_host(s, NULL, interrupt, NULL);
    if (may_wait(m))
        chi_store_set_tick(s, o->across_tiers ? 500000000 : 20000000);
    return s;
}

void run_module(chi_module *m, const RunOptions *o, RunResult *out)
{
    *out = (RunResult){0};
    Run r = {.module = m, .store = make_store(m, o)};
    run_by_tail_calls = o->tail;
    heap_stress = o->stress;
    r.tag = chi_tag_new(r.store, (chi_type[]){CHI_I32}, 1, NULL);
    start(&r, o, out);
    out->out_of_fuel = out->start_code == CHI_OUT_OF_FUEL;
    out->vague = is_vague(out->start_code, o);
    if (r.instances[0] && !out->vague) {
        call_exports(&r, o, 0, out);
        if (o->across_tiers && !out->vague)
            call_exports(&r, o, 100, out);
        out->state = hash_state(&r, 1 << 18);
    }
    chi_extern_free((chi_extern){.kind = CHI_TAG, .tag = r.tag});
    chi_instance_free(r.instances[0]);
    chi_instance_free(r.instances[1]);
    chi_store_free(r.store);
    heap_stress = false;
}

static void compare_calls(const RunResult *a, const RunResult *b, uint32_t i,
                          bool metered)
{
    chi_code code = a->calls[i].code;
    FUZZ_CHECK(code == b->calls[i].code, "call %u: %s, %s", i,
               chi_code_text(code), chi_code_text(b->calls[i].code));
    FUZZ_CHECK(a->calls[i].results == b->calls[i].results,
               "call %u: results differ", i);
    FUZZ_CHECK(a->calls[i].state == b->calls[i].state,
               "call %u: memories, tables or globals differ", i);
    /* Machine code charges instructions without effects together with the
     * next one that has one. */
    bool placed = code != CHI_OUT_OF_FUEL;
    FUZZ_CHECK(!placed
                   || (a->calls[i].offset == b->calls[i].offset
                       && a->calls[i].function == b->calls[i].function),
               "call %u: %s at different places: %u:%#x, %u:%#x", i,
               chi_code_text(code), a->calls[i].function, a->calls[i].offset,
               b->calls[i].function, b->calls[i].offset);
    FUZZ_CHECK(!placed
                   || (a->calls[i].frames == b->calls[i].frames
                       && a->calls[i].depth == b->calls[i].depth),
               "call %u: frames differ: %u of them, %u", i, a->calls[i].depth,
               b->calls[i].depth);
    FUZZ_CHECK(!metered || a->calls[i].fuel == b->calls[i].fuel,
               "call %u: fuel differs: %llu, %llu", i,
               (unsigned long long)a->calls[i].fuel,
               (unsigned long long)b->calls[i].fuel);
}

void run_compare(const RunResult *a, const RunResult *b, bool metered)
{
    bool vague = a->vague || b->vague;
    if (vague && (!a->n_calls || !b->n_calls))
        return;
    uint32_t n = a->n_calls < b->n_calls ? a->n_calls : b->n_calls;
    FUZZ_CHECK(a->start_code == b->start_code, "start: %s, %s",
               chi_code_text(a->start_code), chi_code_text(b->start_code));
    for (uint32_t i = 0; i + vague < n; i++)
        compare_calls(a, b, i, metered);
    if (vague)
        return;
    FUZZ_CHECK(a->n_calls == b->n_calls, "%u calls, %u calls", a->n_calls,
               b->n_calls);
    FUZZ_CHECK(a->state == b->state, "memories differ");
}
