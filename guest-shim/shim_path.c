// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds and opens paths for the VMM. Only the guest sees its file systems, so the VMM answers with
 * a root and a name below it, and the walk is done here the way openat2(RESOLVE_IN_ROOT) does it:
 * "..", absolute symbolic links and magic links cannot leave the root, and a rename in the middle
 * of the walk is noticed.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/openat2.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>

#include "shim.h"

/* Exported, but declared only in fs/internal.h. */
extern int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt, const char *name,
			   unsigned int flags, struct path *path);

/* Gets the root of the guest's init, and whether the calling task sees other mounts than it. */
static int init_root_get(struct path *root, bool *other_mounts)
{
	struct task_struct *init;
	int ret = -ESRCH;

	rcu_read_lock();
	init = init_pid_ns.child_reaper;
	if (init)
		get_task_struct(init);
	rcu_read_unlock();
	if (!init)
		return ret;
	task_lock(init);
	if (init->fs) {
		get_fs_root(init->fs, root);
		*other_mounts = init->nsproxy && current->nsproxy &&
				init->nsproxy->mnt_ns != current->nsproxy->mnt_ns;
		ret = 0;
	}
	task_unlock(init);
	put_task_struct(init);
	return ret;
}

int shim_init_root(struct path *root)
{
	bool other_mounts;

	return init_root_get(root, &other_mounts);
}

/* Appends the text of a path to data[]. */
static void frame_put_path(struct umbra_frame *f, struct umbra_str *s, const struct path *path,
			   char *(*to_text)(const struct path *, char *, int))
{
	char *buf = f->data + f->used;
	char *text;
	size_t len;

	if (f->used + UMBRA_NAME_MAX > sizeof(f->data)) {
		f->flags |= UMBRA_FRAME_TOO_LONG;
		return;
	}
	text = to_text(path, buf, UMBRA_NAME_MAX);
	if (IS_ERR(text)) {
		f->flags |=
			PTR_ERR(text) == -ENAMETOOLONG ? UMBRA_FRAME_TOO_LONG : UMBRA_FRAME_FAULT;
		return;
	}
	len = strlen(text) + 1;
	memmove(buf, text, len);
	s->off = f->used;
	s->len = len;
	f->used += len;
}

void shim_place_get(struct shim_place *place)
{
	if (!current->fs || init_root_get(&place->init_root, &place->other_mounts))
		return;
	get_fs_root(current->fs, &place->root);
	get_fs_pwd(current->fs, &place->pwd);
	place->known = true;
}

void shim_place_release(struct shim_place *place)
{
	if (!place->known)
		return;
	path_put(&place->pwd);
	path_put(&place->root);
	path_put(&place->init_root);
	place->known = false;
}

void shim_place_put(const struct shim_place *place, struct umbra_frame *f)
{
	char *(*absolute)(const struct path *, char *, int);

	if (!place->known)
		return;
	absolute = (void *)umbra.info->syms[UMBRA_SYM_D_ABSOLUTE];
	if (place->other_mounts)
		f->flags |= UMBRA_FRAME_OTHER_MOUNTS;
	if (!path_equal(&place->root, &place->init_root))
		frame_put_path(f, &f->root, &place->root, absolute);
	if (f->name.len && f->data[f->name.off] != '/')
		frame_put_path(f, &f->cwd, &place->pwd, d_path);
}

/* Looks @name up below @base, or below the root of the guest's init if that is NULL. */
static int lookup_below(const struct path *base, const char *name, unsigned int flags,
			struct path *out)
{
	struct path root;
	int ret;

	if (base) {
		root = *base;
		path_get(&root);
	} else {
		ret = shim_init_root(&root);
		if (ret)
			return ret;
	}
	if (!strcmp(name, "/") && d_can_lookup(root.dentry)) {
		*out = root; /* most are: nothing to walk */
		return 0;
	}
	ret = vfs_path_lookup(root.dentry, root.mnt, name, flags, out);
	path_put(&root);
	return ret;
}

bool shim_guest_up(bool root)
{
	struct task_struct *init;
	struct path init_root;
	bool up = false;

	if (shim_init_root(&init_root))
		return false;
	if (!root || !path_equal(&umbra.first_root, &init_root)) {
		rcu_read_lock();
		init = init_pid_ns.child_reaper;
		/* the agent was PID 1; by now that has become another program */
		up = init && READ_ONCE(init->self_exec_id) != umbra.first_exec;
		rcu_read_unlock();
	}
	path_put(&init_root);
	return up;
}

void shim_follow_init(void)
{
	void (*set_root)(struct fs_struct *, const struct path *);
	void (*set_pwd)(struct fs_struct *, const struct path *);
	struct path root;

	if (shim_init_root(&root))
		return;
	set_root = (void *)umbra.info->syms[UMBRA_SYM_SET_FS_ROOT];
	set_pwd = (void *)umbra.info->syms[UMBRA_SYM_SET_FS_PWD];
	set_root(current->fs, &root);
	set_pwd(current->fs, &root);
	path_put(&root);
}

bool shim_path_exists(const char *path)
{
	struct path p;

	if (lookup_below(NULL, path, LOOKUP_FOLLOW, &p))
		return false;
	path_put(&p);
	return true;
}

int shim_look_up_in_root(const struct shim_root *root, const char *name, unsigned int flags,
			 struct path *out)
{
	struct path dir;
	int ret, tries = 0;

	ret = lookup_below(root->base, root->name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dir);
	if (ret)
		return ret;
	flags &= ~LOOKUP_IS_SCOPED;
	if (root->resolve & RESOLVE_IN_ROOT)
		flags |= LOOKUP_IN_ROOT;
	/* -EAGAIN: something was renamed while ".." was walked */
	do {
		ret = vfs_path_lookup(dir.dentry, dir.mnt, name, flags, out);
	} while (ret == -EAGAIN && ++tries < 64);
	path_put(&dir);
	return ret;
}

struct file *shim_open_in_root(const struct shim_root *root, const char *name, int flags,
			       umode_t mode)
{
	int (*open_flags)(const struct open_how *, struct open_flags *);
	struct file *(*open_root)(const struct path *, const char *, const struct open_flags *);
	/* struct open_flags is private to fs/: five ints in 6.1 */
	u64 op[16] = { 0 };
	struct open_how how;
	struct path dir;
	struct file *file;
	int ret, tries = 0;

	open_flags = (void *)umbra.info->syms[UMBRA_SYM_OPEN_FLAGS];
	open_root = (void *)umbra.info->syms[UMBRA_SYM_OPEN_ROOT];
	ret = lookup_below(root->base, root->name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dir);
	if (ret)
		return ERR_PTR(ret);
	/* as build_open_how(): drivers pass bits that openat2() would refuse */
	how = (struct open_how){
		.flags = (u32)flags & VALID_OPEN_FLAGS,
		.mode = mode & S_IALLUGO,
		.resolve = root->resolve,
	};
	if (how.flags & O_PATH)
		how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (!(how.flags & (O_CREAT | __O_TMPFILE)))
		how.mode = 0;
	ret = open_flags(&how, (struct open_flags *)op);
	if (ret) {
		file = ERR_PTR(ret);
		goto out;
	}
	/* -EAGAIN: something was renamed while ".." was walked */
	do {
		file = open_root(&dir, name, (struct open_flags *)op);
	} while (file == ERR_PTR(-EAGAIN) && ++tries < 64);
out:
	path_put(&dir);
	return file;
}
