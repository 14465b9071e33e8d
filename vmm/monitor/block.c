// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers QMP's questions about disks, as QEMU 7.2's qapi/block-core.json describes them; limits
 * and caches that Umbra does not have are 0. A disk of vhost-user is no block node, as in QEMU: its
 * image is another process's.
 */
#include <stdio.h>

#include "vmm/backend/platform.h"
#include "vmm/monitor/monitor_int.h"

/*
 * The names of a disk in all its forms: device, node, and the device in the guest's tree. One
 * number has them all, unless options do. As in QEMU, "device" is for those without an id.
 */
struct disk_names {
	char device[SPEC_ID_MAX + 1], node[SPEC_ID_MAX + 1], qdev[SPEC_ID_MAX + 48];
};

static void name_disk(struct disk_names *n, const struct spec_disk *spec, size_t i)
{
	spec_disk_name(spec, i, n->device);
	spec_disk_node(spec, i, n->node);
	snprintf(n->qdev, sizeof(n->qdev), "/machine/peripheral/%s/virtio-backend", n->device);
	if (*spec->dev.id)
		n->device[0] = '\0';
}

static json_t *describe_image(const struct platform_disk *d)
{
	return json_pack("{s:s, s:s, s:I, s:b}", "filename", d->spec->path, "format", "raw",
			 "virtual-size", (json_int_t)d->size, "dirty-flag", 0);
}

/* Describes a disk as BlockDeviceInfo. */
static json_t *describe_node(const struct platform_disk *d, const char *node)
{
	json_t *image = describe_image(d);

	/* A file name that is no UTF-8 is left out: JSON cannot hold it. */
	if (!image)
		image = json_pack("{s:s, s:s, s:I, s:b}", "filename", "?", "format", "raw",
				  "virtual-size", (json_int_t)d->size, "dirty-flag", 0);
	return json_pack("{s:O, s:o, s:s, s:b, s:s, s:b, s:i, s:s, s:{s:b, s:b, s:b},"
			 " s:i, s:i, s:i, s:i, s:i, s:i, s:i}",
			 "file", json_object_get(image, "filename"), "image", image, "node-name",
			 node, "ro", d->readonly, "drv", "raw", "encrypted", 0,
			 "backing_file_depth", 0, "detect_zeroes", "off", "cache", "writeback", 1,
			 "direct", d->spec->direct, "no-flush", 0, "bps", 0, "bps_rd", 0, "bps_wr",
			 0, "iops", 0, "iops_rd", 0, "iops_wr", 0, "write_threshold", 0);
}

typedef json_t *describe_disk_fn(const struct platform_disk *d, const struct disk_names *name);

/* Replies with a list of @describe's objects, of all disks but those of vhost-user. */
static void reply_with_disks(const struct monitor *mon, struct control_request *r,
			     describe_disk_fn *describe)
{
	size_t n = mon->platform ? platform_disk_count(mon->platform) : 0;
	json_t *list = json_array();
	struct platform_disk d;
	struct disk_names name;

	for (size_t i = 0; i < n; i++) {
		platform_disk(mon->platform, i, &d);
		if (d.spec->vhost_user)
			continue;
		name_disk(&name, d.spec, i);
		json_array_append_new(list, describe(&d, &name));
	}
	control_reply(r, list);
}

static json_t *describe_device(const struct platform_disk *d, const struct disk_names *name)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o}", "device", name->device, "qdev",
			 name->qdev, "type", "unknown", "removable", 0, "locked", 0, "inserted",
			 describe_node(d, name->node));
}

static void query_block(void *arg, struct control_request *r, const json_t *args)
{
	(void)args;
	reply_with_disks(arg, r, describe_device);
}

static json_t *describe_named_node(const struct platform_disk *d, const struct disk_names *name)
{
	return describe_node(d, name->node);
}

static void query_nodes(void *arg, struct control_request *r, const json_t *args)
{
	(void)args;
	reply_with_disks(arg, r, describe_named_node);
}

/*
 * Describes a disk's counts as BlockDeviceStats. Durations of requests are not measured: they are
 * 0, as the schema has no other way.
 */
static json_t *describe_stats(const struct blk_stats *s)
{
	static const struct {
		const char *prefix;
		enum blk_kind kind;
		bool bytes;
	} kinds[] = {
		{ "rd", BLK_KIND_READ, true },
		{ "wr", BLK_KIND_WRITE, true },
		{ "flush", BLK_KIND_FLUSH, false },
		{ "unmap", BLK_KIND_UNMAP, true },
	};
	json_t *o = json_pack("{s:I, s:b, s:b, s:[]}", "wr_highest_offset", (json_int_t)s->highest,
			      "account_invalid", 0, "account_failed", 0, "timed_stats");
	char key[48];

	for (size_t i = 0; i < ARRAY_SIZE(kinds) && o; i++) {
		const char *p = kinds[i].prefix;
		enum blk_kind k = kinds[i].kind;

		snprintf(key, sizeof(key), "%s_operations", p);
		json_object_set_new(o, key, json_integer((json_int_t)s->of[k].done));
		snprintf(key, sizeof(key), "failed_%s_operations", p);
		json_object_set_new(o, key, json_integer((json_int_t)s->of[k].failed));
		snprintf(key, sizeof(key), "invalid_%s_operations", p);
		json_object_set_new(o, key, json_integer(0));
		snprintf(key, sizeof(key), "%s_total_time_ns", p);
		json_object_set_new(o, key, json_integer(0));
		if (!kinds[i].bytes)
			continue;
		snprintf(key, sizeof(key), "%s_bytes", p);
		json_object_set_new(o, key, json_integer((json_int_t)s->of[k].bytes));
		snprintf(key, sizeof(key), "%s_merged", p);
		json_object_set_new(o, key, json_integer(0));
	}
	return o;
}

static json_t *describe_node_stats(const struct platform_disk *d, const struct disk_names *name)
{
	return json_pack("{s:s, s:o}", "node-name", name->node, "stats", describe_stats(&d->stats));
}

static json_t *describe_device_stats(const struct platform_disk *d, const struct disk_names *name)
{
	return json_pack("{s:s, s:o, s:s, s:s}", "node-name", name->node, "stats",
			 describe_stats(&d->stats), "device", name->device, "qdev", name->qdev);
}

static void query_stats(void *arg, struct control_request *r, const json_t *args)
{
	bool nodes = json_is_true(json_object_get(args, "query-nodes"));

	reply_with_disks(arg, r, nodes ? describe_node_stats : describe_device_stats);
}

const struct control_command monitor_block_commands[] = {
	{ "query-block", query_block },
	{ "query-named-block-nodes", query_nodes },
	{ "query-blockstats", query_stats },
	{ NULL, NULL },
};
