/* roundtrip.h - a valid module through printer, parser, dump and strip. */
#ifndef CHI_FUZZ_ROUNDTRIP_H
#define CHI_FUZZ_ROUNDTRIP_H

#include "chiasm.h"

/* What the text of m parses to is a module whose text parses to the same
 * bytes; what is stripped of it is valid.  flags: those of chi_module_print.
 * Ends the process where that does not hold. */
void roundtrip_text(const chi_module *m, unsigned flags);
void roundtrip_tools(const chi_module *m);

#endif
