#include "base/error.h"

#include <stdio.h>

static const char *const texts[ERR_COUNT] = {
#define ERR(NAME, CLASS, TEXT) TEXT,
#include "base/error.def"
#undef ERR
};

const char *error_text(ErrorCode code)
{
    return (unsigned)code < ERR_COUNT ? texts[code] : "unknown error";
}

bool error_set_va(Error *err, ErrorCode code, uint64_t offset,
                  const char *format, va_list args)
{
    if (err->code != ERR_OK)
        return false;
    err->code = code;
    err->offset = offset;
    err->line = err->column = 0;
    err->function = ERROR_NO_FUNCTION;
    vsnprintf(err->message, sizeof err->message, format, args);
    return false;
}

bool error_set(Error *err, ErrorCode code, uint64_t offset, const char *format,
               ...)
{
    va_list args;
    va_start(args, format);
    error_set_va(err, code, offset, format, args);
    va_end(args);
    return false;
}
