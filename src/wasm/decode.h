/* decode.h - reading the binary format into a Module.  Internal to wasm/.
 *
 * Decoding finds what is malformed, resolves types, and lays out the index
 * spaces; all other rules are the validator's.  Function bodies are only
 * delimited: the validator reads them.
 */
#ifndef CHI_WASM_DECODE_H
#define CHI_WASM_DECODE_H

#include "base/reader.h"
#include "wasm/module.h"

/* Fails at an offset with any code; moves to the end.  Returns 0. */
int decode_fail(Reader *r, ErrorCode code, uint64_t offset, const char *format,
                ...) PRINTF_LIKE(4, 5);

static inline bool decode_has(const Module *m, Feature f)
{
    return m->features >> f & 1;
}

/* Fails unless the module may use the feature. */
bool decode_need(Reader *r, const Module *m, Feature f, const char *what);

/* A count, tested against a limit and against the bytes left, of which each
 * thing counted needs `least`. */
uint32_t decode_count(Reader *r, uint32_t limit, uint32_t least,
                      const char *what);

/* Types.  Indices below m->n_types are resolved; those from there up to
 * rec_end are members of the group being read, and become HEAP_REC |
 * position.  0: no group is being read. */
Type decode_value_type(Reader *r, const Module *m, uint32_t rec_end);
Type decode_ref_type(Reader *r, const Module *m, uint32_t rec_end);
/* HEAP_ABSTRACT | code, or a canonical id, or HEAP_REC | position. */
uint32_t decode_heap_type(Reader *r, const Module *m, uint32_t rec_end);

/* The function type of an index; NULL after a failure. */
const TypeDef *decode_func_type(Reader *r, const Module *m, uint32_t *index);

/* Steps over a constant expression. */
ConstExpr decode_const_expr(Reader *r);

/* Content of sections: r is limited to it. */
void decode_type_section(Reader *r, Module *m);
void decode_import_section(Reader *r, Module *m);
void decode_func_section(Reader *r, Module *m);
void decode_table_section(Reader *r, Module *m);
void decode_memory_section(Reader *r, Module *m);
void decode_tag_section(Reader *r, Module *m);
void decode_global_section(Reader *r, Module *m);
void decode_export_section(Reader *r, Module *m);
void decode_elem_section(Reader *r, Module *m);
void decode_data_section(Reader *r, Module *m);

/* UTF-8, in place. */
Name decode_name(Reader *r);

/* The whole module, whose bytes, len and features are set.  false: err says
 * why; what was read until then is in place. */
bool decode_module(Module *m, Error *err);

#endif
