/* lz.c - LZ77 with a hash of four bytes, over n texts of 32 KiB: packing,
 * unpacking and comparing. */
#include "kernel.h"

enum {
    SIZE = 32768,
    HASH_BITS = 12,
    MIN_MATCH = 4,
    MAX_MATCH = 130,
    MAX_RUN = 128
};

static uint8_t text[SIZE], unpacked[SIZE];
static uint8_t packed[SIZE + SIZE / MAX_RUN + 16];
static uint16_t last[1 << HASH_BITS];

/* Words of a small vocabulary, so that matches are as common as in prose. */
static void make_text(uint32_t seed)
{
    uint32_t at = 0;

    while (at < SIZE) {
        uint32_t word = next_random(&seed) % 400;
        uint32_t length = 2 + word % 9;

        for (uint32_t i = 0; i < length && at < SIZE; i++) {
            word = word * 69069 + 7;
            text[at++] = (uint8_t)('a' + (word >> 16) % 26);
        }
        if (at < SIZE)
            text[at++] = ' ';
    }
}

static uint32_t hash_at(const uint8_t *p)
{
    uint32_t word = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16
                    | (uint32_t)p[3] << 24;

    return word * 2654435761u >> (32 - HASH_BITS);
}

static uint32_t match_length(uint32_t a, uint32_t b)
{
    uint32_t length = 0;

    while (b + length < SIZE && length < MAX_MATCH
           && text[a + length] == text[b + length])
        length++;
    return length;
}

/* A run is count - 1, then the bytes; a match 128 + length - 3, then the
 * distance in two bytes. */
static uint32_t put_run(uint32_t out, uint32_t from, uint32_t to)
{
    while (from < to) {
        uint32_t count = to - from < MAX_RUN ? to - from : MAX_RUN;

        packed[out++] = (uint8_t)(count - 1);
        for (; count > 0; count--)
            packed[out++] = text[from++];
    }
    return out;
}

static uint32_t pack(void)
{
    uint32_t at = 0, run = 0, out = 0;

    for (int i = 0; i < 1 << HASH_BITS; i++)
        last[i] = 0;
    while (at + MIN_MATCH <= SIZE) {
        uint32_t h = hash_at(text + at), before = last[h], length = 0;

        last[h] = (uint16_t)at;
        if (before < at)
            length = match_length(before, at);
        if (length < MIN_MATCH) {
            at++;
            continue;
        }
        out = put_run(out, run, at);
        packed[out++] = (uint8_t)(128 + length - 3);
        packed[out++] = (uint8_t)(at - before);
        packed[out++] = (uint8_t)((at - before) >> 8);
        at += length;
        run = at;
    }
    return put_run(out, run, SIZE);
}

static void unpack(uint32_t size)
{
    uint32_t in = 0, out = 0;

    while (in < size) {
        uint32_t head = packed[in++];

        if (head < 128) {
            for (uint32_t i = 0; i <= head; i++)
                unpacked[out++] = packed[in++];
        } else {
            uint32_t from = out - (packed[in] | (uint32_t)packed[in + 1] << 8);

            in += 2;
            for (uint32_t i = 0; i < head - 125; i++)
                unpacked[out++] = unpacked[from++];
        }
    }
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t size, wrong = 0;

        make_text(1 + i);
        size = pack();
        unpack(size);
        for (int j = 0; j < SIZE; j++)
            wrong += text[j] != unpacked[j];
        sum = mix(sum, size + wrong * SIZE);
    }
    return sum;
}
