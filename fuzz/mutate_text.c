#include <string.h>

#include "base/writer.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "wasm/op.h"

typedef struct {
    size_t from, to;
} Range;

static const char *const words[] = {"module",
                                    "func",
                                    "param",
                                    "result",
                                    "local",
                                    "type",
                                    "import",
                                    "export",
                                    "memory",
                                    "table",
                                    "global",
                                    "elem",
                                    "data",
                                    "start",
                                    "tag",
                                    "rec",
                                    "sub",
                                    "final",
                                    "struct",
                                    "array",
                                    "field",
                                    "mut",
                                    "ref",
                                    "null",
                                    "any",
                                    "eq",
                                    "i31",
                                    "none",
                                    "nofunc",
                                    "noextern",
                                    "noexn",
                                    "exn",
                                    "extern",
                                    "funcref",
                                    "anyref",
                                    "externref",
                                    "exnref",
                                    "i32",
                                    "i64",
                                    "f32",
                                    "f64",
                                    "v128",
                                    "i8",
                                    "i16",
                                    "then",
                                    "else",
                                    "end",
                                    "do",
                                    "catch",
                                    "catch_all",
                                    "catch_ref",
                                    "catch_all_ref",
                                    "offset",
                                    "item",
                                    "declare",
                                    "shared",
                                    "pagesize",
                                    "align=4",
                                    "offset=4294967296",
                                    "(@custom \"x\" (after code) \"y\")",
                                    "(@name \"n\")",
                                    "(@metadata.code.branch_hint \"\\01\")",
                                    "definition",
                                    "instance",
                                    "quote",
                                    "binary",
                                    "assert_return",
                                    "assert_trap",
                                    "assert_invalid",
                                    "assert_malformed",
                                    "invoke",
                                    "get",
                                    "register",
                                    "either",
                                    "nan:canonical",
                                    "nan:arithmetic",
                                    "nan:0x1",
                                    "-nan",
                                    "inf",
                                    "0x1p-1074",
                                    "1e400",
                                    "0xffffffffffffffff",
                                    "-9223372036854775808",
                                    "4294967295",
                                    "4294967296",
                                    "1_000",
                                    "$x",
                                    "$\"a b\"",
                                    "\"\\u{10ffff}\"",
                                    "\"\\ff\"",
                                    "(;",
                                    ";)",
                                    ";;",
                                    "(",
                                    ")",
                                    "i8x16",
                                    "i32x4",
                                    "f64x2"};
enum { N_WORDS = sizeof words / sizeof *words };

static bool ends_token(uint8_t c)
{
    return c <= ' ' || c == '(' || c == ')' || c == '"' || c == ';';
}

/* The token at or after a place. */
static Range token_at(const uint8_t *data, size_t size, size_t at)
{
    while (at < size && ends_token(data[at]))
        at++;
    size_t from = at;
    while (from > 0 && !ends_token(data[from - 1]))
        from--;
    while (at < size && !ends_token(data[at]))
        at++;
    return (Range){from, at};
}

/* What stands in the parentheses that open at or after a place; empty if they
 * do not close. */
static Range group_at(const uint8_t *data, size_t size, size_t at)
{
    while (at < size && data[at] != '(')
        at++;
    size_t depth = 0;
    for (size_t to = at; to < size; to++) {
        depth += data[to] == '(';
        depth -= data[to] == ')';
        if (depth == 0)
            return (Range){at, to + 1};
    }
    return (Range){0, 0};
}

static size_t replace(uint8_t *data, size_t size, size_t max, Range r,
                      const void *by, size_t len)
{
    size_t old = r.to - r.from;
    if (size - old + len > max)
        return size;
    uint8_t *copy = malloc(len + 1);
    if (len)
        memcpy(copy, by, len);
    memmove(data + r.from + len, data + r.to, size - r.to);
    if (len)
        memcpy(data + r.from, copy, len);
    free(copy);
    return size - old + len;
}

static size_t put_word(uint8_t *data, size_t size, size_t max, uint64_t r,
                       bool insert)
{
    const char *word =
        r & 1 ? op_info[r / 2 % OP_COUNT].text : words[r / 2 % N_WORDS];
    char text[64];
    Range at = token_at(data, size, size ? (r >> 20) % size : 0);
    if (insert)
        at.to = at.from;
    int n = snprintf(text, sizeof text, insert ? " %s " : "%s", word);
    return replace(data, size, max, at, text, (size_t)n);
}

static size_t copy_token(uint8_t *data, size_t size, size_t max, uint64_t r)
{
    Range to = token_at(data, size, (r >> 8) % size);
    Range from = token_at(data, size, (r >> 32) % size);
    return replace(data, size, max, to, data + from.from, from.to - from.from);
}

static size_t copy_group(uint8_t *data, size_t size, size_t max, uint64_t r,
                         bool insert)
{
    Range to = group_at(data, size, (r >> 8) % size);
    Range from = group_at(data, size, (r >> 32) % size);
    if (insert)
        to.to = to.from;
    return replace(data, size, max, to, data + from.from, from.to - from.from);
}

size_t mutate_text(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t state = seed;
    uint64_t r = fuzz_random(&state);
    if (size == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    switch (r % 10) {
    case 0:
    case 1: return put_word(data, size, max_size, r >> 4, false);
    case 2: return put_word(data, size, max_size, r >> 4, true);
    case 3:
    case 4: return copy_token(data, size, max_size, r);
    case 5: return copy_group(data, size, max_size, r, true);
    case 6: return copy_group(data, size, max_size, r, false);
    case 7:
        return replace(data, size, max_size,
                       group_at(data, size, (r >> 8) % size), "", 0);
    default: return LLVMFuzzerMutate(data, size, max_size);
    }
}
