/* SPDX-License-Identifier: GPL-2.0 */
/* What areas file and truncate share: a small file, and what is in it. */
#ifndef FILE_TEST_H
#define FILE_TEST_H

#include "fakegpu_test_disk.h"

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)
#define RW	(PROT_READ | PROT_WRITE)

/* A file of the disk, and a memfd: what has to be the same in both. */
enum { DISK, MEMFD, KINDS };

static inline int new_file(struct disk *disk, int kind, size_t size, uint64_t seed)
{
	uint8_t buf[SIZE];
	int fd = kind == DISK ? disk_file(disk) : gpu_memfd(0);

	gpu_pattern(buf, sizeof(buf), seed);
	if (pwrite(fd, buf, size, 0) != (ssize_t)size || fsync(fd))
		gpu_die("cannot fill a file: %s", strerror(errno));
	return fd;
}

static inline size_t file_diff_at(int fd, size_t size, uint64_t seed, uint64_t first)
{
	uint8_t buf[SIZE];

	if (pread(fd, buf, size, first) != (ssize_t)size)
		return ~0UL;
	return gpu_pattern_diff_at(buf, size, seed, first);
}

/* What read(2) and what the disk itself have of a file. */
#define EXPECT_FILE_AT(fd, size, seed, first) \
	EXPECT_EQ((size_t)(size), file_diff_at(fd, size, seed, first))
#define EXPECT_FILE_BYTES(fd, size, first, byte) do { \
	uint8_t file_[SIZE]; \
	EXPECT_EQ((ssize_t)(size), pread(fd, file_, size, first)); \
	EXPECT_BYTES(file_, size, byte); \
} while (0)
#define EXPECT_DISK_AT(disk, fd, size, seed, first) do { \
	uint8_t disk_[SIZE]; \
	ASSERT_EQ(0, disk_read(disk, fd, first, disk_, size)) \
		TH_LOG("%s", (disk)->why); \
	EXPECT_PATTERN_AT(disk_, size, seed, first); \
} while (0)
#define EXPECT_DISK_BYTES(disk, fd, size, first, byte) do { \
	uint8_t disk_[SIZE]; \
	ASSERT_EQ(0, disk_read(disk, fd, first, disk_, size)) \
		TH_LOG("%s", (disk)->why); \
	EXPECT_BYTES(disk_, size, byte); \
} while (0)

#endif /* FILE_TEST_H */
