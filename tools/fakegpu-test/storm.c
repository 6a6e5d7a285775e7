// SPDX-License-Identifier: GPL-2.0
/*
 * Device faults while intervals come and go and invalidations are under way,
 * held there by a knob, or many of all of them at once.
 */
#include "fakegpu_test_proc.h"
#include "fakegpu_test_race.h"

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

#define SIZE	GPU_SZ_64K

INJECT_FIXTURE(storm);

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
	EXPECT_EVENTUALLY(true, storm.rounds > 0);
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

struct rival {
	uint8_t *p;
	volatile bool stop;
	volatile unsigned int rounds;
};

/* Give a page back and take it again, as fast as it goes. */
static int rival_task(void *arg)
{
	struct rival *rival = arg;

	while (!rival->stop) {
		if (madvise(rival->p, GPU_PAGE, MADV_DONTNEED))
			return -errno;
		rival->p[0] = 1;
		rival->rounds++;
	}
	return 0;
}

/* Behaviour 106: a pass takes longer than the memory is left alone: a fault is served after 16 */
TEST_F(storm, outpaced)
{
	struct gpu *gpu = &self->gpu;
	struct rival rival = { .p = gpu_map_anon(SIZE) };
	struct drm_fakegpu_vm_get_state before, now;
	const int64_t end = gpu_now() + GPU_WAIT_NS;
	uint64_t retries, most = 0;
	struct task task;
	unsigned int i;

	memset(rival.p, 1, SIZE);
	inject_range(gpu, rival.p, SIZE);
	inject_usecs(gpu, "delay_commit", 1, 0, 20000);
	task_start(&task, rival_task, &rival);
	EXPECT_EVENTUALLY(true, rival.rounds > 10);
	/* The rival may be given no processor for a while. */
	for (i = 0; i < 4 || (most < 16 && gpu_now() < end); i++) {
		before = gpu_state(gpu);
		EXPECT_RUN(gpu, fakegpu_touch(rival.p, GPU_PAGE, 1,
					      i % 2 ? DRM_FAKEGPU_CMD_WRITE : 0));
		/* What was served may be gone before the engine is back: then a fault more. */
		now = gpu_state(gpu);
		retries = now.retries - before.retries;
		EXPECT_GE(17 * (uint64_t)(now.faults - before.faults), retries);
		if (retries > most)
			most = retries;
	}
	EXPECT_LE(16UL, most);
	rival.stop = true;
	EXPECT_EQ(0, task_join(&task));
	EXPECT_VERIFY(gpu);
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
