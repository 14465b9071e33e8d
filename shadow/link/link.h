/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Links drivers: plans which symbol of an unmodified .ko goes where, and makes the private copy in
 * which they go there.
 *
 * Method: a branch to an imported function (R_X86_64_PLT32) gets the distance from the real
 * function to its shadow or gate entry added to its addend. The symbol stays undefined and by name,
 * so that the guest's own loader still checks CRC, licence and namespace and does all relocations.
 * References that take an address, data, per-CPU and special symbols are left alone: the kernel
 * compares those. A relocation form that is not known is an error, never a guess.
 *
 * The other way, from the kernel into the driver, goes by addresses that the driver hands out. Each
 * function of its own that it hands out has an inward entry, and all references by address to the
 * function, also those from other drivers of its session, get the entry's address, so that a
 * comparison of two of them comes out as before. In the copy such a relocation is one by symbol 0,
 * whose value the loader takes as 0, with the entry's address as its addend.
 *
 * shadow/ knows no policy and no KVM: the policy speaks through struct link_rules, the VMM through
 * struct link_addresses.
 */
#ifndef UMBRA_SHADOW_LINK_LINK_H
#define UMBRA_SHADOW_LINK_LINK_H

#include "base/err.h"
#include "base/types.h"
#include "shadow/kernel/kernel.h"

struct module;

/*
 * Opens a driver. PATH is read whole and never written; a file that is compressed (xz, zstd, gzip)
 * is decompressed. module_parse() takes a copy of @data.
 */
int module_open(struct module **out, const char *path, struct err *e);
/*
 * Does the same for an open descriptor, which stays open; @path is for messages. -EFBIG: the file,
 * or what it holds compressed, has more than @max bytes; no more of it is unpacked.
 */
int module_open_fd(struct module **out, int fd, const char *path, size_t max, struct err *e);
/* Does the same for a file of which @data has all @len bytes. */
int module_open_bytes(struct module **out, const char *path, const void *data, size_t len,
		      size_t max, struct err *e);
int module_parse(struct module **out, const char *label, const void *data, size_t len,
		 struct err *e);
void module_close(struct module *m);
const char *module_name(const struct module *m);     /* as in .gnu.linkonce.this_module */
const char *module_vermagic(const struct module *m); /* NULL if none */
const char *module_depends(const struct module *m);  /* "a,b" or "" */
u32 module_symbol_count(const struct module *m);     /* of its symbol table, in the copy too */
size_t module_export_count(const struct module *m);
const char *module_export_name(const struct module *m, size_t i);

/* A function that the driver defines, in a section with text. */
struct module_function {
	const char *name; /* the module's */
	u32 section;
	u64 value; /* in that section */
};

/* Lists them by section and value; *out is the caller's to free. -ENOMEM. */
int module_functions(const struct module *m, struct module_function **out, size_t *n);
/* Gives name and size of section @i; false: there is none with text. */
bool module_text_section(const struct module *m, u32 i, const char **name, u64 *size);

#define MODULE_NAME_LEN	   56 /* MAX_PARAM_PREFIX_LEN's base: 64 - sizeof(long), with the NUL */
#define PRIVATE_SUFFIX_MAX 24

/*
 * Makes the name that export @name has in a session: @name and @suffix; if that does not fit a
 * __versions entry, the beginning of @name, a hash of all of it, and @suffix. Provider and
 * consumers come to the same name by themselves. @suffix is at most PRIVATE_SUFFIX_MAX bytes.
 */
void module_private_name(const char *name, const char *suffix, char out[MODULE_NAME_LEN]);

enum import_target {
	TARGET_SHADOW,	/* the session's shadow; if critical, the driver's own gate entry */
	TARGET_KERNEL,	/* the real kernel: data, per-CPU, special, or expressly permitted */
	TARGET_SESSION, /* another driver of the same session */
	TARGET_REFUSED,
};

struct import {
	const char *symbol;
	const char *provider; /* TARGET_SESSION: name of the session's module; else NULL */
	const struct kernel_export *export; /* of the kernel, or NULL */
	enum symbol_class kind;
	enum import_target target;
	bool critical;
	bool by_permission; /* it would be refused or led elsewhere, if not permitted */
	unsigned branches;
	unsigned address_taken;
	char reason[120]; /* one phrase, e.g. "compared by the kernel, must keep its address" */
};

struct link_rules {
	bool (*critical)(void *arg, const char *symbol);
	/*
	 * Returns true if SYMBOL may be linked to the real kernel, or to a real module, directly.
	 */
	bool (*permitted)(void *arg, const char *symbol);
	void *arg;
};

/* A driver that is already in the session, in load order. */
struct link_provider {
	const struct module *module;
	const char *name;   /* its private module name in the guest */
	const char *suffix; /* the suffix that link_emit() gave its exports */
};

/* The session that a driver is linked for. */
struct link_session {
	const struct link_provider *providers;
	size_t n_providers;
	const struct link_rules *rules; /* NULL: nothing is critical, nothing permitted */
};

/*
 * Resolve every import: to a driver of the session, to the shadow kernel, or, if it is permitted,
 * to the real one; else it is refused. A plan with refused imports is still a plan (inspect prints
 * it); link_emit() will not take it.
 *
 * The plan refers to @k, @m and the providers' modules, which must outlive it; the strings of
 * @providers are copied. -EINVAL, with a line: built for another kernel (vermagic, size of struct
 * module, CRC of an import), a live patch, a reference in a form that is not known.
 */
struct link_plan;
int link_plan_create(struct link_plan **out, const struct kernel *k, const struct module *m,
		     const struct link_session *s, struct err *e);
void link_plan_free(struct link_plan *p);
const struct import *link_plan_imports(const struct link_plan *p, size_t *count);
/* Returns the first import that cannot be linked, or NULL. */
const struct import *link_plan_refused(const struct link_plan *p);

#define LINK_WATCH_ARGS 6 /* with which a call by the kernel can be watched: those in registers */

/*
 * A function of the driver's own that has an inward entry, because the driver hands its address out
 * or exports it.
 */
struct link_inward {
	const char *name; /* the module's string */
	u32 symbol;	  /* index in the symbol table, in the copy too */
	unsigned references;
	bool exported;
	bool is_exit; /* the driver's exit */
	/* By the driver's BTF; KERNEL_ARGS_UNKNOWN also if one is no word. */
	enum kernel_result result;
	u8 args;
};
const struct link_inward *link_plan_inward(const struct link_plan *p, size_t *count);

/* Why a reference by address to the driver's own code is left as it is. */
enum inward_left {
	LEFT_TABLE,	  /* a table by which the kernel finds or patches code */
	LEFT_STATIC_CALL, /* a static call's trampoline: the kernel patches it */
	LEFT_INIT,	  /* the driver's init */
	LEFT_LABEL,	  /* a place that is no function of C */
	INWARD_LEFT_REASONS,
};
/* Returns how many references are left alone for that reason; the reason itself in words. */
unsigned link_plan_left(const struct link_plan *p, enum inward_left why);
const char *inward_left_text(enum inward_left why);

/* The guest's module space, with KASLR (arch/x86/include/asm/pgtable_64_types.h). */
#define LINK_MODULES_START 0xffffffffc0000000ull
#define LINK_MODULES_END   0xffffffffff000000ull

/* Where things are in the running guest. All addresses include the KASLR shift. */
struct link_addresses {
	u64 kaslr;		  /* shift of the real kernel */
	u64 modules, modules_end; /* range in which the guest may place the copy */
	/* Returns the entry for an import of TARGET_SHADOW; 0: none (an error). */
	u64 (*entry)(void *arg, const struct import *im);
	/* Returns the inward entry of the plan's @i-th function. NULL: there are none. */
	u64 (*inward)(void *arg, size_t i);
	/*
	 * Returns the inward entry of what an import of TARGET_SESSION leads to; 0: it has none,
	 * and its address stays what it is. NULL: none has one.
	 */
	u64 (*peer)(void *arg, const struct import *im);
	void *arg;
};

/*
 * The names by which a copy of a driver differs from others: its module name (<= 55 bytes), and a
 * suffix of its exports.
 */
struct link_identity {
	const char *name, *suffix;
};

struct link_image {
	void *data; /* malloc'ed */
	size_t len;
};

/*
 * Writes the private copy: name into .gnu.linkonce.this_module, exports and imports from session
 * drivers renamed with the suffixes (in __versions too), signature stripped. Proves for each
 * redirected branch that its target is within 2 GiB of all of [modules, modules_end): the kernel's
 * loader does not check PLT32.
 */
int link_emit(const struct link_plan *p, const struct link_addresses *a,
	      const struct link_identity *id, struct link_image *out, struct err *e);

/*
 * Returns where the entry of import @im of TARGET_SHADOW, which is not critical, lies in a shadow
 * whose _text is at @shadow.
 */
u64 shadow_entry(const struct kernel *k, u64 shadow, const struct import *im);
/*
 * Fills in the content of one page of the shadow: @index counts pages from _text. Every byte is
 * int3 except `jmp rel32` at each SYMBOL_FUNCTION export, to target() (which gives the address of
 * the real function, with the KASLR shift, or of a gate; 0, or out of a jump's reach: the entry
 * stays a trap). The shadow's own VA is @shadow. Returns the number of entries that begin on the
 * page.
 */
int shadow_fill_page(const struct kernel *k, u64 shadow, u64 index, u8 page[4096],
		     u64 (*target)(void *arg, const struct kernel_export *ex), void *arg);
/*
 * Lists the indexes of the pages that a plan's redirected branches land on (gate entries are not
 * among them), ascending, without repeats. Returns how many there are, of which at most @max are
 * stored; SIZE_MAX: out of memory.
 */
size_t shadow_pages_used(const struct link_plan *p, u32 *pages, size_t max);

#endif
