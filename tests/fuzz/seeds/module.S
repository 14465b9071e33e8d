# SPDX-License-Identifier: GPL-2.0-only
# The seed of fuzz_shadow_module: a driver with one of everything that the linker looks at, small
# enough for libFuzzer's first limit of 4096 bytes. After a change here:
#   as -o m.o module.S && strip --strip-unneeded -R .bss -R .data -o fuzz_shadow_module/minimal m.o
#   xz -k --check=crc32 fuzz_shadow_module/minimal, and zstd -k, gzip -nk
	.section .text, "ax"
	.globl f_export
f_export:
1:	call	__fentry__
	call	filp_open
	mov	$eth_validate_addr, %rax
	mov	jiffies(%rip), %rax
2:	jmp	__x86_return_thunk

	.section .return_sites, "a"
	.long	2b - .
	.section __mcount_loc, "a"
	.quad	1b

	.section .modinfo, "a"
	.asciz	"name=seed"
	.asciz	"depends=zsmalloc"
	.asciz	"vermagic=6.1.0-56-cloud-amd64 SMP preempt mod_unload modversions "

	.section __versions, "a"
	.macro	version crc, name
1:	.quad	\crc
	.ascii	"\name"
	.zero	64 - (. - 1b)
	.endm
	version	0xa351f379, "module_layout"
	version	0, "zs_malloc"

	.section __ksymtab_strings, "a"
__kstrtab_f:
	.asciz	"f_export"
__kstrtabns_f:
	.asciz	""

	.section __ksymtab_gpl, "a"
	.long	f_export - .
	.long	__kstrtab_f - .
	.long	__kstrtabns_f - .
	.section __kcrctab_gpl, "a"
	.long	0x12345678

	.section .gnu.linkonce.this_module, "aw"
	.zero	24
	.asciz	"seed"
	.zero	56 - 5
	.zero	0x380 - 24 - 56 - 16
	.quad	zs_malloc

	.weak	absent
	.quad	absent
