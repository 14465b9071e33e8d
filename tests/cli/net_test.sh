#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The process of the user-mode network: what it was given, and that its death is told. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin net

holds() # PID: has the secret open?
{
	find "/proc/$1/fd" -lname "$work/secret" 2>/dev/null | grep -q .
}

# child PID NAME: the child of PID that calls itself NAME, within 10 s
child()
{
	wait_for 10 child_named "$1" "$2"
	child_named "$1" "$2"
}

tells_the_death()
{
	grep -q 'its process has ended' <("$vmm" info "$guest" --json)
}

ulimit -n 8192
for mode in on off; do
	echo secret >secret
	guest_start --confine $mode --net user --console file=/dev/null 7<>secret 1500<>secret
	main=$run
	[ $mode = off ] || main=$(child "$run" vmm)
	helper=$(child "$main" vmm-net)
	[ -n "$helper" ]
	verdict $? "--confine $mode: the network has a process"
	! holds "$main"
	verdict $? "--confine $mode: vmm keeps no descriptor that it was started with"
	! holds "$helper"
	verdict $? "--confine $mode: nor does the network's process"
	[ "$(readlink "/proc/$helper/fd/0" "/proc/$helper/fd/1" | sort -u)" = /dev/null ]
	verdict $? "--confine $mode: whose stdin and stdout are not the guest's console"
	kill -KILL "$helper"
	wait_for 5 tells_the_death
	verdict $? "--confine $mode: vmm info tells that it has died"
	grep -q 'process of this network has ended' err
	verdict $? "--confine $mode: and so does stderr"
	kill -TERM "$run"
	wait "$run"
	run=
done
echo "1..$n"
