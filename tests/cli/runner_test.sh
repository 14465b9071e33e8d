#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What tests/run has started ends with it, however it ends. Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin runner build

export PIDS=$work/pids
# shellcheck disable=SC2016
printf '%s\n' '#!/bin/sh' 'sleep 300 &' 'echo $! >>"$PIDS"' 'echo $$ >>"$PIDS"' wait >"$work/program"
chmod +x "$work/program"

has_begun()
{
	[ "$(wc -l <"$PIDS")" = "$1" ]
}

all_ended()
{
	local pid

	for pid in $(cat "$PIDS"); do
		process_ended "$pid" || return 1
	done
}

# killed_run PROCESSES SIGNAL ARGUMENT...: of tests/run, which has so many processes noted in $PIDS when it is killed.
killed_run()
{
	local processes=$1 signal=$2 runner ret

	shift 2
	: >"$PIDS"
	tests/run "$@" >"$work/out" 2>&1 </dev/null &
	runner=$!
	wait_for 20 has_begun "$processes"
	ret=$?
	kill -s "$signal" "$runner"
	wait "$runner" 2>/dev/null
	[ "$ret" != 0 ] || wait_for 20 all_ended || ret=1
	if [ "$ret" != 0 ]; then
		cat "$work/out"
		for runner in $(cat "$PIDS"); do
			process_ended "$runner" || { echo "$runner is left" && kill -s KILL "$runner"; }
		done
	fi
	return "$ret"
}

for signal in KILL TERM; do
	result "unit_tests_end_by_$signal" killed_run 2 "$signal" --unit "$work/program"
	result "what_runs_aside_ends_by_$signal" \
		killed_run 6 "$signal" --make "$work/program" --aside "$work/program" --unit "$work/program"
	result "fuzzers_end_by_$signal" killed_run 2 "$signal" --fuzz 300 "$work/program"
done
echo "1..$n"
