/* abi.h - what stands in the guest's memory, and the numbers in it.
 *
 * The structures have the guest's layout: little-endian, naturally aligned.
 * See WebAssembly/WASI, legacy/preview1/docs.md.
 */
#ifndef CHI_WASI_ABI_H
#define CHI_WASI_ABI_H

#include <stdint.h>

typedef enum {
#define ERRNO(NAME, NUMBER)     WASI_##NAME = NUMBER,
#define ERRNO_OWN(NAME, NUMBER) WASI_##NAME = NUMBER,
#include "wasi/errno.def"
#undef ERRNO
#undef ERRNO_OWN
} Errno;

/* Rights, in the order of their bits. */
#define RIGHTS(X)                                                              \
    X(FD_DATASYNC)                                                             \
    X(FD_READ)                                                                 \
    X(FD_SEEK)                                                                 \
    X(FD_FDSTAT_SET_FLAGS)                                                     \
    X(FD_SYNC)                                                                 \
    X(FD_TELL)                                                                 \
    X(FD_WRITE)                                                                \
    X(FD_ADVISE)                                                               \
    X(FD_ALLOCATE)                                                             \
    X(PATH_CREATE_DIRECTORY)                                                   \
    X(PATH_CREATE_FILE)                                                        \
    X(PATH_LINK_SOURCE)                                                        \
    X(PATH_LINK_TARGET)                                                        \
    X(PATH_OPEN)                                                               \
    X(FD_READDIR)                                                              \
    X(PATH_READLINK)                                                           \
    X(PATH_RENAME_SOURCE)                                                      \
    X(PATH_RENAME_TARGET)                                                      \
    X(PATH_FILESTAT_GET)                                                       \
    X(PATH_FILESTAT_SET_SIZE)                                                  \
    X(PATH_FILESTAT_SET_TIMES)                                                 \
    X(FD_FILESTAT_GET)                                                         \
    X(FD_FILESTAT_SET_SIZE)                                                    \
    X(FD_FILESTAT_SET_TIMES)                                                   \
    X(PATH_SYMLINK)                                                            \
    X(PATH_REMOVE_DIRECTORY)                                                   \
    X(PATH_UNLINK_FILE)                                                        \
    X(POLL_FD_READWRITE)                                                       \
    X(SOCK_SHUTDOWN)                                                           \
    X(SOCK_ACCEPT)

enum {
#define X(NAME) RIGHT_BIT_##NAME,
    RIGHTS(X)
#undef X
        RIGHT_COUNT
};
enum {
#define X(NAME) RIGHT_##NAME = 1u << RIGHT_BIT_##NAME,
    RIGHTS(X)
#undef X
        RIGHTS_ALL = (1u << RIGHT_COUNT) - 1
};
_Static_assert(RIGHT_SOCK_ACCEPT == 1u << 29, "rights are numbered by order");

enum {
    TYPE_UNKNOWN,
    TYPE_BLOCK_DEVICE,
    TYPE_CHARACTER_DEVICE,
    TYPE_DIRECTORY,
    TYPE_REGULAR,
    TYPE_SOCKET_DGRAM,
    TYPE_SOCKET_STREAM,
    TYPE_SYMLINK
};
enum {
    FLAG_APPEND = 1,
    FLAG_DSYNC = 2,
    FLAG_NONBLOCK = 4,
    FLAG_RSYNC = 8,
    FLAG_SYNC = 16,
    FLAGS_ALL = 31
};
enum {
    OPEN_CREATE = 1,
    OPEN_DIRECTORY = 2,
    OPEN_EXCLUSIVE = 4,
    OPEN_TRUNCATE = 8,
    OPEN_ALL = 15
};
enum { LOOKUP_FOLLOW = 1 };
enum { WHENCE_SET, WHENCE_CUR, WHENCE_END };
enum {
    TIME_ATIM = 1,
    TIME_ATIM_NOW = 2,
    TIME_MTIM = 4,
    TIME_MTIM_NOW = 8,
    TIME_ALL = 15
};
enum { CLOCK_ID_REALTIME, CLOCK_ID_MONOTONIC };
enum { EVENT_CLOCK, EVENT_READ, EVENT_WRITE };
enum { CLOCK_ABSOLUTE = 1 };
enum { EVENT_HANGUP = 1 };
enum { ADVICE_COUNT = 6 };

typedef struct {
    uint32_t at, len;
} GuestVec;

typedef struct {
    uint8_t type, pad0;
    uint16_t flags;
    uint32_t pad1;
    uint64_t rights, inheriting;
} Fdstat;
_Static_assert(sizeof(Fdstat) == 24, "layout");

typedef struct {
    uint64_t dev, ino;
    uint8_t type, pad[7];
    uint64_t nlink, size;
    uint64_t atim, mtim, ctim; /* ns */
} Filestat;
_Static_assert(sizeof(Filestat) == 64, "layout");

typedef struct {
    uint32_t tag; /* 0: a directory */
    uint32_t name_len;
} Prestat;

typedef struct {
    uint64_t next, ino;
    uint32_t name_len;
    uint8_t type, pad[3];
} Dirent; /* the name follows */
_Static_assert(sizeof(Dirent) == 24, "layout");

typedef struct {
    uint64_t userdata;
    uint8_t tag, pad0[7];
    union {
        struct {
            uint32_t id, pad1;
            uint64_t timeout, precision; /* ns */
            uint16_t flags, pad2[3];
        } clock;
        uint32_t fd;
    };
} Subscription;
_Static_assert(sizeof(Subscription) == 48, "layout");

typedef struct {
    uint64_t userdata;
    uint16_t error;
    uint8_t type, pad0[5];
    uint64_t n_bytes;
    uint16_t flags, pad1[3];
} Event;
_Static_assert(sizeof(Event) == 32, "layout");

#endif
