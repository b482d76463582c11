#include "os/os.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

/* Reservations from this size on stay out of core dumps, which would walk
 * all of their pages. */
#define DUMP_LIMIT ((size_t)64 << 20)

size_t os_page_size(void)
{
    static _Atomic size_t cached;
    size_t size = cached;
    if (!size)
        cached = size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

/* The stack is near the top. */
static uint64_t machine_address_space(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uint64_t space = (uint64_t)1 << 31;
    while (space <= here)
        space *= 2;
    return space;
}

uint64_t os_address_space(void)
{
    uint64_t space = machine_address_space();
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur > space)
        return space;
    return limit.rlim_cur;
}

void *os_pages_reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_NONE, FLAGS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (size >= DUMP_LIMIT)
        madvise(p, size, MADV_DONTDUMP);
    return p;
}

void *os_pages_reserve_aligned(size_t size, size_t align)
{
    unsigned char *p = os_pages_reserve(size);
    if (!p || ((uintptr_t)p & (align - 1)) == 0)
        return p;
    munmap(p, size);
    p = os_pages_reserve(size + align);
    if (!p)
        return NULL;
    size_t before = (0 - (uintptr_t)p) & (align - 1);
    if (before)
        munmap(p, before);
    if (before != align)
        munmap(p + before + size, align - before);
    return p + before;
}

/* The pages may be several mappings, of which some have changed. */
bool os_pages_commit(void *p, size_t size)
{
    if (mprotect(p, size, PROT_READ | PROT_WRITE) == 0)
        return true;
    mprotect(p, size, PROT_NONE);
    return false;
}

bool os_pages_decommit(void *p, size_t size)
{
    return mmap(p, size, PROT_NONE, FLAGS | MAP_FIXED, -1, 0) == p;
}

bool os_pages_clear(void *p, size_t size)
{
    return madvise(p, size, MADV_DONTNEED) == 0;
}

void os_pages_release(void *p, size_t size) { munmap(p, size); }

static bool extend(unsigned char *end, size_t more)
{
    void *p = mmap(end, more, PROT_NONE, FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == end)
        return true;
    if (p != MAP_FAILED) /* a kernel that does not know the flag */
        munmap(p, more);
    return false;
}

/* The committed part may be several mappings, after a fork for instance, and
 * those cannot move in one call: then the bytes are copied. */
static bool move_bytes(void *from, void *to, size_t n)
{
    if (n == 0 || mremap(from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
        return true;
    if (!os_pages_commit(to, n))
        return false;
    memcpy(to, from, n);
    return true;
}

void *os_pages_move(void *p, size_t old_size, size_t committed, size_t new_size)
{
    if (extend((unsigned char *)p + old_size, new_size - old_size))
        return p;
    unsigned char *q = os_pages_reserve(new_size);
    if (q) {
        if (!move_bytes(p, q, committed)) {
            munmap(q, new_size);
            return NULL;
        }
        munmap(p, old_size);
        return q;
    }
    /* Not enough addresses for both: the system may still move one mapping. */
    if (committed != old_size)
        return NULL;
    q = mremap(p, old_size, new_size, MREMAP_MAYMOVE);
    if (q == MAP_FAILED)
        return NULL;
    mprotect(q + old_size, new_size - old_size, PROT_NONE);
    return q;
}
