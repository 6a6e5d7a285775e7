// SPDX-License-Identifier: GPL-2.0
/*
 * Scheme fixed: an interval is a range that user space registers, and lives until
 * user space unregisters it.
 */

/**
 * DOC: Scheme fixed
 *
 * As amdgpu's userptr buffers and the memory regions of explicit ODP have it. The
 * range is one of addresses: what is mapped there may come, go and come again, and
 * mirror entries follow. An address outside of all ranges can't be accessed.
 *
 * Ranges may overlap. An entry is then covered by several intervals, and each one's
 * callback clears it. It goes with the last of them.
 *
 * To unregister a range, its interval is withdrawn first: nothing is committed
 * under it any more. Then the entries that no other one covers are dropped, and
 * only then the interval goes (I1): at once, or with the last service that is
 * still about to find out.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/xarray.h>

#include "fakegpu_interval.h"
#include "fakegpu_invalidate.h"
#include "fakegpu_race.h"
#include "fakegpu_scheme_fixed.h"

static int register_range(struct fakegpu_intervals *intervals, struct fakegpu_interval *interval,
			  unsigned long start, unsigned long last)
{
	int ret = -EINTR;

	if (!mmget_not_zero(intervals->mm))
		return -ESRCH;
	if (!mmap_write_lock_killable(intervals->mm)) {
		if (fakegpu_race_fail(intervals->race, FAKEGPU_RACE_FAIL_INSERT, start, last))
			ret = -ENOMEM;
		else
			ret = fakegpu_interval_register_locked(intervals, interval, start, last);
		mmap_write_unlock(intervals->mm);
	}
	mmput_async(intervals->mm);
	return ret;
}

/**
 * fakegpu_fixed_register - have an interval over a range
 * @intervals: the intervals, of scheme fixed
 * @start: first address, page-aligned
 * @last: last address (inclusive), of the user's half
 * @id: receives what fakegpu_fixed_unregister() takes, not zero
 *
 * Takes mmap_lock for write.
 *
 * Return: 0, -ENOMEM, -EINTR if a signal came, -ESRCH if the address space is gone.
 */
int fakegpu_fixed_register(struct fakegpu_intervals *intervals, unsigned long start,
			   unsigned long last, u32 *id)
{
	struct fakegpu_interval *interval = fakegpu_interval_alloc();
	int ret;

	if (!interval)
		return -ENOMEM;
	/* The id is taken first and given its interval when all else is there. */
	ret = xa_alloc(&intervals->ranges, id, NULL, xa_limit_31b, GFP_KERNEL);
	if (ret)
		goto err_free;
	ret = register_range(intervals, interval, start, last);
	if (ret)
		goto err_id;

	fakegpu_interval_publish(interval);
	xa_store(&intervals->ranges, *id, interval, GFP_KERNEL);
	return 0;

err_id:
	xa_erase(&intervals->ranges, *id);
err_free:
	fakegpu_interval_free(interval);
	return ret;
}

/**
 * fakegpu_fixed_next - find where the next range begins
 * @intervals: the intervals, of scheme fixed
 * @addr: an address
 *
 * Return: its start, or ULONG_MAX if there is none or @addr lies in one itself.
 */
unsigned long fakegpu_fixed_next(struct fakegpu_intervals *intervals, unsigned long addr)
{
	struct interval_tree_node *node;
	unsigned long next = ULONG_MAX;

	read_lock(&intervals->mirror->lock);
	node = interval_tree_iter_first(&intervals->index, addr, ULONG_MAX);
	if (node && node->start > addr)
		next = node->start;
	read_unlock(&intervals->mirror->lock);
	return next;
}

/* The end of what other intervals than withdrawn ones cover from @addr on, if anything. */
static bool covered_until(struct fakegpu_intervals *intervals, unsigned long addr,
			  unsigned long last, unsigned long *end)
{
	struct interval_tree_node *node;
	bool covered = false;

	for (node = interval_tree_iter_first(&intervals->index, addr, addr); node;
	     node = interval_tree_iter_next(node, addr, addr)) {
		if (container_of(node, struct fakegpu_interval, node)->withdrawn)
			continue;
		*end = covered ? max(*end, node->last) : node->last;
		covered = true;
	}
	if (covered)
		return true;

	/* Nodes come by their start: the first one that counts ends the gap. */
	*end = last;
	for (node = interval_tree_iter_first(&intervals->index, addr, last); node;
	     node = interval_tree_iter_next(node, addr, last)) {
		if (container_of(node, struct fakegpu_interval, node)->withdrawn)
			continue;
		*end = node->start - 1;
		break;
	}
	return false;
}

/* Drop the entries of a range that nothing covers but what is withdrawn. */
static void drop_uncovered(struct fakegpu_intervals *intervals, unsigned long start,
			   unsigned long last)
{
	unsigned long addr = start, end;

	for (;;) {
		if (!covered_until(intervals, addr, last, &end))
			fakegpu_intervals_clear(intervals, addr, end);
		if (end >= last)
			return;
		addr = end + 1;
	}
}

/**
 * fakegpu_fixed_unregister - take back a fakegpu_fixed_register()
 * @intervals: the intervals
 * @id: of the range
 *
 * When this returns, no engine uses an entry that only this range covered.
 *
 * Return: 0, or -ENOENT if there is no such range.
 */
int fakegpu_fixed_unregister(struct fakegpu_intervals *intervals, u32 id)
{
	struct fakegpu_interval *interval;

	/* Not one that is still being registered: its id has to stay taken. */
	xa_lock(&intervals->ranges);
	interval = xa_load(&intervals->ranges, id);
	if (interval)
		__xa_erase(&intervals->ranges, id);
	xa_unlock(&intervals->ranges);
	if (!interval)
		return -ENOENT;

	write_lock(&intervals->mirror->lock);
	WRITE_ONCE(interval->withdrawn, true);
	drop_uncovered(intervals, fakegpu_interval_start(interval),
		       fakegpu_interval_last(interval));
	fakegpu_interval_gone(interval);
	write_unlock(&intervals->mirror->lock);
	return 0;
}
