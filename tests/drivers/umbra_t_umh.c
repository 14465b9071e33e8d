// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks the kernel to run path=P with argument arg=A; wait=W as in linux/umh.h (0: UMH_NO_WAIT,
 * 1: until it runs, 2: until it ends). Again at each write to /sys/module/NAME/parameters/run.
 */
#include <linux/module.h>
#include <linux/umh.h>

static char *path;
module_param(path, charp, 0444);
static char *arg = "from-kernel";
module_param(arg, charp, 0444);
static int wait = UMH_WAIT_PROC;
module_param(wait, int, 0644);
static char *tag = "-";
module_param(tag, charp, 0444);

static char *environment[] = { "HOME=/", "PATH=/bin:/sbin", NULL };

static void run_program(void)
{
	char *argv[] = { path, arg, NULL };
	int result = call_usermodehelper(path, argv, environment, wait);

	pr_info("umbra_t_umh[%s]: run %s: %d\n", tag, path, result);
}

static int run_set(const char *value, const struct kernel_param *kp)
{
	if (!path)
		return -EINVAL;
	run_program();
	return 0;
}

static const struct kernel_param_ops run_ops = {
	.set = run_set,
};
module_param_cb(run, &run_ops, NULL, 0200);

static int __init umh_init(void)
{
	if (path)
		run_program();
	return 0;
}

static void __exit umh_exit(void)
{
}

module_init(umh_init);
module_exit(umh_exit);
MODULE_DESCRIPTION("Umbra test driver: user-mode helpers");
MODULE_LICENSE("GPL");
