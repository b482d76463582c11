/* shape_default.h - gives every shape of op.def one body, SHAPE_DEFAULT, for
 * passes in which only some shapes matter; these are then defined anew.
 */
#include "wasm/shapes_end.def"

#define HAND(...)       SHAPE_DEFAULT
#define UN(...)         SHAPE_DEFAULT
#define TEST(...)       SHAPE_DEFAULT
#define BIN(...)        SHAPE_DEFAULT
#define CMP(...)        SHAPE_DEFAULT
#define DIV(...)        SHAPE_DEFAULT
#define CONV(...)       SHAPE_DEFAULT
#define TRUNC(...)      SHAPE_DEFAULT
#define LOAD(...)       SHAPE_DEFAULT
#define STORE(...)      SHAPE_DEFAULT
#define WIDE(...)       SHAPE_DEFAULT
#define VUN(...)        SHAPE_DEFAULT
#define VBIN(...)       SHAPE_DEFAULT
#define VTER(...)       SHAPE_DEFAULT
#define VTEST(...)      SHAPE_DEFAULT
#define VSHIFT(...)     SHAPE_DEFAULT
#define VSPLAT(...)     SHAPE_DEFAULT
#define VEXTRACT(...)   SHAPE_DEFAULT
#define VREPLACE(...)   SHAPE_DEFAULT
#define VLOAD(...)      SHAPE_DEFAULT
#define VSTORE(...)     SHAPE_DEFAULT
#define VLOADLANE(...)  SHAPE_DEFAULT
#define VSTORELANE(...) SHAPE_DEFAULT
#define ALOAD(...)      SHAPE_DEFAULT
#define ASTORE(...)     SHAPE_DEFAULT
#define ARMW(...)       SHAPE_DEFAULT
#define ACAS(...)       SHAPE_DEFAULT
