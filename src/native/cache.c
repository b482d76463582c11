#include "native/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_BYTES = 4096,
    WORTH_BYTES = 64 << 10, /* of code, unless a folder was asked for */
    MOST_BYTES = 512 << 20, /* of images; the oldest go */
};

static char folder[PATH_BYTES];
static bool is_asked_for;
static _Atomic int state; /* 0 not looked, 1 there is one, 2 there is none */

/* ---- the folder */

static bool name_folder(char *out)
{
    const char *asked = getenv("CHIASM_CACHE");
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int len = -1;
    if (asked && *asked) {
        if (strcmp(asked, "0") != 0)
            len = snprintf(out, PATH_BYTES, "%s", asked);
        is_asked_for = true;
    } else if (base && *base == '/') {
        len = snprintf(out, PATH_BYTES, "%s/chiasm", base);
    } else if (home && *home == '/') {
        len = snprintf(out, PATH_BYTES, "%s/.cache/chiasm", home);
    }
    return len > 0 && len < PATH_BYTES - 64;
}

const char *cache_folder(void)
{
    int now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == 0) {
        os_mutex_lock(os_global_lock());
        now = atomic_load(&state);
        if (now == 0) {
            now = name_folder(folder) ? 1 : 2;
            atomic_store(&state, now);
        }
        os_mutex_unlock(os_global_lock());
    }
    return now == 1 ? folder : NULL;
}

bool cache_takes(const Module *m)
{
    return cache_folder() && (is_asked_for || m->code_bytes >= WORTH_BYTES);
}

/* ---- images, named by a hash of what they are for */

static uint64_t hash(uint64_t h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 33;
    }
    for (; n > 0; p++, n--)
        h = (h ^ *p) * 0xff51afd7ed558ccdu;
    return h ^ h >> 29;
}

static bool name_image(char *out, const Module *m, const BaselineConfig *c)
{
    OsBuildId build;
    const char *in = cache_folder();
    if (!in || !os_build_id(&build))
        return false;
    uint32_t config[] = {c->memory0, c->cpu, c->metered, c->n_cache};
    uint64_t h = hash(m->len, m->bytes, m->len);
    uint64_t k = hash(hash(h, config, sizeof config), build.bytes, build.size);
    int len = snprintf(out, PATH_BYTES, "%s/%016llx%016llx.aot", in,
                       (unsigned long long)h, (unsigned long long)k);
    return len > 0 && len < PATH_BYTES;
}

bool cache_load(const Module *m, const BaselineConfig *config, const void *what,
                Image *out)
{
    char path[PATH_BYTES];
    if (!name_image(path, m, config) || !image_load(path, m, config, what, out))
        return false;
    os_file_touch(path);
    return true;
}

/* ---- no more than MOST_BYTES */

static bool is_image(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".aot") == 0;
}

typedef struct {
    uint64_t bytes;
    int64_t oldest_time;
    char oldest[PATH_BYTES];
} Survey;

static void survey_file(void *env, const char *path, uint64_t size,
                        int64_t time)
{
    Survey *s = env;
    if (!is_image(path))
        return;
    s->bytes += size;
    if (!s->oldest[0] || time < s->oldest_time) {
        s->oldest_time = time;
        snprintf(s->oldest, sizeof s->oldest, "%s", path);
    }
}

static void trim(void)
{
    for (;;) {
        Survey s = {0};
        if (!os_folder_each(folder, survey_file, &s) || s.bytes <= MOST_BYTES)
            return;
        os_file_remove(s.oldest);
    }
}

void cache_store(const NativeModule *n)
{
    char path[PATH_BYTES];
    if (name_image(path, native_module(n), native_config(n))
        && os_folder_make(folder) && image_write(n, path))
        trim();
}

uint64_t cache_size(void)
{
    Survey s = {0};
    if (cache_folder())
        os_folder_each(folder, survey_file, &s);
    return s.bytes;
}

static void remove_file(void *env, const char *path, uint64_t size,
                        int64_t time)
{
    (void)env;
    (void)size;
    (void)time;
    if (is_image(path))
        os_file_remove(path);
}

void cache_clear(void)
{
    if (cache_folder())
        os_folder_each(folder, remove_file, NULL);
}
