/* internal.h - what the files of native/ share. */
#ifndef CHI_NATIVE_INTERNAL_H
#define CHI_NATIVE_INTERNAL_H

#include "baseline/abi.h"
#include "baseline/baseline.h"
#include "native/native.h"
#include "runtime/code_memory.h"
#include "runtime/thread.h"

typedef struct NativeModule NativeModule;

/* What code_find gives for a span of code. */
typedef struct {
    const uint8_t *start;
    uint32_t size;
    const Func *func;     /* NULL: a stub */
    NativeModule *module; /* of a function, or of lazy stubs */
    const Position *positions;
    uint32_t n_positions;
    const uint32_t *landings;
    int32_t operands, frame; /* as BaselineCode has them */
    bool is_image;   /* stands for all functions of an image of `module` */
    void *announced; /* announce.c */
} NativeCode;

/* Where to go on after a failure. */
typedef struct {
    uintptr_t pc, fp, sp, result;
} Landing;

/* ---- stubs.c: made once for the process */
typedef ErrorCode EntryStub(const void *code, Instance *context,
                            uint64_t *slots, Activation *a);
bool stubs_make(void);
/* By signature; NULL: no room. */
EntryStub *stub_entry(const FuncType *t);
const void *stub_exit(const FuncType *t);
/* Stands for the instance's function of that index, which is interpreted. */
const void *stub_interpret(const FuncType *t, uint32_t index);
extern const void *const *native_helpers;
uintptr_t stub_leave(void); /* leaves the innermost entry with the result */
uintptr_t stub_lazy(void);  /* what lazy stubs call */
/* Where what is called by a tail call across instances returns to; the frame
 * there has the calling instance at -8. */
uintptr_t stub_restore(void);

/* ---- run.c: called by stubs */
ErrorCode native_interpret(uint64_t index, uint64_t *slots, Instance *i);
ErrorCode native_host(FuncRef *f, uint64_t *slots, uintptr_t stub_frame);
void native_fail(ErrorCode code, uintptr_t fp, uintptr_t pc, Instance *i,
                 Landing *out);
ErrorCode native_check(Instance *i, uintptr_t *stub_frame);
ErrorCode native_throw(Instance *i, uint32_t tag, const uint64_t *slots);
ErrorCode native_rethrow(Instance *i, uint64_t word);
bool native_match(uint64_t word, uint32_t target, const Instance *i);
void *native_struct(Instance *i, uint32_t type);
void *native_array(Instance *i, uint32_t type, uint32_t length);
bool native_watch_faults(void);

/* ---- module.c */
/* The code that an address lies in, a stub's too; NULL: none. */
const NativeCode *native_find(uintptr_t pc);
const Module *native_module(const NativeModule *n);
const BaselineConfig *native_config(const NativeModule *n);
/* Of its function k; NULL: not compiled. */
const NativeCode *native_code(const NativeModule *n, uint32_t k);
const void *native_compile_lazily(Instance *i, uintptr_t behind_stub,
                                  ErrorCode *failure);

#endif
