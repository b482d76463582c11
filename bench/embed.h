/* embed.h - what the embedders of every engine share. */
#ifndef CHI_BENCH_EMBED_H
#define CHI_BENCH_EMBED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail("no such file");
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*len + 1);
    if (!data || fread(data, 1, *len, f) != *len)
        fail("cannot be read");
    fclose(f);
    return data;
}

#endif
