// SPDX-License-Identifier: GPL-2.0
/*
 * Memory under userfaultfd. HMM on these kernels doesn't wait for who handles
 * the faults: the device gets an error where the CPU would wait, and works once
 * the page is there. What userfaultfd takes away has to leave the mirror.
 */
#include "fakegpu_test.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* Newer than the headers that this may be compiled with. */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON	(1 << 14)
#define _UFFDIO_POISON		(0x08)

struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};

#define UFFDIO_POISON		_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
#define _UFFDIO_MOVE		(0x05)

struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};

#define UFFDIO_MOVE		_IOWR(UFFDIO, _UFFDIO_MOVE, struct uffdio_move)
#endif

#define PAGES	16UL
#define SIZE	(PAGES * GPU_PAGE)
#define RW	(PROT_READ | PROT_WRITE)

GPU_FIXTURE(uffd);

/* Return: a userfaultfd with these features, or -1 with *@why. */
static int do_open(uint64_t features, const char **why)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		*why = "no userfaultfd";
		return -1;
	}
	api.features = features;
	if (ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		*why = "this kernel's userfaultfd can't do that";
		return -1;
	}
	return fd;
}

static int do_register(int fd, void *p, size_t size, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { .start = fakegpu_va(p), .len = size },
		.mode = mode,
	};

	return ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static int do_unregister(int fd, void *p, size_t size)
{
	struct uffdio_range range = { .start = fakegpu_va(p), .len = size };

	return ioctl(fd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
}

static int do_copy(int fd, void *to, const void *from, size_t size)
{
	struct uffdio_copy copy = {
		.dst = fakegpu_va(to), .src = fakegpu_va(from), .len = size,
	};

	return ioctl(fd, UFFDIO_COPY, &copy) ? -errno : 0;
}

static int do_zero(int fd, void *to, size_t size)
{
	struct uffdio_zeropage zero = {
		.range = { .start = fakegpu_va(to), .len = size },
	};

	return ioctl(fd, UFFDIO_ZEROPAGE, &zero) ? -errno : 0;
}

static int do_protect(int fd, void *p, size_t size, bool on)
{
	struct uffdio_writeprotect protect = {
		.range = { .start = fakegpu_va(p), .len = size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &protect) ? -errno : 0;
}

static int do_continue(int fd, void *p, size_t size)
{
	struct uffdio_continue cont = {
		.range = { .start = fakegpu_va(p), .len = size },
	};

	return ioctl(fd, UFFDIO_CONTINUE, &cont) ? -errno : 0;
}

static int do_move(int fd, void *to, void *from, size_t size)
{
	struct uffdio_move move = {
		.dst = fakegpu_va(to), .src = fakegpu_va(from), .len = size,
	};

	while (ioctl(fd, UFFDIO_MOVE, &move)) {
		if (errno != EAGAIN)
			return -errno;
		/* Go on behind what has been moved. */
		if (move.move > 0) {
			move.dst += move.move;
			move.src += move.move;
			move.len -= move.move;
		}
		move.move = 0;
	}
	return 0;
}

/* Nobody waits: the device's faults are not told to who handles the CPU's. */
static bool is_silent(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 0;
}

#define UFFD_OPEN(fd, features) do { \
	const char *why_; \
	fd = do_open(features, &why_); \
	if (fd < 0) \
		SKIP(return, "%s", why_); \
} while (0)

/* Behaviour 120: a page that is missing is an error for the device, exactly there; then not */
TEST_F(uffd, missing)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *src = gpu_map_anon(SIZE), *dst = gpu_map_anon(SIZE);
	uint8_t *miss = p + 3 * GPU_PAGE;
	uint64_t done;
	int fd;

	gpu_pattern(src, SIZE, 120);
	gpu_pattern(p, 3 * GPU_PAGE, 120);
	UFFD_OPEN(fd, 0);
	ASSERT_EQ(0, do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING));
	memset(dst, 0x11, SIZE);

	EXPECT_FATAL(gpu, fakegpu_copy(dst, p, SIZE), EFAULT, miss, READ);
	EXPECT_EQ(3 * GPU_PAGE, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_PATTERN(dst, 3 * GPU_PAGE, 120);
	EXPECT_BYTES(dst + 3 * GPU_PAGE, SIZE - 3 * GPU_PAGE, 0x11);
	EXPECT_FATAL(gpu, fakegpu_fill(miss + 5, 1, 0), EFAULT, miss + 5, WRITE);
	EXPECT_FATAL(gpu, fakegpu_atomic(miss, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL), EFAULT,
		     miss, ATOMIC);
	EXPECT_EQ(-EFAULT, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, &done));
	EXPECT_EQ(3 * GPU_PAGE, done);
	EXPECT_DELTA(gpu, faults_nofault, PAGES - 3,
		EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT)));
	EXPECT_ENTRIES(gpu, p, 3 * GPU_PAGE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, miss, SIZE - 3 * GPU_PAGE);
	EXPECT_TRUE(is_silent(fd));
	EXPECT_FALSE(gpu_cpu_present(miss));

	/* A page of content, a page of zeros. */
	ASSERT_EQ(0, do_copy(fd, miss, src + 3 * GPU_PAGE, GPU_PAGE));
	ASSERT_EQ(0, do_zero(fd, miss + GPU_PAGE, GPU_PAGE));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, 4 * GPU_PAGE, 120));
	EXPECT_ENTRIES(gpu, miss + GPU_PAGE, GPU_PAGE, 0, gpu->info.page_shift, ZERO);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, miss + GPU_PAGE, GPU_PAGE, 0));
	EXPECT_FATAL(gpu, fakegpu_checksum(p, SIZE, NULL), EFAULT, miss + 2 * GPU_PAGE, READ);
	/* A page of zeros isn't missing: it may be written. */
	EXPECT_RUN(gpu, fakegpu_fill(miss + GPU_PAGE, 8, ~0ULL));
	EXPECT_BYTES(miss + GPU_PAGE, 8, 0xff);

	ASSERT_EQ(0, do_copy(fd, miss + 2 * GPU_PAGE, src + 5 * GPU_PAGE, SIZE - 5 * GPU_PAGE));
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 5 * GPU_PAGE, SIZE - 5 * GPU_PAGE, 120, 5 * GPU_PAGE);
	EXPECT_TRUE(is_silent(fd));
	close(fd);
}

/* Behaviour 120: pages given back under a device mapping are missing again */
TEST_F(uffd, missing_after_dontneed)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *src = gpu_map_anon(SIZE);
	const size_t at = 5 * GPU_PAGE, len = 2 * GPU_PAGE;
	int fd, i;

	gpu_pattern(src, SIZE, 120);
	UFFD_OPEN(fd, 0);
	ASSERT_EQ(0, do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, do_copy(fd, p, src, SIZE));
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 120);
	for (i = 0; i < 10; i++) {
		EXPECT_DELTA(gpu, pages_cleared, 2,
			     ASSERT_EQ(0, madvise(p + at, len, MADV_DONTNEED)));
		EXPECT_FATAL(gpu, fakegpu_fill(p + at, 1, 0), EFAULT, p + at, WRITE);
		EXPECT_FAULTS(gpu, 0,
			EXPECT_DEVICE_PATTERN(gpu, p, at, 120);
			EXPECT_DEVICE_PATTERN_AT(gpu, p + at + len, SIZE - at - len, 120,
						 at + len));
		ASSERT_EQ(0, do_copy(fd, p + at, src + at, len));
		EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, p + at, len, 120, at));
	}
	close(fd);
}

struct handler {
	int fd;
	uint8_t *p;
	uint8_t *src;
	volatile int stop;
	volatile unsigned long handled;
	bool failed;
};

/* Handles the CPU's faults as a program would: copies the page. */
static void *handler(void *arg)
{
	struct handler *h = arg;
	struct pollfd poll_fd = { .fd = h->fd, .events = POLLIN };
	struct uffd_msg msg;

	while (!h->stop) {
		size_t at;

		if (poll(&poll_fd, 1, 100) <= 0 || read(h->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		at = (msg.arg.pagefault.address & ~(GPU_PAGE - 1)) - fakegpu_va(h->p);
		/* The copy wakes who waits, so count before. */
		h->handled++;
		if (do_copy(h->fd, h->p + at, h->src + at, GPU_PAGE))
			h->failed = true;
	}
	return NULL;
}

/* Behaviour 120: with a handler: the CPU's touch brings the page, the device doesn't wait */
TEST_F(uffd, missing_handler)
{
	struct gpu *gpu = &self->gpu;
	struct handler h = { .p = gpu_map_anon(SIZE), .src = gpu_map_anon(SIZE) };
	pthread_t thread;
	size_t i;

	gpu_pattern(h.src, SIZE, 120);
	UFFD_OPEN(h.fd, 0);
	ASSERT_EQ(0, do_register(h.fd, h.p, SIZE, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, pthread_create(&thread, NULL, handler, &h));
	for (i = 0; i < PAGES; i++) {
		uint8_t *page = h.p + i * GPU_PAGE;

		EXPECT_FATAL(gpu, fakegpu_touch(page, 1, 1, 0), EFAULT, page, READ);
		EXPECT_EQ(i, h.handled);
		EXPECT_EQ(gpu_pattern_byte(120, i * GPU_PAGE), *(volatile uint8_t *)page);
		EXPECT_DEVICE_PATTERN_AT(gpu, page, GPU_PAGE, 120, i * GPU_PAGE);
	}
	h.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(h.failed);
	EXPECT_EQ(PAGES, h.handled);
	EXPECT_DEVICE_PATTERN(gpu, h.p, SIZE, 120);
	close(h.fd);
}

/* Behaviour 120: shared memory, registered after the device has mapped some of it */
TEST_F(uffd, missing_shared)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *src = gpu_map_anon(SIZE);
	int mem = gpu_memfd(SIZE), fd;

	gpu_pattern(src, SIZE, 120);
	p = gpu_map(SIZE, RW, MAP_SHARED, mem, 0);
	EXPECT_RUN(gpu, fakegpu_copy(p, src, 2 * GPU_PAGE));
	UFFD_OPEN(fd, 0);
	if (do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING))
		SKIP(return, "userfaultfd can't do shared memory");
	/* What is there isn't missing. */
	EXPECT_DEVICE_PATTERN(gpu, p, 2 * GPU_PAGE, 120);
	EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, SIZE - GPU_PAGE, 0), EFAULT,
		     p + 2 * GPU_PAGE, WRITE);
	ASSERT_EQ(0, do_copy(fd, p + 2 * GPU_PAGE, src + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE));
	EXPECT_DEVICE_PATTERN_AT(gpu, p + 2 * GPU_PAGE, SIZE - 2 * GPU_PAGE, 120, 2 * GPU_PAGE);
	close(fd);
	close(mem);
}

/* Behaviour 120: write protection takes the device's entries, exactly, and comes off again */
TEST_F(uffd, wp)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *mid = p + 6 * GPU_PAGE, *tail = p + 9 * GPU_PAGE;
	int fd;

	UFFD_OPEN(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x1111111111111111));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 3, ASSERT_EQ(0, do_protect(fd, mid, tail - mid, true)));
	EXPECT_ENTRIES(gpu, p, mid - p, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_UNMAPPED(gpu, mid, tail - mid);
	EXPECT_ENTRIES(gpu, tail, p + SIZE - tail, GPU_WD, gpu->info.page_shift, SYSTEM);

	/* Cold, and then with a read-only entry there. The VMA allows writes: it isn't EPERM. */
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, ~0ULL), EFAULT, mid, WRITE);
	EXPECT_EQ((uint64_t)(mid - p), (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, mid, tail - mid, 0x11));
	EXPECT_ENTRIES(gpu, mid, tail - mid, 0, gpu->info.page_shift, SYSTEM);
	EXPECT_FATAL(gpu, fakegpu_fill(mid + 7, 1, 0), EFAULT, mid + 7, WRITE);
	EXPECT_FATAL(gpu, fakegpu_atomic(tail - 8, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL),
		     EFAULT, tail - 8, ATOMIC);
	EXPECT_DELTA(gpu, faults_nofault, 3,
		EXPECT_RUN(gpu, fakegpu_touch(p, SIZE, 512,
					      DRM_FAKEGPU_CMD_NOFAULT | DRM_FAKEGPU_CMD_WRITE)));
	EXPECT_BYTES(mid, tail - mid, 0x11);
	EXPECT_TRUE(is_silent(fd));

	ASSERT_EQ(0, do_protect(fd, mid, tail - mid, false));
	EXPECT_RUN(gpu, fakegpu_fill(mid, tail - mid, 0x2222222222222222));
	EXPECT_BYTES(mid, tail - mid, 0x22);
	EXPECT_BYTES(p, mid - p, 0xff);
	EXPECT_BYTES(tail, p + SIZE - tail, 0x11);
	close(fd);
}

/* Behaviour 120: the same with shared memory, of which another mapping stays writable */
TEST_F(uffd, wp_shared)
{
	struct gpu *gpu = &self->gpu;
	int mem = gpu_memfd(SIZE), fd;
	uint8_t *p = gpu_map(SIZE, RW, MAP_SHARED, mem, 0);
	uint8_t *other = gpu_map(SIZE, RW, MAP_SHARED, mem, 0);

	UFFD_OPEN(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP))
		SKIP(return, "userfaultfd can't write-protect shared memory");
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, ~0ULL), fakegpu_fill(other, 1, 1));
	ASSERT_EQ(0, do_protect(fd, p, SIZE, true));
	EXPECT_UNMAPPED(gpu, p, SIZE);
	EXPECT_FATAL(gpu, fakegpu_fill(p, 8, 0), EFAULT, p, WRITE);
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(other, 1, 2)));
	EXPECT_DEVICE_BYTES(gpu, p, 1, 2);
	EXPECT_DEVICE_BYTES(gpu, p + 1, SIZE - 1, 0xff);
	ASSERT_EQ(0, do_protect(fd, p, SIZE, false));
	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0));
	EXPECT_BYTES(other, SIZE, 0);
	close(fd);
	close(mem);
}

/* Behaviours 120, 78: write protection of a huge page, all of it and a page of it */
TEST_F(uffd, wp_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p, *mid;
	int fd;

	GPU_MAP_HUGE(p, GPU_SZ_2M);
	mid = p + 100 * GPU_PAGE;
	gpu_pattern(p, GPU_SZ_2M, 120);
	UFFD_OPEN(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, do_register(fd, p, GPU_SZ_2M, UFFDIO_REGISTER_MODE_WP));
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 512,
		     ASSERT_EQ(0, do_protect(fd, p, GPU_SZ_2M, true)));
	EXPECT_UNMAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_FATAL(gpu, fakegpu_fill(mid, 1, 0), EFAULT, mid, WRITE);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 120);
	ASSERT_EQ(0, do_protect(fd, p, GPU_SZ_2M, false));
	EXPECT_RUN(gpu, fakegpu_touch(p, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));

	/* Splits the page: the other 511 may be written as before. */
	ASSERT_EQ(0, do_protect(fd, mid, GPU_PAGE, true));
	EXPECT_FATAL(gpu, fakegpu_fill(mid + 1, 1, 0), EFAULT, mid + 1, WRITE);
	EXPECT_RUN(gpu, fakegpu_touch(p, mid - p, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_touch(mid + GPU_PAGE, p + GPU_SZ_2M - mid - GPU_PAGE, GPU_PAGE,
				 DRM_FAKEGPU_CMD_WRITE));
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_SZ_2M, 120);
	EXPECT_MAPPED(gpu, p, GPU_SZ_2M);
	EXPECT_ENTRIES(gpu, mid, GPU_PAGE, 0, gpu->info.page_shift, SYSTEM);
	close(fd);
}

struct protector {
	int fd;
	uint8_t *p;
	volatile uint64_t *word;
	volatile unsigned long refused;	/* device writes that failed so far */
	volatile int stop;
	unsigned long rounds;
	unsigned long changed;	/* times that a protected page changed */
	bool failed;
};

/* As a snapshot would be taken: protect, look twice with device writes between, let go. */
static void *protector(void *arg)
{
	struct protector *w = arg;

	while (!w->stop) {
		unsigned long refused;
		uint64_t first;

		if (do_protect(w->fd, w->p, GPU_PAGE, true))
			w->failed = true;
		first = *w->word;
		refused = w->refused;
		while (!w->stop && w->refused < refused + 2)
			usleep(100);
		if (*w->word != first)
			w->changed++;
		if (do_protect(w->fd, w->p, GPU_PAGE, false))
			w->failed = true;
		w->rounds++;
		usleep(500);
	}
	return NULL;
}

/* Behaviour 120: write protection during atomics: nothing goes through, nothing is lost */
TEST_F(uffd, wp_busy)
{
	struct gpu *gpu = &self->gpu;
	struct protector w = { .p = gpu_map_anon(GPU_PAGE) };
	const int64_t end = gpu_now() + GPU_WAIT_NS;
	struct drm_fakegpu_cmd cmd;
	struct drm_fakegpu_queue_get_state state;
	uint64_t sum = 0, i;
	pthread_t thread;
	uint32_t queue;
	int ret;

	w.word = (uint64_t *)w.p;
	*w.word = 0;
	cmd = fakegpu_atomic(w.p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	UFFD_OPEN(w.fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, do_register(w.fd, w.p, GPU_PAGE, UFFDIO_REGISTER_MODE_WP));
	queue = gpu_queue(gpu);
	ASSERT_EQ(0, pthread_create(&thread, NULL, protector, &w));
	for (i = 0; i < 200 || (w.rounds < 30 && gpu_now() < end); i++) {
		ret = gpu_run_on(gpu, queue, &cmd, 1);
		if (!ret) {
			sum++;
			continue;
		}
		ASSERT_EQ(-EIO, ret);
		ASSERT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
		EXPECT_EQ((uint32_t)EFAULT, state.error);
		w.refused++;
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		queue = gpu_queue(gpu);
	}
	w.stop = 1;
	pthread_join(thread, NULL);
	EXPECT_FALSE(w.failed);
	EXPECT_EQ(0UL, w.changed);
	EXPECT_LE(30UL, w.rounds);
	EXPECT_EQ(sum, *w.word);
	TH_LOG("%lu rounds, %llu written, %lu refused", w.rounds, (unsigned long long)sum,
	       w.refused);
	ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
	close(w.fd);
}

/* Behaviour 120: minor faults: in the page cache, but not to be mapped before it is said */
TEST_F(uffd, minor)
{
	struct gpu *gpu = &self->gpu;
	int mem = gpu_memfd(SIZE), fd;
	uint8_t *p = gpu_map(SIZE, RW, MAP_SHARED, mem, 0);
	uint8_t *other = gpu_map(SIZE, RW, MAP_SHARED, mem, 0);
	const size_t done = 3 * GPU_PAGE;

	UFFD_OPEN(fd, UFFD_FEATURE_MINOR_SHMEM);
	ASSERT_EQ(0, do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_MINOR));
	gpu_pattern(other, SIZE, 120);
	EXPECT_FATAL(gpu, fakegpu_touch(p, 1, 1, 0), EFAULT, p, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p + 9, 1, 0), EFAULT, p + 9, WRITE);
	EXPECT_DEVICE_PATTERN(gpu, other, SIZE, 120);
	EXPECT_TRUE(is_silent(fd));
	EXPECT_UNMAPPED(gpu, p, SIZE);

	ASSERT_EQ(0, do_continue(fd, p, done));
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN(gpu, p, done, 120));
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0x3333333333333333), EFAULT, p + done, WRITE);
	EXPECT_EQ((uint64_t)done, (uint64_t)gpu->fatal.queue.cmd_done);
	EXPECT_BYTES(other, done, 0x33);
	ASSERT_EQ(0, do_continue(fd, p + done, SIZE - done));
	EXPECT_DEVICE_PATTERN_AT(gpu, p + done, SIZE - done, 120, done);
	close(fd);
	close(mem);
}

/* Behaviour 120: pages moved from under the device: gone there, and here with their content */
TEST_F(uffd, move)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *src = gpu_map_anon(SIZE), *dst = gpu_map_anon(SIZE);
	const size_t at = 4 * GPU_PAGE, len = 5 * GPU_PAGE, tail = at + len;
	int fd;

	UFFD_OPEN(fd, UFFD_FEATURE_MOVE);
	ASSERT_EQ(0, do_register(fd, dst, SIZE, UFFDIO_REGISTER_MODE_MISSING));
	gpu_pattern(src, SIZE, 120);
	EXPECT_RUN(gpu, fakegpu_fill(src + at + 100, 50, ~0ULL),
		   fakegpu_touch(src, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_FATAL(gpu, fakegpu_touch(dst + at, 1, 1, 0), EFAULT, dst + at, READ);
	EXPECT_DELTA(gpu, pages_cleared, len / GPU_PAGE,
		     ASSERT_EQ(0, do_move(fd, dst + at, src + at, len)));
	EXPECT_MAPPED(gpu, src, at);
	EXPECT_UNMAPPED(gpu, src + at, len);
	EXPECT_MAPPED(gpu, src + tail, SIZE - tail);
	EXPECT_UNMAPPED(gpu, dst, SIZE);

	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_PATTERN_AT(gpu, dst + at, 100, 120, at));
	EXPECT_FAULTS(gpu, 0,
		EXPECT_DEVICE_BYTES(gpu, dst + at + 100, 50, 0xff);
		EXPECT_DEVICE_PATTERN_AT(gpu, dst + at + 150, len - 150, 120, at + 150));
	/* The source isn't registered: there are zeros now. The destination lacks the rest. */
	EXPECT_FAULTS(gpu, 1, EXPECT_DEVICE_BYTES(gpu, src + at, len, 0));
	EXPECT_FATAL(gpu, fakegpu_touch(dst + tail, 1, 1, 0), EFAULT, dst + tail, READ);
	/* Both go on apart. */
	EXPECT_RUN(gpu, fakegpu_fill(src + at, len, 0), fakegpu_fill(dst + at, 8, 0));
	EXPECT_BYTES(dst + at, 8, 0);
	EXPECT_PATTERN_AT(dst + at + 8, 92, 120, at + 8);
	close(fd);
}

/* Behaviours 120, 78: a huge page is moved as one, from one large leaf to another */
TEST_F(uffd, move_huge)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *src, *dst = gpu_map(GPU_SZ_2M, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	GPU_MAP_HUGE(src, GPU_SZ_2M);
	gpu_pattern(src, GPU_SZ_2M, 120);
	UFFD_OPEN(fd, UFFD_FEATURE_MOVE);
	ASSERT_EQ(0, do_register(fd, dst, GPU_SZ_2M, UFFDIO_REGISTER_MODE_MISSING));
	EXPECT_RUN(gpu, fakegpu_fill(src + 5, 1, 0x44));
	EXPECT_ENTRIES(gpu, src, GPU_SZ_2M, GPU_WD, gpu->info.leaf_shift, SYSTEM);
	EXPECT_DELTA(gpu, pages_cleared, 512,
		     ASSERT_EQ(0, do_move(fd, dst, src, GPU_SZ_2M)));
	EXPECT_UNMAPPED(gpu, src, GPU_SZ_2M);
	EXPECT_DEVICE_PATTERN(gpu, dst, 5, 120);
	EXPECT_DEVICE_BYTES(gpu, dst + 5, 1, 0x44);
	EXPECT_DEVICE_PATTERN_AT(gpu, dst + 6, GPU_SZ_2M - 6, 120, 6);
	EXPECT_DEVICE_BYTES(gpu, src, GPU_SZ_2M, 0);
	close(fd);
}

/* Behaviours 120, 92: a page that was declared poisoned */
TEST_F(uffd, poison)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *bad = p + 2 * GPU_PAGE;
	struct uffdio_poison poison = {
		.range = { .start = fakegpu_va(bad), .len = GPU_PAGE },
	};
	int fd;

	UFFD_OPEN(fd, UFFD_FEATURE_POISON);
	gpu_pattern(p, 2 * GPU_PAGE, 120);
	ASSERT_EQ(0, do_register(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, ioctl(fd, UFFDIO_POISON, &poison));
	ASSERT_EQ(0, do_zero(fd, bad + GPU_PAGE, SIZE - 3 * GPU_PAGE));
	EXPECT_FATAL(gpu, fakegpu_checksum(p, SIZE, NULL), EFAULT, bad, READ);
	EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, SIZE - GPU_PAGE, 0), EFAULT, bad, WRITE);
	EXPECT_DEVICE_PATTERN(gpu, p, GPU_PAGE, 120);
	EXPECT_DEVICE_BYTES(gpu, p + GPU_PAGE, GPU_PAGE, 0);
	EXPECT_DEVICE_BYTES(gpu, bad + GPU_PAGE, SIZE - 3 * GPU_PAGE, 0);
	EXPECT_UNMAPPED(gpu, bad, GPU_PAGE);
	/* Given back, it is missing as any other. */
	ASSERT_EQ(0, madvise(bad, GPU_PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, do_zero(fd, bad, GPU_PAGE));
	EXPECT_DEVICE_BYTES(gpu, bad, GPU_PAGE, 0);
	close(fd);
}

/* Behaviour 120: without userfaultfd, or with it closed, memory is as any other */
TEST_F(uffd, unregister)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *half = p + SIZE / 2;
	int fd;

	UFFD_OPEN(fd, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	ASSERT_EQ(0, do_register(fd, p, SIZE,
				   UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP));
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EFAULT, p, WRITE);
	ASSERT_EQ(0, do_unregister(fd, p, SIZE / 2));
	EXPECT_FAULTS(gpu, 1, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE / 2, ~0ULL)));
	EXPECT_FATAL(gpu, fakegpu_fill(p, SIZE, 0), EFAULT, half, WRITE);
	EXPECT_EQ(SIZE / 2, (uint64_t)gpu->fatal.queue.cmd_done);

	/* Protected, and then the protection goes with its descriptor. */
	ASSERT_EQ(0, do_zero(fd, half, SIZE / 2));
	EXPECT_RUN(gpu, fakegpu_fill(half, SIZE / 2, ~0ULL));
	ASSERT_EQ(0, do_protect(fd, half, SIZE / 2, true));
	EXPECT_FATAL(gpu, fakegpu_fill(half, 8, 0), EFAULT, half, WRITE);
	close(fd);
	EXPECT_RUN(gpu, fakegpu_fill(half, SIZE / 2, 0x5656565656565656));
	EXPECT_BYTES(half, SIZE / 2, 0x56);
	EXPECT_BYTES(p, SIZE / 2, 0);
}

TEST_HARNESS_MAIN
