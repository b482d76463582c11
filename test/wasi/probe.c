/* probe: does what its arguments say, one after the other, by bare calls of
 * WASI, and writes a line for each: the operation and the failure's number.
 *
 * Paths are in descriptor 3, unless `dir:N` has chosen another one.
 *
 *   clang-19 --target=wasm32-wasi -Oz -Wl,--strip-all -o probe.wasm probe.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static uint32_t dir = 3;

/* ---- output */

static void put_bytes(const void *data, size_t len)
{
    __wasi_ciovec_t v = {data, len};
    size_t n;
    (void)!__wasi_fd_write(1, &v, 1, &n);
}

static void put(const char *text) { put_bytes(text, strlen(text)); }

static void put_number(uint64_t n)
{
    char text[21], *p = text + sizeof text - 1;
    *p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    put(p);
}

/* ---- operations: each gives the failure's number */

typedef __wasi_errno_t Errno;

/* Flags of an opening, by letters: r w c(reate) x(clusive) t(runcate)
 * d(irectory) a(ppend) n(onblock) l(inks are not followed). */
static Errno open_file(const char *path, const char *how, __wasi_fd_t *fd)
{
    static const char letters[] = "cdxt", flags[] = "a?n";
    __wasi_oflags_t o = 0;
    __wasi_fdflags_t f = 0;
    __wasi_rights_t rights = 0;
    for (int k = 0; k < 4; k++)
        o |= strchr(how, letters[k]) ? 1 << k : 0;
    for (int k = 0; k < 3; k++)
        f |= strchr(how, flags[k]) ? 1 << k : 0;
    if (strchr(how, 'r'))
        rights |= __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_READDIR;
    if (strchr(how, 'w'))
        rights |= __WASI_RIGHTS_FD_WRITE;
    return __wasi_path_open(dir, strchr(how, 'l') ? 0 : 1, path, o, rights, ~0u,
                            f, fd);
}

static Errno op_open(char **a)
{
    __wasi_fd_t fd;
    Errno e = open_file(a[0], a[1], &fd);
    return e ? e : __wasi_fd_close(fd);
}

/* Leaves it open. */
static Errno op_keep(char **a)
{
    __wasi_fd_t fd;
    Errno e = open_file(a[0], a[1], &fd);
    if (!e)
        put_number(fd), put(" ");
    return e;
}

static Errno copy(__wasi_fd_t fd)
{
    char buffer[4096];
    __wasi_iovec_t v = {(uint8_t *)buffer, sizeof buffer};
    size_t n = 1;
    Errno e = 0;
    while (!e && n) {
        e = __wasi_fd_read(fd, &v, 1, &n);
        if (!e)
            put_bytes(buffer, n);
    }
    return e;
}

static Errno op_cat(char **a)
{
    __wasi_fd_t fd;
    Errno e = open_file(a[0], "r", &fd);
    if (e)
        return e;
    e = copy(fd);
    (void)!__wasi_fd_close(fd);
    return e;
}

static Errno op_read(char **a) { return copy((__wasi_fd_t)atoi(a[0])); }

static Errno op_write(char **a)
{
    __wasi_fd_t fd;
    size_t n;
    __wasi_ciovec_t v = {(const uint8_t *)a[1], strlen(a[1])};
    Errno e = open_file(a[0], "wct", &fd);
    if (e)
        return e;
    e = __wasi_fd_write(fd, &v, 1, &n);
    (void)!__wasi_fd_close(fd);
    return e;
}

/* Repeats a text on a descriptor. */
static Errno op_fill(char **a)
{
    Errno e = 0;
    size_t n;
    __wasi_ciovec_t v = {(const uint8_t *)a[1], strlen(a[1])};
    for (int k = atoi(a[2]); k > 0 && !e; k--)
        e = __wasi_fd_write((__wasi_fd_t)atoi(a[0]), &v, 1, &n);
    return e;
}

static Errno show_stat(Errno e, const __wasi_filestat_t *s)
{
    if (!e) {
        put("type "), put_number(s->filetype);
        put(" size "), put_number(s->size), put(" ");
    }
    return e;
}

static Errno op_stat(char **a)
{
    __wasi_filestat_t s;
    return show_stat(__wasi_path_filestat_get(dir, 1, a[0], &s), &s);
}

static Errno op_lstat(char **a)
{
    __wasi_filestat_t s;
    return show_stat(__wasi_path_filestat_get(dir, 0, a[0], &s), &s);
}

static Errno op_times(char **a)
{
    return __wasi_path_filestat_set_times(
        dir, 1, a[0], 0, 1000000000ull * atoi(a[1]), __WASI_FSTFLAGS_MTIM);
}

static Errno op_ltimes(char **a)
{
    return __wasi_path_filestat_set_times(
        dir, 0, a[0], 0, 1000000000ull * atoi(a[1]), __WASI_FSTFLAGS_MTIM);
}

static Errno op_mkdir(char **a)
{
    return __wasi_path_create_directory(dir, a[0]);
}
static Errno op_rmdir(char **a)
{
    return __wasi_path_remove_directory(dir, a[0]);
}
static Errno op_unlink(char **a) { return __wasi_path_unlink_file(dir, a[0]); }
static Errno op_rename(char **a)
{
    return __wasi_path_rename(dir, a[0], dir, a[1]);
}
static Errno op_link(char **a)
{
    return __wasi_path_link(dir, 0, a[0], dir, a[1]);
}
static Errno op_symlink(char **a)
{
    return __wasi_path_symlink(a[0], dir, a[1]);
}

static Errno op_readlink(char **a)
{
    uint8_t text[256];
    size_t n;
    Errno e = __wasi_path_readlink(dir, a[0], text, sizeof text, &n);
    if (!e)
        put_bytes(text, n), put(" ");
    return e;
}

/* Lists with a buffer of few bytes, so that entries come in pieces. */
static Errno op_ls(char **a)
{
    uint8_t buffer[300];
    __wasi_fd_t fd;
    __wasi_dircookie_t cookie = 0;
    size_t n = sizeof buffer;
    Errno e = open_file(a[0], "rd", &fd);
    if (e)
        return e;
    while (!e && n == sizeof buffer) {
        __wasi_dirent_t d;
        e = __wasi_fd_readdir(fd, buffer, sizeof buffer, cookie, &n);
        for (size_t at = 0; !e && at + sizeof d <= n;) {
            memcpy(&d, buffer + at, sizeof d);
            at += sizeof d;
            if (at + d.d_namlen > n)
                break;
            put_bytes(buffer + at, d.d_namlen), put(" ");
            at += d.d_namlen;
            cookie = d.d_next;
        }
    }
    (void)!__wasi_fd_close(fd);
    return e;
}

/* Opens a file n times; says how often it began with a letter. */
static Errno op_race(char **a)
{
    unsigned found = 0;
    for (int k = atoi(a[2]); k > 0; k--) {
        __wasi_fd_t fd;
        char c = 0;
        __wasi_iovec_t v = {(uint8_t *)&c, 1};
        size_t n;
        if (open_file(a[0], "r", &fd))
            continue;
        if (!__wasi_fd_read(fd, &v, 1, &n) && n && c == a[1][0])
            found++;
        (void)!__wasi_fd_close(fd);
    }
    put_number(found), put(" ");
    return 0;
}

static Errno op_dir(char **a)
{
    dir = (uint32_t)atoi(a[0]);
    return 0;
}

static Errno op_close(char **a)
{
    return __wasi_fd_close((__wasi_fd_t)atoi(a[0]));
}

static Errno op_prestat(char **a)
{
    __wasi_prestat_t p;
    uint8_t name[256];
    __wasi_fd_t fd = (__wasi_fd_t)atoi(a[0]);
    Errno e = __wasi_fd_prestat_get(fd, &p);
    if (!e)
        e = __wasi_fd_prestat_dir_name(fd, name, p.u.dir.pr_name_len);
    if (!e)
        put_bytes(name, p.u.dir.pr_name_len), put(" ");
    return e;
}

static Errno op_fdstat(char **a)
{
    __wasi_fdstat_t s;
    Errno e = __wasi_fd_fdstat_get((__wasi_fd_t)atoi(a[0]), &s);
    if (!e) {
        put("type "), put_number(s.fs_filetype);
        put(" flags "), put_number(s.fs_flags), put(" ");
    }
    return e;
}

/* Waits for milliseconds, or for a descriptor to be readable. */
static Errno op_sleep(char **a)
{
    __wasi_subscription_t s = {.u.tag = __WASI_EVENTTYPE_CLOCK};
    __wasi_event_t event;
    size_t n;
    s.u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s.u.u.clock.timeout = 1000000ull * atoi(a[0]);
    return __wasi_poll_oneoff(&s, &event, 1, &n);
}

static Errno op_wait(char **a)
{
    __wasi_subscription_t s[2] = {{.userdata = 1, .u.tag = a[0][0] - '0'},
                                  {.userdata = 2}};
    __wasi_event_t event[2];
    size_t n = 0;
    s[0].u.u.fd_read.file_descriptor = (__wasi_fd_t)atoi(a[1]);
    s[1].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
    s[1].u.u.clock.timeout = 1000000ull * atoi(a[2]);
    Errno e = __wasi_poll_oneoff(s, event, 2, &n);
    for (size_t k = 0; k < n; k++)
        put_number(event[k].userdata), put(" ");
    return e;
}

static Errno op_clock(char **a)
{
    __wasi_timestamp_t t;
    Errno e = __wasi_clock_time_get((__wasi_clockid_t)atoi(a[0]), 1, &t);
    if (!e)
        put_number(t), put(" ");
    return e;
}

static Errno op_random(char **a)
{
    uint64_t r;
    (void)a;
    Errno e = __wasi_random_get((uint8_t *)&r, sizeof r);
    put_number(r), put(" ");
    return e;
}

static Errno op_env(char **a)
{
    size_t n, bytes;
    (void)a;
    Errno e = __wasi_environ_sizes_get(&n, &bytes);
    uint8_t **list = calloc(n + 1, sizeof *list), *data = malloc(bytes + 1);
    if (!e)
        e = __wasi_environ_get(list, data);
    for (size_t k = 0; k < n && !e; k++)
        put((const char *)list[k]), put(" ");
    return e;
}

static Errno op_say(char **a)
{
    put(a[0]);
    return 0;
}

static Errno op_exit(char **a) { __wasi_proc_exit((uint32_t)atoi(a[0])); }

static Errno op_trap(char **a)
{
    (void)a;
    __builtin_trap();
}

static Errno op_spin(char **a)
{
    (void)a;
    for (volatile int k = 0;; k = k + 1)
        ;
}

static const struct {
    const char *name;
    int n_args;
    Errno (*run)(char **a);
} ops[] = {
#define OP(NAME, N) {#NAME, N, op_##NAME}
    OP(open, 2),     OP(keep, 2),    OP(cat, 1),    OP(read, 1),
    OP(write, 2),    OP(fill, 3),    OP(stat, 1),   OP(lstat, 1),
    OP(times, 2),    OP(ltimes, 2),  OP(mkdir, 1),  OP(rmdir, 1),
    OP(unlink, 1),   OP(rename, 2),  OP(link, 2),   OP(symlink, 2),
    OP(readlink, 1), OP(ls, 1),      OP(race, 3),   OP(dir, 1),
    OP(close, 1),    OP(prestat, 1), OP(fdstat, 1), OP(sleep, 1),
    OP(wait, 3),     OP(clock, 1),   OP(random, 0), OP(env, 0),
    OP(say, 1),      OP(exit, 1),    OP(trap, 0),   OP(spin, 0),
};

int main(int argc, char **argv)
{
    for (int k = 1; k < argc;) {
        int found = 0;
        for (size_t o = 0; o < sizeof ops / sizeof *ops && !found; o++) {
            if (strcmp(ops[o].name, argv[k]) || k + ops[o].n_args >= argc)
                continue;
            Errno e = ops[o].run(argv + k + 1);
            put(argv[k]), put(" "), put_number(e), put("\n");
            k += 1 + ops[o].n_args;
            found = 1;
        }
        if (!found)
            return 2;
    }
    return 0;
}
