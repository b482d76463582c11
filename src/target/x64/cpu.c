#include "target/x64/cpu.h"

#include <stdbool.h>

#if defined(__GNUC__) && defined(__x86_64__)

#include <cpuid.h>

/* Which registers the system saves: bit 1 is xmm, bit 2 the upper halves. */
static uint32_t saved_state(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static uint32_t pick(uint32_t word, unsigned bit, uint32_t feature)
{
    return word >> bit & 1 ? feature : 0;
}

uint32_t cpu_detect(void)
{
    uint32_t a, b, c, d, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    found |= pick(c, 0, CPU_SSE3) | pick(c, 9, CPU_SSSE3)
             | pick(c, 19, CPU_SSE41) | pick(c, 20, CPU_SSE42)
             | pick(c, 23, CPU_POPCNT);
    bool avx = (c >> 27 & 1) && (saved_state() & 6) == 6 && (c >> 28 & 1);
    if (avx)
        found |= CPU_AVX | pick(c, 12, CPU_FMA) | pick(c, 29, CPU_F16C);
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        found |= pick(b, 3, CPU_BMI1) | pick(b, 8, CPU_BMI2);
        if (avx)
            found |= pick(b, 5, CPU_AVX2);
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d))
        found |= pick(c, 5, CPU_LZCNT);
    return found;
}

#else

uint32_t cpu_detect(void) { return 0; }

#endif
