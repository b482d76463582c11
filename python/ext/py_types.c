/* SPDX-License-Identifier: MIT */
#include "py_types.h"

/* ---- value types */

static PyObject *type_text(State *st, chi_type type, const chi_module *m)
{
    char text[96];
    switch (type) {
    case CHI_I32: return Py_NewRef(st->strings[STRING_i32]);
    case CHI_I64: return Py_NewRef(st->strings[STRING_i64]);
    case CHI_F32: return Py_NewRef(st->strings[STRING_f32]);
    case CHI_F64: return Py_NewRef(st->strings[STRING_f64]);
    case CHI_V128: return Py_NewRef(st->strings[STRING_v128]);
    default: break;
    }
    chi_type_print(type, m, text, sizeof text);
    return PyUnicode_InternFromString(text);
}

/* (ref 3), (ref null 3): what only a module can give a meaning. */
static bool is_indexed(const char *text)
{
    if (strncmp(text, "(ref ", 5) != 0)
        return false;
    text += 5;
    if (strncmp(text, "null ", 5) == 0)
        text += 5;
    size_t digits = strspn(text, "0123456789");
    return digits && strcmp(text + digits, ")") == 0;
}

static int parse_text(PyObject *o, chi_type *out)
{
    Py_ssize_t len;
    if (!PyUnicode_Check(o)) {
        PyErr_Format(PyExc_TypeError, "a value type must be a str, not %s",
                     Py_TYPE(o)->tp_name);
        return -1;
    }
    const char *text = PyUnicode_AsUTF8AndSize(o, &len);
    if (!text)
        return -1;
    if (chi_type_parse(text, (size_t)len, out))
        return 0;
    if (is_indexed(text))
        PyErr_Format(PyExc_ValueError,
                     "%R names a type of a module, and there is none here", o);
    else
        PyErr_Format(PyExc_ValueError, "%R is no value type", o);
    return -1;
}

int py_valtype_parse(State *st, PyObject *text, chi_type *out)
{
    if (py_is(st, text, TYPE_GLOBAL_TYPE))
        text = record_field(text, 0);
    return parse_text(text, out);
}

/* The normal spelling of a type: new, or NULL with an exception. */
static PyObject *normal_text(State *st, PyObject *o)
{
    chi_type type;
    const char *text = PyUnicode_Check(o) ? PyUnicode_AsUTF8(o) : NULL;
    if (text && is_indexed(text))
        return Py_NewRef(o);
    PyErr_Clear();
    return parse_text(o, &type) < 0 ? NULL : type_text(st, type, NULL);
}

static PyObject *texts_of(State *st, const chi_type *types, uint32_t n,
                          const chi_module *m)
{
    PyObject *tuple = PyTuple_New(n);
    for (uint32_t i = 0; tuple && i < n; i++) {
        PyObject *text = type_text(st, types[i], m);
        if (text)
            PyTuple_SET_ITEM(tuple, i, text);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* An iterable of types as a tuple of their normal spellings. */
static PyObject *normal_texts(State *st, PyObject *o)
{
    if (!o)
        return PyTuple_New(0);
    if (PyUnicode_Check(o)) {
        PyErr_SetString(PyExc_TypeError,
                        "types must be a sequence of str, not one str");
        return NULL;
    }
    PyObject *items = PySequence_Tuple(o);
    PyObject *result = items ? PyTuple_New(PyTuple_GET_SIZE(items)) : NULL;
    for (Py_ssize_t i = 0; result && i < PyTuple_GET_SIZE(items); i++) {
        PyObject *text = normal_text(st, PyTuple_GET_ITEM(items, i));
        if (text)
            PyTuple_SET_ITEM(result, i, text);
        else
            Py_CLEAR(result);
    }
    Py_XDECREF(items);
    return result;
}

/* ---- checks of the fields */

static int replace(PyObject **field, PyObject *by)
{
    if (!by)
        return -1;
    Py_XSETREF(*field, by);
    return 0;
}

/* A size: an int >= 0; NULL or None: none. */
static int check_size(PyObject **field, bool is_optional, const char *name)
{
    if (is_optional && (!*field || *field == Py_None))
        return *field ? 0 : replace(field, Py_NewRef(Py_None));
    if (replace(field, PyNumber_Index(*field)) < 0)
        return -1;
    uint64_t value = PyLong_AsUnsignedLongLong(*field);
    if (value != UINT64_MAX || !PyErr_Occurred())
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be from 0 to 2**64 - 1", name);
    return -1;
}

static int check_bool(PyObject **field)
{
    int truth = *field ? PyObject_IsTrue(*field) : 0;
    return truth < 0 ? -1 : replace(field, PyBool_FromLong(truth));
}

static int check_index(State *st, PyObject **field)
{
    if (!*field)
        return replace(field, Py_NewRef(st->strings[STRING_i32]));
    if (PyUnicode_Check(*field)
        && (PyUnicode_CompareWithASCIIString(*field, "i32") == 0
            || PyUnicode_CompareWithASCIIString(*field, "i64") == 0))
        return 0;
    PyErr_SetString(PyExc_ValueError, "index must be 'i32' or 'i64'");
    return -1;
}

static int check_functype(State *st, PyObject **f)
{
    return replace(&f[0], normal_texts(st, f[0])) < 0
                   || replace(&f[1], normal_texts(st, f[1])) < 0
               ? -1
               : 0;
}

static int check_tagtype(State *st, PyObject **f)
{
    return replace(&f[0], normal_texts(st, f[0]));
}

static int check_memorytype(State *st, PyObject **f)
{
    if (!f[4])
        f[4] = PyLong_FromLong(65536);
    return !f[4] || check_size(&f[0], false, "min") < 0
                   || check_size(&f[1], true, "max") < 0
                   || check_bool(&f[2]) < 0 || check_index(st, &f[3]) < 0
                   || check_size(&f[4], false, "page_size") < 0
               ? -1
               : 0;
}

static int check_tabletype(State *st, PyObject **f)
{
    return replace(&f[0], normal_text(st, f[0])) < 0
                   || check_size(&f[1], false, "min") < 0
                   || check_size(&f[2], true, "max") < 0
                   || check_index(st, &f[3]) < 0
               ? -1
               : 0;
}

static int check_globaltype(State *st, PyObject **f)
{
    return replace(&f[0], normal_text(st, f[0])) < 0 || check_bool(&f[1]) < 0
               ? -1
               : 0;
}

const RecordKind py_types_kinds[] = {
    {TYPE_FUNC_TYPE, 0, check_functype},
    {TYPE_MEMORY_TYPE, 1, check_memorytype},
    {TYPE_TABLE_TYPE, 2, check_tabletype},
    {TYPE_GLOBAL_TYPE, 1, check_globaltype},
    {TYPE_TAG_TYPE, 0, check_tagtype},
    {TYPE_IMPORT, 3, NULL},
    {TYPE_EXPORT, 2, NULL},
    {TYPE_COUNT, 0, NULL},
};

/* ---- from the core's */

PyObject *py_functype_make(State *st, const chi_functype *type,
                           const chi_module *m)
{
    PyObject *fields[] = {
        texts_of(st, type->types, type->n_params, m),
        texts_of(st, type->types + type->n_params, type->n_results, m),
    };
    return py_record_make(st, TYPE_FUNC_TYPE, fields, 2);
}

static PyObject *max_of(const chi_externtype *t)
{
    return t->max == UINT64_MAX ? Py_NewRef(Py_None)
                                : PyLong_FromUnsignedLongLong(t->max);
}

static PyObject *index_of(State *st, const chi_externtype *t)
{
    return Py_NewRef(st->strings[t->is64 ? STRING_i64 : STRING_i32]);
}

static PyObject *make_memorytype(State *st, const chi_externtype *t)
{
    PyObject *fields[] = {
        PyLong_FromUnsignedLongLong(t->min),
        max_of(t),
        PyBool_FromLong(t->shared),
        index_of(st, t),
        PyLong_FromUnsignedLong(t->page_size),
    };
    return py_record_make(st, TYPE_MEMORY_TYPE, fields, 5);
}

static PyObject *make_tabletype(State *st, const chi_externtype *t,
                                const chi_module *m)
{
    PyObject *fields[] = {type_text(st, t->type, m),
                          PyLong_FromUnsignedLongLong(t->min), max_of(t),
                          index_of(st, t)};
    return py_record_make(st, TYPE_TABLE_TYPE, fields, 4);
}

static PyObject *make_globaltype(State *st, const chi_externtype *t,
                                 const chi_module *m)
{
    PyObject *fields[] = {type_text(st, t->type, m),
                          PyBool_FromLong(t->mutable_)};
    return py_record_make(st, TYPE_GLOBAL_TYPE, fields, 2);
}

PyObject *py_externtype_make(State *st, const chi_externtype *t,
                             const chi_module *m)
{
    switch (t->kind) {
    case CHI_FUNC: return py_functype_make(st, &t->func, m);
    case CHI_MEM: return make_memorytype(st, t);
    case CHI_TABLE: return make_tabletype(st, t, m);
    case CHI_GLOBAL: return make_globaltype(st, t, m);
    default: break;
    }
    PyObject *params = texts_of(st, t->func.types, t->func.n_params, m);
    return py_record_make(st, TYPE_TAG_TYPE, &params, 1);
}

/* ---- to the core's */

static int parse_each(PyObject *texts, chi_type *out, uint32_t *slots)
{
    *slots = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(texts); i++) {
        if (parse_text(PyTuple_GET_ITEM(texts, i), &out[i]) < 0)
            return -1;
        *slots += out[i] == CHI_V128 ? 2 : 1;
    }
    return 0;
}

static Signature *signature_of(PyObject *params, PyObject *results)
{
    chi_functype type = {
        .n_params = (uint32_t)PyTuple_GET_SIZE(params),
        .n_results = results ? (uint32_t)PyTuple_GET_SIZE(results) : 0,
    };
    Signature *sig = NULL;
    chi_type *types =
        PyMem_Calloc(type.n_params + type.n_results + 1, sizeof *types);
    if (!types)
        return (Signature *)PyErr_NoMemory();
    type.types = types;
    if (parse_each(params, types, &type.param_slots) == 0
        && (!results
            || parse_each(results, types + type.n_params, &type.result_slots)
                   == 0))
        sig = py_signature_new(&type);
    PyMem_Free(types);
    return sig;
}

Signature *py_functype_signature(State *st, PyObject *functype)
{
    (void)st;
    return signature_of(record_field(functype, 0), record_field(functype, 1));
}

Signature *py_tagtype_signature(State *st, PyObject *type)
{
    if (py_is(st, type, TYPE_TAG_TYPE))
        return signature_of(record_field(type, 0), NULL);
    if (py_is(st, type, TYPE_FUNC_TYPE)) {
        if (PyTuple_GET_SIZE(record_field(type, 1)) == 0)
            return signature_of(record_field(type, 0), NULL);
        PyErr_SetString(PyExc_ValueError, "a tag's type has no results");
        return NULL;
    }
    PyObject *texts = normal_texts(st, type);
    Signature *sig = texts ? signature_of(texts, NULL) : NULL;
    Py_XDECREF(texts);
    return sig;
}

int py_types_limits(PyObject *min, PyObject *max, chi_externtype *out)
{
    PyObject *low = Py_NewRef(min), *high = Py_NewRef(max);
    int result = -1;
    if (check_size(&low, false, "min") == 0
        && check_size(&high, true, "max") == 0) {
        out->min = PyLong_AsUnsignedLongLong(low);
        out->max =
            high == Py_None ? UINT64_MAX : PyLong_AsUnsignedLongLong(high);
        result = 0;
    }
    Py_XDECREF(low);
    Py_XDECREF(high);
    if (result == 0 && out->min > out->max) {
        PyErr_SetString(PyExc_ValueError, "min is greater than max");
        return -1;
    }
    return result;
}

/* ---- printing */

static PyObject *join(PyObject *tuple)
{
    PyObject *space = PyUnicode_FromString(" ");
    PyObject *text = space ? PyUnicode_Join(space, tuple) : NULL;
    Py_XDECREF(space);
    return text;
}

/* " (param i32 i64)"; nothing of an empty tuple. */
static PyObject *clause(const char *word, PyObject *tuple)
{
    if (PyTuple_GET_SIZE(tuple) == 0)
        return PyUnicode_FromString("");
    PyObject *texts = join(tuple), *result = NULL;
    if (texts)
        result = PyUnicode_FromFormat(" (%s %U)", word, texts);
    Py_XDECREF(texts);
    return result;
}

static PyObject *functype_str(PyObject *self)
{
    PyObject *params = clause("param", record_field(self, 0));
    PyObject *results = params ? clause("result", record_field(self, 1)) : NULL;
    PyObject *text = NULL;
    if (results)
        text = PyUnicode_FromFormat("(func%U%U)", params, results);
    Py_XDECREF(params);
    Py_XDECREF(results);
    return text;
}

static PyObject *tagtype_str(PyObject *self)
{
    PyObject *params = clause("param", record_field(self, 0)), *text = NULL;
    if (params)
        text = PyUnicode_FromFormat("(tag%U)", params);
    Py_XDECREF(params);
    return text;
}

/* "i64 1 2": the limits as WAT has them, `i64` only where it is said. */
static PyObject *limits_text(PyObject *index, PyObject *min, PyObject *max)
{
    bool is64 = PyUnicode_CompareWithASCIIString(index, "i64") == 0;
    if (max == Py_None)
        return PyUnicode_FromFormat("%s%S", is64 ? "i64 " : "", min);
    return PyUnicode_FromFormat("%s%S %S", is64 ? "i64 " : "", min, max);
}

static PyObject *memorytype_str(PyObject *self)
{
    PyObject *const *f = ((RecordObject *)self)->fields;
    PyObject *limits = limits_text(f[3], f[0], f[1]), *text = NULL;
    const char *shared = f[2] == Py_True ? " shared" : "";
    if (limits && PyLong_AsLong(f[4]) == 65536)
        text = PyUnicode_FromFormat("(memory %U%s)", limits, shared);
    else if (limits)
        text = PyUnicode_FromFormat("(memory %U%s (pagesize %S))", limits,
                                    shared, f[4]);
    Py_XDECREF(limits);
    return text;
}

static PyObject *tabletype_str(PyObject *self)
{
    PyObject *const *f = ((RecordObject *)self)->fields;
    PyObject *limits = limits_text(f[3], f[1], f[2]), *text = NULL;
    if (limits)
        text = PyUnicode_FromFormat("(table %U %U)", limits, f[0]);
    Py_XDECREF(limits);
    return text;
}

static PyObject *globaltype_str(PyObject *self)
{
    const char *form =
        record_field(self, 1) == Py_True ? "(global (mut %U))" : "(global %U)";
    return PyUnicode_FromFormat(form, record_field(self, 0));
}

static PyObject *import_str(PyObject *self)
{
    PyObject *const *f = ((RecordObject *)self)->fields;
    return PyUnicode_FromFormat("(import \"%S\" \"%S\" %S)", f[0], f[1], f[2]);
}

static PyObject *export_str(PyObject *self)
{
    PyObject *const *f = ((RecordObject *)self)->fields;
    return PyUnicode_FromFormat("(export \"%S\" %S)", f[0], f[1]);
}

/* ---- the classes */

static PyMemberDef functype_members[] = {
    RECORD_FIELD("params", 0, "Types of the parameters."),
    RECORD_FIELD("results", 1, "Types of the results."),
    {0}};
static PyMemberDef memorytype_members[] = {
    RECORD_FIELD("min", 0, "Pages at the start."),
    RECORD_FIELD("max", 1, "Pages at most, or None."),
    RECORD_FIELD("shared", 2, "Whether threads may share it."),
    RECORD_FIELD("index", 3, "The type of addresses: 'i32' or 'i64'."),
    RECORD_FIELD("page_size", 4, "Bytes of a page."),
    {0}};
static PyMemberDef tabletype_members[] = {
    RECORD_FIELD("type", 0, "The type of the elements."),
    RECORD_FIELD("min", 1, "Elements at the start."),
    RECORD_FIELD("max", 2, "Elements at most, or None."),
    RECORD_FIELD("index", 3, "The type of indices: 'i32' or 'i64'."),
    {0}};
static PyMemberDef globaltype_members[] = {
    RECORD_FIELD("type", 0, "The type of the value."),
    RECORD_FIELD("mutable", 1, "Whether it may be set."),
    {0}};
static PyMemberDef tagtype_members[] = {
    RECORD_FIELD("params", 0, "Types of what such an exception carries."), {0}};
static PyMemberDef import_members[] = {
    RECORD_FIELD("module", 0, "The name of the module asked for."),
    RECORD_FIELD("name", 1, "The name in that module."),
    RECORD_FIELD("type", 2, "What it must be."),
    {0}};
static PyMemberDef export_members[] = {
    RECORD_FIELD("name", 0, "The name it is found by."),
    RECORD_FIELD("type", 1, "What it is."),
    {0}};

static const char functype_doc[] =
    "FuncType(params=(), results=())\n"
    "--\n"
    "\n"
    "The type of a function: value types as WAT spells them.\n"
    "\n"
    "Examples\n"
    "--------\n"
    ">>> import chiasm\n"
    ">>> t = chiasm.FuncType(['i32', 'i32'], ['f64'])\n"
    ">>> print(t)\n"
    "(func (param i32 i32) (result f64))\n";
static const char memorytype_doc[] =
    "MemoryType(min, max=None, shared=False, index='i32', page_size=65536)\n"
    "--\n"
    "\n"
    "The type of a memory; sizes in pages.\n";
static const char tabletype_doc[] =
    "TableType(type, min, max=None, index='i32')\n"
    "--\n"
    "\n"
    "The type of a table.\n";
static const char globaltype_doc[] = "GlobalType(type, mutable=False)\n"
                                     "--\n"
                                     "\n"
                                     "The type of a global.\n";
static const char tagtype_doc[] =
    "TagType(params=())\n"
    "--\n"
    "\n"
    "The type of a tag: what its exceptions carry.\n";
static const char import_doc[] = "Import(module, name, type)\n"
                                 "--\n"
                                 "\n"
                                 "Something that a module wants.\n";
static const char export_doc[] = "Export(name, type)\n"
                                 "--\n"
                                 "\n"
                                 "Something that a module gives.\n";

#define SLOTS(NAME)                                                            \
    static PyType_Slot NAME##_slots[] = {                                      \
        RECORD_SLOTS(NAME##_members, NAME##_doc),                              \
        {Py_tp_str, PY_SLOT(NAME##_str)},                                      \
        {0, NULL}}
SLOTS(functype);
SLOTS(memorytype);
SLOTS(tabletype);
SLOTS(globaltype);
SLOTS(tagtype);
SLOTS(import);
SLOTS(export);

RECORD_SPEC(py_functype, "FuncType", 2, functype_slots);
RECORD_SPEC(py_memorytype, "MemoryType", 5, memorytype_slots);
RECORD_SPEC(py_tabletype, "TableType", 4, tabletype_slots);
RECORD_SPEC(py_globaltype, "GlobalType", 2, globaltype_slots);
RECORD_SPEC(py_tagtype, "TagType", 1, tagtype_slots);
RECORD_SPEC(py_import, "Import", 3, import_slots);
RECORD_SPEC(py_export, "Export", 2, export_slots);
