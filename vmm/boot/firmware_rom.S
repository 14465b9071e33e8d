/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts a kernel out of an option ROM (vmm/boot/firmware_kernel.c): a bootable device by a PnP
 * header (Plug and Play BIOS specification 1.0A, 3.2) with a bootstrap entry vector.
 * firmware_kernel.c fills in its checksum.
 */
	.section .rodata.firmware_rom, "a"
	.code16
	.balign	16
	.globl	firmware_rom, firmware_rom_end

	.set	PORT, 0x51c		/* LAYOUT_PORT_LOADER */
	.set	SETUP, 0x1000		/* segment of the kernel's boot sector and setup */
	.set	STACK, 0xe000

firmware_rom:
	.byte	0x55, 0xaa
	.byte	(firmware_rom_end - firmware_rom) / 512
	lret				/* nothing to initialize */
	.org	firmware_rom + 0x1a
	.word	pnp - firmware_rom
	.balign	16, 0
pnp:
	.ascii	"$PnP"
	.byte	1			/* revision */
	.byte	(pnp_end - pnp) / 16
	.word	0			/* no further header */
	.byte	0, 0
	.long	0			/* device */
	.word	0			/* manufacturer */
	.word	product - firmware_rom
	.byte	0, 0, 0
	.byte	0
	.word	0			/* boot connection vector */
	.word	0
	.word	start - firmware_rom	/* bootstrap entry vector */
	.word	0
	.word	0
pnp_end:

product:
	.asciz	"Umbra: kernel"

start:
	movw	$PORT, %dx
	inb	%dx, %al
	cmpb	$1, %al
	jne	none
	cli
	cld
	movw	$SETUP, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	movw	%ax, %ss
	movl	$STACK, %esp
	ljmp	$SETUP + 0x20, $0	/* boot.rst: the entry of the setup code */
none:
	int	$0x18			/* the next boot device */
	lret

	.balign	512, 0
firmware_rom_end:
	.section .note.GNU-stack, "", @progbits
