/* print.h - a module as text.
 *
 * Reads the module's bytes again rather than what was decoded from them:
 * type indices, placement and the like are what text has to keep, and the
 * decoded form has only their meaning.  What is printed parses back to the
 * same module, custom sections in place; where the binary was in canonical
 * encoding (shortest numbers, no empty sections, equal locals in one run), to
 * the same bytes.  The name section comes out as identifiers and @name
 * annotations where these give it back, byte by byte, otherwise as an
 * annotation (@custom "name" ...) beside them.
 */
#ifndef CHI_TEXT_PRINT_H
#define CHI_TEXT_PRINT_H

#include "base/reader.h"
#include "base/writer.h"
#include "wasm/module.h"

typedef struct {
    bool fold;  /* folded instructions, else flat ones */
    bool names; /* identifiers from the name section, else indices alone */
} PrintOptions;

/* Always true for a module that decoded. */
bool print_module(const Module *m, PrintOptions o, Writer *out);

/* One line per import and export: (import "env" "f" (func (param i32))). */
void print_interface(const Module *m, Writer *out);

/* For listings: prints one instruction after the other.  The module must
 * outlive it. */
typedef struct Printer Printer;
Printer *print_new(const Module *m, PrintOptions o, Writer *out);
void print_free(Printer *p);
/* The instruction at r, flat, without a line's end; moves behind it.  Names
 * are those of the name section; labels and locals are numbers.  OP_COUNT,
 * and r fails, where there is none. */
Op print_instruction(Printer *p, Reader *r);

/* A value type; concrete ones by their first type index in m. */
void print_type(const Module *m, Type t, Writer *out);
/* "(param i32) (result f64)", with a blank before each part. */
void print_func_type(const Module *m, const FuncType *f, Writer *out);
/* "1 2 shared" with a blank before it, and what else a memory says. */
void print_limits(const Limits *l, Writer *out);
void print_memory_type(const MemoryType *t, Writer *out);
/* "(func (param i32))", "(memory 1 2)": what an import or export is. */
void print_extern_type(const Module *m, ExternKind kind, uint32_t index,
                       Writer *out);

/* A string with its quotes.  Text: characters beyond ASCII stay as they are
 * where they are visible. */
void print_bytes(const uint8_t *bytes, size_t len, Writer *out);
void print_text(const char *text, size_t len, Writer *out);
/* "$name", quoted if it must be. */
void print_id(Name id, Writer *out);

#endif
