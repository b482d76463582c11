/* cpu.h - what an x86-64 processor can do beyond SSE2.
 *
 * The assembler takes these bits as a parameter, so that code for any
 * processor can be made and tested on any other.
 */
#ifndef CHI_TARGET_X64_CPU_H
#define CHI_TARGET_X64_CPU_H

#include <stdint.h>

enum {
    CPU_BASE = 0,
    CPU_SSE3 = 1 << 0,
    CPU_SSSE3 = 1 << 1,
    CPU_SSE41 = 1 << 2,
    CPU_SSE42 = 1 << 3,
    CPU_POPCNT = 1 << 4,
    CPU_LZCNT = 1 << 5,
    CPU_BMI1 = 1 << 6,
    CPU_BMI2 = 1 << 7,
    CPU_AVX = 1 << 8,
    CPU_AVX2 = 1 << 9,
    CPU_FMA = 1 << 10,
    CPU_F16C = 1 << 11,
    CPU_ALL = (1 << 12) - 1,
};

/* This machine's; 0 where it is no x86-64.  A bit is set only if the system
 * saves the registers that it needs.  Costs a few hundred cycles: call once. */
uint32_t cpu_detect(void);

#endif
