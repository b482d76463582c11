/* matmul.c - n products of f64 matrices, each entry a dot product of a row
 * and a column: strided loads, one chain of additions. */
#include "kernel.h"

enum { ORDER = 200 };

static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];

static void fill(void)
{
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j < ORDER; j++) {
            a[i][j] = (double)((i * 7 + j * 3) % 17 - 8) / 64;
            b[i][j] = (double)((i * 5 + j * 11) % 13 - 6) / 64;
        }
    }
}

static void multiply(void)
{
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j < ORDER; j++) {
            double sum = 0;

            for (int k = 0; k < ORDER; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    }
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    fill();
    for (uint32_t r = 0; r < n; r++) {
        multiply();
        a[r % ORDER][0] += c[0][r % ORDER] / 1024;
        sum = mix_double(sum, c[ORDER - 1][r % ORDER]);
    }
    return sum;
}
