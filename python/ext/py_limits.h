/* py_limits.h - Limits and Config. */
#ifndef CHI_PY_LIMITS_H
#define CHI_PY_LIMITS_H

#include "py_ext.h"

/* limits: a Limits or None (the defaults). */
int py_limits_read(State *st, PyObject *limits, chi_limits *out);
/* An int >= 0, or None: UINT64_MAX. */
int py_limits_number(PyObject *value, const char *name, uint64_t *out);

/* config: a Config or None (as the environment has it).  NotImplementedError
 * for an option that this build cannot follow. */
int py_config_check(State *st, PyObject *config);

#endif
