/* The walk runs in a signal handler, at any instruction.  So it takes no lock,
 * allocates nothing, and believes nothing of what it reads: an address is read
 * only if it lies in the part of the thread's stack between the stack pointer
 * and the outermost entry.
 *
 *   interrupted in   compiled code  rbp is its frame, or its caller's in the
 *                                   first and last instructions
 *                    C              the innermost return address to compiled
 *                                   code on the stack says who called; the
 *                                   frame lies as far above as it is large
 *
 * From there on frames are linked by rbp; entries from C are linked by the
 * activations, each of which knows the frame by which it left. */
#include "native/profile.h"

#include <stdlib.h>

#include "native/internal.h"
#include "os/os.h"

enum {
    LIMIT_DEPTH = 512, /* of what is deeper, the innermost ones */
    LIMIT_NODES = 1 << 16,
    LIMIT_SAMPLES = 1 << 20,
    TABLE = 2 * LIMIT_NODES,
    SCAN_BYTES = 32 << 10
};

typedef struct {
    const NativeCode *code; /* NULL: the host */
    uint32_t parent;
} Node;

static struct {
    _Atomic bool runs;
    const Thread *thread;
    Node *nodes;
    uint32_t *table; /* hash of (parent, code) -> node, 0: free */
    ProfileSample *samples;
    uint32_t n_nodes, n_samples, n_looks;
} profile;

/* ---- the stack */

typedef struct {
    uintptr_t low, high; /* what may be read */
    const NativeCode *codes[LIMIT_DEPTH];
    uint32_t n; /* innermost first */
} Stack;

static uintptr_t word(uintptr_t at) { return *(const uintptr_t *)at; }

static bool may_read(const Stack *s, uintptr_t at)
{
    return at >= s->low && at + 2 * sizeof(uintptr_t) <= s->high
           && at % sizeof(uintptr_t) == 0;
}

static void add(Stack *s, const NativeCode *code)
{
    if (s->n < LIMIT_DEPTH && (!code || code->func))
        s->codes[s->n++] = code;
}

/* pc: a return address, whose frame is fp; up to the entry's frame. */
static void walk(Stack *s, uintptr_t pc, uintptr_t fp, uintptr_t end)
{
    const NativeCode *code;
    while (s->n < LIMIT_DEPTH && (code = native_find(pc - 1))) {
        add(s, code);
        if (fp >= end || !may_read(s, fp) || word(fp) <= fp)
            return;
        pc = word(fp + 8);
        fp = word(fp);
    }
}

/* The last instruction, and what precedes the frame. */
enum { RET = 0xc3, RET_N = 0xc2, AFTER_PUSH = 1, FRAME_IS_MADE = 4 };

static void walk_from_code(Stack *s, const OsSample *r, const NativeCode *code,
                           uintptr_t end)
{
    uintptr_t at = r->pc - (uintptr_t)code->start;
    const uint8_t *p = (const uint8_t *)r->pc;
    if (!may_read(s, r->sp))
        return;
    add(s, code);
    if (at < AFTER_PUSH || *p == RET || *p == RET_N)
        walk(s, word(r->sp), r->fp, end);
    else if (at < FRAME_IS_MADE)
        walk(s, word(r->sp + 8), r->fp, end);
    else if (r->fp < end && may_read(s, r->fp))
        walk(s, word(r->fp + 8), word(r->fp), end);
}

/* Does a frame above `from` begin here: linked to one further up, and to be
 * returned from to compiled code? */
static bool is_frame(const Stack *s, uintptr_t fp, uintptr_t from,
                     uintptr_t end)
{
    if (fp == end)
        return true;
    return fp > from && fp < end && may_read(s, fp) && word(fp) > fp
           && word(fp) <= end && native_find(word(fp + 8) - 1);
}

/* The frame of the code that a return address at p leads to; 0: none. */
static uintptr_t frame_above(const Stack *s, uintptr_t p,
                             const NativeCode *code, uintptr_t end)
{
    uintptr_t fp = p + 8 + (uintptr_t)code->frame;
    if (code->func && is_frame(s, fp, p, end))
        return fp;
    for (fp = p + 8; fp <= end; fp += 8)
        if (is_frame(s, fp, p, end))
            return fp;
    return 0;
}

static void walk_from_c(Stack *s, const OsSample *r, uintptr_t end)
{
    add(s, NULL);
    uintptr_t p = (r->sp + 7) & ~(uintptr_t)7;
    uintptr_t last = end - p < SCAN_BYTES ? end : p + SCAN_BYTES;
    for (; p < last && may_read(s, p); p += 8) {
        const NativeCode *code = native_find(word(p) - 1);
        uintptr_t fp = code ? frame_above(s, p, code, end) : 0;
        if (fp) {
            walk(s, word(p), fp, end);
            return;
        }
    }
}

/* ---- a sample */

/* The child of a node; the node itself when there are too many. */
static uint32_t child(uint32_t parent, const NativeCode *code)
{
    uint64_t hash =
        ((uintptr_t)code ^ parent * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    uint32_t at = (uint32_t)(hash >> 40) % TABLE;
    for (; profile.table[at]; at = (at + 1) % TABLE) {
        const Node *n = &profile.nodes[profile.table[at]];
        if (n->parent == parent && n->code == code)
            return profile.table[at];
    }
    if (profile.n_nodes == LIMIT_NODES)
        return parent;
    if (code) /* what it points to lives until profile_free */
        module_ref((Module *)(uintptr_t)native_module(code->module));
    profile.nodes[profile.n_nodes] = (Node){code, parent};
    return profile.table[at] = profile.n_nodes++;
}

static void add_sample(uint32_t node, uint64_t ns)
{
    uint32_t us = ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
    ProfileSample *last =
        profile.n_samples ? &profile.samples[profile.n_samples - 1] : NULL;
    profile.n_looks++;
    if (last && last->us <= UINT32_MAX - us
        && (last->node == node || profile.n_samples == LIMIT_SAMPLES))
        last->us += us;
    else if (profile.n_samples < LIMIT_SAMPLES)
        profile.samples[profile.n_samples++] = (ProfileSample){node, us};
}

static void look(const OsSample *r)
{
    static Stack s; /* the handler is not interrupted by itself */
    const Activation *a = profile.thread->top;
    s.low = r->sp;
    s.high = profile.thread->native_base;
    s.n = 0;
    bool inside = a && r->sp < s.high;
    const NativeCode *code = inside ? native_find(r->pc) : NULL;
    bool sane = inside && a->native_fp > r->sp && may_read(&s, a->native_fp);
    if (sane && code)
        walk_from_code(&s, r, code, a->native_fp);
    else if (sane)
        walk_from_c(&s, r, a->native_fp);
    else
        add(&s, NULL);
    for (a = inside ? a->previous : NULL; a; a = a->previous)
        if (may_read(&s, a->native_exit))
            walk(&s, word(a->native_exit + 8), word(a->native_exit),
                 a->native_fp);
    uint32_t node = 0;
    while (s.n > 0)
        node = child(node, s.codes[--s.n]);
    add_sample(node, r->cpu_ns);
}

/* ---- start, stop */

static bool reserve(void)
{
    profile.nodes = calloc(LIMIT_NODES, sizeof *profile.nodes);
    profile.table = calloc(TABLE, sizeof *profile.table);
    profile.samples = calloc(LIMIT_SAMPLES, sizeof *profile.samples);
    profile.n_nodes = 1;
    profile.n_samples = profile.n_looks = 0;
    profile.thread = thread_current();
    return profile.nodes && profile.table && profile.samples && profile.thread;
}

static void give_up(void)
{
    free(profile.nodes);
    free(profile.table);
    free(profile.samples);
    atomic_store(&profile.runs, false);
}

bool profile_start(uint64_t period_ns, Error *err)
{
    if (atomic_exchange(&profile.runs, true))
        return error_set(err, ERR_BUSY, ERROR_NO_OFFSET,
                         "another profile is running");
    if (!reserve()) {
        give_up();
        return error_set(err, ERR_MEMORY, ERROR_NO_OFFSET,
                         "no memory for a profile");
    }
    if (os_sample_start(period_ns, look))
        return true;
    give_up();
    return error_set(err, ERR_UNSUPPORTED, ERROR_NO_OFFSET,
                     "the system gives no timer for a profile");
}

void profile_stop(Profile *out)
{
    os_sample_stop();
    *out = (Profile){
        .nodes = calloc(profile.n_nodes, sizeof *out->nodes),
        .n_nodes = profile.n_nodes,
        .samples = profile.samples,
        .n_samples = profile.n_samples,
        .n_looks = profile.n_looks,
    };
    profile.samples = NULL;
    for (uint32_t k = 1; out->nodes && k < out->n_nodes; k++) {
        const NativeCode *code = profile.nodes[k].code;
        out->nodes[k].parent = profile.nodes[k].parent;
        out->nodes[k].func = code ? code->func : NULL;
        out->nodes[k].module = code ? native_module(code->module) : NULL;
    }
    if (!out->nodes)
        out->n_nodes = out->n_samples = 0;
    give_up();
}

void profile_free(Profile *p)
{
    for (uint32_t k = 1; k < p->n_nodes; k++)
        module_free((Module *)(uintptr_t)p->nodes[k].module);
    free(p->nodes);
    free(p->samples);
    *p = (Profile){0};
}
