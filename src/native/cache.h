/* cache.h - images of modules that were compiled before, by content.
 *
 * A folder of this user's: CHIASM_CACHE, or chiasm in XDG_CACHE_HOME or
 * ~/.cache; CHIASM_CACHE=0: none.  What cannot be read or written is done
 * without.
 */
#ifndef CHI_NATIVE_CACHE_H
#define CHI_NATIVE_CACHE_H

#include "native/image.h"

/* NULL: there is no cache. */
const char *cache_folder(void);
/* Is the module worth an image? */
bool cache_takes(const Module *m);
bool cache_load(const Module *m, const BaselineConfig *config, const void *what,
                Image *out);
void cache_store(const NativeModule *n);
/* Bytes of all images; and removes all. */
uint64_t cache_size(void);
void cache_clear(void);

#endif
