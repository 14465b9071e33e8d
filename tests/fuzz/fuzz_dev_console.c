// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes a console with three ports with the memory of its driver as the input; see
 * fuzz_dev_driver.h.
 */
#include <stdlib.h>

#include "devices/virtio_console.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t on_output(void *arg, unsigned port, const u8 *buf, size_t len)
{
	(void)arg;
	for (size_t i = 0; i < len; i++)
		(void)*(const volatile u8 *)(buf + i);
	/* Port 2 takes half of everything. */
	return port == 2 ? len / 2 : len;
}

static void on_room(void *arg, unsigned port)
{
	(void)arg;
	(void)port;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	const struct virtio_console_params p = {
		.ports = 3,
		.names = { NULL, "one", "two" },
		.output = on_output,
		.room = on_room,
	};
	struct virtio_console *c;
	struct virtio *v;

	fake_host_init(&f);
	if (virtio_console_create(&c, &p) || virtio_create(&v, &f.host, virtio_console_type(c), c))
		abort();
	virtio_console_attach(c, v);
	virtio_console_input(c, 0, (const u8 *)"some input", 10);
	virtio_console_input(c, 1, (const u8 *)"some input", 10);
	fuzz_drive(&f, v, data, size);
	virtio_console_room(c, 2);
	virtio_destroy(v);
	virtio_console_destroy(c);
	return 0;
}
