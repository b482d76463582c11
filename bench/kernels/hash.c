/* hash.c - a hash table with open addressing: n words counted, then looked
 * up.  The table is larger than the second-level cache. */
#include "kernel.h"

enum { BITS = 20, SLOTS = 1 << BITS, KEYS = SLOTS / 2 };

typedef struct {
    uint32_t key, count;
} Slot;

static Slot slots[SLOTS];

/* The slot of key, or the free one where it would go. */
static Slot *find(uint32_t key)
{
    uint32_t at = key * 0x9e3779b1u >> (32 - BITS);

    while (slots[at].count != 0 && slots[at].key != key)
        at = (at + 1) & (SLOTS - 1);
    return &slots[at];
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 88172645u, sum = 0, hits = 0;

    for (int i = 0; i < SLOTS; i++)
        slots[i].count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = next_random(&seed) % KEYS;
        Slot *slot = find(key);

        slot->key = key;
        slot->count++;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        uint32_t count = find(key)->count;

        hits += count;
        sum = mix(sum, count);
    }
    return sum ^ hits;
}
