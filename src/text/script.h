/* script.h - reads the specification's test scripts (.wast).
 *
 * A Script yields commands one after the other; modules in them are already
 * assembled, to binary bytes or to the Error that their text gave.  What a
 * Command points to lives until the next script_next on the same Script.
 * Runs nothing: runners are built on top.  A script without `(module` that
 * begins with a module's field is one module.  See the reference
 * interpreter's README, "Scripts".
 */
#ifndef CHI_TEXT_SCRIPT_H
#define CHI_TEXT_SCRIPT_H

#include "wasm/module.h"

typedef struct Script Script;
typedef struct Command Command;

typedef enum {
    COMMAND_MODULE,            /* module: define and instantiate; name */
    COMMAND_MODULE_DEFINITION, /* module: define only; name */
    COMMAND_MODULE_INSTANCE,   /* name: of the instance; of: of the definition,
                                  empty for the last one */
    COMMAND_REGISTER,          /* string; name: of the instance or the last */
    COMMAND_ACTION,            /* action */
    COMMAND_ASSERT_RETURN,     /* action, expected */
    COMMAND_ASSERT_TRAP,       /* action or (has_module) module; message */
    COMMAND_ASSERT_EXHAUSTION, /* action, message */
    COMMAND_ASSERT_EXCEPTION,  /* action */
    COMMAND_ASSERT_MALFORMED,  /* module, message */
    COMMAND_ASSERT_INVALID,    /* module, message */
    COMMAND_ASSERT_UNLINKABLE, /* module, message */
    COMMAND_ASSERT_MALFORMED_CUSTOM, /* module, message */
    COMMAND_ASSERT_INVALID_CUSTOM,   /* module, message */
    COMMAND_THREAD, /* name, shared, body: run it in a thread */
    COMMAND_WAIT,   /* name: of the thread to join */
} CommandKind;

typedef enum {
    VALUE_I32, /* bits: the number, not extended */
    VALUE_I64,
    VALUE_F32, /* bits or nan[0] */
    VALUE_F64,
    VALUE_V128, /* v128, or where nan[lane] is set that */
    /* References.  has_bits false: any of that kind. */
    VALUE_REF_NULL,   /* heap, 0 for any null */
    VALUE_REF_HOST,   /* bits: the host's number; a host value in any */
    VALUE_REF_EXTERN, /* bits: a host value's number, externalised */
    VALUE_REF_FUNC,
    VALUE_REF_ANY,
    VALUE_REF_EQ,
    VALUE_REF_I31, /* bits, if has_bits */
    VALUE_REF_STRUCT,
    VALUE_REF_ARRAY,
    VALUE_REF_EXN,
    VALUE_REF_ANYTHING, /* (ref): not null, of whatever kind */
    VALUE_EITHER        /* one of alternatives */
} ScriptValueKind;

typedef enum { NAN_NONE, NAN_CANONICAL, NAN_ARITHMETIC } NanPattern;

typedef enum {
    SHAPE_I8X16,
    SHAPE_I16X8,
    SHAPE_I32X4,
    SHAPE_I64X2,
    SHAPE_F32X4,
    SHAPE_F64X2
} VectorShape;

typedef struct ScriptValue {
    uint8_t kind;   /* ScriptValueKind */
    uint8_t shape;  /* VectorShape, of a v128 */
    uint8_t heap;   /* HEAP_*, of ref.null */
    uint8_t nan[4]; /* NanPattern, by lane; a scalar is lane 0 */
    bool has_bits;
    uint64_t bits;
    uint8_t v128[16]; /* little endian */
    const struct ScriptValue *alternatives;
    uint32_t n_alternatives;
} ScriptValue;

typedef enum { ACTION_INVOKE, ACTION_GET } ActionKind;

typedef struct {
    ActionKind kind;
    Name instance; /* "$M" without the $; empty: the last one */
    Name name;     /* of the export */
    const ScriptValue *args;
    uint32_t n_args;
} ScriptAction;

typedef enum { SOURCE_TEXT, SOURCE_BINARY, SOURCE_QUOTE } SourceKind;

struct TextModule;

typedef struct {
    SourceKind kind;
    const uint8_t *bytes; /* NULL where the text does not parse: then err */
    size_t len;
    /* Its own place in the script, or for SOURCE_QUOTE its place in the text
     * that the quotes make. */
    Error err;
    /* Of text and quotes: to show the decoder's errors in the text. */
    const struct TextModule *text;
} ScriptModule;

struct Command {
    CommandKind kind;
    uint32_t line, column; /* of its parenthesis */
    Name name;             /* "$M" without the $; empty: none */
    Name of;
    Name string;
    Name shared; /* name of the module that a thread shares */
    Name message;
    bool has_module;
    ScriptModule module;
    ScriptAction action;
    const ScriptValue *expected;
    uint32_t n_expected;
    Script *body; /* of a thread: lives as long as the script that gave it,
                     and may be read in another thread */
};

/* The text must outlive the Script.  Never NULL. */
Script *script_new(const char *text, size_t len, Features features);
void script_free(Script *s);

/* Gives the next command.  False: at the end, or the script itself is at
 * fault, then err is set, and the next call goes on after the command. */
bool script_next(Script *s, Command *out, Error *err);

#endif
