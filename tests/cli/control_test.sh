#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the commands for running guests say to mistakes, and a guest whose vmm hangs. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
kernel=build/images/cloud/vmlinuz
name=unit-cli-$$
tap_begin 'commands for running guests'

# says CODE TEXT ARG...: vmm ARG... ends with CODE and has TEXT among its words.
says()
{
	local code=$1 text=$2 out ret

	shift 2
	out=$(timeout 20 "$vmm" "$@" 2>&1 </dev/null)
	ret=$?
	if [ $ret = "$code" ] && [[ $out == *"$text"* ]]; then
		verdict 0 "vmm $*"
	else
		echo "code $ret, '$out'; expected $code, '$text'"
		verdict 1 "vmm $*"
	fi
}

says 2 'vmm run: unknown option "--memroy"; did you mean --memory?' run --memroy 1G
says 2 'vmm stop: unknown option "--timout"; did you mean --timeout?' stop web --timout 3
says 2 '--timeout needs a value' stop web --timeout
says 2 '--json=x: this option takes no value' ps --json=x
says 2 'unknown option "-x"' stop web -fx
says 2 'unknown option "solt"; did you mean "slot"?' run --kernel k --disk d.img,solt=3
says 2 '--net user,slot=3: slot 3 is already that of --disk d.img' run --kernel k --disk d.img,slot=3 --net user,slot=3
says 2 '--uuid 12: want a UUID such as' run --kernel k --uuid 12
says 2 'did you mean "product"' run --kernel k --smbios type=1,prodct=x
says 2 '--rng yes: want on[,id=ID][,slot=N][,bus=PORT] or off' run --kernel k --rng yes
says 2 '-g needs a value' session list -g
says 2 'unknown option "--guets"; did you mean --guest?' driver list --guets web
says 2 'say which guest and which of its sessions: NAME SESSION' trace web
says 2 'unknown option "--shrnk"; did you mean --shrink?' disk resize disk0 1G --shrnk
says 2 'vmm record: unknown option "--verdit"; did you mean --verdict?' record --verdit x r
says 2 'vmm inspect: unknown option "--kernl"; did you mean --kernel?' inspect --kernl=k d.ko
says 2 'unknown option "--jsno"; did you mean --json?' doctor --jsno
says 2 '-k needs a value' inspect d.ko -k
says 1 'vmm: a: cannot open: No such file or directory' record a b
says 2 'vmm record: --verdict denied: no verdict is like that; there are pass, rewrite, deny, emulate and pending; did you mean "deny"?' record --verdict denied r
says 2 'vmm record: --verdict x*: no verdict is like that; there are pass, rewrite, deny, emulate and pending' record --verdict 'x*' r
says 2 'unexpected argument "b"' info a b
says 2 'unexpected argument "x"' doctor x
says 2 'unexpected argument "x"' session list x
says 2 'vmm driver: unknown command "lod"; did you mean "load"?' driver lod a:x.ko
says 2 'unknown command "shrink"' disk shrink disk0
says 2 'unexpected argument "c"' memory web 1G c
says 2 'unexpected argument "1G"' memory -g web 2G 1G
says 2 'vmm memory: 1x: want a size such as 512M or 2G' memory web 1x
says 2 '512: no guest gets along with less than 1M; without K, M or G' memory 512
says 2 '--timeout x: want seconds' memory web 1G --timeout x
says 2 'unknown option "--jsn"; did you mean --json?' memory --jsn
says 1 "no guest \"$name\" runs" memory "$name"
says 1 'no guest "1G" runs' memory -g 1G
says 2 'say what to do: list, stats or policy' session
says 2 'policy: say which FILE' session policy

# wants_utf8 ARG...: vmm ARG... refuses a name that ends with the byte 0xff.
wants_utf8()
{
	local out ret

	out=$(timeout 20 "$vmm" "$@" 2>&1 </dev/null)
	ret=$?
	[ $ret = 2 ] && [[ $out == "vmm $1: "*'\xff: want a name in UTF-8' ]] && return
	echo "code $ret, '$out'"
	return 1
}
bytes=$'\xff'
: >"$work/$bytes"
result 'a disk whose name is no UTF-8' wants_utf8 disk resize "$bytes" 1G
result 'a driver whose name is no UTF-8' wants_utf8 driver unload "a:$bytes"
result 'a session whose name is no UTF-8' wants_utf8 driver list "$bytes"
result "a driver's file whose name is no UTF-8" wants_utf8 driver load "a:$work/$bytes"
result 'a policy whose name is no UTF-8' wants_utf8 session policy "$work/$bytes"

if [ ! -w /dev/kvm ] || [ ! -r $kernel ]; then
	echo "1..$n # no guests: /dev/kvm or $kernel is missing"
	exit 0
fi
"$vmm" run --paused --detach --name "$name" --kernel $kernel >/dev/null 2>&1
verdict $? 'a guest in the background, paused'
says 1 "guest $name was started without sessions" driver list -g "$name"
says 1 "guest $name was started without sessions" session list -g "$name"
says 1 "guest $name was started without sessions" trace "$name" a
says 1 "guest $name has no balloon; start it with --balloon on" memory "$name" 64M
says 0 "guest $name has 256M and no balloon (vmm run --balloon on)" memory "$name"
pid=$("$vmm" ps --json | python3 -c '
import json, sys
print(*[g["pid"] for g in json.load(sys.stdin) if g["name"] == sys.argv[1]])' "$name")
kill -STOP "$pid"
# A vmm that hangs and that many have asked already can be ended all the same.
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-} python3 - "$name" <<'END'
import os, socket, sys
top = "/run" if os.geteuid() == 0 else os.environ["XDG_RUNTIME_DIR"] or None
path = f"{top}/umbra" if top else f"/tmp/umbra-{os.geteuid()}"
for _ in range(100):
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    try:
        s.connect(f"{path}/{sys.argv[1]}.sock")
    except BlockingIOError:
        break
END
says 0 '' kill "$name"
# Who started it has yet to collect it.
is_gone()
{
	! kill -0 "$pid" 2>/dev/null
}
wait_for 5 is_gone
verdict $? 'it is gone'
says 1 "no guest \"$name\" runs" kill "$name"
echo "1..$n"
