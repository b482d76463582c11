/* os.h - all that Chiasm asks of an operating system.
 *
 * One folder per system implements it (linux/ ...); the build chooses.  Knows
 * no WebAssembly.
 */
#ifndef CHI_OS_OS_H
#define CHI_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- pages.  Addresses and sizes are multiples of os_page_size(). ---- */
size_t os_page_size(void);
/* Bytes of address space that this process may have at most, in all. */
uint64_t os_address_space(void);
/* Address space without memory; NULL if refused (ulimit -v, containers). */
void *os_pages_reserve(size_t size);
/* The same at a multiple of align, a power of two. */
void *os_pages_reserve_aligned(size_t size, size_t align);
/* Makes [p, p + size) of a reservation readable, writable and zero; false: it
 * stays unreadable. */
bool os_pages_commit(void *p, size_t size);
/* Gives the memory back; the address space stays reserved and unreadable. */
bool os_pages_decommit(void *p, size_t size);
/* Makes committed pages zero, and gives their memory back until touched. */
bool os_pages_clear(void *p, size_t size);
void os_pages_release(void *p, size_t size);
/* Grows a reservation whose first `committed` bytes are committed, moving it
 * if it must; NULL if refused, and then nothing has changed. */
void *os_pages_move(void *p, size_t old_size, size_t committed,
                    size_t new_size);

/* ---- code ---- */
enum { OS_WHY = 96 }; /* bytes of a `why`, which says what was refused */
/* Replaces pages of a reservation by new ones that can be executed there and
 * written at the address returned (but not in a child of fork).  NULL: the
 * system refuses, and the pages are unreadable as before. */
void *os_code_map(void *exec, size_t size, char *why);
/* Makes committed pages executable, and no longer writable. */
bool os_code_protect(void *p, size_t size, char *why);
/* After code was written, before it runs. */
void os_code_flush(const void *exec, size_t size);

/* ---- faults ---- */
/* In: the registers at the fault, and the address that was accessed.  Out:
 * where to go on. */
typedef struct {
    uintptr_t pc, sp, fp;
    uintptr_t ctx;    /* r14; x27 */
    uintptr_t result; /* rax; x0 */
    uintptr_t address;
} OsFault;
/* Async-signal-safe.  true: go on with *f; false: it is somebody else's. */
typedef bool OsFaultFn(OsFault *f);
/* From now on f is asked first about each SIGSEGV and SIGBUS that an access
 * raises.  All others, and what f declines, go to the handler that was there
 * before, as the kernel would call it.  false: not on this machine, or the
 * system refuses.  f is the same in all calls. */
bool os_faults_watch(OsFaultFn *f);
/* Puts the handler back on top if somebody replaced it; a cheap query if not.
 * Theirs is then the one before.  false: os_faults_watch has not succeeded. */
bool os_faults_reassert(void);
/* Takes the handler away, if it is on top; watch again to put it back. */
void os_faults_ignore(void);

/* ---- files.  Those read here may hold code: they, and the folders they are
 * in, belong to this user, and nobody else may write to them. ---- */
/* Makes the folder, and those above it; true: it is there and private. */
bool os_folder_make(const char *path);
/* A descriptor, or -1: there is none, or it is not private. */
int os_file_open(const char *path, uint64_t *size);
void os_file_close(int fd);
bool os_file_read(int fd, uint64_t at, void *to, size_t n);
/* Read-only views, at multiples of the page size; NULL: refused. */
const void *os_file_map(int fd, uint64_t at, size_t size);
void os_file_unmap(const void *p, size_t size);
/* Copy-on-write over pages of a reservation: what is written stays here. */
bool os_pages_map_file(void *p, size_t size, int fd, uint64_t at);
/* A file without a name that holds those bytes; -1: refused. */
int os_file_make(const void *bytes, size_t size);
bool os_code_map_file(void *exec, size_t size, int fd, uint64_t at);
typedef struct {
    const void *bytes;
    size_t size;
} OsPart;
/* The parts one after the other, all or nothing. */
bool os_file_write(const char *path, const OsPart *parts, unsigned n);
void os_file_remove(const char *path);
void os_file_touch(const char *path); /* its time is now */
typedef void OsFileFn(void *env, const char *path, uint64_t size, int64_t time);
bool os_folder_each(const char *path, OsFileFn *f, void *env);
/* What the linker called this build; false: nothing. */
typedef struct {
    uint8_t bytes[32];
    uint32_t size;
} OsBuildId;
bool os_build_id(OsBuildId *out);

/* ---- profilers ---- */
/* Where the thread was interrupted, and its CPU time since the sample before. */
typedef struct {
    uintptr_t pc, sp, fp;
    uint64_t cpu_ns;
} OsSample;
/* Async-signal-safe; not called while it runs. */
typedef void OsSampleFn(const OsSample *s);
/* Calls f on this thread about every `ns`.  One at a time.  false: not on this machine. */
bool os_sample_start(uint64_t ns, OsSampleFn *f);
void os_sample_stop(void);
/* Adds to the map of names that the system's profiler reads; where it cannot,
 * nothing. */
void os_perf_note(uintptr_t start, size_t size, const char *name);

/* ---- locks and waiting ---- */
typedef struct {
    _Alignas(16) unsigned char bytes[64];
} OsMutex; /* one in static storage is initialised */
typedef struct {
    _Alignas(16) unsigned char bytes[64];
} OsCond;
void os_mutex_init(OsMutex *m);
void os_mutex_destroy(OsMutex *m);
void os_mutex_lock(OsMutex *m);
void os_mutex_unlock(OsMutex *m);
void os_cond_init(OsCond *c);
void os_cond_destroy(OsCond *c);
/* Waits at most ns nanoseconds (monotonic); false: time is up. */
bool os_cond_wait(OsCond *c, OsMutex *m, uint64_t ns);
void os_cond_signal(OsCond *c);
void os_cond_broadcast(OsCond *c);

/* ---- threads ---- */
typedef struct {
    _Alignas(16) unsigned char bytes[16];
} OsThread;
/* A variable of the thread, read by one load where the system's loader can
 * (musl's refuses the initial-exec model in libraries loaded later). */
#if defined(__GLIBC__)
#define OS_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define OS_THREAD_LOCAL _Thread_local
#endif
/* Runs f(arg) with all signals blocked.  false: the system refuses. */
bool os_thread_start(OsThread *t, void (*f)(void *arg), void *arg);
void os_thread_join(OsThread *t);
/* Registers, once, what runs at the end of a thread whose os_thread_set was
 * not NULL. */
bool os_thread_on_exit(void (*f)(void *value));
void os_thread_set(void *value);
/* Handlers around fork; each is registered once for the process.  They prepare
 * in this order and end in the reverse one, whoever came first: a thread that
 * has the lock of one may take the locks of those below it. */
typedef enum {
    OS_FORK_COMPILER,
    OS_FORK_GLOBAL,
    OS_FORK_CODE,
    OS_FORK_TYPES,
    OS_FORK_COUNT
} OsFork;
void os_on_fork(OsFork who, void (*prepare)(void), void (*parent)(void),
                void (*child)(void));
/* Registers, once, what runs when the process exits (or this library is
 * unloaded). */
void os_on_exit(void (*f)(void));
/* The lowest usable address of this thread's native stack (cached by the
 * caller; the first query on the main thread parses a file). */
uintptr_t os_stack_low(void);

/* ---- clock ---- */
uint64_t os_time_ns(void); /* monotonic */

/* The one lock that is always initialised. */
OsMutex *os_global_lock(void);

#endif
