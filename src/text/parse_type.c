#include "text/number.h"
#include "text/parse_part.h"

typedef struct {
    const char *word;
    uint8_t code;
} Word;

static const Word number_types[] = {{"i32", T_I32},
                                    {"i64", T_I64},
                                    {"f32", T_F32},
                                    {"f64", T_F64},
                                    {"v128", T_V128}};

static const Word heap_types[] = {
    {"func", HEAP_FUNC},         {"extern", HEAP_EXTERN},
    {"any", HEAP_ANY},           {"eq", HEAP_EQ},
    {"i31", HEAP_I31},           {"struct", HEAP_STRUCT},
    {"array", HEAP_ARRAY},       {"exn", HEAP_EXN},
    {"none", HEAP_NONE},         {"nofunc", HEAP_NOFUNC},
    {"noextern", HEAP_NOEXTERN}, {"noexn", HEAP_NOEXN}};

static const Word ref_types[] = {{"funcref", HEAP_FUNC},
                                 {"externref", HEAP_EXTERN},
                                 {"anyref", HEAP_ANY},
                                 {"eqref", HEAP_EQ},
                                 {"i31ref", HEAP_I31},
                                 {"structref", HEAP_STRUCT},
                                 {"arrayref", HEAP_ARRAY},
                                 {"exnref", HEAP_EXN},
                                 {"nullref", HEAP_NONE},
                                 {"nullfuncref", HEAP_NOFUNC},
                                 {"nullexternref", HEAP_NOEXTERN},
                                 {"nullexnref", HEAP_NOEXN}};

#define LENGTH(a) (sizeof(a) / sizeof *(a))

/* The code of the keyword at the cursor, or 0. */
static uint8_t find_word(const Parser *p, const Word *words, size_t n)
{
    if (p->tok.kind == TOKEN_KEYWORD)
        for (size_t i = 0; i < n; i++)
            if (token_is(&p->tok, words[i].word))
                return words[i].code;
    return 0;
}

bool parse_type_at_ref(const Parser *p)
{
    return find_word(p, ref_types, LENGTH(ref_types))
           || parser_at_left(p, "ref");
}

bool parse_type_at_value(const Parser *p)
{
    return find_word(p, number_types, LENGTH(number_types))
           || parse_type_at_ref(p);
}

void parse_type_heap(Parser *p, Writer *w)
{
    uint8_t code = find_word(p, heap_types, LENGTH(heap_types));
    if (code) {
        writer_byte(w, code);
        parser_advance(p);
    } else if (parser_at_index(p)) {
        writer_s64(w, (int64_t)parser_index(p, SPACE_TYPE));
    } else {
        parser_unexpected(p, "a heap type");
    }
}

bool parse_type_ref_parts(Parser *p, Writer *w)
{
    uint8_t code = find_word(p, ref_types, LENGTH(ref_types));
    if (code) {
        writer_byte(w, code);
        parser_advance(p);
        return true;
    }
    if (!parser_take_left(p, "ref")) {
        parser_unexpected(p, "a reference type");
        return false;
    }
    bool nullable = parser_take(p, "null");
    parse_type_heap(p, w);
    parser_close(p);
    return nullable;
}

void parse_type_ref(Parser *p, Writer *w)
{
    size_t at = w->len;
    writer_byte(w, KIND_REF);
    if (!parse_type_ref_parts(p, w) || !parser_ok(p))
        return;
    uint8_t code = w->data[at + 1];
    w->data[at] = KIND_REF_NULL;
    if (w->len == at + 2 && code >= 0x40) { /* abstract: the short form */
        w->data[at] = code;
        w->len--;
    }
}

void parse_type_value(Parser *p, Writer *w)
{
    uint8_t code = find_word(p, number_types, LENGTH(number_types));
    if (code) {
        writer_byte(w, code);
        parser_advance(p);
    } else if (parse_type_at_ref(p)) {
        parse_type_ref(p, w);
    } else {
        parser_unexpected(p, "a value type");
    }
}

static void storage_type(Parser *p, Writer *w)
{
    if (parser_take(p, "i8"))
        writer_byte(w, T_I8);
    else if (parser_take(p, "i16"))
        writer_byte(w, T_I16);
    else
        parse_type_value(p, w);
}

/* A type, or (mut type), then whether it may change. */
static void mutable_type(Parser *p, Writer *w, void (*type)(Parser *, Writer *))
{
    bool is_mutable = parser_take_left(p, "mut");
    type(p, w);
    if (is_mutable)
        parser_close(p);
    writer_byte(w, is_mutable);
}

void parse_type_global(Parser *p, Writer *w)
{
    mutable_type(p, w, parse_type_value);
}

typedef enum { NAMES_REFUSED, NAMES_IGNORED, NAMES_LOCALS } ParamNames;

static void local_name(Parser *p, ParamNames names)
{
    const char *at = p->tok.at;
    Name name;
    uint32_t symbol = parser_optional_symbol(p);
    bool annotated = parser_name_annotation(p, &name);
    if (names != NAMES_LOCALS || !parser_ok(p))
        return;
    if (symbol != NO_SYMBOL && !parser_bind_local(p, symbol, at))
        return;
    if (!annotated && symbol != NO_SYMBOL)
        name = p->symbols.names[symbol];
    if (annotated || symbol != NO_SYMBOL)
        name_map_add_inner(&p->names[NAMES_LOCAL], p->n_locals, name);
}

/* One (param ...), the cursor behind the keyword.  Gives how many. */
static uint32_t read_param(Parser *p, ParamNames names)
{
    uint32_t n = 0;
    bool named = p->tok.kind == TOKEN_ID || p->tok.kind == TOKEN_ANNOTATION;
    if (named && names == NAMES_REFUSED)
        parser_unexpected(p, "a value type");
    if (named)
        local_name(p, names);
    for (; parser_ok(p) && (named ? n == 0 : p->tok.kind != TOKEN_RIGHT); n++) {
        parse_type_value(p, &p->params);
        if (names == NAMES_LOCALS)
            p->n_locals++;
    }
    parser_close(p);
    return n;
}

typedef struct {
    uint32_t n_params, n_results;
} Signature;

/* (param ...)* (result ...)*: their types go to p->params and p->results,
 * the func type to p->comp. */
static Signature read_signature(Parser *p, ParamNames names)
{
    Signature s = {0, 0};
    p->params.len = p->results.len = p->comp.len = 0;
    while (parser_take_left(p, "param"))
        s.n_params += read_param(p, names);
    while (parser_take_left(p, "result")) {
        for (; parser_ok(p) && p->tok.kind != TOKEN_RIGHT; s.n_results++)
            parse_type_value(p, &p->results);
        parser_close(p);
    }
    writer_byte(&p->comp, 0x60);
    writer_u32(&p->comp, s.n_params);
    writer_bytes(&p->comp, p->params.data, p->params.len);
    writer_u32(&p->comp, s.n_results);
    writer_bytes(&p->comp, p->results.data, p->results.len);
    return s;
}

static void field_name(Parser *p, uint32_t type, uint32_t index)
{
    Token id = p->tok;
    Name name;
    uint32_t symbol = parser_optional_symbol(p);
    bool annotated = parser_name_annotation(p, &name);
    if (!parser_ok(p))
        return;
    if (symbol != NO_SYMBOL
        && !parser_bind_symbol(p, SPACE_COUNT + type, symbol, index))
        parser_fail(p, id.at, "duplicate field %.*s",
                    id.len > 60 ? 60 : (int)id.len, id.at);
    else if (annotated || symbol != NO_SYMBOL)
        name_map_add_inner(&p->names[NAMES_FIELD], index,
                           annotated ? name : p->symbols.names[symbol]);
}

static void read_struct(Parser *p, Writer *w, uint32_t type)
{
    uint32_t n = 0;
    p->params.len = 0;
    while (parser_take_left(p, "field")) {
        if (p->tok.kind == TOKEN_ID || p->tok.kind == TOKEN_ANNOTATION) {
            field_name(p, type, n);
            mutable_type(p, &p->params, storage_type);
            n++;
        } else {
            for (; parser_ok(p) && p->tok.kind != TOKEN_RIGHT; n++)
                mutable_type(p, &p->params, storage_type);
        }
        parser_close(p);
    }
    name_map_close_inner(&p->names[NAMES_FIELD], type);
    writer_byte(w, 0x5f);
    writer_u32(w, n);
    writer_bytes(w, p->params.data, p->params.len);
}

static void read_composite(Parser *p, Writer *w, uint32_t type, TypeInfo *info)
{
    if (parser_take_left(p, "func")) {
        Signature s = read_signature(p, NAMES_IGNORED);
        *info = (TypeInfo){(uint32_t)w->len, (uint32_t)p->comp.len, s.n_params,
                           true};
        writer_bytes(w, p->comp.data, p->comp.len);
    } else if (parser_take_left(p, "struct")) {
        read_struct(p, w, type);
    } else if (parser_take_left(p, "array")) {
        writer_byte(w, 0x5e);
        mutable_type(p, w, storage_type);
    } else {
        parser_unexpected(p, "`(func`, `(struct` or `(array`");
    }
    parser_close(p);
}

/* Behind "(sub". */
static void read_sub(Parser *p, Writer *w, uint32_t type, TypeInfo *info)
{
    bool is_final = parser_take(p, "final");
    uint32_t n = 0;
    Writer supers = {0};
    for (; parser_at_index(p); n++)
        writer_u32(&supers, parser_index(p, SPACE_TYPE));
    if (!is_final || n) {
        writer_byte(w, is_final ? 0x4f : 0x50);
        writer_u32(w, n);
        writer_bytes(w, supers.data, supers.len);
    }
    writer_free(&supers);
    read_composite(p, w, type, info);
    parser_close(p);
}

static TypeInfo *add_type(Parser *p)
{
    if (p->n_types == p->types_capacity) {
        p->types_capacity = p->types_capacity + p->types_capacity / 2 + 16;
        p->types = intern_resize(p->types, p->types_capacity, sizeof *p->types);
    }
    TypeInfo *info = &p->types[p->n_types++];
    *info = (TypeInfo){0};
    return info;
}

/* A type that implicit type uses may mean, if it is the first such one. */
static void add_plain(Parser *p, const uint8_t *bytes, uint32_t len,
                      uint32_t index)
{
    if (intern_find(&p->plain, (const char *)bytes, len) != NOT_FOUND)
        return;
    const char *copy = arena_copy(&p->arena, bytes, len);
    uint32_t number = intern_add(&p->plain, copy, len);
    if (p->plain_capacity < p->plain.capacity) {
        p->plain_capacity = p->plain.capacity;
        p->plain_index = intern_resize(p->plain_index, p->plain_capacity,
                                       sizeof *p->plain_index);
    }
    p->plain_index[number] = index;
}

/* One type, behind "(type": $id? subtype ")". */
static void read_type(Parser *p, Buffer *b, const char *at)
{
    uint32_t index = p->n_types;
    buffer_mark(b, parser_offset(p, at));
    parser_named(p, &p->names[NAMES_TYPE], index);
    TypeInfo info = {0};
    if (parser_take_left(p, "sub"))
        read_sub(p, &b->w, index, &info);
    else
        read_composite(p, &b->w, index, &info);
    parser_close(p);
    *add_type(p) = info;
}

/* Appends `scratch`, whose types begin with number `first`, as one group. */
static void add_group(Parser *p, uint32_t first)
{
    Buffer *s = &p->sections[SECTION_TYPE];
    uint32_t n = p->n_types - first, len = (uint32_t)p->scratch.w.len;
    if (n != 1) {
        writer_byte(&s->w, 0x4e);
        writer_u32(&s->w, n);
    }
    for (uint32_t i = first; i < p->n_types; i++)
        p->types[i].at += (uint32_t)s->w.len;
    buffer_append(s, &p->scratch);
    s->count++;
    if (n == 1 && p->types[first].is_func && p->types[first].len == len)
        add_plain(p, s->w.data + p->types[first].at, len, first);
}

void parse_type_definition(Parser *p, const char *at)
{
    uint32_t first = p->n_types;
    read_type(p, &p->scratch, at);
    if (parser_ok(p))
        add_group(p, first);
}

void parse_type_rec(Parser *p, const char *at)
{
    uint32_t first = p->n_types;
    buffer_mark(&p->sections[SECTION_TYPE], parser_offset(p, at));
    while (p->tok.kind == TOKEN_LEFT) {
        at = p->tok.at;
        if (!parser_take_left(p, "type"))
            parser_unexpected(p, "`(type`");
        else
            read_type(p, &p->scratch, at);
    }
    parser_close(p);
    if (parser_ok(p))
        add_group(p, first);
}

/* The first plain type equal to p->comp, or a new one at the end. */
static uint32_t implicit_type(Parser *p, uint32_t n_params)
{
    uint32_t len = (uint32_t)p->comp.len;
    uint32_t number = intern_find(&p->plain, (const char *)p->comp.data, len);
    if (number != NOT_FOUND)
        return p->plain_index[number];
    Buffer *s = &p->sections[SECTION_TYPE];
    uint32_t index = p->n_types;
    *add_type(p) = (TypeInfo){(uint32_t)s->w.len, len, n_params, true};
    s->count++;
    buffer_mark(s, parser_offset(p, p->tok.at));
    writer_bytes(&s->w, p->comp.data, len);
    add_plain(p, p->comp.data, len, index);
    return index;
}

static bool same_signature(const Parser *p, uint32_t type)
{
    const TypeInfo *t = &p->types[type];
    return t->is_func && t->len == p->comp.len
           && memcmp(p->sections[SECTION_TYPE].w.data + t->at, p->comp.data,
                     t->len)
                  == 0;
}

typedef struct {
    bool is_explicit;
    uint32_t index;
    Signature signature;
} TypeUse;

static TypeUse read_type_use(Parser *p, ParamNames names)
{
    TypeUse u = {0};
    const char *at = p->tok.at;
    if (parser_take_left(p, "type")) {
        u.is_explicit = true;
        u.index = parser_index(p, SPACE_TYPE);
        parser_close(p);
    }
    u.signature = read_signature(p, names);
    if (!parser_ok(p) || !u.is_explicit
        || (!u.signature.n_params && !u.signature.n_results))
        return u;
    if (u.index >= p->n_types)
        parser_fail(p, at, "unknown type %u", u.index);
    else if (!same_signature(p, u.index))
        parser_fail(p, at, "the inline function type differs from type %u",
                    u.index);
    return u;
}

uint32_t parse_type_use(Parser *p, bool locals)
{
    TypeUse u = read_type_use(p, locals ? NAMES_LOCALS : NAMES_REFUSED);
    if (!parser_ok(p))
        return 0;
    if (!u.is_explicit)
        return implicit_type(p, u.signature.n_params);
    if (locals && !u.signature.n_params)
        p->n_locals += parse_type_params(p, u.index);
    return u.index;
}

uint32_t parse_type_params(const Parser *p, uint32_t type)
{
    return type < p->n_types ? p->types[type].n_params : 0;
}

void parse_type_block(Parser *p, Writer *w)
{
    TypeUse u = read_type_use(p, NAMES_REFUSED);
    if (!parser_ok(p))
        return;
    if (u.is_explicit)
        writer_s64(w, u.index);
    else if (u.signature.n_params || u.signature.n_results > 1)
        writer_s64(w, implicit_type(p, u.signature.n_params));
    else if (u.signature.n_results)
        writer_bytes(w, p->results.data, p->results.len);
    else
        writer_byte(w, 0x40);
}

bool parse_type_address(Parser *p)
{
    return !parser_take(p, "i32") && parser_take(p, "i64");
}

/* Behind "(pagesize". */
static uint32_t page_size_log2(Parser *p)
{
    const char *at = p->tok.at;
    uint64_t size = parser_u64(p, "page size");
    uint32_t log2 = 0;
    while (log2 < 63 && (uint64_t)1 << log2 < size)
        log2++;
    if (size != (uint64_t)1 << log2)
        parser_fail(p, at, "invalid page size: no power of two");
    parser_close(p);
    return log2;
}

/* Before memory64 all sizes were i32. */
static uint64_t size(Parser *p)
{
    if (p->features & (Features)1 << FEATURE_MEMORY64)
        return parser_u64(p, "size");
    return parser_u32(p, "size");
}

void parse_type_limits(Parser *p, Writer *w, bool is64, bool is_memory)
{
    uint64_t min = size(p), max = 0;
    bool has_max = p->tok.kind == TOKEN_NUMBER;
    if (has_max)
        max = size(p);
    bool shared = is_memory && parser_take(p, "shared");
    bool paged = is_memory && parser_take_left(p, "pagesize");
    uint32_t log2 = paged ? page_size_log2(p) : 0;
    writer_byte(w, (uint8_t)(has_max | shared << 1 | is64 << 2 | paged << 3));
    writer_u64(w, min);
    if (has_max)
        writer_u64(w, max);
    if (paged)
        writer_u32(w, log2);
}
