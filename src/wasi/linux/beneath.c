/* Lookups that cannot leave a directory.
 *
 * openat2 with RESOLVE_BENEATH does it in the kernel, in one call.  Where it is
 * missing (before Linux 5.6, or forbidden by a sandbox), the walk opens each
 * component by itself, never following a link: a link is read, and what it
 * says takes its place in the path.  ".." goes back to the descriptor that was
 * open before, not to what the directory's ".." is by then.
 */
#include "wasi/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, DEPTH_MAX = 128, LINKS_MAX = 40, TRIES_MAX = 100 };

/* ---- in the kernel */

static int open_by_kernel(int root, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)flags,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static bool find_openat2(void)
{
    int fd = open_by_kernel(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != E2BIG);
}

static bool has_openat2(void)
{
    static _Atomic int known; /* 0: not yet, 1 no, 2 yes */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (!k) {
        k = find_openat2() ? 2 : 1;
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 2;
}

int beneath_open(int root, const char *path, int flags, mode_t mode)
{
    int fd = -1;
    if (!has_openat2())
        return beneath_walk(root, path, flags, mode);
    errno = EAGAIN; /* also: directories were moved while it looked */
    for (int k = 0; k < TRIES_MAX && fd < 0 && errno == EAGAIN; k++)
        fd = open_by_kernel(root, path, flags | O_CLOEXEC, mode);
    if (fd < 0 && errno == EXDEV)
        errno = EPERM;
    return fd;
}

/* ---- by walking */

typedef struct {
    int dirs[DEPTH_MAX]; /* open ones, the root first */
    int depth;           /* of the last of them */
    int links;           /* followed */
    char rest[PATH_SIZE];
} Walk;

static int fail(int error)
{
    errno = error;
    return -1;
}

static void ascend(Walk *w, int to)
{
    int saved = errno;
    while (w->depth > to)
        close(w->dirs[w->depth--]);
    errno = saved;
}

/* Takes the first component of the rest away, and the slashes behind it. */
static int next_component(Walk *w, char *name, bool *slash)
{
    size_t n = strcspn(w->rest, "/");
    if (n > NAME_MAX)
        return fail(ENAMETOOLONG);
    memcpy(name, w->rest, n);
    name[n] = 0;
    *slash = w->rest[n];
    n += strspn(w->rest + n, "/");
    memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
    return 0;
}

/* Puts a link's text before the rest.  1: done, 0: it is no link, -1. */
static int expand_link(Walk *w, const char *name, bool slash)
{
    char text[PATH_SIZE];
    size_t rest = strlen(w->rest);
    ssize_t n = readlinkat(w->dirs[w->depth], name, text, sizeof text);
    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    if (++w->links > LINKS_MAX)
        return fail(ELOOP);
    if (n == 0)
        return fail(ENOENT);
    if (text[0] == '/')
        return fail(EPERM);
    if ((size_t)n + slash + rest >= PATH_SIZE)
        return fail(ENAMETOOLONG);
    memmove(w->rest + n + slash, w->rest, rest + 1);
    memcpy(w->rest, text, (size_t)n);
    if (slash)
        w->rest[n] = '/';
    return 1;
}

static int descend(Walk *w, const char *name)
{
    if (w->depth + 1 == DEPTH_MAX)
        return fail(ENAMETOOLONG);
    int fd = openat(w->dirs[w->depth], name,
                    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        w->dirs[++w->depth] = fd;
    return fd < 0 ? -1 : 0;
}

static int open_here(const Walk *w, const char *name, int flags, mode_t mode)
{
    return openat(w->dirs[w->depth], name, flags | O_NOFOLLOW | O_CLOEXEC,
                  mode);
}

/* A component that is not the last, or is followed by a slash. */
static int step(Walk *w, const char *name, bool slash)
{
    if (!strcmp(name, "."))
        return 0;
    if (!strcmp(name, "..")) {
        if (w->depth == 0)
            return fail(EPERM);
        ascend(w, w->depth - 1);
        return 0;
    }
    int link = expand_link(w, name, slash);
    return link ? (link < 0 ? -1 : 0) : descend(w, name);
}

static int walk(Walk *w, int flags, mode_t mode)
{
    bool keeps_link = flags & O_NOFOLLOW
                      || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    while (*w->rest) {
        char name[NAME_MAX + 1];
        bool slash, dots;
        if (next_component(w, name, &slash) < 0)
            return -1;
        dots = !strcmp(name, ".") || !strcmp(name, "..");
        if (*w->rest || slash || dots) {
            if (slash && !*w->rest && flags & O_CREAT && !dots)
                return fail(EISDIR);
            if (step(w, name, slash) < 0)
                return -1;
            continue;
        }
        int link = keeps_link ? 0 : expand_link(w, name, false);
        if (link < 0)
            return -1;
        if (link == 0) {
            int fd = open_here(w, name, flags, mode);
            /* It has become a link since it was looked at. */
            if (fd >= 0 || errno != ELOOP || keeps_link
                || ++w->links > LINKS_MAX)
                return fd;
            strcpy(w->rest, name);
        }
    }
    if (flags & O_CREAT)
        return fail(flags & O_EXCL ? EEXIST : EISDIR);
    return open_here(w, ".", flags, mode);
}

int beneath_walk(int root, const char *path, int flags, mode_t mode)
{
    Walk w = {.dirs = {root}};
    if (!*path)
        return fail(ENOENT);
    if (*path == '/')
        return fail(EPERM);
    if (strlen(path) >= PATH_SIZE)
        return fail(ENAMETOOLONG);
    strcpy(w.rest, path);
    int fd = walk(&w, flags, mode);
    ascend(&w, 0);
    return fd;
}

/* ---- places */

static bool open_whole(int root, const char *path, Place *out)
{
    out->fd = beneath_open(root, path, O_PATH | O_DIRECTORY, 0);
    out->owned = true;
    out->name = ".";
    return out->fd >= 0;
}

static bool is_dots(const char *name, size_t len)
{
    return (len == 1 || len == 2) && !memcmp(name, "..", len);
}

/* The length of a path without the slashes at its end. */
static size_t length_without_slashes(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

bool beneath_find(int root, char *path, Place *out)
{
    size_t len = length_without_slashes(path), at = len;
    while (at > 0 && path[at - 1] != '/')
        at--;
    *out = (Place){.fd = root, .name = path + at, .slash = path[len]};
    if (is_dots(out->name, len - at) || len == 0 || *path == '/')
        return open_whole(root, path, out);
    if (at == 0)
        return true;
    path[at - 1] = 0;
    out->fd = beneath_open(root, path, O_PATH | O_DIRECTORY, 0);
    out->owned = true;
    return out->fd >= 0;
}

bool beneath_find_existing(int root, char *path, Place *out)
{
    if (path[length_without_slashes(path)] != '/')
        return beneath_find(root, path, out);
    *out = (Place){.slash = true};
    return open_whole(root, path, out);
}

void beneath_leave(Place *p)
{
    int saved = errno;
    if (p->owned)
        close(p->fd);
    errno = saved;
}
