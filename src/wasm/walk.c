#include "wasm/walk.h"

Op walk_op(Reader *r)
{
    uint64_t at = reader_offset(r);
    uint8_t code = reader_byte(r), prefix = 0;
    uint32_t number = code;
    if (code >= 0xfb && code <= 0xfe) {
        prefix = code;
        number = reader_u32(r);
    }
    if (!reader_ok(r))
        return OP_COUNT;
    Op op = op_of_code(prefix, number);
    if (op != OP_COUNT)
        return op;
    r->p = r->start + at;
    if (prefix)
        reader_fail(r, "illegal opcode %02x %02x", prefix, (unsigned)number);
    else
        reader_fail(r, "illegal opcode %02x", code);
    return OP_COUNT;
}

/* A type or a block type: one byte, or an index, or a heap type behind. */
static void skip_type(Reader *r)
{
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (code == KIND_REF || code == KIND_REF_NULL)
        reader_byte(r);
    reader_s33(r);
}

static void skip_memarg(Reader *r)
{
    if (reader_u32(r) & 0x40)
        reader_u32(r);
    reader_u64(r);
}

static void skip_labels(Reader *r)
{
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i <= n && reader_ok(r); i++)
        reader_u32(r);
}

static void skip_catches(Reader *r)
{
    skip_type(r);
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        if (reader_byte(r) < 2)
            reader_u32(r);
        reader_u32(r);
    }
}

static void skip_types(Reader *r)
{
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++)
        skip_type(r);
}

void walk_skip(Reader *r, Op op)
{
    switch (op < OP_COUNT ? (Imm)op_info[op].imm : IMM_NONE) {
    case IMM_NONE:
    case IMM_COUNT: return;
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_FUNC:
    case IMM_TABLE:
    case IMM_TAG:
    case IMM_TYPE:
    case IMM_DATA:
    case IMM_ELEM:
    case IMM_LABEL:
    case IMM_MEMORY: reader_u32(r); return;
    case IMM_CALL_INDIRECT:
    case IMM_DATA_MEMORY:
    case IMM_MEMORY_MEMORY:
    case IMM_ELEM_TABLE:
    case IMM_TABLE_TABLE:
    case IMM_TYPE_FIELD:
    case IMM_TYPE_COUNT:
    case IMM_TYPE_DATA:
    case IMM_TYPE_ELEM:
    case IMM_TYPE_TYPE:
        reader_u32(r);
        reader_u32(r);
        return;
    case IMM_BLOCK: skip_type(r); return;
    case IMM_BR_TABLE: skip_labels(r); return;
    case IMM_MEMARG: skip_memarg(r); return;
    case IMM_MEMARG_LANE:
        skip_memarg(r);
        reader_byte(r);
        return;
    case IMM_LANE:
    case IMM_FENCE: reader_byte(r); return;
    case IMM_I32: reader_s32(r); return;
    case IMM_I64: reader_s64(r); return;
    case IMM_F32: reader_bytes(r, 4); return;
    case IMM_F64: reader_bytes(r, 8); return;
    case IMM_V128:
    case IMM_SHUFFLE: reader_bytes(r, 16); return;
    case IMM_SELECT_T: skip_types(r); return;
    case IMM_HEAP: reader_s33(r); return;
    case IMM_TRY_TABLE: skip_catches(r); return;
    case IMM_BR_CAST:
        reader_byte(r);
        reader_u32(r);
        reader_s33(r);
        reader_s33(r);
        return;
    }
}

uint32_t walk_instruction_at(const Module *m, const Func *f, uint32_t offset)
{
    Error err = {0};
    Reader r = {m->bytes, m->bytes + f->code, m->bytes + f->end, &err};
    uint32_t at = f->code;
    while (r.p < r.end && reader_offset(&r) <= offset) {
        at = (uint32_t)reader_offset(&r);
        walk_skip(&r, walk_op(&r));
    }
    return at;
}
