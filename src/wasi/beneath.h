/* beneath.h - files below a directory, and never outside of it.
 *
 * A path is refused (EPERM) if it is absolute, leads above the directory by
 * "..", or goes through a symbolic link that does either.  This holds while
 * others change links and move directories.
 */
#ifndef CHI_WASI_BENEATH_H
#define CHI_WASI_BENEATH_H

#include <stdbool.h>
#include <sys/types.h>

/* As openat; the descriptor is closed on exec.  -1: errno says why. */
int beneath_open(int root, const char *path, int flags, mode_t mode);

/* The same without the kernel's help, component by component.  For kernels
 * that have no openat2, and for tests. */
int beneath_walk(int root, const char *path, int flags, mode_t mode);

/* The directory of a path's last component, and that component. */
typedef struct {
    int fd;
    bool owned;
    const char *name; /* in the path; "." for what ends in "." or ".." */
    bool slash;       /* a slash follows: only a directory is meant */
} Place;

/* For calls that do not follow a last component, not even one with a slash
 * behind: mkdirat, unlinkat, renameat, symlinkat, a linkat's new name.
 * Writes to the path. */
bool beneath_find(int root, char *path, Place *out);
/* For all others that do not follow it: fstatat and so on.  A path with a slash
 * at its end is resolved whole. */
bool beneath_find_existing(int root, char *path, Place *out);
void beneath_leave(Place *p);

#endif
