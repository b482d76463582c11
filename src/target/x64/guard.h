/* guard.h - the access verifier: it watches every instruction that is emitted.
 *
 * It knows nothing of what the compiler thinks.  From the instructions alone it
 * keeps facts about the general registers, and code that breaks the invariant
 * is refused: asm_finish fails, nothing of it ever runs.
 *
 * INVARIANT.  Each operand that is marked as the guest's (mem_guest) is
 *
 *     [r15 + disp]    [r15 + U32 + disp]    [BU + disp]    [BU + U32]
 *
 * without scale, disp >= 0, where r15 is the base B of the function's memory 0,
 * U32 a register whose upper half is zero, and BU one that was last written by
 * lea BU, [r15 + U32].  No other operand names r15 or a BU, but the load of B.
 * So an access begins at B or above, and below B + 2^32 + 2^32; it is at most
 * 16 bytes wide.  A guarded memory reserves more than that above B (dense
 * 8 GiB + 64 KiB, wide 36 GiB), and what of it is no memory faults: whatever
 * the compiler has mistaken, it is the guest's own memory or a trap.
 *
 * FACTS hold on every way that leads here:
 *
 *     entry, calls   what the convention promises: the upper halves of i32 in
 *                    registers are zero, r15 belongs to r14, rbx r12 r13 r14
 *                    are kept.  Who is called, calls, or returns gives it: the
 *                    verifier checks that at each call, tail call and return,
 *                    and refuses one that the compiler has not announced.
 *     instructions   a write of 32 bits zeroes the upper half; one of 64 bits
 *                    loses all facts.  8 and 16 bits leave the upper half.
 *                    r15 is written by mov r15, [r14+memory0] and then
 *                    mov r15, [r15+base] alone, r14 by loads.
 *     labels         what holds at every jump to it.  Behind a bound label
 *                    stands what held there; a jump back must give as much.
 *     jump tables    each target, what holds at the jump
 *     landings       where the runtime comes in: that the prologue has run
 *
 * TRUSTED, not watched: the encoder (it is tested against disassemblers); that
 * the frame's slots hold what was put there; that indirect jumps and calls go
 * where they are meant to; stubs, and helpers written in C; and that whoever
 * compiles an access marks its operand.  A slot of an i32 needs no fact: the
 * move of 32 bits that reloads it gives one. */
#ifndef CHI_TARGET_X64_GUARD_H
#define CHI_TARGET_X64_GUARD_H

#include "target/x64/x64.h"

/* Sets of facts, by register.  All: nothing gets here. */
typedef uint64_t Facts;
#define FACT_U32(r)   ((Facts)1 << (r))        /* its upper half is zero */
#define FACT_BASE(r)  ((Facts)1 << (16 + (r))) /* it is a BU; r15: it is B */
#define FACT_KEPT(r)  ((Facts)1 << (32 + (r))) /* it is as it was at entry */
#define FACT_SAVED(r) ((Facts)1 << (48 + (r))) /* and so is its slot */
#define FACT_RECORD   FACT_SAVED(R15) /* r15: MemoryData, base to come */
#define FACTS_OF(r)   (FACT_U32(r) | FACT_BASE(r) | FACT_KEPT(r))
#define FACTS_ALL     (~(Facts)0)
#define FACTS_SAVED                                                            \
    (FACT_SAVED(RBX) | FACT_SAVED(R12) | FACT_SAVED(R13) | FACT_SAVED(R14))

/* What the convention says of memory and frame. */
typedef struct {
    int32_t memory0, base; /* mov r15, [r14+memory0]; mov r15, [r15+base] */
    int32_t slots[16];     /* where registers are saved, from rbp; or 0 */
} GuardLayout;

/* An instruction that leaves the function, and perhaps comes back. */
typedef struct {
    Facts needs;        /* must hold there */
    Facts keeps, gives; /* behind it: what is kept of all facts, and more */
} GuardExit;

typedef struct {
    Facts known;
    const GuardLayout *layout;
    uint16_t watched;    /* registers with a rule of their own; 0: not in use */
    bool announced;      /* `exit` is of the next call, jump or return */
    uint8_t short_jumps; /* that have not landed */
    uint32_t written;    /* registers, but by guard_move */
    GuardExit exit;
    Facts at_table, at_short_jumps; /* where they jumped */
    Facts frame;                    /* what holds at landings */
    const char *refused;
} Guard;

/* What a write does to a register's facts. */
typedef enum {
    WRITES_NOTHING,
    WRITES_LOW, /* 8 or 16 bits, or perhaps nothing */
    WRITES_64,
    WRITES_32
} GuardWrite;

/* ---- for compilers */

/* Why the code is refused; NULL: it is not, so far. */
static inline const char *guard_refusal(const Guard *g)
{
    if (g->watched && g->written & (1u << R14 | 1u << R15))
        return "r14 or r15 is overwritten";
    return g->refused;
}

void guard_begin(Guard *g, const GuardLayout *layout, Facts entry);
/* The next call, indirect jump or return. */
static inline void guard_announce(Guard *g, GuardExit e)
{
    g->exit = e;
    g->announced = true;
}
/* To promise less at a label. */
static inline void guard_forget(Guard *g, Facts all_but)
{
    g->known &= all_but;
}
/* The prologue is done: what is saved is so from here on. */
static inline void guard_frame(Guard *g) { g->frame = g->known & FACTS_SAVED; }

/* ---- for the assembler */

void guard_refuse(Guard *g, const char *why);
void guard_suspect(Guard *g, Mem m);
void guard_move(Guard *g, bool loads, Reg reg, Mem m);
void guard_address(Guard *g, Reg reg, Mem m);
void guard_leave(Guard *g);
void guard_enter(Guard *g);
void guard_short_jump(Guard *g);
void guard_land(Guard *g);
/* What stands at the target so far, or for good; what holds at the jump. */
void guard_jump(Guard *g, Facts *target, bool bound, Facts here);
/* There is data here: nothing may run into it. */
void guard_data(Guard *g);

/* Is it one of the forms above, or none of the guest's? */
static inline bool guard_allows(const Guard *g, Mem m)
{
    uint32_t known = (uint32_t)g->known;
    if (m.kind != MEM_GUEST) {
        /* Both facts of one register: only where nothing gets to. */
        uint32_t bases = (known >> 16 & ~known) | 1u << R15;
        return !((bases >> (m.base & 31) | bases >> (m.index & 31)) & 1);
    }
    if (m.base == NO_REG || m.scale || m.disp < 0)
        return false;
    bool indexed = m.index != NO_REG, from_base = m.base == R15;
    Facts needs = FACT_BASE(m.base) | (from_base ? FACT_KEPT(R14) : 0)
                  | (indexed ? FACT_U32(m.index) : 0);
    return !(needs & ~g->known) && (from_base || !indexed || m.disp == 0);
}

/* Every operand in memory, before the instruction's writes. */
static inline void guard_operand(Guard *g, Mem m)
{
    if (__builtin_expect(!guard_allows(g, m), 0))
        guard_suspect(g, m);
}

static inline void guard_write(Guard *g, Reg r, GuardWrite w)
{
    static const Facts loses[] = {
        [WRITES_NOTHING] = 0,
        [WRITES_LOW] = FACT_BASE(0) | FACT_KEPT(0),
        [WRITES_32] = FACT_BASE(0) | FACT_KEPT(0),
        [WRITES_64] = FACT_U32(0) | FACT_BASE(0) | FACT_KEPT(0),
    };
    Facts lost = loses[w] << r;
    g->known = (g->known & ~lost) | (Facts)(w == WRITES_32) << r;
    g->written |= (uint32_t)(lost >> 32);
}

#endif
