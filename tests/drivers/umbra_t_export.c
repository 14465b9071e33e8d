// SPDX-License-Identifier: GPL-2.0-only
/* Exports umbra_t_attach(), which gives text=T; umbra_t_get.c takes it. */
#include <linux/module.h>

static char *text = "-";
module_param(text, charp, 0444);

const char *umbra_t_attach(void);

const char *umbra_t_attach(void)
{
	return text;
}
EXPORT_SYMBOL_GPL(umbra_t_attach);

static int __init export_init(void)
{
	return 0;
}

static void __exit export_exit(void)
{
}

module_init(export_init);
module_exit(export_exit);
MODULE_DESCRIPTION("Umbra test driver: an export that is taken by symbol_get()");
MODULE_LICENSE("GPL");
