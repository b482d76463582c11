/* The map of names that perf reads: tools/perf/Documentation/jit-interface.txt
 * of Linux. */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static OsMutex lock;
static int file = -1;
static pid_t owner; /* the process that the file is of; 0: none yet */

/* The folder is everybody's: what somebody else has put there is not ours. */
static int open_map(pid_t pid)
{
    char path[64];
    int flags = O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)pid);
    int fd = open(path, flags, 0644);
    if (fd < 0 && errno == EEXIST && unlink(path) == 0)
        fd = open(path, flags, 0644);
    return fd;
}

static void write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

/* A child has its parent's code, too. */
static void copy_map(int from, int to)
{
    char buf[4096];
    off_t at = 0;
    ssize_t n;
    while ((n = pread(from, buf, sizeof buf, at)) > 0) {
        write_all(to, buf, (size_t)n);
        at += n;
    }
}

static void open_own(pid_t pid)
{
    int parents = file;
    file = open_map(pid);
    owner = pid;
    if (parents < 0)
        return;
    if (file >= 0)
        copy_map(parents, file);
    close(parents);
}

void os_perf_note(uintptr_t start, size_t size, const char *name)
{
    char line[600];
    int n = snprintf(line, sizeof line, "%llx %zx %s\n",
                     (unsigned long long)start, size, name);
    os_mutex_lock(&lock);
    pid_t pid = getpid();
    if (pid != owner)
        open_own(pid);
    if (file >= 0 && n > 0 && (size_t)n < sizeof line)
        write_all(file, line, (size_t)n);
    os_mutex_unlock(&lock);
}
