/* generator.h - the parts of the generator.  See generate.h.
 *
 * A module's shape (Shape) is drawn first: types, imports, memories and so on.
 * Then each body is written by choosing, for a value that is wanted, an
 * instruction that gives it, and so on for its operands, until the depth or
 * the bytes end.
 */
#ifndef CHI_FUZZ_GENERATOR_H
#define CHI_FUZZ_GENERATOR_H

#include <stdbool.h>

#include "base/writer.h"
#include "wasm/op.h"
#include "wasm/types.h"

/* Value types, all with a default value. */
typedef enum {
    V_I32,
    V_I64,
    V_F32,
    V_F64,
    V_V128,
    V_FUNC,
    V_EXTERN,
    V_ANY,
    V_EQ,
    V_I31,
    V_EXN,
    V_STRUCT, /* and the following: composite types by number */
    V_SUB = V_STRUCT + 1,
    V_PACKED,
    V_FLOATS,
    V_BYTES,
    V_LONGS,
    V_STRUCTS,
    V_VECTORS,
    V_COUNT,
    V_NONE = 0xff
} Value;

enum {
    N_COMPOSITE = V_COUNT - V_STRUCT, /* type indices from 0 */
    MOST_SIGS = 8,                    /* the last is a subtype of its equal */
    MOST_PARAMS = 17,
    MOST_RESULTS = 11,
    MOST_FUNCS = 8,
    MOST_MEMORIES = 2,
    N_TABLES = 2, /* of funcref, of anyref */
    N_TAGS = 4,   /* the first is imported */
    N_ELEMS = 3,  /* active, passive, of structs */
    N_DATAS = 2,  /* active or passive, passive */
    DATA_BYTES = 40,
    MOST_LABELS = 24,
    MOST_LOCALS = 96,
    HIDDEN = 0x80,
    MOST_DEPTH = 12
};

typedef struct {
    uint8_t n_params, n_results;
    uint8_t types[MOST_PARAMS + MOST_RESULTS]; /* Values: parameters, results */
} Sig;

typedef struct {
    bool is64, shared, bytewise; /* bytewise: pages of one byte */
} MemoryShape;

typedef struct {
    Sig sigs[MOST_SIGS];
    uint8_t func_sigs[MOST_FUNCS]; /* imported ones first */
    uint32_t n_funcs, n_imports;
    MemoryShape memories[MOST_MEMORIES];
    uint32_t n_memories;
    bool import_memory; /* the first */
    bool table64;
} Shape;

/* Types of some values, one after the other. */
typedef struct {
    uint32_t n;
    const uint8_t *types; /* Values */
} Values;

typedef struct {
    Values takes;
    bool legacy; /* a catch of a legacy try: rethrow may name it */
    bool closed; /* not to be branched to: the loop would not end */
} Label;

typedef struct {
    const uint8_t *p, *end;
    Shape shape;
    /* Of the function being written: */
    Writer code;
    const Sig *sig;
    uint8_t locals[MOST_LOCALS]; /* Values; those HIDDEN are not chosen */
    uint32_t n_locals, n_params;
    Label labels[MOST_LABELS];
    uint32_t n_labels;
    uint32_t depth;
    /* Of the next value it does not matter which NaN it is; of a vector, of
     * lanes of as many bits as begin with this digit. */
    char loose;
} Generator;

static inline uint8_t draw(Generator *g) { return g->p < g->end ? *g->p++ : 0; }
static inline uint32_t draw_below(Generator *g, uint32_t n)
{
    return n ? draw(g) % n : 0;
}

static inline Values params_of(const Sig *s)
{
    return (Values){s->n_params, s->types};
}
static inline Values results_of(const Sig *s)
{
    return (Values){s->n_results, s->types + s->n_params};
}
static inline bool same_values(Values a, Values b)
{
    return a.n == b.n && !memcmp(a.types, b.types, a.n);
}

/* Type indices: composite types; sigs; of each tag its own, then a block's
 * that gives its payload, and one that gives an exnref besides. */
static inline uint32_t sig_index(uint32_t sig) { return N_COMPOSITE + sig; }
static inline uint32_t tag_index(uint32_t tag)
{
    return N_COMPOSITE + MOST_SIGS + tag;
}
static inline uint32_t caught_index(uint32_t tag, bool with_exn)
{
    return tag_index(N_TAGS) + 2 * tag + with_exn;
}

static inline void write_op(Writer *w, Op op)
{
    uint32_t code = op_info[op].code;
    if (code >> 12)
        writer_byte(w, (uint8_t)(code >> 12));
    if (code >> 12)
        writer_u32(w, code & 0xfff);
    else
        writer_byte(w, (uint8_t)code);
}
static inline void emit(Generator *g, Op op) { write_op(&g->code, op); }
static inline void emit_index(Generator *g, Op op, uint32_t index)
{
    write_op(&g->code, op);
    writer_u32(&g->code, index);
}

/* generate.c */
void write_value_type(Writer *w, Value v);
void write_heap_type(Writer *w, Value v);
bool value_is_ref(Value v);
bool value_is_any(Value v); /* of the hierarchy of any */
Values single(uint8_t v);   /* V_NONE: of nothing */
Values tag_payload(uint32_t tag);
Values tag_caught(uint32_t tag, bool with_exn);

/* generate_op.c */
void generate_value(Generator *g, Value v);          /* pushes one */
void generate_constant(Generator *g, Value v);       /* a number, or null */
void emit_number(Generator *g, Value v, uint64_t x); /* V_I32 or V_I64 */
/* A length or an index, mostly small. */
void generate_small(Generator *g, Value v);
void generate_effect(Generator *g); /* on memories and tables */
/* Many operands, which are combined in pairs. */
void generate_deep(Generator *g);
uint32_t add_local(Generator *g, Value v);
/* A local of the type from a place on, around; n_locals if there is none. */
uint32_t find_local(const Generator *g, uint32_t from, uint8_t v);

/* generate_gc.c */
void generate_reference(Generator *g, Value v);
/* A v out of an object.  false: there is none, nothing is written. */
bool generate_from_reference(Generator *g, Value v);
void generate_gc_effect(Generator *g);

/* generate_control.c */
void generate_statements(Generator *g);
/* A v by a block, a call or the like.  false: nothing is written. */
bool generate_control(Generator *g, Value v);
void generate_values(Generator *g, Values v); /* pushes all */
void emit_stores(Generator *g, Values v);     /* takes them into globals */

#endif
