#include "runtime/unwind.h"

static bool takes(const Handler *h, uint32_t at, const Instance *i,
                  const Exn *exn)
{
    if (at < h->start || at >= h->end)
        return false;
    if (h->kind == HANDLER_CATCH || h->kind == HANDLER_CATCH_REF)
        return i->tags[h->tag]->data == exn->tag;
    return true;
}

const Handler *handler_find(const Func *f, const Instance *i, uint32_t at,
                            const Exn *exn)
{
    for (uint32_t k = 0; k < f->n_handlers; k++) {
        const Handler *h = &f->handlers[k];
        if (!takes(h, at, i, exn))
            continue;
        if (h->kind != HANDLER_DELEGATE)
            return h;
        at = h->pc;
    }
    return NULL;
}
