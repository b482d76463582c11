#include "text/number.h"
#include "text/parse_part.h"

void parse_imm_opcode(Op op, Writer *w)
{
    uint32_t code = op_info[op].code;
    if (code > 0xff) {
        writer_byte(w, (uint8_t)(code >> 12));
        writer_u32(w, code & 0xfff);
    } else {
        writer_byte(w, (uint8_t)code);
    }
}

static void index_to(Parser *p, Space space, Writer *w)
{
    writer_u32(w, parser_index(p, space));
}

static void check_number(Parser *p, NumberResult r, const char *what)
{
    if (r == NUMBER_SYNTAX)
        parser_unexpected(p, what);
    else if (r == NUMBER_RANGE)
        parser_fail(p, p->tok.at, "%s constant out of range", what);
    parser_advance(p);
}

uint64_t parse_imm_integer(Parser *p, unsigned bits, const char *what)
{
    uint64_t v = 0;
    NumberResult r = NUMBER_SYNTAX;
    if (p->tok.kind == TOKEN_NUMBER)
        r = number_integer(p->tok.at, p->tok.len, bits, &v);
    check_number(p, r, what);
    return v;
}

static uint32_t read_f32(Parser *p)
{
    uint32_t v = 0;
    NumberResult r = NUMBER_SYNTAX;
    if (p->tok.kind == TOKEN_NUMBER || p->tok.kind == TOKEN_KEYWORD)
        r = number_f32(p->tok.at, p->tok.len, &v);
    check_number(p, r, "f32");
    return v;
}

static uint64_t read_f64(Parser *p)
{
    uint64_t v = 0;
    NumberResult r = NUMBER_SYNTAX;
    if (p->tok.kind == TOKEN_NUMBER || p->tok.kind == TOKEN_KEYWORD)
        r = number_f64(p->tok.at, p->tok.len, &v);
    check_number(p, r, "f64");
    return v;
}

uint64_t parse_imm_float(Parser *p, unsigned bytes)
{
    return bytes == 4 ? read_f32(p) : read_f64(p);
}

void parse_imm_little_endian(uint8_t *out, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, v >>= 8)
        out[i] = (uint8_t)v;
}

typedef struct {
    const char *word;
    uint8_t lanes, bytes;
    bool is_float;
} Shape;

static const Shape shapes[] = {{"i8x16", 16, 1, false}, {"i16x8", 8, 2, false},
                               {"i32x4", 4, 4, false},  {"i64x2", 2, 8, false},
                               {"f32x4", 4, 4, true},   {"f64x2", 2, 8, true}};

static uint64_t read_lane(Parser *p, const Shape *s)
{
    static const char *const words[] = {
        [1] = "i8", [2] = "i16", [4] = "i32", [8] = "i64"};
    if (!s->is_float)
        return parse_imm_integer(p, s->bytes * 8u, words[s->bytes]);
    return parse_imm_float(p, s->bytes);
}

void parse_imm_v128(Parser *p, uint8_t out[16])
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const Shape *s = &shapes[i];
        if (!parser_take(p, s->word))
            continue;
        for (unsigned k = 0; k < s->lanes; k++)
            parse_imm_little_endian(out + k * s->bytes, read_lane(p, s),
                                    s->bytes);
        return;
    }
    parser_unexpected(p, "a vector shape");
}

static void v128(Parser *p, Writer *w)
{
    uint8_t bytes[16] = {0};
    parse_imm_v128(p, bytes);
    writer_bytes(w, bytes, sizeof bytes);
}

static void floats(Parser *p, unsigned bytes, Writer *w)
{
    uint8_t out[8];
    parse_imm_little_endian(out, parse_imm_float(p, bytes), bytes);
    writer_bytes(w, out, bytes);
}

static void lane(Parser *p, Writer *w)
{
    const char *at = p->tok.at;
    uint32_t v = parser_u32(p, "lane");
    if (v > 255)
        parser_fail(p, at, "lane out of range: %u", v);
    writer_byte(w, (uint8_t)v);
}

/* "offset=7": the number behind the word, if that is what stands here. */
static bool assignment(Parser *p, const char *word, uint64_t *out)
{
    size_t n = strlen(word);
    if (p->tok.kind != TOKEN_KEYWORD || !token_starts(&p->tok, word))
        return false;
    NumberResult r =
        number_unsigned(p->tok.at + n, p->tok.len - n, UINT64_MAX, out);
    if (r == NUMBER_SYNTAX)
        return parser_unexpected(p, "a number after `=`");
    if (r == NUMBER_RANGE)
        return parser_fail(p, p->tok.at, "%.*s out of range", (int)n - 1, word);
    parser_advance(p);
    return true;
}

/* memory? offset=? align=?.  With a lane behind, a number is a memory only
 * if more follows. */
static void memarg(Parser *p, Op op, bool has_lane, Writer *w)
{
    uint32_t memory = 0;
    bool more = p->next.kind == TOKEN_NUMBER
                || (p->next.kind == TOKEN_KEYWORD
                    && (token_starts(&p->next, "offset=")
                        || token_starts(&p->next, "align=")));
    if (p->tok.kind == TOKEN_ID
        || (p->tok.kind == TOKEN_NUMBER && (!has_lane || more)))
        memory = parser_index(p, SPACE_MEMORY);
    uint64_t offset = 0, align = op_info[op].access;
    assignment(p, "offset=", &offset);
    const char *at = p->tok.at;
    assignment(p, "align=", &align);
    unsigned log2 = 0;
    while (log2 < 63 && (uint64_t)1 << log2 < align)
        log2++;
    if (align != (uint64_t)1 << log2)
        parser_fail(p, at, "alignment must be a power of 2");
    writer_u32(w, log2 | (memory ? 0x40 : 0));
    if (memory)
        writer_u32(w, memory);
    writer_u64(w, offset);
    if (has_lane)
        lane(p, w);
}

static uint32_t optional_index(Parser *p, Space space)
{
    return parser_at_index(p) ? parser_index(p, space) : 0;
}

/* Text has the destination's index first, and may leave it out; the binary
 * has the segment's first. */
static void segment(Parser *p, Space of_segment, Space of_target, Writer *w)
{
    uint32_t target = 0;
    if (p->next.kind == TOKEN_NUMBER || p->next.kind == TOKEN_ID)
        target = parser_index(p, of_target);
    index_to(p, of_segment, w);
    writer_u32(w, target);
}

/* Both or none. */
static void two_optional(Parser *p, Space space, Writer *w)
{
    if (!parser_at_index(p)) {
        writer_bytes(w, "\0", 2);
        return;
    }
    index_to(p, space, w);
    index_to(p, space, w);
}

static void br_table(Parser *p, Writer *w)
{
    Writer labels = {0};
    uint32_t n = 0;
    do {
        writer_u32(&labels, parser_label(p));
        n++;
    } while (parser_at_index(p));
    writer_u32(w, n - 1);
    writer_bytes(w, labels.data, labels.len);
    writer_free(&labels);
}

static void call_indirect(Parser *p, Writer *w)
{
    uint32_t table = optional_index(p, SPACE_TABLE);
    writer_u32(w, parse_type_use(p, false));
    writer_u32(w, table);
}

static void select_with_types(Parser *p, Writer *w)
{
    if (!parser_at_left(p, "result")) {
        parse_imm_opcode(OP_SELECT, w);
        return;
    }
    parse_imm_opcode(OP_SELECT_T, w);
    Writer types = {0};
    uint32_t n = 0;
    while (parser_take_left(p, "result")) {
        for (; parser_ok(p) && p->tok.kind != TOKEN_RIGHT; n++)
            parse_type_value(p, &types);
        parser_close(p);
    }
    writer_u32(w, n);
    writer_bytes(w, types.data, types.len);
    writer_free(&types);
}

/* ref.test and ref.cast: the type's nullability is in the opcode. */
static void cast(Parser *p, Op op, Op op_null, Writer *w)
{
    Writer heap = {0};
    bool nullable = parse_type_ref_parts(p, &heap);
    parse_imm_opcode(nullable ? op_null : op, w);
    writer_bytes(w, heap.data, heap.len);
    writer_free(&heap);
}

static void br_cast(Parser *p, Writer *w)
{
    size_t flags = w->len;
    writer_byte(w, 0);
    writer_u32(w, parser_label(p));
    bool from = parse_type_ref_parts(p, w);
    bool to = parse_type_ref_parts(p, w);
    w->data[flags] = (uint8_t)(from | to << 1);
}

static void operands(Parser *p, Op op, Writer *w);

void parse_imm_plain(Parser *p, Op op, Writer *w)
{
    switch (op) {
    case OP_SELECT: select_with_types(p, w); return;
    case OP_REF_TEST: cast(p, OP_REF_TEST, OP_REF_TEST_NULL, w); return;
    case OP_REF_CAST: cast(p, OP_REF_CAST, OP_REF_CAST_NULL, w); return;
    default: parse_imm_opcode(op, w); operands(p, op, w);
    }
}

static void type_and(Parser *p, Space space, Writer *w)
{
    index_to(p, SPACE_TYPE, w);
    index_to(p, space, w);
}

static void type_field(Parser *p, Writer *w)
{
    uint32_t type = parser_index(p, SPACE_TYPE);
    writer_u32(w, type);
    writer_u32(w, parser_field_index(p, type));
}

static void type_count(Parser *p, Writer *w)
{
    index_to(p, SPACE_TYPE, w);
    writer_u32(w, parser_u32(p, "length"));
}

static void shuffle(Parser *p, Writer *w)
{
    for (int i = 0; i < 16; i++)
        lane(p, w);
}

static void operands(Parser *p, Op op, Writer *w)
{
    Imm imm = op_info[op].imm;
    if (imm == IMM_DATA || imm == IMM_DATA_MEMORY || imm == IMM_TYPE_DATA)
        p->uses_data = true;
    switch (imm) {
    case IMM_NONE: break;
    case IMM_LOCAL: writer_u32(w, parser_local(p)); break;
    case IMM_GLOBAL: index_to(p, SPACE_GLOBAL, w); break;
    case IMM_FUNC: index_to(p, SPACE_FUNC, w); break;
    case IMM_TABLE: writer_u32(w, optional_index(p, SPACE_TABLE)); break;
    case IMM_TAG: index_to(p, SPACE_TAG, w); break;
    case IMM_TYPE: index_to(p, SPACE_TYPE, w); break;
    case IMM_DATA: index_to(p, SPACE_DATA, w); break;
    case IMM_ELEM: index_to(p, SPACE_ELEM, w); break;
    case IMM_LABEL: writer_u32(w, parser_label(p)); break;
    case IMM_MEMORY: writer_u32(w, optional_index(p, SPACE_MEMORY)); break;
    case IMM_BR_TABLE: br_table(p, w); break;
    case IMM_CALL_INDIRECT: call_indirect(p, w); break;
    case IMM_MEMARG: memarg(p, op, false, w); break;
    case IMM_MEMARG_LANE: memarg(p, op, true, w); break;
    case IMM_LANE: lane(p, w); break;
    case IMM_DATA_MEMORY: segment(p, SPACE_DATA, SPACE_MEMORY, w); break;
    case IMM_MEMORY_MEMORY: two_optional(p, SPACE_MEMORY, w); break;
    case IMM_ELEM_TABLE: segment(p, SPACE_ELEM, SPACE_TABLE, w); break;
    case IMM_TABLE_TABLE: two_optional(p, SPACE_TABLE, w); break;
    case IMM_I32:
        writer_s32(w, (int32_t)parse_imm_integer(p, 32, "i32"));
        break;
    case IMM_I64:
        writer_s64(w, (int64_t)parse_imm_integer(p, 64, "i64"));
        break;
    case IMM_F32: floats(p, 4, w); break;
    case IMM_F64: floats(p, 8, w); break;
    case IMM_V128: v128(p, w); break;
    case IMM_SHUFFLE: shuffle(p, w); break;
    case IMM_HEAP: parse_type_heap(p, w); break;
    case IMM_BR_CAST: br_cast(p, w); break;
    case IMM_TYPE_FIELD: type_field(p, w); break;
    case IMM_TYPE_COUNT: type_count(p, w); break;
    case IMM_TYPE_DATA: type_and(p, SPACE_DATA, w); break;
    case IMM_TYPE_ELEM: type_and(p, SPACE_ELEM, w); break;
    case IMM_TYPE_TYPE: type_and(p, SPACE_TYPE, w); break;
    case IMM_FENCE: writer_byte(w, 0); break;
    case IMM_BLOCK:     /* parse_code.c */
    case IMM_TRY_TABLE: /* parse_code.c */
    case IMM_SELECT_T:
    case IMM_COUNT: break;
    }
}
