/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk of a test: ext4 on a loop device over an unlinked image. The mount is
 * seen by the test's process only and goes with it, whatever happens.
 *
 * disk_read() looks into the image, at the blocks of a file: what it finds has
 * really left the page cache.
 */
#ifndef FAKEGPU_TEST_DISK_H
#define FAKEGPU_TEST_DISK_H

#include "fakegpu_test.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define DISK_SIZE	(64 * GPU_SZ_1M)

struct disk {
	int image;
	int loop;
	int root;
	unsigned int files;
	char dev[32];
	char dir[64];
	char why[256];
};

#define disk_why(disk, ...) snprintf((disk)->why, sizeof((disk)->why), __VA_ARGS__)

/* Run a program that says nothing. Return: its exit status or a negative errno. */
static inline int disk_spawn(char *const argv[])
{
	extern char **environ;
	int status, ret;
	pid_t pid;

	ret = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (ret)
		return -ret;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static inline bool disk_has_ext4(void)
{
	FILE *f = fopen("/proc/filesystems", "re");
	char line[80];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= !strcmp(line, "\text4\n");
	if (f)
		fclose(f);
	return found;
}

static inline int disk_mount(struct disk *disk)
{
	if (mount(disk->dev, disk->dir, "ext4", MS_NOATIME, "")) {
		disk_why(disk, "mount of %s: %s", disk->dev, strerror(errno));
		return -errno;
	}
	disk->root = open(disk->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return disk->root < 0 ? -errno : 0;
}

/* Return: 0, or a negative errno with disk->why: this machine has no disk for us. */
static inline int disk_open(struct disk *disk)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	char image[] = "/tmp/fakegpu-disk-XXXXXX";
	int control, number;

	memset(disk, 0, sizeof(*disk));
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		disk_why(disk, "no mount namespace: %s", strerror(errno));
		return -errno;
	}
	if (access("/dev/loop-control", F_OK) || !disk_has_ext4())
		disk_spawn((char *[]){ "modprobe", "-qa", "loop", "ext4", NULL });

	disk->image = mkostemp(image, O_CLOEXEC);
	if (disk->image < 0 || ftruncate(disk->image, DISK_SIZE))
		gpu_die("%s: %s", image, strerror(errno));
	number = disk_spawn((char *[]){ "mkfs.ext4", "-qF", "-b4096", "-m0", image, NULL });
	unlink(image);
	if (number) {
		disk_why(disk, "mkfs.ext4 does not work here (%d)", number);
		return -ENOENT;
	}

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0) {
		disk_why(disk, "no loop device: %s", strerror(errno));
		return -ENODEV;
	}
	close(control);
	snprintf(disk->dev, sizeof(disk->dev), "/dev/loop%d", number);
	disk->loop = open(disk->dev, O_RDWR | O_CLOEXEC);
	config.fd = disk->image;
	if (disk->loop < 0 || ioctl(disk->loop, LOOP_CONFIGURE, &config)) {
		disk_why(disk, "%s: %s", disk->dev, strerror(errno));
		return -ENODEV;
	}

	snprintf(disk->dir, sizeof(disk->dir), "/tmp/fakegpu-disk-XXXXXX");
	if (!mkdtemp(disk->dir))
		gpu_die("%s: %s", disk->dir, strerror(errno));
	return disk_mount(disk);
}

/* Return: 0, or why the disk can't be taken out: somebody still uses it. */
static inline int disk_close(struct disk *disk)
{
	int64_t end = gpu_now() + GPU_WAIT_NS;

	close(disk->root);
	/* The files of a process that was killed are let go by a worker of the kernel. */
	while (umount2(disk->dir, 0)) {
		if (errno != EBUSY || gpu_now() > end) {
			disk_why(disk, "umount: %s", strerror(errno));
			return -errno;
		}
		usleep(10000);
	}
	rmdir(disk->dir);
	close(disk->loop);
	close(disk->image);
	return 0;
}

/* The file number @number of the disk. */
static inline int disk_open_file(struct disk *disk, unsigned int number)
{
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "%u", number);
	fd = openat(disk->root, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		gpu_die("file %s of the disk: %s", name, strerror(errno));
	return fd;
}

/* A new, empty file. */
static inline int disk_file(struct disk *disk)
{
	return disk_open_file(disk, ++disk->files);
}

/* The same file opened in another way. */
static inline int disk_reopen(int fd, int flags)
{
	char path[32];
	int new;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	new = open(path, flags | O_CLOEXEC);
	if (new < 0)
		gpu_die("%s: %s", path, strerror(errno));
	return new;
}

/* Unmount and mount again: nothing but the disk is left. @fd is the newest file. */
static inline int disk_remount(struct disk *disk, int *fd)
{
	int ret;

	close(*fd);
	close(disk->root);
	if (umount2(disk->dir, 0)) {
		disk_why(disk, "umount: %s", strerror(errno));
		return -errno;
	}
	ret = disk_mount(disk);
	if (!ret)
		*fd = disk_open_file(disk, disk->files);
	return ret;
}

/*
 * disk_read - what the disk has of a file
 *
 * Flushes nothing. Return: 0; -ENODATA if no block was ever written there.
 */
static inline int disk_read(struct disk *disk, int fd, uint64_t at, void *buf, size_t size)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} u;
	struct fiemap_extent *extent = u.map.fm_extents;
	size_t n;

	for (; size; size -= n, at += n, buf = (char *)buf + n) {
		memset(&u, 0, sizeof(u));
		u.map.fm_start = at;
		u.map.fm_length = 1;
		u.map.fm_extent_count = 1;
		if (ioctl(fd, FS_IOC_FIEMAP, &u.map)) {
			disk_why(disk, "FIEMAP: %s", strerror(errno));
			return -errno;
		}
		if (!u.map.fm_mapped_extents || at < extent->fe_logical ||
		    (extent->fe_flags & ~FIEMAP_EXTENT_LAST)) {
			disk_why(disk, "no block on the disk at %#llx, flags %#x",
				 (unsigned long long)at, extent->fe_flags);
			return -ENODATA;
		}
		n = extent->fe_logical + extent->fe_length - at;
		if (n > size)
			n = size;
		if (pread(disk->image, buf, n, extent->fe_physical + at - extent->fe_logical) !=
		    (ssize_t)n) {
			disk_why(disk, "image: %s", strerror(errno));
			return -EIO;
		}
	}
	return 0;
}

/*
 * Leave no free block. What the file system sets aside for blocks that aren't
 * allocated yet it gives back when they are: write until nothing comes back.
 */
static inline void disk_fill_up(struct disk *disk)
{
	static const char zeros[GPU_SZ_64K];
	int fd = disk_file(disk);
	bool wrote;
	size_t n;

	do {
		wrote = false;
		for (n = sizeof(zeros); n;) {
			if (write(fd, zeros, n) <= 0)
				n /= 2;
			else
				wrote = true;
		}
		fsync(fd);
	} while (wrote);
	close(fd);
}

static inline int disk_freeze(struct disk *disk)
{
	if (ioctl(disk->root, FIFREEZE, 0)) {
		disk_why(disk, "FIFREEZE: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

static inline int disk_thaw(struct disk *disk)
{
	return ioctl(disk->root, FITHAW, 0) ? -errno : 0;
}

/* A disk, or skip the test. */
#define DISK_OPEN(disk) do { \
	if (disk_open(disk)) \
		SKIP(return, "%s", (disk)->why); \
} while (0)

#define DISK_CLOSE(disk) \
	EXPECT_EQ(0, disk_close(disk)) \
		TH_LOG("%s", (disk)->why)

/* ------------------------------------------------------- page flags --- */

static inline uint64_t page_word(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t word;

	if (fd < 0 || pread(fd, &word, sizeof(word), index * sizeof(word)) != sizeof(word))
		gpu_die("%s: %s", path, strerror(errno));
	close(fd);
	return word;
}

/* Is the page that the CPU maps at an address marked dirty? Dies if it maps none. */
static inline bool page_dirty(const volatile void *addr)
{
	uint64_t entry = page_word("/proc/self/pagemap", (uintptr_t)addr / GPU_PAGE);

	if (!(entry >> 63))
		gpu_die("page_dirty: nothing is mapped at %p", addr);
	/* Bit 4 is KPF_DIRTY. */
	return page_word("/proc/kpageflags", entry & ((1ULL << 55) - 1)) >> 4 & 1;
}

#endif /* FAKEGPU_TEST_DISK_H */
