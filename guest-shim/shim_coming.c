// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the VMM of each module that the kernel's loader has relocated, so that it can lead the
 * driver's inward entries to its functions before anything calls them.
 *
 * MODULE_STATE_COMING is after the relocations and before parse_args(), which calls the driver's
 * own kernel_param_ops, and before its init (load_module() in kernel/module/main.c). The priority
 * is the highest there is: others of the chain take pointers out of the module (trace events,
 * static calls, tracepoints), and after a refusal none of them has seen it.
 */
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/notifier.h>

#include "shim.h"

static int module_changes(struct notifier_block *block, unsigned long state, void *module)
{
	s64 ret;

	if (state != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	ret = umbra.doorbell(UMBRA_OP_COMING, (u64)module, 0, 0, 0, 0);
	return ret ? notifier_from_errno(ret) : NOTIFY_OK;
}

static struct notifier_block modules = {
	.notifier_call = module_changes,
	.priority = INT_MAX,
};

int shim_watch_modules(void)
{
	return register_module_notifier(&modules);
}
