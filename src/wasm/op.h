/* op.h - what op.def says of each instruction, as data.
 *
 * Enum, names, codes and immediates; no meanings.  Lookups are by code (one
 * load) and by text (a hash).
 */
#ifndef CHI_WASM_OP_H
#define CHI_WASM_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) OP_##NAME,
#include "wasm/op.def"
#undef OP
    OP_COUNT
} Op;

typedef enum {
#define IMM(NAME) IMM_##NAME,
#include "wasm/imm.def"
#undef IMM
    IMM_COUNT
} Imm;

typedef enum {
#define FEATURE(NAME, TEXT, VERSION, DEFAULT) FEATURE_##NAME,
#include "wasm/feature.def"
#undef FEATURE
    FEATURE_COUNT
} Feature;

/* A set of features: bit 1 << FEATURE_x. */
typedef uint32_t Features;

typedef struct {
    const char *text;
    uint32_t code; /* prefix * 0x1000 + number */
    uint8_t imm;   /* Imm */
    uint8_t feature;
    uint8_t access; /* bytes that a memory access touches; 0: none */
} OpInfo;

extern const OpInfo op_info[OP_COUNT];

/* The op of a one-byte code, or OP_COUNT.  prefix: 0, or 0xfb to 0xfe. */
Op op_of_code(uint8_t prefix, uint32_t number);

/* The first op of that name, or OP_COUNT. */
Op op_of_text(const char *text, size_t len);

/* The op whose name is nearest (edit distance), for messages; OP_COUNT when
 * none is near. */
Op op_nearest_text(const char *text, size_t len);

extern const char *const feature_text[FEATURE_COUNT];
Features feature_edition(unsigned version_times_ten); /* 10, 20, 30 */
Features feature_all(void);
bool feature_of_text(const char *text, size_t len, Feature *out);

#endif
