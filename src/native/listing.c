#include "native/listing.h"

#include <stdlib.h>
#include <string.h>

#include "target/x64/cpu.h"

static MemoryForm form_of(const Module *m, MemoryForm best)
{
    if (m->n_memories == 0)
        return MEMORY_EXPLICIT;
    const MemoryType *t = &m->memories[0];
    return t->limits.is64 || t->page_log2 != 16 ? MEMORY_EXPLICIT : best;
}

static bool copy_out(const BaselineCode *code, Listing *out)
{
    out->bytes = malloc(code->size + 1);
    out->marks = malloc((code->n_marks + 1) * sizeof *out->marks);
    if (!out->bytes || !out->marks) {
        listing_free(out);
        return false;
    }
    memcpy(out->bytes, code->bytes, code->size);
    memcpy(out->marks, code->marks, code->n_marks * sizeof *out->marks);
    out->size = code->size;
    out->n_marks = code->n_marks;
    return true;
}

bool listing_make(const Module *m, const Func *f, MemoryForm best,
                  uint8_t registers, Listing *out, Error *err)
{
    BaselineConfig config = {
        .memory0 = form_of(m, best),
        .cpu = cpu_detect(),
        .n_cache = registers,
    };
    *out = (Listing){0};
    Compiler *c = baseline_new();
    if (!c)
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
    BaselineCode code = {0};
    baseline_list(c);
    bool made = baseline_compile(c, m, f, &config, &code);
    bool copied = made && copy_out(&code, out);
    baseline_free(c);
    if (!made && code.refused)
        return error_set(err, ERR_LIMIT, code.refused_at,
                         "the access verifier refuses the code: %s",
                         code.refused);
    if (!made)
        return error_set(err, ERR_LIMIT, f->start,
                         "the function is too large to be compiled; it is "
                         "interpreted");
    return copied
           || error_set(err, ERR_MEMORY, ERROR_NO_OFFSET, "out of memory");
}

void listing_free(Listing *l)
{
    free(l->bytes);
    free(l->marks);
    *l = (Listing){0};
}
