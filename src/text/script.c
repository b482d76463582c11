#include "text/script.h"

#include <stdlib.h>

#include "text/parse_part.h"

struct Script {
    Parser p;
    Error error; /* of the command under way */
    Arena arena; /* of the last command */
    TextModule text;
    size_t to;
    bool begun;
    const char *counted; /* line and column are those of this place */
    uint32_t line, column;
    Features features;
    Script *next_body; /* a list of those given out */
    Script *bodies;
};

static Script *new_part(const char *text, size_t from, size_t to,
                        Features features)
{
    Script *s = intern_resize(NULL, 1, sizeof *s);
    memset(s, 0, sizeof *s);
    s->to = to;
    s->features = features;
    s->counted = text;
    s->line = s->column = 1;
    parser_start(&s->p, text, from, to, features, &s->error);
    return s;
}

Script *script_new(const char *text, size_t len, Features features)
{
    return new_part(text, 0, len, features);
}

void script_free(Script *s)
{
    if (!s)
        return;
    for (Script *b = s->bodies, *next; b; b = next) {
        next = b->next_body;
        script_free(b);
    }
    text_free(&s->text);
    arena_free(&s->arena);
    parser_end(&s->p);
    free(s);
}

static const char *text_of(const Script *s) { return s->p.lex.text; }

/* The text behind the ")" of the group whose "(" is at the cursor; moves
 * there. */
static const char *skip_group(Parser *p)
{
    const char *end = p->tok.at;
    size_t depth = 0;
    do {
        if (p->tok.kind == TOKEN_LEFT || p->tok.kind == TOKEN_ANNOTATION)
            depth++;
        if (p->tok.kind == TOKEN_RIGHT)
            depth--;
        if (p->tok.kind == TOKEN_END) {
            parser_unexpected(p, "`)`");
            return end;
        }
        end = p->tok.at + p->tok.len;
        parser_advance(p);
    } while (depth > 0);
    return end;
}

static Name take_string(Script *s)
{
    Writer w = {0};
    parser_string(&s->p, &w);
    Name n = {arena_copy(&s->arena, w.data, w.len), (uint32_t)w.len};
    writer_free(&w);
    return n;
}

/* "$M" if it is there. */
static Name take_name(Script *s)
{
    Writer w = {0};
    const Token *t = &s->p.tok;
    if (t->kind != TOKEN_ID)
        return (Name){"", 0};
    if (lex_id_is_plain(t))
        writer_bytes(&w, t->at + 1, t->len - 1);
    else
        lex_string(&(Token){t->at + 1, t->len - 1, TOKEN_STRING}, &w);
    Name n = {arena_copy(&s->arena, w.data, w.len), (uint32_t)w.len};
    writer_free(&w);
    parser_advance(&s->p);
    return n;
}

/* --- values ---------------------------------------------------------------- */

static bool take_nan(Parser *p, uint8_t *pattern)
{
    if (parser_take(p, "nan:canonical"))
        *pattern = NAN_CANONICAL;
    else if (parser_take(p, "nan:arithmetic"))
        *pattern = NAN_ARITHMETIC;
    else
        return false;
    return true;
}

static void read_float(Parser *p, ScriptValue *v, unsigned bytes)
{
    if (!take_nan(p, &v->nan[0]))
        v->bits = parse_imm_float(p, bytes);
}

static void read_v128(Parser *p, ScriptValue *v)
{
    static const char *const words[] = {"i8x16", "i16x8", "i32x4",
                                        "i64x2", "f32x4", "f64x2"};
    for (uint8_t i = 0; i < 6; i++)
        if (parser_at(p, words[i]))
            v->shape = i;
    bool floats =
        parser_at(p, words[SHAPE_F32X4]) || parser_at(p, words[SHAPE_F64X2]);
    if (!floats) {
        parse_imm_v128(p, v->v128);
        return;
    }
    parser_advance(p);
    unsigned bytes = v->shape == SHAPE_F32X4 ? 4 : 8;
    for (unsigned i = 0; i < 16 / bytes; i++)
        if (!take_nan(p, &v->nan[i]))
            parse_imm_little_endian(v->v128 + i * bytes,
                                    parse_imm_float(p, bytes), bytes);
}

static void read_null(Parser *p, ScriptValue *v)
{
    if (p->tok.kind == TOKEN_RIGHT)
        return;
    Writer heap = {0};
    parse_type_heap(p, &heap);
    if (parser_ok(p) && heap.len == 1)
        v->heap = heap.data[0];
    writer_free(&heap);
}

static const struct {
    const char *word;
    uint8_t kind;
} value_words[] = {
    {"i32.const", VALUE_I32},         {"i64.const", VALUE_I64},
    {"f32.const", VALUE_F32},         {"f64.const", VALUE_F64},
    {"v128.const", VALUE_V128},       {"ref.null", VALUE_REF_NULL},
    {"ref.host", VALUE_REF_HOST},     {"ref.extern", VALUE_REF_EXTERN},
    {"ref.func", VALUE_REF_FUNC},     {"ref.any", VALUE_REF_ANY},
    {"ref.eq", VALUE_REF_EQ},         {"ref.i31", VALUE_REF_I31},
    {"ref.struct", VALUE_REF_STRUCT}, {"ref.array", VALUE_REF_ARRAY},
    {"ref.exn", VALUE_REF_EXN},       {"ref", VALUE_REF_ANYTHING},
    {"either", VALUE_EITHER}};

static void read_number(Parser *p, ScriptValue *v)
{
    v->has_bits = true;
    switch (v->kind) {
    case VALUE_I32: v->bits = parse_imm_integer(p, 32, "i32"); break;
    case VALUE_I64: v->bits = parse_imm_integer(p, 64, "i64"); break;
    case VALUE_F32: read_float(p, v, 4); break;
    case VALUE_F64: read_float(p, v, 8); break;
    case VALUE_V128: read_v128(p, v); break;
    case VALUE_REF_NULL: read_null(p, v); break;
    default:
        v->has_bits = p->tok.kind == TOKEN_NUMBER;
        if (v->has_bits)
            v->bits = parser_u32(p, "number");
        break;
    }
}

/* One value that is not `either`, the cursor at its parenthesis. */
static bool read_value(Script *s, ScriptValue *v)
{
    Parser *p = &s->p;
    *v = (ScriptValue){0};
    for (size_t i = 0; i < sizeof value_words / sizeof *value_words; i++)
        if (parser_take_left(p, value_words[i].word)) {
            v->kind = value_words[i].kind;
            return true;
        }
    return parser_unexpected(p, "a value");
}

typedef struct {
    ScriptValue *values;
    uint32_t n, capacity;
} Values;

static ScriptValue *add_value(Values *l)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity + l->capacity / 2 + 8;
        l->values = intern_resize(l->values, l->capacity, sizeof *l->values);
    }
    return &l->values[l->n++];
}

static const ScriptValue *keep_values(Script *s, Values *l)
{
    const ScriptValue *v =
        arena_copy(&s->arena, l->values, l->n * sizeof *l->values);
    free(l->values);
    return v;
}

/* (either value value ...), behind its keyword. */
static void read_either(Script *s, ScriptValue *v)
{
    Values l = {0};
    while (s->p.tok.kind == TOKEN_LEFT) {
        ScriptValue *a = add_value(&l);
        if (read_value(s, a) && a->kind == VALUE_EITHER)
            parser_fail(&s->p, s->p.tok.at, "`either` inside `either`");
        read_number(&s->p, a);
        parser_close(&s->p);
    }
    v->n_alternatives = l.n;
    v->alternatives = keep_values(s, &l);
}

static const ScriptValue *read_values(Script *s, uint32_t *n)
{
    Values l = {0};
    while (s->p.tok.kind == TOKEN_LEFT) {
        ScriptValue v;
        if (read_value(s, &v) && v.kind == VALUE_EITHER)
            read_either(s, &v);
        else
            read_number(&s->p, &v);
        parser_close(&s->p);
        *add_value(&l) = v;
    }
    *n = l.n;
    return keep_values(s, &l);
}

/* --- actions and modules ---------------------------------------------------- */

static bool at_action(const Parser *p)
{
    return parser_at_left(p, "invoke") || parser_at_left(p, "get");
}

static void read_action(Script *s, ScriptAction *a)
{
    Parser *p = &s->p;
    if (parser_take_left(p, "invoke"))
        a->kind = ACTION_INVOKE;
    else if (parser_take_left(p, "get"))
        a->kind = ACTION_GET;
    else
        parser_unexpected(p, "`(invoke` or `(get`");
    a->instance = take_name(s);
    a->name = take_string(s);
    a->args = read_values(s, &a->n_args);
    parser_close(p);
}

static void assemble(Script *s, const char *text, size_t from, size_t to,
                     ScriptModule *out)
{
    text_free(&s->text);
    if (!text_parse_part(text, from, to, s->features, &s->text, &out->err))
        return;
    out->bytes = s->text.bytes;
    out->len = s->text.len;
    out->text = &s->text;
}

/* Strings, as bytes. */
static void read_strings(Script *s, ScriptModule *out)
{
    Writer w = {0};
    while (s->p.tok.kind == TOKEN_STRING)
        parser_string(&s->p, &w);
    parser_close(&s->p);
    size_t len = w.len;
    const uint8_t *bytes = arena_copy(&s->arena, w.data, len);
    writer_free(&w);
    if (out->kind == SOURCE_QUOTE) {
        assemble(s, (const char *)bytes, 0, len, out);
        return;
    }
    out->bytes = bytes;
    out->len = len;
}

/* (module definition? $M? ...), the cursor at its parenthesis. */
static void read_module(Script *s, Command *c)
{
    Parser *p = &s->p;
    ScriptModule *m = &c->module;
    const char *from = p->tok.at;
    c->has_module = true;
    if (!parser_take_left(p, "module")) {
        parser_unexpected(p, "`(module`");
        return;
    }
    if (parser_take(p, "definition"))
        c->kind = COMMAND_MODULE_DEFINITION;
    c->name = take_name(s);
    if (parser_at(p, "binary") || parser_at(p, "quote")) {
        m->kind = parser_at(p, "binary") ? SOURCE_BINARY : SOURCE_QUOTE;
        parser_advance(p);
        read_strings(s, m);
        return;
    }
    parser_seek(p, from);
    const char *to = skip_group(p);
    if (parser_ok(p))
        assemble(s, text_of(s), (size_t)(from - text_of(s)),
                 (size_t)(to - text_of(s)), m);
}

static void read_instance(Script *s, Command *c)
{
    parser_advance(&s->p); /* ( */
    parser_advance(&s->p); /* module */
    parser_advance(&s->p); /* instance */
    c->kind = COMMAND_MODULE_INSTANCE;
    c->name = take_name(s);
    c->of = take_name(s);
    parser_close(&s->p);
}

/* --- commands ---------------------------------------------------------------- */

static const struct {
    const char *word;
    uint8_t kind;
} assertions[] = {{"assert_return", COMMAND_ASSERT_RETURN},
                  {"assert_trap", COMMAND_ASSERT_TRAP},
                  {"assert_exhaustion", COMMAND_ASSERT_EXHAUSTION},
                  {"assert_exception", COMMAND_ASSERT_EXCEPTION},
                  {"assert_malformed", COMMAND_ASSERT_MALFORMED},
                  {"assert_invalid", COMMAND_ASSERT_INVALID},
                  {"assert_unlinkable", COMMAND_ASSERT_UNLINKABLE},
                  {"assert_malformed_custom", COMMAND_ASSERT_MALFORMED_CUSTOM},
                  {"assert_invalid_custom", COMMAND_ASSERT_INVALID_CUSTOM}};

static void read_assertion(Script *s, Command *c, CommandKind kind)
{
    if (kind < COMMAND_ASSERT_MALFORMED
        && (kind != COMMAND_ASSERT_TRAP || at_action(&s->p)))
        read_action(s, &c->action);
    else
        read_module(s, c);
    c->kind = kind;
    c->name = (Name){"", 0};
    if (kind == COMMAND_ASSERT_RETURN)
        c->expected = read_values(s, &c->n_expected);
    else if (kind != COMMAND_ASSERT_EXCEPTION || s->p.tok.kind == TOKEN_STRING)
        c->message = take_string(s);
    parser_close(&s->p);
}

static bool try_assertion(Script *s, Command *c)
{
    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++)
        if (parser_take_left(&s->p, assertions[i].word)) {
            read_assertion(s, c, (CommandKind)assertions[i].kind);
            return true;
        }
    return false;
}

/* (thread $T (shared (module $M))? command*), behind its keyword.  Its
 * commands go to a Script of their own. */
static void read_thread(Script *s, Command *c)
{
    Parser *p = &s->p;
    c->kind = COMMAND_THREAD;
    c->name = take_name(s);
    if (parser_take_left(p, "shared")) {
        if (parser_take_left(p, "module"))
            c->shared = take_name(s);
        parser_close(p);
        parser_close(p);
    }
    const char *from = p->tok.at, *to = from;
    while (p->tok.kind == TOKEN_LEFT && parser_ok(p))
        to = skip_group(p);
    parser_close(p);
    if (!parser_ok(p))
        return;
    c->body = new_part(text_of(s), (size_t)(from - text_of(s)),
                       (size_t)(to - text_of(s)), s->features);
    c->body->begun = true;
    c->body->next_body = s->bodies;
    s->bodies = c->body;
}

static bool at_instance(const Parser *p)
{
    if (!parser_at_left(p, "module"))
        return false;
    Error ignored = {0};
    Lexer ahead = p->lex;
    ahead.err = &ignored;
    Token t = lex_next(&ahead);
    return token_is(&t, "instance");
}

static void read_command(Script *s, Command *c)
{
    Parser *p = &s->p;
    if (try_assertion(s, c))
        return;
    if (at_action(p)) {
        c->kind = COMMAND_ACTION;
        read_action(s, &c->action);
    } else if (at_instance(p)) {
        read_instance(s, c);
    } else if (parser_at_left(p, "module")) {
        c->kind = COMMAND_MODULE;
        read_module(s, c);
    } else if (parser_take_left(p, "register")) {
        c->kind = COMMAND_REGISTER;
        c->string = take_string(s);
        c->name = take_name(s);
        parser_close(p);
    } else if (parser_take_left(p, "thread")) {
        read_thread(s, c);
    } else if (parser_take_left(p, "wait")) {
        c->kind = COMMAND_WAIT;
        c->name = take_name(s);
        parser_close(p);
    } else {
        parser_unexpected(p, "a command");
    }
}

/* A script that begins with a field is a module, all of it. */
static bool is_inline_module(const Parser *p)
{
    static const char *const fields[] = {"type",   "rec",    "import", "func",
                                         "table",  "memory", "global", "tag",
                                         "export", "start",  "elem",   "data"};
    if (p->tok.kind == TOKEN_ANNOTATION)
        return true;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (parser_at_left(p, fields[i]))
            return true;
    return false;
}

static void read_inline_module(Script *s, Command *c)
{
    c->kind = COMMAND_MODULE;
    c->has_module = true;
    assemble(s, text_of(s), 0, s->to, &c->module);
    parser_seek(&s->p, text_of(s) + s->to);
}

static void give_position(Script *s, Command *c)
{
    lex_count(text_of(s), s->counted, s->p.tok.at, &s->line, &s->column);
    s->counted = s->p.tok.at;
    c->line = s->line;
    c->column = s->column;
}

/* Ends the script. */
static void finish(Script *s)
{
    s->error = (Error){0};
    s->p.lex.p = s->p.lex.end;
    parser_seek(&s->p, s->p.lex.end);
}

/* After a failure: to the end of the command that began at `from`. */
static void recover(Script *s, const char *from)
{
    s->error = (Error){0};
    parser_seek(&s->p, from);
    skip_group(&s->p);
    if (!parser_ok(&s->p))
        finish(s);
}

bool script_next(Script *s, Command *out, Error *err)
{
    Parser *p = &s->p;
    *out = (Command){.name = {"", 0}, .of = {"", 0}, .shared = {"", 0}};
    arena_free(&s->arena);
    if (!parser_ok(p)) { /* the text is not even tokens */
        *err = s->error;
        finish(s);
        return false;
    }
    if (p->tok.kind == TOKEN_END)
        return false;
    const char *from = p->tok.at;
    give_position(s, out);
    if (!s->begun && is_inline_module(p))
        read_inline_module(s, out);
    else
        read_command(s, out);
    s->begun = true;
    if (parser_ok(p))
        return true;
    *err = s->error;
    recover(s, from);
    return false;
}
