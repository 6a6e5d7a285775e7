// SPDX-License-Identifier: MIT
/*
 * Who does the work: the CPU, the kernel's bare part of it, test_hmm, fakegpu
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <test_hmm_uapi.h>

#include "cost.h"
#include "fakegpu_floor.h"

#define HMM_DEVICE	"/dev/hmm_dmirror0"

static void missing(const struct party *party, const char *what, int error)
{
	fprintf(stderr, "fakegpu-cost: %s left out: %s: %s\n", party->name, what, strerror(error));
	exit(3);
}

static void open_file(struct cost *c, const char *path)
{
	c->fd = open(path, O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		missing(c->party, path, errno);
}

static void open_device(struct cost *c)
{
	struct drm_fakegpu_dev_info info;
	uint32_t range;
	int ret;

	c->fd = fakegpu_open(0);
	if (c->fd < 0)
		missing(c->party, "fakegpu device", -c->fd);
	ret = fakegpu_vm_create(c->fd, c->party->vm_flags, c->party->scheme, 0, 0, &c->vm);
	if (ret == -EOPNOTSUPP)
		missing(c->party, "scheme", -ret);
	if (!ret && c->party->scheme == DRM_FAKEGPU_SCHEME_FIXED) {
		ret = fakegpu_dev_info(c->fd, &info);
		if (!ret)
			ret = fakegpu_range_register(c->fd, c->vm, info.va_start,
						     info.va_end - info.va_start, &range);
	}
	if (ret)
		cost_die("can't create a VM: %s", strerror(-ret));
	c->queue = cost_queue(c);
}

void cost_open(struct cost *c)
{
	c->fd = -1;
	switch (c->party->kind) {
	case CPU:
		break;
	case FLOOR:
		open_file(c, "/dev/" FAKEGPU_FLOOR_DEVICE);
		break;
	case HMM:
		open_file(c, HMM_DEVICE);
		c->bounce = mmap(NULL, LEAF, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (c->bounce == MAP_FAILED)
			cost_die("mmap: %s", strerror(errno));
		break;
	case DEVICE:
		open_device(c);
		break;
	}
}

uint32_t cost_queue(struct cost *c)
{
	uint32_t queue;
	int ret = fakegpu_queue_create(c->fd, c->vm, &queue);

	if (ret)
		cost_die("can't create a queue: %s", strerror(-ret));
	return queue;
}

uint64_t cost_submit(struct cost *c, uint32_t queue, const struct drm_fakegpu_cmd *cmds,
		     uint32_t count)
{
	uint64_t seqno;
	int ret = fakegpu_submit(c->fd, queue, cmds, count, &seqno);

	if (ret)
		cost_die("submit: %s", strerror(-ret));
	return seqno;
}

void cost_wait(struct cost *c, uint32_t queue, uint64_t seqno)
{
	int ret = fakegpu_wait(c->fd, queue, seqno, -1);

	if (ret)
		cost_die("wait: %s", strerror(-ret));
}

void cost_run(struct cost *c, const struct drm_fakegpu_cmd *cmd)
{
	int ret = fakegpu_run(c->fd, c->queue, cmd, 1);

	if (ret)
		cost_die("the device fails: %s", strerror(-ret));
}

struct drm_fakegpu_vm_get_state cost_state(struct cost *c)
{
	struct drm_fakegpu_vm_get_state state = { 0 };
	int ret = fakegpu_vm_state(c->fd, c->vm, &state);

	if (ret)
		cost_die("VM_GET_STATE: %s", strerror(-ret));
	return state;
}

static uint64_t access_cpu(uint8_t *p, size_t size, size_t stride, bool write)
{
	volatile uint8_t *byte = p;
	uint64_t begin = __rdtsc();
	size_t i;

	for (i = 0; i < size; i += stride) {
		if (write)
			byte[i] = 1;
		else
			(void)byte[i];
	}
	return __rdtsc() - begin;
}

static uint64_t access_floor(struct cost *c, uint8_t *p, size_t size, bool write)
{
	struct fakegpu_floor_range range = {
		.addr = (uintptr_t)p,
		.size = size,
		.window = LEAF,
		.flags = FAKEGPU_FLOOR_FAULT | (write ? FAKEGPU_FLOOR_WRITE : 0),
	};

	if (ioctl(c->fd, FAKEGPU_FLOOR_IOC_RANGE, &range))
		cost_die("the floor fails: %s", strerror(errno));
	return range.ticks;
}

static uint64_t access_hmm(struct cost *c, uint8_t *p, size_t size, bool write)
{
	uint64_t begin = __rdtsc();
	size_t i;

	for (i = 0; i < size; i += LEAF) {
		size_t part = size - i < LEAF ? size - i : LEAF;
		struct hmm_dmirror_cmd cmd = {
			.addr = (uintptr_t)p + i,
			.ptr = (uintptr_t)c->bounce,
			.npages = part / PAGE,
		};

		if (ioctl(c->fd, write ? HMM_DMIRROR_WRITE : HMM_DMIRROR_READ, &cmd))
			cost_die("test_hmm fails: %s", strerror(errno));
	}
	return __rdtsc() - begin;
}

static uint64_t access_device(struct cost *c, uint8_t *p, size_t size, size_t stride, bool write)
{
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, size, stride,
						   write ? DRM_FAKEGPU_CMD_WRITE : 0);

	return TICKS(cost_run(c, &cmd));
}

uint64_t cost_access(struct cost *c, uint8_t *p, size_t size, size_t stride, bool write)
{
	switch (c->party->kind) {
	case CPU:
		return access_cpu(p, size, stride, write);
	case FLOOR:
		return access_floor(c, p, size, write);
	case HMM:
		return access_hmm(c, p, size, write);
	default:
		return access_device(c, p, size, stride, write);
	}
}

uint8_t *cost_reserve(size_t size)
{
	static uint64_t next = 0x200000000000;
	uint8_t *p = (uint8_t *)next;

	/* In a slot of the largest order each, with nothing at either end. */
	next += (size + 2 * LEAF + (1UL << 39)) & ~((1UL << 39) - 1);
	return p + LEAF;
}

void cost_map(uint8_t *p, size_t size, bool huge)
{
	if (mmap(p, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != p)
		cost_die("mmap: %s", strerror(errno));
	if (madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		cost_die("madvise: %s", strerror(errno));
}

void cost_unmap(uint8_t *p, size_t size)
{
	if (munmap(p, size))
		cost_die("munmap: %s", strerror(errno));
}

void cost_least(double *least, double value)
{
	if (!*least || value < *least)
		*least = value;
}

static int cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double cost_rank(double *values, unsigned int count, unsigned int permille)
{
	qsort(values, count, sizeof(*values), cmp_double);
	return values[(uint64_t)(count - 1) * permille / 1000];
}

void cost_forget(uint8_t *p, size_t size)
{
	/* Read-only and back. */
	if (mprotect(p, size, PROT_READ) || mprotect(p, size, PROT_READ | PROT_WRITE))
		cost_die("mprotect: %s", strerror(errno));
}

void cost_populate(uint8_t *p, size_t size)
{
	access_cpu(p, size, PAGE, true);
}
