/* code_memory.h - where machine code lies, and the tables it reaches.
 *
 * All of it lies in one address range of the process, short enough for
 * rip-relative addressing:
 *
 *   | code chunk | data | code chunk | none ...                        |
 *   base                                    1 GiB, or what the system gives
 *
 * A chunk of code has two views of the same bytes, one executable and one
 * writable; no page is ever both in one view.  Where the system refuses that,
 * each span has pages of its own, which code_seal makes executable and no
 * longer writable.  For all threads.  After a fork both sides leave the chunks
 * they have as they are and open new ones.
 */
#ifndef CHI_RUNTIME_CODE_MEMORY_H
#define CHI_RUNTIME_CODE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same bytes: where they run, and where they are written. */
typedef struct {
    const uint8_t *exec;
    uint8_t *write;
} CodeSpan;

/* May this process run code that it makes?  Tried once, by mapping; nothing
 * is run.  false: *why says what the system refuses.  why may be NULL. */
bool code_memory_available(const char **why);

/* Before the first use: code is to lie in pages that are no file's, for
 * profilers that know names only of those.  Each span then has its own. */
void code_memory_apart(void);

/* Zeroed or stale bytes, at a multiple of 16.  code_find gives `what`, which
 * is not NULL, from now on.  false: no room, or not available. */
bool code_alloc(uint32_t size, const void *what, CodeSpan *span);
/* After the last write, before the address is published (with release).
 * false: the system refuses; free the span. */
bool code_seal(CodeSpan span);
/* Code of a file, at a multiple of the page size in it, mapped read-execute as
 * a span of its own; NULL: refused. */
const uint8_t *code_map(int fd, uint64_t at, uint32_t size, const void *what);
/* No thread may run it, or return to it, any more.  Accepts NULL. */
void code_free(const uint8_t *exec);

/* Zeroed memory to read and write, at a multiple of 16 (of 64, from 64 bytes
 * on).  NULL: no room, or not available. */
void *code_data_alloc(size_t size);
void code_data_free(void *p, size_t size);

/* Both are lock-free and async-signal-safe.  What was given to code_alloc for
 * the span that pc lies in, or NULL. */
const void *code_find(uintptr_t pc);
/* Does it lie in the range at all? */
bool code_contains(uintptr_t pc);

#endif
