// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creates, resets and destroys a machine out of this room's modules, forwards to them, and decides
 * which request ends it.
 */
#include "vmm/machine/machine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "shadow/kernel/kernel.h"
#include "vmm/machine/cpuid.h"
#include "vmm/machine/host_ops.h"
#include "vmm/machine/io.h"
#include "vmm/machine/irq.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/pause.h"
#include "vmm/machine/threads.h"
#include "vmm/machine/vcpu_reset.h"

#define NMI_ERRORS 0xc0 /* SERR# and IOCHK# */

struct machine {
	struct machine_host host;
	struct note_sink notes;
	int kvm, vm;
	struct memory *memory;
	struct irqs *irqs;
	struct io *io;
	struct loop *loop;
	struct threads *threads;
	struct vcpu *vcpus[LAYOUT_MAX_CPUS];
	unsigned n_cpus;
	u64 ram, start_ns;
	struct kernel *kernel;
	char *kernel_path;
	int kernel_fd; /* or -1 */
	u64 kernel_phys, kaslr;
	machine_ro_write_fn *ro_write;
	void *ro_write_arg;
	struct lifecycle *lifecycle;
	struct pause *pause;
	machine_power_fn *on_power;
	void *on_power_arg;
	struct wait_hook *wait_hooks;
	pthread_mutex_t lock; /* the end */
	pthread_mutex_t kernel_lock;
	bool exiting; /* atomic */
	int exit_code;
	bool end_asked; /* atomic: by (E8), (E9) or (E11), whether that counts or not */
	int lost_code;	/* of the first request that lost and ends the process; or 0 */
	char exit_line[400];
};

/* --- what devices and vCPUs ask of the machine ----------------------------------------------- */

static void end_by_device(void *arg, enum host_power what, const char *why)
{
	struct machine *m = arg;

	if (m->on_power && m->on_power(m->on_power_arg, what))
		return;
	switch (what) {
	case HOST_POWEROFF: /* (E1) */
		machine_exit(m, EXIT_CODE_POWEROFF, NULL);
		break;
	case HOST_RESET: /* (E2) */
		machine_exit(m, EXIT_CODE_REBOOT, "the guest asked for a reboot (%s)", why);
		break;
	case HOST_PANICKED: /* (E4), of a machine without a panic watch */
	default:
		machine_exit(m, EXIT_CODE_PANIC, "the guest's kernel panicked (%s)", why);
		break;
	}
}

static void vcpu_has_parked(void *arg, unsigned pause)
{
	struct machine *m = arg;

	pause_parked(m->pause, pause);
}

/*
 * Answers a read of port 0x61 as an absent register but for the two bits by which a PC tells that
 * an NMI is a memory's or a bus's error: a kernel takes one of the button for such an error else,
 * and does not do what it does at one of unknown cause (unknown_nmi_panic).
 */
static void nmi_status_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	(void)arg;
	(void)offset;
	(void)len;
	if (!write)
		*(u8 *)data &= (u8)~NMI_ERRORS;
}

/* --- life ---------------------------------------------------------------------------------- */

static int machine_create_vcpus(struct machine *m, unsigned cpus, struct err *e)
{
	struct vcpu_config config = { .machine = m,
				      .memory = m->memory,
				      .vm = m->vm,
				      .threads = m->threads,
				      .ending = &m->exiting,
				      .parked = vcpu_has_parked,
				      .arg = m };
	struct cpuid *cpuid = NULL;
	int ret;

	ret = cpuid_create(&cpuid, m->kvm, e);
	for (unsigned i = 0; i < cpus && !ret; i++) {
		config.index = i;
		ret = vcpu_create(&m->vcpus[i], &config, e);
		if (ret)
			break;
		m->n_cpus = i + 1;
		ret = cpuid_apply(cpuid, vcpu_fd(m->vcpus[i]), i, cpus, e);
		vcpu_firmware_msrs(vcpu_fd(m->vcpus[i]));
	}
	cpuid_destroy(cpuid);
	return ret;
}

static int machine_create_vm(struct machine *m, struct err *e)
{
	int ret;

	m->kvm = kvm_open(e);
	if (m->kvm < 0)
		return m->kvm;
	ret = kvm_check(m->kvm, e);
	if (ret)
		return ret;
	do {
		m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	} while (m->vm < 0 && errno == EINTR);
	if (m->vm < 0)
		return err_set(e, -errno, "/dev/kvm: cannot create a virtual machine: %s",
			       strerror(errno));
	/*
	 * Pages for Intel processors that cannot run real mode themselves; elsewhere no effect.
	 * That of the identity map lies in front of them, where KVM puts it by itself
	 * (KVM_SET_IDENTITY_MAP_ADDR).
	 */
	if (ioctl(m->vm, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_TSS))
		return err_set(e, -errno, "/dev/kvm: refuses the pages for real mode: %s",
			       strerror(errno));
	return 0;
}

/* Makes the machine's parts quiet; called when a pause has got all vCPUs out of the guest. */
static void machine_on_all_out(void *arg)
{
	struct machine *m = arg;

	lifecycle_quiesce(m->lifecycle);
}

static int machine_reset_part(void *part, struct err *e)
{
	return machine_reset(part, e);
}

/* It has no end(): machine_destroy() comes after the last machine_exit_line(). */
static const struct lifecycle_ops machine_part = { .name = "machine", .reset = machine_reset_part };

int machine_create(struct machine **out, const struct machine_config *c, struct err *e)
{
	const struct memory_config ram = { c->memory, c->shared, c->huge_page };
	struct machine *m;
	int ret;

	if (c->memory % 4096 || !c->memory || !c->cpus || c->cpus > LAYOUT_MAX_CPUS)
		return err_set(e, -EINVAL, "a machine has whole pages of memory and 1 to %d CPUs",
			       LAYOUT_MAX_CPUS);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&m->kernel_lock, NULL);
	pthread_mutex_init(&m->lock, NULL);
	m->kvm = m->vm = m->kernel_fd = -1;
	m->notes = c->notes;
	m->ram = c->memory;
	m->start_ns = c->start_ns ? c->start_ns : now_ns();
	ret = machine_create_vm(m, e);
	if (!ret)
		ret = memory_create(&m->memory, m->vm, &ram, e);
	if (!ret)
		ret = irqs_create(&m->irqs, m->vm, c->pc, e);
	if (!ret && (io_create(&m->io) ||
		     io_pio_add_device(m->io, LAYOUT_PORT_NMI, 1, nmi_status_io, NULL)))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret) {
		ret = loop_create(&m->loop);
		if (ret)
			err_set(e, ret, "cannot create an event loop: %s", strerror(-ret));
	}
	if (!ret && threads_create(&m->threads, m->loop))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret && (lifecycle_create(&m->lifecycle) ||
		     pause_create(&m->pause, m->loop, m->vcpus, c->cpus)))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret)
		ret = machine_create_vcpus(m, c->cpus, e);
	if (ret) {
		machine_destroy(m);
		return ret;
	}
	m->host = (struct machine_host){ .host.ops = &machine_host_ops,
					 .vm = m->vm,
					 .memory = m->memory,
					 .irqs = m->irqs,
					 .io = m->io,
					 .threads = m->threads,
					 .power = end_by_device,
					 .power_arg = m };
	pause_set_hook(m->pause, machine_on_all_out, m);
	lifecycle_add(m->lifecycle, &machine_part, m);
	*out = m;
	return 0;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	for (unsigned i = 0; i < LAYOUT_MAX_CPUS; i++)
		vcpu_destroy(m->vcpus[i]);
	irqs_destroy(m->irqs);
	/* The VM is closed first: it must not use memory that is gone. */
	if (m->vm >= 0)
		close(m->vm);
	if (m->kvm >= 0)
		close(m->kvm);
	memory_destroy(m->memory);
	io_destroy(m->io);
	pause_destroy(m->pause);
	lifecycle_destroy(m->lifecycle);
	threads_destroy(m->threads);
	loop_destroy(m->loop);
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->kernel_lock);
	if (m->kernel_fd >= 0)
		close(m->kernel_fd);
	free(m->kernel_path);
	free(m);
}

struct loop *machine_loop(const struct machine *m)
{
	return m->loop;
}

const struct note_sink *machine_notes(const struct machine *m)
{
	return &m->notes;
}

struct host *machine_host(struct machine *m)
{
	return &m->host.host;
}

unsigned machine_cpus(const struct machine *m)
{
	return m->n_cpus;
}

struct vcpu *machine_vcpu(const struct machine *m, unsigned i)
{
	return i < m->n_cpus ? m->vcpus[i] : NULL;
}

u64 machine_memory(const struct machine *m)
{
	return m->ram;
}

u64 machine_time_ns(const struct machine *m)
{
	return now_ns() - m->start_ns;
}

u64 machine_start_ns(const struct machine *m)
{
	return m->start_ns;
}

void machine_set_kernel(struct machine *m, struct kernel *k, u64 phys, u64 kaslr)
{
	m->kernel = k;
	m->kernel_phys = phys;
	m->kaslr = kaslr;
}

void machine_keep_kernel_file(struct machine *m, const char *path, int fd)
{
	m->kernel_path = strdup(path);
	m->kernel_fd = fd;
}

struct kernel *machine_kernel(const struct machine *m)
{
	return m->kernel;
}

void machine_lock_kernel(struct machine *m)
{
	pthread_mutex_lock(&m->kernel_lock);
}

void machine_unlock_kernel(struct machine *m)
{
	pthread_mutex_unlock(&m->kernel_lock);
}

int machine_kernel_file(const struct machine *m, const char **path)
{
	*path = m->kernel_path;
	return m->kernel_path ? m->kernel_fd : -1;
}

int machine_take_kernel_file(struct machine *m)
{
	int fd = m->kernel_fd;

	m->kernel_fd = -1;
	return fd;
}

u64 machine_kernel_phys(const struct machine *m)
{
	return m->kernel_phys;
}

u64 machine_kaslr(const struct machine *m)
{
	return m->kaslr;
}

/* --- parts --------------------------------------------------------------------------------- */

void *machine_gpa(struct machine *m, u64 gpa, size_t len)
{
	return memory_gpa(m->memory, gpa, len);
}

int machine_add_slot(struct machine *m, u64 gpa, size_t len, bool guest_writable, void **hva,
		     struct err *e)
{
	return memory_add_slot(m->memory, gpa, len, guest_writable, hva, e);
}

int machine_remove_slot(struct machine *m, u64 gpa)
{
	return memory_remove_slot(m->memory, gpa);
}

int machine_clear_slot(struct machine *m, u64 gpa)
{
	return memory_clear_slot(m->memory, gpa);
}

void machine_set_ro_write_hook(struct machine *m, machine_ro_write_fn *fn, void *arg)
{
	assert(!m->ro_write || !fn);
	m->ro_write = fn;
	m->ro_write_arg = arg;
}

void machine_ro_write(struct machine *m, struct vcpu *v, u64 gpa, unsigned len, const void *data)
{
	if (m->ro_write)
		m->ro_write(m->ro_write_arg, v, gpa, len, data);
}

void machine_set_power_hook(struct machine *m, machine_power_fn *fn, void *arg)
{
	assert(!m->on_power || !fn);
	m->on_power = fn;
	m->on_power_arg = arg;
}

int machine_pio_add(struct machine *m, u16 port, u16 len, io_pio_fn *fn, void *arg)
{
	return io_pio_add(m->io, port, len, fn, arg);
}

int machine_irq_pulse(struct machine *m, u32 gsi)
{
	int ret = irqs_line(m->irqs, gsi, true);

	return ret ? ret : irqs_line(m->irqs, gsi, false);
}

struct memory *machine_memory_map(const struct machine *m)
{
	return m->memory;
}

int machine_pause(struct machine *m)
{
	return pause_begin(m->pause);
}

void machine_resume(struct machine *m)
{
	/* The parts resume first: a vCPU enters the guest only when all of them can serve it. */
	lifecycle_resume(m->lifecycle);
	pause_end(m->pause);
}

bool machine_wants_vcpus(const struct machine *m)
{
	return machine_exiting(m) || pause_wanted(m->pause);
}

bool machine_paused(const struct machine *m)
{
	return pause_complete(m->pause);
}

void machine_nmi(struct machine *m)
{
	for (unsigned i = 0; i < m->n_cpus; i++)
		vcpu_nmi(m->vcpus[i]);
}

struct lifecycle *machine_lifecycle(const struct machine *m)
{
	return m->lifecycle;
}

void machine_set_confine(struct machine *m, const struct confine *c)
{
	threads_set_confine(m->threads, c);
}

bool machine_can_make_threads(const struct machine *m)
{
	return threads_ready(m->threads);
}

struct io *machine_io(const struct machine *m)
{
	return m->io;
}

/* --- the end ------------------------------------------------------------------------------- */

bool machine_code_ends_process(int code)
{
	return code == EXIT_CODE_ERROR || code == EXIT_CODE_ESCAPE || code > EXIT_CODE_SIGNAL;
}

bool machine_exit(struct machine *m, int code, const char *fmt, ...)
{
	va_list ap;
	bool counts;

	if (code == EXIT_CODE_ESCAPE || code > EXIT_CODE_SIGNAL)
		__atomic_store_n(&m->end_asked, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&m->lock);
	/* (W1), (W2) */
	counts = !m->exiting || (m->exit_code == EXIT_CODE_REBOOT && code != EXIT_CODE_REBOOT);
	if (counts) {
		m->exit_code = code;
		m->exit_line[0] = '\0';
		if (fmt) {
			va_start(ap, fmt);
			vsnprintf(m->exit_line, sizeof(m->exit_line), fmt, ap);
			va_end(ap);
		}
		__atomic_store_n(&m->exiting, true, __ATOMIC_RELEASE);
		loop_stop(m->loop);
	} else if (!m->lost_code && machine_code_ends_process(code)) {
		m->lost_code = code;
	}
	pthread_mutex_unlock(&m->lock);
	return counts;
}

bool machine_end_asked(const struct machine *m)
{
	return __atomic_load_n(&m->end_asked, __ATOMIC_ACQUIRE);
}

bool machine_exiting(const struct machine *m)
{
	return __atomic_load_n(&m->exiting, __ATOMIC_ACQUIRE);
}

void machine_note_held(const struct machine *m, bool *noted, s64 ms, const char *what,
		       const char *file)
{
	if (*noted || ms < MACHINE_HELD_MS)
		return;
	*noted = true;
	note_put(&m->notes,
		 "%s%s%s: this host's kernel holds what is done to it and does not give it back; "
		 "the guest's reset or end waits for that",
		 what ? what : "", what ? " " : "", file);
}

void machine_add_wait_hook(struct machine *m, struct wait_hook *hook)
{
	hook->next = m->wait_hooks;
	m->wait_hooks = hook;
}

void machine_remove_wait_hook(struct machine *m, struct wait_hook *hook)
{
	struct wait_hook **at = &m->wait_hooks;

	while (*at && *at != hook)
		at = &(*at)->next;
	if (*at)
		*at = hook->next;
}

void machine_tell_wait(const struct machine *m)
{
	for (const struct wait_hook *hook = m->wait_hooks; hook; hook = hook->next)
		hook->fn(hook->arg);
}

void machine_forget_exit(struct machine *m)
{
	pthread_mutex_lock(&m->lock);
	m->exit_code = m->lost_code;
	m->lost_code = 0;
	m->exit_line[0] = '\0';
	__atomic_store_n(&m->exiting, m->exit_code != 0, __ATOMIC_RELEASE);
	if (!m->exit_code)
		loop_again(m->loop);
	pthread_mutex_unlock(&m->lock);
}

int machine_exit_code(const struct machine *m)
{
	return m->exit_code;
}

const char *machine_exit_line(const struct machine *m)
{
	return m->exit_line;
}

int machine_reset(struct machine *m, struct err *e)
{
	int ret = memory_clear(m->memory);

	if (ret)
		return err_set(e, ret, "cannot clear the guest's memory: %s", strerror(-ret));
	ret = irqs_reset(m->irqs);
	if (ret)
		return err_set(e, ret, "KVM does not reset the interrupt controllers: %s",
			       strerror(-ret));
	for (unsigned i = 0; i < m->n_cpus && !ret; i++)
		ret = vcpu_reset(m->vcpus[i], e);
	pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->exiting, false, __ATOMIC_RELEASE);
	m->exit_code = m->lost_code = 0;
	m->exit_line[0] = '\0';
	loop_again(m->loop);
	pthread_mutex_unlock(&m->lock);
	return ret;
}
