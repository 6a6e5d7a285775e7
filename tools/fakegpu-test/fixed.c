// SPDX-License-Identifier: MIT
/*
 * Scheme fixed: ranges that are registered, what the device can access because of
 * them, and what becomes of it when they go.
 */
#include "fakegpu_test_inject.h"

#include <pthread.h>
#include <sys/mman.h>

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)

FIXTURE(fixed) { struct gpu gpu; };
FIXTURE_VARIANT(fixed) { struct gpu_conf conf; };

FIXTURE_VARIANT_ADD(fixed, fixed) {
	.conf = { .scheme = DRM_FAKEGPU_SCHEME_FIXED },
};

/* Of what gpu_open() has registered only the page of results stays. */
FIXTURE_SETUP(fixed)
{
	struct gpu *gpu = &self->gpu;
	uint32_t id;

	INJECT_SETUP(gpu, &variant->conf);
	ASSERT_EQ(0, fakegpu_range_register(gpu->fd, gpu->vm, fakegpu_va(gpu->res), GPU_PAGE, &id));
	ASSERT_EQ(0, fakegpu_range_unregister(gpu->fd, gpu->vm, 1));
}

FIXTURE_TEARDOWN(fixed) { INJECT_TEARDOWN(&self->gpu); }

static int reg(struct gpu *gpu, const void *p, size_t size, uint32_t *id)
{
	return fakegpu_range_register(gpu->fd, gpu->vm, fakegpu_va(p), size, id);
}

static int unreg(struct gpu *gpu, uint32_t id)
{
	return fakegpu_range_unregister(gpu->fd, gpu->vm, id);
}

/* Memory with pattern 1. */
static uint8_t *map_pattern(void)
{
	uint8_t *p = gpu_map_anon(SIZE);

	gpu_pattern(p, SIZE, 1);
	return p;
}

#define EXPECT_PAGES(gpu, p, from, to) \
	EXPECT_DEVICE_PATTERN_AT(gpu, (p) + (from) * GPU_PAGE, ((to) - (from)) * GPU_PAGE, 1, \
				 (from) * GPU_PAGE)
#define EXPECT_OUTSIDE(gpu, p, page) \
	EXPECT_FATAL(gpu, fakegpu_touch((p) + (page) * GPU_PAGE, 1, 1, 0), EFAULT, \
		     (p) + (page) * GPU_PAGE, READ)

/* Behaviour 125: the range is what can be accessed, to the page, and windows stay in it */
TEST_F(fixed, edges)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint32_t id;

	EXPECT_DELTA(gpu, intervals_added, 1,
		     ASSERT_EQ(0, reg(gpu, p + 4 * GPU_PAGE, 8 * GPU_PAGE, &id)));
	EXPECT_OUTSIDE(gpu, p, 3);
	EXPECT_OUTSIDE(gpu, p, 12);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_PAGES(gpu, p, 4, 12));
	EXPECT_MAPPED(gpu, p + 4 * GPU_PAGE, 8 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p, 4 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 12 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 11 * GPU_PAGE, 2 * GPU_PAGE, 0), EFAULT,
		     p + 12 * GPU_PAGE, WRITE);
	EXPECT_PATTERN_AT(p + 12 * GPU_PAGE, 4 * GPU_PAGE, 1, 12 * GPU_PAGE);
}

/* Behaviour 125: addresses are registered: what is mapped there comes, goes, comes again */
TEST_F(fixed, survives_munmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(SIZE, GPU_SZ_2M);
	unsigned int i;
	uint32_t id;

	ASSERT_EQ(0, reg(gpu, p, SIZE, &id));
	EXPECT_DELTA(gpu, intervals_added, 0,
		EXPECT_DELTA(gpu, intervals_removed, 0,
			for (i = 1; i <= 3; i++) {
				EXPECT_OUTSIDE(gpu, p, 0);
				ASSERT_EQ(p, mmap(p, SIZE, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS |
						  MAP_FIXED_NOREPLACE, -1, 0));
				gpu_pattern(p, SIZE, i);
				EXPECT_DEVICE_PATTERN(gpu, p, SIZE, i);
				EXPECT_EQ(0, munmap(p, SIZE));
				EXPECT_UNMAPPED(gpu, p, SIZE);
			}));
	EXPECT_EQ(0, unreg(gpu, id));
}

/* Behaviour 125: MAP_FIXED over a range, mremap away from it: the device sees what is there now */
TEST_F(fixed, follows)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern(), *to = gpu_va(SIZE, GPU_SZ_2M);
	uint32_t id, id_to;

	ASSERT_EQ(0, reg(gpu, p, SIZE, &id));
	ASSERT_EQ(0, reg(gpu, to, SIZE, &id_to));
	EXPECT_PAGES(gpu, p, 0, PAGES);
	ASSERT_EQ(to, mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_PAGES(gpu, to, 0, PAGES);
	EXPECT_OUTSIDE(gpu, p, 0);
	ASSERT_EQ(to, mmap(to, SIZE / 2, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_DEVICE_BYTES(gpu, to, SIZE / 2, 0);
	EXPECT_FAULTS(gpu, 0, EXPECT_PAGES(gpu, to, PAGES / 2, PAGES));
}

/* Behaviour 126: ranges overlap: an entry lives as long as one of them, whichever goes first */
TEST_F(fixed, overlap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint32_t ids[3];
	int first;

	for (first = 0; first < 3; first++) {
		ASSERT_EQ(0, reg(gpu, p, 8 * GPU_PAGE, &ids[0]));
		ASSERT_EQ(0, reg(gpu, p + 4 * GPU_PAGE, 8 * GPU_PAGE, &ids[1]));
		ASSERT_EQ(0, reg(gpu, p + 6 * GPU_PAGE, 10 * GPU_PAGE, &ids[2]));
		EXPECT_PAGES(gpu, p, 0, PAGES);
		EXPECT_EQ(0, unreg(gpu, ids[first]));
		EXPECT_EQ(first == 0 ? 12 * (int64_t)GPU_PAGE : first == 1 ? (int64_t)SIZE :
			  12 * (int64_t)GPU_PAGE, gpu_mapped(gpu, p, SIZE));
		EXPECT_FAULTS(gpu, 0, EXPECT_PAGES(gpu, p, 6, 8));
		EXPECT_VERIFY(gpu);
		EXPECT_EQ(0, unreg(gpu, ids[(first + 1) % 3]));
		EXPECT_VERIFY(gpu);
		EXPECT_FAULTS(gpu, 0, EXPECT_PAGES(gpu, p, 6, 8));
		EXPECT_EQ(0, unreg(gpu, ids[(first + 2) % 3]));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		EXPECT_OUTSIDE(gpu, p, 7);
	}
}

/* Behaviour 126: an invalidation of what two ranges cover comes to both, and is applied */
TEST_F(fixed, overlap_munmap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint32_t a, b;

	ASSERT_EQ(0, reg(gpu, p, 10 * GPU_PAGE, &a));
	ASSERT_EQ(0, reg(gpu, p + 6 * GPU_PAGE, 10 * GPU_PAGE, &b));
	EXPECT_PAGES(gpu, p, 0, PAGES);
	EXPECT_DELTA(gpu, invalidations, 2,
		EXPECT_DELTA(gpu, pages_cleared, 2,
			     EXPECT_EQ(0, munmap(p + 7 * GPU_PAGE, 2 * GPU_PAGE))));
	EXPECT_MAPPED(gpu, p, 7 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 9 * GPU_PAGE, 7 * GPU_PAGE);
	EXPECT_OUTSIDE(gpu, p, 7);
	EXPECT_EQ(0, unreg(gpu, a));
	EXPECT_UNMAPPED(gpu, p, 6 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 9 * GPU_PAGE, 7 * GPU_PAGE);
}

/* Behaviour 126: the same range twice: two ids, and the second one is enough */
TEST_F(fixed, twice)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint32_t a, b;

	ASSERT_EQ(0, reg(gpu, p, SIZE, &a));
	ASSERT_EQ(0, reg(gpu, p, SIZE, &b));
	EXPECT_NE(a, b);
	EXPECT_PAGES(gpu, p, 0, PAGES);
	EXPECT_EQ(0, unreg(gpu, a));
	EXPECT_EQ(-ENOENT, unreg(gpu, a));
	EXPECT_FAULTS(gpu, 0, EXPECT_PAGES(gpu, p, 0, PAGES));
	EXPECT_EQ(0, unreg(gpu, b));
	EXPECT_OUTSIDE(gpu, p, 0);
}

/* Behaviour 127: a range goes while a service is about to commit under it: nothing is committed */
TEST_F(fixed, unregister_in_use)
{
	struct drm_fakegpu_queue_get_state state;
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint64_t seqno;
	uint32_t id;

	ASSERT_EQ(0, reg(gpu, p, SIZE, &id));
	inject_range(gpu, p, SIZE);
	INJECT_HOLD(gpu, "hold_commit",
		    EXPECT_SUBMIT(gpu, gpu->queue, &seqno, fakegpu_touch(p, SIZE, GPU_PAGE, 0)));
	EXPECT_EQ(0, unreg(gpu, id));
	EXPECT_EQ(-ENOENT, unreg(gpu, id));
	INJECT_RELEASE(gpu, "hold_commit");
	EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, gpu->queue, &state));
	EXPECT_EQ((uint32_t)EFAULT, state.error);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_EVENTUALLY(1UL, (uint64_t)gpu_state(gpu).intervals);
	EXPECT_EVENTUALLY(0UL, gpu_stat(gpu, "intervals_pending"));
}

/* Behaviours 126, 127: likewise, but another range covers it: the service goes on with that one */
TEST_F(fixed, unregister_in_use_covered)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint32_t ids[2];
	uint64_t seqno;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, reg(gpu, p, SIZE, &ids[0]));
		ASSERT_EQ(0, reg(gpu, p, SIZE, &ids[1]));
		inject_range(gpu, p, SIZE);
		INJECT_HOLD(gpu, "hold_commit",
			    EXPECT_SUBMIT(gpu, gpu->queue, &seqno,
					  fakegpu_checksum(p, SIZE, gpu->res + 1)));
		EXPECT_EQ(0, unreg(gpu, ids[i]));
		INJECT_RELEASE(gpu, "hold_commit");
		EXPECT_DONE(gpu, gpu->queue, seqno);
		EXPECT_EQ((uint64_t)gpu_crc_pattern(SIZE, 1, 0), gpu->res[1]);
		EXPECT_EQ(0, unreg(gpu, ids[!i]));
	}
}

/* Behaviour 128: the limit is the file's; one that goes, also with its VM, makes room */
TEST_F(fixed, limit)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_va(SIZE, GPU_SZ_2M);
	uint32_t i, vm, id, last;

	ASSERT_EQ(0, fakegpu_vm_create(gpu->fd, 0, DRM_FAKEGPU_SCHEME_FIXED, 0, 0, &vm));
	ASSERT_EQ(0, fakegpu_range_register(gpu->fd, vm, fakegpu_va(p), GPU_PAGE, &id));
	/* One is there for the results. */
	for (i = 2; i < gpu->info.max_ranges; i++)
		ASSERT_EQ(0, reg(gpu, p + i % PAGES * GPU_PAGE, GPU_PAGE, &last));
	EXPECT_EQ(-ENOSPC, reg(gpu, p, SIZE, &id));
	EXPECT_EQ(-ENOSPC, fakegpu_range_register(gpu->fd, vm, fakegpu_va(p), GPU_PAGE, &id));
	EXPECT_EQ(0, unreg(gpu, last));
	EXPECT_EQ(0, reg(gpu, p, SIZE, &last));
	EXPECT_EQ(-ENOSPC, reg(gpu, p, SIZE, &id));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, vm));
	EXPECT_EQ(0, reg(gpu, p, SIZE, &id));
	EXPECT_EQ(-ENOSPC, reg(gpu, p, SIZE, &last));
}

/* Behaviour 128: what is wrong is refused, and changes nothing */
TEST_F(fixed, input)
{
	struct gpu *gpu = &self->gpu;
	const uint64_t va = fakegpu_va(gpu_va(SIZE, GPU_SZ_2M)), end = gpu->info.va_end;
	const struct {
		uint64_t start, size;
		int ret;
	} table[] = {
		{ va, 0, -EINVAL },
		{ va + 1, GPU_PAGE, -EINVAL },
		{ va, GPU_PAGE + 1, -EINVAL },
		{ va, -GPU_PAGE, -EOVERFLOW },
		{ end, GPU_PAGE, -EINVAL },
		{ end - GPU_PAGE, 2 * GPU_PAGE, -EINVAL },
		{ end - GPU_PAGE, GPU_PAGE, 0 },
		{ 0, GPU_PAGE, 0 },
		{ 0, end, 0 },
	};
	struct drm_fakegpu_range_register args = { .vm_id = gpu->vm, .start = va,
						   .size = GPU_PAGE };
	struct gpu_before before;
	uint32_t id = 77, vm, i;

	ASSERT_EQ(0, fakegpu_vm_create(gpu->fd, 0, DRM_FAKEGPU_SCHEME_SLOT, 0, 0, &vm));
	before = gpu_look(gpu);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(table[i].ret, fakegpu_range_register(gpu->fd, gpu->vm, table[i].start,
							       table[i].size, &id))
			TH_LOG("row %u", i);
		if (table[i].ret) {
			EXPECT_UNCHANGED(gpu, before);
			continue;
		}
		EXPECT_EQ(0, unreg(gpu, id));
		before = gpu_look(gpu);
	}
	EXPECT_EQ(-EINVAL, fakegpu_range_register(gpu->fd, vm, va, GPU_PAGE, &id));
	EXPECT_EQ(-ENOENT, fakegpu_range_unregister(gpu->fd, vm, 1));
	EXPECT_EQ(-ENOENT, fakegpu_range_register(gpu->fd, ~0u, va, GPU_PAGE, &id));
	EXPECT_EQ(-ENOENT, unreg(gpu, 0));
	EXPECT_EQ(-ENOENT, unreg(gpu, ~0u));
	args.flags = 1;
	EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_RANGE_REGISTER, &args));
	args.flags = 0;
	args.pad = 1;
	EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_RANGE_REGISTER, &args));
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, vm));
}

/* Behaviours 116, 125: PREFETCH of what is there passes by what is not registered */
TEST_F(fixed, prefetch_gap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	uint64_t done;
	uint32_t id;

	ASSERT_EQ(0, reg(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE, &id));
	ASSERT_EQ(0, reg(gpu, p + 8 * GPU_PAGE, 4 * GPU_PAGE, &id));
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, SIZE,
				      &done));
	EXPECT_EQ(SIZE, done);
	EXPECT_MAPPED(gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 8 * GPU_PAGE, 4 * GPU_PAGE);
	EXPECT_GAUGE(gpu, pages_small, 6 + 1);
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p + 2 * GPU_PAGE, 4 * GPU_PAGE,
					    &done));
	EXPECT_EQ(2 * GPU_PAGE, done);
}

/* Behaviours 118, 128: no memory for the interval: ENOMEM, and nothing is left of it */
TEST_F(fixed, no_memory)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = map_pattern();
	struct gpu_before before = gpu_look(gpu);
	uint32_t id;

	inject_range(gpu, p, SIZE);
	inject_set(gpu, "fail_insert", 1, 1);
	EXPECT_EQ(-ENOMEM, reg(gpu, p, SIZE, &id));
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_EQ(0, reg(gpu, p, SIZE, &id));
	EXPECT_PAGES(gpu, p, 0, PAGES);
}

/* Behaviours 125, 126: ranges and memory come and go: a page can be read if in both */
TEST_F(fixed, random)
{
	struct gpu *gpu = &self->gpu;
	struct { uint32_t id, from, to; } ranges[6] = { 0 };
	uint8_t *p = gpu_map_anon(SIZE);
	unsigned int i, r, covered[PAGES] = { 0 };
	bool mapped[PAGES];
	uint64_t seed = 4;

	gpu_pattern(p, SIZE, 1);
	memset(mapped, 1, sizeof(mapped));
	for (i = 0; i < 400; i++) {
		unsigned int page = gpu_rand(&seed) % PAGES;
		unsigned int to = page + 1 + gpu_rand(&seed) % (PAGES - page);

		r = gpu_rand(&seed) % ARRAY_SIZE(ranges);
		switch (gpu_rand(&seed) % 3) {
		case 0:
			if (ranges[r].id) {
				EXPECT_EQ(0, unreg(gpu, ranges[r].id));
				for (page = ranges[r].from; page < ranges[r].to; page++)
					if (!--covered[page])
						EXPECT_UNMAPPED(gpu, p + page * GPU_PAGE, GPU_PAGE);
				ranges[r].id = 0;
				break;
			}
			EXPECT_EQ(0, reg(gpu, p + page * GPU_PAGE, (to - page) * GPU_PAGE,
					 &ranges[r].id));
			ranges[r].from = page;
			ranges[r].to = to;
			for (; page < to; page++)
				covered[page]++;
			break;
		case 1:
			if (mapped[page]) {
				EXPECT_EQ(0, munmap(p + page * GPU_PAGE, GPU_PAGE));
				EXPECT_UNMAPPED(gpu, p + page * GPU_PAGE, GPU_PAGE);
			} else {
				ASSERT_NE(MAP_FAILED,
					  mmap(p + page * GPU_PAGE, GPU_PAGE,
					       PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
					       MAP_FIXED_NOREPLACE, -1, 0));
				gpu_pattern_at(p + page * GPU_PAGE, GPU_PAGE, 1, page * GPU_PAGE);
			}
			mapped[page] = !mapped[page];
			break;
		default:
			if (covered[page] && mapped[page])
				EXPECT_PAGES(gpu, p, page, page + 1);
			else
				EXPECT_OUTSIDE(gpu, p, page);
		}
		if (i % 50 == 49)
			EXPECT_VERIFY(gpu);
	}
}

struct registrar {
	struct gpu *gpu;
	uint8_t *p;
	volatile bool stop;
	volatile bool began;	/* one range of its is there */
	unsigned int failed;
};

/* Two ranges come and go in turn, so that one of them is always there. */
static void *registrar_main(void *arg)
{
	struct registrar *r = arg;
	uint32_t ids[2];
	unsigned int i;

	r->failed += !!reg(r->gpu, r->p, SIZE, &ids[0]);
	r->began = true;
	for (i = 0; !r->stop; i++) {
		r->failed += !!reg(r->gpu, r->p, SIZE, &ids[!(i & 1)]);
		r->failed += !!unreg(r->gpu, ids[i & 1]);
		madvise(r->p + i % PAGES * GPU_PAGE, GPU_PAGE, MADV_DONTNEED);
	}
	return NULL;
}

/* Behaviour 127: ranges change hands while the device is at work: it never finds none */
TEST_F(fixed, race)
{
	struct gpu *gpu = &self->gpu;
	struct registrar r = { .gpu = gpu, .p = gpu_map_anon(SIZE) };
	int64_t begin = gpu_now();
	pthread_t thread;
	bool ours = true;
	unsigned int i;
	uint32_t id;

	ASSERT_EQ(0, reg(gpu, r.p, SIZE, &id));
	ASSERT_EQ(0, pthread_create(&thread, NULL, registrar_main, &r));
	for (i = 0; gpu_more(i, 2000, begin); i++) {
		EXPECT_RUN(gpu, fakegpu_touch(r.p, SIZE, GPU_PAGE, 0));
		if (ours && r.began && i > 10) {
			EXPECT_EQ(0, unreg(gpu, id));
			ours = false;
		}
	}
	r.stop = true;
	pthread_join(thread, NULL);
	EXPECT_FALSE(ours);
	EXPECT_EQ(0U, r.failed);
	EXPECT_VERIFY(gpu);
}

TEST_HARNESS_MAIN
