// SPDX-License-Identifier: GPL-2.0
/*
 * Stacks: the device uses what is there, and nothing that the device does makes
 * a stack grow: only a CPU fault of the process itself does that.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "fakegpu_test_proc.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(stack);

/* Bounds of the mapping that holds @addr or, if none does, of the next one above. */
static void bounds(const volatile void *addr, uint8_t **start, uint8_t **end)
{
	unsigned long from, to;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "re");

	if (!f)
		gpu_die("/proc/self/maps: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2 || to <= fakegpu_va(addr))
			continue;
		*start = (uint8_t *)from;
		*end = (uint8_t *)to;
		fclose(f);
		return;
	}
	gpu_die("nothing is mapped at or above %p", addr);
}

static void expect_bounds(struct __test_metadata *_metadata, const void *addr, uint8_t *start,
			  uint8_t *end)
{
	uint8_t *now_start, *now_end;

	bounds(addr, &now_start, &now_end);
	EXPECT_EQ(start, now_start);
	EXPECT_EQ(end, now_end);
}

/* Behaviour 121: variables of functions that are running, read and written, also bottom up */
TEST_F(stack, live)
{
	struct gpu *gpu = &self->gpu;
	uint8_t array[3 * GPU_PAGE];
	volatile uint64_t sum = 40, result = 0;

	gpu_pattern(array, sizeof(array), 121);
	EXPECT_DEVICE_PATTERN(gpu, array, sizeof(array), 121);
	EXPECT_RUN(gpu, fakegpu_fill(array + 1, GPU_PAGE, ~0ULL),
		   fakegpu_atomic(&sum, 8, DRM_FAKEGPU_ATOMIC_ADD, 2, 0, &result));
	EXPECT_BYTES(array + 1, GPU_PAGE, 0xff);
	EXPECT_PATTERN_AT(array + 1 + GPU_PAGE, sizeof(array) - GPU_PAGE - 1, 121, GPU_PAGE + 1);
	EXPECT_EQ(42UL, sum);
	EXPECT_EQ(40UL, result);
}

/* As a call of a function with large variables does it. */
static __attribute__((noinline)) void touch_by_cpu(volatile uint8_t *p)
{
	*p = 0x55;
}

/* Behaviour 121: below the main stack: no access, no growth; after the CPU's growth both */
TEST_F(stack, below)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *start, *end, *at;
	volatile uint8_t here = 1;

	bounds(&here, &start, &end);
	EXPECT_DEVICE_BYTES(gpu, &here, 1, 1);
	at = start - 4 * GPU_PAGE;
	EXPECT_FATAL(gpu, fakegpu_touch(at, 1, 1, 0), EFAULT, at, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(at, 8, 0), EFAULT, at, WRITE);
	/* The page just below is no exception, nor is a command that comes from above. */
	EXPECT_FATAL(gpu, fakegpu_fill(start - 8, 8, 0), EFAULT, start - 8, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(start - GPU_PAGE, 2 * GPU_PAGE, 0), EFAULT,
		     start - GPU_PAGE, WRITE);
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, at,
					    4 * GPU_PAGE, NULL));
	expect_bounds(_metadata, (void *)&here, start, end);

	touch_by_cpu(at);
	expect_bounds(_metadata, (void *)&here, at, end);
	EXPECT_DEVICE_BYTES(gpu, at, 1, 0x55);
	EXPECT_RUN(gpu, fakegpu_fill(at + GPU_PAGE, 3 * GPU_PAGE, ~0ULL));
	EXPECT_BYTES(at + GPU_PAGE, 3 * GPU_PAGE, 0xff);
	EXPECT_FATAL(gpu, fakegpu_touch(at - 1, 1, 1, 0), EFAULT, at - 1, READ);
	expect_bounds(_metadata, (void *)&here, at, end);
}

/* Behaviour 121: MAP_GROWSDOWN: growth sends no event, and needs none */
TEST_F(stack, growsdown)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *base = gpu_va(2 * GPU_SZ_2M, 0), *p = base + GPU_SZ_2M + 64 * GPU_PAGE;
	struct drm_fakegpu_vm_get_state before, after;

	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1,
			  0));
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	gpu_pattern(p, SIZE, 121);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 121));
	EXPECT_FATAL(gpu, fakegpu_fill(p - GPU_PAGE, 8, 0), EFAULT, p - GPU_PAGE, WRITE);
	expect_bounds(_metadata, p, p, p + SIZE);

	before = gpu_state(gpu);
	touch_by_cpu(p - 3 * GPU_PAGE);
	after = gpu_state(gpu);
	EXPECT_EQ(before.pages_cleared, after.pages_cleared);
	expect_bounds(_metadata, p, p - 3 * GPU_PAGE, p + SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p - 3 * GPU_PAGE + 1, 2 * GPU_PAGE,
							   ~0ULL)));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 121));
	EXPECT_EQ(0x55, p[-3 * (int)GPU_PAGE]);
	EXPECT_BYTES(p - 3 * GPU_PAGE + 1, 2 * GPU_PAGE, 0xff);
	EXPECT_FATAL(gpu, fakegpu_touch(p - 4 * GPU_PAGE, 1, 1, 0), EFAULT, p - 4 * GPU_PAGE,
		     READ);
	/* It shrinks like any mapping. */
	EXPECT_DELTA(gpu, pages_cleared, 3, ASSERT_EQ(0, munmap(p - 3 * GPU_PAGE, 3 * GPU_PAGE)));
	EXPECT_FATAL(gpu, fakegpu_touch(p - 1, 2, 1, 0), EFAULT, p - 1, READ);
}

/* Behaviour 121: the gap that the kernel keeps below: nobody gets in, and both sides work */
TEST_F(stack, guard_gap)
{
	struct gpu *gpu = &self->gpu;
	/* stack_guard_gap is 256 pages by default. */
	const size_t gap = 256 * GPU_PAGE;
	uint8_t *low = gpu_va(2 * GPU_SZ_2M, 0), *p = low + SIZE + gap + GPU_PAGE;
	struct proc child;

	ASSERT_EQ(low, mmap(low, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1,
			  0));
	memset(low, 1, SIZE);
	memset(p, 2, SIZE);
	EXPECT_DEVICE_BYTES(gpu, low, SIZE, 1);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 2);
	/* One page up to the gap is free; the CPU takes it. */
	EXPECT_FATAL(gpu, fakegpu_touch(p - GPU_PAGE, 1, 1, 0), EFAULT, p - GPU_PAGE, READ);
	touch_by_cpu(p - GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p - GPU_PAGE, 1, 0x55);
	/* Neither CPU nor device gets into the gap. */
	if (proc_fork(&child)) {
		struct rlimit none = { 0 };

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		touch_by_cpu(p - 2 * GPU_PAGE);
		_exit(0);
	}
	EXPECT_EQ(128 + SIGSEGV, proc_wait(&child));
	EXPECT_FATAL(gpu, fakegpu_fill(p - 2 * GPU_PAGE, 8, 0), EFAULT, p - 2 * GPU_PAGE, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(low + SIZE, 8, 0), EFAULT, low + SIZE, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(low, 2 * SIZE, ~0ULL), EFAULT, low + SIZE, WRITE);
	EXPECT_BYTES(low, SIZE, 0xff);
	expect_bounds(_metadata, p, p - GPU_PAGE, p + SIZE);
}

/* What a thread has on its stack. */
struct thread {
	struct gpu *gpu;
	uint8_t *low;
	uint8_t *at;
	uint32_t crc;
	volatile bool stop;
	volatile bool ready;
};

static void *on_stack(void *arg)
{
	struct thread *t = arg;
	uint8_t array[2 * GPU_PAGE];

	gpu_pattern(array, sizeof(array), 122);
	t->at = array;
	__atomic_store_n(&t->ready, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE))
		usleep(1000);
	t->crc = gpu_crc(array, sizeof(array));
	return NULL;
}

/* Behaviour 121: the stack of a thread, and the pages without rights that guard it */
TEST_F(stack, thread_guard)
{
	struct gpu *gpu = &self->gpu;
	const size_t guard = 4 * GPU_PAGE, size = 64 * GPU_PAGE;
	uint8_t *stack = gpu_map_anon(size + guard), *low = stack + guard;
	struct thread t = { .gpu = gpu };
	pthread_attr_t attr;
	pthread_t thread;

	ASSERT_EQ(0, mprotect(stack, guard, PROT_NONE));
	ASSERT_EQ(0, pthread_attr_init(&attr));
	ASSERT_EQ(0, pthread_attr_setstack(&attr, low, size));
	ASSERT_EQ(0, pthread_create(&thread, &attr, on_stack, &t));
	EXPECT_EVENTUALLY(true, __atomic_load_n(&t.ready, __ATOMIC_ACQUIRE));
	EXPECT_DEVICE_PATTERN(gpu, t.at, 2 * GPU_PAGE, 122);
	EXPECT_RUN(gpu, fakegpu_fill(t.at, GPU_PAGE, ~0ULL));
	/* Into the guard from above, in it, and from below it. */
	EXPECT_FATAL(gpu, fakegpu_fill(low - 16, 32, 0), EFAULT, low - 16, WRITE);
	EXPECT_FATAL(gpu, fakegpu_touch(low - 1, 1, 1, 0), EFAULT, low - 1, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(stack, 1, 1, 0), EFAULT, stack, READ);
	EXPECT_UNMAPPED(gpu, stack, guard);
	/* The lowest page of the stack, which its thread hasn't reached, is usable. */
	EXPECT_RUN(gpu, fakegpu_fill(low, 8, 0));
	t.stop = true;
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	gpu_pattern(stack + guard + GPU_PAGE, 2 * GPU_PAGE, 122);
	memset(stack + guard + GPU_PAGE, 0xff, GPU_PAGE);
	EXPECT_EQ(gpu_crc(stack + guard + GPU_PAGE, 2 * GPU_PAGE), t.crc);
}

/*
 * Behaviour 121: guard pages without a mapping of their own. A kernel before
 * 6.13 refuses to install them, and then the device goes on as if not asked.
 */
TEST_F(stack, guard_install)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *guard = p + 4 * GPU_PAGE;
	uint64_t cleared;

	gpu_pattern(p, SIZE, 121);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 121);
	cleared = gpu_state(gpu).pages_cleared;
	if (madvise(guard, 2 * GPU_PAGE, MADV_GUARD_INSTALL)) {
		ASSERT_EQ(EINVAL, errno);
		EXPECT_FALSE(gpu_kernel_at_least(6, 13));
		EXPECT_EQ(cleared, (uint64_t)gpu_state(gpu).pages_cleared);
		EXPECT_MAPPED(gpu, p, SIZE);
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 121));
		EXPECT_PATTERN(p, SIZE, 121);
		return;
	}
	EXPECT_MAPPED(gpu, p, guard - p);
	EXPECT_UNMAPPED(gpu, guard, 2 * GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, 1, 0), EFAULT, guard, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(guard + GPU_PAGE, 8, 0), EFAULT, guard + GPU_PAGE, WRITE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, guard - p, 121);
		      EXPECT_DEVICE_PATTERN_AT(gpu, guard + 2 * GPU_PAGE, SIZE - 6 * GPU_PAGE, 121,
					       6 * GPU_PAGE));
	ASSERT_EQ(0, madvise(guard, 2 * GPU_PAGE, MADV_GUARD_REMOVE));
	EXPECT_DEVICE_BYTES(gpu, guard, 2 * GPU_PAGE, 0);
}

TEST_HARNESS_MAIN
