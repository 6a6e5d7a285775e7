// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the device has mapped move to other frames: move_pages(2), mbind(2),
 * migrate_pages(2), compaction. They can, as the mirror holds no references, and
 * the device follows.
 *
 * What moves is a page that the device wrote last: its bytes are nowhere else.
 */
#include "fakegpu_test_page.h"
#include "fakegpu_test_proc.h"

#include <pthread.h>

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)
#define HUGE_PAGES	(GPU_SZ_2M / GPU_PAGE)

GPU_FIXTURE_SYS(migrate);

/* All pages of @p are on this node; they get there by CPU and kernel alone. */
static void place(struct __test_metadata *_metadata, uint8_t *p, size_t size, int node)
{
	memset(p, 0xee, size);
	ASSERT_EQ((long)(size / GPU_PAGE),
		  pages_move(0, p, size / GPU_PAGE, node, MPOL_MF_MOVE_ALL));
}

enum how { HOW_MOVE_PAGES, HOW_MBIND, HOW_MIGRATE_PAGES };

/* Bring [p, p + size) from node 0 to node 1. */
static void move(struct __test_metadata *_metadata, uint8_t *p, size_t size, enum how how)
{
	unsigned long from = 1, to = 2;

	switch (how) {
	case HOW_MOVE_PAGES:
		break;
	case HOW_MBIND:
		/* STRICT: an error if only one page could not be moved. */
		ASSERT_EQ(0, syscall(SYS_mbind, p, size, MPOL_BIND, &to, 8 * sizeof(to),
				     MPOL_MF_MOVE | MPOL_MF_STRICT));
		break;
	case HOW_MIGRATE_PAGES:
		/* It tells how many it could not move, of the whole process. */
		ASSERT_LE(0, syscall(SYS_migrate_pages, 0, 8 * sizeof(from), &from, &to));
		break;
	}
	/* All are there now; the last one to ask is the one that does it for MOVE_PAGES. */
	ASSERT_EQ((long)(size / GPU_PAGE),
		  pages_move(0, p, size / GPU_PAGE, 1, MPOL_MF_MOVE));
}

static void check_move(struct __test_metadata *_metadata, struct gpu *gpu, enum how how)
{
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t pfns[PAGES];

	place(_metadata, p, SIZE, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x90))));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	page_pfns(p, pfns, PAGES);

	/* migrate_pages() takes the page of results, too. */
	EXPECT_DELTA(gpu, pages_cleared, PAGES + (how == HOW_MIGRATE_PAGES),
		     move(_metadata, p, SIZE, how));
	EXPECT_EQ(PAGES, pages_moved(p, SIZE, pfns));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res + 7, 8, 0));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x90));
	/* And the bytes that it writes there are those of the process. */
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x91))));
	EXPECT_BYTES(p, SIZE, 0x91);
}

/* Behaviour 90: move_pages() of pages that the device wrote: all move, the device follows */
TEST_F(migrate, move_pages_small)
{
	SKIP_UNLESS_TWO_NODES();
	check_move(_metadata, &self->gpu, HOW_MOVE_PAGES);
}

/* Behaviour 90: mbind() with MPOL_MF_MOVE and STRICT: not one page stays behind */
TEST_F(migrate, mbind_small)
{
	SKIP_UNLESS_TWO_NODES();
	check_move(_metadata, &self->gpu, HOW_MBIND);
}

/* Behaviour 90: migrate_pages() of the whole process */
TEST_F(migrate, migrate_pages_small)
{
	struct gpu *gpu = &self->gpu;

	SKIP_UNLESS_TWO_NODES();
	/* The page of results is to go with the others. */
	ASSERT_EQ(1, pages_move(0, gpu->res, 1, 0, MPOL_MF_MOVE));
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res + 7, 8, 0));
	check_move(_metadata, gpu, HOW_MIGRATE_PAGES);
	EXPECT_EQ(1, page_node(gpu->res));
}

static void check_move_huge(struct __test_metadata *_metadata, struct gpu *gpu, enum how how)
{
	struct drm_fakegpu_vm_get_state before, after;
	uint64_t pfns[HUGE_PAGES];
	uint8_t *p;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	place(_metadata, p, GPU_SZ_2M, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x90))));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	page_pfns(p, pfns, HUGE_PAGES);

	before = gpu_state(gpu);
	move(_metadata, p, GPU_SZ_2M, how);
	after = gpu_state(gpu);
	EXPECT_EQ(HUGE_PAGES, pages_moved(p, GPU_SZ_2M, pfns));
	EXPECT_EQ(GPU_SZ_2M, gpu_thp_bytes(p, GPU_SZ_2M));
	/* One event of the whole slot: it isn't split, and the worker may bring it back. */
	EXPECT_EQ(HUGE_PAGES, (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_EQ(0ULL, after.leaves_split - before.leaves_split);
	EXPECT_EQ(0ULL, after.leaves_dropped - before.leaves_dropped);

	before = gpu_state(gpu);
	EXPECT_DEVICE_BYTES(gpu, p, GPU_SZ_2M, 0x90);
	EXPECT_GE(1ULL, gpu_state(gpu).faults - before.faults);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_RUN(gpu, fakegpu_fill(p, GPU_SZ_2M, BYTES(0x91)));
	EXPECT_BYTES(p, GPU_SZ_2M, 0x91);
}

/* Behaviour 90: move_pages() of a huge page: one large leaf before and after */
TEST_F(migrate, move_pages_huge)
{
	SKIP_UNLESS_TWO_NODES();
	check_move_huge(_metadata, &self->gpu, HOW_MOVE_PAGES);
}

/* Behaviour 90: mbind() of a huge page */
TEST_F(migrate, mbind_huge)
{
	SKIP_UNLESS_TWO_NODES();
	check_move_huge(_metadata, &self->gpu, HOW_MBIND);
}

/* Behaviour 90: every second page moves: the others' entries stay, to the page */
TEST_F(migrate, move_pages_every_second)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state before;
	size_t i;

	SKIP_UNLESS_TWO_NODES();
	place(_metadata, p, SIZE, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x90))));
	before = gpu_state(gpu);
	for (i = 0; i < PAGES; i += 2)
		ASSERT_EQ(1, pages_move(0, p + i * GPU_PAGE, 1, 1, MPOL_MF_MOVE));
	EXPECT_EQ(PAGES / 2, gpu_state(gpu).pages_cleared - before.pages_cleared);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i % 2 ? (int64_t)GPU_PAGE : 0,
			  gpu_mapped(gpu, p + i * GPU_PAGE, GPU_PAGE));
	before = gpu_state(gpu);
	for (i = 1; i < PAGES; i += 2)
		EXPECT_DEVICE_BYTES(gpu, p + i * GPU_PAGE, GPU_PAGE, 0x90);
	EXPECT_EQ(0ULL, gpu_state(gpu).faults - before.faults);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x90));
}

/* Behaviours 90, 82: memory that is mapped twice: both mirrored addresses follow */
TEST_F(migrate, move_pages_shared)
{
	struct gpu *gpu = &self->gpu;
	uint64_t pfns[PAGES];
	uint8_t *p, *q;
	int fd;

	SKIP_UNLESS_TWO_NODES();
	fd = gpu_memfd(SIZE);
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	place(_metadata, p, SIZE, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x90)));
	EXPECT_DEVICE_BYTES(gpu, q, SIZE, 0x90);
	page_pfns(p, pfns, PAGES);
	EXPECT_DELTA(gpu, pages_cleared, 2 * PAGES,
		     ASSERT_EQ((long)PAGES, pages_move(0, p, PAGES, 1, MPOL_MF_MOVE_ALL)));
	EXPECT_EQ(PAGES, pages_moved(p, SIZE, pfns));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_UNMAPPED(gpu, q, SIZE);
	EXPECT_RUN(gpu, fakegpu_fill(q, SIZE, BYTES(0x91)));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x91);
	EXPECT_BYTES(p, SIZE, 0x91);
	close(fd);
}

/* Behaviour 90: another process moves them: the callback runs on its behalf */
TEST_F(migrate, move_pages_by_other_process)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t pfns[PAGES];
	struct proc child;

	SKIP_UNLESS_TWO_NODES();
	place(_metadata, p, SIZE, 0);
	/* Else it is the child's memory, too, and stays where it is. */
	ASSERT_EQ(0, madvise(p, SIZE, MADV_DONTFORK));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x90)));
	page_pfns(p, pfns, PAGES);
	if (proc_fork(&child)) {
		long there = pages_move(getppid(), p, PAGES, 1, MPOL_MF_MOVE);

		CHILD_CHECK(there == (long)PAGES);
		_exit(0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_EQ(PAGES, pages_moved(p, SIZE, pfns));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x90);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x91))));
	EXPECT_BYTES(p, SIZE, 0x91);
}

/* ------------------------------------------------------------- compaction --- */

#define SPARSE_STEP	8UL
#define SPARSE_COUNT	1024UL
#define SPARSE_SIZE	(SPARSE_COUNT * SPARSE_STEP * GPU_PAGE)

/* Let the device compute a CRC of each of the pages, in as few submissions as can be. */
static void sparse_crcs(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			uint64_t *crcs)
{
	struct drm_fakegpu_cmd cmds[64];
	size_t i;

	for (i = 0; i < SPARSE_COUNT; i++) {
		cmds[i % 64] = fakegpu_checksum(p + i * SPARSE_STEP * GPU_PAGE, GPU_PAGE, &crcs[i]);
		if (i % 64 == 63)
			ASSERT_EQ(0, gpu_run(gpu, cmds, 64));
	}
}

/*
 * Behaviour 90: compaction moves pages that the device wrote
 *
 * One page of eight is left of some MiB, so there are holes to fill, if they go to
 * the allocator and aren't kept by a processor. Which pages move is the kernel's
 * choice: each that did has lost its entry, and one that only nearly did may have.
 */
TEST_F(migrate, compaction)
{
	uint64_t *pfns = calloc(SPARSE_COUNT, sizeof(*pfns));
	uint64_t *crcs = gpu_map_anon(SPARSE_COUNT * sizeof(*crcs));
	uint8_t *p = gpu_map_anon(SPARSE_SIZE), *page;
	struct gpu *gpu = &self->gpu;
	size_t i, n = 0, mapped = 0, round;
	struct drm_fakegpu_vm_get_state before, after;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "no compaction in this kernel");
	ASSERT_EQ(0, sys_set(&self->sys, "/proc/sys/vm/percpu_pagelist_high_fraction", "100000"));
	EXPECT_RUN(gpu, fakegpu_fill(p, SPARSE_SIZE, BYTES(0x90)));
	for (i = 0; i < SPARSE_COUNT; i++)
		ASSERT_EQ(0, madvise(p + (i * SPARSE_STEP + 1) * GPU_PAGE,
				     (SPARSE_STEP - 1) * GPU_PAGE, MADV_DONTNEED));
	EXPECT_EQ((int64_t)(SPARSE_COUNT * GPU_PAGE), gpu_mapped(gpu, p, SPARSE_SIZE));
	for (i = 0; i < SPARSE_COUNT; i++)
		pfns[i] = page_pfn(p + i * SPARSE_STEP * GPU_PAGE);

	before = gpu_state(gpu);
	for (round = 0; round < 8 && !n; round++) {
		ASSERT_EQ(0, sys_write("/proc/sys/vm/compact_memory", "1"));
		for (i = 0; i < SPARSE_COUNT; i++)
			n += page_pfn(p + i * SPARSE_STEP * GPU_PAGE) != pfns[i];
	}
	after = gpu_state(gpu);
	sys_restore(&self->sys);
	EXPECT_LT(0UL, n);
	for (i = 0; i < SPARSE_COUNT; i++) {
		page = p + i * SPARSE_STEP * GPU_PAGE;
		if (!gpu_mapped(gpu, page, GPU_PAGE))
			continue;
		mapped++;
		EXPECT_EQ(pfns[i], page_pfn(page));
	}
	TH_LOG("%zu of %zu pages moved, %zu kept their entries", n, SPARSE_COUNT, mapped);
	/* The page of results is as good as any. */
	EXPECT_EQ(SPARSE_COUNT - mapped + !gpu_mapped(gpu, gpu->res, GPU_PAGE),
		  (size_t)(after.pages_cleared - before.pages_cleared));
	EXPECT_VERIFY(gpu);

	sparse_crcs(_metadata, gpu, p, crcs);
	for (i = 0; i < SPARSE_COUNT; i++) {
		page = p + i * SPARSE_STEP * GPU_PAGE;
		EXPECT_EQ(gpu_crc_byte(GPU_PAGE, 0x90), crcs[i]);
		*(uint64_t *)page = i;
	}
	sparse_crcs(_metadata, gpu, p, crcs);
	for (i = 0; i < SPARSE_COUNT; i++)
		EXPECT_EQ(gpu_crc(p + i * SPARSE_STEP * GPU_PAGE, GPU_PAGE), crcs[i]);
	free(pfns);
}

/* --------------------------------------------------------- NUMA balancing --- */

#define SCAN	"/sys/kernel/debug/sched/numa_balancing/"

/*
 * Let the kernel look who uses what, as often as it can. The runner leaves that
 * on, but has us ask for local memory, and whoever asks for some is passed over.
 */
static bool balancing_start(struct sys_state *sys)
{
	return !syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) &&
	       !sys_set(sys, SCAN "scan_delay_ms", "1") &&
	       !sys_set(sys, SCAN "scan_period_min_ms", "1") &&
	       !sys_set(sys, SCAN "scan_size_mb", "4096") &&
	       !sys_set(sys, "/proc/sys/kernel/numa_balancing", "1");
}

static void balancing_stop(struct sys_state *sys)
{
	syscall(SYS_set_mempolicy, MPOL_LOCAL, NULL, 0);
	sys_restore(sys);
}

#define BALANCING_START(sys) do { \
	if (!balancing_start(sys)) \
		SKIP(return, "no NUMA balancing, or no debugfs files for it"); \
} while (0)

/*
 * Run on node 0 with memory on node 1 until the kernel has replaced its entries by
 * hints, which it does as this thread uses its processor. The mirror's entries
 * must go with them, though no page has moved and no right has changed.
 */
static void check_hints(struct __test_metadata *_metadata, struct gpu *gpu, struct sys_state *sys,
			uint8_t *p, size_t size, unsigned int order)
{
	const size_t count = size / GPU_PAGE;
	int64_t end = gpu_now() + GPU_WAIT_NS;
	struct drm_fakegpu_vm_get_state before;
	uint64_t hints;

	place(_metadata, p, size, 1);
	/* This thread's pages only: a scan passes over pages of the node that it is on. */
	ASSERT_TRUE(run_on_node(0));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(0x91))));
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, order, SYSTEM);

	BALANCING_START(sys);
	while (gpu_mapped(gpu, p, size) && gpu_now() < end)
		;
	/* What are hints by now stay hints, and no new ones come. */
	balancing_stop(sys);
	EXPECT_UNMAPPED(gpu, p, size);

	/* The page of results may have got a hint, too. */
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res, 8, 0));
	/* Each hint is a fault to the CPU, whoever takes it; to the device it is one. */
	hints = sys_vmstat("numa_hint_faults");
	before = gpu_state(gpu);
	EXPECT_DEVICE_BYTES(gpu, p, size, 0x91);
	EXPECT_EQ(1ULL, gpu_state(gpu).faults - before.faults);
	EXPECT_LE(order == 12 ? count : 1, sys_vmstat("numa_hint_faults") - hints);
	EXPECT_MAPPED(gpu, p, size);
	EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(0x19)));
	EXPECT_BYTES(p, size, 0x19);
}

/* Behaviour 91: NUMA-balancing hints: the entries go, the next access takes one fault */
TEST_F(migrate, hints_small)
{
	SKIP_UNLESS_TWO_NODES();
	check_hints(_metadata, &self->gpu, &self->sys, gpu_map_anon(SIZE), SIZE, 12);
}

/* Behaviour 91: the hint of a huge page */
TEST_F(migrate, hints_huge)
{
	uint8_t *p;

	SKIP_UNLESS_TWO_NODES();
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	check_hints(_metadata, &self->gpu, &self->sys, p, GPU_SZ_2M, 21);
}

/* Behaviour 91: the first access after the hints is a write by the device */
TEST_F(migrate, hints_then_device_writes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	int64_t end = gpu_now() + GPU_WAIT_NS;

	SKIP_UNLESS_TWO_NODES();
	place(_metadata, p, SIZE, 1);
	ASSERT_TRUE(run_on_node(0));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0xee);
	BALANCING_START(&self->sys);
	while (gpu_mapped(gpu, p, SIZE) && gpu_now() < end)
		;
	balancing_stop(&self->sys);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE / 2, BYTES(0x91))));
	EXPECT_BYTES(p, SIZE / 2, 0x91);
	EXPECT_BYTES(p + SIZE / 2, SIZE / 2, 0xee);
	EXPECT_DEVICE_BYTES(gpu, p + SIZE / 2, SIZE / 2, 0xee);
}

struct walker {
	uint8_t *p;
	size_t size;
	volatile bool stop;
	pthread_t thread;
};

/* Use the memory from one node and then from the other. */
static void *walker_main(void *arg)
{
	struct walker *w = arg;
	unsigned int node = 0;
	int64_t turn = 0;

	while (!w->stop) {
		if (gpu_now() > turn) {
			run_on_node(node++ % 2);
			turn = gpu_now() + 50000000;
		}
		gpu_byte_diff(w->p, w->size, *w->p);
	}
	return NULL;
}

/* Since these counts, have so many hints been made and taken? */
static bool enough_hints(uint64_t updates, uint64_t hints)
{
	return sys_vmstat("numa_pte_updates") >= updates + PAGES &&
	       sys_vmstat("numa_hint_faults") >= hints + PAGES;
}

/* Behaviour 91: balancing at work while the device writes: no write is lost */
TEST_F(migrate, hints_race)
{
	struct gpu *gpu = &self->gpu;
	struct walker w = { .p = gpu_map_anon(SIZE), .size = SIZE };
	int64_t end = gpu_now() + GPU_WAIT_NS;
	uint64_t updates, hints;
	unsigned int i;

	SKIP_UNLESS_TWO_NODES();
	place(_metadata, w.p, SIZE, 1);
	BALANCING_START(&self->sys);
	updates = sys_vmstat("numa_pte_updates");
	hints = sys_vmstat("numa_hint_faults");
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, walker_main, &w));
	for (i = 0; i < 100 || (gpu_now() < end && !enough_hints(updates, hints)); i++) {
		uint64_t byte = 1 + i % 255;

		EXPECT_RUN(gpu, fakegpu_fill(w.p, SIZE, BYTES(byte)));
		EXPECT_BYTES(w.p, SIZE, byte);
		memset(w.p, ~byte, SIZE);
		EXPECT_DEVICE_BYTES(gpu, w.p, SIZE, (uint8_t)~byte);
	}
	w.stop = true;
	pthread_join(w.thread, NULL);
	TH_LOG("%u rounds, %ju hints made, %ju taken", i,
	       (uintmax_t)(sys_vmstat("numa_pte_updates") - updates),
	       (uintmax_t)(sys_vmstat("numa_hint_faults") - hints));
	EXPECT_LE(PAGES, sys_vmstat("numa_pte_updates") - updates);
	EXPECT_LE(PAGES, sys_vmstat("numa_hint_faults") - hints);
}

/* ------------------------------------------------------------------ races --- */

struct mover {
	uint8_t *p;
	size_t size;
	volatile bool stop;
	/* Read by the test while the thread runs. */
	volatile unsigned long moves;
	pthread_t thread;
};

static void *mover_main(void *arg)
{
	struct mover *m = arg;
	int node = 1;

	while (!m->stop) {
		long there = pages_move(0, m->p, m->size / GPU_PAGE, node, MPOL_MF_MOVE);

		/* A page in use by a fault at this moment may stay; it's tried again. */
		if (there > 0)
			m->moves += there;
		node = !node;
	}
	return NULL;
}

#define MOVES_WANTED	4

static void race_fill(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p, size_t size,
		      unsigned int rounds)
{
	struct mover m = { .p = p, .size = size };
	int64_t end = gpu_now() + GPU_WAIT_NS;
	unsigned int i;

	place(_metadata, p, size, 0);
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, mover_main, &m));
	for (i = 0; i < rounds || (m.moves < MOVES_WANTED * size / GPU_PAGE && gpu_now() < end);
	     i++) {
		uint64_t byte = 1 + i % 255;

		EXPECT_RUN(gpu, fakegpu_fill(p, size, BYTES(byte)));
		/* What is done is done, wherever the page has gone meanwhile. */
		EXPECT_BYTES(p, size, byte);
		memset(p, ~byte, size);
		EXPECT_DEVICE_BYTES(gpu, p, size, (uint8_t)~byte);
	}
	m.stop = true;
	pthread_join(m.thread, NULL);
	TH_LOG("%u rounds, %lu moves, %ju entries lost to them", i, m.moves,
	       (uintmax_t)gpu_state(gpu).pages_cleared);
	EXPECT_LE(MOVES_WANTED * size / GPU_PAGE, m.moves);
	EXPECT_LT(0ULL, (unsigned long long)gpu_state(gpu).pages_cleared);
}

/* Behaviour 90: pages move all the time while the device fills them: no write is lost */
TEST_F(migrate, race_fill_small)
{
	SKIP_UNLESS_TWO_NODES();
	race_fill(_metadata, &self->gpu, gpu_map_anon(SIZE), SIZE, 60);
}

/* Behaviour 90: a huge page moves all the time while the device fills it */
TEST_F(migrate, race_fill_huge)
{
	uint8_t *p;

	SKIP_UNLESS_TWO_NODES();
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	race_fill(_metadata, &self->gpu, p, GPU_SZ_2M, 15);
}

/* Behaviours 90, 103: CPU and device add to words of a page that moves: the sum is exact */
TEST_F(migrate, race_atomics)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(4 * GPU_PAGE);
	struct mover m = { .p = p, .size = 4 * GPU_PAGE };
	struct drm_fakegpu_cmd cmds[64];
	int64_t end = gpu_now() + GPU_WAIT_NS;
	volatile uint64_t *word[4];
	unsigned int round, i;

	SKIP_UNLESS_TWO_NODES();
	place(_metadata, p, 4 * GPU_PAGE, 0);
	memset(p, 0, 4 * GPU_PAGE);
	for (i = 0; i < 4; i++)
		word[i] = (volatile uint64_t *)(p + i * GPU_PAGE + 64);
	for (i = 0; i < 64; i++)
		cmds[i] = fakegpu_atomic(word[i % 4], 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);

	ASSERT_EQ(0, pthread_create(&m.thread, NULL, mover_main, &m));
	for (round = 0; round < 100 || (m.moves < 40 && gpu_now() < end); round++) {
		uint64_t seqno;

		EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 64, &seqno));
		for (i = 0; i < 64; i++)
			__atomic_fetch_add(word[i % 4], 1, __ATOMIC_RELAXED);
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	}
	m.stop = true;
	pthread_join(m.thread, NULL);
	EXPECT_LE(40UL, m.moves);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(32ULL * round, *word[i]);
}

TEST_HARNESS_MAIN
