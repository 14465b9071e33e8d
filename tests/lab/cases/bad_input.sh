# SPDX-License-Identifier: GPL-2.0-only
# Bad input ends in one line that names the file, a status that is not 0, and no guest.

refused()
{
	expect_exit 1
	expect_one_line_error "$1"
	expect_equal "$(wc -c <"$WORK/console")" 0 'bytes on the console'
}

run_kernel()
{
	guest_run --kernel "$1" --initrd "$BASE/hello-none.img" --memory 192M --timeout 20
}

test_no_such_kernel()
{
	run_kernel "$WORK/nowhere"
	refused 'nowhere'
}

test_empty_kernel()
{
	: >"$WORK/empty"
	run_kernel "$WORK/empty"
	refused 'empty'
}

test_not_a_kernel()
{
	head -c 1000000 /dev/urandom >"$WORK/noise"
	run_kernel "$WORK/noise"
	refused 'noise'
}

test_truncated_kernel()
{
	head -c 5000000 "$CLOUD/vmlinuz" >"$WORK/half"
	run_kernel "$WORK/half"
	refused 'half'
}

test_kernel_is_a_directory()
{
	run_kernel "$WORK"
	refused 'not a regular file'
}

test_no_such_initrd()
{
	guest_run --initrd "$WORK/nowhere" --memory 192M --timeout 20
	refused 'nowhere'
}

test_too_little_memory()
{
	guest_run --initrd "$BASE/hello-none.img" --memory 20M --timeout 20
	refused 'memory'
}

test_no_such_disk()
{
	guest_run --initrd "$BASE/hello-none.img" --memory 192M --disk "$WORK/nowhere" --timeout 20
	refused 'nowhere'
}

test_unknown_option_gets_a_suggestion()
{
	guest_run --initrd "$BASE/hello-none.img" --memroy 192M --timeout 20
	expect_exit 2
	expect_error '--memory'
}
