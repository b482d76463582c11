/* check.h - for the C tests: a test is a function whose name is a claim. */
#ifndef CHI_TEST_CHECK_H
#define CHI_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__,   \
                    __func__, #condition);                                     \
            exit(1);                                                           \
        }                                                                      \
    } while (0)
#define RUN(test)                                                              \
    do {                                                                       \
        test();                                                                \
        printf("ok %s\n", #test);                                              \
    } while (0)

/* A small generator of numbers, the same everywhere. */
static inline unsigned next_random(unsigned long long *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

#endif
