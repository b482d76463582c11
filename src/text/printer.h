/* printer.h - what the files of the printer share.
 *
 * A Printer goes over the sections of one module in their order.  Readers run
 * over bytes that were decoded before; they stay sticky all the same, so that
 * nothing here can run away.
 */
#ifndef CHI_TEXT_PRINTER_H
#define CHI_TEXT_PRINTER_H

#include "text/intern.h"
#include "text/print.h"
#include "wasm/names.h"

/* What the name section calls something, and what stands after its $. */
typedef struct {
    Name name; /* bytes NULL: none */
    Name id;   /* len 0: none; else name, or made from it to be unique */
} Named;

typedef struct {
    Named named;
    uint32_t symbol; /* of its id in label_ids, or NOT_FOUND */
    uint32_t outer;  /* label + 1 that it hides */
} PrintLabel;

struct Printer {
    const Module *m;
    Writer *out;
    PrintOptions o;
    Error err;
    Arena arena;
    bool one_line; /* a blank instead of a new line */
    uint32_t depth;

    uint32_t last_known; /* offset of the last section that is not custom */
    uint32_t *type_at;   /* by type: the offset of its composite type */

    /* Names; the arrays are NULL in spaces without any. */
    bool has_names;
    bool names_exact;      /* identifiers and @name give back the section */
    uint32_t name_section; /* its index in m->customs */
    Named *spaces[NAMES_COUNT];
    uint32_t *local_at, *label_at; /* by function: offset of its map, or 0 */
    uint32_t *field_at;            /* by type */
    Named **fields;                /* by type, once they are looked up */
    uint32_t labels_unused;        /* label names that no block has taken */

    /* Branch hints; printed as annotations if exact. */
    bool hints_exact;
    uint32_t hint_section; /* in m->customs */
    uint32_t *hint_at;     /* by defined function: offset of its record */

    /* Of the function that is being printed. */
    Arena scratch;
    Named *locals;
    uint32_t n_locals;
    Named *block_names; /* by number of the block; NULL: none */
    uint32_t n_block_names;
    uint32_t n_blocks;
    Intern label_ids;
    uint32_t *label_top; /* by symbol: the innermost label + 1 */
    PrintLabel *labels;
    uint32_t n_labels, labels_capacity;
    uint32_t body_start;
    Reader hints;
    uint32_t hints_left, next_hint; /* offset in the module's bytes, or 0 */
    uint8_t hint_value;
    bool uses_data;
};

static inline Reader printer_reader(Printer *p, uint32_t from, uint32_t to)
{
    return (Reader){p->m->bytes, p->m->bytes + from, p->m->bytes + to, &p->err};
}

/* A new line and its indentation, which is bounded.  Fails when the text
 * grows beyond what is sensible. */
void printer_line(Printer *p);
static inline bool printer_ok(const Printer *p)
{
    return p->err.code == ERR_OK;
}
/* "$id", or the number. */
void printer_index(Printer *p, NameSpace space, uint32_t index);
/* Behind a field's keyword: " $id (;7;) (@name "...")". */
void printer_define(Printer *p, NameSpace space, uint32_t index);
void printer_named(Printer *p, const Named *n);
void printer_name_annotation(Printer *p, const Named *n);

/* --- print_name.c ------------------------------------------------------- */

void print_name_load(Printer *p);
const Named *print_name_of(const Printer *p, NameSpace space, uint32_t index);
/* The locals and labels of a function, into p->scratch; f is NULL for one
 * that is imported. */
void print_name_function(Printer *p, uint32_t index, uint32_t n_locals,
                         const Func *f);
/* By field of a struct type; NULL if none has a name. */
const Named *print_name_fields(Printer *p, uint32_t type);
void print_name_hints(Printer *p);
void print_name_start_hints(Printer *p, const Func *f);
/* The hint of the instruction at this offset, or -1; asked in order. */
int print_name_take_hint(Printer *p, uint32_t offset);

/* --- print_type.c ------------------------------------------------------- */

/* These read from bytes, where types are indices of this module. */
void print_type_value(Printer *p, Reader *r);
void print_type_ref(Printer *p, bool nullable, Reader *r);
void print_type_heap(Printer *p, Reader *r);
void print_type_skip(Reader *r); /* over a value type */
void print_type_scan(Printer *p);
void print_type_section(Printer *p, Reader *r);
/* " (type 3) (param ...) (result ...)"; with the names of p->locals. */
void print_type_use(Printer *p, uint32_t type, bool named);
void print_type_table(Printer *p, Reader *r);
void print_type_limits(Printer *p, Reader *r);
void print_type_global(Printer *p, Reader *r);

/* --- print_code.c ------------------------------------------------------- */

/* An instruction's name and operands, r behind its opcode; not those of a
 * block, which print_code_head prints. */
void print_code_plain(Printer *p, Reader *r, Op op);
/* "block $l (result i32)": the block with that number. */
void print_code_head(Printer *p, Reader *r, Op op, uint32_t block);
void print_code_push(Printer *p, uint32_t block);
void print_code_pop(Printer *p);
bool print_code_is_block(Op op);
void print_code_label(Printer *p, uint32_t depth);
void print_code_function(Printer *p, const Func *f);

/* --- print_fold.c ------------------------------------------------------- */

/* The instructions up to the `end` that closes them. */
void print_fold(Printer *p, Reader *r, const TypeDef *function);
/* A constant expression on the line: alone, or in (word ...) if it is not
 * one folded instruction; word may be NULL. */
void print_fold_const(Printer *p, Reader *r, const char *word);

#endif
