# SPDX-License-Identifier: GPL-2.0-only
# The guest's memory of the system's huge pages, and what to do when there are none.

huge=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

setup()
{
	echo 0 >$huge
	STATUS=0
	guest_run --memory 128M,hugepages </dev/null
	mv "$WORK/errors" "$WORK/none"
	echo 64 >$huge
	[ "$(<$huge)" = 64 ] || skip "no memory for huge pages"
	guest_start --memory 128M,hugepages <<'END'
say total $(awk '/MemTotal/ { print $2 }' /proc/meminfo)
dd if=/dev/urandom of=/tmp/blob bs=1M count=16 2>/dev/null
say sums $(sha256sum </tmp/blob | cut -c 1-64) $(cat /tmp/blob | sha256sum | cut -c 1-64)
say ready
read go
END
	guest_wait_console '^@@ ready'
	pid=$(guest_vmm)
	grep -A 25 'memfd:umbra-ram' "/proc/$pid/smaps" >"$WORK/smaps" || true
	guest_type go
	guest_wait
	echo 0 >$huge
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
}

test_memory_is_of_huge_pages()
{
	expect_in "$WORK/smaps" 'KernelPageSize: *2048 kB'
	expect_equal "$(console_values sums | cut -d ' ' -f 1)" "$(console_values sums | cut -d ' ' -f 2)"
}

test_no_huge_pages()
{
	expect_equal "$(wc -l <"$WORK/none")" 1
	expect_in "$WORK/none" '64 huge pages of 2 MiB are not free .*as root: echo N > /sys/kernel/mm/hugepages'
}
