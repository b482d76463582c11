/* memory.h - linear memories.
 *
 * A memory reserves address space for all that it may become, so that its
 * base never moves; where the system refuses, it reserves less (a ladder),
 * down to what it has, and then growth moves it unless a view pins it.
 * Bounds are checked by callers.  See WebAssembly 3.0, 4.2.8 and 4.6.9.
 */
#ifndef CHI_RUNTIME_MEMORY_H
#define CHI_RUNTIME_MEMORY_H

#include "runtime/runtime.h"

/* May collect entities of which nothing is known outside; so may table_new. */
Memory *memory_new(Store *s, const MemoryType *type, Error *err);
Memory *memory_share(Store *s, MemoryData *data, const MemoryType *type);
void memory_data_unref(MemoryData *d);
/* Old size in pages, or UINT64_MAX if refused. */
uint64_t memory_grow(Memory *m, uint64_t pages);
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
