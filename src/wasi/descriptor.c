/* The guest's descriptors: numbers for open files. */
#include <stdlib.h>
#include <string.h>

#include "wasi/wasi.h"

File *file_new(void)
{
    File *f = calloc(1, sizeof *f);
    if (f) {
        f->refs = 1;
        f->fd = -1;
    }
    return f;
}

void file_put(File *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) > 1)
        return;
    if (f->kind)
        f->kind->close(f);
    free(f->preopen);
    free(f);
}

static bool has_room(chi_wasi *w, uint32_t n)
{
    if (n <= w->n_files)
        return true;
    if (n > w->max_files)
        return false;
    uint32_t wanted = w->n_files ? w->n_files * 2 : 8;
    if (wanted > w->max_files)
        wanted = w->max_files;
    File **files = realloc(w->files, wanted * sizeof(File *));
    if (!files)
        return false;
    memset(files + w->n_files, 0, (wanted - w->n_files) * sizeof(File *));
    w->files = files;
    w->n_files = wanted;
    return true;
}

Errno descriptor_add(chi_wasi *w, File *f, uint32_t *fd)
{
    pthread_mutex_lock(&w->lock);
    uint32_t k = 0;
    while (k < w->n_files && w->files[k])
        k++;
    bool ok = has_room(w, k + 1);
    if (ok)
        w->files[k] = f;
    pthread_mutex_unlock(&w->lock);
    *fd = k;
    return ok ? WASI_SUCCESS : WASI_MFILE;
}

File *descriptor_get(chi_wasi *w, uint32_t fd)
{
    pthread_mutex_lock(&w->lock);
    File *f = fd < w->n_files ? w->files[fd] : NULL;
    if (f)
        atomic_fetch_add(&f->refs, 1);
    pthread_mutex_unlock(&w->lock);
    return f;
}

Errno descriptor_close(chi_wasi *w, uint32_t fd)
{
    pthread_mutex_lock(&w->lock);
    File *f = fd < w->n_files ? w->files[fd] : NULL;
    if (f)
        w->files[fd] = NULL;
    pthread_mutex_unlock(&w->lock);
    file_put(f);
    return f ? WASI_SUCCESS : WASI_BADF;
}

Errno descriptor_move(chi_wasi *w, uint32_t from, uint32_t to)
{
    File *old = NULL;
    pthread_mutex_lock(&w->lock);
    bool ok =
        from < w->n_files && to < w->n_files && w->files[from] && w->files[to];
    if (ok && from != to) {
        old = w->files[to];
        w->files[to] = w->files[from];
        w->files[from] = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    file_put(old);
    return ok ? WASI_SUCCESS : WASI_BADF;
}

void descriptor_close_all(chi_wasi *w)
{
    for (uint32_t k = 0; k < w->n_files; k++)
        file_put(w->files[k]);
    free(w->files);
    w->files = NULL;
    w->n_files = 0;
}
