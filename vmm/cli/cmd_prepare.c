// SPDX-License-Identifier: GPL-2.0-only
/* vmm prepare: prepares kernels for guests of all users that libvirt starts. */
#include <stdio.h>

#include "vmm/boot/kernel_cache.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"

static const char help[] =
	"Usage: vmm prepare [OPTION]... KERNEL...\n"
	"\n"
	"Prepare kernels (bzImage, as /boot/vmlinuz) for domains of libvirt and other guests of --confine\n"
	"managed, whoever their user is, in /var/cache/umbra: a start then reads what it needs in place of\n"
	"decompressing the kernel, which takes up to a second. A guest of vmm run that is started again has\n"
	"that by itself; a domain of libvirt never, since its cache is removed with it. Only root can\n"
	"prepare for others, and does not for kernels that not all users may read.\n"
	"\n"
	"A start recognizes a kernel by its bytes, so a copy will do. Up to 8 kernels stay, the oldest\n"
	"leave; one that is prepared again counts as new.\n"
	"\n"
	"Options:\n"
	"  -h, --help  this text\n"
	"\n"
	"Examples:\n"
	"  vmm prepare /var/lib/umbra/vmlinuz\n"
	"  vmm prepare /boot/vmlinuz-*\n";

int cmd_prepare(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int ret, status = 0;
	struct err e;

	if (!cli_args_parse(&a, argc, argv, CLI_WORDS, help, &ret))
		return ret;
	if (!a.n_words)
		return cli_usage("prepare", "say which KERNEL");
	for (size_t i = 0; i < (size_t)a.n_words; i++) {
		if (kernel_cache_share(a.words[i], &e))
			status = cli_fail(&e);
		else
			printf("%s: prepared\n", a.words[i]);
	}
	return status;
}
