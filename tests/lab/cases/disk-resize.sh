# SPDX-License-Identifier: GPL-2.0-only
# A disk gets another size while its guest uses it: by QMP, and by vmm disk.

# ask COMMAND: one command of QMP for the guest.
ask()
{
	qmp_ask "${XDG_RUNTIME_DIR:-/run}/umbra/disk-resize.sock" "$@"
}

# disk ARGS...: vmm disk, with its output and errors in files named after the step.
disk()
{
	local step=$1

	shift
	"$VMM" disk "$@" --guest disk-resize >"$WORK/$step" 2>&1 || echo "status $?" >>"$WORK/$step"
}

setup()
{
	truncate -s 16M "$WORK/a"
	truncate -s 16M "$WORK/ro"
	guest_start --name disk-resize --memory 192M --cpus 2 --disk "$WORK/a,serial=main" --disk "$WORK/ro,ro" <<'END'
load-modules
say ready
while read go; do
	[ "$go" != end ] || break
	say $go $(cat /sys/block/vda/size) events $(grep virtio0-config /proc/interrupts | awk '{ print $2 + $3 }')
	case $go in
	grown) check write-behind dd if=/dev/urandom of=/dev/vda bs=1M seek=24 count=8 conv=fsync 2>/dev/null ;;
	shrunk) dd if=/dev/vda of=/dev/null bs=1M skip=7 count=2 iflag=direct 2>/tmp/e || true
		say read $(sed -n 's/^\([0-9]*\)+.*in/\1/p' /tmp/e) ;;
	esac
	say done-$go
done
END
	guest_wait_console '^@@ ready'
	for step in first grown more shrunk; do
		case $step in
		grown) ask '{"execute": "block_resize", "arguments": {"node-name": "node0", "size": 33554432}}' >"$WORK/qmp" ;;
		more) disk more resize main +8M ;;
		shrunk)
			disk smaller resize disk0 8M
			disk shrunk resize disk0 8M --shrink --json
			;;
		esac
		guest_type $step
		guest_wait_console "^@@ done-$step"
	done
	disk ro resize disk1 32M
	"$VMM" info disk-resize --json >"$WORK/info.json" || true
	disk unknown resize disk7 32M
	disk odd resize disk0 1000
	disk usage resize disk0 20X
	ask '{"execute": "block_resize", "arguments": {"device": "disk0"}}' >"$WORK/qmp-missing"
	guest_type end
	guest_wait
	stat -c %s "$WORK/a" >"$WORK/size"
}

test_grown_by_qmp()
{
	expect_in "$WORK/qmp" '"return": *\{\}'
	expect_console '^@@ first 32768 events 0'
	expect_console '^@@ grown 65536 events 1'
	expect_console '^@@ ok write-behind'
}

test_vmm_disk()
{
	expect_equal "$(<"$WORK/more")" "main: 41943040 bytes, was 33554432"
	expect_console '^@@ more 81920 events 2'
	expect_equal "$(jq -r '"\(.size) \(."old-size")"' "$WORK/shrunk")" '8388608 41943040'
	expect_console '^@@ shrunk 16384 events 3'
	expect_console '^@@ read 1'
	expect_equal "$(<"$WORK/size")" 8388608
}

test_vmm_info_names_disks()
{
	expect_equal "$(jq -r '.disks[] | "\(.disk) \(.size) \(."read-only")"' "$WORK/info.json" | tr '\n' ' ')" \
		'disk0 8388608 false disk1 16777216 true '
}

test_refusals()
{
	expect_in "$WORK/smaller" 'vmm: disk0 has 41943040 bytes; .*--shrink'
	expect_in "$WORK/smaller" '^status 1'
	expect_in "$WORK/ro" 'vmm: disk1 cannot be resized: it is read-only'
	expect_in "$WORK/unknown" 'there is no disk "disk7"'
	expect_in "$WORK/odd" 'multiple of 512|--shrink'
	expect_in "$WORK/usage" '20X: want a size'
	expect_in "$WORK/usage" '^status 2'
	expect_in "$WORK/qmp-missing" '"size.*is missing'
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}
