// SPDX-License-Identifier: GPL-2.0
/*
 * Memory protection keys: they are about a thread's own accesses and don't hold
 * the device up, as with any hardware behind HMM. The VMA's rights still do.
 */
#include "fakegpu_test.h"

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)
#define RW	(PROT_READ | PROT_WRITE)

GPU_FIXTURE(pkey);

#define PKEY_ALLOC(key, rights) do { \
	key = pkey_alloc(0, rights); \
	if (key < 0) \
		SKIP(return, "no memory protection keys: %s", strerror(errno)); \
} while (0)

/* Can this thread read, or write, the byte? Asked of the kernel, so there is no signal. */
static bool cpu_can(volatile void *p, bool write_it)
{
	int pair[2];
	bool can;

	if (pipe2(pair, O_CLOEXEC))
		gpu_die("pipe: %s", strerror(errno));
	if (write_it)
		can = write(pair[1], "x", 1) == 1 && read(pair[0], (void *)p, 1) == 1;
	else
		can = write(pair[1], (void *)p, 1) == 1;
	close(pair[0]);
	close(pair[1]);
	return can;
}

/* Behaviour 23: a key that forbids all access, and one that forbids writes: the device works */
TEST_F(pkey, device_allowed)
{
	static const unsigned int rights[] = { PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE };
	struct gpu *gpu = &self->gpu;
	uint64_t done;
	uint8_t *p;
	size_t i;
	int key;

	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		PKEY_ALLOC(key, rights[i]);
		p = gpu_map_anon(SIZE);
		gpu_pattern(p, SIZE, 23);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 23);
		/* A new key is a change of protection: the entries go, and come back with W. */
		EXPECT_DELTA(gpu, pages_cleared, PAGES,
			     ASSERT_EQ(0, pkey_mprotect(p, SIZE, RW, key)));
		EXPECT_EQ(rights[i] == PKEY_DISABLE_WRITE, cpu_can(p, false));
		EXPECT_FALSE(cpu_can(p, true));

		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 23));
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, gpu->info.page_shift, SYSTEM);
		EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x2323232323232323)));
		/* In the context of the very thread that may not. */
		ASSERT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
		EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p,
					      SIZE, &done));
		EXPECT_EQ(SIZE, done);
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, gpu->info.page_shift, SYSTEM);
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x2424242424242424));
		EXPECT_FALSE(cpu_can(p, true));

		ASSERT_EQ(0, pkey_set(key, 0));
		EXPECT_BYTES(p, SIZE, 0x24);
		ASSERT_EQ(0, munmap(p, SIZE));
		ASSERT_EQ(0, pkey_free(key));
	}
}

/* Behaviour 23: rights of a key change without an event, and mean nothing to the mirror */
TEST_F(pkey, rights_change)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i;
	int key;

	PKEY_ALLOC(key, 0);
	ASSERT_EQ(0, pkey_mprotect(p, SIZE, RW, key));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL));
	for (i = 0; i < 20; i++) {
		EXPECT_DELTA(gpu, invalidations_useful, 0,
			ASSERT_EQ(0, pkey_set(key, i % 2 ? 0 : PKEY_DISABLE_ACCESS)));
		EXPECT_EQ(i % 2 == 1, cpu_can(p, false));
		EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p + i, 1, i)));
	}
	for (i = 0; i < 20; i++)
		EXPECT_EQ(i, p[i]);
	ASSERT_EQ(0, pkey_free(key));
}

/* Behaviours 23, 16: the VMA's rights hold, whatever the key allows */
TEST_F(pkey, vma_rights)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	int key;

	gpu_pattern(p, SIZE, 23);
	PKEY_ALLOC(key, 0);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	ASSERT_EQ(0, pkey_mprotect(p, SIZE, PROT_READ, key));
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EPERM, p, WRITE);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 23);
	ASSERT_EQ(0, pkey_mprotect(p, SIZE, PROT_NONE, key));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	ASSERT_EQ(0, pkey_mprotect(p, SIZE, RW, key));
	EXPECT_RUN(gpu, fakegpu_fill(p, 8, 0));
	EXPECT_BYTES(p, 8, 0);
	EXPECT_PATTERN_AT(p + 8, SIZE - 8, 23, 8);
	ASSERT_EQ(0, pkey_free(key));
}

TEST_HARNESS_MAIN
