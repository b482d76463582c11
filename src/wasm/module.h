/* module.h - a decoded module.
 *
 * Immutable once decoded and validated, shared by threads, counted.  Owns a
 * copy of its bytes; everything else lives in its arena and points into the
 * bytes.  Code is not translated: the interpreter and the compilers read the
 * bytes together with the side table that the validator wrote.
 */
#ifndef CHI_WASM_MODULE_H
#define CHI_WASM_MODULE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "wasm/op.h"
#include "wasm/types.h"

/* Limits: those of the JavaScript API's appendix, where it has one. */
enum {
    LIMIT_MODULE_BYTES = 1 << 30,
    LIMIT_TYPES = 1000000,
    LIMIT_FUNCTIONS = 1000000,
    LIMIT_IMPORTS = 1000000,
    LIMIT_EXPORTS = 1000000,
    LIMIT_GLOBALS = 1000000,
    LIMIT_TAGS = 1000000,
    LIMIT_DATAS = 1000000,
    LIMIT_ELEMS = 10000000,
    LIMIT_TABLES = 100000,
    LIMIT_MEMORIES = 1000,
    LIMIT_BODY_BYTES = 7654321,
    LIMIT_LOCALS = 50000, /* parameters included */
    LIMIT_PARAMS = 1000,
    LIMIT_RESULTS = 1000,
    LIMIT_FIELDS = 10000,
    LIMIT_BR_TABLE = 65520,
    LIMIT_TABLE_ELEMS = 10000000,
};

typedef struct {
    const char *bytes; /* UTF-8, not terminated */
    uint32_t len;
} Name;

typedef enum {
    EXTERN_FUNC,
    EXTERN_TABLE,
    EXTERN_MEMORY,
    EXTERN_GLOBAL,
    EXTERN_TAG
} ExternKind;

typedef struct {
    uint64_t min, max; /* max: NO_MAX if none is declared */
    bool is64;         /* i64 addresses */
    bool shared;
} Limits;
#define NO_MAX UINT64_MAX

/* An expression of constant instructions, `end` included, by offsets into the
 * module's bytes. */
typedef struct {
    uint32_t start, end;
    uint32_t max_height; /* slots of operands */
} ConstExpr;

typedef struct {
    Limits limits;
    uint8_t page_log2; /* 16, or 0 with custom page sizes */
} MemoryType;

typedef struct {
    Limits limits;
    Type type;
    bool has_init;  /* else null */
    ConstExpr init; /* of a defined table */
} TableType;

typedef struct {
    Type type;
    bool mutable;
    ConstExpr init; /* of a defined global */
} GlobalType;

typedef struct {
    Name module, name;
    ExternKind kind;
    uint32_t index; /* in the index space of its kind */
} Import;

typedef struct {
    Name name;
    ExternKind kind;
    uint32_t index;
} Export;

/* Where a control transfer lands.  One entry per transfer that can be taken,
 * in code order, as the head of validate.h lists them. */
typedef struct {
    int32_t dpc;  /* from the instruction's immediates to the target */
    int32_t dstp; /* from this entry to the next one at the target */
    uint16_t keep,
        drop; /* 8-byte slots: the upper `keep` move down by `drop` */
} BranchEntry;

typedef enum {
    HANDLER_CATCH,         /* pushes the payload */
    HANDLER_CATCH_REF,     /* pushes the payload and the exnref */
    HANDLER_CATCH_ALL,     /* pushes nothing */
    HANDLER_CATCH_ALL_REF, /* pushes the exnref */
    HANDLER_DELEGATE       /* goes on as if thrown at `pc`, from here on */
} HandlerKind;

/* A clause of try_table or of a legacy try.  Inner ones stand first, clauses
 * of one block in order: the first whose range holds the throwing
 * instruction's opcode and whose tag matches is the one. */
typedef struct {
    uint32_t start, end; /* offsets of the try opcode and of the end of its
                            protected part (exclusive) */
    uint32_t kind;       /* HandlerKind */
    uint32_t tag;        /* tag index, of the CATCH kinds */
    uint32_t pc;         /* offset of the target */
    uint32_t stp;        /* index in branches of the entry at the target */
    uint32_t height;     /* operand slots below what is pushed, at the try */
    uint32_t drop;       /* slots to drop between there and the label's base */
    uint32_t exn_slot;   /* frame slot that keeps the exception for a legacy
                            rethrow, or NO_SLOT */
} Handler;
#define NO_SLOT UINT32_MAX

enum {
    /* Has a v128 local, or drops or selects a v128 without saying its type:
     * then locals are found by local_slots, and each drop and untyped select
     * has an entry whose `keep` is the width in slots. */
    FUNC_WIDE = 1,
    FUNC_LOOPS = 2, /* has a loop */
    FUNC_CALLS = 4, /* calls, or runs bulk or waiting instructions */
};

/* A function defined by the module. */
typedef struct Func {
    const TypeDef *type;
    uint32_t type_index;
    uint32_t index;       /* in the function index space */
    uint32_t start, end;  /* offsets of the body: locals .. after its `end` */
    uint32_t code;        /* offset of its first instruction */
    uint32_t n_locals;    /* parameters included */
    uint32_t local_slots; /* 8-byte slots of all locals, hidden ones too */
    uint32_t max_height;  /* operand slots, at most */
    uint32_t flags;       /* FUNC_* */
    const BranchEntry *branches;
    uint32_t n_branches;
    const Handler *handlers;
    uint32_t n_handlers;
    /* FUNC_WIDE: slot << 1 | is_v128, by local; else NULL. */
    const uint32_t *slot_of_local;
    const struct LocalRun *locals; /* as declared, parameters not included */
    uint32_t n_local_runs;
    /* Its branch hints, or NULL: a vector of {offset from `start`, 1, hint},
     * all LEB128; well formed, but the offsets may lie anywhere. */
    const uint8_t *hints;
} Func;

typedef struct LocalRun {
    uint32_t count;
    Type type;
} LocalRun;

typedef enum { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARED } SegmentMode;

typedef struct {
    SegmentMode mode;
    uint32_t memory;
    ConstExpr offset;
    uint32_t start, len; /* of its bytes, as an offset into the module's */
} DataSegment;

typedef struct {
    SegmentMode mode;
    uint32_t table;
    ConstExpr offset;
    Type type;
    uint32_t count;
    const uint32_t *funcs;  /* function indices, or NULL: */
    const ConstExpr *exprs; /* expressions */
} ElemSegment;

typedef struct {
    Name name;
    uint32_t start, len; /* of the payload after the name */
    uint8_t after;       /* id of the last known section before it; 0: none */
    uint32_t offset;     /* of its section id byte */
} CustomSection;

typedef struct {
    uint8_t id;
    uint32_t offset;     /* of the id byte */
    uint32_t start, len; /* of the content */
} SectionInfo;

typedef struct Names Names; /* names.h */
typedef struct Dwarf Dwarf; /* dwarf.h */

/* Bytes that may be read behind a module's own, so that who walks code need
 * not look for its end within an instruction. */
enum { MODULE_PADDING = 32 };

typedef struct Module {
    _Atomic uint32_t refs;
    Arena arena;
    uint8_t *bytes; /* a copy; MODULE_PADDING zeros follow */
    uint32_t len;
    Features features;

    const TypeDef **types;    /* by type index */
    const uint32_t *type_ids; /* their canonical ids */
    uint32_t n_types;
    struct TypeGroup **groups;
    uint32_t *group_starts; /* first type index of each group */
    uint32_t n_groups;

    Import *imports;
    uint32_t n_imports;
    Export *exports;
    uint32_t n_exports;

    /* Index spaces: imported ones first. */
    uint32_t n_funcs, n_imported_funcs;
    const TypeDef **func_types; /* n_funcs */
    uint32_t *func_type_index;  /* n_funcs */
    Func *funcs;                /* of those defined: funcs[i - n_imported] */
    TableType *tables;
    uint32_t n_tables, n_imported_tables;
    MemoryType *memories;
    uint32_t n_memories, n_imported_memories;
    GlobalType *globals;
    uint32_t n_globals, n_imported_globals;
    const TypeDef **tags;
    uint32_t *tag_type_index;
    uint32_t n_tags, n_imported_tags;

    bool has_start;
    uint32_t start;
    ElemSegment *elems;
    uint32_t n_elems;
    DataSegment *datas;
    uint32_t n_datas;
    bool has_data_count;

    CustomSection *customs;
    uint32_t n_customs;
    SectionInfo *sections; /* all, custom ones too, in order */
    uint32_t n_sections;
    uint32_t code_bytes; /* size of the code section */

    uint8_t *declared; /* bit per function: may ref.func name it in code */
    _Atomic(uint64_t *)
        types_by_id;        /* id << 32 | index, at the first look-up */
    _Atomic(Names *) names; /* made at the first look-up: names.h */
    char *image_path;       /* of a file with compiled code, or NULL */
    _Atomic(Dwarf *) dwarf; /* the same: dwarf.h */
    void *native;           /* compiled code, freed by module_free_native */
} Module;

static inline const Func *module_func(const Module *m, uint32_t index)
{
    return &m->funcs[index - m->n_imported_funcs];
}

/* Decodes and validates.  Copies the bytes.  NULL on failure; the first error
 * wins.  Cost: linear in len.  See WebAssembly 3.0, 5.5.16 and 3.4. */
Module *module_new(const uint8_t *bytes, size_t len, Features features,
                   Error *err);
Module *module_ref(Module *m);
extern void (*module_free_native)(void *native);
void module_free(Module *m);

/* Calls `report` for every error there is: one for what cannot be decoded,
 * one per invalid function or other invalid field. */
typedef void ModuleReport(void *env, const Error *err);
void module_check(const uint8_t *bytes, size_t len, Features features,
                  ModuleReport *report, void *env);

/* TypeIndexOf for this module (env is the Module): the first type index with
 * that canonical id, or NO_TYPE. */
uint32_t module_type_index(void *module, uint32_t id);

#endif
