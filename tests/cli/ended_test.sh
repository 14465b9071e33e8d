#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Guests in the background that have ended: ps --all, logs, wait. Needs any /dev/kvm. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
kernel=build/images/cloud/vmlinuz
tap_begin 'guests that have ended'
export XDG_RUNTIME_DIR=$work
[ "$EUID" = 0 ] && dir=/run/umbra || dir=$work/umbra
guest=unit-ended-$$
trap '"$vmm" kill "$guest" 2>/dev/null; rm -rf "$work" "$dir/ended/$guest".* "$dir/ended/$guest-old".* "$dir/ended/".[12]-[ab].*' EXIT

if [ ! -w /dev/kvm ] || [ ! -e "$kernel" ]; then
	tap_skip 'guests that have ended' 'no /dev/kvm or no kernel'
fi

# A bzImage whose body sends a byte to COM1 for ever: it runs on a software KVM as well.
python3 - "$kernel" "$work/k" <<'END'
import struct, sys
src = open(sys.argv[1], 'rb').read()
setup = bytearray(src[:((src[0x1f1] or 4) + 1) * 512])
setup[0:2] = b'\0\0' # no PE file, whose signature would be missing
body = (bytearray(0x200) + bytes.fromhex('66baf803b041eeebfd')).ljust(0x2000, b'\0')
body[0x800:0x810] = b'UNKNOWNMAGIC!!!!'
struct.pack_into('<II', setup, 0x248, 0x800, 0x1000)
struct.pack_into('<I', setup, 0x260, 0x10000)
struct.pack_into('<I', setup, 0x1f4, len(body) // 16)
open(sys.argv[2], 'wb').write(bytes(setup + body))
END

start() { timeout 20 "$vmm" run --detach --name "$guest" --kernel "$work/k" "$@" </dev/null 2>/dev/null | grep -qx "$guest"; }
status() { "$vmm" ps "$@" | awk -v g="$guest" '$1 == g { print $2, $3 }'; }
stop() { "$vmm" kill "$guest"; }

# wait_says CODE: vmm wait ends with it
wait_says()
{
	timeout 20 "$vmm" wait "$guest"
	local ret=$?
	[ $ret = "$1" ] || { echo "wait said $ret"; return 1; }
}

# waits_for_a_lock PID: it sleeps in flock(2), as `vmm wait` does until the guest's vmm is gone.
waits_for_a_lock()
{
	grep -qE -- "-> FLOCK +ADVISORY +READ +$1 " /proc/locks
}

waits_for_the_end()
{
	local waiter

	"$vmm" wait "$guest" &
	waiter=$!
	wait_for 10 waits_for_a_lock $waiter && kill -0 $waiter || { echo 'wait did not wait'; return 1; }
	"$vmm" kill "$guest" >/dev/null 2>&1 || return 1
	wait $waiter
	[ $? -gt 128 ]
}

result 'a guest starts in the background' start
result 'it is listed as running' grep -q '^running' <<<"$(status --all)"
result 'wait waits for it' waits_for_the_end
result 'ps is silent about it' test -z "$(status)"
result 'ps --all tells of its end' grep -qE '^(ended|killed)' <<<"$(status --all)"
result 'its log is there' grep -q 'decompresses itself' <<<"$("$vmm" logs "$guest")"

# The confined process, init of its namespace, has of all logs only its own, as its stderr.
has_its_own_log_only()
{
	local pid main fds

	start || return 1
	pid=$("$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid')
	for main in $(cat "/proc/$pid/task/$pid/children") "$pid"; do
		grep -q '^Seccomp:	2' "/proc/$main/status" && break
	done
	fds=$(find "/proc/$main/fd" -lname "$dir/ended*" -printf '%f ')
	"$vmm" kill "$guest"
	[ "$fds" = '2 ' ] || { echo "process $main: descriptors $fds"; return 1; }
}
result 'its confined process has its own log only' has_its_own_log_only

# --- the process that starts it is stopped, and killed, before the guest has started
start_without_starter()
{
	local starter

	"$vmm" run --detach --name "$guest" --kernel "$work/k" "$@" </dev/null >/dev/null 2>&1 &
	starter=$!
	until [ -n "$(cat /proc/$starter/task/$starter/children 2>/dev/null)" ] || process_ended $starter; do :; done
	kill -STOP $starter
	wait_for 10 is_up
	kill -KILL $starter
	wait $starter
	is_up
}

is_up() { [ -n "$(status)" ]; }
has_log() { "$vmm" logs "$guest" | grep -q 'decompresses itself'; }

for mode in on off; do
	rm -f "$dir/ended/$guest".*
	result "one whose starter is killed runs, --confine $mode" start_without_starter --confine $mode
	result 'it has a log' wait_for 3 has_log
	kill -TERM "$("$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid')"
	result 'and an exit code' wait_says 143
done 2>/dev/null

result 'one without confinement starts' start --confine off
pid=$("$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid')
kill -TERM "$pid"
result 'a signal is its exit code' wait_says 143
result 'the log names the signal' grep -q 'ended by signal 15' <<<"$("$vmm" logs "$guest")"
result 'ps --all has the exit code' grep -qF 'ended (143)' <<<"$(status --all)"
result 'ps --all --json has it' test "$("$vmm" ps --all --json | jq --arg g "$guest" '.[] | select(.name == $g)."exit-code"')" = 143
result 'wait says it again' wait_says 143

result 'one with its supervisor starts' start
pid=$("$vmm" ps --json | jq -r --arg g "$guest" '.[] | select(.name == $g).pid')
kill -TERM "$pid"
result 'the supervisor keeps the exit code' wait_says 143
result 'the log names the signal, too' grep -q 'ended by signal 15' <<<"$("$vmm" logs "$guest")"

: >"$dir/ended/$guest-old.log"
echo '{ "code": 0, "time": 1 }' >"$dir/ended/$guest-old.end"
# All processes of a start were killed, today and two hours ago.
for left in 1-a 2-b; do
	: >"$dir/ended/.$left.log"
	: >"$dir/ended/.$left.end"
done
touch -d '2 hours ago' "$dir/ended/.2-b.end"
"$vmm" ps --all >/dev/null
result 'what was left without a name goes' test ! -e "$dir/ended/.2-b.log" -a ! -e "$dir/ended/.2-b.end"
result 'unless its guest may be starting' test -e "$dir/ended/.1-a.log" -a -e "$dir/ended/.1-a.end"
rm -f "$dir/ended/.1-a".*
result 'what is older than a week goes' test ! -e "$dir/ended/$guest-old.end"
result 'with its log' test ! -e "$dir/ended/$guest-old.log"
result 'nothing is left half named' test -z "$(find "$dir/ended" -name '.*.log' -mmin -1)"

# Another guest of the name has begun while the one that was waited for ended.
wait_tells_the_old()
{
	local waiter code holder=$dir/ended/$guest.end

	: >"$holder"
	exec 8>>"$holder"
	flock 8
	"$vmm" wait "$guest" 8>&- &
	waiter=$!
	wait_for 10 waits_for_a_lock $waiter || { echo 'wait did not wait'; return 1; }
	: >"$holder.new"
	mv "$holder.new" "$holder"
	echo '{ "code": 7, "time": 1 }' >&8
	exec 8>&-
	wait $waiter
	code=$?
	[ $code = 7 ] || { echo "wait said $code"; return 1; }
}
result 'wait tells of the guest that it waited for' wait_tells_the_old
result 'a guest that nobody knows' grep -q 'ps --all' <<<"$("$vmm" wait no-such-guest 2>&1)"
echo "1..$n"
