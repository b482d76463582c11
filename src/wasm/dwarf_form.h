/* dwarf_form.h - sections, and attributes by their form.  Internal to wasm/.
 *
 * See DWARF 5, 7.5.5 and 7.5.6.  Strings are pointers into the module: in
 * sections that do not end with a zero there are none, so each ends within.
 */
#ifndef CHI_WASM_DWARF_FORM_H
#define CHI_WASM_DWARF_FORM_H

#include "base/reader.h"
#include "wasm/module.h"

typedef struct {
    const uint8_t *bytes;
    uint32_t len;
} DwarfSection;

typedef struct {
    DwarfSection line, info, abbrev, strings, line_strings;
} DwarfSections;
DwarfSections dwarf_form_sections(const Module *m);

/* How wide numbers are in a unit. */
typedef struct {
    bool is_64; /* lengths and offsets */
    uint8_t address;
    uint16_t version;
} DwarfWidth;

/* Little endian, of at most 8 bytes. */
uint64_t dwarf_form_number(Reader *r, uint32_t bytes);
/* A unit's length: its bytes, and how wide its offsets are. */
Reader dwarf_form_unit(Reader *r, DwarfWidth *w);
static inline uint64_t dwarf_form_offset(Reader *r, const DwarfWidth *w)
{
    return dwarf_form_number(r, w->is_64 ? 8 : 4);
}
/* A string in place, or NULL. */
const char *dwarf_form_string(Reader *r);

typedef struct {
    uint64_t number;  /* 0 of what is no number */
    const char *text; /* NULL of what is no string */
} DwarfValue;
/* Fails r on a form that is not known. */
DwarfValue dwarf_form_value(Reader *r, uint64_t form, const DwarfWidth *w,
                            const DwarfSections *s);

#endif
