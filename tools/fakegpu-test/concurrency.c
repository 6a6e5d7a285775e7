// SPDX-License-Identifier: GPL-2.0
/*
 * Many at once: threads with queues of their own, CPU and device on the same
 * bytes, first faults of one interval, processes with the same addresses, two
 * devices.
 */
#include <pthread.h>

#include "fakegpu_test_proc.h"

#define THREADS	4
#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(concurrency);

/* A thread with a queue; it says what went wrong instead of asserting. */
struct worker {
	struct gpu *gpu;
	uint32_t queue;
	unsigned int index;
	unsigned int rounds;
	uint8_t *p;
	volatile uint64_t *res;
	pthread_barrier_t *barrier;
	volatile bool *stop;
	pthread_t thread;
	const char *failed;
};

#define WORKER_CHECK(w, cond) do { \
	if (!(cond) && !(w)->failed) \
		(w)->failed = #cond; \
} while (0)

static void start_workers(struct __test_metadata *_metadata, struct gpu *gpu, struct worker *w,
			  pthread_barrier_t *barrier, void *(*fn)(void *))
{
	unsigned int i;

	if (barrier)
		pthread_barrier_init(barrier, NULL, THREADS);
	for (i = 0; i < THREADS; i++) {
		w[i].gpu = gpu;
		w[i].queue = gpu_queue(gpu);
		w[i].index = i;
		w[i].res = gpu->res + 64 + 8 * i;
		w[i].barrier = barrier;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, fn, &w[i]));
	}
}

static void join_workers(struct __test_metadata *_metadata, struct gpu *gpu, struct worker *w)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, w[i].queue));
		EXPECT_EQ(NULL, w[i].failed)
			TH_LOG("thread %u: %s is false", i, w[i].failed);
	}
}

static bool run_is(struct worker *w, struct drm_fakegpu_cmd cmd, int want)
{
	return gpu_run_on(w->gpu, w->queue, &cmd, 1) == want;
}

static bool crc_is(struct worker *w, const uint8_t *p, size_t size, uint64_t want)
{
	*w->res = ~0ULL;
	return run_is(w, fakegpu_checksum(p, size, w->res), 0) && *w->res == want;
}

/* Each thread has windows of its own, and a round is done by all or none. */
static void *disjoint(void *arg)
{
	struct worker *w = arg;
	unsigned int round;

	for (round = 0; round < w->rounds; round++) {
		uint64_t byte = 1 + (round * THREADS + w->index) % 255;

		pthread_barrier_wait(w->barrier);
		WORKER_CHECK(w, run_is(w, fakegpu_fill(w->p, SIZE, byte * 0x0101010101010101), 0));
		WORKER_CHECK(w, gpu_byte_diff(w->p, SIZE, byte) == SIZE);
		memset(w->p, byte ^ 0xff, SIZE);
		WORKER_CHECK(w, crc_is(w, w->p, SIZE, gpu_crc_byte(SIZE, byte ^ 0xff)));
		WORKER_CHECK(w, !madvise(w->p, SIZE, MADV_DONTNEED));
	}
	return NULL;
}

/* Behaviour 102: threads and queues on disjoint memory in lock-step: one fault a round each */
TEST_F(concurrency, threads_disjoint)
{
	struct gpu *gpu = &self->gpu;
	struct worker w[THREADS] = { 0 };
	pthread_barrier_t barrier;
	const unsigned int rounds = 30;
	unsigned int i;

	/* The table is made by the first use of it: not by several threads at once. */
	gpu_crc_byte(1, 0);
	for (i = 0; i < THREADS; i++) {
		w[i].p = gpu_map_anon(SIZE);
		w[i].rounds = rounds;
	}
	EXPECT_FAULTS(gpu, THREADS * rounds,
		      start_workers(_metadata, gpu, w, &barrier, disjoint);
		      join_workers(_metadata, gpu, w));
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

/* All threads read the same window, which nobody has touched since DONTNEED. */
static void *same_pages(void *arg)
{
	struct worker *w = arg;
	unsigned int round;

	for (round = 0; round < w->rounds; round++) {
		if (!w->index) {
			madvise(w->p, SIZE, MADV_DONTNEED);
			gpu_pattern(w->p, SIZE, round);
		}
		pthread_barrier_wait(w->barrier);
		WORKER_CHECK(w, crc_is(w, w->p, SIZE, gpu_crc_pattern(SIZE, round, 0)));
		pthread_barrier_wait(w->barrier);
	}
	return NULL;
}

/* Behaviour 102: the same pages in lock-step: at most one fault a thread and round */
TEST_F(concurrency, threads_same_pages)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before, after;
	uint8_t *p = gpu_map_anon(SIZE);
	struct worker w[THREADS] = { 0 };
	pthread_barrier_t barrier;
	const unsigned int rounds = 30;
	unsigned int i;

	gpu_crc_byte(1, 0);
	for (i = 0; i < THREADS; i++) {
		w[i].p = p;
		w[i].rounds = rounds;
	}
	before = gpu_state(gpu);
	start_workers(_metadata, gpu, w, &barrier, same_pages);
	join_workers(_metadata, gpu, w);
	after = gpu_state(gpu);
	EXPECT_LE((uint64_t)rounds, (uint64_t)(after.faults - before.faults));
	EXPECT_GE((uint64_t)rounds * THREADS, (uint64_t)(after.faults - before.faults));
	TH_LOG("%ju faults, %ju windows in %u rounds",
	       (uintmax_t)(after.faults - before.faults),
	       (uintmax_t)(after.windows - before.windows), rounds);
	EXPECT_MAPPED(gpu, p, SIZE);
}

/* Each thread adds one, by its CPU and by its queue, to words that all share. */
#define ADDS	40U

static void *adder(void *arg)
{
	struct worker *w = arg;
	volatile uint64_t *words = (volatile uint64_t *)w->p;
	volatile uint32_t *halves = (volatile uint32_t *)(w->p + GPU_PAGE);
	struct drm_fakegpu_cmd cmds[2 * ADDS];
	unsigned int round, i;

	for (i = 0; i < ADDS; i++) {
		cmds[2 * i] = fakegpu_atomic(&words[i % 8], 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0,
					     NULL);
		cmds[2 * i + 1] = fakegpu_atomic(&halves[i % 8], 4, DRM_FAKEGPU_ATOMIC_ADD, 1, 0,
						 NULL);
	}
	for (round = 0; round < w->rounds; round++) {
		uint64_t seqno;

		WORKER_CHECK(w, !fakegpu_submit(w->gpu->fd, w->queue, cmds, 2 * ADDS, &seqno));
		for (i = 0; i < ADDS; i++) {
			__atomic_fetch_add(&words[i % 8], 1, __ATOMIC_RELAXED);
			__atomic_fetch_add(&halves[i % 8], 1, __ATOMIC_RELAXED);
		}
		WORKER_CHECK(w, !fakegpu_wait(w->gpu->fd, w->queue, seqno, GPU_WAIT_NS));
	}
	return NULL;
}

static void hammer(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		   volatile bool *stop, void *(*disturb)(void *))
{
	const unsigned int rounds = 20;
	struct worker w[THREADS] = { 0 }, d = { .p = p, .stop = stop };
	uint64_t sum = 0, sum32 = 0;
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		w[i].p = p;
		w[i].rounds = rounds;
	}
	if (disturb)
		ASSERT_EQ(0, pthread_create(&d.thread, NULL, disturb, &d));
	start_workers(_metadata, gpu, w, NULL, adder);
	join_workers(_metadata, gpu, w);
	if (disturb) {
		*stop = true;
		pthread_join(d.thread, NULL);
		EXPECT_EQ(NULL, d.failed);
	}
	for (i = 0; i < 8; i++) {
		sum += ((uint64_t *)p)[i];
		sum32 += ((uint32_t *)(p + GPU_PAGE))[i];
	}
	EXPECT_EQ(2ULL * THREADS * rounds * ADDS, sum);
	EXPECT_EQ(2ULL * THREADS * rounds * ADDS, sum32);
	/* No word has spilled into its neighbour. */
	EXPECT_BYTES(p + 64, GPU_PAGE - 64, 0);
	EXPECT_BYTES(p + GPU_PAGE + 32, GPU_PAGE - 32, 0);
}

/* Behaviour 103: CPU and device hammer the same words: the sum is exact */
TEST_F(concurrency, atomics_cpu_and_device)
{
	volatile bool stop = false;

	hammer(_metadata, &self->gpu, gpu_map_anon(2 * GPU_PAGE), &stop, NULL);
}

static void *protector(void *arg)
{
	struct worker *d = arg;

	while (!*d->stop) {
		/* The same right again, but the entries go each time. */
		WORKER_CHECK(d, !mprotect(d->p, GPU_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
		WORKER_CHECK(d, !mprotect(d->p, GPU_PAGE, PROT_READ | PROT_WRITE));
		usleep(300);
	}
	return NULL;
}

/* Behaviour 103: the same, while the entries are invalidated all the time */
TEST_F(concurrency, atomics_while_invalidated)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu);
	unsigned long long useful;
	unsigned int tries = 0;

	/* On a busy host the threads may meet too seldom: again, until they have met. */
	do {
		volatile bool stop = false;

		hammer(_metadata, gpu, gpu_map_anon(2 * GPU_PAGE), &stop, protector);
		useful = gpu_state(gpu).invalidations_useful - before.invalidations_useful;
	} while (useful < 3 && ++tries < 20);
	EXPECT_LE(3ULL, useful);
}

/* Behaviour 103: compare-and-swap by CPU and device: each success counts once */
static void *swapper(void *arg)
{
	struct worker *w = arg;
	volatile uint64_t *word = (volatile uint64_t *)w->p;
	unsigned int done = 0;
	uint64_t old;

	while (done < w->rounds && !w->failed) {
		old = __atomic_load_n(word, __ATOMIC_RELAXED);
		WORKER_CHECK(w, run_is(w, fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_CAS, old + 1,
							 old, w->res), 0));
		done += *w->res == old;
		old = __atomic_load_n(word, __ATOMIC_RELAXED);
		__atomic_compare_exchange_n(word, &old, old, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(concurrency, atomics_cas)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_PAGE);
	struct worker w[THREADS] = { 0 };
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		w[i].p = p;
		w[i].rounds = 100;
	}
	start_workers(_metadata, gpu, w, NULL, swapper);
	join_workers(_metadata, gpu, w);
	EXPECT_EQ(100ULL * THREADS, *(uint64_t *)p);
}

/* All threads fault at other pages of an interval that isn't registered yet. */
static void *first_fault(void *arg)
{
	struct worker *w = arg;
	uint8_t *p = w->p + w->index * 16 * GPU_PAGE;

	pthread_barrier_wait(w->barrier);
	WORKER_CHECK(w, crc_is(w, p, 16 * GPU_PAGE,
			       gpu_crc_pattern(16 * GPU_PAGE, 104, p - w->p)));
	WORKER_CHECK(w, run_is(w, fakegpu_fill(p, 16 * GPU_PAGE, w->index), 0));
	return NULL;
}

/* Behaviour 104: concurrent first faults in one interval: one interval comes of it */
TEST_F(concurrency, first_faults_one_interval)
{
	struct gpu *gpu = &self->gpu;
	bool mm = gpu_one_interval(gpu);
	struct drm_fakegpu_vm_get_state before, after;
	pthread_barrier_t barrier;
	unsigned int round, i;

	gpu_crc_byte(1, 0);
	for (round = 0; round < 25; round++) {
		uint8_t *p = gpu_va(SIZE, 2 * GPU_SZ_1G);
		struct worker w[THREADS] = { 0 };

		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		gpu_pattern(p, SIZE, 104);
		for (i = 0; i < THREADS; i++)
			w[i].p = p;
		EXPECT_EVENTUALLY(1ULL, (unsigned long long)gpu_state(gpu).intervals);
		before = gpu_state(gpu);
		start_workers(_metadata, gpu, w, &barrier, first_fault);
		join_workers(_metadata, gpu, w);
		after = gpu_state(gpu);
		EXPECT_EQ(mm ? 1ULL : 2ULL, (unsigned long long)after.intervals);
		EXPECT_EQ(mm ? 0ULL : 1ULL,
			  after.intervals_added - after.intervals_removed -
			  (before.intervals_added - before.intervals_removed));
		for (i = 0; i < THREADS; i++)
			EXPECT_EQ((uint64_t)i, *(uint64_t *)(p + (i + 1) * 16 * GPU_PAGE - 8));
		EXPECT_VERIFY(gpu);
		/* Whatever was registered hears of this. */
		EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, munmap(p, SIZE)));
		EXPECT_UNMAPPED(gpu, p, SIZE);
	}
	EXPECT_EVENTUALLY(1ULL, (unsigned long long)gpu_state(gpu).intervals);
}

/*
 * Device faults of a VM are serviced by one worker, prefetches by who calls. While one thread
 * unmaps a lot, which takes mmap_lock, the others find no interval and queue up to register it.
 */
static void *first_prefetch(void *arg)
{
	struct worker *w = arg;
	uint64_t done;

	pthread_barrier_wait(w->barrier);
	if (!w->index)
		WORKER_CHECK(w, !munmap(w->p, 4 * GPU_SZ_2M));
	else
		WORKER_CHECK(w, !fakegpu_prefetch(w->gpu->fd, w->gpu->vm, 0,
						  w->p + w->index * 16 * GPU_PAGE, 16 * GPU_PAGE,
						  &done));
	return NULL;
}

/* Behaviours 104, 116: concurrent first prefetches in one interval: one interval comes of it */
TEST_F(concurrency, first_prefetches_one_interval)
{
	struct gpu *gpu = &self->gpu;
	uint64_t own = gpu_one_interval(gpu) ? 0 : 1;
	struct drm_fakegpu_vm_get_state before, after;
	pthread_barrier_t barrier;
	unsigned int round, i;

	for (round = 0; round < 20; round++) {
		uint8_t *p = gpu_va(SIZE, 2 * GPU_SZ_1G);
		struct worker w[THREADS] = { 0 };

		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
		gpu_pattern(p, SIZE, 104);
		for (i = 0; i < THREADS; i++)
			w[i].p = p;
		w[0].p = gpu_map_anon(4 * GPU_SZ_2M);
		memset(w[0].p, 1, 4 * GPU_SZ_2M);
		before = gpu_state(gpu);
		start_workers(_metadata, gpu, w, &barrier, first_prefetch);
		join_workers(_metadata, gpu, w);
		after = gpu_state(gpu);
		EXPECT_EQ(own, after.intervals - before.intervals);
		EXPECT_EQ(own, (after.intervals_added - after.intervals_removed) -
			       (before.intervals_added - before.intervals_removed));
		EXPECT_MAPPED(gpu, p + 16 * GPU_PAGE, SIZE - 16 * GPU_PAGE);
		EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, munmap(p, SIZE)));
		EXPECT_GAUGE(gpu, intervals, before.intervals);
	}
}

/* Map, fault and unmap pages of a slot that all share: it is emptied again and again. */
static void *emptier(void *arg)
{
	struct worker *w = arg;
	uint8_t *p = w->p + w->index * 2 * 16 * GPU_PAGE;
	unsigned int round;

	for (round = 0; round < w->rounds; round++) {
		uint64_t byte = 1 + (round + w->index) % 255;

		WORKER_CHECK(w, mmap(p, 16 * GPU_PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
		memset(p, byte, 16 * GPU_PAGE);
		WORKER_CHECK(w, crc_is(w, p, 16 * GPU_PAGE, gpu_crc_byte(16 * GPU_PAGE, byte)));
		WORKER_CHECK(w, !munmap(p, 16 * GPU_PAGE));
	}
	return NULL;
}

/* Behaviours 37, 104: faults and last unmaps race in one slot: it comes and goes */
TEST_F(concurrency, last_unmaps_one_interval)
{
	struct gpu *gpu = &self->gpu;
	uint64_t intervals = gpu_state(gpu).intervals;
	struct drm_fakegpu_vm_get_state after;
	struct worker w[THREADS] = { 0 };
	uint8_t *p = gpu_va(GPU_SZ_2M, 2 * GPU_SZ_1G);
	pthread_barrier_t barrier;
	unsigned int i;

	gpu_crc_byte(1, 0);
	for (i = 0; i < THREADS; i++) {
		w[i].p = p;
		w[i].rounds = 200;
	}
	start_workers(_metadata, gpu, w, &barrier, emptier);
	join_workers(_metadata, gpu, w);
	EXPECT_EVENTUALLY(intervals, (uint64_t)gpu_state(gpu).intervals);
	after = gpu_state(gpu);
	EXPECT_EQ((uint64_t)after.intervals,
		  (uint64_t)(after.intervals_added - after.intervals_removed));
	EXPECT_EQ(0ULL, after.faults_fatal);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	TH_LOG("%ju intervals came and went", (uintmax_t)after.intervals_removed);
}

/*
 * Behaviours 33, 70, 106: memory goes while a fault on its window is serviced. What
 * the service has read by then is never used (I2). The walk over 512 pages is long;
 * the page that goes is its first one.
 */
TEST_F(concurrency, service_races_dontneed)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int rounds = 600;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M), *spare = gpu_map_anon(rounds * GPU_PAGE);
	struct drm_fakegpu_vm_get_state before = gpu_state(gpu);
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, 1, 1, 0);
	uint64_t seed = 106, rand = seed, seqno;
	volatile uint64_t *word = (volatile uint64_t *)p;
	int64_t begin, length = 0;
	unsigned int i;

	TH_LOG("seed %ju", (uintmax_t)seed);
	gpu_pattern(p, GPU_SZ_2M, 106);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, madvise(p, GPU_PAGE, MADV_DONTNEED));
		*word = 2 * i;
		begin = gpu_now();
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
		if (i % 8) {
			int64_t at = begin + gpu_rand(&rand) % (length + 1);

			while (gpu_now() < at)
				;
			ASSERT_EQ(0, madvise(p, GPU_PAGE, MADV_DONTNEED));
			/* Takes the page just freed, so that *word gets another one. */
			spare[i * GPU_PAGE] = 1;
			*word = 2 * i + 1;
		}
		ASSERT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
		/* Undisturbed rounds tell how long it takes. */
		if (!(i % 8))
			length = gpu_now() - begin;
		EXPECT_RUN(gpu, fakegpu_copy(gpu->res, p, 8));
		ASSERT_EQ(*word, gpu->res[0])
			TH_LOG("round %u", i);
	}
	TH_LOG("%ju collisions in %u rounds",
	       (uintmax_t)(gpu_state(gpu).retries - before.retries), rounds);
	EXPECT_VERIFY(gpu);
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

#define PROCESSES	5

/* Behaviour 107: many processes, identical addresses: isolation, all finish */
TEST_F(concurrency, processes_same_addresses)
{
	struct gpu *gpu = &self->gpu;
	struct proc procs[PROCESSES];
	uint8_t *p = gpu_va(SIZE, 0);
	unsigned int i, round;

	for (i = 0; i < PROCESSES; i++) {
		struct gpu own;

		if (!proc_fork(&procs[i]))
			continue;
		child_gpu(&own, &gpu->conf);
		CHILD_CHECK(proc_hears(&procs[i], 'g'));
		for (round = 0; round < 20; round++) {
			uint64_t seed = 107000 + 1000 * i + round, crc;
			uint64_t byte = 1 + (i * 20 + round) % 255;
			struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE,
								  byte * 0x0101010101010101);

			CHILD_CHECK(mmap(p, SIZE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
					 0) == p);
			gpu_pattern(p, SIZE, seed);
			CHILD_CHECK(!gpu_device_crc(&own, p, SIZE, &crc));
			CHILD_CHECK(crc == gpu_crc_pattern(SIZE, seed, 0));
			CHILD_CHECK(!gpu_run(&own, &cmd, 1));
			CHILD_CHECK(gpu_byte_diff(p, SIZE, byte) == SIZE);
			CHILD_CHECK(!munmap(p, SIZE));
			CHILD_CHECK(gpu_mapped(&own, p, SIZE) == 0);
		}
		_exit(0);
	}
	for (i = 0; i < PROCESSES; i++)
		proc_say(&procs[i], 'g');
	for (i = 0; i < PROCESSES; i++)
		EXPECT_EQ(0, proc_wait(&procs[i]));
	/* Nobody's fault and nobody's memory came here. */
	EXPECT_GAUGE(gpu, faults_fatal, 0);
	EXPECT_UNMAPPED(gpu, p, SIZE);
}

/* Open a second device for the same mm, or skip the test. */
#define OPEN_SECOND(gpu, conf) do { \
	if (fakegpu_count() < 2) \
		SKIP(return, "needs two devices: load fakegpu.ko with num_devices=2"); \
	ASSERT_EQ(0, gpu_open_cold(gpu, conf, 1)) \
		TH_LOG("%s", gpu_why()); \
	(gpu)->res = gpu_map_anon(GPU_PAGE); \
	EXPECT_RUN(gpu, fakegpu_fill((gpu)->res, GPU_PAGE, 0)); \
} while (0)

/* Behaviour 108: two devices on the same pages: each is invalidated, each has its counters */
TEST_F(concurrency, two_devices_same_pages)
{
	struct gpu *a = &self->gpu, second, *b = &second;
	struct drm_fakegpu_vm_get_state state[2];
	uint8_t *p;

	OPEN_SECOND(b, &variant->conf);
	p = gpu_map_anon(SIZE);
	gpu_pattern(p, SIZE, 108);
	state[1] = gpu_state(b);
	EXPECT_FAULTS(a, 1, EXPECT_DEVICE_PATTERN(a, p, SIZE, 108));
	/* What the first one did is no concern of the second. */
	EXPECT_EQ(state[1].faults, gpu_state(b).faults);
	EXPECT_UNMAPPED(b, p, SIZE);
	EXPECT_FAULTS(b, 1, EXPECT_DEVICE_PATTERN(b, p, SIZE, 108));
	EXPECT_MAPPED(a, p, SIZE);

	/* One writes, the other one sees it. */
	EXPECT_RUN(b, fakegpu_fill(p, SIZE, 0x0b0b0b0b0b0b0b0b));
	EXPECT_FAULTS(a, 0, EXPECT_DEVICE_BYTES(a, p, SIZE, 0x0b));
	EXPECT_RUN(a, fakegpu_fill(p, SIZE / 2, 0x0a0a0a0a0a0a0a0a));
	EXPECT_FAULTS(b, 0, EXPECT_DEVICE_BYTES(b, p, SIZE / 2, 0x0a));

	state[0] = gpu_state(a);
	state[1] = gpu_state(b);
	ASSERT_EQ(0, munmap(p + 16 * GPU_PAGE, 16 * GPU_PAGE));
	EXPECT_EQ(16ULL, gpu_state(a).pages_cleared - state[0].pages_cleared);
	EXPECT_EQ(16ULL, gpu_state(b).pages_cleared - state[1].pages_cleared);
	EXPECT_FATAL(b, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + 16 * GPU_PAGE, READ);
	EXPECT_FATAL(a, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p + 16 * GPU_PAGE, READ);
	EXPECT_FAULTS(a, 0, EXPECT_DEVICE_BYTES(a, p, 16 * GPU_PAGE, 0x0a));
	EXPECT_FAULTS(b, 0, EXPECT_DEVICE_BYTES(b, p, 16 * GPU_PAGE, 0x0a));
	GPU_TEARDOWN(b);
	/* One is gone, the other one goes on. */
	EXPECT_FAULTS(a, 0, EXPECT_DEVICE_BYTES(a, p, 16 * GPU_PAGE, 0x0a));
}

/* Behaviour 108: two devices on different pages of one slot */
TEST_F(concurrency, two_devices_other_pages)
{
	struct gpu *a = &self->gpu, second, *b = &second;
	struct drm_fakegpu_vm_get_state state[2];
	uint8_t *p;

	OPEN_SECOND(b, &variant->conf);
	p = gpu_map_anon(SIZE);
	gpu_pattern(p, SIZE, 108);
	EXPECT_RUN(a, fakegpu_touch(p, GPU_PAGE, 1, 0));
	EXPECT_RUN(b, fakegpu_touch(p, GPU_PAGE, 1, 0));
	ASSERT_EQ(0, munmap(p, SIZE / 2));
	EXPECT_UNMAPPED(a, p, SIZE / 2);
	EXPECT_UNMAPPED(b, p, SIZE / 2);
	EXPECT_MAPPED(a, p + SIZE / 2, SIZE / 2);

	/* Only the second one has what goes now. */
	ASSERT_EQ(0, madvise(p + SIZE / 2, SIZE / 2, MADV_DONTNEED));
	EXPECT_RUN(b, fakegpu_fill(p + SIZE / 2, SIZE / 2, 0));
	state[0] = gpu_state(a);
	state[1] = gpu_state(b);
	ASSERT_EQ(0, munmap(p + SIZE / 2, SIZE / 2));
	EXPECT_EQ(0ULL, gpu_state(a).pages_cleared - state[0].pages_cleared);
	EXPECT_EQ(PAGES / 2, (uint64_t)(gpu_state(b).pages_cleared - state[1].pages_cleared));
	GPU_TEARDOWN(b);
}

/* Behaviour 108: two devices and the CPU add to one word */
TEST_F(concurrency, two_devices_atomics)
{
	struct gpu *a = &self->gpu, second, *b = &second;
	struct drm_fakegpu_cmd cmds[100];
	volatile uint64_t *word;
	uint64_t seqno[2];
	unsigned int i;

	OPEN_SECOND(b, &variant->conf);
	word = gpu_map_anon(GPU_PAGE);
	for (i = 0; i < 100; i++)
		cmds[i] = fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	ASSERT_EQ(0, fakegpu_submit(a->fd, a->queue, cmds, 100, &seqno[0]));
	ASSERT_EQ(0, fakegpu_submit(b->fd, b->queue, cmds, 100, &seqno[1]));
	for (i = 0; i < 100; i++)
		__atomic_fetch_add(word, 1, __ATOMIC_RELAXED);
	EXPECT_EQ(0, fakegpu_wait(a->fd, a->queue, seqno[0], GPU_WAIT_NS));
	EXPECT_EQ(0, fakegpu_wait(b->fd, b->queue, seqno[1], GPU_WAIT_NS));
	EXPECT_EQ(300ULL, *word);
	GPU_TEARDOWN(b);
}

TEST_HARNESS_MAIN
