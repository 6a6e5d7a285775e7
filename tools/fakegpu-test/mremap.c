// SPDX-License-Identifier: GPL-2.0
/*
 * mremap() of memory that the device has mapped. The event is always UNMAP of
 * the old addresses, also where the old mapping stays (MREMAP_DONTUNMAP).
 */
#include "fakegpu_test_proc.h"

#include <sys/syscall.h>

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

/* Behaviour 46: read-only memory moves, gets its rights back, and the device writes */
TEST_F(mremap, move_readonly)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 46);
	/* The device may write before: none of that goes along. */
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 46);
	EXPECT_DELTA(gpu, pages_cleared, PAGES, move(_metadata, p, SIZE, q));
	EXPECT_FATAL(gpu, fakegpu_fill(q, 8, 0), EPERM, q, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 46));
	EXPECT_ENTRIES(gpu, q, SIZE, 0, 12, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(q, 8, 0), EPERM, q, WRITE);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	ASSERT_EQ(0, mprotect(q, SIZE, PROT_READ | PROT_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(q, SIZE / 2, 0x4646464646464646)));
	EXPECT_BYTES(q, SIZE / 2, 0x46);
	EXPECT_PATTERN_AT(q + SIZE / 2, SIZE / 2, 46, SIZE / 2);
}

/* Behaviour 46: a read-only 2 MiB page: back with its rights it is one large leaf again */
TEST_F(mremap, move_readonly_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *q = gpu_va(GPU_SZ_2M, 0);

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 46);
	ASSERT_EQ(0, mprotect(p, GPU_SZ_2M, PROT_READ));
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 46);
	move(_metadata, p, GPU_SZ_2M, q);
	EXPECT_DEVICE_PATTERN(gpu, q, GPU_SZ_2M, 46);
	EXPECT_ENTRIES(gpu, q, GPU_SZ_2M, 0, 21, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(q + 8, 8, 0), EPERM, q + 8, WRITE);
	ASSERT_EQ(0, mprotect(q, GPU_SZ_2M, PROT_READ | PROT_WRITE));
	EXPECT_RUN(gpu, fakegpu_fill(q, GPU_PAGE, 0));
	EXPECT_ENTRIES(gpu, q, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_PATTERN_AT(q + GPU_PAGE, GPU_SZ_2M - GPU_PAGE, 46, GPU_PAGE);
}

/* Behaviour 47: shared memory moves: the data is at the new address and in the object */
TEST_F(mremap, move_shared)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *alias = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *q = gpu_va(SIZE, 0), byte = 0;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x4747474747474747));
	EXPECT_DEVICE_BYTES(gpu, alias, SIZE, 0x47);
	EXPECT_DELTA(gpu, pages_cleared, PAGES, move(_metadata, p, SIZE, q));
	/* The other mapping of the same pages isn't touched by the move. */
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, alias, SIZE, 0x47));
	EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x47);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_RUN(gpu, fakegpu_fill(q, SIZE, 0x4848484848484848));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, alias, SIZE, 0x48));
	EXPECT_EQ(1, pread(fd, &byte, 1, SIZE - 1));
	EXPECT_EQ(0x48, byte);
	close(fd);
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

/* Behaviour 53: a move into the middle of memory that the device has mapped: exact edges */
TEST_F(mremap, move_into_mirrored)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);
	const size_t at = 24 * GPU_PAGE, len = 8 * GPU_PAGE;

	gpu_pattern(p, SIZE, 53);
	gpu_pattern(q, SIZE, 54);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 53);
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 54);
	EXPECT_DELTA(gpu, pages_cleared, 16, move(_metadata, p + at, len, q + at));
	EXPECT_UNMAPPED(gpu, p + at, len);
	EXPECT_UNMAPPED(gpu, q + at, len);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 53);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + at + len, SIZE - at - len, 53, at + len);
		      EXPECT_DEVICE_PATTERN(gpu, q, at, 54);
		      EXPECT_DEVICE_PATTERN_AT(gpu, q + at + len, SIZE - at - len, 54, at + len));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, q + at, len, 53, at));
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + at, READ);
}

/* Behaviour 48: growth in place over the edge of a window, then of an interval (slot21) */
TEST_F(mremap, grow_in_place_over_windows)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *edge = (uint8_t *)gpu_va(2 * GPU_SZ_2M, 0) + GPU_SZ_2M, *p = edge - SIZE;
	struct drm_fakegpu_vm_get_state before;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	gpu_pattern(p, SIZE, 48);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 48));
	EXPECT_FATAL(gpu, fakegpu_fill(edge, 8, 0), EFAULT, edge, WRITE);
	before = gpu_state(gpu);
	ASSERT_EQ(p, mremap(p, SIZE, 2 * SIZE, 0));
	EXPECT_GAUGE(gpu, invalidations, before.invalidations);
	/* That it was a hole is remembered nowhere. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(edge, SIZE, ~0ULL)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 48));
	EXPECT_BYTES(edge, SIZE, 0xff);
}

/* Behaviour 49: shared memory grows by a move: the tail is the object's */
TEST_F(mremap, grow_by_move_shared)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(2 * SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *q = gpu_va(2 * SIZE, 0), byte = 0;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x4949494949494949));
	byte = 0x94;
	ASSERT_EQ(1, pwrite(fd, &byte, 1, SIZE));
	ASSERT_EQ(q, mremap(p, SIZE, 2 * SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x49);
	EXPECT_DEVICE_BYTES(gpu, q + SIZE, 1, 0x94);
	EXPECT_DEVICE_BYTES(gpu, q + SIZE + 1, SIZE - 1, 0);
	close(fd);
}

/* Behaviour 50: a shrink that also moves: the tail is gone, the head moved */
TEST_F(mremap, shrink_and_move)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 50);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 50);
	EXPECT_DELTA(gpu, pages_cleared, PAGES,
		     ASSERT_EQ(q, mremap(p, SIZE, SIZE / 2, MREMAP_MAYMOVE | MREMAP_FIXED, q)));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, q, SIZE / 2, 50));
	EXPECT_FATAL(gpu, fakegpu_touch(q, SIZE, GPU_PAGE, 0), EFAULT, q + SIZE / 2, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(p + SIZE / 2, 1, 1, 0), EFAULT, p + SIZE / 2, READ);
}

/* Behaviour 50: a shrink inside a 2 MiB page: the rest comes back in small leaves */
TEST_F(mremap, shrink_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *tail;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	tail = p + 300 * GPU_PAGE;
	gpu_pattern(p, GPU_SZ_2M, 50);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 50);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	ASSERT_EQ(p, mremap(p, GPU_SZ_2M, tail - p, 0));
	EXPECT_MAPPED(gpu, p, tail - p);
	EXPECT_UNMAPPED(gpu, tail, p + GPU_SZ_2M - tail);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, tail - p, 50));
	EXPECT_FATAL(gpu, fakegpu_touch(tail - 1, 2, 1, 0), EFAULT, tail, READ);
	EXPECT_GAUGE(gpu, leaves_large, 0);
}

/* Behaviour 51: old_size 0 makes a second mapping of shared memory: coherent, no event */
TEST_F(mremap, duplicate_shared)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *q = gpu_va(SIZE, 0);

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x5151515151515151));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 0,
		     ASSERT_EQ(q, mremap(p, 0, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q)));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_UNMAPPED(gpu, q, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x51));
	/* Device and CPU, through both. */
	EXPECT_RUN(gpu, fakegpu_fill(q, SIZE / 2, 0x5252525252525252));
	memset(q + SIZE / 2, 0x53, SIZE / 2);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p, SIZE / 2, 0x52);
		      EXPECT_DEVICE_BYTES(gpu, p + SIZE / 2, SIZE / 2, 0x53);
		      EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, 0x5454545454545454));
		      EXPECT_DEVICE_BYTES(gpu, q, GPU_PAGE, 0x54));
	EXPECT_BYTES(q, GPU_PAGE, 0x54);
	/* One of them goes, the other one doesn't notice. */
	EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, munmap(p, SIZE)));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, q + SIZE / 2, SIZE / 2, 0x53));
}

/* Behaviour 51: the same from the middle of it: the alias begins there */
TEST_F(mremap, duplicate_shared_part)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const size_t at = 40 * GPU_PAGE, len = 24 * GPU_PAGE;
	uint8_t *q = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 51);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 51);
	ASSERT_EQ(q, mremap(p + at, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, q));
	EXPECT_MAPPED(gpu, p, SIZE);
	EXPECT_DEVICE_PATTERN_AT(gpu, q, len, 51, at);
	EXPECT_RUN(gpu, fakegpu_fill(q, GPU_PAGE, ~0ULL));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p + at, GPU_PAGE, 0xff));
	EXPECT_FATAL(gpu, fakegpu_touch(q + len, 1, 1, 0), EFAULT, q + len, READ);
	close(fd);
}

/* Behaviour 51: private memory can't be duplicated, and the attempt leaves no trace */
TEST_F(mremap, duplicate_private_refused)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_va(SIZE, 0);

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x5151515151515151));
	EXPECT_DELTA(gpu, pages_cleared, 0,
		     EXPECT_EQ(MAP_FAILED, mremap(p, 0, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q));
		     EXPECT_EQ(EINVAL, errno));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x51));
	EXPECT_FATAL(gpu, fakegpu_touch(q, 1, 1, 0), EFAULT, q, READ);
}

/*
 * Behaviour 52: a move over a 2 MiB border, with the same offset before and after. Where
 * nothing else is in the slot, the kernel begins its event (and the move) at the slot's start.
 */
TEST_F(mremap, move_start_rounded_down)
{
	struct gpu *gpu = &self->gpu;
	const size_t offset = 37 * GPU_PAGE, size = 2 * GPU_SZ_2M - 2 * offset;
	uint8_t *from = gpu_va(3 * GPU_SZ_2M, 0), *to = gpu_va(3 * GPU_SZ_2M, 0);
	uint8_t *below_from = from, *below_to = to, *p = from + GPU_SZ_2M + offset;
	uint8_t *q = to + GPU_SZ_2M + offset;
	uint8_t *maps[] = { below_from, below_to };
	size_t i;

	/* Neighbours in the slots below, up to the border. */
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		uint8_t *below = maps[i] + GPU_SZ_2M - SIZE;

		ASSERT_EQ(below, mmap(below, SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		madvise(below, SIZE, MADV_NOHUGEPAGE);
		gpu_pattern(below, SIZE, 520 + i);
		EXPECT_DEVICE_PATTERN(gpu, below, SIZE, 520 + i);
	}
	ASSERT_EQ(p, mmap(p, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	madvise(p, size, MADV_NOHUGEPAGE);
	gpu_pattern(p, size, 52);
	EXPECT_DEVICE_PATTERN(gpu, p, size, 52);
	EXPECT_DELTA(gpu, pages_cleared, size / GPU_PAGE, move(_metadata, p, size, q));
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		uint8_t *below = maps[i] + GPU_SZ_2M - SIZE;

		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, below, SIZE, 520 + i));
	}
	EXPECT_UNMAPPED(gpu, from + GPU_SZ_2M, 2 * GPU_SZ_2M);
	EXPECT_UNMAPPED(gpu, to + GPU_SZ_2M, 2 * GPU_SZ_2M);
	EXPECT_FAULTS(gpu, 2, EXPECT_DEVICE_PATTERN(gpu, q, size, 52));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(q - 1, 1, 1, 0), EFAULT, q - 1, READ);
}

/* Behaviour 52: the same with a neighbour in the very slot: it loses no entry, no data */
TEST_F(mremap, move_start_not_rounded)
{
	struct gpu *gpu = &self->gpu;
	const size_t offset = 37 * GPU_PAGE, size = GPU_SZ_2M;
	uint8_t *from = gpu_va(2 * GPU_SZ_2M, 0), *to = gpu_va(2 * GPU_SZ_2M, 0);
	uint8_t *p = from + offset, *q = to + offset;

	ASSERT_EQ(from, mmap(from, offset / 2 & -GPU_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	gpu_pattern(from, offset / 2 & -GPU_PAGE, 53);
	ASSERT_EQ(p, mmap(p, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	madvise(p, size, MADV_NOHUGEPAGE);
	gpu_pattern(p, size, 52);
	EXPECT_DEVICE_PATTERN(gpu, p, size, 52);
	EXPECT_DEVICE_PATTERN(gpu, from, offset / 2 & -GPU_PAGE, 53);
	EXPECT_DELTA(gpu, pages_cleared, size / GPU_PAGE, move(_metadata, p, size, q));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, from, offset / 2 & -GPU_PAGE, 53));
	EXPECT_DEVICE_PATTERN(gpu, q, size, 52);
	EXPECT_FATAL(gpu, fakegpu_touch(from, GPU_SZ_2M, GPU_PAGE, 0), EFAULT,
		     from + (offset / 2 & -GPU_PAGE), READ);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
}

/* Behaviour 52: a part of a 2 MiB page moves: the kernel splits it, both parts are right */
TEST_F(mremap, move_part_of_huge)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 100 * GPU_PAGE, len = 50 * GPU_PAGE;
	uint8_t *p, *q = (uint8_t *)gpu_va(GPU_SZ_2M, 0) + 3 * GPU_PAGE;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 52);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 52);
	move(_metadata, p + at, len, q);
	EXPECT_UNMAPPED(gpu, p + at, len);
	EXPECT_UNMAPPED(gpu, q, len);
	EXPECT_EQ((int64_t)(GPU_SZ_2M - len), gpu_mapped(gpu, p, GPU_SZ_2M));
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 52);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + at + len, GPU_SZ_2M - at - len, 52,
					       at + len));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, q, len, 52, at));
	EXPECT_FATAL(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, 0), EFAULT, p + at, READ);
}

static unsigned long hugetlb_set(unsigned long pages)
{
	unsigned long now = 0;
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "r+e");

	if (!f)
		return 0;
	fprintf(f, "%lu\n", pages);
	rewind(f);
	if (fscanf(f, "%lu", &now) != 1)
		now = 0;
	fclose(f);
	return now;
}

/* Behaviour 54: hugetlb pages move, which sends CLEAR and not UNMAP: the mirror follows */
TEST_F(mremap, move_hugetlb)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 2 * GPU_SZ_2M;
	uint8_t *p = gpu_va(size, 0), *q = gpu_va(size, 0);
	unsigned int i;

	if (hugetlb_set(2) < 2)
		SKIP(return, "no two hugetlb pages of 2 MiB");
	if (mmap(p, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0) != p)
		SKIP(return, "mmap of hugetlb pages: %s", strerror(errno));
	gpu_pattern(p, size, 54);
	for (i = 0; i < 4; i++) {
		uint8_t *from = i % 2 ? q : p, *to = i % 2 ? p : q;

		EXPECT_FAULTS(gpu, 2, EXPECT_DEVICE_PATTERN(gpu, from, size, 54));
		EXPECT_ENTRIES(gpu, from, size, GPU_W, 21, SYSTEM);
		EXPECT_DELTA(gpu, pages_cleared, 1024, move(_metadata, from, size, to));
		EXPECT_UNMAPPED(gpu, from, size);
		EXPECT_UNMAPPED(gpu, to, size);
		EXPECT_FATAL(gpu, fakegpu_touch(from, 1, 1, 0), EFAULT, from, READ);
		EXPECT_FATAL(gpu, fakegpu_fill(from + size - 8, 8, 0), EFAULT, from + size - 8,
			     WRITE);
	}
	EXPECT_RUN(gpu, fakegpu_fill(p, size, 0x5454545454545454));
	EXPECT_BYTES(p, size, 0x54);
	ASSERT_EQ(0, munmap(p, size));
	EXPECT_UNMAPPED(gpu, p, size);
	EXPECT_EQ(0UL, hugetlb_set(0));
}

/* A ring of asynchronous I/O is mapped shared memory that its file has a say in. */
static uint8_t *aio_ring(struct __test_metadata *_metadata, size_t *size)
{
	unsigned long ctx = 0, from, to;
	char line[256];
	FILE *maps;

	if (syscall(SYS_io_setup, 500, &ctx))
		return NULL;
	/* The context's id is the ring's address. */
	maps = fopen("/proc/self/maps", "re");
	ASSERT_NE(NULL, maps);
	*size = 0;
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from == ctx)
			*size = to - from;
	fclose(maps);
	ASSERT_LT(GPU_PAGE, *size);
	return (uint8_t *)ctx;
}

/*
 * Behaviour 54: a move that fails after the pages have been moved, and is undone. The ring was
 * set up by a parent: in a child its file refuses to be moved, when all else is done.
 */
TEST_F(mremap, move_fails_and_is_undone)
{
	struct proc child;
	uint8_t *p, *q;
	size_t size;

	p = aio_ring(_metadata, &size);
	if (!p)
		SKIP(return, "io_setup: %s", strerror(errno));
	q = gpu_va(size, 0);
	if (proc_fork(&child)) {
		struct drm_fakegpu_vm_get_state before, after;
		struct drm_fakegpu_cmd cmd;
		struct gpu own;
		uint64_t crc, windows;
		uint32_t want;
		int i;

		child_gpu(&own, &variant->conf);
		/* The ring lies anywhere. */
		windows = fakegpu_va(p + size - 1) / GPU_SZ_2M - fakegpu_va(p) / GPU_SZ_2M + 1;
		/* Behind the header: our own marks, by CPU and device. */
		memset(p + GPU_PAGE, 0x54, size - GPU_PAGE);
		cmd = fakegpu_fill(p + GPU_PAGE, 64, 0x5555555555555555);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		want = gpu_crc(p, size);
		CHILD_CHECK(!gpu_device_crc(&own, p, size, &crc) && crc == want);
		for (i = 0; i < 10; i++) {
			CHILD_CHECK(gpu_mapped(&own, p, size) == (int64_t)size);
			before = gpu_state(&own);
			CHILD_CHECK(mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, q) ==
				    MAP_FAILED);
			CHILD_CHECK(errno == EINVAL);
			after = gpu_state(&own);
			CHILD_CHECK(after.pages_cleared - before.pages_cleared == size / GPU_PAGE);
			CHILD_CHECK(!gpu_mapped(&own, p, size));
			CHILD_CHECK(!gpu_mapped(&own, q, size));
			/* UNMAP has been sent for both, but only one is a hole. */
			CHILD_CHECK(!gpu_device_crc(&own, p, size, &crc) && crc == want);
			CHILD_CHECK(gpu_state(&own).faults - after.faults == windows);
			cmd = fakegpu_touch(q, 1, 1, 0);
			CHILD_CHECK(!gpu_run_fatal(&own, &cmd, 1));
			CHILD_CHECK(own.fatal.info.error == EFAULT);
			CHILD_CHECK(own.fatal.info.addr == fakegpu_va(q));
		}
		CHILD_CHECK(!gpu_verify(&own));
		_exit(0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	/* It is shared memory. */
	EXPECT_BYTES(p + GPU_PAGE, 64, 0x55);
	EXPECT_DEVICE_BYTES(&self->gpu, p + GPU_PAGE + 64, size - GPU_PAGE - 64, 0x54);
}

TEST_HARNESS_MAIN
