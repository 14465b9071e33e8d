// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the export of umbra_t_export.c by symbol_get(), calls it, and keeps it until it is
 * unloaded; and says whether it could take a critical function of the kernel and one that is not.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <net/rtnetlink.h>

const char *umbra_t_attach(void);

static const char *(*attach)(void);

static int __init get_init(void)
{
	void *critical = symbol_get(rtnl_link_register);
	void *plain = symbol_get(ktime_get);

	attach = symbol_get(umbra_t_attach);
	pr_info("umbra_t_get: %s, critical %d, plain %d\n", attach ? attach() : "nothing",
		!!critical, !!plain);
	if (critical)
		symbol_put(rtnl_link_register);
	if (plain)
		symbol_put(ktime_get);
	return 0;
}

static void __exit get_exit(void)
{
	if (attach)
		symbol_put(umbra_t_attach);
}

module_init(get_init);
module_exit(get_exit);
MODULE_DESCRIPTION("Umbra test driver: takes what another one exports");
MODULE_LICENSE("GPL");
