/* number.h - the numbers of the text format, read and written bit by bit.
 *
 * Own code throughout: strtod and printf obey the locale, which an embedder
 * may set, and strtod knows neither underscores nor NaN payloads.  Reading is
 * correctly rounded for each width on its own; what is printed reads back as
 * the same bits.  See WebAssembly 3.0, 6.3.1 and 6.3.2.
 */
#ifndef CHI_TEXT_NUMBER_H
#define CHI_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    NUMBER_OK,
    NUMBER_SYNTAX, /* not a number of this kind */
    NUMBER_RANGE   /* a number, but too large */
} NumberResult;

/* An unsigned number at most `max`. */
NumberResult number_unsigned(const char *s, size_t len, uint64_t max,
                             uint64_t *out);
/* A number of 8, 16, 32 or 64 bits, signed or unsigned; in the low bits. */
NumberResult number_integer(const char *s, size_t len, unsigned bits,
                            uint64_t *out);
NumberResult number_f32(const char *s, size_t len, uint32_t *bits);
NumberResult number_f64(const char *s, size_t len, uint64_t *bits);

enum { NUMBER_TEXT_SIZE = 40 };

/* Shortest decimal that reads back, or nan forms.  Gives the length; writes
 * a NUL. */
size_t number_print_f32(uint32_t bits, char out[NUMBER_TEXT_SIZE]);
size_t number_print_f64(uint64_t bits, char out[NUMBER_TEXT_SIZE]);

#endif
