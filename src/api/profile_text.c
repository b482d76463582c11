/* A profile as a file of speedscope: speedscope.app/file-format-schema.json */
#include <stdlib.h>

#include "api/api.h"
#include "native/native.h"
#include "native/profile.h"
#include "wasm/dwarf.h"

bool chi_profile_start(uint64_t period_ns, chi_error *err)
{
    Error e = {0};
    const char *why;
    api_init();
    if (!native_available(&why))
        error_set(&e, ERR_UNSUPPORTED, ERROR_NO_OFFSET,
                  "no machine code can run here: %s", why);
    else if (profile_start(period_ns, &e))
        return true;
    api_error(err, &e);
    return false;
}

/* ---- JSON */

/* names are valid UTF-8 */
static void put_string(Writer *w, const char *bytes, size_t len)
{
    writer_byte(w, '"');
    for (size_t k = 0; k < len; k++) {
        uint8_t c = (uint8_t)bytes[k];
        if (c < 0x20 || c == 0x7f)
            writer_printf(w, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            writer_printf(w, "\\%c", c);
        else
            writer_byte(w, c);
    }
    writer_byte(w, '"');
}

/* ---- frames: one for each function, whatever called it */

typedef struct {
    const Profile *p;
    uint32_t *frames; /* by node */
    uint32_t *order;  /* nodes, by function */
    uint32_t n_frames;
} Frames;

/* For the comparison alone. */
static const ProfileNode *sorted_nodes;

static int compare_nodes(const void *a, const void *b)
{
    const ProfileNode *x = &sorted_nodes[*(const uint32_t *)a];
    const ProfileNode *y = &sorted_nodes[*(const uint32_t *)b];
    uintptr_t f = (uintptr_t)x->func, g = (uintptr_t)y->func;
    return f < g ? -1 : f > g;
}

static void put_frame(const ProfileNode *n, Writer *w)
{
    char buf[16];
    Source s;
    if (!n->func) {
        writer_text(w, "{\"name\":\"[host]\"}");
        return;
    }
    Name name = names_of_function(n->module, n->func->index, buf);
    Name module = names_get(n->module, NAMES_MODULE, 0);
    Writer whole = {0};
    writer_bytes(&whole, module.bytes, module.len);
    writer_text(&whole, module.len ? "." : "");
    writer_text(&whole, *name.bytes == '$' ? "" : "$");
    writer_bytes(&whole, name.bytes, name.len);
    writer_text(w, "{\"name\":");
    put_string(w, (char *)whole.data, whole.len);
    writer_free(&whole);
    if (dwarf_function(n->module, n->func, &s)) {
        writer_text(w, ",\"file\":");
        put_string(w, s.file, strlen(s.file));
        writer_printf(w, ",\"line\":%u", s.line);
    }
    writer_text(w, "}");
}

static bool put_frames(Frames *f, Writer *w)
{
    const Profile *p = f->p;
    f->frames = calloc(p->n_nodes + 1u, sizeof *f->frames);
    f->order = calloc(p->n_nodes + 1u, sizeof *f->order);
    if (!f->frames || !f->order)
        return false;
    for (uint32_t k = 1; k < p->n_nodes; k++)
        f->order[k - 1] = k;
    os_mutex_lock(os_global_lock());
    sorted_nodes = p->nodes;
    if (p->n_nodes > 1)
        qsort(f->order, p->n_nodes - 1, sizeof *f->order, compare_nodes);
    os_mutex_unlock(os_global_lock());
    const ProfileNode *last = NULL;
    for (uint32_t k = 0; k + 1 < p->n_nodes; k++) {
        const ProfileNode *n = &p->nodes[f->order[k]];
        if (!last || last->func != n->func) {
            writer_text(w, last ? ",\n  " : "\n  ");
            put_frame(n, w);
            f->n_frames++;
        }
        f->frames[f->order[k]] = f->n_frames - 1;
        last = n;
    }
    return true;
}

/* ---- samples: from the outermost in */

static void put_stack(const Frames *f, uint32_t node, Writer *w)
{
    enum { DEEPEST = 1024 };
    uint32_t stack[DEEPEST], n = 0;
    for (; node && n < DEEPEST; node = f->p->nodes[node].parent)
        stack[n++] = f->frames[node];
    writer_byte(w, '[');
    while (n > 0)
        writer_printf(w, n == 1 ? "%u" : "%u,", stack[n - 1]), n--;
    writer_byte(w, ']');
}

static void put_samples(const Frames *f, Writer *w)
{
    const Profile *p = f->p;
    uint64_t total = 0;
    for (uint32_t k = 0; k < p->n_samples; k++)
        total += p->samples[k].us;
    writer_printf(w,
                  " \"profiles\":[{\"type\":\"sampled\",\"name\":\"CPU time of "
                  "the guest\",\"unit\":\"microseconds\",\"startValue\":0,"
                  "\"endValue\":%llu,\n  \"samples\":[",
                  (unsigned long long)total);
    for (uint32_t k = 0; k < p->n_samples; k++) {
        writer_text(w, k ? ",\n   " : "\n   ");
        put_stack(f, p->samples[k].node, w);
    }
    writer_text(w, "],\n  \"weights\":[");
    for (uint32_t k = 0; k < p->n_samples; k++)
        writer_printf(w, k ? ",%u" : "%u", p->samples[k].us);
    writer_text(w, "]}]");
}

char *chi_profile_stop(uint32_t *n_looks, size_t *len)
{
    Profile p;
    profile_stop(&p);
    *n_looks = p.n_looks;
    Frames f = {.p = &p};
    Writer w = {0};
    writer_printf(&w,
                  "{\"$schema\":\"https://www.speedscope.app/"
                  "file-format-schema.json\",\n \"exporter\":\"chiasm %s\",\n"
                  " \"shared\":{\"frames\":[",
                  chi_version());
    bool ok = put_frames(&f, &w);
    writer_text(&w, "]},\n");
    if (ok)
        put_samples(&f, &w);
    writer_text(&w, "}\n");
    free(f.frames);
    free(f.order);
    profile_free(&p);
    if (ok)
        return api_take_text(&w, len);
    writer_free(&w);
    return NULL;
}
