// SPDX-License-Identifier: GPL-2.0-only
#include "devices/virtio_blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR	   512U
#define QUEUE_SIZE 256
#define BATCH	   16 /* requests between two interrupts: latency against system calls */
#define PCI_CLASS  0x010000

struct virtio_blk {
	int fd;
	bool readonly;
	u64 sectors;
	char id[VIRTIO_BLK_ID_BYTES];
	struct virtio_type type;
	struct virtio *v;
	bool flush; /* negotiated */
	pthread_t thread;
	bool stop; /* atomic */
	struct vq_chain chain;
};

/* All of it, or false. A short read is the end of a file that was truncated under us. */
static bool transfer(int fd, bool write, struct iovec *iov, unsigned n, u64 offset)
{
	while (n) {
		ssize_t done = write ? pwritev(fd, iov, (int)n, (off_t)offset)
				     : preadv(fd, iov, (int)n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		offset += (u64)done;
		n = iov_cut(iov, n, (u64)done, UINT64_MAX);
	}
	return true;
}

static u8 read_or_write(struct virtio_blk *b, u64 sector, bool write)
{
	struct vq_chain *c = &b->chain;
	struct iovec *iov = write ? c->iov : c->iov + c->n_out;
	unsigned n = write ? c->n_out : c->n_in;
	u64 skip = write ? sizeof(struct virtio_blk_outhdr) : 0;
	u64 len = write ? c->out_len - skip : c->in_len - 1;

	if (len % SECTOR || sector > b->sectors || len / SECTOR > b->sectors - sector)
		return VIRTIO_BLK_S_IOERR;
	if (write && b->readonly)
		return VIRTIO_BLK_S_IOERR;
	n = iov_cut(iov, n, skip, len);
	if (!transfer(b->fd, write, iov, n, sector * SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (write && !b->flush && fdatasync(b->fd))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static u8 get_id(struct virtio_blk *b)
{
	struct vq_chain *c = &b->chain;

	if (c->in_len - 1 < sizeof(b->id))
		return VIRTIO_BLK_S_IOERR;
	iov_write(c->iov + c->n_out, c->n_in, 0, b->id, sizeof(b->id));
	return VIRTIO_BLK_S_OK;
}

/* False: the chain is not a request at all. */
static bool serve(struct virtio_blk *b)
{
	struct vq_chain *c = &b->chain;
	struct virtio_blk_outhdr hdr;
	struct iovec last = { NULL, 0 };
	u8 status;

	if (!c->in_len || c->out_len < sizeof(hdr))
		return false;
	/* Where the status goes, before the list is cut to the data. */
	last = c->iov[c->n_out + c->n_in - 1];
	iov_read(c->iov, c->n_out, 0, &hdr, sizeof(hdr));
	switch (hdr.type) {
	case VIRTIO_BLK_T_IN:
		status = read_or_write(b, hdr.sector, false);
		break;
	case VIRTIO_BLK_T_OUT:
		status = read_or_write(b, hdr.sector, true);
		break;
	case VIRTIO_BLK_T_FLUSH:
		status = b->readonly || !fdatasync(b->fd) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
		break;
	case VIRTIO_BLK_T_GET_ID:
		status = get_id(b);
		break;
	default:
		status = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	*((u8 *)last.iov_base + last.iov_len - 1) = status;
	return true;
}

/* Serve what is there; false: the driver broke the rules. */
static bool drain(struct virtio_blk *b, struct virtqueue *q)
{
	unsigned since = 0;
	int got;

	do {
		virtqueue_listen(q, false);
		while ((got = virtqueue_pop(q, &b->chain)) == 1) {
			u64 written = b->chain.in_len;

			if (!serve(b))
				return false;
			virtqueue_push(q, b->chain.head,
				       written > UINT32_MAX ? UINT32_MAX : (u32)written);
			if (++since % BATCH == 0)
				virtio_queue_done(b->v, 0);
			if (__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE))
				return true;
		}
		if (got < 0)
			return false;
		virtio_queue_done(b->v, 0);
	} while (virtqueue_listen(q, true));
	return true;
}

static void *thread_main(void *arg)
{
	struct virtio_blk *b = arg;
	struct virtqueue *q = virtio_queue(b->v, 0);
	struct pollfd p = { .fd = virtio_bell(b->v, 0), .events = POLLIN };
	u64 rings;

	pthread_setname_np(pthread_self(), "virtio-blk");
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE)) {
		if (!drain(b, q)) {
			virtio_needs_reset(b->v);
			break;
		}
		if (poll(&p, 1, -1) > 0 && read(p.fd, &rings, sizeof(rings)) < 0 && errno != EAGAIN)
			break;
	}
	return NULL;
}

static int start(void *arg, u64 features)
{
	struct virtio_blk *b = arg;

	b->flush = features >> VIRTIO_BLK_F_FLUSH & 1;
	__atomic_store_n(&b->stop, false, __ATOMIC_RELEASE);
	if (!virtio_queue(b->v, 0))
		return -EINVAL;
	return -pthread_create(&b->thread, NULL, thread_main, b);
}

static void stop(void *arg)
{
	struct virtio_blk *b = arg;
	u64 one = 1;

	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	/* A bell that rings already wakes the thread as well. */
	if (write(virtio_bell(b->v, 0), &one, sizeof(one)) < 0 && errno != EAGAIN)
		return;
	pthread_join(b->thread, NULL);
}

static void config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	const struct virtio_blk *b = arg;
	struct virtio_blk_config c = {
		.capacity = b->sectors,
		.seg_max = QUEUE_SIZE - 2,
		.blk_size = SECTOR,
	};

	if (write || offset >= sizeof(c))
		return;
	memcpy(data, (u8 *)&c + offset, len < sizeof(c) - offset ? len : sizeof(c) - offset);
}

static int lock_image(int fd, bool readonly)
{
	struct flock l = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &l))
		return 0;
	/* A file system without locks is no reason to refuse. */
	return errno == EAGAIN || errno == EACCES ? -EBUSY : 0;
}

static int image_size(int fd, u64 *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*bytes = (u64)st.st_size;
		return 0;
	}
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
	return -EINVAL;
}

int virtio_blk_create(struct virtio_blk **out, const char *path, bool readonly, const char *id,
		      struct err *e)
{
	struct virtio_blk *b = calloc(1, sizeof(*b));
	u64 bytes = 0;
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	b->readonly = readonly;
	b->fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (b->fd < 0) {
		ret = err_set(e, -errno, "--disk %s: cannot open%s: %s", path,
			      readonly ? "" : " for writing (\",ro\" opens it read-only)",
			      strerror(errno));
		goto fail;
	}
	ret = image_size(b->fd, &bytes);
	if (ret) {
		err_set(e, ret, "--disk %s: is neither a file nor a block device", path);
		goto fail;
	}
	if (bytes < SECTOR) {
		ret = err_set(e, -EINVAL, "--disk %s: has no whole sector (512 bytes)", path);
		goto fail;
	}
	ret = lock_image(b->fd, readonly);
	if (ret) {
		err_set(e, ret, "--disk %s: is in use by another guest or program; stop that one%s",
			path, readonly ? "" : ", or open it read-only in both (\",ro\")");
		goto fail;
	}
	b->sectors = bytes / SECTOR;
	/* Not NUL-terminated if it has all 20 bytes (5.2.6). */
	memcpy(b->id, id, strnlen(id, sizeof(b->id)));
	b->type = (struct virtio_type){
		.id = VIRTIO_ID_BLOCK,
		.class = PCI_CLASS,
		.features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
			    1ULL << VIRTIO_BLK_F_FLUSH | (readonly ? 1ULL << VIRTIO_BLK_F_RO : 0),
		.queues = 1,
		.queue_size = QUEUE_SIZE,
		.start = start,
		.stop = stop,
		.config = config,
	};
	*out = b;
	return 0;
fail:
	virtio_blk_destroy(b);
	return ret;
}

void virtio_blk_destroy(struct virtio_blk *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

const struct virtio_type *virtio_blk_type(const struct virtio_blk *b)
{
	return &b->type;
}

void virtio_blk_attach(struct virtio_blk *b, struct virtio *v)
{
	b->v = v;
}
