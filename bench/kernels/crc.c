/* crc.c - CRC-32 of n times 64 KiB, a byte at a time through a table: a chain
 * of dependent loads. */
#include "kernel.h"

enum { SIZE = 65536 };

static uint32_t table[256];
static uint8_t data[SIZE];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 1, crc = 0xffffffffu;

    make_table();
    for (int i = 0; i < SIZE; i++)
        data[i] = (uint8_t)next_random(&seed);
    for (uint32_t round = 0; round < n; round++)
        for (int i = 0; i < SIZE; i++)
            crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}
