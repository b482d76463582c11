/* What to do for each instruction.  Rows of op.def whose shape says all are
 * steps of the interpreter unless there is a row for them here. */
#include "baseline/compiler.h"

#define COMMUTES  1
#define IS_ADD    2
#define IS_MUL    4
#define IS_SIGNED 1
#define IS_REM    2

enum {
    SIGN_ABS,
    SIGN_NEG,
    SIGN_COPY,
    FLOAT_LT = 1,
    FLOAT_LE,
    FLOAT_GT,
    FLOAT_GE,
    FLOAT_EQ,
    FLOAT_NE,
    FROM_I32_S = 0,
    FROM_I32_U,
    FROM_I64_S,
    FROM_I64_U,
    T_i32 = T_I32,
    T_i64 = T_I64,
    T_f32 = T_F32,
    T_f64 = T_F64
};

/* clang-format off */
#define STEP(n, out, fails) {emit_step, 0, 0, 0, 0, out, 0, n, fails, false, false, !(fails)}
#define UN(t, f)                STEP(1, T_##t, false)
#define TEST(t, f)              STEP(1, T_I32, false)
#define BIN(t, f)               STEP(2, T_##t, false)
#define CMP(t, f)               STEP(2, T_I32, false)
#define DIV(t, f)               STEP(2, T_##t, true)
#define CONV(to, from, f)       STEP(1, T_##to, false)
#define TRUNC(to, from, f)      STEP(1, T_##to, true)
#define LOAD(t, m)              STEP(1, T_##t, true)
#define STORE(t, m)             STEP(2, 0, true)
#define WIDE(f, n)              {emit_step, 0, 0, 0, 0, T_I64, 0, n, false, true, false, true}
#define VUN(f)                  STEP(1, T_V128, false)
#define VBIN(f)                 STEP(2, T_V128, false)
#define VTER(f)                 STEP(3, T_V128, false)
#define VTEST(f)                STEP(1, T_I32, false)
#define VSHIFT(f)               STEP(2, T_V128, false)
#define VSPLAT(t, s)            STEP(1, T_V128, false)
#define VEXTRACT(t, s, lanes)   STEP(1, T_##t, false)
#define VREPLACE(t, s, lanes)   STEP(2, T_V128, false)
#define VLOAD(f, n)             STEP(1, T_V128, true)
#define VSTORE(f, n)            STEP(2, 0, true)
#define VLOADLANE(bits, n)      STEP(2, T_V128, true)
#define VSTORELANE(bits, n)     STEP(2, 0, true)
#define ALOAD(t, m)             STEP(1, T_##t, true)
#define ASTORE(t, m)            STEP(2, 0, true)
#define ARMW(t, m, f)           STEP(2, T_##t, true)
#define ACAS(t, m)              STEP(3, T_##t, true)
#define HAND(f)                 STEP(STEP_HAND, 0, true)

#define ALU(op, t, flag)     {emit_alu, X64_##op, 0, T_##t, T_##t, T_##t, flag, 0, 0, 0, false, true}
#define SHIFT(op, bmi, t)    {emit_shift, X64_##op, bmi, T_##t, T_##t, T_##t, 0, 0, 0, 0, false, true}
#define DIVIDE(t, flag)      {emit_div, 0, 0, T_##t, T_##t, T_##t, flag, 0, 0, 0, false, false}
#define COMPARE(t, cond)     {emit_compare, 0, 0, T_##t, T_##t, T_I32, cond, 0, 0, 0, false, true}
#define BITS(op, cpu, t)     {emit_bits, X64_##op, cpu, T_##t, 0, T_##t, 0, 1, 0, 0, false, true}
#define EXTEND(op, from, to) {emit_extend, X64_##op, 0, T_##from, 0, T_##to, 0, 0, 0, 0, false, true}
#define FLOAT(op, t)         {emit_float_bin, X64_##op, 0, T_##t, T_##t, T_##t, 0, 0, 0, 0, false, true}
#define FLOAT1(op, from, to) {emit_float_un, X64_##op, 0, T_##from, 0, T_##to, 0, 0, 0, 0, false, true}
#define SIGN(what, t)        {emit_float_sign, 0, 0, T_##t, 0, T_##t, what, 0, 0, 0, false, true}
#define ROUND(op, t, mode)   {emit_round, X64_##op, 0, T_##t, 0, T_##t, mode, 1, 0, 0, false, true}
#define FCOMPARE(t, what)    {emit_float_compare, 0, 0, T_##t, T_##t, T_I32, what, 0, 0, 0, false, true}
#define MINMAX(op, zero, t)  {emit_min_max, X64_##op, X64_##zero, T_##t, T_##t, T_##t, 0, 0, 0, 0, false, true}
#define TO_FLOAT(op, what, from, to) {emit_int_to_float, X64_##op, 0, T_##from, 0, T_##to, what, 0, 0, 0, false, true}
#define TO_INT(op, sign, from, to)   {emit_float_to_int, X64_##op, 0, T_##from, 0, T_##to, sign, 0, 0, 0, false, false}
#define BITCAST(from, to)    {emit_reinterpret, 0, 0, T_##from, 0, T_##to, 0, 0, 0, 0, false, true}
#define RESULT_LOAD(op, n, t) {emit_load, X64_##op, n, T_I32, 0, T_##t, 0, 0, 0, 0, false, false}
#define VALUE_STORE(op, n, t) {emit_store, X64_##op, n, T_I32, T_##t, 0, 0, 0, 0, 0, false, false}
#define DO(f, x)             {emit_##f, x, 0, 0, 0, 0, 0, 0, 0, 0, false, false}
#define DO_FLAGS(f, x)       {emit_##f, x, 0, 0, 0, 0, 0, 0, 0, 0, true, false}
#define PURE(f, x)           {emit_##f, x, 0, 0, 0, 0, 0, 0, 0, 0, false, true}
#define PURE_FLAGS(f, x)     {emit_##f, x, 0, 0, 0, 0, 0, 0, 0, 0, true, true}
#define CONST(t)             {emit_const, 0, 0, 0, 0, T_##t, 0, 0, 0, 0, false, true}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
const Rule baseline_rules[OP_COUNT] = {
#define OP(NAME, CODE, TEXT, IMM, SHAPE, FEATURE) [OP_##NAME] = SHAPE,
#include "wasm/op.def"
#undef OP
    [OP_UNREACHABLE] = DO(unreachable, 0),
    [OP_NOP] = PURE(nop, 0),
    [OP_BLOCK] = DO(block, 0),
    [OP_LOOP] = DO(loop, 0),
    [OP_IF] = DO_FLAGS(if, 0),
    [OP_ELSE] = DO(else, 0),
    [OP_END] = DO(end, 0),
    [OP_TRY] = DO(try, 0),
    [OP_CATCH] = DO(catch, 0),
    [OP_CATCH_ALL] = DO(catch, 0),
    [OP_DELEGATE] = DO(delegate, 0),
    [OP_THROW] = DO(throw, 0),
    [OP_RETHROW] = DO(rethrow, 0),
    [OP_THROW_REF] = DO(throw_ref, 0),
    [OP_TRY_TABLE] = DO(try_table, 0),
    [OP_BR] = DO(br, 0),
    [OP_BR_IF] = DO_FLAGS(br_if, 0),
    [OP_BR_TABLE] = DO(br_table, 0),
    [OP_RETURN] = DO(return, 0),
    [OP_CALL] = DO(call, 0),
    [OP_CALL_INDIRECT] = DO(call_indirect, 0),
    [OP_CALL_REF] = DO(call_ref, 0),
    [OP_RETURN_CALL] = DO(return_call, 0),
    [OP_RETURN_CALL_INDIRECT] = DO(return_call_indirect, 0),
    [OP_RETURN_CALL_REF] = DO(return_call_ref, 0),
    [OP_BR_ON_NULL] = DO(br_on_null, 0),
    [OP_BR_ON_NON_NULL] = DO(br_on_non_null, 0),
    [OP_BR_ON_CAST] = DO(br_on_cast, 0),
    [OP_BR_ON_CAST_FAIL] = DO(br_on_cast, 1),

    [OP_DROP] = PURE_FLAGS(drop, 0),
    [OP_SELECT] = PURE_FLAGS(select, 0),
    [OP_SELECT_T] = PURE_FLAGS(select, 1),
    [OP_LOCAL_GET] = PURE(local_get, 0),
    [OP_LOCAL_SET] = PURE(local_set, 0),
    [OP_LOCAL_TEE] = PURE(local_set, 1),
    [OP_GLOBAL_GET] = PURE(global_get, 0),
    [OP_GLOBAL_SET] = DO(global_set, 0),
    [OP_I32_CONST] = CONST(i32),
    [OP_I64_CONST] = CONST(i64),
    [OP_F32_CONST] = CONST(f32),
    [OP_F64_CONST] = CONST(f64),
    [OP_V128_CONST] = CONST(V128),
    [OP_REF_NULL] = PURE(ref_null, 0),
    [OP_REF_IS_NULL] = {emit_ref_is_null, 0, 0, KIND_REF_NULL, 0, T_I32, 0, 0, 0, 0, false, true},
    [OP_ANY_CONVERT_EXTERN] = PURE(convert_ref, 0),
    [OP_EXTERN_CONVERT_ANY] = PURE(convert_ref, 0),

    [OP_REF_AS_NON_NULL] = DO(ref_as_non_null, 0),
    [OP_REF_I31] = PURE(ref_i31, 0),
    [OP_I31_GET_S] = DO(i31_get, X64_SAR32),
    [OP_I31_GET_U] = DO(i31_get, X64_SHR32),
    [OP_REF_TEST] = PURE(ref_test, 0),
    [OP_REF_TEST_NULL] = PURE(ref_test, 1),
    [OP_REF_CAST] = DO(ref_cast, 0),
    [OP_REF_CAST_NULL] = DO(ref_cast, 1),
    [OP_STRUCT_NEW] = DO(struct_new, 0),
    [OP_STRUCT_NEW_DEFAULT] = DO(struct_new, 1),
    [OP_STRUCT_GET] = DO(struct_get, 0),
    [OP_STRUCT_GET_S] = DO(struct_get, 1),
    [OP_STRUCT_GET_U] = DO(struct_get, 0),
    [OP_STRUCT_SET] = DO(struct_set, 0),
    [OP_ARRAY_NEW_DEFAULT] = DO(array_new_default, 0),
    [OP_ARRAY_GET] = DO(array_get, 0),
    [OP_ARRAY_GET_S] = DO(array_get, 1),
    [OP_ARRAY_GET_U] = DO(array_get, 0),
    [OP_ARRAY_SET] = DO(array_set, 0),
    [OP_ARRAY_LEN] = DO(array_len, 0),

    [OP_I32_ADD] = ALU(ADD32, i32, COMMUTES | IS_ADD),
    [OP_I32_SUB] = ALU(SUB32, i32, 0),
    [OP_I32_MUL] = ALU(IMUL32, i32, COMMUTES | IS_MUL),
    [OP_I32_AND] = ALU(AND32, i32, COMMUTES),
    [OP_I32_OR] = ALU(OR32, i32, COMMUTES),
    [OP_I32_XOR] = ALU(XOR32, i32, COMMUTES),
    [OP_I64_ADD] = ALU(ADD64, i64, COMMUTES | IS_ADD),
    [OP_I64_SUB] = ALU(SUB64, i64, 0),
    [OP_I64_MUL] = ALU(IMUL64, i64, COMMUTES | IS_MUL),
    [OP_I64_AND] = ALU(AND64, i64, COMMUTES),
    [OP_I64_OR] = ALU(OR64, i64, COMMUTES),
    [OP_I64_XOR] = ALU(XOR64, i64, COMMUTES),
    [OP_I32_SHL] = SHIFT(SHL32, X64_SHLX32, i32),
    [OP_I32_SHR_S] = SHIFT(SAR32, X64_SARX32, i32),
    [OP_I32_SHR_U] = SHIFT(SHR32, X64_SHRX32, i32),
    [OP_I32_ROTL] = SHIFT(ROL32, 0, i32),
    [OP_I32_ROTR] = SHIFT(ROR32, 0, i32),
    [OP_I64_SHL] = SHIFT(SHL64, X64_SHLX64, i64),
    [OP_I64_SHR_S] = SHIFT(SAR64, X64_SARX64, i64),
    [OP_I64_SHR_U] = SHIFT(SHR64, X64_SHRX64, i64),
    [OP_I64_ROTL] = SHIFT(ROL64, 0, i64),
    [OP_I64_ROTR] = SHIFT(ROR64, 0, i64),
    [OP_I32_DIV_S] = DIVIDE(i32, IS_SIGNED),
    [OP_I32_DIV_U] = DIVIDE(i32, 0),
    [OP_I32_REM_S] = DIVIDE(i32, IS_SIGNED | IS_REM),
    [OP_I32_REM_U] = DIVIDE(i32, IS_REM),
    [OP_I64_DIV_S] = DIVIDE(i64, IS_SIGNED),
    [OP_I64_DIV_U] = DIVIDE(i64, 0),
    [OP_I64_REM_S] = DIVIDE(i64, IS_SIGNED | IS_REM),
    [OP_I64_REM_U] = DIVIDE(i64, IS_REM),
    [OP_I32_EQZ] = {emit_eqz, 0, 0, T_I32, 0, T_I32, 0, 0, 0, 0, true, true},
    [OP_I64_EQZ] = {emit_eqz, 0, 0, T_I64, 0, T_I32, 0, 0, 0, 0, false, true},
    [OP_REF_EQ] = COMPARE(i64, CC_E),
    [OP_I32_EQ] = COMPARE(i32, CC_E),
    [OP_I32_NE] = COMPARE(i32, CC_NE),
    [OP_I32_LT_S] = COMPARE(i32, CC_L),
    [OP_I32_LT_U] = COMPARE(i32, CC_B),
    [OP_I32_GT_S] = COMPARE(i32, CC_G),
    [OP_I32_GT_U] = COMPARE(i32, CC_A),
    [OP_I32_LE_S] = COMPARE(i32, CC_LE),
    [OP_I32_LE_U] = COMPARE(i32, CC_BE),
    [OP_I32_GE_S] = COMPARE(i32, CC_GE),
    [OP_I32_GE_U] = COMPARE(i32, CC_AE),
    [OP_I64_EQ] = COMPARE(i64, CC_E),
    [OP_I64_NE] = COMPARE(i64, CC_NE),
    [OP_I64_LT_S] = COMPARE(i64, CC_L),
    [OP_I64_LT_U] = COMPARE(i64, CC_B),
    [OP_I64_GT_S] = COMPARE(i64, CC_G),
    [OP_I64_GT_U] = COMPARE(i64, CC_A),
    [OP_I64_LE_S] = COMPARE(i64, CC_LE),
    [OP_I64_LE_U] = COMPARE(i64, CC_BE),
    [OP_I64_GE_S] = COMPARE(i64, CC_GE),
    [OP_I64_GE_U] = COMPARE(i64, CC_AE),
    [OP_I32_CLZ] = BITS(LZCNT32, CPU_LZCNT, i32),
    [OP_I32_CTZ] = BITS(TZCNT32, CPU_BMI1, i32),
    [OP_I32_POPCNT] = BITS(POPCNT32, CPU_POPCNT, i32),
    [OP_I64_CLZ] = BITS(LZCNT64, CPU_LZCNT, i64),
    [OP_I64_CTZ] = BITS(TZCNT64, CPU_BMI1, i64),
    [OP_I64_POPCNT] = BITS(POPCNT64, CPU_POPCNT, i64),
    [OP_I32_EXTEND8_S] = EXTEND(MOVSX8_32, i32, i32),
    [OP_I32_EXTEND16_S] = EXTEND(MOVSX16_32, i32, i32),
    [OP_I64_EXTEND8_S] = EXTEND(MOVSX8_64, i64, i64),
    [OP_I64_EXTEND16_S] = EXTEND(MOVSX16_64, i64, i64),
    [OP_I64_EXTEND32_S] = EXTEND(MOVSXD, i64, i64),
    [OP_I64_EXTEND_I32_S] = EXTEND(MOVSXD, i32, i64),
    [OP_I64_EXTEND_I32_U] = {emit_wrap, X64_MOV32, 0, T_I32, 0, T_I64, 0, 0, 0, 0, false, true},
    [OP_I32_WRAP_I64] = {emit_wrap, X64_MOV32, 0, T_I64, 0, T_I32, 0, 0, 0, 0, false, true},

    [OP_F32_ADD] = FLOAT(ADDSS, f32),
    [OP_F32_SUB] = FLOAT(SUBSS, f32),
    [OP_F32_MUL] = FLOAT(MULSS, f32),
    [OP_F32_DIV] = FLOAT(DIVSS, f32),
    [OP_F64_ADD] = FLOAT(ADDSD, f64),
    [OP_F64_SUB] = FLOAT(SUBSD, f64),
    [OP_F64_MUL] = FLOAT(MULSD, f64),
    [OP_F64_DIV] = FLOAT(DIVSD, f64),
    [OP_F32_SQRT] = FLOAT1(SQRTSS, f32, f32),
    [OP_F64_SQRT] = FLOAT1(SQRTSD, f64, f64),
    [OP_F32_DEMOTE_F64] = FLOAT1(CVTSD2SS, f64, f32),
    [OP_F64_PROMOTE_F32] = FLOAT1(CVTSS2SD, f32, f64),
    [OP_F32_ABS] = SIGN(SIGN_ABS, f32),
    [OP_F32_NEG] = SIGN(SIGN_NEG, f32),
    [OP_F32_COPYSIGN] = SIGN(SIGN_COPY, f32),
    [OP_F64_ABS] = SIGN(SIGN_ABS, f64),
    [OP_F64_NEG] = SIGN(SIGN_NEG, f64),
    [OP_F64_COPYSIGN] = SIGN(SIGN_COPY, f64),
    [OP_F32_NEAREST] = ROUND(ROUNDSS, f32, 8),
    [OP_F32_FLOOR] = ROUND(ROUNDSS, f32, 9),
    [OP_F32_CEIL] = ROUND(ROUNDSS, f32, 10),
    [OP_F32_TRUNC] = ROUND(ROUNDSS, f32, 11),
    [OP_F64_NEAREST] = ROUND(ROUNDSD, f64, 8),
    [OP_F64_FLOOR] = ROUND(ROUNDSD, f64, 9),
    [OP_F64_CEIL] = ROUND(ROUNDSD, f64, 10),
    [OP_F64_TRUNC] = ROUND(ROUNDSD, f64, 11),
    [OP_F32_EQ] = FCOMPARE(f32, FLOAT_EQ),
    [OP_F32_NE] = FCOMPARE(f32, FLOAT_NE),
    [OP_F32_LT] = FCOMPARE(f32, FLOAT_LT),
    [OP_F32_GT] = FCOMPARE(f32, FLOAT_GT),
    [OP_F32_LE] = FCOMPARE(f32, FLOAT_LE),
    [OP_F32_GE] = FCOMPARE(f32, FLOAT_GE),
    [OP_F64_EQ] = FCOMPARE(f64, FLOAT_EQ),
    [OP_F64_NE] = FCOMPARE(f64, FLOAT_NE),
    [OP_F64_LT] = FCOMPARE(f64, FLOAT_LT),
    [OP_F64_GT] = FCOMPARE(f64, FLOAT_GT),
    [OP_F64_LE] = FCOMPARE(f64, FLOAT_LE),
    [OP_F64_GE] = FCOMPARE(f64, FLOAT_GE),
    [OP_F32_MIN] = MINMAX(MINSS, ORPS, f32),
    [OP_F32_MAX] = MINMAX(MAXSS, ANDPS, f32),
    [OP_F64_MIN] = MINMAX(MINSD, ORPS, f64),
    [OP_F64_MAX] = MINMAX(MAXSD, ANDPS, f64),
    [OP_F32_CONVERT_I32_S] = TO_FLOAT(CVTSI2SS32, FROM_I32_S, i32, f32),
    [OP_F32_CONVERT_I32_U] = TO_FLOAT(CVTSI2SS64, FROM_I32_U, i32, f32),
    [OP_F32_CONVERT_I64_S] = TO_FLOAT(CVTSI2SS64, FROM_I64_S, i64, f32),
    [OP_F32_CONVERT_I64_U] = TO_FLOAT(CVTSI2SS64, FROM_I64_U, i64, f32),
    [OP_F64_CONVERT_I32_S] = TO_FLOAT(CVTSI2SD32, FROM_I32_S, i32, f64),
    [OP_F64_CONVERT_I32_U] = TO_FLOAT(CVTSI2SD64, FROM_I32_U, i32, f64),
    [OP_F64_CONVERT_I64_S] = TO_FLOAT(CVTSI2SD64, FROM_I64_S, i64, f64),
    [OP_F64_CONVERT_I64_U] = TO_FLOAT(CVTSI2SD64, FROM_I64_U, i64, f64),
    [OP_I32_TRUNC_F32_S] = TO_INT(CVTTSS2SI64, 1, f32, i32),
    [OP_I32_TRUNC_F32_U] = TO_INT(CVTTSS2SI64, 0, f32, i32),
    [OP_I32_TRUNC_F64_S] = TO_INT(CVTTSD2SI64, 1, f64, i32),
    [OP_I32_TRUNC_F64_U] = TO_INT(CVTTSD2SI64, 0, f64, i32),
    [OP_I64_TRUNC_F32_S] = TO_INT(CVTTSS2SI64, 1, f32, i64),
    [OP_I64_TRUNC_F64_S] = TO_INT(CVTTSD2SI64, 1, f64, i64),
    [OP_I32_REINTERPRET_F32] = BITCAST(f32, i32),
    [OP_I64_REINTERPRET_F64] = BITCAST(f64, i64),
    [OP_F32_REINTERPRET_I32] = BITCAST(i32, f32),
    [OP_F64_REINTERPRET_I64] = BITCAST(i64, f64),

    [OP_I32_LOAD] = RESULT_LOAD(MOV32, 4, i32),
    [OP_I64_LOAD] = RESULT_LOAD(MOV64, 8, i64),
    [OP_F32_LOAD] = RESULT_LOAD(MOVSS, 4, f32),
    [OP_F64_LOAD] = RESULT_LOAD(MOVSD, 8, f64),
    [OP_I32_LOAD8_S] = RESULT_LOAD(MOVSX8_32, 1, i32),
    [OP_I32_LOAD8_U] = RESULT_LOAD(MOVZX8, 1, i32),
    [OP_I32_LOAD16_S] = RESULT_LOAD(MOVSX16_32, 2, i32),
    [OP_I32_LOAD16_U] = RESULT_LOAD(MOVZX16, 2, i32),
    [OP_I64_LOAD8_S] = RESULT_LOAD(MOVSX8_64, 1, i64),
    [OP_I64_LOAD8_U] = RESULT_LOAD(MOVZX8, 1, i64),
    [OP_I64_LOAD16_S] = RESULT_LOAD(MOVSX16_64, 2, i64),
    [OP_I64_LOAD16_U] = RESULT_LOAD(MOVZX16, 2, i64),
    [OP_I64_LOAD32_S] = RESULT_LOAD(MOVSXD, 4, i64),
    [OP_I64_LOAD32_U] = RESULT_LOAD(MOV32, 4, i64),
    [OP_V128_LOAD] = RESULT_LOAD(MOVUPS, 16, V128),
    [OP_I32_STORE] = VALUE_STORE(MOV32_ST, 4, i32),
    [OP_I64_STORE] = VALUE_STORE(MOV64_ST, 8, i64),
    [OP_F32_STORE] = VALUE_STORE(MOVSS_ST, 4, f32),
    [OP_F64_STORE] = VALUE_STORE(MOVSD_ST, 8, f64),
    [OP_I32_STORE8] = VALUE_STORE(MOV8_ST, 1, i32),
    [OP_I32_STORE16] = VALUE_STORE(MOV16_ST, 2, i32),
    [OP_I64_STORE8] = VALUE_STORE(MOV8_ST, 1, i64),
    [OP_I64_STORE16] = VALUE_STORE(MOV16_ST, 2, i64),
    [OP_I64_STORE32] = VALUE_STORE(MOV32_ST, 4, i64),
    [OP_V128_STORE] = VALUE_STORE(MOVUPS_ST, 16, V128),
};
#pragma GCC diagnostic pop
/* clang-format on */
