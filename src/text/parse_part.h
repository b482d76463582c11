/* parse_part.h - the parts of the parser: types, operands, code, fields.
 *
 * Each reads what stands at the parser's cursor and writes its binary form.
 */
#ifndef CHI_TEXT_PARSE_PART_H
#define CHI_TEXT_PARSE_PART_H

#include "text/parser.h"

/* --- parse_type.c ------------------------------------------------------- */

bool parse_type_at_value(const Parser *p);
void parse_type_value(Parser *p, Writer *w);
bool parse_type_at_ref(const Parser *p);
void parse_type_ref(Parser *p, Writer *w);
void parse_type_heap(Parser *p, Writer *w);
/* A reference type's nullability; its heap type goes to w. */
bool parse_type_ref_parts(Parser *p, Writer *w);

/* A field `type` or `rec`, the cursor behind the keyword. */
void parse_type_definition(Parser *p, const char *at);
void parse_type_rec(Parser *p, const char *at);

/* A type use; params may have names, which become locals, if `locals`. */
uint32_t parse_type_use(Parser *p, bool locals);
uint32_t parse_type_params(const Parser *p, uint32_t type);
/* Writes a block type. */
void parse_type_block(Parser *p, Writer *w);
void parse_type_limits(Parser *p, Writer *w, bool is64, bool is_memory);
/* `i32` or `i64` if it is there: true for i64. */
bool parse_type_address(Parser *p);
void parse_type_global(Parser *p, Writer *w);

/* --- parse_imm.c -------------------------------------------------------- */

void parse_imm_opcode(Op op, Writer *w);
/* Writes a plain instruction, the cursor behind its keyword. */
void parse_imm_plain(Parser *p, Op op, Writer *w);
uint64_t parse_imm_integer(Parser *p, unsigned bits, const char *what);
/* The bits of an f32 or f64. */
uint64_t parse_imm_float(Parser *p, unsigned bytes);
void parse_imm_little_endian(uint8_t *out, uint64_t v, unsigned bytes);
/* v128.const's operand: shape and lanes. */
void parse_imm_v128(Parser *p, uint8_t out[16]);

/* --- parse_code.c ------------------------------------------------------- */

/* Instructions to the ")" that closes what stands around them, and `end`. */
void parse_code_expr(Parser *p, Buffer *out);
/* One folded instruction and `end`. */
void parse_code_folded(Parser *p, Buffer *out);

/* --- parse_field.c ------------------------------------------------------ */

/* The second pass over one field, the cursor at its parenthesis. */
void parse_field(Parser *p);

#endif
