#include "text/lex.h"
#include "text/number.h"
#include "text/printer.h"
#include "wasm/walk.h"

bool print_code_is_block(Op op)
{
    return op == OP_BLOCK || op == OP_LOOP || op == OP_IF || op == OP_TRY
           || op == OP_TRY_TABLE;
}

/* --- operands ------------------------------------------------------------------ */

static void space_index(Printer *p, NameSpace space, uint32_t index)
{
    writer_byte(p->out, ' ');
    printer_index(p, space, index);
}

static void index_of(Printer *p, Reader *r, NameSpace space)
{
    space_index(p, space, reader_u32(r));
}

/* Index 0 is left out. */
static void optional_index(Printer *p, NameSpace space, uint32_t index)
{
    if (index)
        space_index(p, space, index);
}

static void print_local(Printer *p, uint32_t index)
{
    writer_byte(p->out, ' ');
    if (p->locals && index < p->n_locals && p->locals[index].id.len)
        print_id(p->locals[index].id, p->out);
    else
        writer_printf(p->out, "%u", index);
}

/* By name only if no inner block hides it. */
void print_code_label(Printer *p, uint32_t depth)
{
    writer_byte(p->out, ' ');
    if (depth < p->n_labels) {
        const PrintLabel *l = &p->labels[p->n_labels - 1 - depth];
        if (l->symbol != NOT_FOUND
            && p->label_top[l->symbol] == p->n_labels - depth) {
            print_id(l->named.id, p->out);
            return;
        }
    }
    writer_printf(p->out, "%u", depth);
}

static void print_memarg(Printer *p, Reader *r, Op op)
{
    uint32_t flags = reader_u32(r);
    if (flags & 0x40)
        optional_index(p, NAMES_MEMORY, reader_u32(r));
    uint64_t offset = reader_u64(r);
    if (offset)
        writer_printf(p->out, " offset=%llu", (unsigned long long)offset);
    uint64_t align = 1ull << (flags & 0x3f);
    if (align != op_info[op].access)
        writer_printf(p->out, " align=%llu", (unsigned long long)align);
}

static void print_br_table(Printer *p, Reader *r)
{
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i <= n && reader_ok(r); i++)
        print_code_label(p, reader_u32(r));
}

static void print_call_indirect(Printer *p, Reader *r)
{
    uint32_t type = reader_u32(r);
    optional_index(p, NAMES_TABLE, reader_u32(r));
    print_type_use(p, type, false);
}

static void print_integer(Printer *p, int64_t v)
{
    writer_printf(p->out, " %lld", (long long)v);
}

static uint64_t little_endian(const uint8_t *bytes, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = n; bytes && i-- > 0;)
        v = v << 8 | bytes[i];
    return v;
}

static void print_float(Printer *p, Reader *r, unsigned bytes)
{
    char text[NUMBER_TEXT_SIZE];
    uint64_t v = little_endian(reader_bytes(r, bytes), bytes);
    if (bytes == 4)
        number_print_f32((uint32_t)v, text);
    else
        number_print_f64(v, text);
    writer_byte(p->out, ' ');
    writer_text(p->out, text);
}

static void print_v128(Printer *p, Reader *r)
{
    writer_text(p->out, " i32x4");
    for (int i = 0; i < 4; i++)
        writer_printf(p->out, " 0x%08x",
                      (unsigned)little_endian(reader_bytes(r, 4), 4));
}

/* The segment stands first in the binary, last in the text. */
static void print_segment(Printer *p, Reader *r, NameSpace segment,
                          NameSpace target)
{
    uint32_t index = reader_u32(r);
    optional_index(p, target, reader_u32(r));
    space_index(p, segment, index);
}

static void print_two(Printer *p, Reader *r, NameSpace space)
{
    uint32_t to = reader_u32(r), from = reader_u32(r);
    if (!to && !from)
        return;
    space_index(p, space, to);
    space_index(p, space, from);
}

static void print_bytes_as_lanes(Printer *p, Reader *r)
{
    for (int i = 0; i < 16; i++)
        print_integer(p, reader_byte(r));
}

static void print_select_types(Printer *p, Reader *r)
{
    uint32_t n = reader_u32(r);
    writer_text(p->out, " (result");
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        writer_byte(p->out, ' ');
        print_type_value(p, r);
    }
    writer_byte(p->out, ')');
}

static void print_heap(Printer *p, Reader *r, Op op)
{
    writer_byte(p->out, ' ');
    if (op == OP_REF_NULL)
        print_type_heap(p, r);
    else
        print_type_ref(p, op == OP_REF_TEST_NULL || op == OP_REF_CAST_NULL, r);
}

static void print_br_cast(Printer *p, Reader *r)
{
    uint8_t flags = reader_byte(r);
    print_code_label(p, reader_u32(r));
    writer_byte(p->out, ' ');
    print_type_ref(p, flags & 1, r);
    writer_byte(p->out, ' ');
    print_type_ref(p, flags >> 1 & 1, r);
}

static void print_field(Printer *p, Reader *r)
{
    uint32_t type = reader_u32(r), field = reader_u32(r);
    space_index(p, NAMES_TYPE, type);
    const Named *names = print_name_fields(p, type);
    writer_byte(p->out, ' ');
    if (names && field < p->m->types[type]->structure.n_fields
        && names[field].id.len)
        print_id(names[field].id, p->out);
    else
        writer_printf(p->out, "%u", field);
}

static void type_and(Printer *p, Reader *r, NameSpace space)
{
    index_of(p, r, NAMES_TYPE);
    index_of(p, r, space);
}

static void operands(Printer *p, Reader *r, Op op)
{
    Imm imm = op_info[op].imm;
    switch (imm) {
    case IMM_NONE: break;
    case IMM_LOCAL: print_local(p, reader_u32(r)); break;
    case IMM_GLOBAL: index_of(p, r, NAMES_GLOBAL); break;
    case IMM_FUNC: index_of(p, r, NAMES_FUNC); break;
    case IMM_TABLE: optional_index(p, NAMES_TABLE, reader_u32(r)); break;
    case IMM_TAG: index_of(p, r, NAMES_TAG); break;
    case IMM_TYPE: index_of(p, r, NAMES_TYPE); break;
    case IMM_DATA: index_of(p, r, NAMES_DATA); break;
    case IMM_ELEM: index_of(p, r, NAMES_ELEM); break;
    case IMM_LABEL: print_code_label(p, reader_u32(r)); break;
    case IMM_MEMORY: optional_index(p, NAMES_MEMORY, reader_u32(r)); break;
    case IMM_BR_TABLE: print_br_table(p, r); break;
    case IMM_CALL_INDIRECT: print_call_indirect(p, r); break;
    case IMM_MEMARG: print_memarg(p, r, op); break;
    case IMM_MEMARG_LANE:
        print_memarg(p, r, op);
        print_integer(p, reader_byte(r));
        break;
    case IMM_LANE: print_integer(p, reader_byte(r)); break;
    case IMM_DATA_MEMORY: print_segment(p, r, NAMES_DATA, NAMES_MEMORY); break;
    case IMM_MEMORY_MEMORY: print_two(p, r, NAMES_MEMORY); break;
    case IMM_ELEM_TABLE: print_segment(p, r, NAMES_ELEM, NAMES_TABLE); break;
    case IMM_TABLE_TABLE: print_two(p, r, NAMES_TABLE); break;
    case IMM_I32: print_integer(p, reader_s32(r)); break;
    case IMM_I64: print_integer(p, reader_s64(r)); break;
    case IMM_F32: print_float(p, r, 4); break;
    case IMM_F64: print_float(p, r, 8); break;
    case IMM_V128: print_v128(p, r); break;
    case IMM_SHUFFLE: print_bytes_as_lanes(p, r); break;
    case IMM_SELECT_T: print_select_types(p, r); break;
    case IMM_HEAP: print_heap(p, r, op); break;
    case IMM_BR_CAST: print_br_cast(p, r); break;
    case IMM_TYPE_FIELD: print_field(p, r); break;
    case IMM_TYPE_COUNT:
        index_of(p, r, NAMES_TYPE);
        print_integer(p, reader_u32(r));
        break;
    case IMM_TYPE_DATA: type_and(p, r, NAMES_DATA); break;
    case IMM_TYPE_ELEM: type_and(p, r, NAMES_ELEM); break;
    case IMM_TYPE_TYPE: type_and(p, r, NAMES_TYPE); break;
    case IMM_FENCE: reader_byte(r); break;
    case IMM_BLOCK:
    case IMM_TRY_TABLE: /* print_code_head */
    case IMM_COUNT: break;
    }
}

void print_code_plain(Printer *p, Reader *r, Op op)
{
    Imm imm = op_info[op].imm;
    p->uses_data |=
        imm == IMM_DATA || imm == IMM_DATA_MEMORY || imm == IMM_TYPE_DATA;
    writer_text(p->out, op_info[op].text);
    operands(p, r, op);
}

/* --- blocks ---------------------------------------------------------------------- */

static void print_block_type(Printer *p, Reader *r)
{
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (code == 0x40) {
        reader_byte(r);
    } else if ((code & 0xc0) == 0x40) {
        writer_text(p->out, " (result ");
        print_type_value(p, r);
        writer_byte(p->out, ')');
    } else {
        print_type_use(p, (uint32_t)reader_s33(r), false);
    }
}

static void print_catches(Printer *p, Reader *r)
{
    static const char *const words[] = {"catch", "catch_ref", "catch_all",
                                        "catch_all_ref"};
    uint32_t n = reader_u32(r);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint8_t kind = reader_byte(r) & 3;
        writer_printf(p->out, " (%s", words[kind]);
        if (kind < 2)
            index_of(p, r, NAMES_TAG);
        print_code_label(p, reader_u32(r));
        writer_byte(p->out, ')');
    }
}

static const Named *block_name(const Printer *p, uint32_t block)
{
    return block < p->n_block_names ? &p->block_names[block] : NULL;
}

void print_code_head(Printer *p, Reader *r, Op op, uint32_t block)
{
    writer_text(p->out, op_info[op].text);
    const Named *n = block_name(p, block);
    if (n && n->name.bytes) {
        printer_named(p, n);
        p->labels_unused--;
    }
    print_block_type(p, r);
    if (op == OP_TRY_TABLE)
        print_catches(p, r);
}

void print_code_push(Printer *p, uint32_t block)
{
    if (p->n_labels == p->labels_capacity) {
        p->labels_capacity = p->labels_capacity + p->labels_capacity / 2 + 16;
        p->labels =
            intern_resize(p->labels, p->labels_capacity, sizeof *p->labels);
    }
    PrintLabel *l = &p->labels[p->n_labels++];
    *l = (PrintLabel){.symbol = NOT_FOUND};
    const Named *n = block_name(p, block);
    if (!n || !n->id.len)
        return;
    l->named = *n;
    l->symbol = intern_find(&p->label_ids, n->id.bytes, n->id.len);
    l->outer = p->label_top[l->symbol];
    p->label_top[l->symbol] = p->n_labels;
}

void print_code_pop(Printer *p)
{
    const PrintLabel *l = &p->labels[--p->n_labels];
    if (l->symbol != NOT_FOUND)
        p->label_top[l->symbol] = l->outer;
}

/* --- flat -------------------------------------------------------------------------- */

static void print_hint(Printer *p, uint32_t offset)
{
    int hint = print_name_take_hint(p, offset);
    if (hint >= 0)
        writer_printf(p->out, "(@metadata.code.branch_hint \"\\%02x\") ",
                      (unsigned)hint);
}

/* else, catch, catch_all: the line stands one step to the left. */
static void print_part(Printer *p, Reader *r, Op op)
{
    p->depth--;
    printer_line(p);
    writer_text(p->out, op_info[op].text);
    if (op == OP_CATCH)
        index_of(p, r, NAMES_TAG);
    p->depth++;
}

static void print_close(Printer *p, Reader *r, Op op)
{
    print_code_pop(p);
    p->depth--;
    printer_line(p);
    writer_text(p->out, op_info[op].text);
    if (op == OP_DELEGATE)
        print_code_label(p, reader_u32(r));
}

static void print_flat(Printer *p, Reader *r)
{
    while (printer_ok(p) && r->p < r->end) {
        uint32_t offset = (uint32_t)reader_offset(r);
        Op op = walk_op(r);
        if (op == OP_COUNT || (op == OP_END && !p->n_labels))
            return;
        if (op == OP_ELSE || op == OP_CATCH || op == OP_CATCH_ALL) {
            print_part(p, r, op);
            continue;
        }
        if (op == OP_END || op == OP_DELEGATE) {
            print_close(p, r, op);
            continue;
        }
        printer_line(p);
        print_hint(p, offset);
        if (!print_code_is_block(op)) {
            print_code_plain(p, r, op);
            continue;
        }
        uint32_t block = p->n_blocks++;
        print_code_head(p, r, op, block);
        print_code_push(p, block);
        p->depth++;
    }
}

/* --- functions ----------------------------------------------------------------------- */

/* One local; those without names share parentheses. */
static void print_declaration(Printer *p, Reader type, const Named *n,
                              bool first, bool *open)
{
    bool named = n && n->name.bytes;
    if (*open && named)
        writer_byte(p->out, ')');
    if (!*open || named)
        writer_text(p->out, first ? "(local" : " (local");
    if (named)
        printer_named(p, n);
    writer_byte(p->out, ' ');
    print_type_value(p, &type);
    if (named)
        writer_byte(p->out, ')');
    *open = !named;
}

static void print_locals(Printer *p, Reader *r, uint32_t n_params)
{
    bool open = false;
    uint32_t runs = reader_u32(r), local = n_params;
    for (uint32_t i = 0; i < runs && reader_ok(r); i++) {
        uint32_t count = reader_u32(r);
        Reader type = *r;
        print_type_skip(r);
        for (uint32_t k = 0; k < count && printer_ok(p); k++, local++) {
            if (local == n_params)
                printer_line(p);
            print_declaration(p, type, p->locals ? &p->locals[local] : NULL,
                              local == n_params, &open);
        }
    }
    if (open)
        writer_byte(p->out, ')');
}

void print_code_function(Printer *p, const Func *f)
{
    uint32_t n_params = f->type->func.n_params;
    print_name_function(p, f->index, f->n_locals, f);
    print_name_start_hints(p, f);
    printer_line(p);
    writer_text(p->out, "(func");
    printer_define(p, NAMES_FUNC, f->index);
    print_type_use(p, f->type_index, true);
    p->depth++;
    Reader r = printer_reader(p, f->start, f->end);
    print_locals(p, &r, n_params);
    bool empty = f->end - f->code == 1;
    if (p->o.fold)
        print_fold(p, &r, f->type);
    else
        print_flat(p, &r);
    p->depth--;
    if (!empty && !p->o.fold)
        printer_line(p);
    writer_byte(p->out, ')');
    p->n_labels = 0;
}
