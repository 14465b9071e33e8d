// SPDX-License-Identifier: GPL-2.0-only
/* Prints vmm run --help, from the table of options. */
#include <string.h>

#include "vmm/cli/run_options.h"

#define COLUMN 24 /* where the explanations stand */

static const char head[] =
	"Usage: vmm run --kernel VMLINUZ [OPTION]...\n"
	"       vmm run --firmware seabios --disk FILE [OPTION]...\n"
	"Boot a Linux kernel, or a disk by its boot loader, in a virtual machine; its serial\n"
	"console is this terminal.\n";

static const char tail[] =
	"\n"
	"--config FILE stands for the options in FILE: keys are their names, what is repeatable takes a\n"
	"list, paths lead from FILE's directory. Options behind it win, or add to a list; what has no\n"
	"value is taken back by =false (--no-kaslr=false):\n"
	"  kernel = \"vmlinuz\"; cpus = 2; disk = ( \"root.img\", \"data.img,ro\" ); no-kaslr = true;\n"
	"\n"
	"On a terminal, Ctrl-a x ends the guest, Ctrl-a h shows help.\n"
	"\n"
	"Exit code: 0 power-off, 1 error, 2 usage, 10 reset (with --no-reboot),\n"
	"11 kernel panic, 12 triple fault, 13 KVM failed, 14 all CPUs halted, 15 Ctrl-a x,\n"
	"128+N ended by signal N. After an end that --no-shutdown outlived, its code.\n"
	"\n"
	"Examples:\n"
	"  vmm run --kernel /vmlinuz --initrd /initrd.img\n"
	"  vmm run --kernel /vmlinuz --initrd my.cpio --memory 1G --cpus 2 --disk data.img \\\n"
	"          --append \"quiet panic=-1\"\n"
	"  vmm run --config web/guest.conf --memory 4G\n"
	"  vmm run --firmware seabios --disk /usr/lib/ipxe/ipxe.iso,ro\n"
	"  vmm run --kernel /vmlinuz --initrd my.cpio --policy p.conf --driver a:lime.ko,path=/x\n";

/* Prints the explanation; the option itself has taken @used columns of its first line. */
static void explain_option(FILE *to, int used, const char *help)
{
	if (used > COLUMN - 2) {
		fputc('\n', to);
		used = 0;
	}
	while (*help) {
		int len = (int)strcspn(help, "\n");

		fprintf(to, "%*s%.*s\n", COLUMN - used, "", len, help);
		help += len + (help[len] == '\n');
		used = 0;
	}
}

static void describe_option(FILE *to, const struct run_option *opt)
{
	const char *form = opt->form ? opt->form : "";
	int used, len = (int)strcspn(form, "\n");

	used = fprintf(to, "  --%s%s%.*s", opt->name, *form ? " " : "", len, form);
	while (form[len]) {
		form += len + 1;
		len = (int)strcspn(form, "\n");
		used = fprintf(to, "\n  --%s %.*s", opt->name, len, form) - 1;
	}
	explain_option(to, used, opt->help);
}

void run_options_help(FILE *to)
{
	size_t n;
	const struct run_option *t = run_option_table(&n);

	fputs(head, to);
	for (size_t i = 0; i < n; i++) {
		if (t[i].name)
			describe_option(to, &t[i]);
		else
			fprintf(to, "\n%s:\n", t[i].help);
	}
	fputs(tail, to);
}
