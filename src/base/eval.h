/* eval.h - the meaning of every arithmetic instruction, on C types alone.
 *
 * Stated once; the interpreter and the constant folder use the same lines.
 * eval_<type>_<operation>; i32 and i64 are unsigned C types, f32 and f64 are
 * float and double.  What may trap returns an ErrorCode and writes *r.  The C
 * compiler must not change floating point: no -ffast-math, no contraction,
 * SSE2 or the like.  Vectors: eval_v128.h.  See WebAssembly 3.0, 4.3.
 */
#ifndef CHI_BASE_EVAL_H
#define CHI_BASE_EVAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* clang-format off */

/* ---- integers: T is the unsigned type, S the signed one, BITS its width */
#define EVAL_INT(t, T, S, BITS, CLZ, CTZ, POPCNT)                              \
    static inline T eval_##t##_clz(T a) { return a ? (T)CLZ(a) : BITS; }       \
    static inline T eval_##t##_ctz(T a) { return a ? (T)CTZ(a) : BITS; }       \
    static inline T eval_##t##_popcnt(T a) { return (T)POPCNT(a); }            \
    static inline T eval_##t##_add(T a, T b) { return a + b; }                 \
    static inline T eval_##t##_sub(T a, T b) { return a - b; }                 \
    static inline T eval_##t##_mul(T a, T b) { return a * b; }                 \
    static inline T eval_##t##_and(T a, T b) { return a & b; }                 \
    static inline T eval_##t##_or(T a, T b) { return a | b; }                  \
    static inline T eval_##t##_xor(T a, T b) { return a ^ b; }                 \
    static inline T eval_##t##_shl(T a, T b) { return a << (b % BITS); }       \
    static inline T eval_##t##_shr_u(T a, T b) { return a >> (b % BITS); }     \
    static inline T eval_##t##_shr_s(T a, T b)                                 \
    { return (T)((S)a >> (b % BITS)); }                                        \
    static inline T eval_##t##_rotl(T a, T b)                                  \
    { return a << (b % BITS) | a >> ((0u - b) % BITS); }                       \
    static inline T eval_##t##_rotr(T a, T b)                                  \
    { return a >> (b % BITS) | a << ((0u - b) % BITS); }                       \
    static inline T eval_##t##_xchg(T a, T b) { (void)a; return b; }           \
    static inline uint32_t eval_##t##_eqz(T a) { return a == 0; }              \
    static inline uint32_t eval_##t##_eq(T a, T b) { return a == b; }          \
    static inline uint32_t eval_##t##_ne(T a, T b) { return a != b; }          \
    static inline uint32_t eval_##t##_lt_s(T a, T b) { return (S)a < (S)b; }   \
    static inline uint32_t eval_##t##_lt_u(T a, T b) { return a < b; }         \
    static inline uint32_t eval_##t##_gt_s(T a, T b) { return (S)a > (S)b; }   \
    static inline uint32_t eval_##t##_gt_u(T a, T b) { return a > b; }         \
    static inline uint32_t eval_##t##_le_s(T a, T b) { return (S)a <= (S)b; }  \
    static inline uint32_t eval_##t##_le_u(T a, T b) { return a <= b; }        \
    static inline uint32_t eval_##t##_ge_s(T a, T b) { return (S)a >= (S)b; }  \
    static inline uint32_t eval_##t##_ge_u(T a, T b) { return a >= b; }        \
    static inline ErrorCode eval_##t##_div_s(T *r, T a, T b)                   \
    {                                                                          \
        if (b == 0)                                                            \
            return ERR_DIVIDE;                                                 \
        if (a == (T)1 << (BITS - 1) && b == (T)-1)                             \
            return ERR_OVERFLOW;                                               \
        *r = (T)((S)a / (S)b);                                                 \
        return ERR_OK;                                                         \
    }                                                                          \
    static inline ErrorCode eval_##t##_div_u(T *r, T a, T b)                   \
    {                                                                          \
        if (b == 0)                                                            \
            return ERR_DIVIDE;                                                 \
        *r = a / b;                                                            \
        return ERR_OK;                                                         \
    }                                                                          \
    static inline ErrorCode eval_##t##_rem_s(T *r, T a, T b)                   \
    {                                                                          \
        if (b == 0)                                                            \
            return ERR_DIVIDE;                                                 \
        *r = b == (T)-1 ? 0 : (T)((S)a % (S)b);                                \
        return ERR_OK;                                                         \
    }                                                                          \
    static inline ErrorCode eval_##t##_rem_u(T *r, T a, T b)                   \
    {                                                                          \
        if (b == 0)                                                            \
            return ERR_DIVIDE;                                                 \
        *r = a % b;                                                            \
        return ERR_OK;                                                         \
    }
EVAL_INT(i32, uint32_t, int32_t, 32, __builtin_clz, __builtin_ctz,
         __builtin_popcount)
EVAL_INT(i64, uint64_t, int64_t, 64, __builtin_clzll, __builtin_ctzll,
         __builtin_popcountll)
#undef EVAL_INT

static inline uint32_t eval_i32_extend8_s(uint32_t a)
{ return (uint32_t)(int8_t)a; }
static inline uint32_t eval_i32_extend16_s(uint32_t a)
{ return (uint32_t)(int16_t)a; }
static inline uint64_t eval_i64_extend8_s(uint64_t a)
{ return (uint64_t)(int8_t)a; }
static inline uint64_t eval_i64_extend16_s(uint64_t a)
{ return (uint64_t)(int16_t)a; }
static inline uint64_t eval_i64_extend32_s(uint64_t a)
{ return (uint64_t)(int32_t)a; }

/* ---- floats: EXACT is 2^(bits of the fraction): from it on all are whole.
 * Rounding goes by adding and taking away EXACT, which rounds to even.
 * A NaN that comes out is quiet: hence a + a. */
#define EVAL_FLOAT(t, T, EXACT, FABS, COPYSIGN, SQRT)                          \
    static inline T eval_##t##_abs(T a) { return FABS(a); }                    \
    static inline T eval_##t##_neg(T a) { return -a; }                         \
    static inline T eval_##t##_copysign(T a, T b) { return COPYSIGN(a, b); }   \
    static inline T eval_##t##_sqrt(T a) { return SQRT(a); }                   \
    static inline T eval_##t##_add(T a, T b) { return a + b; }                 \
    static inline T eval_##t##_sub(T a, T b) { return a - b; }                 \
    static inline T eval_##t##_mul(T a, T b) { return a * b; }                 \
    static inline T eval_##t##_div(T a, T b) { return a / b; }                 \
    static inline T eval_##t##_nearest(T a)                                    \
    {                                                                          \
        if (!(FABS(a) < EXACT))                                                \
            return a != a ? a + a : a;                                         \
        T big = COPYSIGN(EXACT, a);                                            \
        return COPYSIGN((a + big) - big, a);                                   \
    }                                                                          \
    static inline T eval_##t##_floor(T a)                                      \
    {                                                                          \
        T r = eval_##t##_nearest(a);                                           \
        return r > a ? COPYSIGN(r - 1, a) : r;                                 \
    }                                                                          \
    static inline T eval_##t##_ceil(T a)                                       \
    {                                                                          \
        T r = eval_##t##_nearest(a);                                           \
        return r < a ? COPYSIGN(r + 1, a) : r;                                 \
    }                                                                          \
    static inline T eval_##t##_trunc(T a)                                      \
    {                                                                          \
        T r = eval_##t##_nearest(FABS(a));                                     \
        return COPYSIGN(r > FABS(a) ? r - 1 : r, a);                           \
    }                                                                          \
    static inline T eval_##t##_min(T a, T b)                                   \
    {                                                                          \
        if (a != a || b != b)                                                  \
            return a + b;                                                      \
        if (a == b)                                                            \
            return COPYSIGN((T)1, a) < 0 ? a : b;                              \
        return a < b ? a : b;                                                  \
    }                                                                          \
    static inline T eval_##t##_max(T a, T b)                                   \
    {                                                                          \
        if (a != a || b != b)                                                  \
            return a + b;                                                      \
        if (a == b)                                                            \
            return COPYSIGN((T)1, a) < 0 ? b : a;                              \
        return a > b ? a : b;                                                  \
    }                                                                          \
    static inline T eval_##t##_pmin(T a, T b) { return b < a ? b : a; }        \
    static inline T eval_##t##_pmax(T a, T b) { return a < b ? b : a; }        \
    static inline uint32_t eval_##t##_eq(T a, T b) { return a == b; }          \
    static inline uint32_t eval_##t##_ne(T a, T b) { return a != b; }          \
    static inline uint32_t eval_##t##_lt(T a, T b) { return a < b; }           \
    static inline uint32_t eval_##t##_gt(T a, T b) { return a > b; }           \
    static inline uint32_t eval_##t##_le(T a, T b) { return a <= b; }          \
    static inline uint32_t eval_##t##_ge(T a, T b) { return a >= b; }
EVAL_FLOAT(f32, float, 0x1p23f, __builtin_fabsf, __builtin_copysignf,
           __builtin_sqrtf)
EVAL_FLOAT(f64, double, 0x1p52, __builtin_fabs, __builtin_copysign,
           __builtin_sqrt)
#undef EVAL_FLOAT

/* ---- conversions */
static inline uint32_t eval_i32_wrap_i64(uint64_t a) { return (uint32_t)a; }
static inline uint64_t eval_i64_extend_s_i32(uint32_t a)
{ return (uint64_t)(int32_t)a; }
static inline uint64_t eval_i64_extend_u_i32(uint32_t a) { return a; }
static inline float eval_f32_convert_s_i32(uint32_t a)
{ return (float)(int32_t)a; }
static inline float eval_f32_convert_u_i32(uint32_t a) { return (float)a; }
static inline float eval_f32_convert_s_i64(uint64_t a)
{ return (float)(int64_t)a; }
static inline float eval_f32_convert_u_i64(uint64_t a) { return (float)a; }
static inline double eval_f64_convert_s_i32(uint32_t a)
{ return (double)(int32_t)a; }
static inline double eval_f64_convert_u_i32(uint32_t a) { return (double)a; }
static inline double eval_f64_convert_s_i64(uint64_t a)
{ return (double)(int64_t)a; }
static inline double eval_f64_convert_u_i64(uint64_t a) { return (double)a; }
static inline float eval_f32_demote_f64(double a) { return (float)a; }
static inline double eval_f64_promote_f32(float a) { return (double)a; }

#define EVAL_BITS(to, TO, from, FROM)                                          \
    static inline TO eval_##to##_reinterpret_##from(FROM a)                    \
    { TO r; memcpy(&r, &a, sizeof r); return r; }
EVAL_BITS(i32, uint32_t, f32, float)
EVAL_BITS(i64, uint64_t, f64, double)
EVAL_BITS(f32, float, i32, uint32_t)
EVAL_BITS(f64, double, i64, uint64_t)
#undef EVAL_BITS

/* In range: LEAST OP a and a < MOST. */
#define EVAL_TRUNC(to, TO, VIA, f, from, FROM, LEAST, OP, MOST, LOW, HIGH)     \
    static inline ErrorCode eval_##to##_trunc_##f##_##from(TO *r, FROM a)      \
    {                                                                          \
        if (a != a)                                                            \
            return ERR_CONVERSION;                                             \
        if (!(LEAST OP a && a < MOST))                                         \
            return ERR_OVERFLOW;                                               \
        *r = (TO)(VIA)a;                                                       \
        return ERR_OK;                                                         \
    }                                                                          \
    static inline TO eval_##to##_trunc_sat_##f##_##from(FROM a)                \
    {                                                                          \
        if (LEAST OP a && a < MOST)                                            \
            return (TO)(VIA)a;                                                 \
        return a != a ? 0 : a < 0 ? (TO)LOW : (TO)HIGH;                        \
    }
EVAL_TRUNC(i32, uint32_t, int32_t, s, f32, float, -0x1p31f, <=, 0x1p31f,
           INT32_MIN, INT32_MAX)
EVAL_TRUNC(i32, uint32_t, uint32_t, u, f32, float, -1.0f, <, 0x1p32f, 0,
           UINT32_MAX)
EVAL_TRUNC(i32, uint32_t, int32_t, s, f64, double, -2147483649.0, <, 0x1p31,
           INT32_MIN, INT32_MAX)
EVAL_TRUNC(i32, uint32_t, uint32_t, u, f64, double, -1.0, <, 0x1p32, 0,
           UINT32_MAX)
EVAL_TRUNC(i64, uint64_t, int64_t, s, f32, float, -0x1p63f, <=, 0x1p63f,
           INT64_MIN, INT64_MAX)
EVAL_TRUNC(i64, uint64_t, uint64_t, u, f32, float, -1.0f, <, 0x1p64f, 0,
           UINT64_MAX)
EVAL_TRUNC(i64, uint64_t, int64_t, s, f64, double, -0x1p63, <=, 0x1p63,
           INT64_MIN, INT64_MAX)
EVAL_TRUNC(i64, uint64_t, uint64_t, u, f64, double, -1.0, <, 0x1p64, 0,
           UINT64_MAX)
#undef EVAL_TRUNC

/* ---- wide arithmetic: two i64 results, low half first; r may be a */
static inline void eval_add128(uint64_t r[2], const uint64_t a[4])
{
    uint64_t low = a[0] + a[2];
    r[1] = a[1] + a[3] + (low < a[0]);
    r[0] = low;
}
static inline void eval_sub128(uint64_t r[2], const uint64_t a[4])
{
    uint64_t low = a[0] - a[2];
    r[1] = a[1] - a[3] - (a[0] < a[2]);
    r[0] = low;
}
static inline void eval_mul_wide_u(uint64_t r[2], const uint64_t a[2])
{
    uint64_t al = (uint32_t)a[0], ah = a[0] >> 32;
    uint64_t bl = (uint32_t)a[1], bh = a[1] >> 32;
    uint64_t ll = al * bl, lh = al * bh, hl = ah * bl;
    uint64_t mid = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
    r[0] = mid << 32 | (uint32_t)ll;
    r[1] = ah * bh + (lh >> 32) + (hl >> 32) + (mid >> 32);
}
static inline void eval_mul_wide_s(uint64_t r[2], const uint64_t a[2])
{
    uint64_t x = a[0], y = a[1];
    eval_mul_wide_u(r, a);
    r[1] -= ((int64_t)x < 0 ? y : 0) + ((int64_t)y < 0 ? x : 0);
}

/* clang-format on */

#endif
