#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Completion in bash: what is offered at which place. Speaks TAP.
set -u
top=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/dir"
ln -s "$top/build/vmm" "$work/bin/vmm"
PATH=$work/bin:$PATH
compopt() { :; }
# shellcheck source=/dev/null
. "$top/tools/completion.bash"
cd "$work" || exit 1
touch disk.img driver.ko dir/other.ko
n=0

# offers LINE WORD...: just these, in any order, behind this line.
offers()
{
	local line=$1 want got

	shift
	COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=(vmm)
	COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
	_vmm
	got=$(printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | sort | paste -sd' ')
	want=$(printf '%s\n' "$@" | sort | paste -sd' ')
	n=$((n + 1))
	if [ "$got" = "$want" ]; then
		echo "ok $n - completes '$line'"
	else
		echo "expected '$want', found '$got'"
		echo "not ok $n - completes '$line'"
	fi
}

offers 'vmm ru' run
offers 'vmm zzz'
offers 'vmm help doc' doctor
offers 'vmm run --kern' --kernel
offers 'vmm run --no-k' --no-kaslr
offers 'vmm run --kernel di' dir/ disk.img
offers 'vmm run --kernel=di' dir/ disk.img
offers 'vmm run --disk=disk.img,se' disk.img,serial=
offers 'vmm run --disk disk.img,ro,aio=' auto io_uring threads
offers 'vmm run --disk disk.img,r' disk.img,ro
offers 'vmm run --firmware se' seabios
offers 'vmm run --console so' socket-fd= socket=
offers 'vmm run --console socket=di' dir/ disk.img
offers 'vmm run --port a=p' pty
offers 'vmm run --net u' user
offers 'vmm run --net user,tf' user,tftp=
offers 'vmm run --net user,tftp=d' dir/
offers 'vmm run --driver a:dr' driver.ko
offers 'vmm run --memory '
offers 'vmm run --memory 1G,hugepages=' 2M 1G
offers 'vmm run --balloon o' on off
offers 'vmm run --balloon on,re' on,reporting=
offers 'vmm run --balloon on,deflate-on-oom=' on off
offers 'vmm run --disk vhost-user=di' dir/ disk.img
offers 'vmm run --config di' dir/ disk.img
offers 'vmm driver ' list load unload verify
offers 'vmm driver l' list load
offers 'vmm driver load a:dir/' dir/other.ko
offers 'vmm driver list --js' --json
offers 'vmm session policy di' dir/ disk.img
offers 'vmm record -s a di' dir/ disk.img
offers 'vmm inspect dr' driver.ko
offers 'vmm prepare di' dir/ disk.img

# Every option that a command knows is offered.
while read -r command; do
	mapfile -t options < <(vmm "$command" --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' |
		grep -oE -- '--[a-z-]+' | sort -u)
	offers "vmm $command --" "${options[@]}"
done < <(vmm help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p')

# Guests by their sockets, which nobody need answer.
if [ "$EUID" = 0 ]; then
	mkdir -p /run/umbra
	dir=/run/umbra
else
	export XDG_RUNTIME_DIR=$work
	mkdir "$work/umbra"
	dir=$work/umbra
fi
guest=umbra-completion-$$
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1) or die' \
	"$dir/$guest.sock"
offers "vmm driver list --guest $guest" "$guest"
offers "vmm session -g umbra-compl" "$guest"
# One that has ended, where that is of use.
mkdir -p "$dir/ended"
: >"$dir/ended/$guest-gone.end"
offers "vmm wait umbra-compl" "$guest" "$guest-gone"
offers "vmm logs umbra-compl" "$guest" "$guest-gone"
offers "vmm stop umbra-compl" "$guest"
offers "vmm memory umbra-compl" "$guest"
rm -f "$dir/ended/$guest-gone.end"
rm -f "$dir/$guest.sock"
echo "1..$n"
