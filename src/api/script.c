/* Runs the specification's scripts.  One Runner per thread of the script; the
 * instances of one live in one store. */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/eval_v128.h"
#include "interp/interp.h"
#include "text/parse.h"
#include "text/script.h"

typedef struct {
    char *name; /* allocated; "" if none */
    Instance *instance;
    Module *module; /* of a definition */
} Named;

typedef struct {
    Named *items;
    uint32_t n;
} NamedList;

typedef struct Runner Runner;

typedef struct {
    char *name;
    Runner *runner;
    OsThread thread;
} ScriptThread;

struct Runner {
    const char *file;
    Features features;
    chi_line_fn *line;
    void *env;
    Store *store;
    Instance *spectest;
    NamedList instances, definitions, registered;
    Runner *parent; /* whose shared modules this one may register */
    char *shared;   /* name of the one it shares */
    Script *body;
    ScriptThread *threads;
    uint32_t n_threads;
    uint32_t passed, failed;
    uint64_t *slots;
    uint32_t at; /* line of the command */
};

static void run_script(Runner *r, Script *s);

/* ---- bookkeeping */

static char *copy_name(Name n)
{
    char *s = malloc((size_t)n.len + 1);
    if (s) {
        if (n.len)
            memcpy(s, n.bytes, n.len);
        s[n.len] = 0;
    }
    return s;
}

static bool name_is(const char *s, Name n)
{
    return strlen(s) == n.len && !memcmp(s, n.bytes, n.len);
}

static void add_entry(NamedList *list, Name name, Instance *i, Module *m)
{
    list->items = realloc(list->items, (list->n + 1) * sizeof *list->items);
    list->items[list->n++] = (Named){copy_name(name), i, m};
    if (i)
        entity_ref(&i->e);
    if (m)
        module_ref(m);
}

/* The last one of that name; of no name: the last one. */
static Named *find_entry(const NamedList *list, Name name)
{
    for (uint32_t k = list->n; k-- > 0;)
        if (name.len == 0 || name_is(list->items[k].name, name))
            return &list->items[k];
    return NULL;
}

static void free_entries(NamedList *list)
{
    for (uint32_t k = 0; k < list->n; k++) {
        free(list->items[k].name);
        if (list->items[k].instance)
            entity_unref(&list->items[k].instance->e);
        if (list->items[k].module)
            module_free(list->items[k].module);
    }
    free(list->items);
}

static void fail(Runner *r, const char *format, ...) PRINTF_LIKE(2, 3);
static void fail(Runner *r, const char *format, ...)
{
    char text[900];
    int n = snprintf(text, sizeof text, "%s:%u: ", r->file, r->at);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    r->failed++;
    r->line(r->env, text);
}

/* ---- linking */

static Entity *extern_entity(const Extern *x)
{
    return x->kind == EXTERN_FUNC ? x->func->owner : (Entity *)x->table;
}

static bool find_export(Instance *i, Name name, Extern *out)
{
    for (uint32_t k = 0; k < i->module->n_exports; k++) {
        Name n = i->module->exports[k].name;
        if (n.len == name.len && !memcmp(n.bytes, name.bytes, n.len)) {
            *out = instance_export(i, k);
            return true;
        }
    }
    return false;
}

/* Makes x, a reference of ours from now on, one of this store: only shared
 * memories can come from that of another thread. */
static bool bring_here(Runner *r, Extern *x)
{
    if (x->kind == EXTERN_MEMORY && x->memory->e.store != r->store) {
        if (!x->memory->data->shared)
            return false;
        x->memory = memory_share(r->store, x->memory->data, &x->memory->type);
        return x->memory != NULL;
    }
    entity_ref(extern_entity(x));
    return true;
}

static void release_externs(Extern *x, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        entity_unref(extern_entity(&x[k]));
    free(x);
}

static Instance *instantiate(Runner *r, Module *m, Error *err)
{
    Extern *imports = calloc((size_t)m->n_imports + 1, sizeof *imports);
    bool linked = true;
    uint32_t n = 0; /* found */
    for (uint32_t k = 0; k < m->n_imports && linked; k++) {
        const Import *want = &m->imports[k];
        Named *e = NULL;
        for (uint32_t j = r->registered.n; j-- > 0 && !e;)
            if (name_is(r->registered.items[j].name, want->module))
                e = &r->registered.items[j];
        linked = e && find_export(e->instance, want->name, &imports[k])
                 && bring_here(r, &imports[k]);
        n += linked;
        if (!linked)
            error_set(err, ERR_LINK, ERROR_NO_OFFSET,
                      "unknown import \"%.*s\" \"%.*s\"", (int)want->module.len,
                      want->module.bytes, (int)want->name.len,
                      want->name.bytes);
    }
    Instance *i = linked ? instance_new(r->store, m, imports, err) : NULL;
    release_externs(imports, n);
    return i;
}

static Module *load(Runner *r, const ScriptModule *source, Error *err)
{
    if (!source->bytes) {
        *err = source->err;
        return NULL;
    }
    return module_new(source->bytes, source->len, r->features, err);
}

/* ---- spectest */

static chi_code print_nothing(void *host, Store *s, uint64_t *slots)
{
    (void)host, (void)s, (void)slots;
    return CHI_OK;
}

static const char spectest_text[] =
    "(module"
    " (import \"host\" \"0\" (func $p))"
    " (import \"host\" \"1\" (func $p1 (param i32)))"
    " (import \"host\" \"2\" (func $p2 (param i64)))"
    " (import \"host\" \"3\" (func $p3 (param f32)))"
    " (import \"host\" \"4\" (func $p4 (param f64)))"
    " (import \"host\" \"5\" (func $p5 (param i32 f32)))"
    " (import \"host\" \"6\" (func $p6 (param f64 f64)))"
    " (export \"print\" (func $p)) (export \"print_i32\" (func $p1))"
    " (export \"print_i64\" (func $p2)) (export \"print_f32\" (func $p3))"
    " (export \"print_f64\" (func $p4)) (export \"print_i32_f32\" (func $p5))"
    " (export \"print_f64_f64\" (func $p6))"
    " (global (export \"global_i32\") i32 (i32.const 666))"
    " (global (export \"global_i64\") i64 (i64.const 666))"
    " (global (export \"global_f32\") f32 (f32.const 666.6))"
    " (global (export \"global_f64\") f64 (f64.const 666.6))"
    " (table (export \"table\") 10 20 funcref)"
    " (memory (export \"memory\") 1 2)"
    "%s)";
/* What needs features that older scripts do not have. */
static const char spectest_new[] =
    " (table (export \"table64\") i64 10 20 funcref)"
    " (memory (export \"shared_memory\") 1 2 shared)";

static bool make_spectest(Runner *r, Error *err)
{
    static const Type i32 = T_I32, i64 = T_I64, f32 = T_F32, f64 = T_F64;
    static const Type i32_f32[] = {T_I32, T_F32}, f64_f64[] = {T_F64, T_F64};
    const Type *params[] = {NULL, &i32, &i64, &f32, &f64, i32_f32, f64_f64};
    static const uint32_t n_params[] = {0, 1, 1, 1, 1, 2, 2};
    Extern imports[7];
    for (int k = 0; k < 7; k++) {
        HostFunc *f = hostfunc_new(r->store, params[k], n_params[k], NULL, 0,
                                   print_nothing, NULL, err);
        if (!f)
            return false;
        imports[k] = (Extern){.kind = EXTERN_FUNC, .func = &f->ref};
    }
    char text[sizeof spectest_text + sizeof spectest_new];
    Features want = r->features | (Features)1 << FEATURE_MULTI_MEMORY
                    | (Features)1 << FEATURE_MEMORY64
                    | (Features)1 << FEATURE_REFERENCE_TYPES
                    | (Features)1 << FEATURE_THREADS;
    snprintf(text, sizeof text, spectest_text, spectest_new);
    TextModule t;
    if (!text_parse(text, strlen(text), want, &t, err))
        return false;
    Module *m = module_new(t.bytes, t.len, want, err);
    text_free(&t);
    if (!m)
        return false;
    r->spectest = instance_new(r->store, m, imports, err);
    module_free(m);
    for (int k = 0; k < 7; k++)
        entity_unref(imports[k].func->owner);
    if (!r->spectest)
        return false;
    add_entry(&r->registered, (Name){"spectest", 8}, r->spectest, NULL);
    return true;
}

/* ---- values */

static bool put_argument(Runner *r, const ScriptValue *v, uint64_t *slot)
{
    switch (v->kind) {
    case VALUE_V128: memcpy(slot, v->v128, 16); return true;
    case VALUE_REF_HOST:
    case VALUE_REF_EXTERN:
        *slot = heap_host(r->store, (void *)(uintptr_t)v->bits);
        return *slot != 0;
    case VALUE_REF_NULL: *slot = 0; return true;
    default: *slot = v->bits; return true;
    }
}

static bool nan32(uint32_t bits, NanPattern p)
{
    return p == NAN_CANONICAL ? (bits & 0x7fffffff) == 0x7fc00000
                              : (bits & 0x7fc00000) == 0x7fc00000;
}
static bool nan64(uint64_t bits, NanPattern p)
{
    const uint64_t quiet = 0x7ff8000000000000;
    return p == NAN_CANONICAL ? (bits & ~((uint64_t)1 << 63)) == quiet
                              : (bits & quiet) == quiet;
}

static bool vector_matches(const ScriptValue *v, const uint64_t *slots)
{
    V128 got, want;
    memcpy(&got, slots, 16);
    memcpy(&want, v->v128, 16);
    if (v->shape == SHAPE_F32X4) {
        for (int i = 0; i < 4; i++)
            if (v->nan[i] ? !nan32(got.u32[i], v->nan[i])
                          : got.u32[i] != want.u32[i])
                return false;
        return true;
    }
    if (v->shape == SHAPE_F64X2) {
        for (int i = 0; i < 2; i++)
            if (v->nan[i] ? !nan64(got.u64[i], v->nan[i])
                          : got.u64[i] != want.u64[i])
                return false;
        return true;
    }
    return !memcmp(&got, &want, 16);
}

static bool word_is_host(uint64_t word, const ScriptValue *v)
{
    return chi_word_is(word) == CHI_IS_HOST
           && (!v->has_bits
               || (uintptr_t)chi_word_host(word) == (uintptr_t)v->bits);
}

static bool value_matches(const ScriptValue *v, Type type,
                          const uint64_t *slots)
{
    uint64_t x = slots[0];
    bool is_func =
        type_is_ref(type) && type_heap_top(type_heap(type)) == HEAP_FUNC;
    switch ((ScriptValueKind)v->kind) {
    case VALUE_EITHER:
        for (uint32_t k = 0; k < v->n_alternatives; k++)
            if (value_matches(&v->alternatives[k], type, slots))
                return true;
        return false;
    case VALUE_I32: return type == T_I32 && x == (uint32_t)v->bits;
    case VALUE_I64: return type == T_I64 && x == v->bits;
    case VALUE_F32:
        return type == T_F32
               && (v->nan[0] ? nan32((uint32_t)x, v->nan[0])
                             : x == (uint32_t)v->bits);
    case VALUE_F64:
        return type == T_F64
               && (v->nan[0] ? nan64(x, v->nan[0]) : x == v->bits);
    case VALUE_V128: return type == T_V128 && vector_matches(v, slots);
    default: break;
    }
    if (!type_is_ref(type))
        return false;
    if (v->kind == VALUE_REF_NULL)
        return x == 0
               && (v->heap == 0
                   || type_heap_top(HEAP_ABSTRACT | v->heap)
                          == type_heap_top(type_heap(type)));
    if (x == 0)
        return false;
    if (v->kind == VALUE_REF_ANYTHING)
        return true;
    if (v->kind == VALUE_REF_FUNC)
        return is_func;
    if (is_func)
        return false;
    switch ((ScriptValueKind)v->kind) {
    case VALUE_REF_HOST: return word_is_host(x, v);
    case VALUE_REF_EXTERN: return !v->has_bits || word_is_host(x, v);
    case VALUE_REF_ANY: return true;
    case VALUE_REF_EQ:
        return word_matches(x, type_ref_abstract(false, HEAP_EQ));
    case VALUE_REF_I31:
        return word_is_i31(x)
               && (!v->has_bits || x == chi_i31_word((int32_t)v->bits));
    case VALUE_REF_STRUCT: return chi_word_is(x) == CHI_IS_STRUCT;
    case VALUE_REF_ARRAY: return chi_word_is(x) == CHI_IS_ARRAY;
    case VALUE_REF_EXN: return chi_word_is(x) == CHI_IS_EXN;
    default: return false;
    }
}

/* ---- actions */

typedef struct {
    ErrorCode code;
    bool found;        /* false: there is no such export */
    const Type *types; /* of the results */
    uint32_t n;
    Type global_type;
    const uint64_t *slots;
} Outcome;

static Outcome invoke(Runner *r, const ScriptAction *a, FuncRef *f)
{
    const FuncType *t = &f->type->func;
    uint32_t slots =
        t->param_slots > t->result_slots ? t->param_slots : t->result_slots;
    r->slots = realloc(r->slots, ((size_t)slots + 2) * sizeof *r->slots);
    uint64_t *at = r->slots;
    if (a->n_args != t->n_params)
        return (Outcome){.code = ERR_ARGUMENT, .found = true};
    for (uint32_t k = 0; k < a->n_args; at += type_slots(t->types[k++]))
        if (!put_argument(r, &a->args[k], at))
            return (Outcome){.code = ERR_HEAP_LIMIT, .found = true};
    return (Outcome){.code = api_call(f, r->slots),
                     .found = true,
                     .types = t->types + t->n_params,
                     .n = t->n_results,
                     .slots = r->slots};
}

static Outcome act(Runner *r, const ScriptAction *a)
{
    Named *e = find_entry(&r->instances, a->instance);
    Extern x;
    if (!e || !e->instance || !find_export(e->instance, a->name, &x))
        return (Outcome){.found = false};
    if (a->kind == ACTION_INVOKE && x.kind == EXTERN_FUNC)
        return invoke(r, a, x.func);
    if (a->kind == ACTION_GET && x.kind == EXTERN_GLOBAL)
        return (Outcome){.found = true,
                         .n = 1,
                         .global_type = x.global->type,
                         .slots = x.global->value};
    return (Outcome){.found = false};
}

static const char *action_text(const ScriptAction *a, char *buf, size_t size)
{
    snprintf(buf, size, "%s \"%.*s\"", a->kind == ACTION_GET ? "get" : "invoke",
             (int)a->name.len, a->name.bytes);
    return buf;
}

static void check_return(Runner *r, const Command *c)
{
    char what[100];
    Outcome o = act(r, &c->action);
    action_text(&c->action, what, sizeof what);
    if (!o.found || o.code != ERR_OK) {
        fail(r, "%s: %s", what,
             o.found ? error_text(o.code) : "no such export");
        return;
    }
    if (o.n != c->n_expected) {
        fail(r, "%s: %u results, expected %u", what, o.n, c->n_expected);
        return;
    }
    const uint64_t *at = o.slots;
    for (uint32_t k = 0; k < o.n; k++) {
        Type t = o.types ? o.types[k] : o.global_type;
        if (!value_matches(&c->expected[k], t, at)) {
            fail(r,
                 "%s: result %u is 0x%llx (type kind 0x%x), expected 0x%llx"
                 " (kind %u)",
                 what, k, (unsigned long long)at[0], type_kind(t),
                 (unsigned long long)c->expected[k].bits, c->expected[k].kind);
            return;
        }
        at += type_slots(t);
    }
    r->passed++;
}

/* Trap texts agree if one begins with the other. */
static bool text_agrees(const char *got, Name want)
{
    size_t n = strlen(got) < want.len ? strlen(got) : want.len;
    return !memcmp(got, want.bytes, n);
}

static void judge_trap(Runner *r, const Command *c, ErrorCode code,
                       const char *what)
{
    if (code == ERR_OK)
        fail(r, "%s: returned, expected \"%.*s\"", what, (int)c->message.len,
             c->message.bytes);
    else if (!error_is_trap(code) || !text_agrees(error_text(code), c->message))
        fail(r, "%s: \"%s\", expected \"%.*s\"", what, error_text(code),
             (int)c->message.len, c->message.bytes);
    else
        r->passed++;
}

static void check_trap(Runner *r, const Command *c)
{
    char what[100];
    if (c->has_module) {
        Error err = {0};
        Module *m = load(r, &c->module, &err);
        Instance *i = m ? instantiate(r, m, &err) : NULL;
        judge_trap(r, c, i ? ERR_OK : err.code, "module");
        if (i)
            entity_unref(&i->e);
        if (m)
            module_free(m);
        return;
    }
    Outcome o = act(r, &c->action);
    judge_trap(r, c, o.found ? o.code : ERR_ARGUMENT,
               action_text(&c->action, what, sizeof what));
}

static void check_exception(Runner *r, const Command *c)
{
    char what[100];
    Outcome o = act(r, &c->action);
    if (o.found && o.code == ERR_EXCEPTION)
        r->passed++;
    else
        fail(r, "%s: %s, expected an exception",
             action_text(&c->action, what, sizeof what),
             o.found ? error_text(o.code) : "no such export");
}

/* ---- modules */

/* Gives the module, which the list keeps, or NULL after a failure. */
static Module *define(Runner *r, const Command *c)
{
    Error err = {0};
    Module *m = load(r, &c->module, &err);
    if (m) {
        add_entry(&r->definitions, c->name, NULL, m);
        module_free(m);
    } else {
        fail(r, "module: %s (at %lld)", err.message, (long long)err.offset);
    }
    return m;
}

static void make_instance(Runner *r, Module *m, Name name)
{
    Error err = {0};
    Instance *i = instantiate(r, m, &err);
    add_entry(&r->instances, name, i, NULL);
    if (i)
        entity_unref(&i->e);
    else
        fail(r, "instantiate: %s", err.message);
}

static void check_refused(Runner *r, const Command *c, bool malformed)
{
    Error err = {0};
    Module *m = load(r, &c->module, &err);
    bool is_malformed = err.code == ERR_SYNTAX || err.code == ERR_MALFORMED;
    if (m) {
        fail(r, "accepted, expected \"%.*s\"", (int)c->message.len,
             c->message.bytes);
        module_free(m);
    } else if (is_malformed != malformed) {
        fail(r, "%s: \"%s\", expected \"%.*s\"",
             is_malformed ? "malformed" : "invalid", err.message,
             (int)c->message.len, c->message.bytes);
    } else {
        r->passed++;
    }
}

static void check_refused_custom(Runner *r, const Command *c)
{
    Error err = {0};
    Module *m = load(r, &c->module, &err);
    if (m) {
        fail(r, "accepted, expected \"%.*s\"", (int)c->message.len,
             c->message.bytes);
        module_free(m);
    } else {
        r->passed++;
    }
}

static void check_unlinkable(Runner *r, const Command *c)
{
    Error err = {0};
    Module *m = load(r, &c->module, &err);
    Instance *i = m ? instantiate(r, m, &err) : NULL;
    if (i) {
        fail(r, "linked, expected \"%.*s\"", (int)c->message.len,
             c->message.bytes);
        entity_unref(&i->e);
    } else if (err.code != ERR_LINK) {
        fail(r, "\"%s\", expected a link error", err.message);
    } else {
        r->passed++;
    }
    if (m)
        module_free(m);
}

static void register_instance(Runner *r, const Command *c)
{
    Named *e = find_entry(&r->instances, c->name);
    if (!e && r->parent && r->shared && name_is(r->shared, c->name))
        e = find_entry(&r->parent->instances, c->name);
    if (e && e->instance)
        add_entry(&r->registered, c->string, e->instance, NULL);
    else
        fail(r, "register: no instance of that name");
}

/* ---- threads */

static Runner *runner_new(Runner *like)
{
    Runner *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->file = like->file;
    r->features = like->features;
    r->line = like->line;
    r->env = like->env;
    r->parent = like;
    return r;
}

static bool runner_open(Runner *r)
{
    StoreLimits limits = store_limits_default();
    Error err = {0};
    r->store = api_store(&limits);
    if (r->store && make_spectest(r, &err))
        return true;
    fail(r, "spectest: %s", err.message);
    return false;
}

static void runner_close(Runner *r)
{
    free_entries(&r->registered);
    free_entries(&r->instances);
    free_entries(&r->definitions);
    if (r->spectest)
        entity_unref(&r->spectest->e);
    if (r->store)
        store_unref(r->store);
    free(r->threads);
    free(r->slots);
    free(r->shared);
}

static void thread_main(void *arg)
{
    Runner *r = arg;
    if (runner_open(r))
        run_script(r, r->body);
}

static void start_thread(Runner *r, const Command *c)
{
    Runner *t = runner_new(r);
    t->shared = copy_name(c->shared);
    t->body = c->body;
    r->threads = realloc(r->threads, (r->n_threads + 1) * sizeof *r->threads);
    ScriptThread *s = &r->threads[r->n_threads++];
    *s = (ScriptThread){.name = copy_name(c->name), .runner = t};
    if (!os_thread_start(&s->thread, thread_main, t))
        fail(r, "thread: refused by the system");
}

static void join_thread(Runner *r, Name name)
{
    for (uint32_t k = 0; k < r->n_threads; k++) {
        ScriptThread *s = &r->threads[k];
        if (!s->runner || !name_is(s->name, name))
            continue;
        os_thread_join(&s->thread);
        r->passed += s->runner->passed;
        r->failed += s->runner->failed;
        runner_close(s->runner);
        free(s->runner);
        free(s->name);
        s->runner = NULL;
        return;
    }
    fail(r, "wait: no such thread");
}

/* ---- commands */

static void run_command(Runner *r, const Command *c)
{
    r->at = c->line;
    switch (c->kind) {
    case COMMAND_MODULE: {
        Module *m = define(r, c);
        if (m)
            make_instance(r, m, c->name);
        break;
    }
    case COMMAND_MODULE_DEFINITION: define(r, c); break;
    case COMMAND_MODULE_INSTANCE: {
        Named *e = find_entry(&r->definitions, c->of);
        if (e)
            make_instance(r, e->module, c->name);
        else
            fail(r, "instance: no such definition");
        break;
    }
    case COMMAND_REGISTER: register_instance(r, c); break;
    case COMMAND_ACTION: {
        Outcome o = act(r, &c->action);
        if (!o.found || o.code != ERR_OK)
            fail(r, "action: %s",
                 o.found ? error_text(o.code) : "no such export");
        break;
    }
    case COMMAND_ASSERT_RETURN: check_return(r, c); break;
    case COMMAND_ASSERT_TRAP:
    case COMMAND_ASSERT_EXHAUSTION: check_trap(r, c); break;
    case COMMAND_ASSERT_EXCEPTION: check_exception(r, c); break;
    case COMMAND_ASSERT_MALFORMED: check_refused(r, c, true); break;
    case COMMAND_ASSERT_INVALID: check_refused(r, c, false); break;
    case COMMAND_ASSERT_UNLINKABLE: check_unlinkable(r, c); break;
    case COMMAND_ASSERT_MALFORMED_CUSTOM:
    case COMMAND_ASSERT_INVALID_CUSTOM: check_refused_custom(r, c); break;
    case COMMAND_THREAD: start_thread(r, c); break;
    case COMMAND_WAIT: join_thread(r, c->name); break;
    }
}

static void run_script(Runner *r, Script *s)
{
    for (;;) {
        Command c;
        Error err = {0};
        if (script_next(s, &c, &err)) {
            run_command(r, &c);
        } else if (err.code != ERR_OK) {
            r->at = err.line;
            fail(r, "%s", err.message);
        } else {
            return;
        }
    }
}

chi_script_result chi_script_run(const char *text, size_t len, const char *file,
                                 chi_features features, chi_line_fn *line,
                                 void *env)
{
    api_init();
    Runner r = {.file = file, .features = features, .line = line, .env = env};
    Script *s = script_new(text, len, features);
    if (runner_open(&r))
        run_script(&r, s);
    runner_close(&r);
    script_free(s);
    return (chi_script_result){r.passed, r.failed};
}
