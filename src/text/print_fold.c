#include <stdlib.h>

#include "text/printer.h"
#include "wasm/walk.h"

/* Folding groups an instruction with those before it that give its operands:
 * what is inside the parentheses is printed first when read back, so any
 * grouping of neighbours that keeps their order is right, and the types only
 * decide which grouping reads well.  First pass: for each instruction, the
 * first one in its parentheses.  Second pass: at each instruction, open what
 * begins there, outermost first; close it when it comes itself.
 */

typedef struct {
    uint32_t offset;
    uint32_t first; /* item where its parenthesis opens */
    uint32_t next;  /* item + 1 that opens at the same place, further in */
    uint32_t head;  /* item + 1: the outermost that opens here */
    uint32_t block; /* number of the block that begins here */
    int8_t hint;
    bool compound; /* has a block in its parentheses */
} Item;

typedef struct {
    uint32_t first, results;
    bool compound;
} Node;

typedef struct {
    uint32_t base;           /* of the nodes inside */
    uint32_t first;          /* item where the block's parenthesis opens */
    uint32_t results, label; /* values of the block, of a branch to it */
    Op op;
} Block;

typedef struct {
    Printer *p;
    Item *items;
    uint32_t n_items, items_capacity;
    Node *nodes;
    uint32_t n_nodes, nodes_capacity;
    Block *blocks;
    uint32_t n_blocks, blocks_capacity;
    uint32_t n_results; /* of the function */
} Fold;

/* --- how many operands and results ---------------------------------------------- */

typedef struct {
    uint32_t pop, push;
} Arity;

/* clang-format off */
#define HAND(f)                {0, 0}
#define UN(t, f)               {1, 1}
#define BIN(t, f)              {2, 1}
#define TEST(t, f)             {1, 1}
#define CMP(t, f)              {2, 1}
#define DIV(t, f)              {2, 1}
#define CONV(to, from, f)      {1, 1}
#define TRUNC(to, from, f)     {1, 1}
#define LOAD(t, m)             {1, 1}
#define STORE(t, m)            {2, 0}
#define WIDE(f, n)             {n, 2}
#define VUN(f)                 {1, 1}
#define VBIN(f)                {2, 1}
#define VTER(f)                {3, 1}
#define VTEST(f)               {1, 1}
#define VSHIFT(f)              {2, 1}
#define VSPLAT(t, s)           {1, 1}
#define VEXTRACT(t, s, lanes)  {1, 1}
#define VREPLACE(t, s, lanes)  {2, 1}
#define VLOAD(f, bytes)        {1, 1}
#define VSTORE(f, bytes)       {2, 0}
#define VLOADLANE(bits, bytes) {2, 1}
#define VSTORELANE(bits, bytes) {2, 0}
#define ALOAD(t, m)            {1, 1}
#define ASTORE(t, m)           {2, 0}
#define ARMW(t, m, f)          {2, 1}
#define ACAS(t, m)             {3, 1}

static const struct {
    uint8_t pop, push;
} by_shape[OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) SHAPE,
#include "wasm/op.def"
#undef OP
};
#include "wasm/shapes_end.def"
/* clang-format on */

static Arity of_type(const Fold *f, uint32_t type, uint32_t more)
{
    if (type >= f->p->m->n_types || f->p->m->types[type]->kind != COMP_FUNC)
        return (Arity){more, 0};
    const FuncType *t = &f->p->m->types[type]->func;
    return (Arity){t->n_params + more, t->n_results};
}

static Arity of_function(const Fold *f, uint32_t index)
{
    if (index >= f->p->m->n_funcs)
        return (Arity){0, 0};
    const FuncType *t = &f->p->m->func_types[index]->func;
    return (Arity){t->n_params, t->n_results};
}

static uint32_t fields_of(const Fold *f, uint32_t type)
{
    if (type >= f->p->m->n_types || f->p->m->types[type]->kind != COMP_STRUCT)
        return 0;
    return f->p->m->types[type]->structure.n_fields;
}

static uint32_t tag_params(const Fold *f, uint32_t tag)
{
    return tag < f->p->m->n_tags ? f->p->m->tags[tag]->func.n_params : 0;
}

static uint32_t label_arity(const Fold *f, uint32_t depth)
{
    if (depth < f->n_blocks)
        return f->blocks[f->n_blocks - 1 - depth].label;
    return f->n_results;
}

static Arity of_br_table(const Fold *f, Reader *r)
{
    uint32_t n = reader_u32(r), label = 0;
    for (uint32_t i = 0; i <= n && reader_ok(r); i++)
        label = reader_u32(r);
    return (Arity){label_arity(f, label) + 1, 0};
}

static Arity of_br_cast(const Fold *f, Reader *r)
{
    reader_byte(r);
    uint32_t n = label_arity(f, reader_u32(r));
    return (Arity){n ? n : 1, n ? n : 1};
}

/* Those that look at their operands; r stands at them. */
static Arity of_control(const Fold *f, Op op, Reader *r)
{
    switch (op) {
    case OP_BR: return (Arity){label_arity(f, reader_u32(r)), 0};
    case OP_BR_IF: {
        uint32_t n = label_arity(f, reader_u32(r));
        return (Arity){n + 1, n};
    }
    case OP_BR_TABLE: return of_br_table(f, r);
    case OP_BR_ON_NULL: {
        uint32_t n = label_arity(f, reader_u32(r));
        return (Arity){n + 1, n + 1};
    }
    case OP_BR_ON_NON_NULL: {
        uint32_t n = label_arity(f, reader_u32(r));
        return (Arity){n, n ? n - 1 : 0};
    }
    case OP_BR_ON_CAST:
    case OP_BR_ON_CAST_FAIL: return of_br_cast(f, r);
    case OP_RETURN: return (Arity){f->n_results, 0};
    case OP_CALL: return of_function(f, reader_u32(r));
    case OP_RETURN_CALL: return (Arity){of_function(f, reader_u32(r)).pop, 0};
    case OP_CALL_INDIRECT:
    case OP_CALL_REF: return of_type(f, reader_u32(r), 1);
    case OP_RETURN_CALL_INDIRECT:
    case OP_RETURN_CALL_REF:
        return (Arity){of_type(f, reader_u32(r), 1).pop, 0};
    case OP_THROW: return (Arity){tag_params(f, reader_u32(r)), 0};
    case OP_STRUCT_NEW: return (Arity){fields_of(f, reader_u32(r)), 1};
    case OP_ARRAY_NEW_FIXED: reader_u32(r); return (Arity){reader_u32(r), 1};
    default: return (Arity){0, 0};
    }
}

static Arity arity_of(const Fold *f, Op op, Reader *r)
{
    switch (op) {
    case OP_DROP:
    case OP_LOCAL_SET:
    case OP_GLOBAL_SET:
    case OP_THROW_REF: return (Arity){1, 0};
    case OP_SELECT:
    case OP_SELECT_T:
    case OP_MEMORY_ATOMIC_WAIT32:
    case OP_MEMORY_ATOMIC_WAIT64: return (Arity){3, 1};
    case OP_LOCAL_GET:
    case OP_GLOBAL_GET:
    case OP_MEMORY_SIZE:
    case OP_TABLE_SIZE:
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
    case OP_V128_CONST:
    case OP_REF_NULL:
    case OP_REF_FUNC:
    case OP_STRUCT_NEW_DEFAULT: return (Arity){0, 1};
    case OP_LOCAL_TEE:
    case OP_TABLE_GET:
    case OP_MEMORY_GROW:
    case OP_REF_IS_NULL:
    case OP_REF_AS_NON_NULL:
    case OP_STRUCT_GET:
    case OP_STRUCT_GET_S:
    case OP_STRUCT_GET_U:
    case OP_ARRAY_NEW_DEFAULT:
    case OP_ARRAY_LEN:
    case OP_REF_TEST:
    case OP_REF_TEST_NULL:
    case OP_REF_CAST:
    case OP_REF_CAST_NULL:
    case OP_ANY_CONVERT_EXTERN:
    case OP_EXTERN_CONVERT_ANY:
    case OP_REF_I31:
    case OP_I31_GET_S:
    case OP_I31_GET_U: return (Arity){1, 1};
    case OP_TABLE_SET:
    case OP_STRUCT_SET: return (Arity){2, 0};
    case OP_TABLE_GROW:
    case OP_REF_EQ:
    case OP_ARRAY_NEW:
    case OP_ARRAY_NEW_DATA:
    case OP_ARRAY_NEW_ELEM:
    case OP_ARRAY_GET:
    case OP_ARRAY_GET_S:
    case OP_ARRAY_GET_U:
    case OP_I8X16_SHUFFLE:
    case OP_MEMORY_ATOMIC_NOTIFY: return (Arity){2, 1};
    case OP_ARRAY_SET:
    case OP_MEMORY_INIT:
    case OP_MEMORY_COPY:
    case OP_MEMORY_FILL:
    case OP_TABLE_INIT:
    case OP_TABLE_COPY:
    case OP_TABLE_FILL: return (Arity){3, 0};
    case OP_ARRAY_FILL:
    case OP_ARRAY_INIT_DATA:
    case OP_ARRAY_INIT_ELEM: return (Arity){4, 0};
    case OP_ARRAY_COPY: return (Arity){5, 0};
    default: break;
    }
    if (by_shape[op].pop || by_shape[op].push)
        return (Arity){by_shape[op].pop, by_shape[op].push};
    return of_control(f, op, r);
}

/* --- first pass -------------------------------------------------------------------- */

static Item *add_item(Fold *f, uint32_t offset)
{
    if (f->n_items == f->items_capacity) {
        f->items_capacity = f->items_capacity + f->items_capacity / 2 + 64;
        f->items = intern_resize(f->items, f->items_capacity, sizeof *f->items);
    }
    Item *i = &f->items[f->n_items];
    *i = (Item){.offset = offset, .first = f->n_items, .hint = -1};
    f->n_items++;
    return i;
}

static void push_node(Fold *f, uint32_t first, uint32_t results, bool compound)
{
    if (f->n_nodes == f->nodes_capacity) {
        f->nodes_capacity = f->nodes_capacity + f->nodes_capacity / 2 + 64;
        f->nodes = intern_resize(f->nodes, f->nodes_capacity, sizeof *f->nodes);
    }
    f->nodes[f->n_nodes++] = (Node){first, results, compound};
}

/* Takes nodes that give up to `pop` operands into item `i`. */
static void take_operands(Fold *f, Item *i, uint32_t pop)
{
    uint32_t base = f->n_blocks ? f->blocks[f->n_blocks - 1].base : 0;
    while (pop > 0 && f->n_nodes > base) {
        const Node *n = &f->nodes[f->n_nodes - 1];
        if (!n->results || n->results > pop)
            return;
        i->first = n->first;
        i->compound |= n->compound;
        pop -= n->results;
        f->n_nodes--;
    }
}

static void block_arity(const Fold *f, Reader *r, Block *b)
{
    uint8_t code = r->p < r->end ? *r->p : 0;
    if (code == 0x40 || (code & 0xc0) == 0x40) {
        b->results = code != 0x40;
        b->label = b->op == OP_LOOP ? 0 : b->results;
        return;
    }
    Arity a = of_type(f, (uint32_t)reader_s33(r), 0);
    b->results = a.push;
    b->label = b->op == OP_LOOP ? a.pop : a.push;
}

static void open_block(Fold *f, Item *i, Op op, Reader immediates)
{
    if (op == OP_IF)
        take_operands(f, i, 1);
    i->block = f->p->n_blocks++;
    if (f->n_blocks == f->blocks_capacity) {
        f->blocks_capacity = f->blocks_capacity + f->blocks_capacity / 2 + 16;
        f->blocks =
            intern_resize(f->blocks, f->blocks_capacity, sizeof *f->blocks);
    }
    Block b = {.base = f->n_nodes, .first = i->first, .op = op};
    block_arity(f, &immediates, &b);
    f->blocks[f->n_blocks++] = b;
}

static void close_block(Fold *f)
{
    const Block *b = &f->blocks[--f->n_blocks];
    f->n_nodes = b->base;
    push_node(f, b->first, b->results, true);
}

/* False: at the end of the expression. */
static bool add_instruction(Fold *f, Reader *r)
{
    uint32_t offset = (uint32_t)reader_offset(r);
    Op op = walk_op(r);
    if (op == OP_COUNT || (op == OP_END && !f->n_blocks))
        return false;
    Reader immediates = *r;
    walk_skip(r, op);
    Item *i = add_item(f, offset);
    i->hint = (int8_t)print_name_take_hint(f->p, offset);
    if (print_code_is_block(op)) {
        open_block(f, i, op, immediates);
    } else if (op == OP_END || op == OP_DELEGATE) {
        close_block(f);
    } else if (op == OP_ELSE || op == OP_CATCH || op == OP_CATCH_ALL) {
        f->n_nodes = f->blocks[f->n_blocks - 1].base;
    } else {
        Arity a = arity_of(f, op, &immediates);
        take_operands(f, i, a.pop);
        push_node(f, i->first, a.push, i->compound);
    }
    return true;
}

static bool has_parenthesis(Op op)
{
    return op != OP_END && op != OP_ELSE && op != OP_CATCH && op != OP_CATCH_ALL
           && op != OP_DELEGATE;
}

static Op op_at(const Fold *f, uint32_t i, Reader *r)
{
    *r = printer_reader(f->p, f->items[i].offset, f->p->m->len);
    return walk_op(r);
}

/* Later items stand further out. */
static void link_heads(Fold *f)
{
    for (uint32_t i = 0; i < f->n_items; i++) {
        Reader r;
        if (!has_parenthesis(op_at(f, i, &r)))
            continue;
        Item *at = &f->items[f->items[i].first];
        f->items[i].next = at->head;
        at->head = i + 1;
    }
}

/* --- second pass ------------------------------------------------------------------- */

enum { SHORT = 4 }; /* instructions that share a line */

static void open_head(Fold *f, uint32_t i)
{
    Printer *p = f->p;
    const Item *item = &f->items[i];
    printer_line(p);
    if (item->hint >= 0)
        writer_printf(p->out, "(@metadata.code.branch_hint \"\\%02x\") ",
                      (unsigned)item->hint);
    writer_byte(p->out, '(');
    Reader r;
    Op op = op_at(f, i, &r);
    if (print_code_is_block(op))
        print_code_head(p, &r, op, item->block);
    else
        print_code_plain(p, &r, op);
    p->depth++;
}

static void close_head(Printer *p)
{
    writer_byte(p->out, ')');
    p->depth--;
}

static void open_clause(Printer *p, const char *word)
{
    printer_line(p);
    writer_byte(p->out, '(');
    writer_text(p->out, word);
    p->depth++;
}

static void close_end(Fold *f, Reader *r, Op op)
{
    Printer *p = f->p;
    Op opened = f->blocks[--f->n_blocks].op;
    print_code_pop(p);
    if (opened == OP_IF || opened == OP_TRY)
        close_head(p);
    if (op == OP_DELEGATE) {
        open_clause(p, "delegate");
        print_code_label(p, reader_u32(r));
        close_head(p);
    }
    close_head(p);
}

static void show_item(Fold *f, uint32_t i)
{
    Printer *p = f->p;
    Reader r;
    Op op = op_at(f, i, &r);
    switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_TRY_TABLE:
    case OP_IF:
    case OP_TRY:
        print_code_push(p, f->items[i].block);
        f->blocks[f->n_blocks++].op = op;
        if (op == OP_IF)
            open_clause(p, "then");
        if (op == OP_TRY)
            open_clause(p, "do");
        break;
    case OP_ELSE:
        close_head(p);
        open_clause(p, "else");
        break;
    case OP_CATCH:
        close_head(p);
        open_clause(p, "catch ");
        printer_index(p, NAMES_TAG, reader_u32(&r));
        break;
    case OP_CATCH_ALL:
        close_head(p);
        open_clause(p, "catch_all");
        break;
    case OP_END:
    case OP_DELEGATE: close_end(f, &r, op); break;
    default: close_head(p); break;
    }
}

static void show(Fold *f)
{
    Printer *p = f->p;
    bool outer = p->one_line;
    uint32_t until = 0; /* item + 1 that ends what stands on one line */
    f->n_blocks = 0;
    for (uint32_t i = 0; i < f->n_items && printer_ok(p); i++) {
        for (uint32_t h = f->items[i].head; h; h = f->items[h - 1].next) {
            const Item *item = &f->items[h - 1];
            bool is_short = !item->compound && h - i <= SHORT;
            open_head(f, h - 1);
            Reader r;
            if (!until && is_short && !print_code_is_block(op_at(f, h - 1, &r)))
                until = h;
            p->one_line = outer || until;
        }
        show_item(f, i);
        if (until == i + 1)
            until = 0;
        p->one_line = outer || until;
    }
}

static void free_fold(Fold *f)
{
    free(f->items);
    free(f->nodes);
    free(f->blocks);
}

void print_fold(Printer *p, Reader *r, const TypeDef *function)
{
    Fold f = {.p = p, .n_results = function->func.n_results};
    while (printer_ok(p) && add_instruction(&f, r))
        ;
    link_heads(&f);
    show(&f);
    free_fold(&f);
}

void print_fold_const(Printer *p, Reader *r, const char *word)
{
    Fold f = {.p = p};
    p->locals = NULL;
    while (printer_ok(p) && add_instruction(&f, r))
        ;
    link_heads(&f);
    bool wrap = word && f.n_nodes != 1;
    bool outer = p->one_line;
    p->one_line = true;
    if (wrap)
        writer_printf(p->out, " (%s", word);
    show(&f);
    if (wrap)
        writer_byte(p->out, ')');
    p->one_line = outer;
    free_fold(&f);
}
