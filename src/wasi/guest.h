/* guest.h - the guest's memory, as one call may touch it.
 *
 * Each access is checked against the memory as it is at that moment: it may be
 * shared, and code that runs for an interrupt may grow it.  A pointer is good
 * until the call waits, polls or calls back.
 */
#ifndef CHI_WASI_GUEST_H
#define CHI_WASI_GUEST_H

#include <sys/uio.h>

#include "wasi/wasi.h"

/* The bytes, or NULL: out of bounds, noted in c->fault. */
uint8_t *guest_at(Call *c, uint64_t at, uint64_t len);

/* Copies; false: out of bounds. */
bool guest_read(Call *c, uint64_t at, void *to, size_t len);
bool guest_write(Call *c, uint64_t at, const void *from, size_t len);
static inline void guest_write32(Call *c, uint64_t at, uint32_t value)
{
    guest_write(c, at, &value, sizeof value);
}
static inline void guest_write64(Call *c, uint64_t at, uint64_t value)
{
    guest_write(c, at, &value, sizeof value);
}

/* A path with its NUL; out has PATH_BYTES. */
Errno guest_path(Call *c, uint64_t at, uint64_t len, char *out);

/* The first pieces of a list that are not empty. */
Errno guest_vectors(Call *c, uint64_t at, uint64_t n, Vectors *out);
/* Where they are now.  The pieces' number, or -1: out of bounds. */
int guest_iovecs(Call *c, const Vectors *v, struct iovec *out);

#endif
