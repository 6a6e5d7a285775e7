// SPDX-License-Identifier: GPL-2.0
/*
 * Who has been written? Two ways in which the kernel tells: the soft-dirty bit of
 * /proc/PID/pagemap, cleared by clear_refs, and PAGEMAP_SCAN over memory that
 * userfaultfd write-protects without asking anyone. Both write-protect CPU page
 * table entries and wait for the next fault: a device that went on writing by
 * its own entries would never be seen.
 */
#include "fakegpu_test_page.h"

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)
#define HUGE_PAGES	(GPU_SZ_2M / GPU_PAGE)

#define PM_SOFT_DIRTY	(1ULL << 55)

GPU_FIXTURE(softdirty);

static void clear_soft_dirty(struct __test_metadata *_metadata)
{
	ASSERT_EQ(0, sys_write("/proc/self/clear_refs", "4"));
}

/* Soft-dirty is exactly [first, last) of the pages at @p. */
static void check_soft_dirty(struct __test_metadata *_metadata, const uint8_t *p, size_t count,
			     size_t first, size_t last)
{
	uint64_t *entries = calloc(count, sizeof(*entries));
	size_t i;

	pagemap_read(p, entries, count);
	for (i = 0; i < count; i++)
		EXPECT_EQ(i >= first && i < last, !!(entries[i] & PM_SOFT_DIRTY))
			TH_LOG("page %zu of %zu, expected dirty: [%zu, %zu)", i, count, first,
			       last);
	free(entries);
}

/* A kernel without the bit says that nothing was ever written. */
#define SKIP_UNLESS_SOFT_DIRTY(p) do { \
	uint64_t entry_; \
	*(volatile uint8_t *)(p) = 1; \
	pagemap_read(p, &entry_, 1); \
	if (!(entry_ & PM_SOFT_DIRTY)) \
		SKIP(return, "no CONFIG_MEM_SOFT_DIRTY"); \
} while (0)

static void check_small(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p)
{
	const size_t first = 10, last = 20, at = first * GPU_PAGE, len = (last - first) * GPU_PAGE;

	SKIP_UNLESS_SOFT_DIRTY(p);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x93))));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);

	/* And one page more: that of the results. */
	EXPECT_DELTA(gpu, pages_cleared, PAGES + 1, clear_soft_dirty(_metadata));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	check_soft_dirty(_metadata, p, PAGES, 0, 0);

	/* To read is not to write, and brings no right to write. */
	EXPECT_RUN(gpu, fakegpu_touch(gpu->res, 8, 8, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x93));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	check_soft_dirty(_metadata, p, PAGES, 0, 0);

	/* What a command writes is dirty, and none of the pages around it. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + at, len, BYTES(0x39))));
	check_soft_dirty(_metadata, p, PAGES, first, last);
	EXPECT_BYTES(p, at, 0x93);
	EXPECT_BYTES(p + at, len, 0x39);
	EXPECT_BYTES(p + at + len, SIZE - at - len, 0x93);

	/* Once more, the device now comes with a write at once. */
	clear_soft_dirty(_metadata);
	check_soft_dirty(_metadata, p, PAGES, 0, 0);
	EXPECT_RUN(gpu, fakegpu_atomic(p + 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL));
	check_soft_dirty(_metadata, p, PAGES, 0, 1);
	EXPECT_EQ(BYTES(0x93) + 1, *(uint64_t *)(p + 8));
}

/* Behaviour 93: clear_refs, then device reads and writes: the bits are exactly what it wrote */
TEST_F(softdirty, anon_small)
{
	check_small(_metadata, &self->gpu, gpu_map_anon(SIZE));
}

/* Behaviour 93: shared memory */
TEST_F(softdirty, shared)
{
	int fd = gpu_memfd(SIZE);

	check_small(_metadata, &self->gpu,
		    gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
}

/* Behaviour 93: a huge page: clean, read by the device, written by it in one place */
TEST_F(softdirty, anon_huge)
{
	struct gpu *gpu = &self->gpu;
	uint64_t entry;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	SKIP_UNLESS_SOFT_DIRTY(p);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x93)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	clear_soft_dirty(_metadata);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	check_soft_dirty(_metadata, p, HUGE_PAGES, 0, 0);
	EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0x93);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, 21, SYSTEM);
	check_soft_dirty(_metadata, p, HUGE_PAGES, 0, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p + 100 * GPU_PAGE, 8, BYTES(0x39)));
	pagemap_read(p + 100 * GPU_PAGE, &entry, 1);
	EXPECT_NE(0ULL, (unsigned long long)(entry & PM_SOFT_DIRTY));
	/* One bit for the huge page, if it is still one. */
	if (gpu_thp_bytes(p, GPU_SZ_2M))
		check_soft_dirty(_metadata, p, HUGE_PAGES, 0, HUGE_PAGES);
	else
		check_soft_dirty(_metadata, p, HUGE_PAGES, 100, 101);
	EXPECT_DEVICE_BYTES(gpu, p, 100 * GPU_PAGE, 0x93);
}

/* ---------------------------------------------- userfaultfd, PAGEMAP_SCAN --- */

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY		1
#endif

/* Linux 6.7; as the kernel's uapi has it, under names of our own. */
struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_IOCTL		_IOWR('f', 16, struct scan_arg)
#define SCAN_WP_MATCHING	(1 << 0)
#define SCAN_CHECK_WPASYNC	(1 << 1)
#define SCAN_WRITTEN		(1 << 1)

/* Return: a userfaultfd that write-protects and never asks; or a negative errno. */
static int wp_async(const void *p, size_t size)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
			    UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	};
	struct uffdio_register reg = {
		.range = { .start = fakegpu_va(p), .len = size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int ret;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Regions written since the last scan with @flags = WP_MATCHING; or a negative errno. */
static int scan(const void *p, size_t size, uint64_t flags, struct scan_region *regions, int max)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.flags = flags | SCAN_CHECK_WPASYNC,
		.start = fakegpu_va(p),
		.end = fakegpu_va(p) + size,
		.vec = fakegpu_va(regions),
		.vec_len = max,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, SCAN_IOCTL, &arg);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Written is exactly the range [at, at + len) of [p, p + size), or nothing. */
static void check_scan(struct __test_metadata *_metadata, const uint8_t *p, size_t size,
		       uint64_t flags, size_t at, size_t len)
{
	struct scan_region regions[8] = { 0 };

	ASSERT_EQ(!!len, scan(p, size, flags, regions, 8));
	if (!len)
		return;
	EXPECT_EQ(fakegpu_va(p + at), regions[0].start);
	EXPECT_EQ(fakegpu_va(p + at + len), regions[0].end);
}

static void check_wp(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p, size_t size)
{
	const size_t at = 10 * GPU_PAGE, len = 10 * GPU_PAGE;
	bool huge = size == GPU_SZ_2M;
	int fd = wp_async(p, size);

	if (fd < 0)
		SKIP(return, "no userfaultfd that write-protects by itself (Linux 6.7): %s",
		     strerror(-fd));
	EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(0x93)));
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, huge ? 21 : 12, SYSTEM);
	check_scan(_metadata, p, size, 0, 0, size);
	EXPECT_MAPPED(gpu, p, size);

	/* It says what was written, and write-protects it. */
	EXPECT_DELTA(gpu, pages_cleared, size / GPU_PAGE,
		     check_scan(_metadata, p, size, SCAN_WP_MATCHING, 0, size));
	EXPECT_UNMAPPED(gpu, p, size);
	check_scan(_metadata, p, size, 0, 0, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, size, 0x93));
	EXPECT_ENTRIES(gpu, p, size, 0, huge ? 21 : 12, SYSTEM);
	check_scan(_metadata, p, size, 0, 0, 0);

	EXPECT_RUN(gpu, fakegpu_fill(p + at, len, BYTES(0x39)));
	check_scan(_metadata, p, size, SCAN_WP_MATCHING, at, len);
	check_scan(_metadata, p, size, 0, 0, 0);
	/* The device comes with a write at once, on the last page. */
	EXPECT_RUN(gpu, fakegpu_fill(p + size - 8, 8, BYTES(0x39)));
	check_scan(_metadata, p, size, SCAN_WP_MATCHING, size - GPU_PAGE, GPU_PAGE);
	EXPECT_BYTES(p, at, 0x93);
	EXPECT_BYTES(p + at, len, 0x39);
	EXPECT_BYTES(p + at + len, size - at - len - 8, 0x93);
	EXPECT_BYTES(p + size - 8, 8, 0x39);
	close(fd);
}

/* Behaviour 93: PAGEMAP_SCAN with write-protection: device writes are what it tells of */
TEST_F(softdirty, scan_small)
{
	check_wp(_metadata, &self->gpu, gpu_map_anon(SIZE), SIZE);
}

/* Behaviour 93: of a huge page it tells by the page */
TEST_F(softdirty, scan_huge)
{
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	check_wp(_metadata, &self->gpu, p, GPU_SZ_2M);
}

/* Behaviour 93: of shared memory */
TEST_F(softdirty, scan_shared)
{
	int fd = gpu_memfd(SIZE);

	check_wp(_metadata, &self->gpu,
		 gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), SIZE);
	close(fd);
}

/* ------------------------------------------------------------------ races --- */

/* A queue that increments a word in each page, in an order of its own, until told to stop. */
struct writer {
	struct gpu *gpu;
	uint8_t *p;
	uint32_t queue;
	volatile bool stop;
	/* Read by the test while the thread runs. */
	volatile unsigned int rounds;
	pthread_t thread;
	int failed;
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct drm_fakegpu_cmd cmds[16];
	uint64_t seed = 93;
	unsigned int i;

	while (!w->stop && !w->failed) {
		for (i = 0; i < 16; i++)
			cmds[i] = fakegpu_atomic(w->p + gpu_rand(&seed) % PAGES * GPU_PAGE, 8,
						 DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
		w->failed = gpu_run_on(w->gpu, w->queue, cmds, 16);
		w->rounds++;
	}
	return NULL;
}

/* A copy of each page's word. */
static void words(const uint8_t *p, uint64_t *copy)
{
	size_t i;

	for (i = 0; i < PAGES; i++)
		copy[i] = __atomic_load_n((const uint64_t *)(p + i * GPU_PAGE), __ATOMIC_ACQUIRE);
}

/*
 * As one who saves a process while it runs: all that changes behind the last
 * clearing must be marked, or it is lost to the copy.
 */
static void check_race(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p, bool by_scan)
{
	struct writer w = { .gpu = gpu, .p = p, .queue = gpu_queue(gpu) };
	uint64_t before[PAGES], after[PAGES], sum = 0;
	unsigned int round, changed = 0;
	size_t i;

	memset(p, 0, SIZE);
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, writer_main, &w));
	for (round = 0; round < 60; round++) {
		struct scan_region regions[PAGES] = { 0 };
		uint64_t entries[PAGES];
		unsigned int behind;
		int n = 0, j;

		if (by_scan)
			n = scan(p, SIZE, SCAN_WP_MATCHING, regions, PAGES);
		else
			clear_soft_dirty(_metadata);
		ASSERT_LE(0, n);
		words(p, before);
		behind = w.rounds;
		EXPECT_EVENTUALLY(true, w.rounds >= behind + 2 || w.failed);
		words(p, after);
		/* The marks are read behind the words: what has changed is marked by now. */
		if (by_scan)
			n = scan(p, SIZE, 0, regions, PAGES);
		else
			pagemap_read(p, entries, PAGES);
		for (i = 0; i < PAGES; i++) {
			bool marked = !by_scan && (entries[i] & PM_SOFT_DIRTY);

			for (j = 0; j < n; j++)
				marked |= fakegpu_va(p + i * GPU_PAGE) >= regions[j].start &&
					  fakegpu_va(p + i * GPU_PAGE) < regions[j].end;
			if (before[i] == after[i])
				continue;
			changed++;
			EXPECT_TRUE(marked)
				TH_LOG("round %u: page %zu has changed unseen", round, i);
		}
	}
	w.stop = true;
	pthread_join(w.thread, NULL);
	EXPECT_EQ(0, w.failed);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, w.queue));
	EXPECT_LT(60U, changed);
	words(p, after);
	for (i = 0; i < PAGES; i++)
		sum += after[i];
	EXPECT_EQ(16ULL * w.rounds, sum);
}

/* Behaviour 93: clear_refs while the device writes: no change goes unseen */
TEST_F(softdirty, race_clear_refs)
{
	uint8_t *p = gpu_map_anon(SIZE);

	SKIP_UNLESS_SOFT_DIRTY(p);
	check_race(_metadata, &self->gpu, p, false);
}

/* Behaviour 93: PAGEMAP_SCAN while the device writes: no change goes unseen */
TEST_F(softdirty, race_scan)
{
	uint8_t *p = gpu_map_anon(SIZE);
	int fd = wp_async(p, SIZE);

	if (fd < 0)
		SKIP(return, "no userfaultfd that write-protects by itself (Linux 6.7): %s",
		     strerror(-fd));
	check_race(_metadata, &self->gpu, p, true);
	close(fd);
}

TEST_HARNESS_MAIN
