// SPDX-License-Identifier: GPL-2.0-only
/* Answers block_resize and umbra-disk-resize. */
#include "vmm/monitor/block_resize.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/backend/platform.h"
#include "vmm/control/control.h"

#define NO_DISK ((size_t)-1)

static size_t find_disk(const struct platform *p, const char *name)
{
	struct platform_disk d;
	char device[32], node[32];
	size_t n = platform_disk_count(p);

	for (size_t i = 0; i < n; i++) {
		platform_disk(p, i, &d);
		snprintf(device, sizeof(device), "disk%zu", i);
		snprintf(node, sizeof(node), "node%zu", i);
		if (!strcmp(name, device) || !strcmp(name, node) ||
		    (d.spec->serial && !strcmp(name, d.spec->serial)))
			return i;
	}
	return NO_DISK;
}

/* Returns the disk that @name means, or NO_DISK and the request is answered. */
static size_t disk_find_or_fail(const struct platform *p, struct control_request *r,
				const char *name)
{
	size_t n = platform_disk_count(p), i = name ? find_disk(p, name) : NO_DISK;
	char line[200];

	if (i != NO_DISK)
		return i;
	if (!name)
		snprintf(line, sizeof(line), "which disk? \"device\" or \"node-name\" is missing");
	else if (!n)
		snprintf(line, sizeof(line), "this guest has no disk");
	else
		snprintf(line, sizeof(line),
			 "there is no disk \"%.60s\"; the last one is disk%zu (or node%zu, or the "
			 "serial= of it)",
			 name, n - 1, n - 1);
	control_fail(r, line);
	return NO_DISK;
}

/* Resizes disk @i. On -errno the request is answered. */
static int resize_disk(struct platform *p, struct control_request *r, size_t i, json_int_t size)
{
	char line[600];
	struct err e;
	int ret = platform_disk_resize(p, i, (u64)size, &e);

	if (!ret)
		return 0;
	if (ret == -EINVAL && !size)
		err_set(&e, ret, "only a block device has a size of its own; say which one");
	snprintf(line, sizeof(line), "disk%zu cannot be resized: %s", i, e.text);
	control_fail(r, line);
	return ret;
}

/* Returns the new size, or -1 and the request is answered. */
static json_int_t disk_size_or_fail(struct control_request *r, const json_t *args)
{
	const json_t *size = json_object_get(args, "size");

	if (json_is_integer(size) && json_integer_value(size) >= 0)
		return json_integer_value(size);
	control_fail(r, "\"size\" is missing: a number of bytes");
	return -1;
}

static void block_resize(void *arg, struct control_request *r, const json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "node-name"));
	json_int_t size;
	size_t i;

	if (!name)
		name = json_string_value(json_object_get(args, "device"));
	i = disk_find_or_fail(arg, r, name);
	if (i == NO_DISK)
		return;
	size = disk_size_or_fail(r, args);
	if (size >= 0 && !resize_disk(arg, r, i, size))
		control_reply(r, NULL);
}

static void disk_resize(void *arg, struct control_request *r, const json_t *args)
{
	size_t i = disk_find_or_fail(arg, r, json_string_value(json_object_get(args, "disk")));
	struct platform_disk d;
	json_int_t size, old;
	char line[200];

	if (i == NO_DISK)
		return;
	size = disk_size_or_fail(r, args);
	if (size < 0)
		return;
	platform_disk(arg, i, &d);
	old = (json_int_t)d.size;
	if (json_is_true(json_object_get(args, "more")))
		size = size > INT64_MAX - old ? INT64_MAX : old + size;
	/* A block device (size 0) has been made smaller already; nothing is left to protect. */
	if (size && size < old && !json_is_true(json_object_get(args, "shrink"))) {
		snprintf(line, sizeof(line),
			 "disk%zu has %lld bytes; what is behind the new end would be lost: say "
			 "--shrink if that is meant",
			 i, (long long)old);
		control_fail(r, line);
		return;
	}
	if (resize_disk(arg, r, i, size))
		return;
	platform_disk(arg, i, &d);
	control_reply(r, json_pack("{s:I, s:I}", "old-size", old, "size", (json_int_t)d.size));
}

int block_resize_add_commands(struct control *c, struct platform *p)
{
	static const struct control_command commands[] = {
		{ "block_resize", block_resize },
		{ "umbra-disk-resize", disk_resize },
		{ NULL, NULL },
	};

	return control_add(c, commands, p);
}
