/* SPDX-License-Identifier: MIT */
/* Linking: finds a value for each import, checks them all, brings their
 * stores together, and instantiates.
 *
 * All problems are collected before one LinkError tells of them; its text is
 * made in Python (chiasm/_link.py), since it is rarely needed.
 */
#include "py_errors.h"
#include "py_instance.h"
#include "py_wasi.h"

typedef struct {
    PyObject *value;   /* what was found; NULL: nothing */
    uint64_t slots[2]; /* of a number for a global */
    chi_extern x;
    bool is_entity;  /* value is one of ours, x is its entity */
    bool counted;    /* x is a reference to give back */
    chi_host_fn *fn; /* WASI's; value is NULL */
} Found;

enum { STACK_IMPORTS = 16 };

typedef struct {
    const LinkRequest *r;
    const ImportPlan *plan;
    uint32_t n;
    Found *found;
    StoreObject *store; /* new reference, once it is chosen */
    PyObject *problems; /* list of (index, what, detail, provider), or NULL */
    PyObject *last_module, *provider; /* of the last look-up */
    bool is_python;
} Link;

/* ---- problems */

/* Takes detail (a str). */
static int add_problem(Link *l, uint32_t i, const char *what, PyObject *detail,
                       PyObject *provider)
{
    if (!detail)
        return -1;
    if (!l->problems)
        l->problems = PyList_New(0);
    PyObject *p = NULL;
    if (l->problems)
        p = Py_BuildValue("(IsNO)", (unsigned)i, what, detail,
                          provider ? provider : Py_None);
    else
        Py_DECREF(detail);
    int result = p ? PyList_Append(l->problems, p) : -1;
    Py_XDECREF(p);
    return result;
}

static int add_text(Link *l, uint32_t i, const char *what, const char *text)
{
    return add_problem(l, i, what, PyUnicode_FromString(text), NULL);
}

static void raise_problems(Link *l)
{
    PyObject *e = NULL, *helper = PyImport_ImportModule("chiasm._link");
    if (helper)
        e = PyObject_CallMethod(helper, "error", "OO", (PyObject *)l->r->module,
                                l->problems);
    if (e)
        PyErr_SetObject(l->r->state->errors[ERROR_LINK], e);
    Py_XDECREF(e);
    Py_XDECREF(helper);
}

/* ---- look-ups */

/* Of anything with items: 1 and a new reference, 0 none, -1 error. */
static int get_item(PyObject *o, PyObject *key, PyObject **value)
{
    if (PyDict_CheckExact(o)) {
        int found = compat_dict_get(o, key, value);
        Py_XINCREF(*value);
        return found;
    }
    *value = PyObject_GetItem(o, key);
    if (*value)
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_KeyError))
        return -1;
    PyErr_Clear();
    return 0;
}

static bool is_mapping(const State *st, PyObject *o)
{
    return PyDict_Check(o)
           || (PyMapping_Check(o)
               && PyObject_HasAttr(o, st->strings[STRING_keys]));
}

static bool can_continue(Py_UCS4 c)
{
    PyObject *probe = PyUnicode_FromFormat("a%c", (int)c);
    bool can = probe && PyUnicode_IsIdentifier(probe);
    Py_XDECREF(probe);
    PyErr_Clear();
    return can;
}

/* The attribute to look for: what cannot be in an identifier becomes `_`.
 * NULL without an exception: never looked up. */
static PyObject *attribute_name(PyObject *name)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    if (n == 0 || PyUnicode_READ_CHAR(name, 0) == '_')
        return NULL;
    if (PyUnicode_IsIdentifier(name))
        return Py_NewRef(name);
    PyObject *result = PyUnicode_New(n, PyUnicode_MAX_CHAR_VALUE(name));
    if (!result)
        return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(name, i);
        PyUnicode_WRITE(PyUnicode_KIND(result), PyUnicode_DATA(result), i,
                        can_continue(c) ? c : '_');
    }
    if (PyUnicode_READ_CHAR(result, 0) == '_'
        || !PyUnicode_IsIdentifier(result))
        Py_CLEAR(result);
    return result;
}

static int get_attribute(PyObject *o, PyObject *name, PyObject **value)
{
    *value = NULL;
    PyObject *attribute = attribute_name(name);
    if (!attribute)
        return PyErr_Occurred() ? -1 : 0;
    int found = compat_attribute(o, attribute, value);
    Py_DECREF(attribute);
    return found;
}

static int get_from(const State *st, PyObject *provider, PyObject *name,
                    PyObject **value)
{
    if (py_is(st, provider, TYPE_INSTANCE))
        provider = (PyObject *)((InstanceObject *)provider)->exports;
    if (py_is(st, provider, TYPE_EXPORTS))
        return py_exports_get((ExportsObject *)provider, name, value);
    if (is_mapping(st, provider))
        return get_item(provider, name, value);
    return get_attribute(provider, name, value);
}

/* The provider of the module's name, kept in l->provider. */
static int find_provider(Link *l, PyObject *module)
{
    PyObject *imports = l->r->imports;
    if (module == l->last_module)
        return l->provider ? 1 : 0;
    Py_CLEAR(l->provider);
    l->last_module = module;
    if (imports == Py_None)
        return 0;
    if (!PyMapping_Check(imports)) {
        PyErr_Format(PyExc_TypeError, "imports must be a mapping, not %s",
                     Py_TYPE(imports)->tp_name);
        return -1;
    }
    return get_item(imports, module, &l->provider);
}

static bool is_for_wasi(const Link *l, PyObject *module)
{
    Py_ssize_t len;
    if (l->r->wasi == Py_None)
        return false;
    const char *name = PyUnicode_AsUTF8AndSize(module, &len);
    PyErr_Clear();
    return name && chi_wasi_is_module(name, (size_t)len);
}

static int find_in_wasi(Link *l, uint32_t i)
{
    chi_error err;
    l->found[i].fn = chi_wasi_function(l->r->module->m, i, &err);
    return l->found[i].fn ? 0 : add_text(l, i, "value", err.message);
}

static int find(Link *l, uint32_t i)
{
    const ImportPlan *p = &l->plan[i];
    int found = find_provider(l, p->module);
    if (found < 0)
        return -1;
    if (!found && is_for_wasi(l, p->module))
        return find_in_wasi(l, i);
    if (!found)
        return add_problem(l, i, "module", Py_NewRef(Py_None), l->r->imports);
    found = get_from(l->r->state, l->provider, p->name, &l->found[i].value);
    if (found == 0 && is_for_wasi(l, p->module))
        return find_in_wasi(l, i);
    if (found == 0)
        return add_problem(l, i, "name", Py_NewRef(Py_None), l->provider);
    return found < 0 ? -1 : 0;
}

/* ---- checks */

static int check_entity(Link *l, uint32_t i)
{
    char why[300];
    Found *f = &l->found[i];
    f->is_entity = true;
    f->x = ((EntityObject *)f->value)->x;
    if (chi_import_matches(l->r->module->m, i, f->x, why, sizeof why))
        return 0;
    return add_text(l, i, "type", why);
}

static int check_number(Link *l, uint32_t i)
{
    const ImportPlan *p = &l->plan[i];
    Found *f = &l->found[i];
    ValueKind kind = py_value_kind(p->type.type);
    if (!kind_is_number(kind))
        return 0; /* once the store is known */
    ValueResult why = value_number(kind, f->value, f->slots);
    if (!why)
        return 0;
    py_value_raise(why, p->type.type, f->value,
                   PyUnicode_FromString("the value"));
    if (!PyErr_ExceptionMatches(PyExc_TypeError)
        && !PyErr_ExceptionMatches(PyExc_OverflowError))
        return -1;
    PyObject *e = compat_take_exception();
    int result = add_problem(l, i, "value", PyObject_Str(e), NULL);
    Py_DECREF(e);
    return result;
}

static int wrong_kind(Link *l, uint32_t i, const char *wanted)
{
    PyObject *text = PyUnicode_FromFormat("must be %s, not %s", wanted,
                                          Py_TYPE(l->found[i].value)->tp_name);
    return add_problem(l, i, "value", text, NULL);
}

static int check(Link *l, uint32_t i)
{
    static const struct {
        TypeTag type;
        const char *name;
    } kinds[] = {
        [CHI_FUNC] = {TYPE_FUNC, "callable"},
        [CHI_TABLE] = {TYPE_TABLE, "a chiasm.Table"},
        [CHI_MEM] = {TYPE_MEMORY, "a chiasm.Memory"},
        [CHI_GLOBAL] = {TYPE_GLOBAL, "a chiasm.Global"},
        [CHI_TAG] = {TYPE_TAG, "a chiasm.Tag"},
    };
    PyObject *value = l->found[i].value;
    const chi_externtype *type = &l->plan[i].type;
    if (!value)
        return 0;
    if (py_is(l->r->state, value, kinds[type->kind].type))
        return check_entity(l, i);
    if (type->kind == CHI_FUNC && PyCallable_Check(value))
        return 0;
    if (type->kind == CHI_GLOBAL && !type->mutable_)
        return check_number(l, i);
    return wrong_kind(l, i, kinds[type->kind].name);
}

/* ---- stores */

/* Shared memories and tags may be in many stores. */
static bool is_portable(const Found *f)
{
    return f->x.kind == CHI_TAG
           || (f->x.kind == CHI_MEM && ((MemoryObject *)f->value)->shared);
}

/* May it simply join?  It then lives by that store's limits. */
static bool suits(const LinkRequest *r, const StoreObject *s)
{
    const chi_config *c = &r->config;
    return !r->limits && !c->form && !c->signals
           && (!c->tier || c->tier == chi_store_tier(s->store));
}

static int refuse_tier(Link *l, const StoreObject *s)
{
    bool interprets = chi_store_tier(s->store) == CHI_TIER_INTERP;
    PyErr_Format(l->r->state->errors[ERROR_LINK],
                 "the store runs by tier \"%s\", not \"%s\"",
                 interprets ? "interp" : "baseline",
                 interprets ? "baseline" : "interp");
    return -1;
}

/* That of the first import that has one, or NULL: borrowed. */
static StoreObject *imports_store(Link *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->found[i].is_entity && !is_portable(&l->found[i]))
            return py_entity_store(l->found[i].value);
    return NULL;
}

/* A new one, to which those of the imports will go. */
static StoreObject *new_store(const LinkRequest *r, const StoreObject *first)
{
    chi_limits limits;
    if (r->limits || !first)
        return py_store_new(r->state, r->limits, &r->config);
    limits = chi_store_limits(first->store);
    return py_store_new(r->state, &limits, &r->config);
}

static int choose_store(Link *l)
{
    StoreObject *s = l->r->store;
    while (s && s->target)
        s = s->target;
    if (s && !suits(l->r, s))
        return refuse_tier(l, s);
    if (!s)
        s = imports_store(l);
    l->store = s && suits(l->r, s) ? (StoreObject *)Py_NewRef((PyObject *)s)
                                   : new_store(l->r, s);
    return l->store ? 0 : -1;
}

/* Once in a process: code is slower here than where others run it. */
static int warn_of_tier(const StoreObject *s)
{
    static _Atomic bool warned;
    const char *why;
    if (warned || s->tier_is_chosen
        || chi_store_tier(s->store) != CHI_TIER_INTERP
        || !chi_native_missed(&why) || atomic_exchange(&warned, true))
        return 0;
    return PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                            "WebAssembly is interpreted, for no machine code "
                            "can run here: %s",
                            why);
}

static int merge_stores(Link *l)
{
    chi_error why;
    for (uint32_t i = 0; i < l->n; i++) {
        Found *f = &l->found[i];
        if (!f->is_entity || is_portable(f))
            continue;
        StoreObject *other = py_entity_store(f->value);
        if (other == l->store)
            continue;
        if (!py_store_merge(l->store, other, &why)
            && add_text(l, i, "store", why.message) < 0)
            return -1;
    }
    return 0;
}

/* ---- entities */

static int out_of_memory(void)
{
    PyErr_NoMemory();
    return -1;
}

static int make_portable(Link *l, Found *f)
{
    chi_store *s = l->store->store;
    if (chi_store_target(chi_extern_store(f->x)) == chi_store_target(s))
        return 0;
    if (f->x.kind == CHI_TAG)
        f->x.tag = chi_tag_share(s, f->x.tag);
    else
        f->x.memory = chi_memory_share(s, f->x.memory);
    f->counted = f->x.any != NULL;
    return f->counted ? 0 : out_of_memory();
}

static int make_func(Link *l, uint32_t i)
{
    Found *f = &l->found[i];
    f->x.kind = CHI_FUNC;
    f->x.func = py_host_import(l->store, l->plan[i].signature, f->value,
                               l->plan[i].label, l->r->module->m, i);
    f->counted = f->x.func != NULL;
    l->is_python = true;
    return f->counted ? 0 : -1;
}

static int make_wasi(Link *l, uint32_t i)
{
    Found *f = &l->found[i];
    f->x.kind = CHI_FUNC;
    f->x.func = py_wasi_func(l->store, l->r->wasi, f->fn, l->r->module->m, i);
    f->counted = f->x.func != NULL;
    return f->counted ? 0 : -1;
}

static int make_global(Link *l, uint32_t i)
{
    Found *f = &l->found[i];
    chi_error err;
    chi_type type = l->plan[i].type.type;
    if (!kind_is_number(py_value_kind(type))) {
        ValueResult why =
            py_value_reference(l->store, type, f->value, f->slots);
        if (why) {
            py_value_raise(why, type, f->value, Py_NewRef(l->plan[i].label));
            return -1;
        }
    }
    f->x.kind = CHI_GLOBAL;
    f->x.global = chi_global_new(l->store->store, type, false, f->slots, &err);
    f->counted = f->x.global != NULL;
    if (!f->counted)
        py_error_raise(l->r->state, &err);
    return f->counted ? 0 : -1;
}

static int make_extern(Link *l, uint32_t i)
{
    Found *f = &l->found[i];
    if (f->fn)
        return make_wasi(l, i);
    if (!f->is_entity)
        return l->plan[i].type.kind == CHI_FUNC ? make_func(l, i)
                                                : make_global(l, i);
    if (f->x.kind == CHI_FUNC)
        l->is_python |= ((FuncObject *)f->value)->is_python;
    return is_portable(f) ? make_portable(l, f) : 0;
}

/* ---- instantiation */

static void raise_failure(Link *l, chi_error *err)
{
    if (err->code == CHI_LIMIT)
        err->code = CHI_MEMORY;
    py_error_raise_guest(l->store, err->code, err);
}

/* A tuple of the entities among the imports; NULL: none, or an exception. */
static PyObject *given_entities(const Link *l)
{
    Py_ssize_t n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        n += l->found[i].is_entity;
    PyObject *tuple = n ? PyTuple_New(n) : NULL;
    n = 0;
    for (uint32_t i = 0; tuple && i < l->n; i++)
        if (l->found[i].is_entity)
            PyTuple_SET_ITEM(tuple, n++, Py_NewRef(l->found[i].value));
    return tuple;
}

static ExportsObject *adopt(Link *l, chi_instance *instance)
{
    ExportsObject *exports = NULL;
    PyObject *given = given_entities(l);
    if (given || !PyErr_Occurred())
        exports =
            py_exports_adopt(l->r, l->store, instance, given, l->is_python);
    else
        py_store_drop(l->store, (Drop){DROP_INSTANCE, {.instance = instance}});
    Py_XDECREF(given);
    return exports;
}

static ExportsObject *instantiate(Link *l)
{
    chi_extern on_stack[STACK_IMPORTS], *externs = on_stack;
    chi_error err;
    chi_instance *instance;
    if (l->n > STACK_IMPORTS) {
        externs = PyMem_Calloc(l->n, sizeof *externs);
        if (!externs)
            return (ExportsObject *)PyErr_NoMemory();
    }
    for (uint32_t i = 0; i < l->n; i++)
        externs[i] = l->found[i].x;
    while (!(instance = chi_instance_new(l->store->store, l->r->module->m,
                                         externs, &err)))
        if (err.code != CHI_BUSY) {
            raise_failure(l, &err);
            break;
        } else if (py_store_wait(l->store) < 0) {
            break;
        }
    py_store_changed(l->store);
    if (externs != on_stack)
        PyMem_Free(externs);
    return instance ? adopt(l, instance) : NULL;
}

/* The values are found: the rest of the way. */
static ExportsObject *complete(Link *l)
{
    if (choose_store(l) < 0 || py_store_claim(&l->store) < 0
        || merge_stores(l) < 0)
        return NULL;
    if (l->problems) {
        raise_problems(l);
        return NULL;
    }
    if (warn_of_tier(l->store) < 0)
        return NULL;
    for (uint32_t i = 0; i < l->n; i++)
        if (make_extern(l, i) < 0)
            return NULL;
    return instantiate(l);
}

static ExportsObject *run(Link *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (find(l, i) < 0 || check(l, i) < 0)
            return NULL;
    if (l->problems) {
        raise_problems(l);
        return NULL;
    }
    return complete(l);
}

static void clean_up(Link *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->found[i].counted)
            py_store_drop(l->store, (Drop){DROP_EXTERN, {.x = l->found[i].x}});
        Py_XDECREF(l->found[i].value);
    }
    if (l->store)
        py_store_settle(l->store);
    Py_XDECREF((PyObject *)l->store);
    Py_XDECREF(l->problems);
    Py_XDECREF(l->provider);
}

ExportsObject *py_link(const LinkRequest *r)
{
    Found on_stack[STACK_IMPORTS];
    Link l = {
        .r = r, .n = chi_module_n_imports(r->module->m), .found = on_stack};
    if (l.n) {
        l.plan = py_module_plan(r->module);
        if (!l.plan)
            return NULL;
    }
    if (l.n > STACK_IMPORTS) {
        l.found = PyMem_Calloc(l.n, sizeof *l.found);
        if (!l.found)
            return (ExportsObject *)PyErr_NoMemory();
    } else {
        memset(on_stack, 0, l.n * sizeof *on_stack);
    }
    ExportsObject *exports = run(&l);
    clean_up(&l);
    if (l.found != on_stack)
        PyMem_Free(l.found);
    return exports;
}
