// SPDX-License-Identifier: GPL-2.0
/*
 * The service of a device fault has read the CPU's page table, a knob holds it
 * before it commits, and something happens to the memory.
 */
#include "fakegpu_test_attr.h"
#include "fakegpu_test_proc.h"
#include "fakegpu_test_race.h"

#define SIZE	GPU_SZ_64K

INJECT_FIXTURE(collision);

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

/* It is over, after @collisions passes of the service that must not commit. */
#define EXPECT_OVER(gpu, a, collisions) do { \
	struct drm_fakegpu_vm_get_state now_ = gpu_state(gpu); \
	EXPECT_COUNT(gpu, collisions, now_.retries - (a)->before.retries); \
	EXPECT_EQ(0, fakegpu_queue_destroy((gpu)->fd, (a)->queue)); \
	EXPECT_VERIFY(gpu); \
} while (0)

/* The pass that is held goes on. */
#define EXPECT_WON(gpu, a, collisions) do { \
	INJECT_RELEASE(gpu, "hold_commit"); \
	EXPECT_DONE(gpu, (a)->queue, (a)->seqno); \
	EXPECT_OVER(gpu, a, collisions); \
} while (0)

/* The access fails, and the queue says why and where. */
#define EXPECT_REFUSED(gpu, a, err, at) do { \
	struct drm_fakegpu_queue_get_state state_; \
	EXPECT_EQ(-EIO, fakegpu_wait((gpu)->fd, (a)->queue, (a)->seqno, GPU_WAIT_NS)); \
	EXPECT_EQ(0, fakegpu_queue_state((gpu)->fd, (a)->queue, &state_)); \
	EXPECT_EQ((uint32_t)(err), state_.error); \
	EXPECT_EQ(fakegpu_va(at), (uint64_t)state_.fault_addr); \
} while (0)

#define EXPECT_LOST(gpu, a, collisions, err, at) do { \
	INJECT_RELEASE(gpu, "hold_commit"); \
	EXPECT_REFUSED(gpu, a, err, at); \
	EXPECT_OVER(gpu, a, collisions); \
} while (0)

/*
 * The same, by an engine that serves the fault itself. For that the CPU has the memory,
 * and there is an interval: of the block before it, which the device has already.
 */
#define ACCESS_HOLD_ENGINE(gpu, a, p, size, cmd) do { \
	(a)->queue = gpu_queue(gpu); \
	(a)->before = gpu_state(gpu); \
	inject_range(gpu, p, size); \
	INJECT_HOLD(gpu, "hold_try", EXPECT_SUBMIT(gpu, (a)->queue, &(a)->seqno, cmd)); \
} while (0)

static uint8_t *map_behind_interval(struct __test_metadata *_metadata, struct gpu *gpu)
{
	uint8_t *p = gpu_map_anon(2 * SIZE);

	memset(p, 1, SIZE);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	gpu_pattern(p + SIZE, SIZE, 1);
	return p + SIZE;
}

/* Behaviour 33: munmap of all of it, between the read of the page table and the commit */
TEST_F(collision, munmap)
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
TEST_F(collision, munmap_page)
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

/* Behaviour 33: munmap, while an engine serves the fault itself: then the worker says no */
TEST_F(collision, engine_munmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_behind_interval(_metadata, gpu);
	struct access a;

	gpu->res[1] = 77;
	ACCESS_HOLD_ENGINE(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EQ(0, munmap(p, SIZE));
	INJECT_RELEASE(gpu, "hold_try");
	EXPECT_REFUSED(gpu, &a, EFAULT, p);
	EXPECT_EQ(77UL, gpu->res[1]);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_OVER(gpu, &a, 1);
}

/* Behaviours 33, 36: other memory at the same address, while an engine serves the fault itself */
TEST_F(collision, engine_replace)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_behind_interval(_metadata, gpu);
	struct access a;

	ACCESS_HOLD_ENGINE(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	gpu_pattern(p, SIZE, 2);
	INJECT_RELEASE(gpu, "hold_try");
	EXPECT_DONE(gpu, a.queue, a.seqno);
	EXPECT_OVER(gpu, &a, 1);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 2, 0), gpu->res[1]);
}

/* Behaviours 24, 76: VM_ADVISE takes a right, while an engine serves the fault itself */
TEST_F(collision, engine_advise)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_behind_interval(_metadata, gpu);
	struct access a;

	/* There are no attributes before: this is the first. */
	ACCESS_HOLD_ENGINE(gpu, &a, p, SIZE, fakegpu_fill(p, SIZE, ~0ULL));
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	INJECT_RELEASE(gpu, "hold_try");
	EXPECT_REFUSED(gpu, &a, EACCES, p);
	EXPECT_PATTERN(p, SIZE, 1);
	EXPECT_OVER(gpu, &a, 1);
}

/* Behaviour 37: an interval in which an engine has served a fault goes with the last entry */
TEST_F(collision, engine_lets_go)
{
	struct gpu *gpu = &self->gpu;
	uint64_t intervals = gpu_state(gpu).intervals;
	uint8_t *p = map_behind_interval(_metadata, gpu);

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_EQ(0, munmap(p - SIZE, 2 * SIZE));
	if (!gpu_one_interval(gpu))
		EXPECT_GAUGE(gpu, intervals, intervals);
}

/* Behaviour 33: nothing happens while an engine serves the fault itself: no worker is needed */
TEST_F(collision, engine_alone)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_behind_interval(_metadata, gpu);
	struct drm_fakegpu_vm_get_state now;
	struct access a;

	ACCESS_HOLD_ENGINE(gpu, &a, p, SIZE, fakegpu_checksum(p, SIZE, gpu->res + 1));
	EXPECT_EQ(0UL, gpu_stat(gpu, "faults_pending"));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	INJECT_RELEASE(gpu, "hold_try");
	EXPECT_DONE(gpu, a.queue, a.seqno);
	now = gpu_state(gpu);
	EXPECT_EQ(1UL, now.faults - a.before.faults);
	EXPECT_EQ(1UL, now.windows - a.before.windows);
	EXPECT_OVER(gpu, &a, 0);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 1, 0), gpu->res[1]);
}

/* Behaviours 33, 70: MADV_DONTNEED: zeros, not what was there */
TEST_F(collision, dontneed)
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
TEST_F(collision, dontneed_write)
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
TEST_F(collision, replace)
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
TEST_F(collision, mremap)
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
TEST_F(collision, mprotect_readonly)
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
TEST_F(collision, mprotect_none)
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
TEST_F(collision, cow_cpu)
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
TEST_F(collision, fork)
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
TEST_F(collision, truncate)
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
TEST_F(collision, punch)
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
TEST_F(collision, neighbour)
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
TEST_F(collision, without_need)
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
TEST_F(collision, keeps_interval)
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
TEST_F(collision, prefetch_munmap)
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
TEST_F(collision, restore_munmap)
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
TEST_F(collision, narrows_in_time)
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
TEST_F(collision, late)
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
TEST_F(collision, narrows)
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

TEST_HARNESS_MAIN
