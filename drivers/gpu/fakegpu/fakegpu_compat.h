/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_COMPAT_H_
#define _FAKEGPU_COMPAT_H_

/*
 * Differences between the kernels that the module builds for out of tree; an
 * in-tree build needs none of this. Decided by what the headers have, not by
 * version numbers: FAKEGPU_HAVE_xxx comes from probes in the Makefile.
 */

#include <linux/fs.h>

/* 6.12 wants DRM drivers to say so; 6.1 has no such flag. */
#ifdef FOP_UNSIGNED_OFFSET
#define FAKEGPU_FOP_FLAGS	.fop_flags = FOP_UNSIGNED_OFFSET,
#else
#define FAKEGPU_FOP_FLAGS
#endif

/* 6.14 dropped drm_driver.date; before, a driver without one is warned about. */
#ifdef FAKEGPU_HAVE_DRIVER_DATE
#define FAKEGPU_DRIVER_DATE	.date = "20261122",
#else
#define FAKEGPU_DRIVER_DATE
#endif

/* Before 6.4 a VMA had no lock of its own. */
#ifdef FAKEGPU_NO_VMA_LOCK
#include <linux/mm_types.h>

static inline void vma_start_write(struct vm_area_struct *vma)
{
}
#endif

/*
 * What patches/v6.12 adds to interval notifiers. Without it VM_DIRECT is refused,
 * and none of these is called.
 */
#ifdef FAKEGPU_HAVE_DIRECT
#define FAKEGPU_CAN_DIRECT	true
#else
#define FAKEGPU_CAN_DIRECT	false

#include <linux/mmu_notifier.h>

static inline int mmu_interval_notifier_update(struct mmu_interval_notifier *interval_sub,
					       unsigned long start, unsigned long length)
{
	return -EOPNOTSUPP;
}

static inline int mmu_interval_notifier_split(struct mmu_interval_notifier *interval_sub,
					      unsigned long cur_seq, unsigned long start,
					      unsigned long length,
					      struct mmu_interval_notifier *new_sub)
{
	return -EOPNOTSUPP;
}

static inline void
mmu_interval_notifier_remove_deferred(struct mmu_interval_notifier *interval_sub)
{
}

static inline void mmu_interval_notifier_synchronize(struct mm_struct *mm)
{
}
#endif

#endif /* _FAKEGPU_COMPAT_H_ */
