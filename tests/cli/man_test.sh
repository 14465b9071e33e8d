#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The manual pages: one for each command, whole, and without a complaint of mandoc. Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin pages man

# What mandoc has to say, but for what concerns no reader.
lint()
{
	! mandoc -T lint "$1" | grep -vE 'longer than 80 bytes|operating system explicitly|manual not found'
}

# The page as text, without bold.
plain()
{
	mandoc -T ascii -O width=200 "$1" | sed 's/.\x08//g'
}

# Every option of the help, and every example, is in the page.
complete_page()
{
	local command=$1 missing=0 word text

	text=$(plain "$work/vmm-$command.1")
	while IFS= read -r word; do
		grep -qF -- "$word" <<<"$text" || { echo "vmm-$command.1 lacks: $word"; missing=1; }
	done < <(build/vmm "$command" --help | sed -n -e 's/^ *\(-[a-z], \)\{0,1\}\(--[a-z][a-z-]*\).*/\2/p' \
		-e '/^Examples:/,/^$/s/^ *\(vmm .*\)/\1/p')
	return "$missing"
}

result pages_are_made vmm/cli/man/pages build/vmm "$work"
for page in "$work"/*.[15]; do
	result "lint_of_${page##*/}" lint "$page"
done
commands=$(build/vmm help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')
for command in $commands; do
	result "vmm_${command}_is_described_whole" complete_page "$command"
	result "vmm_help_$command" cmp -s <(build/vmm help "$command") <(build/vmm "$command" --help)
done
result pages_know_of_each_other test "$(plain "$work/vmm.1" | grep -oE 'vmm-[a-z-]+\(1\)' | sort -u | wc -l)" = "$(wc -w <<<"$commands")"
result policy_language grep -q 'umbra.policy' "$work/umbra-policy.5"
echo "1..$n"
