/* py_entity.h - what Func, Memory, Table, Global and Tag have in common.
 *
 * An EntityObject holds a reference on its entity in the core, or for that of
 * an instance the instance's keeper (py_owner.h).  There is one object per
 * entity as long as it lives, found through the store's map.
 */
#ifndef CHI_PY_ENTITY_H
#define CHI_PY_ENTITY_H

#include "py_values.h"

typedef struct {
    PyObject_HEAD StoreObject *store;
    PyObject *weakrefs;
    chi_extern x;
    Owner owner;
    PyObject *keeper; /* of the instance that defines it; may be NULL */
    uint8_t n_refs;   /* that it has on the entity: py_owner.h */
} EntityObject;

/* What most calls give. */
typedef enum {
    RESULT_NONE,
    RESULT_I32,
    RESULT_I64,
    RESULT_F64,
    RESULT_OTHER
} CallResult;

typedef struct {
    EntityObject e;
    vectorcallfunc call;
    chi_fast_fn *fast;
    State *state;
    Signature *signature;
    PyObject *module; /* ModuleObject, or NULL of a host function */
    PyObject *name;   /* str, or NULL: not asked for yet */
    bool without_gil; /* calls release it */
    bool is_python;   /* it, or what its module imports, is Python code */
    uint8_t result;   /* CallResult */
} FuncObject;

typedef struct {
    EntityObject e;
    bool shared;
} MemoryObject;

/* Where an exported entity comes from. */
typedef struct {
    PyObject *module; /* ModuleObject; may be NULL: found out */
    PyObject *name;   /* may be NULL */
    PyObject *keeper; /* of the instance whose export it is; may be NULL */
    bool is_import;   /* of that instance */
    bool without_gil, is_python;
} Origin;

/* The object for an entity of a claimed store: a new reference.  That of a tag
 * may be of another store. */
PyObject *py_entity_wrap(StoreObject *s, chi_extern x);
PyObject *py_entity_wrap_from(StoreObject *s, chi_extern x, const Origin *o);

/* A zeroed object of the type, with its store; x is not counted further: the
 * object takes the caller's reference, also on failure. */
PyObject *py_entity_adopt(State *st, TypeTag type, StoreObject *s,
                          chi_extern x);
int py_entity_traverse(PyObject *self, visitproc visit, void *arg);
int py_entity_clear(PyObject *self);
void py_entity_dealloc(PyObject *self);
static inline int py_entity_claim(PyObject *self)
{
    return py_store_claim(&((EntityObject *)self)->store);
}
static inline StoreObject *py_entity_store(PyObject *self)
{
    return py_store_at(&((EntityObject *)self)->store);
}
/* A StoreObject for something that Python makes: its own. */
StoreObject *py_entity_private_store(State *st);

#define ENTITY_WEAKREFS                                                        \
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EntityObject, weakrefs),       \
     READONLY, NULL}

/* py_func.c: completes a FuncObject whose entity is set. */
int py_func_set_up(FuncObject *f, const Origin *o);
/* "add(): argument 2 (b)", new; `i` counts from 0. */
PyObject *py_func_place(FuncObject *f, uint32_t i);
/* Borrowed, or NULL with an exception. */
PyObject *py_func_name(FuncObject *f);
/* py_call.c */
vectorcallfunc py_call_of(const Signature *s);
CallResult py_call_result_of(const Signature *s);
/* py_host.c: a host function of the store that calls `callable`; a new
 * reference of the core's, or NULL with an exception. */
chi_func *py_host_func(StoreObject *s, Signature *sig, PyObject *callable,
                       PyObject *label);
chi_func *py_host_import(StoreObject *s, Signature *sig, PyObject *callable,
                         PyObject *label, const chi_module *m, uint32_t i);
/* What Python made it of, borrowed, or NULL. */
PyObject *py_host_callable(const chi_func *f);
/* What a host function returns that fails by the current exception, which it
 * takes. */
chi_code py_host_fail(StoreObject *s);
/* Was it made by Func? */
bool py_host_is_func(const chi_func *f);

/* py_tag.c: Tag.python_exception, borrowed, or NULL with an exception. */
PyObject *py_tag_python(State *st);
/* Adds it to the class, which has just been made. */
int py_tag_complete(State *st);

#endif
