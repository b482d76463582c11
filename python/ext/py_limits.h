/* py_limits.h - Limits and Config. */
#ifndef CHI_PY_LIMITS_H
#define CHI_PY_LIMITS_H

#include "py_ext.h"

/* limits: a Limits or None (the defaults). */
int py_limits_read(State *st, PyObject *limits, chi_limits *out);
/* An int >= 0, or None: UINT64_MAX. */
int py_limits_number(PyObject *value, const char *name, uint64_t *out);

/* Reads the environment: once, as the module is made. */
int py_config_init(State *st);
/* tier: a str, or NULL; config: a Config or None (as the environment has it).
 * NotImplementedError for what this build cannot do. */
int py_config_read(State *st, PyObject *tier, PyObject *config,
                   chi_config *out);
/* 'interp' or 'baseline'. */
PyObject *py_config_tier(chi_tier tier);

#endif
