// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the calls that a guest's kernel makes to the gate: what it answers, what it keeps of a
 * driver, and what it undoes. No KVM.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/vmm/gate_fixture.h"

/* A gate without a machine: two callers of one session, and memory for frames and answers. */
struct fixture {
	struct gate g;
	struct policy *policy;
	unsigned one, two;
};

/* What OP_RESULT says of a name that the kernel left alone. */
static const u64 no_name[2];

static int make_gate(void **state)
{
	static const char text[] =
		"version = 1; sessions = { a = {\n"
		"files = ( { from = \"/\"; to = \"/data/a\"; } );\n"
		"names = { misc = \"a-%s\"; net = \"a%s\"; link = \"a-%s\";\n"
		"          proc = \"a-%s\"; class = \"a-%s\"; driver = \"a-%s\"; kobject = \"a-%s\";\n"
		"          blkdev = \"a-%s\"; debugfs = \"a-%s\"; };\n"
		"default = \"deny\"; }; };\n";
	struct fixture *f = calloc(1, sizeof(*f));
	struct gate *g = &f->g;

	assert_true(gate_fixture_make(g));
	assert_int_equal(policy_parse(&f->policy, "p", text, NULL), 0);
	f->one = (unsigned)gate_caller_add(g, policy_session(f->policy, "a"), "a", "one");
	f->two = (unsigned)gate_caller_add(g, policy_session(f->policy, "a"), "a", "two");
	*state = f;
	return 0;
}

static int free_gate(void **state)
{
	struct fixture *f = *state;

	gate_caller_remove(&f->g, f->one);
	gate_caller_remove(&f->g, f->two);
	gate_fixture_free(&f->g);
	policy_free(f->policy);
	free(f);
	return 0;
}

static void put_name(struct umbra_frame *f, const char *name)
{
	memset(f, 0, offsetof(struct umbra_frame, data));
	f->flags = UMBRA_FRAME_HAS_NAME;
	f->name.len = f->used = (u32)strlen(name) + 1;
	memcpy(f->data, name, f->used);
}

static s64 ring_call(struct fixture *f, unsigned frame, unsigned caller, const char *fn)
{
	return gate_call(&f->g, 1, frame, UMBRA_ID(caller, catalog_index(catalog_find(fn))));
}

static void a_path_is_answered_by_root_and_name(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[3];

	put_name(&f->g.frames[3], "/etc/../etc//app.conf");
	assert_int_equal(ring_call(f, 3, f->one, "filp_open"), 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_int_equal(a->flags, UMBRA_ANSWER_IN_ROOT);
	assert_int_equal(a->resolve, DECISION_IN_ROOT);
	assert_string_equal(a->data + a->root.off, "/data/a");
	assert_string_equal(a->data + a->name.off, "etc/app.conf");
}

/* A path from the root of the guest's init is that also for a caller in a root of its own. */
static void a_path_from_init_has_inits_root(void **state)
{
	static const char own[] = "/etc/x\0/home\0/jail";
	struct fixture *f = *state;
	struct umbra_frame *fr = &f->g.frames[3];
	const struct umbra_answer *a = &f->g.answers[3];

	for (int from_init = 0; from_init < 2; from_init++) {
		put_name(fr, "/etc/x");
		memcpy(fr->data, own, sizeof(own));
		fr->cwd = (struct umbra_str){ 7, 6 };
		fr->root = (struct umbra_str){ 13, 6 };
		fr->used = sizeof(own);
		assert_int_equal(ring_call(f, 3, f->one,
					   from_init ? "kernel_read_file_from_path_initns"
						     : "kernel_read_file_from_path"),
				 0);
		assert_string_equal(a->data + a->root.off, "/data/a");
		assert_string_equal(a->data + a->name.off, from_init ? "etc/x" : "jail/etc/x");
	}
}

/* Of who calls a frame has sixteen bytes, which need not end in a NUL. */
static void a_commands_name_ends_in_its_field(void **state)
{
	char path[] = "/tmp/umbra-unit-XXXXXX", line[2000];
	struct fixture *f = *state;
	struct record *memory = f->g.rec;
	json_t *json;
	struct err e;
	FILE *file;

	assert_non_null(mkdtemp(path));
	snprintf(line, sizeof(line), "%s/record", path);
	assert_int_equal(record_create(&f->g.rec, line, &e), 0);
	put_name(&f->g.frames[0], "/x");
	memset(f->g.frames[0].command, 'c', sizeof(f->g.frames[0].command));
	f->g.frames[0].pid = 5;
	assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
	file = fopen(line, "r");
	unlink(line);
	rmdir(path);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	json = json_loads(line, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "command")), "ccccccccccccccc");
	assert_int_equal(json_integer_value(json_object_get(json, "pid")), 5);
	assert_int_equal(json_integer_value(json_object_get(json, "vcpu")), 1);
	json_decref(json);
	assert_int_equal(record_close(f->g.rec, &e), 0);
	f->g.rec = memory;
}

static void strings_outside_the_frame_are_not_read(void **state)
{
	struct fixture *f = *state;
	static const struct umbra_str bad[] = {
		{ 0xfffffff0u, 0x20 },
		{ 0, 0xffffffffu },
		{ sizeof(((struct umbra_frame *)0)->data), 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_name(&f->g.frames[0], "/x");
		f->g.frames[0].name = bad[i];
		assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
		/* a name that is not there: as a NULL pointer */
		assert_int_equal(f->g.answers[0].verdict, UMBRA_DENY);
		assert_int_equal(f->g.answers[0].error, EFAULT);
	}
	assert_int_equal(ring_call(f, UMBRA_FRAMES, f->one, "filp_open"), -EINVAL);
	assert_int_equal(ring_call(f, 0, 99, "filp_open"), -EINVAL);
	assert_int_equal(gate_call(&f->g, 1, 0, UMBRA_ID(f->one, 4000)), -EINVAL);
	assert_int_equal(gate_result(&f->g, 1, UMBRA_ID(f->one, 4000), 0, no_name), -EINVAL);
}

/* Register, fail or succeed, and take back: only what this caller did can be undone. */
static void the_ledger_undoes_what_was_done(void **state)
{
	struct fixture *f = *state;
	struct umbra_frame *fr = &f->g.frames[1];
	const struct umbra_answer *a = &f->g.answers[1];
	u64 id = UMBRA_ID(f->one, catalog_index(catalog_find("misc_register")));

	put_name(fr, "lime");
	fr->args[0] = 0xffff888000001000;
	fr->old = 0xffffffffc0001234;
	assert_int_equal(ring_call(f, 1, f->one, "misc_register"), 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_int_equal(a->flags, UMBRA_ANSWER_ARENA | UMBRA_ANSWER_RESULT);
	assert_string_equal(f->g.arena + a->name.off, "a-lime");
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);
	assert_int_equal(gate_result(&f->g, a->ticket, id, (u64)-EBUSY, no_name), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);

	assert_int_equal(ring_call(f, 1, f->one, "misc_register"), 0);
	/* of another caller, of a ticket that is not there: not believed */
	assert_int_equal(gate_result(&f->g, a->ticket, UMBRA_ID(f->two, 0), 0, no_name), 0);
	assert_int_equal(gate_result(&f->g, a->ticket + 1, id, 0, no_name), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);
	assert_int_equal(gate_result(&f->g, a->ticket, id, 0, no_name), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 1);
	assert_int_equal(gate_result(&f->g, a->ticket, id, 0, no_name), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 1);

	assert_int_equal(ring_call(f, 1, f->two, "misc_deregister"), 0);
	assert_int_equal(a->verdict, UMBRA_PASS);
	assert_int_equal(a->flags, 0);
	assert_int_equal(ring_call(f, 1, f->one, "misc_deregister"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_RESTORE | UMBRA_ANSWER_RESULT);
	assert_int_equal(a->value, (s64)0xffffffffc0001234);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);
}

/* The kernel reads a device's name until its unregister has come back. */
static void a_name_lives_until_the_kernel_has_let_go(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = f->g.answers;
	u64 undo = UMBRA_ID(f->one, catalog_index(catalog_find("misc_deregister")));
	u64 reg = UMBRA_ID(f->one, catalog_index(catalog_find("misc_register")));
	u32 off;

	put_name(&f->g.frames[1], "lime");
	f->g.frames[1].args[0] = 0x1000;
	assert_int_equal(ring_call(f, 1, f->one, "misc_register"), 0);
	assert_int_equal(gate_result(&f->g, a[1].ticket, reg, 0, no_name), 0);
	off = a[1].name.off;
	/* one is in misc_deregister() when two registers */
	assert_int_equal(ring_call(f, 1, f->one, "misc_deregister"), 0);
	put_name(&f->g.frames[2], "other");
	assert_int_equal(ring_call(f, 2, f->two, "misc_register"), 0);
	assert_int_not_equal(a[2].name.off, off);
	assert_string_equal(f->g.arena + off, "a-lime");
	assert_int_equal(gate_result(&f->g, a[1].ticket, undo, 0, no_name), 0);
	put_name(&f->g.frames[3], "third");
	assert_int_equal(ring_call(f, 3, f->two, "misc_register"), 0);
	assert_int_equal(a[3].name.off, off);
}

static void one_driver_cannot_use_up_what_all_share(void **state)
{
	struct fixture *f = *state;
	u64 id = UMBRA_ID(f->one, catalog_index(catalog_find("misc_register")));
	char name[32];
	unsigned i;

	/* the same object again and again is one object */
	for (i = 0; i < 100; i++) {
		put_name(&f->g.frames[0], "x");
		f->g.frames[0].args[0] = 0x1000;
		assert_int_equal(ring_call(f, 0, f->one, "misc_register"), 0);
		assert_int_equal(gate_result(&f->g, f->g.answers[0].ticket, id, 0, no_name), 0);
	}
	assert_int_equal(gate_caller_objects(&f->g, f->one), 1);
	for (i = 0; i < LEDGER_OWNER_MAX + 10; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		put_name(&f->g.frames[0], name);
		f->g.frames[0].args[0] = 0x2000 + 0x100 * (u64)i;
		assert_int_equal(ring_call(f, 0, f->one, "misc_register"), 0);
		if (f->g.answers[0].verdict == UMBRA_DENY)
			break;
		assert_int_equal(gate_result(&f->g, f->g.answers[0].ticket, id, 0, no_name), 0);
	}
	assert_true(i < LEDGER_OWNER_MAX);
	put_name(&f->g.frames[0], "mine");
	assert_int_equal(ring_call(f, 0, f->two, "misc_register"), 0);
	assert_int_equal(f->g.answers[0].verdict, UMBRA_REWRITE);
}

/* A message about a driver that gives up can say which line of the policy refused it what. */
static void the_last_refusal_is_kept(void **state)
{
	struct fixture *f = *state;
	char text[GATE_REFUSAL_MAX];

	gate_caller_refusal(&f->g, f->one, text);
	assert_string_equal(text, "");
	put_name(&f->g.frames[0], "/sbin/x\033[2J");
	assert_int_equal(ring_call(f, 0, f->one, "call_usermodehelper"), 0);
	assert_int_equal(f->g.answers[0].verdict, UMBRA_DENY);
	put_name(&f->g.frames[0], "/etc/x");
	assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
	gate_caller_refusal(&f->g, f->one, text);
	assert_string_equal(text,
			    "call_usermodehelper(\"/sbin/x?[2J\"): EPERM by programs: no rule "
			    "permits one");
	gate_caller_refusal(&f->g, f->two, text);
	assert_string_equal(text, "");
}

/* Registers @name in directory @dir as object @object; returns the name that was used. */
static const char *register_in(struct fixture *f, unsigned caller, const char *fn, u64 dir,
			       const char *name, u64 object)
{
	const struct catalog_fn *row = catalog_find(fn);
	const struct umbra_answer *a = &f->g.answers[1];

	put_name(&f->g.frames[1], name);
	f->g.frames[1].args[row->below - 1] = dir;
	assert_int_equal(ring_call(f, 1, caller, fn), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_RESULT);
	assert_int_equal(gate_result(&f->g, a->ticket, UMBRA_ID(caller, catalog_index(row)), object,
				     no_name),
			 0);
	return a->data + a->name.off;
}

/* Takes @name in @dir away by its name; returns the name that was used, or NULL: none. */
static const char *remove_from(struct fixture *f, unsigned caller, const char *fn, u64 dir,
			       const char *name)
{
	const struct umbra_answer *a = &f->g.answers[1];

	put_name(&f->g.frames[1], name);
	f->g.frames[1].args[1] = dir;
	assert_int_equal(ring_call(f, 1, caller, fn), 0);
	if (a->verdict == UMBRA_EMULATE)
		return NULL;
	if (a->flags & UMBRA_ANSWER_RESULT)
		assert_int_equal(gate_result(&f->g, a->ticket,
					     UMBRA_ID(caller, catalog_index(catalog_find(fn))), 0,
					     no_name),
				 0);
	return a->data + a->name.off;
}

/* A name in the guest's directories is the session's, one in the driver's own is left alone. */
static void a_name_in_an_own_directory_is_left_alone(void **state)
{
	enum { NET = 0x3000, DIR = 0x1000 };
	struct fixture *f = *state;

	assert_string_equal(register_in(f, f->one, "proc_mkdir", 0, "x", DIR), "a-x");
	assert_string_equal(register_in(f, f->one, "proc_create", DIR, "y", 0x2000), "y");
	assert_string_equal(register_in(f, f->two, "proc_create", DIR, "y", 0x2100), "a-y");
	assert_string_equal(register_in(f, f->one, "proc_create", NET, "y", 0x2200), "a-y");
	assert_string_equal(register_in(f, f->one, "proc_create", 0, "x/z", 0x2300), "a-x/z");
	assert_string_equal(register_in(f, f->one, "proc_create", 0, "fs/x", 0x2400), "fs/a-x");
	assert_int_equal(gate_caller_objects(&f->g, f->one), 5);

	assert_string_equal(remove_from(f, f->one, "remove_proc_entry", DIR, "y"), "y");
	assert_string_equal(remove_from(f, f->one, "remove_proc_entry", DIR, "unseen"), "unseen");
	assert_string_equal(remove_from(f, f->one, "remove_proc_entry", 0, "x/unseen"),
			    "a-x/unseen");
	assert_string_equal(remove_from(f, f->one, "remove_proc_entry", 0, "fs/x"), "fs/a-x");
	assert_int_equal(gate_caller_objects(&f->g, f->one), 3);
}

/* Only the kernel's own directories of sysfs are everybody's: the shim knows them. */
static void an_object_in_another_one_is_left_alone(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[1];

	put_name(&f->g.frames[1], "fuse");
	f->g.frames[1].args[1] = 0xffff888000001000;
	assert_int_equal(ring_call(f, 1, f->one, "kobject_create_and_add"), 0);
	assert_int_equal(a->verdict, UMBRA_PASS);
	f->g.frames[1].flags |= UMBRA_FRAME_WIDE;
	assert_int_equal(ring_call(f, 1, f->one, "kobject_create_and_add"), 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_string_equal(a->data + a->name.off, "a-fuse");
}

/* Neither the guest's, nor another session's, nor another driver's. */
static void what_was_not_registered_is_not_removed(void **state)
{
	struct fixture *f = *state;

	assert_null(remove_from(f, f->one, "remove_proc_entry", 0, "meminfo"));
	assert_string_equal(register_in(f, f->one, "proc_create", 0, "x", 0x1000), "a-x");
	assert_null(remove_from(f, f->two, "remove_proc_entry", 0, "x"));
	assert_null(remove_from(f, f->one, "remove_proc_entry", 0x7000, "x"));
	assert_null(remove_from(f, f->one, "remove_proc_entry", 0, "a-x"));
	assert_string_equal(remove_from(f, f->one, "remove_proc_subtree", 0, "x"), "a-x");
	assert_null(remove_from(f, f->one, "remove_proc_entry", 0, "x"));
}

static void what_is_in_a_directory_goes_with_it(void **state)
{
	struct fixture *f = *state;
	struct umbra_frame *fr = &f->g.frames[1];

	register_in(f, f->one, "proc_mkdir", 0, "x", 0x1000);
	register_in(f, f->one, "proc_mkdir", 0x1000, "y", 0x2000);
	register_in(f, f->one, "proc_create", 0x2000, "z", 0x3000);
	register_in(f, f->one, "proc_create", 0, "other", 0x4000);
	register_in(f, f->two, "proc_mkdir", 0, "x", 0x5000);
	register_in(f, f->two, "proc_create", 0x5000, "z", 0x6000);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 4);
	memset(fr, 0, offsetof(struct umbra_frame, data));
	fr->args[0] = 0x1000;
	assert_int_equal(ring_call(f, 1, f->one, "proc_remove"), 0);
	assert_int_equal(f->g.answers[1].flags, UMBRA_ANSWER_RESULT);
	assert_int_equal(gate_result(&f->g, f->g.answers[1].ticket,
				     UMBRA_ID(f->one, catalog_index(catalog_find("proc_remove"))),
				     0, no_name),
			 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 1);
	assert_int_equal(gate_caller_objects(&f->g, f->two), 2);
}

/* Gives @caller a policy whose session "a" has these @settings; the caller of this frees it. */
static struct policy *set_policy(struct fixture *f, unsigned caller, const char *settings)
{
	struct policy *p;
	char text[400];

	snprintf(text, sizeof(text), "version = 1; sessions = { a = { %s }; };", settings);
	assert_int_equal(policy_parse(&p, "p", text, NULL), 0);
	gate_caller_set_policy(&f->g, caller, policy_session(p, "a"));
	return p;
}

/* Registers @name as a disk's with the number @major; 0: any, and it becomes @ret. */
static void register_major(struct fixture *f, u64 major, const char *name, u64 ret)
{
	const struct umbra_answer *a = &f->g.answers[1];
	u64 id = UMBRA_ID(f->one, catalog_index(catalog_find("__register_blkdev")));

	put_name(&f->g.frames[1], name);
	f->g.frames[1].args[0] = major;
	assert_int_equal(ring_call(f, 1, f->one, "__register_blkdev"), 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_int_equal(gate_result(&f->g, a->ticket, id, ret, no_name), 0);
}

/* Takes it back by the name; returns the one that was used, or NULL: none. */
static const char *unregister_major(struct fixture *f, unsigned caller, const char *name)
{
	return remove_from(f, caller, "unregister_blkdev", 0, name);
}

/* A driver has one name for many numbers, each of which is taken back once. */
static void numbers_of_one_name_are_told_apart(void **state)
{
	struct fixture *f = *state;

	register_major(f, 8, "sd", 0);
	register_major(f, 65, "sd", 0);
	register_major(f, 0, "sd", 254);
	register_major(f, 0, "sd", 253);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 4);
	register_major(f, 0, "sd", (u64)-EBUSY);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 4);
	assert_null(unregister_major(f, f->two, "sd"));
	assert_null(unregister_major(f, f->one, "a-sd"));
	for (int i = 0; i < 4; i++)
		assert_string_equal(unregister_major(f, f->one, "sd"), "a-sd");
	assert_null(unregister_major(f, f->one, "sd"));
}

/* What has no name is taken back by the function that says so, and by no other. */
static void what_has_no_name_is_undone_by_its_own(void **state)
{
	static const char *const wrong[] = { "cdev_del", "unregister_oom_notifier" };
	const struct catalog_fn *fn = catalog_find("register_reboot_notifier");
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[1];
	struct policy *open = set_policy(f, f->one, "default = \"pass\";");

	memset(&f->g.frames[1], 0, offsetof(struct umbra_frame, data));
	f->g.frames[1].args[0] = 0x1000;
	assert_int_equal(ring_call(f, 1, f->one, fn->name), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_RESULT);
	assert_int_equal(
		gate_result(&f->g, a->ticket, UMBRA_ID(f->one, catalog_index(fn)), 0, no_name), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(ring_call(f, 1, f->one, wrong[i]), 0);
		assert_int_equal(a->verdict, UMBRA_PASS);
		assert_int_equal(gate_caller_objects(&f->g, f->one), 1);
	}
	assert_int_equal(ring_call(f, 1, f->one, fn->undo), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);
	gate_caller_remove(&f->g, f->one);
	policy_free(open);
}

/* What has no pointer for its driver is known by its name and its directory. */
static void an_entry_without_a_pointer_is_known_by_its_name(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[1];

	register_in(f, f->one, "debugfs_create_dir", 0, "x", 0x1000);
	assert_string_equal(register_in(f, f->one, "debugfs_create_u32", 0, "y", 0), "a-y");
	assert_string_equal(register_in(f, f->one, "debugfs_create_u32", 0x1000, "z", 0), "z");
	put_name(&f->g.frames[1], "y");
	f->g.frames[1].args[1] = 0;
	assert_int_equal(ring_call(f, 1, f->one, "debugfs_lookup"), 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_string_equal(a->data + a->name.off, "a-y");
	put_name(&f->g.frames[1], "theirs");
	assert_int_equal(ring_call(f, 1, f->one, "debugfs_lookup"), 0);
	assert_int_equal(a->verdict, UMBRA_DENY);
	assert_null(remove_from(f, f->one, "debugfs_lookup_and_remove", 0, "theirs"));
	assert_string_equal(remove_from(f, f->one, "debugfs_lookup_and_remove", 0, "y"), "a-y");
	assert_string_equal(remove_from(f, f->one, "debugfs_lookup_and_remove", 0x1000, "z"), "z");
}

/* A name that is an argument, and kept; and one of a member, which the kernel copies. */
static void a_name_is_lent_where_it_is_kept(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[1];
	u64 make = UMBRA_ID(f->one, catalog_index(catalog_find("__class_create")));
	u64 undo = UMBRA_ID(f->one, catalog_index(catalog_find("class_destroy")));

	put_name(&f->g.frames[1], "lime");
	assert_int_equal(ring_call(f, 1, f->one, "__class_create"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_ARENA | UMBRA_ANSWER_RESULT);
	assert_string_equal(f->g.arena + a->name.off, "a-lime");
	assert_int_equal(gate_result(&f->g, a->ticket, make, 0xffff888000001000, no_name), 0);
	f->g.frames[1].args[0] = 0xffff888000001000;
	assert_int_equal(ring_call(f, 1, f->one, "class_destroy"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_RESULT);
	assert_int_equal(gate_result(&f->g, a->ticket, undo, 0, no_name), 0);
	assert_int_equal(gate_caller_objects(&f->g, f->one), 0);

	put_name(&f->g.frames[1], "lime");
	f->g.frames[1].old = 0x4321;
	assert_int_equal(ring_call(f, 1, f->one, "platform_device_register_full"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_RESTORE);
	assert_int_equal(a->value, 0x4321);
	assert_string_equal(a->data + a->name.off, "a-lime");
}

/* What the strict session answers to a call of @fn with the name "x", or none. */
static u32 strict_verdict(const struct catalog_fn *fn)
{
	bool templated = fn->space == SPACE_MISC || fn->space == SPACE_NET ||
			 fn->space == SPACE_LINK || fn->space == SPACE_PROC ||
			 fn->space == SPACE_CLASS || fn->space == SPACE_DRIVER ||
			 fn->space == SPACE_KOBJECT || fn->space == SPACE_BLKDEV ||
			 fn->space == SPACE_DEBUGFS;

	/* functions without a result made one before */
	if (fn->space == SPACE_DEBUGFS && fn->form == NAME_STRING && (fn->looks_up || fn->undoes))
		return UMBRA_REWRITE;
	if (fn->undoes)
		return fn->form == NAME_NONE ? UMBRA_PASS : UMBRA_EMULATE;
	if (fn->refusal == REFUSE_NEVER)
		return UMBRA_PASS;
	if (fn->form == NAME_NONE)
		return fn->reaches ? UMBRA_DENY : UMBRA_PASS;
	if (fn->space == SPACE_FILE || (templated && !fn->looks_up && !fn->wide))
		return UMBRA_REWRITE;
	return templated && fn->wide ? UMBRA_PASS : UMBRA_DENY;
}

/* Each function of the catalogue is decided, and what it began is over when its result was told. */
static void every_function_is_answered(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[0];
	const struct catalog_fn *all;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		/* exports: gate_exports_test.c, which has a kernel */
		if (all[i].space == SPACE_EXPORT)
			continue;
		put_name(&f->g.frames[0], "/x" + (all[i].space != SPACE_FILE));
		if (all[i].form == NAME_NONE)
			f->g.frames[0].flags = 0;
		assert_int_equal(ring_call(f, 0, f->one, all[i].name), 0);
		if (a->verdict != strict_verdict(&all[i]))
			fail_msg("%s: verdict %u", all[i].name, a->verdict);
		if (a->verdict == UMBRA_DENY)
			assert_int_equal(a->error, EPERM);
		if (a->flags & UMBRA_ANSWER_RESULT)
			gate_result(&f->g, a->ticket, UMBRA_ID(f->one, i),
				    all[i].refusal == REFUSE_NULL ? 0 : (u64)-EIO, no_name);
	}
}

static void look_up(struct fixture *f, const char *name, u32 verdict, const char *used)
{
	const struct umbra_answer *a = &f->g.answers[2];

	put_name(&f->g.frames[2], name);
	assert_int_equal(ring_call(f, 2, f->two, "dev_get_by_name"), 0);
	assert_int_equal(a->verdict, verdict);
	if (used)
		assert_string_equal(a->data + a->name.off, used);
}

/* What the kernel made of a %d is found by both names; what is not the session's is not. */
static void an_interface_is_found_by_either_name(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[1];
	u64 id = UMBRA_ID(f->one, catalog_index(catalog_find("register_netdev")));
	u64 real[2];

	memcpy(real, "adummy0\0\0\0\0\0\0\0\0", sizeof(real));
	look_up(f, "dummy0", UMBRA_DENY, NULL);
	look_up(f, "adummy0", UMBRA_DENY, NULL);
	put_name(&f->g.frames[1], "dummy%d");
	f->g.frames[1].args[0] = 0x1000;
	assert_int_equal(ring_call(f, 1, f->one, "register_netdev"), 0);
	/* of another's ticket: not believed */
	assert_int_equal(gate_result(&f->g, a->ticket, UMBRA_ID(f->two, 0), 0, real), 0);
	look_up(f, "dummy0", UMBRA_DENY, NULL);
	assert_int_equal(gate_result(&f->g, a->ticket, id, 0, real), 0);
	look_up(f, "dummy0", UMBRA_REWRITE, "adummy0");
	look_up(f, "adummy0", UMBRA_PASS, "adummy0");
	look_up(f, "dummy%d", UMBRA_DENY, NULL);
	look_up(f, "eth0", UMBRA_DENY, NULL);
	put_name(&f->g.frames[1], "");
	f->g.frames[1].args[0] = 0x1000;
	assert_int_equal(ring_call(f, 1, f->one, "unregister_netdev"), 0);
	assert_int_equal(gate_result(&f->g, a->ticket, id, 0, no_name), 0);
	look_up(f, "dummy0", UMBRA_DENY, NULL);
}

static u64 count_of(struct record *r, const char *function)
{
	char *text = NULL, want[64];
	size_t len;
	FILE *to = open_memstream(&text, &len);
	u64 n;

	assert_non_null(to);
	assert_int_equal(record_print_json(r, to), 0);
	fclose(to);
	snprintf(want, sizeof(want), "\"%s\"", function);
	n = strstr(text, want) ? 1 : 0;
	free(text);
	return n;
}

/* A rule about recording holds for what undoes, too; and a stray call is no secret. */
static void undoing_is_recorded_as_the_policy_says(void **state)
{
	struct fixture *f = *state;
	struct policy *quiet;

	put_name(&f->g.frames[0], "");
	assert_int_equal(ring_call(f, 0, f->one, "filp_close"), 0);
	assert_int_equal(count_of(f->g.rec, "filp_close"), 1);
	quiet = set_policy(f, f->one,
			   "functions = ( { function = \"misc_deregister\"; record = false; } );");
	assert_int_equal(ring_call(f, 0, f->one, "misc_deregister"), 0);
	assert_int_equal(f->g.answers[0].verdict, UMBRA_PASS);
	assert_int_equal(count_of(f->g.rec, "misc_deregister"), 0);
	gate_caller_set_policy(&f->g, f->one, policy_session(f->policy, "a"));
	policy_free(quiet);
	assert_int_equal(ring_call(f, 0, 77, "filp_close"), -EINVAL);
	assert_int_equal(count_of(f->g.rec, "stray call"), 1);
}

/*
 * A call that nobody decides goes as the driver made it: it gets no name of the host's, and leaves
 * nothing that would count against the driver.
 */
static void what_is_not_critical_goes_as_it_was_made(void **state)
{
	static const char *const names[] = { "misc_register", "register_netdev", "filp_open",
					     "call_usermodehelper", "request_firmware" };
	struct fixture *f = *state;
	const struct umbra_answer *a = f->g.answers;
	struct policy *seen;

	seen = set_policy(f, f->one,
			  "trace = [ \"*\" ]; critical = { only = [ \"kernel_read\" ]; };");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		put_name(&f->g.frames[0], "mine");
		f->g.frames[0].args[0] = 0x1000;
		assert_int_equal(ring_call(f, 0, f->one, names[i]), 0);
		assert_int_equal(a[0].verdict, UMBRA_PASS);
		assert_int_equal(a[0].flags, 0);
		assert_int_equal(a[0].name.len, 0);
		assert_int_equal(count_of(f->g.rec, names[i]), 1);
	}
	assert_false(ledger_has_any(f->g.ledger, f->one));
	gate_caller_set_policy(&f->g, f->one, policy_session(f->policy, "a"));
	policy_free(seen);
}

/* The kernel may start a program long after its driver has gone; then the name is free again. */
static void a_program_gives_its_name_back(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = f->g.answers;
	u64 id = UMBRA_ID(f->one, catalog_index(catalog_find("call_usermodehelper")));
	struct policy *open;
	u32 off;

	open = set_policy(
		f, f->one,
		"functions = ( { function = \"call_usermodehelper\"; action = \"pass\"; } );");
	gate_caller_set_policy(&f->g, f->two, policy_session(open, "a"));
	put_name(&f->g.frames[0], "/p/1");
	assert_int_equal(ring_call(f, 0, f->one, "call_usermodehelper"), 0);
	assert_int_equal(a[0].flags, UMBRA_ANSWER_ARENA | UMBRA_ANSWER_RESULT);
	off = a[0].name.off;
	gate_caller_remove(&f->g, f->one);
	put_name(&f->g.frames[1], "/p/2");
	assert_int_equal(ring_call(f, 1, f->two, "call_usermodehelper"), 0);
	assert_int_not_equal(a[1].name.off, off);
	assert_string_equal(f->g.arena + off, "/p/1");
	assert_int_equal(gate_result(&f->g, a[0].ticket, id, 0, no_name), 0);
	put_name(&f->g.frames[2], "/p/3");
	assert_int_equal(ring_call(f, 2, f->two, "call_usermodehelper"), 0);
	assert_int_equal(a[2].name.off, off);
	/* a flood of programs, one after the other, takes no room at all */
	for (unsigned i = 0; i < 10000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/p/flood/%u", i);
		put_name(&f->g.frames[3], name);
		assert_int_equal(ring_call(f, 3, f->two, "call_usermodehelper"), 0);
		assert_int_equal(a[3].verdict, UMBRA_PASS);
		assert_int_equal(gate_result(&f->g, a[3].ticket, UMBRA_ID(f->two, UMBRA_ID_FN(id)),
					     0, no_name),
				 0);
	}
	gate_caller_remove(&f->g, f->two);
	policy_free(open);
}

/* Calls for programs of their own names, whose results never come, until one is refused. */
static unsigned start_programs(struct fixture *f, unsigned caller, unsigned *next)
{
	for (unsigned n = 0;; n++) {
		char name[32];

		snprintf(name, sizeof(name), "/p/%u", ++*next);
		put_name(&f->g.frames[0], name);
		assert_int_equal(ring_call(f, 0, caller, "call_usermodehelper"), 0);
		if (f->g.answers[0].verdict == UMBRA_DENY)
			return n;
		assert_int_equal(f->g.answers[0].verdict, UMBRA_PASS);
	}
}

/* A driver whose programs never start is loaded anew again and again: it gets no more by that. */
static void loading_anew_gives_no_more_room(void **state)
{
	struct fixture *f = *state;
	struct policy *open;
	const struct policy_session *s;
	unsigned caller, other, next = 0, first, n = 1;

	assert_int_equal(policy_parse(&open, "p",
				      "version = 1; sessions = { a = { functions = ( { function = "
				      "\"call_usermodehelper\"; action = \"pass\"; } ); }; };",
				      NULL),
			 0);
	s = policy_session(open, "a");
	caller = (unsigned)gate_caller_add(&f->g, s, "a", "again");
	first = start_programs(f, caller, &next);
	for (unsigned i = 0; i < 50; i++) {
		gate_caller_remove(&f->g, caller);
		caller = (unsigned)gate_caller_add(&f->g, s, "a", "again");
		n = start_programs(f, caller, &next);
	}
	assert_int_equal(n, 0);
	assert_true(next < 3 * first);
	/* another session's driver does not begin with what is left, and has its share */
	gate_caller_remove(&f->g, caller);
	other = (unsigned)gate_caller_add(&f->g, s, "b", "other");
	assert_int_not_equal(other, caller);
	assert_true(start_programs(f, other, &next) > first / 4);
	gate_caller_remove(&f->g, other);
	policy_free(open);
}

/* What an administrator calls a link stays its name; a driver cannot claim that for its own. */
static void a_users_name_is_left_alone(void **state)
{
	static const struct {
		u64 peek[UMBRA_PEEKS];
		bool two;
		u32 verdict;
	} cases[] = {
		{ { 0xaa03, 0xbbbb0001, 0x5000 }, false, UMBRA_PASS },
		{ { 1, 1, 0x5000 }, false, UMBRA_REWRITE },
		{ { 3, 0, 0x5000 }, false, UMBRA_REWRITE },
		{ { 3, 1, 0x6000 }, false, UMBRA_REWRITE },
		{ { 3, 1, 0 }, false, UMBRA_REWRITE },
		{ { 3, 1, 0x5000 }, true, UMBRA_REWRITE },
	};
	struct fixture *f = *state;
	struct umbra_frame *fr = &f->g.frames[0];
	const struct umbra_answer *a = f->g.answers;

	put_name(fr, "dummy");
	fr->args[0] = 0x5000;
	assert_int_equal(ring_call(f, 0, f->one, "rtnl_link_register"), 0);
	assert_int_equal(
		gate_result(&f->g, a->ticket,
			    UMBRA_ID(f->one, catalog_index(catalog_find("rtnl_link_register"))), 0,
			    no_name),
		0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_name(fr, "ov0");
		fr->args[0] = 0x9000;
		memcpy(fr->peek, cases[i].peek, sizeof(fr->peek));
		assert_int_equal(
			ring_call(f, 0, cases[i].two ? f->two : f->one, "register_netdevice"), 0);
		assert_int_equal(a->verdict, cases[i].verdict);
		assert_string_equal(a->data + a->name.off,
				    cases[i].verdict == UMBRA_PASS ? "ov0" : "aov0");
		/* register_netdev() is the driver's own, always */
		assert_int_equal(ring_call(f, 0, f->one, "register_netdev"), 0);
		assert_int_equal(a->verdict, UMBRA_REWRITE);
	}
}

/* What passes is walked below a root, and below the caller's where it has mounts of its own. */
static void a_path_that_passes_has_a_root(void **state)
{
	struct fixture *f = *state;
	struct policy *open;
	struct umbra_frame *fr = &f->g.frames[0];
	const struct umbra_answer *a = f->g.answers;

	open = set_policy(f, f->one, "default = \"pass\";");
	put_name(fr, "/etc/x");
	assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
	assert_int_equal(a->verdict, UMBRA_PASS);
	assert_int_equal(a->flags, UMBRA_ANSWER_IN_ROOT);
	strncpy(fr->data + 100, "/", 2);
	fr->root = (struct umbra_str){ 100, 2 };
	fr->used = 102;
	assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_IN_ROOT);
	assert_string_equal(a->data + a->root.off, "/");
	assert_string_equal(a->data + a->name.off, "etc/x");
	fr->flags |= UMBRA_FRAME_OTHER_MOUNTS;
	assert_int_equal(ring_call(f, 0, f->one, "filp_open"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_IN_ROOT | UMBRA_ANSWER_CALLERS);
	assert_int_equal(a->resolve, DECISION_IN_ROOT); /* the guest hands it to openat2 */
	assert_int_equal(ring_call(f, 0, f->one, "kernel_read_file_from_path_initns"), 0);
	assert_int_equal(a->flags, UMBRA_ANSWER_IN_ROOT);
	gate_caller_set_policy(&f->g, f->one, policy_session(f->policy, "a"));
	policy_free(open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_is_answered_by_root_and_name, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(strings_outside_the_frame_are_not_read, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_path_from_init_has_inits_root, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_commands_name_ends_in_its_field, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(the_ledger_undoes_what_was_done, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_name_lives_until_the_kernel_has_let_go, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(one_driver_cannot_use_up_what_all_share, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_name_in_an_own_directory_is_left_alone, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(what_was_not_registered_is_not_removed, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(what_is_in_a_directory_goes_with_it, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(numbers_of_one_name_are_told_apart, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(what_has_no_name_is_undone_by_its_own, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(an_entry_without_a_pointer_is_known_by_its_name,
						make_gate, free_gate),
		cmocka_unit_test_setup_teardown(a_name_is_lent_where_it_is_kept, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(an_interface_is_found_by_either_name, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(an_object_in_another_one_is_left_alone, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(every_function_is_answered, make_gate, free_gate),
		cmocka_unit_test_setup_teardown(the_last_refusal_is_kept, make_gate, free_gate),
		cmocka_unit_test_setup_teardown(undoing_is_recorded_as_the_policy_says, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(what_is_not_critical_goes_as_it_was_made, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_program_gives_its_name_back, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(loading_anew_gives_no_more_room, make_gate,
						free_gate),
		cmocka_unit_test_setup_teardown(a_users_name_is_left_alone, make_gate, free_gate),
		cmocka_unit_test_setup_teardown(a_path_that_passes_has_a_root, make_gate,
						free_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
