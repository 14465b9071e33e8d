/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds the gate page: a blob that the VMM copies into a page of its own, which the guest maps
 * read-only and executable in module space. It is position-independent but for one jump, whose
 * distance to the shim's umbra_gate_save() the VMM writes after the hello.
 *
 * A gate entry (one per driver instance and function, made by the VMM) is
 *     mov $id, %r11d ; jmp umbra_gate_common
 * or, for a call that goes into the CPU's ring, with a jump to the shim's own umbra_see_save();
 * so a call reaches the shim with every argument register, %al and the stack as the driver left
 * them; only r11 is spent, which the ABI leaves to linkage code. So tail calls look like calls.
 */
	.section .rodata.gate, "a"
	.balign	16
	.globl	umbra_gate_blob, umbra_gate_doorbell, umbra_gate_out, umbra_gate_common
	.globl	umbra_gate_patch, umbra_gate_refuse, umbra_gate_nothing, umbra_gate_blob_end

umbra_gate_blob:

/*
 * s64 doorbell(op, a, b, c, d, e): the VMM answers in rax. It is 0 before, as most answers are: KVM
 * sets registers of a guest at a price.
 */
umbra_gate_doorbell:
	xor	%eax, %eax
umbra_gate_out:
	out	%al, $0xe4
	ret
	int3

	.balign	16, 0xcc
umbra_gate_common:
	.byte	0xe9			/* jmp umbra_gate_save */
umbra_gate_patch:
	.long	0
	int3

/* Where entries lead that are closed, in place of a function. */
	.balign	16, 0xcc
umbra_gate_refuse:			/* -ENODEV, as an int, a long or a pointer */
	mov	$-19, %rax
	ret
	int3
	.balign	16, 0xcc
umbra_gate_nothing:			/* 0 or NULL; a void function is not called */
	xor	%eax, %eax
	ret
	int3
umbra_gate_blob_end:

	.section .note.GNU-stack, "", @progbits
