# SPDX-License-Identifier: GPL-2.0-only
# A raw file is a virtio disk: what the guest writes is in the file, a read-only disk stays as it is.

setup()
{
	mkdir -p "$WORK/tree"
	head -c 300000 /dev/urandom >"$WORK/tree/random"
	images/mkdisk --size 32M "$WORK/rw" "$WORK/tree"
	images/mkdisk --size 16M "$WORK/ro" "$WORK/tree"
	sha256sum <"$WORK/ro" >"$WORK/ro.before"
	guest_run --memory 192M --cpus 2 --disk "$WORK/rw" --disk "$WORK/ro,ro" <<'END'
load-modules
say size $(cat /sys/block/vda/size)
say ro $(cat /sys/block/vda/ro) $(cat /sys/block/vdb/ro)
say irqs $(grep -c virtio /proc/interrupts)
mkdir /mnt/rw /mnt/ro
mount -t ext4 /dev/vda /mnt/rw
mount -t ext4 -o ro /dev/vdb /mnt/ro
say sum $(sha256sum </mnt/ro/random | cut -c 1-64)
cp /mnt/rw/random /mnt/rw/copy
check written cmp /mnt/ro/random /mnt/rw/copy
dd if=/dev/zero of=/dev/vdb bs=4k count=1 2>/dev/null && say wrote to the read-only disk
umount /mnt/rw
END
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}

test_size_in_sectors()
{
	expect_equal "$(console_values size)" 65536
}

test_content_is_the_files()
{
	expect_equal "$(console_values sum)" "$(sha256sum <"$WORK/tree/random" | cut -c 1-64)"
}

test_what_was_written_is_in_the_file()
{
	expect_console '^@@ ok written'
	expect debugfs -R "dump /copy $WORK/copy" "$WORK/rw"
	expect cmp "$WORK/tree/random" "$WORK/copy"
}

test_read_only_disk_is_read_only()
{
	expect_equal "$(console_values ro)" '0 1'
	expect_no_console 'wrote to the read-only disk'
	expect_equal "$(sha256sum <"$WORK/ro")" "$(<"$WORK/ro.before")"
}

test_interrupts_are_messages()
{
	expect_console 'irqs [1-9]'
}
