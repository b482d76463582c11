/* mutate.h - mutations that know modules and texts.
 *
 * Of a module: one inside a section or a function body, whose sizes are made
 * right again; sections and bodies doubled, dropped and exchanged;
 * instructions replaced by others of the same type.  Of a text: tokens
 * replaced, parts in parentheses doubled, dropped and exchanged.  Give the new
 * size; the same seed gives the same.
 */
#ifndef CHI_FUZZ_MUTATE_H
#define CHI_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

size_t mutate_module(uint8_t *data, size_t size, size_t max_size,
                     unsigned seed);
size_t mutate_text(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
