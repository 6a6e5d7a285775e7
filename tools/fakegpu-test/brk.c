// SPDX-License-Identifier: GPL-2.0
/*
 * The heap: brk() moves its end, malloc() gives its memory back in two ways.
 */
#include <malloc.h>

#include "fakegpu_test_proc.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(brk);

/*
 * A piece at the end of the heap that is the test's own. The heap stays smaller
 * than 2 MiB, so no 2 MiB page gets involved. malloc() must leave its end alone
 * until it is given back: it is left enough to live on.
 */
static uint8_t *grow(struct __test_metadata *_metadata, size_t size)
{
	uint8_t *p;

	ASSERT_EQ(1, mallopt(M_TRIM_THRESHOLD, GPU_SZ_1G));
	ASSERT_EQ(1, mallopt(M_TOP_PAD, 0));
	free(malloc(GPU_SZ_64K));
	p = sbrk(0);
	p = sbrk(size + -(uintptr_t)p % GPU_PAGE);
	ASSERT_NE((void *)-1, p);
	return (uint8_t *)sbrk(0) - size;
}

/* Device faults that it takes to mirror the range: its windows. */
static unsigned int windows(const uint8_t *p, size_t size)
{
	return (fakegpu_va(p) + size - 1) / GPU_SZ_2M - fakegpu_va(p) / GPU_SZ_2M + 1;
}

/* Behaviour 41: new heap is usable at once, what brk() gives back is gone, the rest stays */
TEST_F(brk, shrink)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = grow(_metadata, SIZE), *end = p + SIZE, *cut = end - 20 * GPU_PAGE;

	gpu_pattern(p, SIZE, 41);
	EXPECT_FAULTS(gpu, windows(p, SIZE), EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 41));
	EXPECT_FATAL(gpu, fakegpu_touch(end, 1, 1, 0), EFAULT, end, READ);
	EXPECT_DELTA(gpu, pages_cleared, 20, ASSERT_EQ(0, brk(cut)));
	EXPECT_MAPPED(gpu, p, cut - p);
	EXPECT_UNMAPPED(gpu, cut, end - cut);
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, 1, 0), EFAULT, cut, READ);
	EXPECT_EQ((size_t)(cut - p), (size_t)gpu->fatal.queue.cmd_done);
	EXPECT_FATAL(gpu, fakegpu_fill(end - 8, 8, 0), EFAULT, end - 8, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, cut - p, 41));

	/* An end inside of a page leaves that page. */
	EXPECT_DELTA(gpu, pages_cleared, 9, ASSERT_EQ(0, brk(cut - 10 * GPU_PAGE + 1)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, cut - p - 9 * GPU_PAGE, 41));
	EXPECT_FATAL(gpu, fakegpu_touch(cut - 9 * GPU_PAGE, 1, 1, 0), EFAULT,
		     cut - 9 * GPU_PAGE, READ);
	ASSERT_EQ(0, brk(p));
}

/* Behaviour 41: growth sends no event, and what was once heap has none of its old bytes */
TEST_F(brk, grow_again)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = grow(_metadata, SIZE), *end = p + SIZE, *cut = p + SIZE / 2;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x4141414141414141));
	EXPECT_BYTES(p, SIZE, 0x41);
	ASSERT_EQ(0, brk(cut));
	EXPECT_DELTA(gpu, pages_cleared, 0, ASSERT_EQ(0, brk(end)));
	EXPECT_UNMAPPED(gpu, cut, SIZE / 2);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE / 2, 0x41));
	EXPECT_FAULTS(gpu, windows(cut, SIZE / 2), EXPECT_DEVICE_BYTES(gpu, cut, SIZE / 2, 0));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x4242424242424242));
	EXPECT_BYTES(p, SIZE, 0x42);
	ASSERT_EQ(0, brk(p));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
}

/* Behaviour 41: there and back many times, by sbrk(): nothing is left behind */
TEST_F(brk, sbrk_to_and_fro)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = grow(_metadata, GPU_PAGE);
	struct drm_fakegpu_vm_get_state before, after;
	unsigned int i;

	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, ~0ULL));
	before = gpu_state(gpu);
	for (i = 0; i < 100; i++) {
		uint8_t *more = sbrk(SIZE);

		ASSERT_EQ(p + GPU_PAGE, more);
		EXPECT_RUN(gpu, fakegpu_fill(more, SIZE, i));
		ASSERT_EQ((uint64_t)i, *(uint64_t *)(more + SIZE - 8));
		ASSERT_EQ(more + SIZE, sbrk(-(intptr_t)SIZE));
	}
	after = gpu_state(gpu);
	EXPECT_EQ(100 * PAGES, (uint64_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(before.pages_small, after.pages_small);
	EXPECT_EQ(before.intervals, after.intervals);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE, 0xff));
	ASSERT_EQ(0, brk(p));
}

/* Behaviour 41: malloc_trim() unmaps the end of the heap and empties holes in it */
TEST_F(brk, malloc_trim)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 100000;
	uint8_t *hole, *keep, *top, *first, *last;
	uintptr_t heap, top_end;

	ASSERT_EQ(1, mallopt(M_TRIM_THRESHOLD, GPU_SZ_1G));
	ASSERT_EQ(1, mallopt(M_MMAP_THRESHOLD, GPU_SZ_1G));
	hole = malloc(size);
	keep = malloc(size);
	top = malloc(size);
	top_end = (uintptr_t)top + size;
	heap = (uintptr_t)sbrk(0);
	/* In this order below the end of the heap: else it isn't the heap that we think. */
	ASSERT_LT(hole, keep);
	ASSERT_LT(keep, top);
	ASSERT_LE(top_end, heap);
	ASSERT_GT((uintptr_t)hole + GPU_SZ_2M, heap);
	EXPECT_RUN(gpu, fakegpu_fill(hole, size, 0x4141414141414141),
		   fakegpu_fill(keep, size, 0x4242424242424242),
		   fakegpu_fill(top, size, 0x4343434343434343));
	EXPECT_BYTES(keep, size, 0x42);
	/* Whole pages of the hole, without what malloc() notes at its ends. */
	first = (uint8_t *)(((uintptr_t)hole + 64 + GPU_PAGE - 1) & -GPU_PAGE);
	last = (uint8_t *)(((uintptr_t)hole + size - 64) & -GPU_PAGE);
	EXPECT_MAPPED(gpu, first, last - first);

	free(hole);
	free(top);
	EXPECT_DEVICE_BYTES(gpu, first, last - first, 0x41);
	EXPECT_EQ(1, malloc_trim(0));
	ASSERT_GT(heap, (uintptr_t)sbrk(0));
	EXPECT_UNMAPPED(gpu, first, last - first);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, keep, size, 0x42));
	EXPECT_DEVICE_BYTES(gpu, first, last - first, 0);
	EXPECT_BYTES(first, last - first, 0);
	first = (uint8_t *)(((uintptr_t)sbrk(0) + GPU_PAGE - 1) & -GPU_PAGE);
	EXPECT_GT(top_end, (uintptr_t)first);
	EXPECT_FATAL(gpu, fakegpu_touch(first, 1, 1, 0), EFAULT, first, READ);
	free(keep);
}

TEST_HARNESS_MAIN
