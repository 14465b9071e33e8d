# SPDX-License-Identifier: GPL-2.0-only
# timeout: 120
# SeaBIOS boots a disk, and a stock Linux kernel by its 16-bit entry, with the ACPI of a PC.

firmware_run()
{
	STATUS=0
	timeout -k 5 60 setpriv --pdeathsig KILL "$VMM" run --firmware seabios "$@" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
}

setup()
{
	images/mkbootdisk "$WORK/disk"
	truncate -s 1M "$WORK/empty"
}

test_disk_boots()
{
	firmware_run --disk "$WORK/disk,ro" --firmware-log "$WORK/log"
	expect_exit 0
	expect_console 'SeaBIOS \(version 1\.16\.2'
	expect_console 'Booting from Hard Disk'
	expect_console '^@@ boot sector'
	expect_console '^@@ waited'
	expect_console '^@@ second sector'
	expect_in "$WORK/log" 'Running on QEMU \(i440fx\)'
	expect_in "$WORK/log" 'found virtio-blk'
	expect_not_in "$WORK/log" 'WARNING|Unable|fail'
}

# SeaBIOS numbers the buses and places the windows itself.
test_disk_behind_a_root_port_boots()
{
	firmware_run --root-port id=a,slot=3 --root-port id=b,slot=3.1 --disk "$WORK/empty" \
		--disk "$WORK/disk,ro,bus=b" --firmware-log "$WORK/log" --no-reboot
	expect_exit 10
	expect_console 'not a bootable disk'
	firmware_run --root-port id=a,slot=3 --root-port id=b,slot=3.1 \
		--disk "$WORK/disk,ro,bus=b" --disk "$WORK/empty" --firmware-log "$WORK/log2"
	expect_exit 0
	expect_console '^@@ second sector'
	expect_in "$WORK/log2" 'PCI: secondary bus 2'
	expect_not_in "$WORK/log2" 'WARNING|Unable|fail'
}

test_every_processor_comes_up()
{
	firmware_run --disk "$WORK/disk,ro" --cpus 4 --firmware-log "$WORK/log"
	expect_exit 0
	expect_in "$WORK/log" 'Found 4 cpu\(s\) max supported 4'
}

test_memory_above_4_gib()
{
	firmware_run --disk "$WORK/disk,ro" --memory 4G --firmware-log "$WORK/log"
	expect_exit 0
	expect_console '^@@ second sector'
	expect_in "$WORK/log" 'addr 0x0000000100000000 len 0x0000000040000000 \[RAM\]'
}

test_keys_reach_the_guest()
{
	images/mkbootdisk --wait-key "$WORK/key"
	mkfifo "$WORK/input"
	timeout -k 5 60 setpriv --pdeathsig KILL "$VMM" run --firmware seabios --disk "$WORK/key,ro" \
		>"$WORK/console" 2>"$WORK/errors" <"$WORK/input" &
	GUEST=$!
	exec {GUEST_INPUT}>"$WORK/input"
	guest_wait_console '^@@ second sector'
	printf Q >&"$GUEST_INPUT"
	guest_wait
	expect_exit 0
	expect_console '^@@ key Q'
}

# The end of a firmware that finds nothing is a reset, and so the machine's with --no-reboot.
test_nothing_to_boot()
{
	firmware_run --no-reboot --disk "$WORK/empty"
	expect_exit 10
	expect_console 'No bootable device'
	expect_error 'asked for a reboot'
}

# A BIOS boots its first disk: that is the first of the command line.
test_first_disk_boots()
{
	firmware_run --disk "$WORK/disk,ro" --disk "$WORK/empty"
	expect_exit 0
	expect_console '^@@ boot sector'
	firmware_run --no-reboot --disk "$WORK/empty" --disk "$WORK/disk,ro"
	expect_exit 10
	expect_console 'not a bootable disk'
}

test_linux_by_the_firmware()
{
	initrd "$WORK/initrd" <<'END'
say cpus $(nproc)
for f in product_uuid product_name bios_vendor; do say dmi $f $(cat /sys/class/dmi/id/$f); done
say clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
load-modules
say size $(cat /sys/block/vda/size)
say faults $(faults | wc -l)
dmesg | grep -E 'ACPI (BIOS )?(Error|Warning)|FW BUG|Firmware Bug' | while read -r line; do say acpi $line; done
END
	firmware_run --kernel "$CLOUD/vmlinuz" --initrd "$WORK/initrd" --append "$APPEND" \
		--memory 384M --cpus 2 --disk "$WORK/disk,ro" --uuid 123E4567-e89b-12d3-a456-426614174000
	expect_exit 0
	expect_console '^@@ end'
	expect_equal "$(console_values cpus)" 2
	expect_equal "$(console_values clock)" kvm-clock
	expect_equal "$(console_values size)" 2048
	# The tables are the VMM's, but for the BIOS, which the firmware knows best.
	expect_console '^@@ dmi product_uuid 123e4567-e89b-12d3-a456-426614174000'
	expect_console '^@@ dmi product_name Umbra'
	expect_console '^@@ dmi bios_vendor SeaBIOS'
	expect_equal "$(console_values faults)" 0
	expect_no_console '^@@ acpi'
}

test_isolation_is_for_direct_boot()
{
	firmware_run --disk "$WORK/disk,ro" --driver s:x.ko
	expect_exit 2
	expect_one_line_error 'isolation is for direct boot'
}
