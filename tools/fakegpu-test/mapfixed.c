// SPDX-License-Identifier: GPL-2.0
/*
 * mmap(MAP_FIXED) over memory that the device has mapped, before, between and
 * during commands.
 */
#include <pthread.h>

#include "fakegpu_test.h"

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
	EXPECT_EQ(intervals + (gpu->conf.scheme != DRM_FAKEGPU_SCHEME_MM), now);
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
	pthread_t thread;
	unsigned int i, round;

	r.p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, 0);
	gpu_pattern(r.p, SIZE, 56);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replacer, &r));
	for (round = 0; round < 10 || (r.count < 50 && round < 1000); round++) {
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
	unsigned int i, round;
	pthread_t thread;
	size_t at;

	r.p = gpu_map_anon(SIZE);
	ASSERT_EQ(0, pthread_create(&thread, NULL, replacer, &r));
	for (round = 0; round < 10 || (r.count < 50 && round < 1000); round++) {
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
