// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the core of a small machine: what libelf reads of it, on files and pipes, and what becomes
 * of a VMCOREINFO that lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/boot/probe.h"
#include "vmm/machine/core.h"
#include "vmm/machine/core_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_int.h"

#define MARK_AT (PROBE_SCRATCH + 0x123)
#define NOTE_AT (PROBE_SCRATCH + 0x10000)
#define CPUS	2
#define RAX	0x1122334455667788ULL

static const char mark[] = "a mark in the guest's memory";
static const u8 halt[] = { 0xf4 };

static struct machine *machine_new(void)
{
	struct machine *m;
	struct err e = { "" };

	if (probe_machine(&m, CPUS, halt, sizeof(halt), 0, &e))
		fail_msg("%s", e.text);
	memcpy(machine_gpa(m, MARK_AT, sizeof(mark)), mark, sizeof(mark));
	vcpu_regs(machine_vcpu(m, 1))->rax = RAX;
	vcpu_set_regs_dirty(machine_vcpu(m, 1));
	return m;
}

/* Puts a note at @gpa; @size: what it says of its length. */
static void put_vmcoreinfo(struct machine *m, u64 gpa, const char *text, u32 size)
{
	const u32 head[] = { 11, size, 0 };
	u8 *at = machine_gpa(m, gpa, 4096);

	assert_non_null(at);
	memcpy(at, head, sizeof(head));
	memcpy(at + sizeof(head), "VMCOREINFO", 11);
	memcpy(at + sizeof(head) + 12, text, strlen(text));
}

static int new_file(void)
{
	char path[] = "/tmp/umbra-core-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static int write_core(struct machine *m, int fd, bool append)
{
	struct core *c;
	struct err e;
	int ret;
	u64 done, total;

	assert_int_equal(core_create(&c, m, &e), 0);
	ret = core_write(c, fd, append);
	core_progress(c, &done, &total);
	assert_true(ret || done == total);
	core_destroy(c);
	return ret;
}

/* Copies the note of @name, number @i among those, to @desc; returns its length, 0: none. */
static size_t find_note(Elf *elf, const char *name, unsigned i, void *desc, size_t size)
{
	Elf_Data *d;
	GElf_Phdr p;
	GElf_Nhdr n;
	size_t at = 0, name_at, desc_at;

	assert_non_null(gelf_getphdr(elf, 0, &p));
	assert_int_equal(p.p_type, PT_NOTE);
	d = elf_getdata_rawchunk(elf, (s64)p.p_offset, p.p_filesz, ELF_T_NHDR);
	assert_non_null(d);
	while ((at = gelf_getnote(d, at, &n, &name_at, &desc_at)) > 0) {
		if (strcmp((char *)d->d_buf + name_at, name) != 0 || i--)
			continue;
		assert_true(n.n_descsz <= size);
		memcpy(desc, (u8 *)d->d_buf + desc_at, n.n_descsz);
		return n.n_descsz;
	}
	return 0;
}

static Elf *read_elf(int fd)
{
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	assert_int_equal(elf_kind(elf), ELF_K_ELF);
	return elf;
}

/* Reads memory at @gpa out of the core. */
static void read_at(int fd, Elf *elf, u64 gpa, void *buf, size_t len)
{
	size_t n;
	GElf_Phdr p;

	assert_int_equal(elf_getphdrnum(elf, &n), 0);
	for (size_t i = 1; i < n; i++) {
		assert_non_null(gelf_getphdr(elf, (int)i, &p));
		assert_int_equal(p.p_type, PT_LOAD);
		assert_int_equal(p.p_filesz, p.p_memsz);
		if (gpa < p.p_paddr || gpa - p.p_paddr >= p.p_filesz)
			continue;
		assert_int_equal(pread(fd, buf, len, (off_t)(p.p_offset + gpa - p.p_paddr)), len);
		return;
	}
	fail_msg("no PT_LOAD has it");
}

static void check_core(int fd, bool slot)
{
	struct elf_prstatus s;
	char text[4096], got[sizeof(mark)];
	u8 qemu[440];
	GElf_Ehdr h;
	Elf *elf = read_elf(fd);
	u64 rax;

	assert_non_null(gelf_getehdr(elf, &h));
	assert_int_equal(h.e_type, ET_CORE);
	assert_int_equal(h.e_machine, EM_X86_64);
	assert_int_equal(h.e_phnum, slot ? 3 : 2);
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(find_note(elf, "CORE", i, &s, sizeof(s)), sizeof(s));
		assert_int_equal(s.pr_pid, i + 1);
		assert_int_equal(find_note(elf, "QEMU", i, qemu, sizeof(qemu)), sizeof(qemu));
		memcpy(&rax, qemu + 8, sizeof(rax));
		assert_int_equal(s.pr_reg[10], rax); /* of struct user_regs_struct */
	}
	assert_int_equal(rax, RAX);
	assert_int_equal(find_note(elf, "CORE", CPUS, &s, sizeof(s)), 0);
	assert_int_equal(find_note(elf, "VMCOREINFO", 0, text, sizeof(text)), 16);
	assert_memory_equal(text, "OSRELEASE=6.1.0\n", 16);
	read_at(fd, elf, MARK_AT, got, sizeof(got));
	assert_memory_equal(got, mark, sizeof(mark));
	if (slot) {
		read_at(fd, elf, LAYOUT_UMBRA + 4096, got, 5);
		assert_memory_equal(got, "slot", 5);
	}
	elf_end(elf);
}

static void libelf_reads_it(void **state)
{
	struct machine *m = machine_new();
	int fd = new_file();
	void *slot;
	struct stat st;

	(void)state;
	put_vmcoreinfo(m, NOTE_AT, "OSRELEASE=6.1.0\n", 16);
	assert_int_equal(machine_add_slot(m, LAYOUT_UMBRA, 8192, false, &slot, NULL), 0);
	memcpy((char *)slot + 4096, "slot", 5);
	assert_int_equal(write_core(m, fd, false), 0);
	check_core(fd, true);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true((u64)st.st_size > PROBE_MEMORY);
	/* Of 16 MiB only a few pages are not zero. */
	assert_true(st.st_blocks * 512 < 1 << 20);
	close(fd);
	machine_destroy(m);
}

/* A file that has something, or is appended to, is no place for holes. */
static void a_file_that_is_not_empty_gets_zeros(void **state)
{
	struct machine *m = machine_new();
	int fd = new_file(), whole = new_file();
	struct stat st, first;
	char old[4];

	(void)state;
	assert_int_equal(write_core(m, whole, false), 0);
	assert_int_equal(fstat(whole, &first), 0);
	assert_int_equal(write(fd, "old", 4), 4);
	assert_int_equal(write_core(m, fd, false), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, first.st_size + 4);
	assert_true(st.st_blocks * 512 > first.st_size);
	assert_int_equal(pread(fd, old, 4, 0), 4);
	assert_memory_equal(old, "old", 4);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	assert_int_equal(write_core(m, fd, true), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, first.st_size);
	close(fd);
	close(whole);
	machine_destroy(m);
}

struct reader {
	int from, to;
};

static void *copy_pipe(void *arg)
{
	const struct reader *r = arg;
	char buf[65536];
	ssize_t n;

	while ((n = read(r->from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(r->to, buf, (size_t)n), n);
	return NULL;
}

static void a_pipe_takes_it(void **state)
{
	struct machine *m = machine_new();
	struct reader r = { .to = new_file() };
	pthread_t thread;
	int fd[2];

	(void)state;
	put_vmcoreinfo(m, NOTE_AT, "OSRELEASE=6.1.0\n", 16);
	assert_int_equal(pipe(fd), 0);
	r.from = fd[0];
	assert_int_equal(pthread_create(&thread, NULL, copy_pipe, &r), 0);
	assert_int_equal(write_core(m, fd[1], false), 0);
	close(fd[1]);
	pthread_join(thread, NULL);
	check_core(r.to, false);
	close(fd[0]);
	close(r.to);
	machine_destroy(m);
}

static void *cancel_when_full(void *arg)
{
	struct core *c = arg;
	u64 done, total;

	/* The pipe has 64 KiB: what is counted is in it, and the next does not fit. */
	do
		core_progress(c, &done, &total);
	while (!done);
	core_cancel(c);
	return NULL;
}

static void a_pipe_whose_reader_stops_is_given_up(void **state)
{
	struct machine *m = machine_new();
	pthread_t thread;
	struct core *c;
	struct err e;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(core_create(&c, m, &e), 0);
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_full, c), 0);
	assert_int_equal(core_write(c, fd[1], false), -ECANCELED);
	pthread_join(thread, NULL);
	core_destroy(c);
	/* Nobody reads. */
	signal(SIGPIPE, SIG_IGN);
	close(fd[0]);
	assert_int_equal(write_core(m, fd[1], false), -EPIPE);
	close(fd[1]);
	machine_destroy(m);
}

/* Cancels a core whose write(2) on thread @tid waits. */
struct canceller {
	struct core *c;
	pid_t tid;
	bool waited;
};

static bool is_in_write(pid_t tid)
{
	char path[64], number[8] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	f = fopen(path, "re");
	assert_non_null(f);
	if (!fgets(number, sizeof(number), f))
		number[0] = '\0';
	fclose(f);
	return !strncmp(number, "1 ", 2);
}

static void *cancel_in_write(void *arg)
{
	struct canceller *k = arg;
	struct timespec ms = { 0, 1000000 };
	unsigned in_row = 0;

	for (unsigned i = 0; i < 10000 && in_row < 50; i++) {
		in_row = is_in_write(k->tid) ? in_row + 1 : 0;
		nanosleep(&ms, NULL);
	}
	k->waited = in_row == 50;
	core_cancel(k->c);
	return NULL;
}

/* Makes two ends of a TCP connection. */
static void tcp_pair(int fd[2])
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[1], (struct sockaddr *)&sa, len), 0);
	fd[0] = accept(listener, NULL, NULL);
	assert_true(fd[0] >= 0);
	close(listener);
}

/* Whoever reads a terminal, a connection or a pipe stops, and write(2) waits. */
static void a_write_that_waits_is_given_up(void **state)
{
	struct machine *m = machine_new();
	int fd[4][2];

	(void)state;
	assert_int_equal(openpty(&fd[0][0], &fd[0][1], NULL, NULL, NULL), 0);
	tcp_pair(fd[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd[2]), 0);
	assert_int_equal(pipe(fd[3]), 0);
	alarm(60); /* it does not end */
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		struct canceller k = { .tid = gettid() };
		pthread_t thread;
		struct err e;
		int ret;

		assert_int_equal(core_create(&k.c, m, &e), 0);
		assert_int_equal(pthread_create(&thread, NULL, cancel_in_write, &k), 0);
		ret = core_write(k.c, fd[i][1], false);
		pthread_join(thread, NULL);
		core_destroy(k.c);
		assert_int_equal(ret, -ECANCELED);
		assert_true(k.waited);
		close(fd[i][0]);
		close(fd[i][1]);
	}
	alarm(0);
	machine_destroy(m);
}

/* A descriptor that does not wait, which is the client's to choose, gets all of it as well. */
static void a_pipe_that_does_not_wait_takes_it(void **state)
{
	struct machine *m = machine_new();
	struct reader r = { .to = new_file() };
	pthread_t thread;
	int fd[2];

	(void)state;
	put_vmcoreinfo(m, NOTE_AT, "OSRELEASE=6.1.0\n", 16);
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	r.from = fd[0];
	assert_int_equal(pthread_create(&thread, NULL, copy_pipe, &r), 0);
	assert_int_equal(write_core(m, fd[1], false), 0);
	close(fd[1]);
	pthread_join(thread, NULL);
	check_core(r.to, false);
	close(fd[0]);
	close(r.to);
	machine_destroy(m);
}

static void errors_of_files(void **state)
{
	struct rlimit old, small;
	struct machine *m = machine_new();
	int full = open("/dev/full", O_WRONLY), fd = new_file();

	(void)state;
	assert_int_equal(write_core(m, full, false), -ENOSPC);
	close(full);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 8192;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(write_core(m, fd, false), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	close(fd);
	machine_destroy(m);
}

/* Writes a core and returns the length of its VMCOREINFO. */
static size_t vmcoreinfo_of(struct machine *m, char text[CORE_NOTE_MAX])
{
	int fd = new_file();
	size_t len;
	Elf *elf;

	assert_int_equal(write_core(m, fd, false), 0);
	elf = read_elf(fd);
	len = find_note(elf, "VMCOREINFO", 0, text, CORE_NOTE_MAX);
	elf_end(elf);
	close(fd);
	return len;
}

static void a_vmcoreinfo_that_lies_is_none(void **state)
{
	static const u32 sizes[] = { 0, 10, CORE_NOTE_MAX + 1, 0x7fffffff, UINT32_MAX };
	char text[CORE_NOTE_MAX];
	struct machine *m = machine_new();

	(void)state;
	assert_int_equal(vmcoreinfo_of(m, text), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put_vmcoreinfo(m, NOTE_AT, "OSRELEASE=6.1.0\n", sizes[i]);
		assert_int_equal(vmcoreinfo_of(m, text), 0);
	}
	put_vmcoreinfo(m, NOTE_AT, "RELEASE=6.1.0\n", 14);
	assert_int_equal(vmcoreinfo_of(m, text), 0);
	/* It would go on behind the last byte of the RAM. */
	put_vmcoreinfo(m, PROBE_MEMORY - 4096, "OSRELEASE=6.1.0\n", CORE_NOTE_MAX);
	assert_int_equal(vmcoreinfo_of(m, text), 0);
	put_vmcoreinfo(m, PROBE_MEMORY - 4096, "OSRELEASE=6.1.0\n", CORE_NOTE_MAX - 24);
	assert_int_equal(vmcoreinfo_of(m, text), CORE_NOTE_MAX - 24);
	machine_destroy(m);
}

/* A program's forged note does not know where KASLR has put the kernel. */
static void the_vmcoreinfo_of_the_placed_kernel_wins(void **state)
{
	static const char forged[] = "OSRELEASE=forged\nKERNELOFFSET=1000000\n",
			  real[] = "OSRELEASE=real\nKERNELOFFSET=2a000000\n";
	char text[CORE_NOTE_MAX];
	struct machine *m = machine_new();

	(void)state;
	put_vmcoreinfo(m, NOTE_AT, forged, sizeof(forged) - 1);
	put_vmcoreinfo(m, NOTE_AT + 4096, real, sizeof(real) - 1);
	put_vmcoreinfo(m, NOTE_AT + 8192, forged, sizeof(forged) - 1);
	assert_int_equal(vmcoreinfo_of(m, text), sizeof(forged) - 1);
	machine_set_kernel(m, NULL, 0x1000000, 0x2a000000);
	assert_int_equal(vmcoreinfo_of(m, text), sizeof(real) - 1);
	assert_memory_equal(text, real, sizeof(real) - 1);
	/* A kernel that the guest has started by itself. */
	machine_set_kernel(m, NULL, 0x1000000, 0x3000000);
	assert_int_equal(vmcoreinfo_of(m, text), sizeof(forged) - 1);
	machine_destroy(m);
}

/* Returns the program headers of a core, of which the first PT_LOAD goes to @load. */
static size_t headers_of(struct machine *m, const char *text, GElf_Phdr *load)
{
	int fd = new_file();
	size_t n;
	Elf *elf;

	put_vmcoreinfo(m, NOTE_AT, text, (u32)strlen(text));
	assert_int_equal(write_core(m, fd, false), 0);
	elf = read_elf(fd);
	assert_int_equal(elf_getphdrnum(elf, &n), 0);
	assert_non_null(gelf_getphdr(elf, 1, load));
	elf_end(elf);
	close(fd);
	return n;
}

/* phys_base takes the image to 0x400000 of the RAM's 16 MiB; what no kernel says is passed over. */
static void the_kernels_image_has_its_virtual_address(void **state)
{
	static const char *const lies[] = {
		"OSRELEASE=x\nKERNELOFFSET=2000000\n",
		"OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=",
		"OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=1\n",
		"OSRELEASE=x\nKERNELOFFSET=3f000000\nNUMBER(phys_base)=-1069547520\n",
		"OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=0\n",
		"OSRELEASE=x\nKERNELOFFSET=ffffffffff000000\nNUMBER(phys_base)=4194304\n",
		"OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=-9223372036854775808\n",
		"OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=99999999999999999999\n",
	};
	struct machine *m = machine_new();
	GElf_Phdr p;

	(void)state;
	assert_int_equal(
		headers_of(m, "OSRELEASE=x\nKERNELOFFSET=2000000\nNUMBER(phys_base)=-46137344\n",
			   &p),
		3);
	assert_int_equal(p.p_vaddr, 0xffffffff83000000);
	assert_int_equal(p.p_paddr, 0x400000);
	assert_int_equal(p.p_offset, 4096 + 0x400000);
	assert_int_equal(p.p_filesz, PROBE_MEMORY - 0x400000);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		assert_int_equal(headers_of(m, lies[i], &p), 2);
	machine_destroy(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libelf_reads_it),
		cmocka_unit_test(a_file_that_is_not_empty_gets_zeros),
		cmocka_unit_test(a_pipe_takes_it),
		cmocka_unit_test(a_pipe_whose_reader_stops_is_given_up),
		cmocka_unit_test(a_write_that_waits_is_given_up),
		cmocka_unit_test(a_pipe_that_does_not_wait_takes_it),
		cmocka_unit_test(errors_of_files),
		cmocka_unit_test(a_vmcoreinfo_that_lies_is_none),
		cmocka_unit_test(the_kernels_image_has_its_virtual_address),
		cmocka_unit_test(the_vmcoreinfo_of_the_placed_kernel_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
