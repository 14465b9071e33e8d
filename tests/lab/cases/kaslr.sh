# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# Six boots, or twenty: the kernel moves, and it moves at random.

BOOTS=$(many 6 20)

setup()
{
	local i

	for i in $(seq "$BOOTS"); do
		guest_run --initrd "$BASE/hello-none.img" --memory 192M </dev/null
		expect_exit 0
		console_values text >>"$WORK/texts"
	done
}

test_every_boot_says_where_it_is()
{
	expect_equal "$(wc -l <"$WORK/texts")" "$BOOTS"
	expect_not_in "$WORK/texts" '^0'
}

test_most_boots_have_an_offset_of_their_own()
{
	local n

	n=$(sort -u "$WORK/texts" | wc -l)
	[ "$n" -ge $((BOOTS * 3 / 4 + 1)) ] || fail "$n different offsets in $BOOTS boots: $(sort "$WORK/texts" | uniq -c)"
}

test_offsets_are_within_the_range_and_aligned()
{
	# 2 MiB steps between the link address and 1 GiB of image range.
	while read -r address _; do
		[ $((0x$address & 0x1fffff)) = 0 ] || fail "$address is not aligned"
		[[ $address > ffffffff80ffffff && $address < ffffffffc0000000 ]] ||
			fail "$address is out of range"
	done <"$WORK/texts"
}
