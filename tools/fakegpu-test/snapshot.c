// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of the mirror, by VM_QUERY and by debugfs, and its counters are what a
 * model and the CPU's page map say.
 */
#include "fakegpu_test.h"

#define SIZE	GPU_SZ_64K
#define PAGES	(SIZE / GPU_PAGE)

GPU_FIXTURE(snapshot);

enum cpu_page { CPU_NONE, CPU_ZERO, CPU_PAGE };

/* What CPU and device have, by the rules. All pages are in one window. */
struct model {
	uint8_t *p;
	enum cpu_page cpu[PAGES];
	bool mapped[PAGES];
	bool zero[PAGES];
	bool write[PAGES];
	bool dirty[PAGES];
	uint64_t faults;
};

/* sys_pagemap() with a file that stays open, as there are thousands of calls; not after fork(). */
static uint64_t pagemap(const volatile void *p)
{
	static int fd = -1;
	uint64_t entry = 0;

	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(fd, &entry, 8, fakegpu_va(p) / GPU_PAGE * 8) != 8)
		gpu_die("/proc/self/pagemap: %s", strerror(errno));
	return entry;
}

#define PM_PRESENT	(1ULL << 63)
#define PM_PFN		((1ULL << 55) - 1)

/* Where the kernel's page of zeros is. */
static uint64_t zero_pfn(void)
{
	static volatile uint8_t *p;

	if (!p) {
		p = gpu_map_anon(GPU_PAGE);
		(void)*p;
	}
	return pagemap(p) & PM_PFN;
}

static void model_drop(struct model *m, size_t i)
{
	m->mapped[i] = false;
	m->zero[i] = false;
	m->write[i] = false;
	m->dirty[i] = false;
}

/* A service: the page that is asked for is faulted in, the others are taken as they are. */
static void model_device(struct model *m, size_t at, bool write)
{
	size_t i;

	if (!m->mapped[at] || (write && !m->write[at])) {
		m->faults++;
		if (write && m->cpu[at] != CPU_PAGE) {
			model_drop(m, at);
			m->cpu[at] = CPU_PAGE;
		} else if (m->cpu[at] == CPU_NONE) {
			m->cpu[at] = CPU_ZERO;
		}
		for (i = 0; i < PAGES; i++) {
			m->mapped[i] = m->cpu[i] != CPU_NONE;
			m->zero[i] = m->cpu[i] == CPU_ZERO;
			m->write[i] = m->cpu[i] == CPU_PAGE;
		}
	}
	m->dirty[at] |= write;
}

static void model_step(struct model *m, struct gpu *gpu, uint64_t *seed,
		       struct drm_fakegpu_cmd *cmd)
{
	size_t at = gpu_rand(seed) % PAGES, i, n;
	volatile uint8_t *p = m->p + at * GPU_PAGE + gpu_rand(seed) % GPU_PAGE;
	bool write = gpu_rand(seed) & 1;

	memset(cmd, 0, sizeof(*cmd));
	switch (gpu_rand(seed) % 5) {
	case 0:
		if (write) {
			*p = 1;
			if (m->cpu[at] == CPU_ZERO)
				model_drop(m, at);
			m->cpu[at] = CPU_PAGE;
		} else {
			(void)*p;
			if (m->cpu[at] == CPU_NONE)
				m->cpu[at] = CPU_ZERO;
		}
		break;
	case 1:
		n = 1 + gpu_rand(seed) % 4;
		if (at + n > PAGES)
			n = PAGES - at;
		if (madvise(m->p + at * GPU_PAGE, n * GPU_PAGE, MADV_DONTNEED))
			gpu_die("MADV_DONTNEED: %s", strerror(errno));
		for (i = at; i < at + n; i++) {
			model_drop(m, i);
			m->cpu[i] = CPU_NONE;
		}
		break;
	default:
		*cmd = fakegpu_touch(p, 1, 1, write ? DRM_FAKEGPU_CMD_WRITE : 0);
		if (gpu_run(gpu, cmd, 1))
			gpu_die("touch of page %zu: %s", at, gpu_why());
		model_device(m, at, write);
	}
}

/* How the pages differ from what VM_QUERY says; 0: not at all. */
static int query_differs(struct model *m, struct gpu *gpu)
{
	struct drm_fakegpu_vm_run runs[PAGES];
	int n = gpu_runs(gpu, m->p, SIZE, runs, PAGES), k = 0;
	size_t i;

	if (n < 0)
		gpu_die("%s", gpu_why());
	for (i = 0; i < PAGES; i++) {
		uint64_t va = fakegpu_va(m->p) + i * GPU_PAGE;
		uint32_t flags = (m->write[i] ? GPU_W : 0) | (m->dirty[i] ? GPU_D : 0);

		while (k < n && runs[k].end <= va)
			k++;
		if (m->mapped[i] != (k < n && runs[k].start <= va))
			return i + 1;
		if (m->mapped[i] &&
		    (runs[k].flags != flags || runs[k].order != 12 ||
		     runs[k].where != (uint32_t)(m->zero[i] ? DRM_FAKEGPU_WHERE_ZERO :
						 DRM_FAKEGPU_WHERE_SYSTEM)))
			return i + 1;
	}
	return 0;
}

/* The same of debugfs' mirror, whose lines must be what VM_QUERY's runs are. */
static int debugfs_differs(struct model *m, struct gpu *gpu)
{
	struct drm_fakegpu_vm_run runs[PAGES];
	int n = gpu_runs(gpu, m->p, SIZE, runs, PAGES), k = 0;
	FILE *f = gpu_vm_file(gpu, gpu->vm, "mirror");
	char line[256], text[256];

	while (k >= 0 && fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		if (k == n) {
			k = -1;
			break;
		}
		snprintf(text, sizeof(text), "%016llx-%016llx r%c%c %u %llu %s\n",
			 (unsigned long long)runs[k].start, (unsigned long long)runs[k].end,
			 runs[k].flags & GPU_W ? 'w' : '-', runs[k].flags & GPU_D ? 'd' : '-',
			 runs[k].order,
			 (unsigned long long)(runs[k].end - runs[k].start) / GPU_PAGE,
			 runs[k].where == DRM_FAKEGPU_WHERE_ZERO ? "zero" : "system");
		k = strcmp(line, text) ? -1 : k + 1;
	}
	fclose(f);
	return k == n ? 0 : 1;
}

/* The same of the CPU's page map. A mirrored page is present, and zero if it says so. */
static int pagemap_differs(struct model *m)
{
	size_t i;

	for (i = 0; i < PAGES; i++) {
		uint64_t entry = pagemap(m->p + i * GPU_PAGE);
		bool zero = (entry & PM_PFN) == zero_pfn();
		enum cpu_page cpu = !(entry & PM_PRESENT) ? CPU_NONE : zero ? CPU_ZERO : CPU_PAGE;

		if (cpu != m->cpu[i] || (m->mapped[i] && (cpu == CPU_NONE || m->zero[i] != zero)))
			return i + 1;
	}
	return 0;
}

/* Behaviours 3, 5, 123: random accesses: snapshot, page map, counters are what a model says */
TEST_F(snapshot, model)
{
	enum { STEPS = 400 };
	struct drm_fakegpu_cmd cmd;
	struct model m = { .p = gpu_map_anon(SIZE) };
	uint64_t seed = 123;
	struct gpu own;
	int step;

	zero_pfn();
	OPEN_OWN(&own);
	for (step = 0; step < STEPS; step++) {
		int query, debugfs, map;

		model_step(&m, &own, &seed, &cmd);
		query = query_differs(&m, &own);
		debugfs = debugfs_differs(&m, &own);
		map = pagemap_differs(&m);
		ASSERT_EQ(0, query || debugfs || map)
			TH_LOG("step %d (opcode %u flags %#x page %lld): page %d differs from VM_QUERY, %d from debugfs, %d from pagemap",
			       step, cmd.opcode, cmd.flags,
			       cmd.addr ? (long long)(cmd.addr - fakegpu_va(m.p)) / 4096 : -1LL,
			       query - 1, debugfs - 1, map - 1);
		EXPECT_GAUGE(&own, faults, m.faults);
	}
	EXPECT_LT(20UL, m.faults);
	GPU_TEARDOWN(&own);
}

/* Behaviours 3, 116, 123: PREFETCH of what is present: the mirror is the page map */
TEST_F(snapshot, present)
{
	struct model m = { .p = gpu_map_anon(SIZE) };
	struct gpu own;
	size_t i;

	/* None, zero, written, and written but read-only now. */
	for (i = 0; i < PAGES; i++) {
		if (i % 4 == 1)
			(void)*(volatile uint8_t *)(m.p + i * GPU_PAGE);
		else if (i % 4 > 1)
			m.p[i * GPU_PAGE] = 1;
		m.cpu[i] = i % 4 == 0 ? CPU_NONE : i % 4 == 1 ? CPU_ZERO : CPU_PAGE;
		m.mapped[i] = i % 4 != 0;
		m.zero[i] = i % 4 == 1;
		m.write[i] = i % 4 > 1 && i < PAGES / 2;
	}
	ASSERT_EQ(0, mprotect(m.p + SIZE / 2, SIZE / 2, PROT_READ));
	OPEN_OWN(&own);
	EXPECT_EQ(0, fakegpu_prefetch(own.fd, own.vm, DRM_FAKEGPU_PREFETCH_PRESENT, m.p, SIZE,
				      NULL));
	EXPECT_EQ(0, query_differs(&m, &own));
	EXPECT_EQ(0, debugfs_differs(&m, &own));
	EXPECT_EQ(0, pagemap_differs(&m));
	EXPECT_GAUGE(&own, pages_small, PAGES / 4 * 3);
	EXPECT_GAUGE(&own, faults, 0);
	GPU_TEARDOWN(&own);
}

TEST_HARNESS_MAIN
