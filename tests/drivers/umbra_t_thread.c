// SPDX-License-Identifier: GPL-2.0-only
/* Starts count=N threads whose names come from varargs, "t/%d-%s" with their number and tag=T. */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

#define THREADS_MAX 16

static int count = 1;
module_param(count, int, 0444);
static char *tag = "x";
module_param(tag, charp, 0444);

static struct task_struct *threads[THREADS_MAX];

static int named_thread(void *arg)
{
	/* comm is cut to 15 characters; the whole name is what /proc shows of a kernel thread. */
	pr_info("umbra_t_thread[%s]: thread %ld is %s\n", tag, (long)arg, current->comm);
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

static void stop_all(void)
{
	int i;

	for (i = 0; i < THREADS_MAX; i++) {
		if (threads[i])
			kthread_stop(threads[i]);
		threads[i] = NULL;
	}
}

static int __init thread_init(void)
{
	struct task_struct *task;
	int i;

	if (count < 0 || count > THREADS_MAX)
		return -EINVAL;
	for (i = 0; i < count; i++) {
		task = kthread_run(named_thread, (void *)(long)i, "t/%d-%s", i, tag);
		if (IS_ERR(task)) {
			pr_info("umbra_t_thread[%s]: thread %d: %ld\n", tag, i, PTR_ERR(task));
			stop_all();
			return PTR_ERR(task);
		}
		threads[i] = task;
	}
	return 0;
}

static void __exit thread_exit(void)
{
	stop_all();
}

module_init(thread_init);
module_exit(thread_exit);
MODULE_DESCRIPTION("Umbra test driver: kernel threads");
MODULE_LICENSE("GPL");
