#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The table of which row of the catalogue is tried by which case is whole, and is made of what records prove.
# Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin 'the table of the catalogue' build lab

# The counts, for whoever reads the log, and no complaint.
whole()
{
	tests/catalog-table check >"$work/counts" || { cat "$work/counts"; return 1; }
	cat "$work/counts"
}

# complains WHY FROM TO: the table with FROM in place of TO is found out, by WHY.
complains()
{
	sed "s/$2/$3/" tests/catalog-table.txt >"$work/table"
	! tests/catalog-table check "$work/table" >"$work/why" || { echo "taken: $2 -> $3"; return 1; }
	grep -qF -- "$1" "$work/why" || { cat "$work/why"; return 1; }
}

# A new row without a test.
new_row()
{
	{ cat policy/catalog.txt && echo 'new_row 1 errno reaches'; } >"$work/catalog"
	! tests/catalog-table check tests/catalog-table.txt "$work/catalog" >"$work/why" || return 1
	grep -qF 'new_row has neither a case nor a mark' "$work/why"
}

# line FUNCTION VERDICT ASKED USED RULE
line()
{
	printf '{"function":"%s","verdict":"%s","asked":"%s","used":"%s","rule":"%s"}\n' "$@"
}

a_record()
{
	line misc_register rewrite x a-x names.misc
	line misc_deregister pass x a-x 'undoes a registration'
	line dev_get_by_index deny '' '' default
	echo '{"function":"kfree","verdict":"pass","call":"object=1"}'
	echo '{"event":"driver loaded","text":"x"}'
	printf '{"function":"half'
}

proves()
{
	a_record >"$work/record"
	tests/catalog-table ways case "$work/record" >"$work/ways"
	diff - "$work/ways" <<'END'
dev_get_by_index recorded case
dev_get_by_index refused case
misc_deregister recorded case
misc_register recorded case
misc_register rewritten case
misc_register undone case
END
}

# What another case proves takes the place of nothing, and what a case no longer proves is gone.
made()
{
	sed 's/ case$/ boot/' "$work/ways" >"$work/more"
	tests/catalog-table make "$work/more" | grep -q '^misc_register recorded=boot rewritten=boot undone=boot$\|^misc_register .*recorded=boot'
}

lost()
{
	local name

	name=$(grep -o 'recorded=[a-z-]*' tests/catalog-table.txt | head -n 1)
	: >"$work/none"
	! tests/catalog-table holds "${name#recorded=}" "$work/none" >"$work/why" || return 1
	grep -q ' recorded ' "$work/why"
}

echo 1..9
result 'each row has a case or a mark' whole
result 'a new row has neither' new_row
result 'one without a mark' complains 'filp_open: neither a case nor the mark' '^filp_open .*' filp_open
result 'a row that there is not' complains 'filp_opened is no row' '^filp_open ' 'filp_opened '
result 'a case that there is not' complains 'recorded=none is no way of it' '^\(filp_open\) .*' '\1 recorded=none'
result 'a way that it has not' complains 'refused=boot is no way of it' '^\(filp_close\) .*' '\1 refused=boot'
result 'what a record proves' proves
result 'it is made of that' made
result 'a case that lost what the table says' lost
