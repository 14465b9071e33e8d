// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers one thing in each name space of the kernel that a driver of its kind can register in,
 * always under the same names, and says which of them failed. A second copy beside the first has
 * all of them only if its names are others.
 *
 *   tag=T      stands in front of what it says
 *   remove=N   first tries to take away the entry N of /proc, which it did not make
 */
#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/fs.h>
#include <linux/key-type.h>
#include <linux/module.h>
#include <linux/nls.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/pkt_cls.h>
#include <net/pkt_sched.h>
#include <net/sock.h>
#include <net/tcp.h>

#define NAME "umbra_t_n"

static char *tag = "-";
module_param(tag, charp, 0444);
static char *remove;
module_param(remove, charp, 0444);

static bool got(const char *what, long error)
{
	if (error)
		pr_info("umbra_t_names[%s]: %s %ld\n", tag, what, error);
	return !error;
}

static int show(struct seq_file *s, void *v)
{
	seq_printf(s, "%s\n", tag);
	return 0;
}

static int value;
static struct ctl_table table[] = {
	{
		.procname = "value",
		.data = &value,
		.maxlen = sizeof(value),
		.mode = 0444,
		.proc_handler = proc_dointvec,
	},
	{},
};
static struct ctl_table_header *sysctl, *net_sysctl;
static struct dentry *debug_dir;
static u32 debug_value;

static void debug_begin(void)
{
	struct dentry *found;

	debug_dir = debugfs_create_dir(NAME, NULL);
	if (!got("debugfs_create_dir", PTR_ERR_OR_ZERO(debug_dir)))
		return;
	debugfs_create_file("in", 0444, debug_dir, NULL, NULL);
	debugfs_create_u32(NAME "_u", 0444, NULL, &debug_value);
	found = debugfs_lookup(NAME "_u", NULL);
	got("debugfs_lookup", !found);
	dput(found);
}

static void debug_end(void)
{
	if (IS_ERR(debug_dir))
		return;
	debugfs_lookup_and_remove(NAME "_u", NULL);
	debugfs_lookup_and_remove("in", debug_dir);
	debugfs_remove(debug_dir);
}

static void proc_begin(void)
{
	struct proc_dir_entry *dir, *in;

	if (remove)
		remove_proc_entry(remove, NULL);
	dir = proc_mkdir(NAME, NULL);
	/* two ways to say where it is, in a directory of its own */
	if (got("proc_mkdir", !dir)) {
		in = proc_create_single_data("in", 0444, dir, show, NULL);
		got("proc_create_single_data", !in);
	}
	got("proc_symlink", !proc_symlink(NAME "/link", NULL, "in"));
	in = proc_create_net_single(NAME, 0444, init_net.proc_net, show, NULL);
	got("proc_create_net_single", !in);
	in = proc_mkdir_mode("driver/" NAME, 0555, NULL);
	got("proc_mkdir_mode", !in);
	sysctl = register_sysctl("kernel/" NAME, table);
	got("register_sysctl", !sysctl);
	net_sysctl = register_net_sysctl(&init_net, "net/" NAME, table);
	got("register_net_sysctl", !net_sysctl);
	debug_begin();
}

static void proc_end(void)
{
	debug_end();
	unregister_net_sysctl_table(net_sysctl);
	unregister_sysctl_table(sysctl);
	remove_proc_entry("driver/" NAME, NULL);
	remove_proc_entry(NAME, init_net.proc_net);
	remove_proc_entry(NAME "/link", NULL);
	remove_proc_subtree(NAME, NULL);
}

static struct class *made;
static struct class own = { .name = NAME "_own", .owner = THIS_MODULE };
static bool has_own;

static void no_release(struct kobject *object)
{
}

static void no_device(struct device *dev)
{
}

static const struct kobj_type type = { .release = no_release, .sysfs_ops = &kobj_sysfs_ops };
static struct kobject initialized, named;
static struct device registered = { .release = no_device };

static ssize_t show_nothing(struct device *dev, struct device_attribute *a, char *text)
{
	return 0;
}

static struct device_attribute attribute = { .attr = { .name = "at", .mode = 0444 },
					     .show = show_nothing };
static bool has_device;

/* Names that formats make, of what the driver has in its own memory. */
static void formats_begin(void)
{
	got("kobject_init_and_add",
	    kobject_init_and_add(&initialized, &type, fs_kobj, "%s_i%d", NAME, 1));
	kobject_init(&named, &type);
	if (!got("kobject_set_name", kobject_set_name(&named, "%s_s", NAME)))
		return;
	/* Without a parent it has no other name afterwards (lib/kobject.c). */
	got("kobject_add", kobject_add(&named, fs_kobj, "%s_a", NAME));
	got("kobject_rename", kobject_rename(&named, NAME "_b"));
	got("dev_set_name", dev_set_name(&registered, "%s.%d", NAME, 3));
	has_device = got("device_register", device_register(&registered));
	if (!has_device)
		return;
	got("device_create_file", device_create_file(&registered, &attribute));
	got("device_rename", device_rename(&registered, NAME "_d"));
}

static void formats_end(void)
{
	if (has_device) {
		device_remove_file(&registered, &attribute);
		device_unregister(&registered);
	}
	kobject_put(&named);
	kobject_put(&initialized);
}

static struct kobject *in_fs, *in_own;
static struct kset *set;

static void objects_begin(void)
{
	in_fs = kobject_create_and_add(NAME, fs_kobj);
	if (got("kobject_create_and_add", !in_fs))
		in_own = kobject_create_and_add("in", in_fs);
	set = kset_create_and_add(NAME, NULL, kernel_kobj);
	got("kset_create_and_add", !set);
}

static void objects_end(void)
{
	if (set)
		kset_unregister(set);
	kobject_put(in_own);
	kobject_put(in_fs);
}

static void classes_begin(void)
{
	made = class_create(THIS_MODULE, NAME);
	if (got("class_create", PTR_ERR_OR_ZERO(made)))
		got("device_create", PTR_ERR_OR_ZERO(device_create(made, NULL, MKDEV(240, tag[0]),
								   NULL, NAME "%d", 0)));
	has_own = got("class_register", class_register(&own));
}

static void classes_end(void)
{
	if (has_own)
		class_unregister(&own);
	if (IS_ERR(made))
		return;
	device_destroy(made, MKDEV(240, tag[0]));
	class_destroy(made);
}

static int match(struct device *dev, struct device_driver *drv)
{
	return 0;
}

static int probes;

static int probe(struct platform_device *dev)
{
	probes++;
	return 0;
}

static struct bus_type bus = { .name = NAME, .match = match };
static struct device_driver driver = { .name = NAME, .bus = &bus, .owner = THIS_MODULE };
static struct platform_driver platform = { .driver.name = NAME, .probe = probe };
static const struct pci_device_id no_ids[] = { {} };
static struct pci_driver pci = { .name = NAME, .id_table = no_ids };
static struct platform_device *platform_dev;
static bool has_bus, has_driver, has_platform, has_pci;

static void drivers_begin(void)
{
	struct platform_device_info info = { .name = NAME, .id = PLATFORM_DEVID_NONE };

	has_bus = got("bus_register", bus_register(&bus));
	if (has_bus)
		has_driver = got("driver_register", driver_register(&driver));
	has_platform = got("platform_driver_register", platform_driver_register(&platform));
	platform_dev = platform_device_register_full(&info);
	got("platform_device_register_full", PTR_ERR_OR_ZERO(platform_dev));
	got("its-name-is-back", strcmp(info.name, NAME));
	/* each copy's device finds the driver of its own copy, and no other */
	got("probes", probes - 1);
	has_pci = got("pci_register_driver", pci_register_driver(&pci));
}

static void drivers_end(void)
{
	if (has_pci)
		pci_unregister_driver(&pci);
	if (!IS_ERR(platform_dev))
		platform_device_unregister(platform_dev);
	if (has_platform)
		platform_driver_unregister(&platform);
	if (has_driver)
		driver_unregister(&driver);
	if (has_bus)
		bus_unregister(&bus);
	got("names-are-back", strcmp(bus.name, NAME) || strcmp(driver.name, NAME) ||
				      strcmp(platform.driver.name, NAME) || strcmp(pci.name, NAME));
}

static void no_bio(struct bio *bio)
{
	bio_io_error(bio);
}

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.submit_bio = no_bio,
};
static struct gendisk *disk;
static int major;

static void disk_begin(void)
{
	major = register_blkdev(0, NAME);
	disk = blk_alloc_disk(NUMA_NO_NODE);
	if (!got("blk_alloc_disk", !disk))
		return;
	disk->major = major;
	disk->minors = 1;
	disk->fops = &disk_ops;
	strcpy(disk->disk_name, NAME);
	if (got("device_add_disk", device_add_disk(NULL, disk, NULL)))
		return;
	put_disk(disk);
	disk = NULL;
}

static void disk_end(void)
{
	if (disk) {
		del_gendisk(disk);
		put_disk(disk);
	}
	if (major > 0)
		unregister_blkdev(major, NAME);
}

static const struct file_operations no_ops = { .owner = THIS_MODULE };
static dev_t region;
static int char_major;
static struct tty_driver *tty;
static const struct tty_operations tty_ops = {};
static struct tty_port tty_port;

static void numbers_begin(void)
{
	if (!got("alloc_chrdev_region", alloc_chrdev_region(&region, 0, 1, NAME)))
		region = 0;
	char_major = register_chrdev(0, NAME "_c", &no_ops);
	got("register_chrdev", char_major < 0 ? char_major : 0);
	tty = tty_alloc_driver(1, TTY_DRIVER_REAL_RAW);
	if (!got("tty_alloc_driver", PTR_ERR_OR_ZERO(tty)))
		return;
	tty->driver_name = NAME;
	tty->name = NAME;
	tty->type = TTY_DRIVER_TYPE_SERIAL;
	tty->init_termios = tty_std_termios;
	tty_set_operations(tty, &tty_ops);
	tty_port_init(&tty_port);
	tty_port_link_device(&tty_port, tty, 0);
	if (got("tty_register_driver", tty_register_driver(tty)))
		return;
	tty_driver_kref_put(tty);
	tty_port_destroy(&tty_port);
	tty = NULL;
}

static void numbers_end(void)
{
	if (!IS_ERR_OR_NULL(tty)) {
		tty_unregister_driver(tty);
		got("its-name-is-back", strcmp(tty->name, NAME));
		tty_driver_kref_put(tty);
		tty_port_destroy(&tty_port);
	}
	if (char_major > 0)
		unregister_chrdev(char_major, NAME "_c");
	if (region)
		unregister_chrdev_region(region, 1);
}

static netdev_tx_t no_transmit(struct sk_buff *skb, struct net_device *dev)
{
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static const struct net_device_ops net_ops = { .ndo_start_xmit = no_transmit };
static struct net_device *net;

static void got_net(const char *what, const char *name)
{
	struct net_device *found = dev_get_by_name(&init_net, name);

	got(what, found != net);
	if (found)
		dev_put(found);
}

static void net_begin(void)
{
	net = alloc_netdev(0, "umbra_t%d", NET_NAME_UNKNOWN, ether_setup);
	if (!got("alloc_netdev", !net))
		return;
	net->netdev_ops = &net_ops;
	if (!got("register_netdev", register_netdev(net))) {
		free_netdev(net);
		net = NULL;
		return;
	}
	got_net("dev_get_by_name-asked", "umbra_t0");
	got_net("dev_get_by_name-real", net->name);
}

static void net_end(void)
{
	if (!net)
		return;
	unregister_netdev(net);
	free_netdev(net);
}

static int no_context(struct fs_context *fc)
{
	return -EINVAL;
}

static int no_packet(struct sk_buff *skb, struct Qdisc *sch, struct sk_buff **to_free)
{
	return qdisc_drop(skb, sch, to_free);
}

static struct sk_buff *no_dequeue(struct Qdisc *sch)
{
	return NULL;
}

static u32 no_window(struct sock *sk)
{
	return 2;
}

static u32 no_threshold(struct sock *sk)
{
	return 2;
}

static void no_avoidance(struct sock *sk, u32 ack, u32 acked)
{
}

static void constructor(void *object)
{
}

static struct file_system_type fs = {
	.name = NAME,
	.owner = THIS_MODULE,
	.init_fs_context = no_context,
	.kill_sb = kill_anon_super,
};
static struct Qdisc_ops qdisc = {
	.id = NAME,
	.enqueue = no_packet,
	.dequeue = no_dequeue,
	.peek = no_dequeue,
	.owner = THIS_MODULE,
};
static struct tcf_proto_ops classifier = { .kind = NAME, .owner = THIS_MODULE };
static struct tcp_congestion_ops congestion = {
	.name = NAME,
	.owner = THIS_MODULE,
	.ssthresh = no_threshold,
	.cong_avoid = no_avoidance,
	.undo_cwnd = no_window,
};
static struct genl_family family = { .name = NAME, .version = 1, .module = THIS_MODULE };
static int no_key(struct key *key, struct key_preparsed_payload *prep)
{
	return -EINVAL;
}

static struct key_type key_type = { .name = NAME, .instantiate = no_key };
static struct nls_table nls = { .charset = NAME };
static struct proto proto = { .name = NAME, .owner = THIS_MODULE, .obj_size = sizeof(struct sock) };
static bool has_key, has_nls, has_proto;
static struct kmem_cache *cache;
static struct workqueue_struct *queue;
static bool has_fs, has_qdisc, has_classifier, has_congestion, has_family;

static void kinds_begin(void)
{
	has_fs = got("register_filesystem", register_filesystem(&fs));
	has_qdisc = got("register_qdisc", register_qdisc(&qdisc));
	has_classifier = got("register_tcf_proto_ops", register_tcf_proto_ops(&classifier));
	has_congestion = got("tcp_register_congestion_control",
			     tcp_register_congestion_control(&congestion));
	has_family = got("genl_register_family", genl_register_family(&family));
	/* one with a constructor is never merged with another */
	cache = kmem_cache_create(NAME, 64, 0, 0, constructor);
	got("kmem_cache_create", !cache);
	/* in sysfs, where a second one of its name has no room */
	queue = alloc_workqueue("%s", WQ_SYSFS, 0, NAME);
	got("alloc_workqueue", !queue);
}

static void others_begin(void)
{
	has_key = got("register_key_type", register_key_type(&key_type));
	has_nls = got("register_nls", register_nls(&nls));
	if (has_nls && got("load_nls", load_nls(NAME) != &nls))
		unload_nls(&nls);
	has_proto = got("proto_register", proto_register(&proto, 1));
}

static void others_end(void)
{
	if (has_proto)
		proto_unregister(&proto);
	if (has_nls)
		unregister_nls(&nls);
	if (has_key)
		unregister_key_type(&key_type);
	got("names-are-back-of-these", strcmp(nls.charset, NAME) || strcmp(key_type.name, NAME));
}

static void kinds_end(void)
{
	if (queue)
		destroy_workqueue(queue);
	kmem_cache_destroy(cache);
	if (has_family)
		genl_unregister_family(&family);
	if (has_congestion)
		tcp_unregister_congestion_control(&congestion);
	if (has_classifier)
		unregister_tcf_proto_ops(&classifier);
	if (has_qdisc)
		unregister_qdisc(&qdisc);
	if (has_fs)
		unregister_filesystem(&fs);
}

static int __init names_init(void)
{
	proc_begin();
	objects_begin();
	formats_begin();
	classes_begin();
	drivers_begin();
	disk_begin();
	numbers_begin();
	net_begin();
	kinds_begin();
	others_begin();
	pr_info("umbra_t_names[%s]: there\n", tag);
	return 0;
}

static void __exit names_exit(void)
{
	others_end();
	kinds_end();
	net_end();
	numbers_end();
	disk_end();
	drivers_end();
	classes_end();
	formats_end();
	objects_end();
	proc_end();
	pr_info("umbra_t_names[%s]: gone\n", tag);
}

module_init(names_init);
module_exit(names_exit);
MODULE_DESCRIPTION("Umbra test driver: a name in each name space");
MODULE_LICENSE("GPL");
