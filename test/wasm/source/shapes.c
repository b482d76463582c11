/* shapes.c - a program with a line table; build.sh makes its modules. */
#include "shape/area.h"

static int calls;

__attribute__((noinline)) static int share(int sum, int n)
{
    calls++;
    return sum / n;
}

__attribute__((export_name("mean"))) int mean(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        sum += square(i);
        if (i & 1)
            sum += rectangle(i, n);
    }
    return share(sum, n);
}
