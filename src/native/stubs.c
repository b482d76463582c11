/* The code between C and compiled functions. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "interp/step.h"
#include "native/announce.h"
#include "runtime/heap.h"
#include "runtime/memory.h"

#define FIELD(reg, T, field) mem((reg), (int32_t)offsetof(T, field))

static Assembler a; /* under the global lock */
static uintptr_t leave_stub, fail_stub, lazy_stub, restore_stub;
static const void *helpers[HELPER_STEP + OP_COUNT];
const void *const *native_helpers = helpers;

uintptr_t stub_leave(void) { return leave_stub; }
uintptr_t stub_lazy(void) { return lazy_stub; }
uintptr_t stub_restore(void) { return restore_stub + 1; }

/* Puts what was assembled where it can run. */
static const uint8_t *place(const char *name)
{
    NativeCode *n = calloc(1, sizeof *n);
    CodeSpan span;
    if (!n || !asm_finish(&a) || !code_alloc(asm_pos(&a), n, &span)) {
        free(n);
        return NULL;
    }
    memcpy(span.write, a.start, asm_pos(&a));
    n->start = span.exec;
    n->size = asm_pos(&a);
    if (code_seal(span)) {
        native_announce(n, name);
        return span.exec;
    }
    code_free(span.exec);
    free(n);
    return NULL;
}

static void call_c(uintptr_t function)
{
    x64_mov_imm64(&a, RAX, function);
    x64_r(&a, X64_CALL, RAX);
}

static void jump_to(uintptr_t code)
{
    x64_mov_imm64(&a, R11, code);
    x64_r(&a, X64_JMP, R11);
}

/* ---- fixed ones */

static const Reg saved_regs[] = {RBX, R12, R13, R14, R15};

/* eax: the result; rbp: of the entry stub's frame. */
static void emit_leave(void)
{
    x64_rm(&a, X64_LEA64, RSP, mem(RBP, -40));
    for (unsigned k = 5; k-- > 0;)
        x64_r(&a, X64_POP, saved_regs[k]);
    x64_r(&a, X64_POP, RBP);
    x64_ret(&a);
}

/* Called with eax an ErrorCode, r14 the instance: the return address says
 * where.  Goes where native_fail says. */
static void emit_fail(void)
{
    x64_rr(&a, X64_MOV64, RDI, RAX);
    x64_rr(&a, X64_MOV64, RSI, RBP);
    x64_rm(&a, X64_MOV64, RDX, mem(RSP, 0));
    x64_rr(&a, X64_MOV64, RCX, R14);
    x64_ri(&a, X64_AND64, RSP, -16);
    x64_ri(&a, X64_SUB64, RSP, sizeof(Landing));
    x64_rr(&a, X64_MOV64, R8, RSP);
    call_c((uintptr_t)native_fail);
    x64_rm(&a, X64_MOV64, R11, FIELD(RSP, Landing, pc));
    x64_rm(&a, X64_MOV64, RBP, FIELD(RSP, Landing, fp));
    x64_rm(&a, X64_MOV64, RAX, FIELD(RSP, Landing, result));
    x64_rm(&a, X64_MOV64, RSP, FIELD(RSP, Landing, sp));
    x64_r(&a, X64_JMP, R11);
}

static const Reg volatile_regs[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10};
enum { N_VOLATILE = 8 };

/* A frame that keeps every register that C may change; aligned. */
static void save_volatile(void)
{
    x64_r(&a, X64_PUSH, RBP);
    x64_rr(&a, X64_MOV64, RBP, RSP);
    for (unsigned k = 0; k < N_VOLATILE; k++)
        x64_r(&a, X64_PUSH, volatile_regs[k]);
    x64_r(&a, X64_PUSH, R11);
    x64_ri(&a, X64_AND64, RSP, -16);
    x64_ri(&a, X64_SUB64, RSP, 256);
    for (int32_t k = 0; k < 16; k++)
        x64_rm(&a, X64_MOVUPS_ST, (Reg)k, mem(RSP, 16 * k));
}

static void restore_volatile(void)
{
    for (int32_t k = 0; k < 16; k++)
        x64_rm(&a, X64_MOVUPS, (Reg)k, mem(RSP, 16 * k));
    x64_rm(&a, X64_LEA64, RSP, mem(RBP, -8 * N_VOLATILE));
    for (unsigned k = N_VOLATILE; k-- > 0;)
        x64_r(&a, X64_POP, volatile_regs[k]);
}

static void emit_check(void)
{
    Label failed = asm_label(&a);
    save_volatile();
    x64_rr(&a, X64_MOV64, RDI, R14);
    x64_rr(&a, X64_MOV64, RSI, RBP);
    call_c((uintptr_t)native_check);
    x64_rr(&a, X64_TEST32, RAX, RAX);
    x64_jcc(&a, CC_NE, failed);
    restore_volatile();
    x64_r(&a, X64_POP, RBP);
    x64_ret(&a);
    asm_bind(&a, failed);
    x64_rr(&a, X64_MOV64, RSP, RBP);
    x64_r(&a, X64_POP, RBP);
    jump_to(fail_stub);
}

/* The word is on the stack, the target in the caller's frame. */
static void emit_match(void)
{
    save_volatile();
    x64_rm(&a, X64_MOV64, RSI, mem(RBP, 0));
    x64_rm(&a, X64_MOV64, RDI, mem(RBP, 16));
    x64_rm(&a, X64_MOV32, RSI, mem(RSI, -48));
    x64_rr(&a, X64_MOV64, RDX, R14);
    call_c((uintptr_t)native_match);
    x64_rr(&a, X64_MOVZX8, R11, RAX);
    restore_volatile();
    x64_r(&a, X64_POP, RBP);
    x64_ret(&a);
}

/* The function fails as if the helper had been HELPER_FAIL. */
static void emit_then_fail(uintptr_t function)
{
    x64_ri(&a, X64_SUB64, RSP, 8);
    call_c(function);
    x64_ri(&a, X64_ADD64, RSP, 8);
    jump_to(fail_stub);
}

static void emit_throw(void)
{
    x64_rr(&a, X64_MOV64, RDX, RSI);
    x64_rr(&a, X64_MOV32, RSI, RDI);
    x64_rr(&a, X64_MOV64, RDI, R14);
    emit_then_fail((uintptr_t)native_throw);
}

static void emit_rethrow(void)
{
    x64_rr(&a, X64_MOV64, RSI, RDI);
    x64_rr(&a, X64_MOV64, RDI, R14);
    emit_then_fail((uintptr_t)native_rethrow);
}

/* Called by a lazy stub, behind whose call the return address is; jumps to
 * the function, or fails as if its caller had called HELPER_FAIL. */
static void emit_lazy(void)
{
    Label failed = asm_label(&a);
    save_volatile();
    x64_ri(&a, X64_SUB64, RSP, 16);
    x64_rr(&a, X64_MOV64, RDI, R14);
    x64_rm(&a, X64_MOV64, RSI, mem(RBP, 8));
    x64_rr(&a, X64_MOV64, RDX, RSP);
    call_c((uintptr_t)native_compile_lazily);
    x64_rr(&a, X64_TEST64, RAX, RAX);
    x64_jcc(&a, CC_E, failed);
    x64_rm(&a, X64_MOV64_ST, RAX, mem(RBP, 8));
    x64_ri(&a, X64_ADD64, RSP, 16);
    restore_volatile();
    x64_r(&a, X64_POP, RBP);
    x64_ret(&a); /* to the function; its caller's address is on top now */
    asm_bind(&a, failed);
    x64_rm(&a, X64_MOV32, RAX, mem(RSP, 0));
    x64_rr(&a, X64_MOV64, RSP, RBP);
    x64_r(&a, X64_POP, RBP);
    x64_ri(&a, X64_ADD64, RSP, 8);
    jump_to(fail_stub);
}

/* Behind a tail call to another instance the caller is returned to through a
 * frame of its own, which restores what belongs to the caller's instance:
 *
 *   R+8 return address   R caller's rbp   R-8 caller's r14   R-16 unused
 *   below it the arguments on the stack, then the address of restore_stub
 *
 * If the caller is such a frame already, it serves again: so that functions of
 * two instances may call each other in a constant stack.  But a host function
 * has one of its own, which tells who called it.  Below rsp is the
 * red zone, which signals leave alone. */
static void emit_restore(void)
{
    x64_nop(&a, 1); /* return addresses lie behind the start of their code */
    x64_rm(&a, X64_MOV64, R14, mem(RBP, -8));
    x64_rm(&a, X64_MOV64, R15, FIELD(R14, Instance, memory0));
    x64_rm(&a, X64_MOV64, R15, FIELD(R15, MemoryData, base));
    x64_rr(&a, X64_MOV64, RSP, RBP);
    x64_r(&a, X64_POP, RBP);
    x64_ret(&a);
}

static void emit_tail_across(void)
{
    enum { DOWN = 32 };
    Label again = asm_label(&a), loop = asm_label(&a), done = asm_label(&a);
    Label fresh = asm_label(&a);
    x64_rm(&a, X64_MOV64, R11, mem(RSP, -8));
    x64_rm(&a, X64_MOV64, R15, mem(RSP, -16));
    x64_rm(&a, X64_MOV64_ST, R14, mem(RSP, -8 - DOWN));
    x64_mov_imm64(&a, R14, restore_stub + 1);
    x64_rm(&a, X64_CMP64, R14, mem(RSP, 0));
    x64_jcc(&a, CC_NE, fresh);
    x64_mi(&a, X64_CMP64, FIELD(R11, FuncRef, func), 0);
    x64_jcc(&a, CC_NE, again);
    asm_bind(&a, fresh);
    x64_ri(&a, X64_SUB64, RSP, DOWN);
    x64_rm(&a, X64_MOV64, R14, mem(RSP, DOWN));
    x64_rm(&a, X64_MOV64_ST, R14, mem(RSP, -16));
    x64_rm(&a, X64_MOV64_ST, RBP, mem(RSP, -24));
    x64_rr(&a, X64_XOR32, RBP, RBP);
    asm_bind(&a, loop);
    x64_rr(&a, X64_CMP64, RBP, R15);
    x64_jcc(&a, CC_AE, done);
    x64_rm(&a, X64_MOV64, R14, mem_index(RSP, RBP, 0, DOWN + 8));
    x64_rm(&a, X64_MOV64_ST, R14, mem_index(RSP, RBP, 0, 8));
    x64_ri(&a, X64_ADD64, RBP, 8);
    x64_jmp(&a, loop);
    asm_bind(&a, done);
    x64_rm(&a, X64_LEA64, RBP, mem_index(RSP, R15, 0, 24));
    x64_rm(&a, X64_MOV64, R14, mem(RSP, -16));
    x64_rm(&a, X64_MOV64_ST, R14, mem(RBP, 8));
    x64_rm(&a, X64_MOV64, R14, mem(RSP, -24));
    x64_rm(&a, X64_MOV64_ST, R14, mem(RBP, 0));
    x64_rm(&a, X64_MOV64, R14, mem(RSP, -8));
    x64_rm(&a, X64_MOV64_ST, R14, mem(RBP, -8));
    x64_mov_imm64(&a, R14, restore_stub + 1);
    x64_rm(&a, X64_MOV64_ST, R14, mem(RSP, 0));
    asm_bind(&a, again);
    x64_rm(&a, X64_MOV64, R14, FIELD(R11, FuncRef, context));
    x64_rm(&a, X64_MOV64, R15, FIELD(R14, Instance, memory0));
    x64_rm(&a, X64_MOV64, R15, FIELD(R15, MemoryData, base));
    x64_m(&a, X64_JMP, FIELD(R11, FuncRef, code));
}

static uintptr_t make(void emit(void), const char *name)
{
    asm_reset(&a);
    emit();
    return (uintptr_t)place(name);
}

bool stubs_make(void)
{
    asm_init(&a, 0);
    leave_stub = make(emit_leave, "leave");
    fail_stub = make(emit_fail, "fail");
    if (!leave_stub || !fail_stub)
        return false;
    uintptr_t check = make(emit_check, "check"),
              throw = make(emit_throw, "throw");
    uintptr_t rethrow = make(emit_rethrow, "rethrow");
    lazy_stub = make(emit_lazy, "lazy");
    restore_stub = make(emit_restore, "restore");
    uintptr_t tail_across = make(emit_tail_across, "tail_across");
    if (!check || !throw || !rethrow || !lazy_stub || !restore_stub
        || !tail_across)
        return false;
    uintptr_t match = make(emit_match, "match");
    if (!match)
        return false;
    helpers[HELPER_MATCH] = (const void *)match;
    helpers[HELPER_STRUCT] = (const void *)(uintptr_t)native_struct;
    helpers[HELPER_ARRAY] = (const void *)(uintptr_t)native_array;
    helpers[HELPER_TAIL_ACROSS] = (const void *)tail_across;
    helpers[HELPER_FAIL] = (const void *)fail_stub;
    helpers[HELPER_CHECK] = (const void *)check;
    helpers[HELPER_THROW] = (const void *) throw;
    helpers[HELPER_RETHROW] = (const void *)rethrow;
    for (unsigned k = 0; k < OP_COUNT; k++)
        helpers[HELPER_STEP + k] = (const void *)(uintptr_t)interp_steps[k];
    return true;
}

/* ---- by signature */

static void move_slot(Reg to_base, int32_t to, Reg from_base, int32_t from,
                      Type t, Reg temp)
{
    for (uint32_t k = 0; k < type_slots(t); k++) {
        x64_rm(&a, X64_MOV64, temp, mem(from_base, from + 8 * (int32_t)k));
        x64_rm(&a, X64_MOV64_ST, temp, mem(to_base, to + 8 * (int32_t)k));
    }
}

static void load_value(AbiLoc l, Type t, Reg base, int32_t at)
{
    if (l.place == IN_VEC)
        x64_rm(&a, t == T_V128 ? X64_MOVUPS : X64_MOVSD, l.reg, mem(base, at));
    else
        x64_rm(&a, t == T_I32 ? X64_MOV32 : X64_MOV64, l.reg, mem(base, at));
}

/* A slot of f32 has zeros above it. */
static void store_value(AbiLoc l, Type t, Reg base, int32_t at)
{
    if (l.place == IN_INT) {
        x64_rm(&a, X64_MOV64_ST, l.reg, mem(base, at));
    } else if (t == T_F32) {
        x64_rm(&a, X64_MOVD_ST, l.reg, mem(base, at));
        x64_mi(&a, X64_MOV32, mem(base, at + 4), 0);
    } else {
        x64_rm(&a, t == T_V128 ? X64_MOVUPS_ST : X64_MOVSD_ST, l.reg,
               mem(base, at));
    }
}

/* Values on the stack up to this many bytes fit in what is always left. */
enum { FEW_BYTES = 2048 };

/* Is there room for so many bytes?  store is overwritten. */
static void check_room(Reg store, uint32_t bytes, Label none)
{
    x64_rm(&a, X64_MOV64, store, FIELD(store, Store, native_stack_limit));
    x64_ri(&a, X64_ADD64, store, (int32_t)bytes);
    x64_rr(&a, X64_CMP64, RSP, store);
    x64_jcc(&a, CC_B, none);
}

/* rdi: code, rsi: instance, rdx: slots, rcx: activation. */
static void emit_entry(const FuncType *t)
{
    AbiSize size = abi_size(t);
    Label full = asm_label(&a);
    const Type *results = t->types + t->n_params;
    x64_r(&a, X64_PUSH, RBP);
    x64_rr(&a, X64_MOV64, RBP, RSP);
    for (unsigned k = 0; k < 5; k++)
        x64_r(&a, X64_PUSH, saved_regs[k]);
    x64_r(&a, X64_PUSH, RDX);
    x64_rm(&a, X64_MOV64_ST, RSP, FIELD(RCX, Activation, native_sp));
    x64_rm(&a, X64_MOV64_ST, RBP, FIELD(RCX, Activation, native_fp));
    x64_rr(&a, X64_MOV64, R14, RSI);
    x64_rm(&a, X64_MOV64, R15, FIELD(R14, Instance, memory0));
    x64_rm(&a, X64_MOV64, R15, FIELD(R15, MemoryData, base));
    x64_rr(&a, X64_MOV64, R11, RDI);
    x64_rr(&a, X64_MOV64, R12, RDX);
    uint32_t bytes = size.args + size.results;
    if (bytes > FEW_BYTES) {
        x64_rm(&a, X64_MOV64, RBX, FIELD(RCX, Activation, store));
        check_room(RBX, bytes, full);
    }
    if (bytes)
        x64_ri(&a, X64_SUB64, RSP, (int32_t)bytes);
    AbiCursor cursor = {0};
    int32_t slot = 0;
    for (uint32_t k = 0; k < t->n_params; k++) {
        AbiLoc l = abi_param(&cursor, t->types[k]);
        if (l.place == IN_MEMORY)
            move_slot(RSP, (int32_t)l.offset, R12, slot, t->types[k], RBX);
        else
            load_value(l, t->types[k], R12, slot);
        slot += 8 * (int32_t)type_slots(t->types[k]);
    }
    if (size.results && size.area.place == IN_INT) {
        x64_rm(&a, X64_LEA64, size.area.reg, mem(RSP, (int32_t)size.args));
    } else if (size.results) {
        x64_rm(&a, X64_LEA64, RBX, mem(RSP, (int32_t)size.args));
        x64_rm(&a, X64_MOV64_ST, RBX, mem(RSP, (int32_t)size.area.offset));
    }
    x64_r(&a, X64_CALL, R11);
    cursor = (AbiCursor){0};
    slot = 0;
    for (uint32_t k = 0; k < t->n_results; k++) {
        AbiLoc l = abi_result(&cursor, results[k]);
        if (l.place == IN_MEMORY)
            move_slot(R12, slot, RSP, (int32_t)l.offset, results[k], R11);
        else
            store_value(l, results[k], R12, slot);
        slot += 8 * (int32_t)type_slots(results[k]);
    }
    x64_rr(&a, X64_XOR32, RAX, RAX);
    emit_leave();
    if (bytes > FEW_BYTES) {
        asm_bind(&a, full);
        x64_mov_imm64(&a, RAX, ERR_STACK);
        emit_leave();
    }
}

/* r11: the FuncRef of a host function; or, to interpret, the index of one of
 * the instance in r14. */
static void emit_exit(const FuncType *t, bool interpret)
{
    AbiSize size = abi_size(t);
    const Type *results = t->types + t->n_params;
    uint32_t slots =
        t->param_slots > t->result_slots ? t->param_slots : t->result_slots;
    int32_t frame = (int32_t)((16 + 8 * slots + 15) & ~15u);
    x64_r(&a, X64_PUSH, RBP);
    x64_rr(&a, X64_MOV64, RBP, RSP);
    Label failed = asm_label(&a), full = asm_label(&a);
    if (frame > FEW_BYTES) {
        x64_r(&a, X64_PUSH, RBX);
        if (interpret) {
            x64_rm(&a, X64_MOV64, RBX, FIELD(R14, Instance, e.store));
        } else {
            x64_rm(&a, X64_MOV64, RBX, FIELD(R11, FuncRef, owner));
            x64_rm(&a, X64_MOV64, RBX, FIELD(RBX, Entity, store));
        }
        check_room(RBX, (uint32_t)frame, full);
        x64_r(&a, X64_POP, RBX);
    }
    x64_ri(&a, X64_SUB64, RSP, frame);
    if (size.results && size.area.place == IN_INT)
        x64_rm(&a, X64_MOV64_ST, size.area.reg, mem(RBP, -8));
    AbiCursor cursor = {0};
    int32_t slot = 0;
    for (uint32_t k = 0; k < t->n_params; k++) {
        AbiLoc l = abi_param(&cursor, t->types[k]);
        if (l.place != IN_MEMORY)
            store_value(l, t->types[k], RSP, slot);
        slot += 8 * (int32_t)type_slots(t->types[k]);
    }
    cursor = (AbiCursor){0};
    slot = 0;
    for (uint32_t k = 0; k < t->n_params; k++) {
        AbiLoc l = abi_param(&cursor, t->types[k]);
        if (l.place == IN_MEMORY)
            move_slot(RSP, slot, RBP, 16 + (int32_t)l.offset, t->types[k], R10);
        slot += 8 * (int32_t)type_slots(t->types[k]);
    }
    if (size.results && size.area.place == IN_MEMORY)
        move_slot(RBP, -8, RBP, 16 + (int32_t)size.area.offset, T_I64, R10);
    x64_rr(&a, X64_MOV64, RDI, R11);
    x64_rr(&a, X64_MOV64, RSI, RSP);
    x64_rr(&a, X64_MOV64, RDX, interpret ? R14 : RBP);
    call_c(interpret ? (uintptr_t)native_interpret : (uintptr_t)native_host);
    x64_rr(&a, X64_TEST32, RAX, RAX);
    x64_jcc(&a, CC_NE, failed);
    if (size.results)
        x64_rm(&a, X64_MOV64, R10, mem(RBP, -8));
    cursor = (AbiCursor){0};
    slot = 0;
    for (uint32_t k = 0; k < t->n_results; k++) {
        AbiLoc l = abi_result(&cursor, results[k]);
        if (l.place == IN_MEMORY)
            move_slot(R10, (int32_t)l.offset, RSP, slot, results[k], R11);
        else
            load_value(l, results[k], RSP, slot);
        slot += 8 * (int32_t)type_slots(results[k]);
    }
    x64_rr(&a, X64_MOV64, RSP, RBP);
    x64_r(&a, X64_POP, RBP);
    if (size.args)
        x64_ret_n(&a, size.args);
    else
        x64_ret(&a);
    if (frame > FEW_BYTES) {
        asm_bind(&a, full);
        x64_r(&a, X64_POP, RBX); /* as what catches it expects */
        x64_mov_imm64(&a, RAX, ERR_STACK);
    }
    asm_bind(&a, failed);
    x64_mov_imm64(&a, R11, fail_stub);
    x64_r(&a, X64_CALL, R11);
}

/* ---- kept by class: one letter for each value */

typedef struct Signature {
    struct Signature *next;
    uint32_t hash, len;
    EntryStub *entry;
    const void *exit, *interpret;
    char letters[];
} Signature;

static Signature *signatures[256]; /* under the global lock */

static char letter(Type t)
{
    switch (t) {
    case T_I32: return 'w';
    case T_F32: return 's';
    case T_F64: return 'd';
    case T_V128: return 'v';
    default: return 'q';
    }
}

static Signature *find_signature(const FuncType *t)
{
    uint32_t len = t->n_params + t->n_results + 1, hash = 2166136261u;
    char buffer[2 * 1000 + 1];
    for (uint32_t k = 0, j = 0; j < len; j++) {
        buffer[j] = j == t->n_params ? '>' : letter(t->types[k++]);
        hash = (hash ^ (uint8_t)buffer[j]) * 16777619u;
    }
    Signature **head = &signatures[hash % 256];
    for (Signature *s = *head; s; s = s->next)
        if (s->hash == hash && s->len == len
            && !memcmp(s->letters, buffer, len))
            return s;
    Signature *s = calloc(1, sizeof *s + len);
    if (!s)
        return NULL;
    s->hash = hash;
    s->len = len;
    memcpy(s->letters, buffer, len);
    s->next = *head;
    return *head = s;
}

EntryStub *stub_entry(const FuncType *t)
{
    os_mutex_lock(os_global_lock());
    Signature *s = find_signature(t);
    EntryStub *entry = NULL;
    if (s && !s->entry) {
        asm_reset(&a);
        emit_entry(t);
        s->entry = (EntryStub *)(uintptr_t)place("entry");
    }
    if (s)
        entry = s->entry;
    os_mutex_unlock(os_global_lock());
    return entry;
}

static const void *find_exit(const FuncType *t, bool interpret)
{
    os_mutex_lock(os_global_lock());
    Signature *s = find_signature(t);
    const void **place_of = !s ? NULL : interpret ? &s->interpret : &s->exit;
    if (place_of && !*place_of) {
        asm_reset(&a);
        emit_exit(t, interpret);
        *place_of = place(interpret ? "interpret" : "exit");
    }
    const void *code = place_of ? *place_of : NULL;
    os_mutex_unlock(os_global_lock());
    return code;
}

const void *stub_exit(const FuncType *t) { return find_exit(t, false); }

const void *stub_interpret(const FuncType *t, uint32_t index)
{
    const void *common = find_exit(t, true);
    if (!common)
        return NULL;
    os_mutex_lock(os_global_lock());
    asm_reset(&a);
    x64_mov_imm64(&a, R11, (uintptr_t)common);
    x64_r(&a, X64_PUSH, R11);
    x64_mov_imm64(&a, R11, index);
    x64_ret(&a);
    const void *code = place("interpret");
    os_mutex_unlock(os_global_lock());
    return code;
}
