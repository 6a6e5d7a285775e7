// SPDX-License-Identifier: GPL-2.0
/*
 * Scheme vma: an interval covers what of a VMA lies in a slot, and follows what
 * munmap leaves of it.
 */

/**
 * DOC: Scheme vma
 *
 * The bounds are read from the VMA under mmap_lock held for write, when a device
 * fault registers the interval, and never again taken for those of a VMA: it may
 * grow, merge, split or go. They only say what the interval covers. Where a VMA
 * has grown, the next fault registers another interval beside this one.
 *
 * An UNMAP that takes a part away is a hint (I6) to make the interval smaller.
 * In the callback, head and tail come off what the interval covers at once, so
 * that nothing can be committed there; the notifier stays registered for all of
 * it, as it can't be changed there. A hole is left as it is: to cover more than
 * there is does no harm. Then the worker registers new intervals for what is
 * left, one for each VMA that has mirror entries, under mmap_lock held for write,
 * and takes the old one out in the same moment in which the new ones come into
 * the index. Both are registered by then, so each entry is covered all the time
 * (I1), stays, and costs no device fault.
 *
 * With the kernel's series (VM_DIRECT) there is no need for a worker: the callback
 * changes the notifier, or splits it with a spare one, and growth of the VMA makes
 * its interval grow. The worker's way is taken where there is no spare one.
 *
 * With a service at work in the old interval, or an entry where there is to be
 * no interval, it stays as it is until the next UNMAP or the end of the service.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "fakegpu_interval.h"
#include "fakegpu_race.h"
#include "fakegpu_scheme_vma.h"

/**
 * fakegpu_vma_bounds - bounds of a new interval
 * @intervals: the intervals
 * @addr: the address that a device fault is about; no interval covers it
 * @start: receives the first address
 * @last: receives the last address (inclusive)
 *
 * The caller holds mmap_lock for write.
 *
 * Return: 0, or -EFAULT if there is no VMA.
 */
int fakegpu_vma_bounds(struct fakegpu_intervals *intervals, unsigned long addr,
		       unsigned long *start, unsigned long *last)
{
	unsigned long mask = (1UL << intervals->order) - 1;
	struct interval_tree_node *node;
	struct vm_area_struct *vma;

	mmap_assert_write_locked(intervals->mm);

	vma = vma_lookup(intervals->mm, addr);
	if (!vma)
		return -EFAULT;
	*start = max(addr & ~mask, vma->vm_start);
	*last = min(addr | mask, vma->vm_end - 1);

	/* Not what its neighbours cover: then an address has one interval. */
	read_lock(&intervals->mirror->lock);
	for (node = interval_tree_iter_first(&intervals->index, *start, *last); node;
	     node = interval_tree_iter_next(node, *start, *last)) {
		if (node->last < addr)
			*start = max(*start, node->last + 1);
		else
			*last = min(*last, node->start - 1);
	}
	read_unlock(&intervals->mirror->lock);
	return 0;
}

/**
 * fakegpu_vma_grow - cover what a VMA has grown by
 * @intervals: the intervals, of a direct VM
 * @start: first address, from fakegpu_vma_bounds()
 * @last: last address (inclusive), likewise
 *
 * The caller holds mmap_lock for write.
 *
 * Return: the interval beside it, which now covers it, too; NULL if there is none
 * of the same VMA in the same slot.
 */
struct fakegpu_interval *fakegpu_vma_grow(struct fakegpu_intervals *intervals,
					  unsigned long start, unsigned long last)
{
	unsigned long mask = (1UL << intervals->order) - 1;
	struct vm_area_struct *vma = vma_lookup(intervals->mm, start);
	struct fakegpu_interval *grown = NULL;

	mmap_assert_write_locked(intervals->mm);

	if (start > max(start & ~mask, vma->vm_start))
		grown = fakegpu_interval_grow(intervals, start - 1, start, last);
	if (!grown && last < min(last | mask, vma->vm_end - 1))
		grown = fakegpu_interval_grow(intervals, last + 1, start, last);
	return grown;
}

/**
 * fakegpu_vma_unmapped - heed an UNMAP
 * @interval: a live interval that overlaps it
 * @from: first address of what is unmapped, and is cleared
 * @to: its last address (inclusive)
 * @cur_seq: of the callback that this is called from
 *
 * Called under the mirror lock, held for write.
 */
void fakegpu_vma_unmapped(struct fakegpu_interval *interval,
			  unsigned long from, unsigned long to, unsigned long cur_seq)
{
	const unsigned long start = fakegpu_interval_start(interval);
	const unsigned long last = fakegpu_interval_last(interval);

	lockdep_assert_held_write(&interval->owner->mirror->lock);

	/* All of it: it has become empty, and goes for that. */
	if (from <= start && to >= last)
		return;
	if (from <= start)
		fakegpu_interval_trim(interval, to + 1, last);
	else if (to >= last)
		fakegpu_interval_trim(interval, start, from - 1);
	else if (!interval->owner->direct || !fakegpu_interval_split(interval, cur_seq, from, to))
		fakegpu_interval_unsettle(interval);
}

/* Register an interval for each VMA in [start, last] that has mirror entries. */
static int settle_parts(struct fakegpu_intervals *intervals, unsigned long start,
			unsigned long last, struct list_head *parts)
{
	VMA_ITERATOR(vmi, intervals->mm, start);
	struct fakegpu_interval *part;
	struct vm_area_struct *vma;
	int ret;

	for_each_vma_range(vmi, vma, last + 1) {
		unsigned long from = max(start, vma->vm_start);
		unsigned long to = min(last, vma->vm_end - 1);
		bool empty;

		read_lock(&intervals->mirror->lock);
		empty = fakegpu_mirror_empty(intervals->mirror, from, to);
		read_unlock(&intervals->mirror->lock);
		if (empty)
			continue;

		if (fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_INSERT, from, to))
			return -ENOMEM;
		part = fakegpu_interval_alloc();
		if (!part)
			return -ENOMEM;
		ret = fakegpu_interval_register_locked(intervals, part, from, to);
		if (ret) {
			fakegpu_interval_free(part);
			return ret;
		}
		list_add_tail(&part->link, parts);
	}
	return 0;
}

/* Under the mirror lock: are all mirror entries of [start, last] in one of the parts? */
static bool parts_cover(struct fakegpu_intervals *intervals, unsigned long start,
			unsigned long last, struct list_head *parts)
{
	struct fakegpu_interval *part;

	list_for_each_entry(part, parts, link) {
		if (fakegpu_interval_start(part) > start &&
		    !fakegpu_mirror_empty(intervals->mirror, start,
					  fakegpu_interval_start(part) - 1))
			return false;
		if (fakegpu_interval_last(part) == last)
			return true;
		start = fakegpu_interval_last(part) + 1;
	}
	return fakegpu_mirror_empty(intervals->mirror, start, last);
}

static void settle(struct fakegpu_intervals *intervals, struct fakegpu_interval *interval)
{
	const unsigned long start = fakegpu_interval_start(interval);
	const unsigned long last = fakegpu_interval_last(interval);
	struct fakegpu_interval *part, *next;
	LIST_HEAD(parts);
	bool replaced;
	int ret;

	mmap_write_lock(intervals->mm);
	ret = settle_parts(intervals, start, last, &parts);

	write_lock(&intervals->mirror->lock);
	replaced = !ret && start == fakegpu_interval_start(interval) &&
		   last == fakegpu_interval_last(interval) &&
		   parts_cover(intervals, start, last, &parts) &&
		   fakegpu_interval_replace(interval, &parts);
	interval->settling = false;
	/* A service came in between: once more when it has gone. */
	if (!ret && !replaced)
		fakegpu_interval_unsettle(interval);
	write_unlock(&intervals->mirror->lock);
	mmap_write_unlock(intervals->mm);

	if (replaced)
		return;
	list_for_each_entry_safe(part, next, &parts, link) {
		mmu_interval_notifier_remove(&part->notifier);
		fakegpu_interval_free(part);
	}
	fakegpu_interval_put(interval);
}

/**
 * fakegpu_vma_settle - give unsettled intervals the bounds of what is left
 * @intervals: the intervals
 *
 * From a worker; takes mmap_lock for write.
 */
void fakegpu_vma_settle(struct fakegpu_intervals *intervals)
{
	struct fakegpu_interval *interval;

	/* Of an mm without users all goes, soon. */
	if (!mmget_not_zero(intervals->mm))
		return;
	while ((interval = fakegpu_interval_next_unsettled(intervals)))
		settle(intervals, interval);
	mmput_async(intervals->mm);
}
