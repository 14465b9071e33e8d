// SPDX-License-Identifier: GPL-2.0-only
/*
 * Installs seccomp filters, and reports a violation of one. The kernel does not carry out the call;
 * it sends SIGSYS, whose handler prints which call of which thread it was, and ends the process. A
 * kill by the kernel would be as safe, but could not be reported. The handler cannot be replaced:
 * rt_sigaction() is on no list; and where SIGSYS is blocked, the kernel kills.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/terminal.h"
#include "vmm/confine/confine_int.h"
#include "vmm/confine/filter.h"
#include "vmm/confine/seccomp/rules.h"

#define MAX_LEN 512

static const struct {
	const char *name;
	const struct sock_filter *code;
	const unsigned short *len, *calls;
} filters[FILTERS] = {
	[FILTER_VCPU] = { "vcpu", filter_vcpu, &filter_vcpu_len, &filter_vcpu_calls },
	[FILTER_QUEUE] = { "queue", filter_queue, &filter_queue_len, &filter_queue_calls },
	[FILTER_BLOCK] = { "disk", filter_block, &filter_block_len, &filter_block_calls },
	[FILTER_FILE] = { "file", filter_file, &filter_file_len, &filter_file_calls },
	[FILTER_MAIN] = { "main", filter_main, &filter_main_len, &filter_main_calls },
	[FILTER_NETWORK] = { "network", filter_network, &filter_network_len,
			     &filter_network_calls },
	[FILTER_DIALER] = { "dialer", filter_dialer, &filter_dialer_len, &filter_dialer_calls },
	[FILTER_PARSER] = { "parser", filter_parser, &filter_parser_len, &filter_parser_calls },
	[FILTER_READER] = { "reader", filter_reader, &filter_reader_len, &filter_reader_calls },
};

unsigned confine_filter_calls(enum filter f)
{
	return *filters[f].calls;
}

const char *confine_filter_name(enum filter f)
{
	return filters[f].name;
}

static size_t line_append(char *buf, size_t at, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len > size - at)
		len = size - at;
	memcpy(buf + at, text, len);
	return at + len;
}

/*
 * Prints the call, its thread and @advice, and ends the process. It calls async-signal-safe
 * functions only.
 */
static void report_violation(int sig, const siginfo_t *info, const char *advice)
{
	char line[256], name[17] = "", number[12], *digit = number + sizeof(number);
	unsigned nr = info->si_syscall < 0 ? 0 : (unsigned)info->si_syscall;
	size_t len = 0;

	terminal_restore();
	prctl(PR_GET_NAME, name);
	*--digit = '\0';
	do {
		*--digit = (char)('0' + nr % 10);
		nr /= 10;
	} while (nr);
	len = line_append(line, len, sizeof(line), "vmm: system call ");
	len = line_append(line, len, sizeof(line), digit);
	len = line_append(line, len, sizeof(line), " of thread ");
	len = line_append(line, len, sizeof(line), name);
	len = line_append(
		line, len, sizeof(line),
		" is forbidden by vmm's own filter, so its process was ended; if you did not expect "
		"that, report it");
	len = line_append(line, len, sizeof(line), advice);
	if (write(STDERR_FILENO, line, len) < 0)
		_exit(EXIT_CODE_SIGNAL + sig);
	_exit(EXIT_CODE_SIGNAL + sig);
}

static void on_guest_violation(int sig, siginfo_t *info, void *context)
{
	(void)context;
	report_violation(sig, info, " (--confine off runs without the filter)\n");
}

static void on_reader_violation(int sig, siginfo_t *info, void *context)
{
	(void)context;
	report_violation(sig, info, "\n");
}

int confine_report(enum filter f)
{
	bool reads = f == FILTER_PARSER || f == FILTER_READER;
	struct sigaction sa = { .sa_sigaction = reads ? on_reader_violation : on_guest_violation,
				.sa_flags = SA_SIGINFO };

	sigfillset(&sa.sa_mask);
	return sigaction(SIGSYS, &sa, NULL) ? -errno : 0;
}

int confine_filter(enum filter f, pid_t pid, unsigned link_size)
{
	struct sock_filter code[MAX_LEN];
	struct sock_fprog prog = { .len = *filters[f].len, .filter = code };

	if (prog.len > MAX_LEN)
		return -E2BIG;
	memcpy(code, filters[f].code, prog.len * sizeof(*code));
	for (unsigned i = 0; i < prog.len; i++) {
		if (BPF_CLASS(code[i].code) != BPF_JMP)
			continue;
		if (code[i].k == RULES_OWN_PID)
			code[i].k = (unsigned)pid;
		else if (code[i].k == RULES_LINK_SIZE)
			code[i].k = link_size;
	}
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) ? -errno : 0;
}
