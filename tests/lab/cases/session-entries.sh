# SPDX-License-Identifier: GPL-2.0-only
# A driver's entries are turned by another policy while it runs; and a gate whose page table entry
# leads to a copy of its page, which looks the same and rings the same.
. tests/lab/lib_sessions.sh

FREE='critical = { except = [ "filp_open", "filp_close", "kernel_read", "kernel_write" ]; };'

# Put one policy with sessions d (dense) and s (layout "same") into FILE: both FILE SETTINGS-OF-BOTH
both()
{
	cat >"$1" <<-END
		version = 1;
		sessions = {
			d = { files = ( { from = "/"; to = "/s"; } ); default = "pass"; $2 };
			s = { files = ( { from = "/"; to = "/s"; } ); default = "pass"; layout = "same"; $2 };
		};
	END
}

# Put another policy in force, have the driver open a file, and keep what is said: turn NAME TIME
turn()
{
	local status=0

	vmm_session policy "$WORK/$1.policy" >"$WORK/turned-$1" 2>&1 || status=$?
	echo "status $status" >>"$WORK/turned-$1"
	vmm_driver list --json >"$WORK/list-$1"
	guest_type "$1-$2"
	guest_wait_console "^@@ opened $1-$2 " 60
}

recorded()
{
	grep -q "$1" "$WORK/record"
}

setup()
{
	both "$WORK/free.policy" "$FREE"
	both "$WORK/bound.policy" ''
	sed 's/^s = {.*/s = { layout = "same"; '"$FREE"' };/' <"$WORK/bound.policy" >"$WORK/half.policy"
	sed 's/^d = {/& trace = [ "*" ]; trace_inward = [ "brd_*" ];/' <"$WORK/half.policy" >"$WORK/seen.policy"
	initrd "$WORK/image" <<'END'
open=/sys/module/d__umbra_t_path/parameters/open
mkdir -p /s
echo real >/f
echo session >/s/f
wait_for 60 test -e $open
say ready
while read name rest && [ "$name" != attack ]; do
	# A stock driver of which all that can be seen is seen: what was written is read back.
	if [ "$name" = block ]; then
		wait_for 30 test -b /dev/ram0
		dd if=/attack.ko of=/dev/ram0 bs=4k count=8 2>/dev/null
		echo 3 >/proc/sys/vm/drop_caches
		cmp -n 32768 /attack.ko /dev/ram0 && say block same
		continue
	fi
	(echo /f >$open) 2>/dev/null
	say opened $name $(dmesg | grep -o 'read /f: .*' | tail -n 1)
done
insmod /attack.ko action=pte addr=$rest
say remapped $(dmesg | grep -o 'umbra_t_attack: pte done')
(echo /x >$open) 2>/dev/null
say rang
read line
END
	add_files "$WORK/image" "$DRIVERS/umbra_t_attack.ko:attack.ko"
	sessions_start --initrd "$WORK/image" --memory 192M --policy "$WORK/free.policy" --record "$WORK/record" \
		--driver "d:$DRIVERS/umbra_t_path.ko" --driver "s:$DRIVERS/umbra_t_path.ko"
	guest_wait_console '^@@ ready' 120
	vmm_session list --json >"$WORK/sessions"
	turn free 1
	turn bound 1
	turn half 1
	vmm_driver verify --json d:umbra_t_path >"$WORK/verify"
	turn free 2
	turn half 2
	turn seen 1
	vmm_driver load "d:$BRD,rd_nr=1,rd_size=4096"
	vmm_driver list --json >"$WORK/list-brd"
	guest_type block
	guest_wait_console '^@@ block' 60 || true
	vmm_driver verify --json d:brd >"$WORK/verify-brd"
	vmm_driver unload d:brd >"$WORK/unload-brd" 2>&1 || true
	# Whoever unloads a driver has the rings drained before; the file's thread writes soon.
	expect_within 10 recorded '"driver":"brd","function":"unregister_blkdev"'
	cp "$WORK/record" "$WORK/record-before"
	guest_type "attack $(vmm_session stats --json | jq -r .gate)"
	guest_wait_console '^@@ (rang|end)' 60 || true
	vmm_session stats --json >"$WORK/stats"
	guest_kill
}

# what was read at a turn: opened NAME TIME
opened()
{
	grep -aoE "^@@ opened $1-$2 .*" "$WORK/console" | grep -o '"[a-z]*"'
}

test_a_function_becomes_critical_while_its_driver_runs()
{
	expect_equal "$(opened free 1)" '"real"'
	expect_equal "$(opened half 1)" '"session"'
	# each time it was critical, and no other time
	expect_equal "$(grep '"function":"filp_open"' "$WORK/record" | grep -vc '"result"')" 3
	expect_equal "$(jq '.[] | select(.session == "d") | .critical' <"$WORK/list-half")" 4
}

test_and_stops_being_so()
{
	expect_equal "$(opened free 2)" '"real"'
	expect_equal "$(opened half 2)" '"session"'
}

test_a_shadow_of_the_same_layout_cannot()
{
	expect_in "$WORK/turned-bound" 'becomes critical in session s, which driver s:umbra_t_path cannot have.*no gate for it'
	expect_in "$WORK/turned-bound" 'status 1'
	expect_equal "$(opened bound 1)" '"real"'
}

test_only_the_same_layout_takes_a_range()
{
	expect_equal "$(jq -r '.[] | select(.session == "d") | .layout + .shadow' <"$WORK/sessions")" dense
	expect_equal "$(jq '.[] | select(.session == "d") | .pages' <"$WORK/sessions")" 2
	expect_in "$WORK/sessions" '"shadow": *"0xffff'
}

# the last line of the record about FUNCTION, before the attack: line FUNCTION
line()
{
	grep "\"function\":\"$1\"" "$WORK/record-before" | tail -n 1
}

test_an_import_that_nobody_knows_is_seen_with_its_result()
{
	expect_equal "$(opened seen 1)" '"session"'
	expect_equal "$(jq '.[] | select(.session == "d") | .seen > 8 and .critical == 4' <"$WORK/list-seen")" true
	expect_equal "$(line kstrdup | jq -r .call)" 's="/f\x0a", gfp=GFP_KERNEL'
	expect_equal "$(line kstrdup | jq -r '.driver + .verdict + (.result | .[:6]) + .rule' | sed 's/ at .*//')" \
		umbra_t_pathpass0xfffftrace\[0\]
	expect_equal "$(line kfree | jq -r '.result + (.call | sub("0x.*"; ""))')" object=
	expect_equal "$(line kstrdup | jq '.duration_ns > 0 and .pid > 0 and .guest_ns > 1000000000')" true
	expect_equal "$(line kstrdup | jq -r '.site' | sed 's/+0x.*//')" open_set
	expect_equal "$(grep '"session":"d".*"function":"filp_open"' "$WORK/record-before" | jq -r .site | sed 's/+0x.*//' | sort -u)" \
		open_and_use
	expect_equal "$(jq -r 'select(.event == "driver loaded") | .text' "$WORK/record-before" | head -n 1)" \
		"d:umbra_t_path: 0 of 15 imports are seen under this policy; not seen: filp_open, kernel_read, filp_close, kernel_write (files)"
}

# A call that was decided has a second line, with what came of it.
test_a_critical_function_is_seen_with_its_result()
{
	local id=$(line filp_open | jq .id)

	expect_equal "$(grep -c '"function":"filp_open".*"result"' "$WORK/record-before")" 1
	expect_equal "$(line filp_open | jq -r '.call + " " + (.result | sub("0xffff.*"; "")) + .used + .verdict')" \
		'filename="/f", flags=O_RDONLY, mode=0600 (struct file *)/s/frewrite'
	expect_equal "$(line filp_open | jq '.duration_ns > 0 and .pid > 0')" true
	expect_equal "$(grep -c "\"function\":\"filp_open\".*\"id\":$id}" "$WORK/record-before")" 1
	expect_equal "$(line kernel_read | jq -r '.result + (.call | sub("=.*"; ""))')" 8file
	expect_equal "$(line __register_blkdev | jq -r '(.call | sub("0xffff.*"; "")) + .result')" 'major=1, name="ramdisk", probe=0'
	expect_equal "$(line unregister_blkdev | jq -r '.call + .result')" 'major=1, name="ramdisk"'
	# by no exit of its own, and the ring has lost none
	expect_equal "$(jq -s 'map(select(.id and .result == null)) | length' <"$WORK/record-before")" \
		"$(jq -s 'map(select(.id and .result != null)) | length' <"$WORK/record-before")"
}

test_a_stock_driver_works_while_all_of_it_is_seen()
{
	expect_console '^@@ block same'
	expect_equal "$(jq '.[] | select(.driver == "brd") | .seen > 20 and .imports > .seen' <"$WORK/list-brd")" true
	expect_equal "$(line __blk_alloc_disk | jq -r .call | sed 's/, lkclass.*//')" 'node=-1'
	expect_equal "$(cat "$WORK/unload-brd")" ''
	expect_equal "$(jq '.violations | length' <"$WORK/verify-brd")" 0
}

test_what_the_kernel_calls_of_it_is_told()
{
	expect_equal "$(jq '.[] | select(.driver == "brd") | .watched > 2 and .entries_in >= .watched' <"$WORK/list-brd")" true
	expect_equal "$(line brd_submit_bio | jq -r '.driver + .verdict + .result + .rule' | sed 's/ at .*//')" \
		'brdpasstrace_inward[0]'
	expect_equal "$(line brd_submit_bio | jq '.duration_ns > 0 and (.call | startswith("0xffff"))')" true
	expect_equal "$(jq '.inward == 0' <"$WORK/verify-brd")" false
}

test_each_branch_stays_in_the_session()
{
	expect_equal "$(jq '.violations | length' <"$WORK/verify")" 0
	[ "$(jq .branches.gate <"$WORK/verify")" -ge 3 ] || fail "$(cat "$WORK/verify")"
}

test_remapped_gate_is_refused_and_reported()
{
	expect_console '^@@ remapped umbra_t_attack: pte done'
	[ "$(jq '."refused-doorbells"' <"$WORK/stats")" -ge 1 ] || fail "$(cat "$WORK/stats")"
	expect_error "doorbell refused: from a page that is not the gate's"
}
