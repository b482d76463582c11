/* heap.h - the garbage-collected heap of a store.
 *
 * Non-moving mark-sweep; precise in the heap, conservative on stacks: any
 * word of a guest stack that resolves to the start or the inside of an object
 * keeps it.  blocks.h has the memory, collect.h the marking.  Collection only
 * at allocation, by budget.
 *
 *   struct    | u32 type id | u32 0      | fields at TypeDef's offsets |
 *   array     | u32 type id | u32 length | elements from array.offset  |
 *   exception | u32 2       | u32 slots  | TagData * | payload slots   |
 *   host      | u32 1       | u32 0      | void *host                  |
 *   i31       value << 1 | 1, in 32 bits       null 0
 */
#ifndef CHI_RUNTIME_HEAP_H
#define CHI_RUNTIME_HEAP_H

#include "runtime/runtime.h"

typedef struct {
    uint32_t id; /* of the TypeDef, TYPE_ID_EXTERN or TYPE_ID_EXN */
    uint32_t length;
} Object;
typedef struct {
    Object o;
    TagData *tag;
    uint64_t slots[];
} Exn;
typedef struct {
    Object o;
    void *host;
} HostCell;

static inline Object *word_object(uint64_t word)
{
    return (Object *)(uintptr_t)word;
}
static inline bool word_is_i31(uint64_t word) { return word & 1; }

/* Zeroed objects; NULL: the limit is reached even after a collection
 * (ERR_HEAP_LIMIT for the caller).  Whatever must survive the call has to be
 * reachable: on the guest stack up to the activation's sp, or rooted; slots
 * of heap_exn are.  A word of heap_host is, by itself, until the outermost
 * call ends or HOST_WORDS_KEPT more are made: so that arguments and results
 * can be made one after the other. */
enum { HOST_WORDS_KEPT = 1024 };
Object *heap_struct(Store *s, const TypeDef *type);
Object *heap_array(Store *s, const TypeDef *type, uint32_t length);
Exn *heap_exn(Store *s, Tag *tag, const uint64_t *slots);
uint64_t heap_host(Store *s, void *host);

/* Fields and elements: `slots` is one slot, or two of a v128.  Packed ones
 * read with sign extension if `is_signed`, else zero-extended, as an i32. */
void field_load(const void *at, Type type, bool is_signed, uint64_t *slots);
void field_store(void *at, Type type, const uint64_t *slots);

/* Whole-array operations; bounds are checked here: ERR_ARRAY_BOUNDS,
 * ERR_MEMORY_BOUNDS (data segment), ERR_TABLE_BOUNDS (element segment).
 * Without an array (NULL) the last two only check the segment. */
ErrorCode array_fill(Object *a, const TypeDef *type, uint32_t at,
                     const uint64_t *slots, uint32_t n);
ErrorCode array_copy(Object *to, const TypeDef *to_type, uint32_t at,
                     Object *from, uint32_t source, uint32_t n);
ErrorCode array_init_data(Instance *i, Object *a, const TypeDef *type,
                          uint32_t data, uint32_t at, uint32_t source,
                          uint32_t n);
ErrorCode array_init_elem(Instance *i, Object *a, const TypeDef *type,
                          uint32_t elem, uint32_t at, uint32_t source,
                          uint32_t n);

/* ref.test: does the value have this type? (WebAssembly 3.0, 4.2.4) */
bool word_matches(uint64_t word, Type type);

/* Handles: keep a word alive for code outside, and count for the store.  Freed
 * from any thread. */
typedef struct Root {
    struct Root *next, **link, *next_dead;
    Store *store;
    Type type;
    uint64_t word;
} Root;
Root *root_new(Store *s, Type type, uint64_t word);
void root_free(Root *r);
void root_reap(Store *s); /* for store.c: unlinks those freed meanwhile */

uint64_t heap_bytes(const Store *s);
/* Collect at every allocation, and fill what is free with junk: for tests.
 * Set before the first object is made. */
extern bool heap_stress;

/* For store.c. */
void heap_free(Store *s);
void heap_merge(Store *a, Store *b);

#endif
