#include "wasi/wasi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "wasi/guest.h"
#include "wasi/host.h"
#include "wasi/tree.h"

/* ---- failures */

Errno wasi_errno(int host)
{
    switch (host) {
#define ERRNO_OWN(NAME, NUMBER)
#define ERRNO(NAME, NUMBER)                                                    \
    case E##NAME: return WASI_##NAME;
#include "wasi/errno.def"
#undef ERRNO
#undef ERRNO_OWN
    default: return WASI_IO;
    }
}

Errno wasi_nosys(Call *c, const uint64_t *a)
{
    (void)c;
    (void)a;
    return WASI_NOSYS;
}

/* ---- calls */

File *call_file(Call *c, uint64_t fd)
{
    File *f = descriptor_get(c->w, (uint32_t)fd);
    if (f)
        c->files[c->n_files++] = f;
    return f;
}

bool call_poll(Call *c)
{
    if (c->code == CHI_OK)
        c->code = chi_store_poll(c->store);
    return c->code == CHI_OK;
}

static chi_code run(WasiFunction *f, void *host, chi_store *s, uint64_t *slots)
{
    Call c = {.w = host, .store = s, .memory = chi_caller_memory(s)};
    Errno e = f(&c, slots);
    slots[0] = c.fault ? WASI_FAULT : e;
    while (c.n_files)
        file_put(c.files[--c.n_files]);
    return c.code;
}

#define WASI(NAME, SIGNATURE, FUNCTION)                                        \
    static chi_code call_##NAME(void *host, chi_store *s, uint64_t *slots)     \
    {                                                                          \
        return run(FUNCTION, host, s, slots);                                  \
    }
#include "wasi/wasi.def"
#undef WASI

/* ---- linking */

static const struct Row {
    const char *name, *signature;
    chi_host_fn *call;
    WasiFunction *function;
} rows[] = {
#define WASI(NAME, SIGNATURE, FUNCTION)                                        \
    {#NAME, SIGNATURE, call_##NAME, FUNCTION},
#include "wasi/wasi.def"
#undef WASI
};
enum { N_ROWS = sizeof rows / sizeof *rows };

bool chi_wasi_is_module(const char *name, size_t len)
{
    static const char module[] = "wasi_snapshot_preview1";
    return len == sizeof module - 1 && !memcmp(name, module, len);
}

const char *chi_wasi_name(unsigned i, bool *built)
{
    if (i >= N_ROWS)
        return NULL;
    if (built)
        *built = rows[i].function != wasi_nosys;
    return rows[i].name;
}

static bool has_signature(const chi_functype *t, const char *signature)
{
    uint32_t n = t->n_params + t->n_results;
    if (strlen(signature) != n + 1 || signature[t->n_params] != ':')
        return false;
    for (uint32_t k = 0; k < n; k++) {
        chi_type want =
            signature[k + (k >= t->n_params)] == 'i' ? CHI_I32 : CHI_I64;
        if (t->types[k] != want)
            return false;
    }
    return true;
}

static chi_host_fn *refuse(chi_error *err, const char *format, const char *name,
                           const char *detail)
{
    if (err) {
        *err = (chi_error){
            .code = CHI_LINK, .function = UINT32_MAX, .offset = UINT64_MAX};
        snprintf(err->message, sizeof err->message, format, name, detail);
    }
    return NULL;
}

chi_host_fn *chi_wasi_function(const chi_module *m, uint32_t i, chi_error *err)
{
    chi_import import;
    char name[64];
    chi_module_import(m, i, &import);
    snprintf(name, sizeof name, "%.*s", (int)import.name_len, import.name);
    if (!chi_wasi_is_module(import.module, import.module_len))
        return refuse(err, "%s is not an import of WASI%s", name, "");
    for (const struct Row *r = rows; r < rows + N_ROWS; r++) {
        if (strlen(r->name) != import.name_len || strcmp(r->name, name))
            continue;
        if (import.type.kind == CHI_FUNC
            && has_signature(&import.type.func, r->signature))
            return r->call;
        return refuse(err, "%s has another type: (%s) in WASI, I being i64",
                      name, r->signature);
    }
    return refuse(err, "WASI preview 1 has no function %s%s", name, "");
}

chi_func *chi_wasi_import(chi_wasi *w, chi_store *s, const chi_module *m,
                          uint32_t i, chi_error *err)
{
    chi_host_fn *fn = chi_wasi_function(m, i, err);
    return fn ? chi_func_for_import(s, m, i, fn, w, err) : NULL;
}

/* ---- making */

static bool fail(chi_error *err, chi_code code, const char *what, int number)
{
    int saved = number;
    if (err) {
        *err = (chi_error){
            .code = code, .function = UINT32_MAX, .offset = UINT64_MAX};
        snprintf(err->message, sizeof err->message, "%s: %s", what,
                 strerror(number));
    }
    errno = saved;
    return false;
}

static bool copy_strings(Strings *out, const char *const *strings, size_t n)
{
    size_t bytes = 0;
    for (size_t k = 0; k < n; k++)
        bytes += strlen(strings[k]) + 1;
    out->data = malloc(bytes + 1);
    if (!out->data || bytes > INT32_MAX || n > INT32_MAX)
        return false;
    for (size_t k = 0; k < n; k++) {
        size_t len = strlen(strings[k]) + 1;
        memcpy(out->data + out->bytes, strings[k], len);
        out->bytes += (uint32_t)len;
    }
    out->n = (uint32_t)n;
    return true;
}

static bool add_file(chi_wasi *w, File *f, const char *what, chi_error *err)
{
    uint32_t fd;
    if (!f)
        return fail(err, errno == ENOMEM ? CHI_MEMORY : CHI_ARGUMENT, what,
                    errno);
    Errno e = descriptor_add(w, f, &fd);
    if (e)
        file_put(f);
    return e ? fail(err, CHI_LIMIT, what, EMFILE) : true;
}

static File *open_stream(chi_wasi *w, const chi_wasi_stream *s, int fd)
{
    if (s->kind == CHI_WASI_FD)
        return host_file_stream(s->fd);
    if (s->kind != CHI_WASI_STDOUT || fd != 2)
        return stream_new(s, fd == 0);
    atomic_fetch_add(&w->streams[1]->refs, 1);
    return w->streams[1];
}

static bool add_stream(chi_wasi *w, const chi_wasi_stream *s, int fd,
                       chi_error *err)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    File *f = open_stream(w, s, fd);
    if (!add_file(w, f, names[fd], err))
        return false;
    atomic_fetch_add(&f->refs, 1);
    w->streams[fd] = f;
    return true;
}

static bool add_directory(chi_wasi *w, const chi_wasi_dir *d, chi_error *err)
{
    bool read_only = d->flags & CHI_WASI_READ_ONLY;
    File *f = d->host
                  ? host_directory_open(d->host, read_only)
                  : tree_new(w, d->entries, d->n_entries, d->limit, read_only);
    if (f && !(f->preopen = strdup(d->guest))) {
        file_put(f);
        f = NULL;
        errno = ENOMEM;
    }
    if (!add_file(w, f, d->host ? d->host : d->guest, err))
        return false;
    atomic_fetch_add(&f->refs, 1);
    w->dirs[w->n_dirs++] = f;
    return true;
}

/* Half of what this process may open is left to it. */
static uint32_t find_max_files(void)
{
    enum { MOST = 1024 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 > MOST)
        return MOST;
    return (uint32_t)(limit.rlim_cur / 2);
}

static bool fill(chi_wasi *w, const chi_wasi_options *o, chi_error *err)
{
    if (!copy_strings(&w->args, o->args, o->n_args)
        || !copy_strings(&w->env, o->env, o->n_env))
        return fail(err, CHI_MEMORY, "arguments", ENOMEM);
    w->dirs = calloc(o->n_dirs + 1, sizeof(File *));
    if (!w->dirs)
        return fail(err, CHI_MEMORY, "directories", ENOMEM);
    for (int k = 0; k < 3; k++)
        if (!add_stream(w, &o->streams[k], k, err))
            return false;
    for (size_t k = 0; k < o->n_dirs; k++)
        if (!add_directory(w, &o->dirs[k], err))
            return false;
    return true;
}

chi_wasi *chi_wasi_new(const chi_wasi_options *o, chi_error *err)
{
    chi_wasi *w = calloc(1, sizeof *w);
    if (!w) {
        fail(err, CHI_MEMORY, "WASI", ENOMEM);
        return NULL;
    }
    pthread_mutex_init(&w->lock, NULL);
    w->max_files = find_max_files();
    w->host_env = o->host_env;
    w->begin_wait = o->begin_wait;
    w->end_wait = o->end_wait;
    w->exit = o->exit;
    w->seeded = o->seed;
    w->seed = o->seed ? *o->seed : 0;
    w->virtual_clock = o->clock_ns;
    w->clock_ns = o->clock_ns ? *o->clock_ns : 0;
    if (!fill(w, o, err)) {
        int saved = errno;
        chi_wasi_free(w);
        w = NULL;
        errno = saved;
    }
    return w;
}

void chi_wasi_free(chi_wasi *w)
{
    if (!w)
        return;
    descriptor_close_all(w);
    for (int k = 0; k < 3; k++)
        file_put(w->streams[k]);
    for (size_t k = 0; k < w->n_dirs; k++)
        file_put(w->dirs[k]);
    free(w->dirs);
    pthread_mutex_destroy(&w->lock);
    free(w->args.data);
    free(w->env.data);
    free(w);
}

/* ---- what is left */

bool chi_wasi_exited(const chi_wasi *w, uint32_t *status)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&w->lock;
    pthread_mutex_lock(lock);
    bool exited = w->exited;
    if (exited && status)
        *status = w->status;
    pthread_mutex_unlock(lock);
    return exited;
}

bool chi_wasi_walk(const chi_wasi *w, const char *guest, chi_wasi_entry_fn *fn,
                   void *env)
{
    for (size_t k = 0; k < w->n_dirs; k++)
        if (!strcmp(w->dirs[k]->preopen, guest))
            return tree_walk(w->dirs[k], fn, env);
    return false;
}

const void *chi_wasi_output(const chi_wasi *w, int fd, size_t *len)
{
    *len = 0;
    return fd == 1 || fd == 2 ? stream_kept(w->streams[fd], len) : NULL;
}
