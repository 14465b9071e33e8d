# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# where.sh: sourced by the programs of this folder; says where images of guests lie, in $images, and puts
# a new one in its place.
#
# In the source tree that is build/images, and the programs are called by their path. An installed
# Umbra (lib/umbra/images) has no build/: images are kept in $UMBRA_IMAGES, else in the user's data
# directory, of root /var/lib/umbra/images, and `umbra-image NAME` calls them. $me is what the user
# called, $vmm and $images_shown what it would type, for messages; $setup is the advice when a program of
# Debian is missing.

self_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -e "$self_dir/../Makefile" ]; then
	images=$(cd "$self_dir/.." && pwd)/build/images
	images_shown=build/images
	vmm=build/vmm
	me=images/$(basename "$0")
	setup="run 'make setup' as root"
else
	if [ -n "${UMBRA_IMAGES-}" ]; then
		images=$UMBRA_IMAGES
	elif [ "$(id -u)" = 0 ]; then
		images=/var/lib/umbra/images
	else
		images=${XDG_DATA_HOME:-${HOME:?set HOME or UMBRA_IMAGES}/.local/share}/umbra/images
	fi
	images_shown=$images
	vmm=vmm
	me="umbra-image $(basename "$0")"
	setup="install it with apt-get"
fi

# need PROGRAM PACKAGE: say in one line that a program is missing, before anything is done.
need()
{
	PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null && return
	echo "$(basename "$0"): there is no $1 here (Debian's package $2): $setup" >&2
	exit 1
}

# out_check OUT FORCE: refuse, in one line and before anything is done, an OUT that is there already, unless FORCE
# is not empty; then it may be a regular file.
out_check()
{
	local program dir

	program=$(basename "$0") dir=$(dirname "$1")
	if [ ! -d "$dir" ]; then
		echo "$program: $dir: no such directory" >&2
	elif [ -d "$1" ]; then
		echo "$program: $1 is a directory; name a file" >&2
	elif [ -z "$2" ] && { [ -e "$1" ] || [ -L "$1" ]; }; then
		echo "$program: $1 is there already and may be in use; name another, or replace it with --force" >&2
	elif [ -e "$1" ] && [ ! -f "$1" ]; then
		echo "$program: $1 is no regular file, and is not replaced" >&2
	else
		return 0
	fi
	exit 1
}

# out_begin OUT: give in $made a new file beside OUT, which the caller removes at its end. No other user could have
# known its name, so it is no link of theirs.
out_begin()
{
	made=$(mktemp "$(dirname "$1")/.$(basename "$1").XXXXXX") || exit 1
	chmod "$(printf '%o' $((0666 & ~$(umask))))" "$made"
}

# out_end OUT FORCE: put $made in OUT's place. Without FORCE, a file that has come there meanwhile stays.
out_end()
{
	if [ -n "$2" ]; then
		mv -fT "$made" "$1"
	else
		mv -nT "$made" "$1"
		[ ! -e "$made" ] || out_check "$1" ''
	fi
}
