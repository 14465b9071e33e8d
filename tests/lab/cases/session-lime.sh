# SPDX-License-Identifier: GPL-2.0-only
# timeout: 500
# LiME as Debian ships it, twice in two sessions and a third time plainly, one after the other.
. tests/lab/lib_sessions.sh

setup()
{
	local lime=build/lime/$RELEASE/lime.ko

	[ -s "$lime" ] || skip "no LiME; images/build-lime $RELEASE makes it"
	mkdir -p "$WORK/tree/a/d" "$WORK/tree/b/d" "$WORK/tree/d"
	images/mkdisk --size 420M "$WORK/disk" "$WORK/tree"
	cat >"$WORK/policy" <<'END'
version = 1;
sessions = {
	a = { files = ( { from = "/"; to = "/data/a"; } ); default = "deny"; };
	b = { files = ( { from = "/"; to = "/data/b"; } ); default = "deny"; };
};
END
	initrd "$WORK/image" <<'END'
mkdir -p /data /d
load-modules
mount -t ext4 /dev/vda /data && touch /ready
cat /proc/iomem >/data/iomem
wait_for 200 grep -q '^b__lime .*Live' /proc/modules
say modules $(sed 's/ .*//' /proc/modules | grep lime | sort | tr '\n' ' ')
insmod /lime.ko path=/data/d/m format=lime timeout=0 && say plain
say modules $(sed 's/ .*//' /proc/modules | grep lime | sort | tr '\n' ' ')
say asked $(ls /d | wc -l)
umount /data
END
	add_files "$WORK/image" "$lime:lime.ko"
	guest_run --timeout 400 --initrd "$WORK/image" --memory 112M --disk "$WORK/disk" \
		--policy "$WORK/policy" --driver-wait /ready --record "$WORK/record" \
		--driver "a:$lime,path=/d/m,format=lime,timeout=0" \
		--driver "b:$lime,path=/d/m,format=lime,timeout=0"
	debugfs -R "dump /iomem $WORK/iomem" "$WORK/disk" 2>/dev/null
}

test_guest_ends_well()
{
	expect_exit 0
	expect_console '^@@ plain'
}

test_three_copies_live_side_by_side()
{
	expect_console '^@@ modules a__lime b__lime lime'
}

test_each_dump_is_where_its_table_says_and_whole()
{
	local d

	for d in a/d d b/d; do
		debugfs -R "dump /$d/m $WORK/dump" "$WORK/disk" 2>/dev/null
		expect build/tools/limecheck --iomem "$WORK/iomem" "$WORK/dump"
		rm "$WORK/dump"
	done
	expect_equal "$(console_values asked)" 0
}
