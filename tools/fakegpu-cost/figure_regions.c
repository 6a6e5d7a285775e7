// SPDX-License-Identifier: MIT
/*
 * Costs with many regions: VMAs of a page each, which the device has all of. They hold
 * the zero page, so a million of them need no memory but for page tables.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cost.h"
#include "settle.h"

#define DISTANCE	(2 * PAGE)	/* from one to the next */
#define PICKED		64U		/* of them are faulted, or unmapped */

static void write_number(const char *path, unsigned long value)
{
	FILE *f = fopen(path, "we");

	if (!f || fprintf(f, "%lu", value) < 0 || fclose(f))
		cost_die("%s: %s", path, strerror(errno));
}

/*
 * The page in between is a hole, so that the kernel does not merge them. What it has put
 * off of making the holes is no part of what is counted.
 */
static uint8_t *map_regions(unsigned long count)
{
	uint8_t *p = cost_reserve(count * DISTANCE);
	unsigned long i;

	write_number("/proc/sys/vm/max_map_count", 4 * count + 65530);
	cost_map(p, count * DISTANCE, false);
	for (i = 0; i < count; i++) {
		cost_unmap(p + i * DISTANCE + PAGE, PAGE);
		(void)*(volatile uint8_t *)(p + i * DISTANCE);
	}
	if (settle_rcu())
		cost_die("can't wait for RCU: %s", strerror(errno));
	return p;
}

static void mirror_regions(struct cost *c, uint8_t *p, unsigned long count)
{
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, count * DISTANCE, DISTANCE,
						   DRM_FAKEGPU_CMD_NOFAULT);

	cost_run(c, &cmd);
	if (cost_state(c).pages_small < count)
		cost_die("the device has only some of the regions");
}

/* A region of many, spread evenly. */
static uint8_t *pick(uint8_t *p, unsigned long count, unsigned int i)
{
	return p + count / PICKED * i * DISTANCE;
}

double count_regions_fault(struct cost *c, unsigned long count)
{
	uint8_t *p = map_regions(count);
	double cold[PICKED], warm[PICKED];
	unsigned int i;

	mirror_regions(c, p, count);
	for (i = 0; i < PICKED; i++) {
		uint8_t *page = pick(p, count, i);

		if (madvise(page, PAGE, MADV_DONTNEED))
			cost_die("madvise: %s", strerror(errno));
		(void)*(volatile uint8_t *)page;
		cold[i] = cost_access(c, page, PAGE, PAGE, false);
		warm[i] = cost_access(c, page, PAGE, PAGE, false);
	}
	return cost_rank(cold, PICKED, 500) - cost_rank(warm, PICKED, 500);
}

double count_regions_munmap(struct cost *c, unsigned long count)
{
	uint8_t *p = map_regions(count);
	uint64_t ticks = 0;
	unsigned int i;

	if (c->party->kind == DEVICE)
		mirror_regions(c, p, count);
	for (i = 0; i < PICKED; i++)
		ticks += TICKS(cost_unmap(pick(p, count, i), PAGE));
	return (double)ticks / PICKED;
}
