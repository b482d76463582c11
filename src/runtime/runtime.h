/* runtime.h - what exists while modules run.
 *
 * A Store holds entities: instances, host functions, memories, tables,
 * globals, tags.  An entity is kept by references from outside (the API's),
 * by entities that are kept, by the GC heap and by running frames; store.c
 * finds out by marking, which is also the GC heap's collector.  A store
 * without references from outside is freed whole.
 *
 * Values are 8-byte slots, as chiasm.h says: i32 and f32 zero-extended, v128
 * two slots, low half first.  References: funcref is a FuncRef *, all others
 * one word of heap.h.
 */
#ifndef CHI_RUNTIME_RUNTIME_H
#define CHI_RUNTIME_RUNTIME_H

#include <stdatomic.h>

#include "chiasm.h"

#include "os/os.h"
#include "wasm/module.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

typedef struct chi_store Store;
typedef struct Instance Instance;
typedef struct FuncRef FuncRef;
typedef struct Heap Heap;     /* heap.h */
typedef struct Thread Thread; /* thread.h */

typedef enum {
    ENTITY_INSTANCE,
    ENTITY_FUNC, /* a host function */
    ENTITY_MEMORY,
    ENTITY_TABLE,
    ENTITY_GLOBAL,
    ENTITY_TAG
} EntityKind;

typedef struct Entity {
    uint8_t kind;          /* EntityKind */
    bool marked;           /* by the collector */
    _Atomic uint32_t refs; /* from outside */
    Store *store;
    struct Entity *next; /* in the store's list */
    struct Entity *gray; /* those to trace: collect.h; a colour: owner.c */
} Entity;

/* The bytes of a memory, counted: a shared memory is in many stores. */
typedef struct MemoryData {
    uint8_t *base;
    _Atomic uint64_t size; /* bytes; relaxed reads, release on growth */
    uint64_t reserved;     /* bytes of address space at base */
    uint64_t imaged;       /* bytes at base that are mapped from a file */
    uint64_t committed;    /* bytes of it that are memory */
    _Atomic uint64_t pages;
    uint64_t max_pages; /* what may ever be: the type's limit or its form's */
    uint8_t page_log2;
    uint8_t form; /* MemoryForm, see memory.h */
    bool shared, is64;
    uint32_t reservation;  /* its number, unless explicit: reservation.h */
    _Atomic uint32_t refs; /* Memory entities */
    _Atomic uint32_t pins; /* views: the base may not move */
    OsMutex lock;          /* growth of a shared memory */
} MemoryData;

typedef struct {
    Entity e;
    MemoryType type; /* min is that of the declaration */
    MemoryData *data;
    uint64_t charged; /* bytes it counts for in store->memory_used */
} Memory;

typedef struct {
    Entity e;
    TableType type;
    uint64_t size, capacity;
    uint64_t *elems;
    TypeGroup *holds; /* the element type's, if that is concrete */
} Table;

typedef struct {
    Entity e;
    Type type;
    bool mutable;
    uint64_t value[2];
    TypeGroup *holds; /* the type's, if that is concrete */
} Global;

/* Identity of a tag, counted: a tag may be known in many stores. */
typedef struct {
    _Atomic uint32_t refs;
    const TypeDef *type;
    TypeGroup *group; /* holds it */
} TagData;

typedef struct {
    Entity e;
    TagData *data;
} Tag;

/* A function's code as callers see it.  In an Instance one per function,
 * made when first needed; in a HostFunc its own. */
struct FuncRef {
    const Func *func;   /* NULL: a host function */
    Instance *instance; /* of the callee; NULL of a host function */
    const TypeDef *type;
    Entity *owner; /* the instance or HostFunc */
    /* What compiled code calls, with `context` in the register of instances;
     * NULL in stores that only interpret. */
    const void *code;
    struct Instance *context;
    uint32_t type_id;  /* type->id */
    bool may_run_long; /* has loops or calls; all host functions may */
    const void *entry; /* what calls it from C; NULL: not looked up yet */
};

typedef struct {
    Entity e;
    FuncRef ref;
    chi_host_fn *call; /* may set store->error */
    void *host;
    TypeGroup *group;
} HostFunc;

struct Instance {
    Entity e;
    Module *module;
    MemoryData *memory0; /* memories[0]->data, or an empty one */
    FuncRef **imported_funcs;
    FuncRef *own_funcs; /* by index - n_imported; func NULL: not made yet */
    Memory **memories;
    Table **tables;
    Global **globals;
    Tag **tags;
    uint8_t *data_dropped; /* one byte each */
    uint8_t *elem_dropped;
    uint64_t **elem_items; /* evaluated, or NULL: see instance_elem */
    /* Of compiled code: */
    const uint8_t *bytes;       /* the module's */
    const uint32_t *type_ids;   /* the module's */
    const void *const *helpers; /* baseline.h names them */
    void **code_table;          /* by function defined here */
};

typedef struct {
    uint64_t memory, table, heap, stack, fuel; /* UINT64_MAX: none */
} StoreLimits;

typedef struct {
    Instance *instance;
    const Func *func;
    uint32_t offset; /* of the instruction */
} Frame;
enum { FRAMES_KEPT = 64 };

typedef enum { TIER_INTERP, TIER_BASELINE } Tier;

struct chi_store {
    /* What the engine compares its stack pointer with, at each function entry
     * and loop turn: the limit, or 0 after an interrupt. */
    _Atomic uintptr_t limit;
    uintptr_t stack_limit; /* the limit without interrupts */
    /* The same of compiled code, which runs on the native stack: all ones
     * after an interrupt. */
    _Atomic uintptr_t native_limit;
    uintptr_t native_stack_limit;
    uint8_t tier;         /* Tier */
    uint8_t native_cache; /* for tests: BaselineConfig.n_cache */
    bool checks_all;      /* compiled code never faults */
    bool keeps_tier;      /* was told its tier, or the use of faults */
    bool metered;
    uint64_t fuel;            /* instructions left, when metered */
    _Atomic(Thread *) owner;  /* the thread inside, or NULL */
    uint32_t nested;          /* entries of that thread but the first */
    _Atomic uint32_t waiting; /* threads in store_wait */
    /* The limits above are right for entries by this thread that is in no
     * store, and whose frame lies here. */
    uint64_t limits_thread; /* its id; 0: for none */
    uintptr_t limits_from, limits_room;
    uint32_t n_recent;    /* of `recent`, since the outermost call ended */
    uint32_t n_releases;  /* of `releases` */
    uint32_t n_frames;    /* of `frames`, kept */
    uint32_t frame_depth; /* there were */
    uint64_t tick_ns;
    void *host_env;
    chi_interrupt_fn *interrupt;
    chi_release_fn *release;

    _Atomic uint32_t refs; /* store references + refs of entities + roots */
    Store *merged_into;
    Entity *entities;
    uint32_t n_entities;
    _Atomic uint32_t dropped; /* weight of what lost its last reference */
    Heap *heap;               /* made at the first allocation */
    StoreLimits limits;
    uint8_t best_form; /* MemoryForm: the strongest that memories may have */
    uint64_t memory_used, table_used; /* bytes, elements */
    struct Root *roots;               /* handles: heap.h */
    _Atomic(struct Root *) dead_roots;
    uint64_t *recent;            /* host words made last, see heap_host */
    const uint64_t *extra_roots; /* of an allocation in progress */
    uint32_t n_extra_roots;
    uint32_t no_collect; /* > 0: collections wait */
    void **releases;     /* host pointers whose release is due */
    uint32_t releases_capacity;

    uint64_t pending_exn; /* word: thrown, not caught yet */
    ErrorCode pending_code;
    Error error; /* detail of the last failure; code ERR_OK: none */
    Frame frames[FRAMES_KEPT];
    _Atomic uint32_t wait_generation; /* of the process that made the two */
    OsMutex wait_lock;
    OsCond idle; /* signalled when the owner leaves */
};

#endif
