# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How tests in shell wait on the host: for a condition, with a bound. tests/lab/guest.sh is for inside a guest.

# wait_for SECONDS COMMAND...: until the command succeeds, whose output is dropped; false: it has not.
wait_for()
{
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))

	shift
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

# within MILLISECONDS COMMAND...: the command succeeds, and in that time. What the VMM promises is 1000.
within()
{
	local begin=${EPOCHREALTIME/[.,]/} limit=$1 ms

	shift
	"$@" || return
	ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	[ "$ms" -le "$limit" ] || { echo "$1 took $ms ms"; return 1; }
}

# process_ended PID: it is gone, or waits for its parent to collect it.
process_ended()
{
	[ ! -d "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# child_named PID NAME: a child of PID, of whichever of its threads, that calls itself NAME.
child_named()
{
	local child name

	# shellcheck disable=SC2013
	for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do
		read -r name <"/proc/$child/comm" || continue
		if [ "$name" = "$2" ]; then
			echo "$child"
			return
		fi
	done 2>/dev/null
	return 1
}
