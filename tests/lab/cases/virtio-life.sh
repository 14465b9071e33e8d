# SPDX-License-Identifier: GPL-2.0-only
# timeout: 800
# Drivers come and go more than a hundred times over the same devices, or three hundred, and another kernel takes
# them over by kexec without having been shut down.

setup()
{
	mkdir "$WORK/boot"
	cp "$CLOUD/vmlinuz" "$WORK/boot"
	initrd "$WORK/boot/initrd" "$BASE/devices-cloud.img" <<'END'
say second life $(cat /proc/cmdline)
load-modules
ip link set eth0 up
say data $(sha256sum </dev/vdb | cut -c 1-64)
dd if=/dev/zero of=/dev/vdb bs=4k count=4 conv=fsync 2>/dev/null && say wrote
check arping arping -q -c 2 -w 10 -I eth0 10.0.2.2
dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c >/tmp/n
say random $(cat /tmp/n)
faults
END
	mke2fs -q -t ext2 -d "$WORK/boot" "$WORK/boot.img" 96M
	head -c 4M /dev/urandom >"$WORK/data"
	cp "$WORK/data" "$WORK/data.before"
	guest_start --timeout 700 --memory 384M --cpus 2 --base "$BASE/devices-cloud.img" --disk "$WORK/boot.img,ro" \
		--disk "$WORK/data" --net user --append "rounds=$(many 5 12)" <<'END'
load-modules
rounds=$(sed 's/.*rounds=//; s/ .*//' /proc/cmdline)
# again DRIVER-DIRECTORY DEVICE TIMES
again()
{
	for i in $(seq $3); do
		echo $2 >$1/unbind || say unbind failed
		echo $2 >$1/bind || say bind failed
	done
}
of()
{
	basename $(readlink /sys/class/$1/device)
}
blk=$(of block/vdb) net=$(of net/eth0)
rng=$(basename /sys/bus/virtio/drivers/virtio_rng/virtio*)
pci=$(basename $(readlink -f /sys/bus/virtio/devices/$blk/..))
say devices $blk $net $rng $pci
again /sys/bus/virtio/drivers/virtio_blk $blk 2
say ready
read go
for i in $(seq $rounds); do
	again /sys/bus/virtio/drivers/virtio_blk $blk 5
	dd if=/dev/vdb of=/dev/null bs=64k count=2 iflag=direct 2>/dev/null || say read failed
	again /sys/bus/virtio/drivers/virtio_net $net 5
	again /sys/bus/virtio/drivers/virtio_rng $rng 5
	again /sys/bus/pci/drivers/virtio-pci $pci 5
done
say data $(sha256sum </dev/vdb | cut -c 1-64)
for i in $(seq $((rounds * 5))); do
	rmmod virtio_net && insmod /lib/modules/virtio_net.ko || say module failed
done
ip link set eth0 up
check arping arping -q -c 2 -w 10 -I eth0 10.0.2.2
faults
say lived
read go
mkdir -p /boot
mount -t ext2 -o ro /dev/vda /boot || mount -t ext4 -o ro /dev/vda /boot
# Reads are in flight when it goes.
dd if=/dev/vdb of=/dev/null bs=4k iflag=direct 2>/dev/null &
kexec /boot/vmlinuz /boot/initrd "console=ttyS0 quiet panic=-1 kexeced"
say kexec failed
END
	guest_wait_console '^@@ ready'
	pid=$(guest_vmm)
	find "/proc/$pid/fd" -mindepth 1 | wc -l >"$WORK/fds.before"
	guest_type go
	guest_wait_console '^@@ lived' 500
	find "/proc/$pid/fd" -mindepth 1 | wc -l >"$WORK/fds.after"
	find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l >"$WORK/threads"
	guest_type go
	guest_wait
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
	expect_no_console 'WARNING: |BUG: |Oops: '
}

test_unbind_and_bind_100_times()
{
	expect_console '^@@ lived'
	expect_no_console '^@@ .*failed'
	expect_equal "$(console_values data | head -n 1)" "$(sha256sum <"$WORK/data.before" | cut -c 1-64)"
	expect_equal "$(console_values ok | grep -c arping)" 2
}

test_nothing_is_left_over()
{
	expect_equal "$(<"$WORK/fds.after")" "$(<"$WORK/fds.before")" "descriptors of vmm"
	# main, two vCPUs, boot.img and data with two queues, net, rng
	expect [ "$(<"$WORK/threads")" -le 10 ]
}

test_kexec()
{
	expect_console '^@@ second life .*kexeced'
	expect_equal "$(console_values data | tail -n 1)" "$(sha256sum <"$WORK/data.before" | cut -c 1-64)"
	expect_console '^@@ wrote'
	expect_equal "$(head -c 16384 "$WORK/data" | tr -d '\000' | wc -c)" 0
	expect_console '^@@ random 64'
}
