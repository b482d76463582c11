/* two_tiers.h - a module by both tiers: the interpreter is the oracle. */
#ifndef CHI_FUZZ_TWO_TIERS_H
#define CHI_FUZZ_TWO_TIERS_H

#include "chiasm.h"

/* Runs m interpreted, then as machine code in the configuration that the bits
 * of draws say; ends the process unless both do the same. */
void two_tiers(chi_module *m, uint32_t draws);

#endif
