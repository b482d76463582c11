/* Open files of the system.
 *
 * Nothing here blocks without end: what is no regular file is opened with
 * O_NONBLOCK, and waited for in slices between which interrupts are honoured.
 * A stream that this process had before keeps its flags, which others share;
 * it is read and written only when poll says that it is ready, and written in
 * pieces that then fit.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wasi/guest.h"
#include "wasi/host.h"

static Errno result(int failed) { return wasi_result(failed, errno); }

void host_file_close(File *f)
{
    if (f->fd >= 0)
        close(f->fd);
}

/* ---- waiting */

bool host_file_wait(Call *c, int fd, short events)
{
    enum { SLICE_MS = 4 };
    struct pollfd p = {.fd = fd, .events = events};
    void *token = NULL;
    bool waits = poll(&p, 1, 0) == 0;
    if (!waits)
        return true;
    if (c->w->begin_wait)
        token = c->w->begin_wait(c->w->host_env, c->store);
    while (waits && call_poll(c)) {
        int n = poll(&p, 1, SLICE_MS);
        waits = n == 0 || (n < 0 && errno == EINTR);
    }
    if (c->w->end_wait)
        c->w->end_wait(c->w->host_env, c->store, token);
    return c->code == CHI_OK;
}

static bool is_ready_at_once(const File *f)
{
    return f->type == TYPE_REGULAR || f->type == TYPE_BLOCK_DEVICE
           || f->type == TYPE_DIRECTORY;
}

/* Ready, or WASI_AGAIN, or the call is to end. */
static Errno get_ready(Call *c, const File *f, short events)
{
    struct pollfd p = {.fd = f->fd, .events = events};
    if (is_ready_at_once(f))
        return WASI_SUCCESS;
    if (f->flags & FLAG_NONBLOCK)
        return poll(&p, 1, 0) == 0 ? WASI_AGAIN : WASI_SUCCESS;
    return host_file_wait(c, f->fd, events) ? WASI_SUCCESS : WASI_INTR;
}

/* May a transfer that failed be tried again? */
static bool may_retry(const File *f)
{
    return errno == EINTR || (errno == EAGAIN && !(f->flags & FLAG_NONBLOCK));
}

/* ---- transfers */

/* What a pipe or terminal takes at once when poll says that it is ready. */
static int limit_piece(struct iovec *v, int n)
{
    size_t left = PIPE_BUF;
    for (int k = 0; k < n; k++) {
        if (v[k].iov_len >= left) {
            v[k].iov_len = left;
            return k + 1;
        }
        left -= v[k].iov_len;
    }
    return n;
}

typedef ssize_t Transfer(int fd, const struct iovec *v, int n);
typedef ssize_t TransferAt(int fd, const struct iovec *v, int n, off_t at);

static Errno transfer(Call *c, File *f, const Vectors *v, const uint64_t *at,
                      size_t *done, bool writes)
{
    struct iovec io[VECTORS_MAX];
    Transfer *plain = writes ? writev : readv;
    TransferAt *positioned = writes ? pwritev : preadv;
    *done = 0;
    for (;;) {
        Errno e = get_ready(c, f, writes ? POLLOUT : POLLIN);
        int n = e ? 0 : guest_iovecs(c, v, io);
        if (e || n < 0)
            return e ? e : WASI_FAULT;
        if (writes && f->inherited && !is_ready_at_once(f))
            n = limit_piece(io, n);
        ssize_t got =
            at ? positioned(f->fd, io, n, (off_t)*at) : plain(f->fd, io, n);
        if (got >= 0) {
            *done = (size_t)got;
            return WASI_SUCCESS;
        }
        if (!may_retry(f))
            return wasi_errno(errno);
        if (!call_poll(c))
            return WASI_INTR;
    }
}

static Errno read_file(Call *c, File *f, const Vectors *v, const uint64_t *at,
                       size_t *n)
{
    return transfer(c, f, v, at, n, false);
}

static Errno write_file(Call *c, File *f, const Vectors *v, const uint64_t *at,
                        size_t *n)
{
    return transfer(c, f, v, at, n, true);
}

static Errno seek(File *f, int64_t by, unsigned whence, uint64_t *at)
{
    static const int host[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    off_t to = lseek(f->fd, by, host[whence]);
    *at = (uint64_t)to;
    return result(to < 0 ? -1 : 0);
}

/* ---- facts */

uint8_t host_file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return TYPE_REGULAR;
    case S_IFDIR: return TYPE_DIRECTORY;
    case S_IFLNK: return TYPE_SYMLINK;
    case S_IFCHR: return TYPE_CHARACTER_DEVICE;
    case S_IFBLK: return TYPE_BLOCK_DEVICE;
    case S_IFSOCK: return TYPE_SOCKET_STREAM;
    default: return TYPE_UNKNOWN;
    }
}

static uint64_t nanoseconds(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void host_file_describe(const struct stat *s, Filestat *out)
{
    *out = (Filestat){
        .dev = s->st_dev,
        .ino = s->st_ino,
        .type = host_file_type(s->st_mode),
        .nlink = s->st_nlink,
        .size = (uint64_t)s->st_size,
        .atim = nanoseconds(s->st_atim),
        .mtim = nanoseconds(s->st_mtim),
        .ctim = nanoseconds(s->st_ctim),
    };
}

Errno host_file_stat(File *f, Filestat *out)
{
    struct stat s;
    if (fstat(f->fd, &s) < 0)
        return wasi_errno(errno);
    host_file_describe(&s, out);
    return WASI_SUCCESS;
}

static struct timespec time_of(uint64_t ns, unsigned set, unsigned now)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u),
                         .tv_nsec = (long)(ns % 1000000000u)};
    if (set & now)
        t.tv_nsec = UTIME_NOW;
    else if (!(set & now / 2)) /* the bit before it: an explicit time */
        t.tv_nsec = UTIME_OMIT;
    return t;
}

void host_file_times(const Times *t, struct timespec out[2])
{
    out[0] = time_of(t->atim, t->set, TIME_ATIM_NOW);
    out[1] = time_of(t->mtim, t->set, TIME_MTIM_NOW);
}

Errno host_file_set_times(File *f, const Times *t)
{
    struct timespec times[2];
    if (f->read_only)
        return WASI_ROFS;
    host_file_times(t, times);
    return result(futimens(f->fd, times));
}

static Errno set_size(File *f, uint64_t size)
{
    if (size > INT64_MAX)
        return WASI_INVAL;
    return result(ftruncate(f->fd, (off_t)size));
}

static Errno set_flags(File *f, unsigned flags)
{
    unsigned changed = flags ^ f->flags;
    if (f->inherited)
        return changed & ~(unsigned)FLAG_NONBLOCK ? WASI_NOTSUP : WASI_SUCCESS;
    if (changed & ~(unsigned)(FLAG_APPEND | FLAG_NONBLOCK))
        return WASI_INVAL; /* those for syncing are chosen at the opening */
    return result(fcntl(f->fd, F_SETFL,
                        O_NONBLOCK | (flags & FLAG_APPEND ? O_APPEND : 0)));
}

static Errno allocate(File *f, uint64_t at, uint64_t len)
{
    if (at > INT64_MAX || len > INT64_MAX)
        return WASI_INVAL;
    /* posix_fallocate would write to each block where this is not known. */
    return result(fallocate(f->fd, 0, (off_t)at, (off_t)len));
}

static Errno advise(File *f, uint64_t at, uint64_t len, unsigned advice)
{
    static const int host[ADVICE_COUNT] = {
        POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
        POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    if (at > INT64_MAX || len > INT64_MAX)
        return WASI_INVAL;
    int e = posix_fadvise(f->fd, (off_t)at, (off_t)len, host[advice]);
    return e ? wasi_errno(e) : WASI_SUCCESS;
}

Errno host_file_sync(File *f, bool data_only)
{
    return result(data_only ? fdatasync(f->fd) : fsync(f->fd));
}

static const FileKind file_kind = {
    .close = host_file_close,
    .read = read_file,
    .write = write_file,
    .seek = seek,
    .stat = host_file_stat,
    .set_size = set_size,
    .set_times = host_file_set_times,
    .set_flags = set_flags,
    .allocate = allocate,
    .advise = advise,
    .sync = host_file_sync,
};

/* ---- making */

enum {
    RIGHTS_FILE = RIGHT_FD_DATASYNC | RIGHT_FD_SYNC | RIGHT_FD_ADVISE
                  | RIGHT_FD_SEEK | RIGHT_FD_TELL | RIGHT_FD_FDSTAT_SET_FLAGS
                  | RIGHT_FD_FILESTAT_GET | RIGHT_FD_FILESTAT_SET_TIMES
                  | RIGHT_POLL_FD_READWRITE,
    RIGHTS_WRITE =
        RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE,
    RIGHTS_DIRECTORY = RIGHT_FD_DATASYNC | RIGHT_FD_SYNC
                       | RIGHT_FD_FDSTAT_SET_FLAGS | RIGHT_PATH_CREATE_DIRECTORY
                       | RIGHT_PATH_CREATE_FILE | RIGHT_PATH_LINK_SOURCE
                       | RIGHT_PATH_LINK_TARGET | RIGHT_PATH_OPEN
                       | RIGHT_FD_READDIR | RIGHT_PATH_READLINK
                       | RIGHT_PATH_RENAME_SOURCE | RIGHT_PATH_RENAME_TARGET
                       | RIGHT_PATH_FILESTAT_GET | RIGHT_PATH_FILESTAT_SET_SIZE
                       | RIGHT_PATH_FILESTAT_SET_TIMES | RIGHT_FD_FILESTAT_GET
                       | RIGHT_FD_FILESTAT_SET_TIMES | RIGHT_PATH_SYMLINK
                       | RIGHT_PATH_REMOVE_DIRECTORY | RIGHT_PATH_UNLINK_FILE,
    RIGHTS_STREAM =
        RIGHT_FD_SEEK | RIGHT_FD_TELL | RIGHT_FD_ADVISE | RIGHT_FD_ALLOCATE
};

/* wasi-libc takes a character device that cannot seek for a terminal. */
static void find_rights(File *f, int access)
{
    if (f->type == TYPE_DIRECTORY) {
        f->rights = RIGHTS_DIRECTORY;
        f->inheriting =
            RIGHTS_DIRECTORY | RIGHTS_FILE | RIGHTS_WRITE | RIGHT_FD_READ;
        return;
    }
    f->rights = RIGHTS_FILE;
    if (access != O_WRONLY)
        f->rights |= RIGHT_FD_READ;
    if (access != O_RDONLY)
        f->rights |= RIGHTS_WRITE;
    if (!is_ready_at_once(f))
        f->rights &= ~(uint64_t)RIGHTS_STREAM;
}

Errno host_file_adopt(File *f, int fd)
{
    struct stat s;
    int flags = fcntl(fd, F_GETFL);
    f->fd = fd;
    f->kind = &file_kind;
    if (flags < 0 || fstat(fd, &s) < 0)
        return wasi_errno(errno);
    f->type = host_file_type(s.st_mode);
    if (f->type == TYPE_DIRECTORY)
        f->kind = &host_directory_kind;
    find_rights(f, flags & O_ACCMODE);
    return WASI_SUCCESS;
}

File *host_file_of(int fd)
{
    File *f = fd < 0 ? NULL : file_new();
    if (!f) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (host_file_adopt(f, fd) != WASI_SUCCESS) {
        int saved = errno;
        file_put(f);
        errno = saved;
        return NULL;
    }
    return f;
}

File *host_file_stream(int fd)
{
    File *f = host_file_of(fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (f) {
        f->inherited = true;
        if (fcntl(f->fd, F_GETFL) & O_APPEND)
            f->flags = FLAG_APPEND;
    }
    return f;
}
