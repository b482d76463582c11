/* listing.h - machine code to be read, not run.
 *
 * The code of a function as a store would have it, with marks that say which
 * instruction each part of it is of.  Placed nowhere: it needs no permission
 * of the system, and it does not count as compiled.
 */
#ifndef CHI_NATIVE_LISTING_H
#define CHI_NATIVE_LISTING_H

#include "baseline/baseline.h"
#include "runtime/memory.h"

typedef struct {
    uint8_t *bytes;
    uint32_t size;
    Position *marks; /* by code offset; that of the first instruction is not 0,
                        before it is the prologue */
    uint32_t n_marks;
} Listing;

/* best: the form that the first memory has if its type allows; registers: for
 * operands, 0: all.  Fails with ERR_LIMIT on what is left to the interpreter. */
bool listing_make(const Module *m, const Func *f, MemoryForm best,
                  uint8_t registers, Listing *out, Error *err);
void listing_free(Listing *l);

#endif
