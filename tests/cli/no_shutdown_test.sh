#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A guest whose vmm outlives its end (--no-shutdown), by the commands about it. The guests are a firmware
# of four instructions: any /dev/kvm runs them. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin no-shutdown
[ -w /dev/kvm ] || tap_skip 'vmm run --no-shutdown' 'no /dev/kvm'

# firmware FILE BYTES: executes them at the reset vector
firmware()
{
	{
		head -c 65520 /dev/zero | tr '\0' '\377'
		printf '%b' "$2"
		head -c $((16 - $(printf '%b' "$2" | wc -c))) /dev/zero
	} >"$1"
}

# Switch off: S5 to the sleep port; panic: pvpanic.
truncate -s 64K disk
firmware off '\xba\x00\x06\xb0\x34\xee\xeb\xfe'
firmware panic '\xba\x05\x05\xb0\x01\xee\xeb\xfe'

# has_status STATUS: vmm info and vmm ps agree
has_status()
{
	[ "$("$vmm" info --json "$guest" | jq -r .guest.status)" = "$1" ] &&
		"$vmm" ps | grep -q "^$guest  *$1 "
}

# begin FIRMWARE: its vmm is $run, and has come to rest
begin()
{
	"$vmm" run --firmware "$1" --no-shutdown --disk disk --memory 16M --name "$guest" </dev/null >out 2>err &
	run=$!
	wait_for 10 has_status "$2"
}

stays() { begin off shutdown; }
info_answers() { within 1000 "$vmm" info "$guest" >told; }
stop_ends() { within 1000 "$vmm" stop "$guest" && guest_ends 0; }
signal_ends() { begin off shutdown && kill "-$1" "$run" && within 1000 guest_ends 0; }
force_ends() { begin off shutdown && within 1000 "$vmm" stop --force --timeout 0 "$guest" && guest_ends 0; }

# The guest's console is the terminal of script(1), which ends with its code.
keys_end()
{
	mkfifo keys && exec 8<>keys
	script -qec "'$vmm' run --firmware off --no-shutdown --disk disk --memory 16M --name $guest" /dev/null \
		<keys >out 2>err &
	run=$!
	wait_for 10 has_status shutdown || return
	printf '\001x' >&8
	within 1000 guest_ends 0
}

# The status that follows is that of a second end: its uptime goes on, and its exits grow.
reset_starts_it()
{
	local before after

	before=$("$vmm" info --json "$guest" | jq '.exits.total')
	"$vmm" reset "$guest" && wait_for 10 has_status shutdown || return 1
	after=$("$vmm" info --json "$guest" | jq '.exits.total')
	[ "$after" -gt "$before" ] || { echo "$before exits, then $after"; return 1; }
}

refuses_to_go_on()
{
	! "$vmm" resume "$guest" 2>refusal && grep -q 'Resetting the Virtual Machine is required' refusal
}

tells_of_a_panic()
{
	begin panic guest-panicked && grep -q 'panicked' err
}

stop_says_that_it_panicked()
{
	! "$vmm" stop "$guest" 2>refusal && grep -q 'did not shut down: guest-panicked' refusal && guest_ends 11
}

# Its end is that of its vmm.
wait_waits()
{
	local waiter code=0

	"$vmm" run --detach --firmware off --no-shutdown --disk disk --memory 16M --name "$guest" </dev/null >out 2>err &&
		wait_for 10 has_status shutdown || return 1
	"$vmm" wait "$guest" &
	waiter=$!
	"$vmm" ps --all | grep -q "^$guest  *shutdown " || return 1
	"$vmm" stop "$guest" || return 1
	wait $waiter || code=$?
	[ $code = 0 ] || { echo "wait said $code"; return 1; }
	"$vmm" ps --all | grep -q "^$guest  *ended (0)"
}

# Without the option it ends as ever.
ends_without_it()
{
	timeout 20 "$vmm" run --firmware off --disk disk --memory 16M --name "$guest" </dev/null
}

result 'a guest that is off stays, as shutdown' stays
result 'it cannot go on' refuses_to_go_on
result 'a reset starts it anew' reset_starts_it
result 'vmm info answers within a second' info_answers
result 'vmm stop ends it within one, as a success' stop_ends
result 'so does SIGTERM' signal_ends TERM
result 'so does SIGHUP' signal_ends HUP
result 'so does vmm stop --force' force_ends
result 'so does Ctrl-a x' keys_end
result 'one that panicked stays, and says so' tells_of_a_panic
result 'vmm stop ends it, as a failure' stop_says_that_it_panicked
result 'vmm wait waits for its vmm' wait_waits
result 'a guest without the option ends' ends_without_it
echo "1..$n"
