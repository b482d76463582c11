/* The assembler: labels, constants and failure; and what it emits, run. */
#include "../c/check.h"

#include <sys/mman.h>

#include "target/x64/asm.h"

#define NO_AVX (CPU_ALL & ~(uint32_t)(CPU_AVX | CPU_AVX2 | CPU_FMA | CPU_F16C))

static Assembler as;

static void start(uint32_t cpu)
{
    asm_reset(&as);
    as.cpu = cpu;
}

static int32_t word_at(uint32_t at)
{
    int32_t v;
    memcpy(&v, as.start + at, 4);
    return v;
}

static bool code_is(uint32_t at, const char *bytes, uint32_t n)
{
    return asm_pos(&as) >= at + n && memcmp(as.start + at, bytes, n) == 0;
}

/* ---- places ---- */

static void a_backward_jump_is_short_where_it_fits(void)
{
    start(0);
    Label l = asm_label(&as);
    asm_bind(&as, l);
    x64_jmp(&as, l);
    CHECK(code_is(0, "\xeb\xfe", 2));
    x64_nop(&as, 124);
    x64_jcc(&as, CC_NE, l); /* at 126, ends at 128 */
    CHECK(code_is(126, "\x75\x80", 2));
    x64_jcc(&as, CC_NE, l);
    CHECK(code_is(128, "\x0f\x85\x7a\xff\xff\xff", 6));
    x64_jmp(&as, l);
    CHECK(code_is(134, "\xe9\x75\xff\xff\xff", 5));
    x64_call_label(&as, l);
    CHECK(code_is(139, "\xe8\x70\xff\xff\xff", 5));
    CHECK(asm_is_bound(&as, l) && asm_label_pos(&as, l) == 0);
}

static void forward_uses_are_patched_at_the_bind(void)
{
    start(0);
    Label l = asm_label(&as);
    CHECK(!asm_is_bound(&as, l));
    uint32_t ends[8], n = 0;
    x64_jmp(&as, l), ends[n++] = asm_pos(&as);
    x64_jcc(&as, CC_E, l), ends[n++] = asm_pos(&as);
    x64_call_label(&as, l), ends[n++] = asm_pos(&as);
    x64_lea_label(&as, R9, l), ends[n++] = asm_pos(&as);
    x64_rm(&as, X64_MOVSD, XMM9, mem_label(l)), ends[n++] = asm_pos(&as);
    asm_bind(&as, l);
    uint32_t here = asm_pos(&as);
    for (uint32_t i = 0; i < n; i++)
        CHECK(word_at(ends[i] - 4) == (int32_t)(here - ends[i]));
    CHECK(asm_finish(&as));
}

static void an_immediate_behind_the_displacement_is_counted(void)
{
    for (int bound = 0; bound <= 1; bound++) {
        start(CPU_ALL);
        Label l = asm_label(&as);
        if (bound)
            asm_bind(&as, l);
        uint32_t ends[5];
        x64_mi(&as, X64_ADD32, mem_label(l), 1), ends[0] = asm_pos(&as);
        x64_mi(&as, X64_MOV16_ST, mem_label(l), 1), ends[1] = asm_pos(&as);
        x64_mi(&as, X64_CMP64, mem_label(l), 999), ends[2] = asm_pos(&as);
        x64_mi(&as, X64_SHL32, mem_label(l), 1), ends[3] = asm_pos(&as);
        x64_rmi(&as, X64_PINSRB, XMM1, mem_label(l), 1);
        ends[4] = asm_pos(&as);
        if (!bound)
            asm_bind(&as, l);
        static const uint32_t tails[5] = {1, 2, 4, 0, 1};
        for (int i = 0; i < 5; i++)
            CHECK(word_at(ends[i] - 4 - tails[i])
                  == (int32_t)(asm_label_pos(&as, l) - ends[i]));
    }
}

static void constants_are_shared_and_aligned(void)
{
    static const uint8_t bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    start(0);
    Mem four = asm_const32(&as, 7), eight = asm_const64(&as, 7);
    Mem sixteen = asm_const(&as, bytes, 16);
    CHECK(four.disp != eight.disp);
    CHECK(four.disp == asm_const32(&as, 7).disp);
    CHECK(sixteen.disp == asm_const(&as, bytes, 16).disp);
    x64_rm(&as, X64_MOVAPS, XMM1, sixteen);
    x64_rm(&as, X64_MOVSD, XMM1, eight);
    x64_rm(&as, X64_MOVSS, XMM1, four);
    uint32_t code = asm_pos(&as);
    CHECK(asm_finish(&as));
    CHECK(asm_label_pos(&as, (Label)sixteen.disp) == (code + 15) / 16 * 16);
    CHECK(asm_label_pos(&as, (Label)eight.disp) % 8 == 0);
    CHECK(asm_pos(&as) == (code + 15) / 16 * 16 + 28);
    CHECK(code_is(asm_label_pos(&as, (Label)sixteen.disp), (const char *)bytes,
                  16));
    CHECK(word_at((uint32_t)asm_label_pos(&as, (Label)four.disp)) == 7);
}

static void thousands_of_constants_keep_their_values(void)
{
    enum { N = 5000 };
    static uint32_t labels[N];
    start(0);
    for (uint32_t i = 0; i < N; i++) {
        Mem m = asm_const64(&as, i * 0x100000001ull);
        labels[i] = (Label)m.disp;
        x64_rm(&as, X64_MOVQ_X, XMM0, m);
    }
    CHECK(asm_finish(&as));
    for (uint32_t i = 0; i < N; i++)
        CHECK(word_at(asm_label_pos(&as, labels[i])) == (int32_t)i);
}

static void offsets_are_distances_between_labels(void)
{
    start(0);
    Label table = asm_label(&as), before = asm_label(&as),
          after = asm_label(&as);
    asm_bind(&as, before);
    x64_nop(&as, 5);
    asm_bind(&as, table);
    asm_offset32(&as, before, table);
    asm_offset32(&as, after, table);
    asm_bind(&as, after);
    x64_ret(&as);
    CHECK(asm_finish(&as));
    CHECK(word_at(5) == -5 && word_at(9) == 8);
}

static void a_short_jump_lands_where_it_was_told(void)
{
    start(0);
    uint32_t jump = x64_jcc_short(&as, CC_P);
    x64_nop(&as, 127);
    x64_land(&as, jump);
    CHECK(code_is(0, "\x7a\x7f", 2));
    jump = x64_jmp_short(&as);
    x64_land(&as, jump);
    CHECK(code_is(129, "\xeb\x00", 2));
}

static void alignment_is_filled_with_long_nops(void)
{
    start(0);
    x64_ret(&as);
    asm_align(&as, 16);
    CHECK(asm_pos(&as) == 16);
    CHECK(code_is(1, "\x66\x0f\x1f\x84\0\0\0\0\0\x66\x0f\x1f\x44\0\0", 15));
    asm_align(&as, 16);
    CHECK(asm_pos(&as) == 16);
}

static void a_buffer_that_moves_keeps_code_and_chains(void)
{
    enum { N = 200000 };
    start(0);
    Label l = asm_label(&as);
    for (int i = 0; i < N; i++) {
        x64_ri(&as, X64_MOV32, RAX, i);
        x64_jcc(&as, CC_E, l);
    }
    asm_bind(&as, l);
    CHECK(asm_finish(&as));
    for (int i = 0; i < N; i++) {
        CHECK(word_at((uint32_t)i * 11 + 1) == i);
        CHECK(word_at((uint32_t)i * 11 + 7) == (N - 1 - i) * 11);
    }
}

static void after_a_failure_everything_may_still_be_called(void)
{
    start(0);
    Label before = asm_label(&as), bound = asm_label(&as);
    asm_bind(&as, bound);
    x64_nop(&as, 1000);
    x64_jmp(&as, before);
    uint32_t jump = x64_jmp_short(&as);
    asm_bytes(&as, &jump, 0x1fffffff); /* more than a buffer may have */
    CHECK(as.failed);
    for (int i = 0; i < 10000; i++) {
        Label l = asm_label(&as);
        x64_jmp(&as, l);
        x64_jcc(&as, CC_E, before);
        x64_rm(&as, X64_MOVSD, XMM1, asm_const64(&as, (uint64_t)i));
        asm_offset32(&as, l, before);
        asm_bytes(&as, "0123456789012345678901234567890123456789", 40);
        asm_align(&as, 64);
        asm_bind(&as, l);
    }
    x64_land(&as, jump);
    asm_bind(&as, before);
    CHECK(!asm_finish(&as));
    start(0);
    x64_ret(&as);
    CHECK(asm_finish(&as) && asm_pos(&as) == 1);
}

static void the_processor_is_what_the_compiler_says(void)
{
    uint32_t cpu = cpu_detect();
    CHECK(!(cpu & CPU_SSE41) == !__builtin_cpu_supports("sse4.1"));
    CHECK(!(cpu & CPU_SSE42) == !__builtin_cpu_supports("sse4.2"));
    CHECK(!(cpu & CPU_SSSE3) == !__builtin_cpu_supports("ssse3"));
    CHECK(!(cpu & CPU_SSE3) == !__builtin_cpu_supports("sse3"));
    CHECK(!(cpu & CPU_POPCNT) == !__builtin_cpu_supports("popcnt"));
    CHECK(!(cpu & CPU_BMI1) == !__builtin_cpu_supports("bmi"));
    CHECK(!(cpu & CPU_BMI2) == !__builtin_cpu_supports("bmi2"));
    CHECK(!(cpu & CPU_AVX) == !__builtin_cpu_supports("avx"));
    CHECK(!(cpu & CPU_AVX2) == !__builtin_cpu_supports("avx2"));
    CHECK(!(cpu & CPU_FMA) == !__builtin_cpu_supports("fma"));
}

/* ---- code that runs ---- */

typedef struct {
    _Alignas(16) uint8_t xmm[16][16];
} Registers;

/* rdi is in, rsi is out, rdx memory, rcx a number; rax is the result. */
typedef uint64_t Code(const Registers *in, Registers *out, const void *memory,
                      uint64_t number);

static uint64_t run(const Registers *in, Registers *out, const void *memory,
                    uint64_t value)
{
    static uint8_t *page;
    enum { SIZE = 1 << 16 };
    if (!page) {
        page = mmap(NULL, SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(page != MAP_FAILED);
    }
    x64_ret(&as);
    CHECK(asm_finish(&as) && asm_pos(&as) <= SIZE);
    memcpy(page, as.start, asm_pos(&as));
    Code *code;
    memcpy(&code, &page, sizeof code);
    return code(in, out, memory, value);
}

static uint64_t run_number(uint64_t value)
{
    return run(NULL, NULL, NULL, value);
}

static void load_registers(void)
{
    for (Reg r = 0; r < 16; r++)
        x64_rm(&as, X64_MOVUPS, r, mem(RDI, 16 * r));
}

static void store_registers(void)
{
    for (Reg r = 0; r < 16; r++)
        x64_rm(&as, X64_MOVUPS_ST, r, mem(RSI, 16 * r));
}

static void loops_and_tables_run(void)
{
    start(0);
    Label loop = asm_label(&as), end = asm_label(&as);
    x64_rr(&as, X64_XOR32, RAX, RAX);
    asm_bind(&as, loop);
    x64_rr(&as, X64_TEST64, RCX, RCX);
    x64_jcc(&as, CC_E, end);
    x64_rr(&as, X64_ADD64, RAX, RCX);
    x64_ri(&as, X64_SUB64, RCX, 1);
    x64_jmp(&as, loop);
    asm_bind(&as, end);
    CHECK(run_number(100) == 5050);

    for (uint64_t i = 0; i < 3; i++) {
        start(0);
        Label table = asm_label(&as), arms[3];
        x64_lea_label(&as, RAX, table);
        x64_rm(&as, X64_MOVSXD, RCX, mem_index(RAX, RCX, 2, 0));
        x64_rr(&as, X64_ADD64, RAX, RCX);
        x64_r(&as, X64_JMP, RAX);
        asm_bind(&as, table);
        for (int k = 0; k < 3; k++)
            asm_offset32(&as, arms[k] = asm_label(&as), table);
        for (int k = 0; k < 3; k++) {
            asm_bind(&as, arms[k]);
            x64_mov_imm64(&as, RAX, 0x123456789abcull + (unsigned)k);
            x64_ret(&as);
        }
        CHECK(run_number(i) == 0x123456789abcull + i);
    }
}

/* The operands that assemblers write in another order than the encoding. */
static void the_third_operand_is_where_the_header_says(void)
{
    uint32_t cpu = cpu_detect();
    if (cpu & CPU_BMI2) {
        start(cpu);
        x64_mov_imm64(&as, RDX, 5);
        x64_rvr(&as, X64_SHLX64, RAX, RDX, RCX);
        CHECK(run_number(3) == 3 << 5);
        start(cpu);
        x64_mov_imm64(&as, RDX, 4);
        x64_rvr(&as, X64_BZHI64, RAX, RDX, RCX);
        CHECK(run_number(0xff) == 0xf);
        start(cpu);
        x64_mov_imm64(&as, RDX, UINT64_MAX);
        x64_rvr(&as, X64_MULX64, R9, RAX, RCX); /* high, low */
        x64_ri(&as, X64_SHL64, R9, 32);
        x64_rr(&as, X64_OR64, RAX, R9);
        CHECK(run_number(2) == (UINT64_MAX - 1));
        start(cpu);
        x64_rri(&as, X64_RORX64, RAX, RCX, 60);
        CHECK(run_number(0x123) == 0x1230);
    }
    if (cpu & CPU_BMI1) {
        start(cpu);
        x64_mov_imm64(&as, RDX, 0xf0);
        x64_rvr(&as, X64_ANDN64, RAX, RDX, RCX); /* ~v & rm */
        CHECK(run_number(0xff) == 0x0f);
        start(cpu);
        x64_rr(&as, X64_BLSR64, RAX, RCX);
        CHECK(run_number(0x50) == 0x40);
    }
}

static void conditions_and_sizes_run(void)
{
    start(0);
    x64_rr(&as, X64_XOR32, RAX, RAX);
    x64_ri(&as, X64_CMP64, RCX, -5);
    x64_setcc(&as, CC_L, RAX);
    CHECK(run_number((uint64_t)-6) == 1);
    start(0);
    x64_mov_imm64(&as, RAX, UINT64_MAX);
    x64_ri(&as, X64_TEST32, RCX, 0x40);
    x64_cmov32(&as, CC_NE, RAX, RCX);
    CHECK(run_number(0xff00000041) == 0x41);
    start(0);
    x64_rr(&as, X64_MOV64, RAX, RCX);
    x64_r(&as, X64_NOT64, RAX);
    x64_ri(&as, X64_SAR64, RAX, 1);
    CHECK(run_number(2) == (uint64_t)-2);
}

/* ---- three operands where the processor has two ---- */

typedef struct {
    const char *name, *reg, *rm, *form, *vex;
    uint32_t cpu;
} Row;

/* clang-format off */
static const Row rows[X64_COUNT] = {
#define X64(name, text, prefix, map, opcode, digit, w, reg, rm, form, vex, cpu) \
    {#name, #reg, #rm, #form, #vex, CPU_##cpu},
#include "target/x64/x64.def"
#undef X64
};
/* clang-format on */

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* Rows that write xmm register reg, and have a form without VEX. */
static bool is_sse(const Row *r)
{
    return *r->reg == 'X' && *r->vex != 'O' && *r->vex != 'N'
           && !strstr(r->name, "_ST") && !strstr(r->name, "EXTR");
}
static bool has_first_source(const Row *r) { return r->vex[1] == '3'; }
static bool has_imm(const Row *r) { return is(r->form, "RRI"); }

static const Reg some[] = {XMM0, XMM1, XMM7, XMM9, XMM15};
enum { SOME = sizeof some, IMM = 1 };

static Registers input;
static uint8_t memory[32];
static const uint64_t value = 0x8123456789abcdef;

/* op xmm0, xmm1 (or rcx), both just loaded: the instruction's own meaning. */
static void mean(X64Op op, const uint8_t first[16], const void *second,
                 uint8_t result[16])
{
    Registers in = {0}, out;
    memcpy(in.xmm[0], first, 16);
    memcpy(in.xmm[1], second, 16);
    start(NO_AVX);
    load_registers();
    Reg src = rows[op].rm[0] == 'G' ? RCX : XMM1;
    if (rows[op].rm[0] == 'M')
        x64_rm(&as, op, XMM0, mem(RDX, 0));
    else if (has_imm(&rows[op]))
        x64_rri(&as, op, XMM0, src, IMM);
    else
        x64_rr(&as, op, XMM0, src);
    store_registers();
    uint64_t number;
    memcpy(&number, second, 8);
    run(&in, &out, second, number);
    memcpy(result, out.xmm[0], 16);
}

/* dst is as expected, and all but it and the scratch register as before. */
static void check_registers(const Registers *out, Reg dst,
                            const uint8_t expected[16], const char *name,
                            Reg src1, Reg src2)
{
    for (Reg r = 0; r < 16; r++) {
        if (r == XMM7 && dst != XMM7)
            continue;
        const uint8_t *wanted = r == dst ? expected : input.xmm[r];
        if (memcmp(out->xmm[r], wanted, 16) != 0) {
            fprintf(stderr, "%s xmm%u, xmm%u, xmm%u: xmm%u is wrong\n", name,
                    dst, src1, src2, r);
            exit(1);
        }
    }
}

/* Without VEX a second scratch register would be needed. */
static bool needs_two(const Row *r, Reg dst, Reg src1, Reg src2)
{
    return dst == XMM7 && src2 == XMM7 && src1 != XMM7 && has_first_source(r)
           && !is(r->vex, "C3");
}

static void check_in_registers(uint32_t cpu, X64Op op, Reg dst, Reg src1,
                               Reg src2)
{
    const Row *r = &rows[op];
    bool general = r->rm[0] == 'G';
    const void *second = general ? (const void *)memory : input.xmm[src2];
    uint64_t number;
    memcpy(&number, memory, 8);
    if (!general && needs_two(r, dst, src1, src2) && !(cpu & CPU_AVX))
        return;
    uint8_t expected[16];
    Registers out;
    mean(op, input.xmm[has_first_source(r) ? src1 : dst], second, expected);
    start(cpu);
    load_registers();
    Reg last = general ? RCX : src2;
    if (has_imm(r))
        x64_sse_i(&as, op, dst, src1, last, IMM);
    else
        x64_sse(&as, op, dst, src1, last);
    store_registers();
    run(&input, &out, NULL, number);
    check_registers(&out, dst, expected, r->name, src1, src2);
}

static void check_in_memory(uint32_t cpu, X64Op op, Reg dst, Reg src1,
                            bool pool)
{
    const Row *r = &rows[op];
    bool fetched = is(r->rm, "X16") && !pool && !(cpu & CPU_AVX);
    if (is(r->vex, "L3") || is(r->rm, "X")
        || (fetched && dst == XMM7 && (src1 == XMM7 || !is(r->vex, "C3"))
            && has_first_source(r)))
        return;
    if (fetched && dst == XMM7 && is(r->name, "PTEST"))
        return;
    uint8_t expected[16];
    Registers out;
    mean(op, input.xmm[has_first_source(r) ? src1 : dst], memory + 1, expected);
    if (is(r->rm, "U16") && !pool)
        return;
    start(cpu);
    Mem m = pool ? asm_const(&as, memory + 1, 16) : mem(RDX, 1);
    load_registers();
    if (has_imm(r))
        x64_sse_mi(&as, op, dst, src1, m, IMM);
    else
        x64_sse_m(&as, op, dst, src1, m);
    store_registers();
    run(&input, &out, memory, value);
    check_registers(&out, dst, expected, r->name, src1, NO_REG);
}

static void check_row(uint32_t cpu, X64Op op)
{
    for (unsigned i = 0; i < SOME; i++)
        for (unsigned j = 0; j < SOME; j++) {
            for (unsigned k = 0; k < SOME && rows[op].rm[0] != 'M'; k++)
                check_in_registers(cpu, op, some[i], some[j], some[k]);
            check_in_memory(cpu, op, some[i], some[j], false);
            check_in_memory(cpu, op, some[i], some[j], true);
        }
}

static void three_operands_mean_the_same_on_all_processors(void)
{
    uint32_t detected = cpu_detect();
    int checked = 0;
    for (X64Op op = 0; op < X64_COUNT; op++) {
        if (!is_sse(&rows[op]) || (rows[op].cpu & ~detected))
            continue;
        check_row(NO_AVX, op);
        if (detected & CPU_AVX)
            check_row(detected, op);
        checked++;
    }
    printf("%d rows, %s AVX\n", checked,
           detected & CPU_AVX ? "with and without" : "without");
    CHECK(checked > 180);
}

static void shifts_by_an_immediate_keep_their_source(void)
{
    uint32_t cpus[2] = {NO_AVX, cpu_detect()};
    for (int i = 0; i < 2; i++)
        for (Reg dst = 0; dst < 16; dst++) {
            Registers out;
            uint8_t expected[16] = {0};
            memcpy(expected + 3, input.xmm[4], 13);
            start(cpus[i]);
            load_registers();
            x64_sse_shift(&as, X64_PSLLDQ_I, dst, XMM4, 3);
            store_registers();
            run(&input, &out, NULL, 0);
            check_registers(&out, dst, expected, "PSLLDQ_I", XMM4, NO_REG);
        }
}

/* The low double of an xmm register, by number. */
static void set_double(Registers *r, Reg n, double v)
{
    memcpy(r->xmm[n], &v, 8);
}

static void fused_and_masked_operands_are_in_order(void)
{
    uint32_t cpu = cpu_detect();
    Registers in = {0}, out;
    if (!(cpu & CPU_FMA))
        return;
    for (Reg r = 0; r < 16; r++)
        set_double(&in, r, r);
    start(cpu);
    load_registers();
    x64_rvr(&as, X64_VFMADD231SD, XMM2, XMM3, XMM5);    /* 3 * 5 + 2 */
    x64_rvr(&as, X64_VFMADD213SD, XMM4, XMM6, XMM8);    /* 6 * 4 + 8 */
    x64_rvr(&as, X64_VFNMADD132SD, XMM9, XMM10, XMM11); /* 10 - 9 * 11 */
    /* Where the mask is negative the second source. */
    x64_rvri(&as, X64_VBLENDVPD, XMM12, XMM13, XMM14, XMM9 << 4);
    store_registers();
    run(&in, &out, NULL, 0);
    static const double expected[16] = {
        [2] = 17, [4] = 32, [9] = -89, [12] = 14};
    for (Reg r = 2; r < 16; r++)
        if (expected[r] != 0) {
            double v;
            memcpy(&v, out.xmm[r], 8);
            CHECK(v == expected[r]);
        }
}

int main(void)
{
    unsigned long long seed = 1;
    for (size_t i = 0; i < sizeof input; i++)
        ((uint8_t *)&input)[i] = (uint8_t)next_random(&seed);
    for (size_t i = 0; i < sizeof memory; i++)
        memory[i] = (uint8_t)next_random(&seed);
    asm_init(&as, 0);
    RUN(a_backward_jump_is_short_where_it_fits);
    RUN(forward_uses_are_patched_at_the_bind);
    RUN(an_immediate_behind_the_displacement_is_counted);
    RUN(constants_are_shared_and_aligned);
    RUN(thousands_of_constants_keep_their_values);
    RUN(offsets_are_distances_between_labels);
    RUN(a_short_jump_lands_where_it_was_told);
    RUN(alignment_is_filled_with_long_nops);
    RUN(a_buffer_that_moves_keeps_code_and_chains);
    RUN(after_a_failure_everything_may_still_be_called);
    RUN(the_processor_is_what_the_compiler_says);
    RUN(loops_and_tables_run);
    RUN(the_third_operand_is_where_the_header_says);
    RUN(conditions_and_sizes_run);
    RUN(three_operands_mean_the_same_on_all_processors);
    RUN(shifts_by_an_immediate_keep_their_source);
    RUN(fused_and_masked_operands_are_in_order);
    asm_free(&as);
    return 0;
}
