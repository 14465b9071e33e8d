# SPDX-License-Identifier: GPL-2.0-only
# timeout: 150
# iPXE as Debian ships it: its image as a virtio disk, and its kernel with a script or a command line.

ISO=/usr/lib/ipxe/ipxe.iso
LKRN=/usr/lib/ipxe/ipxe.lkrn
NAME='iPXE 1\.0\.0\+git-20190125\.36a4c85'

# What a user sees, without what moves the cursor.
text()
{
	sed 's/\x1b\[[0-9;?]*[A-Za-z]//g; s/\x1bc//g; s/\r//g' "$WORK/console" >"$WORK/text"
}

ipxe_run()
{
	STATUS=0
	timeout -k 5 90 setpriv --pdeathsig KILL "$VMM" run --firmware seabios --no-reboot "$@" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || STATUS=$?
	text
}

setup()
{
	[ -e "$ISO" ] && [ -e "$LKRN" ] || skip "the package ipxe is not installed"
}

test_image_starts()
{
	local sum

	sum=$(sha256sum <"$ISO")
	ipxe_run --disk "$ISO,ro"
	expect_in "$WORK/text" 'SeaBIOS \(version 1\.16\.2'
	expect_in "$WORK/text" 'Booting from Hard Disk'
	expect_in "$WORK/text" "$NAME"
	expect_in "$WORK/text" 'Features: DNS HTTP iSCSI'
	# Without a network it gives up, and the firmware finds nothing else.
	expect_exit 10
	expect_equal "$(sha256sum <"$ISO")" "$sum"
}

# The sleep of these scripts is a command of iPXE's, tried as the others are: it ends if the guest's clock runs.
test_script()
{
	cat >"$WORK/script" <<'END'
#!ipxe
echo TEST-BEGIN ${version}
set x 5
iseq ${x} 5 && echo ISEQ-OK || echo ISEQ-FAIL
show smbios/manufacturer ||
ifstat ||
echo TEST-END
sleep 1
reboot
END
	ipxe_run --kernel "$LKRN" --initrd "$WORK/script"
	expect_exit 10
	expect_in "$WORK/text" "$NAME"
	expect_in "$WORK/text" '^TEST-BEGIN 1\.0\.0\+git-20190125\.36a4c85'
	expect_in "$WORK/text" '^ISEQ-OK'
	expect_in "$WORK/text" '^TEST-END'
}

test_command_line()
{
	ipxe_run --kernel "$LKRN" --append 'echo CMDLINE-OK && sleep 1 && reboot'
	expect_exit 10
	expect_in "$WORK/text" '^CMDLINE-OK'
	expect_error 'asked for a reboot'
}

test_image_with_a_script_inside()
{
	command -v xorriso >/dev/null || skip "the package xorriso is not installed"
	printf '#!ipxe\necho IMAGE-OK\nsleep 1\nreboot\n' >"$WORK/script"
	images/mkipxe "$WORK/script" "$WORK/disk"
	ipxe_run --disk "$WORK/disk,ro"
	expect_exit 10
	expect_in "$WORK/text" '^IMAGE-OK'
}
