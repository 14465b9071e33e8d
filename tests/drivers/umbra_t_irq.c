// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes two mediated calls on top of each other, thousands of times: an interrupt that calls
 * call_usermodehelper(UMH_NO_WAIT) is set to hit while its thread is in filp_open on the same CPU.
 *
 * threads=N threads wander from CPU to CPU. Each asks for names of its own with flags of its own,
 * and what it gets tells whether any argument was taken for another one's: dir=D/N must hold the
 * text "thread N", the file's flags must be those of thread N, and every 64th time a new file
 * D/new-N-I must have been created with the mode of thread N. The interrupt's call is for program
 * D/irq-N with argument "irq-N": the VMM's record shows whether these two kept together, and every
 * result must be helper_result=R.
 *
 * Read at any time: done, opened, hits (interrupts that hit within a call), mismatches.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/umh.h>

#define THREADS_MAX 16
#define FLAGS_SEEN  (O_APPEND | O_NOATIME | O_NOFOLLOW | O_ACCMODE)

static int threads = 4;
module_param(threads, int, 0444);
static int iterations = 2000;
module_param(iterations, int, 0444);
static char *dir = "/t";
module_param(dir, charp, 0444);
static int steps = 150;
module_param(steps, int, 0444);
static int helper_result = -EPERM;
module_param(helper_result, int, 0444);

static atomic_t done, opened, hits, mismatches;

#define COUNTER(name)                                                            \
	static int name##_get(char *buffer, const struct kernel_param *kp)       \
	{                                                                        \
		return sprintf(buffer, "%d\n", atomic_read(&(name)));            \
	}                                                                        \
	static const struct kernel_param_ops name##_ops = { .get = name##_get }; \
	module_param_cb(name, &name##_ops, NULL, 0444)

COUNTER(done);
COUNTER(opened);
COUNTER(hits);
COUNTER(mismatches);

struct runner {
	struct hrtimer timer;
	struct task_struct *task;
	u64 call_ns; /* a call takes about so long here */
	int number;
	bool in_call; /* written by the thread, read by its interrupt on the same CPU */
	bool running;
	char program[64];
	char argument[32];
};

static struct runner runners[THREADS_MAX];

static void note_mismatch(const struct runner *r, const char *what, long found)
{
	if (atomic_inc_return(&mismatches) <= 10)
		pr_err("umbra_t_irq: thread %d: %s: %ld\n", r->number, what, found);
}

static enum hrtimer_restart runner_interrupt(struct hrtimer *timer)
{
	struct runner *r = container_of(timer, struct runner, timer);
	char *argv[] = { r->program, r->argument, NULL };
	int result;

	if (READ_ONCE(r->in_call))
		atomic_inc(&hits);
	result = call_usermodehelper(r->program, argv, NULL, UMH_NO_WAIT);
	if (result != helper_result)
		note_mismatch(r, "result of the helper", result);
	return HRTIMER_NORESTART;
}

static int flags_of(int number)
{
	return O_RDWR | (number & 1 ? O_APPEND : 0) | (number & 2 ? O_NOATIME : 0) |
	       (number & 4 ? O_NOFOLLOW : 0);
}

/* Returns a mode of only those bits that the kernel threads' umask of 022 leaves. */
static int mode_of(int number)
{
	return 0600 | (number & 1 ? 0040 : 0) | (number & 2 ? 0004 : 0) | (number & 4 ? 0100 : 0);
}

static void check_content(const struct runner *r, struct file *file)
{
	char expected[32], found[32] = "";
	loff_t pos = 0;
	ssize_t n;
	int len;

	len = scnprintf(expected, sizeof(expected), "thread %d", r->number);
	n = kernel_read(file, found, sizeof(found) - 1, &pos);
	if (n < len || strncmp(found, expected, len) || (n > len && found[len] != '\n'))
		note_mismatch(r, "content of the file, length", n);
}

static void runner_call(struct runner *r, int i)
{
	int flags = flags_of(r->number), mode = mode_of(r->number);
	bool create = i % 64 == 63;
	struct file *file;
	char name[96];
	u64 start;

	if (create) {
		snprintf(name, sizeof(name), "%s/new-%d-%d", dir, r->number, i);
		flags |= O_CREAT | O_EXCL;
	} else {
		snprintf(name, sizeof(name), "%s/%d", dir, r->number);
	}
	/*
	 * The hit must come at every point of the call in turn, however fast this machine is: the
	 * time goes up with i, to that of a call.
	 */
	hrtimer_start(&r->timer, ns_to_ktime(1000 + r->call_ns * (i % steps) / steps),
		      HRTIMER_MODE_REL_PINNED);
	start = ktime_get_ns();
	WRITE_ONCE(r->in_call, true);
	file = filp_open(name, flags, mode);
	WRITE_ONCE(r->in_call, false);
	r->call_ns = (7 * r->call_ns + ktime_get_ns() - start) / 8;
	if (IS_ERR(file)) {
		note_mismatch(r, "result of filp_open", PTR_ERR(file));
	} else {
		atomic_inc(&opened);
		if ((file->f_flags & FLAGS_SEEN) != (flags & FLAGS_SEEN))
			note_mismatch(r, "flags of the file", file->f_flags);
		if (!create)
			check_content(r, file);
		else if ((file_inode(file)->i_mode & 0777) != mode)
			note_mismatch(r, "mode of the new file", file_inode(file)->i_mode & 0777);
		filp_close(file, NULL);
	}
	hrtimer_cancel(&r->timer);
}

static int runner_thread(void *arg)
{
	struct runner *r = arg;
	int i, cpu = r->number;

	for (i = 0; i < iterations && !kthread_should_stop(); i++) {
		if (i % 8 == r->number % 8) {
			cpu = cpumask_next(cpu, cpu_online_mask);
			if (cpu >= nr_cpu_ids)
				cpu = cpumask_first(cpu_online_mask);
			set_cpus_allowed_ptr(current, cpumask_of(cpu));
			/* Bound to one CPU it could not be moved while it sleeps in a call. */
			set_cpus_allowed_ptr(current, cpu_online_mask);
		}
		runner_call(r, i);
		cond_resched();
	}
	if (atomic_inc_return(&done) == threads)
		pr_info("umbra_t_irq: done: %d opened, %d hits, %d mismatches\n",
			atomic_read(&opened), atomic_read(&hits), atomic_read(&mismatches));
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void stop_all(void)
{
	int i;

	for (i = 0; i < THREADS_MAX; i++) {
		if (runners[i].running)
			kthread_stop(runners[i].task);
		runners[i].running = false;
	}
}

static int __init irq_test_init(void)
{
	int i;

	if (threads < 1 || threads > THREADS_MAX || iterations < 1 || steps < 1)
		return -EINVAL;
	for (i = 0; i < threads; i++) {
		struct runner *r = &runners[i];

		r->number = i;
		r->call_ns = 150000;
		snprintf(r->program, sizeof(r->program), "%s/irq-%d", dir, i);
		snprintf(r->argument, sizeof(r->argument), "irq-%d", i);
		hrtimer_init(&r->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED);
		r->timer.function = runner_interrupt;
		r->task = kthread_run(runner_thread, r, "umbra_t_irq/%d", i);
		if (IS_ERR(r->task)) {
			stop_all();
			return PTR_ERR(r->task);
		}
		r->running = true;
	}
	return 0;
}

static void __exit irq_test_exit(void)
{
	stop_all();
}

module_init(irq_test_init);
module_exit(irq_test_exit);
MODULE_DESCRIPTION("Umbra test driver: mediated calls in an interrupt");
MODULE_LICENSE("GPL");
