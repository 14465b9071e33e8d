/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a guest that does nothing but exit, with its devices and its control socket, and a client
 * of that, for tests of the monitor. The guest's loop has a thread of its own.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_MONITORED_H
#define UMBRA_TESTS_UNIT_VMM_MONITORED_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/exit_code.h"
#include "tests/unit/base/thread_await.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/probe.h"
#include "vmm/control/client.h"
#include "vmm/monitor/monitor.h"

/* Exits all the time, so that a pause can be seen. */
__asm__(".pushsection .rodata\nspin:\n1: out %al, $0x98\n jmp 1b\nspin_end:\n.popsection\n");
extern const char spin[], spin_end[];

struct monitored {
	struct guest_spec o;
	char name[32];
	struct machine *m;
	struct monitor *mon;
	struct platform *platform;
	struct client *c;
	pthread_t thread;
	int code;
};

static void *monitored_run(void *arg)
{
	struct monitored *g = arg;
	struct err e;

	g->code = machine_run(g->m, &e);
	monitor_ended(g->mon, g->code);
	return NULL;
}

/* Makes the parts of a zeroed @g, whose options are set; it is called NAME and a number. */
static inline void monitored_create(struct monitored *g, const char *name, unsigned cpus)
{
	struct err e = { "" };

	snprintf(g->name, sizeof(g->name), "%s-%d", name, getpid());
	g->o.name = g->name;
	if (probe_machine(&g->m, cpus, spin, (size_t)(spin_end - spin), 0, &e) ||
	    platform_create(&g->platform, g->m, &g->o, &e) ||
	    monitor_create(&g->mon, g->m, &g->o, &e))
		fail_msg("%s", e.text);
	lifecycle_add(machine_lifecycle(g->m), &monitor_part, g->mon);
	lifecycle_add(machine_lifecycle(g->m), &platform_part, g->platform);
}

/* Starts it, when monitor_set_devices() was called, and connects the client. */
static inline void monitored_start(struct monitored *g)
{
	struct err e = { "" };

	assert_int_equal(lifecycle_start(machine_lifecycle(g->m), &e), 0);
	assert_int_equal(pthread_create(&g->thread, NULL, monitored_run, g), 0);
	if (client_open(&g->c, g->name, 5000, &e))
		fail_msg("%s", e.text);
}

/* Ends the guest; its parts and the client are still there. */
static inline void monitored_stop(struct monitored *g)
{
	machine_exit(g->m, EXIT_CODE_POWEROFF, NULL);
	thread_await(g->thread, 20);
}

/* Does so, and frees all but the options. */
static inline void monitored_end(struct monitored *g)
{
	monitored_stop(g);
	client_close(g->c);
	assert_int_equal(lifecycle_end(machine_lifecycle(g->m), NULL), 0);
	machine_destroy(g->m);
}

#endif
