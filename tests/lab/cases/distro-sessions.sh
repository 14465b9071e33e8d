# SPDX-License-Identifier: GPL-2.0-only
# timeout: 1200
# Sessions in a whole Debian: its own initramfs, its switch_root, udev and systemd know nothing of
# them. A driver's files are below its session's root on the distribution's disk.
. tests/lab/lib_distro.sh
. tests/lab/lib_sessions.sh

setup()
{
	distro_disk
	[ "$(<"$DEBIAN/release")" = "$RELEASE" ] || skip "the Debian disk has another kernel than build/images/cloud"
	policy "$WORK/policy" a b
	mkdir "$WORK/tree"
	echo 'b on the disk' >"$WORK/tree/hello"
	debugfs -w -f - "$(distro_fs)" >"$WORK/debugfs" 2>&1 <<END
mkdir /s
mkdir /s/a
mkdir /s/b
mkdir /s/b/etc
write $WORK/tree/hello /s/b/etc/hello
END
	# The one reads at its load from what is only there after switch_root; the other is a network card.
	distro_start_direct 300 console=hvc0 --no-reboot --console stdio --policy "$WORK/policy" \
		--record "$WORK/record" --driver "b:$DRIVERS/umbra_t_path.ko,tag=b,path=/etc/hello" \
		--driver "a:$DUMMY"
	distro_login
	distro_type 90 'say state $(systemctl is-system-running --wait) size $(stty size) tty $(tty)'
	distro_type 20 'dmesg -r | grep -E "^<[0-4]>" | sed "s/^/@@ warn /"'
	vmm_driver list >"$WORK/list" 2>&1 || true
	vmm_driver load "a:$DRIVERS/umbra_t_path.ko,tag=a,path=/written,flags=65,write=by-a" \
		>"$WORK/load" 2>&1 || echo "status $?" >>"$WORK/load"
	vmm_driver verify --json a:dummy >"$WORK/verify" 2>&1 || true
	distro_type 20 'say read $(dmesg | grep "umbra_t_path.b.: read")'
	distro_type 20 'say net $(ls /sys/class/net | tr "\n" " ") modules $(grep -c "^[ab]__" /proc/modules)'
	distro_type 20 'say plain $(ls /written 2>&1; cat /s/a/written)'
	distro_type 20 'modprobe dummy; say both $(grep -c "dummy " /proc/modules)'
	vmm_driver unload a:dummy >"$WORK/unload" 2>&1 || echo "status $?" >>"$WORK/unload"
	distro_type 20 'say left $(ls /sys/class/net | tr "\n" " ") tainted $(dmesg | grep -cE "BUG:|Oops|refcount")'
	guest_type reboot
	guest_wait
}

test_reboot_is_in_order()
{
	expect_exit 10
	expect_console '^@@ state running size [0-9]+ [0-9]+ tty /dev/hvc0'
	expect_no_console '^@@ warn .*(ACPI|acpi|PCI|pci|MMCONFIG|APIC)'
	expect_console '^@@ left .* tainted 0'
	distro_check
}

test_driver_was_loaded_after_switch_root()
{
	expect_console '^@@ read .*read /etc/hello: 14 "b on the disk"'
	expect_in "$WORK/list" '^b +umbra_t_path +.*loaded|umbra_t_path.*loaded'
	expect_in "$WORK/list" 'dummy.*loaded'
}

test_files_are_below_the_sessions_root_on_the_disk()
{
	expect_equal "$(cat "$WORK/load" | grep status || true)" ""
	expect_console "^@@ plain .*No such file or directory by-a"
	expect_equal "$(debugfs -R 'cat /s/a/written' "$(distro_fs)" 2>/dev/null)" by-a
}

test_driver_works_beside_the_plain_one()
{
	expect_console '^@@ net .*adummy0 .*modules 3'
	expect_console '^@@ both 2'
	expect_equal "$(jq '.violations | length' <"$WORK/verify")" 0
}

test_unload()
{
	expect_equal "$(cat "$WORK/unload" | grep status || true)" ""
	! console_values left | grep -q adummy0 || fail "adummy0 is still there"
}
