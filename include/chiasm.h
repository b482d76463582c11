/* chiasm.h - load, inspect and run WebAssembly modules.
 *
 * Conventions, stated once.
 *
 *   Ownership  _new and _ref give a reference, _free takes one back and
 *              accepts NULL, everything else borrows.
 *   Errors     a falsy result and a chi_error filled in; the guest's failures
 *              are a chi_code.  A chi_error is a plain struct of the caller's.
 *   Slots      arguments and results are 8-byte slots, in order: i32 and f32
 *              in the low 4 bytes with the upper 4 zero, v128 in two slots,
 *              references as one word (null is 0).
 *   Words      a reference word stays valid until guest code or an allocating
 *              function runs in its store; chi_root keeps it longer.
 *   Threads    a chi_module may be used by all threads; a chi_store and what
 *              lives in it by one at a time.  chi_call says CHI_BUSY when
 *              another thread is inside; chi_enter keeps others out longer.
 *   Names      are UTF-8 with a length and no terminator.
 */
#ifndef CHIASM_H
#define CHIASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CHI_API __attribute__((visibility("default")))
#else
#define CHI_API
#endif

/* ------------------------------------------------------------- failures */

typedef enum {
    CHI_OK,
    /* The input's fault. */
    CHI_MALFORMED,
    CHI_INVALID,
    CHI_SYNTAX,
    CHI_LIMIT,
    CHI_LINK,
    CHI_MEMORY,
    CHI_UNSUPPORTED,
    CHI_ARGUMENT,
    CHI_BUSY,
    /* Traps. */
    CHI_UNREACHABLE,
    CHI_DIVIDE,
    CHI_OVERFLOW,
    CHI_CONVERSION,
    CHI_MEMORY_BOUNDS,
    CHI_TABLE_BOUNDS,
    CHI_ARRAY_BOUNDS,
    CHI_UNDEFINED_ELEMENT,
    CHI_UNINITIALIZED,
    CHI_INDIRECT_TYPE,
    CHI_NULL_REFERENCE,
    CHI_NULL_FUNCTION,
    CHI_NULL_STRUCT,
    CHI_NULL_ARRAY,
    CHI_NULL_I31,
    CHI_NULL_EXCEPTION,
    CHI_CAST,
    CHI_UNALIGNED,
    CHI_EXPECTED_SHARED,
    CHI_HEAP_LIMIT,
    CHI_STACK,
    CHI_OUT_OF_FUEL,
    /* Other ways out of the guest. */
    CHI_EXCEPTION,   /* a WebAssembly exception: chi_store_exception */
    CHI_HOST,        /* a host function failed: no guest handler sees it */
    CHI_INTERRUPTED, /* the interrupt handler said so */
    CHI_CODE_COUNT
} chi_code;

typedef struct {
    chi_code code;
    uint32_t line, column; /* 1-based, of text; else 0 */
    uint32_t function;     /* index, or UINT32_MAX */
    uint64_t offset;       /* bytes from the start, or UINT64_MAX */
    char message[400];     /* one sentence */
} chi_error;

/* The default sentence; for traps the specification's words. */
CHI_API const char *chi_code_text(chi_code code);
CHI_API bool chi_code_is_trap(chi_code code);
CHI_API const char *chi_version(void);

/* ---------------------------------------------------------------- types */

/* A value type: the binary format's kind byte in the low 8 bits; the upper 24
 * of a reference name its heap type. */
typedef uint32_t chi_type;
enum {
    CHI_I32 = 0x7f,
    CHI_I64 = 0x7e,
    CHI_F32 = 0x7d,
    CHI_F64 = 0x7c,
    CHI_V128 = 0x7b,
    CHI_I8 = 0x78, /* in fields only */
    CHI_I16 = 0x77
};
static inline bool chi_type_is_ref(chi_type t)
{
    return (uint8_t)t == 0x63 || (uint8_t)t == 0x64;
}
static inline bool chi_type_is_nullable(chi_type t)
{
    return (uint8_t)t == 0x63;
}

/* The four hierarchies of references. */
typedef enum {
    CHI_TOP_NONE,
    CHI_TOP_ANY,
    CHI_TOP_FUNC,
    CHI_TOP_EXTERN,
    CHI_TOP_EXN
} chi_top;
CHI_API chi_top chi_type_top(chi_type t); /* CHI_TOP_NONE: no reference */
CHI_API bool chi_type_matches(chi_type sub, chi_type super);

typedef struct chi_module chi_module;

/* WAT's spelling, type indices as those of `m` (may be NULL).  Returns the
 * length; writes at most size bytes, NUL included. */
CHI_API int chi_type_print(chi_type t, const chi_module *m, char *out,
                           size_t size);
/* Reads "i32", "funcref", "(ref null any)" ...; no type indices. */
CHI_API bool chi_type_parse(const char *text, size_t len, chi_type *out);

typedef struct {
    uint32_t n_params, n_results;
    uint32_t param_slots, result_slots;
    const chi_type *types; /* parameters, then results */
    uint32_t id;           /* equal exactly if the types are equal */
} chi_functype;

typedef enum { CHI_FUNC, CHI_TABLE, CHI_MEM, CHI_GLOBAL, CHI_TAG } chi_kind;

typedef struct {
    chi_kind kind;
    chi_functype func; /* function, tag */
    chi_type type;     /* of a table's elements, of a global */
    bool mutable_;     /* global */
    bool shared, is64; /* memory; is64: table too */
    uint32_t page_size;
    uint64_t min, max; /* pages, elements; max UINT64_MAX: none */
} chi_externtype;

/* ------------------------------------------------------------- features */

typedef uint32_t chi_features;
CHI_API chi_features chi_features_all(void);
CHI_API chi_features chi_features_edition(unsigned major); /* 1, 2, 3 */
CHI_API const char *chi_feature_name(unsigned i); /* NULL past the last */

/* -------------------------------------------------------------- modules */

/* Decodes and validates the binary format; copies the bytes.
 *
 *   features  what may be used; see chi_features_all
 *   returns   a new reference, or NULL
 *   errors    CHI_MALFORMED, CHI_INVALID, CHI_LIMIT
 *   cost      linear in len; compiles nothing
 *   see       WebAssembly 3.0, 5.5.16 (modules) and 3.4 (validation)
 */
CHI_API chi_module *chi_module_new(const uint8_t *bytes, size_t len,
                                   chi_features features, chi_error *err);
CHI_API chi_module *chi_module_ref(chi_module *m);
CHI_API void chi_module_free(chi_module *m);

/* Reports every error: that of what cannot be decoded, and one for each
 * function or field that is invalid. */
typedef void chi_report_fn(void *env, const chi_error *err);
CHI_API void chi_module_check(const uint8_t *bytes, size_t len,
                              chi_features features, chi_report_fn *report,
                              void *env);

CHI_API const uint8_t *chi_module_bytes(const chi_module *m, size_t *len);
CHI_API uint64_t chi_module_hash(const chi_module *m); /* of the bytes */
/* From the name section; NULL if there is none. */
CHI_API const char *chi_module_name(const chi_module *m, size_t *len);

typedef struct {
    const char *module, *name;
    uint32_t module_len, name_len;
    chi_externtype type;
} chi_import;
typedef struct {
    const char *name;
    uint32_t name_len;
    uint32_t index; /* in the index space of its kind */
    chi_externtype type;
} chi_export;
typedef struct {
    const char *name;
    uint32_t name_len;
    const uint8_t *data;
    size_t len;
} chi_custom;
typedef struct {
    const char *name; /* of the name section or an export; NULL if none */
    uint32_t name_len;
    bool imported;
    chi_functype type;
    uint32_t offset, size; /* of the body, bytes; 0 of an import */
} chi_funcinfo;

CHI_API uint32_t chi_module_n_imports(const chi_module *m);
CHI_API uint32_t chi_module_n_exports(const chi_module *m);
CHI_API uint32_t chi_module_n_customs(const chi_module *m);
CHI_API uint32_t chi_module_n_functions(const chi_module *m); /* all */
CHI_API void chi_module_import(const chi_module *m, uint32_t i, chi_import *o);
CHI_API void chi_module_export(const chi_module *m, uint32_t i, chi_export *o);
CHI_API void chi_module_custom(const chi_module *m, uint32_t i, chi_custom *o);
CHI_API void chi_module_function(const chi_module *m, uint32_t i,
                                 chi_funcinfo *o);
/* The name of a local or parameter, or NULL. */
CHI_API const char *chi_module_local_name(const chi_module *m, uint32_t func,
                                          uint32_t local, uint32_t *len);

/* A place in the source, by the line table (DWARF) in a module's custom
 * sections. */
typedef struct {
    char file[512];  /* a path as the compiler knew it, NUL-terminated UTF-8
                        without control characters; of a longer one the end */
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1; 0: not known */
} chi_source;
/* Where the instruction comes from that stands at an offset in the module.
 *
 *   returns  false: not known.  No table is an error, whatever is in it.
 *   cost     the first call reads the sections, others some 100 bytes
 *   see      DWARF 5, 6.2; DWARF for WebAssembly
 */
CHI_API bool chi_module_source(const chi_module *m, uint32_t byte_offset,
                               chi_source *out);
/* Where a function begins. */
CHI_API bool chi_module_function_source(const chi_module *m, uint32_t func,
                                        chi_source *out);

/* --------------------------------------------------------------- stores */

typedef struct chi_store chi_store;
typedef struct chi_instance chi_instance;
typedef struct chi_func chi_func;
typedef struct chi_memory chi_memory;
typedef struct chi_table chi_table;
typedef struct chi_global chi_global;
typedef struct chi_tag chi_tag;

/* What a store may use.  UINT64_MAX lifts a limit. */
typedef struct {
    uint64_t memory; /* bytes of all its memories; default 4 GiB */
    uint64_t table;  /* elements of all its tables; default 10^7 */
    uint64_t heap;   /* bytes of GC objects; default 1 GiB */
    uint64_t stack;  /* bytes of guest stack; default 1 MiB */
    uint64_t fuel;   /* instructions; default UINT64_MAX: not metered */
} chi_limits;
CHI_API chi_limits chi_limits_default(void);

/* How a store runs its code.  What is left 0 is as the environment says, when
 * the first store is made, in CHIASM_TIER (auto, interp, baseline),
 * CHIASM_SIGNALS (0, 1), CHIASM_MEMORY (auto, wide, dense, explicit); else the
 * best that the process allows. */
typedef enum { CHI_TIER_AUTO, CHI_TIER_INTERP, CHI_TIER_BASELINE } chi_tier;
typedef enum {
    CHI_FORM_AUTO,
    CHI_FORM_WIDE,    /* 38 GiB of address space for a memory, no checks */
    CHI_FORM_DENSE,   /* 8 GiB */
    CHI_FORM_EXPLICIT /* no more than there is, every access is checked */
} chi_form;
typedef enum { CHI_UNSAID, CHI_YES, CHI_NO } chi_choice;
typedef struct {
    chi_tier tier; /* CHI_TIER_AUTO: the interpreter if there is no other */
    chi_form form;
    chi_choice signals; /* CHI_NO: machine code checks all, and never faults */
    uint8_t registers;  /* for tests: 4, registers for operands; 0: all */
} chi_config;
/* Only before anything is in the store.  Fails with CHI_UNSUPPORTED if a tier
 * is asked for that this process may not have. */
CHI_API bool chi_store_configure(chi_store *s, const chi_config *c,
                                 chi_error *err);
/* What came of it: never CHI_TIER_AUTO, nor CHI_UNSAID. */
CHI_API chi_tier chi_store_tier(const chi_store *s);
CHI_API chi_choice chi_store_signals(const chi_store *s);
/* May this process run machine code?  Else *why, which may be NULL, says what
 * the system refuses. */
CHI_API bool chi_native_available(const char **why);
/* Is the interpreter what runs where nobody has chosen, for want of better?
 * Then *why, as above. */
CHI_API bool chi_native_missed(const char **why);
/* Machine code leaves bounds of memories to a handler of SIGSEGV and SIGBUS,
 * which passes on what is not its own.  Who sets handlers of these signals
 * after that calls this, false before and true behind, so that it stays on
 * top; nothing happens where the handler is not in use. */
CHI_API void chi_signals(bool on);

/* Compiles all of a module to machine code and writes it to a file, with the
 * module in it, for this build on this machine.
 *
 *   errors   CHI_UNSUPPORTED, CHI_ARGUMENT (the file cannot be written)
 */
CHI_API bool chi_module_compile(chi_module *m, const char *path,
                                chi_error *err);
/* The module of such a file, which must be this user's and writable by nobody
 * else; its code is used where it fits, and made anew where not. */
CHI_API chi_module *chi_module_open(const char *path, chi_features features,
                                    chi_error *err);
/* Compiled code is kept in a folder: CHIASM_CACHE, or chiasm in XDG_CACHE_HOME
 * or ~/.cache; CHIASM_CACHE=0: nowhere, and this is NULL. */
CHI_API const char *chi_cache_folder(void);
CHI_API uint64_t chi_cache_size(void); /* bytes */
CHI_API void chi_cache_clear(void);

/* Called on the guest's thread, at the next function entry or loop turn after
 * chi_store_interrupt or a tick.  CHI_OK goes on; anything else ends the
 * outermost call with that code, past all guest handlers. */
typedef chi_code chi_interrupt_fn(void *env, chi_store *store);
/* Called once for each host pointer (of chi_func_new, chi_host_new) when
 * nothing in the store refers to it any more; never while guest code runs. */
typedef void chi_release_fn(void *env, void *host);

/* A store is counted: by its creator, and by everything counted in it. */
CHI_API chi_store *chi_store_new(const chi_limits *limits); /* NULL: default */
CHI_API chi_store *chi_store_ref(chi_store *s);
CHI_API void chi_store_free(chi_store *s);
CHI_API void chi_store_set_host(chi_store *s, void *env,
                                chi_interrupt_fn *interrupt,
                                chi_release_fn *release);
CHI_API void *chi_store_host(const chi_store *s); /* that env */
/* While calls that may run long are inside, the interrupt handler is called
 * about every `ns` nanoseconds; 0: never. */
CHI_API void chi_store_set_tick(chi_store *s, uint64_t ns);

/* Moves all of b into a; b then stands for a.  a's limits and host callbacks
 * hold from then on.  Instances keep the tier that they run by: if a has none,
 * and its tier was not asked for by chi_store_configure, a takes b's.  Fails
 * with CHI_BUSY if either runs, with CHI_LINK if both have a tier to keep, or a
 * use of signals, and these differ. */
CHI_API bool chi_store_merge(chi_store *a, chi_store *b, chi_error *err);
/* The store that s stands for: itself unless merged. */
CHI_API chi_store *chi_store_target(chi_store *s);

/* From any thread or a signal handler. */
CHI_API void chi_store_interrupt(chi_store *s);
/* For host functions that wait or work for long, every few milliseconds: runs
 * the interrupt handler if it is due.  What is not CHI_OK they must return. */
CHI_API chi_code chi_store_poll(chi_store *s);
/* Is guest code of the store on some thread's stack? */
CHI_API bool chi_store_is_running(const chi_store *s);
/* Is it on this thread's stack? */
CHI_API bool chi_store_is_mine(const chi_store *s);
/* Waits until no other thread is inside, at most ns; true: it is free. */
CHI_API bool chi_store_wait(chi_store *s, uint64_t ns);
/* Frees what cannot be reached. */
CHI_API void chi_store_collect(chi_store *s);
/* For a host with a collector of its own: what alone keeps each host pointer
 * that something in the store reaches.  The owner is an instance, or the
 * pointer of another external, that has exactly one reference from outside, and
 * no other way leads to the host pointer; NULL: several do, or none is known.
 * Who has the reference on an instance is presumed to have, too, what it was
 * given as imports; who has one on a table or global, the instance that defines
 * it.  Told twice with different owners, a host pointer has none.
 *
 *   returns  false, with nothing told: somebody is inside, or it would take
 *            longer than a few milliseconds
 */
typedef void chi_owner_fn(void *env, void *host, const void *owner);
CHI_API bool chi_store_owners(chi_store *s, chi_owner_fn *tell, void *env);
/* As they are now: with the fuel that is left. */
CHI_API chi_limits chi_store_limits(const chi_store *s);
CHI_API uint64_t chi_store_fuel(const chi_store *s);
CHI_API void chi_store_set_fuel(chi_store *s, uint64_t fuel);

typedef struct {
    uint32_t instances, funcs, memories, tables, globals, tags;
    uint64_t heap_bytes, memory_bytes;
} chi_usage;
CHI_API chi_usage chi_store_usage(const chi_store *s);

/* A frame of guest code, innermost first, as it stood at the last failure. */
typedef struct {
    chi_instance *instance; /* borrowed: valid until the next call */
    const chi_module *module;
    uint32_t function; /* index */
    uint32_t offset;   /* of the instruction, in the module's bytes */
} chi_frame;
CHI_API uint32_t chi_store_n_frames(const chi_store *s); /* at most 64 kept */
CHI_API uint32_t chi_store_depth(const chi_store *s);    /* frames there were */
CHI_API void chi_store_frame(const chi_store *s, uint32_t i, chi_frame *out);

/* ------------------------------------------------------------- externals */

/* One of the five kinds of imports and exports. */
typedef struct {
    chi_kind kind;
    union {
        chi_func *func;
        chi_table *table;
        chi_memory *memory;
        chi_global *global;
        chi_tag *tag;
        void *any;
    };
} chi_extern;

/* References on what lives in a store; each counts for the store, too. */
CHI_API void chi_extern_ref(chi_extern x);
CHI_API void chi_extern_free(chi_extern x);
CHI_API chi_store *chi_extern_store(chi_extern x);
CHI_API void chi_extern_type(chi_extern x, chi_externtype *out);
/* Are two externals one and the same? */
CHI_API bool chi_extern_same(chi_extern a, chi_extern b);

/* A host function: reads its arguments from slots, and writes its results there
 * when it has nothing left to call.
 * CHI_OK, or CHI_HOST, or what chi_throw returned, or a trap's code. */
typedef chi_code chi_host_fn(void *host, chi_store *store, uint64_t *slots);
CHI_API chi_func *chi_func_new(chi_store *s, const chi_type *params,
                               uint32_t n_params, const chi_type *results,
                               uint32_t n_results, chi_host_fn *fn, void *host,
                               chi_error *err);
/* The same for import i of m, with exactly the type that m declares there: one
 * of a recursive group, or an open one, has no other spelling. */
CHI_API chi_func *chi_func_for_import(chi_store *s, const chi_module *m,
                                      uint32_t i, chi_host_fn *fn, void *host,
                                      chi_error *err);
/* The memory that the pointers given to a host function are into: that of the
 * module that calls it, exported as "memory", or else its first.  NULL: it has
 * none, or no guest calls.  Borrowed, for the duration of the call. */
CHI_API chi_memory *chi_caller_memory(chi_store *s);
CHI_API chi_functype chi_func_type(const chi_func *f);
/* The module and index it was defined by; NULL of a host function, whose host
 * pointer is in *host then. */
CHI_API chi_instance *chi_func_instance(const chi_func *f);
CHI_API uint32_t chi_func_index(const chi_func *f);
CHI_API void *chi_func_host(const chi_func *f);
/* May it run long (has loops, calls, bulk or waiting instructions)? */
CHI_API bool chi_func_may_run_long(const chi_func *f);

/* Calls: slots hold the arguments and then the results, so their number is
 * the larger of both.  On failure err (may be NULL) is filled in. */
CHI_API chi_code chi_call(chi_func *f, uint64_t *slots, chi_error *err);
/* The same for functions that are called often, once looked up: fast(f, slots),
 * and of a code that is not CHI_OK chi_func_failed fills in err.  For embedders
 * that let one thread at a time into a store by a lock of their own (which may
 * be let go while a call is inside): entering then needs none. */
typedef chi_code chi_fast_fn(chi_func *f, uint64_t *slots);
CHI_API chi_fast_fn *chi_func_fast(chi_func *f);
CHI_API chi_code chi_func_failed(chi_func *f, chi_code code, chi_error *err);

/* Stays inside around calls, until the words of their results are dealt with.
 * Until chi_leave no other thread gets in, and what the n slots (zero at first)
 * refer to lives, whatever runs here.  Entries nest; each is left by its
 * thread.
 *
 *   returns  the entry, and the slots; or NULL
 *   errors   CHI_BUSY, CHI_STACK, CHI_MEMORY
 *   cost     as the entry of a call
 */
typedef struct chi_entry chi_entry;
CHI_API chi_entry *chi_enter(chi_store *s, uint32_t n, uint64_t **slots,
                             chi_error *err);
CHI_API void chi_leave(chi_entry *e);

CHI_API chi_memory *chi_memory_new(chi_store *s, const chi_externtype *type,
                                   chi_error *err);
/* Another store's view of a shared memory; or of the same store's. */
CHI_API chi_memory *chi_memory_share(chi_store *s, chi_memory *shared);
/* The base moves only in chi_memory_grow, and not while pinned. */
CHI_API uint8_t *chi_memory_data(const chi_memory *m, size_t *bytes);
CHI_API uint64_t chi_memory_pages(const chi_memory *m);
/* Adds pages; the old number of pages, or UINT64_MAX if refused. */
CHI_API uint64_t chi_memory_grow(chi_memory *m, uint64_t pages);
CHI_API void chi_memory_pin(chi_memory *m);
CHI_API void chi_memory_unpin(chi_memory *m);

CHI_API chi_table *chi_table_new(chi_store *s, const chi_externtype *type,
                                 uint64_t init, chi_error *err);
CHI_API uint64_t chi_table_size(const chi_table *t);
CHI_API bool chi_table_get(const chi_table *t, uint64_t i, uint64_t *word);
CHI_API bool chi_table_set(chi_table *t, uint64_t i, uint64_t word);
/* The old size, or UINT64_MAX if refused. */
CHI_API uint64_t chi_table_grow(chi_table *t, uint64_t by, uint64_t init);

CHI_API chi_global *chi_global_new(chi_store *s, chi_type type, bool mutable_,
                                   const uint64_t *slots, chi_error *err);
CHI_API void chi_global_get(const chi_global *g, uint64_t *slots);
CHI_API void chi_global_set(chi_global *g, const uint64_t *slots);

CHI_API chi_tag *chi_tag_new(chi_store *s, const chi_type *params,
                             uint32_t n_params, chi_error *err);
/* Equal exactly for one and the same tag, in whatever stores. */
CHI_API const void *chi_tag_identity(const chi_tag *tag);
/* The same tag, for use in another store. */
CHI_API chi_tag *chi_tag_share(chi_store *s, chi_tag *tag);

/* ------------------------------------------------------------- instances */

/* Does x fit import i?  If not, `why` (may be NULL) is what is wanted and
 * what is given. */
CHI_API bool chi_import_matches(const chi_module *m, uint32_t i, chi_extern x,
                                char *why, size_t size);

/* Instantiates; runs active segments and the start function.
 *
 *   imports  one for each import of m, all of this store
 *   returns  a new reference, or NULL
 *   errors   CHI_LINK, CHI_MEMORY, CHI_LIMIT; any trap or way out of the guest
 *   see      WebAssembly 3.0, 4.7.2 (instantiation)
 */
CHI_API chi_instance *chi_instance_new(chi_store *s, chi_module *m,
                                       const chi_extern *imports,
                                       chi_error *err);
CHI_API chi_instance *chi_instance_ref(chi_instance *i);
CHI_API void chi_instance_free(chi_instance *i);
CHI_API chi_module *chi_instance_module(const chi_instance *i);
CHI_API chi_store *chi_instance_store(const chi_instance *i);
/* Export number e of its module; borrowed. */
CHI_API chi_extern chi_instance_export(chi_instance *i, uint32_t e);

/* ------------------------------------------------------------ references */

/* Keeps what a word refers to alive, whatever runs. */
typedef struct chi_root chi_root;
CHI_API chi_root *chi_root_new(chi_store *s, chi_type type, uint64_t word);
CHI_API uint64_t chi_root_word(const chi_root *r);
CHI_API chi_store *chi_root_store(const chi_root *r);
CHI_API void chi_root_free(chi_root *r);

/* What a word of the any, extern or exn hierarchy is.  Words of the func
 * hierarchy are chi_func pointers: (chi_func *)(uintptr_t)word. */
typedef enum {
    CHI_IS_NULL,
    CHI_IS_I31,
    CHI_IS_STRUCT,
    CHI_IS_ARRAY,
    CHI_IS_HOST,
    CHI_IS_EXN
} chi_is;
CHI_API chi_is chi_word_is(uint64_t word);
/* Does the word have this type?  (ref.test, WebAssembly 3.0, 4.6.5) */
CHI_API bool chi_word_matches(uint64_t word, chi_type type);

static inline uint64_t chi_i31_word(int32_t value) /* the low 31 bits */
{
    return ((uint64_t)(uint32_t)value << 1 & 0xffffffffu) | 1;
}
static inline int32_t chi_i31_value(uint64_t word)
{
    return (int32_t)(uint32_t)word >> 1;
}

/* A word for a host pointer, of type externref (or internalised, anyref).
 * 0: the heap's limit is reached. */
CHI_API uint64_t chi_host_word(chi_store *s, void *host);
CHI_API void *chi_word_host(uint64_t word);

typedef struct {
    chi_type type; /* CHI_I8 and CHI_I16 are packed */
    bool mutable_;
} chi_field;
/* Of a struct or an array (1 field). */
CHI_API uint32_t chi_word_type_id(uint64_t word);
CHI_API uint32_t chi_word_n_fields(uint64_t word);
CHI_API chi_field chi_word_field(uint64_t word, uint32_t field);
/* The name that m's name section gives a field of the struct, or NULL. */
CHI_API const char *chi_word_field_name(const chi_module *m, uint64_t word,
                                        uint32_t field, uint32_t *len);
/* Fields of a struct.  Packed ones read sign-extended. */
CHI_API void chi_struct_get(uint64_t word, uint32_t field, uint64_t *slots);
CHI_API void chi_struct_set(uint64_t word, uint32_t field,
                            const uint64_t *slots);
CHI_API uint32_t chi_array_len(uint64_t word);
CHI_API bool chi_array_get(uint64_t word, uint32_t i, uint64_t *slots);
CHI_API bool chi_array_set(uint64_t word, uint32_t i, const uint64_t *slots);
/* The elements in memory; bytes each by their type. */
CHI_API void *chi_array_data(uint64_t word, size_t *bytes);

/* Exceptions.  chi_throw makes one, leaves it in the store and returns
 * CHI_EXCEPTION (or CHI_HEAP_LIMIT), for a host function to return. */
CHI_API chi_code chi_throw(chi_store *s, chi_tag *tag, const uint64_t *slots);
CHI_API chi_code chi_rethrow(chi_store *s, uint64_t exn_word);
/* The exception that the last CHI_EXCEPTION left behind; 0 if none. */
CHI_API uint64_t chi_store_exception(chi_store *s);
CHI_API bool chi_exn_has_tag(uint64_t exn_word, const chi_tag *tag);
/* The tag, as one of this store: a new reference. */
CHI_API chi_tag *chi_exn_tag(chi_store *s, uint64_t exn_word);
CHI_API const uint64_t *chi_exn_slots(uint64_t exn_word);

#ifdef __cplusplus
}
#endif

#endif
