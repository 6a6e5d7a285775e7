// SPDX-License-Identifier: MIT
/*
 * fakegpu run tour: how munmap reaches the mirror, told step by step
 *
 * Whatever the tour says has been checked just before it is printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "debugfs.h"
#include "run.h"
#include "runs.h"

static const char help[] =
	"Usage: fakegpu run tour [options]\n"
	"\n"
	"Map five kinds of memory, let the device work on them, show the mirror and the\n"
	"intervals, unmap parts, show what changed, access a hole, and map something new\n"
	"there. Each statement is checked. As root it also shows what debugfs knows.\n"
	RUN_HELP;

#define PAGE	((size_t)4096)
#define LEAF	((size_t)2 * MIB)
#define PATTERN	0x6761766e65766165ULL

/*
 * Addresses that are easy to read, where the kernel maps nothing by itself, so
 * that holes stay holes. 1 GiB apart: an interval each, by default.
 */
#define TOUR_BASE	0x200000000000ULL
#define TOUR_STEP	GIB

enum { A, B, C, D, E, REGIONS };

struct region {
	const char *kind;
	size_t size;
	/* What munmap takes away: */
	size_t hole, hole_size;
	const char *hole_words;
	uint8_t *p;
	int fd;
};

struct tour {
	struct run *run;
	uint32_t queue;
	bool root;
	uint8_t *copy;		/* what the CPU thinks is in a region */
	struct region region[REGIONS];
	struct runs runs;
	struct table intervals;
};

/* Where the device leaves its results; a page of its own. */
static struct {
	volatile uint64_t crc[8];
	volatile uint64_t sem;
	char text[64];
} results __attribute__((aligned(4096)));

static printf_like(1, 2) void step(const char *fmt, ...)
{
	static int n;
	va_list args;

	printf("\n%s%d. ", bold(), ++n);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("%s\n", plain());
	fflush(stdout);
}

/* Check a statement; says what isn't so. */
#define must(cond, ...) ((cond) || (fail("tour: not as it should be: " __VA_ARGS__), false))

static const char *region_label(void *data, uint64_t addr)
{
	static const char *const names[] = { "A", "B", "C", "D", "E" };
	const struct tour *t = data;
	size_t i;

	for (i = 0; i < REGIONS; i++)
		if (addr >= fakegpu_va(t->region[i].p) &&
		    addr < fakegpu_va(t->region[i].p) + t->region[i].size)
			return names[i];
	return "";
}

static uint64_t queue_faults(struct tour *t)
{
	struct drm_fakegpu_queue_get_state state = { 0 };

	fakegpu_queue_state(t->run->fd, t->queue, &state);
	return state.faults;
}

static bool device(struct tour *t, const struct drm_fakegpu_cmd *cmds, uint32_t count)
{
	return !run_cmds(t->run, t->queue, cmds, count);
}

static bool vm_state(struct tour *t, struct drm_fakegpu_vm_get_state *state)
{
	int ret = fakegpu_vm_state(t->run->fd, t->run->vm, state);

	return must(!ret, "VM_GET_STATE: %s", strerror(-ret));
}

static bool is_mapped(struct tour *t, const uint8_t *p, size_t size, size_t expect)
{
	int64_t bytes = size ? fakegpu_vm_mapped(t->run->fd, t->run->vm, p, size) : 0;

	return must(bytes == (int64_t)expect,
		    "%" PRId64 " of %zu bytes mirrored at %p, expected %zu",
		    bytes, size, (const void *)p, expect);
}

/* ------------------------------------------------------- 1: plain pointers */

static bool map_region(struct tour *t, size_t i, const char *kind, size_t size, int flags, int fd)
{
	struct region *r = &t->region[i];
	void *where = (void *)(uintptr_t)(TOUR_BASE + i * TOUR_STEP);

	r->kind = kind;
	r->size = size;
	r->fd = fd;
	r->p = mmap(where, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd, 0);
	if (r->p == MAP_FAILED) {
		r->p = NULL;
		fail("tour: can't map memory: %s", strerror(errno));
		return false;
	}
	return true;
}

static bool file_ready(struct tour *t, int fd, size_t size)
{
	return must(fd >= 0 && !ftruncate(fd, size) &&
		    pwrite(fd, t->copy, size, 0) == (ssize_t)size,
		    "can't make a file: %s", strerror(errno));
}

static void print_work(struct tour *t, size_t i, uint64_t faults, const char *what)
{
	const struct region *r = &t->region[i];

	printf("   %c  %-26s %012" PRIx64 " %8s  %-33s %7s\n", (char)('A' + i), r->kind,
	       fakegpu_va(r->p), human_size(r->size).s, what, plural(faults, "fault").s);
}

static bool work_on_pages(struct tour *t)
{
	struct region *r = &t->region[A];
	struct rng rng = { t->run->seed };
	struct drm_fakegpu_cmd cmd;

	if (!map_region(t, A, "MADV_NOHUGEPAGE", 256 * KIB, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return false;
	madvise(r->p, r->size, MADV_NOHUGEPAGE);
	rng_fill(&rng, r->p, r->size);
	cmd = fakegpu_checksum(r->p, r->size, &results.crc[0]);
	return device(t, &cmd, 1) &&
	       must(results.crc[0] == crc32c(r->p, r->size), "the checksum of A");
}

static bool is_large(struct tour *t, const struct region *r)
{
	struct drm_fakegpu_vm_run run;
	uint32_t count = 1;

	return !fakegpu_vm_query(t->run->fd, t->run->vm, r->p, r->size, &run, &count, NULL) &&
	       count == 1 && run.end - run.start == r->size &&
	       run.order == t->run->info.leaf_shift;
}

static bool work_on_thp(struct tour *t)
{
	struct region *r = &t->region[B];
	struct drm_fakegpu_cmd cmd;

	if (!map_region(t, B, "huge page (THP)", LEAF, MAP_PRIVATE | MAP_ANONYMOUS, -1))
		return false;
	madvise(r->p, r->size, MADV_HUGEPAGE);
	memset(r->p, 0xb0, r->size);
	cmd = fakegpu_fill(r->p, r->size, PATTERN);
	cpu_fill(t->copy, r->size, PATTERN);
	return device(t, &cmd, 1) &&
	       must(!memcmp(r->p, t->copy, r->size), "the bytes that the device wrote to B") &&
	       must(is_large(t, r),
		    "B is no 2 MiB leaf: is there memory for a huge page, and does\n"
		    "  /sys/kernel/mm/transparent_hugepage/enabled say madvise or always?");
}

static bool work_on_file(struct tour *t)
{
	char path[] = "/tmp/fakegpu-tour-XXXXXX";
	struct region *r = &t->region[C];
	struct rng rng = { t->run->seed + 1 };
	int fd = mkostemp(path, O_CLOEXEC);
	struct drm_fakegpu_cmd cmds[2];
	uint64_t before, after;

	if (fd >= 0)
		unlink(path);
	rng_fill(&rng, t->copy, 256 * KIB);
	if (!file_ready(t, fd, 256 * KIB) ||
	    !map_region(t, C, "file in /tmp, MAP_SHARED", 256 * KIB, MAP_SHARED, fd))
		return false;
	memcpy(&before, t->copy, sizeof(before));
	cmds[0] = fakegpu_checksum(r->p, r->size, &results.crc[0]);
	cmds[1] = fakegpu_atomic(r->p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, &results.crc[1]);
	return device(t, cmds, 2) &&
	       must(results.crc[0] == crc32c(t->copy, r->size), "the checksum of C") &&
	       must(results.crc[1] == before, "the old value that the atomic returned") &&
	       must(pread(fd, &after, sizeof(after), 0) == sizeof(after) && after == before + 1,
		    "read(2) doesn't see what the device added");
}

static bool work_on_memfd(struct tour *t)
{
	struct region *r = &t->region[D], *from = &t->region[A];
	int fd = memfd_create("fakegpu-tour", MFD_CLOEXEC);
	struct drm_fakegpu_cmd cmd;

	memset(t->copy, 0, r->size);
	if (!file_ready(t, fd, 256 * KIB) ||
	    !map_region(t, D, "memfd, MAP_SHARED", 256 * KIB, MAP_SHARED, fd))
		return false;
	cmd = fakegpu_copy(r->p, from->p, r->size);
	return device(t, &cmd, 1) &&
	       must(pread(fd, t->copy, r->size, 0) == (ssize_t)r->size &&
		    !memcmp(t->copy, from->p, r->size), "read(2) from D doesn't give A's bytes");
}

static bool work_on_untouched(struct tour *t)
{
	struct region *r = &t->region[E];
	struct drm_fakegpu_cmd cmd;

	if (!map_region(t, E, "never touched by the CPU", 64 * KIB, MAP_PRIVATE | MAP_ANONYMOUS,
			-1))
		return false;
	cmd = fakegpu_fill(r->p, r->size, PATTERN);
	cpu_fill(t->copy, r->size, PATTERN);
	return device(t, &cmd, 1) &&
	       must(!memcmp(r->p, t->copy, r->size), "the bytes that the device wrote to E");
}

static bool plain_pointers(struct tour *t)
{
	static const struct {
		bool (*work)(struct tour *t);
		const char *what;
	} works[REGIONS] = {
		{ work_on_pages, "reads all: crc32c is the CPU's" },
		{ work_on_thp, "fills it: CPU sees each byte" },
		{ work_on_file, "adds 1 in it: read(2) sees it" },
		{ work_on_memfd, "copies A to it: read(2) sees A" },
		{ work_on_untouched, "fills it: CPU sees each byte" },
	};
	uint64_t faults;
	size_t i;

	step("The device works on plain pointers; what the mirror lacks, it faults in");
	printf("      %s%-26s %-12s %8s  %-33s %s%s\n", bold(), "memory", "address", "size",
	       "the device", "it took", plain());

	/* So that the faults below are those of the regions alone. */
	if (!must(!fakegpu_prefetch(t->run->fd, t->run->vm, DRM_FAKEGPU_PREFETCH_WRITE, &results,
				    sizeof(results), NULL), "PREFETCH of the results' page"))
		return false;
	for (i = 0; i < REGIONS; i++) {
		faults = queue_faults(t);
		if (!works[i].work(t))
			return false;
		faults = queue_faults(t) - faults;
		if (!must(faults, "no device fault on region %c", (char)('A' + i)))
			return false;
		print_work(t, i, faults, works[i].what);
	}
	return true;
}

/* ------------------------------------------- 2: the mirror, the intervals */

static bool read_runs(struct tour *t, struct runs *runs)
{
	int ret = runs_read(t->run->fd, t->run->vm, TOUR_BASE, REGIONS * TOUR_STEP, runs);

	return must(!ret, "VM_QUERY: %s", strerror(-ret));
}

static bool read_intervals(struct tour *t, struct table *table)
{
	int ret = table_read_vm(t->run->fd, t->run->vm, "intervals", table);

	return must(!ret, "debugfs: %s", strerror(-ret));
}

/* Dead ones are on their way out. */
static bool is_live(const struct table *intervals, size_t row, uint64_t *start, uint64_t *end)
{
	return table_range(intervals, row, "range", start, end) &&
	       strcmp(table_str(intervals, row, "state"), "dead");
}

static bool is_covered(const struct table *intervals, uint64_t addr)
{
	uint64_t start, end;
	size_t i;

	for (i = 0; i < intervals->rows; i++)
		if (is_live(intervals, i, &start, &end) && start <= addr && addr < end)
			return true;
	return false;
}

static void print_interval(struct tour *t, char mark, uint64_t start, uint64_t end,
			   const char *pages)
{
	const char *color = mark == '-' ? red() : mark == '+' ? green() : "";
	char what[64] = "";
	size_t used = 0, i;

	for (i = 0; i < REGIONS; i++)
		if (fakegpu_va(t->region[i].p) >= start && fakegpu_va(t->region[i].p) < end)
			used += snprintf(what + used, sizeof(what) - used, "%s%c", used ? ", " : "",
					 (char)('A' + i));
	if (fakegpu_va(&results) >= start && fakegpu_va(&results) < end)
		snprintf(what + used, sizeof(what) - used, "%sthe page for the results",
			 used ? ", " : "");
	printf("   %s%c %012" PRIx64 "-%012" PRIx64 "   %9s  %11s  %s%s\n", color, mark, start, end,
	       human_size(end - start).s, pages, what, *color ? plain() : "");
}

static void print_intervals(struct tour *t, const struct table *old, const struct table *new)
{
	uint64_t start, end;
	char pages[32];
	size_t i;

	printf("     %s%-25s   %9s  %11s  %s%s\n", bold(), "interval", "size", "4 KiB pages",
	       "around", plain());
	for (i = 0; old && i < old->rows; i++)
		if (is_live(old, i, &start, &end) && !is_covered(new, start))
			print_interval(t, '-', start, end, table_str(old, i, "pages"));
	for (i = 0; i < new->rows; i++) {
		if (!is_live(new, i, &start, &end))
			continue;
		snprintf(pages, sizeof(pages), "%.20s", table_str(new, i, "pages"));
		print_interval(t, !old ? ' ' : is_covered(old, start) ? '=' : '+', start, end,
			       pages);
	}
}

static bool show_mirror(struct tour *t)
{
	size_t i;

	step("The mirror (VM_QUERY), and the intervals (debugfs): what munmap will be heard for");
	for (i = 0; i < REGIONS; i++)
		if (!is_mapped(t, t->region[i].p, t->region[i].size, t->region[i].size))
			return false;
	if (!read_runs(t, &t->runs))
		return false;
	runs_print(&t->runs, region_label, t);
	if (!t->root) {
		puts("   (only root may read the intervals from debugfs)");
		return true;
	}
	if (!read_intervals(t, &t->intervals))
		return false;
	for (i = 0; i < REGIONS; i++)
		if (!must(is_covered(&t->intervals, fakegpu_va(t->region[i].p)),
			  "no interval around region %c", (char)('A' + i)))
			return false;
	print_intervals(t, NULL, &t->intervals);
	return true;
}

/* -------------------------------------------------------------- 3: munmap */

/* Does an interval hold E and nothing else that is mirrored? */
static bool has_own_interval(struct tour *t)
{
	uint32_t order = t->run->interval_order ?: t->run->info.interval_order;

	return t->run->scheme == DRM_FAKEGPU_SCHEME_SLOT && (TOUR_STEP >> order);
}

/* Intervals are removed by a worker, a moment after their last entry is gone. */
static bool wait_interval_gone(struct tour *t, struct table *now)
{
	uint64_t start = now_ns();

	for (;;) {
		if (!read_intervals(t, now))
			return false;
		if (!has_own_interval(t) || !is_covered(now, fakegpu_va(t->region[E].p)))
			return true;
		table_free(now);
		if (!must(now_ns() - start < 10 * NSEC_PER_SEC, "E's interval stays"))
			return false;
		usleep(10000);
	}
}

static bool check_unmapped(struct tour *t, const struct drm_fakegpu_vm_get_state *before)
{
	struct drm_fakegpu_vm_get_state after;
	size_t i;

	for (i = 0; i < REGIONS; i++) {
		const struct region *r = &t->region[i];
		size_t end = r->hole + r->hole_size;

		if (!is_mapped(t, r->p, r->hole, r->hole) ||
		    !is_mapped(t, r->p + r->hole, r->hole_size, 0) ||
		    !is_mapped(t, r->p + end, r->size - end, r->size - end))
			return false;
	}
	return vm_state(t, &after) &&
	       must(after.faults == before->faults, "munmap made the device fault") &&
	       must(after.leaves_dropped == before->leaves_dropped, "a leaf was dropped") &&
	       must(after.slots_restored > before->slots_restored, "B was not read again");
}

/* Did the split of B's huge page come as an event of its own, that took all of B? */
static bool check_events(struct tour *t)
{
	const struct region *b = &t->region[B];
	uint64_t start, end;
	struct table events;
	bool found = false;
	size_t i;
	int ret;

	ret = table_read_vm(t->run->fd, t->run->vm, "events", &events);
	if (!must(!ret, "debugfs: %s", strerror(-ret)))
		return false;
	for (i = 0; i < events.rows; i++)
		found |= !strcmp(table_str(&events, i, "event"), "clear") &&
			 table_range(&events, i, "range", &start, &end) &&
			 start == fakegpu_va(b->p) && end == fakegpu_va(b->p) + b->size &&
			 table_num(&events, i, "pages_cleared") == b->size / PAGE;
	table_free(&events);
	return must(found, "no CLEAR that took all of B");
}

static void plan_unmap(struct tour *t, size_t i, size_t hole, size_t size, const char *words)
{
	struct region *r = &t->region[i];

	r->hole = hole;
	r->hole_size = size;
	r->hole_words = words;
}

static bool unmap_parts(struct tour *t)
{
	struct drm_fakegpu_vm_get_state before;
	struct table intervals = { 0 };
	struct runs runs;
	uint64_t pages = 0;
	bool good = true;
	size_t i;

	step("munmap: head, one page of a huge page, middle, tail, all");
	plan_unmap(t, A, 0, 64 * KIB, "the head");
	plan_unmap(t, B, MIB, PAGE, "one page in the middle of the huge page");
	plan_unmap(t, C, 64 * KIB, 32 * KIB, "some of the middle");
	plan_unmap(t, D, 192 * KIB, 64 * KIB, "the tail");
	plan_unmap(t, E, 0, t->region[E].size, "all");
	if (!vm_state(t, &before))
		return false;
	for (i = 0; i < REGIONS; i++) {
		const struct region *r = &t->region[i];
		char offset[32] = "", call[80];

		if (!must(!munmap(r->p + r->hole, r->hole_size), "munmap: %s", strerror(errno)))
			return false;
		pages += r->hole_size / PAGE;
		if (r->hole)
			snprintf(offset, sizeof(offset), " + %.20s", human_size(r->hole).s);
		snprintf(call, sizeof(call), "munmap(%c%s, %.20s)", (char)('A' + i), offset,
			 human_size(r->hole_size).s);
		printf("   %-28s %s\n", call, r->hole_words);
	}
	if (!check_unmapped(t, &before) || !read_runs(t, &runs))
		return false;

	if (t->root) {
		if (!check_events(t))
			return false;
		puts("   To unmap one page of B, the kernel first split the huge page, and said"
		     " CLEAR for all of it.\n   The driver let go of 512 pages, and then read again"
		     " what is there, without a device fault.");
	}

	step("The mirror after it: - gone, = kept; gone are exactly the %" PRIu64
	     " unmapped pages", pages);
	runs_print_diff(&t->runs, &runs, region_label, t);
	runs_free(&t->runs);
	t->runs = runs;
	if (t->root) {
		good = wait_interval_gone(t, &intervals);
		if (good) {
			print_intervals(t, &t->intervals, &intervals);
			table_free(&t->intervals);
			t->intervals = intervals;
		}
	}
	return good;
}

/* ------------------------------------------------- 5: what stayed is warm */

static bool read_rest(struct tour *t)
{
	struct drm_fakegpu_vm_get_state before, after;
	struct drm_fakegpu_cmd cmds[2 * REGIONS];
	const uint8_t *addr[2 * REGIONS];
	size_t len[2 * REGIONS], left, i;
	uint32_t n = 0;

	step("What stayed is read without a new device fault");
	for (i = 0; i < REGIONS; i++) {
		const struct region *r = &t->region[i];
		size_t end = r->hole + r->hole_size;

		if (r->hole) {
			addr[n] = r->p;
			len[n++] = r->hole;
		}
		if (end < r->size) {
			addr[n] = r->p + end;
			len[n++] = r->size - end;
		}
	}
	if (!must(n <= ARRAY_SIZE(results.crc), "too many parts"))
		return false;
	for (i = 0; i < n; i++)
		cmds[i] = fakegpu_checksum(addr[i], len[i], &results.crc[i]);

	if (!vm_state(t, &before) || !device(t, cmds, n) || !vm_state(t, &after))
		return false;
	for (left = 0, i = 0; i < n; i++) {
		left += len[i];
		if (!must(results.crc[i] == crc32c(addr[i], len[i]),
			  "checksum of what stayed at %p", (const void *)addr[i]))
			return false;
	}
	if (!must(after.faults == before.faults, "%" PRIu64 " new faults on what stayed",
		  (uint64_t)(after.faults - before.faults)) ||
	    !is_mapped(t, t->region[B].p, LEAF, LEAF - PAGE))
		return false;
	printf("   The device has read the other %zu pages of B and what is left of A, C and D: %s"
	       " in\n   %u parts, each crc32c is the CPU's; device faults before %" PRIu64
	       ", after %" PRIu64 ".\n", LEAF / PAGE - 1, human_size(left).s, n,
	       (uint64_t)before.faults, (uint64_t)after.faults);
	return true;
}

/* -------------------------------------------------- 6: a fault in the hole */

static bool last_fault(struct tour *t, struct drm_fakegpu_fault_info *info)
{
	uint32_t count = 1;
	int ret = fakegpu_vm_faults(t->run->fd, t->run->vm, info, &count, NULL);

	return must(!ret && count == 1, "no fault report: %s", strerror(-ret));
}

static bool check_fatal(struct tour *t, uint32_t queue, uint8_t *hole)
{
	struct drm_fakegpu_cmd nop = fakegpu_nop(), cmd = fakegpu_fill(hole - 64, 128, ~PATTERN);
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_fault_info info;
	uint8_t expect[64];
	int ret;

	cpu_fill(expect, sizeof(expect), ~PATTERN);
	ret = fakegpu_run(t->run->fd, queue, &cmd, 1);
	if (!must(ret == -EIO, "the fill of the hole: %s", strerror(-ret)) ||
	    !last_fault(t, &info) ||
	    !must(info.addr == fakegpu_va(hole) && info.access == DRM_FAKEGPU_ACCESS_WRITE &&
		  info.error == EFAULT && info.queue_id == queue && info.seqno == 1 &&
		  info.cmd_index == 0, "the fault report") ||
	    !must(!fakegpu_queue_state(t->run->fd, queue, &state) &&
		  state.flags & DRM_FAKEGPU_QUEUE_FATAL && state.fault_addr == fakegpu_va(hole) &&
		  state.error == EFAULT, "the state of the stopped queue") ||
	    !must(!memcmp(hole - 64, expect, sizeof(expect)), "the bytes below the hole") ||
	    !must(fakegpu_submit(t->run->fd, queue, &nop, 1, NULL) == -EIO,
		  "the stopped queue takes more work"))
		return false;

	printf("   fault report: queue %u, submission %" PRIu64 ", command %u: %s at 0x%" PRIx64
	       ": %s\n", info.queue_id, (uint64_t)info.seqno, info.cmd_index,
	       access_name(info.access), (uint64_t)info.addr, strerror(info.error));
	printf("   The 64 bytes below are written, none above;"
	       " queue %u is stopped for good (EIO).\n", queue);
	return true;
}

static bool access_hole(struct tour *t)
{
	const struct region *a = &t->region[A];
	uint8_t *hole = t->region[B].p + t->region[B].hole;
	size_t end = a->hole_size;
	struct drm_fakegpu_cmd cmds[] = {
		fakegpu_sem_wait(&results.sem, 1, 0),
		fakegpu_checksum(a->p + end, a->size - end, &results.crc[0]),
	};
	uint64_t seqno;
	uint32_t queue;
	bool good;
	int ret;

	if (run_queue(t->run, &queue))
		return false;
	step("Queue %u fills 128 bytes across the edge of B's hole: a fatal fault, and a report",
	     queue);

	/* Work that is under way on the other queue while this happens. */
	results.crc[0] = ~0ULL;
	ret = fakegpu_submit(t->run->fd, t->queue, cmds, 2, &seqno);
	good = must(!ret, "can't submit: %s", strerror(-ret)) && check_fatal(t, queue, hole);
	fakegpu_queue_destroy(t->run->fd, queue);
	__atomic_store_n(&results.sem, 1, __ATOMIC_RELEASE);
	if (ret)
		return false;
	ret = fakegpu_wait(t->run->fd, t->queue, seqno, -1);
	if (!good || !must(!ret, "the other queue: %s", strerror(-ret)) ||
	    !must(results.crc[0] == crc32c(a->p + end, a->size - end),
		  "the other queue's checksum"))
		return false;
	printf("   Queue %u had work under way all the while; it has finished it, with the right"
	       " result.\n", t->queue);
	return true;
}

/* ------------------------------------------------ 7: something new at it */

static bool refill_hole(struct tour *t)
{
	static const char text[] = "new bytes at an old address";
	uint8_t *hole = t->region[B].p + t->region[B].hole;
	struct drm_fakegpu_cmd cmd = fakegpu_copy(results.text, hole, sizeof(text));
	struct runs runs;
	uint64_t faults;
	void *p;

	step("Something new at the hole: + new");
	p = mmap(hole, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (!must(p == hole, "can't map at the hole: %s", strerror(errno)) ||
	    !is_mapped(t, hole, PAGE, 0))
		return false;
	memcpy(p, text, sizeof(text));
	memset(results.text, 0, sizeof(results.text));
	faults = queue_faults(t);
	if (!device(t, &cmd, 1))
		return false;
	faults = queue_faults(t) - faults;
	if (!must(!strcmp(results.text, text), "the device saw '%.63s'", results.text) ||
	    !must(faults >= 1, "no fault on new memory") ||
	    !is_mapped(t, hole, PAGE, PAGE) || !read_runs(t, &runs))
		return false;
	printf("   mmap(B + 1 MiB, 4 KiB), and the CPU writes \"%s\" there.\n"
	       "   The device copies it out: \"%s\" (%s).\n", text, results.text,
	       plural(faults, "fault").s);
	runs_print_diff(&t->runs, &runs, region_label, t);
	runs_free(&t->runs);
	t->runs = runs;
	return true;
}

/* ----------------------------------------------------------- 8: the oracle */

static bool verify(struct tour *t)
{
	struct drm_fakegpu_vm_get_state s;
	char report[1024];
	int ret;

	if (t->root) {
		step("The oracle holds each entry of the mirror against the CPU's page table");
		ret = fakegpu_verify(t->run->fd, report, sizeof(report));
		if (!must(ret >= 0, "verify: %s", strerror(-ret)) || !must(!ret, "%s", report))
			return false;
		printf("   %s", report);
	}
	if (!vm_state(t, &s))
		return false;
	printf("   %s (%" PRIu64 " fatal), %" PRIu64 " windows, %s; intervals: %" PRIu64 " added,"
	       " %" PRIu64 " removed\n", plural(s.faults, "device fault").s,
	       (uint64_t)s.faults_fatal, (uint64_t)s.windows, plural(s.retries, "retry").s,
	       (uint64_t)s.intervals_added, (uint64_t)s.intervals_removed);
	return must(s.faults_fatal == 1, "%" PRIu64 " fatal faults", (uint64_t)s.faults_fatal);
}

static int tour(struct tour *t)
{
	static bool (*const steps[])(struct tour *t) = {
		plain_pointers, show_mirror, unmap_parts, read_rest, access_hole, refill_hole,
		verify,
	};
	const char *scheme = scheme_name(t->run->scheme, t->run->vm_flags);
	bool good = true;
	size_t i;

	printf("A tour of fakegpu, a GPU in software. VM %u, scheme %s", t->run->vm, scheme);
	if (t->run->scheme == DRM_FAKEGPU_SCHEME_SLOT)
		printf(" of %s",
		       human_size(1ULL << (t->run->interval_order ?:
					   t->run->info.interval_order)).s);
	printf(", fault windows of %s.\n",
	       human_size(1ULL << (t->run->window_order ?: t->run->info.window_order)).s);

	for (i = 0; good && i < ARRAY_SIZE(steps); i++) {
		good = steps[i](t);
		fflush(stdout);
	}
	printf("\ntour: %s\n", good ? "each statement above has been checked" : "FAILED");
	return good ? OK : FAILED;
}

int run_tour(struct run *run, int argc, char **argv)
{
	static const struct option options[] = { RUN_OPTIONS, { 0 } };
	struct tour t = { .run = run, .root = !geteuid() };
	int c, ret;
	size_t i;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		ret = run_option(run, c, help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("tour: '%s' is too much", argv[optind]);
	if (common.json)
		return usage("tour: it is meant to be read, there is no --json");

	for (i = 0; i < REGIONS; i++)
		t.region[i].fd = -1;
	if (run_open(run))
		return FAILED;
	if (run->window_order && run->window_order < run->info.leaf_shift) {
		ret = fail("tour: it is about 2 MiB leaves too: --window-order must be %u or more",
			   run->info.leaf_shift);
		run_close(run);
		return ret;
	}
	t.copy = map_memory(LEAF);
	if (!t.copy || run_queue(run, &t.queue)) {
		ret = FAILED;
	} else {
		ret = tour(&t);
		fakegpu_queue_destroy(run->fd, t.queue);
	}
	for (i = 0; i < REGIONS; i++) {
		if (t.region[i].p)
			munmap(t.region[i].p, t.region[i].size);
		if (t.region[i].fd >= 0)
			close(t.region[i].fd);
	}
	if (t.copy)
		munmap(t.copy, LEAF);
	runs_free(&t.runs);
	table_free(&t.intervals);
	run_close(run);
	return ret;
}
