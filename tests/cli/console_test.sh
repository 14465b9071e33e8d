#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Consoles and ports of a guest that begins and ends, with and without confinement: what is its own goes
# at its end, what is not stays, and the end is an orderly one. Speaks TAP.
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

# start MODE OPTION...: a guest that waits before its first instruction
start()
{
	local mode=$1

	shift
	"$vmm" run --confine "$mode" --kernel "$kernel" --memory 128M --paused --name "con$$" "$@" \
		</dev/null >out 2>err &
	run=$!
	for _ in $(seq 100); do
		"$vmm" info "con$$" >/dev/null 2>&1 && return
		kill -0 "$run" 2>/dev/null || return
		sleep 0.1
	done
}

# quit: ends it by its monitor; the status of vmm run
quit()
{
	local status

	"$vmm" stop --force --timeout 0 "con$$" >/dev/null 2>&1
	wait "$run"
	status=$?
	run=
	return $status
}

if [ -z "$kernel" ]; then
	echo "1..0 # SKIP no kernel in build/images"
	exit 0
fi
start on --console file=plain
quit
orderly=$?
[ $orderly = 143 ] # 128 + SIGTERM, as vmm help says of a guest that is made to end
check $? "a guest with a file is ended by its monitor: status $orderly"
for mode in on off; do
	for console in stdio attach pty socket="$work/s"; do
		start $mode --console "$console" --port p=socket="$work/q" --port f=file="$work/f"
		[ -S q ]
		check $? "--confine $mode --console $console: the port has its socket"
		quit
		[ $? = $orderly ]
		check $? "--confine $mode --console $console: ends in order"
		[ ! -e s ] && [ ! -e q ]
		check $? "--confine $mode --console $console: its sockets are gone"
	done
	start $mode --console socket="$work/s" --port p=socket="$work/q"
	rm s q
	echo mine >s
	echo mine >q
	quit
	[ $? = $orderly ] && [ "$(cat s q)" = $'mine\nmine' ]
	check $? "--confine $mode: what lies at the paths by then stays"
	start $mode --console socket="$work/s"
	wait "$run"
	[ $? != 0 ] && [ "$(cat s)" = mine ]
	check $? "--confine $mode: a file at a console's socket is refused, and stays"
	start $mode --port p=socket="$work/q"
	wait "$run"
	[ $? != 0 ] && [ "$(cat q)" = mine ]
	check $? "--confine $mode: and so is one at a port's"
	run=
	rm -f s q
	mkfifo fifo
	start $mode --console file="$work/fifo"
	wait "$run"
	[ $? != 0 ] && grep -q FIFO err
	check $? "--confine $mode: a FIFO that nobody reads is an error, at once"
	run=
	rm fifo
done
echo "1..$n"
