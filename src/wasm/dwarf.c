/* A line table is a program that makes rows: from this address on, that file,
 * line and column.  Rows are many times larger than the program, so they are
 * not kept.  What is kept are stops: every so often the machine's state, by
 * address.  A question finds the last stop at or before the address, and runs
 * the program from there until a row lies past it.
 *
 *   sequence   | row row row | row ... row | end        addresses ascend
 *              ^ stop        ^ stop                     STOP_OPS instructions
 *
 * A sequence is the code of one function.  One that begins at 0 is of a
 * function that the linker left out.
 */
#include "wasm/dwarf.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "wasm/dwarf_form.h"

enum {
    STOP_OPS = 64,
    /* Far above what compilers make; what is beyond is not read. */
    LIMIT_UNITS = 1 << 20,
    LIMIT_FILES = 1 << 22,
    LIMIT_STOPS = 1 << 22,
    LIMIT_ATTRIBUTES = 64,
    LIMIT_ABBREVIATIONS = 8
};

typedef struct {
    const char *name; /* NULL: not known */
    uint32_t dir;
} File;

typedef struct {
    const uint8_t *program, *end;
    const uint8_t *operands; /* by standard opcode - 1: how many it has */
    uint32_t files, n_files; /* in Dwarf.files */
    uint32_t dirs, n_dirs;   /* the first is that of the compilation */
    uint8_t step;            /* of addresses */
    uint8_t range, opcode_base;
    int8_t line_base;
} Unit;

typedef struct {
    uint32_t file, line, column;
} Place;

typedef struct {
    uint64_t address;
    Place now;
    Place shown; /* of the last row that has a line */
} Machine;

typedef struct {
    uint32_t row; /* address of the last row */
    uint32_t unit;
    uint32_t at; /* offset in the module of the next instruction */
    uint32_t address;
    Place now, shown;
} Stop;

/* Of version 4 and below, the directory of a compilation. */
typedef struct {
    uint64_t line; /* offset of its table */
    const char *dir;
} Compilation;

struct Dwarf {
    const Module *m;
    uint32_t code, code_len; /* content of the code section */
    Unit *units;
    File *files, *dirs;
    Stop *stops;               /* by row, then at */
    Compilation *compilations; /* by line */
    uint32_t n_units, n_files, n_dirs, n_stops, n_compilations;
    uint32_t units_capacity, files_capacity, dirs_capacity, stops_capacity,
        compilations_capacity;
};

/* Room for one more, at most `limit`; NULL: enough. */
static void *grow(void *p, uint32_t *capacity, uint32_t n, size_t size)
{
    if (n < *capacity)
        return p;
    *capacity = *capacity ? *capacity * 2 : 16;
    p = realloc(p, *capacity * size);
    if (!p)
        abort();
    return p;
}
#define ADD(d, list, ...)                                                      \
    ((d)->list = grow((d)->list, &(d)->list##_capacity, (d)->n_##list,         \
                      sizeof *(d)->list),                                      \
     (d)->list[(d)->n_##list++] = __VA_ARGS__)

/* ---- the program */

typedef enum { STEP_ON, STEP_ROW, STEP_END } Step;
enum {
    OP_EXTENDED,
    OP_COPY,
    OP_ADVANCE_PC,
    OP_ADVANCE_LINE,
    OP_SET_FILE,
    OP_SET_COLUMN,
    OP_CONST_ADD_PC = 8,
    OP_FIXED_ADVANCE_PC,
    OP_EXTENDED_END = 1,
    OP_EXTENDED_SET_ADDRESS
};

static void restart(Machine *m)
{
    *m = (Machine){.now = {.file = 1, .line = 1}};
}

static Step step_extended(Reader *r, Machine *m)
{
    uint64_t len = reader_u64(r);
    if (len == 0 || len > reader_left(r)) {
        reader_fail(r, "an instruction longer than its program");
        return STEP_ON;
    }
    Reader operands = {r->start, r->p, r->p + len, r->err};
    r->p += len;
    switch (reader_byte(&operands)) {
    case OP_EXTENDED_END: return STEP_END;
    case OP_EXTENDED_SET_ADDRESS:
        m->address = dwarf_form_number(&operands, (uint32_t)len - 1);
        return STEP_ON;
    default: return STEP_ON;
    }
}

static Step step_special(const Unit *u, uint8_t code, Machine *m)
{
    unsigned n = code - u->opcode_base;
    m->address += (uint64_t)(n / u->range) * u->step;
    m->now.line += (uint32_t)(u->line_base + (int)(n % u->range));
    return STEP_ROW;
}

static Step step(const Unit *u, Reader *r, Machine *m)
{
    uint8_t code = reader_byte(r);
    if (code >= u->opcode_base)
        return step_special(u, code, m);
    switch (code) {
    case OP_EXTENDED: return step_extended(r, m);
    case OP_COPY: return STEP_ROW;
    case OP_ADVANCE_PC: m->address += reader_u64(r) * u->step; break;
    case OP_ADVANCE_LINE: m->now.line += (uint32_t)reader_s64(r); break;
    case OP_SET_FILE: m->now.file = (uint32_t)reader_u64(r); break;
    case OP_SET_COLUMN: m->now.column = (uint32_t)reader_u64(r); break;
    case OP_CONST_ADD_PC:
        m->address += (uint64_t)((255 - u->opcode_base) / u->range) * u->step;
        break;
    case OP_FIXED_ADVANCE_PC: m->address += dwarf_form_number(r, 2); break;
    default:
        for (uint8_t k = u->operands[code - 1]; k > 0; k--)
            reader_u64(r);
    }
    return STEP_ON;
}

static void show(Machine *m)
{
    if (m->now.line)
        m->shown = m->now;
}

/* What is being read of a sequence. */
typedef struct {
    uint32_t first_stop;
    uint32_t n_rows, ops; /* ops since the last stop */
    uint64_t first, last; /* addresses of rows */
    bool dead;
} Sequence;

static void add_row(const Dwarf *d, Sequence *q, const Machine *m)
{
    if (q->n_rows == 0) {
        q->first = m->address;
        q->dead = m->address == 0 || m->address >= d->code_len;
        q->ops = STOP_OPS;
    }
    q->n_rows++;
    q->dead |= m->address < q->last;
    q->last = m->address;
}

static void add_stop(Dwarf *d, uint32_t unit, const Reader *r, const Machine *m,
                     Sequence *q)
{
    q->ops = 0;
    q->dead |= m->address > UINT32_MAX || d->n_stops == LIMIT_STOPS;
    if (q->dead)
        return;
    ADD(d, stops,
        (Stop){(uint32_t)q->last, unit, (uint32_t)reader_offset(r),
               (uint32_t)m->address, m->now, m->shown});
}

static void index_unit(Dwarf *d, uint32_t unit, Error *err)
{
    const Unit *u = &d->units[unit];
    Reader r = {d->m->bytes, u->program, u->end, err};
    Machine m;
    Sequence q = {.first_stop = d->n_stops};
    restart(&m);
    while (reader_left(&r)) {
        Step s = step(u, &r, &m);
        if (!reader_ok(&r))
            break;
        q.ops++;
        if (s != STEP_ON)
            add_row(d, &q, &m);
        if (s == STEP_ROW)
            show(&m);
        if (s == STEP_END) {
            if (q.dead || q.first == q.last)
                d->n_stops = q.first_stop;
            q = (Sequence){.first_stop = d->n_stops};
            restart(&m);
        } else if (q.n_rows && q.ops >= STOP_OPS) {
            add_stop(d, unit, &r, &m, &q);
        }
    }
    d->n_stops = q.first_stop; /* one without an end is none */
}

/* ---- the head of a unit */

enum { FORMS_MAX = 256 };
typedef struct {
    uint64_t kind[FORMS_MAX], form[FORMS_MAX];
    uint32_t n;
} Format;
enum { KIND_PATH = 1, KIND_DIRECTORY = 2 };

static void read_format(Reader *r, Format *f)
{
    f->n = reader_byte(r);
    for (uint32_t k = 0; k < f->n; k++) {
        f->kind[k] = reader_u64(r);
        f->form[k] = reader_u64(r);
    }
}

/* Directories or files of version 5.  Each has a byte at least. */
static uint64_t read_count(Reader *r, const Format *f)
{
    uint64_t n = reader_u64(r);
    if (n > reader_left(r) || (n && !f->n))
        reader_fail(r, "more entries than bytes");
    return reader_ok(r) ? n : 0;
}

static File read_entry(Reader *r, const Format *f, const DwarfWidth *w,
                       const DwarfSections *s)
{
    File e = {0};
    const uint8_t *start = r->p;
    for (uint32_t k = 0; k < f->n; k++) {
        DwarfValue v = dwarf_form_value(r, f->form[k], w, s);
        if (f->kind[k] == KIND_PATH)
            e.name = v.text;
        else if (f->kind[k] == KIND_DIRECTORY)
            e.dir = (uint32_t)v.number;
    }
    if (r->p == start)
        reader_fail(r, "an entry of nothing");
    return e;
}

static void add_dir(Dwarf *d, Unit *u, const char *name)
{
    if (d->n_dirs < LIMIT_FILES) {
        ADD(d, dirs, (File){name, 0});
        u->n_dirs++;
    }
}

static void add_file(Dwarf *d, Unit *u, File f)
{
    if (d->n_files < LIMIT_FILES) {
        ADD(d, files, f);
        u->n_files++;
    }
}

static void read_tables_5(Dwarf *d, Unit *u, Reader *r, const DwarfWidth *w,
                          const DwarfSections *s)
{
    Format f;
    read_format(r, &f);
    for (uint64_t n = read_count(r, &f); n > 0 && reader_ok(r); n--)
        add_dir(d, u, read_entry(r, &f, w, s).name);
    read_format(r, &f);
    for (uint64_t n = read_count(r, &f); n > 0 && reader_ok(r); n--)
        add_file(d, u, read_entry(r, &f, w, s));
}

static const char *find_dir(const Dwarf *d, uint64_t line)
{
    uint32_t low = 0, high = d->n_compilations;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (d->compilations[middle].line < line)
            low = middle + 1;
        else
            high = middle;
    }
    return low < d->n_compilations && d->compilations[low].line == line
               ? d->compilations[low].dir
               : NULL;
}

/* Up to version 4 both count from 1: 0 is the compilation's directory, and no
 * file. */
static void read_tables_4(Dwarf *d, Unit *u, Reader *r, const char *dir)
{
    const char *name;
    add_dir(d, u, dir);
    while ((name = dwarf_form_string(r)) && *name)
        add_dir(d, u, name);
    add_file(d, u, (File){0});
    while ((name = dwarf_form_string(r)) && *name) {
        File f = {name, (uint32_t)reader_u64(r)};
        reader_u64(r); /* time */
        reader_u64(r); /* length */
        add_file(d, u, f);
    }
}

/* r is limited to the unit, behind its length.  false: not to be used. */
static bool read_head(Dwarf *d, Unit *u, Reader *r, DwarfWidth *w,
                      const DwarfSections *s, uint64_t at)
{
    w->version = (uint16_t)dwarf_form_number(r, 2);
    if (w->version < 2 || w->version > 5)
        return false;
    if (w->version == 5) {
        w->address = reader_byte(r);
        reader_byte(r); /* segment selectors */
    }
    uint64_t len = dwarf_form_offset(r, w);
    if (!reader_ok(r) || len > reader_left(r))
        return false;
    *u = (Unit){.program = r->p + len, .end = r->end};
    r->end = u->program;
    u->step = reader_byte(r);
    if (w->version >= 4)
        reader_byte(r); /* operations in an instruction: 1 */
    reader_byte(r);     /* default_is_stmt */
    u->line_base = (int8_t)reader_byte(r);
    u->range = reader_byte(r);
    u->opcode_base = reader_byte(r);
    if (u->range == 0 || u->opcode_base == 0)
        return false;
    u->operands = reader_bytes(r, u->opcode_base - 1u);
    u->files = d->n_files;
    u->dirs = d->n_dirs;
    if (w->version == 5)
        read_tables_5(d, u, r, w, s);
    else if (reader_ok(r))
        read_tables_4(d, u, r, find_dir(d, at));
    return u->operands != NULL;
}

static void read_lines(Dwarf *d, const DwarfSections *s)
{
    Error err = {0};
    Reader r = {d->m->bytes, s->line.bytes, s->line.bytes + s->line.len, &err};
    while (reader_left(&r) && d->n_units < LIMIT_UNITS) {
        uint64_t at = (uint64_t)(r.p - s->line.bytes);
        DwarfWidth w = {0};
        Error mine = {0};
        Unit u;
        Reader unit = dwarf_form_unit(&r, &w);
        if (!reader_ok(&r))
            break;
        unit.err = &mine;
        if (!read_head(d, &u, &unit, &w, s, at))
            continue;
        ADD(d, units, u);
        mine = (Error){0};
        index_unit(d, d->n_units - 1, &mine);
    }
}

/* ---- directories of compilations */

/* Moves to the attributes of an abbreviation; it is among the first, since
 * it is that of the unit. */
static bool find_abbreviation(Reader *r, uint64_t code)
{
    for (int k = 0; k < LIMIT_ABBREVIATIONS && reader_left(r); k++) {
        uint64_t c = reader_u64(r);
        reader_u64(r); /* tag */
        reader_byte(r);
        if (c == code)
            return c != 0 && reader_ok(r);
        for (int j = 0; j < LIMIT_ATTRIBUTES && reader_ok(r); j++) {
            uint64_t name = reader_u64(r), form = reader_u64(r);
            if (form == 0x21) /* implicit_const */
                reader_s64(r);
            if (name == 0 && form == 0)
                break;
        }
    }
    return false;
}

static void read_compilation(Dwarf *d, Reader *r, DwarfWidth *w,
                             const DwarfSections *s)
{
    enum { UNIT_COMPILE = 1, NAME_LINES = 0x10, NAME_DIR = 0x1b };
    w->version = (uint16_t)dwarf_form_number(r, 2);
    if (w->version < 2 || w->version > 4)
        return; /* version 5 says it in the line table */
    uint64_t offset = dwarf_form_offset(r, w);
    w->address = reader_byte(r);
    uint64_t code = reader_u64(r);
    if (!reader_ok(r) || offset >= s->abbrev.len)
        return;
    const uint8_t *abbrev = s->abbrev.bytes;
    Reader a = {r->start, abbrev + offset, abbrev + s->abbrev.len, r->err};
    if (!find_abbreviation(&a, code))
        return;
    Compilation c = {UINT64_MAX, NULL};
    for (int k = 0; k < LIMIT_ATTRIBUTES; k++) {
        uint64_t name = reader_u64(&a), form = reader_u64(&a);
        if (!reader_ok(r) || (name == 0 && form == 0))
            break;
        DwarfValue v = dwarf_form_value(r, form, w, s);
        if (name == NAME_LINES && reader_ok(r))
            c.line = v.number;
        else if (name == NAME_DIR && reader_ok(r))
            c.dir = v.text;
    }
    if (c.line != UINT64_MAX && c.dir)
        ADD(d, compilations, c);
}

static int compare_compilations(const void *a, const void *b)
{
    const Compilation *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

static void read_info(Dwarf *d, const DwarfSections *s)
{
    Error err = {0};
    Reader r = {d->m->bytes, s->info.bytes, s->info.bytes + s->info.len, &err};
    for (uint32_t n = 0; reader_left(&r) && n < LIMIT_UNITS; n++) {
        DwarfWidth w = {0};
        Error mine = {0};
        Reader unit = dwarf_form_unit(&r, &w);
        unit.err = &mine;
        if (reader_ok(&r))
            read_compilation(d, &unit, &w, s);
    }
    if (d->n_compilations)
        qsort(d->compilations, d->n_compilations, sizeof *d->compilations,
              compare_compilations);
}

/* ---- the whole */

static int compare_stops(const void *a, const void *b)
{
    const Stop *x = a, *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void sort_stops(Dwarf *d)
{
    for (uint32_t k = 1; k < d->n_stops; k++)
        if (compare_stops(&d->stops[k - 1], &d->stops[k]) > 0) {
            qsort(d->stops, d->n_stops, sizeof *d->stops, compare_stops);
            return;
        }
}

static Dwarf *read_dwarf(const Module *m)
{
    Dwarf *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->m = m;
    for (uint32_t k = 0; k < m->n_sections; k++)
        if (m->sections[k].id == 10) {
            d->code = m->sections[k].start;
            d->code_len = m->sections[k].len;
        }
    DwarfSections s = dwarf_form_sections(m);
    if (s.line.len == 0)
        return d;
    read_info(d, &s);
    read_lines(d, &s);
    sort_stops(d);
    free(d->compilations);
    d->compilations = NULL;
    return d;
}

void dwarf_free(Dwarf *d)
{
    if (!d)
        return;
    free(d->units);
    free(d->files);
    free(d->dirs);
    free(d->stops);
    free(d->compilations);
    free(d);
}

/* Whoever comes first leaves its work for all. */
static const Dwarf *dwarf_of(const Module *m)
{
    _Atomic(Dwarf *) *slot = (_Atomic(Dwarf *) *)&m->dwarf;
    Dwarf *d = atomic_load_explicit(slot, memory_order_acquire);
    if (d)
        return d;
    Dwarf *mine = read_dwarf(m);
    if (atomic_compare_exchange_strong(slot, &d, mine))
        return mine;
    dwarf_free(mine);
    return d;
}

/* ---- paths */

/* A path is put together from its end. */
typedef struct {
    char *start, *p;
    bool clipped;
} Path;

static void put_before(Path *path, const char *text)
{
    size_t len = strnlen(text, SOURCE_FILE);
    size_t room = (size_t)(path->p - path->start);
    if (len > room) {
        path->clipped = true;
        len = room;
    }
    path->p -= len;
    memcpy(path->p, text, len);
}

static void put_dir_before(Path *path, const char *dir)
{
    size_t len = strnlen(dir, SOURCE_FILE);
    if (len && dir[len - 1] != '/')
        put_before(path, "/");
    put_before(path, dir);
}

static bool is_absolute(const char *path)
{
    return path[0] == '/' || path[0] == '\\' || (path[0] && path[1] == ':');
}

/* What a terminal would obey, and what is no UTF-8, becomes '?'. */
static void clean(char *text)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    while (p < end) {
        const uint8_t *q = p;
        uint32_t c = utf8_decode(&q, end);
        bool bad = c == UINT32_MAX || c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (bad)
            text[p - (const uint8_t *)text] = '?';
        p = bad ? p + 1 : q;
    }
}

static bool put_path(const Dwarf *d, const Unit *u, uint32_t file, char *out)
{
    if (file >= u->n_files || !d->files[u->files + file].name)
        return false;
    const File *f = &d->files[u->files + file];
    char buf[SOURCE_FILE];
    Path path = {buf, buf + SOURCE_FILE - 1, false};
    *path.p = 0;
    put_before(&path, f->name);
    const char *dir =
        f->dir < u->n_dirs ? d->dirs[u->dirs + f->dir].name : NULL;
    const char *base = u->n_dirs ? d->dirs[u->dirs].name : NULL;
    bool whole = is_absolute(f->name);
    if (!whole && dir) {
        put_dir_before(&path, dir);
        whole = f->dir == 0 || is_absolute(dir);
    }
    if (!whole && base)
        put_dir_before(&path, base);
    if (path.clipped)
        memcpy(path.p, "...", 3);
    clean(path.p);
    memcpy(out, path.p, (size_t)(buf + SOURCE_FILE - path.p));
    return *out;
}

/* ---- questions */

/* The first stop whose row lies past the address. */
static uint32_t stop_past(const Dwarf *d, uint32_t address)
{
    uint32_t low = 0, high = d->n_stops;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->stops[middle].row <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Runs from the stop to the row past the address.  false: the sequence ends
 * before it. */
static bool run_to(const Dwarf *d, const Stop *stop, uint32_t address,
                   Machine *m)
{
    const Unit *u = &d->units[stop->unit];
    Error err = {0};
    Reader r = {d->m->bytes, d->m->bytes + stop->at, u->end, &err};
    *m = (Machine){stop->address, stop->now, stop->shown};
    while (reader_left(&r)) {
        Step s = step(u, &r, m);
        if (s == STEP_ON)
            continue;
        if (m->address > address)
            return true;
        if (s == STEP_END)
            return false;
        show(m);
    }
    return false;
}

static uint32_t offset_of(const Dwarf *d, uint64_t address)
{
    uint64_t most = UINT32_MAX - d->code;
    return d->code + (uint32_t)(address < most ? address : most);
}

bool dwarf_source(const Module *m, uint32_t offset, Source *out)
{
    const Dwarf *d = dwarf_of(m);
    out->end = UINT32_MAX;
    if (offset < d->code || d->n_stops == 0)
        return false;
    uint32_t address = offset - d->code, k = stop_past(d, address);
    if (k < d->n_stops)
        out->end = offset_of(d, d->stops[k].row);
    Machine at;
    if (k == 0 || !run_to(d, &d->stops[k - 1], address, &at))
        return false;
    uint32_t end = offset_of(d, at.address);
    if (end < out->end)
        out->end = end;
    out->line = at.shown.line;
    out->column = at.shown.column;
    return at.shown.line
           && put_path(d, &d->units[d->stops[k - 1].unit], at.shown.file,
                       out->file);
}

bool dwarf_function(const Module *m, const Func *f, Source *out)
{
    return dwarf_source(m, f->start, out) || dwarf_source(m, f->code, out);
}
