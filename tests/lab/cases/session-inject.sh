# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# Shim and agent come before the user's own initramfs, whatever that is, and leave nothing behind.
. tests/lab/lib_sessions.sh

start()
{
	policy "$WORK/policy" a
	guest_run --memory 256M --policy "$WORK/policy" "$@"
}

hello()
{
	start --initrd "$BASE/hello-$1.img"
	expect_exit 0
	expect_console "^@@ hello $RELEASE pid 1 "
	expect_equal "$(console_values root | grep -c umbra || true)" 0
	expect_equal "$(wc -c <"$WORK/errors")" 0 "$(cat "$WORK/errors")"
}

test_uncompressed() { hello none; }
test_gzip() { hello gzip; }
test_lz4() { hello lz4; }
test_microcode_and_zstd() { hello microcode; }

test_without_kaslr()
{
	start --initrd "$BASE/hello-gzip.img" --no-kaslr
	expect_exit 0
	expect_console '^@@ text ffffffff81000000 '
}

test_generic_kernel()
{
	start --kernel "$GENERIC/vmlinuz" --initrd "$BASE/hello-generic.img"
	expect_exit 0
	expect_console "^@@ hello $(<"$GENERIC/release") pid 1 "
}

test_none_at_all_is_the_panic_that_it_would_be()
{
	STATUS=0
	policy "$WORK/policy" a
	# Its words are the kernel's: quotes go, and a root= within quotes is none.
	timeout 60 "$VMM" run --kernel "$CLOUD/vmlinuz" --policy "$WORK/policy" \
		--append "$APPEND root=\"/dev/no such\" x=\"a root=/dev/other b\"" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
	expect_exit 11
	expect_console 'umbra: no init'
	expect_console 'and root=/dev/no such cannot be mounted'
}

test_users_own_rdinit()
{
	mkdir -p "$WORK/alt"
	initrd "$WORK/image" <<'END'
say wrong init
END
	printf '#!/bin/sh\n. /etc/guest.sh\nsay alt pid $$ args "$@" name $0\nfinish\n' >"$WORK/alt.sh"
	chmod 755 "$WORK/alt.sh"
	add_files "$WORK/image" "$WORK/alt.sh:alt"
	start --initrd "$WORK/image" --append "rdinit=/alt single"
	expect_exit 0
	expect_console '^@@ alt pid 1 args single name /alt'
	expect_no_console 'wrong init'
}

# A stock initrd finds its root, and the drivers wait for it.
test_initramfs_tools_initrd_and_init_option()
{
	[ -s "$BASE/debian.img" ] || skip "mkinitramfs needs root"
	mkdir -p "$WORK/root"/{bin,sbin,dev,proc,sys,run,tmp,s/a,etc}
	cp /bin/busybox "$WORK/root/bin/"
	for i in sh mount grep cat ls sed poweroff sleep dmesg cut wc uname sync test seq; do
		ln -s busybox "$WORK/root/bin/$i"
	done
	cp tests/lab/guest.sh "$WORK/root/etc/guest.sh"
	cat >"$WORK/root/sbin/own-init" <<'END'
#!/bin/sh
export PATH=/bin:/sbin
. /etc/guest.sh
say own init pid $$
wait_for 60 test -e /sys/class/net/adummy0
say net $(ls /sys/class/net)
say log $(dmesg | grep -c 'umbra_t')
finish
END
	chmod 755 "$WORK/root/sbin/own-init"
	ln -s own-init "$WORK/root/sbin/init"
	images/mkdisk --size 64M "$WORK/disk" "$WORK/root"
	start --timeout 200 --initrd "$BASE/debian.img" --disk "$WORK/disk" --driver "a:$DUMMY" \
		--append "root=/dev/vda rw init=/sbin/own-init"
	expect_exit 0
	expect_console '^@@ own init pid 1'
	expect_console '^@@ net .*adummy0'
}
