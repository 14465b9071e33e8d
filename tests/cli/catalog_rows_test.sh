#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# policy/catalog.awk makes rows of the catalogue's lines, and says of a line that is wrong what and where.
# Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin 'the lines of the catalogue' build

# made LINE ROW: the line becomes the row, whatever blanks that has.
made()
{
	local got

	echo "$1" >"$work/lines"
	got=$(awk -f policy/catalog.awk "$work/lines" | grep '{ \.name') || return 1
	[ "$(tr -d ' \t' <<<"$got")" = "$(tr -d ' \t' <<<"$2")" ] || { echo "$got"; return 1; }
}

# refused WHY LINE...
refused()
{
	local why=$1

	shift
	printf '%s\n' "$@" >"$work/lines"
	! awk -f policy/catalog.awk "$work/lines" >"$work/rows" 2>"$work/why" || { echo "taken: $*"; return 1; }
	[ "$(wc -l <"$work/why")" = 1 ] && grep -qF -- "$work/lines$why" "$work/why" || { cat "$work/why"; return 1; }
}

# As many rows as lines, and the same functions in both.
complete()
{
	sed -n 's/^\([a-z_].*\)/\1/p' policy/catalog.txt | cut -d' ' -f1 >"$work/names"
	awk -f policy/catalog.awk policy/catalog.txt | sed -n 's/.*{ \.name = "\([^"]*\)".*/\1/p' | diff "$work/names" -
}

# The policy's manual lists each function.
documented()
{
	local f missing=0

	while read -r f; do
		grep -qF "\`$f\`" policy/POLICY.md || { echo "POLICY.md has no $f"; missing=1; }
	done <"$work/names"
	return $missing
}

# listed LIST: each function of the list is a row and said to be one, or is none and has a reason that its head
# explains.
listed()
{
	awk -v rows="$work/names" '
		BEGIN { while ((getline name <rows) > 0) row[name] = 1 }
		/^#   [a-z-]+  / { explained[$2] = 1 }
		/^#/ || NF == 0 { next }
		{ functions++ }
		NF != 3 || $2 !~ /^[0-9]+$/ { print $0 ": expected FUNCTION MODULES row|REASON"; bad = 1; next }
		$1 in seen { print $1 " stands there twice"; bad = 1 }
		{ seen[$1] = 1 }
		$3 == "row" && !($1 in row) { print $1 " is no row"; bad = 1 }
		$3 != "row" && ($1 in row) { print $1 " is a row"; bad = 1 }
		$3 != "row" && !($3 in explained) { print $1 ": " $3 " is explained nowhere"; bad = 1 }
		END {
			if (functions < 300)
				print "only " functions " functions"
			exit bad || functions < 300
		}' "$1"
}

# not_listed WHY FROM TO: the list with FROM in place of TO is found out, by WHY.
not_listed()
{
	sed "s/$2/$3/" policy/critical.txt >"$work/list"
	! listed "$work/list" >"$work/why" || { echo "taken: $2 -> $3"; return 1; }
	grep -qxF -- "$1" "$work/why" || { cat "$work/why"; return 1; }
}

echo 1..22
result 'the catalogue is complete' complete
result 'each function is in the policy manual' documented
result 'each critical function is a row or is left out for a reason' listed policy/critical.txt
result 'a function that nobody has taken' not_listed 'filp_closed is no row' '^filp_open ' 'filp_closed 1 row\nfilp_open '
result 'one with another reason' not_listed 'mutex_lock: warm is explained nowhere' '^\(mutex_lock .*\) hot' '\1 warm'
result 'a row that is left out' not_listed 'filp_open is a row' '^\(filp_open .*\) row' '\1 hot'
result 'one that stands there twice' not_listed 'filp_open stands there twice' '^filp_open .*' '&\n&'
result 'one without a number' not_listed 'filp_open row: expected FUNCTION MODULES row|REASON' '^\(filp_open\) [0-9]*' '\1'
result 'a string' made 'f 2 errno name=1 space=misc' \
	'{.name="f",.args=2,.refusal=REFUSE_ERRNO,.name_arg=1,.form=NAME_STRING,.space=SPACE_MISC,},'
result 'a format' made 'f 4 err_ptr name=3% space=thread object=result' \
	'{.name="f",.args=4,.refusal=REFUSE_ERR_PTR,.name_arg=3,.form=NAME_FORMAT,.space=SPACE_THREAD,.object_is_result=true,},'
result 'an array of a structure' made 'f 1 never name=0:s.m[] undoes object=0' \
	'{.name="f",.args=1,.refusal=REFUSE_NEVER,.name_arg=0,.strct="s",.member="m",.form=NAME_FIELD_ARRAY,.undoes=true,.object_arg=0,},'
result 'a path of members' made 'f 2 creds name=0:S.m.n copied' \
	'{.name="f",.args=2,.refusal=REFUSE_CREDS,.name_arg=0,.strct="S",.member="m.n",.form=NAME_FIELD_PTR,.copied=true,},'
result 'a name in a directory' made 'f 2 null name=0 space=proc below=1 undo=g kept' \
	'{.name="f",.args=2,.refusal=REFUSE_NULL,.name_arg=0,.form=NAME_STRING,.space=SPACE_PROC,.below=2,.undo="g",.kept=true,},'
result 'a name that is given out' made 'f 3 err_ptr name=result space=path how=give_name' \
	'{.name="f",.args=3,.refusal=REFUSE_ERR_PTR,.form=NAME_RESULT,.space=SPACE_PATH,.how=CARRY_OUT_GIVE_NAME,},'
result 'a name that is looked up' made 'f 2 null name=0% space=kobject wide=1 looks_up from_init' \
	'{.name="f",.args=2,.refusal=REFUSE_NULL,.name_arg=0,.form=NAME_FORMAT,.space=SPACE_KOBJECT,.wide=2,.looks_up=true,.from_init=true,},'
result 'an unknown word' refused ':2: unknown word "reach"' '# x' 'f 1 errno reach'
result 'an unknown key' refused ':1: unknown word "names="' 'f 1 errno names=0'
result 'an unknown space' refused ':1: "disc" is none of: file ' 'f 1 errno space=disc'
result 'an unknown refusal' refused ':1: "int" is none of: errno ' 'f 1 int'
result 'no number' refused ':1: expected a number, found "x"' 'f x errno'
result 'a function twice' refused ':3: f has a line already, 1' 'f 1 errno' 'g 1 errno' 'f 1 errno'
result 'a broken name' refused ':1: expected N, N%, N:STRUCT.MEMBER' 'f 1 errno name=0:s'
