/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds the gate page: a blob that the VMM copies into a page of its own, which the guest maps
 * read-only and executable in module space. It is position-independent but for three calls, whose
 * distance to the shim's functions the VMM writes after the hello.
 *
 * A gate entry (one per driver instance and function, made by the VMM) is
 *     mov $id, %r11d ; jmp umbra_gate_common
 * or, for a call that goes into the CPU's ring, umbra_gate_see, or, of a function with at most three
 * arguments, umbra_gate_few, which saves no others;
 * so a call reaches the shim with every argument register, %al and the stack as the driver left
 * them; only r11 is spent, which the ABI leaves to linkage code. So tail calls look like calls.
 */
	.section .rodata.gate, "a"
	.balign	16
	.globl	umbra_gate_blob, umbra_gate_doorbell, umbra_gate_out, umbra_gate_common
	.globl	umbra_gate_see, umbra_gate_few
	.globl	umbra_gate_patch, umbra_gate_see_patch, umbra_gate_few_patch, umbra_gate_blob_end

umbra_gate_blob:

/* s64 doorbell(op, a, b, c, d, e): the VMM answers in rax */
umbra_gate_doorbell:
umbra_gate_out:
	out	%al, $0xe4
	ret
	int3

	.balign	16, 0xcc
umbra_gate_common:
	push	%rbp
	mov	%rsp, %rbp
	push	%r11			/* struct umbra_regs, from its end */
	push	%rax
	push	%r9
	push	%r8
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	.byte	0xe8			/* call umbra_gate_enter */
umbra_gate_patch:
	.long	0
	leave
	ret
	int3

	.balign	16, 0xcc
umbra_gate_see:
	push	%rbp
	mov	%rsp, %rbp
	push	%r11			/* struct umbra_regs, from its end */
	push	%rax
	push	%r9
	push	%r8
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	.byte	0xe8			/* call umbra_see_enter */
umbra_gate_see_patch:
	.long	0
	leave
	ret
	int3

	.balign	16, 0xcc
umbra_gate_few:
	push	%rbp
	mov	%rsp, %rbp
	push	%r11			/* struct umbra_few_regs, from its end */
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	.byte	0xe8			/* call umbra_see_few_enter */
umbra_gate_few_patch:
	.long	0
	leave
	ret
	int3
umbra_gate_blob_end:

	.section .note.GNU-stack, "", @progbits
