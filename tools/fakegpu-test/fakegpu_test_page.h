/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which frame is behind an address, on which NUMA node, and how to move it.
 */
#ifndef FAKEGPU_TEST_PAGE_H
#define FAKEGPU_TEST_PAGE_H

#include "fakegpu_test.h"
#include "fakegpu_test_sys.h"

#include <linux/mempolicy.h>
#include <sched.h>

/* A word all of whose bytes are @byte, as FILL wants it. */
#define BYTES(byte)	((byte) * 0x0101010101010101ULL)

/* The pagemap entries of @count pages. */
static inline void pagemap_read(const volatile void *addr, uint64_t *entries, size_t count)
{
	const size_t bytes = count * sizeof(*entries);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, entries, bytes, (uintptr_t)addr / GPU_PAGE * sizeof(*entries)) !=
			      (ssize_t)bytes)
		gpu_die("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
}

/* The frames of @count pages, all of which must be present. */
static inline void page_pfns(const volatile void *addr, uint64_t *pfns, size_t count)
{
	size_t i;

	pagemap_read(addr, pfns, count);
	for (i = 0; i < count; i++) {
		if (!(pfns[i] & SYS_PM_PRESENT) || !(pfns[i] & SYS_PM_FRAME))
			gpu_die("page %zu has no frame that we may know: %#llx", i,
				(unsigned long long)pfns[i]);
		pfns[i] &= SYS_PM_FRAME;
	}
}

static inline uint64_t page_pfn(const volatile void *addr)
{
	uint64_t pfn;

	page_pfns(addr, &pfn, 1);
	return pfn;
}

/* Pages of [p, p + size) that have other frames than @old. */
static inline size_t pages_moved(const volatile uint8_t *p, size_t size, const uint64_t *old)
{
	size_t i, n = 0;

	for (i = 0; i < size / GPU_PAGE; i++)
		n += page_pfn(p + i * GPU_PAGE) != old[i];
	return n;
}

/* Are there two nodes with memory, 0 and 1? */
static inline bool two_nodes(void)
{
	char line[64];

	return sys_read("/sys/devices/system/node/has_memory", line, sizeof(line)) &&
	       (!strncmp(line, "0-", 2) || !strncmp(line, "0,1", 3));
}

#define SKIP_UNLESS_TWO_NODES() do { \
	if (!two_nodes()) \
		SKIP(return, "no two NUMA nodes with memory (see tools/vm/run --numa)"); \
} while (0)

/* The node of a page, or a negative errno. */
static inline int page_node(const volatile void *addr)
{
	void *page = (void *)addr;
	int node = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0))
		return -errno;
	return node;
}

/*
 * Ask for @count pages to be moved to @node; @flags as for move_pages(2).
 * Return: how many are there afterwards, or a negative errno.
 */
static inline long pages_move(pid_t pid, volatile void *addr, size_t count, int node, int flags)
{
	void **pages = calloc(count, sizeof(*pages));
	int *nodes = calloc(count, sizeof(*nodes));
	int *status = calloc(count, sizeof(*status));
	long ret, there = 0;
	size_t i;

	if (!pages || !nodes || !status)
		gpu_die("no memory");
	for (i = 0; i < count; i++) {
		pages[i] = (char *)addr + i * GPU_PAGE;
		nodes[i] = node;
	}
	ret = syscall(SYS_move_pages, pid, count, pages, nodes, status, flags);
	/* Asked again: what it did is one thing, where they are is another. */
	if (ret >= 0)
		ret = syscall(SYS_move_pages, pid, count, pages, NULL, status, 0);
	if (ret < 0)
		there = -errno;
	for (i = 0; i < count && ret >= 0; i++)
		there += status[i] == node;
	free(status);
	free(nodes);
	free(pages);
	return there;
}

/* Run on the first processor of a node from now on; false if it has none. */
static inline bool run_on_node(int node)
{
	char path[64], line[64];
	cpu_set_t set;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
	if (!sys_read(path, line, sizeof(line)) || !line[0])
		return false;
	CPU_ZERO(&set);
	CPU_SET(atoi(line), &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

#endif /* FAKEGPU_TEST_PAGE_H */
