/* fannkuch.c - pancake flips over all permutations of nine, n times over:
 * short loops over a small array, branches that are hard to guess. */
#include "kernel.h"

enum { ORDER = 9 };

static uint32_t first[ORDER], perm[ORDER], count[ORDER];

static uint32_t flip_count(void)
{
    uint32_t flips = 0, top;

    for (int i = 0; i < ORDER; i++)
        perm[i] = first[i];
    while ((top = perm[0]) != 0) {
        for (uint32_t i = 0, j = top; i < j; i++, j--) {
            uint32_t t = perm[i];

            perm[i] = perm[j];
            perm[j] = t;
        }
        flips++;
    }
    return flips;
}

/* Steps to the next permutation; 0 after the last. */
static int next_permutation(void)
{
    for (uint32_t r = 1; r < ORDER; r++) {
        uint32_t t = first[0];

        for (uint32_t i = 0; i < r; i++)
            first[i] = first[i + 1];
        first[r] = t;
        if (++count[r] <= r)
            return 1;
        count[r] = 0;
    }
    return 0;
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0, most = 0;

    for (uint32_t round = 0; round < n; round++) {
        for (uint32_t i = 0; i < ORDER; i++) {
            first[i] = (i + round) % ORDER;
            count[i] = 0;
        }
        for (uint32_t parity = 0;; parity ^= 1) {
            uint32_t flips = flip_count();

            if (flips > most)
                most = flips;
            sum += parity ? 0u - flips : flips;
            if (!next_permutation())
                break;
        }
        sum = mix(sum, most);
    }
    return sum;
}
