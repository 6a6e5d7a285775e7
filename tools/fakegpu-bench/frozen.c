// SPDX-License-Identifier: MIT
/*
 * How long the tree of notifiers is locked: from the moment an invalidation begins that
 * finds an interval in its way to its end. Seen by kprobes on both, in the TSC's ticks.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/fakegpu-bench"
#define KIB_BUFFER	"16384"

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		bench_die("%s: writing \"%s\": %s; it takes a kernel with KPROBE_EVENTS, as perf",
			  file, text, strerror(errno));
	close(fd);
}

void frozen_begin(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	put(TRACEFS "/kprobe_events",
	    "p:fakegpu_bench/begin __mmu_notifier_invalidate_range_start\n"
	    "p:fakegpu_bench/end __mmu_notifier_invalidate_range_end\n");
	if (mkdir(INSTANCE, 0700))
		bench_die(INSTANCE ": %s", strerror(errno));
	put(INSTANCE "/trace_clock", "x86-tsc");
	put(INSTANCE "/buffer_size_kb", KIB_BUFFER);
	put(INSTANCE "/set_event_pid", pid);
	put(INSTANCE "/events/fakegpu_bench/enable", "1");
	put(INSTANCE "/events/fakegpu/fakegpu_invalidate/enable", "1");
}

/* "task-pid [cpu] flags ticks: name: ..." */
static bool parse(const char *line, uint64_t *ticks, char *name, size_t size)
{
	const char *p = strchr(line, ']');
	size_t length;

	if (line[0] == '#' || !p || sscanf(p, "] %*s %" SCNu64 ": ", ticks) != 1)
		return false;
	p = strchr(p, ':');
	if (!p)
		return false;
	p += strspn(p, ": ");
	length = strcspn(p, ":");
	snprintf(name, size, "%.*s", (int)length, p);
	return true;
}

static void sum_up(struct figures *f)
{
	char line[1024], name[64];
	uint64_t ticks, begin = 0;
	bool under_way = false, frozen = false;
	FILE *file = fopen(INSTANCE "/trace", "re");

	if (!file)
		bench_die(INSTANCE "/trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		/* "# entries-in-buffer/entries-written: 9/9" */
		uint64_t kept, written;

		if (sscanf(line, "# entries-in-buffer/entries-written: %" SCNu64 "/%" SCNu64,
			   &kept, &written) == 2 && kept != written)
			bench_die("the trace buffer is too small for so many rounds");
		if (!parse(line, &ticks, name, sizeof(name)))
			continue;
		if (!strcmp(name, "begin")) {
			begin = ticks;
			under_way = true;
			frozen = false;
		} else if (!strcmp(name, "fakegpu_invalidate")) {
			frozen = true;
		} else if (!strcmp(name, "end") && under_way) {
			under_way = false;
			if (!frozen)
				continue;
			f->frozen++;
			f->frozen_insns += ticks - begin;
			if (ticks - begin > f->frozen_max)
				f->frozen_max = ticks - begin;
		}
	}
	fclose(file);
}

void frozen_end(struct figures *f)
{
	put(INSTANCE "/tracing_on", "0");
	sum_up(f);
	put(INSTANCE "/events/fakegpu/fakegpu_invalidate/enable", "0");
	put(INSTANCE "/events/fakegpu_bench/enable", "0");
	if (rmdir(INSTANCE))
		bench_die(INSTANCE ": %s", strerror(errno));
	put(TRACEFS "/kprobe_events", "-:fakegpu_bench/begin\n-:fakegpu_bench/end\n");
}
