#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_FIRST = 4096, CHUNK_LARGEST = 1 << 20, ALIGN = 16 };

struct ArenaChunk {
    ArenaChunk *previous;
    size_t size, fill; /* bytes in data, bytes handed out */
    _Alignas(ALIGN) unsigned char data[];
};

static void add_chunk(Arena *a, size_t least)
{
    size_t size = a->chunk ? a->chunk->size * 2 : CHUNK_FIRST;
    if (size > CHUNK_LARGEST)
        size = CHUNK_LARGEST;
    if (size < least)
        size = least;
    ArenaChunk *c = malloc(sizeof *c + size);
    if (!c) {
        fprintf(stderr, "chiasm: out of memory (%zu bytes)\n", size);
        abort();
    }
    c->previous = a->chunk;
    c->size = size;
    c->fill = 0;
    a->chunk = c;
}

void *arena_alloc(Arena *a, size_t size)
{
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!a->chunk || a->chunk->size - a->chunk->fill < size)
        add_chunk(a, size);
    void *p = a->chunk->data + a->chunk->fill;
    a->chunk->fill += size;
    a->used += size;
    return memset(p, 0, size);
}

void *arena_copy(Arena *a, const void *data, size_t size)
{
    void *p = arena_alloc(a, size);
    if (size)
        memcpy(p, data, size);
    return p;
}

void arena_free(Arena *a) { arena_rewind(a, (ArenaMark){0}); }

ArenaMark arena_mark(const Arena *a)
{
    return (ArenaMark){a->chunk, a->chunk ? a->chunk->fill : 0, a->used};
}

void arena_rewind(Arena *a, ArenaMark mark)
{
    while (a->chunk != mark.chunk) {
        ArenaChunk *c = a->chunk;
        a->chunk = c->previous;
        free(c);
    }
    if (a->chunk)
        a->chunk->fill = mark.fill;
    a->used = mark.used;
}
