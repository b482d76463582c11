/* reservation.h - which addresses belong to memories with guards.
 *
 * For the fault handler: an access of compiled code that faults is a trap
 * only if its address lies in a live memory's reservation.  For all threads.
 */
#ifndef CHI_RUNTIME_RESERVATION_H
#define CHI_RUNTIME_RESERVATION_H

#include <stdbool.h>
#include <stdint.h>

/* Lock-free and async-signal-safe: does the address lie in the reservation,
 * guards included, of a live memory of form MEMORY_WIDE or MEMORY_DENSE? */
bool reservation_contains(uintptr_t address);

/* May `size` bytes more be taken for memories that are content with less?  A
 * share of the address space stays free; that for wide memories is smaller. */
bool reservation_has_room(uint64_t size, bool wide);
/* Notes [start, start + size).  Its number, for reservation_remove; 0: there
 * are too many. */
uint32_t reservation_add(uintptr_t start, uint64_t size);
void reservation_remove(uint32_t number);

#endif
