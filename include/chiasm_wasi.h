/* chiasm_wasi.h - WASI preview 1: what a program asks of its system.
 *
 * A chi_wasi is one process as the guest sees it: arguments, environment,
 * standard streams, open files.  It grants nothing that its options do not
 * name.  Paths are looked up beneath the directories given, never outside of
 * them, whatever the guest or another process does with links meanwhile.
 *
 *   Linking  chi_wasi_import gives the function for an import of
 *            "wasi_snapshot_preview1".  Pointers refer to the memory of the
 *            module that calls, see chi_caller_memory.
 *   Ending   proc_exit leaves the guest by CHI_HOST; chi_wasi_exited tells.
 *   Threads  may be used by several stores at a time.
 *   Life     must outlive the stores that its functions are in.
 */
#ifndef CHIASM_WASI_H
#define CHIASM_WASI_H

#include "chiasm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chi_wasi chi_wasi;

/* Streams in the embedder's code.  What they return but CHI_OK ends the guest's
 * call with that code.  A read of no bytes is the end. */
typedef chi_code chi_wasi_read_fn(void *env, chi_store *s, void *data,
                                  size_t len, size_t *n_read);
typedef chi_code chi_wasi_write_fn(void *env, chi_store *s, const void *data,
                                   size_t len);

typedef enum {
    CHI_WASI_NULL,  /* input at its end; output that nobody reads */
    CHI_WASI_FD,    /* a descriptor of this process, duplicated */
    CHI_WASI_BYTES, /* input: data, copied; output: kept, chi_wasi_output */
    CHI_WASI_CALL,  /* the function */
    CHI_WASI_STDOUT /* of stderr: the same file as stdout */
} chi_wasi_stream_kind;

typedef struct {
    chi_wasi_stream_kind kind;
    int fd;
    const void *data; /* BYTES, of an input */
    size_t len;       /* of data; of an output the most that is kept */
    void *env;        /* CALL */
    chi_wasi_read_fn *read;
    chi_wasi_write_fn *write;
} chi_wasi_stream;

/* A file or directory of a tree in memory. */
typedef struct {
    const char *path; /* from the root: "a/b.txt"; what is above is made */
    bool directory;
    const void *data; /* of a file */
    size_t len;
} chi_wasi_entry;
typedef void chi_wasi_entry_fn(void *env, const chi_wasi_entry *e);

enum { CHI_WASI_READ_ONLY = 1 };
typedef struct {
    const char *guest; /* the path that the guest knows it by */
    const char *host;  /* of a directory; NULL: a tree in memory */
    unsigned flags;
    const chi_wasi_entry *entries; /* of the tree; copied */
    size_t n_entries;
    size_t limit; /* bytes of all its files, at any time */
} chi_wasi_dir;

/* Around each time that a function waits for the system, on the guest's
 * thread: begin's result is given to end. */
typedef void *chi_wasi_begin_wait_fn(void *env, chi_store *s);
typedef void chi_wasi_end_wait_fn(void *env, chi_store *s, void *token);
/* proc_exit: gives what the guest's call ends with. */
typedef chi_code chi_wasi_exit_fn(void *env, chi_store *s, uint32_t status);

typedef struct {
    const char *const *args; /* the program's name first */
    size_t n_args;
    const char *const *env; /* "NAME=VALUE" */
    size_t n_env;
    const chi_wasi_dir *dirs; /* descriptors 3, 4, ... */
    size_t n_dirs;
    chi_wasi_stream streams[3]; /* stdin, stdout, stderr */
    const uint64_t *seed;       /* of repeatable random numbers, or NULL */
    /* NULL: the system's clocks.  Else where both clocks begin, nanoseconds
     * since 1970; each look at them takes a microsecond, and sleeping nothing
     * but the time asked for. */
    const uint64_t *clock_ns;
    void *host_env; /* of the functions below, each of which may be NULL */
    chi_wasi_begin_wait_fn *begin_wait;
    chi_wasi_end_wait_fn *end_wait;
    chi_wasi_exit_fn *exit;
} chi_wasi_options;

/* Copies all that it is given.
 *
 *   returns  NULL on failure; errno is that of what cannot be opened
 *   errors   CHI_ARGUMENT (a directory, a descriptor), CHI_MEMORY
 */
CHI_API chi_wasi *chi_wasi_new(const chi_wasi_options *options, chi_error *err);
CHI_API void chi_wasi_free(chi_wasi *w);

/* Is it the name of the module that WASI's functions are imported from? */
CHI_API bool chi_wasi_is_module(const char *name, size_t len);
/* Names of the functions in order, NULL past the last; *built (may be NULL):
 * does it do more than answer ENOSYS? */
CHI_API const char *chi_wasi_name(unsigned i, bool *built);

/* The function for import i of m, whose host pointer is a chi_wasi.
 *
 *   returns  NULL if it is none of WASI's, or declared with another type
 *   errors   CHI_LINK
 */
CHI_API chi_host_fn *chi_wasi_function(const chi_module *m, uint32_t i,
                                       chi_error *err);
/* The same as a function of the store: chi_func_for_import. */
CHI_API chi_func *chi_wasi_import(chi_wasi *w, chi_store *s,
                                  const chi_module *m, uint32_t i,
                                  chi_error *err);

/* Has the guest called proc_exit, and with what status? */
CHI_API bool chi_wasi_exited(const chi_wasi *w, uint32_t *status);
/* Calls with all that is in the tree that the guest knows as `guest`,
 * directories before what is in them; fn must not touch w.  false: there is no
 * such tree. */
CHI_API bool chi_wasi_walk(const chi_wasi *w, const char *guest,
                           chi_wasi_entry_fn *fn, void *env);
/* What descriptor 1 or 2 has kept (CHI_WASI_BYTES); borrowed until the guest
 * writes more. */
CHI_API const void *chi_wasi_output(const chi_wasi *w, int fd, size_t *len);

#ifdef __cplusplus
}
#endif

#endif
