/* wasi.h - the process that a guest sees, and one call of it. */
#ifndef CHI_WASI_WASI_H
#define CHI_WASI_WASI_H

#include <pthread.h>

#include "wasi/file.h"

/* ---- one call by the guest */

enum { FILES_PER_CALL = 2 };

/* Sticky: after a bad pointer reads give 0, writes do nothing, and the call
 * answers EFAULT. */
struct Call {
    chi_wasi *w;
    chi_store *store;
    chi_memory *memory; /* of the caller, or NULL */
    bool fault;
    chi_code code; /* not CHI_OK: what ends the guest's call */
    File *files[FILES_PER_CALL];
    int n_files;
};

/* a: the arguments, i32 zero-extended. */
typedef Errno WasiFunction(Call *c, const uint64_t *a);

#define WASI(NAME, SIGNATURE, FUNCTION)                                        \
    Errno FUNCTION(Call *c, const uint64_t *a);
#include "wasi/wasi.def"
#undef WASI

/* The guest's number for a failure of the system. */
Errno wasi_errno(int host);
static inline Errno wasi_result(int failed, int host)
{
    return failed < 0 ? wasi_errno(host) : WASI_SUCCESS;
}

/* The file of a descriptor, until the call ends; NULL: there is none. */
File *call_file(Call *c, uint64_t fd);
/* Looks for an interrupt; false: the call is to end. */
bool call_poll(Call *c);

/* wait.c: the guest's time, ns; id is a CLOCK_ID_. */
uint64_t wait_now(chi_wasi *w, uint64_t id);

/* ---- descriptors */

/* descriptor.c.  The lowest free number, with the caller's reference. */
Errno descriptor_add(chi_wasi *w, File *f, uint32_t *fd);
/* A new reference, or NULL. */
File *descriptor_get(chi_wasi *w, uint32_t fd);
Errno descriptor_close(chi_wasi *w, uint32_t fd);
Errno descriptor_move(chi_wasi *w, uint32_t from, uint32_t to);
void descriptor_close_all(chi_wasi *w);

/* ---- the process */

/* Strings as args_get gives them: each with its NUL. */
typedef struct {
    uint32_t n, bytes;
    char *data;
} Strings;

struct chi_wasi {
    Strings args, env;
    pthread_mutex_t lock; /* of what follows */
    File **files;
    uint32_t n_files, max_files;
    bool seeded;
    uint64_t seed;
    bool exited;
    uint32_t status;
    /* Constant: */
    File *streams[3]; /* for what they have kept */
    File **dirs;      /* as they were given */
    size_t n_dirs;
    void *host_env;
    chi_wasi_begin_wait_fn *begin_wait;
    chi_wasi_end_wait_fn *end_wait;
    chi_wasi_exit_fn *exit;
    bool virtual_clock;
    _Atomic uint64_t clock_ns; /* of the virtual clock */
};

#endif
