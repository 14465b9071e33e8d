// SPDX-License-Identifier: GPL-2.0-only
/* Answers block_resize and umbra-disk-resize. */
#include "vmm/monitor/block_resize.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/backend/platform.h"
#include "vmm/control/control.h"

#define NO_DISK ((size_t)-1)

static size_t find_disk(const struct platform *p, const char *name)
{
	struct platform_disk d;
	char device[SPEC_ID_MAX + 1], node[SPEC_ID_MAX + 1];
	size_t n = platform_disk_count(p);

	for (size_t i = 0; i < n; i++) {
		platform_disk(p, i, &d);
		spec_disk_name(d.spec, i, device);
		spec_disk_node(d.spec, i, node);
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
	char line[400], device[SPEC_ID_MAX + 1], node[SPEC_ID_MAX + 1];
	struct platform_disk d;

	if (i != NO_DISK)
		return i;
	if (!name)
		snprintf(line, sizeof(line), "which disk? \"device\" or \"node-name\" is missing");
	else if (!n)
		snprintf(line, sizeof(line), "this guest has no disk");
	else {
		platform_disk(p, n - 1, &d);
		spec_disk_name(d.spec, n - 1, device);
		spec_disk_node(d.spec, n - 1, node);
		snprintf(line, sizeof(line),
			 "there is no disk \"%.60s\"; the last one is %s (or %s, or the "
			 "serial= of it)",
			 name, device, node);
	}
	control_fail(r, line);
	return NO_DISK;
}

/* A resize that is under way. */
struct resize {
	struct control_request *r; /* NULL: it is answered */
	struct platform *p;
	size_t i;
	json_int_t old, size;
	bool sizes; /* the answer has the sizes */
};

static json_t *resize_answer(const struct resize *z)
{
	struct platform_disk d;

	if (!z->sizes)
		return NULL;
	platform_disk(z->p, z->i, &d);
	return json_pack("{s:I, s:I}", "old-size", z->old, "size", (json_int_t)d.size);
}

/* Answers that the disk was not resized. */
static void resize_refuse(const struct resize *z, int ret, const char *why)
{
	char line[600], disk[SPEC_ID_MAX + 1];
	struct platform_disk d;

	platform_disk(z->p, z->i, &d);
	spec_disk_name(d.spec, z->i, disk);
	if (ret == -EINVAL && !z->size)
		why = "only a block device has a size of its own; say which one";
	snprintf(line, sizeof(line), "%s cannot be resized: %s", disk, why);
	control_fail(z->r, line);
}

/* Answers that it may take for ever, and that it cannot be taken back. */
static void resize_answer_early(struct resize *z)
{
	struct platform_disk d;
	char line[600], disk[SPEC_ID_MAX + 1];

	platform_disk(z->p, z->i, &d);
	spec_disk_name(d.spec, z->i, disk);
	snprintf(line, sizeof(line),
		 "%s is not resized yet: this host's kernel does not answer for %.400s; it is "
		 "when that does, as `vmm info` shows then",
		 disk, d.spec->path);
	control_fail(z->r, line);
	z->r = NULL;
}

/* Tells people what the client that asked was not told: it had its answer. */
static void resize_note_late(const struct resize *z, const char *why)
{
	struct platform_disk d;

	platform_disk(z->p, z->i, &d);
	note_put(platform_notes(z->p), "--disk %s: was not resized after all: %s", d.spec->path,
		 why);
}

static void disk_has_size(void *arg, int ret, const char *why)
{
	struct resize *z = arg;

	if (ret == -EINPROGRESS) {
		resize_answer_early(z);
		return;
	}
	if (z->r && ret)
		resize_refuse(z, ret, why);
	else if (z->r)
		control_reply(z->r, resize_answer(z));
	else if (ret)
		resize_note_late(z, why);
	free(z);
}

/* Begins a resize; from here on the request is answered. */
static void resize_begin(const struct resize *want)
{
	struct resize *z = malloc(sizeof(*z));
	struct err e;
	int ret;

	if (!z) {
		control_fail(want->r, "out of memory");
		return;
	}
	*z = *want;
	ret = platform_disk_resize(z->p, z->i, (u64)z->size, disk_has_size, z, &e);
	if (!ret)
		return;
	resize_refuse(z, ret, e.text);
	free(z);
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
	if (size >= 0)
		resize_begin(&(struct resize){ .r = r, .p = arg, .i = i, .size = size });
}

static void disk_resize(void *arg, struct control_request *r, const json_t *args)
{
	size_t i = disk_find_or_fail(arg, r, json_string_value(json_object_get(args, "disk")));
	struct platform_disk d;
	json_int_t size, old;
	char line[300], name[SPEC_ID_MAX + 1];

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
		spec_disk_name(d.spec, i, name);
		snprintf(line, sizeof(line),
			 "%s has %lld bytes; what is behind the new end would be lost: say "
			 "--shrink if that is meant",
			 name, (long long)old);
		control_fail(r, line);
		return;
	}
	resize_begin(&(struct resize){
		.r = r, .p = arg, .i = i, .old = old, .size = size, .sizes = true });
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
