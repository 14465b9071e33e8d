// SPDX-License-Identifier: GPL-2.0-only
/* Implements the fixture that kills the VMM of a disk: the device in a child, the driver here. */
#include "tests/unit/devices/crash_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "devices/virtio_blk.h"
#include "tests/unit/devices/fake_host.h"
#include "tests/unit/devices/virtio_registers.h"

#define CRASH_RING    32U
#define CRASH_MOST    8U /* sectors of one request */
#define CRASH_NO      0x5a
#define CRASH_RESET   0xff /* in place of a queue: reset the device, and start it again */
#define CRASH_RESTART 0xfe
#define CRASH_GIVE_UP 20000000ULL /* us: a request that is not answered by then is lost */

/* What both processes see. */
struct crash_shared {
	struct fake_host f;
	int ready; /* atomic: 1 running, 2 reset, -errno of the child */
};

u32 crash_random(struct crash *c)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 17;
	c->seed ^= c->seed << 5;
	return c->seed;
}

bool crash_wrong(struct crash *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	return false;
}

u64 crash_now(void)
{
	return now_ns() / 1000;
}

static void crash_nap(u64 us)
{
	struct timespec t = { 0, (long)us * 1000 };

	nanosleep(&t, NULL);
}

static void crash_fill(u8 *to, u64 sector, u64 version)
{
	for (u64 i = 0; i < 64; i++) {
		u64 w = version ? (version * 0x9e3779b97f4a7c15ULL ^ sector << 32) + i : 0;

		memcpy(to + 8 * i, &w, 8);
	}
}

/* Does @data hold what @sector may hold? What it does hold is all that it may from now on. */
static bool crash_check(struct crash *c, u64 sector, const u8 *data, const char *where)
{
	u8 want[512];

	crash_fill(want, sector, c->is[sector]);
	if (!memcmp(data, want, 512)) {
		c->or [sector] = c->is[sector];
		return true;
	}
	crash_fill(want, sector, c->or [sector]);
	if (memcmp(data, want, 512) != 0)
		return crash_wrong(c, "%s: sector %llu holds neither version %llu nor %llu", where,
				   (unsigned long long)sector, (unsigned long long)c->is[sector],
				   (unsigned long long)c->or [sector]);
	c->torn += c->is[sector] != c->or [sector];
	c->is[sector] = c->or [sector];
	return true;
}

/* --- the child: the device ----------------------------------------------------------------- */

static void crash_negotiate(struct virtio *v, const struct crash_mode *m)
{
	u64 features = 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VIRTIO_BLK_F_MQ |
		       1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;

	features |= m->no_flush ? 0 : 1ULL << VIRTIO_BLK_F_FLUSH;
	features |= m->event_idx ? 1ULL << VIRTIO_RING_F_EVENT_IDX : 0;
	registers_negotiate(v, features);
	registers_enable_pages(v, CRASH_QUEUES, CRASH_RING);
	registers_driver_ok(v);
}

_Noreturn static void crash_child(struct crash *c, int kick)
{
	struct virtio_blk_params p = {
		.path = c->path,
		.id = "crash",
		.queues = CRASH_QUEUES,
		.direct = c->mode.direct,
		.aio = c->mode.aio,
	};
	struct virtio_blk *b;
	struct virtio *v;
	struct err e;
	u8 queue;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = virtio_blk_create(&b, &p, &e);
	if (!ret)
		ret = virtio_create(&v, &c->s->f.host, virtio_blk_type(b), b);
	if (!ret) {
		virtio_blk_attach(b, v);
		crash_negotiate(v, &c->mode);
	}
	__atomic_store_n(&c->s->ready, ret ? ret : 1, __ATOMIC_RELEASE);
	while (!ret && read(kick, &queue, 1) == 1) {
		if (queue == CRASH_RESET)
			registers_reset(v);
		else if (queue == CRASH_RESTART)
			crash_negotiate(v, &c->mode);
		else
			virtio_notify(v, queue);
		if (queue >= CRASH_RESTART)
			__atomic_store_n(&c->s->ready, queue == CRASH_RESET ? 2 : 1,
					 __ATOMIC_RELEASE);
	}
	_exit(0);
}

/* --- the parent: the driver ---------------------------------------------------------------- */

static bool crash_wait(struct crash *c, int state)
{
	for (u64 until = crash_now() + CRASH_GIVE_UP; crash_now() < until; crash_nap(50)) {
		int ready = __atomic_load_n(&c->s->ready, __ATOMIC_ACQUIRE);

		if (ready == state)
			return true;
		if (ready < 0)
			return crash_wrong(c, "the device cannot start: error %d", -ready);
		if (waitpid(c->child, NULL, WNOHANG) == c->child)
			break;
	}
	return crash_wrong(c, "the device's process does not answer");
}

/* Memory of a driver that has just begun. */
static void crash_clear(struct crash *c)
{
	memset(c->s->f.ram, 0, sizeof(c->s->f.ram));
	memset(c->slots, 0, sizeof(c->slots));
	memset(c->busy, 0, sizeof(c->busy));
	memset(c->avail, 0, sizeof(c->avail));
	memset(c->used, 0, sizeof(c->used));
}

static bool crash_start(struct crash *c)
{
	int pair[2];

	memset(c->s, 0, sizeof(*c->s));
	fake_host_init(&c->s->f);
	crash_clear(c);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return crash_wrong(c, "socketpair: %d", errno);
	c->child = fork();
	if (!c->child) {
		close(pair[0]);
		crash_child(c, pair[1]);
	}
	close(pair[1]);
	c->kick = pair[0];
	if (c->child < 0)
		return crash_wrong(c, "fork: %d", errno);
	return crash_wait(c, 1);
}

static u8 *crash_at(const struct crash *c, unsigned base, unsigned step, unsigned q, unsigned slot)
{
	return c->s->f.ram + base + (size_t)step * (q * CRASH_SLOTS + slot);
}

static u64 crash_gpa(const struct crash *c, const u8 *p)
{
	return (u64)(p - c->s->f.ram);
}

/* Put the request of a slot into its queue: in three descriptors, or in a table of them. */
static void crash_submit(struct crash *c, unsigned q, unsigned i, u32 len)
{
	struct crash_slot *s = &c->slots[q][i];
	u8 *page = c->s->f.ram + 0x1000UL * (q + 1), *head = crash_at(c, 0x8000, 64, q, i);
	u8 *data = s->type == VIRTIO_BLK_T_DISCARD || s->type == VIRTIO_BLK_T_WRITE_ZEROES
			   ? head + 16
			   : crash_at(c, 0x10000, 4096, q, i);
	struct virtio_blk_outhdr h = { .type = s->type, .sector = s->sector };
	struct vring_desc d[3] = {
		{ crash_gpa(c, head), sizeof(h), VRING_DESC_F_NEXT, 1 },
		{ crash_gpa(c, data), len, VRING_DESC_F_NEXT, 2 },
		{ crash_gpa(c, head) + 48, 1, VRING_DESC_F_WRITE, 0 },
	};
	unsigned n = len ? 3 : 2;
	u16 *avail = (u16 *)(void *)(page + 0x400);
	u8 kick = (u8)q;

	memcpy(head, &h, sizeof(h));
	head[48] = CRASH_NO;
	d[1].flags |= s->type == VIRTIO_BLK_T_IN ? VRING_DESC_F_WRITE : 0;
	if (!len)
		d[1] = d[2];
	if (crash_random(c) & 1) {
		u8 *table = crash_at(c, 0x6000, 64, q, i);

		memcpy(table, d, sizeof(d));
		d[0] = (struct vring_desc){ crash_gpa(c, table), n * 16, VRING_DESC_F_INDIRECT, 0 };
	} else {
		for (unsigned k = 0; k < n; k++)
			d[k].next = (u16)(3 * i + k + 1);
	}
	memcpy(page + 48UL * i, d, sizeof(d));
	avail[2 + c->avail[q] % CRASH_RING] = (u16)(3 * i);
	__atomic_store_n(&avail[1], ++c->avail[q], __ATOMIC_SEQ_CST);
	/* Without suppression: a kick too much is always allowed. */
	if (write(c->kick, &kick, 1) != 1)
		return; /* dead: found out soon */
}

/* Start a random request in a free slot, on sectors that no other one is using. */
static void crash_request(struct crash *c, unsigned q, unsigned i)
{
	static const u8 kinds[16] = { 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 4, 4, 11, 13, 1 };
	struct crash_slot *s = &c->slots[q][i];
	struct virtio_blk_discard_write_zeroes r = { 0 };
	bool aligned = crash_random(c) & 1;
	u32 len;

	*s = (struct crash_slot){ .type = kinds[crash_random(c) % 16], .since = crash_now() };
	if (s->type != VIRTIO_BLK_T_FLUSH) {
		s->n = aligned ? CRASH_MOST : 1 + crash_random(c) % CRASH_MOST;
		s->sector = crash_random(c) % (CRASH_SECTORS - CRASH_MOST + 1);
		s->sector -= aligned ? s->sector % CRASH_MOST : 0;
	}
	for (u64 k = s->sector; k < s->sector + s->n; k++)
		if (c->busy[k] || c->is[k] != c->or [k])
			return;
	s->used = true;
	len = s->n * 512;
	memset(c->busy + s->sector, true, s->n);
	if (s->type == VIRTIO_BLK_T_OUT) {
		s->version = ++c->versions;
		for (u32 k = 0; k < s->n; k++)
			crash_fill(crash_at(c, 0x10000, 4096, q, i) + 512UL * k, s->sector + k,
				   s->version);
	} else if (s->type == VIRTIO_BLK_T_DISCARD || s->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		r.sector = s->sector;
		r.num_sectors = s->n;
		r.flags = s->type == VIRTIO_BLK_T_WRITE_ZEROES && (crash_random(c) & 1);
		memcpy(crash_at(c, 0x8000, 64, q, i) + 16, &r, sizeof(r));
		s->sector = 0; /* of the header; the range has it */
		crash_submit(c, q, i, sizeof(r));
		s->sector = r.sector;
		return;
	}
	crash_submit(c, q, i, len);
}

static bool crash_done(struct crash *c, unsigned q, unsigned i)
{
	struct crash_slot *s = &c->slots[q][i];
	u8 status = crash_at(c, 0x8000, 64, q, i)[48];
	const u8 *data = crash_at(c, 0x10000, 4096, q, i);

	if (status != VIRTIO_BLK_S_OK)
		return crash_wrong(c, "status %u of a request of type %u, sector %llu", status,
				   s->type, (unsigned long long)s->sector);
	for (u32 k = 0; k < s->n; k++) {
		u64 at = s->sector + k;

		c->busy[at] = false;
		if (s->type == VIRTIO_BLK_T_IN) {
			if (!crash_check(c, at, data + 512UL * k, "read"))
				return false;
		} else {
			/* What is discarded may stay as it is. */
			c->or [at] = s->version;
			if (s->type != VIRTIO_BLK_T_DISCARD)
				c->is[at] = s->version;
		}
	}
	c->reads += s->type == VIRTIO_BLK_T_IN;
	c->writes += s->type == VIRTIO_BLK_T_OUT;
	c->flushes += s->type == VIRTIO_BLK_T_FLUSH;
	c->zeroes += s->type == VIRTIO_BLK_T_WRITE_ZEROES;
	c->discards += s->type == VIRTIO_BLK_T_DISCARD;
	s->used = false;
	return true;
}

/* What came back; *any: something did. */
static bool crash_reap(struct crash *c, bool *any)
{
	for (unsigned q = 0; q < CRASH_QUEUES; q++) {
		u8 *page = c->s->f.ram + 0x1000UL * (q + 1);
		u16 *used = (u16 *)(void *)(page + 0x600);
		u16 now = __atomic_load_n(&used[1], __ATOMIC_ACQUIRE);

		for (; c->used[q] != now; c->used[q]++) {
			struct vring_used_elem e;

			memcpy(&e, page + 0x604 + 8UL * (c->used[q] % CRASH_RING), sizeof(e));
			if (e.id % 3 || e.id >= 3 * CRASH_SLOTS || !c->slots[q][e.id / 3].used)
				return crash_wrong(c, "used ring: %u was not given", e.id);
			if (!crash_done(c, q, e.id / 3))
				return false;
			*any = true;
		}
	}
	return true;
}

/* Keep the device busy for @us microseconds. */
static bool crash_work(struct crash *c, u64 us)
{
	u64 until = crash_now() + us, now;

	while ((now = crash_now()) < until) {
		bool any = false;

		for (unsigned n = crash_random(c) % 8; n; n--) {
			unsigned q = crash_random(c) % CRASH_QUEUES;
			unsigned i = crash_random(c) % CRASH_SLOTS;

			if (!c->slots[q][i].used)
				crash_request(c, q, i);
			else if (now > c->slots[q][i].since + CRASH_GIVE_UP)
				return crash_wrong(c, "no answer to a request of type %u",
						   c->slots[q][i].type);
		}
		if (!crash_reap(c, &any))
			return false;
		if (!any)
			crash_nap(20);
	}
	return true;
}

/* Nothing is answered any more: what was not may be done or not. */
static bool crash_settle(struct crash *c)
{
	bool any;

	if (!crash_reap(c, &any))
		return false;
	for (unsigned q = 0; q < CRASH_QUEUES; q++)
		for (unsigned i = 0; i < CRASH_SLOTS; i++) {
			struct crash_slot *s = &c->slots[q][i];

			for (u64 k = s->sector; s->used && k < s->sector + s->n; k++)
				if (s->type != VIRTIO_BLK_T_IN)
					c->or [k] = s->version;
		}
	return true;
}

/* Nothing is going on any more: see what the file holds. */
static bool crash_compare(struct crash *c, const char *when)
{
	static u8 image[CRASH_SECTORS * 512];

	if (pread(c->fd, image, sizeof(image), 0) != (ssize_t)sizeof(image))
		return crash_wrong(c, "the image cannot be read, or is shorter now");
	for (u64 i = 0; i < CRASH_SECTORS; i++)
		if (!crash_check(c, i, image + 512 * i, when))
			return false;
	return true;
}

/*
 * Wait until the image is free, as another VMM would: a transfer may outlive its process. It asks
 * for a lock that excludes all others, because those of a disk are shared ones, as QEMU's are.
 */
static bool crash_free(struct crash *c)
{
	for (u64 until = crash_now() + CRASH_GIVE_UP; crash_now() < until; crash_nap(200)) {
		struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		if (fcntl(c->fd, F_OFD_GETLK, &l))
			return crash_wrong(c, "the image's locks cannot be read: %d", errno);
		if (l.l_type == F_UNLCK)
			return true;
	}
	return crash_wrong(c, "the image of a killed process stays locked");
}

static void crash_end(struct crash *c)
{
	kill(c->child, SIGKILL);
	waitpid(c->child, NULL, 0);
	close(c->kick);
	c->child = 0;
}

/* The driver resets the device while it works; after that nothing reaches memory or file. */
static bool crash_reset(struct crash *c)
{
	u8 kick = CRASH_RESET;

	if (write(c->kick, &kick, 1) != 1 || !crash_wait(c, 2) || !crash_settle(c))
		return false;
	memset(c->s->f.ram, 0xcc, sizeof(c->s->f.ram));
	crash_nap(crash_random(c) % 300);
	for (size_t i = 0; i < sizeof(c->s->f.ram); i++)
		if (c->s->f.ram[i] != 0xcc)
			return crash_wrong(c, "memory at 0x%zx is written to after a reset", i);
	if (!crash_compare(c, "after a reset"))
		return false;
	crash_clear(c);
	c->resets++;
	kick = CRASH_RESTART;
	return write(c->kick, &kick, 1) == 1 && crash_wait(c, 1);
}

/* The process is stopped for a while, and goes on. */
static void crash_pause(struct crash *c, u64 us)
{
	kill(c->child, SIGSTOP);
	crash_nap(us);
	kill(c->child, SIGCONT);
	c->pauses++;
}

bool crash_round(struct crash *c, u64 us, unsigned breaks)
{
	bool good = crash_start(c);

	for (unsigned i = 0; i <= breaks && good; i++) {
		good = crash_work(c, us ? crash_random(c) % us : 0);
		if (i == breaks || !good)
			break;
		if (crash_random(c) & 1)
			crash_pause(c, crash_random(c) % 5000);
		else
			good = crash_reset(c);
	}
	if (c->child <= 0)
		return false;
	crash_end(c);
	c->kills++;
	return good && crash_free(c) && crash_settle(c) && crash_compare(c, "after the kill");
}

bool crash_open(struct crash *c, const char *path, u32 seed)
{
	memset(c, 0, sizeof(*c));
	c->seed = seed ? seed : 1;
	c->path = path;
	c->fd = open(path, O_RDONLY | O_CLOEXEC);
	c->s = mmap(NULL, sizeof(*c->s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->fd < 0 || c->s == MAP_FAILED)
		return crash_wrong(c, "%s: %s", path, strerror(errno));
	return true;
}

void crash_close(struct crash *c)
{
	close(c->fd);
	munmap(c->s, sizeof(*c->s));
}
