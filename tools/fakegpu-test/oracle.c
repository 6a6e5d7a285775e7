// SPDX-License-Identifier: GPL-2.0
/*
 * The oracle itself: `verify` must see an entry that a clear has left behind.
 * The module parameter broken_clear leaves the last page of each clear. The
 * device only reads here: the page behind such an entry belongs to others.
 */
#include "fakegpu_test_race.h"

#define BROKEN	"/sys/module/fakegpu/parameters/broken_clear"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

FIXTURE(oracle) {
	struct gpu gpu;
	bool writable;
};

GPU_VARIANTS(oracle, 0);

static bool set_broken(bool on)
{
	int fd = open(BROKEN, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1;

	if (fd >= 0)
		close(fd);
	return done;
}

/* Also where a test of before was killed. */
FIXTURE_SETUP(oracle)
{
	INJECT_SETUP(&self->gpu, &variant->conf);
	self->writable = set_broken(false);
	if (!self->writable)
		SKIP(return, "cannot write " BROKEN ": run as root");
}

FIXTURE_TEARDOWN(oracle)
{
	EXPECT_EQ(self->writable, set_broken(false));
	INJECT_TEARDOWN(&self->gpu);
}

enum how { HOW_MUNMAP, HOW_DONTNEED, HOW_MPROTECT };

static int take(uint8_t *p, size_t size, enum how how)
{
	switch (how) {
	case HOW_MUNMAP:
		return munmap(p, size);
	case HOW_DONTNEED:
		return madvise(p, size, MADV_DONTNEED);
	default:
		return mprotect(p, size, PROT_NONE);
	}
}

/* The same steps with the clear as it is, and broken: only then there is a mismatch. */
static void caught(struct __test_metadata *_metadata, struct gpu *gpu, enum how how)
{
	const size_t at = 8 * GPU_PAGE, size = 8 * GPU_PAGE;
	struct gpu_conf conf = gpu->conf;
	bool broken;
	int i, ret;

	for (i = 0; i < 2; i++) {
		struct drm_fakegpu_cmd cmd;
		struct gpu own;
		uint8_t *p;

		broken = i;
		ASSERT_EQ(0, gpu_open_cold(&own, &conf, 0));
		p = gpu_map_anon(SIZE);
		gpu_pattern(p, SIZE, 1);
		cmd = fakegpu_touch(p, SIZE, GPU_PAGE, 0);
		EXPECT_EQ(0, gpu_run(&own, &cmd, 1));
		EXPECT_MAPPED(&own, p, SIZE);

		EXPECT_TRUE(set_broken(broken));
		ret = take(p + at, size, how);
		EXPECT_TRUE(set_broken(false));
		EXPECT_EQ(0, ret);
		if (broken) {
			EXPECT_LT(0, gpu_verify(&own));
			EXPECT_NE(NULL, strstr(gpu_why(), "verify: FAILED"))
				TH_LOG("%s", gpu_why());
			EXPECT_UNMAPPED(&own, p + at, size - GPU_PAGE);
			EXPECT_MAPPED(&own, p + at + size - GPU_PAGE, GPU_PAGE);
		} else {
			EXPECT_VERIFY(&own);
			EXPECT_NE(NULL, strstr(gpu_why(), "verify: ok"));
			EXPECT_UNMAPPED(&own, p + at, size);
		}
		EXPECT_EQ(0, fakegpu_queue_destroy(own.fd, own.queue));
		EXPECT_EQ(0, fakegpu_vm_destroy(own.fd, own.vm));
		own.queue = 0;
		own.vm = 0;
		EXPECT_VERIFY(&own);
		EXPECT_EQ(0, gpu_close(&own))
			TH_LOG("%s", gpu_why());
	}
}

/* Behaviours 31, 123: verify catches what munmap left behind */
TEST_F(oracle, catches_munmap)
{
	caught(_metadata, &self->gpu, HOW_MUNMAP);
}

/* Behaviours 70, 123: verify catches what MADV_DONTNEED left behind */
TEST_F(oracle, catches_dontneed)
{
	caught(_metadata, &self->gpu, HOW_DONTNEED);
}

/* Behaviours 19, 123: verify catches what mprotect(PROT_NONE) left behind */
TEST_F(oracle, catches_mprotect)
{
	caught(_metadata, &self->gpu, HOW_MPROTECT);
}

struct asked {
	struct gpu *gpu;
	volatile bool ready;
	volatile bool go;
};

static int asked_task(void *arg)
{
	struct asked *asked = arg;
	void *volatile first;

	/* malloc() maps memory for a new thread, and needs mmap_lock for that. */
	first = malloc(1);
	free(first);
	asked->ready = true;
	while (!asked->go)
		usleep(1000);
	return gpu_verify(asked->gpu);
}

/* Behaviour 123: what is mapped while verify is at work is no mismatch */
TEST_F(oracle, mapped_meanwhile)
{
	struct gpu *gpu = &self->gpu;
	struct asked asked = { .gpu = gpu, .go = true };
	uint8_t *p = gpu_map_anon(SIZE);
	struct task task;

	p[0] = 1;
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, 0));
	inject_range(gpu, p, SIZE);
	INJECT_HOLD(gpu, "hold_verify", task_start(&task, asked_task, &asked));
	EXPECT_RUN(gpu, fakegpu_touch(p + 4 * GPU_PAGE, 1, 1, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_MAPPED(gpu, p + 4 * GPU_PAGE, GPU_PAGE);
	INJECT_RELEASE(gpu, "hold_verify");
	EXPECT_EQ(0, task_join(&task))
		TH_LOG("%s", gpu_why());
	EXPECT_VERIFY(gpu);
}

/* Behaviours 31, 123: munmap() takes the VMA away first, then invalidates: no mismatch either */
TEST_F(oracle, unmapped_meanwhile)
{
	struct gpu *gpu = &self->gpu;
	struct asked asked = { .gpu = gpu };
	uint8_t *p = gpu_map_anon(SIZE);
	struct munmap_range all = { .p = p, .size = SIZE };
	struct task unmapper, verifier;

	gpu_pattern(p, SIZE, 1);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	inject_range(gpu, p, SIZE);
	/* Not later: munmap() has mmap_lock then. */
	task_start(&verifier, asked_task, &asked);
	EXPECT_EVENTUALLY(true, asked.ready);
	INJECT_HOLD(gpu, "hold_invalidate", task_start(&unmapper, munmap_task, &all));
	INJECT_HOLD(gpu, "hold_verify", asked.go = true);
	/* It has seen that nothing is mapped, where there still are entries. */
	INJECT_RELEASE(gpu, "hold_verify");
	usleep(100000);
	INJECT_RELEASE(gpu, "hold_invalidate");
	EXPECT_EQ(0, task_join(&unmapper));
	EXPECT_EQ(0, task_join(&verifier))
		TH_LOG("%s", gpu_why());
	EXPECT_UNMAPPED(gpu, p, SIZE);
}

TEST_HARNESS_MAIN
