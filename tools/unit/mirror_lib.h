/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the mirror's tests have in common. The functions take and release the
 * mirror lock and own the stash, as the module's service loop does.
 */
#ifndef _MIRROR_LIB_H_
#define _MIRROR_LIB_H_

#include "fakegpu_mirror.h"
#include "unit.h"

#define LEAF_MASK	(FAKEGPU_LEAF_SIZE - 1)
#define PAGES(n)	((unsigned long)(n) << PAGE_SHIFT)
#define LEAVES(n)	((unsigned long)(n) << FAKEGPU_LEAF_SHIFT)
/* Somewhere in the middle of things, aligned to a large leaf. */
#define BASE		0x7f0000000000UL
#define PFN		0x100000UL

/* Pages marked dirty since the last lib_dirty_reset(), in order. */
#define LIB_DIRTY_MAX	(64 * FAKEGPU_LEAF_PAGES)
extern unsigned long lib_dirty[LIB_DIRTY_MAX];
extern unsigned int lib_dirty_count;

void lib_dirty_reset(void);

void lib_init(struct fakegpu_mirror *mirror, unsigned int va_bits);
/* Clears all, checks that everything went back, frees the mirror. */
void lib_fini(struct fakegpu_mirror *mirror);

/* With a stash of exactly what fakegpu_mirror_nodes_needed() says. */
void lib_map(struct fakegpu_mirror *mirror, unsigned long start, const u64 *entries,
	     unsigned long count);
/* @count pages with page frames from @pfn on. */
void lib_map_pages(struct fakegpu_mirror *mirror, unsigned long start, unsigned long pfn,
		   unsigned long count, bool write);
void lib_map_large(struct fakegpu_mirror *mirror, unsigned long start, unsigned long pfn,
		   bool write);

/* Clears all of the range, however many pieces it takes; returns the pages cleared. */
u64 lib_clear(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last);

/* An entry as fakegpu_entry_make() gives it, then written or not. */
u64 make(unsigned long pfn, bool write, bool dirty);

/* The entry that maps @addr, or 0. @shift may be NULL. */
u64 lib_lookup(struct fakegpu_mirror *mirror, unsigned long addr, unsigned int *shift);
/* Marks what maps @addr as written, as an engine does; false if it may not. */
bool lib_write(struct fakegpu_mirror *mirror, unsigned long addr);
bool lib_next(struct fakegpu_mirror *mirror, unsigned long addr, unsigned long last,
	      struct fakegpu_mirror_leaf *leaf);
bool lib_empty(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last);
u64 lib_count(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last);
bool lib_wants_refill(struct fakegpu_mirror *mirror);

/* @addr is mapped by @entry in a leaf of 2^@shift bytes; or not at all if @entry is 0. */
void expect_page(struct fakegpu_mirror *mirror, unsigned long addr, u64 entry,
		 unsigned int shift);
/* The page marked dirty as number @index, counted from 0. */
void expect_dirty(unsigned int index, unsigned long pfn);

/* Inits; maps @count large leaves from BASE on, and splits as many as empty the reserve. */
void exhaust_reserve(struct fakegpu_mirror *mirror, unsigned int va_bits, unsigned int count);

/* Walks the tree and recounts everything that the mirror counts. */
void lib_check(struct fakegpu_mirror *mirror);

#endif /* _MIRROR_LIB_H_ */
