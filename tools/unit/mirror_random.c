// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror against a plain model, with operations drawn at random.
 *
 * The model is a flat array of pages: a few regions of 8 MiB, spread over the
 * address space and over the boundaries of its levels. Nothing is ever mapped
 * outside of the regions, so the array says all there is to know.
 */

#include <stdio.h>
#include <stdlib.h>

#include "mirror_lib.h"

#define REGION_SLOTS	4
#define REGION_PAGES	(REGION_SLOTS * FAKEGPU_LEAF_PAGES)
#define REGION_SIZE	((unsigned long)REGION_PAGES << PAGE_SHIFT)
#define REGIONS_MAX	12
#define COMPARE_EVERY	1000
#define DEFAULT_OPS	100000
#define PHASE_OPS	512

/* The reserve runs dry only if many leaves are made first and cut after that. */
enum phase {
	PHASE_MIXED,
	PHASE_GROW,
	PHASE_CUT,
	PHASES
};

/* Each large leaf's worth of pages may be mapped by one large leaf or by small ones. */
struct page {
	u64 entry;	/* of a small leaf, also where a large one maps the page */
	bool large;
};

static struct {
	struct fakegpu_mirror mirror;
	struct unit_random random;
	unsigned int regions, pages;
	unsigned long start[REGIONS_MAX];
	struct page page[REGIONS_MAX * REGION_PAGES];
	/* First page frame of each slot; another one each time it was empty. */
	unsigned long pfn[REGIONS_MAX * REGION_SLOTS];
	unsigned long next_pfn;
	/* What a clear shall mark dirty. */
	unsigned long dirty[LIB_DIRTY_MAX];
	unsigned int dirty_count;
	/* May the reserve run dry? */
	bool drops;
	enum phase phase;
	u64 pieces, clears;
} model;

static unsigned long below(unsigned long bound)
{
	return unit_random_below(&model.random, bound);
}

static bool chance(unsigned int percent)
{
	return unit_random_chance(&model.random, percent);
}

static unsigned long page_addr(unsigned int index)
{
	return model.start[index / REGION_PAGES] +
	       ((unsigned long)(index % REGION_PAGES) << PAGE_SHIFT);
}

/* The first page of the model that ends behind @addr; model.pages if none. */
static unsigned int page_at_or_after(unsigned long addr)
{
	unsigned int region;

	for (region = 0; region < model.regions; region++) {
		if (addr < model.start[region])
			return region * REGION_PAGES;
		if (addr - model.start[region] < REGION_SIZE)
			return region * REGION_PAGES +
			       ((addr - model.start[region]) >> PAGE_SHIFT);
	}
	return model.pages;
}

/* One behind the last page of the model that starts at or before @last. */
static unsigned int page_end(unsigned long last)
{
	unsigned int index = page_at_or_after(last);

	return index < model.pages && page_addr(index) <= last ? index + 1 : index;
}

static unsigned int slot_first(unsigned int index)
{
	return index & ~(FAKEGPU_LEAF_PAGES - 1);
}

/* The entry of the leaf that maps a page. */
static u64 leaf_entry(unsigned int index)
{
	return model.page[model.page[index].large ? slot_first(index) : index].entry;
}

static unsigned long random_addr(void)
{
	unsigned long addr = page_addr(below(model.pages));

	switch (below(8)) {
	case 0:
		return unit_random(&model.random) >> below(64);
	case 1:
		return model.start[below(model.regions)] - 1 - below(REGION_SIZE);
	case 2:
		return model.start[below(model.regions)] + REGION_SIZE + below(REGION_SIZE);
	case 3:
		return addr & ~LEAF_MASK;
	case 4:
		return addr | LEAF_MASK;
	default:
		return addr + below(PAGE_SIZE);
	}
}

/* Mostly short ranges, now and then several regions or all that follows. */
static void random_range(unsigned long *start, unsigned long *last)
{
	unsigned long end;

	*start = random_addr();
	switch (model.phase == PHASE_CUT ? 31 : below(32)) {
	case 0:
		*last = ULONG_MAX - below(2);
		break;
	case 1:
	case 2:
		end = random_addr();
		*last = max(*start, end);
		*start = min(*start, end);
		break;
	case 3 ... 7:
		*start &= ~LEAF_MASK;
		*last = *start | LEAF_MASK;
		break;
	case 8 ... 15:
		*last = *start + below(REGION_SIZE / 2);
		break;
	default:
		*last = *start + below(16 * PAGE_SIZE);
		break;
	}
	if (*last < *start)
		*last = ULONG_MAX;
}

/* A slot that maps nothing gets new memory. */
static void renew_pfn(unsigned int index)
{
	unsigned int first = slot_first(index), i;

	for (i = 0; i < FAKEGPU_LEAF_PAGES; i++)
		if (model.page[first + i].entry)
			return;
	model.pfn[index / FAKEGPU_LEAF_PAGES] = model.next_pfn;
	model.next_pfn += FAKEGPU_LEAF_PAGES;
}

/* A large leaf is split by a small one that says something else of its page. */
static void model_split(unsigned int index, u64 entry)
{
	unsigned int first = slot_first(index), i;
	u64 dirty = leaf_entry(index) & FAKEGPU_ENTRY_DIRTY;

	if (!((leaf_entry(index) ^ entry) & FAKEGPU_ENTRY_WRITE))
		return;
	for (i = first; i < first + FAKEGPU_LEAF_PAGES; i++) {
		model.page[i].large = false;
		model.page[i].entry |= dirty;
	}
}

static void op_map(void)
{
	unsigned int first = below(model.pages), i;
	unsigned int limit = chance(10) ? 1200 : chance(50) ? 64 : 3;
	unsigned int count = 1 + below(limit);
	unsigned int holes = chance(50) ? 0 : below(100);
	static u64 entries[1200];
	bool write;

	count = min(count, REGION_PAGES - first % REGION_PAGES);
	for (i = 0; i < count; i++) {
		struct page *page = &model.page[first + i];
		unsigned int index = first + i;

		if (!i || !(index % FAKEGPU_LEAF_PAGES))
			renew_pfn(index);
		entries[i] = 0;
		if (chance(holes))
			continue;
		write = chance(70);
		/* Where large leaves shall be many, don't split them on the way. */
		if (page->large && model.drops)
			write = leaf_entry(index) & FAKEGPU_ENTRY_WRITE;
		entries[i] = fakegpu_entry_make(model.pfn[index / FAKEGPU_LEAF_PAGES] +
						index % FAKEGPU_LEAF_PAGES, write);
		if (page->large)
			model_split(index, entries[i]);
		/* In a large leaf it says the same: it may be split later, and the rest stays. */
		page->entry = entries[i] | (page->entry & FAKEGPU_ENTRY_DIRTY);
	}
	lib_map(&model.mirror, page_addr(first), entries, count);
}

static void op_map_large(void)
{
	unsigned int first = slot_first(below(model.pages)), i;
	bool write = chance(70);
	unsigned long pfn;
	u64 dirty = 0;

	renew_pfn(first);
	pfn = model.pfn[first / FAKEGPU_LEAF_PAGES];
	for (i = 0; i < FAKEGPU_LEAF_PAGES; i++)
		dirty |= model.page[first + i].entry & FAKEGPU_ENTRY_DIRTY;
	for (i = 0; i < FAKEGPU_LEAF_PAGES; i++) {
		model.page[first + i].entry = fakegpu_entry_make(pfn + i, write) | dirty;
		model.page[first + i].large = true;
	}
	lib_map_large(&model.mirror, page_addr(first), pfn, write);
}

static void model_drop(unsigned int index, bool mark)
{
	struct page *page = &model.page[index];

	if (mark && (page->entry & FAKEGPU_ENTRY_DIRTY))
		model.dirty[model.dirty_count++] = fakegpu_entry_pfn(page->entry);
	page->entry = 0;
	page->large = false;
}

/*
 * Clear the pages from @first to before @end. A large leaf of which pages are
 * left is split; if the mirror has dropped it instead, all its pages go.
 */
static u64 model_clear(unsigned int first, unsigned int end, u64 *dropped)
{
	unsigned int index = first, i;
	u64 pages = 0;

	*dropped = 0;
	while (index < end) {
		unsigned int slot = slot_first(index), slot_end = slot + FAKEGPU_LEAF_PAGES;
		bool whole = index == slot && end >= slot_end;
		unsigned int stop = min(end, slot_end);

		if (!model.page[index].large) {
			for (; index < stop; index++) {
				pages += !!model.page[index].entry;
				model_drop(index, true);
			}
			continue;
		}
		if (!whole && model.drops) {
			unsigned int other = index > slot ? slot : slot_end - 1;

			if (!lib_lookup(&model.mirror, page_addr(other), NULL)) {
				whole = true;
				++*dropped;
			}
		}
		for (i = slot; i < slot_end; i++) {
			if (whole || (i >= index && i < stop)) {
				model_drop(i, !whole || i == slot);
				pages++;
			} else {
				model.page[i].large = false;
			}
		}
		index = stop;
	}
	return pages;
}

static void clear_piece(struct fakegpu_mirror_clear *clear, bool *more)
{
	u64 pages = clear->pages, dropped = model.mirror.leaves_dropped, expected;
	unsigned int reserve = model.mirror.reserve.count, i;
	unsigned int first = page_at_or_after(clear->next);
	unsigned long next = clear->next;

	model.dirty_count = 0;
	lib_dirty_reset();
	write_lock(&model.mirror.lock);
	*more = fakegpu_mirror_clear(&model.mirror, clear);
	write_unlock(&model.mirror.lock);
	model.pieces++;

	CHECK(!*more || clear->next > (next & PAGE_MASK));
	pages = clear->pages - pages;
	dropped = model.mirror.leaves_dropped - dropped;
	CHECK_EQ(pages, model_clear(first, page_end(*more ? clear->next - 1 : clear->last),
				    &expected));
	CHECK_EQ(dropped, expected);
	/* Only two leaves can be cut, and the first finds the reserve as it was. */
	CHECK(dropped <= (reserve ? 1 : 2));
	CHECK(model.drops || !dropped);

	CHECK_EQ(lib_dirty_count, model.dirty_count);
	for (i = 0; i < lib_dirty_count; i++)
		CHECK_EQ(lib_dirty[i], model.dirty[i]);
}

static void op_look(void);

static void op_clear(void)
{
	struct fakegpu_mirror_clear clear = {};
	bool more;

	random_range(&clear.next, &clear.last);
	model.clears++;
	do {
		clear_piece(&clear, &more);
		/* What others see between the pieces. */
		if (more)
			op_look();
	} while (more);
}

static void op_write(void)
{
	unsigned int index = below(model.pages), i;
	bool allowed = leaf_entry(index) & FAKEGPU_ENTRY_WRITE;
	unsigned int first = index, count = 1;

	CHECK_EQ(lib_write(&model.mirror, page_addr(index) + below(PAGE_SIZE)), allowed);
	if (!allowed)
		return;
	if (model.page[index].large) {
		first = slot_first(index);
		count = FAKEGPU_LEAF_PAGES;
	}
	for (i = 0; i < count; i++)
		model.page[first + i].entry |= FAKEGPU_ENTRY_DIRTY;
}

static void check_lookup(unsigned long addr)
{
	unsigned int index = page_at_or_after(addr), shift = 0;
	u64 entry = lib_lookup(&model.mirror, addr, &shift);

	if (index == model.pages || page_addr(index) > addr || !model.page[index].entry) {
		CHECK_EQ(entry, 0);
		return;
	}
	CHECK_EQ(entry, leaf_entry(index));
	CHECK_EQ(shift, model.page[index].large ? FAKEGPU_LEAF_SHIFT : PAGE_SHIFT);
}

static void op_look(void)
{
	unsigned int i, index, end;
	struct fakegpu_mirror_leaf leaf;
	unsigned long start, last;
	u64 pages = 0;
	bool found;

	for (i = 0; i < 4; i++)
		check_lookup(random_addr());

	random_range(&start, &last);
	index = page_at_or_after(start);
	end = page_end(last);
	while (index < end && !model.page[index].entry)
		index++;

	CHECK_EQ(lib_empty(&model.mirror, start, last), index >= end);
	found = lib_next(&model.mirror, start, last, &leaf);
	CHECK_EQ(found, index < end);
	if (found) {
		bool large = model.page[index].large;

		CHECK_EQ(leaf.start, page_addr(large ? slot_first(index) : index));
		CHECK_EQ(leaf.shift, large ? FAKEGPU_LEAF_SHIFT : PAGE_SHIFT);
		CHECK_EQ(leaf.entry, leaf_entry(index));
	}
	for (; index < end; index++)
		pages += !!model.page[index].entry;
	CHECK_EQ(lib_count(&model.mirror, start, last), pages);
}

static void op_refill(void)
{
	unsigned long nth = chance(50) ? 1 + below(80) : 0;

	unit_alloc_fail(nth);
	if (!fakegpu_mirror_refill(&model.mirror))
		CHECK(!lib_wants_refill(&model.mirror));
	else
		CHECK(nth);
	unit_alloc_fail(0);
}

static void compare(void)
{
	unsigned int index;

	lib_check(&model.mirror);
	for (index = 0; index < model.pages; index++)
		check_lookup(page_addr(index));
}

static int compare_starts(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* Both ends, and across the boundaries of the levels; the rest is spread. */
static void place_regions(unsigned int va_bits, unsigned int regions)
{
	static const unsigned int shifts[] = { 30, 39, 46 };
	unsigned int i;

	model.regions = regions;
	model.pages = regions * REGION_PAGES;
	model.start[0] = 0;
	model.start[1] = (1UL << va_bits) - REGION_SIZE;
	for (i = 2; i < regions; i++)
		model.start[i] = i - 2 < ARRAY_SIZE(shifts) ?
				 (1UL << shifts[i - 2]) - REGION_SIZE / 2 :
				 (1UL << (va_bits - 1)) + i * 3 * REGION_SIZE;
	qsort(model.start, regions, sizeof(model.start[0]), compare_starts);
}

static void run(unsigned int va_bits, unsigned int regions, u64 seed)
{
	unsigned long op, ops = unit_ops ? unit_ops : DEFAULT_OPS;

	memset(&model, 0, sizeof(model));
	model.random.state = unit_seed ? unit_seed : seed;
	model.next_pfn = 1UL << 20;
	model.drops = regions * REGION_SLOTS > FAKEGPU_MIRROR_RESERVE_MAX;
	place_regions(va_bits, regions);
	unit_note("seed %llu, %lu operations", unit_seed ? unit_seed : seed, ops);

	lib_init(&model.mirror, va_bits);
	for (op = 1; op <= ops; op++) {
		unsigned long what = below(100), large = 45;

		snprintf(unit_context, sizeof(unit_context), "operation %lu", op);
		if (model.drops)
			model.phase = op / PHASE_OPS % PHASES;
		if (model.phase != PHASE_MIXED)
			large = model.phase == PHASE_GROW ? 60 : 30;
		if (what < 30)
			op_map();
		else if (what < large)
			op_map_large();
		else if (what < 60)
			op_clear();
		else if (what < 75)
			op_write();
		else if (what < 99 || chance(70))
			op_look();
		else if (model.drops)
			op_refill();
		if (op % COMPARE_EVERY == 0) {
			compare();
			unit_progress();
		}
	}
	compare();
	unit_note("%llu clears in %llu pieces, %llu leaves split, %llu dropped", model.clears,
		  model.pieces, model.mirror.leaves_split, model.mirror.leaves_dropped);
	/* A run that never got there has tested nothing. */
	if (ops >= DEFAULT_OPS) {
		CHECK(model.mirror.leaves_split > ops / 1000);
		CHECK(model.pieces > model.clears);
		CHECK(!model.drops || model.mirror.leaves_dropped);
	}
	lib_fini(&model.mirror);
}

static void test_random_48(void)
{
	run(48, 6, 1);
}

static void test_random_57(void)
{
	run(57, 8, 2);
}

/* More large leaves than the reserve has nodes for, and few refills. */
static void test_random_drops(void)
{
	run(57, 12, 3);
}

const struct unit_test random_tests[] = {
	{ "random_48", test_random_48 },
	{ "random_57", test_random_57 },
	{ "random_drops", test_random_drops },
	{}
};
