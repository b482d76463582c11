#include "wasm/types.h"

#include <stdio.h>

uint32_t type_size(Type storage)
{
    switch (type_kind(storage)) {
    case T_I8: return 1;
    case T_I16: return 2;
    case T_I32:
    case T_F32: return 4;
    case T_V128: return 16;
    default: return 8;
    }
}

uint32_t type_heap_top(uint32_t heap)
{
    if (!(heap & HEAP_ABSTRACT))
        return type_def(heap)->kind == COMP_FUNC ? HEAP_FUNC : HEAP_ANY;
    switch (heap & 0x7f) {
    case HEAP_FUNC:
    case HEAP_NOFUNC: return HEAP_FUNC;
    case HEAP_EXTERN:
    case HEAP_NOEXTERN: return HEAP_EXTERN;
    case HEAP_EXN:
    case HEAP_NOEXN: return HEAP_EXN;
    default: return HEAP_ANY;
    }
}

bool type_def_matches(uint32_t sub_id, uint32_t super_id)
{
    if (sub_id == super_id)
        return true;
    const TypeDef *sub = type_def(sub_id);
    uint32_t depth = type_def(super_id)->depth;
    return sub->depth > depth && sub->display[depth] == super_id;
}

/* The abstract heap type right above a composite type. */
static uint32_t abstract_of(uint32_t id)
{
    switch (type_def(id)->kind) {
    case COMP_STRUCT: return HEAP_STRUCT;
    case COMP_ARRAY: return HEAP_ARRAY;
    default: return HEAP_FUNC;
    }
}

/* See WebAssembly 3.0, 3.3.3. */
static bool abstract_matches(uint32_t sub, uint32_t super)
{
    if (sub == super)
        return true;
    switch (super) {
    case HEAP_ANY:
        return sub == HEAP_EQ || sub == HEAP_I31 || sub == HEAP_STRUCT
               || sub == HEAP_ARRAY || sub == HEAP_NONE;
    case HEAP_EQ:
        return sub == HEAP_I31 || sub == HEAP_STRUCT || sub == HEAP_ARRAY
               || sub == HEAP_NONE;
    case HEAP_I31:
    case HEAP_STRUCT:
    case HEAP_ARRAY: return sub == HEAP_NONE;
    case HEAP_FUNC: return sub == HEAP_NOFUNC;
    case HEAP_EXTERN: return sub == HEAP_NOEXTERN;
    case HEAP_EXN: return sub == HEAP_NOEXN;
    default: return false;
    }
}

static bool heap_matches(uint32_t sub, uint32_t super)
{
    if (sub == super || sub == (HEAP_ABSTRACT | HEAP_BOTTOM))
        return true;
    if (super & HEAP_ABSTRACT)
        return abstract_matches(
            sub & HEAP_ABSTRACT ? sub & 0x7f : abstract_of(sub), super & 0x7f);
    if (sub & HEAP_ABSTRACT)
        return (sub & 0x7f)
               == (abstract_of(super) == HEAP_FUNC ? HEAP_NOFUNC : HEAP_NONE);
    return type_def_matches(sub, super);
}

bool type_matches(Type sub, Type super)
{
    if (sub == super || sub == T_BOTTOM)
        return true;
    if (!type_is_ref(sub) || !type_is_ref(super))
        return false;
    if (type_is_nullable(sub) && !type_is_nullable(super))
        return false;
    return heap_matches(type_heap(sub), type_heap(super));
}

typedef struct {
    uint8_t code;
    const char *heap, *nullable; /* "func", and "funcref" for (ref null func) */
} HeapText;

static const HeapText heap_texts[] = {
    {HEAP_NOEXN, "noexn", "nullexnref"},
    {HEAP_NOFUNC, "nofunc", "nullfuncref"},
    {HEAP_NOEXTERN, "noextern", "nullexternref"},
    {HEAP_NONE, "none", "nullref"},
    {HEAP_FUNC, "func", "funcref"},
    {HEAP_EXTERN, "extern", "externref"},
    {HEAP_ANY, "any", "anyref"},
    {HEAP_EQ, "eq", "eqref"},
    {HEAP_I31, "i31", "i31ref"},
    {HEAP_STRUCT, "struct", "structref"},
    {HEAP_ARRAY, "array", "arrayref"},
    {HEAP_EXN, "exn", "exnref"},
};

static const HeapText *heap_text(uint32_t code)
{
    for (size_t i = 0; i < sizeof heap_texts / sizeof *heap_texts; i++)
        if (heap_texts[i].code == code)
            return &heap_texts[i];
    static const HeapText bottom = {0, "bot", "(ref null bot)"};
    return &bottom;
}

static const char *number_text(Type t)
{
    switch (t) {
    case T_I32: return "i32";
    case T_I64: return "i64";
    case T_F32: return "f32";
    case T_F64: return "f64";
    case T_V128: return "v128";
    case T_I8: return "i8";
    case T_I16: return "i16";
    default: return "bot";
    }
}

int type_print(Type t, TypeIndexOf *index_of, void *env, char *out, size_t size)
{
    if (!type_is_ref(t))
        return snprintf(out, size, "%s", number_text(t));
    uint32_t heap = type_heap(t);
    if (!(heap & HEAP_ABSTRACT)) {
        uint32_t index = index_of ? index_of(env, heap) : heap;
        if (index == NO_TYPE)
            index = heap;
        return snprintf(out, size, "(ref %s%u)",
                        type_is_nullable(t) ? "null " : "", (unsigned)index);
    }
    const HeapText *text = heap_text(heap & 0x7f);
    if (type_is_nullable(t))
        return snprintf(out, size, "%s", text->nullable);
    return snprintf(out, size, "(ref %s)", text->heap);
}
