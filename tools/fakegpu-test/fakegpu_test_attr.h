/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attributes in tests: set them, and compare what is listed with a table whose
 * rows count in pages from a base address.
 */
#ifndef FAKEGPU_TEST_ATTR_H
#define FAKEGPU_TEST_ATTR_H

#include "fakegpu_test.h"

/* No macros: some of the names are joined with others. */
enum {
	ACCESS = DRM_FAKEGPU_ATTR_ACCESS,
	ATOMIC = DRM_FAKEGPU_ATTR_ATOMIC,
	LOCATION = DRM_FAKEGPU_ATTR_LOCATION,
	WINDOW = DRM_FAKEGPU_ATTR_WINDOW_ORDER,
};

enum {
	RW = DRM_FAKEGPU_ATTR_ACCESS_READ_WRITE,
	RO = DRM_FAKEGPU_ATTR_ACCESS_READ_ONLY,
	NONE = DRM_FAKEGPU_ATTR_ACCESS_NONE,
	NOATOMIC = DRM_FAKEGPU_ATTR_ATOMIC_NONE,
};

/* A range that shall be listed: pages [from, to) behind the base; what is left out is 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
struct want_attr {
	unsigned int from;
	unsigned int to;
	uint32_t access;
	uint32_t atomic;
	uint32_t window;
};

static inline int advise(struct gpu *gpu, const volatile void *p, size_t size, uint32_t attr,
			 uint64_t value)
{
	return fakegpu_vm_advise(gpu->fd, gpu->vm, p, size, attr, value);
}

/* Return: true, or false and both lists are printed. */
static inline bool attrs_like(struct gpu *gpu, const volatile void *base, size_t size,
			      const struct want_attr *want, uint32_t wanted)
{
	static struct drm_fakegpu_vm_attr_range have[1024];
	uint32_t i, count = ARRAY_SIZE(have);
	uint64_t at = fakegpu_va(base), next = 0;
	int ret = fakegpu_vm_attrs(gpu->fd, gpu->vm, base, size, have, &count, &next);
	bool same = !ret && count == wanted && next == at + size;

	for (i = 0; same && i < count; i++)
		same = have[i].start == at + want[i].from * GPU_PAGE &&
		       have[i].end == at + want[i].to * GPU_PAGE &&
		       have[i].access == want[i].access && have[i].atomic == want[i].atomic &&
		       have[i].window_order == want[i].window && !have[i].location;
	if (same)
		return true;
	printf("# attributes: error %d, next %#llx, pages from %#llx on:\n", ret,
	       (unsigned long long)next, (unsigned long long)at);
	for (i = 0; i < wanted && i < 64; i++)
		printf("#   want %u-%u %u/%u/%u\n", want[i].from, want[i].to, want[i].access,
		       want[i].atomic, want[i].window);
	for (i = 0; !ret && i < count && i < 64; i++)
		printf("#   have %lld-%lld %u/%u/%u\n",
		       (long long)(have[i].start - at) / (long long)GPU_PAGE,
		       (long long)(have[i].end - at) / (long long)GPU_PAGE, have[i].access,
		       have[i].atomic, have[i].window_order);
	return false;
}

#define EXPECT_ADVISE(gpu, p, size, attr, value) \
	EXPECT_EQ(0, advise(gpu, p, size, attr, value))

/* Just these ranges are listed: EXPECT_ATTRS(gpu, base, pages, { 0, 4, RO }, ...) */
#define EXPECT_ATTRS(gpu, base, pages, ...) do { \
	const struct want_attr want_[] = { __VA_ARGS__ }; \
	EXPECT_TRUE(attrs_like(gpu, base, (pages) * GPU_PAGE, want_, ARRAY_SIZE(want_))); \
} while (0)
#define EXPECT_NO_ATTRS(gpu, base, pages) \
	EXPECT_TRUE(attrs_like(gpu, base, (pages) * GPU_PAGE, NULL, 0))

/* Nothing is left, not even a notifier; those are removed by a worker. */
#define EXPECT_ATTRS_GONE(gpu) do { \
	EXPECT_GAUGE(gpu, attrs, 0); \
	EXPECT_EVENTUALLY(0UL, (uint64_t)gpu_state(gpu).attr_intervals); \
} while (0)

#endif /* FAKEGPU_TEST_ATTR_H */
