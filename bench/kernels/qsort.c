/* qsort.c - quicksort of n random words, insertion sort at the leaves:
 * compares that cannot be predicted. */
#include "kernel.h"

enum { LIMIT = 4000000, SMALL = 12 };

static uint32_t words[LIMIT];

static void sort_small(uint32_t *low, uint32_t *high)
{
    for (uint32_t *p = low + 1; p <= high; p++) {
        uint32_t value = *p, *hole = p;

        for (; hole > low && hole[-1] > value; hole--)
            *hole = hole[-1];
        *hole = value;
    }
}

static uint32_t median(uint32_t a, uint32_t b, uint32_t c)
{
    if (a < b)
        return b < c ? b : a < c ? c : a;
    return a < c ? a : b < c ? c : b;
}

static void sort(uint32_t *low, uint32_t *high)
{
    while (high - low > SMALL) {
        uint32_t pivot = median(*low, low[(high - low) / 2], *high);
        uint32_t *i = low, *j = high;

        while (i <= j) {
            while (*i < pivot)
                i++;
            while (*j > pivot)
                j--;
            if (i <= j) {
                uint32_t t = *i;

                *i++ = *j;
                *j-- = t;
            }
        }
        sort(low, j);
        low = i;
    }
    sort_small(low, high);
}

uint32_t kernel(uint32_t n)
{
    uint32_t seed = 2463534242u, sum = 0;

    if (n > LIMIT)
        n = LIMIT;
    if (n == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        words[i] = next_random(&seed);
    sort(words, words + n - 1);
    for (uint32_t i = 0; i < n; i += 101)
        sum = mix(sum, words[i]);
    return sum;
}
