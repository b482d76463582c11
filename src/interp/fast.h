/* fast.h - the short forms of the hottest instructions, for dispatch by tail
 * calls.
 *
 * Each handles immediates of one byte, memory 0 and no interrupt, which needs
 * no loop, no call and so no saved register; whatever else leaves, before
 * anything has changed, to the general form (slow_<NAME>), which stays the
 * one meaning of the instruction.
 */

#undef EFFECTIVE
#define EFFECTIVE(d, ea, base, n)                                              \
    uint16_t memarg_;                                                          \
    memcpy(&memarg_, pc, sizeof memarg_);                                      \
    MemoryData *d = INSTANCE->memory0;                                         \
    uint64_t ea = (base) + (memarg_ >> 8);                                     \
    uint64_t size_ = atomic_load_explicit(&d->size, memory_order_relaxed);     \
    if (unlikely((memarg_ & 0x80c0) || ea < (base) || ea > size_               \
                 || size_ - ea < (n)))                                         \
        return slow_(ARGS);                                                    \
    pc += 2

#define FAST(name) static ErrorCode fast_##name(PARAMS)
#define UNLESS_SHORT(NAME)                                                     \
    if (unlikely(*pc & 0x80))                                                  \
    return slow_##NAME(ARGS)

FAST(local_get)
{
    UNLESS_SHORT(LOCAL_GET);
    PUSH(fp[*pc++]);
    NEXT;
}
FAST(local_set)
{
    UNLESS_SHORT(LOCAL_SET);
    fp[*pc++] = tos;
    DROP();
    NEXT;
}
FAST(local_tee)
{
    UNLESS_SHORT(LOCAL_TEE);
    fp[*pc++] = tos;
    NEXT;
}
FAST(i32_const)
{
    UNLESS_SHORT(I32_CONST);
    PUSH((uint32_t)((int32_t)((uint32_t)*pc << 25) >> 25));
    pc++;
    NEXT;
}
FAST(i64_const)
{
    UNLESS_SHORT(I64_CONST);
    PUSH((uint64_t)((int64_t)((uint64_t)*pc << 57) >> 57));
    pc++;
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

/* Leaves to the general form what moves several slots or is interrupted. */
#define FAST_BRANCH(NAME)                                                      \
    do {                                                                       \
        const BranchEntry *e_ = stp;                                           \
        if (unlikely(e_->dpc < 0 && LIMIT == 0)                                \
            || unlikely(e_->drop && e_->keep > 1))                             \
            return slow_##NAME(ARGS);                                          \
        pc += e_->dpc;                                                         \
        stp += e_->dstp;                                                       \
        sp -= e_->drop;                                                        \
        if (e_->keep == 0)                                                     \
            FILL();                                                            \
    } while (0)
FAST(br)
{
    SPILL();
    FAST_BRANCH(BR);
    NEXT;
}
FAST(br_if)
{
    UNLESS_SHORT(BR_IF);
    if (get_i32(tos)) {
        const BranchEntry *e = stp;
        if (unlikely((e->dpc < 0 && LIMIT == 0) || e->drop))
            return slow_BR_IF(ARGS);
        pc += e->dpc;
        stp += e->dstp;
    } else {
        pc++;
        stp++;
    }
    DROP();
    NEXT;
}
