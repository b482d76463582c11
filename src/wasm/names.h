/* names.h - the name section, all of its subsections.
 *
 * Decoded at the first look-up; a broken name section is no error, it names
 * what was read until the break.  See WebAssembly 3.0, appendix A.4.3 and the
 * extended-name-section proposal.
 */
#ifndef CHI_WASM_NAMES_H
#define CHI_WASM_NAMES_H

#include "wasm/module.h"

typedef enum {
    NAMES_MODULE,
    NAMES_FUNC,
    NAMES_LOCAL, /* by function */
    NAMES_LABEL, /* by function */
    NAMES_TYPE,
    NAMES_TABLE,
    NAMES_MEMORY,
    NAMES_GLOBAL,
    NAMES_ELEM,
    NAMES_DATA,
    NAMES_FIELD, /* by type */
    NAMES_TAG,
    NAMES_COUNT
} NameSpace;

/* The name of an index, of length 0 if it has none. */
Name names_get(const Module *m, NameSpace space, uint32_t index);
/* The same in the spaces that are by function or type. */
Name names_get_in(const Module *m, NameSpace space, uint32_t owner,
                  uint32_t index);
void names_free(Names *n);

/* The bytes of a name up to `most`, without a part of a character. */
uint32_t names_clip(Name name, uint32_t most);

/* A name to call a function by: its own, that of an export, or "$7" made in
 * buf (of 16 bytes). */
Name names_of_function(const Module *m, uint32_t index, char *buf);

#endif
