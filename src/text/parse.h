/* parse.h - text to the binary format.
 *
 * No tree is built: fields and instructions are encoded as they are read, so
 * there is one decoder and one validator, and a table tells where in the text
 * each piece of the binary came from.  Identifiers become a name section,
 * directly after the data section and what is `(after data)`; an explicit
 * (@custom "name" ...) takes its place.  Does not validate.  See WebAssembly
 * 3.0, 6.
 */
#ifndef CHI_TEXT_PARSE_H
#define CHI_TEXT_PARSE_H

#include "base/writer.h"
#include "wasm/module.h"

/* A piece of the binary and where in the text it stands, by byte offsets. */
typedef struct {
    uint32_t binary, text;
} TextPosition;

typedef struct TextPlaces TextPlaces; /* show.h */

typedef struct TextModule {
    uint8_t *bytes; /* malloc */
    size_t len;
    TextPosition *positions; /* malloc; ascending by binary */
    uint32_t n_positions;
    const char *text; /* borrowed: text_locate needs it */
    TextPlaces *places;
} TextModule;

/* Parses `(module ...)`, or its fields alone.  `out` is empty on failure;
 * text_free it otherwise.  Features are the decoder's and validator's to
 * check, f only decides between spellings.  Cost: linear. */
bool text_parse(const char *text, size_t len, Features f, TextModule *out,
                Error *err);
/* The module that stands at `from` .. `to` of a text; positions count in the
 * whole text. */
bool text_parse_part(const char *text, size_t from, size_t to, Features f,
                     TextModule *out, Error *err);
void text_free(TextModule *t);

/* The line and column, from 1, of the innermost piece that holds the byte at
 * `offset` of the binary.  Not for several threads at once.  Cost: the first
 * is linear in the text before, others are not. */
void text_locate(const TextModule *t, uint64_t offset, uint32_t *line,
                 uint32_t *column);
/* Gives an error of the decoder or validator its place in the text. */
void text_locate_error(const TextModule *t, Error *err);

/* "file:line:column: error: message", the line, and a caret below it.  Errors
 * without a line print as "file:offset: error: message". */
void text_show_error(const char *file, const char *text, size_t len,
                     const Error *err, Writer *out);

#endif
