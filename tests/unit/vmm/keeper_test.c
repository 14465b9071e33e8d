// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the keeper with servers that hang up, say nothing or die before they are ready, and this
 * test as its VMM: each is told in one line, and none keeps the keeper busy.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/child.h"
#include "vmm/confine/helper.h"
#include "vmm/confine/keeper.h"

#define PATIENCE_MS 3000

/* Starts a keeper of servers that run @run; *vmm: the VMM's end. */
static pid_t keeper_start(int (*run)(void *arg, int channel, int link), int *vmm)
{
	struct keeper_job job = { .what = "--test",
				  .process = "its process",
				  .loss = "nothing works",
				  .name = "server",
				  .run = run };
	int pair[2];
	pid_t pid;

	assert_int_equal(helper_pair(pair), 0);
	pid = child_fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		close(pair[0]); /* which may be HELPER_FD */
		dup2(pair[1], HELPER_FD);
		_exit(keeper_run(&job) ? 1 : 0);
	}
	close(pair[1]);
	*vmm = pair[0];
	return pid;
}

static enum keeper_news await_news(int vmm, int *channel, struct err *why)
{
	struct pollfd p = { .fd = vmm, .events = POLLIN };

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("the keeper says nothing");
	return keeper_read(vmm, channel, why);
}

static void keeper_end(pid_t pid, int vmm)
{
	close(vmm);
	child_await(pid, NULL);
}

/* Checks that the first server is not ready for the reason @want, and that the keeper ends. */
static void check_first(int (*run)(void *arg, int channel, int link), const char *want)
{
	int vmm, channel;
	pid_t pid = keeper_start(run, &vmm);
	struct err why;

	assert_int_equal(await_news(vmm, &channel, &why), KEEPER_DOWN);
	assert_string_equal(why.text, want);
	assert_int_equal(await_news(vmm, &channel, &why), KEEPER_GONE);
	keeper_end(pid, vmm);
}

static int run_and_hang_up(void *arg, int channel, int link)
{
	(void)arg;
	(void)link;
	close(channel);
	pause();
	return 0;
}

static void one_that_hangs_up_is_ended(void **state)
{
	(void)state;
	check_first(run_and_hang_up, "--test: its process has hung up before it was ready");
}

static int run_and_say_nothing(void *arg, int channel, int link)
{
	(void)arg;
	(void)link;
	if (send(channel, "", 0, 0))
		return -errno;
	pause();
	return 0;
}

static void an_empty_packet_is_no_news(void **state)
{
	(void)state;
	check_first(run_and_say_nothing, "--test: its process has hung up before it was ready");
}

static int run_and_die(void *arg, int channel, int link)
{
	(void)arg;
	(void)channel;
	(void)link;
	return raise(SIGKILL);
}

static void one_that_dies_at_once_is_told(void **state)
{
	(void)state;
	check_first(run_and_die, "--test: its process has ended (signal 9, Killed)");
}

static int run_well(void *arg, int channel, int link)
{
	char any;

	(void)arg;
	(void)link;
	if (send(channel, "", 1, 0) != 1)
		return -errno;
	/* The VMM's first word ends it. */
	poll(&(struct pollfd){ .fd = channel, .events = POLLIN }, 1, -1);
	return recv(channel, &any, 1, 0) == 1 ? 0 : -EPIPE;
}

static void one_that_ends_is_started_again(void **state)
{
	int vmm, channel, none;
	pid_t pid = keeper_start(run_well, &vmm);
	struct err why;

	(void)state;
	assert_int_equal(await_news(vmm, &channel, &why), KEEPER_UP);
	assert_int_equal(send(channel, "", 1, 0), 1);
	assert_int_equal(await_news(vmm, &none, &why), KEEPER_DOWN);
	assert_string_equal(why.text, "--test: its process has ended (exit code 0); nothing works "
				      "until it is started again");
	close(channel);
	assert_int_equal(await_news(vmm, &channel, &why), KEEPER_UP);
	close(channel);
	keeper_end(pid, vmm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_hangs_up_is_ended),
		cmocka_unit_test(an_empty_packet_is_no_news),
		cmocka_unit_test(one_that_dies_at_once_is_told),
		cmocka_unit_test(one_that_ends_is_started_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
