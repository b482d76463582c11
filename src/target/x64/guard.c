#include "target/x64/guard.h"

#include <string.h>

void guard_refuse(Guard *g, const char *why)
{
    if (g->watched && !g->refused)
        g->refused = why;
}

void guard_begin(Guard *g, const GuardLayout *layout, Facts entry)
{
    memset(g, 0, sizeof *g);
    g->known = entry;
    g->layout = layout;
    g->watched = 1u << RBX | 1u << R12 | 1u << R13 | 1u << R14 | 1u << R15;
}

/* ---- operands */

static bool is_place(Mem m, Reg base, int32_t disp)
{
    return m.kind == MEM_PLAIN && m.base == base && m.index == NO_REG
           && m.disp == disp;
}

static const char *wrong_with(const Guard *g, Mem m)
{
    if (m.kind != MEM_GUEST)
        return "an operand that is not the guest's with a guest's base";
    if (m.base == NO_REG || !(g->known & FACT_BASE(m.base)))
        return "an access from what is not the base of memory 0";
    if (m.base == R15 && !(g->known & FACT_KEPT(R14)))
        return "an access to another instance's memory";
    if (m.disp < 0)
        return "an access below its base";
    if (m.scale != 0)
        return "an access with a scaled index";
    if (!(g->known & FACT_U32(m.index)))
        return "an access with an index of more than 32 bits";
    return "an access with a displacement too many";
}

/* Not allowed, but for the second load of the base. */
void guard_suspect(Guard *g, Mem m)
{
    bool loads_base = g->layout && is_place(m, R15, g->layout->base)
                      && (g->known & FACT_RECORD);
    if (!loads_base)
        guard_refuse(g, wrong_with(g, m));
}

/* lea reg, m; m is allowed. */
void guard_address(Guard *g, Reg reg, Mem m)
{
    if (m.kind != MEM_GUEST)
        return;
    if (m.base != R15 || m.index == NO_REG || m.disp != 0)
        guard_refuse(g, "an address that is not base + index");
    g->known |= FACT_BASE(reg);
}

/* ---- registers of the convention */

/* mov [slot], reg */
static void save(Guard *g, Reg reg)
{
    if (g->known & FACT_KEPT(reg))
        g->known |= FACT_SAVED(reg);
    else
        g->known &= ~FACT_SAVED(reg);
}

static void load_base(Guard *g, Mem m)
{
    Facts record = g->known & FACT_RECORD;
    g->known &= ~(FACT_RECORD | FACT_BASE(R15));
    if (is_place(m, R14, g->layout->memory0))
        g->known |= FACT_RECORD;
    else if (record && is_place(m, R15, g->layout->base))
        g->known |= FACT_BASE(R15);
    else
        guard_refuse(g, "r15 is overwritten");
}

static void load(Guard *g, Reg reg, bool from_slot)
{
    g->known &= ~(FACT_U32(reg) | FACT_BASE(reg) | FACT_KEPT(reg));
    if (from_slot && (g->known & FACT_SAVED(reg)))
        g->known |= FACT_KEPT(reg);
    if (reg == R14) /* r15 belongs to the one before */
        g->known &= ~(FACT_BASE(R15) | FACT_RECORD);
}

/* mov reg, m and mov m, reg of 64 bits, where reg is watched. */
void guard_move(Guard *g, bool loads, Reg reg, Mem m)
{
    bool slot = reg != R15 && is_place(m, RBP, g->layout->slots[reg]);
    if (!loads) {
        if (slot)
            save(g, reg);
    } else if (reg == R15) {
        load_base(g, m);
    } else {
        load(g, reg, slot);
    }
}

/* ---- ways */

void guard_leave(Guard *g)
{
    if (!g->announced)
        guard_refuse(g, "a call or return that was not announced");
    if (g->exit.needs & ~g->known)
        guard_refuse(g, "a call or return breaks the convention");
    g->announced = false;
    g->at_table = g->known;
    g->known = (g->known & g->exit.keeps) | g->exit.gives;
}

void guard_enter(Guard *g) { g->known &= g->frame; }

void guard_jump(Guard *g, Facts *target, bool bound, Facts here)
{
    if (!bound)
        *target &= here;
    else if (*target & ~here)
        guard_refuse(g, "a jump back has lost what held at its target");
}

void guard_short_jump(Guard *g)
{
    Facts others = g->short_jumps++ ? g->at_short_jumps : FACTS_ALL;
    g->at_short_jumps = others & g->known;
}

void guard_land(Guard *g)
{
    g->known &= g->at_short_jumps;
    g->short_jumps--;
}

void guard_data(Guard *g)
{
    if (g->known != FACTS_ALL)
        guard_refuse(g, "code runs into data, or off its end");
}
