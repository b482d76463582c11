/* chiasm_tools.h - text, scripts and dumps.
 *
 * What the chiasm command and the Python package need beyond running modules.
 * Conventions as in chiasm.h.  Text that a function gives is allocated; free
 * it with chi_text_free.
 */
#ifndef CHIASM_TOOLS_H
#define CHIASM_TOOLS_H

#include "chiasm.h"

#ifdef __cplusplus
extern "C" {
#endif

CHI_API void chi_text_free(void *text);

/* WAT -> the binary format.
 *
 *   text, len  UTF-8
 *   returns    the bytes (chi_text_free), or NULL with line and column
 *   errors     CHI_SYNTAX, CHI_LIMIT.  Does not validate.
 *   see        WebAssembly 3.0, 6
 */
CHI_API uint8_t *chi_text_parse(const char *text, size_t len,
                                chi_features features, size_t *out_len,
                                chi_error *err);
/* The same, then chi_module_new; errors have line and column. */
CHI_API chi_module *chi_module_from_text(const char *text, size_t len,
                                         chi_features features, chi_error *err);
/* chi_module_check for text. */
CHI_API void chi_text_check(const char *text, size_t len, chi_features features,
                            chi_report_fn *report, void *env);

/* "file:line:col: error: message", the source line and a caret; for a binary
 * (text NULL) "file:0x12: error: ..." and the instruction. */
CHI_API char *chi_error_show(const chi_error *err, const char *file,
                             const char *text, size_t len, bool color);

enum { CHI_PRINT_FOLD = 1, CHI_PRINT_NO_NAMES = 2 };
/* Binary -> WAT, NUL-terminated. */
CHI_API char *chi_module_print(const chi_module *m, unsigned flags,
                               size_t *len);
/* One line per import and export, types in WAT. */
CHI_API char *chi_module_interface(const chi_module *m, size_t *len);
/* "(func (param i32) (result i32))", "(memory 1 2)", ... */
CHI_API int chi_externtype_print(const chi_externtype *t, const chi_module *m,
                                 char *out, size_t size);

enum {
    CHI_DUMP_SECTIONS = 1,
    CHI_DUMP_CODE = 2,
    CHI_DUMP_BYTES = 4,
    CHI_DUMP_SIZES = 8
};
/* Offsets, bytes and instructions, for people. */
CHI_API char *chi_module_dump(const chi_module *m, unsigned what, size_t *len);

/* Machine code of a function, as a store so configured has it, to be read. */
typedef struct {
    uint32_t code;   /* offset in the code */
    uint32_t offset; /* in the module, of the instruction that the code from
                        there on is of; parts aside come at the end, again */
    bool data;       /* it is no code */
} chi_native_part;
typedef struct {
    uint32_t func, size;
    uint8_t *bytes;         /* x86-64 */
    chi_native_part *parts; /* by code; before the first, the prologue */
    uint32_t n_parts;
    uint32_t base; /* number of the first byte in text; for the caller */
} chi_native;
/*   c        NULL: as it is by default; the environment has no say
 *   errors   CHI_LIMIT: it is left to the interpreter; CHI_ARGUMENT
 *   cost     one compilation
 */
CHI_API bool chi_module_native(const chi_module *m, uint32_t func,
                               const chi_config *c, chi_native *out,
                               chi_error *err);
CHI_API void chi_native_free(chi_native *n);
/* What a disassembler says of the machine instruction at an offset. */
typedef struct {
    uint32_t code;
    const char *text;
} chi_native_line;
/* The code with WAT between.  Lines are by code; where there are none, bytes
 * alone are shown. */
CHI_API char *chi_native_print(const chi_module *m, const chi_native *n,
                               const chi_native_line *lines, uint32_t n_lines,
                               size_t *len);

/* From now on looks about every `period_ns` which guest functions run on this
 * thread, and for how much CPU time, until chi_profile_stop; one profile at a time.  Sees
 * machine code; interpreted functions count as the host's.  Uses SIGPROF. */
CHI_API bool chi_profile_start(uint64_t period_ns, chi_error *err);
/* The profile as a file for speedscope.app, NUL-terminated; *n_looks is how
 * often it looked.  On the same thread.  NULL: no memory. */
CHI_API char *chi_profile_stop(uint32_t *n_looks, size_t *len);

/* The module without its custom sections, all or (keep_names) but names. */
CHI_API uint8_t *chi_module_strip(const chi_module *m, bool keep_names,
                                  size_t *len);

/* Runs a specification script. Each failure is reported by one line, with the
 * place.  See the interpreter's script format of the specification. */
typedef struct {
    uint32_t passed, failed;
} chi_script_result;
typedef void chi_line_fn(void *env, const char *line);
CHI_API chi_script_result chi_script_run(const char *text, size_t len,
                                         const char *file,
                                         chi_features features,
                                         chi_line_fn *line, void *env);

/* The table of instructions: i from 0; false past the last. */
typedef struct {
    const char *text, *feature, *immediates;
    uint32_t code; /* prefix * 0x1000 + number */
} chi_opinfo;
CHI_API bool chi_op(uint32_t i, chi_opinfo *out);

#ifdef __cplusplus
}
#endif

#endif
