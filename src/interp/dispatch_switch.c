/* Dispatch by one switch in one loop: portable C, for compilers that do not
 * make tail calls and for builds that must not rely on them (sanitizers).
 */
#include "interp/state.h"

/* What a table yields: an Op, or one of these. */
enum {
    DO_LOCAL_GET_WIDE = OP_COUNT,
    DO_LOCAL_SET_WIDE,
    DO_LOCAL_TEE_WIDE,
    DO_DROP_WIDE,
    DO_SELECT_WIDE,
    DO_PREFIX,
    DO_METERED,
    DO_UNDEFINED
};
typedef const uint16_t *OpTable;

static uint16_t decide(unsigned byte, bool wide)
{
    if (byte >= 0xfb && byte <= 0xfe)
        return DO_PREFIX;
    Op op = op_of_code(0, byte);
    if (wide && op == OP_LOCAL_GET)
        return DO_LOCAL_GET_WIDE;
    if (wide && op == OP_LOCAL_SET)
        return DO_LOCAL_SET_WIDE;
    if (wide && op == OP_LOCAL_TEE)
        return DO_LOCAL_TEE_WIDE;
    if (wide && op == OP_DROP)
        return DO_DROP_WIDE;
    if (wide && op == OP_SELECT)
        return DO_SELECT_WIDE;
    return op == OP_COUNT ? DO_UNDEFINED : (uint16_t)op;
}

static uint16_t tables[3][256];
#define TABLE_NORMAL  ((OpTable)tables[0])
#define TABLE_WIDE    ((OpTable)tables[1])
#define TABLE_METERED ((OpTable)tables[2])

/* Filled at the first run; every thread would write the same. */
static void fill_tables(void)
{
    static atomic_int state; /* 0 empty, 1 being filled, 2 ready */
    int empty = 0;
    if (atomic_load(&state) == 2)
        return;
    if (!atomic_compare_exchange_strong(&state, &empty, 1)) {
        while (atomic_load(&state) != 2) {}
        return;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        tables[0][byte] = decide(byte, false);
        tables[1][byte] = decide(byte, true);
        tables[2][byte] = DO_METERED;
    }
    atomic_store(&state, 2);
}

#define NEXT       goto next
#define HANDLER(f) hand_##f:
#define ROUTINE(name, ...)                                                     \
    name:
#define GO_HAND(f) goto hand_##f;
#define GO(name, ...)                                                          \
    do {                                                                       \
        SET_##name(__VA_ARGS__);                                               \
        goto name;                                                             \
    } while (0)
#define SET_unwind(x)              (void)(x)
#define SET_leave_frame(x)         (void)(x)
#define SET_enter_frame(f, i)      (callee = (f), instance = (i))
#define SET_replace_frame(f, i)    (callee = (f), instance = (i))
#define SET_fail_in_host(x)        (failure = (x))
#define SET_fail_in_host_tail(x)   (failure = (x))
#define SET_call_funcref(f)        (target = (f))
#define SET_return_call_funcref(f) (target = (f))

ErrorCode interp_run(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                     const BranchEntry *stp, bool metered)
{
    fill_tables();
    OpTable table = metered                             ? TABLE_METERED
                    : frame_func(fp)->flags & FUNC_WIDE ? TABLE_WIDE
                                                        : TABLE_NORMAL;
    uint64_t tos = 0;
    const Func *callee;
    Instance *instance;
    FuncRef *target;
    ErrorCode failure;
    unsigned op;
    const int unused_ = 0;

next:
    op = table[*pc++];
dispatch:
    switch (op) {
#include "interp/control.h"
#include "interp/hand.h"
#include "interp/shape.h"
        /* clang-format off */
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    case OP_##NAME: { SHAPE }
#include "wasm/op.def"
#undef OP
    case DO_LOCAL_GET_WIDE: GO_HAND(local_get_wide)
    case DO_LOCAL_SET_WIDE: GO_HAND(local_set_wide)
    case DO_LOCAL_TEE_WIDE: GO_HAND(local_tee_wide)
    case DO_DROP_WIDE: GO_HAND(drop_wide)
    case DO_SELECT_WIDE: GO_HAND(select_wide)
        /* clang-format on */
    case DO_PREFIX: {
        uint8_t prefix = pc[-1];
        op = op_of_code(prefix, code_u32(&pc));
        goto dispatch;
    }
    case DO_METERED: {
        Store *s = THE_STORE;
        if (s->fuel == 0)
            TRAP(ERR_OUT_OF_FUEL);
        s->fuel--;
        OpTable real =
            frame_func(fp)->flags & FUNC_WIDE ? TABLE_WIDE : TABLE_NORMAL;
        op = real[pc[-1]];
        goto dispatch;
    }
    default: TRAP(ERR_UNREACHABLE); /* only valid code is run */
    }
}
