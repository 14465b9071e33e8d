// SPDX-License-Identifier: GPL-2.0-only
/* Counts the system calls of a start, by tracing a second one. */
#include "vmm/cli/syscount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYSCALL_STOP (SIGTRAP | 0x80) /* PTRACE_O_TRACESYSGOOD */
#define PATIENCE_S   20

/* Becomes the command in the child process, with nothing of the user's on its descriptors. */
static void syscount_exec(int argc, char **argv)
{
	char **args = calloc((size_t)argc + 3, sizeof(*args));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), n = 0;
	char pid[24], self[] = "/proc/self/exe", name[] = "vmm", once[] = "--stats=false";

	if (!args || null < 0)
		_exit(127);
	args[n++] = name;
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	/* Also if a file of --config says that it shall count. */
	args[n++] = once;
	/* The probe's guests are not the one whose first KVM_RUN ends the count. */
	setenv("UMBRA_KVM_KNOWN", "1", 1);
	/* systemd's sockets were for the process that counts. */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (getenv("LISTEN_PID"))
		setenv("LISTEN_PID", pid, 1);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	alarm(PATIENCE_S);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(127);
	execv(self, args);
	_exit(127);
}

/* Counts the entry of a call; true at the first KVM_RUN. */
static bool on_syscall(pid_t tid, u64 *calls)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	if (info.entry.nr == SYS_ioctl && info.entry.args[1] == KVM_RUN)
		return true;
	*calls += 1;
	return false;
}

/*
 * Lets the traced start end, uncounted. It was stopped on its way into KVM_RUN, which is made to
 * fail with ENOSYS, so that it ends by itself, in good order. Were it killed, its control socket
 * would be left over, and the true start would wait until that is old enough to count as a
 * leftover.
 */
static void syscount_let_tracee_end(pid_t tid)
{
	int status, sig = 0;

	if (ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L))
		return;
	while (!ptrace(PTRACE_CONT, tid, NULL, sig) || errno == ESRCH) {
		do {
			tid = waitpid(-1, &status, __WALL);
		} while ((tid < 0 && errno == EINTR) || (tid > 0 && !WIFSTOPPED(status)));
		if (tid < 0)
			return;
		sig = WSTOPSIG(status) & ~0x80;
		if (sig == SIGTRAP || sig == SIGSTOP)
			sig = 0;
	}
}

/*
 * Returns the number of calls; 0: the start ended before it ran a guest. *vmm: the thread that is
 * about to run one, perhaps of a child's child.
 */
static u64 syscount_trace(pid_t child, pid_t *vmm)
{
	u64 calls = 0;
	int status;

	while (1) {
		pid_t tid = waitpid(-1, &status, __WALL);
		int sig = 0;

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0 || (tid == child && (WIFEXITED(status) || WIFSIGNALED(status))))
			return 0;
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == SYSCALL_STOP) {
			if (on_syscall(tid, &calls)) {
				*vmm = tid;
				return calls;
			}
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			sig = WSTOPSIG(status);
		}
		ptrace(PTRACE_SYSCALL, tid, NULL, sig);
	}
}

u64 syscount_start(int argc, char **argv)
{
	u64 calls = 0;
	int status;
	pid_t child = fork(), vmm = 0;

	if (child < 0)
		return 0;
	if (child == 0)
		syscount_exec(argc, argv);
	/* The child stops after the exec, whose own call is added to the count. */
	if (waitpid(child, &status, __WALL) == child && WIFSTOPPED(status)) {
		if (!ptrace(PTRACE_SETOPTIONS, child, NULL,
			    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
				    PTRACE_O_EXITKILL) &&
		    !ptrace(PTRACE_SYSCALL, child, NULL, 0))
			calls = syscount_trace(child, &vmm) + 1;
		if (calls == 1)
			calls = 0;
		if (vmm)
			syscount_let_tracee_end(vmm);
		kill(child, SIGKILL);
	}
	/* Waits for all its threads and processes: until they end they hold the disks' locks. */
	while (waitpid(-1, &status, __WALL) > 0 || errno == EINTR)
		;
	return calls;
}
