/* SPDX-License-Identifier: MIT */
/*
 * fakegpu-bench: what a scheme costs, counted in instructions
 */
#ifndef FAKEGPU_BENCH_H
#define FAKEGPU_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <x86intrin.h>

#include "fakegpu.h"

#define PAGE	4096UL
#define KIB	1024UL
#define MIB	(1024UL * KIB)

#define SAMPLES	40

/* What is counted: one after another, with the tree's lock timed, or at the same time. */
enum mode { SERIAL, FROZEN, PARALLEL };

/* A way to choose intervals that is compared; or none: no VM, the CPU alone. */
struct contender {
	const char *name;
	uint32_t scheme;
	uint32_t vm_flags;
	uint32_t interval_order;
	bool no_vm;
};

/* What a run has shown; instructions are ticks of the TSC, which with -icount is the same. */
struct figures {
	uint64_t ops;			/* munmap() and what else changes the address space */
	uint64_t op_insns;		/* in these system calls, callbacks included */
	uint64_t accesses;		/* submissions that were waited for */
	uint64_t access_insns;		/* from submission to completion */
	uint64_t all_insns;		/* all rounds, with what workers do meanwhile */
	uint64_t settle_insns;		/* in bench_settle(), not in all_insns */
	unsigned int samples;
	uint64_t live[SAMPLES];		/* intervals, live */
	uint64_t stale[SAMPLES];	/* intervals: empty, to be replaced or removed */
	uint64_t mirrored;		/* bytes, at the end of the setup */
	uint64_t memory;		/* that nodes and intervals take, then */
	uint64_t frozen;		/* invalidations that locked the tree of notifiers */
	uint64_t frozen_insns;		/* for so long, all in all */
	uint64_t frozen_max;		/* and the longest */
	struct drm_fakegpu_vm_get_state before, after;
};

struct bench;

struct workload {
	const char *name;
	const char *brief;
	unsigned int rounds;
	void (*setup)(struct bench *b);
	/* One change of the address space, counted by OP(). */
	void (*op)(struct bench *b);
	/* One access of the device, counted by bench_access(); NULL: none. */
	void (*access)(struct bench *b);
};

struct bench {
	const struct contender *contender;
	const struct workload *workload;
	enum mode mode;
	int fd;
	uint32_t vm;
	uint32_t queue;
	uint64_t op_seed, access_seed;
	uint8_t *base;			/* where the workload's memory begins */
	struct block *blocks;
	unsigned int nr_blocks;
	unsigned int last;		/* block of the last op */
	struct figures f;
};

/* A piece of memory that a workload gives back and takes again. */
struct block {
	uint8_t *p;
	size_t size;
	volatile bool there;	/* read while the other thread is at work */
};

extern const struct workload workloads[];
extern const unsigned int nr_workloads;

/* Run an expression as one operation. */
#define OP(b, expr) do { \
	uint64_t begin_ = __rdtsc(); \
	expr; \
	(b)->f.op_insns += __rdtsc() - begin_; \
	(b)->f.ops++; \
} while (0)

/* The device reads or writes a byte each @stride bytes of a range, as far as it is there. */
void bench_access(struct bench *b, const void *p, size_t size, size_t stride, bool write);

/* What the kernel has put off for RCU, like most of an exit, is done now, and isn't counted. */
void bench_settle(struct bench *b);

/* A deterministic generator. */
uint64_t bench_rand(uint64_t *state);

/* Reserve addresses, with 2 MiB of nothing at either end. */
uint8_t *bench_reserve(size_t size);

/* Private anonymous memory at @p; bench_map() also has the CPU fill it, in pages of 4 KiB. */
void bench_map_only(uint8_t *p, size_t size);
void bench_map(uint8_t *p, size_t size);

/* In between, invalidations by this process are timed. */
void frozen_begin(void);
void frozen_end(struct figures *f);

void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif /* FAKEGPU_BENCH_H */
