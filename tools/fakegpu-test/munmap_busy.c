// SPDX-License-Identifier: GPL-2.0
/*
 * munmap() while something goes on: a command in the range or beside it, other
 * processes that get the freed pages, the file's end; and very many of them.
 */
#include <pthread.h>

#include "munmap_test.h"

#define OLD		0x11
#define FOREIGN		0x5a

GPU_FIXTURE(munmap_busy);
GPU_VARIANT_DIRECTSLOT(munmap_busy);

/*
 * A job that reads or writes [p, p + SIZE) again and again, then waits for
 * *gate to be 1 and does it once more: after munmap of any part of it and
 * the gate's opening it cannot but end in a fault.
 */
#define ROUNDS	100U

static uint64_t submit_gated(struct __test_metadata *_metadata, struct gpu *gpu, uint32_t queue,
			     struct drm_fakegpu_cmd (*cmd)(uint8_t *p, unsigned int round,
							   volatile uint64_t *res),
			     uint8_t *p, volatile uint64_t *gate, volatile uint64_t *res)
{
	struct drm_fakegpu_cmd cmds[ROUNDS + 2];
	uint64_t seqno = 0;
	unsigned int i;

	*gate = 0;
	for (i = 0; i < ROUNDS; i++)
		cmds[i] = cmd(p, i, &res[i]);
	cmds[ROUNDS] = fakegpu_sem_wait(gate, 1, 0);
	cmds[ROUNDS + 1] = cmd(p, ROUNDS + 1, &res[ROUNDS]);
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, ROUNDS + 2, &seqno));
	return seqno;
}

/* Wait until the queue's only job is somewhere in command @index or later. */
static void reach(struct gpu *gpu, uint32_t queue, unsigned int index)
{
	struct drm_fakegpu_queue_get_state state;
	int64_t end = gpu_now() + GPU_WAIT_NS;

	do {
		if (fakegpu_queue_state(gpu->fd, queue, &state) || gpu_now() > end)
			gpu_die("the job makes no progress: command %u", state.cmd_index);
	} while (state.cmd_index < index && !state.error && state.completed < state.submitted);
}

static struct drm_fakegpu_cmd cmd_checksum(uint8_t *p, unsigned int round,
					   volatile uint64_t *res)
{
	(void)round;
	return fakegpu_checksum(p, SIZE, res);
}

static struct drm_fakegpu_cmd cmd_fill(uint8_t *p, unsigned int round, volatile uint64_t *res)
{
	(void)res;
	return fakegpu_fill(p, SIZE, round + 1);
}

/* Behaviour 33: munmap during a command that reads the range: right or an error */
TEST_F(munmap_busy, read)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *res = gpu->res + 8, *gate = gpu->res;
	uint64_t seed = 33, rand = seed, want = gpu_crc_pattern(SIZE, 33, 0);
	unsigned int round, i, before_gate = 0;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (round = 0; round < 12; round++) {
		size_t first = gpu_rand(&rand) % PAGES;
		size_t count = 1 + gpu_rand(&rand) % (PAGES - first);
		struct drm_fakegpu_queue_get_state state;
		uint32_t queue = gpu_queue(gpu);
		uint8_t *p = gpu_map_anon(SIZE);
		uint64_t seqno;

		gpu_pattern(p, SIZE, 33);
		for (i = 0; i <= ROUNDS; i++)
			res[i] = ~0ULL;
		seqno = submit_gated(_metadata, gpu, queue, cmd_checksum, p, gate, res);
		reach(gpu, queue, gpu_rand(&rand) % 20);
		ASSERT_EQ(0, munmap(p + first * GPU_PAGE, count * GPU_PAGE));
		__atomic_store_n(gate, 1, __ATOMIC_RELEASE);
		EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS));
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		EXPECT_EQ((uint32_t)EFAULT, state.error);
		EXPECT_LE(fakegpu_va(p + first * GPU_PAGE), state.fault_addr);
		EXPECT_GT(fakegpu_va(p + (first + count) * GPU_PAGE), state.fault_addr);
		before_gate += state.cmd_index < ROUNDS;
		/* Between the last two results is the gate, a command without one. */
		for (i = 0; i <= ROUNDS; i++)
			EXPECT_EQ(i + (i == ROUNDS) < state.cmd_index ? want : ~0ULL, res[i])
				TH_LOG("round %u, result %u, stopped in command %u", round, i,
				       state.cmd_index);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		EXPECT_UNMAPPED(gpu, p + first * GPU_PAGE, count * GPU_PAGE);
		munmap(p, SIZE);
	}
	TH_LOG("%u of %u jobs were stopped while running", before_gate, round);
}

/* Behaviour 33: munmap during a command that writes the range: what is left is exact */
TEST_F(munmap_busy, write)
{
	struct gpu *gpu = &self->gpu;
	uint64_t seed = 34, rand = seed;
	unsigned int round, before_gate = 0;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (round = 0; round < 12; round++) {
		size_t first = gpu_rand(&rand) % PAGES;
		size_t count = 1 + gpu_rand(&rand) % (PAGES - first);
		struct drm_fakegpu_queue_get_state state;
		uint32_t queue = gpu_queue(gpu);
		uint8_t *p = gpu_map_anon(SIZE);
		uint64_t seqno;
		size_t i;

		memset(p, 0, SIZE);
		seqno = submit_gated(_metadata, gpu, queue, cmd_fill, p, gpu->res, gpu->res + 8);
		reach(gpu, queue, gpu_rand(&rand) % 20);
		ASSERT_EQ(0, munmap(p + first * GPU_PAGE, count * GPU_PAGE));
		__atomic_store_n(gpu->res, 1, __ATOMIC_RELEASE);
		EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS));
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		EXPECT_EQ((uint32_t)EFAULT, state.error);
		EXPECT_LE(fakegpu_va(p + first * GPU_PAGE), state.fault_addr);
		EXPECT_GT(fakegpu_va(p + (first + count) * GPU_PAGE), state.fault_addr);
		before_gate += state.cmd_index < ROUNDS;
		for (i = 0; i < SIZE; i += 8) {
			/* The FILL that died wrote all below, the one before it all above. */
			uint64_t want = state.cmd_index > ROUNDS ? ROUNDS : state.cmd_index;

			if (i >= first * GPU_PAGE && i < (first + count) * GPU_PAGE)
				continue;
			if (fakegpu_va(p + i) < state.fault_addr)
				want = state.cmd_index + 1;
			ASSERT_EQ(want, *(uint64_t *)(p + i))
				TH_LOG("round %u, command %u, offset %zu", round, state.cmd_index,
				       i);
		}
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		munmap(p, SIZE);
	}
	TH_LOG("%u of %u jobs were stopped while running", before_gate, round);
}

/* Behaviour 34: munmap of unrelated, adjacent and dead ranges leaves a running job alone */
TEST_F(munmap_busy, unrelated)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = mirrored(_metadata, gpu, SIZE, 34);
	uint8_t *other = gpu_va(SIZE, 0), *dead = gpu_va(SIZE, 0);
	uint64_t seqno, want = gpu_crc_pattern(SIZE, 34, 0);
	volatile uint64_t *res = gpu->res + 8;
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *spots[] = { other, p + SIZE, p - SIZE };
	unsigned int i, j;

	before = gpu_state(gpu);
	seqno = submit_gated(_metadata, gpu, gpu->queue, cmd_checksum, p, gpu->res, res);
	reach(gpu, gpu->queue, 1);
	for (i = 0; i < 60; i++) {
		uint8_t *q = spots[i % 3];

		ASSERT_EQ(q, mmap(q, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		/* Neighbours become one mapping with the job's memory. */
		madvise(q, SIZE, MADV_NOHUGEPAGE);
		for (j = 0; j < PAGES; j += 8)
			q[j * GPU_PAGE] = j;
		ASSERT_EQ(0, munmap(q, SIZE));
		ASSERT_EQ(0, munmap(q, SIZE));
		ASSERT_EQ(0, munmap(dead, SIZE));
	}
	__atomic_store_n(gpu->res, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	after = gpu_state(gpu);
	for (i = 0; i <= ROUNDS; i++)
		EXPECT_EQ(want, res[i]);
	EXPECT_EQ(0ULL, after.faults - before.faults);
	EXPECT_EQ(0ULL, after.pages_cleared - before.pages_cleared);
	EXPECT_EQ(0ULL, after.invalidations_useful - before.invalidations_useful);
	EXPECT_MAPPED(gpu, p, SIZE);
}

/*
 * A process that allocates, fills and frees pages until *stop. A page that the
 * kernel frees elsewhere lands here soon; nobody else may write to it.
 */
static void recycler(volatile int *stop)
{
	const size_t size = 2 * SIZE;
	unsigned long n = 0;

	while (!*stop) {
		uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		CHILD_CHECK(p != MAP_FAILED);
		memset(p, FOREIGN, size);
		CHILD_CHECK(gpu_byte_diff(p, size, FOREIGN) == size);
		munmap(p, size);
		n++;
	}
	CHILD_CHECK(n > 0);
	_exit(0);
}

#define RECYCLERS	2

static volatile int *start_recyclers(struct __test_metadata *_metadata, struct gpu *gpu,
				     struct proc *procs)
{
	volatile int *stop = mmap(NULL, GPU_PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	for (i = 0; i < RECYCLERS; i++)
		if (proc_fork(&procs[i]))
			recycler(stop);
	/* fork() took the write permission of the results away. */
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res, GPU_PAGE, 0));
	return stop;
}

/* Behaviour 35: freed pages recycled by others: the device sees no foreign byte */
TEST_F(munmap_busy, recycled_read)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 16 * GPU_PAGE;
	struct proc procs[RECYCLERS];
	volatile int *stop = start_recyclers(_metadata, gpu, procs);
	uint8_t *dst = writable(_metadata, gpu, size);
	struct drm_fakegpu_cmd cmds[ROUNDS];
	uint64_t seed = 35, rand = seed;
	unsigned int round, i;
	size_t at;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (round = 0; round < 20; round++) {
		uint32_t queue = gpu_queue(gpu);
		uint8_t *p = gpu_map_anon(size);
		int ret;

		memset(p, OLD, size);
		memset(dst, SENTINEL, size);
		for (i = 0; i < ROUNDS; i++)
			cmds[i] = fakegpu_copy(dst, p, size);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, ROUNDS, NULL));
		reach(gpu, queue, 1 + gpu_rand(&rand) % 20);
		ASSERT_EQ(0, munmap(p, size));
		/* Either it was through in time or it died of the munmap. */
		ret = fakegpu_wait(gpu->fd, queue, 1, GPU_WAIT_NS);
		EXPECT_TRUE(ret == 0 || ret == -EIO);
		for (at = 0; at < size; at++)
			ASSERT_EQ(OLD, dst[at])
				TH_LOG("round %u, offset %zu", round, at);
		memset(dst, SENTINEL, size);
		EXPECT_FATAL(gpu, fakegpu_copy(dst, p, size), EFAULT, p, READ);
		EXPECT_BYTES(dst, size, SENTINEL);
		EXPECT_DELTA(gpu, faults_nofault, 16,
			     EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE,
							   DRM_FAKEGPU_CMD_NOFAULT)));
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	*stop = 1;
	for (i = 0; i < RECYCLERS; i++)
		EXPECT_EQ(0, proc_wait(&procs[i]));
}

/* Behaviour 35: freed pages recycled by others: the device writes to none of them */
TEST_F(munmap_busy, recycled_write)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 16 * GPU_PAGE;
	struct proc procs[RECYCLERS];
	volatile int *stop = start_recyclers(_metadata, gpu, procs);
	struct drm_fakegpu_cmd cmds[ROUNDS];
	uint64_t seed = 36, rand = seed;
	unsigned int round, i;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (round = 0; round < 30; round++) {
		uint32_t queue = gpu_queue(gpu);
		uint8_t *p = gpu_map_anon(size);
		int ret;

		memset(p, OLD, size);
		for (i = 0; i < ROUNDS; i++)
			cmds[i] = fakegpu_fill(p, size, DEVICE);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, ROUNDS, NULL));
		reach(gpu, queue, 1 + gpu_rand(&rand) % 20);
		ASSERT_EQ(0, munmap(p, size));
		ret = fakegpu_wait(gpu->fd, queue, 1, GPU_WAIT_NS);
		EXPECT_TRUE(ret == 0 || ret == -EIO);
		EXPECT_FATAL(gpu, fakegpu_fill(p, size, DEVICE), EFAULT, p, WRITE);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	*stop = 1;
	for (i = 0; i < RECYCLERS; i++)
		EXPECT_EQ(0, proc_wait(&procs[i]));
}

/* Unreclaimable slab memory of the system in KiB: where leaked records would be. */
static uint64_t slab_kib(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		gpu_die("/proc/meminfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f) && sscanf(line, "SUnreclaim: %llu", &kib) != 1)
		;
	fclose(f);
	return kib;
}

#define CYCLES	10000U

/* Behaviour 38: many cycles of map, fault, unmap: all counters come back */
TEST_F_TIMEOUT(munmap_busy, cycles, 300)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int warm = 500;
	struct drm_fakegpu_vm_get_state before = { 0 }, after;
	struct gpu_gauges gauges = { 0 };
	uint64_t slab = 0, pages = 0;
	uint8_t *p = gpu_va(SIZE, 0);
	int64_t begin = gpu_now();
	unsigned int i, cycles;

	for (i = 0; i < warm || gpu_more(i - warm, CYCLES, begin); i++) {
		size_t size = (1 + i % 4) * GPU_PAGE;

		if (i == warm) {
			gauges = gpu_gauges(gpu);
			slab = slab_kib();
			before = gpu_state(gpu);
			begin = gpu_now();
		}
		ASSERT_EQ(p, mmap(p, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
		ASSERT_EQ(0, munmap(p, size));
		pages += i < warm ? 0 : size / GPU_PAGE;
	}
	cycles = i - warm;
	TH_LOG("%u cycles", cycles);
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &gauges))
		TH_LOG("%s", gpu_why());
	after = gpu_state(gpu);
	EXPECT_EQ((uint64_t)cycles, (uint64_t)(after.faults - before.faults));
	EXPECT_EQ(pages, (uint64_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ((uint64_t)before.pages_small, (uint64_t)after.pages_small);
	EXPECT_EQ((uint64_t)before.leaves_large, (uint64_t)after.leaves_large);
	EXPECT_EQ((uint64_t)before.nodes, (uint64_t)after.nodes);
	EXPECT_EQ((uint64_t)before.intervals, (uint64_t)after.intervals);
	EXPECT_EQ(gpu_one_interval(gpu) ? 0ULL : cycles,
		  (unsigned long long)(after.intervals_added - before.intervals_added));
	EXPECT_EQ(after.intervals_added - before.intervals_added,
		  after.intervals_removed - before.intervals_removed);
	/*
	 * One forgotten record of 512 bytes a cycle would be 5000 KiB. With fewer cycles than
	 * that the noise is larger: such a kernel checks each access, and has kmemleak.
	 */
	if (cycles == CYCLES)
		EXPECT_EVENTUALLY(true, slab_kib() < slab + cycles / 2);
}

/* Behaviour 40: the file is closed first, the memory unmapped later */
TEST_F(munmap_busy, after_close)
{
	struct gpu_conf conf = self->gpu.conf;
	struct gpu_gauges before = gpu_gauges(&self->gpu);
	struct drm_fakegpu_cmd cmd;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		uint8_t *p = gpu_map_anon(SIZE);
		struct gpu gpu;

		memset(p, i, SIZE);
		ASSERT_EQ(0, gpu_open_cold(&gpu, &conf, 0));
		cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
		EXPECT_EQ(0, gpu_run(&gpu, &cmd, 1));
		EXPECT_MAPPED(&gpu, p, SIZE);
		switch (i % 4) {
		case 1:
			EXPECT_EQ(0, fakegpu_queue_destroy(gpu.fd, gpu.queue));
			break;
		case 2:
			EXPECT_EQ(0, fakegpu_queue_destroy(gpu.fd, gpu.queue));
			EXPECT_EQ(0, fakegpu_vm_destroy(gpu.fd, gpu.vm));
			break;
		case 3:
			/* The other way round, and the removal is still pending. */
			EXPECT_EQ(0, munmap(p, SIZE));
			break;
		}
		close(gpu.fd);
		EXPECT_EQ(0, munmap(p, SIZE));
	}
	EXPECT_EQ(0, gpu_gauges_settle(&self->gpu, &before))
		TH_LOG("%s", gpu_why());
}

static void *closer(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

/* Behaviour 40: munmap in one thread, close in another at the same time */
TEST_F(munmap_busy, during_close)
{
	struct gpu_conf conf = self->gpu.conf;
	struct gpu_gauges before = gpu_gauges(&self->gpu);
	unsigned int i;

	for (i = 0; i < 50; i++) {
		uint8_t *p = gpu_map_anon(SIZE);
		struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE,
							   DRM_FAKEGPU_CMD_WRITE);
		pthread_t thread;
		struct gpu gpu;

		ASSERT_EQ(0, gpu_open_cold(&gpu, &conf, 0));
		EXPECT_EQ(0, gpu_run(&gpu, &cmd, 1));
		ASSERT_EQ(0, pthread_create(&thread, NULL, closer, &gpu.fd));
		EXPECT_EQ(0, munmap(p, SIZE));
		pthread_join(thread, NULL);
	}
	EXPECT_EQ(0, gpu_gauges_settle(&self->gpu, &before))
		TH_LOG("%s", gpu_why());
}

TEST_HARNESS_MAIN
