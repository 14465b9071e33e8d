// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the instruction decoder: single instructions with the values of the manuals, and every
 * instruction of modules of a Debian kernel beside objdump.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/x86_insn.h"

#define RELEASE "build/images/cloud/lib/modules"

struct row {
	const char *what;
	u8 bytes[X86_INSN_MAX + 1];
	u8 length;
	u8 kind;
	s32 rel;
	bool has_mem;
	u8 base, index, scale;
	s32 disp;
	u16 width;
};

#define NO_MEM false, X86_NONE, X86_NONE, 1, 0, 0

static const struct row rows[] = {
	{ "nop", { 0x90 }, 1, X86_PLAIN, 0, NO_MEM },
	{ "call rel32", { 0xe8, 0xfc, 0xff, 0xff, 0xff }, 5, X86_DIRECT, -4, NO_MEM },
	{ "jmp rel8", { 0xeb, 0xfe }, 2, X86_DIRECT, -2, NO_MEM },
	{ "jne rel32", { 0x0f, 0x85, 0, 1, 0, 0 }, 6, X86_DIRECT, 256, NO_MEM },
	{ "jrcxz", { 0xe3, 5 }, 2, X86_DIRECT, 5, NO_MEM },
	{ "xbegin", { 0xc7, 0xf8, 8, 0, 0, 0 }, 6, X86_DIRECT, 8, NO_MEM },
	{ "cs call", { 0x2e, 0xe8, 1, 0, 0, 0 }, 6, X86_DIRECT, 1, NO_MEM },
	{ "call *%rax", { 0xff, 0xd0 }, 2, X86_INDIRECT, 0, NO_MEM },
	{ "jmp *(%r11)", { 0x41, 0xff, 0x23 }, 3, X86_INDIRECT, 0, true, 11, X86_NONE, 1, 0, 8 },
	{ "ret", { 0xc3 }, 1, X86_PLAIN, 0, NO_MEM },
	{ "mov $imm64,%rax", { 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8 }, 10, X86_PLAIN, 0, NO_MEM },
	{ "movabs", { 0xa1, 1, 2, 3, 4, 5, 6, 7, 8 }, 9, X86_PLAIN, 0, NO_MEM },
	{ "test $imm32,%eax by f7", { 0xf7, 0xc0, 1, 2, 3, 4 }, 6, X86_PLAIN, 0, NO_MEM },
	{ "neg", { 0xf7, 0xd8 }, 2, X86_PLAIN, 0, NO_MEM },
	{ "mov %eax,8(%rsp)",
	  { 0x89, 0x44, 0x24, 8 },
	  4,
	  X86_PLAIN,
	  0,
	  true,
	  4,
	  X86_NONE,
	  1,
	  8,
	  4 },
	{ "mov %rax,x(%rip)",
	  { 0x48, 0x89, 5, 4, 0, 0, 0 },
	  7,
	  X86_PLAIN,
	  0,
	  true,
	  X86_RIP,
	  X86_NONE,
	  1,
	  4,
	  8 },
	{ "mov %al,(%r8,%r9,4)", { 0x43, 0x88, 4, 0x88 }, 4, X86_PLAIN, 0, true, 8, 9, 4, 0, 1 },
	{ "movups %xmm0,(%rdi)", { 0x0f, 0x11, 7 }, 3, X86_PLAIN, 0, true, 7, X86_NONE, 1, 0, 16 },
	{ "movsd %xmm0,(%rdi)",
	  { 0xf2, 0x0f, 0x11, 7 },
	  4,
	  X86_PLAIN,
	  0,
	  true,
	  7,
	  X86_NONE,
	  1,
	  0,
	  8 },
	{ "fxsave (%rdi)", { 0x0f, 0xae, 7 }, 3, X86_PLAIN, 0, true, 7, X86_NONE, 1, 0, 512 },
	{ "cmpxchg16b (%rdi)",
	  { 0xf0, 0x48, 0x0f, 0xc7, 0x0f },
	  5,
	  X86_PLAIN,
	  0,
	  true,
	  7,
	  X86_NONE,
	  1,
	  0,
	  16 },
	{ "vmovdqu %ymm0,(%rdi)",
	  { 0xc5, 0xfe, 0x7f, 7 },
	  4,
	  X86_PLAIN,
	  0,
	  true,
	  7,
	  X86_NONE,
	  1,
	  0,
	  32 },
	{ "vmovdqa64 %zmm0,0x40(%rdi)",
	  { 0x62, 0xf1, 0xfd, 0x48, 0x7f, 0x47, 1 },
	  7,
	  X86_PLAIN,
	  0,
	  true,
	  7,
	  X86_NONE,
	  1,
	  64,
	  64 },
	{ "vpternlogq $0x96",
	  { 0x62, 0xf3, 0xed, 0x48, 0x25, 0xc3, 0x96 },
	  7,
	  X86_PLAIN,
	  0,
	  NO_MEM },
	{ "vzeroupper", { 0xc5, 0xf8, 0x77 }, 3, X86_PLAIN, 0, NO_MEM },
	{ "mov %cr3,%rax", { 0x0f, 0x20, 0xd8 }, 3, X86_PLAIN, 0, NO_MEM },
	{ "enter", { 0xc8, 1, 0, 0 }, 4, X86_PLAIN, 0, NO_MEM },
};

static void instructions_are_as_the_manual_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct x86_insn in;

		if (x86_decode(r->bytes, sizeof(r->bytes), &in))
			fail_msg("%s: not decoded", r->what);
		if (in.length != r->length || in.kind != r->kind || in.rel != r->rel)
			fail_msg("%s: length %u, kind %u, rel %d", r->what, in.length, in.kind,
				 in.rel);
		if (in.has_mem != r->has_mem || in.base != r->base || in.index != r->index ||
		    in.scale != r->scale || in.disp != r->disp || in.width != r->width)
			fail_msg("%s: base %u index %u scale %u disp %d width %u", r->what, in.base,
				 in.index, in.scale, in.disp, in.width);
	}
}

static void what_is_cut_off_is_no_instruction(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t n = 0; n < rows[i].length; n++) {
			u8 *copy = malloc(n + 1); /* for the sanitizer: not a byte more is read */
			struct x86_insn in;

			memcpy(copy, rows[i].bytes, n);
			copy = realloc(copy, n ? n : 1);
			if (!x86_decode(copy, n, &in))
				fail_msg("%s: decoded from %zu of %u bytes", rows[i].what, n,
					 rows[i].length);
			free(copy);
		}
}

static void what_is_none_is_refused(void **state)
{
	static const u8 none[][X86_INSN_MAX] = {
		{ 0x06 }, /* push %es */
		{ 0x0f, 0x04 },
		{ 0xea },	/* far jump */
		{ 0x66, 0xe8 }, /* 16 or 32 bits, as the processor's maker likes */
		{ 0x66, 0x0f, 0x84 },
		{ 0x66, 0xc5, 0xf8, 0x77 }, /* prefixes that exclude each other */
		{ 0x48, 0xc5, 0xf8, 0x77 },
		{ 0xff, 0xff },
		{ 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		  0x66, 0x66 },
	};
	struct x86_insn in;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		if (!x86_decode(none[i], X86_INSN_MAX, &in))
			fail_msg("row %zu: decoded, %u bytes", i, in.length);
}

struct counts {
	unsigned long seen, wrong;
};

/* Compares a line of objdump: "  addr:<TAB>hex hex ...<TAB>mnemonic operands". */
static void compare_line(char *line, struct counts *n)
{
	char *hex = strstr(line, ":\t"), *text = hex ? strchr(hex + 2, '\t') : NULL;
	u8 bytes[32] = { 0 };
	struct x86_insn in;
	size_t len = 0;
	bool direct, indirect;
	u64 at, to;

	if (!text || strstr(text, "(bad)"))
		return;
	*text++ = 0;
	at = strtoul(line, NULL, 16);
	for (char *p = hex + 2, *end; len < 16; p = end) {
		unsigned long v = strtoul(p, &end, 16);

		if (end == p)
			break;
		bytes[len++] = (u8)v;
	}
	if (!strncmp(text, "cs ", 3) || !strncmp(text, "ds ", 3))
		text += 3;
	direct = *text == 'j' || !strncmp(text, "call", 4) || !strncmp(text, "loop", 4) ||
		 !strncmp(text, "xbegin", 6);
	indirect = direct && strchr(text, '*');
	text += strcspn(text, " ");
	to = strtoul(text, NULL, 16);
	n->seen++;
	if (x86_decode(bytes, sizeof(bytes), &in) || in.length != len ||
	    in.kind != (indirect ? X86_INDIRECT
			: direct ? X86_DIRECT
				 : X86_PLAIN) ||
	    (in.kind == X86_DIRECT && at + in.length + (u64)(s64)in.rel != to)) {
		n->wrong++;
		print_error("%s: %zu bytes by objdump, %u here, kind %u\n", line, len, in.length,
			    in.kind);
	}
}

static void objdump_agrees(void **state)
{
	/* much AVX-512; the largest; hand-written; what once was out of step or cut off */
	static const char command[] =
		"find " RELEASE " -name raid6_pq.ko -o -name kvm.ko -o -name squashfs.ko "
		"-o -name cxl_pci.ko -o -name macsec.ko -o -name sch_fq.ko -o -name 'aes*-x86_64.ko' "
		"-o -name 'sha*-ssse3.ko' -o -name 'chacha*.ko' -o -name xor.ko -o -name btrfs.ko | "
		"xargs -r objdump -d --insn-width=16";
	struct counts n = { 0, 0 };
	static char line[8192];
	FILE *f;

	(void)state;
	if (access(RELEASE, R_OK) || system("command -v objdump >/dev/null"))
		skip();
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		compare_line(line, &n);
	pclose(f);
	assert_true(n.seen > 300000);
	assert_int_equal(n.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions_are_as_the_manual_says),
		cmocka_unit_test(what_is_cut_off_is_no_instruction),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(objdump_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
