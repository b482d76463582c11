#include "base/writer.h"

#include <stdio.h>
#include <stdlib.h>

void writer_grow(Writer *w, size_t more)
{
    size_t capacity = w->capacity + w->capacity / 2;
    if (capacity < w->len + more)
        capacity = w->len + more;
    if (capacity < 64)
        capacity = 64;
    uint8_t *data = realloc(w->data, capacity);
    if (!data) {
        fprintf(stderr, "chiasm: out of memory (%zu bytes)\n", capacity);
        abort();
    }
    w->data = data;
    w->capacity = capacity;
}

void writer_free(Writer *w)
{
    free(w->data);
    *w = (Writer){0};
}

uint8_t *writer_take(Writer *w, size_t *len)
{
    if (!w->data)
        writer_grow(w, 1);
    uint8_t *data = w->data;
    *len = w->len;
    *w = (Writer){0};
    return data;
}

void writer_printf(Writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (w->capacity - w->len < (size_t)n + 1)
        writer_grow(w, (size_t)n + 1);
    va_start(args, format);
    vsnprintf((char *)w->data + w->len, (size_t)n + 1, format, args);
    va_end(args);
    w->len += (size_t)n;
}

void writer_u64(Writer *w, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        writer_byte(w, (uint8_t)(value | 0x80));
    writer_byte(w, (uint8_t)value);
}

void writer_s64(Writer *w, int64_t value)
{
    for (; value < -0x40 || value >= 0x40; value >>= 7)
        writer_byte(w, (uint8_t)(value | 0x80));
    writer_byte(w, (uint8_t)(value & 0x7f));
}
