// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes a network device with the memory of its driver as the input; see fuzz_dev_driver.h. Its
 * frames come back.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net_train.h"
#include "devices/virtio_net.h"
#include "tests/fuzz/fuzz_dev_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int backend_offload(int fd, u64 features)
{
	(void)fd;
	(void)features;
	return 0;
}

static int backend_tell(int fd, u64 features)
{
	(void)fd;
	return features & 1ULL << VIRTIO_NET_F_GUEST_TSO6 ? 0 : -EAGAIN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	struct net_backend b = { .fd = -1 };
	struct virtio_net *n;
	struct virtio *v;
	u8 frame[1600] = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair))
		abort();
	b.fd = pair[0];
	b.offload = size > 2 && data[2] & 2 ? backend_offload : NULL;
	b.long_frames = !b.offload;
	b.tell = size > 2 && !b.offload && data[2] & 4 ? backend_tell : NULL;
	fake_host_init(&f);
	if (virtio_net_create(&n, &b) || virtio_create(&v, &f.host, virtio_net_type(n), n))
		abort();
	virtio_net_attach(n, v);
	/* A train from what the driver has for itself. */
	if (b.tell && send(pair[1], data, size < NET_TRAIN_MAX ? size : NET_TRAIN_MAX, 0) < 0)
		abort();
	if (size > 2 && send(pair[1], frame, data[0] * 6U + 1, 0) > 0)
		send(pair[1], frame, data[1] + 1U, 0);
	if (size > 2 && data[2] & 1)
		shutdown(pair[1], SHUT_RDWR);
	fuzz_drive(&f, v, data, size);
	while (recv(pair[1], frame, sizeof(frame), MSG_DONTWAIT) > 0)
		;
	virtio_destroy(v);
	virtio_net_destroy(n);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
