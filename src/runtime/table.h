/* table.h - tables.  See WebAssembly 3.0, 4.2.7 and 4.6.8. */
#ifndef CHI_RUNTIME_TABLE_H
#define CHI_RUNTIME_TABLE_H

#include "runtime/runtime.h"

Table *table_new(Store *s, const TableType *type, uint64_t init, Error *err);
/* Old size, or UINT64_MAX if refused. */
uint64_t table_grow(Table *t, uint64_t by, uint64_t init);
/* Each checks its bounds: ERR_OK or ERR_TABLE_BOUNDS. */
ErrorCode table_fill(Table *t, uint64_t at, uint64_t word, uint64_t n);
ErrorCode table_copy(Table *to, uint64_t at, Table *from, uint64_t source,
                     uint64_t n);
ErrorCode table_init(Instance *i, Table *t, uint32_t elem, uint64_t at,
                     uint64_t source, uint64_t n);

#endif
