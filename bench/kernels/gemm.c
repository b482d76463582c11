/* gemm.c - n products of f64 matrices in tiles of 4 by 4: sixteen running
 * sums, more than a machine without 16 float registers can keep. */
#include "kernel.h"

enum { ORDER = 128, TILE = 4 };

static double a[ORDER][ORDER], b[ORDER][ORDER], c[ORDER][ORDER];

static void fill(void)
{
    for (int i = 0; i < ORDER; i++) {
        for (int j = 0; j < ORDER; j++) {
            a[i][j] = (double)((i * 3 + j * 7) % 19 - 9) / 64;
            b[i][j] = (double)((i * 11 + j * 5) % 23 - 11) / 64;
        }
    }
}

static void multiply_tile(int i, int j)
{
    double c00 = 0, c01 = 0, c02 = 0, c03 = 0;
    double c10 = 0, c11 = 0, c12 = 0, c13 = 0;
    double c20 = 0, c21 = 0, c22 = 0, c23 = 0;
    double c30 = 0, c31 = 0, c32 = 0, c33 = 0;

    for (int k = 0; k < ORDER; k++) {
        double b0 = b[k][j], b1 = b[k][j + 1];
        double b2 = b[k][j + 2], b3 = b[k][j + 3];
        double a0 = a[i][k], a1 = a[i + 1][k];
        double a2 = a[i + 2][k], a3 = a[i + 3][k];

        c00 += a0 * b0, c01 += a0 * b1, c02 += a0 * b2, c03 += a0 * b3;
        c10 += a1 * b0, c11 += a1 * b1, c12 += a1 * b2, c13 += a1 * b3;
        c20 += a2 * b0, c21 += a2 * b1, c22 += a2 * b2, c23 += a2 * b3;
        c30 += a3 * b0, c31 += a3 * b1, c32 += a3 * b2, c33 += a3 * b3;
    }
    c[i][j] = c00, c[i][j + 1] = c01, c[i][j + 2] = c02, c[i][j + 3] = c03;
    i++;
    c[i][j] = c10, c[i][j + 1] = c11, c[i][j + 2] = c12, c[i][j + 3] = c13;
    i++;
    c[i][j] = c20, c[i][j + 1] = c21, c[i][j + 2] = c22, c[i][j + 3] = c23;
    i++;
    c[i][j] = c30, c[i][j + 1] = c31, c[i][j + 2] = c32, c[i][j + 3] = c33;
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    fill();
    for (uint32_t r = 0; r < n; r++) {
        for (int i = 0; i < ORDER; i += TILE)
            for (int j = 0; j < ORDER; j += TILE)
                multiply_tile(i, j);
        a[r % ORDER][0] += c[0][r % ORDER] / 1024;
        sum = mix_double(sum, c[ORDER - 1][r % ORDER]);
    }
    return sum;
}
