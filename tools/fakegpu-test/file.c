// SPDX-License-Identifier: GPL-2.0
/*
 * Files that the device has mapped: private and shared, on a filesystem with a
 * disk behind it (ext4 on a loop device, made here) and, where writeback does
 * not matter, in a memfd as well.
 */
#include "fakegpu_test_proc.h"
#include "file_test.h"

#include <pthread.h>
#include <sys/stat.h>

GPU_FIXTURE(file);

/* Behaviour 26: the device's write to a private mapping makes a copy; the file stays as it is */
TEST_F(file, private_write)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *other;
	struct disk disk;
	int kind, fd;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 26);
		p = gpu_map(SIZE, RW, MAP_PRIVATE, fd, 0);
		other = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 26));
		EXPECT_ENTRIES(gpu, p, SIZE, 0, gpu->info.page_shift, SYSTEM);
		EXPECT_DEVICE_PATTERN(gpu, other, SIZE, 26);

		EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + 4 * GPU_PAGE + 9,
								   3 * GPU_PAGE, ~0ULL)));
		EXPECT_ENTRIES(gpu, p, 4 * GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
		EXPECT_ENTRIES(gpu, p + 4 * GPU_PAGE, 4 * GPU_PAGE, GPU_WD, gpu->info.page_shift,
			       SYSTEM);
		EXPECT_ENTRIES(gpu, p + 8 * GPU_PAGE, SIZE - 8 * GPU_PAGE, 0,
			       gpu->info.page_shift, SYSTEM);
		EXPECT_PATTERN(p, 4 * GPU_PAGE + 9, 26);
		EXPECT_BYTES(p + 4 * GPU_PAGE + 9, 3 * GPU_PAGE, 0xff);
		EXPECT_PATTERN_AT(p + 7 * GPU_PAGE + 9, SIZE - 7 * GPU_PAGE - 9, 26,
				  7 * GPU_PAGE + 9);

		/* Nobody else sees it, and nothing of it is ever written back. */
		EXPECT_DEVICE_PATTERN(gpu, other, SIZE, 26);
		EXPECT_FILE_AT(fd, SIZE, 26, 0);
		ASSERT_EQ(0, munmap(p, SIZE));
		ASSERT_EQ(0, munmap(other, SIZE));
		ASSERT_EQ(0, fsync(fd));
		EXPECT_FILE_AT(fd, SIZE, 26, 0);
		if (kind == DISK)
			EXPECT_DISK_AT(&disk, fd, SIZE, 26, 0);
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviours 26, 86: after the copy the CPU's writes to the file reach the other pages only */
TEST_F(file, private_write_pwrite)
{
	struct gpu *gpu = &self->gpu;
	uint8_t buf[2 * GPU_PAGE], *p;
	struct disk disk;
	int kind, fd;

	DISK_OPEN(&disk);
	memset(buf, 0x3c, sizeof(buf));
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 26);
		p = gpu_map(SIZE, RW, MAP_PRIVATE, fd, 0);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 26);
		EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, 1, 0x11));
		EXPECT_DELTA(gpu, invalidations_useful, 0,
			ASSERT_EQ((ssize_t)sizeof(buf), pwrite(fd, buf, sizeof(buf), GPU_PAGE)));
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 26);
			EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, 1, 0x11);
			EXPECT_DEVICE_PATTERN_AT(gpu, p + GPU_PAGE + 1, GPU_PAGE - 1, 26,
						 GPU_PAGE + 1);
			EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_PAGE, GPU_PAGE, 0x3c));
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviour 81: read from a cold page cache: one fault, whatever it takes to read the disk */
TEST_F(file, shared_read_cold)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 81);
	ASSERT_EQ(0, disk_remount(&disk, &fd))
		TH_LOG("%s", disk.why);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 81));
	/* Write permission only comes through the filesystem. */
	EXPECT_ENTRIES(gpu, p, SIZE, 0, gpu->info.page_shift, SYSTEM);
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

#define CGROUP "/sys/fs/cgroup/fakegpu-test-file"

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	return ret;
}

/* Bytes of page cache that are charged to the test's control group. */
static uint64_t cgroup_file_bytes(void)
{
	FILE *f = fopen(CGROUP "/memory.stat", "re");
	unsigned long long bytes = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "file %llu", &bytes) == 1)
			break;
	if (f)
		fclose(f);
	return bytes;
}

/* Behaviours 81, 119: page cache that a device fault reads in is charged to the process */
TEST_F(file, shared_read_charged)
{
	struct drm_fakegpu_cmd cmd;
	struct disk disk;
	struct proc proc;
	struct gpu gpu;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 81);
	ASSERT_EQ(0, disk_remount(&disk, &fd))
		TH_LOG("%s", disk.why);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	rmdir(CGROUP);
	if (mkdir(CGROUP, 0755) || access(CGROUP "/memory.stat", R_OK)) {
		rmdir(CGROUP);
		SKIP(return, "no memory control group (cgroup2 in /sys/fs/cgroup)");
	}
	if (proc_fork(&proc)) {
		CHILD_CHECK(!write_text(CGROUP "/cgroup.procs", "0"));
		child_gpu(&gpu, &variant->conf);
		/* No readahead: what is read is what the device asks for. */
		CHILD_CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
		p = gpu_map(SIZE, PROT_READ, MAP_SHARED, fd, 0);
		cmd = fakegpu_touch(p, SIZE, GPU_PAGE, 0);
		CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
		proc_say(&proc, 'r');
		CHILD_CHECK(proc_hears(&proc, 'e'));
		_exit(0);
	}
	EXPECT_TRUE(proc_hears(&proc, 'r'));
	/* Statistics are gathered per processor and summed up now and then. */
	EXPECT_EVENTUALLY(true, cgroup_file_bytes() >= SIZE);
	proc_say(&proc, 'e');
	EXPECT_EQ(0, proc_wait(&proc));
	close(fd);
	DISK_CLOSE(&disk);
	EXPECT_EQ(0, rmdir(CGROUP));
}

/* Behaviour 81: a shared write reaches read(2) at once, and survives munmap and a new mount */
TEST_F(file, shared_write_remount)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *p, *src;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 1);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	src = gpu_map_anon(SIZE);
	gpu_pattern(src, SIZE, 81);
	EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_copy(p, src, SIZE)));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_FILE_AT(fd, SIZE, 81, 0);
	/* The CPU has never touched the mapping, the device has: that has to do. */
	ASSERT_EQ(0, munmap(p, SIZE));
	ASSERT_EQ(0, disk_remount(&disk, &fd))
		TH_LOG("%s", disk.why);
	EXPECT_DISK_AT(&disk, fd, SIZE, 81, 0);
	EXPECT_FILE_AT(fd, SIZE, 81, 0);
	p = gpu_map(SIZE, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 81);
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

/* Behaviour 81: the device's write to a hole of a file allocates a block there */
TEST_F(file, shared_write_sparse)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, none[8];
	struct disk disk;
	int fd;

	DISK_OPEN(&disk);
	fd = disk_file(&disk);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
	EXPECT_ENTRIES(gpu, p, SIZE, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p + 5 * GPU_PAGE, GPU_PAGE, ~0ULL)));
	ASSERT_EQ(0, munmap(p, SIZE));
	ASSERT_EQ(0, disk_remount(&disk, &fd))
		TH_LOG("%s", disk.why);
	EXPECT_DISK_BYTES(&disk, fd, GPU_PAGE, 5 * GPU_PAGE, 0xff);
	EXPECT_FILE_BYTES(fd, 5 * GPU_PAGE, 0, 0);
	EXPECT_FILE_BYTES(fd, GPU_PAGE, 5 * GPU_PAGE, 0xff);
	EXPECT_FILE_BYTES(fd, SIZE - 6 * GPU_PAGE, 6 * GPU_PAGE, 0);
	EXPECT_EQ(-ENODATA, disk_read(&disk, fd, 0, none, sizeof(none)));
	close(fd);
	DISK_CLOSE(&disk);
}

/* Behaviours 81, 10: no room on the disk: the write fails as the CPU's would, reads go on */
TEST_F(file, shared_write_no_space)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = disk_file(&disk);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0);
	disk_fill_up(&disk);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 3, SIZE - 3, ~0ULL), EFAULT, p + 3, WRITE);
	EXPECT_EQ(0ULL, gpu->fatal.queue.cmd_done);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0));
	EXPECT_FILE_BYTES(fd, SIZE, 0, 0);
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

static int flush_msync(uint8_t *p, int fd)
{
	(void)fd;
	return msync(p, SIZE, MS_SYNC);
}

static int flush_fsync(uint8_t *p, int fd)
{
	(void)p;
	return fsync(fd);
}

static int flush_syncfs(uint8_t *p, int fd)
{
	(void)p;
	return syncfs(fd);
}

static int flush_sync(uint8_t *p, int fd)
{
	(void)p;
	(void)fd;
	sync();
	return 0;
}

/*
 * Behaviour 85: writeback takes write permission away; the next write of the device faults,
 * goes through the filesystem again, makes the page dirty again and reaches the disk with the
 * next flush. Each way to flush.
 */
TEST_F(file, writeback_then_write)
{
	static int (*const flush[])(uint8_t *p, int fd) = {
		flush_msync, flush_fsync, flush_syncfs, flush_sync,
	};
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *p;
	size_t i;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 85);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	for (i = 0; i < ARRAY_SIZE(flush); i++) {
		EXPECT_FAULTS(gpu, 1,
			EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x1111111111111111 * (i + 1))));
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
		EXPECT_TRUE(page_dirty(p));
		EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, flush[i](p, fd)));
		EXPECT_FALSE(page_dirty(p));
		EXPECT_DISK_BYTES(&disk, fd, SIZE, 0, 0x11 * (i + 1));

		/* Reading needs no right to write, and gets none. */
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11 * (i + 1)));
		EXPECT_ENTRIES(gpu, p, SIZE, 0, gpu->info.page_shift, SYSTEM);
		EXPECT_FALSE(page_dirty(p + 3 * GPU_PAGE));

		EXPECT_FAULTS(gpu, 1,
			EXPECT_RUN(gpu, fakegpu_fill(p + 3 * GPU_PAGE, GPU_PAGE, ~0ULL)));
		EXPECT_ENTRIES(gpu, p + 3 * GPU_PAGE, GPU_PAGE, GPU_WD, gpu->info.page_shift,
			       SYSTEM);
		EXPECT_TRUE(page_dirty(p + 3 * GPU_PAGE));
		EXPECT_FALSE(page_dirty(p + 4 * GPU_PAGE));

		/* The flush finds one dirty page and leaves the others alone. */
		EXPECT_DELTA(gpu, pages_cleared, 1, ASSERT_EQ(0, flush[i](p, fd)));
		EXPECT_MAPPED(gpu, p, 3 * GPU_PAGE);
		EXPECT_UNMAPPED(gpu, p + 3 * GPU_PAGE, GPU_PAGE);
		EXPECT_MAPPED(gpu, p + 4 * GPU_PAGE, SIZE - 4 * GPU_PAGE);
		EXPECT_DISK_BYTES(&disk, fd, GPU_PAGE, 3 * GPU_PAGE, 0xff);
	}
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

/* Behaviours 85, 82: the same page twice in the mirror: writeback takes both entries */
TEST_F(file, writeback_aliases)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *a, *b;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 85);
	a = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	b = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_RUN(gpu, fakegpu_fill(a, 1, 1), fakegpu_fill(b + 1, 1, 2));
	EXPECT_ENTRIES(gpu, a, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, b, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	ASSERT_EQ(0, msync(a, SIZE, MS_SYNC));
	EXPECT_UNMAPPED(gpu, a, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, b, GPU_PAGE);
	EXPECT_DISK_BYTES(&disk, fd, 1, 0, 1);
	EXPECT_DISK_BYTES(&disk, fd, 1, 1, 2);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(b + 2, 1, 3)));
	ASSERT_EQ(0, msync(a, SIZE, MS_SYNC));
	EXPECT_DISK_BYTES(&disk, fd, 1, 2, 3);
	ASSERT_EQ(0, munmap(a, SIZE));
	ASSERT_EQ(0, munmap(b, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

struct flusher {
	uint8_t *p;
	volatile int stop;
	unsigned long count;
	bool failed;
};

static void *flusher(void *arg)
{
	struct flusher *f = arg;

	while (!f->stop) {
		if (msync(f->p, SIZE, MS_SYNC))
			f->failed = true;
		f->count++;
		usleep(200);
	}
	return NULL;
}

/* Behaviours 85, 103: writeback during atomics: nothing is lost, in memory or on the disk */
TEST_F(file, writeback_busy)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmds[2 * PAGES];
	const int64_t end = gpu_now() + GPU_WAIT_NS;
	uint64_t want = 0, got[PAGES];
	struct flusher f = { 0 };
	pthread_t thread;
	struct disk disk;
	size_t i;
	int fd;

	DISK_OPEN(&disk);
	fd = disk_file(&disk);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	f.p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		cmds[i] = fakegpu_atomic(f.p + i % PAGES * GPU_PAGE, 8, DRM_FAKEGPU_ATOMIC_ADD, 1,
					 0, NULL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, flusher, &f));
	for (; want < 40 || (f.count < 20 && gpu_now() < end); want += 2)
		ASSERT_EQ(0, gpu_run(gpu, cmds, ARRAY_SIZE(cmds)))
			TH_LOG("%s", gpu_why());
	f.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(f.failed);
	EXPECT_LE(20UL, f.count);
	ASSERT_EQ(0, msync(f.p, SIZE, MS_SYNC));
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(want, *(uint64_t *)(f.p + i * GPU_PAGE));
		ASSERT_EQ(0, disk_read(&disk, fd, i * GPU_PAGE, &got[i], 8))
			TH_LOG("%s", disk.why);
		EXPECT_EQ(want, got[i]);
	}
	TH_LOG("%lu flushes during %llu rounds", f.count, (unsigned long long)want / 2);
	ASSERT_EQ(0, munmap(f.p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

/* Behaviour 85: clean pages that reclaim took are read from the disk again */
TEST_F(file, writeback_pageout)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 85);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x4242424242424242));
	ASSERT_EQ(0, msync(p, SIZE, MS_SYNC));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x42);
	EXPECT_MAPPED(gpu, p, SIZE);
	if (madvise(p, SIZE, MADV_PAGEOUT))
		SKIP(return, "MADV_PAGEOUT: %s", strerror(errno));
	EXPECT_FALSE(gpu_cpu_present(p));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x42));
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

/* What another process does while a write to our frozen disk waits. */
static void child_works(struct proc *proc, const struct gpu_conf *conf)
{
	struct drm_fakegpu_cmd cmd;
	struct gpu gpu;
	uint8_t *p;

	child_gpu(&gpu, conf);
	p = gpu_map_anon(SIZE);
	cmd = fakegpu_fill(p, SIZE, ~0ULL);
	proc_say(proc, 'r');
	CHILD_CHECK(proc_hears(proc, 'g'));
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	CHILD_CHECK(gpu_byte_diff(p, SIZE, 0xff) == SIZE);
	_exit(0);
}

/*
 * Behaviour 85: a write to a frozen filesystem waits, and nobody but its own process with it.
 * Nothing here may map memory while it waits, as the fault's service holds mmap_lock.
 */
TEST_F(file, frozen_write)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_queue_get_state state = { 0 };
	struct drm_fakegpu_cmd cmd;
	struct disk disk;
	struct proc proc;
	uint64_t seqno;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 85);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 85);
	if (proc_fork(&proc))
		child_works(&proc, &variant->conf);
	ASSERT_TRUE(proc_hears(&proc, 'r'));

	ASSERT_EQ(0, disk_freeze(&disk))
		TH_LOG("%s", disk.why);
	cmd = fakegpu_fill(p, 8, ~0ULL);
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
	EXPECT_EVENTUALLY((uint32_t)DRM_FAKEGPU_QUEUE_PARKED,
			  (fakegpu_queue_state(gpu->fd, gpu->queue, &state), state.flags));
	proc_say(&proc, 'g');
	EXPECT_EQ(0, proc_wait(&proc));
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 0));
	EXPECT_FILE_AT(fd, GPU_PAGE, 85, 0);

	EXPECT_EQ(0, disk_thaw(&disk));
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_FILE_BYTES(fd, 8, 0, 0xff);
	EXPECT_FILE_AT(fd, SIZE - 8, 85, 8);
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

/* Waits for a frozen disk, for ever. */
static void child_stuck(struct proc *proc, const struct gpu_conf *conf, int fd)
{
	struct drm_fakegpu_queue_get_state state = { 0 };
	struct drm_fakegpu_cmd cmd;
	struct gpu gpu;
	uint8_t *p;

	child_gpu(&gpu, conf);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	cmd = fakegpu_touch(p, SIZE, GPU_PAGE, 0);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	proc_say(proc, 'r');
	CHILD_CHECK(proc_hears(proc, 'g'));
	cmd = fakegpu_fill(p, SIZE, ~0ULL);
	CHILD_CHECK(!fakegpu_submit(gpu.fd, gpu.queue, &cmd, 1, NULL));
	while (!(state.flags & DRM_FAKEGPU_QUEUE_PARKED))
		CHILD_CHECK(!fakegpu_queue_state(gpu.fd, gpu.queue, &state));
	proc_say(proc, 'p');
	for (;;)
		pause();
}

/* Behaviours 85, 95: killed while its device waits for a frozen disk: it ends with the thaw */
TEST_F(file, frozen_kill)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_gauges before;
	struct disk disk;
	struct proc proc;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 85);
	EXPECT_WORKS(gpu);
	before = gpu_gauges(gpu);
	if (proc_fork(&proc))
		child_stuck(&proc, &variant->conf, fd);
	ASSERT_TRUE(proc_hears(&proc, 'r'));
	ASSERT_EQ(0, disk_freeze(&disk))
		TH_LOG("%s", disk.why);
	proc_say(&proc, 'g');
	EXPECT_TRUE(proc_hears(&proc, 'p'));
	kill(proc.pid, SIGKILL);
	EXPECT_WORKS(gpu);
	EXPECT_FILE_AT(fd, SIZE, 85, 0);
	EXPECT_EQ(0, disk_thaw(&disk));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&proc));
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before))
		TH_LOG("%s", gpu_why());
	close(fd);
	DISK_CLOSE(&disk);
}

/* Behaviour 86: write(2) to a mapped page: the device sees it at once, with no event */
TEST_F(file, pwrite_visible)
{
	struct gpu *gpu = &self->gpu;
	uint8_t buf[2 * GPU_PAGE], *p;
	struct disk disk;
	unsigned int i;
	int kind, fd;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 86);
		p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 86);
		for (i = 0; i < 10; i++) {
			memset(buf, i, sizeof(buf));
			EXPECT_DELTA(gpu, invalidations_useful, 0,
				ASSERT_EQ((ssize_t)sizeof(buf),
					  pwrite(fd, buf, sizeof(buf), 1234)));
			EXPECT_FAULTS(gpu, 0,
				EXPECT_DEVICE_PATTERN(gpu, p, 1234, 86);
				EXPECT_DEVICE_BYTES(gpu, p + 1234, sizeof(buf), i));
		}
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_PATTERN_AT(gpu, p + 1234 + sizeof(buf),
						 SIZE - 1234 - sizeof(buf), 86,
						 1234 + sizeof(buf)));
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviours 86, 85: direct I/O goes around the page cache, not around the device */
TEST_F(file, pwrite_direct)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *buf = gpu_map_anon(SIZE);
	struct disk disk;
	int fd, direct;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 86);
	direct = disk_reopen(fd, O_RDWR | O_DIRECT);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 86);
	/* The page cache is thrown away, so the mirror's entries are. */
	memset(buf, 0x71, SIZE);
	EXPECT_DELTA(gpu, pages_cleared, 2,
		ASSERT_EQ((ssize_t)(2 * GPU_PAGE), pwrite(direct, buf, 2 * GPU_PAGE, GPU_PAGE)));
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, 2 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, 2 * GPU_PAGE, 0x71));

	/* What the device wrote is flushed before the disk is read; entries become read-only. */
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7272727272727272));
	ASSERT_EQ((ssize_t)SIZE, pread(direct, buf, SIZE, 0));
	EXPECT_BYTES(buf, SIZE, 0x72);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x7373737373737373)));
	/* Read by the disk into memory that the device has mapped. */
	EXPECT_DEVICE_BYTES(gpu, buf, SIZE, 0x72);
	ASSERT_EQ((ssize_t)SIZE, pread(direct, buf, SIZE, 0));
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, buf, SIZE, 0x73));
	ASSERT_EQ(0, munmap(p, SIZE));
	close(direct);
	close(fd);
	DISK_CLOSE(&disk);
}

TEST_HARNESS_MAIN
