/* profile.h - where guest code spends its time.
 *
 * While a profile runs, the thread that started it is looked at about every so
 * often of its CPU time: which functions of compiled code are on its stack.
 * One profile at a time.  What the interpreter runs is not seen: it counts as
 * the host's.
 */
#ifndef CHI_NATIVE_PROFILE_H
#define CHI_NATIVE_PROFILE_H

#include "wasm/module.h"

/* Stacks are kept as a tree: a node is a function called from another's. */
typedef struct {
    const Module *module; /* NULL: the host */
    const Func *func;
    uint32_t parent; /* 0: none; the node 0 is no function */
} ProfileNode;

typedef struct {
    uint32_t node; /* the innermost */
    uint32_t us;   /* of CPU time since the sample before */
} ProfileSample;

typedef struct {
    ProfileNode *nodes;
    uint32_t n_nodes;
    ProfileSample *samples; /* in order of time; equal neighbours are one */
    uint32_t n_samples;
    uint32_t n_looks; /* how often it looked */
} Profile;

/* Fails with ERR_BUSY while another runs, ERR_UNSUPPORTED where it cannot. */
bool profile_start(uint64_t period_ns, Error *err);
/* On the thread that started it.  Modules live until profile_free. */
void profile_stop(Profile *out);
void profile_free(Profile *p);

#endif
