/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the ABI between the VMM and the guest's shim: shared memory, the doorbell's
 * ops, the mailbox's commands.
 *
 * Memory. The VMM owns a region of guest-physical addresses (UMBRA_GPA, reserved in the e820 map).
 * Only the frames and the seen calls can be written by the guest; info, gate, answers, arena,
 * mailbox and the sessions' pages are read-only memory slots: a store there leaves the guest,
 * whatever its page tables say.
 *
 *   info      addresses and descriptors that the VMM computed; written before the first instruction
 *   gate      the one doorbell instruction and the path from a gate entry to the shim
 *   seen      a ring for each CPU, of calls that nobody decides and that do not leave the guest,
 *             and of results of those that were decided and are to be seen
 *   frames    one per call that asks: arguments and copies of the strings that they point to
 *   answers   one per frame, same index: the verdict and the strings to use
 *   arena     strings that the kernel keeps a pointer to (a device's name); live until undone
 *   mailbox   commands of the VMM, a linked driver image behind them
 *   pages     entries of all drivers and sessions; page 0 is the trap page (int3)
 *
 * Doorbell. `out %al, $UMBRA_PORT` at one address in the gate page, called as a C function
 *   s64 doorbell(u64 op, u64 a, u64 b, u64 c, u64 d, u64 e)
 * so that the whole payload is in registers and a frame is named by its index. The VMM takes it
 * only from CPL 0, at that address, while that address translates to the gate's own page. The
 * answer is in rax: 0 or -errno.
 *
 * A frame is held from the marshalling of a call until its answer has been copied out, with
 * preemption disabled, and never while the real function runs. So a CPU holds at most
 * UMBRA_CONTEXTS frames: a task's, and one for each level of interrupt that came between its
 * marshalling and its doorbell. There are that many for every CPU, so that no driver, whatever it
 * does, can leave another one without a frame. A thing that lasts longer than the question (a
 * registration whose result is awaited, a name that is in use) has a ticket in the VMM instead.
 *
 * Why PIO: it is the one exit that stock KVM also takes from CPL 3, where a later execute view runs
 * drivers (vmcall is refused there), and AMD and Intel agree on its length.
 */
#ifndef UMBRA_ABI_H
#define UMBRA_ABI_H

#include <linux/types.h>

#define UMBRA_ABI_VERSION 10
#define UMBRA_MAGIC	  0x61726276656d6d75ULL

#define UMBRA_GPA	  0xc0000000ULL
#define UMBRA_GPA_END	  0xe0000000ULL
#define UMBRA_INFO_GPA	  (UMBRA_GPA + 0x00000000)
#define UMBRA_INFO_SIZE	  0x110000
#define UMBRA_GATE_GPA	  (UMBRA_GPA + 0x00200000)
#define UMBRA_GATE_SIZE	  0x1000
#define UMBRA_SEEN_GPA	  (UMBRA_GPA + 0x00400000)
#define UMBRA_SEEN_SIZE	  0x00410000
#define UMBRA_FRAME_GPA	  (UMBRA_GPA + 0x01000000)
#define UMBRA_ANSWER_GPA  (UMBRA_GPA + 0x02000000)
#define UMBRA_FRAME_SIZE  0x4000
#define UMBRA_FRAMES	  512
#define UMBRA_FRAMES_SIZE (UMBRA_FRAMES * UMBRA_FRAME_SIZE)
/* Calls that can be nested on one CPU: task, softirq, hardirq, NMI. */
#define UMBRA_CONTEXTS	   4
#define UMBRA_ARENA_GPA	   (UMBRA_GPA + 0x03000000)
#define UMBRA_ARENA_SIZE   0x00400000
#define UMBRA_MAILBOX_GPA  (UMBRA_GPA + 0x04000000)
#define UMBRA_MAILBOX_SIZE 0x04000000
#define UMBRA_PAGES_GPA	   (UMBRA_GPA + 0x08000000)
#define UMBRA_PAGES_SIZE   0x18000000

#define UMBRA_PORT 0xe4
/* The agent's only way to say that the shim could not be loaded; value: errno. Ends the guest. */
#define UMBRA_PORT_FAIL 0xe5

/* --- info ------------------------------------------------------------------------------- */

/* Functions of the real kernel that the shim calls and that no module may import by name. */
enum umbra_sym {
	UMBRA_SYM_GET_VM_AREA,	 /* __get_vm_area_caller */
	UMBRA_SYM_INIT_MM,	 /* init_mm */
	UMBRA_SYM_FLUSH_TLB,	 /* flush_tlb_kernel_range */
	UMBRA_SYM_STRNCPY,	 /* strncpy_from_kernel_nofault */
	UMBRA_SYM_WRITE_NOFAULT, /* copy_to_kernel_nofault */
	UMBRA_SYM_D_ABSOLUTE,	 /* d_absolute_path */
	UMBRA_SYM_OPEN_FLAGS,	 /* build_open_flags */
	UMBRA_SYM_OPEN_ROOT,	 /* do_file_open_root */
	UMBRA_SYM_SET_FS_ROOT,	 /* set_fs_root */
	UMBRA_SYM_SET_FS_PWD,	 /* set_fs_pwd */
	UMBRA_SYM_FIND_VM_AREA,	 /* find_vm_area */
	UMBRA_SYMS,
};

#define UMBRA_FN_MAX 16384 /* the catalogue's first, then others whose calls can be seen */
/* The last of them are drivers' own functions, whose calls by the kernel are watched. */
#define UMBRA_WATCHED_MAX   4096
#define UMBRA_WATCHED_FIRST (UMBRA_FN_MAX - UMBRA_WATCHED_MAX)
#define UMBRA_WATCHED_ARGS  6 /* in registers */

/* Bits of umbra_fn.flags */
#define UMBRA_FN_VARIADIC   0x0001
#define UMBRA_FN_IS_PATH    0x0002 /* the name is a path: send the calling task's cwd and root */
#define UMBRA_FN_HAS_STRVEC 0x0004 /* strvec_arg is a char ** to send */

/* How a call that goes ahead is carried out; the values of enum carry_out (policy/catalog.h). */
#define UMBRA_HOW_PLAINLY	 0
#define UMBRA_HOW_OPEN		 1
#define UMBRA_HOW_LOOK_UP	 2
#define UMBRA_HOW_READ_FILE	 3
#define UMBRA_HOW_LOOK_UP_BDEV	 4
#define UMBRA_HOW_OPEN_BDEV	 5
#define UMBRA_HOW_RUN_PROGRAM	 6
#define UMBRA_HOW_SET_UP_PROGRAM 7
#define UMBRA_HOW_UNUSE_MM	 8
#define UMBRA_HOW_INIT_DEVICE	 9
#define UMBRA_HOW_INIT_KOBJECT	 10
#define UMBRA_HOW_GIVE_NAME	 11
/* Call it, then tell the VMM (UMBRA_OP_SEEN, or a ring); no value of enum carry_out. */
#define UMBRA_HOW_SEE 255
/* The driver's own function, called by the kernel: call it, then tell (UMBRA_OP_WATCHED). */
#define UMBRA_HOW_WATCH 254

/* How an argument carries a name; the values of enum name_form (policy/catalog.h). */
#define UMBRA_FORM_NONE	       0
#define UMBRA_FORM_STRING      1
#define UMBRA_FORM_FIELD_PTR   2
#define UMBRA_FORM_FIELD_ARRAY 3
#define UMBRA_FORM_FORMAT      4
#define UMBRA_FORM_RESULT      5

/* How a function says that it failed; the values of enum refusal (policy/catalog.h). */
#define UMBRA_REFUSE_ERRNO   0 /* int: -errno */
#define UMBRA_REFUSE_ERR_PTR 1 /* pointer: ERR_PTR(-errno) */
#define UMBRA_REFUSE_NULL    2 /* pointer: NULL */
#define UMBRA_REFUSE_NEVER   3 /* always called */
#define UMBRA_REFUSE_VOID    4 /* void: not called */
#define UMBRA_REFUSE_CREDS   5 /* called with the credentials in force */

/*
 * Returns true if a function that fails by convention @refusal and has returned @ret has succeeded.
 */
static inline int umbra_succeeded(__u8 refusal, __u64 ret)
{
	switch (refusal) {
	case UMBRA_REFUSE_ERRNO:
		return (__s32)ret >= 0;
	case UMBRA_REFUSE_ERR_PTR:
		return ret < (__u64)-4095;
	case UMBRA_REFUSE_NULL:
		return ret != 0;
	default:
		return 1;
	}
}

/* Returns what a function that fails by convention @refusal returns when a call is refused. */
static inline __u64 umbra_refusal(__u8 refusal, __u32 error)
{
	if (refusal == UMBRA_REFUSE_NULL || refusal == UMBRA_REFUSE_VOID)
		return 0;
	return (__u64) - (__s64)error;
}

#define UMBRA_PEEKS 3

struct umbra_fn {
	__u64 real; /* address of the real function; 0: this kernel does not have it */
	__u32 field_off;
	__u32 field_size;
	__u8 form;
	__u8 name_arg;
	__u8 strvec_arg;
	__u8 refusal;
	__u16 flags;
	__u8 nargs; /* fixed arguments */
	__u8 how;
	/* a bit for each argument that is a const char *; of one that is decided: if it is seen */
	__u8 texts;
	__u8 clears; /* 1 + the argument that points to what is NULL after a failure; 0: none */
	__u8 wide;   /* 1 + the argument that is a kobject above the name; 0: none is */
	/* with FORM_FIELD_ARRAY: members to send besides, 8 bytes from each offset; 0: none */
	__u32 peek_off[UMBRA_PEEKS];
	__u8 pad[20];
};

struct umbra_info {
	__u64 magic;
	__u32 version;
	__u32 n_fns;
	__u32 gsi;	  /* edge-triggered line that says "mail" */
	__u32 doorbell;	  /* offset of the doorbell function in the gate page */
	char release[64]; /* the kernel for which the VMM computed all this */
	__u64 syms[UMBRA_SYMS];
	__u64 pad[64 - UMBRA_SYMS];
	struct umbra_fn fns[UMBRA_FN_MAX];
};

/* --- doorbell --------------------------------------------------------------------------- */

enum umbra_op {
	/*
	 * a: gate VA, b: address of umbra_gate_save(), c: umbra_see_save(), d: umbra_few_save().
	 * One-shot: it precedes any gate.
	 */
	UMBRA_OP_HELLO = 1,
	UMBRA_OP_CALL, /* a: frame, b: gate id. The verdict is in the answer */
	/*
	 * a: ticket of the answer, b: gate id, c: the real function's result. The kernel has let go
	 * of the names that the answer lent, but for those of an object that is registered now. d,
	 * e: of a name in a char array that succeeded, its first 16 bytes: the kernel may have
	 * filled in a %d. 0: of another one
	 */
	UMBRA_OP_RESULT,
	UMBRA_OP_POLL, /* a: frame, b: gate id, c: cookie. The verdict was pending */
	UMBRA_OP_DONE, /* a: sequence of the command, b: result (0 or -errno), c: value */
	UMBRA_OP_LOST, /* a: gate id. No frame was free; b: 1 if the call was refused */
	/* a: sequence. The command's words were read: the mailbox is free, DONE follows */
	UMBRA_OP_TAKEN,
	/* a: frame, b: gate id, c: the real function's result. It was called, nobody decides */
	UMBRA_OP_SEEN,
	UMBRA_OP_GONE,	/* the agent has ended: nobody carries out commands any more */
	UMBRA_OP_DRAIN, /* a: CPU. Its ring of seen calls is half full, or full */
	/*
	 * a: struct module. The kernel's loader has relocated the module, and runs nothing of it
	 * yet. -errno: it must not, as the VMM could not lead its inward entries to it
	 */
	UMBRA_OP_COMING,
	/*
	 * a: gate id, b: result, c: ns that it ran, d: first argument, e: pid as in a frame. The
	 * kernel has called a function of the driver's
	 */
	UMBRA_OP_WATCHED,
};

/*
 * A gate id names caller and function; the gate entry loads it into r11. A caller is one that the
 * VMM can tell from others: a driver with a page of gate entries of its own, or a session's shadow
 * kernel.
 */
#define UMBRA_ID_FN_BITS     14
#define UMBRA_ID(caller, fn) (((__u32)(caller) << UMBRA_ID_FN_BITS) | (fn))
#define UMBRA_ID_FN(id)	     ((id) & ((1u << UMBRA_ID_FN_BITS) - 1))
#define UMBRA_ID_CALLER(id)  ((id) >> UMBRA_ID_FN_BITS)
#define UMBRA_CALLERS	     4096
#define UMBRA_GATE_ENTRY     16 /* bytes per gate entry of a page in a shadow's layout */
#define UMBRA_GATES_PER_PAGE 256
/*
 * An entry of a driver's own, one for each function that it imports (outward), or that it hands to
 * the kernel (inward): 3 bytes of padding, then (the address that branches lead to, or that is
 * handed out) `jmp rel32`, whose displacement so is an aligned 32-bit word, then `ds mov $id,
 * %r11d; jmp rel32`, whose displacement is one, too. The VMM swaps both while the guest runs: the
 * first leads to the function or to the second half, the second to the gate page or, for calls that
 * go into a ring, to the shim. An inward one leads into its padding, int3, until the driver's place
 * is known.
 */
#define UMBRA_OWN_ENTRY	       24
#define UMBRA_OWN_ENTRY_AT     3
#define UMBRA_OWN_ENTRIES_PAGE 170 /* of a page */

/* Pushed by the gate, in memory order; the six argument registers are a va_list's save area. */
struct umbra_regs {
	__u64 arg[6];
	__u64 rax;
	__u64 id;
	__u64 rbp;
	__u64 ret;
	__u64 stack[]; /* arguments from the seventh on */
};

/* The same of a call of a function with three arguments at most, which is put into a ring. */
struct umbra_few_regs {
	__u64 arg[3];
	__u64 id;
	__u64 rbp;
	__u64 ret;
};

#define UMBRA_ARGS 8

#define UMBRA_FRAME_ATOMIC	 0x1
#define UMBRA_FRAME_TOO_LONG	 0x2
#define UMBRA_FRAME_FAULT	 0x4 /* a name pointed nowhere */
#define UMBRA_FRAME_HAS_NAME	 0x8
#define UMBRA_FRAME_NESTED	 0x10 /* interrupted another call between marshal and doorbell */
#define UMBRA_FRAME_WIDE	 0x20 /* the kobject above the name is NULL or the kernel's own */
#define UMBRA_FRAME_OTHER_MOUNTS 0x40 /* the task's mount namespace is not that of init */

#define UMBRA_NAME_MAX	  4096
#define UMBRA_TEXT_MAX	  64
#define UMBRA_COMMAND_MAX 16 /* TASK_COMM_LEN, with the NUL */

/* Offsets and lengths (with the NUL) of strings are into data[]; length 0: absent. */
struct umbra_str {
	__u32 off;
	__u32 len;
};

struct umbra_frame {
	__u32 flags;
	__u32 cpu;
	__u64 args[UMBRA_ARGS];
	__u64 old; /* FIELD_PTR: the field's value; UMBRA_OP_SEEN: for how many ns it ran */
	struct umbra_str name;
	struct umbra_str cwd;
	struct umbra_str root;
	struct umbra_str strvec;
	__u32 used;	   /* bytes of data[] */
	__u32 marshalling; /* claimed, and not rung yet */
	__u64 peek[UMBRA_PEEKS];
	/*
	 * The task (thread) that called, as the guest's init sees it; pid 0: an interrupt's handler
	 * did, or the idle task.
	 */
	__u32 pid;
	char command[UMBRA_COMMAND_MAX];
	__u32 pad;
	/* UMBRA_OP_SEEN: what its arguments of umbra_fn.texts point to, at most UMBRA_TEXT_MAX */
	struct umbra_str text[UMBRA_ARGS];
	__u64 site; /* where the call returns to */
	__u64 time; /* of the guest, ns of its monotonic clock: of the call, not of its end */
	char data[UMBRA_FRAME_SIZE - 248];
};

/* --- seen calls ------------------------------------------------------------------------- */

/*
 * A ring for each CPU, of slots at positions that grow without an end: position P lies P %
 * UMBRA_SEEN_BYTES behind the first slot. Who writes, on its own CPU with preemption off, takes
 * `room`, then the position `head`, each by one instruction, so that an interrupt or an NMI that
 * comes between takes the next ones. A slot's `end`, the position behind it, is written last: so
 * nothing has to be cleared, and one that is not whole yet stops the reader, for the length of an
 * interrupt at most. The VMM writes `tail` and does not read it, nor the others: it counts for
 * itself, and believes a slot no more than its `end` says.
 *
 * Who finds no room looks closer: it rings the doorbell when half of the ring is used, counts a
 * loss when all is, says what time it is, and makes room anew; and so it does when another task
 * calls, whose name it says. The VMM takes the room away when it has drained the ring by itself, so
 * that the time and the name do not grow old.
 */
#define UMBRA_SEEN_CPUS	 64
#define UMBRA_SEEN_SLOT	 128
#define UMBRA_SEEN_SLOTS 512
#define UMBRA_SEEN_BYTES (UMBRA_SEEN_SLOTS * UMBRA_SEEN_SLOT)

/* Values of umbra_seen.id that are no gate ids. */
#define UMBRA_SEEN_TEXT	 0xfffffffdu /* a text of the call that follows, struct umbra_seen_text */
#define UMBRA_SEEN_TASK	 0xfffffffeu /* the task that calls from now on, struct umbra_seen_text */
#define UMBRA_SEEN_CLOCK 0xffffffffu /* struct umbra_seen_clock */

struct umbra_seen {
	__u64 end; /* written last */
	__u32 id;
	__u32 pid;     /* as the kernel has it */
	__u32 context; /* with bits of umbra_seen_clock.interrupt: an interrupt's handler called */
	__u32 pad;
	__u64 start; /* time-stamp counter before the call, and after it */
	__u64 stop;
	__u64 site; /* where it returned to */
	__u64 ret;
	__u64 args[UMBRA_ARGS]; /* as many as the function has */
	__u64 number;		/* of one that was decided: umbra_answer.seen */
};

struct umbra_seen_text {
	__u64 end;
	__u32 id;
	__u32 number; /* of the argument; of the task: its pid */
	char text[UMBRA_TEXT_MAX];
	__u64 pad[6];
};

struct umbra_seen_clock {
	__u64 end;
	__u32 id;
	__u32 interrupt;
	__u64 tsc; /* the time-stamp counter, and what the guest's monotonic clock is then */
	__u64 ns;
	__u64 khz; /* of the counter */
	__u64 pad[11];
};

struct umbra_seen_ring {
	__u64 head;
	__s64 room; /* slots */
	__u64 task; /* the guest's: whose name was said last */
	__u64 pad[5];
	__u64 tail; /* written by the VMM */
	__u64 pad2[7];
	struct umbra_seen slots[UMBRA_SEEN_SLOTS];
};

struct umbra_seen_area {
	__u32 lost[UMBRA_CALLERS]; /* calls of each that there was no slot for */
	struct umbra_seen_ring rings[UMBRA_SEEN_CPUS];
};

/*
 * The values of enum verdict (policy/policy.h). 0 is none: an empty answer is no permission. No
 * rule gives EMULATE or PENDING, and so a cookie for OP_POLL, yet; policy.h says what they are for.
 */
enum umbra_verdict {
	UMBRA_PASS = 1, /* call the real function as asked (with the answer's copy of the name) */
	UMBRA_REWRITE,	/* the same with the answer's name */
	UMBRA_DENY,	/* error: positive errno */
	UMBRA_EMULATE,	/* value, nothing is called */
	UMBRA_PENDING,	/* cookie: ring OP_POLL later */
};

/* open name below root, which is below that of init, RESOLVE_IN_ROOT (openat2(2)) */
#define UMBRA_ANSWER_IN_ROOT 0x1
#define UMBRA_ANSWER_RESULT  0x2 /* ring OP_RESULT with the ticket, once, when all is over */
#define UMBRA_ANSWER_RESTORE 0x4 /* FIELD_PTR: write value into the field after the real function */
#define UMBRA_ANSWER_ARENA   0x8 /* the name is at arena + name.off */
#define UMBRA_ANSWER_CALLERS 0x10 /* root is below the calling task's root, not below init's */

struct umbra_answer {
	__u32 verdict;
	__u32 flags;
	__u32 error;
	__u32 resolve; /* RESOLVE_* of openat2(2) */
	__s64 value;
	__u64 cookie;
	__u64 ticket;
	struct umbra_str root;
	struct umbra_str name;
	__u64 seen; /* not 0: a call that goes ahead comes into the ring with this number, too */
	char data[UMBRA_FRAME_SIZE - 64];
};

/* --- mailbox ---------------------------------------------------------------------------- */

enum umbra_cmd {
	/* For the shim itself: */
	UMBRA_CMD_RESERVE = 1, /* a: pages. Reserve in module space, all trap page; value: VA */
	UMBRA_CMD_RELEASE,     /* a: VA */
	UMBRA_CMD_MAP,	       /* a: count; payload: struct umbra_map[] */
	UMBRA_CMD_PATH_EXISTS, /* payload: path, below PID 1's root; -EAGAIN: not yet */
	UMBRA_CMD_IS_UP,       /* does PID 1 run the user's init; a: on another root? -EAGAIN */
	/* For the agent: */
	UMBRA_CMD_LOAD = 64, /* len: image in the payload; name: module; params */
	UMBRA_CMD_UNLOAD,    /* name */
};

struct umbra_map {
	__u64 va;
	__u64 gpa;
};

#define UMBRA_PARAMS_MAX 4000

struct umbra_mail {
	__u32 seq; /* changes with each command; 0: none yet */
	__u32 cmd;
	__u64 a;
	__u64 len;
	char name[64];
	char params[UMBRA_PARAMS_MAX];
};

#define UMBRA_MAIL_PAYLOAD     0x2000
#define UMBRA_MAIL_PAYLOAD_MAX (UMBRA_MAILBOX_SIZE - UMBRA_MAIL_PAYLOAD)

/* Agent to shim: write(2) of this after a command for the agent. */
struct umbra_reply {
	__u32 seq;
	__s32 result; /* 0, -errno, or: */
};
/*
 * The process that entered the kernel for it was killed there: an oops. No errno, which an init
 * returns.
 */
#define UMBRA_CRASHED (-4096)
/* Not the end of it: the command was taken, and is carried out beside those that follow. */
#define UMBRA_TAKEN 1

#define UMBRA_AGENT_DIR	 "/.umbra"
#define UMBRA_AGENT_PATH "/.umbra/agent"
#define UMBRA_AGENT_SHIM "/.umbra/shim.ko"
#define UMBRA_AGENT_INIT "/.umbra/init" /* the user's own rdinit=, empty if none was given */

#ifndef __KERNEL__
_Static_assert(UMBRA_FN_MAX <= 1 << UMBRA_ID_FN_BITS, "a gate id names any function");
_Static_assert(UMBRA_CALLERS <= 1 << (32 - UMBRA_ID_FN_BITS), "and any caller");
_Static_assert(UMBRA_GATES_PER_PAGE *UMBRA_GATE_ENTRY == 4096, "gate entries fill a page");
_Static_assert(UMBRA_OWN_ENTRIES_PAGE *UMBRA_OWN_ENTRY <= 4096, "own entries fit a page");
_Static_assert(sizeof(struct umbra_frame) == UMBRA_FRAME_SIZE, "frame size");
_Static_assert(sizeof(struct umbra_seen) == UMBRA_SEEN_SLOT, "slot size");
_Static_assert(sizeof(struct umbra_seen_text) == UMBRA_SEEN_SLOT, "of all kinds");
_Static_assert(sizeof(struct umbra_seen_clock) == UMBRA_SEEN_SLOT, "of all kinds");
_Static_assert(sizeof(struct umbra_seen_area) / 4096 < UMBRA_SEEN_SIZE / 4096, "rings' size");
_Static_assert(sizeof(struct umbra_answer) == UMBRA_FRAME_SIZE, "answer size");
_Static_assert(sizeof(struct umbra_fn) == 64, "descriptor size");
_Static_assert(sizeof(struct umbra_info) / 4096 < UMBRA_INFO_SIZE / 4096, "info size");
_Static_assert(sizeof(struct umbra_mail) <= UMBRA_MAIL_PAYLOAD, "mail size");
#endif

#endif
