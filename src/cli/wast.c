/* wast: runs specification scripts, one line per file. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static void print_line(void *env, const char *line)
{
    (void)env;
    fprintf(stderr, "%s\n", line);
}

int command_wast(int argc, char **argv)
{
    unsigned long passed = 0, failed = 0;
    const char *name, *value;
    int i = 1, status;
    while (cli_option(argc, argv, &i, &name, &value)) {
        if (!cli_common(argc, argv, &i, name, value, &status))
            status = cli_usage(argv[0], "unknown option %s", name);
        if (status)
            return status;
    }
    if (i >= argc)
        return cli_usage(argv[0], "a file is wanted");
    cli_warn_of_tier();
    for (; i < argc; i++) {
        CliFile f;
        if (!cli_read(argv[i], &f)) {
            failed++;
            continue;
        }
        chi_script_result r = chi_script_run(
            f.data, f.len, f.name, cli_features(f.name), print_line, NULL);
        printf("%s: %u passed, %u failed\n", f.name, r.passed, r.failed);
        fflush(stdout);
        passed += r.passed;
        failed += r.failed;
        cli_free(&f);
    }
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed ? EXIT_INPUT : EXIT_DONE;
}
