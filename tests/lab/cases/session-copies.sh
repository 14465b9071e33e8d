# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# Copies of drivers beside the guest's own: each name space of the kernel has the session's names, and
# an unload takes away nothing of another one. Session p has templates for devices only, and so what
# drivers got before there were others (its copies stay: tcp_vegas, say, does not look whether it was
# registered, and its unload oopses then); with LONG=1 more stock drivers are tried.
. tests/lab/lib_sessions.sh

COPIES=(net/sched/sch_fq net/sched/sch_htb net/sched/cls_basic net/ipv4/tcp_cdg fs/exfat/exfat
	fs/overlayfs/overlay net/psample/psample drivers/net/ethernet/google/gve/gve
	drivers/hid/hid)
MORE=(net/sched/sch_netem net/sched/sch_tbf net/sched/cls_u32 net/sched/cls_fw net/ipv4/tcp_westwood
	net/ipv4/tcp_htcp fs/romfs/romfs fs/zonefs/zonefs net/core/pktgen drivers/pci/pci-pf-stub
	drivers/firmware/qemu_fw_cfg drivers/misc/mei/mei drivers/media/cec/core/cec drivers/net/macsec)

# Load a copy of each into session $1, and say in $1.loaded which.
copies_load()
{
	local d

	: >"$WORK/$1.loaded"
	for d in "${COPIES[@]}"; do
		vmm_driver load "$1:$MODULES/$d.ko" >>"$WORK/$1.loads" 2>&1 || continue
		echo "${d##*/}" >>"$WORK/$1.loaded"
	done
}

copies_unload()
{
	local d

	tac "$WORK/$1.loaded" | while read -r d; do
		vmm_driver unload "$1:$d" >>"$WORK/$1.unloads" 2>&1 || echo "$1:$d: $?" >>"$WORK/unload-failures"
	done
}

setup()
{
	local d files=()

	[ -z "${UMBRA_LAB_LONG-}" ] || COPIES+=("${MORE[@]}")
	policy "$WORK/policy" a b p
	sed -i 's|thread = "\([ab]\)/%s";|& other = "\1-%s";|' "$WORK/policy"
	initrd "$WORK/image" <<'END'
mount -t debugfs debug /sys/kernel/debug
for m in $(cat /m/list); do
	insmod /m/$m.ko 2>/dev/null || say "no first copy of $m"
done
insmod /m/umbra_t_names.ko
names()
{
	ls -d /proc/*umbra_t_n* /proc/*umbra_t_n/* /proc/net/*umbra_t_n /proc/driver/*umbra_t_n \
		/proc/sys/kernel/*umbra_t_n /proc/sys/net/*umbra_t_n /sys/kernel/debug/*umbra_t_n \
		/sys/class/*umbra_t_n* /dev/*umbra_t_n0 /sys/bus/*umbra_t_n \
		/sys/bus/*umbra_t_n/drivers/* \
		/sys/bus/platform/drivers/*umbra_t_n /sys/bus/platform/devices/*umbra_t_n \
		/sys/bus/pci/drivers/*umbra_t_n /sys/block/*umbra_t_n \
		/sys/devices/virtual/workqueue/*umbra_t_n /sys/fs/*umbra_t_n \
		/sys/fs/*umbra_t_n_i1 /sys/*umbra_t_n_b /sys/devices/*umbra_t_n_d/at \
		/sys/kernel/*umbra_t_n /sys/class/tty/*umbra_t_n0 /sys/kernel/debug/*umbra_t_n_u
	sed -n 's/^ *[0-9]* \(.*umbra_t_n.*\)/major \1/p' /proc/devices
	sed -n 's/^\([^ ]*umbra_t_n\) .*/protocol \1/p' /proc/net/protocols
	grep umbra_t_n /proc/filesystems | tr -d '\t'
	tr ' ' '\n' </proc/sys/net/ipv4/tcp_available_congestion_control | grep umbra_t_n
}
things()
{
	find /proc/* -maxdepth 0 | grep -v '/[0-9]'
	find /proc/sys /proc/net/ /proc/driver /proc/fs /sys/class /sys/bus /sys/block /dev \
		/sys/devices/platform /sys/devices/virtual /sys/kernel/debug -maxdepth 2 | grep -v '/vcs'
	cat /proc/filesystems /proc/misc /proc/devices /proc/sys/net/ipv4/tcp_available_congestion_control
}
things | sort >/tmp/before
names 2>/dev/null | sort -u >/tmp/names
say loaded first
read line
say failed-p $(dmesg | sed -n 's/.*umbra_t_names.p.: \(.*\) .*/\1/p')
names 2>/dev/null | sort -u | diff /tmp/names - && say p-left nothing
dmesg -c >/dev/null
say counting
read line
say failed-ab $(dmesg | sed -n 's/.*umbra_t_names.[ab].: \(.*\) .*/\1/p')
names 2>/dev/null | sort >/tmp/all
for i in a b; do
	sed -n "s/$i[-!]umbra_t_n/umbra_t_n/gp" /tmp/all | sort -u >/tmp/of-$i
	say of-$i $(wc -l </tmp/of-$i) $(diff /tmp/names /tmp/of-$i | grep '^[<>]' | tr '\n' ' ')
done
say first $(wc -l </tmp/names)
say content $(cat /proc/umbra_t_n/in /proc/a-umbra_t_n/in /proc/b-umbra_t_n/in /proc/b-umbra_t_n/link)
say both
read line
things | sort | diff /tmp/before - && say left nothing
names 2>/dev/null | sort -u | diff /tmp/names - && say untouched
say content-after $(cat /proc/umbra_t_n/in /proc/net/umbra_t_n) $(grep -c ^MemTotal /proc/meminfo)
say warnings $(faults | wc -l)
faults
END
	printf '%s\n' "${COPIES[@]##*/}" >"$WORK/list"
	for d in "${COPIES[@]}"; do
		files+=("$MODULES/$d.ko:m/${d##*/}.ko")
	done
	add_files "$WORK/image" "$WORK/list:m/list" "$DRIVERS/umbra_t_names.ko:m/umbra_t_names.ko" "${files[@]}"
	sessions_start --timeout "$(many 500 1400)" --initrd "$WORK/image" --memory 256M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record"
	guest_wait_console '^@@ loaded first' 180
	vmm_driver load "p:$DRIVERS/umbra_t_names.ko,tag=p"
	vmm_driver unload p:umbra_t_names
	copies_load p
	guest_type go
	guest_wait_console '^@@ counting' 60
	vmm_driver load "a:$DRIVERS/umbra_t_names.ko,tag=a,remove=meminfo"
	vmm_driver load "b:$DRIVERS/umbra_t_names.ko,tag=b,remove=umbra_t_n"
	copies_load a
	copies_load b
	vmm_driver list --json >"$WORK/list.json"
	guest_type go
	guest_wait_console '^@@ both' 60
	for d in a b; do
		copies_unload "$d"
		vmm_driver unload "$d:umbra_t_names" || echo "$d: $?" >>"$WORK/unload-failures"
	done
	guest_type go
	guest_wait
	"$VMM" record --json "$WORK/record" >"$WORK/record.json"
	echo "$(wc -l <"$WORK/list") stock drivers; loaded without the templates: $(wc -l <"$WORK/p.loaded"), with: $(wc -l <"$WORK/a.loaded")" >"$WORK/figures"
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ end'
	expect_equal "$(console_values warnings)" 0
}

test_without_templates_a_second_copy_fails()
{
	[ "$(console_values failed-p | wc -w)" -ge 20 ] || fail "only $(console_values failed-p)"
	expect_console '^@@ p-left nothing'
}

test_with_templates_it_has_all_of_its_names()
{
	expect_equal "$(console_values failed-ab)" ""
	expect_equal "$(console_values of-a)" "$(console_values first)"
	expect_equal "$(console_values of-b)" "$(console_values first)"
	expect_equal "$(console_values content)" "- a b b"
}

test_stock_drivers_load_beside_the_first()
{
	expect diff "$WORK/list" "$WORK/a.loaded"
	expect diff "$WORK/list" "$WORK/b.loaded"
	[ "$(wc -l <"$WORK/p.loaded")" -lt "$(wc -l <"$WORK/a.loaded")" ] || fail "$(cat "$WORK/figures")"
}

test_an_unload_takes_away_nothing_of_others()
{
	[ ! -e "$WORK/unload-failures" ] || fail "$(cat "$WORK/unload-failures" "$WORK"/*.unloads)"
	expect_console '^@@ left nothing'
	expect_console '^@@ untouched'
	expect_equal "$(console_values content-after)" "- - 1"
}

test_the_record_says_what_was_really_registered()
{
	expect_equal "$(jq -r 'select(.event == "named") | .text' "$WORK/record" | grep '^a:')" \
		"a:umbra_t_names: register_netdev: aumbra_t%d is aumbra_t0"
	expect_equal "$(jq -r 'select(.session == "a" and .function == "remove_proc_entry" and .asked == "meminfo") |
		"\(.verdict) \(.rule)"' "$WORK/record")" "emulate not registered by this driver"
	expect_equal "$(jq -r 'select(.session == "b" and .function == "remove_proc_subtree") | "\(.asked) \(.used)"' "$WORK/record")" \
		"umbra_t_n b-umbra_t_n"
}
