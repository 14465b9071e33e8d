// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shim's life: it is loaded by the agent before the user's init runs, maps the VMM's region,
 * says hello, and leaves a control descriptor in the agent. There is no device node, so no other
 * process of the guest can reach it. Commands for the shim are carried out in the agent's read(2),
 * in process context; the others are handed to the agent.
 */
#include <linux/acpi.h>
#include <linux/anon_inodes.h>
#include <linux/delay.h>
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

#include "shim.h"

struct shim umbra;

static irqreturn_t mail_arrived(int irq, void *arg)
{
	atomic_inc(&umbra.mail_irq);
	wake_up_interruptible(&umbra.mail_wait);
	return IRQ_HANDLED;
}

static void done(u32 seq, s64 result, u64 value)
{
	umbra.doorbell(UMBRA_OP_DONE, seq, result, value, 0, 0);
}

static s64 wait_path(const char *path)
{
	while (!shim_path_exists(path))
		if (msleep_interruptible(50))
			return -EINTR;
	return 0;
}

static s64 wait_up(bool root)
{
	while (!shim_guest_up(root))
		if (msleep_interruptible(50))
			return -EINTR;
	return 0;
}

/* Carry out a command for the shim. */
static s64 carry_out(const struct umbra_mail *m, u64 *value)
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
	case UMBRA_CMD_WAIT_PATH:
		return wait_path(payload);
	case UMBRA_CMD_WAIT_UP:
		return wait_up(m->a);
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
		result = carry_out(m, &value);
		done(m->seq, result, value);
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
	done(r.seq, r.result, 0);
	return len;
}

/* The payload, for init_module(2): no copy on the way. */
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

static const struct file_operations control_ops = {
	.owner = THIS_MODULE,
	.read = control_read,
	.write = control_write,
	.mmap = control_mmap,
	.llseek = noop_llseek,
};

static int map_all(void)
{
	umbra.frames = shim_map(UMBRA_FRAME_GPA, UMBRA_FRAMES_SIZE, PAGE_KERNEL);
	umbra.answers = shim_map(UMBRA_ANSWER_GPA, UMBRA_FRAMES_SIZE, PAGE_KERNEL_RO);
	umbra.arena = shim_map(UMBRA_ARENA_GPA, UMBRA_ARENA_SIZE, PAGE_KERNEL_RO);
	umbra.mail = shim_map(UMBRA_MAILBOX_GPA, UMBRA_MAILBOX_SIZE, PAGE_KERNEL_RO);
	umbra.gate = shim_map_text(UMBRA_GATE_GPA, UMBRA_GATE_SIZE);
	return umbra.frames && umbra.answers && umbra.arena && umbra.mail && umbra.gate ? 0
											: -ENOMEM;
}

static void unmap_all(void)
{
	shim_release(umbra.gate);
	shim_release((void *)umbra.mail);
	shim_release((void *)umbra.arena);
	shim_release((void *)umbra.answers);
	shim_release(umbra.frames);
	memunmap((void *)umbra.info);
}

static int __init umbra_init(void)
{
	const struct umbra_info *info;
	int ret, fd, gsi;

	info = memremap(UMBRA_INFO_GPA, UMBRA_INFO_SIZE, MEMREMAP_WB);
	if (!info)
		return -ENOMEM;
	if (info->magic != UMBRA_MAGIC || info->version != UMBRA_ABI_VERSION ||
	    strncmp(info->release, init_utsname()->release, sizeof(info->release))) {
		memunmap((void *)info);
		return -ENODEV;
	}
	umbra.info = info;
	init_waitqueue_head(&umbra.frame_free);
	init_waitqueue_head(&umbra.mail_wait);
	mutex_init(&umbra.control);
	ret = map_all();
	if (ret)
		goto out;

	gsi = acpi_register_gsi(NULL, info->gsi, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
	if (gsi < 0) {
		ret = gsi;
		goto out;
	}
	umbra.irq = gsi;
	ret = request_irq(umbra.irq, mail_arrived, 0, "umbra", &umbra);
	if (ret)
		goto out;

	umbra.doorbell = umbra.gate + info->doorbell;
	ret = umbra.doorbell(UMBRA_OP_HELLO, (u64)umbra.gate, (u64)umbra.frames, (u64)umbra.answers,
			     (u64)umbra.arena, (u64)umbra_gate_enter);
	if (ret)
		goto out_irq;

	/* The loader finds it as its lowest free descriptor. */
	fd = anon_inode_getfd("[umbra]", &control_ops, NULL, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto out_irq;
	}
	/* Gates lead here as long as the guest lives. */
	__module_get(THIS_MODULE);
	return 0;
out_irq:
	free_irq(umbra.irq, &umbra);
out:
	unmap_all();
	return ret;
}

module_init(umbra_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Umbra: isolated driver sessions, guest side");
