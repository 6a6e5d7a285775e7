// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is shared by several mappings, or by several processes with VMs
 * of their own: memfd, System V shared memory, hugetlbfs.
 */
#include "fakegpu_test_disk.h"
#include "fakegpu_test_proc.h"

#include <sys/ipc.h>
#include <sys/shm.h>

#ifndef MFD_HUGETLB
#define MFD_HUGETLB		0x0004U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB		(21U << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)
#define RW	(PROT_READ | PROT_WRITE)

GPU_FIXTURE(memfd);

/* Let the device look: 0 if it sees the pattern. For children, which can't EXPECT. */
static int device_sees(struct gpu *gpu, const uint8_t *p, size_t size, uint64_t seed)
{
	uint64_t crc;
	int ret = gpu_device_crc(gpu, p, size, &crc);

	return ret ? ret : crc == gpu_crc_pattern(size, seed, 0) ? 0 : -EBADMSG;
}

static int device_sees_bytes(struct gpu *gpu, const uint8_t *p, size_t size, uint8_t byte)
{
	uint64_t crc;
	int ret = gpu_device_crc(gpu, p, size, &crc);

	return ret ? ret : crc == gpu_crc_byte(size, byte) ? 0 : -EBADMSG;
}

/* The other one of two processes: at its own address, with its own VM. */
static void other_process(struct proc *proc, const struct gpu_conf *conf, int fd)
{
	struct drm_fakegpu_vm_get_state before;
	struct drm_fakegpu_cmd cmd;
	struct gpu gpu;
	uint8_t *p;

	child_gpu(&gpu, conf);
	gpu_va(5 * GPU_SZ_2M, 0);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	cmd = fakegpu_touch(gpu.res, GPU_PAGE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	proc_send(proc, &p, sizeof(p));

	/* The first one's device has written. */
	CHILD_CHECK(proc_hears(proc, '1'));
	CHILD_CHECK(!device_sees(&gpu, p, SIZE, 82));
	CHILD_CHECK(gpu_pattern_diff(p, SIZE, 82) == SIZE);
	before = gpu_state(&gpu);
	cmd = fakegpu_fill(p + 100, 1000, 0x6464646464646464);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	CHILD_CHECK(gpu_state(&gpu).faults == before.faults);
	cmd = fakegpu_atomic(p + SIZE - 8, 8, DRM_FAKEGPU_ATOMIC_SWAP, 5, 0, NULL);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	proc_say(proc, '2');

	/* The first one has added. */
	CHILD_CHECK(proc_hears(proc, '3'));
	cmd = fakegpu_atomic(p + SIZE - 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 7, 0, gpu.res + 1);
	CHILD_CHECK(!gpu_run(&gpu, &cmd, 1));
	CHILD_CHECK(gpu.res[1] == 11);
	CHILD_CHECK(gpu_state(&gpu).faults == before.faults);

	/* We cut; both mirrors have to lose the pages. */
	CHILD_CHECK(!ftruncate(fd, 5 * GPU_PAGE));
	CHILD_CHECK(gpu_mapped(&gpu, p, 5 * GPU_PAGE) == (int64_t)(5 * GPU_PAGE));
	CHILD_CHECK(gpu_mapped(&gpu, p + 5 * GPU_PAGE, SIZE - 5 * GPU_PAGE) == 0);
	proc_say(proc, '4');

	/* The first one cuts. */
	CHILD_CHECK(proc_hears(proc, '5'));
	CHILD_CHECK(gpu_mapped(&gpu, p, 2 * GPU_PAGE) == (int64_t)(2 * GPU_PAGE));
	CHILD_CHECK(gpu_mapped(&gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE) == 0);
	CHILD_CHECK(gpu_mapped(&gpu, p + 4 * GPU_PAGE, GPU_PAGE) == (int64_t)GPU_PAGE);
	CHILD_CHECK(!device_sees_bytes(&gpu, p + 2 * GPU_PAGE, 2 * GPU_PAGE, 0));
	/* Our end is no event for the other one. */
	_exit(0);
}

/*
 * Behaviours 82, 83, 84: two processes with VMs of their own and the memory at different
 * addresses: each sees at once what the other one's device writes, at the cost of its own first
 * faults only; and loses what the other one truncates or removes.
 */
TEST_F(memfd, two_processes)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *src = gpu_map_anon(SIZE), *p, *theirs = NULL;
	struct proc proc;

	if (proc_fork(&proc))
		other_process(&proc, &variant->conf, fd);
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	ASSERT_EQ(0, proc_recv(&proc, &theirs, sizeof(theirs)));
	EXPECT_NE(p, theirs);
	/* The fork took write permission of the results. */
	EXPECT_WORKS(gpu);

	gpu_pattern(src, SIZE, 82);
	EXPECT_FAULTS(gpu, 2, EXPECT_RUN(gpu, fakegpu_copy(p, src, SIZE)));
	proc_say(&proc, '1');
	ASSERT_TRUE(proc_hears(&proc, '2'));
	EXPECT_FAULTS(gpu, 0,
		EXPECT_DEVICE_PATTERN(gpu, p, 100, 82);
		EXPECT_DEVICE_BYTES(gpu, p + 100, 1000, 0x64);
		EXPECT_DEVICE_PATTERN_AT(gpu, p + 1100, SIZE - 1108, 82, 1100);
		EXPECT_RUN(gpu, fakegpu_atomic(p + SIZE - 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 6, 0,
					       gpu->res + 1)));
	EXPECT_EQ(5UL, gpu->res[1]);
	proc_say(&proc, '3');

	ASSERT_TRUE(proc_hears(&proc, '4'));
	EXPECT_MAPPED(gpu, p, 5 * GPU_PAGE);
	EXPECT_UNMAPPED(gpu, p + 5 * GPU_PAGE, SIZE - 5 * GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EFAULT, p + 5 * GPU_PAGE, WRITE);
	EXPECT_DELTA(gpu, pages_cleared, 2,
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       2 * GPU_PAGE, 2 * GPU_PAGE)));
	proc_say(&proc, '5');
	EXPECT_EQ(0, proc_wait(&proc));
	EXPECT_MAPPED(gpu, p, 2 * GPU_PAGE);
	EXPECT_DEVICE_BYTES(gpu, p, 5 * GPU_PAGE, 0);
	close(fd);
}

/* Behaviour 82: the same object twice in one mm, shifted, in one window: coherent aliases */
TEST_F(memfd, aliases_one_mm)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *a = gpu_va(GPU_SZ_2M, 0), *b = a + 64 * GPU_PAGE;
	int fd = gpu_memfd(SIZE);
	size_t shift = 3 * GPU_PAGE;
	unsigned int i;

	ASSERT_EQ(a, mmap(a, SIZE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(b, mmap(b, SIZE - shift, RW, MAP_SHARED | MAP_FIXED, fd, shift));
	gpu_pattern(a, SIZE, 82);
	/* One fault a mapping: the window ends where its VMA does. */
	EXPECT_FAULTS(gpu, 2,
		EXPECT_DEVICE_PATTERN(gpu, a, SIZE, 82);
		EXPECT_DEVICE_PATTERN_AT(gpu, b, SIZE - shift, 82, shift));
	for (i = 0; i < 20; i++) {
		uint8_t *to = i % 2 ? a + shift : b, *from = i % 2 ? b : a + shift;

		EXPECT_FAULTS(gpu, 0,
			EXPECT_RUN(gpu, fakegpu_fill(to + 77 * i, 3000, i * 0x0101010101010101),
				   fakegpu_compare(a + shift, b, SIZE - shift, gpu->res + 1));
			EXPECT_DEVICE_BYTES(gpu, from + 77 * i, 3000, i));
		EXPECT_EQ(SIZE - shift, gpu->res[1]);
		EXPECT_BYTES(from + 77 * i, 3000, i);
	}
	/* One copy command from one alias to another place of the other. */
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_copy(b + GPU_PAGE, a, GPU_PAGE)));
	EXPECT_EQ(0, memcmp(a, a + shift + GPU_PAGE, GPU_PAGE));
	/* A hole is one for both. */
	EXPECT_DELTA(gpu, pages_cleared, 2,
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, shift,
				       GPU_PAGE)));
	EXPECT_UNMAPPED(gpu, a + shift, GPU_PAGE);
	EXPECT_UNMAPPED(gpu, b, GPU_PAGE);
	EXPECT_MAPPED(gpu, a, shift);
	EXPECT_MAPPED(gpu, b + GPU_PAGE, SIZE - shift - GPU_PAGE);
	/* Without one of them the other lives on. */
	ASSERT_EQ(0, munmap(a, SIZE));
	EXPECT_FATAL(gpu, fakegpu_touch(a, 1, 1, 0), EFAULT, a, READ);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(b, SIZE - shift, ~0ULL)));
	EXPECT_BYTES(b, SIZE - shift, 0xff);
	close(fd);
}

/* Behaviour 84: MADV_REMOVE in one mapping: exactly these pages go from all, and are zeros */
TEST_F(memfd, madvise_remove)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(SIZE);
	uint8_t *a = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	uint8_t *b = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	const size_t at = 6 * GPU_PAGE, len = 4 * GPU_PAGE, tail = at + len;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		EXPECT_RUN(gpu, fakegpu_fill(a, SIZE, ~0ULL),
			   fakegpu_touch(b, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
		EXPECT_DELTA(gpu, pages_cleared, 2 * len / GPU_PAGE,
			ASSERT_EQ(0, madvise(a + at, len, MADV_REMOVE)));
		EXPECT_MAPPED(gpu, a, at);
		EXPECT_UNMAPPED(gpu, a + at, len);
		EXPECT_MAPPED(gpu, a + tail, SIZE - tail);
		EXPECT_UNMAPPED(gpu, b + at, len);
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, b + at, len, 0));
		EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(a + at, 1, 0x77)));
		EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, b + at, 1, 0x77));
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_BYTES(gpu, b, at, 0xff);
			EXPECT_DEVICE_BYTES(gpu, a + tail, SIZE - tail, 0xff));
	}
	close(fd);
}

/*
 * Behaviours 81, 122: a page that the CPU has only read is clean, but may be written through its
 * page table entry: that the device wrote is known from the mirror alone, and told when the
 * entry goes. Each way in which it goes.
 */
TEST_F(memfd, dirty_when_dropped)
{
	struct gpu *gpu = &self->gpu;
	int fd = gpu_memfd(3 * GPU_PAGE);
	uint8_t *p = gpu_map(3 * GPU_PAGE, RW, MAP_SHARED, fd, 0), *other;
	unsigned int way;

	other = gpu_map(3 * GPU_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	for (way = 0; way < 4; way++) {
		ASSERT_EQ(0, madvise(p, 3 * GPU_PAGE, MADV_REMOVE));
		EXPECT_BYTES(p, 3 * GPU_PAGE, 0);
		EXPECT_BYTES(other, 3 * GPU_PAGE, 0);
		if (page_dirty(other + GPU_PAGE))
			SKIP(return, "this kernel makes new pages of shared memory dirty");
		EXPECT_DEVICE_BYTES(gpu, p, 3 * GPU_PAGE, 0);
		EXPECT_ENTRIES(gpu, p, 3 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
		EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p + GPU_PAGE, 8, ~0ULL)));
		EXPECT_ENTRIES(gpu, p + GPU_PAGE, GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
		switch (way) {
		case 0:
			ASSERT_EQ(0, munmap(p, 3 * GPU_PAGE));
			break;
		case 1:
			ASSERT_EQ(0, mprotect(p, 3 * GPU_PAGE, PROT_READ));
			break;
		case 2:
			ASSERT_EQ(0, madvise(p, 3 * GPU_PAGE, MADV_DONTNEED));
			break;
		case 3:
			/* The entry is not the CPU's doing: the VM goes. */
			ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, gpu->queue));
			ASSERT_EQ(0, fakegpu_vm_destroy(gpu->fd, gpu->vm));
			gpu->queue = 0;
			gpu->vm = 0;
			break;
		}
		EXPECT_FALSE(page_dirty(other))
			TH_LOG("way %u", way);
		EXPECT_TRUE(page_dirty(other + GPU_PAGE))
			TH_LOG("way %u", way);
		EXPECT_FALSE(page_dirty(other + 2 * GPU_PAGE))
			TH_LOG("way %u", way);
		ASSERT_EQ(p, mmap(p, 3 * GPU_PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
		EXPECT_BYTES(p + GPU_PAGE, 8, 0xff);
	}
	close(fd);
}

/* Behaviours 16, 83: a sealed file: what it refuses leaves the mirror alone */
TEST_F(memfd, seals)
{
	struct gpu *gpu = &self->gpu;
	int fd = memfd_create("fakegpu-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *p, *ro;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, SIZE));
	p = gpu_map(SIZE, RW, MAP_SHARED, fd, 0);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL));
	/* The device's entry is no writable mapping of its own; the process's VMA is. */
	EXPECT_EQ(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-1, ftruncate(fd, GPU_PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0)));

	ro = gpu_map(SIZE, PROT_READ, MAP_SHARED, fd, 0);
	EXPECT_FATAL(gpu, fakegpu_fill(ro, 8, ~0ULL), EPERM, ro, WRITE);
	EXPECT_DEVICE_BYTES(gpu, ro, SIZE, 0);
	EXPECT_ENTRIES(gpu, ro, SIZE, 0, gpu->info.page_shift, SYSTEM);
	ASSERT_EQ(0, munmap(p, SIZE));
	/* With the VMA gone, entries and all, nobody can write. */
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_DEVICE_BYTES(gpu, ro, SIZE, 0);
	EXPECT_FATAL(gpu, fakegpu_fill(ro, 8, ~0ULL), EPERM, ro, WRITE);
	close(fd);
}

/* Behaviour 82: System V shared memory, removed while it is attached, read-only elsewhere */
TEST_F(memfd, sysv)
{
	struct gpu *gpu = &self->gpu;
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	uint8_t *p, *ro;

	ASSERT_LE(0, id);
	p = shmat(id, gpu_va(SIZE, 0), 0);
	ro = shmat(id, gpu_va(SIZE, 0), SHM_RDONLY);
	ASSERT_EQ(0, shmctl(id, IPC_RMID, NULL));
	ASSERT_NE((void *)-1, p);
	ASSERT_NE((void *)-1, ro);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x2525252525252525));
	EXPECT_DEVICE_BYTES(gpu, ro, SIZE, 0x25);
	EXPECT_BYTES(ro, SIZE, 0x25);
	EXPECT_FATAL(gpu, fakegpu_fill(ro + 1, 8, 0), EPERM, ro + 1, WRITE);
	EXPECT_DELTA(gpu, pages_cleared, PAGES, ASSERT_EQ(0, shmdt(p)));
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EFAULT, p, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, ro, SIZE, 0x25));
	ASSERT_EQ(0, shmdt(ro));
	EXPECT_UNMAPPED(gpu, ro, SIZE);
}

/* Set a number in /proc or /sys. Return: the old one, or -1. */
static long set_number(const char *path, long value)
{
	char text[32] = "";
	int fd = open(path, O_RDWR | O_CLOEXEC);
	long old = -1;

	if (fd < 0)
		return -1;
	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		old = atol(text);
	snprintf(text, sizeof(text), "%ld\n", value);
	if (write(fd, text, strlen(text)) < 0)
		old = -1;
	close(fd);
	return old;
}

#define NR_HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

/* Behaviours 83, 84, 77: a file of huge pages: holes and truncation by 2 MiB, large leaves */
TEST_F(memfd, hugetlb)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 3 * GPU_SZ_2M;
	long old = set_number(NR_HUGEPAGES, 5);
	int fd = memfd_create("fakegpu-test", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	uint8_t *p = NULL, *priv = NULL;

	if (old >= 0 && fd >= 0 && !ftruncate(fd, size)) {
		p = mmap(gpu_va(size, 0), size, RW, MAP_SHARED | MAP_FIXED, fd, 0);
		priv = mmap(gpu_va(size, 0), GPU_SZ_2M, RW, MAP_PRIVATE | MAP_FIXED, fd, 0);
	}
	if (!p || p == MAP_FAILED || priv == MAP_FAILED) {
		set_number(NR_HUGEPAGES, old);
		SKIP(return, "no memory for huge pages");
	}
	EXPECT_FAULTS(gpu, 3, EXPECT_RUN(gpu, fakegpu_fill(p, size, 0x3131313131313131)));
	EXPECT_ENTRIES(gpu, p, size, GPU_WD, gpu->info.leaf_shift, SYSTEM);

	/* Private: read-only until it is written, and then a copy. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, priv, GPU_SZ_2M, 0x31));
	EXPECT_ENTRIES(gpu, priv, GPU_SZ_2M, 0, gpu->info.leaf_shift, SYSTEM);
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(priv + 5, 1, 0x55)));
	EXPECT_ENTRIES(gpu, priv, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_EQ(0x31, p[5]);
	EXPECT_EQ(0x55, priv[5]);

	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, GPU_SZ_2M,
			       GPU_SZ_2M));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 2 * GPU_SZ_2M, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, p + GPU_SZ_2M, GPU_SZ_2M);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p + GPU_SZ_2M, GPU_SZ_2M, 0));
	/* Less than a huge page is zeroed in place. */
	EXPECT_RUN(gpu, fakegpu_fill(p + GPU_SZ_2M, GPU_SZ_2M, ~0ULL));
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       GPU_SZ_2M + 7 * GPU_PAGE, GPU_PAGE));
	EXPECT_DEVICE_BYTES(gpu, p + GPU_SZ_2M, 7 * GPU_PAGE, 0xff);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_SZ_2M + 7 * GPU_PAGE, GPU_PAGE, 0);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_SZ_2M + 8 * GPU_PAGE, GPU_SZ_2M - 8 * GPU_PAGE, 0xff);

	ASSERT_EQ(0, ftruncate(fd, GPU_SZ_2M));
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_UNMAPPED(gpu, p + GPU_SZ_2M, 2 * GPU_SZ_2M);
	EXPECT_FATAL(gpu, fakegpu_fill(p, size, 0), EFAULT, p + GPU_SZ_2M, WRITE);
	EXPECT_EQ((uint64_t)GPU_SZ_2M, (uint64_t)gpu->fatal.queue.cmd_done);
	ASSERT_EQ(0, ftruncate(fd, size));
	EXPECT_DEVICE_BYTES(gpu, p, size, 0);
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	ASSERT_EQ(0, munmap(p, size));
	ASSERT_EQ(0, munmap(priv, GPU_SZ_2M));
	close(fd);
	set_number(NR_HUGEPAGES, old);
}

TEST_HARNESS_MAIN
