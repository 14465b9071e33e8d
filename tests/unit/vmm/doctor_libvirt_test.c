// SPDX-License-Identifier: GPL-2.0-only
/* Makes up hosts that lack something for domains of libvirt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/types.h"
#include "vmm/cli/doctor_libvirt.h"

static char root[64];

static void put(const char *path, const char *text, mode_t mode)
{
	char full[256], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(full, mode), 0);
}

#define LOCAL	 "/etc/apparmor.d/local/abstractions/libvirt-qemu"
#define OURS	 "/etc/apparmor.d/abstractions/umbra-qemu"
#define INCLUDE	 "include if exists <abstractions/umbra-qemu>"
#define OUR_FILE "tools/umbra-qemu/apparmor" /* what the package brings */

static char our_rules[4096];

/* As the lines may stand in the administrator's own file. */
static const char all_rules[] = "# mine\n"
				"/usr/bin/umbra-qemu rmix,\n"
				"  /usr/bin/vmm   rmix,  # all\n"
				"/usr/lib/umbra/** rmix,\n"
				"/usr/bin/qemu-storage-daemon rmix,\n"
				"/etc/umbra/** r,\n"
				"\t/var/lib/umbra/**\tr,\n"
				"/var/cache/umbra/ r,\n"
				"/var/cache/umbra/** r,\n"
				"owner  /var/lib/umbra/records/** rwk,\n";

/* A host that lacks nothing. Its /dev/kvm is a file, of root's group and that of the user. */
static int host_begin(void **state)
{
	(void)state;
	strcpy(root, "/tmp/umbra-doctor-XXXXXX");
	assert_non_null(mkdtemp(root));
	put("/usr/bin/umbra-qemu", "", 0755);
	put("/etc/passwd", "root:x:0:0:::\nlibvirt-qemu:x:64055:107:::\n", 0644);
	put("/etc/group", "root:x:0:adm,libvirt-qemu\nkvm:x:107:\n", 0644);
	put("/dev/kvm", "", 0660);
	put("/proc/sys/kernel/unprivileged_userns_clone", "1\n", 0644);
	put("/sys/module/apparmor/parameters/enabled", "Y\n", 0644);
	put(OURS, our_rules, 0644);
	put(LOCAL, "# mine\n  " INCLUDE "\n", 0644);
	return 0;
}

static int host_end(void **state)
{
	char command[80];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* Returns what is to be done about @what; "" if it is well, NULL if it was not looked at. */
static const char *advice(json_t *list, const char *what)
{
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
	{
		if (strcmp(json_string_value(json_object_get(o, "what")), what) != 0)
			continue;
		if (json_is_true(json_object_get(o, "ok")))
			return "";
		assert_non_null(json_string_value(json_object_get(o, "why")));
		return json_string_value(json_object_get(o, "do"));
	}
	return NULL;
}

static void expect(const char *what, const char *part)
{
	json_t *list = doctor_libvirt(root);
	const char *found;

	assert_non_null(list);
	found = advice(list, what);
	if (!found)
		fail_msg("%s was not looked at", what);
	else if (*part ? !strstr(found, part) : *found)
		fail_msg("%s: '%s', not '%s'", what, found, part);
	json_decref(list);
}

static void expect_exactly(const char *what, const char *all)
{
	json_t *list = doctor_libvirt(root);

	assert_non_null(list);
	assert_string_equal(advice(list, what), all);
	json_decref(list);
}

static void a_host_that_lacks_nothing(void **state)
{
	static const char *const all[] = { "emulator", "user", "kvm", "namespaces", "apparmor" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		expect(all[i], "");
}

static void what_is_missing_is_told(void **state)
{
	char path[128];
	json_t *list;

	(void)state;
	put("/usr/bin/umbra-qemu", "", 0644);
	expect("emulator", "install");
	put("/dev/kvm", "", 0600);
	expect("kvm", "chmod 660 /dev/kvm");
	put("/dev/kvm", "", 0660);
	put("/etc/group", "root:x:0:adm\nkvm:x:107:\n", 0644);
	expect("kvm", "chgrp kvm");
	put("/dev/kvm", "", 0666);
	expect("kvm", "");
	put("/proc/sys/kernel/unprivileged_userns_clone", "0\n", 0644);
	expect("namespaces", "unprivileged_userns_clone=1");
	put("/etc/passwd", "root:x:0:0:::\n", 0644);
	expect("user", "libvirt-daemon-system");
	snprintf(path, sizeof(path), "%s/dev/kvm", root);
	unlink(path);
	list = doctor_libvirt(root);
	assert_null(advice(list, "kvm")); /* whose it should be is not known */
	json_decref(list);
}

/* Without the package's file, by lines of the administrator's own. */
static void each_rule_is_asked_for(void **state)
{
	char less[sizeof(all_rules)], path[128];
	const char *line, *end;

	(void)state;
	snprintf(path, sizeof(path), "%s" OURS, root);
	unlink(path);
	expect("apparmor", "add to " LOCAL ":\n  /");
	put(LOCAL, all_rules, 0644);
	expect("apparmor", "");
	for (line = strchr(all_rules, '\n') + 1; *line; line = end) {
		end = strchr(line, '\n') + 1;
		snprintf(less, sizeof(less), "%.*s%s", (int)(line - all_rules), all_rules, end);
		put(LOCAL, less, 0644);
		expect("apparmor", "add to " LOCAL ":\n  ");
	}
	put(LOCAL, "# /usr/bin/vmm rmix,\n", 0644);
	expect("apparmor", "\n  /usr/bin/vmm rmix,");
	put("/sys/module/apparmor/parameters/enabled", "N\n", 0644);
	expect("apparmor", "");
}

static void the_packages_file_is_included(void **state)
{
	static const char *const forms[] = { INCLUDE "\n", "#include <abstractions/umbra-qemu>\n",
					     "include <abstractions/umbra-qemu> # mine\n" };
	const char advice_wanted[] = "add to " LOCAL ":\n  " INCLUDE;
	char *rule;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		put(LOCAL, forms[i], 0644);
		expect("apparmor", "");
	}
	put(LOCAL, "# include if exists <abstractions/umbra-qemu>\n", 0644);
	expect_exactly("apparmor", advice_wanted);
	put(LOCAL, "", 0644);
	expect_exactly("apparmor", advice_wanted);
	/* The file is of an older package: what it lacks is asked for by itself. */
	put(LOCAL, INCLUDE "\n", 0644);
	rule = strstr(our_rules, "  /etc/umbra/** r,\n");
	assert_non_null(rule);
	*rule = '#';
	put(OURS, our_rules, 0644);
	*rule = ' ';
	expect_exactly("apparmor", "add to " LOCAL ":\n  /etc/umbra/** r,");
}

static void what_the_profile_costs_is_told(void **state)
{
	json_t *list, *o;
	size_t i;

	(void)state;
	list = doctor_libvirt(root);
	json_array_foreach(list, i, o)
	{
		const char *note = json_string_value(json_object_get(o, "note"));

		if (!strcmp(json_string_value(json_object_get(o, "what")), "apparmor"))
			assert_non_null(note ? strstr(note, "mount, net and ipc") : NULL);
		else
			assert_null(note);
	}
	json_decref(list);
}

static int read_our_file(void **state)
{
	FILE *f = fopen(OUR_FILE, "r");

	(void)state;
	if (!f)
		return -1;
	our_rules[fread(our_rules, 1, sizeof(our_rules) - 1, f)] = '\0';
	return fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_that_lacks_nothing, host_begin, host_end),
		cmocka_unit_test_setup_teardown(what_is_missing_is_told, host_begin, host_end),
		cmocka_unit_test_setup_teardown(each_rule_is_asked_for, host_begin, host_end),
		cmocka_unit_test_setup_teardown(the_packages_file_is_included, host_begin,
						host_end),
		cmocka_unit_test_setup_teardown(what_the_profile_costs_is_told, host_begin,
						host_end),
	};

	return cmocka_run_group_tests(tests, read_our_file, NULL);
}
