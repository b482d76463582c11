#include "wasi/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wasi/guest.h"

enum {
    NODES_MAX = 1 << 16,
    DEPTH_MAX = 128, /* of directories below the root: recursion is bounded */
    FIRST_ID = 2     /* behind "." and ".." */
};

typedef struct Node Node;

typedef struct {
    uint64_t id; /* grows along the list: what a cookie is made of */
    Node *node;
    char *name;
} Slot;

struct Node {
    uint32_t refs; /* its slot, and open files */
    bool directory;
    uint64_t ino, atim, mtim, ctim;
    uint8_t *bytes; /* of a file */
    size_t len, capacity;
    Node *parent; /* of a directory; NULL: the root, or removed */
    Slot *slots;
    size_t n_slots, slots_capacity;
    uint64_t next_id;
};

typedef struct {
    pthread_mutex_t lock;
    uint32_t refs; /* open files */
    chi_wasi *w;
    Node *root;
    size_t used, limit; /* bytes in files */
    uint32_t n_nodes;
    uint64_t next_ino;
} Tree;

/* What File.data is. */
typedef struct {
    Tree *tree;
    Node *node;
    uint64_t at;
} Handle;

static Handle *handle_of(const File *f) { return f->data; }

static Tree *lock(const File *f)
{
    Tree *t = handle_of(f)->tree;
    pthread_mutex_lock(&t->lock);
    return t;
}

static Errno unlock(Tree *t, Errno e)
{
    pthread_mutex_unlock(&t->lock);
    return e;
}

/* ---- nodes */

static Node *new_node(Tree *t, bool directory)
{
    Node *n = t->n_nodes < NODES_MAX ? calloc(1, sizeof *n) : NULL;
    if (!n)
        return NULL;
    n->directory = directory;
    n->ino = ++t->next_ino;
    n->atim = n->mtim = n->ctim = wait_now(t->w, CLOCK_ID_REALTIME);
    n->next_id = FIRST_ID;
    t->n_nodes++;
    return n;
}

static void put_node(Tree *t, Node *n)
{
    if (--n->refs)
        return;
    for (size_t k = 0; k < n->n_slots; k++) {
        n->slots[k].node->parent = NULL;
        put_node(t, n->slots[k].node);
        free(n->slots[k].name);
    }
    t->used -= n->len;
    t->n_nodes--;
    free(n->bytes);
    free(n->slots);
    free(n);
}

static void touch(const Tree *t, Node *n)
{
    n->mtim = n->ctim = wait_now(t->w, CLOCK_ID_REALTIME);
}

static unsigned depth_of(const Node *n)
{
    unsigned depth = 0;
    while ((n = n->parent))
        depth++;
    return depth;
}

static unsigned height_of(const Node *n)
{
    unsigned height = 0;
    for (size_t k = 0; k < n->n_slots; k++) {
        unsigned h = 1 + height_of(n->slots[k].node);
        height = h > height ? h : height;
    }
    return height;
}

static Slot *find_slot(const Node *dir, const char *name, size_t len)
{
    for (size_t k = 0; k < dir->n_slots; k++)
        if (!strncmp(dir->slots[k].name, name, len) && !dir->slots[k].name[len])
            return &dir->slots[k];
    return NULL;
}

static bool has_slot(Node *dir)
{
    if (dir->n_slots < dir->slots_capacity)
        return true;
    size_t capacity = dir->slots_capacity ? dir->slots_capacity * 2 : 8;
    Slot *slots = realloc(dir->slots, capacity * sizeof *slots);
    if (slots) {
        dir->slots = slots;
        dir->slots_capacity = capacity;
    }
    return slots;
}

static Errno add_slot(const Tree *t, Node *dir, const char *name, size_t len,
                      Node *node)
{
    char *copy = has_slot(dir) ? strndup(name, len) : NULL;
    if (!copy)
        return WASI_NOSPC;
    dir->slots[dir->n_slots++] = (Slot){dir->next_id++, node, copy};
    node->refs++;
    if (node->directory)
        node->parent = dir;
    touch(t, dir);
    return WASI_SUCCESS;
}

static void remove_slot(Tree *t, Node *dir, Slot *s)
{
    Node *node = s->node;
    free(s->name);
    size_t k = (size_t)(s - dir->slots);
    memmove(s, s + 1, (--dir->n_slots - k) * sizeof *s);
    node->parent = NULL;
    touch(t, dir);
    put_node(t, node);
}

static Errno resize(Tree *t, Node *n, uint64_t len)
{
    if (len > n->len && len - n->len > t->limit - t->used)
        return WASI_NOSPC;
    if (len > n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 256;
        if (capacity < len)
            capacity = (size_t)len;
        uint8_t *bytes = realloc(n->bytes, capacity);
        if (!bytes)
            return WASI_NOSPC;
        n->bytes = bytes;
        n->capacity = capacity;
    }
    if (len > n->len)
        memset(n->bytes + n->len, 0, (size_t)len - n->len);
    t->used = t->used - n->len + (size_t)len;
    n->len = (size_t)len;
    touch(t, n);
    return WASI_SUCCESS;
}

/* ---- paths */

/* Where a path leads: the directory that it ends in, and the last name there
 * (len 0: the directory itself). */
typedef struct {
    Node *dir;
    const char *name;
    size_t len;
    bool slash;
    Slot *slot; /* of the name; NULL: there is none */
} Spot;

static Errno step(const Node *root, Spot *s)
{
    if (s->len == 2 && !memcmp(s->name, "..", 2)) {
        if (s->dir == root)
            return WASI_PERM;
        s->dir = s->dir->parent;
        s->len = 0;
        return s->dir ? WASI_SUCCESS : WASI_NOENT;
    }
    if (s->len == 1 && *s->name == '.') {
        s->len = 0;
        return WASI_SUCCESS;
    }
    s->slot = find_slot(s->dir, s->name, s->len);
    return WASI_SUCCESS;
}

/* Into the directory that the spot names, which is not the last one. */
static Errno descend(Spot *s)
{
    if (!s->len)
        return WASI_SUCCESS;
    if (!s->slot)
        return WASI_NOENT;
    if (!s->slot->node->directory)
        return WASI_NOTDIR;
    s->dir = s->slot->node;
    return WASI_SUCCESS;
}

static Errno find(const File *f, const char *path, Spot *s)
{
    Node *root = handle_of(f)->node;
    Errno e = *path == '/' ? WASI_PERM : WASI_SUCCESS;
    *s = (Spot){.dir = root};
    while (!e && *path) {
        e = descend(s);
        if (e)
            break;
        s->slot = NULL;
        s->name = path;
        s->len = strcspn(path, "/");
        if (s->len > NAME_BYTES)
            return WASI_NAMETOOLONG;
        path += s->len;
        s->slash = *path;
        path += strspn(path, "/");
        e = step(root, s);
    }
    return e;
}

/* The node that a path names. */
static Errno find_node(const File *f, const char *path, Node **out)
{
    Spot s;
    Errno e = find(f, path, &s);
    *out = s.dir;
    if (e || !s.len)
        return e;
    if (!s.slot)
        return WASI_NOENT;
    *out = s.slot->node;
    return s.slash && !(*out)->directory ? WASI_NOTDIR : WASI_SUCCESS;
}

/* ---- open files */

static void close_file(File *f)
{
    Handle *h = handle_of(f);
    Tree *t = lock(f);
    put_node(t, h->node);
    bool last = --t->refs == 0;
    if (last)
        put_node(t, t->root);
    unlock(t, WASI_SUCCESS);
    if (last) {
        pthread_mutex_destroy(&t->lock);
        free(t);
    }
    free(h);
}

static Errno read_file(Call *c, File *f, const Vectors *v, const uint64_t *at,
                       size_t *n)
{
    struct iovec to[VECTORS_MAX];
    Handle *h = handle_of(f);
    *n = 0;
    if (guest_iovecs(c, v, to) < 0)
        return WASI_FAULT;
    Tree *t = lock(f);
    uint64_t from = at ? *at : h->at;
    for (uint32_t k = 0; k < v->n && from < h->node->len; k++) {
        size_t left = h->node->len - (size_t)from;
        size_t piece = to[k].iov_len < left ? to[k].iov_len : left;
        memcpy(to[k].iov_base, h->node->bytes + from, piece);
        from += piece;
        *n += piece;
    }
    if (!at)
        h->at = from;
    return unlock(t, WASI_SUCCESS);
}

static Errno write_at(Tree *t, Node *node, const struct iovec *v, uint64_t *at)
{
    uint64_t end = *at + v->iov_len;
    if (end < *at)
        return WASI_FBIG;
    Errno e = end > node->len ? resize(t, node, end) : WASI_SUCCESS;
    if (e)
        return e;
    memcpy(node->bytes + *at, v->iov_base, v->iov_len);
    *at = end;
    return WASI_SUCCESS;
}

static Errno write_file(Call *c, File *f, const Vectors *v, const uint64_t *at,
                        size_t *n)
{
    struct iovec from[VECTORS_MAX];
    Handle *h = handle_of(f);
    Errno e = WASI_SUCCESS;
    *n = 0;
    if (guest_iovecs(c, v, from) < 0)
        return WASI_FAULT;
    Tree *t = lock(f);
    uint64_t to = at ? *at : h->at;
    if (f->flags & FLAG_APPEND)
        to = h->node->len;
    for (uint32_t k = 0; k < v->n && !e; k++) {
        e = write_at(t, h->node, &from[k], &to);
        if (!e)
            *n += from[k].iov_len;
    }
    touch(t, h->node);
    if (!at)
        h->at = to;
    return unlock(t, *n ? WASI_SUCCESS : e);
}

static Errno seek(File *f, int64_t by, unsigned whence, uint64_t *at)
{
    Handle *h = handle_of(f);
    Tree *t = lock(f);
    int64_t from = whence == WHENCE_SET   ? 0
                   : whence == WHENCE_CUR ? (int64_t)h->at
                                          : (int64_t)h->node->len;
    int64_t to;
    if (__builtin_add_overflow(from, by, &to) || to < 0)
        return unlock(t, WASI_INVAL);
    *at = h->at = (uint64_t)to;
    return unlock(t, WASI_SUCCESS);
}

static void describe(const Node *n, Filestat *out)
{
    *out = (Filestat){
        .ino = n->ino,
        .type = n->directory ? TYPE_DIRECTORY : TYPE_REGULAR,
        .nlink = 1,
        .size = n->len,
        .atim = n->atim,
        .mtim = n->mtim,
        .ctim = n->ctim,
    };
}

static Errno stat_file(File *f, Filestat *out)
{
    Tree *t = lock(f);
    describe(handle_of(f)->node, out);
    return unlock(t, WASI_SUCCESS);
}

static Errno set_size(File *f, uint64_t size)
{
    Tree *t = lock(f);
    return unlock(t, f->rights & RIGHT_FD_WRITE
                         ? resize(t, handle_of(f)->node, size)
                         : WASI_INVAL);
}

static void set_node_times(const Tree *t, Node *n, const Times *times)
{
    uint64_t now = wait_now(t->w, CLOCK_ID_REALTIME);
    if (times->set & (TIME_ATIM | TIME_ATIM_NOW))
        n->atim = times->set & TIME_ATIM ? times->atim : now;
    if (times->set & (TIME_MTIM | TIME_MTIM_NOW))
        n->mtim = times->set & TIME_MTIM ? times->mtim : now;
}

static Errno set_times(File *f, const Times *times)
{
    if (f->read_only)
        return WASI_ROFS;
    Tree *t = lock(f);
    set_node_times(t, handle_of(f)->node, times);
    return unlock(t, WASI_SUCCESS);
}

static Errno set_flags(File *f, unsigned flags)
{
    (void)f;
    (void)flags; /* nothing waits, and all is in place at once */
    return WASI_SUCCESS;
}

static Errno allocate(File *f, uint64_t at, uint64_t len)
{
    Node *n = handle_of(f)->node;
    if (!(f->rights & RIGHT_FD_WRITE))
        return WASI_BADF;
    if (!len || at > INT64_MAX || len > INT64_MAX)
        return WASI_INVAL;
    Tree *t = lock(f);
    return unlock(t, at + len > n->len ? resize(t, n, at + len) : WASI_SUCCESS);
}

static Errno advise(File *f, uint64_t at, uint64_t len, unsigned advice)
{
    (void)f;
    (void)advice;
    return at > INT64_MAX || len > INT64_MAX ? WASI_INVAL : WASI_SUCCESS;
}

static Errno sync_file(File *f, bool data_only)
{
    (void)f;
    (void)data_only;
    return WASI_SUCCESS;
}

/* ---- directories */

static Errno list(Call *c, File *f, uint64_t cookie, EntryFn *fn, void *env)
{
    (void)c;
    const Node *dir = handle_of(f)->node;
    Entry e = {.type = TYPE_DIRECTORY, .ino = dir->ino};
    bool more = true;
    Tree *t = lock(f);
    for (uint64_t k = cookie; k < FIRST_ID && more; k++) {
        e.next = k + 1;
        e.name_len = (uint32_t)k + 1;
        strcpy(e.name, k ? ".." : ".");
        more = fn(env, &e);
    }
    for (size_t k = 0; k < dir->n_slots && more; k++) {
        const Slot *s = &dir->slots[k];
        if (s->id < cookie)
            continue;
        e = (Entry){.ino = s->node->ino,
                    .next = s->id + 1,
                    .type = s->node->directory ? TYPE_DIRECTORY : TYPE_REGULAR,
                    .name_len = (uint32_t)strlen(s->name)};
        memcpy(e.name, s->name, e.name_len + 1);
        more = fn(env, &e);
    }
    return unlock(t, WASI_SUCCESS);
}

enum {
    RIGHTS_FILE = RIGHT_FD_DATASYNC | RIGHT_FD_SYNC | RIGHT_FD_ADVISE
                  | RIGHT_FD_SEEK | RIGHT_FD_TELL | RIGHT_FD_FDSTAT_SET_FLAGS
                  | RIGHT_FD_FILESTAT_GET | RIGHT_FD_FILESTAT_SET_TIMES
                  | RIGHT_POLL_FD_READWRITE,
    RIGHTS_WRITE =
        RIGHT_FD_WRITE | RIGHT_FD_ALLOCATE | RIGHT_FD_FILESTAT_SET_SIZE,
    RIGHTS_DIRECTORY = RIGHT_PATH_CREATE_DIRECTORY | RIGHT_PATH_CREATE_FILE
                       | RIGHT_PATH_OPEN | RIGHT_FD_READDIR
                       | RIGHT_PATH_RENAME_SOURCE | RIGHT_PATH_RENAME_TARGET
                       | RIGHT_PATH_FILESTAT_GET | RIGHT_PATH_FILESTAT_SET_SIZE
                       | RIGHT_PATH_FILESTAT_SET_TIMES | RIGHT_FD_FILESTAT_GET
                       | RIGHT_FD_FILESTAT_SET_TIMES
                       | RIGHT_PATH_REMOVE_DIRECTORY | RIGHT_PATH_UNLINK_FILE
};

static const FileKind file_kind, directory_kind;

/* Makes out a file of the node. */
static bool adopt(Tree *t, Node *n, File *out, bool read, bool write)
{
    Handle *h = calloc(1, sizeof *h);
    if (!h)
        return false;
    *h = (Handle){.tree = t, .node = n};
    n->refs++;
    t->refs++;
    out->data = h;
    out->kind = n->directory ? &directory_kind : &file_kind;
    out->type = n->directory ? TYPE_DIRECTORY : TYPE_REGULAR;
    out->rights =
        RIGHTS_FILE | (read ? RIGHT_FD_READ : 0) | (write ? RIGHTS_WRITE : 0);
    if (n->directory) {
        out->rights = RIGHTS_DIRECTORY;
        out->inheriting =
            RIGHTS_DIRECTORY | RIGHTS_FILE | RIGHTS_WRITE | RIGHT_FD_READ;
    }
    return true;
}

/* A file or directory that is not there yet. */
static Errno create(Tree *t, const Spot *s, bool directory, Node **out)
{
    if (!s->dir->parent && s->dir != t->root)
        return WASI_NOENT; /* it is removed */
    if (depth_of(s->dir) == DEPTH_MAX)
        return WASI_NAMETOOLONG;
    Node *n = new_node(t, directory);
    if (!n)
        return WASI_NOSPC;
    n->refs = 1;
    Errno e = add_slot(t, s->dir, s->name, s->len, n);
    *out = n;
    put_node(t, n);
    return e;
}

/* The node to open; made if that is wanted. */
static Errno find_or_create(const File *f, Tree *t, const char *path,
                            const OpenHow *how, Node **out)
{
    Spot s;
    Errno e = find(f, path, &s);
    if (e)
        return e;
    bool exists = !s.len || s.slot;
    if (exists && how->open & OPEN_CREATE && how->open & OPEN_EXCLUSIVE)
        return WASI_EXIST;
    if (exists)
        return find_node(f, path, out);
    if (!(how->open & OPEN_CREATE))
        return WASI_NOENT;
    if (s.slash)
        return WASI_ISDIR;
    return f->read_only ? WASI_ROFS : create(t, &s, false, out);
}

static Errno open_node(const File *f, Tree *t, const char *path,
                       const OpenHow *how, File *out)
{
    Node *n = NULL;
    if (f->read_only && (how->write || how->open & OPEN_TRUNCATE))
        return WASI_ROFS;
    Errno e = find_or_create(f, t, path, how, &n);
    if (e)
        return e;
    if (!n->directory && how->open & OPEN_DIRECTORY)
        return WASI_NOTDIR;
    if (n->directory
        && (how->write || how->open & (OPEN_CREATE | OPEN_TRUNCATE)))
        return WASI_ISDIR;
    if (how->open & OPEN_TRUNCATE)
        resize(t, n, 0);
    out->read_only = f->read_only;
    out->flags = (uint16_t)how->flags;
    return adopt(t, n, out, how->read || !how->write, how->write) ? WASI_SUCCESS
                                                                  : WASI_NOMEM;
}

static Errno open_file(File *f, char *path, const OpenHow *how, File *out)
{
    Tree *t = lock(f);
    return unlock(t, open_node(f, t, path, how, out));
}

static Errno stat_at(File *f, char *path, bool follow, Filestat *out)
{
    (void)follow;
    Node *n;
    Tree *t = lock(f);
    Errno e = find_node(f, path, &n);
    if (!e)
        describe(n, out);
    return unlock(t, e);
}

static Errno set_times_at(File *f, char *path, bool follow, const Times *times)
{
    (void)follow;
    Node *n;
    Tree *t = lock(f);
    Errno e = f->read_only ? WASI_ROFS : find_node(f, path, &n);
    if (!e)
        set_node_times(t, n, times);
    return unlock(t, e);
}

static Errno make_directory(File *f, char *path)
{
    Spot s;
    Node *n;
    Tree *t = lock(f);
    Errno e = f->read_only ? WASI_ROFS : find(f, path, &s);
    if (!e)
        e = !s.len || s.slot ? WASI_EXIST : create(t, &s, true, &n);
    return unlock(t, e);
}

static Errno check_removal(const Spot *s, bool directory)
{
    if (!s->len)
        return directory ? WASI_INVAL : WASI_ISDIR;
    if (!s->slot)
        return WASI_NOENT;
    const Node *n = s->slot->node;
    if (!n->directory)
        return directory || s->slash ? WASI_NOTDIR : WASI_SUCCESS;
    if (!directory)
        return WASI_ISDIR;
    return n->n_slots ? WASI_NOTEMPTY : WASI_SUCCESS;
}

static Errno remove_entry(File *f, char *path, bool directory)
{
    Spot s;
    Tree *t = lock(f);
    Errno e = f->read_only ? WASI_ROFS : find(f, path, &s);
    if (!e)
        e = check_removal(&s, directory);
    if (!e)
        remove_slot(t, s.dir, s.slot);
    return unlock(t, e);
}

static bool is_within(const Node *n, const Node *dir)
{
    while (n && n != dir)
        n = n->parent;
    return n;
}

/* May `from` take the place of `to`? */
static Errno check_rename(const Tree *t, const Spot *from, const Spot *to)
{
    if (!from->len || !to->len)
        return WASI_BUSY;
    if (!from->slot)
        return WASI_NOENT;
    const Node *n = from->slot->node;
    if ((from->slash || to->slash) && !n->directory)
        return WASI_NOTDIR;
    if (n->directory && is_within(to->dir, n))
        return WASI_INVAL;
    if (depth_of(to->dir) + height_of(n) > DEPTH_MAX)
        return WASI_NAMETOOLONG;
    if (!to->slot)
        return to->dir->parent || to->dir == t->root ? WASI_SUCCESS
                                                     : WASI_NOENT;
    const Node *old = to->slot->node;
    if (old == n)
        return WASI_SUCCESS;
    if (old->directory && !n->directory)
        return WASI_ISDIR;
    if (!old->directory && n->directory)
        return WASI_NOTDIR;
    return old->n_slots ? WASI_NOTEMPTY : WASI_SUCCESS;
}

static Errno move(Tree *t, const Spot *from, Spot *to)
{
    Node *n = from->slot->node;
    if (to->slot && to->slot->node == n)
        return WASI_SUCCESS;
    uint64_t old_id = from->slot->id;
    Errno e = add_slot(t, to->dir, to->name, to->len, n);
    if (e)
        return e;
    /* The list may have moved, and what is replaced comes first in it. */
    Slot *replaced = find_slot(to->dir, to->name, to->len);
    if (replaced->node != n)
        remove_slot(t, to->dir, replaced);
    Slot *s = from->dir->slots;
    while (s->id != old_id)
        s++;
    remove_slot(t, from->dir, s);
    if (n->directory)
        n->parent = to->dir;
    return WASI_SUCCESS;
}

static Errno rename_entry(File *from, char *old, File *to, char *name)
{
    Spot a, b;
    if (handle_of(from)->tree != handle_of(to)->tree)
        return WASI_XDEV;
    if (from->read_only || to->read_only)
        return WASI_ROFS;
    Tree *t = lock(from);
    Errno e = find(from, old, &a);
    if (!e)
        e = find(to, name, &b);
    if (!e)
        e = check_rename(t, &a, &b);
    return unlock(t, e ? e : move(t, &a, &b));
}

static const FileKind file_kind = {
    .close = close_file,
    .read = read_file,
    .write = write_file,
    .seek = seek,
    .stat = stat_file,
    .set_size = set_size,
    .set_times = set_times,
    .set_flags = set_flags,
    .allocate = allocate,
    .advise = advise,
    .sync = sync_file,
};

static const FileKind directory_kind = {
    .close = close_file,
    .stat = stat_file,
    .set_times = set_times,
    .sync = sync_file,
    .list = list,
    .open = open_file,
    .stat_at = stat_at,
    .set_times_at = set_times_at,
    .make_directory = make_directory,
    .remove = remove_entry,
    .rename = rename_entry,
};

/* ---- making, and looking at it from outside */

/* Makes the directories that a path goes through, and what it ends in. */
static Errno plant(File *f, Tree *t, const chi_wasi_entry *e)
{
    char path[PATH_BYTES];
    Spot s;
    Node *n = t->root;
    size_t len = strlen(e->path);
    if (!len || len >= sizeof path || e->path[len - 1] == '/')
        return WASI_INVAL;
    for (size_t k = 1; k <= len; k++) {
        if (e->path[k] != '/' && k < len)
            continue;
        memcpy(path, e->path, k);
        path[k] = 0;
        Errno failed = find(f, path, &s);
        if (failed || !s.len || s.slash || (k < len && e->path[k + 1] == '/'))
            return WASI_INVAL;
        if (!s.slot)
            failed = create(t, &s, k < len || e->directory, &n);
        else
            n = s.slot->node;
        if (failed)
            return failed;
    }
    if (n->directory != e->directory)
        return WASI_INVAL;
    Errno failed = e->directory ? WASI_SUCCESS : resize(t, n, e->len);
    if (!failed && e->len)
        memcpy(n->bytes, e->data, e->len);
    return failed;
}

static File *new_root(chi_wasi *w, size_t limit)
{
    File *f = file_new();
    Tree *t = calloc(1, sizeof *t);
    if (f && t) {
        pthread_mutex_init(&t->lock, NULL);
        t->w = w;
        t->limit = limit;
        t->root = new_node(t, true);
        if (t->root)
            t->root->refs = 1;
        if (t->root && adopt(t, t->root, f, true, true))
            return f;
        free(t->root);
    }
    free(f);
    free(t);
    return NULL;
}

File *tree_new(chi_wasi *w, const chi_wasi_entry *entries, size_t n,
               size_t limit, bool read_only)
{
    File *f = new_root(w, limit);
    errno = ENOMEM;
    if (!f)
        return NULL;
    for (size_t k = 0; k < n; k++) {
        Errno e = plant(f, handle_of(f)->tree, &entries[k]);
        if (e) {
            file_put(f);
            errno = e == WASI_INVAL ? EINVAL : ENOSPC;
            return NULL;
        }
    }
    f->read_only = read_only;
    return f;
}

/* path: of the directory, with a slash behind if it is not the root; len is
 * how long that is. */
static void show(const Node *dir, char *path, size_t len, chi_wasi_entry_fn *fn,
                 void *env)
{
    for (size_t k = 0; k < dir->n_slots; k++) {
        const Node *n = dir->slots[k].node;
        size_t end = len + strlen(dir->slots[k].name);
        strcpy(path + len, dir->slots[k].name);
        fn(env, &(chi_wasi_entry){.path = path,
                                  .directory = n->directory,
                                  .data = n->bytes,
                                  .len = n->len});
        if (n->directory) {
            strcpy(path + end, "/");
            show(n, path, end + 1, fn, env);
        }
    }
}

bool tree_walk(const File *root, chi_wasi_entry_fn *fn, void *env)
{
    char *path = root->kind == &directory_kind
                     ? malloc((DEPTH_MAX + 2) * (NAME_BYTES + 1))
                     : NULL;
    if (!path)
        return false;
    Tree *t = lock(root);
    show(handle_of(root)->node, path, 0, fn, env);
    unlock(t, WASI_SUCCESS);
    free(path);
    return true;
}
