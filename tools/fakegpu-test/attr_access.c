// SPDX-License-Identifier: GPL-2.0
/*
 * Area attr_access: what the device may do where VM_ADVISE has set attributes, also
 * while it is at work.
 */
#include "fakegpu_test_attr.h"

#include <pthread.h>

#define PAGES	16U
#define SIZE	(PAGES * GPU_PAGE)

#define N	DRM_FAKEGPU_ENTRY_NOATOMIC

GPU_FIXTURE(attr_access);

/* Behaviour 24: a device-side read-only range over writable memory: each kind of write */
TEST_F(attr_access, read_only_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *other = gpu_map_anon(GPU_PAGE);
	uint64_t *word = (uint64_t *)(p + 128);

	gpu_pattern(p, SIZE, 1);
	gpu_pattern(other, GPU_PAGE, 2);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
#define BAD(cmd, addr, kind) do { \
	EXPECT_DELTA(gpu, faults_fatal, 1, EXPECT_FATAL(gpu, cmd, EACCES, addr, kind)); \
	EXPECT_PATTERN(p, SIZE, 1); \
} while (0)
	BAD(fakegpu_touch(p + 5, 10, 1, DRM_FAKEGPU_CMD_WRITE), p + 5, WRITE);
	BAD(fakegpu_fill(p + 7, GPU_PAGE, 1), p + 7, WRITE);
	BAD(fakegpu_copy(p + 1, other, 10), p + 1, WRITE);
	BAD(fakegpu_checksum(other, 10, word), word, WRITE);
	BAD(fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), word, ATOMIC);
	BAD(fakegpu_sem_signal(word, 0, 0), word, WRITE);
	BAD(fakegpu_sem_signal(word, 1, DRM_FAKEGPU_SEM_ADD), word, ATOMIC);
	BAD(fakegpu_timestamp(p + 11), p + 11, WRITE);
	/* Not a byte was mapped for any of them. */
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, gpu->info.page_shift, SYSTEM);
	BAD(fakegpu_fill(p + SIZE - 1, 1, 1), p + SIZE - 1, WRITE);
#undef BAD
	/* The CPU may write, and the device sees it. */
	gpu_pattern(p, SIZE, 3);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 3));
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL)));
	EXPECT_BYTES(p, SIZE, 0xff);
}

/* Behaviour 24: a refused access faults nothing in on the CPU's side */
TEST_F(attr_access, refused_allocates_nothing)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * SIZE);
	uint64_t intervals = gpu_state(gpu).intervals, done = ~0ULL;

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + SIZE, SIZE, ACCESS, NONE);
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 1), EACCES, p, WRITE);
	EXPECT_FATAL(gpu, fakegpu_touch(p + SIZE, SIZE, 1, 0), EACCES, p + SIZE, READ);
	EXPECT_EQ(-EACCES, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, SIZE,
					    &done));
	EXPECT_EQ(0UL, done);
	EXPECT_FALSE(gpu_cpu_present(p));
	EXPECT_FALSE(gpu_cpu_present(p + SIZE));
	EXPECT_GAUGE(gpu, intervals, intervals);
	EXPECT_UNMAPPED(gpu, p, 2 * SIZE);
}

/* Behaviours 24, 76: rights are taken from where the device has written */
TEST_F(attr_access, read_only_warm)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *mid = p + 5 * GPU_PAGE, *tail = p + 9 * GPU_PAGE;

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL)));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_ADVISE(gpu, mid, tail - mid, ACCESS, RO);
	EXPECT_ENTRIES(gpu, p, mid - p, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, mid, tail - mid);
	EXPECT_ENTRIES(gpu, tail, p + SIZE - tail, GPU_WD, gpu->info.page_shift, SYSTEM);
	/* No new fault right up to both edges. */
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_RUN(gpu, fakegpu_fill(mid - 8, 8, 0), fakegpu_fill(tail, 8, 0)));
	/* Stops at the edge; all below is done. */
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EACCES, mid, WRITE);
	EXPECT_EQ((uint64_t)(mid - p), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(p, mid - p, 0);
	EXPECT_BYTES(mid, tail - mid, 0xff);
	EXPECT_BYTES(tail + 8, p + SIZE - tail - 8, 0xff);
	EXPECT_FATAL(gpu, fakegpu_fill(tail - 1, 1, 0), EACCES, tail - 1, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, mid, tail - mid, 0xff));
	/* Setting it again, or something that isn't stricter, drops nothing. */
	EXPECT_ADVISE(gpu, mid, tail - mid, ACCESS, RO);
	EXPECT_ADVISE(gpu, p, SIZE, WINDOW, 21);
	EXPECT_MAPPED(gpu, p, SIZE);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_MAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0)));
	EXPECT_BYTES(p, SIZE, 0);
}

/* Behaviours 76, 78: one page of a 2 MiB leaf: the leaf is split, the others stay as they are */
TEST_F(attr_access, read_only_page_of_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *mid;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	mid = p + 100 * GPU_PAGE;
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, ~0ULL));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_DELTA(gpu, leaves_split, 1, EXPECT_ADVISE(gpu, mid, GPU_PAGE, ACCESS, RO));
	EXPECT_GAUGE(gpu, leaves_dropped, 0);
	EXPECT_ENTRIES(gpu, p, mid - p, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, mid, GPU_PAGE);
	EXPECT_ENTRIES(gpu, mid + GPU_PAGE, p + GPU_SZ_2M - mid - GPU_PAGE, GPU_WD,
		       gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(p, GPU_SZ_2M, 0), EACCES, mid, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, mid, GPU_PAGE, 0xff));
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	/* The CPU's huge page is whole: without the attribute so is the leaf. */
	EXPECT_ADVISE(gpu, mid, GPU_PAGE, ACCESS, RW);
	EXPECT_RUN(gpu, fakegpu_fill(mid, 8, 0));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
}

/* Behaviour 76: a whole 2 MiB leaf with less rights */
TEST_F(attr_access, huge_rights)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	memset(p, 1, GPU_SZ_2M);
	EXPECT_ADVISE(gpu, p, GPU_SZ_2M, ACCESS, RO);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 1));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, 0, gpu->info.leaf_shift, SYSTEM);
	EXPECT_ADVISE(gpu, p, GPU_SZ_2M, ACCESS, RW);
	EXPECT_ADVISE(gpu, p, GPU_SZ_2M, ATOMIC, NOATOMIC);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, 0));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD | N, gpu->info.leaf_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_atomic(p + 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EACCES,
		     p + 8, ATOMIC);
	EXPECT_ADVISE(gpu, p, GPU_SZ_2M, ATOMIC, 0);
	EXPECT_RUN(gpu, fakegpu_atomic(p + 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_EQ(1UL, *(uint64_t *)(p + 8));
}

/* Behaviour 76: no access at all, with mirror entries and without; then some again */
TEST_F(attr_access, none)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *dst = gpu_map_anon(GPU_PAGE);

	gpu_pattern(p, SIZE, 1);
	gpu_pattern(dst, GPU_PAGE, 2);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1);
	EXPECT_ADVISE(gpu, p + GPU_PAGE, GPU_PAGE, ACCESS, NONE);
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_MAPPED(gpu, p, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_copy(dst, p + GPU_PAGE + 9, 100), EACCES, p + GPU_PAGE + 9,
		     READ);
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, 1, 0), EACCES, p + GPU_PAGE, READ);
	EXPECT_FATAL(gpu, fakegpu_sem_wait((uint64_t *)(p + GPU_PAGE), 0, 0), EACCES,
		     p + GPU_PAGE, READ);
	EXPECT_PATTERN(dst, GPU_PAGE, 2);
	/* Other windows' reads leave it out. */
	ASSERT_EQ(0, madvise(p, SIZE, MADV_PAGEOUT) && errno != EINVAL ? -1 : 0);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_PAGE, 1, 0),
		   fakegpu_touch(p + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE, 1, 0));
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
	EXPECT_ADVISE(gpu, p + GPU_PAGE, GPU_PAGE, ACCESS, RO);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1);
}

/* Behaviour 76: atomic policy: ATOMIC and SEM_SIGNAL are refused, all else works */
TEST_F(attr_access, atomic_none)
{
	struct gpu *gpu = &self->gpu;
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	int warm;

	EXPECT_ADVISE(gpu, p, GPU_PAGE, ATOMIC, NOATOMIC);
	for (warm = 0; warm < 2; warm++) {
#define BAD(cmd, kind) \
	EXPECT_FAULTS(gpu, 1, EXPECT_FATAL(gpu, cmd, EACCES, p + 1, kind))
		BAD(fakegpu_atomic(p + 1, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), ATOMIC);
		BAD(fakegpu_atomic(p + 1, 4, DRM_FAKEGPU_ATOMIC_SWAP, 1, 0, NULL), ATOMIC);
		BAD(fakegpu_atomic(p + 1, 8, DRM_FAKEGPU_ATOMIC_CAS, 1, 5, NULL), ATOMIC);
		BAD(fakegpu_sem_signal(p + 1, 7, 0), WRITE);
		BAD(fakegpu_sem_signal(p + 1, 7, DRM_FAKEGPU_SEM_ADD), ATOMIC);
#undef BAD
		EXPECT_EQ(!!warm, gpu_cpu_present(p));
		/* Reads, writes, results, a wait: one fault if cold. */
		EXPECT_FAULTS(gpu, warm ? 0 : 1,
			      EXPECT_RUN(gpu, fakegpu_fill(p, 8, 3), fakegpu_sem_wait(p, 3, 0),
					 fakegpu_touch(p, 8, 1, DRM_FAKEGPU_CMD_WRITE),
					 fakegpu_checksum(p + 10, 64, p + 2),
					 fakegpu_timestamp(p + 3)));
		EXPECT_EQ(0UL, p[1]);
		EXPECT_EQ((uint64_t)gpu_crc_byte(64, 0), p[2]);
		EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_WD | N, gpu->info.page_shift, SYSTEM);
	}
	EXPECT_ADVISE(gpu, p, GPU_PAGE, ATOMIC, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_sem_signal(p + 1, 7, 0)));
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_atomic(p + 1, 8, DRM_FAKEGPU_ATOMIC_ADD, 1,
							     0, NULL)));
	EXPECT_EQ(8UL, p[1]);
	/* And taken from where they were made. */
	EXPECT_ADVISE(gpu, p, GPU_PAGE, ATOMIC, NOATOMIC);
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_atomic(p + 1, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EACCES,
		     p + 1, ATOMIC);
}

/* Behaviour 76: attributes give no right that the mapping lacks; theirs is the errno that counts */
TEST_F(attr_access, over_mapping)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *hole = gpu_va(SIZE, 0);

	memset(p, 1, SIZE);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	EXPECT_ADVISE(gpu, p, SIZE, ATOMIC, NOATOMIC);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EPERM, p, WRITE);
	EXPECT_FATAL(gpu, fakegpu_sem_signal((uint64_t *)p, 0, 0), EACCES, p, WRITE);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EACCES, p, WRITE);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 1);
	EXPECT_ADVISE(gpu, hole, SIZE, ACCESS, RO);
	EXPECT_FATAL(gpu, fakegpu_touch(hole, 1, 1, 0), EFAULT, hole, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(hole, 1, 1), EACCES, hole, WRITE);
	EXPECT_ADVISE(gpu, hole, SIZE, ACCESS, NONE);
	EXPECT_FATAL(gpu, fakegpu_touch(hole, 1, 1, 0), EACCES, hole, READ);
}

/* Behaviours 76, 116: a prefetch meets them, too: it stops, or leaves out what isn't allowed */
TEST_F(attr_access, prefetch)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t done;

	memset(p, 1, SIZE);
	EXPECT_ADVISE(gpu, p + 4 * GPU_PAGE, 4 * GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 4 * GPU_PAGE, ACCESS, NONE);
	done = ~0ULL;
	EXPECT_EQ(-EACCES, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, SIZE,
					    &done));
	EXPECT_EQ(4 * GPU_PAGE, done);
	EXPECT_EQ(-EACCES, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, &done));
	EXPECT_EQ(8 * GPU_PAGE, done);
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, SIZE,
				      &done));
	EXPECT_EQ(SIZE, done);
	EXPECT_ENTRIES(gpu, p, 4 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 4 * GPU_PAGE, 4 * GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + 8 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + 12 * GPU_PAGE, 4 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_GAUGE(gpu, faults_fatal, 0);
}

/* Behaviour 76: a window ends where attributes change, and is as large as they say */
TEST_F(attr_access, window)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	memset(p, 1, SIZE);
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE, ACCESS, RO);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, 0)));
	EXPECT_ENTRIES(gpu, p, 8 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_MAPPED(gpu, p, SIZE);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, NONE);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_ADVISE(gpu, p, 4 * GPU_PAGE, WINDOW, 12);
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE, WINDOW, 14);
	EXPECT_FAULTS(gpu, 4 + 1 + 2, EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	/* A larger one than the VM's is the VM's. */
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, NONE);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_ADVISE(gpu, p, SIZE, WINDOW, gpu->info.window_order_max);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
}

/* Behaviour 76: entries dropped by VM_ADVISE leave no interval behind without one */
TEST_F(attr_access, interval_of_dropped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu_before before = gpu_look(gpu);
	int i;

	for (i = 0; i < 20; i++) {
		EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, i));
		EXPECT_ADVISE(gpu, p, SIZE, ACCESS, NONE);
		EXPECT_EQ((uint64_t)i, *(uint64_t *)p);
	}
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before.gauges))
		TH_LOG("%s", gpu_why());
}

/* Behaviours 71, 122: a page that the device wrote stays dirty when VM_ADVISE drops its entry */
TEST_F(attr_access, dropped_is_dirty)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	memset(p, 1, SIZE);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	ASSERT_EQ(0, madvise(p, SIZE, MADV_FREE));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x0202020202020202));
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	/* Where there is no swap nothing but lazily freed, clean pages goes. */
	if (madvise(p, SIZE, MADV_PAGEOUT))
		ASSERT_EQ(EINVAL, errno);
	EXPECT_BYTES(p, SIZE, 2);
}

/*
 * Behaviours 24, 76: rights are taken while the device writes: not a byte is written after
 * VM_ADVISE has returned, and the queue ends with the page's report
 */
TEST_F(attr_access, race_writes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), copy[SIZE];
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmds[512];
	unsigned int round, i, refused = 0;
	uint64_t seqno = 0;
	uint32_t queue;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		cmds[i] = fakegpu_fill(p, SIZE, 0x0101010101010101 * (i % 250 + 1));
	for (round = 0; round < 40; round++) {
		EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
		memset(p, 0, SIZE);
		queue = gpu_queue(gpu);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, ARRAY_SIZE(cmds), &seqno));
		if (round % 4)
			EXPECT_EVENTUALLY(true, !!*(volatile uint8_t *)p);
		EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
		memcpy(copy, p, SIZE);
		ret = fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS);
		ASSERT_EQ(0, memcmp(copy, p, SIZE))
			TH_LOG("round %u: written after VM_ADVISE had returned", round);
		if (ret) {
			EXPECT_EQ(-EIO, ret);
			EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
			EXPECT_EQ((uint32_t)EACCES, state.error);
			EXPECT_EQ(0UL, (state.fault_addr - fakegpu_va(p)) % GPU_PAGE);
			EXPECT_EQ(fakegpu_va(p) + state.cmd_done, (uint64_t)state.fault_addr);
			refused++;
		}
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	/* Else nothing was tried. */
	EXPECT_LT(0U, refused);
}

/* Behaviours 24, 76: the same while services are under way, a page each */
TEST_F(attr_access, race_services)
{
	struct gpu *gpu = &self->gpu;
	const size_t pages = 512, size = pages * GPU_PAGE;
	uint8_t *p = gpu_map_anon(size), *copy = malloc(size);
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, size, ~0ULL);
	unsigned int round, refused = 0;
	uint64_t seqno = 0;
	uint32_t queue;
	int ret;

	ASSERT_NE(NULL, copy);
	EXPECT_ADVISE(gpu, p, size, WINDOW, 12);
	for (round = 0; round < 20; round++) {
		EXPECT_ADVISE(gpu, p, size, ACCESS, RW);
		ASSERT_EQ(0, madvise(p, size, MADV_DONTNEED));
		queue = gpu_queue(gpu);
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, &cmd, 1, &seqno));
		EXPECT_EVENTUALLY(true, !!*(volatile uint8_t *)p);
		EXPECT_ADVISE(gpu, p, size, ACCESS, round % 2 ? RO : NONE);
		EXPECT_UNMAPPED(gpu, p, size);
		memcpy(copy, p, size);
		ret = fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS);
		refused += ret == -EIO;
		ASSERT_EQ(0, memcmp(copy, p, size))
			TH_LOG("round %u: written after VM_ADVISE had returned", round);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	}
	EXPECT_LT(0U, refused);
	free(copy);
}

struct unmapper {
	uint8_t *p;
	size_t size;
	pthread_barrier_t barrier;
	unsigned int rounds;
	int failed;
};

static void *unmap_loop(void *arg)
{
	struct unmapper *u = arg;
	unsigned int i;

	for (i = 0; i < u->rounds; i++) {
		pthread_barrier_wait(&u->barrier);
		u->failed |= munmap(u->p, u->size);
		pthread_barrier_wait(&u->barrier);
	}
	return NULL;
}

/*
 * Behaviour 76: VM_ADVISE against a munmap of the same addresses: one comes after the other,
 * for all of the range. Afterwards a munmap always ends it.
 */
TEST_F(attr_access, race_munmap)
{
	struct gpu *gpu = &self->gpu;
	struct unmapper u = { .size = SIZE, .rounds = 60 };
	const struct want_attr all = { 0, PAGES, RO };
	pthread_t thread;
	unsigned int i, set = 0;

	u.p = gpu_va(SIZE, 0);
	pthread_barrier_init(&u.barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, unmap_loop, &u));
	for (i = 0; i < u.rounds; i++) {
		bool is_set;

		ASSERT_NE(MAP_FAILED, mmap(u.p, SIZE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE,
					   -1, 0));
		/* Now and then there are two notifiers, of which one event takes both. */
		if (i % 2) {
			EXPECT_ADVISE(gpu, u.p, GPU_PAGE, ACCESS, NONE);
			EXPECT_ADVISE(gpu, u.p + SIZE / 2, GPU_PAGE, ACCESS, NONE);
		}
		pthread_barrier_wait(&u.barrier);
		EXPECT_ADVISE(gpu, u.p, SIZE, ACCESS, RO);
		pthread_barrier_wait(&u.barrier);
		is_set = gpu_state(gpu).attrs;
		set += is_set;
		ASSERT_TRUE(attrs_like(gpu, u.p, SIZE, &all, is_set))
			TH_LOG("round %u", i);
		ASSERT_NE(MAP_FAILED, mmap(u.p, SIZE, PROT_READ,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(0, munmap(u.p, SIZE));
		ASSERT_EQ(0UL, (uint64_t)gpu_state(gpu).attrs);
	}
	pthread_join(thread, NULL);
	EXPECT_EQ(0, u.failed);
	EXPECT_ATTRS_GONE(gpu);
}

struct puncher {
	struct gpu *gpu;
	uint8_t *p;
	int fd;
	bool stop;
	int failed;
};

/* Events that come without mmap_lock, of memory that the device has. */
static void *punch_loop(void *arg)
{
	struct puncher *u = arg;

	while (!__atomic_load_n(&u->stop, __ATOMIC_RELAXED)) {
		u->failed |= fakegpu_prefetch(u->gpu->fd, u->gpu->vm, 0, u->p, GPU_SZ_2M, NULL);
		u->failed |= fallocate(u->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				       GPU_SZ_2M);
	}
	return NULL;
}

/*
 * Behaviour 76: VM_ADVISE while the kernel's tree of notifiers is frozen by an invalidation
 * elsewhere: a munmap right after it is heard of all the same
 */
TEST_F(attr_access, race_frozen_tree)
{
	struct gpu *gpu = &self->gpu;
	struct puncher u = { .gpu = gpu, .fd = gpu_memfd(GPU_SZ_2M) };
	uint8_t *p = gpu_va(SIZE, 0);
	int64_t begin = gpu_now();
	pthread_t thread;
	unsigned int i;

	u.p = gpu_map(GPU_SZ_2M, PROT_READ | PROT_WRITE, MAP_SHARED, u.fd, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, punch_loop, &u));
	for (i = 0; gpu_more(i, 500, begin); i++) {
		ASSERT_EQ(p, mmap(p, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				  0));
		ASSERT_EQ(0, advise(gpu, p, SIZE, ACCESS, RO));
		ASSERT_EQ(0, munmap(p, SIZE));
		ASSERT_EQ(0UL, (uint64_t)gpu_state(gpu).attrs)
			TH_LOG("round %u", i);
	}
	__atomic_store_n(&u.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, u.failed);
	EXPECT_ATTRS_GONE(gpu);
	close(u.fd);
}

TEST_HARNESS_MAIN
