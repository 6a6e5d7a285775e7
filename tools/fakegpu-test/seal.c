// SPDX-License-Identifier: GPL-2.0
/*
 * Sealed memory: what the kernel refuses must not be seen in the mirror.
 */
#include "fakegpu_test.h"

#include <sys/syscall.h>

#ifndef SYS_mseal
#define SYS_mseal	462
#endif

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(seal);

/* A mapping stays sealed until its process ends. */
#define SEAL(p, size) do { \
	if (syscall(SYS_mseal, p, size, 0)) { \
		ASSERT_TRUE(errno != EINVAL && errno != ENOMEM); \
		SKIP(return, "no mseal() in this kernel (6.10 and later)"); \
	} \
} while (0)

/* The call fails with EPERM and the mirror doesn't lose an entry, nor does it gain one. */
#define EXPECT_REFUSED(gpu, ...) do { \
	struct drm_fakegpu_vm_get_state before_ = gpu_state(gpu), after_; \
	errno = 0; \
	EXPECT_TRUE(__VA_ARGS__); \
	EXPECT_EQ(EPERM, errno); \
	after_ = gpu_state(gpu); \
	EXPECT_EQ(before_.pages_cleared, after_.pages_cleared); \
	EXPECT_EQ(before_.pages_small, after_.pages_small); \
	EXPECT_EQ(before_.leaves_large, after_.leaves_large); \
	EXPECT_EQ(before_.slots_restored, after_.slots_restored); \
	EXPECT_EQ(before_.faults, after_.faults); \
} while (0)

/* Behaviour 42: unmapping, moving, changing: all refused, and the device doesn't notice */
TEST_F(seal, refused)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *mid = p + 20 * GPU_PAGE, *to = gpu_va(2 * SIZE, 0);

	gpu_pattern(p, SIZE, 42);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_DELTA(gpu, pages_cleared, 0, SEAL(p, SIZE));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);

	EXPECT_REFUSED(gpu, munmap(p, SIZE) == -1);
	EXPECT_REFUSED(gpu, munmap(mid, GPU_PAGE) == -1);
	EXPECT_REFUSED(gpu, mprotect(p, SIZE, PROT_READ) == -1);
	EXPECT_REFUSED(gpu, mprotect(mid, GPU_PAGE, PROT_NONE) == -1);
	EXPECT_REFUSED(gpu, mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED);
	EXPECT_REFUSED(gpu, mremap(p, SIZE, SIZE / 2, 0) == MAP_FAILED);
	EXPECT_REFUSED(gpu, mmap(mid, GPU_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_UNMAPPED(gpu, to, SIZE);

	/* Sealed is not read-only. */
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 42);
		      EXPECT_RUN(gpu, fakegpu_fill(mid, GPU_PAGE, ~0ULL)));
	EXPECT_BYTES(mid, GPU_PAGE, 0xff);
	EXPECT_PATTERN(p, mid - p, 42);
}

/* Behaviour 42: read-only sealed memory: it can't be emptied, and not written by the device */
TEST_F(seal, refused_readonly)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 42);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	SEAL(p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 42));
	EXPECT_REFUSED(gpu, madvise(p, SIZE, MADV_DONTNEED) == -1);
	EXPECT_REFUSED(gpu, mprotect(p, SIZE, PROT_READ | PROT_WRITE) == -1);
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EPERM, p, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 42));
}

/* Behaviour 42: a range of which only the last page is sealed: nothing of it is unmapped */
TEST_F(seal, refused_at_the_end)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *last = p + SIZE - GPU_PAGE;

	gpu_pattern(p, SIZE, 42);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_DELTA(gpu, pages_cleared, 0, SEAL(last, GPU_PAGE));
	EXPECT_REFUSED(gpu, munmap(p, SIZE) == -1);
	EXPECT_REFUSED(gpu, munmap(p + GPU_PAGE, SIZE - GPU_PAGE) == -1);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 42));
	EXPECT_PATTERN(p, SIZE, 42);
	/* Without it the rest goes. */
	EXPECT_DELTA(gpu, pages_cleared, PAGES - 1, ASSERT_EQ(0, munmap(p, SIZE - GPU_PAGE)));
	EXPECT_FATAL(gpu, fakegpu_touch(last - 1, 2, 1, 0), EFAULT, last - 1, READ);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN_AT(gpu, last, GPU_PAGE, 42, last - p));
}

/* Behaviour 42: a sealed 2 MiB page stays one leaf */
TEST_F(seal, refused_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	gpu_pattern(p, GPU_SZ_2M, 42);
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, DRM_FAKEGPU_CMD_WRITE));
	SEAL(p, GPU_SZ_2M);
	EXPECT_REFUSED(gpu, munmap(p + 100 * GPU_PAGE, GPU_PAGE) == -1);
	EXPECT_REFUSED(gpu, mprotect(p + 100 * GPU_PAGE, GPU_PAGE, PROT_READ) == -1);
	EXPECT_REFUSED(gpu, munmap(p, GPU_SZ_2M) == -1);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 42));
}

TEST_HARNESS_MAIN
