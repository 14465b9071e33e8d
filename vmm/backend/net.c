// SPDX-License-Identifier: GPL-2.0-only
/* Opens a tap, or starts the helper process of a user-mode network. */
#include "vmm/backend/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/install_path.h"
#include "devices/net_train.h"
#include "vmm/confine/helper.h"

#define PATIENCE_MS 10000 /* for the helper to be ready */

static int tap_offload(int fd, u64 features)
{
	unsigned long flags = 0;

	/* The other offloads depend on GUEST_CSUM (virtio 1.2, 5.1.3.1). */
	if (features >> VIRTIO_NET_F_GUEST_CSUM & 1) {
		flags = TUN_F_CSUM;
		flags |= features >> VIRTIO_NET_F_GUEST_TSO4 & 1 ? TUN_F_TSO4 : 0;
		flags |= features >> VIRTIO_NET_F_GUEST_TSO6 & 1 ? TUN_F_TSO6 : 0;
	}
	return ioctl(fd, TUNSETOFFLOAD, flags) ? -errno : 0;
}

static int net_open_tap(struct net_backend *out, const struct spec_net *n, struct err *e)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd, ret, header = sizeof(struct virtio_net_hdr_v1);

	/* TUNSETIFF would create a missing tap, connected to nothing. */
	if (strlen(n->tap) >= IFNAMSIZ || !if_nametoindex(n->tap))
		return err_set(e, -ENODEV,
			       "--net %s: there is no interface %s; make it with: ip tuntap add %s "
			       "mode tap user USER",
			       n->text, n->tap, n->tap);
	memcpy(r.ifr_name, n->tap, strlen(n->tap));
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, -errno, "--net %s: /dev/net/tun: cannot open: %s", n->text,
			       strerror(errno));
	/* A tap keeps its last user's offloads; none until the driver has negotiated some. */
	if (ioctl(fd, TUNSETIFF, &r) || ioctl(fd, TUNSETVNETHDRSZ, &header) || tap_offload(fd, 0)) {
		ret = err_set(e, -errno, "--net %s: cannot use %s: %s%s", n->text, n->tap,
			      strerror(errno),
			      errno == EBUSY   ? "; another program has it"
			      : errno == EPERM ? "; make it with \"user\" and your name"
					       : "");
		close(fd);
		return ret;
	}
	out->fd = fd;
	out->offload = tap_offload;
	return 0;
}

/* Takes a tap that the starter has opened, as libvirt does for QEMU: tap-fd=N. */
static int net_take_tap(struct net_backend *out, const struct spec_net *n, struct err *e)
{
	int fd = n->tap_fd, flags = fcntl(fd, F_GETFL), header = sizeof(struct virtio_net_hdr_v1);
	struct ifreq r = { .ifr_flags = 0 };
	const char *fault = NULL;

	if (flags < 0 || ioctl(fd, TUNGETIFF, &r))
		fault = "it is no tap, or one without an interface (TUNSETIFF)";
	else if (!(r.ifr_flags & IFF_TAP))
		fault = "it is a tun, which has packets and no frames; want IFF_TAP";
	else if (!(r.ifr_flags & IFF_NO_PI) || !(r.ifr_flags & IFF_VNET_HDR))
		fault = "its frames need the header of virtio alone: want IFF_NO_PI | IFF_VNET_HDR";
	else if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
		 ioctl(fd, TUNSETVNETHDRSZ, &header) || tap_offload(fd, 0))
		fault = strerror(errno);
	if (fault)
		return err_set(e, -EINVAL, "--net %s: descriptor %d: %s", n->text, fd, fault);
	out->fd = fd;
	out->offload = tap_offload;
	return 0;
}

/* Tells the network's process, see devices/net_train.h. */
static int user_tell(int fd, u64 features)
{
	const u64 accepted = features & NET_TRAIN_FEATURES;

	return write(fd, &accepted, sizeof(accepted)) < 0 ? -errno : 0;
}

static int spawn_helper(int theirs, const struct spec_net *n, enum confine_mode confine,
			const char *user)
{
	char path[PARTS_PATH_MAX], group[16];
	const char *const argv[] = {
		NET_HELPER, n->text, confine_mode_name(confine), group, user, NULL,
	};
	int ret = -ENOENT;

	/*
	 * The group comes from the auxiliary vector: in the VMM's user namespace it has no number.
	 */
	snprintf(group, sizeof(group), "%u", (unsigned)getauxval(AT_EGID));
	for (unsigned i = 0; i < PARTS_PLACES && ret == -ENOENT; i++) {
		ret = install_path(i, NET_HELPER, path);
		if (!ret)
			ret = helper_spawn(path, argv, theirs, confine);
	}
	return ret;
}

/* Waits for the keeper's first packet, which has the socket for frames, or says what is wrong. */
static int await_keeper(int keeper, int *frames, const struct spec_net *n, struct err *e)
{
	struct pollfd p = { .fd = keeper, .events = POLLIN };
	enum keeper_news news = KEEPER_NOTHING;

	if (poll(&p, 1, PATIENCE_MS) > 0)
		news = keeper_read(keeper, frames, e);
	if (news == KEEPER_NOTHING || news == KEEPER_GONE)
		return err_set(e, -EIO, "--net %s: the helper process does not answer%s", n->text,
			       news == KEEPER_GONE ? "; it needs the package libslirp0" : "");
	return news == KEEPER_UP ? 0 : -EIO;
}

static int net_open_user(int *frames, int *keeper, const struct spec_net *n,
			 enum confine_mode confine, const char *user, struct err *e)
{
	int pair[2], ret = helper_pair(pair);

	if (ret)
		return err_set(e, ret, "--net %s: %s", n->text, strerror(-ret));
	ret = spawn_helper(pair[1], n, confine, user);
	close(pair[1]);
	ret = ret ? err_set(e, ret,
			    "--net %s: cannot start the helper process (../lib/umbra/" NET_HELPER
			    " from where vmm lies): %s; install all of Umbra's files",
			    n->text, strerror(-ret))
		  : await_keeper(pair[0], frames, n, e);
	if (ret)
		close(pair[0]);
	else
		*keeper = pair[0];
	return ret;
}

int net_open(struct net_backend *out, int *keeper, const struct spec_net *n,
	     enum confine_mode confine, const char *user, struct err *e)
{
	static const u8 prefix[3] = { 0x52, 0x55, 0x00 };
	int ret;

	out->offload = NULL;
	out->tell = NULL;
	/* libslirp takes TCP data of any length, and drops what has no checksum. */
	out->long_frames = !n->tap_fd && !n->tap;
	*keeper = -1;
	if (n->tap_fd)
		ret = net_take_tap(out, n, e);
	else if (n->tap)
		ret = net_open_tap(out, n, e);
	else
		ret = net_open_user(&out->fd, keeper, n, confine, user, e);
	if (ret)
		return ret;
	if (out->long_frames)
		out->tell = user_tell;
	memcpy(out->mac, n->mac, sizeof(out->mac));
	if (n->mac_given)
		return 0;
	/* The address is random, for two guests on one bridge must differ. */
	memcpy(out->mac, prefix, sizeof(prefix));
	if (getrandom(out->mac + 3, 3, 0) != 3) {
		net_close(out, *keeper);
		return err_set(e, -EIO, "--net %s: no random numbers for an address", n->text);
	}
	return 0;
}

void net_close(struct net_backend *b, int keeper)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
	if (keeper >= 0)
		close(keeper);
}

enum keeper_news net_news(int keeper, struct net_backend *b, struct err *why)
{
	int frames;
	enum keeper_news news = keeper_read(keeper, &frames, why);

	if (news != KEEPER_UP)
		return news;
	/* dup2() does not copy FD_CLOEXEC. */
	if (dup2(frames, b->fd) < 0 || fcntl(b->fd, F_SETFD, FD_CLOEXEC)) {
		err_set(why, -errno, "a socket to the network's process: %s", strerror(errno));
		close(frames);
		return KEEPER_DOWN;
	}
	close(frames);
	return KEEPER_UP;
}
