/* file.h - open files of a guest, and what can be done with them.
 *
 * A File is counted: by its descriptor, and by calls that use it (another
 * thread may close the descriptor meanwhile).  What it can do is its kind's: an
 * open file or directory of the system (host.h), a stream (stream.c), a part of
 * a tree in memory (tree.h).
 */
#ifndef CHI_WASI_FILE_H
#define CHI_WASI_FILE_H

#include <stdatomic.h>

#include "chiasm_wasi.h"
#include "wasi/abi.h"

typedef struct File File;
typedef struct Call Call; /* wasi.h */

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

/* Called with each entry, maybe under a lock: it must not look for interrupts.
 * false ends the walk. */
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
    Errno (*list)(Call *c, File *f, uint64_t cookie, EntryFn *fn, void *env);
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

File *file_new(void);
void file_put(File *f); /* gives back a reference; NULL is accepted */

#endif
