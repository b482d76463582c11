/* The script reader: each function's name is what it claims. */
#include "../c/check.h"

#include "text/parse.h"
#include "text/script.h"

static Script *script;
static Command command;
static Error error;

static void start(const char *text)
{
    script_free(script);
    script = script_new(text, strlen(text), feature_all());
}

static bool next(void)
{
    memset(&error, 0, sizeof error);
    return script_next(script, &command, &error);
}

static bool name_is(Name n, const char *text)
{
    return n.len == strlen(text) && !memcmp(n.bytes, text, n.len);
}

static void modules_come_assembled(void)
{
    start("(module $A (func)) (module definition $B) (module instance $I $B)"
          "(module instance) (module binary \"\\00asm\" \"\\01\\00\\00\\00\")"
          "(module $Q quote \"(func \" \"(nop))\")");
    CHECK(next() && command.kind == COMMAND_MODULE && command.has_module);
    CHECK(name_is(command.name, "A") && command.module.len == 35);
    CHECK(next() && command.kind == COMMAND_MODULE_DEFINITION);
    CHECK(name_is(command.name, "B") && command.module.bytes);
    CHECK(next() && command.kind == COMMAND_MODULE_INSTANCE);
    CHECK(name_is(command.name, "I") && name_is(command.of, "B"));
    CHECK(next() && !command.name.len && !command.of.len);
    CHECK(next() && command.module.kind == SOURCE_BINARY);
    CHECK(command.module.len == 8);
    CHECK(next() && command.module.kind == SOURCE_QUOTE);
    CHECK(name_is(command.name, "Q") && command.module.bytes);
    CHECK(!next() && error.code == ERR_OK);
}

static void a_script_of_fields_is_one_module(void)
{
    start(" (func) (memory 0)\n(func (export \"f\"))");
    CHECK(next() && command.kind == COMMAND_MODULE && command.module.bytes);
    CHECK(!next() && error.code == ERR_OK);
}

static void a_module_that_does_not_parse_is_an_error_in_its_place(void)
{
    start("(module)\n(assert_malformed\n  (module quote \"(func\\n  (nopp))\")"
          "\n  \"unknown operator\")\n(module\n  (func foo))\n(module)");
    CHECK(next() && next());
    CHECK(command.kind == COMMAND_ASSERT_MALFORMED && command.line == 2);
    CHECK(!command.module.bytes && command.module.err.line == 2);
    CHECK(command.module.err.column == 4);
    CHECK(name_is(command.message, "unknown operator"));
    CHECK(next() && !command.module.bytes);
    CHECK(command.module.err.line == 6 && command.module.err.column == 9);
    CHECK(next() && command.module.bytes);
}

static void values_keep_their_bits(void)
{
    start("(assert_return (invoke $M \"f\" (i32.const -1) (i64.const 2)"
          " (f32.const nan:0x7) (ref.extern 3) (ref.host 4) (ref.null func))"
          " (f64.const nan:canonical) (f32.const nan:arithmetic)"
          " (v128.const f32x4 1 nan:canonical 2 nan:arithmetic)"
          " (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 -1)"
          " (ref.null) (ref.extern) (ref.func) (ref.i31) (ref.struct)"
          " (either (i32.const 1) (i32.const 2)))");
    CHECK(next() && command.kind == COMMAND_ASSERT_RETURN);
    const ScriptAction *a = &command.action;
    CHECK(a->kind == ACTION_INVOKE && name_is(a->instance, "M"));
    CHECK(name_is(a->name, "f") && a->n_args == 6);
    CHECK(a->args[0].kind == VALUE_I32 && a->args[0].bits == 0xffffffff);
    CHECK(a->args[2].bits == 0x7f800007 && !a->args[2].nan[0]);
    CHECK(a->args[3].kind == VALUE_REF_EXTERN && a->args[3].bits == 3);
    CHECK(a->args[4].kind == VALUE_REF_HOST && a->args[4].has_bits);
    CHECK(a->args[5].kind == VALUE_REF_NULL && a->args[5].heap == HEAP_FUNC);
    const ScriptValue *e = command.expected;
    CHECK(command.n_expected == 10);
    CHECK(e[0].kind == VALUE_F64 && e[0].nan[0] == NAN_CANONICAL);
    CHECK(e[1].nan[0] == NAN_ARITHMETIC);
    CHECK(e[2].shape == SHAPE_F32X4 && !e[2].nan[0] && e[2].v128[3] == 0x3f);
    CHECK(e[2].nan[1] == NAN_CANONICAL && e[2].nan[3] == NAN_ARITHMETIC);
    CHECK(e[3].shape == SHAPE_I8X16 && e[3].v128[15] == 255);
    CHECK(e[4].kind == VALUE_REF_NULL && e[4].heap == 0);
    CHECK(e[5].kind == VALUE_REF_EXTERN && !e[5].has_bits);
    CHECK(e[9].kind == VALUE_EITHER && e[9].n_alternatives == 2);
    CHECK(e[9].alternatives[1].bits == 2);
}

static void assertions_hold_an_action_or_a_module(void)
{
    start("(assert_trap (invoke \"f\") \"unreachable\")"
          "(assert_trap (module (func $f unreachable) (start $f)) \"u\")"
          "(assert_exhaustion (invoke \"f\") \"call stack exhausted\")"
          "(assert_exception (invoke \"f\"))"
          "(assert_unlinkable (module (import \"a\" \"b\" (func))) \"x\")"
          "(register \"lib\" $M) (get $M \"g\")");
    CHECK(next() && command.kind == COMMAND_ASSERT_TRAP);
    CHECK(!command.has_module && name_is(command.message, "unreachable"));
    CHECK(next() && command.has_module && command.module.bytes);
    CHECK(next() && command.kind == COMMAND_ASSERT_EXHAUSTION);
    CHECK(next() && command.kind == COMMAND_ASSERT_EXCEPTION);
    CHECK(next() && command.kind == COMMAND_ASSERT_UNLINKABLE);
    CHECK(next() && command.kind == COMMAND_REGISTER);
    CHECK(name_is(command.string, "lib") && name_is(command.name, "M"));
    CHECK(next() && command.kind == COMMAND_ACTION);
    CHECK(command.action.kind == ACTION_GET);
    CHECK(!next() && error.code == ERR_OK);
}

static void threads_have_scripts_of_their_own(void)
{
    start("(module $Mem (memory (export \"m\") 1 1 shared))"
          "(thread $T (shared (module $Mem)) (register \"mem\" $Mem)"
          " (module (import \"mem\" \"m\" (memory 1 1 shared)))\n"
          " (invoke \"f\")) (wait $T)");
    CHECK(next() && next() && command.kind == COMMAND_THREAD);
    CHECK(name_is(command.name, "T") && name_is(command.shared, "Mem"));
    Script *body = command.body;
    CHECK(next() && command.kind == COMMAND_WAIT);
    CHECK(name_is(command.name, "T") && !next());
    Command c;
    CHECK(script_next(body, &c, &error) && c.kind == COMMAND_REGISTER);
    CHECK(script_next(body, &c, &error) && c.module.bytes);
    CHECK(script_next(body, &c, &error) && c.kind == COMMAND_ACTION);
    CHECK(c.line == 2 && c.column == 2);
    CHECK(!script_next(body, &c, &error) && error.code == ERR_OK);
}

static void a_faulty_command_does_not_hide_the_next(void)
{
    start("(assert_retrun (invoke \"f\"))\n(invoke f) (invoke \"g\")");
    CHECK(!next() && error.code == ERR_SYNTAX && error.line == 1);
    CHECK(!next() && error.line == 2 && error.column == 9);
    CHECK(next() && name_is(command.action.name, "g"));
    CHECK(!next() && error.code == ERR_OK);
    start("(module)) (module)");
    CHECK(next() && !next() && error.code == ERR_SYNTAX);
    start("\xff(module)");
    CHECK(!next() && error.code == ERR_SYNTAX);
    CHECK(!next() && error.code == ERR_OK);
}

static void errors_of_the_validator_find_their_place(void)
{
    static const char text[] = "(module\n  (func (result i32)\n"
                               "    i64.const 1))";
    TextModule t;
    Error err = {0};
    CHECK(text_parse(text, strlen(text), feature_all(), &t, &err));
    CHECK(!module_new(t.bytes, t.len, feature_all(), &err));
    text_locate_error(&t, &err);
    CHECK(err.line == 3 && err.column == 16); /* the end of the body */
    text_free(&t);
}

int main(void)
{
    RUN(modules_come_assembled);
    RUN(a_script_of_fields_is_one_module);
    RUN(a_module_that_does_not_parse_is_an_error_in_its_place);
    RUN(values_keep_their_bits);
    RUN(assertions_hold_an_action_or_a_module);
    RUN(threads_have_scripts_of_their_own);
    RUN(a_faulty_command_does_not_hide_the_next);
    RUN(errors_of_the_validator_find_their_place);
    script_free(script);
    return 0;
}
