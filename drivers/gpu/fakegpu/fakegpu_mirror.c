// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror: the VM's page table.
 *
 * Floor 1 of the house: knows nothing of mm, notifiers or DRM, and is also
 * compiled on the host (tools/unit) with sanitizers against a plain model.
 */

/**
 * DOC: The mirror
 *
 * A radix page table. Level 0 holds small leaves (one page), level 1 holds
 * large leaves (what the CPU maps by a PMD) or nodes of level 0, the levels
 * above hold nodes. A node that becomes empty is freed at once, so a node in
 * the tree always has a leaf below it; only the root may be empty. Hence
 * "is there any entry in this range?" needs no counters.
 *
 * Mapping takes its nodes from a stash that the caller filled before it took
 * the mirror lock. Clearing runs in notifier callbacks, where nothing may be
 * allocated (I4): a partly cleared large leaf is split with a node from the
 * mirror's reserve and, only if that is empty, dropped whole and counted (I5).
 */

#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "fakegpu_mirror_node.h"

/* Entries looked at before a clear gives way to others; see fakegpu_mirror_clear(). */
#define CLEAR_BUDGET	4096

static struct fakegpu_mirror_node *node_alloc(void)
{
	struct fakegpu_mirror_node *node;

	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return NULL;
	node->entries = (u64 *)get_zeroed_page(GFP_KERNEL);
	if (!node->entries) {
		kfree(node);
		return NULL;
	}
	return node;
}

static void node_free(struct fakegpu_mirror_node *node)
{
	free_page((unsigned long)node->entries);
	kfree(node);
}

/* Nodes in a stash are empty: all their entries are 0. */
static void stash_put(struct fakegpu_mirror_stash *stash, struct fakegpu_mirror_node *node)
{
	node->next = stash->head;
	stash->head = node;
	stash->count++;
}

static struct fakegpu_mirror_node *stash_get(struct fakegpu_mirror_stash *stash)
{
	struct fakegpu_mirror_node *node = stash->head;

	if (node) {
		stash->head = node->next;
		stash->count--;
	}
	return node;
}

/**
 * fakegpu_mirror_stash_fill - top up a stash
 * @stash: the stash
 * @count: nodes that it shall hold at least
 *
 * May sleep.
 *
 * Return: 0, or -ENOMEM; what was allocated stays in the stash.
 */
int fakegpu_mirror_stash_fill(struct fakegpu_mirror_stash *stash, unsigned int count)
{
	while (stash->count < count) {
		struct fakegpu_mirror_node *node = node_alloc();

		if (!node)
			return -ENOMEM;
		stash_put(stash, node);
	}
	return 0;
}

/**
 * fakegpu_mirror_stash_drain - free all nodes of a stash
 * @stash: the stash; may be used again
 */
void fakegpu_mirror_stash_drain(struct fakegpu_mirror_stash *stash)
{
	struct fakegpu_mirror_node *node;

	while ((node = stash_get(stash)))
		node_free(node);
}

/**
 * fakegpu_mirror_init - make an empty mirror
 * @mirror: memory for it
 * @va_bits: addresses from 0 to 2^@va_bits - 1 can be mapped
 * @ops: what the owner supplies
 *
 * May sleep.
 *
 * Return: 0, -EINVAL if @va_bits needs more than FAKEGPU_MAX_LEVELS, or
 * -ENOMEM.
 */
int fakegpu_mirror_init(struct fakegpu_mirror *mirror, unsigned int va_bits,
			const struct fakegpu_mirror_ops *ops)
{
	unsigned int level = 1;

	memset(mirror, 0, sizeof(*mirror));
	if (va_bits < FAKEGPU_LEAF_SHIFT || va_bits >= BITS_PER_LONG)
		return -EINVAL;
	while (level_shift(level + 1) < va_bits)
		level++;
	if (level >= FAKEGPU_MAX_LEVELS)
		return -EINVAL;

	rwlock_init(&mirror->lock);
	mirror->ops = ops;
	mirror->last = (1UL << va_bits) - 1;
	mirror->root = node_alloc();
	if (!mirror->root)
		return -ENOMEM;
	mirror->root->level = level;
	mirror->nodes = 1;
	return 0;
}

/**
 * fakegpu_mirror_fini - clear all entries and free the mirror's memory
 * @mirror: the mirror
 *
 * The caller makes sure that nobody uses the mirror any more.
 */
void fakegpu_mirror_fini(struct fakegpu_mirror *mirror)
{
	fakegpu_mirror_clear_all(mirror);
	WARN_ON(mirror->pages_small || mirror->leaves_large || mirror->nodes != 1);
	fakegpu_mirror_stash_drain(&mirror->reserve);
	node_free(mirror->root);
	mirror->root = NULL;
	mirror->nodes = 0;
}

/**
 * fakegpu_mirror_memory - how much memory the tree takes
 * @mirror: the mirror
 *
 * Called under the mirror lock.
 *
 * Return: bytes, without what the allocator adds and what is in reserve.
 */
u64 fakegpu_mirror_memory(const struct fakegpu_mirror *mirror)
{
	lockdep_assert_held(&mirror->lock);

	return (u64)mirror->nodes * (PAGE_SIZE + sizeof(struct fakegpu_mirror_node));
}

/**
 * fakegpu_mirror_nodes_needed - most nodes that mapping a range can take
 * @mirror: the mirror
 * @start: first address
 * @last: last address (inclusive)
 *
 * Includes one node for the reserve per large leaf that the range can hold.
 *
 * Return: what to pass to fakegpu_mirror_stash_fill().
 */
unsigned int fakegpu_mirror_nodes_needed(const struct fakegpu_mirror *mirror,
					 unsigned long start, unsigned long last)
{
	unsigned int level, needed = 0;
	unsigned long leaves;

	for (level = 1; level <= mirror->root->level; level++)
		needed += (last >> level_shift(level)) - (start >> level_shift(level)) + 1;

	leaves = (last >> FAKEGPU_LEAF_SHIFT) - (start >> FAKEGPU_LEAF_SHIFT) + 1;
	return needed + min_t(unsigned long, leaves, FAKEGPU_MIRROR_RESERVE_MAX);
}

/**
 * fakegpu_mirror_nodes_missing - nodes that mapping within a large leaf's slot takes now
 * @mirror: the mirror, not locked
 * @addr: an address in the slot
 *
 * Fewer than fakegpu_mirror_nodes_needed(), but only if nothing is cleared meanwhile:
 * mapping may run out of nodes.
 *
 * Return: what to pass to fakegpu_mirror_stash_fill().
 */
unsigned int fakegpu_mirror_nodes_missing(struct fakegpu_mirror *mirror, unsigned long addr)
{
	struct fakegpu_mirror_node *node;
	unsigned int missing;

	read_lock(&mirror->lock);
	node_find(mirror, addr, 0, &node);
	/* A large leaf may have to be split. */
	missing = node->level;
	read_unlock(&mirror->lock);
	/* A large leaf takes one node less, and one for the reserve. */
	return missing;
}

static unsigned int reserve_target(const struct fakegpu_mirror *mirror)
{
	return min_t(u64, mirror->leaves_large, FAKEGPU_MIRROR_RESERVE_MAX);
}

/* Under the mirror lock a node goes back where it is of use, or away. */
static void node_retire(struct fakegpu_mirror *mirror, struct fakegpu_mirror_node *node)
{
	mirror->nodes--;
	if (mirror->reserve.count < reserve_target(mirror))
		stash_put(&mirror->reserve, node);
	else
		node_free(node);
}

static void reserve_trim(struct fakegpu_mirror *mirror)
{
	while (mirror->reserve.count > reserve_target(mirror))
		node_free(stash_get(&mirror->reserve));
}

/**
 * fakegpu_mirror_wants_refill - has the reserve fallen behind?
 * @mirror: the mirror, locked
 *
 * Return: true if fakegpu_mirror_refill() shall be called soon.
 */
bool fakegpu_mirror_wants_refill(const struct fakegpu_mirror *mirror)
{
	lockdep_assert_held(&mirror->lock);
	return mirror->reserve.count < reserve_target(mirror);
}

/**
 * fakegpu_mirror_refill - bring the reserve back to its target
 * @mirror: the mirror, not locked
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int fakegpu_mirror_refill(struct fakegpu_mirror *mirror)
{
	struct fakegpu_mirror_stash stash = {};
	unsigned int missing;
	int ret;

	read_lock(&mirror->lock);
	missing = reserve_target(mirror) - min(mirror->reserve.count, reserve_target(mirror));
	read_unlock(&mirror->lock);

	ret = fakegpu_mirror_stash_fill(&stash, missing);

	write_lock(&mirror->lock);
	while (stash.count && mirror->reserve.count < reserve_target(mirror))
		stash_put(&mirror->reserve, stash_get(&stash));
	write_unlock(&mirror->lock);

	fakegpu_mirror_stash_drain(&stash);
	return ret;
}

/* Get down from @node to the one of @level for @addr, adding nodes from @stash. */
static struct fakegpu_mirror_node *
node_get(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
	 struct fakegpu_mirror_node *node, unsigned long addr, unsigned int level)
{
	while (node->level > level) {
		u64 *entry = &node->entries[slot_index(addr, node->level)];
		struct fakegpu_mirror_node *child;

		if (WARN_ON_ONCE(entry_is_leaf(*entry)))
			return NULL;
		if (!*entry) {
			/* All of the way or none of it: no node stays empty. */
			if (stash->count < node->level - level)
				return NULL;
			child = stash_get(stash);
			child->level = node->level - 1;
			*entry = node_entry(child);
			node->used++;
			mirror->nodes++;
		}
		node = entry_node(*entry);
	}
	return node;
}

/* Rights come from the new entry; what the device wrote stays written. */
static inline u64 entry_update(u64 old, u64 new)
{
	return new | (old & FAKEGPU_ENTRY_DIRTY);
}

/*
 * A page frame that changes under a live entry means that an invalidation was
 * missed (I2): say so, and don't lose a dirty mark.
 */
static void check_replace(struct fakegpu_mirror *mirror, u64 old, u64 new)
{
	if (WARN_ON_ONCE(fakegpu_entry_pfn(old) != fakegpu_entry_pfn(new)) &&
	    (old & FAKEGPU_ENTRY_DIRTY))
		mirror->ops->dirty(mirror, fakegpu_entry_pfn(old));
}

/* Replace a large leaf by small ones in @node. The caller changes some of them. */
static void split_large(struct fakegpu_mirror *mirror, struct fakegpu_mirror_node *node, u64 *slot)
{
	u64 entry = *slot;
	unsigned int i;

	for (i = 0; i < FAKEGPU_LEVEL_ENTRIES; i++)
		node->entries[i] = entry + ((u64)i << FAKEGPU_ENTRY_PFN_SHIFT);
	node->used = FAKEGPU_LEVEL_ENTRIES;
	node->level = 0;
	*slot = node_entry(node);

	mirror->nodes++;
	mirror->leaves_large--;
	mirror->pages_small += FAKEGPU_LEVEL_ENTRIES;
}

/* Does the large leaf say of a small one's page what the small one says? */
static bool large_says(u64 large, unsigned long addr, u64 small)
{
	unsigned long offset = (addr & (FAKEGPU_LEAF_SIZE - 1)) >> PAGE_SHIFT;

	return fakegpu_entry_pfn(large) + offset == fakegpu_entry_pfn(small) &&
	       !((large ^ small) & FAKEGPU_ENTRY_RIGHTS);
}

/* Small leaves over a large one: it stays if they say the same, else it is split. */
static int map_over_large(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
			  u64 *slot, unsigned long addr, const u64 *entries, unsigned long count,
			  bool *same)
{
	struct fakegpu_mirror_node *node;
	unsigned long i;

	*same = true;
	for (i = 0; i < count; i++)
		if (entries[i] && !large_says(*slot, addr + (i << PAGE_SHIFT), entries[i]))
			*same = false;
	if (*same)
		return 0;

	node = stash_get(stash);
	if (!node)
		return -ENOMEM;
	split_large(mirror, node, slot);
	reserve_trim(mirror);
	return 0;
}

/* Where a node has entries. Returns how many have come. */
static unsigned int map_row(struct fakegpu_mirror *mirror, u64 *row, const u64 *entries,
			    unsigned long count)
{
	unsigned int added = 0;
	unsigned long i;

	for (i = 0; i < count; i++) {
		if (!entries[i])
			continue;
		if (!row[i]) {
			row[i] = entries[i];
			added++;
			continue;
		}
		check_replace(mirror, row[i], entries[i]);
		row[i] = entry_update(row[i], entries[i]);
	}
	return added;
}

/* Where it has none, as most of them when a window is mapped. */
static unsigned int map_empty_row(u64 *row, const u64 *entries, unsigned long count)
{
	unsigned int added = 0;
	unsigned long i;

	for (i = 0; i < count; i++) {
		row[i] = entries[i];
		added += !!entries[i];
	}
	return added;
}

/**
 * fakegpu_mirror_map - map a row of small leaves
 * @mirror: the mirror, locked for write
 * @stash: nodes to use; see fakegpu_mirror_nodes_needed()
 * @start: first address, page aligned
 * @entries: what to map, by fakegpu_entry_make(); 0 leaves the slot as it is
 * @count: how many
 *
 * An entry that is there already gets the new rights and stays dirty; a large
 * leaf is split if its rights differ. The walker's place is kept from one entry
 * to the next.
 *
 * Return: 0; -EINVAL if the range can't be mapped; -ENOMEM if the stash ran
 * out; what was mapped stays mapped.
 */
int fakegpu_mirror_map(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
		       unsigned long start, const u64 *entries, unsigned long count)
{
	unsigned long i = 0;

	lockdep_assert_held_write(&mirror->lock);
	if (WARN_ON_ONCE(start > mirror->last ||
			 count > ((mirror->last - start) >> PAGE_SHIFT) + 1))
		return -EINVAL;

	while (i < count) {
		unsigned long addr = start + (i << PAGE_SHIFT);
		unsigned int index = slot_index(addr, 0);
		unsigned long stop = min_t(unsigned long, count,
					   i + FAKEGPU_LEVEL_ENTRIES - index);
		struct fakegpu_mirror_node *node;
		unsigned int added;
		u64 *slot;

		/* Don't make a node for nothing: it would stay empty. */
		while (i < stop && !entries[i])
			i++;
		if (i == stop)
			continue;
		addr = start + (i << PAGE_SHIFT);

		slot = node_find(mirror, addr, 0, &node);
		if (node->level && *slot) {
			bool same;

			if (map_over_large(mirror, stash, slot, addr, entries + i, stop - i,
					   &same))
				return -ENOMEM;
			if (same) {
				i = stop;
				continue;
			}
		}

		node = node_get(mirror, stash, node, addr, 0);
		if (!node)
			return -ENOMEM;
		if (node->used)
			added = map_row(mirror, node->entries + slot_index(addr, 0),
					entries + i, stop - i);
		else
			added = map_empty_row(node->entries + slot_index(addr, 0),
					      entries + i, stop - i);
		i = stop;
		node->used += added;
		mirror->pages_small += added;
	}
	return 0;
}

/* Take a node of small leaves out of the tree to make room for a large leaf. */
static u64 collapse_node(struct fakegpu_mirror *mirror, struct fakegpu_mirror_node *node,
			 u64 entry)
{
	unsigned long pfn = fakegpu_entry_pfn(entry);
	unsigned int i;
	u64 dirty = 0;

	for (i = 0; i < FAKEGPU_LEVEL_ENTRIES; i++) {
		u64 old = node->entries[i];

		if (!old)
			continue;
		check_replace(mirror, old, (u64)(pfn + i) << FAKEGPU_ENTRY_PFN_SHIFT);
		dirty |= old & FAKEGPU_ENTRY_DIRTY;
	}
	mirror->pages_small -= node->used;
	memset(node->entries, 0, PAGE_SIZE);
	node->used = 0;
	node_retire(mirror, node);
	return dirty;
}

/**
 * fakegpu_mirror_map_large - map one large leaf
 * @mirror: the mirror, locked for write
 * @stash: nodes to use; see fakegpu_mirror_nodes_needed()
 * @start: its address, aligned to FAKEGPU_LEAF_SIZE
 * @entry: what to map, by fakegpu_entry_make() with its first page frame
 *
 * Takes the place of small leaves in the same slot; if one of them is dirty,
 * so is the large leaf.
 *
 * Return: 0; -EINVAL if the address can't be mapped; -ENOMEM if the stash ran
 * out. On an error nothing was mapped.
 */
int fakegpu_mirror_map_large(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
			     unsigned long start, u64 entry)
{
	struct fakegpu_mirror_node *node, *spare;
	u64 *slot;

	lockdep_assert_held_write(&mirror->lock);
	if (WARN_ON_ONCE(start > mirror->last))
		return -EINVAL;

	slot = node_find(mirror, start, 1, &node);
	if (entry_is_leaf(*slot)) {
		check_replace(mirror, *slot, entry);
		*slot = entry_update(*slot, entry);
		return 0;
	}

	/* I5: what may be split must find a node for it. */
	if (mirror->reserve.count < FAKEGPU_MIRROR_RESERVE_MAX &&
	    mirror->reserve.count <= mirror->leaves_large) {
		spare = stash_get(stash);
		if (!spare)
			return -ENOMEM;
		stash_put(&mirror->reserve, spare);
	}

	node = node_get(mirror, stash, node, start, 1);
	if (!node) {
		reserve_trim(mirror);
		return -ENOMEM;
	}

	slot = &node->entries[slot_index(start, 1)];
	mirror->leaves_large++;
	if (*slot)
		entry |= collapse_node(mirror, entry_node(*slot), entry);
	else
		node->used++;
	*slot = entry;
	return 0;
}

/* The split of a clear: there is no stash, only the reserve. */
static bool split_for_clear(struct fakegpu_mirror *mirror, u64 *slot)
{
	struct fakegpu_mirror_node *node = stash_get(&mirror->reserve);

	if (!node)
		return false;
	split_large(mirror, node, slot);
	mirror->leaves_split++;
	return true;
}

static void drop_leaf(struct fakegpu_mirror *mirror, u64 *slot)
{
	if (*slot & FAKEGPU_ENTRY_DIRTY)
		mirror->ops->dirty(mirror, fakegpu_entry_pfn(*slot));
	*slot = 0;
}

static void drop_large(struct fakegpu_mirror *mirror, u64 *slot,
		       struct fakegpu_mirror_clear *clear)
{
	drop_leaf(mirror, slot);
	mirror->leaves_large--;
	clear->pages += FAKEGPU_LEAF_PAGES;
	reserve_trim(mirror);
}

static void clear_small(struct fakegpu_mirror *mirror, struct fakegpu_mirror_node *node,
			unsigned long last, struct fakegpu_mirror_clear *clear)
{
	unsigned int index = slot_index(clear->next, 0);
	unsigned int end = slot_index(last, 0);
	unsigned int used = node->used;

	for (; index <= end && node->used; index++) {
		if (!node->entries[index])
			continue;
		drop_leaf(mirror, &node->entries[index]);
		node->used--;
	}
	mirror->pages_small -= used - node->used;
	clear->pages += used - node->used;
}

/*
 * Clear from clear->next to @last, which lies in @node's slot. Returns with
 * clear->next behind what is done; that is @last + 1 unless @budget ran out.
 */
static void clear_node(struct fakegpu_mirror *mirror, struct fakegpu_mirror_node *node,
		       unsigned long last, struct fakegpu_mirror_clear *clear, int *budget)
{
	if (!node->level) {
		clear_small(mirror, node, last, clear);
		*budget -= FAKEGPU_LEVEL_ENTRIES;
		clear->next = last + 1;
		return;
	}

	while (*budget > 0) {
		unsigned long addr = clear->next;
		unsigned long stop = min(slot_last(addr, node->level), last);
		u64 *slot = &node->entries[slot_index(addr, node->level)];

		(*budget)--;
		if (entry_is_leaf(*slot)) {
			bool whole = !(addr & (FAKEGPU_LEAF_SIZE - 1)) &&
				     stop == slot_last(addr, 1);

			if (whole || !split_for_clear(mirror, slot)) {
				if (!whole)
					mirror->leaves_dropped++;
				drop_large(mirror, slot, clear);
				node->used--;
			}
		}
		if (*slot) {
			struct fakegpu_mirror_node *child = entry_node(*slot);

			clear_node(mirror, child, stop, clear, budget);
			if (!child->used) {
				*slot = 0;
				node->used--;
				node_retire(mirror, child);
			}
			/* The child ran out of budget before its end. */
			if (clear->next != stop + 1)
				return;
		}
		clear->next = stop + 1;
		if (stop == last || !node->used) {
			clear->next = last + 1;
			return;
		}
	}
}

/**
 * fakegpu_mirror_clear - clear a range, or a piece of it
 * @mirror: the mirror, locked for write
 * @clear: what to clear and how far it is
 *
 * Clears each entry of a page in the range and no other (I5). Large leaves at
 * the edges are split. Pages that the device wrote are marked dirty. Neither
 * sleeps nor allocates (I4). After a bounded number of entries it returns, so
 * that the caller can let go of the lock for a moment; a caller in a notifier
 * callback has set the sequence before, so nothing is committed meanwhile (I2).
 *
 * Return: true if there is more to do: call again.
 */
bool fakegpu_mirror_clear(struct fakegpu_mirror *mirror, struct fakegpu_mirror_clear *clear)
{
	/* The end of an exit's range is not aligned: a page that is touched goes. */
	unsigned long last = min(clear->last | ~PAGE_MASK, mirror->last);
	int budget = CLEAR_BUDGET;

	lockdep_assert_held_write(&mirror->lock);

	clear->next &= PAGE_MASK;
	if (clear->next > last)
		return false;

	clear_node(mirror, mirror->root, last, clear, &budget);
	return clear->next <= last;
}

/**
 * fakegpu_mirror_clear_all - clear everything
 * @mirror: the mirror, not locked
 */
void fakegpu_mirror_clear_all(struct fakegpu_mirror *mirror)
{
	struct fakegpu_mirror_clear clear = { .next = 0, .last = mirror->last };
	bool more;

	do {
		write_lock(&mirror->lock);
		more = fakegpu_mirror_clear(mirror, &clear);
		write_unlock(&mirror->lock);
	} while (more);
}
