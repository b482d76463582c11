/* baseline.h - the single-pass compiler: WebAssembly to x86-64.
 *
 * Compiles one valid function; the code is position-independent and refers to
 * its surroundings through the instance in r14 only, so it serves every
 * instance of the module whose memories have the same forms.  Cost: linear in
 * the body's bytes.
 */
#ifndef CHI_BASELINE_BASELINE_H
#define CHI_BASELINE_BASELINE_H

#include "runtime/runtime.h"

/* What the code depends on beside the module. */
typedef struct {
    uint8_t memory0; /* MemoryForm */
    uint32_t cpu;    /* CPU_* */
    bool metered;    /* counts fuel */
    uint8_t n_cache; /* registers for operands, 4 or more; 0: all */
} BaselineConfig;

/* Places in the code that need to be found again: return addresses, and
 * instructions that access memory. */
typedef struct {
    uint32_t code;   /* offset in the code */
    uint32_t offset; /* of the instruction, in the module; and POSITION_* */
} Position;
#define POSITION_ACCESS 0x80000000u
#define POSITION_DATA   0x40000000u /* of a mark: what follows is no code */

typedef struct {
    const uint8_t *bytes;
    uint32_t size;
    const Position *positions; /* by code offset, ascending */
    uint32_t n_positions;
    const uint32_t *landings; /* offset in the code, by handler */
    int32_t operands;         /* from rbp down to the slot of operand 0 */
    int32_t frame;            /* from rbp down to rsp */
    const Position *marks; /* for listings: what the code from there on is of */
    uint32_t n_marks;
    const char *refused; /* by the access verifier: why; else NULL */
    uint32_t refused_at; /* and the instruction's offset in the module */
} BaselineCode;

/* What compiled code calls, through instance->helpers. */
enum {
    HELPER_FAIL,    /* eax: ErrorCode; does not return */
    HELPER_CHECK,   /* stack limit or interrupt; keeps every register */
    HELPER_THROW,   /* edi: tag index, rsi: operands; does not return */
    HELPER_RETHROW, /* rdi: exception word; does not return */
    HELPER_MATCH,   /* word on the stack, target in [rbp-48]; r11: bool; keeps
                     the rest */
    HELPER_STRUCT,  /* rdi: instance, esi: type; rax: object or NULL */
    HELPER_ARRAY,   /* the same, edx: length */
    HELPER_TAIL_ACROSS, /* jumped to: [rsp-8]: FuncRef, [rsp-16]: bytes of
                           arguments on the stack; the frame taken down */
    HELPER_STEP         /* + Op: interpreter's step */
};

/* Targets of casts, as HELPER_MATCH takes them: bit 0 nullable, above it a type
 * index of the module; or MATCH_ABSTRACT and the code of a heap type. */
#define MATCH_ABSTRACT 0x80000000u

typedef struct Compiler Compiler;
Compiler *baseline_new(void); /* scratch, kept between functions */
void baseline_free(Compiler *c);
/* Gives back what a huge function made it need. */
void baseline_trim(Compiler *c);
void baseline_list(Compiler *c); /* makes marks from now on */
/* The code stands in c until the next call.  false: out of memory, or a limit
 * of the compiler: the function is too large; or the access verifier refused
 * the code, see target/x64/guard.h. */
bool baseline_compile(Compiler *c, const Module *m, const Func *f,
                      const BaselineConfig *config, BaselineCode *out);

#endif
