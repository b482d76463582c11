#include <stdio.h>

#include "text/lex.h"
#include "text/parse.h"

void text_locate(const TextModule *t, uint64_t offset, uint32_t *line,
                 uint32_t *column)
{
    uint32_t low = 0, high = t->n_positions; /* the last one at or before */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->positions[middle].binary <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *line = *column = 1;
    if (low > 0)
        lex_position(t->text, t->text + t->positions[low - 1].text, line,
                     column);
}

void text_locate_error(const TextModule *t, Error *err)
{
    if (err->line || err->offset == ERROR_NO_OFFSET)
        return;
    text_locate(t, err->offset, &err->line, &err->column);
}

static bool ends_line(char c) { return c == '\n' || c == '\r'; }

/* The line of that number; *len is its length. */
static const char *find_line(const char *text, const char *end, uint32_t line,
                             size_t *len)
{
    const char *p = text;
    while (line > 1 && p < end) {
        if (*p == '\n' || (*p == '\r' && !(p + 1 < end && p[1] == '\n')))
            line--;
        p++;
    }
    const char *q = p;
    while (q < end && !ends_line(*q))
        q++;
    *len = (size_t)(q - p);
    return p;
}

/* Around the column, for lines too long to show. */
enum { BEFORE = 60, SHOWN = 100 };

static void show_line(const char *line, size_t len, uint32_t column,
                      Writer *out)
{
    const char *end = line + len, *caret = line;
    for (uint32_t i = 1; i < column && caret < end; i++)
        do
            caret++;
        while (caret < end && ((uint8_t)*caret & 0xc0) == 0x80);
    const char *from = line;
    if (caret - line > SHOWN - 20) {
        from = caret - BEFORE;
        while (((uint8_t)*from & 0xc0) == 0x80)
            from++;
    }
    const char *to = end - from > SHOWN ? from + SHOWN : end;
    while (to < end && ((uint8_t)*to & 0xc0) == 0x80)
        to++;
    writer_text(out, "    ");
    writer_bytes(out, from, (size_t)(to - from));
    writer_text(out, "\n    ");
    for (const char *p = from; p < caret; p++)
        if (((uint8_t)*p & 0xc0) != 0x80)
            writer_byte(out, *p == '\t' ? '\t' : ' ');
    writer_text(out, "^\n");
}

void text_show_error(const char *file, const char *text, size_t len,
                     const Error *err, Writer *out)
{
    if (!err->line) {
        if (err->offset == ERROR_NO_OFFSET)
            writer_printf(out, "%s: error: %s\n", file, err->message);
        else
            writer_printf(out, "%s:0x%llx: error: %s\n", file,
                          (unsigned long long)err->offset, err->message);
        return;
    }
    writer_printf(out, "%s:%u:%u: error: %s\n", file, err->line, err->column,
                  err->message);
    size_t line_len;
    const char *line = find_line(text, text + len, err->line, &line_len);
    show_line(line, line_len, err->column, out);
}
