// SPDX-License-Identifier: GPL-2.0-only
/* Puts lines of the record into rings, and takes them out in their order. */
#include "policy/record_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "policy/record_json.h"

#define RING_SIZE (RECORD_QUEUE + RECORD_RESERVE)
/* How often a thread that waits for room looks whether it is to come out. */
#define LOOK_MS 20

/* Lies before each line in its ring. */
struct line_head {
	u64 seq;
	u64 len;
};

void record_queue_init(struct record_queue *q)
{
	pthread_condattr_t monotonic;

	memset(q, 0, sizeof(*q));
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&q->work, &monotonic);
	pthread_cond_init(&q->room, &monotonic);
	pthread_condattr_destroy(&monotonic);
	q->n_rings = 1;
}

void record_queue_free(struct record_queue *q)
{
	for (u32 i = 0; i < RECORD_RINGS; i++) {
		free(q->rings[i].session);
		free(q->rings[i].bytes);
	}
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->room);
	pthread_mutex_destroy(&q->lock);
}

bool record_queue_wait(struct record_queue *q, pthread_cond_t *c, s64 ms)
{
	u64 ns = now_ns() + (u64)ms * NS_PER_MS;
	const struct timespec until = { .tv_sec = (time_t)(ns / NS_PER_SECOND),
					.tv_nsec = (long)(ns % NS_PER_SECOND) };

	return pthread_cond_timedwait(c, &q->lock, &until) != ETIMEDOUT;
}

static u32 ring_find(const struct record_queue *q, const char *session, u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		if (!strcmp(q->rings[i].session, session))
			return i;
	return 0;
}

u32 record_queue_ring(struct record_queue *q, const char *session)
{
	u32 n = __atomic_load_n(&q->n_rings, __ATOMIC_ACQUIRE);
	u32 ring = session ? ring_find(q, session, 1, n) : 0;
	char *name;

	if (ring || !session)
		return ring;
	pthread_mutex_lock(&q->lock);
	ring = ring_find(q, session, n, q->n_rings);
	name = ring || q->n_rings == RECORD_RINGS - 1 ? NULL : strdup(session);
	if (name) {
		ring = q->n_rings;
		q->rings[ring].session = name;
		__atomic_store_n(&q->n_rings, ring + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&q->lock);
	return ring ? ring : RECORD_RINGS - 1;
}

/* --- one ring, with the lock ----------------------------------------------------------------- */

static void ring_copy_in(struct record_ring *ring, const void *from, size_t len)
{
	size_t at = ring->head % RING_SIZE, first = RING_SIZE - at;

	first = first < len ? first : len;
	memcpy(ring->bytes + at, from, first);
	memcpy(ring->bytes, (const u8 *)from + first, len - first);
	ring->head += len;
}

static void ring_copy_out(const struct record_ring *ring, u64 pos, void *to, size_t len)
{
	size_t at = pos % RING_SIZE, first = RING_SIZE - at;

	first = first < len ? first : len;
	memcpy(to, ring->bytes + at, first);
	memcpy((u8 *)to + first, ring->bytes, len - first);
}

/* Is there room for @len bytes of lines within the first @limit bytes? */
static bool ring_fits(struct record_ring *ring, size_t len, size_t limit)
{
	if (!ring->bytes)
		ring->bytes = malloc(RING_SIZE);
	return ring->bytes && ring->head - ring->tail + len <= limit;
}

static void ring_push(struct record_queue *q, struct record_ring *ring, const void *line,
		      size_t len)
{
	const struct line_head head = { .seq = ++q->seq, .len = len };

	if (ring->head == ring->tail)
		ring->head = ring->tail = 0;
	ring_copy_in(ring, &head, sizeof(head));
	ring_copy_in(ring, line, len);
}

/* Writes a line that tells how many lines of the ring are lost; @len 0: no memory for it. */
static void ring_tell_lost(const struct record_ring *ring, bool others, struct record_line *line)
{
	char kept[100] = "";

	if (ring->lost_kept)
		snprintf(kept, sizeof(kept), ", %" PRIu64 " of them refused, first ones or events",
			 ring->lost_kept);
	record_json_lost(line,
			 &(struct record_entry){ .time_ns = ring->lost_ns,
						 .session = others ? NULL : ring->session,
						 .lost = ring->lost },
			 others		 ? "other sessions"
			 : ring->session ? "this session"
					 : "events",
			 kept);
}

static void ring_lose(struct record_queue *q, struct record_ring *ring,
		      const struct record_line *line)
{
	ring->lost++;
	ring->lost_kept += line->keep;
	ring->lost_ns = line->time_ns;
	q->lost++;
}

static bool is_others(const struct record_queue *q, const struct record_ring *ring)
{
	return ring == &q->rings[RECORD_RINGS - 1];
}

/* Pushes a line that fits, behind the count of those that did not, if that fits too. */
static void ring_accept(struct record_queue *q, struct record_ring *ring,
			const struct record_line *line)
{
	struct record_line told = { .buf = NULL };

	if (ring->lost)
		ring_tell_lost(ring, is_others(q, ring), &told);
	if (told.len &&
	    ring_fits(ring, told.len + line->len + 2 * sizeof(struct line_head), RECORD_QUEUE)) {
		ring_push(q, ring, told.buf, told.len);
		ring->lost = ring->lost_kept = 0;
	}
	line_free(&told);
	ring_push(q, ring, line->buf, line->len);
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Wakes the thread, unless it finds the line anyhow soon enough. */
static void queue_call_thread(struct record_queue *q, const struct record_ring *ring)
{
	bool many = ring->head - ring->tail > RECORD_QUEUE / 2 || ring->waiters;

	if (q->sleep != RECORD_SLEEPS && !(q->sleep == RECORD_GATHERS && many))
		return;
	q->sleep = RECORD_AWAKE;
	pthread_cond_signal(&q->work);
}

int record_queue_put(struct record_queue *q, const struct record_line *line,
		     bool (*stay)(void *arg), void *arg, bool *threaded)
{
	struct record_ring *ring = &q->rings[line->ring];
	size_t len = line->len + sizeof(struct line_head);
	bool fits;
	int ret = 0;

	pthread_mutex_lock(&q->lock);
	/* Who waits comes before lines that may be lost. */
	fits = ring_fits(ring, len, RECORD_QUEUE) && (line->keep || !ring->waiters);
	while (!fits && line->keep && line->may_wait && q->threaded && !q->ended && !q->error &&
	       stay(arg)) {
		ring->waiters++;
		queue_call_thread(q, ring);
		record_queue_wait(q, &q->room, LOOK_MS);
		ring->waiters--;
		fits = ring_fits(ring, len, RECORD_QUEUE);
	}
	if (!fits && line->keep && line->len <= RECORD_LINE_MAX)
		fits = ring_fits(ring, len, RING_SIZE);
	if (fits) {
		ring_accept(q, ring, line);
	} else {
		ring_lose(q, ring, line);
		ret = line->keep ? -ENOSPC : 1;
	}
	queue_call_thread(q, ring);
	*threaded = q->threaded;
	pthread_mutex_unlock(&q->lock);
	return ret;
}

void record_queue_lose(struct record_queue *q, const struct record_line *line)
{
	pthread_mutex_lock(&q->lock);
	ring_lose(q, &q->rings[line->ring], line);
	pthread_mutex_unlock(&q->lock);
}

void record_queue_lose_many(struct record_queue *q, u32 ring, u64 time_ns, u64 n)
{
	pthread_mutex_lock(&q->lock);
	q->rings[ring].lost += n;
	q->rings[ring].lost_ns = time_ns;
	q->lost += n;
	queue_call_thread(q, &q->rings[ring]);
	pthread_mutex_unlock(&q->lock);
}

bool record_queue_has_any(const struct record_queue *q)
{
	for (u32 i = 0; i < RECORD_RINGS; i++)
		if (q->rings[i].head != q->rings[i].tail || q->rings[i].lost)
			return true;
	return false;
}

/*
 * Finds the ring whose first line is the oldest of all; NULL: there is no line. *until: the first
 * line of another ring, before which this one's lines are the oldest.
 */
static struct record_ring *queue_oldest(struct record_queue *q, struct line_head *oldest,
					u64 *until)
{
	struct record_ring *found = NULL;
	struct line_head head;

	*until = UINT64_MAX;
	for (u32 i = 0; i < RECORD_RINGS; i++) {
		struct record_ring *ring = &q->rings[i];

		if (ring->head == ring->tail)
			continue;
		ring_copy_out(ring, ring->tail, &head, sizeof(head));
		if (found && head.seq > oldest->seq) {
			*until = head.seq < *until ? head.seq : *until;
			continue;
		}
		if (found)
			*until = oldest->seq;
		found = ring;
		*oldest = head;
	}
	return found;
}

/* Takes the counts of rings that are empty, to which no line may come for long. */
static size_t queue_take_counts(struct record_queue *q, u8 *buf, size_t size)
{
	size_t taken = 0;

	for (u32 i = 0; i < RECORD_RINGS; i++) {
		struct record_ring *ring = &q->rings[i];
		struct record_line told = { .buf = NULL };

		if (!ring->lost || ring->head != ring->tail)
			continue;
		ring_tell_lost(ring, is_others(q, ring), &told);
		if (told.len && told.len <= size - taken) {
			memcpy(buf + taken, told.buf, told.len);
			taken += told.len;
			ring->lost = ring->lost_kept = 0;
		}
		line_free(&told);
	}
	return taken;
}

size_t record_queue_take(struct record_queue *q, u8 *buf, size_t size)
{
	struct record_ring *ring;
	struct line_head head;
	size_t taken = 0;
	u64 until;

	pthread_mutex_lock(&q->lock);
	while ((ring = queue_oldest(q, &head, &until)) && head.len <= size - taken) {
		do {
			ring_copy_out(ring, ring->tail + sizeof(head), buf + taken, head.len);
			ring->tail += sizeof(head) + head.len;
			taken += head.len;
			if (ring->tail == ring->head)
				break;
			ring_copy_out(ring, ring->tail, &head, sizeof(head));
		} while (head.seq < until && head.len <= size - taken);
	}
	taken += queue_take_counts(q, buf + taken, size - taken);
	q->writing = taken != 0;
	pthread_cond_broadcast(&q->room);
	pthread_mutex_unlock(&q->lock);
	return taken;
}
