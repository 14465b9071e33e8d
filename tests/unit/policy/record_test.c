// SPDX-License-Identifier: GPL-2.0-only
/* Tests the record: round trip of any bytes, damage, full disks, many threads, bounded memory. */
#include <stdarg.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/record.h"

static char dir[] = "/tmp/umbra-record-XXXXXX";
static char file[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(file, sizeof(file), "%s/r.jsonl", mkdtemp(dir));
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static int remove_file(void **state)
{
	(void)state;
	unlink(file);
	return 0;
}

/* A request and its decision, most of it the same in all tests. */
struct recorded_call {
	const char *function, *name, *used;
	enum verdict verdict;
	int error;
};

/* Adds the request and writes its line, as a call of a driver does. */
static int add_and_write(struct record *r, u64 time, const char *session, const char *driver,
			 const struct policy_request *req, const struct decision *d)
{
	const struct record_call call = { time, session, driver, req, d, false, NULL };
	struct record_line line = { .buf = NULL };
	int ret = record_add(r, &call, &line);

	return ret ? ret : record_write(r, &line);
}

static int add_of(struct record *r, const char *session, u64 time, const char *driver,
		  const struct recorded_call *c)
{
	static const struct decision none;
	struct policy_request req = { .fn = catalog_find(c->function), .name = c->name };
	struct decision d = none;

	d.verdict = c->verdict;
	d.error = c->error;
	d.record = true;
	d.rule = "files[0] at demo.policy:7";
	if (c->used)
		snprintf(d.name, sizeof(d.name), "%s", c->used);
	if (c->used && c->verdict == VERDICT_REWRITE && req.fn->space == SPACE_FILE) {
		d.resolve = DECISION_IN_ROOT;
		snprintf(d.root, sizeof(d.root), "/data/a");
	}
	for (unsigned i = 0; i < REQUEST_ARGS; i++)
		req.args[i] = 0xffff888800000000ull + i;
	req.vcpu = 3;
	req.pid = 4194303;
	req.command = "a \"task\"";
	return add_and_write(r, time, session, driver, &req, &d);
}

static int add_call(struct record *r, u64 time, const char *driver, const struct recorded_call *c)
{
	return add_of(r, "a", time, driver, c);
}

static const struct recorded_call opened = { "filp_open", "/x", "x", VERDICT_REWRITE, 0 };

static struct record *create_record(const char *path)
{
	struct record *r;
	struct err e;

	if (record_create(&r, path, &e))
		fail_msg("%s", e.text);
	return r;
}

static json_t *record_summary(struct record *r)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	json_t *json;

	assert_int_equal(record_print_json(r, f), 0);
	fclose(f);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	free(text);
	return json;
}

static char *record_table(struct record *r, unsigned width, bool colour)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(record_print(r, f, width, colour), 0);
	fclose(f);
	return text;
}

static const char *row_member(const json_t *list, size_t i, const char *key)
{
	return json_string_value(json_object_get(json_array_get(list, i), key));
}

static void repeats_are_one_row(void **state)
{
	static const struct recorded_call denied = { "filp_open", "/x", NULL, VERDICT_DENY,
						     EACCES };
	static const struct recorded_call written = { "kernel_write", NULL, NULL, VERDICT_PASS, 0 };
	struct record *r = create_record(NULL);
	json_t *json, *rows;

	(void)state;
	add_call(r, 3000000000, "lime", &opened);
	add_call(r, 1000000000, "lime", &denied);
	add_call(r, 4000000000, "lime", &opened);
	add_call(r, 2000000000, "lime2", &opened);
	for (int i = 0; i < 1000; i++)
		add_call(r, 5000000000, "lime", &written);
	record_event(r, 6000000000, "doorbell refused", "CPL 3");
	json = record_summary(r);
	rows = json_object_get(json, "requests");
	assert_int_equal(json_array_size(rows), 4);
	assert_string_equal(row_member(rows, 0, "error"), "EACCES");
	assert_null(row_member(rows, 0, "used"));
	assert_string_equal(row_member(rows, 1, "driver"), "lime2");
	assert_string_equal(row_member(rows, 2, "used"), "/data/a/x");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 2), "count")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 2), "last_ns")),
			 4000000000);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 3), "count")),
			 1000);
	assert_string_equal(row_member(json_object_get(json, "events"), 0, "event"),
			    "doorbell refused");
	json_decref(json);
	assert_int_equal(record_close(r, NULL), 0);
	assert_int_equal(record_close(NULL, NULL), 0);
}

static void used_names(void **state)
{
	static const struct {
		const char *function, *root, *name, *used;
		enum verdict verdict;
	} cases[] = {
		{ "filp_open", "/", "x", "/x", VERDICT_REWRITE },
		{ "filp_open", "/", ".", "/", VERDICT_REWRITE },
		{ "filp_open", "/a", ".", "/a", VERDICT_REWRITE },
		{ "filp_open", "/a", "b/", "/a/b/", VERDICT_REWRITE },
		{ "misc_register", "", "a-lime", "a-lime", VERDICT_REWRITE },
		{ "misc_register", "", "lime", "lime", VERDICT_PASS },
		{ "misc_register", "", "", "= -7", VERDICT_EMULATE },
		{ "misc_register", "", "", NULL, VERDICT_PENDING },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct policy_request req = { .fn = catalog_find(cases[i].function),
					      .name = "asked" };
		struct decision d = { .verdict = cases[i].verdict, .record = true, .value = -7 };
		struct record *r = create_record(NULL);
		const char *used;
		json_t *json;

		d.rule = "";
		d.resolve = req.fn->space == SPACE_FILE ? DECISION_IN_ROOT : 0;
		snprintf(d.root, sizeof(d.root), "%s", cases[i].root);
		snprintf(d.name, sizeof(d.name), "%s", cases[i].name);
		assert_int_equal(add_and_write(r, 0, "a", "lime", &req, &d), 0);
		json = record_summary(r);
		used = row_member(json_object_get(json, "requests"), 0, "used");
		if (cases[i].used)
			assert_string_equal(used, cases[i].used);
		else
			assert_null(used);
		json_decref(json);
		record_close(r, NULL);
	}
}

static void what_the_policy_leaves_out_is_counted(void **state)
{
	struct policy_request req = { .fn = catalog_find("filp_open"), .name = "/x" };
	struct decision d = { .verdict = VERDICT_PASS, .record = false, .rule = "" };
	struct record *r = create_record(file);
	json_t *json;
	struct stat st;

	(void)state;
	assert_int_equal(add_and_write(r, 0, "a", "lime", &req, &d), 0);
	json = record_summary(r);
	assert_int_equal(json_array_size(json_object_get(json, "requests")), 0);
	assert_int_equal(json_integer_value(json_object_get(json, "not_recorded")), 1);
	json_decref(json);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 0);
	record_close(r, NULL);
}

/* Any bytes but NUL, also those that look like the escape, come back as they were. */
static void any_bytes_survive(void **state)
{
	static const char *const names[] = {
		"plain",
		"\"quotes\\and\tcontrol\x01\x1b[31m\x7f",
		"\xff\xfe\x80 \xc3\x28 \xe2\x82 \xf0\x9f\x98",
		/* overlong, surrogate, too big */
		"\xc0\xaf\xe0\x80\xaf\xed\xa0\x80\xf4\x90\x80\x80",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"\xee\xbe\x80 \xee\xbf\xbf", /* U+EF80 and U+EFFF themselves */
		"\xee\xbd\xbf \xef\x80\x80", /* their neighbours */
		"",
	};
	static char random[4096];
	struct record *a, *b;
	char *ta, *tb;

	(void)state;
	srand(2);
	for (int round = 0; round < 50; round++) {
		a = create_record(file);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			struct recorded_call c = { "misc_register", names[i], names[i],
						   VERDICT_PASS, 0 };

			assert_int_equal(add_call(a, i, names[i], &c), 0);
		}
		for (size_t i = 0; i < sizeof(random) - 1; i++)
			random[i] = (char)(1 + rand() % 255);
		struct recorded_call c = { "filp_open", random, random, VERDICT_REWRITE, 0 };

		assert_int_equal(add_call(a, 100, "lime", &c), 0);
		assert_int_equal(record_event(a, 101, random, random), 0);
		assert_int_equal(record_read(&b, file, NULL), 0);
		ta = record_table(a, 0, false);
		tb = record_table(b, 0, false);
		assert_string_equal(ta, tb);
		free(ta);
		free(tb);
		json_t *ja = record_summary(a), *jb = record_summary(b);

		assert_true(json_equal(ja, jb));
		json_decref(ja);
		json_decref(jb);
		record_close(a, NULL);
		record_close(b, NULL);
		unlink(file);
	}
}

static void a_line_holds_the_arguments(void **state)
{
	struct record *r = create_record(file);
	char line[1024];
	json_t *json, *args;
	FILE *f;

	(void)state;
	assert_int_equal(add_call(r, 7, "lime", &opened), 0);
	/* in the file before record_write() returned, not only after closing */
	f = fopen(file, "r");
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	args = json_object_get(json, "args");
	assert_int_equal(json_array_size(args), 3);
	assert_string_equal(json_string_value(json_array_get(args, 2)), "0xffff888800000002");
	assert_string_equal(json_string_value(json_object_get(json, "rule")),
			    "files[0] at demo.policy:7");
	assert_int_equal(json_integer_value(json_object_get(json, "vcpu")), 3);
	assert_int_equal(json_integer_value(json_object_get(json, "pid")), 4194303);
	assert_string_equal(json_string_value(json_object_get(json, "command")), "a \"task\"");
	json_decref(json);
	record_close(r, NULL);
}

/* Puts a call with the number in each place that has one, and the name; returns its line. */
static json_t *line_of(u64 number, const char *name)
{
	struct policy_request req = { .fn = catalog_find("filp_open"), .name = name };
	static struct decision d = { .verdict = VERDICT_DENY, .record = true, .rule = "r" };
	struct record *r = create_record(file);
	char line[1024], *end;
	json_t *json;
	FILE *f;

	for (unsigned i = 0; i < REQUEST_ARGS; i++)
		req.args[i] = number;
	req.pid = (u32)number;
	req.guest_ns = number;
	assert_int_equal(add_and_write(r, number, "a", "lime", &req, &d), 0);
	record_close(r, NULL);
	f = fopen(file, "r");
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	unlink(file);
	assert_true(strtoull(line + strlen("{\"time_ns\":"), &end, 10) == number);
	assert_int_equal(*end, ',');
	json = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(json);
	return json;
}

/* Numbers of each length, and strings of each length with something special at each place. */
static void numbers_and_strings_of_any_length(void **state)
{
	static const char special[] = "\"\\\x1f\x7f\x80 ~!#[]\x01";
	char name[32], text[32];
	json_t *json;
	u64 n = 1;

	(void)state;
	for (int i = 0; i < 130; i++, n = i % 2 ? n * 2 : n - 1 ? n - 1 : 1) {
		json = line_of(i ? n : 0, "/x");
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)(i ? n : 0));
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(json, "args"), 1)), text);
		assert_true(json_number_value(json_object_get(json, "pid")) ==
			    (double)(u32)(i ? n : 0));
		json_decref(json);
		n += i % 2;
	}
	for (size_t len = 1; len < 20; len++) {
		for (size_t at = 0; at < len; at++) {
			memset(name, 'x', len);
			name[len] = '\0';
			name[at] = special[(len + at) % (sizeof(special) - 1)];
			json = line_of(1, name);
			snprintf(text, sizeof(text), "%s",
				 json_string_value(json_object_get(json, "asked")));
			if (name[at] == '\x80') {
				assert_memory_equal(text + at, "\xee\xbe\x80", 3);
				memmove(text + at + 1, text + at + 3, strlen(text + at + 3) + 1);
				text[at] = '\x80';
			}
			assert_string_equal(text, name);
			json_decref(json);
		}
	}
}

/* A call like the one before is counted without a search; one that differs is another. */
static void a_row_that_is_kept_in_mind_is_only_its_own(void **state)
{
	static struct decision d[] = {
		{ .verdict = VERDICT_PASS, .record = true, .rule = "r" },
		{ .verdict = VERDICT_DENY, .error = EPERM, .record = true, .rule = "r" },
		{ .verdict = VERDICT_DENY, .error = EIO, .record = true, .rule = "r" },
		{ .verdict = VERDICT_PASS, .record = true, .rule = "another" },
		{ .verdict = VERDICT_EMULATE, .value = 5, .record = true, .rule = "r" },
	};
	static const char *const names[] = { "/x", "/y" }, *const argv[] = { NULL, "a b" };
	struct record *r = create_record(NULL);
	struct record_line line = { .buf = NULL };
	u32 row = 0;
	json_t *json;

	(void)state;
	for (unsigned i = 0; i < 3 * 20; i++) {
		/* each three times, one after the other */
		const unsigned kind = i / 3;
		const struct policy_request req = { .fn = catalog_find("filp_open"),
						    .name = names[kind / 5 % 2],
						    .strvec = argv[kind / 10] };
		const struct record_call call = { i, "a", "lime", &req, &d[kind % 5], false, &row };

		assert_int_equal(record_add(r, &call, &line), 0);
		assert_int_equal(row, 1 + kind);
	}
	json = record_summary(r);
	assert_int_equal(json_array_size(json_object_get(json, "requests")), 20);
	for (size_t i = 0; i < 20; i++) {
		const json_t *of = json_array_get(json_object_get(json, "requests"), i);

		assert_int_equal(json_integer_value(json_object_get(of, "count")), 3);
		assert_int_equal(json_integer_value(json_object_get(of, "time_ns")), 3 * i);
		assert_int_equal(json_integer_value(json_object_get(of, "last_ns")), 3 * i + 2);
	}
	json_decref(json);
	record_close(r, NULL);
}

static void files_are_private_and_never_overwritten(void **state)
{
	struct record *r = create_record(file);
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	record_close(r, NULL);
	assert_int_equal(record_create(&r, file, &e), -EEXIST);
	assert_non_null(strstr(e.text, "exists already"));
	assert_int_equal(record_create(&r, dir, &e), -EEXIST);
	assert_int_equal(record_create(&r, "/nonexistent/r", &e), -ENOENT);
	unlink(file);
	/* a link that somebody put there is not followed to make a file elsewhere */
	assert_int_equal(symlink("/tmp/umbra-record-elsewhere", file), 0);
	assert_int_equal(record_create(&r, file, &e), -EEXIST);
	assert_int_equal(access("/tmp/umbra-record-elsewhere", F_OK), -1);
}

static void note_error(void *arg, int error, u64 lost)
{
	int *told = arg;

	(void)lost;
	*told = error;
}

/* At once, and again at the end; the calls go on. */
static void a_full_disk_is_told(void **state)
{
	struct record *r = create_record("/dev/full");
	struct record_status now;
	int told = 0;
	struct err e;

	(void)state;
	record_set_owner(r, &(struct record_owner){ .refused = note_error, .arg = &told });
	assert_int_equal(add_call(r, 1, "lime", &opened), 0);
	assert_int_equal(told, ENOSPC);
	assert_int_equal(record_event(r, 1, "k", "t"), 0);
	record_status(r, &now);
	assert_int_equal(now.error, ENOSPC);
	assert_int_equal(now.lost, 0);
	assert_int_equal(record_close(r, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "/dev/full: the record is not complete"));
}

/* A terminal whose reader stops: what does not fit is counted, and nobody waits. */
static void a_stopped_terminal_holds_up_nobody(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	struct record_status now = { .lost = 0 };
	struct record *r;
	struct err e;

	(void)state;
	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	r = create_record(ptsname(master));
	alarm(20); /* the fault is to wait here */
	for (u64 i = 0; i < 100000 && !now.lost; i++) {
		assert_int_equal(add_call(r, i, "lime", &opened), 0);
		record_status(r, &now);
	}
	alarm(0);
	assert_int_equal(now.lost, 1);
	assert_int_equal(now.error, EAGAIN);
	assert_int_equal(record_close(r, &e), -EAGAIN);
	assert_non_null(strstr(e.text, "the record is not complete"));
	close(slave);
	close(master);
}

/* The disk fills in the middle of a line and has room again later: the rest of the line follows. */
static void a_torn_line_is_completed(void **state)
{
	struct record *r = create_record(file), *back;
	struct record_status now;
	struct rlimit limit, old;
	json_t *json;
	struct err e;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	assert_int_equal(add_call(r, 1, "lime", &opened), 0);
	limit.rlim_cur = 300;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(add_call(r, 2, "lime", &opened), 0);
	record_status(r, &now);
	assert_int_equal(now.error, EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(add_call(r, 3, "lime", &opened), 0);
	assert_int_equal(record_close(r, &e), 0);
	assert_int_equal(record_read(&back, file, &e), 0);
	json = record_summary(back);
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(json_object_get(json, "requests"), 0), "count")),
			 3);
	assert_int_equal(json_integer_value(json_object_get(json, "damaged_lines")), 0);
	json_decref(json);
	record_close(back, NULL);
}

/* Returns the size of file number @i of the record; -1: it is not there. */
static off_t size_of(unsigned i)
{
	char path[80];
	struct stat st;

	snprintf(path, sizeof(path), i ? "%s.%u" : "%s", file, i);
	return stat(path, &st) ? -1 : st.st_size;
}

static void remove_spares(void)
{
	char path[80];

	for (unsigned i = 1; i <= RECORD_KEEP_MAX; i++) {
		snprintf(path, sizeof(path), "%s.%u", file, i);
		unlink(path);
	}
}

/* Files of a size each are written in turn, and what is read of them is one stretch, to the end. */
static void a_record_goes_on_in_other_files(void **state)
{
	struct record *r = create_record(file), *back;
	char one[80], two[80];
	const char *const paths[] = { file, one, two, NULL };
	struct recorded_call c = { "misc_register", NULL, NULL, VERDICT_PASS, 0 };
	static char name[4000];
	json_t *json, *requests;
	struct err e;
	u64 calls = 1000;

	(void)state;
	snprintf(one, sizeof(one), "%s.1", file);
	snprintf(two, sizeof(two), "%s.2", file);
	assert_int_equal(record_rotate(r, RECORD_SIZE_MIN, 2, &e), 0);
	c.name = c.used = name;
	memset(name, 'n', sizeof(name) - 1);
	/* 8 MB: each has been emptied once */
	for (u64 i = 0; i < calls; i++) {
		snprintf(name, 8, "%07llu", (unsigned long long)i);
		name[7] = 'n';
		assert_int_equal(add_call(r, i, "lime", &c), 0);
	}
	assert_int_equal(record_close(r, &e), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(size_of(i), 1, RECORD_SIZE_MIN);
	assert_int_equal(size_of(3), -1);
	assert_int_equal(record_read_some(&back, paths, NULL, &e), 0);
	json = record_summary(back);
	requests = json_object_get(json, "requests");
	assert_in_range(json_array_size(requests), 2 * RECORD_SIZE_MIN / 9000, calls - 1);
	assert_int_equal(json_integer_value(json_object_get(json, "damaged_lines")), 0);
	/* rows are ordered by time: none is missing between the first that is left and the last */
	for (size_t i = 0; i < json_array_size(requests); i++)
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(requests, i), "time_ns")),
			calls - json_array_size(requests) + i);
	json_decref(json);
	record_close(back, NULL);
	remove_spares();
}

/* What lies there already is not touched, unless it is empty, as a run may leave it. */
static void other_files_are_never_overwritten(void **state)
{
	struct record *r = create_record(file);
	char one[80];
	struct err e;
	FILE *f;

	(void)state;
	snprintf(one, sizeof(one), "%s.1", file);
	f = fopen(one, "w");
	fclose(f);
	assert_int_equal(record_rotate(r, RECORD_SIZE_MIN, 1, &e), 0);
	record_close(r, NULL);
	unlink(file);
	f = fopen(one, "w");
	fputs("precious", f);
	fclose(f);
	r = create_record(file);
	assert_int_equal(record_rotate(r, RECORD_SIZE_MIN, 2, &e), -EEXIST);
	assert_non_null(strstr(e.text, ".1: exists already"));
	record_close(r, NULL);
	assert_int_equal(size_of(1), 8);
	unlink(one);
	assert_int_equal(symlink("/tmp/umbra-record-elsewhere", one), 0);
	unlink(file);
	r = create_record(file);
	assert_int_equal(record_rotate(r, RECORD_SIZE_MIN, 2, &e), -ELOOP);
	assert_int_equal(access("/tmp/umbra-record-elsewhere", F_OK), -1);
	record_close(r, NULL);
	remove_spares();
	r = create_record("/dev/null");
	assert_int_equal(record_rotate(r, RECORD_SIZE_MIN, 2, &e), -EINVAL);
	record_close(r, NULL);
}

static char *read_file(size_t *len)
{
	FILE *f = fopen(file, "r");
	char *text = calloc(1, 65536);

	*len = fread(text, 1, 65535, f);
	fclose(f);
	return text;
}

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(file, "w");

	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

/* Cut at each byte: whole lines are there, the cut one is reported, nothing crashes. */
static void cut_files(void **state)
{
	struct record *r = create_record(file), *back;
	size_t len, rows, lines;
	struct err e;
	json_t *json;
	char *text;

	(void)state;
	for (u64 i = 0; i < 4; i++)
		record_event(r, i, "event \xff\"", i & 1 ? "odd" : "even");
	add_call(r, 5, "lime", &opened);
	record_close(r, NULL);
	text = read_file(&len);
	for (size_t cut = 0; cut <= len; cut++) {
		write_file(text, cut);
		lines = 0;
		for (size_t i = 0; i < cut; i++)
			lines += text[i] == '\n';
		/* a last line that lacks only its newline is whole */
		lines += cut && text[cut - 1] != '\n' && text[cut] == '\n';
		if (!lines && cut) {
			assert_int_equal(record_read(&back, file, &e), -EINVAL);
			continue;
		}
		assert_int_equal(record_read(&back, file, &e), 0);
		json = record_summary(back);
		rows = json_array_size(json_object_get(json, "events")) +
		       json_array_size(json_object_get(json, "requests"));
		assert_int_equal(rows, lines < 2 ? lines : lines < 5 ? 2 : 3);
		assert_true(json_is_true(json_object_get(json, "cut")) ==
			    (cut && text[cut - 1] != '\n' && text[cut] != '\n'));
		json_decref(json);
		record_close(back, NULL);
	}
	free(text);
}

static void hostile_lines_are_left_out(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"[]",
		"7",
		"{}",
		"null",
		"{\"time_ns\":\"1\"}",
		"{\"time_ns\":1}",
		"{\"time_ns\":-1,\"event\":\"e\",\"text\":\"t\"}",
		"{\"time_ns\":1,\"event\":7,\"text\":\"t\"}",
		"{\"time_ns\":1,\"event\":null}",
		"{\"time_ns\":1,\"session\":[],\"driver\":\"d\",\"function\":\"f\"}",
		"{\"time_ns\":1,\"session\":\"a\",\"driver\":\"d\",\"function\":\"f\",\"verdict\":\"x\"}",
		"{\"time_ns\":1,\"event\":\"a\\u0000b\",\"text\":\"t\"}",
		"{\"time_ns\":99999999999999999999,\"event\":\"e\",\"text\":\"t\"}",
	};
	static char text[2 << 20];
	struct record *r;
	json_t *json;
	struct err e;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		at += (size_t)sprintf(text + at, "%s\n", bad[i]);
	at += (size_t)sprintf(text + at, "{\"time_ns\":1,\"event\":\"e\",\"text\":\"t\"}\n");
	memset(text + at, '[', 1000000); /* deep */
	at += 1000000;
	text[at++] = '\n';
	memset(text + at, 0, 100);
	at += 100;
	text[at++] = '\n';
	write_file(text, at);
	assert_int_equal(record_read(&r, file, &e), 0);
	json = record_summary(r);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "damaged_lines")),
			 ARRAY_SIZE(bad) + 2);
	json_decref(json);
	record_close(r, NULL);

	/* a line without an end */
	memset(text, 'x', sizeof(text));
	write_file(text, sizeof(text));
	assert_int_equal(record_read(&r, file, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a record of requests"));
	assert_int_equal(record_read(&r, "/nonexistent", &e), -ENOENT);
	assert_int_equal(record_read(&r, "/tmp", &e), -EIO);
}

static void filters(void **state)
{
	const char *const paths[] = { file, NULL };
	static const struct recorded_call denied = { "misc_register", "lime", NULL, VERDICT_DENY,
						     EPERM };
	static const struct {
		struct record_filter f;
		size_t requests, events;
	} cases[] = {
		{ { NULL, NULL, NULL, NULL }, 3, 1 },
		{ { "a", NULL, NULL, NULL }, 3, 0 },
		{ { "b", NULL, NULL, NULL }, 0, 0 },
		{ { NULL, "lime", NULL, NULL }, 2, 0 },
		{ { NULL, "lime*", NULL, NULL }, 3, 0 },
		{ { NULL, NULL, "filp_*", NULL }, 2, 0 },
		{ { NULL, NULL, "doorbell*", NULL }, 0, 1 },
		{ { NULL, NULL, NULL, "deny" }, 1, 0 },
	};
	struct record *r = create_record(file);
	json_t *json;

	(void)state;
	add_call(r, 1, "lime", &opened);
	add_call(r, 2, "lime2", &opened);
	add_call(r, 3, "lime", &denied);
	record_event(r, 4, "doorbell refused", "x");
	record_close(r, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(record_read_some(&r, paths, &cases[i].f, NULL), 0);
		json = record_summary(r);
		assert_int_equal(json_array_size(json_object_get(json, "requests")),
				 cases[i].requests);
		assert_int_equal(json_array_size(json_object_get(json, "events")), cases[i].events);
		json_decref(json);
		record_close(r, NULL);
	}
}

/* A file that grows between two looks, by what text[n] has; NULL: it is left then. */
struct growth {
	const char *text[6];
	unsigned n;
	bool shorten; /* to nothing, before the last one */
	FILE *out;
	long printed[6]; /* how much was, at each look */
};

static bool grow(void *arg)
{
	struct growth *g = arg;
	const char *text = g->text[g->n];
	FILE *f;

	g->printed[g->n++] = ftell(g->out);
	if (!text)
		return false;
	f = fopen(file, g->shorten && !g->text[g->n] ? "w" : "a");
	fputs(text, f);
	fclose(f);
	return true;
}

/* Follows the file, which begins by g->text[0]. Returns what is printed. */
static char *follow(struct growth *g, bool json, const struct record_filter *f)
{
	const char *const paths[] = { file, NULL };
	char *text = NULL;
	struct record_follow what = { .json = json, .wait = grow, .arg = g };
	struct record *r;
	struct err e = { "" };
	size_t len;

	grow(g);
	g->out = what.to = open_memstream(&text, &len);
	if (record_follow(&r, paths, f, &what, &e))
		fail_msg("%s", e.text);
	assert_int_equal(record_print_sums(r, what.to), 0);
	record_close(r, NULL);
	fclose(what.to);
	return text;
}

static void a_file_that_grows_is_followed(void **state)
{
	struct growth g = {
		.text = { "{\"time_ns\":1,\"event\":\"one\",\"text\":\"t\"}\n",
			  "{\"time_ns\":2,\"eve", "nt\":\"two\",\"text\":\"t\"}\n",
			  "{\"time_ns\":3,\"event\":\"lines lost\",\"text\":\"t\",\"lost\":7}\n" },
		.out = stdout,
	};
	char *text;

	(void)state;
	text = follow(&g, true, NULL);
	/* Each as soon as it is whole. */
	assert_true(g.printed[1] > 0);
	assert_int_equal(g.printed[2], g.printed[1]);
	assert_true(g.printed[3] > g.printed[2] && g.printed[4] > g.printed[3]);
	assert_non_null(strstr(text, "\"two\",\"text\":\"t\"}\n{"));
	assert_non_null(strstr(text, "}\n3 entries in 3 rows\n7 more are missing"));
	free(text);
}

/* The line shows what the row does not keep. */
static void calls_that_were_seen_are_followed_with_their_results(void **state)
{
	static const char one[] =
		"{\"time_ns\":1,\"session\":\"a\",\"driver\":\"d\",\"function\":\"kstrdup\",\"asked\":null,"
		"\"argv\":null,\"used\":null,\"verdict\":\"pass\",\"error\":null,\"rule\":\"trace[0]\","
		"\"site\":\"open_set+0x3f\",\"call\":\"s=\\\"x\\\", gfp=0xcc0\",\"result\":\"0xff00\","
		"\"duration_ns\":5}\n";
	struct growth g = { .text = { one, one }, .out = stdout };
	char *text;

	(void)state;
	text = follow(&g, false, NULL);
	assert_non_null(strstr(text, "(s=\"x\", gfp=0xcc0)"));
	assert_non_null(strstr(text, "= 0xff00"));
	assert_non_null(strstr(text, "trace[0], from open_set+0x3f"));
	assert_non_null(strstr(text, "2 entries in 1 row\n"));
	free(text);
}

static void one_that_is_emptied_is_followed(void **state)
{
	static const struct record_filter wanted = { .function = "*o*" };
	struct growth g = {
		.text = { "{\"time_ns\":1,\"event\":\"one\",\"text\":\"a long text\"}\n",
			  "{\"time_ns\":2,\"event\":\"t",
			  "{\"time_ns\":3,\"event\":\"four\",\"text\":\"\"}\n" },
		.shorten = true,
		.out = stdout,
	};
	char *text;

	(void)state;
	text = follow(&g, false, &wanted);
	assert_non_null(strstr(text, "TIME"));
	assert_non_null(strstr(text, "a long text"));
	assert_non_null(strstr(text, "four"));
	assert_non_null(strstr(text, "2 entries in 2 rows\n1 damaged lines were left out\n"));
	free(text);
}

static void tables_fit_and_are_harmless(void **state)
{
	static const struct recorded_call longer = {
		"filp_open", "/a/very/long/path/that/does/not/fit/\x1b[2J\xff\xe2\x80\xae/end", "x",
		VERDICT_REWRITE, 0
	};
	static const struct recorded_call denied = { "misc_register", "gr\xc3\xbcn", NULL,
						     VERDICT_DENY, EPERM };
	struct record *r = create_record(NULL);
	char *text;

	(void)state;
	text = record_table(r, 80, false);
	assert_string_equal(text, "0 entries in 0 rows\n");
	free(text);
	add_call(r, 1234567890, "lime", &longer);
	add_call(r, 2000000000, "lime", &denied);
	for (unsigned width = 74; width < 200; width++) {
		char *save = NULL;

		text = record_table(r, width, false);
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			size_t n = 0;

			for (char *c = l; *c; c++)
				n += (*c & 0xc0) != 0x80;
			assert_true(n <= width);
			/* nothing that a terminal would act upon */
			assert_null(strpbrk(l, "\x1b\x01\r\xff"));
			assert_null(strstr(l, "\xe2\x80\xae"));
		}
		free(text);
	}
	text = record_table(r, 0, false);
	assert_non_null(strstr(text, "1.234567      1  a"));
	assert_non_null(strstr(text, "/fit/\\x1b[2J\\xff\\xe2\\x80\\xae/end"));
	assert_non_null(strstr(text, "gr\xc3\xbcn"));
	assert_non_null(strstr(text, "deny EPERM"));
	assert_null(strstr(text, "\033"));
	free(text);
	text = record_table(r, 0, true);
	assert_non_null(strstr(text, "\033[31mdeny EPERM"));
	free(text);
	record_close(r, NULL);
}

static void memory_is_bounded_and_nothing_is_lost_silently(void **state)
{
	struct record *r = create_record(NULL);
	char name[32], *text;
	json_t *json;

	(void)state;
	for (u64 i = 0; i < RECORD_ROWS + 1000; i++) {
		struct recorded_call c = { "misc_register", name, name, VERDICT_PASS, 0 };

		snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
		add_call(r, i, "lime", &c);
	}
	/* rows that are there go on counting */
	struct recorded_call c = { "misc_register", "n5", "n5", VERDICT_PASS, 0 };

	add_call(r, 1 << 30, "lime", &c);
	json = record_summary(r);
	assert_int_equal(json_array_size(json_object_get(json, "requests")), RECORD_ROWS);
	assert_int_equal(json_integer_value(json_object_get(json, "others")), 1000);
	json_decref(json);
	text = record_table(r, 80, false);
	assert_non_null(strstr(text, "16385 entries in 16384 rows\n1000 more without a row"));
	free(text);
	record_close(r, NULL);
}

/* One session asks for more names than there are rows: the others still have rows. */
static void one_session_cannot_take_all_rows(void **state)
{
	struct record *r = create_record(NULL);
	struct recorded_call c = { "misc_register", NULL, NULL, VERDICT_PASS, 0 };
	char name[32];
	json_t *json;

	(void)state;
	c.name = c.used = name;
	for (u64 i = 0; i < RECORD_ROWS + 1000; i++) {
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
		add_call(r, i, "lime", &c);
	}
	for (u64 i = 0; i < RECORD_ROWS_OWN + 5; i++) {
		snprintf(name, sizeof(name), "n%llu", (unsigned long long)i);
		add_of(r, "b", i, "lime", &c);
	}
	record_event(r, 7, "doorbell refused", "from somewhere");
	json = record_summary(r);
	assert_int_equal(json_array_size(json_object_get(json, "requests")),
			 RECORD_ROWS + RECORD_ROWS_OWN);
	assert_int_equal(json_array_size(json_object_get(json, "events")), 1);
	assert_int_equal(json_integer_value(json_object_get(json, "others")), 1000 + 5);
	json_decref(json);
	record_close(r, NULL);
}

#define THREADS 8
#define CALLS	2000

static void *add_many(void *arg)
{
	struct record *r = arg;

	for (u64 i = 0; i < CALLS; i++)
		add_call(r, i, "lime", &opened);
	return NULL;
}

static void many_threads(void **state)
{
	struct record *r = create_record(file), *back;
	pthread_t t[THREADS];
	struct record *both[2];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, add_many, r);
	for (size_t i = 0; i < THREADS; i++) {
		json_decref(record_summary(r)); /* meanwhile */
		pthread_join(t[i], NULL);
	}
	assert_int_equal(record_read(&back, file, NULL), 0);
	both[0] = r;
	both[1] = back;
	for (size_t i = 0; i < 2; i++) {
		json_t *json = record_summary(both[i]);
		json_t *row = json_array_get(json_object_get(json, "requests"), 0);

		assert_int_equal(json_array_size(json_object_get(json, "requests")), 1);
		assert_int_equal(json_integer_value(json_object_get(row, "count")),
				 THREADS * CALLS);
		assert_int_equal(json_integer_value(json_object_get(json, "damaged_lines")), 0);
		json_decref(json);
		assert_int_equal(record_close(both[i], NULL), 0);
	}
}

#define TEST(f) cmocka_unit_test_teardown(f, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(repeats_are_one_row),
		TEST(used_names),
		TEST(what_the_policy_leaves_out_is_counted),
		TEST(any_bytes_survive),
		TEST(a_line_holds_the_arguments),
		TEST(numbers_and_strings_of_any_length),
		TEST(a_row_that_is_kept_in_mind_is_only_its_own),
		TEST(files_are_private_and_never_overwritten),
		TEST(a_full_disk_is_told),
		TEST(a_stopped_terminal_holds_up_nobody),
		TEST(a_torn_line_is_completed),
		TEST(a_record_goes_on_in_other_files),
		TEST(other_files_are_never_overwritten),
		TEST(cut_files),
		TEST(hostile_lines_are_left_out),
		TEST(filters),
		TEST(a_file_that_grows_is_followed),
		TEST(calls_that_were_seen_are_followed_with_their_results),
		TEST(one_that_is_emptied_is_followed),
		TEST(tables_fit_and_are_harmless),
		TEST(memory_is_bounded_and_nothing_is_lost_silently),
		TEST(one_session_cannot_take_all_rows),
		TEST(many_threads),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
