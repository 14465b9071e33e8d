# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# Stock drivers in two sessions, beside the plain one, on a guest that knows nothing of it.
. tests/lab/lib_sessions.sh

# Load a driver and unload it, so many times.
cycles()
{
	local i

	for ((i = 0; i < $1; i++)); do
		{ vmm_driver load "b/cycled:$DRIVERS/umbra_t_misc.ko" && vmm_driver unload b:cycled; } \
			>>"$WORK/cycles" 2>&1 || echo "cycle $i: $?" >>"$WORK/cycles"
	done
}

# What the VMM has: "descriptors kB", and what its commands tell.
host_measure()
{
	local pid

	pid=$(guest_vmm)
	echo "$(find "/proc/$pid/fd" -mindepth 1 | wc -l) $(sed -n 's/^VmData:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")"
	vmm_session list
	vmm_driver list
	vmm_session stats --json
}

setup()
{
	# a holds two copies of one driver, so its names tell instances apart
	policy "$WORK/policy" a b
	sed -i 's/link = "a-%s"/link = "a-%i-%s"/' "$WORK/policy"
	# One session of each layout.
	sed -i 's/^b = {/& layout = "same";/' "$WORK/policy"
	initrd "$WORK/image" <<'END'
say pid $$
say files $(ls -a / | tr '\n' ' ')
say ours $(ls -d /.umbra /.proc /.root 2>/dev/null | wc -l)
wait_for 60 test -e /sys/class/net/adummy0
wait_for 60 test -e /sys/class/net/bdummy0
wait_for 60 test -e /sys/class/net/adummy1
wait_for 60 test -e /dev/b-umbra_t
wait_for 60 test -b /dev/ram0
insmod /dummy.ko && say plain loaded
ip link set lo up
for i in dummy0 adummy0 bdummy0; do
	ip link set $i up
done
ip addr add 10.9.1.1/24 dev adummy0
ip addr add 10.9.2.1/24 dev bdummy0
ip addr add 10.9.3.1/24 dev dummy0
ping -c 1 -W 1 10.9.1.2 >/dev/null 2>&1
for i in adummy0 bdummy0 dummy0; do
	say tx $i $(cat /sys/class/net/$i/statistics/tx_packets)
done
say kinds $(ip link add k0 type a-dummy-dummy && ip link add k3 type a-second-dummy && ip link add k1 type b-dummy && ip link add k2 type dummy && echo all)
dd if=/dev/urandom of=/tmp/r bs=64k count=16 2>/dev/null
cat /tmp/r >/dev/ram0
sync
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/ram0 bs=64k count=16 2>/dev/null | cmp - /tmp/r && say ram same
say modules $(sed 's/ .*//' /proc/modules | sort | tr '\n' ' ')
say loaded
read line
for i in k0 k1 k2 k3; do ip link del $i; done
say told
read line
# What a load could leave behind. (The kernel frees areas and tasks in its own time.)
areas()
{
	grep -c 'umbra\|load_module\|module_alloc' /proc/vmallocinfo
}
tasks()
{
	ls /proc | grep -c '^[0-9]'
}
measure()
{
	say $1 areas $(areas) modules $(wc -l </proc/modules) devices $(wc -l </proc/misc) names $(ls /sys/module | wc -l)
	say memory $1 $(sed -n 's/^SUnreclaim: *\([0-9]*\).*/\1/p' /proc/meminfo) $(sed -n 's/^VmallocUsed: *\([0-9]*\).*/\1/p' /proc/meminfo) $(tasks)
}
measure first
say measured first
read line
measure last
say measured last
read line
say after $(ls /sys/class/net | sort | tr '\n' ' ') $(sed 's/ .*//' /proc/modules | sort | tr '\n' ' ')
say warnings $(faults | wc -l)
faults
say areas $(grep -c 'reserve\|map_between' /proc/vmallocinfo)
END
	add_files "$WORK/image" "$DUMMY:dummy.ko"
	sessions_start --timeout "$(many 300 800)" --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record" --driver "a:$DUMMY" --driver "b:$DUMMY" \
		--driver "b/two:$DRIVERS/umbra_t_misc.ko" --driver "a/second:$DUMMY" --driver "a:$BRD,rd_nr=1,rd_size=4096"
	guest_wait_console '^@@ loaded' 120
	vmm_driver list --json >"$WORK/list.json"
	vmm_driver list >"$WORK/list"
	vmm_session list >"$WORK/sessions"
	for d in a:dummy a:second a:brd b:dummy b:two; do
		"$VMM" driver --guest "$guest_name" verify --json "$d" >"$WORK/verify-${d/:/-}" || true
	done
	guest_type go
	guest_wait_console '^@@ told' 30
	for d in a:dummy a:second a:brd b:two b:dummy; do
		vmm_driver unload "$d" >>"$WORK/unload" 2>&1 || echo "unload $d: $?" >>"$WORK/unload"
	done
	vmm_session list >"$WORK/sessions-after"
	# The first load makes what stays, such as the areas of the shim.
	cycles 1
	guest_type go
	guest_wait_console '^@@ measured first' 30
	host_measure >"$WORK/host-first"
	# Alone in its session, which takes module space and gives it back; then beside another one.
	cycles $(($(many 10 80) / 2))
	vmm_driver load "b:$DUMMY"
	cycles $(($(many 10 80) / 2))
	vmm_driver unload b:dummy
	guest_type go
	guest_wait_console '^@@ measured last' 30
	host_measure >"$WORK/host-last"
	guest_type go
	guest_wait
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
	expect_equal "$(console_values warnings)" 0
}

test_init_is_the_users_and_no_file_is_left()
{
	expect_equal "$(console_values pid)" 1
	expect_equal "$(console_values ours)" 0
}

test_copies_and_the_plain_driver_live_side_by_side()
{
	expect_console '^@@ plain loaded'
	expect_console '^@@ modules a__brd a__dummy a__second b__dummy b__two dummy '
	expect_equal "$(console_values kinds)" all
}

test_an_interface_passes_a_packet()
{
	[ "$(console_values 'tx adummy0')" -ge 1 ] || fail "no packet sent by adummy0"
}

test_a_block_device_reads_back_what_was_written()
{
	expect_console '^@@ ram same'
}

test_driver_list()
{
	expect_equal "$(grep -c loaded "$WORK/list")" 5
	expect_equal "$(jq -r '.[] | select(.session == "b") | .driver' <"$WORK/list.json" | sort | tr '\n' ' ')" \
		"dummy two "
}

test_every_branch_decoded_from_guest_memory_stays_in_the_session()
{
	local f

	for f in "$WORK"/verify-*; do
		expect_equal "$(jq '.violations | length' <"$f")" 0 "$f"
		[ "$(jq .branches.shadow <"$f")" -ge 2 ] || fail "$f: few branches"
	done
	[ "$(jq .branches.gate <"$WORK/verify-a-dummy")" -ge 1 ] || fail "dummy has no gates"
}

test_unloading_leaves_nothing()
{
	expect_equal "$(cat "$WORK/unload")" ""
	expect_equal "$(console_values after | grep -c '__')" 0
	expect_equal "$(console_values after | grep -cE '[ab]dummy')" 0
	expect_equal "$(grep -c 0xffff "$WORK/sessions-after" || true)" 0
}

test_record_names_session_driver_and_both_names()
{
	"$VMM" record --json "$WORK/record" | jq .requests >"$WORK/record.json"
	expect_equal "$(jq -r '.[] | select(.function == "misc_register" and .driver == "two") | .used' \
		<"$WORK/record.json")" b-umbra_t
}

# grown FIELD MOST BEFORE AFTER: the field of a line is more by MOST at most.
grown()
{
	local before after

	before=$(cut -d ' ' -f "$1" <<<"$3")
	after=$(cut -d ' ' -f "$1" <<<"$4")
	[ $((after - before)) -le "$2" ] || fail "field $1 has grown by more than $2: $3, then $4"
}

test_loads_and_unloads_leave_nothing()
{
	local first last

	expect_equal "$(grep -v '^b:cycled: [0-9]* of [0-9]* imports are seen under this policy$' "$WORK/cycles")" ""
	expect_equal "$(console_values last)" "$(console_values first)"
	# kB of memory that the kernel does not get back by itself, kB of mapped areas, tasks.
	first=$(console_values 'memory first') last=$(console_values 'memory last')
	grown 1 256 "$first" "$last"
	grown 2 128 "$first" "$last"
	grown 3 6 "$first" "$last"
}

test_loads_and_unloads_leave_nothing_in_the_vmm()
{
	local first last

	# Descriptors, kB of memory.
	first=$(head -n 1 "$WORK/host-first") last=$(head -n 1 "$WORK/host-last")
	grown 1 0 "$first" "$last"
	grown 2 1024 "$first" "$last"
	expect_equal "$(sed 1d "$WORK/host-last" | grep -v '"calls"\|"results"')" \
		"$(sed 1d "$WORK/host-first" | grep -v '"calls"\|"results"')"
}
