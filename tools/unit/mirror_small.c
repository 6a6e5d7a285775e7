// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror with small leaves, case by case: bounds, clears, maps, failures.
 */

#include <errno.h>

#include "mirror_lib.h"

static void test_va_bits(void)
{
	static const unsigned int good[] = { 21, 22, 30, 31, 39, 40, 47, 48, 49, 57, 58, 63 };
	static const unsigned int bad[] = { 0, 1, 12, 20, 64, 65, 100, ~0U };
	static const struct fakegpu_mirror_ops no_ops;
	struct fakegpu_mirror mirror;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		unsigned long top = (1UL << good[i]) - PAGE_SIZE;

		lib_init(&mirror, good[i]);
		lib_map_pages(&mirror, 0, PFN, 1, true);
		lib_map_pages(&mirror, top, PFN + 1, 1, false);
		lib_check(&mirror);
		expect_page(&mirror, 0, make(PFN, true, false), PAGE_SHIFT);
		expect_page(&mirror, top, make(PFN + 1, false, false), PAGE_SHIFT);
		CHECK_EQ(lib_clear(&mirror, top, ULONG_MAX), 1);
		expect_page(&mirror, 0, make(PFN, true, false), PAGE_SHIFT);
		expect_page(&mirror, top, 0, 0);
		lib_fini(&mirror);
	}

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(fakegpu_mirror_init(&mirror, bad[i], &no_ops), -EINVAL);
		CHECK_EQ(unit_allocs(), 0);
	}
}

static void test_ends(void)
{
	static const unsigned int va_bits[] = { 48, 57 };
	struct fakegpu_mirror mirror;
	struct fakegpu_mirror_leaf leaf;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(va_bits); i++) {
		unsigned long last = (1UL << va_bits[i]) - 1;
		unsigned long top = last & PAGE_MASK;

		lib_init(&mirror, va_bits[i]);
		expect_page(&mirror, 0, 0, 0);
		expect_page(&mirror, last, 0, 0);
		expect_page(&mirror, ULONG_MAX, 0, 0);
		CHECK_EQ(lib_clear(&mirror, 0, ULONG_MAX), 0);

		lib_map_pages(&mirror, 0, PFN, 1, true);
		lib_map_pages(&mirror, top, PFN + 7, 1, true);
		expect_page(&mirror, 0, make(PFN, true, false), PAGE_SHIFT);
		expect_page(&mirror, PAGE_SIZE - 1, make(PFN, true, false), PAGE_SHIFT);
		expect_page(&mirror, PAGE_SIZE, 0, 0);
		expect_page(&mirror, top - 1, 0, 0);
		expect_page(&mirror, top, make(PFN + 7, true, false), PAGE_SHIFT);
		expect_page(&mirror, last, make(PFN + 7, true, false), PAGE_SHIFT);
		expect_page(&mirror, last + 1, 0, 0);
		expect_page(&mirror, ULONG_MAX, 0, 0);

		CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), 2);
		CHECK_EQ(lib_count(&mirror, 0, 0), 1);
		CHECK_EQ(lib_count(&mirror, last, last), 1);
		CHECK_EQ(lib_count(&mirror, PAGE_SIZE, top - 1), 0);
		CHECK(lib_empty(&mirror, PAGE_SIZE, top - 1));
		CHECK(!lib_empty(&mirror, PAGE_SIZE, top));
		CHECK(!lib_empty(&mirror, PAGE_SIZE - 1, PAGE_SIZE - 1));
		CHECK(lib_empty(&mirror, last + 1, ULONG_MAX));
		CHECK(lib_empty(&mirror, 1, 0));
		CHECK(lib_next(&mirror, 1, ULONG_MAX, &leaf));
		CHECK_EQ(leaf.start, 0);
		CHECK(lib_next(&mirror, PAGE_SIZE, ULONG_MAX, &leaf));
		CHECK_EQ(leaf.start, top);
		CHECK(!lib_next(&mirror, last + 1, ULONG_MAX, &leaf));

		/* Beyond the last address there is nothing to clear. */
		CHECK_EQ(lib_clear(&mirror, last + 1, ULONG_MAX), 0);
		CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), 2);
		CHECK_EQ(lib_clear(&mirror, last, last), 1);
		CHECK_EQ(lib_clear(&mirror, 0, 0), 1);
		CHECK_EQ(mirror.nodes, 1);

		lib_map_large(&mirror, 0, PFN, true);
		lib_map_large(&mirror, last & ~LEAF_MASK, PFN + 512, true);
		lib_check(&mirror);
		expect_page(&mirror, last, make(PFN + 512, true, false), FAKEGPU_LEAF_SHIFT);
		CHECK_EQ(lib_clear(&mirror, top, ULONG_MAX - 1), 1);
		CHECK_EQ(lib_clear(&mirror, 0, 0), 1);
		CHECK_EQ(mirror.leaves_split, 2);
		CHECK_EQ(mirror.pages_small, 2 * (FAKEGPU_LEAF_PAGES - 1));
		lib_fini(&mirror);
	}
}

/* On each side of a boundary of each level, one page goes and the other stays. */
static void test_boundaries(void)
{
	static const unsigned int shifts[] = { 13, 20, 21, 22, 30, 31, 39, 48, 56 };
	struct fakegpu_mirror mirror;
	unsigned int i, side;

	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		unsigned long addr = 1UL << shifts[i];

		for (side = 0; side < 2; side++) {
			lib_init(&mirror, 57);
			lib_map_pages(&mirror, addr - PAGE_SIZE, PFN, 2, true);
			lib_check(&mirror);
			CHECK_EQ(lib_count(&mirror, addr - 1, addr), 2);
			CHECK_EQ(lib_count(&mirror, addr, addr), 1);
			if (side)
				CHECK_EQ(lib_clear(&mirror, addr, addr + PAGE_SIZE - 1), 1);
			else
				CHECK_EQ(lib_clear(&mirror, addr - PAGE_SIZE, addr - 1), 1);
			expect_page(&mirror, addr - 1,
				    side ? make(PFN, true, false) : 0, PAGE_SHIFT);
			expect_page(&mirror, addr,
				    side ? 0 : make(PFN + 1, true, false), PAGE_SHIFT);
			lib_fini(&mirror);
		}
	}
}

/* A page that the range touches goes, and no other (I5). */
static void test_clear_unaligned(void)
{
	static const struct {
		unsigned long start, last;
		unsigned int first, count;	/* which of five pages go */
	} cases[] = {
		{ BASE, BASE, 0, 1 },
		{ BASE, BASE + 0xfff, 0, 1 },
		{ BASE + 1, BASE + 0xffe, 0, 1 },
		{ BASE + 0xfff, BASE + 0x1000, 0, 2 },
		{ BASE + 0x1000, BASE + 0x1fff, 1, 1 },
		{ BASE + 0x1000, BASE + 0x2000, 1, 2 },
		{ BASE + 0x1800, BASE + 0x47ff, 1, 4 },
		{ BASE - 1, BASE, 0, 1 },
		{ BASE - 0x1000, BASE - 1, 0, 0 },
		{ 0, BASE + 0xfff, 0, 1 },
		{ BASE + 0x5000, ULONG_MAX, 0, 0 },
		{ BASE + 0x2000, ULONG_MAX, 2, 3 },
		{ BASE + 0x3001, ULONG_MAX - 1, 3, 2 },
		{ BASE + 0x3000, ULONG_MAX - 0xfff, 3, 2 },
		{ BASE + 0x2000, BASE + 0x1fff, 0, 0 },
		{ ULONG_MAX, ULONG_MAX, 0, 0 },
		{ 0, ULONG_MAX, 0, 5 },
	};
	struct fakegpu_mirror mirror;
	unsigned int i, page;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		lib_init(&mirror, 48);
		lib_map_pages(&mirror, BASE, PFN, 5, true);
		CHECK_EQ(lib_clear(&mirror, cases[i].start, cases[i].last), cases[i].count);
		for (page = 0; page < 5; page++) {
			bool gone = page >= cases[i].first &&
				    page < cases[i].first + cases[i].count;

			expect_page(&mirror, BASE + PAGES(page),
				    gone ? 0 : make(PFN + page, true, false), PAGE_SHIFT);
		}
		lib_fini(&mirror);
	}
}

/* Two leaves on each level, apart from each other: a clear between takes the rest. */
static void test_clear_levels(void)
{
	unsigned int shift, count = 0;
	struct fakegpu_mirror mirror;

	lib_init(&mirror, 57);
	for (shift = PAGE_SHIFT; shift < 57; shift++, count++)
		lib_map_pages(&mirror, 1UL << shift, PFN + shift, 1, true);
	lib_map_pages(&mirror, 0, PFN, 1, true);
	lib_map_pages(&mirror, mirror.last & PAGE_MASK, PFN + 1, 1, true);
	lib_check(&mirror);

	CHECK_EQ(lib_clear(&mirror, PAGE_SIZE, mirror.last - PAGE_SIZE), count);
	lib_check(&mirror);
	CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), 2);
	expect_page(&mirror, 0, make(PFN, true, false), PAGE_SHIFT);
	expect_page(&mirror, mirror.last, make(PFN + 1, true, false), PAGE_SHIFT);
	lib_fini(&mirror);
}

/* What test_clear_pieces() maps. */
static const struct run {
	unsigned long start, pages;
	bool large;
} runs[] = {
	{ BASE + PAGES(100), 24 * FAKEGPU_LEAF_PAGES, false },
	{ BASE + (1UL << 35), 5000 * FAKEGPU_LEAF_PAGES, true },
	{ BASE + (1UL << 36), 1, false },
	{ BASE + (1UL << 37) - PAGES(3), 7, false },
};

static u64 runs_count(unsigned long start, unsigned long last)
{
	unsigned int i;
	u64 pages = 0;

	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		unsigned long run_last = runs[i].start + PAGES(runs[i].pages) - 1;

		if (start <= run_last && last >= runs[i].start)
			pages += (min(last, run_last) >> PAGE_SHIFT) -
				 (max(start, runs[i].start) >> PAGE_SHIFT) + 1;
	}
	return pages;
}

/* Each piece goes on where the one before ended, and is bounded. */
static void pieces(unsigned long start, unsigned long last)
{
	struct fakegpu_mirror_clear clear = { .next = start, .last = last };
	u64 total = runs_count(0, ULONG_MAX), inside = runs_count(start, last);
	unsigned int i, count = 0;
	struct fakegpu_mirror mirror;
	bool more;

	lib_init(&mirror, 48);
	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		unsigned long page;

		if (!runs[i].large)
			lib_map_pages(&mirror, runs[i].start, PFN, runs[i].pages, true);
		for (page = 0; runs[i].large && page < runs[i].pages; page += FAKEGPU_LEAF_PAGES)
			lib_map_large(&mirror, runs[i].start + PAGES(page), PFN + page, true);
	}
	lib_check(&mirror);
	CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), total);

	do {
		u64 small = mirror.pages_small, large = mirror.leaves_large;
		u64 split = mirror.leaves_split;
		unsigned long next = clear.next;

		write_lock(&mirror.lock);
		more = fakegpu_mirror_clear(&mirror, &clear);
		write_unlock(&mirror.lock);
		count++;

		/* 4096 entries, and the node that was begun with the last of them. */
		small += (mirror.leaves_split - split) * FAKEGPU_LEAF_PAGES;
		CHECK(small - mirror.pages_small <= 4096 + FAKEGPU_LEVEL_ENTRIES);
		CHECK(large - mirror.leaves_large <= 4096);
		CHECK(clear.next > (next & PAGE_MASK));
		CHECK(!(clear.next & ~PAGE_MASK));
		CHECK_EQ(more, clear.next <= min(last | ~PAGE_MASK, mirror.last));
		CHECK(lib_empty(&mirror, start, min(clear.next - 1, last)));
		CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), total - clear.pages);
		if (more)
			CHECK_EQ(lib_count(&mirror, clear.next, last),
				 runs_count(clear.next, last));
		if (start)
			CHECK_EQ(lib_count(&mirror, 0, start - 1), runs_count(0, start - 1));
	} while (more);

	CHECK_EQ(clear.pages, inside);
	CHECK(lib_empty(&mirror, start, last));
	/* No piece is so small that the clear takes forever. */
	CHECK(count > inside / (4096 + FAKEGPU_LEVEL_ENTRIES) / FAKEGPU_LEAF_PAGES);
	CHECK(count <= inside / 2048 + 4);

	/* A clear that is done stays done. */
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_clear(&mirror, &clear));
	write_unlock(&mirror.lock);
	CHECK_EQ(clear.pages, inside);
	lib_fini(&mirror);
}

static void test_clear_pieces(void)
{
	pieces(0, ULONG_MAX);
	pieces(BASE, BASE + (1UL << 38));
	pieces(runs[0].start + PAGES(700), runs[1].start + LEAVES(4500) + PAGES(12) + 5);
	pieces(runs[1].start + PAGES(1), runs[3].start + PAGES(2) - 1);
	/* Nothing but empty slots. */
	pieces(BASE + (1UL << 38), ULONG_MAX);
}

static void test_map_holes(void)
{
	u64 entries[3 * FAKEGPU_LEAF_PAGES] = {};
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror mirror;
	unsigned long i;

	lib_init(&mirror, 48);
	/* Nothing to map takes no node, so it can do without a stash. */
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_map(&mirror, &stash, BASE + PAGES(100), entries,
				  ARRAY_SIZE(entries)));
	CHECK(!fakegpu_mirror_map(&mirror, &stash, BASE, entries, 0));
	write_unlock(&mirror.lock);
	CHECK_EQ(mirror.nodes, 1);

	/* From index 100 on over four nodes, the second of which stays away. */
	for (i = 0; i < ARRAY_SIZE(entries); i++)
		if (i % 3 && (i < 412 || i >= 924))
			entries[i] = fakegpu_entry_make(PFN + i, i & 1);
	lib_map(&mirror, BASE + PAGES(100), entries, ARRAY_SIZE(entries));
	lib_check(&mirror);
	CHECK_EQ(mirror.nodes, 1 + 2 + 3);
	for (i = 0; i < ARRAY_SIZE(entries); i++)
		expect_page(&mirror, BASE + PAGES(100 + i), entries[i], PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(100) - 1, 0, 0);
	expect_page(&mirror, BASE + PAGES(100 + i), 0, 0);

	/* Holes leave alone what is there; rights change, dirty stays. */
	CHECK(lib_write(&mirror, BASE + PAGES(101)));
	memset(entries, 0, sizeof(entries));
	entries[1] = fakegpu_entry_make(PFN + 1, false);
	entries[2] = fakegpu_entry_make(PFN + 2, true);
	entries[3] = fakegpu_entry_make(PFN + 3, true);
	lib_map(&mirror, BASE + PAGES(100), entries, 512);
	lib_check(&mirror);
	expect_page(&mirror, BASE + PAGES(100), 0, 0);
	expect_page(&mirror, BASE + PAGES(101), make(PFN + 1, false, true), PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(102), make(PFN + 2, true, false), PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(103), make(PFN + 3, true, false), PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(104), make(PFN + 4, false, false), PAGE_SHIFT);
	CHECK_EQ(lib_dirty_count, 0);
	lib_fini(&mirror);
}

/* A range close to a boundary of some level, so that it often crosses it. */
static unsigned long near_boundary(struct unit_random *random, unsigned long pages)
{
	unsigned int shift = 21 + unit_random_below(random, 36);
	unsigned long addr = (unit_random(random) >> 8 | 1) << shift;

	addr -= PAGES(unit_random_below(random, pages + 1));
	return addr & ((1UL << 56) - 1) & PAGE_MASK;
}

/* What nodes_needed() says is enough for any mix, and for small leaves exact. */
static void test_stash_exact(void)
{
	struct unit_random random = { .state = 7 };
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror mirror;
	unsigned int round;

	for (round = 0; round < 400; round++) {
		unsigned long leaves = 1 + unit_random_below(&random, round & 1 ? 3 : 80);
		unsigned long pages = 1 + unit_random_below(&random, leaves * 512);
		unsigned long start = near_boundary(&random, pages);
		unsigned long last = start + PAGES(pages) - 1, addr, stop;
		unsigned long slots = (last >> 21) - (start >> 21) + 1;
		unsigned int large_percent = round % 4 * 33;
		unsigned int needed;

		/* Half of the time the reserve has fallen behind before. */
		if (round & 2)
			exhaust_reserve(&mirror, 57, 40);
		else
			lib_init(&mirror, 57);
		if (start <= BASE + LEAVES(40) && last >= BASE) {
			lib_fini(&mirror);
			continue;
		}
		needed = fakegpu_mirror_nodes_needed(&mirror, start, last);
		CHECK(!fakegpu_mirror_stash_fill(&stash, needed));
		CHECK_EQ(stash.count, needed);

		write_lock(&mirror.lock);
		for (addr = start; addr <= last; addr = stop + 1) {
			u64 entries[FAKEGPU_LEAF_PAGES];
			unsigned long i;

			stop = min(addr | LEAF_MASK, last);
			if (stop - addr == LEAF_MASK &&
			    unit_random_chance(&random, large_percent)) {
				CHECK(!fakegpu_mirror_map_large(&mirror, &stash, addr,
								fakegpu_entry_make(PFN, true)));
				continue;
			}
			for (i = 0; i <= (stop - addr) >> PAGE_SHIFT; i++)
				entries[i] = fakegpu_entry_make(PFN + i, true);
			CHECK(!fakegpu_mirror_map(&mirror, &stash, addr, entries, i));
		}
		write_unlock(&mirror.lock);

		CHECK_EQ(lib_count(&mirror, start, last), pages);
		if (!(round & 2) && !mirror.leaves_large)
			CHECK_EQ(stash.count, min(slots, 32UL));
		fakegpu_mirror_stash_drain(&stash);
		CHECK_EQ(stash.count, 0);
		lib_check(&mirror);
		lib_fini(&mirror);
	}
}

/* A stash that is too small: an error, and a tree that is in order. */
static void test_stash_short(void)
{
	struct fakegpu_mirror_stash stash = {};
	u64 entries[2 * FAKEGPU_LEAF_PAGES];
	struct fakegpu_mirror mirror;
	unsigned int i, needed, given;
	int ret;

	for (i = 0; i < ARRAY_SIZE(entries); i++)
		entries[i] = fakegpu_entry_make(PFN + i, true);

	/* Three nodes of small leaves and two paths to them. */
	for (given = 0, ret = -ENOMEM; ret; given++) {
		unsigned long start = (1UL << 39) - PAGES(700);

		lib_init(&mirror, 57);
		needed = fakegpu_mirror_nodes_needed(&mirror, start,
						     start + PAGES(ARRAY_SIZE(entries)) - 1);
		CHECK(given <= needed);
		CHECK(!fakegpu_mirror_stash_fill(&stash, given));
		write_lock(&mirror.lock);
		ret = fakegpu_mirror_map(&mirror, &stash, start, entries, ARRAY_SIZE(entries));
		write_unlock(&mirror.lock);
		fakegpu_mirror_stash_drain(&stash);
		if (ret)
			CHECK_EQ(ret, -ENOMEM);
		/* What was mapped stays mapped, from the start of the row. */
		for (i = 0; i < mirror.pages_small; i++)
			expect_page(&mirror, start + PAGES(i), entries[i], PAGE_SHIFT);
		lib_check(&mirror);
		lib_map(&mirror, start, entries, ARRAY_SIZE(entries));
		CHECK_EQ(mirror.pages_small, ARRAY_SIZE(entries));
		lib_check(&mirror);
		lib_fini(&mirror);
	}

	for (given = 0, ret = -ENOMEM; ret; given++) {
		lib_init(&mirror, 57);
		needed = fakegpu_mirror_nodes_needed(&mirror, BASE, BASE + LEAF_MASK);
		CHECK(given <= needed);
		CHECK(!fakegpu_mirror_stash_fill(&stash, given));
		write_lock(&mirror.lock);
		ret = fakegpu_mirror_map_large(&mirror, &stash, BASE, entries[0]);
		write_unlock(&mirror.lock);
		fakegpu_mirror_stash_drain(&stash);
		if (ret) {
			CHECK_EQ(ret, -ENOMEM);
			CHECK_EQ(mirror.leaves_large, 0);
		}
		lib_check(&mirror);
		lib_map_large(&mirror, BASE, PFN, true);
		lib_check(&mirror);
		lib_fini(&mirror);
	}
}

static void test_stash_left_over(void)
{
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror mirror;
	u64 entry = fakegpu_entry_make(PFN, true);

	lib_init(&mirror, 48);
	CHECK(!fakegpu_mirror_stash_fill(&stash, 10));
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_map(&mirror, &stash, BASE, &entry, 1));
	write_unlock(&mirror.lock);
	CHECK_EQ(mirror.nodes, 4);
	CHECK_EQ(stash.count, 7);
	/* A stash that has enough is not filled. */
	CHECK(!fakegpu_mirror_stash_fill(&stash, 7));
	CHECK(!fakegpu_mirror_stash_fill(&stash, 0));
	CHECK_EQ(stash.count, 7);
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_map(&mirror, &stash, BASE, &entry, 1));
	write_unlock(&mirror.lock);
	CHECK_EQ(stash.count, 7);
	CHECK_EQ(unit_allocs(), 2 * (4 + 7));
	fakegpu_mirror_stash_drain(&stash);
	fakegpu_mirror_stash_drain(&stash);
	lib_fini(&mirror);
}

static void test_alloc_failure(void)
{
	static const struct fakegpu_mirror_ops no_ops;
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror mirror;
	unsigned int n;

	for (n = 1; n <= 2; n++) {
		unit_alloc_fail(n);
		CHECK_EQ(fakegpu_mirror_init(&mirror, 48, &no_ops), -ENOMEM);
		CHECK_EQ(unit_allocs(), 0);
	}

	/* Two allocations a node. */
	for (n = 1; n <= 10; n++) {
		unit_alloc_fail(n);
		CHECK_EQ(fakegpu_mirror_stash_fill(&stash, 5), -ENOMEM);
		CHECK_EQ(stash.count, (n - 1) / 2);
		CHECK_EQ(unit_allocs(), 2 * stash.count);
		CHECK(!fakegpu_mirror_stash_fill(&stash, 5));
		CHECK_EQ(stash.count, 5);
		fakegpu_mirror_stash_drain(&stash);
		CHECK_EQ(unit_allocs(), 0);
	}
}

/* Whatever is missing of the way down, and no more: what is mapped then finds enough. */
static void test_nodes_missing(void)
{
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror mirror;
	u64 entry = fakegpu_entry_make(PFN, true);
	unsigned int missing;

	lib_init(&mirror, 48);
	missing = fakegpu_mirror_nodes_missing(&mirror, BASE);
	CHECK_EQ(missing, 3);
	CHECK(!fakegpu_mirror_stash_fill(&stash, missing));
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_map(&mirror, &stash, BASE, &entry, 1));
	write_unlock(&mirror.lock);
	CHECK_EQ(stash.count, 0);
	CHECK_EQ(fakegpu_mirror_nodes_missing(&mirror, BASE), 0);
	CHECK_EQ(fakegpu_mirror_nodes_missing(&mirror, BASE + LEAF_MASK), 0);

	/* Beside it a large leaf: its node is there, but the reserve wants one. */
	missing = fakegpu_mirror_nodes_missing(&mirror, BASE + LEAF_MASK + 1);
	CHECK_EQ(missing, 1);
	CHECK(!fakegpu_mirror_stash_fill(&stash, missing));
	write_lock(&mirror.lock);
	CHECK(!fakegpu_mirror_map_large(&mirror, &stash, BASE + LEAF_MASK + 1, entry));
	write_unlock(&mirror.lock);
	CHECK_EQ(stash.count, 0);
	/* Should it have to be split. */
	CHECK_EQ(fakegpu_mirror_nodes_missing(&mirror, BASE + LEAF_MASK + 1), 1);

	/* Where nothing is on the way but the root. */
	lib_clear(&mirror, 0, ULONG_MAX);
	CHECK_EQ(fakegpu_mirror_nodes_missing(&mirror, BASE), 3);
	lib_fini(&mirror);
}

/* Each function says which lock it needs; and the shim notices if it allocates. */
static void test_locks(void)
{
	struct fakegpu_mirror_clear clear = { .next = 0, .last = ULONG_MAX };
	struct fakegpu_mirror_stash stash = {};
	struct fakegpu_mirror_place place = FAKEGPU_NOWHERE;
	struct fakegpu_mirror_leaf leaf;
	struct fakegpu_mirror mirror;
	unsigned int shift;
	u64 entry = fakegpu_entry_make(PFN, true);

	lib_init(&mirror, 48);
	EXPECT_WARN(1, fakegpu_mirror_lookup(&mirror, 0, &shift));
	EXPECT_WARN(1, fakegpu_mirror_lookup_at(&mirror, 0, &shift, &place));
	EXPECT_WARN(1, fakegpu_mirror_next(&mirror, 0, 1, &leaf));
	EXPECT_WARN(1, fakegpu_mirror_empty(&mirror, 0, 1));
	EXPECT_WARN(1, fakegpu_mirror_count(&mirror, 0, 1));
	EXPECT_WARN(1, fakegpu_mirror_wants_refill(&mirror));
	EXPECT_WARN(1, fakegpu_mirror_clear(&mirror, &clear));

	read_lock(&mirror.lock);
	clear.next = 0;
	EXPECT_WARN(1, fakegpu_mirror_clear(&mirror, &clear));
	EXPECT_WARN(1, fakegpu_mirror_map(&mirror, &stash, 0, &entry, 0));
	EXPECT_WARN(1, fakegpu_mirror_map_large(&mirror, &stash, 0, entry));
	read_unlock(&mirror.lock);

	write_lock(&mirror.lock);
	EXPECT_WARN(2, fakegpu_mirror_stash_fill(&stash, 1));
	write_unlock(&mirror.lock);
	fakegpu_mirror_stash_drain(&stash);
	lib_fini(&mirror);
}

const struct unit_test small_tests[] = {
	{ "va_bits", test_va_bits },
	{ "ends", test_ends },
	{ "boundaries", test_boundaries },
	{ "clear_unaligned", test_clear_unaligned },
	{ "clear_levels", test_clear_levels },
	{ "clear_pieces", test_clear_pieces },
	{ "map_holes", test_map_holes },
	{ "stash_exact", test_stash_exact },
	{ "stash_short", test_stash_short },
	{ "stash_left_over", test_stash_left_over },
	{ "alloc_failure", test_alloc_failure },
	{ "nodes_missing", test_nodes_missing },
	{ "locks", test_locks },
	{}
};
