/* Any bytes, made a valid module: it must validate, keep its bytes through
 * text, and do the same by either dispatcher, metered or not. */
#include "chiasm_tools.h"
#include "fuzz/fuzz.h"
#include "fuzz/generate.h"
#include "fuzz/roundtrip.h"
#include "fuzz/run.h"

static void run_all(chi_module *m)
{
    enum { FUEL = 3000 };
    static RunResult by_switch, by_tail, unmetered;
    RunOptions o = {.fuel = FUEL, .config.tier = CHI_TIER_INTERP};
    run_module(m, &o, &by_switch);
    o.tail = true;
    run_module(m, &o, &by_tail);
    run_compare(&by_switch, &by_tail, true);
    if (by_switch.out_of_fuel)
        return;
    o.fuel = UINT64_MAX;
    run_module(m, &o, &unmetered);
    run_compare(&by_switch, &unmetered, false);
}

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
    fuzz_begin(size * 100);
    uint8_t *bytes = generate_module(data, size, &len);
    keep(bytes, len);
    chi_module *m = chi_module_new(bytes, len, chi_features_all(), &err);
    FUZZ_CHECK(m, "a generated module is not valid: %#llx: %s",
               (unsigned long long)err.offset, err.message);
    run_all(m);
    if (fuzz_hash(0, data, size) % 8 == 0)
        roundtrip_text(m, fuzz_hash(1, data, size) & 3);
    chi_module_free(m);
    free(bytes);
    fuzz_end();
    return 0;
}
