# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# A mediated call in a hard interrupt, on top of another that is between marshal and doorbell.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/policy" a
	initrd "$WORK/image" <<'END'
mkdir -p /s/a/t
for i in 0 1 2 3; do echo "thread $i" >/s/a/t/$i; done
touch /s/ready
p=/sys/module/a__umbra_t_irq/parameters
wait_for 60 test -e $p/done
wait_for 400 grep -q '^4$' $p/done
for i in opened hits mismatches; do say $i $(cat $p/$i); done
say finished
read line
END
	sessions_start --timeout 500 --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record" --driver-wait /s/ready \
		--driver "a:$DRIVERS/umbra_t_irq.ko,threads=4,iterations=2500"
	guest_wait_console '^@@ finished' 450
	vmm_session stats --json >"$WORK/stats"
	guest_type go
	guest_wait
}

test_guest_ends_well() { expect_exit 0; }

test_no_argument_is_mixed_up()
{
	expect_equal "$(console_values opened)" 10000
	expect_equal "$(console_values mismatches)" 0
}

test_thousands_hit_between_marshal_and_doorbell()
{
	[ "$(jq '."nested-calls"' <"$WORK/stats")" -ge 1000 ] ||
		fail "only $(jq '."nested-calls"' <"$WORK/stats") calls hit the window"
}

test_helper_and_its_argument_kept_together()
{
	# path /t/irq-N with argv "/t/irq-N irq-N"
	expect_equal "$(grep call_usermodehelper "$WORK/record" |
		grep -vcE '/t/irq-([0-9]+)".*/t/irq-\1 irq-\1"' || true)" 0
}
