/* Fields, casts and handles. */
#include <stdlib.h>
#include <string.h>

#include "runtime/heap.h"
#include "runtime/store.h"

void field_load(const void *at, Type type, bool is_signed, uint64_t *slots)
{
    uint32_t bits = 0;
    switch (type_size(type)) {
    case 1:
        bits = *(const uint8_t *)at;
        *slots = is_signed ? (uint32_t)(int8_t)bits : bits;
        break;
    case 2:
        memcpy(&bits, at, 2);
        *slots = is_signed ? (uint32_t)(int16_t)bits : bits;
        break;
    case 4:
        memcpy(&bits, at, 4);
        *slots = bits;
        break;
    case 8: memcpy(slots, at, 8); break;
    default: memcpy(slots, at, 16);
    }
}

void field_store(void *at, Type type, const uint64_t *slots)
{
    uint64_t word = *slots;
    switch (type_size(type)) {
    case 1: *(uint8_t *)at = (uint8_t)word; break;
    case 2: memcpy(at, &(uint16_t){(uint16_t)word}, 2); break;
    case 4: memcpy(at, &(uint32_t){(uint32_t)word}, 4); break;
    case 8: memcpy(at, slots, 8); break;
    default: memcpy(at, slots, 16);
    }
}

/* Does a non-null word of the any hierarchy match an abstract type? */
static bool any_matches(uint64_t word, uint32_t code)
{
    if (code == HEAP_ANY)
        return true;
    if (word_is_i31(word))
        return code == HEAP_I31 || code == HEAP_EQ;
    uint32_t id = word_object(word)->id;
    if (id == TYPE_ID_EXTERN)
        return false;
    switch (code) {
    case HEAP_EQ: return true;
    case HEAP_STRUCT: return type_def(id)->kind == COMP_STRUCT;
    case HEAP_ARRAY: return type_def(id)->kind == COMP_ARRAY;
    default: return false;
    }
}

static bool concrete_matches(uint64_t word, uint32_t id)
{
    if (type_def(id)->kind == COMP_FUNC) {
        const FuncRef *f = (const FuncRef *)(uintptr_t)word;
        return type_def_matches(f->type->id, id);
    }
    if (word_is_i31(word))
        return false;
    uint32_t own = word_object(word)->id;
    return own == id || (own != TYPE_ID_EXTERN && type_def_matches(own, id));
}

bool word_matches(uint64_t word, Type type)
{
    if (!word)
        return type_is_nullable(type);
    uint32_t heap = type_heap(type);
    if (!(heap & HEAP_ABSTRACT))
        return concrete_matches(word, heap);
    switch (heap & 0x7f) {
    case HEAP_FUNC:
    case HEAP_EXTERN:
    case HEAP_EXN: return true;
    case HEAP_NONE:
    case HEAP_NOFUNC:
    case HEAP_NOEXTERN:
    case HEAP_NOEXN: return false;
    default: return any_matches(word, heap & 0x7f);
    }
}

/* ---- handles */

Root *root_new(Store *s, Type type, uint64_t word)
{
    Root *r = malloc(sizeof *r);
    if (!r)
        return NULL;
    root_reap(s);
    *r = (Root){.store = s, .type = type, .word = word};
    r->next = s->roots;
    r->link = &s->roots;
    if (s->roots)
        s->roots->link = &r->next;
    s->roots = r;
    store_ref(s);
    return r;
}

/* Another thread may be in the store and walk its list: so the handle goes on
 * a stack, and is unlinked when the store next looks. */
void root_free(Root *r)
{
    if (!r)
        return;
    Store *s = r->store;
    r->next_dead = atomic_load_explicit(&s->dead_roots, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->dead_roots, &r->next_dead,
                                                  r, memory_order_release,
                                                  memory_order_relaxed)) {}
    store_unref(s);
}

void root_reap(Store *s)
{
    if (!atomic_load_explicit(&s->dead_roots, memory_order_relaxed))
        return;
    Root *r =
        atomic_exchange_explicit(&s->dead_roots, NULL, memory_order_acquire);
    for (Root *next; r; r = next) {
        next = r->next_dead;
        *r->link = r->next;
        if (r->next)
            r->next->link = r->link;
        free(r);
    }
}
