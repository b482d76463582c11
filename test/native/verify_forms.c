/* The access verifier, driven by the assembler alone: which operands it
 * allows, and what it knows behind joins, loops, tables, calls. */
#include "../c/check.h"

#include "target/x64/asm.h"

enum { RECORD_AT = 16, BASE_AT = 8, OWN_AT = -8 };
static const GuardLayout layout = {
    RECORD_AT,
    BASE_AT,
    {[RBX] = -24, [R12] = -32, [R13] = -40, [R14] = OWN_AT},
};
#define OWN    (FACT_KEPT(R14) | FACT_BASE(R15))
#define CALLER (FACT_KEPT(RBX) | FACT_KEPT(R12) | FACT_KEPT(R13))

static Assembler as;

static void begin(Facts facts)
{
    asm_reset(&as);
    as.cpu = CPU_ALL;
    guard_begin(&as.guard, &layout, OWN | CALLER | facts);
}

static bool is_refused(void) { return guard_refusal(&as.guard); }

static void leave(Facts needs)
{
    guard_announce(&as.guard, (GuardExit){needs, 0, FACTS_ALL});
    x64_ret(&as);
}

static void call(Facts keeps, Facts gives)
{
    guard_announce(&as.guard, (GuardExit){OWN, keeps, gives});
    x64_r(&as, X64_CALL, RAX);
}

static void access(Mem m) { x64_rm(&as, X64_MOVSD, XMM0, m); }

/* Is an access through `index` allowed here? */
static bool is_u32(Reg index)
{
    CHECK(!is_refused());
    access(mem_guest(R15, index, 0));
    bool allowed = !is_refused();
    as.guard.refused = NULL;
    return allowed;
}

static bool code_is_good(void)
{
    bool good = asm_finish(&as);
    CHECK(good == !is_refused());
    return good;
}

/* ---- operands */

static void accesses_have_one_of_four_forms(void)
{
    Mem scaled = mem_guest(R15, RAX, 0), plain = mem(R15, 0);
    scaled.scale = 1;
    const struct {
        Mem m;
        bool allowed;
    } cases[] = {
        {mem_guest(R15, NO_REG, 0), true},
        {mem_guest(R15, NO_REG, INT32_MAX), true},
        {mem_guest(R15, NO_REG, -1), false},
        {mem_guest(R15, RAX, 0), true},
        {mem_guest(R15, RAX, INT32_MAX), true},
        {mem_guest(R15, RAX, -1), false},
        {mem_guest(R15, RAX, INT32_MIN), false},
        {mem_guest(R15, RCX, 0), false}, /* any 64 bits */
        {mem_guest(R15, R11, 0), false}, /* base + U32 */
        {mem_guest(R15, R15, 0), false},
        {mem_guest(R15, R14, 0), false},
        {scaled, false},
        {mem_guest(R11, NO_REG, 0), true},
        {mem_guest(R11, NO_REG, INT32_MAX), true},
        {mem_guest(R11, NO_REG, -1), false},
        {mem_guest(R11, RAX, 0), true},
        {mem_guest(R11, RAX, 1), false},
        {mem_guest(R11, RCX, 0), false},
        {mem_guest(R11, R11, 0), false},
        {mem_guest(RAX, NO_REG, 0), false},
        {mem_guest(RAX, R11, 0), false},
        {mem_guest(R14, NO_REG, 0), false},
        {mem_guest(RBP, NO_REG, 0), false},
        {mem_guest(NO_REG, RAX, 0), false},
        {mem_guest(NO_REG, NO_REG, 0), false},
        {plain, false},
        {mem(R15, BASE_AT), false},
        {mem_index(R15, RAX, 0, 0), false},
        {mem_index(RAX, R15, 0, 0), false},
        {mem_index(RBP, R15, 3, 8), false},
        {mem_index(NO_REG, R15, 0, 0), false},
        {mem(R11, 0), false},
        {mem_index(RCX, R11, 0, 0), false},
        {mem(RCX, -8), true},
        {mem_index(RCX, RDX, 3, -8), true},
        {mem(R14, 8), true},
    };
    for (unsigned k = 0; k < sizeof cases / sizeof *cases; k++) {
        begin(FACT_U32(RAX) | FACT_BASE(R11));
        access(cases[k].m);
        if (is_refused() == cases[k].allowed) {
            fprintf(stderr, "case %u: %s\n", k, as.guard.refused);
            CHECK(false);
        }
    }
}

static void every_function_looks_at_its_operand(void)
{
    Mem bad = mem_guest(R15, RCX, 0);
#define LOOKS(call)                                                            \
    begin(0);                                                                  \
    call;                                                                      \
    CHECK(is_refused());
    for (int k = 0; k < 2; k++) {
        LOOKS(x64_rm(&as, X64_MOV32, RAX, bad))
        LOOKS(x64_rm(&as, X64_MOV64_ST, RBX, bad))
        LOOKS(x64_rm(&as, X64_LEA64, RAX, bad))
        LOOKS(x64_rm(&as, X64_MOVSD, XMM1, bad))
        LOOKS(x64_rm(&as, X64_CMP32, RAX, bad))
        LOOKS(x64_rm(&as, X64_LOCK_XADD32, RAX, bad))
        LOOKS(x64_mi(&as, X64_MOV32, bad, 1))
        LOOKS(x64_m(&as, X64_PUSH, bad))
        LOOKS(x64_m(&as, X64_DIV64, bad))
        LOOKS(x64_rmi(&as, X64_IMUL32, RAX, bad, 1))
        LOOKS(x64_rmi(&as, X64_PSHUFD, XMM1, bad, 1))
        LOOKS(x64_rmi(&as, X64_PEXTRB, XMM1, bad, 1))
        LOOKS(x64_rvm(&as, X64_SHLX32, RAX, RDX, bad))
        LOOKS(x64_rvm(&as, X64_VFMADD213SD, XMM1, XMM2, bad))
        LOOKS(x64_rvmi(&as, X64_VPBLENDVB, XMM1, XMM2, bad, 0))
        LOOKS(x64_sse_m(&as, X64_ADDPS, XMM1, XMM2, bad))
        LOOKS(as.cpu = 0; x64_sse_m(&as, X64_ADDPS, XMM1, XMM2, bad))
        LOOKS(x64_sse_mi(&as, X64_CMPPS, XMM1, XMM2, bad, 1))
        LOOKS(x64_cmov32_m(&as, CC_E, RAX, bad))
        LOOKS(x64_cmov64_m(&as, CC_E, RAX, bad))
        bad = mem(R15, 8);
    }
    LOOKS(x64_rm(&as, X64_BT32, RCX, mem_guest(R15, NO_REG, 0)))
#undef LOOKS
}

static void a_base_and_an_offset_make_an_address(void)
{
    begin(FACT_U32(RAX));
    x64_mov_imm64(&as, R11, 0xffffffff);
    x64_rm(&as, X64_LEA64, R11, mem_guest(R15, R11, 0));
    access(mem_guest(R11, RAX, 0));
    CHECK(!is_refused());
    const Mem others[] = {
        mem_guest(R15, RAX, 1), /* + another 4 GiB would be too much */
        mem_guest(R15, NO_REG, 0), mem_guest(R11, RAX, 0)};
    for (unsigned k = 0; k < 3; k++) {
        begin(FACT_U32(RAX) | FACT_BASE(R11));
        x64_rm(&as, X64_LEA64, R11, others[k]);
        CHECK(is_refused());
    }
    begin(FACT_U32(RAX) | FACT_BASE(R11));
    x64_ri(&as, X64_ADD64, R11, 8);
    access(mem_guest(R11, NO_REG, 0));
    CHECK(is_refused());
    begin(FACT_U32(RAX));
    x64_rm(&as, X64_LEA64, R11, mem_index(R15, RAX, 0, 0));
    CHECK(is_refused());
}

/* ---- instructions */

static void thirty_two_bits_make_an_index_and_sixty_four_do_not(void)
{
    begin(0);
    CHECK(!is_u32(RAX));
    x64_rr(&as, X64_MOV32, RAX, RCX);
    CHECK(is_u32(RAX) && !is_u32(RCX));
    x64_rr(&as, X64_MOV64, RCX, RAX); /* copies, but no one counts on it */
    CHECK(!is_u32(RCX));
    x64_rm(&as, X64_MOVSXD, RAX, mem(RBP, -64));
    CHECK(!is_u32(RAX));
    x64_rm(&as, X64_MOV32, RAX, mem(RBP, -64));
    CHECK(is_u32(RAX));
    x64_ri(&as, X64_ADD64, RAX, 1);
    CHECK(!is_u32(RAX));
    x64_mov_imm64(&as, RAX, UINT32_MAX);
    CHECK(is_u32(RAX));
    x64_mov_imm64(&as, RAX, 1ull << 32);
    CHECK(!is_u32(RAX));
    x64_ri(&as, X64_MOV64, RAX, -1);
    CHECK(!is_u32(RAX));
    x64_r(&as, X64_POP, RCX);
    CHECK(!is_u32(RCX));
    x64_r(&as, X64_DIV32, RCX);
    CHECK(is_u32(RAX) && is_u32(RDX));
    x64_cqo(&as);
    CHECK(is_u32(RAX) && !is_u32(RDX));
    x64_setcc(&as, CC_E, RAX);
    CHECK(is_u32(RAX));
    x64_setcc(&as, CC_E, RDX);
    CHECK(!is_u32(RDX));
    x64_rr(&as, X64_MOVD_ST, XMM1, RCX);
    CHECK(is_u32(RCX));
    x64_rr(&as, X64_CVTTSD2SI64, RCX, XMM1);
    CHECK(!is_u32(RCX));
}

/* ---- ways */

static void a_join_keeps_what_holds_on_both_sides(void)
{
    for (unsigned wide = 0; wide < 4; wide++) {
        begin(0);
        Label other = asm_label(&as), end = asm_label(&as);
        x64_jcc(&as, CC_E, other);
        x64_rr(&as, wide & 1 ? X64_MOV64 : X64_MOV32, RAX, RCX);
        x64_jmp(&as, end);
        asm_bind(&as, other);
        x64_rr(&as, wide & 2 ? X64_MOV64 : X64_MOV32, RAX, RDX);
        asm_bind(&as, end);
        CHECK(is_u32(RAX) == !wide);
        leave(0);
        CHECK(code_is_good());
    }
}

static void a_short_jump_is_a_way_too(void)
{
    for (unsigned wide = 0; wide < 4; wide++) {
        begin(0);
        x64_rr(&as, wide & 1 ? X64_MOV64 : X64_MOV32, RAX, RCX);
        uint32_t jump = x64_jcc_short(&as, CC_E);
        x64_rr(&as, wide & 2 ? X64_MOV64 : X64_MOV32, RAX, RDX);
        x64_land(&as, jump);
        CHECK(is_u32(RAX) == !wide);
        jump = x64_jmp_short(&as);
        CHECK(is_u32(RCX)); /* nothing gets here */
        x64_land(&as, jump);
        CHECK(!is_u32(RCX));
    }
}

static void a_loop_keeps_what_each_turn_gives_back(void)
{
    for (unsigned widens = 0; widens < 2; widens++) {
        begin(FACT_U32(RAX) | FACT_U32(RCX));
        Label loop = asm_label(&as);
        guard_forget(&as.guard, OWN | CALLER | FACT_U32(RAX));
        asm_bind(&as, loop);
        CHECK(is_u32(RAX) && !is_u32(RCX));
        x64_rr(&as, widens ? X64_ADD64 : X64_ADD32, RAX, RCX);
        x64_jcc(&as, CC_NE, loop);
        CHECK(is_refused() == widens);
    }
}

static void every_target_of_a_table_counts(void)
{
    for (unsigned last = 0; last < 2; last++) {
        begin(last ? FACT_U32(RBX) : 0);
        Label table = asm_label(&as), arms[3];
        x64_lea_label(&as, RAX, table);
        guard_announce(&as.guard, (GuardExit){0, 0, FACTS_ALL});
        x64_r(&as, X64_JMP, RAX);
        asm_bind(&as, table);
        for (unsigned k = 0; k < 3; k++)
            asm_offset32(&as, arms[k] = asm_label(&as), table);
        for (unsigned k = 0; k < 3; k++) {
            asm_bind(&as, arms[k]);
            CHECK(is_u32(RBX) == last);
            leave(0);
        }
        CHECK(code_is_good());
    }
    begin(FACT_U32(RBX)); /* back to a loop that it widened */
    Label loop = asm_label(&as), table = asm_label(&as);
    asm_bind(&as, loop);
    x64_rr(&as, X64_MOV64, RBX, RCX);
    guard_announce(&as.guard, (GuardExit){0, 0, FACTS_ALL});
    x64_r(&as, X64_JMP, RAX);
    asm_bind(&as, table);
    asm_offset32(&as, loop, table);
    CHECK(is_refused());
}

static void a_landing_knows_no_more_than_the_frame(void)
{
    begin(FACT_U32(RBX));
    x64_rm(&as, X64_MOV64_ST, R14, mem(RBP, OWN_AT));
    guard_frame(&as.guard);
    leave(0);
    asm_enter(&as);
    CHECK(!is_u32(RBX));
    access(mem_guest(R15, NO_REG, 0));
    CHECK(is_refused());
    as.guard.refused = NULL;
    x64_rm(&as, X64_MOV64, R14, mem(RBP, OWN_AT));
    x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
    x64_rm(&as, X64_MOV64, R15, mem(R15, BASE_AT));
    access(mem_guest(R15, NO_REG, 0));
    CHECK(!is_refused());
}

static void nothing_runs_into_data_or_off_the_end(void)
{
    begin(0);
    CHECK(!code_is_good());
    begin(0);
    asm_bytes(&as, "\xcc", 1);
    CHECK(is_refused());
    begin(0);
    leave(0);
    asm_bytes(&as, "\xcc", 1);
    CHECK(code_is_good());
    begin(0);
    leave(0);
    Label l = asm_label(&as);
    asm_bind(&as, l);
    leave(0);
    asm_offset32(&as, l, l);
    CHECK(code_is_good());
}

/* ---- the convention */

static void calls_and_returns_are_announced(void)
{
    begin(0);
    x64_r(&as, X64_CALL, RAX);
    CHECK(is_refused());
    begin(0);
    x64_m(&as, X64_JMP, mem(RAX, 0));
    CHECK(is_refused());
    begin(0);
    x64_ret_n(&as, 16);
    CHECK(is_refused());
    begin(0);
    call(OWN, 0);
    x64_r(&as, X64_CALL, RAX); /* once announced is for one */
    CHECK(is_refused());
}

static void a_call_leaves_what_it_keeps_and_gives(void)
{
    begin(FACT_U32(RBX) | FACT_U32(RCX));
    call(OWN | FACT_U32(RBX), 0);
    CHECK(is_u32(RBX) && !is_u32(RCX) && !is_u32(RAX));
    call(OWN | FACT_U32(RBX), FACT_U32(RAX));
    CHECK(is_u32(RAX));
}

static void arguments_and_results_are_as_wide_as_they_say(void)
{
    for (unsigned wide = 0; wide < 2; wide++) {
        begin(0);
        x64_rr(&as, wide ? X64_MOV64 : X64_MOV32, RDI, RCX);
        guard_announce(&as.guard, (GuardExit){OWN | FACT_U32(RDI), OWN, 0});
        x64_r(&as, X64_CALL, RAX);
        CHECK(is_refused() == wide);
        begin(0);
        x64_rr(&as, wide ? X64_MOV64 : X64_MOV32, RAX, RCX);
        leave(OWN | CALLER | FACT_U32(RAX));
        CHECK(is_refused() == wide);
    }
}

static void what_is_kept_comes_from_where_it_was_saved(void)
{
    for (unsigned saves = 0; saves < 2; saves++)
        for (unsigned restores = 0; restores < 3; restores++) {
            begin(0);
            if (saves)
                x64_rm(&as, X64_MOV64_ST, RBX, mem(RBP, layout.slots[RBX]));
            x64_rr(&as, X64_MOV32, RBX, RDI);
            if (restores)
                x64_rm(&as, X64_MOV64, RBX,
                       mem(RBP, layout.slots[restores == 1 ? RBX : R12]));
            leave(OWN | CALLER);
            CHECK(is_refused() == !(saves && restores == 1));
        }
    begin(0); /* too late */
    x64_rr(&as, X64_MOV32, RBX, RDI);
    x64_rm(&as, X64_MOV64_ST, RBX, mem(RBP, layout.slots[RBX]));
    x64_rm(&as, X64_MOV64, RBX, mem(RBP, layout.slots[RBX]));
    leave(OWN | CALLER);
    CHECK(is_refused());
}

static void r15_is_written_by_the_two_loads_alone(void)
{
    const struct {
        X64Op op;
        Mem m;
    } others[] = {
        {X64_MOV64, mem(RBP, OWN_AT)},         {X64_MOV32, mem(R14, RECORD_AT)},
        {X64_MOV64, mem(R14, RECORD_AT + 8)},  {X64_MOV64, mem(R13, RECORD_AT)},
        {X64_LEA64, mem(R14, RECORD_AT)},      {X64_ADD64, mem(R14, RECORD_AT)},
        {X64_LOCK_XADD64, mem(R14, RECORD_AT)}};
    for (unsigned k = 0; k < sizeof others / sizeof *others; k++) {
        begin(0);
        x64_rm(&as, others[k].op, R15, others[k].m);
        CHECK(is_refused());
    }
#define REFUSES(call)                                                          \
    begin(0);                                                                  \
    call;                                                                      \
    CHECK(is_refused());
    REFUSES(x64_rr(&as, X64_MOV64, R15, RAX))
    REFUSES(x64_rr(&as, X64_MOV32, R15, RAX))
    REFUSES(x64_rr(&as, X64_MOV64_ST, RAX, R15))
    REFUSES(x64_ri(&as, X64_ADD64, R15, 1))
    REFUSES(x64_ri(&as, X64_SHL64, R15, 1))
    REFUSES(x64_mov_imm64(&as, R15, 0))
    REFUSES(x64_r(&as, X64_POP, R15))
    REFUSES(x64_r(&as, X64_INC64, R15))
    REFUSES(x64_setcc(&as, CC_E, R15))
    REFUSES(x64_cmov64(&as, CC_E, R15, RAX))
    REFUSES(x64_rr(&as, X64_XCHG64, RAX, R15))
    REFUSES(x64_rr(&as, X64_MOVQ_ST, XMM1, R15))
    REFUSES(x64_rvr(&as, X64_MULX64, RAX, R15, RCX))
    REFUSES(x64_mov_imm64(&as, R14, 0))
    REFUSES(x64_rr(&as, X64_MOV64, R14, RAX))
    begin(0); /* half of the way */
    x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
    REFUSES(x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
            access(mem_guest(R15, NO_REG, 0)))
    REFUSES(x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
            x64_rm(&as, X64_MOV64, R15, mem(R15, BASE_AT + 8)))
    REFUSES(x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
            x64_rm(&as, X64_MOV64, R15, mem(RAX, BASE_AT)))
    REFUSES(x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
            x64_rm(&as, X64_MOV64, RAX, mem(R15, BASE_AT + 8)))
#undef REFUSES
}

static void another_instance_has_another_memory(void)
{
    begin(0);
    x64_rm(&as, X64_MOV64_ST, R14, mem(RBP, OWN_AT));
    x64_rm(&as, X64_MOV64, R14, mem(R11, 8));
    access(mem_guest(R15, NO_REG, 0)); /* whose base may be freed meanwhile */
    CHECK(is_refused());
    as.guard.refused = NULL;
    guard_announce(&as.guard, (GuardExit){FACT_BASE(R15), 0, 0});
    x64_r(&as, X64_CALL, RAX); /* r15 is not that of r14 */
    CHECK(is_refused());

    begin(0);
    x64_rm(&as, X64_MOV64_ST, R14, mem(RBP, OWN_AT));
    x64_rm(&as, X64_MOV64, R14, mem(R11, 8));
    x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
    x64_rm(&as, X64_MOV64, R15, mem(R15, BASE_AT));
    guard_announce(&as.guard, (GuardExit){FACT_BASE(R15),
                                          FACT_BASE(R15) | FACTS_SAVED, 0});
    x64_r(&as, X64_CALL, RAX);
    CHECK(!is_refused());
    access(mem_guest(R15, NO_REG, 0));
    CHECK(is_refused());
    as.guard.refused = NULL;
    x64_rm(&as, X64_MOV64, R14, mem(RBP, OWN_AT));
    access(mem_guest(R15, NO_REG, 0));
    CHECK(is_refused());
    as.guard.refused = NULL;
    x64_rm(&as, X64_MOV64, R15, mem(R14, RECORD_AT));
    x64_rm(&as, X64_MOV64, R15, mem(R15, BASE_AT));
    access(mem_guest(R15, NO_REG, 0));
    CHECK(!is_refused());
}

int main(void)
{
    asm_init(&as, CPU_ALL);
    RUN(accesses_have_one_of_four_forms);
    RUN(every_function_looks_at_its_operand);
    RUN(a_base_and_an_offset_make_an_address);
    RUN(thirty_two_bits_make_an_index_and_sixty_four_do_not);
    RUN(a_join_keeps_what_holds_on_both_sides);
    RUN(a_short_jump_is_a_way_too);
    RUN(a_loop_keeps_what_each_turn_gives_back);
    RUN(every_target_of_a_table_counts);
    RUN(a_landing_knows_no_more_than_the_frame);
    RUN(nothing_runs_into_data_or_off_the_end);
    RUN(calls_and_returns_are_announced);
    RUN(a_call_leaves_what_it_keeps_and_gives);
    RUN(arguments_and_results_are_as_wide_as_they_say);
    RUN(what_is_kept_comes_from_where_it_was_saved);
    RUN(r15_is_written_by_the_two_loads_alone);
    RUN(another_instance_has_another_memory);
    asm_free(&as);
}
