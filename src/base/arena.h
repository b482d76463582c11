/* arena.h - memory that is freed all at once.
 *
 * One arena per module (everything decoded lives and dies with it) and one
 * per compilation (rewound between functions).  Allocation is aligned to 16
 * bytes and zeroed.  arena_alloc never returns NULL: what untrusted input can
 * make grow is bounded by limits that callers test before they allocate, and
 * a refusal by the system ends the process.  Not for several threads at once.
 */
#ifndef CHI_BASE_ARENA_H
#define CHI_BASE_ARENA_H

#include <stddef.h>

typedef struct ArenaChunk ArenaChunk;

typedef struct {
    ArenaChunk *chunk; /* newest first */
    size_t used;       /* bytes handed out, over all chunks */
} Arena;

typedef struct {
    ArenaChunk *chunk;
    size_t fill, used;
} ArenaMark;

/* An Arena that is all zero is ready for use. */
void *arena_alloc(Arena *a, size_t size);
void *arena_copy(Arena *a, const void *data, size_t size);
void arena_free(Arena *a);

ArenaMark arena_mark(const Arena *a);
void arena_rewind(Arena *a, ArenaMark mark);

#define arena_new(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

#endif
