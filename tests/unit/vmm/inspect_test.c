// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests `vmm inspect` as a user or a script sees it: output, exit codes, and what it does with a
 * file that was made to harm a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/base/child.h"
#include "tests/unit/shadow/images.h"
#include "tests/unit/shadow/ko.h"
#include "vmm/cli/commands.h"

#define ARGS_MAX 16

static char vmlinuz[512], dummy[512], zram[512], zsmalloc[512], zram_dir[512];
static char out[1 << 20], err_out[4096];

static void read_back(int fd, char *buf, size_t len)
{
	ssize_t n;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	n = read(fd, buf, len - 1);
	assert_true(n >= 0);
	buf[n] = '\0';
	close(fd);
}

/*
 * Run it with these arguments, in a process of its own, since it confines itself; its outputs are
 * in out and err_out.
 */
#define inspect(...) run_inspect((const char *const[]){ __VA_ARGS__, NULL })

static int run_inspect(const char *const *args)
{
	char name[] = "inspect", *argv[ARGS_MAX] = { name };
	int argc = 1, status, to[2];
	pid_t pid;

	while (*args && argc < ARGS_MAX - 1)
		argv[argc++] = strdup(*args++);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		char path[] = "/tmp/umbra-inspect-XXXXXX";

		to[i] = mkstemp(path);
		assert_true(to[i] >= 0);
		unlink(path);
	}
	pid = child_fork();
	if (!pid) {
		int ret;

		dup2(to[0], STDOUT_FILENO);
		dup2(to[1], STDERR_FILENO);
		ret = cmd_inspect(argc, argv);
		fflush(stdout);
		_exit(ret);
	}
	child_await(pid, &status);
	assert_true(WIFEXITED(status));
	read_back(to[0], out, sizeof(out));
	read_back(to[1], err_out, sizeof(err_out));
	while (argc > 1)
		free(argv[--argc]);
	return WEXITSTATUS(status);
}

static json_t *parse_out(void)
{
	json_error_t e;
	json_t *j = json_loads(out, 0, &e);

	if (!j)
		fail_msg("%s: %.200s", e.text, out);
	return j;
}

static const char *string_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "(none)";
}

static json_t *find_import(json_t *root, const char *symbol)
{
	size_t i;
	json_t *im;

	json_array_foreach(json_object_get(root, "imports"), i,
			   im) if (!strcmp(string_of(im, "symbol"), symbol)) return im;
	fail_msg("no import %s", symbol);
	return NULL;
}

static void expect_import(json_t *root, const char *symbol, const char *kind, const char *target,
			  bool critical, int branches, int addresses)
{
	const json_t *im = find_import(root, symbol);

	assert_string_equal(string_of(im, "kind"), kind);
	assert_string_equal(string_of(im, "target"), target);
	assert_int_equal(json_is_true(json_object_get(im, "critical")), critical);
	assert_int_equal(json_integer_value(json_object_get(im, "branches")), branches);
	assert_int_equal(json_integer_value(json_object_get(im, "address_taken")), addresses);
	assert_true(strlen(string_of(im, "reason")) > 3);
}

static void test_json(void **state)
{
	const json_t *inward;
	json_t *j;

	(void)state;
	assert_int_equal(inspect("--json", "-k", vmlinuz, dummy), 0);
	assert_string_equal(err_out, "");
	j = parse_out();
	assert_string_equal(string_of(j, "module"), "dummy");
	assert_true(json_is_true(json_object_get(j, "links")));
	expect_import(j, "register_netdevice", "function", "shadow", true, 1, 0);
	expect_import(j, "consume_skb", "function", "shadow", false, 2, 0);
	expect_import(j, "eth_validate_addr", "function", "kernel", false, 0, 1);
	expect_import(j, "nr_cpu_ids", "data", "kernel", false, 0, 2);
	expect_import(j, "this_cpu_off", "percpu", "kernel", false, 0, 1);
	expect_import(j, "__fentry__", "special", "kernel", false, 10, 0);
	assert_string_equal(string_of(find_import(j, "register_netdevice"), "prototype"),
			    "int (struct net_device* dev)");
	assert_true(json_is_null(json_object_get(find_import(j, "nr_cpu_ids"), "prototype")));
	assert_int_equal(
		json_array_size(json_object_get(j, "imports")),
		json_integer_value(json_object_get(json_object_get(j, "totals"), "imports")));
	inward = json_object_get(j, "inward");
	assert_int_equal(json_array_size(json_object_get(inward, "functions")), 10);
	assert_int_equal(json_integer_value(json_object_get(inward, "entries")), 10);
	assert_int_equal(json_integer_value(json_object_get(inward, "pointers")), 12);
	inward = json_object_get(inward, "left");
	assert_int_equal(json_integer_value(json_object_get(inward, "table")), 10);
	assert_int_equal(json_integer_value(json_object_get(inward, "init")), 2);
	json_decref(j);
}

static void test_session(void **state)
{
	json_t *j;

	(void)state;
	assert_int_equal(inspect("-k", vmlinuz, "--json", zram), 1);
	j = parse_out();
	assert_true(json_is_false(json_object_get(j, "links")));
	expect_import(j, "zs_compact", "function", "refused", false, 1, 0);
	assert_non_null(strstr(string_of(find_import(j, "zs_compact"), "reason"), "zsmalloc"));
	json_decref(j);
	assert_int_equal(inspect("-k", vmlinuz, "--json", "--with", zsmalloc, zram), 0);
	j = parse_out();
	expect_import(j, "zs_compact", "function", "session", false, 1, 0);
	assert_string_equal(string_of(find_import(j, "zs_compact"), "provider"), "zsmalloc");
	json_decref(j);
}

static void test_table(void **state)
{
	(void)state;
	assert_int_equal(inspect("-k", vmlinuz, zram), 1);
	assert_null(strchr(out, '\033'));
	assert_memory_equal(out, "SYMBOL", 6);
	/* what is refused comes first */
	assert_memory_equal(strchr(out, '\n') + 1, "zs_compact", 10);
	assert_non_null(strstr(out, "zram cannot be loaded into this session"));
	assert_non_null(
		strstr(out, "struct file* (const char* filename, int flags, umode_t mode)"));
	assert_int_equal(inspect("-k", vmlinuz, dummy), 0);
	assert_non_null(strstr(out, "dummy links completely"));
	assert_non_null(strstr(
		out,
		"dummy: 10 functions of its own by inward entries, 10 can be watched; 12 pointers"));
	assert_non_null(strstr(out, "dummy: 2 pointers left as they are: of its init"));
}

static void test_all(void **state)
{
	json_t *j;

	(void)state;
	assert_int_equal(inspect("-k", vmlinuz, "--all", zram_dir), 1);
	assert_non_null(strstr(out, "0 of 1 modules"));
	assert_non_null(strstr(out, "zsmalloc"));
	assert_int_equal(inspect("-k", vmlinuz, "--json", "--all", zram_dir), 1);
	j = parse_out();
	assert_int_equal(json_integer_value(json_object_get(j, "modules")), 1);
	assert_int_equal(json_integer_value(json_object_get(j, "links")), 0);
	assert_int_equal(json_array_size(json_object_get(j, "refused")), 1);
	json_decref(j);
	assert_int_equal(inspect("-k", vmlinuz, "--all", "/nonexistent"), 2);
	assert_non_null(strstr(err_out, "/nonexistent"));
}

/* Compressed drivers are drivers, and none is passed over: all but one of many are not 100 %. */
static void test_all_counts_all(void **state)
{
	char dir[] = "/tmp/umbra-all-XXXXXX", path[64], cmd[1200];
	json_t *j;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd), "xz -c %s >%s/dummy.ko.xz && gzip -c %s >%s/gz.ko.gz", dummy,
		 dir, dummy, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(inspect("-k", vmlinuz, "--all", dir), 0);
	assert_non_null(strstr(out, "2 of 2 modules link completely (100.0 %)"));
	for (int i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "%s/%d.ko", dir, i);
		assert_int_equal(symlink(i ? dummy : "/nowhere", path), 0);
	}
	assert_int_equal(inspect("-k", vmlinuz, "--all", dir), 1);
	assert_non_null(strstr(out, "2001 of 2002 modules link completely (99.9 %)"));
	assert_non_null(strstr(out, "/0.ko"));
	for (int i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "%s/%d.ko", dir, i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/x.ko.bz2", dir);
	assert_int_equal(symlink(dummy, path), 0);
	snprintf(path, sizeof(path), "%s/y.ko.lzma", dir);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(inspect("-k", vmlinuz, "--json", "--all", dir), 1);
	j = parse_out();
	assert_int_equal(json_integer_value(json_object_get(j, "modules")), 4);
	json_decref(j);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void expect_usage(int ret, const char *text)
{
	assert_int_equal(ret, 2);
	assert_string_equal(out, "");
	if (!strstr(err_out, text))
		fail_msg("\"%s\" lacks \"%s\"", err_out, text);
	assert_memory_equal(err_out, "vmm inspect: ", 13);
}

static void test_usage(void **state)
{
	(void)state;
	assert_int_equal(inspect("--help"), 0);
	assert_non_null(strstr(out, "Examples:"));
	expect_usage(inspect(NULL), "say which DRIVER.ko");
	expect_usage(inspect("--nonsense"), "--nonsense");
	expect_usage(inspect("--kernel"), "--kernel");
	expect_usage(inspect("-k", vmlinuz, dummy, zram), "unexpected argument \"");
	expect_usage(inspect("-k", "/nonexistent", dummy), "/nonexistent");
	expect_usage(inspect("-k", vmlinuz, "/nonexistent.ko"), "/nonexistent.ko");
	expect_usage(inspect("-k", dummy, dummy), "not a Linux kernel");
	expect_usage(inspect("-k", vmlinuz, vmlinuz), "not a kernel module");
	expect_usage(inspect("-k", vmlinuz, "-s", "x", dummy), "--policy");
	expect_usage(inspect("--all", "/tmp"), "--kernel");
	expect_usage(inspect("-k", vmlinuz, "-p", "/nonexistent.policy", dummy),
		     "/nonexistent.policy");
}

/* An import whose name clears the screen. */
static void test_hostile_names(void **state)
{
	char path[] = "/tmp/umbra-ko-XXXXXX", *name = NULL;
	struct ko k = { NULL, 0 };
	int fd = mkstemp(path);

	(void)state;
	k.data = slurp(dummy, &k.len);
	assert_non_null(k.data);
	ko_symbol(&k, "ethtool_op_get_ts_info", &name);
	assert_non_null(name);
	memcpy(name, "\033[2J\nlinks\xff\x80", 11);
	assert_int_equal(write(fd, k.data, k.len), k.len);
	close(fd);
	assert_int_equal(inspect("-k", vmlinuz, path), 1);
	assert_null(strchr(out, '\033'));
	assert_non_null(strstr(out, "\\x1b[2J\\x0alinks\\xff"));
	assert_int_equal(inspect("-k", vmlinuz, "--json", path), 1);
	json_decref(parse_out());
	unlink(path);
	free(k.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),	       cmocka_unit_test(test_session),
		cmocka_unit_test(test_table),	       cmocka_unit_test(test_all),
		cmocka_unit_test(test_all_counts_all), cmocka_unit_test(test_usage),
		cmocka_unit_test(test_hostile_names),
	};

	need_images();
	image_path(vmlinuz, sizeof(vmlinuz), "cloud", "vmlinuz");
	image_path(dummy, sizeof(dummy), "cloud", "modules/kernel/drivers/net/dummy.ko");
	image_path(zram, sizeof(zram), "cloud", "modules/kernel/drivers/block/zram/zram.ko");
	image_path(zram_dir, sizeof(zram_dir), "cloud", "modules/kernel/drivers/block/zram");
	image_path(zsmalloc, sizeof(zsmalloc), "cloud", "modules/kernel/mm/zsmalloc.ko");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
