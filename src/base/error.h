/* error.h - how failures travel.
 *
 * What is the input's fault is a falsy return and an Error, a plain struct
 * owned by the caller; the first failure wins.  What is the guest's fault is
 * an ErrorCode, returned as a value.  Codes and texts live in error.def.
 */
#ifndef CHI_BASE_ERROR_H
#define CHI_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define ERR(NAME, CLASS, TEXT) ERR_##NAME,
#include "base/error.def"
#undef ERR
    ERR_COUNT
} ErrorCode;

#define ERROR_MESSAGE_SIZE 400
#define ERROR_NO_OFFSET    UINT64_MAX
#define ERROR_NO_FUNCTION  UINT32_MAX

/* Where and why the input failed.  Zero-initialise before use. */
typedef struct Error {
    ErrorCode code;
    uint32_t line, column; /* 1-based, of text; 0 in a binary */
    uint32_t function;     /* function index or ERROR_NO_FUNCTION */
    uint64_t offset;       /* byte offset or ERROR_NO_OFFSET */
    char message[ERROR_MESSAGE_SIZE];
} Error;

#ifdef __GNUC__
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#else
#define PRINTF_LIKE(f, a)
#endif

/* Records a failure unless one is recorded already.  Always returns false. */
bool error_set(Error *err, ErrorCode code, uint64_t offset, const char *format,
               ...) PRINTF_LIKE(4, 5);
bool error_set_va(Error *err, ErrorCode code, uint64_t offset,
                  const char *format, va_list args);

/* The default sentence of a code: for traps the specification's words. */
const char *error_text(ErrorCode code);

static inline bool error_is_trap(ErrorCode code)
{
    return code >= ERR_UNREACHABLE && code <= ERR_OUT_OF_FUEL;
}

#endif
