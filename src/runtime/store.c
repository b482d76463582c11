#include "runtime/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/heap.h"
#include "runtime/memory.h"
#include "runtime/thread.h"

StoreLimits store_limits_default(void)
{
    return (StoreLimits){
        .memory = (uint64_t)4 << 30,
        .table = LIMIT_TABLE_ELEMS,
        .heap = (uint64_t)1 << 30,
        .stack = 1 << 20,
        .fuel = UINT64_MAX,
    };
}

Store *store_new(const StoreLimits *limits)
{
    Store *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->limits = limits ? *limits : store_limits_default();
    s->fuel = s->limits.fuel;
    s->metered = s->fuel != UINT64_MAX;
    s->best_form = MEMORY_WIDE;
    atomic_store_explicit(&s->limit, 1, memory_order_relaxed);
    atomic_store_explicit(&s->native_limit, UINTPTR_MAX - 1,
                          memory_order_relaxed);
    s->refs = 1;
    os_mutex_init(&s->wait_lock);
    os_cond_init(&s->idle);
    return s;
}

Store *store_ref(Store *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

/* ---- releases */

void store_release_later(Store *s, void *host)
{
    if (s->n_releases == s->releases_capacity) {
        uint32_t n = s->releases_capacity ? s->releases_capacity * 2 : 16;
        void **releases = realloc(s->releases, n * sizeof *releases);
        if (!releases) {
            fprintf(stderr, "chiasm: out of memory\n");
            abort();
        }
        s->releases = releases;
        s->releases_capacity = n;
    }
    s->releases[s->n_releases++] = host;
}

/* A release may run anything, and queue more. */
void store_release_hosts(Store *s)
{
    s->no_collect++;
    while (s->n_releases) {
        void *host = s->releases[--s->n_releases];
        if (s->release)
            s->release(s->host_env, host);
    }
    s->no_collect--;
}

/* ---- end */

static void free_roots(Store *s)
{
    root_reap(s);
    for (Root *r = s->roots, *next; r; r = next) {
        next = r->next;
        free(r);
    }
}

/* Releases come last, when nothing of the store is left. */
static void free_store(Store *s)
{
    tick_forget();
    free_roots(s);
    heap_free(s);
    for (Entity *e = s->entities, *next; e; e = next) {
        next = e->next;
        entity_free(e);
    }
    free(s->recent);
    void **releases = s->releases;
    uint32_t n = s->n_releases;
    chi_release_fn *release = s->release;
    void *env = s->host_env;
    os_mutex_destroy(&s->wait_lock);
    os_cond_destroy(&s->idle);
    free(s);
    for (uint32_t i = 0; i < n && release; i++)
        release(env, releases[i]);
    free(releases);
}

void store_unref(Store *s)
{
    while (s
           && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel)
                  == 1) {
        Store *target = s->merged_into; /* on which it has a reference */
        free_store(s);
        s = target;
    }
}

/* ---- merging */

static uint32_t move_entities(Store *a, Store *b)
{
    uint32_t refs = 0;
    Entity **end = &b->entities;
    for (; *end; end = &(*end)->next) {
        (*end)->store = a;
        refs += atomic_load_explicit(&(*end)->refs, memory_order_relaxed);
    }
    *end = a->entities;
    a->entities = b->entities;
    b->entities = NULL;
    a->n_entities += b->n_entities;
    b->n_entities = 0;
    return refs;
}

static uint32_t move_roots(Store *a, Store *b)
{
    uint32_t refs = 0;
    root_reap(b);
    for (Root *r = b->roots, *next; r; r = next) {
        next = r->next;
        r->store = a;
        r->next = a->roots;
        r->link = &a->roots;
        if (a->roots)
            a->roots->link = &r->next;
        a->roots = r;
        refs++;
    }
    b->roots = NULL;
    return refs;
}

static void merge(Store *a, Store *b)
{
    uint32_t refs = move_entities(a, b) + move_roots(a, b);
    heap_merge(a, b);
    for (uint32_t i = 0; i < b->n_releases; i++)
        store_release_later(a, b->releases[i]);
    b->n_releases = 0;
    a->memory_used += b->memory_used;
    a->table_used += b->table_used;
    a->dropped += b->dropped;
    if (!a->pending_exn)
        a->pending_exn = b->pending_exn;
    b->pending_exn = 0;
    b->n_recent = 0;
    b->n_frames = b->frame_depth = 0;
    a->refs += refs + 1;
    b->merged_into = a;
    b->refs -= refs;
}

static bool has_instances(const Store *s)
{
    for (const Entity *e = s->entities; e; e = e->next)
        if (e->kind == ENTITY_INSTANCE)
            return true;
    return false;
}

/* Does it matter which one it is? */
static bool has_tier(const Store *s)
{
    return s->keeps_tier || has_instances(s);
}

static bool may_share(const Store *a, const Store *b, Error *err)
{
    static const char *const names[] = {"interp", "baseline"};
    if (!has_tier(a) || !has_tier(b))
        return true;
    if (a->tier != b->tier)
        return error_set(err, ERR_LINK, ERROR_NO_OFFSET,
                         "its store runs by tier \"%s\", not \"%s\"",
                         names[b->tier], names[a->tier]);
    if (a->tier == TIER_BASELINE && a->checks_all != b->checks_all)
        return error_set(err, ERR_LINK, ERROR_NO_OFFSET,
                         "the code of its store %s signals",
                         a->checks_all ? "uses" : "does without");
    return true;
}

bool store_merge(Store *a, Store *b, Error *err)
{
    a = store_target(a);
    b = store_target(b);
    if (a == b)
        return true;
    if (!may_share(a, b, err))
        return false;
    bool owns_a = store_seize(a);
    if (!owns_a || !store_seize(b)) {
        if (owns_a)
            store_yield(a);
        return error_set(err, ERR_BUSY, ERROR_NO_OFFSET,
                         "a store cannot merge while its code runs");
    }
    if (has_tier(b) && !has_tier(a)) {
        a->tier = b->tier;
        a->checks_all = b->checks_all;
        a->keeps_tier = b->keeps_tier;
    }
    store_ref(b);
    merge(a, b);
    store_yield(b);
    store_yield(a);
    store_unref(b);
    return true;
}
