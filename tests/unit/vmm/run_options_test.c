// SPDX-License-Identifier: GPL-2.0-only
/* Tests the command line of vmm run, sizes, the event loop and the ACPI tables. No KVM. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "vmm/boot/acpi.h"
#include "vmm/cli/run_options.h"
#include "vmm/machine/layout.h"
#include "vmm/spec/size.h"
#include "vmm/spec/spec_text.h"

/*
 * Parses a command line whose argv is writable and lasts until the next call: strings of *o point
 * into it.
 */
static int parse_args(struct run_options *o, struct err *e, const char *const *args)
{
	static char arena[4096];
	char *argv[20] = { NULL };
	size_t used = 0;
	int argc = 0;

	for (; args[argc]; argc++) {
		argv[argc] = arena + used;
		used += strlen(args[argc]) + 1;
		assert_true(used < sizeof(arena));
		memcpy(argv[argc], args[argc], strlen(args[argc]) + 1);
	}
	e->text[0] = '\0';
	return run_options_parse(o, argc, argv, e);
}

#define PARSE(...) parse_args(&o, &e, (const char *const[]){ "run", __VA_ARGS__, NULL })

static void test_good(void **state)
{
	const char *net = "user,tftp=/t,bootfile=b,hostfwd=tcp:2222-:22,"
			  "hostfwd=udp:0.0.0.0:53-10.0.2.9:54,mac=52:55:00:0a:0B:0c";
	struct run_options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE("--kernel", "k"), 0);
	assert_int_equal(o.spec.memory, 256ULL << 20);
	assert_int_equal(o.spec.cpus, 1);
	assert_string_equal(o.spec.append, "");
	assert_false(guest_spec_has_sessions(&o.spec));
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--memory", "1G", "--cpus=4", "--disk", "a,b.img,ro",
			       "--disk", "c,d.img", "--disk",
			       "e,direct,serial=A.b,queues=3,aio=threads", "--no-kaslr", "--stats",
			       "--name", "x-1", "--driver", "s/i:/m/l.ko,path=/a,format=lime",
			       "--driver", "s:m.ko"),
			 0);
	assert_int_equal(o.spec.memory, 1ULL << 30);
	assert_int_equal(o.spec.cpus, 4);
	assert_int_equal(o.spec.n_disks, 3);
	assert_string_equal(o.spec.disks[0].path, "a,b.img");
	assert_true(o.spec.disks[0].readonly);
	assert_string_equal(o.spec.disks[1].path, "c,d.img");
	assert_false(o.spec.disks[1].readonly || o.spec.disks[1].direct || o.spec.disks[1].aio);
	assert_string_equal(o.spec.disks[2].path, "e");
	assert_string_equal(o.spec.disks[2].serial, "A.b");
	assert_int_equal(o.spec.disks[2].queues, 3);
	assert_true(o.spec.disks[2].direct && o.spec.disks[2].aio == SPEC_AIO_THREADS &&
		    !o.spec.disks[2].readonly);
	assert_true(o.spec.no_kaslr && o.stats);
	assert_int_equal(o.spec.n_drivers, 2);
	assert_string_equal(o.spec.drivers[0].session, "s");
	assert_string_equal(o.spec.drivers[0].instance, "i");
	assert_string_equal(o.spec.drivers[0].path, "/m/l.ko");
	assert_string_equal(o.spec.drivers[0].params, "path=/a format=lime");
	assert_null(o.spec.drivers[1].instance);
	assert_null(o.spec.drivers[1].params);
	assert_true(guest_spec_has_sessions(&o.spec));
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--console", "socket=/s", "--port", "a.b=file=/x=y",
			       "--port", "c=pty"),
			 0);
	assert_true(o.spec.virtio_console);
	assert_int_equal(o.spec.console.kind, SPEC_SOCKET);
	assert_string_equal(o.spec.console.path, "/s");
	assert_int_equal(o.spec.n_ports, 2);
	assert_string_equal(o.spec.ports[0].name, "a.b");
	assert_int_equal(o.spec.ports[0].end.kind, SPEC_FILE);
	assert_string_equal(o.spec.ports[0].end.path, "/x=y");
	assert_int_equal(o.spec.ports[1].end.kind, SPEC_PTY);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--port", "a=pty", "--port", "a=pty"), -EINVAL);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--net", net, "--net", "tap=tap0"), 0);
	assert_int_equal(o.spec.n_nets, 2);
	assert_string_equal(o.spec.nets[0].tftp, "/t");
	assert_string_equal(o.spec.nets[0].bootfile, "b");
	assert_int_equal(o.spec.nets[0].n_forwards, 2);
	assert_int_equal(o.spec.nets[0].forwards[0].host_addr, 0x7f000001);
	assert_int_equal(o.spec.nets[0].forwards[0].host_port, 2222);
	assert_int_equal(o.spec.nets[0].forwards[0].guest_port, 22);
	assert_true(o.spec.nets[0].forwards[1].udp);
	assert_int_equal(o.spec.nets[0].forwards[1].host_addr, 0);
	assert_int_equal(o.spec.nets[0].forwards[1].guest_addr, 0x0a000209);
	assert_memory_equal(o.spec.nets[0].mac, "\x52\x55\0\x0a\x0b\x0c", 6);
	assert_string_equal(o.spec.nets[1].tap, "tap0");
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--memory", "2G,hugepages=1G,shared"), 0);
	assert_int_equal(o.spec.memory, 2ULL << 30);
	assert_int_equal(o.spec.huge_page, 1ULL << 30);
	assert_true(o.spec.memory_shared);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--memory", "64M,hugepages"), 0);
	assert_int_equal(o.spec.huge_page, 2ULL << 20);
	assert_false(guest_spec_shares_memory(&o.spec));
	assert_false(o.spec.balloon.on);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--balloon", "on"), 0);
	assert_true(o.spec.balloon.on);
	assert_false(o.spec.balloon.no_reporting || o.spec.balloon.no_deflate_on_oom);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--balloon=on,reporting=off,deflate-on-oom=on"), 0);
	assert_true(o.spec.balloon.on && o.spec.balloon.no_reporting);
	assert_false(o.spec.balloon.no_deflate_on_oom);
	run_options_free(&o);
	/* The last one counts, all of it. */
	assert_int_equal(PARSE("--kernel=k", "--balloon", "on,reporting=off", "--balloon",
			       "on,deflate-on-oom=off"),
			 0);
	assert_true(o.spec.balloon.no_deflate_on_oom && !o.spec.balloon.no_reporting);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--balloon", "on", "--balloon", "off"), 0);
	assert_false(o.spec.balloon.on);
	run_options_free(&o);
	assert_int_equal(
		PARSE("--kernel=k", "--disk", "a,aio=threads,aio=auto", "--disk", "a,aio=io_uring"),
		0);
	assert_true(o.spec.disks[0].aio == SPEC_AIO_AUTO);
	assert_true(o.spec.disks[1].aio == SPEC_AIO_URING);
	guest_spec_free(&o.spec);
	assert_int_equal(PARSE("--kernel=k", "--disk", "a,ro,b.img,queues=2,aio=threads,queues=4"),
			 0);
	/* words behind which more of the name comes are the name's; of two alike the last counts */
	assert_string_equal(o.spec.disks[0].path, "a,ro,b.img");
	assert_false(o.spec.disks[0].readonly);
	assert_int_equal(o.spec.disks[0].queues, 4);
	assert_true(o.spec.disks[0].aio == SPEC_AIO_THREADS);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--disk", "vhost-user=/a,b.sock,queues=3"), 0);
	assert_string_equal(o.spec.disks[0].path, "/a,b.sock");
	assert_true(o.spec.disks[0].vhost_user);
	assert_int_equal(o.spec.disks[0].queues, 3);
	assert_true(guest_spec_shares_memory(&o.spec));
	run_options_free(&o);
	assert_int_equal(PARSE("--help"), 0);
	assert_true(o.help);
	run_options_free(&o);
}

static void a_record_has_a_size(void **state)
{
	struct run_options o;
	struct err e;

	(void)state;
	assert_int_equal(PARSE("--kernel=k", "--record=r", "--record-size=100M,keep=3"), 0);
	assert_int_equal(o.spec.record_size, 100 << 20);
	assert_int_equal(o.spec.record_keep, 3);
	run_options_free(&o);
	assert_int_equal(PARSE("--kernel=k", "--record=r", "--record-size=1M"), 0);
	assert_int_equal(o.spec.record_keep, 1);
	run_options_free(&o);
}

static void test_bad(void **state)
{
	static const char *const bad[][4] = {
		{ "run", NULL, NULL, "--kernel is missing" },
		{ "run", "--kernl=x", NULL, "did you mean --kernel" },
		{ "run", "--memory", "512",
		  "16 MiB to 1024 GiB; without K, M or G it is a number of bytes" },
		{ "run", "--memory", "512K", "--memory 512K: want 16 MiB" },
		{ "run", "--record-size", "512K", "--record-size 512K: want SIZE[,keep=N]" },
		{ "run", "--record-size", "1M,keep=0", "1 to 9 files to keep" },
		{ "run", "--record-size", "1M,keep=10", "1 to 9 files to keep" },
		{ "run", "--record-size", "1M,kept=1", "--record-size 1M,kept=1: want" },
		{ "run", "--record-size", "x,keep=1", "--record-size x,keep=1: want" },
		{ "run", "--kernel=k", "--record-size=1M", "--record-size needs --record FILE" },
		{ "run", "--zzzzzzzz", NULL, "unknown option" },
		{ "run", "--kernel", NULL, "needs a value" },
		{ "run", "stray", NULL, "unexpected argument" },
		{ "run", "--memory", "1X", "--memory 1X" },
		{ "run", "--memory", "-5", "--memory -5" },
		{ "run", "--memory", "1M", "16 MiB" },
		{ "run", "--memory", "99999999999999999999G", "--memory" },
		{ "run", "--memory", "20000000000G", "--memory" },
		{ "run", "--memory", "1G,sharde", "did you mean \"shared\"" },
		{ "run", "--memory", "1G,hugepages=4K", "2M or 1G" },
		{ "run", "--memory", "1025M,hugepages", "whole number of huge pages" },
		{ "run", "--memory", "1G,", "want SIZE" },
		{ "run", "--memory", ",shared", "want a size" },
		/* The first 31 characters alone would do. */
		{ "run", "--memory", "000000000000000000000000001024M9G", "want a size" },
		{ "run", "--memory", "1G,hugepages=00000000000000000002M9K", "want SIZE" },
		{ "run", "--balloon", "yes", "--balloon yes: want on or off" },
		{ "run", "--balloon", "", "want on or off" },
		{ "run", "--balloon", "on,", "want on[,reporting" },
		{ "run", "--balloon", "on,reporting=no", "want reporting=on or off" },
		{ "run", "--balloon", "on,deflate-on-oom", "want deflate-on-oom=on or off" },
		{ "run", "--balloon", "on,reportng=on", "did you mean \"reporting\"" },
		{ "run", "--balloon", "off,reporting=on", "nothing goes with off" },
		{ "run", "--disk", "vhost-user=", "no file" },
		{ "run", "--disk", "vhost-user=s,ro", "back end's to decide" },
		{ "run", "--disk", "vhost-user=s,serial=x", "back end's to decide" },
		{ "run", "--disk", "vhost-user=s,que=1", "did you mean \"queues\"" },
		{ "run", "--cpus", "0", "--cpus 0" },
		{ "run", "--cpus", "1x", "--cpus 1x" },
		{ "run", "--cpus", "65", "1 to 64" },
		{ "run", "--disk", "a,rofl", "unknown option \"rofl\"" },
		{ "run", "--disk", ",ro", "no file" },
		{ "run", "--disk", "a.img,direkt", "did you mean \"direct\"" },
		{ "run", "--disk", "a.img,serial=", "1 to 20" },
		{ "run", "--disk", "a.img,serial=123456789012345678901", "1 to 20" },
		{ "run", "--disk", "a.img,queues=0", "1 to 16" },
		{ "run", "--disk", "a.img,aio=x", "auto, io_uring or threads" },
		{ "run", "--disk", "a.img,aio=x,ro", "auto, io_uring or threads" },
		{ "run", "--disk", "a.img,direkt,ro", "did you mean \"direct\"" },
		{ "run", "--driver", "x.ko", "SESSION:FILE.ko" },
		{ "run", "--driver", ":x.ko", "SESSION:FILE.ko" },
		{ "run", "--driver", "s:", "SESSION:FILE.ko" },
		{ "run", "--driver", "s/:x.ko", "SESSION:FILE.ko" },
		{ "run", "--driver", "s:,a=1", "SESSION:FILE.ko" },
		{ "run", "--console", "ptty", "did you mean \"pty\"" },
		{ "run", "--console", "socket=", "no path" },
		{ "run", "--console", "elsewhere", "socket=PATH or file=PATH" },
		{ "run", "--port", "a", "NAME=pty" },
		{ "run", "--port", "=pty", "NAME=pty" },
		{ "run", "--port", "a/b=pty", "NAME=pty" },
		{ "run", "--port", "a=stdio", "for the console" },
		{ "run", "--port", "a=pty=x", "unknown option" },
		{ "run", "--net", "usr", "want user or tap=NAME" },
		{ "run", "--net", "tap=", "want user or tap=NAME" },
		{ "run", "--net", "user,tfpt=/x", "did you mean \"tftp\"" },
		{ "run", "--net", "user,tftp=", "wants a value" },
		{ "run", "--net", "tap=t0,tftp=/x", "unknown option" },
		{ "run", "--net", "user,mac=1:2:3", "six bytes" },
		{ "run", "--net", "user,mac=53:55:00:00:00:01", "six bytes" },
		{ "run", "--net", "user,mac=52:55:00:00:00:01:02", "six bytes" },
		{ "run", "--net", "user,hostfwd=tcp:80", "hostfwd wants" },
		{ "run", "--net", "user,hostfwd=sctp:80-:80", "hostfwd wants" },
		{ "run", "--net", "user,hostfwd=tcp:70000-:80", "hostfwd wants" },
		{ "run", "--net", "user,hostfwd=tcp:1.2.3:80-:80", "hostfwd wants" },
		{ "run", "--net", "user,hostfwd=tcp:80-80", "hostfwd wants" },
		{ "run", "--name", "../x", "--name" },
		{ "run", "--name", "", "--name" },
		{ "run", "--driver-wait", "x", "absolute" },
		{ "run", "--no-kaslr=maybe", NULL, "want --no-kaslr alone" },
		{ "run", "--kernel", "", "no file" },
		{ "run", "-x", NULL, "unknown option" },
	};
	struct run_options o;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *const args[] = { bad[i][0], bad[i][1], bad[i][2], NULL };

		assert_int_equal(parse_args(&o, &e, args), -EINVAL);
		if (!strstr(e.text, bad[i][3]))
			fail_msg("\"%s\" does not say \"%s\"", e.text, bad[i][3]);
		run_options_free(&o);
	}
}

/* Each mistake is told with the file and the line of it. */
static void test_bad_config(void **state)
{
	static const char *const bad[][2] = {
		{ "\nmemroy = \"1G\";",
		  "x.conf:2: memroy: unknown key \"memroy\"; did you mean \"memory\"" },
		{ "qqqqqqqq = 1;", "keys are the options of vmm run" },
		{ "memory = \"1X\";", "x.conf:1: memory 1X: want a size" },
		{ "cpus = 4294967297;", "x.conf:1: cpus 4294967297: want a number" },
		{ "memory = 99999999999999999999;", "x.conf:1: " },
		{ "memory = 512;", "x.conf:1: memory 512: want 16 MiB to 1024 GiB; without" },
		{ "disk = ( \"a\",\n \"b\", );", "x.conf:2: a comma without a value" },
		{ "cpus = -1;", "x.conf:1: cpus -1: want a number" },
		{ "cpus = 1.5;", "x.conf:1: cpus: expected a string, found a number" },
		{ "cpus = ( 1 );", "x.conf:1: cpus: expected a string, found a list" },
		{ "no-kaslr = 1;", "x.conf:1: no-kaslr: expected true or false, found a number" },
		{ "kernel = true;", "x.conf:1: kernel: expected a string, found true or false" },
		{ "kernel = \"\";", "x.conf:1: kernel: no file" },
		{ "disk = { };", "x.conf:1: disk: expected a string or a list of strings" },
		{ "disk = ( \"a\",\n { } );",
		  "x.conf:2: disk[1]: expected a string, found a group" },
		{ "disk = ( \"a\",\n\n \"b,serial=\" );",
		  "x.conf:3: disk b,serial=: a serial has" },
		{ "config = \"y\";", "x.conf:1: config: this is for the command line only" },
		{ "help = true;", "x.conf:1: help: this is for the command line only" },
		{ "kernel \"a\"", "x.conf:1: syntax error" },
		{ "kernel = \"a\";\nkernel = \"b\";", "x.conf:2: this name is already given" },
		{ "@include \"/etc/passwd\"", "x.conf:1: @include is not supported" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct run_options o;

		run_options_init(&o);

		assert_int_equal(run_options_config_text(&o, "x.conf", NULL, bad[i][0], &e),
				 -EINVAL);
		if (!strstr(e.text, bad[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", e.text, bad[i][1]);
		assert_null(o.base);
		run_options_free(&o);
	}
}

/* Makes a file in a directory of its own; returns its name, which lasts until the next call. */
static const char *config_file(const char *text)
{
	static char path[64];
	char dir[] = "/tmp/umbra-test-XXXXXX";
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static void remove_config(const char *path)
{
	char dir[64];

	unlink(path);
	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
	rmdir(dir);
}

static void test_config(void **state)
{
	const char *path = config_file(
		"kernel = \"k\"; initrd = \"/i\"; memory = \"1G\"; cpus = 3;\n"
		"disk = ( \"a.img,ro\", \"/b.img\" ); no-kaslr = true;\n"
		"stats = true; no-rng = false; console = \"socket=s\";\n"
		"net = [ \"user,tftp=t,bootfile=b\", \"user,tftp=/t\" ];\n"
		"driver = \"a:m.ko,x=y\"; port = \"p=file=q\"; firmware-log = \"l\";\n");
	char at[64];
	struct run_options o;
	struct err e;

	(void)state;
	snprintf(at, sizeof(at), "%.*s", (int)(strrchr(path, '/') - path), path);
	assert_int_equal(chdir("/"), 0);
	/* What stands before the file loses, what stands behind it wins or is added. */
	assert_int_equal(PARSE("--cpus=7", "--memory", "2G", "--no-rng", "--disk", "0", "--config",
			       path, "--firmware", "seabios", "--cpus=2", "--disk", "c.img",
			       "--no-kaslr=false", "--stats=false"),
			 -EINVAL);
	assert_non_null(strstr(e.text, "--driver and --firmware exclude"));
	assert_int_equal(o.spec.cpus, 2);
	assert_int_equal(o.spec.memory, 1ULL << 30);
	assert_false(o.spec.no_kaslr || o.stats || o.spec.no_rng);
	assert_memory_equal(o.spec.kernel, at, strlen(at));
	assert_string_equal(o.spec.kernel + strlen(at), "/k");
	assert_string_equal(o.spec.initrd, "/i");
	assert_string_equal(o.spec.firmware_log + strlen(at), "/l");
	assert_string_equal(o.spec.firmware, "seabios");
	assert_int_equal(o.spec.n_disks, 4);
	assert_string_equal(o.spec.disks[0].path, "0");
	assert_string_equal(o.spec.disks[1].path + strlen(at), "/a.img");
	assert_true(o.spec.disks[1].readonly);
	assert_string_equal(o.spec.disks[2].path, "/b.img");
	assert_string_equal(o.spec.disks[3].path, "c.img");
	assert_int_equal(o.spec.console.kind, SPEC_SOCKET);
	assert_string_equal(o.spec.console.path + strlen(at), "/s");
	assert_string_equal(o.spec.ports[0].end.path + strlen(at), "/q");
	assert_string_equal(o.spec.drivers[0].path + strlen(at), "/m.ko");
	assert_int_equal(o.spec.n_nets, 2);
	assert_memory_equal(o.spec.nets[0].tftp, at, strlen(at));
	assert_string_equal(o.spec.nets[0].tftp + strlen(at), "/t");
	assert_string_equal(o.spec.nets[0].bootfile, "b");
	assert_non_null(strstr(o.spec.nets[0].text, o.spec.nets[0].tftp));
	assert_string_equal(o.spec.nets[1].tftp, "/t");
	run_options_free(&o);
	remove_config(path);
	assert_int_equal(PARSE("--config", path), -ENOENT);
	assert_non_null(strstr(e.text, "x.conf: cannot open: No such file"));
	run_options_free(&o);
}

/* Numbers are whole, and a comment may be the last thing in a file. */
static void test_config_numbers(void **state)
{
	struct run_options o;
	struct err e;

	(void)state;
	run_options_init(&o);
	assert_int_equal(run_options_config_text(&o, "x.conf", NULL,
						 "memory = 5368709120; cpus = 2; # the end", &e),
			 0);
	assert_int_equal(o.spec.memory, 5368709120ULL);
	assert_int_equal(o.spec.cpus, 2);
	run_options_free(&o);
}

/* What the kernel is given is what insmod would give it. */
static void test_driver_params(void **state)
{
	static const char *const cases[][3] = {
		{ "a:x.ko", "x.ko", NULL },
		{ "a:x.ko,", "x.ko", NULL },
		{ "a:x.ko,n=1", "x.ko", "n=1" },
		{ "a:x.ko,n=1,m=2", "x.ko", "n=1 m=2" },
		{ "a:x.ko,n=1,2,m=3", "x.ko", "n=1,2 m=3" },
		{ "a:x.ko,path=\"/a,b=c/d\",n=1", "x.ko", "path=\"/a,b=c/d\" n=1" },
		{ "a:x.ko path=/a,b=c/d", "x.ko", "path=/a,b=c/d" },
		{ "a:x.ko,create=\"dm-verity,,,ro,0 7 v k=1\"", "x.ko",
		  "create=\"dm-verity,,,ro,0 7 v k=1\"" },
		{ "a:x.ko,create=d,,,ro,0 7 v k=1", "x.ko", "create=d,,,ro,0 7 v k=1" },
		{ "a:x.ko,path=/x format=lime", "x.ko", "path=/x format=lime" },
		{ "a:x.ko path=/x format=lime", "x.ko", "path=/x format=lime" },
		{ "a:x.ko level=1 debug", "x.ko", "level=1 debug" },
		{ "a:my dir/x.ko.xz m=\"b c\"", "my dir/x.ko.xz", "m=\"b c\"" },
		{ "a:my dir/x,n=1", "my dir/x", "n=1" },
	};
	struct spec_driver d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(spec_parse_driver(&d, "--driver", cases[i][0], &e), 0);
		assert_string_equal(d.path, cases[i][1]);
		if (cases[i][2])
			assert_string_equal(d.params, cases[i][2]);
		else
			assert_null(d.params);
		spec_driver_free(&d);
	}
	assert_int_equal(spec_parse_driver(&d, "--driver", "a:x.ko,n=\"1", &e), -EINVAL);
	assert_non_null(strstr(e.text, "--driver a:x.ko,n=\"1: a quote"));
	spec_driver_free(&d);
	assert_int_equal(spec_parse_driver(&d, "load", "a:x.ko n=1\nm=2", &e), -EINVAL);
	spec_driver_free(&d);
	assert_int_equal(spec_parse_driver(&d, "load", "a: m=2", &e), 0);
	spec_driver_free(&d);
}

/* The table is what --help, --config and completion stand on. */
static void test_table(void **state)
{
	size_t n;
	const struct run_option *t = run_option_table(&n);

	(void)state;
	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(t[i].help);
		if (!t[i].name)
			continue;
		assert_ptr_equal(run_option_find(t[i].name, strlen(t[i].name)), &t[i]);
		assert_true(strlen(t[i].name) < 30);
		/* A value goes to a function or a member, a switch to a member. */
		assert_false((t[i].take || t[i].spec) && t[i].at);
		assert_false(t[i].take && t[i].spec);
		assert_false(!t[i].form && (t[i].take || t[i].spec));
		assert_false(t[i].repeat && !t[i].take && !t[i].spec);
	}
	assert_null(run_option_find("kern", 4));
	assert_null(run_option_find("kernels", 7));
}

static void test_size(void **state)
{
	u64 n;

	(void)state;
	assert_int_equal(size_parse("0", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(size_parse("512k", &n), 0);
	assert_int_equal(n, 512 << 10);
	assert_int_equal(size_parse("", &n), -EINVAL);
	assert_int_equal(size_parse("M", &n), -EINVAL);
	assert_int_equal(size_parse("1MB", &n), -EINVAL);
	assert_int_equal(size_parse("18014398509481984K", &n), -ERANGE);
}

struct loop_ctx {
	struct loop *l;
	int pipe[2], other;
	int timer;
	unsigned ticks, reads, others;
};

static void on_tick(void *arg, u32 expiries)
{
	struct loop_ctx *c = arg;

	c->ticks += expiries;
	if (c->ticks >= 3)
		loop_stop(c->l);
}

static void on_other(void *arg, u32 events)
{
	(void)events;
	((struct loop_ctx *)arg)->others++;
}

/* Takes another one away, whose event may be in the same batch. */
static void on_read(void *arg, u32 events)
{
	struct loop_ctx *c = arg;

	assert_true(events & EPOLLIN);
	c->reads++;
	loop_del(c->l, c->pipe[0]);
	loop_del(c->l, c->other);
}

static void test_loop(void **state)
{
	struct loop_ctx c = { 0 };

	(void)state;
	assert_int_equal(loop_create(&c.l), 0);
	assert_int_equal(pipe(c.pipe), 0);
	assert_int_equal(write(c.pipe[1], "x", 1), 1);
	c.other = dup(c.pipe[0]);
	assert_int_equal(loop_add(c.l, c.pipe[0], EPOLLIN, on_read, &c), 0);
	assert_int_equal(loop_add(c.l, c.pipe[0], EPOLLIN, on_read, &c), -EEXIST);
	assert_int_equal(loop_add(c.l, c.other, EPOLLIN, on_other, &c), 0);
	assert_int_equal(loop_mod(c.l, 12345, EPOLLIN), -ENOENT);
	c.timer = loop_timer(c.l, 1000000, 1000000, on_tick, &c);
	assert_true(c.timer >= 0);
	assert_int_equal(loop_run(c.l), 0);
	assert_true(c.ticks >= 3);
	assert_int_equal(c.reads, 1);
	assert_in_range(c.others, 0, 1);
	loop_timer_del(c.l, c.timer);
	loop_destroy(c.l);
	loop_destroy(NULL);
	close(c.pipe[0]);
	close(c.pipe[1]);
	close(c.other);
}

static u8 byte_sum(const u8 *p, size_t len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

static void test_acpi(void **state)
{
	static u8 mem[LAYOUT_ACPI_SIZE];
	const u8 *xsdt, *fadt, *madt, *mcfg, *dsdt;
	static const struct {
		const char *bytes;
		size_t len;
	} resources[] = {
		/* buses 0 to 31; memory from 0xe2000000 to 0xfebfffff; 32 MiB from 0xe0000000 */
		{ "\x88\x0d\0\x02\x0c\0\0\0\0\0\x1f\0\0\0\x20", 16 },
		{ "\x87\x17\0\0\x0c\x01\0\0\0\0\0\0\0\xe2\xff\xff\xbf\xfe\0\0\0\0\0\0\xc0\x1c",
		  26 },
		{ "\x86\x09\0\x01\0\0\0\xe0\0\0\0\x02", 12 },
	};

	(void)state;
	for (unsigned cpus = 1; cpus <= LAYOUT_MAX_CPUS; cpus++) {
		memset(mem, 0xff, sizeof(mem));
		assert_int_equal(acpi_write(mem, sizeof(mem), LAYOUT_ACPI, cpus, 1), 0);
		assert_memory_equal(mem, "RSD PTR ", 8);
		assert_int_equal(byte_sum(mem, 20), 0);
		assert_int_equal(byte_sum(mem, 36), 0);
		xsdt = mem + (get64(mem + 24) - LAYOUT_ACPI);
		assert_memory_equal(xsdt, "XSDT", 4);
		assert_int_equal(byte_sum(xsdt, get32(xsdt + 4)), 0);
		fadt = mem + (get64(xsdt + 36) - LAYOUT_ACPI);
		madt = mem + (get64(xsdt + 44) - LAYOUT_ACPI);
		assert_memory_equal(fadt, "FACP", 4);
		assert_int_equal(get32(fadt + 4), 276);
		assert_int_equal(byte_sum(fadt, 276), 0);
		dsdt = mem + (get64(fadt + 140) - LAYOUT_ACPI);
		assert_memory_equal(dsdt, "DSDT", 4);
		assert_int_equal(byte_sum(dsdt, get32(dsdt + 4)), 0);
		assert_memory_equal(madt, "APIC", 4);
		assert_int_equal(get32(madt + 4), 44 + 8 * cpus + 12);
		assert_int_equal(byte_sum(madt, get32(madt + 4)), 0);
		mcfg = mem + (get64(xsdt + 52) - LAYOUT_ACPI);
		assert_memory_equal(mcfg, "MCFG", 4);
		assert_int_equal(get32(mcfg + 4), 60);
		assert_int_equal(byte_sum(mcfg, 60), 0);
		assert_int_equal(get64(mcfg + 44), LAYOUT_ECAM);
		assert_int_equal(get64(mcfg + 52), 0); /* segment 0, bus 0 to 0 */
	}
	/* More buses change four descriptors, all of them in place. */
	assert_int_equal(acpi_write(mem, sizeof(mem), LAYOUT_ACPI, 1, LAYOUT_PCI_BUSES), 0);
	mcfg = mem + (get64(xsdt + 52) - LAYOUT_ACPI);
	assert_int_equal(byte_sum(mcfg, 60), 0);
	assert_int_equal(get64(mcfg + 52), 0x1f000000); /* segment 0, bus 0 to 31 */
	dsdt = mem + (get64(fadt + 140) - LAYOUT_ACPI);
	assert_int_equal(byte_sum(dsdt, get32(dsdt + 4)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		assert_non_null(
			memmem(dsdt, get32(dsdt + 4), resources[i].bytes, resources[i].len));
	for (size_t len = 0; len < 600; len++)
		assert_int_equal(acpi_write(mem, len, LAYOUT_ACPI, 1, 1), -ENOSPC);
}

/* libconfig loses the string that it read last when the text has a syntax error: not our leak. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	       cmocka_unit_test(test_bad),
		cmocka_unit_test(a_record_has_a_size), cmocka_unit_test(test_bad_config),
		cmocka_unit_test(test_config),	       cmocka_unit_test(test_config_numbers),
		cmocka_unit_test(test_driver_params),  cmocka_unit_test(test_table),
		cmocka_unit_test(test_size),	       cmocka_unit_test(test_loop),
		cmocka_unit_test(test_acpi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
