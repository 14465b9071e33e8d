// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the machine: vCPU threads, the event loop, and the watch for a guest that has halted for
 * good.
 *
 * Once a second, if no vCPU has left the guest since the last time, all are asked whether they are
 * at rest for ever: a kernel without a way to switch off halts all processors with interrupts off,
 * and KVM would not return from that.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/vmexit.h"

#define WATCH_NS 1000000000ULL
/* Looks of machine_wait(). */
#define WAIT_FIRST_NS  50000
#define WAIT_OFTEN_NS  200000
#define WAIT_LONG_NS   20000000
#define WAIT_SELDOM_NS 10000000
#define WAIT_TELL_NS   (MACHINE_HELD_MS * NS_PER_MS)
#define WAIT_AGAIN_NS  (WAIT_TELL_NS / 2)

struct halt_watch {
	struct machine *m;
	u64 exits;
	bool asked;
	unsigned rounds; /* how often in a row all were at rest */
};

static void on_halt_watch(void *arg, u32 expiries)
{
	struct halt_watch *w = arg;
	unsigned n = machine_cpus(w->m);
	bool rest = w->asked;
	u64 exits = 0;

	(void)expiries;
	for (unsigned i = 0; i < n; i++) {
		exits += vcpu_exits_total(machine_vcpu(w->m, i));
		rest = rest && vcpu_at_rest(machine_vcpu(w->m, i));
	}
	w->asked = exits == w->exits;
	w->rounds = rest && w->asked ? w->rounds + 1 : 0;
	w->exits = exits;
	/*
	 * (E7), after two rounds: a vCPU may have woken another one between the answers of the
	 * first.
	 */
	if (w->rounds == 2) {
		machine_exit(w->m, EXIT_CODE_HALTED,
			     "the guest halted all its CPUs with interrupts off (no power-off)");
		return;
	}
	for (unsigned i = 0; i < n && w->asked; i++)
		vcpu_probe(machine_vcpu(w->m, i));
}

/* --- waits of the end ---------------------------------------------------------------------- */

struct end_wait {
	struct machine *m;
	bool (*busy)(void *arg);
	void *arg;
	int timer;
	u64 begin_ns, tell_ns;
};

/* Looks often at first, since most ends take less than a millisecond. */
static void on_end_wait(void *arg, u32 expiries)
{
	struct end_wait *w = arg;
	u64 now = now_ns();

	(void)expiries;
	if (!w->busy(w->arg)) {
		loop_stop(machine_loop(w->m));
		return;
	}
	if (now - w->begin_ns > WAIT_LONG_NS)
		loop_timer_set(machine_loop(w->m), w->timer, WAIT_SELDOM_NS, 0);
	if (now < w->tell_ns)
		return;
	w->tell_ns = now + WAIT_AGAIN_NS;
	machine_tell_wait(w->m);
}

int machine_wait(struct machine *m, bool (*busy)(void *arg), void *arg)
{
	struct end_wait w = { .m = m, .busy = busy, .arg = arg, .begin_ns = now_ns() };

	if (!busy(arg))
		return machine_exit_code(m);
	w.tell_ns = w.begin_ns + WAIT_TELL_NS;
	w.timer = loop_timer(machine_loop(m), WAIT_FIRST_NS, WAIT_OFTEN_NS, on_end_wait, &w);
	/* Without a timer the caller waits as if it had not asked. */
	if (w.timer < 0)
		return machine_exit_code(m);
	/*
	 * A later machine_exit() stops the loop, too; one that came right before loop_again() does
	 * not, so that busy() is asked after it.
	 */
	do
		loop_again(machine_loop(m));
	while (busy(arg) && !loop_run(machine_loop(m)));
	loop_timer_del(machine_loop(m), w.timer);
	loop_stop(machine_loop(m));
	return machine_exit_code(m);
}

static bool vcpus_run(void *arg)
{
	struct machine *m = arg;

	for (unsigned i = 0; i < machine_cpus(m); i++)
		if (vcpu_runs(machine_vcpu(m, i)))
			return true;
	return false;
}

/* --- the run ------------------------------------------------------------------------------- */

int machine_run(struct machine *m, struct err *e)
{
	struct halt_watch w = { .m = m };
	unsigned n = machine_cpus(m), i;
	int timer = loop_timer(machine_loop(m), WATCH_NS, WATCH_NS, on_halt_watch, &w);
	int ret = timer < 0 ? err_set(e, timer, "cannot create a timer: %s", strerror(-timer)) : 0;

	for (i = 0; i < n && !ret; i++)
		ret = vcpu_start(machine_vcpu(m, i), vmexit_handle, e);
	if (!ret) {
		ret = loop_run(machine_loop(m));
		if (ret)
			err_set(e, ret, "the event loop failed: %s", strerror(-ret));
	}
	if (timer >= 0)
		loop_timer_del(machine_loop(m), timer);
	for (i = 0; i < n; i++)
		vcpu_stop(machine_vcpu(m, i));
	/* One may be in a device that waits for the host's kernel. */
	machine_wait(m, vcpus_run, m);
	for (i = 0; i < n; i++)
		vcpu_await(machine_vcpu(m, i));
	return ret ? EXIT_CODE_ERROR : machine_exit_code(m); /* (E13), (W3) */
}

int machine_rest(struct machine *m, struct err *e)
{
	int code, ret = 0;

	do {
		machine_forget_exit(m);
		if (!machine_exiting(m))
			ret = loop_run(machine_loop(m));
		if (ret) {
			err_set(e, ret, "the event loop failed: %s", strerror(-ret));
			return EXIT_CODE_ERROR; /* (E13) */
		}
		code = machine_exit_code(m);
		/* A watch may notice an end of the guest only now. */
	} while (code != EXIT_CODE_REBOOT && !machine_code_ends_process(code));
	return code;
}
