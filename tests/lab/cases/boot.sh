# SPDX-License-Identifier: GPL-2.0-only
# The stock kernels boot to the user's own init, and end as the exit status says. Other forms of initramfs:
# kernels.sh.

# hello NAME FLAVOUR: one of the ready images of tests/lab/prepare.
hello()
{
	guest_run --kernel "$IMAGES/$2/vmlinuz" --initrd "$BASE/$1.img" --memory 256M --cpus 2
	expect_exit 0
	expect_console "@@ hello $(<"$IMAGES/$2/release") pid 1 cpus 2"
	expect_console '^@@ end'
}

test_gzip_initramfs()
{
	hello hello-gzip cloud
}

test_generic_kernel_with_its_xz_payload()
{
	hello hello-generic generic
}

test_reboot_has_a_status_of_its_own()
{
	guest_run --memory 192M --no-reboot <<'END'
reboot -f
END
	expect_exit 10
}

# Text is where it was linked, too, without KASLR.
test_panic_has_a_status_of_its_own_and_is_explained()
{
	guest_run --memory 192M --no-kaslr <<'END'
say text $(grep -m1 ' _text$' /proc/kallsyms)
echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
END
	expect_exit 11
	expect_one_line_error 'panic'
	expect_equal "$(console_values text)" 'ffffffff81000000 T _text'
}

test_piped_input_reaches_the_guest_and_a_signal_ends_it()
{
	guest_start --memory 192M <<'END'
say up
read -r line
say got "$line"
sleep 1000
END
	guest_wait_console '^@@ up'
	guest_type 'some words'
	guest_wait_console '^@@ got'
	expect_equal "$(console_values got)" 'some words'
	guest_kill TERM
	expect_exit 143
}
