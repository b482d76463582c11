#include "fuzz/two_tiers.h"

#include "fuzz/run.h"

static RunOptions options(uint32_t draws)
{
    static const chi_form forms[] = {CHI_FORM_WIDE, CHI_FORM_DENSE,
                                     CHI_FORM_EXPLICIT, CHI_FORM_WIDE};
    RunOptions o = {.fuel = 4000, .tail = true, .across_tiers = true};
    o.config = (chi_config){.tier = CHI_TIER_BASELINE,
                            .form = forms[draws % 4],
                            .signals = draws % 4 == 3 ? CHI_NO : CHI_UNSAID,
                            .registers = draws & 4 ? 4 : 0};
    o.pair = draws & 8;
    o.stress = (draws >> 4) % 8 == 7;
    if (o.stress)
        o.fuel = 800;
    return o;
}

void two_tiers(chi_module *m, uint32_t draws)
{
    static RunResult interpreted, compiled;
    RunOptions o = options(draws), oracle = o;
    bool metered = draws & 128;
    oracle.config = (chi_config){.tier = CHI_TIER_INTERP};
    run_module(m, &oracle, &interpreted);
    if (interpreted.out_of_fuel || interpreted.vague)
        metered = true; /* else it might never end */
    if (!metered)
        o.fuel = UINT64_MAX;
    run_module(m, &o, &compiled);
    run_compare(&interpreted, &compiled, metered);
}
