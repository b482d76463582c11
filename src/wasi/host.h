/* host.h - files and directories of the system, as Files that own an fd.
 *
 * Functions that give a File leave errno when they give NULL.
 */
#ifndef CHI_WASI_HOST_H
#define CHI_WASI_HOST_H

#include <sys/stat.h>
#include <time.h>

#include "wasi/wasi.h"

/* A stream of this process, duplicated. */
File *host_file_stream(int fd);
/* A directory by its path, which is this process's. */
File *host_directory_open(const char *path, bool read_only);

/* Makes f the file of an open descriptor, which it takes. */
Errno host_file_adopt(File *f, int fd);
File *host_file_of(int fd); /* the same, new; fd -1: NULL */

/* Waits for a descriptor; false: the call is to end. */
bool host_file_wait(Call *c, int fd, short events);

extern const FileKind host_directory_kind;

/* What both kinds do. */
void host_file_close(File *f);
Errno host_file_stat(File *f, Filestat *out);
Errno host_file_set_times(File *f, const Times *t);
Errno host_file_sync(File *f, bool data_only);

uint8_t host_file_type(mode_t mode);
void host_file_describe(const struct stat *s, Filestat *out);
void host_file_times(const Times *t, struct timespec out[2]);

#endif
