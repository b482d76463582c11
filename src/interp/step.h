/* step.h - the interpreter's meaning of one instruction, for compilers. */
#ifndef CHI_INTERP_STEP_H
#define CHI_INTERP_STEP_H

#include "runtime/runtime.h"

/* pc: at the immediates.  sp: the topmost operand; the results stand where the
 * operands stood, the slot below the lowest may be written with what it holds.
 * Gives ERR_OK, or why it traps. */
typedef ErrorCode StepFn(Instance *i, const uint8_t *pc, uint64_t *sp);

/* By op; control and locals have none that means anything. */
extern StepFn *const interp_steps[OP_COUNT];

#endif
