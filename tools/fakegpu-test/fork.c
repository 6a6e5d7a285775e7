// SPDX-License-Identifier: GPL-2.0
/*
 * fork() with memory that the device has mapped, and copy-on-write on both
 * sides of it. The child gets the file, but no VM: a VM belongs to one mm.
 */
#include "fakegpu_test_proc.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(fork);

static void fill(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p, uint8_t byte)
{
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, byte * 0x0101010101010101ULL));
}

/* For a child: its device sees @byte everywhere. */
static void child_sees(struct gpu *gpu, uint8_t *p, uint8_t byte)
{
	uint64_t crc;

	CHILD_CHECK(gpu_byte_diff(p, SIZE, byte) == SIZE);
	CHILD_CHECK(!gpu_device_crc(gpu, p, SIZE, &crc));
	CHILD_CHECK(crc == gpu_crc_byte(SIZE, byte));
}

static void child_fills(struct gpu *gpu, uint8_t *p, uint8_t byte)
{
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, byte * 0x0101010101010101ULL);

	CHILD_CHECK(!gpu_run(gpu, &cmd, 1));
}

/* Behaviour 60: the child's device writes private memory: the parent's is unchanged */
TEST_F(fork, child_writes_private)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	gpu_pattern(p, SIZE, 60);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 60);
	if (proc_fork(&child)) {
		struct gpu own;

		child_gpu(&own, &gpu->conf);
		child_fills(&own, p, 0x60);
		child_sees(&own, p, 0x60);
		proc_say(&child, 'w');
		CHILD_CHECK(proc_hears(&child, 'x'));
		child_sees(&own, p, 0x60);
		_exit(gpu_verify(&own) != 0);
	}
	EXPECT_TRUE(proc_hears(&child, 'w'));
	EXPECT_PATTERN(p, SIZE, 60);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 60);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 60);
}

/* Behaviour 60: a huge page: the child's device writes one page of it */
TEST_F(fork, child_writes_private_huge)
{
	struct gpu *gpu = &self->gpu;
	struct proc child;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 60);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 60);
	if (proc_fork(&child)) {
		struct drm_fakegpu_cmd cmd = fakegpu_fill(p + 7 * GPU_PAGE, GPU_PAGE, 0);
		struct gpu own;

		child_gpu(&own, &gpu->conf);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		CHILD_CHECK(gpu_byte_diff(p + 7 * GPU_PAGE, GPU_PAGE, 0) == GPU_PAGE);
		CHILD_CHECK(gpu_pattern_diff(p, 7 * GPU_PAGE, 60) == 7 * GPU_PAGE);
		_exit(gpu_verify(&own) != 0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_PATTERN(p, GPU_SZ_2M, 60);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 60);
}

/* Behaviour 61: shared anonymous memory: the parent sees what the child's device writes */
TEST_F(fork, child_writes_shared)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct proc child;

	gpu_pattern(p, SIZE, 61);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 61);
	if (proc_fork(&child)) {
		struct gpu own;

		child_gpu(&own, &gpu->conf);
		child_fills(&own, p, 0x61);
		proc_say(&child, 'w');
		CHILD_CHECK(proc_hears(&child, 'x'));
		child_sees(&own, p, 0x62);
		_exit(0);
	}
	EXPECT_TRUE(proc_hears(&child, 'w'));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x61);
	EXPECT_BYTES(p, SIZE, 0x61);
	fill(_metadata, gpu, p, 0x62);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
}

/* Behaviour 62: the parent's CPU writes after fork(): its device follows its copy */
TEST_F(fork, parent_cpu_writes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	/* The device has write permission before, which must be worth nothing. */
	fill(_metadata, gpu, p, 0x11);
	if (proc_fork(&child)) {
		struct gpu own;

		CHILD_CHECK(proc_hears(&child, 'w'));
		child_gpu(&own, &gpu->conf);
		child_sees(&own, p, 0x11);
		_exit(0);
	}
	/* Mapped for reading by now: the copy has to take that away again. */
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	memset(p, 0x62, SIZE);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x62);
	proc_say(&child, 'w');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x62);
}

/* Behaviour 63: the parent's device writes after fork(): the child keeps the old value */
TEST_F(fork, parent_device_writes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	fill(_metadata, gpu, p, 0x11);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	if (proc_fork(&child)) {
		struct gpu own;

		CHILD_CHECK(proc_hears(&child, 'w'));
		child_gpu(&own, &gpu->conf);
		child_sees(&own, p, 0x11);
		/* The other way round: the child has the old pages for itself now. */
		child_fills(&own, p, 0x22);
		proc_say(&child, 'v');
		CHILD_CHECK(proc_hears(&child, 'x'));
		child_sees(&own, p, 0x22);
		_exit(gpu_verify(&own) != 0);
	}
	/* fork() has taken the write permission, so writing takes a fault. */
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, fill(_metadata, gpu, p, 0x63));
	EXPECT_BYTES(p, SIZE, 0x63);
	proc_say(&child, 'w');
	EXPECT_TRUE(proc_hears(&child, 'v'));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x63);
	EXPECT_BYTES(p, SIZE, 0x63);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
}

/* Behaviour 63: read, then write after fork(): the read-only entry isn't written through */
TEST_F(fork, parent_device_reads_then_writes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	fill(_metadata, gpu, p, 0x11);
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'w'));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x11) == SIZE);
		_exit(0);
	}
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res, GPU_PAGE, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 1, fill(_metadata, gpu, p, 0x63));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	proc_say(&child, 'w');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_BYTES(p, SIZE, 0x63);
}

/* Behaviour 63: a huge page */
TEST_F(fork, parent_device_writes_huge)
{
	struct gpu *gpu = &self->gpu;
	struct proc child;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 63);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'w'));
		CHILD_CHECK(gpu_pattern_diff(p, GPU_SZ_2M, 63) == GPU_SZ_2M);
		_exit(0);
	}
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_RUN(gpu, fakegpu_fill(p + 9 * GPU_PAGE, GPU_PAGE, 0));
	EXPECT_BYTES(p + 9 * GPU_PAGE, GPU_PAGE, 0);
	proc_say(&child, 'w');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_PATTERN(gpu, p, 9 * GPU_PAGE, 63);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 10 * GPU_PAGE, GPU_SZ_2M - 10 * GPU_PAGE, 63,
				 10 * GPU_PAGE);
}

/* Behaviour 64: the child reads with its CPU what the device wrote before fork() */
TEST_F(fork, child_reads)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	fill(_metadata, gpu, p, 0x64);
	if (proc_fork(&child)) {
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x64) == SIZE);
		_exit(0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x64);
}

/* Behaviour 65: the inherited file: the parent's VM is refused, an own one works */
TEST_F(fork, child_uses_inherited_file)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before;
	struct proc child;

	gpu_pattern(p, SIZE, 65);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 65);
	if (proc_fork(&child)) {
		struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, 0);
		struct drm_fakegpu_queue_get_state queue;
		struct drm_fakegpu_vm_get_state state;
		struct drm_fakegpu_vm_run run;
		uint32_t id, count = 1;
		struct gpu own = *gpu;

		CHILD_CHECK(fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_wait(gpu->fd, gpu->queue, 1, 0) == -EPERM);
		CHILD_CHECK(fakegpu_queue_state(gpu->fd, gpu->queue, &queue) == -EPERM);
		CHILD_CHECK(fakegpu_queue_create(gpu->fd, gpu->vm, &id) == -EPERM);
		CHILD_CHECK(fakegpu_queue_destroy(gpu->fd, gpu->queue) == -EPERM);
		CHILD_CHECK(fakegpu_vm_state(gpu->fd, gpu->vm, &state) == -EPERM);
		CHILD_CHECK(fakegpu_vm_query(gpu->fd, gpu->vm, p, SIZE, &run, &count, NULL) ==
			    -EPERM);
		CHILD_CHECK(fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_vm_destroy(gpu->fd, gpu->vm) == -EPERM);

		CHILD_CHECK(!gpu_vm_create(own.fd, 0, &own.conf, &own.vm));
		CHILD_CHECK(!fakegpu_queue_create(own.fd, own.vm, &own.queue));
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0) == SIZE);
		/* The parent holds the file open, so these would stay. */
		CHILD_CHECK(!fakegpu_queue_destroy(own.fd, own.queue));
		CHILD_CHECK(!fakegpu_vm_destroy(own.fd, own.vm));
		_exit(0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	before = gpu_state(gpu);
	EXPECT_EQ(0ULL, before.faults_fatal);
	EXPECT_PATTERN(p, SIZE, 65);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 65);
}

/* Behaviours 60, 67: fork() while a job hammers the range: each child has one moment of it */
TEST_F(fork, busy)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmds[100];
	const unsigned int jobs = 6;
	uint64_t seqno = 0, last;
	struct proc child;
	unsigned int i, job;
	size_t at;

	for (job = 0; job < jobs; job++) {
		for (i = 0; i < 100; i++)
			cmds[i] = fakegpu_fill(p, SIZE, job * 100 + i + 1);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 100, &seqno));
		if (proc_fork(&child)) {
			uint32_t crc = gpu_crc(p, SIZE);

			/* One FILL or two neighbouring ones, the newer one below. */
			for (i = 8; i < SIZE; i += 8) {
				uint64_t a = *(uint64_t *)(p + i - 8), b = *(uint64_t *)(p + i);

				CHILD_CHECK(a == b || a == b + 1);
			}
			CHILD_CHECK(*(uint64_t *)p <= *(uint64_t *)(p + SIZE - 8) + 1);
			usleep(20000);
			CHILD_CHECK(gpu_crc(p, SIZE) == crc);
			_exit(0);
		}
		EXPECT_EQ(0, proc_wait(&child));
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
		/* No write was lost in a page that only the child still has. */
		last = job * 100 + 100;
		for (at = 0; at < SIZE; at += 8)
			ASSERT_EQ(last, *(uint64_t *)(p + at));
	}
}

/* Behaviour 64: after fork(): shared memory that the device writes while the child reads */
TEST_F(fork, child_reads_during)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				       -1, 0);
	struct drm_fakegpu_cmd cmds[200];
	uint64_t seqno = 0;
	struct proc child;
	unsigned int i;

	for (i = 0; i < 200; i++)
		cmds[i] = fakegpu_fill(p, SIZE, i + 1);
	if (proc_fork(&child)) {
		uint64_t low = 0, high;

		/* FILL works upwards: who reads downwards never sees newer above older. */
		while (low < 200) {
			high = p[SIZE / 8 - 1];
			low = p[0];
			CHILD_CHECK(low >= high && low <= 200);
		}
		proc_say(&child, 'd');
		CHILD_CHECK(proc_hears(&child, 'w'));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x64) == SIZE);
		_exit(0);
	}
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 200, &seqno));
	EXPECT_TRUE(proc_hears(&child, 'd'));
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	fill(_metadata, gpu, (uint8_t *)p, 0x64);
	proc_say(&child, 'w');
	EXPECT_EQ(0, proc_wait(&child));
}

/* Behaviour 64: after the parent's VM and memory are gone the child still has the device's data */
TEST_F(fork, child_reads_after_parent_unmaps)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *huge = gpu_map_huge(GPU_SZ_2M);
	struct proc child;

	fill(_metadata, gpu, p, 0x64);
	if (huge)
		EXPECT_RUN(gpu, fakegpu_fill(huge, GPU_SZ_2M, 0x6565656565656565));
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'u'));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x64) == SIZE);
		CHILD_CHECK(!huge || gpu_byte_diff(huge, GPU_SZ_2M, 0x65) == GPU_SZ_2M);
		_exit(0);
	}
	/* This goes to copies. */
	fill(_metadata, gpu, p, 0x11);
	ASSERT_EQ(0, munmap(p, SIZE));
	if (huge)
		ASSERT_EQ(0, munmap(huge, GPU_SZ_2M));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, gpu->queue));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, gpu->vm));
	proc_say(&child, 'u');
	EXPECT_EQ(0, proc_wait(&child));
	ASSERT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &gpu->vm));
	ASSERT_EQ(0, fakegpu_queue_create(gpu->fd, gpu->vm, &gpu->queue));
}

/*
 * Behaviour 65: the opener exits first, its child has the file still: the opener's VMs act on
 * nothing any more, least of all on the child's memory at the same addresses.
 */
TEST_F(fork, child_outlives_opener)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc opener, orphan, *up = &opener;
	struct gpu_gauges gauges;

	gpu_pattern(p, SIZE, 65);
	gauges = gpu_gauges(&self->gpu);
	proc_adopt_orphans();
	if (proc_fork(&opener)) {
		struct gpu_conf shared = variant->conf;
		struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE,
							   DRM_FAKEGPU_CMD_WRITE);
		struct gpu own;
		uint32_t vm, queue;
		pid_t pid;

		shared.flags = DRM_FAKEGPU_VM_SHARED;
		child_gpu(&own, &shared);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		/* A second one of the same file, which isn't shared. */
		CHILD_CHECK(!gpu_vm_create(own.fd, 0, &shared, &vm));
		CHILD_CHECK(!fakegpu_queue_create(own.fd, vm, &queue));
		CHILD_CHECK(!fakegpu_run(own.fd, queue, &cmd, 1));
		pid = fork();
		CHILD_CHECK(pid >= 0);
		if (pid)
			_exit(0);

		/* The child: its own pages, and nothing is as it was in the parent's mirror. */
		memset(p, 0x22, SIZE);
		while (fakegpu_prefetch(own.fd, own.vm, 0, p, SIZE, NULL) != -ESRCH)
			usleep(1000);
		CHILD_CHECK(!gpu_mapped(&own, p, SIZE));
		cmd = fakegpu_fill(p, SIZE, 0);
		CHILD_CHECK(!gpu_run_fatal(&own, &cmd, 1));
		CHILD_CHECK(own.fatal.info.error == ESRCH);
		CHILD_CHECK(own.fatal.info.addr == fakegpu_va(p));
		CHILD_CHECK(fakegpu_submit(own.fd, queue, &cmd, 1, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_prefetch(own.fd, vm, 0, p, SIZE, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_vm_destroy(own.fd, vm) == -EPERM);
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x22) == SIZE);

		/* A VM of its own on the same file acts on its own memory. */
		CHILD_CHECK(!gpu_vm_create(own.fd, 0, &shared, &own.vm));
		CHILD_CHECK(!fakegpu_queue_create(own.fd, own.vm, &own.queue));
		cmd = fakegpu_fill(p, SIZE, 0x3333333333333333);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x33) == SIZE);
		CHILD_CHECK(!gpu_verify(&own));
		proc_introduce(up);
		_exit(0);
	}
	ASSERT_TRUE(proc_meets(&opener, &orphan));
	EXPECT_EQ(0, proc_wait(&opener));
	EXPECT_EQ(0, proc_wait(&orphan));
	EXPECT_PATTERN(p, SIZE, 65);
	EXPECT_DEVICE_PATTERN(&self->gpu, p, SIZE, 65);
	ASSERT_EQ(0, munmap(p, SIZE));
	/* With the last process the file went, and all that it had. */
	EXPECT_EVENTUALLY(gauges.vms, gpu_stat(&self->gpu, "vms"));
	EXPECT_EVENTUALLY(gauges.queues, gpu_stat(&self->gpu, "queues"));
}

/* The page's number in memory: whether it is still the same page. */
static uint64_t page_of(const void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, fakegpu_va(p) / GPU_PAGE * 8) != 8 || !(entry >> 63))
		gpu_die("pagemap of %p: %s", p, strerror(errno));
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

/* What the child doesn't get isn't write-protected: no event, no fault, no copy. */
static void fork_advised(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			 int advice)
{
	struct drm_fakegpu_vm_get_state before;
	struct proc child;
	uint64_t page;

	ASSERT_EQ(0, madvise(p, SIZE, advice));
	fill(_metadata, gpu, p, 0x66);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	page = page_of(p);
	if (proc_fork(&child)) {
		struct drm_fakegpu_cmd cmd = fakegpu_touch(p, 1, 1, 0);
		struct gpu own;
		uint64_t crc;

		child_gpu(&own, &gpu->conf);
		if (advice == MADV_WIPEONFORK) {
			CHILD_CHECK(!gpu_device_crc(&own, p, SIZE, &crc));
			CHILD_CHECK(crc == gpu_crc_byte(SIZE, 0));
			CHILD_CHECK(gpu_byte_diff(p, SIZE, 0) == SIZE);
			child_fills(&own, p, 0x11);
			child_sees(&own, p, 0x11);
		} else {
			CHILD_CHECK(!gpu_run_fatal(&own, &cmd, 1));
			CHILD_CHECK(own.fatal.info.error == EFAULT);
			CHILD_CHECK(own.fatal.info.addr == fakegpu_va(p));
		}
		proc_say(&child, 'c');
		CHILD_CHECK(proc_hears(&child, 'x'));
		CHILD_CHECK(advice != MADV_WIPEONFORK || gpu_byte_diff(p, SIZE, 0x11) == SIZE);
		_exit(gpu_verify(&own) != 0);
	}
	EXPECT_TRUE(proc_hears(&child, 'c'));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	before = gpu_state(gpu);
	fill(_metadata, gpu, p, 0x67);
	p[0] = 0x68;
	EXPECT_EQ(before.faults, gpu_state(gpu).faults);
	EXPECT_EQ(before.pages_cleared, gpu_state(gpu).pages_cleared);
	EXPECT_EQ(page, page_of(p));
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_BYTES(p, 1, 0x68);
	EXPECT_BYTES(p + 1, SIZE - 1, 0x67);
}

/* Behaviour 66: MADV_DONTFORK: the child has a hole there; the parent notices nothing */
TEST_F(fork, dontfork)
{
	fork_advised(_metadata, &self->gpu, gpu_map_anon(SIZE), MADV_DONTFORK);
}

/* Behaviour 66: MADV_WIPEONFORK: the child has zeros there; the parent notices nothing */
TEST_F(fork, wipeonfork)
{
	fork_advised(_metadata, &self->gpu, gpu_map_anon(SIZE), MADV_WIPEONFORK);
}

/* Behaviour 67: many fork()s while device and CPU count in one page: exact in the parent */
TEST_F(fork, busy_atomic)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *word = gpu_map_anon(GPU_PAGE);
	const unsigned int jobs = 20, count = 200;
	struct drm_fakegpu_cmd cmds[200];
	uint64_t seqno = 0, by_cpu = 0;
	struct proc child;
	unsigned int i, j;

	for (i = 0; i < count; i++)
		cmds[i] = fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	word[0] = 0;
	for (i = 0; i < jobs; i++)
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, count, &seqno));
	for (i = 0; i < 15; i++) {
		if (proc_fork(&child)) {
			uint64_t mine = word[0];

			/* Neither the parent's device nor its CPU counts here. */
			CHILD_CHECK(proc_hears(&child, 'c'));
			CHILD_CHECK(word[0] == mine);
			__atomic_fetch_add(word, 1000000, __ATOMIC_RELAXED);
			CHILD_CHECK(word[0] == mine + 1000000);
			_exit(0);
		}
		for (j = 0; j < 50; j++) {
			__atomic_fetch_add(word, 1, __ATOMIC_RELAXED);
			by_cpu++;
		}
		proc_say(&child, 'c');
		EXPECT_EQ(0, proc_wait(&child));
	}
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ((uint64_t)jobs * count + by_cpu, word[0]);
}

TEST_HARNESS_MAIN
