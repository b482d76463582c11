/* The range is divided into granules.  What lies in one is either part of a
 * chunk of code, which `owner` leads to, or of data, or nothing.
 *
 * Readers take no lock.  A chunk's record is never freed, only used again, and
 * all that a reader looks at in it is atomic; so a search for an address that
 * is being freed meanwhile may answer anything sensible, and nothing else can
 * happen.  Spans are in order of their addresses, since a chunk is filled from
 * its start.
 */
#include "runtime/code_memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"

enum {
    GRANULE = 64 << 10,
    MAX_GRANULES = 16384,
    CHUNK = 256 << 10,
    CHUNK_SPANS = 1024,
    LARGE = CHUNK / 4, /* spans from this size on have chunks of their own */
    ALIGN = 16,
    DATA_CLASSES = 10, /* 64 bytes, 128, ... */
    DATA_SMALLEST = 64,
    DATA_LARGEST = DATA_SMALLEST << (DATA_CLASSES - 1)
};

/* start and end count from the base of the range. */
typedef struct {
    _Atomic uint32_t start, end;
    _Atomic(const void *) what;
} Span;

typedef struct Chunk {
    struct Chunk *next; /* of those that are free */
    uint32_t at, size;  /* in bytes, from the base of the range */
    uint32_t used;
    uint32_t live;  /* spans not freed */
    uint8_t *write; /* NULL: there is no second view, or no longer */
    uint32_t capacity;
    _Atomic uint32_t n_spans;
    Span spans[];
} Chunk;

typedef struct FreeData {
    struct FreeData *next;
} FreeData;

typedef enum { UNTRIED, TWO_VIEWS, ONE_VIEW, REFUSED } Mode;

static _Atomic int mode; /* Mode */
static _Atomic bool fork_knows;
static _Atomic uintptr_t base;
static _Atomic size_t range; /* bytes */
static _Atomic(Chunk *) owner[MAX_GRANULES];

static OsMutex lock; /* for all below */
static uint64_t taken[MAX_GRANULES / 64];
static uint32_t next_granule; /* where the last search ended */
static Chunk *open_chunk;     /* the one that is filled, or NULL */
static Chunk *free_chunks[2]; /* of one span, of CHUNK_SPANS */
static FreeData *free_data[DATA_CLASSES];
static char refusal[2 * OS_WHY];

static uint8_t *address_of(uint32_t at)
{
    return (uint8_t *)atomic_load_explicit(&base, memory_order_relaxed) + at;
}

static uint32_t offset_of(const void *p)
{
    uintptr_t start = atomic_load_explicit(&base, memory_order_relaxed);
    return (uint32_t)((uintptr_t)p - start);
}

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) & ~(to - 1);
}

/* ---- granules */

static bool is_taken(uint32_t g) { return taken[g / 64] >> g % 64 & 1; }

static void mark(uint32_t g, uint32_t n, bool as_taken)
{
    for (uint32_t i = g; i < g + n; i++)
        if (as_taken)
            taken[i / 64] |= (uint64_t)1 << i % 64;
        else
            taken[i / 64] &= ~((uint64_t)1 << i % 64);
}

/* The first n free ones in a row from `from` on, or `to`. */
static uint32_t find_run(uint32_t from, uint32_t to, uint32_t n)
{
    uint32_t length = 0;
    for (uint32_t g = from; g < to; g++) {
        if (g % 64 == 0 && taken[g / 64] == UINT64_MAX) {
            length = 0;
            g += 63;
            continue;
        }
        length = is_taken(g) ? 0 : length + 1;
        if (length == n)
            return g + 1 - n;
    }
    return to;
}

/* Addresses are used again as late as possible. */
static bool take_granules(size_t size, uint32_t *at)
{
    size_t n_all = atomic_load_explicit(&range, memory_order_relaxed) / GRANULE;
    uint32_t all = (uint32_t)n_all, n = (uint32_t)(size / GRANULE);
    uint32_t g = find_run(next_granule, all, n);
    if (g == all)
        g = find_run(0, all, n);
    if (g == all)
        return false;
    mark(g, n, true);
    next_granule = g + n;
    *at = g * GRANULE;
    return true;
}

static void give_granules(uint32_t at, size_t size)
{
    mark(at / GRANULE, (uint32_t)(size / GRANULE), false);
}

/* What the system does not take back is lost. */
static void give_pages(uint32_t at, size_t size)
{
    if (os_pages_decommit(address_of(at), size))
        give_granules(at, size);
}

/* ---- is it possible? */

static bool reserve_range(void)
{
    static const size_t sizes[] = {(size_t)1 << 30, (size_t)256 << 20,
                                   (size_t)64 << 20, (size_t)16 << 20};
    enum { LAST = sizeof sizes / sizeof *sizes - 1 };
    uint64_t most = os_address_space() / 16;
    for (int i = 0; i <= LAST; i++) {
        if (sizes[i] > most && i < LAST)
            continue;
        void *p = os_pages_reserve_aligned(sizes[i], GRANULE);
        if (!p)
            continue;
        atomic_store_explicit(&base, (uintptr_t)p, memory_order_relaxed);
        atomic_store_explicit(&range, sizes[i], memory_order_release);
        return true;
    }
    snprintf(refusal, sizeof refusal, "address space for code is refused");
    return false;
}

static void release_range(void)
{
    os_pages_release(address_of(0), atomic_load(&range));
    atomic_store(&range, 0);
    atomic_store(&base, 0);
}

static bool apart;

void code_memory_apart(void) { apart = true; }

static Mode try_pages(void)
{
    char why[2][OS_WHY] = {"", "memory is refused"};
    uint8_t *p = address_of(0);
    Mode found = REFUSED;
    uint8_t *write = apart ? NULL : os_code_map(p, CHUNK, why[0]);
    if (write) {
        os_pages_release(write, CHUNK);
        found = TWO_VIEWS;
    } else if (os_pages_commit(p, CHUNK) && os_code_protect(p, CHUNK, why[1])) {
        found = ONE_VIEW;
    }
    os_pages_decommit(p, CHUNK);
    if (found == REFUSED)
        snprintf(refusal, sizeof refusal, "%s; %s", why[0], why[1]);
    return found;
}

static void before_fork(void) { os_mutex_lock(&lock); }

/* Pages with two views are shared with the other side from now on. */
static void after_fork_in_parent(void)
{
    open_chunk = NULL;
    os_mutex_unlock(&lock);
}
static void after_fork_in_child(void)
{
    for (uint32_t g = 0; g < MAX_GRANULES; g++) {
        Chunk *c = atomic_load_explicit(&owner[g], memory_order_relaxed);
        if (c)
            c->write = NULL;
    }
    after_fork_in_parent();
}

static Mode try_all(void)
{
    if (!reserve_range())
        return REFUSED;
    Mode found = try_pages();
    if (found == REFUSED)
        release_range();
    return found;
}

static Mode find_mode(void)
{
    Mode now = (Mode)atomic_load_explicit(&mode, memory_order_acquire);
    if (now != UNTRIED)
        return now;
    if (!atomic_exchange(&fork_knows, true))
        os_on_fork(OS_FORK_CODE, before_fork, after_fork_in_parent,
                   after_fork_in_child);
    os_mutex_lock(&lock);
    now = (Mode)atomic_load_explicit(&mode, memory_order_relaxed);
    if (now == UNTRIED) {
        now = try_all();
        atomic_store_explicit(&mode, now, memory_order_release);
    }
    os_mutex_unlock(&lock);
    return now;
}

bool code_memory_available(const char **why)
{
    bool available = find_mode() != REFUSED;
    if (why)
        *why = available ? NULL : refusal;
    return available;
}

/* ---- chunks */

static Chunk *take_record(bool large)
{
    Chunk **list = &free_chunks[!large], *c = *list;
    uint32_t capacity = large ? 1 : CHUNK_SPANS;
    if (c) {
        *list = c->next;
        return c;
    }
    c = calloc(1, sizeof *c + capacity * sizeof *c->spans);
    if (c)
        c->capacity = capacity;
    return c;
}

static void give_record(Chunk *c)
{
    Chunk **list = &free_chunks[c->capacity > 1];
    atomic_store_explicit(&c->n_spans, 0, memory_order_relaxed);
    c->next = *list;
    *list = c;
}

static void set_owner(const Chunk *c, Chunk *to)
{
    for (uint32_t g = c->at / GRANULE; g < (c->at + c->size) / GRANULE; g++)
        atomic_store_explicit(&owner[g], to, memory_order_release);
}

/* With one view, pages are committed span by span. */
static bool map_chunk(Chunk *c)
{
    char why[OS_WHY];
    c->write = NULL;
    if (!take_granules(c->size, &c->at))
        return false;
    if (atomic_load_explicit(&mode, memory_order_relaxed) == ONE_VIEW)
        return true;
    c->write = os_code_map(address_of(c->at), c->size, why);
    if (!c->write)
        give_granules(c->at, c->size);
    return c->write;
}

static Chunk *chunk_new(uint32_t size)
{
    Chunk *c = take_record(size >= LARGE);
    if (!c)
        return NULL;
    c->size = size >= LARGE ? (uint32_t)round_up(size, GRANULE) : CHUNK;
    c->used = c->live = 0;
    if (!map_chunk(c)) {
        give_record(c);
        return NULL;
    }
    set_owner(c, c);
    return c;
}

static void chunk_free(Chunk *c)
{
    if (open_chunk == c)
        open_chunk = NULL;
    set_owner(c, NULL);
    if (c->write)
        os_pages_release(c->write, c->size);
    give_pages(c->at, c->size);
    give_record(c);
}

/* ---- spans */

static uint32_t n_spans(const Chunk *c)
{
    return atomic_load_explicit(&c->n_spans, memory_order_acquire);
}
static uint32_t start_of(const Span *s)
{
    return atomic_load_explicit(&s->start, memory_order_relaxed);
}
static uint32_t end_of(const Span *s)
{
    return atomic_load_explicit(&s->end, memory_order_relaxed);
}

/* The span that the offset lies in, or NULL. */
static Span *find_span(uint32_t at)
{
    Chunk *c = atomic_load_explicit(&owner[at / GRANULE], memory_order_acquire);
    uint32_t low = 0, high = c ? n_spans(c) : 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (at < start_of(&c->spans[middle]))
            high = middle;
        else if (at >= end_of(&c->spans[middle]))
            low = middle + 1;
        else
            return &c->spans[middle];
    }
    return NULL;
}

static bool has_room(const Chunk *c, uint32_t size)
{
    return c && n_spans(c) < c->capacity && size <= c->size - c->used;
}

static void add_span(Chunk *c, uint32_t size, const void *what)
{
    uint32_t n = n_spans(c), start = c->at + c->used;
    Span *s = &c->spans[n];
    atomic_store_explicit(&s->start, start, memory_order_relaxed);
    atomic_store_explicit(&s->end, start + size, memory_order_relaxed);
    atomic_store_explicit(&s->what, what, memory_order_relaxed);
    atomic_store_explicit(&c->n_spans, n + 1, memory_order_release);
    c->used += size;
    c->live++;
}

static Chunk *find_chunk(uint32_t size)
{
    if (size >= LARGE)
        return chunk_new(size);
    if (!has_room(open_chunk, size)) {
        Chunk *c = chunk_new(size);
        if (c)
            open_chunk = c;
        return c;
    }
    return open_chunk;
}

static bool alloc(uint32_t size, const void *what, CodeSpan *span)
{
    Chunk *c = find_chunk(size);
    if (!c)
        return false;
    uint8_t *exec = address_of(c->at + c->used);
    uint8_t *write = c->write ? c->write + c->used : exec;
    if (!c->write && !os_pages_commit(exec, size)) {
        if (!c->live)
            chunk_free(c);
        return false;
    }
    add_span(c, size, what);
    *span = (CodeSpan){exec, write};
    return true;
}

bool code_alloc(uint32_t size, const void *what, CodeSpan *span)
{
    Mode now = find_mode();
    size_t each = now == ONE_VIEW ? os_page_size() : ALIGN;
    if (now == REFUSED || size > MAX_GRANULES / 2 * GRANULE)
        return false;
    assert(size && what);
    os_mutex_lock(&lock);
    bool done = alloc((uint32_t)round_up(size, each), what, span);
    os_mutex_unlock(&lock);
    return done;
}

static Chunk *map_file(int fd, uint64_t at, uint32_t size, const void *what)
{
    Chunk *c = take_record(true);
    if (!c)
        return NULL;
    c->size = (uint32_t)round_up(size, GRANULE);
    c->used = c->live = 0;
    c->write = NULL;
    if (!take_granules(c->size, &c->at)) {
        give_record(c);
        return NULL;
    }
    if (!os_code_map_file(address_of(c->at), size, fd, at)) {
        give_granules(c->at, c->size);
        give_record(c);
        return NULL;
    }
    set_owner(c, c);
    add_span(c, size, what);
    return c;
}

const uint8_t *code_map(int fd, uint64_t at, uint32_t size, const void *what)
{
    if (find_mode() == REFUSED || size > MAX_GRANULES / 2 * GRANULE)
        return NULL;
    os_mutex_lock(&lock);
    Chunk *c = map_file(fd, at, size, what);
    os_mutex_unlock(&lock);
    return c ? address_of(c->at) : NULL;
}

bool code_seal(CodeSpan span)
{
    char why[OS_WHY];
    const Span *s = find_span(offset_of(span.exec));
    assert(s && address_of(start_of(s)) == span.exec);
    uint32_t size = end_of(s) - start_of(s);
    os_code_flush(span.exec, size);
    return span.write != span.exec || os_code_protect(span.write, size, why);
}

/* To map another one costs as much as to compile some functions. */
static void chunk_empty(Chunk *c)
{
    atomic_store_explicit(&c->n_spans, 0, memory_order_release);
    memset(c->write, 0, c->used);
    c->used = 0;
}

/* A span with pages of its own does not wait for the others in its chunk. */
static void free_span(Chunk *c, Span *s)
{
    uint32_t start = start_of(s);
    atomic_store_explicit(&s->what, NULL, memory_order_relaxed);
    if (--c->live == 0 && c == open_chunk && c->write)
        chunk_empty(c);
    else if (c->live == 0)
        chunk_free(c);
    else if (atomic_load_explicit(&mode, memory_order_relaxed) == ONE_VIEW)
        os_pages_decommit(address_of(start), end_of(s) - start);
}

void code_free(const uint8_t *exec)
{
    if (!exec)
        return;
    uint32_t at = offset_of(exec);
    os_mutex_lock(&lock);
    Span *s = find_span(at);
    assert(s && start_of(s) == at);
    free_span(atomic_load_explicit(&owner[at / GRANULE], memory_order_relaxed),
              s);
    os_mutex_unlock(&lock);
}

bool code_contains(uintptr_t pc)
{
    size_t size = atomic_load_explicit(&range, memory_order_acquire);
    return pc - atomic_load_explicit(&base, memory_order_relaxed) < size;
}

const void *code_find(uintptr_t pc)
{
    if (!code_contains(pc))
        return NULL;
    Span *s = find_span(offset_of((const void *)pc));
    return s ? atomic_load_explicit(&s->what, memory_order_relaxed) : NULL;
}

/* ---- data.  Small pieces come from granules that are cut up for ever; large
 * ones have granules of their own. */

static int class_of(size_t size)
{
    int k = 0;
    while ((size_t)DATA_SMALLEST << k < size)
        k++;
    return k;
}

static bool cut_granule(int k)
{
    uint32_t at, size = (uint32_t)DATA_SMALLEST << k;
    if (!take_granules(GRANULE, &at))
        return false;
    if (!os_pages_commit(address_of(at), GRANULE)) {
        give_granules(at, GRANULE);
        return false;
    }
    for (uint32_t i = GRANULE; i > 0; i -= size) {
        FreeData *f = (FreeData *)address_of(at + i - size);
        f->next = free_data[k];
        free_data[k] = f;
    }
    return true;
}

static void *alloc_small(size_t size)
{
    int k = class_of(size);
    if (!free_data[k] && !cut_granule(k))
        return NULL;
    FreeData *f = free_data[k];
    free_data[k] = f->next;
    return memset(f, 0, size);
}

static void *alloc_large(size_t size)
{
    uint32_t at;
    if (size > MAX_GRANULES / 2 * GRANULE
        || !take_granules(round_up(size, GRANULE), &at))
        return NULL;
    if (os_pages_commit(address_of(at), round_up(size, os_page_size())))
        return address_of(at);
    give_granules(at, round_up(size, GRANULE));
    return NULL;
}

void *code_data_alloc(size_t size)
{
    if (find_mode() == REFUSED)
        return NULL;
    os_mutex_lock(&lock);
    void *p = size <= DATA_LARGEST ? alloc_small(size) : alloc_large(size);
    os_mutex_unlock(&lock);
    return p;
}

void code_data_free(void *p, size_t size)
{
    if (!p)
        return;
    os_mutex_lock(&lock);
    if (size <= DATA_LARGEST) {
        FreeData *f = p;
        f->next = free_data[class_of(size)];
        free_data[class_of(size)] = f;
    } else {
        give_pages(offset_of(p), round_up(size, GRANULE));
    }
    os_mutex_unlock(&lock);
}
