# SPDX-License-Identifier: GPL-2.0-only
# Disks that are block devices grow and shrink on the host, and their guest is told: a device of the
# device mapper by QMP and by size, a loop device without, one that is open for reading only.

# Nobody else makes the device nodes here.
export DM_DISABLE_UDEV=1

# table SECTORS: so much of the loop device below.
table()
{
	echo "0 $1 linear $below 0"
}

# reload SECTORS: as lvextend does it.
reload()
{
	dmsetup suspend umbra-lv
	dmsetup load umbra-lv --table "$(table "$1")"
	dmsetup resume umbra-lv
}

# disk STEP ARGS...: vmm disk, with its output and errors in files named after the step.
disk()
{
	local step=$1

	shift
	"$VMM" disk "$@" --guest disk-device >"$WORK/$step" 2>&1 || echo "status $?" >>"$WORK/$step"
}

qmp_resize()
{
	qmp_ask "${XDG_RUNTIME_DIR:-/run}/umbra/disk-device.sock" \
		"{\"execute\": \"block_resize\", \"arguments\": {\"node-name\": \"$1\", \"size\": $2}}"
}

# look STEP: what the guest sees now.
look()
{
	guest_type "$1"
	guest_wait_console "^@@ done-$1"
}

setup()
{
	for module in loop dm-mod; do
		modprobe -d "$GENERIC" "$module" 2>/dev/null || modprobe "$module" ||
			skip "no module $module here"
	done
	# Of a first try that failed.
	[ ! -e /dev/mapper/umbra-lv ] || dmsetup remove --force umbra-lv
	truncate -s 64M "$WORK/below"
	truncate -s 16M "$WORK/loop"
	below=$(losetup --find --show "$WORK/below")
	loop=$(losetup --find --show "$WORK/loop")
	dmsetup create umbra-lv --table "$(table 32768)"
	truncate -s 1M "$WORK/file"
	guest_start --name disk-device --memory 192M --cpus 2 --disk /dev/mapper/umbra-lv \
		--disk "$loop,ro" --disk "$WORK/file" <<'END'
load-modules
say ready
while read go; do
	[ "$go" != end ] || break
	say $go $(cat /sys/block/vda/size /sys/block/vdb/size)
	case $go in
	grown)
		check write-behind dd if=/dev/urandom of=/dev/vda bs=1M seek=24 count=8 conv=fsync 2>/dev/null
		say sum $(dd if=/dev/vda bs=1M skip=24 count=8 2>/dev/null | md5sum) ;;
	shrunk) dd if=/dev/vda of=/dev/null bs=1M skip=7 count=2 iflag=direct 2>/tmp/e || true
		say read $(sed -n 's/^\([0-9]*\)+.*in/\1/p' /tmp/e) ;;
	esac
	say done-$go
done
END
	guest_wait_console '^@@ ready'
	# Nothing has grown yet.
	disk early resize disk0 32M
	disk same resize disk0
	look first
	reload 65536
	disk wrong resize disk0 40M
	disk grown resize disk0 32M
	look grown
	dd if=/dev/mapper/umbra-lv bs=1M skip=24 count=8 2>/dev/null | md5sum >"$WORK/sum"
	reload 81920
	disk told resize disk0 --json
	look told
	reload 98304
	qmp_resize node0 0 >"$WORK/qmp"
	look qmp
	truncate -s 24M "$WORK/loop"
	losetup -c "$loop"
	disk ro resize disk1
	look ro
	reload 16384
	disk lost resize disk0
	look shrunk
	disk file resize disk2
	guest_type end
	guest_wait
	dmsetup remove umbra-lv
	losetup -d "$loop" "$below"
}

test_refused_until_the_device_has_the_size()
{
	expect_in "$WORK/early" 'vmm: disk0 cannot be resized: it is a block device, which has 16777216 bytes; resize that first'
	expect_in "$WORK/early" '^status 1'
	expect_in "$WORK/wrong" 'which has 33554432 bytes'
	expect_equal "$(<"$WORK/same")" "disk0: 16777216 bytes, was 16777216"
	expect_console '^@@ first 32768 32768'
}

test_grown_device_is_used_behind_its_old_end()
{
	expect_in "$WORK/grown" '^disk0: 33554432 bytes'
	expect_console '^@@ grown 65536 32768'
	expect_console '^@@ ok write-behind'
	expect_equal "$(console_values sum | cut -d ' ' -f 1)" "$(cut -d ' ' -f 1 "$WORK/sum")"
}

test_without_a_size_it_is_what_the_device_has()
{
	expect_equal "$(jq -r '"\(.size) \(."old-size")"' "$WORK/told")" '41943040 33554432'
	expect_console '^@@ told 81920 32768'
	expect_in "$WORK/qmp" '"return": *\{\}'
	expect_console '^@@ qmp 98304 32768'
}

test_read_only_loop_device()
{
	expect_equal "$(<"$WORK/ro")" "disk1: 25165824 bytes, was 16777216"
	expect_console '^@@ ro 98304 49152'
}

test_shrunk_device()
{
	expect_equal "$(<"$WORK/lost")" "disk0: 8388608 bytes, was 50331648"
	expect_console '^@@ shrunk 16384 49152'
	expect_console '^@@ read 1'
}

test_image_file_wants_a_size()
{
	expect_in "$WORK/file" 'disk2 cannot be resized: only a block device has a size of its own; say which one'
	expect_in "$WORK/file" '^status 1'
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}
