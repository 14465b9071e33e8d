// SPDX-License-Identifier: GPL-2.0-only
/* The command vmm: finds and runs the subcommand, and reports output that was lost. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/suggest.h"
#include "base/version.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what; /* one line for `vmm help`; NULL: not listed */
} commands[] = {
	{ "run", cmd_run, "boot a guest" },
	{ "ps", cmd_ps, "list the guests that run" },
	{ "logs", cmd_logs, "show what the vmm of a detached guest has said" },
	{ "wait", cmd_wait, "wait for a detached guest's end, for its exit code" },
	{ "info", cmd_info, "show all about a running guest" },
	{ "console", cmd_console, "attach to the console of a running guest" },
	{ "stop", cmd_stop, "shut a guest down by its power button" },
	{ "kill", cmd_kill, "end a guest at once" },
	{ "reset", cmd_reset, "start a guest anew, as by its reset button" },
	{ "pause", cmd_pause, "take a guest's CPUs away for a while" },
	{ "resume", cmd_resume, "let a paused guest go on" },
	{ "nmi", cmd_nmi, "press a guest's NMI button" },
	{ "dump", cmd_dump, "write a guest's memory to a file, for crash and the like" },
	{ "inspect", cmd_inspect, "show where each import of a driver would lead" },
	{ "record", cmd_record, "show a record of requests" },
	{ "trace", cmd_trace, "follow the calls of drivers as they are made" },
	{ "driver", cmd_driver, "load, unload and list drivers of a running guest" },
	{ "session", cmd_session, "list the sessions of a running guest" },
	{ "disk", cmd_disk, "resize a disk of a running guest" },
	{ "memory", cmd_memory, "show a guest's memory, or ask the guest for some of it" },
	{ "prepare", cmd_prepare, "prepare kernels for the domains of libvirt" },
	{ "doctor", cmd_doctor, "say whether this machine's /dev/kvm runs stock kernels" },
	{ "dial-helper", cmd_dial_helper, NULL },
	{ "remove-helper", cmd_remove_helper, NULL },
	{ "emulator-probe", cmd_emulator_probe, NULL },
};

static void print_help(void)
{
	static const struct table_column columns[] = { { NULL, 0, 0 }, { NULL, 0, 0 } };
	struct table *t = table_create(columns, ARRAY_SIZE(columns));

	puts("Usage: vmm COMMAND [OPTION]...\n"
	     "Umbra boots stock Linux guests and isolates kernel drivers inside them.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!commands[i].what)
			continue;
		table_cell(t, "%s", commands[i].name);
		table_cell(t, "%s", commands[i].what);
	}
	cli_print_table(t, 2);
	puts("\nvmm help COMMAND and vmm COMMAND --help explain a command; so does man vmm-COMMAND.\n"
	     "\nExamples:\n"
	     "  vmm doctor\n"
	     "  vmm run --kernel /vmlinuz --initrd /initrd.img --memory 1G\n"
	     "  vmm run --detach --name web --disk web.img --kernel /vmlinuz; vmm console web\n"
	     "  vmm stop web\n"
	     "  vmm inspect --kernel /vmlinuz driver.ko");
}

/* Returns this program's command for a name that other programs use. */
static const char *foreign_command(const char *word)
{
	static const char *const known[][2] = {
		{ "list", "ps" },	{ "ls", "ps" },		{ "reboot", "reset" },
		{ "restart", "reset" }, { "shutdown", "stop" }, { "poweroff", "stop" },
		{ "destroy", "kill" },	{ "suspend", "pause" }, { "start", "run" },
		{ "create", "run" },	{ "boot", "run" },	{ "attach", "console" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(word, known[i][0]))
			return known[i][1];
	return NULL;
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_SIZE(commands)];
	const char *near = foreign_command(word);
	char hint[SUGGEST_HINT];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].what)
			names[n++] = commands[i].name;
	if (!near)
		near = suggest_of(word, names, n);
	fprintf(stderr, "vmm: unknown command \"%s\"%s\n", word,
		near ? suggest_hint(hint, near) : "; see `vmm help`");
	return EXIT_CODE_USAGE;
}

static const struct command *command_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(word, commands[i].name))
			return &commands[i];
	return NULL;
}

/* Carries out vmm help [COMMAND]. */
static int command_print_help(int argc, char **argv)
{
	char option[] = "--help", *args[] = { argv[1], option, NULL };
	const struct command *c;

	if (argc < 2) {
		print_help();
		return 0;
	}
	c = command_find(argv[1]);
	if (!c || !c->what)
		return unknown_command(argv[1]);
	return c->run(2, args);
}

/*
 * Opens a closed stdout read-only, so that writes to it still fail: otherwise the next file that is
 * opened would become stdout and get the output.
 */
static void keep_stdout(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0 || errno != EBADF)
		return;
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0 && fd != STDOUT_FILENO) {
		dup2(fd, STDOUT_FILENO);
		close(fd);
	}
}

/* Flushes stdout; returns @code, or an error if something that was printed has been lost. */
static int flush_stdout(int code)
{
	struct err e = { "" };
	int ret = cli_stdout_flush(0, &e) ? cli_fail(&e) : 0;

	return code ? code : ret;
}

static int command_dispatch(int argc, char **argv)
{
	const struct command *c;

	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return command_print_help(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		puts("vmm (Umbra) " VMM_VERSION);
		return 0;
	}
	c = command_find(argv[1]);
	return c ? c->run(argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("vmm: say which command; see `vmm help`\n", stderr);
		return EXIT_CODE_USAGE;
	}
	/* vmm run saves these system calls: detach.c checks stdout where it prints there. */
	if (strcmp(argv[1], "run") != 0)
		keep_stdout();
	return flush_stdout(command_dispatch(argc, argv));
}
