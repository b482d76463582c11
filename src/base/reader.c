#include "base/reader.h"

int reader_fail(Reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_set_va(r->err, ERR_MALFORMED, reader_offset(r), format, args);
    va_end(args);
    r->p = r->end;
    return 0;
}

/* The unused bits of the last byte must be zero, or for a signed number
 * copies of the sign: see WebAssembly 3.0, 5.2.2. */
static uint64_t leb(Reader *r, unsigned bits, bool is_signed)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (r->p >= r->end)
            return (uint64_t)reader_fail(r, "unexpected end");
        uint8_t byte = *r->p;
        unsigned left = bits - shift; /* value bits still to come */
        if (left < 8) {
            if (byte & 0x80)
                return (uint64_t)reader_fail(r,
                                             "integer representation too long");
            uint8_t sign = (uint8_t)((byte >> (left - 1)) & 1);
            uint8_t rest = (uint8_t)((byte & 0x7f) >> left);
            uint8_t want = is_signed && sign ? (uint8_t)(0x7f >> left) : 0;
            if (rest != want)
                return (uint64_t)reader_fail(r, "integer too large");
        }
        r->p++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            if (is_signed && (byte & 0x40) && shift + 7 < 64)
                value |= ~(uint64_t)0 << (shift + 7);
            return value;
        }
    }
}

/* Two and three bytes are frequent: indices and offsets. */
uint32_t reader_u32_slow(Reader *r)
{
    const uint8_t *p = r->p;
    if (reader_left(r) < 3)
        return (uint32_t)leb(r, 32, false);
    uint32_t low = (p[0] & 0x7fu) | (p[1] & 0x7fu) << 7;
    if (p[1] < 0x80) {
        r->p += 2;
        return low;
    }
    if (p[2] < 0x80) {
        r->p += 3;
        return low | (uint32_t)p[2] << 14;
    }
    return (uint32_t)leb(r, 32, false);
}
int32_t reader_s32_slow(Reader *r) { return (int32_t)leb(r, 32, true); }
uint64_t reader_u64_slow(Reader *r) { return leb(r, 64, false); }
int64_t reader_s64_slow(Reader *r) { return (int64_t)leb(r, 64, true); }
int64_t reader_s33_slow(Reader *r) { return (int64_t)leb(r, 33, true); }
