/* isum.c - the sum of 32 Ki words, n times: a loop of one load and one add,
 * which a vectorising compiler makes four times as wide. */
#include "kernel.h"

enum { WORDS = 32768 };

static uint32_t words[WORDS];

static uint32_t add_up(void)
{
    uint32_t sum = 0;

    for (int i = 0; i < WORDS; i++)
        sum += words[i];
    return sum;
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 123456789u, sum = 0;

    for (int i = 0; i < WORDS; i++)
        words[i] = next_random(&seed);
    for (uint32_t i = 0; i < n; i++) {
        sum = mix(sum, add_up());
        words[i % WORDS] = sum;
    }
    return sum;
}
