/* Any bytes: the first a configuration, the others made a valid module,
 * which must do the same interpreted and as machine code. */
#include "fuzz/fuzz.h"
#include "fuzz/generate.h"
#include "fuzz/two_tiers.h"

/* A failing module is worth keeping as a module. */
static void keep(const uint8_t *bytes, size_t len)
{
    const char *name = getenv("FUZZ_KEEP");
    FILE *f = name ? fopen(name, "wb") : NULL;
    if (f) {
        fwrite(bytes, 1, len, f);
        fclose(f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len;
    chi_error err = {0};
    if (size < 1)
        return 0;
    fuzz_begin(size * 100);
    uint8_t *bytes = generate_module(data + 1, size - 1, &len);
    keep(bytes, len);
    chi_module *m = chi_module_new(bytes, len, chi_features_all(), &err);
    FUZZ_CHECK(m, "a generated module is not valid: %#llx: %s",
               (unsigned long long)err.offset, err.message);
    two_tiers(m, data[0]);
    chi_module_free(m);
    free(bytes);
    fuzz_end();
    return 0;
}
