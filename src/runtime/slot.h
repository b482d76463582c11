/* slot.h - reservations of memories that have ended, kept for new ones.
 *
 * To map 4 GiB, touch a page and unmap all of it costs several times as much
 * as to clear that page: the system builds and frees page tables each time.
 * For all threads.
 */
#ifndef CHI_RUNTIME_SLOT_H
#define CHI_RUNTIME_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#define SLOT_BYTES ((uint64_t)4 << 30) /* of a slot; a guard page follows */

typedef struct {
    uint8_t *base;
    uint64_t committed; /* zero, from the base on */
} Slot;

/* A slot that was kept.  false: there is none. */
bool slot_take(Slot *out);
/* Keeps a slot, whatever its bytes are.  false: it is not wanted. */
bool slot_give(Slot s);
/* Gives all back to the system, which had to refuse something. */
void slot_flush(void);

#endif
