/* area.h - functions of another file, in another directory. */
static inline int square(int a) { return a * a; }

__attribute__((noinline)) static int rectangle(int a, int b) { return a * b; }
