/* Mistakes planted in the single-pass compiler: each is refused, and what is
 * refused is interpreted.  A rule is replaced by a broken one; nothing of the
 * code that results is run. */
#include "../c/check.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baseline/compiler.h"
#include "chiasm.h"
#include "chiasm_tools.h"
#include "text/parse.h"
#include "wasm/walk.h"

/* ---- modules, rules */

static void set_rule(Op op, Emit *emit)
{
    static const size_t page = 4096;
    Rule *rule = (Rule *)(uintptr_t)&baseline_rules[op];
    uintptr_t from = (uintptr_t)rule & ~(page - 1);
    uintptr_t to = ((uintptr_t)(rule + 1) + page - 1) & ~(page - 1);
    CHECK(!mprotect((void *)from, to - from, PROT_READ | PROT_WRITE));
    rule->emit = emit;
}

/* Why the module is refused, in one of the forms; NULL: it is not. */
static const char *compile(const char *text, uint8_t form)
{
    Error err = {0};
    TextModule t;
    const char *why = NULL;
    CHECK(text_parse(text, strlen(text), feature_all(), &t, &err));
    Module *m = module_new(t.bytes, t.len, feature_all(), &err);
    if (!m)
        fprintf(stderr, "%s\n", err.message);
    CHECK(m);
    Compiler *c = baseline_new();
    BaselineConfig config = {.memory0 = form, .cpu = cpu_detect()};
    for (uint32_t k = 0; k < m->n_funcs - m->n_imported_funcs && !why; k++) {
        BaselineCode code;
        bool done = baseline_compile(c, m, &m->funcs[k], &config, &code);
        CHECK(done == !code.refused);
        why = code.refused;
    }
    baseline_free(c);
    module_free(m);
    text_free(&t);
    return why;
}

/* The rule of op is broken so: the module is good before and refused then. */
static void plant(Op op, Emit *broken, const char *text)
{
    static const uint8_t forms[] = {MEMORY_WIDE, MEMORY_DENSE};
    Emit *right = baseline_rules[op].emit;
    for (unsigned k = 0; k < 2; k++) {
        CHECK(!compile(text, forms[k]));
        set_rule(op, broken);
        const char *why = compile(text, forms[k]);
        set_rule(op, right);
        CHECK(why);
        if (k == 0)
            printf("    %s\n", why);
    }
}

static const char load_of_parameter[] =
    "(module (memory 1)"
    "  (func (param i32) (result i32) (i32.load (local.get 0))))";

/* ---- a local's i32 comes as 64 bits */

static void sign_extend_reload(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    Reg r = alloc_int(c);
    x64_rm(&c->a, X64_MOVSXD, r, local_slot(c, index));
    push_reg(c, T_I32, r);
}

static void a_reload_that_extends_the_sign(void)
{
    plant(OP_LOCAL_GET, sign_extend_reload, load_of_parameter);
}

static void reload_64(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    Reg r = alloc_int(c);
    x64_rm(&c->a, X64_MOV64, r, local_slot(c, index));
    push_reg(c, T_I32, r);
}

static void a_reload_of_the_whole_slot(void)
{
    plant(OP_LOCAL_GET, reload_64, load_of_parameter);
}

static void move_64(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t index = reader_u32(&c->r);
    Reg r = alloc_int(c);
    x64_rr(&c->a, X64_MOV64, r, c->locals[index].home);
    push_reg(c, c->locals[index].type, r);
}

static void a_move_of_64_bits_for_32(void)
{
    plant(OP_LOCAL_GET, move_64, load_of_parameter);
}

/* ---- i32.wrap_i64 without its move */

static void wrap_nothing(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg r = own(c, &o);
    push_reg(c, T_I32, r);
}

/* The same, straight to where the result belongs. */
static void wrap_64(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg from = use(c, &o);
    Result r = result_reg(c, T_I32, &o);
    x64_rr(&c->a, X64_MOV64, r.reg, from);
    release(c, &o);
    result_done(c, r);
}

static void a_wrap_without_its_move(void)
{
    plant(OP_I32_WRAP_I64, wrap_nothing,
          "(module (memory 1) (func (param i64) (result i32)"
          "  (i32.load (i32.wrap_i64 (local.get 0)))))");
}

static void a_store_through_what_was_not_wrapped(void)
{
    plant(OP_I32_WRAP_I64, wrap_nothing,
          "(module (memory 1) (func (param i64)"
          "  (i64.store8 offset=77 (i32.wrap_i64 (local.get 0))"
          "    (i64.const 1))))");
}

static void a_loop_that_widens_its_index(void)
{
    plant(OP_I32_WRAP_I64, wrap_64,
          "(module (memory 1) (func (param i64) (local i32)"
          "  (loop"
          "    (i32.store (local.get 1) (i32.const 1))"
          "    (local.set 1 (i32.wrap_i64 (local.get 0)))"
          "    (br_if 0 (i64.ne (local.get 0) (i64.const 0))))))");
}

static void a_join_with_one_wide_side(void)
{
    plant(OP_I32_WRAP_I64, wrap_64,
          "(module (memory 1) (func (param i64 i32) (result i32)"
          "  (i32.load (if (result i32) (local.get 1)"
          "    (then (i32.wrap_i64 (local.get 0)))"
          "    (else (local.get 1))))))");
}

static void a_table_with_one_wide_way(void)
{
    plant(OP_I32_WRAP_I64, wrap_64,
          "(module (memory 1) (func (param i64 i32) (local i32)"
          "  (block (block"
          "    (local.set 2 (i32.wrap_i64 (local.get 0)))"
          "    (br_table 0 1 (local.get 1)))"
          "    (local.set 2 (i32.const 8)))"
          "  (i32.store (local.get 2) (i32.const 1))))");
}

/* To where the convention wants it: no move follows that would narrow it. */
static void wrap_into(Compiler *c, Reg r)
{
    Operand o = pop(c);
    take_int(c, r);
    load_into(c, &o, r);
    release(c, &o);
    push_reg(c, T_I32, r);
}

static void wrap_into_rdi(Compiler *c, const Rule *rule)
{
    (void)rule;
    wrap_into(c, RDI);
}

static void a_wide_argument(void)
{
    plant(OP_I32_WRAP_I64, wrap_into_rdi,
          "(module (memory 1)"
          "  (func $f (param i32) (result i32) (i32.load (local.get 0)))"
          "  (func (param i64) (result i32)"
          "    (call $f (i32.wrap_i64 (local.get 0)))))");
}

static void a_wide_argument_to_who_knows(void)
{
    plant(OP_I32_WRAP_I64, wrap_into_rdi,
          "(module (type $t (func (param i32) (result i32))) (table 1 funcref)"
          "  (func (param i64) (result i32)"
          "    (call_indirect (type $t) (i32.wrap_i64 (local.get 0))"
          "      (i32.const 0))))");
}

static void wrap_into_rax(Compiler *c, const Rule *rule)
{
    (void)rule;
    wrap_into(c, RAX);
}

static void a_wide_result(void)
{
    plant(OP_I32_WRAP_I64, wrap_into_rax,
          "(module (func (param i64) (result i32)"
          "  (i32.wrap_i64 (local.get 0))))");
}

/* What the callee promises is all that is known of a result. */
static void a_result_of_64_bits(void)
{
    plant(OP_I32_WRAP_I64, wrap_nothing,
          "(module (import \"\" \"\" (func $f (result i64))) (memory 1)"
          "  (func (result i32) (i32.load (i32.wrap_i64 (call $f)))))");
}

/* ---- broken accesses */

static Reg address_of_load(Compiler *c)
{
    reader_u32(&c->r);
    reader_u64(&c->r);
    Operand address = pop(c);
    return own(c, &address);
}

static void load_by(Compiler *c, Mem m, Reg r)
{
    note_position(c, POSITION_ACCESS);
    x64_rm(&c->a, X64_MOV32, r, m);
    push_reg(c, T_I32, r);
}

static void load_scaled(Compiler *c, const Rule *rule)
{
    (void)rule;
    Reg r = address_of_load(c);
    Mem m = mem_guest(MEMORY_BASE, r, 0);
    m.scale = 3;
    load_by(c, m, r);
}

static void a_scaled_index(void)
{
    plant(OP_I32_LOAD, load_scaled, load_of_parameter);
}

static void load_below(Compiler *c, const Rule *rule)
{
    (void)rule;
    Reg r = address_of_load(c);
    load_by(c, mem_guest(MEMORY_BASE, r, -4), r);
}

static void a_negative_displacement(void)
{
    plant(OP_I32_LOAD, load_below, load_of_parameter);
}

static void load_unmarked(Compiler *c, const Rule *rule)
{
    (void)rule;
    Reg r = address_of_load(c);
    load_by(c, mem_index(MEMORY_BASE, r, 0, 0), r);
}

static void an_access_that_nobody_marked(void)
{
    plant(OP_I32_LOAD, load_unmarked, load_of_parameter);
}

static void load_without_base(Compiler *c, const Rule *rule)
{
    (void)rule;
    Reg r = address_of_load(c);
    load_by(c, mem_guest(r, NO_REG, 0), r);
}

static void an_access_without_the_base(void)
{
    plant(OP_I32_LOAD, load_without_base, load_of_parameter);
}

static void load_sum(Compiler *c, const Rule *rule)
{
    (void)rule;
    Reg r = address_of_load(c);
    x64_mov_imm64(&c->a, SCRATCH, UINT32_MAX);
    x64_rr(&c->a, X64_ADD64, SCRATCH, r); /* 33 bits */
    load_by(c, mem_guest(MEMORY_BASE, SCRATCH, 0), r);
}

static void an_index_of_33_bits(void)
{
    plant(OP_I32_LOAD, load_sum, load_of_parameter);
}

static void size_in_register(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t immediates = (uint32_t)reader_offset(&c->r);
    walk_skip(&c->r, c->op);
    call_step(c, c->op, immediates, height(c) - 1);
    take_int(c, RAX);
    push_reg(c, T_I32, RAX);
}

static void an_index_that_a_helper_gave(void)
{
    plant(OP_MEMORY_SIZE, size_in_register,
          "(module (memory 1) (func (result i32) (i32.load (memory.size))))");
}

/* A home that a call may change is used behind it. */
static void forget_nothing(Compiler *c, const Rule *rule)
{
    (void)rule;
    uint32_t valid = c->valid_ints;
    call_step(c, OP_MEMORY_SIZE, (uint32_t)reader_offset(&c->r), 0);
    c->valid_ints = valid;
}

static void a_register_that_a_call_changed(void)
{
    plant(OP_NOP, forget_nothing,
          "(module (memory 1) (func (param i32 i32 i32 i32)"
          "  (i32.store (local.get 0) (i32.const 0)) nop"
          "  (i32.store (local.get 0) (local.get 1))"
          "  (i32.store (local.get 2) (local.get 3))))");
}

/* ---- the convention */

static void overwrite_base(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_mov_imm64(&c->a, MEMORY_BASE, 0);
}

static void a_clobbered_base(void)
{
    plant(OP_NOP, overwrite_base, "(module (func nop))");
}

static void switch_instance(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_rm(&c->a, X64_MOV64, CONTEXT, mem(CONTEXT, 64));
}

static void an_access_for_another_instance(void)
{
    plant(OP_NOP, switch_instance,
          "(module (memory 1) (func (param i32)"
          "  nop (i32.store (local.get 0) (i32.const 0))))");
}

static void load_half(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_rm(&c->a, X64_MOV64, MEMORY_BASE, FIELD(CONTEXT, Instance, memory0));
}

static void a_base_that_is_half_loaded(void)
{
    plant(OP_NOP, load_half,
          "(module (memory 1) (func (param i32)"
          "  nop (i32.store (local.get 0) (i32.const 0))))");
}

static void call_without_notice(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_m(&c->a, X64_CALL, mem(CONTEXT, 64));
}

static void a_call_without_notice(void)
{
    plant(OP_NOP, call_without_notice, "(module (func nop))");
}

static void overwrite_kept(Compiler *c, const Rule *rule)
{
    (void)rule;
    x64_mov_imm64(&c->a, R13, 0);
}

static void a_register_that_belongs_to_the_caller(void)
{
    plant(OP_NOP, overwrite_kept, "(module (func nop))");
}

/* ---- what is refused runs all the same */

static const char counts[] =
    "(module (memory 1)"
    "  (func (export \"f\") (result i32)"
    "    (i32.store (i32.const 8) (i32.const 42))"
    "    (i32.load (i32.wrap_i64 (i64.const 0x100000008)))))";

static void wrap_constant(Compiler *c, const Rule *rule)
{
    (void)rule;
    Operand o = pop(c);
    Reg r = own(c, &o);
    push_reg(c, T_I32, r);
}

static uint64_t run_counting(void)
{
    chi_error err = {0};
    chi_config config = {.tier = CHI_TIER_BASELINE};
    chi_module *m = chi_module_from_text(counts, sizeof counts - 1,
                                         chi_features_all(), &err);
    chi_store *s = chi_store_new(NULL);
    CHECK(m && chi_store_configure(s, &config, &err));
    chi_instance *i = chi_instance_new(s, m, NULL, &err);
    CHECK(i);
    chi_extern f = chi_instance_export(i, 0);
    uint64_t slot = 0;
    CHECK(chi_call(f.func, &slot, &err) == CHI_OK);
    chi_extern_free(f);
    chi_instance_free(i);
    chi_store_free(s);
    chi_module_free(m);
    return slot;
}

static void what_is_refused_is_interpreted(void)
{
    Emit *right = baseline_rules[OP_I32_WRAP_I64].emit;
    unsetenv("CHIASM_VERIFY");
    set_rule(OP_I32_WRAP_I64, wrap_constant);
    uint64_t result = run_counting();
    set_rule(OP_I32_WRAP_I64, right);
    CHECK(result == 42);
}

static void a_switch_stops_at_a_refusal(void)
{
    int pipes[2], status;
    char said[400] = "";
    CHECK(!pipe(pipes));
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 2);
        setenv("CHIASM_VERIFY", "abort", 1);
        set_rule(OP_I32_WRAP_I64, wrap_constant);
        run_counting();
        _exit(0);
    }
    close(pipes[1]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(read(pipes[0], said, sizeof said - 1) > 0);
    CHECK(strstr(said, "chiasm: the access verifier refuses function 0"));
}

int main(void)
{
    RUN(a_reload_that_extends_the_sign);
    RUN(a_reload_of_the_whole_slot);
    RUN(a_move_of_64_bits_for_32);
    RUN(a_wrap_without_its_move);
    RUN(a_store_through_what_was_not_wrapped);
    RUN(a_loop_that_widens_its_index);
    RUN(a_join_with_one_wide_side);
    RUN(a_table_with_one_wide_way);
    RUN(a_wide_argument);
    RUN(a_wide_argument_to_who_knows);
    RUN(a_wide_result);
    RUN(a_result_of_64_bits);
    RUN(a_scaled_index);
    RUN(a_negative_displacement);
    RUN(an_access_that_nobody_marked);
    RUN(an_access_without_the_base);
    RUN(an_index_of_33_bits);
    RUN(an_index_that_a_helper_gave);
    RUN(a_register_that_a_call_changed);
    RUN(a_clobbered_base);
    RUN(an_access_for_another_instance);
    RUN(a_base_that_is_half_loaded);
    RUN(a_call_without_notice);
    RUN(a_register_that_belongs_to_the_caller);
    RUN(what_is_refused_is_interpreted);
    RUN(a_switch_stops_at_a_refusal);
}
