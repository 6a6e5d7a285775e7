// SPDX-License-Identifier: GPL-2.0
/*
 * KSM merges pages that the device has mapped: it would not, if the mirror held
 * references to them. A device write takes a copy, as a CPU write does.
 */
#include <sys/prctl.h>

#include "fakegpu_test_proc.h"
#include "fakegpu_test_sys.h"

#define KSM	"/sys/kernel/mm/ksm/"

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE_SYS(ksm);

static uint64_t ksm_number(const char *name)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), KSM "%s", name);
	return strtoull(sys_read(path, text, sizeof(text)) ?: "0", NULL, 0);
}

/* Pages of this process that are merged. */
static uint64_t merged(void)
{
	char text[32];

	return strtoull(sys_read("/proc/self/ksm_merging_pages", text, sizeof(text)) ?: "0",
			NULL, 0);
}

/* Start KSM, all pages in each scan, or skip. Nothing else in the guest is mergeable. */
#define SETUP() do { \
	if (sys_set(&self->sys, KSM "run", "1") || access("/proc/self/ksm_merging_pages", F_OK)) \
		SKIP(return, "no KSM, or none that tells of a process, in this kernel"); \
	sys_set(&self->sys, KSM "sleep_millisecs", "1"); \
	sys_set(&self->sys, KSM "pages_to_scan", "1000"); \
	/* Leaves out pages that were seen unmerged a few times. */ \
	sys_set(&self->sys, KSM "smart_scan", "0"); \
} while (0)

/* All pages are mapped from the same frames as the pages of the other one. */
static bool same_frames(const uint8_t *a, const uint8_t *b)
{
	size_t i;

	for (i = 0; i < SIZE; i += GPU_PAGE) {
		uint64_t frame = sys_pagemap(a + i) & SYS_PM_FRAME;

		if (!frame || frame != (sys_pagemap(b + i) & SYS_PM_FRAME))
			return false;
	}
	return true;
}

/* Two areas of one content, mirrored with W, merged under the device's eyes. */
static void merge(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p, uint8_t *q)
{
	gpu_pattern(p, SIZE, 89);
	gpu_pattern(q, SIZE, 89);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_touch(q, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, q, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FALSE(same_frames(p, q));

	ASSERT_EQ(0, madvise(p, SIZE, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(q, SIZE, MADV_MERGEABLE));
	EXPECT_EVENTUALLY((uint64_t)2 * PAGES, merged());
	EXPECT_TRUE(same_frames(p, q));
	EXPECT_EQ((uint64_t)PAGES, ksm_number("pages_shared"));
	EXPECT_EQ((uint64_t)PAGES, ksm_number("pages_sharing"));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_UNMAPPED(gpu, q, SIZE);
}

/* Behaviour 89: device-mapped pages are merged; the device reads both, and can't write */
TEST_F(ksm, merge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);

	SETUP();
	merge(_metadata, gpu, p, q);
	EXPECT_FAULTS(gpu, 2,
		      EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 89);
		      EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 89));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, q, SIZE, 0, 12, SYSTEM);
	/* Reading is no reason to take copies. */
	EXPECT_TRUE(same_frames(p, q));
	EXPECT_EQ((uint64_t)2 * PAGES, merged());
}

/* Behaviour 89: a device write takes a copy of exactly one page; the other is unchanged */
TEST_F(ksm, unmerge_by_device)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);
	const size_t at = 5 * GPU_PAGE, tail = at + GPU_PAGE;

	SETUP();
	merge(_metadata, gpu, p, q);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), fakegpu_touch(q, SIZE, GPU_PAGE, 0));
	/* Or it would merge again what becomes equal again. */
	ASSERT_EQ(0, sys_write(KSM "run", "0"));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + at + 8, 8, 0x8989898989898989)));
	EXPECT_ENTRIES(gpu, p, at, 0, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, p + at, GPU_PAGE, GPU_WD, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, p + tail, SIZE - tail, 0, 12, SYSTEM);
	EXPECT_NE(sys_pagemap(p + at) & SYS_PM_FRAME, sys_pagemap(q + at) & SYS_PM_FRAME);
	EXPECT_EQ(sys_pagemap(p) & SYS_PM_FRAME, sys_pagemap(q) & SYS_PM_FRAME);

	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 89));
	EXPECT_PATTERN(q, SIZE, 89);
	EXPECT_BYTES(p + at + 8, 8, 0x89);
	EXPECT_PATTERN(p, at + 8, 89);
	EXPECT_PATTERN_AT(p + at + 16, SIZE - at - 16, 89, at + 16);
}

/* Behaviour 89: a CPU write takes a copy: the device sees it at once, and the other as it was */
TEST_F(ksm, unmerge_by_cpu)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);

	SETUP();
	merge(_metadata, gpu, p, q);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), fakegpu_touch(q, SIZE, GPU_PAGE, 0));
	ASSERT_EQ(0, sys_write(KSM "run", "0"));
	EXPECT_DELTA(gpu, pages_cleared, 1, p[GPU_PAGE] ^= 0xff);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_DEVICE_CRC(gpu, p, SIZE, gpu_crc(p, SIZE));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 89));
	EXPECT_PATTERN(q, SIZE, 89);
}

/* Behaviour 89: MADV_UNMERGEABLE takes all copies back; the device follows */
TEST_F(ksm, unmerge_all)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);

	SETUP();
	merge(_metadata, gpu, p, q);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), fakegpu_touch(q, SIZE, GPU_PAGE, 0));
	EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, madvise(p, SIZE, MADV_UNMERGEABLE)));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	/* The scanner forgets those pages when it comes by. */
	EXPECT_EVENTUALLY((uint64_t)PAGES, merged());
	EXPECT_ENTRIES(gpu, q, SIZE, 0, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x8989898989898989)));
	EXPECT_PATTERN(q, SIZE, 89);
	EXPECT_DEVICE_PATTERN(gpu, q, SIZE, 89);
	EXPECT_BYTES(p, SIZE, 0x89);
}

/* Behaviour 89: what the device writes into both is the same: that is merged, too */
TEST_F(ksm, merge_device_written)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);

	SETUP();
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x5555555555555555),
		   fakegpu_fill(q, SIZE, 0x5555555555555555));
	ASSERT_EQ(0, madvise(p, SIZE, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(q, SIZE, MADV_MERGEABLE));
	/* All of them to one page, or a few. */
	EXPECT_EVENTUALLY(1ULL, ksm_number("pages_shared"));
	EXPECT_EVENTUALLY((uint64_t)2 * PAGES, merged());
	EXPECT_TRUE(same_frames(p, q));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x55);
	/* Each write makes one page of its own. */
	ASSERT_EQ(0, sys_write(KSM "run", "0"));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(q, SIZE, 0x6666666666666666)));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x55);
	EXPECT_BYTES(p, SIZE, 0x55);
	EXPECT_BYTES(q, SIZE, 0x66);
}

/* Behaviour 89: KSM merges and the device writes, over and over: each keeps its own bytes */
TEST_F(ksm, race)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);
	unsigned int i;

	SETUP();
	ASSERT_EQ(0, madvise(p, SIZE, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(q, SIZE, MADV_MERGEABLE));
	for (i = 1; i <= 20; i++) {
		uint64_t scans = ksm_number("full_scans");

		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, i), fakegpu_fill(q, SIZE, i));
		/* Equal from one scan to the next: they are merged somewhere in here. */
		while (ksm_number("full_scans") < scans + 2)
			EXPECT_RUN(gpu, fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
				   fakegpu_atomic(q, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
				   fakegpu_touch(p + GPU_PAGE, SIZE - GPU_PAGE, GPU_PAGE,
						 DRM_FAKEGPU_CMD_WRITE));
		EXPECT_EQ(*(volatile uint64_t *)p, *(volatile uint64_t *)q);
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~(uint64_t)i));
		EXPECT_EQ((uint64_t)i, *(volatile uint64_t *)(q + SIZE - 8));
		EXPECT_EQ(~(uint64_t)i, *(volatile uint64_t *)(p + SIZE - 8));
	}
}

TEST_HARNESS_MAIN
