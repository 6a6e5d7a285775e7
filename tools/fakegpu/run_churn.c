// SPDX-License-Identifier: MIT
/*
 * fakegpu run churn: threads map, compute, compare and unmap, at random
 *
 * Each thread has a queue of its own on the one VM. It makes a region of some
 * kind of memory, lets the device work on it while it does the same to a copy
 * of its own (the shadow), compares all bytes, and takes the region away again
 * in pieces, also while the device works on what stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

static const char help[] =
	"Usage: fakegpu run churn [options]\n"
	"\n"
	"Threads map, malloc, let the device compute, compare each byte with what the CPU\n"
	"computed, and unmap head, middle, tail or all, also while the device works on the\n"
	"rest. Memory is anonymous (4 KiB pages and THP), malloc'd, of a file, of a memfd.\n"
	"\n"
	"      --threads N          threads, each with a queue of its own (default: 4)\n"
	"      --seconds N          for how long (default: 10)\n"
	RUN_HELP;

enum { OPT_THREADS = OPT_OWN, OPT_SECONDS };

#define PAGE		((size_t)4096)
#define LEAF		((size_t)2 * MIB)
#define REGION_MAX	(2 * LEAF)
#define MAX_CMDS	8
#define MAX_COMPLAINTS	10

/*
 * Some regions go to addresses where the kernel puts nothing of its own: there
 * a hole stays a hole, so that its mirror entries can be asserted to be gone.
 * Others go where the kernel likes, to make threads reuse each other's holes.
 */
#define ARENA_BASE	0x200000000000ULL
#define ARENA_SIZE	(4 * GIB)
#define ARENA_SLOTS	8

enum kind { KIND_ANON, KIND_MALLOC, KIND_HUGE, KIND_FILE, KIND_MEMFD, KIND_COUNT };

static const char *const kind_names[] = { "anonymous", "malloc", "huge", "file", "memfd" };

struct region {
	uint8_t *p;
	size_t size;
	enum kind kind;
	bool arena;
};

/* What a job is expected to write to its result words. */
struct job {
	struct drm_fakegpu_cmd cmds[MAX_CMDS];
	uint64_t expect[MAX_CMDS];
	bool has_result[MAX_CMDS];
	uint32_t count;
};

struct churn;

struct worker {
	struct churn *churn;
	pthread_t thread;
	struct rng rng;
	uint32_t queue;
	unsigned int index;
	uint8_t *arena;
	uint8_t *shadow;
	volatile uint64_t *results;
	int file, memfd;
	/* Counts. */
	uint64_t commands, bytes, maps, unmaps, races;
};

struct churn {
	struct run *run;
	unsigned int threads;
	uint64_t seconds;
	atomic_bool stop;
	atomic_ullong mismatches;
	atomic_ullong operations;
};

static void complain(struct worker *w, const struct region *r, const char *what,
		     uint64_t device, uint64_t cpu)
{
	if (atomic_fetch_add(&w->churn->mismatches, 1) >= MAX_COMPLAINTS)
		return;
	fail("churn: thread %u, %s region %p+0x%zx: %s: device 0x%" PRIx64 ", CPU 0x%" PRIx64,
	     w->index, kind_names[r->kind], (void *)r->p, r->size, what, device, cpu);
}

static void give_up(struct worker *w, const char *what, int err)
{
	fail("churn: thread %u: %s: %s", w->index, what, strerror(err));
	atomic_fetch_add(&w->churn->mismatches, 1);
	atomic_store(&w->churn->stop, true);
}

static bool chance(struct worker *w, unsigned int percent)
{
	return rng_below(&w->rng, 100) < percent;
}

/* ---------------------------------------------------------------- regions */

static size_t pick_size(struct worker *w, enum kind kind)
{
	switch (kind) {
	case KIND_HUGE:
		return LEAF * (1 + rng_below(&w->rng, REGION_MAX / LEAF));
	case KIND_MALLOC:
		return 1 + rng_below(&w->rng, chance(w, 50) ? 8 * KIB : 512 * KIB);
	default:
		return PAGE * (1 + rng_below(&w->rng, chance(w, 80) ? 64 : 512));
	}
}

static void *map_at(void *where, size_t size, int flags, int fd)
{
	if (where)
		flags |= MAP_FIXED_NOREPLACE;
	return mmap(where, size, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static void *map_aligned(size_t size)
{
	uint8_t *p = map_at(NULL, size + LEAF, MAP_PRIVATE | MAP_ANONYMOUS, -1), *start;

	if (p == MAP_FAILED)
		return p;
	start = (uint8_t *)(((uintptr_t)p + LEAF - 1) & ~(LEAF - 1));
	if (start > p)
		munmap(p, start - p);
	if (start < p + LEAF)
		munmap(start + size, p + LEAF - start);
	return start;
}

static bool region_map(struct worker *w, struct region *r)
{
	void *where = NULL;
	int fd = -1;

	r->kind = rng_below(&w->rng, KIND_COUNT);
	r->size = pick_size(w, r->kind);
	r->arena = r->kind != KIND_MALLOC && chance(w, 50);
	if (r->arena)
		where = w->arena + rng_below(&w->rng, ARENA_SLOTS) * (ARENA_SIZE / ARENA_SLOTS);

	switch (r->kind) {
	case KIND_MALLOC:
		r->p = malloc(r->size);
		if (!r->p)
			r->p = MAP_FAILED;
		break;
	case KIND_HUGE:
		r->p = where ? map_at(where, r->size, MAP_PRIVATE | MAP_ANONYMOUS, -1) :
			       map_aligned(r->size);
		if (r->p != MAP_FAILED)
			madvise(r->p, r->size, MADV_HUGEPAGE);
		break;
	case KIND_FILE:
	case KIND_MEMFD:
		fd = r->kind == KIND_FILE ? w->file : w->memfd;
		r->p = map_at(where, r->size, MAP_SHARED, fd);
		break;
	default:
		r->p = map_at(where, r->size, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	}
	if (r->p == MAP_FAILED) {
		give_up(w, "no memory", errno);
		return false;
	}
	w->maps++;

	/* First content: by write(2), so that the mapping is untouched; by the CPU; or none. */
	if (fd >= 0) {
		rng_fill(&w->rng, w->shadow, r->size);
		if (pwrite(fd, w->shadow, r->size, 0) != (ssize_t)r->size) {
			munmap(r->p, r->size);
			give_up(w, "can't write to the file", errno);
			return false;
		}
	} else if (r->kind == KIND_MALLOC || chance(w, 50)) {
		rng_fill(&w->rng, w->shadow, r->size);
		memcpy(r->p, w->shadow, r->size);
	} else {
		memset(w->shadow, 0, r->size);
	}
	return true;
}

/* ------------------------------------------------------------------- jobs */

/* A range in [@lo, @hi), any alignment; mostly short. */
static void pick_range(struct worker *w, size_t lo, size_t hi, size_t *off, size_t *len)
{
	size_t room = hi - lo, max = room;

	if (max > 16 * KIB && !chance(w, 10))
		max = 16 * KIB;
	*len = 1 + rng_below(&w->rng, max);
	*off = lo + rng_below(&w->rng, room - *len + 1);
}

static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t size)
{
	size_t i;

	if (!memcmp(a, b, size))
		return size;
	for (i = 0; a[i] == b[i]; i++)
		;
	return i;
}

static void job_add(struct job *job, struct drm_fakegpu_cmd cmd, bool has_result, uint64_t expect)
{
	job->cmds[job->count] = cmd;
	job->has_result[job->count] = has_result;
	job->expect[job->count] = expect;
	job->count++;
}

static void add_fill(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	uint64_t pattern = rng_next(&w->rng);
	size_t off, len;

	pick_range(w, lo, hi, &off, &len);
	job_add(job, fakegpu_fill(r->p + off, len, pattern), false, 0);
	cpu_fill(w->shadow + off, len, pattern);
	w->bytes += len;
}

static void add_copy(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2, a, b, len;

	if (mid == lo)
		return;
	pick_range(w, lo, mid, &a, &len);
	b = mid + rng_below(&w->rng, hi - mid - len + 1);
	if (chance(w, 50)) {
		size_t tmp = a;

		a = b;
		b = tmp;
	}
	job_add(job, fakegpu_copy(r->p + a, r->p + b, len), false, 0);
	memcpy(w->shadow + a, w->shadow + b, len);
	w->bytes += len;
}

static void add_compare(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	size_t a, b, len;

	pick_range(w, lo, hi, &a, &len);
	b = lo + rng_below(&w->rng, hi - lo - len + 1);
	job_add(job, fakegpu_compare(r->p + a, r->p + b, len, &w->results[job->count]), true,
		first_difference(w->shadow + a, w->shadow + b, len));
	w->bytes += len;
}

static void add_checksum(struct worker *w, struct region *r, struct job *job, size_t off,
			 size_t len)
{
	job_add(job, fakegpu_checksum(r->p + off, len, &w->results[job->count]), true,
		crc32c(w->shadow + off, len));
	w->bytes += len;
}

static void add_atomic(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	uint64_t operand = rng_next(&w->rng), compare = rng_next(&w->rng), old = 0, new;
	size_t size = chance(w, 50) ? 4 : 8, off;
	uint32_t op;

	lo = (lo + size - 1) & ~(size - 1);
	if (lo + size > hi)
		return;
	off = lo + rng_below(&w->rng, (hi - lo) / size) * size;
	if (size == 4) {
		operand = (uint32_t)operand;
		compare = (uint32_t)compare;
	}
	memcpy(&old, w->shadow + off, size);
	switch (rng_below(&w->rng, 3)) {
	case 0:
		op = DRM_FAKEGPU_ATOMIC_ADD;
		new = old + operand;
		compare = 0;
		break;
	case 1:
		op = DRM_FAKEGPU_ATOMIC_SWAP;
		new = operand;
		compare = 0;
		break;
	default:
		op = DRM_FAKEGPU_ATOMIC_CAS;
		if (chance(w, 50))
			compare = old;
		new = old == compare ? operand : old;
	}
	job_add(job, fakegpu_atomic(r->p + off, size, op, operand, compare,
				    &w->results[job->count]), true, old);
	memcpy(w->shadow + off, &new, size);
	w->bytes += size;
}

static void add_touch(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	size_t off, len;

	pick_range(w, lo, hi, &off, &len);
	job_add(job, fakegpu_touch(r->p + off, len, 64 + rng_below(&w->rng, 2 * PAGE),
				   chance(w, 50) ? DRM_FAKEGPU_CMD_WRITE : 0), false, 0);
}

/* Random commands on [@lo, @hi) of the region; the shadow is what they should lead to. */
static void make_job(struct worker *w, struct region *r, struct job *job, size_t lo, size_t hi)
{
	uint32_t count = 1 + rng_below(&w->rng, MAX_CMDS - 1);
	size_t off, len;

	job->count = 0;
	while (job->count < count) {
		switch (rng_below(&w->rng, 6)) {
		case 0:
			add_fill(w, r, job, lo, hi);
			break;
		case 1:
			add_copy(w, r, job, lo, hi);
			break;
		case 2:
			add_compare(w, r, job, lo, hi);
			break;
		case 3:
			add_atomic(w, r, job, lo, hi);
			break;
		case 4:
			add_touch(w, r, job, lo, hi);
			break;
		default:
			pick_range(w, lo, hi, &off, &len);
			add_checksum(w, r, job, off, len);
		}
	}
}

static bool job_submit(struct worker *w, struct job *job, uint64_t *seqno)
{
	uint32_t i;
	int ret;

	/* So that a result that was never written doesn't look right by chance. */
	for (i = 0; i < job->count; i++)
		w->results[i] = ~job->expect[i];
	ret = fakegpu_submit(w->churn->run->fd, w->queue, job->cmds, job->count, seqno);
	if (ret) {
		give_up(w, "can't submit", -ret);
		return false;
	}
	w->commands += job->count;
	atomic_fetch_add_explicit(&w->churn->operations, job->count, memory_order_relaxed);
	return true;
}

static bool job_wait(struct worker *w, const struct region *r, struct job *job, uint64_t seqno)
{
	struct run *run = w->churn->run;
	uint32_t i;
	int ret;

	ret = fakegpu_wait(run->fd, w->queue, seqno, -1);
	if (ret == -EIO)
		explain_fatal(run, w->queue);
	if (ret) {
		give_up(w, "the device didn't do its work", -ret);
		return false;
	}
	for (i = 0; i < job->count; i++)
		if (job->has_result[i] && w->results[i] != job->expect[i]) {
			char what[64];

			snprintf(what, sizeof(what), "result of command %u, opcode %u", i,
				 job->cmds[i].opcode);
			complain(w, r, what, w->results[i], job->expect[i]);
		}
	return true;
}

/* Each byte of [@lo, @hi), first as the CPU sees it, then as the device does. */
static bool check(struct worker *w, struct region *r, size_t lo, size_t hi)
{
	struct job job = { .count = 0 };
	uint64_t seqno;
	size_t diff;

	if (lo == hi)
		return true;
	diff = lo + first_difference(r->p + lo, w->shadow + lo, hi - lo);
	if (diff < hi) {
		char what[64];

		snprintf(what, sizeof(what), "byte at offset 0x%zx", diff);
		complain(w, r, what, r->p[diff], w->shadow[diff]);
	}
	add_checksum(w, r, &job, lo, hi - lo);
	return job_submit(w, &job, &seqno) && job_wait(w, r, &job, seqno);
}

/* ------------------------------------------------------------------ unmap */

/* Choose what goes: [*lo, *hi), whole pages. */
static void pick_part(struct worker *w, const struct region *r, size_t *lo, size_t *hi)
{
	size_t pages = r->size / PAGE, first = 0, n = pages;

	switch (pages > 2 ? rng_below(&w->rng, 5) : 0) {
	case 0:	/* all */
		break;
	case 1:	/* head */
		n = 1 + rng_below(&w->rng, pages - 1);
		break;
	case 2:	/* tail */
		n = 1 + rng_below(&w->rng, pages - 1);
		first = pages - n;
		break;
	case 3:	/* middle */
		n = 1 + rng_below(&w->rng, pages - 2);
		first = 1 + rng_below(&w->rng, pages - n - 1);
		break;
	default: /* one page */
		n = 1;
		first = 1 + rng_below(&w->rng, pages - 2);
	}
	*lo = first * PAGE;
	*hi = (first + n) * PAGE;
}

static void unmap(struct worker *w, const struct region *r, size_t lo, size_t hi)
{
	if (lo == hi)
		return;
	munmap(r->p + lo, hi - lo);
	w->unmaps++;
	atomic_fetch_add_explicit(&w->churn->operations, 1, memory_order_relaxed);
}

static bool check_hole(struct worker *w, const struct region *r, size_t lo, size_t hi)
{
	struct run *run = w->churn->run;
	int64_t mapped;

	if (!r->arena)
		return true;
	mapped = fakegpu_vm_mapped(run->fd, run->vm, r->p + lo, hi - lo);
	if (mapped < 0) {
		give_up(w, "VM_QUERY", -mapped);
		return false;
	}
	if (mapped)
		complain(w, r, "bytes mirrored in a hole", mapped, 0);
	return true;
}

/* Put new memory at the hole: the device must see it, and nothing of the old. */
static bool refill_hole(struct worker *w, struct region *r, size_t lo, size_t hi)
{
	void *p = map_at(r->p + lo, hi - lo, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct region hole = { .p = r->p, .size = r->size, .kind = KIND_ANON, .arena = true };

	if (p == MAP_FAILED) {
		give_up(w, "can't map at the hole", errno);
		return false;
	}
	w->maps++;
	memset(w->shadow + lo, 0, hi - lo);
	if (chance(w, 50)) {
		rng_fill(&w->rng, w->shadow + lo, PAGE);
		memcpy(p, w->shadow + lo, PAGE);
	}
	if (!check(w, &hole, lo, hi))
		return false;
	unmap(w, r, lo, hi);
	return check_hole(w, r, lo, hi);
}

/* Unmap [@lo, @hi) while the device works on what stays, or touches all. */
static bool race(struct worker *w, struct region *r, size_t lo, size_t hi)
{
	size_t keep_lo = hi < r->size ? hi : 0, keep_hi = hi < r->size ? r->size : lo;
	struct job job = { .count = 0 };
	unsigned int spins;
	uint64_t seqno;

	if (keep_lo < keep_hi)
		make_job(w, r, &job, keep_lo, keep_hi);
	/* NOFAULT: this one may or may not still find the pages that go. */
	if (job.count < MAX_CMDS && (!job.count || chance(w, 50)))
		job_add(&job, fakegpu_touch(r->p, r->size, PAGE / 2, DRM_FAKEGPU_CMD_NOFAULT |
					    (chance(w, 50) ? DRM_FAKEGPU_CMD_WRITE : 0)), false, 0);
	if (!job_submit(w, &job, &seqno))
		return false;
	for (spins = rng_below(&w->rng, 4); spins; spins--)
		sched_yield();
	unmap(w, r, lo, hi);
	w->races++;
	return job_wait(w, r, &job, seqno);
}

/* Returns false if this thread can't go on. */
static bool region_unmap(struct worker *w, struct region *r)
{
	size_t lo, hi;
	bool good;

	if (r->kind == KIND_MALLOC) {
		free(r->p);
		w->unmaps++;
		return true;
	}
	pick_part(w, r, &lo, &hi);
	if (chance(w, 50)) {
		good = race(w, r, lo, hi);
	} else {
		unmap(w, r, lo, hi);
		good = true;
	}
	good = good && check_hole(w, r, lo, hi) &&
	       check(w, r, 0, lo) && check(w, r, hi, r->size);
	if (good && r->arena && chance(w, 30))
		good = refill_hole(w, r, lo, hi);

	/* Never the hole again: outside the arena it may be another thread's by now. */
	unmap(w, r, 0, lo);
	unmap(w, r, hi, r->size);
	return good;
}

/* ---------------------------------------------------------------- threads */

static bool one_round(struct worker *w)
{
	unsigned int jobs = 1 + rng_below(&w->rng, 3);
	struct region r;
	struct job job;
	uint64_t seqno;
	bool good = true;

	if (!region_map(w, &r))
		return false;
	while (good && jobs--) {
		make_job(w, &r, &job, 0, r.size);
		good = job_submit(w, &job, &seqno) && job_wait(w, &r, &job, seqno);
		if (good && chance(w, 30)) {
			size_t off, len;

			/* The CPU's turn: the device must see this afterwards. */
			pick_range(w, 0, r.size, &off, &len);
			rng_fill(&w->rng, w->shadow + off, len);
			memcpy(r.p + off, w->shadow + off, len);
		}
		if (good && (r.kind == KIND_ANON || r.kind == KIND_HUGE) && chance(w, 15)) {
			size_t lo, hi;

			pick_part(w, &r, &lo, &hi);
			madvise(r.p + lo, hi - lo, MADV_DONTNEED);
			memset(w->shadow + lo, 0, hi - lo);
		}
	}
	good = good && check(w, &r, 0, r.size);
	if (good)
		return region_unmap(w, &r);
	/* The device may still work on the region: leave it to the end of the process. */
	return false;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load_explicit(&w->churn->stop, memory_order_relaxed))
		if (!one_round(w))
			break;
	return NULL;
}

static int open_file(void)
{
	char path[] = "/tmp/fakegpu-churn-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0)
		return -1;
	unlink(path);
	return fd;
}

static bool worker_init(struct worker *w)
{
	if (run_queue(w->churn->run, &w->queue))
		return false;
	w->arena = (uint8_t *)(ARENA_BASE + w->index * ARENA_SIZE);
	w->rng.state = w->churn->run->seed * 1000003 + w->index;
	w->results = map_memory(PAGE);
	w->shadow = map_memory(REGION_MAX);
	w->file = open_file();
	w->memfd = memfd_create("fakegpu-churn", MFD_CLOEXEC);
	if (!w->results || !w->shadow)
		return false;
	if (w->file < 0 || w->memfd < 0 ||
	    ftruncate(w->file, REGION_MAX) || ftruncate(w->memfd, REGION_MAX)) {
		fail("churn: can't make a file in /tmp, or a memfd: %s", strerror(errno));
		return false;
	}
	return true;
}

static void worker_exit(struct worker *w)
{
	if (w->queue)
		fakegpu_queue_destroy(w->churn->run->fd, w->queue);
	if (w->results)
		munmap((void *)w->results, PAGE);
	if (w->shadow)
		munmap(w->shadow, REGION_MAX);
	if (w->file >= 0)
		close(w->file);
	if (w->memfd >= 0)
		close(w->memfd);
}

static void report(struct churn *churn, const struct worker *sum, uint64_t ns)
{
	struct run *run = churn->run;
	struct drm_fakegpu_vm_get_state s = { 0 };
	uint64_t mismatches = atomic_load(&churn->mismatches);
	double seconds = (double)ns / NSEC_PER_SEC;

	fakegpu_vm_state(run->fd, run->vm, &s);
	if (common.json) {
		printf("{\"workload\": \"churn\", \"seed\": %" PRIu64 ", \"threads\": %u,"
		       " \"seconds\": %.3f, \"commands\": %" PRIu64 ", \"bytes\": %" PRIu64 ","
		       " \"maps\": %" PRIu64 ", \"unmaps\": %" PRIu64 ", \"races\": %" PRIu64 ","
		       " \"mismatches\": %" PRIu64 ", \"faults\": %" PRIu64 ","
		       " \"retries\": %" PRIu64 ", \"intervals_added\": %" PRIu64 ","
		       " \"intervals_removed\": %" PRIu64
		       ", \"ok\": %s}\n",
		       run->seed, churn->threads, seconds, sum->commands, sum->bytes, sum->maps,
		       sum->unmaps, sum->races, mismatches, (uint64_t)s.faults,
		       (uint64_t)s.retries, (uint64_t)s.intervals_added,
		       (uint64_t)s.intervals_removed, mismatches ? "false" : "true");
		return;
	}
	printf("churn: seed %" PRIu64 ": %s, %.1f s, %s on %s; %" PRIu64 " munmaps (%" PRIu64
	       " raced)\n", run->seed, plural(churn->threads, "thread").s, seconds,
	       plural(sum->commands, "command").s, human_size(sum->bytes).s,
	       sum->unmaps, sum->races);
	printf("churn: %s, %s; intervals: %" PRIu64 " added, %" PRIu64 " removed; large leaves: %"
	       PRIu64 " split\n", plural(s.faults, "device fault").s, plural(s.retries, "retry").s,
	       (uint64_t)s.intervals_added, (uint64_t)s.intervals_removed,
	       (uint64_t)s.leaves_split);
	printf("churn: %s%s between device and CPU\n", mismatches ? "FAILED, " : "",
	       plural(mismatches, "mismatch").s);
}

/* The arenas are empty now, and so must be their part of the mirror. */
static void check_arenas(struct churn *churn)
{
	struct run *run = churn->run;
	int64_t mapped = fakegpu_vm_mapped(run->fd, run->vm, (void *)ARENA_BASE,
					   churn->threads * ARENA_SIZE);

	if (!mapped)
		return;
	atomic_fetch_add(&churn->mismatches, 1);
	if (mapped < 0)
		fail("churn: VM_QUERY: %s", strerror(-mapped));
	else
		fail("churn: %s still mirrored after the last munmap", human_size(mapped).s);
}

static int churn(struct churn *churn)
{
	struct worker *workers = calloc(churn->threads, sizeof(*workers)), sum = { 0 };
	uint64_t start = now_ns(), elapsed;
	unsigned int i, started = 0;
	bool good = true;

	if (!workers)
		return fail("no memory for %u threads", churn->threads);
	if (!common.json)
		fprintf(stderr, "churn: %s for %" PRIu64 " s, seed %" PRIu64 "\n",
			plural(churn->threads, "thread").s, churn->seconds, churn->run->seed);

	for (i = 0; i < churn->threads; i++)
		workers[i] = (struct worker){ .churn = churn, .index = i, .file = -1, .memfd = -1 };
	for (i = 0; good && i < churn->threads; i++)
		good = worker_init(&workers[i]);
	for (; good && started < churn->threads; started++)
		if (pthread_create(&workers[started].thread, NULL, worker_main,
				   &workers[started])) {
			fail("churn: can't start thread %u", started);
			good = false;
			break;
		}
	while (good && !atomic_load(&churn->stop)) {
		elapsed = now_ns() - start;
		if (elapsed >= churn->seconds * NSEC_PER_SEC)
			break;
		usleep(50000);
		progress("churn: %" PRIu64 " of %" PRIu64 " s, %llu operations, %llu mismatches",
			 (uint64_t)(elapsed / NSEC_PER_SEC), churn->seconds,
			 atomic_load(&churn->operations), atomic_load(&churn->mismatches));
	}
	atomic_store(&churn->stop, true);
	for (i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		sum.commands += workers[i].commands;
		sum.bytes += workers[i].bytes;
		sum.maps += workers[i].maps;
		sum.unmaps += workers[i].unmaps;
		sum.races += workers[i].races;
	}
	elapsed = now_ns() - start;
	if (good && !atomic_load(&churn->mismatches))
		check_arenas(churn);
	if (good)
		report(churn, &sum, elapsed);
	for (i = 0; i < churn->threads; i++)
		worker_exit(&workers[i]);
	free(workers);
	return good && !atomic_load(&churn->mismatches) ? OK : FAILED;
}

int run_churn(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		{ "threads", required_argument, NULL, OPT_THREADS },
		{ "seconds", required_argument, NULL, OPT_SECONDS },
		RUN_OPTIONS,
		{ 0 }
	};
	struct churn c = { .run = run, .threads = 4, .seconds = 10 };
	uint64_t value;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		switch (opt) {
		case OPT_THREADS:
			if (!parse_number("--threads", optarg, 1, 256, &value))
				return USAGE;
			c.threads = value;
			break;
		case OPT_SECONDS:
			if (!parse_number("--seconds", optarg, 1, 1000000, &c.seconds))
				return USAGE;
			break;
		default:
			ret = run_option(run, opt, help);
			if (ret >= 0)
				return ret;
		}
	}
	if (optind < argc)
		return usage("churn: '%s' is too much", argv[optind]);

	if (run_open(run))
		return FAILED;
	if (c.threads > run->info.max_queues)
		ret = fail("--threads: this device has %u queues a file", run->info.max_queues);
	else
		ret = churn(&c);
	run_close(run);
	return ret;
}
