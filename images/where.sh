# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# where.sh: sourced by the programs of this folder; says where images of guests lie, in $images.
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
