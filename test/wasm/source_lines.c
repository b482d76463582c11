/* source_lines.c - what line tables say, byte by byte.
 *
 *     source_lines FILE                     prints "0x3 /src/a.c:3:14", with
 *                                           the address in the code section,
 *                                           where the answer changes
 *     source_lines --mutate ROUNDS FILE...  breaks the sections of each file
 *                                           in many ways and asks everywhere
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chiasm.h"

typedef struct {
    uint8_t *bytes;
    size_t len;
} File;

static File read_file(const char *path)
{
    File f = {malloc(1 << 20), 0};
    FILE *in = fopen(path, "rb");
    if (!in || !f.bytes) {
        perror(path);
        exit(1);
    }
    f.len = fread(f.bytes, 1, 1 << 20, in);
    fclose(in);
    return f;
}

static chi_module *load(const File *f)
{
    chi_error err = {0};
    chi_module *m = chi_module_new(f->bytes, f->len, chi_features_all(), &err);
    if (!m) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return m;
}

static uint64_t read_leb(const uint8_t *p, size_t *at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = p[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

/* The content of the code section. */
static void find_code(const File *f, size_t *start, size_t *end)
{
    for (size_t at = 8; at < f->len;) {
        uint8_t id = f->bytes[at++];
        uint64_t len = read_leb(f->bytes, &at);
        *start = at;
        *end = at += len;
        if (id == 10)
            return;
    }
    *start = *end = 0;
}

static void print_all(const char *path)
{
    size_t start, end;
    File f = read_file(path);
    chi_module *m = load(&f);
    char text[600], last[600] = "";
    find_code(&f, &start, &end);
    for (size_t at = start; at < end; at++) {
        chi_source s;
        if (chi_module_source(m, (uint32_t)at, &s))
            snprintf(text, sizeof text, "%s:%u:%u", s.file, s.line, s.column);
        else
            strcpy(text, "??:0:0");
        if (strcmp(text, last))
            printf("0x%zx %s\n", at - start, text);
        strcpy(last, text);
    }
    chi_module_free(m);
    free(f.bytes);
}

/* ---- mutation */

static uint64_t state = 88172645463325252u;

static uint32_t chance(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % n;
}

/* Changes some bytes of a section. */
static void mutate(uint8_t *p, size_t len)
{
    static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
    for (uint32_t n = 1 + chance(4); n > 0 && len > 4; n--) {
        uint32_t at = chance((uint32_t)len - 4);
        uint32_t word = chance(2) ? UINT32_MAX - chance(3) : chance(256);
        switch (chance(5)) {
        case 0: p[at] ^= (uint8_t)(1u << chance(8)); break;
        case 1: p[at] = edges[chance(sizeof edges)]; break;
        case 2: memcpy(p + at, &word, sizeof word); break;
        case 3: p[at] = (uint8_t)chance(256); break;
        case 4: {
            uint32_t from = chance((uint32_t)len - 4);
            memmove(p + at, p + from, 1 + chance(4));
            break;
        }
        }
    }
}

static void mutate_sections(const File *original, const chi_module *m,
                            File *copy)
{
    size_t len;
    const uint8_t *base = chi_module_bytes(m, &len);
    memcpy(copy->bytes, original->bytes, original->len);
    for (uint32_t k = 0; k < chi_module_n_customs(m); k++) {
        chi_custom c;
        chi_module_custom(m, k, &c);
        bool wanted = c.name_len > 7 && !memcmp(c.name, ".debug_", 7);
        if (wanted && chance(2))
            mutate(copy->bytes + (c.data - base), c.len);
    }
}

static unsigned ask_everywhere(const File *f)
{
    unsigned known = 0;
    chi_module *m = load(f);
    for (uint32_t at = 0; at < f->len; at++) {
        chi_source s;
        memset(&s, 0xa5, sizeof s);
        if (!chi_module_source(m, at, &s))
            continue;
        known++;
        if (!memchr(s.file, 0, sizeof s.file) || !*s.file || s.line == 0) {
            fprintf(stderr, "offset 0x%x: no place\n", at);
            exit(1);
        }
    }
    chi_module_free(m);
    return known;
}

static void mutate_file(const char *path, unsigned rounds)
{
    File f = read_file(path), copy = {malloc(f.len), f.len};
    chi_module *m = load(&f);
    unsigned known = 0;
    for (unsigned k = 0; copy.bytes && k < rounds; k++) {
        mutate_sections(&f, m, &copy);
        known += ask_everywhere(&copy) > 0;
    }
    printf("%u of %u still say something\n", known, rounds);
    chi_module_free(m);
    free(copy.bytes);
    free(f.bytes);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        print_all(argv[1]);
    else if (argc > 3 && !strcmp(argv[1], "--mutate"))
        for (int k = 3; k < argc; k++)
            mutate_file(argv[k], (unsigned)atoi(argv[2]));
    else
        return 2;
    return 0;
}
