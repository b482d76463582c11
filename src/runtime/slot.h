/* slot.h - reservations of memories that have ended, kept for new ones.
 *
 * To map gigabytes, touch a page and unmap all of it costs several times as
 * much as to clear that page: the system builds and frees page tables each
 * time.  For all threads.
 */
#ifndef CHI_RUNTIME_SLOT_H
#define CHI_RUNTIME_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/memory.h"

#define SLOT_BYTES ((uint64_t)4 << 30) /* that may become memory */

/* What surrounds the base of a slot, in bytes.  That of an explicit one is
 * followed by a guard page. */
uint64_t slot_below(MemoryForm form);
uint64_t slot_above(MemoryForm form);

typedef struct {
    uint8_t *base;
    uint64_t committed; /* zero, from the base on */
} Slot;

/* A slot that was kept, or a new one.  false: the system refuses. */
bool slot_take(MemoryForm form, Slot *out);
/* Takes a slot back, whatever its bytes are. */
void slot_give(MemoryForm form, Slot s);
/* Gives all that are kept to the system, which had to refuse something. */
void slot_flush(void);

#endif
