/* SPDX-License-Identifier: MIT */
#include "py_limits.h"

#include "py_record.h"

/* ---- Limits */

enum {
    LIMIT_MEMORY,
    LIMIT_TABLE,
    LIMIT_HEAP,
    LIMIT_STACK,
    LIMIT_FUEL,
    LIMIT_COUNT
};
static const char *const limit_names[LIMIT_COUNT] = {"memory", "table", "heap",
                                                     "stack", "fuel"};

static void to_array(const chi_limits *l, uint64_t *out)
{
    out[LIMIT_MEMORY] = l->memory;
    out[LIMIT_TABLE] = l->table;
    out[LIMIT_HEAP] = l->heap;
    out[LIMIT_STACK] = l->stack;
    out[LIMIT_FUEL] = l->fuel;
}

int py_limits_number(PyObject *value, const char *name, uint64_t *out)
{
    *out = UINT64_MAX;
    if (value == Py_None)
        return 0;
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int or None, not %s", name,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    PyObject *index = PyNumber_Index(value);
    if (!index)
        return -1;
    *out = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (!PyErr_Occurred())
        return 0;
    PyErr_Format(PyExc_ValueError, "%s must be from 0 to 2**64 - 1", name);
    return -1;
}

static PyObject *number_or_none(uint64_t value)
{
    return value == UINT64_MAX ? Py_NewRef(Py_None)
                               : PyLong_FromUnsignedLongLong(value);
}

static int check_limits(State *st, PyObject **f)
{
    (void)st;
    chi_limits limits = chi_limits_default();
    uint64_t values[LIMIT_COUNT];
    to_array(&limits, values);
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (f[i] && py_limits_number(f[i], limit_names[i], &values[i]) < 0)
            return -1;
        PyObject *normal = number_or_none(values[i]);
        if (!normal)
            return -1;
        Py_XSETREF(f[i], normal);
    }
    return 0;
}

int py_limits_read(State *st, PyObject *limits, chi_limits *out)
{
    uint64_t values[LIMIT_COUNT];
    *out = chi_limits_default();
    if (limits == Py_None)
        return 0;
    if (!py_is(st, limits, TYPE_LIMITS)) {
        PyErr_Format(PyExc_TypeError, "limits must be a chiasm.Limits, not %s",
                     Py_TYPE(limits)->tp_name);
        return -1;
    }
    for (int i = 0; i < LIMIT_COUNT; i++)
        if (py_limits_number(record_field(limits, (size_t)i), limit_names[i],
                             &values[i])
            < 0)
            return -1;
    *out = (chi_limits){values[LIMIT_MEMORY], values[LIMIT_TABLE],
                        values[LIMIT_HEAP], values[LIMIT_STACK],
                        values[LIMIT_FUEL]};
    return 0;
}

/* ---- Config */

enum {
    CONFIG_SIGNALS,
    CONFIG_SPECTRE,
    CONFIG_DETERMINISTIC,
    CONFIG_MEMORY,
    CONFIG_PASSES
};

/* A truth of the environment. */
static PyObject *truth_of(const char *variable, bool otherwise)
{
    static const char *const no[] = {"0", "no", "off", "false"};
    const char *value = getenv(variable);
    bool truth = otherwise;
    if (value && *value) {
        truth = true;
        for (size_t i = 0; i < sizeof no / sizeof *no; i++)
            truth &= strcmp(value, no[i]) != 0;
    }
    return PyBool_FromLong(truth);
}

static PyObject *text_of(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    if (!value || !*value)
        value = otherwise;
    return value ? PyUnicode_DecodeFSDefault(value) : Py_NewRef(Py_None);
}

static PyObject *option_default(int i)
{
    switch (i) {
    case CONFIG_SIGNALS: return truth_of("CHIASM_SIGNALS", true);
    case CONFIG_SPECTRE: return truth_of("CHIASM_SPECTRE", false);
    case CONFIG_DETERMINISTIC: return truth_of("CHIASM_DETERMINISTIC", false);
    case CONFIG_MEMORY: return text_of("CHIASM_MEMORY", "auto");
    default: return text_of("CHIASM_PASSES", NULL);
    }
}

static int check_config(State *st, PyObject **f)
{
    (void)st;
    for (int i = CONFIG_SIGNALS; i <= CONFIG_PASSES; i++) {
        PyObject *value = NULL;
        if (!f[i])
            value = option_default(i);
        else if (i <= CONFIG_DETERMINISTIC) {
            int truth = PyObject_IsTrue(f[i]);
            value = truth < 0 ? NULL : PyBool_FromLong(truth);
        } else
            value = Py_NewRef(f[i]);
        if (!value)
            return -1;
        Py_XSETREF(f[i], value);
    }
    return 0;
}

static int not_built(const char *what)
{
    PyErr_Format(PyExc_NotImplementedError, "Config(%s) is not built yet",
                 what);
    return -1;
}

/* The index of the text among names; -1 with ValueError. */
static int index_of(PyObject *text, const char *what, const char *const *names)
{
    int i = 0;
    while (PyUnicode_Check(text) && names[i])
        if (PyUnicode_CompareWithASCIIString(text, names[i++]) == 0)
            return i - 1;
    PyErr_Format(PyExc_ValueError, what, text);
    return -1;
}

static int read_memory(PyObject *memory, chi_form *out)
{
    static const char *const names[] = {"auto", "wide", "dense", "explicit",
                                        NULL};
    int form = index_of(memory,
                        "memory must be 'auto', 'wide', 'dense' or "
                        "'explicit', not %R",
                        names);
    if (form >= 0)
        *out = (chi_form)form;
    return form < 0 ? -1 : 0;
}

static int read_tier(PyObject *tier, chi_tier *out)
{
    static const char *const names[] = {"auto", "interp", "baseline",
                                        "optimize", NULL};
    int i = index_of(tier,
                     "tier must be 'auto', 'interp', 'baseline' or "
                     "'optimize', not %R",
                     names);
    if (i == 3) {
        PyErr_SetString(PyExc_NotImplementedError,
                        "tier=\"optimize\" is not built yet");
        return -1;
    }
    if (i >= 0)
        *out = (chi_tier)i;
    return i < 0 ? -1 : 0;
}

PyObject *py_config_tier(chi_tier tier)
{
    return PyUnicode_FromString(tier == CHI_TIER_INTERP ? "interp"
                                                        : "baseline");
}

static int check_options(PyObject *config)
{
    if (record_field(config, CONFIG_SPECTRE) == Py_True)
        return not_built("spectre=True");
    if (record_field(config, CONFIG_DETERMINISTIC) == Py_True)
        return not_built("deterministic=True");
    if (record_field(config, CONFIG_PASSES) != Py_None)
        return not_built("passes=...");
    return 0;
}

int py_config_init(State *st)
{
    if (py_type(st, TYPE_CONFIG))
        st->config = PyObject_CallNoArgs((PyObject *)st->types[TYPE_CONFIG]);
    return st->config ? 0 : -1;
}

/* What is as the environment has it is not asked for. */
static int read_config(PyObject *usual, PyObject *config, chi_config *out)
{
    PyObject *signals = record_field(config, CONFIG_SIGNALS);
    if (check_options(config) < 0
        || read_memory(record_field(config, CONFIG_MEMORY), &out->form) < 0)
        return -1;
    if (signals != record_field(usual, CONFIG_SIGNALS))
        out->signals = signals == Py_True ? CHI_YES : CHI_NO;
    return 0;
}

int py_config_read(State *st, PyObject *tier, PyObject *config, chi_config *out)
{
    *out = (chi_config){CHI_TIER_AUTO, CHI_FORM_AUTO, CHI_UNSAID, 0};
    if (tier && read_tier(tier, &out->tier) < 0)
        return -1;
    if (config == Py_None)
        return check_options(st->config);
    if (py_is(st, config, TYPE_CONFIG))
        return read_config(st->config, config, out);
    PyErr_Format(PyExc_TypeError, "config must be a chiasm.Config, not %s",
                 Py_TYPE(config)->tp_name);
    return -1;
}

const RecordKind py_limits_kinds[] = {
    {TYPE_LIMITS, 0, check_limits},
    {TYPE_CONFIG, 0, check_config},
    {TYPE_COUNT, 0, NULL},
};

/* ---- the classes */

static PyMemberDef limits_members[] = {
    RECORD_FIELD("memory", 0, "Bytes of all memories together."),
    RECORD_FIELD("table", 1, "Elements of all tables together."),
    RECORD_FIELD("heap", 2, "Bytes of structs, arrays and references."),
    RECORD_FIELD("stack", 3, "Bytes of the guest's stack."),
    RECORD_FIELD("fuel", 4, "Instructions."),
    {0}};
static PyMemberDef config_members[] = {
    RECORD_FIELD("signals", 0, "Whether machine code may use signals."),
    RECORD_FIELD("spectre", 1, "Whether to guard against speculation."),
    RECORD_FIELD("deterministic", 2, "Whether NaNs are canonical."),
    RECORD_FIELD("memory", 3, "How memories are laid out."),
    RECORD_FIELD("passes", 4, "The optimiser's passes."),
    {0}};

static const char limits_doc[] =
    "Limits(memory=4 GiB, table=10**7, heap=1 GiB, stack=1 MiB, fuel=None)\n"
    "\n"
    "What the instances of a store may use together.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "memory : int\n"
    "    Bytes of all memories.\n"
    "table : int\n"
    "    Elements of all tables.\n"
    "heap : int\n"
    "    Bytes of structs, arrays, exceptions and references to Python\n"
    "    objects.\n"
    "stack : int\n"
    "    Bytes of the guest's stack.\n"
    "fuel : int\n"
    "    Instructions; OutOfFuel is raised when they are used up.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "None lifts a limit.\n";
static const char config_doc[] =
    "Config(signals=True, spectre=False, deterministic=False, "
    "memory='auto', passes=None)\n"
    "--\n"
    "\n"
    "How code is run.\n"
    "\n"
    "Parameters\n"
    "----------\n"
    "signals : bool\n"
    "    Whether machine code leaves bounds of memories to a handler of\n"
    "    SIGSEGV, which is faster; else it checks each access.\n"
    "memory : {'auto', 'wide', 'dense', 'explicit'}\n"
    "    Address space around a memory, for that: 38 GiB, 8 GiB or none.\n"
    "spectre, deterministic, passes\n"
    "    Not built yet.\n"
    "\n"
    "Notes\n"
    "-----\n"
    "What is not given comes from the environment variables CHIASM_SIGNALS,\n"
    "CHIASM_SPECTRE, CHIASM_DETERMINISTIC, CHIASM_MEMORY and CHIASM_PASSES.\n";

static PyType_Slot limits_slots[] = {RECORD_SLOTS(limits_members, limits_doc),
                                     {0, NULL}};
static PyType_Slot config_slots[] = {RECORD_SLOTS(config_members, config_doc),
                                     {0, NULL}};

RECORD_SPEC(py_limits, "Limits", 5, limits_slots);
RECORD_SPEC(py_config, "Config", 5, config_slots);
