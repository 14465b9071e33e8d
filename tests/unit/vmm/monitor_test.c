// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the monitor of a machine that runs, asked over its socket. monitor_dump_test.c has its
 * dumps.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/socket_file.h"
#include "devices/pci_dev.h"
#include "tests/unit/vmm/command_fixture.h"
#include "tests/unit/vmm/monitor_fixture.h"
#include "vmm/confine/keeper.h"
#include "vmm/control/control.h"
#include "vmm/control/socket_dir.h"
#include "vmm/monitor/block_resize.h"

#define NET_PATIENCE_MS 20000

/* Asks what @call of the shapes says, with its arguments. */
static json_t *ask_with(struct fixture *f, json_t *call)
{
	const char *command = json_string_value(json_object_get(call, "command"));
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->g.c, command, json_incref(json_object_get(call, "arguments")), &out, &e))
		fail_msg("%s: %s", command, e.text);
	shape_check(command, json_object_get(call, "reply"), out);
	return out;
}

/* Expects @command to be answered by @want, which is stolen as @args is. */
static void expect_answer(struct fixture *f, const char *command, json_t *args, json_t *want)
{
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->g.c, command, args, &out, &e))
		fail_msg("%s: %s", command, e.text);
	if (!json_equal(out, want))
		fail_msg("%s: %s", command, json_dumps(out, JSON_ENCODE_ANY));
	json_decref(out);
	json_decref(want);
}

static void expect_refusal(struct fixture *f, const char *command, json_t *args, const char *text)
{
	struct err e = { "" };

	assert_int_equal(client_call(f->g.c, command, args, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, text);
}

/* --- a network that dies --------------------------------------------------------------------- */

/* Puts the program of the network beside this one, where a build tree has it; its path to @path. */
static void put_net_helper(char *path, size_t size)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int len;

	assert_true(n > 0);
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	len = snprintf(path, size, "%s/net-helper", exe);
	assert_true(len > 0 && (size_t)len < size);
	unlink(path);
	assert_int_equal(symlink("../../../net-helper", path), 0);
}

static pid_t first_child(pid_t pid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	assert_non_null(f);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return (pid_t)strtol(line, NULL, 10);
}

/* Waits for an event about network 0, of QEMU's members; @data: what it is to have, besides. */
static void expect_net_event(struct fixture *f, const char *name, json_t *data)
{
	json_t *o = NULL;

	assert_int_equal(client_event(f->g.c, NET_PATIENCE_MS, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), name);
	shape_check(name, json_object_get(json_object_get(f->shapes, "events"), name), o);
	assert_true(json_equal(json_object_get(o, "data"), data));
	json_decref(data);
	json_decref(o);
}

static void answers_have_qemus_shape(void **state)
{
	const char *command;
	struct fixture f;
	json_t *shape, *o;
	struct err e;
	size_t i;

	(void)state;
	fixture_start(&f, false);
	json_object_foreach(json_object_get(f.shapes, "replies"), command, shape)
		json_decref(ask(&f, command));
	json_array_foreach(json_object_get(f.shapes, "calls"), i, shape)
		json_decref(ask_with(&f, shape));
	o = ask(&f, "query-cpus-fast");
	assert_int_equal(json_array_size(o), 2);
	json_decref(o);
	o = ask(&f, "query-block");
	assert_int_equal(json_array_size(o), 1);
	json_decref(o);
	assert_int_equal(client_call(f.g.c, "no-such-command", NULL, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, "The command no-such-command has not been found");
	fixture_end(&f);
}

static const char *member(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* As QEMU has it, "device" is the name of a disk that has no id. */
static void a_disk_is_called_by_its_id_and_node(void **state)
{
	static const char qdev[] = "/machine/peripheral/vd.0/virtio-backend";
	struct fixture f;
	struct err e;
	json_t *o, *one;
	struct pci_place place = { 0 };

	(void)state;
	fixture_start_with(&f, false, NULL, "vd.0");
	assert_int_equal(platform_disk_places(f.g.platform, &place, 1), 1);
	assert_int_equal(place.slot, 9);
	assert_int_equal(block_resize_add_commands(monitor_control(f.g.mon), f.g.platform), 0);
	o = ask(&f, "query-block");
	one = json_array_get(o, 0);
	assert_string_equal(member(one, "device"), "");
	assert_string_equal(member(one, "qdev"), qdev);
	assert_string_equal(member(json_object_get(one, "inserted"), "node-name"), "vd.0-format");
	json_decref(o);
	o = ask(&f, "query-named-block-nodes");
	assert_string_equal(member(json_array_get(o, 0), "node-name"), "vd.0-format");
	json_decref(o);
	o = ask(&f, "query-blockstats");
	assert_string_equal(member(json_array_get(o, 0), "qdev"), qdev);
	json_decref(o);
	for (int i = 0; i < 2; i++)
		if (client_call(f.g.c, "block_resize",
				json_pack("{s:s, s:i}", i ? "node-name" : "device",
					  i ? "vd.0-format" : "vd.0", "size", 4096 << i),
				NULL, &e))
			fail_msg("%s", e.text);
	assert_int_equal(client_call(f.g.c, "block_resize",
				     json_pack("{s:s, s:i}", "device", "disk0", "size", 4096), NULL,
				     &e),
			 -EREMOTEIO);
	assert_non_null(strstr(e.text, "the last one is vd.0 (or vd.0-format"));
	expect_answer(&f, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"),
		      json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "name", "type", "type",
				"string", "name", "vd.0", "type", "child<virtio-blk-pci>", "name",
				"balloon0", "type", "child<virtio-balloon-pci>"));
	fixture_end(&f);
}

static void objects_have_paths(void **state)
{
	static const char cpu[] = "/machine/unattached/device[1]", none[] = "/machine/x";
	struct fixture f;

	(void)state;
	fixture_start(&f, false);
	expect_answer(&f, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"),
		      json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "name", "type", "type",
				"string", "name", "disk0", "type", "child<virtio-blk-pci>", "name",
				"balloon0", "type", "child<virtio-balloon-pci>"));
	expect_answer(&f, "qom-get", json_pack("{s:s, s:s}", "path", cpu, "property", "migratable"),
		      json_false());
	expect_refusal(&f, "qom-get", json_pack("{s:s, s:s}", "path", cpu, "property", "x"),
		       "Property '/machine/unattached/device[1].x' not found");
	expect_refusal(&f, "qom-get",
		       json_pack("{s:s, s:s}", "path", "/machine/unattached/device[2]", "property",
				 "migratable"),
		       "Device '/machine/unattached/device[2]' not found");
	expect_refusal(&f, "qom-list", json_pack("{s:s}", "path", none),
		       "Device '/machine/x' not found");
	expect_refusal(&f, "qom-list", NULL, "Device '' not found");
	expect_refusal(
		&f, "qom-set",
		json_pack("{s:s, s:s, s:b}", "path", cpu, "property", "migratable", "value", 1),
		"Property '/machine/unattached/device[1].migratable' not found");
	fixture_end(&f);
}

static void expect_told(struct fixture *f, const char *line, const char *text)
{
	expect_answer(f, "human-monitor-command", json_pack("{s:s}", "command-line", line),
		      json_string(text));
}

static void people_are_told_what_there_is(void **state)
{
	char block[300];
	struct fixture f;

	(void)state;
	fixture_start(&f, true);
	snprintf(block, sizeof(block),
		 "disk0 (node0): %s (raw)\r\n"
		 "    Attached to:      /machine/peripheral/disk0/virtio-backend\r\n"
		 "    Cache mode:       writeback\r\n",
		 f.disk);
	expect_told(&f, "info status", "VM status: paused (prelaunch)\r\n");
	expect_told(&f, "info block", block);
	json_decref(ask(&f, "cont"));
	expect_event(&f, "RESUME");
	expect_told(&f, "info status", "VM status: running\r\n");
	expect_told(&f, "screendump x",
		    "Umbra has no monitor for people but for info block, info kvm, info name, "
		    "info status, info version; vmm info shows more\r\n");
	expect_refusal(&f, "human-monitor-command", NULL, "Parameter 'command-line' is missing");
	fixture_end(&f);
}

static void the_uuid_is_told(void **state)
{
	struct fixture f;
	struct err e;
	json_t *o;

	(void)state;
	fixture_start(&f, false);
	o = ask(&f, "query-uuid");
	assert_string_equal(member(o, "UUID"), "00000000-0000-0000-0000-000000000000");
	json_decref(o);
	f.g.o.smbios.uuid[0] = 0x12;
	f.g.o.smbios.uuid[15] = 0xef;
	f.g.o.smbios.uuid_given = true;
	o = ask(&f, "query-uuid");
	assert_string_equal(member(o, "UUID"), "12000000-0000-0000-0000-0000000000ef");
	json_decref(o);
	assert_int_equal(client_call(f.g.c, "umbra-info", NULL, &o, &e), 0);
	assert_string_equal(member(json_object_get(o, "guest"), "uuid"),
			    "12000000-0000-0000-0000-0000000000ef");
	json_decref(o);
	fixture_end(&f);
}

static void pause_stops_and_cont_goes_on(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, false);
	expect_status(&f, "running");
	assert_true(runs_within(&f, 5000));
	for (int i = 0; i < 20; i++) {
		json_decref(ask(&f, "stop"));
		expect_event(&f, "STOP");
		expect_status(&f, "paused");
		assert_true(machine_paused(f.g.m));
		if (!i)
			assert_false(runs_within(&f, 50));
		json_decref(ask(&f, "stop")); /* no event */
		json_decref(ask(&f, "cont"));
		expect_event(&f, "RESUME");
		expect_status(&f, "running");
	}
	assert_true(runs_within(&f, 5000));
	json_decref(ask(&f, "system_powerdown"));
	expect_event(&f, "POWERDOWN");
	machine_exit(f.g.m, EXIT_CODE_PANIC, NULL);
	{
		json_t *o = NULL;

		assert_int_equal(client_event(f.g.c, 5000, &o), 0);
		assert_string_equal(json_string_value(json_object_get(o, "event")),
				    "GUEST_PANICKED");
		json_decref(o);
	}
	expect_event(&f, "SHUTDOWN");
	fixture_end(&f);
}

static void a_guest_may_begin_paused(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f, true);
	expect_status(&f, "prelaunch");
	assert_int_equal(vcpu_exits_total(machine_vcpu(f.g.m, 0)), 0);
	assert_int_equal(vcpu_first_run_ns(machine_vcpu(f.g.m, 0)), 0);
	json_decref(ask(&f, "cont"));
	expect_event(&f, "RESUME");
	assert_true(runs_within(&f, 5000));
	/* The end comes through a pause as well. */
	json_decref(ask(&f, "stop"));
	expect_event(&f, "STOP");
	machine_exit(f.g.m, EXIT_CODE_POWEROFF, NULL);
	expect_event(&f, "SHUTDOWN");
	fixture_end(&f);
}

/*
 * Kills the process of a network as often as it is started again, and once more: each end and each
 * start is one event, and the end of the process that starts it is none.
 */
static void a_network_that_dies_and_comes_back_is_an_event_each(void **state)
{
	char helper[4200], zombie[64], how = 0;
	struct fixture f;
	pid_t keeper;

	(void)state;
	put_net_helper(helper, sizeof(helper));
	fixture_start_with(&f, false, "user", NULL);
	unlink(helper);
	keeper = first_child(getpid());
	for (unsigned i = 0; i <= KEEPER_RESTARTS; i++) {
		assert_int_equal(kill(first_child(keeper), SIGKILL), 0);
		expect_net_event(&f, "NETDEV_STREAM_DISCONNECTED",
				 json_pack("{s:s}", "netdev-id", "net0"));
		if (i < KEEPER_RESTARTS)
			expect_net_event(&f, "NETDEV_STREAM_CONNECTED",
					 json_pack("{s:s, s:{s:s, s:s}}", "netdev-id", "net0",
						   "addr", "type", "fd", "str", "net-helper"));
	}
	snprintf(zombie, sizeof(zombie), "/proc/%d/stat", keeper);
	for (int i = 0; i < 500 && how != 'Z'; i++) {
		FILE *file = fopen(zombie, "re");

		usleep(10000);
		assert_non_null(file);
		assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &how), 1);
		fclose(file);
	}
	assert_int_equal(how, 'Z');
	/* The first answer is of the round of the loop that hears of it, if none before was. */
	expect_status(&f, "running");
	json_decref(ask(&f, "system_powerdown"));
	expect_event(&f, "POWERDOWN");
	fixture_end(&f);
	child_await(keeper, NULL);
	free(f.g.o.nets[0].buf);
}

static void descriptors_are_handed_over_by_name(void **state)
{
	struct fixture f;
	struct err e;
	int pair[2];

	(void)state;
	fixture_start(&f, false);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(client_call(f.g.c, "getfd", json_pack("{s:s}", "fdname", "x"), NULL, &e),
			 -EREMOTEIO);
	assert_string_equal(e.text, "No file descriptor supplied via SCM_RIGHTS");
	assert_int_equal(client_give_fd(f.g.c, "x", pair[0], &e), 0);
	assert_int_equal(client_give_fd(f.g.c, "9x", pair[0], &e), -EREMOTEIO);
	close(pair[0]);
	/* The VMM has it: the pipe has a reader as long as it keeps it. */
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(write(pair[1], "a", 1), 1);
	assert_int_equal(client_call(f.g.c, "closefd", json_pack("{s:s}", "fdname", "x"), NULL, &e),
			 0);
	assert_int_equal(client_call(f.g.c, "closefd", json_pack("{s:s}", "fdname", "x"), NULL, &e),
			 -EREMOTEIO);
	assert_string_equal(e.text, "File descriptor named 'x' not found");
	close(pair[1]);
	fixture_end(&f);
}

static void a_leftover_is_replaced_and_a_living_one_is_not(void **state)
{
	struct monitor *second;
	struct err e;
	struct fixture f;
	char *path;

	(void)state;
	fixture_start(&f, false);
	assert_int_equal(monitor_create(&second, f.g.m, &f.g.o, &e), -EADDRINUSE);
	assert_non_null(strstr(e.text, "a guest of this name runs already"));
	assert_int_equal(socket_dir_path(&path, f.g.name, false, &e), 0);
	assert_int_equal(socket_file_remove_stale(path), -EADDRINUSE);
	assert_int_equal(access(path, F_OK), 0);
	fixture_end(&f);
	assert_int_equal(access(path, F_OK), -1);
	free(path);
	assert_false(socket_dir_name_ok("../x"));
	assert_false(socket_dir_name_ok(".x"));
	assert_false(socket_dir_name_ok(""));
	assert_true(socket_dir_name_ok("a.b-c_D9"));
}

/*
 * Reads @size bytes of answers. MSG_WAITALL would return less of them where this process is stopped
 * meanwhile, by job control, a debugger or a freezer.
 */
static void read_answers(int fd, char *buf, size_t size)
{
	size_t got = 0;
	ssize_t n;

	while (got < size) {
		n = recv(fd, buf, size - got, 0);
		if (n <= 0 && errno != EINTR)
			fail_msg("%s after %zu of %zu bytes",
				 n ? strerror(errno) : "the VMM has hung up", got, size);
		got += n > 0 ? (size_t)n : 0;
	}
}

/* A client that reads slowly, but reads, stays, however much it has been sent in all. */
static void a_slow_reader_is_kept(void **state)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	const struct timeval patience = { .tv_sec = 20 };
	char query[1100];
	const size_t piece = 500000, rounds = 18; /* more than the limit of what is unsent */
	char *buf = malloc(piece), *path = NULL;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct fixture f;
	struct err e;
	int len;

	(void)state;
	/* More than 1000 bytes come back, so that some are always left. */
	len = snprintf(query, sizeof(query), "{\"execute\":\"query-status\",\"id\":\"%01000d\"}",
		       0);
	fixture_start(&f, false);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(socket_dir_path(&path, f.g.name, false, &e), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(write(fd, hello, sizeof(hello) - 1), sizeof(hello) - 1);
	for (size_t i = 0; i < rounds; i++) {
		/* One write of a few bytes is whole, or is none. */
		for (size_t k = 0; k < 600;)
			if (write(fd, query, (size_t)len) == len)
				k++;
			else if (errno != EINTR)
				fail_msg("%s after %zu queries", strerror(errno), 600 * i + k);
		read_answers(fd, buf, piece);
	}
	close(fd);
	free(path);
	free(buf);
	fixture_end(&f);
}

/* Who lost its connection to newer clients does not take the guest for gone. */
static void stop_does_not_believe_a_lost_connection(void **state)
{
	struct client *others[CONTROL_CLIENTS + 8];
	char vmm[COMMAND_PATH];
	struct fixture f;
	struct err e;
	time_t began;
	pid_t child;

	(void)state;
	command_find(vmm);
	fixture_start(&f, false);
	began = time(NULL);
	child = child_spawn((const char *const[]){ vmm, "stop", "--timeout=2", f.g.name, NULL }, -1,
			    -1);
	expect_event(&f, "POWERDOWN");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (client_open(&others[i], f.g.name, 5000, &e))
			fail_msg("%s", e.text);
	assert_int_equal(child_code(child), EXIT_CODE_ERROR);
	/* It has waited on. */
	assert_true(time(NULL) > began);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		client_close(others[i]);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_have_qemus_shape),
		cmocka_unit_test(a_disk_is_called_by_its_id_and_node),
		cmocka_unit_test(objects_have_paths),
		cmocka_unit_test(people_are_told_what_there_is),
		cmocka_unit_test(the_uuid_is_told),
		cmocka_unit_test(pause_stops_and_cont_goes_on),
		cmocka_unit_test(a_guest_may_begin_paused),
		cmocka_unit_test(a_network_that_dies_and_comes_back_is_an_event_each),
		cmocka_unit_test(descriptors_are_handed_over_by_name),
		cmocka_unit_test(a_leftover_is_replaced_and_a_living_one_is_not),
		cmocka_unit_test(a_slow_reader_is_kept),
		cmocka_unit_test(stop_does_not_believe_a_lost_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
