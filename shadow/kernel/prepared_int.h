/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the format of a prepared kernel; see prepared.h. In the byte order of x86, which is all
 * there is.
 */
#ifndef UMBRA_SHADOW_KERNEL_PREPARED_INT_H
#define UMBRA_SHADOW_KERNEL_PREPARED_INT_H

#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/prepared.h"

#define PREPARED_MAGIC	 "UmbraKrn"
#define PREPARED_VERSION 3
#define PREPARED_PAGE	 4096u
#define PREPARED_TABLES	 (2 * PREPARED_PAGE)
#define PREPARED_RUNS	 600u		/* at most; a vector of preadv() holds 1024 */
#define PREPARED_RUN	 ((u64)2 << 20) /* a huge page, where a run ends */
#define PREPARED_RELOCS	 (16u << 20)
#define PREPARED_NONE	 UINT64_MAX

/* Bytes of the image that are read in one piece; @sum is their XXH3. */
struct prepared_run {
	u64 offset, len;
	u64 sum;
};

struct prepared_section {
	u64 addr, size;
	u64 offset; /* in the image; PREPARED_NONE: it has no bytes */
};

#define PREPARED_SECTIONS (sizeof(struct sections) / sizeof(struct section))

struct prepared_header {
	char magic[8];
	u64 sum; /* XXH3 of all bytes behind it, to pages_at */
	u32 version;
	u32 n_runs;
	u64 pages_at, pages_len, file_len;
	u64 symbols_at, symbols_len, symbols_sum; /* all 0: it has none */
	u8 key[PREPARED_KEY];
	u64 pref_phys, span, init_size, align, link_text, entry;
	u64 n_relocs[KERNEL_RELOCS];
	struct prepared_section sections[PREPARED_SECTIONS];
	char release[65];
};

/* Where @n elements lie, from byte @at of the symbols. */
struct prepared_part {
	u64 at, n;
};

struct prepared_export {
	u64 addr;
	u32 name, ns; /* in export_names; ns: PREPARED_NO_NS if it has none */
	u32 crc, btf_id;
	u8 class, has_crc, gpl_only, compiled;
	u32 pad;
};

#define PREPARED_NO_NS UINT32_MAX
#define PREPARED_ALIGN 64u /* of each part */

/*
 * What kernel_load_symbols() would find, begins the symbols. The parts are tables of struct
 * kallsyms, struct exports and struct types; a name ends in a NUL, and each part of names in one.
 */
struct prepared_symbols {
	u64 text_start, text_end, percpu_size;
	struct prepared_part addrs, names, text, symbols_by_name;
	struct prepared_part exports, exports_by_addr, export_names;
	struct prepared_part btf, types, functions_by_name, structs_by_name;
	char vermagic[256];
};

/* Inside of a struct kernel that was prepared: the file up to pages_at, and the file. */
struct prepared {
	int fd;
	u8 *tables;
	size_t tables_len;
	const struct prepared_header *h;
	const struct prepared_run *runs;
};

/* Bytes that are read at first: those of the tables, for kernels that distributions have. */
#define PREPARED_FIRST ((size_t)1 << 20)

/* Behind the tables in memory: the stack of the thread that reads one half. */
#define PREPARED_STACK ((size_t)64 << 10)

/* prepared_read.c: returns -EBADMSG, with a line for the user. */
int prepared_damaged(const struct kernel *k, const char *what, struct err *e);

/*
 * prepared_symbols_write.c: makes the symbols of @k, *len bytes for free(). -ENOENT, -EINVAL: the
 * kernel has none that kernel_load_symbols() could read.
 */
int prepared_symbols_make(struct kernel *k, u8 **out, u64 *len);

/* Returns the XXH3 hash of @bytes. */
u64 prepared_sum(const void *bytes, size_t len);

#endif
