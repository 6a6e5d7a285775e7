// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidations: the callback through which munmap and every other change of the
 * CPU's page table reaches the mirror, fakegpu_interval_invalidate().
 */

/**
 * DOC: Invalidations
 *
 * The event says nothing about the VMA (I6): each event clears the same way.
 *
 * Before the kernel changes a part of what a PMD maps, or may map, it splits the
 * PMD and sends a CLEAR of the whole slot (__split_huge_pmd()). So the munmap of
 * one page would lose 511 others, although they stay mapped. It has to: nothing
 * tells that CLEAR from one that takes the memory away. But an invalidation of
 * just one slot is a hint that the slot is worth reading again, without faulting
 * anything in. The request is noted here and served by the VM's worker a tick later,
 * with all that have come until then.
 */

#include <linux/mm.h>
#include <linux/module.h>

#include "fakegpu_interval.h"
#include "fakegpu_invalidate.h"
#include "fakegpu_race.h"
#include "fakegpu_scheme_vma.h"
#include "fakegpu_stats.h"
#include "fakegpu_trace.h"

static bool broken_clear;
module_param_unsafe(broken_clear, bool, 0600);
MODULE_PARM_DESC(broken_clear,
		 "Leave the last page of each clear in the mirror, so that the oracle can be seen to fail (default: false)");

static void record_event(struct fakegpu_interval *interval, const struct mmu_notifier_range *range,
			 ktime_t time, u64 pages)
{
	struct fakegpu_intervals *intervals = interval->owner;
	struct fakegpu_event *event = &intervals->events[intervals->nr_events++ % FAKEGPU_EVENTS];

	event->time = time;
	event->event = range->event;
	event->start = range->start;
	event->end = range->end;
	event->interval_start = fakegpu_interval_start(interval);
	event->interval_last = fakegpu_interval_last(interval);
	event->pages = pages;
}

/*
 * Ask the VM's worker to read again what a callback has cleared, [start, last], if that
 * was for a slot. Each interval in the slot asks for itself. Only a hint: none is lost
 * that matters.
 */
static void request_restore(struct fakegpu_interval *interval,
			    const struct mmu_notifier_range *range,
			    unsigned long start, unsigned long last)
{
	struct fakegpu_intervals *intervals = interval->owner;
	struct fakegpu_restore *restore;

	lockdep_assert_held_write(&intervals->mirror->lock);

	if (range->event != MMU_NOTIFY_CLEAR || !IS_ALIGNED(range->start, FAKEGPU_LEAF_SIZE) ||
	    range->end - range->start != FAKEGPU_LEAF_SIZE || interval->dead ||
	    intervals->nr_restores == FAKEGPU_RESTORES)
		return;

	restore = &intervals->restores[intervals->nr_restores++];
	restore->interval = interval;
	restore->start = start;
	restore->last = last;
	/* Until it is served the interval isn't killed. */
	interval->users++;
	/*
	 * Not at once, unless there are many: to wake a worker costs as much as all the
	 * rest, and it would only wait for the mmap_lock that munmap holds.
	 */
	mod_delayed_work(intervals->wq, intervals->restore_work,
			 intervals->nr_restores < FAKEGPU_RESTORES / 2);
}

/*
 * Clear a range of the mirror. The lock is held, but let go of now and then; what
 * may be committed meanwhile is the caller's concern.
 */
static void clear_range(struct fakegpu_intervals *intervals, struct fakegpu_mirror_clear *clear)
{
	struct fakegpu_mirror *mirror = intervals->mirror;
	bool more;

	lockdep_assert_held_write(&mirror->lock);

	while (clear->next <= clear->last) {
		u64 split = mirror->leaves_split, dropped = mirror->leaves_dropped;

		more = fakegpu_mirror_clear(mirror, clear);
		if (mirror->leaves_split != split)
			fakegpu_stats_add(intervals->stats, leaves_split,
					  mirror->leaves_split - split);
		if (mirror->leaves_dropped != dropped)
			fakegpu_stats_add(intervals->stats, leaves_dropped,
					  mirror->leaves_dropped - dropped);
		if (!more)
			break;
		write_unlock(&mirror->lock);
		write_lock(&mirror->lock);
	}
	if (fakegpu_mirror_wants_refill(mirror))
		queue_work(intervals->wq, &intervals->work);
}

/**
 * fakegpu_intervals_clear - clear a range of the mirror
 * @intervals: the intervals
 * @start: first address
 * @last: last address (inclusive)
 *
 * Called under the mirror lock, held for write, which is let go of now and then.
 */
void fakegpu_intervals_clear(struct fakegpu_intervals *intervals, unsigned long start,
			     unsigned long last)
{
	struct fakegpu_mirror_clear clear = { .next = start, .last = last };

	clear_range(intervals, &clear);
}

/*
 * What @range has of [start, last] was cleared by a callback: whatever is live
 * there heeds it, not only the interval whose callback it is. A part may have been
 * another's when the tree of notifiers was locked, and gets no callback of its own
 * then. An UNMAP is heeded when all that it takes of an interval is cleared: a dead
 * one that is still registered may reach into a live one, and doesn't make a head or
 * a hole of what is to go as a whole.
 */
static void heed_cleared(struct fakegpu_intervals *intervals, unsigned long start,
			 unsigned long last, const struct mmu_notifier_range *range,
			 unsigned long cur_seq)
{
	bool unmapped = range->event == MMU_NOTIFY_UNMAP &&
			intervals->scheme == DRM_FAKEGPU_SCHEME_VMA;
	struct interval_tree_node *node;

	if (!fakegpu_intervals_lazy(intervals))
		return;
	while ((node = interval_tree_iter_first(&intervals->index, start, last))) {
		struct fakegpu_interval *interval =
			container_of(node, struct fakegpu_interval, node);
		const unsigned long interval_last = node->last;

		if (unmapped && max(range->start, node->start) >= start &&
		    min(range->end - 1, node->last) <= last)
			fakegpu_vma_unmapped(interval, start, last, cur_seq);
		fakegpu_interval_kill_if_empty(interval);
		if (interval_last >= last)
			break;
		start = interval_last + 1;
	}
}

/**
 * fakegpu_interval_invalidate - the invalidate() callback
 * @notifier: of an interval
 * @range: what is invalidated
 * @cur_seq: token of the lock on the tree of notifiers
 *
 * munmap meets the mirror here, as does every other invalidation of the CPU's
 * page table. When this returns, no engine uses, or can come to use, what lay
 * in the range (I3): engines access memory under the mirror lock. Neither
 * sleeps nor allocates (I4), so it needn't refuse a non-blockable invalidation.
 * Only a test's hold sleeps, before anything is done, where the caller may.
 *
 * Return: true.
 */
bool fakegpu_interval_invalidate(struct mmu_interval_notifier *notifier,
				 const struct mmu_notifier_range *range, unsigned long cur_seq)
{
	struct fakegpu_interval *interval =
		container_of(notifier, struct fakegpu_interval, notifier);
	struct fakegpu_intervals *intervals = interval->owner;
	struct fakegpu_mirror *mirror = intervals->mirror;
	struct fakegpu_mirror_clear clear = {};
	ktime_t time = ktime_get();
	unsigned long start, last;

	if (mmu_notifier_range_blockable(range))
		fakegpu_race_hold(intervals->race, FAKEGPU_RACE_HOLD_INVALIDATE,
				  max(range->start, READ_ONCE(interval->reach_start)),
				  min(range->end - 1, READ_ONCE(interval->reach_last)));

	write_lock(&mirror->lock);
	start = max(range->start, interval->reach_start);
	last = min(range->end - 1, interval->reach_last);
	clear.next = start;
	clear.last = last;
	if (READ_ONCE(broken_clear))
		clear.last = (clear.last & PAGE_MASK) - 1;
	/* I2: what a service has read before this is never committed. */
	mmu_interval_set_seq(notifier, cur_seq);

	fakegpu_race_spin(intervals->race, FAKEGPU_RACE_DELAY_INVALIDATE, clear.next, clear.last);
	if (mirror->reserve.count &&
	    fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_RESERVE, clear.next, clear.last))
		fakegpu_mirror_stash_drain(&mirror->reserve);
	clear_range(intervals, &clear);

	fakegpu_stats_inc(intervals->stats, invalidations);
	if (clear.pages) {
		fakegpu_stats_inc(intervals->stats, invalidations_useful);
		fakegpu_stats_add(intervals->stats, pages_cleared, clear.pages);
		request_restore(interval, range, start, last);
	}
	record_event(interval, range, time, clear.pages);
	trace_fakegpu_invalidate(interval, range, clear.pages);

	/* Where nothing was cleared nothing has become empty, but a VMA may have gone. */
	if (clear.pages || intervals->scheme == DRM_FAKEGPU_SCHEME_VMA)
		heed_cleared(intervals, start, last, range, cur_seq);
	write_unlock(&mirror->lock);
	return true;
}

/**
 * fakegpu_intervals_touched - has an invalidation touched a range?
 * @intervals: the intervals
 * @since: &fakegpu_intervals.nr_events then
 * @start: first address
 * @last: last address (inclusive)
 *
 * Return: true if one has, or if there were more than are remembered.
 */
bool fakegpu_intervals_touched(struct fakegpu_intervals *intervals, u64 since,
			       unsigned long start, unsigned long last)
{
	bool touched;

	read_lock(&intervals->mirror->lock);
	touched = intervals->nr_events - since > FAKEGPU_EVENTS;
	for (; !touched && since < intervals->nr_events; since++) {
		const struct fakegpu_event *event = &intervals->events[since % FAKEGPU_EVENTS];

		touched = event->start <= last && event->end > start;
	}
	read_unlock(&intervals->mirror->lock);
	return touched;
}
