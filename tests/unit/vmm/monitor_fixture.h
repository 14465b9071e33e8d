/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a guest with a monitor, a disk and a balloon (monitored.h), and asks it things. Answers and
 * events must have the shape that QEMU 7.2's have in sessions with libvirt 9.0 (qmp-shapes.json,
 * made from such transcripts: "?" behind a member: not always there; those of NETDEV_STREAM_* and
 * of dumps from its schema).
 */
#ifndef UMBRA_TESTS_UNIT_VMM_MONITOR_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_MONITOR_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/vmm/monitored.h"
#include "tests/unit/vmm/qmp_shapes.h"
#include "vmm/spec/spec_text.h"

struct fixture {
	struct monitored g;
	char disk[32];
	json_t *shapes;
};

/* Starts a guest; @net: the text of its network; @id: the name of its disk; each or NULL. */
static inline void fixture_start_with(struct fixture *f, bool paused, const char *net,
				      const char *id)
{
	char disk[] = "/tmp/umbra-unit-XXXXXX";
	struct err e = { "" };
	int fd = mkstemp(disk);

	memset(f, 0, sizeof(*f));
	assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
	close(fd);
	snprintf(f->disk, sizeof(f->disk), "%s", disk);
	f->g.o.paused = paused;
	f->g.o.cpus = 2;
	f->g.o.no_rng = true;
	f->g.o.balloon.on = true;
	f->g.o.disks[0].path = f->disk;
	f->g.o.n_disks = 1;
	if (id) {
		snprintf(f->g.o.disks[0].dev.id, sizeof(f->g.o.disks[0].dev.id), "%s", id);
		snprintf(f->g.o.disks[0].node, sizeof(f->g.o.disks[0].node), "%s-format", id);
		f->g.o.disks[0].dev.slot = 9;
	}
	if (net) {
		assert_int_equal(spec_parse_net(&f->g.o.nets[0], net, &e), 0);
		f->g.o.n_nets = 1;
		f->g.o.confine = CONFINE_OFF;
	}
	f->shapes = json_load_file("tests/unit/vmm/qmp-shapes.json", 0, NULL);
	assert_non_null(f->shapes);
	monitored_create(&f->g, "unit", 2);
	machine_set_confine(f->g.m, NULL);
	monitor_set_devices(f->g.mon, f->g.platform, NULL);
	if (paused)
		assert_int_equal(machine_pause(f->g.m), 0);
	monitored_start(&f->g);
}

static inline void fixture_start(struct fixture *f, bool paused)
{
	fixture_start_with(f, paused, NULL, NULL);
}

static inline void fixture_end(struct fixture *f)
{
	monitored_end(&f->g);
	json_decref(f->shapes);
	unlink(f->disk);
}

static inline json_t *ask(struct fixture *f, const char *command)
{
	json_t *out = NULL;
	struct err e = { "" };

	if (client_call(f->g.c, command, NULL, &out, &e))
		fail_msg("%s: %s", command, e.text);
	shape_check(command, json_object_get(json_object_get(f->shapes, "replies"), command), out);
	return out;
}

static inline void expect_status(struct fixture *f, const char *status)
{
	json_t *o = ask(f, "query-status");

	assert_string_equal(json_string_value(json_object_get(o, "status")), status);
	assert_int_equal(json_is_true(json_object_get(o, "running")), !strcmp(status, "running"));
	json_decref(o);
}

static inline void expect_event(struct fixture *f, const char *name)
{
	json_t *o = NULL;

	assert_int_equal(client_event(f->g.c, 5000, &o), 0);
	assert_string_equal(json_string_value(json_object_get(o, "event")), name);
	shape_check(name, json_object_get(json_object_get(f->shapes, "events"), name), o);
	json_decref(o);
}

/* Returns true if there is a VM exit within @ms. */
static inline bool runs_within(struct fixture *f, s64 ms)
{
	u64 before = vcpu_exits_total(machine_vcpu(f->g.m, 0));

	for (s64 end = now_ms() + ms; now_ms() < end; usleep(1000))
		if (vcpu_exits_total(machine_vcpu(f->g.m, 0)) != before)
			return true;
	return false;
}

#endif
