/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declares the state and the functions that the files of the shim share. The shim is the part of
 * Umbra that runs in the guest's kernel. It holds no policy. It copies a driver's arguments out,
 * asks the VMM, and carries out the answer; and it maps the VMM's pages.
 *
 * Addresses of kernel functions that modules may not import come from the VMM, which knows the
 * whole image (struct umbra_info). Everything that can differ between kernels (offsets, addresses)
 * comes from there too, so that the shim itself stays the same for all.
 */
#ifndef UMBRA_GUEST_SHIM_SHIM_H
#define UMBRA_GUEST_SHIM_SHIM_H

#include <linux/bitmap.h>
#include <linux/fs_struct.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "abi.h"

struct open_flags;
struct open_how;

struct shim {
	const struct umbra_info *info;
	const struct umbra_answer *answers;
	const struct umbra_mail *mail;
	const char *arena;
	struct umbra_frame *frames;
	struct umbra_seen_area *seen;
	void *gate;
	s64 (*doorbell)(u64 op, u64 a, u64 b, u64 c, u64 d, u64 e);
	DECLARE_BITMAP(busy, UMBRA_FRAMES);
	wait_queue_head_t mail_wait;
	unsigned int irq;
	struct mutex control;	/* one reader of commands */
	struct path first_root; /* the initramfs, while the agent was PID 1 */
	u32 first_exec;
	u32 mail_seen;
};

/* The one shim; modules have no main() to pass it from. */
extern struct shim umbra;

/* shim_map.c */

/* Maps @size bytes of the VMM's region for reading, or for writing too. In the vmalloc range. */
void *shim_map(u64 gpa, unsigned long size, pgprot_t prot);
/* Reserves @pages of module space, every page being the trap page. NULL: no room. */
void *shim_reserve(unsigned long pages);
void shim_release(void *va);
/* Replaces pages inside a reservation. -EINVAL: not there, or not the VMM's page. */
int shim_remap(const struct umbra_map *maps, u64 count);
/* Maps @size bytes at @gpa in module space, read-only and executable. */
void *shim_map_text(u64 gpa, unsigned long size);

/* shim_entry.S: where the gate page and entries jump to; no C function may call them. */
void umbra_gate_save(void);
void umbra_see_save(void);
void umbra_few_save(void);

/* shim_gate.c */

/* Called by umbra_gate_save() for each gated call; returns the value that the driver gets. */
u64 umbra_gate_enter(struct umbra_regs *regs);

/* shim_see.c */

/* Called by these two for calls that go into the CPU's ring; return what the function does. */
u64 umbra_see_enter(const struct umbra_regs *regs);
u64 umbra_see_few_enter(const struct umbra_few_regs *regs);
/* shim_coming.c: has the VMM told of each module before anything of it runs. After the hello. */
int shim_watch_modules(void);

/* shim_path.c */

/* Gets the root directory of the guest's init, from which the session's real paths start. */
int shim_init_root(struct path *root);

/* Where a path of the calling task starts; all zero: not known. */
struct shim_place {
	struct path root, pwd, init_root;
	bool known;
	bool other_mounts; /* the task's mount namespace is not that of the guest's init */
};
/* Takes references, which shim_place_release() gives back; both in process context only. */
void shim_place_get(struct shim_place *place);
void shim_place_release(struct shim_place *place);
/* Fills cwd and root of @f, whose name is a path; does not sleep. */
void shim_place_put(const struct shim_place *place, struct umbra_frame *f);

/* The directory that stands for "/" in a walk. */
struct shim_root {
	const struct path *base; /* below which it is; NULL: below the root of the guest's init */
	const char *name;
	u64 resolve; /* RESOLVE_* of openat2(2) */
};

/* Opens @name below @root as openat2(RESOLVE_IN_ROOT) would. A struct file or ERR_PTR. */
struct file *shim_open_in_root(const struct shim_root *root, const char *name, int flags,
			       umode_t mode);
/*
 * Looks @name up below @root in the same way, with @flags as of kern_path(); the caller gives @out
 * back by path_put(). -errno.
 */
int shim_look_up_in_root(const struct shim_root *root, const char *name, unsigned int flags,
			 struct path *out);
/* Gives the current process (the agent) the root of the guest's init. */
void shim_follow_init(void);
/* Returns true if PID 1 runs something else than the agent, and with @root also on another root. */
bool shim_guest_up(bool root);
/* Returns true if @path exists, seen from init's root. */
bool shim_path_exists(const char *path);

#endif
