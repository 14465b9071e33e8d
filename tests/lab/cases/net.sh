# SPDX-License-Identifier: GPL-2.0-only
# The user-mode network, without any right: DHCP, TFTP, to the host and from it.

setup()
{
	ip link set lo up 2>/dev/null || true
	mkdir "$WORK/tftp"
	head -c 100000 /dev/urandom >"$WORK/tftp/file"
	# It takes one connection, and ends with it.
	perl -MIO::Socket::INET -e '
		my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:5023", Listen => 1, ReuseAddr => 1)
			or die "$!\n";
		alarm 120;
		my $s = $l->accept;
		print while <$s>' >"$WORK/stream" &
	sink=$!
	head -c 3000000 /dev/urandom >"$WORK/to-guest"
	perl -MIO::Socket::INET -e '
		my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1:5024", Listen => 1, ReuseAddr => 1)
			or die "$!\n";
		alarm 120;
		my $s = $l->accept;
		print $s $_ while <STDIN>;
		shutdown $s, 1;
		1 while <$s>' <"$WORK/to-guest" &
	source=$!
	guest_start --memory 192M --base "$BASE/devices-cloud.img" \
		--net "user,tftp=$WORK/tftp,bootfile=boot.me,hostfwd=tcp:5022-:22,mac=52:55:00:01:02:03" <<'END'
load-modules
ip link set lo up
ip link set eth0 up
say mac $(cat /sys/class/net/eth0/address) carrier $(cat /sys/class/net/eth0/carrier)
cat >/tmp/dhcp <<'X'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/24 dev eth0
ip route add default via $router
echo "@@ dhcp $ip router $router dns $dns bootfile $boot_file"
X
chmod 755 /tmp/dhcp
udhcpc -i eth0 -n -q -t 10 -s /tmp/dhcp 2>/dev/null
check tftp tftp -g -r file -l /tmp/file 10.0.2.2
say sum $(sha256sum </tmp/file | cut -c 1-64)
i=0
(echo hello from the guest | nc -l -p 22 >/tmp/in) &
listens()
{
	grep -q ':0016 [0-9A-F]*:0000 0A ' /proc/net/tcp*
}
wait_for 20 listens
say features $(cat /sys/class/net/eth0/device/features)
head -c 3000000 /dev/urandom >/tmp/stream
say stream $(sha256sum </tmp/stream | cut -c 1-64)
nc 10.0.2.2 5023 </tmp/stream
# An input that ends would end the connection before all has come.
mkfifo /tmp/silent
exec 3<>/tmp/silent
frames=$(cat /sys/class/net/eth0/statistics/rx_packets)
nc 10.0.2.2 5024 <&3 >/tmp/stream
say got $(sha256sum </tmp/stream | cut -c 1-64)
say frames $(($(cat /sys/class/net/eth0/statistics/rx_packets) - frames))
say ready
wait
say in $(cat /tmp/in)
END
	guest_wait_console '^@@ ready'
	pid=$(guest_pid)
	# The keeper is the VMM's child, and the process of the network the keeper's.
	child_named "$pid" vmm-net-keeper >"$WORK/keeper" || :
	child_named "$(<"$WORK/keeper")" vmm-net >"$WORK/helper" || :
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:5022") or die "$!\n";
		syswrite $s, "hello from the host\n";
		shutdown $s, 1;
		alarm 20;
		print while <$s>' >"$WORK/answer" || true
	guest_wait
	wait $sink $source || true
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}

# Bits 0 and 11: checksums and segments of TCP are left to the device, which is what 3 MB go through.
test_long_frames()
{
	expect_console '^@@ features 1..........1'
	expect_equal "$(console_values stream)" "$(sha256sum <"$WORK/stream" | cut -c 1-64)"
}

# Bits 1, 7, 8 and 15: those that come may lack their checksum, have many segments, and be in several
# buffers. Alone, 3 MB would be 2083 segments.
test_long_frames_to_the_guest()
{
	local frames

	expect_console '^@@ features .1.....11......1'
	expect_equal "$(console_values got)" "$(sha256sum <"$WORK/to-guest" | cut -c 1-64)"
	frames=$(console_values frames)
	expect [ "$frames" -lt 1000 ]
}

test_mac_and_link()
{
	expect_console '^@@ mac 52:55:00:01:02:03 carrier 1'
}

test_dhcp()
{
	expect_console '^@@ dhcp 10.0.2.15 router 10.0.2.2 dns 10.0.2.3 bootfile boot.me'
}

test_tftp()
{
	expect_console '^@@ ok tftp'
	expect_equal "$(console_values sum)" "$(sha256sum <"$WORK/tftp/file" | cut -c 1-64)"
}

test_from_the_host()
{
	expect_in "$WORK/answer" '^hello from the guest'
	expect_console '^@@ in hello from the host'
}

test_helper_ends_with_the_guest()
{
	local name

	for name in helper keeper; do
		expect [ -s "$WORK/$name" ]
		expect_within 5 process_ended "$(<"$WORK/$name")"
	done
}

test_errors_are_one_line()
{
	guest_run --net "tap=no-such-tap" </dev/null
	expect_exit 1
	expect_one_line_error 'there is no interface no-such-tap'
	guest_run --net "user,tftp=/no/such/dir" </dev/null
	expect_exit 1
	expect_one_line_error 'cannot read /no/such/dir'
}
