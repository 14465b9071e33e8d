// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens, reads and writes files from kernel code and says what it saw.
 *
 *   path=P flags=F mode=M [write=TEXT]   at load: open P; write TEXT or read what is there
 *   tag=T                                precedes every line, tells copies of this driver apart
 *   /sys/module/NAME/parameters/open     write "P": the same in the writer's context, so with its
 *                                        working directory and its root; read: the last result
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#define CONTENT_MAX 128

static char *path;
module_param(path, charp, 0444);
static int flags = O_RDONLY;
module_param(flags, int, 0644);
static int mode = 0600;
module_param(mode, int, 0644);
static char *write;
module_param(write, charp, 0444);
static char *tag = "-";
module_param(tag, charp, 0444);

static DEFINE_MUTEX(lock);
static long last;

static long file_use(struct file *file, const char *name)
{
	char content[CONTENT_MAX + 1];
	loff_t pos = 0;
	ssize_t n;

	if (write) {
		n = kernel_write(file, write, strlen(write), &pos);
		pr_info("umbra_t_path[%s]: write %s: %zd\n", tag, name, n);
		return n;
	}
	if (S_ISDIR(file_inode(file)->i_mode)) {
		pr_info("umbra_t_path[%s]: directory %s: inode %lu\n", tag, name,
			file_inode(file)->i_ino);
		return 0;
	}
	n = kernel_read(file, content, CONTENT_MAX, &pos);
	if (n >= 0) {
		content[n] = '\0';
		content[strcspn(content, "\n")] = '\0';
		pr_info("umbra_t_path[%s]: read %s: %zd \"%s\"\n", tag, name, n, content);
	} else {
		pr_info("umbra_t_path[%s]: read %s: %zd\n", tag, name, n);
	}
	return n;
}

static long open_and_use(const char *name)
{
	struct file *file = filp_open(name, flags, mode);
	long result;

	if (IS_ERR(file)) {
		pr_info("umbra_t_path[%s]: open %s: %ld\n", tag, name, PTR_ERR(file));
		return PTR_ERR(file);
	}
	result = file_use(file, name);
	filp_close(file, NULL);
	return result;
}

static int open_set(const char *value, const struct kernel_param *kp)
{
	char *name = kstrdup(value, GFP_KERNEL);

	if (!name)
		return -ENOMEM;
	name[strcspn(name, "\n")] = '\0';
	mutex_lock(&lock);
	last = open_and_use(name);
	mutex_unlock(&lock);
	kfree(name);
	return 0;
}

static int open_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%ld\n", last);
}

static const struct kernel_param_ops open_ops = {
	.set = open_set,
	.get = open_get,
};
module_param_cb(open, &open_ops, NULL, 0600);

static int __init path_init(void)
{
	if (path)
		last = open_and_use(path);
	return 0;
}

static void __exit path_exit(void)
{
}

module_init(path_init);
module_exit(path_exit);
MODULE_DESCRIPTION("Umbra test driver: files");
MODULE_LICENSE("GPL");
