#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u /* Linux 6.3 */
#endif

static bool refused(const char *call, char *why)
{
    snprintf(why, OS_WHY, "%s: %s", call, strerror(errno));
    return false;
}

/* Systems may ask for the flag, or not know it. */
static int open_pages(void)
{
    int fd = memfd_create("chiasm", MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("chiasm", MFD_CLOEXEC);
    return fd;
}

static void *map(void *at, size_t size, int protection, int fd)
{
    int flags = MAP_SHARED | (at ? MAP_FIXED : 0);
    void *p = mmap(at, size, protection, flags, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* To resize a file past the limit raises a signal. */
static bool resize(int fd, size_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) {
        errno = EFBIG;
        return false;
    }
    return ftruncate(fd, (off_t)size) == 0;
}

/* A view that a child inherited would write into the parent's code. */
static void *map_views(void *exec, size_t size, int fd, char *why)
{
    void *write = map(NULL, size, PROT_READ | PROT_WRITE, fd);
    if (!write) {
        refused("mmap of a file in memory", why);
        return NULL;
    }
    if (!map(exec, size, PROT_READ | PROT_EXEC, fd)) {
        refused("mmap with PROT_EXEC", why);
    } else if (madvise(write, size, MADV_DONTFORK) != 0) {
        refused("madvise with MADV_DONTFORK", why);
        os_pages_decommit(exec, size);
    } else {
        return write;
    }
    munmap(write, size);
    return NULL;
}

void *os_code_map(void *exec, size_t size, char *why)
{
    int fd = open_pages();
    void *write = NULL;
    if (fd < 0) {
        refused("memfd_create", why);
        return NULL;
    }
    if (resize(fd, size))
        write = map_views(exec, size, fd, why);
    else
        refused("ftruncate", why);
    close(fd);
    return write;
}

bool os_code_protect(void *p, size_t size, char *why)
{
    if (mprotect(p, size, PROT_READ | PROT_EXEC) == 0)
        return true;
    return refused("mprotect with PROT_EXEC", why);
}

void os_code_flush(const void *exec, size_t size)
{
    char *p = (char *)(uintptr_t)exec;
    __builtin___clear_cache(p, p + size);
}
