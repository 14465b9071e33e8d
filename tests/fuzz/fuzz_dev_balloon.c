// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes a memory balloon with the memory of its driver as the input; see fuzz_dev_driver.h. The
 * host wants statistics and another size meanwhile. Only whole pages of RAM may be given back.
 */
#include <stdlib.h>

#include "devices/virtio_balloon.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_balloon_params params = { true, true, NULL, NULL };
	static struct fake_host f;
	struct balloon_state s;
	struct virtio_balloon *b;
	struct virtio *v;

	fake_host_init(&f);
	if (virtio_balloon_create(&b, &params) ||
	    virtio_create(&v, &f.host, virtio_balloon_type(b), b))
		abort();
	virtio_balloon_attach(b, v);
	virtio_balloon_set_target(b, size << 12);
	virtio_balloon_refresh(b);
	fuzz_drive(&f, v, data, size);
	virtio_balloon_look(b, &s);
	if (f.bad_discards || s.actual != s.total)
		abort();
	virtio_destroy(v);
	virtio_balloon_destroy(b);
	return 0;
}
