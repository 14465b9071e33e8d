// SPDX-License-Identifier: GPL-2.0-only
/* Gives a disk of a running guest another size. */
#include <stdio.h>

#include "base/exit_code.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/spec/size.h"

static const char help[] =
	"Usage: vmm disk resize DISK [SIZE]\n"
	"\n"
	"Give a disk of a running guest another size. The guest's driver learns of it at once;\n"
	"partitions and file systems are the guest's own to resize (growpart, resize2fs).\n"
	"\n"
	"  DISK   disk0, disk1, ... in the order of --disk (vmm info shows them), or what was given\n"
	"         as its serial=\n"
	"  SIZE   such as 20G or 512M: all of it; or +SIZE, that much more\n"
	"\n"
	"An image file is made longer or shorter. A block device is resized first (lvextend, say); then\n"
	"the guest is told, and SIZE is not needed: if it is given, the device must have it. A\n"
	"vhost-user disk is resized in the process that serves it.\n"
	"\n"
	"Options:\n"
	"  -g, --guest NAME   which guest (default: the only one that runs)\n"
	"      --shrink       the new size may be smaller; what is behind it is lost\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm disk resize disk0 20G\n"
	"  vmm disk resize --guest web disk1 +512M\n"
	"  lvextend -L +1G vg/web && vmm disk resize disk0\n";

struct resize_request {
	const char *guest, *disk;
	u64 size;  /* 0: the size that its block device has now */
	bool more; /* @size is added */
	bool shrink, json;
};

static int request_resize(const struct resize_request *r)
{
	json_t *args = json_pack("{s:s, s:I, s:b, s:b}", "disk", r->disk, "size",
				 (json_int_t)r->size, "more", r->more, "shrink", r->shrink);
	json_t *out = NULL;
	struct err e;

	if (client_call_once(r->guest, "umbra-disk-resize", args, &out, &e))
		return cli_fail(&e);
	if (r->json)
		cli_print_json(out);
	else
		printf("%s: %lld bytes, was %lld\n", r->disk, cli_json_number(out, "size"),
		       cli_json_number(out, "old-size"));
	json_decref(out);
	return 0;
}

int cmd_disk(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "resize", 1, 2, "say which DISK" },
		{ NULL, 0, 0, NULL },
	};
	struct cli_args a = { 0 };
	struct resize_request r;
	const char *size;
	int ret;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_JSON | CLI_SHRINK | CLI_WORDS, help,
			    &ret))
		return ret;
	if (!cli_verb("disk", &a, verbs) || cli_want_utf8("disk", a.words[1]))
		return EXIT_CODE_USAGE;
	r = (struct resize_request){
		.guest = a.guest, .disk = a.words[1], .shrink = a.shrink, .json = a.json
	};
	if (a.n_words == 2)
		return request_resize(&r);
	size = a.words[2];
	r.more = *size == '+';
	if (size_parse(size + r.more, &r.size) || !r.size || r.size > INT64_MAX)
		return cli_usage("disk", "%s: want a size such as 20G, or +2G for so much more",
				 size);
	return request_resize(&r);
}
