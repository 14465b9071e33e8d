// SPDX-License-Identifier: GPL-2.0-only
/* Reads the console's lines and the kernel's panic_cpu to tell whether the guest panicked. */
#include "vmm/boot/panic_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_code.h"
#include "vmm/boot/symbolize.h"
#include "vmm/machine/machine_boot.h"

#define POLL_NS 1000000000ULL
#define NOBODY	(-1) /* PANIC_CPU_INVALID */

static const char words[] = "Kernel panic - not syncing: ";
static const char last_words[] = "---[ end Kernel panic - not syncing: ";
static const char rip_words[] = "RIP: 0010:";
static const char warning_end[] = "---[ end trace ";
static const char panic_frame[] = " panic+0x";

struct panic_watch {
	struct machine *m;
	int timer;
	struct loop_call check;
	struct symbol_file symbols;
	pthread_mutex_t lock; /* of the members below; vCPUs take it for each byte they print */
	bool resets;	      /* the guest asked for a reset, which may be how a panic ends */
	char line[256];
	size_t len;
	bool seen;
	bool caller_next; /* the next line of the trace has panic()'s caller */
	char why[160];	  /* the text behind @words */
	char where[80];	  /* panic()'s caller, or the oops's RIP, or "" */
};

/*
 * Returns 1 if the kernel panicked, 0 if it did not, -1 if its symbols are unknown. On the loop's
 * thread only: it may read the kernel again, with threads, which a vCPU's thread must not make.
 * The caller does not hold the lock, or the guest would stand still meanwhile.
 */
static int kernel_panicked(const struct panic_watch *w)
{
	u64 gpa = symbolize_phys(w->m, "panic_cpu");
	const int *cpu =
		gpa && gpa % sizeof(int) == 0 ? machine_gpa(w->m, gpa, sizeof(*cpu)) : NULL;

	if (!cpu)
		return -1;
	return __atomic_load_n(cpu, __ATOMIC_RELAXED) != NOBODY;
}

/* Ends the guest as (E4) of machine.h. The caller holds the lock. */
static void panic_end(struct panic_watch *w)
{
	machine_exit(w->m, EXIT_CODE_PANIC, "the guest's kernel panicked%s%s%s%s",
		     w->why[0] ? ": " : "", w->why, w->where[0] ? "; at " : "", w->where);
}

static void copy_word(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%.*s", (int)strcspn(from, " \r\n"), from);
}

/*
 * Reads panic()'s caller, "[ 15.55] sysrq_handle_crash+0x16/0x20"; an entry with "? " in front is a
 * guess of the unwinder.
 */
static void panic_read_caller(struct panic_watch *w)
{
	const char *p = strrchr(w->line, ' ');

	if (!p || !strchr(p, '+') || strstr(w->line, " ? "))
		return;
	copy_word(w->where, sizeof(w->where), p + 1);
	w->caller_next = false;
}

static void panic_read_line(struct panic_watch *w)
{
	const char *p = strstr(w->line, last_words);

	if (p) {
		loop_call(machine_loop(w->m), &w->check);
		return;
	}
	p = strstr(w->line, words);
	if (p) {
		w->seen = true;
		snprintf(w->why, sizeof(w->why), "%.*s", (int)strcspn(p + strlen(words), "\r\n"),
			 p + strlen(words));
		return;
	}
	if (w->caller_next) {
		panic_read_caller(w);
	} else if (w->seen && strstr(w->line, panic_frame)) {
		w->caller_next = true;
	} else if (strstr(w->line, warning_end)) {
		/*
		 * Ends a warning, which is no oops: an oops prints its RIP once more behind this
		 * line.
		 */
		w->where[0] = '\0';
	} else {
		p = strstr(w->line, rip_words);
		if (p)
			copy_word(w->where, sizeof(w->where), p + strlen(rip_words));
	}
}

void panic_watch_byte(void *watch, u8 byte)
{
	struct panic_watch *w = watch;

	pthread_mutex_lock(&w->lock);
	if (byte == '\n') {
		w->line[w->len] = '\0';
		panic_read_line(w);
		w->len = 0;
	} else if (w->len < sizeof(w->line) - 1 && byte >= ' ') {
		w->line[w->len++] = (char)byte;
	}
	pthread_mutex_unlock(&w->lock);
}

static bool on_panic_power(void *arg, enum host_power what)
{
	struct panic_watch *w = arg;
	bool ours = what == HOST_PANICKED;

	pthread_mutex_lock(&w->lock);
	if (ours) {
		panic_end(w);
	} else if (what == HOST_RESET && w->seen) {
		ours = w->resets = true;
		loop_call(machine_loop(w->m), &w->check);
	}
	pthread_mutex_unlock(&w->lock);
	return ours;
}

/* Main thread, with the kernel's file in memory, if it can be read. */
static void panic_judge(void *arg)
{
	struct panic_watch *w = arg;
	bool resets;
	int answer;

	/* A reset that comes meanwhile is not judged by this answer: it has a call of its own. */
	pthread_mutex_lock(&w->lock);
	resets = w->resets;
	pthread_mutex_unlock(&w->lock);
	answer = kernel_panicked(w);
	pthread_mutex_lock(&w->lock);
	if (answer == 1 || (answer && resets))
		panic_end(w);
	else if (resets)
		machine_exit(w->m, EXIT_CODE_REBOOT, "the guest asked for a reboot");
	pthread_mutex_unlock(&w->lock);
}

static void on_panic_check(void *arg)
{
	struct panic_watch *w = arg;

	if (!symbol_file_read(&w->symbols))
		panic_judge(w);
}

static void on_panic_poll(void *arg, u32 expiries)
{
	struct panic_watch *w = arg;

	(void)expiries;
	if (symbol_file_read(&w->symbols) || kernel_panicked(w) != 1)
		return;
	pthread_mutex_lock(&w->lock);
	/*
	 * Waits one period for the console's lines, which come a moment later and have the reason.
	 */
	if (w->seen)
		panic_end(w);
	w->seen = true;
	pthread_mutex_unlock(&w->lock);
}

static int end_watch(void *part, struct err *e)
{
	struct panic_watch *w = part;

	(void)e;
	held_read_wait(&w->symbols.read);
	if (w->timer >= 0)
		loop_timer_del(machine_loop(w->m), w->timer);
	pthread_mutex_destroy(&w->lock);
	free(w);
	return 0;
}

int panic_watch_create(struct panic_watch **out, struct machine *m, bool poll)
{
	struct panic_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->m = m;
	w->timer = -1;
	w->check.fn = on_panic_check;
	w->check.arg = w;
	w->symbols = (struct symbol_file){ .m = m, .done = panic_judge, .arg = w };
	if (poll) {
		w->timer = loop_timer(machine_loop(m), POLL_NS, POLL_NS, on_panic_poll, w);
		if (w->timer < 0) {
			int ret = w->timer;

			end_watch(w, NULL);
			return ret;
		}
	}
	machine_set_power_hook(m, on_panic_power, w);
	*out = w;
	return 0;
}

struct symbol_file *panic_watch_symbols(struct panic_watch *w)
{
	return &w->symbols;
}

static int reset_watch(void *part, struct err *e)
{
	struct panic_watch *w = part;

	(void)e;
	pthread_mutex_lock(&w->lock);
	w->resets = w->seen = w->caller_next = false;
	w->len = 0;
	w->why[0] = w->where[0] = '\0';
	pthread_mutex_unlock(&w->lock);
	return 0;
}

const struct lifecycle_ops panic_watch_part = {
	.name = "panic watch",
	.reset = reset_watch,
	.end = end_watch,
};
