/* Stacks that run out: frames of every size, signatures of every length, from
 * every height of the native stack, on small stacks; each ends as a trap, and
 * nothing below the stack's end is written. */
#include "guest.h"

#include <alloca.h>
#include <pthread.h>
#include <sys/mman.h>

/* ---- guests */

typedef struct {
    const char *name;
    unsigned params, results, locals;
    const char *type; /* of all of them */
} Shape;

static const Shape shapes[] = {
    {"tiny", 0, 0, 0, "i64"},
    {"one", 1, 1, 0, "i64"},
    {"few", 3, 1, 20, "i64"},
    {"under a page", 1, 1, 240, "i64"},
    {"two pages", 1, 1, 1000, "i64"},
    {"8 KiB", 1, 1, 1010, "f64"},
    {"100 KB", 1, 1, 12500, "i64"},
    {"most locals", 1, 1, 49999, "i64"},
    {"locals of 16 bytes", 1, 1, 4000, "v128"},
    {"most bytes", 1, 1, 49999, "v128"},
    {"params", 100, 1, 0, "i64"},
    {"most params", 1000, 1, 0, "i64"},
    {"bytes of params", 1000, 0, 0, "v128"},
    {"results", 1, 100, 0, "f64"},
    {"most results", 1, 1000, 0, "i64"},
    {"bytes of results", 0, 1000, 0, "v128"},
    {"most of both", 1000, 1000, 0, "v128"},
    {"all", 1000, 1000, 48000, "i64"},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void add_types(Text *t, const char *what, unsigned n, const char *type)
{
    if (n == 0)
        return;
    text_add(t, " (%s", what);
    for (unsigned k = 0; k < n; k++)
        text_add(t, " %s", type);
    text_add(t, ")");
}

static void add_values(Text *t, unsigned n, const char *type)
{
    bool vec = !strcmp(type, "v128");
    for (unsigned k = 0; k < n; k++)
        text_add(t, vec ? " (v128.const i64x2 1 2)" : " (%s.const 1)", type);
}

/* Counts its calls in memory; "f" for ever, "g" by calls through a table, "h"
 * by calls of the host, which calls it; "start" calls one of them. */
static char *text_of(const Shape *s)
{
    Text t = text_new();
    text_add(&t, "(module (type $h (func (param i32)))\n(type $f (func");
    add_types(&t, "param", s->params, s->type);
    add_types(&t, "result", s->results, s->type);
    text_add(&t, "))\n(import \"host\" \"again\" (func $again (type $h)))\n"
                 "(memory (export \"m\") 1) (table funcref (elem $g))\n");
    for (const char *name = "fgh"; *name; name++) {
        text_add(&t, "(func $%c (export \"%c\") (type $f)", *name, *name);
        add_types(&t, "local", s->locals, s->type);
        text_add(&t, " (i32.store (i32.const 0) (i32.add (i32.const 1)"
                     " (i32.load (i32.const 0))))\n");
        if (*name == 'h') {
            text_add(&t, " (call $again (i32.const 2))");
            add_values(&t, s->results, s->type);
        } else {
            for (unsigned k = 0; k < s->params; k++)
                text_add(&t, " (local.get %u)", k);
            text_add(&t, *name == 'f' ? " (call $f)"
                                      : " (call_indirect (type $f)"
                                        " (i32.const 0))");
        }
        text_add(&t, ")\n");
    }
    text_add(&t, "(func (export \"start\") (param i32)\n");
    for (unsigned k = 0; k < 3; k++) {
        text_add(&t, " (if (i32.eq (local.get 0) (i32.const %u)) (then", k);
        add_values(&t, s->params, s->type);
        text_add(&t, " (call $%c)", "fgh"[k]);
        for (unsigned j = 0; j < s->results; j++)
            text_add(&t, " drop");
        text_add(&t, "))\n");
    }
    text_add(&t, ")\n(func (export \"nop\") (param i32) (result i32)"
                 " (local.get 0)))\n");
    return text_take(&t);
}

typedef struct {
    Guest g;
    chi_func *start, *nop;
    const Shape *shape;
    chi_code inner; /* what the host's last call ended with */
} Case;

static chi_code again(void *host, chi_store *s, uint64_t *slots)
{
    (void)s;
    Case *c = host;
    return c->inner = guest_call(c->start, slots[0], NULL);
}

static void case_open(Case *c, const Shape *shape, const chi_limits *limits)
{
    char *text = text_of(shape);
    chi_type i32 = CHI_I32;
    c->shape = shape;
    c->g.store = chi_store_new(limits);
    chi_extern import = {
        .kind = CHI_FUNC,
        .func = chi_func_new(c->g.store, &i32, 1, NULL, 0, again, c, NULL)};
    c->g.instance = guest_add(c->g.store, text, &import);
    c->start = guest_func(c->g.instance, "start");
    c->nop = guest_func(c->g.instance, "nop");
    chi_extern_free(import);
    free(text);
}

static uint32_t calls_made(Case *c)
{
    size_t bytes;
    uint32_t n;
    uint8_t *p =
        chi_memory_data(guest_export(c->g.instance, "m").memory, &bytes);
    memcpy(&n, p, sizeof n);
    memset(p, 0, sizeof n);
    return n;
}

/* Runs out in each way, and is usable. */
static uint32_t exhaust(Case *c)
{
    uint64_t result;
    uint32_t depth = 0;
    for (uint64_t way = 0; way < 3; way++) {
        CHECK(guest_call(c->start, way, NULL) == CHI_STACK);
        uint32_t made = calls_made(c);
        depth = way == 0 ? made : depth;
        CHECK(guest_call(c->nop, 7, &result) == CHI_OK && result == 7);
    }
    return depth;
}

/* ---- on stacks of our making, with nothing to guard them: what is written
 * below is found out */

enum { BELOW = 1 << 20 };
static const size_t small_stacks[] = {64 << 10, 80 << 10, 128 << 10, 256 << 10};
enum { SMALL_STACKS = sizeof small_stacks / sizeof *small_stacks };

typedef struct {
    void (*f)(void *);
    void *arg;
} Job;

static void *run_job(void *job)
{
    ((Job *)job)->f(((Job *)job)->arg);
    return NULL;
}

static void on_stack(size_t size, void (*f)(void *), void *arg)
{
    uint8_t *p = mmap(NULL, BELOW + size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 0xa5, BELOW);
    pthread_attr_t attributes;
    pthread_t thread;
    Job job = {f, arg};
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstack(&attributes, p + BELOW, size) == 0);
    CHECK(pthread_create(&thread, &attributes, run_job, &job) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    for (size_t k = 0; k < BELOW; k++)
        CHECK(p[k] == 0xa5);
    munmap(p, BELOW + size);
}

static void exhaust_here(void *arg) { exhaust(arg); }

/* From many heights: at each the limit is met at another place of a frame. */
__attribute__((noinline)) static void exhaust_below(Case *c, size_t height)
{
    volatile char *room = alloca(height + 1);
    room[0] = 1;
    exhaust(c);
}

static void exhaust_from_each_height(void *arg)
{
    for (size_t height = 0; height < 1024; height += 16)
        exhaust_below(arg, height);
    for (size_t height = 1024; height < 16384; height += 1008)
        exhaust_below(arg, height);
}

/* Called by C: its arguments are all there is below C's own frames. */
__attribute__((noinline)) static void call_below(Case *c, size_t height)
{
    static uint64_t slots[2000];
    volatile char *room = alloca(height + 1);
    room[0] = 1;
    CHECK(chi_call(guest_func(c->g.instance, "f"), slots, NULL) == CHI_STACK);
    CHECK(chi_call(guest_func(c->g.instance, "h"), slots, NULL) == CHI_STACK);
}

static void call_from_each_height(void *arg)
{
    for (size_t height = 0; height < small_stacks[0] - 12288; height += 240)
        call_below(arg, height);
}

/* ---- claims */

static void every_shape_runs_out(void)
{
    for (unsigned k = 0; k < SHAPES; k++) {
        Case c;
        case_open(&c, &shapes[k], NULL);
        uint32_t depth = exhaust(&c);
        CHECK(depth == exhaust(&c));
        guest_free(&c.g);
    }
}

static void a_larger_limit_goes_deeper(void)
{
    uint32_t last = 0;
    for (uint64_t stack = 64 << 10; stack <= 4 << 20; stack *= 2) {
        chi_limits limits = chi_limits_default();
        limits.stack = stack;
        Case c;
        case_open(&c, &shapes[2], &limits);
        uint32_t depth = exhaust(&c);
        CHECK(depth > last + last / 2);
        last = depth;
        guest_free(&c.g);
    }
}

static void no_limit_is_the_systems(void)
{
    chi_limits limits = chi_limits_default();
    limits.stack = UINT64_MAX;
    for (unsigned k = 0; k < SHAPES; k++) {
        Case c;
        case_open(&c, &shapes[k], &limits);
        CHECK(exhaust(&c) == exhaust(&c));
        guest_free(&c.g);
    }
}

static void small_stacks_are_not_left(void)
{
    for (unsigned k = 0; k < SHAPES; k++)
        for (unsigned j = 0; j < SMALL_STACKS; j++) {
            Case c;
            case_open(&c, &shapes[k], NULL);
            on_stack(small_stacks[j], exhaust_here, &c);
            exhaust(&c);
            guest_free(&c.g);
        }
}

static void no_height_is_special(void)
{
    unsigned n = is_interpreted() ? 6 : SHAPES; /* it clears many locals */
    for (unsigned k = 0; k < n; k++)
        for (unsigned j = 0; j < SMALL_STACKS; j += 3) {
            Case c;
            case_open(&c, &shapes[k], NULL);
            on_stack(small_stacks[j], exhaust_from_each_height, &c);
            on_stack(small_stacks[0], call_from_each_height, &c);
            guest_free(&c.g);
        }
}

/* Tail calls between signatures that need much stack and such that need none,
 * of one instance and of two: in constant stack, until fuel runs out. */
static void tail_calls_need_no_stack(void)
{
    Text t = text_new();
    text_add(&t, "(module (type $g (func");
    add_types(&t, "param", 1000, "v128");
    text_add(&t, "))\n(type $f (func))"
                 "(import \"\" \"t\" (table $t 4 funcref))\n"
                 "(global $base i32 (i32.const %%d))\n"
                 "(elem (table $t) (global.get $base) func $f $g)\n"
                 "(func $f (export \"f\")");
    add_values(&t, 1000, "v128");
    text_add(&t, " (return_call_indirect $t (type $g)"
                 " (i32.const 1)))\n"
                 "(func $g (type $g) (return_call_indirect $t (type $f)"
                 " (i32.const %%d))))");
    char *format = text_take(&t), *text = malloc(strlen(format) + 100);
    chi_limits limits = chi_limits_default();
    limits.fuel = 3000000;
    chi_store *s = chi_store_new(&limits);
    chi_externtype type = {
        .kind = CHI_TABLE, .type = 0x63, .min = 4, .max = UINT64_MAX};
    CHECK(chi_type_parse("funcref", 7, &type.type));
    chi_extern table = {.kind = CHI_TABLE,
                        .table = chi_table_new(s, &type, 0, NULL)};
    chi_instance *instances[2];
    for (int k = 0; k < 2; k++) {
        sprintf(text, format, 2 * k, 2 - 2 * k);
        instances[k] = guest_add(s, text, &table);
    }
    for (int k = 0; k < 2; k++) {
        chi_store_set_fuel(s, limits.fuel);
        CHECK(guest_call(guest_func(instances[k], "f"), 0, NULL)
              == CHI_OUT_OF_FUEL);
    }
    for (int k = 0; k < 2; k++)
        chi_instance_free(instances[k]);
    chi_extern_free(table);
    chi_store_free(s);
    free(text);
    free(format);
}

/* A function that the compiler leaves to the interpreter, and one that it does
 * not, call each other. */
static void the_tiers_share_the_stack(void)
{
    Text t = text_new();
    text_add(&t, "(module (type $m (func");
    add_types(&t, "result", 1000, "i64");
    text_add(&t, "))\n(func $f (param i32) (result i32) (i32.add"
                 " (call $g (local.get 0)) (i32.const 1)))\n"
                 "(func $many (type $m)");
    add_values(&t, 1000, "i64");
    text_add(&t, ")\n(func $g (param i32) (result i32)\n"
                 "  (if (i32.eqz (local.get 0)) (then");
    for (int k = 0; k < 200; k++) {
        text_add(&t, " (block (type $m)");
        text_add(&t, " (call $many) (br_if 0 (local.get 0))");
        text_add(&t, ")\n");
        for (int j = 0; j < 1000; j++)
            text_add(&t, " drop");
    }
    text_add(&t, "))\n  (call $f (local.get 0)))\n"
                 "(func (export \"f\") (param i32) (result i32)"
                 " (call $f (local.get 0)))\n"
                 "(func (export \"nop\") (param i32) (result i32)"
                 " (local.get 0)))");
    char *text = text_take(&t);
    for (int k = 0; k < 3; k++) {
        chi_limits limits = chi_limits_default();
        limits.stack = k == 0 ? 64 << 10 : k == 1 ? 1 << 20 : UINT64_MAX;
        Guest g = guest_new(text, &limits, NULL);
        for (int n = 0; n < 3; n++) {
            uint64_t result;
            CHECK(guest_call(guest_func(g.instance, "f"), 1, NULL)
                  == CHI_STACK);
            CHECK(guest_call(guest_func(g.instance, "nop"), 9, &result)
                      == CHI_OK
                  && result == 9);
        }
        guest_free(&g);
    }
    free(text);
}

int main(void)
{
    RUN(every_shape_runs_out);
    RUN(a_larger_limit_goes_deeper);
    RUN(tail_calls_need_no_stack);
    RUN(the_tiers_share_the_stack);
    RUN(no_limit_is_the_systems);
    RUN(small_stacks_are_not_left);
    RUN(no_height_is_special);
    return 0;
}
