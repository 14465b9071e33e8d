// SPDX-License-Identifier: GPL-2.0-only
/* Imports a function that nothing provides. */
#include <linux/module.h>

extern void umbra_no_such_function(void);

static int __init badimport_init(void)
{
	umbra_no_such_function();
	return 0;
}

module_init(badimport_init);
MODULE_DESCRIPTION("Umbra test driver: an import without a provider");
MODULE_LICENSE("GPL");
