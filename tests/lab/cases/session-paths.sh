# SPDX-License-Identifier: GPL-2.0-only
# Whatever path a driver asks for, in whatever directory and root, it stays in its session's tree.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/policy" a b
	guest_run --memory 192M --cpus 2 --policy "$WORK/policy" --record "$WORK/record" \
		--driver-wait /s/ready --driver "a:$DRIVERS/umbra_t_path.ko,tag=a" \
		--driver "b:$DRIVERS/umbra_t_path.ko,tag=b" <<'END'
mkdir -p /s/a/etc /s/b/etc /s/a/home/u /etc /home/u /jail/etc
echo real >/etc/x; echo a >/s/a/etc/x; echo b >/s/b/etc/x; echo outside >/s/x
echo jail >/jail/etc/x; mkdir -p /s/a/jail/etc; echo a-jail >/s/a/jail/etc/x
echo a-home >/s/a/home/u/y; echo real-home >/home/u/y
ln -s /etc/x /s/a/etc/abs; ln -s ../../../../etc/x /s/a/etc/up; ln -s /s/x /s/a/etc/out
ln -s /proc/self/root /s/a/etc/magic
mkdir -p /s/a/proc; mount -t proc proc /s/a/proc
touch /s/ready
open=/sys/module/a__umbra_t_path/parameters/open
wait_for 60 test -e $open
wait_for 60 test -e /sys/module/b__umbra_t_path/parameters/open
try() # NAME PATH
{
	echo "$2" >$open
	say "$1 $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
}
try plain /etc/x
try dots /etc/../../../../etc/x
try slashes //etc///./x
try absolute-link /etc/abs
try dots-link /etc/up
try link-out /etc/out
try magic-link /proc/self/root/etc/x
try missing /etc/nothing
try empty ''
long=$(head -c 5000 /dev/zero | tr '\0' a)
try long "/$long"
cd /home/u && try relative y
cd /home/u && try relative-up ../../etc/x
cd /
cp /bin/busybox /jail/ 2>/dev/null
mkdir -p /jail/sys; mount -t sysfs sys /jail/sys
chroot /jail /busybox sh -c "echo /etc/x >$open"
say "chroot $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
chroot /jail /busybox sh -c "echo ../../../etc/x >$open"
say "chroot-dots $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
echo /etc/x >/sys/module/b__umbra_t_path/parameters/open
say "other $(dmesg | grep 'umbra_t_path.b' | tail -n 1 | sed 's/.*umbra_t_path.b.: //')"
END
}

content()
{
	expect_equal "$(console_values "$1" | sed 's/.*"\(.*\)".*/\1/')" "$2"
}

test_guest_ends_well() { expect_exit 0; }
test_plain_path() { content plain a; }
test_dots_are_clamped() { content dots a; }
test_slashes() { content slashes a; }
test_absolute_link_stays_inside() { content absolute-link a; }
test_dots_in_a_link_stay_inside() { content dots-link a; }
test_link_to_the_outside_finds_nothing() { expect_console '^@@ link-out open /etc/out: -2'; }
test_magic_link_is_refused() { expect_console '^@@ magic-link open /proc/self/root/etc/x: -18'; }
test_missing_file() { expect_console '^@@ missing open /etc/nothing: -2'; }
test_empty_name() { expect_console '^@@ empty open : -2'; }
test_relative_to_the_callers_directory() { content relative a-home; }
test_relative_with_dots() { content relative-up a; }
test_callers_own_root_is_part_of_the_name() { content chroot a-jail; }
test_dots_do_not_leave_the_callers_root() { content chroot-dots a-jail; }
test_other_session_has_its_own_tree() { content other b; }

test_too_long_a_name()
{
	console_values long | grep -q ': -36$' || fail "not ENAMETOOLONG"
}
