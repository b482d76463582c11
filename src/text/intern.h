/* intern.h - numbers for strings, and a map from numbers to numbers.
 *
 * Two hash tables: equal strings get equal numbers, counted from 0; a pair of
 * numbers finds a third.  Both grow; neither forgets.  All zero is empty.
 */
#ifndef CHI_TEXT_INTERN_H
#define CHI_TEXT_INTERN_H

#include <stdbool.h>

#include "base/arena.h"
#include "wasm/module.h"

#define NOT_FOUND UINT32_MAX

typedef struct {
    Name *names; /* by number */
    uint32_t *hashes;
    uint32_t n, capacity;
    uint32_t *slots; /* number + 1, or 0 */
    uint32_t n_slots;
} Intern;

/* The bytes must outlive the table. */
uint32_t intern_add(Intern *t, const char *bytes, uint32_t len);
uint32_t intern_find(const Intern *t, const char *bytes, uint32_t len);
void intern_free(Intern *t);

typedef struct {
    uint32_t a, b, value;
} PairEntry;

typedef struct {
    PairEntry *slots; /* value NOT_FOUND: empty */
    uint32_t n, n_slots;
} PairMap;

/* False if the pair is there already; then nothing changes. */
bool pair_add(PairMap *m, uint32_t a, uint32_t b, uint32_t value);
uint32_t pair_find(const PairMap *m, uint32_t a, uint32_t b);
void pair_free(PairMap *m);

/* realloc that ends the process when the system refuses. */
void *intern_resize(void *p, size_t n, size_t size);

#endif
