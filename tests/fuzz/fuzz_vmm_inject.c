// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the archive before a user's initramfs, and the command line, for any command line and any
 * init: the archive is walked as the kernel does it (init/initramfs.c), and holds what was given;
 * the kernel finds the agent in the new command line, and everything else as it was.
 *
 * The guest's parts, which are read from beside the program, are made here: small, and of lengths
 * that need each kind of padding.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-shim/abi.h"
#include "vmm/session/inject.h"
#include "vmm/spec/cmdline.h"

#define RELEASES 4 /* of which the shim has 1, 2, 3, 4 bytes */

static struct inject *inject;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_file(const char *path, size_t len)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite("abcd", 1, len, f) != len || fclose(f))
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char exe[2048], path[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)argc;
	(void)argv;
	if (n <= 0)
		abort();
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	snprintf(path, sizeof(path), "%s/guest", exe);
	if (mkdir(path, 0700) && errno != EEXIST)
		abort();
	snprintf(path, sizeof(path), "%s/guest/agent", exe);
	make_file(path, 3);
	for (unsigned i = 0; i < RELEASES; i++) {
		snprintf(path, sizeof(path), "%s/guest/%u", exe, i);
		if (mkdir(path, 0700) && errno != EEXIST)
			abort();
		snprintf(path, sizeof(path), "%s/guest/%u/umbra.ko", exe, i);
		make_file(path, i + 1);
	}
	if (inject_open(&inject, NULL))
		abort();
	return 0;
}

static u32 read_hex(const u8 *p)
{
	char word[9];

	memcpy(word, p, 8);
	word[8] = '\0';
	if (strspn(word, "0123456789ABCDEF") != 8)
		abort();
	return (u32)strtoul(word, NULL, 16);
}

/* Walks the archive from header to header; the last file before the trailer holds @init. */
static void walk_archive(const u8 *a, size_t len, const char *init)
{
	static const char *const names[] = { &UMBRA_AGENT_DIR[1], &UMBRA_AGENT_PATH[1],
					     &UMBRA_AGENT_SHIM[1], &UMBRA_AGENT_INIT[1],
					     "TRAILER!!!" };
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		u32 size, name_size;

		if (at % 4 || len - at < 110 || memcmp(a + at, "070701", 6) != 0)
			abort();
		size = read_hex(a + at + 54);
		name_size = read_hex(a + at + 94);
		at += 110;
		if (name_size != strlen(names[i]) + 1 || len - at < name_size ||
		    memcmp(a + at, names[i], name_size) != 0)
			abort();
		at = ALIGN_UP(at + name_size, (size_t)4);
		if (at > len || len - at < size)
			abort();
		if (i == 3 && (size != strlen(init) || memcmp(a + at, init, size) != 0))
			abort();
		at = ALIGN_UP(at + size, (size_t)4);
	}
	if (at != len)
		abort();
}

static void check_cmdline(const char *cmdline)
{
	char *with = inject_cmdline(cmdline), *was = cmdline_value(cmdline, "rdinit");
	char *now, *root_was, *root_now;

	if (!with)
		abort();
	now = cmdline_value(with, "rdinit");
	if (!now || strcmp(now, UMBRA_AGENT_PATH) != 0)
		abort();
	/* Of the rest nothing has changed. */
	root_was = cmdline_value(cmdline, "root");
	root_now = cmdline_value(with, "root");
	if (!root_was != !root_now || (root_was && strcmp(root_was, root_now) != 0))
		abort();
	free(root_was);
	free(root_now);
	free(with);
	free(was);
	free(now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char release[2] = { 0 };
	struct err e = { "" };
	void *archive;
	size_t len;
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)data + 1, size - 1);
	if (!text)
		return 0;
	check_cmdline(text);
	release[0] = (char)('0' + data[0] % RELEASES);
	if (inject_archive(inject, release, text, &archive, &len, &e))
		abort();
	walk_archive(archive, len, text);
	free(archive);
	free(text);
	return 0;
}
