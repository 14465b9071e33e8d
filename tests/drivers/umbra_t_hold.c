// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes as much of the gate as it can get and keeps it, so that others might starve.
 *
 *   mode=fifo path=P n=N   N threads, each waits in filp_open() of the FIFO P
 *   mode=net n=N           N network devices that are in use, N threads that unregister them
 *   mode=umh n=N           asks for N different programs below /p/
 *   /sys/module/NAME/parameters/in   read: threads that are inside of their call; of umh: done
 *
 * It cannot be unloaded.
 */
#include <linux/fs.h>
#include <linux/if_arp.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/umh.h>

static char *mode = "fifo";
module_param(mode, charp, 0444);
static char *path = "/fifo";
module_param(path, charp, 0444);
static int n = 200;
module_param(n, int, 0444);

static atomic_t in = ATOMIC_INIT(0);
static DECLARE_COMPLETION(all_are_there);

static int in_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%d\n", atomic_read(&in));
}

static const struct kernel_param_ops in_ops = { .get = in_get };
module_param_cb(in, &in_ops, NULL, 0444);

static const struct net_device_ops no_ops;

static void setup(struct net_device *dev)
{
	dev->netdev_ops = &no_ops;
	dev->type = ARPHRD_NONE;
	dev->mtu = 1500;
}

static int waiter(void *dev)
{
	struct file *file;

	wait_for_completion(&all_are_there);
	atomic_inc(&in);
	if (dev) {
		unregister_netdev(dev);
	} else {
		file = filp_open(path, O_RDONLY, 0);
		pr_info("umbra_t_hold: open returned %ld\n", IS_ERR(file) ? PTR_ERR(file) : 0);
	}
	atomic_dec(&in);
	return 0;
}

/*
 * Makes a device with a reference that is never given back, so that its unregistration waits for
 * ever.
 */
static struct net_device *used_device(void)
{
	struct net_device *dev = alloc_netdev(0, "h%d", NET_NAME_ENUM, setup);

	if (!dev)
		return NULL;
	if (register_netdev(dev)) {
		free_netdev(dev);
		return NULL;
	}
	dev_hold(dev);
	return dev;
}

static void flood_programs(void)
{
	char program[32], *argv[] = { program, NULL }, *envp[] = { NULL };
	int i;

	for (i = 0; i < n; i++) {
		snprintf(program, sizeof(program), "/p/%d", i);
		call_usermodehelper(program, argv, envp, i % 2 ? UMH_WAIT_EXEC : UMH_NO_WAIT);
		atomic_inc(&in);
	}
}

static int __init hold_init(void)
{
	struct net_device *dev = NULL;
	int i;

	__module_get(THIS_MODULE);
	if (!strcmp(mode, "umh")) {
		flood_programs();
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (!strcmp(mode, "net")) {
			dev = used_device();
			if (!dev)
				break;
		}
		if (IS_ERR(kthread_run(waiter, dev, "hold")))
			break;
	}
	/* all threads and devices exist before the first call that waits */
	complete_all(&all_are_there);
	pr_info("umbra_t_hold: %d started\n", i);
	return 0;
}

static void __exit hold_exit(void)
{
}

module_init(hold_init);
module_exit(hold_exit);
MODULE_DESCRIPTION("Umbra test driver: takes what all share");
MODULE_LICENSE("GPL");
