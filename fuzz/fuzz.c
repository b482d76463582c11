#include "fuzz/fuzz.h"

#include <string.h>
#include <time.h>

/* Of the address sanitizer; absent in builds without it. */
#define WEAK __attribute__((weak))
int WEAK __sanitizer_install_malloc_and_free_hooks(
    void (*made)(const volatile void *, size_t),
    void (*freed)(const volatile void *));
size_t WEAK __sanitizer_get_allocated_size(const volatile void *p);

static struct {
    int64_t live, limit; /* bytes since fuzz_begin */
    uint64_t start_ns;
    bool inside, installed;
} now;

static void count_made(const volatile void *p, size_t size)
{
    (void)p;
    if (!now.inside)
        return;
    now.live += (int64_t)size;
    if (now.live > now.limit) {
        now.inside = false;
        FUZZ_CHECK(false, "%lld bytes are in use; the limit is %lld",
                   (long long)now.live, (long long)now.limit);
    }
}

static void count_freed(const volatile void *p)
{
    if (now.inside && p)
        now.live -= (int64_t)__sanitizer_get_allocated_size(p);
}

static uint64_t processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void fuzz_begin(size_t input_size)
{
    if (!now.installed && __sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(count_made, count_freed);
    now.installed = true;
    now.live = 0;
    now.limit = ((int64_t)64 << 20) + 10 * (int64_t)input_size;
    now.start_ns = processor_ns();
    now.inside = true;
}

void fuzz_end(void)
{
    now.inside = false;
    uint64_t ms = (processor_ns() - now.start_ns) / 1000000;
    FUZZ_CHECK(ms <= 1000, "%llu ms of processor time; the limit is 1000",
               (unsigned long long)ms);
}

uint64_t fuzz_hash(uint64_t seed, const void *data, size_t size)
{
    uint64_t h = seed ^ 0xcbf29ce484222325u ^ size;
    const uint8_t *p = data;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    for (; size; p++, size--)
        h = (h ^ *p) * 0x100000001b3u;
    return h ^ h >> 29;
}

/* splitmix64 */
uint64_t fuzz_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
