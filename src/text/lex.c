#include "text/lex.h"

#include "base/utf8.h"
#include "text/number.h"

enum { IDCHAR = 1, SPACE = 2, MARK = 4 };

/* clang-format off */
static const uint8_t classes[256] = {
    ['\t'] = SPACE, ['\n'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
    [','] = MARK, [';'] = MARK, ['['] = MARK, [']'] = MARK, ['{'] = MARK,
    ['}'] = MARK,
#define C(c) [c] = IDCHAR,
#define C5(a, b, c, d, e) C(a) C(b) C(c) C(d) C(e)
    C5('0', '1', '2', '3', '4') C5('5', '6', '7', '8', '9')
    C5('a', 'b', 'c', 'd', 'e') C5('f', 'g', 'h', 'i', 'j')
    C5('k', 'l', 'm', 'n', 'o') C5('p', 'q', 'r', 's', 't')
    C5('u', 'v', 'w', 'x', 'y') C('z')
    C5('A', 'B', 'C', 'D', 'E') C5('F', 'G', 'H', 'I', 'J')
    C5('K', 'L', 'M', 'N', 'O') C5('P', 'Q', 'R', 'S', 'T')
    C5('U', 'V', 'W', 'X', 'Y') C('Z')
    C5('!', '#', '$', '%', '&') C5('\'', '*', '+', '-', '.')
    C5('/', ':', '<', '=', '>') C5('?', '@', '\\', '^', '_')
    C('`') C('|') C('~')
#undef C5
#undef C
};
/* clang-format on */

bool lex_is_idchar(uint8_t c) { return classes[c] & IDCHAR; }

/* A line ends with CR, LF, or both; then LF is the one that adds nothing. */
void lex_count(const char *text, const char *from, const char *to,
               uint32_t *line, uint32_t *column)
{
    for (const char *p = from; p < to; p++) {
        if (*p == '\n' || *p == '\r') {
            bool second = *p == '\n' && p > text && p[-1] == '\r';
            *line += !second;
            *column = 1;
        } else if (((uint8_t)*p & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

void lex_position(const char *text, const char *at, uint32_t *line,
                  uint32_t *column)
{
    *line = *column = 1;
    lex_count(text, text, at, line, column);
}

bool lex_fail_va(Lexer *l, ErrorCode code, const char *at, const char *format,
                 va_list args)
{
    if (l->err->code == ERR_OK) {
        error_set_va(l->err, code, ERROR_NO_OFFSET, format, args);
        lex_position(l->text, at, &l->err->line, &l->err->column);
    }
    l->p = l->end;
    return false;
}

bool lex_fail(Lexer *l, const char *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lex_fail_va(l, ERR_SYNTAX, at, format, args);
    va_end(args);
    return false;
}

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t eight = 0;
    for (; end - p >= 8; p += 8) {
        memcpy(&eight, p, 8);
        if (eight & 0x8080808080808080)
            break;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

void lex_start(Lexer *l, const char *text, size_t from, size_t to, Error *err)
{
    *l = (Lexer){text, text + from, text + to, err};
    const uint8_t *p = (const uint8_t *)l->p, *end = (const uint8_t *)l->end;
    while (p < end) {
        p = skip_ascii(p, end);
        if (p < end && utf8_decode(&p, end) == UINT32_MAX) {
            lex_fail(l, (const char *)p, "malformed UTF-8 encoding");
            return;
        }
    }
}

/* Requires "(;" at the cursor. */
static void skip_block_comment(Lexer *l)
{
    const char *from = l->p;
    size_t depth = 0;
    while (l->end - l->p >= 2) {
        if (l->p[0] == '(' && l->p[1] == ';') {
            depth++;
            l->p += 2;
        } else if (l->p[0] == ';' && l->p[1] == ')') {
            l->p += 2;
            if (--depth == 0)
                return;
        } else {
            l->p++;
        }
    }
    lex_fail(l, from, "unclosed comment");
}

static void skip_space(Lexer *l)
{
    for (;;) {
        while (l->p < l->end && classes[(uint8_t)*l->p] & SPACE)
            l->p++;
        if (l->end - l->p < 2)
            return;
        if (l->p[0] == ';' && l->p[1] == ';') {
            while (l->p < l->end && *l->p != '\n' && *l->p != '\r')
                l->p++;
        } else if (l->p[0] == '(' && l->p[1] == ';') {
            skip_block_comment(l);
        } else {
            return;
        }
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \u{...} at p, which stands after the u.  Returns 0 if it is none. */
static size_t unicode_escape(const char *p, const char *end, uint32_t *scalar)
{
    const char *from = p;
    if (p >= end || *p++ != '{')
        return 0;
    const char *digits = p;
    while (p < end && *p != '}')
        p++;
    if (p >= end)
        return 0;
    uint64_t v = 0;
    Writer w = {0};
    writer_text(&w, "0x");
    writer_bytes(&w, digits, (size_t)(p - digits));
    bool ok =
        number_unsigned((const char *)w.data, w.len, 0x10ffff, &v) == NUMBER_OK;
    writer_free(&w);
    uint8_t utf8[4];
    if (!ok || !utf8_encode((uint32_t)v, utf8))
        return 0;
    *scalar = (uint32_t)v;
    return (size_t)(p + 1 - from);
}

/* The bytes that the escape at p, after its backslash, means; 0: none. */
static size_t escape(const char *p, const char *end, uint8_t out[4],
                     size_t *consumed)
{
    static const char from[] = "tnr\"'\\", to[] = "\t\n\r\"'\\";
    if (p >= end)
        return 0;
    const char *known = *p ? strchr(from, *p) : NULL;
    *consumed = 1;
    if (known) {
        out[0] = (uint8_t)to[known - from];
        return 1;
    }
    if (*p == 'u') {
        uint32_t scalar = 0;
        size_t n = unicode_escape(p + 1, end, &scalar);
        *consumed = n + 1;
        return n ? utf8_encode(scalar, out) : 0;
    }
    *consumed = 2;
    if (end - p < 2 || hex_value(p[0]) < 0 || hex_value(p[1]) < 0)
        return 0;
    out[0] = (uint8_t)(hex_value(p[0]) << 4 | hex_value(p[1]));
    return 1;
}

static void read_string(Lexer *l)
{
    const char *from = l->p++;
    while (l->p < l->end && *l->p != '"') {
        uint8_t c = (uint8_t)*l->p;
        if (c == '\n' || c == '\r') {
            lex_fail(l, from, "unclosed string");
            return;
        }
        if (c < 0x20 || c == 0x7f) {
            lex_fail(l, l->p, "illegal character U+%04X in a string", c);
            return;
        }
        l->p++;
        if (c != '\\')
            continue;
        uint8_t bytes[4];
        size_t consumed;
        if (!escape(l->p, l->end, bytes, &consumed)) {
            lex_fail(l, l->p - 1, "malformed escape in a string");
            return;
        }
        l->p += consumed;
    }
    if (l->p >= l->end)
        lex_fail(l, from, "unclosed string");
    else
        l->p++;
}

/* What an atom is, by its first byte; `strings` stand in it. */
static TokenKind classify(const char *at, const char *end, unsigned strings,
                          bool marks)
{
    char c = *at;
    if (strings == 1 && c == '"' && end[-1] == '"' && !marks)
        return TOKEN_STRING;
    if (c == '$' && end - at > 1 && !marks
        && (!strings || (strings == 1 && at[1] == '"')))
        return TOKEN_ID;
    if (strings || marks)
        return TOKEN_RESERVED;
    if (c >= 'a' && c <= 'z')
        return TOKEN_KEYWORD;
    if ((c >= '0' && c <= '9') || c == '+' || c == '-')
        return TOKEN_NUMBER;
    return TOKEN_RESERVED;
}

/* Characters of identifiers and strings that touch are one token. */
static Token read_atom(Lexer *l)
{
    const char *from = l->p;
    unsigned strings = 0, parts = 0;
    bool marks = false;
    while (l->p < l->end) {
        uint8_t c = (uint8_t)*l->p;
        if (c == '"') {
            read_string(l);
            strings++;
        } else if (classes[c] & IDCHAR) {
            while (l->p < l->end && classes[(uint8_t)*l->p] & IDCHAR)
                l->p++;
        } else if (classes[c] & MARK
                   && !(c == ';' && l->end - l->p > 1 && l->p[1] == ';')) {
            marks = true;
            l->p++;
        } else {
            break;
        }
        parts++;
    }
    if (l->err->code != ERR_OK)
        return (Token){from, 0, TOKEN_END};
    TokenKind kind = classify(from, l->p, strings, marks);
    if ((kind == TOKEN_STRING && parts > 1)
        || (kind == TOKEN_ID && strings && (parts > 2 || l->p[-1] != '"')))
        kind = TOKEN_RESERVED;
    return (Token){from, (uint32_t)(l->p - from), kind};
}

static void check_id(Lexer *l, const Token *t)
{
    if (lex_id_is_plain(t))
        return;
    Writer name = {0};
    lex_string(&(Token){t->at + 1, t->len - 1, TOKEN_STRING}, &name);
    if (!name.len)
        lex_fail(l, t->at, "empty identifier");
    else if (!utf8_is_valid(name.data, name.len))
        lex_fail(l, t->at, "malformed UTF-8 encoding in an identifier");
    writer_free(&name);
}

/* No token can begin here. */
static void fail_character(Lexer *l, const char *at)
{
    const uint8_t *p = (const uint8_t *)at;
    uint32_t c = utf8_decode(&p, (const uint8_t *)l->end);
    if (c <= 0x20 || (c >= 0x7f && c < 0xa1))
        lex_fail(l, at, "illegal character U+%04X", c);
    else
        lex_fail(l, at, "illegal character '%.*s'",
                 (int)(p - (const uint8_t *)at), at);
}

/* One token, annotations not looked into.  For these, tokens of any kind. */
static Token read_token(Lexer *l)
{
    skip_space(l);
    const char *from = l->p;
    if (l->p >= l->end)
        return (Token){from, 0, TOKEN_END};
    uint8_t c = (uint8_t)*from;
    if (c == '(' && l->end - from > 1 && from[1] == '@') {
        l->p += 2;
        return (Token){from, 2, TOKEN_ANNOTATION};
    }
    if (c == '(' || c == ')') {
        l->p++;
        return (Token){from, 1, c == '(' ? TOKEN_LEFT : TOKEN_RIGHT};
    }
    if (c != '"' && !(classes[c] & (IDCHAR | MARK))) {
        fail_character(l, from);
        return (Token){from, 0, TOKEN_END};
    }
    return read_atom(l);
}

/* The id of an annotation, directly after "(@". */
static bool read_annotation_id(Lexer *l, const char *from, Writer *id)
{
    if (l->p < l->end
        && (*l->p == '"' || classes[(uint8_t)*l->p] & (IDCHAR | MARK))) {
        Token t = read_atom(l);
        if (l->err->code != ERR_OK)
            return false;
        if (t.kind == TOKEN_STRING)
            lex_string(&t, id);
        else
            writer_bytes(id, t.at, t.len);
    }
    if (!id->len)
        return lex_fail(l, from, "empty annotation id");
    if (!utf8_is_valid(id->data, id->len))
        return lex_fail(l, from, "malformed UTF-8 encoding in an annotation");
    return true;
}

static bool id_is(const Writer *id, const char *word)
{
    return id->len == strlen(word) && memcmp(id->data, word, id->len) == 0;
}

static void skip_annotation(Lexer *l, const char *from)
{
    size_t depth = 1;
    while (depth > 0) {
        Token t = read_token(l);
        if (t.kind == TOKEN_END) {
            lex_fail(l, from, "unclosed annotation");
            return;
        }
        if (t.kind == TOKEN_LEFT || t.kind == TOKEN_ANNOTATION)
            depth++;
        if (t.kind == TOKEN_RIGHT)
            depth--;
        if (t.kind == TOKEN_ANNOTATION && l->p < l->end
            && (classes[(uint8_t)*l->p] & IDCHAR || *l->p == '"'))
            read_atom(l);
    }
}

Token lex_next(Lexer *l)
{
    static const char *const known[] = {"custom", "name", "data_count",
                                        "metadata.code.branch_hint"};
    for (;;) {
        Token t = read_token(l);
        if (t.kind == TOKEN_ID && t.at[1] == '"')
            check_id(l, &t);
        if (l->err->code != ERR_OK)
            return (Token){t.at, 0, TOKEN_END};
        if (t.kind != TOKEN_ANNOTATION)
            return t;
        Writer id = {0};
        bool ok = read_annotation_id(l, t.at, &id), is_known = false;
        for (size_t i = 0; i < sizeof known / sizeof *known && ok; i++)
            is_known |= id_is(&id, known[i]);
        writer_free(&id);
        t.len = (uint32_t)(l->p - t.at);
        if (ok && is_known)
            return t;
        if (ok)
            skip_annotation(l, t.at);
    }
}

void lex_string(const Token *t, Writer *out)
{
    const char *p = t->at + 1, *end = t->at + t->len - 1;
    while (p < end) {
        const char *run = p;
        while (p < end && *p != '\\')
            p++;
        writer_bytes(out, run, (size_t)(p - run));
        if (p >= end)
            return;
        uint8_t bytes[4];
        size_t consumed;
        size_t n = escape(p + 1, end, bytes, &consumed);
        writer_bytes(out, bytes, n);
        p += 1 + consumed;
    }
}

bool lex_id_is_plain(const Token *t) { return t->len < 2 || t->at[1] != '"'; }
