// SPDX-License-Identifier: GPL-2.0
/*
 * Scheme vma: intervals are what of a VMA lies in a slot, and become smaller, or
 * more, with each munmap of a part, while the mirror entries stay.
 */
#define _GNU_SOURCE
#include "fakegpu_test_race.h"

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

FIXTURE(vma) { struct gpu gpu; };
FIXTURE_VARIANT(vma) { struct gpu_conf conf; };

FIXTURE_VARIANT_ADD(vma, vma) {
	.conf = { .scheme = DRM_FAKEGPU_SCHEME_VMA },
};

FIXTURE_VARIANT_ADD(vma, vma21) {
	.conf = { .scheme = DRM_FAKEGPU_SCHEME_VMA, .interval_order = 21 },
};

/* Without a worker, with a kernel that can do that. */
FIXTURE_VARIANT_ADD(vma, direct) {
	.conf = { .scheme = DRM_FAKEGPU_SCHEME_VMA, .flags = DRM_FAKEGPU_VM_DIRECT },
};

FIXTURE_VARIANT_ADD(vma, direct21) {
	.conf = {
		.scheme = DRM_FAKEGPU_SCHEME_VMA,
		.flags = DRM_FAKEGPU_VM_DIRECT,
		.interval_order = 21,
	},
};

FIXTURE_SETUP(vma) { INJECT_SETUP(&self->gpu, &variant->conf); }
FIXTURE_TEARDOWN(vma) { INJECT_TEARDOWN(&self->gpu); }

static bool direct(const struct gpu *gpu)
{
	return gpu->conf.flags & DRM_FAKEGPU_VM_DIRECT;
}

/*
 * The live intervals that overlap [p, p + size), as pages from p on: "0-4 6-16".
 * With "?" behind the one that is to be replaced.
 */
static const char *layout(struct gpu *gpu, const void *p, size_t size)
{
	static char text[1024];
	FILE *f = gpu_vm_file(gpu, gpu->vm, "intervals");
	char line[200], state[16];
	unsigned long long start, end;
	size_t used = 0;

	text[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx %*s %15s", &start, &end, state) != 3 ||
		    !strcmp(state, "dead") || end <= fakegpu_va(p) ||
		    start >= fakegpu_va(p) + size)
			continue;
		used += snprintf(text + used, sizeof(text) - used, "%s%lld-%lld%s",
				 used ? " " : "",
				 (long long)(start - fakegpu_va(p)) / (long long)GPU_PAGE,
				 (long long)(end - fakegpu_va(p)) / (long long)GPU_PAGE,
				 strcmp(state, "live") ? "?" : "");
		if (used >= sizeof(text) - 40)
			break;
	}
	fclose(f);
	return text;
}

#define EXPECT_LAYOUT(gpu, p, size, want) \
	EXPECT_STREQ(want, layout(gpu, p, size))

/* The worker comes to it. */
#define EXPECT_SETTLED(gpu, p, size, want) do { \
	int64_t end_ = gpu_now() + GPU_WAIT_NS; \
	while (strcmp(layout(gpu, p, size), want) && gpu_now() < end_) \
		usleep(1000); \
	EXPECT_STREQ(want, layout(gpu, p, size)); \
	EXPECT_EVENTUALLY(0UL, gpu_stat(gpu, "intervals_pending")); \
} while (0)

/* Memory comes and goes there, and no interval of the VM hears of it. */
#define EXPECT_UNHEARD(gpu, p, size) do { \
	void *map_ = mmap(p, size, PROT_READ | PROT_WRITE, \
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0); \
	EXPECT_EQ((void *)(p), map_); \
	memset(map_, 1, size); \
	EXPECT_DELTA(gpu, invalidations, 0, EXPECT_EQ(0, munmap(map_, size))); \
} while (0)

/* A VMA that the device has read. */
static uint8_t *read_vma(struct __test_metadata *_metadata, struct gpu *gpu, size_t size)
{
	uint8_t *p = gpu_map_anon(size);

	gpu_pattern(p, size, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, size, 1);
	return p;
}

/* Behaviour 105: an interval covers its VMA, and no more of the address space */
TEST_F(vma, bounds)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	p[5 * GPU_PAGE] = 1;
	EXPECT_RUN(gpu, fakegpu_touch(p + 5 * GPU_PAGE, 1, 1, 0));
	EXPECT_LAYOUT(gpu, p - SIZE, 3 * SIZE, "16-32");
	EXPECT_UNHEARD(gpu, p - 2 * GPU_PAGE, GPU_PAGE);
	EXPECT_UNHEARD(gpu, p + SIZE + GPU_PAGE, GPU_PAGE);
}

/* Behaviour 105: of a VMA that is larger than a slot each slot has its interval */
TEST_F(vma, bounds_slot)
{
	struct gpu *gpu = &self->gpu;
	unsigned int order = gpu->conf.interval_order ?: gpu->info.interval_order;
	const size_t slot = 1UL << order;
	uint8_t *edge = (uint8_t *)gpu_va(2 * slot, slot) + slot;
	uint8_t *p = edge - 4 * GPU_PAGE;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(0, madvise(p, SIZE, MADV_NOHUGEPAGE));
	gpu_pattern(p, SIZE, 1);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1);
	EXPECT_LAYOUT(gpu, p, SIZE, "0-4 4-16");
	EXPECT_EQ(0, munmap(p + 2 * GPU_PAGE, 4 * GPU_PAGE));
	EXPECT_SETTLED(gpu, p, SIZE, "0-2 6-16");
	EXPECT_MAPPED(gpu, p, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 6 * GPU_PAGE, 10 * GPU_PAGE);
}

/* Behaviours 28, 105: munmap of the head: the interval follows, the entries stay */
TEST_F(vma, head)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);

	EXPECT_LAYOUT(gpu, p, SIZE, "0-16");
	EXPECT_DELTA(gpu, intervals_added, direct(gpu) ? 0 : 1,
		     EXPECT_EQ(0, munmap(p, 4 * GPU_PAGE));
		     EXPECT_UNMAPPED(gpu, p, 4 * GPU_PAGE);
		     EXPECT_SETTLED(gpu, p, SIZE, "4-16"));
	EXPECT_MAPPED(gpu, p + 4 * GPU_PAGE, 12 * GPU_PAGE);
	EXPECT_UNHEARD(gpu, p, 4 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + 4 * GPU_PAGE, 12 * GPU_PAGE, 1,
					       4 * GPU_PAGE));
	EXPECT_FATAL(gpu, fakegpu_touch(p + 4 * GPU_PAGE - 1, 2, 1, 0), EFAULT,
		     p + 4 * GPU_PAGE - 1, READ);
}

/* Behaviours 29, 105: of the tail */
TEST_F(vma, tail)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);

	EXPECT_DELTA(gpu, intervals_added, direct(gpu) ? 0 : 1,
		     EXPECT_EQ(0, munmap(p + 12 * GPU_PAGE, 4 * GPU_PAGE));
		     EXPECT_SETTLED(gpu, p, SIZE, "0-12"));
	EXPECT_MAPPED(gpu, p, 12 * GPU_PAGE);
	EXPECT_UNHEARD(gpu, p + 12 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 12 * GPU_PAGE, 1));
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, 1, 0), EFAULT, p + 12 * GPU_PAGE, READ);
}

/* Behaviours 30, 31, 105: of the middle: two intervals of one, and no device fault for it */
TEST_F(vma, hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);

	EXPECT_DELTA(gpu, intervals_added, direct(gpu) ? 1 : 2,
		     EXPECT_EQ(0, munmap(p + 6 * GPU_PAGE, 2 * GPU_PAGE));
		     EXPECT_UNMAPPED(gpu, p + 6 * GPU_PAGE, 2 * GPU_PAGE);
		     EXPECT_SETTLED(gpu, p, SIZE, "0-6 8-16"));
	EXPECT_MAPPED(gpu, p, 6 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE);
	EXPECT_UNHEARD(gpu, p + 6 * GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, 6 * GPU_PAGE, 1);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE, 1,
					       8 * GPU_PAGE));
	/* Each has its own invalidations, up to its edges. */
	EXPECT_EQ(0, madvise(p + 5 * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, madvise(p + 8 * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_UNMAPPED(gpu, p + 5 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_DELTA(gpu, invalidations, 1, EXPECT_EQ(0, munmap(p, 6 * GPU_PAGE)));
	EXPECT_DELTA(gpu, invalidations, 1,
		     EXPECT_EQ(0, munmap(p + 8 * GPU_PAGE, 8 * GPU_PAGE)));
	EXPECT_SETTLED(gpu, p, SIZE, "");
}

/* Behaviours 30, 31, 38: every second page goes, in one call or one by one; then all */
TEST_F(vma, comb)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 64 * GPU_PAGE;
	uint8_t *p = read_vma(_metadata, gpu, size);
	uint64_t intervals = gpu_state(gpu).intervals;
	size_t i;

	for (i = 0; i < size; i += 2 * GPU_PAGE)
		EXPECT_EQ(0, munmap(p + i, GPU_PAGE));
	EXPECT_EVENTUALLY(intervals - 1 + 32, (uint64_t)gpu_state(gpu).intervals);
	for (i = GPU_PAGE; i < size; i += 2 * GPU_PAGE) {
		EXPECT_MAPPED(gpu, p + i, GPU_PAGE);
		EXPECT_UNMAPPED(gpu, p + i - GPU_PAGE, GPU_PAGE);
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN_AT(gpu, p + i, GPU_PAGE, 1, i));
	}
	EXPECT_VERIFY(gpu);
	EXPECT_EQ(0, munmap(p, size));
	EXPECT_UNMAPPED(gpu, p, size);
	EXPECT_EVENTUALLY(intervals - 1, (uint64_t)gpu_state(gpu).intervals);
}

/*
 * Behaviours 31, 78: munmap of a page in a slot of many intervals. The kernel takes the entries
 * of all, as it splits the VMA; each reads its own again, and nobody else's.
 */
TEST_F(vma, slot_of_many)
{
	const size_t at = GPU_SZ_2M / 2 + 4 * GPU_PAGE, tail = at + GPU_PAGE;
	uint8_t *p = gpu_va(GPU_SZ_2M, GPU_SZ_2M);
	struct gpu *gpu = &self->gpu;
	uint64_t windows;
	size_t size = SIZE;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	for (;;) {
		gpu_pattern(p, size, 1);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, size, 1));
		if (size == GPU_SZ_2M)
			break;
		ASSERT_EQ(p, mremap(p, size, size + SIZE, 0));
		size += SIZE;
	}

	windows = gpu_state(gpu).windows;
	EXPECT_EQ(0, munmap(p + at, GPU_PAGE));
	EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + tail, GPU_SZ_2M - tail);
	/* Where the hole is it takes three: before it, in vain, and behind it. */
	EXPECT_GE(GPU_SZ_2M / SIZE + 2, gpu_state(gpu).windows - windows);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 1);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 1, tail));
}

/* Behaviours 27, 38: all of it */
TEST_F(vma, whole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);

	EXPECT_DELTA(gpu, intervals_added, 0,
		     EXPECT_EQ(0, munmap(p, SIZE));
		     EXPECT_SETTLED(gpu, p, SIZE, ""));
	EXPECT_UNHEARD(gpu, p, SIZE);
}

/* Behaviours 48, 105: what a VMA has grown by gets an interval of its own */
TEST_F(vma, grow)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE / 2);

	ASSERT_EQ(p, mremap(p, SIZE / 2, SIZE, 0));
	EXPECT_LAYOUT(gpu, p, SIZE, "0-8");
	gpu_pattern(p, SIZE, 2);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 2));
	EXPECT_LAYOUT(gpu, p, SIZE, direct(gpu) ? "0-16" : "0-8 8-16");
	EXPECT_EQ(0, madvise(p + 15 * GPU_PAGE, GPU_PAGE, MADV_DONTNEED));
	EXPECT_UNMAPPED(gpu, p + 15 * GPU_PAGE, GPU_PAGE);
	EXPECT_EQ(0, munmap(p + 4 * GPU_PAGE, 8 * GPU_PAGE));
	EXPECT_SETTLED(gpu, p, SIZE, "0-4 12-16");
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 2));
}

/* Behaviours 45, 105: UNMAP of a tail that stays mapped: its next fault registers anew */
TEST_F(vma, dontunmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE), *to = gpu_va(GPU_SZ_2M, GPU_SZ_2M);

	ASSERT_EQ(to, mremap(p + SIZE / 2, SIZE / 2, SIZE / 2,
			     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to));
	EXPECT_SETTLED(gpu, p, SIZE, "0-8");
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + SIZE / 2, SIZE / 2, 0));
	EXPECT_LAYOUT(gpu, p, SIZE, direct(gpu) ? "0-16" : "0-8 8-16");
	EXPECT_DEVICE_PATTERN_AT(gpu, to, SIZE / 2, 1, SIZE / 2);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE / 2, 1));
}

/* Behaviours 34, 105: other memory in the same slot collides with no service */
TEST_F(vma, neighbour)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *other = p + SIZE + GPU_PAGE;
	struct drm_fakegpu_vm_get_state before;
	uint64_t seqno;

	ASSERT_EQ(other, mmap(other, SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	memset(other, 1, SIZE);
	EXPECT_RUN(gpu, fakegpu_touch(other, SIZE, GPU_PAGE, 0));
	gpu_pattern(p, SIZE, 1);
	before = gpu_state(gpu);
	inject_range(gpu, p, SIZE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
				  fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_EQ(0, munmap(other + 4 * GPU_PAGE, 4 * GPU_PAGE));
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_DONE(gpu, gpu->queue, seqno);
	EXPECT_EQ((uint64_t)before.retries, (uint64_t)gpu_state(gpu).retries);
	EXPECT_MAPPED(gpu, p, SIZE);
}

/* Behaviours 33, 105: the tail goes while a service is about to commit all of it */
TEST_F(vma, trimmed_in_use)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t seqno;

	gpu_pattern(p, SIZE, 1);
	inject_range(gpu, p, SIZE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
				  fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_LAYOUT(gpu, p, SIZE, "0-16");
	EXPECT_EQ(0, munmap(p + 8 * GPU_PAGE, 8 * GPU_PAGE));
	EXPECT_LAYOUT(gpu, p, SIZE, direct(gpu) ? "0-8" : "0-8?");
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_MAPPED(gpu, p, 8 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE);
	EXPECT_SETTLED(gpu, p, SIZE, "0-8");
}

/* Behaviours 33, 105: the page that a fault is about leaves the interval, and comes back */
TEST_F(vma, trimmed_and_back)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE), *q = p + 12 * GPU_PAGE;
	uint64_t seqno;

	ASSERT_EQ(0, madvise(q, 4 * GPU_PAGE, MADV_DONTNEED));
	gpu_pattern(q, 4 * GPU_PAGE, 2);
	inject_range(gpu, q, 4 * GPU_PAGE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
				  fakegpu_checksum(q, 4 * GPU_PAGE, gpu->res + 1)));
	ASSERT_EQ(q, mmap(q, 4 * GPU_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	gpu_pattern(q, 4 * GPU_PAGE, 3);
	EXPECT_LAYOUT(gpu, p, SIZE, direct(gpu) ? "0-12" : "0-12?");
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_DONE(gpu, gpu->queue, seqno);
	EXPECT_EQ((uint64_t)gpu_crc_pattern(4 * GPU_PAGE, 3, 0), gpu->res[1]);
	/* What is back may have huge pages, so it is a VMA of its own. */
	EXPECT_SETTLED(gpu, p, SIZE, "0-12 12-16");
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 12 * GPU_PAGE, 1));
}

/* Behaviours 30, 118: no memory to replace it: it covers too much, and nothing is lost */
TEST_F(vma, no_memory)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);
	int n;

	/* A callback has spare intervals, and asks for none. */
	if (direct(gpu)) {
		inject_set(gpu, "fail_insert", 1, 0);
		EXPECT_EQ(0, munmap(p + 4 * GPU_PAGE, GPU_PAGE));
		EXPECT_SETTLED(gpu, p, SIZE, "0-4 5-16");
		EXPECT_EQ(0UL, inject_get(gpu, "fail_insert").seen);
		inject_off(gpu, "fail_insert");
		return;
	}
	inject_range(gpu, p, SIZE);
	for (n = 1; n <= 2; n++) {
		inject_set(gpu, "fail_insert", n, 1);
		EXPECT_EQ(0, munmap(p + 4 * n * GPU_PAGE, GPU_PAGE));
		EXPECT_EVENTUALLY(1UL, inject_hits(gpu, "fail_insert"));
		EXPECT_SETTLED(gpu, p, SIZE, "0-16");
		EXPECT_VERIFY(gpu);
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 1));
	}
	inject_off(gpu, "fail_insert");
	EXPECT_EQ(0, munmap(p + 12 * GPU_PAGE, GPU_PAGE));
	EXPECT_SETTLED(gpu, p, SIZE, "0-4 5-8 9-12 13-16");
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 1);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + 13 * GPU_PAGE, 3 * GPU_PAGE, 1,
					       13 * GPU_PAGE));
}

/*
 * Behaviours 37, 105: what is behind a hole gets an interval of its own, and is
 * emptied while the invalidation of the hole is still under way: it goes
 */
TEST_F(vma, emptied_behind)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, SIZE);
	struct munmap_range hole = { .p = p + 4 * GPU_PAGE, .size = 3 * GPU_PAGE };
	struct gpu other = *gpu;
	struct task task;
	uint32_t range;

	/* Of the two callbacks for the hole the second one, of another VM, is held. */
	ASSERT_EQ(0, fakegpu_vm_create(gpu->fd, 0, DRM_FAKEGPU_SCHEME_FIXED, 0, 0, &other.vm));
	ASSERT_EQ(0, fakegpu_range_register(gpu->fd, other.vm, fakegpu_va(p + 5 * GPU_PAGE),
					    GPU_PAGE, &range));
	inject_range(gpu, p, SIZE);
	inject_set(gpu, "hold_invalidate", 2, 1);
	task_start(&task, munmap_task, &hole);
	EXPECT_EVENTUALLY(1UL, inject_get(gpu, "hold_invalidate").held);
	EXPECT_LAYOUT(gpu, p, SIZE, direct(gpu) ? "0-4 7-16" : "0-16?");
	/* The worker waits for mmap_lock, for write, and madvise() would wait behind it. */
	if (!direct(gpu))
		INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EQ(0, madvise(p + 7 * GPU_PAGE, 9 * GPU_PAGE, MADV_DONTNEED));
	if (direct(gpu)) {
		EXPECT_LAYOUT(gpu, p, SIZE, "0-4");
		INJECT_RELEASE(gpu, "hold_invalidate");
	}
	EXPECT_EQ(0, task_join(&task));
	EXPECT_SETTLED(gpu, p, SIZE, "0-4");
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 1));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, other.vm));
}

/*
 * Behaviours 37, 38: the interval that was there before still hears of it when the
 * VMA of the one that came after it goes, which goes as a whole, not by parts
 */
TEST_F(vma, dead_beside)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = read_vma(_metadata, gpu, 4 * GPU_PAGE);
	struct munmap_range all = { .p = p, .size = 8 * GPU_PAGE };
	struct task task;

	if (!direct(gpu))
		inject_set(gpu, "hold_remove", 1, 1);
	EXPECT_EQ(0, munmap(p, 4 * GPU_PAGE));
	if (!direct(gpu))
		EXPECT_EVENTUALLY(1UL, inject_get(gpu, "hold_remove").held);
	ASSERT_EQ(p, mmap(p, all.size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	gpu_pattern(p, all.size, 2);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, all.size, 2));
	EXPECT_LAYOUT(gpu, p, all.size, "0-8");

	/* The dead one's callback has been by then, the other's is held. */
	inject_range(gpu, p + 6 * GPU_PAGE, GPU_PAGE);
	INJECT_HOLD(gpu, "hold_invalidate", task_start(&task, munmap_task, &all));
	EXPECT_LAYOUT(gpu, p, all.size, "0-8");
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EQ(0, task_join(&task));
	EXPECT_LAYOUT(gpu, p, all.size, "");
	if (!direct(gpu))
		INJECT_RELEASE(gpu, "hold_remove");
}

struct unmapper {
	uint8_t *p;
	size_t size;
	volatile bool stop;
};

/* Maps and unmaps pieces of a range, at its ends and in its middle. */
static void *unmapper_main(void *arg)
{
	struct unmapper *u = arg;
	uint64_t seed = 1;

	while (!u->stop) {
		size_t at = gpu_rand(&seed) % (u->size / GPU_PAGE) * GPU_PAGE;
		size_t size = (gpu_rand(&seed) % 8 + 1) * GPU_PAGE;

		if (at + size > u->size)
			size = u->size - at;
		munmap(u->p + at, size);
		if (mmap(u->p + at, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			gpu_die("mmap: %s", strerror(errno));
		u->p[at] = 1;
	}
	return NULL;
}

/* Behaviours 33, 38, 106: holes come and go while the device goes through the range */
TEST_F(vma, race)
{
	struct gpu *gpu = &self->gpu;
	struct unmapper u = { .size = 4 * SIZE };
	int64_t begin = gpu_now();
	pthread_t thread;
	unsigned int i;

	u.p = gpu_map_anon(u.size);
	ASSERT_EQ(0, pthread_create(&thread, NULL, unmapper_main, &u));
	for (i = 0; gpu_more(i, 2000, begin); i++)
		EXPECT_RUN(gpu, fakegpu_touch(u.p, u.size, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT));
	u.stop = true;
	pthread_join(thread, NULL);
	EXPECT_VERIFY(gpu);
	gpu_pattern(u.p, u.size, 1);
	EXPECT_DEVICE_PATTERN(gpu, u.p, u.size, 1);
	EXPECT_EQ(0, munmap(u.p, u.size));
	EXPECT_SETTLED(gpu, u.p, u.size, "");
}

TEST_HARNESS_MAIN
