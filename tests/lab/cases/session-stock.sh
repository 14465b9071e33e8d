# SPDX-License-Identifier: GPL-2.0-only
# Stock drivers of many kinds, all in one session: the kernel calls them by their inward entries, and
# they call each other.
. tests/lab/lib_sessions.sh

# In the order in which they need each other.
DRIVERS_OF_STOCK='sched/act_police netfilter/x_tables netfilter/nfnetlink lib/libcrc32c
ipv4/netfilter/nf_defrag_ipv4 ipv6/netfilter/nf_defrag_ipv6 netfilter/nf_conntrack nls/nls_cp437 fat/fat
fat/vfat xfs/xfs zstd/zstd_compress raid6/raid6_pq crypto/xor btrfs/btrfs fuse/fuse overlayfs/overlay llc/llc
802/stp netfilter/nf_tables bridge/bridge ipvlan/ipvlan net/macvlan net/veth net/tun team/team
team/team_mode_activebackup team/team_mode_loadbalance tls/tls bonding/bonding ipv4/udp_tunnel
ipv6/ip6_udp_tunnel vxlan/vxlan crypto/libchacha crypto/libcurve25519-generic crypto/curve25519-x86_64
crypto/poly1305-x86_64 crypto/chacha-x86_64 crypto/libchacha20poly1305 wireguard/wireguard block/brd
block/loop block/nbd md/md-mod md/raid1 md/raid10'

setup()
{
	local args=() name file driver

	cat >"$WORK/policy" <<-END
		version = 1;
		sessions = { d = { default = "pass"; critical = { only = [ "kernel_write" ]; }; }; };
	END
	initrd "$WORK/image" <<'END'
wait_for 200 grep -q d__raid10 /proc/modules
for t in team bond veth bridge wireguard; do
	ip link add name y$t type $t && ip link set y$t up && say link $t
done
ip link add link yveth name yipvlan type ipvlan && say link ipvlan
ip link add link veth0 name ymacvlan type macvlan && say link macvlan
dd if=/dev/urandom of=/data bs=4k count=32 2>/dev/null
dd if=/data of=/dev/ram0 bs=4k 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
cmp -n 131072 /data /dev/ram0 && say block same
for t in xfs btrfs vfat fuse overlay; do
	grep -qw $t /proc/filesystems && say type $t
	mount -t $t /dev/ram0 /mnt 2>/dev/null && say mounted $t
done
ip link del ywireguard && ip link del ybridge && say gone
say modules $(grep -c d__ /proc/modules)
say log $(dmesg | grep -cE 'WARNING|BUG|Oops|Call Trace|general protection|int3|invalid opcode')
dmesg | grep -E -A 12 'WARNING|BUG|Oops|Call Trace|general protection|int3|invalid opcode' | head -30
say done
read line
# Once more, while all that can be is watched.
dd if=/dev/ram0 of=/dev/null bs=4k count=16 2>/dev/null && ip link set yteam down && ip link set yteam up &&
	ip link del yveth && say again
say log-again $(dmesg | grep -cE 'WARNING|BUG|Oops|Call Trace|general protection|int3|invalid opcode')
read line
END
	for name in $DRIVERS_OF_STOCK; do
		file=$(find "$MODULES/" -path "*/$name.ko")
		args+=(--driver "d:$file")
	done
	sessions_start --timeout 300 --initrd "$WORK/image" --memory 400M --policy "$WORK/policy" "${args[@]}"
	guest_wait_console '^@@ done' 300 || true
	vmm_driver list --json >"$WORK/list"
	vmm_session list --json >"$WORK/sessions"
	for driver in wireguard nf_tables raid10 team; do
		vmm_driver verify --json "d:$driver" >"$WORK/verify-$driver" || true
	done
	sed 's/default/trace_inward = [ "*" ]; default/' <"$WORK/policy" >"$WORK/watching.policy"
	vmm_session policy "$WORK/watching.policy" >"$WORK/watching" 2>&1 || true
	vmm_driver list --json >"$WORK/list-watching"
	guest_type go
	guest_wait_console '^@@ log-again' 60 || true
	vmm_driver verify --json d:team >"$WORK/verify-watching" || true
	vmm_driver unload d:wireguard >"$WORK/unload" 2>&1 || true
	guest_kill
}

test_stock_drivers_work_by_inward_entries()
{
	local t

	for t in team bond veth bridge wireguard macvlan; do
		expect_console "^@@ link $t"
	done
	expect_console '^@@ block same'
	for t in xfs btrfs vfat fuse overlay; do
		expect_console "^@@ type $t"
	done
	expect_console '^@@ gone'
	expect_console '^@@ modules 46'
}

test_the_kernel_finds_nothing_wrong()
{
	expect_console '^@@ log 0'
	expect_equal "$(cat "$WORK/unload")" ''
}

test_and_all_that_can_be_is_watched()
{
	expect_equal "$(cat "$WORK/watching")" ''
	expect_console '^@@ again'
	expect_console '^@@ log-again 0'
	expect_equal "$(jq '[.[].watched] | add > 1500' <"$WORK/list-watching")" true
	expect_equal "$(jq '.violations | length' <"$WORK/verify-watching")" 0
}

test_each_driver_has_them()
{
	expect_equal "$(jq '[.[] | select(.entries_in > 0)] | length > 40' <"$WORK/list")" true
	expect_equal "$(jq '.[] | select(.driver == "xfs") | .entries_in > 500' <"$WORK/list")" true
	# 64 KiB each at most, in the mean
	expect_equal "$(jq '.[0] | .pages / .drivers < 16' <"$WORK/sessions")" true
}

test_they_lead_into_the_drivers()
{
	local driver

	for driver in wireguard nf_tables raid10 team; do
		expect_equal "$(jq '.violations | length' <"$WORK/verify-$driver")" 0
		expect_equal "$(jq .inward <"$WORK/verify-$driver")" \
			"$(jq --arg d "$driver" '.[] | select(.driver == $d) | .entries_in' <"$WORK/list")"
	done
}
