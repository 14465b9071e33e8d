// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "base/exit_code.h"
#include "base/suggest.h"
#include "vmm/cli/commands.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what; /* NULL: not for people */
} commands[] = {
	{ "run", cmd_run, "boot a guest" },
	{ "ps", cmd_ps, "list the guests that run" },
	{ "info", cmd_info, "show all about a running guest" },
	{ "console", cmd_console, "attach to the console of a running guest" },
	{ "stop", cmd_stop, "shut a guest down by its power button" },
	{ "kill", cmd_kill, "end a guest at once" },
	{ "reset", cmd_reset, "start a guest anew, as by its reset button" },
	{ "pause", cmd_pause, "take a guest's CPUs away for a while" },
	{ "resume", cmd_resume, "let a paused guest go on" },
	{ "inspect", cmd_inspect, "show where each import of a driver would lead" },
	{ "record", cmd_record, "show a record of requests" },
	{ "driver", cmd_driver, "load, unload and list drivers of a running guest" },
	{ "session", cmd_session, "list the sessions of a running guest" },
	{ "disk", cmd_disk, "resize a disk of a running guest" },
	{ "doctor", cmd_doctor, "say whether this machine's /dev/kvm runs stock kernels" },
	{ "dial-helper", cmd_dial_helper, NULL },
};

static void help(void)
{
	puts("Usage: vmm COMMAND [OPTION]...\n"
	     "Umbra boots stock Linux guests and isolates kernel drivers inside them.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].what)
			printf("  %-10s%s\n", commands[i].name, commands[i].what);
	puts("\nvmm help COMMAND and vmm COMMAND --help explain a command; so does man vmm-COMMAND.\n"
	     "\nExamples:\n"
	     "  vmm doctor\n"
	     "  vmm run --kernel /vmlinuz --initrd /initrd.img --memory 1G\n"
	     "  vmm run --detach --name web --disk web.img --kernel /vmlinuz; vmm console web\n"
	     "  vmm stop web\n"
	     "  vmm inspect --kernel /vmlinuz driver.ko");
}

static int unknown(const char *word)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].what)
			names[n++] = commands[i].name;
	near = suggest_of(word, names, n);
	if (near)
		fprintf(stderr, "vmm: unknown command \"%s\"; did you mean \"%s\"?\n", word, near);
	else
		fprintf(stderr, "vmm: unknown command \"%s\"; see vmm help\n", word);
	return VMM_EXIT_USAGE;
}

static const struct command *find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(word, commands[i].name))
			return &commands[i];
	return NULL;
}

/* vmm help [COMMAND] */
static int help_on(int argc, char **argv)
{
	char option[] = "--help", *args[] = { argv[1], option, NULL };
	const struct command *c;

	if (argc < 2) {
		help();
		return 0;
	}
	c = find(argv[1]);
	if (!c || !c->what)
		return unknown(argv[1]);
	return c->run(2, args);
}

int main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		fputs("vmm: which command? See vmm help\n", stderr);
		return VMM_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help_on(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		puts("vmm (Umbra) " VMM_VERSION);
		return 0;
	}
	c = find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : unknown(argv[1]);
}
