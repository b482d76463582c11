/* state.h - what the instructions of the interpreter work on.
 *
 * Five words of state, kept in registers by the dispatcher:
 *
 *   pc     the next byte                  fp   slot 0 of the locals
 *   stp    the next side table entry      tos  the topmost operand
 *   sp     the slot where tos belongs; below it the other operands
 *   table  the dispatch table in use
 *
 * A push stores tos to *sp++, a pop loads it from *--sp; with no operands tos
 * is junk and sp the one spare slot above the locals.
 *
 *   caller's   | args ... | header (6) | locals ... | spare | operands ...
 *   operands                           ^fp                    ^sp
 *
 *   fp[-1] instance   fp[-3] caller's pc    fp[-5] caller's fp (NULL: C)
 *   fp[-2] Func       fp[-4] caller's stp   fp[-6] address after the body
 *
 * Arguments are copied into the callee's locals; results go to where the
 * arguments were.
 */
#ifndef CHI_INTERP_STATE_H
#define CHI_INTERP_STATE_H

#include "base/eval_v128.h"
#include "runtime/heap.h"
#include "runtime/instance.h"
#include "runtime/memory.h"
#include "runtime/store.h"
#include "runtime/table.h"
#include "runtime/thread.h"

enum { HEADER_SLOTS = 6 };

static inline Instance *frame_instance(const uint64_t *fp)
{
    return (Instance *)(uintptr_t)fp[-1];
}
static inline const Func *frame_func(const uint64_t *fp)
{
    return (const Func *)(uintptr_t)fp[-2];
}
static inline const uint8_t *frame_pc(const uint64_t *fp)
{
    return (const uint8_t *)(uintptr_t)fp[-3];
}
static inline uint64_t *frame_caller(const uint64_t *fp)
{
    return (uint64_t *)(uintptr_t)fp[-5];
}
static inline Activation *store_activation(Store *s)
{
    return atomic_load_explicit(&s->owner, memory_order_relaxed)->top;
}

/* C types and slots of the value types. */
typedef uint32_t C_i32;
typedef uint64_t C_i64;
typedef float C_f32;
typedef double C_f64;
typedef int8_t M_s8;
typedef uint8_t M_u8;
typedef int16_t M_s16;
typedef uint16_t M_u16;
typedef int32_t M_s32;
typedef uint32_t M_u32;
typedef uint64_t M_u64;

static inline uint32_t get_i32(uint64_t slot) { return (uint32_t)slot; }
static inline uint64_t get_i64(uint64_t slot) { return slot; }
static inline float get_f32(uint64_t slot)
{
    return eval_f32_reinterpret_i32((uint32_t)slot);
}
static inline double get_f64(uint64_t slot)
{
    return eval_f64_reinterpret_i64(slot);
}
static inline uint64_t put_i32(uint32_t x) { return x; }
static inline uint64_t put_i64(uint64_t x) { return x; }
static inline uint64_t put_f32(float x) { return eval_i32_reinterpret_f32(x); }
static inline uint64_t put_f64(double x) { return eval_i64_reinterpret_f64(x); }
/* Bits from memory, already extended by their C type, as a slot. */
#define bits_i32(x) ((uint64_t)(uint32_t)(x))
#define bits_f32(x) ((uint64_t)(uint32_t)(x))
#define bits_i64(x) ((uint64_t)(x))
#define bits_f64(x) ((uint64_t)(x))

/* LEB128 in valid code: no checks. */
static inline uint64_t code_u64(const uint8_t **pc)
{
    uint64_t x = *(*pc)++;
    if (unlikely(x & 0x80)) {
        x &= 0x7f;
        for (unsigned shift = 7;; shift += 7) {
            uint8_t byte = *(*pc)++;
            x |= (uint64_t)(byte & 0x7f) << shift;
            if (!(byte & 0x80))
                break;
        }
    }
    return x;
}
static inline uint32_t code_u32(const uint8_t **pc)
{
    return (uint32_t)code_u64(pc);
}
static inline int64_t code_s64(const uint8_t **pc)
{
    uint64_t x = 0;
    for (unsigned shift = 0;;) {
        uint8_t byte = *(*pc)++;
        x |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
        if (!(byte & 0x80)) {
            if ((byte & 0x40) && shift < 64)
                x |= ~(uint64_t)0 << shift;
            return (int64_t)x;
        }
    }
}
static inline void code_skip(const uint8_t **pc)
{
    while (*(*pc)++ & 0x80) {}
}

/* A block type: a number, a value type, or a reference with its heap type. */
static inline void code_skip_block_type(const uint8_t **pc)
{
    if (unlikely(**pc == KIND_REF || **pc == KIND_REF_NULL))
        (*pc)++;
    code_skip(pc);
}

static inline V128 get_v128(const uint64_t *slots)
{
    V128 v;
    memcpy(&v, slots, sizeof v);
    return v;
}
static inline void put_v128(uint64_t *slots, V128 v)
{
    memcpy(slots, &v, sizeof v);
}

/* The target of a cast: a heap type at *pc, of a module's code. */
static inline Type heap_type(const Module *m, bool nullable, const uint8_t **pc)
{
    int64_t x = code_s64(pc);
    uint32_t heap =
        x < 0 ? HEAP_ABSTRACT | ((uint32_t)x & 0x7f) : m->types[x]->id;
    return type_ref(nullable, heap);
}

/* frames.c: finds the handler of store->pending_exn from (fp, pc) outward and
 * makes its frame ready: fp, sp and pc of the activation say where to go on,
 * the handler's stp where in the side table.  NULL: none in this entry. */
const Handler *frames_unwind(Store *s, uint64_t *fp, const uint8_t *pc);
/* Notes the guest frames of the innermost entry in store->frames. */
void frames_record(Store *s, uint64_t *fp, const uint8_t *pc);

/* Out of line, for the dispatchers. */
ErrorCode trap(ErrorCode code, Store *s, uint64_t *fp, const uint8_t *pc);
/* sp: address, expected, timeout; the result goes to *sp. */
ErrorCode wait_at(Store *s, MemoryData *d, uint64_t address, bool is64,
                  uint64_t *sp);

static inline Activation *save(Store *s, uint64_t *sp, uint64_t *fp,
                               const uint8_t *pc)
{
    Activation *a = store_activation(s);
    a->sp = sp;
    a->fp = fp;
    a->pc = pc;
    return a;
}

/* Read-modify-write by eval.h's meanings; the old value, zero-extended. */
#define RMW(m, t, f)                                                           \
    static inline uint64_t rmw_##m##_##f(_Atomic M_##m *at, M_##m x)           \
    {                                                                          \
        M_##m old = atomic_load(at);                                           \
        while (!atomic_compare_exchange_weak(at, &old,                         \
                                             (M_##m)eval_##t##_##f(old, x))) { \
        }                                                                      \
        return old;                                                            \
    }
#define RMW_ALL(m, t)                                                          \
    RMW(m, t, add)                                                             \
    RMW(m, t, sub)                                                             \
    RMW(m, t, and)                                                             \
    RMW(m, t, or)                                                              \
    RMW(m, t, xor)                                                             \
    RMW(m, t, xchg)                                                            \
    static inline uint64_t cas_##m(_Atomic M_##m *at, uint64_t expected,       \
                                   M_##m x)                                    \
    {                                                                          \
        M_##m old = (M_##m)expected;                                           \
        if (old != expected)                                                   \
            return atomic_load(at);                                            \
        atomic_compare_exchange_strong(at, &old, x);                           \
        return old;                                                            \
    }
RMW_ALL(u8, i32)
RMW_ALL(u16, i32)
RMW_ALL(u32, i32)
RMW_ALL(u64, i64)
#undef RMW
#undef RMW_ALL

/* Runs from a frame that is set up until it returns to C; the results stand
 * where the arguments were.  Defined by the dispatcher that the build chose. */
ErrorCode interp_run(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                     const BranchEntry *stp, bool metered);

/* What the handlers are written with; INSTANCE and TRAP are the dispatcher's. */
#define PUSH(x)   (*sp++ = tos, tos = (x))
#define DROP()    (tos = *--sp)
#define SPILL()   (*sp = tos)
#define FILL()    (tos = *sp)
#define MODULE    (INSTANCE->module)
#define THE_STORE (INSTANCE->e.store)
#define CHECK(code_expr)                                                       \
    do {                                                                       \
        ErrorCode code_ = (code_expr);                                         \
        if (unlikely(code_ != ERR_OK))                                         \
            TRAP(code_);                                                       \
    } while (0)

#endif
