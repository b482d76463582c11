#include "base/utf8.h"
#include "text/printer.h"
#include "wasm/walk.h"

/* The name section is read here once more, strictly: what identifiers and
 * @name annotations can carry is encoded again as the parser would do it, and
 * only if that gives the section's own bytes may they stand for it.
 */

static Name read_name(Reader *r)
{
    uint32_t len = reader_u32(r);
    const uint8_t *bytes = reader_bytes(r, len);
    if (!bytes || (len && !utf8_is_valid(bytes, len)))
        return (Name){NULL, 0};
    return (Name){(const char *)bytes, len};
}

/* A vector of (index, name), the index below n.  Fills items (may be NULL);
 * encodes what parses back.  Gives how many of these there are. */
static uint32_t read_map(Reader *r, uint32_t n, Named *items, Writer *again)
{
    uint32_t count = reader_u32(r), kept = 0;
    uint64_t next = 0; /* indices ascend */
    Writer entries = {0};
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        uint32_t index = reader_u32(r);
        Name name = read_name(r);
        if (!reader_ok(r) || !name.bytes || index >= n)
            continue;
        if (items)
            items[index].name = name;
        if (index < next)
            continue;
        next = (uint64_t)index + 1;
        kept++;
        writer_u32(&entries, index);
        writer_sized(&entries, name.bytes, name.len);
    }
    if (again && kept) {
        writer_u32(again, kept);
        writer_bytes(again, entries.data, entries.len);
    }
    writer_free(&entries);
    return kept;
}

/* --- identifiers -------------------------------------------------------------- */

/* "name#7", if nothing else is called so. */
static Name make_id(Arena *a, Intern *taken, Name name, uint32_t index)
{
    Writer w = {0};
    writer_bytes(&w, name.bytes, name.len);
    writer_printf(&w, "#%u", index);
    Name id = {arena_copy(a, w.data, w.len), (uint32_t)w.len};
    writer_free(&w);
    if (intern_find(taken, id.bytes, id.len) != NOT_FOUND)
        return (Name){"", 0};
    intern_add(taken, id.bytes, id.len);
    return id;
}

/* The first to have a name gets it as its identifier. */
static void make_ids(Arena *a, Named *items, uint32_t n)
{
    Intern taken = {0};
    for (uint32_t i = 0; i < n; i++) {
        Named *item = &items[i];
        if (!item->name.len)
            continue;
        uint32_t before = taken.n;
        intern_add(&taken, item->name.bytes, item->name.len);
        if (taken.n > before)
            item->id = item->name;
    }
    for (uint32_t i = 0; i < n; i++)
        if (items[i].name.len && !items[i].id.len)
            items[i].id = make_id(a, &taken, items[i].name, i);
    intern_free(&taken);
}

/* --- the section --------------------------------------------------------------- */

/* How many things a space has; of the by-owner spaces, how many owners. */
static uint32_t space_size(const Module *m, NameSpace space)
{
    switch (space) {
    case NAMES_MODULE: return 1;
    case NAMES_FUNC:
    case NAMES_LOCAL:
    case NAMES_LABEL: return m->n_funcs;
    case NAMES_TYPE:
    case NAMES_FIELD: return m->n_types;
    case NAMES_TABLE: return m->n_tables;
    case NAMES_MEMORY: return m->n_memories;
    case NAMES_GLOBAL: return m->n_globals;
    case NAMES_ELEM: return m->n_elems;
    case NAMES_DATA: return m->n_datas;
    case NAMES_TAG: return m->n_tags;
    case NAMES_COUNT: break;
    }
    return 0;
}

/* How many things an owner has. */
static uint32_t owner_size(const Module *m, NameSpace space, uint32_t owner)
{
    if (space == NAMES_LABEL)
        return UINT32_MAX;
    if (space == NAMES_FIELD) {
        const TypeDef *t = m->types[owner];
        return t->kind == COMP_STRUCT ? t->structure.n_fields : 0;
    }
    if (owner < m->n_imported_funcs)
        return m->func_types[owner]->func.n_params;
    return m->funcs[owner - m->n_imported_funcs].n_locals;
}

static void load_flat(Printer *p, Reader *r, NameSpace space, Writer *again)
{
    uint32_t n = space_size(p->m, space);
    if (!p->spaces[space])
        p->spaces[space] = arena_new(&p->arena, Named, n);
    read_map(r, n, p->spaces[space], again);
    make_ids(&p->arena, p->spaces[space], n);
}

static void load_module_name(Printer *p, Reader *r, Writer *again)
{
    Named *n = arena_new(&p->arena, Named, 1);
    n->name = read_name(r);
    if (!n->name.bytes)
        return;
    n->id = n->name;
    p->spaces[NAMES_MODULE] = n;
    writer_sized(again, n->name.bytes, n->name.len);
}

/* Remembers where each owner's map stands. */
static uint32_t *load_by_owner(Printer *p, Reader *r, NameSpace space,
                               Writer *again)
{
    uint32_t size = space_size(p->m, space), kept = 0;
    uint32_t *at = arena_new(&p->arena, uint32_t, size + 1);
    uint32_t count = reader_u32(r);
    uint64_t next = 0;
    Writer entries = {0}, map = {0};
    for (uint32_t i = 0; i < count && reader_ok(r); i++) {
        uint32_t owner = reader_u32(r), offset = (uint32_t)reader_offset(r);
        map.len = 0;
        uint32_t n = owner < size ? owner_size(p->m, space, owner) : 0;
        uint32_t names = read_map(r, n, NULL, &map);
        if (!reader_ok(r) || !names || owner < next)
            continue;
        at[owner] = offset;
        next = (uint64_t)owner + 1;
        kept++;
        if (space == NAMES_LABEL)
            p->labels_unused += names;
        writer_u32(&entries, owner);
        writer_bytes(&entries, map.data, map.len);
    }
    if (kept) {
        writer_u32(again, kept);
        writer_bytes(again, entries.data, entries.len);
    }
    writer_free(&entries);
    writer_free(&map);
    return at;
}

static void load_subsection(Printer *p, Reader *r, uint8_t id, Writer *again)
{
    switch (id) {
    case NAMES_MODULE: load_module_name(p, r, again); break;
    case NAMES_LOCAL: p->local_at = load_by_owner(p, r, id, again); break;
    case NAMES_LABEL: p->label_at = load_by_owner(p, r, id, again); break;
    case NAMES_FIELD: p->field_at = load_by_owner(p, r, id, again); break;
    default: load_flat(p, r, id, again); break;
    }
}

static void load_section(Printer *p, Reader *r, Writer *again)
{
    Writer content = {0};
    uint32_t seen = 0; /* bit per subsection */
    while (reader_ok(r) && r->p < r->end) {
        uint8_t id = reader_byte(r);
        uint32_t len = reader_u32(r);
        const uint8_t *bytes = reader_bytes(r, len);
        if (!bytes || id >= NAMES_COUNT || seen >> id & 1)
            continue;
        seen |= 1u << id;
        content.len = 0;
        Reader part = {r->start, bytes, bytes + len, r->err};
        load_subsection(p, &part, id, &content);
        if (!content.len || seen >> (id + 1))
            continue;
        writer_byte(again, id);
        writer_sized(again, content.data, content.len);
    }
    writer_free(&content);
}

static bool custom_is(const CustomSection *c, const char *name)
{
    return c->name.len == strlen(name)
           && memcmp(c->name.bytes, name, c->name.len) == 0;
}

/* The custom section of that name; n_customs if there is none, or several. */
static uint32_t find_custom(const Module *m, const char *name, bool *several)
{
    uint32_t found = m->n_customs;
    *several = false;
    for (uint32_t i = 0; i < m->n_customs; i++) {
        if (!custom_is(&m->customs[i], name))
            continue;
        *several = found != m->n_customs;
        if (*several)
            return found;
        found = i;
    }
    return found;
}

static bool same_bytes(const Printer *p, const CustomSection *c,
                       const Writer *w)
{
    return c->len == w->len && w->len
           && memcmp(p->m->bytes + c->start, w->data, w->len) == 0;
}

/* The id of the last section that is not custom; 0: there is none. */
static uint8_t last_section(const Module *m)
{
    uint8_t id = 0;
    for (uint32_t i = 0; i < m->n_sections; i++)
        id = m->sections[i].id ? m->sections[i].id : id;
    return id;
}

void print_name_load(Printer *p)
{
    bool several;
    p->name_section = find_custom(p->m, "name", &several);
    if (!p->o.names || p->name_section == p->m->n_customs)
        return;
    const CustomSection *c = &p->m->customs[p->name_section];
    Error ignored = {0};
    Reader r = printer_reader(p, c->start, c->start + c->len);
    r.err = &ignored;
    Writer again = {0};
    load_section(p, &r, &again);
    p->has_names = true;
    p->names_exact =
        !several && same_bytes(p, c, &again) && c->after == last_section(p->m);
    writer_free(&again);
}

const Named *print_name_of(const Printer *p, NameSpace space, uint32_t index)
{
    if (!p->spaces[space] || index >= space_size(p->m, space))
        return NULL;
    return &p->spaces[space][index];
}

/* --- what is by function or type ------------------------------------------------ */

static Named *read_inner(Printer *p, Arena *a, uint32_t at, uint32_t n)
{
    Named *items = arena_new(a, Named, n);
    Reader r = printer_reader(p, at, p->m->len);
    read_map(&r, n, items, NULL);
    return items;
}

static uint32_t count_blocks(Printer *p, const Func *f)
{
    uint32_t n = 0;
    Reader r = printer_reader(p, f->code, f->end);
    while (reader_ok(&r) && r.p < r.end) {
        Op op = walk_op(&r);
        walk_skip(&r, op);
        n += print_code_is_block(op);
    }
    return n;
}

static void start_labels(Printer *p)
{
    uint32_t n = p->n_block_names;
    uint32_t *top = arena_new(&p->scratch, uint32_t, n + 1);
    p->label_top = top;
    for (uint32_t i = 0; i < n; i++) {
        Named *b = &p->block_names[i];
        b->id = b->name;
        if (b->id.len)
            intern_add(&p->label_ids, b->id.bytes, b->id.len);
    }
}

void print_name_function(Printer *p, uint32_t index, uint32_t n_locals,
                         const Func *f)
{
    arena_free(&p->scratch);
    intern_free(&p->label_ids);
    p->n_locals = n_locals;
    p->n_blocks = p->n_block_names = 0;
    p->locals = NULL;
    if (p->local_at && p->local_at[index]) {
        p->locals = read_inner(p, &p->scratch, p->local_at[index], n_locals);
        make_ids(&p->scratch, p->locals, n_locals);
    }
    p->block_names = NULL;
    if (f && p->label_at && p->label_at[index]) {
        p->n_block_names = count_blocks(p, f);
        p->block_names =
            read_inner(p, &p->scratch, p->label_at[index], p->n_block_names);
    }
    start_labels(p);
}

const Named *print_name_fields(Printer *p, uint32_t type)
{
    if (!p->field_at || type >= p->m->n_types || !p->field_at[type])
        return NULL;
    if (!p->fields)
        p->fields = arena_new(&p->arena, Named *, p->m->n_types);
    if (!p->fields[type]) {
        uint32_t n = p->m->types[type]->structure.n_fields;
        p->fields[type] = read_inner(p, &p->arena, p->field_at[type], n);
        make_ids(&p->arena, p->fields[type], n);
    }
    return p->fields[type];
}

/* --- branch hints ----------------------------------------------------------------- */

/* Does f have an `if` or `br_if` at each offset of the record at r? */
static bool check_hints(Printer *p, Reader *r, const Func *f, Writer *again)
{
    uint32_t n = reader_u32(r);
    writer_u32(again, n);
    Reader code = printer_reader(p, f->code, f->end);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint32_t offset = reader_u32(r), size = reader_u32(r);
        uint8_t value = reader_byte(r);
        uint32_t at;
        Op op;
        do {
            at = (uint32_t)reader_offset(&code) - f->start;
            op = walk_op(&code);
            walk_skip(&code, op);
        } while (reader_ok(&code) && at < offset && code.p < code.end);
        if (at != offset || (op != OP_IF && op != OP_BR_IF) || size != 1
            || value > 1)
            return false;
        writer_u32(again, offset);
        writer_u32(again, size);
        writer_byte(again, value);
    }
    return n > 0;
}

static bool load_hints(Printer *p, Reader *r, Writer *again)
{
    const Module *m = p->m;
    uint32_t n = reader_u32(r), next = m->n_imported_funcs;
    writer_u32(again, n);
    for (uint32_t i = 0; i < n && reader_ok(r); i++) {
        uint32_t index = reader_u32(r);
        if (!reader_ok(r) || index < next || index >= m->n_funcs)
            return false;
        next = index + 1;
        writer_u32(again, index);
        index -= m->n_imported_funcs;
        p->hint_at[index] = (uint32_t)reader_offset(r);
        if (!check_hints(p, r, &m->funcs[index], again))
            return false;
    }
    return n > 0;
}

/* Does the code section follow this custom section at once? */
static bool is_before_code(const Module *m, const CustomSection *c)
{
    for (uint32_t i = 0; i + 1 < m->n_sections; i++)
        if (m->sections[i].offset == c->offset)
            return m->sections[i + 1].id == 10;
    return false;
}

void print_name_hints(Printer *p)
{
    const Module *m = p->m;
    bool several;
    p->hint_section = find_custom(m, "metadata.code.branch_hint", &several);
    if (p->hint_section == m->n_customs || several)
        return;
    const CustomSection *c = &m->customs[p->hint_section];
    uint32_t n = m->n_funcs - m->n_imported_funcs;
    p->hint_at = arena_new(&p->arena, uint32_t, n + 1);
    Error ignored = {0};
    Reader r = printer_reader(p, c->start, c->start + c->len);
    r.err = &ignored;
    Writer again = {0};
    p->hints_exact = is_before_code(m, c) && load_hints(p, &r, &again)
                     && same_bytes(p, c, &again);
    writer_free(&again);
}

static void next_hint(Printer *p)
{
    p->next_hint = 0;
    if (!p->hints_left)
        return;
    p->hints_left--;
    p->next_hint = reader_u32(&p->hints) + p->body_start;
    reader_u32(&p->hints);
    p->hint_value = reader_byte(&p->hints);
}

void print_name_start_hints(Printer *p, const Func *f)
{
    const Module *m = p->m;
    uint32_t at =
        p->hints_exact ? p->hint_at[f->index - m->n_imported_funcs] : 0;
    p->hints_left = 0;
    p->body_start = f->start;
    if (at) {
        p->hints = printer_reader(p, at, m->len);
        p->hints_left = reader_u32(&p->hints);
    }
    next_hint(p);
}

int print_name_take_hint(Printer *p, uint32_t offset)
{
    if (!p->next_hint || offset != p->next_hint)
        return -1;
    int value = p->hint_value;
    next_hint(p);
    return value;
}
