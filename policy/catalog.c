// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists the rows of the catalogue, checked against a stock 6.1 kernel: every function is in its
 * __ksymtab or __ksymtab_gpl; prototypes are in the comments, because a wrong index or return
 * convention here corrupts the caller.
 *
 * An undoing function has no name of its own: by then the structure holds the name that was really
 * registered, and the registration that it undoes is found by its object. __symbol_put() is the
 * exception: it has nothing but the name.
 */
#include <string.h>

#include "policy/catalog.h"

static const struct catalog_fn rows[] = {
	/* struct file *filp_open(const char *, int flags, umode_t) */
	{ .name = "filp_open",
	  .args = 3,
	  .form = NAME_STRING,
	  .name_arg = 0,
	  .space = SPACE_FILE,
	  .refusal = REFUSE_ERR_PTR,
	  .undo = "filp_close",
	  .object_is_result = true,
	  .opens_path = true },
	/* int filp_close(struct file *, fl_owner_t) */
	{ .name = "filp_close",
	  .args = 2,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/* ssize_t kernel_write(struct file *, const void *, size_t, loff_t *) */
	{ .name = "kernel_write", .args = 4, .refusal = REFUSE_ERRNO, .object_arg = 0 },
	/* int misc_register(struct miscdevice *) */
	{ .name = "misc_register",
	  .args = 1,
	  .form = NAME_FIELD_PTR,
	  .name_arg = 0,
	  .strct = "miscdevice",
	  .member = "name",
	  .space = SPACE_MISC,
	  .refusal = REFUSE_ERRNO,
	  .undo = "misc_deregister",
	  .object_arg = 0,
	  .want_result = true },
	/* void misc_deregister(struct miscdevice *) */
	{ .name = "misc_deregister",
	  .args = 1,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/*
	 * struct task_struct *kthread_create_on_node(int (*)(void *), void *, int node,
	 *					      const char namefmt[], ...)
	 * A thread ends by itself or by kthread_stop(), which takes no name.
	 */
	{ .name = "kthread_create_on_node",
	  .args = 4,
	  .form = NAME_FORMAT,
	  .name_arg = 3,
	  .space = SPACE_THREAD,
	  .refusal = REFUSE_ERR_PTR,
	  .object_is_result = true },
	/*
	 * int call_usermodehelper(const char *path, char **argv, char **envp, int wait)
	 * With UMH_NO_WAIT it may be called in atomic context, and the work item that it queues
	 * reads the path after it returned. The result is told when the path has been read.
	 */
	{ .name = "call_usermodehelper",
	  .args = 4,
	  .form = NAME_STRING,
	  .name_arg = 0,
	  .space = SPACE_PROGRAM,
	  .refusal = REFUSE_ERRNO,
	  .object_arg = 0,
	  .has_strvec = true,
	  .strvec_arg = 1,
	  .want_result = true,
	  .runs_program = true },
	/* int register_netdevice(struct net_device *), under the RTNL */
	{ .name = "register_netdevice",
	  .args = 1,
	  .form = NAME_FIELD_ARRAY,
	  .name_arg = 0,
	  .strct = "net_device",
	  .member = "name",
	  .origin = { "name_assign_type", "rtnl_link_state", "rtnl_link_ops" },
	  .space = SPACE_NET,
	  .refusal = REFUSE_ERRNO,
	  .undo = "unregister_netdevice_queue",
	  .object_arg = 0,
	  .want_result = true },
	/* void unregister_netdevice_queue(struct net_device *, struct list_head *) */
	{ .name = "unregister_netdevice_queue",
	  .args = 2,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/*
	 * void unregister_netdevice_many(struct list_head *)
	 * Ends what unregister_netdevice_queue() began; each device was named there.
	 */
	{ .name = "unregister_netdevice_many",
	  .args = 1,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0 },
	/* int register_netdev(struct net_device *), takes the RTNL */
	{ .name = "register_netdev",
	  .args = 1,
	  .form = NAME_FIELD_ARRAY,
	  .name_arg = 0,
	  .strct = "net_device",
	  .member = "name",
	  .space = SPACE_NET,
	  .refusal = REFUSE_ERRNO,
	  .undo = "unregister_netdev",
	  .object_arg = 0,
	  .want_result = true },
	/* void unregister_netdev(struct net_device *) */
	{ .name = "unregister_netdev",
	  .args = 1,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/* int rtnl_link_register(struct rtnl_link_ops *) */
	{ .name = "rtnl_link_register",
	  .args = 1,
	  .form = NAME_FIELD_PTR,
	  .name_arg = 0,
	  .strct = "rtnl_link_ops",
	  .member = "kind",
	  .space = SPACE_LINK,
	  .refusal = REFUSE_ERRNO,
	  .undo = "rtnl_link_unregister",
	  .object_arg = 0,
	  .want_result = true },
	/* void rtnl_link_unregister(struct rtnl_link_ops *) */
	{ .name = "rtnl_link_unregister",
	  .args = 1,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/* int __rtnl_link_register(struct rtnl_link_ops *), under the RTNL */
	{ .name = "__rtnl_link_register",
	  .args = 1,
	  .form = NAME_FIELD_PTR,
	  .name_arg = 0,
	  .strct = "rtnl_link_ops",
	  .member = "kind",
	  .space = SPACE_LINK,
	  .refusal = REFUSE_ERRNO,
	  .undo = "__rtnl_link_unregister",
	  .object_arg = 0,
	  .want_result = true },
	/* void __rtnl_link_unregister(struct rtnl_link_ops *) */
	{ .name = "__rtnl_link_unregister",
	  .args = 1,
	  .refusal = REFUSE_NEVER,
	  .object_arg = 0,
	  .undoes = true },
	/*
	 * void *__symbol_get(const char *symbol), which symbol_get() and symbol_request() call
	 * The exports of a session's drivers have names of their own in the guest.
	 */
	{ .name = "__symbol_get",
	  .args = 1,
	  .form = NAME_STRING,
	  .name_arg = 0,
	  .space = SPACE_EXPORT,
	  .refusal = REFUSE_NULL,
	  .undo = "__symbol_put",
	  .object_is_result = true },
	/*
	 * void __symbol_put(const char *symbol), with BUG() for a name that nobody exports
	 * It has no object but the name, which leads where the get's did (vmm/gate/exports.c).
	 */
	{ .name = "__symbol_put",
	  .args = 1,
	  .form = NAME_STRING,
	  .name_arg = 0,
	  .space = SPACE_EXPORT,
	  .refusal = REFUSE_NEVER,
	  .undoes = true },
};

_Static_assert(ARRAY_SIZE(rows) <= CATALOG_MAX, "CATALOG_MAX is too small");

const struct catalog_fn *catalog_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].name[0] == name[0] && !strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

const struct catalog_fn *catalog_all(size_t *count)
{
	*count = ARRAY_SIZE(rows);
	return rows;
}

unsigned catalog_index(const struct catalog_fn *fn)
{
	return (unsigned)(fn - rows);
}
