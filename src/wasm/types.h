/* types.h - value types, and the registry of composite types.
 *
 * A Type is 32 bits: the binary format's kind byte in the low 8, for
 * references a heap type in the upper 24: an abstract one (HEAP_ABSTRACT |
 * its 7-bit code), or the *canonical id* of a composite type.  Canonical ids
 * are given per process: recursive type groups that are equal get equal ids,
 * in whichever module they stand (WebAssembly 3.0, 3.1.4, 'rolling'), so
 * types compare by one ==, in a module and across modules.
 *
 * The registry is safe for all threads: look-ups take no lock, and a record
 * stays in place while a module or a store holds a reference on its group.
 */
#ifndef CHI_WASM_TYPES_H
#define CHI_WASM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t Type;

enum {
    T_BOTTOM = 0, /* of unreachable code: matches everything */
    T_I32 = 0x7f,
    T_I64 = 0x7e,
    T_F32 = 0x7d,
    T_F64 = 0x7c,
    T_V128 = 0x7b,
    T_I8 = 0x78, /* packed: only in fields */
    T_I16 = 0x77,
    KIND_REF = 0x64,
    KIND_REF_NULL = 0x63,
};

/* Abstract heap types, by their codes in the binary format. */
enum {
    HEAP_NOEXN = 0x74,
    HEAP_NOFUNC = 0x73,
    HEAP_NOEXTERN = 0x72,
    HEAP_NONE = 0x71,
    HEAP_FUNC = 0x70,
    HEAP_EXTERN = 0x6f,
    HEAP_ANY = 0x6e,
    HEAP_EQ = 0x6d,
    HEAP_I31 = 0x6c,
    HEAP_STRUCT = 0x6b,
    HEAP_ARRAY = 0x6a,
    HEAP_EXN = 0x69,
    HEAP_BOTTOM = 0x40, /* of unreachable code: matches every heap type */
};
#define HEAP_ABSTRACT ((uint32_t)1 << 23)
#define HEAP_REC      ((uint32_t)1 << 22) /* position within its own group: */
                                          /* only while a group is rolled */

static inline Type type_ref(bool nullable, uint32_t heap)
{
    return (nullable ? KIND_REF_NULL : KIND_REF) | heap << 8;
}
static inline Type type_ref_abstract(bool nullable, uint32_t code)
{
    return type_ref(nullable, HEAP_ABSTRACT | code);
}
#define T_FUNCREF   type_ref_abstract(true, HEAP_FUNC)
#define T_EXTERNREF type_ref_abstract(true, HEAP_EXTERN)
#define T_ANYREF    type_ref_abstract(true, HEAP_ANY)
#define T_EXNREF    type_ref_abstract(true, HEAP_EXN)

static inline uint8_t type_kind(Type t) { return (uint8_t)t; }
static inline uint32_t type_heap(Type t) { return t >> 8; }
static inline bool type_is_ref(Type t)
{
    return (uint8_t)t == KIND_REF || (uint8_t)t == KIND_REF_NULL;
}
static inline bool type_is_nullable(Type t)
{
    return (uint8_t)t == KIND_REF_NULL;
}
static inline bool type_is_concrete(Type t) /* a reference with a type id */
{
    return type_is_ref(t) && !(type_heap(t) & HEAP_ABSTRACT);
}
/* Has a default value: null or zero. */
static inline bool type_is_defaultable(Type t)
{
    return (uint8_t)t != KIND_REF;
}
static inline uint32_t type_slots(Type t) { return t == T_V128 ? 2 : 1; }
/* Bytes in a struct or an array: 1 2 4 8 16; references are 8. */
uint32_t type_size(Type storage);

typedef enum { COMP_FUNC, COMP_STRUCT, COMP_ARRAY } CompKind;

typedef struct {
    uint32_t n_params, n_results;
    uint32_t param_slots, result_slots; /* of 8 bytes: a v128 is two */
    const Type *types;                  /* parameters, then results */
} FuncType;

typedef struct {
    Type type; /* may be packed */
    bool mutable;
    uint32_t offset; /* bytes from the start of the object */
} Field;

typedef struct TypeDef TypeDef;

/* One composite type.  Objects of the GC heap begin with a header of 8 bytes,
 * { u32 id; u32 length or flags }; field offsets count it. */
struct TypeDef {
    uint32_t id;
    uint8_t kind; /* CompKind */
    bool final;
    uint32_t super;          /* id, or NO_TYPE */
    uint32_t depth;          /* of supertypes above; at most 63 */
    const uint32_t *display; /* ids, root first; display[depth] == id */
    union {
        FuncType func;
        struct {
            uint32_t n_fields;
            Field *fields;
            uint32_t size; /* bytes, header included */
        } structure;
        Field array; /* offset: that of element 0 */
    };
};

#define NO_TYPE UINT32_MAX
enum { TYPE_DEPTH_LIMIT = 63, TYPE_ID_EXTERN = 1, TYPE_ID_EXN = 2 };

/* The record of a canonical id that somebody holds. */
const TypeDef *type_def(uint32_t id);

/* What a rec group looks like before it is canonical: `types` has n records,
 * whose Types refer to members of the group by HEAP_REC | position, and whose
 * `super` is an id or HEAP_REC | position.  id, depth, display, slots and
 * offsets are not set. */
typedef struct TypeGroup TypeGroup;

/* Finds or adds the group, takes a reference on it, and gives it; the members'
 * ids are type_group_first(g) .. + n - 1.  Copies what it keeps.  NULL: the
 * registry is full (2^22 types) or a supertype is deeper than the limit. */
TypeGroup *type_group_intern(const TypeDef *types, uint32_t n);
uint32_t type_group_first(const TypeGroup *g);
void type_group_release(TypeGroup *g);

/* The canonical id of a lone final function type; its group in *g. */
const TypeDef *type_func_intern(const Type *params, uint32_t n_params,
                                const Type *results, uint32_t n_results,
                                TypeGroup **g);

/* See WebAssembly 3.0, 3.3 (matching). */
bool type_matches(Type sub, Type super);
bool type_def_matches(uint32_t sub_id, uint32_t super_id);
/* The top of the hierarchy that a heap type belongs to: HEAP_ANY, HEAP_FUNC,
 * HEAP_EXTERN or HEAP_EXN. */
uint32_t type_heap_top(uint32_t heap);

/* WAT's spelling; concrete heap types as numbers by `index_of`, which maps a
 * canonical id to a module's index (NULL: prints the id).  Returns the length,
 * writes at most `size` bytes with a NUL, as snprintf does. */
typedef uint32_t TypeIndexOf(void *env, uint32_t id);
int type_print(Type t, TypeIndexOf *index_of, void *env, char *out,
               size_t size);

#endif
