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
#include <linux/virtio_pci.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "tests/unit/vmm/qmp_shapes.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/probe.h"
#include "vmm/control/client.h"
#include "vmm/machine/io.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_int.h"
#include "vmm/monitor/monitor.h"
#include "vmm/spec/spec_text.h"

#define RINGS	0x300000ULL /* three pages of the one queue */
#define NOTIFY	0x3000U
#define CTRL_TX 3
#define CONSOLE 0x10431af4U /* what its configuration space begins with */
#define AGENT	1
#define PLAIN	2

/* Lets the vCPU do nothing but exit. */
__asm__(".pushsection .rodata\nspin:\n1: out %al, $0x98\n jmp 1b\nspin_end:\n.popsection\n");
extern const char spin[], spin_end[];

struct fixture {
	struct machine *m;
	struct monitor *mon;
	struct platform *platform;
	struct console *console;
	struct guest_spec o;
	struct client *c;
	pthread_t thread;
	char name[32];
	json_t *shapes;
	u64 bar;
	u16 sent;
};

static void *machine_run_to_end(void *arg)
{
	struct fixture *f = arg;
	struct err e;

	monitor_ended(f->mon, machine_run(f->m, &e));
	return NULL;
}

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
	snprintf(f->name, sizeof(f->name), "unit-ports-%d", getpid());
	take_options(&f->o);
	f->o.name = f->name;
	f->shapes = json_load_file("tests/unit/vmm/qmp-shapes.json", 0, NULL);
	assert_non_null(f->shapes);
	if (probe_machine(&f->m, 1, spin, (size_t)(spin_end - spin), 0, &e) ||
	    monitor_create(&f->mon, f->m, &f->o, &e) ||
	    platform_create(&f->platform, f->m, &f->o, &e))
		fail_msg("%s", e.text);
	config.bus = platform_bus(f->platform, guest_spec_serial(&f->o));
	if (console_create(&f->console, f->m, &f->o, &config, &e))
		fail_msg("%s", e.text);
	monitor_set_devices(f->mon, f->platform, f->console);
	lifecycle_add(machine_lifecycle(f->m), &monitor_part, f->mon);
	lifecycle_add(machine_lifecycle(f->m), &platform_part, f->platform);
	lifecycle_add(machine_lifecycle(f->m), &console_part, f->console);
	assert_int_equal(lifecycle_start(machine_lifecycle(f->m), &e), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, machine_run_to_end, f), 0);
	if (client_open(&f->c, f->name, 5000, &e))
		fail_msg("%s", e.text);
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

	machine_exit(f->m, EXIT_CODE_POWEROFF, NULL);
	pthread_join(f->thread, NULL);
	console_await_files(f->console);
	machine_wait(f->m, asked_twice, &asked);
	assert_int_equal(lifecycle_end(machine_lifecycle(f->m), NULL), 0);
	assert_int_equal(client_event(f->c, 5000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), "SHUTDOWN");
	json_decref(o);
	assert_int_equal(client_event(f->c, 5000, &o), -ENOTCONN);
	client_close(f->c);
	machine_destroy(f->m);
	guest_spec_free(&f->o);
	json_decref(f->shapes);
}

/* --- the driver ------------------------------------------------------------------------------ */

static u64 mmio_read(struct fixture *f, u64 at, unsigned len)
{
	u64 value = 0;

	assert_true(io_mmio(machine_io(f->m), at, &value, len, false));
	return value;
}

static void mmio_write(struct fixture *f, u64 at, u64 value, unsigned len)
{
	assert_true(io_mmio(machine_io(f->m), at, &value, len, true));
}

static void driver_find(struct fixture *f)
{
	unsigned slot = 0;

	while (slot < 32 && mmio_read(f, LAYOUT_ECAM + (slot << 15), 4) != CONSOLE)
		slot++;
	assert_true(slot < 32);
	f->bar = mmio_read(f, LAYOUT_ECAM + (slot << 15) + 0x10, 4) & ~0xfULL;
	f->bar |= mmio_read(f, LAYOUT_ECAM + (slot << 15) + 0x14, 4) << 32;
	mmio_write(f, LAYOUT_ECAM + (slot << 15) + 4, 6, 2);
}

/* Begins as a driver of several ports that only ever sends control messages. */
static void driver_start(struct fixture *f)
{
	driver_find(f);
	f->sent = 0;
	memset(machine_gpa(f->m, RINGS, 0x3000), 0, 0x3000);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_STATUS, 3, 1);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_GF, 1U << VIRTIO_CONSOLE_F_MULTIPORT, 4);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_GF, 1, 4);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_SELECT, CTRL_TX, 2);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_DESCLO, RINGS, 8);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_AVAILLO, RINGS + 0x1000, 8);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_USEDLO, RINGS + 0x2000, 8);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(mmio_read(f, f->bar + VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
}

static void driver_reset(struct fixture *f)
{
	mmio_write(f, f->bar + VIRTIO_PCI_COMMON_STATUS, 0, 1);
}

/* Opens or closes @port, and returns when the device has taken that. */
static void driver_opens(struct fixture *f, u32 port, bool open)
{
	const struct virtio_console_control message = { port, VIRTIO_CONSOLE_PORT_OPEN, open };
	u8 *page = machine_gpa(f->m, RINGS, 0x3000);
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
	mmio_write(f, f->bar + NOTIFY + CTRL_TX * 4, CTRL_TX, 2);
	for (int i = 0; i < 5000 && __atomic_load_n(&used[1], __ATOMIC_ACQUIRE) != f->sent; i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(&used[1], __ATOMIC_ACQUIRE), f->sent);
}

/* --- events ---------------------------------------------------------------------------------- */

static void expect_turn(struct fixture *f, const char *id, bool open)
{
	json_t *o = NULL, *data;

	assert_int_equal(client_event(f->c, 5000, &o), 0);
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

	assert_int_equal(client_event(f->c, ms, &o), -ETIMEDOUT);
}

static json_t *ask(struct fixture *f, const char *command, json_t *args)
{
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->c, command, args, &out, &e))
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
	driver_reset(&f);
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
