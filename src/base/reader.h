/* reader.h - a cursor over bytes that are not trusted.
 *
 * Sticky: after a failure every read gives 0 and the cursor stands at the
 * end, so a record is read without a check per field.  A loop whose count
 * comes from the input asks reader_ok every turn.  See WebAssembly 3.0, 5.2.2
 * (integers in LEB128).
 */
#ifndef CHI_BASE_READER_H
#define CHI_BASE_READER_H

#include <stddef.h>
#include <string.h>

#include "base/error.h"

typedef struct {
    const uint8_t *start; /* of the whole input: offsets count from here */
    const uint8_t *p, *end;
    Error *err;
} Reader;

static inline uint64_t reader_offset(const Reader *r)
{
    return (uint64_t)(r->p - r->start);
}
static inline size_t reader_left(const Reader *r)
{
    return (size_t)(r->end - r->p);
}
static inline bool reader_ok(const Reader *r) { return r->err->code == ERR_OK; }

/* Fails as malformed at the cursor; moves to the end.  Returns 0. */
int reader_fail(Reader *r, const char *format, ...) PRINTF_LIKE(2, 3);

uint32_t reader_u32_slow(Reader *r);
int32_t reader_s32_slow(Reader *r);
uint64_t reader_u64_slow(Reader *r);
int64_t reader_s64_slow(Reader *r);
int64_t reader_s33_slow(Reader *r);

static inline uint8_t reader_byte(Reader *r)
{
    if (r->p < r->end)
        return *r->p++;
    return (uint8_t)reader_fail(r, "unexpected end");
}

/* One-byte fast path in front of each LEB128 reader. */
#define READER_LEB(T, NAME, SIGNED)                                            \
    static inline T reader_##NAME(Reader *r)                                   \
    {                                                                          \
        if (r->p < r->end && *r->p < (SIGNED ? 0x40 : 0x80))                   \
            return *r->p++;                                                    \
        return reader_##NAME##_slow(r);                                        \
    }
READER_LEB(uint32_t, u32, 0)
READER_LEB(int32_t, s32, 1)
READER_LEB(uint64_t, u64, 0)
READER_LEB(int64_t, s64, 1)
READER_LEB(int64_t, s33, 1)
#undef READER_LEB

/* Gives n bytes in place, or NULL after a failure. */
static inline const uint8_t *reader_bytes(Reader *r, size_t n)
{
    if (reader_left(r) < n) {
        reader_fail(r, "unexpected end: %zu bytes wanted, %zu left", n,
                    reader_left(r));
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

#endif
