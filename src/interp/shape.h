/* shape.h - the instructions whose row in op.def says all.
 *
 * Included by a dispatcher after hand.h: each shape is the body of its
 * instructions.
 */

/* clang-format off */

#define HAND(f) GO_HAND(f)

#define UN(t, f)   tos = put_##t(eval_##t##_##f(get_##t(tos))); NEXT;
#define TEST(t, f) tos = eval_##t##_##f(get_##t(tos)); NEXT;
#define BIN(t, f)                                                              \
    sp--;                                                                      \
    tos = put_##t(eval_##t##_##f(get_##t(*sp), get_##t(tos)));                 \
    NEXT;
#define CMP(t, f)                                                              \
    sp--;                                                                      \
    tos = eval_##t##_##f(get_##t(*sp), get_##t(tos));                          \
    NEXT;
#define DIV(t, f)                                                              \
    C_##t r = 0;                                                               \
    sp--;                                                                      \
    CHECK(eval_##t##_##f(&r, get_##t(*sp), get_##t(tos)));                     \
    tos = put_##t(r);                                                          \
    NEXT;
#define CONV(to, from, f)                                                      \
    tos = put_##to(eval_##to##_##f##_##from(get_##from(tos)));                 \
    NEXT;
#define TRUNC(to, from, f)                                                     \
    C_##to r = 0;                                                              \
    CHECK(eval_##to##_##f##_##from(&r, get_##from(tos)));                      \
    tos = put_##to(r);                                                         \
    NEXT;
#define LOAD(t, m)                                                             \
    EFFECTIVE(d, ea, tos, sizeof(M_##m));                                      \
    M_##m x;                                                                   \
    memcpy(&x, d->base + ea, sizeof x);                                        \
    tos = bits_##t(x);                                                         \
    NEXT;
#define STORE(t, m)                                                            \
    EFFECTIVE(d, ea, sp[-1], sizeof(M_##m));                                   \
    M_##m x = (M_##m)tos;                                                      \
    memcpy(d->base + ea, &x, sizeof x);                                        \
    sp -= 2;                                                                   \
    FILL();                                                                    \
    NEXT;
#define WIDE(f, n)                                                             \
    SPILL();                                                                   \
    sp -= n;                                                                   \
    eval_##f(sp + 1, sp + 1);                                                  \
    sp += 2;                                                                   \
    FILL();                                                                    \
    NEXT;

/* Vectors work in memory: two slots each, the upper half at sp. */
#define VUN(f)                                                                 \
    SPILL();                                                                   \
    put_v128(sp - 1, eval_##f(get_v128(sp - 1)));                              \
    FILL();                                                                    \
    NEXT;
#define VBIN(f)                                                                \
    SPILL();                                                                   \
    sp -= 2;                                                                   \
    put_v128(sp - 1, eval_##f(get_v128(sp - 1), get_v128(sp + 1)));            \
    FILL();                                                                    \
    NEXT;
#define VTER(f)                                                                \
    SPILL();                                                                   \
    sp -= 4;                                                                   \
    put_v128(sp - 1, eval_##f(get_v128(sp - 1), get_v128(sp + 1),              \
                              get_v128(sp + 3)));                              \
    FILL();                                                                    \
    NEXT;
#define VTEST(f)                                                               \
    SPILL();                                                                   \
    sp--;                                                                      \
    tos = eval_##f(get_v128(sp));                                              \
    NEXT;
#define VSHIFT(f)                                                              \
    sp--;                                                                      \
    put_v128(sp - 1, eval_##f(get_v128(sp - 1), get_i32(tos)));                \
    FILL();                                                                    \
    NEXT;
#define VSPLAT(t, s)                                                           \
    put_v128(sp, eval_##s##_splat(get_##t(tos)));                              \
    sp++;                                                                      \
    FILL();                                                                    \
    NEXT;
#define VEXTRACT(t, s, lanes)                                                  \
    SPILL();                                                                   \
    sp--;                                                                      \
    tos = put_##t(eval_##s##_extract_lane(get_v128(sp), *pc++));               \
    NEXT;
#define VREPLACE(t, s, lanes)                                                  \
    sp--;                                                                      \
    put_v128(sp - 1, eval_##s##_replace_lane(get_v128(sp - 1), *pc++,          \
                                             get_##t(tos)));                   \
    FILL();                                                                    \
    NEXT;
#define VLOAD(f, n)                                                            \
    EFFECTIVE(d, ea, tos, n);                                                  \
    put_v128(sp, eval_##f(d->base + ea));                                      \
    sp++;                                                                      \
    FILL();                                                                    \
    NEXT;
#define VSTORE(f, n)                                                           \
    EFFECTIVE(d, ea, sp[-2], n);                                               \
    SPILL();                                                                   \
    memcpy(d->base + ea, sp - 1, n);                                           \
    sp -= 3;                                                                   \
    FILL();                                                                    \
    NEXT;
#define VLOADLANE(bits, n)                                                     \
    EFFECTIVE(d, ea, sp[-2], n);                                               \
    uint32_t at = *pc++ * (n##u);                                              \
    SPILL();                                                                   \
    sp[-2] = sp[-1];                                                           \
    sp[-1] = tos;                                                              \
    sp--;                                                                      \
    memcpy((char *)(sp - 1) + at, d->base + ea, n);                            \
    FILL();                                                                    \
    NEXT;
#define VSTORELANE(bits, n)                                                    \
    EFFECTIVE(d, ea, sp[-2], n);                                               \
    uint32_t at = *pc++ * (n##u);                                              \
    SPILL();                                                                   \
    memcpy(d->base + ea, (char *)(sp - 1) + at, n);                            \
    sp -= 3;                                                                   \
    FILL();                                                                    \
    NEXT;

#define ATOMIC(m, d, ea) ((_Atomic M_##m *)(void *)(d->base + ea))
#define ALOAD(t, m)                                                            \
    EFFECTIVE_ALIGNED(d, ea, tos, sizeof(M_##m));                              \
    tos = bits_##t(atomic_load(ATOMIC(m, d, ea)));                             \
    NEXT;
#define ASTORE(t, m)                                                           \
    EFFECTIVE_ALIGNED(d, ea, sp[-1], sizeof(M_##m));                           \
    atomic_store(ATOMIC(m, d, ea), (M_##m)tos);                                \
    sp -= 2;                                                                   \
    FILL();                                                                    \
    NEXT;
#define ARMW(t, m, f)                                                          \
    EFFECTIVE_ALIGNED(d, ea, sp[-1], sizeof(M_##m));                           \
    tos = rmw_##m##_##f(ATOMIC(m, d, ea), (M_##m)tos);                         \
    sp--;                                                                      \
    NEXT;
#define ACAS(t, m)                                                             \
    EFFECTIVE_ALIGNED(d, ea, sp[-2], sizeof(M_##m));                           \
    tos = cas_##m(ATOMIC(m, d, ea), get_##t(sp[-1]), (M_##m)tos);              \
    sp -= 2;                                                                   \
    NEXT;

/* clang-format on */
