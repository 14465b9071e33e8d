#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The process of the user-mode network: what it was given, that its death is told, and that it is
# started again. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin net

holds() # PID: has the secret open?
{
	find "/proc/$1/fd" -lname "$work/secret" 2>/dev/null | grep -q .
}

ulimit -n 8192
for mode in on off managed; do
	echo secret >secret
	guest_start --confine $mode --net user --console file=/dev/null 7<>secret 1500<>secret
	guest_helper $mode vmm-net
	[ -n "$helper" ]
	verdict $? "--confine $mode: the network has a process"
	! holds "$main"
	verdict $? "--confine $mode: vmm keeps no descriptor that it was started with"
	! holds "$helper" && ! holds "$keeper"
	verdict $? "--confine $mode: nor does the network's process, nor its keeper"
	[ "$(readlink "/proc/$helper/fd/0" "/proc/$helper/fd/1" | sort -u)" = /dev/null ]
	verdict $? "--confine $mode: whose stdin and stdout are not the guest's console"
	if [ $mode != off ]; then
		[ "$(find "/proc/$helper/root/" -mindepth 1 -printf '%P ')" = 'etc etc/resolv.conf ' ]
		verdict $? "--confine $mode: and which sees no file system"
	fi
	kill -KILL "$helper"
	wait_for 5 info_tells 'its process has ended, and is started again'
	verdict $? "--confine $mode: vmm info tells that it has died"
	grep -q "its process has ended (signal 9, Killed); the guest's link is down" err
	verdict $? "--confine $mode: and so does stderr"
	wait_for 5 info_tells '"restarts": *1'
	verdict $? "--confine $mode: it is started again"
	! grep -q 'its process has ended' info && grep -q 'process was started again' err
	verdict $? "--confine $mode: and that is told, too"
	[ "$(child "$keeper" vmm-net)" != "$helper" ]
	verdict $? "--confine $mode: it is another process"
	for again in 2 3 4; do
		kill -KILL "$(child "$keeper" vmm-net)"
		[ $again = 4 ] || wait_for 5 info_tells "\"restarts\": *$again"
	done
	wait_for 5 info_tells 'its process has ended"'
	verdict $? "--confine $mode: but not for ever"
	grep -q '4 times within a minute, so it is not started again' err
	verdict $? "--confine $mode: which stderr tells"
	grep -q 'process of this network has ended' err
	verdict $? "--confine $mode: as it does that there is no network any more"
	kill -TERM "$run"
	wait "$run"
	run=
done
echo "1..$n"
