// SPDX-License-Identifier: GPL-2.0
/*
 * Files that change their length or lose blocks while the device has them mapped:
 * truncate, holes, ranges taken out and put in; on a disk and, where it can be done
 * there, in a memfd as well.
 */
#include "file_test.h"

#include <pthread.h>

GPU_FIXTURE(truncate);

/* Behaviour 83: truncate below mapped pages: gone with no page too many; then zeros again */
TEST_F(truncate, extend)
{
	struct gpu *gpu = &self->gpu;
	const size_t cut = 3 * GPU_PAGE + 100, gone = 4 * GPU_PAGE;
	struct disk disk;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 83);
		p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);

		EXPECT_DELTA(gpu, pages_cleared, PAGES - 4, ASSERT_EQ(0, ftruncate(fd, cut)));
		EXPECT_MAPPED(gpu, p, gone);
		EXPECT_UNMAPPED(gpu, p + gone, SIZE - gone);
		/* The page of the new end is the same page; its rest was zeroed in place. */
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_PATTERN(gpu, p, cut, 83);
			EXPECT_DEVICE_BYTES(gpu, p + cut, gone - cut, 0));
		EXPECT_FATAL(gpu, fakegpu_touch(p + gone, 1, 1, 0), EFAULT, p + gone, READ);
		EXPECT_FATAL(gpu, fakegpu_fill(p + SIZE - 8, 8, 0), EFAULT, p + SIZE - 8, WRITE);
		EXPECT_FATAL(gpu, fakegpu_checksum(p, SIZE, NULL), EFAULT, p + gone, READ);
		EXPECT_EQ((uint64_t)gone, (uint64_t)gpu->fatal.queue.cmd_done);
		EXPECT_UNMAPPED(gpu, p + gone, SIZE - gone);

		ASSERT_EQ(0, ftruncate(fd, SIZE));
		EXPECT_FAULTS(gpu, 1,
			EXPECT_DEVICE_BYTES(gpu, p + gone, SIZE - gone, 0));
		EXPECT_DEVICE_PATTERN(gpu, p, cut, 83);
		EXPECT_DEVICE_BYTES(gpu, p + cut, SIZE - cut, 0);
		EXPECT_RUN(gpu, fakegpu_fill(p + SIZE - 8, 8, ~0ULL));
		EXPECT_FILE_BYTES(fd, 8, SIZE - 8, 0xff);
		EXPECT_FILE_BYTES(fd, SIZE - 8 - cut, cut, 0);

		/* All of it, with the mapping still there. */
		EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, ftruncate(fd, 0)));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		EXPECT_FATAL(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, 0), EFAULT, p, READ);
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviour 83: a mapping that is longer than its file */
TEST_F(truncate, behind_end)
{
	struct gpu *gpu = &self->gpu;
	const size_t end = 2 * GPU_PAGE + 7, last = 3 * GPU_PAGE;
	struct disk disk;
	uint64_t done;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, end, 83);
		p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, end, 83));
		EXPECT_DEVICE_BYTES(gpu, p + end, last - end, 0);
		EXPECT_UNMAPPED(gpu, p + last, SIZE - last);
		EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, ~0ULL), EFAULT, p + last, WRITE);
		EXPECT_EQ((uint64_t)last, (uint64_t)gpu->fatal.queue.cmd_done);
		EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, &done));
		EXPECT_EQ((uint64_t)last, done);
		EXPECT_DELTA(gpu, faults_nofault, PAGES - 3,
			EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE,
						      DRM_FAKEGPU_CMD_NOFAULT)));
		/* Bytes behind the end, in the last page, are nobody's. */
		EXPECT_FILE_BYTES(fd, end, 0, 0xff);
		EXPECT_EQ((off_t)end, lseek(fd, 0, SEEK_END));
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviours 83, 26: truncate takes private copies as well */
TEST_F(truncate, private)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 83);
		p = gpu_map(SIZE, RW, MAP_PRIVATE, fd, 0);
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL));
		EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
		EXPECT_DELTA(gpu, pages_cleared, PAGES - 2,
			     ASSERT_EQ(0, ftruncate(fd, GPU_PAGE + 1)));
		/* A copy that stays isn't cut: only the page cache is. */
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0xff));
		EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EFAULT, p + 2 * GPU_PAGE, WRITE);
		ASSERT_EQ(0, ftruncate(fd, SIZE));
		EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE, 0);
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

struct truncater {
	int fd;
	volatile int stop;
	unsigned long count;
	bool failed;
};

static void *truncater(void *arg)
{
	uint8_t buf[GPU_PAGE];
	struct truncater *t = arg;
	size_t i;

	memset(buf, 0x83, sizeof(buf));
	while (!t->stop) {
		if (ftruncate(t->fd, t->count % PAGES * GPU_PAGE) || ftruncate(t->fd, SIZE))
			t->failed = true;
		for (i = 0; i < PAGES; i++)
			if (pwrite(t->fd, buf, sizeof(buf), i * GPU_PAGE) != sizeof(buf))
				t->failed = true;
		t->count++;
	}
	return NULL;
}

/* Behaviours 83, 86: truncate, extend and pwrite during reads: zeros or the file's bytes */
TEST_F(truncate, busy)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmds[1 + PAGES];
	uint8_t *dst = gpu_map_anon(SIZE);
	struct truncater t = { 0 };
	unsigned int round;
	pthread_t thread;
	struct disk disk;
	uint32_t queue;
	size_t i, at;
	int64_t end;
	uint8_t *p;
	int kind, ret;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		t = (struct truncater){ .fd = new_file(&disk, kind, SIZE, 1) };
		memset(dst, 0x83, SIZE);
		ASSERT_EQ((ssize_t)SIZE, pwrite(t.fd, dst, SIZE, 0));
		p = gpu_map(SIZE, RW, MAP_SHARED, t.fd, 0);
		cmds[0] = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT);
		for (i = 0; i < PAGES; i++)
			cmds[1 + i] = fakegpu_copy(dst + i * GPU_PAGE, p + i * GPU_PAGE, GPU_PAGE);
		end = gpu_now() + GPU_WAIT_NS;
		ASSERT_EQ(0, pthread_create(&thread, NULL, truncater, &t));
		for (round = 0; round < 10 || (t.count < 50 && gpu_now() < end); round++) {
			queue = gpu_queue(gpu);
			ret = gpu_run_on(gpu, queue, cmds, ARRAY_SIZE(cmds));
			/* Behind the end for a moment: an error is right. */
			ASSERT_TRUE(!ret || ret == -EIO)
				TH_LOG("%s", gpu_why());
			ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
			for (at = 0; at < SIZE; at++)
				ASSERT_TRUE(dst[at] == 0 || dst[at] == 0x83);
		}
		t.stop = 1;
		pthread_join(thread, NULL);
		EXPECT_FALSE(t.failed);
		EXPECT_LE(50UL, t.count);
		EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x83);
		EXPECT_VERIFY(gpu);
		ASSERT_EQ(0, ftruncate(t.fd, 0));
		EXPECT_UNMAPPED(gpu, p, SIZE);
		ASSERT_EQ(0, munmap(p, SIZE));
		close(t.fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviour 84: a hole: whole pages go, pieces of pages are zeroed in place, edges stay */
TEST_F(truncate, punch_hole)
{
	struct gpu *gpu = &self->gpu;
	const size_t from = 3 * GPU_PAGE + 500, to = 9 * GPU_PAGE + 11;
	const size_t first = 4 * GPU_PAGE, last = 9 * GPU_PAGE;
	struct disk disk;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 84);
		p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		/* Clean pages: nothing has to be written back before the hole is made. */
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 84);
		EXPECT_DELTA(gpu, pages_cleared, (last - first) / GPU_PAGE,
			ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       from, to - from)));
		EXPECT_MAPPED(gpu, p, first);
		EXPECT_UNMAPPED(gpu, p + first, last - first);
		EXPECT_MAPPED(gpu, p + last, SIZE - last);
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_PATTERN(gpu, p, from, 84);
			EXPECT_DEVICE_BYTES(gpu, p + from, first - from, 0);
			EXPECT_DEVICE_BYTES(gpu, p + last, to - last, 0);
			EXPECT_DEVICE_PATTERN_AT(gpu, p + to, SIZE - to, 84, to));
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + first, last - first, 0));

		/* The device's write fills the hole. */
		EXPECT_RUN(gpu, fakegpu_fill(p + first, GPU_PAGE, ~0ULL));
		EXPECT_FILE_BYTES(fd, GPU_PAGE, first, 0xff);
		EXPECT_FILE_BYTES(fd, last - first - GPU_PAGE, first + GPU_PAGE, 0);
		if (kind == DISK) {
			ASSERT_EQ(0, fsync(fd));
			EXPECT_DISK_BYTES(&disk, fd, GPU_PAGE, first, 0xff);
		}
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviour 84: a hole in what the device has just written takes what it wrote */
TEST_F(truncate, punch_hole_dirty)
{
	struct gpu *gpu = &self->gpu;
	const size_t first = 4 * GPU_PAGE, last = 9 * GPU_PAGE;
	struct disk disk;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 84);
		p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
		EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL));
		EXPECT_DELTA(gpu, pages_cleared, (last - first) / GPU_PAGE,
			ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					       first, last - first)));
		EXPECT_ENTRIES(gpu, p, first, GPU_WD, gpu->info.page_shift, SYSTEM);
		EXPECT_UNMAPPED(gpu, p + first, last - first);
		EXPECT_ENTRIES(gpu, p + last, SIZE - last, GPU_WD, gpu->info.page_shift, SYSTEM);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + first, last - first, 0));
		EXPECT_DEVICE_BYTES(gpu, p, first, 0xff);
		EXPECT_DEVICE_BYTES(gpu, p + last, SIZE - last, 0xff);
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviours 84, 26: private copies outlive a hole in the file */
TEST_F(truncate, punch_hole_private)
{
	struct gpu *gpu = &self->gpu;
	struct disk disk;
	int kind, fd;
	uint8_t *p;

	DISK_OPEN(&disk);
	for (kind = 0; kind < KINDS; kind++) {
		fd = new_file(&disk, kind, SIZE, 84);
		p = gpu_map(SIZE, RW, MAP_PRIVATE, fd, 0);
		EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 84);
		EXPECT_RUN(gpu, fakegpu_fill(p + 2 * GPU_PAGE, GPU_PAGE, ~0ULL));
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE));
		EXPECT_DEVICE_BYTES(gpu, p, 2 * GPU_PAGE, 0);
		EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_PAGE, GPU_PAGE, 0xff);
		EXPECT_DEVICE_BYTES(gpu, p + 3 * GPU_PAGE, SIZE - 3 * GPU_PAGE, 0);
		ASSERT_EQ(0, munmap(p, SIZE));
		close(fd);
	}
	DISK_CLOSE(&disk);
}

/* Behaviour 84: blocks taken out of the middle: what was behind them is there now */
TEST_F(truncate, collapse_range)
{
	struct gpu *gpu = &self->gpu;
	const size_t at = 4 * GPU_PAGE, len = 2 * GPU_PAGE;
	struct disk disk;
	uint8_t *p;
	int fd;

	DISK_OPEN(&disk);
	fd = new_file(&disk, DISK, SIZE, 84);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 84);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, at, len));
	EXPECT_MAPPED(gpu, p, at);
	EXPECT_UNMAPPED(gpu, p + at, SIZE - at);
	EXPECT_DEVICE_PATTERN(gpu, p, at, 84);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + at, SIZE - at - len, 84, at + len);
	EXPECT_FATAL(gpu, fakegpu_touch(p + SIZE - len, 1, 1, 0), EFAULT, p + SIZE - len, READ);

	/* And put in again, as zeros. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_INSERT_RANGE, at, len));
	EXPECT_DEVICE_PATTERN(gpu, p, at, 84);
	EXPECT_DEVICE_BYTES(gpu, p + at, len, 0);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + at + len, SIZE - at - len, 84, at + len);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_ZERO_RANGE, at + 5, SIZE - at - 5));
	EXPECT_DEVICE_PATTERN(gpu, p, at, 84);
	EXPECT_DEVICE_BYTES(gpu, p + at, SIZE - at, 0);
	ASSERT_EQ(0, munmap(p, SIZE));
	close(fd);
	DISK_CLOSE(&disk);
}

TEST_HARNESS_MAIN
