/* Where the system refuses to make code: scripts, run under a filter that
 * refuses memfd_create and all that PROT_EXEC is asked for. */
#include "guest.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field)           BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field)
#define SKIP_UNLESS(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, n)
#define RETURN(value)         BPF_STMT(BPF_RET | BPF_K, value)
/* The low half of an argument, on a little-endian machine. */
#define ARGUMENT(k) offsetof(struct seccomp_data, args[k])
#define REFUSE      (SECCOMP_RET_ERRNO | EPERM)

static void refuse_code(void)
{
    struct sock_filter filter[] = {
        LOAD(offsetof(struct seccomp_data, nr)),
        SKIP_UNLESS(SYS_memfd_create, 1),
        RETURN(REFUSE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        SKIP_UNLESS(SYS_mprotect, 3),
        LOAD(ARGUMENT(2)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
        RETURN(REFUSE),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    CHECK(syscall(SYS_memfd_create, "x", 0) == -1);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
               -1, 0)
          == MAP_FAILED);
}

static void check_configuration(void)
{
    const char *why = NULL;
    chi_error err = {0};
    chi_config wanted = {.tier = CHI_TIER_BASELINE};
    chi_store *s = chi_store_new(NULL);
    CHECK(!chi_native_available(&why) && strstr(why, "memfd_create"));
    CHECK(is_interpreted());
    CHECK(!chi_store_configure(s, &wanted, &err));
    CHECK(err.code == CHI_UNSUPPORTED && strstr(err.message, why));
    wanted.tier = CHI_TIER_AUTO;
    CHECK(chi_store_configure(s, &wanted, &err));
    CHECK(chi_store_tier(s) == CHI_TIER_INTERP);
    chi_store_free(s);
}

static void print_line(void *env, const char *line)
{
    (void)env;
    fprintf(stderr, "%s\n", line);
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    CHECK(f);
    fseek(f, 0, SEEK_END);
    *len = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*len + 1);
    CHECK(fread(data, 1, *len, f) == *len);
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    unsigned long passed = 0, failed = 0;
    refuse_code();
    check_configuration();
    for (int k = 1; k < argc; k++) {
        size_t len;
        char *data = read_file(argv[k], &len);
        chi_script_result r = chi_script_run(
            data, len, argv[k], chi_features_all(), print_line, NULL);
        passed += r.passed;
        failed += r.failed;
        free(data);
    }
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed > 0;
}
