// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and prints a record file from any bytes both ways; what is printed as JSON parses. Then the
 * same bytes as a name: what was written comes back.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *record_to_text(struct record *r, bool json, unsigned width)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f || (json ? record_print_json(r, f) : record_print(r, f, width, false)))
		abort();
	fclose(f);
	return text;
}

static bool wait_no_more(void *arg)
{
	(void)arg;
	return false;
}

/* What is printed line by line is harmless, too. */
static void follow(const char *path)
{
	char *text = NULL;
	size_t len;
	const struct record_follow what = { .to = open_memstream(&text, &len),
					    .width = 60,
					    .wait = wait_no_more };
	const char *const paths[] = { path, NULL };
	struct record *r;

	if (!what.to)
		abort();
	if (!record_follow(&r, paths, NULL, &what, NULL))
		record_close(r, NULL);
	fclose(what.to);
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 && *c != '\n')
			abort();
	}
	free(text);
}

static void read_back(const uint8_t *data, size_t size)
{
	int fd = memfd_create("record", MFD_CLOEXEC);
	struct record *r;
	char path[32], *text;
	json_t *json;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!record_read(&r, path, NULL)) {
		text = record_to_text(r, true, 0);
		json = json_loads(text, 0, NULL);
		if (!json)
			abort();
		json_decref(json);
		free(text);
		free(record_to_text(r, false, 80));
		record_close(r, NULL);
	}
	lseek(fd, 0, SEEK_SET);
	follow(path);
	close(fd);
}

static void as_a_name(const uint8_t *data, size_t size)
{
	char name[REQUEST_NAME_MAX], *text;
	struct record *r;
	json_t *json;

	size = size < sizeof(name) - 1 ? size : sizeof(name) - 1;
	memcpy(name, data, size);
	name[size] = '\0';
	if (record_create(&r, NULL, NULL))
		return;
	record_event(r, 0, "event", name);
	text = record_to_text(r, true, 0);
	json = json_loads(text, 0, NULL);
	if (!json)
		abort();
	json_decref(json);
	free(text);
	text = record_to_text(r, false, 40);
	/* three lines, whatever the name holds */
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 && *c != '\n')
			abort();
	}
	free(text);
	record_close(r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	read_back(data, size);
	as_a_name(data, size);
	return 0;
}
