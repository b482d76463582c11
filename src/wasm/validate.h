/* validate.h - the type checker for function bodies and expressions.
 *
 * One pass over the body, as the specification's appendix A.3 describes it.
 * It also writes the side table by which the interpreter branches (after
 * Titzer, "A fast in-place interpreter for WebAssembly", OOPSLA 2022):
 *
 *   br, br_on_*       1 entry: the label.  keep: slots of the label's types
 *                     (at the taken branch, above them nothing; br_on_null's
 *                     reference is gone, those of the others are part of it)
 *   br_if             1
 *   if                1: the false edge, to after its `else`, or to after its
 *                     `end` if it has none; keep = drop = 0
 *   else, catch,      1: what reaches them from above goes to after the
 *   catch_all         matching `end`; keep = drop = 0
 *   br_table          n + 1, consecutive, the default last
 *   rethrow           1: dpc is the frame slot of the exception
 *   drop, select      1, only in a FUNC_WIDE function: keep is the width
 *
 * dpc counts from the first byte of the immediates (after the opcode, and
 * after the number of a prefixed one).  Targets: after the `end` opcode of a
 * block, if, try or try_table; the first instruction of a loop's body; the
 * `end` opcode itself of the function's own block.  A branch goes backward
 * exactly if dpc < 0.  Heights count 8-byte slots.  In unreachable code entries are written too
 * (keep as typed, drop 0), so that positions agree; they are never used.
 */
#ifndef CHI_WASM_VALIDATE_H
#define CHI_WASM_VALIDATE_H

#include "wasm/module.h"

/* Checks one defined function; fills its side table and facts.  Requires:
 * every section is decoded.  The error's offset is that of the instruction. */
bool validate_function(Module *m, Func *f, Error *err);

/* Checks a constant expression of one result and sets its max_height.
 * n_globals: globals that it may read (those before it). */
bool validate_const(Module *m, ConstExpr *e, Type result, uint32_t n_globals,
                    Error *err);

/* All that decoding left open: fields, constant expressions, functions.
 * report NULL: stops at the first failure. */
bool validate_module(Module *m, ModuleReport *report, void *env, Error *err);

#endif
