/* kernel.h - what every benchmark kernel shares.
 *
 * A kernel is one freestanding C file that exports
 *
 *     uint32_t kernel(uint32_t n);
 *
 * It does work in proportion to n (or to a power of it) and returns a
 * checksum of the result.  A call builds all of its own state, so that every
 * call with the same n does the same work and returns the same value.  All
 * storage is static: a kernel allocates nothing and imports nothing.
 */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define KERNEL __attribute__((export_name("kernel")))
#else
#define KERNEL __attribute__((visibility("default")))
#endif

/* Marks a function whose call is what the kernel measures. */
#define NOINLINE __attribute__((noinline))

KERNEL uint32_t kernel(uint32_t n);

/* Marsaglia's xorshift generator; a seed of 0 yields only zeros. */
static inline uint32_t next_random(uint32_t *seed)
{
    uint32_t x = *seed;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

/* Adds one word to a checksum, so that order matters. */
static inline uint32_t mix(uint32_t sum, uint32_t word)
{
    return ((sum << 5 | sum >> 27) ^ word) * 0x9e3779b1u;
}

static inline uint32_t mix_double(uint32_t sum, double value)
{
    union {
        double value;
        uint64_t bits;
    } u = {value};

    return mix(mix(sum, (uint32_t)u.bits), (uint32_t)(u.bits >> 32));
}

#endif
