// SPDX-License-Identifier: GPL-2.0
/*
 * Area storm: the service of a device fault against what happens to the memory
 * meanwhile. A knob holds one side at the critical place, so each race is lost
 * and won on purpose.
 */
#include "fakegpu_test_inject.h"
#include "fakegpu_test_proc.h"

#include <pthread.h>
#include <sys/syscall.h>

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd	438
#endif
#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif
#ifndef FALLOC_FL_KEEP_SIZE
#define FALLOC_FL_KEEP_SIZE	1
#endif
#ifndef FALLOC_FL_PUNCH_HOLE
#define FALLOC_FL_PUNCH_HOLE	2
#endif

#define SIZE	GPU_SZ_64K

INJECT_FIXTURE(storm);

/* In scheme mm the process's own doings are seen, too. */
#define EXPECT_COUNT(gpu, want, got) do { \
	EXPECT_LE((uint64_t)(want), (uint64_t)(got)); \
	if (!gpu_one_interval(gpu)) \
		EXPECT_EQ((uint64_t)(want), (uint64_t)(got)); \
} while (0)

/* A thread for what blocks; none of the harness' assertions in it. */
struct task {
	pthread_t thread;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

static void *task_main(void *arg)
{
	struct task *task = arg;

	task->ret = task->fn(task->arg);
	return NULL;
}

static void task_start(struct task *task, int (*fn)(void *arg), void *arg)
{
	task->fn = fn;
	task->arg = arg;
	if (pthread_create(&task->thread, NULL, task_main, task))
		gpu_die("pthread_create failed");
}

static int task_join(struct task *task)
{
	pthread_join(task->thread, NULL);
	return task->ret;
}

/*
 * One access of the device, held after it has read the CPU's page table, before
 * it commits. EXPECT_WON(): it then succeeds; EXPECT_LOST(): it then fails.
 */
struct access {
	uint32_t queue;
	uint64_t seqno;
	struct drm_fakegpu_vm_get_state before;
};

#define ACCESS_HOLD(gpu, a, p, size, cmd) do { \
	(a)->queue = gpu_queue(gpu); \
	(a)->before = gpu_state(gpu); \
	inject_range(gpu, p, size); \
	INJECT_HOLD(gpu, "hold_commit", EXPECT_SUBMIT(gpu, (a)->queue, &(a)->seqno, cmd)); \
} while (0)

/* The pass that is held goes on; @collisions passes of the service must not commit. */
#define EXPECT_WON(gpu, a, collisions) do { \
	struct drm_fakegpu_vm_get_state now_; \
	INJECT_RELEASE(gpu, "hold_commit"); \
	EXPECT_DONE(gpu, (a)->queue, (a)->seqno); \
	now_ = gpu_state(gpu); \
	EXPECT_COUNT(gpu, collisions, now_.retries - (a)->before.retries); \
	EXPECT_EQ(0, fakegpu_queue_destroy((gpu)->fd, (a)->queue)); \
	EXPECT_VERIFY(gpu); \
} while (0)

#define EXPECT_LOST(gpu, a, collisions, err, at) do { \
	struct drm_fakegpu_queue_get_state state_; \
	struct drm_fakegpu_vm_get_state now_; \
	INJECT_RELEASE(gpu, "hold_commit"); \
	EXPECT_EQ(-EIO, fakegpu_wait((gpu)->fd, (a)->queue, (a)->seqno, GPU_WAIT_NS)); \
	EXPECT_EQ(0, fakegpu_queue_state((gpu)->fd, (a)->queue, &state_)); \
	EXPECT_EQ((uint32_t)(err), state_.error); \
	EXPECT_EQ(fakegpu_va(at), (uint64_t)state_.fault_addr); \
	now_ = gpu_state(gpu); \
	EXPECT_COUNT(gpu, collisions, now_.retries - (a)->before.retries); \
	EXPECT_EQ(0, fakegpu_queue_destroy((gpu)->fd, (a)->queue)); \
	EXPECT_VERIFY(gpu); \
} while (0)

/* Behaviour 33: munmap of all of it, between the read of the page table and the commit */
TEST_F(storm, commit_munmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	gpu->res[1] = 77;
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EQ(0, munmap(p, SIZE));
	EXPECT_LOST(gpu, &a, 1, EFAULT, p);
	EXPECT_EQ(77UL, gpu->res[1]);
	EXPECT_UNMAPPED(gpu, p, SIZE);
}

/* Behaviours 28, 33: munmap of one page of it; the access goes up to the hole */
TEST_F(storm, commit_munmap_page)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *hole = p + 5 * GPU_PAGE;
	struct access a;

	memset(p, 0x11, SIZE);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p, SIZE, ~0ULL));
	EXPECT_EQ(0, munmap(hole, GPU_PAGE));
	EXPECT_LOST(gpu, &a, 1, EFAULT, hole);
	EXPECT_BYTES(p, 5 * GPU_PAGE, 0xff);
	EXPECT_BYTES(hole + GPU_PAGE, SIZE - 6 * GPU_PAGE, 0x11);
	EXPECT_UNMAPPED(gpu, hole, GPU_PAGE);
}

/* Behaviours 33, 70: MADV_DONTNEED: zeros, not what was there */
TEST_F(storm, commit_dontneed)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, 1);
	EXPECT_EQ((uint64_t)gpu_crc_byte(SIZE, 0), gpu->res[1]);
}

/* Behaviours 33, 70: a write by the device: it lands in the new page, where the CPU sees it */
TEST_F(storm, commit_dontneed_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	memset(p, 0x11, SIZE);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p + 100, 10, ~0ULL));
	EXPECT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, 1);
	EXPECT_BYTES(p, 100, 0);
	EXPECT_BYTES(p + 100, 10, 0xff);
	EXPECT_BYTES(p + 110, SIZE - 110, 0);
}

/* Behaviours 33, 36: other memory at the same address */
TEST_F(storm, commit_replace)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	gpu_pattern(p, SIZE, 2);
	EXPECT_WON(gpu, &a, 1);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 2, 0), gpu->res[1]);
}

/* Behaviours 33, 43: the memory moves away */
TEST_F(storm, commit_mremap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *to = gpu_va(SIZE, 0);
	struct access a;

	memset(p, 0x11, SIZE);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p, SIZE, ~0ULL));
	ASSERT_EQ(to, mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_LOST(gpu, &a, 1, EFAULT, p);
	EXPECT_BYTES(to, SIZE, 0x11);
}

/* Behaviours 18, 33: write permission goes: EPERM, and nothing is written */
TEST_F(storm, commit_mprotect_readonly)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p, SIZE, ~0ULL));
	EXPECT_EQ(0, mprotect(p, SIZE, PROT_READ));
	EXPECT_LOST(gpu, &a, 1, EPERM, p);
	EXPECT_PATTERN(p, SIZE, 1);
}

/* Behaviours 19, 33: all permission goes: EFAULT */
TEST_F(storm, commit_mprotect_none)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_touch(p, SIZE, 1, 0));
	EXPECT_EQ(0, mprotect(p, SIZE, PROT_NONE));
	EXPECT_LOST(gpu, &a, 1, EFAULT, p);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_EQ(0, mprotect(p, SIZE, PROT_READ));
	EXPECT_PATTERN(p, SIZE, 1);
}

/* Behaviours 33, 62: after a fork the CPU writes: the device sees its copy, not the child's */
TEST_F(storm, commit_cow_cpu)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;
	struct proc child;

	gpu_pattern(p, SIZE, 1);
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'x'));
		CHILD_CHECK(gpu_pattern_diff(p, SIZE, 1) == SIZE);
		_exit(0);
	}
	/* The result's page is to be no part of this. */
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res + 1, 8, 0));
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	gpu_pattern(p, SIZE, 2);
	EXPECT_WON(gpu, &a, 1);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 2, 0), gpu->res[1]);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
}

/* Behaviours 63, 67: a fork takes the write permission that the device was about to get */
TEST_F(storm, commit_fork)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct access a;
	struct proc child;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p, SIZE, ~0ULL));
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'x'));
		CHILD_CHECK(gpu_pattern_diff(p, SIZE, 1) == SIZE);
		_exit(0);
	}
	/* It collides with the fork and then, as it copies the pages, with itself. */
	EXPECT_WON(gpu, &a, 2);
	EXPECT_BYTES(p, SIZE, 0xff);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
}

/* Behaviours 33, 83: a file is cut off */
TEST_F(storm, commit_truncate)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	EXPECT_EQ(0, ftruncate(fd, 3 * GPU_PAGE));
	EXPECT_LOST(gpu, &a, 1, EFAULT, p + 3 * GPU_PAGE);
	EXPECT_DEVICE_PATTERN(gpu, p, 3 * GPU_PAGE, 1);
	EXPECT_UNMAPPED(gpu, p + 3 * GPU_PAGE, SIZE - 3 * GPU_PAGE);
	close(fd);
}

/* Behaviours 33, 84: a hole is punched */
TEST_F(storm, commit_punch)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct access a;

	gpu_pattern(p, SIZE, 1);
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE));
	EXPECT_WON(gpu, &a, 1);
	EXPECT_EQ((uint64_t)gpu_crc_byte(SIZE, 0), gpu->res[1]);
	close(fd);
}

/*
 * Behaviour 105: an invalidation in the interval collides, one beyond its end
 * does not. In scheme mm nothing is beyond its end.
 */
TEST_F(storm, commit_neighbour)
{
	struct gpu *gpu = &self->gpu;
	unsigned int order = gpu->conf.interval_order ?: gpu->info.interval_order;
	const size_t slot = 1UL << order;
	uint8_t *p, *edge;
	struct access a;

	edge = gpu_va(2 * slot, slot);
	edge += slot;
	p = edge - 4 * GPU_PAGE;
	ASSERT_EQ(p, mmap(p, 8 * GPU_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	gpu_pattern(p, 8 * GPU_PAGE, 1);
	ACCESS_HOLD(gpu, &a, p, GPU_PAGE, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(edge, 4 * GPU_PAGE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, gpu_one_interval(gpu) ? 1 : 0);
	EXPECT_EQ(0, madvise(p, 4 * GPU_PAGE, MADV_DONTNEED));
	ACCESS_HOLD(gpu, &a, p, GPU_PAGE, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(edge - GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, 1);
}

/*
 * Behaviours 33, 105: an invalidation elsewhere in the interval collides without
 * need, and is counted as such; one in the window is not
 */
TEST_F(storm, commit_false)
{
	struct gpu *gpu = &self->gpu;
	uint64_t far = gpu->conf.interval_order == 21 ? 0 : 1;
	uint8_t *p = gpu_map_anon(2 * GPU_SZ_2M), *q = p + GPU_SZ_2M;
	struct access a;

	p[0] = 1;
	p[GPU_PAGE] = 1;
	q[0] = 1;
	ACCESS_HOLD(gpu, &a, p, GPU_PAGE, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(q, GPU_PAGE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, far);
	EXPECT_COUNT(gpu, far, gpu_state(gpu).retries_false - a.before.retries_false);

	EXPECT_EQ(0, madvise(p, GPU_PAGE, MADV_DONTNEED));
	p[0] = 1;
	ACCESS_HOLD(gpu, &a, p, GPU_PAGE, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(p + GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_WON(gpu, &a, 1);
	EXPECT_COUNT(gpu, 0, gpu_state(gpu).retries_false - a.before.retries_false);
}

/* Behaviours 37, 105: emptied while a service works in it, an interval stays */
TEST_F(storm, commit_keeps_interval)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before, now;
	struct access a;

	EXPECT_RUN(gpu, fakegpu_fill(p, 1, 0));
	EXPECT_MAPPED(gpu, p, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, SIZE - GPU_PAGE);
	before = gpu_state(gpu);
	/* A page is there, another's fault is in service, then none is there. */
	ACCESS_HOLD(gpu, &a, p, SIZE, fakegpu_fill(p + GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
	now = gpu_state(gpu);
	EXPECT_EQ((uint64_t)before.intervals, (uint64_t)now.intervals);
	EXPECT_WON(gpu, &a, 1);
	now = gpu_state(gpu);
	EXPECT_EQ((uint64_t)before.intervals_added, (uint64_t)now.intervals_added);
	EXPECT_EQ((uint64_t)before.intervals_removed, (uint64_t)now.intervals_removed);
}

struct prefetch {
	struct gpu *gpu;
	uint8_t *p;
	uint64_t done;
};

static int prefetch_task(void *arg)
{
	struct prefetch *pf = arg;

	return fakegpu_prefetch(pf->gpu->fd, pf->gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, pf->p, SIZE,
				&pf->done);
}

/* Behaviours 33, 116: PREFETCH against munmap: it tells how far there is memory */
TEST_F(storm, commit_prefetch_munmap)
{
	struct gpu *gpu = &self->gpu;
	struct prefetch pf = { .gpu = gpu, .p = gpu_map_anon(SIZE), .done = 1 };
	struct task task;

	inject_range(gpu, pf.p, SIZE);
	INJECT_HOLD(gpu, "hold_commit", task_start(&task, prefetch_task, &pf));
	EXPECT_EQ(0, munmap(pf.p + 3 * GPU_PAGE, SIZE - 3 * GPU_PAGE));
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_EQ(-EFAULT, task_join(&task));
	EXPECT_EQ(3 * GPU_PAGE, pf.done);
	EXPECT_MAPPED(gpu, pf.p, 3 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, pf.p + 3 * GPU_PAGE, SIZE - 3 * GPU_PAGE);
}

/* Behaviours 30, 78: a slot is read again, and meanwhile more of it goes */
TEST_F(storm, commit_restore_munmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M);

	gpu_pattern(p, GPU_SZ_2M, 1);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, 0));
	inject_range(gpu, p, GPU_SZ_2M);
	INJECT_HOLD(gpu, "hold_commit", EXPECT_EQ(0, munmap(p + 10 * GPU_PAGE, GPU_PAGE)));
	EXPECT_EQ(0, madvise(p + 20 * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, munmap(p + 30 * GPU_PAGE, GPU_PAGE));
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_UNMAPPED(gpu, p + 10 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 20 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 30 * GPU_PAGE, GPU_PAGE);
	EXPECT_VERIFY(gpu);
	EXPECT_DEVICE_BYTES(gpu, p + 20 * GPU_PAGE, GPU_PAGE, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, 10 * GPU_PAGE, 1);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 31 * GPU_PAGE, GPU_SZ_2M - 31 * GPU_PAGE, 1,
				 31 * GPU_PAGE);
}

/* Behaviour 106: few collisions, but passes take long: less is read in one go, too */
TEST_F(storm, commit_narrows_in_time)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t seqno;

	gpu_pattern(p, SIZE, 1);
	inject_range(gpu, p, SIZE);
	inject_value(gpu, "timeout_ms", 2000);
	inject_usecs(gpu, "delay_commit", 1, 2, 600000);
	inject_set(gpu, "retry", 1, 2);
	inject_set(gpu, "hold_commit", 4, 1);
	EXPECT_SUBMIT(gpu, gpu->queue, &seqno, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EVENTUALLY(1UL, inject_get(gpu, "hold_commit").held);
	EXPECT_LE(GPU_PAGE, (uint64_t)gpu_mapped(gpu, p, SIZE));
	EXPECT_GE(SIZE / 2, (uint64_t)gpu_mapped(gpu, p, SIZE));
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_DONE(gpu, gpu->queue, seqno);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 1, 0), gpu->res[1]);
}

/* Behaviour 106: the time is over, but there were few collisions: it goes on, and gets through */
TEST_F(storm, commit_late)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 1);
	inject_range(gpu, p, SIZE);
	inject_value(gpu, "timeout_ms", 10);
	inject_usecs(gpu, "delay_commit", 1, 3, 20000);
	inject_set(gpu, "retry", 1, 3);
	EXPECT_DELTA(gpu, faults_fatal, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1));
	EXPECT_LE(3UL, inject_hits(gpu, "retry"));
}

/* Behaviour 106: the more collisions, the less is read in one go: so it gets through */
TEST_F(storm, commit_narrows)
{
	/* Collisions, and the pages that are committed after them. */
	static const struct { unsigned int retries, pages; } step[] = {
		{ 8, 16 }, { 9, 8 }, { 10, 4 }, { 11, 2 }, { 12, 1 }, { 20, 1 },
	};
	struct gpu *gpu = &self->gpu;
	uint64_t seqno;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(step); i++) {
		uint8_t *p = gpu_map_anon(SIZE);
		uint64_t got = step[i].pages * GPU_PAGE, faults = gpu_state(gpu).faults;

		gpu_pattern(p, SIZE, 1);
		inject_range(gpu, p, SIZE);
		inject_set(gpu, "retry", 1, step[i].retries);
		/* The pass behind the one that gets through is of the next fault. */
		inject_set(gpu, "hold_commit", step[i].retries + 2, 1);
		EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
			      fakegpu_checksum(p, SIZE, gpu->res + 1));
		if (got < SIZE) {
			EXPECT_EVENTUALLY(1UL, inject_get(gpu, "hold_commit").held);
			EXPECT_MAPPED(gpu, p, got);
			EXPECT_UNMAPPED(gpu, p + got, SIZE - got);
			INJECT_RELEASE(gpu, "hold_commit");
		}
		EXPECT_DONE(gpu, gpu->queue, seqno);
		inject_off(gpu, "hold_commit");
		EXPECT_EQ(step[i].retries, inject_hits(gpu, "retry"));
		inject_off(gpu, "retry");
		EXPECT_EQ(faults + (got < SIZE ? 2 : 1), (uint64_t)gpu_state(gpu).faults);
		EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 1, 0), gpu->res[1]);
		EXPECT_MAPPED(gpu, p, SIZE);
		ASSERT_EQ(0, munmap(p, SIZE));
	}
}

/* ---------------------------------------- removal and insertion --- */

/* Behaviours 36, 37: a fault where the last interval waits for its removal */
TEST_F(storm, refault_removal_pending)
{
	struct gpu *gpu = &self->gpu;
	uint64_t pending = gpu_stat(gpu, "intervals_pending"), useful;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before, now;
	int round;

	gpu_pattern(p, SIZE, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1);
	before = gpu_state(gpu);
	if (gpu_one_interval(gpu)) {
		/* It has no last interval: the one that it has stays. */
		inject_set(gpu, "hold_remove", 1, 1);
		EXPECT_EQ(0, munmap(p, SIZE));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
		now = gpu_state(gpu);
		EXPECT_EQ(1UL, (uint64_t)now.intervals);
		EXPECT_EQ((uint64_t)before.intervals_added, (uint64_t)now.intervals_added);
		EXPECT_EQ(0UL, inject_get(gpu, "hold_remove").seen);
		inject_off(gpu, "hold_remove");
		return;
	}
	if (gpu->conf.flags & DRM_FAKEGPU_VM_DIRECT) {
		/* Removed when the invalidation ends: it hears of no other one. */
		for (round = 1; round <= 3; round++) {
			EXPECT_DELTA(gpu, invalidations, 1, EXPECT_EQ(0, munmap(p, SIZE)));
			EXPECT_UNMAPPED(gpu, p, SIZE);
			ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
			ASSERT_EQ(0, madvise(p, SIZE, MADV_NOHUGEPAGE));
			gpu_pattern(p, SIZE, round + 1);
			EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, round + 1));
			now = gpu_state(gpu);
			EXPECT_EQ((uint64_t)before.intervals, (uint64_t)now.intervals);
			EXPECT_EQ((uint64_t)before.intervals_added + round,
				  (uint64_t)now.intervals_added);
			EXPECT_EQ((uint64_t)before.intervals_removed + round,
				  (uint64_t)now.intervals_removed);
			EXPECT_VERIFY(gpu);
		}
		EXPECT_EVENTUALLY(pending, gpu_stat(gpu, "intervals_pending"));
		return;
	}
	INJECT_HOLD(gpu, "hold_remove", EXPECT_EQ(0, munmap(p, SIZE)));
	for (round = 1; round <= 3; round++) {
		now = gpu_state(gpu);
		EXPECT_EQ((uint64_t)before.intervals - 1, (uint64_t)now.intervals);
		EXPECT_EQ(pending + round, gpu_stat(gpu, "intervals_pending"));
		EXPECT_EQ((uint64_t)before.intervals_removed + round,
			  (uint64_t)now.intervals_removed);

		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(0, madvise(p, SIZE, MADV_NOHUGEPAGE));
		gpu_pattern(p, SIZE, round + 1);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, round + 1));
		now = gpu_state(gpu);
		EXPECT_EQ((uint64_t)before.intervals, (uint64_t)now.intervals);
		EXPECT_EQ((uint64_t)before.intervals_added + round,
			  (uint64_t)now.intervals_added);
		EXPECT_VERIFY(gpu);

		/* The dead ones hear of it as well; one of all clears. */
		useful = now.invalidations_useful;
		EXPECT_DELTA(gpu, invalidations, round + 1, EXPECT_EQ(0, munmap(p, SIZE)));
		EXPECT_EQ(useful + 1, (uint64_t)gpu_state(gpu).invalidations_useful);
		EXPECT_UNMAPPED(gpu, p, SIZE);
	}
	INJECT_RELEASE(gpu, "hold_remove");
	EXPECT_EVENTUALLY(pending, gpu_stat(gpu, "intervals_pending"));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
}

static int punch_task(void *arg)
{
	int fd = *(int *)arg;

	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * GPU_PAGE);
}

/*
 * Behaviour 105: an interval is registered while an invalidation is under way
 * that concerns it, but doesn't know of it: the service has to wait. In scheme
 * mm there is none to register, and the invalidation, which has not begun to
 * clear, takes away what the service commits.
 */
TEST_F(storm, insert_during_invalidation)
{
	struct gpu *gpu = &self->gpu;
	unsigned int order = gpu->conf.interval_order ?: gpu->info.interval_order;
	struct drm_fakegpu_vm_get_state before;
	struct task task;
	uint64_t seqno, was;
	uint8_t *edge, *p;
	int fd;

	/* A page at the end of a slot, a page at the beginning of the next one. */
	edge = (uint8_t *)gpu_va(2 * (1UL << order), 1UL << order) + (1UL << order);
	p = edge - GPU_PAGE;
	fd = gpu_memfd(2 * GPU_PAGE);
	ASSERT_EQ(p, mmap(p, 2 * GPU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	gpu_pattern(p, 2 * GPU_PAGE, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 1);
	EXPECT_UNMAPPED(gpu, edge, GPU_PAGE);
	was = gpu_crc(edge, GPU_PAGE);
	before = gpu_state(gpu);

	inject_range(gpu, p, 2 * GPU_PAGE);
	/* Of all that invalidates, the punch takes no mmap_lock that a registration needs. */
	INJECT_HOLD(gpu, "hold_invalidate", task_start(&task, punch_task, &fd));
	if (gpu_one_interval(gpu)) {
		EXPECT_DEVICE_PATTERN_AT(gpu, edge, GPU_PAGE, 1, GPU_PAGE);
		EXPECT_MAPPED(gpu, edge, GPU_PAGE);
		INJECT_RELEASE(gpu, "hold_invalidate");
		EXPECT_EQ(0, task_join(&task));
		EXPECT_UNMAPPED(gpu, p, 2 * GPU_PAGE);
		EXPECT_EQ((uint64_t)before.intervals_added,
			  (uint64_t)gpu_state(gpu).intervals_added);
		EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0);
		close(fd);
		return;
	}
	gpu->res[1] = 77;
	EXPECT_SUBMIT(gpu, gpu->queue, &seqno, fakegpu_checksum(edge, GPU_PAGE, gpu->res + 1));
	EXPECT_EVENTUALLY((uint64_t)before.intervals_added + 1,
			  (uint64_t)gpu_state(gpu).intervals_added);
	/* The CPU's page table still has the page: to commit it would be wrong. */
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 100000000));
	EXPECT_EQ(0, (int)(gpu_state(gpu).pages_small - before.pages_small));
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_DONE(gpu, gpu->queue, seqno);
	EXPECT_EQ(0, task_join(&task));
	/* The punch unmaps first; a fault right after that may still find the page in the file. */
	if (gpu->res[1] != was)
		EXPECT_EQ((uint64_t)gpu_crc_byte(GPU_PAGE, 0), gpu->res[1]);
	EXPECT_VERIFY(gpu);
	EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0);
	close(fd);
}

/* Behaviour 105: a service in an interval whose callback has not begun yet: cleared by it */
TEST_F(storm, service_during_invalidation)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(4 * GPU_PAGE);
	uint8_t *p = gpu_map(4 * GPU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct drm_fakegpu_vm_get_state before, now;
	struct task task;

	gpu_pattern(p, 4 * GPU_PAGE, 1);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_EQ(0, madvise(p + GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	before = gpu_state(gpu);
	inject_range(gpu, p, 4 * GPU_PAGE);
	INJECT_HOLD(gpu, "hold_invalidate", task_start(&task, punch_task, &fd));
	/* The memory isn't gone yet: the device may still read, and map, it. */
	EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 1);
	EXPECT_MAPPED(gpu, p, 4 * GPU_PAGE);
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EQ(0, task_join(&task));
	EXPECT_UNMAPPED(gpu, p, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE);
	now = gpu_state(gpu);
	EXPECT_COUNT(gpu, 2, now.pages_cleared - before.pages_cleared);
	EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE, 1, 2 * GPU_PAGE);
	close(fd);
}

static int destroy_task(void *arg)
{
	struct gpu *gpu = arg;
	int ret = fakegpu_queue_destroy(gpu->fd, gpu->queue);

	gpu->queue = 0;
	ret = ret ?: fakegpu_vm_destroy(gpu->fd, gpu->vm);
	gpu->vm = 0;
	return ret;
}

/* Behaviours 40, 105: intervals are removed while an invalidation of their mm is under way */
TEST_F(storm, remove_during_invalidation)
{
	struct gpu *gpu = &self->gpu, other;
	int fd = gpu_memfd(2 * GPU_PAGE);
	uint8_t *p = gpu_map(2 * GPU_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct task punch, destroy;
	uint64_t removed;

	gpu_pattern(p, 2 * GPU_PAGE, 1);
	ASSERT_EQ(0, gpu_open_cold(&other, &gpu->conf, 1));
	EXPECT_RUN(gpu, fakegpu_touch(p, 2 * GPU_PAGE, 1, 0));
	EXPECT_RUN(&other, fakegpu_touch(p, 2 * GPU_PAGE, 1, 0));
	EXPECT_GAUGE(&other, intervals, 1);
	inject_range(gpu, p, 2 * GPU_PAGE);
	INJECT_HOLD(gpu, "hold_invalidate", task_start(&punch, punch_task, &fd));
	/* The interval of the other device's VM goes; the kernel makes its removal wait. */
	removed = gpu_stat(&other, "intervals_removed");
	task_start(&destroy, destroy_task, &other);
	EXPECT_EVENTUALLY(removed + 1, gpu_stat(&other, "intervals_removed"));
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EQ(0, task_join(&punch));
	EXPECT_EQ(0, task_join(&destroy));
	EXPECT_EQ(0, gpu_close(&other))
		TH_LOG("%s", gpu_why());
	EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0);
	close(fd);
}

/* ------------------------------------------------------------ the storm --- */

struct storm {
	uint8_t *p;
	size_t size;
	bool stop;
	uint64_t rounds;
};

/* Each kind of event, on the first half of the memory, without a pause. */
static int storm_task(void *arg)
{
	struct storm *s = arg;
	uint64_t seed = 1;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		uint8_t *at = s->p + gpu_rand(&seed) % (s->size / GPU_PAGE) * GPU_PAGE;

		switch (gpu_rand(&seed) % 3) {
		case 0:
			if (madvise(at, GPU_PAGE, MADV_DONTNEED))
				return -errno;
			break;
		case 1:
			if (mprotect(s->p, s->size, PROT_READ) ||
			    mprotect(s->p, s->size, PROT_READ | PROT_WRITE))
				return -errno;
			break;
		default:
			if (mmap(at, GPU_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
				return -errno;
		}
		s->rounds++;
	}
	return 0;
}

/*
 * Behaviour 106: invalidations without end in the window: every fault is served,
 * no more retries than there were invalidations, no lost update
 */
TEST_F(storm, notifier_storm)
{
	enum { QUEUES = 3, ROUNDS = 100 };
	struct gpu *gpu = &self->gpu;
	struct storm storm = { .size = 8 * GPU_PAGE };
	struct drm_fakegpu_vm_get_state before, now;
	uint64_t *sum, seqno[QUEUES] = { 0 };
	uint32_t queue[QUEUES];
	struct task task;
	int i, n;

	storm.p = gpu_map_anon(16 * GPU_PAGE);
	sum = (uint64_t *)(storm.p + 12 * GPU_PAGE);
	for (i = 0; i < QUEUES; i++)
		queue[i] = gpu_queue(gpu);
	before = gpu_state(gpu);
	task_start(&task, storm_task, &storm);
	for (n = 0; n < ROUNDS; n++) {
		for (i = 0; i < QUEUES; i++)
			EXPECT_SUBMIT(gpu, queue[i], &seqno[i],
				      fakegpu_touch(storm.p, storm.size, GPU_PAGE, 0),
				      fakegpu_atomic(sum, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL));
		for (i = 0; i < QUEUES; i++)
			EXPECT_DONE(gpu, queue[i], seqno[i]);
	}
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(0, task_join(&task));
	now = gpu_state(gpu);
	EXPECT_EQ((uint64_t)ROUNDS * QUEUES, *sum);
	EXPECT_EQ((uint64_t)before.faults_fatal, (uint64_t)now.faults_fatal);
	EXPECT_LE((uint64_t)(now.retries - before.retries),
		  (uint64_t)(now.invalidations - before.invalidations));
	EXPECT_LT(0UL, storm.rounds);
	for (i = 0; i < QUEUES; i++)
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue[i]));
}

/* Behaviour 106: each of the first passes collides with a true invalidation; then it is served */
TEST_F(storm, collisions_in_a_row)
{
	enum { COLLISIONS = 6 };
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before, now;
	uint64_t seqno;
	unsigned int i;

	gpu_pattern(p, SIZE, 1);
	before = gpu_state(gpu);
	inject_range(gpu, p, SIZE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
				  fakegpu_checksum(p, 2 * GPU_PAGE, gpu->res + 1)));
	for (i = 1; i <= COLLISIONS; i++) {
		gpu_pattern(p, SIZE, i);
		EXPECT_EQ(0, mprotect(p, SIZE, PROT_READ));
		EXPECT_EQ(0, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
		if (i == COLLISIONS)
			break;
		/* The next pass is held instead of this one. */
		inject_set(gpu, "hold_commit", 1, 1);
		EXPECT_EVENTUALLY(1UL, inject_hits(gpu, "hold_commit"));
		EXPECT_EVENTUALLY(1UL, inject_get(gpu, "hold_commit").held);
	}
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_DONE(gpu, gpu->queue, seqno);
	now = gpu_state(gpu);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(2 * GPU_PAGE, COLLISIONS, 0), gpu->res[1]);
	EXPECT_COUNT(gpu, COLLISIONS, now.retries - before.retries);
	EXPECT_EQ(1UL, (uint64_t)(now.faults - before.faults));
	EXPECT_EQ(1UL, (uint64_t)(now.windows - before.windows));
	/* It got narrow: no more than what was requested. */
	EXPECT_MAPPED(gpu, p, 2 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE);
}

/* ------------------------------------------------------- the OOM reaper --- */

struct victim {
	int fd;
	uint32_t vm;
	uint8_t *p;		/* mirrored */
	uint8_t *busy;		/* mirrored, and being invalidated for ever */
	uint8_t *fault;		/* a device fault for it is in service */
};

static void victim_main(struct proc *proc, const struct gpu_conf *conf)
{
	struct victim victim;
	struct gpu gpu;
	uint64_t seqno;
	struct drm_fakegpu_cmd cmd;

	child_gpu(&gpu, conf);
	victim.fd = gpu.fd;
	victim.vm = gpu.vm;
	victim.p = gpu_map_anon(SIZE);
	victim.busy = gpu_map_anon(GPU_PAGE);
	victim.fault = gpu_map_anon(GPU_PAGE);
	cmd = fakegpu_fill(victim.p, SIZE, ~0ULL);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	cmd = fakegpu_fill(victim.busy, GPU_PAGE, ~0ULL);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	proc_send(proc, &victim, sizeof(victim));
	CHILD_CHECK(proc_hears(proc, 'f'));
	cmd = fakegpu_fill(victim.fault, GPU_PAGE, ~0ULL);
	CHILD_CHECK(!fakegpu_submit(gpu.fd, gpu.queue, &cmd, 1, &seqno));
	CHILD_CHECK(proc_hears(proc, 'b'));
	/* Held in invalidate(), where not even SIGKILL gets it out. */
	madvise(victim.busy, GPU_PAGE, MADV_DONTNEED);
	pause();
}

/* Does a line of the VM's file begin in [start, end)? */
static bool file_has(struct gpu *gpu, uint32_t vm, const char *file, const uint8_t *addr,
		     size_t size, char *line, size_t max)
{
	uint64_t start = fakegpu_va(addr), end = start + size;
	unsigned long long from, to;
	FILE *f = gpu_vm_file(gpu, vm, file);
	bool found = false;

	while (!found && fgets(line, max, f)) {
		char *range = strchr(line, '-');

		/* The first range in the line. */
		if (line[0] == '#' || !range || range - line < 16)
			continue;
		if (sscanf(range - 16, "%llx-%llx", &from, &to) == 2)
			found = from < end && to > start;
	}
	fclose(f);
	return found;
}

static int fault_error(struct gpu *gpu, uint32_t vm, const uint8_t *addr)
{
	char line[256], *last;

	if (!file_has(gpu, vm, "faults", addr, GPU_PAGE, line, sizeof(line)))
		return -1;
	last = strrchr(line, ' ');
	return last ? atoi(last) : -1;
}

static bool has_vma(pid_t pid, const uint8_t *addr)
{
	unsigned long long from, to;
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%llx-%llx ", &from, &to) == 2 && from <= fakegpu_va(addr) &&
			fakegpu_va(addr) < to;
	fclose(f);
	return found;
}

/*
 * Behaviour 98: process_mrelease() of a killed process, with the mirror lock
 * held for long in the callback and a fault in service: reaped at once
 */
TEST_F(storm, mrelease)
{
	struct gpu *gpu = &self->gpu;
	char line[256];
	struct victim victim;
	struct proc proc;
	int pidfd, fd;

	if (proc_fork(&proc)) {
		victim_main(&proc, &gpu->conf);
		_exit(1);
	}
	ASSERT_EQ(0, proc_recv(&proc, &victim, sizeof(victim)));
	pidfd = syscall(__NR_pidfd_open, proc.pid, 0);
	ASSERT_LE(0, pidfd);
	/* So that the VM stays. */
	fd = syscall(__NR_pidfd_getfd, pidfd, victim.fd, 0);
	ASSERT_LE(0, fd);
	/* Not dying yet. */
	EXPECT_EQ(-1, syscall(__NR_process_mrelease, pidfd, 0));
	EXPECT_EQ(EINVAL, errno);

	inject_range(gpu, victim.fault, GPU_PAGE);
	INJECT_HOLD(gpu, "hold_commit", proc_say(&proc, 'f'));
	inject_range(gpu, victim.busy, GPU_PAGE);
	INJECT_HOLD(gpu, "hold_invalidate", proc_say(&proc, 'b'));
	EXPECT_TRUE(file_has(gpu, victim.vm, "mirror", victim.p, SIZE, line, sizeof(line)));

	EXPECT_EQ(0, kill(proc.pid, SIGKILL));
	inject_range(gpu, victim.p, SIZE);
	inject_usecs(gpu, "delay_invalidate", 1, 0, 50000);
	/* One go is enough: the callback need not refuse. */
	EXPECT_EQ(0, syscall(__NR_process_mrelease, pidfd, 0))
		TH_LOG("%s", strerror(errno));
	EXPECT_EQ(1UL, inject_hits(gpu, "delay_invalidate"));
	EXPECT_EQ(1UL, inject_get(gpu, "hold_invalidate").held);
	/* What was mirrored is gone, although the mapping is there. */
	EXPECT_TRUE(has_vma(proc.pid, victim.p));
	EXPECT_FALSE(file_has(gpu, victim.vm, "mirror", victim.p, SIZE, line, sizeof(line)))
		TH_LOG("%s", line);

	/*
	 * The fault in service finds that its memory isn't to be used any more;
	 * it has to wait for the end of the other invalidation to find that out.
	 */
	INJECT_RELEASE(gpu, "hold_commit");
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EVENTUALLY(EFAULT, fault_error(gpu, victim.vm, victim.fault));
	EXPECT_FALSE(file_has(gpu, victim.vm, "mirror", victim.fault, GPU_PAGE, line,
			      sizeof(line)));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&proc));
	EXPECT_EVENTUALLY(false, file_has(gpu, victim.vm, "mirror", NULL, -1UL, line,
					  sizeof(line)));
	close(fd);
	close(pidfd);
}

TEST_HARNESS_MAIN
