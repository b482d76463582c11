/* compiler.h - the state of the single-pass compiler.  Internal to baseline/.
 *
 * One pass over a valid body.  Operands are not computed when they are pushed
 * but described: a constant, a local, a register, a stack slot, or the flags.
 * The locals of greatest weight live in one register for the whole function,
 * their home; the others in slots of the frame.
 *
 *   rbp+16+k  stack argument k            rbp-8      instance
 *   rbp+8     return address              rbp-16     where results overflow to
 *   rbp       caller's rbp                rbp-24 ..  saved rbx r12 r13
 *   below     locals, slot 0 highest; then the operands' slots, height 0
 *             lowest, so that operands ascend as the interpreter's do
 *
 * An i32 or f32, wherever it is, has zeros above it, up to 64 bits.
 *
 * At a label every operand below its results is in its slot or a constant;
 * one result is in rax or xmm0, several are in slots; every home is valid.
 */
#ifndef CHI_BASELINE_COMPILER_H
#define CHI_BASELINE_COMPILER_H

#include "base/reader.h"
#include "baseline/abi.h"
#include "baseline/baseline.h"
#include "runtime/instance.h"
#include "runtime/memory.h"
#include "target/x64/asm.h"

typedef enum { AT_CONST, AT_LOCAL, AT_REG, AT_SLOT, AT_FLAGS } Place;

typedef struct {
    uint8_t place;   /* Place */
    uint8_t type;    /* kind byte of its Type */
    uint8_t reg;     /* AT_REG */
    uint8_t cond;    /* AT_FLAGS: Cond, or one of those below */
    uint32_t height; /* slots below it */
    uint64_t value;  /* AT_CONST: bits; AT_LOCAL: index */
} Operand;

/* Comparisons of floats that take two flags. */
enum { COND_FLOAT_EQ = 16, COND_FLOAT_NE = 17 };

typedef struct {
    uint8_t kind;    /* Op that opened it; 0: the function's */
    bool dead;       /* nothing reaches here */
    bool targeted;   /* some branch goes to its end */
    Label label;     /* LOOP: its head; else its end */
    Label otherwise; /* IF: of the false edge */
    uint32_t base;   /* operands below its parameters */
    uint32_t height; /* slots below them */
    const Type *params, *results;
    uint32_t n_params, n_results;
    Type single;       /* storage for a lone result */
    uint32_t start;    /* offset of its opcode */
    uint32_t exn_slot; /* CATCH: where its exception is */
    Label way;         /* of a br_table that passes values, + 1; else 0 */
    uint32_t next_way; /* as Compiler.ways */
} Block;

typedef struct {
    uint8_t type; /* kind byte */
    uint8_t home; /* register, or NO_REG */
    uint32_t slot;
    uint32_t refs; /* operands that are this local */
} Local;

typedef struct {
    Label label;
    uint8_t code; /* ErrorCode; ERR_OK: it is in eax */
    uint32_t offset;
} Cold;

/* A handler of the function, to be found by where its try begins. */
typedef struct {
    uint32_t start, pc, index; /* as the handler's; in the function's list */
} HandlerKey;

/* Code aside of the main path, which it comes back to. */
typedef enum { ASIDE_CHECK, ASIDE_CALL } AsideKind;
typedef struct {
    uint8_t kind; /* AsideKind */
    Label label, back;
    uint32_t offset;
    GuardExit exit; /* ASIDE_CALL */
} Aside;

typedef struct Compiler {
    Assembler a;
    const Module *m;
    const Func *f;
    const BaselineConfig *config;
    InstanceLayout layout;
    Reader r; /* behind the opcode */
    Op op;
    uint32_t at; /* offset of the opcode */

    Operand *stack;
    uint32_t depth, stack_capacity;
    Block *blocks;
    uint32_t n_blocks, blocks_capacity;
    Local *locals;
    uint32_t n_locals, locals_capacity;
    uint32_t *weights;

    uint32_t free_ints, free_vecs;             /* cache registers nobody owns */
    uint32_t valid_ints, valid_vecs;           /* homes that hold their local */
    uint32_t dirty_ints, dirty_vecs;           /* homes newer than their slot */
    uint32_t home_ints, home_vecs;             /* registers that are homes */
    uint32_t home_of_int[16], home_of_vec[16]; /* their locals */
    int32_t operands;     /* bytes from rbp down to operand slot 0 */
    int32_t frame;        /* bytes from rbp down to rsp */
    int32_t results_area; /* bytes of results that do not fit in registers */
    uint32_t stack_args;  /* bytes that the function pops */
    bool has_handlers;
    uint32_t cache_ints, cache_vecs; /* registers of the cache */

    Facts own;      /* what functions of this instance want of r14 and r15 */
    Facts at_loops; /* all that holds at the heads of loops */

    Cold *colds;
    uint32_t n_colds, colds_capacity;
    Aside *asides;
    uint32_t n_asides, asides_capacity;
    uint32_t most_code;       /* bytes */
    uint64_t work, most_work; /* operands that were visited in passing */
    uint32_t uncharged;       /* instructions, when metered */
    uint32_t ways;            /* index + 1 of a block with a way; 0: none */
    Position *positions;
    uint32_t n_positions, positions_capacity;
    uint32_t *landings;
    uint32_t landings_capacity;
    HandlerKey *handlers; /* by start, clauses of one try in order */
    uint32_t handlers_capacity;
    bool lists; /* makes marks */
    Position *marks;
    uint32_t n_marks, marks_capacity;
} Compiler;

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Fields of the structures that code touches, from a register. */
#define FIELD(reg, T, field) mem((reg), (int32_t)offsetof(T, field))

enum {
    FRAME_FIXED = 48, /* bytes below rbp before the locals */
    CONTEXT = R14,
    MEMORY_BASE = R15,
    SCRATCH = R11,
    VEC_SCRATCH = XMM7
};
#define INT_CACHE (1u << RAX | 1u << RCX | 1u << RDX | 1u << RSI | 1u << RDI)
#define VEC_CACHE 0x7fu

static inline bool type_is_vec(uint8_t t)
{
    return t == T_F32 || t == T_F64 || t == T_V128;
}
static inline bool type_is_64(uint8_t t) { return t != T_I32 && t != T_F32; }
static inline uint32_t slots_of(uint8_t t) { return t == T_V128 ? 2 : 1; }
static inline uint8_t kind_of(Type t)
{
    return type_is_ref(t) ? KIND_REF_NULL : (uint8_t)t;
}

/* ---- operand.c */
Operand *push(Compiler *c, uint8_t type); /* place not set */
void push_const(Compiler *c, uint8_t type, uint64_t bits);
void push_reg(Compiler *c, uint8_t type, Reg reg);
void push_slot(Compiler *c, uint8_t type);
void push_local(Compiler *c, uint32_t index);
void push_flags(Compiler *c, uint8_t cond);
Operand pop(Compiler *c);
static inline Operand *top(Compiler *c) { return &c->stack[c->depth - 1]; }
uint32_t height(const Compiler *c); /* slots of all operands */
/* The first operand that may be a local or in a register. */
uint32_t window(const Compiler *c);

/* Registers of the cache.  take: this one, whoever has it is moved away. */
Reg alloc_int(Compiler *c);
Reg alloc_vec(Compiler *c);
void take_int(Compiler *c, Reg r);
void take_vec(Compiler *c, Reg r);
void free_reg(Compiler *c, uint8_t type, Reg r);
void release(Compiler *c, const Operand *o); /* a popped operand's register */

/* Puts a popped operand in a register to read (a home, perhaps), or in one of
 * its own, to write. */
Reg use(Compiler *c, Operand *o);
Reg own(Compiler *c, Operand *o);
void load_into(Compiler *c, const Operand *o, Reg r); /* any place -> r */
bool is_memory(const Compiler *c, const Operand *o);
Mem memory_of(const Compiler *c, const Operand *o);
/* Writes a popped operand to a slot. */
void store_to(Compiler *c, Operand *o, Mem m);
Mem operand_slot(const Compiler *c, uint32_t height);
Mem local_slot(const Compiler *c, uint32_t index);

/* Where the result of the instruction goes: the home of the local that the
 * next instruction sets, or a register (`reuse` if it can).  done: pushes it,
 * unless the next instruction was taken along. */
typedef struct {
    Reg reg;
    uint8_t type;
    uint32_t local; /* NO_LOCAL: none */
    bool tee;
} Result;
#define NO_LOCAL UINT32_MAX
Result result_reg(Compiler *c, uint8_t type, const Operand *reuse);
void result_done(Compiler *c, Result r);

void spill_registers(Compiler *c); /* operands in registers go to slots */
void spill_all(Compiler *c);       /* locals as well; constants stay */
/* Operands from .. to - 1, whatever they are. */
void spill_range(Compiler *c, uint32_t from, uint32_t to);
void settle_flags(Compiler *c); /* the top, if it is flags, to a register */
void detach_local(Compiler *c, uint32_t index); /* operands that are it */
void set_local(Compiler *c, uint32_t index, Operand o);
void save_homes(Compiler *c);    /* before a call: the dirty ones to slots */
void forget_homes(Compiler *c);  /* after it: those not callee-saved */
void restore_homes(Compiler *c); /* all valid: at labels and branches */
void homes_at_label(Compiler *c);
void move_reg(Compiler *c, uint8_t type, Reg to, Reg from);
void load_reg(Compiler *c, uint8_t type, Reg to, Mem m);
void store_reg(Compiler *c, uint8_t type, Mem m, Reg from);
void load_const(Compiler *c, uint8_t type, Reg to, uint64_t bits);

/* ---- control.c */
bool compile_body(Compiler *c);
void go_dead(Compiler *c); /* skips to the block's else, catch or end */
Label cold_exit(Compiler *c, ErrorCode code); /* where it fails so */
void trap_if(Compiler *c, uint8_t cond, ErrorCode code);
void trap_now(Compiler *c, ErrorCode code);
void fail_if_error(Compiler *c); /* eax is not ERR_OK */
Aside *add_aside(Compiler *c, AsideKind kind, Label label, Label back);
void note_position(Compiler *c, uint32_t flags);
void note_mark(Compiler *c, uint32_t flags); /* if it lists */
void jump_if(Compiler *c, uint8_t cond, Label l);
static inline uint8_t cond_invert(uint8_t cond) { return cond ^ 1; }

/* ---- call.c */
void compile_prologue(Compiler *c);
/* The topmost n operands, of those types, to result registers; returns. */
void compile_return(Compiler *c);
void compile_returned_slots(Compiler *c);
void load_memory_base(Compiler *c);
void call_through(Compiler *c, GuardExit exit);
void load_type_id(Compiler *c, Reg to, uint32_t type);
Reg source_of(const Compiler *c, const Operand *o); /* where it is, or NO_REG */
void call_helper(Compiler *c, unsigned helper);
/* The interpreter's step for op, its immediates at that offset, its operands
 * in slots with the topmost at `top`.  Homes are saved; eax may be an error. */
void call_step(Compiler *c, Op op, uint32_t offset, uint32_t top);
/* Where an exception lands: rbp is right. */
void compile_landing(Compiler *c);
void *grow_array(void *p, uint32_t *capacity, size_t size);
static inline void *grow(void *p, uint32_t *capacity, uint32_t n, size_t size)
{
    return LIKELY(n < *capacity) ? p : grow_array(p, capacity, size);
}

/* ---- simple.c: memory accesses */
typedef struct {
    uint64_t offset;
    uint32_t memory;
    const MemoryType *type;
} MemArg;
MemArg read_memarg(Compiler *c);
/* Where `width` bytes at the popped address are, checked unless guards are
 * there; it may use r11 and *temp, a register to free (or NO_REG).  The
 * instruction that accesses them follows note_position(c, POSITION_ACCESS). */
Mem access_at(Compiler *c, const MemArg *m, Operand *address, uint32_t width,
              Reg *temp);
Mem access_place(Compiler *c, Operand *address, uint32_t width, Reg *temp);
void load_memory_data(Compiler *c, uint32_t index, Reg to);

/* ---- emitters, by instruction */
typedef struct Rule Rule;
typedef void Emit(Compiler *c, const Rule *rule);
struct Rule {
    Emit *emit;
    uint16_t x, y;     /* X64Op, or what the emitter wants */
    uint8_t a, b, out; /* types of operands and result; 0: none */
    uint8_t flag;
    uint8_t operands;  /* of emit_step; STEP_HAND: by the immediates */
    bool fails, twice; /* may fail; pushes two */
    bool takes_flags;  /* the topmost operand may be AT_FLAGS */
    bool pure;         /* no effect but on operands and locals */
};
enum { STEP_HAND = 0xff };
extern const Rule baseline_rules[OP_COUNT];

Emit emit_block, emit_loop, emit_if, emit_else, emit_end, emit_br, emit_br_if,
    emit_br_table, emit_return, emit_unreachable, emit_nop, emit_drop,
    emit_select, emit_try, emit_try_table, emit_catch, emit_delegate,
    emit_throw, emit_throw_ref, emit_rethrow, emit_br_on_null,
    emit_br_on_non_null, emit_br_on_cast;
Emit emit_call, emit_call_indirect, emit_call_ref, emit_return_call,
    emit_return_call_indirect, emit_return_call_ref;
Emit emit_local_get, emit_local_set, emit_global_get, emit_global_set,
    emit_const, emit_ref_func, emit_ref_null, emit_ref_is_null,
    emit_convert_ref;
Emit emit_alu, emit_shift, emit_mul, emit_div, emit_compare, emit_eqz,
    emit_bits, emit_extend, emit_wrap, emit_float_bin, emit_float_un,
    emit_float_sign, emit_float_compare, emit_round, emit_int_to_float,
    emit_float_to_int, emit_float_to_float, emit_reinterpret, emit_min_max;
Emit emit_load, emit_store;
Emit emit_struct_get, emit_struct_set, emit_struct_new, emit_array_get,
    emit_array_set, emit_array_len, emit_array_new_default,
    emit_ref_as_non_null, emit_ref_i31, emit_i31_get, emit_ref_cast,
    emit_ref_test;
Emit emit_vec_bin, emit_vec_un, emit_vec_un_i, emit_vec_shift, emit_vec_shift8,
    emit_vec_sar8, emit_vec_sar64, emit_any_true, emit_all_true, emit_bitmask,
    emit_splat, emit_extract_lane, emit_replace_lane, emit_shuffle,
    emit_load_extend, emit_load_splat, emit_load_lane, emit_store_lane;
Emit emit_v_extended, emit_v_complement, emit_v_neg, emit_v_abs64,
    emit_v_popcnt, emit_v_extadd8, emit_v_extadd16, emit_v_gt_u, emit_v_le_u,
    emit_v_le_u32, emit_v_mul64, emit_v_q15mulr, emit_v_swizzle, emit_v_extmul8,
    emit_v_extmul16, emit_v_extmul32, emit_v_dot8, emit_v_dot8_add,
    emit_v_bitselect, emit_v_float_abs, emit_v_float_neg, emit_v_float_min_max,
    emit_v_float_madd, emit_v_trunc_s_f32, emit_v_trunc_u_f32,
    emit_v_trunc_s_f64, emit_v_trunc_u_f64, emit_v_convert_u_f32,
    emit_v_convert_u_f64;
Emit emit_atomic_load, emit_atomic_store, emit_atomic_exchange,
    emit_atomic_logic, emit_atomic_cmpxchg, emit_atomic_fence;
Emit emit_trunc_sat, emit_trunc_u64, emit_count_bits, emit_wide_add,
    emit_wide_mul, emit_memory_size;
Emit emit_step;

#endif
