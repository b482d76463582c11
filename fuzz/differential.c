/* Many modules by both tiers, in one process:
 *
 *   differential --random FIRST N    modules made of the bytes that seeds give
 *   differential --bytes FILE...     the same of other bytes
 *   differential FILE...             modules, or their text; in each
 *                                    configuration
 *
 * Ends at the first that differs; its name is printed then. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "chiasm_tools.h"
#include "fuzz/fuzz.h"
#include "fuzz/run.h"
#include "fuzz/two_tiers.h"

bool run_by_tail_calls; /* there is one dispatcher here */

enum { MOST_BYTES = 3000, CONFIGURATIONS = 16 };

static char name[300];

static void on_abort(int number)
{
    (void)number;
    _exit(write(2, name, strlen(name)) > 0 ? 77 : 78);
}

static void keep_bytes(const uint8_t *bytes, size_t size)
{
    const char *path = getenv("FUZZ_KEEP_BYTES");
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (f) {
        fwrite(bytes, 1, size, f);
        fclose(f);
    }
}

static void run_seed(uint64_t seed)
{
    static uint8_t bytes[MOST_BYTES + 8];
    snprintf(name, sizeof name, "seed %llu\n", (unsigned long long)seed);
    uint64_t state = seed * 0x9e3779b97f4a7c15u;
    size_t size = 8 + fuzz_random(&state) % (MOST_BYTES - 8);
    if (seed % 2)
        size = 8 + size / 8;
    for (size_t k = 0; k < size; k += 8) {
        uint64_t x = fuzz_random(&state);
        memcpy(bytes + k, &x, 8);
    }
    keep_bytes(bytes, size);
    LLVMFuzzerTestOneInput(bytes, size);
}

static size_t read_file(const char *path, const uint8_t **bytes)
{
    static uint8_t buffer[1 << 22];
    snprintf(name, sizeof name, "%s\n", path);
    FILE *f = fopen(path, "rb");
    FUZZ_CHECK(f, "cannot be read");
    size_t size = fread(buffer, 1, sizeof buffer, f);
    fclose(f);
    *bytes = buffer;
    return size;
}

static void run_bytes(const char *path)
{
    const uint8_t *bytes;
    size_t size = read_file(path, &bytes);
    LLVMFuzzerTestOneInput(bytes, size);
}

static void run_file(const char *path)
{
    const uint8_t *bytes;
    size_t size = read_file(path, &bytes);
    chi_error err = {0};
    chi_features all = chi_features_all();
    chi_module *m =
        size && bytes[0] == 0
            ? chi_module_new(bytes, size, all, &err)
            : chi_module_from_text((const char *)bytes, size, all, &err);
    FUZZ_CHECK(m, "not valid: %s", err.message);
    for (uint32_t k = 0; k < CONFIGURATIONS; k++)
        two_tiers(m, k | (k & 1) << 7);
    chi_module_free(m);
}

int main(int argc, char **argv)
{
    long long done = 0;
    int first = 1;
    const char *why;
    if (!chi_native_available(&why)) {
        printf("left out: no machine code can run here: %s\n", why);
        return 0;
    }
    setenv("CHIASM_VERIFY", "abort", 0);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    if (argc == 4 && !strcmp(argv[1], "--random")) {
        uint64_t seed = strtoull(argv[2], NULL, 10);
        for (long long n = atoll(argv[3]); done < n; done++)
            run_seed(seed + (uint64_t)done);
    } else if (argc > 1 && !strcmp(argv[1], "--bytes")) {
        for (first = 2; first + done < argc; done++)
            run_bytes(argv[first + done]);
    } else {
        for (; first + done < argc; done++)
            run_file(argv[first + done]);
    }
    printf("%lld modules agree\n", done);
    return 0;
}
