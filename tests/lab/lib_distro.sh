# SPDX-License-Identifier: GPL-2.0-only
# For cases about a whole distribution: a copy of images/mkdebian's disk, and what a person does on
# its console: log in, type, read.

DEBIAN=$IMAGES/debian

# A copy of the disk for this case: $WORK/disk.img. From a sparse archive, because reading 1 GB of
# holes through the lab's 9p takes a minute.
distro_disk()
{
	[ -s "$BASE/debian.tar" ] || skip "no Debian disk: run images/mkdebian as root"
	tar -xSf "$BASE/debian.tar" -C "$WORK"
	# It looks for snapshots of LVM, which takes it minutes in a lab.
	debugfs -w -R 'rm /etc/systemd/system/multi-user.target.wants/e2scrub_reap.service' "$(distro_fs)" >/dev/null 2>&1
}

# The disk's file system, as e2fsprogs names it.
distro_fs()
{
	echo "$WORK/disk.img?offset=1048576"
}

# distro_start SECONDS VMM-OPTION...: in the background, as guest_start does it. What is in the array
# distro_wrap precedes the command.
distro_wrap=()
distro_start()
{
	# In a machine of one CPU a guest of two waits for itself, until systemd's own limits end its units.
	local limit=$(($1 * 3)) cpus=$(($(nproc) > 1 ? 2 : 1))
	shift

	rm -f "$WORK/input"
	mkfifo "$WORK/input"
	guest_name=distro-$$
	timeout -k 5 "$limit" setpriv --pdeathsig KILL ${distro_wrap[@]+"${distro_wrap[@]}"} "$VMM" run \
		--name "$guest_name" --memory 448M --cpus "$cpus" --disk "$WORK/disk.img" "$@" >"$WORK/console" 2>"$WORK/errors" \
		<"$WORK/input" &
	GUEST=$!
	exec {GUEST_INPUT}>"$WORK/input"
}

# Its own kernel and initramfs: distro_start_direct SECONDS APPEND VMM-OPTION...
distro_start_direct()
{
	local limit=$1 append

	append="$(<"$DEBIAN/cmdline") $2"
	shift 2
	distro_start "$limit" --kernel "$DEBIAN/vmlinuz" --initrd "$DEBIAN/initrd.img" \
		--append "$append" "$@"
}

# Log in as root; then `say` works in there as it does in other guests. What is typed at the very
# moment when a prompt is printed is thrown away, here as on any terminal; nothing on the console tells when
# that is over, so it gets a time.
distro_login()
{
	guest_wait_console 'umbra login: ' "${1:-800}"
	sleep 1
	guest_type root
	guest_wait_console '^Password: ' 120
	sleep 1
	guest_type umbra
	guest_wait_console 'root@umbra:~# ' 120
	guest_type 'stty -echo; bind "set enable-bracketed-paste off"; PS1='
	guest_type 'say() { printf "\n@@ %s\n" "$*"; }; say shell'
	guest_wait_console '^@@ shell' 30
}

# distro_stop: as its user would from outside. What `vmm stop` said is in $WORK/stop, its status too.
distro_stop()
{
	local code=0

	"$VMM" stop --timeout 120 "$guest_name" >"$WORK/stop" 2>&1 || code=$?
	echo "status $code" >>"$WORK/stop"
	guest_wait
}

# distro_check: the file system is whole, and was unmounted.
distro_check()
{
	e2fsck -fn "$(distro_fs)" >"$WORK/fsck" 2>&1 || fail "fsck: $(cat "$WORK/fsck")"
	expect_in "$WORK/fsck" '^umbra: .* files'
	expect_not_in "$WORK/fsck" 'recover|WARNING|Fix'
	expect_equal "$(dumpe2fs -h "$(distro_fs)" 2>/dev/null | sed -n 's/^Filesystem state: *//p')" clean
}

# distro_type SECONDS COMMAND: and wait until it is done.
distro_type()
{
	distro_typed=$((${distro_typed-0} + 1))
	guest_type "$2"
	guest_type "say done $distro_typed"
	guest_wait_console "^@@ done $distro_typed" $(($1 * 3))
}
