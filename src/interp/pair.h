/* pair.h - pairs of instructions run as one, for dispatch by tail calls.
 *
 * local.get and the constants of one byte jump to a table that is indexed by
 * the *next* opcode; its instructions find their right operand in the byte
 * before themselves (pc[-2]), so that it never goes through the operand
 * stack.  A comparison looks whether br_if follows, and then branches itself.
 *
 * Metered code and functions with wide locals use single forms only, and so
 * does dispatch by switch, which is the oracle.
 */

static const OpEntry get_table[256], const_table[256];

/* The operand in front of the instruction that runs. */
#define LOCAL_OPERAND (fp[pc[-2]])
#define CONST_OPERAND                                                          \
    ((uint64_t)((int64_t)((uint64_t)pc[-2] << 57) >> 57))
#define NEXT_AFTER(second)                                                     \
    return second[pc[1]].run(pc + 2, sp, fp, stp, table, tos)

FAST(local_get)
{
    UNLESS_SHORT(LOCAL_GET);
    NEXT_AFTER(get_table);
}
FAST(local_set)
{
    UNLESS_SHORT(LOCAL_SET);
    fp[*pc++] = tos;
    DROP();
    if (*pc == 0x20 && IS_SHORT(pc + 1)) {
        pc++;
        NEXT_AFTER(get_table);
    }
    NEXT;
}
FAST(i32_const)
{
    if (IS_SHORT(pc))
        NEXT_AFTER(const_table);
    if (pc[1] & 0x80)
        return slow_I32_CONST(ARGS);
    uint32_t k = (pc[0] & 0x7fu) | (uint32_t)pc[1] << 7;
    PUSH((uint32_t)((int32_t)(k << 18) >> 18));
    pc += 2;
    NEXT;
}
FAST(i64_const)
{
    UNLESS_SHORT(I64_CONST);
    NEXT_AFTER(const_table);
}

/* Ends a comparison: branches if br_if follows.  `pops`: operands that it
 * takes from memory. */
#define END_COMPARISON(condition, pops)                                        \
    uint32_t c_ = (condition);                                                 \
    if (*pc == 0x0d && IS_SHORT(pc + 1)) {                                     \
        const BranchEntry *e_ = stp;                                           \
        if (!c_) {                                                             \
            pc += 2;                                                           \
            stp++;                                                             \
            sp -= (pops) + 1;                                                  \
            FILL();                                                            \
            NEXT;                                                              \
        }                                                                      \
        if (IS_SIMPLE(e_)) {                                                   \
            pc++;                                                              \
            TAKE(e_);                                                          \
            sp -= (pops) + 1;                                                  \
            FILL();                                                            \
            NEXT;                                                              \
        }                                                                      \
    }                                                                          \
    sp -= (pops);                                                              \
    tos = c_;                                                                  \
    NEXT;

/* ---- both operands on the stack: only comparisons differ */

#define SHAPE_DEFAULT return slow_(ARGS);
#include "interp/shape_default.h"
#undef CMP
#undef TEST
#define CMP(t, f)                                                              \
    END_COMPARISON(eval_##t##_##f(get_##t(sp[-1]), get_##t(tos)), 1)
#define TEST(t, f) END_COMPARISON(eval_##t##_##f(get_##t(tos)), 0)

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    UNUSED static ErrorCode pair_##NAME(PARAMS)                                \
    {                                                                          \
        OpFn *const slow_ UNUSED = slow_##NAME;                                \
        SHAPE                                                                  \
    }
#include "wasm/op.def"
#undef OP
#undef SHAPE_DEFAULT

/* ---- after local.get */

/* Whatever has no form of its own, and what these leave: the local is pushed,
 * as if it had come by itself. */
#define PUSH_AND_RUN(operand)                                                  \
    do {                                                                       \
        PUSH(operand);                                                         \
        return table[pc[-1]].run(ARGS);                                        \
    } while (0)
#define SHAPE_DEFAULT PUSH_AND_RUN(LOCAL_OPERAND);
#undef LEAVE
#define LEAVE PUSH_AND_RUN(LOCAL_OPERAND)
#include "interp/shape_default.h"
#undef UN
#undef CONV
#undef TEST
#undef BIN
#undef CMP
#undef LOAD
#undef STORE
#define UN(t, f)                                                               \
    PUSH(put_##t(eval_##t##_##f(get_##t(LOCAL_OPERAND))));                     \
    NEXT;
#define CONV(to, from, f)                                                      \
    PUSH(put_##to(eval_##to##_##f##_##from(get_##from(LOCAL_OPERAND))));       \
    NEXT;
#define TEST(t, f)                                                             \
    PUSH(LOCAL_OPERAND);                                                       \
    END_COMPARISON(eval_##t##_##f(get_##t(tos)), 0)
#define BIN(t, f)                                                              \
    tos = put_##t(eval_##t##_##f(get_##t(tos), get_##t(LOCAL_OPERAND)));       \
    NEXT;
#define CMP(t, f)                                                              \
    END_COMPARISON(eval_##t##_##f(get_##t(tos), get_##t(LOCAL_OPERAND)), 0)
#define LOAD(t, m)                                                             \
    EFFECTIVE(d, ea, LOCAL_OPERAND, sizeof(M_##m));                            \
    M_##m x;                                                                   \
    memcpy(&x, d->base + ea, sizeof x);                                        \
    PUSH(bits_##t(x));                                                         \
    NEXT;
#define STORE(t, m)                                                            \
    M_##m x = (M_##m)LOCAL_OPERAND;                                            \
    EFFECTIVE(d, ea, tos, sizeof x);                                           \
    memcpy(d->base + ea, &x, sizeof x);                                        \
    DROP();                                                                    \
    NEXT;

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    UNUSED static ErrorCode get_##NAME##_(PARAMS) { SHAPE }
#include "wasm/op.def"
#undef OP
#undef SHAPE_DEFAULT

/* local.get twice: the first is pushed, the second goes on. */
FAST(get_get)
{
    if (!IS_SHORT(pc))
        PUSH_AND_RUN(LOCAL_OPERAND);
    PUSH(LOCAL_OPERAND);
    NEXT_AFTER(get_table);
}
FAST(get_const)
{
    if (!IS_SHORT(pc))
        PUSH_AND_RUN(LOCAL_OPERAND);
    PUSH(LOCAL_OPERAND);
    NEXT_AFTER(const_table);
}
FAST(get_set)
{
    if (!IS_SHORT(pc))
        PUSH_AND_RUN(LOCAL_OPERAND);
    fp[*pc] = LOCAL_OPERAND;
    pc++;
    NEXT;
}
FAST(get_tee)
{
    if (!IS_SHORT(pc))
        PUSH_AND_RUN(LOCAL_OPERAND);
    PUSH(LOCAL_OPERAND);
    fp[*pc++] = tos;
    NEXT;
}
FAST(get_br_if)
{
    const BranchEntry *e = stp;
    if (!IS_SHORT(pc) || !IS_SIMPLE(e))
        PUSH_AND_RUN(LOCAL_OPERAND);
    if (get_i32(LOCAL_OPERAND)) {
        TAKE(e);
    } else {
        pc++;
        stp++;
    }
    NEXT;
}
FAST(get_other) { PUSH_AND_RUN(LOCAL_OPERAND); }

/* ---- after a constant of one byte */

#define PUSH_CONST_AND_RUN                                                     \
    PUSH_AND_RUN(pc[-3] == 0x41 ? (uint32_t)CONST_OPERAND : CONST_OPERAND)
#define SHAPE_DEFAULT PUSH_CONST_AND_RUN;
#undef LEAVE
#define LEAVE PUSH_CONST_AND_RUN
#include "interp/shape_default.h"
#undef BIN
#undef CMP
#undef STORE
#define BIN(t, f)                                                              \
    tos = put_##t(eval_##t##_##f(get_##t(tos), get_##t(CONST_OPERAND)));       \
    NEXT;
#define CMP(t, f)                                                              \
    END_COMPARISON(eval_##t##_##f(get_##t(tos), get_##t(CONST_OPERAND)), 0)
#define STORE(t, m)                                                            \
    M_##m x = (M_##m)CONST_OPERAND;                                            \
    EFFECTIVE(d, ea, tos, sizeof x);                                           \
    memcpy(d->base + ea, &x, sizeof x);                                        \
    DROP();                                                                    \
    NEXT;

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    UNUSED static ErrorCode const_##NAME##_(PARAMS) { SHAPE }
#include "wasm/op.def"
#undef OP
#undef SHAPE_DEFAULT

FAST(const_set)
{
    if (!IS_SHORT(pc))
        PUSH_CONST_AND_RUN;
    fp[*pc] = pc[-3] == 0x41 ? (uint32_t)CONST_OPERAND : CONST_OPERAND;
    pc++;
    NEXT;
}
FAST(const_other) { PUSH_CONST_AND_RUN; }
