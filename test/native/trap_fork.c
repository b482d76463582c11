/* Forking: while others compile, in a host function, with code that the child
 * inherits; both sides compile on. */
#include "guest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* Five functions, of which each caller compiles what it calls; signatures are
 * few but as varied as n is. */
static char *text_of(unsigned n)
{
    Text t = text_new();
    text_add(&t, "(module (memory 1)\n");
    for (unsigned k = 0; k < 5; k++) {
        text_add(&t, "(func (export \"f%u\") (param i32", k);
        for (unsigned j = 0; j < 7; j++)
            text_add(&t, " %s", n >> j & 1 ? "i64" : "f32");
        text_add(&t,
                 ") (result i32)\n  (i32.add (i32.const %u)"
                 " (i32.load (local.get 0))))\n",
                 n + k);
    }
    text_add(&t, "(func (export \"spin\") (param i32) (result i32) (loop"
                 " (local.set 0 (i32.sub (local.get 0) (i32.const 1)))"
                 " (br_if 0 (local.get 0))) (local.get 0)))");
    return text_take(&t);
}

static void call_each(chi_instance *i, unsigned n, unsigned from, unsigned to)
{
    for (unsigned k = from; k < to; k++) {
        char name[10];
        uint64_t slots[8] = {0};
        snprintf(name, sizeof name, "f%u", k);
        chi_func *f = guest_func(i, name);
        CHECK(chi_call(f, slots, NULL) == CHI_OK && slots[0] == n + k);
        slots[0] = 65533;
        CHECK(chi_call(f, slots, NULL) == CHI_MEMORY_BOUNDS);
    }
}

static void compile_one(unsigned n)
{
    char *text = text_of(n);
    Guest g = guest_new(text, NULL, NULL);
    call_each(g.instance, n, 0, 5);
    guest_free(&g);
    free(text);
}

static _Atomic bool stop;

static void *compile_often(void *start)
{
    for (unsigned n = *(unsigned *)start; !stop; n += 3)
        compile_one(n % 128);
    return NULL;
}

/* Waits for the child: it did all it should. */
static void expect_child(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_child_compiles_while_others_did(void)
{
    enum { THREADS = 3, FORKS = 300 };
    pthread_t threads[THREADS];
    unsigned starts[THREADS];
    char *text = text_of(77);
    Guest g = guest_new(text, NULL, NULL);
    call_each(g.instance, 77, 0, 2);
    for (unsigned k = 0; k < THREADS; k++) {
        starts[k] = k;
        CHECK(!pthread_create(&threads[k], NULL, compile_often, &starts[k]));
    }
    for (unsigned k = 0; k < FORKS; k++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60); /* it must not hang */
            call_each(g.instance, 77, 0, 5);
            compile_one(k % 128);
            _exit(0);
        }
        expect_child(child);
    }
    stop = true;
    for (unsigned k = 0; k < THREADS; k++)
        pthread_join(threads[k], NULL);
    call_each(g.instance, 77, 0, 5);
    guest_free(&g);
    free(text);
}

/* What one side compiles, the other does not see. */
static void both_sides_compile_on(void)
{
    char *text = text_of(50);
    Guest g = guest_new(text, NULL, NULL);
    call_each(g.instance, 50, 0, 2);
    for (int k = 0; k < 50; k++) {
        int ends[2];
        char byte;
        CHECK(pipe(ends) == 0);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            close(ends[1]);
            compile_one(3);
            CHECK(read(ends[0], &byte, 1) == 1); /* the parent has, too */
            call_each(g.instance, 50, 0, 5);
            pid_t grandchild = fork();
            if (grandchild == 0) {
                alarm(60);
                call_each(g.instance, 50, 0, 5);
                compile_one(5);
                _exit(0);
            }
            expect_child(grandchild);
            compile_one(7);
            _exit(0);
        }
        compile_one(4);
        CHECK(write(ends[1], "x", 1) == 1);
        compile_one(6);
        expect_child(child);
        close(ends[0]);
        close(ends[1]);
    }
    call_each(g.instance, 50, 0, 5);
    guest_free(&g);
    free(text);
}

/* ---- with guest code on the stack */

static pid_t forked;

static chi_code fork_here(void *host, chi_store *s, uint64_t *slots)
{
    (void)host;
    (void)s;
    forked = fork();
    if (forked == 0)
        alarm(60);
    compile_one(9);
    slots[0] = forked == 0;
    return CHI_OK;
}

static void a_fork_in_a_host_function_returns_to_its_guest_twice(void)
{
    static const char text[] =
        "(module (import \"\" \"fork\" (func $fork (result i32))) (memory 1)\n"
        "(func $late (param i32) (result i32) (i32.load (local.get 0)))\n"
        "(func (export \"f\") (param i32) (result i32) (local i32 i64)\n"
        "  (local.set 2 (i64.const 40)) (call $fork) (local.set 1)\n"
        "  (drop (call $late (i32.const 0)))\n"
        "  (i32.add (local.get 1) (i32.wrap_i64 (local.get 2))))\n"
        "(func (export \"trap\") (param i32) (result i32)\n"
        "  (drop (call $fork)) (call $late (i32.const -4))))";
    chi_type i32 = CHI_I32;
    for (int k = 0; k < 30; k++) {
        uint64_t result = 0;
        chi_store *s = chi_store_new(NULL);
        chi_extern import = {
            .kind = CHI_FUNC,
            .func = chi_func_new(s, NULL, 0, &i32, 1, fork_here, NULL, NULL)};
        chi_instance *i = guest_add(s, text, &import);
        bool traps = k % 2;
        chi_code code =
            guest_call(guest_func(i, traps ? "trap" : "f"), 0, &result);
        CHECK(code == (traps ? CHI_MEMORY_BOUNDS : CHI_OK));
        CHECK(traps || result == (forked == 0 ? 41 : 40));
        if (forked == 0)
            _exit(0);
        expect_child(forked);
        chi_extern_free(import);
        chi_instance_free(i);
        chi_store_free(s);
    }
}

/* ---- with another thread that waits for its store */

static void *wait_often(void *s)
{
    while (!stop)
        chi_store_wait(s, 1000);
    return NULL;
}

static chi_code only_fork(void *host, chi_store *s, uint64_t *slots)
{
    (void)host;
    (void)s;
    forked = fork();
    if (forked == 0)
        alarm(60);
    slots[0] = forked == 0;
    return CHI_OK;
}

static void a_child_may_leave_a_store_that_others_waited_for(void)
{
    static const char text[] =
        "(module (import \"\" \"fork\" (func $fork (result i32)))\n"
        "(func (export \"f\") (param i32) (result i32) (call $fork)))";
    chi_type i32 = CHI_I32;
    pthread_t waiter;
    chi_store *s = chi_store_new(NULL);
    chi_extern import = {
        .kind = CHI_FUNC,
        .func = chi_func_new(s, NULL, 0, &i32, 1, only_fork, NULL, NULL)};
    chi_instance *i = guest_add(s, text, &import);
    CHECK(!pthread_create(&waiter, NULL, wait_often, s));
    for (int k = 0; k < 200; k++) {
        uint64_t result;
        chi_func *f = guest_func(i, "f");
        CHECK(guest_call(f, 0, &result) == CHI_OK);
        if (result) {
            CHECK(chi_store_wait(s, 1000));
            compile_one(11);
            _exit(0);
        }
        expect_child(forked);
    }
    stop = true;
    pthread_join(waiter, NULL);
    stop = false;
    chi_extern_free(import);
    chi_instance_free(i);
    chi_store_free(s);
}

/* ---- with the guest running elsewhere */

static void *spin(void *f)
{
    uint64_t result;
    CHECK(guest_call(f, 20000000, &result) == CHI_OK && result == 0);
    return NULL;
}

static void a_store_that_ran_elsewhere_is_busy_in_the_child(void)
{
    char *text = text_of(1);
    Guest g = guest_new(text, NULL, NULL);
    pthread_t thread;
    CHECK(!pthread_create(&thread, NULL, spin, guest_func(g.instance, "spin")));
    while (!chi_store_is_running(g.store))
        usleep(100);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        chi_code code = guest_call(guest_func(g.instance, "spin"), 1, NULL);
        CHECK(code == CHI_BUSY);
        CHECK(!chi_store_wait(g.store, 1000000000));
        compile_one(2);
        _exit(0);
    }
    expect_child(child);
    pthread_join(thread, NULL);
    guest_free(&g);
    free(text);
}

int main(void)
{
    RUN(both_sides_compile_on);
    RUN(a_fork_in_a_host_function_returns_to_its_guest_twice);
    RUN(a_child_may_leave_a_store_that_others_waited_for);
    RUN(a_store_that_ran_elsewhere_is_busy_in_the_child);
    RUN(a_child_compiles_while_others_did);
    return 0;
}
