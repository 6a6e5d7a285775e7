// SPDX-License-Identifier: MIT
/*
 * The workloads: memory that comes and goes in the ways that programs know, while a
 * device uses it
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void make_blocks(struct bench *b, unsigned int count, size_t size, size_t distance)
{
	unsigned int i;

	b->base = bench_reserve(count * distance);
	b->blocks = calloc(count, sizeof(*b->blocks));
	if (!b->blocks)
		bench_die("out of memory");
	b->nr_blocks = count;
	for (i = 0; i < count; i++)
		b->blocks[i] = (struct block){ b->base + i * distance, size, true };
}

static void populate_blocks(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < b->nr_blocks; i++) {
		bench_map(b->blocks[i].p, b->blocks[i].size);
		bench_access(b, b->blocks[i].p, b->blocks[i].size, PAGE, false);
	}
}

static struct block *random_block(struct bench *b, uint64_t *seed)
{
	return &b->blocks[bench_rand(seed) % b->nr_blocks];
}

/* Give a block back, or take it again. */
static void op_toggle(struct bench *b)
{
	struct block *block = random_block(b, &b->op_seed);

	b->last = block - b->blocks;
	if (block->there)
		OP(b, munmap(block->p, block->size));
	else
		bench_map(block->p, block->size);
	block->there = !block->there;
}

/* In parallel it may go at any time. */
static void access_if_there(struct bench *b, const struct block *block, bool write)
{
	if (block->there)
		bench_access(b, block->p, block->size, PAGE, write);
}

/* The block of the last operation and another one, as far as they are there. */
static void access_blocks(struct bench *b)
{
	access_if_there(b, &b->blocks[b->last], false);
	access_if_there(b, random_block(b, &b->access_seed), false);
}

/* malloc() and free() of large pieces: neighbours, so the kernel merges them to one VMA. */
static void setup_storm(struct bench *b)
{
	make_blocks(b, 256, 64 * KIB, 64 * KIB);
	populate_blocks(b);
}

/* Stacks, mapped files, JIT code: VMAs that nothing merges. */
static void setup_small(struct bench *b)
{
	make_blocks(b, 1024, 16 * KIB, 32 * KIB);
	populate_blocks(b);
}

/* One array; pieces of it are given back without an munmap(). */
static void setup_huge(struct bench *b)
{
	make_blocks(b, 1024, 64 * KIB, 64 * KIB);
	bench_map(b->base, b->nr_blocks * 64 * KIB);
	bench_access(b, b->base, b->nr_blocks * 64 * KIB, PAGE, false);
}

static void op_dontneed(struct bench *b)
{
	struct block *block = random_block(b, &b->op_seed);

	b->last = block - b->blocks;
	OP(b, madvise(block->p, block->size, MADV_DONTNEED));
}

/* A collector's heap: blocks are decommitted, and committed again. */
static void setup_gc(struct bench *b)
{
	make_blocks(b, 128, 256 * KIB, 256 * KIB);
	populate_blocks(b);
}

static void op_decommit(struct bench *b)
{
	struct block *block = random_block(b, &b->op_seed);

	b->last = block - b->blocks;
	if (block->there) {
		OP(b, madvise(block->p, block->size, MADV_DONTNEED));
		OP(b, mprotect(block->p, block->size, PROT_NONE));
	} else {
		OP(b, mprotect(block->p, block->size, PROT_READ | PROT_WRITE));
	}
	block->there = !block->there;
}

static void access_write(struct bench *b)
{
	access_if_there(b, &b->blocks[b->last], true);
}

/* A server that forks. */
static void setup_fork(struct bench *b)
{
	make_blocks(b, 64, 64 * KIB, 64 * KIB);
	populate_blocks(b);
}

static void op_fork(struct bench *b)
{
	pid_t pid;

	b->last = bench_rand(&b->op_seed) % b->nr_blocks;
	OP(b, pid = fork());
	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	bench_settle(b);
}

/* Arrays that move: half of the places are free. */
static void setup_mremap(struct bench *b)
{
	unsigned int i;

	make_blocks(b, 128, 128 * KIB, 256 * KIB);
	for (i = 0; i < b->nr_blocks; i++) {
		b->blocks[i].there = i % 2;
		if (!b->blocks[i].there)
			continue;
		bench_map(b->blocks[i].p, b->blocks[i].size);
		bench_access(b, b->blocks[i].p, b->blocks[i].size, PAGE, false);
	}
}

static void op_mremap(struct bench *b)
{
	struct block *from, *to;

	do {
		from = random_block(b, &b->op_seed);
	} while (!from->there);
	do {
		to = random_block(b, &b->op_seed);
	} while (to->there);
	b->last = to - b->blocks;
	OP(b, mremap(from->p, from->size, from->size, MREMAP_MAYMOVE | MREMAP_FIXED, to->p));
	from->there = false;
	to->there = true;
}

/* One array of which the device uses a page here and there; it goes and comes as a whole. */
static void map_wide(struct bench *b)
{
	uint8_t *p = b->blocks[0].p;
	size_t i;

	bench_map_only(p, b->blocks[0].size);
	for (i = 0; i < b->blocks[0].size; i += 2 * MIB)
		p[i] = 1;
}

static void access_wide(struct bench *b)
{
	bench_access(b, b->blocks[0].p, b->blocks[0].size, 2 * MIB, false);
}

static void setup_wide(struct bench *b)
{
	make_blocks(b, 1, 256 * MIB, 256 * MIB);
	map_wide(b);
	access_wide(b);
}

static void op_wide(struct bench *b)
{
	OP(b, munmap(b->blocks[0].p, b->blocks[0].size));
	map_wide(b);
}

/* The process has a VM, and does something else. */
static void setup_idle(struct bench *b)
{
	make_blocks(b, 16, 64 * KIB, 64 * KIB);
	bench_map(b->base, PAGE);
	bench_access(b, b->base, PAGE, PAGE, false);
	b->base = bench_reserve(16 * MIB);
}

static void op_elsewhere(struct bench *b)
{
	uint8_t *p = b->base + bench_rand(&b->op_seed) % 256 * 64 * KIB;

	bench_map(p, 64 * KIB);
	OP(b, mprotect(p, 32 * KIB, PROT_READ));
	OP(b, madvise(p + 32 * KIB, 32 * KIB, MADV_DONTNEED));
	OP(b, munmap(p, 64 * KIB));
}

const struct workload workloads[] = {
	{ "storm", "munmap() of pieces of one VMA, and mmap() again", 2000,
	  setup_storm, op_toggle, access_blocks },
	{ "small", "munmap() of small VMAs, and mmap() again", 2000,
	  setup_small, op_toggle, access_blocks },
	{ "huge", "MADV_DONTNEED in one large VMA", 1000,
	  setup_huge, op_dontneed, access_blocks },
	{ "gc", "decommit and recommit of a heap's blocks", 1000,
	  setup_gc, op_decommit, access_write },
	{ "fork", "fork() of a process that the device writes to", 200,
	  setup_fork, op_fork, access_write },
	{ "mremap", "mremap() of arrays", 1000,
	  setup_mremap, op_mremap, access_blocks },
	{ "wide", "munmap() of a large array with a page in each 2 MiB, and mmap() again", 24,
	  setup_wide, op_wide, access_wide },
	{ "idle", "changes where the device was never", 1000,
	  setup_idle, op_elsewhere, NULL },
};

const unsigned int nr_workloads = sizeof(workloads) / sizeof(workloads[0]);
