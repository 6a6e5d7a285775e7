// SPDX-License-Identifier: GPL-2.0
/*
 * Area attr_random: random operations on attributes and mappings against a model
 * that knows of each page what it has; and debugfs' files against each other.
 */
#include "fakegpu_test_attr.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define PAGES	192U
#define OPS	4000U

GPU_FIXTURE(attr_random);

struct page {
	uint8_t access;
	uint8_t atomic;
	uint8_t window;
	bool mapped;
};

struct model {
	struct gpu *gpu;
	uint8_t *base;
	struct page page[PAGES];
	uint64_t rand;
};

static unsigned int pick(struct model *m, unsigned int n)
{
	return gpu_rand(&m->rand) % n;
}

static void *at(struct model *m, unsigned int page)
{
	return m->base + page * GPU_PAGE;
}

static bool same(const struct page *a, const struct page *b)
{
	return a->access == b->access && a->atomic == b->atomic && a->window == b->window;
}

static bool is_default(const struct page *page)
{
	return !page->access && !page->atomic && !page->window;
}

/* The kernel tells of an unmap only where something is mapped, but then of all of it. */
static void model_unmap(struct model *m, unsigned int from, unsigned int to)
{
	bool any = false;
	unsigned int i;

	for (i = from; i < to; i++)
		any |= m->page[i].mapped;
	for (i = from; any && i < to; i++)
		m->page[i] = (struct page){ 0 };
}

static bool model_check(struct model *m)
{
	struct want_attr want[PAGES];
	uint32_t n = 0;
	unsigned int i;

	for (i = 0; i < PAGES; i++) {
		const struct page *page = &m->page[i];

		if (is_default(page))
			continue;
		if (i && n && want[n - 1].to == i && same(page, &m->page[i - 1]))
			want[n - 1].to++;
		else
			want[n++] = (struct want_attr){ i, i + 1, page->access, page->atomic,
							page->window };
	}
	return attrs_like(m->gpu, m->base, PAGES * GPU_PAGE, want, n) &&
	       gpu_state(m->gpu).attrs == n;
}

/* One random operation; returns a text that names it, for a failure. */
static const char *step(struct model *m)
{
	static char text[128];
	unsigned int from = pick(m, PAGES), to = from + 1 + pick(m, pick(m, 4) ? 12 : PAGES), i;
	unsigned int op = pick(m, 16), kind = pick(m, 3), value;
	int prot = pick(m, 2) ? PROT_READ | PROT_WRITE : PROT_READ, ret = 0;
	void *p = at(m, from), *q;
	size_t size;

	if (to > PAGES)
		to = PAGES;
	size = (to - from) * GPU_PAGE;
	switch (op) {
	case 0 ... 5:
		value = kind == 0 ? pick(m, 3) : kind == 1 ? pick(m, 2) : pick(m, 2) * 13;
		ret = advise(m->gpu, p, size, kind == 2 ? WINDOW : kind, value);
		for (i = from; i < to; i++) {
			if (kind == 0)
				m->page[i].access = value;
			else if (kind == 1)
				m->page[i].atomic = value;
			else
				m->page[i].window = value;
		}
		snprintf(text, sizeof(text), "advise %u-%u attribute %u value %u: %d", from, to,
			 kind, value, ret);
		return ret ? text : NULL;
	case 6 ... 8:
		model_unmap(m, from, to);
		ret = munmap(p, size);
		snprintf(text, sizeof(text), "munmap %u-%u: %d", from, to, ret);
		break;
	case 9 ... 11:
		model_unmap(m, from, to);
		q = mmap(p, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		for (i = from; i < to; i++)
			m->page[i].mapped = true;
		ret = q != p;
		snprintf(text, sizeof(text), "mmap %u-%u: %d", from, to, ret);
		break;
	case 12:
		/* ENOMEM: there are holes; what comes before them is done. */
		mprotect(p, size, prot);
		snprintf(text, sizeof(text), "mprotect %u-%u", from, to);
		break;
	case 13:
		madvise(p, size, MADV_DONTNEED);
		snprintf(text, sizeof(text), "MADV_DONTNEED %u-%u", from, to);
		break;
	case 14:
		/* A page goes to where nothing comes after it. */
		if (!m->page[from].mapped)
			return NULL;
		q = gpu_va(GPU_PAGE, 0);
		ret = mremap(p, GPU_PAGE, GPU_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) != q;
		if (!ret)
			ret = munmap(q, GPU_PAGE);
		m->page[from] = (struct page){ 0 };
		snprintf(text, sizeof(text), "mremap %u: %d", from, ret);
		break;
	default: {
		/* The device at work: its mirror and intervals must not matter. */
		uint64_t done;

		fakegpu_prefetch(m->gpu->fd, m->gpu->vm, 0, p, size, &done);
		snprintf(text, sizeof(text), "prefetch %u-%u", from, to);
	}
	}
	return ret ? text : NULL;
}

struct range {
	unsigned long long start;
	unsigned long long end;
	char state[16];
	unsigned long long pages;
};

/* A file of the VM in debugfs: ranges, and from file intervals the state and pages. */
static unsigned int read_ranges(struct gpu *gpu, const char *name, struct range *ranges,
				unsigned int max)
{
	FILE *f = gpu_vm_file(gpu, gpu->vm, name);
	unsigned int n = 0;
	char line[256];

	while (n < max && fgets(line, sizeof(line), f)) {
		struct range *r = &ranges[n];

		memset(r, 0, sizeof(*r));
		if (line[0] == '#')
			continue;
		if (sscanf(line, "%llx-%llx %*s %15s %llu", &r->start, &r->end, r->state,
			   &r->pages) < 2)
			gpu_die("%s: %s", name, line);
		n++;
	}
	fclose(f);
	return n;
}

#define MAX_RANGES	512U

/* Each notifier for attributes has some, each range is in one; none touches another. */
static bool check_covers(struct gpu *gpu)
{
	static struct range attrs[MAX_RANGES], covers[MAX_RANGES];
	unsigned int nr_attrs = read_ranges(gpu, "attrs", attrs, MAX_RANGES);
	unsigned int nr_covers = read_ranges(gpu, "attr_intervals", covers, MAX_RANGES);
	unsigned int a = 0, c;

	for (c = 0; c < nr_covers; c++) {
		unsigned int inside = 0;

		if (c && covers[c].start <= covers[c - 1].end)
			return false;
		while (a < nr_attrs && attrs[a].end <= covers[c].end) {
			if (attrs[a].start < covers[c].start)
				return false;
			inside++;
			a++;
		}
		if (!inside)
			return false;
	}
	return a == nr_attrs;
}

/* Each entry of the mirror lies in an interval; those have what they say, and something. */
static bool check_intervals(struct gpu *gpu)
{
	static struct range intervals[MAX_RANGES], mirror[MAX_RANGES];
	unsigned int nr_intervals = read_ranges(gpu, "intervals", intervals, MAX_RANGES);
	unsigned int nr_mirror = read_ranges(gpu, "mirror", mirror, MAX_RANGES);
	unsigned long long pages = 0, covered = 0;
	unsigned int i;

	for (i = 0; i < nr_mirror; i++)
		pages += (mirror[i].end - mirror[i].start) / GPU_PAGE;
	for (i = 0; i < nr_intervals; i++) {
		if (!strcmp(intervals[i].state, "dead"))
			continue;
		covered += intervals[i].pages;
		if (!intervals[i].pages && !strcmp(intervals[i].state, "live") &&
		    !gpu_one_interval(gpu))
			return false;
	}
	return pages == covered && pages == gpu_state(gpu).pages_small;
}

static void run_model(struct __test_metadata *_metadata, struct gpu *gpu, uint64_t seed)
{
	struct model m = { .gpu = gpu, .rand = seed };
	int64_t begin = gpu_now();
	unsigned int i;

	m.base = (uint8_t *)gpu_va(2 * GPU_SZ_2M, 0) + GPU_SZ_2M - PAGES / 2 * GPU_PAGE;
	for (i = 0; gpu_more(i, OPS, begin); i++) {
		const char *failed = step(&m);

		ASSERT_EQ(NULL, failed)
			TH_LOG("seed %llu, operation %u: %s", (unsigned long long)seed, i, failed);
		ASSERT_TRUE(model_check(&m))
			TH_LOG("seed %llu, operation %u", (unsigned long long)seed, i);
		if (i % 32)
			continue;
		ASSERT_TRUE(check_covers(gpu))
			TH_LOG("seed %llu, operation %u", (unsigned long long)seed, i);
		fakegpu_vm_mapped(gpu->fd, gpu->vm, m.base, PAGES * GPU_PAGE);
		ASSERT_TRUE(check_intervals(gpu))
			TH_LOG("seed %llu, operation %u", (unsigned long long)seed, i);
	}
	EXPECT_GAUGE(gpu, attrs_kept, 0);
	EXPECT_VERIFY(gpu);
	munmap(m.base, PAGES * GPU_PAGE);
	EXPECT_ADVISE(gpu, m.base, PAGES * GPU_PAGE, ACCESS, RW);
	EXPECT_ADVISE(gpu, m.base, PAGES * GPU_PAGE, ATOMIC, 0);
	EXPECT_ADVISE(gpu, m.base, PAGES * GPU_PAGE, WINDOW, 0);
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviour 110: up to 4000 random operations, equal to the model after each */
TEST_F(attr_random, seed_1)
{
	run_model(_metadata, &self->gpu, 1);
}

/* Behaviour 110: the same with other numbers */
TEST_F(attr_random, seed_2)
{
	run_model(_metadata, &self->gpu, 20260801);
}

TEST_HARNESS_MAIN
