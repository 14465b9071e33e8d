// SPDX-License-Identifier: GPL-2.0-only
/* Fuzzes an entropy device with the memory of its driver as the input; see fuzz_dev_driver.h. */
#include <stdlib.h>

#include "devices/virtio_rng.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	struct virtio_rng *r;
	struct virtio *v;

	fake_host_init(&f);
	if (virtio_rng_create(&r) || virtio_create(&v, &f.host, virtio_rng_type(), r))
		abort();
	virtio_rng_attach(r, v);
	fuzz_drive(&f, v, data, size);
	virtio_destroy(v);
	virtio_rng_destroy(r);
	return 0;
}
