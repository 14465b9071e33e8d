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

static const char all_rules[] = "# mine\n"
				"/usr/bin/umbra-qemu rmix,\n"
				"  /usr/bin/vmm   rmix,\n"
				"/usr/lib/umbra/** rmix,\n"
				"/usr/bin/qemu-storage-daemon rmix,\n"
				"/etc/umbra/** r,\n"
				"/var/lib/umbra/** rwk,\n"
				"/var/cache/umbra/** r,\n";

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
	put("/etc/apparmor.d/local/abstractions/libvirt-qemu", all_rules, 0644);
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

static void each_rule_is_asked_for(void **state)
{
	char less[sizeof(all_rules)];
	const char *line, *end;

	(void)state;
	for (line = strchr(all_rules, '\n') + 1; *line; line = end) {
		end = strchr(line, '\n') + 1;
		snprintf(less, sizeof(less), "%.*s%s", (int)(line - all_rules), all_rules, end);
		put("/etc/apparmor.d/local/abstractions/libvirt-qemu", less, 0644);
		expect("apparmor", "add to /etc/apparmor.d/local/abstractions/libvirt-qemu:\n  /");
	}
	put("/etc/apparmor.d/local/abstractions/libvirt-qemu", "# /usr/bin/vmm rmix,\n", 0644);
	expect("apparmor", "\n  /usr/bin/vmm rmix,");
	put("/sys/module/apparmor/parameters/enabled", "N\n", 0644);
	expect("apparmor", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_host_that_lacks_nothing, host_begin, host_end),
		cmocka_unit_test_setup_teardown(what_is_missing_is_told, host_begin, host_end),
		cmocka_unit_test_setup_teardown(each_rule_is_asked_for, host_begin, host_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
