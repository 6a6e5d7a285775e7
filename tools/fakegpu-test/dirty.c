// SPDX-License-Identifier: GPL-2.0
/*
 * What the device wrote is never dropped as clean.
 *
 * The CPU's page table need not know that the device wrote: an entry may be
 * writable and clean (MADV_FREE, a page read back from swap, a shared page that
 * was only read), then the device writes without a fault. Reclaim asks the page,
 * and the driver must have told it. Each test makes such an entry, lets the
 * device write without a fault, has the page reclaimed, and sees that it really
 * left memory (mincore: not in the swap or page cache either).
 */
#include <sys/mount.h>

#include "fakegpu_test_proc.h"
#include "fakegpu_test_sys.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)
/* The pages that the device writes: a half of them, one by one. */
#define STEP	(2 * GPU_PAGE)

#define SWAP_SIZE	(64 * GPU_SZ_1M)

#define OLD	0x1111111111111111ULL
#define NEW	0x2222222222222222ULL

GPU_FIXTURE_SYS(dirty);

/* The device writes each second page, and has no fault in doing so. */
static void write_half(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p,
		       uint64_t value)
{
	struct drm_fakegpu_cmd cmds[SIZE / STEP];
	size_t i;

	for (i = 0; i < SIZE; i += STEP)
		cmds[i / STEP] = fakegpu_fill(p + i, GPU_PAGE, value);
	EXPECT_FAULTS(gpu, 0, EXPECT_EQ(0, gpu_run(gpu, cmds, SIZE / STEP)));
	for (i = 0; i < SIZE; i += STEP) {
		EXPECT_ENTRIES(gpu, p + i, GPU_PAGE, GPU_WD, 12, SYSTEM);
		EXPECT_ENTRIES(gpu, p + i + GPU_PAGE, GPU_PAGE, GPU_W, 12, SYSTEM);
	}
}

static void expect_halves(struct __test_metadata *_metadata, const uint8_t *p, uint8_t written,
			  uint8_t other)
{
	size_t i;

	for (i = 0; i < SIZE; i += STEP) {
		EXPECT_BYTES(p + i, GPU_PAGE, written);
		EXPECT_BYTES(p + i + GPU_PAGE, GPU_PAGE, other);
	}
}

/*
 * All pages leave memory: out of the page table by MADV_PAGEOUT, out of the
 * caches by reclaim of our cgroup. A page that is being written to the device
 * needs its time.
 */
static void expect_gone(struct __test_metadata *_metadata, struct sys_state *sys, uint8_t *p,
			size_t size)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;

	EXPECT_PAGEOUT(p, size);
	while (sys_in_memory(p, size) && gpu_now() < end) {
		sys_drain();
		/* EAGAIN: less than that was reclaimed. */
		sys_write(sys_cgroup_file(sys, "memory.reclaim"), "1M");
		usleep(1000);
	}
	EXPECT_EQ((size_t)0, sys_in_memory(p, size));
}

/* Be in a cgroup, with swap. */
#define SETUP(kind) do { \
	GPU_CGROUP(&self->sys); \
	if (access(sys_cgroup_file(&self->sys, "memory.reclaim"), F_OK)) \
		SKIP(return, "no memory.reclaim in this kernel"); \
	GPU_SWAP(&self->sys, kind, SWAP_SIZE); \
	sys_cgroup_enter(&self->sys); \
} while (0)

/* Private memory with a clean copy in the swap cache, mirrored by the device's read. */
static uint8_t *swapped_in(struct __test_metadata *_metadata, struct gpu *gpu,
			   struct sys_state *sys)
{
	uint8_t *p = gpu_map_anon(SIZE);

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, OLD));
	expect_gone(_metadata, sys, p, SIZE);
	EXPECT_EQ(PAGES, sys_swapped(p, SIZE));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, 12, SYSTEM);
	return p;
}

/* Behaviour 122: a page with a clean copy on swap: what the device wrote counts */
TEST_F(dirty, swap_cache)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	SETUP(SYS_SWAP_LOOP);
	p = swapped_in(_metadata, gpu, &self->sys);
	write_half(_metadata, gpu, p, NEW);
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_EQ(PAGES, sys_swapped(p, SIZE));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	expect_halves(_metadata, p, 0x22, 0x11);
}

/* Behaviour 122: an atomic, a result and a semaphore are writes, too */
TEST_F(dirty, swap_cache_commands)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;

	SETUP(SYS_SWAP_LOOP);
	p = swapped_in(_metadata, gpu, &self->sys);
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_RUN(gpu,
				 fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
				 fakegpu_sem_signal((uint64_t *)(p + STEP), 7, 0),
				 fakegpu_checksum(p + STEP + GPU_PAGE, GPU_PAGE,
						  (uint64_t *)(p + 2 * STEP)),
				 fakegpu_copy(p + 3 * STEP, p + 3 * STEP + GPU_PAGE, 1),
				 fakegpu_touch(p + 4 * STEP, 1, 1, DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_ENTRIES(gpu, p + 3 * STEP, GPU_PAGE, GPU_WD, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 3 * STEP + GPU_PAGE, GPU_PAGE, GPU_W, 12, SYSTEM);
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_EQ((uint64_t)OLD + 1, *(uint64_t *)p);
	EXPECT_EQ(7ULL, *(uint64_t *)(p + STEP));
	EXPECT_EQ((uint64_t)gpu_crc_byte(GPU_PAGE, 0x11), *(uint64_t *)(p + 2 * STEP));
	EXPECT_BYTES(p + 3 * STEP, SIZE - 3 * STEP, 0x11);
}

/* Behaviour 122: what the device only read stays clean: it is dropped, not written again */
TEST_F(dirty, swap_cache_read_only)
{
	struct gpu *gpu = &self->gpu;
	uint64_t out;
	uint8_t *p;

	SETUP(SYS_SWAP_LOOP);
	p = swapped_in(_metadata, gpu, &self->sys);
	/* Nothing else is reclaimed meanwhile. */
	out = sys_vmstat("pswpout");
	EXPECT_PAGEOUT(p, SIZE);
	EXPECT_EQ((size_t)0, sys_in_memory(p, SIZE));
	EXPECT_EQ(out, sys_vmstat("pswpout"));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	/* With a write in between, exactly those pages are written. */
	write_half(_metadata, gpu, p, NEW);
	EXPECT_PAGEOUT(p, SIZE);
	EXPECT_EQ(out + PAGES / 2, sys_vmstat("pswpout"));
	expect_halves(_metadata, p, 0x22, 0x11);
}

/* Behaviour 122: the mark isn't lost when the VM goes before the page does */
TEST_F(dirty, swap_cache_vm_destroyed)
{
	struct gpu other;
	uint8_t *p;

	SETUP(SYS_SWAP_LOOP);
	ASSERT_EQ(0, gpu_open_cold(&other, &variant->conf, 1));
	other.res = gpu_map_anon(GPU_PAGE);
	p = swapped_in(_metadata, &other, &self->sys);
	write_half(_metadata, &other, p, NEW);
	EXPECT_EQ(0, gpu_close(&other))
		TH_LOG("%s", gpu_why());
	expect_gone(_metadata, &self->sys, p, SIZE);
	expect_halves(_metadata, p, 0x22, 0x11);
}

/* Behaviour 122: two devices write to one page: the mark of each counts */
TEST_F(dirty, swap_cache_two_devices)
{
	struct gpu *gpu = &self->gpu, other;
	uint8_t *p;

	SETUP(SYS_SWAP_LOOP);
	ASSERT_EQ(0, gpu_open_cold(&other, &variant->conf, 1));
	p = swapped_in(_metadata, gpu, &self->sys);
	EXPECT_RUN(&other, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	EXPECT_RUN(&other, fakegpu_fill(p, GPU_PAGE / 2, NEW));
	EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, GPU_PAGE / 2, NEW));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_W, 12, SYSTEM);
	EXPECT_ENTRIES(&other, p + GPU_PAGE, GPU_PAGE, GPU_W, 12, SYSTEM);
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_BYTES(p, GPU_PAGE / 2, 0x22);
	EXPECT_BYTES(p + GPU_PAGE / 2, GPU_PAGE / 2, 0x11);
	EXPECT_BYTES(p + GPU_PAGE, GPU_PAGE / 2, 0x22);
	EXPECT_BYTES(p + GPU_PAGE + GPU_PAGE / 2, SIZE - GPU_PAGE - GPU_PAGE / 2, 0x11);
	EXPECT_EQ(0, gpu_close(&other))
		TH_LOG("%s", gpu_why());
}

/* Behaviours 71, 122: MADV_FREE, then a device write, then pressure: the write survives */
TEST_F(dirty, lazy_free)
{
	struct gpu *gpu = &self->gpu;
	uint64_t freed;
	uint8_t *p;

	SETUP(SYS_SWAP_ZRAM);
	p = gpu_map_anon(SIZE);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, OLD));
	/* What was written before it counts no more, although it was the device. */
	sys_drain();
	ASSERT_EQ(0, madvise(p, SIZE, MADV_FREE));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	sys_drain();
	write_half(_metadata, gpu, p, NEW);
	freed = sys_vmstat("pglazyfreed");
	expect_gone(_metadata, &self->sys, p, SIZE);
	/* Those that nobody wrote, no more and no less. */
	EXPECT_EQ(freed + PAGES / 2, sys_vmstat("pglazyfreed"));
	EXPECT_EQ(PAGES / 2, sys_swapped(p, SIZE));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	expect_halves(_metadata, p, 0x22, 0);
}

/* Behaviours 71, 122: the same with reclaim that nobody asked for by address */
TEST_F(dirty, lazy_free_cgroup)
{
	struct gpu *gpu = &self->gpu;
	int64_t end = gpu_now() + GPU_WAIT_NS;
	uint8_t *p;

	SETUP(SYS_SWAP_ZRAM);
	p = gpu_map_anon(SIZE);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, OLD));
	sys_drain();
	ASSERT_EQ(0, madvise(p, SIZE, MADV_FREE));
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	sys_drain();
	write_half(_metadata, gpu, p, NEW);
	while (sys_in_memory(p, SIZE) && gpu_now() < end) {
		sys_drain();
		sys_write(sys_cgroup_file(&self->sys, "memory.reclaim"), "1M");
		usleep(1000);
	}
	EXPECT_EQ((size_t)0, sys_present(p, SIZE));
	EXPECT_EQ((size_t)0, sys_in_memory(p, SIZE));
	EXPECT_EQ(PAGES / 2, sys_swapped(p, SIZE));
	expect_halves(_metadata, p, 0x22, 0);
}

/* Behaviours 71, 122: a lazily freed huge page in which the device wrote one page */
TEST_F(dirty, lazy_free_huge)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 300 * GPU_PAGE;
	uint8_t *p, *q;

	SETUP(SYS_SWAP_ZRAM);
	GPU_MAP_HUGE(p, GPU_SZ_2M);
	GPU_MAP_HUGE(q, GPU_SZ_2M);
	memset(p, 0x11, GPU_SZ_2M);
	memset(q, 0x11, GPU_SZ_2M);
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_touch(q, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_ENTRIES(gpu, q, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	ASSERT_EQ(0, madvise(p, GPU_SZ_2M, MADV_FREE));
	ASSERT_EQ(0, madvise(q, GPU_SZ_2M, MADV_FREE));
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, 0),
		   fakegpu_touch(q, GPU_SZ_2M, GPU_PAGE, 0));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p + at, GPU_PAGE, NEW)));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, 21, SYSTEM);
	EXPECT_ENTRIES(gpu, q, GPU_SZ_2M, GPU_W, 21, SYSTEM);
	expect_gone(_metadata, &self->sys, p, GPU_SZ_2M);
	expect_gone(_metadata, &self->sys, q, GPU_SZ_2M);
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	/* The other page's content is anyone's guess: it was given away. */
	EXPECT_BYTES(p + at, GPU_PAGE, 0x22);
	EXPECT_EQ((size_t)0, sys_swapped(q, GPU_SZ_2M));
	EXPECT_BYTES(q, GPU_SZ_2M, 0);
}

/* Behaviour 122: shared memory that was only read before the device wrote */
TEST_F(dirty, shmem)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *buf = malloc(SIZE);
	int fd;

	SETUP(SYS_SWAP_LOOP);
	fd = gpu_memfd(SIZE);
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Pages of a hole: zeros, which reclaim may forget, mapped writable by a read. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_W, 12, SYSTEM);
	write_half(_metadata, gpu, p, NEW);
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	ASSERT_EQ((ssize_t)SIZE, pread(fd, buf, SIZE, 0));
	expect_halves(_metadata, buf, 0x22, 0);

	/* And once more with what came back from swap. */
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	write_half(_metadata, gpu, p, OLD);
	expect_gone(_metadata, &self->sys, p, SIZE);
	expect_halves(_metadata, p, 0x11, 0);
	free(buf);
	close(fd);
}

/* Behaviour 122: the same after the mapping is gone: nobody's page table says it */
TEST_F(dirty, shmem_unmapped)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p;
	int fd;

	SETUP(SYS_SWAP_LOOP);
	fd = gpu_memfd(SIZE);
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	write_half(_metadata, gpu, p, NEW);
	ASSERT_EQ(0, munmap(p, SIZE));
	/* A mapping that maps nothing yet, to look at where the pages are. */
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT_EQ(PAGES, sys_in_memory(p, SIZE));
	expect_gone(_metadata, &self->sys, p, SIZE);
	expect_halves(_metadata, p, 0x22, 0);
	close(fd);
}

/* Behaviour 122: memory that the device alone ever wrote, and a copy on write of a file */
TEST_F(dirty, private)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *q;
	int fd;

	SETUP(SYS_SWAP_ZRAM);
	fd = gpu_memfd(SIZE);
	p = gpu_map_anon(SIZE);
	q = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, NEW), fakegpu_fill(q, SIZE, OLD));
	expect_gone(_metadata, &self->sys, p, SIZE);
	expect_gone(_metadata, &self->sys, q, SIZE);
	EXPECT_EQ(PAGES, sys_swapped(p, SIZE));
	EXPECT_EQ(PAGES, sys_swapped(q, SIZE));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x22);
	EXPECT_BYTES(q, SIZE, 0x11);
	close(fd);
}

/* A file system that writes to something like a disk. */
struct disk {
	char dir[32];
	char path[40];
	int loop;
	int fd;
};

static int disk_open(struct disk *disk)
{
	char device[32], command[64];

	snprintf(disk->dir, sizeof(disk->dir), "/tmp/fakegpu-test-XXXXXX");
	disk->loop = sys_loop(16 * GPU_SZ_1M, device, sizeof(device));
	if (disk->loop < 0)
		return disk->loop;
	snprintf(command, sizeof(command), "mke2fs -q -F %s >/dev/null 2>&1", device);
	if (system(command) || !mkdtemp(disk->dir))
		return -ENODEV;
	if (mount(device, disk->dir, "ext4", 0, NULL))
		return -errno;
	snprintf(disk->path, sizeof(disk->path), "%s/file", disk->dir);
	disk->fd = open(disk->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return disk->fd < 0 ? -errno : 0;
}

static void disk_close(struct __test_metadata *_metadata, struct disk *disk)
{
	close(disk->fd);
	EXPECT_EQ(0, umount(disk->dir));
	rmdir(disk->dir);
	close(disk->loop);
}

/* Behaviours 85, 122: a file on a disk: sync takes W away; no write after it gets lost */
TEST_F(dirty, file)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk = { 0 };
	uint8_t *p, *buf = malloc(SIZE);
	size_t i;
	int ret;

	SETUP(SYS_SWAP_ZRAM);
	ret = disk_open(&disk);
	if (ret)
		SKIP(return, "no ext4 on a loop device: %s", strerror(-ret));
	memset(buf, 0x11, SIZE);
	ASSERT_EQ((ssize_t)SIZE, pwrite(disk.fd, buf, SIZE, 0));
	ASSERT_EQ(0, fsync(disk.fd));
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, disk.fd, 0);

	/* Of a file that is written back, a read maps no page writable. */
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	for (i = 0; i < SIZE; i += STEP)
		EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + i, GPU_PAGE, NEW)));
	EXPECT_ENTRIES(gpu, p, GPU_PAGE, GPU_WD, 12, SYSTEM);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, 0, 12, SYSTEM);

	/* Exactly the pages that were written are written back, and lose W. */
	EXPECT_DELTA(gpu, pages_cleared, PAGES / 2, ASSERT_EQ(0, fsync(disk.fd)));
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, 0, 12, SYSTEM);
	EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);

	/* Another write, to one page, half of it. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, GPU_PAGE / 2, OLD)));
	EXPECT_DELTA(gpu, pages_cleared, 1, ASSERT_EQ(0, fsync(disk.fd)));

	/* The cache goes; what is read now comes from the disk. */
	expect_gone(_metadata, &self->sys, p, SIZE);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	ASSERT_EQ((ssize_t)SIZE, pread(disk.fd, buf, SIZE, 0));
	EXPECT_BYTES(buf, GPU_PAGE / 2, 0x11);
	memset(buf, 0x22, GPU_PAGE / 2);
	expect_halves(_metadata, buf, 0x22, 0x11);
	EXPECT_DEVICE_BYTES(gpu, p, GPU_PAGE / 2, 0x11);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE / 2, GPU_PAGE / 2, 0x22);
	EXPECT_EQ(0, munmap(p, SIZE));
	disk_close(_metadata, &disk);
	free(buf);
}

/* Behaviour 122: a file that is unmapped, never synced by us, and dropped from the cache */
TEST_F(dirty, file_drop_caches)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk = { 0 };
	int64_t end = gpu_now() + GPU_WAIT_NS;
	uint8_t *p;
	int ret;

	SETUP(SYS_SWAP_ZRAM);
	ret = disk_open(&disk);
	if (ret)
		SKIP(return, "no ext4 on a loop device: %s", strerror(-ret));
	ASSERT_EQ(0, ftruncate(disk.fd, SIZE));
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, disk.fd, 0);
	/* Blocks are allocated by the device's write (page_mkwrite). */
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, NEW));
	ASSERT_EQ(0, munmap(p, SIZE));
	p = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, disk.fd, 0);
	sync();
	do {
		sys_write("/proc/sys/vm/drop_caches", "1");
	} while (sys_in_memory(p, SIZE) && gpu_now() < end);
	EXPECT_EQ((size_t)0, sys_in_memory(p, SIZE));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x22);
	EXPECT_EQ(0, munmap(p, SIZE));
	disk_close(_metadata, &disk);
}

TEST_HARNESS_MAIN
