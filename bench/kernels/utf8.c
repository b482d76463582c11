/* utf8.c - a text of four scripts decoded from UTF-8, with all the checks,
 * to UTF-16 and back, n times: byte loads and branches. */
#include "kernel.h"

enum { LETTERS = 40000, MAX_BYTES = LETTERS * 4 };

static uint8_t text[MAX_BYTES];
static uint16_t wide[LETTERS * 2];

static uint32_t put_letter(uint32_t at, uint32_t c)
{
    if (c < 0x80) {
        text[at++] = (uint8_t)c;
    } else if (c < 0x800) {
        text[at++] = (uint8_t)(0xc0 | c >> 6);
        text[at++] = (uint8_t)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        text[at++] = (uint8_t)(0xe0 | c >> 12);
        text[at++] = (uint8_t)(0x80 | (c >> 6 & 63));
        text[at++] = (uint8_t)(0x80 | (c & 63));
    } else {
        text[at++] = (uint8_t)(0xf0 | c >> 18);
        text[at++] = (uint8_t)(0x80 | (c >> 12 & 63));
        text[at++] = (uint8_t)(0x80 | (c >> 6 & 63));
        text[at++] = (uint8_t)(0x80 | (c & 63));
    }
    return at;
}

/* Half ASCII, then Greek, Chinese and pictures, in runs. */
static uint32_t make_text(void)
{
    uint32_t seed = 362436069u, size = 0;
    uint32_t base = 'a', range = 26;

    for (int i = 0; i < LETTERS; i++) {
        uint32_t x = next_random(&seed);

        if (x % 8 == 0) {
            uint32_t script = x >> 8 & 7;

            base = script < 4 ? 'a' : script < 6 ? 0x3b1 : 0x4e00;
            range = base == 0x4e00 ? 0x5000 : 24;
            if (script == 7)
                base = 0x1f600, range = 60;
        }
        size = put_letter(size, base + (x >> 12) % range);
    }
    return size;
}

static inline int is_tail(uint32_t byte) { return (byte & 0xc0) == 0x80; }

/* The letter at p and its length in the low three bits; 0 if malformed. */
static inline uint32_t decode(const uint8_t *p, uint32_t left)
{
    uint32_t a = p[0], c;

    if (a < 0x80)
        return a << 3 | 1;
    if (a < 0xe0) {
        if (a < 0xc2 || left < 2 || !is_tail(p[1]))
            return 0;
        return ((a & 31) << 6 | (p[1] & 63u)) << 3 | 2;
    }
    if (a < 0xf0) {
        if (left < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        c = (a & 15) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
        return c < 0x800 || c >> 11 == 27 ? 0 : c << 3 | 3;
    }
    if (a > 0xf4 || left < 4 || !is_tail(p[1]) || !is_tail(p[2])
        || !is_tail(p[3]))
        return 0;
    c = (a & 7) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    return c < 0x10000 || c > 0x10ffff ? 0 : c << 3 | 4;
}

static uint32_t widen(uint32_t size)
{
    uint32_t at = 0, out = 0;

    while (at < size) {
        uint32_t letter = decode(text + at, size - at), c = letter >> 3;

        if (letter == 0) {
            letter = 1;
            c = 0xfffd;
        }
        if (c < 0x10000) {
            wide[out++] = (uint16_t)c;
        } else {
            wide[out++] = (uint16_t)(0xd7c0 + (c >> 10));
            wide[out++] = (uint16_t)(0xdc00 | (c & 0x3ff));
        }
        at += letter & 7;
    }
    return out;
}

static uint32_t narrow(uint32_t count)
{
    uint32_t size = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t c = wide[i];

        if (c >> 10 == 0x36 && i + 1 < count)
            c = ((c & 0x3ff) << 10 | (wide[++i] & 0x3ffu)) + 0x10000;
        size = put_letter(size, c);
    }
    return size;
}

uint32_t kernel(uint32_t n)
{
    uint32_t size = make_text(), sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t count = widen(size);

        sum = mix(mix(sum, count), wide[(i * 7919 + 1) % count]);
        wide[i * 7919 % count] = (uint16_t)('A' + i % 26);
        size = narrow(count);
    }
    return mix(sum, size);
}
