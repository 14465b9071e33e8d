// SPDX-License-Identifier: GPL-2.0-only
/*
 * limecheck [--iomem FILE] [--seed SEED] DUMP: tells whether DUMP is a complete LiME dump of a
 * guest.
 *
 * Checks the header of each range (magic, version, order), that the file ends where the last range
 * does, with --iomem that the ranges are just the "System RAM" of that copy of /proc/iomem, and
 * with --seed that every page of the pattern of images/byte_pattern.h is in it. One line; status 0,
 * or 1 with what is wrong and where.
 */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "images/byte_pattern.h"

#define LIME_MAGIC   0x4c694d45
#define LIME_VERSION 1
#define RANGES_MAX   256
#define CHUNK	     (1 << 20)

struct lime_header {
	uint32_t magic;
	uint32_t version;
	uint64_t start;
	uint64_t end; /* inclusive */
	uint8_t reserved[8];
};

struct range {
	uint64_t start, end; /* end inclusive */
};

struct dump {
	const char *path;
	FILE *file;
	uint64_t offset; /* in the file */
	struct range ranges[RANGES_MAX];
	unsigned count;
	bool want_pattern;
	uint64_t pattern[PATTERN_PAGES][PATTERN_WORDS];
	bool found[PATTERN_PAGES];
	unsigned n_found;
};

static int dump_bad(const struct dump *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int dump_bad(const struct dump *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "limecheck: %s: ", d->path);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return -EINVAL;
}

/* Looks for the pattern's pages. The first word of a page rules out all but one page in 2^56. */
static void look_for_pattern(struct dump *d, const uint8_t *page)
{
	uint64_t first;
	unsigned i;

	memcpy(&first, page, sizeof(first));
	for (i = 0; i < PATTERN_PAGES; i++) {
		if (d->pattern[i][0] != first || d->found[i])
			continue;
		if (memcmp(d->pattern[i], page, PATTERN_PAGE) == 0) {
			d->found[i] = true;
			d->n_found++;
		}
	}
}

/*
 * Reads the memory of one range; pages are pages of physical memory, whatever the range starts
 * with.
 */
static int read_range(struct dump *d, const struct range *r, uint8_t *chunk)
{
	uint64_t at = r->start, left = r->end - r->start + 1;
	size_t n, i, skip;

	while (left) {
		n = left < CHUNK ? (size_t)left : CHUNK;
		if (fread(chunk, 1, n, d->file) != n)
			return dump_bad(
				d, "ends within the range 0x%llx-0x%llx, behind address 0x%llx",
				(unsigned long long)r->start, (unsigned long long)r->end,
				(unsigned long long)at);
		skip = (size_t)(-at & (PATTERN_PAGE - 1));
		if (d->want_pattern)
			for (i = skip; i + PATTERN_PAGE <= n; i += PATTERN_PAGE)
				look_for_pattern(d, chunk + i);
		at += n;
		left -= n;
		d->offset += n;
	}
	return 0;
}

static int read_dump(struct dump *d, uint8_t *chunk)
{
	struct lime_header h;
	struct range *r;
	size_t n;
	int ret;

	for (;;) {
		n = fread(&h, 1, sizeof(h), d->file);
		if (n == 0 && feof(d->file))
			break;
		if (n != sizeof(h))
			return dump_bad(d, "ends within a header at offset 0x%llx",
					(unsigned long long)d->offset);
		if (le32toh(h.magic) != LIME_MAGIC || le32toh(h.version) != LIME_VERSION)
			return dump_bad(
				d, "no LiME header at offset 0x%llx (magic 0x%08x, version %u)",
				(unsigned long long)d->offset, le32toh(h.magic),
				le32toh(h.version));
		if (d->count == RANGES_MAX)
			return dump_bad(d, "more than %d ranges", RANGES_MAX);
		r = &d->ranges[d->count];
		r->start = le64toh(h.start);
		r->end = le64toh(h.end);
		if (r->end < r->start || r->end == UINT64_MAX ||
		    (d->count && r->start <= r[-1].end))
			return dump_bad(d, "range %u (0x%llx-0x%llx) is not in order", d->count,
					(unsigned long long)r->start, (unsigned long long)r->end);
		d->count++;
		d->offset += sizeof(h);
		ret = read_range(d, r, chunk);
		if (ret)
			return ret;
	}
	return d->count ? 0 : dump_bad(d, "is empty");
}

/* Compares with the lines "START-END : System RAM" that are not indented. */
static int check_iomem(const struct dump *d, const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long long start, end;
	unsigned n = 0;
	char line[256];
	char *p;
	int ret = 0;

	if (!file)
		return dump_bad(d, "cannot open %s: %s", path, strerror(errno));
	while (!ret && fgets(line, sizeof(line), file)) {
		if (line[0] == ' ' || !strstr(line, " : System RAM\n"))
			continue;
		start = strtoull(line, &p, 16);
		end = *p == '-' ? strtoull(p + 1, NULL, 16) : 0;
		if (n >= d->count || d->ranges[n].start != start || d->ranges[n].end != end)
			ret = dump_bad(d, "%s lists RAM at 0x%llx-0x%llx, which is not range %u",
				       path, start, end, n);
		n++;
	}
	if (!ret && (ferror(file) || n != d->count))
		ret = dump_bad(d, "has %u ranges, %s lists %u", d->count, path, n);
	(void)fclose(file);
	return ret;
}

static int parse_seed(struct dump *d, const char *text)
{
	unsigned long long seed;
	unsigned i;
	char *end;

	errno = 0;
	seed = strtoull(text, &end, 16);
	if (errno || end == text || *end) {
		fprintf(stderr, "limecheck: --seed %s: expected a hexadecimal number\n", text);
		return -EINVAL;
	}
	for (i = 0; i < PATTERN_PAGES; i++)
		pattern_page(seed, i, d->pattern[i]);
	d->want_pattern = true;
	return 0;
}

static int check_dump(struct dump *d, const char *iomem)
{
	uint8_t *chunk = malloc(CHUNK);
	uint64_t total = 0;
	unsigned i;
	int ret;

	d->file = fopen(d->path, "rb");
	if (!chunk || !d->file) {
		ret = dump_bad(d, "cannot open: %s", strerror(errno));
		goto out;
	}
	ret = read_dump(d, chunk);
	if (!ret && iomem)
		ret = check_iomem(d, iomem);
	if (!ret && d->want_pattern && d->n_found != PATTERN_PAGES)
		ret = dump_bad(d, "holds %u of %d pages of the pattern", d->n_found, PATTERN_PAGES);
	if (ret)
		goto out;
	for (i = 0; i < d->count; i++)
		total += d->ranges[i].end - d->ranges[i].start + 1;
	printf("%s: %u ranges with good headers, %llu KiB of memory%s%s\n", d->path, d->count,
	       (unsigned long long)total / 1024, iomem ? " = the guest's RAM" : "",
	       d->want_pattern ? ", pattern found" : "");
out:
	if (d->file)
		(void)fclose(d->file);
	free(chunk);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "iomem", required_argument, NULL, 'i' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct dump *d = calloc(1, sizeof(*d));
	const char *iomem = NULL;
	int c, ret = 1;

	if (!d)
		return 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'i')
			iomem = optarg;
		else if (c != 's')
			goto usage;
		else if (parse_seed(d, optarg))
			goto out;
	}
	if (optind + 1 != argc)
		goto usage;
	d->path = argv[optind];
	ret = check_dump(d, iomem) ? 1 : 0;
	goto out;
usage:
	fprintf(stderr, "usage: limecheck [--iomem FILE] [--seed SEED] DUMP\n");
	ret = 2;
out:
	free(d);
	return ret;
}
