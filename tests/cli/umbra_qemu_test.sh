#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What libvirt does with an emulator before any guest: it probes it. Needs no KVM. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
tap_begin 'a probe by libvirt'
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null; rm -rf "$work"' EXIT

# talk SOCKET: sends the recorded requests of libvirt; fails if one is not answered, or the names are not Umbra's.
talk()
{
	python3 - "$1" tests/unit/vmm/libvirt-probe.json <<'END'
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
lines = s.makefile('r', newline='\r\n')
package = json.loads(lines.readline())['QMP']['version']['package']
assert package.startswith('Umbra ') and package.endswith(', not QEMU'), package
for request in json.load(open(sys.argv[2])):
    s.sendall(json.dumps(request).encode())
    answer = json.loads(lines.readline())
    assert answer['id'] == request['id'], (request, answer)
    if request['execute'] == 'query-machines':
        assert 'umbra' in answer['return'][0]['name'], answer
    if request['execute'] not in ('query-tpm-models', 'query-tpm-types'):
        assert answer.get('error', {}).get('class') in (None, 'DeviceNotFound'), (request, answer)
END
}

# probe DIR: starts one that answers in DIR; when it returns, everything is there.
probe()
{
	timeout 20 "$vmm" emulator-probe --qmp "$1/qmp.monitor" --pidfile "$1/qmp.pid" >"$1/out" 2>"$1/err" </dev/null
}

mkdir "$work/1" "$work/2" "$work/3"

first()
{
	probe "$work/1" || return 1
	pid=$(cat "$work/1/qmp.pid") && pids+=("$pid")
	[ -S "$work/1/qmp.monitor" ] && [ ! -s "$work/1/out" ] && [ ! -s "$work/1/err" ] || return 1
	# It has left the pipes, and everything else, that it was started with.
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || return 1
	done
	talk "$work/1/qmp.monitor" && talk "$work/1/qmp.monitor"
}
result 'it listens, and its number is written, when the starter returns' first

second()
{
	local said

	! probe "$work/1" && said=$(cat "$work/1/err")
	[[ $said == "vmm: control socket "* ]] && kill -0 "$pid" && talk "$work/1/qmp.monitor"
}
result 'another one in its place is refused' second

held()
{
	! timeout 20 "$vmm" emulator-probe --qmp "$work/2/s" --pidfile "$work/1/qmp.pid" 2>"$work/2/err" || return 1
	grep -qx "vmm: $work/1/qmp.pid: another process holds it" "$work/2/err" &&
		[ "$(cat "$work/1/qmp.pid")" = "$pid" ] && [ ! -e "$work/2/s" ]
}
result 'a number that is in use stays' held

ends()
{
	kill "$pid" && wait_for 20 process_ended "$pid" && [ ! -e "$work/1/qmp.pid" ] && [ ! -e "$work/1/qmp.monitor" ]
}
result 'SIGTERM ends it, and nothing is left' ends

# refuses TEXT: with TEXT as what lies at the place of the pid file
refuses()
{
	printf '%s' "$1" >"$work/3/qmp.pid"
	! probe "$work/3" && grep -q 'something else than a process' "$work/3/err" &&
		[ "$(cat "$work/3/qmp.pid")" = "$1" ] && [ ! -e "$work/3/qmp.monitor" ]
}
result 'a file that is no pid file is not written over' refuses 'root:x:0:0'
result 'nor one that begins with a number' refuses $'17\nx'
result 'nor one that begins as a number' refuses '17 x'

stale()
{
	echo 999999 >"$work/3/qmp.pid"
	probe "$work/3" || return 1
	pids+=("$(cat "$work/3/qmp.pid")")
	[ "$(cat "$work/3/qmp.pid")" != 999999 ] && kill "$(cat "$work/3/qmp.pid")"
}
result 'a number that was left behind is replaced' stale

linked()
{
	: >"$work/target" && rm -f "$work/2/qmp.pid" && ln -s "$work/target" "$work/2/qmp.pid"
	! probe "$work/2" && [ ! -s "$work/target" ]
}
result 'no link is followed' linked

echo "1..$n"
