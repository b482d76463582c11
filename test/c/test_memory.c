#include "check.h"
#include "maps.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/memory.h"
#include "runtime/reservation.h"
#include "runtime/slot.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "runtime/thread.h"

static MemoryType type_of(uint64_t min, uint64_t max)
{
    return (MemoryType){.limits = {.min = min, .max = max}, .page_log2 = 16};
}

static Store *new_store(uint64_t memory_limit)
{
    StoreLimits limits = store_limits_default();
    limits.memory = memory_limit;
    return store_new(&limits);
}

static Memory *must(Store *s, MemoryType type)
{
    Error err = {0};
    Memory *m = memory_new(s, &type, &err);
    if (!m)
        fprintf(stderr, "%s\n", err.message);
    CHECK(m);
    return m;
}

/* Leaves the memory to its store. */
static Memory *lend(Memory *m)
{
    entity_forget(&m->e);
    return m;
}

/* Is every page there, and does it keep what was written? */
static void touch(const Memory *m, uint64_t from, uint64_t to, uint8_t value)
{
    for (uint64_t at = from; at < to; at += 4096) {
        CHECK(m->data->base[at] == 0);
        m->data->base[at] = value;
    }
    if (to > from)
        m->data->base[to - 1] = value;
}
static void expect(const Memory *m, uint64_t from, uint64_t to, uint8_t value)
{
    for (uint64_t at = from; at < to; at += 4096)
        CHECK(m->data->base[at] == value);
}

static void growth_keeps_base_and_bytes(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(1, NO_MAX));
    uint8_t *base = m->data->base;
    touch(m, 0, 65536, 1);
    CHECK(memory_grow(m, 0) == 1 && memory_grow(m, 9) == 1);
    CHECK(m->data->size == 655360 && m->data->pages == 10);
    touch(m, 65536, 655360, 2);
    CHECK(memory_grow(m, 65526) == 10 && m->data->pages == 65536);
    CHECK(memory_grow(m, 1) == UINT64_MAX && memory_grow(m, 0) == 65536);
    expect(m, 0, 65536, 1);
    expect(m, 65536, 655360, 2);
    CHECK(m->data->base == base);
    m->data->base[((uint64_t)4 << 30) - 1] = 7;
    CHECK(s->memory_used == (uint64_t)4 << 30 && store_is_valid(s));
    entity_unref(&m->e);
    store_collect(s);
    CHECK(s->memory_used == 0 && s->n_entities == 0);
    store_unref(s);
}

static void a_slot_is_zero_when_it_is_used_again(void)
{
    for (uint64_t pages = 0; pages < 4; pages++) {
        Store *s = new_store(UINT64_MAX);
        Memory *m = must(s, type_of(pages, NO_MAX));
        CHECK(memory_grow(m, 3 - pages) == pages);
        touch(m, 0, 3 << 16, 1);
        entity_unref(&m->e);
        store_unref(s);
    }
}

static void the_maximum_is_kept(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(2, 5)), *none = must(s, type_of(0, 0));
    CHECK(memory_grow(m, 4) == UINT64_MAX && memory_grow(m, 3) == 2);
    CHECK(memory_grow(m, 1) == UINT64_MAX && memory_grow(m, 0) == 5);
    CHECK(memory_grow(m, UINT64_MAX) == UINT64_MAX);
    CHECK(memory_grow(none, 1) == UINT64_MAX && memory_grow(none, 0) == 0);
    store_unref(s);
    entity_unref(&m->e);
    entity_unref(&none->e);
}

static void the_stores_limit_is_kept(void)
{
    Store *s = new_store(10 << 16);
    Memory *a = must(s, type_of(4, NO_MAX));
    MemoryType large = type_of(7, NO_MAX);
    Error err = {0};
    CHECK(!memory_new(s, &large, &err) && err.code == ERR_MEMORY);
    CHECK(strstr(err.message, "limit of 655360 bytes"));
    Memory *b = must(s, type_of(5, NO_MAX));
    CHECK(memory_grow(a, 2) == UINT64_MAX && memory_grow(a, 1) == 4);
    CHECK(memory_grow(b, 1) == UINT64_MAX);
    entity_unref(&a->e);
    store_collect(s);
    CHECK(memory_grow(b, 5) == 5);
    entity_unref(&b->e);
    store_unref(s);
}

static void pages_of_one_byte(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryType type = {.limits = {.min = 3, .max = 5000}, .page_log2 = 0};
    Memory *m = must(s, type);
    CHECK(m->data->size == 3 && m->data->pages == 3);
    for (uint64_t n = 3; n < 5000; n++) {
        CHECK(memory_grow(m, 1) == n && m->data->size == n + 1);
        m->data->base[n] = (uint8_t)n;
    }
    CHECK(memory_grow(m, 1) == UINT64_MAX);
    for (uint64_t n = 3; n < 5000; n++)
        CHECK(m->data->base[n] == (uint8_t)n);
    entity_unref(&m->e);
    type.limits.max = NO_MAX;
    m = must(s, type);
    CHECK(m->data->max_pages == UINT32_MAX);
    entity_unref(&m->e);
    store_unref(s);
}

static void memory64_moves_as_it_grows(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryType type = type_of(1, NO_MAX);
    type.limits.is64 = true;
    Memory *m = must(s, type);
    touch(m, 0, 65536, 1);
    CHECK(memory_grow(m, 65535) == 1); /* 4 GiB */
    CHECK(memory_grow(m, 1) == 65536);
    CHECK(m->data->reserved >= (uint64_t)8 << 30);
    m->data->base[(uint64_t)65536 << 16] = 9;
    CHECK(memory_grow(m, 1 << 20) == 65537);
    expect(m, 0, 65536, 1);
    CHECK(m->data->base[(uint64_t)65536 << 16] == 9);
    m->data->pins = 1;
    uint64_t pages = m->data->pages;
    uint64_t more = (m->data->reserved >> 16) - pages;
    uint8_t *base = m->data->base;
    CHECK(memory_grow(m, more + 1) == UINT64_MAX);
    CHECK(memory_grow(m, more) == pages && m->data->base == base);
    CHECK(memory_grow(m, (uint64_t)1 << 40) == UINT64_MAX);
    entity_unref(&m->e);
    store_unref(s);
}

static void shared_memories_reserve_all_and_are_counted(void)
{
    Store *a = new_store(UINT64_MAX), *b = new_store(UINT64_MAX);
    MemoryType type = type_of(1, 100);
    type.limits.shared = true;
    Memory *m = must(a, type), *n = memory_share(b, m->data, &type);
    CHECK(m->data == n->data && m->data->refs == 2);
    m->data->base[5] = 5;
    CHECK(memory_grow(n, 9) == 1 && memory_grow(m, 1) == 10);
    CHECK(n->data->size == 11 << 16);
    CHECK(a->memory_used == 2 << 16 && b->memory_used == 10 << 16);
    store_unref(a);
    entity_unref(&m->e);
    CHECK(n->data->refs == 1 && n->data->base[5] == 5);
    entity_unref(&n->e);
    store_unref(b);
}

/* ---- forms */

static Memory *of_form(Store *s, MemoryForm form, MemoryType type)
{
    s->best_form = form;
    Memory *m = must(s, type);
    CHECK(m->data->form == form);
    return m;
}

/* Nothing but what it has can be accessed from its base to `above`. */
static void is_guarded(const Memory *m, uint64_t below, uint64_t above)
{
    const uint8_t *base = m->data->base;
    uint64_t size = m->data->size;
    CHECK(reservation_contains((uintptr_t)base - below));
    CHECK(reservation_contains((uintptr_t)base + above - 1));
    CHECK(!reservation_contains((uintptr_t)base + above));
    CHECK(!reservation_contains((uintptr_t)base - below - 1));
    if (size) {
        CHECK(strcmp(protection_at(base), "rw-p") == 0);
        CHECK(strcmp(protection_at(base + size - 1), "rw-p") == 0);
    }
    if (below) {
        CHECK(strcmp(protection_at(base - 1), "---p") == 0);
        CHECK(strcmp(protection_at(base - below), "---p") == 0);
    }
    for (uint64_t at = size; at < above; at = at * 2 + 65536)
        CHECK(strcmp(protection_at(base + at), "---p") == 0);
    CHECK(strcmp(protection_at(base + above - 1), "---p") == 0);
}

static void guards_surround_exactly_what_there_is(void)
{
    static const struct {
        MemoryForm form;
        uint64_t below, above;
    } forms[] = {{MEMORY_WIDE, MEMORY_WIDE_BELOW, MEMORY_WIDE_ABOVE},
                 {MEMORY_DENSE, 0, MEMORY_DENSE_ABOVE}};
    Store *s = new_store(UINT64_MAX);
    for (int round = 0; round < 3; round++) { /* slots are used again */
        for (int i = 0; i < 2; i++) {
            MemoryType type = type_of(round % 2, 4);
            type.limits.shared = round == 2;
            Memory *m = of_form(s, forms[i].form, type);
            uint8_t *base = m->data->base;
            is_guarded(m, forms[i].below, forms[i].above);
            CHECK(memory_grow(m, 3) == type.limits.min);
            touch(m, 0, 3 << 16, 1);
            is_guarded(m, forms[i].below, forms[i].above);
            CHECK(memory_grow(m, 2) == UINT64_MAX && m->data->base == base);
            entity_unref(&m->e);
            store_collect(s);
            CHECK(!reservation_contains((uintptr_t)base));
        }
    }
    store_unref(s);
}

static void some_types_have_no_guards(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryType bytes = {.limits = {.min = 1, .max = 9}, .page_log2 = 0};
    MemoryType wide = type_of(1, 9);
    wide.limits.is64 = true;
    CHECK(s->best_form == MEMORY_WIDE);
    CHECK(lend(must(s, type_of(1, 1)))->data->form == MEMORY_WIDE);
    CHECK(lend(must(s, bytes))->data->form == MEMORY_EXPLICIT);
    CHECK(lend(must(s, wide))->data->form == MEMORY_EXPLICIT);
    Memory *m = lend(of_form(s, MEMORY_EXPLICIT, type_of(1, NO_MAX)));
    CHECK(!reservation_contains((uintptr_t)m->data->base));
    CHECK(memory_none.form == MEMORY_EXPLICIT);
    store_unref(s);
}

static void reservations_are_found_among_many(void)
{
    enum { N = 3000 };
    static uint32_t numbers[N];
    for (int round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < N; i++)
            if (!numbers[i])
                numbers[i] = reservation_add((i + 1) << 20, 1 << 16);
        for (uintptr_t i = 0; i < N; i += 7) {
            CHECK(reservation_contains((i + 1) << 20));
            CHECK(reservation_contains(((i + 1) << 20) + 65535));
            CHECK(!reservation_contains(((i + 1) << 20) + 65536));
        }
        for (uintptr_t i = (uintptr_t)round; i < N; i += 3) {
            reservation_remove(numbers[i]);
            numbers[i] = 0;
            CHECK(!reservation_contains((i + 1) << 20));
        }
    }
    for (int i = 0; i < N; i++)
        if (numbers[i])
            reservation_remove(numbers[i]);
    CHECK(!reservation_contains(1 << 20) && !reservation_contains(0));
    CHECK(!reservation_contains(1) && !reservation_contains(UINTPTR_MAX));
}

static _Atomic bool looked_enough;
static void *make_and_end(void *env)
{
    Store *s = new_store(UINT64_MAX);
    for (int i = 0; i < 3000; i++) {
        Memory *m = must(s, type_of(1, 1));
        uintptr_t base = (uintptr_t)m->data->base;
        CHECK(reservation_contains(base));
        entity_unref(&m->e);
        store_collect(s);
    }
    store_unref(s);
    looked_enough = true;
    return env;
}

static void reservations_are_found_while_others_come_and_go(void)
{
    pthread_t t[2];
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(1, 1));
    looked_enough = false;
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, make_and_end, NULL);
    while (!looked_enough) {
        CHECK(reservation_contains((uintptr_t)m->data->base));
        CHECK(!reservation_contains((uintptr_t)s));
    }
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    entity_unref(&m->e);
    store_unref(s);
}

/* ---- under ulimit -v, in a child */

static uint64_t address_space(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%llu", &pages) == 1);
    fclose(f);
    return pages * 4096;
}

static void in_child(void (*f)(void), uint64_t more_address_space)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit;
        slot_flush();
        limit.rlim_cur = limit.rlim_max = address_space() + more_address_space;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        f();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void grow_in_small_space(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(1, NO_MAX));
    CHECK(m->data->reserved <= 16 << 20);
    touch(m, 0, 65536, 1);
    uint64_t n = 1;
    for (; memory_grow(m, 16) != UINT64_MAX; n += 16)
        touch(m, n << 16, (n + 16) << 16, 1);
    CHECK(n << 16 > 18 << 20); /* nearly all that there is */
    expect(m, 0, n << 16, 1);
    CHECK(m->data->pages == n && store_is_valid(s));
    entity_unref(&m->e);
    store_collect(s);
    for (int i = 0; i < 4; i++)
        CHECK(must(s, type_of(16, NO_MAX)));
    Error err = {0};
    MemoryType large = type_of(1024, NO_MAX), shared = type_of(1, 1024);
    shared.limits.shared = true;
    CHECK(!memory_new(s, &large, &err) && err.code == ERR_MEMORY);
    err.code = ERR_OK;
    CHECK(!memory_new(s, &shared, &err) && err.code == ERR_MEMORY);
    CHECK(strstr(err.message, "shared"));
}

static void scarce_addresses_are_shared_out(void)
{
    in_child(grow_in_small_space, 40 << 20);
}

static void many_in_small_space(void)
{
    Store *s = new_store(UINT64_MAX);
    int n = 0;
    Error err = {0};
    MemoryType type = type_of(1, NO_MAX);
    while (n < 2000 && memory_new(s, &type, &err))
        n++;
    CHECK(n > 300);
}

static void many_memories_fit_in_scarce_addresses(void)
{
    in_child(many_in_small_space, 300 << 20);
}

static void grow_pinned_in_small_space(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(1, 320)); /* 20 MiB */
    CHECK(m->data->form == MEMORY_EXPLICIT);
    CHECK(m->data->reserved == 20 << 20);
    m->data->pins = 1;
    CHECK(memory_grow(m, 319) == 1 && memory_grow(m, 1) == UINT64_MAX);
}

static void a_declared_maximum_is_reserved_if_it_can_be(void)
{
    in_child(grow_pinned_in_small_space, 40 << 20);
}

static void make_in_middling_space(void)
{
    Store *s = new_store(UINT64_MAX);
    int n[MEMORY_WIDE + 1] = {0};
    for (int i = 0; i < 100; i++)
        n[must(s, type_of(1, NO_MAX))->data->form]++;
    CHECK(n[MEMORY_WIDE] == 2 && n[MEMORY_DENSE] >= 2);
    CHECK(n[MEMORY_EXPLICIT] > 80);
}

static void guards_leave_others_some_addresses(void)
{
    in_child(make_in_middling_space, (uint64_t)160 << 30);
}

/* After a fork the pages may be several mappings: then bytes are copied. */
static void memory_moves_in_a_child_of_fork(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryType type = type_of(10, NO_MAX);
    type.limits.is64 = true;
    Memory *m = must(s, type);
    touch(m, 0, 10 << 16, 1);
    pid_t child = fork();
    if (child == 0) {
        CHECK(memory_grow(m, 10) == 10);
        touch(m, 10 << 16, 20 << 16, 2);
        CHECK(memory_grow(m, 65536 * 2) == 20);
        expect(m, 0, 10 << 16, 1);
        expect(m, 10 << 16, 20 << 16, 2);
        touch(m, 20 << 16, 30 << 16, 3);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    expect(m, 0, 10 << 16, 1);
    entity_unref(&m->e);
    store_unref(s);
}

/* ---- bulk */

static void bulk_operations_check_and_work(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(100, NO_MAX)), *o = must(s, type_of(1, 1));
    MemoryData *d = m->data;
    uint64_t size = d->size;
    CHECK(memory_fill(s, d, size, 1, 0) == ERR_OK);
    CHECK(memory_fill(s, d, size, 1, 1) == ERR_MEMORY_BOUNDS);
    CHECK(memory_fill(s, d, size + 1, 1, 0) == ERR_MEMORY_BOUNDS);
    CHECK(memory_fill(s, d, 1, 1, UINT64_MAX) == ERR_MEMORY_BOUNDS);
    CHECK(memory_fill(s, d, 5, 9, size - 5) == ERR_OK);
    CHECK(d->base[4] == 0 && d->base[5] == 9 && d->base[size - 1] == 9);
    for (uint64_t i = 0; i < size; i++)
        d->base[i] = (uint8_t)(i * 7 + i / 4096);
    uint8_t *copy = malloc(size);
    const uint64_t n = 3 << 20; /* several chunks, overlapping */
    for (int back = 0; back < 2; back++) {
        uint64_t at = back ? 1000 : 10, source = back ? 10 : 1000;
        memcpy(copy, d->base, size);
        memmove(copy + at, copy + source, n);
        CHECK(memory_copy(s, d, at, d, source, n) == ERR_OK);
        CHECK(!memcmp(copy, d->base, size));
    }
    CHECK(memory_copy(s, o->data, 0, d, 77, 65536) == ERR_OK);
    CHECK(!memcmp(o->data->base, d->base + 77, 65536));
    CHECK(memory_copy(s, o->data, 1, d, 0, 65536) == ERR_MEMORY_BOUNDS);
    CHECK(memory_copy(s, d, 0, o->data, 65536, 1) == ERR_MEMORY_BOUNDS);
    s->metered = true;
    s->fuel = 100;
    CHECK(memory_fill(s, d, 0, 0, 6400) == ERR_OK && s->fuel == 0);
    CHECK(memory_fill(s, d, 0, 0, 63) == ERR_OK);
    CHECK(memory_fill(s, d, 0, 0, 64) == ERR_OUT_OF_FUEL);
    free(copy);
    entity_unref(&m->e);
    entity_unref(&o->e);
    store_unref(s);
}

static chi_code say_no(void *env, Store *s)
{
    (void)s;
    ++*(int *)env;
    return ERR_HOST;
}

static void bulk_operations_are_interrupted(void)
{
    Store *s = new_store(UINT64_MAX);
    Memory *m = must(s, type_of(1000, NO_MAX));
    int asked = 0;
    s->interrupt = say_no;
    s->host_env = &asked;
    Activation a;
    CHECK(activation_enter(&a, s, true) == ERR_OK);
    store_interrupt(s);
    CHECK(memory_fill(s, m->data, 0, 1, 1000 << 16) == ERR_HOST && asked == 1);
    CHECK(m->data->base[(1000 << 16) - 1] == 0);
    store_interrupt(s);
    CHECK(memory_copy(s, m->data, 0, m->data, 8, 500 << 16) == ERR_HOST);
    activation_leave(&a);
    CHECK(memory_fill(s, m->data, 0, 1, 1000 << 16) == ERR_OK);
    entity_unref(&m->e);
    store_unref(s);
}

/* ---- waiting */

typedef struct {
    MemoryData *d;
    uint32_t result;
    int64_t timeout_ns;
    ErrorCode code;
    _Atomic(ErrorCode) answer;
    Store *store;
    _Atomic bool inside;
    uint64_t ns;
} Wait;

static chi_code answer_wait(void *env, Store *s)
{
    (void)s;
    return ((Wait *)env)->answer;
}

static void *wait_in_thread(void *env)
{
    Wait *w = env;
    Activation a;
    CHECK(activation_enter(&a, w->store, true) == ERR_OK);
    w->inside = true;
    uint64_t start = os_time_ns();
    w->code =
        memory_wait(w->store, w->d, 8, 0, false, w->timeout_ns, &w->result);
    w->ns = os_time_ns() - start;
    activation_leave(&a);
    return NULL;
}

static void start_wait(Wait *w, MemoryData *d, int64_t timeout_ns, pthread_t *t)
{
    *w = (Wait){.d = d, .result = 99, .timeout_ns = timeout_ns};
    w->store = new_store(UINT64_MAX);
    w->store->interrupt = answer_wait;
    w->store->host_env = w;
    CHECK(pthread_create(t, NULL, wait_in_thread, w) == 0);
}

static Memory *shared_memory(Store *s)
{
    MemoryType type = type_of(1, 2);
    type.limits.shared = true;
    return lend(must(s, type));
}

static void waiters_are_woken_in_turn(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryData *d = shared_memory(s)->data;
    enum { N = 5 };
    Wait w[N];
    pthread_t t[N];
    for (int i = 0; i < N; i++)
        start_wait(&w[i], d, -1, &t[i]);
    CHECK(memory_notify(d, 12, 100) == 0 && memory_notify(d, 8, 0) == 0);
    uint32_t woken = 0;
    while (woken < 2)
        woken += memory_notify(d, 8, 1);
    while (woken < N)
        woken += memory_notify(d, 8, UINT32_MAX);
    CHECK(woken == N);
    for (int i = 0; i < N; i++) {
        pthread_join(t[i], NULL);
        CHECK(w[i].code == ERR_OK && w[i].result == 0);
        store_unref(w[i].store);
    }
    CHECK(memory_notify(d, 8, 100) == 0);
    store_unref(s);
}

static void waits_compare_and_time_out(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryData *d = shared_memory(s)->data;
    uint32_t result;
    uint64_t start = os_time_ns();
    CHECK(memory_wait(s, d, 0, 1, false, -1, &result) == ERR_OK && result == 1);
    CHECK(memory_wait(s, d, 0, (uint64_t)1 << 32, true, -1, &result) == ERR_OK);
    CHECK(result == 1);
    CHECK(memory_wait(s, d, 0, (uint64_t)1 << 32, false, 0, &result) == ERR_OK);
    CHECK(result == 2);
    CHECK(os_time_ns() - start < 1000000000);
    start = os_time_ns();
    CHECK(memory_wait(s, d, 0, 0, true, 20000000, &result) == ERR_OK);
    uint64_t gone = os_time_ns() - start;
    CHECK(result == 2 && gone >= 20000000 && gone < 500000000);
    Memory *plain = lend(must(s, type_of(1, 1)));
    CHECK(memory_wait(s, plain->data, 0, 0, false, 0, &result)
          == ERR_EXPECTED_SHARED);
    CHECK(memory_notify(plain->data, 0, 1) == 0);
    store_unref(s);
}

static void waits_are_interrupted_soon(void)
{
    Store *s = new_store(UINT64_MAX);
    MemoryData *d = shared_memory(s)->data;
    Wait w;
    pthread_t t;
    start_wait(&w, d, -1, &t);
    while (!w.inside)
        usleep(100);
    for (int i = 0; i < 3; i++) { /* ERR_OK: it waits on */
        store_interrupt(w.store);
        for (int k = 0; k < 1000 && store_interrupted(w.store); k++)
            usleep(100);
        CHECK(!store_interrupted(w.store));
    }
    w.answer = ERR_HOST;
    uint64_t start = os_time_ns();
    store_interrupt(w.store);
    pthread_join(t, NULL);
    CHECK(w.code == ERR_HOST && os_time_ns() - start < 100000000);
    CHECK(memory_notify(d, 8, 100) == 0); /* it stands in no list */
    store_unref(w.store);
    store_unref(s);
}

/* A lock of three states, as Drepper's "Futexes Are Tricky" has it. */
enum { THREADS = 4, TURNS = 20000 };
static MemoryData *locked;
static void *count_under_lock(void *env)
{
    Store *s = new_store(UINT64_MAX);
    _Atomic uint32_t *lock = (_Atomic uint32_t *)locked->base;
    uint32_t *counter = (uint32_t *)(locked->base + 64);
    (void)env;
    for (int i = 0; i < TURNS; i++) {
        uint32_t c = 0, result;
        if (!atomic_compare_exchange_strong(lock, &c, 1)) {
            if (c != 2)
                c = atomic_exchange(lock, 2);
            while (c != 0) {
                CHECK(memory_wait(s, locked, 0, 2, false, -1, &result)
                      == ERR_OK);
                c = atomic_exchange(lock, 2);
            }
        }
        ++*counter;
        if (atomic_fetch_sub(lock, 1) != 1) {
            atomic_store(lock, 0);
            memory_notify(locked, 0, 1);
        }
    }
    store_unref(s);
    return NULL;
}

static void no_wake_up_is_lost(void)
{
    Store *s = new_store(UINT64_MAX);
    locked = shared_memory(s)->data;
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, count_under_lock, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    CHECK(*(uint32_t *)(locked->base + 64) == THREADS * TURNS);
    store_unref(s);
}

static void *grow_shared(void *env)
{
    Memory *m = env;
    for (int i = 0; i < 2000; i++)
        memory_grow(m, 1);
    return NULL;
}

static void shared_memories_grow_in_turn(void)
{
    MemoryType type = type_of(1, 5000);
    type.limits.shared = true;
    Store *s[3];
    Memory *m[3];
    pthread_t t[3];
    for (int i = 0; i < 3; i++) {
        s[i] = new_store(UINT64_MAX);
        m[i] = i ? memory_share(s[i], m[0]->data, &type) : must(s[0], type);
    }
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, grow_shared, m[i]);
    uint64_t seen = 0;
    while (seen < 5000) {
        uint64_t size =
            atomic_load_explicit(&m[0]->data->size, memory_order_acquire);
        CHECK(size >> 16 >= seen);
        if (size >> 16 > seen)
            m[0]->data->base[size - 1] = 1;
        seen = size >> 16;
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        store_unref(s[i]);
        entity_unref(&m[i]->e);
    }
}

/* ---- tables */

static void tables_grow_and_check(void)
{
    StoreLimits limits = store_limits_default();
    limits.table = 1000;
    Store *s = store_new(&limits);
    Error err = {0};
    TableType type = {.limits = {.min = 3, .max = 900}, .type = T_FUNCREF};
    HostFunc *f = hostfunc_new(s, NULL, 0, NULL, 0, NULL, NULL, &err);
    uint64_t w = (uintptr_t)&f->ref;
    Table *t = table_new(s, &type, w, &err);
    CHECK(t->size == 3 && t->elems[2] == w);
    CHECK(table_grow(t, 0, 0) == 3 && table_grow(t, 10, 0) == 3);
    CHECK(t->size == 13 && t->elems[3] == 0 && t->elems[0] == w);
    CHECK(table_grow(t, 888, 0) == UINT64_MAX);
    CHECK(table_grow(t, UINT64_MAX, 0) == UINT64_MAX);
    CHECK(table_grow(t, 887, w) == 13 && t->elems[899] == w);
    CHECK(!table_new(
        s, &(TableType){.limits = {101, NO_MAX, 0, 0}, .type = T_FUNCREF}, 0,
        &err));
    CHECK(table_fill(t, 900, 0, 0) == ERR_OK);
    CHECK(table_fill(t, 900, 0, 1) == ERR_TABLE_BOUNDS);
    CHECK(table_fill(t, 5, w, 3) == ERR_OK && t->elems[7] == w);
    CHECK(table_copy(t, 6, t, 5, 3) == ERR_OK && t->elems[8] == w);
    CHECK(table_copy(t, 0, t, 1, 900) == ERR_TABLE_BOUNDS);
    CHECK(store_is_valid(s) && s->table_used == 900);
    entity_unref(&t->e);
    entity_unref(&f->e);
    store_collect(s);
    CHECK(s->n_entities == 0 && s->table_used == 0);
    store_unref(s);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void speed_of_memories(void)
{
    Store *s = new_store(UINT64_MAX);
    enum { N = 1000 };
    Memory *m[N];
    double start = cpu_ns();
    for (int i = 0; i < N; i++) {
        m[i] = must(s, type_of(1, NO_MAX));
        m[i]->data->base[0] = 1;
    }
    double make = (cpu_ns() - start) / N;
    start = cpu_ns();
    for (int i = 0; i < N; i++)
        memory_grow(m[i], 1);
    double grow = (cpu_ns() - start) / N;
    start = cpu_ns();
    store_unref(s);
    for (int i = 0; i < N; i++)
        entity_unref(&m[i]->e);
    double end = (cpu_ns() - start) / N;
    printf("   1000 memories: %.0f ns each; a page more %.0f ns; end %.0f ns\n",
           make, grow, end);
    start = cpu_ns();
    for (int i = 0; i < N; i++) {
        s = new_store(UINT64_MAX);
        lend(must(s, type_of(1, NO_MAX)))->data->base[0] = 1;
        store_unref(s);
    }
    printf("   a store with a memory, one after the other: %.0f ns\n",
           (cpu_ns() - start) / N);
}

int main(int argc, char **argv)
{
    (void)argv;
    RUN(growth_keeps_base_and_bytes);
    RUN(a_slot_is_zero_when_it_is_used_again);
    RUN(the_maximum_is_kept);
    RUN(the_stores_limit_is_kept);
    RUN(pages_of_one_byte);
    RUN(shared_memories_reserve_all_and_are_counted);
    if (argc == 1) { /* sanitizers need addresses of their own */
        RUN(guards_surround_exactly_what_there_is);
        RUN(memory64_moves_as_it_grows);
        RUN(scarce_addresses_are_shared_out);
        RUN(many_memories_fit_in_scarce_addresses);
        RUN(a_declared_maximum_is_reserved_if_it_can_be);
        RUN(guards_leave_others_some_addresses);
    }
    RUN(some_types_have_no_guards);
    RUN(reservations_are_found_among_many);
    RUN(reservations_are_found_while_others_come_and_go);
    RUN(memory_moves_in_a_child_of_fork);
    RUN(bulk_operations_check_and_work);
    RUN(bulk_operations_are_interrupted);
    RUN(waiters_are_woken_in_turn);
    RUN(waits_compare_and_time_out);
    RUN(waits_are_interrupted_soon);
    RUN(no_wake_up_is_lost);
    RUN(shared_memories_grow_in_turn);
    RUN(tables_grow_and_check);
    RUN(speed_of_memories);
    return 0;
}
