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

test_generic_kernel()
{
	machine_of --kernel "$GENERIC/vmlinuz" --base "$BASE/base-generic.img" --memory 256M --cpus 4
	expect_equal "$(console_values cpus)" 4
}
