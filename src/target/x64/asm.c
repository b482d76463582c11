/* A label's place is one word.  Bound, it is its position and LABEL_BOUND.  Unbound,
 * it is the head of the chain of its uses: the position of the newest one's
 * displacement, which holds the next link in place of the distance to come.
 * A link's upper bits say how many bytes of immediate lie between that
 * displacement and the end of its instruction.  So neither jumps nor operands
 * need memory besides the code. */
#include <stdlib.h>

#include "target/x64/x64_row.h"

#define LABEL_BOUND 0x80000000u
#define LINK_POS    0x1fffffffu
#define LINK_END    LINK_POS /* no position; the buffer stays below it */
#define LINK_TAIL   29       /* the shift of the tail's code */

static const uint8_t tail_of_code[4] = {0, 1, 2, 4};
static const uint8_t code_of_tail[5] = {0, 1, 2, 0, 3};

struct AsmConstant {
    uint8_t bytes[16]; /* zero behind n */
    uint32_t n;
    Label label;
    uint32_t next; /* of the same hash: index + 1, or 0 */
};

struct AsmOffset {
    uint32_t at;
    Label to, from;
};

/* ---- the buffer ---- */

/* The spare buffer serves before the first growth, and after a failure. */
static void use_spare(Assembler *a)
{
    a->start = a->at = a->spare;
    a->end = a->spare + sizeof a->spare - ASM_SLACK;
}

static void fail(Assembler *a)
{
    if (a->start != a->spare)
        free(a->start);
    use_spare(a);
    a->failed = true;
}

/* Makes room for size bytes.  After a failure the code is lost, and the spare
 * buffer is written again and again. */
void asm_grow(Assembler *a, uint32_t size)
{
    if (a->failed) {
        a->at = a->start;
        return;
    }
    size_t used = asm_pos(a), capacity = used * 2;
    if (capacity < used + size)
        capacity = used + size;
    capacity += 4096;
    uint8_t *old = a->start == a->spare ? NULL : a->start;
    uint8_t *grown =
        capacity < LINK_POS ? realloc(old, capacity + ASM_SLACK) : NULL;
    if (!grown) {
        fail(a);
        return;
    }
    if (!old)
        memcpy(grown, a->spare, used);
    a->start = grown;
    a->at = grown + used;
    a->end = grown + capacity;
}

/* An array of count elements has room for one more; false: it has not. */
static bool grow_array(Assembler *a, void **array, uint32_t *capacity,
                       uint32_t count, size_t size)
{
    if (count < *capacity)
        return true;
    uint32_t wanted = count * 2 + 32;
    void *old = *array == a->first_labels ? NULL : *array;
    void *grown = realloc(old, wanted * size);
    if (!grown) {
        fail(a);
        return false;
    }
    if (!old && count)
        memcpy(grown, *array, count * size);
    *array = grown;
    *capacity = wanted;
    return true;
}

void asm_init(Assembler *a, uint32_t cpu)
{
    memset(a, 0, sizeof *a);
    a->cpu = cpu;
    a->scratch = XMM7;
    use_spare(a);
    a->labels = a->first_labels;
    a->label_capacity = sizeof a->first_labels / sizeof *a->first_labels;
}

void asm_reset(Assembler *a)
{
    a->at = a->start;
    a->failed = false;
    a->label_count = a->constant_count = a->offset_count = 0;
    memset(&a->guard, 0, sizeof a->guard);
    memset(a->constant_head, 0, sizeof a->constant_head);
}

void asm_free(Assembler *a)
{
    if (a->start != a->spare)
        free(a->start);
    if (a->labels != a->first_labels)
        free(a->labels);
    free(a->constants);
    free(a->offsets);
    asm_init(a, a->cpu);
}

/* ---- labels ---- */

Label asm_label(Assembler *a)
{
    if (!grow_array(a, (void **)&a->labels, &a->label_capacity, a->label_count,
                    sizeof *a->labels))
        return 0;
    a->labels[a->label_count] = (AsmLabel){LINK_END, FACTS_ALL};
    return a->label_count++;
}

bool asm_is_bound(const Assembler *a, Label l)
{
    return a->labels[l].place & LABEL_BOUND;
}

uint32_t asm_label_pos(const Assembler *a, Label l)
{
    assert(asm_is_bound(a, l));
    return a->labels[l].place & ~LABEL_BOUND;
}

uint32_t asm_enter(Assembler *a)
{
    guard_enter(&a->guard);
    return asm_pos(a);
}

void asm_refer(Assembler *a, uint8_t *p, Label l, unsigned tail)
{
    uint32_t at = (uint32_t)(p - a->start), label = a->labels[l].place;
    if (label & LABEL_BOUND) {
        put32(p, (label & ~LABEL_BOUND) - (at + 4 + tail));
    } else {
        put32(p, label);
        a->labels[l].place = at | (uint32_t)code_of_tail[tail] << LINK_TAIL;
    }
}

void asm_bind(Assembler *a, Label l)
{
    uint32_t here = asm_pos(a), link = a->labels[l].place;
    assert(a->failed || !(link & LABEL_BOUND));
    a->guard.known &= a->labels[l].facts;
    a->labels[l] = (AsmLabel){here | LABEL_BOUND, a->guard.known};
    if (a->failed)
        return; /* the uses are gone */
    while (link != LINK_END) {
        uint32_t at = link & LINK_POS;
        uint8_t tail = tail_of_code[link >> LINK_TAIL];
        memcpy(&link, a->start + at, 4);
        put32(a->start + at, here - (at + 4 + tail));
    }
}

/* ---- jumps ---- */

/* Backward and near, or with a displacement of 32 bits behind `head`. */
static void put_jump(Assembler *a, Label l, uint8_t near, unsigned head,
                     unsigned head_length)
{
    uint8_t *p = a->at;
    int64_t distance = asm_is_bound(a, l)
                           ? (int64_t)asm_label_pos(a, l) - asm_pos(a) - 2
                           : INT64_MAX;
    if (near && fits8(distance)) {
        p[0] = near;
        p[1] = (uint8_t)distance;
        asm_advance(a, 2);
        return;
    }
    put16(p, (uint16_t)head);
    asm_refer(a, p + head_length, l, 0);
    asm_advance(a, head_length + 4);
}

static void jump_facts(Assembler *a, Label l, Facts here)
{
    guard_jump(&a->guard, &a->labels[l].facts, asm_is_bound(a, l), here);
}

void x64_jmp(Assembler *a, Label l)
{
    put_jump(a, l, 0xeb, 0xe9, 1);
    jump_facts(a, l, a->guard.known);
    a->guard.known = FACTS_ALL;
}

void x64_jcc(Assembler *a, Cond cc, Label l)
{
    put_jump(a, l, (uint8_t)(0x70 + cc), 0x800f + ((unsigned)cc << 8), 2);
    jump_facts(a, l, a->guard.known);
}

void x64_call_label(Assembler *a, Label l)
{
    put_jump(a, l, 0, 0xe8, 1);
    guard_leave(&a->guard);
}

void x64_lea_label(Assembler *a, Reg reg, Label l)
{
    x64_rm(a, X64_LEA64, reg, mem_label(l));
}

static uint32_t put_short(Assembler *a, uint8_t opcode)
{
    put16(a->at, opcode);
    asm_advance(a, 2);
    guard_short_jump(&a->guard);
    return asm_pos(a);
}

uint32_t x64_jmp_short(Assembler *a)
{
    uint32_t at = put_short(a, 0xeb);
    a->guard.known = FACTS_ALL;
    return at;
}

uint32_t x64_jcc_short(Assembler *a, Cond cc)
{
    return put_short(a, (uint8_t)(0x70 + cc));
}

void x64_land(Assembler *a, uint32_t jump)
{
    guard_land(&a->guard);
    if (a->failed)
        return;
    uint32_t distance = asm_pos(a) - jump;
    assert(distance <= 127);
    a->start[jump - 1] = (uint8_t)distance;
}

/* ---- data ---- */

void asm_bytes(Assembler *a, const void *bytes, uint32_t n)
{
    if (a->failed || n == 0)
        return;
    if (n > a->end - a->at)
        asm_grow(a, n);
    if (a->failed)
        return;
    memcpy(a->at, bytes, n);
    asm_advance(a, n);
    guard_data(&a->guard);
}

void asm_align(Assembler *a, unsigned n) { x64_nop(a, -asm_pos(a) & (n - 1)); }

void asm_offset32(Assembler *a, Label to, Label from)
{
    if (!grow_array(a, (void **)&a->offsets, &a->offset_capacity,
                    a->offset_count, sizeof *a->offsets))
        return;
    a->offsets[a->offset_count++] = (AsmOffset){asm_pos(a), to, from};
    put32(a->at, 0);
    asm_advance(a, 4);
    guard_data(&a->guard);
    jump_facts(a, to, a->guard.at_table);
}

/* Of many constants, only those newest in their chain are shared. */
enum { MOST_LOOKS = 16 };

Mem asm_const(Assembler *a, const void *bytes, unsigned n)
{
    assert(n == 4 || n == 8 || n == 16);
    AsmConstant c = {.n = n};
    memcpy(c.bytes, bytes, n);
    uint64_t low, high;
    memcpy(&low, c.bytes, 8);
    memcpy(&high, c.bytes + 8, 8);
    uint64_t hash = (low ^ high * 31) * 0x9e3779b97f4a7c15u >> 58;
    uint32_t i = a->constant_head[hash];
    for (unsigned looks = 0; i && looks < MOST_LOOKS; looks++) {
        const AsmConstant *old = &a->constants[i - 1];
        if (old->n == n && memcmp(old->bytes, c.bytes, 16) == 0)
            return mem_label(old->label);
        i = old->next;
    }
    c.label = asm_label(a);
    c.next = a->constant_head[hash];
    if (grow_array(a, (void **)&a->constants, &a->constant_capacity,
                   a->constant_count, sizeof *a->constants)) {
        a->constants[a->constant_count++] = c;
        a->constant_head[hash] = a->constant_count;
    }
    return mem_label(c.label);
}

Mem asm_const32(Assembler *a, uint32_t value)
{
    return asm_const(a, &value, 4);
}
Mem asm_const64(Assembler *a, uint64_t value)
{
    return asm_const(a, &value, 8);
}

/* ---- the end ---- */

static void place_constants(Assembler *a, unsigned n)
{
    static const uint8_t traps[16] = {
        0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
        0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
    };
    for (uint32_t i = 0; i < a->constant_count; i++) {
        const AsmConstant *c = &a->constants[i];
        if (c->n != n)
            continue;
        asm_bytes(a, traps, -asm_pos(a) & (n - 1));
        asm_bind(a, c->label);
        asm_bytes(a, c->bytes, n);
    }
}

bool asm_finish(Assembler *a)
{
    guard_data(&a->guard);
    for (unsigned n = 16; n >= 4; n /= 2)
        place_constants(a, n);
    if (a->failed || guard_refusal(&a->guard))
        return false;
    for (uint32_t i = 0; i < a->offset_count; i++) {
        AsmOffset o = a->offsets[i];
        put32(a->start + o.at,
              asm_label_pos(a, o.to) - asm_label_pos(a, o.from));
    }
    for (Label l = 0; l < a->label_count; l++)
        assert(a->labels[l].place == LINK_END || asm_is_bound(a, l));
    return true;
}
