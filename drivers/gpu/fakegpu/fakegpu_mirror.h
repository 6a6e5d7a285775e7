/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_MIRROR_H_
#define _FAKEGPU_MIRROR_H_

#include <linux/bits.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/*
 * A level has as many entries as fit a page, so that with 4 KiB pages level 0
 * maps 4 KiB leaves and level 1 maps 2 MiB leaves, like the CPU's PTE and PMD.
 */
#define FAKEGPU_LEVEL_BITS	(PAGE_SHIFT - 3)
#define FAKEGPU_LEVEL_ENTRIES	((unsigned int)BIT(FAKEGPU_LEVEL_BITS))
#define FAKEGPU_LEAF_SHIFT	(PAGE_SHIFT + FAKEGPU_LEVEL_BITS)
#define FAKEGPU_LEAF_SIZE	BIT(FAKEGPU_LEAF_SHIFT)
#define FAKEGPU_LEAF_PAGES	FAKEGPU_LEVEL_ENTRIES
#define FAKEGPU_MAX_LEVELS	6

/* An entry: 0 is empty; with VALID a leaf; else the address of a node. */
#define FAKEGPU_ENTRY_VALID	BIT_ULL(0)
#define FAKEGPU_ENTRY_WRITE	BIT_ULL(1)
#define FAKEGPU_ENTRY_DIRTY_BIT	2
#define FAKEGPU_ENTRY_DIRTY	BIT_ULL(FAKEGPU_ENTRY_DIRTY_BIT)
/* No atomics by the device, though it may write. */
#define FAKEGPU_ENTRY_NOATOMIC	BIT_ULL(3)
#define FAKEGPU_ENTRY_RIGHTS	(FAKEGPU_ENTRY_WRITE | FAKEGPU_ENTRY_NOATOMIC)
#define FAKEGPU_ENTRY_FLAGS	(FAKEGPU_ENTRY_VALID | FAKEGPU_ENTRY_RIGHTS | FAKEGPU_ENTRY_DIRTY)
#define FAKEGPU_ENTRY_PFN_SHIFT	12

/* Most nodes held back for splits; see fakegpu_mirror.reserve. */
#define FAKEGPU_MIRROR_RESERVE_MAX	32

struct fakegpu_mirror;
struct fakegpu_mirror_node;

/**
 * struct fakegpu_mirror_stash - nodes allocated ahead of use
 * @head: private: singly linked list.
 * @count: nodes in it.
 *
 * Owned by whoever declares it; no locking of its own.
 */
struct fakegpu_mirror_stash {
	struct fakegpu_mirror_node *head;
	unsigned int count;
};

/**
 * struct fakegpu_mirror_ops - what the mirror's owner supplies
 */
struct fakegpu_mirror_ops {
	/**
	 * @dirty: An entry that the device has written through is being
	 * dropped: mark its page dirty. Called under the mirror lock, so it
	 * must not sleep.
	 */
	void (*dirty)(struct fakegpu_mirror *mirror, unsigned long pfn);
};

/**
 * struct fakegpu_mirror - a VM's page table
 *
 * Holds no page references (I8): an entry may be used only under @lock.
 */
struct fakegpu_mirror {
	/**
	 * @lock: the mirror lock; protects all of this structure, the tree,
	 * and the owner's interval index. An access by an engine holds it for
	 * read, so that a clear, which holds it for write, drains engines (I3).
	 * Taken in reclaim context: no allocation, no sleep under it.
	 */
	rwlock_t lock;
	/** @ops: immutable. */
	const struct fakegpu_mirror_ops *ops;
	/** @root: the top node; immutable, may be empty. */
	struct fakegpu_mirror_node *root;
	/** @last: highest address that can be mapped; immutable. */
	unsigned long last;
	/**
	 * @reserve: nodes for splits. As many as there are large leaves, up to
	 * FAKEGPU_MIRROR_RESERVE_MAX: with so few leaves it cannot run dry,
	 * with more a refill has to keep pace (see fakegpu_mirror_refill()).
	 */
	struct fakegpu_mirror_stash reserve;
	/** @pages_small: small leaves present. */
	u64 pages_small;
	/** @leaves_large: large leaves present. */
	u64 leaves_large;
	/** @nodes: nodes in the tree, the root included, the reserve not. */
	u64 nodes;
	/** @leaves_split: large leaves split by a partial clear so far. */
	u64 leaves_split;
	/** @leaves_dropped: large leaves dropped since the reserve was empty. */
	u64 leaves_dropped;
};

/**
 * struct fakegpu_mirror_leaf - one leaf, as seen by a walk
 * @start: its first address.
 * @shift: log2 of its size in bytes.
 * @entry: flags and page frame number.
 */
struct fakegpu_mirror_leaf {
	unsigned long start;
	unsigned int shift;
	u64 entry;
};

/**
 * struct fakegpu_mirror_place - where the last lookup was
 * @slot: private: number of a large leaf's slot with small leaves; ULONG_MAX: none.
 * @row: private: the small leaves there.
 * @large: private: number of a slot with a large leaf; ULONG_MAX: none.
 * @leaf: private: the large leaf there.
 *
 * FAKEGPU_NOWHERE to begin with. Good as long as the mirror lock is held, at least
 * for read, without a break.
 */
struct fakegpu_mirror_place {
	unsigned long slot;
	u64 *row;
	unsigned long large;
	u64 *leaf;
};

#define FAKEGPU_NOWHERE	((struct fakegpu_mirror_place){ .slot = ULONG_MAX, .large = ULONG_MAX })

/**
 * struct fakegpu_mirror_clear - state of a clear that is done in pieces
 * @next: where to go on; set it to the first address.
 * @last: last address (inclusive).
 * @pages: pages cleared so far.
 */
struct fakegpu_mirror_clear {
	unsigned long next;
	unsigned long last;
	u64 pages;
};

static inline unsigned long fakegpu_entry_pfn(u64 entry)
{
	return entry >> FAKEGPU_ENTRY_PFN_SHIFT;
}

static inline u64 fakegpu_entry_make(unsigned long pfn, bool write)
{
	return (u64)pfn << FAKEGPU_ENTRY_PFN_SHIFT | FAKEGPU_ENTRY_VALID |
	       (write ? FAKEGPU_ENTRY_WRITE : 0);
}

/**
 * fakegpu_mirror_near - is an address near the last lookup?
 * @addr: the address
 * @place: from fakegpu_mirror_lookup_at()
 *
 * Called under the mirror lock, without a break since that lookup.
 *
 * Return: true if fakegpu_mirror_at() has its entry.
 */
static inline bool fakegpu_mirror_near(unsigned long addr,
				       const struct fakegpu_mirror_place *place)
{
	return addr >> FAKEGPU_LEAF_SHIFT == place->slot;
}

/**
 * fakegpu_mirror_at - the small leaf's entry for an address near the last lookup
 * @addr: the address
 * @place: as for fakegpu_mirror_near()
 *
 * Return: the entry, which may be empty.
 */
static inline u64 *fakegpu_mirror_at(unsigned long addr, const struct fakegpu_mirror_place *place)
{
	return place->row + ((addr >> PAGE_SHIFT) & (FAKEGPU_LEVEL_ENTRIES - 1));
}

int fakegpu_mirror_init(struct fakegpu_mirror *mirror, unsigned int va_bits,
			const struct fakegpu_mirror_ops *ops);
void fakegpu_mirror_fini(struct fakegpu_mirror *mirror);

u64 fakegpu_mirror_memory(const struct fakegpu_mirror *mirror);
unsigned int fakegpu_mirror_nodes_needed(const struct fakegpu_mirror *mirror,
					 unsigned long start, unsigned long last);
unsigned int fakegpu_mirror_nodes_missing(struct fakegpu_mirror *mirror, unsigned long addr);
int fakegpu_mirror_stash_fill(struct fakegpu_mirror_stash *stash, unsigned int count);
void fakegpu_mirror_stash_drain(struct fakegpu_mirror_stash *stash);

bool fakegpu_mirror_wants_refill(const struct fakegpu_mirror *mirror);
int fakegpu_mirror_refill(struct fakegpu_mirror *mirror);

int fakegpu_mirror_map(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
		       unsigned long start, const u64 *entries, unsigned long count);
int fakegpu_mirror_map_large(struct fakegpu_mirror *mirror, struct fakegpu_mirror_stash *stash,
			     unsigned long start, u64 entry);

bool fakegpu_mirror_clear(struct fakegpu_mirror *mirror, struct fakegpu_mirror_clear *clear);
void fakegpu_mirror_clear_all(struct fakegpu_mirror *mirror);

u64 *fakegpu_mirror_lookup(const struct fakegpu_mirror *mirror, unsigned long addr,
			   unsigned int *shift);
u64 *fakegpu_mirror_lookup_at(const struct fakegpu_mirror *mirror, unsigned long addr,
			      unsigned int *shift, struct fakegpu_mirror_place *place);
bool fakegpu_mirror_next(const struct fakegpu_mirror *mirror, unsigned long addr,
			 unsigned long last, struct fakegpu_mirror_leaf *leaf);
bool fakegpu_mirror_empty(const struct fakegpu_mirror *mirror, unsigned long start,
			  unsigned long last);
u64 fakegpu_mirror_count(const struct fakegpu_mirror *mirror, unsigned long start,
			 unsigned long last);

#endif /* _FAKEGPU_MIRROR_H_ */
