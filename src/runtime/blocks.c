#include "runtime/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/store.h"

/* In granules.  Past 64 they divide a block with little left over. */
static const uint16_t cell_sizes[CELL_SIZES] = {
    1,  2,  3,  4,  5,  6,  7,  8,   10,  12,  14,  16,  20,  24,  28,
    32, 40, 48, 56, 64, 78, 93, 113, 128, 146, 170, 204, 256, 341, 512};

static void set_up_pool(Heap *h, int pool, uint32_t granules)
{
    h->pools[pool].size = granules * GRANULE;
}

Heap *blocks_new(void)
{
    Heap *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->budget = BUDGET_LEAST;
    uint32_t g = 0;
    for (int i = 0; i < CELL_SIZES; i++) {
        set_up_pool(h, i, cell_sizes[i]);
        set_up_pool(h, POOL_EXN + i, cell_sizes[i]);
        while (g <= cell_sizes[i])
            h->size_class[g++] = (uint8_t)i;
    }
    set_up_pool(h, POOL_HOST, 1);
    return h;
}

static uint8_t *block_start(const Block *b)
{
    Chunk *c = chunk_of(b);
    return (uint8_t *)c + (size_t)(b - c->blocks) * BLOCK_SIZE;
}
static uint64_t *block_marks(const Block *b)
{
    Chunk *c = chunk_of(b);
    return c->marks + (size_t)(b - c->blocks) * (BLOCK_GRANULES / 64);
}

/* ---- chunks and free blocks */

static Chunk *add_chunk(Heap *h, size_t size)
{
    Chunk *c = os_pages_reserve_aligned(size, CHUNK_SIZE);
    if (!c)
        return NULL;
    if (!os_pages_commit(c, size)) {
        os_pages_release(c, size);
        return NULL;
    }
    c->size = size;
    c->next = h->chunks;
    h->chunks = c;
    return c;
}

static Chunk *add_open_chunk(Heap *h)
{
    Chunk *c = add_chunk(h, CHUNK_SIZE);
    if (c) {
        c->free = ~(uint64_t)1;
        h->open = c;
    }
    return c;
}

/* The first of n free blocks in a row, or 0. */
static uint32_t find_free(const Chunk *c, uint32_t n)
{
    uint64_t starts = c->free;
    for (uint32_t i = 1; i < n && starts; i++)
        starts &= c->free >> i;
    return starts ? (uint32_t)__builtin_ctzll(starts) : 0;
}

/* Takes n blocks of c, zeroed. */
static Block *take_blocks(Chunk *c, uint32_t first, uint32_t n)
{
    uint64_t bits = (((uint64_t)1 << n) - 1) << first;
    Block *b = &c->blocks[first];
    if (c->dirty & bits)
        memset(block_start(b), 0, (size_t)n * BLOCK_SIZE);
    c->free &= ~bits;
    c->dirty |= bits;
    return b;
}

static Block *find_blocks(Heap *h, uint32_t n)
{
    for (Chunk *c = n == 1 ? h->open : h->chunks; c; c = c->next) {
        uint32_t first = find_free(c, n);
        if (n == 1)
            h->open = c;
        if (first)
            return take_blocks(c, first, n);
    }
    Chunk *c = add_open_chunk(h);
    return c ? take_blocks(c, 1, n) : NULL;
}

static void free_blocks(Block *b, uint32_t n)
{
    Chunk *c = chunk_of(b);
    c->free |= (((uint64_t)1 << n) - 1) << (b - c->blocks);
    memset(b, 0, n * sizeof *b);
}

/* ---- pools */

/* The next marked granule at or after g, or BLOCK_GRANULES. */
static uint32_t next_marked(const uint64_t *marks, uint32_t g)
{
    while (g < BLOCK_GRANULES) {
        uint64_t word = marks[g / 64] >> g % 64;
        if (word)
            return g + (uint32_t)__builtin_ctzll(word);
        g = (g / 64 + 1) * 64;
    }
    return BLOCK_GRANULES;
}

static bool next_block(Pool *p)
{
    p->block = p->unswept;
    if (!p->block)
        return false;
    p->unswept = p->block->next;
    p->at = 0;
    return true;
}

/* Makes the pool's next run of free cells ready.  false: it has none. */
static bool take_run(Pool *p)
{
    uint32_t cell = p->size / GRANULE;
    uint32_t end = BLOCK_GRANULES / cell * cell;
    for (;;) {
        if ((!p->block || p->at >= end) && !next_block(p))
            return false;
        uint32_t from = p->at, to = next_marked(block_marks(p->block), from);
        if (to > end)
            to = end;
        p->at = to + cell;
        if (to == from)
            continue;
        uint8_t *start = block_start(p->block);
        p->cur = start + (size_t)from * GRANULE;
        p->end = start + (size_t)to * GRANULE;
        return true;
    }
}

static bool add_block(Heap *h, Pool *p)
{
    Block *b = find_blocks(h, 1);
    if (!b)
        return false;
    b->kind = (uint16_t)(BLOCK_POOL + (p - h->pools));
    p->block = b;
    p->at = BLOCK_GRANULES;
    p->cur = block_start(b);
    p->end = p->cur + BLOCK_SIZE / p->size * p->size;
    return true;
}

bool blocks_refill(Heap *h, Pool *p)
{
    if (take_run(p))
        memset(p->cur, 0, (size_t)(p->end - p->cur));
    else if (!add_block(h, p))
        return false;
    h->allocated += (uint64_t)(p->end - p->cur);
    return true;
}

void blocks_settle(Heap *h)
{
    for (Pool *p = h->pools; p < h->pools + POOLS; p++) {
        while (take_run(p))
            memset(p->cur, 0, (size_t)(p->end - p->cur));
        p->cur = p->end = NULL;
    }
}

/* ---- large objects */

static Object *add_huge(Heap *h, uint64_t size)
{
    size_t page = os_page_size();
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t all = ((size_t)size + BLOCK_SIZE + page - 1) & ~(page - 1);
    Chunk *c = add_chunk(h, all);
    if (!c)
        return NULL;
    c->huge = true;
    return (Object *)((uint8_t *)c + BLOCK_SIZE);
}

Object *blocks_large(Heap *h, uint64_t size)
{
    if (size > SPAN_MAX) {
        Object *o = add_huge(h, size);
        h->allocated += o ? size : 0;
        return o;
    }
    uint32_t n = (uint32_t)((size + BLOCK_SIZE - 1) / BLOCK_SIZE);
    Block *b = find_blocks(h, n);
    if (!b)
        return NULL;
    b->kind = BLOCK_SPAN;
    b->span = (uint16_t)n;
    for (uint32_t i = 1; i < n; i++) {
        b[i].kind = BLOCK_SPAN_REST;
        b[i].span = (uint16_t)i;
    }
    h->allocated += (uint64_t)n * BLOCK_SIZE;
    return (Object *)block_start(b);
}

/* ---- sweeping */

static void finalise(Store *s, Object *o)
{
    if (o->id == TYPE_ID_EXTERN)
        store_release_later(s, ((HostCell *)o)->host);
    else if (o->id == TYPE_ID_EXN)
        tag_data_unref(((Exn *)o)->tag);
    o->id = 0;
}

static bool any_marked(const Block *b)
{
    return next_marked(block_marks(b), 0) < BLOCK_GRANULES;
}

static void finalise_cells(Store *s, const Block *b, uint32_t size)
{
    uint8_t *at = block_start(b), *end = at + BLOCK_SIZE / size * size;
    for (; at < end; at += size) {
        Object *o = (Object *)at;
        if (o->id && !is_marked(o))
            finalise(s, o);
    }
}

static void poison_cells(const Block *b, uint32_t size)
{
    uint8_t *at = block_start(b), *end = at + BLOCK_SIZE / size * size;
    for (; at < end; at += size)
        if (!is_marked((Object *)at))
            memset(at, 0xdb, size);
}

static void sweep_cells(Store *s, Block *b)
{
    Pool *p = &s->heap->pools[b->kind - BLOCK_POOL];
    if (b->kind >= BLOCK_POOL + POOL_HOST)
        finalise_cells(s, b, p->size);
    if (heap_stress)
        poison_cells(b, p->size);
    if (!any_marked(b)) {
        free_blocks(b, 1);
        return;
    }
    b->next = p->unswept;
    p->unswept = b;
}

static void sweep_chunk(Store *s, Chunk *c)
{
    for (uint32_t i = 1; i < CHUNK_BLOCKS; i++) {
        Block *b = &c->blocks[i];
        if (b->kind >= BLOCK_POOL) {
            sweep_cells(s, b);
        } else if (b->kind == BLOCK_SPAN && !any_marked(b)) {
            finalise(s, (Object *)block_start(b));
            free_blocks(b, b->span);
        }
    }
}

static Object *huge_object(const Chunk *c)
{
    return (Object *)((uintptr_t)c + BLOCK_SIZE);
}

/* Is the chunk to be given back?  `spare` more empty ones are kept. */
static bool sweep_is_empty(Store *s, Chunk *c, uint64_t *spare)
{
    if (c->huge) {
        if (is_marked(huge_object(c)))
            return false;
        finalise(s, huge_object(c));
        return true;
    }
    sweep_chunk(s, c);
    return c->free == ~(uint64_t)1 && (*spare == 0 || (*spare)-- == 0);
}

void blocks_sweep(Store *s)
{
    Heap *h = s->heap;
    uint64_t spare = h->budget / CHUNK_SIZE + 1;
    for (Pool *p = h->pools; p < h->pools + POOLS; p++)
        p->block = p->unswept = NULL;
    for (Chunk **link = &h->chunks; *link;) {
        Chunk *c = *link;
        if (sweep_is_empty(s, c, &spare)) {
            *link = c->next;
            os_pages_release(c, c->size);
        } else {
            link = &c->next;
        }
    }
    h->open = h->chunks;
}

void blocks_clear_marks(Heap *h)
{
    for (Chunk *c = h->chunks; c; c = c->next)
        memset(c->marks, 0,
               c->huge ? BLOCK_SIZE / GRANULE / 8 * 2 : sizeof c->marks);
}

void blocks_free(Store *s)
{
    blocks_settle(s->heap);
    blocks_clear_marks(s->heap);
    blocks_sweep(s);
    for (Chunk *c = s->heap->chunks, *next; c; c = next) {
        next = c->next;
        os_pages_release(c, c->size);
    }
    for (uint32_t i = 0; i < s->heap->n_held; i++)
        type_group_release(s->heap->held[i].group);
    free(s->heap->held);
    free(s->heap);
    s->heap = NULL;
}

/* ---- walking */

/* From the granule `swept` on only what is marked is in use. */
static void visit_cells(const Block *b, uint32_t size, uint32_t swept,
                        VisitObject *visit, void *env)
{
    uint8_t *start = block_start(b), *end = start + BLOCK_SIZE / size * size;
    const uint8_t *dead = start + (size_t)swept * GRANULE;
    for (uint8_t *at = start; at < end; at += size) {
        Object *o = (Object *)at;
        if (o->id && (at < dead || is_marked(o)))
            visit(env, o);
    }
}

static void visit_block(const Heap *h, const Block *b, VisitObject *visit,
                        void *env)
{
    const Pool *p = &h->pools[b->kind - BLOCK_POOL];
    uint32_t swept = b->span ? 0 : b == p->block ? p->at : BLOCK_GRANULES;
    visit_cells(b, p->size, swept, visit, env);
}

void blocks_each(Heap *h, VisitObject *visit, void *env)
{
    for (Chunk *c = h->chunks; c; c = c->next) {
        if (c->huge) {
            visit(env, huge_object(c));
            continue;
        }
        for (uint32_t i = 1; i < CHUNK_BLOCKS; i++) {
            Block *b = &c->blocks[i];
            if (b->kind >= BLOCK_POOL)
                visit_block(h, b, visit, env);
            else if (b->kind == BLOCK_SPAN)
                visit(env, (Object *)block_start(b));
        }
    }
}

static void note_unswept(Heap *h, bool is_unswept)
{
    for (Pool *p = h->pools; p < h->pools + POOLS; p++)
        for (Block *b = p->unswept; b; b = b->next)
            b->span = is_unswept;
}

void blocks_each_used(Heap *h, VisitObject *visit, void *env)
{
    note_unswept(h, true);
    blocks_each(h, visit, env);
    note_unswept(h, false);
}

void blocks_each_marked(Heap *h, VisitObject *visit, void *env)
{
    enum { WORDS = CHUNK_SIZE / GRANULE / 64 };
    for (Chunk *c = h->chunks; c; c = c->next) {
        uint32_t n = c->huge ? BLOCK_GRANULES / 64 + 1 : WORDS;
        for (uint32_t i = 0; i < n; i++)
            for (uint64_t word = c->marks[i]; word; word &= word - 1) {
                uint32_t g = i * 64 + (uint32_t)__builtin_ctzll(word);
                visit(env, (Object *)((uint8_t *)c + (size_t)g * GRANULE));
            }
    }
}

Object *blocks_resolve(const Heap *h, Chunk *c, uintptr_t address)
{
    size_t offset = address - (uintptr_t)c;
    if (offset < BLOCK_SIZE)
        return NULL;
    if (c->huge)
        return huge_object(c);
    Block *b = &c->blocks[offset / BLOCK_SIZE];
    if (b->kind == BLOCK_FREE)
        return NULL;
    if (b->kind == BLOCK_SPAN_REST)
        b -= b->span;
    if (b->kind == BLOCK_SPAN)
        return (Object *)block_start(b);
    uint32_t size = h->pools[b->kind - BLOCK_POOL].size;
    size_t cell = offset % BLOCK_SIZE / size;
    if (cell >= BLOCK_SIZE / size)
        return NULL;
    Object *o = (Object *)(block_start(b) + cell * size);
    return o->id ? o : NULL;
}
