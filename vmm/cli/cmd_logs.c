// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm logs and vmm wait: print log and exit code of a guest that runs, or ran, in the background.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/ended.h"

static const char logs_help[] =
	"Usage: vmm logs [OPTION]... GUEST\n"
	"\n"
	"What the vmm of a guest that was started by `vmm run --detach` has written to stderr: warnings,\n"
	"and why it ended. If its stderr was a file, that has it instead. The guest's own console\n"
	"is for `vmm console`, or a file of --console file=PATH.\n"
	"\n"
	"Kept for 7 days after the guest's end, of the 20 guests that ended last; of what is said while\n"
	"the guest runs, the first MiB.\n"
	"\n"
	"Options:\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm logs web\n";

static const char wait_help[] =
	"Usage: vmm wait [OPTION]... GUEST\n"
	"\n"
	"Wait until a guest that was started by `vmm run --detach` has ended, and end with its exit code,\n"
	"as `vmm run` would have done (see vmm run --help). At once if it has ended already: that is known\n"
	"for 7 days, of the 20 guests that ended last. One with --no-shutdown has ended when its vmm has:\n"
	"`vmm ps` shows it as shutdown before.\n"
	"\n"
	"Options:\n"
	"      --json         print how it ended, machine-readable\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm wait web; echo $?\n";

/* Does cli_args_parse() with a guest, which must be given. */
static bool parse_guest(struct cli_args *a, int argc, char **argv, unsigned allowed,
			const char *help, int *code)
{
	if (!cli_args_parse(a, argc, argv, CLI_GUEST | allowed, help, code))
		return false;
	if (!a->guest)
		*code = cli_usage(argv[0], "say which guest; `vmm ps --all` lists them");
	return a->guest != NULL;
}

int cmd_logs(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int fd, ret;
	char buf[4096];
	struct err e;
	ssize_t n;

	if (!parse_guest(&a, argc, argv, 0, logs_help, &ret))
		return ret;
	fd = ended_open_log(a.guest, &e);
	if (fd < 0)
		return cli_fail(&e);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	ret = n < 0 ? -errno : 0;
	close(fd);
	if (!ret)
		return 0;
	err_set(&e, ret, "log of guest %s: %s", a.guest, strerror(-ret));
	return cli_fail(&e);
}

int cmd_wait(int argc, char **argv)
{
	struct cli_args a = { 0 };
	struct ended_guest g;
	struct err e;
	int ret;

	if (!parse_guest(&a, argc, argv, CLI_JSON, wait_help, &ret))
		return ret;
	ret = ended_wait(a.guest, &g, &e);
	if (!ret && !g.known)
		ret = err_set(&e, -EIO, "guest %s was killed without a word", a.guest);
	if (ret)
		return cli_fail(&e);
	if (a.json) {
		json_t *o = json_pack("{s:s, s:i, s:I}", "name", g.name, "exit-code", g.code,
				      "ended", (json_int_t)g.time);

		cli_print_json(o);
		json_decref(o);
	}
	return g.code;
}
