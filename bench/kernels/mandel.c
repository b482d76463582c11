/* mandel.c - the Mandelbrot set on an n by n grid: a chain of f64 operations
 * in registers, without memory. */
#include "kernel.h"

enum { MAX_STEPS = 200 };

static uint32_t escape_steps(double cx, double cy)
{
    double x = 0, y = 0, xx = 0, yy = 0;
    uint32_t steps = 0;

    while (steps < MAX_STEPS && xx + yy <= 4) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
        steps++;
    }
    return steps;
}

uint32_t kernel(uint32_t n)
{
    uint32_t sum = 0;

    for (uint32_t row = 0; row < n; row++) {
        double cy = 2.0 * row / n - 1;

        for (uint32_t column = 0; column < n; column++)
            sum = mix(sum, escape_steps(3.0 * column / n - 2, cy));
    }
    return sum;
}
