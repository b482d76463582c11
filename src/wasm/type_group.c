/* The registry of composite types: WebAssembly 3.0, 3.1.4 and 3.1.5.
 *
 * A group is kept in its rolled form in a hash table: references to its own
 * members count as positions, all others are canonical ids already, so equal
 * groups are found by comparing words.  A group holds references on the
 * groups it names; since a group can only name older ones there are no
 * cycles.
 *
 * Every id leads to its record through a table of chunks that never move, so
 * type_def takes no lock.  Adding and releasing do, for a short time; and so
 * does fork, or a child might find the lock taken by a thread it has not.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"
#include "wasm/types.h"

enum {
    FIRST_ID = 16,
    LAST_ID = 1 << 22,
    CHUNK_BITS = 10,
    CHUNK = 1 << CHUNK_BITS,
    SMALL_RANGES = 16
};

struct TypeGroup {
    TypeGroup *next; /* in its bucket, or of those that die */
    uint64_t hash;
    uint32_t refs;
    uint32_t first, n;
    TypeDef defs[]; /* then types, fields and displays */
};

typedef struct {
    _Atomic(const TypeDef *) def;
    TypeGroup *group; /* read under the lock only */
} Slot;

/* Ids given back, for groups of the same size to take. */
typedef struct FreeRange {
    struct FreeRange *next;
    uint32_t first, n;
} FreeRange;

static struct {
    atomic_flag lock;
    _Atomic bool fork_knows;
    TypeGroup **buckets;
    uint32_t n_buckets, n_groups;
    uint32_t next_id;
    FreeRange *free[SMALL_RANGES]; /* by size; the first: all that are larger */
    _Atomic(Slot *) chunks[LAST_ID / CHUNK];
} registry = {.lock = ATOMIC_FLAG_INIT, .next_id = FIRST_ID};

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&registry.lock,
                                             memory_order_acquire)) {}
}
static void unlock(void)
{
    atomic_flag_clear_explicit(&registry.lock, memory_order_release);
}

static void *allocate(size_t size)
{
    void *p = calloc(1, size);
    if (!p) {
        fprintf(stderr, "chiasm: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

const TypeDef *type_def(uint32_t id)
{
    assert(id < LAST_ID);
    Slot *chunk = atomic_load_explicit(&registry.chunks[id >> CHUNK_BITS],
                                       memory_order_acquire);
    return atomic_load_explicit(&chunk[id % CHUNK].def, memory_order_acquire);
}

/* Walks over the Types of a definition. */
static uint32_t count_types(const TypeDef *d)
{
    switch (d->kind) {
    case COMP_FUNC: return d->func.n_params + d->func.n_results;
    case COMP_STRUCT: return d->structure.n_fields;
    default: return 1;
    }
}
static Type type_at(const TypeDef *d, uint32_t i)
{
    switch (d->kind) {
    case COMP_FUNC: return d->func.types[i];
    case COMP_STRUCT: return d->structure.fields[i].type;
    default: return d->array.type;
    }
}
static bool mutable_at(const TypeDef *d, uint32_t i)
{
    switch (d->kind) {
    case COMP_FUNC: return i < d->func.n_params;
    case COMP_STRUCT: return d->structure.fields[i].mutable;
    default: return d->array.mutable;
    }
}

/* Hashing and comparing, on the rolled form. */

static uint64_t mix(uint64_t h, uint32_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* Starts from an address, so that nobody can prepare collisions. */
static uint64_t hash_group(const TypeDef *types, uint32_t n)
{
    uint64_t h = n ^ (uintptr_t)&registry;
    for (uint32_t i = 0; i < n; i++) {
        const TypeDef *d = &types[i];
        uint32_t count = count_types(d);
        h = mix(h, d->kind | (uint32_t)d->final << 8 | count << 9);
        h = mix(h, d->super);
        for (uint32_t j = 0; j < count; j++)
            h = mix(h, type_at(d, j) << 1 | mutable_at(d, j));
    }
    return h;
}

static bool is_own(const TypeGroup *g, uint32_t id)
{
    return id - g->first < g->n;
}

/* The rolled form of an id that stands in g. */
static uint32_t roll(const TypeGroup *g, uint32_t id)
{
    return is_own(g, id) ? HEAP_REC | (id - g->first) : id;
}
static Type roll_type(const TypeGroup *g, Type t)
{
    if (!type_is_concrete(t))
        return t;
    return type_ref(type_is_nullable(t), roll(g, type_heap(t)));
}

static bool same_def(const TypeGroup *g, const TypeDef *kept, const TypeDef *d)
{
    uint32_t super = kept->super == NO_TYPE ? NO_TYPE : roll(g, kept->super);
    uint32_t count = count_types(kept);
    if (kept->kind != d->kind || kept->final != d->final || super != d->super
        || count != count_types(d))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (roll_type(g, type_at(kept, i)) != type_at(d, i)
            || mutable_at(kept, i) != mutable_at(d, i))
            return false;
    return true;
}

static bool same_group(const TypeGroup *g, const TypeDef *types, uint32_t n)
{
    if (g->n != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!same_def(g, &g->defs[i], &types[i]))
            return false;
    return true;
}

/* Ids and the table of records. */

static bool take_ids(uint32_t n, uint32_t *first)
{
    FreeRange **link = &registry.free[n < SMALL_RANGES ? n : 0];
    while (*link && (*link)->n != n)
        link = &(*link)->next;
    FreeRange *range = *link;
    if (range) {
        *link = range->next;
        *first = range->first;
        free(range);
        return true;
    }
    if (n > LAST_ID - registry.next_id)
        return false;
    *first = registry.next_id;
    registry.next_id += n;
    return true;
}

static void give_ids(uint32_t first, uint32_t n)
{
    if (first + n == registry.next_id) {
        registry.next_id = first;
        return;
    }
    FreeRange **list = &registry.free[n < SMALL_RANGES ? n : 0];
    FreeRange *range = allocate(sizeof *range);
    *range = (FreeRange){*list, first, n};
    *list = range;
}

static Slot *slot_of(uint32_t id)
{
    Slot *chunk = atomic_load(&registry.chunks[id >> CHUNK_BITS]);
    if (!chunk) {
        chunk = allocate(CHUNK * sizeof *chunk);
        atomic_store(&registry.chunks[id >> CHUNK_BITS], chunk);
    }
    return &chunk[id % CHUNK];
}

static void set_record(uint32_t id, const TypeDef *d, TypeGroup *g)
{
    Slot *slot = slot_of(id);
    slot->group = g;
    atomic_store_explicit(&slot->def, d, memory_order_release);
}

/* Making a group: the unrolled copy. */

typedef struct {
    TypeGroup *g;
    unsigned char *fill; /* the rest of the allocation */
} Maker;

static void *make_array(Maker *m, size_t size)
{
    void *p = m->fill;
    m->fill += (size + 7) & ~(size_t)7;
    return p;
}

static uint32_t unroll(const Maker *m, uint32_t id)
{
    return id & HEAP_REC ? m->g->first + (id & (HEAP_REC - 1)) : id;
}
static Type unroll_type(const Maker *m, Type t)
{
    if (!type_is_concrete(t))
        return t;
    return type_ref(type_is_nullable(t), unroll(m, type_heap(t)));
}

static void make_func(Maker *m, FuncType *to, const FuncType *from)
{
    uint32_t n = from->n_params + from->n_results;
    Type *types = make_array(m, n * sizeof *types);
    to->n_params = from->n_params;
    to->n_results = from->n_results;
    to->types = types;
    for (uint32_t i = 0; i < n; i++) {
        types[i] = unroll_type(m, from->types[i]);
        *(i < to->n_params ? &to->param_slots : &to->result_slots) +=
            type_slots(types[i]);
    }
}

enum { OBJECT_HEADER = 8 };

/* Natural alignment; a v128 is accessed unaligned. */
static void make_struct(Maker *m, TypeDef *to, const TypeDef *from)
{
    uint32_t n = from->structure.n_fields, at = OBJECT_HEADER;
    Field *fields = make_array(m, n * sizeof *fields);
    for (uint32_t i = 0; i < n; i++) {
        const Field *f = &from->structure.fields[i];
        uint32_t size = type_size(f->type), align = size < 8 ? size : 8;
        at = (at + align - 1) & ~(align - 1);
        fields[i] = (Field){unroll_type(m, f->type), f->mutable, at};
        at += size;
    }
    to->structure.n_fields = n;
    to->structure.fields = fields;
    to->structure.size = (at + 7) & ~7u;
}

static void make_display(Maker *m, TypeDef *to)
{
    const TypeDef *super = NULL;
    if (to->super != NO_TYPE)
        super = is_own(m->g, to->super) ? &m->g->defs[to->super - m->g->first]
                                        : type_def(to->super);
    to->depth = super ? super->depth + 1 : 0;
    uint32_t *display = make_array(m, (to->depth + 1) * sizeof *display);
    if (super)
        memcpy(display, super->display, to->depth * sizeof *display);
    display[to->depth] = to->id;
    to->display = display;
}

static void make_def(Maker *m, TypeDef *to, const TypeDef *from)
{
    to->id = m->g->first + (uint32_t)(to - m->g->defs);
    to->kind = from->kind;
    to->final = from->final;
    to->super = from->super == NO_TYPE ? NO_TYPE : unroll(m, from->super);
    switch (from->kind) {
    case COMP_FUNC: make_func(m, &to->func, &from->func); break;
    case COMP_STRUCT: make_struct(m, to, from); break;
    default:
        to->array.type = unroll_type(m, from->array.type);
        to->array.mutable = from->array.mutable;
        to->array.offset = OBJECT_HEADER;
    }
    make_display(m, to);
}

/* The depth of types[i]; those before it have theirs in depths. */
static uint32_t depth_of(const TypeDef *types, uint32_t i,
                         const uint8_t *depths)
{
    uint32_t super = types[i].super;
    if (super == NO_TYPE)
        return 0;
    if (!(super & HEAP_REC))
        return type_def(super)->depth + 1;
    assert((super & (HEAP_REC - 1)) < i);
    return depths[super & (HEAP_REC - 1)] + 1u;
}

/* Bytes of the arrays behind the records; 0 if a supertype is too deep. */
static size_t size_arrays(const TypeDef *types, uint32_t n)
{
    uint8_t *depths = allocate(n + 1);
    size_t size = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t depth = depth_of(types, i, depths);
        if (depth > TYPE_DEPTH_LIMIT) {
            free(depths);
            return 0;
        }
        depths[i] = (uint8_t)depth;
        size_t each =
            types[i].kind == COMP_STRUCT ? sizeof(Field) : sizeof(Type);
        size +=
            count_types(&types[i]) * each + (depth + 1) * sizeof(uint32_t) + 16;
    }
    free(depths);
    return size;
}

/* The hash table. */

static void grow_buckets(void)
{
    uint32_t n = registry.n_buckets ? registry.n_buckets * 2 : 256;
    TypeGroup **buckets = allocate(n * sizeof *buckets);
    for (uint32_t i = 0; i < registry.n_buckets; i++) {
        for (TypeGroup *g = registry.buckets[i], *next; g; g = next) {
            next = g->next;
            g->next = buckets[g->hash & (n - 1)];
            buckets[g->hash & (n - 1)] = g;
        }
    }
    free(registry.buckets);
    registry.buckets = buckets;
    registry.n_buckets = n;
}

static TypeGroup *find_group(const TypeDef *types, uint32_t n, uint64_t hash)
{
    if (!registry.n_buckets)
        return NULL;
    TypeGroup *g = registry.buckets[hash & (registry.n_buckets - 1)];
    while (g && (g->hash != hash || !same_group(g, types, n)))
        g = g->next;
    return g;
}

static void unlink_group(TypeGroup *g)
{
    TypeGroup **link = &registry.buckets[g->hash & (registry.n_buckets - 1)];
    while (*link != g)
        link = &(*link)->next;
    *link = g->next;
    registry.n_groups--;
}

static void link_group(TypeGroup *g)
{
    if (registry.n_groups >= registry.n_buckets)
        grow_buckets();
    TypeGroup **bucket = &registry.buckets[g->hash & (registry.n_buckets - 1)];
    g->next = *bucket;
    *bucket = g;
    registry.n_groups++;
}

/* References between groups. */

typedef void Visit(TypeGroup *named, TypeGroup **dying);

static void take_reference(TypeGroup *named, TypeGroup **dying)
{
    (void)dying;
    named->refs++;
}

/* A group that nobody holds is taken out and put on the list of the dying,
 * so that a long chain of groups does not recurse. */
static void drop_reference(TypeGroup *named, TypeGroup **dying)
{
    if (--named->refs)
        return;
    unlink_group(named);
    named->next = *dying;
    *dying = named;
}

/* Visits the other groups that g names, each time it names them. */
static void visit_named(const TypeGroup *g, Visit *visit, TypeGroup **dying)
{
    for (uint32_t i = 0; i < g->n; i++) {
        const TypeDef *d = &g->defs[i];
        if (d->super != NO_TYPE && !is_own(g, d->super))
            visit(slot_of(d->super)->group, dying);
        for (uint32_t j = count_types(d); j-- > 0;) {
            Type t = type_at(d, j);
            if (type_is_concrete(t) && !is_own(g, type_heap(t)))
                visit(slot_of(type_heap(t))->group, dying);
        }
    }
}

static TypeGroup *make_group(const TypeDef *types, uint32_t n, uint64_t hash)
{
    size_t arrays = size_arrays(types, n), defs = n * sizeof(TypeDef);
    uint32_t first;
    if ((n && !arrays) || !take_ids(n, &first))
        return NULL;
    TypeGroup *g = allocate(sizeof *g + defs + arrays);
    g->hash = hash;
    g->refs = 1;
    g->first = first;
    g->n = n;
    Maker m = {g, (unsigned char *)g + sizeof *g + defs};
    for (uint32_t i = 0; i < n; i++) {
        make_def(&m, &g->defs[i], &types[i]);
        set_record(first + i, &g->defs[i], g);
    }
    visit_named(g, take_reference, NULL);
    link_group(g);
    return g;
}

TypeGroup *type_group_intern(const TypeDef *types, uint32_t n)
{
    uint64_t hash = hash_group(types, n);
    if (!atomic_load_explicit(&registry.fork_knows, memory_order_relaxed)
        && !atomic_exchange(&registry.fork_knows, true))
        os_on_fork(OS_FORK_TYPES, lock, unlock, unlock);
    lock();
    TypeGroup *g = find_group(types, n, hash);
    if (g)
        g->refs++;
    else
        g = make_group(types, n, hash);
    unlock();
    return g;
}

uint32_t type_group_first(const TypeGroup *g) { return g->first; }

static void destroy(TypeGroup *g, TypeGroup **dying)
{
    visit_named(g, drop_reference, dying);
    for (uint32_t i = 0; i < g->n; i++)
        set_record(g->first + i, NULL, NULL);
    if (g->n)
        give_ids(g->first, g->n);
    free(g);
}

void type_group_release(TypeGroup *g)
{
    TypeGroup *dying = NULL;
    lock();
    drop_reference(g, &dying);
    while (dying) {
        TypeGroup *dead = dying;
        dying = dead->next;
        destroy(dead, &dying);
    }
    unlock();
}

const TypeDef *type_func_intern(const Type *params, uint32_t n_params,
                                const Type *results, uint32_t n_results,
                                TypeGroup **g)
{
    Type *types = allocate((n_params + n_results + 1) * sizeof *types);
    if (n_params)
        memcpy(types, params, n_params * sizeof *types);
    if (n_results)
        memcpy(types + n_params, results, n_results * sizeof *types);
    TypeDef d = {.kind = COMP_FUNC, .final = true, .super = NO_TYPE};
    d.func.n_params = n_params;
    d.func.n_results = n_results;
    d.func.types = types;
    *g = type_group_intern(&d, 1);
    free(types);
    return *g ? type_def(type_group_first(*g)) : NULL;
}
