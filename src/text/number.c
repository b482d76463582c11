#include "text/number.h"

#include <assert.h>
#include <string.h>

/* Decimal to binary is exact arithmetic on big natural numbers: the value is
 * a fraction num/den, scaled by a power of two so that the quotient is the
 * significand, and the remainder decides the rounding.  Binary to decimal is
 * Steele and White's "How to print floating-point numbers accurately" (PLDI
 * 1990) on the same numbers.  A short path in front serves nearly all
 * constants that occur.
 */

/* 768 digits decide any double; the rest only matters by being nonzero. */
enum { MAX_DIGITS = 800, BIG_WORDS = 160 };

typedef struct {
    uint32_t n; /* words in use; the top one is not 0 */
    uint32_t w[BIG_WORDS];
} Big;

/* What tells the two formats apart. */
typedef struct {
    int significand; /* bits, the hidden one included */
    int least;       /* exponent of the lowest bit of a subnormal */
    int greatest;    /* of the lowest bit of the largest finite number */
} Format;

static const Format f32_format = {24, -149, 104};
static const Format f64_format = {53, -1074, 971};

static void big_set(Big *b, uint64_t v)
{
    b->n = 0;
    for (; v; v >>= 32)
        b->w[b->n++] = (uint32_t)v;
}

static void big_multiply_add(Big *b, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;
    for (uint32_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->w[i] * factor;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) {
        assert(b->n < BIG_WORDS);
        b->w[b->n++] = (uint32_t)carry;
    }
}

static void big_times_power_of_10(Big *b, unsigned exponent)
{
    for (; exponent >= 9; exponent -= 9)
        big_multiply_add(b, 1000000000, 0);
    for (; exponent > 0; exponent--)
        big_multiply_add(b, 10, 0);
}

static void big_shift_left(Big *b, unsigned bits)
{
    if (!b->n)
        return;
    unsigned words = bits / 32, rest = bits % 32;
    assert(b->n + words + 1 <= BIG_WORDS);
    b->w[b->n] = 0;
    for (uint32_t i = b->n + 1; i-- > 0;) {
        uint32_t low = rest && i > 0 ? b->w[i - 1] >> (32 - rest) : 0;
        b->w[i + words] = b->w[i] << rest | low;
    }
    memset(b->w, 0, words * sizeof *b->w);
    b->n += words + 1;
    while (b->n && !b->w[b->n - 1])
        b->n--;
}

static void big_halve(Big *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t high = i + 1 < b->n ? b->w[i + 1] << 31 : 0;
        b->w[i] = b->w[i] >> 1 | high;
    }
    if (b->n && !b->w[b->n - 1])
        b->n--;
}

static int big_compare(const Big *a, const Big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}

/* Requires a >= b. */
static void big_subtract(Big *a, const Big *b)
{
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        int64_t d = (int64_t)a->w[i] - (i < b->n ? b->w[i] : 0) + borrow;
        a->w[i] = (uint32_t)d;
        borrow = d < 0 ? -1 : 0;
    }
    while (a->n && !a->w[a->n - 1])
        a->n--;
}

static void big_add(Big *a, const Big *b)
{
    uint64_t carry = 0;
    uint32_t n = a->n > b->n ? a->n : b->n;
    for (uint32_t i = 0; i < n; i++) {
        carry += (uint64_t)(i < a->n ? a->w[i] : 0) + (i < b->n ? b->w[i] : 0);
        a->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    a->n = n;
    if (carry) {
        assert(a->n < BIG_WORDS);
        a->w[a->n++] = (uint32_t)carry;
    }
}

static int bits_of_u64(uint64_t v)
{
    int n = 0;
    for (; v; v >>= 1)
        n++;
    return n;
}

static int big_bits(const Big *b)
{
    return b->n ? (int)(b->n - 1) * 32 + bits_of_u64(b->w[b->n - 1]) : 0;
}

/* The digits of a number in the text: `mantissa` has the first 19 of decimal
 * or 16 of hexadecimal, all of them stand at `from` .. `to`. */
typedef struct {
    const char *p, *end;
    bool negative, hex;
    const char *digits, *digits_end; /* with underscores and the point */
    int64_t point;                   /* digits before the point */
    int64_t exponent;                /* as written */
} Scan;

static bool is_digit(char c, bool hex)
{
    return (c >= '0' && c <= '9')
           || (hex && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')));
}

static uint32_t digit_value(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* One or more digits, single underscores between them.  Gives how many. */
static int64_t scan_digits(Scan *s, bool hex)
{
    int64_t n = 0;
    while (s->p < s->end && is_digit(*s->p, hex)) {
        n++;
        s->p++;
        if (s->end - s->p > 1 && *s->p == '_' && is_digit(s->p[1], hex))
            s->p++;
    }
    return n;
}

static void scan_sign(Scan *s)
{
    if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
        s->negative = *s->p++ == '-';
}

static void scan_prefix(Scan *s)
{
    if (s->end - s->p > 2 && s->p[0] == '0' && s->p[1] == 'x') {
        s->hex = true;
        s->p += 2;
    }
}

static NumberResult magnitude(Scan *s, uint64_t *out)
{
    scan_prefix(s);
    const char *from = s->p;
    if (!scan_digits(s, s->hex) || s->p != s->end)
        return NUMBER_SYNTAX;
    uint64_t v = 0, base = s->hex ? 16 : 10;
    for (; from < s->end; from++) {
        if (*from == '_')
            continue;
        uint64_t d = digit_value(*from);
        if (v > (UINT64_MAX - d) / base)
            return NUMBER_RANGE;
        v = v * base + d;
    }
    *out = v;
    return NUMBER_OK;
}

NumberResult number_unsigned(const char *text, size_t len, uint64_t max,
                             uint64_t *out)
{
    Scan s = {.p = text, .end = text + len};
    NumberResult result = magnitude(&s, out);
    if (result == NUMBER_OK && *out > max)
        return NUMBER_RANGE;
    return result;
}

NumberResult number_integer(const char *text, size_t len, unsigned bits,
                            uint64_t *out)
{
    Scan s = {.p = text, .end = text + len};
    scan_sign(&s);
    NumberResult result = magnitude(&s, out);
    if (result != NUMBER_OK)
        return result;
    uint64_t max = UINT64_MAX >> (64 - bits);
    if (*out > (s.negative ? max / 2 + 1 : max))
        return NUMBER_RANGE;
    if (s.negative)
        *out = (0 - *out) & max;
    return NUMBER_OK;
}

/* The exponent, saturated: texts are shorter than 2^32 digits. */
static bool scan_exponent(Scan *s)
{
    const int64_t bound = (int64_t)1 << 40;
    s->p++;
    bool negative = false;
    if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
        negative = *s->p++ == '-';
    const char *from = s->p;
    if (!scan_digits(s, false))
        return false;
    for (; from < s->p; from++)
        if (*from != '_' && s->exponent < bound)
            s->exponent = s->exponent * 10 + (int64_t)digit_value(*from);
    if (negative)
        s->exponent = -s->exponent;
    return true;
}

static bool scan_float(Scan *s)
{
    scan_prefix(s);
    s->digits = s->p;
    s->point = scan_digits(s, s->hex);
    if (!s->point)
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        scan_digits(s, s->hex);
    }
    s->digits_end = s->p;
    char mark = s->hex ? 'p' : 'e';
    if (s->p < s->end && (*s->p | 0x20) == mark && !scan_exponent(s))
        return false;
    return s->p == s->end;
}

/* Significand times 2^exponent, plus something below the last bit if
 * `sticky`, rounded to nearest even.  Gives the bits without sign. */
static NumberResult round_binary(uint64_t v, int64_t exponent, bool sticky,
                                 const Format *f, uint64_t *out)
{
    if (!v) {
        *out = 0;
        return NUMBER_OK;
    }
    int64_t lowest = exponent + bits_of_u64(v) - f->significand;
    if (lowest < f->least)
        lowest = f->least;
    int64_t drop = lowest - exponent;
    if (drop > 64) { /* below half of the least subnormal */
        *out = 0;
        return NUMBER_OK;
    }
    if (drop > 0) {
        uint64_t kept = drop == 64 ? 0 : v >> drop;
        uint64_t rest = drop == 64 ? v : v & (((uint64_t)1 << drop) - 1);
        uint64_t half = (uint64_t)1 << (drop - 1);
        v = kept + (rest > half || (rest == half && (sticky || kept & 1)));
    } else {
        v <<= -drop;
    }
    if (v >> f->significand) {
        v >>= 1;
        lowest++;
    }
    if (lowest > f->greatest)
        return NUMBER_RANGE;
    uint64_t hidden = (uint64_t)1 << (f->significand - 1);
    uint64_t biased = v & hidden ? (uint64_t)(lowest - f->least + 1) : 0;
    *out = biased << (f->significand - 1) | (v & (hidden - 1));
    return NUMBER_OK;
}

static NumberResult read_hex(const Scan *s, const Format *f, uint64_t *out)
{
    uint64_t v = 0;
    bool sticky = false, fraction = false;
    int64_t exponent = s->exponent;
    for (const char *p = s->digits; p < s->digits_end; p++) {
        if (*p == '.')
            fraction = true;
        if (*p == '.' || *p == '_')
            continue;
        bool fits = v >> 60 == 0;
        if (fits)
            v = v << 4 | digit_value(*p);
        else
            sticky |= *p != '0';
        exponent += (fits ? 0 : 4) - (fraction ? 4 : 0);
    }
    return round_binary(v, exponent, sticky, f, out);
}

/* num/den, a positive number, rounded.  Changes both. */
static NumberResult round_fraction(Big *num, Big *den, const Format *f,
                                   uint64_t *out)
{
    /* The quotient lies between 2^(size-1) and 2^(size+1). */
    int size = big_bits(num) - big_bits(den);
    int lowest = size - f->significand;
    if (lowest < f->least)
        lowest = f->least;
    if (lowest < 0)
        big_shift_left(num, (unsigned)-lowest);
    else
        big_shift_left(den, (unsigned)lowest);
    int steps = f->significand + 2;
    big_shift_left(den, (unsigned)steps);
    uint64_t q = 0;
    for (int i = 0; i < steps; i++) {
        big_halve(den);
        q <<= 1;
        if (big_compare(num, den) >= 0) {
            big_subtract(num, den);
            q |= 1;
        }
    }
    /* One more bit and what is left below it decide. */
    big_shift_left(num, 1);
    bool bit = big_compare(num, den) >= 0;
    if (bit)
        big_subtract(num, den);
    return round_binary(q << 1 | bit, lowest - 1, num->n != 0, f, out);
}

/* Powers of ten that a double holds exactly. */
static const double exact_powers[] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* One operation on exact operands rounds once: see Clinger, "How to read
 * floating-point numbers accurately" (PLDI 1990). */
static bool read_short(uint64_t v, int64_t exponent, const Format *f,
                       uint64_t *out)
{
    if (f != &f64_format || v >> 53 || exponent < -22 || exponent > 22)
        return false;
    double d = (double)v;
    if (exponent < 0)
        d /= exact_powers[-exponent];
    else
        d *= exact_powers[exponent];
    memcpy(out, &d, sizeof d);
    return true;
}

static NumberResult read_decimal(const Scan *s, const Format *f, uint64_t *out)
{
    Big num, den;
    big_set(&num, 0);
    uint64_t v = 0;
    int64_t kept = 0, seen = 0; /* significant digits; all digits */
    bool sticky = false;
    for (const char *p = s->digits; p < s->digits_end; p++) {
        if (*p == '.' || *p == '_')
            continue;
        seen++;
        uint32_t d = digit_value(*p);
        if (!kept && !d)
            continue;
        if (kept++ < MAX_DIGITS) {
            big_multiply_add(&num, 10, d);
            v = kept <= 19 ? v * 10 + d : v;
        } else {
            sticky |= d != 0;
        }
    }
    if (!num.n) {
        *out = 0;
        return NUMBER_OK;
    }
    /* The value is num * 10^exponent and lies below 10^(exponent + kept). */
    int64_t exponent = s->exponent + s->point - seen;
    if (exponent + kept > 310)
        return NUMBER_RANGE;
    if (exponent + kept < -330) {
        *out = 0;
        return NUMBER_OK;
    }
    if (kept <= 19 && read_short(v, exponent, f, out))
        return NUMBER_OK;
    if (kept > MAX_DIGITS) {
        exponent += kept - MAX_DIGITS;
        if (sticky) { /* stands for all that was left out */
            big_multiply_add(&num, 10, 1);
            exponent--;
        }
    }
    big_set(&den, 1);
    if (exponent < 0)
        big_times_power_of_10(&den, (unsigned)-exponent);
    else
        big_times_power_of_10(&num, (unsigned)exponent);
    return round_fraction(&num, &den, f, out);
}

static bool scan_is(const Scan *s, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(s->end - s->p) == n && memcmp(s->p, word, n) == 0;
}

static NumberResult read_nan(Scan *s, uint64_t quiet, uint64_t *out)
{
    if (scan_is(s, "nan")) {
        *out = quiet;
        return NUMBER_OK;
    }
    if (s->end - s->p < 7 || memcmp(s->p, "nan:0x", 6) != 0)
        return NUMBER_SYNTAX;
    s->p += 4;
    NumberResult result = magnitude(s, out);
    if (result == NUMBER_OK && (*out == 0 || *out >= quiet << 1))
        return NUMBER_RANGE;
    return result;
}

static NumberResult read_float(const char *text, size_t len, const Format *f,
                               uint64_t *out, bool *negative)
{
    Scan s = {.p = text, .end = text + len};
    scan_sign(&s);
    *negative = s.negative;
    uint64_t infinity = ((uint64_t)(f->greatest - f->least + 2))
                        << (f->significand - 1);
    if (scan_is(&s, "inf")) {
        *out = infinity;
        return NUMBER_OK;
    }
    if (s.p < s.end && *s.p == 'n') {
        uint64_t quiet = (uint64_t)1 << (f->significand - 2);
        NumberResult result = read_nan(&s, quiet, out);
        *out |= infinity;
        return result;
    }
    if (!scan_float(&s))
        return NUMBER_SYNTAX;
    return s.hex ? read_hex(&s, f, out) : read_decimal(&s, f, out);
}

NumberResult number_f32(const char *text, size_t len, uint32_t *bits)
{
    uint64_t v = 0;
    bool negative = false;
    NumberResult result = read_float(text, len, &f32_format, &v, &negative);
    *bits = (uint32_t)v | (uint32_t)negative << 31;
    return result;
}

NumberResult number_f64(const char *text, size_t len, uint64_t *bits)
{
    uint64_t v = 0;
    bool negative = false;
    NumberResult result = read_float(text, len, &f64_format, &v, &negative);
    *bits = v | (uint64_t)negative << 63;
    return result;
}

/* The digits of v * 2^exponent, as few as tell it from its neighbours; the
 * point stands before digit *point.  Gives how many, at most 17. */
static int shortest(uint64_t v, int exponent, bool power_of_two, char *digits,
                    int *point)
{
    Big r, s, up, down; /* value r/s; up and down are half the gaps, over s */
    big_set(&r, v);
    big_set(&s, 1);
    big_set(&up, 1);
    big_set(&down, 1);
    /* Scale by 2, and by 4 where the gap below is half of that above. */
    unsigned extra = power_of_two ? 2 : 1;
    big_shift_left(&r, extra + (unsigned)(exponent > 0 ? exponent : 0));
    big_shift_left(&s, extra + (unsigned)(exponent < 0 ? -exponent : 0));
    big_shift_left(&up, extra - 1 + (unsigned)(exponent > 0 ? exponent : 0));
    big_shift_left(&down, (unsigned)(exponent > 0 ? exponent : 0));
    /* log10 of the value from below, then corrected. */
    int k = (exponent + bits_of_u64(v) - 1) * 30103 / 100000 - 1;
    if (k > 0)
        big_times_power_of_10(&s, (unsigned)k);
    else {
        big_times_power_of_10(&r, (unsigned)-k);
        big_times_power_of_10(&up, (unsigned)-k);
        big_times_power_of_10(&down, (unsigned)-k);
    }
    bool even = (v & 1) == 0; /* then the borders round to it too */
    for (;; k++) {
        Big sum = r;
        big_add(&sum, &up);
        int c = big_compare(&sum, &s);
        if (c < 0 || (c == 0 && !even))
            break;
        big_multiply_add(&s, 10, 0);
    }
    *point = k;
    for (int n = 0;;) {
        big_multiply_add(&r, 10, 0);
        big_multiply_add(&up, 10, 0);
        big_multiply_add(&down, 10, 0);
        int d = 0;
        for (; big_compare(&r, &s) >= 0; d++)
            big_subtract(&r, &s);
        int c = big_compare(&r, &down);
        bool low = c < 0 || (c == 0 && even);
        Big sum = r;
        big_add(&sum, &up);
        c = big_compare(&sum, &s);
        bool high = c > 0 || (c == 0 && even);
        if (low || high) {
            big_shift_left(&r, 1);
            if (high && (!low || big_compare(&r, &s) >= 0))
                d++;
        }
        digits[n++] = (char)('0' + d);
        if (low || high)
            return n;
    }
}

/* Rounding up in shortest may have made a digit ':' (ten). */
static int carry(char *digits, int n, int *point)
{
    while (n > 0 && digits[n - 1] == '0' + 10) {
        n--;
        if (n == 0) {
            digits[n++] = '1';
            ++*point;
            break;
        }
        digits[n - 1]++;
    }
    return n;
}

typedef struct {
    char *out;
    size_t len;
} Text;

static void put(Text *t, char c) { t->out[t->len++] = c; }

static void put_unsigned(Text *t, unsigned v)
{
    char digits[12];
    int n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n > 0)
        put(t, digits[--n]);
}

static void put_hex(Text *t, uint64_t v)
{
    int shift = 60;
    while (shift > 0 && !(v >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put(t, "0123456789abcdef"[v >> shift & 15]);
}

static void put_word(Text *t, const char *word)
{
    while (*word)
        put(t, *word++);
}

static void put_decimal(Text *t, const char *digits, int n, int point)
{
    if (point > 21 || point < -5) {
        put(t, digits[0]);
        if (n > 1)
            put(t, '.');
        for (int i = 1; i < n; i++)
            put(t, digits[i]);
        put(t, 'e');
        put(t, point - 1 < 0 ? '-' : '+');
        put_unsigned(t, (unsigned)(point - 1 < 0 ? 1 - point : point - 1));
        return;
    }
    if (point <= 0) {
        put_word(t, "0.");
        for (int i = point; i < 0; i++)
            put(t, '0');
    }
    for (int i = 0; i < n || i < point; i++) {
        if (i == point && point > 0)
            put(t, '.');
        put(t, i < n ? digits[i] : '0');
    }
}

/* `bits` without the sign. */
static size_t print_float(uint64_t bits, bool negative, const Format *f,
                          char *out)
{
    Text t = {out, 0};
    if (negative)
        put(&t, '-');
    uint64_t hidden = (uint64_t)1 << (f->significand - 1);
    uint64_t v = bits & (hidden - 1);
    int biased = (int)(bits >> (f->significand - 1));
    if (biased == f->greatest - f->least + 2) {
        put_word(&t, v ? "nan" : "inf");
        if (v && v != hidden >> 1) {
            put_word(&t, ":0x");
            put_hex(&t, v);
        }
    } else if (!bits) {
        put(&t, '0');
    } else {
        char digits[24];
        int point;
        bool power = v == 0 && biased > 1;
        int exponent = f->least + (biased ? biased - 1 : 0);
        v |= biased ? hidden : 0;
        int n = shortest(v, exponent, power, digits, &point);
        n = carry(digits, n, &point);
        put_decimal(&t, digits, n, point);
    }
    out[t.len] = 0;
    return t.len;
}

size_t number_print_f32(uint32_t bits, char out[NUMBER_TEXT_SIZE])
{
    return print_float(bits & 0x7fffffff, bits >> 31, &f32_format, out);
}

size_t number_print_f64(uint64_t bits, char out[NUMBER_TEXT_SIZE])
{
    return print_float(bits & (UINT64_MAX >> 1), bits >> 63, &f64_format, out);
}
