/* Dispatch by tail calls: each instruction is a function that ends by calling
 * the next one, so the compiler allocates registers for each alone and the
 * six words of state stay in the six argument registers.  Needs a compiler
 * that turns these calls into jumps (gcc and clang at -O2 do); the test
 * test_library.py looks at the code.
 */
#include "interp/state.h"

#define UNUSED __attribute__((unused))
#define PARAMS                                                                 \
    const uint8_t *pc UNUSED, uint64_t *sp UNUSED, uint64_t *fp UNUSED,        \
        const BranchEntry *stp UNUSED, OpTable table UNUSED,                   \
        uint64_t tos UNUSED
#define ARGS pc, sp, fp, stp, table, tos

typedef struct OpEntry OpEntry;
typedef const OpEntry *OpTable;
typedef ErrorCode OpFn(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                       const BranchEntry *stp, OpTable table, uint64_t tos);
struct OpEntry {
    OpFn *run;
};

static const OpEntry normal_table[256], single_table[256], wide_table[256],
    metered_table[256];
#define TABLE_NORMAL  normal_table
#define TABLE_WIDE    wide_table
#define TABLE_METERED metered_table

#define INLINE             static inline __attribute__((always_inline))
#define NEXT               return table[*pc].run(pc + 1, sp, fp, stp, table, tos)
#define HANDLER(f)         INLINE ErrorCode hand_##f(PARAMS)
#define ROUTINE(name, ...) INLINE ErrorCode name(PARAMS, __VA_ARGS__)
#define GO(name, ...)      return name(ARGS, __VA_ARGS__)
#define GO_HAND(f)         return hand_##f(ARGS);

#include "interp/control.h"
#include "interp/hand.h"
#include "interp/shape.h"

/* clang-format off */
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    UNUSED __attribute__((noinline)) static ErrorCode slow_##NAME(PARAMS)      \
    { SHAPE }
#include "wasm/op.def"
#undef OP

#include "interp/fast.h"
#include "interp/pair.h"

static ErrorCode op_local_get_wide(PARAMS) { GO_HAND(local_get_wide) }
static ErrorCode op_local_set_wide(PARAMS) { GO_HAND(local_set_wide) }
static ErrorCode op_local_tee_wide(PARAMS) { GO_HAND(local_tee_wide) }
static ErrorCode op_drop_wide(PARAMS) { GO_HAND(drop_wide) }
static ErrorCode op_select_wide(PARAMS) { GO_HAND(select_wide) }
/* clang-format on */

static ErrorCode op_metered(PARAMS)
{
    Store *s = THE_STORE;
    if (unlikely(s->fuel == 0))
        TRAP(ERR_OUT_OF_FUEL);
    s->fuel--;
    OpTable real =
        frame_func(fp)->flags & FUNC_WIDE ? wide_table : single_table;
    return real[pc[-1]].run(ARGS);
}

/* Only valid code is run: nothing comes here. */
static ErrorCode op_undefined(PARAMS) { TRAP(ERR_UNREACHABLE); }

/* Rows whose code has the prefix, by number; later rows override earlier
 * ones, which the compilers would remark on. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#define FILL_UNDEFINED(n) [0 ...(n) - 1] = {op_undefined}

#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [(CODE) >> 12 == PREFIX ? (CODE) & 0xfff : SPARE] = {op_##NAME},
#define PREFIX 0xfb
#define SPARE  0x20
static const OpEntry fb_table[SPARE + 1] = {
    FILL_UNDEFINED(SPARE),
#include "wasm/op.def"
};
#undef PREFIX
#define PREFIX 0xfc
static const OpEntry fc_table[SPARE + 1] = {
    FILL_UNDEFINED(SPARE),
#include "wasm/op.def"
};
#undef PREFIX
#undef SPARE
#define PREFIX 0xfd
#define SPARE  0x120
static const OpEntry fd_table[SPARE + 1] = {
    FILL_UNDEFINED(SPARE),
#include "wasm/op.def"
};
#undef PREFIX
#define PREFIX 0xfe
static const OpEntry fe_table[SPARE + 1] = {
    FILL_UNDEFINED(SPARE),
#include "wasm/op.def"
};
#undef PREFIX
#undef SPARE

#define PREFIXED(name)                                                         \
    static ErrorCode op_##name(PARAMS)                                         \
    {                                                                          \
        return name##_table[code_u32(&pc)].run(ARGS);                          \
    }
PREFIXED(fb)
PREFIXED(fc)
PREFIXED(fd)
PREFIXED(fe)

#define PREFIX 0
#define SPARE  0xff
#define PREFIXES                                                               \
    [0xfb] = {op_fb}, [0xfc] = {op_fc}, [0xfd] = {op_fd}, [0xfe] = {op_fe},    \
    [SPARE] = {op_undefined}
static const OpEntry wide_table[256] = {
    FILL_UNDEFINED(256),
#include "wasm/op.def"
    PREFIXES,
    [0x1a] = {op_drop_wide},
    [0x1b] = {op_select_wide},
    [0x20] = {op_local_get_wide},
    [0x21] = {op_local_set_wide},
    [0x22] = {op_local_tee_wide},
};
static const OpEntry single_table[256] = {
    FILL_UNDEFINED(256),
#include "wasm/op.def"
    PREFIXES,
};
static const OpEntry metered_table[256] = {[0 ... 255] = {op_metered}};
#undef OP

/* The single forms, and over them what is short or the first of a pair. */
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [(CODE) < 0x100 ? (CODE) : SPARE] = {op_##NAME},
#define PAIRED(CODE)                                                           \
    (((CODE) >= 0x28 && (CODE) <= 0x3e) || ((CODE) >= 0x45 && (CODE) <= 0x66))
static const OpEntry normal_table[256] = {
    FILL_UNDEFINED(256),
#include "wasm/op.def"
#undef OP
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [PAIRED(CODE) ? (CODE) : SPARE] = {pair_##NAME},
#include "wasm/op.def"
    PREFIXES,
    [0x02] = {fast_block},
    [0x0c] = {fast_br},
    [0x0d] = {fast_br_if},
    [0x0e] = {fast_br_table},
    [0x20] = {fast_local_get},
    [0x21] = {fast_local_set},
    [0x22] = {fast_local_tee},
    [0x23] = {fast_global_get},
    [0x24] = {fast_global_set},
    [0x41] = {fast_i32_const},
    [0x42] = {fast_i64_const},
};
#undef OP

/* Loads to stores, comparisons to the last conversion. */
#define SECOND(CODE)                                                           \
    (((CODE) >= 0x28 && (CODE) <= 0x3e) || ((CODE) >= 0x45 && (CODE) <= 0xc4))
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [SECOND(CODE) ? (CODE) : SPARE] = {get_##NAME##_},
static const OpEntry get_table[256] = {
    [0 ... 255] = {fast_get_other},
#include "wasm/op.def"
    [SPARE] = {fast_get_other},     [0x0d] = {fast_get_br_if},
    [0x20] = {fast_get_get},        [0x21] = {fast_get_set},
    [0x22] = {fast_get_tee},        [0x41] = {fast_get_i32_const},
    [0x42] = {fast_get_i64_const},
};
#undef OP
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    [SECOND(CODE) ? (CODE) : SPARE] = {const_##NAME##_},
static const OpEntry const_table[256] = {
    [0 ... 255] = {fast_const_other},
#include "wasm/op.def"
    [SPARE] = {fast_const_other},
    [0x21] = {fast_const_set},
};
#undef OP
#pragma GCC diagnostic pop

ErrorCode interp_run(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                     const BranchEntry *stp, bool metered)
{
    OpTable table = metered                             ? metered_table
                    : frame_func(fp)->flags & FUNC_WIDE ? wide_table
                                                        : normal_table;
    return table[*pc].run(pc + 1, sp, fp, stp, table, 0);
}
