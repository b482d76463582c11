/* eval_v128.h - the meaning of every vector instruction, on C types alone.
 *
 * A V128 is 16 bytes, lane 0 first (little-endian).  Relaxed instructions
 * take the choices of the deterministic profile.  See WebAssembly 3.0, 4.3.4
 * and, for relaxed ones, appendix A.8.
 */
#ifndef CHI_BASE_EVAL_V128_H
#define CHI_BASE_EVAL_V128_H

#include "base/eval.h"

typedef union {
    uint8_t u8[16];
    int8_t s8[16];
    uint16_t u16[8];
    int16_t s16[8];
    uint32_t u32[4];
    int32_t s32[4];
    uint64_t u64[2];
    int64_t s64[2];
    float f32[4];
    double f64[2];
} V128;

/* clang-format off */

#define EACH(n) for (int i = 0; i < (n); i++)
#define V_UN(name, n, out, in, EXPR)                                           \
    static inline V128 eval_##name(V128 v)                                     \
    { V128 r = {{0}}; EACH(n) { __typeof__(v.in[0]) a = v.in[i];               \
      r.out[i] = (__typeof__(r.out[0]))(EXPR); } return r; }
#define V_BIN(name, n, out, in, EXPR)                                          \
    static inline V128 eval_##name(V128 v, V128 w)                             \
    { V128 r; EACH(n) { __typeof__(v.in[0]) a = v.in[i], b = w.in[i];          \
      r.out[i] = (__typeof__(r.out[0]))(EXPR); } return r; }
/* Both operands' lanes 2i and 2i+1, or low/high halves, are up to EXPR. */
#define V_BIN_FREE(name, n, out, EXPR)                                         \
    static inline V128 eval_##name(V128 v, V128 w)                             \
    { V128 r; EACH(n) r.out[i] = (__typeof__(r.out[0]))(EXPR); return r; }
#define V_UN_FREE(name, n, out, EXPR)                                          \
    static inline V128 eval_##name(V128 v)                                     \
    { V128 r = {{0}}; EACH(n) r.out[i] = (__typeof__(r.out[0]))(EXPR);         \
      return r; }

static inline int32_t clamp_s(int32_t x, int32_t low, int32_t high)
{ return x < low ? low : x > high ? high : x; }

/* ---- whole vectors */
V_UN(v128_not, 2, u64, u64, ~a)
V_BIN(v128_and, 2, u64, u64, a & b)
V_BIN(v128_andnot, 2, u64, u64, a & ~b)
V_BIN(v128_or, 2, u64, u64, a | b)
V_BIN(v128_xor, 2, u64, u64, a ^ b)
static inline V128 eval_v128_bitselect(V128 v, V128 w, V128 mask)
{
    V128 r;
    EACH(2) r.u64[i] = (v.u64[i] & mask.u64[i]) | (w.u64[i] & ~mask.u64[i]);
    return r;
}
static inline uint32_t eval_v128_any_true(V128 v)
{ return (v.u64[0] | v.u64[1]) != 0; }
static inline V128 eval_i8x16_swizzle(V128 v, V128 w)
{ V128 r; EACH(16) r.u8[i] = w.u8[i] < 16 ? v.u8[w.u8[i]] : 0; return r; }
static inline V128 eval_i8x16_shuffle(V128 v, V128 w, const uint8_t lane[16])
{
    V128 r;
    EACH(16) r.u8[i] = lane[i] < 16 ? v.u8[lane[i]] : w.u8[lane[i] - 16];
    return r;
}

/* ---- integer lanes: s is the shape, n lanes, u and s8.. the fields */
#define V_INT(s, n, u, sg, BITS, T)                                            \
    static inline V128 eval_##s##_splat(T x)                                   \
    { V128 r; EACH(n) r.u[i] = (__typeof__(r.u[0]))x; return r; }              \
    static inline V128 eval_##s##_replace_lane(V128 v, int lane, T x)          \
    { v.u[lane] = (__typeof__(v.u[0]))x; return v; }                           \
    V_UN(s##_abs, n, u, u, (__typeof__(v.sg[0]))a < 0 ? 0u - a : a)            \
    V_UN(s##_neg, n, u, u, 0u - a)                                             \
    V_BIN(s##_add, n, u, u, a + b)                                             \
    V_BIN(s##_sub, n, u, u, a - b)                                             \
    V_BIN(s##_eq, n, u, u, a == b ? -1 : 0)                                    \
    V_BIN(s##_ne, n, u, u, a != b ? -1 : 0)                                    \
    V_BIN(s##_lt_s, n, u, sg, a < b ? -1 : 0)                                  \
    V_BIN(s##_gt_s, n, u, sg, a > b ? -1 : 0)                                  \
    V_BIN(s##_le_s, n, u, sg, a <= b ? -1 : 0)                                 \
    V_BIN(s##_ge_s, n, u, sg, a >= b ? -1 : 0)                                 \
    static inline V128 eval_##s##_shl(V128 v, uint32_t by)                     \
    { V128 r; EACH(n) r.u[i] = (__typeof__(r.u[0]))(v.u[i] << by % BITS);      \
      return r; }                                                              \
    static inline V128 eval_##s##_shr_s(V128 v, uint32_t by)                   \
    { V128 r; EACH(n) r.sg[i] = (__typeof__(r.sg[0]))(v.sg[i] >> by % BITS);   \
      return r; }                                                              \
    static inline V128 eval_##s##_shr_u(V128 v, uint32_t by)                   \
    { V128 r; EACH(n) r.u[i] = (__typeof__(r.u[0]))(v.u[i] >> by % BITS);      \
      return r; }                                                              \
    static inline uint32_t eval_##s##_all_true(V128 v)                         \
    { EACH(n) if (!v.u[i]) return 0; return 1; }                               \
    static inline uint32_t eval_##s##_bitmask(V128 v)                          \
    { uint32_t r = 0; EACH(n) r |= (uint32_t)(v.sg[i] < 0) << i; return r; }
V_INT(i8x16, 16, u8, s8, 8, uint32_t)
V_INT(i16x8, 8, u16, s16, 16, uint32_t)
V_INT(i32x4, 4, u32, s32, 32, uint32_t)
V_INT(i64x2, 2, u64, s64, 64, uint64_t)

#define V_INT_SMALL(s, n, u, sg)                                               \
    V_BIN(s##_lt_u, n, u, u, a < b ? -1 : 0)                                   \
    V_BIN(s##_gt_u, n, u, u, a > b ? -1 : 0)                                   \
    V_BIN(s##_le_u, n, u, u, a <= b ? -1 : 0)                                  \
    V_BIN(s##_ge_u, n, u, u, a >= b ? -1 : 0)                                  \
    V_BIN(s##_min_s, n, u, sg, a < b ? a : b)                                  \
    V_BIN(s##_min_u, n, u, u, a < b ? a : b)                                   \
    V_BIN(s##_max_s, n, u, sg, a > b ? a : b)                                  \
    V_BIN(s##_max_u, n, u, u, a > b ? a : b)
V_INT_SMALL(i8x16, 16, u8, s8)
V_INT_SMALL(i16x8, 8, u16, s16)
V_INT_SMALL(i32x4, 4, u32, s32)

#define V_INT_SATURATE(s, n, u, sg, MIN, MAX, UMAX)                            \
    V_BIN(s##_add_sat_s, n, u, sg, clamp_s(a + b, MIN, MAX))                   \
    V_BIN(s##_add_sat_u, n, u, u, a + b > UMAX ? UMAX : a + b)                 \
    V_BIN(s##_sub_sat_s, n, u, sg, clamp_s(a - b, MIN, MAX))                   \
    V_BIN(s##_sub_sat_u, n, u, u, a < b ? 0 : a - b)                           \
    V_BIN(s##_avgr_u, n, u, u, (a + b + 1) >> 1)
V_INT_SATURATE(i8x16, 16, u8, s8, INT8_MIN, INT8_MAX, UINT8_MAX)
V_INT_SATURATE(i16x8, 8, u16, s16, INT16_MIN, INT16_MAX, UINT16_MAX)

V_BIN(i16x8_mul, 8, u16, u16, (uint32_t)a * b)
V_BIN(i32x4_mul, 4, u32, u32, a * b)
V_BIN(i64x2_mul, 2, u64, u64, a * b)
V_UN(i8x16_popcnt, 16, u8, u8, __builtin_popcount(a))
V_BIN(i16x8_q15mulr_sat_s, 8, s16, s16,
      clamp_s((a * b + 0x4000) >> 15, INT16_MIN, INT16_MAX))
V_BIN_FREE(i32x4_dot_i16x8_s, 4, u32,
           (uint32_t)(v.s16[2 * i] * w.s16[2 * i])
           + (uint32_t)(v.s16[2 * i + 1] * w.s16[2 * i + 1]))

/* Lanes of half the width: first those of v, then those of w. */
#define V_NARROW(s, n, out, in, MIN, MAX)                                      \
    V_BIN_FREE(s, n, out,                                                      \
        clamp_s(i < (n) / 2 ? v.in[i % ((n) / 2)] : w.in[i % ((n) / 2)],       \
                MIN, MAX))
V_NARROW(i8x16_narrow_i16x8_s, 16, s8, s16, INT8_MIN, INT8_MAX)
V_NARROW(i8x16_narrow_i16x8_u, 16, u8, s16, 0, UINT8_MAX)
V_NARROW(i16x8_narrow_i32x4_s, 8, s16, s32, INT16_MIN, INT16_MAX)
V_NARROW(i16x8_narrow_i32x4_u, 8, u16, s32, 0, UINT16_MAX)

/* Lanes of double the width, out of sg or u lanes of the narrow shape. */
#define V_EXTEND(s, from, n, out, in, g, T)                                    \
    V_UN_FREE(s##_extend_low_##from##_##g, n, out, (T)v.in[i])                 \
    V_UN_FREE(s##_extend_high_##from##_##g, n, out, (T)v.in[i + (n)])          \
    V_BIN_FREE(s##_extmul_low_##from##_##g, n, out, (T)v.in[i] * (T)w.in[i])   \
    V_BIN_FREE(s##_extmul_high_##from##_##g, n, out,                           \
               (T)v.in[i + (n)] * (T)w.in[i + (n)])
V_EXTEND(i16x8, i8x16, 8, u16, s8, s, int32_t)
V_EXTEND(i16x8, i8x16, 8, u16, u8, u, uint32_t)
V_EXTEND(i32x4, i16x8, 4, u32, s16, s, int32_t)
V_EXTEND(i32x4, i16x8, 4, u32, u16, u, uint32_t)
V_EXTEND(i64x2, i32x4, 2, u64, s32, s, int64_t)
V_EXTEND(i64x2, i32x4, 2, u64, u32, u, uint64_t)

V_UN_FREE(i16x8_extadd_pairwise_i8x16_s, 8, u16, v.s8[2 * i] + v.s8[2 * i + 1])
V_UN_FREE(i16x8_extadd_pairwise_i8x16_u, 8, u16, v.u8[2 * i] + v.u8[2 * i + 1])
V_UN_FREE(i32x4_extadd_pairwise_i16x8_s, 4, u32,
          v.s16[2 * i] + v.s16[2 * i + 1])
V_UN_FREE(i32x4_extadd_pairwise_i16x8_u, 4, u32,
          v.u16[2 * i] + v.u16[2 * i + 1])

static inline uint32_t eval_i8x16_s_extract_lane(V128 v, int lane)
{ return (uint32_t)v.s8[lane]; }
static inline uint32_t eval_i8x16_u_extract_lane(V128 v, int lane)
{ return v.u8[lane]; }
static inline uint32_t eval_i16x8_s_extract_lane(V128 v, int lane)
{ return (uint32_t)v.s16[lane]; }
static inline uint32_t eval_i16x8_u_extract_lane(V128 v, int lane)
{ return v.u16[lane]; }
static inline uint32_t eval_i32x4_extract_lane(V128 v, int lane)
{ return v.u32[lane]; }
static inline uint64_t eval_i64x2_extract_lane(V128 v, int lane)
{ return v.u64[lane]; }
static inline float eval_f32x4_extract_lane(V128 v, int lane)
{ return v.f32[lane]; }
static inline double eval_f64x2_extract_lane(V128 v, int lane)
{ return v.f64[lane]; }

/* ---- float lanes */
#define V_FLOAT(s, n, f, u, T, t)                                              \
    static inline V128 eval_##s##_splat(T x)                                   \
    { V128 r; EACH(n) r.f[i] = x; return r; }                                  \
    static inline V128 eval_##s##_replace_lane(V128 v, int lane, T x)          \
    { v.f[lane] = x; return v; }                                               \
    V_UN(s##_abs, n, f, f, eval_##t##_abs(a))                                  \
    V_UN(s##_neg, n, f, f, eval_##t##_neg(a))                                  \
    V_UN(s##_sqrt, n, f, f, eval_##t##_sqrt(a))                                \
    V_UN(s##_ceil, n, f, f, eval_##t##_ceil(a))                                \
    V_UN(s##_floor, n, f, f, eval_##t##_floor(a))                              \
    V_UN(s##_trunc, n, f, f, eval_##t##_trunc(a))                              \
    V_UN(s##_nearest, n, f, f, eval_##t##_nearest(a))                          \
    V_BIN(s##_add, n, f, f, a + b)                                             \
    V_BIN(s##_sub, n, f, f, a - b)                                             \
    V_BIN(s##_mul, n, f, f, a * b)                                             \
    V_BIN(s##_div, n, f, f, a / b)                                             \
    V_BIN(s##_min, n, f, f, eval_##t##_min(a, b))                              \
    V_BIN(s##_max, n, f, f, eval_##t##_max(a, b))                              \
    V_BIN(s##_pmin, n, f, f, eval_##t##_pmin(a, b))                            \
    V_BIN(s##_pmax, n, f, f, eval_##t##_pmax(a, b))                            \
    V_BIN(s##_eq, n, u, f, a == b ? -1 : 0)                                    \
    V_BIN(s##_ne, n, u, f, a != b ? -1 : 0)                                    \
    V_BIN(s##_lt, n, u, f, a < b ? -1 : 0)                                     \
    V_BIN(s##_gt, n, u, f, a > b ? -1 : 0)                                     \
    V_BIN(s##_le, n, u, f, a <= b ? -1 : 0)                                    \
    V_BIN(s##_ge, n, u, f, a >= b ? -1 : 0)                                    \
    static inline V128 eval_##s##_relaxed_madd(V128 v, V128 w, V128 x)         \
    { V128 r; EACH(n) r.f[i] = eval_##t##_fma(v.f[i], w.f[i], x.f[i]);         \
      return r; }                                                              \
    static inline V128 eval_##s##_relaxed_nmadd(V128 v, V128 w, V128 x)        \
    { V128 r; EACH(n) r.f[i] = eval_##t##_fma(-v.f[i], w.f[i], x.f[i]);        \
      return r; }
static inline float eval_f32_fma(float a, float b, float c)
{ return fmaf(a, b, c); }
static inline double eval_f64_fma(double a, double b, double c)
{ return fma(a, b, c); }
V_FLOAT(f32x4, 4, f32, u32, float, f32)
V_FLOAT(f64x2, 2, f64, u64, double, f64)

V_UN_FREE(f32x4_demote_f64x2_zero, 4, f32, i < 2 ? (float)v.f64[i % 2] : 0)
V_UN_FREE(f64x2_promote_low_f32x4, 2, f64, v.f32[i])
V_UN(i32x4_trunc_sat_f32x4_s, 4, u32, f32, eval_i32_trunc_sat_s_f32(a))
V_UN(i32x4_trunc_sat_f32x4_u, 4, u32, f32, eval_i32_trunc_sat_u_f32(a))
V_UN_FREE(i32x4_trunc_sat_f64x2_s_zero, 2, u32,
          eval_i32_trunc_sat_s_f64(v.f64[i]))
V_UN_FREE(i32x4_trunc_sat_f64x2_u_zero, 2, u32,
          eval_i32_trunc_sat_u_f64(v.f64[i]))
V_UN(f32x4_convert_i32x4_s, 4, f32, s32, (float)a)
V_UN(f32x4_convert_i32x4_u, 4, f32, u32, (float)a)
V_UN_FREE(f64x2_convert_low_i32x4_s, 2, f64, (double)v.s32[i])
V_UN_FREE(f64x2_convert_low_i32x4_u, 2, f64, (double)v.u32[i])

/* ---- relaxed: the deterministic choices */
static inline V128 eval_i8x16_relaxed_swizzle(V128 v, V128 w)
{ return eval_i8x16_swizzle(v, w); }
#define V_RELAXED_UN(name, same)                                               \
    static inline V128 eval_##name(V128 v) { return eval_##same(v); }
V_RELAXED_UN(i32x4_relaxed_trunc_f32x4_s, i32x4_trunc_sat_f32x4_s)
V_RELAXED_UN(i32x4_relaxed_trunc_f32x4_u, i32x4_trunc_sat_f32x4_u)
V_RELAXED_UN(i32x4_relaxed_trunc_f64x2_s_zero, i32x4_trunc_sat_f64x2_s_zero)
V_RELAXED_UN(i32x4_relaxed_trunc_f64x2_u_zero, i32x4_trunc_sat_f64x2_u_zero)
#define V_RELAXED_BIN(name, same)                                              \
    static inline V128 eval_##name(V128 v, V128 w) { return eval_##same(v, w); }
V_RELAXED_BIN(f32x4_relaxed_min, f32x4_min)
V_RELAXED_BIN(f32x4_relaxed_max, f32x4_max)
V_RELAXED_BIN(f64x2_relaxed_min, f64x2_min)
V_RELAXED_BIN(f64x2_relaxed_max, f64x2_max)
V_RELAXED_BIN(i16x8_relaxed_q15mulr_s, i16x8_q15mulr_sat_s)
#define V_LANESELECT(s)                                                        \
    static inline V128 eval_##s##_relaxed_laneselect(V128 v, V128 w, V128 m)   \
    { return eval_v128_bitselect(v, w, m); }
V_LANESELECT(i8x16)
V_LANESELECT(i16x8)
V_LANESELECT(i32x4)
V_LANESELECT(i64x2)
V_BIN_FREE(i16x8_relaxed_dot_i8x16_i7x16_s, 8, u16,
           v.s8[2 * i] * w.s8[2 * i] + v.s8[2 * i + 1] * w.s8[2 * i + 1])
static inline V128 eval_i32x4_relaxed_dot_i8x16_i7x16_add_s(V128 v, V128 w,
                                                            V128 x)
{
    V128 d = eval_i16x8_relaxed_dot_i8x16_i7x16_s(v, w);
    return eval_i32x4_add(eval_i32x4_extadd_pairwise_i16x8_s(d), x);
}

/* ---- loads: p has as many readable bytes as op.def says */
static inline V128 eval_load(const void *p)
{ V128 r; memcpy(&r, p, 16); return r; }
static inline V128 eval_load_partial(const void *p, int n)
{ V128 r = {{0}}; memcpy(&r, p, (size_t)n); return r; }
#define V_LOAD(name, n, EXPR)                                                  \
    static inline V128 eval_##name(const void *p)                              \
    { V128 v = eval_load_partial(p, n); return EXPR; }
V_LOAD(load8x8_s, 8, eval_i16x8_extend_low_i8x16_s(v))
V_LOAD(load8x8_u, 8, eval_i16x8_extend_low_i8x16_u(v))
V_LOAD(load16x4_s, 8, eval_i32x4_extend_low_i16x8_s(v))
V_LOAD(load16x4_u, 8, eval_i32x4_extend_low_i16x8_u(v))
V_LOAD(load32x2_s, 8, eval_i64x2_extend_low_i32x4_s(v))
V_LOAD(load32x2_u, 8, eval_i64x2_extend_low_i32x4_u(v))
V_LOAD(load8_splat, 1, eval_i8x16_splat(v.u8[0]))
V_LOAD(load16_splat, 2, eval_i16x8_splat(v.u16[0]))
V_LOAD(load32_splat, 4, eval_i32x4_splat(v.u32[0]))
V_LOAD(load64_splat, 8, eval_i64x2_splat(v.u64[0]))
V_LOAD(load32_zero, 4, v)
V_LOAD(load64_zero, 8, v)

#undef EACH
#undef V_UN
#undef V_BIN
#undef V_BIN_FREE
#undef V_UN_FREE
#undef V_INT
#undef V_INT_SMALL
#undef V_INT_SATURATE
#undef V_NARROW
#undef V_EXTEND
#undef V_FLOAT
#undef V_RELAXED_UN
#undef V_RELAXED_BIN
#undef V_LANESELECT
#undef V_LOAD

/* clang-format on */

#endif
