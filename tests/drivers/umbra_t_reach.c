// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls, when it is loaded, each function of the catalogue by which a driver reaches files,
 * programs, sockets, other processes and the kernel's own text, and says what it got. With power=1
 * it also asks the kernel to restart, to halt and to switch off.
 */
#include <linux/binfmts.h>
#include <linux/blkdev.h>
#include <linux/cdev.h>
#include <linux/clocksource.h>
#include <linux/console.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/firmware.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/ftrace.h>
#include <linux/hw_breakpoint.h>
#include <linux/inetdevice.h>
#include <linux/input.h>
#include <linux/kdebug.h>
#include <linux/kernel_read_file.h>
#include <linux/key-type.h>
#include <linux/keyboard.h>
#include <linux/keyctl.h>
#include <linux/kmod.h>
#include <linux/kmsg_dump.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <linux/oom.h>
#include <linux/panic_notifier.h>
#include <linux/perf_event.h>
#include <linux/platform_device.h>
#include <linux/reboot.h>
#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>
#include <linux/set_memory.h>
#include <linux/stop_machine.h>
#include <linux/suspend.h>
#include <linux/syscore_ops.h>
#include <linux/sysctl.h>
#include <linux/sysrq.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/tty.h>
#include <linux/tty_ldisc.h>
#include <linux/umh.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <crypto/algapi.h>
#include <keys/user-type.h>
#include <net/addrconf.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <asm/msr.h>
#include <asm/nmi.h>
#include <asm/special_insns.h>

static char *tag = "-";
module_param(tag, charp, 0444);
static bool power;
module_param(power, bool, 0444);

/* Exported, but declared only in fs/internal.h. */
extern int vfs_path_lookup(struct dentry *dentry, struct vfsmount *mnt, const char *name,
			   unsigned int flags, struct path *path);

static void got(const char *what, long result)
{
	pr_info("umbra_t_reach[%s]: %s %ld\n", tag, what, result);
}

static void got_socket(const char *what, int result, struct socket *s)
{
	got(what, result);
	if (!result)
		sock_release(s);
}

static void reach_sockets(void)
{
	struct socket *s = NULL;
	int ret;

	ret = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &s);
	got_socket("sock_create_kern", ret, s);
	ret = sock_create(AF_INET, SOCK_STREAM, IPPROTO_TCP, &s);
	got_socket("sock_create", ret, s);
	ret = __sock_create(&init_net, AF_INET, SOCK_DGRAM, 0, &s, 1);
	got_socket("__sock_create", ret, s);
	ret = sock_create_lite(AF_INET, SOCK_STREAM, IPPROTO_TCP, &s);
	got_socket("sock_create_lite", ret, s);
}

static void got_text(const char *what, long result, void *text)
{
	if (result <= 0) {
		got(what, result);
		return;
	}
	pr_info("umbra_t_reach[%s]: %s %.*s\n", tag, what, (int)result - 1, (char *)text);
	vfree(text);
}

/* What the kernel says of where a file is. */
static void got_place(const char *what, const char *text)
{
	if (IS_ERR(text))
		got(what, PTR_ERR(text));
	else
		pr_info("umbra_t_reach[%s]: %s %s\n", tag, what, text);
}

static void reach_back(void)
{
	struct file *f = filp_open("/etc/r", O_RDONLY, 0);
	struct path root;
	char buf[64];

	if (IS_ERR(f))
		return;
	got_place("d_path", d_path(&f->f_path, buf, sizeof(buf)));
	got_place("d_path-short", d_path(&f->f_path, buf, 5));
	got_place("file_path", file_path(f, buf, sizeof(buf)));
	got_place("dentry_path_raw", dentry_path_raw(f->f_path.dentry, buf, sizeof(buf)));
	filp_close(f, NULL);
	get_fs_root(current->fs, &root);
	got_place("d_path-out", d_path(&root, buf, sizeof(buf)));
	path_put(&root);
}

static void no_object(struct kobject *object)
{
}

static void no_device(struct device *dev)
{
}

/* Whoever is refused gives up a reference to what then has to be one. */
static void reach_objects(void)
{
	static const struct kobj_type type = { .release = no_object };
	static struct kobject object;
	static struct device dev = { .release = no_device };
	int ret;

	ret = kobject_init_and_add(&object, &type, NULL, "umbra_t_%s_%d", tag, 7);
	got("kobject_init_and_add", ret);
	kobject_put(&object);
	got("dev_set_name", dev_set_name(&dev, "umbra_t_%s", tag));
	ret = device_register(&dev);
	got("device_register", ret);
	if (ret)
		put_device(&dev);
	else
		device_unregister(&dev);
}

static void reach_files(void)
{
	struct path root, p;
	struct file *f;
	void *text = NULL;
	long ret;

	ret = kern_path("/etc/r", LOOKUP_FOLLOW, &p);
	got("kern_path", ret);
	if (!ret) {
		f = dentry_open(&p, O_RDONLY, current_cred());
		got("dentry_open", PTR_ERR_OR_ZERO(f));
		if (!IS_ERR(f))
			fput(f);
		path_put(&p);
	}
	ret = kern_path("/etc/out", LOOKUP_FOLLOW, &p);
	got("kern_path-out", ret);
	if (!ret)
		path_put(&p);
	ret = kern_path("/proc/self/root/etc/r", LOOKUP_FOLLOW, &p);
	got("kern_path-magic", ret);
	if (!ret)
		path_put(&p);
	ret = kernel_read_file_from_path("/etc/r", 0, &text, 4096, NULL, READING_UNKNOWN);
	got_text("kernel_read_file_from_path", ret, text);
	text = NULL;
	ret = kernel_read_file_from_path_initns("/etc/r", 0, &text, 4096, NULL, READING_UNKNOWN);
	got_text("kernel_read_file_from_path_initns", ret, text);

	get_fs_root(current->fs, &root);
	f = file_open_root(&root, "etc/r", O_RDONLY, 0);
	got("file_open_root", PTR_ERR_OR_ZERO(f));
	if (!IS_ERR(f))
		fput(f);
	ret = vfs_path_lookup(root.dentry, root.mnt, "etc/r", 0, &p);
	got("vfs_path_lookup", ret);
	if (!ret)
		path_put(&p);
	path_put(&root);
}

static void reach_disks(void)
{
	struct block_device *b;
	dev_t dev = 0;
	long ret = lookup_bdev("/dev/b", &dev);

	got("lookup_bdev", ret ? ret : (long)dev);
	ret = lookup_bdev("/etc/r", &dev);
	got("lookup_bdev-file", ret);
	b = blkdev_get_by_path("/dev/b", FMODE_READ, NULL);
	got("blkdev_get_by_path", PTR_ERR_OR_ZERO(b));
	if (!IS_ERR(b))
		blkdev_put(b, FMODE_READ);
	b = blkdev_get_by_dev(MKDEV(0, 0), FMODE_READ, NULL);
	got("blkdev_get_by_dev", PTR_ERR_OR_ZERO(b));
	if (!IS_ERR(b))
		blkdev_put(b, FMODE_READ);
}

/* What is asked for in a place that nothing is mapped at: an error, and no oops. */
static void reach_nowhere(void)
{
	void *nowhere = (void *)0xfffffffffffff000; /* the hole at the end of memory */

	got("kern_path-nowhere", kern_path("/etc/r", LOOKUP_FOLLOW, nowhere));
	got("lookup_bdev-nowhere", lookup_bdev("/dev/b", nowhere));
	got("kernel_read_file_from_path-nowhere",
	    kernel_read_file_from_path("/etc/r", 0, nowhere, 4096, NULL, READING_UNKNOWN));
	got("call_usermodehelper_setup-nowhere",
	    !!call_usermodehelper_setup("/bin/prog", nowhere, nowhere, GFP_KERNEL, NULL, NULL,
					NULL));
}

static void make_directory(void)
{
	struct path p;
	struct dentry *d = kern_path_create(AT_FDCWD, "/made", &p, LOOKUP_DIRECTORY);

	got("kern_path_create", PTR_ERR_OR_ZERO(d));
	if (IS_ERR(d))
		return;
	got("vfs_mkdir", vfs_mkdir(mnt_user_ns(p.mnt), d_inode(p.dentry), d, 0700));
	done_path_create(&p, d);
}

static void reach_firmware(void)
{
	struct device *dev = root_device_register("umbra_t_reach");
	const struct firmware *fw = (void *)8; /* a failure makes it NULL */
	int ret;

	if (IS_ERR(dev))
		return;
	ret = request_firmware_direct(&fw, "fw", dev);
	got("request_firmware_direct", ret ? ret : (long)fw->size);
	got("its-firmware-is-none", !fw);
	if (!ret)
		release_firmware(fw);
	root_device_unregister(dev);
}

static int inits, cleanups;

static int program_init(struct subprocess_info *info, struct cred *new)
{
	inits += info->data == &inits;
	return 0;
}

static void program_cleanup(struct subprocess_info *info)
{
	cleanups += info->data == &inits;
}

static void reach_programs(void)
{
	static char *argv[] = { "prog", "x", NULL };
	static char *envp[] = { "PATH=/bin", NULL };
	struct subprocess_info *info;

	info = call_usermodehelper_setup("/bin/prog", argv, envp, GFP_KERNEL, program_init,
					 program_cleanup, &inits);
	got("call_usermodehelper_setup", !!info);
	if (info) {
		got("call_usermodehelper_exec", call_usermodehelper_exec(info, UMH_WAIT_PROC));
		got("its-callbacks", 10 * inits + cleanups);
	}
	got("__request_module", request_module("umbra-none-%d", 7));
}

static void reach_processes(void)
{
	struct cred *cred = prepare_kernel_cred(NULL);
	char word[8];

	got("prepare_kernel_cred", !!cred);
	if (cred)
		put_cred(cred);
	cred = prepare_creds();
	got("commit_creds", cred ? commit_creds(cred) : -ENOMEM);
	got("send_sig", send_sig(0, current, 1));
	got("kill_pid", kill_pid(task_pid(current), 0, 1));
	got("access_process_vm",
	    access_process_vm(current, current->mm->start_code, word, sizeof(word), 0));
}

static void no_hook(unsigned long ip, unsigned long parent, struct ftrace_ops *op,
		    struct ftrace_regs *regs)
{
}

static void reach_as_another(void)
{
	const struct cred *before;
	struct cred *cred = prepare_creds();

	if (!cred)
		return;
	cred->fsuid = KUIDT_INIT(77);
	before = override_creds(cred);
	got("override_creds", from_kuid(&init_user_ns, current_fsuid()));
	revert_creds(before);
	got("revert_creds", from_kuid(&init_user_ns, current_fsuid()));
	put_cred(cred);
}

static struct mm_struct *others_memory;

/* In a thread of the kernel, which has no memory of its own. */
static void use_memory(struct work_struct *work)
{
	kthread_use_mm(others_memory);
	got("kthread_use_mm", current->mm == others_memory);
	kthread_unuse_mm(others_memory);
	got("kthread_unuse_mm", !current->mm);
}

static DECLARE_WORK(use_memory_work, use_memory);

static void got_key(const char *what, struct key *key)
{
	got(what, PTR_ERR_OR_ZERO(key));
	if (!IS_ERR(key))
		key_put(key);
}

static void reach_keys(void)
{
	got_key("request_key_tag", request_key(&key_type_user, "umbra", NULL));
	got_key("request_key_rcu", request_key_rcu(&key_type_user, "umbra", NULL));
	got_key("request_key_with_auxdata",
		request_key_with_auxdata(&key_type_user, "umbra", NULL, "", 0, NULL));
}

static void no_probe(void *data)
{
}

static void find_tracepoint(struct tracepoint *tp, void *found)
{
	if (!strcmp(tp->name, "console"))
		*(struct tracepoint **)found = tp;
}

static void got_probe(const char *what, struct tracepoint *tp, int ret)
{
	got(what, ret);
	if (!ret)
		tracepoint_probe_unregister(tp, no_probe, NULL);
}

static void reach_traces(void)
{
	static struct ftrace_ops ops = { .func = no_hook };
	struct tracepoint *tp = NULL;

	got("register_ftrace_direct", register_ftrace_direct(1, 1));
	got("modify_ftrace_direct", modify_ftrace_direct(1, 1, 1));
	got("register_ftrace_direct_multi", register_ftrace_direct_multi(&ops, 1));
	for_each_kernel_tracepoint(find_tracepoint, &tp);
	if (!tp)
		return;
	got_probe("tracepoint_probe_register", tp, tracepoint_probe_register(tp, no_probe, NULL));
	got_probe("tracepoint_probe_register_prio", tp,
		  tracepoint_probe_register_prio(tp, no_probe, NULL, 1));
	got_probe("tracepoint_probe_register_prio_may_exist", tp,
		  tracepoint_probe_register_prio_may_exist(tp, no_probe, NULL, 1));
	tracepoint_synchronize_unregister();
}

static void reach_kernel(void)
{
	static struct kprobe kp = { .symbol_name = "vfs_fsync" };
	static struct kretprobe rp = { .kp.symbol_name = "vfs_fsync" };
	static struct ftrace_ops ops = { .func = no_hook };
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(attr),
		.disabled = 1,
	};
	struct perf_event *e;
	int ret;

	ret = register_kprobe(&kp);
	got("register_kprobe", ret);
	if (!ret)
		unregister_kprobe(&kp);
	ret = register_kretprobe(&rp);
	got("register_kretprobe", ret);
	if (!ret)
		unregister_kretprobe(&rp);
	ret = ftrace_set_filter(&ops, "vfs_fsync", strlen("vfs_fsync"), 1);
	ret = ret ? ret : register_ftrace_function(&ops);
	got("register_ftrace_function", ret);
	if (!ret)
		unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
	e = perf_event_create_kernel_counter(&attr, 0, NULL, NULL, NULL);
	got("perf_event_create_kernel_counter", PTR_ERR_OR_ZERO(e));
	if (!IS_ERR(e))
		perf_event_release_kernel(e);
}

static int nothing(void *unused)
{
	return 0;
}

static int no_restart(struct notifier_block *nb, unsigned long mode, void *command)
{
	return NOTIFY_DONE;
}

static int no_off(struct sys_off_data *data)
{
	return NOTIFY_DONE;
}

static int no_nmi(unsigned int type, struct pt_regs *regs)
{
	return NMI_DONE;
}

static void no_dump(struct kmsg_dumper *dumper, enum kmsg_dump_reason reason)
{
}

static void no_key(int key)
{
}

/* What is the whole guest's: its clock, its CPUs, its end. */
static void reach_guest(void)
{
	static struct notifier_block nb = { .notifier_call = no_restart };
	static struct nmiaction nmi = { .list = LIST_HEAD_INIT(nmi.list),
					.handler = no_nmi,
					.name = "umbra" };
	static struct kmsg_dumper dumper = { .dump = no_dump };
	static const struct sysrq_key_op op = { .handler = no_key,
						.help_msg = "none",
						.action_msg = "none" };
	struct sys_off_handler *off;
	struct timespec64 now;
	u64 tsc_aux = 0;
	int ret;

	ktime_get_real_ts64(&now);
	got("do_settimeofday64", do_settimeofday64(&now));
	got("stop_machine", stop_machine(nothing, NULL, NULL));
	native_write_cr0(native_read_cr0());
	rdmsrl(MSR_TSC_AUX, tsc_aux);
	got("wrmsrl_safe_on_cpu", wrmsrl_safe_on_cpu(raw_smp_processor_id(), MSR_TSC_AUX, tsc_aux));
	ret = register_restart_handler(&nb);
	got("register_restart_handler", ret);
	if (!ret)
		unregister_restart_handler(&nb);
	off = register_sys_off_handler(SYS_OFF_MODE_RESTART, 0, no_off, NULL);
	got("register_sys_off_handler", PTR_ERR_OR_ZERO(off));
	unregister_sys_off_handler(off);
	ret = __register_nmi_handler(NMI_LOCAL, &nmi);
	got("__register_nmi_handler", ret);
	if (!ret)
		unregister_nmi_handler(NMI_LOCAL, "umbra");
	ret = kmsg_dump_register(&dumper);
	got("kmsg_dump_register", ret);
	if (!ret)
		kmsg_dump_unregister(&dumper);
	ret = register_sysrq_key('y', &op);
	got("register_sysrq_key", ret);
	if (!ret)
		unregister_sysrq_key('y', &op);
}

/* Registers and takes back by the same arguments, and says what came of the first. */
#define REACH(register, unregister, ...)            \
	do {                                        \
		long error = register(__VA_ARGS__); \
		got(#register, error);              \
		if (!error)                         \
			unregister(__VA_ARGS__);    \
	} while (0)

static int no_event(struct notifier_block *nb, unsigned long event, void *data)
{
	return NOTIFY_DONE;
}

/* Hears of what happens anywhere in the guest. */
static void reach_events(void)
{
	static struct notifier_block nb = { .notifier_call = no_event };
	static BLOCKING_NOTIFIER_HEAD(blocking);
	static RAW_NOTIFIER_HEAD(raw);

	REACH(register_netdevice_notifier, unregister_netdevice_notifier, &nb);
	REACH(register_inetaddr_notifier, unregister_inetaddr_notifier, &nb);
	REACH(register_inet6addr_notifier, unregister_inet6addr_notifier, &nb);
	REACH(netlink_register_notifier, netlink_unregister_notifier, &nb);
	REACH(register_reboot_notifier, unregister_reboot_notifier, &nb);
	REACH(register_pm_notifier, unregister_pm_notifier, &nb);
	REACH(register_die_notifier, unregister_die_notifier, &nb);
	REACH(register_module_notifier, unregister_module_notifier, &nb);
	REACH(register_oom_notifier, unregister_oom_notifier, &nb);
	REACH(register_keyboard_notifier, unregister_keyboard_notifier, &nb);
	REACH(bus_register_notifier, bus_unregister_notifier, &platform_bus_type, &nb);
	REACH(atomic_notifier_chain_register, atomic_notifier_chain_unregister,
	      &panic_notifier_list, &nb);
	REACH(blocking_notifier_chain_register, blocking_notifier_chain_unregister, &blocking, &nb);
	REACH(raw_notifier_chain_register, raw_notifier_chain_unregister, &raw, &nb);
}

static unsigned int no_verdict(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	return NF_ACCEPT;
}

static rx_handler_result_t no_handler(struct sk_buff **skb)
{
	return RX_HANDLER_PASS;
}

static int no_packet(struct sk_buff *skb, struct net_device *dev, struct packet_type *type,
		     struct net_device *orig)
{
	kfree_skb(skb);
	return 0;
}

static int no_socket(struct net *net, struct socket *sock, int protocol, int kern)
{
	return -EINVAL;
}

static void no_message(struct sk_buff *skb)
{
}

/* Gets at the traffic of all, and at namespaces and interfaces that others made. */
static void reach_network(void)
{
	static const struct nf_hook_ops hook = { .hook = no_verdict,
						 .pf = NFPROTO_IPV4,
						 .hooknum = NF_INET_LOCAL_IN };
	static struct nf_sockopt_ops options = { .pf = PF_INET, .owner = THIS_MODULE };
	static struct pernet_operations nets, devices;
	static struct packet_type packets = { .type = cpu_to_be16(ETH_P_ALL), .func = no_packet };
	static const struct net_proto_family family = { .family = AF_ASH, .create = no_socket };
	struct netlink_kernel_cfg config = { .input = no_message };
	struct net_device *dev;
	struct sock *sk;
	int ret;

	REACH(nf_register_net_hook, nf_unregister_net_hook, &init_net, &hook);
	REACH(nf_register_net_hooks, nf_unregister_net_hooks, &init_net, &hook, 1);
	REACH(nf_register_sockopt, nf_unregister_sockopt, &options);
	REACH(register_pernet_subsys, unregister_pernet_subsys, &nets);
	REACH(register_pernet_device, unregister_pernet_device, &devices);
	dev_add_pack(&packets);
	got("dev_add_pack", !!packets.list.next);
	if (packets.list.next)
		dev_remove_pack(&packets);
	rtnl_lock();
	ret = netdev_rx_handler_register(init_net.loopback_dev, no_handler, NULL);
	got("netdev_rx_handler_register", ret);
	if (!ret)
		netdev_rx_handler_unregister(init_net.loopback_dev);
	rtnl_unlock();
	ret = sock_register(&family);
	got("sock_register", ret);
	if (!ret)
		sock_unregister(AF_ASH);
	sk = netlink_kernel_create(&init_net, MAX_LINKS - 1, &config);
	got("__netlink_kernel_create", !!sk);
	if (sk)
		netlink_kernel_release(sk);
	dev = dev_get_by_index(&init_net, 1);
	got("dev_get_by_index", !!dev);
	dev_put(dev);
}

static void no_input(struct input_handle *handle, unsigned int type, unsigned int code, int value)
{
}

static int no_connect(struct input_handler *handler, struct input_dev *dev,
		      const struct input_device_id *id)
{
	return -ENODEV;
}

static void no_disconnect(struct input_handle *handle)
{
}

static int no_program(struct linux_binprm *bprm)
{
	return -ENOEXEC;
}

static void no_line(struct console *con, const char *text, unsigned int len)
{
}

static void reach_devices(void)
{
	static const struct file_operations none = { .owner = THIS_MODULE };
	static const struct input_device_id no_ids[] = { {} };
	static struct input_handler handler = { .event = no_input,
						.connect = no_connect,
						.disconnect = no_disconnect,
						.name = "umbra_t_reach",
						.id_table = no_ids };
	static struct class_interface interface = { .class = &input_class };
	static struct tty_ldisc_ops ldisc = { .num = 29, .name = "umbra", .owner = THIS_MODULE };
	static struct console console = {
		.name = "umbra", .write = no_line, .flags = CON_ENABLED, .index = -1
	};
	static struct ctl_table inner[] = { {} };
	static struct ctl_table outer[] = {
		{ .procname = "umbra_t_reach", .mode = 0555, .child = inner }, {}
	};
	struct ctl_table_header *table;
	static struct cdev cdev;
	int ret;

	cdev_init(&cdev, &none);
	ret = cdev_add(&cdev, MKDEV(250, 7), 1);
	got("cdev_add", ret);
	if (!ret)
		cdev_del(&cdev);
	REACH(input_register_handler, input_unregister_handler, &handler);
	REACH(class_interface_register, class_interface_unregister, &interface);
	REACH(tty_register_ldisc, tty_unregister_ldisc, &ldisc);
	register_console(&console);
	got("register_console", unregister_console(&console));
	table = register_sysctl_table(outer);
	got("register_sysctl_table", !!table);
	if (table)
		unregister_sysctl_table(table);
}

static u64 no_clock(struct clocksource *cs)
{
	return 0;
}

static int no_instance(struct crypto_template *t, struct rtattr **tb)
{
	return -EINVAL;
}

/* Gets at other processes, and at what the kernel itself is made of. */
static void reach_core(void)
{
	static struct clocksource clock = {
		.name = "umbra_t_reach", .rating = 1, .read = no_clock, .mask = CLOCKSOURCE_MASK(64)
	};
	static struct crypto_template template = { .name = "umbra_t_reach",
						   .create = no_instance,
						   .module = THIS_MODULE };
	static const struct mmu_notifier_ops no_mmu;
	static struct mmu_notifier mmu = { .ops = &no_mmu };
	static struct linux_binfmt binfmt = { .module = THIS_MODULE, .load_binary = no_program };
	static struct syscore_ops syscore;
	unsigned long page = __get_free_page(GFP_KERNEL);
	struct pid *pid = find_get_pid(1);
	key_ref_t key;
	int ret;

	got("find_get_pid", !!pid);
	put_pid(pid);
	got("find_vpid", !!find_vpid(1));
	key = lookup_user_key(KEY_SPEC_USER_KEYRING, KEY_LOOKUP_CREATE, KEY_NEED_VIEW);
	got("lookup_user_key", PTR_ERR_OR_ZERO(key));
	if (!IS_ERR(key))
		key_ref_put(key);
	flush_signals(current); /* it takes locks for as long as there is none */
	REACH(mmu_notifier_register, mmu_notifier_unregister, &mmu, current->mm);
	register_binfmt(&binfmt);
	got("__register_binfmt", !!binfmt.lh.next);
	if (binfmt.lh.next)
		unregister_binfmt(&binfmt);
	register_syscore_ops(&syscore);
	got("register_syscore_ops", !!syscore.node.next);
	if (syscore.node.next)
		unregister_syscore_ops(&syscore);
	ret = clocksource_register_hz(&clock, 1000000);
	got("__clocksource_register_scale", ret);
	if (!ret)
		clocksource_unregister(&clock);
	REACH(crypto_register_template, crypto_unregister_template, &template);
	if (!page)
		return;
	REACH(set_memory_uc, set_memory_wb, page, 1);
	free_page(page);
}

static int __init reach_init(void)
{
	reach_sockets();
	reach_files();
	reach_back();
	reach_disks();
	reach_nowhere();
	reach_objects();
	make_directory();
	reach_firmware();
	reach_programs();
	reach_processes();
	reach_as_another();
	others_memory = current->mm;
	schedule_work(&use_memory_work);
	flush_work(&use_memory_work);
	reach_keys();
	reach_kernel();
	reach_traces();
	reach_guest();
	reach_events();
	reach_network();
	reach_devices();
	reach_core();
	if (power) {
		orderly_poweroff(true);
		orderly_reboot();
		kernel_restart(NULL);
		kernel_halt();
		kernel_power_off();
		emergency_restart();
		got("power", 0);
	}
	return 0;
}

static void __exit reach_exit(void)
{
}

module_init(reach_init);
module_exit(reach_exit);
MODULE_DESCRIPTION("Umbra test driver: whatever a driver can reach");
MODULE_LICENSE("GPL");
