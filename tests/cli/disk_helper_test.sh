#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The process that connects to a disk's back end: that its death is told, that it is started again, and
# that a back end which comes back is found by the new one. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
command -v qemu-storage-daemon >/dev/null || tap_skip disk_helper 'no qemu-storage-daemon'
guest_begin disk_helper

daemon() # serves the file image at the socket sock
{
	rm -f sock
	setpriv --pdeathsig KILL qemu-storage-daemon --blockdev driver=file,node-name=disk,filename=image \
		--export type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=sock >daemon.log 2>&1 &
	daemon=$!
	wait_for 10 test -S sock
}

truncate -s 1M image plain
for mode in on off managed; do
	daemon
	guest_start --confine $mode --disk plain --disk vhost-user="$work/sock" --console file=/dev/null
	guest_helper $mode vmm-dial
	[ -n "$helper" ]
	verdict $? "--confine $mode: the disk has a process that connects"
	! info_tells error
	verdict $? "--confine $mode: of which there is nothing to tell"
	kill -KILL "$helper"
	wait_for 5 info_tells '"the process that connects to its back end has ended, and is started again"'
	verdict $? "--confine $mode: vmm info tells that it has died"
	"$vmm" info "$guest" | grep -q 'the process that connects to its back end'
	verdict $? "--confine $mode: for people, too, who see it beside a disk that has none"
	grep -q 'has ended (signal 9, Killed); a back end that comes back is not found' err
	verdict $? "--confine $mode: and so does stderr"
	wait_for 5 info_tells '"restarts": *1'
	verdict $? "--confine $mode: it is started again"
	! grep -q 'has ended' info && grep -q 'connects to its back end was started again' err
	verdict $? "--confine $mode: and that is told, too"
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null
	wait_for 5 grep -q 'the back end is gone' err
	daemon
	wait_for 5 grep -q 'a back end is there again' err
	verdict $? "--confine $mode: the new one finds a back end that has come back"
	kill -KILL "$keeper"
	wait_for 5 info_tells '"the process that connects to its back end has ended"'
	verdict $? "--confine $mode: the death of its keeper is told"
	grep -q 'there is no process any more that connects' err
	verdict $? "--confine $mode: with what follows from it"
	kill -TERM "$run"
	wait "$run"
	run=
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null
done
echo "1..$n"
