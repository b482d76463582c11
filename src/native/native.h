/* native.h - running compiled code.
 *
 * A store of tier TIER_BASELINE runs machine code.  Functions are compiled at
 * their first call, once for all instances of a module whose memories have
 * the same forms.  Compiled code runs on the native stack; stubs lead into it
 * and out of it, one for each class of signatures.
 */
#ifndef CHI_NATIVE_NATIVE_H
#define CHI_NATIVE_NATIVE_H

#include "runtime/instance.h"
#include "runtime/thread.h"

/* Can this process run machine code?  Tried once.  false: *why says what is
 * missing; then stores keep TIER_INTERP.  why may be NULL. */
bool native_available(const char **why);

/* Whose code called the host function that runs in this entry, innermost;
 * NULL: none did. */
Instance *native_caller(const Activation *a);

/* For EngineHooks. */
ErrorCode native_call(FuncRef *f, uint64_t *slots);
/* For chi_func_fast; NULL: no memory. */
chi_fast_fn *native_fast(FuncRef *f);
bool native_attach(Instance *i, Error *err);
void native_attach_host(FuncRef *f);
bool native_image(Instance *i);

/* Takes the fault handler away, puts it back; if it is in use at all. */
void native_signals(bool on);

/* Compiles every function of m, for the configuration that is usual, and
 * writes the image to a file. */
bool native_save(Module *m, const char *path, Error *err);

#endif
