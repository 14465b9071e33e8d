// SPDX-License-Identifier: GPL-2.0-only
/*
 * holder SEED: as a process of a guest, holds the pattern of this seed (16 hex digits) in its
 * memory until it is killed. Says "holder: ready" when it does. Built static, for guests without
 * libraries.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "images/byte_pattern.h"

int main(int argc, char **argv)
{
	uint64_t(*pages)[PATTERN_WORDS];
	unsigned long long seed;
	unsigned i;
	char *end;

	errno = 0;
	seed = argc == 2 ? strtoull(argv[1], &end, 16) : 0;
	if (argc != 2 || errno || end == argv[1] || *end) {
		fprintf(stderr, "usage: holder SEED (hexadecimal)\n");
		return 2;
	}
	pages = mmap(NULL, PATTERN_PAGES * PATTERN_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || mlock(pages, PATTERN_PAGES * PATTERN_PAGE)) {
		fprintf(stderr, "holder: cannot hold 1 MiB in memory: %s\n", strerror(errno));
		return 1;
	}
	for (i = 0; i < PATTERN_PAGES; i++)
		pattern_page(seed, i, pages[i]);
	puts("holder: ready");
	if (fflush(stdout))
		return 1;
	for (;;)
		pause();
}
