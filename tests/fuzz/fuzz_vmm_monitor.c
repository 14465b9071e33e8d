// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends any bytes to the monitor of a guest that runs, in two pieces, and closes that half of the
 * connection: what is answered has QMP's form until the end of the other half comes, and another
 * client is answered then. The guest is there from one input to the next, paused or resumed by
 * them; one that an input has ended is made anew. The first byte is where the pieces meet (times 8)
 * with, as its lowest bit, whether capabilities are negotiated before.
 *
 * Without a /dev/kvm there is nothing to be asked.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "tests/unit/vmm/qmp_form.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/probe.h"
#include "vmm/control/client.h"
#include "vmm/monitor/monitor.h"

#define PATIENCE_MS 5000
#define INPUT_MAX   20000
#define ANSWERS_MAX (4 << 20)
#define HELLO	    "{\"execute\":\"qmp_capabilities\"}"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void guest_leave(void);

static struct guest {
	struct guest_spec spec;
	char name[32], disk[40];
	struct machine *m;
	struct monitor *mon;
	struct platform *platform;
	struct client *c; /* who asks properly */
	pthread_t thread;
	bool runs;
	bool ended; /* nobody serves clients; atomic */
} guest;

static void fail_with(const char *what, const char *text, size_t len)
{
	fprintf(stderr, "%s: %.*s\n", what, (int)(len < 2000 ? len : 2000), text);
	abort();
}

/* --- the guest ----------------------------------------------------------------------------- */

static void *guest_run(void *arg)
{
	struct guest *g = arg;
	struct err e;

	monitor_ended(g->mon, machine_run(g->m, &e));
	__atomic_store_n(&g->ended, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool has_ended(const struct guest *g)
{
	return __atomic_load_n(&g->ended, __ATOMIC_SEQ_CST);
}

/* Makes the guest; false: this host has no KVM. */
static bool guest_begin(struct guest *g)
{
	/* 1: out %al, $0x98; jmp 1b */
	static const u8 code[] = { 0xe6, 0x98, 0xeb, 0xfc };
	static bool leaves;
	struct err e = { "" };

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	if (!leaves)
		atexit(guest_leave);
	leaves = true;
	snprintf(g->name, sizeof(g->name), "fuzz-%d", getpid());
	guest_spec_init(&g->spec);
	g->spec.name = g->name;
	g->spec.memory = PROBE_MEMORY;
	g->spec.no_rng = true;
	g->spec.balloon.on = true;
	snprintf(g->disk, sizeof(g->disk), "/tmp/umbra-fuzz-%d.disk", getpid());
	fclose(fopen(g->disk, "w"));
	if (truncate(g->disk, 1 << 20))
		abort();
	g->spec.disks[0].path = g->disk;
	g->spec.n_disks = 1;
	if (probe_machine(&g->m, 1, code, sizeof(code), 0, &e) ||
	    platform_create(&g->platform, g->m, &g->spec, &e) ||
	    monitor_create(&g->mon, g->m, &g->spec, &e))
		fail_with("no guest", e.text, sizeof(e.text));
	lifecycle_add(machine_lifecycle(g->m), &monitor_part, g->mon);
	lifecycle_add(machine_lifecycle(g->m), &platform_part, g->platform);
	machine_set_confine(g->m, NULL);
	monitor_set_devices(g->mon, g->platform, NULL);
	g->ended = false;
	if (lifecycle_start(machine_lifecycle(g->m), &e) ||
	    pthread_create(&g->thread, NULL, guest_run, g) ||
	    client_open(&g->c, g->name, PATIENCE_MS, &e))
		fail_with("no guest", e.text, sizeof(e.text));
	g->runs = true;
	return true;
}

static void guest_end(struct guest *g)
{
	machine_exit(g->m, EXIT_CODE_POWEROFF, NULL);
	pthread_join(g->thread, NULL);
	client_close(g->c);
	lifecycle_end(machine_lifecycle(g->m), NULL);
	machine_destroy(g->m);
	unlink(g->disk);
	g->runs = false;
}

static void guest_leave(void)
{
	if (guest.runs)
		guest_end(&guest);
}

/* --- a client ------------------------------------------------------------------------------ */

static int dial(const struct guest *g)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_usec = 5000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", monitor_socket(g->mon));
	if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		abort();
	return fd;
}

/* Receives for as long as a client is served; 0: no more. */
static ssize_t hear_some(const struct guest *g, int fd, char *to, size_t size)
{
	s64 until = now_ms() + PATIENCE_MS;
	ssize_t n;

	do {
		n = recv(fd, to, size, 0);
		if (n >= 0 || errno != EAGAIN)
			return n > 0 ? n : 0;
	} while (now_ms() < until && !has_ended(g));
	if (!has_ended(g))
		fail_with("no answer, nor the end of the connection", "", 0);
	return 0;
}

/* Checks what a client is told until the end of its connection, or that of the guest. */
static void hear_all(const struct guest *g, int fd)
{
	static char in[ANSWERS_MAX];
	char *line = in, *end;
	size_t len = 0;
	ssize_t n;

	while ((n = hear_some(g, fd, in + len, sizeof(in) - len)) > 0) {
		len += (size_t)n;
		while ((end = memmem(line, len - (size_t)(line - in), "\r\n", 2))) {
			if (!qmp_form_holds(line, (size_t)(end - line)))
				fail_with("no QMP", line, (size_t)(end - line));
			line = end + 2;
		}
	}
}

/* Asks as others do; false: the guest has ended. */
static bool ask_properly(struct guest *g)
{
	struct err e = { "" };
	s64 begin = now_ms();
	json_t *o = NULL;
	int ret = has_ended(g) ? -ENOTCONN : client_call(g->c, "query-status", NULL, &o, &e);
	const char *status = json_string_value(json_object_get(o, "status"));
	bool paused = status && !strcmp(status, "paused");
	bool runs = status && !strcmp(status, "running");

	json_decref(o);
	if (has_ended(g))
		return false;
	if (ret == -ETIMEDOUT || now_ms() - begin >= PATIENCE_MS)
		fail_with("no answer", e.text, sizeof(e.text));
	if (paused && client_call(g->c, "cont", NULL, NULL, &e) && !strstr(e.text, "dump"))
		return false;
	return !ret && (paused || runs);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	size_t first;
	int fd;

	if (!size || size > INPUT_MAX)
		return 0;
	if (!guest.runs && !guest_begin(&guest))
		return 0;
	fd = dial(&guest);
	first = data[0] / 2 * 8;
	if (first > size - 1)
		first = size - 1;
	/* The guest, and with it the socket, may be gone in the middle: hear_all() sees it. */
	if (data[0] & 1)
		(void)!send(fd, HELLO, sizeof(HELLO) - 1, MSG_NOSIGNAL);
	(void)!send(fd, data + 1, first, MSG_NOSIGNAL);
	(void)!send(fd, data + 1 + first, size - 1 - first, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	hear_all(&guest, fd);
	close(fd);
	if (!ask_properly(&guest))
		guest_end(&guest);
	return 0;
}
