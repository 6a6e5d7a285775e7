// SPDX-License-Identifier: GPL-2.0
/*
 * Area access: what the device reads and writes through the mirror, how many
 * device faults that costs, and what happens where there is no memory.
 */
#include "fakegpu_test.h"

GPU_FIXTURE(access);

/* How many new intervals an access to [p, p + size) needs on a VM whose result page is warm. */
static uint64_t intervals_of(struct gpu *gpu, const void *p, size_t size)
{
	uint32_t order = gpu->conf.interval_order ? gpu->conf.interval_order
						  : gpu->info.interval_order;

	if (gpu_one_interval(gpu))
		return 0;
	return ((fakegpu_va(p) + size - 1) >> order) - (fakegpu_va(p) >> order) + 1;
}

/* Behaviour 1, 9: CPU-filled private memory; one device fault per 2 MiB window */
TEST_F(access, read_anon_small_filled)
{
	static const size_t sizes[] = {
		1, GPU_PAGE, GPU_SZ_64K, GPU_SZ_64K + 1, GPU_SZ_2M - 1, GPU_SZ_2M,
		GPU_SZ_2M + 1, 3 * GPU_SZ_2M + GPU_PAGE,
	};
	struct gpu *gpu = &self->gpu;
	size_t i, size, mapped;
	uint8_t *p;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		mapped = (size + GPU_PAGE - 1) / GPU_PAGE * GPU_PAGE;
		p = gpu_map_anon(mapped);
		gpu_pattern(p, size, i);
		EXPECT_UNMAPPED(gpu, p, mapped);
		EXPECT_FAULTS(gpu, (size + GPU_SZ_2M - 1) / GPU_SZ_2M,
			      EXPECT_DEVICE_PATTERN(gpu, p, size, i));
		EXPECT_ENTRIES(gpu, p, mapped, GPU_W, gpu->info.page_shift, SYSTEM);
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, size, i));
		EXPECT_PATTERN(p, size, i);
	}
}

/* Behaviour 1, 9: the same in 2 MiB pages: one device fault and one large leaf each */
TEST_F(access, read_anon_huge_filled)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 3 * GPU_SZ_2M;
	uint8_t *p;

	GPU_MAP_HUGE(p, size);
	gpu_pattern(p, size, 1);
	EXPECT_DELTA(gpu, leaves_large, 3,
		EXPECT_DELTA(gpu, pages_small, 0,
			EXPECT_FAULTS(gpu, 3, EXPECT_DEVICE_PATTERN(gpu, p, size, 1))));
	EXPECT_ENTRIES(gpu, p, size, GPU_W, gpu->info.leaf_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, size, 1));
}

/* Behaviour 1, 9: a few bytes in the middle of a 2 MiB page take the whole leaf */
TEST_F(access, read_anon_huge_piece)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, 2 * GPU_SZ_2M);
	gpu_pattern(p, 2 * GPU_SZ_2M, 1);
	EXPECT_FAULTS(gpu, 1,
		EXPECT_DEVICE_PATTERN_AT(gpu, p + 1000003, 101, 1, 1000003));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, gpu->info.leaf_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + GPU_SZ_2M, GPU_SZ_2M);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 1));
}

/* Behaviour 1, 82: shared memory and files read like private memory */
TEST_F(access, read_shared_file_filled)
{
	struct gpu *gpu = &self->gpu;
	int fds[] = { gpu_memfd(GPU_SZ_64K), gpu_tmpfile(GPU_SZ_64K) };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	uint8_t buf[GPU_SZ_64K];
	size_t i, j;
	uint8_t *p;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		gpu_pattern(buf, sizeof(buf), i);
		ASSERT_EQ((ssize_t)sizeof(buf), pwrite(fds[i], buf, sizeof(buf), 0));
		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			p = gpu_map(sizeof(buf), PROT_READ | PROT_WRITE, flags[j], fds[i], 0);
			EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, sizeof(buf), i));
			EXPECT_MAPPED(gpu, p, sizeof(buf));
			EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, sizeof(buf), i));
		}
		close(fds[i]);
	}
}

/* Behaviour 2: the device writes memory that nobody has touched */
TEST_F(access, write_anon_small_untouched)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 2 * GPU_SZ_2M;
	uint8_t *p = gpu_map_anon(size);
	bool present[2 * GPU_SZ_2M / GPU_PAGE];
	size_t i;

	EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(p, size, 0xa5a5a5a5a5a5a5a5)));
	gpu_cpu_present_pages(p, ARRAY_SIZE(present), present);
	for (i = 0; i < ARRAY_SIZE(present); i++)
		ASSERT_TRUE(present[i])
			TH_LOG("page %zu", i);
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_BYTES(p, size, 0xa5);
}

/* Behaviour 2: pages that the write doesn't need are not allocated */
TEST_F(access, write_anon_small_untouched_piece)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M);
	bool present[GPU_SZ_2M / GPU_PAGE];
	size_t i;

	EXPECT_FAULTS(gpu, 1,
		EXPECT_RUN(gpu, fakegpu_fill(p + 3 * GPU_PAGE + 17, GPU_PAGE, ~0ULL)));
	gpu_cpu_present_pages(p, ARRAY_SIZE(present), present);
	for (i = 0; i < ARRAY_SIZE(present); i++)
		EXPECT_EQ(i == 3 || i == 4, present[i])
			TH_LOG("page %zu", i);
	EXPECT_UNMAPPED(gpu, p, 3 * GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + 3 * GPU_PAGE, 2 * GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + 5 * GPU_PAGE, GPU_SZ_2M - 5 * GPU_PAGE);
	EXPECT_BYTES(p + 3 * GPU_PAGE, 17, 0);
	EXPECT_BYTES(p + 3 * GPU_PAGE + 17, GPU_PAGE, 0xff);
	EXPECT_BYTES(p + 4 * GPU_PAGE + 17, GPU_PAGE - 17, 0);
}

/* Behaviour 2, 77: the device's write allocates a 2 MiB page where the process asked for them */
TEST_F(access, write_anon_huge_untouched)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	if (madvise(p, GPU_SZ_2M, MADV_HUGEPAGE))
		SKIP(return, "MADV_HUGEPAGE: %s", strerror(errno));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + 5, 3, 0x030201)));
	if (gpu_thp_bytes(p, GPU_SZ_2M) != GPU_SZ_2M)
		SKIP(return, "the kernel had no 2 MiB page for the device's write");
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_BYTES(p, 5, 0);
	EXPECT_EQ(0x030201, p[5] | p[6] << 8 | p[7] << 16);
	EXPECT_BYTES(p + 8, GPU_SZ_2M - 8, 0);
}

/* Behaviour 3: never-touched memory reads as zeros and takes no write permission along */
TEST_F(access, read_anon_untouched)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M);

	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, GPU_SZ_64K, 0));
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_SZ_64K, 0, gpu->info.page_shift, ZERO);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE + GPU_SZ_64K, GPU_SZ_2M - GPU_PAGE - GPU_SZ_64K);
}

/* Behaviour 3: pages that the CPU has read, and nobody has written, are the page of zeros */
TEST_F(access, read_anon_zero_page)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(4 * GPU_PAGE);

	EXPECT_BYTES(p, 3 * GPU_PAGE, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, 100, 0));
	/* The fourth page was present nowhere, so it was not taken along. */
	EXPECT_ENTRIES(gpu, p, 3 * GPU_PAGE, 0, gpu->info.page_shift, ZERO);
	EXPECT_UNMAPPED(gpu, p + 3 * GPU_PAGE, GPU_PAGE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, 3 * GPU_PAGE, 0));
}

/* Behaviour 3: the same where the CPU may use a huge page of zeros */
TEST_F(access, read_anon_huge_untouched)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);

	if (madvise(p, GPU_SZ_2M, MADV_HUGEPAGE))
		SKIP(return, "MADV_HUGEPAGE: %s", strerror(errno));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0));
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	/* If the kernel splits the PMD for it, the entry is soon back, but with the new page. */
	p[GPU_PAGE + 1] = 7;
	EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE + 1, 1, 7);
	EXPECT_VERIFY(gpu);
	EXPECT_RUN(gpu, fakegpu_fill(p + 2 * GPU_PAGE, 1, 9));
	EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE + 1, 1, 7);
	EXPECT_EQ(9, p[2 * GPU_PAGE]);
	EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_PAGE + 1, GPU_PAGE - 1, 0);
}

/* Behaviour 4: the page of zeros is replaced by the device's write */
TEST_F(access, zero_page_device_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_PAGE);

	EXPECT_DEVICE_BYTES(gpu, p, 3 * GPU_PAGE, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE + 8, 8, ~0ULL)));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, 0, gpu->info.page_shift, ZERO);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 2 * GPU_PAGE, GPU_PAGE, 0, gpu->info.page_shift, ZERO);
	EXPECT_BYTES(p, GPU_PAGE + 8, 0);
	EXPECT_BYTES(p + GPU_PAGE + 8, 8, 0xff);
	EXPECT_BYTES(p + GPU_PAGE + 16, 2 * GPU_PAGE - 16, 0);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE + 8, 8, 0xff));
}

/* Behaviour 4: the page of zeros is replaced by the CPU while the device holds it */
TEST_F(access, zero_page_cpu_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_PAGE);

	EXPECT_DEVICE_BYTES(gpu, p, 3 * GPU_PAGE, 0);
	EXPECT_DELTA(gpu, pages_cleared, 1, p[GPU_PAGE + 5] = 0x5a);
	EXPECT_MAPPED(gpu, p, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 2 * GPU_PAGE, GPU_PAGE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE + 5, 1, 0x5a));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE + 5, 0));
	/* From now on both write the same page, and nothing is invalidated. */
	EXPECT_DELTA(gpu, invalidations_useful, 0, p[GPU_PAGE + 6] = 0x5b);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE + 6, 1, 0x5b));
}

/* Behaviour 5: exact device faults for each command, cold and then warm */
TEST_F(access, second_access_hits)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_queue_get_state queue;
	struct {
		const char *name;
		struct drm_fakegpu_cmd cmd;
		uint64_t cold;
	} table[16];
	uint64_t *p[24], faults;
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = gpu_map_anon(GPU_SZ_64K);
		memset(p[i], 0, GPU_SZ_64K);
	}
	/* A list of 16 nodes, one in each page, for CHASE. */
	for (i = 0; i < 15; i++)
		p[0][i * 512] = fakegpu_va(&p[0][(i + 1) * 512]);

#define ROW(what, faults) do { \
	table[n].name = #what; \
	table[n].cmd = what; \
	table[n++].cold = faults; \
} while (0)
	ROW(fakegpu_nop(), 0);
	ROW(fakegpu_chase(p[0], 100, 0, 8, gpu->res), 1);
	ROW(fakegpu_touch(p[1], GPU_SZ_64K, 64, 0), 1);
	ROW(fakegpu_touch(p[2], GPU_SZ_64K, 64, DRM_FAKEGPU_CMD_WRITE), 1);
	ROW(fakegpu_fill(p[3], GPU_SZ_64K, 1), 1);
	ROW(fakegpu_copy(p[4], p[5], GPU_SZ_64K), 2);
	ROW(fakegpu_compare(p[6], p[7], GPU_SZ_64K, gpu->res), 2);
	ROW(fakegpu_checksum(p[8], GPU_SZ_64K, gpu->res), 1);
	ROW(fakegpu_checksum(p[9], GPU_SZ_64K, p[10]), 2);
	ROW(fakegpu_atomic(p[11], 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, gpu->res), 1);
	ROW(fakegpu_atomic(p[12], 4, DRM_FAKEGPU_ATOMIC_SWAP, 1, 0, p[13]), 2);
	ROW(fakegpu_sem_wait(p[14], 0, 0), 1);
	ROW(fakegpu_sem_signal(p[15], 5, 0), 1);
	ROW(fakegpu_sem_signal(p[16], 5, DRM_FAKEGPU_SEM_ADD), 1);
	ROW(fakegpu_timestamp(p[17]), 1);
#undef ROW

	for (i = 0; i < n; i++) {
		struct drm_fakegpu_vm_get_state s[3];

		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, gpu->queue, &queue));
		faults = queue.faults;
		s[0] = gpu_state(gpu);
		EXPECT_RUN(gpu, table[i].cmd);
		s[1] = gpu_state(gpu);
		EXPECT_RUN(gpu, table[i].cmd);
		s[2] = gpu_state(gpu);
		EXPECT_EQ(table[i].cold, s[1].faults - s[0].faults)
			TH_LOG("cold %s", table[i].name);
		EXPECT_EQ(table[i].cold, s[1].windows - s[0].windows)
			TH_LOG("cold %s", table[i].name);
		EXPECT_EQ(s[1].faults, s[2].faults)
			TH_LOG("warm %s", table[i].name);
		EXPECT_EQ(s[1].windows, s[2].windows)
			TH_LOG("warm %s", table[i].name);
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, gpu->queue, &queue));
		EXPECT_EQ(table[i].cold, queue.faults - faults)
			TH_LOG("queue's counter, %s", table[i].name);
	}
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

/* Behaviour 5, 116: after a prefetch no access faults */
TEST_F(access, prefetch_then_access)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 2 * GPU_SZ_2M;
	uint8_t *p = gpu_map_anon(size);
	uint64_t done = 0;

	gpu_pattern(p, size, 4);
	EXPECT_DELTA(gpu, windows, 2,
		EXPECT_FAULTS(gpu, 0,
			EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, size, &done))));
	EXPECT_EQ(size, done);
	EXPECT_MAPPED(gpu, p, size);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, size, 4));

	/* Written ahead of use: pages get allocated and are writable. */
	p = gpu_map_anon(size);
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p + 1,
				      size - 2, &done));
	EXPECT_EQ(size - 2, done);
	EXPECT_ENTRIES(gpu, p, size, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, size, 0)));
}

/* Behaviour 14, 116: a prefetch of what is present allocates nothing and skips holes */
TEST_F(access, prefetch_present_only)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(8 * GPU_PAGE);
	uint64_t done = 0;

	p[1 * GPU_PAGE] = 1;
	p[6 * GPU_PAGE] = 6;
	ASSERT_EQ(0, munmap(p + 3 * GPU_PAGE, 2 * GPU_PAGE));
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p,
				      8 * GPU_PAGE, &done));
	EXPECT_EQ(8 * GPU_PAGE, done);
	EXPECT_FALSE(gpu_cpu_present(p));
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 1 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 2 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 6 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 7 * GPU_PAGE, GPU_PAGE);
}

/* Behaviour 6: a read, then a write of the same page: the second fault is for the write only */
TEST_F(access, read_then_write_upgrade)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(GPU_SZ_64K);
	uint8_t *p, buf[2] = { 1, 2 };

	/* Read-only behind the device's back: the page of zeros. */
	p = gpu_map_anon(GPU_SZ_64K);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_64K, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_64K, ~0ULL)));
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_64K, 0)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_64K, 0));

	/* Read-only behind the device's back: a page of a file, mapped privately. */
	ASSERT_EQ(2, pwrite(fd, buf, 2, 0));
	p = gpu_map(GPU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, 1, 1));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, 1, 9)));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, 1, 9));
	EXPECT_EQ(9, p[0]);
	EXPECT_EQ(2, p[1]);
	ASSERT_EQ(1, pread(fd, buf, 1, 0));
	EXPECT_EQ(1, buf[0]);
	close(fd);

	/* Writable in the CPU's page table: the read brought write permission along. */
	p = gpu_map_anon(GPU_PAGE);
	p[0] = 1;
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, 1, 1));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, 1, 2)));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
}

/* Behaviours 6, 122: a fault beside it leaves the mark that the device has written to a page */
TEST_F(access, written_then_fault_beside)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_PAGE);

	p[GPU_PAGE] = 1;
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, GPU_PAGE, 0)));
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);

	/* These faults read the whole window again, and what is there already. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, 0)));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p + 2 * GPU_PAGE, 1, 1,
							    DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
}

/* Behaviour 7: one command over several VMAs of one window */
TEST_F(access, multi_vma_one_command)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 12 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size);

	gpu_pattern(p, size, 7);
	/* Different rights keep the kernel from merging the three. */
	ASSERT_EQ(0, mprotect(p + 4 * GPU_PAGE, 4 * GPU_PAGE, PROT_READ));
	EXPECT_FAULTS(gpu, 3, EXPECT_DEVICE_PATTERN(gpu, p, size, 7));
	EXPECT_MAPPED(gpu, p, size);
	EXPECT_ENTRIES(gpu, p + 4 * GPU_PAGE, 4 * GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, size, 7));
}

/* Behaviour 7: one command over several windows and intervals, with two cold operands */
TEST_F(access, multi_interval_one_command)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 4 * GPU_SZ_2M;
	uint8_t *both = gpu_map_anon(2 * size), *src = both, *dst = both + size;

	gpu_pattern(src, size, 3);
	EXPECT_DELTA(gpu, intervals, intervals_of(gpu, both, 2 * size),
		EXPECT_FAULTS(gpu, 8, EXPECT_RUN(gpu, fakegpu_copy(dst, src, size))));
	EXPECT_PATTERN(dst, size, 3);
	EXPECT_FAULTS(gpu, 0,
		EXPECT_RUN(gpu, fakegpu_compare(dst, src, size, gpu->res)));
	EXPECT_EQ(size, gpu->res[0]);
}

/* Behaviour 7: a command whose range crosses from one slot of the largest order to the next */
TEST_F(access, multi_interval_slot_border)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *border = gpu_va(GPU_SZ_1G, GPU_SZ_1G), *p = border - GPU_PAGE;

	ASSERT_EQ(p, mmap(p, 2 * GPU_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, madvise(p, 2 * GPU_PAGE, MADV_NOHUGEPAGE));
	EXPECT_DELTA(gpu, intervals, intervals_of(gpu, p, 2 * GPU_PAGE),
		EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(border - 3, 7, ~0ULL))));
	EXPECT_BYTES(p, GPU_PAGE - 3, 0);
	EXPECT_BYTES(border - 3, 7, 0xff);
	EXPECT_BYTES(border + 4, GPU_PAGE - 4, 0);
}

/* Behaviour 7: the order in which windows are visited makes no difference */
TEST_F(access, multi_window_any_order)
{
	static const unsigned int order[] = { 5, 2, 7, 0, 3, 6, 1, 4 };
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmds[ARRAY_SIZE(order)];
	uint8_t *p = gpu_map_anon(8 * GPU_SZ_2M);
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		at = order[i] * GPU_SZ_2M + order[i] * GPU_PAGE;
		p[at] = order[i] + 1;
		cmds[i] = fakegpu_checksum(p + at, 1, gpu->res + 1 + order[i]);
	}
	EXPECT_FAULTS(gpu, 8, EXPECT_EQ(0, gpu_run(gpu, cmds, ARRAY_SIZE(cmds))));
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		EXPECT_EQ(gpu_crc_byte(1, i + 1), gpu->res[1 + i])
			TH_LOG("window %zu", i);
	}
	EXPECT_FAULTS(gpu, 0,
		EXPECT_RUN(gpu, fakegpu_touch(p, 8 * GPU_SZ_2M, GPU_SZ_2M + GPU_PAGE, 0)));
}

/* Behaviour 8: an access of a few bytes that crosses a page, and one that crosses a window */
TEST_F(access, subpage_crossing)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_SZ_2M), *border = p + GPU_SZ_2M;

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE - 1, 2, 0xbbaa)));
	EXPECT_EQ(0xaa, p[GPU_PAGE - 1]);
	EXPECT_EQ(0xbb, p[GPU_PAGE]);
	EXPECT_FAULTS(gpu, 2,
		EXPECT_RUN(gpu, fakegpu_fill(border - 4, 8, 0x8877665544332211)));
	EXPECT_EQ(0x44332211, p[GPU_SZ_2M - 4] | p[GPU_SZ_2M - 3] << 8 |
			      p[GPU_SZ_2M - 2] << 16 | p[GPU_SZ_2M - 1] << 24);
	EXPECT_EQ(0x55, border[0]);
	EXPECT_EQ(0, border[4]);
	EXPECT_EQ(0, border[-5]);
	/* The result of a command is an access like any other. */
	EXPECT_FAULTS(gpu, 0,
		EXPECT_RUN(gpu, fakegpu_compare(p, p + 3, 1, (uint64_t *)(border - 3))));
	EXPECT_EQ(1, border[-3]);
	EXPECT_BYTES(border - 2, 7, 0);
}

/* Behaviour 8: memory of odd size and alignment from malloc() */
TEST_F(access, unaligned_malloc)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 3 * GPU_SZ_1M / 2 + 1;
	uint8_t *p = malloc(size), *q = malloc(size + 2);

	ASSERT_TRUE(p && q);
	gpu_pattern(p, size, 11);
	memset(q, 0xee, size + 2);
	EXPECT_RUN(gpu, fakegpu_copy(q + 1, p, size));
	EXPECT_EQ(0xee, q[0]);
	EXPECT_PATTERN(q + 1, size, 11);
	EXPECT_EQ(0xee, q[size + 1]);
	EXPECT_DEVICE_PATTERN(gpu, q + 1, size, 11);
	free(p);
	free(q);
}

/* Behaviour 9: after one access per window the mirror has what was present, and nothing else */
TEST_F(access, random_mix_small)
{
	struct gpu *gpu = &self->gpu;
	const size_t pages = 4 * GPU_SZ_2M / GPU_PAGE, per_window = GPU_SZ_2M / GPU_PAGE;
	bool present[4 * GPU_SZ_2M / GPU_PAGE] = { false };
	uint8_t *p = gpu_map_anon(4 * GPU_SZ_2M);
	uint64_t seed = 9, count = 0;
	size_t i, wrong = 0;

	for (i = 0; i < pages; i++) {
		present[i] = gpu_rand(&seed) % 3 == 0;
		if (present[i])
			gpu_pattern_at(p + i * GPU_PAGE, GPU_PAGE, 9, i * GPU_PAGE);
	}
	for (i = 0; i < 4; i++) {
		size_t at = i * per_window + gpu_rand(&seed) % per_window;

		present[at] = true;
		EXPECT_FAULTS(gpu, 1,
			EXPECT_RUN(gpu, fakegpu_touch(p + at * GPU_PAGE + 77, 1, 1, 0)));
	}
	for (i = 0; i < pages; i++) {
		count += present[i];
		wrong += gpu_mapped(gpu, p + i * GPU_PAGE, GPU_PAGE) !=
			 (present[i] ? (int64_t)GPU_PAGE : 0);
	}
	EXPECT_EQ(0UL, wrong);
	EXPECT_EQ(count * GPU_PAGE, gpu_mapped(gpu, p, pages * GPU_PAGE));
}

/* Behaviour 9: small and 2 MiB pages side by side in one command */
TEST_F(access, random_mix_huge)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 2 * GPU_SZ_2M;
	uint8_t *small = gpu_map_anon(size), *huge;
	uint64_t seed = 10;
	int i;

	GPU_MAP_HUGE(huge, size);
	gpu_pattern(small, size, 1);
	for (i = 0; i < 40; i++) {
		size_t n = 1 + gpu_rand(&seed) % GPU_SZ_64K;
		size_t from = gpu_rand(&seed) % (size - n), to = gpu_rand(&seed) % (size - n);

		EXPECT_RUN(gpu, fakegpu_copy(huge + to, small + from, n));
		EXPECT_PATTERN_AT(huge + to, n, 1, from);
	}
	EXPECT_GAUGE(gpu, faults_fatal, 0);
	EXPECT_DELTA(gpu, leaves_large, 0, EXPECT_DEVICE_PATTERN(gpu, small, size, 1));
	EXPECT_ENTRIES(gpu, huge, size, GPU_WD, gpu->info.leaf_shift, SYSTEM);
}

/* Behaviour 10: each kind of access to a hole; who else works is not disturbed */
TEST_F(access, fault_unmapped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *hole = gpu_va(GPU_SZ_2M, GPU_SZ_2M) + 3 * GPU_PAGE;
	uint64_t *word = (uint64_t *)(hole + 64);
	uint8_t *p = gpu_map_anon(GPU_PAGE);

	gpu_pattern(p, GPU_PAGE, 5);
#define BAD(cmd, addr, kind) do { \
	EXPECT_DELTA(gpu, faults_fatal, 1, EXPECT_FATAL(gpu, cmd, EFAULT, addr, kind)); \
	EXPECT_EQ(0ULL, gpu->fatal.queue.completed); \
	EXPECT_EQ(0U, gpu->fatal.queue.cmd_index); \
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 5); \
} while (0)
	BAD(fakegpu_touch(hole + 5, 10, 1, 0), hole + 5, READ);
	BAD(fakegpu_touch(hole + 5, 10, 1, DRM_FAKEGPU_CMD_WRITE), hole + 5, WRITE);
	BAD(fakegpu_fill(hole + 7, 10, 1), hole + 7, WRITE);
	BAD(fakegpu_copy(p, hole, 10), hole, READ);
	BAD(fakegpu_copy(hole + 1, p, 10), hole + 1, WRITE);
	BAD(fakegpu_compare(p, hole + 2, 10, gpu->res), hole + 2, READ);
	BAD(fakegpu_compare(hole + 3, p, 10, gpu->res), hole + 3, READ);
	BAD(fakegpu_checksum(hole + 9, 10, gpu->res), hole + 9, READ);
	BAD(fakegpu_checksum(p, 10, word), word, WRITE);
	BAD(fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, gpu->res), word, ATOMIC);
	BAD(fakegpu_atomic(word, 4, DRM_FAKEGPU_ATOMIC_SWAP, 1, 0, NULL), word, ATOMIC);
	BAD(fakegpu_sem_wait(word, 0, 0), word, READ);
	BAD(fakegpu_sem_signal(word, 0, 0), word, WRITE);
	BAD(fakegpu_sem_signal(word, 0, DRM_FAKEGPU_SEM_ADD), word, ATOMIC);
	BAD(fakegpu_timestamp(hole + 11), hole + 11, WRITE);
#undef BAD
	EXPECT_UNMAPPED(gpu, hole - 3 * GPU_PAGE, GPU_SZ_2M);
}

/* Behaviour 10: what comes after the fatal command isn't executed, what came before is done */
TEST_F(access, fault_unmapped_order)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *hole = gpu_va(GPU_SZ_2M, GPU_SZ_2M), *p = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd first[] = {
		fakegpu_sem_wait(gpu->res + 8, 1, 0),
		fakegpu_fill(p, 1, 1),
	};
	struct drm_fakegpu_cmd second[] = {
		fakegpu_fill(p + 1, 1, 2),
		fakegpu_fill(hole, 1, 3),
		fakegpu_fill(p + 2, 1, 4),
	};
	struct drm_fakegpu_cmd third = fakegpu_fill(p + 3, 1, 5);
	struct drm_fakegpu_queue_get_state state = { 0 };
	uint32_t queue = gpu_queue(gpu);
	uint64_t seqno[3] = { 0 };

	gpu->res[8] = 0;
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, queue, first, 2, &seqno[0]));
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, queue, second, 3, &seqno[1]));
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, queue, &third, 1, &seqno[2]));
	EXPECT_EQ(1UL, seqno[0]);
	EXPECT_EQ(2UL, seqno[1]);
	EXPECT_EQ(3UL, seqno[2]);
	/* Nothing can have happened yet. */
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, queue, 1, 0));
	EXPECT_RUN(gpu, fakegpu_sem_signal(gpu->res + 8, 1, 0));

	EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, 3, GPU_WAIT_NS));
	EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, 2, GPU_WAIT_NS));
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, queue, 1, GPU_WAIT_NS));
	EXPECT_EQ(-EIO, fakegpu_submit(gpu->fd, queue, &third, 1, NULL));
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
	EXPECT_EQ(1ULL, state.completed);
	EXPECT_EQ(3ULL, state.submitted);
	EXPECT_EQ(1U, state.cmd_index);
	EXPECT_EQ((uint32_t)EFAULT, state.error);
	EXPECT_EQ(fakegpu_va(hole), state.fault_addr);
	EXPECT_EQ((uint32_t)DRM_FAKEGPU_QUEUE_FATAL, state.flags);
	EXPECT_EQ(1, p[0]);
	EXPECT_EQ(2, p[1]);
	EXPECT_EQ(0, p[2]);
	EXPECT_EQ(0, p[3]);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	/* A queue of the same VM works on. */
	EXPECT_RUN(gpu, third);
	EXPECT_EQ(5, p[3]);
}

/* Behaviour 10: memory that appears in the hole is usable by the next queue */
TEST_F(access, fault_unmapped_then_mapped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *hole = gpu_va(GPU_PAGE, GPU_SZ_2M);

	EXPECT_FATAL(gpu, fakegpu_fill(hole, 8, 1), EFAULT, hole, WRITE);
	ASSERT_EQ(hole, mmap(hole, GPU_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(hole, 8, ~0ULL)));
	EXPECT_BYTES(hole, 8, 0xff);
}

/* Behaviour 11: writes into a range with a hole: done below it, nothing above it */
TEST_F(access, straddle_hole_write)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 5 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size), *src = gpu_map_anon(size);
	uint8_t *hole = p + 2 * GPU_PAGE;

	memset(p, 0x11, size);
	gpu_pattern(src, size, 2);
	ASSERT_EQ(0, munmap(hole, GPU_PAGE));

	EXPECT_FATAL(gpu, fakegpu_fill(p + 13, size - 20, ~0ULL), EFAULT, hole, WRITE);
	EXPECT_EQ((uint64_t)(hole - p - 13), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(p, 13, 0x11);
	EXPECT_BYTES(p + 13, 2 * GPU_PAGE - 13, 0xff);
	EXPECT_BYTES(p + 3 * GPU_PAGE, 2 * GPU_PAGE, 0x11);

	EXPECT_FATAL(gpu, fakegpu_copy(p + 5, src + 3, size - 20), EFAULT, hole, WRITE);
	EXPECT_EQ((uint64_t)(hole - p - 5), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_PATTERN_AT(p + 5, 2 * GPU_PAGE - 5, 2, 3);
	EXPECT_BYTES(p + 3 * GPU_PAGE, 2 * GPU_PAGE, 0x11);

	EXPECT_FATAL(gpu, fakegpu_touch(p + 1, size - 1, 100, DRM_FAKEGPU_CMD_WRITE), EFAULT,
		     p + 1 + (2 * GPU_PAGE - 1 + 99) / 100 * 100, WRITE);
}

/* Behaviour 11: reads from a range with a hole: what was read is used, no result is written */
TEST_F(access, straddle_hole_read)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 5 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size), *dst = gpu_map_anon(size), *same = gpu_map_anon(size);
	uint8_t *hole = p + 2 * GPU_PAGE;

	gpu_pattern(p, size, 6);
	gpu_pattern(same, size, 6);
	memset(dst, 0x22, size);
	ASSERT_EQ(0, munmap(hole, GPU_PAGE));

	EXPECT_FATAL(gpu, fakegpu_copy(dst + 1, p + 9, size - 9), EFAULT, hole, READ);
	EXPECT_EQ((uint64_t)(hole - p - 9), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_EQ(0x22, dst[0]);
	EXPECT_PATTERN_AT(dst + 1, 2 * GPU_PAGE - 9, 6, 9);
	EXPECT_BYTES(dst + 1 + 2 * GPU_PAGE - 9, size - 1 - 2 * GPU_PAGE + 9, 0x22);

	gpu->res[1] = 0x1234;
	EXPECT_FATAL(gpu, fakegpu_checksum(p, size, gpu->res + 1), EFAULT, hole, READ);
	EXPECT_EQ(2 * GPU_PAGE, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_EQ(0x1234UL, gpu->res[1]);
	EXPECT_FATAL(gpu, fakegpu_compare(same, p, size, gpu->res + 1), EFAULT, hole, READ);
	EXPECT_EQ(2 * GPU_PAGE, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_EQ(0x1234UL, gpu->res[1]);

	/* Warm on both sides now: still the hole faults, and only the hole. */
	EXPECT_FATAL(gpu, fakegpu_checksum(p + GPU_PAGE, size - GPU_PAGE, gpu->res + 1), EFAULT,
		     hole, READ);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 3 * GPU_PAGE, 2 * GPU_PAGE, 6, 3 * GPU_PAGE);
}

/* Behaviour 12: many queues, each with a bad access; the others don't notice */
TEST_F(access, storm_many_queues)
{
	struct gpu *gpu = &self->gpu;
	uint32_t n = gpu->info.max_queues - 1, i, round, queues[256];
	uint8_t *hole = gpu_va(GPU_SZ_1G, GPU_SZ_2M), *p = gpu_map_anon(GPU_SZ_64K);
	struct drm_fakegpu_cmd bad;
	uint64_t total = 0, none;
	uint32_t count = 0;

	gpu_pattern(p, GPU_SZ_64K, 12);
	if (n > ARRAY_SIZE(queues))
		n = ARRAY_SIZE(queues);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < n; i++) {
			queues[i] = gpu_queue(gpu);
			bad = fakegpu_fill(hole + i * GPU_SZ_2M + round, 8, 0);
			EXPECT_EQ(0, fakegpu_submit(gpu->fd, queues[i], &bad, 1, &none));
		}
		EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 12);
		for (i = 0; i < n; i++) {
			EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queues[i], 1, GPU_WAIT_NS));
			EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queues[i]));
		}
	}
	EXPECT_GAUGE(gpu, faults_fatal, 4 * n);
	EXPECT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, NULL, &count, &total));
	EXPECT_EQ(4UL * n, total);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 12));
}

/* Behaviour 12: the log of fatal faults is bounded and keeps the newest, oldest first */
TEST_F(access, storm_fault_log)
{
	struct gpu *gpu = &self->gpu;
	uint32_t size = gpu->info.fault_log_size, n = size + 3, i, count;
	struct drm_fakegpu_fault_info *log = calloc(n, sizeof(*log));
	uint8_t *hole = gpu_va(GPU_SZ_2M, GPU_SZ_2M);
	uint64_t total = 0;

	ASSERT_NE(NULL, log);
	for (i = 0; i < n; i++)
		EXPECT_FATAL(gpu, fakegpu_fill(hole + i, 1, 0), EFAULT, hole + i, WRITE);
	count = n;
	EXPECT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, log, &count, &total));
	EXPECT_EQ(size, count);
	EXPECT_EQ((uint64_t)n, total);
	for (i = 0; i < count; i++) {
		EXPECT_EQ(fakegpu_va(hole + n - size + i), log[i].addr);
		if (i)
			EXPECT_LE(log[i - 1].time_ns, log[i].time_ns);
	}
	/* Too short an array gets the newest. */
	memset(log, 0, n * sizeof(*log));
	count = 2;
	EXPECT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, log, &count, &total));
	EXPECT_EQ(2U, count);
	EXPECT_EQ(fakegpu_va(hole + n - 2), log[0].addr);
	EXPECT_EQ(fakegpu_va(hole + n - 1), log[1].addr);
	EXPECT_EQ(0ULL, log[2].addr);
	free(log);
}

/* Behaviour 12, 14: thousands of accesses that may fail, one count per page */
TEST_F(access, storm_nofault)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *hole = gpu_va(8 * GPU_SZ_2M, GPU_SZ_2M);

	EXPECT_DELTA(gpu, faults_nofault, 4096,
		EXPECT_RUN(gpu, fakegpu_touch(hole, 4096 * GPU_PAGE, GPU_PAGE,
					      DRM_FAKEGPU_CMD_NOFAULT)));
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

/* Behaviour 14: an access that may fail: no error, counted, and the good pages are accessed */
TEST_F(access, nofault_hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(6 * GPU_PAGE);
	uint64_t total = 0;
	uint32_t count = 0;

	ASSERT_EQ(0, munmap(p + GPU_PAGE, GPU_PAGE));
	ASSERT_EQ(0, munmap(p + 3 * GPU_PAGE, 2 * GPU_PAGE));
	/* 64 accesses a page, one count a page. */
	EXPECT_DELTA(gpu, faults_nofault, 3,
		EXPECT_RUN(gpu, fakegpu_touch(p, 6 * GPU_PAGE, 64,
					      DRM_FAKEGPU_CMD_NOFAULT |
					      DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_MAPPED(gpu, p, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 2 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 3 * GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 5 * GPU_PAGE, GPU_PAGE);
	EXPECT_GAUGE(gpu, faults_fatal, 0);
	EXPECT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, NULL, &count, &total));
	EXPECT_EQ(0UL, total);
	/* Without the flag the same is fatal, at the first bad byte. */
	EXPECT_FATAL(gpu, fakegpu_touch(p, 6 * GPU_PAGE, 64, 0), EFAULT, p + GPU_PAGE, READ);
}

/* Behaviour 14, 16: the same for writes to memory that is mapped read-only */
TEST_F(access, nofault_readonly)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_PAGE);

	gpu_pattern(p, 3 * GPU_PAGE, 8);
	ASSERT_EQ(0, mprotect(p + GPU_PAGE, GPU_PAGE, PROT_READ));
	EXPECT_DELTA(gpu, faults_nofault, 1,
		EXPECT_RUN(gpu, fakegpu_touch(p, 3 * GPU_PAGE, GPU_PAGE,
					      DRM_FAKEGPU_CMD_NOFAULT |
					      DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_DELTA(gpu, faults_nofault, 0,
		EXPECT_RUN(gpu, fakegpu_touch(p, 3 * GPU_PAGE, GPU_PAGE,
					      DRM_FAKEGPU_CMD_NOFAULT)));
	EXPECT_DEVICE_PATTERN(gpu, p, 3 * GPU_PAGE, 8);
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

TEST_HARNESS_MAIN
