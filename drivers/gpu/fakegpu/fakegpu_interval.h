/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_INTERVAL_H_
#define _FAKEGPU_INTERVAL_H_

#include <linux/interval_tree.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/rbtree.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/fakegpu_drm.h>

#include "fakegpu_mirror.h"

#define FAKEGPU_INTERVAL_ORDER_MIN	FAKEGPU_LEAF_SHIFT
#define FAKEGPU_INTERVAL_ORDER_MAX	(FAKEGPU_LEAF_SHIFT + 2 * FAKEGPU_LEVEL_BITS)
#define FAKEGPU_EVENTS			64
#define FAKEGPU_RESTORES		64
#define FAKEGPU_SPARES			8

struct fakegpu_intervals;
struct fakegpu_race;
struct fakegpu_stats;

/**
 * struct fakegpu_interval - a registered mmu_interval_notifier
 *
 * An interval is only coverage: it says which invalidations reach the mirror
 * (I1). Mirror entries belong to the VM.
 */
struct fakegpu_interval {
	/** @notifier: the registration. */
	struct mmu_interval_notifier notifier;
	/**
	 * @node: in the index while live. Its start and last (inclusive) say what
	 * the interval covers; mirror lock, but for a look without it.
	 */
	struct interval_tree_node node;
	/** @reach_start: first address of what callbacks may come for; mirror lock. */
	unsigned long reach_start;
	/** @reach_last: its last address (inclusive); mirror lock. */
	unsigned long reach_last;
	/** @owner: immutable. */
	struct fakegpu_intervals *owner;
	/**
	 * @link: in &fakegpu_intervals.dead once dead, in
	 * &fakegpu_intervals.unsettled while unsettled; mirror lock.
	 */
	struct list_head link;
	/** @users: services between get and put; with any, it isn't killed; mirror lock. */
	unsigned int users;
	/** @dead: not in the index: not yet, or to be removed; mirror lock. */
	bool dead;
	/** @unsettled: registered for more than it has to (scheme vma); mirror lock. */
	bool unsettled;
	/** @withdrawn: to be removed when nobody uses it (scheme fixed); mirror lock. */
	bool withdrawn;
	/** @settling: a worker is about to replace it; mirror lock. */
	bool settling;
};

/**
 * struct fakegpu_event - an invalidation, for debugfs
 * @time: when the callback began.
 * @event: enum mmu_notifier_event.
 * @start: of the invalidated range.
 * @end: of the invalidated range, as the kernel gave it (exclusive).
 * @interval_start: first address of the interval whose callback it was.
 * @interval_last: its last address (inclusive).
 * @pages: mirrored pages that it cleared.
 */
struct fakegpu_event {
	ktime_t time;
	unsigned int event;
	unsigned long start;
	unsigned long end;
	unsigned long interval_start;
	unsigned long interval_last;
	u64 pages;
};

/**
 * struct fakegpu_restore - entries that shall be read again
 * @interval: whose callback cleared them; in use by the request.
 * @start: first address of what was cleared of a slot of a large leaf.
 * @last: last address of it.
 */
struct fakegpu_restore {
	struct fakegpu_interval *interval;
	unsigned long start;
	unsigned long last;
};

/**
 * struct fakegpu_intervals - all intervals of a VM
 */
struct fakegpu_intervals {
	/** @mirror: what the callbacks clear; its lock is "the mirror lock"; immutable. */
	struct fakegpu_mirror *mirror;
	/** @mm: the address space; immutable; held by the VM. */
	struct mm_struct *mm;
	/** @stats: immutable. */
	struct fakegpu_stats *stats;
	/** @vm_id: the VM's id, for tracepoints; set by the VM ahead of all else; immutable. */
	const u32 *vm_id;
	/** @pid: of the process that created the VM, likewise. */
	pid_t pid;
	/** @race: what tests ask for; set by the VM ahead of all else; immutable. */
	struct fakegpu_race *race;
	/** @wq: where @work runs; immutable. */
	struct workqueue_struct *wq;
	/** @scheme: one of &enum drm_fakegpu_scheme; immutable. */
	u32 scheme;
	/** @order: log2 of a slot's size in bytes, schemes slot and vma; immutable. */
	u32 order;
	/** @direct: callbacks change and remove notifiers themselves; immutable. */
	bool direct;
	/** @index: live intervals by address; mirror lock. */
	struct rb_root_cached index;
	/** @live: how many are in @index; mirror lock. */
	u64 live;
	/** @pending: how many are dead and not freed yet; mirror lock. */
	u64 pending;
	/** @dead: dead intervals that @work hasn't taken yet; mirror lock. */
	struct list_head dead;
	/** @work: removes dead intervals and refills the mirror's reserve. */
	struct work_struct work;
	/** @unsettled: intervals that @settle_work shall replace; mirror lock. */
	struct list_head unsettled;
	/** @settle_work: replaces unsettled intervals (scheme vma). */
	struct work_struct settle_work;
	/** @spares: intervals for callbacks that split one (direct); mirror lock. */
	struct list_head spares;
	/** @nr_spares: how many; mirror lock. */
	unsigned int nr_spares;
	/** @ranges: intervals by the ids that user space knows (scheme fixed). */
	struct xarray ranges;
	/** @closing: nothing is to be replaced any more; mirror lock. */
	bool closing;
	/** @restore_work: of the VM; takes the requests in @restores; immutable. */
	struct delayed_work *restore_work;
	/** @restores: requests that @restore_work hasn't taken yet; mirror lock. */
	struct fakegpu_restore restores[FAKEGPU_RESTORES];
	/** @nr_restores: how many; mirror lock. */
	unsigned int nr_restores;
	/** @events: the newest invalidations, a ring; mirror lock. */
	struct fakegpu_event events[FAKEGPU_EVENTS];
	/** @nr_events: invalidations so far; mirror lock. */
	u64 nr_events;
};

/* Do intervals come with device faults and go with the last entry? */
static inline bool fakegpu_intervals_lazy(const struct fakegpu_intervals *intervals)
{
	return intervals->scheme != DRM_FAKEGPU_SCHEME_MM &&
	       intervals->scheme != DRM_FAKEGPU_SCHEME_FIXED;
}

/* Without the mirror lock this is only what was so a moment ago. */
static inline unsigned long fakegpu_interval_start(const struct fakegpu_interval *interval)
{
	return READ_ONCE(interval->node.start);
}

static inline unsigned long fakegpu_interval_last(const struct fakegpu_interval *interval)
{
	return READ_ONCE(interval->node.last);
}

int fakegpu_intervals_init(struct fakegpu_intervals *intervals, struct fakegpu_mirror *mirror,
			   struct mm_struct *mm, struct fakegpu_stats *stats,
			   struct workqueue_struct *wq, struct delayed_work *restore_work,
			   u32 scheme, u32 order, bool direct);
void fakegpu_intervals_fini(struct fakegpu_intervals *intervals);

struct fakegpu_interval *fakegpu_interval_alloc(void);
void fakegpu_interval_free(struct fakegpu_interval *interval);
struct fakegpu_interval *fakegpu_interval_get(struct fakegpu_intervals *intervals,
					      unsigned long addr);
struct fakegpu_interval *fakegpu_interval_get_locked(struct fakegpu_intervals *intervals,
						     unsigned long addr);
struct fakegpu_interval *fakegpu_interval_add_locked(struct fakegpu_intervals *intervals,
						     unsigned long addr,
						     struct fakegpu_interval **newp);
void fakegpu_interval_publish(struct fakegpu_interval *interval);
void fakegpu_interval_kill_if_empty(struct fakegpu_interval *interval);
void fakegpu_interval_gone(struct fakegpu_interval *interval);
void fakegpu_interval_put(struct fakegpu_interval *interval);
void fakegpu_interval_put_committed(struct fakegpu_interval *interval);
bool fakegpu_interval_valid(struct fakegpu_interval *interval, unsigned long start,
			    unsigned long last, unsigned long seq);
int fakegpu_interval_register_locked(struct fakegpu_intervals *intervals,
				     struct fakegpu_interval *interval, unsigned long start,
				     unsigned long last);
void fakegpu_interval_trim(struct fakegpu_interval *interval, unsigned long start,
			   unsigned long last);
bool fakegpu_interval_split(struct fakegpu_interval *interval, unsigned long cur_seq,
			    unsigned long start, unsigned long last);
struct fakegpu_interval *fakegpu_interval_grow(struct fakegpu_intervals *intervals,
					       unsigned long at, unsigned long start,
					       unsigned long last);
void fakegpu_interval_unsettle(struct fakegpu_interval *interval);
struct fakegpu_interval *fakegpu_interval_next_unsettled(struct fakegpu_intervals *intervals);
bool fakegpu_interval_replace(struct fakegpu_interval *interval, struct list_head *parts);
void fakegpu_intervals_drop(struct fakegpu_intervals *intervals, unsigned long start,
			    unsigned long last);
bool fakegpu_intervals_next_restore(struct fakegpu_intervals *intervals,
				    struct fakegpu_restore *restore);
u64 fakegpu_intervals_memory(const struct fakegpu_intervals *intervals);
bool fakegpu_intervals_cover(struct fakegpu_intervals *intervals, unsigned long start,
			     unsigned long last);

#endif /* _FAKEGPU_INTERVAL_H_ */
