/* Opens paths with the kernel's help and by the walk, and compares.
 *
 *   beneath_agree ROOT PATH...   each with several flags
 *   beneath_agree --race ROOT    while a thread flips ROOT/flip between `sub`
 *                                and `../other`: never the latter's file
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wasi/beneath.h"

static const int flags[] = {
    O_RDONLY,
    O_RDONLY | O_NOFOLLOW,
    O_RDONLY | O_DIRECTORY,
    O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
    O_PATH,
    O_PATH | O_NOFOLLOW,
    O_PATH | O_DIRECTORY,
    O_RDWR,
    O_RDWR | O_CREAT | O_EXCL,
    O_RDONLY | O_CREAT,
};

/* What came of it, as two numbers: the failure, or 0 and the file. */
typedef struct {
    int error;
    ino_t ino;
} Outcome;

static Outcome outcome(int root, int fd, int how, const char *path)
{
    struct stat s = {0};
    if (fd < 0)
        return (Outcome){errno, 0};
    fstat(fd, &s);
    close(fd);
    /* What was made anew is not there for the other way. */
    if (how & O_CREAT && s.st_size == 0 && S_ISREG(s.st_mode)) {
        unlinkat(root, path, 0);
        unlinkat(root, "none", 0);
        s.st_ino = 0;
    }
    return (Outcome){0, s.st_ino};
}

static int compare(int root, const char *path)
{
    int n = 0;
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++) {
        int how = flags[k] | O_CLOEXEC;
        Outcome a =
            outcome(root, beneath_open(root, path, how, 0600), how, path);
        Outcome b =
            outcome(root, beneath_walk(root, path, how, 0600), how, path);
        if (a.error == b.error && a.ino == b.ino)
            continue;
        printf("%.60s, flags %#x: kernel %s, walk %s\n", path, how,
               a.error ? strerror(a.error) : "opens",
               b.error ? strerror(b.error) : "opens");
        n++;
    }
    return n;
}

static _Atomic int stopped;

static void *flip(void *root)
{
    int dir = *(int *)root;
    for (unsigned k = 0; !stopped; k++) {
        (void)!symlinkat(k % 2 ? "sub" : "../other", dir, "flip.new");
        renameat(dir, "flip.new", dir, "flip");
    }
    return NULL;
}

static int race(int root)
{
    enum { TRIES = 100000 };
    pthread_t thread;
    int opened = 0, led_out = 0;
    (void)!symlinkat("sub", root, "flip");
    pthread_create(&thread, NULL, flip, &root);
    for (int k = 0; k < TRIES; k++) {
        char c = 0;
        int fd = beneath_walk(root, "flip/file", O_RDONLY, 0);
        if (fd < 0)
            continue;
        opened++;
        led_out += read(fd, &c, 1) == 1 && c == 'S';
        close(fd);
    }
    stopped = 1;
    pthread_join(thread, NULL);
    printf("%d opened, %d outside\n", opened, led_out);
    return led_out || !opened;
}

int main(int argc, char **argv)
{
    int is_race = argc > 2 && !strcmp(argv[1], "--race"), n = 0;
    int root = open(argv[1 + is_race], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        perror(argv[1]);
        return 2;
    }
    if (is_race)
        return race(root);
    for (int k = 2; k < argc; k++)
        n += compare(root, argv[k]);
    printf("%d paths, %d differ\n", argc - 2, n);
    return n != 0;
}
