/* cli.h - what the commands of `chiasm` share.
 *
 * Exit status: 0 done, 1 the input is at fault, 2 usage, 134 a trap, 124 the
 * time of --timeout is over, and a program's own.  Errors go to stderr, one a
 * line: "file:offset|line:col: error: message".
 */
#ifndef CHI_CLI_CLI_H
#define CHI_CLI_CLI_H

#include "chiasm.h"
#include "chiasm_tools.h"
#include "chiasm_wasi.h"

enum {
    EXIT_DONE = 0,
    EXIT_INPUT = 1,
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 124, /* as timeout(1) */
    EXIT_TRAP = 134     /* as a program that aborts */
};

typedef struct {
    const char *name;
    const char *usage;                 /* after "chiasm NAME " */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} Command;

int command_run(int argc, char **argv);
int command_validate(int argc, char **argv);
int command_show(int argc, char **argv);
int command_print(int argc, char **argv);
int command_parse(int argc, char **argv);
int command_objdump(int argc, char **argv);
int command_compile(int argc, char **argv);
int command_strip(int argc, char **argv);
int command_wast(int argc, char **argv);

/* Takes the next option: its name in *name, the text after "=" (or NULL) in
 * *value.  false: argv[*i] is an argument, or the end.  "--" ends options. */
bool cli_option(int argc, char **argv, int *i, const char **name,
                const char **value);
/* The value of an option: after "=", or the next argument; NULL: none. */
const char *cli_value(int argc, char **argv, int *i, const char *value);
/* Says what is wrong with the use of a command; gives EXIT_USAGE. */
int cli_usage(const char *command, const char *format, ...);

/* Options that all commands know: --color, --features.  true: taken. */
bool cli_common(int argc, char **argv, int *i, const char *name,
                const char *value, int *status);
bool cli_color(void);
chi_features cli_features(const char *file);

typedef struct {
    const char *name; /* for messages: "-" is "<stdin>" */
    char *data;       /* malloc; a NUL follows */
    size_t len;
} CliFile;
/* Reads a file ("-": stdin); says why not on stderr. */
bool cli_read(const char *path, CliFile *out);
void cli_free(CliFile *f);
/* Writes a file ("-": stdout). */
bool cli_write(const char *path, const void *data, size_t len);
/* Is it the binary format (by its magic)? */
bool cli_is_binary(const CliFile *f);
/* Binary or WAT; prints the error. */
chi_module *cli_load(const CliFile *f);
/* A store so configured; says if that cannot be, or is slower than wished. */
chi_store *cli_store(const chi_limits *limits, const chi_config *config);
/* Says, once, that code is interpreted for want of better. */
void cli_warn_of_tier(void);
/* Prints an error of that file. */
void cli_error(const CliFile *f, const chi_error *err);

/* native.c: machine code of the function of that index or name, or (NULL) of
 * all, to a file (NULL: stdout). */
int cli_objdump_native(const CliFile *f, const chi_module *m, const char *func,
                       const char *path);

#endif
