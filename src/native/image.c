#include "native/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/reader.h"

typedef struct {
    char magic[8];
    uint32_t format, n_funcs;
    OsBuildId build;
    uint32_t memory0, cpu, metered, n_cache;
    uint64_t n_positions, n_landings, module_len;
    uint64_t text_at, text_len; /* a multiple of PAGE; bytes */
    uint64_t data_at, data_len; /* multiples of PAGE */
    uint64_t check;             /* of all above, and the tables */
} Header;

static const char magic[8] = "\0chiasm";
enum { FORMAT = 1, PAGE = 4096, ALIGN = 16 };

static uint64_t aligned(uint64_t n, uint64_t to) { return (n + to - 1) & -to; }

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; n > 0; p++, n--)
        h = (h ^ *p) * 0x9e3779b97f4a7c15u;
    return h;
}

static bool fill_header(Header *h, const Module *m,
                        const BaselineConfig *config)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, magic, sizeof magic);
    h->format = FORMAT;
    h->n_funcs = m->n_funcs - m->n_imported_funcs;
    h->memory0 = config->memory0;
    h->cpu = config->cpu;
    h->metered = config->metered;
    h->n_cache = config->n_cache;
    h->module_len = m->len;
    return os_build_id(&h->build);
}

static size_t tables_size(const Header *h)
{
    return h->n_funcs * sizeof(ImageFunc) + h->n_positions * sizeof(Position)
           + h->n_landings * sizeof(uint32_t);
}

static uint64_t check_of(const Header *h, const void *tables)
{
    Header plain = *h;
    plain.check = 0;
    return mix(mix(1, &plain, sizeof plain), tables, tables_size(h));
}

/* ---- data */

static bool constant_offset(const Module *m, const ConstExpr *e, uint64_t *at)
{
    Error none = {0};
    Reader r = {m->bytes, m->bytes + e->start, m->bytes + e->end, &none};
    if (reader_byte(&r) != 0x41) /* i32.const */
        return false;
    *at = (uint32_t)reader_s32(&r);
    return r.p == r.end - 1;
}

/* Where the data end in memory 0; 0: that is not known, or there is none. */
static uint64_t data_end(const Module *m, uint64_t *sum)
{
    uint64_t end = 0, at, size;
    if (m->n_memories != 1 || m->n_imported_memories
        || m->memories[0].limits.is64 || m->memories[0].page_log2 != 16
        || m->memories[0].limits.shared)
        return 0;
    size = m->memories[0].limits.min << 16;
    for (uint32_t k = 0; k < m->n_datas; k++) {
        const DataSegment *d = &m->datas[k];
        if (d->mode != SEGMENT_ACTIVE)
            continue;
        if (!constant_offset(m, &d->offset, &at) || at > size
            || d->len > size - at)
            return 0;
        if (d->len && at + d->len > end)
            end = at + d->len;
        *sum += d->len;
    }
    return end;
}

/* Little data are copied as fast; much room between them is not for a file. */
uint8_t *image_data(const Module *m, uint64_t *size)
{
    enum { WORTH = 64 << 10, SPARSE = 4 };
    uint64_t sum = 0, at, end = data_end(m, &sum);
    *size = 0;
    if (sum < WORTH || end / SPARSE > sum)
        return NULL;
    uint8_t *bytes = calloc(1, aligned(end, PAGE));
    if (!bytes)
        return NULL;
    for (uint32_t k = 0; k < m->n_datas; k++) {
        const DataSegment *d = &m->datas[k];
        if (d->mode == SEGMENT_ACTIVE && constant_offset(m, &d->offset, &at)
            && d->len)
            memcpy(bytes + at, m->bytes + d->start, d->len);
    }
    *size = aligned(end, PAGE);
    return bytes;
}

/* ---- writing */

typedef struct {
    Header header;
    uint8_t *tables, *text, *data;
    ImageFunc *funcs;
    Position *positions;
    uint32_t *landings;
} Draft;

static void measure(const NativeModule *n, Header *h)
{
    for (uint32_t k = 0; k < h->n_funcs; k++) {
        const NativeCode *code = native_code(n, k);
        h->n_positions += code->n_positions;
        h->n_landings += code->func ? code->func->n_handlers : 0;
        h->text_len += aligned(code->func ? code->size : 0, ALIGN);
    }
    uint64_t before = sizeof *h + tables_size(h) + h->module_len;
    h->text_at = aligned(before, PAGE);
    h->data_at = aligned(h->text_at + h->text_len, PAGE);
}

static void draft_func(Draft *d, uint32_t k, const NativeCode *code,
                       uint64_t *text_at, uint32_t *n_positions,
                       uint32_t *n_landings)
{
    if (!code->func)
        return;
    uint32_t handlers = code->func->n_handlers;
    d->funcs[k] = (ImageFunc){*text_at,          code->size,  *n_positions,
                              code->n_positions, *n_landings, code->operands,
                              code->frame};
    memcpy(d->text + *text_at, code->start, code->size);
    if (code->n_positions)
        memcpy(d->positions + *n_positions, code->positions,
               code->n_positions * sizeof(Position));
    if (handlers)
        memcpy(d->landings + *n_landings, code->landings,
               handlers * sizeof(uint32_t));
    *text_at += aligned(code->size, ALIGN);
    *n_positions += code->n_positions;
    *n_landings += handlers;
}

static bool draft(Draft *d, const NativeModule *n)
{
    Header *h = &d->header;
    d->data = image_data(native_module(n), &h->data_len);
    measure(n, h);
    d->tables = calloc(1, tables_size(h) + 1);
    d->text = calloc(1, h->text_len + 1);
    if (!d->tables || !d->text)
        return false;
    d->funcs = (ImageFunc *)(void *)d->tables;
    d->positions = (Position *)(void *)(d->funcs + h->n_funcs);
    d->landings = (uint32_t *)(void *)(d->positions + h->n_positions);
    uint64_t text_at = 0;
    uint32_t n_positions = 0, n_landings = 0;
    for (uint32_t k = 0; k < h->n_funcs; k++)
        draft_func(d, k, native_code(n, k), &text_at, &n_positions,
                   &n_landings);
    h->check = check_of(h, d->tables);
    return true;
}

bool image_write(const NativeModule *n, const char *path)
{
    static const uint8_t padding[PAGE];
    const Module *m = native_module(n);
    Draft d = {0};
    bool done = fill_header(&d.header, m, native_config(n)) && draft(&d, n);
    if (done) {
        uint64_t before =
            sizeof d.header + tables_size(&d.header) + d.header.module_len;
        OsPart parts[] = {
            {&d.header, sizeof d.header},
            {d.tables, tables_size(&d.header)},
            {m->bytes, m->len},
            {padding, d.header.text_at - before},
            {d.text, d.header.text_len},
            {padding, d.header.data_at - d.header.text_at - d.header.text_len},
            {d.data, d.header.data_len}};
        done = os_file_write(path, parts, sizeof parts / sizeof *parts);
    }
    free(d.tables);
    free(d.text);
    free(d.data);
    return done;
}

/* ---- reading */

/* Do the parts fit into the file, one after the other? */
static bool is_whole(const Header *h, uint64_t file_size)
{
    enum { MOST = 1 << 30 };
    if (h->n_positions > MOST || h->n_landings > MOST || h->module_len > MOST
        || h->text_len > MOST || h->text_at > (uint64_t)8 * MOST
        || h->data_len > (uint64_t)4 * MOST || h->data_len % PAGE)
        return false;
    uint64_t before = sizeof *h + tables_size(h) + h->module_len;
    return h->text_at == aligned(before, PAGE)
           && h->data_at == aligned(h->text_at + h->text_len, PAGE)
           && h->data_at + h->data_len == file_size;
}

static bool read_header(int fd, uint64_t size, Header *h)
{
    return size >= sizeof *h && os_file_read(fd, 0, h, sizeof *h)
           && !memcmp(h->magic, magic, sizeof magic) && h->format == FORMAT
           && is_whole(h, size);
}

static bool is_for(const Header *h, const Module *m,
                   const BaselineConfig *config)
{
    Header wanted;
    return fill_header(&wanted, m, config) && h->n_funcs == wanted.n_funcs
           && !memcmp(&h->build, &wanted.build, sizeof h->build)
           && h->memory0 == wanted.memory0 && h->cpu == wanted.cpu
           && h->metered == wanted.metered && h->n_cache == wanted.n_cache
           && h->module_len == wanted.module_len;
}

static bool func_is_within(const Header *h, const ImageFunc *f,
                           uint32_t n_handlers)
{
    return f->text_at <= h->text_len && f->size <= h->text_len - f->text_at
           && f->positions_at <= h->n_positions
           && f->n_positions <= h->n_positions - f->positions_at
           && f->landings_at <= h->n_landings
           && n_handlers <= h->n_landings - f->landings_at && f->operands >= 0
           && f->frame >= 0;
}

static bool tables_are_sound(const Header *h, const Image *i, const Module *m)
{
    uint64_t last = 0;
    if (check_of(h, i->funcs) != h->check)
        return false;
    for (uint32_t k = 0; k < h->n_funcs; k++) {
        const ImageFunc *f = &i->funcs[k];
        if (f->size == 0)
            continue;
        if (!func_is_within(h, f, m->funcs[k].n_handlers) || f->text_at < last)
            return false;
        last = f->text_at + f->size;
    }
    return true;
}

static bool load(int fd, uint64_t size, const Module *m,
                 const BaselineConfig *config, const void *what, Image *i)
{
    Header h;
    if (!read_header(fd, size, &h) || !is_for(&h, m, config) || h.text_len == 0)
        return false;
    i->head_size = h.text_at;
    i->head = os_file_map(fd, 0, i->head_size);
    if (!i->head)
        return false;
    i->funcs = (const void *)((const Header *)i->head + 1);
    i->positions = (const void *)(i->funcs + h.n_funcs);
    i->landings = (const void *)(i->positions + h.n_positions);
    const void *bytes = i->landings + h.n_landings;
    if (!tables_are_sound(&h, i, m) || memcmp(bytes, m->bytes, m->len))
        return false;
    i->data_at = h.data_at;
    i->data_size = h.data_len;
    i->text = code_map(fd, h.text_at, (uint32_t)h.text_len, what);
    return i->text;
}

bool image_load(const char *path, const Module *m, const BaselineConfig *config,
                const void *what, Image *out)
{
    uint64_t size;
    int fd = os_file_open(path, &size);
    *out = (Image){.fd = fd};
    if (fd >= 0 && load(fd, size, m, config, what, out))
        return true;
    image_free(out);
    return false;
}

void image_free(Image *i)
{
    code_free(i->text);
    if (i->head)
        os_file_unmap(i->head, i->head_size);
    if (i->fd >= 0)
        os_file_close(i->fd);
    *i = (Image){.fd = -1};
}

uint8_t *image_module(const char *path, size_t *len)
{
    Header h;
    uint64_t size;
    uint8_t *bytes = NULL;
    int fd = os_file_open(path, &size);
    if (fd < 0)
        return NULL;
    if (read_header(fd, size, &h) && (bytes = malloc(h.module_len + 1))) {
        *len = h.module_len;
        if (!os_file_read(fd, sizeof h + tables_size(&h), bytes,
                          h.module_len)) {
            free(bytes);
            bytes = NULL;
        }
    }
    os_file_close(fd);
    return bytes;
}
