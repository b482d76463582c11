#include "text/show.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "text/intern.h"
#include "text/lex.h"

enum { BLOCK = 4096 };

typedef struct {
    uint32_t line, column;
} Place;

struct TextPlaces {
    Place *starts; /* of blocks */
    uint32_t n, capacity;
};

TextPlaces *show_places_new(void)
{
    TextPlaces *t = intern_resize(NULL, 1, sizeof *t);
    *t = (TextPlaces){0};
    return t;
}

void show_places_free(TextPlaces *t)
{
    if (t)
        free(t->starts);
    free(t);
}

static void add_start(TextPlaces *t, const char *text)
{
    if (t->n == t->capacity) {
        t->capacity = t->capacity + t->capacity / 2 + 16;
        t->starts = intern_resize(t->starts, t->capacity, sizeof *t->starts);
    }
    Place next = {1, 1};
    if (t->n > 0) {
        const char *from = text + (size_t)(t->n - 1) * BLOCK;
        next = t->starts[t->n - 1];
        lex_count(text, from, from + BLOCK, &next.line, &next.column);
    }
    t->starts[t->n++] = next;
}

static void find_place(TextPlaces *t, const char *text, uint32_t offset,
                       uint32_t *line, uint32_t *column)
{
    uint32_t block = offset / BLOCK;
    while (t->n <= block)
        add_start(t, text);
    *line = t->starts[block].line;
    *column = t->starts[block].column;
    lex_count(text, text + (size_t)block * BLOCK, text + offset, line, column);
}

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
        find_place(t->places, t->text, t->positions[low - 1].text, line,
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
    for (; line > 1 && p < end; p++)
        if (*p == '\r' || (*p == '\n' && !(p > text && p[-1] == '\r')))
            line--;
    if (p > text && p < end && *p == '\n' && p[-1] == '\r')
        p++;
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
