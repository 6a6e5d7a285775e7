// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that are not plain memory: PFNs of devices (what I/O memory and the
 * kernel's vvar are), pages that a driver has put there (vDSO, packet ring,
 * perf), and memfd_secret.
 */
#include "fakegpu_test.h"

#include <glob.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)
#define RW	(PROT_READ | PROT_WRITE)

GPU_FIXTURE(special);

/* ------------------------------------------------------ what there is --- */

struct area {
	uint8_t *start;
	size_t size;
	bool readable;
	bool writable;
	bool pfns;		/* VM_IO or VM_PFNMAP */
	bool mixed;		/* VM_MIXEDMAP */
	char name[64];
};

/* All of the process's mappings, from smaps. Return: how many. */
static size_t areas_read(struct area *areas, size_t max)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long start, end;
	char line[512], rights[8];
	size_t n = 0;

	if (!f)
		gpu_die("smaps: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		struct area *area = &areas[n];
		int name = 0;

		if (sscanf(line, "%llx-%llx %7s %*s %*s %*s %n", &start, &end, rights,
			   &name) == 3 && name) {
			if (n == max)
				gpu_die("more than %zu mappings", max);
			memset(area, 0, sizeof(*area));
			area->start = (uint8_t *)(uintptr_t)start;
			area->size = end - start;
			area->readable = rights[0] == 'r';
			area->writable = rights[1] == 'w';
			snprintf(area->name, sizeof(area->name), "%.*s",
				 (int)strcspn(line + name, "\n"), line + name);
		} else if (!strncmp(line, "VmFlags:", 8)) {
			area->pfns = strstr(line, " io") || strstr(line, " pf");
			area->mixed = strstr(line, " mm");
			n++;
		}
	}
	fclose(f);
	return n;
}

static struct area area_of(const void *p)
{
	static struct area areas[256];
	size_t i, n = areas_read(areas, 256);

	for (i = 0; i < n; i++)
		if ((uint8_t *)p >= areas[i].start && (uint8_t *)p < areas[i].start + areas[i].size)
			return areas[i];
	gpu_die("nothing is mapped at %p", p);
}

static bool area_named(const char *name, struct area *area)
{
	static struct area areas[256];
	size_t i, n = areas_read(areas, 256);

	for (i = 0; i < n; i++) {
		if (!strcmp(areas[i].name, name)) {
			*area = areas[i];
			return true;
		}
	}
	return false;
}

/*
 * A source of PFNs that needs no driver of ours: a PCI device's memory that nobody has claimed,
 * or the firmware's below 1 MiB. It is mapped and never read. Return: a file, or -1.
 */
static int pfns_open(off_t *offset)
{
	glob_t found = { 0 };
	int fd = -1;
	size_t i;
	void *p;

	*offset = 0;
	glob("/sys/bus/pci/devices/*/resource[0-5]", 0, NULL, &found);
	for (i = 0; i <= found.gl_pathc; i++) {
		if (i < found.gl_pathc) {
			fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
		} else {
			fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
			*offset = 0xf0000;
		}
		if (fd < 0)
			continue;
		p = mmap(NULL, GPU_PAGE, PROT_READ, MAP_SHARED, fd, *offset);
		if (p != MAP_FAILED) {
			bool pfns = area_of(p).pfns;

			munmap(p, GPU_PAGE);
			if (pfns)
				break;
		}
		close(fd);
		fd = -1;
	}
	globfree(&found);
	return fd;
}

#define PFNS_OPEN(fd, offset) do { \
	fd = pfns_open(&(offset)); \
	if (fd < 0) \
		SKIP(return, "no PCI resource and no /dev/mem can be mapped"); \
} while (0)

static int secret_open(size_t size)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0 && ftruncate(fd, size))
		gpu_die("memfd_secret of %zu bytes: %s", size, strerror(errno));
	return fd;
}

#define SECRET_OPEN(fd, size) do { \
	fd = secret_open(size); \
	if (fd < 0) \
		SKIP(return, "no memfd_secret (CONFIG_SECRETMEM, secretmem.enable=1)"); \
} while (0)

/* ------------------------------------------------------------- checks --- */

/* Each kind of access to memory that the device may not have, and no trace of it. */
static void check_refused(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
			  size_t size)
{
	uint8_t *mem = gpu_map_anon(GPU_PAGE);
	uint64_t *word = (uint64_t *)(p + 64), done;

	gpu_pattern(mem, GPU_PAGE, 88);
	EXPECT_FATAL(gpu, fakegpu_touch(p + 1, 8, 1, 0), EFAULT, p + 1, READ);
	EXPECT_FATAL(gpu, fakegpu_copy(mem, p, 100), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_compare(mem, p, 100, gpu->res), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_checksum(p + size - 1, 1, gpu->res), EFAULT, p + size - 1, READ);
	EXPECT_FATAL(gpu, fakegpu_chase(p, 2, 8, 0, gpu->res), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_sem_wait(word, 0, 0), EFAULT, word, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, DRM_FAKEGPU_CMD_WRITE), EFAULT, p, WRITE);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 3, 8, 0), EFAULT, p + 3, WRITE);
	EXPECT_FATAL(gpu, fakegpu_copy(p, mem, 100), EFAULT, p, WRITE);
	EXPECT_FATAL(gpu, fakegpu_checksum(mem, 10, word), EFAULT, word, WRITE);
	EXPECT_FATAL(gpu, fakegpu_sem_signal(word, 0, 0), EFAULT, word, WRITE);
	EXPECT_FATAL(gpu, fakegpu_timestamp(word), EFAULT, word, WRITE);
	EXPECT_FATAL(gpu, fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EFAULT,
		     word, ATOMIC);
	EXPECT_PATTERN(mem, GPU_PAGE, 88);
	EXPECT_DELTA(gpu, faults_nofault, size / GPU_PAGE,
		EXPECT_RUN(gpu, fakegpu_touch(p, size, 256, DRM_FAKEGPU_CMD_NOFAULT)));
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, size, &done));
	EXPECT_EQ(0UL, done);
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, size,
					    &done));
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, size,
				      &done));
	EXPECT_UNMAPPED(gpu, p, size);
	ASSERT_EQ(0, munmap(mem, GPU_PAGE));
}

/*
 * Let one page of @fd slide over memory that the device has mapped: an error exactly there; its
 * neighbours keep entries and data. @p is smaller than a slot, so no event is rounded up.
 */
static void check_slide(struct __test_metadata *_metadata, struct gpu *gpu, int fd, off_t offset)
{
	uint8_t *p = gpu_map_anon(SIZE), *dst = gpu_map_anon(SIZE);
	size_t i;

	for (i = 0; i < PAGES; i++) {
		uint8_t *page = p + i * GPU_PAGE, *next = page + GPU_PAGE;
		const size_t below = i * GPU_PAGE, above = SIZE - below - GPU_PAGE;

		gpu_pattern(p, SIZE, 57);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 57);
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, gpu->info.page_shift, SYSTEM);
		EXPECT_DELTA(gpu, pages_cleared, 1,
			ASSERT_EQ(page, mmap(page, GPU_PAGE, RW, MAP_SHARED | MAP_FIXED, fd,
					     offset)));
		memset(dst, 0x11, SIZE);
		EXPECT_FATAL(gpu, fakegpu_copy(dst, p, SIZE), EFAULT, page, READ);
		EXPECT_EQ((uint64_t)below, (uint64_t)gpu->fatal.queue.cmd_done);
		EXPECT_PATTERN(dst, below, 57);
		EXPECT_BYTES(dst + below, SIZE - below, 0x11);
		EXPECT_FATAL(gpu, fakegpu_fill(page + 5, 1, 0), EFAULT, page + 5, WRITE);
		EXPECT_UNMAPPED(gpu, page, GPU_PAGE);
		if (below)
			EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN(gpu, p, below, 57));
		if (above)
			EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_PATTERN_AT(gpu, next, above, 57,
								       below + GPU_PAGE));
		/* Memory again. */
		EXPECT_DELTA(gpu, pages_cleared, 0,
			ASSERT_EQ(page, mmap(page, GPU_PAGE, RW,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, page, GPU_PAGE, 0));
	}
}

/* ------------------------------------------------------ PFNs and pages --- */

/* Behaviours 87, 57: every mapping that a process has: memory works, PFNs do not */
TEST_F(special, all_mappings)
{
	static struct area areas[256];
	struct gpu *gpu = &self->gpu;
	size_t i, n = areas_read(areas, 256), pfns = 0;

	for (i = 0; i < n; i++) {
		struct area *area = &areas[i];

		if (fakegpu_va(area->start) >= gpu->info.va_end)
			continue;
		pfns += area->pfns;
		TH_LOG("%p: %s", area->start, area->name);
		if (!area->readable || area->pfns)
			EXPECT_FATAL(gpu, fakegpu_touch(area->start, 1, 1, 0), EFAULT,
				     area->start, READ);
		else
			EXPECT_RUN(gpu, fakegpu_touch(area->start, 1, 1, 0));
		if (area->readable && !area->writable && !area->pfns) {
			EXPECT_DEVICE_CRC(gpu, area->start, GPU_PAGE,
					  gpu_crc(area->start, GPU_PAGE));
			EXPECT_FATAL(gpu, fakegpu_fill(area->start, 1, 0), EPERM, area->start,
				     WRITE);
		}
	}
	/* The kernel's own: at least vvar. */
	EXPECT_LE(1UL, pfns);
}

/* Behaviour 87: vvar, which is PFNs, and the vDSO, which is pages of the kernel */
TEST_F(special, vvar_vdso)
{
	struct gpu *gpu = &self->gpu;
	struct area vvar, vdso;

	if (!area_named("[vvar]", &vvar) || !area_named("[vdso]", &vdso))
		SKIP(return, "no vvar and vDSO here");
	EXPECT_TRUE(vvar.pfns);
	EXPECT_FATAL(gpu, fakegpu_touch(vvar.start, 8, 1, 0), EFAULT, vvar.start, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(vvar.start, 8, 0), EFAULT, vvar.start, WRITE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_CRC(gpu, vdso.start, vdso.size,
						gpu_crc(vdso.start, vdso.size)));
	EXPECT_ENTRIES(gpu, vdso.start, vdso.size, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(vdso.start, 8, 0), EPERM, vdso.start, WRITE);
	/* In the window of the vDSO, often next to it: not taken along. */
	EXPECT_UNMAPPED(gpu, vvar.start, vvar.size);
}

/* Behaviour 57: I/O memory: no access of any kind */
TEST_F(special, pfns)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;
	off_t offset;
	int fd;

	PFNS_OPEN(fd, offset);
	p = gpu_map(GPU_PAGE, RW, MAP_SHARED, fd, offset);
	check_refused(_metadata, gpu, p, GPU_PAGE);
	ASSERT_EQ(0, munmap(p, GPU_PAGE));
	close(fd);
}

/* Behaviour 57: I/O memory that slides over memory which the device has mapped */
TEST_F(special, pfns_slide)
{
	off_t offset;
	int fd;

	PFNS_OPEN(fd, offset);
	check_slide(_metadata, &self->gpu, fd, offset);
	close(fd);
}

struct slider {
	uint8_t *p;
	int fd;
	off_t offset;
	volatile int stop;
	unsigned long count;
	bool failed;
};

/* One page of the file over the middle of the memory, and memory there again. */
static void *slider(void *arg)
{
	struct slider *s = arg;
	uint8_t *page;

	while (!s->stop) {
		page = s->p + (1 + s->count % (PAGES - 2)) * GPU_PAGE;
		if (mmap(page, GPU_PAGE, RW, MAP_SHARED | MAP_FIXED, s->fd, s->offset) != page)
			s->failed = true;
		usleep(200);
		if (mmap(page, GPU_PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
		    page)
			s->failed = true;
		s->count++;
		usleep(200);
	}
	return NULL;
}

/*
 * During jobs: nothing but an error, in none but those pages. The memory holds zeros or 0xaa;
 * any other byte would be the file's.
 */
static void check_slide_busy(struct __test_metadata *_metadata, struct gpu *gpu, int fd,
			     off_t offset)
{
	struct slider s = { .p = gpu_map_anon(SIZE), .fd = fd, .offset = offset };
	uint8_t *dst = gpu_map_anon(SIZE);
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmds[3];
	unsigned int round;
	pthread_t thread;
	uint32_t queue;
	size_t at;
	int ret;

	cmds[0] = fakegpu_touch(s.p, SIZE, 512, DRM_FAKEGPU_CMD_NOFAULT | DRM_FAKEGPU_CMD_WRITE);
	cmds[1] = fakegpu_fill(s.p, SIZE, 0xaaaaaaaaaaaaaaaa);
	cmds[2] = fakegpu_copy(dst, s.p, SIZE);
	ASSERT_EQ(0, pthread_create(&thread, NULL, slider, &s));
	for (round = 0; round < 10 || (s.count < 100 && round < 2000); round++) {
		queue = gpu_queue(gpu);
		ret = gpu_run_on(gpu, queue, cmds, 3);
		if (ret) {
			ASSERT_EQ(-EIO, ret);
			ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
			ASSERT_EQ((uint32_t)EFAULT, state.error);
			ASSERT_TRUE(state.fault_addr >= fakegpu_va(s.p) + GPU_PAGE &&
				    state.fault_addr < fakegpu_va(s.p) + SIZE - GPU_PAGE);
		}
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		for (at = 0; at < SIZE; at++)
			ASSERT_TRUE(!dst[at] || dst[at] == 0xaa)
				TH_LOG("byte %#x at %zu", dst[at], at);
	}
	s.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(s.failed);
	EXPECT_LE(100UL, s.count);
	EXPECT_VERIFY(gpu);
	EXPECT_RUN(gpu, fakegpu_fill(s.p, SIZE, ~0ULL));
	EXPECT_BYTES(s.p, SIZE, 0xff);
}

/* Behaviour 57: the same during jobs */
TEST_F(special, pfns_slide_busy)
{
	off_t offset;
	int fd;

	PFNS_OPEN(fd, offset);
	check_slide_busy(_metadata, &self->gpu, fd, offset);
	close(fd);
}

/* Behaviour 87: pages that a driver has inserted one by one: memory as any other */
TEST_F(special, inserted_pages)
{
	struct gpu *gpu = &self->gpu;
	struct tpacket_req req = {
		.tp_block_size = GPU_PAGE, .tp_block_nr = 8,
		.tp_frame_size = GPU_PAGE, .tp_frame_nr = 8,
	};
	const size_t size = 8 * GPU_PAGE;
	/* Of no protocol, so nothing is ever received. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	uint8_t *a, *b;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		SKIP(return, "no packet sockets: %s", strerror(errno));
	a = gpu_map(size, RW, MAP_SHARED, fd, 0);
	b = gpu_map(size, RW, MAP_SHARED, fd, 0);
	EXPECT_TRUE(area_of(a).mixed);
	EXPECT_FALSE(area_of(a).pfns);
	gpu_pattern(b, size, 87);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, a, size, 87));
	EXPECT_ENTRIES(gpu, a, size, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(a + GPU_PAGE, GPU_PAGE, ~0ULL)));
	EXPECT_BYTES(b + GPU_PAGE, GPU_PAGE, 0xff);
	EXPECT_RUN(gpu, fakegpu_fill(b, 8, 0));
	EXPECT_BYTES(a, 8, 0);

	/* The driver keeps its pages; the mirror doesn't. */
	EXPECT_DELTA(gpu, pages_cleared, 8, ASSERT_EQ(0, munmap(a, size)));
	EXPECT_FATAL(gpu, fakegpu_touch(a, 1, 1, 0), EFAULT, a, READ);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, b + GPU_PAGE, GPU_PAGE, 0xff));
	ASSERT_EQ(0, munmap(b, size));
	close(fd);
}

/* Behaviour 87: pages that a driver gives at a fault, and what it refuses to have written */
TEST_F(special, driver_pages)
{
	struct gpu *gpu = &self->gpu;
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY, .disabled = 1,
	};
	/* Of a processor: for one of a task the kernel changes its scheduler's code. */
	int fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	const size_t size = 3 * GPU_PAGE;
	uint8_t *p;

	if (fd < 0)
		SKIP(return, "no perf events: %s", strerror(errno));
	p = gpu_map(size, RW, MAP_SHARED, fd, 0);
	if (area_of(p).pfns) {
		check_refused(_metadata, gpu, p, size);
	} else {
		EXPECT_DEVICE_CRC(gpu, p, size, gpu_crc(p, size));
		/* The first page is for both, the others are the kernel's to write. */
		EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, DRM_FAKEGPU_CMD_WRITE));
		EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, 8, ~0ULL), EFAULT, p + GPU_PAGE,
			     WRITE);
		EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, 2 * GPU_PAGE, 0);
	}
	ASSERT_EQ(0, munmap(p, size));
	close(fd);
}

/* Behaviour 87: /dev/zero is no device: private and shared memory */
TEST_F(special, dev_zero)
{
	static const int flags[] = { MAP_PRIVATE, MAP_SHARED };
	struct gpu *gpu = &self->gpu;
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	uint8_t *p;
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		p = gpu_map(SIZE, RW, flags[i], fd, 0);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL));
		EXPECT_BYTES(p, SIZE, 0xff);
		ASSERT_EQ(0, munmap(p, SIZE));
	}
	close(fd);
}

/* -------------------------------------------------------- memfd_secret --- */

/* Behaviour 88: secret memory, present and not: no access of any kind, and never an oops */
TEST_F(special, secret)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *ro;
	int fd;

	SECRET_OPEN(fd, 2 * SIZE);
	p = gpu_map(2 * SIZE, RW, MAP_SHARED, fd, 0);
	gpu_pattern(p, SIZE, 88);
	check_refused(_metadata, gpu, p, SIZE);
	check_refused(_metadata, gpu, p + SIZE, SIZE);
	/* Whatever rights the VMA has. */
	ro = gpu_map(SIZE, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT_FATAL(gpu, fakegpu_touch(ro, 1, 1, 0), EFAULT, ro, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(ro, 1, 0), EFAULT, ro, WRITE);
	EXPECT_PATTERN(p, SIZE, 88);
	EXPECT_BYTES(p + SIZE, SIZE, 0);
	close(fd);
}

/* Behaviours 88, 57: secret memory that slides over memory which the device has mapped */
TEST_F(special, secret_slide)
{
	int fd;

	SECRET_OPEN(fd, GPU_PAGE);
	check_slide(_metadata, &self->gpu, fd, 0);
	close(fd);
}

/* Behaviours 88, 57: the same during jobs; the secret is neither read nor written */
TEST_F(special, secret_slide_busy)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *secret;
	int fd;

	SECRET_OPEN(fd, GPU_PAGE);
	secret = gpu_map(GPU_PAGE, RW, MAP_SHARED, fd, 0);
	memset(secret, 0x5e, GPU_PAGE);
	check_slide_busy(_metadata, gpu, fd, 0);
	EXPECT_BYTES(secret, GPU_PAGE, 0x5e);
	close(fd);
}

/* Behaviour 88: in a slot that is read again in the background the secret is left out */
TEST_F(special, secret_in_restored_slot)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_SZ_2M), *page = p + 77 * GPU_PAGE;
	int fd;

	SECRET_OPEN(fd, GPU_PAGE);
	gpu_pattern(p, GPU_SZ_2M, 88);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 88);
	ASSERT_EQ(page, mmap(page, GPU_PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	*page = 1;
	EXPECT_MAPPED(gpu, p, page - p);
	EXPECT_UNMAPPED(gpu, page, GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_checksum(p, GPU_SZ_2M, NULL), EFAULT, page, READ);
	EXPECT_EQ((uint64_t)(page - p), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_DEVICE_PATTERN_AT(gpu, page + GPU_PAGE, p + GPU_SZ_2M - page - GPU_PAGE, 88,
				 page + GPU_PAGE - p);
	close(fd);
}

/* Behaviours 88, 53: secret memory moved onto memory that the device has mapped, and away */
TEST_F(special, secret_mremap)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *page = p + 5 * GPU_PAGE, *secret, *to;
	int fd;

	SECRET_OPEN(fd, GPU_PAGE);
	secret = gpu_map(GPU_PAGE, RW, MAP_SHARED, fd, 0);
	gpu_pattern(secret, GPU_PAGE, 1);
	to = gpu_va(GPU_PAGE, 0);
	gpu_pattern(p, SIZE, 88);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 88);
	ASSERT_EQ(page, mremap(secret, GPU_PAGE, GPU_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page));
	EXPECT_UNMAPPED(gpu, page, GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EFAULT, page, WRITE);
	EXPECT_PATTERN(page, GPU_PAGE, 1);
	ASSERT_EQ(to, mremap(page, GPU_PAGE, GPU_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_FATAL(gpu, fakegpu_touch(page, 1, 1, 0), EFAULT, page, READ);
	EXPECT_FATAL(gpu, fakegpu_touch(to, 1, 1, 0), EFAULT, to, READ);
	EXPECT_FAULTS(gpu, 0,
		EXPECT_DEVICE_PATTERN_AT(gpu, page + GPU_PAGE, p + SIZE - page - GPU_PAGE, 88,
					 page + GPU_PAGE - p));
	close(fd);
}

TEST_HARNESS_MAIN
