/* unwind.h - which handler takes an exception. */
#ifndef CHI_RUNTIME_UNWIND_H
#define CHI_RUNTIME_UNWIND_H

#include "runtime/heap.h"

/* The clause of f that takes exn when the instruction at that offset throws
 * it; NULL: none.  See WebAssembly 3.0, 4.6.10. */
const Handler *handler_find(const Func *f, const Instance *i, uint32_t at,
                            const Exn *exn);

#endif
