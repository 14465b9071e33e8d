# SPDX-License-Identifier: GPL-2.0-only
# The virtio console and its ports, on every kind of endpoint; and the entropy device, which every guest
# has.

# client PATH SECONDS: send stdin to a UNIX socket, print what comes until it closes or the time is up.
client()
{
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new(Peer => shift) or die "connect: $!\n";
		my $in = join "", <STDIN>;
		syswrite $s, $in if length $in;
		$SIG{ALRM} = sub { exit 0 };
		alarm shift;
		while (sysread $s, my $b, 4096) { syswrite STDOUT, $b }' "$1" "$2"
}

setup()
{
	echo 'before' >"$WORK/log"
	guest_start --memory 192M --base "$BASE/devices-cloud.img" --console stdio \
		--port org.umbra.log=file="$WORK/log" --port org.umbra.cmd=socket="$WORK/cmd" \
		--port org.umbra.tty=pty <<'END'
load-modules
port()
{
	for p in /sys/class/virtio-ports/*; do
		[ "$(cat $p/name 2>/dev/null)" != "$1" ] || echo /dev/${p##*/}
	done
}
wait_for 10 test -e /dev/hvc0
wait_for 10 test -n "$(port org.umbra.tty)"
for p in /sys/class/virtio-ports/*/name; do say port $(cat $p); done
say rng $(cat /sys/class/misc/hw_random/rng_current)
say random $(head -c 5000 /dev/hwrng | wc -c)
echo '@@ by hvc0' >/dev/hvc0
echo logged >$(port org.umbra.log)
head -c 200000 /dev/zero >$(port org.umbra.log)
exec 3<>$(port org.umbra.cmd) 4<>$(port org.umbra.tty)
i=0
while [ $i -lt 12000 ]; do echo "line $i"; i=$((i + 1)); done >&3
echo 'to the terminal' >&4
say ready
read line <&3
say got $line
echo "answer to $line" >&3
read line <&4
say terminal $line
read go
END
	guest_wait_console '^@@ ready'
	stat -c %a "$WORK/cmd" >"$WORK/mode"
	echo first | client "$WORK/cmd" 8 >"$WORK/first" &
	# The second one finds somebody there.
	expect_within 30 test -s "$WORK/first"
	client "$WORK/cmd" 3 </dev/null >"$WORK/second"
	guest_wait_console '^@@ got'
	pty=$(sed -n 's/^vmm: port org.umbra.tty is on //p' "$WORK/errors")
	exec 5<>"$pty"
	read -r -t 10 line <&5
	echo "$line" >"$WORK/pty"
	echo typed >&5
	guest_wait_console '^@@ terminal'
	guest_type go
	guest_wait
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
	expect_equal "$(grep -cv ' is on /dev/pts/' "$WORK/errors")" 0
}

test_ports_have_names()
{
	expect_console '^@@ port org.umbra.log'
	expect_console '^@@ port org.umbra.cmd'
}

test_hvc0_is_on_the_console_too()
{
	expect_console '^@@ by hvc0'
}

test_port_on_a_file_is_appended_whole()
{
	expect_equal "$(head -n 2 "$WORK/log" | tr '\n' ' ')" 'before logged '
	expect_equal "$(stat -c %s "$WORK/log")" $((7 + 7 + 200000))
}

test_socket_keeps_what_was_sent_while_nobody_was_there()
{
	expect_equal "$(cat "$WORK/mode")" 600
	expect_in "$WORK/first" '^line 11999$'
	# The last 64 KiB, without a gap; the first line of them is cut.
	tail -n +2 "$WORK/first" | sed -n 's/^line //p' >"$WORK/numbers"
	expect_equal "$(wc -l <"$WORK/numbers")" $((11999 - $(head -n 1 "$WORK/numbers") + 1))
	expect [ "$(stat -c %s "$WORK/first")" -ge 65536 ]
}

test_socket_in_both_directions()
{
	expect_console '^@@ got first'
	expect_in "$WORK/first" '^answer to first$'
}

test_socket_is_removed()
{
	expect [ ! -e "$WORK/cmd" ]
}

test_pty_in_both_directions()
{
	expect_equal "$(cat "$WORK/pty")" 'to the terminal'
	expect_console '^@@ terminal typed'
}

test_entropy()
{
	expect_console '^@@ rng virtio_rng'
	expect_console '^@@ random 5000'
}

# The console itself on a socket: early messages wait for who comes; a login on hvc0 gets the input.
test_console_on_a_socket()
{
	guest_start --memory 192M --base "$BASE/devices-cloud.img" --console socket="$WORK/con" \
		--append 'console=hvc0' --port org.umbra.said=file="$WORK/said" <<'END'
load-modules
wait_for 10 test -e /dev/hvc0
port()
{
	grep -lx org.umbra.said /sys/class/virtio-ports/*/name 2>/dev/null | cut -d / -f 5 | grep .
}
wait_for 10 port
port=/dev/$(port)
exec </dev/hvc0 >/dev/hvc0 2>&1
say early
echo said >$port
read line
say typed $line
END
	expect_within 120 test -s "$WORK/said"
	expect [ -S "$WORK/con" ]
	echo by hand | client "$WORK/con" 60 >"$WORK/session"
	guest_wait
	expect_exit 0
	expect_in "$WORK/session" '^@@ early'
	expect_in "$WORK/session" '^@@ typed by hand'
	expect_equal "$(stat -c %s "$WORK/console")" 0
}
