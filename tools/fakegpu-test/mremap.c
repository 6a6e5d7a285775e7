// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() of memory that the device has mapped. The event is always UNMAP of
 * the old addresses, also where the old mapping stays (MREMAP_DONTUNMAP).
 */
#include "fakegpu_test.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(mremap);

/* Move all of [p, p + size) to @to. */
static void move(struct __test_metadata *_metadata, uint8_t *p, size_t size, uint8_t *to)
{
	ASSERT_EQ(to, mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

static void check_move(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		       size_t size, uint8_t *to, unsigned int windows_to)
{
	struct drm_fakegpu_vm_get_state before, after;

	gpu_pattern(p, size, 43);
	EXPECT_DEVICE_PATTERN(gpu, p, size, 43);
	EXPECT_MAPPED(gpu, p, size);
	before = gpu_state(gpu);
	move(_metadata, p, size, to);
	after = gpu_state(gpu);
	EXPECT_EQ(size / GPU_PAGE, (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_UNMAPPED(gpu, p, size);
	EXPECT_UNMAPPED(gpu, to, size);

	EXPECT_FAULTS(gpu, windows_to, EXPECT_DEVICE_PATTERN(gpu, to, size, 43));
	EXPECT_FATAL(gpu, fakegpu_touch(p, size, GPU_PAGE, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p + size - 8, 8, 0), EFAULT, p + size - 8, WRITE);
	EXPECT_PATTERN(to, size, 43);
}

/* Behaviour 43: plain move: data at the new address, the old one faults */
TEST_F(mremap, move)
{
	check_move(_metadata, &self->gpu, gpu_map_anon(SIZE), SIZE, gpu_va(SIZE, 0), 1);
}

/* Behaviours 43, 52: move to an address with another offset in its block */
TEST_F(mremap, move_offset)
{
	uint8_t *to = (uint8_t *)gpu_va(2 * GPU_SZ_2M, 0) + GPU_SZ_2M - 5 * GPU_PAGE;

	check_move(_metadata, &self->gpu, gpu_map_anon(SIZE), SIZE, to, 2);
}

/* Behaviour 43: move of whole page tables */
TEST_F(mremap, move_blocks)
{
	const size_t size = 2 * GPU_SZ_2M;

	check_move(_metadata, &self->gpu, gpu_map_anon(size), size, gpu_va(size, 0), 2);
}

/* Behaviours 43, 52: move of a huge page: one large leaf before and after */
TEST_F(mremap, move_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *to = gpu_va(GPU_SZ_2M, 0);

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	check_move(_metadata, gpu, p, GPU_SZ_2M, to, 1);
	EXPECT_ENTRIES(gpu, to, GPU_SZ_2M, GPU_W, 21, SYSTEM);
}

/* Behaviours 43, 52: move of a huge page to where no huge page can be */
TEST_F(mremap, move_huge_offset)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *to = (uint8_t *)gpu_va(2 * GPU_SZ_2M, 0) + 3 * GPU_PAGE;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	check_move(_metadata, gpu, p, GPU_SZ_2M, to, 2);
	EXPECT_GAUGE(gpu, leaves_large, 0);
}

/* Behaviour 43: move of a part: the rest of the old mapping stays mapped */
TEST_F(mremap, move_part)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *to = gpu_va(SIZE, 0);
	const size_t at = 20 * GPU_PAGE, len = 10 * GPU_PAGE;

	gpu_pattern(p, SIZE, 43);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 43));
	EXPECT_DELTA(gpu, pages_cleared, len / GPU_PAGE, move(_metadata, p + at, len, to));
	EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, len);
	EXPECT_MAPPED(gpu, p + at + len, SIZE - at - len);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 43);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + at + len, SIZE - at - len, 43, at + len));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, to, len, 43, at));
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + at, READ);
}

/* Behaviour 43: there and back again, many times: nothing is left behind */
TEST_F(mremap, move_to_and_fro)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *at[] = { gpu_map_anon(SIZE), gpu_va(SIZE, 0) };
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu);
	unsigned int i;

	for (i = 0; i < 100; i++) {
		uint8_t *p = at[i % 2];

		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, i));
		move(_metadata, p, SIZE, at[1 - i % 2]);
		ASSERT_EQ((uint64_t)i, *(uint64_t *)(at[1 - i % 2] + SIZE - 8));
	}
	EXPECT_EQ(100ULL, gpu_state(gpu).faults - before.faults);
	ASSERT_EQ(0, munmap(at[0], SIZE));
	EXPECT_EVENTUALLY((uint64_t)before.intervals, (uint64_t)gpu_state(gpu).intervals);
	EXPECT_GAUGE(gpu, pages_small, before.pages_small);
}

/* Behaviour 44: device write, move, device write, move, check: no touch by the CPU */
TEST_F(mremap, move_device_writes_only)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(SIZE, 0), *r = gpu_va(SIZE, 0);

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE / 2, 0x1111111111111111)));
	move(_metadata, p, SIZE, q);
	EXPECT_RUN(gpu, fakegpu_fill(q + SIZE / 2, SIZE / 2, 0x2222222222222222));
	move(_metadata, q, SIZE, r);
	EXPECT_DEVICE_BYTES(gpu, r, SIZE / 2, 0x11);
	EXPECT_DEVICE_BYTES(gpu, r + SIZE / 2, SIZE / 2, 0x22);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(q, 1, 1, 0), EFAULT, q, READ);
	EXPECT_BYTES(r, SIZE / 2, 0x11);
	EXPECT_BYTES(r + SIZE / 2, SIZE / 2, 0x22);
}

/* Behaviour 45: MREMAP_DONTUNMAP: the new has the data, the old is valid and reads zero */
TEST_F(mremap, dontunmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 45);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 45);
	EXPECT_DELTA(gpu, pages_cleared, PAGES,
		     ASSERT_EQ(q, mremap(p, SIZE, SIZE,
					 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q)));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_UNMAPPED(gpu, q, SIZE);
	/* The old one first: UNMAP must not have made it a hole for the device. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 45));
	/* They are two memories now. */
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x3333333333333333));
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 45);
	EXPECT_PATTERN(q, SIZE, 45);
	EXPECT_BYTES(p, SIZE, 0x33);
	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 45));
}

/* Behaviour 45: MREMAP_DONTUNMAP of a huge page */
TEST_F(mremap, dontunmap_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *q = gpu_va(GPU_SZ_2M, 0);

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 45);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 45);
	ASSERT_EQ(q, mremap(p, GPU_SZ_2M, GPU_SZ_2M,
			    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0);
	EXPECT_DEVICE_PATTERN(gpu, q, GPU_SZ_2M, 45);
	EXPECT_RUN(gpu, fakegpu_fill(p + 5 * GPU_PAGE, GPU_PAGE, 0x4444444444444444));
	EXPECT_BYTES(p + 5 * GPU_PAGE, GPU_PAGE, 0x44);
	EXPECT_PATTERN(q, GPU_SZ_2M, 45);
}

/* Behaviour 47: shared memory with MREMAP_DONTUNMAP: both addresses show the data */
TEST_F(mremap, dontunmap_shared)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *q = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 47);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 47);
	ASSERT_EQ(q, mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q));
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 47);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 47);
	EXPECT_RUN(gpu, fakegpu_fill(q, SIZE, 0x5555555555555555));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x55);
	close(fd);
}

/* Behaviour 48: growth in place sends no event; the tail can be used at once */
TEST_F(mremap, grow_in_place)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 48);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 48);
	EXPECT_DELTA(gpu, pages_cleared, 0, ASSERT_EQ(p, mremap(p, SIZE, 2 * SIZE, 0)));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + SIZE, SIZE, 0x6666666666666666)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 48));
	EXPECT_BYTES(p + SIZE, SIZE, 0x66);
}

/* Behaviour 49: growth by a move */
TEST_F(mremap, grow_by_move)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(2 * SIZE, 0);

	gpu_pattern(p, SIZE, 49);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 49);
	ASSERT_EQ(q, mremap(p, SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 49);
	EXPECT_DEVICE_BYTES(gpu, q + SIZE, SIZE, 0);
}

/* Behaviour 50: a shrink is a munmap of the tail */
TEST_F(mremap, shrink)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 50);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 50);
	EXPECT_DELTA(gpu, pages_cleared, PAGES / 2, ASSERT_EQ(p, mremap(p, SIZE, SIZE / 2, 0)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE / 2, 50));
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + SIZE / 2, READ);
}

/* Behaviour 53: a move onto memory that the device has mapped: the old content is gone */
TEST_F(mremap, move_onto_mirrored)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 53);
	gpu_pattern(q, SIZE, 54);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 53);
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 54);
	EXPECT_DELTA(gpu, pages_cleared, 2 * PAGES, move(_metadata, p, SIZE, q));
	EXPECT_UNMAPPED(gpu, q, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 53));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
}

TEST_HARNESS_MAIN
