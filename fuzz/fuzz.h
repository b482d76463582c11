/* fuzz.h - what the fuzz targets share.
 *
 * Every target wraps its work in fuzz_begin and fuzz_end, which hold it to
 * what is promised of any input: no more than 64 MiB + 10 bytes for each byte
 * of input, no more than a second of processor time.  What must hold is said
 * by FUZZ_CHECK; the process ends where it does not.
 */
#ifndef CHI_FUZZ_FUZZ_H
#define CHI_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(holds, ...)                                                 \
    do {                                                                       \
        if (!(holds)) {                                                        \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                    \
            fprintf(stderr, __VA_ARGS__);                                      \
            fputc('\n', stderr);                                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

void fuzz_begin(size_t input_size);
void fuzz_end(void);

uint64_t fuzz_hash(uint64_t seed, const void *data, size_t size);
/* The next number of a sequence; *state is any number. */
uint64_t fuzz_random(uint64_t *state);

/* The one entry of each target, as libFuzzer calls it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional: changes data in place and gives its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);
/* The driver's own mutations: libFuzzer's, or those of standalone.c. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
