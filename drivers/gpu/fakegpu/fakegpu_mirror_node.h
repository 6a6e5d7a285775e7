/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the mirror's tree is made of; for fakegpu_mirror.c, which changes it, and
 * fakegpu_mirror_walk.c, which looks at it.
 */
#ifndef _FAKEGPU_MIRROR_NODE_H_
#define _FAKEGPU_MIRROR_NODE_H_

#include <linux/compiler.h>

#include "fakegpu_mirror.h"

/*
 * The header is apart from the page of entries so that a full node costs the
 * page and few bytes more, and not the next larger slab object.
 */
struct fakegpu_mirror_node {
	u64 *entries;
	struct fakegpu_mirror_node *next;	/* in a stash */
	unsigned int used;			/* entries that aren't empty */
	unsigned int level;
};

static inline unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + level * FAKEGPU_LEVEL_BITS;
}

/* Size of what one entry of the level covers: its slot. */
static inline unsigned long slot_size(unsigned int level)
{
	return 1UL << level_shift(level);
}

static inline unsigned long slot_last(unsigned long addr, unsigned int level)
{
	return addr | (slot_size(level) - 1);
}

static inline unsigned int slot_index(unsigned long addr, unsigned int level)
{
	return (addr >> level_shift(level)) & (FAKEGPU_LEVEL_ENTRIES - 1);
}

static inline bool entry_is_leaf(u64 entry)
{
	return entry & FAKEGPU_ENTRY_VALID;
}

static inline struct fakegpu_mirror_node *entry_node(u64 entry)
{
	return (struct fakegpu_mirror_node *)(unsigned long)entry;
}

static inline u64 node_entry(struct fakegpu_mirror_node *node)
{
	return (u64)(unsigned long)node;
}

/*
 * Get down towards @level for @addr as far as there are nodes. Returns the slot for the
 * address in the last one: it is a leaf's or empty, unless the node is of @level.
 * Called under the mirror lock.
 */
static inline u64 *node_find(const struct fakegpu_mirror *mirror, unsigned long addr,
			     unsigned int level, struct fakegpu_mirror_node **nodep)
{
	struct fakegpu_mirror_node *node = mirror->root;
	u64 *slot, entry;

	for (;;) {
		slot = &node->entries[slot_index(addr, node->level)];
		/* Engines mark leaves as dirty under the read lock. */
		entry = READ_ONCE(*slot);
		if (node->level == level || !entry || entry_is_leaf(entry))
			break;
		node = entry_node(entry);
	}
	*nodep = node;
	return slot;
}

#endif /* _FAKEGPU_MIRROR_NODE_H_ */
