/* memory.h - linear memories.
 *
 * A memory reserves address space for all that it may become, so that its
 * base never moves; where the system refuses, it reserves less (a ladder),
 * down to what it has, and then growth moves it unless a view pins it.
 * Bounds are checked by callers, except that compiled code leaves to guards
 * what it can.  See WebAssembly 3.0, 4.2.8 and 4.6.9.
 *
 *   wide      |- 2 GiB none -|B committed | none ...        | 36 GiB above B
 *   dense                    |B committed | none ...        | 8 GiB + 64 KiB
 *   explicit                 |B committed | none ...        | may move
 *
 * Whatever is accessed between the ends of a wide or dense memory, beyond
 * what is committed, faults.  What is committed is exactly what there is.
 */
#ifndef CHI_RUNTIME_MEMORY_H
#define CHI_RUNTIME_MEMORY_H

#include "runtime/runtime.h"

/* What surrounds a memory.  The weakest comes first. */
typedef enum { MEMORY_EXPLICIT, MEMORY_DENSE, MEMORY_WIDE } MemoryForm;
#define MEMORY_WIDE_BELOW  ((uint64_t)2 << 30)
#define MEMORY_WIDE_ABOVE  ((uint64_t)36 << 30)
#define MEMORY_DENSE_ABOVE (((uint64_t)8 << 30) + (64 << 10))

/* The form is the strongest that the type has, the store allows
 * (s->best_form) and the system grants; it never changes.  Only 32-bit
 * memories with pages of 64 KiB are wide or dense.
 * May collect entities of which nothing is known outside; so may table_new. */
Memory *memory_new(Store *s, const MemoryType *type, Error *err);
Memory *memory_share(Store *s, MemoryData *data, const MemoryType *type);
void memory_data_unref(MemoryData *d);
/* Old size in pages, or UINT64_MAX if refused. */
uint64_t memory_grow(Memory *m, uint64_t pages);
/* Makes the first bytes those of a file, copied when written; they are zero
 * so far.  size: a multiple of the system's page, within the memory. */
bool memory_map_file(MemoryData *d, int fd, uint64_t at, uint64_t size);
extern MemoryData memory_none; /* of size 0 */

/* Bulk operations: check bounds, then work in chunks between which a pending
 * interrupt is honoured.  ERR_OK, ERR_MEMORY_BOUNDS or what the interrupt
 * handler said.  Charge fuel per 64 bytes when metered. */
ErrorCode memory_fill(Store *s, MemoryData *d, uint64_t at, uint8_t value,
                      uint64_t n);
ErrorCode memory_copy(Store *s, MemoryData *to, uint64_t at, MemoryData *from,
                      uint64_t source, uint64_t n);
ErrorCode memory_init(Instance *i, MemoryData *d, uint32_t data, uint64_t at,
                      uint64_t source, uint64_t n);

/* Threads: see the threads proposal.  address is checked (bounds, alignment)
 * by the caller.  Result 0 ok, 1 not equal, 2 timed out.  timeout_ns < 0: for
 * ever.  Honours interrupts within 5 ms. */
ErrorCode memory_wait(Store *s, MemoryData *d, uint64_t address,
                      uint64_t expected, bool is64, int64_t timeout_ns,
                      uint32_t *result);
uint32_t memory_notify(MemoryData *d, uint64_t address, uint32_t count);
/* In the child of a fork: the threads that waited are gone. */
void memory_wait_reset(void);

#endif
