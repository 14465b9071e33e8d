// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what clients hear of the ports of a guest's console, whose driver this test plays: QEMU's
 * event VSERPORT_CHANGE, by which libvirt knows whether a guest agent is there.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_console.h>

#include "base/clock.h"
#include "tests/unit/vmm/monitored.h"
#include "tests/unit/vmm/pci_driver.h"
#include "tests/unit/vmm/qmp_shapes.h"
#include "vmm/backend/console.h"
#include "vmm/spec/spec_text.h"

#define RINGS	0x300000ULL /* three pages of the one queue */
#define NOTIFY	0x3000U
#define CTRL_TX 3
#define CONSOLE 0x10431af4U /* what its configuration space begins with */
#define AGENT	1
#define PLAIN	2

struct fixture {
	struct monitored g;
	struct console *console;
	struct pci_driver driver;
	json_t *shapes;
	u16 sent;
};

static void take_options(struct guest_spec *o)
{
	struct err e = { "" };

	guest_spec_init(o);
	o->memory = PROBE_MEMORY;
	o->no_rng = true;
	if (spec_take_console(o, NULL, "attach", &e) ||
	    spec_take_port(o, NULL, "org.qemu.guest_agent.0=pty,id=charchannel0,device=channel0",
			   &e) ||
	    spec_take_port(o, NULL, "plain=pty", &e))
		fail_msg("%s", e.text);
}

static void fixture_start(struct fixture *f)
{
	struct console_config config = { .bus = NULL };
	struct err e = { "" };

	memset(f, 0, sizeof(*f));
	take_options(&f->g.o);
	f->shapes = json_load_file("tests/unit/vmm/qmp-shapes.json", 0, NULL);
	assert_non_null(f->shapes);
	monitored_create(&f->g, "unit-ports", 1);
	config.bus = platform_bus(f->g.platform, guest_spec_serial(&f->g.o));
	if (console_create(&f->console, f->g.m, &f->g.o, &config, &e))
		fail_msg("%s", e.text);
	monitor_set_devices(f->g.mon, f->g.platform, f->console);
	lifecycle_add(machine_lifecycle(f->g.m), &console_part, f->console);
	monitored_start(&f->g);
}

/* Lets the loop run a round or two. */
static bool asked_twice(void *arg)
{
	unsigned *n = arg;

	return (*n)++ < 2;
}

/* Ends the guest; that its ports are closed by it is no event. */
static void fixture_end(struct fixture *f)
{
	unsigned asked = 0;
	json_t *o = NULL;

	monitored_stop(&f->g);
	console_await_files(f->console);
	machine_wait(f->g.m, asked_twice, &asked);
	assert_int_equal(lifecycle_end(machine_lifecycle(f->g.m), NULL), 0);
	assert_int_equal(client_event(f->g.c, 5000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "SHUTDOWN");
	json_decref(o);
	assert_int_equal(client_event(f->g.c, 5000, &o), -ENOTCONN);
	client_close(f->g.c);
	machine_destroy(f->g.m);
	guest_spec_free(&f->g.o);
	json_decref(f->shapes);
}

/* --- the driver ------------------------------------------------------------------------------ */

/* Begins as a driver of several ports that only ever sends control messages. */
static void driver_start(struct fixture *f)
{
	f->sent = 0;
	memset(machine_gpa(f->g.m, RINGS, 0x3000), 0, 0x3000);
	pci_driver_begin(&f->driver, f->g.m, CONSOLE, 1U << VIRTIO_CONSOLE_F_MULTIPORT);
	pci_driver_add_queue(&f->driver, CTRL_TX, RINGS);
	pci_driver_go(&f->driver);
}

/* Opens or closes @port, and returns when the device has taken that. */
static void driver_opens(struct fixture *f, u32 port, bool open)
{
	const struct virtio_console_control message = { port, VIRTIO_CONSOLE_PORT_OPEN, open };
	u8 *page = machine_gpa(f->g.m, RINGS, 0x3000);
	const struct {
		u64 addr;
		u32 len;
		u16 flags, next;
	} desc = { RINGS + 0x800, sizeof(message), 0, 0 };
	u16 *avail = (u16 *)(void *)(page + 0x1000);
	u16 *used = (u16 *)(void *)(page + 0x2000);

	memcpy(page + 0x800, &message, sizeof(message));
	memcpy(page, &desc, sizeof(desc));
	__atomic_store_n(&avail[1], ++f->sent, __ATOMIC_RELEASE);
	pci_driver_write(&f->driver, NOTIFY + CTRL_TX * 4, CTRL_TX, 2);
	for (int i = 0; i < 5000 && __atomic_load_n(&used[1], __ATOMIC_ACQUIRE) != f->sent; i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&used[1], __ATOMIC_ACQUIRE), f->sent);
}

/* --- events ---------------------------------------------------------------------------------- */

static void expect_turn(struct fixture *f, const char *id, bool open)
{
	json_t *o = NULL, *data;

	assert_int_equal(client_event(f->g.c, 5000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "VSERPORT_CHANGE");
	shape_check("VSERPORT_CHANGE",
		    json_object_get(json_object_get(f->shapes, "events"), "VSERPORT_CHANGE"), o);
	data = json_object_get(o, "data");
	assert_string_equal(json_string_value(json_object_get(data, "id")), id);
	assert_int_equal(json_is_true(json_object_get(data, "open")), open);
	json_decref(o);
}

static void expect_no_event(struct fixture *f, int ms)
{
	json_t *o = NULL;

	assert_int_equal(client_event(f->g.c, ms, &o), -ETIMEDOUT);
}

static json_t *ask(struct fixture *f, const char *command, json_t *args)
{
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->g.c, command, args, &out, &e))
		fail_msg("%s: %s", command, e.text);
	return out;
}

/* Is the front end of the character device @label open? */
static bool frontend_open(struct fixture *f, const char *label)
{
	json_t *list = ask(f, "query-chardev", NULL), *one;
	int open = -1;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (!strcmp(json_string_value(json_object_get(one, "label")), label))
			open = json_is_true(json_object_get(one, "frontend-open"));
	}
	json_decref(list);
	assert_true(open >= 0);
	return open;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void each_turn_is_an_event(void **state)
{
	struct fixture f;

	(void)state;
	fixture_start(&f);
	driver_start(&f);
	assert_false(frontend_open(&f, "charchannel0"));
	driver_opens(&f, AGENT, true);
	expect_turn(&f, "channel0", true);
	assert_true(frontend_open(&f, "charchannel0"));
	/* A port without device= is called as query-chardev calls it. */
	assert_false(frontend_open(&f, "plain"));
	driver_opens(&f, PLAIN, true);
	expect_turn(&f, "plain", true);
	assert_true(frontend_open(&f, "plain"));
	/* What says nothing new is none, nor is the console's own port. */
	driver_opens(&f, AGENT, true);
	driver_opens(&f, 0, true);
	driver_opens(&f, AGENT, false);
	expect_turn(&f, "channel0", false);
	assert_false(frontend_open(&f, "charchannel0"));
	/* A reset closes what is open. */
	pci_driver_reset(&f.driver);
	expect_turn(&f, "plain", false);
	driver_start(&f);
	driver_opens(&f, PLAIN, true);
	expect_turn(&f, "plain", true);
	fixture_end(&f);
}

/* One in a second for each port; of those between the last one. */
static void a_flood_is_one_event_in_a_second(void **state)
{
	struct fixture f;
	s64 began;

	(void)state;
	fixture_start(&f);
	driver_start(&f);
	driver_opens(&f, AGENT, true);
	expect_turn(&f, "channel0", true);
	began = now_ms();
	for (int i = 0; i < 20; i++)
		driver_opens(&f, AGENT, i % 2);
	driver_opens(&f, AGENT, false);
	/* Another port does not wait for it. */
	driver_opens(&f, PLAIN, true);
	expect_turn(&f, "plain", true);
	assert_true(now_ms() - began < 900);
	expect_turn(&f, "channel0", false);
	assert_true(now_ms() - began > 900);
	expect_no_event(&f, 1200);
	fixture_end(&f);
}

static void a_port_with_a_name_is_an_object(void **state)
{
	struct fixture f;
	unsigned found = 0;
	json_t *list, *one;
	size_t i;

	(void)state;
	fixture_start(&f);
	list = ask(&f, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"));
	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *type = json_string_value(json_object_get(one, "type"));

		if (strcmp(type, "child<virtserialport>") != 0)
			continue;
		assert_string_equal(name, "channel0");
		found++;
	}
	assert_int_equal(found, 1);
	json_decref(list);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_turn_is_an_event),
		cmocka_unit_test(a_flood_is_one_event_in_a_second),
		cmocka_unit_test(a_port_with_a_name_is_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
