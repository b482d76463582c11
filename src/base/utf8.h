/* utf8.h - UTF-8 as names and text need it.  See Unicode 15, 3.9. */
#ifndef CHI_BASE_UTF8_H
#define CHI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one scalar value at *p and moves past it.  Returns UINT32_MAX, and
 * does not move, where the bytes are no UTF-8.  Requires *p < end. */
uint32_t utf8_decode(const uint8_t **p, const uint8_t *end);

/* Writes at most 4 bytes; returns how many.  0: not a scalar value. */
size_t utf8_encode(uint32_t scalar, uint8_t out[4]);

bool utf8_is_valid(const uint8_t *p, size_t len);

#endif
