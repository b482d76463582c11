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
    const Handler *end = f->handlers + f->n_handlers;
    for (const Handler *h = f->handlers; h < end; h++) {
        if (!takes(h, at, i, exn))
            continue;
        if (h->kind != HANDLER_DELEGATE)
            return h;
        at = h->pc;
    }
    return NULL;
}
