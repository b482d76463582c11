/* objdump --native: machine code.  What the bytes mean is asked of objdump, of
 * the binutils, in one go for all functions; without it bytes are shown. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

extern char **environ;

/* ---- which functions */

typedef struct {
    const chi_module *m;
    chi_native *codes;
    uint32_t n;
    uint8_t *text; /* of all, one behind the other; data replaced by nops */
    size_t size;
} Listing;

enum { NOP = 0x90 };

static bool is_called(const chi_funcinfo *f, uint32_t index, const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 0);
    if (*name && !*end)
        return number == index;
    return f->name && f->name_len == strlen(name)
           && !memcmp(f->name, name, f->name_len);
}

static bool add_text(Listing *l, chi_native *n)
{
    uint8_t *text = realloc(l->text, l->size + n->size + 1);
    if (!text)
        return false;
    l->text = text;
    n->base = (uint32_t)l->size;
    memcpy(text + l->size, n->bytes, n->size);
    for (uint32_t k = 0; k < n->n_parts; k++) {
        uint32_t from = n->parts[k].code;
        uint32_t to = k + 1 < n->n_parts ? n->parts[k + 1].code : n->size;
        if (n->parts[k].data)
            memset(text + l->size + from, NOP, to - from);
    }
    l->size += n->size;
    return true;
}

static bool add_function(Listing *l, const CliFile *f, uint32_t i)
{
    chi_error err = {0};
    chi_native *n = &l->codes[l->n];
    if (!chi_module_native(l->m, i, NULL, n, &err)) {
        fprintf(stderr, "%s: remark: function %u: %s\n", f->name, i,
                err.message);
        return err.code == CHI_LIMIT;
    }
    l->n++;
    return add_text(l, n);
}

static bool add_functions(Listing *l, const CliFile *f, const char *func)
{
    uint32_t n = chi_module_n_functions(l->m), found = 0;
    l->codes = calloc((size_t)n + 1, sizeof *l->codes);
    for (uint32_t i = 0; l->codes && i < n; i++) {
        chi_funcinfo info;
        chi_module_function(l->m, i, &info);
        if (info.imported || (func && !is_called(&info, i, func)))
            continue;
        found++;
        if (!add_function(l, f, i))
            return false;
    }
    if (func && !found)
        fprintf(stderr, "%s: error: no function \"%s\" is defined\n", f->name,
                func);
    return l->codes && (found || !func);
}

static void free_listing(Listing *l)
{
    for (uint32_t k = 0; l->codes && k < l->n; k++)
        chi_native_free(&l->codes[k]);
    free(l->codes);
    free(l->text);
}

/* ---- the disassembler */

static char *read_all(int fd)
{
    size_t len = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    ssize_t n = 0;
    while (text && (n = read(fd, text + len, capacity - len - 1)) > 0) {
        len += (size_t)n;
        if (len < capacity - 1)
            continue;
        char *larger = realloc(text, capacity *= 2);
        if (!larger)
            free(text);
        text = larger;
    }
    if (text)
        text[len] = 0;
    return text;
}

/* What objdump prints, or NULL. */
static char *spawn_objdump(const char *path)
{
    const char *const argv[] = {
        "objdump", "-D",          "-z", "-b",    "binary",
        "-m",      "i386:x86-64", "-M", "intel", "--no-show-raw-insn",
        path,      NULL};
    posix_spawn_file_actions_t actions;
    int fds[2], status = 1;
    pid_t child;
    if (pipe(fds))
        return NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    int failed = posix_spawnp(&child, argv[0], &actions, NULL,
                              (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    char *text = failed ? NULL : read_all(fds[0]);
    close(fds[0]);
    if (!failed && waitpid(child, &status, 0) != child)
        status = 1;
    if (status == 0)
        return text;
    free(text);
    return NULL;
}

static char *disassemble(const Listing *l)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/chiasm-XXXXXX", folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return NULL;
    FILE *f = fdopen(fd, "wb");
    bool written = f && fwrite(l->text, 1, l->size, f) == l->size;
    if (f)
        written &= fclose(f) == 0;
    char *text = written ? spawn_objdump(path) : NULL;
    unlink(path);
    return text;
}

/* "   1f:\tpush   rbp": one line, and where the next begins; NULL: the end. */
static char *next_line(char *p, chi_native_line *out)
{
    while (*p) {
        char *end = strchr(p, '\n'), *behind;
        unsigned long code = strtoul(p, &behind, 16);
        char *next = end ? end + 1 : p + strlen(p);
        if (end)
            *end = 0;
        if (behind > p && behind[0] == ':' && behind[1] == '\t') {
            *out = (chi_native_line){(uint32_t)code, behind + 2};
            return next;
        }
        p = next;
    }
    return NULL;
}

/* By address in the whole text; each is then of one function. */
static chi_native_line *split_lines(char *text, size_t size, uint32_t *n)
{
    chi_native_line *lines = malloc((size + 1) * sizeof *lines);
    *n = 0;
    for (char *p = text; lines && *n < size; ++*n)
        if (!(p = next_line(p, &lines[*n])))
            break;
    return lines;
}

/* ---- out */

static bool print_functions(const Listing *l, const chi_native_line *lines,
                            uint32_t n_lines, FILE *out)
{
    uint32_t at = 0;
    for (uint32_t k = 0; k < l->n; k++) {
        const chi_native *n = &l->codes[k];
        uint32_t from = at;
        while (at < n_lines && lines[at].code < n->base + n->size)
            at++;
        chi_native_line *own = malloc((at - from + 1) * sizeof *own);
        for (uint32_t j = from; own && j < at; j++)
            own[j - from] =
                (chi_native_line){lines[j].code - n->base, lines[j].text};
        size_t len;
        char *text = own ? chi_native_print(l->m, n, own, at - from, &len) : 0;
        bool ok = text && fputs(k ? "\n" : "", out) >= 0
                  && fwrite(text, 1, len, out) == len;
        chi_text_free(text);
        free(own);
        if (!ok)
            return false;
    }
    return true;
}

static bool print_all(const Listing *l, FILE *out)
{
    uint32_t n_lines = 0;
    chi_native_line *lines = NULL;
    char *text = l->size ? disassemble(l) : NULL;
    if (text)
        lines = split_lines(text, l->size, &n_lines);
    else if (l->size)
        fputs("; bytes only: objdump, of the binutils, is not here\n", out);
    bool ok = print_functions(l, lines, n_lines, out);
    free(lines);
    free(text);
    return ok;
}

int cli_objdump_native(const CliFile *f, const chi_module *m, const char *func,
                       const char *path)
{
    Listing l = {.m = m};
    int status = add_functions(&l, f, func) ? EXIT_DONE : EXIT_INPUT;
    bool is_stdout = !path || !strcmp(path, "-");
    FILE *out = is_stdout ? stdout : fopen(path, "wb");
    if (!status) {
        bool ok = out && print_all(&l, out);
        ok = out && fflush(out) == 0 && ok;
        if (!ok) {
            perror(is_stdout ? "stdout" : path);
            status = EXIT_INPUT;
        }
    }
    if (out && !is_stdout)
        fclose(out);
    free_listing(&l);
    return status;
}
