// SPDX-License-Identifier: GPL-2.0
/*
 * Area attr: VM_ADVISE: attributes of addresses: what is listed, what splits,
 * merges and ends them, and the arguments. What they do to the device is in area
 * attr_access, random operations against a model in attr_random.
 */
#include "fakegpu_test_attr.h"
#include "fakegpu_test_proc.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define PAGES	16U
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(attr);

/* Behaviour 76: default query: nothing is listed, and asking registers nothing */
TEST_F(attr, query_default)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu_before before = gpu_look(gpu);

	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_TRUE(attrs_like(gpu, NULL, gpu->info.va_end, NULL, 0));
	/* Setting what is default already is nothing, too. */
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_ADVISE(gpu, p, SIZE, ATOMIC, 0);
	EXPECT_ADVISE(gpu, p, SIZE, LOCATION, 0);
	EXPECT_ADVISE(gpu, p, SIZE, WINDOW, 0);
	EXPECT_ADVISE(gpu, NULL, gpu->info.va_end, ACCESS, RW);
	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_EQ(4096U, gpu->info.max_attrs);
}

/* Behaviour 76: each attribute is set without the others, and set back */
TEST_F(attr, set_each)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_ADVISE(gpu, p, SIZE, ATOMIC, NOATOMIC);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO, NOATOMIC });
	EXPECT_ADVISE(gpu, p, SIZE, WINDOW, 13);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO, NOATOMIC, 13 });
	EXPECT_ADVISE(gpu, p, SIZE, LOCATION, 0);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, NONE);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, NONE, NOATOMIC, 13 });
	EXPECT_ADVISE(gpu, p, SIZE, ATOMIC, 0);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, NONE, 0, 13 });
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RW, 0, 13 });
	EXPECT_GAUGE(gpu, attrs, 1);
	EXPECT_ADVISE(gpu, p, SIZE, WINDOW, 0);
	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviour 76: a part of a range is set: it splits, exactly; set back: it merges */
TEST_F(attr, split_and_merge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + 4 * GPU_PAGE, GPU_PAGE, ACCESS, NONE);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 4, RO }, { 4, 5, NONE }, { 5, PAGES, RO });
	/* Across the borders of what there is, other values keep. */
	EXPECT_ADVISE(gpu, p + 3 * GPU_PAGE, 4 * GPU_PAGE, ATOMIC, NOATOMIC);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 3, RO }, { 3, 4, RO, NOATOMIC },
		     { 4, 5, NONE, NOATOMIC }, { 5, 7, RO, NOATOMIC }, { 7, PAGES, RO });
	EXPECT_GAUGE(gpu, attrs, 5);
	/* Clipped to what was asked for. */
	EXPECT_ATTRS(gpu, p + 2 * GPU_PAGE, 4, { 0, 1, RO }, { 1, 2, RO, NOATOMIC },
		     { 2, 3, NONE, NOATOMIC }, { 3, 4, RO, NOATOMIC });
	EXPECT_ADVISE(gpu, p + 4 * GPU_PAGE, GPU_PAGE, ACCESS, RO);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 3, RO }, { 3, 7, RO, NOATOMIC }, { 7, PAGES, RO });
	EXPECT_ADVISE(gpu, p, SIZE, ATOMIC, 0);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_GAUGE(gpu, attrs, 1);
	/* The default makes a hole. */
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 2 * GPU_PAGE, ACCESS, RW);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 8, RO }, { 10, PAGES, RO });
	/* The whole again, over range, hole, range. */
	EXPECT_ADVISE(gpu, p + GPU_PAGE, SIZE - 2 * GPU_PAGE, ACCESS, RO);
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_ADVISE(gpu, p, GPU_PAGE, ACCESS, RW);
	EXPECT_ADVISE(gpu, p + SIZE - GPU_PAGE, GPU_PAGE, ACCESS, RW);
	EXPECT_ATTRS(gpu, p, PAGES, { 1, PAGES - 1, RO });
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RW);
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviour 76: neighbours that become like each other are one range and one notifier */
TEST_F(attr, merge_pages)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i;

	/* Every second page first. */
	for (i = 0; i < PAGES; i += 2)
		EXPECT_ADVISE(gpu, p + i * GPU_PAGE, GPU_PAGE, ACCESS, RO);
	EXPECT_GAUGE(gpu, attrs, PAGES / 2);
	EXPECT_GAUGE(gpu, attr_intervals, PAGES / 2);
	for (i = 1; i < PAGES; i += 2) {
		EXPECT_ADVISE(gpu, p + i * GPU_PAGE, GPU_PAGE, ACCESS, RO);
		EXPECT_GAUGE(gpu, attrs, PAGES / 2 - i / 2 - (i != PAGES - 1));
	}
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_EVENTUALLY(1UL, (uint64_t)gpu_state(gpu).attr_intervals);
}

/* Behaviour 76: attributes can be set where nothing is mapped yet, over all there is */
TEST_F(attr, set_unmapped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(SIZE, 0);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_FATAL(gpu, fakegpu_fill(p, 1, 1), EACCES, p, WRITE);

	/* All addresses: the range before is a part of it. */
	EXPECT_ADVISE(gpu, NULL, gpu->info.va_end, ACCESS, RO);
	EXPECT_GAUGE(gpu, attrs, 1);
	EXPECT_EVENTUALLY(1UL, (uint64_t)gpu_state(gpu).attr_intervals);
	EXPECT_FATAL(gpu, fakegpu_fill(gpu->res, 1, 1), EACCES, gpu->res, WRITE);
	ASSERT_EQ(0, munmap(p + GPU_PAGE, GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 1, RO }, { 2, PAGES, RO });
	EXPECT_ADVISE(gpu, NULL, gpu->info.va_end, ACCESS, RW);
	EXPECT_ATTRS_GONE(gpu);
	EXPECT_WORKS(gpu);
}

/* Behaviour 76: munmap of all, the head, the tail, the middle: gone there, and only there */
TEST_F(attr, munmap_parts)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	ASSERT_EQ(0, munmap(p, GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 1, PAGES, RO });
	ASSERT_EQ(0, munmap(p + SIZE - 2 * GPU_PAGE, 2 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 1, PAGES - 2, RO });
	ASSERT_EQ(0, munmap(p + 5 * GPU_PAGE, 3 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 1, 5, RO }, { 8, PAGES - 2, RO });
	/* Over the border of what is left, holes included. */
	ASSERT_EQ(0, munmap(p + 4 * GPU_PAGE, 5 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 1, 4, RO }, { 9, PAGES - 2, RO });
	EXPECT_GAUGE(gpu, attrs_kept, 0);
	/* What is mapped there now has the default. */
	ASSERT_EQ(p, mmap(p, 5 * GPU_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 9, PAGES - 2, RO });
	EXPECT_RUN(gpu, fakegpu_fill(p, 5 * GPU_PAGE, ~0ULL));
	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviour 76: munmap of the neighbours, one page beside each end */
TEST_F(attr, munmap_neighbours)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_ADVISE(gpu, p + 4 * GPU_PAGE, 4 * GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 4 * GPU_PAGE, ATOMIC, NOATOMIC);
	ASSERT_EQ(0, munmap(p, 4 * GPU_PAGE));
	ASSERT_EQ(0, munmap(p + 12 * GPU_PAGE, 4 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 4, 8, RO }, { 8, 12, RW, NOATOMIC });
	/* One event over both ranges. */
	ASSERT_EQ(0, munmap(p + 7 * GPU_PAGE, 2 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 4, 7, RO }, { 9, 12, RW, NOATOMIC });
}

/* Behaviour 76: one munmap over several mappings, holes, ranges and notifiers */
TEST_F(attr, munmap_many)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *base = gpu_va(8 * GPU_SZ_2M, 0);
	unsigned int i;

	for (i = 0; i < 8; i++) {
		ASSERT_NE(MAP_FAILED, mmap(base + i * GPU_SZ_2M, SIZE, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		EXPECT_ADVISE(gpu, base + i * GPU_SZ_2M, SIZE, ACCESS, i % 2 ? RO : NONE);
	}
	EXPECT_GAUGE(gpu, attrs, 8);
	EXPECT_GAUGE(gpu, attr_intervals, 8);
	ASSERT_EQ(0, munmap(base + SIZE / 2, 7 * GPU_SZ_2M));
	EXPECT_ATTRS(gpu, base, 8 * 512, { 0, PAGES / 2, NONE },
		     { 7 * 512 + PAGES / 2, 7 * 512 + PAGES, RO });
	EXPECT_EVENTUALLY(2UL, (uint64_t)gpu_state(gpu).attr_intervals);
}

/*
 * Behaviour 76: a munmap where nothing is mapped is no event: what was set there stays; one
 * that finds a mapping is one for all of its addresses
 */
TEST_F(attr, munmap_hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(SIZE, 0);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	ASSERT_NE(MAP_FAILED, mmap(p + 4 * GPU_PAGE, GPU_PAGE, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	ASSERT_EQ(0, munmap(p + 2 * GPU_PAGE, 4 * GPU_PAGE));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 2, RO }, { 6, PAGES, RO });
}

/* Behaviour 76: MAP_FIXED over a part is a munmap of it */
TEST_F(attr, mapfixed)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, NONE);
	ASSERT_EQ(p + 3 * GPU_PAGE,
		  mmap(p + 3 * GPU_PAGE, 2 * GPU_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 3, NONE }, { 5, PAGES, NONE });
	EXPECT_RUN(gpu, fakegpu_fill(p + 3 * GPU_PAGE, 2 * GPU_PAGE, 1));
	EXPECT_FATAL(gpu, fakegpu_touch(p + 5 * GPU_PAGE, 1, 1, 0), EACCES, p + 5 * GPU_PAGE,
		     READ);
}

/* Behaviour 76: what changes the memory but doesn't unmap it leaves attributes alone */
TEST_F(attr, survive_changes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);

	memset(p, 1, SIZE);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	EXPECT_ADVISE(gpu, p + GPU_PAGE, SIZE - 2 * GPU_PAGE, ACCESS, RO);
#define STILL() EXPECT_ATTRS(gpu, p, PAGES, { 1, PAGES - 1, RO })
	ASSERT_EQ(0, mprotect(p + 2 * GPU_PAGE, 2 * GPU_PAGE, PROT_NONE));
	STILL();
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	STILL();
	ASSERT_EQ(0, madvise(p, SIZE, MADV_DONTNEED));
	STILL();
	memset(p, 2, SIZE);
	ASSERT_EQ(0, madvise(p, SIZE, MADV_FREE));
	STILL();
	EXPECT_DEVICE_BYTES(gpu, p, 1, p[0]);
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, ~0ULL), EACCES, p + GPU_PAGE, WRITE);
	STILL();
#undef STILL
}

/* Behaviour 76: they belong to addresses: mremap leaves none behind and takes none along */
TEST_F(attr, mremap_move)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *to = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 1);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	/* The middle: the rest keeps them. */
	ASSERT_EQ(to, mremap(p + 4 * GPU_PAGE, 4 * GPU_PAGE, 4 * GPU_PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, 4, RO }, { 8, PAGES, RO });
	EXPECT_NO_ATTRS(gpu, to, PAGES);
	EXPECT_RUN(gpu, fakegpu_fill(to, 4 * GPU_PAGE, ~0ULL));
	EXPECT_BYTES(to, 4 * GPU_PAGE, 0xff);
	/* Onto addresses that have some: their mapping goes, and they go with it. */
	ASSERT_EQ(p, mremap(to, 4 * GPU_PAGE, 4 * GPU_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p));
	EXPECT_ATTRS(gpu, p, PAGES, { 8, PAGES, RO });
	/* A shrink is a munmap of the tail. */
	ASSERT_EQ(p + 8 * GPU_PAGE, mremap(p + 8 * GPU_PAGE, 8 * GPU_PAGE, 2 * GPU_PAGE, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 8, 10, RO });
	/* What grows in place is new. */
	ASSERT_EQ(p + 8 * GPU_PAGE, mremap(p + 8 * GPU_PAGE, 2 * GPU_PAGE, 4 * GPU_PAGE, 0));
	EXPECT_ATTRS(gpu, p, PAGES, { 8, 10, RO });
	EXPECT_FATAL(gpu, fakegpu_fill(p + 10 * GPU_PAGE - 1, 2, 0), EACCES,
		     p + 10 * GPU_PAGE - 1, WRITE);
	EXPECT_RUN(gpu, fakegpu_fill(p + 10 * GPU_PAGE, 2 * GPU_PAGE, 0));
}

/* Behaviour 76: MREMAP_DONTUNMAP sends UNMAP for a mapping that stays: documented as an end */
TEST_F(attr, mremap_dontunmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *to = gpu_va(SIZE, 0);

	gpu_pattern(p, SIZE, 1);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	ASSERT_EQ(to, mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			     to));
	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_NO_ATTRS(gpu, to, PAGES);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0));
	EXPECT_DEVICE_PATTERN(gpu, to, SIZE, 1);
}

/* Behaviour 76: a child unmaps its copy: the parent's attributes stay; its own VM has none */
TEST_F(attr, fork_child)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu own;
	struct proc child;

	gpu_pattern(p, SIZE, 1);
	EXPECT_ADVISE(gpu, p, SIZE, ACCESS, RO);
	if (proc_fork(&child)) {
		child_gpu(&own, &gpu->conf);
		CHILD_CHECK(attrs_like(&own, p, SIZE, NULL, 0));
		CHILD_CHECK(!gpu_run(&own, (struct drm_fakegpu_cmd[]){ fakegpu_fill(p, 8, 0) }, 1));
		CHILD_CHECK(!munmap(p, SIZE));
		_exit(0);
	}
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_ATTRS(gpu, p, PAGES, { 0, PAGES, RO });
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EACCES, p, WRITE);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 1);
}

/* Behaviour 76: the address space ends before its VM: attributes and notifiers go with it */
TEST_F(attr, exit_before_close)
{
	struct gpu *gpu = &self->gpu, shared = *gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	if (proc_fork(&child)) {
		CHILD_CHECK(!gpu_vm_create(gpu->fd, DRM_FAKEGPU_VM_SHARED, &gpu->conf, &shared.vm));
		CHILD_CHECK(!advise(&shared, p, SIZE, ACCESS, RO));
		CHILD_CHECK(!advise(&shared, p + 4 * GPU_SZ_1G, SIZE, ATOMIC, NOATOMIC));
		proc_send(&child, &shared.vm, sizeof(shared.vm));
		CHILD_CHECK(proc_hears(&child, 'x'));
		_exit(0);
	}
	ASSERT_EQ(0, proc_recv(&child, &shared.vm, sizeof(shared.vm)));
	EXPECT_ATTRS(&shared, p, PAGES, { 0, PAGES, RO });
	EXPECT_GAUGE(&shared, attrs, 2);
	/* Set from here they are about the child's memory. */
	EXPECT_ADVISE(&shared, p, GPU_PAGE, ACCESS, RW);
	EXPECT_ATTRS(&shared, p, PAGES, { 1, PAGES, RO });
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_EVENTUALLY(0UL, (uint64_t)gpu_state(&shared).attr_intervals);
	EXPECT_GAUGE(&shared, attrs, 0);
	EXPECT_NO_ATTRS(&shared, p, PAGES);
	EXPECT_EQ(-ESRCH, advise(&shared, p, SIZE, ACCESS, RO));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, shared.vm));
}

/* Behaviour 76: a VM is destroyed, a file is closed, with attributes set: nothing is left */
TEST_F(attr, close_with_attrs)
{
	struct gpu *gpu = &self->gpu, other = *gpu;
	struct gpu_gauges before = gpu_gauges(gpu);
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i;

	ASSERT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &other.vm));
	for (i = 0; i < PAGES; i += 2)
		EXPECT_ADVISE(&other, p + i * GPU_PAGE, GPU_PAGE, ACCESS, RO);
	/* Each VM has its own. */
	EXPECT_NO_ATTRS(gpu, p, PAGES);
	EXPECT_EQ(before.attrs + PAGES / 2, gpu_gauges(gpu).attrs);
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, other.vm));
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before))
		TH_LOG("%s", gpu_why());
	ASSERT_EQ(0, gpu_open_cold(&other, &gpu->conf, 0));
	EXPECT_ADVISE(&other, p, SIZE, ACCESS, RO);
	close(other.fd);
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before))
		TH_LOG("%s", gpu_why());
}

/*
 * Behaviour 76: too many ranges: ENOSPC, nothing changes; what makes no more of them still
 * works; an unmap in the middle of one keeps it, is counted, and does what it can elsewhere
 */
TEST_F(attr, too_many)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int max = gpu->info.max_attrs;
	const size_t step = 4 * GPU_PAGE;
	uint8_t *p = gpu_va(max * step + SIZE, 0);
	struct gpu_before before;
	unsigned int i;

	for (i = 0; i < max; i++)
		ASSERT_EQ(0, advise(gpu, p + i * step, 3 * GPU_PAGE, ACCESS, RO));
	EXPECT_GAUGE(gpu, attrs, max);
	EXPECT_EVENTUALLY((uint64_t)max, (uint64_t)gpu_state(gpu).attr_intervals);
	before = gpu_look(gpu);
	/* One more, a split, a hole. */
	EXPECT_EQ(-ENOSPC, advise(gpu, p + max * step, GPU_PAGE, ACCESS, RO));
	EXPECT_EQ(-ENOSPC, advise(gpu, p + GPU_PAGE, GPU_PAGE, ACCESS, NONE));
	EXPECT_EQ(-ENOSPC, advise(gpu, p + GPU_PAGE, GPU_PAGE, ACCESS, RW));
	EXPECT_EVENTUALLY((uint64_t)before.vm.attr_intervals,
			  (uint64_t)gpu_state(gpu).attr_intervals);
	before.gauges = gpu_gauges(gpu);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_ATTRS(gpu, p, 8, { 0, 3, RO }, { 4, 7, RO });
	/* As many as before: longer, other, shorter. */
	EXPECT_ADVISE(gpu, p + max * step - GPU_PAGE, GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p, 3 * GPU_PAGE, ACCESS, NONE);
	EXPECT_ADVISE(gpu, p + 4 * GPU_PAGE, GPU_PAGE, ACCESS, RW);
	EXPECT_ATTRS(gpu, p, 8, { 0, 3, NONE }, { 5, 7, RO });

	/* No node: kept. */
	ASSERT_EQ(p, mmap(p, 2 * step, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_DELTA(gpu, attrs_kept, 1, ASSERT_EQ(0, munmap(p + GPU_PAGE, GPU_PAGE)));
	EXPECT_ATTRS(gpu, p, 8, { 0, 3, NONE }, { 5, 7, RO });
	/* Trimmed: no node is needed. */
	EXPECT_DELTA(gpu, attrs_kept, 0, ASSERT_EQ(0, munmap(p + 2 * GPU_PAGE, 4 * GPU_PAGE)));
	EXPECT_ATTRS(gpu, p, 8, { 0, 2, NONE }, { 6, 7, RO });
	/* Less of them: there is room again. */
	EXPECT_DELTA(gpu, attrs_kept, 0, ASSERT_EQ(0, munmap(p, 2 * step)));
	EXPECT_GAUGE(gpu, attrs, max - 2);
	EXPECT_ADVISE(gpu, p, GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + 2 * GPU_PAGE, GPU_PAGE, ACCESS, RO);
	EXPECT_EQ(-ENOSPC, advise(gpu, p + 4 * GPU_PAGE, GPU_PAGE, ACCESS, RO));
	EXPECT_ADVISE(gpu, p, max * step, ACCESS, RW);
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviour 76: a hundred unmaps in a row, each a split: none finds the reserve empty */
TEST_F(attr, munmap_splits)
{
	struct gpu *gpu = &self->gpu;
	const unsigned int splits = 100, pages = 2 * splits + 1;
	struct want_attr want[splits + 1];
	uint8_t *p = gpu_map_anon(pages * GPU_PAGE);
	unsigned int i;

	EXPECT_ADVISE(gpu, p, pages * GPU_PAGE, ACCESS, RO);
	for (i = 0; i < splits; i++)
		ASSERT_EQ(0, munmap(p + (2 * i + 1) * GPU_PAGE, GPU_PAGE));
	for (i = 0; i <= splits; i++)
		want[i] = (struct want_attr){ 2 * i, 2 * i + 1, RO };
	EXPECT_TRUE(attrs_like(gpu, p, pages * GPU_PAGE, want, splits + 1));
	EXPECT_GAUGE(gpu, attrs_kept, 0);
	EXPECT_GAUGE(gpu, attrs, splits + 1);
	ASSERT_EQ(0, munmap(p, pages * GPU_PAGE));
	EXPECT_ATTRS_GONE(gpu);
}

/* Behaviours 13, 76: attributes, values and ranges that are refused, each with its errno */
TEST_F(attr, values)
{
	struct gpu *gpu = &self->gpu;
	const uint64_t end = gpu->info.va_end, p = fakegpu_va(gpu_map_anon(SIZE));
	const uint32_t min = gpu->info.window_order_min, max = gpu->info.window_order_max;
	const struct {
		uint64_t start, size;
		uint32_t attr;
		uint64_t value;
		int ret;
	} table[] = {
		{ p, GPU_PAGE, 4, 0, -EOPNOTSUPP },
		{ p, GPU_PAGE, ~0u, 0, -EOPNOTSUPP },
		{ p, GPU_PAGE, ACCESS, 3, -EOPNOTSUPP },
		{ p, GPU_PAGE, ACCESS, 1ULL << 8, -EOPNOTSUPP },
		{ p, GPU_PAGE, ACCESS, 1ULL << 32 | RO, -EOPNOTSUPP },
		{ p, GPU_PAGE, ATOMIC, 2, -EOPNOTSUPP },
		{ p, GPU_PAGE, LOCATION, 1, -EOPNOTSUPP },
		{ p, GPU_PAGE, LOCATION, ~0ULL, -EOPNOTSUPP },
		{ p, GPU_PAGE, WINDOW, 1, -EINVAL },
		{ p, GPU_PAGE, WINDOW, min - 1, -EINVAL },
		{ p, GPU_PAGE, WINDOW, max + 1, -EINVAL },
		{ p, GPU_PAGE, WINDOW, 1ULL << 8 | min, -EINVAL },
		{ p, 0, ACCESS, RO, -EINVAL },
		{ p + 1, GPU_PAGE, ACCESS, RO, -EINVAL },
		{ p, GPU_PAGE - 1, ACCESS, RO, -EINVAL },
		{ p, -GPU_PAGE, ACCESS, RO, -EOVERFLOW },
		{ -GPU_PAGE, GPU_PAGE, ACCESS, RO, -EOVERFLOW },
		{ -2 * GPU_PAGE, GPU_PAGE, ACCESS, RO, -EINVAL },
		{ end, GPU_PAGE, ACCESS, RO, -EINVAL },
		{ end - GPU_PAGE, 2 * GPU_PAGE, ACCESS, RO, -EINVAL },
		{ 0xffff888000000000, GPU_PAGE, ACCESS, RO, -EINVAL },
	};
	struct drm_fakegpu_vm_attr_range range;
	struct gpu_before before = gpu_look(gpu);
	uint32_t count;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		const void *start = (void *)(uintptr_t)table[i].start;

		EXPECT_EQ(table[i].ret, advise(gpu, start, table[i].size, table[i].attr,
					       table[i].value))
			TH_LOG("row %zu", i);
		count = 1;
		if (table[i].attr == ACCESS && table[i].value == RO)
			EXPECT_EQ(table[i].ret, fakegpu_vm_attrs(gpu->fd, gpu->vm, start,
								 table[i].size, &range, &count,
								 NULL))
				TH_LOG("row %zu", i);
	}
	EXPECT_UNCHANGED(gpu, before);
	/* The borders themselves. */
	EXPECT_ADVISE(gpu, NULL, GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, (void *)(end - GPU_PAGE), GPU_PAGE, ACCESS, RO);
	EXPECT_ATTRS(gpu, NULL, 2, { 0, 1, RO });
	EXPECT_ATTRS(gpu, (void *)(end - 2 * GPU_PAGE), 2, { 1, 2, RO });
	EXPECT_ADVISE(gpu, (void *)p, GPU_PAGE, WINDOW, min);
	EXPECT_ADVISE(gpu, (void *)p, GPU_PAGE, WINDOW, max);
	EXPECT_ATTRS(gpu, (void *)p, 2, { 0, 1, RW, 0, max });
}

/* Behaviours 13, 76: VM_QUERY_ATTRS: a short array is gone on with; other strides */
TEST_F(attr, query_continues)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = sizeof(struct drm_fakegpu_vm_attr_range);
	uint8_t *p = gpu_map_anon(SIZE), buf[3 * sizeof(struct drm_fakegpu_vm_attr_range)];
	struct drm_fakegpu_vm_query_attrs q = { .vm_id = gpu->vm };
	struct drm_fakegpu_vm_attr_range range;
	uint64_t next = 0;
	uint32_t count;

	EXPECT_ADVISE(gpu, p, 4 * GPU_PAGE, ACCESS, RO);
	EXPECT_ADVISE(gpu, p + 8 * GPU_PAGE, 8 * GPU_PAGE, ACCESS, NONE);
	count = 1;
	EXPECT_EQ(0, fakegpu_vm_attrs(gpu->fd, gpu->vm, p, SIZE, &range, &count, &next));
	EXPECT_EQ(1U, count);
	EXPECT_EQ(fakegpu_va(p) + 4 * GPU_PAGE, next);
	EXPECT_EQ(0, fakegpu_vm_attrs(gpu->fd, gpu->vm, p + 4 * GPU_PAGE, SIZE - 4 * GPU_PAGE,
				      &range, &count, &next));
	EXPECT_EQ(1U, count);
	EXPECT_EQ((uint64_t)NONE, range.access);
	EXPECT_EQ(fakegpu_va(p) + SIZE, next);
	count = 0;
	EXPECT_EQ(0, fakegpu_vm_attrs(gpu->fd, gpu->vm, p, SIZE, NULL, &count, &next));
	EXPECT_EQ(fakegpu_va(p), next);

	q.start = fakegpu_va(p);
	q.size = SIZE;
	q.ranges.ptr = fakegpu_va(buf);
	q.ranges.stride = 16;
	q.ranges.count = 1;
	memset(buf, 0xaa, sizeof(buf));
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS, &q));
	EXPECT_BYTES(buf + 16, sizeof(buf) - 16, 0xaa);
	q.ranges.stride = size + 8;
	q.ranges.count = 1;
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS, &q));
	EXPECT_BYTES(buf + size, 8, 0);
	EXPECT_BYTES(buf + size + 8, sizeof(buf) - size - 8, 0xaa);
	q.ranges.stride = 0;
	EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS, &q));
	q.ranges.stride = size;
	q.ranges.ptr = 8;
	EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS, &q));
}

TEST_HARNESS_MAIN
