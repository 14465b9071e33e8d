# SPDX-License-Identifier: GPL-2.0-only
# Disks that qemu-storage-daemon serves over vhost-user: qcow2, read-only, several queues, its death
# and return with a larger image, and what a user gets wrong.

# daemon NAME [EXPORT-OPTION]: serve $WORK/NAME.qcow2 at $WORK/NAME.sock, in the background.
daemon()
{
	local node=driver=qcow2,node-name=disk,file.driver=file,file.filename=$WORK/$1.qcow2

	rm -f "$WORK/$1.sock"
	setpriv --pdeathsig KILL qemu-storage-daemon --blockdev "$node" \
		--chardev socket,id=qmp,path="$WORK/$1.qmp",server=on,wait=off --monitor chardev=qmp \
		--export "type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=$WORK/$1.sock${2-}" \
		>>"$WORK/daemon.log" 2>&1 &
	echo $! >"$WORK/$1.pid"
	wait_for 30 listens_at "$WORK/$1.sock" ||
		fail "qemu-storage-daemon does not come up: $(cat "$WORK/daemon.log")"
}

setup()
{
	for d in data ro; do
		expect qemu-img create -q -f qcow2 "$WORK/$d.qcow2" 64M
	done
	mke2fs -q -t ext4 "$WORK/raw" 32M
	expect qemu-img convert -f raw -O qcow2 "$WORK/raw" "$WORK/ro.qcow2"
	daemon data ,writable=on,num-queues=2
	daemon ro
	guest_start --name vhost-user --memory 256M --cpus 2 --disk "vhost-user=$WORK/data.sock" --disk "vhost-user=$WORK/ro.sock" <<'END'
load-modules
for d in a b; do
	say disk vd$d $(cat /sys/block/vd$d/size) queues $(ls /sys/block/vd$d/mq | wc -l) ro $(cat /sys/block/vd$d/ro) \
		cache $(cat /sys/block/vd$d/queue/write_cache)
done
mkdir /a /b
dd if=/dev/urandom of=/tmp/blob bs=1M count=16 2>/dev/null
say sum $(sha256sum </tmp/blob | cut -c 1-64)
check write dd if=/tmp/blob of=/dev/vda bs=64k seek=16 conv=fsync 2>/dev/null
say back $(dd if=/dev/vda bs=64k skip=16 count=256 iflag=direct 2>/dev/null | sha256sum | cut -c 1-64)
check mount-ro mount -t ext4 -o ro /dev/vdb /b
say listed $(ls /b)
dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync 2>/dev/null && say wrote a read-only disk
grep -h virtio /proc/interrupts | sed 's/^/@@ irq /'
say ready
read go
(for i in 1 2 3 4 5 6; do dd if=/dev/zero of=/dev/vda bs=4k count=1 seek=$i oflag=direct 2>/dev/null || say write error; done; say writes done) &
writes_wait()
{
	read -r reads writes </sys/block/vda/inflight && [ "$writes" -gt 0 ]
}
wait_for 20 writes_wait
say waiting
wait
say resized $(cat /sys/block/vda/size)
say back $(dd if=/dev/vda bs=64k skip=16 count=256 iflag=direct 2>/dev/null | sha256sum | cut -c 1-64)
END
	guest_wait_console '^@@ ready' 90
	pid=$(guest_vmm)
	"$VMM" disk resize disk0 128M --guest vhost-user >"$WORK/resize" 2>&1 || true
	grep -c 'memfd:umbra-ram' "/proc/$pid/maps" >"$WORK/shared" || true
	qmp_ask "$WORK/data.qmp" '{"execute": "block_resize", "arguments": {"node-name": "disk", "size": 100663296}}' >"$WORK/qmp"
	kill -KILL "$(<"$WORK/data.pid")"
	expect_within 10 grep -q 'the back end is gone' "$WORK/errors"
	guest_type go
	guest_wait_console '^@@ waiting'
	# For so long nobody serves the disk, and no write is done by then. A time, since what is tested is that
	# nothing happens in it.
	sleep 1
	cp "$WORK/console" "$WORK/console.waiting"
	daemon data ,writable=on,num-queues=2
	guest_wait
	for d in data ro; do
		# In order, so that qcow2's own state is written.
		kill "$(<"$WORK/$d.pid")"
		expect_within 30 process_ended "$(<"$WORK/$d.pid")"
	done
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
	expect [ "$(<"$WORK/shared")" -ge 1 ]
}

test_disks_are_what_the_back_end_says()
{
	expect_console '^@@ disk vda 131072 queues 2 ro 0 cache write back'
	expect_console '^@@ disk vdb 65536 queues 1 ro 1 '
}

test_data_goes_through_qcow2()
{
	expect_console '^@@ ok write'
	expect_equal "$(console_values back | sort -u)" "$(console_values sum)"
	expect qemu-img check -q "$WORK/data.qcow2"
	qemu-img convert -f qcow2 -O raw "$WORK/data.qcow2" "$WORK/out"
	expect_equal "$(dd if="$WORK/out" bs=64k skip=16 count=256 2>/dev/null | sha256sum | cut -c 1-64)" \
		"$(console_values sum)"
}

test_read_only()
{
	expect_console '^@@ ok mount-ro'
	expect_console '^@@ listed lost.found'
	expect_no_console 'wrote a read-only disk'
	expect qemu-img check -q "$WORK/ro.qcow2"
}

# The daemon of Debian 12 tells nobody of its block_resize; a new one of that image does.
test_resize()
{
	expect_in "$WORK/qmp" '"return": \{\}'
	expect_in "$WORK/resize" 'another process serves it; resize it there'
	expect_console '^@@ resized 196608'
}

test_death_of_the_back_end()
{
	expect_error 'the back end is gone'
	expect_error 'a back end is there again'
	expect_not_in "$WORK/console.waiting" '^@@ writes done'
	expect_console '^@@ writes done'
	expect_no_console '^@@ write error'
}

no_helper()
{
	! pgrep -f "dial-helper $WORK"
}

test_helpers_end_with_the_guest()
{
	expect_within 4 no_helper
}

test_firmware_boots_from_it()
{
	images/mkbootdisk "$WORK/disk"
	qemu-img convert -f raw -O qcow2 "$WORK/disk" "$WORK/boot.qcow2"
	daemon boot
	STATUS=0
	timeout -k 5 60 "$VMM" run --firmware seabios --disk "vhost-user=$WORK/boot.sock" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
	kill "$(<"$WORK/boot.pid")"
	expect_exit 0
	expect_console '^@@ second sector'
}

test_errors_are_one_line()
{
	guest_run --disk "vhost-user=/no/such.sock" </dev/null
	expect_exit 1
	expect_one_line_error 'cannot connect: No such file.*start the back end first'
	guest_run --disk "vhost-user=/x,ro" </dev/null
	expect_exit 2
	expect_one_line_error '"ro" is the back end.s to decide'
	# It says one thing that is none of the protocol, and then nothing.
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(Local => shift, Listen => 1) or die;
		alarm 60;
		my $c = $s->accept; print $c "hello, who is there?\n"; sleep 60' "$WORK/babble" &
	expect_within 10 listens_at "$WORK/babble"
	guest_run --disk "vhost-user=$WORK/babble" </dev/null
	kill $!
	expect_exit 1
	expect_one_line_error 'does not speak vhost-user'
}
