/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parses the text forms of a spec's members: the text behind the option of that name, or the value
 * of the key in a configuration file, NAME[,word][,key=value]...
 *
 * Each function adds to the guest or changes it, and returns 0, -EINVAL with a line that names the
 * option and the text, or -ENOMEM; the spec can be freed in any case. The text is borrowed for as
 * long as the spec lives. Relative paths in it lead from @base, a directory with a '/' at its end;
 * NULL: from the working directory.
 */
#ifndef UMBRA_VMM_SPEC_SPEC_TEXT_H
#define UMBRA_VMM_SPEC_SPEC_TEXT_H

#include "vmm/spec/spec.h"

/* Takes SIZE[,shared][,hugepages[=2M|1G]]. */
int spec_take_memory(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes on[,reporting=on|off][,deflate-on-oom=on|off][,id=ID][,slot=N], or off. */
int spec_take_balloon(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes N, a number of CPUs. */
int spec_take_cpus(struct guest_spec *s, const char *base, const char *text, struct err *e);
/*
 * Takes FILE[,ro][,direct][,serial=S][,queues=N][,aio=auto|io_uring|threads][,id=ID][,node=NODE]
 * [,slot=N][,bus=PORT], or vhost-user=SOCKET[,queues=N][,id=ID][,slot=N][,bus=PORT].
 */
int spec_take_disk(struct guest_spec *s, const char *base, const char *text, struct err *e);
/*
 * Takes user[,tftp=DIR][,bootfile=F][,hostfwd=tcp:PORT-:PORT]..., tap=NAME, or tap-fd=N, each
 * with [,mac=M][,id=ID][,slot=N][,bus=PORT].
 */
int spec_take_net(struct guest_spec *s, const char *base, const char *text, struct err *e);
/*
 * Takes stdio, attach, pty, socket=PATH, socket-fd=N or file=PATH, with [,id=ID][,slot=N]
 * [,bus=PORT].
 */
int spec_take_console(struct guest_spec *s, const char *base, const char *text, struct err *e);
/*
 * Takes NAME=pty, NAME=socket=PATH, ..., as --console has them, but stdio and attach; with
 * [,device=ID] as well.
 */
int spec_take_port(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes a UUID, 8-4-4-4-12 hexadecimal digits. */
int spec_take_uuid(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes type=N[,key=text]..., N from 0 to 3, where ",," in a text is a comma. */
int spec_take_smbios(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes fd=N: a control socket more. */
int spec_take_control(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes on[,id=ID][,slot=N][,bus=PORT], or off: the entropy device. */
int spec_take_rng(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes id=ID,slot=S[.F][,chassis=N][,port=N]: a root port, behind which is one device. */
int spec_take_root_port(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes SESSION[/INSTANCE]:FILE.ko[,param=value]... */
int spec_take_driver(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes an absolute path in the guest. */
/* SIZE[,keep=N]: how large the record's file gets, and how many more there are. */
int spec_take_record_size(struct guest_spec *s, const char *base, const char *text, struct err *e);
int spec_take_driver_wait(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes on, off or strict. */
int spec_take_confine(struct guest_spec *s, const char *base, const char *text, struct err *e);
/* Takes seabios or FILE. */
int spec_take_firmware(struct guest_spec *s, const char *base, const char *text, struct err *e);

/*
 * Parses the form of --net into *n, for callers without a guest; the caller frees n->buf, also
 * after an error.
 */
int spec_parse_net(struct spec_net *n, const char *text, struct err *e);
/*
 * Parses the form of --driver into *d, which spec_driver_free() releases, also after an error. An
 * error's line begins with @what, "--driver" for example.
 */
int spec_parse_driver(struct spec_driver *d, const char *what, const char *text, struct err *e);
void spec_driver_free(struct spec_driver *d);

/* Reads a decimal number from @min to @max. -EINVAL, and *out keeps its value. */
int spec_number(const char *text, unsigned min, unsigned max, unsigned *out);

/*
 * Takes @word of @text if it is id=ID, slot=N or bus=PORT. 1: it is one of these; 0: it is another
 * one; -EINVAL and a line that begins with @option.
 */
int spec_device_word(struct spec_device *d, const char *option, const char *text, const char *word,
		     struct err *e);
/* Returns true if the word, up to a comma or the end, is such a one; its value may be none. */
bool spec_is_device_word(const char *word);
/* Copies @value, the id or the node of a device, to @name. -EINVAL, as spec_device_word() does. */
int spec_take_id(char name[SPEC_ID_MAX + 1], const char *option, const char *text, const char *key,
		 const char *value, struct err *e);

/* Takes @value of @key in @text, the number of a descriptor that the process was started with. */
int spec_take_fd(int *fd, const char *option, const char *text, const char *key, const char *value,
		 struct err *e);

/* Returns @path itself, or below @base, on the heap; NULL: out of memory. */
char *spec_path_below(const char *base, const char *path);
/* Returns the value if @word is "@key=value", else NULL. */
const char *spec_word_value(const char *word, const char *key);
/*
 * Returns the length of FILE in "FILE,word,...": up to the first of @separators at which the words
 * begin, as @begin says of @at in @text; all of @text if they begin nowhere. A FILE may have
 * separators in its name.
 */
typedef bool spec_words_begin_fn(const char *text, const char *at);
size_t spec_file_len(const char *text, const char *separators, spec_words_begin_fn *begin);
/*
 * Returns -EINVAL, and a line that @word of @text is no option of @option: with the one of @known
 * (NULL ends them) that was probably meant, else with @form, all that there is.
 */
int spec_unknown_word(const char *option, const char *text, const char *word,
		      const char *const *known, const char *form, struct err *e);

#endif
