/* py_memory.h - what py_memory.c and py_pack.c share. */
#ifndef CHI_PY_MEMORY_H
#define CHI_PY_MEMORY_H

#include "py_entity.h"

/* The bytes of a claimed memory, never NULL without an exception. */
uint8_t *py_memory_bytes(PyObject *self, size_t *size);
/* Where n bytes from offset are; NULL with IndexError. */
uint8_t *py_memory_range(PyObject *self, Py_ssize_t offset, Py_ssize_t n);

/* Memory.unpack and Memory.pack: py_pack.c */
PyObject *py_memory_unpack(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *py_memory_pack(PyObject *self, PyObject *const *args, Py_ssize_t n);

#endif
