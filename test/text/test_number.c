/* Numbers of the text format: each function's name is what it claims. */
#include "../c/check.h"

#include <math.h>

#include "text/number.h"

static uint64_t f64_of(const char *s)
{
    uint64_t bits = 0;
    CHECK(number_f64(s, strlen(s), &bits) == NUMBER_OK);
    return bits;
}

static uint32_t f32_of(const char *s)
{
    uint32_t bits = 0;
    CHECK(number_f32(s, strlen(s), &bits) == NUMBER_OK);
    return bits;
}

static NumberResult result_f64(const char *s)
{
    uint64_t bits;
    return number_f64(s, strlen(s), &bits);
}

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static void integers_wrap_to_their_width(void)
{
    static const struct {
        const char *text;
        unsigned bits;
        NumberResult result;
        uint64_t value;
    } cases[] = {
        {"-1", 32, NUMBER_OK, 0xffffffff},
        {"4294967295", 32, NUMBER_OK, 0xffffffff},
        {"4294967296", 32, NUMBER_RANGE, 0},
        {"-2147483648", 32, NUMBER_OK, 0x80000000},
        {"-2147483649", 32, NUMBER_RANGE, 0},
        {"0x8000_0000_0000_0000", 64, NUMBER_OK, 1ull << 63},
        {"-0x8000000000000001", 64, NUMBER_RANGE, 0},
        {"18446744073709551616", 64, NUMBER_RANGE, 0},
        {"255", 8, NUMBER_OK, 255},
        {"-129", 8, NUMBER_RANGE, 0},
        {"+7", 32, NUMBER_OK, 7},
        {"1__0", 32, NUMBER_SYNTAX, 0},
        {"1_", 32, NUMBER_SYNTAX, 0},
        {"_1", 32, NUMBER_SYNTAX, 0},
        {"0x", 32, NUMBER_SYNTAX, 0},
        {"", 32, NUMBER_SYNTAX, 0},
        {"1.0", 32, NUMBER_SYNTAX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 0;
        NumberResult r = number_integer(cases[i].text, strlen(cases[i].text),
                                        cases[i].bits, &v);
        CHECK(r == cases[i].result);
        CHECK(r != NUMBER_OK || v == cases[i].value);
    }
}

static void an_f32_is_rounded_once(void)
{
    /* Just above the middle between 1 and the next f32; rounding to f64 first
     * would fall on the middle itself, and then to 1. */
    CHECK(f32_of("1.000000059604644775390626") == 0x3f800001);
    CHECK(f32_of("1.000000059604644775390625") == 0x3f800000);
    CHECK(f32_of("0x1.0000010000000000001p0") == 0x3f800001);
    CHECK(f32_of("0x1.000001p0") == 0x3f800000);
    CHECK(f32_of("0x1.fffffefffffffffffp127") == 0x7f7fffff);
}

static void middles_go_to_the_even_neighbour(void)
{
    CHECK(f64_of("9007199254740993") == bits_of(9007199254740992.0));
    CHECK(f64_of("9007199254740993.0000000000000000000000000000001")
          == bits_of(9007199254740994.0));
    CHECK(f64_of("9007199254740995") == bits_of(9007199254740996.0));
    CHECK(f64_of("0x1.00000000000008p0") == bits_of(1.0));
    CHECK(f64_of("0x1.00000000000008000000000000001p0") == bits_of(1.0) + 1);
}

static void the_ends_of_the_range_are_exact(void)
{
    CHECK(f64_of("4.9e-324") == 1);
    CHECK(f64_of("2.4703282292062327208e-324") == 0);
    CHECK(f64_of("2.4703282292062327209e-324") == 1);
    CHECK(f64_of("0x1p-1074") == 1);
    CHECK(f64_of("0x1p-1075") == 0);
    CHECK(f64_of("0x1.8p-1075") == 1);
    CHECK(f64_of("2.2250738585072011e-308") == 0x000fffffffffffff);
    CHECK(f64_of("1.7976931348623157e308") == 0x7fefffffffffffff);
    CHECK(result_f64("1.7976931348623159e308") == NUMBER_RANGE);
    CHECK(result_f64("0x1p1024") == NUMBER_RANGE);
    CHECK(result_f64("1e99999999999999999999") == NUMBER_RANGE);
    CHECK(f64_of("0e99999999999999999999") == 0);
    CHECK(f64_of("1e-99999999999999999999") == 0);
}

/* One, and zeros between it and the point that the exponent takes back. */
static void long_texts_are_read_exactly(void)
{
    char text[3000];
    size_t n = 0;
    text[n++] = '1';
    for (int i = 0; i < 1200; i++)
        text[n++] = '0';
    strcpy(text + n, ".e-1200");
    CHECK(f64_of(text) == bits_of(1.0));
    n = 0;
    text[n++] = '0';
    text[n++] = '.';
    for (int i = 0; i < 1200; i++)
        text[n++] = '0';
    strcpy(text + n, "1e1201");
    CHECK(f64_of(text) == bits_of(1.0));
    /* A nonzero digit far behind decides a middle. */
    n = (size_t)snprintf(text, sizeof text, "9007199254740993.");
    for (int i = 0; i < 2000; i++)
        text[n++] = '0';
    strcpy(text + n, "1");
    CHECK(f64_of(text) == bits_of(9007199254740994.0));
}

static void nan_payloads_are_kept(void)
{
    CHECK(f64_of("nan") == 0x7ff8000000000000);
    CHECK(f64_of("-nan:0x1") == 0xfff0000000000001);
    CHECK(f32_of("nan:0x7f_ffff") == 0x7fffffff);
    CHECK(result_f64("nan:0x0") == NUMBER_RANGE);
    CHECK(result_f64("nan:0x10000000000000") == NUMBER_RANGE);
    CHECK(result_f64("nan:1") == NUMBER_SYNTAX);
    CHECK(result_f64("nan:canonical") == NUMBER_SYNTAX);
}

static void what_is_printed_reads_back_and_is_shortest(void)
{
    unsigned long long state = 1;
    char text[NUMBER_TEXT_SIZE];
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = (uint64_t)next_random(&state) << 33
                        ^ (uint64_t)next_random(&state) << 11
                        ^ next_random(&state);
        if (i % 2) /* near 1, where most numbers are */
            bits = (bits & 0x800fffffffffffff)
                   | (uint64_t)(1023 - 30 + i % 60) << 52;
        number_print_f64(bits, text);
        CHECK(f64_of(text) == bits);
        number_print_f32((uint32_t)bits, text);
        CHECK(f32_of(text) == (uint32_t)bits);
    }
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {0.3, "0.3"},
                 {1, "1"},
                 {100, "100"},
                 {1e23, "1e+23"},
                 {5e-324, "5e-324"},
                 {1.0 / 3, "0.3333333333333333"},
                 {9.5367431640625e-7, "9.5367431640625e-7"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        number_print_f64(bits_of(cases[i].value), text);
        CHECK(!strcmp(text, cases[i].text));
    }
}

int main(void)
{
    RUN(integers_wrap_to_their_width);
    RUN(an_f32_is_rounded_once);
    RUN(middles_go_to_the_even_neighbour);
    RUN(the_ends_of_the_range_are_exact);
    RUN(long_texts_are_read_exactly);
    RUN(nan_payloads_are_kept);
    RUN(what_is_printed_reads_back_and_is_shortest);
    return 0;
}
