# SPDX-License-Identifier: GPL-2.0-only
# The stock cloud kernel boots to its own init and powers off.

setup()
{
	guest_run --memory 192M --cpus 2 <<'END'
say uname $(uname -r)
say pid $$
say cpus $(grep -c ^processor /proc/cpuinfo)
END
}

test_power_off_is_status_0()
{
	expect_exit 0
	expect_console '^@@ end'
}

test_kernel_is_the_stock_one()
{
	expect_equal "$(console_values uname)" "$RELEASE"
}

test_init_is_the_users()
{
	expect_equal "$(console_values pid)" 1
}

test_all_cpus_are_up()
{
	expect_equal "$(console_values cpus)" 2
}
