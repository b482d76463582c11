/* interp.h - the interpreter: the reference for every other engine.
 *
 * Runs in place: over the module's own bytes and the validator's side table,
 * so it shares no translation with the compilers.  Guest calls do not use the
 * C stack.
 */
#ifndef CHI_INTERP_INTERP_H
#define CHI_INTERP_INTERP_H

#include "runtime/runtime.h"

/* Calls f; slots: arguments in, results out.  ERR_OK, or the code by which it
 * left; store->frames then tell where, and after ERR_EXCEPTION
 * store->pending_exn holds the exception. */
ErrorCode interp_call(FuncRef *f, uint64_t *slots);
/* For chi_func_fast. */
chi_code interp_call_alone(chi_func *f, uint64_t *slots);

/* Evaluates a constant expression to one slot, or two of a v128. */
ErrorCode interp_constant(Instance *i, const ConstExpr *e, uint64_t *slots);

#endif
