/* Accesses around every border, of each width, at many offsets: what is out of
 * bounds traps and leaves memory as it was, all else does what it should. */
#include "guest.h"

__extension__ typedef unsigned __int128 Wide;

typedef struct {
    const char *name;
    unsigned width;
    char value; /* its type: i l f d v */
    bool stores, atomic, sign;
    const char *more; /* an operand of cmpxchg */
} Access;

static const Access accesses[] = {
    {"i32.load", 4, 'i', .sign = false},
    {"i64.load", 8, 'l', .sign = false},
    {"f32.load", 4, 'f', .sign = false},
    {"f64.load", 8, 'd', .sign = false},
    {"i32.load8_s", 1, 'i', .sign = true},
    {"i32.load8_u", 1, 'i', .sign = false},
    {"i32.load16_s", 2, 'i', .sign = true},
    {"i32.load16_u", 2, 'i', .sign = false},
    {"i64.load8_s", 1, 'l', .sign = true},
    {"i64.load8_u", 1, 'l', .sign = false},
    {"i64.load16_s", 2, 'l', .sign = true},
    {"i64.load16_u", 2, 'l', .sign = false},
    {"i64.load32_s", 4, 'l', .sign = true},
    {"i64.load32_u", 4, 'l', .sign = false},
    {"v128.load", 16, 'v', .sign = false},
    {"v128.load64_zero", 8, 'v', .sign = false},
    {"i32.store", 4, 'i', .stores = true},
    {"i64.store", 8, 'l', .stores = true},
    {"f32.store", 4, 'f', .stores = true},
    {"f64.store", 8, 'd', .stores = true},
    {"i32.store8", 1, 'i', .stores = true},
    {"i32.store16", 2, 'i', .stores = true},
    {"i64.store8", 1, 'l', .stores = true},
    {"i64.store16", 2, 'l', .stores = true},
    {"i64.store32", 4, 'l', .stores = true},
    {"v128.store", 16, 'v', .stores = true},
    {"i32.atomic.load", 4, 'i', .atomic = true},
    {"i64.atomic.load32_u", 4, 'l', .atomic = true},
    {"i64.atomic.store", 8, 'l', .stores = true, .atomic = true},
    {"i32.atomic.store8", 1, 'i', .stores = true, .atomic = true},
};
enum { ACCESSES = sizeof accesses / sizeof *accesses };

/* How the address gets there. */
typedef enum { PLAIN, SUM, WRAPPED, FORMS } Form;
enum { ADDEND = 16 };

typedef struct {
    const char *declaration; /* of memories */
    const char *index;       /* of the one that is accessed */
    bool is64;
    unsigned page; /* bytes */
} Kind;

static const Kind kinds[] = {
    {"(memory (export \"m\") 1 3)", "", false, 65536},
    {"(memory 2) (memory (export \"m\") 1 3)", "1", false, 65536},
    {"(memory (export \"m\") i64 1 3)", "", true, 65536},
    {"(memory 1) (memory (export \"m\") i64 1 3)", "1", true, 65536},
    {"(memory (export \"m\") 1 3 shared)", "", false, 65536},
    {"(memory (export \"m\") 70001 70009 (pagesize 1))", "", false, 1},
};

static const uint64_t offsets[] = {
    0,     1,          7,          16,         32,         65535,
    65536, 0x7fffffbf, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff,
};
static const uint64_t offsets64[] = {
    0x100000000,        0xfffffffff,        1ull << 36,
    0x7fffffffffffffff, 0xfffffffffffffff0, UINT64_MAX,
};
enum {
    OFFSETS = sizeof offsets / sizeof *offsets,
    OFFSETS64 = sizeof offsets64 / sizeof *offsets64,
    MOST_OFFSETS = OFFSETS + OFFSETS64
};

static uint32_t n_offsets(const Kind *k)
{
    return k->is64 ? MOST_OFFSETS : OFFSETS;
}
static uint64_t offset_at(uint32_t k)
{
    return k < OFFSETS ? offsets[k] : offsets64[k - OFFSETS];
}

static const char *type_name(char c)
{
    switch (c) {
    case 'i': return "i32";
    case 'l': return "i64";
    case 'f': return "f32";
    case 'd': return "f64";
    default: return "v128";
    }
}

static void add_function(Text *t, const Kind *k, const Access *a, uint64_t off,
                         Form form)
{
    static unsigned n; /* exports have names that differ */
    const char *type = type_name(a->value), *addr = k->is64 ? "i64" : "i32";
    text_add(t, "(func (export \"%u\") (param i64 %s) ", n++,
             a->stores ? type : "i32");
    if (!a->stores)
        text_add(t, "(result %s) ", type);
    text_add(t, "(local $a %s) ", addr);
    const char *wrap = k->is64 ? "" : "(i32.wrap_i64 ";
    text_add(t, "(local.set $a %s(local.get 0)%s) ", wrap, k->is64 ? "" : ")");
    text_add(t, "(%s %s offset=%llu ", a->name, k->index,
             (unsigned long long)off);
    if (form == PLAIN)
        text_add(t, "(local.get $a)");
    else if (form == SUM)
        text_add(t, "(%s.add (local.get $a) (%s.const %d))", addr, addr,
                 ADDEND);
    else
        text_add(t, "%s(local.get 0)%s", wrap, k->is64 ? "" : ")");
    text_add(t, "%s))\n", a->stores ? " (local.get 1)" : "");
}

/* Export 0 is the memory, 1 grows it; the functions follow. */
static Guest make(const Kind *k)
{
    Text t = text_new();
    text_add(&t, "(module %s\n(func (export \"grow\") (result %s) ",
             k->declaration, k->is64 ? "i64" : "i32");
    text_add(&t, "(memory.grow %s (%s.const 1)))\n", k->index,
             k->is64 ? "i64" : "i32");
    for (unsigned a = 0; a < ACCESSES; a++)
        for (uint32_t o = 0; o < n_offsets(k); o++)
            for (Form f = PLAIN; f < FORMS; f++)
                add_function(&t, k, &accesses[a], offset_at(o), f);
    text_add(&t, ")");
    char *text = text_take(&t);
    Guest g = guest_new(text, NULL, NULL);
    free(text);
    return g;
}

/* ---- one access */

static uint8_t *memory;
static uint64_t size;
static unsigned long n_in, n_out;

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(0x81 + at * 7 + (at >> 8));
}

static void check_load(const Access *a, uint64_t at, const uint64_t *slots)
{
    uint64_t want[2] = {0};
    memcpy(want, memory + at, a->width);
    unsigned bits = 8 * a->width, all = a->value == 'i' ? 32 : 64;
    if (a->sign && want[0] >> (bits - 1) & 1) {
        want[0] |= UINT64_MAX << (bits - 1);
        if (all == 32)
            want[0] = (uint32_t)want[0];
    }
    CHECK(slots[0] == want[0]);
    CHECK(a->value != 'v' || slots[1] == want[1]);
}

static void check_store(const Access *a, uint64_t at)
{
    static const uint8_t stored[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                       9, 10, 11, 12, 13, 14, 15, 16};
    CHECK(!memcmp(memory + at, stored, a->width));
    for (unsigned k = 0; k < a->width; k++)
        memory[at + k] = pattern(at + k);
}

static void check_borders(void)
{
    for (uint64_t k = 0; k < 40; k++)
        CHECK(memory[k] == pattern(k)
              && memory[size - 1 - k] == pattern(size - 1 - k));
}

static void try_access(Guest *g, const Kind *k, const Access *a, chi_func *f,
                       uint64_t offset, Form form, uint64_t address)
{
    uint64_t mask = k->is64 ? UINT64_MAX : UINT32_MAX;
    uint64_t slots[4] = {address, 0x0807060504030201, 0x100f0e0d0c0b0a09};
    if (a->value == 'i' || a->value == 'f' || !a->stores)
        slots[1] = (uint32_t)slots[1];
    if (form == SUM)
        address += ADDEND;
    address &= mask;
    if (form == WRAPPED && !k->is64)
        slots[0] |= 0xabcdef0100000000; /* what is not of the address */
    Wide end = (Wide)address + offset + a->width;
    bool unaligned = a->atomic && (address + offset) % a->width;
    chi_code code = chi_call(f, slots, NULL);
    if (end > size || unaligned) {
        CHECK(code == CHI_MEMORY_BOUNDS
              || (unaligned && code == CHI_UNALIGNED));
        CHECK(chi_store_n_frames(g->store) == 1);
        check_borders();
        n_out++;
        return;
    }
    n_in++;
    CHECK(code == CHI_OK);
    if (a->stores)
        check_store(a, address + offset);
    else
        check_load(a, address + offset, slots);
}

static void around(Guest *g, const Kind *k, const Access *a, chi_func *f,
                   uint64_t offset, Form form, uint64_t at)
{
    for (int d = -17; d <= 17; d++)
        if ((d >= -1 && d <= 1) || -d == (int)a->width
            || -d == (int)a->width + 1)
            try_access(g, k, a, f, offset, form, at + (uint64_t)(int64_t)d);
}

static void try_function(Guest *g, const Kind *k, const Access *a, chi_func *f,
                         uint64_t offset, Form form)
{
    uint64_t shift = offset + (form == SUM ? ADDEND : 0);
    const uint64_t targets[] = {
        0,          size - a->width, size,
        0x80000000, 0x100000000,     0x100000000 + size,
        1ull << 36, 1ull << 47,      1ull << 63,
    };
    for (unsigned t = 0; t < sizeof targets / sizeof *targets; t++) {
        around(g, k, a, f, offset, form, targets[t] - shift);
        try_access(g, k, a, f, offset, form, targets[t]);
    }
}

static void try_all(Guest *g, const Kind *k)
{
    size_t bytes;
    chi_memory *m = chi_instance_export(g->instance, 0).memory;
    memory = chi_memory_data(m, &bytes);
    size = bytes;
    CHECK(size == chi_memory_pages(m) * k->page);
    for (uint64_t at = 0; at < size; at++)
        memory[at] = pattern(at);
    uint32_t e = 2;
    for (unsigned a = 0; a < ACCESSES; a++)
        for (uint32_t o = 0; o < n_offsets(k); o++)
            for (Form f = PLAIN; f < FORMS; f++)
                try_function(g, k, &accesses[a],
                             chi_instance_export(g->instance, e++).func,
                             offset_at(o), f);
    for (uint64_t at = 0; at < size; at++)
        CHECK(memory[at] == pattern(at));
}

int main(void)
{
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        Guest g = make(&kinds[k]);
        chi_func *grow = guest_func(g.instance, "grow");
        try_all(&g, &kinds[k]);
        CHECK(guest_call(grow, 0, NULL) == CHI_OK);
        try_all(&g, &kinds[k]);
        guest_free(&g);
    }
    printf("%lu in bounds, %lu out\n", n_in, n_out);
    return 0;
}
