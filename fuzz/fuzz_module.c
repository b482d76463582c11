/* Any bytes, taken as a module: checked, loaded, printed and parsed back,
 * stripped, dumped, instantiated and run. */
#include "chiasm_tools.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "fuzz/roundtrip.h"
#include "fuzz/run.h"

static void count(void *env, const chi_error *err)
{
    FUZZ_CHECK(err->code != CHI_OK && err->message[0], "an error of nothing");
    if (++*(unsigned *)env == 1)
        chi_text_free(chi_error_show(err, "m.wasm", NULL, 0, false));
}

static void one(const uint8_t *data, size_t size)
{
    uint64_t hash = fuzz_hash(0, data, size);
    chi_features features = hash % 16 ? chi_features_all()
                                      : chi_features_edition(1 + hash / 16 % 3);
    unsigned errors = 0;
    chi_error err = {0};
    chi_module_check(data, size, features, count, &errors);
    chi_module *m = chi_module_new(data, size, features, &err);
    FUZZ_CHECK(!m == (errors > 0), "loading says %s, checking finds %u errors",
               m ? "valid" : err.message, errors);
    if (!m)
        return;
    roundtrip_text(m, hash >> 8 & 3);
    roundtrip_tools(m);
    RunResult result;
    run_module(m, &(RunOptions){.fuel = 2000}, &result);
    chi_module_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_begin(size);
    one(data, size);
    fuzz_end();
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    return mutate_module(data, size, max_size, seed);
}
