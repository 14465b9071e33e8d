// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls what does not return: a thread that ends itself when the driver is loaded, and, when its
 * parameter is written, the guest's panic.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>

static DECLARE_COMPLETION(ended);

static int thread_main(void *unused)
{
	kthread_complete_and_exit(&ended, 0);
}

static int end_set(const char *text, const struct kernel_param *param)
{
	panic("umbra_t_end: %s %d", "by", (int)strlen(text));
}

static const struct kernel_param_ops end_ops = { .set = end_set };
module_param_cb(end, &end_ops, NULL, 0200);

static int __init end_init(void)
{
	struct task_struct *t = kthread_run(thread_main, NULL, "umbra_t_end");

	if (IS_ERR(t))
		return PTR_ERR(t);
	wait_for_completion(&ended);
	pr_info("umbra_t_end: ended\n");
	return 0;
}

static void __exit end_exit(void)
{
}

module_init(end_init);
module_exit(end_exit);
MODULE_DESCRIPTION("Umbra test driver: what does not return");
MODULE_LICENSE("GPL");
