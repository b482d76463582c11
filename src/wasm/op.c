#include "wasm/op.h"

#include <stdatomic.h>
#include <string.h>

/* Bytes that a memory access touches, by the type in memory. */
enum {
    BYTES_s8 = 1,
    BYTES_u8 = 1,
    BYTES_s16 = 2,
    BYTES_u16 = 2,
    BYTES_s32 = 4,
    BYTES_u32 = 4,
    BYTES_u64 = 8,
};

/* The three accesses whose shape is HAND. */
#define HAND_BYTES(op)                                                         \
    ((op) == OP_MEMORY_ATOMIC_NOTIFY || (op) == OP_MEMORY_ATOMIC_WAIT32 ? 4    \
     : (op) == OP_MEMORY_ATOMIC_WAIT64                                  ? 8    \
                                                                        : 0)

/* clang-format off */
#define HAND(f)                0
#define UN(t, f)               0
#define BIN(t, f)              0
#define TEST(t, f)             0
#define CMP(t, f)              0
#define DIV(t, f)              0
#define CONV(to, from, f)      0
#define TRUNC(to, from, f)     0
#define LOAD(t, m)             BYTES_##m
#define STORE(t, m)            BYTES_##m
#define WIDE(f, n)             0
#define VUN(f)                 0
#define VBIN(f)                0
#define VTER(f)                0
#define VTEST(f)               0
#define VSHIFT(f)              0
#define VSPLAT(t, s)           0
#define VEXTRACT(t, s, lanes)  0
#define VREPLACE(t, s, lanes)  0
#define VLOAD(f, bytes)        bytes
#define VSTORE(f, bytes)       bytes
#define VLOADLANE(bits, bytes) bytes
#define VSTORELANE(bits, bytes) bytes
#define ALOAD(t, m)            BYTES_##m
#define ASTORE(t, m)           BYTES_##m
#define ARMW(t, m, f)          BYTES_##m
#define ACAS(t, m)             BYTES_##m

const OpInfo op_info[OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE)                              \
    {TEXT, CODE, IMM_##IMM, FEATURE_##FEATURE, SHAPE + HAND_BYTES(OP_##NAME)},
#include "wasm/op.def"
#undef OP
};
/* clang-format on */

/* One table for all codes: where the numbers of each prefix begin. */
enum {
    SLOTS_FB = 0x100,
    SLOTS_FC = SLOTS_FB + 0x40,
    SLOTS_FD = SLOTS_FC + 0x40,
    SLOTS_FE = SLOTS_FD + 0x180,
    SLOTS_END = SLOTS_FE + 0x80
};
#define SLOT(code)                                                             \
    ((code) < 0x1000    ? (code)                                               \
     : (code) < 0xfc000 ? (code) - 0xfb000 + SLOTS_FB                          \
     : (code) < 0xfd000 ? (code) - 0xfc000 + SLOTS_FC                          \
     : (code) < 0xfe000 ? (code) - 0xfd000 + SLOTS_FD                          \
                        : (code) - 0xfe000 + SLOTS_FE)

/* The op of a slot, plus one; 0: none. */
static const uint16_t op_of_slot[SLOTS_END] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) [SLOT(CODE)] = OP_##NAME + 1,
#include "wasm/op.def"
#undef OP
};

static Op look_up(uint32_t number, uint32_t start, uint32_t end)
{
    if (number >= end - start || !op_of_slot[start + number])
        return OP_COUNT;
    return (Op)(op_of_slot[start + number] - 1);
}

Op op_of_code(uint8_t prefix, uint32_t number)
{
    switch (prefix) {
    case 0: return look_up(number, 0, SLOTS_FB);
    case 0xfb: return look_up(number, SLOTS_FB, SLOTS_FC);
    case 0xfc: return look_up(number, SLOTS_FC, SLOTS_FD);
    case 0xfd: return look_up(number, SLOTS_FD, SLOTS_FE);
    case 0xfe: return look_up(number, SLOTS_FE, SLOTS_END);
    default: return OP_COUNT;
    }
}

/* Open addressing; filled by whoever comes first. */
enum { BUCKETS = 2048 };
static uint16_t buckets[BUCKETS]; /* op plus one */
static atomic_int buckets_state;  /* 0 empty, 1 being filled, 2 ready */

static uint32_t hash(const char *text, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)text[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool has_text(Op op, const char *text, size_t len)
{
    return strlen(op_info[op].text) == len
           && memcmp(op_info[op].text, text, len) == 0;
}

static uint16_t *find_bucket(const char *text, size_t len)
{
    uint32_t i = hash(text, len) % BUCKETS;
    while (buckets[i] && !has_text((Op)(buckets[i] - 1), text, len))
        i = (i + 1) % BUCKETS;
    return &buckets[i];
}

static void fill_buckets(void)
{
    int empty = 0;
    if (atomic_compare_exchange_strong(&buckets_state, &empty, 1)) {
        for (int op = 0; op < OP_COUNT; op++) {
            const char *text = op_info[op].text;
            uint16_t *bucket = find_bucket(text, strlen(text));
            if (!*bucket)
                *bucket = (uint16_t)(op + 1);
        }
        atomic_store(&buckets_state, 2);
    }
    while (atomic_load(&buckets_state) != 2) {}
}

Op op_of_text(const char *text, size_t len)
{
    if (atomic_load_explicit(&buckets_state, memory_order_acquire) != 2)
        fill_buckets();
    uint16_t found = *find_bucket(text, len);
    return found ? (Op)(found - 1) : OP_COUNT;
}

enum { NEAREST_LONGEST = 48 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned row[NEAREST_LONGEST + 1];
    for (size_t j = 0; j <= m; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned corner = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1,
                           corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[m];
}

Op op_nearest_text(const char *text, size_t len)
{
    if (len > NEAREST_LONGEST)
        return OP_COUNT;
    unsigned nearest = (unsigned)len / 4 + 1;
    Op found = OP_COUNT;
    for (int op = 0; op < OP_COUNT; op++) {
        size_t n = strlen(op_info[op].text);
        if (n > NEAREST_LONGEST)
            continue;
        unsigned d = distance(text, len, op_info[op].text, n);
        if (d < nearest + (found == OP_COUNT)) {
            nearest = d;
            found = (Op)op;
        }
    }
    return found;
}

const char *const feature_text[FEATURE_COUNT] = {
#define FEATURE(NAME, TEXT, VERSION, DEFAULT) TEXT,
#include "wasm/feature.def"
#undef FEATURE
};

static const struct {
    uint8_t version;
    bool by_default;
} feature_facts[FEATURE_COUNT] = {
#define FEATURE(NAME, TEXT, VERSION, DEFAULT) {VERSION, DEFAULT},
#include "wasm/feature.def"
#undef FEATURE
};

Features feature_edition(unsigned version_times_ten)
{
    Features set = 0;
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        if (feature_facts[i].version <= version_times_ten)
            set |= (Features)1 << i;
    return set;
}

Features feature_all(void)
{
    Features set = 0;
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        if (feature_facts[i].by_default)
            set |= (Features)1 << i;
    return set;
}

bool feature_of_text(const char *text, size_t len, Feature *out)
{
    for (unsigned i = 0; i < FEATURE_COUNT; i++) {
        if (strlen(feature_text[i]) == len
            && memcmp(feature_text[i], text, len) == 0) {
            *out = (Feature)i;
            return true;
        }
    }
    return false;
}
