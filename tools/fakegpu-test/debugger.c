// SPDX-License-Identifier: GPL-2.0
/*
 * A debugger writes to memory that the device has mapped, by /proc/PID/mem and
 * by ptrace(), also where the process itself may not write: the kernel then
 * makes a private copy of the page, and the device has to see that one.
 */
#include "fakegpu_test_proc.h"

#include <sys/ptrace.h>

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(debugger);

/* As gdb does it. Return: bytes written, or a negative errno. */
static ssize_t poke(pid_t pid, volatile void *at, const void *data, size_t size)
{
	char path[64];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pwrite(fd, data, size, (uintptr_t)at);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Some kernels can be told to refuse this; then there is nothing to test. */
#define POKE(pid, at, data, size) do { \
	ssize_t poke_ = poke(pid, at, data, size); \
	if (poke_ == -EIO || poke_ == -EACCES) \
		SKIP(return, "this kernel lets no debugger write to read-only memory"); \
	ASSERT_EQ((ssize_t)(size), poke_); \
} while (0)

/* Behaviour 25: a read-only private file page: a copy is made, the file keeps its bytes */
TEST_F(debugger, mem_private_file)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_tmpfile(SIZE);
	uint8_t *shared = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *p = gpu_map(SIZE, PROT_READ, MAP_PRIVATE, fd, 0), byte[8];

	gpu_pattern(shared, SIZE, 25);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 25);
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, SYSTEM);
	memset(byte, 0x25, sizeof(byte));
	EXPECT_DELTA(gpu, pages_cleared, 1, POKE(getpid(), p + 3 * GPU_PAGE + 8, byte, 8));
	/* One page, and not its neighbours. */
	EXPECT_MAPPED(gpu, p, 3 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 3 * GPU_PAGE, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + 4 * GPU_PAGE, SIZE - 4 * GPU_PAGE);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + 3 * GPU_PAGE + 8, 8, 0x25));
	EXPECT_FAULTS(gpu, 0,
		      EXPECT_DEVICE_PATTERN(gpu, p, 3 * GPU_PAGE + 8, 25);
		      EXPECT_DEVICE_PATTERN_AT(gpu, p + 3 * GPU_PAGE + 16, SIZE - 3 * GPU_PAGE - 16,
					       25, 3 * GPU_PAGE + 16));
	EXPECT_BYTES(p + 3 * GPU_PAGE + 8, 8, 0x25);
	EXPECT_PATTERN(shared, SIZE, 25);
	EXPECT_DEVICE_PATTERN(gpu, shared, SIZE, 25);
	/* The copy isn't writable either. */
	EXPECT_FATAL(gpu, fakegpu_fill(p + 3 * GPU_PAGE, 8, 0), EPERM, p + 3 * GPU_PAGE, WRITE);
	/* Later writes of the file reach the other pages, and this one no more. */
	memset(shared, 0, SIZE);
	EXPECT_DEVICE_BYTES(gpu, p, 3 * GPU_PAGE, 0);
	EXPECT_DEVICE_BYTES(gpu, p + 3 * GPU_PAGE + 8, 8, 0x25);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 3 * GPU_PAGE, 8, 25, 3 * GPU_PAGE);
	close(fd);
}

/* Behaviour 25: the page of zeros that the device has mapped is replaced */
TEST_F(debugger, mem_zero_page)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), one = 1;
	size_t i;

	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	for (i = 0; i < SIZE; i += GPU_PAGE)
		EXPECT_EQ(0, ((volatile uint8_t *)p)[i]);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0);
	EXPECT_ENTRIES(gpu, p, SIZE, 0, 12, ZERO);
	EXPECT_DELTA(gpu, pages_cleared, 1, POKE(getpid(), p + 5 * GPU_PAGE, &one, 1));
	EXPECT_DEVICE_BYTES(gpu, p + 5 * GPU_PAGE, 1, 1);
	EXPECT_ENTRIES(gpu, p + 5 * GPU_PAGE, GPU_PAGE, 0, 12, SYSTEM);
	EXPECT_DEVICE_BYTES(gpu, p, 5 * GPU_PAGE, 0);
	EXPECT_DEVICE_BYTES(gpu, p + 6 * GPU_PAGE, SIZE - 6 * GPU_PAGE, 0);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 5 * GPU_PAGE, 1, 0), EPERM, p + 5 * GPU_PAGE, WRITE);
}

/* Behaviour 25: a page that is the process's own is written in place, as it is mirrored */
TEST_F(debugger, mem_anon_in_place)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), buf[64];

	gpu_pattern(p, SIZE, 25);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 25);
	memset(buf, 0xab, sizeof(buf));
	/* It crosses the border of two pages. */
	POKE(getpid(), p + 2 * GPU_PAGE - 32, buf, sizeof(buf));
	EXPECT_DEVICE_BYTES(gpu, p + 2 * GPU_PAGE - 32, 64, 0xab);
	EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_PAGE - 32, 25);
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 2 * GPU_PAGE + 32, SIZE - 2 * GPU_PAGE - 32, 25,
				 2 * GPU_PAGE + 32);
	EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, 1, 0), EPERM, p + GPU_PAGE, WRITE);
}

/* Behaviour 25: a page shared with a child since fork(): the child keeps the old one */
TEST_F(debugger, mem_anon_after_fork)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), byte = 0x99;
	struct proc child;

	memset(p, 0x11, SIZE);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	if (proc_fork(&child)) {
		CHILD_CHECK(proc_hears(&child, 'w'));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x11) == SIZE);
		_exit(0);
	}
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11);
	POKE(getpid(), p, &byte, 1);
	EXPECT_UNMAPPED(gpu, p, GPU_PAGE);
	EXPECT_MAPPED(gpu, p + GPU_PAGE, SIZE - GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p, 1, 0x99);
	EXPECT_DEVICE_BYTES(gpu, p + 1, SIZE - 1, 0x11);
	proc_say(&child, 'w');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_BYTES(gpu, p, 1, 0x99);
}

/* A child that mirrors @p and lets its device look at it when it is told to. */
static void tracee(struct proc *proc, const struct gpu_conf *conf, uint8_t *p)
{
	struct gpu own;
	uint64_t crc;
	char token;

	child_gpu(&own, conf);
	CHILD_CHECK(!gpu_device_crc(&own, p, SIZE, &crc));
	proc_say(proc, 'r');
	while (!proc_recv(proc, &token, 1) && token == 'l') {
		CHILD_CHECK(!gpu_device_crc(&own, p, SIZE, &crc));
		CHILD_CHECK(crc == gpu_crc(p, SIZE));
		CHILD_CHECK(!gpu_verify(&own));
		proc_send(proc, &crc, sizeof(crc));
	}
	_exit(0);
}

/* Behaviour 25: ptrace() of another process whose device has mapped the page */
TEST_F(debugger, ptrace_private_file)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_tmpfile(SIZE), status = 0;
	uint8_t *shared = gpu_map(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint8_t *p = gpu_map(SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	uint8_t *want = gpu_map_anon(SIZE);
	struct proc child;
	uint64_t crc = 0;

	gpu_pattern(shared, SIZE, 25);
	gpu_pattern(want, SIZE, 25);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 25);
	if (proc_fork(&child))
		tracee(&child, &variant->conf, p);
	EXPECT_TRUE(proc_hears(&child, 'r'));
	proc_say(&child, 'l');
	EXPECT_EQ(0, proc_recv(&child, &crc, sizeof(crc)));
	EXPECT_EQ(gpu_crc_pattern(SIZE, 25, 0), crc);

	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, child.pid, NULL, NULL));
	ASSERT_EQ(child.pid, waitpid(child.pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	if (ptrace(PTRACE_POKEDATA, child.pid, p + 7 * GPU_PAGE, 0x2525252525252525)) {
		ptrace(PTRACE_DETACH, child.pid, NULL, NULL);
		close(child.sock);
		SKIP(return, "this kernel lets no debugger write to read-only memory");
	}
	memset(want + 7 * GPU_PAGE, 0x25, 8);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, child.pid, NULL, NULL));
	proc_say(&child, 'l');
	EXPECT_EQ(0, proc_recv(&child, &crc, sizeof(crc)));
	EXPECT_EQ(gpu_crc(want, SIZE), crc);

	/* And by its file, while it runs. */
	memset(want, 0x52, 8);
	EXPECT_EQ(8, poke(child.pid, p, want, 8));
	proc_say(&child, 'l');
	EXPECT_EQ(0, proc_recv(&child, &crc, sizeof(crc)));
	EXPECT_EQ(gpu_crc(want, SIZE), crc);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	/* It was the child's copy alone. */
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 25);
	EXPECT_PATTERN(shared, SIZE, 25);
	close(fd);
}

TEST_HARNESS_MAIN
