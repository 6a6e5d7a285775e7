// SPDX-License-Identifier: GPL-2.0
/*
 * mmap(MAP_FIXED) over memory that the device has mapped, before, between and
 * during commands.
 */
#include "fakegpu_test.h"
#include "fakegpu_test_proc.h"

#include <pthread.h>

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(mapfixed);

static void replace(struct __test_metadata *_metadata, void *p, size_t size, int prot, int flags,
		    int fd)
{
	ASSERT_EQ(p, mmap(p, size, prot, flags | MAP_FIXED, fd, 0));
	if (flags & MAP_ANONYMOUS)
		madvise(p, size, MADV_NOHUGEPAGE);
}

static void replace_anon(struct __test_metadata *_metadata, void *p, size_t size)
{
	replace(_metadata, p, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Behaviour 55: anonymous by anonymous memory between jobs: the new pages are used */
TEST_F(mapfixed, anon_between)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i;

	for (i = 0; i < 20; i++) {
		gpu_pattern(p, SIZE, 55 + i);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 55 + i));
		EXPECT_DELTA(gpu, pages_cleared, PAGES, replace_anon(_metadata, p, SIZE));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		if (i % 2) {
			EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
		} else {
			EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, i)));
			EXPECT_EQ((uint64_t)i, *(uint64_t *)p);
		}
		replace_anon(_metadata, p, SIZE);
	}
}

/* Behaviours 55, 31: replacing the middle: the new pages there, old entries around */
TEST_F(mapfixed, anon_middle)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	const size_t at = 20 * GPU_PAGE, len = 10 * GPU_PAGE, tail = at + len;

	gpu_pattern(p, SIZE, 55);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 55);
	EXPECT_DELTA(gpu, pages_cleared, len / GPU_PAGE, replace_anon(_metadata, p + at, len));
	EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, len);
	EXPECT_MAPPED(gpu, p + tail, SIZE - tail);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, at, 55);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, SIZE - tail, 55, tail));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + at, len, 0));
	/* A write goes to the new pages and on into the old ones. */
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x5555555555555555));
	EXPECT_BYTES(p, SIZE, 0x55);
}

/* Behaviour 55: the interval survives or comes anew, the address stays usable */
TEST_F(mapfixed, anon_whole_slot)
{
	struct gpu *gpu = &self->gpu;
	uint64_t intervals = gpu_state(gpu).intervals, now;
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i;

	for (i = 0; i < 100; i++) {
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, i));
		ASSERT_EQ((uint64_t)i, *(uint64_t *)(p + SIZE - 8));
		replace_anon(_metadata, p, SIZE);
	}
	EXPECT_EVENTUALLY(intervals, (uint64_t)gpu_state(gpu).intervals);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0);
	now = gpu_state(gpu).intervals;
	EXPECT_EQ(intervals + (!gpu_one_interval(gpu)), now);
}

struct replacer {
	uint8_t *p;
	int fd;
	volatile int stop;
	unsigned long count;
	bool failed;
};

static void *replacer(void *arg)
{
	struct replacer *r = arg;
	int flags = r->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	while (!r->stop) {
		if (mmap(r->p, SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, r->fd, 0) != r->p)
			r->failed = true;
		r->count++;
		/* Mid-flight, but no storm that a service could starve of. */
		usleep(500);
	}
	return NULL;
}

/* Behaviours 55, 56: replaced by the same bytes mid-flight: no error, values right */
TEST_F(mapfixed, same_bytes_busy)
{
	struct gpu *gpu = &self->gpu;
	struct replacer r = { .fd = gpu_memfd(SIZE) };
	uint64_t want = gpu_crc_pattern(SIZE, 56, 0);
	struct drm_fakegpu_cmd cmds[32];
	int64_t begin = gpu_now();
	pthread_t thread;
	unsigned int i, round;

	r.p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	gpu_pattern(r.p, SIZE, 56);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replacer, &r));
	for (round = 0; gpu_more(round, 10, begin) || (r.count < 50 && round < 1000); round++) {
		for (i = 0; i < 32; i++) {
			gpu->res[i] = 0;
			cmds[i] = fakegpu_checksum(r.p, SIZE, &gpu->res[i]);
		}
		EXPECT_EQ(0, gpu_run(gpu, cmds, 32))
			TH_LOG("%s", gpu_why());
		for (i = 0; i < 32; i++)
			ASSERT_EQ(want, gpu->res[i]);
	}
	r.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(r.failed);
	EXPECT_LE(50UL, r.count);
	TH_LOG("%lu replacements during %u jobs", r.count, round);
	close(r.fd);
}

/* Behaviour 55: anonymous by anonymous memory during jobs: no error, no other's byte */
TEST_F(mapfixed, anon_busy)
{
	struct gpu *gpu = &self->gpu;
	struct replacer r = { .fd = -1 };
	uint8_t *dst = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmds[16];
	int64_t begin = gpu_now();
	unsigned int i, round;
	pthread_t thread;
	size_t at;

	r.p = gpu_map_anon(SIZE);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replacer, &r));
	for (round = 0; gpu_more(round, 10, begin) || (r.count < 50 && round < 1000); round++) {
		for (i = 0; i < 16; i += 2) {
			cmds[i] = fakegpu_fill(r.p, SIZE, 0x7777777777777777);
			cmds[i + 1] = fakegpu_copy(dst, r.p, SIZE);
		}
		EXPECT_EQ(0, gpu_run(gpu, cmds, 16))
			TH_LOG("%s", gpu_why());
		/* Each word is what the device wrote, or of a page that is new. */
		for (at = 0; at < SIZE; at += 8)
			ASSERT_TRUE(*(uint64_t *)(dst + at) == 0 ||
				    *(uint64_t *)(dst + at) == 0x7777777777777777)
				TH_LOG("offset %zu: %jx", at,
				       (uintmax_t)*(uint64_t *)(dst + at));
	}
	r.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(r.failed);
	EXPECT_LE(50UL, r.count);
	TH_LOG("%lu replacements during %u jobs", r.count, round);
}

/* Behaviour 59: by a PROT_NONE reservation and back, as allocators decommit */
TEST_F(mapfixed, none_and_back)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 59);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 59);
	replace(_metadata, p, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EFAULT, p, WRITE);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
}

/* Behaviours 59, 31: a part of it: the rest keeps its entries, also when it is back */
TEST_F(mapfixed, none_middle)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	const size_t at = 20 * GPU_PAGE, len = 10 * GPU_PAGE, tail = at + len;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		gpu_pattern(p, SIZE, 59 + i);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 59 + i);
		EXPECT_DELTA(gpu, pages_cleared, len / GPU_PAGE,
			     replace(_metadata, p + at, len, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1));
		EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, ~0ULL), EFAULT, p + at, WRITE);
		EXPECT_EQ((uint64_t)at, (uint64_t)gpu->fatal.queue.cmd_done);
		EXPECT_UNMAPPED(gpu, p + at, len);
		EXPECT_FAULTS(gpu, 0,
			      EXPECT_DEVICE_BYTES(gpu, p, at, 0xff);
			      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, SIZE - tail, 59 + i, tail));
		replace_anon(_metadata, p + at, len);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + at, len, 0));
		EXPECT_FAULTS(gpu, 0,
			      EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, SIZE - tail, 59 + i, tail));
	}
}

/* Behaviours 59, 78: a part of a huge page */
TEST_F(mapfixed, none_huge)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 100 * GPU_PAGE, len = 50 * GPU_PAGE, tail = at + len;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 59);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 59);
	EXPECT_GAUGE(gpu, leaves_large, 1);
	replace(_metadata, p + at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1);
	EXPECT_UNMAPPED(gpu, p + at, len);
	EXPECT_GAUGE(gpu, leaves_large, 0);
	EXPECT_FATAL(gpu, fakegpu_checksum(p, GPU_SZ_2M, NULL), EFAULT, p + at, READ);
	EXPECT_EQ((uint64_t)at, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_DEVICE_PATTERN(gpu, p, at, 59);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 59, tail);
	replace_anon(_metadata, p + at, len);
	EXPECT_DEVICE_PATTERN(gpu, p, at, 59);
	EXPECT_DEVICE_BYTES(gpu, p + at, len, 0);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + tail, GPU_SZ_2M - tail, 59, tail);
}

static void *changer(void *arg)
{
	struct replacer *r = arg;
	uint8_t *copy;

	while (!r->stop) {
		void *got = MAP_FAILED;

		switch (r->count % 3) {
		case 0:
			got = mmap(r->p, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				   r->fd, 0);
			break;
		case 1:
			got = mmap(r->p, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
				   r->fd, 0);
			break;
		case 2:
			/* Anonymous memory that is filled before it comes to its place. */
			copy = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (copy == MAP_FAILED)
				break;
			gpu_pattern(copy, SIZE, 56);
			got = mremap(copy, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, r->p);
			break;
		}
		if (got != r->p)
			r->failed = true;
		r->count++;
		usleep(500);
	}
	return NULL;
}

/* Behaviour 56: anonymous memory by a file, shared and private, with the same bytes, mid-flight */
TEST_F(mapfixed, anon_by_file_busy)
{
	struct gpu *gpu = &self->gpu;
	struct replacer r = { .fd = gpu_tmpfile(SIZE) };
	uint64_t want = gpu_crc_pattern(SIZE, 56, 0);
	uint8_t *fixed = gpu_map_anon(SIZE), *buf = malloc(SIZE);
	struct drm_fakegpu_cmd cmds[32];
	int64_t begin = gpu_now();
	pthread_t thread;
	unsigned int i, round;

	ASSERT_NE(NULL, buf);
	gpu_pattern(buf, SIZE, 56);
	ASSERT_EQ((ssize_t)SIZE, pwrite(r.fd, buf, SIZE, 0));
	memcpy(fixed, buf, SIZE);
	r.p = gpu_map_anon(SIZE);
	memcpy(r.p, buf, SIZE);
	EXPECT_DEVICE_PATTERN(gpu, r.p, SIZE, 56);
	ASSERT_EQ(0, pthread_create(&thread, NULL, changer, &r));
	for (round = 0; gpu_more(round, 10, begin) || (r.count < 60 && round < 1000); round++) {
		for (i = 0; i < 32; i += 2) {
			gpu->res[8 + i] = 0;
			gpu->res[9 + i] = 0;
			cmds[i] = fakegpu_checksum(r.p, SIZE, &gpu->res[8 + i]);
			cmds[i + 1] = fakegpu_compare(r.p, fixed, SIZE, &gpu->res[9 + i]);
		}
		EXPECT_EQ(0, gpu_run(gpu, cmds, 32))
			TH_LOG("%s", gpu_why());
		for (i = 0; i < 32; i += 2) {
			ASSERT_EQ(want, gpu->res[8 + i]);
			ASSERT_EQ(SIZE, gpu->res[9 + i]);
		}
	}
	r.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(r.failed);
	EXPECT_LE(60UL, r.count);
	TH_LOG("%lu replacements during %u jobs", r.count, round);
	free(buf);
	close(r.fd);
}

/* Replace, unmap, split and merge all around the page at @p + @at. */
static void disturb(struct __test_metadata *_metadata, uint8_t *p, size_t size, size_t at)
{
	const size_t tail = at + GPU_PAGE;

	replace_anon(_metadata, p, at);
	replace_anon(_metadata, p + tail, size - tail);
	ASSERT_EQ(0, mprotect(p + at - GPU_PAGE, GPU_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + tail, GPU_PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(p, at, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(p + tail, size - tail, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, munmap(p + tail, GPU_PAGE));
	replace_anon(_metadata, p + tail, GPU_PAGE);
}

static void check_neighbours(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			     size_t size, size_t at, bool exact)
{
	struct ring *ring = (struct ring *)(p + at + 64);
	struct drm_fakegpu_cmd job = endless(ring);
	struct drm_fakegpu_queue_get_state state;
	uint32_t queue = gpu_queue(gpu);
	uint64_t seqno;
	unsigned int i;

	job.result = fakegpu_va(gpu->res + 8);
	gpu->res[8] = 0;
	gpu->res[9] = 0;
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, &job, 1, &seqno));
	EXPECT_EVENTUALLY(true, queue_busy(gpu, queue));
	for (i = 0; i < 30; i++)
		disturb(_metadata, p, size, at);
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, queue, seqno, 0));
	*(struct ring *volatile *)&ring->next = NULL;
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS));
	EXPECT_NE(0UL, gpu->res[8]);
	EXPECT_EQ(gpu->res[8], gpu->res[9]);
	ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
	if (exact)
		EXPECT_EQ(1ULL, state.faults);
	ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	EXPECT_MAPPED(gpu, p + at, GPU_PAGE);
}

/* Behaviour 58: all but the page that a job uses is replaced, split, merged: one fault in all */
TEST_F(mapfixed, neighbours_busy)
{
	uint8_t *p = gpu_map_anon(SIZE);

	check_neighbours(_metadata, &self->gpu, p, SIZE, 20 * GPU_PAGE, true);
}

/* Behaviour 58: the same in a range of whole slots, where splits send events for the slot */
TEST_F(mapfixed, neighbours_slot_busy)
{
	uint8_t *p = gpu_map_anon(3 * GPU_SZ_2M);

	check_neighbours(_metadata, &self->gpu, p, 3 * GPU_SZ_2M, GPU_SZ_2M + 20 * GPU_PAGE,
			 false);
}

/* Behaviour 55: a huge page by small ones: the large leaf goes as a whole */
TEST_F(mapfixed, huge_by_anon)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 55);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 55);
	EXPECT_GAUGE(gpu, leaves_large, 1);
	EXPECT_DELTA(gpu, pages_cleared, GPU_SZ_2M / GPU_PAGE,
		     replace_anon(_metadata, p, GPU_SZ_2M));
	EXPECT_GAUGE(gpu, leaves_large, 0);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_RUN(gpu, fakegpu_fill(p + 7, 8, 0x0101010101010101));
	EXPECT_BYTES(p, 7, 0);
	EXPECT_BYTES(p + 7, 8, 1);
	EXPECT_BYTES(p + 15, GPU_SZ_2M - 15, 0);
}

TEST_HARNESS_MAIN
