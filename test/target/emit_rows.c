/* emit_rows.c - the assembler, driven by text.
 *
 * emit_rows list     the columns of x64.def that a disassembly depends on
 * emit_rows speed    instructions emitted per second
 * emit_rows          reads a command per line, writes its bytes per line:
 *
 *     CPU FUNCTION ROW OPERAND...
 *
 * CPU is the set of CPU_* bits, FUNCTION an x64_* function, ROW a number.  A
 * memory operand is BASE INDEX SCALE DISP, with 255 for no register; SCALE 9
 * is the place where the instruction itself begins.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/x64/asm.h"

static Assembler as;
static char *cursor; /* in the command */

static long long number(void) { return strtoll(cursor, &cursor, 0); }
static Reg reg(void) { return (Reg)number(); }
static int32_t imm(void) { return (int32_t)number(); }
static X64Op op(void) { return (X64Op)number(); }

static Mem memory(void)
{
    Mem m = {.base = reg()};
    m.index = reg();
    m.scale = (uint8_t)number();
    m.disp = imm();
    if (m.scale != 9)
        return m;
    Label here = asm_label(&as);
    asm_bind(&as, here);
    return mem_label(here);
}

/* Each function reads its operands in its own order; row or condition first. */
/* clang-format off */
#define FUNCTIONS(F) \
    F(rr, x64_rr(&as, o, r, reg())) \
    F(rm, x64_rm(&as, o, r, memory())) \
    F(ri, x64_ri(&as, o, r, imm())) \
    F(r, x64_r(&as, o, r)) \
    F(rri, (s = reg(), x64_rri(&as, o, r, s, imm()))) \
    F(rmi, (m = memory(), x64_rmi(&as, o, r, m, imm()))) \
    F(rvr, (s = reg(), x64_rvr(&as, o, r, s, reg()))) \
    F(rvm, (s = reg(), x64_rvm(&as, o, r, s, memory()))) \
    F(rvri, (s = reg(), t = reg(), x64_rvri(&as, o, r, s, t, (uint8_t)imm()))) \
    F(rvmi, (s = reg(), m = memory(), x64_rvmi(&as, o, r, s, m, (uint8_t)imm()))) \
    F(shift, (s = reg(), x64_sse_shift(&as, o, r, s, (uint8_t)imm()))) \
    F(setcc, x64_setcc(&as, (Cond)o, r)) \
    F(cmov32, x64_cmov32(&as, (Cond)o, r, reg())) \
    F(cmov64, x64_cmov64(&as, (Cond)o, r, reg())) \
    F(cmov32_m, x64_cmov32_m(&as, (Cond)o, r, memory())) \
    F(cmov64_m, x64_cmov64_m(&as, (Cond)o, r, memory())) \
    F(mov_imm64, x64_mov_imm64(&as, r, strtoull(cursor, &cursor, 0))) \
    F(nop, x64_nop(&as, r)) \
    F(ret_n, x64_ret_n(&as, (unsigned)imm())) \
    F(ret, x64_ret(&as)) \
    F(cdq, x64_cdq(&as)) \
    F(cqo, x64_cqo(&as)) \
    F(ud2, x64_ud2(&as)) \
    F(int3, x64_int3(&as)) \
    F(pause, x64_pause(&as)) \
    F(mfence, x64_mfence(&as)) \
    F(lfence, x64_lfence(&as)) \
    F(vzeroupper, x64_vzeroupper(&as))
/* clang-format on */

/* Functions whose first operand is memory. */
static bool run_memory_first(const char *name, X64Op o)
{
    if (strcmp(name, "m") != 0 && strcmp(name, "mi") != 0)
        return false;
    Mem m = memory();
    if (name[1])
        x64_mi(&as, o, m, imm());
    else
        x64_m(&as, o, m);
    return true;
}

static void run_command(char *line)
{
    char name[16] = "";
    int used = 0;
    unsigned cpu;
    if (sscanf(line, "%u %15s%n", &cpu, name, &used) != 2)
        exit(2);
    cursor = line + used;
    asm_reset(&as);
    as.cpu = cpu;
    X64Op o = op();
    if (run_memory_first(name, o))
        return;
    Reg r = reg(), s, t;
    Mem m;
#define F(function, call)                                                      \
    if (strcmp(name, #function) == 0) {                                        \
        call;                                                                  \
        return;                                                                \
    }
    FUNCTIONS(F)
#undef F
    exit(2);
}

static int run_commands(void)
{
    char line[256];
    while (fgets(line, sizeof line, stdin)) {
        run_command(line);
        if (!asm_finish(&as))
            return 2;
        for (uint32_t i = 0; i < asm_pos(&as); i++)
            printf("%02x", as.start[i]);
        putchar('\n');
    }
    return 0;
}

/* ---- list ---- */

static int list_rows(void)
{
    /* clang-format off */
#define X64(name, text, prefix, map, opcode, digit, w, reg, rm, form, vex, cpu) \
    printf("%s %s %s %s %s %s %s %u\n", #name, text, #prefix, #reg, #rm, #form, #vex, (unsigned)CPU_##cpu);
#include "target/x64/x64.def"
#undef X64
    /* clang-format on */
    return 0;
}

/* ---- speed ---- */

/* What compiled code is made of, in about its proportions. */
static void emit_mixture(Assembler *a, unsigned i)
{
    Reg r = i & 3, s = (i >> 3) & 15;
    x64_rm(a, X64_MOV32, r, mem(RBP, -8 * (int32_t)(i & 31)));
    x64_rr(a, X64_ADD32, r, s);
    x64_ri(a, X64_AND32, r, (int32_t)i);
    x64_rm(a, X64_MOV64, r, mem_index(R15, r, 0, 16));
    x64_rm(a, X64_MOV32_ST, s, mem_index(R15, r, 0, (int32_t)i));
    x64_ri(a, X64_SHL32, r, 3);
    x64_rm(a, X64_LEA32, r, mem_index(r, R9, 2, 0));
    x64_rr(a, X64_MOV64, s, r);
    x64_sse(a, X64_ADDSD, r, s, r);
    x64_ri(a, X64_CMP32, r, 100);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The best of many passes: other programs only ever slow one down. */
static int measure(uint32_t cpu)
{
    enum { PASSES = 400, MIXTURES = 5000, COUNT = MIXTURES * 21 };
    Assembler a;
    asm_init(&a, cpu);
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        double from = seconds();
        asm_reset(&a);
        for (unsigned i = 0; i < MIXTURES; i++) {
            Label l = asm_label(&a);
            emit_mixture(&a, i);
            x64_jcc(&a, CC_NE, l);
            emit_mixture(&a, i * 7);
            asm_bind(&a, l);
        }
        asm_finish(&a);
        double time = seconds() - from;
        best = time < best ? time : best;
    }
    printf("%s: %.0f million instructions/s, %.1f ns each, %.2f bytes each\n",
           cpu & CPU_AVX ? "avx" : "sse", COUNT / best * 1e-6,
           best / COUNT * 1e9, (double)asm_pos(&a) / COUNT);
    asm_free(&a);
    return 0;
}

int main(int argc, char **argv)
{
    asm_init(&as, 0);
    if (argc > 1 && strcmp(argv[1], "list") == 0)
        return list_rows();
    if (argc > 1 && strcmp(argv[1], "speed") == 0)
        return measure(CPU_ALL) | measure(CPU_SSE41);
    return run_commands();
}
