#include "check.h"

#include <time.h>

#include "interp/interp.h"
#include "runtime/blocks.h"
#include "runtime/instance.h"
#include "runtime/memory.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "text/script.h"

static Module *module_of(const char *wat)
{
    Error err = {0};
    Command c;
    Script *script = script_new(wat, strlen(wat), feature_all());
    CHECK(script_next(script, &c, &err) && c.kind == COMMAND_MODULE);
    Module *m = c.module.bytes ? module_new(c.module.bytes, c.module.len,
                                            feature_all(), &err)
                               : NULL;
    if (!m)
        fprintf(stderr, "%s %s\n", err.message, c.module.err.message);
    CHECK(m);
    script_free(script);
    return m;
}

static Instance *must(Store *s, Module *m, const Extern *imports)
{
    Error err = {0};
    Instance *i = instance_new(s, m, imports, &err);
    if (!i)
        fprintf(stderr, "%s\n", err.message);
    CHECK(i);
    return i;
}

static Error fails(Store *s, Module *m, const Extern *imports)
{
    Error err = {0};
    CHECK(!instance_new(s, m, imports, &err));
    return err;
}

static Instance *make(Store *s, const char *wat, const Extern *imports)
{
    Module *m = module_of(wat);
    Instance *i = must(s, m, imports);
    module_free(m);
    return i;
}

static Extern export_of(Instance *i, const char *name)
{
    const Module *m = i->module;
    for (uint32_t k = 0; k < m->n_exports; k++)
        if (m->exports[k].name.len == strlen(name)
            && !memcmp(m->exports[k].name.bytes, name, strlen(name)))
            return instance_export(i, k);
    CHECK(!"an export of that name");
    return (Extern){.kind = EXTERN_FUNC, .func = NULL};
}

static uint64_t call(Instance *i, const char *name, uint64_t argument)
{
    uint64_t slots[2] = {argument, 0};
    CHECK(engine_hooks.call(export_of(i, name).func, slots) == ERR_OK);
    return slots[0];
}

static void definitions_are_made_in_order(void)
{
    Store *s = store_new(NULL);
    Instance *i = make(
        s,
        "(module"
        " (global $a i32 (i32.const -5)) (global $b i64 (i64.const 1000000))"
        " (global $c (mut f32) (f32.const 1.5))"
        " (global $d f64 (f64.const 2.5)) (global $e i32 (global.get $a))"
        " (global $f i32 (i32.add (global.get $a) (i32.const 7)))"
        " (global $g v128 (v128.const i64x2 3 4))"
        " (global $h v128 (global.get $g))"
        " (global $r funcref (ref.func $one)) (global $n funcref"
        " (ref.null func))"
        " (memory (export \"m\") 1) (table (export \"t\") 5 funcref"
        " (ref.func $two))"
        " (elem (i32.const 1) $one $two) (elem $p funcref (ref.func $one))"
        " (data (i32.const 65530) \"abcdef\") (data $q \"passive\")"
        " (global (export \"x\") i32 (global.get $f))"
        " (func $one (export \"one\") (result i32) i32.const 1)"
        " (func $two (result i32) i32.const 2))",
        NULL);
    uint64_t want[] = {(uint32_t)-5, 1000000, 0x3fc00000, 0x4004000000000000,
                       (uint32_t)-5, 2,       3,          3};
    for (uint32_t k = 0; k < 8; k++)
        CHECK(i->globals[k]->value[0] == want[k]);
    CHECK(i->globals[7]->value[1] == 4);
    FuncRef *one = instance_func(i, 0), *two = instance_func(i, 1);
    CHECK(i->globals[8]->value[0] == (uintptr_t)one);
    CHECK(i->globals[9]->value[0] == 0);
    CHECK(one->owner == &i->e && one->type->func.n_results == 1);
    CHECK(instance_func(i, 0) == one && funcref_index(two) == 1);
    const uint64_t *t = i->tables[0]->elems;
    CHECK(t[0] == (uintptr_t)two && t[1] == (uintptr_t)one);
    CHECK(t[2] == (uintptr_t)two && t[4] == (uintptr_t)two);
    CHECK(!memcmp(i->memory0->base + 65530, "abcdef", 6));
    CHECK(i->data_dropped[0] && !i->data_dropped[1]);
    CHECK(i->elem_dropped[0] && !i->elem_dropped[1]);
    uint32_t n;
    CHECK(instance_elem(i, 1, &n)[0] == (uintptr_t)one && n == 1);
    instance_elem(i, 0, &n);
    CHECK(n == 0 && store_is_valid(s));
    entity_unref(&i->e);
    store_unref(s);
}

static void the_memory_is_none_without_one(void)
{
    Store *s = store_new(NULL);
    Instance *i = make(s, "(module)", NULL);
    CHECK(i->memory0 == &memory_none && memory_none.size == 0);
    entity_unref(&i->e);
    store_unref(s);
}

/* ---- linking */

static void check_why(Store *s, const char *importing, Extern x,
                      const char *why)
{
    char wat[300];
    snprintf(wat, sizeof wat, "(module (import \"m\" \"n\" %s))", importing);
    Module *m = module_of(wat);
    Error err = fails(s, m, &x);
    char want[300];
    snprintf(want, sizeof want, "incompatible import type: \"m\" \"n\" %s",
             why);
    if (strcmp(err.message, want))
        fprintf(stderr, "%s\n", err.message);
    CHECK(err.code == ERR_LINK && !strcmp(err.message, want));
    module_free(m);
}

static void mismatches_say_what_is_wanted_and_given(void)
{
    Store *s = store_new(NULL);
    Instance *i =
        make(s,
             "(module (type $s (struct)) (memory (export \"m\") 1 3)"
             " (table (export \"t\") 2 10 funcref)"
             " (global (export \"g\") (mut i32) (i32.const 0))"
             " (global (export \"c\") (ref null $s) (ref.null $s))"
             " (tag (export \"e\") (param i32))"
             " (rec (type $x (func)) (type $y (func)))"
             " (func (export \"x\") (type $x))"
             " (func (export \"f\") (param i32 i64) (result f32) f32.const 0))",
             NULL);
    check_why(s, "(func (param i32))", export_of(i, "f"),
              "wants (func (param i32)), is given (func (param i32 i64) "
              "(result f32))");
    check_why(s, "(func)", export_of(i, "m"),
              "wants (func), is given (memory 1 3)");
    check_why(s, "(func)", export_of(i, "x"),
              "wants (func), is given (func) of another recursive group or "
              "supertype");
    check_why(s, "(memory 2)", export_of(i, "m"),
              "wants (memory 2), is given (memory 1 3)");
    check_why(s, "(memory 1 2)", export_of(i, "m"),
              "wants (memory 1 2), is given (memory 1 3)");
    check_why(s, "(memory i64 1 3)", export_of(i, "m"),
              "wants (memory i64 1 3), is given (memory 1 3)");
    check_why(s, "(memory 1 3 shared)", export_of(i, "m"),
              "wants (memory 1 3 shared), is given (memory 1 3)");
    check_why(s, "(memory 1 3 (pagesize 1))", export_of(i, "m"),
              "wants (memory 1 3 (pagesize 1)), is given (memory 1 3)");
    check_why(s, "(table 3 10 funcref)", export_of(i, "t"),
              "wants (table 3 10 funcref), is given (table 2 10 funcref)");
    check_why(s, "(table 1 10 externref)", export_of(i, "t"),
              "wants (table 1 10 externref), is given (table 2 10 funcref)");
    check_why(s, "(global i32)", export_of(i, "g"),
              "wants (global i32), is given (global (mut i32))");
    check_why(s, "(global (mut i64))", export_of(i, "g"),
              "wants (global (mut i64)), is given (global (mut i32))");
    check_why(s, "(tag (param i64))", export_of(i, "e"),
              "wants (tag (param i64)), is given (tag (param i32))");
    Module *m = module_of("(module (import \"m\" \"n\" (global anyref))"
                          " (import \"m\" \"m\" (memory 1))"
                          " (import \"m\" \"t\" (table 2 funcref)))");
    Extern x[3] = {export_of(i, "c"), export_of(i, "m"), export_of(i, "t")};
    CHECK(memory_grow(x[1].memory, 1) == 1);
    Instance *k = must(s, m, x); /* subtypes are welcome */
    Store *other = store_new(NULL);
    CHECK(fails(other, m, x).code == ERR_LINK);
    store_unref(other);
    entity_unref(&k->e);
    module_free(m);
    entity_unref(&i->e);
    store_unref(s);
}

/* ---- failures */

static void a_trap_leaves_what_was_written(void)
{
    Store *s = store_new(NULL);
    Instance *i = make(s,
                       "(module (table (export \"t\") 4 funcref)"
                       " (memory (export \"m\") 1))",
                       NULL);
    Extern x[2] = {export_of(i, "t"), export_of(i, "m")};
    Module *m = module_of("(module (import \"\" \"t\" (table 4 funcref))"
                          " (import \"\" \"m\" (memory 1))"
                          " (elem (i32.const 0) $f)"
                          " (data (i32.const 0) \"yes\")"
                          " (elem (i32.const 3) $f $f)"
                          " (func $f (result i32) i32.const 42))");
    Error err = fails(s, m, x);
    CHECK(err.code == ERR_TABLE_BOUNDS);
    CHECK(!strcmp(err.message, "out of bounds table access"));
    CHECK(x[1].memory->data->base[0] == 0 && x[0].table->elems[3] == 0);
    module_free(m);
    store_collect(s); /* the table keeps the failed instance */
    uint64_t slots[1];
    FuncRef *f = (FuncRef *)(uintptr_t)x[0].table->elems[0];
    CHECK(engine_hooks.call(f, slots) == ERR_OK && slots[0] == 42);
    x[0].table->elems[0] = 0;
    uint32_t before = s->n_entities;
    store_collect(s);
    CHECK(s->n_entities == before - 1);
    m = module_of("(module (import \"\" \"t\" (table 4 funcref))"
                  " (import \"\" \"m\" (memory 1))"
                  " (data (i32.const 0) \"yes\") (data (i32.const 65534)"
                  " \"no!\"))");
    err = fails(s, m, x);
    CHECK(err.code == ERR_MEMORY_BOUNDS && x[1].memory->data->base[0] == 'y');
    module_free(m);
    m = module_of("(module (func $f unreachable) (start $f))");
    CHECK(fails(s, m, NULL).code == ERR_UNREACHABLE);
    module_free(m);
    m = module_of("(module (memory 65536) (memory 65536))");
    CHECK(fails(s, m, NULL).code == ERR_MEMORY); /* the store's limit */
    module_free(m);
    m = module_of("(module (type $a (array i64)) (global (ref $a)"
                  " (array.new_default $a (i32.const 0x7fffffff))))");
    CHECK(fails(s, m, NULL).code == ERR_HEAP_LIMIT);
    module_free(m);
    entity_unref(&i->e);
    store_collect(s);
    CHECK(s->n_entities == 0 && s->memory_used == 0);
    store_unref(s);
}

/* ---- lives */

static void cycles_of_instances_are_freed(void)
{
    Store *s = store_new(NULL);
    for (int k = 0; k < 50; k++) {
        Instance *a = make(s,
                           "(module (table (export \"t\") 2 funcref)"
                           " (func $f) (elem (i32.const 0) $f))",
                           NULL);
        Extern x = export_of(a, "t");
        Instance *b = make(s,
                           "(module (import \"\" \"t\" (table 2 funcref))"
                           " (func $f) (elem (i32.const 1) $f))",
                           &x);
        CHECK(x.table->elems[1]);
        entity_unref(&a->e);
        entity_unref(&b->e);
    }
    CHECK(s->n_entities < 60); /* some collections ran by themselves */
    store_collect(s);
    CHECK(s->n_entities == 0 && s->refs == 1);
    store_unref(s);
}

static void large_memories_are_freed_soon(void)
{
    Store *s = store_new(NULL);
    Module *m = module_of("(module (memory 320))");
    for (int k = 0; k < 1000; k++)
        entity_unref(&must(s, m, NULL)->e);
    CHECK(s->memory_used <= 60 << 20);
    module_free(m);
    store_unref(s);
}

static void what_limits_refuse_is_taken_from_the_dead(void)
{
    StoreLimits limits = store_limits_default();
    limits.memory = 100 << 16;
    limits.table = 1000;
    Store *s = store_new(&limits);
    Module *m = module_of("(module (memory 10) (table 100 funcref))");
    Instance *kept = must(s, m, NULL);
    for (int k = 0; k < 100; k++)
        entity_unref(&must(s, m, NULL)->e);
    CHECK(kept->memories[0]->data->size == 10 << 16);
    for (int k = 0; k < 100; k++) {
        Error err = {0};
        TableType type = {.limits = {.min = 400, .max = NO_MAX},
                          .type = T_FUNCREF};
        Table *t = table_new(s, &type, 0, &err);
        CHECK(t);
        entity_unref(&t->e);
    }
    entity_unref(&kept->e);
    module_free(m);
    store_unref(s);
}

static void long_chains_of_imports_need_no_stack(void)
{
    Store *s = store_new(NULL);
    Module *m = module_of("(module (import \"\" \"f\" (func $f))"
                          " (func (export \"f\") call $f))");
    Error err = {0};
    HostFunc *h = hostfunc_new(s, NULL, 0, NULL, 0, NULL, NULL, &err);
    Extern x = {.kind = EXTERN_FUNC, .func = &h->ref};
    Entity *last = &h->e;
    for (int k = 0; k < 100000; k++) {
        Instance *i = must(s, m, &x);
        x = export_of(i, "f");
        entity_unref(last);
        last = &i->e;
    }
    store_collect(s);
    CHECK(s->n_entities == 100001);
    entity_unref(last);
    store_collect(s);
    CHECK(s->n_entities == 0);
    module_free(m);
    store_unref(s);
}

static void types_outlive_their_modules(void)
{
    Store *s = store_new(NULL);
    uint64_t null = 0;
    Global *g = global_new(s, T_ANYREF, true, &null);
    Extern x = {.kind = EXTERN_GLOBAL, .global = g};
    Instance *i = make(
        s,
        "(module (import \"\" \"g\" (global $g (mut anyref)))"
        " (type $deep (struct (field i8 i8 i16 funcref) (field (mut (ref null"
        " $deep)))))"
        " (func $f (export \"f\")"
        "  (global.set $g (struct.new $deep (i32.const 1) (i32.const 2)"
        "   (i32.const 3) (ref.func $f) (ref.cast (ref null $deep)"
        "   (global.get $g)))))"
        " (global (export \"typed\") (ref null $deep) (ref.null $deep)))",
        &x);
    for (int k = 0; k < 10; k++)
        call(i, "f", 0);
    Global *typed = export_of(i, "typed").global;
    entity_ref(&typed->e);
    entity_unref(&i->e);
    store_collect(s); /* the function in the struct keeps the instance */
    CHECK(s->n_entities == 3);
    uint32_t id = word_object(g->value[0])->id;
    for (Object *o = word_object(g->value[0]); o;) {
        CHECK(o->id == id);
        *(uint64_t *)((uint8_t *)o + type_def(id)->structure.fields[3].offset) =
            0;
        o = word_object(
            *(uint64_t *)((uint8_t *)o
                          + type_def(id)->structure.fields[4].offset));
    }
    store_collect(s);
    CHECK(s->n_entities == 2 && s->heap->n_held == 1);
    for (int k = 0; k < 3; k++) {
        store_collect(s);
        CHECK(store_is_valid(s) && s->heap->n_held == 1);
    }
    CHECK(type_def(id) && word_matches(g->value[0], typed->type));
    g->value[0] = 0;
    store_collect(s);
    CHECK(s->heap->n_held == 0 && type_def(id));
    entity_unref(&typed->e);
    store_collect(s);
    CHECK(!type_def(id)); /* nobody holds it any more */
    entity_unref(&g->e);
    store_unref(s);
}

static void tags_outlive_their_modules(void)
{
    Store *s = store_new(NULL), *other = store_new(NULL);
    Instance *i = make(s,
                       "(module (type $s (struct (field i32)))"
                       " (tag (export \"t\") (param (ref null $s))))",
                       NULL);
    TagData *data = export_of(i, "t").tag->data;
    Tag *tag = tag_share(other, data);
    uint32_t id = data->type->id;
    entity_unref(&i->e);
    store_unref(s);
    CHECK(type_def(id) == tag->data->type && data->refs == 1);
    uint64_t null = 0;
    other->pending_exn = (uintptr_t)heap_exn(other, tag, &null);
    entity_unref(&tag->e);
    store_collect(other);
    CHECK(type_def(id) && data->refs == 1 && store_is_valid(other));
    store_unref(other);
    CHECK(!type_def(id));
}

static void passive_items_are_kept_until_dropped(void)
{
    Store *s = store_new(NULL);
    Instance *i = make(
        s,
        "(module (type $s (struct (field i32))) (table $t 2 (ref null $s))"
        " (elem $e (ref null $s) (struct.new $s (i32.const 7))"
        "  (struct.new $s (i32.const 8)))"
        " (func (export \"get\") (param i32) (result i32)"
        "  (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2))"
        "  (struct.get $s 0 (table.get $t (local.get 0))))"
        " (func (export \"drop\") (elem.drop $e) (table.fill $t (i32.const 0)"
        "  (ref.null $s) (i32.const 2))))",
        NULL);
    store_collect(s);
    CHECK(call(i, "get", 1) == 8 && call(i, "get", 0) == 7);
    store_collect(s);
    CHECK(heap_bytes(s) == 32);
    call(i, "drop", 0);
    store_collect(s);
    CHECK(heap_bytes(s) == 0 && !i->elem_items[0]);
    entity_unref(&i->e);
    store_unref(s);
}

static void merging_links_what_was_apart(void)
{
    Store *a = store_new(NULL), *b = store_new(NULL);
    Instance *i = make(a,
                       "(module (func (export \"f\") (result i32)"
                       " i32.const 5) (memory 1))",
                       NULL);
    Instance *j = make(b, "(module (memory 2) (table 3 funcref))", NULL);
    Error err = {0};
    CHECK(store_merge(b, a, &err));
    CHECK(b->memory_used == 3 << 16 && b->table_used == 3);
    CHECK(store_is_valid(b) && i->e.store == b && store_target(a) == b);
    Extern x = export_of(i, "f");
    Module *m = module_of("(module (import \"\" \"f\" (func $f (result i32)))"
                          " (func (export \"g\") (result i32) call $f))");
    Instance *k = must(a, m, &x); /* by the old name of the store */
    CHECK(call(k, "g", 0) == 5);
    module_free(m);
    store_unref(a);
    store_unref(b);
    entity_unref(&i->e);
    entity_unref(&j->e);
    entity_unref(&k->e);
}

/* ---- speed */

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void time_instances(const char *what, const char *wat)
{
    Module *m = module_of(wat);
    Store *s = store_new(NULL);
    double best = 1e9;
    for (int round = 0; round < 20; round++) {
        enum { N = 500 };
        Instance *made[N];
        double start = cpu_ns();
        for (int k = 0; k < N; k++)
            made[k] = must(s, m, NULL);
        double each = (cpu_ns() - start) / N;
        best = each < best ? each : best;
        for (int k = 0; k < N; k++)
            entity_unref(&made[k]->e);
        store_collect(s);
    }
    printf("   an instance %s: %.0f ns\n", what, best);
    module_free(m);
    store_unref(s);
}

static void speed_of_instances(void)
{
    time_instances("of an empty module", "(module)");
    time_instances("with ten functions and a global",
                   "(module (global (mut i32) (i32.const 1))"
                   " (func (export \"a\")) (func (export \"b\")) (func) (func)"
                   " (func) (func) (func) (func) (func) (func))");
    time_instances("with a table of ten functions",
                   "(module (func $f) (table 10 funcref)"
                   " (elem (i32.const 0) $f $f $f $f $f $f $f $f $f $f))");
    time_instances("with a memory and data",
                   "(module (memory 1) (data (i32.const 5) \"hello\"))");
}

int main(void)
{
    engine_hooks =
        (EngineHooks){.call = interp_call, .constant = interp_constant};
    RUN(definitions_are_made_in_order);
    RUN(the_memory_is_none_without_one);
    RUN(mismatches_say_what_is_wanted_and_given);
    RUN(a_trap_leaves_what_was_written);
    RUN(cycles_of_instances_are_freed);
    RUN(large_memories_are_freed_soon);
    RUN(what_limits_refuse_is_taken_from_the_dead);
    RUN(long_chains_of_imports_need_no_stack);
    RUN(types_outlive_their_modules);
    RUN(tags_outlive_their_modules);
    RUN(passive_items_are_kept_until_dropped);
    RUN(merging_links_what_was_apart);
    RUN(speed_of_instances);
    return 0;
}
