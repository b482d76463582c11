#include "baseline/abi.h"

static uint16_t i32_bit(AbiLoc l, Type t)
{
    return (uint16_t)((t == T_I32 && l.place == IN_INT) << (l.reg & 15));
}

AbiSize abi_size(const FuncType *t)
{
    const Type *results = t->types + t->n_params;
    AbiCursor in = {0}, out = {0};
    AbiSize s = {0};
    for (uint32_t k = 0; k < t->n_params; k++)
        s.i32_args |= i32_bit(abi_param(&in, t->types[k]), t->types[k]);
    for (uint32_t k = 0; k < t->n_results; k++)
        s.i32_results |= i32_bit(abi_result(&out, results[k]), results[k]);
    s.results = (out.bytes + 15) & ~15u;
    if (s.results)
        s.area = abi_param(&in, T_I64);
    s.args = (in.bytes + 15) & ~15u;
    return s;
}
