# SPDX-License-Identifier: GPL-2.0-only
# Disks of the device mapper: two that know what a loss of power would have left of them (log-writes
# keeps a write only when a later flush, or FUA, covers it), and one whose second half fails. While
# the guest runs, they are also the disks that nobody else may write to.

MARKS=15 # of each disk, at least

# load MODULE...: of the kernel that the lab runs.
load()
{
	local m

	for m; do
		modprobe -d "$GENERIC" "$m" 2>/dev/null || modprobe "$m" || skip "no module $m here"
	done
}

# loop FILE SIZE: a new loop device on a new file.
loop()
{
	truncate -s "$2" "$1"
	losetup --find --show "$1"
}

# Nobody else makes the device nodes here.
export DM_DISABLE_UDEV=1

map()
{
	dmsetup create "$1" --table "$2"
}

# One mark in a disk's log for each acknowledgment that the guest reports. A mark comes after its
# acknowledgment, so what it covers must be safe by then.
mark_acks()
{
	local n=0 name word writer number stop=

	while [ -z "$stop" ]; do
		# What is on the console by then is marked before the end.
		[ ! -e "$WORK/stop" ] || stop=1
		sed -n "$((n + 1)),\$p" "$WORK/console" | tr -d '\r' >"$WORK/lines"
		while read -r name word writer number; do
			n=$((n + 1))
			[ "$word" = ack ] || continue
			dmsetup message "$name" 0 mark "ack-$writer-$number"
			echo "$name" >>"$WORK/marks"
		done <"$WORK/lines"
		sleep 0.1
	done
}

# marked NAME: this disk has enough of them.
marked()
{
	[ "$(grep -c "$1" "$WORK/marks")" -ge "$MARKS" ]
}

setup()
{
	: >"$WORK/marks"
	load loop dm-mod dm-log-writes ext4
	# Of a first try that failed; other cases have devices of their own.
	for name in power direct bad; do
		[ ! -e "/dev/mapper/$name" ] || dmsetup remove --force "$name"
	done
	for name in power direct; do
		loop "$WORK/$name.log" 256M >"$WORK/$name.loop"
		map "$name" "0 16384 log-writes $(loop "$WORK/$name.data" 8M) $(cat "$WORK/$name.loop")"
	done
	map bad "0 8192 linear $(loop "$WORK/bad.data" 8M) 0
8192 8192 error"
	loop "$WORK/mounted.data" 8M >"$WORK/mounted.loop"
	mke2fs -q -F -t ext4 "$(cat "$WORK/mounted.loop")"
	mkdir "$WORK/mounted"
	mount "$(cat "$WORK/mounted.loop")" "$WORK/mounted"
	guest_start --memory 192M --cpus 2 --base "$BASE/blocks-cloud.img" --disk /dev/mapper/power \
		--disk /dev/mapper/direct,direct --disk /dev/mapper/bad <<'END'
load-modules
at()
{
	dd if=/dev/zero of=/dev/vdc bs=4k seek=$1 count=1 conv=fsync,notrunc 2>/tmp/e
}
check reads-good dd if=/dev/vdc of=/dev/null bs=4k count=4 2>/dev/null
dd if=/dev/vdc of=/dev/null bs=4k skip=1536 count=1 2>/dev/null && say read what cannot be read
check writes-good at 1
at 1536 && say wrote what cannot be written
at 2 && say flushed after a loss
check reads-on dd if=/dev/vdc of=/dev/null bs=4k count=4 2>/dev/null
say tested
blocks write /dev/vda 2 power &
blocks write /dev/vdb 2 direct
wait
END
	mark_acks &
	marker=$!
	guest_wait_console '^@@ tested'
	for name in mapper/bad mapper/power "$(cut -d / -f 3 "$WORK/mounted.loop")"; do
		timeout 20 "$VMM" run --kernel "$CLOUD/vmlinuz" --disk "/dev/$name" \
			</dev/null >>"$WORK/second.out" 2>>"$WORK/second.errors" &&
			echo "started on /dev/$name" >>"$WORK/second.errors"
	done
	for name in power direct; do
		wait_for 90 marked "$name" || :
	done
	kill -KILL "$(guest_pid)"
	guest_wait
	touch "$WORK/stop"
	wait "$marker"
	umount "$WORK/mounted"
	dmsetup remove bad
	for name in power direct; do
		dmsetup remove "$name"
		build/tests/lab/blocks replay "$(cat "$WORK/$name.loop")" $((8 << 20)) 2 \
			>"$WORK/$name.replay" 2>&1 || echo "status $?" >>"$WORK/$name.replay"
	done
	losetup --noheadings --output NAME,BACK-FILE | grep -F "$WORK/" | cut -d ' ' -f 1 |
		xargs losetup -d
}

replayed()
{
	cat "$WORK/$1.replay"
	expect_not_in "$WORK/$1.replay" '^status'
	expect [ "$(sed -n 's/.* entries, \(.*\) marks$/\1/p' "$WORK/$1.replay")" -ge "$MARKS" ]
}

test_flushed_writes_survive_a_loss_of_power()
{
	replayed power
}

test_flushed_writes_past_the_page_cache_survive_a_loss_of_power()
{
	replayed direct
}

test_errors_of_the_host_are_errors_of_the_guest()
{
	expect_console '^@@ ok reads-good'
	expect_console '^@@ ok writes-good'
	expect_no_console 'read what cannot be read|wrote what cannot be written'
	expect_console '^@@ ok reads-on'
}

test_after_a_lost_write_no_flush_succeeds()
{
	expect_no_console 'flushed after a loss'
}

test_block_device_in_use_is_refused()
{
	expect_equal "$(wc -l <"$WORK/second.errors")" 3 "lines of errors"
	expect_in "$WORK/second.errors" '/dev/mapper/bad: is (mounted|in use)'
	expect_in "$WORK/second.errors" '/dev/mapper/power: is (mounted|in use)'
	expect_in "$WORK/second.errors" '/dev/loop[0-9]+: is mounted or in use'
}
