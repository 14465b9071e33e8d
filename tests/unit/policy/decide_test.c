// SPDX-License-Identifier: GPL-2.0-only
/* Tests decisions: paths, names and rules. */
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/policy.h"

static const char policy_text[] =
	"sessions = {\n"
	" jail = { files = ( { from = \"/\"; to = \"/jail\"; } ); };\n"
	" many = {\n"
	"  files = (\n"
	"   { from = \"/a\"; to = \"/A\"; },\n" /* line 5 */
	"   { from = \"/a/b\"; to = \"/B/\"; },\n"
	"   { from = \"/a/b/c\"; action = \"deny\"; error = \"EACCES\"; record = false; },\n"
	"   { from = \"/proc\"; action = \"pass\"; },\n"
	"   { from = \"/real\"; to = \"/\"; }\n"
	"  );\n"
	"  default = \"deny\";\n" /* line 11 */
	" };\n"
	" open = { default = \"pass\"; };\n"
	" closed = { };\n"
	" names = { names = {\n"
	"  misc = \"a-%s\"; net = \"a%s\";\n" /* line 16 */
	"  link = \"a-%s\"; thread = \"%s/a\"; firmware = \"a/%s\"; }; };\n"
	" same = { names = { misc = \"%s\"; }; };\n"
	" rules = {\n"
	"  files = ( { from = \"/\"; to = \"/jail\"; } );\n"
	"  names = { misc = \"r-%s\"; };\n"
	"  functions = (\n"
	"   { function = \"filp_open\"; match = \"/etc/shadow*\"; action = \"deny\"; },\n" /* 23 */
	"   { function = \"filp_open\"; match = \"/etc/*\"; action = \"pass\"; },\n"
	"   { function = \"call_usermodehelper\"; match = \"/sbin/*\"; driver = \"lime2\";\n"
	"     action = \"deny\"; error = \"ENOENT\"; },\n"
	"   { function = \"call_usermodehelper\"; match = \"/sbin/*\"; action = \"pass\"; },\n"
	"   { function = \"call_usermodehelper\"; match = \"/usr/*\"; action = \"rewrite\"; },\n"
	"   { function = \"misc_register\"; match = \"null\"; action = \"deny\"; error = \"EBUSY\"; },\n"
	"   { function = \"misc_register\"; match = \"[k]msg\"; action = \"pass\"; },\n"
	"   { function = \"kernel_write\"; driver = \"snd-mute\"; action = \"deny\"; error = \"EROFS\"; },\n"
	"   { function = \"filp_close\"; record = false; },\n"
	"   { function = \"*\"; driver = \"bad\"; action = \"deny\"; error = \"EIO\"; }\n"
	"  );\n"
	" };\n"
	" reach = { functions = (\n"
	"   { function = \"sock_create\"; action = \"pass\"; },\n"
	"   { function = \"send_sig\"; action = \"deny\"; error = \"ESRCH\"; }\n"
	" ); };\n"
	" rest = { names = { net = \"n%s\"; other = \"o-%s\"; }; };\n"
	"};\n";

static int load_policy(void **state)
{
	struct policy *p;
	struct err e = { "" };

	if (policy_parse(&p, "/etc/p.policy", policy_text, &e))
		fail_msg("%s", e.text);
	*state = p;
	return 0;
}

static int free_policy(void **state)
{
	policy_free(*state);
	return 0;
}

static void decide_named(const struct policy *p, const char *session, const char *driver,
			 const struct policy_request *r, struct decision *d)
{
	/* What is not set must not shine through from an earlier request. */
	memset(d, 0xa5, sizeof(*d));
	policy_decide(policy_session(p, session), driver, r, d);
}

/*
 * A request in short: "root|name" for a path in a root, "=..." as asked, "^..." below the calling
 * task's root, "-ERROR". A root of the caller that begins with @ is one of other mounts.
 */
struct expect {
	const char *session, *driver, *function, *name, *cwd, *root;
	const char *answer;
	const char *rule;
};

static const char *answer_text(const struct decision *d, char *buf, size_t size)
{
	if (d->verdict == VERDICT_DENY)
		snprintf(buf, size, "-%s", strerrorname_np(d->error));
	else if ((d->verdict == VERDICT_PASS || d->verdict == VERDICT_REWRITE) &&
		 d->resolve & DECISION_IN_ROOT)
		snprintf(buf, size, "%s%s%s|%s", d->verdict == VERDICT_PASS ? "=" : "",
			 d->resolve & DECISION_CALLERS ? "^" : "", d->root, d->name);
	else if (d->verdict == VERDICT_PASS)
		snprintf(buf, size, "=%s", d->name);
	else if (d->verdict == VERDICT_REWRITE && !d->resolve && !*d->root)
		snprintf(buf, size, "%s", d->name);
	else
		snprintf(buf, size, "? verdict %d", d->verdict);
	return buf;
}

static void check_expectation(const struct policy *p, const struct expect *x)
{
	char got[2 * REQUEST_NAME_MAX + 8];
	struct policy_request r = {
		.fn = catalog_find(x->function),
		.name = x->name,
		.cwd = x->cwd,
		.root = x->root && *x->root == '@' ? x->root + 1 : x->root,
		.other_mounts = x->root && *x->root == '@',
	};
	struct decision d;

	decide_named(p, x->session, x->driver ? x->driver : "lime", &r, &d);
	if (strcmp(answer_text(&d, got, sizeof(got)), x->answer) != 0)
		fail_msg("%s(%s) in %s: expected %s, found %s", x->function, x->name, x->session,
			 x->answer, got);
	if (x->rule)
		assert_string_equal(d.rule, x->rule);
	assert_non_null(d.rule);
	assert_true(d.verdict == VERDICT_DENY ? d.error > 0 : d.error == 0);
}

static void check_all(void **state, const struct expect *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_expectation(*state, &x[i]);
}

#define GIVEN(s, name, answer)                                    \
	{                                                         \
		s, NULL, "d_path", name, NULL, NULL, answer, NULL \
	}

#define OPEN(s, name, cwd, root, answer)                            \
	{                                                           \
		s, NULL, "filp_open", name, cwd, root, answer, NULL \
	}

static void paths_stay_in_their_root(void **state)
{
	static const struct expect x[] = {
		OPEN("jail", "/etc/x", NULL, NULL, "/jail|etc/x"),
		OPEN("jail", "/", NULL, NULL, "/jail|."),
		OPEN("jail", "//", NULL, NULL, "/jail|."),
		OPEN("jail", "/.", NULL, NULL, "/jail|."),
		OPEN("jail", "/..", NULL, NULL, "/jail|."),
		OPEN("jail", "/a/../../etc/x", NULL, NULL, "/jail|etc/x"),
		OPEN("jail", "/../../../../etc/x", NULL, NULL, "/jail|etc/x"),
		OPEN("jail", "//etc///x", NULL, NULL, "/jail|etc/x"),
		OPEN("jail", "/./etc/./x", NULL, NULL, "/jail|etc/x"),
		OPEN("jail", "/a/b/c/../../../../../x", NULL, NULL, "/jail|x"),
		OPEN("jail", "/...", NULL, NULL, "/jail|..."),
		OPEN("jail", "/..a/.b/b..", NULL, NULL, "/jail|..a/.b/b.."),
		OPEN("jail", "/a b\n\x01\xff\xc3\x28", NULL, NULL, "/jail|a b\n\x01\xff\xc3\x28"),
		/* what must be a directory still says so */
		OPEN("jail", "/a/", NULL, NULL, "/jail|a/"),
		OPEN("jail", "/a/.", NULL, NULL, "/jail|a/"),
		OPEN("jail", "/a/b/..", NULL, NULL, "/jail|a/"),
		OPEN("jail", "/a//", NULL, NULL, "/jail|a/"),
	};

	check_all(state, x, ARRAY_SIZE(x));
}

static void relative_paths_and_other_roots(void **state)
{
	static const struct expect x[] = {
		OPEN("jail", "x", "/home/u", NULL, "/jail|home/u/x"),
		OPEN("jail", "x", "/", NULL, "/jail|x"),
		OPEN("jail", ".", "/home", NULL, "/jail|home/"),
		OPEN("jail", "../x", "/home/u", NULL, "/jail|home/x"),
		OPEN("jail", "../../../x", "/home/u", NULL, "/jail|x"),
		OPEN("jail", "x", "/home/./u/", NULL, "/jail|home/u/x"),
		OPEN("jail", "x", NULL, NULL, "-ENOENT"),
		OPEN("jail", "x", "(unreachable)/y", NULL, "-ENOENT"),
		/* an absolute path does not depend on the directory */
		OPEN("jail", "/x", "/home/u", NULL, "/jail|x"),
		/* a chroot: .. stops at it, and it lies inside the session's root */
		OPEN("jail", "/x", NULL, "/srv/c", "/jail|srv/c/x"),
		OPEN("jail", "/../../x", NULL, "/srv/c", "/jail|srv/c/x"),
		OPEN("jail", "../../../x", "/d", "/srv/c", "/jail|srv/c/x"),
		OPEN("jail", "x", "/d", "/srv/c", "/jail|srv/c/d/x"),
		OPEN("jail", "/..", NULL, "/srv/c", "/jail|srv/c/"),
		OPEN("jail", "/x", NULL, "/", "/jail|x"),
		OPEN("many", "/c", NULL, "/a/b", "-EACCES"),
	};

	check_all(state, x, ARRAY_SIZE(x));
}

static void the_longest_prefix_of_whole_components_wins(void **state)
{
	static const struct expect x[] = {
		{ "many", NULL, "filp_open", "/a", NULL, NULL, "/A|.", "files[0] at p.policy:5" },
		{ "many", NULL, "filp_open", "/a/x", NULL, NULL, "/A|x", "files[0] at p.policy:5" },
		{ "many", NULL, "filp_open", "/ab", NULL, NULL, "-EPERM",
		  "default at p.policy:11" },
		{ "many", NULL, "filp_open", "/a/b", NULL, NULL, "/B|.", "files[1] at p.policy:6" },
		{ "many", NULL, "filp_open", "/a/b/", NULL, NULL, "/B|.", NULL },
		{ "many", NULL, "filp_open", "/a/bc", NULL, NULL, "/A|bc", NULL },
		{ "many", NULL, "filp_open", "/a/b/d/e", NULL, NULL, "/B|d/e", NULL },
		{ "many", NULL, "filp_open", "/a/b/c", NULL, NULL, "-EACCES",
		  "files[2] at p.policy:7" },
		{ "many", NULL, "filp_open", "/a/b/c/d", NULL, NULL, "-EACCES", NULL },
		{ "many", NULL, "filp_open", "/a/b/c/..", NULL, NULL, "/B|.", NULL },
		{ "many", NULL, "filp_open", "/real/etc/x", NULL, NULL, "/|etc/x", NULL },
		{ "many", NULL, "filp_open", "/real", NULL, NULL, "/|.", NULL },
		{ "many", NULL, "filp_open", "/", NULL, NULL, "-EPERM", NULL },
		{ "closed", NULL, "filp_open", "/x", NULL, NULL, "-EPERM",
		  "default: no rule names it" },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

/*
 * What is let through is walked below the directory that lets it through, or below the root, from
 * the caller's own root. It counts as asked if the string asked for is what was checked.
 */
static void passed_paths(void **state)
{
	static const struct expect x[] = {
		OPEN("many", "/proc", NULL, NULL, "=/|proc"),
		OPEN("many", "/proc/self/maps", NULL, NULL, "=/proc|self/maps"),
		OPEN("many", "/proc/../proc/x", NULL, NULL, "/proc|x"),
		OPEN("many", "/x/link/../../proc/y", NULL, NULL, "/proc|y"),
		OPEN("many", "/proc/../a/x", NULL, NULL, "/A|x"),
		OPEN("many", "version", "/proc", NULL, "/proc|version"),
		OPEN("many", "/proc/x/", NULL, NULL, "/proc|x/"),
		OPEN("open", "/etc/x", NULL, NULL, "=/|etc/x"),
		OPEN("open", "/etc/../x", NULL, NULL, "/|x"),
		OPEN("open", "/", NULL, NULL, "=/|."),
		OPEN("open", "/..", NULL, NULL, "/|."),
		/* a chroot, within what is let through or around it */
		OPEN("many", "/self", NULL, "/proc", "=^/|self"),
		OPEN("many", "/x/y", NULL, "/proc/1", "=^/|x/y"),
		OPEN("many", "/", NULL, "/proc", "=^/|."),
		OPEN("open", "/x", NULL, "/srv/c", "=^/|x"),
		OPEN("open", "x", "/d", "/srv/c", "^/|d/x"),
		OPEN("open", "/../../x", NULL, "/srv/c", "^/|x"),
		/* a kernel thread's "/" is the first file system's, which init has left */
		OPEN("open", "/x", NULL, "/", "=/|x"),
		/* a container: all is the caller's, what is rewritten too */
		OPEN("open", "/x", NULL, "@/", "=^/|x"),
		OPEN("many", "/proc/version", NULL, "@/", "=^/proc|version"),
		OPEN("many", "/a/x", NULL, "@/", "^/A|x"),
		OPEN("many", "/version", NULL, "@/proc", "=^/|version"),
		OPEN("many", "/real/x", NULL, "@/", "^/|x"),
	};

	check_all(state, x, ARRAY_SIZE(x));
}

/* What the kernel says of a file that the driver has is what the driver would open it by. */
static void a_path_that_is_given_out_is_the_sessions(void **state)
{
	static const struct expect x[] = {
		GIVEN("jail", "/jail/etc/x", "/etc/x"),
		GIVEN("jail", "/jail", "/"),
		GIVEN("jail", "/jailed/x", "-EPERM"),
		GIVEN("jail", "/etc/x", "-EPERM"),
		GIVEN("jail", "pipe:[7]", "-EPERM"),
		GIVEN("jail", "", "-EPERM"),
		GIVEN("jail", NULL, "="),
		GIVEN("many", "/A/x", "/a/x"),
		GIVEN("many", "/B/c (deleted)", "/a/b/c (deleted)"),
		GIVEN("many", "/proc/1", "=/proc/1"),
		GIVEN("many", "/AB", "/real/AB"),
		GIVEN("many", "/", "/real/"),
		GIVEN("open", "/etc/x", "=/etc/x"),
		GIVEN("closed", "/etc/x", "-EPERM"),
		{ "rules", "bad", "file_path", "/jail/x", NULL, NULL, "-EIO", NULL },
		{ "many", NULL, "dentry_path_raw", "/A", NULL, NULL, "/a",
		  "files[0] at p.policy:5" },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

static void bad_names_get_the_errors_of_the_kernel(void **state)
{
	static char name[REQUEST_NAME_MAX + 1000];
	struct policy_request r = { .fn = catalog_find("filp_open"), .name = name };
	struct decision d;

	/* 4095 bytes are the longest path, and stay whole */
	memset(name, 'x', sizeof(name) - 1);
	for (size_t i = 0; i < sizeof(name) - 1; i += 256)
		name[i] = '/';
	name[4095] = '\0';
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.verdict, VERDICT_REWRITE);
	assert_string_equal(d.root, "/jail");
	assert_string_equal(d.name, name + 1);

	/* 4096 without a NUL within reach, and what the caller says is too long */
	name[4095] = 'x';
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_int_equal(d.error, ENAMETOOLONG);
	strcpy(name, "/short");
	r.too_long = true;
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.error, ENAMETOOLONG);
	r.too_long = false;

	/* a relative path of a deep directory: each part is short enough, the whole is not */
	static char deep[REQUEST_NAME_MAX];

	memset(deep, 'd', 4000);
	deep[0] = '/';
	r.cwd = deep;
	memset(name, 'x', 200);
	name[200] = '\0';
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_int_equal(d.error, ENAMETOOLONG);
	/* and the same where a .. makes it short again */
	snprintf(name, sizeof(name), "%0200d/../../y", 0);
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.verdict, VERDICT_REWRITE);
	assert_string_equal(d.name, "y");

	r.name = "";
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_int_equal(d.error, ENOENT);
	r.name = NULL;
	decide_named(*state, "jail", "lime", &r, &d);
	assert_int_equal(d.error, EFAULT);
	r.fn = catalog_find("misc_register");
	decide_named(*state, "names", "lime", &r, &d);
	assert_int_equal(d.error, EINVAL);
}

#define NAME(fn, name, answer, rule)                              \
	{                                                         \
		"names", NULL, fn, name, NULL, NULL, answer, rule \
	}

static void names_of_devices(void **state)
{
	static const struct expect x[] = {
		NAME("misc_register", "lime", "a-lime", "names.misc at p.policy:16"),
		NAME("misc_register", "net/tun", "a-net/tun", NULL),
		NAME("misc_register", "../sda", "-EINVAL",
		     "names.misc at p.policy:16: not a valid name"),
		NAME("misc_register", "x/../sda", "-EINVAL", NULL),
		NAME("misc_register", "x!..!sda", "-EINVAL", NULL),
		NAME("misc_register", "x//y", "-EINVAL", NULL),
		NAME("misc_register", "/y", "-EINVAL", NULL),
		NAME("misc_register", "y/", "-EINVAL", NULL),
		NAME("misc_register", "", "-EINVAL", NULL),
		NAME("misc_register", "%s%n", "a-%s%n", NULL),
		NAME("misc_register", "\xff\x80", "a-\xff\x80", NULL),
		NAME("register_netdev", "dummy%d", "adummy%d", "names.net at p.policy:16"),
		NAME("register_netdevice", "eth0", "aeth0", NULL),
		NAME("register_netdevice", "12345678901234", "a12345678901234", NULL),
		NAME("register_netdevice", "123456789012345", "-ENAMETOOLONG",
		     "names.net at p.policy:16: longer than 15 bytes"),
		NAME("register_netdevice", "a/b", "-EINVAL", NULL),
		NAME("register_netdevice", "a:b", "-EINVAL", NULL),
		NAME("register_netdevice", "a b", "-EINVAL", NULL),
		NAME("register_netdevice", "..", "-EINVAL", NULL),
		NAME("register_netdevice", "", "-EINVAL", NULL),
		NAME("rtnl_link_register", "dummy", "a-dummy", NULL),
		NAME("__rtnl_link_register", "dummy", "a-dummy", NULL),
		NAME("kthread_create_on_node", "t/3-x", "t/3-x/a", "names.thread at p.policy:17"),
		NAME("kthread_create_on_node", "a name longer than TASK_COMM_LEN",
		     "a name longer than TASK_COMM_LEN/a", NULL),
		NAME("kthread_create_on_node", "%n", "%n/a", NULL),
		NAME("request_firmware", "iwl/x.bin", "a/iwl/x.bin",
		     "names.firmware at p.policy:17"),
		NAME("request_firmware_nowait", "x..bin", "a/x..bin", NULL),
		NAME("request_firmware", "../x", "-EINVAL", NULL),
		NAME("request_firmware", "x/../../y", "-EINVAL", NULL),
		NAME("request_firmware", "/x", "-EINVAL", NULL),
		NAME("request_firmware", "", "-EINVAL", NULL),
		{ "open", NULL, "request_firmware", "../x", NULL, NULL, "=../x", NULL },
		{ "open", NULL, "__request_module", "tcp_md5", NULL, NULL, "=tcp_md5", NULL },
		{ "closed", NULL, "__request_module", "tcp_md5", NULL, NULL, "-EPERM", NULL },
		{ "same", NULL, "misc_register", "lime", NULL, NULL, "=lime", NULL },
		{ "open", NULL, "misc_register", "lime", NULL, NULL, "=lime", NULL },
		{ "closed", NULL, "misc_register", "lime", NULL, NULL, "-EPERM", NULL },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

#define REST(fn, name, answer, rule)                             \
	{                                                        \
		"rest", NULL, fn, name, NULL, NULL, answer, rule \
	}

/* One template for all that have none; of a path in /proc the last name is the one asked. */
static void names_of_everything_else(void **state)
{
	static const struct expect x[] = {
		REST("register_netdev", "eth%d", "neth%d", "names.net at p.policy:40"),
		REST("misc_register", "lime", "o-lime", "names.other at p.policy:40"),
		REST("request_firmware", "x", "-EPERM", NULL),
		REST("proc_create", "x", "o-x", "names.other at p.policy:40"),
		REST("proc_mkdir", "fs/ext4", "fs/o-ext4", NULL),
		REST("proc_create", "fs/../x", "-EINVAL", NULL),
		REST("proc_create", "fs//x", "-EINVAL", NULL),
		REST("proc_create", "", "-EINVAL", NULL),
		REST("register_sysctl", "dev/cdrom", "dev/o-cdrom", NULL),
		REST("register_net_sysctl", "net/ipv4", "net/o-ipv4", NULL),
		REST("debugfs_create_dir", "x", "o-x", NULL),
		REST("debugfs_create_dir", "x/y", "-EINVAL", NULL),
		REST("kobject_create_and_add", "fuse", "o-fuse", NULL),
		REST("__class_create", "x", "o-x", NULL),
		REST("device_create", "net/tun", "o-net/tun", NULL),
		REST("device_create", "..!x", "-EINVAL", NULL),
		REST("bus_register", "x", "o-x", NULL),
		REST("__pci_register_driver", "x", "o-x", NULL),
		REST("__platform_driver_register", "x", "o-x", NULL),
		REST("platform_device_alloc", "x", "o-x", NULL),
		REST("device_add_disk", "012345678901234567890123456789", "-ENAMETOOLONG", NULL),
		REST("device_add_disk", "sda", "o-sda", NULL),
		REST("register_filesystem", "ext4", "o-ext4", NULL),
		REST("register_qdisc", "fq_codel", "o-fq_codel", NULL),
		REST("register_tcf_proto_ops", "basic", "o-basic", NULL),
		REST("tcp_register_congestion_control", "bbr", "o-bbr", NULL),
		REST("genl_register_family", "123456789012345", "-ENAMETOOLONG", NULL),
		REST("kmem_cache_create", "x", "o-x", NULL),
		REST("alloc_workqueue", "x", "o-x", NULL),
		REST("dev_set_name", "x", "o-x", NULL),
		REST("device_rename", "x", "o-x", NULL),
		REST("kobject_init_and_add", "x", "o-x", NULL),
		REST("kobject_set_name", "x/..", "-EINVAL", NULL),
		/* a text is no name: no template is for it; what does not return goes on */
		REST("register_shrinker", "x", "-EPERM", NULL),
		REST("panic", "x", "=", NULL),
		{ "closed", NULL, "proc_create", "x", NULL, NULL, "-EPERM", NULL },
		{ "open", NULL, "proc_create", "fs/x", NULL, NULL, "=fs/x", NULL },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

static void too_long_for_each_space(void **state)
{
	static const struct {
		const char *fn;
		size_t fits; /* bytes of the name asked for, with two more by the template */
	} spaces[] = {
		{ "misc_register", 253 },
		{ "rtnl_link_register", 53 },
		{ "kthread_create_on_node", 4093 },
	};
	static char name[REQUEST_NAME_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		struct policy_request r = { .fn = catalog_find(spaces[i].fn), .name = name };
		struct decision d;

		memset(name, 'n', sizeof(name));
		name[spaces[i].fits] = '\0';
		decide_named(*state, "names", "lime", &r, &d);
		assert_int_equal(d.verdict, VERDICT_REWRITE);
		assert_int_equal(strlen(d.name), spaces[i].fits + 2);
		name[spaces[i].fits] = 'n';
		name[spaces[i].fits + 1] = '\0';
		decide_named(*state, "names", "lime", &r, &d);
		assert_int_equal(d.verdict, VERDICT_DENY);
		assert_int_equal(d.error, ENAMETOOLONG);
		assert_string_equal(d.name, "");
	}
}

#define RULE(driver, fn, name, answer, rule)                        \
	{                                                           \
		"rules", driver, fn, name, NULL, NULL, answer, rule \
	}

static void the_first_rule_that_fits_decides(void **state)
{
	static const struct expect x[] = {
		RULE("x", "filp_open", "/etc/shadow", "-EPERM", "functions[0] at p.policy:23"),
		RULE("x", "filp_open", "/etc/shadow-/x", "-EPERM", NULL),
		RULE("x", "filp_open", "/etc/hosts", "=/|etc/hosts", "functions[1] at p.policy:24"),
		/* a rule sees the path that is meant, however it is written */
		RULE("x", "filp_open", "/usr/../etc//shadow", "-EPERM", NULL),
		RULE("x", "filp_open", "/etc/../x", "/jail|x", "files[0] at p.policy:20"),
		RULE("x", "misc_register", "null", "-EBUSY", NULL),
		RULE("x", "misc_register", "nulls", "r-nulls", "names.misc at p.policy:21"),
		RULE("x", "misc_register", "nul", "r-nul", NULL),
		RULE("x", "misc_register", "kmsg", "=kmsg", NULL),
		/* As the kernel compares names of modules: of snd-mute.ko it is snd_mute. */
		RULE("snd_mute", "kernel_write", NULL, "-EROFS", NULL),
		RULE("snd-mute", "kernel_write", NULL, "-EROFS", NULL),
		RULE("snd_mute_", "kernel_write", NULL, "=", NULL),
		RULE("x", "kernel_write", NULL, "=", NULL),
		/* for all functions, but after those that stand before it */
		RULE("bad", "filp_open", "/etc/hosts", "=/|etc/hosts", NULL),
		RULE("bad", "filp_open", "/x", "-EIO", NULL),
		RULE("bad", "kernel_write", NULL, "-EIO", NULL),
		/* a session without a rule passes what has no name to check */
		{ "closed", NULL, "kernel_write", NULL, NULL, NULL, "=", NULL },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

/* What gives out something new, without a name, is the default's, unless a rule has it. */
static void the_default_decides_what_reaches_out(void **state)
{
	static const struct expect x[] = {
		{ "open", NULL, "sock_create_kern", NULL, NULL, NULL, "=",
		  "default at p.policy:13" },
		{ "closed", NULL, "sock_create_kern", NULL, NULL, NULL, "-EPERM", NULL },
		{ "many", NULL, "commit_creds", NULL, NULL, NULL, "-EPERM",
		  "default at p.policy:11" },
		{ "closed", NULL, "kernel_restart", NULL, NULL, NULL, "-EPERM", NULL },
		{ "rules", "bad", "register_kprobe", NULL, NULL, NULL, "-EIO", NULL },
		{ "reach", NULL, "sock_create", NULL, NULL, NULL, "=", NULL },
		{ "reach", NULL, "send_sig", NULL, NULL, NULL, "-ESRCH", NULL },
		{ "reach", NULL, "kill_pid", NULL, NULL, NULL, "-EPERM", NULL },
		/* what works on such a thing is not asked about again */
		{ "closed", NULL, "kernel_bind", NULL, NULL, NULL, "=", NULL },
	};
	const struct catalog_fn *all;
	size_t n, reaching = 0;

	check_all(state, x, ARRAY_SIZE(x));
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		struct policy_request r = { .fn = &all[i] };
		struct decision d;

		if (!all[i].reaches)
			continue;
		reaching++;
		decide_named(*state, "closed", "x", &r, &d);
		assert_int_equal(d.verdict, VERDICT_DENY);
		decide_named(*state, "open", "x", &r, &d);
		assert_int_equal(d.verdict, VERDICT_PASS);
	}
	assert_true(reaching > 20);
}

static void programs_need_a_rule(void **state)
{
	static const struct expect x[] = {
		RULE("x", "call_usermodehelper", "/bin/sh", "-EPERM",
		     "programs: no rule permits one"),
		RULE("x", "call_usermodehelper", "/sbin/modprobe", "=/sbin/modprobe", NULL),
		RULE("lime2", "call_usermodehelper", "/sbin/modprobe", "-ENOENT", NULL),
		RULE("x", "call_usermodehelper", "/sbin/../bin/sh", "-EPERM", NULL),
		RULE("x", "call_usermodehelper", "/bin/../sbin/x", "/sbin/x", NULL),
		RULE("x", "call_usermodehelper", "/usr/bin/x", "/jail/usr/bin/x", NULL),
		RULE("x", "call_usermodehelper", "/usr/bin/x/", "/jail/usr/bin/x/", NULL),
		/* it is started from the guest's root, wherever the caller stands */
		{ "rules", "x", "call_usermodehelper", "sbin/x", "/home", "/srv", "/sbin/x", NULL },
		{ "open", NULL, "call_usermodehelper", "/bin/sh", NULL, NULL, "-EPERM", NULL },
	};

	check_all(state, x, ARRAY_SIZE(x));
}

static void rewritten_program_too_long(void **state)
{
	static char name[REQUEST_NAME_MAX];
	struct policy_request r = { .fn = catalog_find("call_usermodehelper"), .name = name };
	struct decision d;

	/* "/jail" is 5 bytes */
	memset(name, 'x', sizeof(name));
	memcpy(name, "/usr/", 5);
	name[4090] = '\0';
	decide_named(*state, "rules", "x", &r, &d);
	assert_int_equal(d.verdict, VERDICT_REWRITE);
	assert_int_equal(strlen(d.name), 4095);
	name[4090] = 'x';
	name[4091] = '\0';
	decide_named(*state, "rules", "x", &r, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_int_equal(d.error, ENAMETOOLONG);
}

static void undoing_is_never_refused(void **state)
{
	static const char *const drivers[] = { "x", "bad" };
	static const char *const sessions[] = { "closed", "rules", "many", "open" };
	const struct catalog_fn *all;
	struct decision d;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n * ARRAY_SIZE(sessions) * ARRAY_SIZE(drivers); i++) {
		struct policy_request r = { .fn = &all[i % n], .too_long = true };

		if (r.fn->refusal != REFUSE_NEVER)
			continue;
		decide_named(*state, sessions[i / n % ARRAY_SIZE(sessions)],
			     drivers[i / n / ARRAY_SIZE(sessions)], &r, &d);
		assert_int_equal(d.verdict, VERDICT_PASS);
	}
}

/* Several copies of a driver in one session: %i tells them apart. */
static void templates_can_name_the_instance(void **state)
{
	static const char text[] =
		"version = 1; sessions = { a = { names = { link = \"a-%i-%s\"; net = \"%s.%i\"; }; }; };";
	struct policy_request r = { .fn = catalog_find("rtnl_link_register"), .name = "dummy" };
	struct decision d;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_parse(&p, "p.policy", text, NULL), 0);
	decide_named(p, "a", "one", &r, &d);
	assert_string_equal(d.name, "a-one-dummy");
	decide_named(p, "a", "%i%s", &r, &d);
	assert_string_equal(d.name, "a-%i%s-dummy");
	r.fn = catalog_find("register_netdevice");
	decide_named(p, "a", "12345678", &r, &d);
	assert_string_equal(d.name, "dummy.12345678");
	decide_named(p, "a", "1234567890", &r, &d);
	assert_int_equal(d.verdict, VERDICT_DENY);
	assert_int_equal(d.error, ENAMETOOLONG);
	policy_free(p);
}

/* What a driver may look up is what it may import; a rule can only refuse, or let more through. */
static void exports_that_are_looked_up_by_name(void **state)
{
	static const char text[] =
		"sessions = { a = {\n"
		" critical = { except = [ \"kernel_write\" ]; }; permit = [ \"misc_register\", \"ext_*\" ];\n"
		" functions = (\n"
		"  { function = \"__symbol_get\"; match = \"no_*\"; action = \"deny\"; error = \"EIO\"; },\n"
		"  { function = \"*\"; match = \"let_*\"; action = \"pass\"; } );\n"
		"}; };";
	static const struct {
		const char *name;
		enum export_place place;
		const char *export, *answer;
	} x[] = {
		{ "attach", EXPORT_SESSION, "attach.u1", "attach.u1" },
		{ "attach", EXPORT_OUTSIDE, NULL, "-ENOENT" },
		{ "printk", EXPORT_KERNEL, NULL, "=printk" },
		/* critical, by its own name or another */
		{ "filp_open", EXPORT_KERNEL, "filp_open", "-EPERM" },
		{ "alias", EXPORT_KERNEL, "filp_open", "-EPERM" },
		{ "kernel_write", EXPORT_KERNEL, "kernel_write", "=kernel_write" },
		{ "misc_register", EXPORT_KERNEL, "misc_register", "=misc_register" },
		{ "ext_x", EXPORT_OUTSIDE, NULL, "=ext_x" },
		/* a rule wins, but leads nowhere else */
		{ "no_attach", EXPORT_SESSION, "no_attach.u1", "-EIO" },
		{ "no_printk", EXPORT_KERNEL, NULL, "-EIO" },
		{ "let_attach", EXPORT_SESSION, "let_attach.u1", "let_attach.u1" },
		{ "let_alias", EXPORT_KERNEL, "filp_open", "=let_alias" },
		{ "let_x", EXPORT_OUTSIDE, NULL, "=let_x" },
	};
	char got[2 * REQUEST_NAME_MAX + 8];
	struct decision d;
	struct policy *p;

	(void)state;
	assert_int_equal(policy_parse(&p, "p.policy", text, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(x); i++) {
		struct policy_request r = {
			.fn = catalog_find("__symbol_get"),
			.name = x[i].name,
			.place = x[i].place,
			.export = x[i].export,
		};

		decide_named(p, "a", "lime", &r, &d);
		assert_string_equal(answer_text(&d, got, sizeof(got)), x[i].answer);
	}
	policy_free(p);
}

static void what_goes_into_the_record(void **state)
{
	struct policy_request r = { .fn = catalog_find("filp_close") };
	struct decision d;

	decide_named(*state, "rules", "x", &r, &d);
	assert_false(d.record);
	decide_named(*state, "open", "x", &r, &d);
	assert_true(d.record);
	r = (struct policy_request){ .fn = catalog_find("filp_open"), .name = "/a/b/c" };
	decide_named(*state, "many", "x", &r, &d);
	assert_false(d.record);
	r.name = "/a/b";
	decide_named(*state, "many", "x", &r, &d);
	assert_true(d.record);
}

/*
 * Returns true if @path, resolved by its text alone, is @to or below it. Written apart from the
 * code that it checks.
 */
static bool is_below(const char *to, const char *path)
{
	char copy[2 * REQUEST_NAME_MAX], out[2 * REQUEST_NAME_MAX] = "", *save = NULL;
	size_t len = strlen(to), at = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *c = strtok_r(copy, "/", &save); c; c = strtok_r(NULL, "/", &save)) {
		if (!strcmp(c, "..")) {
			while (at && out[--at] != '/')
				;
			out[at] = '\0';
		} else if (strcmp(c, ".") != 0) {
			at += (size_t)snprintf(out + at, sizeof(out) - at, "/%s", c);
		}
	}
	return !strcmp(to, "/") || (!strncmp(out, to, len) && (!out[len] || out[len] == '/'));
}

static void random_path(char *buf, size_t parts)
{
	static const char *const pieces[] = { "/", "//",   ".",	   "..",  "../",  "/..", "a",	"b",
					      "c", "proc", "\xff", "...", "/a/b", "/./", "real" };

	*buf = '\0';
	for (size_t i = 0; i < parts; i++)
		buf += sprintf(buf, "%s", pieces[(size_t)rand() % ARRAY_SIZE(pieces)]);
}

static void no_path_leaves_its_root(void **state)
{
	static const char *const sessions[] = { "jail", "many", "rules" };
	char name[256], cwd[256], root[256], joined[2 * REQUEST_NAME_MAX];
	struct policy_request r = { .fn = catalog_find("filp_open"), .name = name };
	struct decision d;
	int rewritten = 0;

	srand(1);
	for (int i = 0; i < 100000; i++) {
		random_path(name, 1 + (size_t)rand() % 12);
		cwd[0] = root[0] = '/';
		random_path(cwd + 1, (size_t)rand() % 6);
		random_path(root + 1, (size_t)rand() % 6);
		r.cwd = rand() % 8 ? cwd : NULL;
		r.root = rand() % 3 ? NULL : root;
		r.other_mounts = !(rand() % 5);
		decide_named(*state, sessions[i % 3], "lime", &r, &d);
		if (d.verdict == VERDICT_DENY)
			continue;
		rewritten += d.verdict == VERDICT_REWRITE;
		assert_true(d.resolve & DECISION_IN_ROOT);
		assert_int_equal(d.root[0], '/');
		assert_int_not_equal(d.name[0], '/');
		assert_null(strstr(d.name, "//"));
		assert_false(!strncmp(d.name, "../", 3) || strstr(d.name, "/../") ||
			     !strcmp(d.name, ".."));
		snprintf(joined, sizeof(joined), "%s/%s", d.root, d.name);
		assert_true(is_below(d.root, joined));
	}
	assert_true(rewritten > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_stay_in_their_root),
		cmocka_unit_test(relative_paths_and_other_roots),
		cmocka_unit_test(the_longest_prefix_of_whole_components_wins),
		cmocka_unit_test(passed_paths),
		cmocka_unit_test(a_path_that_is_given_out_is_the_sessions),
		cmocka_unit_test(bad_names_get_the_errors_of_the_kernel),
		cmocka_unit_test(names_of_devices),
		cmocka_unit_test(names_of_everything_else),
		cmocka_unit_test(too_long_for_each_space),
		cmocka_unit_test(the_first_rule_that_fits_decides),
		cmocka_unit_test(the_default_decides_what_reaches_out),
		cmocka_unit_test(programs_need_a_rule),
		cmocka_unit_test(rewritten_program_too_long),
		cmocka_unit_test(undoing_is_never_refused),
		cmocka_unit_test(templates_can_name_the_instance),
		cmocka_unit_test(exports_that_are_looked_up_by_name),
		cmocka_unit_test(what_goes_into_the_record),
		cmocka_unit_test(no_path_leaves_its_root),
	};

	return cmocka_run_group_tests(tests, load_policy, free_policy);
}
