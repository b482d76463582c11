/* generate.h - makes a valid module of any bytes.
 *
 * Total: whatever the bytes, the module validates; bytes that are missing
 * count as zero, and all zero is the simplest choice, so the module's size is
 * bounded by theirs.  Functions are exported, and so are memories, tables and
 * globals, to be looked at.  Floating-point results are made canonical, so
 * that two runs of one module must agree in every bit.
 */
#ifndef CHI_FUZZ_GENERATE_H
#define CHI_FUZZ_GENERATE_H

#include <stddef.h>
#include <stdint.h>

/* The module's bytes (malloc). */
uint8_t *generate_module(const uint8_t *data, size_t size, size_t *len);

#endif
