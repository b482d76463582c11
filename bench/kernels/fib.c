/* fib.c - doubly recursive Fibonacci numbers: the cost of a direct call. */
#include "kernel.h"

static NOINLINE uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint32_t kernel(uint32_t n) { return fib(n); }
