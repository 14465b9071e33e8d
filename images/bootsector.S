/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shows that a BIOS can boot a disk, in two sectors (images/mkbootdisk): it says where it is, waits
 * half a second by the BIOS's clock, reads its second sector and shows the text in it, echoes one
 * key if the byte `wait_key` is set, and switches the machine off by ACPI's PM1 control register.
 */
	.code16
	.section .text, "ax"
	.globl	_start
	.set	PM1_CONTROL, 0x624
	.set	S5, 5 << 10 | 0x2000

_start:
	ljmp	$0, $begin
begin:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	cld
	movb	%dl, drive
	movw	$hello, %si
	call	print

	movw	$0x8600, %ax		/* wait CX:DX microseconds: the periodic interrupt */
	movw	$7, %cx
	movw	$0xa120, %dx
	int	$0x15
	jc	failed
	movw	$waited, %si
	call	print

	movb	$0x42, %ah		/* read by LBA */
	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	jc	failed
	movw	$0x7e00, %si
	call	print

	cmpb	$0, wait_key
	je	off
	xorw	%ax, %ax
	int	$0x16
	movb	%al, key
	movw	$typed, %si
	call	print
off:
	movw	$0x8600, %ax		/* the BIOS holds back what it may yet overwrite */
	movw	$3, %cx
	xorw	%dx, %dx
	int	$0x15
	movw	$PM1_CONTROL, %dx
	movw	$S5, %ax
	outw	%ax, %dx
1:	hlt
	jmp	1b

failed:
	movw	$no, %si
	call	print
	jmp	off

print:
	lodsb
	testb	%al, %al
	jz	1f
	movb	$0x0e, %ah
	xorw	%bx, %bx
	int	$0x10
	jmp	print
1:	ret

	.balign	4
packet:	.byte	16, 0
	.word	1			/* sectors */
	.word	0x7e00, 0
	.quad	1			/* from */
drive:	.byte	0
hello:	.asciz	"@@ boot sector\r\n"
waited:	.asciz	"@@ waited\r\n"
typed:	.ascii	"@@ key "
key:	.asciz	"?\r\n"
no:	.asciz	"@@ FAIL\r\n"

	.org	_start + 0x1b7
wait_key:
	.byte	0
	.org	_start + 0x1fe
	.word	0xaa55
	.asciz	"@@ second sector\r\n"
	.org	_start + 1024
