# SPDX-License-Identifier: GPL-2.0-only
# What a stock kernel thinks of the machine: nothing to complain about in ACPI and PCI, the clocks and
# interrupt controllers that it likes best, memory on both sides of the PCI window.

# Lines of the kernel's log about ACPI or PCI, at warning level or above, that may be there; one regular
# expression for each, with its reason. None is needed today.
EXCEPTIONS=()

init_script()
{
	cat <<'END'
dmesg -r | grep -E '^<[0-4]>' | grep -iE 'acpi|pci|mmconfig|ecam|apic' |
	sed 's/^/@@ warn /'
say lines $(dmesg -r | grep -ciE 'acpi|pci')
say cpus $(grep -c ^processor /proc/cpuinfo)
say memory $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
say flags " $(grep -m 1 ^flags /proc/cpuinfo) "
say clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
say tick $(awk '/^Clock Event Device/ { print $4 }' /proc/timer_list | sort -u | tr '\n' ' ')
dmesg | sed 's/^/@@ log /' | grep -E 'x2apic|apic|MMCONFIG|TSC deadline'
END
}

# complaints: what the kernel said that is no exception.
complaints()
{
	local e lines

	lines=$(console_values warn)
	for e in ${EXCEPTIONS[@]+"${EXCEPTIONS[@]}"}; do
		lines=$(grep -vE -- "$e" <<<"$lines" || true)
	done
	printf '%s' "$lines"
}

# machine_of VMM-OPTION...: run a guest with them.
machine_of()
{
	init_script >"$WORK/script"
	guest_run "$@" <"$WORK/script"
	expect_exit 0
	expect_console '^@@ lines [1-9]'
	expect_equal "$(complaints)" ""
}

test_one_cpu()
{
	local host guest

	machine_of --memory 192M
	expect_equal "$(console_values cpus)" 1
	# What the host's TSC is, the guest's is too.
	for flag in constant_tsc nonstop_tsc; do
		host=$(grep -m 1 ^flags /proc/cpuinfo | grep -cw "$flag" || true)
		guest=$(console_values flags | grep -cw "$flag" || true)
		expect_equal "$guest" "$host" "$flag"
	done
}

test_four_cpus_and_memory_above_4_gib()
{
	machine_of --memory 4608M --cpus 4 --append "log_buf_len=1M"
	expect_equal "$(console_values cpus)" 4
	expect [ "$(console_values memory)" -gt 4300 ]
	# kvm-clock, a local APIC by MSRs with the TSC as its deadline, the whole of configuration space
	expect_equal "$(console_values clock)" kvm-clock
	for flag in x2apic tsc_deadline_timer hypervisor; do
		expect_console "^@@ flags .* $flag "
	done
	expect_console '^@@ log .*x2apic enabled'
	expect_console '^@@ log .*TSC deadline timer available'
	expect_console '^@@ tick .*lapic-deadline'
	expect_console '^@@ log .*PCI: MMCONFIG for domain 0000 \[bus 00-00\] at \[mem 0xe0000000-0xe00fffff\]'
}

# What libvirt makes of machine q35: virtio devices behind root ports that are functions of one device.
test_root_ports()
{
	images/mkdisk --size 16M "$WORK/disk" tests/lab
	sha256sum <"$WORK/disk" | cut -c 1-64 >"$WORK/disk.sum"
	{
		init_script
		cat <<'END'
load-modules
for d in /sys/bus/pci/devices/*; do say pci ${d##*/} $(cat $d/class); done
say disk $(readlink -f /sys/block/vda/device) end
say sum $(sha256sum </dev/vda | cut -c 1-64)
say vectors $(ls /sys/bus/pci/devices/0000:01:00.0/msi_irqs | wc -l)
say net $(readlink -f /sys/class/net/eth0/device) end
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 -s /bin/true 2>&1 | sed 's/^/@@ dhcp /'
# The guest's own reset of what is behind a port, then all found anew.
echo 0000:01:00.0 >/sys/bus/pci/drivers/virtio-pci/unbind
say methods $(cat /sys/bus/pci/devices/0000:01:00.0/reset_method)
check reset eval 'echo 1 >/sys/bus/pci/devices/0000:01:00.0/reset'
echo 0000:01:00.0 >/sys/bus/pci/drivers/virtio-pci/bind
say sum-after-reset $(sha256sum </dev/vda | cut -c 1-64)
echo 1 >/sys/bus/pci/devices/0000:00:02.0/remove
check removed [ ! -e /sys/block/vda ]
echo 1 >/sys/bus/pci/rescan
say sum-after-rescan $(sha256sum </dev/vda | cut -c 1-64)
END
	} >"$WORK/script"
	guest_run --memory 192M --cpus 2 --base "$BASE/devices-cloud.img" \
		--root-port id=pci.1,slot=2,chassis=1,port=16 --root-port id=pci.2,slot=2.1,chassis=2,port=17 \
		--root-port id=pci.3,slot=2.2,chassis=3,port=18 \
		--disk "$WORK/disk,ro,id=virtio-disk0,bus=pci.1" --net user,id=net0,bus=pci.2 <"$WORK/script"
	expect_exit 0
	expect_equal "$(complaints)" ""
	expect_equal "$(console_values pci)" "0000:00:00.0 0x060000
0000:00:01.0 0xff0000
0000:00:02.0 0x060400
0000:00:02.1 0x060400
0000:00:02.2 0x060400
0000:01:00.0 0x010000
0000:02:00.0 0x020000"
	expect_console '^@@ disk /sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/virtio[0-9]* end'
	expect_console '^@@ net /sys/devices/pci0000:00/0000:00:02.1/0000:02:00.0/virtio[0-9]* end'
	expect_console '^@@ log .*PCI: MMCONFIG for domain 0000 \[bus 00-1f\] at \[mem 0xe0000000-0xe1ffffff\]'
	expect_console '^@@ vectors [2-9]'
	expect_console '^@@ dhcp .*lease of 10.0.2.15 obtained'
	for sum in sum sum-after-reset sum-after-rescan; do
		expect_equal "$(console_values "$sum")" "$(<"$WORK/disk.sum")" "$sum"
	done
	expect_console '^@@ ok reset'
	expect_console '^@@ ok removed'
}

test_generic_kernel()
{
	machine_of --kernel "$GENERIC/vmlinuz" --base "$BASE/base-generic.img" --memory 256M --cpus 4
	expect_equal "$(console_values cpus)" 4
}
