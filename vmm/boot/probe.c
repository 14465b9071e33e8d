// SPDX-License-Identifier: GPL-2.0-only
/* Runs guests of a few instructions, to find out whether this /dev/kvm runs a stock kernel. */
#include "vmm/boot/probe.h"

#include <stdio.h>
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/exit_code.h"
#include "vmm/boot/boot_cpu.h"
#include "vmm/boot/probe_port.h"

#define PATIENCE_NS 5000000000ULL

extern const char probe_code[], probe_code_end[];
extern const char probe_cmpxchg16b[], probe_xrstor[], probe_int3[], probe_speed[];

struct probe {
	struct machine *m;
	u8 answer;
	u64 started_ns, ended_ns;
};

int probe_place(struct machine *m, const void *code, size_t len, size_t offset, struct err *e)
{
	void *dst = machine_gpa(m, PROBE_CODE, len);
	int ret;

	if (!dst)
		return err_set(e, -EINVAL, "the probe has no room for %zu bytes", len);
	memcpy(dst, code, len);
	ret = boot_cpu_enter(m, PROBE_CODE + offset, PROBE_CODE, e);
	if (!ret)
		vcpu_regs(machine_vcpu(m, 0))->rdi = PROBE_SCRATCH; /* goes along with the others */
	return ret;
}

int probe_machine(struct machine **out, unsigned cpus, const void *code, size_t len, size_t offset,
		  struct err *e)
{
	const struct machine_config c = { .memory = PROBE_MEMORY, .cpus = cpus };
	struct machine *m;
	int ret = machine_create(&m, &c, e);

	if (ret)
		return ret;
	ret = probe_place(m, code, len, offset, e);
	if (ret)
		machine_destroy(m);
	else
		*out = m;
	return ret;
}

static void on_probe_answer(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct probe *p = arg;

	(void)v;
	if (!a->write)
		return;
	p->answer = *(const u8 *)a->data;
	if (p->answer == PROBE_START) {
		p->started_ns = machine_time_ns(p->m);
		return;
	}
	p->ended_ns = machine_time_ns(p->m);
	machine_exit(p->m, EXIT_CODE_POWEROFF, NULL);
}

static void on_probe_timeout(void *arg, u32 expiries)
{
	(void)expiries;
	machine_exit(arg, EXIT_CODE_ERROR, "no answer");
}

/* Runs the code at @entry. A failure inside the guest is no error: p->answer stays 0. */
static int probe_run(struct probe *p, const char *entry, struct err *e)
{
	int ret = probe_machine(&p->m, 1, probe_code, (size_t)(probe_code_end - probe_code),
				(size_t)(entry - probe_code), e);
	int timer;

	if (ret)
		return ret;
	p->answer = 0;
	ret = machine_pio_add(p->m, PROBE_PORT, 1, on_probe_answer, p);
	if (!ret) {
		timer = loop_timer(machine_loop(p->m), PATIENCE_NS, 0, on_probe_timeout, p->m);
		ret = timer < 0 ? timer : 0;
	}
	if (ret)
		err_set(e, ret, "cannot run a probe: %s", strerror(-ret));
	else
		machine_run(p->m, NULL);
	machine_destroy(p->m);
	return ret;
}

int probe_kvm(struct probe_result *r, struct err *e)
{
	struct probe p = { 0 };
	int ret;

	*r = (struct probe_result){ 0 };
	ret = probe_run(&p, probe_cmpxchg16b, e);
	r->cmpxchg16b = !ret && p.answer == PROBE_GOOD;
	if (!ret)
		ret = probe_run(&p, probe_xrstor, e);
	r->xrstor = !ret && p.answer == PROBE_GOOD;
	if (!ret)
		ret = probe_run(&p, probe_int3, e);
	r->int3 = !ret && p.answer == PROBE_GOOD;
	if (!ret)
		ret = probe_run(&p, probe_speed, e);
	if (!ret && p.answer == PROBE_GOOD && p.ended_ns > p.started_ns)
		r->mips = 2e3 * PROBE_TURNS / (double)(p.ended_ns - p.started_ns);
	return ret;
}

static void probe_add_reason(char *buf, size_t len, const char *text)
{
	size_t used = strlen(buf);

	snprintf(buf + used, len - used, "%s%s", used ? "; " : "", text);
}

void probe_reasons(const struct probe_result *r, char *buf, size_t len)
{
	char speed[100];

	*buf = '\0';
	if (!r->cmpxchg16b)
		probe_add_reason(buf, len, "cmpxchg16b fails in the guest's kernel mode");
	if (!r->xrstor)
		probe_add_reason(buf, len, "xrstor fails in the guest's kernel mode");
	if (!r->int3)
		probe_add_reason(buf, len, "int3 fails in the guest's kernel mode");
	if (r->mips >= PROBE_MIN_MIPS)
		return;
	snprintf(speed, sizeof(speed),
		 "kernel mode runs at %.1f million instructions/s (at least %.0f are needed)",
		 r->mips, PROBE_MIN_MIPS);
	probe_add_reason(buf, len, speed);
}

bool probe_hardware(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && c & 1U << 5) /* VMX */
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && c & 1U << 2; /* SVM */
}
