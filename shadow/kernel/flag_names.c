// SPDX-License-Identifier: GPL-2.0-only
/* Has the flags by their names: a row adds a flag, a set, a typedef or a function's argument. */
#include "shadow/kernel/flag_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* @value of the bits @mask; those of several bits come before their parts. */
struct flag {
	u64 mask, value;
	const char *name;
};

struct flag_set {
	const struct flag *flags; /* ends without a name */
	bool octal;		  /* how the rest is written */
	bool of_6_1;		  /* the kernel may choose others */
};

#define BIT(v, n)             \
	{                     \
		(v), (v), (n) \
	}
#define FIELD(mask, v, n)        \
	{                        \
		(mask), (v), (n) \
	}
#define END                \
	{                  \
		0, 0, NULL \
	}

static const struct flag gfp[] = {
	FIELD(0x100cc0, 0x100cc0, "GFP_USER"),
	FIELD(0x400cc0, 0x400cc0, "GFP_KERNEL_ACCOUNT"),
	FIELD(0xcc0, 0xcc0, "GFP_KERNEL"),
	FIELD(0xcc0, 0xc40, "GFP_NOFS"),
	FIELD(0xcc0, 0xc00, "GFP_NOIO"),
	FIELD(0xee0, 0xa20, "GFP_ATOMIC"),
	FIELD(0xee0, 0x800, "GFP_NOWAIT"),
	BIT(0x1, "GFP_DMA"),
	BIT(0x2, "__GFP_HIGHMEM"),
	BIT(0x4, "GFP_DMA32"),
	BIT(0x8, "__GFP_MOVABLE"),
	BIT(0x10, "__GFP_RECLAIMABLE"),
	BIT(0x20, "__GFP_HIGH"),
	BIT(0x40, "__GFP_IO"),
	BIT(0x80, "__GFP_FS"),
	BIT(0x100, "__GFP_ZERO"),
	BIT(0x200, "__GFP_ATOMIC"),
	BIT(0x400, "__GFP_DIRECT_RECLAIM"),
	BIT(0x800, "__GFP_KSWAPD_RECLAIM"),
	BIT(0x1000, "__GFP_WRITE"),
	BIT(0x2000, "__GFP_NOWARN"),
	BIT(0x4000, "__GFP_RETRY_MAYFAIL"),
	BIT(0x8000, "__GFP_NOFAIL"),
	BIT(0x10000, "__GFP_NORETRY"),
	BIT(0x20000, "__GFP_MEMALLOC"),
	BIT(0x40000, "__GFP_COMP"),
	BIT(0x80000, "__GFP_NOMEMALLOC"),
	BIT(0x100000, "__GFP_HARDWALL"),
	BIT(0x200000, "__GFP_THISNODE"),
	BIT(0x400000, "__GFP_ACCOUNT"),
	BIT(0x800000, "__GFP_ZEROTAGS"),
	END,
};

static const struct flag file_modes[] = {
	BIT(0x1, "FMODE_READ"),
	BIT(0x2, "FMODE_WRITE"),
	BIT(0x4, "FMODE_LSEEK"),
	BIT(0x8, "FMODE_PREAD"),
	BIT(0x10, "FMODE_PWRITE"),
	BIT(0x20, "FMODE_EXEC"),
	BIT(0x40, "FMODE_NDELAY"),
	BIT(0x80, "FMODE_EXCL"),
	BIT(0x100, "FMODE_WRITE_IOCTL"),
	BIT(0x4000, "FMODE_PATH"),
	BIT(0x80000, "FMODE_OPENED"),
	BIT(0x8000000, "FMODE_NOWAIT"),
	END,
};

static const struct flag modes[] = {
	FIELD(0170000, 0140000, "S_IFSOCK"),
	FIELD(0170000, 0120000, "S_IFLNK"),
	FIELD(0170000, 0100000, "S_IFREG"),
	FIELD(0170000, 0060000, "S_IFBLK"),
	FIELD(0170000, 0040000, "S_IFDIR"),
	FIELD(0170000, 0020000, "S_IFCHR"),
	FIELD(0170000, 0010000, "S_IFIFO"),
	BIT(04000, "S_ISUID"),
	BIT(02000, "S_ISGID"),
	BIT(01000, "S_ISVTX"),
	END,
};

static const struct flag open_flags[] = {
	FIELD(020200000, 020200000, "O_TMPFILE"),
	FIELD(04010000, 04010000, "O_SYNC"),
	FIELD(03, 0, "O_RDONLY"),
	FIELD(03, 1, "O_WRONLY"),
	FIELD(03, 2, "O_RDWR"),
	BIT(0100, "O_CREAT"),
	BIT(0200, "O_EXCL"),
	BIT(0400, "O_NOCTTY"),
	BIT(01000, "O_TRUNC"),
	BIT(02000, "O_APPEND"),
	BIT(04000, "O_NONBLOCK"),
	BIT(010000, "O_DSYNC"),
	BIT(020000, "O_ASYNC"),
	BIT(040000, "O_DIRECT"),
	BIT(0100000, "O_LARGEFILE"),
	BIT(0200000, "O_DIRECTORY"),
	BIT(0400000, "O_NOFOLLOW"),
	BIT(01000000, "O_NOATIME"),
	BIT(02000000, "O_CLOEXEC"),
	BIT(010000000, "O_PATH"),
	END,
};

static const struct flag irq_flags[] = {
	BIT(0x1, "IRQF_TRIGGER_RISING"), BIT(0x2, "IRQF_TRIGGER_FALLING"),
	BIT(0x4, "IRQF_TRIGGER_HIGH"),	 BIT(0x8, "IRQF_TRIGGER_LOW"),
	BIT(0x80, "IRQF_SHARED"),	 BIT(0x100, "IRQF_PROBE_SHARED"),
	BIT(0x400, "IRQF_PERCPU"),	 BIT(0x800, "IRQF_NOBALANCING"),
	BIT(0x2000, "IRQF_ONESHOT"),	 BIT(0x4000, "IRQF_NO_SUSPEND"),
	BIT(0x10000, "IRQF_NO_THREAD"),	 BIT(0x40000, "IRQF_COND_SUSPEND"),
	BIT(0x80000, "IRQF_NO_AUTOEN"),	 END,
};

static const struct flag_set set_gfp = { gfp, false, true },
			     set_fmode = { file_modes, false, true },
			     set_mode = { modes, true, false },
			     set_open = { open_flags, true, false },
			     set_irq = { irq_flags, false, true };

static const struct {
	const char *name;
	const struct flag_set *set;
} types[] = {
	{ "gfp_t", &set_gfp },
	{ "fmode_t", &set_fmode },
	{ "umode_t", &set_mode },
};

static const struct {
	const char *function;
	unsigned arg;
	const struct flag_set *set;
} arguments[] = {
	{ "filp_open", 1, &set_open },
	{ "file_open_root", 2, &set_open },
	{ "dentry_open", 1, &set_open },
	{ "dentry_create", 1, &set_open },
	{ "open_with_fake_path", 1, &set_open },
	{ "vfs_tmpfile_open", 3, &set_open },
	{ "alloc_file_pseudo", 3, &set_open },
	{ "anon_inode_getfile", 3, &set_open },
	{ "anon_inode_getfd", 3, &set_open },
	{ "get_unused_fd_flags", 0, &set_open },
	{ "request_threaded_irq", 3, &set_irq },
	{ "devm_request_threaded_irq", 4, &set_irq },
	{ "request_any_context_irq", 2, &set_irq },
};

static const struct flag_set *known_to(const struct flag_set *set, const char *release)
{
	return !set->of_6_1 || (release && !strncmp(release, "6.1.", 4)) ? set : NULL;
}

const struct flag_set *flags_of_type(const char *name, const char *release)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return known_to(types[i].set, release);
	return NULL;
}

const struct flag_set *flags_of_argument(const char *function, unsigned arg, const char *release)
{
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++)
		if (arguments[i].arg == arg && !strcmp(arguments[i].function, function))
			return known_to(arguments[i].set, release);
	return NULL;
}

void flags_text(const struct flag_set *set, u64 value, char *buf, size_t size)
{
	u64 rest = value, done = 0; /* done: fields that a name was found for, also for 0 */
	size_t len = 0;

	buf[0] = '\0';
	for (const struct flag *f = set->flags; f->name && len < size; f++) {
		if ((value & f->mask) != f->value || (done & f->mask) == f->mask ||
		    (f->value && (rest & f->value) != f->value))
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? "|" : "", f->name);
		rest &= ~f->value;
		done |= f->mask;
	}
	if (len < size && (rest || !len))
		snprintf(buf + len, size - len, set->octal ? "%s0%" PRIo64 : "%s0x%" PRIx64,
			 len ? "|" : "", rest);
}
