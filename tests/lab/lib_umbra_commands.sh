# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Each command of Umbra's own by `virsh qemu-monitor-command`, on a domain with sessions: try_NAME for command
# umbra-NAME, with '_' for '-', fails unless the command does what it is for. A command without one is a
# failure of the test. The domain's guest answers lines on its console: "links" by its network interfaces,
# "size" by that of /dev/vda.

# umbra_begin DOMAIN CONSOLE: what CONSOLE has is what the guest prints.
umbra_begin()
{
	umbra_domain=$1 umbra_console=$2
	mkdir "$WORK/umbra"
	# A sealed copy, as `vmm driver load` passes one; a plain file is passed in cases/libvirt.sh.
	cat >"$WORK/umbra/sealed" <<-'PYTHON'
		import fcntl, os, sys
		fd = os.memfd_create('copy', os.MFD_ALLOW_SEALING)
		os.write(fd, open(sys.argv[1], 'rb').read())
		fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
		os.dup2(fd, 3)
		os.execvp(sys.argv[2], sys.argv[2:])
	PYTHON
}

# umbra_qmp COMMAND [ARGUMENTS]: its answer; fails if that is an error.
umbra_qmp()
{
	local answer

	answer=$(timeout 60 virsh -q qemu-monitor-command "$umbra_domain" "{\"execute\":\"$1\",\"arguments\":${2-{\}}}" </dev/null)
	jq -ce .return <<<"$answer" || { echo "$1: $answer" >&2; return 1; }
}

# umbra_pass_file FILE NAME
umbra_pass_file()
{
	timeout 60 python3 "$WORK/umbra/sealed" "$1" virsh -q qemu-monitor-command "$umbra_domain" --pass-fds 3 \
		"{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"$2\"}}" </dev/null | jq -ce .return
}

umbra_type()
{
	echo "$1" >"$(virsh -q ttyconsole "$umbra_domain")"
}

# umbra_sees WORD REGEX: asks the guest until a line of its answers to WORD, since the last of these, is so.
umbra_sees()
{
	local from

	from=$(($(wc -l <"$umbra_console") + 1))
	umbra_type "$1"
	expect_within 30 console_has_said "$umbra_console" "$from" "$2"
}

# console_has_said FILE LINE REGEX: FILE has it from LINE on.
console_has_said()
{
	tail -n +"$2" "$1" | tr -d '\r' | grep -qaE -- "$3"
}

# umbra_needs NAME: its effect is wanted by another one's try.
umbra_needs()
{
	[ -e "$WORK/umbra/$1.status" ] || umbra_try "$1"
	[ "$(<"$WORK/umbra/$1.status")" = 0 ] || fail "umbra-$1 has failed"
}

# umbra_try NAME: what happens in $WORK/umbra/NAME.log, its status in NAME.status.
umbra_try()
{
	local status=0

	: >"$WORK/umbra/$1.status"
	# No `||` here, which would switch set -e off inside.
	set +e
	(
		set -eu
		declare -F "try_${1//-/_}" >/dev/null || fail "no test has a call of umbra-$1; tests/lab/lib_umbra_commands.sh wants one"
		"try_${1//-/_}"
	) >>"$WORK/umbra/$1.log" 2>&1
	status=$?
	set -e
	echo "$status" >"$WORK/umbra/$1.status"
}

# umbra_try_all: every command that the guest's VMM has.
umbra_try_all()
{
	local name

	umbra_qmp query-commands | jq -r '.[].name | select(startswith("umbra-")) | ltrimstr("umbra-")' | sort >"$WORK/umbra/names"
	while read -r name; do
		[ -e "$WORK/umbra/$name.status" ] || umbra_try "$name"
	done <"$WORK/umbra/names"
}

# umbra_all_hold: they did, and there were some.
umbra_all_hold()
{
	local name bad=0

	[ "$(wc -l <"$WORK/umbra/names")" -ge 12 ] || fail "so few commands: $(cat "$WORK/umbra/names")"
	while read -r name; do
		[ "$(<"$WORK/umbra/$name.status")" = 0 ] && continue
		echo "umbra-$name: status $(<"$WORK/umbra/$name.status")"
		sed 's/^/    /' "$WORK/umbra/$name.log"
		bad=1
	done <"$WORK/umbra/names"
	return $bad
}

# --- a try for each --------------------------------------------------------------------------

try_info()
{
	umbra_qmp umbra-info | tee -a /dev/stderr |
		jq -e 'tostring | contains("managed")' >/dev/null
}

try_memory()
{
	umbra_qmp umbra-memory '{"refresh":true}' | tee -a /dev/stderr | jq -e '.balloon and .driver and .total == 201326592'
	expect_within 30 umbra_has_statistics
}

umbra_has_statistics()
{
	umbra_qmp umbra-memory | jq -e '.["stats-count"] > 0 and .stats["stat-total-memory"] > 100000000'
}

# A new session with a driver of its own, which the policy of the start had not.
try_policy_load()
{
	sed '/^sessions = {/a\	c = { files = ( { from = "/"; to = "/data/c"; } ); default = "deny"; names = { net = "c%s"; link = "c-%s"; }; };' \
		/etc/umbra/demo.policy >"$WORK/umbra/policy"
	umbra_pass_file "$WORK/umbra/policy" policy
	umbra_qmp umbra-policy-load '{"path":"/etc/umbra/other.policy","fd":"policy"}'
	umbra_qmp umbra-session-list | jq -e 'map(.session) | contains(["a", "b", "c"])'
}

try_driver_load()
{
	umbra_needs policy-load
	umbra_pass_file /var/lib/umbra/dummy.ko driver
	umbra_qmp umbra-driver-load '{"session":"c","instance":"late","path":"/var/lib/umbra/dummy.ko","params":"numdummies=2","fd":"driver"}'
	umbra_sees links '^@@ links .*cdummy0 cdummy1'
}

try_driver_list()
{
	umbra_needs driver-load
	umbra_qmp umbra-driver-list '{"session":"c"}' | tee -a /dev/stderr |
		jq -e 'length == 1 and .[0].driver == "late" and .[0].params == "numdummies=2"'
	umbra_qmp umbra-driver-list | jq -e 'map(.session) | unique | contains(["a", "b"])'
}

try_driver_verify()
{
	umbra_qmp umbra-driver-verify '{"session":"a","instance":"dummy"}' | tee -a /dev/stderr |
		jq -e '.violations == [] and .undecoded == 0 and .text > 0 and .branches.shadow > 0'
}

try_driver_unload()
{
	umbra_needs driver-list
	umbra_qmp umbra-driver-unload '{"session":"c","instance":"late"}'
	umbra_sees links '^@@ links adummy0 bdummy0 ([^c ]+ )*lo'
}

try_session_list()
{
	umbra_qmp umbra-session-list | tee -a /dev/stderr |
		jq -e 'map(select(.session == "a" or .session == "b") | .drivers == (if .session == "a" then 2 else 1 end) and
			.pages > 0 and .layout == "dense" and .shadow == "") == [true, true]'
}

# Follows the calls of a session while its list of drivers is asked for; the end of one half is the end.
try_trace()
{
	cat >"$WORK/umbra/follow" <<-'PYTHON'
		import json, os, socket, subprocess, sys
		def virsh(command, arguments, *more, **how):
		    words = ['virsh', '-q', 'qemu-monitor-command', sys.argv[1], *more,
		             json.dumps({'execute': command, 'arguments': arguments})]
		    return json.loads(subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL, **how).stdout)
		ours, theirs = socket.socketpair()
		virsh('getfd', {'fdname': 'lines'}, '--pass-fds', str(theirs.fileno()), pass_fds=[theirs.fileno()])
		theirs.close()
		print(virsh('umbra-trace', {'session': 'a', 'fd': 'lines', 'count': True}))
		ours.shutdown(socket.SHUT_WR)
		print('lines', len(b''.join(iter(lambda: ours.recv(65536), b'')).splitlines()))
	PYTHON
	timeout 60 python3 "$WORK/umbra/follow" "$umbra_domain" | tee -a /dev/stderr | grep -q '^lines [0-9]*$'
}

# A driver that is loaded calls what is decided about.
try_stats()
{
	local before

	before=$(umbra_qmp umbra-stats | tee -a /dev/stderr | jq .calls)
	umbra_needs driver-load
	umbra_qmp umbra-stats | tee -a /dev/stderr | jq -e ".calls > 0 and .calls >= $before and .\"refused-doorbells\" == 0"
}

try_disk_resize()
{
	umbra_qmp umbra-disk-resize '{"disk":"virtio-disk0","size":4194304,"more":true}' | tee -a /dev/stderr |
		jq -e '."old-size" == 4194304 and .size == 8388608'
	umbra_sees size '^@@ size 16384$'
	[ "$(stat -c %s /var/lib/umbra/disk4)" = 8388608 ]
}

# A dump by virsh to a pipe that nobody reads is given up, and the guest goes on. It has to be virsh's own:
# libvirtd 9.0 dies of DUMP_COMPLETED when no job of it waits for that. It waits for its own helper then, which
# has read ahead.
try_dump_cancel()
{
	local dump reader status=0

	mkfifo "$WORK/umbra/pipe"
	exec 4<>"$WORK/umbra/pipe"
	timeout 120 virsh dump "$umbra_domain" "$WORK/umbra/pipe" --memory-only </dev/null &
	dump=$!
	expect_within 60 umbra_dump_is active
	umbra_qmp umbra-dump-cancel
	timeout 120 cat <&4 >/dev/null &
	reader=$!
	wait $dump || status=$?
	kill $reader
	[ $status = 1 ] || fail "virsh dump: status $status"
	umbra_dump_is failed
	umbra_qmp query-status | jq -e .running
	umbra_sees size '^@@ size'
}

umbra_dump_is()
{
	umbra_qmp query-dump | jq -e ".status == \"$1\""
}

# A viewer beside libvirt's own console: what it types comes to the guest, whose answer comes to it.
try_console()
{
	timeout 60 python3 - "$umbra_domain" <<-'PYTHON'
		import json, socket, subprocess, sys
		near, far = socket.socketpair()
		def qmp(execute, *options, **arguments):
		    words = ['virsh', '-q', 'qemu-monitor-command', sys.argv[1], *options,
		             json.dumps({'execute': execute, 'arguments': arguments})]
		    print(json.loads(subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
		                                    pass_fds=[far.fileno()]).stdout)['return'])
		qmp('getfd', '--pass-fds', str(far.fileno()), fdname='viewer')
		qmp('umbra-console', fd='viewer')
		far.close()
		near.settimeout(30)
		near.sendall(b'links\n')
		seen = b''
		while b'@@ links adummy0' not in seen:
		    more = near.recv(4096)
		    assert more, seen
		    seen += more
		print(seen)
	PYTHON
}
