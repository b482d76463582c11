/* One instruction at a time, for compilers: what they do not compile, they
 * call here.  Operands come and results go in slots; the meanings are those
 * of the other dispatchers, from the same lines.
 */
#include "interp/state.h"
#include "interp/step.h"

#define UNUSED     __attribute__((unused))
#define INSTANCE   (instance)
#define TRAP(code) return (code)
#define SAVE()     ((void)0)
#define NEXT                                                                   \
    do {                                                                       \
        *sp = tos;                                                             \
        return ERR_OK;                                                         \
    } while (0)
#define PARAMS                                                                 \
    Instance *instance UNUSED, const uint8_t *pc UNUSED, uint64_t *sp UNUSED,  \
        uint64_t tos UNUSED
#define HANDLER(f)                                                             \
    static inline __attribute__((always_inline)) ErrorCode hand_##f(PARAMS)
#define GO_HAND(f) return hand_##f(instance, pc, sp, tos);

#include "interp/hand.h"
#include "interp/shape.h"

/* Control is compiled; it has no step. */
#define NO_STEP(f)                                                             \
    HANDLER(f) { TRAP(ERR_UNREACHABLE); }
NO_STEP(unreachable)
NO_STEP(nop)
NO_STEP(block)
NO_STEP(loop)
NO_STEP(if)
NO_STEP(else)
NO_STEP(try)
NO_STEP(catch)
NO_STEP(catch_all)
NO_STEP(throw)
NO_STEP(rethrow)
NO_STEP(throw_ref)
NO_STEP(end)
NO_STEP(br)
NO_STEP(br_if)
NO_STEP(br_table)
NO_STEP(return)
NO_STEP(call)
NO_STEP(call_indirect)
NO_STEP(return_call)
NO_STEP(return_call_indirect)
NO_STEP(call_ref)
NO_STEP(return_call_ref)
NO_STEP(delegate)
NO_STEP(try_table)
NO_STEP(br_on_null)
NO_STEP(br_on_non_null)
NO_STEP(br_on_cast)
NO_STEP(br_on_cast_fail)
NO_STEP(drop)
NO_STEP(select)
NO_STEP(select_t)
NO_STEP(local_get)
NO_STEP(local_set)
NO_STEP(local_tee)
NO_STEP(global_get)
NO_STEP(global_set)
NO_STEP(i32_const)
NO_STEP(i64_const)
NO_STEP(f32_const)
NO_STEP(f64_const)

/* clang-format off */
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    static ErrorCode step_##NAME(Instance *instance UNUSED,                    \
                                 const uint8_t *pc UNUSED, uint64_t *sp)       \
    {                                                                          \
        uint64_t tos UNUSED = *sp;                                             \
        SHAPE                                                                  \
    }
#include "wasm/op.def"
#undef OP

StepFn *const interp_steps[OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) [OP_##NAME] = step_##NAME,
#include "wasm/op.def"
#undef OP
};
/* clang-format on */
