/* parser.h - what the files of the text parser share.
 *
 * A Parser is sticky: after a failure the current token is TOKEN_END, every
 * loop ends, and what is written no longer matters.  Two passes: the first
 * counts and names what a module defines, the second encodes.  Nothing
 * recurses; instructions nest on `frames`.
 */
#ifndef CHI_TEXT_PARSER_H
#define CHI_TEXT_PARSER_H

#include "text/intern.h"
#include "text/lex.h"
#include "text/parse.h"
#include "wasm/names.h"

typedef enum {
    SPACE_TYPE,
    SPACE_FUNC,
    SPACE_TABLE,
    SPACE_MEMORY,
    SPACE_GLOBAL,
    SPACE_TAG,
    SPACE_ELEM,
    SPACE_DATA,
    SPACE_COUNT /* + type index: the fields of that type */
} Space;

/* Bytes, and where they came from. */
typedef struct {
    Writer w;
    uint32_t count; /* of a section's entries */
    TextPosition *positions;
    uint32_t n_positions, capacity;
} Buffer;

/* Known sections, in the order of the binary format. */
typedef enum {
    SECTION_TYPE,
    SECTION_IMPORT,
    SECTION_FUNC,
    SECTION_TABLE,
    SECTION_MEMORY,
    SECTION_TAG,
    SECTION_GLOBAL,
    SECTION_EXPORT,
    SECTION_START,
    SECTION_ELEM,
    SECTION_DATA_COUNT,
    SECTION_CODE,
    SECTION_DATA,
    SECTION_COUNT
} SectionOrder;

/* Where a custom section goes: before section s it is 2 s + 1, after section
 * s 2 s + 2; 0 is (before first), PLACE_LAST (after last). */
enum { PLACE_LAST = 2 * SECTION_COUNT + 1, PLACE_COUNT };

/* One subsection of the name section: entries; those of one function or type
 * gather in `inner`. */
typedef struct {
    Writer w, inner;
    uint32_t count, n_inner;
} NameMap;

typedef struct {
    uint32_t at, len; /* of its func type's bytes, in the type section */
    uint32_t n_params;
    bool is_func;
} TypeInfo;

/* What an identifier means. */
typedef struct {
    uint32_t space, index; /* its first binding: space + 1, or 0 */
    uint32_t label;        /* the innermost label of that name, + 1 */
    uint32_t local, owner; /* a local, and the serial of its function */
} Symbol;

typedef struct {
    uint32_t symbol, outer; /* the label that this one hides, + 1 */
} Label;

typedef struct Frame Frame; /* parse_code.c */

typedef struct {
    uint32_t offset; /* in the function's instructions */
    uint8_t value;
} Hint;

typedef struct {
    Lexer lex;
    Token tok, next;
    Error *err;
    Features features;
    Arena arena;

    Intern symbols;
    Symbol *bindings; /* by symbol */
    uint32_t n_bindings;
    PairMap bound; /* (space, symbol) -> index, after a symbol's first */
    uint32_t counts[SPACE_COUNT]; /* first pass */
    uint32_t at[SPACE_COUNT];     /* second pass: the next index */
    const char *defined; /* keyword of the first definition, no import */

    TypeInfo *types;
    uint32_t n_types, types_capacity;
    Intern plain;          /* func types that are alone, final, by bytes */
    uint32_t *plain_index; /* by number in `plain` */
    uint32_t plain_capacity;

    Buffer sections[SECTION_COUNT];
    Writer customs[PLACE_COUNT];
    NameMap names[NAMES_COUNT]; /* NAMES_x is a subsection's number */
    Name module_name;
    bool has_module_name, has_name_section, uses_data, has_start;

    Writer params, results, comp; /* scratch of parse_type.c */
    Buffer scratch;
    Buffer body;
    Writer runs; /* local declarations */
    Writer pending;
    Frame *frames;
    uint32_t n_frames, frames_capacity;
    Label *labels;
    uint32_t n_labels, labels_capacity;
    uint32_t n_blocks; /* of this function */
    uint32_t n_locals;
    uint32_t serial; /* of this function */
    Hint *hints;
    uint32_t n_hints, hints_capacity;
    int hint; /* waits for its instruction; or -1 */
    const char *hint_at;
    Writer hint_section;
    uint32_t n_hinted;
} Parser;

#define NO_SYMBOL UINT32_MAX

void parser_start(Parser *p, const char *text, size_t from, size_t to,
                  Features features, Error *err);
void parser_end(Parser *p);
void parser_advance(Parser *p);
void parser_seek(Parser *p, const char *at);
static inline bool parser_ok(const Parser *p) { return p->err->code == ERR_OK; }

/* All of these fail the parser; they return false. */
bool parser_fail(Parser *p, const char *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool parser_fail_code(Parser *p, ErrorCode code, const char *at,
                      const char *format, ...) PRINTF_LIKE(4, 5);
bool parser_unexpected(Parser *p, const char *expected);

static inline bool parser_at(const Parser *p, const char *keyword)
{
    return p->tok.kind == TOKEN_KEYWORD && token_is(&p->tok, keyword);
}
static inline bool parser_at_left(const Parser *p, const char *keyword)
{
    return p->tok.kind == TOKEN_LEFT && p->next.kind == TOKEN_KEYWORD
           && token_is(&p->next, keyword);
}
bool parser_take(Parser *p, const char *keyword);      /* if it is there */
bool parser_take_left(Parser *p, const char *keyword); /* "(keyword" */
void parser_close(Parser *p);                          /* requires ")" */
/* Moves behind the ")" that closes the group around the cursor. */
void parser_skip_group(Parser *p);
static inline uint32_t parser_offset(const Parser *p, const char *at)
{
    return (uint32_t)(at - p->lex.text);
}

uint32_t parser_u32(Parser *p, const char *what);
uint64_t parser_u64(Parser *p, const char *what);
/* Writes a string's bytes; a name, with its length and checked for UTF-8. */
void parser_string(Parser *p, Writer *out);
void parser_name(Parser *p, Writer *out);

/* The symbol of the identifier at the cursor. */
uint32_t parser_symbol(Parser *p);
/* The same if there is one, else NO_SYMBOL. */
uint32_t parser_optional_symbol(Parser *p);
/* (@name "...") if it is there. */
bool parser_name_annotation(Parser *p, Name *out);
/* Takes an identifier and a name annotation, if any, and gives `index` that
 * name in a subsection; the identifier is bound in the first pass. */
void parser_named(Parser *p, NameMap *map, uint32_t index);
void parser_bind(Parser *p, uint32_t space, uint32_t index);
/* False if the symbol is bound in that space. */
bool parser_bind_symbol(Parser *p, uint32_t space, uint32_t symbol,
                        uint32_t index);
uint32_t parser_name_symbol(Parser *p, Name name);

bool parser_at_index(const Parser *p);
uint32_t parser_index(Parser *p, Space space);
uint32_t parser_field_index(Parser *p, uint32_t type);
bool parser_bind_local(Parser *p, uint32_t symbol, const char *at);
uint32_t parser_local(Parser *p);
void parser_push_label(Parser *p, uint32_t symbol);
void parser_pop_label(Parser *p);
uint32_t parser_label(Parser *p);

void name_map_add(NameMap *m, uint32_t index, Name name);
void name_map_add_inner(NameMap *m, uint32_t index, Name name);
void name_map_close_inner(NameMap *m, uint32_t owner);

/* The next byte of b comes from `at`. */
void buffer_mark(Buffer *b, uint32_t text);
void buffer_append(Buffer *to, Buffer *from); /* empties `from` */
void buffer_free(Buffer *b);

#endif
