// SPDX-License-Identifier: MIT
/*
 * What is counted, on one processor
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cost.h"
#include "fakegpu_floor.h"

#define SIZE		(64 * MIB)
/* In huge pages enough that the mirror's reserve for splits is full early on. */
#define SIZE_HUGE	(512 * MIB)
#define BATCH		256U	/* faults at a time */
#define ROUNDS		8U
#define ISOLATED	64U
#define CALLS		64U	/* system calls of a kind */

enum { SMALL, HUGE };

/* ------------------------------------------------------------ device faults --- */

/*
 * Memory that the CPU has, and the device hasn't. What the access itself takes is
 * not the fault's: it is done once more. How often a worker is switched to is a matter
 * of luck, so the least of several rounds counts, of both.
 */
static double count_cold(struct cost *c, unsigned long huge)
{
	const size_t size = huge ? SIZE_HUGE : SIZE;
	uint8_t *p = cost_reserve(size);
	double cold = 0, warm = 0;
	unsigned int round;

	cost_map(p, size, huge);
	cost_populate(p, size);
	for (round = 0; round < ROUNDS; round++) {
		cost_least(&cold, cost_access(c, p, size, PAGE, false));
		cost_least(&warm, cost_access(c, p, size, PAGE, false));
		cost_forget(p, size);
		usleep(10000);
	}
	if (c->party->kind == FLOOR)
		warm = 0;
	return (cold - warm) / (size / PAGE);
}

/* Memory that nobody has. */
static double count_first(struct cost *c, unsigned long huge)
{
	uint8_t *p = cost_reserve(SIZE);

	cost_map(p, SIZE, huge);
	return (double)cost_access(c, p, SIZE, PAGE, true) / (SIZE / PAGE);
}

/* Pages that the CPU gets of which the device writes one in 2 MiB. */
static double count_sparse(struct cost *c, unsigned long arg)
{
	unsigned char there[LEAF / PAGE];
	unsigned int i, pages = 0;
	size_t offset;
	uint8_t *p = cost_reserve(SIZE);

	(void)arg;
	cost_map(p, SIZE, false);
	cost_access(c, p, SIZE, LEAF, true);
	for (offset = 0; offset < SIZE; offset += LEAF) {
		if (mincore(p + offset, LEAF, there))
			cost_die("mincore: %s", strerror(errno));
		for (i = 0; i < LEAF / PAGE; i++)
			pages += there[i] & 1;
	}
	return (double)pages / (SIZE / LEAF);
}

/* A page alone in its VMA, so that there is nothing else in the window; the median. */
static double count_single(struct cost *c, unsigned long arg)
{
	uint8_t *p = cost_reserve(2 * ISOLATED * LEAF);
	double cold[ISOLATED], warm[ISOLATED];
	unsigned int i;

	(void)arg;
	for (i = 0; i <= ISOLATED; i++) {
		cost_map(p + 2 * i * LEAF, PAGE, false);
		cost_populate(p + 2 * i * LEAF, PAGE);
	}
	/* In scheme slot the first one registers the interval of all. */
	cost_access(c, p + 2 * ISOLATED * LEAF, PAGE, PAGE, false);
	for (i = 0; i < ISOLATED; i++)
		cold[i] = cost_access(c, p + 2 * i * LEAF, PAGE, PAGE, false);
	for (i = 0; i < ISOLATED; i++)
		warm[i] = cost_access(c, p + 2 * i * LEAF, PAGE, PAGE, false);
	return cost_rank(cold, ISOLATED, 500) - cost_rank(warm, ISOLATED, 500);
}

static uint64_t submit_batch(struct cost *c, const uint32_t *queues, uint8_t *p, size_t distance)
{
	uint64_t begin = __rdtsc(), seqno[BATCH];
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		struct drm_fakegpu_cmd cmd = fakegpu_touch(p + i * distance, PAGE, PAGE, 0);

		seqno[i] = cost_submit(c, queues[i], &cmd, 1);
	}
	for (i = 0; i < BATCH; i++)
		cost_wait(c, queues[i], seqno[i]);
	return __rdtsc() - begin;
}

/*
 * Faults of many queues at a time, @distance bytes from one to the next: of one VMA,
 * where the pages in between aren't there; or in a VMA and a window each. Who runs when
 * is a matter of luck, so the least of several rounds counts, with faults and without.
 */
static double count_batch(struct cost *c, unsigned long distance)
{
	uint8_t *p = cost_reserve(BATCH * distance);
	const bool apart = distance >= LEAF;
	double cold = 0, warm = 0;
	uint32_t queues[BATCH];
	unsigned int i, round;

	if (!apart)
		cost_map(p, BATCH * distance, false);
	for (i = 0; i < BATCH; i++) {
		/* With the one that there is, as many as a file may have. */
		queues[i] = i ? cost_queue(c) : c->queue;
		if (apart)
			cost_map(p + i * distance, PAGE, false);
		cost_populate(p + i * distance, PAGE);
	}
	for (round = 0; round < ROUNDS; round++) {
		cost_least(&cold, submit_batch(c, queues, p, distance));
		cost_least(&warm, submit_batch(c, queues, p, distance));
		if (!apart)
			cost_forget(p, BATCH * distance);
		for (i = 0; apart && i < BATCH; i++)
			cost_forget(p + i * distance, PAGE);
		/* Workers come to an end. */
		usleep(10000);
	}
	return (cold - warm) / BATCH;
}

/* --------------------------------------------------------------- warm access --- */

/* Of a byte in each page that the device has. */
static double count_warm(struct cost *c, unsigned long write)
{
	uint8_t *p = cost_reserve(SIZE);

	cost_map(p, SIZE, false);
	cost_populate(p, SIZE);
	cost_access(c, p, SIZE, PAGE, write);
	return (double)cost_access(c, p, SIZE, PAGE, write) / (SIZE / PAGE);
}

static double copy_device(struct cost *c)
{
	uint8_t *src = cost_reserve(SIZE), *dst = cost_reserve(SIZE);
	struct drm_fakegpu_cmd cmd = fakegpu_copy(dst, src, SIZE);

	cost_map(src, SIZE, false);
	cost_map(dst, SIZE, false);
	cost_populate(src, SIZE);
	cost_populate(dst, SIZE);
	cost_access(c, src, SIZE, PAGE, false);
	cost_access(c, dst, SIZE, PAGE, true);
	return (double)TICKS(cost_run(c, &cmd)) / (SIZE / PAGE);
}

static double copy_floor(struct cost *c)
{
	struct fakegpu_floor_copy copy = { .size = SIZE };

	if (ioctl(c->fd, FAKEGPU_FLOOR_IOC_COPY, &copy))
		cost_die("the floor fails: %s", strerror(errno));
	return (double)copy.ticks / (SIZE / PAGE);
}

/* Of device memory that is mapped already; test_hmm has only copies to and from itself. */
static double count_copy(struct cost *c, unsigned long arg)
{
	(void)arg;
	if (c->party->kind == DEVICE)
		return copy_device(c);
	if (c->party->kind == FLOOR)
		return copy_floor(c);
	return count_warm(c, false);
}

/* -------------------------------------------------------------------- munmap --- */

enum { READ_SMALL, READ_HUGE, WRITTEN_SMALL, WRITTEN_HUGE };

/* Of memory that the device has read, or written; by the CPU: that it hasn't. */
static double count_munmap(struct cost *c, unsigned long what)
{
	bool huge = what == READ_HUGE || what == WRITTEN_HUGE;
	uint8_t *p = cost_reserve(SIZE);

	cost_map(p, SIZE, huge);
	cost_populate(p, SIZE);
	if (c->party->kind != CPU)
		cost_access(c, p, SIZE, PAGE, what == WRITTEN_SMALL || what == WRITTEN_HUGE);
	return (double)TICKS(cost_unmap(p, SIZE)) / (SIZE / PAGE);
}

/* Of one page amid each 2 MiB that the device has by a large leaf. */
static double count_hole(struct cost *c, unsigned long arg)
{
	uint8_t *p = cost_reserve(SIZE);
	uint64_t ticks = 0;
	size_t offset;

	(void)arg;
	cost_map(p, SIZE, true);
	cost_populate(p, SIZE);
	if (c->party->kind != CPU)
		cost_access(c, p, SIZE, PAGE, false);
	for (offset = LEAF / 2; offset < SIZE; offset += LEAF) {
		ticks += TICKS(cost_unmap(p + offset, PAGE));
		/* What the worker does meanwhile isn't the caller's. */
		usleep(1000);
	}
	return (double)ticks / (SIZE / LEAF);
}

/* -------------------------------------------------- elsewhere in the process --- */

enum { CALL_MUNMAP, CALL_MPROTECT, CALL_FORK, CALL_MADVISE };

static uint64_t call(unsigned long which, uint8_t *p, size_t size)
{
	uint64_t ticks;
	pid_t pid;

	switch (which) {
	case CALL_MUNMAP:
		return TICKS(cost_unmap(p, size));
	case CALL_MPROTECT:
		return TICKS(mprotect(p, size, PROT_READ));
	case CALL_MADVISE:
		return TICKS(madvise(p, size, MADV_DONTNEED));
	default:
		ticks = TICKS(pid = fork());
		if (!pid)
			_exit(0);
		if (pid < 0)
			cost_die("fork: %s", strerror(errno));
		waitpid(pid, NULL, 0);
		usleep(1000);
		return ticks;
	}
}

/* System calls where the device has nothing, in a process that it has a page of. */
static double count_elsewhere(struct cost *c, unsigned long which)
{
	uint8_t *own = cost_reserve(LEAF), *p = cost_reserve(SIZE);
	const size_t size = SIZE / CALLS;
	uint64_t ticks = 0;
	unsigned int i;

	cost_map(own, PAGE, false);
	cost_populate(own, PAGE);
	if (c->party->kind == FLOOR) {
		struct fakegpu_floor_watch watch = { (uintptr_t)own, PAGE };

		if (ioctl(c->fd, FAKEGPU_FLOOR_IOC_WATCH, &watch))
			cost_die("the floor fails: %s", strerror(errno));
	} else if (c->party->kind == DEVICE) {
		cost_access(c, own, PAGE, PAGE, false);
	}
	cost_map(p, SIZE, false);
	cost_populate(p, SIZE);
	usleep(10000);
	for (i = 0; i < CALLS; i++)
		ticks += call(which, p + i * size, size);
	return (double)ticks / CALLS;
}

/* -------------------------------------------------------------------- memory --- */

/*
 * What the mirror grows by when a GiB comes beside what there is, so that the nodes
 * further up are there. Its reserve for splits, up to 32 nodes for a VM, isn't in that.
 */
static double count_memory(struct cost *c, unsigned long huge)
{
	const size_t size = 1024 * MIB;
	uint8_t *p = (uint8_t *)(((uintptr_t)cost_reserve(2 * size) + size - 1) & ~(size - 1));
	struct drm_fakegpu_vm_get_state before, after;
	uint64_t leaves = huge ? size / LEAF : 0;

	cost_map(p + size, PAGE, false);
	cost_access(c, p + size, PAGE, PAGE, true);
	cost_map(p, size, huge);
	if (huge)
		cost_populate(p, size);
	else
		/* The zero page will do. */
		for (size_t i = 0; i < size; i += PAGE)
			(void)*(volatile uint8_t *)(p + i);
	before = cost_state(c);
	cost_access(c, p, size, PAGE, false);
	after = cost_state(c);
	if (after.leaves_large - before.leaves_large != leaves)
		cost_die("%llu large leaves instead of %llu",
			 (unsigned long long)(after.leaves_large - before.leaves_large),
			 (unsigned long long)leaves);
	return (double)(after.memory - before.memory) / (huge ? size / LEAF : size / PAGE);
}

#define QUICK		false
#define SLOW		true
#define ALL_BUT_CPU	(BY(FLOOR) | BY(HMM) | BY(DEVICE))
#define ALL		(ALL_BUT_CPU | BY(CPU))

const struct figure figures[] = {
	{ "cold.4k", "instructions a page", "device fault on memory that the CPU has",
	  ALL_BUT_CPU, count_cold, SMALL, QUICK },
	{ "cold.thp", "instructions a page", "the same, in huge pages",
	  ALL_BUT_CPU, count_cold, HUGE, QUICK },
	{ "single", "instructions a fault", "one device fault, alone",
	  BY(DEVICE), count_single, 0, QUICK },
	{ "batch.64k", "instructions a fault", "256 faults at a time, 64 KiB apart",
	  BY(DEVICE), count_batch, 64 * KIB, QUICK },
	{ "batch.4m", "instructions a fault", "256 faults at a time, in a window each",
	  BY(DEVICE), count_batch, 4 * MIB, QUICK },
	{ "first.4k", "instructions a page", "first touch by a write",
	  ALL, count_first, SMALL, QUICK },
	{ "first.thp", "instructions a page", "the same, in huge pages",
	  ALL, count_first, HUGE, QUICK },
	{ "sparse", "pages", "that a write of one page of 2 MiB allocates",
	  BY(CPU) | BY(DEVICE), count_sparse, 0, QUICK },
	{ "warm.read", "instructions a page", "read of a byte of each page, all mapped",
	  BY(HMM) | BY(DEVICE), count_warm, false, QUICK },
	{ "warm.write", "instructions a page", "write of a byte of each page, all mapped",
	  BY(HMM) | BY(DEVICE), count_warm, true, QUICK },
	{ "copy", "instructions a page", "copy, all mapped; test_hmm: read",
	  ALL_BUT_CPU, count_copy, 0, QUICK },
	{ "munmap.4k", "instructions a page", "munmap of what the device has read",
	  BY(CPU) | BY(HMM) | BY(DEVICE), count_munmap, READ_SMALL, QUICK },
	{ "munmap.thp", "instructions a page", "the same, in huge pages",
	  BY(CPU) | BY(HMM) | BY(DEVICE), count_munmap, READ_HUGE, QUICK },
	{ "dirty.4k", "instructions a page", "munmap of what the device has written",
	  BY(CPU) | BY(DEVICE), count_munmap, WRITTEN_SMALL, QUICK },
	{ "dirty.thp", "instructions a page", "the same, in huge pages",
	  BY(CPU) | BY(DEVICE), count_munmap, WRITTEN_HUGE, QUICK },
	{ "hole", "instructions", "munmap of a page amid a large leaf",
	  BY(CPU) | BY(DEVICE), count_hole, 0, QUICK },
	{ "else.munmap", "instructions", "munmap of 1 MiB where the device has nothing",
	  BY(CPU) | BY(FLOOR) | BY(DEVICE), count_elsewhere, CALL_MUNMAP, QUICK },
	{ "else.mprotect", "instructions", "mprotect there",
	  BY(CPU) | BY(FLOOR) | BY(DEVICE), count_elsewhere, CALL_MPROTECT, QUICK },
	{ "else.fork", "instructions", "fork of such a process",
	  BY(CPU) | BY(FLOOR) | BY(DEVICE), count_elsewhere, CALL_FORK, QUICK },
	{ "else.madvise", "instructions", "MADV_DONTNEED there",
	  BY(CPU) | BY(FLOOR) | BY(DEVICE), count_elsewhere, CALL_MADVISE, QUICK },
	{ "memory.4k", "bytes a page", "mirror, dense", BY(DEVICE), count_memory, SMALL, QUICK },
	{ "memory.thp", "bytes a leaf", "mirror, huge pages",
	  BY(DEVICE), count_memory, HUGE, QUICK },
	{ "fault.1e2", "instructions", "fault in a region of 100 that are mirrored",
	  BY(DEVICE), count_regions_fault, 100, QUICK },
	{ "fault.1e3", "instructions", "of 1,000", BY(DEVICE), count_regions_fault, 1000, QUICK },
	{ "fault.1e4", "instructions", "of 10,000",
	  BY(DEVICE), count_regions_fault, 10000, QUICK },
	{ "fault.1e5", "instructions", "of 100,000",
	  BY(DEVICE), count_regions_fault, 100000, SLOW },
	{ "fault.1e6", "instructions", "of 1,000,000",
	  BY(DEVICE), count_regions_fault, 1000000, SLOW },
	{ "unmap.1e2", "instructions", "munmap of a region of 100 that are mirrored",
	  BY(CPU) | BY(DEVICE), count_regions_munmap, 100, QUICK },
	{ "unmap.1e3", "instructions", "of 1,000",
	  BY(CPU) | BY(DEVICE), count_regions_munmap, 1000, QUICK },
	{ "unmap.1e4", "instructions", "of 10,000",
	  BY(CPU) | BY(DEVICE), count_regions_munmap, 10000, QUICK },
	{ "unmap.1e5", "instructions", "of 100,000",
	  BY(CPU) | BY(DEVICE), count_regions_munmap, 100000, SLOW },
	{ "unmap.1e6", "instructions", "of 1,000,000",
	  BY(CPU) | BY(DEVICE), count_regions_munmap, 1000000, SLOW },
};

const unsigned int nr_figures = sizeof(figures) / sizeof(figures[0]);
