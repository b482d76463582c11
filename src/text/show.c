#include "base/utf8.h"
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

/* Of a line too long to show, these many bytes around the column. */
enum { BEFORE = 60, SHOWN = 100 };

static bool continues(const char *p, const char *end)
{
    return p < end && ((uint8_t)*p & 0xc0) == 0x80;
}

/* The characters from p up to `end`, what a terminal would obey replaced. */
static void show_characters(const char *p, const char *end, Writer *out)
{
    while (p < end) {
        const uint8_t *q = (const uint8_t *)p;
        uint32_t c = utf8_decode(&q, (const uint8_t *)end);
        bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (c == UINT32_MAX || (control && c != '\t')) {
            writer_text(out, "\xef\xbf\xbd");
            p++;
        } else {
            writer_bytes(out, p, (size_t)((const char *)q - p));
            p = (const char *)q;
        }
    }
}

static void show_line(const char *line, size_t len, uint32_t column,
                      Writer *out)
{
    const char *end = line + len, *caret = line;
    for (uint32_t i = 1; i < column && caret < end; i++)
        do
            caret++;
        while (continues(caret, end));
    const char *from = caret - line > SHOWN - 20 ? caret - BEFORE : line;
    while (continues(from, caret))
        from++;
    const char *to = end - from > SHOWN ? from + SHOWN : end;
    while (continues(to, end))
        to++;
    writer_text(out, "    ");
    show_characters(from, to, out);
    writer_text(out, "\n    ");
    for (const char *p = from; p < caret; p++)
        if (!continues(p, caret))
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
