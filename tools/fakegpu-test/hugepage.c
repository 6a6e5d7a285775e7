// SPDX-License-Identifier: GPL-2.0
/*
 * 2 MiB leaves, and what is left of them when a part of the memory goes.
 *
 * When the kernel splits a mapping at an address inside an aligned 2 MiB block
 * that the mapping covers, it sends a CLEAR of the whole block, huge page or not
 * (vma_adjust_trans_huge()), before the UNMAP of the part. The same comes when
 * it splits a huge PMD. These tests read in debugfs' "events" what came, and
 * expect that exactly what the events named was cleared, and that afterwards
 * all that is still mapped is in the mirror again, without a device fault.
 */
#include <stdio.h>

#include "fakegpu_test_proc.h"

#define HUGE_PAGES	(GPU_SZ_2M / GPU_PAGE)
#define MAX_BLOCKS	4

GPU_FIXTURE(hugepage);

/* What came for a region of 2 MiB blocks since a point in time. */
struct clears {
	/* One byte a page: an event named it. */
	uint8_t hit[MAX_BLOCKS * HUGE_PAGES];
	/* Events that named a part of a block that was still one leaf. */
	unsigned int splits;
	unsigned int events;
};

/* Follow the events on a region whose blocks are all large leaves. */
static struct clears clears_since(struct gpu *gpu, int64_t since, const uint8_t *p,
				  unsigned int blocks)
{
	unsigned long long time, start, end, pages, base = fakegpu_va(p);
	FILE *f = gpu_vm_file(gpu, gpu->vm, "events");
	char line[512], event[32], interval[64];
	bool whole[MAX_BLOCKS] = { true, true, true, true };
	struct clears c = { 0 };

	while (fgets(line, sizeof(line), f)) {
		unsigned int block;

		if (line[0] == '#')
			continue;
		if (sscanf(line, "%llu %31s %llx-%llx %63s %llu", &time, event, &start, &end,
			   interval, &pages) != 6)
			gpu_die("events: cannot read the line: %s", line);
		if (time < (unsigned long long)since || end <= base ||
		    start >= base + blocks * GPU_SZ_2M)
			continue;
		c.events++;
		for (block = 0; block < blocks; block++) {
			unsigned long long from = base + block * GPU_SZ_2M;
			unsigned long long to = from + GPU_SZ_2M;

			if (end <= from || start >= to || !whole[block])
				continue;
			whole[block] = false;
			c.splits += start > from || end < to;
		}
		start = start < base ? 0 : (start - base) / GPU_PAGE;
		end = (end - base) / GPU_PAGE;
		if (end > blocks * HUGE_PAGES)
			end = blocks * HUGE_PAGES;
		memset(c.hit + start, 1, end - start);
	}
	fclose(f);
	return c;
}

/* Blocks that pages [first, first + count) lie in. */
static unsigned int blocks_of(size_t first, size_t count)
{
	return (first + count - 1) / HUGE_PAGES - first / HUGE_PAGES + 1;
}

enum how { HOW_MUNMAP, HOW_DONTNEED };

/*
 * Take pages [first, first + count) away from a region of large leaves. All of
 * the rest has to stay right, and in the mirror.
 */
static void take_part(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		      unsigned int blocks, size_t first, size_t count, enum how how)
{
	size_t size = blocks * GPU_SZ_2M, at = first * GPU_PAGE, len = count * GPU_PAGE;
	struct drm_fakegpu_vm_get_state before, after;
	size_t i, cleared = 0, tail = at + len;
	int64_t since;
	struct clears c;

	gpu_pattern(p, size, 78);
	before = gpu_state(gpu);
	EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	after = gpu_state(gpu);
	EXPECT_EQ(blocks, (unsigned int)(after.faults - before.faults));
	EXPECT_EQ(blocks, (unsigned int)(after.leaves_large - before.leaves_large));
	EXPECT_EQ(0ULL, after.pages_small - before.pages_small);
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, 21, SYSTEM);

	before = after;
	since = gpu_now();
	ASSERT_EQ(0, how == HOW_MUNMAP ? munmap(p + at, len) :
					 madvise(p + at, len, MADV_DONTNEED));
	after = gpu_state(gpu);
	c = clears_since(gpu, since, p, blocks);
	for (i = 0; i < blocks * HUGE_PAGES; i++) {
		cleared += c.hit[i];
		if (i >= first && i < first + count)
			EXPECT_EQ(1, c.hit[i])
				TH_LOG("no event named page %zu", i);
	}
	TH_LOG("%u events took %zu pages and split %u leaves for %zu pages", c.events, cleared,
	       c.splits, count);

	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_EQ(c.splits, (unsigned int)(after.leaves_split - before.leaves_split));
	/* munmap lets go of mmap_lock before the UNMAP: what was back may go once more. */
	EXPECT_LE(cleared, (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_GE(cleared + (how == HOW_MUNMAP ? count : 0),
		  (size_t)(after.pages_cleared - before.pages_cleared));

	/* What the events took beyond the part is back, and the part isn't. */
	if (first)
		EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, len);
	if (tail < size)
		EXPECT_MAPPED(gpu, p + tail, size - tail);

	if (how == HOW_MUNMAP) {
		if (first)
			EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, at, 78));
		if (tail < size)
			EXPECT_FAULTS(gpu, 0,
				      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, size - tail, 78,
							       tail));
		EXPECT_FATAL(gpu, fakegpu_touch(p + at, 1, 1, 0), EFAULT, p + at, READ);
		EXPECT_FATAL(gpu, fakegpu_touch(p + tail - 1, 1, 1, 0), EFAULT, p + tail - 1,
			     READ);
		EXPECT_UNMAPPED(gpu, p + at, len);
	} else {
		EXPECT_FAULTS(gpu, blocks_of(first, count),
			      EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, 0)));
		EXPECT_MAPPED(gpu, p, size);
		EXPECT_DEVICE_BYTES(gpu, p + at, len, 0);
		if (first)
			EXPECT_DEVICE_PATTERN(gpu, p, at, 78);
		if (tail < size)
			EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, size - tail, 78, tail);
	}
	EXPECT_PATTERN(p, at, 78);
	EXPECT_PATTERN_AT(p + tail, size - tail, 78, tail);
}

/* Behaviour 77: one device fault, one leaf of order 21, read and written */
TEST_F(hugepage, one_leaf)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 77);
	before = gpu_state(gpu);
	/* One byte in the middle is enough. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p + GPU_SZ_1M + 5, 1, 1, 0)));
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large + 1);
	EXPECT_GAUGE(gpu, pages_small, before.pages_small);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 77);
		      EXPECT_RUN(gpu, fakegpu_fill(p + 3, GPU_SZ_2M - 7, 0x0101010101010101)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	/* A query of a part of it is clipped. */
	EXPECT_ENTRIES(gpu, p + 7 * GPU_PAGE, 3 * GPU_PAGE, GPU_WD, 21, SYSTEM);
	EXPECT_BYTES(p + 3, GPU_SZ_2M - 7, 1);
	EXPECT_PATTERN_AT(p, 3, 77, 0);
	EXPECT_PATTERN_AT(p + GPU_SZ_2M - 4, 4, 77, GPU_SZ_2M - 4);
}

/* Behaviour 77: small pages and large ones side by side */
TEST_F(hugepage, beside_small)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before;
	uint8_t *p;

	GPU_MAP_HUGE(p, 2 * GPU_SZ_2M);
	gpu_pattern(p, 2 * GPU_SZ_2M, 77);
	/* The second block: the same memory in small pages. */
	ASSERT_EQ(0, mprotect(p + GPU_SZ_2M, GPU_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + GPU_SZ_2M, GPU_PAGE, PROT_READ | PROT_WRITE));
	before = gpu_state(gpu);
	EXPECT_FAULTS(gpu, 2, EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_SZ_2M, 77));
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large + 1);
	EXPECT_GAUGE(gpu, pages_small, before.pages_small + HUGE_PAGES);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_MAPPED(gpu, p + GPU_SZ_2M, GPU_SZ_2M);
}

/* Behaviour 77: accesses that go on from a large leaf to another, and to small pages */
TEST_F(hugepage, over_borders)
{
	const size_t size = 3 * GPU_SZ_2M, at = GPU_SZ_2M - 3 * GPU_PAGE - 5;
	const size_t len = GPU_SZ_2M + 6 * GPU_PAGE;
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, size);
	ASSERT_EQ(0, mprotect(p + 2 * GPU_SZ_2M, GPU_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + 2 * GPU_SZ_2M, GPU_PAGE, PROT_READ | PROT_WRITE));
	/* Written by the CPU only now: 6.1 leaves that page read-only until somebody writes. */
	gpu_pattern(p, size, 77);
	EXPECT_FAULTS(gpu, 3, EXPECT_DEVICE_PATTERN(gpu, p, size, 77));
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + at, size - at, 77, at);
		      EXPECT_RUN(gpu, fakegpu_fill(p + at, len, 0x5a5a5a5a5a5a5a5a)));
	EXPECT_PATTERN(p, at, 77);
	EXPECT_BYTES(p + at, len, 0x5a);
	EXPECT_PATTERN_AT(p + at + len, size - at - len, 77, at + len);
}

/* Behaviour 78: one of two leaves goes: nothing is split, the other one stays */
TEST_F(hugepage, unmap_one_leaf_of_two)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *p;

	GPU_MAP_HUGE(p, 2 * GPU_SZ_2M);
	gpu_pattern(p, 2 * GPU_SZ_2M, 78);
	EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_touch(p, 2 * GPU_SZ_2M, GPU_PAGE,
							    DRM_FAKEGPU_CMD_WRITE)));
	before = gpu_state(gpu);
	ASSERT_EQ(0, munmap(p, GPU_SZ_2M));
	after = gpu_state(gpu);
	EXPECT_EQ(1ULL, before.leaves_large - after.leaves_large);
	EXPECT_EQ(HUGE_PAGES, (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(1ULL, after.invalidations_useful - before.invalidations_useful);
	EXPECT_EQ(0ULL, after.leaves_split - before.leaves_split);
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_ENTRIES(gpu, p + GPU_SZ_2M, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN_AT(gpu, p + GPU_SZ_2M, GPU_SZ_2M, 78,
						       GPU_SZ_2M));
	EXPECT_FATAL(gpu, fakegpu_touch(p + GPU_SZ_2M - 1, 2, 1, 0), EFAULT, p + GPU_SZ_2M - 1,
		     READ);
}

/* Take a part of a fresh region of large leaves. */
#define TAKE_PART(blocks, first, count, how) do { \
	uint8_t *p_; \
	GPU_MAP_HUGE(p_, (blocks) * GPU_SZ_2M); \
	take_part(_metadata, &self->gpu, p_, blocks, first, count, how); \
} while (0)

/* Behaviours 30, 78: munmap of one page in the middle of a leaf */
TEST_F(hugepage, unmap_one_page)
{
	TAKE_PART(1, 256, 1, HOW_MUNMAP);
}

/* Behaviours 28, 78: munmap of the head of a leaf */
TEST_F(hugepage, unmap_head)
{
	TAKE_PART(1, 0, 1, HOW_MUNMAP);
	TAKE_PART(1, 0, 100, HOW_MUNMAP);
}

/* Behaviours 29, 78: munmap of the tail of a leaf */
TEST_F(hugepage, unmap_tail)
{
	TAKE_PART(1, 511, 1, HOW_MUNMAP);
	TAKE_PART(1, 300, 212, HOW_MUNMAP);
}

/* Behaviours 32, 78: one munmap over parts of two leaves, and over three */
TEST_F(hugepage, unmap_over_leaves)
{
	TAKE_PART(2, 256, 512, HOW_MUNMAP);
	TAKE_PART(3, 511, 514, HOW_MUNMAP);
	TAKE_PART(4, 512, 1024, HOW_MUNMAP);
}

/* Behaviours 70, 78: MADV_DONTNEED of one page of a leaf: the leaf is split in place */
TEST_F(hugepage, dontneed_one_page)
{
	TAKE_PART(1, 256, 1, HOW_DONTNEED);
	TAKE_PART(1, 0, 1, HOW_DONTNEED);
	TAKE_PART(1, 511, 1, HOW_DONTNEED);
}

/* Behaviours 70, 78: one event over parts of two leaves splits both */
TEST_F(hugepage, dontneed_over_leaves)
{
	TAKE_PART(2, 256, 512, HOW_DONTNEED);
	TAKE_PART(3, 511, 514, HOW_DONTNEED);
}

/* Behaviour 78: a leaf is eaten page by page; no split finds the reserve empty */
TEST_F(hugepage, unmap_page_by_page)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu), after;
	size_t i;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 78);
	for (i = 0; i < HUGE_PAGES; i += 8) {
		EXPECT_DEVICE_PATTERN_AT(gpu, p + i * GPU_PAGE, GPU_SZ_2M - i * GPU_PAGE, 78,
					 i * GPU_PAGE);
		EXPECT_MAPPED(gpu, p + i * GPU_PAGE, GPU_SZ_2M - i * GPU_PAGE);
		ASSERT_EQ(0, munmap(p + i * GPU_PAGE, 8 * GPU_PAGE));
		EXPECT_UNMAPPED(gpu, p, (i + 8) * GPU_PAGE);
	}
	EXPECT_EVENTUALLY((uint64_t)before.intervals, (uint64_t)gpu_state(gpu).intervals);
	after = gpu_state(gpu);
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_EQ((uint64_t)before.pages_small, (uint64_t)after.pages_small);
	EXPECT_EQ((uint64_t)before.leaves_large, (uint64_t)after.leaves_large);
}

/* Behaviour 78: many leaves split at once: the reserve keeps pace */
TEST_F(hugepage, dontneed_many_leaves)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int blocks = 16;
	struct drm_fakegpu_vm_get_state before, after;
	unsigned int i;
	uint8_t *p;

	GPU_MAP_HUGE(p, blocks * GPU_SZ_2M);
	EXPECT_FAULTS(gpu, blocks, EXPECT_RUN(gpu, fakegpu_touch(p, blocks * GPU_SZ_2M, GPU_PAGE,
								 DRM_FAKEGPU_CMD_WRITE)));
	before = gpu_state(gpu);
	for (i = 0; i < blocks; i++)
		ASSERT_EQ(0, madvise(p + i * GPU_SZ_2M + i * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	after = gpu_state(gpu);
	EXPECT_EQ((uint64_t)blocks, (uint64_t)(after.leaves_split - before.leaves_split));
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_EQ((uint64_t)blocks, (uint64_t)(before.leaves_large - after.leaves_large));
}

/* Behaviours 31, 78: small pages in a large block: munmap and MADV_DONTNEED of one */
TEST_F(hugepage, small_pages_in_block)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M);
	size_t at = 256 * GPU_PAGE, tail = 257 * GPU_PAGE;

	/* MADV_DONTNEED splits no mapping: exactly one page goes, 511 stay. */
	gpu_pattern(p, GPU_SZ_2M, 79);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 79));
	EXPECT_DELTA(gpu, pages_cleared, 1,
		     ASSERT_EQ(0, madvise(p + at, GPU_PAGE, MADV_DONTNEED)));
	EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + tail, GPU_SZ_2M - tail);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 79);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 79, tail));

	/* munmap splits the VMA, and takes 512 pages to take one: 511 come back. */
	EXPECT_RUN(gpu, fakegpu_touch(p + at, 1, 1, 0));
	EXPECT_DELTA(gpu, slots_restored, 1,
		     ASSERT_EQ(0, munmap(p + at, GPU_PAGE));
		     EXPECT_MAPPED(gpu, p, at));
	EXPECT_UNMAPPED(gpu, p + at, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + tail, GPU_SZ_2M - tail);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 79);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 79, tail));
	EXPECT_FATAL(gpu, fakegpu_touch(p, GPU_SZ_2M, 1, 0), EFAULT, p + at, READ);
}

/*
 * Behaviours 71, 78: MADV_FREE of a page of a huge page that a child maps, too. The kernel leaves
 * it at the event for that page. So nothing is read again: the rest is what the split made of it.
 */
TEST_F(hugepage, free_one_page_shared)
{
	const size_t at = 300 * GPU_PAGE, tail = at + GPU_PAGE;
	struct drm_fakegpu_vm_get_state before, after;
	struct gpu *gpu = &self->gpu;
	struct proc child;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 80);
	if (proc_fork(&child))
		_exit(!proc_hears(&child, 'q'));
	EXPECT_WORKS(gpu);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 80));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, gpu->info.leaf_shift, SYSTEM);

	before = gpu_state(gpu);
	ASSERT_EQ(0, madvise(p + at, GPU_PAGE, MADV_FREE));
	EXPECT_ENTRIES(gpu, p, at, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + at, GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + tail, GPU_SZ_2M - tail, 0, gpu->info.page_shift, SYSTEM);
	after = gpu_state(gpu);
	EXPECT_EQ(1ULL, after.pages_cleared - before.pages_cleared);
	EXPECT_EQ(1ULL, after.leaves_split - before.leaves_split);
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_EQ(0ULL, after.slots_restored - before.slots_restored);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 80);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 80, tail));

	/* The page is still there, in a huge page: the next fault makes a leaf of it again. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + at, GPU_PAGE, 80, at));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, gpu->info.leaf_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 80));
	proc_say(&child, 'q');
	EXPECT_EQ(0, proc_wait(&child));
}

TEST_HARNESS_MAIN
