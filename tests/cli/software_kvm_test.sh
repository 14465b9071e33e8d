#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vmm run tells at its start, as vmm doctor does, that a KVM of software runs no stock kernel. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
kernel=build/images/cloud/vmlinuz
tap_begin 'software KVM'

if [ ! -w /dev/kvm ] || [ ! -e "$kernel" ]; then
	tap_skip 'software KVM' 'no /dev/kvm or no kernel'
fi

# The start's words, of a guest that is ended as soon as it has said them.
said=$(timeout 15 "$vmm" run --paused --name "unit-kvm-$$" --detach --kernel "$kernel" 2>&1 >/dev/null </dev/null)
"$vmm" kill "unit-kvm-$$" 2>/dev/null
rm -f "${XDG_RUNTIME_DIR:-/run}/umbra/ended/unit-kvm-$$".* /run/umbra/ended/unit-kvm-$$.*
"$vmm" doctor >/dev/null 2>&1
code=$?

# On a processor that virtualizes, the start asks nobody: then it has nothing to say.
agrees()
{
	if [ $code = 3 ] && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
		[[ $said == *'does not run stock kernels'*'see vmm doctor'* ]]
	else
		[[ $said != *'stock kernels'* ]]
	fi || { echo "doctor $code, start: '$said'"; return 1; }
}
result 'the start says what the doctor says' agrees
echo "1..$n"
