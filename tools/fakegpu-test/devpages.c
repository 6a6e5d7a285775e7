// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that another device has: its pages are device-private, or it has
 * exclusive access to them. The other device is the kernel's module test_hmm,
 * which only a debug kernel has. An access by fakegpu takes the pages back, as an
 * access by the CPU does, and fork() makes no difference to it.
 *
 * The bytes that count are written by the other device while it has the pages.
 */
#include "fakegpu_test_page.h"
#include "fakegpu_test_proc.h"

#include <pthread.h>
#include <sys/sysmacros.h>

#if __has_include("test_hmm_uapi.h")
#include "test_hmm_uapi.h"
#endif

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

FIXTURE(devpages) { struct gpu gpu; int other; uint8_t *buf; };

GPU_VARIANTS(devpages, 0);

#ifdef HMM_DMIRROR_MIGRATE_TO_DEV

/* Return: the first of the other devices, for this process; or a negative errno. */
static int other_open(void)
{
	const char *path = "/dev/hmm_dmirror0";
	unsigned int major;
	char line[64];
	FILE *f;
	int fd;

	if (access("/sys/module/test_hmm", F_OK) && system("modprobe test_hmm 2>/dev/null"))
		return -ENODEV;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	/* There is no node without a class for it. */
	f = fopen("/proc/devices", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%u HMM_DMIRROR", &major) == 1 && strstr(line, "HMM_DMIRROR"))
			mknod(path, S_IFCHR | 0600, makedev(major, 0));
	if (f)
		fclose(f);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Return: pages that it did, or a negative errno. @buf is what it reads to or writes from. */
static long other_do(int other, unsigned long what, uint8_t *p, size_t pages, uint8_t *buf)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = fakegpu_va(p),
		.ptr = fakegpu_va(buf),
		.npages = pages,
	};

	return ioctl(other, what, &cmd) ? -errno : (long)cmd.cpages;
}

/* How many of the pages does the other device have in its own memory? */
static size_t other_has(int other, uint8_t *p, size_t pages)
{
	uint8_t kinds[PAGES] = { 0 };
	size_t i, n = 0;

	if (other_do(other, HMM_DMIRROR_SNAPSHOT, p, pages, kinds) < 0)
		gpu_die("HMM_DMIRROR_SNAPSHOT: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		n += (kinds[i] & 0xf0) == HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL;
	return n;
}

#else /* HMM_DMIRROR_MIGRATE_TO_DEV */

#define HMM_DMIRROR_MIGRATE_TO_DEV	0
#define HMM_DMIRROR_WRITE		0
#define HMM_DMIRROR_EXCLUSIVE		0

static int other_open(void)
{
	return -EOPNOTSUPP;
}

static long other_do(int other, unsigned long what, uint8_t *p, size_t pages, uint8_t *buf)
{
	(void)other, (void)what, (void)p, (void)pages, (void)buf;
	return -EOPNOTSUPP;
}

static size_t other_has(int other, uint8_t *p, size_t pages)
{
	(void)other, (void)p, (void)pages;
	return 0;
}

#endif /* HMM_DMIRROR_MIGRATE_TO_DEV */

FIXTURE_SETUP(devpages)
{
	self->other = -1;
	GPU_SETUP(&self->gpu, &variant->conf);
	self->buf = gpu_map_anon(SIZE);
	self->other = other_open();
}

FIXTURE_TEARDOWN(devpages)
{
	if (self->other >= 0)
		close(self->other);
	GPU_TEARDOWN(&self->gpu);
}

#define SKIP_UNLESS_OTHER() do { \
	if (self->other == -EOPNOTSUPP) \
		SKIP(return, "built without test_hmm_uapi.h of a kernel source package"); \
	if (self->other < 0) \
		SKIP(return, "no test_hmm module (CONFIG_TEST_HMM): %s", \
		     strerror(-self->other)); \
} while (0)

/* The other device takes the pages into its memory, and then writes there. */
static void give_away(struct __test_metadata *_metadata, int other, uint8_t *p, uint8_t *buf,
		      uint8_t byte)
{
	ASSERT_EQ((long)PAGES, other_do(other, HMM_DMIRROR_MIGRATE_TO_DEV, p, PAGES, buf));
	memset(buf, byte, SIZE);
	ASSERT_EQ((long)PAGES, other_do(other, HMM_DMIRROR_WRITE, p, PAGES, buf));
	ASSERT_EQ(PAGES, other_has(other, p, PAGES));
}

/* Or it gets them for itself where they are, and then writes. */
static void make_exclusive(struct __test_metadata *_metadata, int other, uint8_t *p, uint8_t *buf,
			   uint8_t byte)
{
	ASSERT_EQ((long)PAGES, other_do(other, HMM_DMIRROR_EXCLUSIVE, p, PAGES, buf));
	memset(buf, byte, SIZE);
	/* This is an access by its mirror as any other, and leaves the pages where they are. */
	ASSERT_EQ((long)PAGES, other_do(other, HMM_DMIRROR_WRITE, p, PAGES, buf));
	ASSERT_EQ((long)PAGES, other_do(other, HMM_DMIRROR_EXCLUSIVE, p, PAGES, buf));
	EXPECT_BYTES(buf, SIZE, byte);
}

enum kind { KIND_PRIVATE, KIND_EXCLUSIVE };

static void hand_over(struct __test_metadata *_metadata, int other, uint8_t *p, uint8_t *buf,
		      enum kind kind, uint8_t byte)
{
	if (kind == KIND_PRIVATE)
		give_away(_metadata, other, p, buf, byte);
	else
		make_exclusive(_metadata, other, p, buf, byte);
}

static void check_taken_back(struct __test_metadata *_metadata, struct gpu *gpu, int other,
			     uint8_t *buf, enum kind kind)
{
	uint8_t *p = gpu_map_anon(SIZE);
	uint64_t done;

	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x11))));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	hand_over(_metadata, other, p, buf, kind, 0x69);
	EXPECT_UNMAPPED(gpu, p, SIZE);

	/* To look is not to take: what the other device has isn't there for us. */
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, SIZE,
				      &done));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	if (kind == KIND_PRIVATE)
		EXPECT_EQ(PAGES, other_has(other, p, PAGES));

	/* To read is to take, with one device fault for all. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x69));
	EXPECT_EQ(0UL, other_has(other, p, PAGES));
	EXPECT_MAPPED(gpu, p, SIZE);
	EXPECT_VERIFY(gpu);

	hand_over(_metadata, other, p, buf, kind, 0x96);
	EXPECT_UNMAPPED(gpu, p, SIZE);
	/* And so is to write; the rest of the window stays where it is until it's needed. */
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE / 2, BYTES(0x33))));
	EXPECT_MAPPED(gpu, p, SIZE / 2);
	EXPECT_UNMAPPED(gpu, p + SIZE / 2, SIZE / 2);
	if (kind == KIND_PRIVATE)
		EXPECT_EQ(PAGES / 2, other_has(other, p, PAGES));
	EXPECT_BYTES(p, SIZE / 2, 0x33);
	EXPECT_DEVICE_BYTES(gpu, p + SIZE / 2, SIZE / 2, 0x96);
	EXPECT_BYTES(p + SIZE / 2, SIZE / 2, 0x96);
}

/* Behaviours 69, 113: foreign device-private pages come back at an access, and only then */
TEST_F(devpages, private_taken_back)
{
	SKIP_UNLESS_OTHER();
	check_taken_back(_metadata, &self->gpu, self->other, self->buf, KIND_PRIVATE);
}

/* Behaviours 69, 115: exclusive access of another device ends at an access */
TEST_F(devpages, exclusive_taken_back)
{
	SKIP_UNLESS_OTHER();
	check_taken_back(_metadata, &self->gpu, self->other, self->buf, KIND_EXCLUSIVE);
}

/* For a child: CPU or device see @byte everywhere. */
static void child_sees(struct gpu *gpu, uint8_t *p, uint8_t byte)
{
	uint64_t crc;

	CHILD_CHECK(!gpu_device_crc(gpu, p, SIZE, &crc));
	CHILD_CHECK(crc == gpu_crc_byte(SIZE, byte));
	CHILD_CHECK(gpu_byte_diff(p, SIZE, byte) == SIZE);
}

static void child_fills(struct gpu *gpu, uint8_t *p, uint8_t byte)
{
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, BYTES(byte));

	CHILD_CHECK(!gpu_run(gpu, &cmd, 1));
}

/* The child's device is the first to come. */
static void check_fork_child_first(struct __test_metadata *_metadata, struct gpu *gpu, int other,
				   uint8_t *buf, enum kind kind)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x11)));
	hand_over(_metadata, other, p, buf, kind, 0x69);
	if (proc_fork(&child)) {
		struct gpu own;

		child_gpu(&own, &gpu->conf);
		child_sees(&own, p, 0x69);
		child_fills(&own, p, 0x22);
		child_sees(&own, p, 0x22);
		proc_say(&child, 'w');
		CHILD_CHECK(proc_hears(&child, 'x'));
		child_sees(&own, p, 0x22);
		_exit(gpu_verify(&own) != 0);
	}
	EXPECT_TRUE(proc_hears(&child, 'w'));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x69);
	EXPECT_BYTES(p, SIZE, 0x69);
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x33)));
	EXPECT_BYTES(p, SIZE, 0x33);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x33);
}

/* The parent's device is the first to come, and with a write. */
static void check_fork_parent_first(struct __test_metadata *_metadata, struct gpu *gpu, int other,
				    uint8_t *buf, enum kind kind)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x11)));
	hand_over(_metadata, other, p, buf, kind, 0x69);
	if (proc_fork(&child)) {
		struct gpu own;

		CHILD_CHECK(proc_hears(&child, 'x'));
		child_gpu(&own, &gpu->conf);
		child_sees(&own, p, 0x69);
		_exit(gpu_verify(&own) != 0);
	}
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, BYTES(0x33)));
	EXPECT_BYTES(p, SIZE, 0x33);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x33);
	/* The other device can have them again, and loses them again. */
	hand_over(_metadata, other, p, buf, kind, 0x96);
	EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x96);
}

/* Behaviour 69: fork() with device-private pages, the child's device writes first */
TEST_F(devpages, private_fork_child_first)
{
	SKIP_UNLESS_OTHER();
	check_fork_child_first(_metadata, &self->gpu, self->other, self->buf, KIND_PRIVATE);
}

/* Behaviour 69: fork() with device-private pages, the parent's device writes first */
TEST_F(devpages, private_fork_parent_first)
{
	SKIP_UNLESS_OTHER();
	check_fork_parent_first(_metadata, &self->gpu, self->other, self->buf, KIND_PRIVATE);
}

/* Behaviour 69: fork() with device-exclusive pages, the child's device writes first */
TEST_F(devpages, exclusive_fork_child_first)
{
	SKIP_UNLESS_OTHER();
	check_fork_child_first(_metadata, &self->gpu, self->other, self->buf, KIND_EXCLUSIVE);
}

/* Behaviour 69: fork() with device-exclusive pages, the parent's device writes first */
TEST_F(devpages, exclusive_fork_parent_first)
{
	SKIP_UNLESS_OTHER();
	check_fork_parent_first(_metadata, &self->gpu, self->other, self->buf, KIND_EXCLUSIVE);
}

/* The other device, which takes the pages again and again. */
struct taker {
	int other;
	enum kind kind;
	uint8_t *p;
	uint8_t *buf;
	volatile bool stop;
	pthread_t thread;
};

static void *taker_main(void *arg)
{
	struct taker *t = arg;

	while (!t->stop) {
		/* It may lose them before it has them all: that is an error for it, not for us. */
		other_do(t->other, t->kind == KIND_PRIVATE ? HMM_DMIRROR_MIGRATE_TO_DEV :
							     HMM_DMIRROR_EXCLUSIVE,
			 t->p, 4, t->buf);
		usleep(1000);
	}
	return NULL;
}

/* CPU and fakegpu add to the same words: what of it is lost on the way was copied wrong. */
static void check_race(struct __test_metadata *_metadata, struct gpu *gpu, int other,
		       uint8_t *buf, enum kind kind)
{
	struct taker t = { .other = other, .kind = kind, .buf = buf };
	int64_t end = gpu_now() + GPU_WAIT_NS;
	struct drm_fakegpu_cmd cmds[64];
	unsigned int round, i;
	uint64_t lost;

	t.p = gpu_map_anon(4 * GPU_PAGE);
	memset(t.p, 0, 4 * GPU_PAGE);
	for (i = 0; i < 64; i++)
		cmds[i] = fakegpu_atomic(t.p + i % 4 * GPU_PAGE, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0,
					 NULL);
	ASSERT_EQ(0, pthread_create(&t.thread, NULL, taker_main, &t));
	lost = gpu_state(gpu).pages_cleared;
	for (round = 0;
	     round < 50 || (gpu_state(gpu).pages_cleared < lost + 20 && gpu_now() < end);
	     round++) {
		uint64_t seqno;

		EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 64, &seqno));
		for (i = 0; i < 64; i++)
			__atomic_fetch_add((uint64_t *)(t.p + i % 4 * GPU_PAGE), 1,
					   __ATOMIC_RELAXED);
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	}
	t.stop = true;
	pthread_join(t.thread, NULL);
	/* It has taken pages that our device had. */
	EXPECT_LE(lost + 20, gpu_state(gpu).pages_cleared);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(32ULL * round, *(uint64_t *)(t.p + i * GPU_PAGE));
}

/* Behaviours 69, 103: device-private pages go to and fro while CPU and device add to them */
TEST_F(devpages, private_race)
{
	SKIP_UNLESS_OTHER();
	check_race(_metadata, &self->gpu, self->other, self->buf, KIND_PRIVATE);
}

/* Behaviours 69, 103: exclusive access is taken and lost while CPU and device add */
TEST_F(devpages, exclusive_race)
{
	SKIP_UNLESS_OTHER();
	check_race(_metadata, &self->gpu, self->other, self->buf, KIND_EXCLUSIVE);
}

TEST_HARNESS_MAIN
