#include "check.h"
#include "maps.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "runtime/code_memory.h"

/* ---- a function that returns a number */

enum { FUNCTION = 16 };

static void write_function(uint8_t *at, uint16_t value)
{
#if defined(__x86_64__)
    uint8_t code[] = {0xb8, value & 255, value >> 8, 0, 0, 0xc3};
    memcpy(at, code, sizeof code);
#elif defined(__aarch64__)
    uint32_t code[] = {0x52800000 | (uint32_t)value << 5, 0xd65f03c0};
    memcpy(at, code, sizeof code);
#endif
}

/* A call through an integer, which no sanitizer looks at. */
__attribute__((no_sanitize("undefined"))) static int run(const uint8_t *exec)
{
    return ((int (*)(void))(uintptr_t)exec)();
}

static CodeSpan make(uint32_t size, const void *what, uint16_t value)
{
    CodeSpan s;
    CHECK(code_alloc(size, what, &s));
    CHECK((uintptr_t)s.exec % 16 == 0);
    write_function(s.write, value);
    CHECK(code_seal(s));
    return s;
}

static const void *find(const uint8_t *p) { return code_find((uintptr_t)p); }

/* ---- allocating, finding, freeing */

static void code_runs_where_it_is_found(void)
{
    int what[3] = {0};
    CodeSpan a = make(FUNCTION, &what[0], 1), b = make(100, &what[1], 2);
    CodeSpan c = make(1, &what[2], 3);
    CHECK(run(a.exec) == 1 && run(b.exec) == 2 && run(c.exec) == 3);
    CHECK(find(a.exec) == &what[0] && find(a.exec + 15) == &what[0]);
    CHECK(find(b.exec) == &what[1] && find(b.exec + 111) == &what[1]);
    CHECK(find(c.exec) == &what[2] && !find(a.exec - 1));
    CHECK(!find(c.exec + 4096) && !code_find(0) && !code_find(UINTPTR_MAX));
    CHECK(code_contains((uintptr_t)a.exec) && !code_contains(0));
    CHECK(!code_contains((uintptr_t)a.write) || a.write == a.exec);
    CHECK(n_mappings("wx", "") == 0);
    CHECK(protection_at(a.exec)[1] == '-' && protection_at(a.exec)[2] == 'x');
    code_free(b.exec);
    CHECK(!find(b.exec) && find(a.exec) == &what[0]);
    CHECK(run(a.exec) == 1 && run(c.exec) == 3);
    code_free(a.exec);
    code_free(NULL);
    CHECK(run(c.exec) == 3);
    code_free(c.exec);
    CHECK(!find(c.exec));
    CHECK(strncmp(protection_at(c.exec), "---", 3) == 0 || !*c.exec);
}

static void freed_chunks_leave_no_view(void)
{
    enum { N = 3000, SIZE = 400 };
    static CodeSpan s[N];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            s[i] = make(SIZE, &s[i], (uint16_t)i);
        for (int i = 0; i < N; i++)
            CHECK(run(s[i].exec) == i && find(s[i].exec + SIZE - 1) == &s[i]);
        for (int i = round; i < N; i += 2)
            code_free(s[i].exec);
        for (int i = 0; i < N; i++)
            CHECK(find(s[i].exec) == (i % 2 == round ? NULL : &s[i]));
        for (int i = !round; i < N; i += 2)
            code_free(s[i].exec);
        int kept = 0; /* of the chunk that is filled next */
        for (int i = 0; i < N; i += 50) {
            CHECK(!find(s[i].exec));
            if (strncmp(protection_at(s[i].exec), "---", 3) == 0)
                CHECK(protection_at(s[i].write)[1] != 'w' && !kept);
            else
                CHECK(!*s[i].write && !*s[i].exec && ++kept);
        }
        CHECK(kept <= (256 << 10) / SIZE / 50 + 1);
    }
}

/* As when one module after the other is compiled and dropped. */
static void an_empty_chunk_is_filled_again(void)
{
    int what;
    CodeSpan last = {0};
    for (int i = 0; i < 5000; i++) {
        CodeSpan s = make(FUNCTION, &what, (uint16_t)i);
        CHECK(run(s.exec) == i && (i < 1100 || s.exec == last.exec));
        code_free(s.exec);
        CHECK(!find(s.exec));
        last = s;
    }
}

static void large_spans_are_by_themselves(void)
{
    int what[2] = {0};
    CodeSpan a, b = make(FUNCTION, &what[1], 8);
    CHECK(code_alloc(5 << 20, &what[0], &a));
    write_function(a.write, 7);
    write_function(a.write + (5 << 20) - 16, 9);
    CHECK(code_seal(a));
    CHECK(run(a.exec) == 7 && run(a.exec + (5 << 20) - 16) == 9);
    CHECK(find(a.exec + (3 << 20)) == &what[0] && run(b.exec) == 8);
    CHECK(!find(a.exec + (5 << 20)));
    code_free(a.exec);
    CHECK(strncmp(protection_at(a.exec), "---", 3) == 0);
    CHECK(strncmp(protection_at(a.exec + (4 << 20)), "---", 3) == 0);
    code_free(b.exec);
    CodeSpan none;
    CHECK(!code_alloc((uint32_t)3 << 30, what, &none));
}

static void data_is_zero_and_near(void)
{
    enum { N = 200 };
    uint8_t *p[N];
    size_t size[N];
    unsigned long long seed = 1;
    int what = 0;
    CodeSpan s = make(FUNCTION, &what, 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            size[i] = next_random(&seed) % (i % 10 ? 5000 : 200000) + 1;
            p[i] = code_data_alloc(size[i]);
            CHECK(p[i] && (uintptr_t)p[i] % 64 == 0);
            ptrdiff_t distance = p[i] - s.exec;
            CHECK(distance > -(1 << 30) && distance < 1 << 30);
            for (size_t k = 0; k < size[i]; k++)
                CHECK(p[i][k] == 0);
            memset(p[i], i + 1, size[i]);
        }
        for (int i = 0; i < N; i++) {
            CHECK(p[i][0] == i + 1 && p[i][size[i] - 1] == i + 1);
            CHECK(!find(p[i]) && code_contains((uintptr_t)p[i]));
            code_data_free(p[i], size[i]);
        }
    }
    CHECK(!code_data_alloc(SIZE_MAX) && !code_data_alloc((size_t)1 << 40));
    code_data_free(NULL, 1);
    code_free(s.exec);
}

/* ---- threads */

enum { THREADS = 3, SLOTS = 64, TURNS = 4000 };
typedef struct {
    const uint8_t *_Atomic exec;
    uint32_t size;
} Entry;
static Entry entries[THREADS][SLOTS];
static _Atomic bool stop;

static void *alloc_and_free(void *mine)
{
    Entry *e = mine;
    unsigned long long seed = (uintptr_t)mine;
    for (int i = 0; i < TURNS; i++) {
        uint32_t k = next_random(&seed) % SLOTS;
        const uint8_t *old = e[k].exec;
        if (old) {
            CHECK(find(old) == &e[k] && find(old + e[k].size - 1) == &e[k]);
            CHECK(run(old) == (int)k);
            e[k].exec = NULL;
            code_free(old);
        } else {
            e[k].size = 16 + next_random(&seed) % (i % 100 ? 3000 : 100000);
            e[k].exec = make(e[k].size, &e[k], (uint16_t)k).exec;
        }
    }
    for (int k = 0; k < SLOTS; k++) {
        code_free(e[k].exec);
        e[k].exec = NULL;
    }
    return NULL;
}

/* What is found may be out of date, but it is what was given once. */
static void *look_up(void *unused)
{
    unsigned long long seed = 5;
    uintptr_t found = 0;
    while (!stop) {
        const Entry *e =
            &entries[next_random(&seed) % THREADS][next_random(&seed) % SLOTS];
        const uint8_t *p = e->exec;
        const Entry *what = p ? find(p + next_random(&seed) % 4096) : NULL;
        CHECK(!what
              || (what >= &entries[0][0]
                  && what < &entries[0][0] + THREADS * SLOTS));
        found += what != NULL;
    }
    (void)unused;
    return (void *)found;
}

static void many_threads_allocate_while_others_look_up(void)
{
    pthread_t makers[THREADS], readers[2];
    void *found;
    stop = false;
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, look_up, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&makers[i], NULL, alloc_and_free, entries[i]);
    for (int i = 0; i < THREADS; i++)
        pthread_join(makers[i], NULL);
    stop = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i], &found);
        CHECK(found);
    }
    CHECK(n_mappings("wx", "") == 0);
}

/* ---- fork */

static void end_well(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void wait_for_other(int from, int to)
{
    char c = 1;
    CHECK(write(to, &c, 1) == 1 && read(from, &c, 1) == 1);
}

static void both_sides_of_a_fork_compile(void)
{
    int what[4] = {0}, up[2], down[2];
    CodeSpan old = make(FUNCTION, &what[0], 100);
    CHECK(pipe(up) == 0 && pipe(down) == 0);
    fflush(stdout);
    pid_t child = fork();
    int value = child ? 300 : 200;
    int from = child ? up[0] : down[0], to = child ? down[1] : up[1];
    close(child ? up[1] : down[1]); /* if one fails the other does not wait */
    close(child ? down[0] : up[0]);
    CodeSpan mine = make(FUNCTION, &what[1], (uint16_t)value);
    CodeSpan more = make(FUNCTION, &what[2], (uint16_t)(value + 1));
    wait_for_other(from, to); /* both have written */
    CHECK(run(mine.exec) == value && run(more.exec) == value + 1);
    CHECK(run(old.exec) == 100 && find(old.exec) == &what[0]);
    CHECK(find(mine.exec) == &what[1]);
    bool two_views = old.write != old.exec;
    if (!child && two_views) /* only its own */
        CHECK(n_mappings("w", "memfd:chiasm") == 1);
    code_free(old.exec);
    CHECK(!find(old.exec) && strncmp(protection_at(old.exec), "---", 3) == 0);
    wait_for_other(from, to); /* one is freed; the other's still runs */
    CHECK(run(mine.exec) == value);
    code_free(mine.exec);
    code_free(more.exec);
    if (!child)
        _exit(0);
    end_well(child);
    close(from);
    close(to);
}

static void one_side_frees_what_the_other_runs(void)
{
    int what = 0;
    CodeSpan s = make(FUNCTION, &what, 5);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        code_free(s.exec);
        CodeSpan mine = make(FUNCTION, &what, 6);
        _exit(run(mine.exec) == 6 ? 0 : 1);
    }
    end_well(child);
    CHECK(run(s.exec) == 5);
    code_free(s.exec);
}

static void forks_while_others_compile(void)
{
    pthread_t t[THREADS];
    int what;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, alloc_and_free, entries[i]);
    for (int i = 0; i < 20; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            CodeSpan s = make(FUNCTION, &what, 77);
            void *data = code_data_alloc(100);
            bool ok = run(s.exec) == 77 && data && find(s.exec) == &what;
            code_free(s.exec);
            _exit(ok ? 0 : 1);
        }
        end_well(child);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

/* ---- what the system refuses.  Each in a process that has not tried. */

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#else
#define MACHINE AUDIT_ARCH_AARCH64
#endif
#define LOAD(field)                                                            \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IF_BITS(bits, yes, no)                                                 \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no)
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)

static void refuse(bool code_pages)
{
    struct sock_filter filter[] = {
        LOAD(nr),
        IF(__NR_memfd_create, 5, 0),
        IF(code_pages ? __NR_mmap : ~0u, 1, 0),
        IF(code_pages ? __NR_mprotect : ~0u, 0, 2),
        LOAD(args[2]),
        IF_BITS(PROT_EXEC, 1, 0),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void in_child(void (*f)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        f();
        fflush(stdout);
        _exit(0);
    }
    end_well(child);
}

static void work_without_memfd(void)
{
    const char *why = "";
    refuse(false);
    CHECK(code_memory_available(&why) && !why);
    int what = 0;
    CodeSpan s = make(FUNCTION, &what, 1);
    CHECK(s.write == s.exec);
    CHECK(strcmp(protection_at(s.exec), "r-xp") == 0);
    code_free(s.exec);
    code_runs_where_it_is_found();
    large_spans_are_by_themselves();
    freed_chunks_leave_no_view();
    data_is_zero_and_near();
    both_sides_of_a_fork_compile();
    one_side_frees_what_the_other_runs();
    many_threads_allocate_while_others_look_up();
}

static void a_system_without_memfd_has_one_view(void)
{
    in_child(work_without_memfd);
}

static void be_refused(void)
{
    const char *why = NULL;
    CodeSpan s;
    int what;
    refuse(true);
    CHECK(!code_memory_available(&why) && why);
    CHECK(strstr(why, "memfd_create: ") && strstr(why, "PROT_EXEC: "));
    CHECK(!code_alloc(16, &what, &s) && !code_data_alloc(16));
    CHECK(!code_contains((uintptr_t)&what) && !code_find((uintptr_t)&what));
    CHECK(!code_memory_available(NULL));
}

static void a_system_without_executable_pages_is_told_of(void)
{
    in_child(be_refused);
}

static void work_with_small_files(void)
{
    struct rlimit limit = {4096, 4096};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int what = 0;
    CHECK(code_memory_available(NULL));
    CodeSpan s = make(FUNCTION, &what, 3);
    CHECK(run(s.exec) == 3);
    code_free(s.exec);
}

static void a_limit_on_files_raises_no_signal(void)
{
    in_child(work_with_small_files);
}

static void fill_the_range(void)
{
    enum { N = 4000 };
    static CodeSpan s[N];
    struct rlimit limit = {(rlim_t)200 << 20, (rlim_t)200 << 20};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    int first = 0;
    for (int round = 0; round < 3; round++) {
        int n = 0;
        while (n < N && code_alloc(20000, &s[n], &s[n]))
            n++;
        CHECK(n > 700 && n < 900); /* of 16 MiB */
        CHECK(round == 0 || n > first - 30);
        first = n;
        for (int i = 0; i < n; i++)
            CHECK(find(s[i].exec) == &s[i]);
        for (int i = 0; i < n; i++)
            code_free(s[i].exec);
        void *data = code_data_alloc(100000);
        CHECK(data);
        code_data_free(data, 100000);
    }
}

static void a_full_range_is_no_end(void) { in_child(fill_the_range); }

/* ---- */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void speed_of_code(void)
{
    enum { N = 2000, SMALL = 300 };
    static CodeSpan s[N];
    double start = now_ns();
    for (int i = 0; i < N; i++)
        CHECK(code_alloc(SMALL, &s[i], &s[i]));
    double many = (now_ns() - start) / N;
    start = now_ns();
    const void *sum = NULL;
    for (int i = 0; i < N; i++)
        if (find(s[i].exec + 5) != &s[i])
            sum = s;
    double found = (now_ns() - start) / N;
    CHECK(!sum);
    for (int i = 0; i < N; i++)
        code_free(s[i].exec);
    start = now_ns();
    for (int i = 0; i < N; i++) {
        CHECK(code_alloc(SMALL, &s[i], &s[i]));
        s[i].write[0] = 1;
        code_free(s[i].exec);
    }
    double chunk = (now_ns() - start) / N;
    start = now_ns();
    for (int i = 0; i < N; i++)
        code_data_free(code_data_alloc(SMALL), SMALL);
    printf("   a span: %.0f ns; to find it: %.0f ns; a chunk: %.0f ns; data: "
           "%.0f ns\n",
           many, found, chunk, (now_ns() - start) / N);
}

int main(int argc, char **argv)
{
    (void)argv;
    RUN(a_system_without_memfd_has_one_view);
    RUN(a_system_without_executable_pages_is_told_of);
    RUN(a_limit_on_files_raises_no_signal);
    if (argc == 1) /* sanitizers need addresses of their own */
        RUN(a_full_range_is_no_end);
    const char *why = "";
    if (!code_memory_available(&why)) {
        printf("this system has no memory for code: %s\n", why);
        return 0;
    }
    RUN(code_runs_where_it_is_found);
    RUN(freed_chunks_leave_no_view);
    RUN(an_empty_chunk_is_filled_again);
    RUN(large_spans_are_by_themselves);
    RUN(data_is_zero_and_near);
    RUN(many_threads_allocate_while_others_look_up);
    RUN(both_sides_of_a_fork_compile);
    RUN(one_side_frees_what_the_other_runs);
    RUN(forks_while_others_compile);
    RUN(speed_of_code);
    return 0;
}
