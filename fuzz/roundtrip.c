#include "fuzz/roundtrip.h"

#include <string.h>

#include "chiasm_tools.h"
#include "fuzz/fuzz.h"

static uint8_t *reparse(const chi_module *m, unsigned flags, size_t *len)
{
    chi_error err = {0};
    size_t text_len;
    char *text = chi_module_print(m, flags, &text_len);
    FUZZ_CHECK(strlen(text) <= text_len, "a text without its end");
    uint8_t *bytes =
        chi_text_parse(text, text_len, chi_features_all(), len, &err);
    FUZZ_CHECK(bytes, "a printed module does not parse: %u:%u: %s\n%.20000s",
               err.line, err.column, err.message, text);
    chi_text_free(text);
    return bytes;
}

void roundtrip_text(const chi_module *m, unsigned flags)
{
    chi_error err = {0};
    size_t len1, len2;
    uint8_t *first = reparse(m, flags, &len1);
    chi_module *m1 = chi_module_new(first, len1, chi_features_all(), &err);
    FUZZ_CHECK(m1, "a module printed and parsed is not valid: %s", err.message);
    uint8_t *second = reparse(m1, flags, &len2);
    FUZZ_CHECK(len1 == len2 && !memcmp(first, second, len1),
               "printing and parsing twice gives other bytes");
    chi_module_free(m1);
    chi_text_free(first);
    chi_text_free(second);
}

static void strip(const chi_module *m, bool keep_names)
{
    chi_error err = {0};
    size_t len;
    uint8_t *bytes = chi_module_strip(m, keep_names, &len);
    chi_module *stripped = chi_module_new(bytes, len, chi_features_all(), &err);
    FUZZ_CHECK(stripped, "a stripped module is not valid: %s", err.message);
    FUZZ_CHECK(chi_module_n_customs(stripped) == 0 || keep_names,
               "a stripped module has a custom section");
    chi_module_free(stripped);
    chi_text_free(bytes);
}

static void look(const chi_module *m)
{
    size_t len;
    char text[64];
    chi_module_name(m, &len);
    for (uint32_t i = 0; i < chi_module_n_imports(m); i++) {
        chi_import im;
        chi_module_import(m, i, &im);
        chi_externtype_print(&im.type, m, text, sizeof text);
    }
    for (uint32_t i = 0; i < chi_module_n_functions(m) && i < 16; i++) {
        chi_funcinfo info;
        uint32_t name_len;
        chi_module_function(m, i, &info);
        chi_module_local_name(m, i, 0, &name_len);
    }
    for (uint32_t i = 0; i < chi_module_n_customs(m); i++) {
        chi_custom c;
        chi_module_custom(m, i, &c);
        fuzz_hash(fuzz_hash(0, c.name, c.name_len), c.data, c.len);
    }
}

void roundtrip_tools(const chi_module *m)
{
    size_t len;
    strip(m, false);
    strip(m, true);
    look(m);
    chi_text_free(chi_module_interface(m, &len));
    for (unsigned what = 1; what <= CHI_DUMP_SIZES; what *= 2)
        chi_text_free(chi_module_dump(m, what, &len));
}
