/* lex.h - the tokens of the text format, one at a time.
 *
 * Keeps nothing but two cursors: a token points into the text.  Annotations
 * that the parser knows come out as tokens, all others are skipped, as white
 * space is.  Sticky: after a failure every token is TOKEN_END.  Requires that
 * the text is UTF-8, which lex_start checks.  See WebAssembly 3.0, 6.2.
 */
#ifndef CHI_TEXT_LEX_H
#define CHI_TEXT_LEX_H

#include <string.h>

#include "base/error.h"
#include "base/writer.h"

typedef enum {
    TOKEN_END,
    TOKEN_LEFT,
    TOKEN_RIGHT,
    TOKEN_KEYWORD,    /* begins with a lower-case letter */
    TOKEN_NUMBER,     /* begins with a digit or a sign */
    TOKEN_STRING,     /* with its quotes */
    TOKEN_ID,         /* with its $ */
    TOKEN_ANNOTATION, /* "(@id" */
    TOKEN_RESERVED
} TokenKind;

typedef struct {
    const char *at;
    uint32_t len;
    TokenKind kind;
} Token;

typedef struct {
    const char *text; /* positions count from here */
    const char *p, *end;
    Error *err;
} Lexer;

/* Stands at byte `from` of the text.  Fails unless all of it is UTF-8. */
void lex_start(Lexer *l, const char *text, size_t from, size_t to, Error *err);
Token lex_next(Lexer *l);

/* Fails at a place of the text, with its line and column.  Returns false. */
bool lex_fail(Lexer *l, const char *at, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool lex_fail_va(Lexer *l, ErrorCode code, const char *at, const char *format,
                 va_list args);

/* Line and column, from 1, columns in characters.  Cost: linear. */
void lex_position(const char *text, const char *at, uint32_t *line,
                  uint32_t *column);

/* The same, on from the position of `from`. */
void lex_count(const char *text, const char *from, const char *to,
               uint32_t *line, uint32_t *column);

static inline bool token_is(const Token *t, const char *word)
{
    size_t n = strlen(word);
    return t->len == n && memcmp(t->at, word, n) == 0;
}
static inline bool token_starts(const Token *t, const char *word)
{
    size_t n = strlen(word);
    return t->len >= n && memcmp(t->at, word, n) == 0;
}

/* Appends what a string token means, escapes resolved. */
void lex_string(const Token *t, Writer *out);

/* Does the name of this identifier stand in the text as it is, after the $? */
bool lex_id_is_plain(const Token *t);

bool lex_is_idchar(uint8_t c);

#endif
