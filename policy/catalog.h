/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists the functions that the host PVM can mediate, and how each takes its names: the catalogue.
 *
 * One row per critical function. A row says which argument carries a name, in which form, in which
 * name space, how a refusal looks to the caller, and which function undoes it. Offsets inside
 * structures are not here: they come from the guest kernel's BTF, by the names given. The shim in
 * the guest is driven by descriptors that vmm makes of these rows, so a new row needs no new guest
 * code.
 *
 * The rows are data, policy/catalog.txt, of which the build makes the table: functions are added by
 * people who read prototypes, and a table in C of some hundred rows with a line for each member is
 * read by nobody. It is compiled in, and not read at the start, since each row rests on the
 * convention by which the shim calls the function; no user has any reason to change one.
 */
#ifndef UMBRA_POLICY_CATALOG_H
#define UMBRA_POLICY_CATALOG_H

#include "base/types.h"

/* Form of a name in an argument; which one it is decides how it is read and written back. */
enum name_form {
	NAME_NONE,
	NAME_STRING,	/* arg is const char * */
	NAME_FIELD_PTR, /* arg points to STRUCT; STRUCT.MEMBER is const char *, kept by reference */
	NAME_FIELD_ARRAY, /* arg points to STRUCT; STRUCT.MEMBER is char[n] */
	NAME_FORMAT,	  /* arg is a printf format, its varargs follow */
	NAME_RESULT,	  /* no argument: the function returns where in the driver's buffer it is */
};

/* Kind of thing that a name is of: selects the table of names. */
enum name_space {
	SPACE_NONE,
	SPACE_FILE, /* a path */
	SPACE_MISC, /* misc device */
	SPACE_NET,  /* network interface, %d allowed */
	SPACE_LINK, /* rtnl_link_ops.kind */
	SPACE_THREAD,
	SPACE_PROGRAM,	/* path of a user-mode helper */
	SPACE_EXPORT,	/* an exported symbol that is looked up by its name */
	SPACE_MODULE,	/* a module, or an alias of one, that the guest's modprobe is to load */
	SPACE_FIRMWARE, /* a path below the directories of firmware */
	SPACE_PROC,	/* an entry of /proc; slashes are directories */
	SPACE_SYSCTL,	/* a directory of /proc/sys, likewise */
	SPACE_DEBUGFS,
	SPACE_KOBJECT, /* of /sys, /sys/fs, /sys/kernel and the like */
	SPACE_CLASS,   /* of /sys/class */
	SPACE_DEVICE,  /* of a class, with its node in /dev */
	SPACE_BUS,
	SPACE_DRIVER, /* of a bus, and a platform device, which finds its driver by its name */
	SPACE_DISK,
	SPACE_FILESYSTEM,
	SPACE_SCHED,	  /* a queueing discipline or a classifier of packets */
	SPACE_CONGESTION, /* a congestion control of TCP */
	SPACE_FAMILY,	  /* of generic netlink */
	SPACE_CACHE,	  /* of the slab allocator */
	SPACE_CHRDEV,	  /* of numbers of character devices, in /proc/devices */
	SPACE_BLKDEV,	  /* and of disks */
	SPACE_NLS,	  /* a set of characters */
	SPACE_KEY,	  /* a type of keys */
	SPACE_PROTOCOL,	  /* of sockets, in /proc/net/protocols */
	SPACE_PATH,	  /* of a file that the driver has: the kernel gives it out */
	SPACE_TEXT,	  /* no name, but a message: passed on as it is */
	SPACES,
};

/* How a refusal looks to the caller. */
enum refusal {
	REFUSE_ERRNO,	/* int: -errno */
	REFUSE_ERR_PTR, /* pointer: ERR_PTR(-errno) */
	REFUSE_NULL,	/* pointer: NULL */
	REFUSE_NEVER,	/* always carried out: it undoes, does not return, cannot fail */
	REFUSE_VOID,	/* void: it is not called */
	REFUSE_CREDS,	/* override_creds(): it is called with the credentials in force */
};

/* How the guest carries out a call that goes ahead. */
enum carry_out {
	CARRY_OUT_PLAINLY,	  /* it calls the function, with another name in its place */
	CARRY_OUT_OPEN,		  /* filp_open(): opens below a root */
	CARRY_OUT_LOOK_UP,	  /* kern_path(): looks up below a root */
	CARRY_OUT_READ_FILE,	  /* kernel_read_file_from_path(): opens below a root, and reads */
	CARRY_OUT_LOOK_UP_BDEV,	  /* lookup_bdev(): looks up below a root */
	CARRY_OUT_OPEN_BDEV,	  /* blkdev_get_by_path(): looks up below a root, and opens */
	CARRY_OUT_RUN_PROGRAM,	  /* call_usermodehelper() */
	CARRY_OUT_SET_UP_PROGRAM, /* call_usermodehelper_setup() */
	CARRY_OUT_UNUSE_MM,	  /* kthread_unuse_mm(): not called if the memory is not in use */
	/* what is refused is initialized: its caller gives up a reference */
	CARRY_OUT_INIT_DEVICE,	/* device_register() */
	CARRY_OUT_INIT_KOBJECT, /* kobject_init_and_add() */
	/* d_path(): called first, then asked about; buffer and size are its arguments 1 and 2 */
	CARRY_OUT_GIVE_NAME,
};

/*
 * Upper bound of the number of rows, for tables indexed by catalog_index(). The gate's descriptors
 * have room for so many, too: vmm/gate/info_page.c asserts it.
 */
#define CATALOG_MAX 512

#define CATALOG_ORIGINS 3

struct catalog_fn {
	const char *name;
	enum name_form form;
	u8 args;	   /* number of arguments; of a varargs function: the fixed ones */
	u8 name_arg;	   /* index from 0 */
	const char *strct; /* NAME_FIELD_*: struct and member, for BTF */
	const char *member;
	/* members of strct that tell whether a user of the guest chose the name; see call.c */
	const char *origin[CATALOG_ORIGINS];
	enum name_space space;
	enum refusal refusal;
	const char *undo; /* the function that undoes this one, or NULL */
	/* the argument that identifies the object; only of functions that undo or have an undo */
	u8 object_arg;
	u8 strvec_arg;	       /* with has_strvec: a char ** that is recorded with the call */
	u8 clears;	       /* 1 + the argument: a pointer to what is NULL after a failure; 0 */
	bool object_is_result; /* the return value identifies the object, not an argument */
	bool has_strvec;
	bool undoes;   /* undoes others: the ledger's entry of its object is dropped */
	bool reaches;  /* no name, but it gives out something new: a session's default decides */
	bool looks_up; /* it looks for what has the name, and registers nothing */
	bool kept;     /* NAME_STRING: the kernel keeps a pointer to the name */
	bool copied;   /* NAME_FIELD_PTR: it does not, and the member is put back */
	u8 below;      /* 1 + the argument: the directory in which the name is; 0: there is one */
	u8 wide; /* the same, but only NULL and the kernel's own directories are everybody's */
	bool from_init; /* the path begins at the root of the guest's init, not at the caller's */
	/*
	 * The host is told the result of the real function when it has returned: for a
	 * registration, or a name that the kernel may go on reading after the return (of a
	 * program).
	 */
	bool want_result;
	enum carry_out how;
};

/* Returns true if the name is a path, which is resolved as the calling task would. */
static inline bool catalog_is_path(const struct catalog_fn *fn)
{
	return fn->space == SPACE_FILE || fn->space == SPACE_PROGRAM;
}

/* Returns true if @fn undoes what has the name that it is given, and not an object. */
static inline bool catalog_undoes_name(const struct catalog_fn *fn)
{
	return fn->undoes && fn->form == NAME_STRING && fn->space != SPACE_EXPORT;
}

/* Is row @undo the undoing of some row of @space? Any thread. */
bool catalog_undoes_in(const struct catalog_fn *undo, enum name_space space);

/* Returns the row of function @name, or NULL; or all rows, *count of them. */
const struct catalog_fn *catalog_find(const char *name);
const struct catalog_fn *catalog_all(size_t *count);
/* Returns the index of @fn in catalog_all(), the number that travels over the doorbell. */
unsigned catalog_index(const struct catalog_fn *fn);

#endif
