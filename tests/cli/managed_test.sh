#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# --confine managed: the process that was started is the VMM, confined, and no other process is outside of it.
# As root and as a user; any /dev/kvm will do. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin managed
[ -w /dev/kvm ] || tap_skip 'vmm run --confine managed' 'no /dev/kvm'

# A firmware that executes: out to a port for ever.
{
	head -c 65520 /dev/zero | tr '\0' '\377'
	printf '\x90\xe6\x98\xeb\xfc\0\0\0\0\0\0\0\0\0\0\0'
} >bios
truncate -s 64K disk
options=(--confine managed --firmware bios --disk disk --memory 16M --cpus 2 --name "$guest")
gid=$(stat -c %g /dev/kvm)

is_up() { "${as[@]}" "$vmm" info "$guest" --json >state; }
start()
{
	"${as[@]}" "$vmm" run "${options[@]}" </dev/null >out 2>err &
	run=$!
	wait_for 10 is_up || { cat err; return 1; }
}

is_the_vmm()
{
	start && [ "$("${as[@]}" "$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid')" = "$run" ] &&
		[ -z "$(cat "/proc/$run/task"/*/children)" ] && [ "$(grep -c '^NSpid:	[0-9]*$' "/proc/$run/status")" = 1 ]
}

# The manager finds the vCPUs' threads by these numbers.
has_its_threads()
{
	local tid n=0

	is_up
	for tid in $(jq -r '.guest["vcpu-threads"][]' state); do
		grep -qx "vcpu$n" "/proc/$run/task/$tid/comm" || { echo "thread $tid"; return 1; }
		n=$((n + 1))
	done
	[ $n = 2 ]
}

# What a layer of is missing beside the process namespace is missing with --confine on too.
is_confined()
{
	local missing

	[ "$(jq -r .confinement.mode state)" = managed ] || return 1
	missing=$(jq -r '.confinement.missing | del(.pid) | keys[]' state)
	[ -z "$missing" ] || { "${as[@]}" "$vmm" doctor | grep -q "$missing"; } || { echo "without $missing"; return 1; }
	# Its log says so, as a manager keeps it, and only then.
	[ "$(grep -c '^vmm: confined without "' err)" = "$([ -z "$missing" ] && echo 0 || echo 1)" ] || { cat err; return 1; }
	[ "$(jq -r '.confinement.missing.pid' state | grep -c managed)" = 1 ] || return 1
	[ "$(grep -cE '^(NoNewPrivs:	1|Seccomp:	2|CapPrm:	0000000000000000)$' "/proc/$run/status")" = 3 ] || return 1
	jq -e '.confinement.missing.mount' state >/dev/null || [ "$(wc -l <"/proc/$run/mountinfo")" = 1 ]
}

stops() { "${as[@]}" "$vmm" stop --force --timeout 0 "$guest" && guest_ends 143; }
no_socket() { [ -z "$(find /run/umbra "$work" -name "$guest.sock" 2>/dev/null)" ]; }
signal_ends() { start && kill -TERM "$run" && guest_ends 143 && grep -q 'ended by signal 15' err; }
# By name, so that the socket that the last one left behind is met.
starts_again() { start && kill -KILL "$run" && guest_ends 137 && start && kill -TERM "$run" && guest_ends 143; }

# The helper's sockets tell it, whoever it belongs to.
takes_its_helpers_along()
{
	local options=("${options[@]}" --net user)

	start && guest_helper managed vmm-net && [ -n "$helper" ] || return 1
	kill -KILL "$run" && guest_ends 137 && wait_for 10 process_ended "$keeper" && wait_for 10 process_ended "$helper"
}

# Its parent ends when the guest is there; nothing ties the VMM to it.
outlives_its_starter()
{
	(
		start || exit 1
		echo "$run" >pid
	) || return 1
	run=$(cat pid)
	sleep 0.3 # long enough for one that is tied to it to end
	is_up && kill -TERM "$run" && wait_for 10 process_ended "$run"
}

# A small process does what the VMM cannot any more, with the rights that the start had.
removes_an_empty_dump()
{
	local options=("${options[@]}" --dump-on-panic dumps) file

	"${as[@]}" mkdir dumps && start || return
	file=$(find dumps -name '*.core' -size 0)
	[ -n "$file" ] && pgrep -f "remove-helper $file" >/dev/null && kill -TERM "$run" && guest_ends 143 &&
		wait_for 10 "${as[@]}" rmdir dumps
}

refuses_to_detach()
{
	! "${as[@]}" "$vmm" run "${options[@]}" --detach 2>err && grep -q -- '--detach and --confine managed' err
}

# A start that fails says so itself, and ends.
fails_as_ever()
{
	local code=0

	"${as[@]}" "$vmm" run "${options[@]}" --disk /nonexistent </dev/null >out 2>err || code=$?
	[ $code = 1 ] && grep -q /nonexistent err
}

for user in root nobody; do
	as=()
	[ $user = root ] || [ "$EUID" != 0 ] ||
		as=(setpriv --reuid nobody --regid nogroup --groups "$gid" --inh-caps=-all)
	if [ $user = root ] && [ "$EUID" != 0 ]; then
		verdict 0 'as root # skip needs root'
		continue
	fi
	[ $user = root ] || { chown -R nobody "$work" 2>/dev/null; chmod 755 "$work"; }
	if [ $user = nobody ] && ! "${as[@]}" test -x "$vmm"; then
		verdict 0 'as a user # skip the build tree is closed to others'
		continue
	fi
	result "$user: the process that was started is the VMM, and has no other" is_the_vmm
	result "$user: the ids of the threads are those of this process" has_its_threads
	result "$user: it is confined" is_confined
	result "$user: vmm stop ends it" stops
	result "$user: and leaves no socket" no_socket
	result "$user: a signal ends it" signal_ends
	result "$user: one that was killed is no obstacle to the next" starts_again
	result "$user: killed, it takes its helpers along" takes_its_helpers_along
	result "$user: it outlives its starter" outlives_its_starter
	result "$user: it leaves no empty dump" removes_an_empty_dump
	result "$user: it does not detach" refuses_to_detach
	result "$user: a start that fails is an error" fails_as_ever
done
echo "1..$n"
