# SPDX-License-Identifier: GPL-2.0-only
# timeout: 1100
# A whole Debian by its own GRUB, to a login under systemd, with a network; its file system is clean
# afterwards. From its own kernel, on the virtio console: distro-sessions.sh.
. tests/lab/lib_distro.sh

# A name server that knows one name, in front of a web server with one file.
servers()
{
	mkdir "$WORK/www"
	head -c 3000000 /dev/urandom >"$WORK/www/file"
	ip link set lo up 2>/dev/null || true
	setpriv --pdeathsig KILL busybox httpd -f -p 127.0.0.1:8081 -h "$WORK/www" &
	setpriv --pdeathsig KILL perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.53.53.53:53") or die "$!\n";
		while ($s->recv(my $q, 512)) {
			my ($id, undef, undef) = unpack "nnn", $q;
			my $end = index($q, "\0", 12) + 5;
			my $type = unpack "n", substr $q, $end - 4, 2;
			my $known = lc(substr $q, 12, 10) eq "\3web\4test\0" && $type == 1;
			$s->send(pack("nnnnnn", $id, 0x8180, 1, $known, 0, 0) . substr($q, 12, $end - 12) .
				($known ? pack("nnnNnC4", 0xc00c, 1, 1, 60, 4, 10, 0, 2, 2) : ""));
		}' &
}

setup()
{
	distro_disk
	echo 'nameserver 127.53.53.53' >"$WORK/resolv.conf"
	servers
	# The host's name server as vmm sees it.
	# shellcheck disable=SC2016
	distro_wrap=(unshare --mount sh -c 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"' sh
		"$WORK/resolv.conf")
	distro_start 300 --firmware seabios --net user
	guest_wait_console 'Booting from Hard Disk' 60
	distro_login
	distro_type 90 'say state $(systemctl is-system-running --wait)'
	distro_type 20 'say root $(findmnt -no SOURCE,OPTIONS / | cut -d, -f1) by $(readlink /dev/disk/by-uuid/*)'
	distro_type 20 'dmesg -r | grep -E "^<[0-4]>" | sed "s/^/@@ warn /"'
	distro_type 20 'say tty $(tty) button $(grep -c "^button " /proc/modules)'
	distro_type 60 'n=0; until ip -4 addr | grep -q "inet 10.0.2"; do sleep 1; [ $((n += 1)) -lt 40 ] || break; done; say lease $(ip -4 -br addr | grep -v ^lo) route $(ip route | grep default)'
	distro_type 60 'say name $(getent ahostsv4 web.test)'
	distro_type 60 'exec 3<>/dev/tcp/web.test/8081; printf "GET /file HTTP/1.0\r\n\r\n" >&3; say sum $(sed "1,/^\r$/d" <&3 | sha256sum)'
	distro_type 20 'echo left behind >/root/left'
	distro_stop
}

test_stop_shuts_it_down_in_order()
{
	expect_exit 0
	expect_in "$WORK/stop" '^status 0'
	expect_console 'Reached target .*System Power Off'
	expect_console 'reboot: Power down|systemd-shutdown.*Powering off'
	distro_check
	expect_equal "$(debugfs -R 'cat /root/left' "$(distro_fs)" 2>/dev/null)" 'left behind'
}

test_systemd_is_content()
{
	expect_equal "$(console_values state)" running
	expect_console '^@@ root /dev/vda1 rw by \.\./\.\./vda1'
	expect_console '^@@ tty /dev/ttyS0 button 1'
}

test_kernel_has_no_complaint_about_the_platform()
{
	expect_console '^@@ done 3'
	expect_no_console '^@@ warn .*(ACPI|acpi|PCI|pci|MMCONFIG|APIC)'
}

test_network()
{
	expect_console '^@@ lease .*10\.0\.2\.15/24 .*route default via 10\.0\.2\.2'
	expect_console '^@@ name 10\.0\.2\.2 +STREAM'
	expect_equal "$(console_values sum | cut -d ' ' -f 1)" "$(sha256sum <"$WORK/www/file" | cut -d ' ' -f 1)"
}
