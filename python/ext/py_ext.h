/* py_ext.h - what every file of the extension knows.
 *
 * One State per interpreter that imports the module; nothing that Python owns
 * is in a C global.  Functions that return int give 0, or -1 with a Python
 * exception set.  All but the functions that say otherwise need the GIL.
 * Files are called py_x.c, since src/ has files of the plain names.
 */
#ifndef CHI_PY_EXT_H
#define CHI_PY_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "chiasm.h"
#include "chiasm_tools.h"
#include "py_compat.h"
#include "py_map.h"

/* The classes: enum tag, prefix of the file's spec.  The first ones are made
 * when the module is imported, the others when they are first needed: making
 * a class takes about as long as a thousand calls. */
#define PY_TYPES(X)                                                            \
    X(STORE, py_store)                                                         \
    X(MODULE, py_module)                                                       \
    X(INSTANCE, py_instance)                                                   \
    X(EXPORTS, py_exports)                                                     \
    X(FUNC, py_func)                                                           \
    X(MEMORY, py_memory)                                                       \
    X(KEEPER, py_keeper)                                                       \
    X(TABLE, py_table)                                                         \
    X(GLOBAL, py_global)                                                       \
    X(TAG, py_tag)                                                             \
    X(STRUCT, py_struct)                                                       \
    X(ARRAY, py_array)                                                         \
    X(TIMEOUT, py_timeout)                                                     \
    X(FUNC_TYPE, py_functype)                                                  \
    X(MEMORY_TYPE, py_memorytype)                                              \
    X(TABLE_TYPE, py_tabletype)                                                \
    X(GLOBAL_TYPE, py_globaltype)                                              \
    X(TAG_TYPE, py_tagtype)                                                    \
    X(IMPORT, py_import)                                                       \
    X(EXPORT, py_export)                                                       \
    X(FUNCTION, py_function)                                                   \
    X(FRAME, py_frame)                                                         \
    X(DIAGNOSTIC, py_diagnostic)                                               \
    X(LIMITS, py_limits)                                                       \
    X(CONFIG, py_config)                                                       \
    X(OP, py_op)                                                               \
    X(PROCESS, py_process)

typedef enum {
#define X(TAG, PREFIX) TYPE_##TAG,
    PY_TYPES(X)
#undef X
        TYPE_COUNT,
    TYPE_EAGER = TYPE_MEMORY + 1
} TypeTag;

#define X(TAG, PREFIX) extern PyType_Spec PREFIX##_spec;
PY_TYPES(X)
#undef X

/* The exceptions; the list with bases and texts is in py_errors.c. */
typedef enum {
    ERROR_ERROR,
    ERROR_COMPILE,
    ERROR_LINK,
    ERROR_TRAP,
    ERROR_STACK_OVERFLOW,
    ERROR_OUT_OF_FUEL,
    ERROR_EXCEPTION,
    ERROR_CANCELLED,
    ERROR_EXIT,
    ERROR_COUNT
} ErrorTag;

/* Strings that are made once. */
#define PY_STRINGS(X)                                                          \
    X(i32)                                                                     \
    X(i64)                                                                     \
    X(f32)                                                                     \
    X(f64)                                                                     \
    X(v128)                                                                    \
    X(funcref)                                                                 \
    X(externref)                                                               \
    X(anyref)                                                                  \
    X(keys)                                                                    \
    X(values)                                                                  \
    X(items)                                                                   \
    X(read)                                                                    \
    X(name)                                                                    \
    X(code)                                                                    \
    X(frames)                                                                  \
    X(timeout)

typedef enum {
#define X(NAME) STRING_##NAME,
    PY_STRINGS(X)
#undef X
        STRING_COUNT
} StringTag;

typedef struct StoreObject StoreObject;

typedef struct State {
    PyObject *module;                /* borrowed */
    PyTypeObject *types[TYPE_COUNT]; /* NULL: not made yet, see py_type */
    PyObject *errors[ERROR_COUNT];
    PyObject *strings[STRING_COUNT];
    PyObject *config;        /* Config() as the environment has it */
    PyObject *frame_globals; /* of the frames in tracebacks */
    PyObject *python_tag;    /* Tag.python_exception, once it is made */
    PointerMap modules;      /* chi_module * -> ModuleObject */
    PointerMap tags;         /* chi_tag_identity -> its object, of any store */
    uint32_t attention; /* `with timeout` blocks that are entered, and threads
                           that wait for a store: calls look more closely */
} State;

static inline State *py_state_of(PyTypeObject *type)
{
    return (State *)PyType_GetModuleState(type);
}
static inline State *py_state(PyObject *self)
{
    return py_state_of(Py_TYPE(self));
}
static inline bool py_is(const State *st, PyObject *o, TypeTag tag)
{
    return Py_IS_TYPE(o, st->types[tag]);
}

/* The class, made if need be: borrowed, or NULL with an exception. */
PyTypeObject *py_type_slow(State *st, TypeTag tag);
static inline PyTypeObject *py_type(State *st, TypeTag tag)
{
    return st->types[tag] ? st->types[tag] : py_type_slow(st, tag);
}
/* A zeroed object of the class, with n items. */
static inline void *py_new(State *st, TypeTag tag, Py_ssize_t n)
{
    PyTypeObject *type = py_type(st, tag);
    return type ? type->tp_alloc(type, n) : NULL;
}

/* For tables of methods: PyCFunction is what they all are called as. */
#define PY_METHOD(f) ((PyCFunction)(void (*)(void))(f))
#define PY_SLOT(f)   ((void *)(uintptr_t)(f))
/* Names of keywords, which Python does not write to. */
#define PY_NAMES(names) ((char **)(uintptr_t)(names))

#endif
