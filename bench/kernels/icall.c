/* icall.c - n rounds of calls through pointers: one site that sees a single
 * function for long stretches, and one that sees a new one each time. */
#include "kernel.h"

enum { FUNCTIONS = 6, WORDS = 64 };

typedef uint32_t Operation(uint32_t x, uint32_t y);

static uint32_t add(uint32_t x, uint32_t y) { return x + y; }
static uint32_t sub(uint32_t x, uint32_t y) { return x - (y ^ 0x5bd1e995u); }
static uint32_t flip(uint32_t x, uint32_t y) { return x ^ y << 1; }
static uint32_t mul(uint32_t x, uint32_t y) { return x * (y | 1); }
static uint32_t turn(uint32_t x, uint32_t y) { return (x << 7 | x >> 25) + y; }
static uint32_t fall(uint32_t x, uint32_t y) { return (x ^ x >> 15) - y; }

static Operation *const functions[FUNCTIONS] = {add, sub,  flip,
                                                mul, turn, fall};
static uint8_t order[WORDS];
static uint32_t words[WORDS];

static NOINLINE uint32_t fold(Operation *f, uint32_t x)
{
    for (int i = 0; i < WORDS; i++)
        x = f(x, words[i]);
    return x;
}

static NOINLINE uint32_t run(uint32_t x)
{
    for (int i = 0; i < WORDS; i++)
        x = functions[order[i]](x, words[i]);
    return x;
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 521288629u, x = 1;

    for (int i = 0; i < WORDS; i++) {
        words[i] = next_random(&seed);
        order[i] = (uint8_t)(words[i] % FUNCTIONS);
    }
    for (uint32_t round = 0; round < n; round++) {
        x = fold(functions[round / 256 % FUNCTIONS], x);
        x = run(x ^ round);
    }
    return x;
}
