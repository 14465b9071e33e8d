// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the stock kernels of Debian: layout, relocation, exports, kallsyms, BTF; and what a damaged
 * one does. Figures hold for 6.1.0-56-cloud-amd64 and are compared only there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <bpf/btf.h>
#include <elf.h>
#include <errno.h>
#include <lz4.h>

#include "shadow/kernel/kernel_int.h"
#include "tests/unit/shadow/images.h"

#define TEXT	 0xffffffff81000000ull
#define MAP	 0xffffffff80000000ull
#define MEASURED "6.1.0-56-cloud-amd64"

static const char *const flavours[] = { "cloud", "generic" };
static struct kernel *kernels[2];

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flavours); i++) {
		char path[512];

		if (!access(image_path(path, sizeof(path), flavours[i], "vmlinuz"), R_OK))
			kernels[i] = load_kernel(flavours[i]);
		else
			printf("no %s kernel, its part is left out\n", flavours[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flavours); i++)
		kernel_close(kernels[i]);
	return 0;
}

#define for_each_kernel(k)                                   \
	for (size_t i_ = 0; i_ < ARRAY_SIZE(flavours); i_++) \
		for (const struct kernel *k = kernels[i_]; k; k = NULL)

static void test_layout(void **state)
{
	(void)state;
	for_each_kernel(k)
	{
		const struct kernel_layout *l = kernel_layout(k);
		u64 start, end;

		assert_true(kernel_is_bzimage(k));
		assert_non_null(kernel_release(k));
		assert_true(l->pref_phys == 0x1000000 && l->align == 0x200000);
		assert_true(l->link_text == TEXT && l->entry == 0x1000000);
		assert_true(l->span <= l->init_size && l->image_limit == 1u << 30);
		assert_true(l->relocatable);
		kernel_text(k, &start, &end);
		assert_true(start == TEXT && end > TEXT + 0x800000);
		assert_true(kernel_symbol(k, "_text") == start);
		assert_true(kernel_symbol(k, "_end") <= MAP + l->pref_phys + l->span + 0x200000);
		/* the vermagic begins with the release */
		assert_non_null(kernel_vermagic(k));
		assert_memory_equal(kernel_vermagic(k), kernel_release(k),
				    strlen(kernel_release(k)));
		if (strcmp(kernel_release(k), MEASURED) != 0)
			continue;
		assert_true(l->init_size == 0x3378000 && l->span == 0x2e00000);
		assert_string_equal(kernel_vermagic(k),
				    MEASURED " SMP preempt mod_unload modversions ");
	}
}

/* Two tables that know nothing of each other must agree. */
static void test_kallsyms(void **state)
{
	(void)state;
	for_each_kernel(k)
	{
		size_t n, differ = 0;
		const struct kernel_export *x = kernel_exports(k, &n);

		assert_true(n > 8000);
		for (size_t i = 0; i < n; i++) {
			u64 off = 1;
			const char *name;

			assert_ptr_equal(kernel_export(k, x[i].name), &x[i]);
			if (kernel_symbol(k, x[i].name) != x[i].addr) {
				/* a static symbol of the same name comes first */
				differ++;
				continue;
			}
			if (x[i].class == SYMBOL_PERCPU)
				continue;
			name = kernel_symbolize(k, x[i].addr, &off);
			assert_non_null(name);
			assert_int_equal(off, 0);
			assert_true(kernel_symbol(k, name) == x[i].addr ||
				    strcmp(name, x[i].name) != 0);
		}
		assert_true(differ <= 3);
		assert_string_equal(kernel_symbolize(k, kernel_symbol(k, "filp_open") + 3, NULL),
				    "filp_open");
		assert_null(kernel_symbolize(k, TEXT - 1, NULL));
		assert_null(kernel_symbolize(k, kernel_symbol(k, "_end"), NULL));
		assert_null(kernel_symbolize(k, 0x1000, NULL));
		assert_true(kernel_symbol(k, "no_such_symbol") == 0);
		assert_null(kernel_export(k, "no_such_symbol"));
	}
}

static enum symbol_class class_of(const struct kernel *k, const char *name)
{
	const struct kernel_export *x = kernel_export(k, name);

	if (!x)
		fail_msg("%s is not exported", name);
	return x ? x->class : SYMBOL_DATA;
}

static void test_classes(void **state)
{
	static const char *const special[] = {
		"__fentry__",	       "__x86_return_thunk",   "__x86_indirect_thunk_rax",
		"__SCT__cond_resched", "__SCT__might_resched", "__put_user_nocheck_4"
	};
	static const char *const functions[] = {
		"filp_open",	      "_printk", "memcpy", "__get_user_4", "__stack_chk_fail",
		"register_netdevice", "panic"
	};
	static const char *const data[] = { "jiffies", "init_task", "nr_cpu_ids", "param_ops_int",
					    "system_wq" };

	(void)state;
	for_each_kernel(k)
	{
		size_t n, count[4] = { 0 }, gpl = 0, crc = 0, ns = 0, proto = 0;
		const struct kernel_export *x = kernel_exports(k, &n);
		u64 start, end;
		char buf[1024];

		kernel_text(k, &start, &end);
		for (size_t i = 0; i < n; i++) {
			count[x[i].class]++;
			gpl += x[i].gpl_only;
			crc += x[i].has_crc;
			ns += x[i].ns != NULL;
			if (x[i].class == SYMBOL_FUNCTION) {
				assert_true(x[i].addr >= start && x[i].addr + 5 <= end &&
					    x[i].btf_id);
				proto += !kernel_prototype(k, x[i].name, buf, sizeof(buf));
			}
		}
		for (size_t i = 0; i < ARRAY_SIZE(special); i++)
			assert_int_equal(class_of(k, special[i]), SYMBOL_SPECIAL);
		for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
			assert_int_equal(class_of(k, functions[i]), SYMBOL_FUNCTION);
		for (size_t i = 0; i < ARRAY_SIZE(data); i++)
			assert_int_equal(class_of(k, data[i]), SYMBOL_DATA);
		assert_int_equal(class_of(k, "this_cpu_off"), SYMBOL_PERCPU);
		assert_int_equal(proto, count[SYMBOL_FUNCTION]);
		assert_int_equal(crc, n);
		assert_true(ns > 0);
		if (strcmp(kernel_release(k), MEASURED) != 0)
			continue;
		assert_int_equal(n, 9294);
		assert_int_equal(count[SYMBOL_FUNCTION], 8511);
		assert_int_equal(count[SYMBOL_SPECIAL], 102);
		assert_int_equal(count[SYMBOL_DATA], 643);
		assert_int_equal(count[SYMBOL_PERCPU], 38);
		assert_int_equal(gpl, 4569);
		assert_int_equal(kernel_export(k, "module_layout")->crc, 0xa351f379);
	}
}

static void expect_prototype(const struct kernel *k, const char *name, const char *want)
{
	char buf[1024], small[16];

	assert_int_equal(kernel_prototype(k, name, buf, sizeof(buf)), 0);
	assert_string_equal(buf, want);
	assert_int_equal(kernel_prototype(k, name, small, sizeof(small)), 0);
	assert_int_equal(strncmp(small, want, sizeof(small) - 1), 0);
	assert_true(strlen(small) < sizeof(small));
}

static void test_types(void **state)
{
	(void)state;
	for_each_kernel(k)
	{
		unsigned count;
		u32 off, size, other;
		bool var;
		char buf[8];

		expect_prototype(k, "filp_open",
				 "struct file* (const char* filename, int flags, umode_t mode)");
		expect_prototype(
			k, "kthread_create_on_node",
			"struct task_struct* (int (*threadfn)(void*), void* data, int node, "
			"const char* namefmt, ...)");
		expect_prototype(k, "call_usermodehelper",
				 "int (const char* path, char** argv, char** envp, int wait)");
		expect_prototype(k, "rtnl_lock", "void (void)");
		expect_prototype(k, "strscpy",
				 "ssize_t (char* const p, const char* const q, size_t size)");
		assert_int_equal(kernel_prototype(k, "no_such_function", buf, sizeof(buf)),
				 -ENOENT);
		assert_int_equal(kernel_params(k, "kthread_create_on_node", &count, &var), 0);
		assert_true(count == 4 && var);
		assert_int_equal(kernel_params(k, "filp_open", &count, &var), 0);
		assert_true(count == 3 && !var);
		assert_int_equal(kernel_params(k, "rtnl_lock", &count, &var), 0);
		assert_true(count == 0 && !var);
		assert_int_equal(kernel_params(k, "no_such_function", &count, &var), -ENOENT);
		assert_int_equal(kernel_member(k, "miscdevice", "name", &off, &size), 0);
		assert_true(off == 8 && size == 8);
		assert_int_equal(kernel_member(k, "net_device", "name", &off, &size), 0);
		assert_true(off == 0 && size == 16);
		assert_int_equal(kernel_member(k, "module", "name", &off, &size), 0);
		assert_true(off == 24 && size == 56);
		/* a path; one that goes through what is no structure */
		assert_int_equal(kernel_member(k, "platform_driver", "driver", &other, &size), 0);
		assert_int_equal(kernel_member(k, "device_driver", "bus", &off, &size), 0);
		other += off;
		assert_int_equal(kernel_member(k, "platform_driver", "driver.bus", &off, &size), 0);
		assert_true(off == other && size == 8);
		assert_int_equal(kernel_member(k, "platform_driver", "driver.", &off, &size),
				 -ENOENT);
		assert_int_equal(kernel_member(k, "platform_driver", "driver.none", &off, &size),
				 -ENOENT);
		assert_int_equal(kernel_member(k, "platform_driver", "probe.name", &off, &size),
				 -ENOENT);
		/* within an anonymous union; a bit field; not there */
		assert_int_equal(kernel_member(k, "inode", "i_pipe", &off, &size), 0);
		assert_true(size == 8 && off > 100);
		assert_int_equal(kernel_member(k, "inode", "i_cdev", &other, &size), 0);
		assert_int_equal(off, other);
		assert_int_equal(kernel_member(k, "net_device", "wol_enabled", &off, &size),
				 -ENOENT);
		assert_int_equal(kernel_member(k, "module", "nothing", &off, &size), -ENOENT);
		assert_int_equal(kernel_member(k, "no_such_struct", "name", &off, &size), -ENOENT);
		assert_int_equal(kernel_struct_size(k, "module", &size), 0);
		assert_true(size >= 0x300 && size < 0x1000);
		assert_int_equal(kernel_struct_size(k, "no_such_struct", &size), -ENOENT);
	}
}

/* Unpacks the payload of the cloud flavour, by the simplest reading of its format. */
static u8 *unpack_payload(size_t *len)
{
	char path[512];
	size_t flen = 0, at, end, out = 0;
	u8 *file = slurp(image_path(path, sizeof(path), "cloud", "vmlinuz"), &flen), *buf;
	u32 off, plen, size;

	assert_non_null(file);
	memcpy(&off, file + 0x248, 4);
	memcpy(&plen, file + 0x24c, 4);
	at = (file[0x1f1] + 1u) * 512 + off;
	end = at + plen - 4;
	memcpy(&size, file + end, 4);
	if (memcmp(file + at, "\x02\x21\x4c\x18", 4) != 0) {
		free(file);
		return NULL;
	}
	buf = malloc(size);
	for (at += 4; at < end;) {
		u32 n;
		int got;

		memcpy(&n, file + at, 4);
		got = LZ4_decompress_safe((char *)file + at + 4, (char *)buf + out, (int)n,
					  (int)(size - out));
		assert_true(got > 0);
		out += (size_t)got;
		at += 4 + n;
	}
	assert_int_equal(out, size);
	free(file);
	*len = size;
	return buf;
}

/*
 * Relocates in another way than the code that it checks: the table is read forwards from the end of
 * the section headers (it is 0, 64-bit entries, 0, inverse entries, 0, 32-bit entries), and
 * segments by what they cover.
 */
static void relocate_image(u8 *mem, u64 phys, const u8 *table, const u8 *end, u64 shift)
{
	int list = -1;

	for (; table < end; table += 4) {
		s32 entry;
		u64 at;

		memcpy(&entry, table, 4);
		if (!entry) {
			list++;
			continue;
		}
		at = (u64)(s64)entry - MAP - phys;
		if (list == 0) {
			u64 v;

			memcpy(&v, mem + at, 8);
			v += shift;
			memcpy(mem + at, &v, 8);
		} else {
			u32 v;

			memcpy(&v, mem + at, 4);
			v += list == 1 ? (u32)-shift : (u32)shift;
			memcpy(mem + at, &v, 4);
		}
	}
	assert_int_equal(list, 2);
}

static void test_place(void **state)
{
	const struct kernel *k = kernels[0];
	const struct kernel_layout *l = kernel_layout(k);
	size_t len = 0;
	u8 *elf = unpack_payload(&len), *want, *got;
	struct err e = { "" };
	Elf64_Ehdr eh;

	(void)state;
	if (!elf) {
		skip();
		return;
	}
	memcpy(&eh, elf, sizeof(eh));
	for (u64 shift = 0; shift <= 0x1da00000; shift += 0x1da00000 / 2 & ~0x1fffffull) {
		want = calloc(1, l->span);
		got = calloc(1, l->span);
		for (unsigned i = 0; i < eh.e_phnum; i++) {
			Elf64_Phdr ph;

			memcpy(&ph, elf + eh.e_phoff + i * sizeof(ph), sizeof(ph));
			if (ph.p_type == PT_LOAD)
				memcpy(want + (ph.p_paddr - l->pref_phys), elf + ph.p_offset,
				       ph.p_filesz);
		}
		if (shift)
			relocate_image(want, l->pref_phys, elf + eh.e_shoff + eh.e_shnum * 64,
				       elf + len, shift);
		if (kernel_place(k, got, l->span, shift, &e))
			fail_msg("%s", e.text);
		assert_memory_equal(got, want, l->span);
		free(want);
		free(got);
	}
	free(elf);
}

/* The decompressed payload is a vmlinux, too. */
static void test_vmlinux(void **state)
{
	size_t len = 0, a, b;
	u8 *elf = unpack_payload(&len);
	struct err e = { "" };
	struct kernel *k;

	(void)state;
	if (!elf) {
		skip();
		return;
	}
	if (kernel_parse(&k, "vmlinux", elf, len, false, &e) || kernel_load_symbols(k, &e))
		fail_msg("%s", e.text);
	assert_false(kernel_is_bzimage(k));
	assert_string_equal(kernel_release(k), kernel_release(kernels[0]));
	assert_true(kernel_layout(k)->relocatable);
	kernel_exports(k, &a);
	kernel_exports(kernels[0], &b);
	assert_int_equal(a, b);
	kernel_close(k);
	free(elf);
}

/* Returns where section NAME's header stands in @elf. */
static Elf64_Shdr *header(u8 *elf, const char *name)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)elf;
	Elf64_Shdr *sh = (Elf64_Shdr *)(elf + eh->e_shoff);

	for (unsigned i = 0; i < eh->e_shnum; i++)
		if (!strcmp((char *)elf + sh[eh->e_shstrndx].sh_offset + sh[i].sh_name, name))
			return &sh[i];
	fail_msg("no section %s", name);
	return NULL;
}

static void expect_symbols(const u8 *elf, size_t len, int ret, const char *text)
{
	struct err e = { "" };
	struct kernel *k;
	u32 size;

	assert_int_equal(kernel_parse(&k, "damaged", elf, len, false, &e), 0);
	assert_int_equal(kernel_load_symbols(k, &e), ret);
	if (!strstr(e.text, text))
		fail_msg("\"%s\" lacks \"%s\"", e.text, text);
	/* what failed must be harmless to use, and what did not is of use */
	if (!strstr(text, "kallsyms") && !strstr(text, "section headers"))
		assert_true(kernel_symbol(k, kernel_symbolize(k, TEXT + 1, NULL)) == TEXT);
	else
		assert_null(kernel_symbolize(k, TEXT + 1, NULL));
	assert_int_equal(kernel_struct_size(k, "no_such_struct", &size), -ENOENT);
	kernel_close(k);
}

static void test_damaged(void **state)
{
	size_t len = 0;
	u8 *elf = unpack_payload(&len), *keep;
	Elf64_Shdr *h, old;
	Elf64_Ehdr eh;

	(void)state;
	if (!elf) {
		skip();
		return;
	}
	memcpy(&eh, elf, sizeof(eh));
	((Elf64_Ehdr *)elf)->e_shoff = 0;
	((Elf64_Ehdr *)elf)->e_shnum = 0;
	((Elf64_Ehdr *)elf)->e_shstrndx = 0;
	expect_symbols(elf, len, -ENOENT, "section headers");
	memcpy(elf, &eh, sizeof(eh));

	h = header(elf, ".BTF");
	old = *h;
	h->sh_type = SHT_NOBITS;
	expect_symbols(elf, len, -ENOENT, "CONFIG_DEBUG_INFO_BTF");
	*h = old;
	elf[h->sh_offset] ^= 1;
	expect_symbols(elf, len, -EINVAL, "BTF");
	elf[h->sh_offset] ^= 1;

	h = header(elf, "__ksymtab");
	keep = malloc(h->sh_size);
	memcpy(keep, elf + h->sh_offset, h->sh_size);
	memset(elf + h->sh_offset + 12, 0x11, 12);
	expect_symbols(elf, len, -EINVAL, "entry 1");
	memcpy(elf + h->sh_offset, keep, h->sh_size);
	h->sh_size -= 4;
	expect_symbols(elf, len, -EINVAL, "not known");
	h->sh_size += 4;
	free(keep);

	h = header(elf, ".rodata");
	keep = malloc(h->sh_size);
	memcpy(keep, elf + h->sh_offset, h->sh_size);
	memset(elf + h->sh_offset, 0, h->sh_size);
	expect_symbols(elf, len, -ENOENT, "kallsyms");
	memcpy(elf + h->sh_offset, keep, h->sh_size);
	free(keep);
	free(elf);
}

/* Bytes at random in the tables: any result, but no crash and no hang. */
static void test_random_damage(void **state)
{
	static const char *const sections[] = { ".BTF", ".rodata", "__ksymtab",
						"__ksymtab_strings" };
	size_t len = 0;
	u8 *elf = unpack_payload(&len);

	(void)state;
	if (!elf) {
		skip();
		return;
	}
	srand(3);
	for (unsigned n = 0; n < 24; n++) {
		const Elf64_Shdr *h = header(elf, sections[n % ARRAY_SIZE(sections)]);
		struct err e = { "" };
		struct kernel *k;
		u8 saved[64];
		size_t at[64];

		for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
			at[i] = h->sh_offset + (size_t)rand() % h->sh_size;
			saved[i] = elf[at[i]];
			elf[at[i]] = (u8)rand();
		}
		assert_int_equal(kernel_parse(&k, "random", elf, len, false, &e), 0);
		if (kernel_load_symbols(k, &e))
			assert_true(e.text[0]);
		kernel_close(k);
		for (size_t i = ARRAY_SIZE(at); i-- > 0;)
			elf[at[i]] = saved[i];
	}
	free(elf);
}

/* Symbols and types outlive the image; placing does not, and says so. */
static void test_trim(void **state)
{
	const struct kernel_export *ex;
	char path[4096], buf[256];
	struct kernel *k;
	size_t n, i, len;
	struct err e;
	u64 addr;

	(void)state;
	assert_int_equal(
		kernel_open(&k, image_path(path, sizeof(path), "cloud", "vmlinuz"), false, &e), 0);
	assert_int_equal(kernel_load_symbols(k, &e), 0);
	addr = kernel_symbol(k, "filp_open");
	kernel_trim(k);
	assert_null(kernel_file(k, &len));
	assert_int_equal(kernel_place(k, NULL, 1u << 30, 0, &e), -EINVAL);
	assert_non_null(strstr(e.text, "given back"));
	assert_int_equal(kernel_symbol(k, "filp_open"), addr);
	ex = kernel_exports(k, &n);
	assert_true(n > 9000);
	for (i = 0; i < n; i++)
		assert_ptr_equal(kernel_export(k, ex[i].name), &ex[i]);
	assert_int_equal(kernel_prototype(k, "filp_open", buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "filename"));
	kernel_close(k);
	assert_int_equal(kernel_open(&k, path, false, &e), 0);
	kernel_trim(k);
	assert_int_equal(kernel_load_symbols(k, &e), -ENOENT);
	kernel_close(k);
}

static void expect_call(const struct kernel *k, const char *function, const u64 *args,
			const char *text1, const char *expected)
{
	const char *texts[KERNEL_CALL_ARGS] = { NULL, text1 };
	const struct kernel_callee f = kernel_callee(k, function);
	char buf[300];

	kernel_call_text(k, &f, args, texts, buf, sizeof(buf));
	assert_string_equal(buf, expected);
}

static void expect_result(const struct kernel *k, const char *function, u64 value,
			  const char *expected)
{
	const struct kernel_callee f = kernel_callee(k, function);
	char buf[100];

	kernel_result_text(k, &f, value, buf, sizeof(buf));
	assert_string_equal(buf, expected);
}

static void test_calls_as_text(void **state)
{
	const u64 netdev[KERNEL_CALL_ARGS] = { 8, 0x1000, 3, 0xffffffff81001000, 1, (u64)-1 };
	const u64 file[KERNEL_CALL_ARGS] = { 0, 0xf000000000008241, 0xf0000000000001a4 };
	const u64 sock[KERNEL_CALL_ARGS] = { 0, (u64)-100 };

	(void)state;
	for_each_kernel(k)
	{
		const struct kernel_callee open = kernel_callee(k, "filp_open");
		char few[10];
		const char *none[KERNEL_CALL_ARGS] = { NULL };

		expect_call(k, "alloc_netdev_mqs", netdev, "a\"%d\n",
			    "sizeof_priv=8, name=\"a\\\"%d\\x0a\", name_assign_type=3, "
			    "setup=0xffffffff81001000, txqs=1, rxqs=4294967295");
		/* only the bytes of a parameter's type count */
		expect_call(k, "filp_open", file, NULL,
			    "filename=NULL, flags=O_WRONLY|O_CREAT|O_TRUNC|O_LARGEFILE, mode=0644");
		expect_call(k, "sock_create_kern", sock, NULL,
			    "net=NULL, family=-100, type=0, protocol=0, res=NULL");
		expect_call(k, "free_netdev", netdev + 1, NULL, "dev=(struct net_device *)0x1000");
		expect_call(k, "no_such_function", netdev, NULL, "");
		kernel_call_text(k, &open, file, none, few, sizeof(few));
		assert_string_equal(few, "filename=");
		expect_result(k, "filp_open", (u64)-2, "ERR_PTR(-2)");
		expect_result(k, "filp_open", 0x1000, "(struct file *)0x1000");
		expect_result(k, "misc_register", 0xffffffea, "-22");
		expect_result(k, "try_module_get", 0xff01, "true");
		expect_result(k, "kfree", 1, "");
		expect_result(k, "no_such_function", 1, "");
	}
}

static void expect_flags(const struct kernel *k, u64 gfp, const char *expected)
{
	const u64 args[KERNEL_CALL_ARGS] = { 0x1000, gfp };
	char text[300];

	snprintf(text, sizeof(text), "s=0x1000, gfp=%s", expected);
	expect_call(k, "kstrdup", args, NULL, text);
}

static void test_flags_by_name(void **state)
{
	const u64 file[KERNEL_CALL_ARGS] = { 0, 0, 0100644 };
	const u64 directory[KERNEL_CALL_ARGS] = { 0, 020200002, 042755 };
	const u64 device[KERNEL_CALL_ARGS] = { 7, 0x83, 0x9000 };

	(void)state;
	for_each_kernel(k)
	{
		expect_flags(k, 0xcc0, "GFP_KERNEL");
		expect_flags(k, 0xdc0, "GFP_KERNEL|__GFP_ZERO");
		expect_flags(k, 0xa20, "GFP_ATOMIC");
		expect_flags(k, 0x2800, "GFP_NOWAIT|__GFP_NOWARN");
		expect_flags(k, 0xc40, "GFP_NOFS");
		expect_flags(k, 0xc00, "GFP_NOIO");
		expect_flags(k, 0x100cc0, "GFP_USER");
		expect_flags(k, 0x400cc1, "GFP_KERNEL_ACCOUNT|GFP_DMA");
		expect_flags(k, 0, "0x0");
		expect_flags(k, 0x40000cc0, "GFP_KERNEL|0x40000000");
		expect_call(k, "filp_open", file, NULL,
			    "filename=NULL, flags=O_RDONLY, mode=S_IFREG|0644");
		expect_call(k, "filp_open", directory, NULL,
			    "filename=NULL, flags=O_TMPFILE|O_RDWR, mode=S_IFDIR|S_ISGID|0755");
		expect_call(k, "blkdev_get_by_dev", device, NULL,
			    "dev=7, mode=FMODE_READ|FMODE_WRITE|FMODE_EXCL, holder=0x9000");
	}
}

static void expect_no_call(const struct kernel *k, const char *function, const char *word)
{
	struct kernel_call call;
	const char *why;

	assert_true(kernel_call_shape(k, function, &call, &why) < 0);
	if (!strstr(why, word))
		fail_msg("%s: %s", function, why);
}

static void test_calls_that_can_be_handed_on(void **state)
{
	struct kernel_call call;
	const char *why;

	(void)state;
	for_each_kernel(k)
	{
		assert_int_equal(kernel_call_shape(k, "alloc_netdev_mqs", &call, &why), 0);
		assert_int_equal(call.args, 6);
		assert_int_equal(call.texts, 1 << 1);
		assert_false(call.is_void);
		assert_int_equal(kernel_call_shape(k, "kfree", &call, &why), 0);
		assert_true(call.is_void);
		/* memory that is no text */
		assert_int_equal(kernel_call_shape(k, "kernel_write", &call, &why), 0);
		assert_int_equal(call.texts, 0);
		expect_no_call(k, "_printk", "any number");
		expect_no_call(k, "do_exit", "not return");
		expect_no_call(k, "tcp_setsockopt", "structure by value");
		expect_no_call(k, "__x86_indirect_thunk_rax", "no prototype");
		/* to BTF these two kinds look the same */
		expect_no_call(k, "__get_user_4", "in assembler");
		expect_no_call(k, "__put_user_8", "in assembler");
		expect_no_call(k, "__sw_hweight64", "in assembler");
		expect_no_call(k, "clear_page_orig", "in assembler");
		expect_no_call(k, "memcpy", "in assembler");
		assert_int_equal(kernel_call_shape(k, "rtnl_lock", &call, &why), 0);
		assert_int_equal(kernel_call_shape(k, "synchronize_rcu", &call, &why), 0);
		assert_int_equal(kernel_call_shape(k, "schedule", &call, &why), 0);
		expect_no_call(k, "no_such_function", "no prototype");
	}
}

static void add_function(struct btf *b, const char *name, int argument, int result)
{
	int proto = btf__add_func_proto(b, result);

	assert_int_equal(btf__add_func_param(b, "a", argument), 0);
	assert_true(btf__add_func(b, name, BTF_FUNC_GLOBAL, proto) > 0);
}

/* What is not in one register is not handed on, whatever a kernel's types say. */
static void test_calls_of_made_up_types(void **state)
{
	struct kernel k = { .source = -1 };
	struct btf *b = btf__new_empty();
	struct kernel_call call;
	struct section s;
	const char *why;
	struct err e;
	u32 len;
	int i32, i128, none, pair, bytes;

	(void)state;
	i32 = btf__add_int(b, "int", 4, BTF_INT_SIGNED);
	i128 = btf__add_int(b, "__int128", 16, BTF_INT_SIGNED);
	none = btf__add_struct(b, "none", 0);
	pair = btf__add_struct(b, "pair", 8);
	bytes = btf__add_array(b, i32, i32, 2);
	add_function(b, "takes_pair", pair, i32);
	add_function(b, "takes_none", none, i32);
	add_function(b, "gives_none", i32, none);
	add_function(b, "takes_i128", i128, i32);
	add_function(b, "gives_i128", i32, i128);
	add_function(b, "takes_array", bytes, i32);
	add_function(b, "takes_fwd", btf__add_fwd(b, "fwd", BTF_FWD_STRUCT), i32);
	add_function(b, "takes_nonsense", 12345, i32);
	s.data = btf__raw_data(b, &len);
	s.size = len;
	if (types_load(&k.types, &s, "k", &e))
		fail_msg("%s", e.text);
	assert_int_equal(kernel_call_shape(&k, "takes_pair", &call, &why), 0);
	assert_int_equal(call.args, 1);
	expect_no_call(&k, "takes_none", "structure by value");
	expect_no_call(&k, "gives_none", "returns a structure");
	expect_no_call(&k, "takes_i128", "structure by value");
	expect_no_call(&k, "gives_i128", "returns a structure");
	expect_no_call(&k, "takes_array", "structure by value");
	expect_no_call(&k, "takes_fwd", "structure by value");
	expect_no_call(&k, "takes_nonsense", "structure by value");
	types_free(&k.types);
	btf__free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_kallsyms),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_vmlinux),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_calls_as_text),
		cmocka_unit_test(test_flags_by_name),
		cmocka_unit_test(test_calls_that_can_be_handed_on),
		cmocka_unit_test(test_calls_of_made_up_types),
	};

	need_images();
	return cmocka_run_group_tests(tests, setup, teardown);
}
