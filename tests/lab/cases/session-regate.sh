# SPDX-License-Identifier: GPL-2.0-only
# A gate whose page table entry leads to a copy of its page: it looks the same and rings the same.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/policy" a
	initrd "$WORK/image" <<'END'
open=/sys/module/a__umbra_t_path/parameters/open
wait_for 60 test -e $open
say ready
read line
insmod /attack.ko action=pte addr=$line
say remapped $(dmesg | grep -o 'umbra_t_attack: pte done')
(echo /x >$open) 2>/dev/null
say rang
read line
END
	add_files "$WORK/image" "$DRIVERS/umbra_t_attack.ko:attack.ko"
	sessions_start --initrd "$WORK/image" --memory 192M --policy "$WORK/policy" --record "$WORK/record" \
		--driver "a:$DRIVERS/umbra_t_path.ko"
	guest_wait_console '^@@ ready' 120
	guest_type "$(vmm_session stats --json | jq -r .gate)"
	guest_wait_console '^@@ (rang|end)' 60 || true
	vmm_session stats --json >"$WORK/stats"
	guest_kill
}

test_remapped_gate_is_refused_and_reported()
{
	expect_console '^@@ remapped umbra_t_attack: pte done'
	[ "$(jq '."refused-doorbells"' <"$WORK/stats")" -ge 1 ] || fail "$(cat "$WORK/stats")"
	expect_error "doorbell refused: from a page that is not the gate's"
}
