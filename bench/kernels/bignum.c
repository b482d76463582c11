/* bignum.c - n multiplications of 2048-bit numbers, the low half of the
 * square added to the high: 32 by 32 to 64 bits, and carries. */
#include "kernel.h"

enum { LIMBS = 64 };

static uint32_t number[LIMBS], product[2 * LIMBS];

static void square(void)
{
    for (int i = 0; i < 2 * LIMBS; i++)
        product[i] = 0;
    for (int i = 0; i < LIMBS; i++) {
        uint64_t carry = 0, factor = number[i];

        for (int j = 0; j < LIMBS; j++) {
            carry += factor * number[j] + product[i + j];
            product[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i + LIMBS] = (uint32_t)carry;
    }
}

/* Reduces the product modulo 2^2048 - 1. */
static void reduce(void)
{
    uint64_t carry = 0;

    for (int i = 0; i < LIMBS; i++) {
        carry += (uint64_t)product[i] + product[i + LIMBS];
        number[i] = (uint32_t)carry;
        carry >>= 32;
    }
    for (int i = 0; carry && i < LIMBS; i++) {
        carry += number[i];
        number[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 314159265u, sum = 0;

    for (int i = 0; i < LIMBS; i++)
        number[i] = next_random(&seed);
    for (uint32_t i = 0; i < n; i++) {
        square();
        reduce();
        number[i % LIMBS] ^= i;
    }
    for (int i = 0; i < LIMBS; i++)
        sum = mix(sum, number[i]);
    return sum;
}
