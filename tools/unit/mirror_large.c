// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror with large leaves, case by case: splits, the reserve, dirty pages.
 */

#include "mirror_lib.h"

static void test_large(void)
{
	struct fakegpu_mirror mirror;
	struct fakegpu_mirror_leaf leaf;

	lib_init(&mirror, 57);
	lib_map_large(&mirror, BASE, PFN, true);
	lib_check(&mirror);
	CHECK_EQ(mirror.leaves_large, 1);
	CHECK_EQ(mirror.reserve.count, 1);

	expect_page(&mirror, BASE - 1, 0, 0);
	expect_page(&mirror, BASE, make(PFN, true, false), FAKEGPU_LEAF_SHIFT);
	expect_page(&mirror, BASE + PAGES(77) + 5, make(PFN, true, false), FAKEGPU_LEAF_SHIFT);
	expect_page(&mirror, BASE + LEAF_MASK, make(PFN, true, false), FAKEGPU_LEAF_SHIFT);
	expect_page(&mirror, BASE + LEAVES(1), 0, 0);

	CHECK(lib_next(&mirror, BASE + PAGES(5), BASE + PAGES(6), &leaf));
	CHECK_EQ(leaf.start, BASE);
	CHECK_EQ(leaf.shift, FAKEGPU_LEAF_SHIFT);
	CHECK_EQ(leaf.entry, make(PFN, true, false));
	CHECK_EQ(lib_count(&mirror, BASE + PAGES(5), BASE + PAGES(6)), 2);
	CHECK_EQ(lib_count(&mirror, BASE + PAGES(5) - 1, BASE + PAGES(6)), 3);
	CHECK_EQ(lib_count(&mirror, BASE - PAGES(9), BASE + PAGES(9) - 1), 9);

	/* Again, with other rights: the same leaf, which stays dirty. */
	CHECK(lib_write(&mirror, BASE + PAGES(300)));
	lib_map_large(&mirror, BASE, PFN, false);
	lib_check(&mirror);
	expect_page(&mirror, BASE, make(PFN, false, true), FAKEGPU_LEAF_SHIFT);
	CHECK_EQ(mirror.leaves_large, 1);
	CHECK_EQ(mirror.reserve.count, 1);
	CHECK(!lib_write(&mirror, BASE));
	CHECK_EQ(lib_dirty_count, 0);

	/* Each page is touched: nothing to split. */
	CHECK_EQ(lib_clear(&mirror, BASE + 5, BASE + LEAF_MASK - 7), FAKEGPU_LEAF_PAGES);
	CHECK_EQ(lib_dirty_count, 1);
	expect_dirty(0, PFN);
	CHECK_EQ(mirror.leaves_split, 0);
	CHECK_EQ(mirror.reserve.count, 0);
	lib_fini(&mirror);
}

/* Clear @count pages from page @first of two large leaves, some of them dirty. */
static void split_case(unsigned long first, unsigned long count, bool dirty_a, bool dirty_b)
{
	unsigned long page, splits = 0, dirty = 0, last = first + count - 1;
	const bool is_dirty[2] = { dirty_a, dirty_b };
	struct fakegpu_mirror mirror;
	unsigned int i;

	lib_init(&mirror, 48);
	lib_map_large(&mirror, BASE, PFN, true);
	lib_map_large(&mirror, BASE + LEAVES(1), PFN + 0x1000, true);
	for (i = 0; i < 2; i++)
		if (is_dirty[i])
			CHECK(lib_write(&mirror, BASE + LEAVES(i) + PAGES(9)));

	CHECK_EQ(lib_clear(&mirror, BASE + PAGES(first), BASE + PAGES(last)), count);
	lib_check(&mirror);

	for (i = 0; i < 2; i++) {
		unsigned long leaf_first = i * FAKEGPU_LEAF_PAGES;
		unsigned long leaf_last = leaf_first + FAKEGPU_LEAF_PAGES - 1;
		bool touched = first <= leaf_last && last >= leaf_first;
		bool split = touched && (first > leaf_first || last < leaf_last);
		unsigned long pfn = PFN + i * 0x1000;

		splits += split;
		if (touched && !split && is_dirty[i])
			expect_dirty(dirty++, pfn);
		for (page = leaf_first; page <= leaf_last; page++) {
			unsigned long offset = page - leaf_first;

			if (page >= first && page <= last) {
				expect_page(&mirror, BASE + PAGES(page), 0, 0);
				if (split && is_dirty[i])
					expect_dirty(dirty++, pfn + offset);
			} else {
				expect_page(&mirror, BASE + PAGES(page),
					    make(split ? pfn + offset : pfn, true, is_dirty[i]),
					    split ? PAGE_SHIFT : FAKEGPU_LEAF_SHIFT);
			}
		}
	}
	CHECK_EQ(lib_dirty_count, dirty);
	CHECK_EQ(mirror.leaves_split, splits);
	CHECK_EQ(mirror.leaves_dropped, 0);
	lib_fini(&mirror);
}

static void test_split(void)
{
	static const struct {
		unsigned long first, count;
	} cases[] = {
		/* one page */
		{ 0, 1 }, { 1, 1 }, { 255, 1 }, { 510, 1 }, { 511, 1 }, { 512, 1 }, { 1023, 1 },
		/* head, tail, middle */
		{ 0, 511 }, { 0, 256 }, { 1, 511 }, { 256, 256 }, { 100, 300 }, { 513, 510 },
		/* both leaves */
		{ 511, 2 }, { 256, 512 }, { 1, 1022 }, { 0, 513 }, { 511, 513 },
		/* whole leaves */
		{ 0, 512 }, { 512, 512 }, { 0, 1024 },
	};
	unsigned int i;

	for (i = 0; i < 4 * ARRAY_SIZE(cases); i++)
		split_case(cases[i / 4].first, cases[i / 4].count, i & 1, i & 2);
}

/* The next of @count leaves to split, by one of four orders. */
static unsigned int pick(struct unit_random *random, unsigned int order, const bool *done,
			 unsigned int count)
{
	unsigned int i = order == 0 ? 0 : order == 1 ? count - 1 : unit_random_below(random, count);

	while (done[i])
		i = order == 1 ? i - 1 : (i + 1) % count;
	return i;
}

/* With as few leaves as the reserve can hold none is dropped, with no refill. */
static void test_reserve_few(void)
{
	static const unsigned int counts[] = { 1, 2, 7, 31, 32 };
	struct unit_random random = { .state = 42 };
	struct fakegpu_mirror mirror;
	unsigned int i, n, order, round;

	for (i = 0; i < 4 * ARRAY_SIZE(counts); i++) {
		unsigned int count = counts[i / 4];
		/* Neighbors, or each below a node of its own. */
		unsigned long step = i & 1 ? LEAVES(1) : LEAVES(1000);

		order = i % 4;
		lib_init(&mirror, 57);
		for (n = 0; n < count; n++)
			lib_map_large(&mirror, BASE + n * step, PFN + n * 512, true);

		for (round = 1; round <= 3; round++) {
			bool done[32] = {};

			CHECK_EQ(mirror.reserve.count, count);
			for (n = 1; n <= count; n++) {
				unsigned int victim = pick(&random, order, done, count);
				unsigned long page = unit_random_below(&random, 512);
				unsigned long addr = BASE + victim * step + PAGES(page);

				done[victim] = true;
				CHECK(!lib_wants_refill(&mirror));
				CHECK_EQ(lib_clear(&mirror, addr, addr), 1);
				CHECK_EQ(mirror.leaves_dropped, 0);
				CHECK_EQ(mirror.leaves_large, count - n);
			}
			CHECK_EQ(mirror.leaves_split, round * count);
			CHECK_EQ(lib_count(&mirror, 0, ULONG_MAX), count * 511);
			lib_check(&mirror);
			/* Back to large leaves, in the next round's order. */
			for (n = 0; n < count; n++)
				lib_map_large(&mirror, BASE + n * step, PFN + n * 512, true);
		}
		lib_fini(&mirror);
	}
}

/* With more of them, a leaf is dropped when the reserve is empty, and counted. */
static void test_reserve_many(void)
{
	struct fakegpu_mirror mirror;

	exhaust_reserve(&mirror, 48, 41);

	/* One clear, two leaves, whole ones between: 33 to 36. */
	CHECK(lib_write(&mirror, BASE + LEAVES(33) + PAGES(3)));
	CHECK(lib_write(&mirror, BASE + LEAVES(36)));
	CHECK_EQ(lib_clear(&mirror, BASE + LEAVES(33) + PAGES(500), BASE + LEAVES(36)),
		 4 * FAKEGPU_LEAF_PAGES);
	CHECK_EQ(mirror.leaves_dropped, 2);
	CHECK_EQ(mirror.leaves_split, 32);
	CHECK_EQ(mirror.leaves_large, 5);
	CHECK_EQ(lib_dirty_count, 2);
	expect_dirty(0, PFN + 33 * 512);
	expect_dirty(1, PFN + 36 * 512);
	CHECK(lib_empty(&mirror, BASE + LEAVES(33), BASE + LEAVES(37) - 1));
	expect_page(&mirror, BASE + LEAVES(33) - 1, make(PFN + 32 * 512, true, false),
		    FAKEGPU_LEAF_SHIFT);
	expect_page(&mirror, BASE + LEAVES(37), make(PFN + 37 * 512, true, false),
		    FAKEGPU_LEAF_SHIFT);
	lib_check(&mirror);

	/* A node that is no longer needed goes where one is missing. */
	CHECK_EQ(lib_clear(&mirror, BASE, BASE + LEAF_MASK), FAKEGPU_LEAF_PAGES - 1);
	CHECK_EQ(mirror.reserve.count, 1);
	CHECK(lib_wants_refill(&mirror));
	lib_check(&mirror);

	/* Refilled, it is like having few leaves. */
	CHECK(!fakegpu_mirror_refill(&mirror));
	CHECK_EQ(mirror.reserve.count, 5);
	CHECK(!lib_wants_refill(&mirror));
	lib_check(&mirror);
	CHECK_EQ(lib_clear(&mirror, BASE + LEAVES(32) + PAGES(1), BASE + LEAVES(37)),
		 FAKEGPU_LEAF_PAGES);
	CHECK_EQ(lib_clear(&mirror, BASE + LEAVES(38) + PAGES(1),
			   BASE + LEAVES(40) + PAGES(510)), 3 * FAKEGPU_LEAF_PAGES - 2);
	CHECK_EQ(mirror.leaves_dropped, 2);
	CHECK_EQ(mirror.leaves_split, 36);
	lib_fini(&mirror);
}

/* A node from higher up in the tree serves a split as well as a new one. */
static void test_reserve_reused(void)
{
	struct fakegpu_mirror mirror;
	unsigned int n, page;

	exhaust_reserve(&mirror, 57, 40);
	lib_map_pages(&mirror, 1UL << 50, PFN, 1, true);
	lib_check(&mirror);
	CHECK_EQ(lib_clear(&mirror, 1UL << 50, 1UL << 50), 1);
	CHECK_EQ(mirror.reserve.count, 4);
	lib_check(&mirror);

	for (n = 32; n < 36; n++) {
		unsigned long addr = BASE + LEAVES(n);

		CHECK_EQ(lib_clear(&mirror, addr + PAGES(n), addr + PAGES(n)), 1);
		lib_check(&mirror);
		for (page = 0; page < FAKEGPU_LEAF_PAGES; page++)
			expect_page(&mirror, addr + PAGES(page),
				    page == n ? 0 : make(PFN + n * 512 + page, true, false),
				    PAGE_SHIFT);
	}
	CHECK_EQ(mirror.leaves_split, 36);
	CHECK_EQ(mirror.leaves_dropped, 0);
	lib_fini(&mirror);
}

static void test_refill(void)
{
	struct fakegpu_mirror mirror;
	unsigned int n;

	lib_init(&mirror, 48);
	CHECK(!fakegpu_mirror_refill(&mirror));
	CHECK_EQ(mirror.reserve.count, 0);
	lib_check(&mirror);

	for (n = 1; n <= 40; n++) {
		lib_map_large(&mirror, BASE + LEAVES(n), PFN + n * 512, false);
		CHECK_EQ(mirror.reserve.count, min(n, 32U));
		CHECK(!fakegpu_mirror_refill(&mirror));
		CHECK_EQ(mirror.reserve.count, min(n, 32U));
		lib_check(&mirror);
	}
	/* The reserve shrinks with the number of leaves. */
	for (n = 1; n <= 40; n++) {
		lib_clear(&mirror, BASE + LEAVES(n), BASE + LEAVES(n) + LEAF_MASK);
		CHECK_EQ(mirror.reserve.count, min(40 - n, 32U));
	}
	lib_fini(&mirror);

	exhaust_reserve(&mirror, 48, 80);
	CHECK(!fakegpu_mirror_refill(&mirror));
	CHECK_EQ(mirror.reserve.count, 32);
	CHECK(!lib_wants_refill(&mirror));
	lib_fini(&mirror);
}

/* A large leaf takes the place of small ones. */
static void test_collapse(void)
{
	struct fakegpu_mirror mirror;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		bool full = i & 1, dirty = i & 2, write = i & 4;

		lib_init(&mirror, 48);
		lib_map_pages(&mirror, BASE - PAGES(2), PFN - 2, 5, true);
		lib_map_pages(&mirror, BASE + PAGES(500), PFN + 500, 20, true);
		if (full)
			lib_map_pages(&mirror, BASE, PFN, 512, true);
		if (dirty)
			CHECK(lib_write(&mirror, BASE + PAGES(511)));
		/* Neighbors that are dirty don't count. */
		CHECK(lib_write(&mirror, BASE - 1));
		CHECK(lib_write(&mirror, BASE + PAGES(512)));
		lib_check(&mirror);

		lib_map_large(&mirror, BASE, PFN, write);
		lib_check(&mirror);
		CHECK_EQ(mirror.pages_small, 2 + 8);
		CHECK_EQ(mirror.leaves_large, 1);
		CHECK_EQ(mirror.reserve.count, 1);
		CHECK_EQ(lib_dirty_count, 0);
		expect_page(&mirror, BASE - 1, make(PFN - 1, true, true), PAGE_SHIFT);
		expect_page(&mirror, BASE + PAGES(4), make(PFN, write, dirty),
			    FAKEGPU_LEAF_SHIFT);
		expect_page(&mirror, BASE + PAGES(512), make(PFN + 512, true, true), PAGE_SHIFT);

		/* Nothing of the small leaves is left in the node when it is used again. */
		lib_clear(&mirror, BASE, BASE + LEAF_MASK);
		CHECK_EQ(lib_dirty_count, dirty);
		if (dirty)
			expect_dirty(0, PFN);
		lib_map_large(&mirror, BASE, PFN, write);
		CHECK_EQ(lib_clear(&mirror, BASE, BASE + PAGES(510)), 511);
		CHECK_EQ(mirror.leaves_split, 1);
		CHECK_EQ(lib_count(&mirror, BASE, BASE + LEAF_MASK), 1);
		expect_page(&mirror, BASE + PAGES(511), make(PFN + 511, write, false), PAGE_SHIFT);
		lib_fini(&mirror);
	}
}

/* Small leaves over a large one: it stays as it is; beside it they are mapped. */
static void test_small_over_large(void)
{
	struct fakegpu_mirror mirror;
	u64 entries[4] = {};

	lib_init(&mirror, 48);
	lib_map_large(&mirror, BASE, PFN, true);
	CHECK(lib_write(&mirror, BASE));
	lib_map_pages(&mirror, BASE + PAGES(10), PFN + 10, 20, true);
	lib_check(&mirror);
	CHECK_EQ(mirror.pages_small, 0);
	expect_page(&mirror, BASE + PAGES(11), make(PFN, true, true), FAKEGPU_LEAF_SHIFT);

	lib_map_pages(&mirror, BASE - PAGES(3), PFN - 3, 600, true);
	lib_check(&mirror);
	CHECK_EQ(mirror.leaves_large, 1);
	CHECK_EQ(mirror.pages_small, 600 - 512);
	expect_page(&mirror, BASE + PAGES(511), make(PFN, true, true), FAKEGPU_LEAF_SHIFT);
	expect_page(&mirror, BASE + PAGES(512), make(PFN + 512, true, false), PAGE_SHIFT);

	entries[2] = fakegpu_entry_make(PFN + 502, true);
	lib_map(&mirror, BASE + PAGES(500), entries, ARRAY_SIZE(entries));
	lib_check(&mirror);
	CHECK_EQ(lib_dirty_count, 0);
	CHECK_EQ(mirror.leaves_split, 0);

	/* Other rights: only small leaves can say so. Not a split by a clear. */
	lib_map_pages(&mirror, BASE + PAGES(7), PFN + 7, 2, false);
	lib_check(&mirror);
	CHECK_EQ(mirror.leaves_large, 0);
	CHECK_EQ(mirror.leaves_split, 0);
	expect_page(&mirror, BASE + PAGES(6), make(PFN + 6, true, true), PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(7), make(PFN + 7, false, true), PAGE_SHIFT);
	expect_page(&mirror, BASE + PAGES(9), make(PFN + 9, true, true), PAGE_SHIFT);
	lib_fini(&mirror);
}

/* Another page frame without a clear: an invalidation was missed (I2). */
static void test_pfn_mismatch(void)
{
	struct fakegpu_mirror mirror;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		bool dirty = i;

		lib_init(&mirror, 48);
		lib_map_pages(&mirror, BASE, PFN, 3, true);
		if (dirty)
			CHECK(lib_write(&mirror, BASE + PAGES(1)));
		EXPECT_WARN(1, lib_map_pages(&mirror, BASE + PAGES(1), PFN + 99, 1, true));
		CHECK_EQ(lib_dirty_count, dirty);
		if (dirty)
			expect_dirty(0, PFN + 1);
		CHECK_EQ(fakegpu_entry_pfn(lib_lookup(&mirror, BASE + PAGES(1), NULL)), PFN + 99);
		lib_check(&mirror);
		lib_clear(&mirror, 0, ULONG_MAX);

		lib_dirty_reset();
		lib_map_large(&mirror, BASE, PFN, true);
		if (dirty)
			CHECK(lib_write(&mirror, BASE));
		EXPECT_WARN(1, lib_map_large(&mirror, BASE, PFN + 512, true));
		CHECK_EQ(lib_dirty_count, dirty);
		if (dirty)
			expect_dirty(0, PFN);
		EXPECT_WARN(1, lib_map_pages(&mirror, BASE + PAGES(7), PFN + 8, 1, true));
		lib_check(&mirror);
		lib_clear(&mirror, 0, ULONG_MAX);

		lib_dirty_reset();
		lib_map_pages(&mirror, BASE + PAGES(10), PFN + 11, 3, true);
		lib_map_pages(&mirror, BASE + PAGES(20), PFN + 20, 3, true);
		if (dirty) {
			CHECK(lib_write(&mirror, BASE + PAGES(12)));
			CHECK(lib_write(&mirror, BASE + PAGES(21)));
		}
		EXPECT_WARN(3, lib_map_large(&mirror, BASE, PFN, true));
		CHECK_EQ(lib_dirty_count, dirty);
		if (dirty)
			expect_dirty(0, PFN + 13);
		lib_fini(&mirror);
	}
}

/* Exactly the pages that were written, each once, in whatever leaf. */
static void test_dirty(void)
{
	struct fakegpu_mirror mirror;

	lib_init(&mirror, 48);
	lib_map_pages(&mirror, BASE, PFN, 300, true);
	lib_map_pages(&mirror, BASE + PAGES(300), PFN + 300, 100, false);
	lib_map_large(&mirror, BASE + LEAVES(1), PFN + 512, true);
	lib_map_large(&mirror, BASE + LEAVES(2), PFN + 1024, true);
	lib_map_large(&mirror, BASE + LEAVES(3), PFN + 1536, false);

	CHECK(lib_write(&mirror, BASE + PAGES(5)));
	CHECK(lib_write(&mirror, BASE + PAGES(5) + 8));
	CHECK(lib_write(&mirror, BASE + PAGES(299)));
	CHECK(!lib_write(&mirror, BASE + PAGES(300)));
	CHECK(lib_write(&mirror, BASE + LEAVES(2) + PAGES(44)));
	CHECK(!lib_write(&mirror, BASE + LEAVES(3)));

	/* Written a second time before the drop, dropped in two goes. */
	lib_map_pages(&mirror, BASE + PAGES(5), PFN + 5, 1, true);
	CHECK(lib_write(&mirror, BASE + PAGES(5)));
	CHECK_EQ(lib_dirty_count, 0);
	lib_clear(&mirror, BASE, BASE + PAGES(5));
	lib_clear(&mirror, BASE, BASE + PAGES(5));
	CHECK_EQ(lib_dirty_count, 1);
	expect_dirty(0, PFN + 5);

	lib_clear(&mirror, 0, ULONG_MAX);
	CHECK_EQ(lib_dirty_count, 3);
	expect_dirty(1, PFN + 299);
	expect_dirty(2, PFN + 1024);
	/* A new entry starts clean. */
	lib_map_pages(&mirror, BASE + PAGES(5), PFN + 5, 1, true);
	expect_page(&mirror, BASE + PAGES(5), make(PFN + 5, true, false), PAGE_SHIFT);
	lib_clear(&mirror, 0, ULONG_MAX);
	CHECK_EQ(lib_dirty_count, 3);

	/* The end of a VM drops what is left. */
	lib_map_pages(&mirror, BASE, PFN, 3, true);
	lib_map_large(&mirror, BASE + LEAVES(1), PFN + 512, true);
	CHECK(lib_write(&mirror, BASE + PAGES(2)));
	CHECK(lib_write(&mirror, BASE + LEAVES(1)));
	lib_dirty_reset();
	fakegpu_mirror_fini(&mirror);
	CHECK_EQ(lib_dirty_count, 2);
	expect_dirty(0, PFN + 2);
	expect_dirty(1, PFN + 512);
}

/* However much of a refill fails, it leaves the tree in order. */
static void test_refill_failure(void)
{
	struct fakegpu_mirror mirror;
	unsigned int n;

	for (n = 1; n <= 2 * FAKEGPU_MIRROR_RESERVE_MAX; n++) {
		exhaust_reserve(&mirror, 48, 52);
		unit_alloc_fail(n);
		if (fakegpu_mirror_refill(&mirror)) {
			CHECK_EQ(mirror.reserve.count, min((n - 1) / 2, 20U));
		} else {
			CHECK_EQ(mirror.reserve.count, 20);
			unit_alloc_fail(0);
		}
		CHECK_EQ(lib_wants_refill(&mirror), mirror.reserve.count < 20);
		lib_check(&mirror);
		CHECK(!fakegpu_mirror_refill(&mirror));
		CHECK_EQ(mirror.reserve.count, 20);
		CHECK_EQ(mirror.leaves_large, 20);
		lib_check(&mirror);
		lib_fini(&mirror);
	}
}

const struct unit_test large_tests[] = {
	{ "large", test_large },
	{ "split", test_split },
	{ "reserve_few", test_reserve_few },
	{ "reserve_many", test_reserve_many },
	{ "reserve_reused", test_reserve_reused },
	{ "refill", test_refill },
	{ "refill_failure", test_refill_failure },
	{ "collapse", test_collapse },
	{ "small_over_large", test_small_over_large },
	{ "pfn_mismatch", test_pfn_mismatch },
	{ "dirty", test_dirty },
	{}
};
