# SPDX-License-Identifier: GPL-2.0-only
# The virtio console and its ports, on every kind of endpoint; the entropy device, which every guest has;
# and how the guest sees what options say of its devices and of itself.

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

UUID=123e4567-e89b-12d3-a456-426614174000

# A starter that listens on two sockets, which vmm gets as descriptors 9 and 10.
write_starter()
{
	cat >"$WORK/starter" <<END
#!/usr/bin/perl
use Socket; use POSIX ();
for my \$fd (9, 10) {
	socket(my \$s, AF_UNIX, SOCK_STREAM, 0) or die "\$!\n";
	bind(\$s, sockaddr_un("$WORK/given-\$fd")) and listen(\$s, 8) or die "\$!\n";
	POSIX::dup2(fileno(\$s), \$fd);
}
exec "$VMM", @ARGV;
END
	chmod 755 "$WORK/starter"
}

setup()
{
	echo 'before' >"$WORK/log"
	truncate -s 1M "$WORK/disk" "$WORK/disk1"
	write_starter
	VMM=$WORK/starter guest_start --memory 192M --base "$BASE/devices-cloud.img" \
		--console stdio,id=charserial0,slot=20 \
		--port org.umbra.log=file="$WORK/log" --port org.umbra.cmd=socket="$WORK/cmd" \
		--port org.umbra.tty=pty --port org.umbra.given=socket-fd=9,id=charchannel0 \
		--disk "$WORK/disk" --disk "$WORK/disk1,id=virtio-disk1,node=format-1,slot=1" \
		--rng on,id=rng0,slot=31 --no-control --control fd=10 \
		--uuid $UUID --smbios 'type=1,product=A,, B,,C,serial=ds=nocloud' <<'END'
for d in /sys/bus/pci/devices/*; do say slot ${d##*:} $(cat $d/device); done
for f in product_uuid product_name product_serial sys_vendor bios_vendor chassis_vendor; do
	say dmi $f $(cat /sys/class/dmi/id/$f)
done
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
echo by descriptor >$(port org.umbra.given)
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
	client "$WORK/given-9" 3 </dev/null >"$WORK/given"
	for command in query-uuid query-chardev query-block; do
		qmp_ask "$WORK/given-10" "{\"execute\": \"$command\"}" >"$WORK/$command"
	done
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

# A slot that is asked for is kept for its device, whatever comes before.
test_devices_are_in_their_slots()
{
	expect_equal "$(console_values slot | tr '\n' ' ')" \
		'00.0 0x0008 01.0 0x1042 02.0 0x1042 14.0 0x1043 1f.0 0x1044 '
}

test_names_are_those_of_options()
{
	expect_equal "$(jq -r '.return[].label' "$WORK/query-chardev" | tr '\n' ' ')" \
		'charserial0 org.umbra.log org.umbra.cmd org.umbra.tty charchannel0 control-fd '
	expect_equal "$(jq -r '.return[].qdev' "$WORK/query-block" | cut -d / -f 4 | tr '\n' ' ')" \
		'disk0 virtio-disk1 '
	expect_equal "$(jq -r '.return[].inserted["node-name"]' "$WORK/query-block" | tr '\n' ' ')" 'node0 format-1 '
}

test_guest_knows_who_it_is()
{
	expect_console "^@@ dmi product_uuid $UUID"
	expect_console '^@@ dmi product_name A, B,C.?$'
	expect_console '^@@ dmi product_serial ds=nocloud'
	for key in sys_vendor bios_vendor chassis_vendor; do
		expect_console "^@@ dmi $key Umbra"
	done
	expect_equal "$(jq -r .return.UUID "$WORK/query-uuid")" $UUID
}

test_sockets_of_the_starter()
{
	expect_in "$WORK/given" '^by descriptor$'
	expect [ -S "$WORK/given-9" ]
	expect [ -S "$WORK/given-10" ]
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
