/* wasi.h - the process that a guest sees, and one call of it.
 *
 * A File is an open file, counted: by its descriptor, and by calls that use it
 * (another thread may close the descriptor meanwhile).  What it can do is its
 * kind's: an open file or directory of the system (host.h), a stream
 * (stream.c), a part of a tree in memory (tree.c).
 */
#ifndef CHI_WASI_WASI_H
#define CHI_WASI_WASI_H

#include <pthread.h>
#include <stdatomic.h>

#include "chiasm_wasi.h"
#include "wasi/abi.h"

typedef struct File File;

/* ---- one call by the guest */

enum { FILES_PER_CALL = 2 };

/* Sticky: after a bad pointer reads give 0, writes do nothing, and the call
 * answers EFAULT. */
typedef struct {
    chi_wasi *w;
    chi_store *store;
    chi_memory *memory; /* of the caller, or NULL */
    bool fault;
    chi_code code; /* not CHI_OK: what ends the guest's call */
    File *files[FILES_PER_CALL];
    int n_files;
} Call;

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

/* ---- files */

enum { VECTORS_MAX = 64, PATH_BYTES = 4096, NAME_BYTES = 255 };

/* Where to transfer: pieces of the guest's memory that are not empty. */
typedef struct {
    uint32_t n;
    GuestVec v[VECTORS_MAX];
} Vectors;

typedef struct {
    uint64_t ino;
    uint64_t next; /* cookie of the entry behind */
    uint8_t type;
    uint32_t name_len;
    char name[NAME_BYTES + 1];
} Entry;

/* Calls back with each entry; false ends the walk. */
typedef bool EntryFn(void *env, const Entry *e);

typedef struct {
    uint16_t set; /* TIME_ bits */
    uint64_t atim, mtim;
} Times;
/* Only bits that exist, and not both ways for one time.  path.c */
bool times_are_valid(const Times *t);

typedef struct {
    unsigned open;  /* OPEN_ bits */
    unsigned flags; /* FLAG_ bits */
    bool follow, read, write;
} OpenHow;

/* What a file can do; NULL: not that.  `at` NULL: where the file stands.
 * Paths are the guest's, relative, not empty and NUL-terminated; they may be
 * written to.  In rename and link both directories are of the kind. */
typedef struct {
    void (*close)(File *f);
    Errno (*read)(Call *c, File *f, const Vectors *v, const uint64_t *at,
                  size_t *n);
    Errno (*write)(Call *c, File *f, const Vectors *v, const uint64_t *at,
                   size_t *n);
    Errno (*seek)(File *f, int64_t by, unsigned whence, uint64_t *at);
    Errno (*stat)(File *f, Filestat *out);
    Errno (*set_size)(File *f, uint64_t size);
    Errno (*set_times)(File *f, const Times *t);
    Errno (*set_flags)(File *f, unsigned flags);
    Errno (*allocate)(File *f, uint64_t at, uint64_t len);
    Errno (*advise)(File *f, uint64_t at, uint64_t len, unsigned advice);
    Errno (*sync)(File *f, bool data_only);
    /* Of directories: */
    Errno (*list)(File *f, uint64_t cookie, EntryFn *each, void *env);
    Errno (*open)(File *f, char *path, const OpenHow *how, File *out);
    Errno (*stat_at)(File *f, char *path, bool follow, Filestat *out);
    Errno (*set_times_at)(File *f, char *path, bool follow, const Times *t);
    Errno (*make_directory)(File *f, char *path);
    Errno (*remove)(File *f, char *path, bool directory);
    Errno (*rename)(File *from, char *old, File *to, char *name);
    Errno (*link)(File *from, char *old, File *to, char *name);
    Errno (*symlink)(const char *target, File *f, char *path);
    Errno (*read_link)(File *f, char *path, char *out, size_t size, size_t *n);
} FileKind;

struct File {
    const FileKind *kind;
    _Atomic uint32_t refs;
    uint8_t type;           /* TYPE_ */
    bool read_only;         /* granted for reading only */
    bool inherited;         /* shared with this process: a stream */
    _Atomic uint16_t flags; /* FLAG_ bits */
    _Atomic uint64_t rights, inheriting; /* as told to the guest */
    char *preopen;                       /* the guest's name of it, or NULL */
    int fd;                              /* of the system; -1: none */
    void *data;                          /* the kind's */
};

/* stream.c */
File *stream_new(const chi_wasi_stream *s, bool is_input);
const void *stream_kept(const File *f, size_t *len);

/* wait.c: the guest's time, ns; id is a CLOCK_ID_. */
uint64_t wait_now(chi_wasi *w, uint64_t id);

/* ---- descriptors */

File *file_new(void);
void file_put(File *f); /* gives back a reference; NULL is accepted */

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
