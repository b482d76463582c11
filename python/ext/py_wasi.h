/* py_wasi.h - a WASI process as an object: what `wasi=` takes.
 *
 * Process is the base of chiasm.WASI, which prepares its arguments.  Functions
 * of WASI are host functions in C: their Held has the Process and the C
 * function, and they run with or without the GIL, as the guest does.
 */
#ifndef CHI_PY_WASI_H
#define CHI_PY_WASI_H

#include "chiasm_wasi.h"
#include "py_store.h"

/* Is it a Process, or an object of a class derived from it? */
int py_wasi_check(State *st, PyObject *o);
/* The function of the process for import i of m; NULL with an exception. */
chi_func *py_wasi_func(StoreObject *s, PyObject *process, chi_host_fn *fn,
                       const chi_module *m, uint32_t i);

#endif
