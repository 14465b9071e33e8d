#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/lab itself: a machine that makes no progress is ended and described, one that only has much to
# do or whose output nobody reads is not, and no end of tools/lab leaves anything behind. Speaks TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib_tap.sh
tap_begin 'the lab' build lab
# tools/lab says what it would do here; the tests are about its machine.
lab=(tools/lab --always --cpus 2)
# What it says when it does so is not what is looked at here.
tools/fetch-qemu >/dev/null 2>&1
unset UMBRA_IN_LAB

# Whatever has more priority than the heartbeat keeps a CPU for good, as a loop in the kernel would.
hog='echo -1 >/proc/sys/kernel/sched_rt_runtime_us; exec taskset 2 chrt -f 99 sh -c "while :; do :; done"'

stalled_is_ended()
{
	local status begun=$SECONDS file

	timeout 300 "${lab[@]}" --timeout 250 sh -c "$hog" >"$work/out" 2>&1 </dev/null
	status=$?
	[ $status = 123 ] || { echo "status $status"; cat "$work/out"; return 1; }
	[ "$(wc -l <"$work/out")" = 1 ] || { cat "$work/out"; return 1; }
	file=$(sed -n 's/^lab: ended after [0-9]* seconds, because CPU 1 made no progress; ran: sh -c .*; state: \(.*\)$/\1/p' \
		"$work/out")
	[ -s "$file" ] || { cat "$work/out"; return 1; }
	# The CPUs' registers four times, what is pending, the kernel's log.
	[ "$(grep -c '^RIP=' "$file")" = 8 ] && grep -q '^dumping local APIC state for CPU 1' "$file" &&
		grep -q 'IF\|RFL=' "$file" || { cat "$file"; return 1; }
	rm -f "$file"
	[ $((SECONDS - begun)) -lt 200 ]
}

# Longer than a machine may be silent: every CPU busy, as ordinary processes and with a lower priority.
busy_is_left_alone()
{
	local status

	timeout 300 "${lab[@]}" --timeout 250 sh -c '
		for i in 1 2 3 4; do timeout 60 sh -c "while :; do :; done" & done
		timeout 60 chrt -f 20 sh -c "while :; do :; done" & wait; echo done; exit 7' \
		>"$work/out" 2>&1 </dev/null
	status=$?
	[ $status = 7 ] && [ "$(cat "$work/out")" = done ] || { echo "status $status"; cat "$work/out"; return 1; }
}

# The reader pauses for longer than a machine may be silent.
unread_is_left_alone()
{
	timeout 300 "${lab[@]}" --timeout 250 sh -c 'head -c 3000000 /dev/zero | tr "\0" x; exit 9' 2>"$work/err" \
		</dev/null | { sleep 75; wc -c >"$work/count"; }
	[ "$(cat "$work/count")" = 3000000 ] || { cat "$work/count" "$work/err"; return 1; }
}

nobody_in_session()
{
	! pgrep -s "$1"
}

# ended_by SIGNAL DIRECTORY: three times, at any moment. Everything that is started has the session of its first
# process, and its files the same directory.
ended_by()
{
	local i leader delay bad=0

	mkdir -p "$2/tmp"
	for i in 1 2 3; do
		# A shell's background jobs ignore SIGINT, which bash cannot take back: env does.
		delay=$((RANDOM % 9)).$((RANDOM % 10))
		TMPDIR=$2/tmp setsid -w env --default-signal=INT,QUIT "${lab[@]}" --timeout 60 sleep 50 >"$2/out" 2>&1 </dev/null &
		sleep "$delay"
		leader=$(pgrep -P $! -f 'tools/lab' | head -n 1)
		kill -"$1" "${leader:-$!}"
		wait $! 2>/dev/null
		wait_for 5 nobody_in_session "${leader:-$!}"
		if pgrep -a -s "${leader:-$!}" || [ -n "$(ls "$2/tmp")" ]; then
			echo "left after SIG$1 at $delay s: $(ls "$2/tmp")"
			bad=1
		fi
	done
	return $bad
}

nothing_is_left()
{
	local signal pids=() pid bad=0

	for signal in INT TERM HUP KILL; do
		ended_by $signal "$work/$signal" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || bad=1
	done
	return $bad
}

# beside TEST: in the background, in a directory of its own, since each of these waits for the most part;
# outcome TEST: what it said, and its status.
beside()
{
	mkdir "$work/$1" || exit 1
	(
		work=$work/$1
		"$1" >"$work/said" 2>&1
		echo $? >"$work/status"
	) &
}

outcome()
{
	until [ -s "$work/$1/status" ]; do
		sleep 0.2
	done
	cat "$work/$1/said"
	return "$(cat "$work/$1/status")"
}

echo 1..4
beside stalled_is_ended
beside busy_is_left_alone
beside unread_is_left_alone
result 'a machine without progress is ended' outcome stalled_is_ended
result 'a busy machine is left alone' outcome busy_is_left_alone
result 'a machine whose output waits is left alone' outcome unread_is_left_alone
result 'whatever ends it, nothing is left' nothing_is_left
