// SPDX-License-Identifier: GPL-2.0
/*
 * Area perm: the device has the rights of the VMA, and mprotect() changes them
 * under it.
 */
#include <pthread.h>

#include "fakegpu_test.h"

GPU_FIXTURE(perm);

/* Behaviour 16: each kind of write to memory that was never writable for the device */
TEST_F(perm, write_readonly_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *ro = gpu_map_anon(GPU_SZ_64K), *p = gpu_map_anon(GPU_PAGE);
	uint64_t *word = (uint64_t *)(ro + 128);

	gpu_pattern(ro, GPU_SZ_64K, 1);
	gpu_pattern(p, GPU_PAGE, 2);
	ASSERT_EQ(0, mprotect(ro, GPU_SZ_64K, PROT_READ));
#define BAD(cmd, addr, kind) do { \
	EXPECT_DELTA(gpu, faults_fatal, 1, EXPECT_FATAL(gpu, cmd, EPERM, addr, kind)); \
	EXPECT_PATTERN(ro, GPU_SZ_64K, 1); \
} while (0)
	BAD(fakegpu_touch(ro + 5, 10, 1, DRM_FAKEGPU_CMD_WRITE), ro + 5, WRITE);
	BAD(fakegpu_fill(ro + 7, GPU_PAGE, 1), ro + 7, WRITE);
	BAD(fakegpu_copy(ro + 1, p, 10), ro + 1, WRITE);
	BAD(fakegpu_checksum(p, 10, word), word, WRITE);
	BAD(fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), word, ATOMIC);
	/* Also a CAS that would not store needs write permission. */
	BAD(fakegpu_atomic(word, 4, DRM_FAKEGPU_ATOMIC_CAS, 1, ~word[0], NULL), word, ATOMIC);
	BAD(fakegpu_sem_signal(word, 0, 0), word, WRITE);
	BAD(fakegpu_sem_signal(word, 1, DRM_FAKEGPU_SEM_ADD), word, ATOMIC);
	BAD(fakegpu_timestamp(ro + 11), ro + 11, WRITE);
#undef BAD
	EXPECT_DEVICE_PATTERN(gpu, ro, GPU_SZ_64K, 1);
	EXPECT_ENTRIES(gpu, ro, GPU_SZ_64K, 0, gpu->info.page_shift, SYSTEM);
}

/* Behaviour 16: the same once the device reads the page, and again with rights given */
TEST_F(perm, write_readonly_warm)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *ro = gpu_map_anon(GPU_SZ_64K);

	gpu_pattern(ro, GPU_SZ_64K, 1);
	ASSERT_EQ(0, mprotect(ro, GPU_SZ_64K, PROT_READ));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, ro, GPU_SZ_64K, 1));
	EXPECT_FAULTS(gpu, 1, EXPECT_FATAL(gpu, fakegpu_fill(ro + 9, 3, 0), EPERM, ro + 9, WRITE));
	/* The refusal took no read permission away. */
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, ro, GPU_SZ_64K, 1));

	ASSERT_EQ(0, mprotect(ro, GPU_SZ_64K, PROT_READ | PROT_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(ro, GPU_SZ_64K, ~0ULL)));
	EXPECT_BYTES(ro, GPU_SZ_64K, 0xff);
}

/* Behaviour 16: a write that begins in writable memory and runs into a read-only page */
TEST_F(perm, write_readonly_straddle)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(3 * GPU_PAGE);

	memset(p, 0x33, 3 * GPU_PAGE);
	ASSERT_EQ(0, mprotect(p + GPU_PAGE, GPU_PAGE, PROT_READ));
	EXPECT_FATAL(gpu, fakegpu_fill(p + 1, 2 * GPU_PAGE + 5, ~0ULL), EPERM, p + GPU_PAGE,
		     WRITE);
	EXPECT_EQ(GPU_PAGE - 1, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_EQ(0x33, p[0]);
	EXPECT_BYTES(p + 1, GPU_PAGE - 1, 0xff);
	EXPECT_BYTES(p + GPU_PAGE, 2 * GPU_PAGE, 0x33);
}

/* Behaviour 16: files: mapped read-only, shared and private */
TEST_F(perm, write_readonly_file)
{
	struct gpu *gpu = &self->gpu;
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int fd = gpu_memfd(GPU_SZ_64K);
	uint8_t buf[GPU_SZ_64K];
	uint8_t *p;
	size_t i;

	gpu_pattern(buf, sizeof(buf), 3);
	ASSERT_EQ((ssize_t)sizeof(buf), pwrite(fd, buf, sizeof(buf), 0));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p = gpu_map(sizeof(buf), PROT_READ, flags[i], fd, 0);
		EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EPERM, p, WRITE);
		EXPECT_DEVICE_PATTERN(gpu, p, sizeof(buf), 3);
		EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EPERM, p, WRITE);
		EXPECT_PATTERN(p, sizeof(buf), 3);
	}
	close(fd);
}

/* Behaviour 17: PROT_NONE cannot be read, and nothing is written elsewhere */
TEST_F(perm, read_none_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *none = gpu_map_anon(2 * GPU_PAGE), *dst = gpu_map_anon(GPU_PAGE);

	gpu_pattern(none, 2 * GPU_PAGE, 1);
	gpu_pattern(dst, GPU_PAGE, 2);
	ASSERT_EQ(0, mprotect(none, 2 * GPU_PAGE, PROT_NONE));
	EXPECT_FATAL(gpu, fakegpu_copy(dst, none + 100, 1000), EFAULT, none + 100, READ);
	EXPECT_EQ(0ULL, gpu->fatal.queue.cmd_done);
	EXPECT_PATTERN(dst, GPU_PAGE, 2);
	gpu->res[1] = 77;
	EXPECT_FATAL(gpu, fakegpu_checksum(none, 10, gpu->res + 1), EFAULT, none, READ);
	EXPECT_EQ(77UL, gpu->res[1]);
	EXPECT_FATAL(gpu, fakegpu_fill(none + 1, 10, 1), EFAULT, none + 1, WRITE);
	EXPECT_FATAL(gpu, fakegpu_atomic(none, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EFAULT,
		     none, ATOMIC);
	EXPECT_UNMAPPED(gpu, none, 2 * GPU_PAGE);
	ASSERT_EQ(0, mprotect(none, 2 * GPU_PAGE, PROT_READ));
	EXPECT_PATTERN(none, 2 * GPU_PAGE, 1);
}

/* Behaviour 17: a reservation that never had any rights, and one page of it given */
TEST_F(perm, read_none_reservation)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map(GPU_SZ_2M, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0);

	EXPECT_FATAL(gpu, fakegpu_touch(p + GPU_PAGE, 1, 1, 0), EFAULT, p + GPU_PAGE, READ);
	ASSERT_EQ(0, mprotect(p + GPU_PAGE, GPU_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, 2 * GPU_PAGE, ~0ULL), EFAULT,
		     p + 2 * GPU_PAGE, WRITE);
	EXPECT_EQ(GPU_PAGE, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(p + GPU_PAGE, GPU_PAGE, 0xff);
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 2 * GPU_PAGE, GPU_SZ_2M - 2 * GPU_PAGE);
}

/* Behaviour 22: without read permission nothing works, whatever other rights there are */
TEST_F(perm, read_no_vm_read)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_PAGE);

	memset(p, 1, 2 * GPU_PAGE);
	ASSERT_EQ(0, mprotect(p, GPU_PAGE, PROT_WRITE));
	ASSERT_EQ(0, mprotect(p + GPU_PAGE, GPU_PAGE, PROT_EXEC));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 1, 1), EFAULT, p, WRITE);
	EXPECT_FATAL(gpu, fakegpu_touch(p + GPU_PAGE, 1, 1, 0), EFAULT, p + GPU_PAGE, READ);
	EXPECT_UNMAPPED(gpu, p, 2 * GPU_PAGE);
}

/* Behaviour 18: rights are taken while the device can write */
TEST_F(perm, mprotect_ro_after_write_small)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_64K, ~0ULL)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_64K, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 16, ASSERT_EQ(0, mprotect(p, GPU_SZ_64K, PROT_READ)));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 1, 0), EPERM, p, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_64K, 0xff));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_64K, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 1, 0), EPERM, p, WRITE);
	EXPECT_BYTES(p, GPU_SZ_64K, 0xff);
	/* And given back. */
	ASSERT_EQ(0, mprotect(p, GPU_SZ_64K, PROT_READ | PROT_WRITE));
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_64K, 0));
	EXPECT_BYTES(p, GPU_SZ_64K, 0);
}

/* Behaviour 18: the same with a 2 MiB leaf */
TEST_F(perm, mprotect_ro_after_write_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, ~0ULL)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 512, ASSERT_EQ(0, mprotect(p, GPU_SZ_2M, PROT_READ)));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 5, 1, 0), EPERM, p + 5, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0xff));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, gpu->info.leaf_shift, SYSTEM);
}

/* Behaviour 18: shared memory: the other mapping of the same pages keeps its rights */
TEST_F(perm, mprotect_ro_after_write_shared)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(GPU_SZ_64K);
	uint8_t *a = gpu_map(GPU_SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *b = gpu_map(GPU_SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	EXPECT_RUN(gpu, fakegpu_fill(a, GPU_SZ_64K, ~0ULL), fakegpu_fill(b, 1, 1));
	ASSERT_EQ(0, mprotect(a, GPU_SZ_64K, PROT_READ));
	EXPECT_UNMAPPED(gpu, a, GPU_SZ_64K);
	EXPECT_MAPPED(gpu, b, GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_fill(a, 1, 0), EPERM, a, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(b, 1, 2)));
	EXPECT_DEVICE_BYTES(gpu, a, 1, 2);
	EXPECT_DEVICE_BYTES(gpu, a + 1, GPU_SZ_64K - 1, 0xff);
	close(fd);
}

/* Behaviour 19: all rights go and come back: the data, also the device's, is intact */
TEST_F(perm, mprotect_none_and_back)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_64K);

	gpu_pattern(p, GPU_SZ_64K, 4);
	EXPECT_RUN(gpu, fakegpu_fill(p + 100, 50, ~0ULL));
	ASSERT_EQ(0, mprotect(p, GPU_SZ_64K, PROT_NONE));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_64K);
	EXPECT_FATAL(gpu, fakegpu_checksum(p, 10, gpu->res), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 10, 0), EFAULT, p, WRITE);
	ASSERT_EQ(0, mprotect(p, GPU_SZ_64K, PROT_READ | PROT_WRITE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, 100, 4));
	EXPECT_DEVICE_BYTES(gpu, p + 100, 50, 0xff);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 150, GPU_SZ_64K - 150, 4, 150);
	EXPECT_PATTERN(p, 100, 4);
	EXPECT_BYTES(p + 100, 50, 0xff);
	EXPECT_PATTERN_AT(p + 150, GPU_SZ_64K - 150, 4, 150);
}

/* Behaviour 19: the same with a 2 MiB leaf */
TEST_F(perm, mprotect_none_and_back_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 4);
	EXPECT_RUN(gpu, fakegpu_fill(p, 5, ~0ULL));
	ASSERT_EQ(0, mprotect(p, GPU_SZ_2M, PROT_NONE));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_FATAL(gpu, fakegpu_checksum(p + 77777, 10, gpu->res), EFAULT, p + 77777, READ);
	ASSERT_EQ(0, mprotect(p, GPU_SZ_2M, PROT_READ | PROT_WRITE));
	EXPECT_DEVICE_BYTES(gpu, p, 5, 0xff);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 5, GPU_SZ_2M - 5, 4, 5);
}

/* Behaviour 20: the middle of a range: the neighbours keep rights and mirror entries */
TEST_F(perm, mprotect_middle_small)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 16 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size), *mid = p + 5 * GPU_PAGE, *tail = p + 9 * GPU_PAGE;

	gpu_pattern(p, size, 6);
	EXPECT_RUN(gpu, fakegpu_touch(p, size, 1024, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 4, ASSERT_EQ(0, mprotect(mid, tail - mid, PROT_READ)));
	EXPECT_ENTRIES(gpu, p, mid - p, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, mid, tail - mid);
	EXPECT_ENTRIES(gpu, tail, p + size - tail, GPU_WD, gpu->info.page_shift, SYSTEM);

	/* No new fault right up to both edges. */
	EXPECT_FAULTS(gpu, 0,
		EXPECT_RUN(gpu, fakegpu_fill(mid - 8, 8, ~0ULL), fakegpu_fill(tail, 8, ~0ULL)));
	EXPECT_FATAL(gpu, fakegpu_fill(mid, 1, 0), EPERM, mid, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(tail - 1, 1, 0), EPERM, tail - 1, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(p, size, 0), EPERM, mid, WRITE);
	EXPECT_EQ((uint64_t)(mid - p), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(p, mid - p, 0);
	EXPECT_PATTERN_AT(mid, tail - mid, 6, mid - p);
	EXPECT_BYTES(tail, 8, 0xff);
	EXPECT_PATTERN_AT(tail + 8, p + size - tail - 8, 6, tail + 8 - p);
	EXPECT_FAULTS(gpu, 1,
		EXPECT_DEVICE_PATTERN_AT(gpu, mid, tail - mid, 6, mid - p));
}

/*
 * Behaviour 20: the first and the last pages of a range, and the border between two windows. No
 * window lies in the VMA as a whole: where one does, the kernel sends an event for all of it
 * when it splits the VMA, whether there is a 2 MiB page or not.
 */
TEST_F(perm, mprotect_edges_small)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_SZ_2M), *border = p + GPU_SZ_2M;
	uint8_t *start = border - 16 * GPU_PAGE, *end = border + 16 * GPU_PAGE;

	ASSERT_EQ(0, munmap(p, start - p));
	ASSERT_EQ(0, munmap(end, p + 2 * GPU_SZ_2M - end));
	EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_fill(start, end - start, ~0ULL)));
	EXPECT_DELTA(gpu, pages_cleared, 4,
		ASSERT_EQ(0, mprotect(start, GPU_PAGE, PROT_NONE));
		ASSERT_EQ(0, mprotect(end - GPU_PAGE, GPU_PAGE, PROT_READ));
		ASSERT_EQ(0, mprotect(border - GPU_PAGE, 2 * GPU_PAGE, PROT_READ)));
	EXPECT_UNMAPPED(gpu, start, GPU_PAGE);
	EXPECT_MAPPED(gpu, start + GPU_PAGE, 14 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, border - GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, border + GPU_PAGE, 14 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, end - GPU_PAGE, GPU_PAGE);
	EXPECT_FAULTS(gpu, 0,
		EXPECT_RUN(gpu, fakegpu_fill(start + GPU_PAGE, 14 * GPU_PAGE, 0),
			   fakegpu_fill(border + GPU_PAGE, 14 * GPU_PAGE, 0)));
	EXPECT_FATAL(gpu, fakegpu_touch(start, 1, 1, 0), EFAULT, start, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(end - GPU_PAGE - 1, 2, 0), EPERM, end - GPU_PAGE, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(border - 1, 1, 0), EPERM, border - 1, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(border, 1, 0), EPERM, border, WRITE);
	EXPECT_DEVICE_BYTES(gpu, end - GPU_PAGE, GPU_PAGE, 0xff);
	EXPECT_DEVICE_BYTES(gpu, border - GPU_PAGE, 2 * GPU_PAGE, 0xff);
	EXPECT_BYTES(border + GPU_PAGE, 14 * GPU_PAGE, 0);
}

/* Behaviour 20: one page of a range that holds whole windows: rights and data are right */
TEST_F(perm, mprotect_page_of_window)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 3 * GPU_SZ_2M;
	uint8_t *p = gpu_map_anon(size), *mid = p + GPU_SZ_2M + 7 * GPU_PAGE;

	gpu_pattern(p, size, 2);
	EXPECT_FAULTS(gpu, 3, EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE,
							    DRM_FAKEGPU_CMD_WRITE)));
	ASSERT_EQ(0, mprotect(mid, GPU_PAGE, PROT_READ));
	/* The windows beside it have not been touched. */
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 2 * GPU_SZ_2M, GPU_SZ_2M, GPU_WD, gpu->info.page_shift, SYSTEM);
	/* The page's own window was taken whole, and is back, with the rights of now. */
	EXPECT_MAPPED(gpu, p, size);
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, mid + GPU_PAGE, GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(mid - 8, 16, 0), EPERM, mid, WRITE);
	EXPECT_RUN(gpu, fakegpu_fill(mid + GPU_PAGE, 8, 0));
	EXPECT_DEVICE_PATTERN(gpu, p, mid - 8 - p, 2);
	EXPECT_DEVICE_BYTES(gpu, mid - 8, 8, 0);
	EXPECT_DEVICE_PATTERN_AT(gpu, mid, GPU_PAGE, 2, mid - p);
	EXPECT_DEVICE_BYTES(gpu, mid + GPU_PAGE, 8, 0);
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
}

/*
 * Behaviours 20, 78: the middle of a 2 MiB page. The kernel splits the page with an event for
 * all of it; the driver brings back what is there, with the rights of now.
 */
TEST_F(perm, mprotect_middle_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *mid;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	mid = p + 100 * GPU_PAGE;
	gpu_pattern(p, GPU_SZ_2M, 6);
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	ASSERT_EQ(0, mprotect(mid, GPU_PAGE, PROT_READ));
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(mid, 1, 0), EPERM, mid, WRITE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_RUN(gpu, fakegpu_fill(mid - 4, 4, ~0ULL),
				 fakegpu_fill(mid + GPU_PAGE, 4, ~0ULL)));
	EXPECT_DEVICE_PATTERN(gpu, p, mid - 4 - p, 6);
	EXPECT_DEVICE_BYTES(gpu, mid - 4, 4, 0xff);
	EXPECT_DEVICE_PATTERN_AT(gpu, mid, GPU_PAGE, 6, mid - p);
	EXPECT_DEVICE_BYTES(gpu, mid + GPU_PAGE, 4, 0xff);
	EXPECT_DEVICE_PATTERN_AT(gpu, mid + GPU_PAGE + 4, p + GPU_SZ_2M - mid - GPU_PAGE - 4, 6,
				 mid + GPU_PAGE + 4 - p);
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_GAUGE(gpu, leaves_large, 0);
	EXPECT_GAUGE(gpu, leaves_dropped, 0);
}

/* Wait until the queue's only job is in command @index or later, or over. */
static void reach(struct gpu *gpu, uint32_t queue, unsigned int index)
{
	struct drm_fakegpu_queue_get_state state;
	int64_t end = gpu_now() + GPU_WAIT_NS;

	do {
		if (fakegpu_queue_state(gpu->fd, queue, &state) || gpu_now() > end)
			gpu_die("the job makes no progress: command %u", state.cmd_index);
	} while (state.cmd_index < index && !state.error && state.completed < state.submitted);
}

#define ROUNDS	40U
#define CMDS	400U

/*
 * Behaviour 21: rights taken and given while the device writes. No write comes after mprotect()
 * has returned; what the device reports as done is done, and what not isn't.
 */
TEST_F(perm, mprotect_toggle_atomic)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *word = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmds[CMDS];
	const int64_t end = gpu_now() + GPU_WAIT_NS;
	uint64_t seed = 21, rand = seed, sum;
	unsigned int round, i, stopped = 0;
	int ret;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (i = 0; i < CMDS; i++)
		cmds[i] = fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	for (round = 0; round < ROUNDS || (!stopped && gpu_now() < end); round++) {
		uint32_t queue = gpu_queue(gpu);

		*word = 0;
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, CMDS, NULL));
		reach(gpu, queue, 1 + gpu_rand(&rand) % 50);
		ASSERT_EQ(0, mprotect((void *)word, GPU_PAGE, PROT_READ));
		sum = *word;
		/* Time for the device to do what it must not. */
		EXPECT_WORKS(gpu);
		ASSERT_EQ(sum, *word);
		ret = fakegpu_wait(gpu->fd, queue, 1, GPU_WAIT_NS);
		ASSERT_EQ(sum, *word);
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		if (ret) {
			ASSERT_EQ(-EIO, ret);
			ASSERT_EQ((uint32_t)EPERM, state.error);
			ASSERT_EQ(fakegpu_va(word), (uint64_t)state.fault_addr);
			ASSERT_EQ(sum, (uint64_t)state.cmd_index);
			stopped++;
		} else {
			ASSERT_EQ((uint64_t)CMDS, sum);
		}
		ASSERT_EQ(0, mprotect((void *)word, GPU_PAGE, PROT_READ | PROT_WRITE));
		/* What was refused isn't made up for. */
		EXPECT_WORKS(gpu);
		ASSERT_EQ(sum, *word);
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	TH_LOG("%u of %u jobs were stopped while running", stopped, round);
	EXPECT_LT(0, stopped);
}

/* Behaviour 21: the same with writes of many pages: exact up to the fault's address */
TEST_F(perm, mprotect_toggle_fill)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 32 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size);
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmds[CMDS];
	const int64_t end = gpu_now() + GPU_WAIT_NS;
	uint64_t seed = 22, rand = seed;
	unsigned int round, i, stopped = 0;
	uint32_t crc;
	size_t at;
	int ret;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (i = 0; i < CMDS; i++)
		cmds[i] = fakegpu_fill(p, size, i + 1);
	for (round = 0; round < ROUNDS / 2 || (!stopped && gpu_now() < end); round++) {
		uint32_t queue = gpu_queue(gpu);

		memset(p, 0, size);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, CMDS, NULL));
		reach(gpu, queue, 1 + gpu_rand(&rand) % 20);
		ASSERT_EQ(0, mprotect(p, size, PROT_READ));
		crc = gpu_crc(p, size);
		EXPECT_WORKS(gpu);
		ret = fakegpu_wait(gpu->fd, queue, 1, GPU_WAIT_NS);
		ASSERT_EQ(crc, gpu_crc(p, size));
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		if (ret) {
			ASSERT_EQ(-EIO, ret);
			ASSERT_EQ((uint32_t)EPERM, state.error);
			ASSERT_EQ(fakegpu_va(p) + state.cmd_done, (uint64_t)state.fault_addr);
			stopped++;
		}
		for (at = 0; at < size; at += 8) {
			/* The FILL that was stopped wrote all below the fault. */
			uint64_t want = !ret ? CMDS : at < state.cmd_done ? state.cmd_index + 1 :
								    state.cmd_index;

			ASSERT_EQ(want, *(uint64_t *)(p + at))
				TH_LOG("round %u, offset %zu", round, at);
		}
		ASSERT_EQ(0, mprotect(p, size, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	TH_LOG("%u of %u jobs were stopped while running", stopped, round);
	EXPECT_LT(0, stopped);
}

struct toggle {
	void *p;
	size_t size;
	volatile bool stop;
	volatile unsigned int count;
};

static void *toggle(void *arg)
{
	struct toggle *t = arg;

	while (!t->stop) {
		if (mprotect(t->p, t->size, PROT_READ) ||
		    mprotect(t->p, t->size, PROT_READ | PROT_WRITE))
			gpu_die("mprotect: %s", strerror(errno));
		t->count++;
	}
	return NULL;
}

/* Behaviour 21: in a loop of its own: each command succeeds or has EPERM, and says which */
TEST_F(perm, mprotect_toggle_loop)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *word = gpu_map_anon(GPU_PAGE);
	struct toggle t = { .p = (void *)word, .size = GPU_PAGE };
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmds[50];
	uint64_t done = 0;
	unsigned int round, i, stopped = 0;
	pthread_t thread;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		cmds[i] = fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	*word = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggle, &t));
	EXPECT_EVENTUALLY(true, t.count > 2);
	for (round = 0; round < 100; round++) {
		uint32_t queue = gpu_queue(gpu);

		ret = gpu_run_on(gpu, queue, cmds, ARRAY_SIZE(cmds));
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		if (ret) {
			EXPECT_EQ(-EIO, ret);
			EXPECT_EQ((uint32_t)EPERM, state.error);
			stopped++;
		}
		done += ret ? state.cmd_index : ARRAY_SIZE(cmds);
		ASSERT_EQ(done, *word)
			TH_LOG("round %u: %s", round, gpu_why());
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	t.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%u of %u jobs were stopped, %u toggles", stopped, round, t.count);
	EXPECT_DEVICE_CRC(gpu, word, 8, gpu_crc(&done, 8));
}

/* Behaviours 16, 116: a prefetch meets the same rights */
TEST_F(perm, prefetch_rights)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 6 * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size);
	uint64_t done;

	memset(p, 1, size);
	ASSERT_EQ(0, mprotect(p + 2 * GPU_PAGE, 2 * GPU_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(p + 4 * GPU_PAGE, 2 * GPU_PAGE, PROT_NONE));
	done = ~0ULL;
	EXPECT_EQ(-EPERM, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, size,
					   &done));
	EXPECT_EQ(2 * GPU_PAGE, done);
	done = ~0ULL;
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, size, &done));
	EXPECT_EQ(4 * GPU_PAGE, done);
	done = ~0ULL;
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p + 1, 4 * GPU_PAGE - 1, &done));
	EXPECT_EQ(4 * GPU_PAGE - 1, done);
	EXPECT_ENTRIES(gpu, p, 2 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + 4 * GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

TEST_HARNESS_MAIN
