// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of a VM's addresses: what the device may do there, whatever is
 * mapped. They die with munmap.
 */

/**
 * DOC: Attributes
 *
 * Attributes are kept in ranges that are disjoint and as long as they can be;
 * addresses in no range have the default, 0. A service treats the border of a
 * range as it treats the border of a VMA, and looks again under the mirror lock
 * before it commits. So what VM_ADVISE forbids is not committed any more from
 * the moment it is set, also by a service that is under way, and what was
 * committed before is dropped before VM_ADVISE returns.
 *
 * *Covers.* That addresses are unmapped is told by the kernel to those who have
 * an interval notifier there, but the intervals of the mirror exist only where
 * something is mirrored. So VM_ADVISE registers notifiers of its own, covers.
 * The covers are disjoint, and no two are neighbours: a new one takes the place
 * of those that it touches. Hence a range lies in just one cover, and there are
 * never more live covers than ranges. A cover whose last range has gone is
 * removed by a worker, as an interval is.
 *
 * VM_ADVISE waits until its cover is in the tree of notifiers, which isn't changed
 * during an invalidation: from then on no unmap is missed. That is all that it needs
 * of mmu_interval_read_begin(). With one that is under way it needn't collide and start
 * again: the attribute is set at once, under the mirror lock, as each callback erases
 * at once, and all of the event's range. So one comes after the other.
 *
 * *Only UNMAP* (and RELEASE) does anything here, which is not a rule about
 * memory (I6): attributes are advice for addresses, and this is when they are
 * defined to end. If the mapping lives on, as with MREMAP_DONTUNMAP, the
 * device may again do what the mapping allows.
 *
 * *The split.* An unmap in the middle of a range makes two of one, and nothing
 * can be allocated in the callback (I4): the second node is from a reserve. The
 * reserve is filled by VM_ADVISE and by the worker, and never such that there
 * could be more than FAKEGPU_MAX_ATTRS ranges. Without a node the range stays as
 * it is: an attribute too many is what its owner can see and mend, while one
 * that is lost would let the device write where that was forbidden. Counted.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fakegpu_attr.h"
#include "fakegpu_mirror.h"
#include "fakegpu_stats.h"

/* Nodes held back for splits, unless there are nearly too many ranges. */
#define RESERVE_MAX	128U

/* A range whose attributes aren't default. */
struct attr_range {
	struct interval_tree_node node;	/* in fakegpu_attrs.ranges; last is inclusive */
	struct list_head link;		/* in the reserve, or in a list of its owner's */
	struct fakegpu_attr_value value;
};

/* A notifier whose callback hears of unmaps of ranges. */
struct attr_cover {
	struct mmu_interval_notifier notifier;
	struct interval_tree_node node;	/* in fakegpu_attrs.covers while live */
	struct fakegpu_attrs *owner;
	struct list_head dead_link;	/* in fakegpu_attrs.dead */
	unsigned int users;		/* VM_ADVISE calls; with any, it isn't removed */
	bool dead;			/* out of the index */
};

/* A list of nodes that aren't in use. */
struct spare {
	struct list_head list;
	unsigned int count;
};

static const struct fakegpu_attr_value attr_default;

static bool is_default(const struct fakegpu_attr_value *value)
{
	return fakegpu_attr_equal(value, &attr_default);
}

static struct attr_range *to_range(struct interval_tree_node *node)
{
	return container_of(node, struct attr_range, node);
}

static struct attr_cover *to_cover(struct interval_tree_node *node)
{
	return container_of(node, struct attr_cover, node);
}

static void assert_locked(struct fakegpu_attrs *attrs)
{
	lockdep_assert_held(&attrs->mirror->lock);
}

static void assert_write_locked(struct fakegpu_attrs *attrs)
{
	lockdep_assert_held_write(&attrs->mirror->lock);
}

/* ----------------------------------------------------------- spare nodes --- */

static int spare_fill(struct spare *spare, unsigned int count, gfp_t gfp)
{
	while (spare->count < count) {
		struct attr_range *range = kmalloc(sizeof(*range), gfp);

		if (!range)
			return -ENOMEM;
		list_add(&range->link, &spare->list);
		spare->count++;
	}
	return 0;
}

static void spare_drain(struct spare *spare)
{
	struct attr_range *range, *next;

	list_for_each_entry_safe(range, next, &spare->list, link)
		kfree(range);
	INIT_LIST_HEAD(&spare->list);
	spare->count = 0;
}

/* Every range can be split, as long as that doesn't make too many of them. */
static unsigned int reserve_target(const struct fakegpu_attrs *attrs)
{
	return attrs->count ? min(RESERVE_MAX, FAKEGPU_MAX_ATTRS - attrs->count) : 0;
}

static void reserve_put(struct fakegpu_attrs *attrs, struct attr_range *range)
{
	list_add(&range->link, &attrs->reserve);
	attrs->reserved++;
}

static struct attr_range *reserve_get(struct fakegpu_attrs *attrs)
{
	struct attr_range *range;

	range = list_first_entry_or_null(&attrs->reserve, struct attr_range, link);
	if (range) {
		list_del(&range->link);
		attrs->reserved--;
	}
	return range;
}

/* After each change of the number of ranges: never more nodes than the limit. */
static void reserve_trim(struct fakegpu_attrs *attrs)
{
	while (attrs->reserved > reserve_target(attrs))
		kfree(reserve_get(attrs));
}

static void reserve_fill(struct fakegpu_attrs *attrs, struct spare *spare)
{
	while (spare->count && attrs->reserved < reserve_target(attrs)) {
		struct attr_range *range =
			list_first_entry(&spare->list, struct attr_range, link);

		list_del(&range->link);
		spare->count--;
		reserve_put(attrs, range);
	}
}

static bool wants_refill(struct fakegpu_attrs *attrs)
{
	assert_locked(attrs);
	return attrs->reserved < reserve_target(attrs);
}

/* ---------------------------------------------------------------- ranges --- */

static struct interval_tree_node *first_in(struct rb_root_cached *root, unsigned long start,
					   unsigned long last)
{
	return interval_tree_iter_first(root, start, last);
}

static void range_add(struct fakegpu_attrs *attrs, struct attr_range *range)
{
	interval_tree_insert(&range->node, &attrs->ranges);
	attrs->count++;
	attrs->changes++;
}

static void range_remove(struct fakegpu_attrs *attrs, struct attr_range *range)
{
	interval_tree_remove(&range->node, &attrs->ranges);
	attrs->count--;
	attrs->changes++;
}

/* A range that isn't needed any more; it is in no tree. */
static void range_retire(struct fakegpu_attrs *attrs, struct attr_range *range)
{
	if (attrs->reserved < reserve_target(attrs))
		reserve_put(attrs, range);
	else
		kfree(range);
}

/*
 * Take the attributes of a range away, in a callback: trims what sticks out of it
 * and splits what sticks out at both ends.
 */
static void ranges_erase(struct fakegpu_attrs *attrs, unsigned long start, unsigned long last)
{
	struct interval_tree_node *node;

	assert_write_locked(attrs);

	while ((node = first_in(&attrs->ranges, start, last))) {
		struct attr_range *range = to_range(node), *tail = NULL;
		unsigned long node_last = node->last;

		if (node->start < start && node_last > last) {
			tail = reserve_get(attrs);
			if (!tail) {
				fakegpu_stats_inc(attrs->stats, attrs_kept);
				return;
			}
			tail->value = range->value;
			tail->node.start = last + 1;
			tail->node.last = node_last;
		}
		range_remove(attrs, range);
		if (node->start < start) {
			node->last = start - 1;
			range_add(attrs, range);
		} else if (node_last > last) {
			node->start = last + 1;
			range_add(attrs, range);
		} else {
			range_retire(attrs, range);
		}
		if (tail)
			range_add(attrs, tail);
	}
	reserve_trim(attrs);
}

/* The ranges in and beside a change, as they will be. */
struct rebuild {
	const struct fakegpu_attr_change *change;
	struct spare *spare;		/* NULL: only count */
	struct list_head built;
	unsigned int old;		/* ranges that there are */
	unsigned int new;		/* ranges that there will be */
	bool stricter;
	bool open;			/* @piece isn't finished yet */
	struct fakegpu_attr_run piece;
};

static void rebuild_close(struct rebuild *rebuild)
{
	struct attr_range *range;

	if (!rebuild->open)
		return;
	rebuild->open = false;
	rebuild->new++;
	if (!rebuild->spare)
		return;
	range = list_first_entry(&rebuild->spare->list, struct attr_range, link);
	rebuild->spare->count--;
	range->node.start = rebuild->piece.start;
	range->node.last = rebuild->piece.last;
	range->value = rebuild->piece.value;
	list_move_tail(&range->link, &rebuild->built);
}

/* The next piece, upwards: joined with the last one if it is its like. */
static void rebuild_add(struct rebuild *rebuild, unsigned long start, unsigned long last,
			const struct fakegpu_attr_value *value)
{
	struct fakegpu_attr_run *piece = &rebuild->piece;

	if (start > last || is_default(value))
		return;
	if (rebuild->open && piece->last + 1 == start &&
	    fakegpu_attr_equal(&piece->value, value)) {
		piece->last = last;
		return;
	}
	rebuild_close(rebuild);
	rebuild->open = true;
	piece->start = start;
	piece->last = last;
	piece->value = *value;
}

static struct fakegpu_attr_value changed(struct fakegpu_attr_value value,
					 const struct fakegpu_attr_change *change)
{
	switch (change->attr) {
	case DRM_FAKEGPU_ATTR_ACCESS:
		value.access = change->value;
		break;
	case DRM_FAKEGPU_ATTR_ATOMIC:
		value.atomic = change->value;
		break;
	case DRM_FAKEGPU_ATTR_LOCATION:
		value.location = change->value;
		break;
	case DRM_FAKEGPU_ATTR_WINDOW_ORDER:
		value.window_order = change->value;
		break;
	}
	return value;
}

/* A piece inside of the change. */
static void rebuild_change(struct rebuild *rebuild, unsigned long start, unsigned long last,
			   const struct fakegpu_attr_value *old)
{
	struct fakegpu_attr_value new = changed(*old, rebuild->change);

	if (start > last)
		return;
	rebuild->stricter |= new.access > old->access || new.atomic > old->atomic;
	rebuild_add(rebuild, start, last, &new);
}

/* From the neighbour before the change to the one after it. */
static void rebuild_walk(struct fakegpu_attrs *attrs, struct rebuild *rebuild)
{
	const unsigned long start = rebuild->change->start, last = rebuild->change->last;
	const unsigned long from = start ? start - 1 : 0;
	struct interval_tree_node *node;
	unsigned long pos = start;

	for (node = first_in(&attrs->ranges, from, last + 1); node;
	     node = interval_tree_iter_next(node, from, last + 1)) {
		const struct fakegpu_attr_value *value = &to_range(node)->value;
		unsigned long inside = max(node->start, start);

		rebuild->old++;
		if (node->start < start)
			rebuild_add(rebuild, node->start, min(node->last, start - 1), value);
		/* The gap before this range, or what is left of the change. */
		if (pos <= last && inside > pos) {
			rebuild_change(rebuild, pos, min(inside - 1, last), &attr_default);
			pos = min(inside, last + 1);
		}
		if (inside <= last && node->last >= inside) {
			rebuild_change(rebuild, inside, min(node->last, last), value);
			pos = min(node->last, last) + 1;
		}
		if (node->last > last)
			rebuild_add(rebuild, max(node->start, last + 1), node->last, value);
	}
	if (pos <= last)
		rebuild_change(rebuild, pos, last, &attr_default);
	rebuild_close(rebuild);
}

/* Put what was built in the place of what was walked. */
static void rebuild_replace(struct fakegpu_attrs *attrs, struct rebuild *rebuild)
{
	const unsigned long start = rebuild->change->start, last = rebuild->change->last;
	const unsigned long from = start ? start - 1 : 0;
	struct interval_tree_node *node;
	struct attr_range *range, *next;

	while ((node = first_in(&attrs->ranges, from, last + 1))) {
		range_remove(attrs, to_range(node));
		kfree(to_range(node));
	}
	list_for_each_entry_safe(range, next, &rebuild->built, link)
		range_add(attrs, range);
}

/* ---------------------------------------------------------------- covers --- */

/* Out of the index, once; to the worker as soon as nobody uses it. */
static void cover_kill(struct attr_cover *cover)
{
	struct fakegpu_attrs *attrs = cover->owner;

	assert_write_locked(attrs);

	if (!cover->dead) {
		cover->dead = true;
		interval_tree_remove(&cover->node, &attrs->covers);
	}
	if (!cover->users) {
		list_add_tail(&cover->dead_link, &attrs->dead);
		queue_work(attrs->wq, &attrs->work);
	}
}

static void cover_kill_if_empty(struct attr_cover *cover)
{
	if (!cover->dead && !cover->users &&
	    !first_in(&cover->owner->ranges, cover->node.start, cover->node.last))
		cover_kill(cover);
}

/*
 * The kernel unmaps addresses: their attributes end. All of the event's range is
 * erased, not just what is covered here: else a cover that is being replaced by
 * a larger one could make splits of its own.
 */
static bool cover_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range, unsigned long cur_seq)
{
	struct attr_cover *cover = container_of(notifier, struct attr_cover, notifier);
	struct fakegpu_attrs *attrs = cover->owner;

	/* With other events there is nothing to collide. */
	if (range->event != MMU_NOTIFY_UNMAP && range->event != MMU_NOTIFY_RELEASE)
		return true;

	write_lock(&attrs->mirror->lock);
	mmu_interval_set_seq(notifier, cur_seq);
	/* The end of an exit's range is not aligned. */
	ranges_erase(attrs, range->start & PAGE_MASK, (range->end - 1) | ~PAGE_MASK);
	cover_kill_if_empty(cover);
	if (wants_refill(attrs))
		queue_work(attrs->wq, &attrs->work);
	write_unlock(&attrs->mirror->lock);
	return true;
}

static const struct mmu_interval_notifier_ops cover_ops = {
	.invalidate = cover_invalidate,
};

/* The live cover of all of a range, or NULL. Release it by cover_put(). */
static struct attr_cover *cover_get(struct fakegpu_attrs *attrs, unsigned long start,
				    unsigned long last)
{
	struct interval_tree_node *node;
	struct attr_cover *cover = NULL;

	write_lock(&attrs->mirror->lock);
	node = first_in(&attrs->covers, start, last);
	if (node && node->start <= start && node->last >= last) {
		cover = to_cover(node);
		cover->users++;
	}
	write_unlock(&attrs->mirror->lock);
	return cover;
}

static void cover_put(struct attr_cover *cover)
{
	struct fakegpu_mirror *mirror = cover->owner->mirror;

	write_lock(&mirror->lock);
	cover->users--;
	if (!cover->dead)
		cover_kill_if_empty(cover);
	else if (!cover->users)
		cover_kill(cover);
	write_unlock(&mirror->lock);
}

/*
 * Register a cover for a range and all covers that touch it. mmap_lock is held for
 * write, so that the others become no more meanwhile.
 */
static int cover_register(struct attr_cover *cover, unsigned long start, unsigned long last)
{
	struct fakegpu_attrs *attrs = cover->owner;
	const unsigned long from = start ? start - 1 : 0;
	struct interval_tree_node *node;
	int ret;

	mmap_assert_write_locked(attrs->mm);

	cover->node.start = start;
	cover->node.last = last;
	read_lock(&attrs->mirror->lock);
	for (node = first_in(&attrs->covers, from, last + 1); node;
	     node = interval_tree_iter_next(node, from, last + 1)) {
		cover->node.start = min(cover->node.start, node->start);
		cover->node.last = max(cover->node.last, node->last);
	}
	read_unlock(&attrs->mirror->lock);

	ret = mmu_interval_notifier_insert_locked(&cover->notifier, attrs->mm, cover->node.start,
						  cover->node.last - cover->node.start + 1,
						  &cover_ops);
	if (ret)
		return ret;

	/*
	 * While the tree of notifiers is frozen the new one isn't in it yet, but then
	 * the old ones stay in it until it is.
	 */
	write_lock(&attrs->mirror->lock);
	while ((node = first_in(&attrs->covers, cover->node.start, cover->node.last)))
		cover_kill(to_cover(node));
	interval_tree_insert(&cover->node, &attrs->covers);
	attrs->registered++;
	write_unlock(&attrs->mirror->lock);
	return 0;
}

/* Find or register a cover; release it by cover_put(). The caller is a user of the mm. */
static struct attr_cover *cover_get_or_add(struct fakegpu_attrs *attrs, unsigned long start,
					   unsigned long last)
{
	struct attr_cover *cover, *new;
	int ret = 0;

	cover = cover_get(attrs, start, last);
	if (cover)
		return cover;

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	new->owner = attrs;
	new->users = 1;

	if (mmap_write_lock_killable(attrs->mm)) {
		kfree(new);
		return ERR_PTR(-EINTR);
	}
	cover = cover_get(attrs, start, last);
	if (!cover)
		ret = cover_register(new, start, last);
	mmap_write_unlock(attrs->mm);

	if (!cover && !ret)
		return new;
	kfree(new);
	return cover ?: ERR_PTR(ret);
}

/* Sleeps until a running callback of the cover is over; no lock is held. */
static void covers_remove_dead(struct fakegpu_attrs *attrs)
{
	struct attr_cover *cover, *next;
	unsigned int removed = 0;
	LIST_HEAD(dead);

	write_lock(&attrs->mirror->lock);
	list_splice_init(&attrs->dead, &dead);
	write_unlock(&attrs->mirror->lock);

	list_for_each_entry_safe(cover, next, &dead, dead_link) {
		mmu_interval_notifier_remove(&cover->notifier);
		kfree(cover);
		removed++;
	}

	write_lock(&attrs->mirror->lock);
	attrs->registered -= removed;
	write_unlock(&attrs->mirror->lock);
}

static void attrs_work(struct work_struct *work)
{
	struct fakegpu_attrs *attrs = container_of(work, struct fakegpu_attrs, work);
	struct spare spare = { .list = LIST_HEAD_INIT(spare.list) };
	unsigned int missing = 0;

	covers_remove_dead(attrs);

	read_lock(&attrs->mirror->lock);
	if (wants_refill(attrs))
		missing = reserve_target(attrs) - attrs->reserved;
	read_unlock(&attrs->mirror->lock);

	/* Without memory a split may find no node, which is counted. */
	spare_fill(&spare, missing, GFP_KERNEL);
	write_lock(&attrs->mirror->lock);
	reserve_fill(attrs, &spare);
	write_unlock(&attrs->mirror->lock);
	spare_drain(&spare);
}

/* ------------------------------------------------------------- from outside --- */

/**
 * fakegpu_attrs_init - begin without attributes
 * @attrs: memory for it
 * @mirror: whose lock is used
 * @mm: the address space; the caller holds a reference
 * @stats: where to count
 * @wq: where to remove covers
 */
void fakegpu_attrs_init(struct fakegpu_attrs *attrs, struct fakegpu_mirror *mirror,
			struct mm_struct *mm, struct fakegpu_stats *stats,
			struct workqueue_struct *wq)
{
	attrs->mirror = mirror;
	attrs->mm = mm;
	attrs->stats = stats;
	attrs->wq = wq;
	attrs->ranges = RB_ROOT_CACHED;
	attrs->covers = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&attrs->reserve);
	INIT_LIST_HEAD(&attrs->dead);
	INIT_WORK(&attrs->work, attrs_work);
}

/**
 * fakegpu_attrs_fini - forget all attributes
 * @attrs: the attributes
 *
 * The caller made sure that nobody uses them any more but callbacks, which may
 * run until this returns.
 */
void fakegpu_attrs_fini(struct fakegpu_attrs *attrs)
{
	struct interval_tree_node *node;

	write_lock(&attrs->mirror->lock);
	while ((node = first_in(&attrs->ranges, 0, ULONG_MAX))) {
		range_remove(attrs, to_range(node));
		kfree(to_range(node));
	}
	while ((node = first_in(&attrs->covers, 0, ULONG_MAX))) {
		WARN_ON(to_cover(node)->users);
		cover_kill(to_cover(node));
	}
	reserve_trim(attrs);
	write_unlock(&attrs->mirror->lock);

	covers_remove_dead(attrs);
	/* No callback is left to queue it again. */
	cancel_work_sync(&attrs->work);
	covers_remove_dead(attrs);
	WARN_ON(attrs->registered || attrs->reserved);
}

/* How many nodes a change needs, at this moment: for itself and for the reserve. */
static unsigned int nodes_needed(struct fakegpu_attrs *attrs,
				 const struct fakegpu_attr_change *change)
{
	struct rebuild rebuild = { .change = change };
	unsigned int needed;

	read_lock(&attrs->mirror->lock);
	rebuild_walk(attrs, &rebuild);
	needed = rebuild.new + RESERVE_MAX - attrs->reserved;
	read_unlock(&attrs->mirror->lock);
	return needed;
}

/* Returns 0, -EAGAIN for more nodes, or -ENOSPC. */
static int set_locked(struct fakegpu_attrs *attrs, struct fakegpu_attr_change *change,
		      struct spare *spare)
{
	struct rebuild count = { .change = change };
	struct rebuild build = {
		.change = change,
		.spare = spare,
		.built = LIST_HEAD_INIT(build.built),
	};
	struct interval_tree_node *node, *next;

	assert_write_locked(attrs);

	rebuild_walk(attrs, &count);
	if (count.new > count.old && attrs->count + count.new - count.old > FAKEGPU_MAX_ATTRS)
		return -ENOSPC;
	if (count.new > spare->count)
		return -EAGAIN;

	rebuild_walk(attrs, &build);
	rebuild_replace(attrs, &build);
	change->stricter = build.stricter;
	attrs->unsettled += build.stricter;
	reserve_trim(attrs);
	reserve_fill(attrs, spare);

	/* Where the last attribute went, nothing need be heard of any more. */
	for (node = first_in(&attrs->covers, change->start, change->last); node; node = next) {
		next = interval_tree_iter_next(node, change->start, change->last);
		cover_kill_if_empty(to_cover(node));
	}
	return 0;
}

/**
 * fakegpu_attrs_set - set an attribute of a range
 * @attrs: the attributes
 * @change: what to set; its @stricter is filled in
 *
 * The caller holds no lock. When this returns nothing that the attribute forbids
 * is committed any more; what the mirror holds already is the caller's to drop,
 * if the change is stricter, and then to call fakegpu_attrs_settled().
 *
 * Return: 0; -ENOSPC if there would be too many ranges; -ESRCH if the mm is gone;
 * -EINTR; -ENOMEM. On an error nothing has changed.
 */
int fakegpu_attrs_set(struct fakegpu_attrs *attrs, struct fakegpu_attr_change *change)
{
	const struct fakegpu_attr_value value = changed(attr_default, change);
	struct spare spare = { .list = LIST_HEAD_INIT(spare.list) };
	struct attr_cover *cover = NULL;
	int ret;

	if (!mmget_not_zero(attrs->mm))
		return -ESRCH;
	/* The default makes no range where there is none; any other range is covered. */
	if (!is_default(&value)) {
		cover = cover_get_or_add(attrs, change->start, change->last);
		if (IS_ERR(cover)) {
			ret = PTR_ERR(cover);
			goto out_mmput;
		}
		/* Wait until it is in the tree of notifiers. */
		mmu_interval_read_begin(&cover->notifier);
	}
	do {
		ret = spare_fill(&spare, nodes_needed(attrs, change), GFP_KERNEL_ACCOUNT);
		if (ret)
			break;
		write_lock(&attrs->mirror->lock);
		ret = set_locked(attrs, change, &spare);
		write_unlock(&attrs->mirror->lock);
	} while (ret == -EAGAIN);
	spare_drain(&spare);
	if (cover)
		cover_put(cover);
out_mmput:
	mmput_async(attrs->mm);
	return ret;
}

/**
 * fakegpu_attrs_settled - the mirror holds nothing more that a change forbids
 * @attrs: the attributes
 */
void fakegpu_attrs_settled(struct fakegpu_attrs *attrs)
{
	write_lock(&attrs->mirror->lock);
	attrs->unsettled--;
	write_unlock(&attrs->mirror->lock);
}

/**
 * fakegpu_attrs_find - find the attributes of an address
 * @attrs: the attributes
 * @addr: the address
 * @run: receives them, and how far they reach to both sides
 *
 * Called under the mirror lock.
 */
void fakegpu_attrs_find(struct fakegpu_attrs *attrs, unsigned long addr,
			struct fakegpu_attr_run *run)
{
	struct interval_tree_node *node;
	struct rb_node *before;

	assert_locked(attrs);

	run->start = 0;
	run->last = ULONG_MAX;
	run->value = attr_default;
	if (!attrs->count)
		return;

	/* The first one that ends at or behind the address. */
	node = first_in(&attrs->ranges, addr, ULONG_MAX);
	if (node && node->start <= addr) {
		run->start = node->start;
		run->last = node->last;
		run->value = to_range(node)->value;
		return;
	}
	before = node ? rb_prev(&node->rb) : rb_last(&attrs->ranges.rb_root);
	if (before)
		run->start = rb_entry(before, struct interval_tree_node, rb)->last + 1;
	if (node)
		run->last = node->start - 1;
}

/**
 * fakegpu_attrs_next - find the first range with attributes
 * @attrs: the attributes
 * @addr: first address
 * @last: last address (inclusive)
 * @run: receives the range, clipped
 *
 * Return: true if there is one.
 */
bool fakegpu_attrs_next(struct fakegpu_attrs *attrs, unsigned long addr, unsigned long last,
			struct fakegpu_attr_run *run)
{
	struct interval_tree_node *node;

	read_lock(&attrs->mirror->lock);
	node = first_in(&attrs->ranges, addr, last);
	if (node) {
		run->start = max(node->start, addr);
		run->last = min(node->last, last);
		run->value = to_range(node)->value;
	}
	read_unlock(&attrs->mirror->lock);
	return node;
}

/**
 * fakegpu_attrs_covered - would an unmap of any part of a range be heard of?
 * @attrs: the attributes
 * @start: first address
 * @last: last address (inclusive)
 *
 * Called under the mirror lock; for the oracle.
 *
 * Return: true if one cover covers it.
 */
bool fakegpu_attrs_covered(struct fakegpu_attrs *attrs, unsigned long start, unsigned long last)
{
	struct interval_tree_node *node;

	assert_locked(attrs);

	node = first_in(&attrs->covers, start, last);
	return node && node->start <= start && node->last >= last;
}

/**
 * fakegpu_attrs_next_cover - find the first live cover
 * @attrs: the attributes
 * @addr: where to begin
 * @start: receives its first address
 * @last: receives its last address (inclusive)
 *
 * Return: true if there is one.
 */
bool fakegpu_attrs_next_cover(struct fakegpu_attrs *attrs, unsigned long addr,
			      unsigned long *start, unsigned long *last)
{
	struct interval_tree_node *node;

	read_lock(&attrs->mirror->lock);
	node = first_in(&attrs->covers, addr, ULONG_MAX);
	if (node) {
		*start = node->start;
		*last = node->last;
	}
	read_unlock(&attrs->mirror->lock);
	return node;
}
