/* Text in, errors and the table of instructions at the public border. */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "base/writer.h"
#include "text/parse.h"

void chi_text_free(void *text) { free(text); }

uint8_t *chi_text_parse(const char *text, size_t len, chi_features features,
                        size_t *out_len, chi_error *err)
{
    Error e = {0};
    TextModule t;
    if (!text_parse(text, len, features, &t, &e)) {
        api_error(err, &e);
        return NULL;
    }
    uint8_t *bytes = t.bytes;
    *out_len = t.len;
    t.bytes = NULL;
    text_free(&t);
    return bytes;
}

chi_module *chi_module_from_text(const char *text, size_t len,
                                 chi_features features, chi_error *err)
{
    api_init();
    Error e = {0};
    TextModule t;
    Module *m = NULL;
    if (text_parse(text, len, features, &t, &e)) {
        m = module_new(t.bytes, t.len, features, &e);
        if (!m)
            text_locate_error(&t, &e);
        text_free(&t);
    }
    if (!m)
        api_error(err, &e);
    return (chi_module *)m;
}

typedef struct {
    chi_report_fn *report;
    void *env;
    const TextModule *text;
} TextReporter;

static void report_located(void *env, const Error *from)
{
    TextReporter *r = env;
    Error e = *from;
    chi_error err;
    text_locate_error(r->text, &e);
    api_error(&err, &e);
    r->report(r->env, &err);
}

void chi_text_check(const char *text, size_t len, chi_features features,
                    chi_report_fn *report, void *env)
{
    Error e = {0};
    TextModule t;
    if (!text_parse(text, len, features, &t, &e)) {
        chi_error err;
        api_error(&err, &e);
        report(env, &err);
        return;
    }
    TextReporter r = {report, env, &t};
    module_check(t.bytes, t.len, features, report_located, &r);
    text_free(&t);
}

char *chi_error_show(const chi_error *err, const char *file, const char *text,
                     size_t len, bool color)
{
    Error e = {.code = (ErrorCode)err->code,
               .line = err->line,
               .column = err->column,
               .function = err->function,
               .offset = err->offset};
    memcpy(e.message, err->message, sizeof e.message);
    Writer w = {0};
    if (color)
        writer_text(&w, "\033[1m");
    text_show_error(file, text, len, &e, &w);
    if (color)
        writer_text(&w, "\033[0m");
    return api_take_text(&w, NULL);
}

bool chi_op(uint32_t i, chi_opinfo *out)
{
    static const char *const immediates[] = {
#define IMM(NAME) #NAME,
#include "wasm/imm.def"
#undef IMM
    };
    if (i >= OP_COUNT)
        return false;
    const OpInfo *o = &op_info[i];
    *out = (chi_opinfo){o->text, feature_text[o->feature], immediates[o->imm],
                        o->code};
    return true;
}
