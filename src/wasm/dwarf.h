/* dwarf.h - where in the source an instruction comes from.
 *
 * Reads the line tables that compilers leave in custom sections, of versions 2
 * to 5.  They are anybody's: nothing in them is trusted, and nothing is an
 * error, what cannot be read only says nothing.  Made at the first question,
 * by one pass over the sections; a question then costs a bisection.  See
 * DWARF 5, 6.2, and "DWARF for WebAssembly".
 */
#ifndef CHI_WASM_DWARF_H
#define CHI_WASM_DWARF_H

#include "wasm/module.h"

enum { SOURCE_FILE = 512 };
typedef struct {
    char file[SOURCE_FILE]; /* a path: UTF-8 without control characters; of a
                               longer one "..." and the end */
    uint32_t line;          /* from 1 */
    uint32_t column;        /* from 1; 0: not known */
    uint32_t end;           /* the answer is the same below this offset */
} Source;

/* Of the instruction at an offset in the module.  Where the compiler gave no
 * line, the one before it in the function holds.  false: not known; only
 * out->end is set. */
bool dwarf_source(const Module *m, uint32_t offset, Source *out);
/* Of a function: where it begins. */
bool dwarf_function(const Module *m, const Func *f, Source *out);
void dwarf_free(Dwarf *d);

#endif
