/* The interpreter with both of its dispatchers: each is compiled with its
 * interp_run renamed, and this one chooses. */
#include "fuzz/run.h"
#include "interp/state.h"

bool run_by_tail_calls;

ErrorCode interp_run_switch(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                            const BranchEntry *stp, bool metered);
ErrorCode interp_run_tail(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                          const BranchEntry *stp, bool metered);

ErrorCode interp_run(const uint8_t *pc, uint64_t *sp, uint64_t *fp,
                     const BranchEntry *stp, bool metered)
{
    return run_by_tail_calls ? interp_run_tail(pc, sp, fp, stp, metered)
                             : interp_run_switch(pc, sp, fp, stp, metered);
}
