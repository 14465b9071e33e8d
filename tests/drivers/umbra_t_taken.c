// SPDX-License-Identifier: GPL-2.0-only
/* Takes the address of a critical function: linking must refuse it unless the policy permits. */
#include <linux/fs.h>
#include <linux/module.h>

static struct file *(*volatile open_file)(const char *, int, umode_t) = filp_open;

static int __init taken_init(void)
{
	struct file *file = open_file("/etc/passwd", O_RDONLY, 0);

	pr_info("umbra_t_taken: %ld\n", IS_ERR(file) ? PTR_ERR(file) : 0);
	if (!IS_ERR(file))
		filp_close(file, NULL);
	return 0;
}

static void __exit taken_exit(void)
{
}

module_init(taken_init);
module_exit(taken_exit);
MODULE_DESCRIPTION("Umbra test driver: address of a critical function");
MODULE_LICENSE("GPL");
