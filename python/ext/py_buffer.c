/* SPDX-License-Identifier: MIT */
#include "py_buffer.h"

static int fill_items(Py_buffer *view, int flags, const BufferSpec *spec)
{
    /* The shape and the stride, which the view points to. */
    Py_ssize_t *shape = PyMem_Malloc(2 * sizeof *shape);
    if (!shape) {
        PyErr_NoMemory();
        return -1;
    }
    shape[0] = spec->bytes / spec->item_size;
    shape[1] = spec->item_size;
    view->internal = shape;
    view->itemsize = spec->item_size;
    if (flags & PyBUF_FORMAT)
        view->format = (char *)(uintptr_t)spec->format;
    if (flags & PyBUF_ND)
        view->shape = &shape[0];
    if ((flags & PyBUF_STRIDES) == PyBUF_STRIDES)
        view->strides = &shape[1];
    return 0;
}

int py_buffer_fill(PyObject *self, Py_buffer *view, int flags,
                   const BufferSpec *spec)
{
    if (PyBuffer_FillInfo(view, self, spec->data, spec->bytes, spec->read_only,
                          flags)
        < 0)
        return -1;
    if (spec->item_size == 1 && !(flags & PyBUF_FORMAT))
        return 0;
    if (fill_items(view, flags, spec) == 0)
        return 0;
    Py_CLEAR(view->obj);
    return -1;
}
