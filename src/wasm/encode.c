#include "wasm/encode.h"

static bool is_names(const CustomSection *c)
{
    return c->name.len == 4 && memcmp(c->name.bytes, "name", 4) == 0;
}

void encode_stripped(const Module *m, bool keep_names, Writer *out)
{
    const CustomSection *custom = m->customs;
    writer_bytes(out, m->bytes, 8);
    for (uint32_t i = 0; i < m->n_sections; i++) {
        const SectionInfo *s = &m->sections[i];
        bool keep = s->id != 0;
        if (s->id == 0)
            keep = is_names(custom++) && keep_names;
        if (keep)
            writer_bytes(out, m->bytes + s->offset,
                         s->start + s->len - s->offset);
    }
}
