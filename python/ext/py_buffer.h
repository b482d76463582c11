/* py_buffer.h - filling in a Py_buffer with one dimension of typed items. */
#ifndef CHI_PY_BUFFER_H
#define CHI_PY_BUFFER_H

#include "py_ext.h"

typedef struct {
    void *data;
    Py_ssize_t bytes, item_size;
    const char *format;
    bool read_only;
} BufferSpec;

/* view->internal is memory for PyMem_Free, or NULL. */
int py_buffer_fill(PyObject *self, Py_buffer *view, int flags,
                   const BufferSpec *spec);

#endif
