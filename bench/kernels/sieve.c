/* sieve.c - the sieve of Eratosthenes below n: strided byte stores. */
#include "kernel.h"

enum { LIMIT = 16000000 };

static uint8_t composite[LIMIT];

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    if (n > LIMIT)
        n = LIMIT;
    for (uint32_t i = 0; i < n; i++)
        composite[i] = 0;
    for (uint32_t i = 2; i * i < n; i++) {
        if (composite[i])
            continue;
        for (uint32_t j = i * i; j < n; j += i)
            composite[j] = 1;
    }
    for (uint32_t i = 2; i < n; i++)
        if (!composite[i])
            sum += i;
    return sum;
}
