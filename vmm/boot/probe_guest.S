/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Holds the guests of vmm doctor, in long mode at CPL 0: each does a thing that every stock kernel
 * does while it boots. Position-independent; the machine is as boot_cpu_enter() leaves it. RDI:
 * 64-byte aligned, zeroed scratch memory; RSI: where this code is loaded. Each part ends with a
 * byte to PROBE_PORT.
 */
#include "vmm/boot/probe_port.h"

	.section .rodata
	.balign 16
	.globl probe_code, probe_code_end
	.globl probe_cmpxchg16b, probe_xrstor, probe_int3, probe_speed

.macro report value
	mov	$\value, %al
	out	%al, $PROBE_PORT
.endm

probe_code:

probe_cmpxchg16b:
	xor	%eax, %eax
	xor	%edx, %edx
	mov	$1, %ebx
	mov	$2, %ecx
	lock cmpxchg16b (%rdi)
	jnz	1f
	cmpq	$2, 8(%rdi)
	jne	1f
	report	PROBE_GOOD
1:	report	PROBE_WRONG
	hlt

probe_xrstor:
	mov	%cr4, %rax
	or	$0x40600, %eax		/* OSFXSR, OSXMMEXCPT, OSXSAVE */
	mov	%rax, %cr4
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$3, %eax		/* x87 and SSE */
	xsetbv
	xor	%edx, %edx
	mov	$3, %eax
	xsave64	(%rdi)
	xrstor64 (%rdi)
	report	PROBE_GOOD
	hlt

/* Scratch: an IDT of four entries at 0, its descriptor at 0x100, a stack below 0x1000. */
probe_int3:
	lea	0x1000(%rdi), %rsp
	lea	1f(%rip), %rax
	mov	%ax, 0x30(%rdi)
	movw	$0x10, 0x32(%rdi)
	movw	$0x8e00, 0x34(%rdi)	/* present, interrupt gate */
	shr	$16, %rax
	mov	%ax, 0x36(%rdi)
	shr	$16, %rax
	mov	%eax, 0x38(%rdi)
	movw	$0x3f, 0x100(%rdi)
	mov	%rdi, 0x102(%rdi)
	lidt	0x100(%rdi)
	int3
	report	PROBE_GOOD
	hlt
1:	iretq

/* Two instructions for each turn; the host takes the time between the two reports. */
probe_speed:
	mov	$PROBE_TURNS, %ecx
	report	PROBE_START
1:	dec	%ecx
	jnz	1b
	report	PROBE_GOOD
	hlt

probe_code_end:

	.section .note.GNU-stack, "", @progbits
