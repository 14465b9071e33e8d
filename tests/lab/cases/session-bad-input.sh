# SPDX-License-Identifier: GPL-2.0-only
# Bad input for sessions: one line (what, where, why, what to do), status 1, no guest.
. tests/lab/lib_sessions.sh

start()
{
	[ -e "$WORK/policy" ] || policy "$WORK/policy" a
	guest_run --initrd "$BASE/hello-gzip.img" --memory 192M --timeout 60 --policy "$WORK/policy" "$@"
}

refused()
{
	expect_exit 1
	expect_one_line_error "$1"
	expect_no_console '^@@'
}

test_driver_without_a_policy()
{
	guest_run --initrd "$BASE/hello-gzip.img" --timeout 20 --driver "a:$DUMMY"
	refused 'policy'
}

test_no_such_session()
{
	start --driver "z:$DUMMY"
	refused 'policy.* no session "z"'
}

test_mistake_in_the_policy()
{
	printf 'version = 1;\nsessions = { a = { filse = ( ); }; };\n' >"$WORK/policy"
	start
	refused 'policy:2: .*filse.*did you mean'
	rm "$WORK/policy"
}

test_no_such_driver()
{
	start --driver "a:$WORK/nothing.ko"
	refused 'nothing.ko: .*No such file'
}

test_empty_driver()
{
	: >"$WORK/empty.ko"
	start --driver "a:$WORK/empty.ko"
	refused 'empty.ko'
}

test_truncated_driver()
{
	head -c 5000 "$DUMMY" >"$WORK/half.ko"
	start --driver "a:$WORK/half.ko"
	refused 'half.ko'
}

test_a_program_is_no_driver()
{
	start --driver "a:/bin/true"
	refused '/bin/true'
}

test_driver_of_another_architecture()
{
	cp "$DUMMY" "$WORK/arm.ko"
	printf '\267' | dd of="$WORK/arm.ko" bs=1 seek=18 conv=notrunc status=none
	start --driver "a:$WORK/arm.ko"
	refused 'arm.ko.*(machine|architecture|x86)'
}

test_import_that_nothing_resolves()
{
	start --driver "a:$DRIVERS/bad/umbra_t_badimport.ko"
	refused 'umbra_t_badimport.ko: import .* is refused'
}

test_unknown_relocation()
{
	start --driver "a:$DRIVERS/bad/umbra_t_badreloc.ko"
	refused 'umbra_t_badreloc.ko: cannot be linked: R_X86_64_PC32.*filp_open at .init.text'
}

test_critical_function_whose_address_is_taken()
{
	start --driver "a:$DRIVERS/umbra_t_taken.ko"
	refused 'import filp_open is refused'
}

test_same_driver_twice_without_a_name()
{
	start --driver "a:$DUMMY" --driver "a:$DUMMY"
	refused 'already .module a__dummy.; give this one a name'
}

test_enforced_signatures_on_the_command_line()
{
	start --append module.sig_enforce=1
	refused 'signed modules'
	start --append module.sig-enforce=1
	refused 'append module.sig_enforce: .*signed modules'
	start --append lockdown=integrity
	refused 'signed modules'
}

# The check of the command line looks at the last value; the kernel never switches enforcement off again.
test_enforced_signatures_found_by_the_agent()
{
	start --append 'module.sig_enforce=1 module.sig_enforce=0'
	refused 'refused the shim: Key was rejected.*signed modules'
}

test_kernel_without_a_shim()
{
	cp "$VMM" "$WORK/vmm"
	VMM=$WORK/vmm start
	refused "no shim for kernel $RELEASE .*linux-headers"
}

test_record_is_not_overwritten()
{
	echo precious >"$WORK/record"
	start --record "$WORK/record"
	refused 'record.*exist'
	expect_equal "$(cat "$WORK/record")" precious
}

# The guest waits, so that what ends it is the driver.
start_waiting()
{
	policy "$WORK/policy" a
	initrd "$WORK/image" <<'END'
wait_for 60 test -e /never
END
	guest_run --initrd "$WORK/image" --memory 192M --timeout 90 --policy "$WORK/policy" "$@"
}

test_driver_that_the_guest_refuses_ends_the_guest()
{
	start_waiting --driver "a:$DRIVERS/umbra_t_irq.ko,threads=99"
	refused 'umbra_t_irq.ko in session a: .*Invalid argument'
}

test_driver_that_crashes_in_its_init_ends_the_guest()
{
	start_waiting --driver "a:$DRIVERS/umbra_t_attack.ko,action=read,addr=16"
	refused 'umbra_t_attack.ko in session a: .*it crashed in its init'
}

test_guest_that_ends_before_its_drivers_are_loaded()
{
	start --driver-wait /never --driver "a:$DUMMY"
	expect_exit 1
	expect_one_line_error 'the guest ended when 0 of 1 drivers were loaded'
}
