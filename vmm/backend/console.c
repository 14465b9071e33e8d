// SPDX-License-Identifier: GPL-2.0-only
/* Connects serial port and virtio console with their endpoints and with the viewers. */
#include "vmm/backend/console.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "devices/serial.h"
#include "devices/virtio_console.h"
#include "devices/virtio_pci.h"
#include "vmm/backend/endpoint.h"
#include "vmm/backend/viewers.h"
#include "vmm/machine/layout.h"

#define LINGER_MS 700 /* at the end, for readers of all ports to take what is left */

struct port {
	struct console *c;
	unsigned index; /* of the virtio console */
	struct endpoint *end;
	char name[80];
	bool turned;	 /* atomic: opened or closed since the hook was called for it */
	bool held_noted; /* there was a note that the end waits for its file */
};

struct console {
	struct console_config config;
	struct machine *m;
	s64 until; /* the time at which the readers of all ports have had theirs; 0: no end yet */
	struct serial *serial;
	struct virtio_console *device; /* or NULL */
	struct virtio_pci *pci;
	pthread_mutex_t tap_lock;
	console_opened_fn *hook; /* or NULL */
	void *hook_arg;
	struct loop_call turned;
	struct viewers *viewers;
	const struct guest_spec *spec;
	size_t n_ports;
	struct port ports[1 + SPEC_MAX_PORTS]; /* 0: the console */
};

static void console_tap_bytes(struct console *c, const u8 *buf, size_t len)
{
	if (!c->config.tap)
		return;
	pthread_mutex_lock(&c->tap_lock);
	for (size_t i = 0; i < len; i++)
		c->config.tap(c->config.tap_arg, buf[i]);
	pthread_mutex_unlock(&c->tap_lock);
}

static void on_serial_output(void *arg, u8 byte)
{
	struct console *c = arg;

	endpoint_write(c->ports[0].end, &byte, 1, false);
	viewers_write(c->viewers, &byte, 1);
	console_tap_bytes(c, &byte, 1);
}

static void on_serial_room(void *arg)
{
	struct console *c = arg;

	endpoint_room(c->ports[0].end);
	viewers_room(c->viewers);
}

static size_t on_virtio_output(void *arg, unsigned port, const u8 *buf, size_t len)
{
	struct console *c = arg;
	size_t taken = endpoint_write(c->ports[port].end, buf, len, true);

	if (!port) {
		viewers_write(c->viewers, buf, taken);
		console_tap_bytes(c, buf, taken);
	}
	return taken;
}

static void on_virtio_room(void *arg, unsigned port)
{
	struct console *c = arg;

	endpoint_room(c->ports[port].end);
	if (!port)
		viewers_room(c->viewers);
}

/* Leaves it to the main thread to tell. The console itself is the serial port, too: always open. */
static void on_virtio_opened(void *arg, unsigned port, bool open)
{
	struct console *c = arg;

	(void)open;
	if (!port)
		return;
	__atomic_store_n(&c->ports[port].turned, true, __ATOMIC_RELEASE);
	loop_call(machine_loop(c->m), &c->turned);
}

static void tell_turned_ports(void *arg)
{
	struct console *c = arg;

	for (unsigned i = 1; i <= c->n_ports; i++)
		if (__atomic_exchange_n(&c->ports[i].turned, false, __ATOMIC_ACQ_REL) && c->hook)
			c->hook(c->hook_arg, i);
}

void console_set_hook(struct console *c, console_opened_fn *fn, void *arg)
{
	c->hook = fn;
	c->hook_arg = arg;
}

static size_t on_port_input(void *arg, const u8 *buf, size_t len)
{
	struct port *p = arg;
	struct console *c = p->c;

	if (p->index ||
	    (c->device && c->config.virtio_input && virtio_console_is_open(c->device, 0)))
		return virtio_console_input(c->device, p->index, buf, len);
	return serial_input(c->serial, buf, len);
}

static void on_endpoint_room(void *arg)
{
	struct port *p = arg;

	if (p->c->device)
		virtio_console_room(p->c->device, p->index);
}

static void on_endpoint_help(void *arg, const char *text)
{
	const struct port *p = arg;
	const struct console_config *c = &p->c->config;

	if (c->help)
		c->help(c->help_arg, text);
}

static int console_open_port(struct console *c, struct machine *m, unsigned index,
			     const struct spec_endpoint *what, struct err *e)
{
	struct port *p = &c->ports[index];
	struct endpoint_config ec = {
		.m = m,
		.what = what,
		.name = p->name,
		.text = !index,
		.closer = c->config.closer,
		.input = on_port_input,
		.room = on_endpoint_room,
		.help = on_endpoint_help,
		.arg = p,
	};

	p->c = c;
	p->index = index;
	return endpoint_create(&p->end, &ec, e);
}

static int console_add_device(struct console *c, struct machine *m, const struct guest_spec *spec,
			      struct err *e)
{
	struct virtio_console_params p = {
		.ports = (unsigned)spec->n_ports + 1,
		.output = on_virtio_output,
		.room = on_virtio_room,
		.opened = on_virtio_opened,
		.arg = c,
	};
	struct virtio *v = NULL;
	int ret;

	for (size_t i = 0; i < spec->n_ports; i++)
		p.names[i + 1] = spec->ports[i].name;
	ret = virtio_console_create(&c->device, &p);
	if (!ret)
		ret = virtio_create(&v, machine_host(m), virtio_console_type(c->device), c->device);
	if (!ret) {
		virtio_console_attach(c->device, v);
		ret = virtio_pci_create_at(&c->pci, machine_host(m), c->config.bus,
					   guest_spec_serial(spec)->slot, v);
		if (ret)
			virtio_destroy(v);
	}
	return ret ? err_set(e, ret, "cannot add the virtio console: %s", strerror(-ret)) : 0;
}

int console_create(struct console **out, struct machine *m, const struct guest_spec *spec,
		   const struct console_config *config, struct err *e)
{
	struct console *c = calloc(1, sizeof(*c));
	struct serial_config sc = {
		.port = LAYOUT_PORT_COM1,
		.gsi = LAYOUT_GSI_COM1,
		.output = on_serial_output,
		.room = on_serial_room,
		.polled_input = config->polled_input,
		.arg = c,
	};
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->tap_lock, NULL);
	c->config = *config;
	c->m = m;
	c->spec = spec;
	c->n_ports = spec->n_ports;
	c->turned = (struct loop_call){ .fn = tell_turned_ports, .arg = c };
	c->ports[0].c = c;
	if (viewers_create(&c->viewers, machine_loop(m), spec->console.kind == SPEC_ATTACH,
			   config->closer, on_port_input, &c->ports[0])) {
		console_destroy(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	snprintf(c->ports[0].name, sizeof(c->ports[0].name), "console");
	ret = serial_create(&c->serial, machine_host(m), &sc);
	if (ret)
		err_set(e, ret, "cannot set up the serial port: %s", strerror(-ret));
	if (!ret && spec->virtio_console)
		ret = console_add_device(c, m, spec, e);
	for (unsigned i = 0; i < spec->n_ports && !ret; i++) {
		snprintf(c->ports[i + 1].name, sizeof(c->ports[0].name), "port %s",
			 spec->ports[i].name);
		ret = console_open_port(c, m, i + 1, &spec->ports[i].end, e);
	}
	if (!ret)
		ret = console_open_port(c, m, 0, &spec->console, e);
	if (ret) {
		console_destroy(c);
		return ret;
	}
	*out = c;
	return 0;
}

size_t console_disown_sockets(struct console *c, struct confine_file files[1 + SPEC_MAX_PORTS])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++)
		n += endpoint_disown(c->ports[i].end, &files[n]);
	return n;
}

/* Notes, once, that the end waits for the file of @p. */
static void note_held_file(struct port *p)
{
	const char *file = NULL;
	s64 ms = endpoint_held_ms(p->end, &file);

	machine_note_held(p->c->m, &p->held_noted, ms, p->name, file);
}

static bool files_are_busy(void *arg)
{
	struct console *c = arg;
	bool busy = false;

	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++) {
		struct port *p = &c->ports[i];

		if (!endpoint_end(p->end))
			continue;
		busy = true;
		note_held_file(p);
	}
	return busy;
}

/* Has nothing write or ask for input any more. That the ports are closed by it is no news. */
static void console_quiet(struct console *c)
{
	if (!c->until)
		c->until = now_ms() + LINGER_MS;
	virtio_pci_destroy(c->pci);
	c->pci = NULL;
	loop_call_cancel(machine_loop(c->m), &c->turned);
}

void console_await_files(struct console *c)
{
	console_quiet(c);
	machine_wait(c->m, files_are_busy, c);
	/* A wait for the host's kernel is no time that readers of other ports have had. */
	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++)
		if (c->ports[i].held_noted)
			c->until = now_ms() + LINGER_MS;
}

void console_destroy(struct console *c)
{
	if (!c)
		return;
	console_quiet(c);
	for (size_t i = 0; i < ARRAY_SIZE(c->ports); i++)
		endpoint_destroy(c->ports[i].end, c->until);
	viewers_destroy(c->viewers, c->until);
	virtio_console_destroy(c->device);
	serial_destroy(c->serial);
	pthread_mutex_destroy(&c->tap_lock);
	free(c);
}

static int reset_console(void *part, struct err *e)
{
	struct console *c = part;

	(void)e;
	serial_reset(c->serial);
	return 0;
}

/*
 * Lets input in, and sets the terminal raw. This part starts last, when nothing can fail any more.
 */
static int start_console(void *part, bool again, struct err *e)
{
	struct console *c = part;

	(void)e;
	for (size_t i = 0; i < ARRAY_SIZE(c->ports) && !again; i++)
		endpoint_start(c->ports[i].end);
	return 0;
}

static int end_console(void *part, struct err *e)
{
	(void)e;
	console_destroy(part);
	return 0;
}

const struct lifecycle_ops console_part = {
	.name = "console",
	.start = start_console,
	.reset = reset_console,
	.end = end_console,
};

int console_attach(struct console *c, int fd, struct err *e)
{
	return viewers_add(c->viewers, fd, e);
}

unsigned console_viewers(struct console *c)
{
	return viewers_count(c->viewers);
}

bool console_port(const struct console *c, unsigned i, struct console_port *out)
{
	const struct spec_endpoint *end;

	if (i > c->n_ports)
		return false;
	end = i ? &c->spec->ports[i - 1].end : &c->spec->console;
	out->name = i ? c->spec->ports[i - 1].name : "console";
	out->label = *end->dev.id ? end->dev.id : out->name;
	out->device =
		i && *c->spec->ports[i - 1].device ? c->spec->ports[i - 1].device : out->label;
	endpoint_describe(c->ports[i].end, out->where, sizeof(out->where));
	out->file = NULL;
	out->held_ms = endpoint_held_ms(c->ports[i].end, &out->file);
	/* A serial port does not tell whether the guest has opened it. */
	out->open = !i || virtio_console_is_open(c->device, i);
	return true;
}
