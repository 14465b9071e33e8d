// SPDX-License-Identifier: GPL-2.0-only
/* net-helper NET on|off|strict GID [USER]: the user-mode network's program; vmm run starts it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "vmm/backend/net-helper/name_server.h"
#include "vmm/backend/net-helper/slirp_server.h"
#include "vmm/confine/confine.h"
#include "vmm/confine/helper.h"
#include "vmm/confine/keeper.h"
#include "vmm/spec/spec_text.h"

/* Makes the directory's path a real one, without links; *out is the caller's to free. */
static int find_tftp(struct spec_net *n, char **out, struct err *e)
{
	if (!n->tftp)
		return 0;
	*out = realpath(n->tftp, NULL);
	if (!*out)
		return err_set(e, -errno, "--net %s: user %u cannot read %s: %s", n->text,
			       (unsigned)geteuid(), n->tftp, strerror(errno));
	n->tftp = *out;
	return 0;
}

/* Runs the server in its process; @arg: a struct slirp_server without its sockets. */
static int net_serve(void *arg, int channel, int link)
{
	struct slirp_server s = *(const struct slirp_server *)arg;
	struct err e = { "" };

	s.frames = channel;
	s.keeper = link;
	return slirp_server_run(&s, &e);
}

/*
 * Keeps the network's server running; @user: as net_open() has it, or NULL. The only file that is
 * opened by this process later on is /etc/resolv.conf. 0 or -errno.
 */
static int keep_network(const struct spec_net *n, enum confine_mode mode, const char *user)
{
	struct slirp_server s = { .net = n, .confine = mode, .user = user };
	char what[sizeof(((struct err *)0)->text)];
	const struct keeper_job job = {
		.what = what,
		.process = "its process",
		.loss = "the guest's link is down",
		.name = "vmm-net",
		.run = net_serve,
		.answer = name_server_line,
		.arg = &s,
	};

	snprintf(what, sizeof(what), "--net %s", n->text);
	return keeper_run(&job);
}

int main(int argc, char **argv)
{
	struct spec_net n;
	struct err e = { "" };
	enum confine_mode mode;
	char *tftp = NULL;
	int ret;

	if (argc < 4 || argc > 5 || confine_mode_find(argv[2], &mode)) {
		fputs("net-helper: it is started by vmm run --net user, not by people\n", stderr);
		return EXIT_CODE_USAGE;
	}
	prctl(PR_SET_NAME, "vmm-net-keeper", 0, 0, 0); /* for ps and top */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN); /* NOLINT(cert-err33-c): libslirp's sends */
	confine_map_group(mode, (gid_t)strtoul(argv[3], NULL, 10));
	ret = spec_parse_net(&n, argv[1], &e);
	if (!ret)
		ret = find_tftp(&n, &tftp, &e);
	if (ret)
		helper_send(HELPER_FD, e.text, strlen(e.text), -1);
	else
		ret = keep_network(&n, mode, argv[4]);
	free(tftp);
	free(n.buf);
	return ret ? EXIT_CODE_ERROR : 0;
}
