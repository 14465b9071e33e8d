# SPDX-License-Identifier: GPL-2.0-only
# What the lab's cases are written with. A case is a bash script in tests/lab/cases that defines
#
#	setup()		once, optional: usually a guest_run whose result the tests then look at
#	test_NAME()	one test; runs under `set -eu` in a subshell, in the order of the file
#
# and may say "# timeout: SECONDS" (for the whole case, default 500). Every case has a directory of its
# own, $WORK, which goes away; a failing test shows the end of the guest's console and errors by itself.
#
# A guest's init script is given on stdin. It begins with tests/lab/guest.sh (say, check, wait_for,
# finish) and ends with a power-off.

# shellcheck source=tests/lib_wait.sh
. tests/lib_wait.sh

VMM=${UMBRA_VMM:-$PWD/build/vmm}
IMAGES=$PWD/build/images
CLOUD=$IMAGES/cloud
GENERIC=$IMAGES/generic
RELEASE=$(<"$CLOUD/release")
MODULES=$CLOUD/modules/kernel
DRIVERS=$PWD/build/drivers/$RELEASE
BASE=$PWD/build/tests/lab
# The kernel's tests of its own cryptography are an eighth of a boot here.
APPEND='console=ttyS0 quiet panic=-1 cryptomgr.notests'
STATUS=

fail()
{
	echo "failed: $*"
	exit 1
}

skip()
{
	echo "$*" >"$WORK/.skip"
	exit 77
}

# many FEW MORE: how often; more with `make lab LONG=1`, which takes longer than a run of all tests may.
# Its limits are three times as long, too (tests/lab/inside has the same for a whole case).
many()
{
	[ -z "${UMBRA_LAB_LONG-}" ] && echo "$1" || echo "$2"
}

# expect COMMAND...: it must succeed.
expect()
{
	"$@" || fail "$* (status $?)"
}

# expect_within SECONDS COMMAND...: it must succeed before this time is over.
expect_within()
{
	wait_for "$@" || fail "not within $1 s: ${*:2}"
}

expect_equal()
{
	[ "$1" = "$2" ] || fail "expected '$2', found '$1'${3:+ ($3)}"
}

expect_exit()
{
	[ "$STATUS" = "$1" ] || fail "exit status of vmm: expected $1, found $STATUS"
}

# Extended regular expressions, on single lines; the guest's console ends its lines with CR.
expect_in()
{
	grep -qaE -- "$2" "$1" || fail "no line like '$2' in ${1##*/}"
}

expect_not_in()
{
	! grep -aE -- "$2" "$1" || fail "unexpected line like '$2' in ${1##*/}"
}

expect_console()
{
	expect_in "$WORK/console" "$1"
}

expect_no_console()
{
	expect_not_in "$WORK/console" "$1"
}

expect_error()
{
	expect_in "$WORK/errors" "$1"
}

# The shape of every error for a user: one line, and it names what must be named.
expect_one_line_error()
{
	expect_equal "$(wc -l <"$WORK/errors")" 1 "lines of errors"
	expect_error "$1"
}

# console_values KEY: what the guest said with `say KEY VALUE`, one per line.
console_values()
{
	tr -d '\r' <"$WORK/console" | sed -n "s/^.*@@ $1 //p"
}

# Make an initramfs from a base image and the init script on stdin: initrd OUT [BASE-IMAGE].
initrd()
{
	local dir=$WORK/.init

	rm -rf "$dir"
	mkdir "$dir"
	{
		echo '#!/bin/sh'
		echo '. /etc/guest.sh'
		cat
		echo
		echo finish
	} >"$dir/init"
	chmod 755 "$dir/init"
	{
		cat "${2:-$BASE/base-cloud.img}"
		(cd "$dir" && echo init | cpio -o -H newc -R 0:0 --quiet)
	} >"$1"
}

# Options of guest_run and guest_start; all others go to `vmm run`.
guest_options()
{
	guest_kernel=$CLOUD/vmlinuz guest_initrd='' guest_base='' guest_append=$APPEND guest_limit=120
	guest_args=()
	while [ $# -gt 0 ]; do
		case $1 in
		--kernel) guest_kernel=$2; shift 2 ;;
		--initrd) guest_initrd=$2; shift 2 ;; # instead of the script on stdin
		--base) guest_base=$2; shift 2 ;;
		--append) guest_append="$APPEND $2"; shift 2 ;;
		--timeout) guest_limit=$2; shift 2 ;;
		*) guest_args+=("$1"); shift ;;
		esac
	done
	if [ -z "$guest_initrd" ]; then
		guest_initrd=$WORK/initrd
		initrd "$guest_initrd" ${guest_base:+"$guest_base"}
	fi
	# Not even a test that is killed leaves a guest behind.
	guest_command=(timeout -k 5 $((guest_limit * $(many 1 3))) setpriv --pdeathsig KILL "$VMM" run --kernel "$guest_kernel"
		--initrd "$guest_initrd" --append "$guest_append"
		${guest_args[@]+"${guest_args[@]}"})
}

# guest_run [--kernel F] [--base IMAGE] [--initrd F] [--append S] [--timeout S] [VMM-OPTION]... <<'END'
# Run a guest to its end: $STATUS, $WORK/console, $WORK/errors.
guest_run()
{
	guest_options "$@"
	STATUS=0
	"${guest_command[@]}" >"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
	echo "$STATUS" >"$WORK/.status"
}

# The same in the background, until the function ends. Then guest_type, guest_wait_console, guest_pid,
# and guest_wait or guest_kill.
guest_start()
{
	guest_options "$@"
	rm -f "$WORK/input"
	mkfifo "$WORK/input"
	"${guest_command[@]}" >"$WORK/console" 2>"$WORK/errors" <"$WORK/input" &
	GUEST=$!
	exec {GUEST_INPUT}>"$WORK/input"
}

# The process id of vmm, of the two that it is the one with the guest: it is the first of its process
# namespace, so it has two numbers.
guest_pid()
{
	local first inner

	first=$(tr -d ' ' <"/proc/$GUEST/task/$GUEST/children")
	for inner in $(<"/proc/$first/task/$first/children"); do
		if grep -q '^NSpid:.*[0-9].[0-9]*.1$' "/proc/$inner/status" 2>/dev/null; then
			first=$inner
			break
		fi
	done
	echo "$first"
}

# The process that has the guest's CPUs: the one of guest_pid, or its child where that supervises.
guest_vmm()
{
	local pid first

	first=$(guest_pid)
	for pid in "$first" $(<"/proc/$first/task/$first/children"); do
		if grep -qsx vcpu0 "/proc/$pid/task/"*/comm; then
			echo "$pid"
			return
		fi
	done
	fail "no process has the guest's CPUs"
}

# Text for the guest's console.
guest_type()
{
	printf '%s\n' "$*" >&"$GUEST_INPUT"
}

# listens_at PATH: a process of this network namespace takes connections there. The file alone may be that
# of a socket that refuses them, for a moment.
listens_at()
{
	grep -qE "^[0-9a-f]+: [0-9A-F]+ [0-9]+ 00010000 .* $1\$" /proc/net/unix
}

# guest_wait_console REGEX [SECONDS]
guest_wait_console()
{
	local seconds=$((${2:-60} * $(many 1 3))) alive=1
	local tries=$((seconds * 10))

	until grep -qaE -- "$1" "$WORK/console"; do
		[ -n "$alive" ] || fail "the guest ended before '$1' on its console"
		kill -0 "$GUEST" 2>/dev/null || alive=
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "no '$1' on the console in $seconds s"
		sleep 0.1
	done
}

guest_wait()
{
	STATUS=0
	exec {GUEST_INPUT}>&-
	wait "$GUEST" || STATUS=$?
	GUEST=
	echo "$STATUS" >"$WORK/.status"
}

guest_kill()
{
	kill -"${1:-TERM}" "$GUEST" 2>/dev/null || true
	guest_wait
}

# qmp NAME SECONDS [REGEX]: send stdin to a guest's control socket, print what comes in that time, or up
# to what REGEX is found in.
qmp()
{
	perl -MIO::Socket::UNIX -e '
		my ($path, $seconds, $last) = @ARGV;
		my $s = IO::Socket::UNIX->new(Peer => $path) or die "connect: $!\n";
		syswrite $s, join "", <STDIN>;
		$SIG{ALRM} = sub { exit 0 };
		alarm $seconds;
		while (sysread $s, my $b, 4096) {
			syswrite STDOUT, $b;
			last if defined $last && $b =~ /$last/;
		}' "/run/umbra/$1.sock" "${@:2}"
}

# qmp_ask SOCKET COMMAND...: carry out commands, each a JSON object; print the answer to the last one.
qmp_ask()
{
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(Peer => shift) or die "qmp: $!\n";
		alarm 20;
		<$s>;
		for my $c (q({"execute": "qmp_capabilities"}), @ARGV) {
			print $s "$c\n";
			while (<$s>) { last if /"(return|error)"/ }
		}
		print' "$@"
}

# show: what a person wants to see of a failure.
show()
{
	local file

	for file in console errors; do
		[ -s "$WORK/$file" ] || continue
		echo "--- end of the guest's $file (status ${STATUS:-none})"
		tail -n 40 "$WORK/$file" | tr -d '\r'
	done
}
