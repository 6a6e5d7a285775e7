// SPDX-License-Identifier: GPL-2.0
/*
 * Intervals: lazily registered mmu_interval_notifiers, from the first device
 * fault in their range to the last mirror entry. What an invalidation does is in
 * fakegpu_invalidate.c.
 */

/**
 * DOC: Intervals
 *
 * An interval is registered by the first device fault in its range and removed
 * when the last mirror entry in its range has gone.
 *
 * Registration happens under mmap_lock held for write, which also serializes
 * it: the index is looked at again under that lock, so there is never a second
 * interval for a range, and no loser to dispose of.
 *
 * Removal can't happen in the callback, since mmu_interval_notifier_remove()
 * waits for the callback to end. The callback (or the last service to leave)
 * marks the interval dead and takes it out of the index, under the mirror lock,
 * so that only one can; a worker removes it. A device fault that comes in
 * between finds no interval and registers a new one; that the old one is still
 * being removed doesn't matter, as callbacks clear by address.
 *
 * With the kernel's series (VM_DIRECT) the callback has it removed by
 * mmu_interval_notifier_remove_deferred() instead, and the notifier's release()
 * frees it.
 *
 * An interval with a service between get and put is not killed: so a storm of
 * invalidations doesn't make each service register an interval of its own.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fakegpu_compat.h"
#include "fakegpu_interval.h"
#include "fakegpu_invalidate.h"
#include "fakegpu_race.h"
#include "fakegpu_scheme_vma.h"
#include "fakegpu_stats.h"
#include "fakegpu_trace.h"

/* Out of the index, and removed by the worker or the core: once. */
static void interval_kill(struct fakegpu_interval *interval)
{
	struct fakegpu_intervals *intervals = interval->owner;

	if (interval->unsettled)
		list_del(&interval->link);
	interval->unsettled = false;
	interval->dead = true;
	interval_tree_remove(&interval->node, &intervals->index);
	intervals->live--;
	intervals->pending++;
	list_add_tail(&interval->link, &intervals->dead);
	fakegpu_stats_inc(intervals->stats, intervals_removed);
	trace_fakegpu_interval_dead(interval);
	if (intervals->direct)
		mmu_interval_notifier_remove_deferred(&interval->notifier);
}

/**
 * fakegpu_interval_kill_if_empty - let an interval go that covers nothing any more
 * @interval: the interval
 *
 * Called under the mirror lock, held for write. Nothing happens to one that is in
 * use, or that doesn't go that way.
 */
void fakegpu_interval_kill_if_empty(struct fakegpu_interval *interval)
{
	struct fakegpu_intervals *intervals = interval->owner;

	lockdep_assert_held_write(&intervals->mirror->lock);

	if (interval->dead || interval->users || !fakegpu_intervals_lazy(intervals))
		return;
	if (!fakegpu_mirror_empty(intervals->mirror, fakegpu_interval_start(interval),
				  fakegpu_interval_last(interval)))
		return;

	interval_kill(interval);
	if (!intervals->direct)
		queue_work(intervals->wq, &intervals->work);
}

static const struct mmu_interval_notifier_ops interval_ops = {
	.invalidate = fakegpu_interval_invalidate,
};

#ifdef FAKEGPU_HAVE_DIRECT
/* From the core's worker: no callback comes any more, and no service uses it. */
static void interval_release(struct mmu_interval_notifier *notifier)
{
	struct fakegpu_interval *interval =
		container_of(notifier, struct fakegpu_interval, notifier);
	struct fakegpu_intervals *intervals = interval->owner;

	write_lock(&intervals->mirror->lock);
	list_del(&interval->link);
	intervals->pending--;
	write_unlock(&intervals->mirror->lock);
	trace_fakegpu_interval_remove(interval);
	kfree(interval);
}

static const struct mmu_interval_notifier_ops direct_ops = {
	.invalidate = fakegpu_interval_invalidate,
	.release = interval_release,
};
#else
#define direct_ops	interval_ops
#endif

/* Sleeps until a running callback of the interval is over; no lock is held. */
static void intervals_remove_dead(struct fakegpu_intervals *intervals)
{
	struct fakegpu_interval *interval, *next;
	u64 removed = 0;
	LIST_HEAD(dead);

	if (intervals->direct)
		return;

	write_lock(&intervals->mirror->lock);
	list_splice_init(&intervals->dead, &dead);
	write_unlock(&intervals->mirror->lock);

	list_for_each_entry_safe(interval, next, &dead, link) {
		mmu_interval_notifier_remove(&interval->notifier);
		trace_fakegpu_interval_remove(interval);
		kfree(interval);
		removed++;
	}

	write_lock(&intervals->mirror->lock);
	intervals->pending -= removed;
	write_unlock(&intervals->mirror->lock);
}

/* Have spare intervals for callbacks, which can't allocate (I4). */
static void intervals_add_spares(struct fakegpu_intervals *intervals)
{
	struct fakegpu_interval *spare;
	bool wanted = intervals->direct && intervals->scheme == DRM_FAKEGPU_SCHEME_VMA;

	while (wanted) {
		spare = fakegpu_interval_alloc();
		if (!spare)
			return;
		write_lock(&intervals->mirror->lock);
		wanted = intervals->nr_spares < FAKEGPU_SPARES;
		if (wanted) {
			list_add(&spare->link, &intervals->spares);
			intervals->nr_spares++;
		}
		write_unlock(&intervals->mirror->lock);
		if (!wanted)
			kfree(spare);
	}
}

static void intervals_free_spares(struct fakegpu_intervals *intervals)
{
	struct fakegpu_interval *spare, *next;

	list_for_each_entry_safe(spare, next, &intervals->spares, link)
		kfree(spare);
	INIT_LIST_HEAD(&intervals->spares);
	intervals->nr_spares = 0;
}

static void intervals_work(struct work_struct *work)
{
	struct fakegpu_intervals *intervals = container_of(work, struct fakegpu_intervals, work);
	bool refill;

	fakegpu_race_hold(intervals->race, FAKEGPU_RACE_HOLD_REMOVE, 0, ULONG_MAX);
	intervals_remove_dead(intervals);
	intervals_add_spares(intervals);

	read_lock(&intervals->mirror->lock);
	refill = fakegpu_mirror_wants_refill(intervals->mirror);
	read_unlock(&intervals->mirror->lock);

	/* Without memory leaves are dropped instead of split, and counted (I5). */
	if (refill)
		fakegpu_mirror_refill(intervals->mirror);
}

static void settle_work(struct work_struct *work)
{
	fakegpu_vma_settle(container_of(work, struct fakegpu_intervals, settle_work));
}

/* The mirror lock is taken in reclaim context: let lockdep know without a race. */
static void prime_lockdep(struct fakegpu_mirror *mirror)
{
	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return;

	fs_reclaim_acquire(GFP_KERNEL);
	write_lock(&mirror->lock);
	write_unlock(&mirror->lock);
	fs_reclaim_release(GFP_KERNEL);
}

/**
 * fakegpu_intervals_init - get ready to register intervals
 * @intervals: memory for it
 * @mirror: what the callbacks clear
 * @mm: the address space; the caller holds a reference and is a user of it
 * @stats: where to count
 * @wq: where to remove intervals
 * @restore_work: queued on @wq soon after fakegpu_intervals_next_restore() has something
 * @scheme: one of &enum drm_fakegpu_scheme
 * @order: log2 of a slot's size in bytes, from FAKEGPU_INTERVAL_ORDER_MIN to
 *	FAKEGPU_INTERVAL_ORDER_MAX; ignored with DRM_FAKEGPU_SCHEME_MM
 * @direct: callbacks change and remove notifiers themselves (needs the kernel's series)
 *
 * The first registration in an mm takes all its locks: it is done here, and
 * not by the first device fault.
 *
 * Return: 0, -ENOMEM, or -EINTR if a signal came.
 */
int fakegpu_intervals_init(struct fakegpu_intervals *intervals, struct fakegpu_mirror *mirror,
			   struct mm_struct *mm, struct fakegpu_stats *stats,
			   struct workqueue_struct *wq, struct delayed_work *restore_work,
			   u32 scheme, u32 order, bool direct)
{
	int ret;

	intervals->mirror = mirror;
	intervals->mm = mm;
	intervals->stats = stats;
	intervals->wq = wq;
	intervals->restore_work = restore_work;
	intervals->scheme = scheme;
	intervals->order = order;
	intervals->direct = direct;
	INIT_LIST_HEAD(&intervals->spares);
	xa_init_flags(&intervals->ranges, XA_FLAGS_ALLOC1);
	intervals->index = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&intervals->dead);
	INIT_LIST_HEAD(&intervals->unsettled);
	INIT_WORK(&intervals->work, intervals_work);
	INIT_WORK(&intervals->settle_work, settle_work);
	prime_lockdep(mirror);
	intervals_add_spares(intervals);

	ret = mmu_notifier_register(NULL, mm);
	if (ret)
		intervals_free_spares(intervals);
	return ret;
}

/**
 * fakegpu_intervals_fini - remove all intervals
 * @intervals: the intervals
 *
 * The caller has stopped all services, served or dropped all requests to
 * restore, and cleared the mirror: nothing is left that a callback could clear,
 * and so nothing that it could request. Until this returns callbacks may run.
 */
void fakegpu_intervals_fini(struct fakegpu_intervals *intervals)
{
	struct interval_tree_node *node;

	write_lock(&intervals->mirror->lock);
	intervals->closing = true;
	write_unlock(&intervals->mirror->lock);
	cancel_work_sync(&intervals->settle_work);

	write_lock(&intervals->mirror->lock);
	while ((node = interval_tree_iter_first(&intervals->index, 0, ULONG_MAX))) {
		struct fakegpu_interval *interval =
			container_of(node, struct fakegpu_interval, node);

		WARN_ON(interval->users);
		interval_kill(interval);
	}
	write_unlock(&intervals->mirror->lock);

	/* Waits for the calls of interval_release(). */
	if (intervals->direct)
		mmu_interval_notifier_synchronize(intervals->mm);
	intervals_remove_dead(intervals);
	/* No callback is left to queue it again. */
	cancel_work_sync(&intervals->work);
	intervals_remove_dead(intervals);
	intervals_free_spares(intervals);
	/* Of ranges that nobody has unregistered only the ids are left. */
	xa_destroy(&intervals->ranges);
	WARN_ON(intervals->pending || intervals->live);
}

/**
 * fakegpu_interval_alloc - allocate an interval to be registered later
 *
 * Return: the interval, or NULL.
 */
struct fakegpu_interval *fakegpu_interval_alloc(void)
{
	struct fakegpu_interval *interval = kzalloc(sizeof(*interval), GFP_KERNEL);

	/* Not in the index; callbacks may come before it is. */
	if (interval)
		interval->dead = true;
	return interval;
}

/**
 * fakegpu_interval_free - free an interval that was never registered
 * @interval: the interval, or NULL
 */
void fakegpu_interval_free(struct fakegpu_interval *interval)
{
	kfree(interval);
}

/**
 * fakegpu_interval_get_locked - fakegpu_interval_get() under the mirror lock
 * @intervals: the intervals
 * @addr: the address
 *
 * Called under the mirror lock, held for write.
 *
 * Return: the interval, or NULL if there is none.
 */
struct fakegpu_interval *fakegpu_interval_get_locked(struct fakegpu_intervals *intervals,
						     unsigned long addr)
{
	struct interval_tree_node *node;

	lockdep_assert_held_write(&intervals->mirror->lock);

	for (node = interval_tree_iter_first(&intervals->index, addr, addr); node;
	     node = interval_tree_iter_next(node, addr, addr)) {
		struct fakegpu_interval *interval =
			container_of(node, struct fakegpu_interval, node);

		if (interval->withdrawn)
			continue;
		interval->users++;
		return interval;
	}
	return NULL;
}

/**
 * fakegpu_interval_get - find the live interval that covers an address
 * @intervals: the intervals
 * @addr: the address
 *
 * It stays until fakegpu_interval_put().
 *
 * Return: the interval, or NULL if there is none.
 */
struct fakegpu_interval *fakegpu_interval_get(struct fakegpu_intervals *intervals,
					      unsigned long addr)
{
	struct fakegpu_interval *interval;

	write_lock(&intervals->mirror->lock);
	interval = fakegpu_interval_get_locked(intervals, addr);
	write_unlock(&intervals->mirror->lock);
	return interval;
}

static int scheme_bounds(struct fakegpu_intervals *intervals, unsigned long addr,
			 unsigned long *start, unsigned long *last)
{
	unsigned long mask = (1UL << intervals->order) - 1;

	switch (intervals->scheme) {
	case DRM_FAKEGPU_SCHEME_MM:
		*start = 0;
		*last = (ULONG_MAX & PAGE_MASK) - 1;
		return 0;
	case DRM_FAKEGPU_SCHEME_VMA:
		return fakegpu_vma_bounds(intervals, addr, start, last);
	case DRM_FAKEGPU_SCHEME_FIXED:
		return -EFAULT;
	default:
		*start = addr & ~mask;
		*last = addr | mask;
		return 0;
	}
}

/**
 * fakegpu_interval_register_locked - register an interval's notifier
 * @intervals: the intervals
 * @interval: from fakegpu_interval_alloc()
 * @start: first address
 * @last: last address (inclusive)
 *
 * The caller holds mmap_lock for write and is a user of the mm. From here on
 * there may be callbacks; the interval isn't in the index yet.
 *
 * Return: 0, or what mmu_interval_notifier_insert_locked() said.
 */
int fakegpu_interval_register_locked(struct fakegpu_intervals *intervals,
				     struct fakegpu_interval *interval, unsigned long start,
				     unsigned long last)
{
	interval->owner = intervals;
	interval->node.start = start;
	interval->node.last = last;
	interval->reach_start = start;
	interval->reach_last = last;

	return mmu_interval_notifier_insert_locked(&interval->notifier, intervals->mm, start,
						   last - start + 1,
						   intervals->direct ? &direct_ops : &interval_ops);
}

/* Into the index: from now on it can be found, and can go. */
static void interval_publish(struct fakegpu_interval *interval)
{
	struct fakegpu_intervals *intervals = interval->owner;

	lockdep_assert_held_write(&intervals->mirror->lock);

	interval->dead = false;
	interval_tree_insert(&interval->node, &intervals->index);
	intervals->live++;
	fakegpu_stats_inc(intervals->stats, intervals_added);
	trace_fakegpu_interval_add(interval);
}

/**
 * fakegpu_interval_publish - make a registered interval live
 * @interval: from fakegpu_interval_register_locked()
 */
void fakegpu_interval_publish(struct fakegpu_interval *interval)
{
	struct fakegpu_mirror *mirror = interval->owner->mirror;

	write_lock(&mirror->lock);
	interval_publish(interval);
	write_unlock(&mirror->lock);
}

/**
 * fakegpu_interval_gone - let a withdrawn interval go
 * @interval: the interval, withdrawn, without mirror entries that need it
 *
 * Called under the mirror lock, held for write. If somebody uses it, it goes with
 * the last one who does.
 */
void fakegpu_interval_gone(struct fakegpu_interval *interval)
{
	struct fakegpu_intervals *intervals = interval->owner;

	lockdep_assert_held_write(&intervals->mirror->lock);

	if (interval->users)
		return;
	interval_kill(interval);
	if (!intervals->direct)
		queue_work(intervals->wq, &intervals->work);
}

/**
 * fakegpu_interval_add_locked - register the interval for an address
 * @intervals: the intervals
 * @addr: the address
 * @newp: in: from fakegpu_interval_alloc(); out: NULL if it was used
 *
 * The caller holds mmap_lock for write and is a user of the mm. If meanwhile
 * somebody else has registered an interval, that one is taken.
 *
 * Return: the interval, to be released by fakegpu_interval_put(), or -EFAULT if
 * there is no VMA or, in scheme fixed, no range, or what
 * mmu_interval_notifier_insert_locked() said.
 */
struct fakegpu_interval *fakegpu_interval_add_locked(struct fakegpu_intervals *intervals,
						     unsigned long addr,
						     struct fakegpu_interval **newp)
{
	struct fakegpu_interval *interval;
	unsigned long start, last;
	int ret;

	mmap_assert_write_locked(intervals->mm);

	interval = fakegpu_interval_get(intervals, addr);
	if (interval)
		return interval;

	interval = *newp;
	interval->users = 1;
	ret = scheme_bounds(intervals, addr, &start, &last);
	if (!ret && intervals->direct && intervals->scheme == DRM_FAKEGPU_SCHEME_VMA) {
		struct fakegpu_interval *grown = fakegpu_vma_grow(intervals, start, last);

		if (grown)
			return grown;
	}
	if (!ret && fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_INSERT, addr, addr))
		ret = -ENOMEM;
	if (!ret)
		ret = fakegpu_interval_register_locked(intervals, interval, start, last);
	if (ret)
		return ERR_PTR(ret);

	fakegpu_interval_publish(interval);
	*newp = NULL;
	return interval;
}

/* In the index, a live interval covers another range. */
static void interval_resize(struct fakegpu_interval *interval, unsigned long start,
			    unsigned long last)
{
	struct fakegpu_intervals *intervals = interval->owner;

	lockdep_assert_held_write(&intervals->mirror->lock);

	interval_tree_remove(&interval->node, &intervals->index);
	WRITE_ONCE(interval->node.start, start);
	WRITE_ONCE(interval->node.last, last);
	interval_tree_insert(&interval->node, &intervals->index);
}

/**
 * fakegpu_interval_trim - make an interval cover less
 * @interval: the interval, live
 * @start: first address of what is left
 * @last: its last address (inclusive)
 *
 * Called under the mirror lock, held for write; there are no mirror entries in
 * what comes off. A service that was about to commit there starts again. With a
 * direct VM the notifier follows at the end of the invalidation; else it stays
 * as it is, and the interval has to be replaced.
 */
void fakegpu_interval_trim(struct fakegpu_interval *interval, unsigned long start,
			   unsigned long last)
{
	interval_resize(interval, start, last);
	if (!interval->owner->direct ||
	    WARN_ON(mmu_interval_notifier_update(&interval->notifier, start, last - start + 1)))
		fakegpu_interval_unsettle(interval);
}

/**
 * fakegpu_interval_split - make two intervals of one, with a hole
 * @interval: the interval, live, of a direct VM
 * @cur_seq: of the callback that this is called from
 * @start: first address of the hole
 * @last: its last address (inclusive); there is something at each end
 *
 * Called under the mirror lock, held for write.
 *
 * Return: false if there is no spare interval; then nothing has changed.
 */
bool fakegpu_interval_split(struct fakegpu_interval *interval, unsigned long cur_seq,
			    unsigned long start, unsigned long last)
{
	struct fakegpu_intervals *intervals = interval->owner;
	struct fakegpu_interval *right;

	lockdep_assert_held_write(&intervals->mirror->lock);

	queue_work(intervals->wq, &intervals->work);
	right = list_first_entry_or_null(&intervals->spares, struct fakegpu_interval, link);
	if (!right)
		return false;
	right->owner = intervals;
	right->node.start = last + 1;
	right->node.last = fakegpu_interval_last(interval);
	right->reach_start = right->node.start;
	right->reach_last = right->node.last;
	if (WARN_ON(mmu_interval_notifier_split(&interval->notifier, cur_seq, start,
						last - start + 1, &right->notifier)))
		return false;
	list_del(&right->link);
	intervals->nr_spares--;
	interval_resize(interval, fakegpu_interval_start(interval), start - 1);
	interval_publish(right);
	/* What an earlier callback had no spare interval for may lie in either. */
	if (interval->unsettled)
		fakegpu_interval_unsettle(right);
	fakegpu_interval_kill_if_empty(right);
	return true;
}

/**
 * fakegpu_interval_grow - have an interval cover more
 * @intervals: the intervals, of a direct VM
 * @at: an address that an interval covers
 * @start: first address of what is to be covered, too
 * @last: its last address (inclusive); it is next to what the interval covers
 *
 * The caller holds mmap_lock for write. Services of the interval start again.
 *
 * Return: the interval, to be released by fakegpu_interval_put(); NULL if there is
 * none by now.
 */
struct fakegpu_interval *fakegpu_interval_grow(struct fakegpu_intervals *intervals,
					       unsigned long at, unsigned long start,
					       unsigned long last)
{
	struct fakegpu_interval *interval;

	write_lock(&intervals->mirror->lock);
	interval = fakegpu_interval_get_locked(intervals, at);
	if (interval) {
		start = min(start, fakegpu_interval_start(interval));
		last = max(last, fakegpu_interval_last(interval));
		/* Callbacks may come for all of it as soon as the core knows. */
		WRITE_ONCE(interval->reach_start, min(interval->reach_start, start));
		WRITE_ONCE(interval->reach_last, max(interval->reach_last, last));
		if (mmu_interval_notifier_update(&interval->notifier, start, last - start + 1)) {
			interval->users--;
			interval = NULL;
		} else {
			interval_resize(interval, start, last);
		}
	}
	write_unlock(&intervals->mirror->lock);
	return interval;
}

/**
 * fakegpu_interval_unsettle - ask for an interval to be replaced
 * @interval: the interval, live
 *
 * Called under the mirror lock, held for write.
 */
void fakegpu_interval_unsettle(struct fakegpu_interval *interval)
{
	struct fakegpu_intervals *intervals = interval->owner;

	lockdep_assert_held_write(&intervals->mirror->lock);

	if (!interval->unsettled)
		list_add_tail(&interval->link, &intervals->unsettled);
	interval->unsettled = true;
	/* The last user asks, else. */
	if (!interval->users && !intervals->closing)
		queue_work(intervals->wq, &intervals->settle_work);
}

/**
 * fakegpu_interval_next_unsettled - take an interval that is to be replaced
 * @intervals: the intervals
 *
 * Return: one that nobody else uses, for fakegpu_interval_replace() or
 * fakegpu_interval_put(); NULL if there is none.
 */
struct fakegpu_interval *fakegpu_interval_next_unsettled(struct fakegpu_intervals *intervals)
{
	struct fakegpu_interval *interval, *found = NULL;

	write_lock(&intervals->mirror->lock);
	list_for_each_entry(interval, &intervals->unsettled, link) {
		if (interval->users || intervals->closing)
			continue;
		interval->unsettled = false;
		interval->settling = true;
		list_del(&interval->link);
		interval->users++;
		found = interval;
		break;
	}
	write_unlock(&intervals->mirror->lock);
	return found;
}

/**
 * fakegpu_interval_replace - replace an interval by others
 * @interval: from fakegpu_interval_next_unsettled()
 * @parts: registered intervals, emptied on success; together they cover all mirror
 *	entries that @interval covers
 *
 * Called under the mirror lock, held for write.
 *
 * Return: true; or false, and nothing has changed, if somebody else uses it, or it
 * became unsettled again.
 */
bool fakegpu_interval_replace(struct fakegpu_interval *interval, struct list_head *parts)
{
	struct fakegpu_interval *part, *next;

	lockdep_assert_held_write(&interval->owner->mirror->lock);

	if (interval->users != 1 || interval->unsettled)
		return false;
	interval->users = 0;
	interval_kill(interval);
	list_for_each_entry_safe(part, next, parts, link) {
		list_del(&part->link);
		interval_publish(part);
		/* What it is for may have gone again. */
		fakegpu_interval_kill_if_empty(part);
	}
	if (!interval->owner->direct)
		queue_work(interval->owner->wq, &interval->owner->work);
	return true;
}

/**
 * fakegpu_interval_put - let go of an interval
 * @interval: from fakegpu_interval_get() or fakegpu_interval_add_locked()
 *
 * If nothing was committed in it, it goes (I7).
 */
void fakegpu_interval_put(struct fakegpu_interval *interval)
{
	struct fakegpu_mirror *mirror = interval->owner->mirror;

	write_lock(&mirror->lock);
	interval->users--;
	if (interval->withdrawn)
		fakegpu_interval_gone(interval);
	fakegpu_interval_kill_if_empty(interval);
	if (interval->unsettled)
		fakegpu_interval_unsettle(interval);
	write_unlock(&mirror->lock);
}

/**
 * fakegpu_interval_put_committed - let go of an interval, just after a commit in it
 * @interval: from fakegpu_interval_get_locked()
 *
 * Called in the hold of the mirror lock in which an entry was committed: so it isn't
 * withdrawn, and need not be looked at to know that it isn't empty.
 */
void fakegpu_interval_put_committed(struct fakegpu_interval *interval)
{
	lockdep_assert_held_write(&interval->owner->mirror->lock);

	interval->users--;
	if (interval->unsettled)
		fakegpu_interval_unsettle(interval);
}

/**
 * fakegpu_interval_valid - may entries be committed under an interval?
 * @interval: the interval
 * @start: first address
 * @last: last address (inclusive)
 * @seq: from mmu_interval_read_begin()
 *
 * Called under the mirror lock, held for write, before a commit (I1, I2).
 *
 * Return: false if the service has to start again.
 */
bool fakegpu_interval_valid(struct fakegpu_interval *interval, unsigned long start,
			    unsigned long last, unsigned long seq)
{
	lockdep_assert_held_write(&interval->owner->mirror->lock);

	return !interval->dead && !interval->withdrawn &&
	       start >= fakegpu_interval_start(interval) &&
	       last <= fakegpu_interval_last(interval) &&
	       !mmu_interval_read_retry(&interval->notifier, seq);
}

/**
 * fakegpu_intervals_drop - drop the mirror entries of a range
 * @intervals: the intervals
 * @start: first address
 * @last: last address (inclusive)
 *
 * Not for an invalidation, but because the device may no more what the entries
 * allow: the caller made sure that such entries aren't committed any more. When
 * this returns, no engine uses, or can come to use, one of them (I3).
 */
void fakegpu_intervals_drop(struct fakegpu_intervals *intervals, unsigned long start,
			    unsigned long last)
{
	struct interval_tree_node *node, *next;

	write_lock(&intervals->mirror->lock);
	fakegpu_intervals_clear(intervals, start, last);
	for (node = interval_tree_iter_first(&intervals->index, start, last); node; node = next) {
		next = interval_tree_iter_next(node, start, last);
		fakegpu_interval_kill_if_empty(container_of(node, struct fakegpu_interval, node));
	}
	write_unlock(&intervals->mirror->lock);
}

/**
 * fakegpu_intervals_next_restore - take the next request to read entries again
 * @intervals: the intervals
 * @restore: receives the request; release its interval by fakegpu_interval_put()
 *
 * Return: true if there was one.
 */
bool fakegpu_intervals_next_restore(struct fakegpu_intervals *intervals,
				    struct fakegpu_restore *restore)
{
	bool found;

	write_lock(&intervals->mirror->lock);
	found = intervals->nr_restores;
	if (found)
		*restore = intervals->restores[--intervals->nr_restores];
	write_unlock(&intervals->mirror->lock);
	return found;
}

/**
 * fakegpu_intervals_memory - how much memory the intervals take
 * @intervals: the intervals
 *
 * Called under the mirror lock.
 *
 * Return: bytes of all intervals, dead and spare ones, too.
 */
u64 fakegpu_intervals_memory(const struct fakegpu_intervals *intervals)
{
	lockdep_assert_held(&intervals->mirror->lock);

	return (intervals->live + intervals->pending + intervals->nr_spares) *
	       sizeof(struct fakegpu_interval);
}

/**
 * fakegpu_intervals_cover - is a range covered by live intervals?
 * @intervals: the intervals
 * @start: first address
 * @last: last address (inclusive)
 *
 * Called under the mirror lock; for the oracle (I1).
 *
 * Return: true if it is.
 */
bool fakegpu_intervals_cover(struct fakegpu_intervals *intervals, unsigned long start,
			     unsigned long last)
{
	lockdep_assert_held(&intervals->mirror->lock);

	for (;;) {
		struct interval_tree_node *node =
			interval_tree_iter_first(&intervals->index, start, start);

		if (!node)
			return false;
		if (node->last >= last)
			return true;
		start = node->last + 1;
	}
}
