/* image.h - the compiled code of a module in a file.
 *
 *   header | functions | positions | landings | the module's bytes | text
 *   | what memory 0 begins with
 *
 * The text is position-independent and mapped as it stands.  An image serves
 * one build of this library, one configuration, and the very module that it
 * holds: its bytes are compared, so that no other module gets its code.
 * Images are code: who may write them may do what this process may do.
 */
#ifndef CHI_NATIVE_IMAGE_H
#define CHI_NATIVE_IMAGE_H

#include "native/internal.h"

typedef struct {
    uint64_t text_at;
    uint32_t size; /* 0: left to the interpreter */
    uint32_t positions_at, n_positions, landings_at;
    int32_t operands, frame;
} ImageFunc;

typedef struct {
    const void *head; /* what stands before the text, mapped */
    size_t head_size;
    const ImageFunc *funcs;
    const Position *positions;
    const uint32_t *landings;
    const uint8_t *text;         /* where it runs */
    int fd;                      /* for: */
    uint64_t data_at, data_size; /* what memory 0 begins with; 0: not there */
} Image;

/* What the active data of m make of memory 0, if that is known before there is
 * an instance, and is worth the trouble: a multiple of a page.  To be freed. */
uint8_t *image_data(const Module *m, uint64_t *size);

/* Every function of n is compiled.  false: the file cannot be written. */
bool image_write(const NativeModule *n, const char *path);
/* what: for code_find.  false: there is no such file, or it is of another
 * build, configuration or module, or damaged. */
bool image_load(const char *path, const Module *m, const BaselineConfig *config,
                const void *what, Image *out);
void image_free(Image *image);

/* The module's bytes in an image; NULL: it is none.  To be freed. */
uint8_t *image_module(const char *path, size_t *len);

#endif
