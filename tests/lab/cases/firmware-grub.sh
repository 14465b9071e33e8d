# SPDX-License-Identifier: GPL-2.0-only
# timeout: 120
# A disk with its own boot loader: SeaBIOS, GRUB, a stock kernel. GRUB enters it by its 32-bit entry
# and leaves the PIC open, as the BIOS did.

setup()
{
	command -v grub-mkrescue >/dev/null || skip "the package grub-common is not installed"
	initrd "$WORK/initrd" <<'END'
say cpus $(nproc)
say faults $(faults | wc -l)
load-modules
say disk $(cat /sys/block/vda/ro)
END
	images/mkgrubdisk --kernel "$CLOUD/vmlinuz" --initrd "$WORK/initrd" --append "$APPEND" \
		"$WORK/disk"
	STATUS=0
	timeout -k 5 90 setpriv --pdeathsig KILL "$VMM" run --firmware seabios --memory 384M \
		--cpus 2 --disk "$WORK/disk,ro" >"$WORK/console" 2>"$WORK/errors" </dev/null ||
		STATUS=$?
	echo "$STATUS" >"$WORK/.status"
}

test_kernel_runs_to_its_end()
{
	expect_exit 0
	expect_console 'Booting from Hard Disk'
	expect_console '^@@ end'
}

test_machine_is_whole()
{
	expect_equal "$(console_values cpus)" 2
	expect_equal "$(console_values faults)" 0
	expect_equal "$(console_values disk)" 1
}
