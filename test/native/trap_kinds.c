/* Every kind of trap, out of plain calls, deep ones and through the host; the
 * instance is usable after each, and nobody's locals are lost. */
#include "guest.h"

typedef struct {
    chi_code code;
    const char *name, *body; /* local 0: i32, 0 */
} Kind;

static const Kind kinds[] = {
    {CHI_UNREACHABLE, "unreachable", "unreachable"},
    {CHI_DIVIDE, "div_s", "(i32.div_s (i32.const 7) (local.get 0))"},
    {CHI_DIVIDE, "div_u", "(i32.div_u (i32.const 7) (local.get 0))"},
    {CHI_DIVIDE, "rem_s", "(i32.rem_s (i32.const 7) (local.get 0))"},
    {CHI_DIVIDE, "rem_u", "(i32.rem_u (local.get 0) (i32.const 0))"},
    {CHI_DIVIDE, "div_s64",
     "(i32.wrap_i64 (i64.div_s (i64.const 7)"
     " (i64.extend_i32_s (local.get 0))))"},
    {CHI_DIVIDE, "rem_u64",
     "(i32.wrap_i64 (i64.rem_u (i64.const 7)"
     " (i64.extend_i32_s (local.get 0))))"},
    {CHI_OVERFLOW, "overflow",
     "(i32.div_s (i32.const 0x80000000)"
     " (i32.sub (local.get 0) (i32.const 1)))"},
    {CHI_OVERFLOW, "overflow64",
     "(i32.wrap_i64 (i64.div_s (i64.const 0x8000000000000000)"
     " (i64.sub (i64.extend_i32_s (local.get 0)) (i64.const 1))))"},
    {CHI_CONVERSION, "nan",
     "(i32.trunc_f64_s (f64.div (f64.convert_i32_s (local.get 0))"
     " (f64.const 0)))"},
    {CHI_OVERFLOW, "trunc", "(i32.trunc_f32_u (f32.const 4294967296))"},
    {CHI_OVERFLOW, "trunc64",
     "(i32.wrap_i64 (i64.trunc_f64_s (f64.const 0x1p63)))"},
    {CHI_MEMORY_BOUNDS, "load", "(i32.load offset=65535 (local.get 0))"},
    {CHI_MEMORY_BOUNDS, "store",
     "(i64.store offset=65529 (local.get 0) (i64.const -1)) (i32.const 0)"},
    {CHI_MEMORY_BOUNDS, "fill",
     "(memory.fill (i32.const 65535) (i32.const 1) (i32.const 2))"
     " (i32.const 0)"},
    {CHI_MEMORY_BOUNDS, "copy",
     "(memory.copy (local.get 0) (i32.const 65000) (i32.const 537))"
     " (i32.const 0)"},
    {CHI_MEMORY_BOUNDS, "init",
     "(memory.init $d (i32.const 0) (i32.const 1) (i32.const 3))"
     " (i32.const 0)"},
    {CHI_UNALIGNED, "unaligned", "(i32.atomic.load offset=2 (local.get 0))"},
    {CHI_EXPECTED_SHARED, "wait",
     "(memory.atomic.wait32 (local.get 0) (i32.const 0) (i64.const 0))"},
    {CHI_TABLE_BOUNDS, "table.get",
     "(ref.is_null (table.get $t (i32.add (local.get 0) (i32.const 4))))"},
    {CHI_TABLE_BOUNDS, "table.set",
     "(table.set $t (i32.const -1) (ref.null func)) (i32.const 0)"},
    {CHI_TABLE_BOUNDS, "table.fill",
     "(table.fill $t (i32.const 2) (ref.null func) (i32.const 3))"
     " (i32.const 0)"},
    {CHI_UNDEFINED_ELEMENT, "element",
     "(call_indirect $t (type $i) (i32.const 4))"},
    {CHI_UNINITIALIZED, "uninitialized",
     "(call_indirect $t (type $i) (local.get 0))"},
    {CHI_INDIRECT_TYPE, "type", "(call_indirect $t (type $i) (i32.const 1))"},
    {CHI_NULL_FUNCTION, "call_ref", "(call_ref $i (ref.null $i))"},
    {CHI_NULL_REFERENCE, "as_non_null",
     "(ref.as_non_null (global.get $nothing)) (drop) (i32.const 0)"},
    {CHI_NULL_STRUCT, "struct.get", "(struct.get $s 0 (ref.null $s))"},
    {CHI_NULL_STRUCT, "struct.set",
     "(struct.set $s 0 (ref.null $s) (i32.const 1)) (i32.const 0)"},
    {CHI_NULL_ARRAY, "array.len", "(array.len (ref.null array))"},
    {CHI_NULL_ARRAY, "array.get", "(array.get $a (ref.null $a) (local.get 0))"},
    {CHI_ARRAY_BOUNDS, "array.get bounds",
     "(array.get $a (array.new $a (i32.const 1) (i32.const 3))"
     " (i32.const 3))"},
    {CHI_ARRAY_BOUNDS, "array.set bounds",
     "(array.set $a (array.new $a (i32.const 1) (i32.const 3))"
     " (i32.const -1) (i32.const 7)) (i32.const 0)"},
    {CHI_NULL_I31, "i31.get", "(i31.get_s (ref.null i31))"},
    {CHI_NULL_EXCEPTION, "throw_ref", "(throw_ref (ref.null exn))"},
    {CHI_CAST, "cast",
     "(struct.get $s 0 (ref.cast (ref $s) (ref.i31 (i32.const 1))))"},
    {CHI_CAST, "cast null",
     "(array.len (ref.cast (ref array) (global.get $nothing)))"},
    {CHI_STACK, "recursion", "(call $recursion (local.get 0))"},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Callers whose locals must outlive a trap below them have none to lose: they
 * are left. What must live is the host's, and the caller of the host's. */
static const char head[] =
    "(module\n"
    "(type $i (func (result i32))) (type $s (struct (field (mut i32))))\n"
    "(type $a (array (mut i32)))\n"
    "(import \"host\" \"call\" (func $host (param i32) (result i32)))\n"
    "(memory 1) (data $d \"abc\")\n"
    "(table $t 4 funcref) (elem (i32.const 1) func $recursion)\n"
    "(tag $tag)\n"
    "(global $nothing anyref (ref.null any))\n"
    "(func $recursion (param i32) (result i32)\n"
    "  (i32.add (call $recursion (local.get 0)) (i32.const 1)))\n"
    "(func (export \"add\") (param i32) (result i32)\n"
    "  (i32.add (local.get 0) (i32.load (i32.const 0))))\n";

/* direct: the trap; deep: under three calls, in a handler of exceptions, which
 * must not see it; host: what the host tells of it. */
static void add_kind(Text *t, unsigned k)
{
    const Kind *kind = &kinds[k];
    text_add(t, "(func $k%u (export \"%s\") (param i32) (result i32) %s)\n", k,
             kind->name, kind->body);
    text_add(t,
             "(func $k%ua (param i32) (result i32) (local i32 i64 f64)\n"
             "  (local.set 1 (i32.const 3)) (local.set 3 (f64.const 2))\n"
             "  (block (try_table (catch_all 0)\n"
             "    (local.set 1 (call $k%u (local.get 0)))))\n"
             "  (i32.add (local.get 1) (i32.trunc_f64_s (local.get 3))))\n",
             k, k);
    text_add(t,
             "(func (export \"deep %s\") (param i32) (result i32)\n"
             "  (loop (result i32) (i32.mul (i32.const 5)"
             " (call $k%ua (local.get 0)))))\n",
             kind->name, k);
}

static const char tail[] =
    /* Ten locals that live across the host's call, and in which the host
     * meets a trap of another function of this module. */
    "(func (export \"sum\") (param i32) (result i32)\n"
    "  (local i32 i32 i32 i32 i32 i32 f64 f64 i64)\n"
    "  (local.set 1 (i32.const 1)) (local.set 2 (i32.const 2))\n"
    "  (local.set 3 (i32.const 4)) (local.set 4 (i32.const 8))\n"
    "  (local.set 5 (i32.const 16)) (local.set 6 (i32.const 32))\n"
    "  (local.set 7 (f64.const 64)) (local.set 8 (f64.const 128))\n"
    "  (local.set 9 (i64.const 256))\n"
    "  (i32.const 1000) (call $host (local.get 0))\n"
    "  (local.get 1) (local.get 2) (local.get 3) (local.get 4)\n"
    "  (local.get 5) (local.get 6) (i32.trunc_f64_s (local.get 7))\n"
    "  (i32.trunc_f64_s (local.get 8)) (i32.wrap_i64 (local.get 9))\n"
    "  i32.add i32.add i32.add i32.add i32.add i32.add i32.add i32.add\n"
    "  i32.add i32.add)\n"
    "(func (export \"through\") (param i32) (result i32)\n"
    "  (i32.add (call $host (local.get 0)) (i32.const 1))))\n";

/* ---- the host calls the guest again */

typedef struct {
    chi_func *target;
    chi_code code;
    bool passes_on;
} Host;

static chi_code call_again(void *host, chi_store *s, uint64_t *slots)
{
    (void)s;
    Host *h = host;
    uint64_t inner[2] = {slots[0]};
    h->code = chi_call(h->target, inner, NULL);
    slots[0] = 10000;
    return h->passes_on ? h->code : CHI_OK;
}

static Host host;

static Guest make(void)
{
    Text t = text_new();
    text_add(&t, "%s", head);
    for (unsigned k = 0; k < KINDS; k++)
        add_kind(&t, k);
    text_add(&t, "%s", tail);
    char *text = text_take(&t);
    chi_store *s = chi_store_new(NULL);
    chi_type i32 = CHI_I32;
    chi_extern import = {
        .kind = CHI_FUNC,
        .func = chi_func_new(s, &i32, 1, &i32, 1, call_again, &host, NULL)};
    Guest g = {s, guest_add(s, text, &import)};
    chi_extern_free(import);
    free(text);
    return g;
}

static chi_func *func_of(Guest *g, const char *prefix, const char *name)
{
    char full[100];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return guest_func(g->instance, full);
}

static void check_usable(Guest *g)
{
    uint64_t result;
    CHECK(guest_call(guest_func(g->instance, "add"), 40, &result) == CHI_OK);
    CHECK(result == 40);
}

static void try_kind(Guest *g, const Kind *k)
{
    uint64_t result;
    chi_error err = {0};
    uint64_t slots[2] = {0};
    chi_func *direct = func_of(g, "", k->name), *deep;
    CHECK(chi_call(direct, slots, &err) == k->code && err.code == k->code);
    CHECK(!strcmp(err.message, chi_code_text(k->code)));
    CHECK(chi_store_depth(g->store) >= 1);
    check_usable(g);
    deep = func_of(g, "deep ", k->name);
    CHECK(guest_call(deep, 0, NULL) == k->code);
    CHECK(chi_store_depth(g->store) >= 3);
    check_usable(g);

    host = (Host){deep, CHI_OK, false};
    CHECK(guest_call(func_of(g, "", "sum"), 0, &result) == CHI_OK);
    CHECK(host.code == k->code);
    CHECK(result == 1000 + 10000 + 511);
    host.passes_on = true;
    CHECK(guest_call(func_of(g, "", "through"), 0, &result) == k->code);
    check_usable(g);
}

int main(void)
{
    Guest g = make();
    for (int round = 0; round < 20; round++)
        for (unsigned k = 0; k < KINDS; k++)
            try_kind(&g, &kinds[k]);
    guest_free(&g);
    return 0;
}
