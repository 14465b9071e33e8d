// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls the same thing many times and says what one call costs, in ticks of the time-stamp counter
 * (under `tools/lab --icount` an instruction is a tick). Loaded plainly or into a session, its
 * calls are the same instructions; only where they lead differs.
 *
 *   hook=none|ftrace|kprobe            at load: what else is attached to the function of "call"
 *   path=P file=P                      for "open" (a file that does not exist) and "write"
 *   /sys/module/NAME/parameters/run    write "KIND SAMPLES BATCH": take SAMPLES times of BATCH
 *                                      calls; read: "KIND SAMPLES BATCH least median", in ticks
 *
 * KIND: empty (the loop alone), call (jiffies_to_msecs: exported, can be traced, never critical),
 * back (a function of its own by its address, as the kernel calls it), open (filp_open), write
 * (kernel_write), cpuid (an exit that KVM handles), outb (an exit that the VMM handles: port 0x80,
 * where nothing is). The first three run with interrupts off.
 */
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/jiffies.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <asm/io.h>
#include <asm/msr.h>

#define SAMPLES_MAX 65536

static char *hook = "none";
module_param(hook, charp, 0444);
static char *path = "/nothing/here";
module_param(path, charp, 0444);
static char *file = "/dev/null";
module_param(file, charp, 0444);

static DEFINE_MUTEX(lock);
static char result[128];
static struct file *sink;

static noinline void do_empty(unsigned int n)
{
	for (; n; n--)
		asm volatile("");
}

static noinline void do_call(unsigned int n)
{
	for (; n; n--)
		jiffies_to_msecs(n);
}

static noinline void called_back(void)
{
	asm volatile("");
}

/* Read anew for each call, so that none becomes a direct one. */
static void (*volatile handed_out)(void) = called_back;

static noinline void do_back(unsigned int n)
{
	for (; n; n--)
		handed_out();
}

static noinline void do_open(unsigned int n)
{
	for (; n; n--) {
		struct file *f = filp_open(path, O_RDONLY, 0);

		if (!IS_ERR(f))
			filp_close(f, NULL);
	}
}

static noinline void do_write(unsigned int n)
{
	loff_t pos = 0;

	for (; n; n--)
		kernel_write(sink, "x", 1, &pos);
}

static noinline void do_cpuid(unsigned int n)
{
	for (; n; n--)
		cpuid_eax(0);
}

static noinline void do_outb(unsigned int n)
{
	for (; n; n--)
		outb(0, 0x80);
}

static const struct kind {
	const char *name;
	void (*run)(unsigned int n);
	bool irqs_off;
} kinds[] = {
	{ "empty", do_empty, true }, { "call", do_call, true },	   { "back", do_back, true },
	{ "open", do_open, false },  { "write", do_write, false }, { "cpuid", do_cpuid, false },
	{ "outb", do_outb, false },
};

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 kind_sample(const struct kind *k, unsigned int batch)
{
	unsigned long flags = 0;
	u64 start, end;

	if (k->irqs_off)
		local_irq_save(flags);
	start = rdtsc_ordered();
	k->run(batch);
	end = rdtsc_ordered();
	if (k->irqs_off)
		local_irq_restore(flags);
	return end - start;
}

static int kind_measure(const struct kind *k, unsigned int samples, unsigned int batch)
{
	u64 *ticks = kvmalloc_array(samples, sizeof(*ticks), GFP_KERNEL);
	unsigned int i;

	if (!ticks)
		return -ENOMEM;
	/* Whatever is only paid once: caches, names that the kernel remembers. */
	kind_sample(k, batch);
	for (i = 0; i < samples; i++)
		ticks[i] = kind_sample(k, batch);
	sort(ticks, samples, sizeof(*ticks), by_value, NULL);
	snprintf(result, sizeof(result), "%s %u %u %llu %llu", k->name, samples, batch, ticks[0],
		 ticks[samples / 2]);
	kvfree(ticks);
	return 0;
}

static int run_set(const char *value, const struct kernel_param *kp)
{
	unsigned int samples, batch, i;
	int ret = -EINVAL;
	char name[16];

	if (sscanf(value, "%15s %u %u", name, &samples, &batch) != 3 || !samples ||
	    samples > SAMPLES_MAX || !batch)
		return -EINVAL;
	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(name, kinds[i].name))
			ret = kind_measure(&kinds[i], samples, batch);
	mutex_unlock(&lock);
	return ret;
}

static int run_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%s\n", result);
}

static const struct kernel_param_ops run_ops = {
	.set = run_set,
	.get = run_get,
};
module_param_cb(run, &run_ops, NULL, 0600);

static void notrace on_ftrace(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			      struct ftrace_regs *regs)
{
}

static struct ftrace_ops ftrace_hook = {
	.func = on_ftrace,
};

static int on_kprobe(struct kprobe *p, struct pt_regs *regs)
{
	return 0;
}

static struct kprobe kprobe_hook = {
	.symbol_name = "jiffies_to_msecs",
	.pre_handler = on_kprobe,
};

static int hook_attach(void)
{
	static char name[] = "jiffies_to_msecs";
	int ret;

	if (!strcmp(hook, "kprobe"))
		return register_kprobe(&kprobe_hook);
	if (!strcmp(hook, "ftrace")) {
		ret = ftrace_set_filter(&ftrace_hook, name, strlen(name), 1);
		return ret ? ret : register_ftrace_function(&ftrace_hook);
	}
	return strcmp(hook, "none") ? -EINVAL : 0;
}

static void hook_detach(void)
{
	if (!strcmp(hook, "kprobe"))
		unregister_kprobe(&kprobe_hook);
	if (!strcmp(hook, "ftrace")) {
		unregister_ftrace_function(&ftrace_hook);
		ftrace_free_filter(&ftrace_hook);
	}
}

static int __init calls_init(void)
{
	int ret;

	sink = filp_open(file, O_WRONLY, 0);
	if (IS_ERR(sink)) {
		pr_err("umbra_t_calls: cannot open %s: %ld\n", file, PTR_ERR(sink));
		return PTR_ERR(sink);
	}
	ret = hook_attach();
	if (ret) {
		pr_err("umbra_t_calls: hook %s: %d\n", hook, ret);
		filp_close(sink, NULL);
	}
	return ret;
}

static void __exit calls_exit(void)
{
	hook_detach();
	filp_close(sink, NULL);
}

module_init(calls_init);
module_exit(calls_exit);
MODULE_DESCRIPTION("Umbra test driver: what a call costs");
MODULE_LICENSE("GPL");
