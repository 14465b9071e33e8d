# SPDX-License-Identifier: GPL-2.0-only
# timeout: 200
# The way of a diskless machine: iPXE's own image boots, gets its script by DHCP and TFTP from the
# user-mode network, a file by HTTP, and then a stock kernel, which runs to its end.

text()
{
	sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1bc//g; s/\r//g' "$WORK/console" >"$WORK/text"
}

expect_text()
{
	expect_in "$WORK/text" "$1"
}

setup()
{
	local port=$((20000 + $$ % 20000)) server

	"$VMM" run --help | grep -q -- '--net ' || skip "vmm has no --net"
	[ -e /usr/lib/ipxe/ipxe.iso ] || skip "the package ipxe is not installed"
	mkdir -p "$WORK/tftp" "$WORK/www"
	cat >"$WORK/tftp/boot.ipxe" <<'END'
#!ipxe
echo TEST-BEGIN ${version}
ifstat ||
echo DHCP-OK ${net0/ip} ${next-server} ${filename}
chain second.ipxe || echo CHAIN-FAIL
END
	cat >"$WORK/tftp/second.ipxe" <<END
#!ipxe
echo SECOND-OK
imgfetch --name big tftp://10.0.2.2/big && imgstat && echo BIG-OK || echo BIG-FAIL
imgfree big ||
imgfetch --name hello http://10.0.2.2:$port/hello && echo HTTP-OK || echo HTTP-FAIL
imgfree hello ||
kernel http://10.0.2.2:$port/vmlinuz $APPEND initrd=initrd || echo KERNEL-FAIL
initrd http://10.0.2.2:$port/initrd || echo INITRD-FAIL
echo TEST-END
boot || reboot
END
	head -c 3000000 /dev/zero >"$WORK/tftp/big"
	echo hello >"$WORK/www/hello"
	cp "$CLOUD/vmlinuz" "$WORK/www/vmlinuz"
	initrd "$WORK/www/initrd" <<'END'
say cpus $(nproc)
END
	busybox httpd -f -p "127.0.0.1:$port" -h "$WORK/www" &
	server=$!
	STATUS=0
	timeout -k 5 120 setpriv --pdeathsig KILL "$VMM" run --firmware seabios --no-reboot --memory 384M \
		--disk /usr/lib/ipxe/ipxe.iso,ro --net "user,tftp=$WORK/tftp,bootfile=boot.ipxe" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
	kill "$server"
	echo "$STATUS" >"$WORK/.status"
	text
}

test_ipxe_starts()
{
	expect_text 'SeaBIOS \(version 1\.16\.2'
	expect_text 'Booting from Hard Disk'
	expect_text 'iPXE 1\.0\.0\+git-20190125\.36a4c85'
}

test_dhcp()
{
	expect_text 'Configuring \(net0 [0-9a-f:]*\)\.* ok'
	expect_text '^DHCP-OK 10\.0\.2\.15 10\.0\.2\.2 boot\.ipxe'
}

test_tftp()
{
	expect_text 'second\.ipxe\.\.\. ok'
	expect_text '^SECOND-OK'
	expect_text 'big : 3000000 bytes'
	expect_text '^BIG-OK'
}

test_http()
{
	expect_text '^HTTP-OK'
	expect_text '^TEST-END'
}

test_chained_kernel_runs_to_its_end()
{
	expect_exit 0
	expect_text '^@@ cpus 1'
	expect_text '^@@ end'
}
