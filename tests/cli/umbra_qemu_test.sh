#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# umbra-qemu as libvirt starts it: the probe of an emulator, and what it becomes. Needs no KVM. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
emulator=$PWD/build/umbra-qemu
tap_begin 'the emulator for libvirt'
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
    if request['execute'] == 'device-list-properties':
        assert answer.get('error', {}).get('class') in (None, 'DeviceNotFound'), (request, answer)
    elif not request['execute'].startswith('query-tpm-'):
        assert 'return' in answer, (request, answer)
END
}

# probe DIR [PID-DIR]: starts one that answers in DIR; when it returns, everything is there.
probe()
{
	timeout 20 env ${ignore:+--ignore-signal="$ignore"} "$emulator" -S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg \
		-qmp "unix:$1/qmp.monitor,server=on,wait=off" -pidfile "${2:-$1}/qmp.pid" -daemonize \
		>"$1/out" 2>"$1/err" </dev/null
}

mkdir "$work/1" "$work/2" "$work/3"

first()
{
	exec 5<"$work" 1500<"$work"
	probe "$work/1" || return 1
	exec 5<&- 1500<&-
	pid=$(cat "$work/1/qmp.pid") && pids+=("$pid")
	[ -S "$work/1/qmp.monitor" ] && [ ! -s "$work/1/out" ] && [ ! -s "$work/1/err" ] || return 1
	# It has left the pipes, and everything else, that it was started with.
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || return 1
	done
	[ -z "$(find "/proc/$pid/fd" -lname "$work")" ] || return 1
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
	! probe "$work/2" "$work/1" || return 1
	grep -qx "vmm: $work/1/qmp.pid: another process holds it" "$work/2/err" &&
		[ "$(cat "$work/1/qmp.pid")" = "$pid" ] && [ ! -e "$work/2/qmp.monitor" ]
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
	pid=$(cat "$work/3/qmp.pid")
	[ "$pid" != 999999 ] && kill "$pid" && wait_for 20 process_ended "$pid"
}
result 'a number that was left behind is replaced' stale

# An ignored SIGHUP stays ignored, as nohup wants it.
ignored()
{
	rm -f "$work/3/qmp.pid"
	ignore=HUP probe "$work/3" || return 1
	pid=$(cat "$work/3/qmp.pid") && pids+=("$pid") && kill -HUP "$pid" && talk "$work/3/qmp.monitor" &&
		kill "$pid" && wait_for 20 process_ended "$pid"
}
result 'an ignored SIGHUP does not end it' ignored

linked()
{
	: >"$work/target" && rm -f "$work/2/qmp.pid" && ln -s "$work/target" "$work/2/qmp.pid"
	! probe "$work/2" && [ ! -s "$work/target" ]
}
result 'no link is followed' linked

# --- what it becomes ---

# In a directory of its own it finds this in place of vmm.
mkdir "$work/bin" && cp "$emulator" "$work/bin" && cat >"$work/bin/vmm" <<'END'
#!/bin/bash
echo "$$ $(readlink /proc/$$/fd/9)"
echo "${HOME-none} ${XDG_CACHE_HOME-none}" >"${0%/*}/homes"
printf '%s\n' "$@"
END
chmod 755 "$work/bin/vmm"

# become ARG...: the words of vmm, one a line, behind its number and descriptor 9
become()
{
	timeout 20 "$work/bin/umbra-qemu" "$@" >"$work/out" 2>"$work/err" </dev/null 9>"$work/nine"
}
# shellcheck disable=SC2054
domain=(-S -machine pc -m 256 -chardev socket,id=m,fd=9,server=on,wait=off -mon chardev=m,mode=control)

becomes()
{
	local pid

	"$work/bin/umbra-qemu" "${domain[@]}" -kernel /k >"$work/out" 2>"$work/err" </dev/null 9>"$work/nine" &
	pid=$!
	wait "$pid" || return 1
	[ "$(head -n 1 "$work/out")" = "$pid $work/nine" ] && [ ! -s "$work/err" ] &&
		[ "$(tail -n +2 "$work/out" | paste -sd ' ')" = "run --confine managed --no-control --paused --memory \
262144K --kernel /k --control fd=9 --rng off --console attach" ]
}
result 'it becomes vmm, with its descriptors' becomes

# What is prepared in a domain's own home would go with it; a user's stays.
homes()
{
	local domain_home=/var/lib/libvirt/qemu/domain-1-web

	HOME=$domain_home XDG_CACHE_HOME=$domain_home/.cache become "${domain[@]}" -kernel /k &&
		[ "$(<"$work/bin/homes")" = 'none none' ] || return 1
	HOME=/home/u XDG_CACHE_HOME=/home/u/.cache become "${domain[@]}" -kernel /k &&
		[ "$(<"$work/bin/homes")" = '/home/u /home/u/.cache' ]
}
result 'it leaves the home of its domain' homes

notes()
{
	become "${domain[@]}" -kernel /k -usb && [ "$(cat "$work/err")" = \
		"umbra-qemu: note: -usb: there is no USB (<controller type='usb' model='none'/>)" ]
}
result 'what the guest has not is said' notes

# fails TEXT ARG...: with TEXT as the only line, and exit code 1
fails()
{
	local said=$1

	shift
	become "$@"
	[ $? = 1 ] && [ "$(cat "$work/err")" = "umbra-qemu: $said" ] && [ ! -s "$work/out" ]
}
result 'an error is one line' fails '-cpu: model=qemu64 is not supported; want host' -cpu qemu64

# Ended at once, it would take the monitor's socket away before libvirt connects, which then cannot show the line.
waits()
{
	python3 - "$emulator" <<'END'
import os, socket, subprocess, sys
path = os.environ['TMPDIR'] + '/monitor'
s = socket.socket(socket.AF_UNIX)
s.bind(path)
s.listen(1)
word = f'socket,id=m,fd={s.fileno()},server=on,wait=off'
p = subprocess.Popen([sys.argv[1], '-chardev', word, '-nothing'], pass_fds=[s.fileno()], stderr=subprocess.PIPE)
s.close()
assert p.stderr.readline() == b'umbra-qemu: -nothing: Umbra has no such option\n'
try:
    p.wait(0.3) # nothing tells that it does not end
    sys.exit('it has not waited')
except subprocess.TimeoutExpired:
    pass
socket.socket(socket.AF_UNIX).connect(path)
sys.exit(p.wait(20) != 1)
END
}
TMPDIR=$work result 'it waits until libvirt can see it' waits
result 'which is harmless' fails '-\x1b[31m: Umbra has no such option' $'-\e[31m'

no_vmm()
{
	rm "$work/bin/vmm"
	become "${domain[@]}" -kernel /k
	[ $? = 1 ] && [ "$(cat "$work/err")" = "umbra-qemu: $work/bin/vmm: cannot be started: No such file or directory" ]
}
result 'without vmm' no_vmm
result 'its version is of Umbra' grep -q '^umbra-qemu (Umbra) .*, not QEMU$' <<<"$("$emulator" --version)"

# says_that_output_is_lost WORD
says_that_output_is_lost()
{
	local out

	out=$("$emulator" "$1" 2>&1 >/dev/full)
	[ $? = 1 ] && [ "$out" = 'umbra-qemu: cannot write to stdout: No space left on device' ]
}
result 'a help that is lost is an error' says_that_output_is_lost --help
result 'so is a version' says_that_output_is_lost --version
echo "1..$n"
