/* What the access verifier believes of each instruction's writes, against the
 * processor: a register that is said to be kept is as before, and the upper
 * half of one that is said to have none is zero. */
#include "../c/check.h"

#include <stddef.h>
#include <sys/mman.h>

#include "target/x64/x64_row.h"

typedef struct {
    uint64_t general[16];
    uint8_t vector[16][16];
    uint8_t memory[64]; /* what operands in memory are */
} State;

/* r15 has the state, r14 the memory; so they are no operands, nor is rsp. */
enum { REG = RBX, RM = RSI, V = RDI, VEC = 3, STATE = R15, MEMORY = R14 };
#define IS_FREE(r) ((r) != RSP && (r) < 14)

/* clang-format off */
static const char *const names[] = {
#define X64(name, ...) #name,
#include "target/x64/x64.def"
#undef X64
};
static const char *const reg_kinds[] = {
#define X64(name, t, pre, map, op, d, w, reg, rm, ...) #reg,
#include "target/x64/x64.def"
#undef X64
};
static const char *const rm_kinds[] = {
#define X64(name, t, pre, map, op, d, w, reg, rm, ...) #rm,
#include "target/x64/x64.def"
#undef X64
};
/* clang-format on */

static Assembler as;
static uint8_t *code;
static const char *now; /* what is tried */
static unsigned tried;

/* ---- running one instruction */

static const Reg kept[] = {RBX, RBP, R12, R13, R14, R15};

static void begin(void)
{
    uint32_t cpu = as.cpu;
    asm_reset(&as);
    as.cpu = cpu;
    for (unsigned k = 0; k < 6; k++)
        x64_r(&as, X64_PUSH, kept[k]);
    x64_rr(&as, X64_MOV64, STATE, RDI);
    for (Reg r = 0; r < 16; r++)
        x64_rm(&as, X64_MOVUPS, r,
               mem(STATE, (int32_t)offsetof(State, vector) + 16 * r));
    for (Reg r = 0; r < 15; r++)
        if (r != RSP)
            x64_rm(&as, X64_MOV64, r, mem(STATE, 8 * r));
}

static void end(void)
{
    for (Reg r = 0; r < 14; r++)
        if (r != RSP)
            x64_rm(&as, X64_MOV64_ST, r, mem(STATE, 8 * r));
    for (unsigned k = 6; k-- > 0;)
        x64_r(&as, X64_POP, kept[k]);
    x64_ret(&as);
    CHECK(asm_finish(&as));
    memcpy(code, as.start, asm_pos(&as));
}

static void compare(const State *before, const State *after, Facts facts)
{
    for (unsigned r = 0; r < 16; r++) {
        uint64_t was = before->general[r], is = after->general[r];
        if (!IS_FREE(r))
            continue;
        if ((facts & FACT_KEPT(r) && was != is)
            || (facts & FACT_U32(r) && is >> 32)) {
            fprintf(stderr, "%s: register %u was %llx, is %llx; facts %llx\n",
                    now, r, (unsigned long long)was, (unsigned long long)is,
                    (unsigned long long)facts);
            exit(1);
        }
    }
}

enum { RANDOM, ZEROS, ONES, VALUES };

static void fill(State *s, unsigned values, bool narrow, bool divides)
{
    static unsigned long long seed = 1;
    for (unsigned k = 0; k < sizeof *s; k++)
        ((uint8_t *)s)[k] = (uint8_t)(values == RANDOM  ? next_random(&seed)
                                      : values == ZEROS ? 0
                                                        : 0xff);
    for (unsigned r = 0; r < 16; r++)
        if (narrow)
            s->general[r] = (uint32_t)s->general[r];
    if (divides) {
        s->general[RDX] = 0;
        s->general[RAX] = narrow ? 99 : 12345;
        s->general[RM] = 0x8000000170000001u >> (narrow ? 32 : 0);
        s->memory[0] = s->memory[7] = 1;
    }
    s->general[MEMORY] = (uintptr_t)s->memory;
}

/* Behind begin and one instruction; `before` it, `narrow` told whether upper
 * halves were zero. */
static void finish(bool narrow, bool divides)
{
    Facts facts = as.guard.known;
    end();
    for (unsigned values = 0; values < VALUES; values++) {
        _Alignas(64) State state;
        State before;
        if (divides && values != RANDOM)
            continue;
        fill(&state, values, narrow, divides);
        before = state;
        ((void (*)(State *))(uintptr_t)code)(&state);
        compare(&before, &state, facts);
    }
    tried++;
}

/* Each instruction twice: upper halves are anything, or known to be zero. */
#define EACH(name, divides, instruction)                                       \
    for (int narrow = 0; narrow < 2; narrow++) {                               \
        now = name;                                                            \
        begin();                                                               \
        as.guard.known = ~(Facts)(narrow ? 0 : 0xffff);                        \
        instruction;                                                           \
        finish(narrow, divides);                                               \
    }

/* ---- rows */

static bool is(const char *kind, const char *other)
{
    return !strcmp(kind, other);
}

static Reg operand(const char *kind, Reg general)
{
    return kind[0] == 'G' || is(kind, "N") ? general : VEC;
}

static void try_two(X64Op op, Reg reg, Reg rm, bool only_memory, bool in_memory)
{
    const X64Row *row = &x64_rows[op];
    if (!only_memory)
        EACH(names[op], false, x64_rr(&as, op, reg, rm))
    if (in_memory)
        EACH(names[op], false, x64_rm(&as, op, reg, mem(MEMORY, 0)))
    if (row->three && row->form == FORM_RR && x64_uses_vex(&as, row)) {
        Reg v = operand(reg_kinds[op], V);
        if (!only_memory)
            EACH(names[op], false, x64_rvr(&as, op, reg, v, rm))
        if (in_memory && row->v_in_memory)
            EACH(names[op], false, x64_rvm(&as, op, reg, v, mem(MEMORY, 0)))
    }
}

static void try_three(X64Op op, Reg reg, Reg rm, bool in_memory)
{
    const X64Row *row = &x64_rows[op];
    EACH(names[op], false, x64_rri(&as, op, reg, rm, 5))
    if (in_memory)
        EACH(names[op], false, x64_rmi(&as, op, reg, mem(MEMORY, 0), 5))
    if (row->three && row->form == FORM_RRI && x64_uses_vex(&as, row)) {
        EACH(names[op], false, x64_rvri(&as, op, reg, VEC, rm, 5))
        if (in_memory)
            EACH(names[op], false,
                 x64_rvmi(&as, op, reg, VEC, mem(MEMORY, 0), 5))
    }
}

static void try_immediate(X64Op op, Reg rm)
{
    uint8_t form = x64_rows[op].form;
    EACH(names[op], false, x64_ri(&as, op, rm, 1))
    EACH(names[op], false, x64_ri(&as, op, rm, form == FORM_ALU ? -99 : 7))
    EACH(names[op], false, x64_ri(&as, op, RAX, 77))
    if (form != FORM_IMUL)
        EACH(names[op], false, x64_mi(&as, op, mem(MEMORY, 0), 1))
}

static void try_one(X64Op op)
{
    bool divides = strstr(names[op], "DIV");
    EACH(names[op], divides, x64_r(&as, op, RM))
    EACH(names[op], divides, x64_m(&as, op, mem(MEMORY, 0)))
}

static void try_stack(X64Op op)
{
    if (op == X64_PUSH) {
        EACH("PUSH", false, {
            x64_r(&as, op, RM);
            x64_rm(&as, X64_LEA64, RSP, mem(RSP, 8));
        })
    } else {
        EACH("POP", false, {
            x64_r(&as, X64_PUSH, RAX);
            x64_r(&as, op, RM);
        })
    }
}

static void try_row(X64Op op)
{
    const X64Row *row = &x64_rows[op];
    const char *rm_kind = rm_kinds[op];
    Reg reg = operand(reg_kinds[op], REG), rm = operand(rm_kind, RM);
    bool only_memory = rm_kind[0] == 'M';
    bool in_memory = !is(rm_kind, "X");
    switch (row->form) {
    case FORM_IMUL:
        try_two(op, reg, rm, false, true);
        try_three(op, reg, rm, true);
        try_immediate(op, rm);
        break;
    case FORM_RRI: try_three(op, reg, rm, in_memory); break;
    case FORM_R:
        if (op != X64_CALL && op != X64_JMP)
            try_one(op);
        break;
    case FORM_SHIFT:
        try_one(op);
        try_immediate(op, rm);
        break;
    case FORM_PUSH: try_stack(op); break;
    case FORM_XI: EACH(names[op], false, x64_ri(&as, op, VEC, 3)) break;
    default: /* bt looks beyond its operand in memory */
        try_two(op, reg, rm, only_memory, in_memory && row->form != FORM_BT);
        if (row->form != FORM_RR && row->form != FORM_VR && !only_memory)
            try_immediate(op, rm);
    }
}

static void what_rows_write_is_known(void)
{
    uint32_t cpus[] = {cpu_detect(), cpu_detect() & ~(uint32_t)CPU_AVX};
    for (unsigned k = 0; k < 2; k++) {
        as.cpu = cpus[k];
        for (unsigned op = 0; op < X64_COUNT; op++)
            if (!(x64_rows[op].cpu & ~as.cpu)
                && (as.cpu & CPU_AVX || x64_rows[op].vex_if != CPU_ALWAYS))
                try_row((X64Op)op);
    }
}

static void what_has_no_row_is_known_too(void)
{
    for (unsigned cc = 0; cc < 16; cc++) {
        EACH("setcc", false, x64_setcc(&as, (Cond)cc, REG))
        EACH("cmov32", false, x64_cmov32(&as, (Cond)cc, REG, RM))
        EACH("cmov64", false, x64_cmov64(&as, (Cond)cc, REG, RM))
        EACH("cmov32", false, x64_cmov32_m(&as, (Cond)cc, REG, mem(MEMORY, 0)))
        EACH("cmov64", false, x64_cmov64_m(&as, (Cond)cc, REG, mem(MEMORY, 0)))
    }
    static const uint64_t values[] = {
        0,          1,          0x7fffffff,         UINT32_MAX,
        1ull << 32, UINT64_MAX, 0xffffffff80000000u};
    for (unsigned k = 0; k < sizeof values / sizeof *values; k++) {
        EACH("mov", false, x64_mov_imm64(&as, REG, values[k]))
        EACH("mov", false, x64_mov_imm64(&as, R9, values[k]))
    }
    EACH("cdq", false, x64_cdq(&as))
    EACH("cqo", false, x64_cqo(&as))
    EACH("rep stosq", false, {
        x64_rr(&as, X64_MOV64, RDI, MEMORY);
        x64_mov_imm64(&as, RCX, 3);
        x64_rep_stosq(&as);
    })
}

int main(void)
{
    asm_init(&as, 0);
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(code != MAP_FAILED);
    RUN(what_rows_write_is_known);
    RUN(what_has_no_row_is_known_too);
    printf("%u instructions\n", tried);
    asm_free(&as);
}
