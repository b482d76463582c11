#include "text/parse_part.h"

/* Instructions nest on a stack of frames, not on C's: a frame for each open
 * parenthesis and each flat block.  A folded instruction's bytes wait on
 * p->pending while its operands are written:
 *
 *     (i32.add (local.get 0) (local.get 1))
 *     pending: add ........................ then body: get 0, get 1, add
 */

typedef enum {
    PLAIN,       /* (op ... operands */
    BLOCK,       /* (block, (loop, (try_table */
    IF,          /* (if ... operands, before (then */
    THEN,        /* (then */
    AFTER_THEN,  /* behind (then ...) */
    ELSE,        /* (else */
    TRY,         /* (try, before (do */
    DO,          /* (do */
    AFTER_DO,    /* behind (do ...) */
    AFTER_CATCH, /* behind (catch ...) */
    CATCH,       /* (catch */
    CATCH_ALL,   /* (catch_all */
    CLOSED,      /* only ")" may follow, then `end` */
    DELEGATED,   /* only ")" may follow */
    FLAT_BLOCK,  /* block, loop, try_table: up to `end` */
    FLAT_IF,
    FLAT_ELSE,
    FLAT_TRY,
    FLAT_CATCH,
    FLAT_CATCH_ALL
} FrameKind;

struct Frame {
    uint8_t kind;
    int8_t hint;
    uint32_t text;    /* offset of the opening keyword */
    uint32_t pending; /* where its bytes begin there: PLAIN, IF */
    uint32_t symbol;  /* of the label: IF */
    uint32_t name;    /* its name, as a symbol: IF */
};

static Frame *push(Parser *p, FrameKind kind, uint32_t text)
{
    if (p->n_frames == p->frames_capacity) {
        p->frames_capacity = p->frames_capacity + p->frames_capacity / 2 + 16;
        p->frames =
            intern_resize(p->frames, p->frames_capacity, sizeof *p->frames);
    }
    Frame *f = &p->frames[p->n_frames++];
    *f = (Frame){.kind = (uint8_t)kind, .hint = -1, .text = text};
    return f;
}

static Frame *top(Parser *p)
{
    return p->n_frames ? &p->frames[p->n_frames - 1] : NULL;
}

static bool is_flat(const Frame *f) { return f && f->kind >= FLAT_BLOCK; }

static int take_hint(Parser *p, Op op)
{
    int hint = p->hint;
    p->hint = -1;
    if (hint >= 0 && op != OP_IF && op != OP_BR_IF)
        parser_fail_code(p, ERR_INVALID, p->hint_at,
                         "@metadata.code.branch_hint annotation: "
                         "invalid target");
    return hint;
}

static void add_hint(Parser *p, uint32_t offset, int value)
{
    if (p->n_hints == p->hints_capacity) {
        p->hints_capacity = p->hints_capacity + p->hints_capacity / 2 + 16;
        p->hints = intern_resize(p->hints, p->hints_capacity, sizeof *p->hints);
    }
    p->hints[p->n_hints++] = (Hint){offset, (uint8_t)value};
}

/* The next instruction of `out` starts here. */
static void mark(Parser *p, Buffer *out, uint32_t text, int hint)
{
    if (hint >= 0)
        add_hint(p, (uint32_t)out->w.len, hint);
    buffer_mark(out, text);
}

/* The cursor at "(@metadata.code.branch_hint". */
static void read_hint(Parser *p)
{
    p->hint_at = p->tok.at;
    if (p->hint >= 0) {
        parser_fail(p, p->tok.at,
                    "@metadata.code.branch_hint annotation: "
                    "duplicate annotation");
        return;
    }
    parser_advance(p);
    Writer bytes = {0};
    const char *at = p->tok.at;
    parser_string(p, &bytes);
    if (parser_ok(p) && (bytes.len != 1 || bytes.data[0] > 1))
        parser_fail(p, at,
                    "@metadata.code.branch_hint annotation: "
                    "expected \"\\00\" or \"\\01\"");
    else if (parser_ok(p))
        p->hint = bytes.data[0];
    writer_free(&bytes);
    parser_close(p);
}

/* The label of a block: what names it in the text, and in the name section. */
typedef struct {
    uint32_t symbol, name; /* or NO_SYMBOL */
} LabelName;

static LabelName read_label_name(Parser *p)
{
    LabelName l;
    Name annotation;
    l.symbol = l.name = parser_optional_symbol(p);
    if (parser_name_annotation(p, &annotation))
        l.name = parser_name_symbol(p, annotation);
    return l;
}

/* Opens the label of a block, whose opcode has just been written. */
static void open_label(Parser *p, LabelName l)
{
    parser_push_label(p, l.symbol);
    uint32_t index = p->n_blocks++;
    if (l.name != NO_SYMBOL)
        name_map_add_inner(&p->names[NAMES_LABEL], index,
                           p->symbols.names[l.name]);
}

/* (catch $tag $label)* of a try_table. */
static void read_catches(Parser *p, Writer *w)
{
    static const char *const words[] = {"catch", "catch_ref", "catch_all",
                                        "catch_all_ref"};
    Writer clauses = {0};
    uint32_t n = 0;
    for (uint8_t kind = 0; kind < 4;) {
        if (!parser_take_left(p, words[kind])) {
            kind++;
            continue;
        }
        n++;
        writer_byte(&clauses, kind);
        if (kind < 2)
            writer_u32(&clauses, parser_index(p, SPACE_TAG));
        writer_u32(&clauses, parser_label(p));
        parser_close(p);
        kind = 0;
    }
    writer_u32(w, n);
    writer_bytes(w, clauses.data, clauses.len);
    writer_free(&clauses);
}

/* block, loop, try, try_table and flat if, behind the keyword. */
static void open_block(Parser *p, Buffer *out, Op op, FrameKind kind,
                       uint32_t text)
{
    mark(p, out, text, take_hint(p, op));
    LabelName l = read_label_name(p);
    parse_imm_opcode(op, &out->w);
    parse_type_block(p, &out->w);
    if (op == OP_TRY_TABLE)
        read_catches(p, &out->w);
    open_label(p, l);
    push(p, kind, text);
}

/* Folded: its operands stand between its header and its opcode. */
static void open_if(Parser *p, uint32_t text)
{
    int hint = take_hint(p, OP_IF);
    LabelName l = read_label_name(p);
    Frame *f = push(p, IF, text);
    f->hint = (int8_t)hint;
    f->pending = (uint32_t)p->pending.len;
    f->symbol = l.symbol;
    f->name = l.name;
    parse_imm_opcode(OP_IF, &p->pending);
    parse_type_block(p, &p->pending);
}

static void flush_pending(Parser *p, Buffer *out, const Frame *f)
{
    mark(p, out, f->text, f->hint);
    writer_bytes(&out->w, p->pending.data + f->pending,
                 p->pending.len - f->pending);
    p->pending.len = f->pending;
}

static void fail_operator(Parser *p, const Token *t)
{
    int n = t->len > 60 ? 60 : (int)t->len;
    Op near = op_nearest_text(t->at, t->len);
    if (near == OP_COUNT)
        parser_fail(p, t->at, "unknown operator %.*s", n, t->at);
    else
        parser_fail(p, t->at, "unknown operator %.*s; did you mean %s?", n,
                    t->at, op_info[near].text);
}

/* Takes an instruction's keyword. */
static Op read_op(Parser *p)
{
    Op op = OP_COUNT;
    if (p->tok.kind == TOKEN_KEYWORD)
        op = op_of_text(p->tok.at, p->tok.len);
    if (op == OP_COUNT) {
        if (p->tok.kind == TOKEN_KEYWORD)
            fail_operator(p, &p->tok);
        else
            parser_unexpected(p, "an instruction");
        return OP_NOP;
    }
    parser_advance(p);
    return op;
}

/* --- folded -------------------------------------------------------------- */

static void open_instruction(Parser *p, Buffer *out)
{
    parser_advance(p);
    Token t = p->tok;
    uint32_t text = parser_offset(p, t.at);
    Op op = read_op(p);
    switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_TRY_TABLE: open_block(p, out, op, BLOCK, text); return;
    case OP_TRY: open_block(p, out, op, TRY, text); return;
    case OP_IF: open_if(p, text); return;
    case OP_ELSE:
    case OP_END:
    case OP_CATCH:
    case OP_CATCH_ALL:
    case OP_DELEGATE:
        parser_fail(p, t.at, "unexpected `(%s`", op_info[op].text);
        return;
    default: break;
    }
    int hint = take_hint(p, op);
    Frame *f = push(p, PLAIN, text);
    f->hint = (int8_t)hint;
    f->pending = (uint32_t)p->pending.len;
    parse_imm_plain(p, op, &p->pending);
}

/* (then, (else, (do, (catch, (catch_all, (delegate: what may follow in f.
 * True if it was one of them. */
static bool open_clause(Parser *p, Buffer *out, Frame *f)
{
    uint32_t text = parser_offset(p, p->next.at);
    bool catches = f->kind == AFTER_DO || f->kind == AFTER_CATCH;
    if (f->kind == IF && parser_take_left(p, "then")) {
        flush_pending(p, out, f);
        open_label(p, (LabelName){f->symbol, f->name});
        f->kind = THEN;
    } else if (f->kind == AFTER_THEN && parser_take_left(p, "else")) {
        buffer_mark(out, text);
        parse_imm_opcode(OP_ELSE, &out->w);
        f->kind = ELSE;
    } else if (f->kind == TRY && parser_take_left(p, "do")) {
        f->kind = DO;
    } else if (catches && parser_take_left(p, "catch")) {
        buffer_mark(out, text);
        parse_imm_opcode(OP_CATCH, &out->w);
        writer_u32(&out->w, parser_index(p, SPACE_TAG));
        f->kind = CATCH;
    } else if (catches && parser_take_left(p, "catch_all")) {
        buffer_mark(out, text);
        parse_imm_opcode(OP_CATCH_ALL, &out->w);
        f->kind = CATCH_ALL;
    } else if (f->kind == AFTER_DO && parser_take_left(p, "delegate")) {
        buffer_mark(out, text);
        parser_pop_label(p);
        parse_imm_opcode(OP_DELEGATE, &out->w);
        writer_u32(&out->w, parser_label(p));
        parser_close(p);
        f->kind = DELEGATED;
    } else {
        return false;
    }
    return true;
}

static void open_folded(Parser *p, Buffer *out)
{
    Frame *f = top(p);
    if (f && open_clause(p, out, f))
        return;
    switch (f ? (int)f->kind : -1) {
    case AFTER_THEN: parser_unexpected(p, "`(else` or `)`"); return;
    case TRY: parser_unexpected(p, "`(do`"); return;
    case AFTER_DO:
        parser_unexpected(p, "`(catch`, `(catch_all`, `(delegate` or `)`");
        return;
    case AFTER_CATCH:
        parser_unexpected(p, "`(catch`, `(catch_all` or `)`");
        return;
    case CLOSED:
    case DELEGATED: parser_unexpected(p, "`)`"); return;
    default: open_instruction(p, out); return;
    }
}

static void write_end(Parser *p, Buffer *out, const char *at)
{
    buffer_mark(out, parser_offset(p, at));
    parse_imm_opcode(OP_END, &out->w);
}

static void close_folded(Parser *p, Buffer *out)
{
    Frame *f = top(p);
    const char *at = p->tok.at;
    parser_advance(p);
    switch (f->kind) {
    case PLAIN: flush_pending(p, out, f); break;
    case THEN: f->kind = AFTER_THEN; return;
    case DO: f->kind = AFTER_DO; return;
    case CATCH: f->kind = AFTER_CATCH; return;
    case ELSE:
    case CATCH_ALL: f->kind = CLOSED; return;
    case DELEGATED: break;
    case BLOCK:
    case AFTER_THEN:
    case AFTER_DO:
    case AFTER_CATCH:
    case CLOSED:
        write_end(p, out, at);
        parser_pop_label(p);
        break;
    case IF: parser_fail(p, at, "unexpected `)`, expected `(then`"); return;
    case TRY: parser_fail(p, at, "unexpected `)`, expected `(do`"); return;
    default: parser_fail(p, at, "unexpected `)`, expected `end`"); return;
    }
    p->n_frames--;
}

/* --- flat ---------------------------------------------------------------- */

/* `end`, `else` and `catch` may repeat the label. */
static void check_label(Parser *p)
{
    if (p->tok.kind != TOKEN_ID || !p->n_labels)
        return;
    const char *at = p->tok.at;
    if (parser_symbol(p) != p->labels[p->n_labels - 1].symbol)
        parser_fail(p, at, "mismatching label");
}

/* Moves a flat frame from one part to the next; false: not allowed here. */
static bool next_part(Frame *f, Op op)
{
    bool in_try = f->kind == FLAT_TRY || f->kind == FLAT_CATCH;
    switch (op) {
    case OP_ELSE:
        if (f->kind != FLAT_IF)
            return false;
        f->kind = FLAT_ELSE;
        return true;
    case OP_CATCH: f->kind = in_try ? FLAT_CATCH : f->kind; return in_try;
    case OP_CATCH_ALL:
        f->kind = in_try ? FLAT_CATCH_ALL : f->kind;
        return in_try;
    case OP_DELEGATE: return f->kind == FLAT_TRY;
    default: return true;
    }
}

/* end, else, catch, catch_all, delegate. */
static void read_part(Parser *p, Buffer *out, Op op, const Token *t)
{
    Frame *f = top(p);
    if (!is_flat(f) || !next_part(f, op)) {
        parser_fail(p, t->at, "unexpected `%s`", op_info[op].text);
        return;
    }
    buffer_mark(out, parser_offset(p, t->at));
    parse_imm_opcode(op, &out->w);
    if (op == OP_ELSE || op == OP_END)
        check_label(p);
    if (op == OP_CATCH)
        writer_u32(&out->w, parser_index(p, SPACE_TAG));
    if (op == OP_END || op == OP_DELEGATE) {
        parser_pop_label(p);
        p->n_frames--;
    }
    if (op == OP_DELEGATE)
        writer_u32(&out->w, parser_label(p));
}

/* May instructions without parentheses stand here? */
static bool takes_flat(const Frame *f)
{
    switch (f ? (int)f->kind : -1) {
    case PLAIN:
    case IF:
    case AFTER_THEN:
    case TRY:
    case AFTER_DO:
    case AFTER_CATCH:
    case CLOSED:
    case DELEGATED: return false;
    default: return true;
    }
}

static void read_flat(Parser *p, Buffer *out)
{
    if (!takes_flat(top(p))) {
        parser_unexpected(p, "`(` or `)`");
        return;
    }
    Token t = p->tok;
    uint32_t text = parser_offset(p, t.at);
    Op op = read_op(p);
    switch (op) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_TRY_TABLE: open_block(p, out, op, FLAT_BLOCK, text); return;
    case OP_TRY: open_block(p, out, op, FLAT_TRY, text); return;
    case OP_IF: open_block(p, out, op, FLAT_IF, text); return;
    case OP_ELSE:
    case OP_END:
    case OP_CATCH:
    case OP_CATCH_ALL:
    case OP_DELEGATE: read_part(p, out, op, &t); return;
    default: break;
    }
    mark(p, out, text, take_hint(p, op));
    parse_imm_plain(p, op, &out->w);
}

/* --- both ---------------------------------------------------------------- */

static bool at_hint(const Parser *p)
{
    return p->tok.kind == TOKEN_ANNOTATION
           && (token_starts(&p->tok, "(@metadata.code.branch_hint")
               || token_starts(&p->tok, "(@\"metadata.code.branch_hint"));
}

/* With `one`, a single folded instruction. */
static void read_code(Parser *p, Buffer *out, bool one)
{
    p->hint = -1;
    while (parser_ok(p)) {
        if (p->tok.kind == TOKEN_RIGHT && !p->n_frames)
            break;
        if (p->tok.kind == TOKEN_LEFT)
            open_folded(p, out);
        else if (p->tok.kind == TOKEN_RIGHT)
            close_folded(p, out);
        else if (p->tok.kind == TOKEN_KEYWORD && !(one && !p->n_frames))
            read_flat(p, out);
        else if (at_hint(p))
            read_hint(p);
        else
            parser_unexpected(p, "an instruction");
        if (one && !p->n_frames)
            break;
    }
    if (parser_ok(p) && p->hint >= 0)
        parser_fail(p, p->hint_at,
                    "@metadata.code.branch_hint annotation: "
                    "no instruction follows");
    write_end(p, out, p->tok.at);
}

void parse_code_expr(Parser *p, Buffer *out) { read_code(p, out, false); }

void parse_code_folded(Parser *p, Buffer *out)
{
    if (p->tok.kind != TOKEN_LEFT)
        parser_unexpected(p, "`(`");
    else
        read_code(p, out, true);
}
