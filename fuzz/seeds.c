/* Makes a corpus of scripts: seeds OUT FILE.wast...
 *
 * OUT/module and OUT/text get each module of the scripts (the text printed),
 * OUT/text also each script that is short. */
#include <string.h>

#include "chiasm_tools.h"
#include "fuzz/fuzz.h"
#include "text/script.h"

enum { LARGEST = 1500 };

static void save(const char *folder, const char *kind, const void *data,
                 size_t size, const char *before)
{
    char name[2048];
    if (size > LARGEST)
        return;
    snprintf(name, sizeof name, "%s/%s/%016llx", folder, kind,
             (unsigned long long)fuzz_hash(0, data, size));
    FILE *f = fopen(name, "wb");
    FUZZ_CHECK(f, "%s cannot be written", name);
    fputs(before, f);
    fwrite(data, 1, size, f);
    fclose(f);
}

static void save_module(const char *folder, const uint8_t *bytes, size_t len)
{
    save(folder, "module", bytes, len, "");
    chi_module *m = chi_module_new(bytes, len, chi_features_all(), NULL);
    if (!m)
        return;
    size_t text_len;
    unsigned fold = (unsigned)len % 2 ? CHI_PRINT_FOLD : 0;
    char *text = chi_module_print(m, fold, &text_len);
    save(folder, "text", text, text_len, "");
    chi_text_free(text);
    chi_module_free(m);
}

static void read_script(const char *folder, const char *text, size_t len)
{
    save(folder, "text", text, len, "#");
    Script *s = script_new(text, len, chi_features_all());
    for (;;) {
        Error err = {0};
        Command c = {0};
        bool has = script_next(s, &c, &err);
        if (!has && err.code == ERR_OK)
            break;
        bool module = c.kind == COMMAND_MODULE
                      || c.kind == COMMAND_MODULE_DEFINITION || c.has_module;
        if (has && module && c.module.bytes)
            save_module(folder, c.module.bytes, c.module.len);
    }
    script_free(s);
}

int main(int argc, char **argv)
{
    static char text[4 << 20];
    for (int i = 2; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        size_t len = f ? fread(text, 1, sizeof text, f) : 0;
        if (f)
            fclose(f);
        if (len > 5 && !strcmp(argv[i] + strlen(argv[i]) - 5, ".wasm"))
            save_module(argv[1], (const uint8_t *)text, len);
        else
            read_script(argv[1], text, len);
    }
    return 0;
}
