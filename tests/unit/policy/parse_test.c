// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the policy's language: what is accepted, and that each mistake is named with its line and
 * its place.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/policy.h"

#define S(body) "sessions = {\n a = {\n" body "\n };\n};\n" /* the body begins in line 3 */

struct mistake {
	const char *text;
	const char *error; /* without the file's name */
};

static const struct mistake mistakes[] = {
	/* the text as a whole */
	{ "", "1: no sessions: expected sessions = { NAME = { ... }; };" },
	{ "# nothing\n", "1: no sessions: expected sessions = { NAME = { ... }; };" },
	{ "sessions = { };", "1: sessions: no session in it: expected NAME = { ... };" },
	{ "sessions = ( );", "1: sessions: expected a group { NAME = { ... }; }" },
	{ "\nsession = { };", "2: session: unknown key \"session\"; did you mean \"sessions\"?" },
	{ "zebra = 1;", "1: zebra: unknown key \"zebra\"" },
	{ "version = 2;", "1: version: expected 1, the version of the policy language" },
	{ "version = \"1\";", "1: version: expected 1, the version of the policy language" },
	{ "version = 4294967297;\nsessions = { a = { }; };",
	  "1: version: expected 1, the version of the policy language" },
	{ "version = 0x100000001;\nsessions = { a = { }; };",
	  "1: version: expected 1, the version of the policy language" },
	{ "version = 1;\nx = 18446744073709551617;",
	  "2: 18446744073709551617 is no number of 64 bits, the most that can be given" },
	{ "version = -9223372036854775809L;",
	  "1: -9223372036854775809L is no number of 64 bits, the most that can be given" },
	{ S("files = ( { from = \"/a\"; to = \"/s\"; },\n ); # end"),
	  "3: a comma without a value behind it, remove the comma" },
	{ S("permit = [ \"a\"\n,, /* and */ \"b\" ];"),
	  "4: a comma without a value behind it, remove the comma" },
	{ S("permit = [ , \"b\" ];"), "3: a comma without a value before it, remove the comma" },
	{ "sessions = {\n a = {\n  to \"b\";\n };\n};",
	  "3: syntax error in or before \"to \"b\";\", expected settings such as name = value;" },
	{ "sessions = {\n a = { };\n b = { };\n a = { };\n};",
	  "4: this name is already given in the same group, near \"a = { };\"" },
	{ S("permit = [ \"a\", 1 ];"),
	  "3: an array [ ] holds values of one type, near \"permit = [ \"a\", 1 ];\"" },
	{ "a = 1;\n@include \"/etc/passwd\"\n",
	  "2: @include is not supported, all stands in one file" },
	{ "a = \"b\nc = 1;\n", "1: this string has no end, expected \"" },
	{ "\n/* a = 1;\n", "2: this comment has no end, expected */" },
	{ S("files = ( { from = \"/a\\x00b\"; } );"),
	  "3: a string cannot hold a NUL byte (\\x00)" },
	{ "a = ((((((((((((((((((((1", "1: brackets nest deeper than 16" },
	/* sessions */
	{ "sessions = {\n a* = { };\n};",
	  "2: sessions.a*: a session's name is 1 to 32 letters, digits, '_' and '-', found \"a*\"" },
	{ "sessions = {\n abcdefghijklmnopqrstuvwxyz0123456 = { };\n};",
	  "2: sessions.abcdefghijklmnopqrstuvwxyz012345: a session's name is 1 to 32 letters, "
	  "digits, '_' and '-', found \"abcdefghijklmnopqrstuvwxyz0123456\"" },
	{ "sessions = {\n a = 1;\n};", "2: sessions.a: expected a group { ... }, found a number" },
	{ S("file = ( );"), "3: sessions.a.file: unknown key \"file\"; did you mean \"files\"?" },
	{ S("default = \"allow\";"),
	  "3: sessions.a.default: expected \"pass\" or \"deny\", found \"allow\"" },
	{ S("default = true;"),
	  "3: sessions.a.default: expected \"pass\" or \"deny\" in quotes, found true or false" },
	/* files */
	{ S("files = { from = \"/\"; };"),
	  "3: sessions.a.files: expected a list of mappings { from = ...; to = ...; }, found a "
	  "group { }" },
	{ S("files = ( \"/\" );"),
	  "3: sessions.a.files[0]: expected a group { ... }, found a string" },
	{ S("files = (\n { from = \"/\";\n to = \"jail\"; } );"),
	  "5: sessions.a.files[0].to: expected an absolute path, found \"jail\"" },
	{ S("files = ( { from = \"\"; to = \"/a\"; } );"),
	  "3: sessions.a.files[0].from: expected an absolute path, found \"\"" },
	{ S("files = ( { from = 7; to = \"/a\"; } );"),
	  "3: sessions.a.files[0].from: expected an absolute path in quotes, found a number" },
	{ S("files = ( { to = \"/a\"; } );"), "3: sessions.a.files[0]: needs from = \"/PATH\"" },
	{ S("files = ( { from = \"/a\"; } );"),
	  "3: sessions.a.files[0]: needs to = \"/PATH\", or action = \"pass\" or \"deny\"" },
	{ S("files = ( { from = \"/a\"; too = \"/b\"; } );"),
	  "3: sessions.a.files[0].too: unknown key \"too\"; did you mean \"to\"?" },
	{ S("files = ( { from = \"/a/../b\"; to = \"/b\"; } );"),
	  "3: sessions.a.files[0].from: expected a path without //, . and .., found \"/a/../b\"" },
	{ S("files = ( { from = \"/a\"; to = \"/b//c\"; } );"),
	  "3: sessions.a.files[0].to: expected a path without //, . and .., found \"/b//c\"" },
	{ S("files = ( { from = \"/a\"; to = \"/b\"; action = \"pass\"; } );"),
	  "3: sessions.a.files[0].to: to has no meaning beside this action, remove one" },
	{ S("files = ( { from = \"/a\"; action = \"refuse\"; } );"),
	  "3: sessions.a.files[0].action: expected \"rewrite\" or \"pass\" or \"deny\", found "
	  "\"refuse\"" },
	{ S("files = ( { from = \"/a\"; action = \"deny\"; error = \"ENOSUCH\"; } );"),
	  "3: sessions.a.files[0].error: expected the name of an error such as \"EPERM\", found "
	  "\"ENOSUCH\"" },
	{ S("files = ( { from = \"/a\"; action = \"pass\"; error = \"EPERM\"; } );"),
	  "3: sessions.a.files[0].error: an error needs action = \"deny\" beside it" },
	{ S("files = ( { from = \"/a\"; to = \"/b\"; record = 1; } );"),
	  "3: sessions.a.files[0].record: expected true or false, found a number" },
	{ S("files = (\n{ from = \"/a\"; to = \"/b\"; },\n{ from = \"/a/\"; to = \"/c\"; } );"),
	  "5: sessions.a.files[1].from: \"/a\" is already mapped by files[0] at demo.policy:4" },
	/* names */
	{ S("names = ( );"), "3: sessions.a.names: expected a group { ... }, found a list ( )" },
	{ S("names = { nets = \"a%s\"; };"),
	  "3: sessions.a.names.nets: unknown key \"nets\"; did you mean \"net\"?" },
	{ S("names = { other = \"a/%s\"; };"),
	  "3: sessions.a.names.other: \"a/%s\" cannot be part of such a name" },
	{ S("names = { misc = \"a\"; };"),
	  "3: sessions.a.names.misc: expected exactly one %s, for the name asked for, any "
	  "number of %i, for the driver's instance, and no other %, found \"a\"" },
	{ S("names = { misc = \"%s%s\"; };"),
	  "3: sessions.a.names.misc: expected exactly one %s, for the name asked for, any "
	  "number of %i, for the driver's instance, and no other %, found \"%s%s\"" },
	{ S("names = { misc = \"%n%s\"; };"),
	  "3: sessions.a.names.misc: expected exactly one %s, for the name asked for, any "
	  "number of %i, for the driver's instance, and no other %, found \"%n%s\"" },
	{ S("names = { net = \"123456789012345%s\"; };"),
	  "3: sessions.a.names.net: leaves no room for a name: at most 15 bytes in all" },
	{ S("names = { net = \"a/%s\"; };"),
	  "3: sessions.a.names.net: \"a/%s\" cannot be part of such a name" },
	{ S("names = { misc = \"../%s\"; };"),
	  "3: sessions.a.names.misc: \"../%s\" cannot be part of such a name" },
	/* functions */
	{ S("functions = ( { action = \"deny\"; } );"),
	  "3: sessions.a.functions[0]: needs function = \"NAME\", or \"*\" for all" },
	{ S("functions = ( { function = \"flip_open\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].function: \"flip_open\" is not a critical function; did you "
	  "mean \"filp_open\"?" },
	{ S("functions = ( { function = \"filp_close\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0]: filp_close undoes something and cannot be denied" },
	{ S("functions = ( { function = \"kernel_write\"; match = \"x\"; } );"),
	  "3: sessions.a.functions[0].match: kernel_write has no name to match" },
	{ S("functions = ( { function = \"filp_open\"; match = \"\"; } );"),
	  "3: sessions.a.functions[0].match: expected a pattern such as \"/sbin/*\", found \"\"" },
	{ S("functions = ( { function = \"filp_open\"; error = \"EIO\"; } );"),
	  "3: sessions.a.functions[0].error: an error needs action = \"deny\" beside it" },
	{ S("critical = { except = [ \"kernel_write\" ]; };\n"
	    "functions = ( { function = \"kernel_write\"; action = \"deny\"; } );"),
	  "4: sessions.a.functions[0]: kernel_write is not critical in this session (see "
	  "critical)" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/etc/secret/\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and .. and without a / at the end; did you mean \"/etc/secret\", or \"/etc/secret/*\" for all below?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/etc/[a-c\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: has a [ without a ]; did you mean \\[, a bracket itself?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"//etc/x\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and ..; did you mean \"/etc/x\"?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/etc/../root/x\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and ..; did you mean \"/root/x\"?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"etc/x\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and ..; did you mean \"/etc/x\"?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/etc/*/\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and .. and without a / at the end; did you mean \"/etc/*\", or \"/etc/*/*\" for all below?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"?x/./y\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and ..; did you mean \"/?x/y\"?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/a\\\\\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: ends with a \\, which takes the next character literally and has none; did you mean \\\\?" },
	{ S("functions = ( { function = \"filp_open\"; match = \"/a/..\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].match: matches no path: it is compared as an absolute path without //, . and .. and without a / at the end; did you mean \"/\", or \"/*\" for all below?" },
	{ S("functions = ( { function = \"filp_open\"; driver = \"dummy.ko\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].driver: matches no driver: its name is letters, digits, '_' and '-'; did you mean \"dummy\"?" },
	{ S("functions = ( { function = \"*\"; driver = \"/lib/x-y.ko\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].driver: matches no driver: its name is letters, digits, '_' and '-'; did you mean \"x-y\"?" },
	{ S("functions = ( { function = \"*\"; driver = \"*\"; action = \"deny\"; } );"),
	  "3: sessions.a.functions[0].driver: matches no driver: its name is letters, digits, '_' and '-'" },
	{ S("functions = ( { function = \"register_netdev\"; match = \"abcdefghijklmnopq\"; } );"),
	  "3: sessions.a.functions[0].match: matches no name: such a name has at most 15 bytes" },
	{ S("functions = (\n{ function = \"filp_open\"; record = false; },\n"
	    "{ function = \"filp_open\"; match = \"/etc/x\"; action = \"deny\"; } );"),
	  "5: sessions.a.functions[1]: is never reached: functions[0] at demo.policy:4 fits every "
	  "call before it" },
	{ S("functions = (\n{ function = \"*\"; match = \"*\"; record = false; },\n"
	    "{ function = \"*\"; driver = \"x\"; action = \"deny\"; } );"),
	  "5: sessions.a.functions[1]: is never reached: functions[0] at demo.policy:4 fits every "
	  "call before it" },
	{ S("permit = [ \"crc32_le\", \"usb-*\" ];"),
	  "3: sessions.a.permit[1]: matches no symbol; did you mean _ in place of -?" },
	{ S("permit = [ \"usb *\" ];"),
	  "3: sessions.a.permit[0]: matches no symbol: these are of letters, digits, _, . and $" },
	{ S("permit = [ \"usb_[a-\" ];"),
	  "3: sessions.a.permit[0]: has a [ without a ]; did you mean \\[, a bracket itself?" },
	/* critical and permit */
	{ S("critical = [ \"filp_open\" ];"),
	  "3: sessions.a.critical: expected a group { ... }, found an array [ ]" },
	{ S("critical = { };"),
	  "3: sessions.a.critical: expected one of only = [ ... ] and except = [ ... ]" },
	{ S("critical = { only = [ \"printk\" ]; };"),
	  "3: sessions.a.critical.only[0]: \"printk\" is not a critical function" },
	{ S("critical = { except = [ \"misc_deregister\" ]; };"),
	  "3: sessions.a.critical.except: misc_deregister undoes misc_register: both are critical "
	  "or neither" },
	{ S("critical = { except = [ \"__symbol_get\" ]; };"),
	  "3: sessions.a.critical.except: __symbol_put undoes __symbol_get: both are critical or "
	  "neither" },
	{ S("critical = { only = [ \"__symbol_get\" ]; };"),
	  "3: sessions.a.critical.only: __symbol_put undoes __symbol_get: both are critical or "
	  "neither" },
	{ S("critical = { only = [ \"kernel_write\", \"__symbol_get\" ]; };"),
	  "3: sessions.a.critical.only: __symbol_put undoes __symbol_get: both are critical or "
	  "neither" },
	{ S("critical = { except = [ \"__symbol_get\", \"__symbol_put\" ]; };"),
	  "3: sessions.a.critical.except: __symbol_get gives out the address of any function, and "
	  "filp_open is critical; leave __symbol_get and __symbol_put out here" },
	{ S("trace = \"printk\";"),
	  "3: sessions.a.trace: expected a list of functions, or patterns of functions, found a "
	  "string" },
	{ S("trace = [ \"kfree\", \"\" ];"),
	  "3: sessions.a.trace[1]: expected a pattern of 1 to 64 bytes" },
	{ S("trace = [ \"k free\" ];"),
	  "3: sessions.a.trace[0]: matches no symbol: these are of letters, digits, _, . and $" },
	{ S("witness = \"printk\";"),
	  "3: sessions.a.witness: expected a list of functions, or patterns of functions, found a "
	  "string" },
	{ S("witness = [ \"k free\" ];"),
	  "3: sessions.a.witness[0]: matches no symbol: these are of letters, digits, _, . and $" },
	{ S("trace_inward = \"printk\";"),
	  "3: sessions.a.trace_inward: expected a list of functions of drivers, or patterns of "
	  "them, found a string" },
	{ S("trace_inward = [ \"k free\" ];"),
	  "3: sessions.a.trace_inward[0]: matches no symbol: these are of letters, digits, _, . and $" },
	{ S("layout = \"sparse\";"),
	  "3: sessions.a.layout: expected \"dense\" or \"same\", found \"sparse\"" },
	{ S("permit = \"printk\";"),
	  "3: sessions.a.permit: expected a list of symbols, found a string" },
	{ S("permit = [ \"\" ];"),
	  "3: sessions.a.permit[0]: expected a symbol of 1 to 4095 bytes" },
	{ S("permit = [ 1 ];"),
	  "3: sessions.a.permit[0]: expected a symbol or a pattern of symbols in quotes, found a "
	  "number" },
};

static void each_mistake_has_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct policy *p = NULL;
		struct err e = { "" };
		char want[512];

		snprintf(want, sizeof(want), "demo.policy:%s", mistakes[i].error);
		assert_int_equal(policy_parse(&p, "demo.policy", mistakes[i].text, &e), -EINVAL);
		assert_null(p);
		assert_string_equal(e.text, want);
		assert_int_equal(policy_parse(&p, "demo.policy", mistakes[i].text, NULL), -EINVAL);
	}
}

static struct policy *parse_policy(const char *text)
{
	struct policy *p = NULL;
	struct err e = { "" };

	if (policy_parse(&p, "dir/demo.policy", text, &e))
		fail_msg("%s", e.text);
	return p;
}

static void sessions_are_found(void **state)
{
	struct policy *p = parse_policy("sessions: { a: { } b-2 = { }; };");

	(void)state;
	assert_int_equal(policy_session_count(p), 2);
	assert_string_equal(policy_session_name(policy_session_at(p, 0)), "a");
	assert_ptr_equal(policy_session(p, "b-2"), policy_session_at(p, 1));
	assert_null(policy_session(p, "c"));
	assert_null(policy_session_at(p, 2));
	policy_free(p);
	policy_free(NULL);
}

/* Unusual, and right: patterns that some name matches, numbers in all their forms, open ends. */
static void what_is_right_is_taken(void **state)
{
	static const char *const texts[] = {
		"version = 1;\nsessions = { a = { }; };\n# last comment without newline",
		"version = 1;\nsessions = { a = { }; };\n// last",
		"version = 0x1; sessions = { a = { }; }",
		"version = 1; sessions = { a = { default = \"deny\", }, };",
		S("functions = ( { function = \"filp_open\"; match = \"/\"; },\n"
		  "{ function = \"filp_open\"; match = \"*/\"; },\n"
		  "{ function = \"filp_open\"; match = \"?etc/..x/.y/z..\"; },\n"
		  "{ function = \"filp_open\"; match = \"[/]etc/[]a]/[[:alpha:]]\"; },\n"
		  "{ function = \"filp_open\"; match = \"/a/\\\\*\"; },\n"
		  "{ function = \"*\"; match = \"lime/\"; },\n"
		  "{ function = \"misc_register\"; match = \"a//b\"; },\n"
		  "{ function = \"filp_open\"; match = \"*\"; driver = \"x\"; },\n"
		  "{ function = \"filp_open\"; } );\n"
		  "permit = [ \"usb_[a-z]*\", \"_.$?\" ];"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		policy_free(parse_policy(texts[i]));
}

static void critical_functions(void **state)
{
	struct policy *p = parse_policy(
		"sessions = {\n"
		" all = { };\n"
		" some = { critical = { only = ( \"filp_open\", \"filp_close\" ); }; };\n"
		" most = { critical = { except = [ \"kernel_write\" ]; }; };\n"
		"};\n");
	const struct policy_session *all = policy_session(p, "all");
	const struct policy_session *some = policy_session(p, "some");
	const struct policy_session *most = policy_session(p, "most");

	(void)state;
	assert_true(policy_critical(all, "filp_open"));
	assert_true(policy_critical(all, "kernel_write"));
	assert_false(policy_critical(all, "printk"));
	assert_true(policy_critical(some, "filp_open"));
	assert_false(policy_critical(some, "kernel_write"));
	assert_true(policy_critical(most, "misc_register"));
	assert_false(policy_critical(most, "kernel_write"));
	policy_free(p);
}

/* One critical function makes the lookup by name critical, which would give its address out. */
static void lookups_by_name_are_critical(void **state)
{
	struct policy *p = parse_policy(
		"sessions = {\n"
		" one = { critical = { only = [ \"kernel_write\" ]; };\n"
		"  functions = ( { function = \"__symbol_get\"; match = \"x\"; action = \"deny\"; } ); };\n"
		" none = { critical = { only = [ ]; }; };\n"
		" both = { critical = { only = [ \"__symbol_get\", \"__symbol_put\" ]; }; };\n"
		"};\n");
	const struct policy_session *one = policy_session(p, "one");
	const struct policy_session *none = policy_session(p, "none");
	const struct policy_session *both = policy_session(p, "both");

	(void)state;
	assert_true(policy_critical(one, "kernel_write"));
	assert_true(policy_critical(one, "__symbol_get"));
	assert_true(policy_critical(one, "__symbol_put"));
	assert_false(policy_critical(one, "filp_open"));
	assert_false(policy_critical(none, "kernel_write"));
	assert_false(policy_critical(none, "__symbol_get"));
	assert_true(policy_critical(both, "__symbol_get"));
	assert_true(policy_critical(both, "__symbol_put"));
	policy_free(p);
}

static void traced_and_witnessed_functions(void **state)
{
	const struct policy_session *a;
	struct policy *p;
	struct err e = { "" };
	const char *rule;
	bool each = false;

	(void)state;
	if (policy_parse(&p, "p",
			 "version = 1; sessions = { a = { trace = [ \"kfree\", \"k*\" ];\n"
			 "witness = [ \"kfr*\" ]; }; };",
			 &e))
		fail_msg("%s", e.text);
	a = policy_session(p, "a");
	/* of a function that both name each call is proof */
	assert_string_equal(policy_traced(a, "kfree", &each), "witness[0] at p:2");
	assert_true(each);
	assert_string_equal(policy_traced(a, "kmalloc", &each), "trace[1] at p:1");
	assert_false(each);
	assert_null(policy_traced(a, "vfree", NULL));
	assert_string_equal(policy_trace_at(a, 0, &rule), "kfr*");
	assert_string_equal(policy_trace_at(a, 2, &rule), "k*");
	assert_string_equal(rule, "trace[1] at p:1");
	assert_null(policy_trace_at(a, 3, &rule));
	policy_free(p);
}

static void permitted_symbols(void **state)
{
	struct policy *p = parse_policy(S("permit = [ \"printk\", \"__x86_*\", \"mutex_?ock\" ];"));
	const struct policy_session *s = policy_session(p, "a");
	struct policy *none = parse_policy(S(""));

	(void)state;
	assert_true(policy_permitted(s, "printk"));
	assert_false(policy_permitted(s, "printk_"));
	assert_false(policy_permitted(s, "print"));
	assert_true(policy_permitted(s, "__x86_return_thunk"));
	assert_true(policy_permitted(s, "mutex_lock"));
	assert_false(policy_permitted(s, "mutex_block"));
	assert_false(policy_permitted(s, ""));
	assert_false(policy_permitted(policy_session(none, "a"), "printk"));
	policy_free(none);
	policy_free(p);
}

/* Writes @len bytes of @text into a file and loads it; the error is in @e. */
static int load_text(const char *text, size_t len, struct err *e)
{
	char path[] = "/tmp/umbra-policy-XXXXXX";
	struct policy *p = NULL;
	int fd = mkstemp(path), ret;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	ret = policy_load(&p, path, e);
	unlink(path);
	policy_free(p);
	return ret;
}

static void files_are_read_with_care(void **state)
{
	size_t size = (4u << 20) + 1;
	char *big = malloc(size);
	struct policy *p = NULL;
	struct err e;

	(void)state;
	assert_non_null(big);
	memset(big, '\n', size);
	assert_int_equal(load_text(big, size, &e), -EFBIG);
	memcpy(big, S(""), strlen(S("")));
	assert_int_equal(load_text(big, size - 1, &e), 0);
	assert_int_equal(load_text("sessions = {\0", 13, &e), -EINVAL);
	assert_non_null(strstr(e.text, "NUL byte"));
	assert_int_equal(policy_load(&p, "/nonexistent/x.policy", &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/x.policy: cannot open: No such file"));
	assert_int_equal(policy_load(&p, "/", &e), -EISDIR);
	free(big);
}

static void too_many_rules(void **state)
{
	char *text = malloc(4u << 20), *at = text;
	struct policy *p = NULL;
	struct err e;

	(void)state;
	assert_non_null(text);
	at += sprintf(at, "sessions = { a = { permit = (");
	for (int i = 0; i < 100001; i++)
		at += sprintf(at, "%s\"s%d\"", i ? "," : "", i);
	sprintf(at, "); }; };");
	assert_int_equal(policy_parse(&p, "x", text, &e), -EINVAL);
	assert_string_equal(e.text, "x:1: sessions.a.permit: more than 100000 rules in one policy");
	free(text);
}

/* Whatever is cut off or changed in a good policy: an error or a policy, never a crash. */
static void damaged_text(void **state)
{
	static const char good[] = S("files = ( { from = \"/\"; to = \"/j\"; } );\n"
				     "names = { net = \"a%s\"; };\n"
				     "functions = ( { function = \"*\"; match = \"/s*\"; "
				     "action = \"deny\"; error = \"EIO\"; } );\n"
				     "permit = [ \"a*\" ]; default = \"deny\";");
	char text[sizeof(good)];

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		static const char bytes[] = "\"{}()[];=%/*\\@\n\x01\xff 0";
		struct policy *p = NULL;

		memcpy(text, good, i);
		text[i] = '\0';
		if (!policy_parse(&p, "x", text, NULL))
			policy_free(p);
		for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
			memcpy(text, good, sizeof(good));
			text[i] = bytes[b];
			if (!policy_parse(&p, "x", text, NULL))
				policy_free(p);
		}
	}
}

/* The policies that people begin with load, and do what their comments say. */
static void the_examples_load(void **state)
{
	struct policy_request open = { .fn = catalog_find("filp_open"), .name = "/mem.lime" };
	struct decision d;
	struct policy *p;
	struct err e = { "" };

	(void)state;
	if (policy_load(&p, "policy/examples/demo.policy", &e))
		fail_msg("%s", e.text);
	policy_decide(policy_session(p, "a"), "lime", &open, &d);
	assert_string_equal(d.root, "/data/a");
	policy_decide(policy_session(p, "b"), "lime", &open, &d);
	assert_string_equal(d.root, "/data/b");
	assert_string_equal(d.name, "mem.lime");
	policy_free(p);

	if (policy_load(&p, "policy/examples/strict.policy", &e))
		fail_msg("%s", e.text);
	policy_decide(policy_session(p, "strict"), "driver", &open, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	open.name = "/etc/driver/keys/id";
	policy_decide(policy_session(p, "strict"), "driver", &open, &d);
	assert_int_equal(d.error, EACCES);
	policy_free(p);
}

/* libconfig loses the string that it read last when the text has a syntax error: not our leak. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_has_its_line),
		cmocka_unit_test(sessions_are_found),
		cmocka_unit_test(what_is_right_is_taken),
		cmocka_unit_test(critical_functions),
		cmocka_unit_test(lookups_by_name_are_critical),
		cmocka_unit_test(traced_and_witnessed_functions),
		cmocka_unit_test(permitted_symbols),
		cmocka_unit_test(files_are_read_with_care),
		cmocka_unit_test(too_many_rules),
		cmocka_unit_test(damaged_text),
		cmocka_unit_test(the_examples_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
