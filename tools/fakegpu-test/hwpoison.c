// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that fails under the device, by the kernel's own injection: hard
 * (MADV_HWPOISON, debugfs), soft (MADV_SOFT_OFFLINE), and a whole block that is
 * taken offline.
 *
 * An access by the device to a page that is lost gives EFAULT and no signal: a
 * SIGBUS is for the threads that the kernel tells of the failure, and for those
 * that touch the page.
 */
#include "fakegpu_test_page.h"
#include "fakegpu_test_proc.h"

#include <setjmp.h>

#ifndef MADV_HWPOISON
#define MADV_HWPOISON		100
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)
#define HUGE_PAGES	(GPU_SZ_2M / GPU_PAGE)
#define VICTIM	20UL
#define INJECT	"/sys/kernel/debug/hwpoison/"

/* Frames that are out of use by our fault; a test that succeeds gives them back. */
#define MAX_LOST	128

static uint64_t lost[MAX_LOST];
static unsigned int nr_lost;

/* Without this module frames stay lost until the next boot, as do tests that need it. */
static bool inject_module(void)
{
	return !access(INJECT "unpoison-pfn", W_OK) ||
	       (!system("modprobe hwpoison-inject 2>/dev/null") &&
		!access(INJECT "unpoison-pfn", W_OK));
}

static void give_back(void)
{
	bool can = nr_lost && inject_module();

	/* What is still in a mapping of ours cannot be given back: it stays out of use. */
	while (nr_lost && can)
		sys_write_number(INJECT "unpoison-pfn", lost[--nr_lost]);
	nr_lost = 0;
}

static void note_lost(uint64_t pfn)
{
	if (nr_lost < MAX_LOST)
		lost[nr_lost++] = pfn;
}

/* ---------------------------------------------------------------- SIGBUS --- */

static volatile sig_atomic_t bus_count, bus_code, bus_jumps;
static void *volatile bus_addr;
static sigjmp_buf bus_jump;

/* More than any test causes: an access that isn't expected to fail, and does so for ever. */
#define MAX_BUS	1000

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	if (++bus_count > MAX_BUS)
		_exit(KSFT_FAIL);
	bus_code = info->si_code;
	bus_addr = info->si_addr;
	if (bus_jumps)
		siglongjmp(bus_jump, 1);
}

static void catch_bus(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
}

/* Does a read by the CPU end in SIGBUS for a failed page? */
static bool cpu_read_fails(const volatile uint8_t *p)
{
	bus_jumps = 1;
	if (!sigsetjmp(bus_jump, 1)) {
		(void)*p;
		bus_jumps = 0;
		return false;
	}
	bus_jumps = 0;
	return bus_code == BUS_MCEERR_AR && (uintptr_t)bus_addr / GPU_PAGE ==
					    (uintptr_t)p / GPU_PAGE;
}

#define EXPECT_NO_SIGNAL() EXPECT_EQ(0, bus_count)

GPU_FIXTURE_SYS(hwpoison);

/* Lose the page at @p as if a processor had just tripped over it. */
static int poison(uint8_t *p)
{
	uint64_t pfn = page_pfn(p);

	catch_bus();
	if (madvise(p, GPU_PAGE, MADV_HWPOISON))
		return -errno;
	note_lost(pfn);
	return 0;
}

#define POISON(p) do { \
	int poison_ = poison(p); \
	if (poison_ == -EINVAL || poison_ == -EPERM) \
		SKIP(return, "no MADV_HWPOISON: %s", strerror(-poison_)); \
	ASSERT_EQ(0, poison_); \
} while (0)

/*
 * The page is lost to the device, for each kind of access, and nothing else is:
 * what lies below it in a command is done, what lies above isn't.
 */
static void check_lost(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		       size_t size, uint8_t *victim, uint8_t byte)
{
	const size_t below = victim - p, above = size - below - GPU_PAGE;
	uint64_t done = 0;

	EXPECT_UNMAPPED(gpu, victim, GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p, below, byte);
	EXPECT_DEVICE_BYTES(gpu, victim + GPU_PAGE, above, byte);
	bus_count = 0;
	/* All else is mapped by now: the only fault is the fatal one. */
	EXPECT_FAULTS(gpu, 1,
		      EXPECT_FATAL(gpu, fakegpu_touch(p, size, GPU_PAGE, 0), EFAULT, victim,
				   READ));
	EXPECT_FATAL(gpu, fakegpu_atomic(victim + 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
		     EFAULT, victim + 8, ATOMIC);
	EXPECT_FATAL(gpu, fakegpu_fill(victim - 8, 8 + GPU_PAGE + 8, BYTES(0x29)), EFAULT,
		     victim, WRITE);
	EXPECT_BYTES(victim - 8, 8, 0x29);
	EXPECT_BYTES(victim + GPU_PAGE, above, byte);
	EXPECT_RUN(gpu, fakegpu_fill(victim - 8, 8, BYTES(byte)));
	EXPECT_DELTA(gpu, faults_nofault, 1,
		     EXPECT_RUN(gpu, fakegpu_touch(p, size, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT)));
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, size, &done));
	EXPECT_EQ(below, done);
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, size,
				      &done));
	EXPECT_UNMAPPED(gpu, victim, GPU_PAGE);
	EXPECT_NO_SIGNAL();
	EXPECT_VERIFY(gpu);
}

/* Behaviour 92: a page that the device wrote fails: EFAULT there, the neighbours stay mapped */
TEST_F(hwpoison, small)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *victim = p + VICTIM * GPU_PAGE;

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x92))));
	EXPECT_DELTA(gpu, pages_cleared, 1, POISON(victim));
	EXPECT_EQ(1, bus_count);
	EXPECT_EQ(BUS_MCEERR_AR, bus_code);
	EXPECT_EQ((void *)victim, bus_addr);
	EXPECT_MAPPED(gpu, p, VICTIM * GPU_PAGE);
	EXPECT_MAPPED(gpu, victim + GPU_PAGE, SIZE - (VICTIM + 1) * GPU_PAGE);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p, VICTIM * GPU_PAGE, 0x92);
		      EXPECT_DEVICE_BYTES(gpu, victim + GPU_PAGE,
					  SIZE - (VICTIM + 1) * GPU_PAGE, 0x92));
	check_lost(_metadata, gpu, p, SIZE, victim, 0x92);
	EXPECT_TRUE(cpu_read_fails(victim));

	/* The address is as good as new with another page behind it. */
	ASSERT_EQ(victim, mmap(victim, GPU_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_DEVICE_BYTES(gpu, victim, GPU_PAGE, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x93)));
	EXPECT_BYTES(p, SIZE, 0x93);
	give_back();
}

/* Behaviour 92: it fails before the device comes: all but that page can be used */
TEST_F(hwpoison, small_unmapped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *victim = p + VICTIM * GPU_PAGE;

	memset(p, 0x92, SIZE);
	POISON(victim);
	EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, victim, READ);
	check_lost(_metadata, gpu, p, SIZE, victim, 0x92);
	give_back();
}

/* Behaviour 92: a page of a huge page fails: the other 511 are right, whoever split it */
TEST_F(hwpoison, huge)
{
	struct drm_fakegpu_vm_get_state before, after;
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *victim;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	victim = p + 100 * GPU_PAGE;
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x92)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	before = gpu_state(gpu);
	POISON(victim);
	after = gpu_state(gpu);
	EXPECT_LE(HUGE_PAGES, after.pages_cleared - before.pages_cleared);
	EXPECT_GAUGE(gpu, leaves_large, 0);
	EXPECT_LE(1, bus_count);
	EXPECT_EQ((void *)victim, bus_addr);
	check_lost(_metadata, gpu, p, GPU_SZ_2M, victim, 0x92);
	EXPECT_TRUE(cpu_read_fails(victim));
	give_back();
}

/* Behaviour 92: a page of hugetlb fails: the unit is the huge page, and no other is hurt */
TEST_F(hwpoison, hugetlb)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *victim;

	if (sys_set(&self->sys, "/proc/sys/vm/nr_hugepages", "8"))
		SKIP(return, "no hugetlb");
	p = gpu_va(3 * GPU_SZ_2M, 0);
	if (mmap(p, 3 * GPU_SZ_2M, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) != p)
		SKIP(return, "no 3 hugetlb pages: %s", strerror(errno));
	victim = p + GPU_SZ_2M;
	EXPECT_RUN(gpu, fakegpu_fill(p, 3 * GPU_SZ_2M, BYTES(0x92)));
	EXPECT_MAPPED(gpu, p, 3 * GPU_SZ_2M);
	EXPECT_DELTA(gpu, pages_cleared, HUGE_PAGES, POISON(victim + 5 * GPU_PAGE));
	EXPECT_LE(1, bus_count);
	bus_count = 0;
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0x92);
		      EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_SZ_2M, GPU_SZ_2M, 0x92));
	EXPECT_FATAL(gpu, fakegpu_touch(p, 3 * GPU_SZ_2M, GPU_PAGE, 0), EFAULT, victim, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(victim + GPU_SZ_2M - 8, 16, 0), EFAULT,
		     victim + GPU_SZ_2M - 8, WRITE);
	EXPECT_UNMAPPED(gpu, victim, GPU_SZ_2M);
	EXPECT_BYTES(p + 2 * GPU_SZ_2M, GPU_SZ_2M, 0x92);
	EXPECT_NO_SIGNAL();
	ASSERT_EQ(0, munmap(p, 3 * GPU_SZ_2M));
	give_back();
}

/* Behaviours 92, 82: shared memory: both addresses lose the page, a truncation gives it anew */
TEST_F(hwpoison, shared)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *q = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *victim = p + VICTIM * GPU_PAGE;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x92)));
	EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x92);
	EXPECT_DELTA(gpu, pages_cleared, 2, POISON(victim));
	check_lost(_metadata, gpu, p, SIZE, victim, 0x92);
	check_lost(_metadata, gpu, q, SIZE, q + VICTIM * GPU_PAGE, 0x92);

	/* To punch a hole isn't enough: it leaves the marks in the page tables. */
	ASSERT_EQ(0, ftruncate(fd, VICTIM * GPU_PAGE));
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	EXPECT_DEVICE_BYTES(gpu, victim, GPU_PAGE, 0);
	EXPECT_RUN(gpu, fakegpu_fill(q + VICTIM * GPU_PAGE, GPU_PAGE, BYTES(0x93)));
	EXPECT_BYTES(victim, GPU_PAGE, 0x93);
	close(fd);
	give_back();
}

/* Behaviour 92: the page that a running command reads again and again fails */
TEST_F(hwpoison, under_running_command)
{
	struct drm_fakegpu_queue_get_state state = { 0 };
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct ring *ring = (struct ring *)(p + VICTIM * GPU_PAGE + 64);
	struct drm_fakegpu_cmd cmd = endless(ring);
	uint32_t queue = gpu_queue(gpu);
	uint64_t seqno;

	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, &cmd, 1, &seqno));
	EXPECT_EVENTUALLY(true, queue_busy(gpu, queue));
	POISON(p + VICTIM * GPU_PAGE);
	EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
	EXPECT_EQ((uint32_t)DRM_FAKEGPU_QUEUE_FATAL, state.flags);
	EXPECT_EQ((uint32_t)EFAULT, state.error);
	EXPECT_EQ(fakegpu_va(p) / GPU_PAGE + VICTIM, (uint64_t)state.fault_addr / GPU_PAGE);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	/* The other queue isn't concerned. */
	EXPECT_RUN(gpu, fakegpu_fill(p, VICTIM * GPU_PAGE, BYTES(0x92)));
	EXPECT_BYTES(p, VICTIM * GPU_PAGE, 0x92);
	give_back();
}

/* As found by the memory controller: nobody was about to use the page. */
static int poison_later(uint8_t *p)
{
	uint64_t pfn = page_pfn(p);
	int ret;

	if (!inject_module())
		return -ENODEV;
	catch_bus();
	ret = sys_write_number(INJECT "corrupt-pfn", pfn);
	if (!ret)
		note_lost(pfn);
	return ret;
}

static void check_policy(struct __test_metadata *_metadata, struct gpu *gpu, bool early)
{
	uint8_t *p = gpu_map_anon(SIZE), *victim = p + VICTIM * GPU_PAGE;
	int ret;

	ASSERT_EQ(0, prctl(PR_MCE_KILL, PR_MCE_KILL_SET,
			   early ? PR_MCE_KILL_EARLY : PR_MCE_KILL_LATE, 0, 0));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x92)));
	EXPECT_DELTA(gpu, pages_cleared, 1, ret = poison_later(victim));
	if (ret == -ENODEV)
		SKIP(return, "no module hwpoison-inject");
	ASSERT_EQ(0, ret);
	EXPECT_EVENTUALLY((int)early, (int)bus_count);
	if (early) {
		EXPECT_EQ(BUS_MCEERR_AO, bus_code);
		EXPECT_EQ((void *)victim, bus_addr);
	}
	check_lost(_metadata, gpu, p, SIZE, victim, 0x92);
	EXPECT_TRUE(cpu_read_fails(victim));
	give_back();
}

/* Behaviour 92: policy "late": the device's access tells nobody but the queue's owner */
TEST_F(hwpoison, policy_late)
{
	check_policy(_metadata, &self->gpu, false);
}

/* Behaviour 92: policy "early": the process is told at once, and the device's access as before */
TEST_F(hwpoison, policy_early)
{
	check_policy(_metadata, &self->gpu, true);
}

/* ----------------------------------------------------------- soft offline --- */

static int soft_offline(uint8_t *p)
{
	uint64_t pfn = page_pfn(p);

	catch_bus();
	sys_drain();
	if (madvise(p, GPU_PAGE, MADV_SOFT_OFFLINE))
		return -errno;
	note_lost(pfn);
	return 0;
}

#define SOFT_OFFLINE(p) do { \
	int offline_ = soft_offline(p); \
	if (offline_ == -EINVAL || offline_ == -EPERM || offline_ == -EOPNOTSUPP) \
		SKIP(return, "no MADV_SOFT_OFFLINE: %s", strerror(-offline_)); \
	ASSERT_EQ(0, offline_); \
} while (0)

/* Behaviour 92: soft-offline: another frame, the same bytes, one entry less, no signal */
TEST_F(hwpoison, soft_offline_small)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *victim = p + VICTIM * GPU_PAGE;
	uint64_t pfns[PAGES];

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x92))));
	page_pfns(p, pfns, PAGES);
	EXPECT_DELTA(gpu, pages_cleared, 1, SOFT_OFFLINE(victim));
	EXPECT_EQ(1UL, pages_moved(p, SIZE, pfns));
	EXPECT_NE(pfns[VICTIM], page_pfn(victim));
	EXPECT_UNMAPPED(gpu, victim, GPU_PAGE);
	EXPECT_EQ((int64_t)(SIZE - GPU_PAGE), gpu_mapped(gpu, p, SIZE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x92));
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(victim, GPU_PAGE, BYTES(0x93))));
	EXPECT_BYTES(victim, GPU_PAGE, 0x93);
	EXPECT_NO_SIGNAL();
	give_back();
}

/* Behaviour 92: soft-offline of a page of a huge page */
TEST_F(hwpoison, soft_offline_huge)
{
	uint64_t pfns[HUGE_PAGES];
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *victim;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	/* It stays split: khugepaged must not move the pages together again. */
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_NOHUGEPAGE));
	victim = p + 100 * GPU_PAGE;
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x92)));
	EXPECT_GAUGE(gpu, leaves_large, 1);
	page_pfns(p, pfns, HUGE_PAGES);
	SOFT_OFFLINE(victim);
	EXPECT_EQ(1UL, pages_moved(p, GPU_SZ_2M, pfns));
	EXPECT_GAUGE(gpu, leaves_large, 0);
	EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0x92);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x93)));
	EXPECT_BYTES(p, GPU_SZ_2M, 0x93);
	EXPECT_NO_SIGNAL();
	give_back();
}

/* Behaviour 92: page after page goes soft-offline while the device writes: none is lost */
TEST_F(hwpoison, soft_offline_race)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmds[8];
	unsigned int i, j;
	int ret = 0;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0));
	for (i = 0; i < PAGES; i++) {
		uint64_t seqno;

		for (j = 0; j < 8; j++)
			cmds[j] = fakegpu_fill(p, SIZE, BYTES(1 + (i * 8 + j) % 255ULL));
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 8, &seqno));
		/* A page that is being faulted in at this moment is busy. */
		for (j = 0; j < 100 && (ret = soft_offline(p + i * GPU_PAGE)) == -EBUSY; j++)
			usleep(1000);
		if (ret == -EINVAL || ret == -EPERM || ret == -EOPNOTSUPP)
			SKIP(return, "no MADV_SOFT_OFFLINE: %s", strerror(-ret));
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
		EXPECT_BYTES(p, SIZE, 1 + (i * 8 + 7) % 255);
	}
	EXPECT_NO_SIGNAL();
	give_back();
}

/* ---------------------------------------------------------- memory blocks --- */

#define BLOCKS	"/sys/devices/system/memory/"

static void on_alarm(int sig)
{
	(void)sig;
}

/* Offlining goes on until it succeeds, or a signal comes. Return: 0 or a negative errno. */
static int block_state(unsigned long block, const char *state)
{
	/* Without SA_RESTART. */
	struct sigaction action = { .sa_handler = on_alarm };
	char path[96];
	int ret;

	snprintf(path, sizeof(path), BLOCKS "memory%lu/state", block);
	sigaction(SIGALRM, &action, NULL);
	alarm(25);
	ret = sys_write(path, state);
	alarm(0);
	return ret;
}

/* A block of node 1 that can be taken offline, movable from then on; or -1. */
static long movable_block(void)
{
	unsigned int tries = 0;
	char path[96];
	long block;

	for (block = 4095; block > 0 && tries < 6; block--) {
		snprintf(path, sizeof(path), BLOCKS "memory%ld/node1", block);
		if (access(path, F_OK))
			continue;
		tries++;
		if (!block_state(block, "offline") && !block_state(block, "online_movable"))
			return block;
	}
	return -1;
}

static void check_offline(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			  size_t size, bool huge)
{
	const size_t count = size / GPU_PAGE;
	struct drm_fakegpu_vm_get_state before;
	unsigned long node = 2, bytes, i;
	uint64_t pfns[HUGE_PAGES];
	char text[32];
	long block;

	ASSERT_NE(NULL, sys_read(BLOCKS "block_size_bytes", text, sizeof(text)));
	bytes = strtoul(text, NULL, 16);
	block = movable_block();
	if (block < 0)
		SKIP(return, "no block of node 1's memory can be taken offline");

	/* Movable memory is what such pages are taken from first, and this is all of it. */
	ASSERT_EQ(0, madvise(p, size, MADV_DONTNEED));
	ASSERT_EQ(0, syscall(SYS_mbind, p, size, MPOL_PREFERRED, &node, 8 * sizeof(node), 0));
	EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(0x92)));
	page_pfns(p, pfns, count);
	for (i = 0; i < count; i++)
		EXPECT_EQ((uint64_t)block, pfns[i] * GPU_PAGE / bytes);
	EXPECT_GAUGE(gpu, leaves_large, huge);

	before = gpu_state(gpu);
	EXPECT_EQ(0, block_state(block, "offline"));
	/* The worker may bring a huge page back between two attempts to move it. */
	EXPECT_LE(count, gpu_state(gpu).pages_cleared - before.pages_cleared);
	if (!huge)
		EXPECT_EQ(count, gpu_state(gpu).pages_cleared - before.pages_cleared);
	EXPECT_EQ(count, pages_moved(p, size, pfns));
	for (i = 0; i < count; i++)
		EXPECT_NE((uint64_t)block, page_pfn(p + i * GPU_PAGE) * GPU_PAGE / bytes);
	EXPECT_VERIFY(gpu);
	EXPECT_DEVICE_BYTES(gpu, p, size, 0x92);
	EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(0x93)));
	EXPECT_BYTES(p, size, 0x93);
	EXPECT_NO_SIGNAL();
	EXPECT_EQ(0, block_state(block, "online_kernel"));
}

/* Behaviour 92: the memory block goes offline: the pages move, the device follows */
TEST_F(hwpoison, block_offline_small)
{
	SKIP_UNLESS_TWO_NODES();
	check_offline(_metadata, &self->gpu, gpu_map_anon(SIZE), SIZE, false);
}

/* Behaviour 92: the same with a huge page */
TEST_F(hwpoison, block_offline_huge)
{
	uint8_t *p;

	SKIP_UNLESS_TWO_NODES();
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	check_offline(_metadata, &self->gpu, p, GPU_SZ_2M, true);
}

TEST_HARNESS_MAIN
