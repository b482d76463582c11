#include "check.h"

#include "runtime/collect.h"
#include "runtime/instance.h"
#include "runtime/store.h"
#include "runtime/thread.h"

/* node = struct { (ref null node), (ref null node), i64 }
 * refs = array (mut (ref null node)); bytes = array (mut i8);
 * externs = array (mut externref); funcs = array (mut funcref);
 * empty = struct {} */
static TypeGroup *group;
static const TypeDef *node, *refs, *bytes, *externs, *funcs, *empty;

static void make_types(void)
{
    Field fields[3] = {{type_ref(true, HEAP_REC | 0), true, 0},
                       {type_ref(true, HEAP_REC | 0), true, 0},
                       {T_I64, true, 0}};
    TypeDef defs[6];
    memset(defs, 0, sizeof defs);
    for (int i = 0; i < 6; i++) {
        defs[i].final = true;
        defs[i].super = NO_TYPE;
        defs[i].kind = COMP_ARRAY;
        defs[i].array.mutable = true;
    }
    defs[0].kind = COMP_STRUCT;
    defs[0].structure.n_fields = 3;
    defs[0].structure.fields = fields;
    defs[1].array.type = type_ref(true, HEAP_REC | 0);
    defs[2].array.type = T_I8;
    defs[3].array.type = T_EXTERNREF;
    defs[4].array.type = T_FUNCREF;
    defs[5].kind = COMP_STRUCT;
    defs[5].structure.n_fields = 0;
    group = type_group_intern(defs, 6);
    uint32_t first = type_group_first(group);
    node = type_def(first);
    refs = type_def(first + 1);
    bytes = type_def(first + 2);
    externs = type_def(first + 3);
    funcs = type_def(first + 4);
    empty = type_def(first + 5);
}

static Type ref_to(const TypeDef *t) { return type_ref(true, t->id); }
static uint64_t word(const void *p) { return (uintptr_t)p; }
static uint64_t *node_field(Object *o, int i)
{
    return (uint64_t *)((uint8_t *)o + node->structure.fields[i].offset);
}
static uint64_t *elems(Object *o) { return (uint64_t *)((uint8_t *)o + 8); }

static int n_released;
static void count_release(void *env, void *host)
{
    (void)env, (void)host;
    n_released++;
}

static Store *new_store(uint64_t heap_limit)
{
    StoreLimits limits = store_limits_default();
    limits.heap = heap_limit;
    Store *s = store_new(&limits);
    s->release = count_release;
    n_released = 0;
    return s;
}

/* Host words are kept until then. */
static void end_call(Store *s)
{
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    activation_leave(&a);
}

static void objects_are_zeroed_and_typed(void)
{
    Store *s = new_store(UINT64_MAX);
    for (uint32_t n = 0; n < 3000; n = n * 5 / 4 + 1) {
        Object *o = heap_array(s, bytes, n * 100);
        CHECK(o && o->id == bytes->id && o->length == n * 100);
        CHECK(((uintptr_t)o & 15) == 0);
        uint8_t *p = (uint8_t *)o + 8;
        for (uint32_t i = 0; i < n * 100; i++)
            CHECK(p[i] == 0);
        memset(p, 0xaa, n * 100);
    }
    Object *e = heap_struct(s, empty);
    CHECK(e && e->id == empty->id);
    CHECK(store_is_valid(s));
    store_unref(s);
}

static void garbage_does_not_accumulate(void)
{
    Store *s = new_store(UINT64_MAX);
    for (int i = 0; i < 2000000; i++) {
        Object *o = heap_struct(s, node);
        CHECK(*node_field(o, 0) == 0 && *node_field(o, 2) == 0);
        *node_field(o, 2) = (uint64_t)i;
        *node_field(o, 0) = word(o);
    }
    for (int i = 0; i < 3000; i++) {
        CHECK(heap_array(s, bytes, 40000));
        CHECK(heap_array(s, bytes, 1000000));
    }
    CHECK(heap_bytes(s) < 8 << 20);
    size_t n = 0;
    for (Chunk *c = s->heap->chunks; c; c = c->next)
        n += c->size;
    CHECK(n < 32 << 20);
    store_unref(s);
}

static void lists_survive(uint32_t length)
{
    Store *s = new_store(UINT64_MAX);
    Root *root = root_new(s, ref_to(node), 0);
    for (uint32_t i = 0; i < length; i++) {
        Object *o = heap_struct(s, node);
        *node_field(o, 2) = i;
        *node_field(o, i % 2) = root->word;
        root->word = word(o);
        heap_struct(s, node);
    }
    store_collect(s);
    CHECK(store_is_valid(s));
    CHECK(heap_bytes(s) == length * 32);
    uint64_t at = root->word;
    for (uint32_t i = length; i-- > 0;) {
        Object *o = word_object(at);
        CHECK(*node_field(o, 2) == i && o->id == node->id);
        at = *node_field(o, i % 2);
    }
    CHECK(at == 0);
    root_free(root);
    store_collect(s);
    CHECK(heap_bytes(s) == 0);
    store_unref(s);
}

static void long_lists_survive(void) { lists_survive(300000); }

/* A tree in an array that is wider than the mark stack. */
static void marking_restarts_after_overflow(void)
{
    uint32_t before = mark_stack_limit;
    mark_stack_limit = 16;
    Store *s = new_store(UINT64_MAX);
    enum { N = 5000, DEPTH = 20 };
    Object *a = heap_array(s, refs, N);
    Root *root = root_new(s, ref_to(refs), word(a));
    for (uint32_t i = 0; i < N; i++)
        for (uint32_t d = 0; d < DEPTH; d++) {
            Object *o = heap_struct(s, node);
            *node_field(o, 0) = elems(a)[i];
            *node_field(o, 1) = d ? elems(a)[i / 2] : 0;
            *node_field(o, 2) = d;
            elems(a)[i] = word(o);
        }
    store_collect(s);
    CHECK(store_is_valid(s));
    CHECK(heap_bytes(s) == N * DEPTH * 32 + ((8 + N * 8 + 15) & ~15));
    for (uint32_t i = 0; i < N; i++) {
        uint64_t at = elems(a)[i];
        for (uint32_t d = DEPTH; d-- > 0; at = *node_field(word_object(at), 0))
            CHECK(*node_field(word_object(at), 2) == d);
    }
    root_free(root);
    store_unref(s);
    mark_stack_limit = before;
}

static void host_pointers_are_released_once(void)
{
    Store *s = new_store(UINT64_MAX);
    Object *a = heap_array(s, externs, 100);
    Root *root = root_new(s, ref_to(externs), word(a));
    static char hosts[1000];
    for (int i = 0; i < 1000; i++) {
        uint64_t w = heap_host(s, &hosts[i]);
        CHECK(((HostCell *)word_object(w))->host == &hosts[i]);
        if (i % 10 == 0)
            elems(a)[i / 10] = w;
    }
    end_call(s);
    store_collect(s);
    CHECK(n_released == 0);
    store_release_hosts(s);
    CHECK(n_released == 900);
    for (int i = 0; i < 100; i++)
        CHECK(((HostCell *)word_object(elems(a)[i]))->host == &hosts[i * 10]);
    for (int i = 0; i < 500; i++) /* cells are used again */
        heap_host(s, &hosts[i]);
    end_call(s);
    store_collect(s);
    store_release_hosts(s);
    CHECK(n_released == 1400);
    elems(a)[7] = 0;
    store_collect(s);
    store_release_hosts(s);
    CHECK(n_released == 1401);
    root_free(root);
    store_unref(s);
    CHECK(n_released == 1500);
}

static void host_words_last_until_the_call_ends(void)
{
    Store *s = new_store(UINT64_MAX);
    uint64_t words[HOST_WORDS_KEPT];
    static char hosts[HOST_WORDS_KEPT];
    heap_host(s, "too old");
    for (int i = 0; i < HOST_WORDS_KEPT; i++)
        words[i] = heap_host(s, &hosts[i]);
    Type type = T_EXTERNREF;
    Tag *tag = tag_new(s, &type, 1, NULL);
    store_collect(s);
    store_release_hosts(s);
    CHECK(n_released == 1);
    for (int i = 0; i < HOST_WORDS_KEPT; i++)
        CHECK(((HostCell *)word_object(words[i]))->host == &hosts[i]);
    end_call(s);
    bool before = heap_stress;
    heap_stress = true; /* collects in heap_exn */
    s->heap->pools[POOL_EXN + 1].cur = s->heap->pools[POOL_EXN + 1].end;
    Exn *exn = heap_exn(s, tag, &words[7]);
    heap_stress = before;
    CHECK(((HostCell *)word_object(exn->slots[0]))->host == &hosts[7]);
    store_release_hosts(s);
    CHECK(n_released == HOST_WORDS_KEPT);
    entity_unref(&tag->e);
    store_unref(s);
}

static void exceptions_keep_payload_and_tag(void)
{
    Store *s = new_store(UINT64_MAX);
    Type params[3] = {T_V128, T_EXTERNREF, T_FUNCREF};
    Tag *tag = tag_new(s, params, 3, NULL);
    TagData *data = tag->data;
    Error err = {0};
    HostFunc *f = hostfunc_new(s, NULL, 0, NULL, 0, NULL, "f", &err);
    uint64_t slots[4] = {1, 2, heap_host(s, "host"), word(&f->ref)};
    Exn *exn = heap_exn(s, tag, slots);
    s->pending_exn = word(exn);
    entity_unref(&tag->e);
    entity_unref(&f->e);
    store_collect(s);
    CHECK(s->n_entities == 1); /* the function; the tag's entity is gone */
    CHECK(exn->tag == data && data->refs == 1);
    CHECK(exn->o.length == 4 && exn->slots[1] == 2);
    CHECK(!strcmp(((HostCell *)word_object(exn->slots[2]))->host, "host"));
    CHECK(store_is_valid(s));
    s->pending_exn = 0;
    end_call(s);
    store_collect(s);
    store_release_hosts(s);
    CHECK(n_released == 2 && s->n_entities == 0);
    store_unref(s);
}

static void large_exceptions_are_finalised(void)
{
    Store *s = new_store(UINT64_MAX);
    Type params[1000];
    for (int i = 0; i < 1000; i++)
        params[i] = T_V128;
    static uint64_t slots[2000];
    Tag *tag = tag_new(s, params, 1000, NULL);
    for (int i = 0; i < 50; i++)
        CHECK(heap_exn(s, tag, slots));
    CHECK(tag->data->refs == 51);
    store_collect(s);
    CHECK(tag->data->refs == 1);
    entity_unref(&tag->e);
    store_unref(s);
}

static void guest_stacks_are_scanned(void)
{
    Store *s = new_store(UINT64_MAX);
    Activation a;
    CHECK(activation_enter(&a, s, false) == ERR_OK);
    a.sp = a.base + 3;
    a.base[2] = a.base[3] = 0;
    Object *small = heap_struct(s, node), *lost = heap_struct(s, node);
    a.base[0] = word(small) + 17;
    Object *span = heap_array(s, bytes, 50000);
    a.base[1] = word(span) + 49999;
    Object *huge = heap_array(s, bytes, 3000000);
    a.base[2] = word(huge) + 2999999;
    Error err = {0};
    HostFunc *f = hostfunc_new(s, NULL, 0, NULL, 0, NULL, "f", &err);
    entity_unref(&f->e);
    CHECK(lost);
    a.base[3] = word(&f->ref);
    store_collect(s);
    CHECK(s->n_entities == 1);
    CHECK(small->id == node->id && span->id == bytes->id);
    CHECK(huge->length == 3000000);
    CHECK(heap_bytes(s) == 32 + 50016 + 3000016);
    a.sp = a.base;
    a.base[0] = word(small) + 32; /* one past it */
    store_collect(s);
    CHECK(heap_bytes(s) == 0 && s->n_entities == 0);
    activation_leave(&a);
    CHECK(n_released == 1);
    store_unref(s);
}

static void functions_in_the_heap_are_kept(void)
{
    Store *s = new_store(UINT64_MAX);
    Object *a = heap_array(s, funcs, 3);
    Root *root = root_new(s, ref_to(funcs), word(a));
    Error err = {0};
    for (int i = 0; i < 3; i++) {
        HostFunc *f = hostfunc_new(s, NULL, 0, NULL, 0, NULL, "f", &err);
        elems(a)[i] = word(&f->ref);
        entity_unref(&f->e);
    }
    store_collect(s);
    CHECK(s->n_entities == 3 && n_released == 0 && store_is_valid(s));
    elems(a)[1] = 0;
    store_collect(s);
    store_release_hosts(s);
    CHECK(s->n_entities == 2 && n_released == 1);
    root_free(root);
    store_collect(s);
    CHECK(s->n_entities == 0);
    store_unref(s);
}

static void the_limit_is_kept_and_recovers(void)
{
    Store *s = new_store(1 << 20);
    Root *root = root_new(s, ref_to(node), 0);
    uint32_t n = 0;
    for (Object *o; (o = heap_struct(s, node)); n++) {
        *node_field(o, 0) = root->word;
        root->word = word(o);
    }
    CHECK(n > 28000 && n <= 33000);
    CHECK(!heap_array(s, bytes, 500000));
    CHECK(!heap_array(s, bytes, UINT32_MAX));
    root->word = 0;
    CHECK(heap_array(s, bytes, 500000));
    for (int i = 0; i < 100000; i++)
        CHECK(heap_struct(s, node));
    root_free(root);
    store_unref(s);
}

static void heaps_merge(void)
{
    Store *a = new_store(UINT64_MAX), *b = new_store(UINT64_MAX);
    Store *s[2] = {a, b};
    Root *roots[2];
    for (int k = 0; k < 2; k++) {
        roots[k] = root_new(s[k], ref_to(node), 0);
        for (int i = 0; i < 50000; i++) {
            Object *o = heap_struct(s[k], node);
            *node_field(o, 0) = roots[k]->word;
            roots[k]->word = word(o);
            heap_host(s[k], "host");
        }
    }
    a->release = b->release = count_release;
    Error err = {0};
    CHECK(store_merge(a, b, &err));
    CHECK(store_target(b) == a && roots[1]->store == a);
    CHECK(store_is_valid(a));
    *node_field(word_object(roots[0]->word), 1) = roots[1]->word;
    root_free(roots[1]);
    store_unref(b);
    end_call(a);
    for (int i = 0; i < 200000; i++)
        heap_struct(a, node);
    store_collect(a);
    CHECK(store_is_valid(a) && heap_bytes(a) == 100000 * 32);
    store_release_hosts(a);
    CHECK(n_released == 100000);
    root_free(roots[0]);
    store_unref(a);
}

static void a_merged_store_lives_on_in_its_references(void)
{
    Store *a = new_store(UINT64_MAX), *b = new_store(UINT64_MAX);
    Global *g = global_new(b, T_I32, true, (uint64_t[]){42});
    Error err = {0};
    CHECK(store_merge(a, b, &err));
    store_unref(a);
    store_unref(b);
    CHECK(g->e.store == a && g->value[0] == 42);
    CHECK(a->refs == 1);
    entity_unref(&g->e);
}

/* Random changes to a graph, checked against a plain copy of it. */
static void a_random_graph_stays_as_it_is(int steps)
{
    enum { N = 64 };
    static struct {
        uint64_t value;
        int next[2];
    } model[N];
    Store *s = new_store(UINT64_MAX);
    unsigned long long seed = 1;
    Object *a = heap_array(s, refs, N);
    Root *root = root_new(s, ref_to(refs), word(a));
    memset(model, 0, sizeof model);
    for (int i = 0; i < N; i++)
        model[i].next[0] = model[i].next[1] = -1;
    for (int step = 0; step < steps; step++) {
        int i = (int)(next_random(&seed) % N),
            j = (int)(next_random(&seed) % N);
        if (next_random(&seed) % 4 == 0 || !elems(a)[i]) {
            /* A fresh node in place of i, wherever i is referred to. */
            uint64_t old = elems(a)[i];
            Object *o = heap_struct(s, node);
            for (int k = 0; k < N; k++)
                for (int e = 0; elems(a)[k] && e < 2; e++)
                    if (old && *node_field(word_object(elems(a)[k]), e) == old)
                        *node_field(word_object(elems(a)[k]), e) = word(o);
            for (int e = 0; old && e < 2; e++)
                *node_field(o, e) = *node_field(word_object(old), e) == old
                                        ? word(o)
                                        : *node_field(word_object(old), e);
            *node_field(o, 2) = model[i].value = next_random(&seed);
            elems(a)[i] = word(o);
        } else if (elems(a)[j]) {
            int e = step & 1;
            *node_field(word_object(elems(a)[i]), e) = elems(a)[j];
            model[i].next[e] = j;
        }
        heap_array(s, bytes, next_random(&seed) % 2000);
        for (int k = 0; k < N; k++) {
            Object *o = word_object(elems(a)[k]);
            if (!o)
                continue;
            CHECK(o->id == node->id && *node_field(o, 2) == model[k].value);
            for (int e = 0; e < 2; e++)
                CHECK(
                    *node_field(o, e)
                    == (model[k].next[e] < 0 ? 0 : elems(a)[model[k].next[e]]));
        }
    }
    CHECK(store_is_valid(s));
    root_free(root);
    store_unref(s);
}

static void a_graph_survives(void) { a_random_graph_stays_as_it_is(200000); }
static void a_graph_survives_collecting_always(void)
{
    heap_stress = true;
    a_random_graph_stays_as_it_is(3000);
    lists_survive(1000);
    host_pointers_are_released_once();
    heap_stress = false;
}

/* Sizes, lengths and lives at random: nothing overlaps, nothing is lost. */
static void arrays_of_all_sizes_keep_their_bytes(void)
{
    enum { N = 200 };
    Store *s = new_store(UINT64_MAX);
    Root *roots[N];
    unsigned long long seed = 7;
    for (int i = 0; i < N; i++)
        roots[i] = root_new(s, ref_to(bytes), 0);
    for (int step = 0; step < 20000; step++) {
        unsigned i = next_random(&seed) % N;
        unsigned length = next_random(&seed) >> (next_random(&seed) % 23 + 8);
        length %= 600000;
        Object *o = heap_array(s, bytes, length);
        memset((uint8_t *)o + 8, (int)i, length);
        Object *old = word_object(roots[i]->word);
        for (uint32_t k = 0; old && k < old->length; k += 97)
            CHECK(((uint8_t *)old)[8 + k] == i);
        if (old && old->length)
            CHECK(((uint8_t *)old)[8 + old->length - 1] == i);
        roots[i]->word = word(o);
    }
    CHECK(store_is_valid(s));
    for (int i = 0; i < N; i++)
        root_free(roots[i]);
    store_collect(s);
    CHECK(heap_bytes(s) == 0);
    store_unref(s);
}

static void casts_follow_the_hierarchy(void)
{
    Store *s = new_store(UINT64_MAX);
    uint64_t n = word(heap_struct(s, node)), b = word(heap_array(s, bytes, 3));
    uint64_t h = heap_host(s, "h"), i31 = 7;
    CHECK(word_matches(n, ref_to(node)) && !word_matches(n, ref_to(bytes)));
    CHECK(word_matches(n, type_ref_abstract(false, HEAP_STRUCT)));
    CHECK(!word_matches(n, type_ref_abstract(false, HEAP_ARRAY)));
    CHECK(word_matches(b, type_ref_abstract(false, HEAP_EQ)));
    CHECK(word_matches(b, T_ANYREF) && !word_matches(b, ref_to(node)));
    CHECK(word_matches(h, T_ANYREF) && word_matches(h, T_EXTERNREF));
    CHECK(!word_matches(h, type_ref_abstract(true, HEAP_EQ)));
    CHECK(word_matches(i31, type_ref_abstract(false, HEAP_I31)));
    CHECK(!word_matches(i31, ref_to(node)));
    CHECK(word_matches(0, ref_to(node)));
    CHECK(!word_matches(0, type_ref(false, node->id)));
    CHECK(!word_matches(n, type_ref_abstract(true, HEAP_NONE)));
    store_unref(s);
}

int main(void)
{
    make_types();
    RUN(objects_are_zeroed_and_typed);
    RUN(garbage_does_not_accumulate);
    RUN(long_lists_survive);
    RUN(marking_restarts_after_overflow);
    RUN(host_pointers_are_released_once);
    RUN(host_words_last_until_the_call_ends);
    RUN(exceptions_keep_payload_and_tag);
    RUN(large_exceptions_are_finalised);
    RUN(guest_stacks_are_scanned);
    RUN(functions_in_the_heap_are_kept);
    RUN(the_limit_is_kept_and_recovers);
    RUN(heaps_merge);
    RUN(a_merged_store_lives_on_in_its_references);
    RUN(a_graph_survives);
    RUN(a_graph_survives_collecting_always);
    RUN(arrays_of_all_sizes_keep_their_bytes);
    RUN(casts_follow_the_hierarchy);
    type_group_release(group);
    return 0;
}
