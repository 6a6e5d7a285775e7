// SPDX-License-Identifier: GPL-2.0
/*
 * munmap() of memory that the device has mapped: the whole, a part, several
 * mappings at once, and what comes after it. See munmap_busy.c for what happens
 * at the same time.
 *
 * Regions are smaller than 2 MiB where edges are counted. In a mapping that
 * covers an aligned 2 MiB block, the kernel's split of the mapping alone sends
 * a CLEAR of the whole block, see hugepage.c.
 */
#include "munmap_test.h"

GPU_FIXTURE(munmap);
GPU_VARIANT_DIRECTSLOT(munmap);

/* Behaviour 27: full munmap, then access: an error, never old data */
TEST_F(munmap, full)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 27);
	uint8_t *dst = writable(_metadata, gpu, SIZE);
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu), after;

	ASSERT_EQ(0, munmap(p, SIZE));
	after = gpu_state(gpu);
	EXPECT_EQ(PAGES, (uint64_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(PAGES, (uint64_t)(before.pages_small - after.pages_small));
	EXPECT_EQ(1ULL, after.invalidations_useful - before.invalidations_useful);
	EXPECT_UNMAPPED(gpu, p, SIZE);

	EXPECT_FATAL(gpu, fakegpu_copy(dst, p, SIZE), EFAULT, p, READ);
	EXPECT_EQ(0ULL, gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(dst, SIZE, SENTINEL);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 100, 8, 0), EFAULT, p + 100, WRITE);
	EXPECT_FATAL(gpu, fakegpu_atomic(p + SIZE - 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
		     EFAULT, p + SIZE - 8, ATOMIC);
	EXPECT_UNMAPPED(gpu, p, SIZE);
}

/* Behaviour 27: a queue that has died of it takes no more work; a new one does */
TEST_F(munmap, full_then_go_on)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 27);
	uint8_t *other = mirrored(_metadata, gpu, SIZE, 28);
	uint32_t queue = gpu_queue(gpu);
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE, 0);

	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_EQ(-EIO, gpu_run_on(gpu, queue, &cmd, 1));
	EXPECT_EQ(-EIO, fakegpu_submit(gpu->fd, queue, &cmd, 1, NULL));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, other, SIZE, 28));
}

/* Unmap pages [first, first + count) of a region and look at all that is told. */
static void unmap_part(struct __test_metadata *_metadata, struct gpu *gpu, size_t first,
		       size_t count)
{
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 28);
	uint8_t *dst = writable(_metadata, gpu, SIZE);
	uint8_t *hole = p + first * GPU_PAGE, *rest = hole + count * GPU_PAGE;
	size_t head = hole - p, tail = p + SIZE - rest;
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu), after;

	ASSERT_EQ(0, munmap(hole, rest - hole));
	after = gpu_state(gpu);
	EXPECT_EQ(count, (uint64_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(count, (uint64_t)(before.pages_small - after.pages_small));
	EXPECT_EQ(1ULL, after.invalidations_useful - before.invalidations_useful);
	/* In scheme vma the interval is another one then, see vma.c. */
	if (gpu->conf.scheme != DRM_FAKEGPU_SCHEME_VMA)
		EXPECT_EQ(0ULL, after.intervals_removed - before.intervals_removed);
	EXPECT_UNMAPPED(gpu, hole, rest - hole);

	/* The rest works and needs no new fault. */
	before = gpu_state(gpu);
	if (head) {
		EXPECT_MAPPED(gpu, p, head);
		EXPECT_DEVICE_PATTERN(gpu, p, head, 28);
	}
	if (tail) {
		EXPECT_MAPPED(gpu, rest, tail);
		EXPECT_DEVICE_PATTERN_AT(gpu, rest, tail, 28, rest - p);
	}
	after = gpu_state(gpu);
	EXPECT_EQ(0ULL, after.faults - before.faults);

	/* The hole faults at both its ends. */
	EXPECT_FATAL(gpu, fakegpu_touch(hole, 1, 1, 0), EFAULT, hole, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(rest - 1, 1, 1, 0), EFAULT, rest - 1, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(hole + 4, 4, 0), EFAULT, hole + 4, WRITE);

	/* A command that crosses it does all below it and nothing above. */
	EXPECT_FATAL(gpu, fakegpu_copy(dst, p, SIZE), EFAULT, hole, READ);
	EXPECT_EQ(head, (size_t)gpu->fatal.queue.cmd_done);
	EXPECT_PATTERN(dst, head, 28);
	EXPECT_BYTES(dst + head, SIZE - head, SENTINEL);
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, DEVICE), EFAULT, hole, WRITE);
	EXPECT_EQ(head, (size_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(p, head, 0xdd);
	EXPECT_PATTERN_AT(rest, tail, 28, rest - p);
	EXPECT_UNMAPPED(gpu, hole, rest - hole);
}

/* Behaviour 28: munmap of the head */
TEST_F(munmap, head)
{
	unmap_part(_metadata, &self->gpu, 0, 16);
}

/* Behaviour 29: munmap of the tail */
TEST_F(munmap, tail)
{
	unmap_part(_metadata, &self->gpu, 48, 16);
}

/* Behaviour 30: munmap of the middle */
TEST_F(munmap, middle)
{
	unmap_part(_metadata, &self->gpu, 20, 16);
}

/* Behaviour 30: munmap of a part whose interval has to be registered first */
TEST_F(munmap, middle_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 30);
	ASSERT_EQ(0, munmap(p + 20 * GPU_PAGE, 16 * GPU_PAGE));
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, 1, 0), EFAULT, p + 20 * GPU_PAGE, READ);
	EXPECT_EQ(20 * GPU_PAGE, (size_t)gpu->fatal.queue.cmd_done);
	EXPECT_MAPPED(gpu, p, 20 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 20 * GPU_PAGE, 16 * GPU_PAGE);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 36 * GPU_PAGE, 28 * GPU_PAGE, 30, 36 * GPU_PAGE);
}

/* Behaviour 31: exact edges: each page just outside a hole keeps its entry */
TEST_F(munmap, edges_exact)
{
	static const struct {
		size_t first, count;
	} holes[] = { { 0, 1 }, { 63, 1 }, { 31, 1 }, { 32, 2 }, { 1, 62 }, { 17, 30 } };
	struct gpu *gpu = &self->gpu;
	size_t i, page;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		size_t first = holes[i].first, end = first + holes[i].count;
		uint8_t *p = mirrored(_metadata, gpu, SIZE, 31 + i);

		EXPECT_DELTA(gpu, pages_cleared, holes[i].count,
			     ASSERT_EQ(0, munmap(p + first * GPU_PAGE,
						 holes[i].count * GPU_PAGE)));
		for (page = 0; page < PAGES; page++) {
			bool gone = page >= first && page < end;

			EXPECT_EQ(gone ? 0 : (int64_t)GPU_PAGE,
				  gpu_mapped(gpu, p + page * GPU_PAGE, GPU_PAGE))
				TH_LOG("hole %zu+%zu, page %zu", first, holes[i].count, page);
		}
		if (first)
			EXPECT_FAULTS(gpu, 0,
				      EXPECT_DEVICE_PATTERN_AT(gpu, p + (first - 1) * GPU_PAGE,
							       GPU_PAGE, 31 + i,
							       (first - 1) * GPU_PAGE));
		if (end < PAGES)
			EXPECT_FAULTS(gpu, 0,
				      EXPECT_DEVICE_PATTERN_AT(gpu, p + end * GPU_PAGE,
							       GPU_PAGE, 31 + i,
							       end * GPU_PAGE));
	}
}

/* Behaviour 31: VM_QUERY names exactly the edges, also when asked for less */
TEST_F(munmap, edges_query)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 31);
	struct drm_fakegpu_vm_run runs[8];

	/* The device has written to all, so that all entries are alike. */
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	ASSERT_EQ(0, munmap(p + 10 * GPU_PAGE, GPU_PAGE));
	ASSERT_EQ(0, munmap(p + 30 * GPU_PAGE, 5 * GPU_PAGE));

	ASSERT_EQ(3, gpu_runs(gpu, p - GPU_SZ_2M, 3 * GPU_SZ_2M, runs, 8));
	EXPECT_EQ(fakegpu_va(p), runs[0].start);
	EXPECT_EQ(fakegpu_va(p + 10 * GPU_PAGE), runs[0].end);
	EXPECT_EQ(fakegpu_va(p + 11 * GPU_PAGE), runs[1].start);
	EXPECT_EQ(fakegpu_va(p + 30 * GPU_PAGE), runs[1].end);
	EXPECT_EQ(fakegpu_va(p + 35 * GPU_PAGE), runs[2].start);
	EXPECT_EQ(fakegpu_va(p + SIZE), runs[2].end);
	ASSERT_EQ(2, gpu_runs(gpu, p + 9 * GPU_PAGE, 3 * GPU_PAGE, runs, 8));
	EXPECT_EQ(fakegpu_va(p + 9 * GPU_PAGE), runs[0].start);
	EXPECT_EQ(fakegpu_va(p + 12 * GPU_PAGE), runs[1].end);
	EXPECT_EQ(0, gpu_runs(gpu, p + 30 * GPU_PAGE, 5 * GPU_PAGE, runs, 8));
	EXPECT_ENTRIES(gpu, p + 11 * GPU_PAGE, 19 * GPU_PAGE, GPU_WD, 12, SYSTEM);
}

/* Behaviour 31: a hole over the edge of windows and (slot21) of intervals */
TEST_F(munmap, edges_over_windows)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *block = gpu_va(2 * GPU_SZ_2M, 0) + GPU_SZ_2M, *p = block - SIZE / 2;
	struct drm_fakegpu_vm_get_state before, after;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	gpu_pattern(p, SIZE, 31);
	EXPECT_FAULTS(gpu, 2, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 31));
	before = gpu_state(gpu);
	ASSERT_EQ(0, munmap(block - GPU_PAGE, 2 * GPU_PAGE));
	after = gpu_state(gpu);
	EXPECT_EQ(2ULL, after.pages_cleared - before.pages_cleared);
	EXPECT_EQ(intervals_of(gpu, block - GPU_PAGE, 2 * GPU_PAGE),
		  (uint64_t)(after.invalidations_useful - before.invalidations_useful));
	EXPECT_MAPPED(gpu, p, SIZE / 2 - GPU_PAGE);
	EXPECT_UNMAPPED(gpu, block - GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, block + GPU_PAGE, SIZE / 2 - GPU_PAGE);

	/* The last page of the lower block: its neighbours above stay. */
	EXPECT_DELTA(gpu, pages_cleared, SIZE / 2 / GPU_PAGE - 1,
		     ASSERT_EQ(0, munmap(p, SIZE / 2 - GPU_PAGE)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN_AT(gpu, block + GPU_PAGE,
						       SIZE / 2 - GPU_PAGE, 31,
						       SIZE / 2 + GPU_PAGE));
}

/* Behaviour 31: one aligned 2 MiB block of small pages out of three */
TEST_F(munmap, edges_whole_block)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_SZ_2M);
	struct drm_fakegpu_vm_get_state before, after;

	gpu_pattern(p, 3 * GPU_SZ_2M, 31);
	EXPECT_FAULTS(gpu, 3, EXPECT_RUN(gpu, fakegpu_touch(p, 3 * GPU_SZ_2M, GPU_PAGE, 0)));
	before = gpu_state(gpu);
	ASSERT_EQ(0, munmap(p + GPU_SZ_2M, GPU_SZ_2M));
	after = gpu_state(gpu);
	EXPECT_EQ(512ULL, after.pages_cleared - before.pages_cleared);
	EXPECT_EQ(1ULL, after.invalidations_useful - before.invalidations_useful);
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_UNMAPPED(gpu, p + GPU_SZ_2M, GPU_SZ_2M);
	EXPECT_MAPPED(gpu, p + 2 * GPU_SZ_2M, GPU_SZ_2M);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 31);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + 2 * GPU_SZ_2M, GPU_SZ_2M, 31,
					       2 * GPU_SZ_2M));
}

/* Behaviour 32: one munmap over several mappings of all kinds, and holes */
TEST_F(munmap, many_mappings)
{
	struct gpu *gpu = &self->gpu;
	const size_t part = 16 * GPU_PAGE, all = 4 * GPU_SZ_2M;
	uint8_t *base = gpu_va(all, 0), *at[4];
	int memfd = gpu_memfd(part), file = gpu_tmpfile(part);
	const int flags = MAP_FIXED_NOREPLACE;
	uint64_t intervals = gpu_state(gpu).intervals;
	struct drm_fakegpu_vm_get_state before, after;
	uint64_t own;
	size_t i;

	for (i = 0; i < 4; i++)
		at[i] = base + i * (GPU_SZ_2M + part);
	ASSERT_EQ(at[0], mmap(at[0], part, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
	ASSERT_EQ(at[1], mmap(at[1], part, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
	ASSERT_EQ(at[2], mmap(at[2], part, PROT_READ | PROT_WRITE, MAP_SHARED | flags, memfd, 0));
	ASSERT_EQ(at[3], mmap(at[3], part, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, file, 0));
	for (i = 0; i < 4; i++) {
		gpu_pattern(at[i], part, 32 + i);
		if (i == 1)
			ASSERT_EQ(0, mprotect(at[i], part, PROT_READ));
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, at[i], part, 32 + i));
	}
	/* at[3] ends in the fourth block: one interval a block with slot21. */
	own = gpu->conf.scheme == DRM_FAKEGPU_SCHEME_VMA ? 4 : intervals_of(gpu, base, all);
	EXPECT_GAUGE(gpu, intervals,
		     gpu_one_interval(gpu) ? 1 : intervals + own);

	before = gpu_state(gpu);
	ASSERT_EQ(0, munmap(base, all));
	after = gpu_state(gpu);
	EXPECT_EQ(4 * part / GPU_PAGE, (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(4 * part / GPU_PAGE, (size_t)(before.pages_small - after.pages_small));
	EXPECT_EQ(own, (uint64_t)(after.invalidations_useful - before.invalidations_useful));
	EXPECT_UNMAPPED(gpu, base, all);
	for (i = 0; i < 4; i++)
		EXPECT_FATAL(gpu, fakegpu_touch(at[i], 1, 1, 0), EFAULT, at[i], READ);
	EXPECT_EVENTUALLY(intervals, (uint64_t)gpu_state(gpu).intervals);
	close(memfd);
	close(file);
}

/* Behaviour 32: one munmap over the edge of two large slots */
TEST_F(munmap, many_intervals)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *edge = (uint8_t *)gpu_va(2 * GPU_SZ_1G, GPU_SZ_1G) + GPU_SZ_1G;
	uint8_t *p = edge - SIZE / 2;
	uint64_t intervals = gpu_state(gpu).intervals;
	uint64_t own = gpu_one_interval(gpu) ? 1 : intervals_of(gpu, p, SIZE);
	struct drm_fakegpu_vm_get_state before, after;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	gpu_pattern(p, SIZE, 32);
	EXPECT_FAULTS(gpu, 2, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 32));
	if (!gpu_one_interval(gpu))
		EXPECT_GAUGE(gpu, intervals, intervals + 2);
	before = gpu_state(gpu);
	ASSERT_EQ(0, munmap(edge - GPU_SZ_1G, 2 * GPU_SZ_1G));
	after = gpu_state(gpu);
	EXPECT_EQ(PAGES, (uint64_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(own, (uint64_t)(after.invalidations_useful - before.invalidations_useful));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_EVENTUALLY(intervals, (uint64_t)gpu_state(gpu).intervals);
}

/* Behaviour 36: munmap, then mmap at the same address: other content, backing, protection */
TEST_F(munmap, then_mmap_same_address)
{
	static const struct {
		const char *what;
		int prot, flags;
		bool fd, file;
	} news[] = {
		{ "anon", PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, false, false },
		{ "shared anon", PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, false, false },
		{ "memfd", PROT_READ | PROT_WRITE, MAP_SHARED, true, false },
		{ "memfd private", PROT_READ | PROT_WRITE, MAP_PRIVATE, true, false },
		{ "file", PROT_READ | PROT_WRITE, MAP_PRIVATE, true, true },
		{ "memfd read-only", PROT_READ, MAP_SHARED, true, false },
		{ "anon read-only", PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, false, false },
	};
	struct gpu *gpu = &self->gpu;
	uint8_t *buf = gpu_map_anon(SIZE), *p = gpu_va(SIZE, 0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(news); i++) {
		bool write = news[i].prot & PROT_WRITE;
		struct drm_fakegpu_vm_get_state before;
		uint32_t want;
		int fd = -1;

		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		gpu_pattern(p, SIZE, 36);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 36));
		ASSERT_EQ(0, munmap(p, SIZE));

		if (news[i].fd) {
			fd = news[i].file ? gpu_tmpfile(SIZE) : gpu_memfd(SIZE);
			gpu_pattern(buf, SIZE, 360 + i);
			ASSERT_EQ((ssize_t)SIZE, pwrite(fd, buf, SIZE, 0));
		}
		ASSERT_EQ(p, mmap(p, SIZE, news[i].prot, news[i].flags | MAP_FIXED_NOREPLACE, fd,
				  0));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		if (fd < 0 && write)
			gpu_pattern(p, SIZE, 360 + i);
		want = fd < 0 && !write ? gpu_crc_byte(SIZE, 0) :
					  gpu_crc_pattern(SIZE, 360 + i, 0);
		before = gpu_state(gpu);
		EXPECT_DEVICE_CRC(gpu, p, SIZE, want);
		EXPECT_EQ(1ULL, gpu_state(gpu).faults - before.faults)
			TH_LOG("%s", news[i].what);
		if (write) {
			EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, GPU_PAGE, DEVICE));
			EXPECT_BYTES(p + GPU_PAGE, GPU_PAGE, 0xdd);
		} else {
			EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, GPU_PAGE, DEVICE), EPERM,
				     p + GPU_PAGE, WRITE);
		}
		ASSERT_EQ(0, munmap(p, SIZE));
		if (fd >= 0)
			close(fd);
	}
}

/* Behaviour 36: munmap, then a smaller mapping at the same address */
TEST_F(munmap, then_mmap_smaller)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 36);

	ASSERT_EQ(0, munmap(p, SIZE));
	ASSERT_EQ(p, mmap(p, SIZE / 2, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	gpu_pattern(p, SIZE / 2, 37);
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + SIZE / 2, READ);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE / 2, 37));
	EXPECT_MAPPED(gpu, p, SIZE / 2);
	EXPECT_UNMAPPED(gpu, p + SIZE / 2, SIZE / 2);
}

/* Behaviour 37: a new fault while the removal of its old interval is pending */
TEST_F(munmap, then_mmap_refault_pending)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu), after;
	const unsigned int rounds = 300;
	uint8_t *p = gpu_va(SIZE, 0);
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		p[i % PAGES * GPU_PAGE] = i;
		EXPECT_RUN(gpu, fakegpu_copy(gpu->res, p + i % PAGES * GPU_PAGE, 1));
		ASSERT_EQ((uint8_t)i, *(volatile uint8_t *)gpu->res);
		ASSERT_EQ(0, munmap(p, SIZE));
	}
	EXPECT_EVENTUALLY((uint64_t)before.intervals, (uint64_t)gpu_state(gpu).intervals);
	after = gpu_state(gpu);
	EXPECT_EQ((uint64_t)rounds, (uint64_t)(after.faults - before.faults));
	EXPECT_EQ(0ULL, after.faults_fatal - before.faults_fatal);
	EXPECT_EQ(after.intervals_added - before.intervals_added,
		  after.intervals_removed - before.intervals_removed);
	EXPECT_EQ(gpu_one_interval(gpu) ? 0ULL : rounds,
		  (unsigned long long)(after.intervals_added - before.intervals_added));
}

/* Behaviour 39: memory that the device never touched costs the driver nothing */
TEST_F(munmap, untouched_before_first_fault)
{
	struct gpu_conf conf = self->gpu.conf;
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *p = gpu_va(SIZE, 0);
	struct gpu gpu;
	unsigned int i;

	ASSERT_EQ(0, gpu_open_cold(&gpu, &conf, 0));
	/* In scheme fixed there is something to cost: the range. */
	if (conf.scheme == DRM_FAKEGPU_SCHEME_FIXED) {
		EXPECT_EQ(0, fakegpu_range_unregister(gpu.fd, gpu.vm, 1));
		EXPECT_EVENTUALLY(0UL, gpu_stat(&gpu, "intervals_pending"));
	}
	before = gpu_state(&gpu);
	EXPECT_EQ(0ULL, before.intervals);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		memset(p, i, SIZE);
		ASSERT_EQ(0, munmap(p, SIZE));
	}
	after = gpu_state(&gpu);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_EQ(0ULL, after.invalidations);
	EXPECT_EQ(0, gpu_close(&gpu))
		TH_LOG("%s", gpu_why());
}

/* Behaviour 39: untouched memory next to mirrored memory: no entry is looked for in vain */
TEST_F(munmap, untouched_beside_mirrored)
{
	struct gpu *gpu = &self->gpu;
	bool mm = gpu_one_interval(gpu);
	uint8_t *mine = mirrored(_metadata, gpu, SIZE, 39);
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *near = gpu_va(SIZE, 0), *far = gpu_va(SIZE, 2 * GPU_SZ_1G);
	unsigned int i, same;

	/* In the same slot or not, that depends on the slots' size; not of the same VMA. */
	same = gpu->conf.scheme != DRM_FAKEGPU_SCHEME_VMA &&
	       intervals_of(gpu, mine, near - mine) == 1;
	before = gpu_state(gpu);
	for (i = 0; i < 20; i++) {
		uint8_t *p = i % 2 ? near : far;

		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		memset(p, i, SIZE);
		ASSERT_EQ(0, munmap(p, SIZE));
	}
	after = gpu_state(gpu);
	EXPECT_EQ(mm ? 20ULL : same ? 10ULL : 0ULL, after.invalidations - before.invalidations);
	/* But for that one counter, nothing has moved. */
	before.invalidations = after.invalidations;
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	EXPECT_MAPPED(gpu, mine, SIZE);
}

TEST_HARNESS_MAIN
