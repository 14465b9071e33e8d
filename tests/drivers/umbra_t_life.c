// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leads a life that goes otherwise than planned; without a mode it just loads.
 *
 *   mode=crash left=WHAT  init crashes; what it began lives on: a timer, a thread, or the device
 *                         "ghost", whose every open opens a file
 *   mode=thread           init is well, a thread that it started crashes
 *   mode=device           init is well, each read of its device "hole" crashes
 *   mode=leave            init is well and makes the device "leaver"; three seconds later it
 *                         takes itself out of the kernel's list and out of sysfs, so that its
 *                         name can be used again
 *   mode=fault error=N    init returns -N
 *   mode=slow, hide
 */
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

static char *mode = "";
module_param(mode, charp, 0444);
static char *left = "timer";
module_param(left, charp, 0444);
static int seconds = 60;
module_param(seconds, int, 0444);
static int error = EFAULT;
module_param(error, int, 0444);
static unsigned long ticks;
module_param(ticks, ulong, 0444);

static void life_tick(struct timer_list *t);
static DEFINE_TIMER(life_timer, life_tick);
static int *volatile nowhere;

static void life_tick(struct timer_list *t)
{
	ticks++;
	mod_timer(&life_timer, jiffies + HZ / 10);
}

static int life_thread(void *arg)
{
	while (!kthread_should_stop()) {
		ticks++;
		msleep(100);
	}
	return 0;
}

static int crash_thread(void *arg)
{
	return *nowhere;
}

static int life_open(struct inode *inode, struct file *file)
{
	struct file *other = filp_open("/none", O_RDONLY, 0);

	ticks++;
	if (!IS_ERR(other))
		filp_close(other, NULL);
	return 0;
}

static ssize_t crash_read(struct file *file, char __user *buffer, size_t len, loff_t *pos)
{
	return *nowhere;
}

static const struct file_operations life_fops = {
	.owner = THIS_MODULE,
	.open = life_open,
	.read = crash_read,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &life_fops,
};

static void life_leave(struct work_struct *work)
{
	list_del_init(&THIS_MODULE->list);
	kobject_del(&THIS_MODULE->mkobj.kobj);
}

static DECLARE_DELAYED_WORK(leave_work, life_leave);

static int begin(const char *what, const char *name, int (*thread)(void *))
{
	if (!strcmp(what, "timer"))
		mod_timer(&life_timer, jiffies + HZ / 10);
	if (!strcmp(what, "thread"))
		return PTR_ERR_OR_ZERO(kthread_run(thread, NULL, "life"));
	if (!strcmp(what, "device")) {
		device.name = name;
		return misc_register(&device);
	}
	return 0;
}

static int __init life_init(void)
{
	if (!strcmp(mode, "fault"))
		return -error;
	if (!strcmp(mode, "slow"))
		ssleep(seconds);
	if (!strcmp(mode, "hide"))
		list_del_init(&THIS_MODULE->list);
	if (!strcmp(mode, "crash")) {
		begin(left, "ghost", life_thread);
		pr_info("umbra_t_life: %d\n", *nowhere);
	}
	if (!strcmp(mode, "leave")) {
		schedule_delayed_work(&leave_work, 3 * HZ);
		return begin("device", "leaver", crash_thread);
	}
	return begin(mode, "hole", crash_thread);
}

static void __exit life_exit(void)
{
	if (!strcmp(mode, "device"))
		misc_deregister(&device);
}

module_init(life_init);
module_exit(life_exit);
MODULE_DESCRIPTION("Umbra test driver: crashes, fails, is slow, hides");
MODULE_LICENSE("GPL");
