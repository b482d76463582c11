#include "text/parser.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "text/number.h"

void parser_advance(Parser *p)
{
    p->tok = p->next;
    p->next = lex_next(&p->lex);
}

void parser_seek(Parser *p, const char *at)
{
    if (!parser_ok(p))
        return;
    p->lex.p = at;
    parser_advance(p);
    parser_advance(p);
}

static void stop(Parser *p)
{
    p->tok = p->next = (Token){p->lex.end, 0, TOKEN_END};
}

void parser_start(Parser *p, const char *text, size_t from, size_t to,
                  Features features, Error *err)
{
    *p = (Parser){.err = err, .hint = -1, .features = features};
    lex_start(&p->lex, text, from, to, err);
    stop(p);
    parser_seek(p, text + from);
}

void parser_end(Parser *p)
{
    arena_free(&p->arena);
    intern_free(&p->symbols);
    free(p->bindings);
    pair_free(&p->bound);
    free(p->types);
    intern_free(&p->plain);
    free(p->plain_index);
    for (int i = 0; i < SECTION_COUNT; i++)
        buffer_free(&p->sections[i]);
    for (int i = 0; i < PLACE_COUNT; i++)
        writer_free(&p->customs[i]);
    for (int i = 0; i < NAMES_COUNT; i++) {
        writer_free(&p->names[i].w);
        writer_free(&p->names[i].inner);
    }
    writer_free(&p->params);
    writer_free(&p->results);
    writer_free(&p->comp);
    buffer_free(&p->scratch);
    buffer_free(&p->body);
    writer_free(&p->runs);
    writer_free(&p->pending);
    free(p->frames);
    free(p->labels);
    free(p->hints);
    writer_free(&p->hint_section);
}

bool parser_fail(Parser *p, const char *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lex_fail_va(&p->lex, ERR_SYNTAX, at, format, args);
    va_end(args);
    stop(p);
    return false;
}

bool parser_fail_code(Parser *p, ErrorCode code, const char *at,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    lex_fail_va(&p->lex, code, at, format, args);
    va_end(args);
    stop(p);
    return false;
}

/* How much of a token a message shows. */
static int shown(const Token *t)
{
    uint32_t n = t->len;
    if (n > 60)
        for (n = 60; n > 0 && ((uint8_t)t->at[n] & 0xc0) == 0x80;)
            n--;
    return (int)n;
}

bool parser_unexpected(Parser *p, const char *expected)
{
    const Token *t = &p->tok;
    if (t->kind == TOKEN_END)
        return parser_fail(p, t->at, "unexpected end of text, expected %s",
                           expected);
    if (t->kind == TOKEN_ANNOTATION)
        return parser_fail(p, t->at, "misplaced %.*s annotation", shown(t) - 1,
                           t->at + 1);
    return parser_fail(p, t->at, "unexpected token `%.*s`, expected %s",
                       shown(t), t->at, expected);
}

bool parser_take(Parser *p, const char *keyword)
{
    if (!parser_at(p, keyword))
        return false;
    parser_advance(p);
    return true;
}

bool parser_take_left(Parser *p, const char *keyword)
{
    if (!parser_at_left(p, keyword))
        return false;
    parser_advance(p);
    parser_advance(p);
    return true;
}

void parser_close(Parser *p)
{
    if (p->tok.kind == TOKEN_RIGHT)
        parser_advance(p);
    else
        parser_unexpected(p, "`)`");
}

void parser_skip_group(Parser *p)
{
    for (size_t depth = 1; depth > 0; parser_advance(p)) {
        if (p->tok.kind == TOKEN_END) {
            parser_unexpected(p, "`)`");
            return;
        }
        if (p->tok.kind == TOKEN_LEFT || p->tok.kind == TOKEN_ANNOTATION)
            depth++;
        if (p->tok.kind == TOKEN_RIGHT)
            depth--;
    }
}

static uint64_t unsigned_number(Parser *p, uint64_t max, const char *what)
{
    uint64_t v = 0;
    NumberResult r = p->tok.kind == TOKEN_NUMBER
                         ? number_unsigned(p->tok.at, p->tok.len, max, &v)
                         : NUMBER_SYNTAX;
    if (r == NUMBER_SYNTAX)
        parser_unexpected(p, what);
    else if (r == NUMBER_RANGE)
        parser_fail(p, p->tok.at, "%s out of range: %.*s", what, shown(&p->tok),
                    p->tok.at);
    parser_advance(p);
    return v;
}

uint32_t parser_u32(Parser *p, const char *what)
{
    return (uint32_t)unsigned_number(p, UINT32_MAX, what);
}

uint64_t parser_u64(Parser *p, const char *what)
{
    return unsigned_number(p, UINT64_MAX, what);
}

void parser_string(Parser *p, Writer *out)
{
    if (p->tok.kind != TOKEN_STRING) {
        parser_unexpected(p, "a string");
        return;
    }
    lex_string(&p->tok, out);
    parser_advance(p);
}

void parser_name(Parser *p, Writer *out)
{
    const char *at = p->tok.at;
    Writer name = {0};
    parser_string(p, &name);
    if (name.len && !utf8_is_valid(name.data, name.len))
        parser_fail(p, at, "malformed UTF-8 encoding in a name");
    writer_sized(out, name.data, name.len);
    writer_free(&name);
}

static Name string_in_arena(Parser *p, const Token *t)
{
    Writer name = {0};
    lex_string(t, &name);
    Name n = {arena_copy(&p->arena, name.data, name.len), (uint32_t)name.len};
    writer_free(&name);
    return n;
}

uint32_t parser_name_symbol(Parser *p, Name name)
{
    uint32_t symbol = intern_add(&p->symbols, name.bytes, name.len);
    uint32_t old = p->n_bindings, now = p->symbols.capacity;
    if (now > old) {
        p->bindings = intern_resize(p->bindings, now, sizeof *p->bindings);
        memset(p->bindings + old, 0, (now - old) * sizeof *p->bindings);
        p->n_bindings = now;
    }
    return symbol;
}

uint32_t parser_symbol(Parser *p)
{
    const Token *t = &p->tok;
    Name n = {t->at + 1, t->len - 1};
    if (!lex_id_is_plain(t))
        n = string_in_arena(p, &(Token){t->at + 1, t->len - 1, TOKEN_STRING});
    uint32_t symbol = parser_name_symbol(p, n);
    parser_advance(p);
    return symbol;
}

uint32_t parser_optional_symbol(Parser *p)
{
    return p->tok.kind == TOKEN_ID ? parser_symbol(p) : NO_SYMBOL;
}

static bool at_name_annotation(const Parser *p)
{
    return p->tok.kind == TOKEN_ANNOTATION
           && (token_is(&p->tok, "(@name") || token_is(&p->tok, "(@\"name\""));
}

bool parser_name_annotation(Parser *p, Name *out)
{
    if (!at_name_annotation(p))
        return false;
    parser_advance(p);
    if (p->tok.kind != TOKEN_STRING)
        return parser_unexpected(p, "a name");
    *out = string_in_arena(p, &p->tok);
    if (!utf8_is_valid((const uint8_t *)out->bytes, out->len))
        return parser_fail(p, p->tok.at, "malformed UTF-8 encoding in a name");
    parser_advance(p);
    parser_close(p);
    if (at_name_annotation(p))
        return parser_fail(p, p->tok.at, "@name annotation: multiple names");
    return true;
}

void parser_named(Parser *p, NameMap *map, uint32_t index)
{
    Name name;
    uint32_t symbol = parser_optional_symbol(p);
    bool annotated = parser_name_annotation(p, &name);
    if (annotated)
        name_map_add(map, index, name);
    else if (symbol != NO_SYMBOL)
        name_map_add(map, index, p->symbols.names[symbol]);
}

static uint32_t find_bound(const Parser *p, uint32_t space, uint32_t symbol)
{
    const Symbol *s = &p->bindings[symbol];
    if (s->space == space + 1)
        return s->index;
    return s->space ? pair_find(&p->bound, space, symbol) : NOT_FOUND;
}

bool parser_bind_symbol(Parser *p, uint32_t space, uint32_t symbol,
                        uint32_t index)
{
    Symbol *s = &p->bindings[symbol];
    if (s->space == space + 1)
        return false;
    if (s->space)
        return pair_add(&p->bound, space, symbol, index);
    s->space = space + 1;
    s->index = index;
    return true;
}

void parser_bind(Parser *p, uint32_t space, uint32_t index)
{
    static const char *const words[] = {
        "type",   "function", "table",           "memory",
        "global", "tag",      "element segment", "data segment"};
    if (p->tok.kind != TOKEN_ID)
        return;
    Token t = p->tok;
    uint32_t symbol = parser_symbol(p);
    if (!parser_bind_symbol(p, space, symbol, index))
        parser_fail(p, t.at, "duplicate %s %.*s",
                    space < SPACE_COUNT ? words[space] : "field", shown(&t),
                    t.at);
}

bool parser_at_index(const Parser *p)
{
    return p->tok.kind == TOKEN_ID || p->tok.kind == TOKEN_NUMBER;
}

/* Levenshtein's distance of short names; a large number for others. */
static uint32_t distance(const Name *a, const Name *b)
{
    enum { LONGEST = 48 };
    if (a->len > LONGEST || b->len > LONGEST)
        return UINT32_MAX;
    uint32_t row[LONGEST + 1];
    for (uint32_t j = 0; j <= b->len; j++)
        row[j] = j;
    for (uint32_t i = 0; i < a->len; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < b->len; j++) {
            uint32_t best = diagonal + (a->bytes[i] != b->bytes[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            row[j + 1] = best;
        }
    }
    return row[b->len];
}

typedef struct {
    const Name *wanted;
    Name best;
    uint32_t distance;
    uint32_t tried; /* no more than TRIES, for the sake of hostile texts */
} Nearest;
enum { TRIES = 10000 };

static void consider(Nearest *n, Name candidate)
{
    uint32_t near = 1 + n->wanted->len / 4;
    if (candidate.len > n->wanted->len + near
        || n->wanted->len > candidate.len + near || n->tried == TRIES)
        return;
    n->tried++;
    uint32_t d = distance(n->wanted, &candidate);
    if (d <= near && d < n->distance) {
        n->best = candidate;
        n->distance = d;
    }
}

static bool fail_unknown(Parser *p, const Token *t, const char *what,
                         const Nearest *n)
{
    if (n->distance == UINT32_MAX)
        return parser_fail(p, t->at, "unknown %s %.*s", what, shown(t), t->at);
    return parser_fail(p, t->at, "unknown %s %.*s; did you mean $%.*s?", what,
                       shown(t), t->at, (int)n->best.len, n->best.bytes);
}

static uint32_t index_in(Parser *p, uint32_t space, const char *what)
{
    if (p->tok.kind == TOKEN_NUMBER)
        return parser_u32(p, what);
    if (p->tok.kind != TOKEN_ID) {
        parser_unexpected(p, what);
        return 0;
    }
    Token t = p->tok;
    uint32_t symbol = parser_symbol(p);
    uint32_t index = find_bound(p, space, symbol);
    if (index != NOT_FOUND)
        return index;
    Nearest n = {.wanted = &p->symbols.names[symbol], .distance = UINT32_MAX};
    for (uint32_t i = 0; i < p->symbols.n; i++)
        if (find_bound(p, space, i) != NOT_FOUND)
            consider(&n, p->symbols.names[i]);
    fail_unknown(p, &t, what, &n);
    return 0;
}

uint32_t parser_index(Parser *p, Space space)
{
    static const char *const words[] = {
        "type",   "function", "table",           "memory",
        "global", "tag",      "element segment", "data segment"};
    return index_in(p, space, words[space]);
}

uint32_t parser_field_index(Parser *p, uint32_t type)
{
    return index_in(p, SPACE_COUNT + type, "field");
}

bool parser_bind_local(Parser *p, uint32_t symbol, const char *at)
{
    if (p->bindings[symbol].owner == p->serial) {
        Name n = p->symbols.names[symbol];
        return parser_fail(p, at, "duplicate local $%.*s",
                           n.len > 60 ? 60 : (int)n.len, n.bytes);
    }
    p->bindings[symbol].owner = p->serial;
    p->bindings[symbol].local = p->n_locals;
    return true;
}

uint32_t parser_local(Parser *p)
{
    if (p->tok.kind != TOKEN_ID)
        return parser_u32(p, "local");
    Token t = p->tok;
    uint32_t symbol = parser_symbol(p);
    if (p->bindings[symbol].owner == p->serial && p->serial)
        return p->bindings[symbol].local;
    Nearest n = {.wanted = &p->symbols.names[symbol], .distance = UINT32_MAX};
    for (uint32_t i = 0; i < p->symbols.n && p->serial; i++)
        if (p->bindings[i].owner == p->serial)
            consider(&n, p->symbols.names[i]);
    fail_unknown(p, &t, "local", &n);
    return 0;
}

void parser_push_label(Parser *p, uint32_t symbol)
{
    if (p->n_labels == p->labels_capacity) {
        p->labels_capacity = p->labels_capacity + p->labels_capacity / 2 + 16;
        p->labels =
            intern_resize(p->labels, p->labels_capacity, sizeof *p->labels);
    }
    Label *l = &p->labels[p->n_labels++];
    *l = (Label){symbol, 0};
    if (symbol != NO_SYMBOL) {
        l->outer = p->bindings[symbol].label;
        p->bindings[symbol].label = p->n_labels;
    }
}

void parser_pop_label(Parser *p)
{
    const Label *l = &p->labels[--p->n_labels];
    if (l->symbol != NO_SYMBOL)
        p->bindings[l->symbol].label = l->outer;
}

uint32_t parser_label(Parser *p)
{
    if (p->tok.kind != TOKEN_ID)
        return parser_u32(p, "label");
    Token t = p->tok;
    uint32_t symbol = parser_symbol(p);
    if (p->bindings[symbol].label)
        return p->n_labels - p->bindings[symbol].label;
    Nearest n = {.wanted = &p->symbols.names[symbol], .distance = UINT32_MAX};
    for (uint32_t i = p->n_labels; i-- > 0;)
        if (p->labels[i].symbol != NO_SYMBOL)
            consider(&n, p->symbols.names[p->labels[i].symbol]);
    fail_unknown(p, &t, "label", &n);
    return 0;
}

void name_map_add(NameMap *m, uint32_t index, Name name)
{
    m->count++;
    writer_u32(&m->w, index);
    writer_sized(&m->w, name.bytes, name.len);
}

void name_map_add_inner(NameMap *m, uint32_t index, Name name)
{
    m->n_inner++;
    writer_u32(&m->inner, index);
    writer_sized(&m->inner, name.bytes, name.len);
}

void name_map_close_inner(NameMap *m, uint32_t owner)
{
    if (!m->n_inner)
        return;
    m->count++;
    writer_u32(&m->w, owner);
    writer_u32(&m->w, m->n_inner);
    writer_bytes(&m->w, m->inner.data, m->inner.len);
    m->inner.len = 0;
    m->n_inner = 0;
}

static void add_position(Buffer *b, uint32_t binary, uint32_t text)
{
    if (b->n_positions == b->capacity) {
        b->capacity = b->capacity + b->capacity / 2 + 16;
        b->positions =
            intern_resize(b->positions, b->capacity, sizeof *b->positions);
    }
    b->positions[b->n_positions++] = (TextPosition){binary, text};
}

void buffer_mark(Buffer *b, uint32_t text)
{
    add_position(b, (uint32_t)b->w.len, text);
}

void buffer_append(Buffer *to, Buffer *from)
{
    uint32_t delta = (uint32_t)to->w.len;
    for (uint32_t i = 0; i < from->n_positions; i++)
        add_position(to, from->positions[i].binary + delta,
                     from->positions[i].text);
    writer_bytes(&to->w, from->w.data, from->w.len);
    from->w.len = 0;
    from->n_positions = 0;
    from->count = 0;
}

void buffer_free(Buffer *b)
{
    writer_free(&b->w);
    free(b->positions);
    *b = (Buffer){0};
}
