/* collect.h - marking: what a store still needs.
 *
 * Entities and GC objects refer to each other, so they are marked together.
 * An entity is put on a list, an object on a stack; mark_finish empties both.
 */
#ifndef CHI_RUNTIME_COLLECT_H
#define CHI_RUNTIME_COLLECT_H

#include "base/arena.h"
#include "runtime/blocks.h"

/* Addresses [start, end) that are inside of `what`. */
typedef struct {
    uintptr_t start, end;
    void *what;
} Range;
typedef struct {
    Range *items; /* sorted */
    uint32_t n;
    uintptr_t low, high; /* of all */
} Ranges;

/* What the marker needs to know of a type. */
typedef struct {
    uint32_t id;
    uint8_t kind; /* CompKind */
    bool held;
    bool elem_is_ref, elem_is_func; /* of an array */
    uint32_t size;                  /* of a struct, or of an element */
    uint32_t offset;                /* of element 0 */
    uint32_t n_refs;
    const uint32_t *refs; /* offsets; bit 0: a function */
} Shape;

typedef struct {
    Object *object;
    uint32_t at; /* element of an array */
} MarkItem;

typedef struct {
    Store *store;
    Arena arena; /* ranges and shapes */
    Ranges entities, chunks;
    Entity *gray;
    MarkItem *stack;
    uint32_t depth, capacity;
    bool overflowed; /* marked objects may have been dropped from the stack */
    Shape **shapes;  /* hashed by id; a power of two of them */
    uint32_t shape_slots, n_shapes;
    Shape *last;
    uint64_t live;    /* bytes of marked objects */
    uint64_t scanned; /* bytes read beside them */
} Collector;

/* Entries that the mark stack may have; small in tests. */
extern uint32_t mark_stack_limit;

void mark_begin(Collector *c, Store *s);
void mark_end(Collector *c);

static inline void mark_entity(Collector *c, Entity *e)
{
    if (e->marked)
        return;
    e->marked = true;
    e->gray = c->gray;
    c->gray = e;
}
void mark_object(Collector *c, Object *o);
/* Empties the stack; what is found of entities waits. */
void mark_drain(Collector *c);
/* The same where roots may be many: keeps the stack low. */
static inline void mark_root(Collector *c, Object *o)
{
    enum { MANY = 4096 };
    mark_object(c, o);
    if (c->depth >= MANY)
        mark_drain(c);
}
/* A word whose hierarchy is known. */
static inline void mark_word(Collector *c, uint64_t word, bool is_func)
{
    if (word == 0)
        return;
    if (is_func)
        mark_entity(c, ((FuncRef *)(uintptr_t)word)->owner);
    else if (!word_is_i31(word))
        mark_object(c, word_object(word));
}
bool type_is_func(Type t); /* a reference of the func hierarchy */
void mark_value(Collector *c, Type type, uint64_t word);
/* Whatever the words [from, to) may refer to. */
void mark_range(Collector *c, const uint64_t *from, const uint64_t *to);
/* Every object of the heap. */
void mark_all_objects(Collector *c);
/* Traces until nothing is left to trace. */
void mark_finish(Collector *c);
Shape *mark_shape(Collector *c, uint32_t id); /* NULL: no such object lives */

/* collect.c: what an entity refers to. */
void collect_trace(Collector *c, Entity *e);

#endif
