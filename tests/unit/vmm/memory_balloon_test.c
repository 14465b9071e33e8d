// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what clients hear of a guest's memory balloon, whose driver this test plays: QEMU's
 * commands, its event, and the properties that libvirt reads.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/vmm/monitored.h"
#include "tests/unit/vmm/pci_driver.h"
#include "vmm/cli/commands.h"
#include "vmm/monitor/balloon.h"

#define RINGS	0x300000ULL /* three pages for each queue */
#define DEVICE	0x2000U
#define NOTIFY	0x3000U
#define MIB	(1ULL << 20)
#define BALLOON 0x10451af4U /* what its configuration space begins with */

struct fixture {
	struct monitored g;
	struct pci_driver driver;
};

static void fixture_start(struct fixture *f, bool balloon)
{
	memset(f, 0, sizeof(*f));
	guest_spec_init(&f->g.o);
	f->g.o.memory = PROBE_MEMORY;
	f->g.o.no_rng = true;
	f->g.o.balloon.on = balloon;
	snprintf(f->g.o.balloon.dev.id, sizeof(f->g.o.balloon.dev.id), "balloon.7");
	monitored_create(&f->g, "unit-balloon", 1);
	monitor_set_devices(f->g.mon, f->g.platform, NULL);
	monitored_start(&f->g);
}

static void fixture_end(struct fixture *f)
{
	monitored_end(&f->g);
}

/* --- the driver ------------------------------------------------------------------------------ */

/* Begins as a driver that takes statistics. */
static void driver_start(struct fixture *f)
{
	pci_driver_begin(&f->driver, f->g.m, BALLOON, 2);
	for (unsigned i = 0; i < 3; i++)
		pci_driver_add_queue(&f->driver, i, RINGS + 0x3000ULL * i);
	pci_driver_go(&f->driver);
}

static void driver_holds(struct fixture *f, u64 bytes)
{
	pci_driver_write(&f->driver, DEVICE + 4, bytes >> 12, 4);
}

/* Tells the free memory, in the one buffer for statistics. */
static void driver_tells(struct fixture *f, u64 bytes)
{
	u8 *page = machine_gpa(f->g.m, RINGS + 0x6000, 0x3000);
	const struct {
		u16 tag;
		u64 value;
	} __attribute__((packed)) stat = { 4, bytes };
	const struct {
		u64 addr;
		u32 len;
		u16 flags, next;
	} desc = { RINGS + 0x6800, sizeof(stat), 0, 0 };
	u16 *avail = (u16 *)(void *)(page + 0x1000);

	memcpy(page + 0x800, &stat, sizeof(stat));
	memcpy(page, &desc, sizeof(desc));
	__atomic_store_n(&avail[1], (u16)(avail[1] + 1), __ATOMIC_RELEASE);
	pci_driver_write(&f->driver, NOTIFY + 2 * 4, 2, 2);
}

static u16 driver_buffers_back(struct fixture *f)
{
	return __atomic_load_n((u16 *)machine_gpa(f->g.m, RINGS + 0x8002, 2), __ATOMIC_ACQUIRE);
}

/* --- answers --------------------------------------------------------------------------------- */

static json_t *ask(struct fixture *f, const char *command, json_t *args)
{
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->g.c, command, args, &out, &e))
		fail_msg("%s: %s", command, e.text);
	return out;
}

static void expect_refusal(struct fixture *f, const char *command, json_t *args, const char *why)
{
	struct err e = { "" };

	assert_int_equal(client_call(f->g.c, command, args, NULL, &e), -EREMOTEIO);
	assert_string_equal(e.text, why);
}

static void expect_actual(struct fixture *f, u64 bytes)
{
	json_t *o = ask(f, "query-balloon", NULL);

	assert_int_equal(json_object_size(o), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "actual")), bytes);
	json_decref(o);
}

/* Waits for the event; returns the size that it tells. */
static u64 await_change(struct fixture *f)
{
	json_t *o = NULL, *data;
	u64 bytes;

	assert_int_equal(client_event(f->g.c, 5000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "BALLOON_CHANGE");
	data = json_object_get(o, "data");
	assert_int_equal(json_object_size(data), 1);
	bytes = (u64)json_integer_value(json_object_get(data, "actual"));
	json_decref(o);
	return bytes;
}

static void expect_no_event(struct fixture *f, int ms)
{
	json_t *o = NULL;

	assert_int_equal(client_event(f->g.c, ms, &o), -ETIMEDOUT);
}

/* Returns the error's class that QMP has for @command, by a connection of its own. */
static void error_class(const char *socket_path, const char *command, char class[64])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[256], answer[4096] = "";
	size_t len = 0;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	snprintf(line, sizeof(line), "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"%s\"}",
		 command);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	while (!strstr(answer, "\"class\"") || !strstr(strstr(answer, "\"class\""), "\n")) {
		ssize_t n = read(fd, answer + len, sizeof(answer) - 1 - len);

		assert_true(n > 0);
		len += (size_t)n;
		answer[len] = '\0';
	}
	close(fd);
	assert_int_equal(sscanf(strstr(answer, "\"class\""), "\"class\": \"%63[^\"]", class), 1);
}

static void a_guest_without_a_balloon(void **state)
{
	char name[32], memory[] = "memory", size[] = "64M", class[64];
	static const char none[] = "No balloon device has been activated";
	struct fixture f;
	json_t *o;

	(void)state;
	fixture_start(&f, false);
	expect_refusal(&f, "query-balloon", NULL, none);
	expect_refusal(&f, "balloon", json_pack("{s:i}", "value", 1), none);
	error_class(monitor_socket(f.g.mon), "query-balloon", class);
	assert_string_equal(class, "DeviceNotActive");
	assert_false(balloon_present(f.g.mon));
	assert_null(balloon_guest_stats(f.g.mon));
	assert_null(balloon_polling_interval(f.g.mon));
	o = ask(&f, "umbra-memory", NULL);
	assert_true(json_is_false(json_object_get(o, "balloon")));
	assert_int_equal(json_integer_value(json_object_get(o, "total")), PROBE_MEMORY);
	json_decref(o);
	snprintf(name, sizeof(name), "%s", f.g.name);
	{
		char *show[] = { memory, name, NULL }, *shrink[] = { memory, name, size, NULL };

		assert_int_equal(cmd_memory(2, show), 0);
		assert_int_equal(cmd_memory(3, shrink), EXIT_CODE_ERROR);
	}
	fixture_end(&f);
}

static void sizes_as_qemu_has_them(void **state)
{
	struct fixture f;
	u64 before;
	s64 start;

	(void)state;
	fixture_start(&f, true);
	expect_actual(&f, PROBE_MEMORY);
	expect_refusal(&f, "balloon", NULL, "Parameter 'value' is missing");
	expect_refusal(&f, "balloon", json_pack("{s:s}", "value", "1"),
		       "Invalid parameter type for 'value', expected: integer");
	expect_refusal(&f, "balloon", json_pack("{s:i}", "value", 0),
		       "Parameter 'target' expects a size");
	expect_refusal(&f, "balloon", json_pack("{s:i}", "value", -5),
		       "Parameter 'target' expects a size");
	json_decref(ask(&f, "balloon", json_pack("{s:I}", "value", (json_int_t)(12 * MIB))));
	driver_start(&f);
	assert_int_equal(pci_driver_read(&f.driver, DEVICE, 4), 4 * MIB >> 12);
	expect_actual(&f, PROBE_MEMORY);
	/* The first event comes at once, the last one of many when a second is over. */
	driver_holds(&f, 1 * MIB);
	assert_int_equal(await_change(&f), PROBE_MEMORY - 1 * MIB);
	start = now_ms();
	for (before = 0; before < 1000; before++)
		driver_holds(&f, MIB + (before << 12));
	driver_holds(&f, 4 * MIB);
	expect_actual(&f, 12 * MIB);
	assert_int_equal(await_change(&f), 12 * MIB);
	assert_true(now_ms() - start >= 900);
	expect_no_event(&f, 1200);
	/* There and back is no change. */
	driver_holds(&f, 3 * MIB);
	assert_int_equal(await_change(&f), 13 * MIB);
	driver_holds(&f, 2 * MIB);
	driver_holds(&f, 3 * MIB);
	expect_no_event(&f, 1500);
	/* The driver resets its device: all memory is the guest's. */
	pci_driver_reset(&f.driver);
	assert_int_equal(await_change(&f), PROBE_MEMORY);
	expect_actual(&f, PROBE_MEMORY);
	/* A change that nobody hears of any more, when the machine ends, does no harm. */
	driver_start(&f);
	driver_holds(&f, 4 * MIB);
	fixture_end(&f);
}

#define OBJECT "/machine/peripheral/balloon.7"

/* libvirt finds it by its type, and reads and sets its properties by its path. */
static void a_balloon_is_an_object(void **state)
{
	static const char stats[] = "guest-stats", interval[] = "guest-stats-polling-interval";
	struct fixture f;
	json_t *o;

	(void)state;
	fixture_start(&f, true);
	o = ask(&f, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"));
	assert_int_equal(json_array_size(o), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(o, 1), "name")),
			    "balloon.7");
	assert_string_equal(json_string_value(json_object_get(json_array_get(o, 1), "type")),
			    "child<virtio-balloon-pci>");
	json_decref(o);
	o = ask(&f, "qom-list", json_pack("{s:s}", "path", OBJECT));
	assert_int_equal(json_array_size(o), 3);
	json_decref(o);
	json_decref(ask(
		&f, "qom-set",
		json_pack("{s:s, s:s, s:i}", "path", OBJECT, "property", interval, "value", 3)));
	o = ask(&f, "qom-get", json_pack("{s:s, s:s}", "path", OBJECT, "property", interval));
	assert_int_equal(json_integer_value(o), 3);
	json_decref(o);
	o = ask(&f, "qom-get", json_pack("{s:s, s:s}", "path", OBJECT, "property", stats));
	assert_int_equal(json_integer_value(json_object_get(o, "last-update")), 0);
	json_decref(o);
	expect_refusal(&f, "qom-set",
		       json_pack("{s:s, s:s, s:i}", "path", OBJECT, "property", stats, "value", 3),
		       "Property '" OBJECT ".guest-stats' not found");
	expect_refusal(&f, "qom-get", json_pack("{s:s, s:s}", "path", OBJECT, "property", "x"),
		       "Property '" OBJECT ".x' not found");
	expect_refusal(&f, "qom-list", json_pack("{s:s}", "path", OBJECT "1"),
		       "Device '" OBJECT "1' not found");
	fixture_end(&f);
}

static json_int_t stat_value(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(o, "stats"), name));
}

static void await_buffers_back(struct fixture *f, u16 n)
{
	for (int i = 0; i < 5000 && driver_buffers_back(f) != n; i++)
		usleep(1000);
	assert_int_equal(driver_buffers_back(f), n);
}

static void statistics_as_libvirt_reads_them(void **state)
{
	json_t *interval, *o, *wrong;
	struct err e = { "" };
	struct fixture f;

	(void)state;
	fixture_start(&f, true);
	driver_start(&f);
	o = balloon_guest_stats(f.g.mon);
	assert_int_equal(json_object_size(o), 2);
	assert_int_equal(json_integer_value(json_object_get(o, "last-update")), 0);
	assert_int_equal(json_object_size(json_object_get(o, "stats")), 10);
	assert_int_equal(stat_value(o, "stat-free-memory"), -1);
	json_decref(o);
	driver_tells(&f, 5 * MIB);
	for (int i = 0; i < 5000; i++) {
		o = balloon_guest_stats(f.g.mon);
		if (json_integer_value(json_object_get(o, "last-update")))
			break;
		json_decref(o);
		usleep(1000);
	}
	assert_true(llabs((long long)time(NULL) -
			  json_integer_value(json_object_get(o, "last-update"))) < 60);
	assert_int_equal(stat_value(o, "stat-free-memory"), 5 * MIB);
	assert_int_equal(stat_value(o, "stat-swap-in"), -1);
	json_decref(o);
	/* An interval: the buffer goes back for new values. */
	interval = json_integer(2);
	assert_int_equal(driver_buffers_back(&f), 0);
	assert_int_equal(balloon_set_polling_interval(f.g.mon, interval, &e), 0);
	json_decref(interval);
	await_buffers_back(&f, 1);
	interval = balloon_polling_interval(f.g.mon);
	assert_int_equal(json_integer_value(interval), 2);
	json_decref(interval);
	/* QEMU's words for what is no interval. */
	wrong = json_integer(-1);
	assert_int_equal(balloon_set_polling_interval(f.g.mon, wrong, &e), -EINVAL);
	assert_string_equal(e.text, "timer value must be greater than zero");
	json_integer_set(wrong, 1LL << 32);
	assert_int_equal(balloon_set_polling_interval(f.g.mon, wrong, &e), -EINVAL);
	assert_string_equal(e.text, "timer value is too big");
	assert_int_equal(balloon_set_polling_interval(f.g.mon, NULL, &e), -EINVAL);
	json_decref(wrong);
	fixture_end(&f);
}

/* --- vmm memory ------------------------------------------------------------------------------ */

struct asker {
	struct fixture *f;
	char size[16], timeout[24];
	int code;
};

static void *ask_for_size(void *arg)
{
	struct asker *a = arg;
	char memory[] = "memory";
	char *argv[] = { memory, a->f->g.name, a->size, a->timeout, NULL };

	a->code = cmd_memory(4, argv);
	return NULL;
}

static void run_command(struct fixture *f, struct asker *a, pthread_t *thread, const char *size,
			int timeout)
{
	a->f = f;
	snprintf(a->size, sizeof(a->size), "%s", size);
	snprintf(a->timeout, sizeof(a->timeout), "--timeout=%d", timeout);
	assert_int_equal(pthread_create(thread, NULL, ask_for_size, a), 0);
}

static void await_target(struct fixture *f, u64 bytes)
{
	for (int i = 0; i < 5000 && pci_driver_read(&f->driver, DEVICE, 4) != bytes >> 12; i++)
		usleep(1000);
	assert_int_equal(pci_driver_read(&f->driver, DEVICE, 4), bytes >> 12);
}

static void the_command_waits_for_the_guest(void **state)
{
	struct fixture f;
	struct asker a;
	pthread_t thread;

	(void)state;
	fixture_start(&f, true);
	driver_start(&f);
	run_command(&f, &a, &thread, "12M", 20);
	await_target(&f, 4 * MIB);
	driver_holds(&f, 1 * MIB);
	driver_holds(&f, 4 * MIB);
	pthread_join(thread, NULL);
	assert_int_equal(a.code, 0);
	/* Back, in parts: not before all is there. */
	run_command(&f, &a, &thread, "16M", 1);
	await_target(&f, 0);
	driver_holds(&f, 1 * MIB);
	pthread_join(thread, NULL);
	assert_int_equal(a.code, EXIT_CODE_ERROR);
	driver_holds(&f, 0);
	/* A guest that does not want to. */
	run_command(&f, &a, &thread, "8M", 1);
	pthread_join(thread, NULL);
	assert_int_equal(a.code, EXIT_CODE_ERROR);
	/* More than it has. */
	run_command(&f, &a, &thread, "17M", 20);
	pthread_join(thread, NULL);
	assert_int_equal(a.code, EXIT_CODE_ERROR);
	assert_int_equal(pci_driver_read(&f.driver, DEVICE, 4), 8 * MIB >> 12);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_without_a_balloon),
		cmocka_unit_test(sizes_as_qemu_has_them),
		cmocka_unit_test(statistics_as_libvirt_reads_them),
		cmocka_unit_test(a_balloon_is_an_object),
		cmocka_unit_test(the_command_waits_for_the_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
