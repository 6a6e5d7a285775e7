/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test sets up in the system and has to put back: values in /sys and
 * /proc, swap, a cgroup. And what it asks the system: where pages are.
 *
 * Use GPU_FIXTURE_SYS(area) in place of GPU_FIXTURE(area).
 */
#ifndef FAKEGPU_TEST_SYS_H
#define FAKEGPU_TEST_SYS_H

#include <dirent.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "fakegpu_test.h"

#ifndef MADV_COLD
#define MADV_COLD		20
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

#define SYS_VALUES		12
#define SYS_CGROUPS		"/sys/fs/cgroup"

struct sys_value {
	char path[128];
	char old[128];
};

struct sys_state {
	struct sys_value values[SYS_VALUES];
	unsigned int nr_values;
	char swap[32];
	int loop;		/* of the swap, if it is one */
	char cgroup[64];
};

/* ------------------------------------------------------------ small files --- */

/* Return: what the file says, without the newline; or NULL. */
static inline char *sys_read(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return NULL;
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = 0;
	return buf;
}

/* Return: 0 or a negative errno. */
static inline int sys_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static inline int sys_write_number(const char *path, unsigned long long value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", value);
	return sys_write(path, text);
}

/* The number behind "name" (with or without a colon) in a file; 0 if there is none. */
static inline uint64_t sys_number(const char *path, const char *name)
{
	char line[256], word[64];
	unsigned long long value;
	uint64_t found = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^: \t] %*[: \t] %llu", word, &value) != 2 &&
		    sscanf(line, "%63[^: \t]%*[: \t]%llu", word, &value) != 2)
			continue;
		if (!strcmp(word, name)) {
			found = value;
			break;
		}
	}
	if (f)
		fclose(f);
	return found;
}

/* A count of the whole system, as root with what the processors haven't added yet. */
static inline uint64_t sys_vmstat(const char *name)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	char none;

	if (fd >= 0) {
		if (read(fd, &none, 1))
			gpu_die("/proc/sys/vm/stat_refresh: %s", strerror(errno));
		close(fd);
	}
	return sys_number("/proc/vmstat", name);
}

/* The word in brackets of a file that offers several, as THP's do. */
static inline void sys_chosen(char *text)
{
	char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return;
	*close = 0;
	memmove(text, open + 1, strlen(open + 1) + 1);
}

/*
 * sys_set - write a value that sys_restore() takes back
 * Return: 0, or -ENOENT if this kernel has no such file; dies on other errors.
 */
static inline int sys_set(struct sys_state *sys, const char *path, const char *value)
{
	struct sys_value *v = &sys->values[sys->nr_values];
	int ret;

	if (access(path, F_OK))
		return -ENOENT;
	if (sys->nr_values == SYS_VALUES)
		gpu_die("more than %d values to restore", SYS_VALUES);
	snprintf(v->path, sizeof(v->path), "%s", path);
	if (!sys_read(path, v->old, sizeof(v->old)))
		gpu_die("%s: %s", path, strerror(errno));
	sys_chosen(v->old);
	ret = sys_write(path, value);
	if (ret)
		gpu_die("%s to %s: %s", value, path, strerror(-ret));
	sys->nr_values++;
	return 0;
}

/*
 * Services may take long until sys_restore(): where memory comes from the swap at a
 * few MiB a second, and goes again, one pass of a service can be over its ten seconds.
 */
static inline void sys_give_time(struct sys_state *sys, const struct gpu *gpu)
{
	char path[128];
	int ret = fakegpu_debug_path(gpu->fd, "inject/timeout_ms", path, sizeof(path));

	if (!ret)
		ret = sys_set(sys, path, "120000");
	if (ret)
		gpu_die("inject/timeout_ms: %s", strerror(-ret));
}

/* ------------------------------------------------------------------- swap --- */

/*
 * ZRAM writes a page while reclaim waits, and keeps no copy of what is read
 * back: a page that was swapped out is gone from memory, and one that was
 * swapped in has no copy on the device. LOOP (over a memfd) is like a disk: a
 * page that was swapped in stays in the swap cache, clean, as long as nobody
 * tells that it was written.
 */
enum sys_swap { SYS_SWAP_ZRAM, SYS_SWAP_LOOP };

static inline int sys_swap_format(const char *path, size_t size)
{
	/* The first page of a swap area: version and last page, and a magic word at its end. */
	struct {
		uint8_t boot[1024];
		uint32_t version;
		uint32_t last_page;
		uint8_t rest[GPU_PAGE - 1024 - 8 - 10];
		char magic[10];
	} __attribute__((packed)) header = {
		.version = 1,
		.last_page = size / GPU_PAGE - 1,
	};
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	if (fd < 0)
		return -errno;
	if (write(fd, &header, sizeof(header)) != sizeof(header) || fsync(fd))
		ret = -errno;
	close(fd);
	return ret;
}

static inline int sys_swap_zram(struct sys_state *sys, size_t size)
{
	int ret;

	if (access("/sys/block/zram0", F_OK) && system("modprobe zram 2>/dev/null"))
		return -ENODEV;
	sys_write("/sys/block/zram0/reset", "1");
	ret = sys_write_number("/sys/block/zram0/disksize", size);
	if (!ret)
		snprintf(sys->swap, sizeof(sys->swap), "/dev/zram0");
	return ret;
}

/* A loop device over a memfd of @size bytes; it goes when the last one closes it. */
static inline int sys_loop(size_t size, char *path, size_t path_size)
{
	struct loop_config config = { .fd = gpu_memfd(size) };
	int control, nr, fd, ret = -ENODEV;

	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	if (access("/sys/module/loop", F_OK) && system("modprobe loop 2>/dev/null"))
		goto out;
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		goto out;
	nr = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(path, path_size, "/dev/loop%d", nr);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = fd < 0 ? -errno : 0;
	if (!ret && ioctl(fd, LOOP_CONFIGURE, &config)) {
		ret = -errno;
		close(fd);
	}
	if (!ret)
		ret = fd;
out:
	close(config.fd);
	return ret;
}

/*
 * sys_swap_on - have swap of @size bytes until sys_restore()
 * Return: 0; or a negative errno with a reason to skip in gpu_why().
 */
static inline int sys_swap_on(struct sys_state *sys, enum sys_swap kind, size_t size)
{
	int ret;

	if (kind == SYS_SWAP_ZRAM) {
		ret = sys_swap_zram(sys, size);
	} else {
		sys->loop = sys_loop(size, sys->swap, sizeof(sys->swap));
		ret = sys->loop < 0 ? sys->loop : 0;
	}
	if (!ret)
		ret = sys_swap_format(sys->swap, size);
	if (!ret && swapon(sys->swap, 0))
		ret = -errno;
	if (ret)
		sys->swap[0] = 0;
	return ret;
}

/* ----------------------------------------------------------------- cgroup --- */

static inline const char *sys_cgroup_file(const struct sys_state *sys, const char *name)
{
	static _Thread_local char path[128];

	snprintf(path, sizeof(path), "%s/%s", sys->cgroup, name);
	return path;
}

/*
 * sys_cgroup - make a cgroup of its own for memory, until sys_restore()
 * Return: 0; or a negative errno if cgroup v2 or its memory controller is missing.
 */
static inline int sys_cgroup(struct sys_state *sys)
{
	int ret = sys_write(SYS_CGROUPS "/cgroup.subtree_control", "+memory");

	if (ret)
		return ret;
	snprintf(sys->cgroup, sizeof(sys->cgroup), SYS_CGROUPS "/fakegpu-test-%d", getpid());
	if (mkdir(sys->cgroup, 0755)) {
		ret = -errno;
		sys->cgroup[0] = 0;
	}
	return ret;
}

/* The caller goes into the cgroup: what it allocates from now on is charged there. */
static inline void sys_cgroup_enter(const struct sys_state *sys)
{
	int ret = sys_write_number(sys_cgroup_file(sys, "cgroup.procs"), getpid());

	if (ret)
		gpu_die("cgroup.procs: %s", strerror(-ret));
}

static inline uint64_t sys_cgroup_number(const struct sys_state *sys, const char *name)
{
	char text[32];

	return strtoull(sys_read(sys_cgroup_file(sys, name), text, sizeof(text)) ?: "0", NULL, 0);
}

static inline uint64_t sys_cgroup_event(const struct sys_state *sys, const char *name)
{
	return sys_number(sys_cgroup_file(sys, "memory.events"), name);
}

/* --------------------------------------------------------------- clean up --- */

static inline void sys_restore(struct sys_state *sys)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;

	while (sys->nr_values) {
		struct sys_value *v = &sys->values[--sys->nr_values];

		sys_write(v->path, v->old);
	}
	/* What is on swap has to fit into memory now. */
	if (sys->cgroup[0]) {
		sys_write(sys_cgroup_file(sys, "memory.high"), "max");
		sys_write(sys_cgroup_file(sys, "memory.max"), "max");
	}
	if (sys->swap[0]) {
		if (swapoff(sys->swap))
			gpu_die("swapoff: %s", strerror(errno));
		if (sys->loop)
			close(sys->loop);
		else
			sys_write("/sys/block/zram0/reset", "1");
	}
	if (sys->cgroup[0]) {
		sys_write_number(SYS_CGROUPS "/cgroup.procs", getpid());
		while (rmdir(sys->cgroup) && errno == EBUSY && gpu_now() < end)
			usleep(1000);
	}
}

/* -------------------------------------------------------- where pages are --- */

#define SYS_PM_PRESENT		(1ULL << 63)
#define SYS_PM_SWAPPED		(1ULL << 62)
#define SYS_PM_FRAME		((1ULL << 55) - 1)

static inline uint64_t sys_pagemap(const volatile void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)addr / GPU_PAGE * sizeof(uint64_t);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), at) != sizeof(entry))
		gpu_die("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return entry;
}

/* Pages of the range with any of the bits in pagemap. */
static inline size_t sys_pages(const volatile void *addr, size_t size, uint64_t bits)
{
	size_t i, n = size / GPU_PAGE, found = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	off_t at = (uintptr_t)addr / GPU_PAGE * sizeof(uint64_t);
	uint64_t *entries = malloc(n * sizeof(*entries));

	if (fd < 0 || !entries || pread(fd, entries, n * sizeof(*entries), at) !=
	    (ssize_t)(n * sizeof(*entries)))
		gpu_die("/proc/self/pagemap: %s", strerror(errno));
	for (i = 0; i < n; i++)
		found += !!(entries[i] & bits);
	free(entries);
	close(fd);
	return found;
}

static inline size_t sys_present(const volatile void *addr, size_t size)
{
	return sys_pages(addr, size, SYS_PM_PRESENT);
}

static inline size_t sys_swapped(const volatile void *addr, size_t size)
{
	return sys_pages(addr, size, SYS_PM_SWAPPED);
}

/* Pages of the range that are anywhere in memory, the swap cache included. */
static inline size_t sys_in_memory(const volatile void *addr, size_t size)
{
	size_t i, n = size / GPU_PAGE, found = 0;
	unsigned char *vec = malloc(n);

	if (!vec || mincore((void *)addr, size, vec))
		gpu_die("mincore: %s", strerror(errno));
	for (i = 0; i < n; i++)
		found += vec[i] & 1;
	free(vec);
	return found;
}

/*
 * Get all pages out of the processors' batches, where reclaim does not find
 * them and where they have a reference: what the device faulted in was put into
 * the batch of the processor that served the fault. move_pages() does so first
 * of all; the page itself is where it is told to go.
 */
static inline void sys_drain(void)
{
	static uint64_t page[2 * GPU_PAGE / 8];
	void *addr = (void *)(((uintptr_t)page + GPU_PAGE - 1) & ~(GPU_PAGE - 1));
	int node = 0, status = 0;

	*(volatile uint64_t *)addr = 1;
	syscall(SYS_move_pages, 0, 1UL, &addr, &node, &status, 0);
}

/*
 * sys_pageout - reclaim the pages of a range by MADV_PAGEOUT
 *
 * Tries again as long as some are left: a page may be locked for a moment.
 * Return: pages left in the CPU's page table; 0 if all is well.
 */
static inline size_t sys_pageout(volatile void *addr, size_t size)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;
	size_t left;

	do {
		sys_drain();
		if (madvise((void *)addr, size, MADV_PAGEOUT))
			gpu_die("MADV_PAGEOUT: %s", strerror(errno));
		left = sys_present(addr, size);
	} while (left && gpu_now() < end);
	return left;
}

/* ---------------------------------------------------------------- fixture --- */

/* As GPU_FIXTURE() with a struct sys_state that is restored at the end. */
#define GPU_FIXTURE_SYS(area) \
	FIXTURE(area) { struct sys_state sys; struct gpu gpu; }; \
	GPU_VARIANTS(area, 0); \
	FIXTURE_SETUP(area) { GPU_SETUP(&self->gpu, &variant->conf); } \
	FIXTURE_TEARDOWN(area) { \
		GPU_TEARDOWN(&self->gpu); \
		sys_restore(&self->sys); \
	} \
	struct gpu_fixture_end

/* Have swap, or skip the test. */
#define GPU_SWAP(sys, kind, size) do { \
	int swap_ = sys_swap_on(sys, kind, size); \
	if (swap_) \
		SKIP(return, "no swap: %s", strerror(-swap_)); \
} while (0)

/* Be in a cgroup of one's own, or skip the test. */
#define GPU_CGROUP(sys) do { \
	int cgroup_ = sys_cgroup(sys); \
	if (cgroup_) \
		SKIP(return, "no cgroup v2 with memory: %s", strerror(-cgroup_)); \
} while (0)

/* All pages of the range leave the CPU's page table. */
#define EXPECT_PAGEOUT(addr, size) \
	EXPECT_EQ((size_t)0, sys_pageout(addr, size)) \
		TH_LOG("pages that MADV_PAGEOUT left: " #addr ", " #size)

#endif /* FAKEGPU_TEST_SYS_H */
