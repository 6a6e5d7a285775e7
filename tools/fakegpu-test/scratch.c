// SPDX-License-Identifier: GPL-2.0
/*
 * Area scratch: a VM with DRM_FAKEGPU_VM_SCRATCH: where there is no memory, or not for
 * this access, reads give zeros, writes go nowhere, and the queue lives on.
 */
#include "fakegpu_test_attr.h"
#include "fakegpu_test_proc.h"

FIXTURE(scratch) {
	struct gpu gpu;
};

GPU_VARIANTS(scratch, DRM_FAKEGPU_VM_SCRATCH);

FIXTURE_SETUP(scratch)
{
	GPU_SETUP(&self->gpu, &variant->conf);
}

FIXTURE_TEARDOWN(scratch)
{
	EXPECT_GAUGE(&self->gpu, faults_fatal, 0);
	GPU_TEARDOWN(&self->gpu);
}

/* The statements raise @n faults that the scratch page serves, and no others. */
#define EXPECT_SCRATCHES(gpu, n, ...) \
	EXPECT_DELTA(gpu, faults_scratch, n, EXPECT_FAULTS(gpu, n, __VA_ARGS__))

/* The newest reported fault. */
static struct drm_fakegpu_fault_info newest(struct gpu *gpu)
{
	struct drm_fakegpu_fault_info faults[64];
	uint32_t count = 64;
	int ret = fakegpu_vm_faults(gpu->fd, gpu->vm, faults, &count, NULL);

	if (ret || !count)
		gpu_die("fakegpu_vm_faults: %s, %u faults", strerror(-ret), count);
	return faults[count - 1];
}

#define EXPECT_NEWEST(gpu, err, at, kind) do { \
	struct drm_fakegpu_fault_info info_ = newest(gpu); \
	EXPECT_EQ((uint32_t)(err), info_.error); \
	EXPECT_EQ(fakegpu_va(at), (uint64_t)info_.addr); \
	EXPECT_EQ((uint32_t)DRM_FAKEGPU_ACCESS_ ## kind, info_.access); \
	EXPECT_EQ((gpu)->queue, info_.queue_id); \
} while (0)

/* Behaviour 15: reads of a hole give zeros, page by page, and are reported as they were fatal */
TEST_F(scratch, read_hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(GPU_SZ_64K, 0);
	struct drm_fakegpu_fault_info faults[8];
	uint64_t intervals = gpu_state(gpu).intervals, total = 0;
	struct drm_fakegpu_queue_get_state state;
	uint32_t count = 8, i;

	EXPECT_SCRATCHES(gpu, 4, EXPECT_DEVICE_BYTES(gpu, p + 100, 3 * GPU_PAGE, 0));
	ASSERT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, faults, &count, &total));
	EXPECT_EQ(4U, count);
	EXPECT_EQ(4UL, total);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(fakegpu_va(i ? p + i * GPU_PAGE : p + 100), (uint64_t)faults[i].addr);
		EXPECT_EQ((uint32_t)EFAULT, faults[i].error);
		EXPECT_EQ((uint32_t)DRM_FAKEGPU_ACCESS_READ, faults[i].access);
		EXPECT_EQ(gpu->queue, faults[i].queue_id);
	}
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, gpu->queue, &state));
	EXPECT_EQ(0U, state.flags);
	EXPECT_EQ(0U, state.error);
	EXPECT_EQ((uint64_t)state.submitted, (uint64_t)state.completed);
	/* Nothing of it is kept. */
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
	EXPECT_GAUGE(gpu, intervals, intervals);
	EXPECT_SCRATCHES(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, 8, 0));
}

/* Behaviour 15: writes to a hole are swallowed: nothing can read them back */
TEST_F(scratch, write_hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(GPU_SZ_64K, 0), *q = gpu_map_anon(GPU_PAGE);

	EXPECT_SCRATCHES(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(p, 2 * GPU_PAGE, ~0ULL)));
	EXPECT_NEWEST(gpu, EFAULT, p + GPU_PAGE, WRITE);
	EXPECT_SCRATCHES(gpu, 2, EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0));
	memset(q, 3, GPU_PAGE);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, ~0ULL), fakegpu_copy(q, p, GPU_PAGE));
	EXPECT_BYTES(q, GPU_PAGE, 0);
	EXPECT_RUN(gpu, fakegpu_touch(p, 3 * GPU_PAGE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_timestamp(p + 5), fakegpu_sem_signal((uint64_t *)p, 7, 0));
	EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE, 0);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
}

/* Behaviours 11, 15: a command over memory, hole, memory: what is there is written, all of it */
TEST_F(scratch, straddle)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(6 * GPU_PAGE), *src = gpu_map_anon(6 * GPU_PAGE);

	gpu_pattern(src, 6 * GPU_PAGE, 1);
	memset(p, 3, 6 * GPU_PAGE);
	ASSERT_EQ(0, munmap(p + 2 * GPU_PAGE, 2 * GPU_PAGE));
	EXPECT_DELTA(gpu, faults_scratch, 2,
		     EXPECT_RUN(gpu, fakegpu_copy(p + 7, src + 7, 6 * GPU_PAGE - 14)));
	EXPECT_BYTES(p, 7, 3);
	EXPECT_PATTERN_AT(p + 7, 2 * GPU_PAGE - 7, 1, 7);
	EXPECT_PATTERN_AT(p + 4 * GPU_PAGE, 2 * GPU_PAGE - 7, 1, 4 * GPU_PAGE);
	EXPECT_BYTES(p + 6 * GPU_PAGE - 7, 7, 3);
	EXPECT_UNMAPPED(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE);
	/* The other way, with other offsets in the page: zeros arrive where there was nothing. */
	EXPECT_RUN(gpu, fakegpu_copy(src + 1, p, 6 * GPU_PAGE - 1));
	EXPECT_BYTES(src + 1, 7, 3);
	EXPECT_PATTERN_AT(src + 1 + 7, 2 * GPU_PAGE - 7, 1, 7);
	EXPECT_BYTES(src + 1 + 2 * GPU_PAGE, 2 * GPU_PAGE, 0);
	EXPECT_PATTERN_AT(src + 1 + 4 * GPU_PAGE, 2 * GPU_PAGE - 7, 1, 4 * GPU_PAGE);
}

/* Behaviour 15: both sides of a copy and of a comparison are holes, at different offsets */
TEST_F(scratch, two_holes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *a = gpu_va(GPU_SZ_64K, 0), *b = gpu_va(GPU_SZ_64K, 0);

	EXPECT_RUN(gpu, fakegpu_copy(a + 1, b, 2 * GPU_PAGE));
	gpu->res[1] = 0;
	EXPECT_RUN(gpu, fakegpu_compare(a + 5, b + 90, 2 * GPU_PAGE, gpu->res + 1));
	EXPECT_EQ(2 * GPU_PAGE, gpu->res[1]);
	EXPECT_UNMAPPED(gpu, a, GPU_SZ_64K);
	EXPECT_UNMAPPED(gpu, b, GPU_SZ_64K);
}

/* Behaviours 15, 16: a write to read-only memory goes nowhere; the memory is as it was */
TEST_F(scratch, write_readonly)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_PAGE);

	gpu_pattern(p, 2 * GPU_PAGE, 1);
	ASSERT_EQ(0, mprotect(p, 2 * GPU_PAGE, PROT_READ));
	EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_PAGE, 1);
	EXPECT_SCRATCHES(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(p, 2 * GPU_PAGE, ~0ULL)));
	EXPECT_NEWEST(gpu, EPERM, p + GPU_PAGE, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_PAGE, 1));
	EXPECT_PATTERN(p, 2 * GPU_PAGE, 1);
	EXPECT_ENTRIES(gpu, p, 2 * GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
}

/* Behaviours 15, 17: PROT_NONE reads as zeros, and comes back with its data */
TEST_F(scratch, read_none)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_PAGE);

	gpu_pattern(p, GPU_PAGE, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 1);
	ASSERT_EQ(0, mprotect(p, GPU_PAGE, PROT_NONE));
	EXPECT_SCRATCHES(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE, 0));
	EXPECT_NEWEST(gpu, EFAULT, p, READ);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, 0));
	ASSERT_EQ(0, mprotect(p, GPU_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 1));
}

/* Behaviours 15, 76: what an attribute forbids is swallowed, too */
TEST_F(scratch, attributes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_PAGE);

	gpu_pattern(p, 2 * GPU_PAGE, 1);
	EXPECT_ADVISE(gpu, p, GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + GPU_PAGE, GPU_PAGE, ACCESS, NONE);
	EXPECT_SCRATCHES(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(p, 2 * GPU_PAGE, ~0ULL)));
	EXPECT_NEWEST(gpu, EACCES, p + GPU_PAGE, WRITE);
	EXPECT_PATTERN(p, 2 * GPU_PAGE, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 1);
	EXPECT_SCRATCHES(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, GPU_PAGE, 0));
	EXPECT_ADVISE(gpu, p, 2 * GPU_PAGE, ACCESS, RW);
	EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_PAGE, 1);
}

/* Behaviour 15: atomic operations find a zero each time, whatever was stored */
TEST_F(scratch, atomics)
{
	struct gpu *gpu = &self->gpu;
	uint64_t *p = gpu_va(GPU_PAGE, 0);
	int i;

	for (i = 0; i < 3; i++) {
		memset((void *)(gpu->res + 1), 0xff, 3 * sizeof(*gpu->res));
		EXPECT_SCRATCHES(gpu, 4,
			EXPECT_RUN(gpu, fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 5, 0,
						       gpu->res + 1),
				   fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_SWAP, 9, 0,
						  gpu->res + 2),
				   fakegpu_atomic(p, 4, DRM_FAKEGPU_ATOMIC_CAS, 9, 0,
						  gpu->res + 3),
				   fakegpu_sem_signal(p, 1, DRM_FAKEGPU_SEM_ADD)));
		EXPECT_EQ(0UL, gpu->res[1]);
		EXPECT_EQ(0UL, gpu->res[2]);
		EXPECT_EQ(0UL, gpu->res[3]);
		EXPECT_NEWEST(gpu, EFAULT, p, ATOMIC);
	}
}

/* Behaviour 15: a pointer chase into a hole, and to where no user memory can be: a null pointer */
TEST_F(scratch, chase)
{
	struct gpu *gpu = &self->gpu;
	struct ring *node = (struct ring *)gpu_map_anon(GPU_PAGE);
	/* Both words of this one lie across a border: four pages for one node. */
	void *hole = (uint8_t *)gpu_va(GPU_SZ_64K, 0) + GPU_PAGE - 4;

	node->value = 100;
	node->next = hole;
	EXPECT_RUN(gpu, fakegpu_touch(node, 16, 1, 0));
	EXPECT_SCRATCHES(gpu, 2, EXPECT_RUN(gpu, fakegpu_chase(node, 10, 0, 8, NULL)));
	EXPECT_SCRATCHES(gpu, 4, EXPECT_RUN(gpu, fakegpu_chase(hole, 10, 0, 2 * GPU_PAGE,
							       gpu->res + 1)));
	EXPECT_EQ(1UL, gpu->res[1]);
	EXPECT_EQ(0UL, gpu->res[2]);
	EXPECT_RUN(gpu, fakegpu_chase(node, 10, 0, 8, gpu->res + 1));
	EXPECT_EQ(2UL, gpu->res[1]);
	EXPECT_EQ(100UL, gpu->res[2]);
	node->next = (void *)0xffff888000000000;
	EXPECT_RUN(gpu, fakegpu_chase(node, 10, 0, 8, gpu->res + 1));
	EXPECT_EQ(2UL, gpu->res[1]);
	EXPECT_EQ(100UL, gpu->res[2]);
	/* The value comes first. */
	EXPECT_NEWEST(gpu, EINVAL, (void *)0xffff888000000008, READ);
}

/* Behaviour 15: a result for which there is no memory; the command is executed once */
TEST_F(scratch, result)
{
	struct gpu *gpu = &self->gpu;
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	uint8_t *hole = (uint8_t *)gpu_va(GPU_SZ_64K, 0) + GPU_PAGE - 3;

	EXPECT_DELTA(gpu, faults_scratch, 2,
		     EXPECT_RUN(gpu, fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 5, 0,
						    (uint64_t *)hole)));
	EXPECT_EQ(5UL, p[0]);
	EXPECT_NEWEST(gpu, EFAULT, hole + 3, WRITE);
}

/* Behaviours 15, 36: memory that comes is used at once, and when it goes nothing old is seen */
TEST_F(scratch, memory_comes_and_goes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(GPU_SZ_64K, 0);
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_SCRATCHES(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, ~0ULL)));
		ASSERT_EQ(p, mmap(p, GPU_SZ_64K, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		gpu_pattern(p, GPU_SZ_64K, i);
		EXPECT_DELTA(gpu, faults_scratch, 0,
			EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, i)));
		EXPECT_RUN(gpu, fakegpu_fill(p, 8, 0x0707070707070707));
		EXPECT_BYTES(p, 8, 7);
		ASSERT_EQ(0, munmap(p, GPU_SZ_64K));
		EXPECT_SCRATCHES(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE, 0));
	}
}

/* Behaviour 15: a semaphore where nothing is: it is zero, and waits for memory to come */
TEST_F(scratch, semaphore)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmds[2];
	uint64_t *p = gpu_va(GPU_PAGE, 0), seqno = 0;
	uint64_t before = gpu_state(gpu).faults_scratch;

	EXPECT_RUN(gpu, fakegpu_sem_wait(p, 0, 0));
	cmds[0] = fakegpu_sem_wait(p, 5, DRM_FAKEGPU_SEM_GE);
	cmds[1] = fakegpu_fill(gpu->res + 1, 8, 1);
	gpu->res[1] = 0;
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 2, &seqno));
	EXPECT_EVENTUALLY(true, gpu_state(gpu).faults_scratch > before + 5);
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 0));
	ASSERT_EQ(p, mmap(p, GPU_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_EQ(0UL, gpu->res[1]);
	__atomic_store_n(p, 6, __ATOMIC_RELEASE);
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ(1UL, gpu->res[1]);
}

/* Behaviours 14, 15: NOFAULT leaves out what isn't there, as without a scratch page */
TEST_F(scratch, nofault)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(GPU_SZ_64K, 0);

	EXPECT_DELTA(gpu, faults_scratch, 0,
		EXPECT_DELTA(gpu, faults_nofault, 16,
			EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_64K, 64,
						      DRM_FAKEGPU_CMD_NOFAULT))));
}

/* Behaviours 12, 15: thousands of bad accesses from many queues: all are done, few remembered */
TEST_F(scratch, storm)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int queues = 16, pages = 128;
	uint8_t *p = gpu_va(queues * GPU_SZ_2M, 0);
	struct drm_fakegpu_fault_info faults[64];
	uint64_t seqno[16], total = 0;
	uint32_t id[16], count = 64;
	unsigned int i;

	for (i = 0; i < queues; i++) {
		struct drm_fakegpu_cmd cmd = fakegpu_fill(p + i * GPU_SZ_2M, pages * GPU_PAGE,
							  ~0ULL);

		id[i] = gpu_queue(gpu);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, id[i], &cmd, 1, &seqno[i]));
	}
	for (i = 0; i < queues; i++) {
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, id[i], seqno[i], GPU_WAIT_NS));
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, id[i]));
	}
	EXPECT_EQ((uint64_t)queues * pages, (uint64_t)gpu_state(gpu).faults_scratch);
	EXPECT_EQ(0, fakegpu_vm_faults(gpu->fd, gpu->vm, faults, &count, &total));
	EXPECT_EQ((uint64_t)queues * pages, total);
	EXPECT_EQ(gpu->info.fault_log_size, count);
	EXPECT_WORKS(gpu);
}

/* Behaviours 15, 97: there is no scratch page for a whole address space that is gone */
TEST_F(scratch, dead_mm)
{
	struct gpu *gpu = &self->gpu, shared = *gpu;
	uint8_t *p = gpu_map_anon(GPU_PAGE);
	struct proc child;

	if (proc_fork(&child)) {
		CHILD_CHECK(!gpu_vm_create(gpu->fd, DRM_FAKEGPU_VM_SHARED | DRM_FAKEGPU_VM_SCRATCH,
					   &gpu->conf, &shared.vm));
		proc_send(&child, &shared.vm, sizeof(shared.vm));
		_exit(0);
	}
	ASSERT_EQ(0, proc_recv(&child, &shared.vm, sizeof(shared.vm)));
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_FATAL(&shared, fakegpu_fill(p, 8, 1), ESRCH, p, WRITE);
	EXPECT_EQ(0UL, (uint64_t)gpu_state(&shared).faults_scratch);
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, shared.vm));
}

TEST_HARNESS_MAIN
