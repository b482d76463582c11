/* hello.c - the smallest embedding: text in, a call, a host function.
 *
 *   cc hello.c $(pkg-config --cflags --libs chiasm) -o hello && ./hello
 */
#include <stdio.h>

#include <chiasm.h>
#include <chiasm_tools.h>

static const char text[] =
    "(module (import \"host\" \"log\" (func $log (param i32)))"
    "  (func (export \"triangle\") (param $n i32) (result i32) (local $sum i32)"
    "    (loop $next"
    "      (local.set $sum (i32.add (local.get $sum) (local.get $n)))"
    "      (call $log (local.get $sum))"
    "      (br_if $next (local.tee $n"
    "                     (i32.sub (local.get $n) (i32.const 1)))))"
    "    (local.get $sum)))";

/* A host function: `host` is the pointer given to chi_func_new. */
static chi_code log_number(void *host, chi_store *store, uint64_t *slots)
{
    (void)store;
    printf("%s %d\n", (const char *)host, (int)(int32_t)slots[0]);
    return CHI_OK;
}

static int fail(const chi_error *err)
{
    char *shown =
        chi_error_show(err, "hello.wat", text, sizeof text - 1, false);
    fputs(shown, stderr);
    chi_text_free(shown);
    return 1;
}

int main(void)
{
    chi_error err = {0};
    chi_module *module =
        chi_module_from_text(text, sizeof text - 1, chi_features_all(), &err);
    if (!module)
        return fail(&err);

    chi_store *store = chi_store_new(NULL);
    const chi_type param = CHI_I32;
    chi_extern import = {.kind = CHI_FUNC};
    import.func = chi_func_new(store, &param, 1, NULL, 0, log_number,
                               (void *)(uintptr_t)"so far:", &err);
    chi_instance *instance = chi_instance_new(store, module, &import, &err);
    if (!instance)
        return fail(&err);

    /* Arguments go in by slots of 8 bytes, results come out by them. */
    uint64_t slots[1] = {4};
    chi_extern triangle = chi_instance_export(instance, 0);
    if (chi_call(triangle.func, slots, &err) != CHI_OK)
        return fail(&err);
    printf("triangle(4) = %d\n", (int)(int32_t)slots[0]);

    chi_instance_free(instance);
    chi_extern_free(import);
    chi_store_free(store);
    chi_module_free(module);
    return 0;
}
