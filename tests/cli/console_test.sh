#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Consoles and ports of a guest that begins and ends, with and without confinement: what is its own goes
# at its end, what is not stays, and the end is an orderly one. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin console

# quit: ends it by its monitor; the status of vmm run
quit()
{
	local status

	"$vmm" stop --force --timeout 0 "$guest" >/dev/null 2>&1
	wait "$run"
	status=$?
	run=
	return $status
}

guest_start --confine on --console file=plain
quit
orderly=$?
[ $orderly = 143 ] # 128 + SIGTERM, as vmm help says of a guest that is made to end
verdict $? "a guest with a file is ended by its monitor: status $orderly"
for mode in on off; do
	for console in stdio attach pty socket="$work/s"; do
		guest_start --confine $mode --console "$console" --port p=socket="$work/q" --port f=file="$work/f"
		[ -S q ]
		verdict $? "--confine $mode --console $console: the port has its socket"
		quit
		[ $? = $orderly ]
		verdict $? "--confine $mode --console $console: ends in order"
		[ ! -e s ] && [ ! -e q ]
		verdict $? "--confine $mode --console $console: its sockets are gone"
	done
	guest_start --confine $mode --console socket="$work/s" --port p=socket="$work/q"
	rm s q
	echo mine >s
	echo mine >q
	quit
	[ $? = $orderly ] && [ "$(cat s q)" = $'mine\nmine' ]
	verdict $? "--confine $mode: what lies at the paths by then stays"
	guest_start --confine $mode --console socket="$work/s"
	wait "$run"
	[ $? != 0 ] && [ "$(cat s)" = mine ]
	verdict $? "--confine $mode: a file at a console's socket is refused, and stays"
	guest_start --confine $mode --port p=socket="$work/q"
	wait "$run"
	[ $? != 0 ] && [ "$(cat q)" = mine ]
	verdict $? "--confine $mode: and so is one at a port's"
	run=
	rm -f s q
	mkfifo fifo
	guest_start --confine $mode --console file="$work/fifo"
	wait "$run"
	[ $? != 0 ] && grep -q FIFO err
	verdict $? "--confine $mode: a FIFO that nobody reads is an error, at once"
	run=
	rm fifo
done

# --- a VMM that is killed removes nothing: its supervisor does
# kill_vmm: ends the guest by SIGKILL to the child of vmm run; the status of vmm run
kill_vmm()
{
	local status

	kill -KILL "$(cat "/proc/$run/task/$run/children")"
	wait "$run"
	status=$?
	run=
	return $status
}

for endpoints in "--console socket=$work/s" "--console stdio --port p=socket=$work/s" \
	"--console socket=$work/s --port p=socket=$work/q --port o=socket=$work/r"; do
	# shellcheck disable=SC2086
	guest_start --confine on $endpoints
	[ -S s ] && kill_vmm
	[ $? = 137 ] && [ ! -e s ] && [ ! -e q ] && [ ! -e r ]
	verdict $? "$endpoints: killed, its sockets are gone"
done
guest_start --confine on --console socket="$work/s" --port p=socket="$work/q"
rm s q
echo mine >s
"$vmm" run --confine on --kernel "$kernel" --memory 128M --paused --name "$guest-2" --console socket="$work/q" \
	</dev/null >/dev/null 2>&1 &
second=$!
wait_for 5 test -S q
kill_vmm
[ $? = 137 ] && [ "$(cat s)" = mine ] && [ -S q ]
verdict $? "killed: what lies at the paths by then stays, also another guest's socket"
"$vmm" stop --force --timeout 0 "$guest-2" >/dev/null 2>&1
wait $second
[ ! -e q ]
verdict $? "the other guest removes its own"
rm -f s

# --- paths that are too long for the supervisor's list, which is told before the driver is parsed
long=$work/long
for _ in $(seq 16); do
	long=$long/$(printf '%0234d' 0)
done
mkdir -p "$long"
echo 'module a { }' >policy
guest_start --confine on --console socket="$work/s" --driver "a:$kernel" --policy policy --record "$long/rec"
wait "$run"
[ $? != 0 ] && grep -q 'too long a path' err && [ ! -e s ] && [ ! -e "$long/rec" ]
verdict $? "a start that is refused for its paths leaves no socket and no record"
run=
rm -rf "$work/long" policy
echo "1..$n"
