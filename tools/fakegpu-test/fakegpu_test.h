/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers common to all fakegpu test programs.
 *
 * One program is one area; a test is named by the words that compose its
 * dimensions. Above each test a comment names the behaviours that it covers.
 *
 * An area looks like this:
 *
 *	#include "fakegpu_test.h"
 *
 *	GPU_FIXTURE(area);
 *
 *	TEST_F(area, read_anon_small)
 *	{
 *		struct gpu *gpu = &self->gpu;
 *		uint8_t *p = gpu_map_anon(GPU_SZ_64K);
 *
 *		gpu_pattern(p, GPU_SZ_64K, 1);
 *		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_64K, 1));
 *	}
 *
 *	TEST_HARNESS_MAIN
 *
 * Each test runs in a process of its own. The fixture opens the device, makes
 * a VM with the variant's scheme and one queue, and ends with `verify` and with
 * a look at the device's gauges, which must be back where they were.
 */
#ifndef FAKEGPU_TEST_H
#define FAKEGPU_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <fakegpu.h>

#define GPU_PAGE	4096UL
#define GPU_SZ_64K	0x10000UL
#define GPU_SZ_1M	0x100000UL
#define GPU_SZ_2M	0x200000UL
#define GPU_SZ_1G	0x40000000UL

/* No test waits for the clock: this bounds what would else be a hang. */
#define GPU_WAIT_NS	60000000000LL
/*
 * The same for work that may have to get memory. An emulated guest clears a page that once held
 * much code word by word, in 13 ms: 64 MiB may take minutes.
 */
#define GPU_RUN_NS	(4 * GPU_WAIT_NS)

/* How a fixture variant creates its VM; zero takes the driver's defaults. */
struct gpu_conf {
	uint32_t scheme;
	uint32_t interval_order;
	uint32_t window_order;
	uint32_t flags;
};

/* What the owner of a queue can read about its fatal fault. */
struct gpu_fatal {
	struct drm_fakegpu_queue_get_state queue;
	struct drm_fakegpu_fault_info info;
};

/* Device-wide gauges of debugfs that have to come back to where they were. */
struct gpu_gauges {
	uint64_t vms;
	uint64_t queues;
	uint64_t intervals;
	uint64_t nodes;
	uint64_t pages_small;
	uint64_t leaves_large;
	uint64_t faults_pending;
	uint64_t attrs;
	uint64_t attr_intervals;
};

struct gpu {
	int fd;
	uint32_t vm;
	uint32_t queue;
	struct gpu_conf conf;
	struct drm_fakegpu_dev_info info;
	/*
	 * GPU_RES_WORDS words for results, in an interval and a window of their
	 * own. gpu_open() lets the device write there once, so that results
	 * cost no device fault afterwards (until a fork takes W away). Words 0
	 * and 7 are used by the helpers, which are for one thread at a time.
	 */
	volatile uint64_t *res;
	/* The last EXPECT_FATAL(). */
	struct gpu_fatal fatal;
	/* Taken before the VM was made. */
	struct gpu_gauges gauges;
};

#define GPU_RES_WORDS	512

/* -------------------------------------------------------- open and close --- */

/*
 * gpu_open - open device 0, create a VM and a queue, warm the result page
 *
 * Return: 0 or a negative errno; gpu_why() tells more.
 */
int gpu_open(struct gpu *gpu, const struct gpu_conf *conf);

/* As gpu_open() for device @index; the VM's mirror is left empty (no ->res). */
int gpu_open_cold(struct gpu *gpu, const struct gpu_conf *conf, unsigned int index);

/* Destroys queue and VM (0 in the fields: done by the test) and closes. */
int gpu_close(struct gpu *gpu);

/*
 * gpu_vm_create - create a VM as @conf says, with @flags
 *
 * With DRM_FAKEGPU_VM_DIRECT if @conf has it. In scheme fixed all that can be named
 * is registered.
 *
 * Return: 0 and the id in *@vm, or a negative errno.
 */
int gpu_vm_create(int fd, uint32_t flags, const struct gpu_conf *conf, uint32_t *vm);

/* Does one interval cover all, so that the process's own doings are seen, too? */
static inline bool gpu_one_interval(const struct gpu *gpu)
{
	return gpu->conf.scheme == DRM_FAKEGPU_SCHEME_MM ||
	       gpu->conf.scheme == DRM_FAKEGPU_SCHEME_FIXED;
}

/* A further queue of gpu->vm; dies on failure. */
uint32_t gpu_queue(struct gpu *gpu);

/* Open file @name of VM @vm in debugfs, to be closed by fclose(); dies on failure. */
FILE *gpu_vm_file(const struct gpu *gpu, uint32_t vm, const char *name);

/*
 * gpu_verify - run the oracle over all VMs of the device
 *
 * Return: mismatches or a negative errno; gpu_why() has the report.
 */
int gpu_verify(struct gpu *gpu);

/* The gauges of the device now; dies if debugfs cannot be read. */
struct gpu_gauges gpu_gauges(struct gpu *gpu);

/*
 * gpu_gauges_settle - wait until the gauges are @want again
 *
 * Intervals are removed by a worker, so this looks again and again for a while.
 * Return: 0, or -ETIME with the differences in gpu_why().
 */
int gpu_gauges_settle(struct gpu *gpu, const struct gpu_gauges *want);

/* One value of debugfs' stats (device-wide); dies if it cannot be read. */
uint64_t gpu_stat(struct gpu *gpu, const char *name);

/* Counters and gauges of the VM; dies on failure. */
struct drm_fakegpu_vm_get_state gpu_state(struct gpu *gpu);

/* What must not have changed after something was refused. */
struct gpu_before {
	struct drm_fakegpu_vm_get_state vm;
	struct drm_fakegpu_queue_get_state queue;
	struct gpu_gauges gauges;
};

/*
 * State of VM, queue and device. Without the counts of invalidations: in scheme
 * mm every change of the process's own memory is one. And without the memory: that
 * of a dead interval goes when the worker comes to it.
 */
struct gpu_before gpu_look(struct gpu *gpu);

/* ioctl() with a negative errno; called again after a signal. */
int gpu_ioctl(int fd, unsigned long nr, void *arg);

/* Text about the last failure of one of these helpers in this thread. */
const char *gpu_why(void);

/* Print the text, end the test as failed. */
void gpu_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* -------------------------------------------------------------- commands --- */

/*
 * Submit to a queue and wait. Return: 0, or the errno (negative) of the
 * submission or of the wait; gpu_why() says what the queue reports.
 */
int gpu_run_on(struct gpu *gpu, uint32_t queue, const struct drm_fakegpu_cmd *cmds,
	       uint32_t count);
int gpu_run(struct gpu *gpu, const struct drm_fakegpu_cmd *cmds, uint32_t count);

/*
 * gpu_run_fatal - run on a fresh queue what must end in a fatal fault
 *
 * The report goes to gpu->fatal; the queue is destroyed, gpu->queue lives on.
 * Return: 0 if a fatal fault came and all reports agree, else negative.
 */
int gpu_run_fatal(struct gpu *gpu, const struct drm_fakegpu_cmd *cmds, uint32_t count);

/* ---------------------------------------------------------------- mirror --- */

/*
 * gpu_runs - all mirror entries of a range
 * Return: number of runs (at most @max), or a negative errno.
 */
int gpu_runs(struct gpu *gpu, const volatile void *addr, size_t size,
	     struct drm_fakegpu_vm_run *runs, uint32_t max);

/*
 * gpu_entries_like - is the range one run of exactly these properties?
 * Return: true or false with the runs in gpu_why().
 */
bool gpu_entries_like(struct gpu *gpu, const volatile void *addr, size_t size,
		      uint32_t flags, uint32_t order, uint32_t where);

/* Mirrored bytes of the range or a negative errno. */
int64_t gpu_mapped(struct gpu *gpu, const volatile void *addr, size_t size);

/* ---------------------------------------------------------------- memory --- */

/*
 * Mappings lie in an arena at fixed addresses, where nothing else comes: each
 * starts at a multiple of 2 MiB and has at least 2 MiB of hole on both sides.
 * The helpers die on failure unless they say something else.
 */

/* Reserve @size bytes of the arena without mapping anything; @align >= 2 MiB. */
void *gpu_va(size_t size, size_t align);

/* mmap() at an arena address of its own. */
void *gpu_map(size_t size, int prot, int flags, int fd, off_t offset);

/* Private anonymous memory, read-write, never huge, not populated. */
void *gpu_map_anon(size_t size);

/*
 * Private anonymous memory, populated with zeros, all of it in THPs.
 * @size is a multiple of 2 MiB. Return: NULL with a reason if this kernel gave
 * no THPs; see GPU_MAP_HUGE().
 */
void *gpu_map_huge(size_t size);

/* A memfd or an unlinked temporary file of @size zero bytes. */
int gpu_memfd(size_t size);
int gpu_tmpfile(size_t size);

/* Bytes of [addr, addr + size) that the CPU maps with THPs (whole VMAs only). */
size_t gpu_thp_bytes(const volatile void *addr, size_t size);

/* Is each page of the range present in the CPU's page table? */
void gpu_cpu_present_pages(const volatile void *addr, size_t pages, bool *present);
bool gpu_cpu_present(const volatile void *addr);

/* ------------------------------------------------------------- contents --- */

/* Byte @index of the endless pseudo-random pattern number @seed. */
uint8_t gpu_pattern_byte(uint64_t seed, uint64_t index);

/* Write pattern @seed, from its byte @first on. */
void gpu_pattern_at(volatile void *p, size_t size, uint64_t seed, uint64_t first);
void gpu_pattern(volatile void *p, size_t size, uint64_t seed);

/* Offset of the first byte that differs from the pattern, or @size. */
size_t gpu_pattern_diff_at(const volatile void *p, size_t size, uint64_t seed,
			   uint64_t first);
size_t gpu_pattern_diff(const volatile void *p, size_t size, uint64_t seed);

/* Offset of the first byte that isn't @byte, or @size. */
size_t gpu_byte_diff(const volatile void *p, size_t size, uint8_t byte);

/* CRC32C of memory, of a pattern, of a repeated byte: no access by the device. */
uint32_t gpu_crc(const volatile void *p, size_t size);
uint32_t gpu_crc_pattern(size_t size, uint64_t seed, uint64_t first);
uint32_t gpu_crc_byte(size_t size, uint8_t byte);

/*
 * gpu_device_crc - let the device compute the CRC32C of a range
 * Return: 0 with *@crc, or a negative errno.
 */
int gpu_device_crc(struct gpu *gpu, const volatile void *p, size_t size, uint64_t *crc);

/* A deterministic generator for tests: same numbers in each run. */
uint64_t gpu_rand(uint64_t *state);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t gpu_now(void);

/* Is the kernel @major.@minor or later? For what no other thing tells. */
bool gpu_kernel_at_least(unsigned int major, unsigned int minor);

/*
 * gpu_more - has a stress test that began at @begin another round, after @done?
 *
 * @max rounds are enough. A kernel that checks each access needs twenty times as
 * long for them: after some seconds a tenth has to do.
 */
bool gpu_more(unsigned int done, unsigned int max, int64_t begin);

/* ------------------------------------------------------- for test areas --- */

#ifndef GPU_TEST_NO_HARNESS

#include "kselftest_harness.h"

/* Emulated guests are slow; a test that needs this long has hung. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/* The commands succeed. EXPECT_RUN(gpu, cmd, cmd ...) */
#define EXPECT_RUN(gpu, ...) EXPECT_RUN_ON(gpu, (gpu)->queue, __VA_ARGS__)

#define EXPECT_RUN_ON(gpu, id, ...) do { \
	struct drm_fakegpu_cmd cmds_[] = { __VA_ARGS__ }; \
	int run_ = gpu_run_on(gpu, id, cmds_, ARRAY_SIZE(cmds_)); \
	EXPECT_EQ(0, run_) \
		TH_LOG("%s", gpu_why()); \
} while (0)

/*
 * The last of the commands has a fatal fault with this errno (positive) at this
 * address and access (READ, WRITE, ATOMIC). gpu->fatal has the whole report.
 */
#define EXPECT_FATAL(gpu, cmd, err, fault_at, kind) do { \
	struct drm_fakegpu_cmd cmds_[] = { cmd }; \
	int run_ = gpu_run_fatal(gpu, cmds_, ARRAY_SIZE(cmds_)); \
	EXPECT_EQ(0, run_) \
		TH_LOG("%s", gpu_why()); \
	EXPECT_EQ((uint32_t)(err), (gpu)->fatal.info.error); \
	EXPECT_EQ((uint64_t)(uintptr_t)(fault_at), (uint64_t)(gpu)->fatal.info.addr) \
		TH_LOG("expected %#llx, reported %#llx", \
		       (unsigned long long)(uintptr_t)(fault_at), \
		       (unsigned long long)(gpu)->fatal.info.addr); \
	EXPECT_EQ((uint32_t)DRM_FAKEGPU_ACCESS_ ## kind, (gpu)->fatal.info.access); \
} while (0)

/* A counter of the VM grows by exactly @n while the statements run. */
#define EXPECT_DELTA(gpu, counter, n, ...) do { \
	struct drm_fakegpu_vm_get_state before_ = gpu_state(gpu), after_; \
	__VA_ARGS__; \
	after_ = gpu_state(gpu); \
	EXPECT_EQ((uint64_t)(n), (uint64_t)(after_.counter - before_.counter)) \
		TH_LOG("counter: " #counter); \
} while (0)

#define EXPECT_FAULTS(gpu, n, ...) EXPECT_DELTA(gpu, faults, n, __VA_ARGS__)

/* A cold VM besides the fixture's, so that all that it shows is ours; ends by GPU_TEARDOWN(). */
#define OPEN_OWN(own) do { \
	int own_ret_ = gpu_open_cold(own, &variant->conf, 0); \
	ASSERT_EQ(0, own_ret_) \
		TH_LOG("%s", gpu_why()); \
} while (0)

/* A gauge of the VM has this value now. */
#define EXPECT_GAUGE(gpu, gauge, n) \
	EXPECT_EQ((uint64_t)(n), (uint64_t)gpu_state(gpu).gauge)

/* Every page of the range has a mirror entry; no page of it has one. */
#define EXPECT_MAPPED(gpu, addr, size) \
	EXPECT_EQ((int64_t)(size), gpu_mapped(gpu, addr, size)) \
		TH_LOG("mapped: " #addr ", " #size)
#define EXPECT_UNMAPPED(gpu, addr, size) \
	EXPECT_EQ((int64_t)0, gpu_mapped(gpu, addr, size)) \
		TH_LOG("unmapped: " #addr ", " #size)

/* The range is one run: flags 0 or W, D, WD; order small or large; SYSTEM or ZERO. */
#define GPU_W	DRM_FAKEGPU_ENTRY_WRITE
#define GPU_D	DRM_FAKEGPU_ENTRY_DIRTY
#define GPU_WD	(GPU_W | GPU_D)
#define EXPECT_ENTRIES(gpu, addr, size, flags, order, where) \
	EXPECT_TRUE(gpu_entries_like(gpu, addr, size, flags, order, \
				     DRM_FAKEGPU_WHERE_ ## where)) \
		TH_LOG("%s", gpu_why())

/* The CPU sees the pattern; the device sees it (by CRC, no access by the CPU). */
#define EXPECT_PATTERN_AT(p, size, seed, first) \
	EXPECT_EQ((size_t)(size), gpu_pattern_diff_at(p, size, seed, first)) \
		TH_LOG("first wrong byte in " #p)
#define EXPECT_PATTERN(p, size, seed) EXPECT_PATTERN_AT(p, size, seed, 0)
#define EXPECT_BYTES(p, size, byte) \
	EXPECT_EQ((size_t)(size), gpu_byte_diff(p, size, byte)) \
		TH_LOG("first wrong byte in " #p)

#define EXPECT_DEVICE_CRC(gpu, p, size, want) do { \
	uint64_t crc_ = ~0ULL; \
	int run_ = gpu_device_crc(gpu, p, size, &crc_); \
	EXPECT_EQ(0, run_) \
		TH_LOG("%s", gpu_why()); \
	EXPECT_EQ((uint64_t)(want), crc_) \
		TH_LOG("the device sees other bytes in " #p); \
} while (0)
#define EXPECT_DEVICE_PATTERN_AT(gpu, p, size, seed, first) \
	EXPECT_DEVICE_CRC(gpu, p, size, gpu_crc_pattern(size, seed, first))
#define EXPECT_DEVICE_PATTERN(gpu, p, size, seed) \
	EXPECT_DEVICE_PATTERN_AT(gpu, p, size, seed, 0)
#define EXPECT_DEVICE_BYTES(gpu, p, size, byte) \
	EXPECT_DEVICE_CRC(gpu, p, size, gpu_crc_byte(size, byte))

/* What a worker does comes true in the end. */
#define EXPECT_EVENTUALLY(want, expr) do { \
	int64_t end_ = gpu_now() + GPU_WAIT_NS; \
	while ((expr) != (want) && gpu_now() < end_) \
		usleep(1000); \
	EXPECT_EQ(want, expr); \
} while (0)

/* All mirrors agree with the CPU's page tables. */
#define EXPECT_VERIFY(gpu) do { \
	int verify_ = gpu_verify(gpu); \
	EXPECT_EQ(0, verify_) \
		TH_LOG("%s", gpu_why()); \
} while (0)

/* Nothing happened to VM, queue and device since gpu_look(). */
#define EXPECT_UNCHANGED(gpu, before) do { \
	struct gpu_before now_ = gpu_look(gpu); \
	EXPECT_EQ(0, memcmp(&now_.vm, &(before).vm, sizeof(now_.vm))); \
	EXPECT_EQ(0, memcmp(&now_.queue, &(before).queue, sizeof(now_.queue))); \
	EXPECT_EQ(0, memcmp(&now_.gauges, &(before).gauges, sizeof(now_.gauges))); \
} while (0)

/* The queue takes work and does it. */
#define EXPECT_WORKS(gpu) do { \
	(gpu)->res[7] = 0; \
	EXPECT_RUN(gpu, fakegpu_fill((gpu)->res + 7, 8, 0x1122334455667788)); \
	EXPECT_EQ(0x1122334455667788UL, (gpu)->res[7]); \
} while (0)

/* Let p be 2 MiB pages, or skip the test. */
#define GPU_MAP_HUGE(p, size) do { \
	p = gpu_map_huge(size); \
	if (!p) \
		SKIP(return, "%s", gpu_why()); \
} while (0)

/* What a fixture does at both ends, for areas that have a fixture of their own. */
#define GPU_SETUP(gpu, conf) do { \
	int open_ = gpu_open(gpu, conf); \
	if (open_ == -ENODEV) \
		SKIP(return, "no fakegpu device: load fakegpu.ko first"); \
	if (open_ == -EOPNOTSUPP && ((conf)->flags & DRM_FAKEGPU_VM_DIRECT)) \
		SKIP(return, "no callbacks that change intervals here: use KERNEL=series"); \
	ASSERT_EQ(0, open_) \
		TH_LOG("%s", gpu_why()); \
} while (0)

#define GPU_TEARDOWN(gpu) do { \
	int closed_; \
	EXPECT_VERIFY(gpu); \
	closed_ = gpu_close(gpu); \
	EXPECT_EQ(0, closed_) \
		TH_LOG("%s", gpu_why()); \
} while (0)

/*
 * The variants of a fixture: the schemes, of VMs with @vm_flags. slot21 is the slot
 * scheme with intervals as small as the large leaf, so that a test with a few MiB
 * has to do with several of them. direct, which is scheme vma with the callbacks
 * doing the work, is left out by the runner where the kernel can't do that.
 */
#define GPU_VARIANTS(area, vm_flags) \
	FIXTURE_VARIANT(area) { struct gpu_conf conf; }; \
	FIXTURE_VARIANT_ADD(area, slot) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_SLOT, .flags = vm_flags }, \
	}; \
	FIXTURE_VARIANT_ADD(area, slot21) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 21, \
			  .flags = vm_flags }, \
	}; \
	FIXTURE_VARIANT_ADD(area, mm) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_MM, .flags = vm_flags }, \
	}; \
	FIXTURE_VARIANT_ADD(area, vma) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_VMA, .flags = vm_flags }, \
	}; \
	FIXTURE_VARIANT_ADD(area, fixed) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_FIXED, .flags = vm_flags }, \
	}; \
	FIXTURE_VARIANT_ADD(area, direct) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_VMA, \
			  .flags = (vm_flags) | DRM_FAKEGPU_VM_DIRECT }, \
	}; \
	struct gpu_variants_end

/* One variant more, for areas in which intervals become empty: scheme slot likewise. */
#define GPU_VARIANT_DIRECTSLOT(area) \
	FIXTURE_VARIANT_ADD(area, directslot) { \
		.conf = { .scheme = DRM_FAKEGPU_SCHEME_SLOT, .interval_order = 21, \
			  .flags = DRM_FAKEGPU_VM_DIRECT }, \
	}; \
	struct gpu_variants_end

/* The usual fixture: struct gpu gpu. */
#define GPU_FIXTURE(area) \
	FIXTURE(area) { struct gpu gpu; }; \
	GPU_VARIANTS(area, 0); \
	FIXTURE_SETUP(area) { GPU_SETUP(&self->gpu, &variant->conf); } \
	FIXTURE_TEARDOWN(area) { GPU_TEARDOWN(&self->gpu); } \
	struct gpu_fixture_end

#endif /* GPU_TEST_NO_HARNESS */

#endif /* FAKEGPU_TEST_H */
