// SPDX-License-Identifier: GPL-2.0-only
/*
 * Carries out a critical call as the VMM has answered. Most functions are called with another name
 * in place of the driver's. Those that take a path and are to stay below a root do their work here,
 * since no exported function has a root of its own; and so do those that start a program, since
 * they do not tell when they have let go of its name.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel_read_file.h>
#include <linux/kobject.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/umh.h>

#include "shim_call.h"

#define ARRAY_NAME_MAX 64 /* bytes of a char array inside a structure */

typedef u64 (*real_fn)(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64, u64);

u64 call_real(const struct shim_call *c)
{
	const u64 *a = c->arg;

	/* kthread_use_mm() may have been refused. */
	if (c->fn->how == UMBRA_HOW_UNUSE_MM && (u64)current->mm != a[0])
		return 0;
	/* Stack arguments are passed always: a function that takes fewer does not look. */
	return ((real_fn)c->fn->real)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9],
				      a[10], a[11], a[12], a[13]);
}

u64 call_refusal(const struct umbra_fn *fn, u32 error)
{
	return umbra_refusal(fn->refusal, error);
}

static int kernel_store(u64 to, const void *from, size_t len)
{
	long (*write)(void *dst, const void *src, size_t size);

	write = (void *)umbra.info->syms[UMBRA_SYM_WRITE_NOFAULT];
	return write((void *)to, from, len);
}

/*
 * Calls the function with the credentials in force, so that it counts what its undoing will, and
 * changes nothing.
 */
static u64 call_with_own_creds(const struct shim_call *c)
{
	struct shim_call own = *c;

	own.arg[0] = (u64)current_cred();
	return c->fn->real ? call_real(&own) : own.arg[0];
}

u64 call_refuse(const struct shim_call *c, u32 error)
{
	const u64 none = 0;

	if (c->fn->refusal == UMBRA_REFUSE_CREDS)
		return call_with_own_creds(c);
	/* The caller of these gives up its reference after an error, too: there must be one. */
	if (c->fn->how == UMBRA_HOW_INIT_DEVICE && c->arg[0])
		device_initialize((struct device *)c->arg[0]);
	else if (c->fn->how == UMBRA_HOW_INIT_KOBJECT && c->arg[0] && c->arg[1])
		kobject_init((struct kobject *)c->arg[0], (const struct kobj_type *)c->arg[1]);
	if (c->fn->clears && c->arg[c->fn->clears - 1])
		kernel_store(c->arg[c->fn->clears - 1], &none, sizeof(none));
	return call_refusal(c->fn, error);
}

/*
 * Puts the answer's name in the place of the driver's. @array keeps the old content of a char
 * array. -EFAULT: that place cannot be written.
 */
static int name_put_in_place(struct shim_call *c, const struct answer *a, u64 field, char *array)
{
	static const char format[] = "%s";
	const struct umbra_fn *fn = c->fn;

	switch (a->name ? fn->form : UMBRA_FORM_NONE) {
	case UMBRA_FORM_STRING:
		c->arg[fn->name_arg] = (u64)a->name;
		return 0;
	case UMBRA_FORM_FORMAT:
		c->arg[fn->name_arg] = (u64)format;
		c->arg[fn->nargs] = (u64)a->name; /* the first of the varargs */
		return 0;
	case UMBRA_FORM_FIELD_PTR:
		return kernel_store(field, &a->name, sizeof(a->name)) ? -EFAULT : 0;
	case UMBRA_FORM_FIELD_ARRAY:
		if (a->name_len > fn->field_size || fn->field_size > ARRAY_NAME_MAX ||
		    copy_from_kernel_nofault(array, (void *)field, fn->field_size) ||
		    kernel_store(field, a->name, a->name_len))
			return -EFAULT;
		return 0;
	default:
		return 0;
	}
}

/* Puts the driver's own name back where it was, after a call that failed. */
static void name_take_back(const struct shim_call *c, u64 field, const char *array)
{
	if (c->fn->form == UMBRA_FORM_FIELD_PTR)
		kernel_store(field, &c->old, sizeof(c->old));
	else if (c->fn->form == UMBRA_FORM_FIELD_ARRAY)
		kernel_store(field, array, c->fn->field_size);
}

/*
 * A program that the kernel is to start; frees the name that the VMM lent for it: (G9) of gate.h.
 * The last three members are the driver's own.
 */
struct program {
	u64 ticket;
	u32 id;
	const char *path;
	int (*init)(struct subprocess_info *info, struct cred *new);
	void (*cleanup)(struct subprocess_info *info);
	void *data;
};

/* Called in the program's own process, before it runs. */
static int program_init(struct subprocess_info *info, struct cred *new)
{
	struct program *p = info->data;
	int ret = 0;

	if (p->init) {
		info->data = p->data;
		ret = p->init(info, new);
		info->data = p;
	}
	info->path = p->path; /* (G8): the driver could write to it since it was set up */
	return ret;
}

/*
 * Called by the kernel when it has read the program's name, or will not read it; once, in process
 * context.
 */
static void program_let_go(struct subprocess_info *info)
{
	struct program *p = info->data;

	if (p->cleanup) {
		info->data = p->data;
		p->cleanup(info);
	}
	umbra.doorbell(UMBRA_OP_RESULT, p->ticket, p->id, 0, 0, 0);
	kfree(p);
}

/* Sets up a program with the answer's name, and of the driver what @of has. NULL: no memory. */
static struct subprocess_info *program_set_up(const struct shim_call *c, const struct answer *a,
					      const struct program *of, gfp_t gfp)
{
	struct subprocess_info *info = NULL;
	struct program *p;

	p = kmalloc(sizeof(*p), gfp);
	if (p) {
		*p = *of;
		p->ticket = a->ticket;
		p->id = c->id;
		p->path = a->name;
		info = call_usermodehelper_setup(a->name, (char **)c->arg[1], (char **)c->arg[2],
						 gfp, program_init, program_let_go, p);
	}
	if (!info) {
		umbra.doorbell(UMBRA_OP_RESULT, a->ticket, c->id, call_refusal(c->fn, ENOMEM), 0,
			       0);
		kfree(p);
	}
	return info;
}

/* Does the work of call_usermodehelper(). */
static u64 program_run(const struct shim_call *c, const struct answer *a)
{
	const struct program none = { 0 };
	int wait = c->arg[3];
	struct subprocess_info *info;

	info = program_set_up(c, a, &none, wait == UMH_NO_WAIT ? GFP_ATOMIC : GFP_KERNEL);
	return info ? call_usermodehelper_exec(info, wait) : -ENOMEM;
}

/* Does the work of call_usermodehelper_setup(); @c has its seventh argument on the stack. */
static u64 program_prepare(const struct shim_call *c, const struct answer *a)
{
	const struct program of = {
		.init = (void *)c->arg[4],
		.cleanup = (void *)c->arg[5],
		.data = (void *)c->arg[6],
	};

	return (u64)program_set_up(c, a, &of, (gfp_t)c->arg[3]);
}

static int look_up_bdev(const struct shim_root *root, const char *name, dev_t *dev)
{
	const struct inode *inode;
	struct path p;
	int ret = shim_look_up_in_root(root, name, LOOKUP_FOLLOW, &p);

	if (ret)
		return ret;
	inode = d_backing_inode(p.dentry);
	if (!S_ISBLK(inode->i_mode))
		ret = -ENOTBLK;
	else if (p.mnt->mnt_flags & MNT_NODEV || p.mnt->mnt_sb->s_iflags & SB_I_NODEV)
		ret = -EACCES; /* as may_open_dev() */
	else
		*dev = inode->i_rdev;
	path_put(&p);
	return ret;
}

static struct block_device *open_bdev(const struct shim_root *root, const char *name, fmode_t mode,
				      void *holder)
{
	struct block_device *bdev;
	dev_t dev;
	int ret = look_up_bdev(root, name, &dev);

	if (ret)
		return ERR_PTR(ret);
	bdev = blkdev_get_by_dev(dev, mode, holder);
	if (IS_ERR(bdev) || !(mode & FMODE_WRITE) || !bdev_read_only(bdev))
		return bdev;
	blkdev_put(bdev, mode);
	return ERR_PTR(-EACCES);
}

/* The driver's pointers are written with care: what they point to may be gone by now. */
static s64 read_whole_file(const struct shim_root *root, const char *name, const u64 *arg)
{
	struct file *file;
	void *buf, *theirs;
	size_t size = 0;
	s64 ret;

	if (copy_from_kernel_nofault(&theirs, (void *)arg[2], sizeof(theirs)))
		return -EFAULT;
	buf = theirs;
	file = shim_open_in_root(root, name, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = kernel_read_file(file, arg[1], &buf, arg[3], arg[4] ? &size : NULL, arg[5]);
	fput(file);
	if (ret < 0)
		return ret;
	if (!kernel_store(arg[2], &buf, sizeof(buf)) &&
	    (!arg[4] || !kernel_store(arg[4], &size, sizeof(size))))
		return ret;
	if (!theirs)
		vfree(buf);
	return -EFAULT;
}

/* Gives the driver what was found, where it wants it; -EFAULT: that place cannot be written. */
static int give_path(u64 to, struct path *found)
{
	if (!kernel_store(to, found, sizeof(*found)))
		return 0;
	path_put(found);
	return -EFAULT;
}

/* Does the work of a function that takes a path, below the answer's root. */
static u64 call_in_root(const struct shim_call *c, const struct answer *a)
{
	const bool callers = a->flags & UMBRA_ANSWER_CALLERS;
	const struct shim_root root = {
		.base = callers		 ? &c->place.root
			: c->place.known ? &c->place.init_root
					 : NULL,
		.name = a->root,
		.resolve = a->resolve,
	};
	const u64 *arg = c->arg;
	struct path found;
	dev_t dev;
	int ret;

	if (callers && !c->place.known)
		return call_refuse(c, ENOENT);
	switch (c->fn->how) {
	case UMBRA_HOW_OPEN:
		return (u64)shim_open_in_root(&root, a->name, arg[1], arg[2]);
	case UMBRA_HOW_LOOK_UP:
		ret = shim_look_up_in_root(&root, a->name, arg[1], &found);
		return ret ? ret : give_path(arg[2], &found);
	case UMBRA_HOW_READ_FILE:
		return read_whole_file(&root, a->name, arg);
	case UMBRA_HOW_LOOK_UP_BDEV:
		ret = look_up_bdev(&root, a->name, &dev);
		return ret || !kernel_store(arg[1], &dev, sizeof(dev)) ? ret : -EFAULT;
	case UMBRA_HOW_OPEN_BDEV:
		return (u64)open_bdev(&root, a->name, arg[1], (void *)arg[2]);
	default:
		return call_refuse(c, EPERM);
	}
}

/*
 * Gives the driver the answer's name in place of the one that the function has put into its buffer,
 * and returns where it is: at the buffer's end, where the function puts it.
 */
static u64 name_give(const struct shim_call *c, const struct answer *a)
{
	s64 size = (s32)c->arg[2];
	u64 at = c->arg[1] + size - a->name_len;

	if (a->verdict != UMBRA_REWRITE || !a->name)
		return c->given;
	if (a->name_len > size)
		return (u64)-ENAMETOOLONG;
	return kernel_store(at, a->name, a->name_len) ? (u64)-EFAULT : at;
}

/* Tells the VMM what the real function has returned, and what it has made of the name in @field. */
static void result_tell(const struct shim_call *c, const struct answer *a, u64 field, u64 ret)
{
	u64 name[2] = { 0, 0 };

	if (c->fn->form == UMBRA_FORM_FIELD_ARRAY && a->name &&
	    umbra_succeeded(c->fn->refusal, ret) &&
	    copy_from_kernel_nofault(name, (void *)field,
				     min_t(size_t, sizeof(name), c->fn->field_size)))
		name[0] = name[1] = 0;
	umbra.doorbell(UMBRA_OP_RESULT, a->ticket, c->id, ret, name[0], name[1]);
}

u64 call_carry_out(struct shim_call *c, const struct answer *a)
{
	const struct umbra_fn *fn = c->fn;
	char array[ARRAY_NAME_MAX] SHIM_UNSET;
	u64 field = 0, ret;

	if (a->root)
		return call_in_root(c, a);
	if (fn->how == UMBRA_HOW_GIVE_NAME)
		return name_give(c, a);
	if (a->flags & UMBRA_ANSWER_RESULT && fn->how == UMBRA_HOW_RUN_PROGRAM)
		return program_run(c, a);
	if (a->flags & UMBRA_ANSWER_RESULT && fn->how == UMBRA_HOW_SET_UP_PROGRAM)
		return program_prepare(c, a);
	if (fn->name_arg < 6)
		field = c->arg[fn->name_arg] + fn->field_off;
	if (name_put_in_place(c, a, field, array)) {
		ret = call_refuse(c, EFAULT);
	} else {
		ret = call_real(c);
		if (a->name && !umbra_succeeded(fn->refusal, ret))
			name_take_back(c, field, array);
		if (a->flags & UMBRA_ANSWER_RESTORE)
			kernel_store(field, &a->value, sizeof(a->value));
	}
	if (a->flags & UMBRA_ANSWER_RESULT)
		result_tell(c, a, field, ret);
	return ret;
}
