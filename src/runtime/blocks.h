/* blocks.h - the memory under a GC heap.
 *
 * Chunks of 1 MiB, aligned, of 64 blocks; the first holds the chunk's record.
 * A block is free, or has cells of one size, or belongs to a span (a larger
 * object).  What is larger still has a chunk of its own.  So the mark bit of
 * any object is found by masking its address:
 *
 *   chunk | record, mark bits | block 1 | block 2 | ...            block 63 |
 *
 * A cell that is not in use begins with a zero id.  After a collection that
 * does not hold yet for the dead in blocks of the `unswept` lists; they are
 * cleared when a pool takes their block, at last before the next collection.
 */
#ifndef CHI_RUNTIME_BLOCKS_H
#define CHI_RUNTIME_BLOCKS_H

#include "runtime/heap.h"

enum {
    GRANULE = 16,
    BLOCK_SIZE = 1 << 14,
    BLOCK_GRANULES = BLOCK_SIZE / GRANULE,
    CHUNK_SIZE = 1 << 20,
    CHUNK_BLOCKS = CHUNK_SIZE / BLOCK_SIZE,
    CELL_MAX = BLOCK_SIZE / 2,
    SPAN_MAX = 16 * BLOCK_SIZE,
    CELL_SIZES = 30,
    BUDGET_LEAST = 2 << 20, /* bytes between two collections */
    /* Pools: cells without a finaliser, host cells, exceptions. */
    POOL_HOST = CELL_SIZES,
    POOL_EXN = POOL_HOST + 1,
    POOLS = POOL_EXN + CELL_SIZES,
};

enum { BLOCK_FREE, BLOCK_SPAN, BLOCK_SPAN_REST, BLOCK_POOL /* + pool */ };

typedef struct Block {
    struct Block *next; /* in a pool's list */
    uint16_t kind;
    uint16_t span; /* SPAN: blocks; SPAN_REST: back to the first;
                      POOL, while blocks_each_used runs: it is unswept */
} Block;

typedef struct Chunk {
    struct Chunk *next;
    size_t size; /* more than CHUNK_SIZE: of one object */
    bool huge;
    uint64_t free;  /* bit per block */
    uint64_t dirty; /* bit per block: may not be zero */
    Block blocks[CHUNK_BLOCKS];
    uint64_t marks[CHUNK_SIZE / GRANULE / 64];
} Chunk;
_Static_assert(sizeof(Chunk) <= BLOCK_SIZE, "the record fits its block");

typedef struct {
    uint8_t *cur, *end; /* zeroed cells, ready */
    uint32_t size;      /* bytes of a cell */
    uint32_t at;        /* granule of `block` up to which cells are taken */
    Block *block;
    Block *unswept;
} Pool;

typedef struct {
    uint32_t id;
    TypeGroup *group;
} HeldType;

struct Heap {
    Pool pools[POOLS];
    uint8_t size_class[CELL_MAX / GRANULE + 1]; /* by granules */
    Chunk *chunks;
    Chunk *open;        /* chunks before it have no free block */
    uint64_t live;      /* bytes, at the last collection */
    uint64_t allocated; /* bytes since */
    uint64_t budget;    /* of `allocated`, until the next */
    HeldType *held;     /* types of objects that outlive their instances */
    uint32_t n_held;
};

Heap *blocks_new(void);

static inline Chunk *chunk_of(const void *p)
{
    return (Chunk *)((uintptr_t)p & ~(uintptr_t)(CHUNK_SIZE - 1));
}
static inline uint32_t granule_of(const void *p)
{
    return (uint32_t)((uintptr_t)p & (CHUNK_SIZE - 1)) / GRANULE;
}
static inline uint64_t *mark_word_of(const void *p)
{
    return &chunk_of(p)->marks[granule_of(p) / 64];
}
static inline bool is_marked(const Object *o)
{
    return *mark_word_of(o) >> granule_of(o) % 64 & 1;
}
/* Was it marked already? */
static inline bool set_mark(Object *o)
{
    uint64_t *word = mark_word_of(o);
    uint64_t bit = (uint64_t)1 << granule_of(o) % 64;
    bool was = *word & bit;
    *word |= bit;
    return was;
}

/* Fills a pool: from its blocks, or with a fresh one.  false: no memory. */
bool blocks_refill(Heap *h, Pool *p);
/* A zeroed object larger than CELL_MAX; NULL: no memory. */
Object *blocks_large(Heap *h, uint64_t size);
/* Clears all that is dead, so that ids tell what is in use; no pool is filled
 * then. */
void blocks_settle(Heap *h);
void blocks_clear_marks(Heap *h);
/* Finalises and frees what is not marked.  Requires: settled. */
void blocks_sweep(Store *s);
/* Finalises everything and releases the memory. */
void blocks_free(Store *s);

/* Requires: settled. */
typedef void VisitObject(void *env, Object *o);
void blocks_each(Heap *h, VisitObject *visit, void *env);
void blocks_each_marked(Heap *h, VisitObject *visit, void *env);
/* The same without: also those that died since the last collection. */
void blocks_each_used(Heap *h, VisitObject *visit, void *env);
/* The object that has `address` inside; NULL: none is there. */
Object *blocks_resolve(const Heap *h, Chunk *c, uintptr_t address);

#endif
