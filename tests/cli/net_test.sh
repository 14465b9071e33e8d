#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The process of the user-mode network: what it was given, and that its death is told. Speaks TAP.
set -u
vmm=$PWD/build/vmm
kernel=$(find "$PWD"/build/images -name 'vmlinuz*' | sort | head -n 1)
work=$(mktemp -d) || exit 1
n=0
run=
end()
{
	[ -z "$run" ] || kill "$run" 2>/dev/null
	rm -rf "$work"
}
trap end EXIT
export XDG_RUNTIME_DIR=$work XDG_CACHE_HOME=$work
cd "$work" || exit 1

check()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

# child PID NAME: a child of PID that calls itself NAME, within 10 s
child()
{
	local c

	for _ in $(seq 100); do
		for c in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
			[ "$(cat "/proc/$c/comm")" = "$2" ] && echo "$c" && return
		done
		sleep 0.1
	done
}

holds() # PID: has the secret open?
{
	find "/proc/$1/fd" -lname "$work/secret" 2>/dev/null | grep -q .
}

if [ -z "$kernel" ]; then
	echo "1..0 # SKIP no kernel in build/images"
	exit 0
fi
ulimit -n 8192
for mode in on off; do
	echo secret >secret
	"$vmm" run --confine $mode --kernel "$kernel" --memory 128M --paused --name "net$$" --net user \
		--console file=/dev/null </dev/null >out 2>err 7<>secret 1500<>secret &
	run=$!
	for _ in $(seq 100); do
		"$vmm" info "net$$" >/dev/null 2>&1 && break
		sleep 0.1
	done
	main=$run
	[ $mode = off ] || main=$(child "$run" vmm)
	helper=$(child "$main" vmm-net)
	[ -n "$helper" ]
	check $? "--confine $mode: the network has a process"
	! holds "$main"
	check $? "--confine $mode: vmm keeps no descriptor that it was started with"
	! holds "$helper"
	check $? "--confine $mode: nor does the network's process"
	[ "$(readlink "/proc/$helper/fd/0" "/proc/$helper/fd/1" | sort -u)" = /dev/null ]
	check $? "--confine $mode: whose stdin and stdout are not the guest's console"
	kill -KILL "$helper"
	for _ in $(seq 50); do
		grep -q 'its process has ended' <("$vmm" info "net$$" --json) && break
		sleep 0.1
	done
	grep -q 'its process has ended' <("$vmm" info "net$$" --json)
	check $? "--confine $mode: vmm info tells that it has died"
	grep -q 'process of this network has ended' err
	check $? "--confine $mode: and so does stderr"
	kill -TERM "$run"
	wait "$run"
	run=
done
echo "1..$n"
