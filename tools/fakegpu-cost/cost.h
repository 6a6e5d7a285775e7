/* SPDX-License-Identifier: MIT */
/*
 * fakegpu-cost: what a device fault costs, beside the kernel's bare work, test_hmm
 * and the CPU, counted in instructions
 */
#ifndef FAKEGPU_COST_H
#define FAKEGPU_COST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <x86intrin.h>

#include "fakegpu.h"

#define PAGE	4096UL
#define KIB	1024UL
#define MIB	(1024UL * KIB)
#define LEAF	(2 * MIB)

/* Who does the work that is counted. */
enum kind { CPU, FLOOR, HMM, DEVICE };

#define BY(kind)	(1U << (kind))

struct party {
	const char *name;
	enum kind kind;
	uint32_t scheme;	/* DEVICE: DRM_FAKEGPU_SCHEME_xxx */
	uint32_t vm_flags;	/* DEVICE: DRM_FAKEGPU_VM_xxx */
	bool few;		/* does what takes long, too */
};

/* A run of one figure by one party, in a process of its own. */
struct cost {
	const struct party *party;
	int fd;			/* of the device, test_hmm or the floor; -1: none */
	uint32_t vm;
	uint32_t queue;
	void *bounce;		/* HMM: where it copies to and from */
};

struct figure {
	const char *name;
	const char *unit;
	const char *brief;
	unsigned int by;	/* BY() of all who can do it */
	double (*count)(struct cost *c, unsigned long arg);
	unsigned long arg;
	bool slow;		/* counted once, by few */
};

/* Counted on one processor, where ticks of the TSC are instructions. */
extern const struct figure figures[];
extern const unsigned int nr_figures;
/* Timed on two processors: ratios within one run. */
extern const struct figure ratios[];
extern const unsigned int nr_ratios;
/* parallel.c: before the first of them, so that waiting for a quiet machine has an end */
void ratios_start(void);

/* figure_regions.c: costs with many mirrored regions; @arg: how many */
double count_regions_fault(struct cost *c, unsigned long arg);
double count_regions_munmap(struct cost *c, unsigned long arg);

/* phases.c: prints how many instructions it is from tracepoint to tracepoint */
void count_phases(struct cost *c, bool worker);

void cost_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Open what the party needs; ends the process with status 3 if this kernel hasn't got it. */
void cost_open(struct cost *c);

/*
 * cost_access - access a byte each @stride bytes of a range (HMM and the floor: all pages)
 *
 * Return: what it took in ticks.
 */
uint64_t cost_access(struct cost *c, uint8_t *p, size_t size, size_t stride, bool write);

uint32_t cost_queue(struct cost *c);

/* Submit, and wait for a submission; or both, on the first queue. End the process on an error. */
uint64_t cost_submit(struct cost *c, uint32_t queue, const struct drm_fakegpu_cmd *cmds,
		     uint32_t count);
void cost_wait(struct cost *c, uint32_t queue, uint64_t seqno);
void cost_run(struct cost *c, const struct drm_fakegpu_cmd *cmd);

struct drm_fakegpu_vm_get_state cost_state(struct cost *c);

/* Addresses for @size bytes, aligned to 2 MiB and in slots of their own. */
uint8_t *cost_reserve(size_t size);

/* Map anonymous memory there, in huge pages or in none; the CPU doesn't touch it. */
void cost_map(uint8_t *p, size_t size, bool huge);
void cost_unmap(uint8_t *p, size_t size);

/*
 * Of several tries the least counts, as whatever else goes on only adds. @least is 0
 * before the first.
 */
void cost_least(double *least, double value);

/* Of @count values, which get sorted, the @permille-th least: the median is the 500th. */
double cost_rank(double *values, unsigned int count, unsigned int permille);

/* The mirror loses all entries of the range, the CPU loses no page. */
void cost_forget(uint8_t *p, size_t size);

/* Have the CPU write to each page. */
void cost_populate(uint8_t *p, size_t size);

/* Ticks that an expression takes. */
#define TICKS(expr) ({ \
	uint64_t begin_ = __rdtsc(); \
	expr; \
	__rdtsc() - begin_; \
})

#endif /* FAKEGPU_COST_H */
