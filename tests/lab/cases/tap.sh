# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# A true tap: packets of every size, megabytes in both directions, the interface down and up again.

SIZE=$((8 << 20))

setup()
{
	modprobe tun || skip "this kernel has no tap"
	ip tuntap add umbra0 mode tap
	ip addr add 10.9.0.1/24 dev umbra0
	ip link set umbra0 up
	head -c $SIZE /dev/urandom >"$WORK/down"
	# Sends a file to who connects to 5001, and keeps what comes to 5002.
	perl -MIO::Socket::INET -e '
		alarm 400;
		sub serve { IO::Socket::INET->new(LocalAddr => "10.9.0.1:$_[0]", Listen => 1) or die "$!\n" }
		my ($out, $in) = (serve(5001), serve(5002));
		my ($s, $b);
		open my $f, "<", "$ARGV[0]/down";
		$s = $out->accept; print $s $b while read $f, $b, 65536; close $s;
		open $f, ">", "$ARGV[0]/up";
		$s = $in->accept; print $f $b while sysread $s, $b, 65536; close $f;
	' "$WORK" &
	guest_start --timeout 400 --memory 192M --base "$BASE/devices-cloud.img" --net "tap=umbra0,mac=52:55:00:00:09:02" <<'END'
load-modules
answers()
{
	ping -q -c 2 -W 5 "$@" >/dev/null
}
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
wait_for 10 ping -c 1 -W 1 10.9.0.1
for size in 0 1 17 64 500 1471 1472 1473 9000 60000; do
	check ping-$size answers -s $size 10.9.0.1
done
nc 10.9.0.1 5001 </dev/null >/tmp/down
say down $(sha256sum </tmp/down | cut -c 1-64)
(cat /tmp/down; echo end) | nc 10.9.0.1 5002 >/dev/null
say features $(cat /sys/class/net/eth0/device/features)
say drops $(cat /sys/class/net/eth0/statistics/rx_errors) $(cat /sys/class/net/eth0/statistics/tx_errors)
say ready
read go
check ping-after answers 10.9.0.1
END
	guest_wait_console '^@@ ready' 350
	ping -q -c 20 -i 0.01 -s 1400 10.9.0.2 >"$WORK/ping" || true
	ip link set umbra0 down
	# Down for a while, in which vmm may find it so. A time, since nothing shows that it did: it meets EIO when
	# a frame comes or goes just then, and goes on without a word.
	sleep 0.5
	ip link set umbra0 up
	expect_within 20 ping -q -c 1 -W 1 10.9.0.2
	guest_type go
	guest_wait
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}

test_packets_of_every_size()
{
	expect_equal "$(grep -ac '^@@ ok ping-' "$WORK/console")" 11
	expect_in "$WORK/ping" ' 0% packet loss'
}

test_megabytes_both_ways()
{
	expect_equal "$(console_values down)" "$(sha256sum <"$WORK/down" | cut -c 1-64)"
	expect_equal "$(head -c $SIZE "$WORK/up" | sha256sum | cut -c 1-64)" "$(console_values down)"
	expect_equal "$(tail -c +$((SIZE + 1)) "$WORK/up")" end
	expect_console '^@@ drops 0 0'
}

# Checksums and segments are left to who does them best: bits 0, 1, 7, 8, 11, 12, 15.
test_offloads()
{
	expect_console '^@@ features 11.....11..11..1'
}

test_second_user_of_the_interface()
{
	guest_run --net "tap=umbra0" --net "tap=umbra0" </dev/null
	expect_exit 1
	expect_one_line_error 'cannot use umbra0: .*another program has it'
}
