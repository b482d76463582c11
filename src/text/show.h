/* show.h - lines and columns of many places in one text.
 *
 * A TextPlaces remembers the line and column of every 4096th byte, as far as
 * they were asked for, so that text_locate need not count from the beginning
 * each time.
 */
#ifndef CHI_TEXT_SHOW_H
#define CHI_TEXT_SHOW_H

#include "text/parse.h"

TextPlaces *show_places_new(void);
void show_places_free(TextPlaces *t);

#endif
