# SPDX-License-Identifier: GPL-2.0-only
#
# Makes the table of policy/catalog_int.h of policy/catalog.txt, which explains its words. A word that it does
# not know ends the build, with file and line.

function fail(why)
{
	printf "%s:%d: %s\n", FILENAME, FNR, why > "/dev/stderr"
	failed = 1
	exit 1
}

function known(text, list)
{
	if (index(" " list " ", " " text " ") == 0)
		fail("\"" text "\" is none of: " list)
	return toupper(text)
}

function number(text)
{
	if (text !~ /^[0-9]+$/)
		fail("expected a number, found \"" text "\"")
	return text
}

# The name's argument and form.
function name_of(text,    part, member, row)
{
	if (text == "result")
		return ".form = NAME_RESULT, "
	if (text ~ /^[0-9]+%$/)
		return ".name_arg = " (text + 0) ", .form = NAME_FORMAT, "
	if (text ~ /^[0-9]+$/)
		return ".name_arg = " text ", .form = NAME_STRING, "
	if (text !~ /^[0-9]+:[A-Za-z0-9_]+(\.[a-z0-9_]+)+(\[\])?$/)
		fail("expected N, N%, N:STRUCT.MEMBER, N:STRUCT.MEMBER[] or result, found \"" text "\"")
	split(text, part, ":")
	member[1] = member[2] = part[2]
	sub(/\..*/, "", member[1])
	sub(/^[^.]*\./, "", member[2])
	row = ".name_arg = " part[1] ", .strct = \"" member[1] "\", "
	if (sub(/\[\]$/, "", member[2]))
		return row ".member = \"" member[2] "\", .form = NAME_FIELD_ARRAY, "
	return row ".member = \"" member[2] "\", .form = NAME_FIELD_PTR, "
}

function origin_of(text,    part, n, i, row)
{
	n = split(text, part, ",")
	row = ".origin = { "
	for (i = 1; i <= n; i++)
		row = row "\"" part[i] "\", "
	return row "}, "
}

function word(key, value)
{
	if (key == "name")
		return name_of(value)
	if (key == "space")
		return ".space = SPACE_" known(value, "file misc net link thread program export module firmware proc sysctl debugfs kobject class device bus driver disk filesystem sched congestion family cache chrdev blkdev nls key protocol path text") ", "
	if (key == "how")
		return ".how = CARRY_OUT_" known(value, "open look_up read_file look_up_bdev open_bdev run_program set_up_program unuse_mm init_device init_kobject give_name") ", "
	if (key == "undo")
		return ".undo = \"" value "\", "
	if (key == "origin")
		return origin_of(value)
	if (key == "strvec")
		return ".has_strvec = true, .strvec_arg = " number(value) ", "
	if (key == "below")
		return ".below = " (number(value) + 1) ", "
	if (key == "wide")
		return ".wide = " (number(value) + 1) ", "
	if (key == "clears")
		return ".clears = " (number(value) + 1) ", "
	if (key == "object")
		return value == "result" ? ".object_is_result = true, " : ".object_arg = " number(value) ", "
	fail("unknown word \"" key "=\"")
}

BEGIN {
	print "#include \"policy/catalog_int.h\"\n"
	print "const struct catalog_fn catalog_rows[] = {"
}

/^#/ || NF == 0 { next }

{
	if (NF < 3)
		fail("expected FUNCTION ARGUMENTS REFUSAL")
	if ($1 !~ /^[a-zA-Z_][a-zA-Z0-9_]*$/)
		fail("\"" $1 "\" is no function's name")
	if ($1 in seen)
		fail($1 " has a line already, " seen[$1])
	seen[$1] = FNR
	row = "{ .name = \"" $1 "\", .args = " number($2) ", .refusal = REFUSE_" known($3, "errno err_ptr null void never creds") ", "
	for (i = 4; i <= NF; i++) {
		at = index($i, "=")
		if (at)
			row = row word(substr($i, 1, at - 1), substr($i, at + 1))
		else if ($i == "reaches" || $i == "undoes" || $i == "from_init" || $i == "kept" || $i == "looks_up" || $i == "copied")
			row = row "." $i " = true, "
		else if ($i == "result")
			row = row ".want_result = true, "
		else
			fail("unknown word \"" $i "\"")
	}
	print "\t" row "},"
	rows++
}

END {
	if (failed)
		exit 1
	if (!rows) {
		print FILENAME ": no functions" > "/dev/stderr"
		exit 1
	}
	print "};\n"
	print "const size_t catalog_n_rows = " rows ";"
	print "_Static_assert(" rows " <= CATALOG_MAX, \"CATALOG_MAX is too small\");"
}
