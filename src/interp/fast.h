/* fast.h - short forms of the hottest instructions, for dispatch by tail
 * calls.
 *
 * A short form handles immediates of few bytes, memory 0 and no interrupt,
 * which needs no loop, no call and so no saved register; whatever else
 * leaves, before anything has changed, to the general form (slow_<NAME>),
 * which stays the one meaning of the instruction.
 */

/* The memarg: align, then an offset of up to 3 bytes.  (Behind a module's
 * bytes some more may be read.) */
#undef EFFECTIVE
#define LEAVE return slow_(ARGS)
#define EFFECTIVE(d, ea, base, n)                                              \
    uint32_t memarg_;                                                          \
    memcpy(&memarg_, pc, sizeof memarg_);                                      \
    MemoryData *d = INSTANCE->memory0;                                         \
    uint64_t ea = memarg_ >> 8 & 0x7f;                                         \
    uint32_t length_ = 2;                                                      \
    if (unlikely(memarg_ & 0x80c0)) {                                          \
        if ((memarg_ & 0xc0) || (memarg_ & 0x80800000) == 0x80800000)          \
            LEAVE;                                                             \
        ea |= memarg_ >> 9 & 0x3f80;                                           \
        length_ = 3;                                                           \
        if (memarg_ & 0x800000) {                                              \
            ea |= memarg_ >> 10 & 0x1fc000;                                    \
            length_ = 4;                                                       \
        }                                                                      \
    }                                                                          \
    ea += (base);                                                              \
    uint64_t size_ = atomic_load_explicit(&d->size, memory_order_relaxed);     \
    if (unlikely(ea < (base) || ea > size_ || size_ - ea < (n)))               \
        LEAVE;                                                                 \
    pc += length_

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    __attribute__((noinline)) static ErrorCode op_##NAME(PARAMS)               \
    {                                                                          \
        OpFn *const slow_ UNUSED = slow_##NAME;                                \
        SHAPE                                                                  \
    }
#include "wasm/op.def"
#undef OP

#define FAST(name)  static ErrorCode fast_##name(PARAMS)
#define IS_SHORT(p) likely(!(*(p) & 0x80))
#define UNLESS_SHORT(NAME)                                                     \
    if (!IS_SHORT(pc))                                                         \
    return slow_##NAME(ARGS)

FAST(local_tee)
{
    UNLESS_SHORT(LOCAL_TEE);
    fp[*pc++] = tos;
    NEXT;
}
FAST(global_get)
{
    UNLESS_SHORT(GLOBAL_GET);
    const Global *g = INSTANCE->globals[*pc];
    if (unlikely(g->type == T_V128))
        return slow_GLOBAL_GET(ARGS);
    pc++;
    PUSH(g->value[0]);
    NEXT;
}
FAST(global_set)
{
    UNLESS_SHORT(GLOBAL_SET);
    Global *g = INSTANCE->globals[*pc];
    if (unlikely(g->type == T_V128))
        return slow_GLOBAL_SET(ARGS);
    pc++;
    g->value[0] = tos;
    DROP();
    NEXT;
}

/* What the short forms leave to the general one: an interrupt, and moving
 * operands other than one result. */
#define IS_SIMPLE(e) (likely((e)->dpc >= 0 || LIMIT != 0) && likely(!(e)->drop))
#define TAKE(e)      (pc += (e)->dpc, stp = (e) + (e)->dstp)

FAST(br)
{
    const BranchEntry *e = stp;
    if (!IS_SIMPLE(e))
        return slow_BR(ARGS);
    TAKE(e);
    NEXT;
}
FAST(br_if)
{
    UNLESS_SHORT(BR_IF);
    const BranchEntry *e = stp;
    if (get_i32(tos)) {
        if (!IS_SIMPLE(e))
            return slow_BR_IF(ARGS);
        TAKE(e);
    } else {
        pc++;
        stp++;
    }
    DROP();
    NEXT;
}
FAST(br_table)
{
    UNLESS_SHORT(BR_TABLE);
    uint32_t n = *pc, i = get_i32(tos);
    const BranchEntry *e = stp + (i < n ? i : n);
    if (!IS_SIMPLE(e))
        return slow_BR_TABLE(ARGS);
    TAKE(e);
    DROP();
    NEXT;
}
