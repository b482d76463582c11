#include <string.h>

#include "base/writer.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "wasm/op.h"

enum { MOST = 512, HEADER = 8, CODE = 10 };

/* A range of bytes; of a section with its id. */
typedef struct {
    uint8_t id;
    const uint8_t *at;
    size_t len;
} Part;

typedef struct {
    Part parts[MOST];
    uint32_t n;
} Parts;

/* ---- reading */

static bool read_size(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; *p < end && shift < 35; shift += 7) {
        uint8_t byte = *(*p)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* Sections (with ids), or a vector's sized items.  What does not fit in is
 * the last one. */
static bool split(const uint8_t *p, const uint8_t *end, bool ids, Parts *out)
{
    out->n = 0;
    while (p < end && out->n < MOST) {
        Part *part = &out->parts[out->n];
        uint64_t len;
        part->id = ids ? *p++ : 0;
        if (!read_size(&p, end, &len))
            break;
        part->at = p;
        part->len = len < (uint64_t)(end - p) ? (size_t)len : (size_t)(end - p);
        p += part->len;
        out->n++;
    }
    return out->n > 0;
}

/* ---- writing */

static void write_parts(const Parts *parts, bool ids, Writer *out)
{
    for (uint32_t i = 0; i < parts->n; i++) {
        if (ids)
            writer_byte(out, parts->parts[i].id);
        writer_sized(out, parts->parts[i].at, parts->parts[i].len);
    }
}

/* ---- mutations of a list of parts */

static void double_part(Parts *p, uint32_t i)
{
    if (p->n == MOST)
        return;
    memmove(&p->parts[i + 1], &p->parts[i], (p->n - i) * sizeof *p->parts);
    p->n++;
}

static void drop_part(Parts *p, uint32_t i)
{
    p->n--;
    memmove(&p->parts[i], &p->parts[i + 1], (p->n - i) * sizeof *p->parts);
}

static void exchange(Parts *p, uint32_t i, uint32_t j)
{
    Part part = p->parts[i];
    p->parts[i] = p->parts[j];
    p->parts[j] = part;
}

/* One-byte instructions of one signature, as runs of codes. */
static const uint8_t kin[][2] = {
    {0x28, 0x28}, {0x2c, 0x2f}, {0x30, 0x35}, {0x46, 0x4f}, {0x51, 0x5a},
    {0x5b, 0x60}, {0x61, 0x66}, {0x67, 0x69}, {0x6a, 0x78}, {0x79, 0x7b},
    {0x7c, 0x8a}, {0x8b, 0x91}, {0x92, 0x98}, {0x99, 0x9f}, {0xa0, 0xa6},
    {0xb2, 0xb3}, {0xb4, 0xb5}, {0x20, 0x22}, {0x23, 0x24}, {0x0c, 0x0d},
    {0x02, 0x04}, {0x10, 0x10}, {0x36, 0x36}, {0x1a, 0x1b}, {0xd1, 0xd4}};

/* Replaces a byte that may be an instruction by one of its kin. */
static void replace_op(uint8_t *data, size_t size, uint64_t r)
{
    for (size_t tries = 0; size && tries < 32; tries++) {
        uint8_t *at = &data[(r + tries) % size];
        for (size_t k = 0; k < sizeof kin / sizeof *kin; k++)
            if (*at >= kin[k][0] && *at <= kin[k][1]) {
                unsigned n = kin[k][1] - kin[k][0] + 1u;
                *at = (uint8_t)(kin[k][0] + (r >> 32) % n);
                return;
            }
    }
}

/* Writes a number at its edge over bytes in the middle. */
static size_t put_edge(uint8_t *data, size_t size, size_t max, uint64_t r)
{
    static const uint64_t edges[] = {
        0,          0x7f,       0x80,       0xffff, 0x10000, 0x7fffffff,
        0x80000000, 0xffffffff, UINT64_MAX, 50000,  1000,    65536};
    Writer w = {0};
    if (r & 1)
        writer_u64(&w, edges[r / 2 % 12]);
    else
        writer_s64(&w, -(int64_t)edges[r / 2 % 12]);
    size_t at = size ? (r >> 16) % size : 0, after = size - at;
    size_t over = after && !(data[at] & 0x80) ? 1 : 0;
    if (size + w.len <= max) {
        memmove(data + at + w.len, data + at + over, after - over);
        memcpy(data + at, w.data, w.len);
        size += w.len - over;
    }
    writer_free(&w);
    return size;
}

/* Inserts a prefixed instruction without immediates that are needed to keep
 * its shape: anything goes, the validator is to judge. */
static size_t put_op(uint8_t *data, size_t size, size_t max, uint64_t r)
{
    uint32_t code = op_info[r % OP_COUNT].code;
    Writer w = {0};
    if (code >> 12) {
        writer_byte(&w, (uint8_t)(code >> 12));
        writer_u64(&w, code & 0xfff);
    } else {
        writer_byte(&w, (uint8_t)code);
    }
    size_t at = size ? (r >> 16) % size : 0;
    if (size + w.len <= max) {
        memmove(data + at + w.len, data + at, size - at);
        memcpy(data + at, w.data, w.len);
        size += w.len;
    }
    writer_free(&w);
    return size;
}

static size_t mutate_bytes(uint8_t *data, size_t size, size_t max, uint64_t r)
{
    switch (r % 8) {
    case 0:
    case 1: replace_op(data, size, r >> 3); return size;
    case 2: return put_edge(data, size, max, r >> 3);
    case 3: return put_op(data, size, max, r >> 3);
    default: return LLVMFuzzerMutate(data, size, max);
    }
}

/* Mutates the bytes of one part into *buffer (malloc), which it then is. */
static uint8_t *mutate_inside(Part *part, size_t room, uint64_t r)
{
    size_t max = part->len + (room < 4096 ? room : 4096) + 1;
    uint8_t *buffer = malloc(max);
    if (part->len)
        memcpy(buffer, part->at, part->len);
    part->len = mutate_bytes(buffer, part->len, max, r);
    part->at = buffer;
    return buffer;
}

static uint8_t *mutate_parts(Parts *p, size_t room, uint64_t *seed)
{
    uint64_t r = fuzz_random(seed);
    uint32_t i = r % p->n, j = (r >> 20) % p->n;
    switch (r >> 40 & 15) {
    case 0: double_part(p, i); return NULL;
    case 1: drop_part(p, i); return NULL;
    case 2: exchange(p, i, j); return NULL;
    case 3: p->parts[i].id = (r >> 44) % 14; return NULL;
    default: return mutate_inside(&p->parts[i], room, fuzz_random(seed));
    }
}

/* The code section: its count, then sized bodies. */
static uint8_t *mutate_code(Part *section, size_t room, uint64_t *seed)
{
    static Parts bodies;
    const uint8_t *p = section->at, *end = p + section->len;
    uint64_t count;
    Writer w = {0};
    if (!read_size(&p, end, &count) || !split(p, end, false, &bodies))
        return mutate_inside(section, room, fuzz_random(seed));
    uint32_t n = bodies.n;
    uint8_t *buffer = mutate_parts(&bodies, room, seed);
    writer_u64(&w, count + bodies.n - n);
    write_parts(&bodies, false, &w);
    free(buffer);
    section->at = w.data;
    section->len = w.len;
    return w.data;
}

static uint32_t find_code(const Parts *sections)
{
    uint32_t i = 0;
    while (i < sections->n && sections->parts[i].id != CODE)
        i++;
    return i;
}

size_t mutate_module(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static Parts sections;
    uint64_t state = seed;
    uint64_t r = fuzz_random(&state);
    if (size < HEADER || r % 16 == 0
        || !split(data + HEADER, data + size, true, &sections))
        return LLVMFuzzerMutate(data, size, max_size);
    size_t room = max_size > size ? max_size - size : 0;
    uint32_t code = find_code(&sections);
    uint8_t *buffer = (r >> 8) % 3 && code < sections.n
                          ? mutate_code(&sections.parts[code], room, &state)
                          : mutate_parts(&sections, room, &state);
    Writer w = {0};
    writer_bytes(&w, data, HEADER);
    write_parts(&sections, true, &w);
    if (w.len <= max_size) {
        memcpy(data, w.data, w.len);
        size = w.len;
    }
    writer_free(&w);
    free(buffer);
    return size;
}
