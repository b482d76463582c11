/* walk.h - steps over instructions without executing them.
 *
 * For what needs to find instruction borders: positions of traps, printing,
 * dumps, the ends of constant expressions.  Bytes need not be valid; what is
 * malformed fails the reader.
 */
#ifndef CHI_WASM_WALK_H
#define CHI_WASM_WALK_H

#include "base/reader.h"
#include "wasm/module.h"

/* Reads an opcode.  Returns OP_COUNT and fails r on an unknown one. */
Op walk_op(Reader *r);
/* Steps over the immediates of `op`. */
void walk_skip(Reader *r, Op op);

/* The offset of the instruction of f that holds the byte at `offset`. */
uint32_t walk_instruction_at(const Module *m, const Func *f, uint32_t offset);

#endif
