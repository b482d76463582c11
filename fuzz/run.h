/* run.h - instantiates a module within small limits and calls what it exports.
 *
 * Imports are made to match: host functions answer by a count of the calls,
 * so that two runs of one module do the same.
 */
#ifndef CHI_FUZZ_RUN_H
#define CHI_FUZZ_RUN_H

#include "chiasm.h"

enum { RUN_CALLS = 12 }; /* exports called, at most */

typedef struct {
    uint64_t fuel;     /* for each call; UINT64_MAX: not metered */
    bool tail;         /* by which dispatcher, if it is interpreted */
    bool pair;         /* two instances, each with functions of the other */
    bool stress;       /* collects at each allocation */
    bool across_tiers; /* how deep the stack goes is not compared */
    chi_config config; /* of the store */
} RunOptions;

/* What can be seen of a run. */
typedef struct {
    bool linked, started; /* false: the imports do not fit; it failed */
    bool out_of_fuel;     /* somewhere */
    bool vague;           /* ended by a limit that may come a little earlier
                             or later: the last call does not count */
    chi_code start_code;
    uint64_t state; /* hash of memories, tables and globals at the end */
    uint32_t n_calls;
    struct {
        chi_code code;
        uint64_t results; /* hash; of an exception its payload */
        uint64_t fuel;    /* used, if metered */
        uint64_t state;   /* the same after it, of memories the beginnings */
        uint32_t function, offset; /* where it failed */
        uint32_t depth;            /* frames there were */
        uint64_t frames;           /* hash of all of them */
    } calls[RUN_CALLS];
} RunResult;

void run_module(chi_module *m, const RunOptions *o, RunResult *out);

/* Ends the process unless both say the same, up to fuel if !metered. */
void run_compare(const RunResult *a, const RunResult *b, bool metered);

/* dispatch.c: which dispatcher interp_run is. */
extern bool run_by_tail_calls;

#endif
