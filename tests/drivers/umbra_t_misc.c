// SPDX-License-Identifier: GPL-2.0-only
/* Registers the misc device name=N; reading the device gives text=T. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static char *name = "umbra_t";
module_param(name, charp, 0444);
static char *text = "umbra_t_misc";
module_param(text, charp, 0444);

static ssize_t misc_read(struct file *file, char __user *buffer, size_t len, loff_t *pos)
{
	return simple_read_from_buffer(buffer, len, pos, text, strlen(text));
}

static const struct file_operations misc_fops = {
	.owner = THIS_MODULE,
	.read = misc_read,
	.llseek = default_llseek,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.fops = &misc_fops,
};

static int __init misc_test_init(void)
{
	int result;

	device.name = name;
	result = misc_register(&device);
	pr_info("umbra_t_misc[%s]: register %s: %d, now %s\n", text, name, result, device.name);
	return result;
}

static void __exit misc_test_exit(void)
{
	misc_deregister(&device);
	pr_info("umbra_t_misc[%s]: gone\n", text);
}

module_init(misc_test_init);
module_exit(misc_test_exit);
MODULE_DESCRIPTION("Umbra test driver: a misc device");
MODULE_LICENSE("GPL");
