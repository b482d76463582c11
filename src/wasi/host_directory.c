/* Directories of the system, and what is below them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wasi/beneath.h"
#include "wasi/host.h"

static Errno result(int failed) { return wasi_result(failed, errno); }

/* ---- listing */

typedef struct {
    uint64_t ino;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
} Raw; /* as getdents64 gives it */

static uint8_t entry_type(const File *f, const Raw *raw)
{
    struct stat s;
    switch (raw->type) {
    case DT_REG: return TYPE_REGULAR;
    case DT_DIR: return TYPE_DIRECTORY;
    case DT_LNK: return TYPE_SYMLINK;
    case DT_CHR: return TYPE_CHARACTER_DEVICE;
    case DT_BLK: return TYPE_BLOCK_DEVICE;
    case DT_SOCK: return TYPE_SOCKET_STREAM;
    case DT_UNKNOWN:
        if (fstatat(f->fd, raw->name, &s, AT_SYMLINK_NOFOLLOW) == 0)
            return host_file_type(s.st_mode);
        return TYPE_UNKNOWN;
    default: return TYPE_UNKNOWN;
    }
}

static bool give_entry(const File *f, const Raw *raw, uint64_t own, EntryFn *fn,
                       void *env)
{
    Entry e = {.ino = raw->ino, .next = (uint64_t)raw->next};
    size_t len = strlen(raw->name);
    if (len > NAME_BYTES)
        return true;
    e.name_len = (uint32_t)len;
    memcpy(e.name, raw->name, len + 1);
    /* Above may be a directory that was not granted. */
    if (!strcmp(raw->name, "..")) {
        e.ino = own;
        e.type = TYPE_DIRECTORY;
    } else {
        e.type = entry_type(f, raw);
    }
    return fn(env, &e);
}

static Errno list(Call *c, File *f, uint64_t cookie, EntryFn *fn, void *env)
{
    _Alignas(Raw) char buffer[8192];
    Filestat own;
    if (lseek(f->fd, (off_t)cookie, SEEK_SET) < 0 || host_file_stat(f, &own))
        return wasi_errno(errno);
    while (call_poll(c)) {
        long n = syscall(SYS_getdents64, f->fd, buffer, sizeof buffer);
        if (n <= 0)
            return result((int)n);
        for (long at = 0; at < n;) {
            const Raw *raw = (const Raw *)(buffer + at);
            if (!give_entry(f, raw, own.ino, fn, env))
                return WASI_SUCCESS;
            at += raw->bytes;
        }
    }
    return WASI_INTR;
}

/* ---- below a directory */

static Errno refuse_write(const File *f)
{
    return f->read_only ? WASI_ROFS : WASI_SUCCESS;
}

static int open_flags(const OpenHow *how)
{
    static const struct {
        unsigned flag;
        int host;
    } opens[] = {{OPEN_CREATE, O_CREAT},
                 {OPEN_DIRECTORY, O_DIRECTORY},
                 {OPEN_EXCLUSIVE, O_EXCL},
                 {OPEN_TRUNCATE, O_TRUNC}},
      flags[] = {{FLAG_APPEND, O_APPEND},
                 {FLAG_DSYNC, O_DSYNC},
                 {FLAG_RSYNC, O_SYNC},
                 {FLAG_SYNC, O_SYNC}};
    int result = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    for (int k = 0; k < 4; k++) {
        result |= how->open & opens[k].flag ? opens[k].host : 0;
        result |= how->flags & flags[k].flag ? flags[k].host : 0;
    }
    if (how->write)
        result |= how->read ? O_RDWR : O_WRONLY;
    return how->follow ? result : result | O_NOFOLLOW;
}

/* As on a file system that is mounted for reading only. */
static int open_for_reading_only(const File *f, const char *path, int flags)
{
    if (flags & (O_WRONLY | O_RDWR | O_TRUNC)) {
        errno = EROFS;
        return -1;
    }
    int fd = beneath_open(f->fd, path, flags & ~(O_CREAT | O_EXCL), 0);
    if (fd < 0 && errno == ENOENT && flags & O_CREAT) {
        errno = EROFS;
    } else if (fd >= 0 && flags & O_EXCL && flags & O_CREAT) {
        close(fd);
        errno = EEXIST;
        fd = -1;
    }
    return fd;
}

static Errno open_file(File *f, char *path, const OpenHow *how, File *out)
{
    enum { ANYONE_MAY = 0666 };
    int flags = open_flags(how);
    int fd = f->read_only ? open_for_reading_only(f, path, flags)
                          : beneath_open(f->fd, path, flags, ANYONE_MAY);
    if (fd < 0)
        return wasi_errno(errno);
    out->read_only = f->read_only;
    out->flags = (uint16_t)how->flags;
    return host_file_adopt(out, fd);
}

static Errno stat_at(File *f, char *path, bool follow, Filestat *out)
{
    struct stat s;
    Place p;
    int failed;
    if (follow) {
        int fd = beneath_open(f->fd, path, O_PATH, 0);
        if (fd < 0)
            return wasi_errno(errno);
        failed = fstat(fd, &s);
        close(fd);
    } else {
        if (!beneath_find_existing(f->fd, path, &p))
            return wasi_errno(errno);
        failed = fstatat(p.fd, p.name, &s, AT_SYMLINK_NOFOLLOW);
        beneath_leave(&p);
    }
    if (failed)
        return wasi_errno(errno);
    host_file_describe(&s, out);
    return WASI_SUCCESS;
}

/* Of a descriptor that only names a file.  Before Linux 5.8 by its link in
 * /proc. */
static int set_times_of(int fd, const struct timespec times[2])
{
    char link[40];
    int failed = utimensat(fd, "", times, AT_EMPTY_PATH);
    if (failed && (errno == EINVAL || errno == ENOENT)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        failed = utimensat(AT_FDCWD, link, times, 0);
    }
    return failed;
}

static Errno set_times_at(File *f, char *path, bool follow, const Times *t)
{
    struct timespec times[2];
    Place p;
    int failed;
    Errno e = refuse_write(f);
    if (e)
        return e;
    host_file_times(t, times);
    if (follow) {
        int fd = beneath_open(f->fd, path, O_PATH, 0);
        if (fd < 0)
            return wasi_errno(errno);
        failed = set_times_of(fd, times);
        int saved = errno;
        close(fd);
        errno = saved;
    } else {
        if (!beneath_find_existing(f->fd, path, &p))
            return wasi_errno(errno);
        failed = utimensat(p.fd, p.name, times, AT_SYMLINK_NOFOLLOW);
        beneath_leave(&p);
    }
    return result(failed);
}

static Errno make_directory(File *f, char *path)
{
    enum { ANYONE_MAY = 0777 };
    Place p;
    if (f->read_only)
        return WASI_ROFS;
    if (!beneath_find(f->fd, path, &p))
        return wasi_errno(errno);
    int failed = mkdirat(p.fd, p.name, ANYONE_MAY);
    beneath_leave(&p);
    return result(failed);
}

static Errno remove_entry(File *f, char *path, bool directory)
{
    Place p;
    if (f->read_only)
        return WASI_ROFS;
    if (!beneath_find(f->fd, path, &p))
        return wasi_errno(errno);
    int failed = unlinkat(p.fd, p.name, directory ? AT_REMOVEDIR : 0);
    beneath_leave(&p);
    return result(failed);
}

static Errno rename_entry(File *from, char *old, File *to, char *name)
{
    Place a, b;
    if (from->read_only || to->read_only)
        return WASI_ROFS;
    if (!beneath_find(from->fd, old, &a))
        return wasi_errno(errno);
    int failed = -1;
    if (beneath_find(to->fd, name, &b)) {
        failed = renameat(a.fd, a.name, b.fd, b.name);
        beneath_leave(&b);
    }
    beneath_leave(&a);
    return result(failed);
}

static Errno link_entry(File *from, char *old, File *to, char *name)
{
    Place a, b;
    if (from->read_only || to->read_only)
        return WASI_ROFS;
    if (!beneath_find_existing(from->fd, old, &a))
        return wasi_errno(errno);
    int failed = -1;
    if (beneath_find(to->fd, name, &b)) {
        failed = linkat(a.fd, a.name, b.fd, b.name, 0);
        beneath_leave(&b);
    }
    beneath_leave(&a);
    return result(failed);
}

/* An absolute link would mean one thing here and another to the guest. */
static Errno make_symlink(const char *target, File *f, char *path)
{
    Place p;
    if (f->read_only)
        return WASI_ROFS;
    if (*target == '/')
        return WASI_PERM;
    if (!beneath_find(f->fd, path, &p))
        return wasi_errno(errno);
    int failed = symlinkat(target, p.fd, p.name);
    beneath_leave(&p);
    return result(failed);
}

static Errno read_link(File *f, char *path, char *out, size_t size, size_t *n)
{
    Place p;
    if (!beneath_find_existing(f->fd, path, &p))
        return wasi_errno(errno);
    ssize_t got = readlinkat(p.fd, p.name, out, size);
    beneath_leave(&p);
    *n = got < 0 ? 0 : (size_t)got;
    return result(got < 0 ? -1 : 0);
}

const FileKind host_directory_kind = {
    .close = host_file_close,
    .stat = host_file_stat,
    .set_times = host_file_set_times,
    .sync = host_file_sync,
    .list = list,
    .open = open_file,
    .stat_at = stat_at,
    .set_times_at = set_times_at,
    .make_directory = make_directory,
    .remove = remove_entry,
    .rename = rename_entry,
    .link = link_entry,
    .symlink = make_symlink,
    .read_link = read_link,
};

File *host_directory_open(const char *path, bool read_only)
{
    File *f = host_file_of(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (f)
        f->read_only = read_only;
    return f;
}
