# try
setup() { images/mkdisk --size 8M $WORK/disk; guest_start --disk $WORK/disk <<'END'
load-modules
say up
read x
say got $x
mount -t ext4 /dev/vda /mnt && say mounted
END
guest_wait_console '@@ up'; guest_type hello; guest_wait; }
test_a() { expect_exit 0; expect_equal "$(console_values got)" hello; }
test_b() { expect_console 'mounted'; expect false; }
test_d() { expect_equal "$(guest_pid)" x; }
test_c() { skip "for no reason"; }
