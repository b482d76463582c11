/* SPDX-License-Identifier: MIT */
/* Value objects that tell of modules and failures. */
#include "py_record.h"

const RecordKind py_info_kinds[] = {
    {TYPE_FUNCTION, 3, NULL}, {TYPE_FRAME, 4, NULL}, {TYPE_DIAGNOSTIC, 2, NULL},
    {TYPE_OP, 2, NULL},       {TYPE_COUNT, 0, NULL},
};

/* "3:7: error: ..." with the line and a caret, as compilers print. */
static PyObject *diagnostic_str(PyObject *self)
{
    PyObject *const *f = ((RecordObject *)self)->fields;
    PyObject *message = f[1], *line = f[2], *column = f[3], *offset = f[4];
    if (line != Py_None)
        return PyUnicode_FromFormat("%S:%S: error: %S", line, column, message);
    if (offset == Py_None)
        return PyUnicode_FromFormat("error: %S", message);
    PyObject *hex = PyNumber_ToBase(offset, 16), *text = NULL;
    if (hex)
        text = PyUnicode_FromFormat("%U: error: %S", hex, message);
    Py_XDECREF(hex);
    return text;
}

static PyMemberDef function_members[] = {
    RECORD_FIELD("index", 0, "In the module's function index space."),
    RECORD_FIELD("name", 1, "Of the name section, or None."),
    RECORD_FIELD("type", 2, "Its FuncType."),
    RECORD_FIELD("size", 3, "Bytes of its body; 0 of an import."),
    RECORD_FIELD("offset", 4, "Where the body stands in the module's bytes."),
    RECORD_FIELD("imported", 5, "Whether it is an import."),
    RECORD_FIELD("location", 6, "file:line of its source, or None."),
    {0}};
static PyMemberDef frame_members[] = {
    RECORD_FIELD("function", 0, "$name of the function."),
    RECORD_FIELD("index", 1, "In the module's function index space."),
    RECORD_FIELD("module", 2, "The module's name, or None."),
    RECORD_FIELD("offset", 3, "Of the instruction, in the module's bytes."),
    RECORD_FIELD("file", 4, "The source file, or None."),
    RECORD_FIELD("line", 5, "The line in it, or None."),
    {0}};
static PyMemberDef diagnostic_members[] = {
    RECORD_FIELD("code", 0, "'malformed', 'invalid', 'syntax' or 'limit'."),
    RECORD_FIELD("message", 1, "One sentence."),
    RECORD_FIELD("line", 2, "Of text, from 1, or None."),
    RECORD_FIELD("column", 3, "Of text, from 1, or None."),
    RECORD_FIELD("byte_offset", 4, "From the start, or None."),
    RECORD_FIELD("function", 5, "Index of the function, or None."),
    RECORD_FIELD("text", 6, "The place with a caret, as compilers show it."),
    {0}};
static PyMemberDef op_members[] = {
    RECORD_FIELD("name", 0, "As WAT spells it."),
    RECORD_FIELD("code", 1, "Its bytes in the binary format, prefix first."),
    RECORD_FIELD("immediates", 2, "The kinds of what follows."),
    RECORD_FIELD("feature", 3, "The feature that brings it."),
    {0}};

static const char function_doc[] =
    "Function(index, name, type, size=0, offset=0, imported=False, "
    "location=None)\n"
    "--\n"
    "\n"
    "A function of a module, as `Module.functions` lists it.\n";
static const char frame_doc[] =
    "Frame(function, index, module, offset, file=None, line=None)\n"
    "--\n"
    "\n"
    "A guest frame, as `Trap.frames` lists it.\n";
static const char diagnostic_doc[] =
    "Diagnostic(code, message, line=None, column=None, byte_offset=None, "
    "function=None, text=None)\n"
    "--\n"
    "\n"
    "What is wrong at one place of a module.\n";
static const char op_doc[] =
    "Op(name, code, immediates='', feature='')\n"
    "--\n"
    "\n"
    "A WebAssembly instruction, as `chiasm.ops` lists it.\n";

static PyType_Slot function_slots[] = {
    RECORD_SLOTS(function_members, function_doc), {0, NULL}};
static PyType_Slot frame_slots[] = {RECORD_SLOTS(frame_members, frame_doc),
                                    {0, NULL}};
static PyType_Slot diagnostic_slots[] = {
    RECORD_SLOTS(diagnostic_members, diagnostic_doc),
    {Py_tp_str, PY_SLOT(diagnostic_str)},
    {0, NULL}};
static PyType_Slot op_slots[] = {RECORD_SLOTS(op_members, op_doc), {0, NULL}};

RECORD_SPEC(py_function, "Function", 7, function_slots);
RECORD_SPEC(py_frame, "Frame", 6, frame_slots);
RECORD_SPEC(py_diagnostic, "Diagnostic", 7, diagnostic_slots);
RECORD_SPEC(py_op, "Op", 4, op_slots);
