/* check.h - the state of the type checker.  Internal to wasm/.
 *
 * validate.c walks over the code and does the simple instructions; each HAND
 * row of op.def has its function check_<name> in one of check_*.c.  It is
 * called with the reader behind the opcode, and gives false after it failed.
 *
 *   operands   one Type each; a v128 takes two slots, so the height in slots
 *              is their number plus `wide`, the number of v128 among them
 *   frames     one per open block; the first is the function's
 *   entries    the side table; a forward branch waits in its label's chain,
 *              its dpc the next in the chain and its dstp the offset of its
 *              immediates, until the label's place is known
 */
#ifndef CHI_WASM_CHECK_H
#define CHI_WASM_CHECK_H

#include "base/reader.h"
#include "wasm/module.h"

typedef enum {
    FRAME_FUNC,
    FRAME_BLOCK,
    FRAME_LOOP,
    FRAME_IF,
    FRAME_ELSE,
    FRAME_TRY,
    FRAME_CATCH,
    FRAME_CATCH_ALL,
    FRAME_TRY_TABLE
} FrameKind;

/* A block type in 32 bits: BLOCK_EMPTY, a value type, or BLOCK_SIG | index of
 * a function type << 8. */
typedef uint32_t BlockType;
enum { BLOCK_EMPTY = 0, BLOCK_SIG = 1 };

typedef struct {
    uint8_t kind; /* FrameKind */
    bool unreachable;
    BlockType type;
    uint32_t base;     /* operands below it */
    uint32_t wide;     /* v128 among those */
    uint32_t start;    /* offset of its opcode */
    uint32_t entry;    /* FRAME_IF: its false edge; LOOP: first of its body */
    uint32_t chain;    /* entries that wait for its end; LOOP: offset of body */
    uint32_t handlers; /* handlers that wait for its end */
    uint32_t clause;   /* TRY_TABLE: first handler; CATCH: the current one */
    uint32_t inits;    /* locals initialised before it */
    uint32_t catches;  /* around its catch clause */
} Frame;
#define NO_ENTRY UINT32_MAX

typedef struct {
    Handler handler;
    uint32_t next;  /* that waits for the same label */
    uint32_t order; /* of making */
} PendingHandler;

typedef struct {
    const Type *types;
    uint32_t n, slots;
} Types;

static inline Types check_params(const FuncType *f)
{
    return (Types){f->types, f->n_params, f->param_slots};
}
static inline Types check_results(const FuncType *f)
{
    return (Types){f->types + f->n_params, f->n_results, f->result_slots};
}

enum { QUICK_LOCALS = 128 };

typedef struct {
    Module *m;
    Func *f;  /* NULL: a constant expression */
    Reader r; /* behind the opcode */
    uint32_t at;
    Op op;
    uint32_t flags;       /* FUNC_* */
    bool gated;           /* some features are off */
    bool restart;         /* found to be FUNC_WIDE on the way */
    Type memory0_address; /* NO_TYPE: there is no memory */

    Type *stack, *sp, *floor; /* floor: of the innermost frame */
    Type *mark; /* where pushing meets the capacity or the highest height */
    size_t stack_capacity;
    uint32_t wide, max_height;

    Frame *frames;
    uint32_t n_frames, frames_capacity;
    BranchEntry *entries;
    uint32_t n_entries, entries_capacity;
    PendingHandler *handlers;
    uint32_t n_handlers, handlers_capacity;
    uint32_t catch_depth, hidden_slots;

    Type *locals; /* the first n_spread of them, one by one */
    uint32_t n_spread, locals_capacity;
    Type quick[256]; /* of locals below QUICK_LOCALS; T_BOTTOM: look closer */
    uint32_t n_quick;
    LocalRun *runs;     /* of all, parameters too */
    uint32_t *run_ends; /* index of the first local behind each run */
    uint32_t n_runs, runs_capacity;
    uint32_t n_locals, local_slots;
    uint8_t *is_set;     /* by local without default value */
    uint32_t *set_order; /* those set, in order */
    uint32_t n_set, set_capacity;

    uint32_t n_globals;      /* that a constant expression may read */
    uint64_t slot_map_bytes; /* spent on slot_of_local in this module */
} Validator;

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* The check of each HAND row. */
/* clang-format off */
#define HAND(f)                bool check_##f(Validator *v);
#define UN(t, f)
#define BIN(t, f)
#define TEST(t, f)
#define CMP(t, f)
#define DIV(t, f)
#define CONV(to, from, f)
#define TRUNC(to, from, f)
#define LOAD(t, m)
#define STORE(t, m)
#define WIDE(f, n)
#define VUN(f)
#define VBIN(f)
#define VTER(f)
#define VTEST(f)
#define VSHIFT(f)
#define VSPLAT(t, s)
#define VEXTRACT(t, s, lanes)
#define VREPLACE(t, s, lanes)
#define VLOAD(f, bytes)
#define VSTORE(f, bytes)
#define VLOADLANE(bits, bytes)
#define VSTORELANE(bits, bytes)
#define ALOAD(t, m)
#define ASTORE(t, m)
#define ARMW(t, m, f)
#define ACAS(t, m)
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) SHAPE
#include "wasm/op.def"
#undef OP
#include "wasm/shapes_end.def"
/* clang-format on */

/* Failures.  They give false and name the instruction and the function. */
bool check_fail(Validator *v, const char *format, ...) PRINTF_LIKE(2, 3);
bool check_malformed(Validator *v, const char *format, ...) PRINTF_LIKE(2, 3);
bool check_limit(Validator *v, const char *format, ...) PRINTF_LIKE(2, 3);
bool check_mismatch(Validator *v, Type expected, Type found);

/* Operands. */
void check_grow_stack(Validator *v);
void check_raise(Validator *v); /* makes room at the mark */
void check_set_wide(Validator *v, uint32_t wide);
void check_set_max_height(Validator *v, uint32_t slots);
bool check_pop_slow(Validator *v, Type expected);
bool check_pop_any(Validator *v, Type *found); /* T_BOTTOM where polymorphic */
bool check_pop_many(Validator *v, Types t);
void check_push_many(Validator *v, Types t);
/* Pops and pushes: the operands take the types of a label. */
bool check_pass_types(Validator *v, Types t);
bool check_peek_types(Validator *v, Types t);
void check_unreachable_from_here(Validator *v);

static inline Frame *check_top(Validator *v)
{
    return &v->frames[v->n_frames - 1];
}

static inline void check_push(Validator *v, Type t)
{
    if (UNLIKELY(v->sp == v->mark))
        check_raise(v);
    *v->sp++ = t;
    if (t == T_V128)
        check_set_wide(v, v->wide + 1);
}

static inline bool check_pop(Validator *v, Type expected)
{
    if (LIKELY(v->sp > v->floor && v->sp[-1] == expected
               && expected != T_V128)) {
        v->sp--;
        return true;
    }
    return check_pop_slow(v, expected);
}

static inline bool check_pop_types(Validator *v, Types t)
{
    if (t.n > 1)
        return check_pop_many(v, t);
    return t.n == 0 || check_pop(v, t.types[0]);
}

static inline void check_push_types(Validator *v, Types t)
{
    if (t.n > 1)
        check_push_many(v, t);
    else if (t.n)
        check_push(v, t.types[0]);
}

/* Pops b, then a; pushes out if it is not T_BOTTOM.  T_BOTTOM for a: none. */
bool check_apply(Validator *v, Type a, Type b, Type out);

/* Slots of operands, of locals. */
static inline uint32_t check_height(const Validator *v)
{
    return (uint32_t)(v->sp - v->stack) + v->wide;
}
Type check_local_type(const Validator *v, uint32_t index);

static inline uint32_t check_here(const Validator *v)
{
    return (uint32_t)reader_offset(&v->r);
}

/* Control. */
void check_begin(Validator *v, FrameKind kind, BlockType type);
Types check_label_types(Validator *v, const Frame *f);
Types check_result_types(Validator *v, const Frame *f);
/* Adds the entry of a branch to a label; pc: of its immediates. */
bool check_add_branch(Validator *v, Frame *label, uint32_t pc, Types t);
bool check_add_width(Validator *v, Type t);
/* Reads a label.  NULL after a failure. */
Frame *check_read_label(Validator *v);
void check_set_local(Validator *v, uint32_t index);

/* Immediates: read an index and look it up.  NULL or false: failed. */
const TypeDef *check_read_type(Validator *v, CompKind kind, uint32_t *index);
const TableType *check_read_table(Validator *v, uint32_t *index);
const MemoryType *check_read_memory(Validator *v);
const ElemSegment *check_read_elem(Validator *v);
bool check_read_data(Validator *v);
/* Reads a memarg; the type of addresses, or T_BOTTOM after a failure. */
Type check_read_memarg(Validator *v, uint32_t bytes, bool is_atomic);
bool check_read_lane(Validator *v, uint32_t lanes);

/* Prepares scratch that a module's functions share. */
void check_init(Validator *v, Module *m, Error *err);
void check_free(Validator *v);
bool check_func(Validator *v, Func *f, Error *err);
bool check_const(Validator *v, ConstExpr *e, Type result, uint32_t n_globals,
                 Error *err);
/* Walks from r to its end. */
bool check_run(Validator *v);

#endif
