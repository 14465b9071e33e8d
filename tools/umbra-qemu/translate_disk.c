// SPDX-License-Identifier: GPL-2.0-only
/* Translates a disk: the device, and the block nodes below it, down to the file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/umbra-qemu/translate_int.h"

#define NODES_MAX 4 /* one below another; libvirt has two for a raw image */

/* What the nodes of a disk say together. */
struct disk {
	const char *file;
	bool readonly, direct;
	const char *aio; /* or NULL */
};

/* Takes what every kind of node may have; it is the same for vmm's file. */
static int take_node(struct disk *d, struct option_values *v, struct err *e)
{
	const char *aio, *text;
	int ret;

	values_take(v, "node-name");
	/* The host's cache may be written later in any case: a flush of the guest is one. */
	ret = values_accept(v, "cache.no-flush", "on|off", e);
	if (!ret)
		ret = values_accept(v, "cache.direct", "on|off", e);
	if (!ret)
		ret = values_accept(v, "read-only", "on|off", e);
	if (!ret)
		ret = values_accept(v, "auto-read-only", "on|off", e);
	if (!ret)
		ret = values_accept(v, "discard", "unmap|ignore", e);
	if (!ret)
		ret = values_accept(v, "detect-zeroes", "off", e);
	if (!ret)
		ret = values_accept(v, "aio", "threads|native|io_uring", e);
	text = values_look(v, "cache.direct");
	d->direct |= text && !strcmp(text, "on");
	text = values_look(v, "read-only");
	d->readonly |= text && !strcmp(text, "on");
	aio = values_look(v, "aio");
	if (aio)
		d->aio = aio;
	return ret;
}

/*
 * Finds node @name, on which nothing is yet but, in a circle, one of the @n nodes of @above. NULL
 * and a line: there is none.
 */
static struct option_values *find_node(struct translation *t, struct option_values **above,
				       unsigned n, const char *name, struct err *e)
{
	struct option_values *v = group_find(&t->blockdevs, "node-name", name);
	bool circle = false;

	for (unsigned i = 0; i < n; i++)
		circle |= above[i] == v;
	if (v && (circle || values_untouched(v)))
		return v;
	err_set(e, -EINVAL, "-blockdev node-name=%.80s %s", name,
		v ? "has something on it already" : "is missing");
	return NULL;
}

/* Follows the nodes from @name down to the file. */
static int follow_nodes(struct translation *t, struct disk *d, const char *name, struct err *e)
{
	struct option_values *nodes[NODES_MAX];

	for (unsigned i = 0; i < NODES_MAX; i++) {
		struct option_values *v = find_node(t, nodes, i, name, e);
		const char *driver;
		int ret;

		if (!v)
			return -EINVAL;
		nodes[i] = v;
		ret = values_need(v, "driver", &driver, e);
		if (!ret)
			ret = take_node(d, v, e);
		if (ret)
			return ret;
		if (!strcmp(driver, "file") || !strcmp(driver, "host_device")) {
			ret = values_need(v, "filename", &d->file, e);
			return ret ? ret : values_end(v, e);
		}
		if (strcmp(driver, "raw") != 0)
			return values_refuse(v, "driver", driver,
					     "a raw image (qemu-img convert -O raw makes one) or a "
					     "block device, with <driver type='raw'/>",
					     e);
		ret = values_need(v, "file", &name, e);
		if (!ret)
			ret = values_end(v, e);
		if (ret)
			return ret;
	}
	return err_set(e, -EINVAL, "-blockdev: too many nodes, one below another");
}

/* Checks what vmm would read in another way: its options are words behind commas. */
static int check_disk(const struct disk *d, const char *serial, const char *node, struct err *e)
{
	if (!d->file || *d->file != '/')
		return err_set(e, -EINVAL,
			       "-blockdev: filename=%.200s is not supported; want an "
			       "absolute path",
			       d->file ? d->file : "");
	if (strchr(d->file, ','))
		return err_set(e, -EINVAL,
			       "-blockdev: filename=%.200s is not supported; want one "
			       "without a comma",
			       d->file);
	if (serial && strchr(serial, ','))
		return err_set(e, -EINVAL,
			       "-device: serial=%.80s is not supported; want one "
			       "without a comma",
			       serial);
	if (strchr(node, ','))
		return err_set(e, -EINVAL,
			       "-blockdev: node-name=%.80s is not supported; want one "
			       "without a comma",
			       node);
	return 0;
}

int translate_disk(struct translation *t, struct option_values *v, struct err *e)
{
	struct disk d = { .file = NULL };
	const char *node, *serial;
	struct device_place place;
	char more[400] = "";
	u64 queues = 0, bootindex;
	int ret = values_need(v, "drive", &node, e);

	if (!ret)
		ret = device_place(t, v, &place, e);
	if (!ret)
		ret = values_number(v, "bootindex", UINT32_MAX, &bootindex, e);
	if (!ret)
		ret = values_number(v, "num-queues", 1024, &queues, e);
	/* A flush of the guest is one of the host's, and only that. */
	if (!ret)
		ret = values_accept(v, "write-cache", "on", e);
	if (ret)
		return ret;
	serial = values_take(v, "serial");
	ret = values_end(v, e);
	if (!ret)
		ret = follow_nodes(t, &d, node, e);
	if (!ret)
		ret = check_disk(&d, serial, node, e);
	if (ret)
		return ret;
	if (queues)
		snprintf(more, sizeof(more), ",queues=%llu", (unsigned long long)queues);
	/* The kernel's older interface (native) is to be as the newer one, where that is of use. */
	if (d.aio && strcmp(d.aio, "native") != 0)
		snprintf(more + strlen(more), sizeof(more) - strlen(more), ",aio=%s", d.aio);
	add_place(more, sizeof(more), &place);
	return words_pair(&t->out->args, "--disk", e, "%s%s%s%s%s%s,node=%s", d.file,
			  d.readonly ? ",ro" : "", d.direct ? ",direct" : "",
			  serial ? ",serial=" : "", serial ? serial : "", more, node);
}
