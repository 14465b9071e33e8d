/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a C call of a gated call: saves the registers of which a gate entry has left the driver's
 * as they were, and calls umbra_gate_enter() with them.
 *
 * The frame is made here, in a module's text, and not in the gate page, because the kernel's
 * unwinder knows text by its ORC entries alone: a return address in the gate page, which belongs to
 * no module, would end every trace of a task that waits in a call. So /proc/PID/stack, an oops and
 * a profiler go on from the shim's frames to the driver's. The gate page only jumps, and its
 * doorbell is a leaf.
 */
#include <linux/linkage.h>

	.text

/* struct umbra_regs, from its end but for what is on the stack already; then the call of \enter. */
.macro call_with_regs enter
	push	%rbp
	mov	%rsp, %rbp
	push	%r11
	push	%rax
	push	%r9
	push	%r8
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	call	\enter
	leave
	RET
.endm

/* In: r11 the gate id, the rest as the driver called. Jumped to: (%rsp) is the driver's. */
SYM_FUNC_START(umbra_gate_save)
	call_with_regs umbra_gate_enter
SYM_FUNC_END(umbra_gate_save)

/* The same for a call that goes into the CPU's ring. */
SYM_FUNC_START(umbra_see_save)
	call_with_regs umbra_see_enter
SYM_FUNC_END(umbra_see_save)

/* And of a function with three arguments at most. */
SYM_FUNC_START(umbra_few_save)
	push	%rbp
	mov	%rsp, %rbp
	push	%r11			/* struct umbra_few_regs, from its end */
	push	%rdx
	push	%rsi
	push	%rdi
	mov	%rsp, %rdi
	call	umbra_see_few_enter
	leave
	RET
SYM_FUNC_END(umbra_few_save)
