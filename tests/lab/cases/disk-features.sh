# SPDX-License-Identifier: GPL-2.0-only
# What a disk can do beyond reading and writing: discard, serial numbers, several queues, direct I/O,
# and errors of the host that arrive as I/O errors.

setup()
{
	mkdir -p "$WORK/small"
	mount -t tmpfs -o size=8m none "$WORK/small"
	head -c 16M /dev/urandom >"$WORK/full"
	truncate -s 16M "$WORK/small/sparse"
	truncate -s 16M "$WORK/cut"
	# tmpfs has no direct I/O.
	rm -f "$BASE/direct.image"
	head -c 16M /dev/urandom >"$BASE/direct.image"
	sha256sum <"$BASE/direct.image" >"$WORK/direct.before"
	head -c 16M /dev/urandom >"$WORK/ro"
	guest_start --memory 192M --cpus 2 --disk "$WORK/full,serial=S-1.x" --disk "$WORK/small/sparse" \
		--disk "$WORK/cut,queues=1,aio=threads" --disk "$BASE/direct.image,direct" --disk "$WORK/ro,ro" <<'END'
load-modules
for d in a b c d e; do
	say disk vd$d $(cat /sys/block/vd$d/serial) queues $(ls /sys/block/vd$d/mq | wc -l) \
		discard $(cat /sys/block/vd$d/queue/discard_max_bytes) \
		zeroes $(cat /sys/block/vd$d/queue/write_zeroes_max_bytes) \
		cache $(cat /sys/block/vd$d/queue/write_cache)
done
check discard blkdiscard -o 4M -l 8M /dev/vda
dd if=/dev/vda bs=1M skip=4 count=8 2>/dev/null | tr -d '\000' | wc -c >/tmp/n
say left $(cat /tmp/n)
dd if=/dev/zero of=/dev/vdb bs=1M count=16 conv=fsync 2>/tmp/e && say the full disk took all
say full $(tail -n 1 /tmp/e)
check reads-go-on dd if=/dev/vdb of=/dev/null bs=4k count=1 2>/dev/null
dd if=/dev/vdd bs=1M 2>/dev/null | sha256sum | cut -c 1-64 >/tmp/s
say direct $(cat /tmp/s)
dd if=/tmp/s of=/dev/vdd bs=512 seek=3 count=1 conv=sync,fsync 2>/dev/null
say cut now
read go
dd if=/dev/vdc of=/dev/null bs=4k skip=2048 count=1 2>/dev/null && say read behind the end
check before-the-end dd if=/dev/vdc of=/dev/null bs=4k count=1 2>/dev/null
blkdiscard -l 1M /dev/vde 2>/dev/null && say discarded a read-only disk
END
	guest_wait_console '^@@ cut now'
	for mode in '' ,ro; do
		timeout 20 "$VMM" run --kernel "$CLOUD/vmlinuz" --disk "$WORK/full$mode" \
			</dev/null >"$WORK/second.out" 2>>"$WORK/second.errors" &&
			echo "started with $WORK/full$mode" >>"$WORK/second.errors"
	done
	truncate -s 4M "$WORK/cut"
	guest_type go
	guest_wait
	umount "$WORK/small"
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}

test_serial_and_queues()
{
	expect_console '^@@ disk vda S-1.x queues 2 '
	expect_console '^@@ disk vdb umbra-disk1 queues 2 '
	expect_console '^@@ disk vdc umbra-disk2 queues 1 '
}

test_write_back_cache_is_announced()
{
	expect_console '^@@ disk vda .* cache write back'
}

test_discard_gives_space_back()
{
	expect_console '^@@ ok discard'
	expect_equal "$(console_values left)" 0
	expect [ "$(du -k "$WORK/full" | cut -f 1)" -le $((9 * 1024)) ]
	expect_equal "$(stat -c %s "$WORK/full")" $((16 << 20))
}

test_full_disk_is_an_io_error()
{
	expect_no_console 'the full disk took all'
	expect_console '^@@ full .*Input/output error'
	expect_console '^@@ ok reads-go-on'
}

test_direct_io()
{
	expect_equal "$(console_values direct)" "$(cut -c 1-64 "$WORK/direct.before")"
	expect_equal "$(dd if="$BASE/direct.image" bs=512 skip=3 count=1 2>/dev/null | tr -d '\000\n')" \
		"$(console_values direct)"
}

test_read_only_disk_cannot_be_discarded()
{
	expect_console '^@@ disk vde .* discard 0 zeroes 0 '
	expect_no_console 'discarded a read-only disk'
}

test_end_of_a_truncated_file_is_an_io_error()
{
	expect_no_console 'read behind the end'
	expect_console '^@@ ok before-the-end'
}

test_image_in_use_is_refused()
{
	expect_equal "$(wc -l <"$WORK/second.errors")" 2 "lines of errors"
	expect_equal "$(grep -c '/full: is in use by another guest or program; stop' \
		"$WORK/second.errors")" 2 "in $(cat "$WORK/second.errors")"
}
