/* Any bytes, taken as text: parsed as a module, checked, printed and parsed
 * back, and read as a script.  Scripts are read, not run: a script may do
 * anything for any time. */
#include <string.h>

#include "chiasm_tools.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "fuzz/roundtrip.h"
#include "text/script.h"

typedef struct {
    const char *text;
    size_t len;
    unsigned errors;
} Check;

static void count(void *env, const chi_error *err)
{
    Check *c = env;
    FUZZ_CHECK(err->code != CHI_OK && err->message[0], "an error of nothing");
    FUZZ_CHECK(err->line > 0 && err->column > 0, "an error without a place: %s",
               err->message);
    if (++c->errors == 1)
        chi_text_free(chi_error_show(err, "m.wat", c->text, c->len, true));
}

static void read_module(const char *text, size_t len, uint64_t hash)
{
    Check check = {.text = text, .len = len};
    chi_error err = {0};
    chi_text_check(text, len, chi_features_all(), count, &check);
    chi_module *m = chi_module_from_text(text, len, chi_features_all(), &err);
    FUZZ_CHECK(!m == (check.errors > 0),
               "loading says %s, checking finds %u errors",
               m ? "valid" : err.message, check.errors);
    if (m)
        roundtrip_text(m, hash & 3);
    chi_module_free(m);
}

static void read_script(const char *text, size_t len)
{
    Script *s = script_new(text, len, chi_features_all());
    Command command;
    for (int turn = 0; turn < 64; turn++) {
        Error err = {0};
        if (!script_next(s, &command, &err) && err.code == ERR_OK)
            break;
    }
    script_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t hash = fuzz_hash(0, data, size);
    /* Exactly as long as it is, and without a NUL, to see reads past it. */
    char *text = malloc(size + !size);
    if (size)
        memcpy(text, data, size);
    fuzz_begin(size);
    if (size && text[0] == '#') /* as scripts in the corpus begin */
        read_script(text + 1, size - 1);
    else
        read_module(text, size, hash);
    chi_type type;
    chi_type_parse(text, size, &type);
    fuzz_end();
    free(text);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    return mutate_text(data, size, max_size, seed);
}
