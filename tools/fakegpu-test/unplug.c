// SPDX-License-Identifier: GPL-2.0
/*
 * The device goes away under its users: unbound from the driver while it is
 * idle, open and busy; and what refuses to go: the module, and a VM with queues.
 *
 * It is always the second device that goes, and it is back at the end of each
 * test. The fixture's own device and VM are the first one's, and must not
 * notice.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "fakegpu_test_proc.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

/* A sequence number that no queue here gets to. */
#define NEVER	1000

#define DRIVER	"/sys/bus/platform/drivers/fakegpu/"

/* Name of the second device on its bus. */
static char device[64];

static int driver_write(const char *file)
{
	char path[128];
	int fd, ret = 0;

	snprintf(path, sizeof(path), DRIVER "%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, device, strlen(device)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Return: 0 and the device's name, or -ENODEV if there is only one device. */
static int find_device(void)
{
	char node[64], path[128], target[256];
	struct stat st;
	ssize_t len;

	if (fakegpu_node(1, node, sizeof(node)) || stat(node, &st))
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device", major(st.st_rdev),
		 minor(st.st_rdev));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -ENODEV;
	target[len] = 0;
	snprintf(device, sizeof(device), "%s", strrchr(target, '/') + 1);
	return 0;
}

FIXTURE(unplug) {
	struct gpu gpu;
	struct proc guard;
	uint8_t *mine;
};

GPU_VARIANTS(unplug, 0);

FIXTURE_SETUP(unplug)
{
	if (find_device())
		SKIP(return, "there is no second device: load fakegpu.ko with num_devices=2");
	/* Brings the device back, also if the test dies. It has no file of a device open. */
	if (proc_fork(&self->guard)) {
		prctl(PR_SET_PDEATHSIG, 0);
		proc_hears(&self->guard, 'x');
		driver_write("bind");
		_exit(0);
	}
	GPU_SETUP(&self->gpu, &variant->conf);
	self->mine = gpu_map_anon(SIZE);
	gpu_pattern(self->mine, SIZE, 100);
	EXPECT_DEVICE_PATTERN(&self->gpu, self->mine, SIZE, 100);
}

FIXTURE_TEARDOWN(unplug)
{
	/* The first device's VM is as it was, and needs no new fault. */
	EXPECT_FAULTS(&self->gpu, 0, EXPECT_DEVICE_PATTERN(&self->gpu, self->mine, SIZE, 100));
	EXPECT_WORKS(&self->gpu);
	GPU_TEARDOWN(&self->gpu);
	proc_say(&self->guard, 'x');
	EXPECT_EQ(0, proc_wait(&self->guard));
	EXPECT_EQ(2, fakegpu_count());
}

/* The second device is there, is empty and works. */
static void expect_fresh(struct __test_metadata *_metadata, const struct gpu_conf *conf)
{
	static const struct gpu_gauges zero;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, 0x7777777777777777);
	struct gpu gpu;

	ASSERT_EQ(0, gpu_open_cold(&gpu, conf, 1))
		TH_LOG("%s", gpu_why());
	EXPECT_EQ(0, memcmp(&gpu.gauges, &zero, sizeof(zero)));
	EXPECT_EQ(0, gpu_run(&gpu, &cmd, 1))
		TH_LOG("%s", gpu_why());
	EXPECT_BYTES(p, SIZE, 0x77);
	EXPECT_VERIFY(&gpu);
	EXPECT_EQ(0, gpu_close(&gpu))
		TH_LOG("%s", gpu_why());
	munmap(p, SIZE);
}

/* Each ioctl of a file whose device is gone says so. */
static void expect_gone(struct __test_metadata *_metadata, struct gpu *gpu, uint8_t *p)
{
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, 0);
	struct drm_fakegpu_queue_get_state queue;
	struct drm_fakegpu_vm_get_state state;
	struct drm_fakegpu_fault_info fault;
	struct drm_fakegpu_vm_attr_range range;
	struct drm_fakegpu_dev_info info;
	struct drm_fakegpu_vm_run run;
	uint32_t id, count = 1;
	void *map;

	EXPECT_EQ(-ENODEV, fakegpu_dev_info(gpu->fd, &info));
	EXPECT_EQ(-ENODEV, gpu_vm_create(gpu->fd, 0, &gpu->conf, &id));
	EXPECT_EQ(-ENODEV, fakegpu_vm_query(gpu->fd, gpu->vm, p, SIZE, &run, &count, NULL));
	EXPECT_EQ(-ENODEV, fakegpu_vm_state(gpu->fd, gpu->vm, &state));
	EXPECT_EQ(-ENODEV, fakegpu_vm_faults(gpu->fd, gpu->vm, &fault, &count, NULL));
	EXPECT_EQ(-ENODEV, fakegpu_vm_advise(gpu->fd, gpu->vm, p, SIZE, DRM_FAKEGPU_ATTR_ACCESS,
					     0));
	EXPECT_EQ(-ENODEV, fakegpu_vm_attrs(gpu->fd, gpu->vm, p, SIZE, &range, &count, NULL));
	EXPECT_EQ(-ENODEV, fakegpu_queue_create(gpu->fd, gpu->vm, &id));
	EXPECT_EQ(-ENODEV, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, NULL));
	EXPECT_EQ(-ENODEV, fakegpu_wait(gpu->fd, gpu->queue, 1, 0));
	EXPECT_EQ(-ENODEV, fakegpu_queue_state(gpu->fd, gpu->queue, &queue));
	EXPECT_EQ(-ENODEV, fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, NULL));
	EXPECT_EQ(-ENODEV, fakegpu_queue_destroy(gpu->fd, gpu->queue));
	EXPECT_EQ(-ENODEV, fakegpu_vm_destroy(gpu->fd, gpu->vm));
	/* A device has no memory of its own to map, bound or not. */
	map = mmap(NULL, GPU_PAGE, PROT_READ, MAP_SHARED, gpu->fd, 0);
	EXPECT_EQ(MAP_FAILED, map);
	EXPECT_EQ(ENODEV, errno);
}

/* Behaviour 100: the driver is unbound from a device that nobody uses, and bound again */
TEST_F(unplug, unbind_idle)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, driver_write("unbind"));
		EXPECT_EQ(1, fakegpu_count());
		EXPECT_EQ(-ENODEV, fakegpu_open(1));
		EXPECT_EQ(0, driver_write("bind"));
		EXPECT_EQ(2, fakegpu_count());
		expect_fresh(_metadata, &variant->conf);
	}
}

/* Behaviours 100, 101: unbound with a file open, a VM, a queue and mirrored memory */
TEST_F(unplug, unbind_populated)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
	char path[128], byte;
	struct gpu gpu;
	int mirror;

	gpu_pattern(p, SIZE, 101);
	ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
	ASSERT_EQ(0, gpu_run(&gpu, &cmd, 1));
	EXPECT_MAPPED(&gpu, p, SIZE);
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/vm%u/mirror", gpu.info.debug_minor,
		 gpu.vm);
	mirror = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, mirror);

	EXPECT_EQ(0, driver_write("unbind"));
	EXPECT_EQ(1, fakegpu_count());
	expect_gone(_metadata, &gpu, p);
	/* The file in debugfs outlives the VM, but shows nothing of it. */
	EXPECT_EQ(-1, read(mirror, &byte, 1));
	EXPECT_EQ(EIO, errno);
	close(mirror);
	EXPECT_EQ(-1, access(path, F_OK));

	/* No interval is left that an invalidation could meet. */
	EXPECT_PATTERN(p, SIZE, 101);
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	ASSERT_EQ(0, munmap(p, SIZE / 2));
	expect_gone(_metadata, &gpu, p);
	EXPECT_EQ(0, close(gpu.fd));
	ASSERT_EQ(0, munmap(p, SIZE));
	EXPECT_EQ(0, driver_write("bind"));
	expect_fresh(_metadata, &variant->conf);
}

struct waiter {
	struct gpu *gpu;
	uint32_t queue;
	volatile bool waiting;
	int ret;
};

static void *wait_for_ever(void *arg)
{
	struct waiter *w = arg;

	w->waiting = true;
	w->ret = fakegpu_wait(w->gpu->fd, w->queue, NEVER, -1);
	return NULL;
}

/* Behaviour 100: unbound while jobs run and wait, and a thread waits for each of them */
TEST_F(unplug, unbind_busy)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	volatile uint64_t *never = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd fills[256], cmd;
	struct waiter waiters[3];
	pthread_t threads[3];
	struct gpu gpu;
	unsigned int i;
	uint32_t crc;

	ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
	for (i = 0; i < 3; i++)
		waiters[i] = (struct waiter){ .gpu = &gpu, .queue = gpu_queue(&gpu) };
	cmd = endless(ring);
	ASSERT_EQ(0, fakegpu_submit(gpu.fd, waiters[0].queue, &cmd, 1, NULL));
	cmd = fakegpu_sem_wait(never, 1, 0);
	ASSERT_EQ(0, fakegpu_submit(gpu.fd, waiters[1].queue, &cmd, 1, NULL));
	/* Enough to be in the middle of it for a long time. */
	for (i = 0; i < 256; i++)
		fills[i] = fakegpu_fill(p, SIZE, i + 1);
	for (i = 0; i < 256; i++)
		ASSERT_EQ(0, fakegpu_submit(gpu.fd, waiters[2].queue, fills, 256, NULL));
	EXPECT_EVENTUALLY(true, queue_busy(&gpu, waiters[0].queue));
	EXPECT_EVENTUALLY(true, *(volatile uint64_t *)p != 0);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, wait_for_ever, &waiters[i]));
		while (!waiters[i].waiting)
			usleep(1000);
	}

	EXPECT_EQ(0, driver_write("unbind"));
	/* The device writes nothing any more. */
	crc = gpu_crc(p, SIZE);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(-ENODEV, waiters[i].ret);
	}
	EXPECT_WORKS(&self->gpu);
	EXPECT_EQ(crc, gpu_crc(p, SIZE));
	expect_gone(_metadata, &gpu, p);
	EXPECT_EQ(crc, gpu_crc(p, SIZE));
	EXPECT_EQ(0, close(gpu.fd));
	EXPECT_EQ(0, driver_write("bind"));
	expect_fresh(_metadata, &variant->conf);
}

struct caller {
	struct gpu *gpu;
	uint8_t *p;
	size_t size;
	void (*call)(struct caller *caller);
	volatile bool called;
	int ret;
};

/* Make and destroy until it fails; what is left then goes with the device. */
static void call_create(struct caller *c)
{
	struct gpu *gpu = c->gpu;
	uint32_t vm, queue;

	c->ret = gpu_vm_create(gpu->fd, 0, &gpu->conf, &vm);
	if (!c->ret)
		c->ret = fakegpu_queue_create(gpu->fd, vm, &queue);
	if (!c->ret)
		c->ret = fakegpu_prefetch(gpu->fd, vm, 0, c->p, GPU_PAGE, NULL);
	if (!c->ret)
		c->ret = fakegpu_queue_destroy(gpu->fd, queue);
	if (!c->ret)
		c->ret = fakegpu_vm_destroy(gpu->fd, vm);
}

static void call_prefetch(struct caller *c)
{
	c->ret = fakegpu_prefetch(c->gpu->fd, c->gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, c->p,
				  c->size, NULL);
	if (!c->ret && madvise(c->p, c->size, MADV_DONTNEED))
		c->ret = -errno;
}

static void call_submit(struct caller *c)
{
	struct drm_fakegpu_cmd cmd = fakegpu_touch(c->p, c->size, GPU_PAGE,
						   DRM_FAKEGPU_CMD_WRITE);
	uint64_t seqno;

	c->ret = fakegpu_submit(c->gpu->fd, c->gpu->queue, &cmd, 1, &seqno);
	if (!c->ret)
		c->ret = fakegpu_wait(c->gpu->fd, c->gpu->queue, seqno, GPU_WAIT_NS);
	if (!c->ret && madvise(c->p, c->size, MADV_DONTNEED))
		c->ret = -errno;
}

static void *call_until_error(void *arg)
{
	struct caller *c = arg;

	do {
		c->call(c);
		c->called = true;
	} while (!c->ret);
	return NULL;
}

/* Behaviour 100: unbound in the middle of ioctls of all kinds: ENODEV is all they say */
TEST_F(unplug, unbind_during_ioctls)
{
	static void (*const calls[])(struct caller *c) = {
		call_create, call_prefetch, call_submit,
	};
	struct caller callers[ARRAY_SIZE(calls)];
	pthread_t threads[ARRAY_SIZE(calls)];
	unsigned int i, round;
	struct gpu gpu;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
		for (i = 0; i < ARRAY_SIZE(calls); i++) {
			callers[i] = (struct caller){
				.gpu = &gpu,
				.p = gpu_map_anon(GPU_SZ_1M),
				.size = GPU_SZ_1M,
				.call = calls[i],
			};
			ASSERT_EQ(0, pthread_create(&threads[i], NULL, call_until_error,
						    &callers[i]));
		}
		for (i = 0; i < ARRAY_SIZE(calls); i++)
			EXPECT_EVENTUALLY(true, callers[i].called);
		EXPECT_EQ(0, driver_write("unbind"));
		for (i = 0; i < ARRAY_SIZE(calls); i++) {
			pthread_join(threads[i], NULL);
			EXPECT_EQ(-ENODEV, callers[i].ret)
				TH_LOG("round %u, caller %u", round, i);
			munmap(callers[i].p, callers[i].size);
		}
		expect_gone(_metadata, &gpu, self->mine);
		EXPECT_EQ(0, close(gpu.fd));
		EXPECT_EQ(0, driver_write("bind"));
	}
	expect_fresh(_metadata, &variant->conf);
}

static void call_prefetch_present(struct caller *c)
{
	c->called = true;
	c->ret = fakegpu_prefetch(c->gpu->fd, c->gpu->vm, DRM_FAKEGPU_PREFETCH_PRESENT, c->p,
				  c->size, NULL);
}

/* Behaviour 100: unbound during an ioctl that has hours to go: it needn't come to its end */
TEST_F(unplug, unbind_during_long_prefetch)
{
	/* Eight million windows without a page. */
	struct caller caller = { .size = 16384 * GPU_SZ_1G, .call = call_prefetch_present };
	pthread_t thread;
	struct gpu gpu;

	caller.gpu = &gpu;
	caller.p = gpu_va(caller.size, 0);
	if (mmap(caller.p, caller.size, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) !=
	    caller.p)
		SKIP(return, "mmap of 16 TiB: %s (see overcommit_memory)", strerror(errno));
	ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_until_error, &caller));
	EXPECT_EVENTUALLY(true, gpu_state(&gpu).windows > 10);
	EXPECT_EQ(0, driver_write("unbind"));
	pthread_join(thread, NULL);
	EXPECT_EQ(-ENODEV, caller.ret);
	EXPECT_EQ(0, close(gpu.fd));
	EXPECT_EQ(0, driver_write("bind"));
	expect_fresh(_metadata, &variant->conf);
}

static void *close_file(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

/* Behaviour 100: unbound in one thread, closed in another: both take down the same VM */
TEST_F(unplug, unbind_during_close)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	unsigned int i, round;
	pthread_t thread;
	struct gpu gpu;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
		ASSERT_EQ(0, gpu_run(&gpu, &cmd, 1));
		for (i = 0; i < 8; i++) {
			struct drm_fakegpu_cmd run = endless(ring);

			ASSERT_EQ(0, fakegpu_submit(gpu.fd, gpu_queue(&gpu), &run, 1, NULL));
		}
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_file, &gpu.fd));
		EXPECT_EQ(0, driver_write("unbind"));
		pthread_join(thread, NULL);
		EXPECT_EQ(0, driver_write("bind"));
	}
	expect_fresh(_metadata, &variant->conf);
}

/* Behaviour 100: bound again while a file of the old device is open: two devices for it */
TEST_F(unplug, bind_while_open)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu old, new;

	gpu_pattern(p, SIZE, 100);
	/* A device counts its ids from 1. */
	EXPECT_EQ(0, driver_write("unbind"));
	EXPECT_EQ(0, driver_write("bind"));
	ASSERT_EQ(0, gpu_open_cold(&old, &variant->conf, 1));
	EXPECT_EQ(0, driver_write("unbind"));
	EXPECT_EQ(0, driver_write("bind"));
	EXPECT_EQ(2, fakegpu_count());
	ASSERT_EQ(0, gpu_open_cold(&new, &variant->conf, 1));
	/* The same ids, but of another device. */
	EXPECT_EQ(old.vm, new.vm);
	EXPECT_EQ(old.queue, new.queue);
	expect_gone(_metadata, &old, p);
	EXPECT_EQ(0, fakegpu_prefetch(new.fd, new.vm, 0, p, SIZE, NULL));
	EXPECT_EQ(0, close(old.fd));
	EXPECT_MAPPED(&new, p, SIZE);
	EXPECT_EQ(0, gpu_close(&new))
		TH_LOG("%s", gpu_why());
	/* Once more, so that it gets its first minor back. */
	EXPECT_EQ(0, driver_write("unbind"));
	EXPECT_EQ(0, driver_write("bind"));
	expect_fresh(_metadata, &variant->conf);
}

/* Behaviour 100: a process whose device went dies with the file open, and a job before that */
TEST_F(unplug, unbind_then_exit)
{
	struct proc child;

	if (proc_fork(&child)) {
		struct ring *ring = gpu_map_anon(GPU_PAGE);
		struct drm_fakegpu_cmd cmd = endless(ring);
		struct gpu own;

		CHILD_CHECK(!gpu_open_cold(&own, &variant->conf, 1));
		CHILD_CHECK(!fakegpu_submit(own.fd, own.queue, &cmd, 1, NULL));
		while (!queue_busy(&own, own.queue))
			usleep(1000);
		proc_say(&child, 'r');
		CHILD_CHECK(fakegpu_wait(own.fd, own.queue, NEVER, -1) == -ENODEV);
		proc_say(&child, 'g');
		pause();
		_exit(1);
	}
	/* fork() took the permission to write results. */
	EXPECT_WORKS(&self->gpu);
	EXPECT_DEVICE_PATTERN(&self->gpu, self->mine, SIZE, 100);
	EXPECT_TRUE(proc_hears(&child, 'r'));
	EXPECT_EQ(0, driver_write("unbind"));
	EXPECT_TRUE(proc_hears(&child, 'g'));
	EXPECT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	EXPECT_EQ(0, driver_write("bind"));
	expect_fresh(_metadata, &variant->conf);
}

/* Behaviour 100: the module can't be unloaded while a file is open; nobody is disturbed */
TEST_F(unplug, unload_refused)
{
	struct gpu_before before = gpu_look(&self->gpu);
	long ret = syscall(SYS_delete_module, "fakegpu", O_NONBLOCK);

	if (ret && errno == ENOENT)
		SKIP(return, "fakegpu is built into this kernel");
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_UNCHANGED(&self->gpu, before);
	EXPECT_EQ(2, fakegpu_count());
}

/* Behaviour 101: the mirror isn't taken down under queues: EBUSY, and nothing happens */
TEST_F(unplug, destroy_vm_with_queues)
{
	struct gpu *gpu = &self->gpu;
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd cmd = endless(ring);
	struct gpu_before before;
	uint32_t busy;

	/* Idle queues count as well. */
	before = gpu_look(gpu);
	EXPECT_EQ(-EBUSY, fakegpu_vm_destroy(gpu->fd, gpu->vm));
	EXPECT_UNCHANGED(gpu, before);

	busy = gpu_queue(gpu);
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, busy, &cmd, 1, NULL));
	EXPECT_EVENTUALLY(true, queue_busy(gpu, busy));
	before = gpu_look(gpu);
	EXPECT_EQ(-EBUSY, fakegpu_vm_destroy(gpu->fd, gpu->vm));
	EXPECT_UNCHANGED(gpu, before);
	/* The job goes on. */
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, busy, 1, 0));
	EXPECT_TRUE(queue_busy(gpu, busy));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, busy));
	EXPECT_EQ(-EBUSY, fakegpu_vm_destroy(gpu->fd, gpu->vm));
}

/* Behaviour 101: mirrored memory alone is no reason to refuse: all of it goes at once */
TEST_F(unplug, destroy_vm_populated)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_vm_get_state state;
	struct gpu_gauges before;
	struct gpu gpu;

	gpu_pattern(p, SIZE, 101);
	ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 1));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu.fd, gpu.queue));
	gpu.queue = 0;
	before = gpu_gauges(&gpu);
	EXPECT_EQ(1ULL, before.vms);
	EXPECT_EQ(0, fakegpu_prefetch(gpu.fd, gpu.vm, DRM_FAKEGPU_PREFETCH_WRITE, p, SIZE, NULL));
	EXPECT_EQ(PAGES, gpu_stat(&gpu, "pages_small"));
	EXPECT_EQ(1ULL, gpu_stat(&gpu, "intervals"));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu.fd, gpu.vm));
	/* When the ioctl returns there is nothing that had to be waited for. */
	EXPECT_EQ(0ULL, gpu_stat(&gpu, "vms"));
	EXPECT_EQ(0ULL, gpu_stat(&gpu, "pages_small"));
	EXPECT_EQ(0ULL, gpu_stat(&gpu, "intervals"));
	EXPECT_EQ(0ULL, gpu_stat(&gpu, "nodes"));
	EXPECT_EQ(-ENOENT, fakegpu_vm_state(gpu.fd, gpu.vm, &state));
	EXPECT_EQ(-ENOENT, fakegpu_vm_destroy(gpu.fd, gpu.vm));
	gpu.vm = 0;
	EXPECT_PATTERN(p, SIZE, 101);
	EXPECT_EQ(0, gpu_close(&gpu))
		TH_LOG("%s", gpu_why());
}

TEST_HARNESS_MAIN
