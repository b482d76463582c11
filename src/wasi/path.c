/* path_*: what is done with names in a directory. */
#include <stdlib.h>
#include <string.h>

#include "wasi/guest.h"

/* The directory of a descriptor. */
static Errno directory(Call *c, uint64_t fd, File **out)
{
    *out = call_file(c, fd);
    if (!*out)
        return WASI_BADF;
    return (*out)->type == TYPE_DIRECTORY ? WASI_SUCCESS : WASI_NOTDIR;
}

/* The same, and a path in it: descriptor, pointer, length. */
static Errno place(Call *c, uint64_t fd, uint64_t at, uint64_t len, File **dir,
                   char *path)
{
    Errno e = directory(c, fd, dir);
    return e ? e : guest_path(c, at, len, path);
}

/* ---- opening */

static Errno check_open(const File *dir, const uint64_t *a, OpenHow *how)
{
    uint64_t rights = a[5];
    *how = (OpenHow){
        .follow = a[1] & LOOKUP_FOLLOW,
        .open = (unsigned)a[4],
        .flags = (unsigned)a[7],
        .read = rights & (RIGHT_FD_READ | RIGHT_FD_READDIR),
        .write =
            rights
            & (RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE),
    };
    if (how->open & ~(unsigned)OPEN_ALL || how->flags & ~(unsigned)FLAGS_ALL)
        return WASI_INVAL;
    if (how->open & OPEN_DIRECTORY && how->open & (OPEN_CREATE | OPEN_TRUNCATE))
        return WASI_INVAL;
    if (how->open & OPEN_TRUNCATE
        && !(dir->rights & RIGHT_PATH_FILESTAT_SET_SIZE))
        return WASI_NOTCAPABLE;
    return WASI_SUCCESS;
}

static Errno open_in(Call *c, File *dir, char *path, const OpenHow *how,
                     uint32_t *fd)
{
    if (!dir->kind->open)
        return WASI_NOTSUP;
    File *f = file_new();
    if (!f)
        return WASI_NOMEM;
    Errno e = dir->kind->open(dir, path, how, f);
    if (!e)
        e = descriptor_add(c->w, f, fd);
    if (e)
        file_put(f);
    return e;
}

Errno path_open(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    OpenHow how;
    uint32_t fd;
    Errno e = place(c, a[0], a[2], a[3], &dir, path);
    if (!e)
        e = check_open(dir, a, &how);
    if (!e && !guest_at(c, a[8], 4))
        return WASI_FAULT;
    if (!e)
        e = open_in(c, dir, path, &how, &fd);
    if (!e)
        guest_write32(c, a[8], fd);
    return e;
}

/* ---- facts */

Errno path_filestat_get(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    Filestat s;
    Errno e = place(c, a[0], a[2], a[3], &dir, path);
    if (!e)
        e = dir->kind->stat_at(dir, path, a[1] & LOOKUP_FOLLOW, &s);
    if (!e)
        guest_write(c, a[4], &s, sizeof s);
    return e;
}

bool times_are_valid(const Times *t)
{
    unsigned both = TIME_ATIM | TIME_ATIM_NOW;
    return !(t->set & ~TIME_ALL) && (t->set & both) != both
           && (t->set & both * 4) != both * 4;
}

Errno path_filestat_set_times(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    Times t = {.atim = a[4], .mtim = a[5], .set = (uint16_t)a[6]};
    Errno e = place(c, a[0], a[2], a[3], &dir, path);
    if (e)
        return e;
    if (!times_are_valid(&t))
        return WASI_INVAL;
    if (!dir->kind->set_times_at)
        return WASI_NOTSUP;
    return dir->kind->set_times_at(dir, path, a[1] & LOOKUP_FOLLOW, &t);
}

Errno path_readlink(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES], text[PATH_BYTES];
    File *dir;
    size_t n = 0;
    Errno e = place(c, a[0], a[1], a[2], &dir, path);
    if (!e)
        e = dir->kind->read_link
                ? dir->kind->read_link(dir, path, text, sizeof text, &n)
                : WASI_INVAL;
    if (e)
        return e;
    if (n > a[4])
        n = (size_t)a[4];
    guest_write(c, a[3], text, n);
    guest_write32(c, a[5], (uint32_t)n);
    return WASI_SUCCESS;
}

/* ---- changes */

Errno path_create_directory(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    Errno e = place(c, a[0], a[1], a[2], &dir, path);
    return e ? e : dir->kind->make_directory(dir, path);
}

Errno path_remove_directory(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    Errno e = place(c, a[0], a[1], a[2], &dir, path);
    return e ? e : dir->kind->remove(dir, path, true);
}

Errno path_unlink_file(Call *c, const uint64_t *a)
{
    char path[PATH_BYTES];
    File *dir;
    Errno e = place(c, a[0], a[1], a[2], &dir, path);
    return e ? e : dir->kind->remove(dir, path, false);
}

Errno path_symlink(Call *c, const uint64_t *a)
{
    char target[PATH_BYTES], path[PATH_BYTES];
    File *dir;
    Errno e = guest_path(c, a[0], a[1], target);
    if (!e)
        e = place(c, a[2], a[3], a[4], &dir, path);
    if (e)
        return e;
    return dir->kind->symlink ? dir->kind->symlink(target, dir, path)
                              : WASI_NOTSUP;
}

typedef struct {
    File *from, *to;
    char old[PATH_BYTES], name[PATH_BYTES];
} Pair;

/* a: descriptor, pointer, length, twice. */
static Errno pair(Call *c, const uint64_t *a, Pair *p)
{
    Errno e = place(c, a[0], a[1], a[2], &p->from, p->old);
    if (!e)
        e = place(c, a[3], a[4], a[5], &p->to, p->name);
    return !e && p->from->kind != p->to->kind ? WASI_XDEV : e;
}

Errno path_rename(Call *c, const uint64_t *a)
{
    Pair p;
    Errno e = pair(c, a, &p);
    return e ? e : p.from->kind->rename(p.from, p.old, p.to, p.name);
}

/* Links to what a link refers to are not made, as other engines refuse to. */
Errno path_link(Call *c, const uint64_t *a)
{
    Pair p;
    const uint64_t without_flags[] = {a[0], a[2], a[3], a[4], a[5], a[6]};
    Errno e = pair(c, without_flags, &p);
    if (e)
        return e;
    if (a[1] & LOOKUP_FOLLOW)
        return WASI_INVAL;
    return p.from->kind->link ? p.from->kind->link(p.from, p.old, p.to, p.name)
                              : WASI_NOTSUP;
}
