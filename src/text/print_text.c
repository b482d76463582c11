#include "base/utf8.h"
#include "text/lex.h"
#include "text/print.h"

static void put_escape(uint8_t c, Writer *out)
{
    writer_byte(out, '\\');
    switch (c) {
    case '\t': writer_byte(out, 't'); return;
    case '\n': writer_byte(out, 'n'); return;
    case '\r': writer_byte(out, 'r'); return;
    case '"':
    case '\\': writer_byte(out, c); return;
    default: break;
    }
    writer_byte(out, (uint8_t)"0123456789abcdef"[c >> 4]);
    writer_byte(out, (uint8_t)"0123456789abcdef"[c & 15]);
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void print_bytes(const uint8_t *bytes, size_t len, Writer *out)
{
    writer_byte(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (is_plain(bytes[i]))
            writer_byte(out, bytes[i]);
        else
            put_escape(bytes[i], out);
    }
    writer_byte(out, '"');
}

/* Characters that can be seen, and do not change how others are shown. */
static bool is_visible(uint32_t c)
{
    if (c < 0xa1 || c == 0xad)
        return false;
    bool joiner = c >= 0x200b && c <= 0x200f;
    bool direction = c >= 0x2028 && c <= 0x202f;
    bool invisible = c >= 0x2060 && c <= 0x206f;
    bool private_or_surrogate = c >= 0xd800 && c <= 0xf8ff;
    bool special = c == 0x061c || c == 0x3000 || c == 0xfeff
                   || (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000;
    return !joiner && !direction && !invisible && !private_or_surrogate
           && !special;
}

static void put_text(const char *text, size_t len, Writer *out)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    while (p < end) {
        const uint8_t *from = p;
        if (*p < 0x80) {
            if (is_plain(*p))
                writer_byte(out, *p);
            else
                put_escape(*p, out);
            p++;
            continue;
        }
        uint32_t c = utf8_decode(&p, end);
        if (c != UINT32_MAX && is_visible(c)) {
            writer_bytes(out, from, (size_t)(p - from));
            continue;
        }
        p = p == from ? p + 1 : p;
        for (; from < p; from++)
            put_escape(*from, out);
    }
}

void print_text(const char *text, size_t len, Writer *out)
{
    writer_byte(out, '"');
    put_text(text, len, out);
    writer_byte(out, '"');
}

void print_id(Name id, Writer *out)
{
    bool plain = true;
    for (uint32_t i = 0; i < id.len && plain; i++)
        plain = lex_is_idchar((uint8_t)id.bytes[i]);
    writer_byte(out, '$');
    if (plain)
        writer_bytes(out, id.bytes, id.len);
    else
        print_text(id.bytes, id.len, out);
}
