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
#define CONST_OPERAND ((uint64_t)((int64_t)((uint64_t)pc[-2] << 57) >> 57))
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
/* A constant of 2 to 5 bytes, and i32.add with it (static data has such
 * addresses).  All the bytes are in `code_`; the last one has no bit 7. */
#define LONG_CONST(k, length)                                                  \
    uint64_t code_;                                                            \
    memcpy(&code_, pc, sizeof code_);                                          \
    unsigned bits_ = (unsigned)__builtin_ctzll(~code_ & 0x8080808080) + 1;     \
    uint32_t length = bits_ / 8;                                               \
    code_ <<= 64 - bits_; /* the sign is the last byte's bit 6 */              \
    code_ = (uint64_t)((int64_t)(code_ << 1) >> (65 - bits_));                 \
    uint32_t k =                                                               \
        (uint32_t)((code_ & 0x7f) | (code_ >> 1 & 0x3f80)                      \
                   | (code_ >> 2 & 0x1fc000) | (code_ >> 3 & 0xfe00000)        \
                   | (code_ >> 4 & 0xf0000000))

FAST(i32_const)
{
    if (IS_SHORT(pc))
        NEXT_AFTER(const_table);
    LONG_CONST(k, length);
    pc += length;
    if (*pc == 0x6a) {
        pc++;
        tos = (uint32_t)tos + k;
    } else {
        PUSH(k);
    }
    NEXT;
}
FAST(i64_const)
{
    UNLESS_SHORT(I64_CONST);
    NEXT_AFTER(const_table);
}

/* The access of n bytes whose offset is one byte, without a spare register.
 * `address`: of the access.  Whatever else takes LEAVE. */
#define ACCESS_SHORT(address, operand, n)                                      \
    uint16_t memarg_;                                                          \
    memcpy(&memarg_, pc, sizeof memarg_);                                      \
    const MemoryData *d_ = INSTANCE->memory0;                                  \
    uint64_t end_;                                                             \
    if (unlikely(memarg_ & 0x80c0)                                             \
        || unlikely(__builtin_add_overflow(                                    \
            (operand), (uint64_t)(memarg_ >> 8) + (n), &end_))                 \
        || unlikely(end_                                                       \
                    > atomic_load_explicit(&d_->size, memory_order_relaxed)))  \
        LEAVE;                                                                 \
    uint8_t *address = d_->base + (end_ - (n));                                \
    pc += 2

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

/* Blocks without parameters and results come in rows, around br_table. */
FAST(block)
{
    if (*pc != 0x40)
        return slow_BLOCK(ARGS);
    uint64_t row;
    for (pc++;; pc += sizeof row) {
        memcpy(&row, pc, sizeof row);
        if (row != 0x4002400240024002)
            break;
    }
    for (; (row & 0xffff) == 0x4002; row >>= 16)
        pc += 2;
    NEXT;
}

/* ---- both operands on the stack: comparisons and accesses differ */

#define SHAPE_DEFAULT return single_(ARGS);
#undef LEAVE
#define LEAVE return single_(ARGS)
#include "interp/shape_default.h"
#undef CMP
#undef TEST
#undef LOAD
#undef STORE
#define LOAD(t, m)                                                             \
    ACCESS_SHORT(at, tos, sizeof(M_##m));                                      \
    M_##m x;                                                                   \
    memcpy(&x, at, sizeof x);                                                  \
    tos = bits_##t(x);                                                         \
    NEXT;
#define STORE(t, m)                                                            \
    ACCESS_SHORT(at, sp[-1], sizeof(M_##m));                                   \
    M_##m x = (M_##m)tos;                                                      \
    memcpy(at, &x, sizeof x);                                                  \
    sp -= 2;                                                                   \
    FILL();                                                                    \
    NEXT;
#define CMP(t, f)                                                              \
    END_COMPARISON(eval_##t##_##f(get_##t(sp[-1]), get_##t(tos)), 1)
#define TEST(t, f) END_COMPARISON(eval_##t##_##f(get_##t(tos)), 0)

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    UNUSED static ErrorCode pair_##NAME(PARAMS)                                \
    {                                                                          \
        OpFn *const single_ UNUSED = op_##NAME;                                \
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
    ACCESS_SHORT(at, LOCAL_OPERAND, sizeof(M_##m));                            \
    M_##m x;                                                                   \
    memcpy(&x, at, sizeof x);                                                  \
    PUSH(bits_##t(x));                                                         \
    NEXT;
#define STORE(t, m)                                                            \
    M_##m x = (M_##m)LOCAL_OPERAND;                                            \
    ACCESS_SHORT(at, tos, sizeof x);                                           \
    memcpy(at, &x, sizeof x);                                                  \
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
FAST(get_i32_const)
{
    PUSH(LOCAL_OPERAND);
    if (IS_SHORT(pc))
        NEXT_AFTER(const_table);
    return fast_i32_const(ARGS);
}
FAST(get_i64_const)
{
    PUSH(LOCAL_OPERAND);
    return fast_i64_const(ARGS);
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
    ACCESS_SHORT(at, tos, sizeof x);                                           \
    memcpy(at, &x, sizeof x);                                                  \
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
