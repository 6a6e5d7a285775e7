// SPDX-License-Identifier: GPL-2.0
/*
 * What things cost. Asserted are exact counts only: faults, windows, callbacks.
 * Times are printed for whoever wants to look: lines that begin with
 * "# measured:", which the runner passes on.
 */
#include "fakegpu_test.h"

GPU_FIXTURE(cost);

#define MEASURED(fmt, ...) \
	dprintf(STDOUT_FILENO, "# measured: " fmt "\n", ##__VA_ARGS__)

/* The device reads each page of the range. Return: nanoseconds. */
static int64_t read_all(struct __test_metadata *_metadata, struct gpu *gpu, const void *p,
			size_t size)
{
	int64_t begin = gpu_now();

	EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, 0));
	return gpu_now() - begin;
}

/* Cold and warm: a fault and a window for each @per bytes, then none. */
static void measure_faults(struct __test_metadata *_metadata, struct gpu *gpu, const char *what,
			   const void *p, size_t size, size_t per)
{
	uint64_t n = (size + per - 1) / per;
	int64_t cold = 0, warm = 0;

	EXPECT_DELTA(gpu, windows, n,
		     EXPECT_FAULTS(gpu, n, cold = read_all(_metadata, gpu, p, size)));
	EXPECT_DELTA(gpu, windows, 0,
		     EXPECT_FAULTS(gpu, 0, warm = read_all(_metadata, gpu, p, size)));
	MEASURED("%s, %zu KiB: %llu faults, %lld ns each; cold %lld, warm %lld ns a page", what,
		 size / 1024, (unsigned long long)n, (long long)cold / (long long)n,
		 (long long)(cold / (int64_t)(size / GPU_PAGE)),
		 (long long)(warm / (int64_t)(size / GPU_PAGE)));
}

/* How many live intervals the mirror of [p, p + size) takes, if each has an entry. */
static uint64_t intervals_of(struct gpu *gpu, const void *p, size_t size)
{
	unsigned int order = gpu->conf.interval_order;

	if (gpu_one_interval(gpu))
		return 1;
	if (!order)
		order = gpu->info.interval_order;
	return ((fakegpu_va(p) + size - 1) >> order) - (fakegpu_va(p) >> order) + 1;
}

/* One page in each of @blocks aligned blocks of 2 MiB, present and mirrored. */
static uint8_t *one_page_a_block(struct __test_metadata *_metadata, struct gpu *gpu, size_t blocks)
{
	uint8_t *p = gpu_map_anon(blocks * GPU_SZ_2M);
	size_t i;

	for (i = 0; i < blocks; i++)
		p[i * GPU_SZ_2M] = 1;
	EXPECT_FAULTS(gpu, blocks,
		      EXPECT_RUN(gpu, fakegpu_touch(p, blocks * GPU_SZ_2M, GPU_SZ_2M, 0)));
	EXPECT_EQ((int64_t)(blocks * GPU_PAGE), gpu_mapped(gpu, p, blocks * GPU_SZ_2M));
	return p;
}

/* Behaviour 124: small pages: a fault and a window for each 2 MiB that are touched */
TEST_F(cost, fault_by_size)
{
	static const size_t sizes[] = { GPU_PAGE, GPU_SZ_64K, GPU_SZ_2M, 4 * GPU_SZ_2M };
	struct gpu *gpu = &self->gpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *p = gpu_map_anon(sizes[i]);

		gpu_pattern(p, sizes[i], i);
		measure_faults(_metadata, gpu, "small pages", p, sizes[i], GPU_SZ_2M);
		EXPECT_ENTRIES(gpu, p, sizes[i], GPU_W, gpu->info.page_shift, SYSTEM);
	}
}

/* Behaviour 124: pages that the CPU has to allocate first take no more faults */
TEST_F(cost, fault_by_size_untouched)
{
	static const size_t sizes[] = { GPU_PAGE, GPU_SZ_64K, GPU_SZ_2M };
	struct gpu *gpu = &self->gpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		measure_faults(_metadata, gpu, "untouched pages", gpu_map_anon(sizes[i]), sizes[i],
			       GPU_SZ_2M);
}

/* Behaviour 124: pages of which the CPU has all but the last, where there is an interval */
TEST_F(cost, fault_in_part)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_SZ_64K), *part = p + GPU_SZ_64K;

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_64K, 0)));
	gpu_pattern(part, GPU_SZ_64K - GPU_PAGE, 1);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(part, GPU_SZ_64K, 1,
							    DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_PATTERN(part, GPU_SZ_64K - GPU_PAGE, 1);
	EXPECT_BYTES(part + GPU_SZ_64K - GPU_PAGE, GPU_PAGE, 0);
}

/* Behaviour 124: huge pages: a fault, a window and a leaf each */
TEST_F(cost, fault_huge)
{
	const size_t size = 4 * GPU_SZ_2M;
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, size);
	EXPECT_DELTA(gpu, leaves_large, 4,
		     measure_faults(_metadata, gpu, "huge pages", p, size, GPU_SZ_2M));
}

/* Behaviour 124: the window's size decides how many faults there are, up to the interval's */
TEST_F(cost, fault_by_window)
{
	static const uint32_t orders[] = { 12, 16, 21, 22 };
	const size_t size = 2 * GPU_SZ_2M;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		struct gpu_conf conf = self->gpu.conf;
		uint32_t order = orders[i];
		uint8_t *p = gpu_va(size, size);
		struct gpu gpu;
		char what[32];

		ASSERT_EQ(p, mmap(p, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		ASSERT_EQ(0, madvise(p, size, MADV_NOHUGEPAGE));
		gpu_pattern(p, size, i);
		conf.window_order = order;
		ASSERT_EQ(0, gpu_open_cold(&gpu, &conf, 0))
			TH_LOG("%s", gpu_why());
		if (conf.interval_order && order > conf.interval_order)
			order = conf.interval_order;
		snprintf(what, sizeof(what), "windows of order %u", orders[i]);
		measure_faults(_metadata, &gpu, what, p, size, 1UL << order);
		EXPECT_EQ(0, gpu_close(&gpu))
			TH_LOG("%s", gpu_why());
	}
}

/* Behaviours 116, 124: a prefetch: windows and no fault */
TEST_F(cost, prefetch_by_size)
{
	static const size_t sizes[] = { GPU_PAGE, GPU_SZ_2M, 8 * GPU_SZ_2M };
	struct gpu *gpu = &self->gpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t done = 0, n = (sizes[i] + GPU_SZ_2M - 1) / GPU_SZ_2M;
		uint8_t *p = gpu_map_anon(sizes[i]);
		int64_t ns = 0;

		gpu_pattern(p, sizes[i], i);
		EXPECT_DELTA(gpu, windows, n,
			     EXPECT_FAULTS(gpu, 0,
					   ns = gpu_now();
					   EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p,
									 sizes[i], &done));
					   ns = gpu_now() - ns));
		EXPECT_EQ(sizes[i], done);
		MEASURED("prefetch, %zu KiB: %llu windows, %lld ns a page", sizes[i] / 1024,
			 (unsigned long long)n, (long long)(ns / (int64_t)(sizes[i] / GPU_PAGE)));
	}
}

/* Behaviours 32, 124: munmap calls back once for each interval, however much lies in it */
TEST_F(cost, munmap_by_intervals)
{
	static const size_t blocks[] = { 1, 8, 64 };
	struct gpu *gpu = &self->gpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		uint64_t intervals = gpu_state(gpu).intervals;
		size_t size = blocks[i] * GPU_SZ_2M;
		uint8_t *p = one_page_a_block(_metadata, gpu, blocks[i]);
		uint64_t n = intervals_of(gpu, p, size);
		int64_t ns = 0;

		EXPECT_DELTA(gpu, invalidations, n,
			     EXPECT_DELTA(gpu, invalidations_useful, n,
					  EXPECT_DELTA(gpu, pages_cleared, blocks[i],
						       ns = gpu_now();
						       EXPECT_EQ(0, munmap(p, size));
						       ns = gpu_now() - ns)));
		/* What is empty is dead at once; only its removal comes later. */
		EXPECT_GAUGE(gpu, intervals, intervals);
		MEASURED("munmap, %zu pages in %llu intervals: %lld ns", blocks[i],
			 (unsigned long long)n, (long long)ns);
	}
}

/* Behaviour 124: a node costs a page and a little, an interval a few hundred bytes; both go */
TEST_F(cost, memory)
{
	static const size_t blocks[] = { 1, 3, 16 };
	struct gpu *gpu = &self->gpu;
	const struct drm_fakegpu_vm_get_state none = gpu_state(gpu);
	struct drm_fakegpu_vm_get_state one = none, now;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		uint8_t *p = one_page_a_block(_metadata, gpu, blocks[i]);
		const int64_t node = GPU_PAGE + 24;
		int64_t nodes, intervals, bytes;

		now = gpu_state(gpu);
		nodes = now.nodes - none.nodes;
		intervals = now.intervals - none.intervals;
		bytes = now.memory - none.memory;
		EXPECT_LE((int64_t)blocks[i], nodes);
		if (!intervals) {
			EXPECT_EQ(nodes * node, bytes);
		} else if (!i) {
			one = now;
			EXPECT_EQ(1, intervals);
			EXPECT_LT(nodes * node + 100, bytes);
			EXPECT_GT(nodes * node + 500, bytes);
		} else {
			EXPECT_EQ(nodes * node + intervals *
				  (int64_t)(one.memory - none.memory -
					    (one.nodes - none.nodes) * node), bytes);
		}
		MEASURED("%zu pages, 2 MiB apart: %lld nodes, %lld intervals, %lld bytes",
			 blocks[i], (long long)nodes, (long long)intervals, (long long)bytes);
		ASSERT_EQ(0, munmap(p, blocks[i] * GPU_SZ_2M));
		/* A worker removes what is dead. */
		EXPECT_EVENTUALLY((uint64_t)none.memory, (uint64_t)gpu_state(gpu).memory);
	}
}

/* Drop the pages one by one. Return: nanoseconds for each. */
static int64_t drop_each(struct __test_metadata *_metadata, uint8_t *p, size_t pages)
{
	int64_t begin = gpu_now();
	size_t i;

	for (i = 0; i < pages; i++)
		EXPECT_EQ(0, madvise(p + i * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	return (gpu_now() - begin) / (int64_t)pages;
}

/* Behaviour 124: one invalidation calls back once, however many intervals there are */
TEST_F(cost, invalidate_among_intervals)
{
	static const size_t others[] = { 1, 32, 256 };
	const size_t calls = 32;
	struct gpu *gpu = &self->gpu;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		uint8_t *far = one_page_a_block(_metadata, gpu, others[i]);
		uint8_t *p = gpu_map_anon(2 * calls * GPU_PAGE);
		int64_t ns = 0;

		gpu_pattern(p, 2 * calls * GPU_PAGE, i);
		EXPECT_RUN(gpu, fakegpu_touch(p, 2 * calls * GPU_PAGE, GPU_PAGE, 0));
		EXPECT_DELTA(gpu, invalidations, calls,
			     EXPECT_DELTA(gpu, pages_cleared, calls,
					  ns = drop_each(_metadata, p, calls)));
		EXPECT_EQ((int64_t)(calls * GPU_PAGE), gpu_mapped(gpu, p, 2 * calls * GPU_PAGE));
		MEASURED("MADV_DONTNEED of a page, %llu intervals: %lld ns",
			 (unsigned long long)gpu_state(gpu).intervals, (long long)ns);
		ASSERT_EQ(0, munmap(far, others[i] * GPU_SZ_2M));
		ASSERT_EQ(0, munmap(p, 2 * calls * GPU_PAGE));
	}
}

TEST_HARNESS_MAIN
