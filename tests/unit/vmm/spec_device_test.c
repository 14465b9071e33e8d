// SPDX-License-Identifier: GPL-2.0-only
/* Tests the names and PCI slots that options give to devices, one by one and against each other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/spec/spec_text.h"

/* Options of a guest: a letter for each kind, then its text. */
static int take_all(struct guest_spec *s, const char *const *options, struct err *e)
{
	int ret = 0;

	e->text[0] = '\0';
	guest_spec_init(s);
	for (; *options && !ret; options++) {
		const char *text = *options + 1;

		switch (**options) {
		case 'd':
			ret = spec_take_disk(s, NULL, text, e);
			break;
		case 'n':
			ret = spec_take_net(s, NULL, text, e);
			break;
		case 'r':
			ret = spec_take_rng(s, NULL, text, e);
			break;
		case 'b':
			ret = spec_take_root_port(s, NULL, text, e);
			break;
		case 'm':
			ret = spec_take_balloon(s, NULL, text, e);
			break;
		case 'c':
			ret = spec_take_console(s, NULL, text, e);
			break;
		default:
			ret = spec_take_port(s, NULL, text, e);
		}
	}
	return ret ? ret : guest_spec_check_devices(s, e);
}

#define TAKE(...) take_all(&s, (const char *const[]){ __VA_ARGS__, NULL }, &e)

static void all_devices_take_a_name_and_a_slot(void **state)
{
	char name[SPEC_ID_MAX + 1];
	struct guest_spec s;
	struct err e;

	(void)state;
	if (TAKE("da,b.img,id=virtio-disk0,node=libvirt-1-format,slot=3,ro", "dc.img",
		 "dvhost-user=/s,id=v.1,slot=31", "nuser,id=net0,slot=4,mac=52:55:00:00:00:01",
		 "ntap=t0", "ron,id=rng0,slot=5", "cpty,id=charserial0,slot=6",
		 "porg.x=socket=/a,b,device=channel0,id=charchannel0", "pq=file=/l,slot=6",
		 "mon,id=balloon0,deflate-on-oom=off,slot=7"))
		fail_msg("%s", e.text);
	assert_string_equal(s.disks[0].path, "a,b.img");
	assert_true(s.disks[0].readonly);
	assert_string_equal(s.disks[0].dev.id, "virtio-disk0");
	assert_string_equal(s.disks[0].node, "libvirt-1-format");
	assert_int_equal(s.disks[0].dev.slot, 3);
	assert_string_equal(s.disks[2].path, "/s");
	assert_int_equal(s.disks[2].dev.slot, 31);
	assert_string_equal(s.nets[0].dev.id, "net0");
	assert_true(s.nets[0].mac_given);
	assert_string_equal(s.rng.id, "rng0");
	assert_true(s.balloon.no_deflate_on_oom);
	assert_string_equal(s.balloon.dev.id, "balloon0");
	assert_int_equal(s.console.kind, SPEC_PTY);
	assert_string_equal(s.console.dev.id, "charserial0");
	assert_string_equal(s.ports[0].end.path, "/a,b");
	assert_string_equal(s.ports[0].end.dev.id, "charchannel0");
	assert_string_equal(s.ports[0].device, "channel0");
	assert_string_equal(s.ports[1].device, "");
	assert_string_equal(s.ports[1].end.path, "/l");
	assert_int_equal(guest_spec_serial(&s)->slot, 6);
	assert_int_equal(guest_spec_slots(&s),
			 1U << 3 | 1U << 4 | 1U << 5 | 1U << 6 | 1U << 7 | 1U << 31);
	spec_disk_name(&s.disks[0], 0, name);
	assert_string_equal(name, "virtio-disk0");
	spec_disk_name(&s.disks[1], 1, name);
	assert_string_equal(name, "disk1");
	spec_disk_node(&s.disks[1], 1, name);
	assert_string_equal(name, "node1");
	spec_net_name(&s.nets[1], 1, name);
	assert_string_equal(name, "net1");
	guest_spec_free(&s);
}

static void devices_may_be_behind_root_ports(void **state)
{
	struct guest_spec s;
	struct err e;

	(void)state;
	if (TAKE("bid=pci.1,slot=2", "bslot=2.7,id=pci.2,chassis=9,port=23",
		 "bid=pci.3,slot=3.0,port=0", "da.img,bus=pci.2,id=virtio-disk0", "nuser,bus=pci.1",
		 "ron,slot=4", "pa=pty", "pb=pty,bus=pci.3"))
		fail_msg("%s", e.text);
	assert_int_equal(s.n_root_ports, 3);
	assert_int_equal(s.root_ports[0].chassis, 0);
	assert_int_equal(s.root_ports[0].number, -1);
	assert_string_equal(s.root_ports[1].dev.id, "pci.2");
	assert_int_equal(s.root_ports[1].dev.slot, 2);
	assert_int_equal(s.root_ports[1].function, 7);
	assert_int_equal(s.root_ports[1].chassis, 9);
	assert_int_equal(s.root_ports[1].number, 23);
	assert_int_equal(s.root_ports[2].function, 0);
	assert_int_equal(s.root_ports[2].number, 0);
	assert_int_equal(guest_spec_root_port(&s, &s.disks[0].dev), 1);
	assert_int_equal(guest_spec_root_port(&s, &s.nets[0].dev), 0);
	assert_int_equal(guest_spec_root_port(&s, &s.rng), -1);
	assert_int_equal(guest_spec_root_port(&s, guest_spec_serial(&s)), 2);
	/* Slots of bus 0 only. */
	assert_int_equal(guest_spec_slots(&s), 1U << 2 | 1U << 3 | 1U << 4);
	guest_spec_free(&s);
	/* A port may come after who is behind it. */
	assert_int_equal(TAKE("da.img,bus=p", "bid=p,slot=31"), 0);
	guest_spec_free(&s);
}

static int sum_descriptor(void *arg, int fd, const char *what, struct err *e)
{
	(void)e;
	assert_non_null(strstr(what, "--"));
	*(int *)arg += fd;
	return 0;
}

static void descriptors_of_the_starter_are_listed(void **state)
{
	struct guest_spec s;
	struct err e;
	int sum = 0;

	(void)state;
	assert_int_equal(TAKE("csocket-fd=10,id=c", "pa=socket-fd=200,slot=4", "pb=pty",
			      "ntap-fd=1000,mac=52:55:00:00:00:01", "nuser", "dx.img"),
			 0);
	assert_int_equal(s.console.kind, SPEC_SOCKET_FD);
	assert_string_equal(s.console.dev.id, "c");
	assert_true(s.nets[0].mac_given);
	assert_int_equal(spec_take_control(&s, NULL, "fd=20", &e), 0);
	assert_int_equal(guest_spec_descriptors(&s, sum_descriptor, &sum, &e), 0);
	assert_int_equal(sum, 1230);
	assert_int_equal(spec_take_control(&s, NULL, "fd=10", &e), 0);
	assert_int_equal(guest_spec_check_devices(&s, &e), -EINVAL);
	guest_spec_free(&s);
	sum = 0;
	assert_int_equal(TAKE("cfile-fd=10,log-fd=20,id=c", "pa=pty,log=/a,device=d",
			      "pb=socket=/x,log-fd=300"),
			 0);
	assert_int_equal(s.console.kind, SPEC_FILE_FD);
	assert_string_equal(s.console.dev.id, "c");
	assert_string_equal(s.ports[0].end.log, "/a");
	assert_string_equal(s.ports[0].device, "d");
	assert_int_equal(guest_spec_descriptors(&s, sum_descriptor, &sum, &e), 0);
	assert_int_equal(sum, 330);
	assert_int_equal(guest_spec_check_devices(&s, &e), 0);
	guest_spec_free(&s);
	assert_int_equal(TAKE("cfile-fd=10,log-fd=10"), -EINVAL);
	guest_spec_free(&s);
	assert_int_equal(TAKE("cattach,log=/a"), -EINVAL);
	guest_spec_free(&s);
	assert_int_equal(TAKE("cpty,log=/a,log-fd=9"), -EINVAL);
	guest_spec_free(&s);
}

static void the_last_rng_and_console_count(void **state)
{
	struct guest_spec s;
	struct err e;

	(void)state;
	assert_int_equal(TAKE("roff", "ron", "ron,slot=2", "cpty,id=a", "cstdio"), 0);
	assert_false(s.no_rng);
	assert_int_equal(s.rng.slot, 2);
	assert_string_equal(s.console.dev.id, "");
	guest_spec_free(&s);
	assert_int_equal(TAKE("ron,slot=2", "roff", "dx.img,slot=2"), 0);
	assert_true(s.no_rng);
	guest_spec_free(&s);
	/* A comma with anything else behind it is the path's. */
	assert_int_equal(TAKE("cfile=/a,id=b,c"), 0);
	assert_string_equal(s.console.path, "/a,id=b,c");
	guest_spec_free(&s);
	/* The network of number 0 is called so anyway; ports have names beside the devices'. */
	assert_int_equal(TAKE("nuser,id=net0", "dx.img", "pdisk0=pty"), 0);
	guest_spec_free(&s);
}

static void mistakes_are_told(void **state)
{
	static const struct {
		const char *options[4], *line;
	} bad[] = {
		{ { "da.img,id=" }, "--disk a.img,id=: id wants a letter and up to 62 more" },
		{ { "da.img,id=1a" }, "id wants a letter" },
		{ { "da.img,node=a b" }, "node wants a letter" },
		{ { "nuser,id=a/b" }, "--net user,id=a/b: id wants" },
		{ { "ron,id=a234567890123456789012345678901234567890123456789012345678901234" },
		  "id wants a letter and up to 62" },
		{ { "da.img,slot=0" }, "slot wants a number from 1 to 31; 0 is the host bridge's" },
		{ { "nuser,slot=32" }, "slot wants a number" },
		{ { "cpty,slot=0x3" }, "--console pty,slot=0x3: slot wants a number" },
		{ { "pa=pty,slot=" }, "--port a=pty,slot=: slot wants a number" },
		{ { "da.img,solt=3" }, "did you mean \"slot\"" },
		{ { "cpty,slto=3" }, "did you mean \"slot\"" },
		{ { "cpty,x" }, "want id=ID or slot=N" },
		{ { "cpty,device=x" }, "--console pty,device=x: unknown option \"device\"" },
		{ { "pa=pty,x" }, "want id=ID, device=ID, slot=N" },
		{ { "pa=pty,device=" }, "--port a=pty,device=: device wants a letter" },
		{ { "pa=pty,device=x", "pb=pty,device=x" }, "--port b: the name x is already" },
		{ { "da.img,id=x", "pb=pty,device=x" },
		  "--port b: the name x is already that of --disk a.img" },
		{ { "ron,slo=3" }, "did you mean \"slot\"" },
		{ { "cpty", "pa=socket-fd=" },
		  "--port a=socket-fd=: socket-fd wants a descriptor" },
		{ { "ntap-fd=2" }, "--net tap-fd=2: tap-fd wants a descriptor from 3 to 1023" },
		{ { "ntap-fd=3,hostfwd=tcp:80-:80" }, "unknown option \"hostfwd\"" },
		{ { "csocket-fd=7", "ntap-fd=7" },
		  "--console: descriptor 7 is already that of --net tap-fd=7" },
		{ { "pa=socket-fd=7,id=x", "pb=socket-fd=7" }, "--port b: descriptor 7" },
		{ { "da.img,bus=p" }, "--disk a.img: there is no --root-port id=p" },
		{ { "da.img,bus=" }, "bus wants a letter" },
		{ { "bid=p,slot=2", "da.img,bus=p,slot=3" },
		  "--disk a.img: slot is a place on bus 0; behind a root port there is one" },
		{ { "bid=p,slot=2", "da.img,bus=p", "nuser,bus=p" },
		  "--net user,bus=p: the root port p is already that of --disk a.img" },
		{ { "bid=p,slot=2", "da.img,bus=p", "cpty,bus=p" }, "--console: the root port p" },
		{ { "bid=p,slot=2", "pa=pty,bus=p", "cpty,slot=4" }, "another place already" },
		{ { "bid=p,slot=2", "bid=q,slot=2" },
		  "--root-port id=q,slot=2: slot 2.0 is already that of --root-port id=p,slot=2" },
		{ { "bid=p,slot=2", "bid=q,slot=2.1", "da.img,slot=2" },
		  "--disk a.img: slot 2 is" },
		{ { "bid=p,slot=2.1" },
		  "--root-port id=p,slot=2.1: a device has a function 0; add a --root-port with "
		  "slot=2" },
		{ { "bid=p,slot=2", "bid=p,slot=3" }, "the name p is already" },
		{ { "bid=p,slot=2", "da.img,id=p" }, "the name p is already" },
		{ { "bid=p" }, "want id=ID,slot=S[.F]" },
		{ { "bslot=2" }, "want id=ID,slot=S[.F]" },
		{ { "bid=p,slot=0" }, "slot wants a number from 1 to 31, and" },
		{ { "bid=p,slot=2.8" }, "slot wants a number from 1 to 31, and" },
		{ { "bid=p,slot=2." }, "slot wants a number from 1 to 31, and" },
		{ { "bid=p,slot=2,chassis=0" }, "chassis wants a number from 1 to 255" },
		{ { "bid=p,slot=2,port=256" }, "port wants a number up to 255" },
		{ { "bid=p,slto=2" }, "did you mean \"slot\"" },
		{ { "rno" }, "want on[,id=ID][,slot=N][,bus=PORT] or off" },
		{ { "roff,slot=3" }, "want on" },
		{ { "dvhost-user=s,node=x" }, "back end's to decide" },
		{ { "da.img,slot=5", "nuser,slot=5" },
		  "--net user,slot=5: slot 5 is already that of --disk a.img" },
		{ { "cpty,slot=5", "da.img,slot=5" },
		  "--console: slot 5 is already that of --disk a.img" },
		{ { "pa=pty,slot=5", "pb=pty,slot=6" }, "which is in slot 5 already" },
		{ { "da.img,id=x", "db.img,id=x" },
		  "--disk b.img: the name x is already that of --disk a.img" },
		{ { "da.img,node=x", "db.img,node=x" }, "--disk b.img: the name x" },
		{ { "da.img,id=x", "pa=pty,id=x" }, "--port a: the name x" },
		{ { "pa=pty", "pb=pty,id=a" }, "--port b: the name a is already that of --port a" },
		/* The name that another one has without an option. */
		{ { "da.img,id=disk1", "db.img" }, "--disk b.img: the name disk1" },
	};
	struct guest_spec s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(take_all(&s, bad[i].options, &e), -EINVAL);
		if (!strstr(e.text, bad[i].line))
			fail_msg("\"%s\" does not say \"%s\"", e.text, bad[i].line);
		guest_spec_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_devices_take_a_name_and_a_slot),
		cmocka_unit_test(descriptors_of_the_starter_are_listed),
		cmocka_unit_test(devices_may_be_behind_root_ports),
		cmocka_unit_test(the_last_rng_and_console_count),
		cmocka_unit_test(mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
