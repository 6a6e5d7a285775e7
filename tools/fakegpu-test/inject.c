// SPDX-License-Identifier: GPL-2.0
/*
 * Area inject: what fails, fails cleanly: an error that says so, nothing left
 * behind, and the same call works as soon as it doesn't fail any more.
 */
#include "fakegpu_test_inject.h"

INJECT_FIXTURE(inject);

static const char *const knobs[] = {
	"fail_arrays", "fail_interval", "fail_insert", "fail_node", "fail_commit", "fail_reserve",
	"retry", "delay_commit", "delay_invalidate", "hold_commit", "hold_try",
	"hold_invalidate", "hold_remove", "hold_verify",
};

/* A VM of its own: nothing in the mirror, nothing in reserve, window of @order. */
static void open_own(struct gpu *own, const struct gpu_conf *conf, uint32_t order)
{
	struct gpu_conf own_conf = *conf;

	own_conf.window_order = order;
	if (gpu_open_cold(own, &own_conf, 0))
		gpu_die("%s", gpu_why());
}

/* The mirror's levels above the small leaves, from what the device can address. */
static unsigned int node_levels(const struct gpu *gpu)
{
	unsigned int bits = 64 - __builtin_clzll(gpu->info.va_end - 1);
	unsigned int level = 1;

	while (12 + 9 * (level + 1) < bits)
		level++;
	return level;
}

/* Nothing came into being, and in scheme slot not even the interval stays. */
#define EXPECT_NOTHING(gpu) do { \
	EXPECT_GAUGE(gpu, nodes, 1); \
	EXPECT_GAUGE(gpu, pages_small, 0); \
	EXPECT_GAUGE(gpu, leaves_large, 0); \
	if (!gpu_one_interval(gpu)) \
		EXPECT_GAUGE(gpu, intervals, 0); \
} while (0)

/* Behaviour 118: the knobs themselves: off at first, say what they were told, refuse nonsense */
TEST_F(inject, knobs_readback)
{
	static const char *const bad[] = { "", "x", "-1", " " };
	struct gpu *gpu = &self->gpu;
	struct inject zero = { 0 }, now;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		bool delay = !strncmp(knobs[i], "delay", 5);

		now = inject_get(gpu, knobs[i]);
		EXPECT_EQ(0, memcmp(&now, &zero, sizeof(now)));
		inject_set(gpu, knobs[i], 1000000, 3);
		now = inject_get(gpu, knobs[i]);
		EXPECT_EQ(1000000UL, now.nth);
		EXPECT_EQ(3UL, now.count);
		EXPECT_EQ(0UL, now.hits);
		for (j = 0; j < ARRAY_SIZE(bad); j++)
			EXPECT_EQ(-EINVAL, inject_write(gpu, knobs[i], bad[j]));
		/* A time only where it is one, and bounded. */
		EXPECT_EQ(delay ? 0 : -EINVAL, inject_write(gpu, knobs[i], "1000000 1 1000"));
		EXPECT_EQ(-EINVAL, inject_write(gpu, knobs[i], "1000000 1 1000001"));
	}
	EXPECT_EQ(-EINVAL, inject_write(gpu, "delay_invalidate", "1 1 100001"));
	EXPECT_EQ(-EINVAL, inject_write(gpu, "range", "1000"));
	EXPECT_EQ(-EINVAL, inject_write(gpu, "range", "2000-1000"));

	inject_text(gpu, "reset", "1");
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		now = inject_get(gpu, knobs[i]);
		EXPECT_EQ(0, memcmp(&now, &zero, sizeof(now)));
	}
}

/* Behaviour 118: a knob counts only what is about its range */
TEST_F(inject, knobs_range)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_PAGE), *q = gpu_map_anon(GPU_PAGE);

	inject_range(gpu, q, GPU_PAGE);
	inject_set(gpu, "fail_commit", 1, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE, 1));
	EXPECT_EQ(0UL, inject_get(gpu, "fail_commit").seen);
	EXPECT_FATAL(gpu, fakegpu_fill(q, GPU_PAGE, 1), ENOMEM, q, WRITE);
	EXPECT_EQ(1UL, inject_get(gpu, "fail_commit").seen);
	EXPECT_EQ(1UL, inject_hits(gpu, "fail_commit"));
}

/* Behaviour 118: each node allocation of a device fault fails once, n = 1, 2, ... */
TEST_F(inject, node_fault)
{
	struct gpu *gpu = &self->gpu, own;
	unsigned int n, nodes = node_levels(gpu) + 1;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);

	gpu_pattern(p, GPU_SZ_64K, 1);
	for (n = 1; n <= nodes + 1; n++) {
		open_own(&own, &variant->conf, 0);
		inject_set(&own, "fail_node", n, 1);
		if (n <= nodes) {
			EXPECT_FATAL(&own, fakegpu_touch(p, GPU_SZ_64K, GPU_PAGE, 0), ENOMEM, p,
				     READ);
			EXPECT_NOTHING(&own);
		}
		EXPECT_RUN(&own, fakegpu_touch(p, GPU_SZ_64K, GPU_PAGE, 0));
		EXPECT_EQ(n <= nodes, inject_hits(&own, "fail_node"));
		EXPECT_ENTRIES(&own, p, GPU_SZ_64K, GPU_W, 12, SYSTEM);
		EXPECT_GAUGE(&own, nodes, nodes);
		EXPECT_GAUGE(&own, intervals, 1);
		GPU_TEARDOWN(&own);
	}
}

/* Behaviours 116, 118: the same in PREFETCH: ENOMEM, and how far it came */
TEST_F(inject, node_prefetch)
{
	struct gpu *gpu = &self->gpu, own;
	unsigned int n, nodes = node_levels(gpu) + 1;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	uint64_t done;

	for (n = 1; n <= nodes; n++) {
		open_own(&own, &variant->conf, 0);
		inject_set(&own, "fail_node", n, 1);
		done = 1;
		EXPECT_EQ(-ENOMEM, fakegpu_prefetch(own.fd, own.vm, 0, p, GPU_SZ_64K, &done));
		EXPECT_EQ(0UL, done);
		EXPECT_EQ(1UL, inject_hits(&own, "fail_node"));
		EXPECT_NOTHING(&own);
		EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm, 0, p, GPU_SZ_64K, &done));
		EXPECT_EQ(GPU_SZ_64K, done);
		EXPECT_MAPPED(&own, p, GPU_SZ_64K);
		EXPECT_FAULTS(&own, 0, EXPECT_RUN(&own, fakegpu_touch(p, GPU_SZ_64K, 1, 0)));
		GPU_TEARDOWN(&own);
	}
}

/* Behaviour 118: an access that need not succeed: skipped and counted, the queue lives on */
TEST_F(inject, node_nofault)
{
	struct gpu *gpu = &self->gpu, own;
	uint8_t *p = gpu_map_anon(4 * GPU_PAGE);

	open_own(&own, &gpu->conf, 12);
	inject_range(&own, p, 4 * GPU_PAGE);
	inject_set(&own, "fail_commit", 2, 1);
	EXPECT_RUN(&own, fakegpu_touch(p, 4 * GPU_PAGE, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT));
	EXPECT_GAUGE(&own, faults, 4);
	EXPECT_GAUGE(&own, faults_nofault, 1);
	EXPECT_GAUGE(&own, faults_fatal, 0);
	EXPECT_MAPPED(&own, p, GPU_PAGE);
	EXPECT_UNMAPPED(&own, p + GPU_PAGE, GPU_PAGE);
	EXPECT_MAPPED(&own, p + 2 * GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_FAULTS(&own, 1, EXPECT_RUN(&own, fakegpu_touch(p, 4 * GPU_PAGE, GPU_PAGE, 0)));
	EXPECT_MAPPED(&own, p, 4 * GPU_PAGE);
	GPU_TEARDOWN(&own);
}

static const char *const registration[] = { "fail_interval", "fail_insert" };

/* In scheme fixed a device fault registers nothing, so there is nothing to fail. */
#define EXPECT_REGISTERS_NOTHING(gpu, statement) do { \
	size_t knob_; \
	for (knob_ = 0; knob_ < ARRAY_SIZE(registration); knob_++) \
		inject_set(gpu, registration[knob_], 1, 0); \
	EXPECT_DELTA(gpu, intervals_added, 0, statement); \
	for (knob_ = 0; knob_ < ARRAY_SIZE(registration); knob_++) \
		EXPECT_EQ(0UL, inject_get(gpu, registration[knob_]).seen); \
} while (0)

/* Behaviours 104, 118: no memory for an interval, or none to register it: a device fault */
TEST_F(inject, interval_fault)
{
	struct gpu *gpu = &self->gpu, own;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	size_t i;

	gpu_pattern(p, GPU_SZ_64K, 1);
	if (gpu->conf.scheme == DRM_FAKEGPU_SCHEME_FIXED) {
		EXPECT_REGISTERS_NOTHING(gpu, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 1));
		return;
	}
	for (i = 0; i < ARRAY_SIZE(registration); i++) {
		open_own(&own, &gpu->conf, 0);
		inject_set(&own, registration[i], 1, 1);
		EXPECT_FATAL(&own, fakegpu_touch(p + 7, 100, 1, DRM_FAKEGPU_CMD_WRITE), ENOMEM,
			     p + 7, WRITE);
		EXPECT_EQ(1UL, inject_hits(&own, registration[i]));
		EXPECT_GAUGE(&own, intervals, 0);
		EXPECT_GAUGE(&own, intervals_added, 0);
		EXPECT_GAUGE(&own, intervals_removed, 0);
		EXPECT_GAUGE(&own, nodes, 1);
		EXPECT_RUN(&own, fakegpu_touch(p + 7, 100, 1, DRM_FAKEGPU_CMD_WRITE));
		EXPECT_GAUGE(&own, intervals_added, 1);
		EXPECT_GAUGE(&own, intervals, 1);
		GPU_TEARDOWN(&own);
	}
	EXPECT_PATTERN(p, GPU_SZ_64K, 1);
}

/*
 * Behaviours 104, 118: the n-th registration of one PREFETCH fails: what came
 * before stays. In scheme mm there is but one, and nothing before it.
 */
TEST_F(inject, interval_prefetch)
{
	struct gpu *gpu = &self->gpu, own;
	struct gpu_conf conf = variant->conf;
	const unsigned int intervals = gpu_one_interval(gpu) ? 1 : 2;
	size_t i, slot, size;
	uint64_t done;
	uint8_t *p;
	unsigned int n;

	if (!conf.interval_order && !gpu_one_interval(gpu))
		conf.interval_order = 22;
	slot = 1UL << (conf.interval_order ?: 22);
	size = 3 * slot;
	p = gpu_map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p = (uint8_t *)((fakegpu_va(p) + slot - 1) & ~(slot - 1));
	size = 2 * slot;
	if (gpu->conf.scheme == DRM_FAKEGPU_SCHEME_FIXED) {
		EXPECT_REGISTERS_NOTHING(gpu, EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p,
									    size, &done)));
		return;
	}
	for (i = 0; i < ARRAY_SIZE(registration); i++) {
		for (n = 1; n <= 3; n++) {
			open_own(&own, &conf, 0);
			inject_set(&own, registration[i], n, 1);
			done = 1;
			if (n <= intervals) {
				EXPECT_EQ(-ENOMEM, fakegpu_prefetch(own.fd, own.vm, 0, p, size,
								    &done));
				EXPECT_EQ((n - 1) * slot, done);
				if (done)
					EXPECT_MAPPED(&own, p, done);
				EXPECT_UNMAPPED(&own, p + done, size - done);
				EXPECT_GAUGE(&own, intervals, n - 1);
			}
			EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm, 0, p, size, &done));
			EXPECT_EQ(size, done);
			EXPECT_MAPPED(&own, p, size);
			EXPECT_GAUGE(&own, intervals_added, intervals);
			EXPECT_EQ(n <= intervals, inject_hits(&own, registration[i]));
			inject_off(&own, registration[i]);
			GPU_TEARDOWN(&own);
		}
	}
}

/* Behaviour 118: the arrays of a service: VM_CREATE and PREFETCH, nothing left behind */
TEST_F(inject, arrays)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	struct gpu_before before;
	uint32_t vm = 0;
	uint64_t done = 1;

	before = gpu_look(gpu);
	inject_set(gpu, "fail_arrays", 1, 2);
	EXPECT_EQ(-ENOMEM, gpu_vm_create(gpu->fd, 0, &gpu->conf, &vm));
	EXPECT_EQ(-ENOMEM, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, GPU_SZ_64K, &done));
	EXPECT_EQ(0UL, done);
	EXPECT_EQ(2UL, inject_hits(gpu, "fail_arrays"));
	EXPECT_UNCHANGED(gpu, before);

	EXPECT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &vm));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, vm));
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, GPU_SZ_64K, &done));
	EXPECT_EQ(GPU_SZ_64K, done);
	EXPECT_MAPPED(gpu, p, GPU_SZ_64K);
}

/* Behaviours 78, 118: a slot that can't be read again for lack of memory: the device faults */
TEST_F(inject, arrays_restore)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M);

	gpu_pattern(p, GPU_SZ_2M, 1);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, 0));
	inject_set(gpu, "fail_arrays", 1, 0);
	EXPECT_DELTA(gpu, slots_restored, 0,
		     EXPECT_EQ(0, munmap(p + 5 * GPU_PAGE, GPU_PAGE));
		     EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M));
	EXPECT_LE(1UL, inject_hits(gpu, "fail_arrays"));
	/* The request was thrown away and with it went what kept the interval. */
	if (gpu->conf.interval_order == 21)
		EXPECT_GAUGE(gpu, intervals, 1);
	inject_off(gpu, "fail_arrays");
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, 5 * GPU_PAGE, 1));
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 6 * GPU_PAGE, GPU_SZ_2M - 6 * GPU_PAGE, 1,
				 6 * GPU_PAGE);
}

/* Behaviour 118: the mirror cannot store the n-th slot of a window */
TEST_F(inject, commit_slots)
{
	const size_t size = 4 * GPU_SZ_2M;
	struct gpu *gpu = &self->gpu, own;
	/* A window ends where its interval ends. */
	bool apart = variant->conf.interval_order == 21;
	uint8_t *p = gpu_va(size, size);
	size_t before;
	uint64_t done;
	unsigned int n;

	ASSERT_EQ(p, mmap(p, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, madvise(p, size, MADV_NOHUGEPAGE));
	gpu_pattern(p, size, 1);
	for (n = 1; n <= 5; n++) {
		open_own(&own, &gpu->conf, 23);
		inject_set(&own, "fail_commit", n, 1);
		before = (n - 1) * GPU_SZ_2M;
		done = 1;
		if (n <= 4) {
			EXPECT_EQ(-ENOMEM, fakegpu_prefetch(own.fd, own.vm, 0, p, size, &done));
			EXPECT_EQ(apart ? before : 0, done);
			if (before)
				EXPECT_MAPPED(&own, p, before);
			EXPECT_UNMAPPED(&own, p + before, size - before);
			EXPECT_VERIFY(&own);
		}
		EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm, 0, p, size, &done));
		EXPECT_EQ(size, done);
		EXPECT_MAPPED(&own, p, size);
		EXPECT_EQ(n <= 4, inject_hits(&own, "fail_commit"));
		GPU_TEARDOWN(&own);
	}
	EXPECT_PATTERN(p, size, 1);
}

/* Behaviours 11, 118: a COPY whose n-th page of the target cannot be had stops just there */
TEST_F(inject, copy_stops_exactly)
{
	const size_t pages = 6, size = 6 * GPU_PAGE, skew = 100;
	struct gpu *gpu = &self->gpu, own;
	uint8_t *src = gpu_map_anon(size), *dst = gpu_map_anon(size);
	size_t n, want;

	gpu_pattern(src, size, 1);
	for (n = 1; n <= pages; n++) {
		open_own(&own, &gpu->conf, 12);
		memset(dst, 0x5a, size);
		inject_range(&own, dst, size);
		inject_set(&own, "fail_commit", n, 1);
		want = n == 1 ? 0 : (n - 1) * GPU_PAGE - skew;
		EXPECT_FATAL(&own, fakegpu_copy(dst + skew, src, size - skew), ENOMEM,
			     dst + skew + want, WRITE);
		EXPECT_EQ(want, (size_t)own.fatal.queue.cmd_done);
		EXPECT_BYTES(dst, skew, 0x5a);
		EXPECT_PATTERN(dst + skew, want, 1);
		EXPECT_BYTES(dst + skew + want, size - skew - want, 0x5a);
		EXPECT_RUN(&own, fakegpu_copy(dst + skew, src, size - skew));
		EXPECT_BYTES(dst, skew, 0x5a);
		EXPECT_PATTERN(dst + skew, size - skew, 1);
		inject_text(&own, "reset", "1");
		GPU_TEARDOWN(&own);
	}
}

/* Behaviour 118: n collisions are n retries of one service; after three it gets narrow */
TEST_F(inject, retry_exact)
{
	struct gpu *gpu = &self->gpu;
	unsigned int n;

	for (n = 0; n <= 8; n++) {
		uint8_t *p = gpu_map_anon(GPU_SZ_64K);
		struct drm_fakegpu_vm_get_state a, b;

		gpu_pattern(p, GPU_SZ_64K, n);
		inject_range(gpu, p, GPU_SZ_64K);
		if (n)
			inject_set(gpu, "retry", 1, n);
		a = gpu_state(gpu);
		EXPECT_DEVICE_PATTERN_AT(gpu, p + 3 * GPU_PAGE, 2 * GPU_PAGE, n, 3 * GPU_PAGE);
		b = gpu_state(gpu);
		EXPECT_EQ(1UL, (uint64_t)(b.faults - a.faults));
		EXPECT_EQ(1UL, (uint64_t)(b.windows - a.windows));
		EXPECT_LE(n, b.retries - a.retries);
		/* In scheme mm the process's own doings may collide, too. */
		if (!gpu_one_interval(gpu))
			EXPECT_EQ((uint64_t)n, (uint64_t)(b.retries - a.retries));
		EXPECT_EQ((uint64_t)n, inject_hits(gpu, "retry"));
		if (n < 3 && b.retries - a.retries == n) {
			EXPECT_MAPPED(gpu, p, GPU_SZ_64K);
		} else {
			EXPECT_UNMAPPED(gpu, p, 3 * GPU_PAGE);
			EXPECT_MAPPED(gpu, p + 3 * GPU_PAGE, 2 * GPU_PAGE);
			EXPECT_UNMAPPED(gpu, p + 5 * GPU_PAGE, GPU_SZ_64K - 5 * GPU_PAGE);
		}
		inject_text(gpu, "reset", "1");
	}
}

/* Behaviours 106, 118: collisions without end: ETIMEDOUT is reported, EBUSY for PREFETCH */
TEST_F(inject, retry_timeout)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	int64_t begin;
	uint64_t done = 1;

	gpu_pattern(p, GPU_SZ_64K, 1);
	inject_range(gpu, p, GPU_SZ_64K);
	inject_value(gpu, "timeout_ms", 200);
	inject_set(gpu, "retry", 1, 0);
	begin = gpu_now();
	EXPECT_DELTA(gpu, faults_fatal, 1,
		     EXPECT_FATAL(gpu, fakegpu_fill(p + 9, 100, 0), ETIMEDOUT, p + 9, WRITE));
	EXPECT_LE(200 * 1000000LL - 20 * 1000000LL, gpu_now() - begin);
	EXPECT_EQ(-EBUSY, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, GPU_SZ_64K, &done));
	EXPECT_EQ(0UL, done);
	EXPECT_LE(2UL, inject_hits(gpu, "retry"));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
	/* Other queues of the VM were none the worse for it. */
	EXPECT_WORKS(gpu);
	inject_off(gpu, "retry");
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 1);
	EXPECT_RUN(gpu, fakegpu_fill(p + 9, 100, 0));
}

/* Behaviours 78, 118: no node to split a large leaf with: it goes whole, and is counted */
TEST_F(inject, reserve_empty)
{
	struct gpu *gpu = &self->gpu;
	bool empty;
	int i;

	for (i = 0; i < 2; i++) {
		struct drm_fakegpu_vm_get_state a, b;
		uint8_t *p, *hole;

		empty = i;
		GPU_MAP_HUGE(p, GPU_SZ_2M);
		hole = p + 100 * GPU_PAGE;
		gpu_pattern(p, GPU_SZ_2M, 1);
		EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, 0));
		EXPECT_GAUGE(gpu, leaves_large, 1);
		inject_range(gpu, p, GPU_SZ_2M);
		if (empty)
			inject_set(gpu, "fail_reserve", 1, 1);
		a = gpu_state(gpu);
		EXPECT_EQ(0, madvise(hole, GPU_PAGE, MADV_DONTNEED));
		b = gpu_state(gpu);
		EXPECT_EQ((uint64_t)empty, (uint64_t)(b.leaves_dropped - a.leaves_dropped));
		EXPECT_EQ((uint64_t)!empty, (uint64_t)(b.leaves_split - a.leaves_split));
		EXPECT_EQ((uint64_t)empty, inject_hits(gpu, "fail_reserve"));
		EXPECT_UNMAPPED(gpu, hole, GPU_PAGE);
		EXPECT_GAUGE(gpu, leaves_large, 0);
		EXPECT_DEVICE_BYTES(gpu, hole, GPU_PAGE, 0);
		EXPECT_DEVICE_PATTERN(gpu, p, 100 * GPU_PAGE, 1);
		EXPECT_DEVICE_PATTERN_AT(gpu, hole + GPU_PAGE, GPU_SZ_2M - 101 * GPU_PAGE, 1,
					 101 * GPU_PAGE);
		EXPECT_VERIFY(gpu);
		inject_text(gpu, "reset", "1");
		EXPECT_EQ(0, munmap(p, GPU_SZ_2M));
	}
}

/* Behaviours 78, 118: the same at the edge of a leaf that the device wrote */
TEST_F(inject, reserve_empty_dirty)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, 0x0101010101010101));
	inject_range(gpu, p, GPU_SZ_2M);
	inject_set(gpu, "fail_reserve", 1, 0);
	EXPECT_DELTA(gpu, leaves_dropped, 1,
		     EXPECT_EQ(0, madvise(p, GPU_PAGE, MADV_DONTNEED)));
	EXPECT_BYTES(p, GPU_PAGE, 0);
	EXPECT_BYTES(p + GPU_PAGE, GPU_SZ_2M - GPU_PAGE, 1);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, GPU_SZ_2M - GPU_PAGE, 1);
}

/* Behaviour 118: time between the read of the CPU's page table and the commit changes nothing */
TEST_F(inject, delay_commit)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	int64_t begin = gpu_now();

	gpu_pattern(p, GPU_SZ_64K, 1);
	inject_range(gpu, p, GPU_SZ_64K);
	inject_usecs(gpu, "delay_commit", 1, 0, 20000);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 1));
	EXPECT_LE(20000000LL, gpu_now() - begin);
	EXPECT_LE(1UL, inject_hits(gpu, "delay_commit"));
}

/* Behaviour 118: time in invalidate(), under the mirror lock: munmap waits, nothing is lost */
TEST_F(inject, delay_invalidate)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);
	int64_t begin;

	gpu_pattern(p, GPU_SZ_64K, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 1);
	inject_range(gpu, p, GPU_SZ_64K);
	inject_usecs(gpu, "delay_invalidate", 1, 1, 30000);
	begin = gpu_now();
	EXPECT_EQ(0, munmap(p, GPU_SZ_64K));
	EXPECT_LE(30000000LL, gpu_now() - begin);
	EXPECT_EQ(1UL, inject_hits(gpu, "delay_invalidate"));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EFAULT, p, WRITE);
}

/* Behaviours 12, 118: the device's room for faults overflows: all are served, none twice */
TEST_F(inject, room_overflow)
{
	enum { QUEUES = 8 };
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_queue_get_state state;
	uint64_t seqno[QUEUES], faults = gpu_state(gpu).faults;
	uint32_t queue[QUEUES];
	uint8_t *p[QUEUES];
	int i;

	for (i = 0; i < QUEUES; i++) {
		queue[i] = gpu_queue(gpu);
		p[i] = gpu_map_anon(GPU_PAGE);
	}
	inject_value(gpu, "room", 1);
	/* The worker is held in the first service: the others find no room, and stay so. */
	inject_range(gpu, p[0], GPU_PAGE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, queue[0], &seqno[0], fakegpu_fill(p[0], GPU_PAGE, 0)));
	for (i = 1; i < QUEUES; i++)
		EXPECT_SUBMIT(gpu, queue[i], &seqno[i],
			      fakegpu_fill(p[i], GPU_PAGE, 0x0101010101010101 * i));
	EXPECT_EVENTUALLY(QUEUES - 1UL, (uint64_t)gpu_state(gpu).fault_overflows);
	EXPECT_EQ(1UL, gpu_gauges(gpu).faults_pending);
	for (i = 1; i < QUEUES; i++) {
		EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue[i], &state));
		EXPECT_EQ((uint32_t)DRM_FAKEGPU_QUEUE_PARKED, state.flags);
	}
	INJECT_RELEASE(gpu, "hold_commit");
	for (i = 0; i < QUEUES; i++) {
		EXPECT_DONE(gpu, queue[i], seqno[i]);
		EXPECT_BYTES(p[i], GPU_PAGE, i);
		EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue[i], &state));
		EXPECT_EQ(1UL, (uint64_t)state.faults);
	}
	EXPECT_EQ((uint64_t)QUEUES, (uint64_t)gpu_state(gpu).faults - faults);
	EXPECT_LE(QUEUES - 1UL, (uint64_t)gpu_state(gpu).fault_overflows);
	EXPECT_EQ(0UL, gpu_gauges(gpu).faults_pending);
	for (i = 0; i < QUEUES; i++)
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue[i]));
}

/* Behaviours 96, 118: queues are destroyed whose faults found no room, and one in service */
TEST_F(inject, room_destroy)
{
	enum { QUEUES = 4 };
	struct gpu *gpu = &self->gpu;
	uint64_t seqno[QUEUES];
	uint32_t queue[QUEUES];
	uint8_t *p = gpu_map_anon(QUEUES * GPU_PAGE);
	int i;

	for (i = 0; i < QUEUES; i++)
		queue[i] = gpu_queue(gpu);
	inject_value(gpu, "room", 2);
	inject_range(gpu, p, GPU_PAGE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, queue[0], &seqno[0], fakegpu_fill(p, GPU_PAGE, 0)));
	for (i = 1; i < QUEUES; i++)
		EXPECT_SUBMIT(gpu, queue[i], &seqno[i],
			      fakegpu_fill(p + i * GPU_PAGE, GPU_PAGE, 1));
	EXPECT_EVENTUALLY(QUEUES - 2UL, (uint64_t)gpu_state(gpu).fault_overflows);
	INJECT_RELEASE(gpu, "hold_commit");
	for (i = QUEUES - 1; i >= 0; i--)
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue[i]));
	EXPECT_EQ(0UL, gpu_gauges(gpu).faults_pending);
	inject_text(gpu, "reset", "1");
	EXPECT_WORKS(gpu);
}

/* ------------------------------------- the kernel's own fault injection --- */

static const char *const fail_files[] = {
	"failslab/ignore-gfp-wait", "failslab/verbose", "fail_page_alloc/ignore-gfp-wait",
	"fail_page_alloc/min-order", "fail_page_alloc/verbose", "fail_usercopy/verbose",
};

struct fail_nth {
	int fd;
	char saved[ARRAY_SIZE(fail_files)][16];
};

static int fail_file(size_t index, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", fail_files[index]);
	return open(path, flags | O_CLOEXEC);
}

/* Set all up so that each allocation counts, without a word in the kernel log. */
static bool fail_nth_open(struct fail_nth *fail)
{
	size_t i;

	memset(fail, 0, sizeof(*fail));
	fail->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail->fd < 0 || access("/sys/kernel/debug/failslab", F_OK))
		return false;
	for (i = 0; i < ARRAY_SIZE(fail_files); i++) {
		int fd = fail_file(i, O_RDONLY), to;

		if (fd < 0)
			continue;
		/* Some of them can't seek, so reading and writing take a file each. */
		to = fail_file(i, O_WRONLY);
		if (read(fd, fail->saved[i], sizeof(fail->saved[i]) - 1) <= 0 ||
		    write(to, "0", 1) != 1)
			gpu_die("debugfs %s: %s", fail_files[i], strerror(errno));
		close(to);
		close(fd);
	}
	return true;
}

static void fail_nth_close(struct fail_nth *fail)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fail_files); i++) {
		int fd = fail->saved[i][0] ? fail_file(i, O_WRONLY) : -1;

		if (fd < 0)
			continue;
		if (write(fd, fail->saved[i], strlen(fail->saved[i])) < 0)
			gpu_die("debugfs %s: %s", fail_files[i], strerror(errno));
		close(fd);
	}
	close(fail->fd);
}

static void fail_nth_arm(struct fail_nth *fail, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(fail->fd, text, len, 0) != len)
		gpu_die("fail-nth: %s", strerror(errno));
}

/* Was something made to fail? Reading copies to user space, which may be the n-th. */
static bool fail_nth_disarm(struct fail_nth *fail)
{
	char text[16] = "";
	bool used = pread(fail->fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	while (pwrite(fail->fd, "0", 1, 0) != 1)
		;
	return used;
}

/* The ioctls that allocate, each to be called on a device in the same state. */
enum call {
	CALL_VM_CREATE,
	CALL_QUEUE_CREATE,
	CALL_SUBMIT,
	CALL_PREFETCH,
	CALL_VM_QUERY,
	CALL_VM_GET_FAULTS,
	CALLS
};

#define CALL_SIZE	(2 * GPU_PAGE)

static int make_call(struct gpu *gpu, enum call call, uint8_t *p, uint32_t *id, uint64_t *seqno)
{
	struct drm_fakegpu_vm_run runs[8];
	struct drm_fakegpu_fault_info faults[8];
	struct drm_fakegpu_cmd cmds[2];
	uint32_t count = 8;

	switch (call) {
	case CALL_VM_CREATE:
		return gpu_vm_create(gpu->fd, 0, &gpu->conf, id);
	case CALL_QUEUE_CREATE:
		return fakegpu_queue_create(gpu->fd, gpu->vm, id);
	case CALL_SUBMIT:
		cmds[0] = fakegpu_nop();
		cmds[1] = fakegpu_fill(p, CALL_SIZE, 0);
		return fakegpu_submit(gpu->fd, gpu->queue, cmds, 2, seqno);
	case CALL_PREFETCH:
		return fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, CALL_SIZE,
					NULL);
	case CALL_VM_QUERY:
		return fakegpu_vm_query(gpu->fd, gpu->vm, p, CALL_SIZE, runs, &count, NULL);
	default:
		return fakegpu_vm_faults(gpu->fd, gpu->vm, faults, &count, NULL);
	}
}

/* Behaviour 118: the n-th allocation of each ioctl fails, n = 1, 2, ...; then it works */
TEST_F(inject, fail_nth)
{
	struct gpu *gpu = &self->gpu, own;
	struct fail_nth fail;
	enum call call;
	uint8_t *p;

	if (!fail_nth_open(&fail))
		SKIP(return, "no CONFIG_FAULT_INJECTION with FAILSLAB");
	p = gpu_map_anon(CALL_SIZE);
	for (call = 0; call < CALLS; call++) {
		unsigned int n, failed = 0;
		bool used = true;

		for (n = 1; used; n++) {
			struct gpu_gauges before, now;
			uint64_t seqno = 0;
			uint32_t id = 0;
			bool lost;
			int ret;

			ASSERT_GT(1000, n);
			ASSERT_EQ(0, gpu_open_cold(&own, &gpu->conf, 0));
			before = gpu_gauges(&own);
			fail_nth_arm(&fail, n);
			ret = make_call(&own, call, p, &id, &seqno);
			used = fail_nth_disarm(&fail);
			EXPECT_TRUE(!ret || (used && (ret == -ENOMEM || ret == -EFAULT)))
				TH_LOG("call %d, n %u: %s", call, n, strerror(-ret));
			if (ret) {
				failed++;
				now = gpu_gauges(&own);
				/* Of what was made before the answer failed the id is lost. */
				lost = ret == -EFAULT && call <= CALL_QUEUE_CREATE &&
				       now.vms + now.queues > before.vms + before.queues;
				EXPECT_EQ(before.vms + (lost && call == CALL_VM_CREATE), now.vms)
					TH_LOG("call %d, n %u: %s", call, n, strerror(-ret));
				EXPECT_EQ(before.queues + (lost && call == CALL_QUEUE_CREATE),
					  now.queues)
					TH_LOG("call %d, n %u: %s", call, n, strerror(-ret));
				EXPECT_EQ(0, make_call(&own, call, p, &id, &seqno));
			}
			if (call == CALL_SUBMIT)
				EXPECT_DONE(&own, own.queue, seqno);
			if (call == CALL_PREFETCH)
				EXPECT_MAPPED(&own, p, CALL_SIZE);
			EXPECT_RUN(&own, fakegpu_fill(p, CALL_SIZE, ~0ULL));
			EXPECT_BYTES(p, CALL_SIZE, 0xff);
			EXPECT_EQ(0, gpu_close(&own))
				TH_LOG("call %d, n %u: %s", call, n, gpu_why());
		}
		EXPECT_LT(0U, failed)
			TH_LOG("call %d never failed", call);
	}
	fail_nth_close(&fail);
}

TEST_HARNESS_MAIN
