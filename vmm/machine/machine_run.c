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

#include "base/exit_code.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/vmexit.h"

#define WATCH_NS 1000000000ULL

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
	for (i = 0; i < n; i++)
		vcpu_stop(machine_vcpu(m, i));
	for (i = 0; i < n; i++)
		vcpu_join(machine_vcpu(m, i));
	if (timer >= 0)
		loop_timer_del(machine_loop(m), timer);
	return ret ? EXIT_CODE_ERROR : machine_exit_code(m); /* (E13), (W3) */
}
