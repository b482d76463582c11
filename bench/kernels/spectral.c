/* spectral.c - the spectral norm of an n by n matrix whose entries are
 * computed: f64 divisions and conversions from integers. */
#include "kernel.h"

enum { LIMIT = 1000, STEPS = 10 };

static double u[LIMIT], v[LIMIT], t[LIMIT];

static double entry(uint32_t i, uint32_t j)
{
    return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(double *out, const double *in, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t j = 0; j < n; j++)
            sum += entry(i, j) * in[j];
        out[i] = sum;
    }
}

static void times_transposed(double *out, const double *in, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint32_t j = 0; j < n; j++)
            sum += entry(j, i) * in[j];
        out[i] = sum;
    }
}

static void step(double *out, const double *in, uint32_t n)
{
    times(t, in, n);
    times_transposed(out, t, n);
}

uint32_t kernel(uint32_t n)
{
    double uv = 0, vv = 0;

    if (n > LIMIT)
        n = LIMIT;
    for (uint32_t i = 0; i < n; i++)
        u[i] = 1;
    for (int i = 0; i < STEPS; i++) {
        step(v, u, n);
        step(u, v, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return mix_double(0, __builtin_sqrt(uv / vv));
}
