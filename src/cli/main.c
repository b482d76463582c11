/* The `chiasm` command: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const Command commands[] = {
    {"run",
     "[--dir HOST[::GUEST]] [--env NAME=VALUE] [--timeout SECONDS] [--fuel N] "
     "[--max-memory BYTES] [--preload NAME=FILE] [--invoke NAME] "
     "[--profile[=OUT]] FILE [ARGS...]",
     "run a WASI program, or an exported function", command_run},
    {"validate", "FILE...", "report every error", command_validate},
    {"show", "[--sections|--sizes|--bytes] FILE",
     "what a module wants and gives", command_show},
    {"print", "[--fold] [--no-names] [-o OUT] FILE", "binary to WAT",
     command_print},
    {"parse", "[-o OUT] FILE", "WAT to binary", command_parse},
    {"objdump", "[--native [--func INDEX|NAME]] [-o OUT] FILE",
     "offsets, bytes and instructions", command_objdump},
    {"strip", "[--keep-names] [-o OUT] FILE", "without custom sections",
     command_strip},
    {"compile", "-o OUT FILE", "machine code, ahead of time; run takes it",
     command_compile},
    {"wast", "FILE...", "run specification scripts", command_wast},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* Named in the documentation, and still to be built. */
static const char *const later[] = {"opt", "link", "build", "stubs", "bench"};

static int help(FILE *to)
{
    fprintf(to, "chiasm %s: a toolkit for WebAssembly\n\n", chi_version());
    for (int k = 0; k < N_COMMANDS; k++)
        fprintf(to, "  chiasm %-9s %s\n", commands[k].name,
                commands[k].summary);
    fprintf(to, "\nA FILE is the binary format or WAT; - is stdin, as an "
                "output stdout.\nEverywhere: --color=auto|always|never, "
                "--features=all|1.0|2.0|3.0|NAMES\n");
    return to == stdout ? EXIT_DONE : EXIT_USAGE;
}

static const Command *find_command(const char *name)
{
    for (int k = 0; k < N_COMMANDS; k++)
        if (!strcmp(commands[k].name, name))
            return &commands[k];
    return NULL;
}

static int help_on(const char *name)
{
    const Command *c = find_command(name);
    if (!c)
        return help(stderr);
    printf("chiasm %s %s\n\n%s\n", c->name, c->usage, c->summary);
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr);
    const char *name = argv[1];
    if (!strcmp(name, "--version")) {
        printf("chiasm %s\n", chi_version());
        return EXIT_DONE;
    }
    if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h"))
        return argc > 2 ? help_on(argv[2]) : help(stdout);
    const Command *c = find_command(name);
    if (c)
        return c->run(argc - 1, argv + 1);
    for (size_t k = 0; k < sizeof later / sizeof *later; k++)
        if (!strcmp(later[k], name)) {
            fprintf(stderr, "chiasm %s: not built yet\n", name);
            return EXIT_USAGE;
        }
    fprintf(stderr, "chiasm: no command '%s'\n\n", name);
    return help(stderr);
}
