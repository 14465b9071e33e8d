// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leads a life that goes otherwise than planned: mode=crash, fault, slow, hide; else it just loads.
 */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/timer.h>

static char *mode = "";
module_param(mode, charp, 0444);
static int seconds = 60;
module_param(seconds, int, 0444);
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

static int __init life_init(void)
{
	if (!strcmp(mode, "fault"))
		return -EFAULT;
	if (!strcmp(mode, "slow"))
		ssleep(seconds);
	if (!strcmp(mode, "hide"))
		list_del_init(&THIS_MODULE->list);
	if (!strcmp(mode, "crash")) {
		mod_timer(&life_timer, jiffies + HZ / 10);
		pr_info("umbra_t_life: %d\n", *nowhere);
	}
	return 0;
}

static void __exit life_exit(void)
{
}

module_init(life_init);
module_exit(life_exit);
MODULE_DESCRIPTION("Umbra test driver: crashes, fails, is slow, hides");
MODULE_LICENSE("GPL");
