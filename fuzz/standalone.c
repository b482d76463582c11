/* A driver without coverage, for compilers that have no libFuzzer.
 *
 * Takes options by libFuzzer's names (-runs, -max_total_time, -seed,
 * -max_len, -artifact_prefix; others are ignored) and folders or files.
 * Files are run once each; then, with -runs or -max_total_time, mutated ones
 * of them.  The input at hand is written before the process dies. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

#define WEAK __attribute__((weak))
size_t WEAK LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                                    unsigned seed);
void WEAK __sanitizer_set_death_callback(void (*callback)(void));

enum { HANG_SECONDS = 20 };

typedef struct {
    uint8_t *data;
    size_t size;
} Input;

static struct {
    long long runs, seconds, seed, max_len;
    const char *prefix;
    bool fuzz;
} options = {-1, 0, 1, 4096, "./", false};

static Input *inputs;
static size_t n_inputs;
static Input current;
static uint64_t state;

static size_t mutate_once(uint8_t *data, size_t size, size_t max);

/* Calls for nothing that may be broken: it may be a signal handler. */
static void write_current(void)
{
    char name[512];
    int n =
        snprintf(name, sizeof name, "%scrash-%016llx", options.prefix,
                 (unsigned long long)fuzz_hash(0, current.data, current.size));
    FILE *f = fopen(name, "wb");
    if (!f)
        return;
    fwrite(current.data, 1, current.size, f);
    fclose(f);
    fprintf(stderr, "the input is in %.*s\n", n, name);
}

static void on_signal(int number)
{
    fprintf(stderr, "signal %d\n", number);
    write_current();
    _exit(77);
}

static void add_file(const char *path, size_t size)
{
    Input in = {malloc(size + 1), 0};
    FILE *f = fopen(path, "rb");
    if (f) {
        in.size = fread(in.data, 1, size, f);
        fclose(f);
    }
    if (n_inputs % 1024 == 0)
        inputs = realloc(inputs, (n_inputs + 1024) * sizeof *inputs);
    inputs[n_inputs++] = in;
}

static void add_path(const char *path)
{
    struct stat st;
    if (stat(path, &st))
        return;
    if (!S_ISDIR(st.st_mode)) {
        add_file(path, (size_t)st.st_size);
        return;
    }
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        add_path(name);
    }
    if (d)
        closedir(d);
}

static void run(const uint8_t *data, size_t size)
{
    /* Exactly as long as it is, so that a read past it is seen. */
    current = (Input){malloc(size + !size), size};
    if (size)
        memcpy(current.data, data, size);
    alarm(HANG_SECONDS);
    LLVMFuzzerTestOneInput(current.data, size);
    alarm(0);
    free(current.data);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
    for (uint64_t n = 1 + fuzz_random(&state) % 4; n; n--)
        size = mutate_once(data, size, max);
    return size;
}

static size_t copy_range(uint8_t *data, size_t size, size_t max, uint64_t r)
{
    size_t from = (r >> 8) % size, to = (r >> 24) % size;
    size_t n = 1 + (r >> 40) % 32;
    if (n > size - from)
        n = size - from;
    if (r >> 63 && size + n <= max) {
        memmove(data + to + n, data + to, size - to);
        return size + n;
    }
    if (n > size - to)
        n = size - to;
    memmove(data + to, data + from, n);
    return size;
}

static size_t drop_range(uint8_t *data, size_t size, uint64_t r)
{
    size_t from = (r >> 8) % size, n = 1 + (r >> 40) % 8;
    if (n > size - from)
        n = size - from;
    memmove(data + from, data + from + n, size - from - n);
    return size - n;
}

static size_t mutate_once(uint8_t *data, size_t size, size_t max)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x40, 0x0b, 0x3f};
    uint64_t r = fuzz_random(&state);
    if (size == 0) {
        if (max)
            data[0] = (uint8_t)r;
        return max > 0;
    }
    size_t at = (r >> 8) % size;
    switch (r % 7) {
    case 0: data[at] ^= (uint8_t)(1u << (r >> 60 & 7)); return size;
    case 1: data[at] = (uint8_t)(r >> 56); return size;
    case 2: data[at] = bytes[r >> 61]; return size;
    case 3: data[at] += (r >> 60 & 1) ? 1 : 0xff; return size;
    case 4:
    case 5: return copy_range(data, size, max, r);
    default: return drop_range(data, size, r);
    }
}

static void run_mutated(uint8_t *buffer, size_t max)
{
    uint64_t r = fuzz_random(&state);
    size_t size = 0;
    if (n_inputs) {
        const Input *in = &inputs[r % n_inputs];
        size = in->size < max ? in->size : max;
        memcpy(buffer, in->data, size);
    }
    for (uint64_t n = 1 + (r >> 32) % 3; n; n--) {
        unsigned seed = (unsigned)fuzz_random(&state);
        size = LLVMFuzzerCustomMutator
                   ? LLVMFuzzerCustomMutator(buffer, size, max, seed)
                   : LLVMFuzzerMutate(buffer, size, max);
    }
    run(buffer, size);
}

static void read_option(const char *arg)
{
    static const struct {
        const char *name;
        long long *value;
    } numbers[] = {{"-runs=", &options.runs},
                   {"-max_total_time=", &options.seconds},
                   {"-seed=", &options.seed},
                   {"-max_len=", &options.max_len}};
    for (int i = 0; i < 4; i++) {
        size_t n = strlen(numbers[i].name);
        if (!strncmp(arg, numbers[i].name, n))
            *numbers[i].value = atoll(arg + n);
    }
    if (!strncmp(arg, "-artifact_prefix=", 17))
        options.prefix = arg + 17;
    options.fuzz = options.runs >= 0 || options.seconds > 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-')
            read_option(argv[i]);
        else
            add_path(argv[i]);
    state = (uint64_t)options.seed;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(write_current);
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
    time_t start = time(NULL);
    long long done = 0;
    for (; done < (long long)n_inputs; done++)
        run(inputs[done].data, inputs[done].size);
    uint8_t *buffer = malloc((size_t)options.max_len + 1);
    while (options.fuzz && (options.runs < 0 || done < options.runs)
           && (!options.seconds || time(NULL) - start < options.seconds)) {
        run_mutated(buffer, (size_t)options.max_len);
        done++;
    }
    printf("Done %lld runs in %lld second(s)\n", done,
           (long long)(time(NULL) - start));
    return 0;
}
