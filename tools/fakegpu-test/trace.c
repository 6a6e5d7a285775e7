// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints, event logs and counters tell exactly what happened.
 */
#include "fakegpu_test_inject.h"
#include "fakegpu_test_proc.h"

#include <sys/stat.h>

#define TRACEFS		"/sys/kernel/tracing"
#define SIZE		GPU_SZ_64K
#define PAGES		(SIZE / GPU_PAGE)

#define MAX_EVENTS	256

INJECT_FIXTURE(trace);

/* ------------------------------------------------------------- tracefs --- */

struct event {
	char name[32];
	char text[256];
	int pid;
};

/* A trace buffer of our own that sees one VM. */
struct trace {
	char dir[128];
	struct event events[MAX_EVENTS];
	int count;
	bool enabled;
};

static int trace_write(struct trace *trace, const char *file, const char *text)
{
	char path[256];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", trace->dir, file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static void trace_set(struct trace *trace, const char *file, const char *text)
{
	int ret = trace_write(trace, file, text);

	if (ret)
		gpu_die("%s/%s: writing \"%s\": %s", trace->dir, file, text, strerror(-ret));
}

/*
 * Names of processes would be recorded in the scheduler, whose code the kernel
 * changes for it each time that an event is enabled or disabled. Emulators were
 * seen to run into the change; we don't look at names.
 */
static char record_cmd(char value)
{
	struct trace top = { .dir = TRACEFS };
	char old = '0', text[] = { value, 0 };
	int fd = open(TRACEFS "/options/record-cmd", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &old, 1) != 1)
		gpu_die(TRACEFS "/options/record-cmd: %s", strerror(errno));
	close(fd);
	trace_set(&top, "options/record-cmd", text);
	return old;
}

/* No VM has this id. */
#define NO_VM	"vm == 0"

/* Return: false without tracefs. An instance has the options of its first moment. */
static bool trace_open(struct trace *trace)
{
	char old;
	int ret;

	trace->count = 0;
	trace->enabled = false;
	if (access(TRACEFS "/events/fakegpu", F_OK))
		return false;
	snprintf(trace->dir, sizeof(trace->dir), TRACEFS "/instances/fakegpu-test-%d", getpid());
	old = record_cmd('0');
	ret = mkdir(trace->dir, 0700);
	record_cmd(old);
	if (ret)
		return false;
	trace_set(trace, "events/fakegpu/filter", NO_VM);
	return true;
}

static void trace_close(struct trace *trace)
{
	trace_set(trace, "events/fakegpu/enable", "0");
	if (rmdir(trace->dir))
		gpu_die("%s: %s", trace->dir, strerror(errno));
}

#define TRACE_OPEN(trace) do { \
	if (!trace_open(trace)) \
		SKIP(return, "no tracefs, or no tracepoints in the module"); \
} while (0)

/* From here on, what happens to the VM. */
static void trace_start(struct trace *trace, struct gpu *gpu)
{
	char filter[32];

	snprintf(filter, sizeof(filter), "vm == %u", gpu->vm);
	trace_set(trace, "trace", "");
	trace_set(trace, "events/fakegpu/filter", filter);
	if (!trace->enabled)
		trace_set(trace, "events/fakegpu/enable", "1");
	trace->enabled = true;
}

/* Without the events of what the process does in other memory, seen in scheme mm. */
static bool about(const char *text, const uint8_t *p, size_t size)
{
	const char *range = strstr(text, " range=");
	unsigned long long start, end;

	if (!range || sscanf(range, " range=%llx-%llx", &start, &end) != 2)
		return true;
	return start < fakegpu_va(p) + size && end > fakegpu_va(p);
}

static void trace_read(struct trace *trace, const uint8_t *p, size_t size)
{
	char path[256], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/trace", trace->dir);
	f = fopen(path, "re");
	if (!f)
		gpu_die("%s: %s", path, strerror(errno));
	trace->count = 0;
	while (fgets(line, sizeof(line), f)) {
		struct event *event = &trace->events[trace->count];
		char *name = strstr(line, ": fakegpu_"), *text, *pid = strstr(line, " [");

		if (line[0] == '#' || !name || !pid)
			continue;
		name += 2;
		text = strstr(name, ": ");
		if (!text || trace->count == MAX_EVENTS)
			gpu_die("cannot read the trace: %s", line);
		*text = 0;
		text += 2;
		text[strcspn(text, "\n")] = 0;
		while (pid > line && pid[-1] == ' ')
			pid--;
		*pid = 0;
		while (pid > line && pid[-1] != '-')
			pid--;
		snprintf(event->name, sizeof(event->name), "%.31s", name + strlen("fakegpu_"));
		snprintf(event->text, sizeof(event->text), "%.255s", text);
		event->pid = atoi(pid);
		if (strcmp(event->name, "invalidate") || about(text, p, size))
			trace->count++;
	}
	fclose(f);
}

/* Stop, and read what there was. */
static void trace_stop(struct trace *trace, const uint8_t *p, size_t size)
{
	trace_set(trace, "events/fakegpu/filter", NO_VM);
	trace_read(trace, p, size);
}

static unsigned int trace_count(struct trace *trace, const char *name)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < trace->count; i++)
		n += !strcmp(trace->events[i].name, name);
	return n;
}

/* Waits for the worker's events. */
static unsigned int trace_count_now(struct trace *trace, const char *name)
{
	trace_read(trace, NULL, -1UL);
	return trace_count(trace, name);
}

static char want_text[512];

__attribute__((format(printf, 1, 2)))
static const char *want(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(want_text, sizeof(want_text), fmt, args);
	va_end(args);
	return want_text;
}

/* Event number @i is this one, to the letter. */
#define EXPECT_EVENT(trace, i, event, ...) do { \
	ASSERT_LT(i, (trace)->count); \
	EXPECT_STREQ(event, (trace)->events[i].name); \
	EXPECT_STREQ(want(__VA_ARGS__), (trace)->events[i].text); \
} while (0)

#define VA(p)	((unsigned long long)fakegpu_va(p))

/* The interval that the VM has for a VMA. */
static void interval_of(const struct gpu *gpu, const uint8_t *p, size_t size,
			unsigned long long *start, unsigned long long *end)
{
	unsigned int order = gpu->conf.interval_order ?: gpu->info.interval_order;

	if (gpu->conf.scheme == DRM_FAKEGPU_SCHEME_FIXED) {
		*start = gpu->info.va_start;
		*end = gpu->info.va_end;
	} else if (gpu->conf.scheme == DRM_FAKEGPU_SCHEME_VMA) {
		*start = VA(p);
		*end = VA(p + size);
	} else if (gpu_one_interval(gpu)) {
		*start = 0;
		*end = ~0ULL & ~(unsigned long long)(GPU_PAGE - 1);
	} else {
		*start = VA(p) >> order << order;
		*end = *start + (1ULL << order);
	}
}

static unsigned long long seq_of(const struct event *event)
{
	const char *seq = strstr(event->text, " seq=");

	return seq ? strtoull(seq + 5, NULL, 10) : 0;
}

/* Behaviour 123: tracepoints are off by default, exist as documented, and say nothing when off */
TEST_F(trace, off)
{
	static const char *const names[] = {
		"fault_raise", "fault_dequeue", "fault_resume", "service", "interval_add",
		"interval_dead", "interval_remove", "read_begin", "range_fault", "lock", "commit",
		"invalidate",
	};
	uint8_t *p = gpu_map_anon(SIZE);
	struct trace trace;
	char path[128], text[8] = "";
	size_t i;
	int fd;

	TRACE_OPEN(&trace);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), TRACEFS "/events/fakegpu/fakegpu_%s/enable", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		EXPECT_LE(0, fd)
			TH_LOG("%s", path);
		EXPECT_LE(1, read(fd, text, sizeof(text)));
		EXPECT_EQ('0', text[0]);
		close(fd);
	}
	EXPECT_RUN(&self->gpu, fakegpu_fill(p, SIZE, 0));
	EXPECT_EQ(0, munmap(p, SIZE));
	trace_read(&trace, p, SIZE);
	EXPECT_EQ(0, trace.count);
	trace_close(&trace);
}

/* Behaviour 123: a device fault from its raise to its resume: each step, in order, exactly */
TEST_F(trace, fault_sequence)
{
	static const struct {
		uint32_t flags;
		const char *name;
	} kinds[] = { { 0, "read" }, { DRM_FAKEGPU_CMD_WRITE, "write" } };
	struct trace trace;
	size_t k;

	TRACE_OPEN(&trace);
	/* A knob that is set, and hits nothing: in scheme fixed an engine would serve it. */
	inject_set(&self->gpu, "retry", 1000, 1);
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		unsigned long long start, end, seq;
		char fault[256], vm[64];
		struct gpu own;
		uint8_t *p;
		int n;

		/* In scheme mm something else may collide: then once more. */
		do {
			p = gpu_map_anon(SIZE);
			gpu_pattern(p, SIZE, 1);
			OPEN_OWN(&own);
			trace_start(&trace, &own);
			EXPECT_RUN(&own, fakegpu_nop(),
				   fakegpu_touch(p + 100, 2 * GPU_PAGE, 1, kinds[k].flags));
			trace_stop(&trace, p, SIZE);
			if (gpu_state(&own).retries)
				GPU_TEARDOWN(&own);
			else
				break;
		} while (true);
		interval_of(&own, p, SIZE, &start, &end);
		snprintf(vm, sizeof(vm), "vm=%u owner=%d", own.vm, getpid());
		snprintf(fault, sizeof(fault),
			 "%s queue=%u seqno=1 cmd=1 access=%s range=%016llx-%016llx", vm,
			 own.queue, kinds[k].name, VA(p + 100), VA(p + 100 + 2 * GPU_PAGE));
		/* In scheme fixed the interval is there already. */
		n = own.conf.scheme == DRM_FAKEGPU_SCHEME_FIXED ? 3 : 4;
		EXPECT_EQ(n + 5, trace.count);
		EXPECT_EVENT(&trace, 0, "fault_raise", "%s error=0", fault);
		EXPECT_EVENT(&trace, 1, "fault_dequeue", "%s error=0", fault);
		EXPECT_EVENT(&trace, 2, "service", "%s addr=%016llx present=0", vm, VA(p + 100));
		if (n > 3)
			EXPECT_EVENT(&trace, 3, "interval_add", "%s range=%016llx-%016llx", vm,
				     start, end);
		seq = seq_of(&trace.events[n]);
		/* See mmu_interval_read_begin(). */
		EXPECT_EQ(1ULL, seq & 1);
		EXPECT_EVENT(&trace, n, "read_begin", "%s range=%016llx-%016llx seq=%llu error=0",
			     vm, start, end, seq);
		EXPECT_EVENT(&trace, n + 1, "range_fault",
			     "%s range=%016llx-%016llx seq=%llu error=0", vm, VA(p), VA(p + SIZE),
			     seq);
		EXPECT_EVENT(&trace, n + 2, "lock", "%s range=%016llx-%016llx seq=%llu error=0", vm,
			     VA(p), VA(p + SIZE), seq);
		EXPECT_EVENT(&trace, n + 3, "commit",
			     "%s range=%016llx-%016llx seq=%llu error=0", vm, VA(p), VA(p + SIZE),
			     seq);
		EXPECT_EVENT(&trace, n + 4, "fault_resume", "%s error=0", fault);
		GPU_TEARDOWN(&own);
	}
	trace_close(&trace);
}

/* Behaviour 123: a device fault that the engine serves itself: no worker takes it up */
TEST_F(trace, fault_by_engine)
{
	unsigned long long start, end, seq;
	char fault[256], vm[64];
	struct trace trace;
	struct gpu own;
	uint8_t *p;

	TRACE_OPEN(&trace);
	do {
		p = gpu_map_anon(2 * SIZE);
		memset(p, 1, SIZE);
		OPEN_OWN(&own);
		EXPECT_RUN(&own, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
		memset(p + SIZE, 1, SIZE);
		trace_start(&trace, &own);
		EXPECT_RUN(&own, fakegpu_touch(p + SIZE, SIZE, GPU_PAGE, 0));
		trace_stop(&trace, p, 2 * SIZE);
		if (gpu_state(&own).retries)
			GPU_TEARDOWN(&own);
		else
			break;
	} while (true);
	interval_of(&own, p, 2 * SIZE, &start, &end);
	snprintf(vm, sizeof(vm), "vm=%u owner=%d", own.vm, getpid());
	snprintf(fault, sizeof(fault), "%s queue=%u seqno=2 cmd=0 access=read range=%016llx-%016llx",
		 vm, own.queue, VA(p + SIZE), VA(p + 2 * SIZE));
	EXPECT_EQ(7, trace.count);
	EXPECT_EVENT(&trace, 0, "fault_raise", "%s error=0", fault);
	EXPECT_EVENT(&trace, 1, "service", "%s addr=%016llx present=1", vm, VA(p + SIZE));
	seq = seq_of(&trace.events[2]);
	EXPECT_EQ(1ULL, seq & 1);
	EXPECT_EVENT(&trace, 2, "read_begin", "%s range=%016llx-%016llx seq=%llu error=0", vm,
		     start, end, seq);
	EXPECT_EVENT(&trace, 3, "range_fault", "%s range=%016llx-%016llx seq=%llu error=0", vm,
		     VA(p), VA(p + 2 * SIZE), seq);
	EXPECT_EVENT(&trace, 4, "lock", "%s range=%016llx-%016llx seq=%llu error=0", vm, VA(p),
		     VA(p + 2 * SIZE), seq);
	EXPECT_EVENT(&trace, 5, "commit", "%s range=%016llx-%016llx seq=%llu error=0", vm, VA(p),
		     VA(p + 2 * SIZE), seq);
	EXPECT_EVENT(&trace, 6, "fault_resume", "%s error=0", fault);
	GPU_TEARDOWN(&own);
	trace_close(&trace);
}

/* Behaviours 10, 123: a fault that cannot be serviced: the errno is in its resume */
TEST_F(trace, fault_error)
{
	struct trace trace;
	char fault[256];
	struct gpu own;
	int n;
	uint8_t *p = gpu_map_anon(SIZE);

	TRACE_OPEN(&trace);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	OPEN_OWN(&own);
	trace_start(&trace, &own);
	EXPECT_FATAL(&own, fakegpu_atomic(p + 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EPERM,
		     p + 8, ATOMIC);
	trace_stop(&trace, p, SIZE);
	snprintf(fault, sizeof(fault),
		 "vm=%u owner=%d queue=%u seqno=1 cmd=0 access=atomic range=%016llx-%016llx",
		 own.vm, getpid(), own.fatal.info.queue_id, VA(p + 8), VA(p + 16));
	/* With an interval at hand two passes begin to read: of the window, and of the page. */
	n = own.conf.scheme == DRM_FAKEGPU_SCHEME_FIXED ? 5 : 3;
	EXPECT_EQ(n + 1, trace.count);
	EXPECT_EVENT(&trace, 0, "fault_raise", "%s error=0", fault);
	EXPECT_EVENT(&trace, 1, "fault_dequeue", "%s error=0", fault);
	EXPECT_EVENT(&trace, 2, "service", "vm=%u owner=%d addr=%016llx present=0", own.vm,
		     getpid(), VA(p + 8));
	EXPECT_EVENT(&trace, n, "fault_resume", "%s error=%d", fault, -EPERM);

	GPU_TEARDOWN(&own);
	trace_close(&trace);
}

/* Behaviours 116, 123: PREFETCH: passes without a fault; in our own context */
TEST_F(trace, prefetch)
{
	struct trace trace;
	struct gpu own;
	uint8_t *p = gpu_map_anon(SIZE);
	int i, present;

	TRACE_OPEN(&trace);
	memset(p, 1, SIZE);
	for (present = 0; present < 2; present++) {
		OPEN_OWN(&own);
		trace_start(&trace, &own);
		EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm,
					      present ? DRM_FAKEGPU_PREFETCH_PRESENT : 0, p, SIZE,
					      NULL));
		trace_stop(&trace, p, SIZE);
		EXPECT_EVENT(&trace, 0, "service", "vm=%u owner=%d addr=%016llx present=%d",
			     own.vm, getpid(), VA(p), present);
		EXPECT_EQ(0U, trace_count(&trace, "fault_raise"));
		EXPECT_EQ(0U, trace_count(&trace, "fault_resume"));
		EXPECT_LE(1U, trace_count(&trace, "commit"));
		for (i = 0; i < trace.count; i++)
			EXPECT_EQ(getpid(), trace.events[i].pid);
		GPU_TEARDOWN(&own);
	}
	trace_close(&trace);
}

/* Behaviours 33, 123: a collision: a commit with EBUSY, a new sequence, a commit */
TEST_F(trace, collision)
{
	struct trace trace;
	struct gpu own;
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t seqno;
	int i, n = 0;
	unsigned long long seq[2] = { 0 };
	int error[2] = { 0 };

	TRACE_OPEN(&trace);
	gpu_pattern(p, SIZE, 1);
	OPEN_OWN(&own);
	trace_start(&trace, &own);
	inject_range(&own, p, SIZE);
	INJECT_HOLD(&own, "hold_commit",
		    EXPECT_SUBMIT(&own, own.queue, &seqno, fakegpu_touch(p, SIZE, 1, 0)));
	EXPECT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
	INJECT_RELEASE(&own, "hold_commit");
	EXPECT_DONE(&own, own.queue, seqno);
	trace_stop(&trace, p, SIZE);
	EXPECT_LE(2U, trace_count(&trace, "read_begin"));
	for (i = 0; i < trace.count; i++) {
		if (strcmp(trace.events[i].name, "commit") || n == 2)
			continue;
		seq[n] = seq_of(&trace.events[i]);
		error[n++] = atoi(strstr(trace.events[i].text, " error=") + 7);
	}
	ASSERT_EQ(2, n);
	EXPECT_EQ(-EBUSY, error[0]);
	EXPECT_LT(seq[0], seq[1]);
	if (!gpu_one_interval(&own)) {
		EXPECT_EQ(0, error[1]);
		EXPECT_EQ(2U, trace_count(&trace, "commit"));
	}
	EXPECT_EQ(1U, trace_count(&trace, "fault_raise"));
	EXPECT_EQ(1U, trace_count(&trace, "service"));
	EXPECT_EQ(1U, trace_count(&trace, "invalidate"));
	GPU_TEARDOWN(&own);
	trace_close(&trace);
}

/* Behaviours 12, 123: a fault that finds no room: ENOSPC, EAGAIN, and once more */
TEST_F(trace, overflow)
{
	struct trace trace;
	struct gpu own;
	uint8_t *p = gpu_map_anon(GPU_PAGE), *q = gpu_map_anon(GPU_PAGE);
	uint64_t seqno, seqno2;
	uint32_t queue;
	int i, dropped = 0, again = 0;

	TRACE_OPEN(&trace);
	OPEN_OWN(&own);
	queue = gpu_queue(&own);
	inject_value(&own, "room", 1);
	inject_range(&own, p, GPU_PAGE);
	trace_start(&trace, &own);
	INJECT_HOLD(&own, "hold_commit",
		    EXPECT_SUBMIT(&own, own.queue, &seqno, fakegpu_fill(p, 8, 0)));
	EXPECT_SUBMIT(&own, queue, &seqno2, fakegpu_fill(q, 8, 0));
	EXPECT_EVENTUALLY(1UL, (uint64_t)gpu_state(&own).fault_overflows);
	INJECT_RELEASE(&own, "hold_commit");
	EXPECT_DONE(&own, own.queue, seqno);
	EXPECT_DONE(&own, queue, seqno2);
	trace_stop(&trace, NULL, 0);
	for (i = 0; i < trace.count; i++) {
		dropped += !strcmp(trace.events[i].name, "fault_raise") &&
			   strstr(trace.events[i].text, " error=-28");
		again += !strcmp(trace.events[i].name, "fault_resume") &&
			 strstr(trace.events[i].text, " error=-11");
	}
	EXPECT_EQ(gpu_state(&own).fault_overflows, (uint64_t)dropped);
	EXPECT_EQ(dropped, again);
	EXPECT_EQ(2U, trace_count(&trace, "fault_dequeue"));
	EXPECT_EQ(2U + dropped, trace_count(&trace, "fault_raise"));
	EXPECT_EQ(2U + again, trace_count(&trace, "fault_resume"));
	inject_text(&own, "reset", "1");
	EXPECT_EQ(0, fakegpu_queue_destroy(own.fd, queue));
	GPU_TEARDOWN(&own);
	trace_close(&trace);
}

/* -------------------------------------------------------- invalidations --- */

enum change {
	CHANGE_DONTNEED,
	CHANGE_MPROTECT,
	CHANGE_FORK,
	CHANGE_CLEAR_REFS,
	CHANGE_COW,
	CHANGE_REPLACE,
	CHANGE_MUNMAP,
	CHANGES
};

/* What a change of all SIZE bytes at @p looks like. */
static const struct {
	const char *event;
	bool all;		/* the whole address space */
	bool pages;		/* an event per page */
} changes[CHANGES] = {
	[CHANGE_DONTNEED] = { .event = "clear" },
	[CHANGE_MPROTECT] = { .event = "protection_vma" },
	[CHANGE_FORK] = { .event = "protection_page" },
	[CHANGE_CLEAR_REFS] = { .event = "soft_dirty", .all = true },
	[CHANGE_COW] = { .event = "clear", .pages = true },
	[CHANGE_REPLACE] = { .event = "unmap" },
	[CHANGE_MUNMAP] = { .event = "unmap" },
};

/* Return: 0, or -EOPNOTSUPP where this kernel can't. */
static int make_change(enum change change, uint8_t *p)
{
	struct proc child;
	uint8_t *to;
	size_t i;
	int fd;

	switch (change) {
	case CHANGE_DONTNEED:
		return madvise(p, SIZE, MADV_DONTNEED);
	case CHANGE_MPROTECT:
		return mprotect(p, SIZE, PROT_READ);
	case CHANGE_FORK:
		if (proc_fork(&child))
			_exit(0);
		return proc_wait(&child);
	case CHANGE_CLEAR_REFS:
		fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
		i = fd >= 0 && write(fd, "4", 1) == 1;
		close(fd);
		return i ? 0 : -EOPNOTSUPP;
	case CHANGE_COW:
		/* Zero pages, one after another. */
		for (i = 0; i < PAGES; i++)
			p[i * GPU_PAGE] = 1;
		return 0;
	case CHANGE_REPLACE:
		to = mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		return to == p ? madvise(p, SIZE, MADV_NOHUGEPAGE) : -errno;
	default:
		return munmap(p, SIZE);
	}
}

/* Lines of vm<id>/events about the SIZE bytes at @p, without the time; returns how many. */
static int read_events(struct gpu *gpu, const uint8_t *p, char lines[][256], int max)
{
	FILE *f = gpu_vm_file(gpu, gpu->vm, "events");
	char line[256], *range;
	int n = 0;

	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, end;

		range = strchr(line, ' ');
		if (line[0] == '#' || !range || n == max)
			continue;
		range++;
		range[strcspn(range, "\n")] = 0;
		if (sscanf(range, "%*s %llx-%llx", &start, &end) == 2 &&
		    start < VA(p + SIZE) && end > VA(p))
			snprintf(lines[n++], sizeof(lines[0]), "%.255s", range);
	}
	fclose(f);
	return n;
}

/*
 * Behaviour 123: each way to change memory: trace, log and counters
 * agree on the event, its range, the pages, and who did it
 */
TEST_F(trace, invalidate_reasons)
{
	enum change change;
	struct trace trace;

	TRACE_OPEN(&trace);
	for (change = 0; change < CHANGES; change++) {
		bool zero = change == CHANGE_COW;
		unsigned int i, n = changes[change].pages ? PAGES : 1;
		unsigned long long start, end, istart, iend;
		struct drm_fakegpu_vm_get_state a, b;
		uint8_t *p = gpu_map_anon(SIZE);
		char lines[32][256], text[256];
		struct gpu own;
		int ret, found = 0, k, got;

		if (!zero)
			gpu_pattern(p, SIZE, 1);
		OPEN_OWN(&own);
		EXPECT_RUN(&own, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
		EXPECT_GAUGE(&own, pages_small, PAGES);
		interval_of(&own, p, SIZE, &istart, &iend);
		trace_start(&trace, &own);
		a = gpu_state(&own);
		ret = make_change(change, p);
		b = gpu_state(&own);
		if (!gpu_one_interval(&own) && ret != -EOPNOTSUPP)
			EXPECT_EVENTUALLY(1U, trace_count_now(&trace, "interval_remove"));
		trace_stop(&trace, p, SIZE);
		if (ret == -EOPNOTSUPP) {
			TH_LOG("no soft-dirty bits on this kernel");
			munmap(p, SIZE);
			GPU_TEARDOWN(&own);
			continue;
		}
		EXPECT_EQ(0, ret);

		EXPECT_EQ((uint64_t)PAGES, (uint64_t)(b.pages_cleared - a.pages_cleared));
		EXPECT_EQ((uint64_t)n, (uint64_t)(b.invalidations_useful - a.invalidations_useful));
		EXPECT_LE((uint64_t)n, (uint64_t)(b.invalidations - a.invalidations));
		if (!gpu_one_interval(&own))
			EXPECT_EQ((uint64_t)n, (uint64_t)(b.invalidations - a.invalidations));
		EXPECT_EQ(0UL, (uint64_t)b.pages_small);
		EXPECT_EQ(gpu_one_interval(&own) ? 1UL : 0UL, (uint64_t)b.intervals);

		EXPECT_EQ(n, trace_count(&trace, "invalidate"));
		got = read_events(&own, p, lines, ARRAY_SIZE(lines));
		EXPECT_EQ(n, (unsigned int)got);
		for (i = 0, k = 0; k < trace.count && i < n; k++) {
			if (strcmp(trace.events[k].name, "invalidate"))
				continue;
			start = VA(p) + (n > 1 ? i * GPU_PAGE : 0);
			end = n > 1 ? start + GPU_PAGE : VA(p + SIZE);
			if (changes[change].all) {
				start = 0;
				end = ~0ULL;
			}
			EXPECT_EVENT(&trace, k, "invalidate",
				     "vm=%u owner=%d event=%s range=%016llx-%016llx interval=%016llx-%016llx pages=%lu blockable=1",
				     own.vm, getpid(), changes[change].event, start, end, istart,
				     iend, PAGES / n);
			EXPECT_EQ(getpid(), trace.events[k].pid);
			snprintf(text, sizeof(text),
				 "%s %016llx-%016llx %016llx-%016llx %lu", changes[change].event,
				 start, end, istart, iend, PAGES / n);
			EXPECT_STREQ(text, lines[i]);
			found++;
			i++;
		}
		EXPECT_EQ(n, (unsigned int)found);
		EXPECT_EQ(gpu_one_interval(&own) ? 0U : 1U, trace_count(&trace, "interval_dead"));
		if (!gpu_one_interval(&own)) {
			snprintf(text, sizeof(text), "vm=%u owner=%d range=%016llx-%016llx",
				 own.vm, getpid(), istart, iend);
			for (k = 0; k < trace.count; k++) {
				if (!strncmp(trace.events[k].name, "interval_", 9))
					EXPECT_STREQ(text, trace.events[k].text);
			}
		}
		/* It must not be there for the next one's neighbour to be invalidated, ... */
		munmap(p, SIZE);
		/* ... and the fixture's VM has lost its result page to the fork. */
		EXPECT_WORKS(&self->gpu);
		GPU_TEARDOWN(&own);
	}
	trace_close(&trace);
}

/* Behaviours 28, 31, 123: what is not in the mirror is not in the counters */
TEST_F(trace, invalidate_partial)
{
	struct trace trace;
	struct gpu own;
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned long long start, end;

	TRACE_OPEN(&trace);
	/* Only two pages of it are present. */
	p[3 * GPU_PAGE] = 1;
	p[5 * GPU_PAGE] = 1;
	OPEN_OWN(&own);
	EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, SIZE, NULL));
	EXPECT_GAUGE(&own, pages_small, 2);
	interval_of(&own, p, SIZE, &start, &end);
	trace_start(&trace, &own);
	EXPECT_DELTA(&own, pages_cleared, 1,
		     EXPECT_EQ(0, munmap(p + 4 * GPU_PAGE, 4 * GPU_PAGE)));
	/* In scheme vma nobody listens there any more. */
	if (own.conf.scheme != DRM_FAKEGPU_SCHEME_VMA)
		EXPECT_DELTA(&own, invalidations_useful, 0,
			     EXPECT_EQ(0, munmap(p + 8 * GPU_PAGE, 8 * GPU_PAGE)));
	trace_stop(&trace, p, SIZE);
	EXPECT_EVENT(&trace, 0, "invalidate",
		     "vm=%u owner=%d event=unmap range=%016llx-%016llx interval=%016llx-%016llx pages=1 blockable=1",
		     own.vm, getpid(), VA(p + 4 * GPU_PAGE), VA(p + 8 * GPU_PAGE), start, end);
	if (own.conf.scheme != DRM_FAKEGPU_SCHEME_VMA) {
		EXPECT_EQ(2, trace.count);
		EXPECT_EVENT(&trace, 1, "invalidate",
			     "vm=%u owner=%d event=unmap range=%016llx-%016llx interval=%016llx-%016llx pages=0 blockable=1",
			     own.vm, getpid(), VA(p + 8 * GPU_PAGE), VA(p + SIZE), start, end);
	}
	GPU_TEARDOWN(&own);
	trace_close(&trace);
}

TEST_HARNESS_MAIN
