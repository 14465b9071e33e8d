/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens a guest kernel's image as its distributor built it, a bzImage (vmlinuz) or an ELF vmlinux,
 * and answers questions about it.
 *
 * kernel_open() reads and checks the file and decompresses the payload; that is all a plain boot
 * pays for. The tables that sessions and inspection need (exports, kallsyms, BTF) are parsed by
 * kernel_load_symbols() and only then.
 *
 * Every address here is a *link-time* virtual address, as in the image (_text is
 * 0xffffffff81000000). The address in a running guest is that plus the KASLR delta, which the VMM
 * chose. The file is hostile: every offset is checked against the bounds of the part that it leads
 * into.
 *
 * A struct kernel is read-only after kernel_load_symbols() and may then be shared by threads.
 * Strings that are returned live as long as it does.
 */
#ifndef UMBRA_SHADOW_KERNEL_KERNEL_H
#define UMBRA_SHADOW_KERNEL_KERNEL_H

#include "base/err.h"
#include "base/types.h"

struct kernel;

/*
 * The class of an exported symbol. Redirecting a branch to anything but a plain function (to a
 * thunk whose calls the kernel patches, say) hangs the guest; so a symbol that BTF does not know as
 * a function is SPECIAL or DATA, and branches to it stay as they are.
 */
enum symbol_class {
	SYMBOL_FUNCTION, /* text with a C prototype: a branch to it can go to the shadow */
	SYMBOL_SPECIAL,	 /* text that the kernel patches or compares: thunks, __fentry__, ... */
	SYMBOL_DATA,
	SYMBOL_PERCPU,
};

struct kernel_export {
	const char *name;
	const char *ns; /* symbol namespace or NULL */
	u64 addr;	/* link-time address; an offset for SYMBOL_PERCPU */
	u32 crc;	/* modversions CRC; valid if has_crc */
	u32 btf_id;	/* BTF_KIND_FUNC or 0 */
	bool has_crc;
	bool gpl_only;
	bool compiled; /* it begins as the compiler begins what ftrace can trace */
	enum symbol_class class;
};

/* How the image wants to be laid out in guest memory. */
struct kernel_layout {
	u64 pref_phys;	  /* lowest p_paddr, e.g. 0x1000000 */
	u64 span;	  /* bytes from there to the end of the last segment's memory */
	u64 init_size;	  /* bytes the running image needs from its start (>= span) */
	u64 align;	  /* alignment of the load address, e.g. 0x200000 */
	u64 link_text;	  /* link-time VA of the first byte, e.g. 0xffffffff81000000 */
	u64 entry;	  /* physical entry when loaded at pref_phys */
	u64 image_limit;  /* KERNEL_IMAGE_SIZE: end of the KASLR range as an offset, 1 GiB */
	bool relocatable; /* a complete relocation table was found */
	const char *no_reloc_reason; /* why not, if not */
};

/*
 * Opens PATH. -EINVAL: not a kernel, truncated, or a foreign architecture; -EOPNOTSUPP: a payload
 * format that is not decoded here (kernel_payload_opaque() is then true if @allow_opaque, and the
 * image can only boot through its own decompressor). @e gets the line for the user.
 */
int kernel_open(struct kernel **out, const char *path, bool allow_opaque, struct err *e);
/*
 * Does the same for an open descriptor, read from its start; it stays open. @path is for messages.
 */
int kernel_open_fd(struct kernel **out, int fd, const char *path, bool allow_opaque, struct err *e);
/* Does the same for a file in memory; takes a copy of @data. @label stands for its path. */
int kernel_parse(struct kernel **out, const char *label, const void *data, size_t len,
		 bool allow_opaque, struct err *e);
void kernel_close(struct kernel *k);

/*
 * Reads the bzImage itself, by the descriptor of kernel_set_source(), or else by its path, for a
 * kernel from prepared_open() (shadow/kernel/prepared.h) whose file turned out to be damaged.
 * -ESTALE: it is not the kernel that was prepared; else as kernel_open().
 */
int kernel_reread(struct kernel *k, struct err *e);
/*
 * Sets the descriptor that is open for the bzImage; it stays the caller's, and open as long as @k.
 */
void kernel_set_source(struct kernel *k, int fd);

bool kernel_is_bzimage(const struct kernel *k);
/* Returns true by the magic numbers in the first @len bytes of a file; 1024 are enough. */
bool kernel_looks_like_bzimage(const u8 *d, size_t len);
bool kernel_payload_opaque(const struct kernel *k);
/*
 * Returns the file as it is (bzImage: setup header at 0x1f1, protected-mode part behind the setup
 * sectors); its first 4096 bytes if the kernel was prepared.
 */
const u8 *kernel_file(const struct kernel *k, size_t *len);
const char *kernel_path(const struct kernel *k);
/* Returns the release, "6.1.0-56-cloud-amd64"; NULL if it cannot be found. */
const char *kernel_release(const struct kernel *k);
/*
 * Returns the vermagic that a driver's is compared with: "6.1.0-56-amd64 SMP preempt mod_unload
 * modversions ". NULL before kernel_load_symbols(), or if the kernel does not tell.
 */
const char *kernel_vermagic(const struct kernel *k);
const struct kernel_layout *kernel_layout(const struct kernel *k);

/*
 * Copies the segments into @dst (zeroed memory of @len bytes; at least layout.span) and applies the
 * relocations for a virtual shift of @kaslr bytes: the kernel's own three lists, of 32 bit, inverse
 * 32 bit and 64 bit places (arch/x86/tools/relocs.c). @kaslr must be 0 if the image is not
 * relocatable. -EBADMSG: the prepared image is damaged, @dst is zeroed again; kernel_reread()
 * helps.
 */
int kernel_place(const struct kernel *k, void *dst, size_t len, u64 kaslr, struct err *e);

/*
 * Gives back the memory that only a placement needs: the file and nearly all of the decompressed
 * image (66 MB). Symbols and types stay if they were loaded. kernel_place() and kernel_file() are
 * over then: -EINVAL, NULL. An ELF file and an opaque payload stay whole. Nobody else may be
 * placing @k meanwhile.
 */
void kernel_trim(struct kernel *k);

/*
 * Parses kallsyms, exports and BTF. -ENOENT: the image has none (e.g. no BTF); @e says which. If it
 * was the exports or BTF that failed, kernel_symbol() and kernel_symbolize() work nevertheless.
 */
int kernel_load_symbols(struct kernel *k, struct err *e);
bool kernel_symbols_loaded(const struct kernel *k);
/* Returns true if the prepared file's symbols were damaged, and the image's were loaded. */
bool kernel_symbols_damaged(const struct kernel *k);

/* Looks up a symbol of kallsyms. 0 or NULL if it is unknown. */
u64 kernel_symbol(const struct kernel *k, const char *name);
const char *kernel_symbolize(const struct kernel *k, u64 addr, u64 *offset);
/* Gives [start, end) of .text (_text .. _etext). */
void kernel_text(const struct kernel *k, u64 *start, u64 *end);
/* Bytes of one CPU's copy of the kernel's own per-CPU variables. */
u64 kernel_percpu_size(const struct kernel *k);

/* Returns the export of that name, or NULL; or all, *count of them. */
const struct kernel_export *kernel_export(const struct kernel *k, const char *name);
const struct kernel_export *kernel_exports(const struct kernel *k, size_t *count);
/*
 * Two ways to the exports that are SYMBOL_FUNCTION, ordered by address and then by name:
 * kernel_function() returns number @i of them, or NULL behind the last, kernel_function_from() the
 * number of the first at or above the link-time address @addr.
 */
const struct kernel_export *kernel_function(const struct kernel *k, size_t i);
size_t kernel_function_from(const struct kernel *k, u64 addr);

/*
 * Writes a prototype, "struct file* (const char* filename, int flags, umode_t mode)"; -ENOENT
 * without BTF for it.
 */
int kernel_prototype(const struct kernel *k, const char *function, char *buf, size_t len);
/* Gives the number of fixed parameters, and whether "..." follows; -ENOENT. */
int kernel_params(const struct kernel *k, const char *function, unsigned *count, bool *variadic);

/* How a function is called by the C convention. */
struct kernel_call {
	u8 args;      /* each in a register or a word of the stack */
	u8 texts;     /* a bit for each that is a const char * */
	bool is_void; /* it returns nothing */
};

#define KERNEL_CALL_ARGS 8 /* the most that kernel_call_shape() lets through */

/*
 * Says how @function is called. -ENOENT, -EOPNOTSUPP: its arguments or result cannot be handed on
 * by somebody who knows their number alone, or it does not return; *why is a phrase about it, and
 * out->texts has those of the arguments before the one that is the reason.
 */
int kernel_call_shape(const struct kernel *k, const char *function, struct kernel_call *out,
		      const char **why);
/* What a function returns, as far as somebody who refuses its calls must know. */
enum kernel_result {
	RESULT_UNKNOWN, /* there is no type of it */
	RESULT_VOID,
	RESULT_INT, /* int or long, with a sign: it has room for -errno */
	RESULT_POINTER,
	RESULT_OTHER, /* an enum, a bool, a number without a sign, ... */
};
/* Says so of a type of the kernel's BTF, by its number, and of what prototype @proto returns. */
enum kernel_result kernel_result_of_type(const struct kernel *k, u32 type);
enum kernel_result kernel_result_of_proto(const struct kernel *k, u32 proto);
/*
 * Says how many arguments prototype @proto has, each in a register or a word of the stack;
 * KERNEL_ARGS_UNKNOWN: it is none, or one is a structure, or any number may follow.
 */
#define KERNEL_ARGS_UNKNOWN 255
u8 kernel_args_of_proto(const struct kernel *k, u32 proto);
/* Returns true if a value of type @type is passed in a register. */
bool kernel_type_is_word(const struct kernel *k, u32 type);
/*
 * Says where the numbers of types, and the places of names, begin in BTF that goes on from the
 * kernel's, as a module's does; and gives a name of the kernel's, NULL: there is none.
 */
void kernel_types_end(const struct kernel *k, u32 *types, u32 *names);
const char *kernel_types_name(const struct kernel *k, u32 place);

struct btf_type;

/* A function as its calls are written down. */
struct kernel_callee {
	const char *name;
	const struct btf_type *type; /* lives as long as the kernel; NULL: it is not known */
};

/* Looks the function up, once for many calls; @name is borrowed. */
struct kernel_callee kernel_callee(const struct kernel *k, const char *name);
/*
 * Writes the arguments of a call, "name=\"eth%d\", txqs=1, dev=(struct net_device *)0xff11", cut
 * where @buf ends. @texts: of each argument what it points to, or NULL.
 */
void kernel_call_text(const struct kernel *k, const struct kernel_callee *f, const u64 *args,
		      const char *const *texts, char *buf, size_t size);
/* Returns true if it has failed, as far as the type of its result tells: -errno or ERR_PTR(). */
bool kernel_call_failed(const struct kernel *k, const struct kernel_callee *f, u64 value);
/* Writes its result, "-22", "(struct file *)0xff11" or "ERR_PTR(-2)"; "" of a void function. */
void kernel_result_text(const struct kernel *k, const struct kernel_callee *f, u64 value, char *buf,
			size_t size);
/*
 * Gives byte offset and size of STRUCT.MEMBER ("miscdevice", "name"), anonymous members and bit
 * fields of whole bytes included; @member may be a path ("driver.name"). -ENOENT.
 */
int kernel_member(const struct kernel *k, const char *strct, const char *member, u32 *offset,
		  u32 *size);
/* Gives the byte size of a struct; -ENOENT. */
int kernel_struct_size(const struct kernel *k, const char *strct, u32 *size);

#endif
