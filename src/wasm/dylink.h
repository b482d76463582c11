/* dylink.h - the custom section "dylink.0" of dynamically linked modules.
 *
 * What a module wants of a loader: room in the memory and table that it
 * shares, other modules, and flags of imports and exports.  A section that is
 * broken is no error of the module: what was read until the break is there.
 * See WebAssembly tool conventions, DynamicLinking.md.
 */
#ifndef CHI_WASM_DYLINK_H
#define CHI_WASM_DYLINK_H

#include "wasm/module.h"

/* Flags of symbols; those of the linking section. */
enum {
    DYLINK_WEAK = 0x01,
    DYLINK_LOCAL = 0x02,
    DYLINK_HIDDEN = 0x04,
    DYLINK_UNDEFINED = 0x10,
    DYLINK_EXPORTED = 0x20,
    DYLINK_EXPLICIT_NAME = 0x40,
    DYLINK_NO_STRIP = 0x80,
    DYLINK_TLS = 0x100,
    DYLINK_ABSOLUTE = 0x200
};

typedef struct {
    Name module; /* of an import */
    Name name;
    uint32_t flags;
} DylinkSymbol;

typedef struct {
    uint32_t section; /* offset of its id byte */
    bool has_memory;  /* the four below are said */
    uint32_t memory_bytes, memory_align_log2;
    uint32_t table_elements, table_align_log2;
    const Name *needed, *paths; /* modules; where to look for them */
    const DylinkSymbol *exports, *imports;
    uint32_t n_needed, n_paths, n_exports, n_imports;
    Error remark; /* ERR_OK: nothing is wrong */
} Dylink;

/* false: the module has no such section.  Lists go to the arena. */
bool dylink_read(const Module *m, Arena *arena, Dylink *out);

#endif
