// SPDX-License-Identifier: GPL-2.0
/*
 * Out of memory while a device fault is serviced.
 *
 * A worker of the kernel services the fault, but the page is charged to the
 * memory cgroup of the process whose address space it is. When the cgroup is
 * full, its out-of-memory killer picks a process in it, as for a fault of the
 * CPU; what it can't do is to make the worker stop. If there is nobody to kill,
 * the fault fails, and HMM says EFAULT.
 */
#include "fakegpu_test_proc.h"
#include "fakegpu_test_sys.h"

#define LIMIT		(10 * GPU_SZ_1M)
/* More than fits. */
#define SIZE		(24 * GPU_SZ_1M)

#define NEW		0x3333333333333333ULL

GPU_FIXTURE_SYS(oom);

/* A cgroup with a limit and without swap, unless the test wants some. */
#define SETUP(limit, swap) do { \
	GPU_CGROUP(&self->sys); \
	ASSERT_EQ(0, sys_write_number(sys_cgroup_file(&self->sys, "memory.max"), limit)); \
	ASSERT_EQ(0, sys_write_number(sys_cgroup_file(&self->sys, "memory.swap.max"), swap)); \
} while (0)

/* In a child: go into the cgroup, open the device. */
static void child_enter(struct sys_state *sys, struct gpu *gpu, const struct gpu_conf *conf,
			bool killable)
{
	sys_cgroup_enter(sys);
	if (!killable)
		CHILD_CHECK(!sys_write("/proc/self/oom_score_adj", "-1000"));
	child_gpu(gpu, conf);
	/* The results' page is there before memory gets scarce. */
	gpu->res[0] = 0;
	/* And what the CPU needs to tell of it isn't swapped out. */
	if (!killable)
		CHILD_CHECK(!mlockall(MCL_CURRENT));
}

/* Behaviour 119: memory is charged to the process whose address space it is */
TEST_F(oom, charged_to_owner)
{
	const size_t size = 8 * GPU_SZ_1M;
	/* The kernel charges for so many pages at a time on each processor. */
	const size_t ahead = 64 * GPU_PAGE * sysconf(_SC_NPROCESSORS_ONLN);
	struct gpu gpu;
	struct gpu_conf conf = variant->conf;
	struct proc child;
	uint64_t before, after;
	uint8_t *p;

	GPU_CGROUP(&self->sys);
	conf.flags |= DRM_FAKEGPU_VM_SHARED;
	child_gpu(&gpu, &conf);
	p = gpu_map_anon(size);
	/* The child stays outside, and is the one who asks the device to write. */
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 's'));
		struct drm_fakegpu_cmd cmd = fakegpu_fill(p, size, NEW);

		CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
		_exit(0);
	}
	sys_cgroup_enter(&self->sys);
	before = sys_cgroup_number(&self->sys, "memory.current");
	proc_say(&child, 's');
	EXPECT_EQ(0, proc_wait(&child));
	after = sys_cgroup_number(&self->sys, "memory.current");
	/* What was charged ahead before is used now. */
	EXPECT_LE(size, after - before + ahead);
	/* Page tables, and what is charged ahead now. */
	EXPECT_GE(size + GPU_SZ_1M, after - before);
	EXPECT_BYTES(p, size, 0x33);
	close(gpu.fd);
}

static void check_victim(struct __test_metadata *_metadata, struct gpu *gpu, struct sys_state *sys,
			 const struct gpu_conf *conf, int flags)
{
	struct proc child;

	if (proc_fork(&child)) {
		struct gpu own;
		struct drm_fakegpu_cmd cmd;
		uint8_t *p;

		child_enter(sys, &own, conf, true);
		p = gpu_map(SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
		cmd = fakegpu_fill(p, SIZE, NEW);
		gpu_run(&own, &cmd, 1);
		/* Not killed: say what the device said. */
		CHILD_CHECK(!"the device got more memory than there is");
	}
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	EXPECT_EQ(1ULL, sys_cgroup_event(sys, "oom_kill"));
	EXPECT_LE(1ULL, sys_cgroup_event(sys, "max"));
	/* All that it had on the device is gone, and its memory. */
	EXPECT_EVENTUALLY(1ULL, (unsigned long long)gpu_gauges(gpu).vms);
	EXPECT_EVENTUALLY(1ULL, (unsigned long long)gpu_gauges(gpu).queues);
	EXPECT_EVENTUALLY(0ULL, (unsigned long long)gpu_gauges(gpu).faults_pending);
	EXPECT_EVENTUALLY(true, sys_cgroup_number(sys, "memory.current") < LIMIT / 4);
	EXPECT_WORKS(gpu);
}

/* Behaviour 119: the process is killed in the middle of its device fault */
TEST_F(oom, victim)
{
	SETUP(LIMIT, 0);
	check_victim(_metadata, &self->gpu, &self->sys, &variant->conf, MAP_PRIVATE);
}

/* Behaviour 119: the same with memory that no out-of-memory reaper can take away */
TEST_F(oom, victim_shared)
{
	SETUP(LIMIT, 0);
	check_victim(_metadata, &self->gpu, &self->sys, &variant->conf, MAP_SHARED);
}

/*
 * Nobody can be killed: the command fails where memory ended, all before it is
 * done, nothing behind it was touched; with more memory the VM works on.
 */
static void check_unkillable(struct __test_metadata *_metadata, struct gpu *gpu,
			     struct sys_state *sys, const struct gpu_conf *conf, int flags,
			     size_t at_least)
{
	uint64_t limit = sys_cgroup_number(sys, "memory.max");
	struct proc child;

	if (proc_fork(&child)) {
		struct drm_fakegpu_vm_get_state state;
		struct drm_fakegpu_cmd cmd;
		struct gpu own;
		uint8_t *p, *ballast;
		size_t done;
		int ret;

		child_enter(sys, &own, conf, false);
		p = gpu_map(SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
		/* Small pages, or there is nothing to be told page by page. */
		madvise(p, SIZE, MADV_NOHUGEPAGE);
		/*
		 * The CPU needs memory, too, and unlike the device it waits for it
		 * for ever: touch all that a fatal fault touches, and keep some.
		 */
		ballast = gpu_map_anon(2 * GPU_SZ_1M);
		memset(ballast, 1, 2 * GPU_SZ_1M);
		cmd = fakegpu_fill(p + SIZE, 8, NEW);
		CHILD_CHECK(!gpu_run_fatal(&own, &cmd, 1));
		cmd = fakegpu_fill(p, SIZE, NEW);
		ret = gpu_run_fatal(&own, &cmd, 1);
		madvise(ballast, 2 * GPU_SZ_1M, MADV_DONTNEED);
		CHILD_CHECK(!ret);
		CHILD_CHECK(own.fatal.info.error == EFAULT);
		CHILD_CHECK(own.fatal.info.access == DRM_FAKEGPU_ACCESS_WRITE);
		done = own.fatal.info.addr - fakegpu_va(p);
		CHILD_CHECK(own.fatal.queue.cmd_done == done);
		fprintf(stderr, "# %zu of %zu KiB in %llu device faults\n", done / 1024,
			SIZE / 1024, (unsigned long long)own.fatal.queue.faults);
		CHILD_CHECK(done > at_least && done < SIZE && !(done % GPU_PAGE));
		/* One for each window, and a few where memory ended; not one for each page. */
		CHILD_CHECK(own.fatal.queue.faults <= done / GPU_SZ_2M + 8);
		CHILD_CHECK(!sys_present(p + done, SIZE - done));
		CHILD_CHECK(!gpu_mapped(&own, p + done, SIZE - done));
		state = gpu_state(&own);
		CHILD_CHECK(state.faults_fatal == 2);

		/* The parent raises the limit. */
		proc_say(&child, 'f');
		CHILD_CHECK(proc_hears(&child, 'r'));
		CHILD_CHECK(gpu_byte_diff(p, done, 0x33) == done);
		cmd = fakegpu_fill(p + done, SIZE - done, NEW);
		ret = gpu_run(&own, &cmd, 1);
		CHILD_CHECK(!ret);
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x33) == SIZE);
		CHILD_CHECK(gpu_state(&own).faults_fatal == 2);
		CHILD_CHECK(!gpu_close(&own));
		_exit(0);
	}
	EXPECT_TRUE(proc_hears(&child, 'f'));
	EXPECT_LE(sys_cgroup_number(sys, "memory.current"), limit);
	EXPECT_EQ(0ULL, sys_cgroup_event(sys, "oom_kill"));
	/* The killer was asked, but not for each page again. */
	EXPECT_LE(1ULL, sys_cgroup_event(sys, "oom"));
	EXPECT_GE(8ULL, sys_cgroup_event(sys, "oom"));
	ASSERT_EQ(0, sys_write(sys_cgroup_file(sys, "memory.max"), "max"));
	proc_say(&child, 'r');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_WORKS(gpu);
}

/* Behaviour 119: nobody to kill: EFAULT at the page that memory did not suffice for */
TEST_F(oom, unkillable)
{
	SETUP(LIMIT, 0);
	check_unkillable(_metadata, &self->gpu, &self->sys, &variant->conf, MAP_PRIVATE,
			 LIMIT / 2);
}

/* Behaviour 119: the same with shared memory */
TEST_F(oom, unkillable_shared)
{
	SETUP(LIMIT, 0);
	check_unkillable(_metadata, &self->gpu, &self->sys, &variant->conf, MAP_SHARED,
			 LIMIT / 2);
}

/* Behaviour 119: swap is used up first, then it is full */
TEST_F(oom, swap_full)
{
	const size_t swap = 6 * GPU_SZ_1M;

	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, swap);
	SETUP(LIMIT, 1ULL << 40);
	check_unkillable(_metadata, &self->gpu, &self->sys, &variant->conf, MAP_PRIVATE,
			 LIMIT / 2 + swap);
}

/* Behaviours 73, 119: a device that needs more than fits works on through swap */
TEST_F(oom, thrash)
{
	struct gpu *gpu = &self->gpu;
	uint64_t in, out;
	uint8_t *p;

	GPU_SWAP(&self->sys, SYS_SWAP_ZRAM, 64 * GPU_SZ_1M);
	SETUP(LIMIT, 1ULL << 40);
	sys_give_time(&self->sys, gpu);
	sys_cgroup_enter(&self->sys);
	p = gpu_map_anon(SIZE);
	in = sys_vmstat("pswpin");
	out = sys_vmstat("pswpout");
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, NEW), fakegpu_fill(p + 1, 8, 0x4444444444444444));
	EXPECT_GE(LIMIT, sys_cgroup_number(&self->sys, "memory.current"));
	EXPECT_LE((SIZE - LIMIT) / GPU_PAGE, sys_vmstat("pswpout") - out);
	EXPECT_DEVICE_BYTES(gpu, p + 9, SIZE - 9, 0x33);
	EXPECT_LE((SIZE - LIMIT) / GPU_PAGE, sys_vmstat("pswpin") - in);
	EXPECT_EQ(0ULL, sys_cgroup_event(&self->sys, "oom"));
	EXPECT_EQ(0x33, p[0]);
	EXPECT_BYTES(p + 1, 8, 0x44);
	EXPECT_BYTES(p + 9, SIZE - 9, 0x33);
}

TEST_HARNESS_MAIN
