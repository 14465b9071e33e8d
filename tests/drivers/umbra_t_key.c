// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a static key and a static call, which the kernel patches in its text.
 *
 *   /sys/module/NAME/parameters/on   write 1 or 0: switch both; read: what they lead to, "0 0" or
 *                                    "1 1"
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>

static int call_off(void)
{
	return 0;
}

static int call_on(void)
{
	return 1;
}

static DEFINE_STATIC_KEY_FALSE(key);
DEFINE_STATIC_CALL(umbra_t_key_call, call_off);

static noinline int key_is_on(void)
{
	if (static_branch_unlikely(&key))
		return 1;
	return 0;
}

static int on_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int result = kstrtobool(value, &on);

	if (result)
		return result;
	if (on)
		static_branch_enable(&key);
	else
		static_branch_disable(&key);
	static_call_update(umbra_t_key_call, on ? call_on : call_off);
	return 0;
}

static int on_get(char *buffer, const struct kernel_param *kp)
{
	return sprintf(buffer, "%d %d\n", key_is_on(), static_call(umbra_t_key_call)());
}

static const struct kernel_param_ops on_ops = {
	.set = on_set,
	.get = on_get,
};
module_param_cb(on, &on_ops, NULL, 0600);

static int __init key_init(void)
{
	return 0;
}

static void __exit key_exit(void)
{
}

module_init(key_init);
module_exit(key_exit);
MODULE_DESCRIPTION("Umbra test driver: text that the kernel patches");
MODULE_LICENSE("GPL");
