// SPDX-License-Identifier: GPL-2.0
/*
 * Looking into the mirror: lookups of an engine's accesses, and walks over what a
 * range maps. Nothing here changes the tree.
 */
#include <linux/compiler.h>
#include <linux/minmax.h>

#include "fakegpu_mirror_node.h"

/**
 * fakegpu_mirror_lookup - find the leaf that maps an address
 * @mirror: the mirror, locked
 * @addr: the address
 * @shift: receives log2 of the leaf's size in bytes, if there is one
 *
 * Return: the entry, to be read with READ_ONCE() under a read lock as the
 * dirty bit is set by several, or NULL.
 */
u64 *fakegpu_mirror_lookup(const struct fakegpu_mirror *mirror, unsigned long addr,
			   unsigned int *shift)
{
	struct fakegpu_mirror_node *node;
	u64 *slot;

	lockdep_assert_held(&mirror->lock);

	if (addr > mirror->last)
		return NULL;
	slot = node_find(mirror, addr, 0, &node);
	if (!READ_ONCE(*slot))
		return NULL;
	*shift = level_shift(node->level);
	return slot;
}

/**
 * fakegpu_mirror_lookup_at - find the leaf that maps an address, and remember where
 * @mirror: the mirror, locked
 * @addr: the address
 * @shift: receives log2 of the leaf's size in bytes, if there is one
 * @place: where the last lookup was; receives where this one was
 *
 * A large leaf is found again at once; for small ones see fakegpu_mirror_near().
 *
 * Return: as fakegpu_mirror_lookup().
 */
u64 *fakegpu_mirror_lookup_at(const struct fakegpu_mirror *mirror, unsigned long addr,
			      unsigned int *shift, struct fakegpu_mirror_place *place)
{
	u64 *slot;

	if (addr >> FAKEGPU_LEAF_SHIFT == place->large) {
		lockdep_assert_held(&mirror->lock);
		*shift = FAKEGPU_LEAF_SHIFT;
		return place->leaf;
	}
	slot = fakegpu_mirror_lookup(mirror, addr, shift);
	*place = FAKEGPU_NOWHERE;
	if (slot && *shift == PAGE_SHIFT) {
		place->slot = addr >> FAKEGPU_LEAF_SHIFT;
		place->row = slot - slot_index(addr, 0);
	} else if (slot && *shift == FAKEGPU_LEAF_SHIFT) {
		place->large = addr >> FAKEGPU_LEAF_SHIFT;
		place->leaf = slot;
	}
	return slot;
}

static bool next_in_node(const struct fakegpu_mirror_node *node, unsigned long addr,
			 unsigned long last, struct fakegpu_mirror_leaf *leaf)
{
	for (;;) {
		unsigned long stop = min(slot_last(addr, node->level), last);
		u64 entry = READ_ONCE(node->entries[slot_index(addr, node->level)]);

		if (entry_is_leaf(entry)) {
			leaf->start = addr & ~(slot_size(node->level) - 1);
			leaf->shift = level_shift(node->level);
			leaf->entry = entry;
			return true;
		}
		if (entry && next_in_node(entry_node(entry), addr, stop, leaf))
			return true;
		if (stop == last)
			return false;
		addr = stop + 1;
	}
}

/**
 * fakegpu_mirror_next - find the first leaf in a range
 * @mirror: the mirror, locked
 * @addr: first address
 * @last: last address (inclusive)
 * @leaf: receives the leaf; a large one may start before @addr
 *
 * Return: true if there is one.
 */
bool fakegpu_mirror_next(const struct fakegpu_mirror *mirror, unsigned long addr,
			 unsigned long last, struct fakegpu_mirror_leaf *leaf)
{
	lockdep_assert_held(&mirror->lock);

	last = min(last, mirror->last);
	if (addr > last)
		return false;
	return next_in_node(mirror->root, addr, last, leaf);
}

static bool empty_in_node(const struct fakegpu_mirror_node *node, unsigned long addr,
			  unsigned long last)
{
	for (;;) {
		unsigned long slot_start = addr & ~(slot_size(node->level) - 1);
		unsigned long stop = min(slot_last(addr, node->level), last);
		u64 entry = READ_ONCE(node->entries[slot_index(addr, node->level)]);

		/* No node is empty: one with all of its slot in the range has an entry there. */
		if (entry_is_leaf(entry) ||
		    (entry && addr == slot_start && stop == slot_last(addr, node->level)))
			return false;
		if (entry && !empty_in_node(entry_node(entry), addr, stop))
			return false;
		if (stop == last)
			return true;
		addr = stop + 1;
	}
}

/**
 * fakegpu_mirror_empty - is there no entry in a range?
 * @mirror: the mirror, locked
 * @start: first address
 * @last: last address (inclusive)
 *
 * Of a range that is a slot of some level it is found out on the way down.
 *
 * Return: true if there is none.
 */
bool fakegpu_mirror_empty(const struct fakegpu_mirror *mirror, unsigned long start,
			  unsigned long last)
{
	lockdep_assert_held(&mirror->lock);

	last = min(last, mirror->last);
	return start > last || empty_in_node(mirror->root, start, last);
}

/**
 * fakegpu_mirror_count - count the pages that a range maps
 * @mirror: the mirror, locked
 * @start: first address
 * @last: last address (inclusive)
 *
 * Return: pages; those of a large leaf that lie in the range.
 */
u64 fakegpu_mirror_count(const struct fakegpu_mirror *mirror, unsigned long start,
			 unsigned long last)
{
	struct fakegpu_mirror_leaf leaf;
	u64 pages = 0;

	while (fakegpu_mirror_next(mirror, start, last, &leaf)) {
		unsigned long stop = min(leaf.start + ((1UL << leaf.shift) - 1), last);

		pages += (stop >> PAGE_SHIFT) - (max(leaf.start, start) >> PAGE_SHIFT) + 1;
		if (stop >= last)
			break;
		start = stop + 1;
	}
	return pages;
}
