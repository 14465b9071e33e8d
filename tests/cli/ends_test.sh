#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The processes of `vmm run`: which descriptors they have, which signals end them, and what is left
# when one of them is killed at any moment. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=${UMBRA_TEST_VMM:-$PWD/build/vmm}
kernel=$PWD/build/images/cloud/vmlinuz
name=unit-ends-$$
tap_begin 'the processes of vmm run'
[ -w /dev/kvm ] && [ -r "$kernel" ] ||
	tap_skip 'the processes of vmm run' "/dev/kvm or $kernel is missing"
cd "$work" || exit 1
mkfifo fifo
echo secret >secret
# A plain user's sockets lie here, root's in /run.
export XDG_RUNTIME_DIR=$work
[ "$EUID" = 0 ] && dir=/run/umbra || dir=$work/umbra
run=("$vmm" run --kernel "$kernel" --memory 128M --paused --name "$name")

# ended PID: it is gone, within 3 s.
ended()
{
	wait_for 3 process_ended "$1"
}

is_listed()
{
	"$vmm" ps | grep -q "^$name "
}

runs()
{
	wait_for 5 is_listed
}

# The guest is there, and is not the start whose system calls --stats counts before.
runs_untraced()
{
	local line

	line=$("$vmm" ps | grep "^$name ") || return 1
	# shellcheck disable=SC2086
	set -- $line
	grep -q '^TracerPid:[[:space:]]*0$' "/proc/$3/status"
}

# All processes below PID, itself among them.
tree()
{
	local child

	echo "$1"
	# shellcheck disable=SC2013
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		tree "$child"
	done
}

# all_end SIGNAL: so do $pid, which gets it, and all processes below it.
all_end()
{
	local p all bad=0

	all=$(tree $pid)
	kill -"$1" $pid
	for p in $all; do
		ended "$p" || bad=1
		kill -KILL "$p"
	done
	return $bad
}

# Of which processes of $pid's the secret is open, by which descriptor.
holders()
{
	local p fd

	for p in $(tree $pid); do
		for fd in "/proc/$p/fd/"*; do
			case $(readlink "$fd") in
			*secret) echo "$(cat "/proc/$p/comm") has $fd" ;;
			esac
		done
	done
}

nobody_holds()
{
	[ -z "$(holders)" ]
}

# Is the network's process there, with or without a supervisor above it?
has_helper()
{
	local p

	for p in $(tree $pid); do
		[ "$(cat "/proc/$p/comm")" != vmm-net ] || return 0
	done
	return 1
}

# No socket of this name is there, or one that is older than a second.
no_young_socket()
{
	[ -d "$dir" ] && [ -z "$(find "$dir" -name "$name.sock" -newerct '1 second ago')" ]
}

# A thread of $pid's processes waits in an open (open, openat, openat2), or its start has ended.
waits_in_an_open()
{
	local p

	for p in $(tree $pid); do
		! cat "/proc/$p/task/"*/syscall | grep -qE '^(2|257|437) ' || return 0
	done
	process_ended $pid
}

# waits_in_poll PID
waits_in_poll()
{
	grep -qE '^(7|271) ' "/proc/$1/syscall"
}

# --- descriptors: 3 to 2000 are open at the start, and nobody has one of them afterwards
ulimit -n 4096
for mode in on off strict managed; do
	(
		for ((fd = 3; fd <= 2000; fd++)); do
			eval "exec $fd<secret"
		done
		exec "${run[@]}" --confine $mode --net user </dev/null 2>errors
	) &
	pid=$!
	if ! runs; then
		if [ $mode = strict ] && grep -q 'does not allow the layer' errors; then
			verdict 0 "descriptors with --confine strict # skip the host lacks a layer"
		else
			cat errors
			verdict 1 "descriptors with --confine $mode: it does not start"
		fi
		wait $pid
		continue
	fi
	# Each process closes them itself, soon after its begin; the network's is the last to begin.
	wait_for 10 has_helper && wait_for 3 nobody_holds || { holders | tail -n 3; false; }
	verdict $? "no process has an inherited descriptor, --confine $mode"
	"$vmm" kill "$name"
	wait $pid
done 2>/dev/null

# --- signals that were ignored stay ignored, others end it
for sig in HUP INT QUIT TERM; do
	for mode in on off managed; do
		(
			trap '' $sig
			exec "${run[@]}" --confine $mode </dev/null 2>/dev/null
		) &
		pid=$!
		runs
		kill -$sig $pid
		# A time, since nothing happens when all is right: long enough for one that is not ignored to end it.
		sleep 0.4
		[ -d /proc/$pid ] && "$vmm" info "$name" >/dev/null
		verdict $? "an ignored SIG$sig is ignored, --confine $mode"
		"$vmm" kill "$name"
		wait $pid
	done
done 2>/dev/null
(
	trap '' CHLD
	exec "${run[@]}" </dev/null 2>/dev/null
) &
pid=$!
runs
kill -TERM $pid
ended $pid
verdict $? "a starter that ignores SIGCHLD does not keep the supervisor from ending"

# --- a start that waits for something is ended by any signal, and does not outlive its supervisor
for option in "--console file=fifo" "--port p=file=fifo" "--policy fifo" "--config fifo"; do
	for sig in TERM INT HUP QUIT KILL; do
		# shellcheck disable=SC2086
		# A shell starts what is behind an setsid "${run[@]}" $option with INT and QUIT ignored.
		setsid env --default-signal "${run[@]}" $option </dev/null 2>/dev/null &
		pid=$!
		wait_for 1 waits_in_an_open
		all_end $sig
		verdict $? "SIG$sig ends a start with $option, and all its processes"
		wait $pid
	done
done 2>/dev/null

# --- nor does a stderr that nobody reads hold up the end: the supervisor's last word is lost then
mkfifo unread
exec 9<>unread
dd if=/dev/zero of=unread bs=4096 oflag=nonblock status=none 2>/dev/null
setsid "${run[@]}" </dev/null 2>unread 9>&- &
pid=$!
runs
mapfile -t all < <(tree $pid)
kill -KILL "${all[1]}"
ended $pid
verdict $? "an unread stderr does not hold up the end of a guest that was killed"
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null

# --- nor do the measurements of a guest that is told to end
measured=("$vmm" run --kernel "$kernel" --memory 128M --name "$name" --stats)
setsid "${measured[@]}" </dev/null 2>unread 9>&- &
pid=$!
wait_for 10 runs_untraced
kill -TERM $pid
ended $pid
verdict $? "an unread stderr does not hold up the end of a guest with --stats"
kill -KILL $pid 2>/dev/null
wait $pid 2>/dev/null
exec 9>&-

# --- with a reader they are all there, after the guest's last line
setsid "${measured[@]}" </dev/null 2>read &
pid=$!
wait_for 10 runs_untraced
kill -TERM $pid
wait $pid
grep -q '^memory outside guest RAM: [0-9]* KiB private' read && tail -n 1 read | grep -q '^memory outside'
verdict $? "measurements are the last that is said" || cat read

# --- one in the background, too, also if the signal that it usually passes on is ignored
for ignored in HUP TERM; do
	setsid env --default-signal --ignore-signal=$ignored "${run[@]}" --detach --policy fifo \
		</dev/null >/dev/null 2>&1 &
	pid=$!
	wait_for 1 waits_in_an_open
	all_end INT
	verdict $? "SIGINT ends a start in the background that ignores SIG$ignored"
	wait $pid
done 2>/dev/null

# --- any process is killed at any moment: nobody stays, and the name is free
RANDOM=${UMBRA_TEST_SEED:-4711}
bad=0
for ((round = 0; round < 20; round++)); do
	setsid "${run[@]}" --net user </dev/null >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(printf %03d $((RANDOM % 400)))"
	mapfile -t all < <(tree $pid)
	victim=${all[RANDOM % ${#all[@]}]}
	kill -KILL "$victim"
	# A helper alone may die: the guest goes on then.
	if [ "$victim" != "$pid" ] && [ -d /proc/$pid ] && ! wait_for 1 process_ended $pid; then
		mapfile -t all < <(tree $pid)
		kill -TERM $pid
	fi
	for p in "${all[@]}"; do
		ended "$p" || { bad=1; echo "round $round: $p is left"; }
		kill -KILL "$p"
	done
	wait $pid
done 2>/dev/null
verdict $bad "whoever is killed at whatever moment, no process stays (seed ${UMBRA_TEST_SEED:-4711})"
# The socket that the last one left behind counts as a leftover when it is older than a second.
wait_for 10 no_young_socket
"${run[@]}" </dev/null 2>/dev/null &
pid=$!
runs
verdict $? "and the name can be used again"

# --- vmm console: one signal that is ignored stays so, another ends it
mkfifo keys
exec 9<>keys
for sig in HUP TERM; do
	(
		trap '' $sig
		exec "$vmm" console "$name" <keys >/dev/null 2>&1 9>&-
	) &
	console=$!
	wait_for 5 waits_in_poll $console
	kill -$sig $console
	sleep 0.2 # long enough for one that is not ignored to end it
	[ -d /proc/$console ]
	verdict $? "vmm console ignores an ignored SIG$sig"
	kill -INT $console 2>/dev/null
	kill -QUIT $console
	ended $console
	verdict $? "and ends by another signal"
	wait $console
done 2>/dev/null
exec 9>&-
"$vmm" stop --force --timeout 0 "$name" 2>/dev/null
wait $pid 2>/dev/null

echo "1..$n"
