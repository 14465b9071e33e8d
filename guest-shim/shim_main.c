// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts and ends the shim: it is loaded by the agent before the user's init runs, maps the VMM's
 * region, says hello, and leaves a control descriptor in the agent. There is no device node, so no
 * other process of the guest can reach it. Commands for the shim are carried out in the agent's
 * read(2), in process context; the others are handed to the agent.
 */
#include <linux/acpi.h>
#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>

#include "shim_call.h"

struct shim umbra;

static irqreturn_t mail_arrived(int irq, void *arg)
{
	wake_up_interruptible(&umbra.mail_wait);
	return IRQ_HANDLED;
}

static void command_done(u32 seq, s64 result, u64 value)
{
	umbra.doorbell(UMBRA_OP_DONE, seq, result, value, 0, 0);
}

/* Carries out a command for the shim. */
static s64 command_carry_out(const struct umbra_mail *m, u64 *value)
{
	const char *payload = (const char *)umbra.mail + UMBRA_MAIL_PAYLOAD;
	void *va;

	switch (m->cmd) {
	case UMBRA_CMD_RESERVE:
		va = shim_reserve(m->a);
		*value = (u64)va;
		return va ? 0 : -ENOSPC;
	case UMBRA_CMD_RELEASE:
		shim_release((void *)m->a);
		return 0;
	case UMBRA_CMD_MAP:
		return shim_remap((const struct umbra_map *)payload, m->a);
	case UMBRA_CMD_PATH_EXISTS:
		return shim_path_exists(payload) ? 0 : -EAGAIN;
	case UMBRA_CMD_IS_UP:
		return shim_guest_up(m->a) ? 0 : -EAGAIN;
	default:
		return -EOPNOTSUPP;
	}
}

static ssize_t control_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct umbra_mail *m;
	ssize_t ret;

	if (len < sizeof(*m))
		return -EINVAL;
	m = kmalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	if (mutex_lock_interruptible(&umbra.control)) {
		kfree(m);
		return -EINTR;
	}
	for (;;) {
		u64 value = 0;
		s64 result;

		ret = wait_event_interruptible(umbra.mail_wait,
					       READ_ONCE(umbra.mail->seq) != umbra.mail_seen);
		if (ret)
			break;
		memcpy(m, umbra.mail, sizeof(*m));
		umbra.mail_seen = m->seq;
		if (m->cmd >= UMBRA_CMD_LOAD) {
			shim_follow_init();
			ret = copy_to_user(buf, m, sizeof(*m)) ? -EFAULT : (ssize_t)sizeof(*m);
			break;
		}
		result = command_carry_out(m, &value);
		command_done(m->seq, result, value);
	}
	mutex_unlock(&umbra.control);
	kfree(m);
	return ret;
}

static ssize_t control_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct umbra_reply r;

	if (len != sizeof(r))
		return -EINVAL;
	if (copy_from_user(&r, buf, sizeof(r)))
		return -EFAULT;
	if (r.result == UMBRA_TAKEN)
		umbra.doorbell(UMBRA_OP_TAKEN, r.seq, 0, 0, 0, 0);
	else
		command_done(r.seq, r.result, 0);
	return len;
}

/* Maps the payload for init_module(2), so that it is not copied on the way. */
static int control_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long size = vma->vm_end - vma->vm_start;

	if (vma->vm_flags & VM_WRITE || vma->vm_pgoff || size > UMBRA_MAIL_PAYLOAD_MAX)
		return -EINVAL;
	vma->vm_flags &= ~VM_MAYWRITE;
	return remap_pfn_range(vma, vma->vm_start,
			       (UMBRA_MAILBOX_GPA + UMBRA_MAIL_PAYLOAD) >> PAGE_SHIFT, size,
			       vma->vm_page_prot);
}

/*
 * Tells the VMM that the agent is gone, whatever ended it, so that it does not wait for the agent.
 */
static int control_release(struct inode *inode, struct file *file)
{
	umbra.doorbell(UMBRA_OP_GONE, 0, 0, 0, 0, 0);
	return 0;
}

static const struct file_operations control_ops = {
	.owner = THIS_MODULE,
	.read = control_read,
	.write = control_write,
	.mmap = control_mmap,
	.release = control_release,
	.llseek = noop_llseek,
};

static int map_all(void)
{
	umbra.frames = shim_map(UMBRA_FRAME_GPA, UMBRA_FRAMES_SIZE, PAGE_KERNEL);
	umbra.seen = shim_map(UMBRA_SEEN_GPA, UMBRA_SEEN_SIZE, PAGE_KERNEL);
	umbra.answers = shim_map(UMBRA_ANSWER_GPA, UMBRA_FRAMES_SIZE, PAGE_KERNEL_RO);
	umbra.arena = shim_map(UMBRA_ARENA_GPA, UMBRA_ARENA_SIZE, PAGE_KERNEL_RO);
	umbra.mail = shim_map(UMBRA_MAILBOX_GPA, UMBRA_MAILBOX_SIZE, PAGE_KERNEL_RO);
	umbra.gate = shim_map_text(UMBRA_GATE_GPA, UMBRA_GATE_SIZE);
	return umbra.frames && umbra.seen && umbra.answers && umbra.arena && umbra.mail &&
			       umbra.gate
		       ? 0
		       : -ENOMEM;
}

static void unmap_all(void)
{
	shim_release(umbra.gate);
	shim_release((void *)umbra.mail);
	shim_release((void *)umbra.arena);
	shim_release((void *)umbra.answers);
	shim_release(umbra.seen);
	shim_release(umbra.frames);
	memunmap((void *)umbra.info);
}

/*
 * Makes the control file and reserves the agent's lowest free descriptor for it; the caller
 * installs it there when all else has succeeded.
 */
static int prepare_control(struct file **file)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);

	if (fd < 0)
		return fd;
	*file = anon_inode_getfile("[umbra]", &control_ops, NULL, O_RDWR);
	if (IS_ERR(*file)) {
		put_unused_fd(fd);
		return PTR_ERR(*file);
	}
	return fd;
}

static int __init umbra_init(void)
{
	const struct umbra_info *info;
	struct file *control;
	int ret, fd;

	info = memremap(UMBRA_INFO_GPA, UMBRA_INFO_SIZE, MEMREMAP_WB);
	if (!info)
		return -ENOMEM;
	if (info->magic != UMBRA_MAGIC || info->version != UMBRA_ABI_VERSION ||
	    strncmp(info->release, init_utsname()->release, sizeof(info->release))) {
		memunmap((void *)info);
		return -ENODEV;
	}
	umbra.info = info;
	init_waitqueue_head(&umbra.mail_wait);
	mutex_init(&umbra.control);
	umbra.first_exec = current->self_exec_id;
	ret = map_all();
	if (ret)
		goto out;
	shim_see_init();
	ret = shim_init_root(&umbra.first_root);
	if (ret)
		goto out;

	ret = acpi_register_gsi(NULL, info->gsi, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
	if (ret < 0)
		goto out_root;
	umbra.irq = ret;
	ret = request_irq(umbra.irq, mail_arrived, 0, "umbra", &umbra);
	if (ret)
		goto out_gsi;
	umbra.doorbell = umbra.gate + info->doorbell;
	fd = prepare_control(&control);
	if (fd < 0) {
		ret = fd;
		goto out_irq;
	}
	ret = umbra.doorbell(UMBRA_OP_HELLO, (u64)umbra.gate, (u64)umbra_gate_save,
			     (u64)umbra_see_save, (u64)umbra_few_save, 0);
	if (ret)
		goto out_control;
	fd_install(fd, control);
	/* It fails only if it is registered; a driver would then be refused by the VMM. */
	shim_watch_modules();
	/* Gates lead here as long as the guest lives. */
	__module_get(THIS_MODULE);
	return 0;
out_control:
	put_unused_fd(fd);
	fput(control);
out_irq:
	free_irq(umbra.irq, &umbra);
out_gsi:
	acpi_unregister_gsi(info->gsi);
out_root:
	path_put(&umbra.first_root);
out:
	unmap_all();
	return ret;
}

module_init(umbra_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Umbra: isolated driver sessions, guest side");
