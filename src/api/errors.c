/* Failures, codes, types and features at the public border. */
#include <stdio.h>

#include "api/api.h"

/* clang-format off */
#define ERR(NAME, CLASS, TEXT)                                                 \
    _Static_assert((int)ERR_##NAME == (int)CHI_##NAME, #NAME);
#include "base/error.def"
#undef ERR
/* clang-format on */
_Static_assert((int)ERR_COUNT == (int)CHI_CODE_COUNT, "codes");
_Static_assert((int)EXTERN_FUNC == (int)CHI_FUNC
                   && (int)EXTERN_TABLE == (int)CHI_TABLE
                   && (int)EXTERN_MEMORY == (int)CHI_MEM
                   && (int)EXTERN_GLOBAL == (int)CHI_GLOBAL
                   && (int)EXTERN_TAG == (int)CHI_TAG,
               "kinds");
_Static_assert(sizeof(((chi_error *)0)->message) == ERROR_MESSAGE_SIZE,
               "messages");

const char *chi_code_text(chi_code code) { return error_text((ErrorCode)code); }

bool chi_code_is_trap(chi_code code) { return error_is_trap((ErrorCode)code); }

const char *chi_version(void) { return CHIASM_VERSION; }

chi_code api_error(chi_error *err, const Error *from)
{
    if (err) {
        err->code = (chi_code)from->code;
        err->line = from->line;
        err->column = from->column;
        err->function = from->function;
        err->offset = from->offset;
        memcpy(err->message, from->message, sizeof err->message);
    }
    return (chi_code)from->code;
}

chi_code api_guest_error(chi_error *err, Store *s, ErrorCode code)
{
    if (err) {
        *err = (chi_error){.code = (chi_code)code,
                           .function = UINT32_MAX,
                           .offset = UINT64_MAX};
        if (s->n_frames > 0) {
            err->function = s->frames[0].func->index;
            err->offset = s->frames[0].offset;
        }
        const char *text = s->error.code == code && s->error.message[0]
                               ? s->error.message
                               : error_text(code);
        snprintf(err->message, sizeof err->message, "%s", text);
    }
    s->error.code = ERR_OK;
    return (chi_code)code;
}

/* ---- types */

chi_top chi_type_top(chi_type t)
{
    if (!type_is_ref(t))
        return CHI_TOP_NONE;
    switch (type_heap_top(type_heap(t))) {
    case HEAP_FUNC: return CHI_TOP_FUNC;
    case HEAP_EXTERN: return CHI_TOP_EXTERN;
    case HEAP_EXN: return CHI_TOP_EXN;
    default: return CHI_TOP_ANY;
    }
}

bool chi_type_matches(chi_type sub, chi_type super)
{
    return type_matches(sub, super);
}

int chi_type_print(chi_type t, const chi_module *m, char *out, size_t size)
{
    return type_print(t, m ? module_type_index : NULL, module_of(m), out, size);
}

typedef struct {
    const char *text;
    Type type;
} NamedType;

bool chi_type_parse(const char *text, size_t len, chi_type *out)
{
    static const NamedType plain[] = {
        {"i32", T_I32}, {"i64", T_I64},   {"f32", T_F32},
        {"f64", T_F64}, {"v128", T_V128},
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strlen(plain[i].text) == len && !memcmp(plain[i].text, text, len))
            return *out = plain[i].type, true;
    /* The printer knows the spelling of every abstract reference type. */
    char spelled[64];
    for (uint32_t heap = HEAP_EXN; heap <= HEAP_NOEXN; heap++) {
        for (int nullable = 0; nullable < 2; nullable++) {
            Type t = type_ref_abstract(nullable, heap);
            int n = type_print(t, NULL, NULL, spelled, sizeof spelled);
            if ((size_t)n == len && !memcmp(spelled, text, len))
                return *out = t, true;
        }
        static const char *const names[] = {
            "exn",    "array", "struct", "i31",      "eq",     "any",
            "extern", "func",  "none",   "noextern", "nofunc", "noexn"};
        int n = snprintf(spelled, sizeof spelled, "(ref null %s)",
                         names[heap - HEAP_EXN]);
        if ((size_t)n == len && !memcmp(spelled, text, len))
            return *out = type_ref_abstract(true, heap), true;
    }
    return false;
}

/* ---- features */

chi_features chi_features_all(void) { return feature_all(); }

chi_features chi_features_edition(unsigned major)
{
    return feature_edition(major * 10);
}

const char *chi_feature_name(unsigned i)
{
    return i < FEATURE_COUNT ? feature_text[i] : NULL;
}
