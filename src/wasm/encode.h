/* encode.h - a module's bytes, made anew from its sections. */
#ifndef CHI_WASM_ENCODE_H
#define CHI_WASM_ENCODE_H

#include "base/writer.h"
#include "wasm/module.h"

/* The module without its custom sections, all or (keep_names) all but the
 * name section.  The others are copied as they stand. */
void encode_stripped(const Module *m, bool keep_names, Writer *out);

#endif
