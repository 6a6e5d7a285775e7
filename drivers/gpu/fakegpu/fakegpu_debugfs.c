// SPDX-License-Identifier: GPL-2.0
/*
 * The picture of the mirror in debugfs. Columns are documented in
 * docs/debugfs.rst and change only together with it.
 */

#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>

#include "fakegpu_drv.h"
#include "fakegpu_verify.h"
#include "fakegpu_vm.h"

static const char *scheme_name(const struct fakegpu_intervals *intervals)
{
	switch (intervals->scheme) {
	case DRM_FAKEGPU_SCHEME_MM:
		return "mm";
	case DRM_FAKEGPU_SCHEME_VMA:
		return intervals->direct ? "vma-direct" : "vma";
	case DRM_FAKEGPU_SCHEME_FIXED:
		return "fixed";
	default:
		return intervals->direct ? "slot-direct" : "slot";
	}
}

static bool has_order(const struct fakegpu_intervals *intervals)
{
	return intervals->scheme == DRM_FAKEGPU_SCHEME_SLOT ||
	       intervals->scheme == DRM_FAKEGPU_SCHEME_VMA;
}

static const char *where_name(u32 where)
{
	return where == DRM_FAKEGPU_WHERE_ZERO ? "zero" : "system";
}

static const char *access_name(u32 access)
{
	switch (access) {
	case DRM_FAKEGPU_ACCESS_READ:
		return "read";
	case DRM_FAKEGPU_ACCESS_WRITE:
		return "write";
	default:
		return "atomic";
	}
}

static const char *event_name(unsigned int event)
{
	switch (event) {
	case MMU_NOTIFY_UNMAP:
		return "unmap";
	case MMU_NOTIFY_CLEAR:
		return "clear";
	case MMU_NOTIFY_PROTECTION_VMA:
		return "protection_vma";
	case MMU_NOTIFY_PROTECTION_PAGE:
		return "protection_page";
	case MMU_NOTIFY_SOFT_DIRTY:
		return "soft_dirty";
	case MMU_NOTIFY_RELEASE:
		return "release";
	case MMU_NOTIFY_MIGRATE:
		return "migrate";
	case MMU_NOTIFY_EXCLUSIVE:
		return "exclusive";
	default:
		return "other";
	}
}

static void put_range(struct seq_file *m, u64 start, u64 end)
{
	seq_printf(m, "%016llx-%016llx", start, end);
}

/* ------------------------------------------------------- files of a VM --- */

static int mirror_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	struct drm_fakegpu_vm_run run;
	unsigned long addr = 0;

	seq_puts(m, "# range flags order pages where\n");
	while (fakegpu_vm_next_run(vm, addr, vm->mirror.last, &run)) {
		put_range(m, run.start, run.end);
		seq_printf(m, " r%c%c %u %llu %s\n",
			   run.flags & DRM_FAKEGPU_ENTRY_WRITE ? 'w' : '-',
			   run.flags & DRM_FAKEGPU_ENTRY_DIRTY ? 'd' : '-', run.order,
			   (run.end - run.start) >> PAGE_SHIFT, where_name(run.where));
		addr = run.end;
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mirror);

static void show_interval(struct seq_file *m, const struct fakegpu_interval *interval)
{
	const struct fakegpu_intervals *intervals = interval->owner;

	put_range(m, fakegpu_interval_start(interval), fakegpu_interval_last(interval) + 1);
	seq_printf(m, " %s %s %llu %lu\n", scheme_name(intervals),
		   interval->dead ? "dead" :
		   interval->unsettled || interval->settling ? "unsettled" : "live",
		   fakegpu_mirror_count(intervals->mirror, fakegpu_interval_start(interval),
					fakegpu_interval_last(interval)),
		   READ_ONCE(interval->notifier.invalidate_seq));
}

static int intervals_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	struct fakegpu_intervals *intervals = &vm->intervals;
	struct fakegpu_interval *interval;
	struct interval_tree_node *node;

	seq_puts(m, "# range scheme state pages seq\n");
	read_lock(&vm->mirror.lock);
	for (node = interval_tree_iter_first(&intervals->index, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		show_interval(m, container_of(node, struct fakegpu_interval, node));
	list_for_each_entry(interval, &intervals->dead, link)
		show_interval(m, interval);
	read_unlock(&vm->mirror.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(intervals);

static const char *attr_access_name(u32 access)
{
	switch (access) {
	case DRM_FAKEGPU_ATTR_ACCESS_READ_ONLY:
		return "read_only";
	case DRM_FAKEGPU_ATTR_ACCESS_NONE:
		return "none";
	default:
		return "read_write";
	}
}

static int attrs_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	struct fakegpu_attr_run run;
	unsigned long addr = 0;

	seq_puts(m, "# range access atomic location window_order\n");
	for (; fakegpu_attrs_next(&vm->attrs, addr, ULONG_MAX, &run); addr = run.last + 1) {
		put_range(m, run.start, run.last + 1);
		seq_printf(m, " %s %s system %u\n", attr_access_name(run.value.access),
			   run.value.atomic == DRM_FAKEGPU_ATTR_ATOMIC_NONE ? "none" : "device",
			   run.value.window_order);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(attrs);

static int attr_intervals_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	unsigned long addr = 0, start, last;

	seq_puts(m, "# range\n");
	for (; fakegpu_attrs_next_cover(&vm->attrs, addr, &start, &last); addr = last + 1) {
		put_range(m, start, last + 1);
		seq_putc(m, '\n');
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(attr_intervals);

static int faults_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	struct fakegpu_fault_log *log;
	u64 i;

	log = kmalloc(sizeof(*log), GFP_KERNEL);
	if (!log)
		return -ENOMEM;
	spin_lock(&vm->faults.lock);
	*log = vm->faults.log;
	spin_unlock(&vm->faults.lock);

	seq_puts(m, "# time_ns queue seqno cmd access range error\n");
	i = log->total > FAKEGPU_FAULT_LOG ? log->total - FAKEGPU_FAULT_LOG : 0;
	for (; i < log->total; i++) {
		const struct fakegpu_fault_entry *entry = &log->entries[i % FAKEGPU_FAULT_LOG];
		const struct drm_fakegpu_fault_info *info = &entry->info;

		seq_printf(m, "%llu %u %llu %u %s ", info->time_ns, info->queue_id, info->seqno,
			   info->cmd_index, access_name(info->access));
		put_range(m, info->addr, entry->last + 1);
		seq_printf(m, " %u\n", info->error);
	}
	kfree(log);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(faults);

static int events_show(struct seq_file *m, void *unused)
{
	struct fakegpu_vm *vm = m->private;
	struct fakegpu_intervals *intervals = &vm->intervals;
	struct fakegpu_event *events;
	u64 i, total;

	events = kvmalloc_array(FAKEGPU_EVENTS, sizeof(*events), GFP_KERNEL);
	if (!events)
		return -ENOMEM;
	read_lock(&vm->mirror.lock);
	memcpy(events, intervals->events, sizeof(intervals->events));
	total = intervals->nr_events;
	read_unlock(&vm->mirror.lock);

	seq_puts(m, "# time_ns event range interval pages_cleared\n");
	for (i = total > FAKEGPU_EVENTS ? total - FAKEGPU_EVENTS : 0; i < total; i++) {
		const struct fakegpu_event *event = &events[i % FAKEGPU_EVENTS];

		seq_printf(m, "%lld %s ", ktime_to_ns(event->time), event_name(event->event));
		put_range(m, event->start, event->end);
		seq_putc(m, ' ');
		put_range(m, event->interval_start, event->interval_last + 1);
		seq_printf(m, " %llu\n", event->pages);
	}
	kvfree(events);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(events);

/* --------------------------------------------------- files of a device --- */

static int vms_show(struct seq_file *m, void *unused)
{
	struct fakegpu_device *fdev = m->private;
	struct fakegpu_vm_gauges gauges;
	struct fakegpu_vm *vm;
	unsigned long id = 0;

	seq_puts(m, "# id pid comm scheme interval_order window_order intervals pages_small leaves_large queues\n");
	for (; (vm = fakegpu_device_next_vm(fdev, &id)); id++) {
		char comm[TASK_COMM_LEN];

		strscpy(comm, vm->comm, sizeof(comm));
		strreplace(comm, ' ', '_');
		fakegpu_vm_read_gauges(vm, &gauges);
		seq_printf(m, "%u %d %s %s %u %u %llu %llu %llu %u\n", vm->id, vm->pid,
			   comm[0] ? comm : "_", scheme_name(&vm->intervals),
			   has_order(&vm->intervals) ? vm->intervals.order : 0,
			   vm->window_order, gauges.intervals, gauges.pages_small,
			   gauges.leaves_large, READ_ONCE(vm->queues));
		fakegpu_vm_put(vm);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vms);

static void sum_gauges(struct fakegpu_device *fdev, struct fakegpu_vm_gauges *sum)
{
	struct fakegpu_vm_gauges gauges;
	struct fakegpu_vm *vm;
	unsigned long id = 0;

	memset(sum, 0, sizeof(*sum));
	for (; (vm = fakegpu_device_next_vm(fdev, &id)); id++) {
		fakegpu_vm_read_gauges(vm, &gauges);
		sum->intervals += gauges.intervals;
		sum->pending += gauges.pending;
		sum->nodes += gauges.nodes;
		sum->pages_small += gauges.pages_small;
		sum->leaves_large += gauges.leaves_large;
		sum->attrs += gauges.attrs;
		sum->attr_intervals += gauges.attr_intervals;
		sum->memory += gauges.memory;
		fakegpu_vm_put(vm);
	}
}

static const char *const stat_names[FAKEGPU_STAT_COUNT] = {
	[FAKEGPU_STAT_faults] = "faults",
	[FAKEGPU_STAT_faults_fatal] = "faults_fatal",
	[FAKEGPU_STAT_faults_nofault] = "faults_nofault",
	[FAKEGPU_STAT_fault_overflows] = "fault_overflows",
	[FAKEGPU_STAT_windows] = "windows",
	[FAKEGPU_STAT_retries] = "retries",
	[FAKEGPU_STAT_retries_false] = "retries_false",
	[FAKEGPU_STAT_intervals_added] = "intervals_added",
	[FAKEGPU_STAT_intervals_removed] = "intervals_removed",
	[FAKEGPU_STAT_invalidations] = "invalidations",
	[FAKEGPU_STAT_invalidations_useful] = "invalidations_useful",
	[FAKEGPU_STAT_pages_cleared] = "pages_cleared",
	[FAKEGPU_STAT_leaves_split] = "leaves_split",
	[FAKEGPU_STAT_leaves_dropped] = "leaves_dropped",
	[FAKEGPU_STAT_slots_restored] = "slots_restored",
	[FAKEGPU_STAT_attrs_kept] = "attrs_kept",
	[FAKEGPU_STAT_faults_scratch] = "faults_scratch",
};

static int stats_show(struct seq_file *m, void *unused)
{
	struct fakegpu_device *fdev = m->private;
	struct fakegpu_vm_gauges sum;
	unsigned int i;

	sum_gauges(fdev, &sum);
	seq_printf(m, "vms: %d\n", atomic_read(&fdev->nr_vms));
	seq_printf(m, "queues: %d\n", atomic_read(&fdev->nr_queues));
	seq_printf(m, "intervals: %llu\n", sum.intervals);
	seq_printf(m, "intervals_pending: %llu\n", sum.pending);
	seq_printf(m, "nodes: %llu\n", sum.nodes);
	seq_printf(m, "pages_small: %llu\n", sum.pages_small);
	seq_printf(m, "leaves_large: %llu\n", sum.leaves_large);
	seq_printf(m, "faults_pending: %d\n", atomic_read(&fdev->ring.used));
	seq_printf(m, "attrs: %llu\n", sum.attrs);
	seq_printf(m, "attr_intervals: %llu\n", sum.attr_intervals);
	seq_printf(m, "memory: %llu\n", sum.memory);
	for (i = 0; i < FAKEGPU_STAT_COUNT; i++)
		seq_printf(m, "%s: %lld\n", stat_names[i],
			   atomic64_read(&fdev->stats.value[i]));
	return 0;
}

static int stats_open(struct inode *inode, struct file *file)
{
	return single_open(file, stats_show, inode->i_private);
}

/* Whatever is written resets the counters, but not the gauges. */
static ssize_t stats_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct fakegpu_device *fdev = ((struct seq_file *)file->private_data)->private;
	unsigned int i;

	for (i = 0; i < FAKEGPU_STAT_COUNT; i++)
		atomic64_set(&fdev->stats.value[i], 0);
	return size;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.open = stats_open,
	.read = seq_read,
	.write = stats_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int verify_show(struct seq_file *m, void *unused)
{
	struct fakegpu_device *fdev = m->private;
	struct fakegpu_verdict verdict = {};
	struct fakegpu_vm *vm;
	unsigned long id = 0;
	unsigned int vms = 0;
	int ret;

	for (; (vm = fakegpu_device_next_vm(fdev, &id)); id++) {
		ret = fakegpu_verify_vm(vm, m, &verdict);
		fakegpu_vm_put(vm);
		if (ret)
			return ret;
		vms++;
	}
	if (verdict.mismatches)
		seq_printf(m, "verify: FAILED, %llu mismatches, %llu entries in %u VMs\n",
			   verdict.mismatches, verdict.entries, vms);
	else
		seq_printf(m, "verify: ok, %llu entries in %u VMs\n", verdict.entries, vms);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(verify);

/**
 * fakegpu_debugfs_init - make a device's files
 * @minor: one of the device's minors; all share a directory on newer kernels
 */
void fakegpu_debugfs_init(struct drm_minor *minor)
{
	struct fakegpu_device *fdev = to_fakegpu(minor->dev);

	if (minor->type != DRM_MINOR_PRIMARY)
		return;
	fdev->debugfs = minor->debugfs_root;
	debugfs_create_file("vms", 0444, fdev->debugfs, fdev, &vms_fops);
	debugfs_create_file("stats", 0644, fdev->debugfs, fdev, &stats_fops);
	debugfs_create_file("verify", 0444, fdev->debugfs, fdev, &verify_fops);
	fakegpu_race_debugfs(&fdev->race, fdev->debugfs);
}

/**
 * fakegpu_debugfs_add_vm - make a VM's files
 * @fdev: the device
 * @vm: the VM; has its id
 */
void fakegpu_debugfs_add_vm(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
	char name[16];

	snprintf(name, sizeof(name), "vm%u", vm->id);
	vm->debugfs = debugfs_create_dir(name, fdev->debugfs);
	debugfs_create_file("mirror", 0444, vm->debugfs, vm, &mirror_fops);
	debugfs_create_file("intervals", 0444, vm->debugfs, vm, &intervals_fops);
	debugfs_create_file("faults", 0444, vm->debugfs, vm, &faults_fops);
	debugfs_create_file("events", 0444, vm->debugfs, vm, &events_fops);
	debugfs_create_file("attrs", 0444, vm->debugfs, vm, &attrs_fops);
	debugfs_create_file("attr_intervals", 0444, vm->debugfs, vm, &attr_intervals_fops);
}

/**
 * fakegpu_debugfs_remove_vm - remove a VM's files
 * @fdev: the device
 * @vm: the VM
 *
 * Waits for their readers, who therefore needn't hold the VM.
 */
void fakegpu_debugfs_remove_vm(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
	int idx;

	if (drm_dev_enter(&fdev->drm, &idx)) {
		debugfs_remove(vm->debugfs);
		drm_dev_exit(idx);
	} else {
		/* They go with the device's own, whose removal waits as well. */
		wait_for_completion(&fdev->unplugged);
	}
}
