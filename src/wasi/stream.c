/* Standard streams that are no descriptors: bytes, functions, nothing. */
#include <stdlib.h>
#include <string.h>

#include "wasi/guest.h"

typedef struct {
    chi_wasi_stream s;
    pthread_mutex_t lock;
    uint8_t *bytes;
    size_t len, capacity, at; /* at: read up to */
} Stream;

static void close_stream(File *f)
{
    Stream *s = f->data;
    pthread_mutex_destroy(&s->lock);
    free(s->bytes);
    free(s);
}

/* ---- reading */

static void take_bytes(Stream *s, const struct iovec *v, size_t *n)
{
    pthread_mutex_lock(&s->lock);
    *n = s->len - s->at < v->iov_len ? s->len - s->at : v->iov_len;
    memcpy(v->iov_base, s->bytes + s->at, *n);
    s->at += *n;
    pthread_mutex_unlock(&s->lock);
}

/* Through a buffer, since the function may change the memory. */
static Errno read_call(Call *c, const Stream *s, GuestVec v, size_t *n)
{
    enum { MOST = 64 << 10 };
    size_t len = v.len < MOST ? v.len : MOST;
    uint8_t *buffer = malloc(len);
    if (!buffer)
        return WASI_NOMEM;
    c->code = s->s.read(s->s.env, c->store, buffer, len, n);
    if (c->code == CHI_OK && *n <= len)
        guest_write(c, v.at, buffer, *n);
    free(buffer);
    return *n <= len ? WASI_SUCCESS : WASI_IO;
}

static Errno read_stream(Call *c, File *f, const Vectors *v, const uint64_t *at,
                         size_t *n)
{
    Stream *s = f->data;
    struct iovec to[VECTORS_MAX];
    *n = 0;
    if (at)
        return WASI_SPIPE;
    if (!v->n || s->s.kind == CHI_WASI_NULL)
        return WASI_SUCCESS;
    if (s->s.kind == CHI_WASI_CALL)
        return s->s.read ? read_call(c, s, v->v[0], n) : WASI_BADF;
    if (guest_iovecs(c, v, to) < 0)
        return WASI_FAULT;
    take_bytes(s, to, n);
    return WASI_SUCCESS;
}

/* ---- writing */

static bool has_room(Stream *s, size_t more)
{
    size_t wanted = s->len + more, capacity = s->capacity;
    if (wanted > s->s.len)
        return false;
    if (wanted <= capacity)
        return true;
    while (capacity < wanted)
        capacity = capacity ? capacity * 2 : 4096;
    uint8_t *bytes = realloc(s->bytes, capacity);
    if (!bytes)
        return false;
    s->bytes = bytes;
    s->capacity = capacity;
    return true;
}

static Errno keep_bytes(Stream *s, const struct iovec *v)
{
    pthread_mutex_lock(&s->lock);
    bool ok = has_room(s, v->iov_len);
    if (ok) {
        memcpy(s->bytes + s->len, v->iov_base, v->iov_len);
        s->len += v->iov_len;
    }
    pthread_mutex_unlock(&s->lock);
    return ok ? WASI_SUCCESS : WASI_NOSPC;
}

/* One copy is handed out: the function may change the memory, and another
 * thread what is in it. */
static uint8_t *gather(const struct iovec *v, uint32_t n, size_t *len)
{
    enum { MOST = 1 << 20 };
    *len = 0;
    for (uint32_t k = 0; k < n; k++)
        *len += v[k].iov_len;
    if (*len > MOST)
        *len = MOST;
    uint8_t *buffer = malloc(*len + 1);
    size_t at = 0;
    for (uint32_t k = 0; buffer && k < n && at < *len; k++) {
        size_t piece = v[k].iov_len < *len - at ? v[k].iov_len : *len - at;
        memcpy(buffer + at, v[k].iov_base, piece);
        at += piece;
    }
    return buffer;
}

static Errno write_call(Call *c, const Stream *s, const Vectors *v, size_t *n)
{
    struct iovec from[VECTORS_MAX];
    if (guest_iovecs(c, v, from) < 0)
        return WASI_FAULT;
    uint8_t *buffer = gather(from, v->n, n);
    if (!buffer)
        return WASI_NOMEM;
    c->code = s->s.write(s->s.env, c->store, buffer, *n);
    free(buffer);
    return WASI_SUCCESS;
}

static Errno write_stream(Call *c, File *f, const Vectors *v,
                          const uint64_t *at, size_t *n)
{
    Stream *s = f->data;
    struct iovec from[VECTORS_MAX];
    Errno e = WASI_SUCCESS;
    *n = 0;
    if (at)
        return WASI_SPIPE;
    if (s->s.kind == CHI_WASI_CALL)
        return s->s.write ? write_call(c, s, v, n) : WASI_BADF;
    if (guest_iovecs(c, v, from) < 0)
        return WASI_FAULT;
    for (uint32_t k = 0; k < v->n && !e; k++) {
        if (s->s.kind == CHI_WASI_BYTES)
            e = keep_bytes(s, &from[k]);
        if (!e)
            *n += from[k].iov_len;
    }
    return *n ? WASI_SUCCESS : e;
}

/* ---- both */

static Errno stat_stream(File *f, Filestat *out)
{
    *out = (Filestat){.type = f->type};
    return WASI_SUCCESS;
}

static Errno set_flags(File *f, unsigned flags)
{
    (void)f;
    return flags & ~(unsigned)FLAG_NONBLOCK ? WASI_NOTSUP : WASI_SUCCESS;
}

static const FileKind input_kind = {.close = close_stream,
                                    .read = read_stream,
                                    .stat = stat_stream,
                                    .set_flags = set_flags};
static const FileKind output_kind = {.close = close_stream,
                                     .write = write_stream,
                                     .stat = stat_stream,
                                     .set_flags = set_flags};

static bool copy_input(Stream *s)
{
    if (!s->s.len)
        return true;
    s->bytes = malloc(s->s.len);
    if (!s->bytes)
        return false;
    memcpy(s->bytes, s->s.data, s->s.len);
    s->len = s->s.len;
    return true;
}

File *stream_new(const chi_wasi_stream *from, bool is_input)
{
    File *f = file_new();
    Stream *s = calloc(1, sizeof *s);
    if (f && s) {
        s->s = *from;
        pthread_mutex_init(&s->lock, NULL);
        f->data = s;
        f->kind = is_input ? &input_kind : &output_kind;
        f->rights = (is_input ? RIGHT_FD_READ : RIGHT_FD_WRITE)
                    | RIGHT_POLL_FD_READWRITE | RIGHT_FD_FILESTAT_GET
                    | RIGHT_FD_FDSTAT_SET_FLAGS;
        if (from->kind != CHI_WASI_BYTES || !is_input || copy_input(s))
            return f;
        file_put(f);
        return NULL;
    }
    free(s);
    free(f);
    return NULL;
}

const void *stream_kept(const File *f, size_t *len)
{
    *len = 0;
    if (!f || f->kind != &output_kind)
        return NULL;
    Stream *s = f->data;
    pthread_mutex_lock(&s->lock);
    *len = s->len;
    pthread_mutex_unlock(&s->lock);
    return s->bytes ? s->bytes : (const void *)"";
}
