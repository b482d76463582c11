/* Stores, entities and calls at the public border. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "interp/interp.h"
#include "interp/state.h"
#include "native/native.h"
#include "runtime/memory.h"
#include "runtime/owner.h"

static inline bool is_native(const FuncRef *f)
{
    return f->func && f->owner->store->tier == TIER_BASELINE;
}

static chi_code call_without_memory(chi_func *f, uint64_t *slots)
{
    return (chi_code)native_call((FuncRef *)f, slots);
}

ErrorCode api_call(FuncRef *f, uint64_t *slots)
{
    return is_native(f) ? native_call(f, slots) : interp_call(f, slots);
}

/* ---- configuration */

static struct {
    chi_config config;
    bool few_registers, gc_stress, fuel; /* for tests */
} environment;

static bool environment_says(const char *name, const char *value)
{
    const char *given = getenv(name);
    return given && !strcmp(given, value);
}

static unsigned choice_of(const char *name, const char *const *values,
                          unsigned n)
{
    for (unsigned k = 1; k < n; k++)
        if (environment_says(name, values[k]))
            return k;
    return 0;
}

static bool says_no(const char *name)
{
    static const char *const no[] = {"", "0", "no", "off", "false"};
    return choice_of(name, no, 5);
}

/* Under the global lock. */
static void read_environment(void)
{
    static const char *const tiers[] = {"auto", "interp", "baseline"};
    static const char *const forms[] = {"auto", "wide", "dense", "explicit"};
    environment.config = (chi_config){
        .tier = (chi_tier)choice_of("CHIASM_TIER", tiers, 3),
        .form = (chi_form)choice_of("CHIASM_MEMORY", forms, 4),
        .signals = says_no("CHIASM_SIGNALS") ? CHI_NO : CHI_UNSAID,
    };
    environment.few_registers = environment_says("CHIASM_REGISTERS", "4");
    environment.gc_stress = environment_says("CHIASM_GC_STRESS", "1");
    environment.fuel = environment_says("CHIASM_FUEL", "1");
}

void api_init(void)
{
    static _Atomic bool done;
    if (atomic_load_explicit(&done, memory_order_acquire))
        return;
    os_mutex_lock(os_global_lock());
    if (!atomic_load(&done)) {
        engine_hooks.call = api_call;
        engine_hooks.interpret = interp_call;
        engine_hooks.constant = interp_constant;
        engine_hooks.attach = native_attach;
        engine_hooks.image = native_image;
        engine_hooks.attach_host = native_attach_host;
        read_environment();
        atomic_store(&done, true);
    }
    os_mutex_unlock(os_global_lock());
}

static chi_config completed(chi_config c)
{
    const chi_config *e = &environment.config;
    c.tier = c.tier ? c.tier : e->tier;
    c.form = c.form ? c.form : e->form;
    c.signals = c.signals ? c.signals : e->signals;
    return c;
}

/* Where code does not fault, room around a memory serves only its growth. */
static uint8_t best_form(const chi_config *c)
{
    static const uint8_t forms[] = {MEMORY_WIDE, MEMORY_WIDE, MEMORY_DENSE,
                                    MEMORY_EXPLICIT};
    if (c->form == CHI_FORM_AUTO && c->signals == CHI_NO)
        return MEMORY_EXPLICIT;
    return forms[c->form];
}

static bool configure(Store *s, const chi_config *given, Error *err)
{
    chi_config c = completed(*given);
    const char *why = "";
    s->best_form = best_form(&c);
    s->checks_all = c.signals == CHI_NO;
    s->native_cache = c.registers;
    s->tier = TIER_INTERP;
    s->keeps_tier = given->tier || given->signals;
    if (c.tier == CHI_TIER_INTERP)
        return true;
    if (native_available(&why))
        s->tier = TIER_BASELINE;
    else if (given->tier == CHI_TIER_BASELINE)
        return error_set(err, ERR_UNSUPPORTED, ERROR_NO_OFFSET,
                         "no machine code can run here: %s", why);
    return true;
}

bool chi_store_configure(chi_store *s, const chi_config *c, chi_error *err)
{
    Error e = {0};
    if (store_of(s)->entities)
        error_set(&e, ERR_ARGUMENT, ERROR_NO_OFFSET,
                  "a store is configured before anything is in it");
    else if (configure(store_of(s), c, &e))
        return true;
    api_error(err, &e);
    return false;
}

chi_tier chi_store_tier(const chi_store *s)
{
    return store_of(s)->tier == TIER_INTERP ? CHI_TIER_INTERP
                                            : CHI_TIER_BASELINE;
}

chi_choice chi_store_signals(const chi_store *s)
{
    return store_of(s)->checks_all ? CHI_NO : CHI_YES;
}

bool chi_native_available(const char **why) { return native_available(why); }

bool chi_native_missed(const char **why)
{
    api_init();
    return environment.config.tier != CHI_TIER_INTERP && !native_available(why);
}

void chi_signals(bool on) { native_signals(on); }

static void configure_for_tests(Store *s)
{
    if (environment.few_registers)
        s->native_cache = 4;
    if (environment.gc_stress)
        heap_stress = true;
    if (environment.fuel && !s->metered) {
        s->metered = true;
        s->fuel = UINT64_MAX / 2;
    }
}

Store *api_store(const StoreLimits *limits)
{
    api_init();
    Store *s = store_new(limits);
    if (!s)
        return NULL;
    Error ignored = {0}; /* without machine code the store interprets */
    configure(s, &(chi_config){0}, &ignored);
    configure_for_tests(s);
    return s;
}

chi_limits chi_limits_default(void)
{
    StoreLimits l = store_limits_default();
    return (chi_limits){l.memory, l.table, l.heap, l.stack, l.fuel};
}

chi_store *chi_store_new(const chi_limits *limits)
{
    StoreLimits l = store_limits_default();
    if (limits)
        l = (StoreLimits){limits->memory, limits->table, limits->heap,
                          limits->stack, limits->fuel};
    return (chi_store *)api_store(&l);
}

chi_store *chi_store_ref(chi_store *s)
{
    return (chi_store *)store_ref((Store *)s);
}

void chi_store_free(chi_store *s)
{
    if (s)
        store_unref((Store *)s);
}

void chi_store_set_host(chi_store *s, void *env, chi_interrupt_fn *interrupt,
                        chi_release_fn *release)
{
    Store *store = store_of(s);
    store->host_env = env;
    store->interrupt = interrupt;
    store->release = release;
}

void chi_store_set_tick(chi_store *s, uint64_t ns)
{
    store_of(s)->tick_ns = ns;
}

/* Code that counts and code that does not are different. */
static void reattach(Store *s)
{
    Error err = {0};
    for (Entity *e = s->entities; e; e = e->next)
        if (e->kind == ENTITY_INSTANCE)
            native_attach((Instance *)e, &err);
}

bool chi_store_merge(chi_store *a, chi_store *b, chi_error *err)
{
    Error e = {0};
    Store *to = store_of(a);
    bool differ = to->metered != store_of(b)->metered;
    if (store_merge(to, store_of(b), &e)) {
        if (differ && to->tier == TIER_BASELINE)
            reattach(to);
        return true;
    }
    api_error(err, &e);
    return false;
}

chi_store *chi_store_target(chi_store *s) { return (chi_store *)store_of(s); }

void *chi_store_host(const chi_store *s) { return store_of(s)->host_env; }

void chi_store_interrupt(chi_store *s) { store_interrupt(store_of(s)); }

chi_code chi_store_poll(chi_store *s)
{
    return (chi_code)store_poll(store_of(s));
}

bool chi_store_is_running(const chi_store *s)
{
    return atomic_load(&store_of(s)->owner) != NULL;
}

bool chi_store_is_mine(const chi_store *s)
{
    Thread *owner = atomic_load(&store_of(s)->owner);
    return owner && owner == thread_current();
}

bool chi_store_wait(chi_store *s, uint64_t ns)
{
    return store_wait(store_of(s), ns);
}

void chi_store_collect(chi_store *s)
{
    store_collect(store_of(s));
    if (!chi_store_is_running(s))
        store_release_hosts(store_of(s));
}

typedef struct {
    chi_owner_fn *tell;
    void *env;
} OwnerTeller;

static void tell_owner(void *env, void *host, Entity *owner)
{
    const OwnerTeller *t = env;
    bool is_func = owner && owner->kind == ENTITY_FUNC;
    const void *key = is_func ? (const void *)&((HostFunc *)owner)->ref : owner;
    t->tell(t->env, host, key);
}

bool chi_store_owners(chi_store *s, chi_owner_fn *tell, void *env)
{
    OwnerTeller t = {tell, env};
    return owner_find(store_of(s), tell_owner, &t);
}

chi_limits chi_store_limits(const chi_store *s)
{
    const Store *store = store_of(s);
    const StoreLimits *l = &store->limits;
    return (chi_limits){l->memory, l->table, l->heap, l->stack,
                        store->metered ? store->fuel : UINT64_MAX};
}

uint64_t chi_store_fuel(const chi_store *s) { return store_of(s)->fuel; }

void chi_store_set_fuel(chi_store *s, uint64_t fuel)
{
    Store *store = store_of(s);
    bool was = store->metered;
    store->fuel = fuel;
    store->metered = fuel != UINT64_MAX;
    if (store->tier == TIER_BASELINE && was != store->metered)
        reattach(store);
}

chi_usage chi_store_usage(const chi_store *s)
{
    const Store *store = store_of(s);
    chi_usage u = {.heap_bytes = heap_bytes(store),
                   .memory_bytes = store->memory_used};
    uint32_t *count[] = {&u.instances, &u.funcs,   &u.memories,
                         &u.tables,    &u.globals, &u.tags};
    for (const Entity *e = store->entities; e; e = e->next)
        ++*count[e->kind];
    return u;
}

uint32_t chi_store_n_frames(const chi_store *s)
{
    return store_of(s)->n_frames;
}

uint32_t chi_store_depth(const chi_store *s)
{
    return store_of(s)->frame_depth;
}

void chi_store_frame(const chi_store *s, uint32_t i, chi_frame *out)
{
    const Frame *f = &store_of(s)->frames[i];
    *out = (chi_frame){(chi_instance *)f->instance,
                       (chi_module *)f->instance->module, f->func->index,
                       f->offset};
}

/* ---- externals */

static Entity *entity_of(chi_extern x)
{
    return x.kind == CHI_FUNC ? func_of(x.func)->owner : (Entity *)x.any;
}

void chi_extern_ref(chi_extern x) { entity_ref(entity_of(x)); }

void chi_extern_free(chi_extern x)
{
    if (x.any)
        entity_unref(entity_of(x));
}

chi_store *chi_extern_store(chi_extern x)
{
    return (chi_store *)store_target(entity_of(x)->store);
}

void chi_extern_type(chi_extern x, chi_externtype *out)
{
    *out = (chi_externtype){.kind = x.kind};
    switch (x.kind) {
    case CHI_FUNC: api_func_type(func_of(x.func)->type, &out->func); break;
    case CHI_MEM: {
        MemoryType t = memory_of(x.memory)->type;
        t.limits.min = memory_of(x.memory)->data->pages;
        api_memory_type(&t, out);
        break;
    }
    case CHI_TABLE: {
        TableType t = table_of(x.table)->type;
        t.limits.min = table_of(x.table)->size;
        api_table_type(&t, out);
        break;
    }
    case CHI_GLOBAL:
        out->type = global_of(x.global)->type;
        out->mutable_ = global_of(x.global)->mutable;
        break;
    case CHI_TAG: api_func_type(tag_of(x.tag)->data->type, &out->func); break;
    }
}

bool chi_extern_same(chi_extern a, chi_extern b)
{
    if (a.kind != b.kind)
        return false;
    if (a.kind == CHI_MEM)
        return memory_of(a.memory)->data == memory_of(b.memory)->data;
    if (a.kind == CHI_TAG)
        return tag_of(a.tag)->data == tag_of(b.tag)->data;
    return a.any == b.any;
}

/* What was made, or NULL and its failure. */
static void *made(void *entity, chi_error *err, const Error *e)
{
    if (!entity)
        api_error(err, e);
    return entity;
}

chi_func *chi_func_new(chi_store *s, const chi_type *params, uint32_t n_params,
                       const chi_type *results, uint32_t n_results,
                       chi_host_fn *fn, void *host, chi_error *err)
{
    Error e = {0};
    HostFunc *f = hostfunc_new(store_of(s), params, n_params, results,
                               n_results, fn, host, &e);
    return made(f, err, &e) ? (chi_func *)&f->ref : NULL;
}

/* A host function of exactly a type that somebody holds. */
chi_func *chi_func_for_import(chi_store *s, const chi_module *m, uint32_t i,
                              chi_host_fn *fn, void *host, chi_error *err)
{
    const Module *module = module_of(m);
    const TypeDef *type = module->func_types[module->imports[i].index];
    Error e = {.code = ERR_MEMORY, .message = "out of memory"};
    HostFunc *f = hostfunc_of_type(store_of(s), type, fn, host);
    return made(f, err, &e) ? (chi_func *)&f->ref : NULL;
}

chi_functype chi_func_type(const chi_func *f)
{
    chi_functype t;
    api_func_type(func_of(f)->type, &t);
    return t;
}

chi_instance *chi_func_instance(const chi_func *f)
{
    return (chi_instance *)func_of(f)->instance;
}

uint32_t chi_func_index(const chi_func *f) { return funcref_index(func_of(f)); }

static Memory *memory_named(const Instance *i, const char *name)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_exports; k++) {
        const Export *e = &m->exports[k];
        if (e->kind == EXTERN_MEMORY && e->name.len == strlen(name)
            && !memcmp(e->name.bytes, name, e->name.len))
            return i->memories[e->index];
    }
    return i->memories[0];
}

chi_memory *chi_caller_memory(chi_store *s)
{
    const Thread *t = thread_current();
    const Activation *a = t ? thread_top(t) : NULL;
    if (!a || a->store != store_of(s))
        return NULL;
    const Instance *i = a->fp ? frame_instance(a->fp) : native_caller(a);
    if (!i || i->module->n_memories == 0)
        return NULL;
    return (chi_memory *)(i->module->n_memories == 1
                              ? i->memories[0]
                              : memory_named(i, "memory"));
}

void *chi_func_host(const chi_func *f)
{
    return func_of(f)->func ? NULL : ((HostFunc *)func_of(f)->owner)->host;
}

bool chi_func_may_run_long(const chi_func *f)
{
    return func_of(f)->may_run_long;
}

chi_code chi_func_failed(chi_func *f, chi_code code, chi_error *err)
{
    if (code != CHI_BUSY)
        return api_guest_error(err, func_of(f)->owner->store, (ErrorCode)code);
    Error e = {0}; /* another thread's: nothing in it is ours to read */
    error_set(&e, ERR_BUSY, ERROR_NO_OFFSET, "%s", error_text(ERR_BUSY));
    return api_error(err, &e);
}

chi_code chi_call(chi_func *f, uint64_t *slots, chi_error *err)
{
    ErrorCode code = api_call(func_of(f), slots);
    if (likely(code == ERR_OK))
        return CHI_OK;
    return chi_func_failed(f, (chi_code)code, err);
}

chi_fast_fn *chi_func_fast(chi_func *f)
{
    FuncRef *r = func_of(f);
    chi_fast_fn *fast = is_native(r) ? native_fast(r) : interp_call_alone;
    return fast ? fast : call_without_memory;
}

chi_entry *chi_enter(chi_store *s, uint32_t n, uint64_t **slots, chi_error *err)
{
    ErrorCode code;
    Activation *a = activation_stay(store_of(s), n, slots, &code);
    if (a)
        return (chi_entry *)a;
    Error e = {0};
    error_set(&e, code, ERROR_NO_OFFSET, "%s", error_text(code));
    api_error(err, &e);
    return NULL;
}

void chi_leave(chi_entry *e)
{
    if (e)
        activation_leave((Activation *)e);
}

chi_memory *chi_memory_new(chi_store *s, const chi_externtype *type,
                           chi_error *err)
{
    Error e = {0};
    MemoryType t = {{type->min, type->max, type->is64, type->shared},
                    (uint8_t)__builtin_ctz(type->page_size)};
    return made(memory_new(store_of(s), &t, &e), err, &e);
}

chi_memory *chi_memory_share(chi_store *s, chi_memory *shared)
{
    Memory *m = memory_of(shared);
    return made(memory_share(store_of(s), m->data, &m->type), NULL,
                &(Error){0});
}

uint8_t *chi_memory_data(const chi_memory *m, size_t *bytes)
{
    const MemoryData *d = memory_of(m)->data;
    *bytes = (size_t)atomic_load_explicit(&d->size, memory_order_acquire);
    return d->base;
}

uint64_t chi_memory_pages(const chi_memory *m)
{
    return memory_of(m)->data->pages;
}

uint64_t chi_memory_grow(chi_memory *m, uint64_t pages)
{
    return memory_grow(memory_of(m), pages);
}

void chi_memory_pin(chi_memory *m)
{
    atomic_fetch_add(&memory_of(m)->data->pins, 1);
}

void chi_memory_unpin(chi_memory *m)
{
    atomic_fetch_sub(&memory_of(m)->data->pins, 1);
}

chi_table *chi_table_new(chi_store *s, const chi_externtype *type,
                         uint64_t init, chi_error *err)
{
    Error e = {0};
    TableType t = {.limits = {type->min, type->max, type->is64, false},
                   .type = type->type};
    return made(table_new(store_of(s), &t, init, &e), err, &e);
}

uint64_t chi_table_size(const chi_table *t) { return table_of(t)->size; }

bool chi_table_get(const chi_table *t, uint64_t i, uint64_t *word)
{
    if (i >= table_of(t)->size)
        return false;
    *word = table_of(t)->elems[i];
    return true;
}

bool chi_table_set(chi_table *t, uint64_t i, uint64_t word)
{
    if (i >= table_of(t)->size)
        return false;
    table_of(t)->elems[i] = word;
    return true;
}

uint64_t chi_table_grow(chi_table *t, uint64_t by, uint64_t init)
{
    return table_grow(table_of(t), by, init);
}

chi_global *chi_global_new(chi_store *s, chi_type type, bool mutable_,
                           const uint64_t *slots, chi_error *err)
{
    Error e = {.code = ERR_MEMORY, .message = "out of memory"};
    return made(global_new(store_of(s), type, mutable_, slots), err, &e);
}

void chi_global_get(const chi_global *g, uint64_t *slots)
{
    memcpy(slots, global_of(g)->value,
           type_slots(global_of(g)->type) * sizeof *slots);
}

void chi_global_set(chi_global *g, const uint64_t *slots)
{
    memcpy(global_of(g)->value, slots,
           type_slots(global_of(g)->type) * sizeof *slots);
}

chi_tag *chi_tag_new(chi_store *s, const chi_type *params, uint32_t n_params,
                     chi_error *err)
{
    Error e = {0};
    return made(tag_new(store_of(s), params, n_params, &e), err, &e);
}

const void *chi_tag_identity(const chi_tag *tag) { return tag_of(tag)->data; }

chi_tag *chi_tag_share(chi_store *s, chi_tag *tag)
{
    return made(tag_share(store_of(s), tag_of(tag)->data), NULL, &(Error){0});
}
