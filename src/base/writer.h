/* writer.h - a growing buffer of bytes.
 *
 * All zero is an empty writer.  writer_free releases; writer_take hands the
 * bytes (malloc) to the caller.  Grows by half; ends the process when the
 * system refuses memory, as arenas do.
 */
#ifndef CHI_BASE_WRITER_H
#define CHI_BASE_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

typedef struct {
    uint8_t *data;
    size_t len, capacity;
} Writer;

void writer_grow(Writer *w, size_t more);
void writer_free(Writer *w);
uint8_t *writer_take(Writer *w, size_t *len);
void writer_printf(Writer *w, const char *format, ...) PRINTF_LIKE(2, 3);

static inline void writer_byte(Writer *w, uint8_t byte)
{
    if (w->len == w->capacity)
        writer_grow(w, 1);
    w->data[w->len++] = byte;
}
static inline void writer_bytes(Writer *w, const void *data, size_t n)
{
    if (w->capacity - w->len < n)
        writer_grow(w, n);
    if (n)
        memcpy(w->data + w->len, data, n);
    w->len += n;
}
static inline void writer_text(Writer *w, const char *text)
{
    writer_bytes(w, text, strlen(text));
}

/* Minimal LEB128, see WebAssembly 3.0, 5.2.2. */
void writer_u64(Writer *w, uint64_t value);
void writer_s64(Writer *w, int64_t value);
static inline void writer_u32(Writer *w, uint32_t value)
{
    writer_u64(w, value);
}
static inline void writer_s32(Writer *w, int32_t value)
{
    writer_s64(w, value);
}

/* A vector of bytes: its length, then the bytes. */
static inline void writer_sized(Writer *w, const void *data, size_t n)
{
    writer_u64(w, n);
    writer_bytes(w, data, n);
}

#endif
