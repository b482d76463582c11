/* tree.h - directories in memory.
 *
 * A tree is made of plain files and directories: no links, neither hard nor
 * symbolic.  Bytes and nodes are limited.  All its operations take its lock.
 */
#ifndef CHI_WASI_TREE_H
#define CHI_WASI_TREE_H

#include "wasi/wasi.h"

/* The root of a new tree with these entries; NULL: no memory, or (EINVAL) a
 * path that is absolute or has empty or dotted components. */
File *tree_new(chi_wasi *w, const chi_wasi_entry *entries, size_t n,
               size_t limit, bool read_only);
/* Calls with everything in it, directories before what is in them; false: it
 * is no directory of a tree, or there is no memory.  fn must not touch it. */
bool tree_walk(const File *root, chi_wasi_entry_fn *fn, void *env);

#endif
