// SPDX-License-Identifier: GPL-2.0
/*
 * Small pages become a huge page, and a huge page becomes small ones, under a
 * live device mapping. Both need to be the only user of the pages: a reference
 * held by the mirror would block them. And the sizes that huge pages come in.
 */
#include <sys/mount.h>

#include "fakegpu_test_proc.h"
#include "fakegpu_test_sys.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define SPLIT		"/sys/kernel/debug/split_huge_pages"
#define HUGE_PAGES	(GPU_SZ_2M / GPU_PAGE)

GPU_FIXTURE_SYS(collapse);

/* 2 MiB of small pages that may become a huge page, mirrored and written by the device. */
static uint8_t *small_pages(struct __test_metadata *_metadata, struct gpu *gpu, uint64_t seed)
{
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);

	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_NOHUGEPAGE));
	gpu_pattern(p, GPU_SZ_2M, seed);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 12, SYSTEM);
	return p;
}

/* One large leaf, without a device fault: the slot was read again. The device goes on. */
static void check_collapsed(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			    uint64_t seed)
{
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, seed);
		      EXPECT_RUN(gpu, fakegpu_fill(p + 7 * GPU_PAGE, 8, 0x7979797979797979)));
	EXPECT_BYTES(p + 7 * GPU_PAGE, 8, 0x79);
	EXPECT_PATTERN(p, 7 * GPU_PAGE, seed);
	EXPECT_PATTERN_AT(p + 7 * GPU_PAGE + 8, GPU_SZ_2M - 7 * GPU_PAGE - 8, seed,
			  7 * GPU_PAGE + 8);
}

/* Behaviour 79: MADV_COLLAPSE under a device mapping: one large leaf, the same data */
TEST_F(collapse, madvise)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = small_pages(_metadata, gpu, 79);

	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	if (madvise(p, GPU_SZ_2M, MADV_COLLAPSE) && errno == EINVAL)
		SKIP(return, "no MADV_COLLAPSE in this kernel");
	EXPECT_EQ(GPU_SZ_2M, gpu_thp_bytes(p, GPU_SZ_2M));
	check_collapsed(_metadata, gpu, p, 79);
}

/* Behaviour 79: collapse of a block of three pages and holes, which become zeros */
TEST_F(collapse, madvise_holes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);

	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_NOHUGEPAGE));
	EXPECT_RUN(gpu, fakegpu_fill(p + 100 * GPU_PAGE, 3 * GPU_PAGE, 0x7979797979797979));
	/* A page of zeros that the device has mapped is given up, too. */
	EXPECT_DEVICE_BYTES(gpu, p + 5 * GPU_PAGE, GPU_PAGE, 0);
	EXPECT_EQ((int64_t)(4 * GPU_PAGE), gpu_mapped(gpu, p, GPU_SZ_2M));
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	if (madvise(p, GPU_SZ_2M, MADV_COLLAPSE) && errno == EINVAL)
		SKIP(return, "no MADV_COLLAPSE in this kernel");
	EXPECT_EQ(GPU_SZ_2M, gpu_thp_bytes(p, GPU_SZ_2M));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p, 100 * GPU_PAGE, 0);
		      EXPECT_DEVICE_BYTES(gpu, p + 100 * GPU_PAGE, 3 * GPU_PAGE, 0x79);
		      EXPECT_DEVICE_BYTES(gpu, p + 103 * GPU_PAGE, 409 * GPU_PAGE, 0));
}

/* Behaviour 79: khugepaged does the same, unasked */
TEST_F(collapse, khugepaged)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = small_pages(_metadata, gpu, 80);

	if (sys_set(&self->sys, THP "khugepaged/scan_sleep_millisecs", "1"))
		SKIP(return, "no THPs in this kernel");
	sys_set(&self->sys, THP "khugepaged/alloc_sleep_millisecs", "1");
	sys_set(&self->sys, THP "khugepaged/pages_to_scan", "65536");
	sys_set(&self->sys, THP "enabled", "madvise");
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	EXPECT_EVENTUALLY(GPU_SZ_2M, gpu_thp_bytes(p, GPU_SZ_2M));
	check_collapsed(_metadata, gpu, p, 80);
}

/* Behaviour 79: a queue writes all the time while the block is collapsed and split */
TEST_F(collapse, race)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = small_pages(_metadata, gpu, 81);
	volatile uint64_t *count = (uint64_t *)(p + 77 * GPU_PAGE);
	struct drm_fakegpu_cmd cmds[64];
	uint64_t seqno, sum = 0;
	unsigned int i, round;

	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	*count = 0;
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		cmds[i] = fakegpu_atomic(count, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, ARRAY_SIZE(cmds),
						    &seqno));
			sum += ARRAY_SIZE(cmds);
			if (madvise(p, GPU_SZ_2M, MADV_COLLAPSE) && errno == EINVAL)
				break;
			/* A PMD is split by a change of rights. */
			ASSERT_EQ(0, mprotect(p, GPU_PAGE, PROT_READ));
			ASSERT_EQ(0, mprotect(p, GPU_PAGE, PROT_READ | PROT_WRITE));
		}
		ASSERT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
		EXPECT_EQ(sum, *count);
	}
	EXPECT_PATTERN(p, 77 * GPU_PAGE, 81);
	EXPECT_PATTERN_AT(p + 77 * GPU_PAGE + 8, GPU_SZ_2M - 77 * GPU_PAGE - 8, 81,
			  77 * GPU_PAGE + 8);
	EXPECT_VERIFY(gpu);
}

/* Behaviour 79: the huge page itself is split under a large leaf: no pin blocks it */
TEST_F(collapse, split_page)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before;
	uint64_t splits;
	char text[80];
	uint8_t *p;

	if (access(SPLIT, W_OK))
		SKIP(return, "no %s in this kernel", SPLIT);
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 82);
	before = gpu_state(gpu);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	splits = sys_vmstat("thp_split_page");
	sys_drain();
	snprintf(text, sizeof(text), "%d,%#llx,%#llx", getpid(),
		 (unsigned long long)fakegpu_va(p),
		 (unsigned long long)fakegpu_va(p) + GPU_SZ_2M);
	ASSERT_EQ(0, sys_write(SPLIT, text));
	EXPECT_EQ(splits + 1, sys_vmstat("thp_split_page"));
	EXPECT_EQ((size_t)0, gpu_thp_bytes(p, GPU_SZ_2M));
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large);
	/* It may be read again while it is split: whatever was found is right. */
	EXPECT_VERIFY(gpu);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 12, SYSTEM);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 82);
	EXPECT_PATTERN(p, GPU_SZ_2M, 82);
}

/* Behaviour 79: mlock of a part splits the mapping; all of it stays in the mirror */
TEST_F(collapse, split_by_mlock)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 100 * GPU_PAGE, len = 50 * GPU_PAGE;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 83);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 83));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	ASSERT_EQ(0, mlock(p + at, len));
	EXPECT_EQ((size_t)0, gpu_thp_bytes(p, GPU_SZ_2M));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 83));
	EXPECT_PATTERN(p, GPU_SZ_2M, 83);
}

/* Behaviour 80: a read of nothing by the device: one large leaf of zeros, no memory */
TEST_F(collapse, huge_zero)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu);
	uint8_t *p;

	if (sys_set(&self->sys, THP "use_zero_page", "1"))
		SKIP(return, "no huge page of zeros in this kernel");
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0));
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large + 1);
	EXPECT_GAUGE(gpu, pages_small, before.pages_small);
	EXPECT_EQ((size_t)0, gpu_thp_bytes(p, GPU_SZ_2M));
	/* Not writable. That it is the zero page, no module can tell. */
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0));

	/* The CPU writes to it: the device sees that, and zeros around it. */
	p[9 * GPU_PAGE + 1] = 0x80;
	EXPECT_DEVICE_BYTES(gpu, p + 9 * GPU_PAGE + 1, 1, 0x80);
	EXPECT_DEVICE_BYTES(gpu, p, 9 * GPU_PAGE + 1, 0);
	EXPECT_DEVICE_BYTES(gpu, p + 9 * GPU_PAGE + 2, GPU_SZ_2M - 9 * GPU_PAGE - 2, 0);
}

/* Behaviour 80: the device writes to the huge page of zeros; nobody else's zeros change */
TEST_F(collapse, huge_zero_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *q;

	if (sys_set(&self->sys, THP "use_zero_page", "1"))
		SKIP(return, "no huge page of zeros in this kernel");
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	ASSERT_EQ(0, madvise(q, GPU_SZ_2M, MADV_HUGEPAGE));
	EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0);
	EXPECT_DEVICE_BYTES(gpu, q, GPU_SZ_2M, 0);
	EXPECT_FAULTS(gpu, 1,
		      EXPECT_RUN(gpu, fakegpu_fill(p + 300 * GPU_PAGE, 8, 0x8080808080808080)));
	EXPECT_BYTES(p + 300 * GPU_PAGE, 8, 0x80);
	EXPECT_BYTES(p, 300 * GPU_PAGE, 0);
	EXPECT_DEVICE_BYTES(gpu, p + 300 * GPU_PAGE + 8, GPU_SZ_2M - 300 * GPU_PAGE - 8, 0);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, q, GPU_SZ_2M, 0));
	EXPECT_BYTES(q, GPU_SZ_2M, 0);
}

/* A file's 2 MiB in a huge page, mapped by a PMD: one large leaf, read and written. */
static void check_shmem(struct __test_metadata *_metadata, struct gpu *gpu, int fd, uint8_t *p)
{
	struct drm_fakegpu_vm_get_state before, after;
	uint64_t word = 0;

	gpu_pattern(p, GPU_SZ_2M, 84);
	if (sys_number("/proc/self/smaps_rollup", "ShmemPmdMapped") < GPU_SZ_2M / 1024)
		SKIP(return, "the kernel gave no huge page of shared memory");
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 84));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_RUN(gpu, fakegpu_fill(p + GPU_SZ_1M, 8, 0x8484848484848484)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	ASSERT_EQ(8, pread(fd, &word, 8, GPU_SZ_1M));
	EXPECT_EQ(0x8484848484848484ULL, word);

	/* A hole of one page: that page reads zero, the rest is right. */
	before = gpu_state(gpu);
	ASSERT_EQ(0, madvise(p + 9 * GPU_PAGE, GPU_PAGE, MADV_REMOVE));
	after = gpu_state(gpu);
	EXPECT_EQ(1ULL, before.leaves_large - after.leaves_large);
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);
	EXPECT_UNMAPPED(gpu, p + 9 * GPU_PAGE, GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p + 9 * GPU_PAGE, GPU_PAGE, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, 9 * GPU_PAGE, 84);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 10 * GPU_PAGE, GPU_SZ_1M - 10 * GPU_PAGE, 84,
				 10 * GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_SZ_1M, 8, 0x84);
	EXPECT_PATTERN_AT(p + GPU_SZ_1M + 8, GPU_SZ_1M - 8, 84, GPU_SZ_1M + 8);
}

/* Behaviour 80: shared memory in huge pages by advice */
TEST_F(collapse, shmem_advise)
{
	uint8_t *p;
	int fd;

	if (sys_set(&self->sys, THP "shmem_enabled", "advise"))
		SKIP(return, "no THPs in this kernel");
	fd = gpu_memfd(GPU_SZ_2M);
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	check_shmem(_metadata, &self->gpu, fd, p);
	close(fd);
}

/* Behaviour 80: a file of tmpfs mounted with huge=always */
TEST_F(collapse, shmem_mount)
{
	char dir[] = "/tmp/fakegpu-test-XXXXXX", path[64];
	uint8_t *p;
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, "huge=always,size=16m")) {
		rmdir(dir);
		SKIP(return, "no tmpfs with huge pages: %s", strerror(errno));
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EXPECT_EQ(0, ftruncate(fd, GPU_SZ_2M));
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check_shmem(_metadata, &self->gpu, fd, p);
	close(fd);
	EXPECT_EQ(0, munmap(p, GPU_SZ_2M));
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

/* Behaviours 79, 80: MADV_COLLAPSE of shared memory, mapped twice by the device */
TEST_F(collapse, shmem_madvise)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(GPU_SZ_2M);
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *q = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	gpu_pattern(p, GPU_SZ_2M, 85);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_touch(q, GPU_SZ_2M, GPU_PAGE, 0));
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_MAPPED(gpu, q, GPU_SZ_2M);
	if (madvise(p, GPU_SZ_2M, MADV_COLLAPSE)) {
		EXPECT_EQ(EINVAL, errno);
		SKIP(return, "no MADV_COLLAPSE of shared memory in this kernel");
	}
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 85);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, GPU_PAGE, 0x8585858585858585));
	EXPECT_DEVICE_BYTES(gpu, q + GPU_PAGE, GPU_PAGE, 0x85);
	EXPECT_DEVICE_PATTERN(gpu, q, GPU_PAGE, 85);
	EXPECT_DEVICE_PATTERN_AT(gpu, q + 2 * GPU_PAGE, GPU_SZ_2M - 2 * GPU_PAGE, 85,
				 2 * GPU_PAGE);
	close(fd);
}

/* Behaviour 80: pages of 64 KiB: one device fault brings one in, and nothing around it */
TEST_F(collapse, size_64k)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 5 * GPU_SZ_64K;
	uint64_t first, i;
	uint8_t *p;

	if (sys_set(&self->sys, THP "hugepages-64kB/enabled", "madvise"))
		SKIP(return, "no pages of 64 KiB in this kernel (they came with 6.8)");
	sys_set(&self->sys, THP "hugepages-2048kB/enabled", "never");
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + at + 3 * GPU_PAGE, 1, 0x80)));
	EXPECT_EQ(GPU_SZ_64K / GPU_PAGE, sys_present(p, GPU_SZ_2M));
	EXPECT_EQ(GPU_SZ_64K / GPU_PAGE, sys_present(p + at, GPU_SZ_64K));
	/* Contiguous: it is one page of 64 KiB. */
	first = sys_pagemap(p + at) & SYS_PM_FRAME;
	for (i = 1; i < GPU_SZ_64K / GPU_PAGE; i++)
		EXPECT_EQ(first + i, sys_pagemap(p + at + i * GPU_PAGE) & SYS_PM_FRAME);

	/* The other fifteen were there when the window was read. */
	EXPECT_EQ((int64_t)GPU_SZ_64K, gpu_mapped(gpu, p, GPU_SZ_2M));
	EXPECT_MAPPED(gpu, p + at, GPU_SZ_64K);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p + at, GPU_SZ_64K,
							   0x6464646464646464)));
	EXPECT_BYTES(p + at, GPU_SZ_64K, 0x64);

	/* A part of it goes: exactly that. */
	EXPECT_DELTA(gpu, pages_cleared, 3,
		     ASSERT_EQ(0, madvise(p + at + GPU_PAGE, 3 * GPU_PAGE, MADV_DONTNEED)));
	EXPECT_UNMAPPED(gpu, p + at + GPU_PAGE, 3 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p + at, GPU_PAGE, 0x64);
		      EXPECT_DEVICE_BYTES(gpu, p + at + 4 * GPU_PAGE, 12 * GPU_PAGE, 0x64));
	EXPECT_DEVICE_BYTES(gpu, p + at + GPU_PAGE, 3 * GPU_PAGE, 0);
}

TEST_HARNESS_MAIN
