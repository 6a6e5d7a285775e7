// SPDX-License-Identifier: MIT
/*
 * Where the instructions of a device fault go: from one of the driver's tracepoints to
 * the next, averaged over some faults. The tracepoints cost instructions themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cost.h"

#define INSTANCE	"/sys/kernel/tracing/instances/fakegpu-cost"
#define FAULTS		64U

/* In the order in which they come; an engine that serves the fault itself skips the second. */
static const char *const events[] = {
	"fault_raise", "fault_dequeue", "service", "read_begin", "range_fault", "lock", "commit",
	"fault_resume",
};

#define NR_EVENTS	(sizeof(events) / sizeof(events[0]))

static void put(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		cost_die("%s: \"%s\": %s", file, text, strerror(errno));
}

static void trace_begin(void)
{
	char path[256];
	size_t i;

	if (mkdir(INSTANCE, 0700))
		cost_die(INSTANCE ": %s", strerror(errno));
	put(INSTANCE "/trace_clock", "x86-tsc");
	for (i = 0; i < NR_EVENTS; i++) {
		snprintf(path, sizeof(path), INSTANCE "/events/fakegpu/fakegpu_%s/enable",
			 events[i]);
		put(path, "1");
	}
}

/* Sums up the time to each event from the one before it. */
static void trace_end(uint64_t *sums)
{
	uint64_t ticks, before = 0;
	char line[1024];
	FILE *f;
	size_t i;

	put(INSTANCE "/tracing_on", "0");
	f = fopen(INSTANCE "/trace", "re");
	if (!f)
		cost_die(INSTANCE "/trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		const char *name = strstr(line, ": fakegpu_"), *at = strchr(line, ']');

		if (!name || !at || sscanf(at, "] %*s %" SCNu64, &ticks) != 1)
			continue;
		name += strlen(": fakegpu_");
		for (i = 0; i < NR_EVENTS; i++) {
			size_t len = strlen(events[i]);

			if (strncmp(name, events[i], len) || name[len] != ':')
				continue;
			if (i)
				sums[i] += ticks - before;
			before = ticks;
		}
	}
	fclose(f);
	if (rmdir(INSTANCE))
		cost_die(INSTANCE ": %s", strerror(errno));
}

void count_phases(struct cost *c, bool worker)
{
	uint8_t *p = cost_reserve(2 * FAULTS * LEAF);
	uint64_t sums[NR_EVENTS] = { 0 };
	unsigned int i;

	/* The worker is needed where the CPU hasn't got the page. */
	for (i = 0; i < FAULTS; i++) {
		cost_map(p + 2 * i * LEAF, PAGE, false);
		if (!worker || !i)
			cost_populate(p + 2 * i * LEAF, PAGE);
	}
	cost_access(c, p, PAGE, PAGE, false);
	trace_begin();
	for (i = 1; i < FAULTS; i++)
		cost_access(c, p + 2 * i * LEAF, PAGE, PAGE, worker);
	trace_end(sums);
	for (i = 1; i < NR_EVENTS; i++) {
		if (!sums[i])
			continue;
		printf("{\"figure\": \"phase.%s.%s\", \"party\": \"%s\", \"value\": %.1f,"
		       " \"unit\": \"instructions\", \"brief\": \"up to that tracepoint\"}\n",
		       worker ? "worker" : "engine", events[i], c->party->name,
		       (double)sums[i] / (FAULTS - 1));
	}
	fflush(stdout);
}
