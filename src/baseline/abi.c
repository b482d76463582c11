#include "baseline/abi.h"

AbiSize abi_size(const FuncType *t)
{
    AbiCursor in = {0}, out = {0};
    AbiSize s = {0};
    for (uint32_t k = 0; k < t->n_params; k++)
        abi_param(&in, t->types[k]);
    for (uint32_t k = 0; k < t->n_results; k++)
        abi_result(&out, t->types[t->n_params + k]);
    s.results = (out.bytes + 15) & ~15u;
    if (s.results)
        s.area = abi_param(&in, T_I64);
    s.args = (in.bytes + 15) & ~15u;
    return s;
}
