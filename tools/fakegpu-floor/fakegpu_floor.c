// SPDX-License-Identifier: GPL-2.0
/*
 * The floor: counts, in one boot with the driver, what the kernel's part of the work
 * costs when nothing else is done. For make bench; no test needs it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "fakegpu_floor.h"

/**
 * struct floor_file - an open file
 * @lock: taken by ioctls, outside of mmap_lock.
 * @watch: interval of FAKEGPU_FLOOR_IOC_WATCH.
 * @watch_on: is it registered?
 */
struct floor_file {
	/* protects watch_on */
	struct mutex lock;
	struct mmu_interval_notifier watch;
	bool watch_on;
};

/* Nobody uses what was read once the ioctl has ended: there is nothing to invalidate. */
static bool floor_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range, unsigned long cur_seq)
{
	mmu_interval_set_seq(notifier, cur_seq);
	return true;
}

static const struct mmu_interval_notifier_ops floor_ops = {
	.invalidate = floor_invalidate,
};

static bool range_ok(u64 addr, u64 size)
{
	return size && PAGE_ALIGNED(addr) && PAGE_ALIGNED(size) && addr < TASK_SIZE &&
	       size <= TASK_SIZE - addr;
}

static int read_windows(struct fakegpu_floor_range *args, struct mmu_interval_notifier *notifier,
			unsigned long *pfns)
{
	unsigned long addr = args->addr, end = args->addr + args->size;
	struct hmm_range range = {
		.notifier = notifier,
		.hmm_pfns = pfns,
		.default_flags = (args->flags & FAKEGPU_FLOOR_FAULT ? HMM_PFN_REQ_FAULT : 0) |
				 (args->flags & FAKEGPU_FLOOR_WRITE ? HMM_PFN_REQ_WRITE : 0),
	};
	cycles_t begin = get_cycles();
	int ret = 0;

	for (; addr < end && !ret; addr = range.end) {
		range.start = addr;
		range.end = min(end, (addr | (args->window - 1)) + 1);
		range.notifier_seq = mmu_interval_read_begin(notifier);
		if (mmap_read_lock_killable(current->mm))
			return -EINTR;
		ret = hmm_range_fault(&range);
		mmap_read_unlock(current->mm);
		if (!ret && mmu_interval_read_retry(notifier, range.notifier_seq))
			ret = -EBUSY;
	}
	args->ticks = get_cycles() - begin;
	return ret;
}

static int floor_range(struct fakegpu_floor_range __user *user)
{
	struct mmu_interval_notifier notifier;
	struct fakegpu_floor_range args;
	unsigned long *pfns;
	int ret;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (!range_ok(args.addr, args.size) || args.pad || !is_power_of_2(args.window) ||
	    args.window < PAGE_SIZE || args.window > SZ_2M ||
	    (args.flags & ~(FAKEGPU_FLOOR_FAULT | FAKEGPU_FLOOR_WRITE)))
		return -EINVAL;

	pfns = kvcalloc(args.window >> PAGE_SHIFT, sizeof(*pfns), GFP_KERNEL);
	if (!pfns)
		return -ENOMEM;
	ret = mmu_interval_notifier_insert(&notifier, current->mm, args.addr, args.size,
					   &floor_ops);
	if (!ret) {
		ret = read_windows(&args, &notifier, pfns);
		mmu_interval_notifier_remove(&notifier);
	}
	kvfree(pfns);
	if (!ret && copy_to_user(user, &args, sizeof(args)))
		ret = -EFAULT;
	return ret;
}

static int floor_copy(struct fakegpu_floor_copy __user *user)
{
	struct fakegpu_floor_copy args;
	void *src, *dst;
	cycles_t begin;
	u64 done;
	int ret = 0;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (!args.size || args.size % SZ_1M || args.size > SZ_1G)
		return -EINVAL;

	src = vzalloc(SZ_1M);
	dst = vzalloc(SZ_1M);
	if (src && dst) {
		begin = get_cycles();
		for (done = 0; done < args.size; done += PAGE_SIZE)
			memcpy(dst + done % SZ_1M, src + done % SZ_1M, PAGE_SIZE);
		args.ticks = get_cycles() - begin;
		if (copy_to_user(user, &args, sizeof(args)))
			ret = -EFAULT;
	} else {
		ret = -ENOMEM;
	}
	vfree(dst);
	vfree(src);
	return ret;
}

static int floor_watch(struct floor_file *priv, struct fakegpu_floor_watch __user *user)
{
	struct fakegpu_floor_watch args;
	int ret = -EBUSY;

	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	if (!range_ok(args.addr, args.size))
		return -EINVAL;

	mutex_lock(&priv->lock);
	if (!priv->watch_on) {
		ret = mmu_interval_notifier_insert(&priv->watch, current->mm, args.addr, args.size,
						   &floor_ops);
		priv->watch_on = !ret;
	}
	mutex_unlock(&priv->lock);
	return ret;
}

static long floor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case FAKEGPU_FLOOR_IOC_RANGE:
		return floor_range(user);
	case FAKEGPU_FLOOR_IOC_COPY:
		return floor_copy(user);
	case FAKEGPU_FLOOR_IOC_WATCH:
		return floor_watch(file->private_data, user);
	default:
		return -ENOTTY;
	}
}

static int floor_open(struct inode *inode, struct file *file)
{
	struct floor_file *priv = kzalloc(sizeof(*priv), GFP_KERNEL);

	if (!priv)
		return -ENOMEM;
	mutex_init(&priv->lock);
	file->private_data = priv;
	return 0;
}

static int floor_release(struct inode *inode, struct file *file)
{
	struct floor_file *priv = file->private_data;

	if (priv->watch_on)
		mmu_interval_notifier_remove(&priv->watch);
	kfree(priv);
	return 0;
}

static const struct file_operations floor_fops = {
	.owner = THIS_MODULE,
	.open = floor_open,
	.release = floor_release,
	.unlocked_ioctl = floor_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice floor_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = FAKEGPU_FLOOR_DEVICE,
	.mode = 0600,
	.fops = &floor_fops,
};

module_misc_device(floor_device);
MODULE_DESCRIPTION("The kernel's part of a device fault, counted");
MODULE_LICENSE("GPL");
