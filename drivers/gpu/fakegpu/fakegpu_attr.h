/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_ATTR_H_
#define _FAKEGPU_ATTR_H_

#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <drm/fakegpu_drm.h>

#define FAKEGPU_MAX_ATTRS	4096

struct fakegpu_mirror;
struct fakegpu_stats;

/**
 * struct fakegpu_attr_value - all attributes of an address; all 0 is the default
 * @access: one of &enum drm_fakegpu_attr_access.
 * @atomic: one of &enum drm_fakegpu_attr_atomic.
 * @location: one of &enum drm_fakegpu_attr_location.
 * @window_order: log2 bytes, or 0 for the VM's.
 */
struct fakegpu_attr_value {
	u8 access;
	u8 atomic;
	u8 location;
	u8 window_order;
};

/**
 * struct fakegpu_attr_run - addresses with like attributes
 * @start: first address.
 * @last: last address (inclusive).
 * @value: their attributes.
 */
struct fakegpu_attr_run {
	unsigned long start;
	unsigned long last;
	struct fakegpu_attr_value value;
};

/**
 * struct fakegpu_attr_change - what to set, and how
 * @start: first address.
 * @last: last address (inclusive).
 * @attr: one of &enum drm_fakegpu_attr.
 * @value: what to set it to, checked.
 * @stricter: out: the device may do less somewhere in the range.
 */
struct fakegpu_attr_change {
	unsigned long start;
	unsigned long last;
	u32 attr;
	u8 value;
	bool stricter;
};

/**
 * struct fakegpu_attrs - the attributes of a VM's addresses
 */
struct fakegpu_attrs {
	/** @mirror: its lock, "the mirror lock", protects all below; immutable. */
	struct fakegpu_mirror *mirror;
	/** @mm: the address space; immutable; held by the VM. */
	struct mm_struct *mm;
	/** @stats: immutable. */
	struct fakegpu_stats *stats;
	/** @wq: where @work runs; immutable. */
	struct workqueue_struct *wq;
	/** @ranges: ranges that aren't default: disjoint, equal neighbours are one. */
	struct rb_root_cached ranges;
	/** @changes: of @ranges, so far. */
	u64 changes;
	/** @count: how many, never more than FAKEGPU_MAX_ATTRS. */
	unsigned int count;
	/** @reserve: nodes for the splits of unmaps. */
	struct list_head reserve;
	/** @reserved: how many. */
	unsigned int reserved;
	/** @unsettled: stricter changes for which the mirror isn't cleared yet. */
	unsigned int unsettled;
	/** @covers: live covers: disjoint, no two are neighbours; each range lies in one. */
	struct rb_root_cached covers;
	/** @registered: covers that exist, live or dead. */
	unsigned int registered;
	/** @dead: dead covers that @work hasn't taken yet. */
	struct list_head dead;
	/** @work: removes dead covers and refills the reserve. */
	struct work_struct work;
};

static inline bool fakegpu_attr_equal(const struct fakegpu_attr_value *a,
				      const struct fakegpu_attr_value *b)
{
	return a->access == b->access && a->atomic == b->atomic &&
	       a->location == b->location && a->window_order == b->window_order;
}

/* Do the attributes allow an access? */
static inline bool fakegpu_attr_allows(const struct fakegpu_attr_value *value, bool write,
				       bool atomic)
{
	if (value->access == DRM_FAKEGPU_ATTR_ACCESS_NONE ||
	    (write && value->access == DRM_FAKEGPU_ATTR_ACCESS_READ_ONLY))
		return false;
	return !atomic || value->atomic == DRM_FAKEGPU_ATTR_ATOMIC_DEVICE;
}

void fakegpu_attrs_init(struct fakegpu_attrs *attrs, struct fakegpu_mirror *mirror,
			struct mm_struct *mm, struct fakegpu_stats *stats,
			struct workqueue_struct *wq);
void fakegpu_attrs_fini(struct fakegpu_attrs *attrs);

int fakegpu_attrs_set(struct fakegpu_attrs *attrs, struct fakegpu_attr_change *change);
void fakegpu_attrs_settled(struct fakegpu_attrs *attrs);
void fakegpu_attrs_find(struct fakegpu_attrs *attrs, unsigned long addr,
			struct fakegpu_attr_run *run);
bool fakegpu_attrs_next(struct fakegpu_attrs *attrs, unsigned long addr, unsigned long last,
			struct fakegpu_attr_run *run);
bool fakegpu_attrs_covered(struct fakegpu_attrs *attrs, unsigned long start, unsigned long last);
bool fakegpu_attrs_next_cover(struct fakegpu_attrs *attrs, unsigned long addr,
			      unsigned long *start, unsigned long *last);

#endif /* _FAKEGPU_ATTR_H_ */
