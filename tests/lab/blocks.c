// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes numbered blocks to a disk, and checks later which of them survived. Runs in guests and
 * outside.
 *
 * blocks write DISK [WRITERS [LABEL]]   Each writer has a part of the disk, a ring of blocks of
 *	4 KiB. It writes block after block past the page cache, calls fdatasync and then prints
 *	"LABEL ack WRITER NUMBER"; "LABEL error WRITER ERRNO" ends it. It goes on where it finds
 *	itself.
 * blocks check DISK [WRITERS] <OUTPUT   Is everything there that the output says was acknowledged?
 * blocks replay LOG SIZE [WRITERS]   LOG is a device of dm-log-writes: what a disk of SIZE bytes
 *	would hold if power had failed then. At each mark "ack-WRITER-NUMBER" it is checked.
 *
 * Since a writer starts a block only when the one before is acknowledged, a disk is right if it
 * holds the newest block M of a writer, no older than the acknowledged one, and the whole ring
 * before M; only the place of M + 1 may hold anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK	    4096U
#define RING	    64U /* blocks of one writer */
#define MAX_WRITERS 8U
#define MAGIC	    0x736b636f6c42554dULL

struct block {
	uint64_t magic, writer, number;
	uint64_t rest[BLOCK / 8 - 3];
};

static unsigned writers = 2;
static const char *label = "blocks";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "blocks: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void block_fill(struct block *b, unsigned writer, uint64_t number)
{
	uint64_t x = number * MAX_WRITERS + writer + 1;

	*b = (struct block){ .magic = MAGIC, .writer = writer, .number = number };
	for (size_t i = 0; i < sizeof(b->rest) / 8; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		b->rest[i] = x;
	}
}

/* Returns the number of a block, or 0: it is not whole. */
static uint64_t number_of(const struct block *b, unsigned writer)
{
	struct block want;

	if (b->magic != MAGIC || b->writer != writer)
		return 0;
	block_fill(&want, writer, b->number);
	return memcmp(b, &want, sizeof(want)) ? 0 : b->number;
}

static uint64_t newest_block(const struct block *ring, unsigned writer)
{
	uint64_t max = 0;

	for (unsigned i = 0; i < RING; i++) {
		uint64_t n = number_of(&ring[i], writer);

		max = n > max ? n : max;
	}
	return max;
}

/* Returns true if @ring is right and holds number @acked. Numbers begin with 1. */
static bool check_ring(const struct block *ring, unsigned writer, uint64_t acked, const char *when)
{
	uint64_t max = newest_block(ring, writer);

	if (max < acked) {
		printf("%s: writer %u: %" PRIu64 " was acknowledged, the newest is %" PRIu64 "\n",
		       when, writer, acked, max);
		return false;
	}
	for (uint64_t n = max > RING - 1 ? max - (RING - 2) : 1; n <= max; n++) {
		uint64_t found = number_of(&ring[n % RING], writer);

		if (found == n)
			continue;
		printf("%s: writer %u: %" PRIu64 " is the newest, in place of %" PRIu64
		       " there is %" PRIu64 "\n",
		       when, writer, max, n, found);
		return false;
	}
	return true;
}

static void write_blocks(const char *path, unsigned writer)
{
	static struct block ring[RING], b __attribute__((aligned(BLOCK)));
	off_t base = (off_t)writer * (off_t)sizeof(ring);
	int fd = open(path, O_RDWR | O_DIRECT);
	char line[128];

	if (fd < 0)
		die(path);
	for (unsigned i = 0; i < RING; i++) {
		if (pread(fd, &b, BLOCK, base + (off_t)i * BLOCK) != (ssize_t)BLOCK)
			die(path);
		ring[i] = b;
	}
	for (uint64_t n = newest_block(ring, writer) + 1;; n++) {
		int len;

		block_fill(&b, writer, n);
		if (pwrite(fd, &b, BLOCK, base + (off_t)(n % RING * BLOCK)) != (ssize_t)BLOCK ||
		    fdatasync(fd)) {
			printf("%s error %u %d\n", label, writer, errno);
			fflush(stdout);
			return;
		}
		/* One write: two writers share the output. */
		len = snprintf(line, sizeof(line), "%.64s ack %u %" PRIu64 "\n", label, writer, n);
		if (write(1, line, (size_t)len) != len)
			die("output");
	}
}

static int run_writers(const char *path)
{
	for (unsigned i = 0; i < writers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			write_blocks(path, i);
			exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

/* Parses "ackXWRITERXNUMBER" with @x between them. */
static bool parse_ack(const char *at, char x, unsigned *writer, uint64_t *number)
{
	char *end;

	if (strncmp(at, "ack", 3) != 0 || at[3] != x)
		return false;
	*writer = (unsigned)strtoul(at + 4, &end, 10);
	if (end == at + 4 || *end != x || *writer >= writers)
		return false;
	at = end + 1;
	*number = strtoull(at, &end, 10);
	return end != at;
}

static void read_acks(uint64_t *acked)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		const char *at = strstr(line, "ack ");
		uint64_t n;
		unsigned w;

		/* Only a line with its end: a number may be cut. */
		if (at && strchr(line, '\n') && parse_ack(at, ' ', &w, &n) && n > acked[w])
			acked[w] = n;
	}
}

static int check_disk(const char *path)
{
	static struct block ring[RING];
	uint64_t acked[MAX_WRITERS] = { 0 };
	int fd = open(path, O_RDONLY), bad = 0;

	if (fd < 0)
		die(path);
	read_acks(acked);
	for (unsigned w = 0; w < writers; w++) {
		if (pread(fd, ring, sizeof(ring), (off_t)w * (off_t)sizeof(ring)) !=
		    (ssize_t)sizeof(ring))
			die(path);
		bad |= !check_ring(ring, w, acked[w], "check");
		printf("writer %u: acknowledged %" PRIu64 ", newest %" PRIu64 "\n", w, acked[w],
		       newest_block(ring, w));
	}
	return bad;
}

/*
 * --- the log of dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst) ---------
 */

#define LOG_MAGIC   0x6a736677736872ULL
#define LOG_DISCARD 4U
#define LOG_MARK    8U

struct log_super {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};

struct log_entry {
	uint64_t sector, sectors, flags, data_len;
};

static void read_log(int fd, void *to, size_t len, off_t at)
{
	errno = 0;
	if (pread(fd, to, len, at) != (ssize_t)len)
		die("the log");
}

/* Applies one entry, whose data begins at @at; returns the length of the data. */
static uint64_t log_apply(int fd, const struct log_entry *e, off_t at, uint8_t *disk, uint64_t size,
			  uint32_t sector)
{
	uint64_t start = e->sector * sector, len = e->sectors * sector;

	if (e->sectors > size / sector || start > size || len > size - start) {
		errno = ERANGE;
		die("an entry of the log");
	}
	if (e->flags & LOG_DISCARD)
		return 0;
	read_log(fd, disk + start, len, at);
	return len;
}

static int log_replay(const char *path, uint64_t size)
{
	uint8_t *disk = calloc(1, size);
	int fd = open(path, O_RDONLY), bad = 0;
	unsigned w, marks = 0;
	struct log_super s;
	uint64_t number;
	off_t at;

	if (fd < 0 || !disk)
		die(path);
	read_log(fd, &s, sizeof(s), 0);
	if (s.magic != LOG_MAGIC || s.sector_size < 512 || s.sector_size > 65536) {
		errno = EINVAL;
		die(path);
	}
	at = s.sector_size;
	for (uint64_t i = 0; i < s.entries; i++) {
		struct log_entry e;
		char mark[65] = "";

		read_log(fd, &e, sizeof(e), at);
		if (!(e.flags & LOG_MARK)) {
			at += s.sector_size;
			at += (off_t)log_apply(fd, &e, at, disk, size, s.sector_size);
			continue;
		}
		read_log(fd, mark, e.data_len < 64 ? e.data_len : 64, at + (off_t)sizeof(e));
		at += s.sector_size;
		if (!parse_ack(mark, '-', &w, &number))
			continue;
		marks++;
		bad |= !check_ring((struct block *)(disk + w * RING * BLOCK), w, number, mark);
	}
	printf("%" PRIu64 " entries, %u marks\n", s.entries, marks);
	free(disk);
	close(fd);
	return bad || !marks;
}

int main(int argc, char **argv)
{
	bool is_replay = argc > 3 && !strcmp(argv[1], "replay");
	const char *count = is_replay ? argv[4] : argc > 3 ? argv[3] : NULL;
	uint64_t size = is_replay ? strtoull(argv[3], NULL, 10) : 0;

	writers = count ? (unsigned)strtoul(count, NULL, 10) : writers;
	if (argc > 2 && writers && writers <= MAX_WRITERS) {
		if (is_replay && size >= (uint64_t)writers * RING * BLOCK && size <= 1U << 30)
			return log_replay(argv[2], size);
		if (!strcmp(argv[1], "write")) {
			label = argc > 4 ? argv[4] : label;
			return run_writers(argv[2]);
		}
		if (!strcmp(argv[1], "check"))
			return check_disk(argv[2]);
	}
	fprintf(stderr,
		"usage: blocks write DISK [WRITERS [LABEL]] | check DISK <OUTPUT | replay LOG SIZE\n");
	return 2;
}
