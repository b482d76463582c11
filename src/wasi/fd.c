/* fd_*: what is done with open files. */
#include <string.h>

#include "wasi/guest.h"

static bool is_directory(const File *f) { return f->type == TYPE_DIRECTORY; }

/* ---- transfers */

typedef struct {
    bool writes, positioned;
    uint64_t at;
} How;

static Errno check_access(const File *f, const How *how)
{
    if (is_directory(f))
        return how->writes || how->positioned ? WASI_BADF : WASI_ISDIR;
    if (!(f->rights & (how->writes ? RIGHT_FD_WRITE : RIGHT_FD_READ)))
        return WASI_BADF;
    if (!(how->writes ? (bool)f->kind->write : (bool)f->kind->read))
        return WASI_BADF;
    return how->positioned && how->at > INT64_MAX ? WASI_INVAL : WASI_SUCCESS;
}

/* a: descriptor, list, its length, [offset,] where the number goes. */
static Errno transfer(Call *c, const uint64_t *a, How how)
{
    Vectors v;
    size_t n = 0;
    uint64_t out = a[how.positioned ? 4 : 3];
    File *f = call_file(c, a[0]);
    Errno e = f ? check_access(f, &how) : WASI_BADF;
    if (!e)
        e = guest_vectors(c, a[1], a[2], &v);
    if (e || !guest_at(c, out, 4))
        return e;
    const uint64_t *at = how.positioned ? &how.at : NULL;
    e = how.writes ? f->kind->write(c, f, &v, at, &n)
                   : f->kind->read(c, f, &v, at, &n);
    if (!e)
        guest_write32(c, out, (uint32_t)n);
    return e;
}

Errno fd_read(Call *c, const uint64_t *a) { return transfer(c, a, (How){0}); }
Errno fd_write(Call *c, const uint64_t *a)
{
    return transfer(c, a, (How){.writes = true});
}
Errno fd_pread(Call *c, const uint64_t *a)
{
    return transfer(c, a, (How){.positioned = true, .at = a[3]});
}
Errno fd_pwrite(Call *c, const uint64_t *a)
{
    return transfer(c, a,
                    (How){.writes = true, .positioned = true, .at = a[3]});
}

/* ---- position */

static Errno seek(Call *c, File *f, int64_t by, unsigned whence, uint64_t out)
{
    uint64_t at = 0;
    if (!f || is_directory(f))
        return WASI_BADF;
    if (whence > WHENCE_END)
        return WASI_INVAL;
    if (!guest_at(c, out, 8))
        return WASI_FAULT;
    Errno e = f->kind->seek ? f->kind->seek(f, by, whence, &at) : WASI_SPIPE;
    if (!e)
        guest_write64(c, out, at);
    return e;
}

Errno fd_seek(Call *c, const uint64_t *a)
{
    return seek(c, call_file(c, a[0]), (int64_t)a[1], (unsigned)a[2], a[3]);
}
Errno fd_tell(Call *c, const uint64_t *a)
{
    return seek(c, call_file(c, a[0]), 0, WHENCE_CUR, a[1]);
}

/* ---- descriptors */

Errno fd_close(Call *c, const uint64_t *a)
{
    return descriptor_close(c->w, (uint32_t)a[0]);
}
Errno fd_renumber(Call *c, const uint64_t *a)
{
    return descriptor_move(c->w, (uint32_t)a[0], (uint32_t)a[1]);
}

static const File *preopened(Call *c, uint64_t fd)
{
    const File *f = call_file(c, fd);
    return f && f->preopen ? f : NULL;
}

Errno fd_prestat_get(Call *c, const uint64_t *a)
{
    const File *f = preopened(c, a[0]);
    if (!f)
        return WASI_BADF;
    Prestat p = {.name_len = (uint32_t)strlen(f->preopen)};
    guest_write(c, a[1], &p, sizeof p);
    return WASI_SUCCESS;
}

Errno fd_prestat_dir_name(Call *c, const uint64_t *a)
{
    const File *f = preopened(c, a[0]);
    if (!f)
        return WASI_BADF;
    if (a[2] < strlen(f->preopen))
        return WASI_NAMETOOLONG;
    guest_write(c, a[1], f->preopen, strlen(f->preopen));
    return WASI_SUCCESS;
}

/* ---- facts */

Errno fd_fdstat_get(Call *c, const uint64_t *a)
{
    const File *f = call_file(c, a[0]);
    if (!f)
        return WASI_BADF;
    Fdstat s = {.type = f->type,
                .flags = f->flags,
                .rights = f->rights,
                .inheriting = f->inheriting};
    guest_write(c, a[1], &s, sizeof s);
    return WASI_SUCCESS;
}

Errno fd_fdstat_set_flags(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    if (!f || is_directory(f))
        return WASI_BADF;
    unsigned flags = (unsigned)a[1];
    if (flags & ~(unsigned)FLAGS_ALL)
        return WASI_INVAL;
    Errno e = f->kind->set_flags ? f->kind->set_flags(f, flags) : WASI_NOTSUP;
    if (!e)
        f->flags = (uint16_t)flags;
    return e;
}

/* Rights can be given up. */
Errno fd_fdstat_set_rights(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    if (!f)
        return WASI_BADF;
    if (a[1] & ~f->rights || a[2] & ~f->inheriting)
        return WASI_NOTCAPABLE;
    f->rights = a[1];
    f->inheriting = a[2];
    return WASI_SUCCESS;
}

Errno fd_filestat_get(Call *c, const uint64_t *a)
{
    Filestat s;
    File *f = call_file(c, a[0]);
    Errno e = f ? f->kind->stat(f, &s) : WASI_BADF;
    if (!e)
        guest_write(c, a[1], &s, sizeof s);
    return e;
}

Errno fd_filestat_set_size(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    if (!f || is_directory(f))
        return WASI_BADF;
    return f->kind->set_size ? f->kind->set_size(f, a[1]) : WASI_INVAL;
}

Errno fd_filestat_set_times(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    Times t = {.atim = a[1], .mtim = a[2], .set = (uint16_t)a[3]};
    if (!f)
        return WASI_BADF;
    if (!times_are_valid(&t))
        return WASI_INVAL;
    return f->kind->set_times ? f->kind->set_times(f, &t) : WASI_NOTSUP;
}

/* ---- storage */

Errno fd_allocate(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    if (!f || is_directory(f))
        return WASI_BADF;
    return f->kind->allocate ? f->kind->allocate(f, a[1], a[2]) : WASI_NOTSUP;
}

Errno fd_advise(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    if (!f || is_directory(f))
        return WASI_BADF;
    if (a[3] >= ADVICE_COUNT)
        return WASI_INVAL;
    return f->kind->advise ? f->kind->advise(f, a[1], a[2], (unsigned)a[3])
                           : WASI_SPIPE;
}

static Errno sync_file(File *f, bool data_only)
{
    if (!f)
        return WASI_BADF;
    return f->kind->sync ? f->kind->sync(f, data_only) : WASI_INVAL;
}

Errno fd_sync(Call *c, const uint64_t *a)
{
    return sync_file(call_file(c, a[0]), false);
}
Errno fd_datasync(Call *c, const uint64_t *a)
{
    return sync_file(call_file(c, a[0]), true);
}

/* ---- directories */

typedef struct {
    Call *c;
    uint64_t at;
    uint64_t left;
} Listing;

/* What does not fit is cut off: the guest asks again, from the cookie that it
 * has, with more room. */
static void put(Listing *l, const void *from, size_t len)
{
    size_t n = len < l->left ? len : (size_t)l->left;
    guest_write(l->c, l->at, from, n);
    l->at += n;
    l->left -= n;
}

static bool put_entry(void *env, const Entry *e)
{
    Listing *l = env;
    Dirent d = {.next = e->next,
                .ino = e->ino,
                .name_len = e->name_len,
                .type = e->type};
    put(l, &d, sizeof d);
    put(l, e->name, e->name_len);
    return l->left;
}

Errno fd_readdir(Call *c, const uint64_t *a)
{
    File *f = call_file(c, a[0]);
    Listing l = {.c = c, .at = a[1], .left = a[2]};
    if (!f)
        return WASI_BADF;
    if (!is_directory(f))
        return WASI_NOTDIR;
    if (!guest_at(c, a[1], a[2]) || !guest_at(c, a[4], 4))
        return WASI_FAULT;
    Errno e = l.left ? f->kind->list(c, f, a[3], put_entry, &l) : WASI_SUCCESS;
    if (!e)
        guest_write32(c, a[4], (uint32_t)(a[2] - l.left));
    return e;
}

/* ---- sockets: there are none */

Errno fd_sock_shutdown(Call *c, const uint64_t *a)
{
    return call_file(c, a[0]) ? WASI_NOTSOCK : WASI_BADF;
}
