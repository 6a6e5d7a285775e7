/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the areas about munmap() have in common.
 */
#ifndef MUNMAP_TEST_H
#define MUNMAP_TEST_H

#include "fakegpu_test_proc.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

#define SENTINEL	0xee
#define DEVICE		0xdddddddddddddddd

/* A region with pattern @seed, mirrored by one device fault. */
static inline uint8_t *mirrored(struct __test_metadata *_metadata, struct gpu *gpu, size_t size,
				uint64_t seed)
{
	uint8_t *p = gpu_map_anon(size);

	gpu_pattern(p, size, seed);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, 0)));
	EXPECT_MAPPED(gpu, p, size);
	return p;
}

/* Memory that the device can write to without a fault. */
static inline uint8_t *writable(struct __test_metadata *_metadata, struct gpu *gpu, size_t size)
{
	uint8_t *p = gpu_map_anon(size);

	memset(p, SENTINEL, size);
	EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	return p;
}

/* How many live intervals the mirror of [p, p + size) takes, all of it populated. */
static inline uint64_t intervals_of(struct gpu *gpu, const void *p, size_t size)
{
	unsigned int order = gpu->conf.interval_order;

	if (gpu->conf.scheme == DRM_FAKEGPU_SCHEME_MM)
		return 1;
	if (!order)
		order = gpu->info.interval_order;
	return ((fakegpu_va(p) + size - 1) >> order) - (fakegpu_va(p) >> order) + 1;
}

#endif /* MUNMAP_TEST_H */
