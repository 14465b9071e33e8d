# SPDX-License-Identifier: GPL-2.0-only
"""tasks.py CORE VMLINUX: prints the kernel's release and its tasks' names, as drgn finds them in a dump."""
import sys

import drgn
from drgn.helpers.linux.pid import for_each_task

program = drgn.Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
names = {task.comm.string_().decode() for task in for_each_task(program)}
print(program["init_uts_ns"].name.release.string_().decode(), sorted(names))
