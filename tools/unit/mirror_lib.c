// SPDX-License-Identifier: GPL-2.0
/*
 * What the mirror's tests have in common.
 */

#include "mirror_lib.h"

unsigned long lib_dirty[LIB_DIRTY_MAX];
unsigned int lib_dirty_count;

void lib_dirty_reset(void)
{
	lib_dirty_count = 0;
}

static void on_dirty(struct fakegpu_mirror *mirror, unsigned long pfn)
{
	lockdep_assert_held_write(&mirror->lock);
	CHECK(lib_dirty_count < LIB_DIRTY_MAX);
	lib_dirty[lib_dirty_count++] = pfn;
}

static const struct fakegpu_mirror_ops ops = {
	.dirty = on_dirty,
};

void lib_init(struct fakegpu_mirror *mirror, unsigned int va_bits)
{
	CHECK(!fakegpu_mirror_init(mirror, va_bits, &ops));
	CHECK_EQ(mirror->last, (1ULL << va_bits) - 1);
	lib_dirty_reset();
	lib_check(mirror);
}

void lib_fini(struct fakegpu_mirror *mirror)
{
	lib_dirty_reset();
	lib_check(mirror);
	lib_clear(mirror, 0, ULONG_MAX);
	lib_check(mirror);
	CHECK(lib_empty(mirror, 0, ULONG_MAX));
	CHECK_EQ(mirror->pages_small, 0);
	CHECK_EQ(mirror->leaves_large, 0);
	CHECK_EQ(mirror->reserve.count, 0);
	CHECK_EQ(mirror->nodes, 1);
	/* The root is left. */
	CHECK_EQ(unit_allocs(), 2);
	lib_dirty_reset();
	fakegpu_mirror_fini(mirror);
	CHECK_EQ(lib_dirty_count, 0);
	CHECK_EQ(unit_allocs(), 0);
}

void lib_map(struct fakegpu_mirror *mirror, unsigned long start, const u64 *entries,
	     unsigned long count)
{
	unsigned long last = start + (count << PAGE_SHIFT) - 1;
	struct fakegpu_mirror_stash stash = {};
	int ret;

	CHECK(!fakegpu_mirror_stash_fill(&stash,
					 fakegpu_mirror_nodes_needed(mirror, start, last)));
	write_lock(&mirror->lock);
	ret = fakegpu_mirror_map(mirror, &stash, start, entries, count);
	write_unlock(&mirror->lock);
	fakegpu_mirror_stash_drain(&stash);
	CHECK_EQ(ret, 0);
}

void lib_map_pages(struct fakegpu_mirror *mirror, unsigned long start, unsigned long pfn,
		   unsigned long count, bool write)
{
	u64 entries[FAKEGPU_LEAF_PAGES];
	unsigned long i, row;

	for (; count; count -= row, start += row << PAGE_SHIFT, pfn += row) {
		row = min_t(unsigned long, count, FAKEGPU_LEAF_PAGES);
		for (i = 0; i < row; i++)
			entries[i] = fakegpu_entry_make(pfn + i, write);
		lib_map(mirror, start, entries, row);
	}
}

void lib_map_large(struct fakegpu_mirror *mirror, unsigned long start, unsigned long pfn,
		   bool write)
{
	struct fakegpu_mirror_stash stash = {};
	int ret;

	CHECK(!fakegpu_mirror_stash_fill(&stash,
					 fakegpu_mirror_nodes_needed(mirror, start,
								     start | LEAF_MASK)));
	write_lock(&mirror->lock);
	ret = fakegpu_mirror_map_large(mirror, &stash, start, fakegpu_entry_make(pfn, write));
	write_unlock(&mirror->lock);
	fakegpu_mirror_stash_drain(&stash);
	CHECK_EQ(ret, 0);
}

u64 lib_clear(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last)
{
	struct fakegpu_mirror_clear clear = { .next = start, .last = last };
	bool more;

	do {
		unsigned long next = clear.next & PAGE_MASK;

		write_lock(&mirror->lock);
		more = fakegpu_mirror_clear(mirror, &clear);
		write_unlock(&mirror->lock);
		CHECK(!more || clear.next > next);
	} while (more);
	return clear.pages;
}

/* Looked up in both ways, which have to agree. */
u64 lib_lookup(struct fakegpu_mirror *mirror, unsigned long addr, unsigned int *shift)
{
	struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;
	unsigned int dummy;
	u64 *slot, entry;

	if (!shift)
		shift = &dummy;
	CHECK(!fakegpu_mirror_near(addr, &place));
	read_lock(&mirror->lock);
	slot = fakegpu_mirror_lookup(mirror, addr, shift);
	CHECK(fakegpu_mirror_lookup_at(mirror, addr, shift, &place) == slot);
	if (slot && *shift == PAGE_SHIFT) {
		CHECK(fakegpu_mirror_near(addr, &place));
		CHECK(fakegpu_mirror_at(addr, &place) == slot);
		CHECK(fakegpu_mirror_near(addr ^ PAGE_SIZE, &place));
		CHECK(!fakegpu_mirror_near(addr ^ FAKEGPU_LEAF_SIZE, &place));
		slot = fakegpu_mirror_lookup(mirror, addr ^ PAGE_SIZE, &dummy);
		CHECK(*fakegpu_mirror_at(addr ^ PAGE_SIZE, &place) == (slot ? *slot : 0));
		slot = fakegpu_mirror_at(addr, &place);
	} else {
		CHECK(!fakegpu_mirror_near(addr, &place));
	}
	/* From the place, too; a large leaf is the same all over, and not beyond. */
	CHECK(fakegpu_mirror_lookup_at(mirror, addr, shift, &place) == slot);
	if (slot && *shift == FAKEGPU_LEAF_SHIFT) {
		CHECK(fakegpu_mirror_lookup_at(mirror, addr ^ PAGE_SIZE, shift, &place) == slot);
		CHECK(*shift == FAKEGPU_LEAF_SHIFT);
		CHECK(fakegpu_mirror_lookup_at(mirror, addr ^ FAKEGPU_LEAF_SIZE, shift, &place) !=
		      slot);
		*shift = FAKEGPU_LEAF_SHIFT;
	}
	entry = slot ? READ_ONCE(*slot) : 0;
	read_unlock(&mirror->lock);
	return entry;
}

bool lib_write(struct fakegpu_mirror *mirror, unsigned long addr)
{
	bool done = false;
	unsigned int shift;
	u64 *slot;

	read_lock(&mirror->lock);
	slot = fakegpu_mirror_lookup(mirror, addr, &shift);
	if (slot && (*slot & FAKEGPU_ENTRY_WRITE)) {
		*slot |= FAKEGPU_ENTRY_DIRTY;
		done = true;
	}
	read_unlock(&mirror->lock);
	return done;
}

bool lib_next(struct fakegpu_mirror *mirror, unsigned long addr, unsigned long last,
	      struct fakegpu_mirror_leaf *leaf)
{
	bool found;

	read_lock(&mirror->lock);
	found = fakegpu_mirror_next(mirror, addr, last, leaf);
	read_unlock(&mirror->lock);
	return found;
}

bool lib_empty(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last)
{
	bool empty;

	read_lock(&mirror->lock);
	empty = fakegpu_mirror_empty(mirror, start, last);
	read_unlock(&mirror->lock);
	return empty;
}

u64 lib_count(struct fakegpu_mirror *mirror, unsigned long start, unsigned long last)
{
	u64 pages;

	read_lock(&mirror->lock);
	pages = fakegpu_mirror_count(mirror, start, last);
	read_unlock(&mirror->lock);
	return pages;
}

bool lib_wants_refill(struct fakegpu_mirror *mirror)
{
	bool wants;

	read_lock(&mirror->lock);
	wants = fakegpu_mirror_wants_refill(mirror);
	read_unlock(&mirror->lock);
	return wants;
}

void expect_page(struct fakegpu_mirror *mirror, unsigned long addr, u64 entry,
		 unsigned int shift)
{
	unsigned int found = 0;

	CHECK_EQ(lib_lookup(mirror, addr, &found), entry);
	CHECK_EQ(found, entry ? shift : 0);
}

void expect_dirty(unsigned int index, unsigned long pfn)
{
	CHECK(lib_dirty_count > index);
	CHECK_EQ(lib_dirty[index], pfn);
}

u64 make(unsigned long pfn, bool write, bool dirty)
{
	return fakegpu_entry_make(pfn, write) | (dirty ? FAKEGPU_ENTRY_DIRTY : 0);
}

void exhaust_reserve(struct fakegpu_mirror *mirror, unsigned int va_bits, unsigned int count)
{
	unsigned int n;

	lib_init(mirror, va_bits);
	for (n = 0; n < count; n++)
		lib_map_large(mirror, BASE + LEAVES(n), PFN + n * 512, true);
	CHECK_EQ(mirror->reserve.count, FAKEGPU_MIRROR_RESERVE_MAX);
	CHECK(!lib_wants_refill(mirror));

	for (n = 0; n < FAKEGPU_MIRROR_RESERVE_MAX; n++) {
		CHECK_EQ(lib_clear(mirror, BASE + LEAVES(n), BASE + LEAVES(n)), 1);
		CHECK_EQ(mirror->leaves_split, n + 1);
		CHECK_EQ(mirror->leaves_dropped, 0);
		CHECK(lib_wants_refill(mirror));
	}
	CHECK_EQ(mirror->reserve.count, 0);
	lib_check(mirror);
}

/*
 * Which nodes there must be follows from the leaves: for each leaf one node on
 * each level above it, and none without a leaf. The leaves come in order, so a
 * new node is one whose slot differs from that of the leaf before.
 */
void lib_check(struct fakegpu_mirror *mirror)
{
	unsigned long slots[FAKEGPU_MAX_LEVELS];
	unsigned long addr = 0;
	unsigned int root = 1, level;
	u64 small = 0, large = 0, nodes = 1;
	struct fakegpu_mirror_leaf leaf;

	while (root < FAKEGPU_MAX_LEVELS - 1 &&
	       mirror->last >> (FAKEGPU_LEAF_SHIFT + root * FAKEGPU_LEVEL_BITS))
		root++;
	memset(slots, 0xff, sizeof(slots));

	while (lib_next(mirror, addr, ULONG_MAX, &leaf)) {
		CHECK(leaf.shift == PAGE_SHIFT || leaf.shift == FAKEGPU_LEAF_SHIFT);
		CHECK(leaf.entry & FAKEGPU_ENTRY_VALID);
		CHECK(!(leaf.entry & (BIT_ULL(FAKEGPU_ENTRY_PFN_SHIFT) - 1) &
			~FAKEGPU_ENTRY_FLAGS));
		CHECK(leaf.start >= addr);
		CHECK(leaf.start <= mirror->last);
		CHECK(!(leaf.start & ((1UL << leaf.shift) - 1)));

		if (leaf.shift == PAGE_SHIFT)
			small++;
		else
			large++;
		for (level = leaf.shift == PAGE_SHIFT ? 0 : 1; level < root; level++) {
			unsigned long slot =
				leaf.start >> (FAKEGPU_LEAF_SHIFT + level * FAKEGPU_LEVEL_BITS);

			if (slots[level] != slot)
				nodes++;
			slots[level] = slot;
		}
		addr = leaf.start + (1UL << leaf.shift);
	}

	CHECK_EQ(mirror->pages_small, small);
	CHECK_EQ(mirror->leaves_large, large);
	CHECK_EQ(mirror->nodes, nodes);
	CHECK_EQ(lib_count(mirror, 0, ULONG_MAX), small + large * FAKEGPU_LEAF_PAGES);
	CHECK_EQ(lib_empty(mirror, 0, ULONG_MAX), !small && !large);
	CHECK(mirror->reserve.count <= min_t(u64, large, FAKEGPU_MIRROR_RESERVE_MAX));
	/* Nothing is allocated but the tree and the reserve: two pieces a node. */
	CHECK_EQ(unit_allocs(), 2 * (mirror->nodes + mirror->reserve.count));
}
