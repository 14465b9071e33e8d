# SPDX-License-Identifier: GPL-2.0-only
# For cases about sessions: a policy, guests with drivers in them, and `vmm` on the running guest.

DUMMY=$MODULES/drivers/net/dummy.ko
BRD=$MODULES/drivers/block/brd.ko

# One session per name, each with its own tree below /s and its own names.
policy()
{
	local name file=$1
	shift

	{
		echo 'version = 1;'
		echo 'sessions = {'
		for name; do
			cat <<-END
				$name = {
					files = ( { from = "/"; to = "/s/$name"; } );
					names = { misc = "$name-%s"; net = "$name%s"; link = "$name-%s"; thread = "$name/%s"; };
					default = "pass";
				};
			END
		done
		echo '};'
	} >"$file"
}

# Start a guest with sessions; the script on stdin runs in it, guest_kill or guest_wait ends it.
# Runtime files of `vmm` go to the case's own directory, so that cases can run side by side.
sessions_start()
{
	guest_name=case-$$
	guest_start --name "$guest_name" "$@"
}

vmm_driver()
{
	"$VMM" driver --guest "$guest_name" "$@"
}

vmm_session()
{
	"$VMM" session --guest "$guest_name" "$@"
}

# Put files into an initramfs that exists: add_files INITRD FROM:TO...
add_files()
{
	local image=$1 dir=$WORK/.files pair
	shift

	rm -rf "$dir"
	for pair; do
		mkdir -p "$dir/$(dirname "${pair#*:}")"
		cp "${pair%%:*}" "$dir/${pair#*:}"
	done
	(cd "$dir" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet) >>"$image"
}
