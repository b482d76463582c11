#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* Only the owner may write: what is read there may be code. */
static bool is_private(const struct stat *s)
{
    return s->st_uid == geteuid() && (s->st_mode & 022) == 0;
}

bool os_folder_make(const char *path)
{
    char part[PATH_BYTES];
    struct stat s;
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return false;
    memcpy(part, path, n + 1);
    for (char *p = part + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(part, 0700);
    }
    mkdir(part, 0700);
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode) && is_private(&s);
}

int os_file_open(const char *path, uint64_t *size)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && is_private(&s)) {
        *size = (uint64_t)s.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

void os_file_close(int fd) { close(fd); }

bool os_file_read(int fd, uint64_t at, void *to, size_t n)
{
    return pread(fd, to, n, (off_t)at) == (ssize_t)n;
}

const void *os_file_map(int fd, uint64_t at, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, (off_t)at);
    return p == MAP_FAILED ? NULL : p;
}

void os_file_unmap(const void *p, size_t size)
{
    munmap((void *)(uintptr_t)p, size);
}

static bool write_all(int fd, const OsPart *parts, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        const char *p = parts[k].bytes;
        size_t left = parts[k].size;
        while (left > 0) {
            ssize_t done = write(fd, p, left);
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                return false;
            p += done;
            left -= (size_t)done;
        }
    }
    return true;
}

bool os_pages_map_file(void *p, size_t size, int fd, uint64_t at)
{
    int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
    return mmap(p, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)at)
           != MAP_FAILED;
}

int os_file_make(const void *bytes, size_t size)
{
    OsPart part = {bytes, size};
    int fd = memfd_create("chiasm-data", MFD_CLOEXEC);
    if (fd >= 0 && !write_all(fd, &part, 1)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool os_code_map_file(void *exec, size_t size, int fd, uint64_t at)
{
    int flags = MAP_PRIVATE | MAP_FIXED;
    return mmap(exec, size, PROT_READ | PROT_EXEC, flags, fd, (off_t)at)
           != MAP_FAILED;
}

/* Under another name first, so that nobody sees half of it, and a file that is
 * mapped never changes. */
bool os_file_write(const char *path, const OsPart *parts, unsigned n)
{
    static _Atomic unsigned number;
    char other[PATH_BYTES];
    int len = snprintf(other, sizeof other, "%s.%ld.%u", path, (long)getpid(),
                       number++);
    if (len < 0 || (size_t)len >= sizeof other)
        return false;
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool done = write_all(fd, parts, n) && fsync(fd) == 0;
    done = close(fd) == 0 && done && rename(other, path) == 0;
    if (!done)
        unlink(other);
    return done;
}

void os_file_remove(const char *path) { unlink(path); }

void os_file_touch(const char *path) { utimensat(AT_FDCWD, path, NULL, 0); }

bool os_folder_each(const char *path, OsFileFn *f, void *env)
{
    DIR *d = opendir(path);
    char name[PATH_BYTES];
    struct stat s;
    if (!d)
        return false;
    for (struct dirent *e; (e = readdir(d));) {
        int len = snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        if (len > 0 && (size_t)len < sizeof name && lstat(name, &s) == 0
            && S_ISREG(s.st_mode))
            f(env, name, (uint64_t)s.st_size, (int64_t)s.st_mtime);
    }
    closedir(d);
    return true;
}

/* ---- which build is this? */

typedef struct {
    uintptr_t address;
    OsBuildId *out;
} Search;

static bool note_of(const struct dl_phdr_info *o, const ElfW(Phdr) * h,
                    OsBuildId *out)
{
    const char *p = (const char *)(o->dlpi_addr + h->p_vaddr);
    const char *end = p + h->p_memsz;
    while (p + sizeof(ElfW(Nhdr)) <= end) {
        const ElfW(Nhdr) *n = (const void *)p;
        const char *name = p + sizeof *n;
        const char *desc = name + ((n->n_namesz + 3) & ~3u);
        if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4
            && !memcmp(name, "GNU", 4) && n->n_descsz <= sizeof out->bytes) {
            out->size = n->n_descsz;
            memcpy(out->bytes, desc, n->n_descsz);
            return true;
        }
        p = desc + ((n->n_descsz + 3) & ~3u);
    }
    return false;
}

static int look_at(struct dl_phdr_info *o, size_t size, void *env)
{
    Search *s = env;
    bool mine = false;
    (void)size;
    for (unsigned k = 0; k < o->dlpi_phnum; k++) {
        const ElfW(Phdr) *h = &o->dlpi_phdr[k];
        if (h->p_type == PT_LOAD
            && s->address - (o->dlpi_addr + h->p_vaddr) < h->p_memsz)
            mine = true;
    }
    for (unsigned k = 0; mine && k < o->dlpi_phnum; k++)
        if (o->dlpi_phdr[k].p_type == PT_NOTE
            && note_of(o, &o->dlpi_phdr[k], s->out))
            return 1;
    return mine;
}

bool os_build_id(OsBuildId *out)
{
    Search s = {(uintptr_t)os_build_id, out};
    out->size = 0;
    dl_iterate_phdr(look_at, &s);
    return out->size > 0;
}
