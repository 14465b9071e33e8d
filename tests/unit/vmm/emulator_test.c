// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what an emulator says of itself, without a guest: all that libvirt 9.0 asks when it probes
 * one (libvirt-probe.json, recorded), and questions that have no answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/version.h"
#include "vmm/control/control.h"
#include "vmm/monitor/emulator.h"

static void stop_loop(void *arg, struct control_request *r, const json_t *args)
{
	(void)args;
	control_reply(r, NULL);
	loop_stop(arg);
}

static const struct control_command commands[] = { { "stop", stop_loop }, { NULL, NULL } };

/* Sends @requests, an array, and returns the array of what came back; the first is the greeting. */
static json_t *converse(const json_t *requests)
{
	char path[] = "/tmp/umbra-unit-XXXXXX", *text;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	static char got[1 << 18];
	json_t *o, *answers = json_array();
	json_error_t error;
	struct control *c;
	size_t i, len = 0;
	struct loop *l;
	struct err e;
	ssize_t n;
	int fd;

	assert_true(mkstemp(path) >= 0);
	unlink(path);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(control_create(&c, l, path, &e), 0);
	assert_int_equal(control_add(c, commands, l), 0);
	assert_int_equal(emulator_add_commands(c), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	json_array_foreach(requests, i, o)
	{
		text = json_dumps(o, JSON_COMPACT);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		free(text);
	}
	assert_int_equal(write(fd, "{\"execute\":\"stop\"}", 18), 18);
	assert_int_equal(loop_run(l), 0);
	control_destroy(c);
	loop_destroy(l);
	while ((n = recv(fd, got + len, sizeof(got) - len, 0)) > 0)
		len += (size_t)n;
	close(fd);
	for (i = 0; i < len; i += (size_t)error.position) {
		while (i < len && strchr("\r\n", got[i]))
			i++;
		o = i < len ? json_loadb(got + i, len - i, JSON_DISABLE_EOF_CHECK, &error) : NULL;
		if (!o)
			break;
		json_array_append_new(answers, o);
	}
	return answers;
}

/* Returns the answer to request @id, borrowed. */
static json_t *answer_to(const json_t *answers, const char *id)
{
	const char *of;
	json_t *o;
	size_t i;

	json_array_foreach(answers, i, o)
	{
		of = json_string_value(json_object_get(o, "id"));
		if (of && !strcmp(of, id))
			return o;
	}
	fail_msg("no answer to %s", id);
	return NULL;
}

static const char *error_class(const json_t *answer)
{
	return json_string_value(json_object_get(json_object_get(answer, "error"), "class"));
}

static const char *error_text(const json_t *answer)
{
	return json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
}

/*
 * libvirt bears that commands about TPM are not there, and that a device is not; any other error
 * ends its probe.
 */
static void a_probe_of_libvirt_is_answered(void **state)
{
	json_t *asked = json_load_file("tests/unit/vmm/libvirt-probe.json", 0, NULL);
	json_t *answers, *o, *version;
	size_t i;

	(void)state;
	assert_non_null(asked);
	answers = converse(asked);
	version = json_object_get(json_object_get(json_array_get(answers, 0), "QMP"), "version");
	assert_string_equal(json_string_value(json_object_get(version, "package")),
			    "Umbra " VMM_VERSION " (vmm), not QEMU");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(version, "qemu"), "major")), 7);
	json_array_foreach(asked, i, o)
	{
		const char *command = json_string_value(json_object_get(o, "execute"));
		const char *id = json_string_value(json_object_get(o, "id"));
		const char *class = error_class(answer_to(answers, id));

		if (class && strncmp(command, "query-tpm-", 10) != 0 &&
		    !(!strcmp(class, "DeviceNotFound") &&
		      !strcmp(command, "device-list-properties")))
			fail_msg("%s: %s", command, error_text(answer_to(answers, id)));
	}
	json_decref(answers);
	json_decref(asked);
}

static json_t *request(const char *id, const char *command, json_t *args)
{
	return json_pack("{s:s, s:s, s:o}", "execute", command, "id", id, "arguments", args);
}

/* Asks one question; returns its answer, of which "return" or "error" is looked at. */
static json_t *ask(const char *command, json_t *args)
{
	json_t *list = json_pack("[{s:s}]", "execute", "qmp_capabilities"), *answers, *o;

	json_array_append_new(list, request("q", command, args));
	answers = converse(list);
	o = json_incref(answer_to(answers, "q"));
	json_decref(answers);
	json_decref(list);
	return o;
}

static void expect_error(const char *command, json_t *args, const char *class, const char *text)
{
	json_t *o = ask(command, args);

	assert_non_null(error_class(o));
	assert_string_equal(error_class(o), class);
	assert_string_equal(error_text(o), text);
	json_decref(o);
}

static void what_is_not_there_is_said(void **state)
{
	json_t *o;

	(void)state;
	expect_error("device-list-properties", json_pack("{s:s}", "typename", "usb-host"),
		     "DeviceNotFound", "Device 'usb-host' not found");
	/* Of an error libvirtd 9.0.0 dies here. */
	o = ask("qom-list-properties", json_pack("{s:s}", "typename", "memory-backend-file"));
	assert_true(json_is_array(json_object_get(o, "return")));
	assert_int_equal(json_array_size(json_object_get(o, "return")), 0);
	json_decref(o);
	expect_error("device-list-properties", json_object(), "GenericError",
		     "Parameter 'typename' is missing");
	expect_error("device-list-properties", json_pack("{s:i}", "typename", 1), "GenericError",
		     "Parameter 'typename' is missing");
	expect_error(
		"migrate-set-capabilities",
		json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "xbzrle", "state", 1),
		"GenericError", "Umbra does not migrate guests; it has no 'xbzrle'");
	expect_error("migrate-set-capabilities", json_pack("{s:[i]}", "capabilities", 1),
		     "GenericError", "Umbra does not migrate guests; it has no '?'");
	expect_error("migrate-set-capabilities", json_object(), "GenericError",
		     "Parameter 'capabilities' is missing");
	expect_error("query-cpu-definitions", json_object(), "CommandNotFound",
		     "The command query-cpu-definitions has not been found");
}

/* libvirt goes by the begin of a machine's name, and by types and properties of these names. */
static void what_is_there_has_libvirts_names(void **state)
{
	json_t *o = ask("query-machines", json_object()), *want, *list, *type;
	unsigned found = 0;
	size_t i;

	(void)state;
	want = json_pack("[{s:s, s:s, s:i, s:b, s:b, s:b, s:b}, {s:s, s:s, s:i, s:b, s:b, s:b}]",
			 "name", "pc-i440fx-umbra-1", "alias", "pc", "cpu-max", 64,
			 "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0,
			 "is-default", 1, "name", "pc-q35-umbra-1", "alias", "q35", "cpu-max", 64,
			 "hotpluggable-cpus", 0, "numa-mem-supported", 0, "deprecated", 0);
	assert_true(json_equal(json_object_get(o, "return"), want));
	json_decref(want);
	json_decref(o);
	o = ask("qom-list-types", json_object());
	list = json_object_get(o, "return");
	json_array_foreach(list, i, type)
	{
		const char *name = json_string_value(json_object_get(type, "name"));

		found += !strcmp(name, "isa-serial") || !strcmp(name, "pcie-root-port") ||
			 !strcmp(name, "virtio-blk-pci-transitional");
	}
	assert_int_equal(found, 3);
	json_decref(o);
	o = ask("device-list-properties", json_pack("{s:s}", "typename", "PIIX4_PM"));
	want = json_pack("[{s:s, s:s}, {s:s, s:s}]", "name", "disable_s3", "type", "uint8", "name",
			 "disable_s4", "type", "uint8");
	assert_true(json_equal(json_object_get(o, "return"), want));
	json_decref(want);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_probe_of_libvirt_is_answered),
		cmocka_unit_test(what_is_not_there_is_said),
		cmocka_unit_test(what_is_there_has_libvirts_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
