// SPDX-License-Identifier: GPL-2.0
/*
 * madvise() and mlock() of memory that the device has mapped. Some advice sends
 * a CLEAR (DONTNEED, FREE, PAGEOUT through reclaim), the rest sends nothing.
 * What happens to data that the device wrote is in dirty.c.
 */
#include "fakegpu_test_proc.h"
#include "fakegpu_test_sys.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT	1
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open	434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise	440
#endif

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)
/* A part of it, with pages on both sides. */
#define AT	(20 * GPU_PAGE)
#define LEN	(9 * GPU_PAGE)
#define TAIL	(AT + LEN)

#define SWAP_SIZE	(64 * GPU_SZ_1M)

GPU_FIXTURE_SYS(madvise);

/* The part isn't in the mirror, all of the rest is, and answers without a fault. */
static void check_rest(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		       uint64_t seed)
{
	EXPECT_MAPPED(gpu, p, AT);
	EXPECT_UNMAPPED(gpu, p + AT, LEN);
	EXPECT_MAPPED(gpu, p + TAIL, SIZE - TAIL);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, AT, seed);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + TAIL, SIZE - TAIL, seed, TAIL));
}

/* What the CPU maps is all that the device needs: nothing has to be faulted in. */
static void check_present(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			  size_t size)
{
	EXPECT_EQ(size / GPU_PAGE, sys_present(p, size));
	ASSERT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, size,
				      NULL));
	EXPECT_MAPPED(gpu, p, size);
}

/* Behaviour 70: DONTNEED of private memory: exactly the part goes, and reads zero */
TEST_F(madvise, dontneed_anon)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 70);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 70);
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE,
		     ASSERT_EQ(0, madvise(p + AT, LEN, MADV_DONTNEED)));
	check_rest(_metadata, gpu, p, 70);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + AT, LEN, 0));
	EXPECT_PATTERN(p, AT, 70);
	EXPECT_BYTES(p + AT, LEN, 0);
	EXPECT_PATTERN_AT(p + TAIL, SIZE - TAIL, 70, TAIL);
}

/* Behaviour 70: DONTNEED of the first page alone, of the last page alone, of all */
TEST_F(madvise, dontneed_ends)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7070707070707070)));
	EXPECT_DELTA(gpu, pages_cleared, 1, ASSERT_EQ(0, madvise(p, GPU_PAGE, MADV_DONTNEED)));
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + GPU_PAGE, SIZE - GPU_PAGE);
	EXPECT_DELTA(gpu, pages_cleared, 1,
		     ASSERT_EQ(0, madvise(p + SIZE - GPU_PAGE, GPU_PAGE, MADV_DONTNEED)));
	EXPECT_UNMAPPED(gpu, p + SIZE - GPU_PAGE, GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, SIZE - 2 * GPU_PAGE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, SIZE - 2 * GPU_PAGE, 0x70));
	EXPECT_DELTA(gpu, pages_cleared, PAGES - 2,
		     ASSERT_EQ(0, madvise(p, SIZE, MADV_DONTNEED)));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
}

/* Behaviour 70: DONTNEED of a private file mapping: the copies go, the file shows again */
TEST_F(madvise, dontneed_private_file)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *file = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	gpu_pattern(file, SIZE, 71);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7171717171717171));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE,
		     ASSERT_EQ(0, madvise(p + AT, LEN, MADV_DONTNEED)));
	EXPECT_UNMAPPED(gpu, p + AT, LEN);
	EXPECT_ENTRIES(gpu, p, AT, GPU_WD, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, p + TAIL, SIZE - TAIL, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + AT, LEN, 71, AT));
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p, AT, 0x71);
		      EXPECT_DEVICE_BYTES(gpu, p + TAIL, SIZE - TAIL, 0x71));
	EXPECT_PATTERN(file, SIZE, 71);
	close(fd);
}

/* Behaviour 70: DONTNEED of a shared mapping takes the mapping away, not the data */
TEST_F(madvise, dontneed_shared_file)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	gpu_pattern(p, SIZE, 72);
	EXPECT_RUN(gpu, fakegpu_fill(p + AT, LEN, 0x7272727272727272));
	EXPECT_DEVICE_PATTERN(gpu, p, AT, 72);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + TAIL, SIZE - TAIL, 72, TAIL);
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE,
		     ASSERT_EQ(0, madvise(p + AT, LEN, MADV_DONTNEED)));
	check_rest(_metadata, gpu, p, 72);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + AT, LEN, 0x72));
	EXPECT_BYTES(p + AT, LEN, 0x72);
	close(fd);
}

/* Behaviour 70: DONTNEED a hundred times: never an old byte, nothing is left behind */
TEST_F(madvise, dontneed_100_times)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu);
	unsigned int i;

	for (i = 1; i <= 100; i++) {
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x0101010101010101 * i));
		EXPECT_DELTA(gpu, pages_cleared, PAGES,
			     ASSERT_EQ(0, madvise(p, SIZE, MADV_DONTNEED)));
		/* Alternately with zero pages in between, and straight on with new ones. */
		if (i % 2)
			EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0);
		else
			EXPECT_BYTES(p, SIZE, 0);
	}
	/* A fill after zero pages faults, a fill on new pages too, and so do the reads. */
	EXPECT_EQ(150ULL, gpu_state(gpu).faults - before.faults);
	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_GAUGE(gpu, pages_small, before.pages_small);
	EXPECT_EVENTUALLY((uint64_t)before.intervals, (uint64_t)gpu_state(gpu).intervals);
}

/* Behaviour 71: FREE drops exactly the part; what comes back may be written at once */
TEST_F(madvise, free)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 73);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 73);
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE,
		     ASSERT_EQ(0, madvise(p + AT, LEN, MADV_FREE)));
	check_rest(_metadata, gpu, p, 73);
	/*
	 * Nobody reclaimed it, so the data is there. The CPU's entries are clean,
	 * but writable: the device gets W by its read, and no fault for its write.
	 */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + AT, LEN, 73, AT));
	EXPECT_ENTRIES(gpu, p + AT, LEN, GPU_W, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p + AT, LEN, 0x7373737373737373)));
	EXPECT_ENTRIES(gpu, p + AT, LEN, GPU_WD, 12, SYSTEM);
	EXPECT_BYTES(p + AT, LEN, 0x73);
}

/* Behaviour 72: COLD sends no event; the mirror stays as it is */
TEST_F(madvise, cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 74);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_DELTA(gpu, invalidations_useful, 0,
		     ASSERT_EQ(0, madvise(p + AT, LEN, MADV_COLD));
		     ASSERT_EQ(0, madvise(p, SIZE, MADV_COLD)));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 74));
	EXPECT_PATTERN(p, SIZE, 74);
}

/* Behaviour 72: COLD of all of a huge page sends no event; of a part, it splits it */
TEST_F(madvise, cold_huge)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 75);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 75);
	before = gpu_state(gpu);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_COLD));
	after = gpu_state(gpu);
	EXPECT_EQ(0ULL, after.invalidations_useful - before.invalidations_useful);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);

	ASSERT_EQ(0, madvise(p + AT, LEN, MADV_COLD));
	EXPECT_EQ((size_t)0, gpu_thp_bytes(p, GPU_SZ_2M));
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large - 1);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 75);
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large - 1);
	EXPECT_PATTERN(p, GPU_SZ_2M, 75);
}

static void check_pageout(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p)
{
	uint64_t out;

	gpu_pattern(p, SIZE, 76);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 76);
	out = sys_vmstat("pswpout");
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE, EXPECT_PAGEOUT(p + AT, LEN));
	EXPECT_EQ(LEN / GPU_PAGE, sys_swapped(p, SIZE));
	EXPECT_LE(out + LEN / GPU_PAGE, sys_vmstat("pswpout"));
	check_rest(_metadata, gpu, p, 76);

	/* A read, which is enough to write afterwards: it is our page alone. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + AT, LEN, 76, AT));
	EXPECT_EQ((size_t)0, sys_swapped(p, SIZE));
	EXPECT_ENTRIES(gpu, p + AT, LEN, GPU_W, 12, SYSTEM);
	EXPECT_PATTERN(p, SIZE, 76);

	/* A write of one byte: the page's other bytes come from swap. */
	EXPECT_PAGEOUT(p + AT, LEN);
	EXPECT_UNMAPPED(gpu, p + AT, LEN);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + AT, 1, 0x76)));
	EXPECT_EQ(0x76, p[AT]);
	EXPECT_PATTERN_AT(p + AT + 1, SIZE - AT - 1, 76, AT + 1);

	/* All of it, and all at once in again. */
	EXPECT_PAGEOUT(p, SIZE);
	EXPECT_EQ(PAGES, sys_swapped(p, SIZE));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_MAPPED(gpu, p, SIZE);
	EXPECT_PATTERN(p, AT, 76);
	EXPECT_PATTERN_AT(p + AT + 1, SIZE - AT - 1, 76, AT + 1);
}

/* Behaviour 73: PAGEOUT of the part, then read, write, and all of it: swap in memory */
TEST_F(madvise, pageout_zram)
{
	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, SWAP_SIZE);
	check_pageout(_metadata, &self->gpu, gpu_map_anon(SIZE));
}

/* Behaviour 73: PAGEOUT of the part, then read, write, and all of it: swap as on a disk */
TEST_F(madvise, pageout_disk)
{
	GPU_SWAP(&self->sys, SYS_SWAP_LOOP, SWAP_SIZE);
	check_pageout(_metadata, &self->gpu, gpu_map_anon(SIZE));
}

/* Behaviour 73: a huge page is swapped out under a large leaf */
TEST_F(madvise, pageout_huge)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before;
	uint8_t *p;

	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, SWAP_SIZE);
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 77);
	before = gpu_state(gpu);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_PAGEOUT(p, GPU_SZ_2M);
	EXPECT_EQ(GPU_SZ_2M / GPU_PAGE, sys_swapped(p, GPU_SZ_2M));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_GAUGE(gpu, leaves_large, before.leaves_large);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 77));
	EXPECT_PATTERN(p, GPU_SZ_2M, 77);
}

/* Behaviour 74: WILLNEED sends no event, and brings swap nearer, not into the page table */
TEST_F(madvise, willneed)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	GPU_SWAP(&self->sys, SYS_SWAP_LOOP, SWAP_SIZE);
	gpu_pattern(p, SIZE, 78);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 78);
	EXPECT_PAGEOUT(p, SIZE);
	EXPECT_DELTA(gpu, invalidations_useful, 0, ASSERT_EQ(0, madvise(p, SIZE, MADV_WILLNEED)));
	EXPECT_EVENTUALLY(PAGES, sys_in_memory(p, SIZE));
	EXPECT_EQ((size_t)0, sys_present(p, SIZE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 78));
	/* And of what is mapped: nothing at all. */
	EXPECT_DELTA(gpu, invalidations_useful, 0, ASSERT_EQ(0, madvise(p, SIZE, MADV_WILLNEED)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 78));
}

/* Behaviour 74: POPULATE_READ: the CPU's zero pages, then the device's write replaces them */
TEST_F(madvise, populate_read)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	ASSERT_EQ(0, madvise(p, SIZE, MADV_POPULATE_READ));
	check_present(_metadata, gpu, p, SIZE);
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, ZERO);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + AT, LEN, 0x7474747474747474)));
	EXPECT_BYTES(p, AT, 0);
	EXPECT_BYTES(p + AT, LEN, 0x74);
	EXPECT_BYTES(p + TAIL, SIZE - TAIL, 0);
}

/* Behaviour 74: POPULATE_WRITE, and again under the device's mapping, without an event */
TEST_F(madvise, populate_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	ASSERT_EQ(0, madvise(p, SIZE, MADV_POPULATE_WRITE));
	check_present(_metadata, gpu, p, SIZE);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7474747474747474)));
	EXPECT_DELTA(gpu, invalidations_useful, 0,
		     ASSERT_EQ(0, madvise(p, SIZE, MADV_POPULATE_WRITE));
		     ASSERT_EQ(0, madvise(p, SIZE, MADV_POPULATE_READ)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x74));
	EXPECT_BYTES(p, SIZE, 0x74);
}

/* Behaviour 74: MAP_POPULATE, of private memory and of a file */
TEST_F(madvise, map_populate)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint8_t *file = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	check_present(_metadata, gpu, p, SIZE);
	check_present(_metadata, gpu, file, SIZE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7575757575757575));
		      EXPECT_RUN(gpu, fakegpu_copy(file, p, SIZE)));
	EXPECT_BYTES(p, SIZE, 0x75);
	EXPECT_BYTES(file, SIZE, 0x75);
	close(fd);
}

/* Behaviour 74: mlock populates; the device's mapping keeps nothing from being locked */
TEST_F(madvise, mlock)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *q = gpu_map_anon(SIZE);
	uint64_t locked;

	ASSERT_EQ(0, mlock(p, SIZE));
	check_present(_metadata, gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7676767676767676)));
	EXPECT_BYTES(p, SIZE, 0x76);

	/* With the device there first; a part of it, and unlocked again: no event, all stays. */
	EXPECT_RUN(gpu, fakegpu_fill(q, SIZE, 0x7777777777777777));
	locked = sys_number("/proc/self/status", "VmLck");
	EXPECT_DELTA(gpu, invalidations_useful, 0,
		     ASSERT_EQ(0, mlock(q + AT, LEN));
		     EXPECT_EQ(locked + LEN / 1024, sys_number("/proc/self/status", "VmLck"));
		     ASSERT_EQ(0, munlock(q + AT, LEN)));
	EXPECT_ENTRIES(gpu, q, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x77));
	EXPECT_BYTES(q, SIZE, 0x77);
}

/* Behaviour 74: mlock2(ONFAULT): the device's fault brings the page in, and it is locked */
TEST_F(madvise, mlock_onfault)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t locked;

	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, SWAP_SIZE);
	ASSERT_EQ(0, syscall(SYS_mlock2, p, SIZE, MLOCK_ONFAULT));
	EXPECT_EQ((size_t)0, sys_present(p, SIZE));
	/* What others unlocked may still be counted, on their processor's list. */
	sys_drain();
	locked = sys_vmstat("nr_mlock");
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + AT, LEN, 0x7878787878787878)));
	EXPECT_EQ(LEN / GPU_PAGE, sys_present(p, SIZE));
	sys_drain();
	EXPECT_EVENTUALLY(locked + LEN / GPU_PAGE, sys_vmstat("nr_mlock"));

	/* Locked pages are left alone, and so is the mirror. */
	EXPECT_DELTA(gpu, pages_cleared, 0,
		     EXPECT_EQ(-1, madvise(p, SIZE, MADV_PAGEOUT));
		     EXPECT_EQ(EINVAL, errno);
		     EXPECT_EQ(-1, madvise(p, SIZE, MADV_DONTNEED));
		     EXPECT_EQ(EINVAL, errno));
	EXPECT_ENTRIES(gpu, p + AT, LEN, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p + AT, LEN, 0x78));
	EXPECT_BYTES(p + AT, LEN, 0x78);
}

/* Another process, which advises this one on the part that it is told. */
struct adviser {
	struct proc proc;
};

struct advice {
	void *addr;
	size_t size;
	int advice;
};

/* Forked before there is any memory: pages of two processes wouldn't be reclaimed. */
static void adviser_start(struct adviser *adviser)
{
	struct advice order;
	int pidfd, ret;

	if (!proc_fork(&adviser->proc))
		return;
	pidfd = syscall(SYS_pidfd_open, getppid(), 0);
	while (!proc_recv(&adviser->proc, &order, sizeof(order))) {
		struct iovec iov = { .iov_base = order.addr, .iov_len = order.size };

		ret = syscall(SYS_process_madvise, pidfd, &iov, 1UL, order.advice, 0U);
		ret = ret < 0 ? -errno : ret;
		proc_send(&adviser->proc, &ret, sizeof(ret));
	}
	_exit(0);
}

/* Return: bytes advised, or a negative errno. */
static int advise(struct adviser *adviser, uint8_t *addr, size_t size, int advice)
{
	struct advice order = { .addr = addr, .size = size, .advice = advice };
	int ret = -ETIME;

	proc_send(&adviser->proc, &order, sizeof(order));
	if (proc_recv(&adviser->proc, &ret, sizeof(ret)))
		return -ETIME;
	return ret;
}

static void adviser_end(struct __test_metadata *_metadata, struct adviser *adviser)
{
	shutdown(adviser->proc.sock, SHUT_RDWR);
	EXPECT_EQ(0, proc_wait(&adviser->proc));
}

/* Behaviours 73, 75: process_madvise(PAGEOUT) by another process, with exact edges */
TEST_F(madvise, process_pageout)
{
	struct gpu *gpu = &self->gpu;
	struct adviser adviser;
	int64_t end = gpu_now() + GPU_WAIT_NS;
	uint8_t *p;

	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, SWAP_SIZE);
	adviser_start(&adviser);
	p = gpu_map_anon(SIZE);
	gpu_pattern(p, SIZE, 79);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 79);
	EXPECT_DELTA(gpu, pages_cleared, LEN / GPU_PAGE, do {
			sys_drain();
			EXPECT_EQ((int)LEN, advise(&adviser, p + AT, LEN, MADV_PAGEOUT));
		} while (sys_present(p + AT, LEN) && gpu_now() < end));
	EXPECT_EQ(LEN / GPU_PAGE, sys_swapped(p, SIZE));
	check_rest(_metadata, gpu, p, 79);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + AT, LEN, 79, AT));
	EXPECT_PATTERN(p, SIZE, 79);
	adviser_end(_metadata, &adviser);
}

/* Behaviours 72, 74, 75: process_madvise(COLD, WILLNEED) sends no event */
TEST_F(madvise, process_cold_willneed)
{
	struct gpu *gpu = &self->gpu;
	struct adviser adviser;
	uint8_t *p;

	adviser_start(&adviser);
	p = gpu_map_anon(SIZE);
	gpu_pattern(p, SIZE, 80);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 80);
	EXPECT_DELTA(gpu, invalidations_useful, 0,
		     EXPECT_EQ((int)SIZE, advise(&adviser, p, SIZE, MADV_COLD));
		     EXPECT_EQ((int)SIZE, advise(&adviser, p, SIZE, MADV_WILLNEED)));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 80));
	adviser_end(_metadata, &adviser);
}

/* Behaviours 70, 75: what another process may not advise is refused, and changes nothing */
TEST_F(madvise, process_dontneed)
{
	struct gpu *gpu = &self->gpu;
	struct adviser adviser;
	uint8_t *p;

	adviser_start(&adviser);
	p = gpu_map_anon(SIZE);
	gpu_pattern(p, SIZE, 81);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 81);
	EXPECT_DELTA(gpu, invalidations_useful, 0,
		     EXPECT_EQ(-EINVAL, advise(&adviser, p, SIZE, MADV_DONTNEED));
		     EXPECT_EQ(-EINVAL, advise(&adviser, p, SIZE, MADV_FREE)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 81));
	adviser_end(_metadata, &adviser);
}

/* Behaviours 75, 79: process_madvise(COLLAPSE) by another process: one large leaf */
TEST_F(madvise, process_collapse)
{
	struct gpu *gpu = &self->gpu;
	struct adviser adviser;
	uint8_t *p;
	int ret;

	adviser_start(&adviser);
	p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_NOHUGEPAGE));
	gpu_pattern(p, GPU_SZ_2M, 82);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 82);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_HUGEPAGE));
	ret = advise(&adviser, p, GPU_SZ_2M, MADV_COLLAPSE);
	adviser_end(_metadata, &adviser);
	if (ret == -EINVAL)
		SKIP(return, "no MADV_COLLAPSE in this kernel");
	EXPECT_EQ((int)GPU_SZ_2M, ret);
	EXPECT_EQ(GPU_SZ_2M, gpu_thp_bytes(p, GPU_SZ_2M));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 82));
	EXPECT_PATTERN(p, GPU_SZ_2M, 82);
}

TEST_HARNESS_MAIN
