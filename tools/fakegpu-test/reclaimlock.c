// SPDX-License-Identifier: GPL-2.0
/*
 * Device work while the kernel reclaims, compacts, collapses and splits the same
 * memory: every path on which a callback comes with other locks held, or while a
 * service allocates. A kernel with lockdep learns the order of the locks from it;
 * any kernel has to keep the bytes.
 */
#include "fakegpu_test_page.h"
#include "fakegpu_test_proc.h"

#include <pthread.h>

#define BLOCK		GPU_SZ_2M
#define BLOCKS		10UL
#define SIZE		(BLOCKS * BLOCK)
/* What may be in memory at a time; the rest is on the swap. */
#define LIMIT		"12M"
/*
 * Where two processes want it all, reclaim may find nothing sixteen times in a row,
 * upon which the kernel kills: there it is asked to reclaim above that, no more.
 */
#define LIMIT_SOFT	"14M"
#define SWAP_SIZE	(64 * GPU_SZ_1M)
/* Seconds: the debug kernel pages out and in at a few MiB a second. */
#define SLOW		360

GPU_FIXTURE_SYS(reclaimlock);

/* Somebody who does one thing again and again. */
struct disturber {
	struct sys_state *sys;
	uint8_t *p;
	int (*act)(struct disturber *d, unsigned int round);
	volatile bool *stop;
	/* Read by the test while the thread runs. */
	volatile unsigned int rounds;
	int failed;
	pthread_t thread;
};

static void *disturber_main(void *arg)
{
	struct disturber *d = arg;

	while (!*d->stop && !d->failed) {
		d->failed = d->act(d, d->rounds);
		d->rounds++;
	}
	return NULL;
}

static int compact(struct disturber *d, unsigned int round)
{
	(void)d;
	(void)round;
	return sys_write("/proc/sys/vm/compact_memory", "1");
}

static int drop_caches(struct disturber *d, unsigned int round)
{
	(void)d;
	usleep(10000);
	return sys_write("/proc/sys/vm/drop_caches", round % 2 ? "1" : "3");
}

/* Reclaim from a thread that holds no lock of the process. */
static int reclaim(struct disturber *d, unsigned int round)
{
	int ret = sys_write(sys_cgroup_file(d->sys, "memory.reclaim"), "2M");

	(void)round;
	usleep(10000);
	/* It reclaimed less than asked for. */
	return ret == -EAGAIN ? 0 : ret;
}

/* Make a huge page, and split it by reclaiming a part of it. */
static int collapse_and_split(struct disturber *d, unsigned int round)
{
	uint8_t *p = d->p + round % BLOCKS * BLOCK;

	madvise(p, BLOCK, MADV_COLLAPSE);
	return madvise(p + BLOCK / 4, BLOCK / 4, MADV_PAGEOUT) ? -errno : 0;
}

/* The swap and the cgroup that the tests need, or a reason to skip. */
#define PRESSURE(sys, file, limit) do { \
	sys_give_time(sys, &self->gpu); \
	GPU_SWAP(sys, SYS_SWAP_ZRAM, SWAP_SIZE); \
	GPU_CGROUP(sys); \
	sys_cgroup_enter(sys); \
	ASSERT_EQ(0, sys_write(sys_cgroup_file(sys, file), limit)); \
} while (0)

/* A word that says which block it is in and when it was written. */
static uint64_t stamp(unsigned int round, unsigned int block)
{
	return BYTES(1 + (round * 37 + block * 11) % 255ULL);
}

/*
 * Write all blocks by the device and read them by device and CPU, while others
 * do what they do; @rounds times, or twice where that takes long, and until each
 * of them has done it three times. Each round takes fresh memory, too, and gives
 * it back: intervals and nodes come and go under pressure.
 */
static void work(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		 struct disturber *d, unsigned int nr, unsigned int rounds)
{
	int64_t begin = gpu_now(), end = begin + 2 * GPU_WAIT_NS;
	volatile bool stop = false;
	unsigned int round, i, least = 0;

	for (i = 0; i < nr; i++) {
		d[i].p = p;
		d[i].stop = &stop;
		ASSERT_EQ(0, pthread_create(&d[i].thread, NULL, disturber_main, &d[i]));
	}
	for (round = 0; round < 2 || gpu_more(round, rounds, begin) ||
			(least < 3 && gpu_now() < end); round++) {
		uint8_t *fresh = gpu_map_anon(BLOCK);

		for (i = 0; i < BLOCKS; i++)
			EXPECT_RUN(gpu, fakegpu_fill(p + i * BLOCK, BLOCK, stamp(round, i)));
		EXPECT_RUN(gpu, fakegpu_copy(fresh, p, BLOCK));
		for (i = 0; i < BLOCKS; i++) {
			const uint8_t byte = stamp(round, i);

			/* The CPU faults pages in, too: a part of them will do. */
			EXPECT_DEVICE_BYTES(gpu, p + i * BLOCK, BLOCK, byte);
			EXPECT_BYTES(p + i * BLOCK, BLOCK / 8, byte);
		}
		EXPECT_DEVICE_BYTES(gpu, fresh, BLOCK, (uint8_t)stamp(round, 0));
		ASSERT_EQ(0, munmap(fresh, BLOCK));
		least = ~0U;
		for (i = 0; i < nr; i++)
			least = d[i].rounds < least ? d[i].rounds : least;
	}
	stop = true;
	for (i = 0; i < nr; i++) {
		pthread_join(d[i].thread, NULL);
		EXPECT_EQ(0, d[i].failed)
			TH_LOG("disturber %u, round %u", i, d[i].rounds);
		EXPECT_LE(3U, d[i].rounds);
	}
	EXPECT_VERIFY(gpu);
	/* The swap goes with the test, and the cgroup has no room for what is there. */
	ASSERT_EQ(0, munmap(p, SIZE));
}

/* Behaviour 109: device work in a cgroup that is too small for it: faults reclaim */
TEST_F_TIMEOUT(reclaimlock, memcg, SLOW)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct disturber d[] = { { .sys = &self->sys, .act = reclaim } };
	uint64_t out;

	PRESSURE(&self->sys, "memory.max", LIMIT);
	out = sys_vmstat("pswpout");
	work(_metadata, gpu, p, d, 1, 4);
	/* It really was too small. */
	EXPECT_LE(SIZE / GPU_PAGE, sys_vmstat("pswpout") - out);
	EXPECT_EQ(0UL, sys_cgroup_event(&self->sys, "oom_kill"));
}

/* Behaviour 109: the same, with compaction and the caches' shrinkers at work */
TEST_F_TIMEOUT(reclaimlock, memcg_compaction_caches, SLOW)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct disturber d[] = {
		{ .sys = &self->sys, .act = reclaim },
		{ .act = compact },
		{ .act = drop_caches },
	};
	uint64_t out;

	PRESSURE(&self->sys, "memory.max", LIMIT);
	out = sys_vmstat("pswpout");
	work(_metadata, gpu, p, d, 3, 3);
	EXPECT_LE(SIZE / GPU_PAGE, sys_vmstat("pswpout") - out);
	EXPECT_EQ(0UL, sys_cgroup_event(&self->sys, "oom_kill"));
}

/* Behaviour 109: the same, with huge pages that come and are split by reclaim */
TEST_F_TIMEOUT(reclaimlock, memcg_huge, SLOW)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct disturber d[] = {
		{ .act = collapse_and_split },
		{ .act = compact },
	};
	uint64_t split;

	if (madvise(p, SIZE, MADV_HUGEPAGE))
		SKIP(return, "no transparent huge pages");
	PRESSURE(&self->sys, "memory.max", LIMIT);
	split = sys_vmstat("thp_split_pmd");
	work(_metadata, gpu, p, d, 2, 4);
	EXPECT_LT(split, sys_vmstat("thp_split_pmd"));
	EXPECT_EQ(0UL, sys_cgroup_event(&self->sys, "oom_kill"));
}

/* Behaviour 109: shared memory on the swap, which another process uses at the same time */
TEST_F_TIMEOUT(reclaimlock, memcg_shared, SLOW)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint8_t *q = gpu_map(GPU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct disturber d[] = {
		{ .sys = &self->sys, .act = reclaim },
		{ .act = compact },
	};
	struct proc child;
	uint64_t out;

	PRESSURE(&self->sys, "memory.high", LIMIT_SOFT);
	if (proc_fork(&child)) {
		struct gpu own;
		uint64_t crc;
		size_t i;

		/* Reads only, all the time, until it is told to stop. */
		child_gpu(&own, &gpu->conf);
		while (!*(volatile uint8_t *)q)
			for (i = 0; i < BLOCKS; i++)
				CHILD_CHECK(!gpu_device_crc(&own, p + i * BLOCK, BLOCK, &crc));
		_exit(0);
	}
	out = sys_vmstat("pswpout");
	work(_metadata, gpu, p, d, 2, 3);
	*(volatile uint8_t *)q = 1;
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_LT(out, sys_vmstat("pswpout"));
	EXPECT_EQ(0UL, sys_cgroup_event(&self->sys, "oom_kill"));
}

TEST_HARNESS_MAIN
