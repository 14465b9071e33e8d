# SPDX-License-Identifier: GPL-2.0-only
# Devices, threads, helpers and exports: names per session, their undoing, refusals; a policy that
# changes.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/policy" a b
	sed 's/default = "pass";/&\n functions = ( { function = "misc_register"; action = "deny"; error = "EBUSY"; }, { function = "call_usermodehelper"; action = "pass"; } );/' \
		"$WORK/policy" >"$WORK/policy2"
	initrd "$WORK/image" <<'END'
p=/sys/module/a__umbra_t_misc
wait_for 60 test -e $p
wait_for 60 test -e /sys/module/b__umbra_t_misc
wait_for 60 test -e /sys/module/a__umbra_t_umh
wait_for 60 test -e /sys/module/b__umbra_t_thread
taken()
{
	[ "$(dmesg | grep -c 'umbra_t_get: ')" = 2 ]
}
wait_for 60 taken
say taken $(dmesg | grep -o 'umbra_t_get: .*' | sort | tr '\n' ' ')
say devices $(ls /dev | grep umbra | sort | tr '\n' ' ')
say a $(cat /dev/a-umbra_t) b $(cat /dev/b-umbra_t)
say threads $(cat /proc/[0-9]*/comm | grep 't/' | sort | tr '\n' ' ')
say helper $(dmesg | grep -o 'umbra_t_umh.-.: .*')
say ready
read line
say devices-after $(ls /dev | grep -c umbra)
refs()
{
	cat /sys/module/[ab]__umbra_t_export/refcnt | tr '\n' ' '
}
say refs $(refs)
say restored $(dmesg | grep -c 'umbra_t_misc.*gone')
read line
echo 1 >/sys/module/a__umbra_t_umh/parameters/run
wait_for 10 test -s /tmp/ran
say helper-after $(dmesg | grep -o 'umbra_t_umh.-.: .*' | tail -n 1)
say ran $(cat /tmp/ran)
say warnings $(faults | wc -l)
faults
END
	cat >"$WORK/helper" <<'END'
#!/bin/sh
echo "$1" >/tmp/ran
END
	chmod 755 "$WORK/helper"
	add_files "$WORK/image" "$WORK/helper:helper"
	sessions_start --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record" \
		--driver "a:$DRIVERS/umbra_t_misc.ko,text=in-a" --driver "b:$DRIVERS/umbra_t_misc.ko,text=in-b" \
		--driver "b:$DRIVERS/umbra_t_thread.ko,count=2" \
		--driver "a:$DRIVERS/umbra_t_umh.ko,path=/helper" \
		--driver "a:$DRIVERS/umbra_t_export.ko,text=from-a" --driver "b:$DRIVERS/umbra_t_export.ko,text=from-b" \
		--driver "a:$DRIVERS/umbra_t_get.ko" --driver "b:$DRIVERS/umbra_t_get.ko"
	guest_wait_console '^@@ ready' 120
	vmm_driver list --json >"$WORK/list.json"
	vmm_driver unload a:umbra_t_misc
	vmm_driver unload b:umbra_t_misc
	vmm_driver unload a:umbra_t_export 2>"$WORK/held" && echo unloaded >"$WORK/held" || true
	vmm_driver unload a:umbra_t_get
	guest_type go
	guest_wait_console '^@@ restored' 30
	vmm_driver unload a:umbra_t_export >"$WORK/let-go" 2>&1 && echo unloaded >>"$WORK/let-go" || true
	vmm_session policy "$WORK/policy2"
	vmm_driver load "a:$DRIVERS/umbra_t_misc.ko" 2>"$WORK/refused" && echo loaded >"$WORK/refused" || true
	vmm_driver load "a:$DRIVERS/umbra_t_taken.ko" 2>"$WORK/taken" && echo loaded >"$WORK/taken" || true
	sed 's/default = "pass";/& permit = [ "filp_open" ];/' "$WORK/policy2" >"$WORK/policy3"
	vmm_session policy "$WORK/policy3"
	vmm_driver load "a/permitted:$DRIVERS/umbra_t_taken.ko" 2>>"$WORK/taken"
	vmm_session policy "$WORK/policy2" 2>"$WORK/withdrawn" && echo accepted >"$WORK/withdrawn" || true
	vmm_driver unload a:permitted
	vmm_session policy "$WORK/policy2" >"$WORK/unused" 2>&1 && echo accepted >"$WORK/unused" || true
	guest_type go
	guest_wait
	"$VMM" record --json "$WORK/record" | jq .requests >"$WORK/record.json"
}

test_guest_ends_well()
{
	expect_exit 0
	expect_equal "$(console_values warnings)" 0
}

test_one_device_name_in_two_sessions()
{
	expect_console '^@@ devices a-umbra_t b-umbra_t'
	expect_console '^@@ a in-a b in-b'
}

test_varargs_name_of_a_thread()
{
	expect_console '^@@ threads b/t/0-x b/t/1-x'
}

test_helper_is_refused_by_default()
{
	expect_console '^@@ helper umbra_t_umh\[-\]: run /helper: -1'
}

test_unload_takes_names_back()
{
	expect_console '^@@ devices-after 0'
	expect_console '^@@ restored 2'
}

test_symbol_get_finds_the_export_of_its_own_session()
{
	expect_console '^@@ taken umbra_t_get: from-a, critical 0, plain 1 umbra_t_get: from-b, critical 0, plain 1'
	expect_equal "$(jq -r '[.[] | select(.function == "__symbol_get" and .verdict == "deny") | .asked] | unique | join(",")' <"$WORK/record.json")" rtnl_link_register
}

test_symbol_put_lets_go_of_the_same()
{
	expect_in "$WORK/held" 'it is in use'
	expect_console '^@@ refs 0 1'
	expect_in "$WORK/let-go" '^unloaded'
}

test_ledger_counts_objects()
{
	expect_equal "$(jq -r '.[] | select(.session == "a" and .driver == "umbra_t_misc") | .objects' <"$WORK/list.json")" 1
}

test_changed_policy_changes_the_verdict()
{
	expect_in "$WORK/refused" 'Device or resource busy'
	expect_console '^@@ helper-after umbra_t_umh\[-\]: run /helper: 0'
	expect_console '^@@ ran from-kernel'
}

test_refusal_names_the_line_of_the_policy()
{
	expect_in "$WORK/refused" 'umbra_t_misc.ko in session a: .*misc_register."umbra_t".: EBUSY by functions.0. at policy2:'
}

test_permission_in_use_cannot_be_withdrawn()
{
	expect_in "$WORK/withdrawn" 'filp_open is no longer permitted in session a, but driver a:permitted is linked to it'
	expect_in "$WORK/unused" '^accepted'
}

test_address_taken_critical_function_is_refused()
{
	expect_in "$WORK/taken" 'filp_open'
	expect_equal "$(wc -l <"$WORK/taken")" 1
}

test_record_has_driver_and_verdict()
{
	expect_equal "$(jq -r '.[] | select(.function == "misc_register" and .session == "b") | .used' <"$WORK/record.json")" b-umbra_t
	expect_equal "$(jq -r '[.[] | select(.function == "misc_deregister") | .asked] | unique | join(",")' <"$WORK/record.json")" umbra_t
	jq -e '.[] | select(.function == "call_usermodehelper" and .verdict == "deny")' <"$WORK/record.json" >/dev/null
}
