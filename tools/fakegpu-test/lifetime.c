// SPDX-License-Identifier: GPL-2.0
/*
 * How VMs, files and jobs end: exit, kill, close, the owner's death. After
 * each of them the device's gauges must be where they were, within a bound.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "fakegpu_test_proc.h"

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

/* To cancel takes a chunk's time; half a minute is for emulated machines. */
#define BOUND_NS	30000000000LL

/* A sequence number that no queue here gets to. */
#define NEVER		1000

GPU_FIXTURE(lifetime);
GPU_VARIANT_DIRECTSLOT(lifetime);

/*
 * Fork a child that starts when the gauges have been taken. fork() takes the
 * write permission, and so the entry, of the parent's results: it is made anew.
 * Return: true in the child.
 */
static bool start_child(struct __test_metadata *_metadata, struct gpu *gpu, struct proc *child,
			struct gpu_gauges *gauges)
{
	if (proc_fork(child)) {
		CHILD_CHECK(proc_hears(child, 'g'));
		return true;
	}
	EXPECT_RUN(gpu, fakegpu_fill(gpu->res, GPU_PAGE, 0));
	*gauges = gpu_gauges(gpu);
	proc_say(child, 'g');
	return false;
}

#define EXPECT_SETTLED(gpu, gauges) \
	EXPECT_EQ(0, gpu_gauges_settle(gpu, gauges)) \
		TH_LOG("%s", gpu_why())

/* In a child: a mirror with small and, if there are any, large leaves. */
static void populate(struct gpu *own)
{
	struct drm_fakegpu_cmd cmd;
	uint8_t *p = gpu_map_anon(SIZE), *huge = gpu_map_huge(GPU_SZ_2M);

	memset(p, 1, SIZE);
	cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
	CHILD_CHECK(!gpu_run(own, &cmd, 1));
	CHILD_CHECK(gpu_mapped(own, p, SIZE) == (int64_t)SIZE);
	if (huge) {
		cmd = fakegpu_touch(huge, GPU_SZ_2M, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
		CHILD_CHECK(!gpu_run(own, &cmd, 1));
	}
}

/* In a child: one queue that computes for ever and one that waits for ever. */
static void occupy(struct gpu *own)
{
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	volatile uint64_t *never = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd cmd = endless(ring);
	uint32_t waiting = gpu_queue(own);

	CHILD_CHECK(!fakegpu_submit(own->fd, own->queue, &cmd, 1, NULL));
	cmd = fakegpu_sem_wait(never, 1, 0);
	CHILD_CHECK(!fakegpu_submit(own->fd, waiting, &cmd, 1, NULL));
	while (!queue_busy(own, own->queue))
		usleep(1000);
}

/* Behaviour 94: exit with the file open and a populated mirror */
TEST_F(lifetime, exit_populated)
{
	struct gpu_gauges gauges;
	struct proc child;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		if (start_child(_metadata, &self->gpu, &child, &gauges)) {
			struct gpu own;

			child_gpu(&own, &variant->conf);
			populate(&own);
			_exit(0);
		}
		EXPECT_EQ(0, proc_wait(&child));
		EXPECT_SETTLED(&self->gpu, &gauges);
		EXPECT_VERIFY(&self->gpu);
	}
}

/* Behaviour 94: exit with jobs that run, and that wait */
TEST_F(lifetime, exit_busy)
{
	struct gpu_gauges gauges;
	struct proc child;
	int64_t begin;

	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		child_gpu(&own, &variant->conf);
		populate(&own);
		occupy(&own);
		_exit(0);
	}
	begin = gpu_now();
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_SETTLED(&self->gpu, &gauges);
	EXPECT_GT(BOUND_NS, gpu_now() - begin);
	EXPECT_DEVICE_BYTES(&self->gpu, self->gpu.res + 8, 8, 0);
}

enum state { STATE_SETUP, STATE_POPULATED, STATE_BUSY };

static void kill_child(struct __test_metadata *_metadata, struct gpu *gpu,
		       const struct gpu_conf *conf, enum state state, int sig)
{
	struct gpu_gauges gauges;
	struct proc child;
	int64_t begin;

	if (start_child(_metadata, gpu, &child, &gauges)) {
		struct gpu own;

		child_gpu(&own, conf);
		if (state >= STATE_POPULATED)
			populate(&own);
		if (state >= STATE_BUSY)
			occupy(&own);
		proc_say(&child, 'r');
		/* Where most would be: in the wait for a job. */
		fakegpu_wait(own.fd, own.queue, NEVER, -1);
		_exit(1);
	}
	EXPECT_TRUE(proc_hears(&child, 'r'));
	begin = gpu_now();
	EXPECT_EQ(0, kill(child.pid, sig));
	EXPECT_EQ(128 + sig, proc_wait(&child));
	EXPECT_SETTLED(gpu, &gauges);
	EXPECT_GT(BOUND_NS, gpu_now() - begin);
	EXPECT_VERIFY(gpu);
}

/* Behaviour 95: SIGKILL and SIGTERM right after setup */
TEST_F(lifetime, kill_after_setup)
{
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_SETUP, SIGKILL);
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_SETUP, SIGTERM);
}

/* Behaviour 95: SIGKILL and SIGTERM with a populated mirror */
TEST_F(lifetime, kill_populated)
{
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_POPULATED, SIGKILL);
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_POPULATED, SIGTERM);
}

/* Behaviour 95: SIGKILL and SIGTERM during a job */
TEST_F(lifetime, kill_busy)
{
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_BUSY, SIGKILL);
	kill_child(_metadata, &self->gpu, &variant->conf, STATE_BUSY, SIGTERM);
}

#define CORE_MARK	0x95c0de95c0de9595ULL

/* Pages of the file that hold nothing but the mark. */
static size_t marked_pages(const char *path)
{
	uint64_t page[GPU_PAGE / 8];
	size_t count = 0, i;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		gpu_die("%s: %s", path, strerror(errno));
	while (read(fd, page, sizeof(page)) == (ssize_t)sizeof(page)) {
		for (i = 0; i < GPU_PAGE / 8 && page[i] == CORE_MARK; i++)
			;
		count += i == GPU_PAGE / 8;
	}
	close(fd);
	return count;
}

/* Behaviour 95: a core dump in the middle of jobs: it has what the device wrote */
TEST_F(lifetime, core_dump)
{
	char pattern[256] = "", path[64];
	struct gpu_gauges gauges;
	struct proc child;
	int status = 0, fd;

	fd = open("/proc/sys/kernel/core_pattern", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "/proc/sys/kernel/core_pattern: %s", strerror(errno));
	ASSERT_LT(0, pread(fd, pattern, sizeof(pattern) - 1, 0));
	ASSERT_LT(0, write(fd, "/tmp/fakegpu-test-core.%p", 25));
	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
		uint8_t *p = gpu_map_anon(SIZE);
		struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, CORE_MARK);
		struct gpu own;

		setrlimit(RLIMIT_CORE, &all);
		signal(SIGSEGV, SIG_DFL);
		child_gpu(&own, &variant->conf);
		populate(&own);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		occupy(&own);
		raise(SIGSEGV);
		_exit(1);
	}
	EXPECT_EQ(child.pid, waitpid(child.pid, &status, 0));
	close(child.sock);
	ASSERT_EQ((ssize_t)strlen(pattern), pwrite(fd, pattern, strlen(pattern), 0));
	close(fd);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV && WCOREDUMP(status))
		TH_LOG("status %#x", status);
	EXPECT_SETTLED(&self->gpu, &gauges);
	snprintf(path, sizeof(path), "/tmp/fakegpu-test-core.%d", child.pid);
	EXPECT_EQ(PAGES, marked_pages(path));
	unlink(path);
}

/* Behaviour 95: SIGKILL while device faults come and go, at many moments */
TEST_F(lifetime, kill_faulting)
{
	uint64_t seed = 95, rand = seed;
	struct gpu_gauges gauges;
	struct proc child;
	unsigned int i;

	TH_LOG("seed %ju", (uintmax_t)seed);
	for (i = 0; i < 10; i++) {
		if (start_child(_metadata, &self->gpu, &child, &gauges)) {
			uint8_t *p = gpu_map_anon(8 * GPU_SZ_2M);
			struct drm_fakegpu_cmd cmd;
			struct gpu own;

			child_gpu(&own, &variant->conf);
			proc_say(&child, 'r');
			for (;;) {
				cmd = fakegpu_touch(p, 8 * GPU_SZ_2M, 16 * GPU_PAGE,
						    DRM_FAKEGPU_CMD_WRITE);
				CHILD_CHECK(!gpu_run(&own, &cmd, 1));
				madvise(p, 8 * GPU_SZ_2M, MADV_DONTNEED);
			}
		}
		EXPECT_TRUE(proc_hears(&child, 'r'));
		usleep(gpu_rand(&rand) % 20000);
		EXPECT_EQ(0, kill(child.pid, SIGKILL));
		EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
		EXPECT_SETTLED(&self->gpu, &gauges);
	}
}

/* Behaviour 95: SIGKILL during a prefetch that has hours to go: it needn't come to its end */
TEST_F(lifetime, kill_prefetching)
{
	/* Eight million windows without a page. */
	const size_t size = 16384 * GPU_SZ_1G;
	uint8_t *p = gpu_va(size, 0);
	struct gpu_gauges gauges;
	struct proc child;
	uint64_t windows;

	if (mmap(p, size, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != p)
		SKIP(return, "mmap of 16 TiB: %s (see overcommit_memory)", strerror(errno));
	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		child_gpu(&own, &variant->conf);
		proc_say(&child, 'r');
		fakegpu_prefetch(own.fd, own.vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, size, NULL);
		_exit(1);
	}
	EXPECT_TRUE(proc_hears(&child, 'r'));
	windows = gpu_stat(&self->gpu, "windows");
	EXPECT_EVENTUALLY(true, gpu_stat(&self->gpu, "windows") > windows + 10);
	EXPECT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	EXPECT_SETTLED(&self->gpu, &gauges);
}

static void *wait_for_ever(void *arg)
{
	struct gpu *own = arg;

	fakegpu_wait(own->fd, own->queue, NEVER, -1);
	return NULL;
}

static void *tell_tid(void *arg)
{
	struct proc *child = arg;
	pid_t tid = syscall(SYS_gettid);

	proc_send(child, &tid, sizeof(tid));
	pause();
	return NULL;
}

/* Behaviour 95: a signal to one thread of many, all of which use the device */
TEST_F(lifetime, kill_one_thread)
{
	struct gpu_gauges gauges;
	struct proc child;
	pid_t tid = 0;

	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		pthread_t threads[4];
		unsigned int i;
		struct gpu own;

		child_gpu(&own, &variant->conf);
		populate(&own);
		occupy(&own);
		for (i = 0; i < 3; i++)
			CHILD_CHECK(!pthread_create(&threads[i], NULL, wait_for_ever, &own));
		CHILD_CHECK(!pthread_create(&threads[3], NULL, tell_tid, &child));
		wait_for_ever(&own);
		_exit(1);
	}
	ASSERT_EQ(0, proc_recv(&child, &tid, sizeof(tid)));
	EXPECT_NE(child.pid, tid);
	EXPECT_EQ(0, syscall(SYS_tgkill, child.pid, tid, SIGTERM));
	EXPECT_EQ(128 + SIGTERM, proc_wait(&child));
	EXPECT_SETTLED(&self->gpu, &gauges);
}

struct submitter {
	struct gpu *gpu;
	uint8_t *p;
	uint64_t seqno;
	int ret;
};

static void *submit_and_exit(void *arg)
{
	struct submitter *s = arg;
	struct drm_fakegpu_cmd cmds[2];

	cmds[0] = fakegpu_sem_wait(s->gpu->res, 1, 0);
	cmds[1] = fakegpu_fill(s->p, SIZE, 0x9595959595959595);
	s->ret = fakegpu_submit(s->gpu->fd, s->gpu->queue, cmds, 2, &s->seqno);
	return NULL;
}

/* Behaviour 95: the thread that submitted is gone, its process isn't: the job goes on */
TEST_F(lifetime, exit_of_submitting_thread)
{
	struct gpu *gpu = &self->gpu;
	struct submitter s = { .gpu = gpu, .p = gpu_map_anon(SIZE) };
	pthread_t thread;

	gpu->res[0] = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, submit_and_exit, &s));
	pthread_join(thread, NULL);
	ASSERT_EQ(0, s.ret);
	__atomic_store_n(gpu->res, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, s.seqno, GPU_WAIT_NS));
	EXPECT_BYTES(s.p, SIZE, 0x95);
}

/* Behaviour 96: close with jobs that would never end: cancelled in bounded time */
TEST_F(lifetime, close_busy)
{
	struct gpu_gauges gauges = gpu_gauges(&self->gpu);
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	volatile uint64_t *never = gpu_map_anon(GPU_PAGE);
	uint8_t *p = gpu_map_anon(4 * GPU_SZ_2M);
	struct drm_fakegpu_cmd jobs[] = {
		endless(ring),
		fakegpu_sem_wait(never, 1, 0),
		/* 8 MiB in strides of a byte: a device fault again and again. */
		fakegpu_touch(p, 4 * GPU_SZ_2M, 1, DRM_FAKEGPU_CMD_WRITE),
	};
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		struct gpu gpu;
		int64_t begin;

		ASSERT_EQ(0, gpu_open_cold(&gpu, &variant->conf, 0));
		for (j = 0; j < ARRAY_SIZE(jobs); j++)
			if (i == j || i == 3)
				EXPECT_EQ(0, fakegpu_submit(gpu.fd, gpu_queue(&gpu), &jobs[j], 1,
							    NULL));
		usleep(i * 3000);
		begin = gpu_now();
		EXPECT_EQ(0, close(gpu.fd));
		EXPECT_GT(BOUND_NS, gpu_now() - begin);
		EXPECT_SETTLED(&self->gpu, &gauges);
		EXPECT_GT(BOUND_NS, gpu_now() - begin);
	}
}

struct waiter {
	struct gpu *gpu;
	uint32_t queue;
	volatile bool waiting;
	int ret;
};

static void *wait_in_thread(void *arg)
{
	struct waiter *w = arg;

	w->waiting = true;
	w->ret = fakegpu_wait(w->gpu->fd, w->queue, 1, GPU_WAIT_NS);
	return NULL;
}

/* Behaviour 96: a queue destroyed while busy: who waits for its work is told so */
TEST_F(lifetime, destroy_queue_busy)
{
	struct gpu *gpu = &self->gpu;
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	volatile uint64_t *never = gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd jobs[] = { endless(ring), fakegpu_sem_wait(never, 1, 0) };
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		struct waiter w = { .gpu = gpu, .queue = gpu_queue(gpu) };
		int64_t begin;

		ASSERT_EQ(0, fakegpu_submit(gpu->fd, w.queue, &jobs[i], 1, NULL));
		ASSERT_EQ(0, pthread_create(&thread, NULL, wait_in_thread, &w));
		while (!w.waiting)
			usleep(1000);
		usleep(50000);
		begin = gpu_now();
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, w.queue));
		pthread_join(thread, NULL);
		EXPECT_GT(BOUND_NS, gpu_now() - begin);
		EXPECT_EQ(-ECANCELED, w.ret);
		EXPECT_EQ(-ENOENT, fakegpu_queue_destroy(gpu->fd, w.queue));
	}
	/* The others weren't touched. */
	EXPECT_DEVICE_BYTES(gpu, gpu->res + 8, 8, 0);
}

/* What an owner hands over. */
struct handover {
	uint32_t vm;
	uint32_t queue;
	struct gpu_conf conf;
	struct drm_fakegpu_dev_info info;
};

static void send_file(struct proc *proc, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'f';
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(proc->sock, &msg, 0) != 1)
		gpu_die("sendmsg: %s", strerror(errno));
}

static int recv_file(struct proc *proc)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd = -1;

	if (recvmsg(proc->sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* The child makes a VM that mirrors @p, with its own content there, and hands it over. */
static void own_and_hand_over(struct proc *child, struct gpu *own, const struct gpu_conf *base,
			      uint32_t flags, uint8_t *p)
{
	struct gpu_conf conf = *base;
	struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_WRITE);
	struct handover h;

	conf.flags = flags;
	child_gpu(own, &conf);
	memset(p, 0xcc, SIZE);
	CHILD_CHECK(!gpu_run(own, &cmd, 1));
	h.vm = own->vm;
	h.queue = own->queue;
	h.conf = own->conf;
	h.info = own->info;
	send_file(child, own->fd);
	proc_send(child, &h, sizeof(h));
}

static void take_over(struct __test_metadata *_metadata, struct proc *child, struct gpu *remote)
{
	struct handover h;

	memset(remote, 0, sizeof(*remote));
	remote->fd = recv_file(child);
	ASSERT_LE(0, remote->fd);
	ASSERT_EQ(0, proc_recv(child, &h, sizeof(h)));
	remote->vm = h.vm;
	remote->queue = h.queue;
	remote->conf = h.conf;
	remote->info = h.info;
}

static void expect_refused(struct __test_metadata *_metadata, struct gpu *remote, uint8_t *p)
{
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, 0);
	struct drm_fakegpu_queue_get_state queue;
	struct drm_fakegpu_vm_get_state state;
	struct drm_fakegpu_fault_info fault;
	struct drm_fakegpu_vm_run run;
	uint32_t id, count = 1;

	EXPECT_EQ(-EPERM, fakegpu_submit(remote->fd, remote->queue, &cmd, 1, NULL));
	EXPECT_EQ(-EPERM, fakegpu_wait(remote->fd, remote->queue, 1, 0));
	EXPECT_EQ(-EPERM, fakegpu_queue_state(remote->fd, remote->queue, &queue));
	EXPECT_EQ(-EPERM, fakegpu_queue_create(remote->fd, remote->vm, &id));
	EXPECT_EQ(-EPERM, fakegpu_queue_destroy(remote->fd, remote->queue));
	EXPECT_EQ(-EPERM, fakegpu_vm_state(remote->fd, remote->vm, &state));
	EXPECT_EQ(-EPERM, fakegpu_vm_query(remote->fd, remote->vm, p, SIZE, &run, &count, NULL));
	EXPECT_EQ(-EPERM, fakegpu_vm_faults(remote->fd, remote->vm, &fault, &count, NULL));
	EXPECT_EQ(-EPERM, fakegpu_prefetch(remote->fd, remote->vm, 0, p, SIZE, NULL));
	EXPECT_EQ(-EPERM, fakegpu_vm_destroy(remote->fd, remote->vm));
}

/* Behaviour 97: the file is passed on, the owner dies: a private VM is refused all along */
TEST_F(lifetime, pass_private_owner_dies)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu_gauges gauges;
	struct gpu remote;
	struct proc child;

	gpu_pattern(p, SIZE, 97);
	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		own_and_hand_over(&child, &own, &variant->conf, 0, p);
		pause();
		_exit(1);
	}
	take_over(_metadata, &child, &remote);
	expect_refused(_metadata, &remote, p);
	EXPECT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	/* The file lives, the address space doesn't: the mirror is empty. */
	expect_refused(_metadata, &remote, p);
	EXPECT_EVENTUALLY(gauges.pages_small, gpu_stat(&self->gpu, "pages_small"));
	EXPECT_EQ(gauges.vms + 1, gpu_stat(&self->gpu, "vms"));
	EXPECT_VERIFY(&self->gpu);
	close(remote.fd);
	EXPECT_SETTLED(&self->gpu, &gauges);
	EXPECT_PATTERN(p, SIZE, 97);
}

/* Behaviour 97: a shared VM acts on its creator's memory, then on none */
TEST_F(lifetime, pass_shared_owner_dies)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd;
	struct gpu_gauges gauges;
	struct gpu remote;
	struct proc child;
	uint32_t queue;

	gpu_pattern(p, SIZE, 97);
	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		own_and_hand_over(&child, &own, &variant->conf, DRM_FAKEGPU_VM_SHARED, p);
		CHILD_CHECK(proc_hears(&child, 'w'));
		CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x97) == SIZE);
		proc_say(&child, 'v');
		pause();
		_exit(1);
	}
	take_over(_metadata, &child, &remote);
	EXPECT_MAPPED(&remote, p, SIZE);
	EXPECT_RUN(&remote, fakegpu_fill(p, SIZE, 0x9797979797979797));
	proc_say(&child, 'w');
	EXPECT_TRUE(proc_hears(&child, 'v'));
	EXPECT_PATTERN(p, SIZE, 97);
	EXPECT_EQ(0, fakegpu_prefetch(remote.fd, remote.vm, 0, p, SIZE, NULL));

	EXPECT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	EXPECT_EVENTUALLY((int64_t)0, gpu_mapped(&remote, p, SIZE));
	EXPECT_FATAL(&remote, fakegpu_touch(p, SIZE, GPU_PAGE, 0), ESRCH, p, READ);
	EXPECT_FATAL(&remote, fakegpu_fill(p + 8, 8, 0), ESRCH, p + 8, WRITE);
	EXPECT_EQ(-ESRCH, fakegpu_prefetch(remote.fd, remote.vm, 0, p, SIZE, NULL));
	EXPECT_UNMAPPED(&remote, p, SIZE);
	EXPECT_VERIFY(&self->gpu);
	/* Work without memory still works; then all can be taken down. */
	queue = gpu_queue(&remote);
	cmd = fakegpu_nop();
	EXPECT_EQ(0, gpu_run_on(&remote, queue, &cmd, 1));
	EXPECT_EQ(0, fakegpu_queue_destroy(remote.fd, queue));
	EXPECT_EQ(0, fakegpu_queue_destroy(remote.fd, remote.queue));
	EXPECT_EQ(0, fakegpu_vm_destroy(remote.fd, remote.vm));
	close(remote.fd);
	EXPECT_SETTLED(&self->gpu, &gauges);
	EXPECT_PATTERN(p, SIZE, 97);
}

/* Behaviour 97: the owner dies while a job runs that the other process waits for */
TEST_F(lifetime, pass_shared_owner_dies_busy)
{
	struct ring *ring = gpu_map_anon(SIZE);
	struct drm_fakegpu_queue_get_state state;
	struct drm_fakegpu_cmd cmd;
	struct gpu_gauges gauges;
	struct gpu remote;
	struct proc child;
	uint64_t seqno;

	memset(ring, 0, SIZE);
	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		own_and_hand_over(&child, &own, &variant->conf, DRM_FAKEGPU_VM_SHARED,
				  (uint8_t *)ring);
		endless(ring);
		proc_say(&child, 'r');
		pause();
		_exit(1);
	}
	take_over(_metadata, &child, &remote);
	EXPECT_TRUE(proc_hears(&child, 'r'));
	cmd = fakegpu_chase(ring, 1ULL << 60, offsetof(struct ring, next),
			    offsetof(struct ring, value), NULL);
	ASSERT_EQ(0, fakegpu_submit(remote.fd, remote.queue, &cmd, 1, &seqno));
	EXPECT_EVENTUALLY(true, queue_busy(&remote, remote.queue));
	EXPECT_EQ(-ETIME, fakegpu_wait(remote.fd, remote.queue, seqno, 0));
	EXPECT_EQ(0, kill(child.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, proc_wait(&child));
	EXPECT_EQ(-EIO, fakegpu_wait(remote.fd, remote.queue, seqno, BOUND_NS));
	EXPECT_EQ(0, fakegpu_queue_state(remote.fd, remote.queue, &state));
	EXPECT_EQ((uint32_t)DRM_FAKEGPU_QUEUE_FATAL, state.flags);
	/* While the mappings go one by one it is a hole, afterwards nothing is there. */
	EXPECT_TRUE(state.error == ESRCH || state.error == EFAULT)
		TH_LOG("error %u", state.error);
	close(remote.fd);
	EXPECT_SETTLED(&self->gpu, &gauges);
}

/* Behaviours 68, 97: exec() with the file kept open: the old address space is gone */
TEST_F(lifetime, exec_keeps_file)
{
	uint8_t *p = gpu_map_anon(SIZE);
	struct gpu_gauges gauges;
	struct gpu remote;
	struct proc child;

	if (start_child(_metadata, &self->gpu, &child, &gauges)) {
		struct gpu own;

		own_and_hand_over(&child, &own, &variant->conf, DRM_FAKEGPU_VM_SHARED, p);
		CHILD_CHECK(proc_hears(&child, 'x'));
		/* The program holds what we hold, and waits for the other side to close. */
		CHILD_CHECK(!fcntl(own.fd, F_SETFD, 0));
		CHILD_CHECK(dup2(child.sock, STDIN_FILENO) == STDIN_FILENO);
		execlp("cat", "cat", NULL);
		_exit(1);
	}
	take_over(_metadata, &child, &remote);
	EXPECT_RUN(&remote, fakegpu_fill(p, SIZE, 0));
	proc_say(&child, 'x');
	EXPECT_EVENTUALLY((int64_t)0, gpu_mapped(&remote, p, SIZE));
	EXPECT_FATAL(&remote, fakegpu_touch(p, 1, 1, 0), ESRCH, p, READ);
	close(remote.fd);
	shutdown(child.sock, SHUT_WR);
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_SETTLED(&self->gpu, &gauges);
}

static volatile sig_atomic_t signals;

static void count_signal(int sig)
{
	(void)sig;
	signals++;
}

/* A signal every @us microseconds, that interrupts whatever waits; 0 ends it. */
static void signal_every(unsigned int us)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct itimerval timer = {
		.it_interval = { .tv_usec = us },
		.it_value = { .tv_usec = us },
	};

	signals = 0;
	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &timer, NULL))
		gpu_die("setitimer: %s", strerror(errno));
}

/* Behaviour 99: a signal ends the wait ioctl with EINTR */
TEST_F(lifetime, signal_wait_ioctl)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmd = fakegpu_sem_wait(gpu->res, 1, 0);
	struct drm_fakegpu_wait args = { .queue_id = gpu->queue };
	uint64_t seqno;

	gpu->res[0] = 0;
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
	args.seqno = seqno;
	args.timeout_ns = gpu_now() + GPU_WAIT_NS;
	signal_every(50000);
	EXPECT_EQ(-1, ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &args));
	EXPECT_EQ(EINTR, errno);
	EXPECT_LE(1, signals);
	signal_every(0);
	/* Nothing was lost: the same wait is done later. */
	__atomic_store_n(gpu->res, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &args));
	EXPECT_EQ(seqno, (uint64_t)args.completed);
}

/* Behaviour 99: the library's wait goes on, and ends when it has to */
TEST_F(lifetime, signal_wait_restarted)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd cmd = fakegpu_sem_wait(gpu->res, 1, 0);
	int64_t begin = gpu_now();
	uint64_t seqno;

	gpu->res[0] = 0;
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
	signal_every(10000);
	/* On a busy host hardly a signal comes in half a second. */
	do {
		EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 500000000));
	} while (signals < 2 && gpu_now() - begin < GPU_WAIT_NS);
	EXPECT_LE(500000000, gpu_now() - begin);
	EXPECT_LE(2, signals);
	__atomic_store_n(gpu->res, 1, __ATOMIC_RELEASE);
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	signal_every(0);
}

/* Behaviour 99: nothing is done twice: each submission adds exactly one */
TEST_F(lifetime, signal_submit)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *sum = gpu->res;
	const unsigned int count = 300;
	struct drm_fakegpu_cmd cmd = fakegpu_atomic(sum, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	uint64_t first = 0, seqno = 0;
	unsigned int i;

	*sum = 0;
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &first));
	signal_every(5000);
	for (i = 1; i < count; i++) {
		ASSERT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
		ASSERT_EQ(first + i, seqno);
		ASSERT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	}
	signal_every(0);
	EXPECT_EQ((uint64_t)count, *sum);
}

/* Behaviour 99: a long prefetch, and objects made and destroyed, under signals */
TEST_F(lifetime, signal_prefetch)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = 4 * GPU_SZ_2M;
	uint8_t *p = gpu_map_anon(size);
	struct gpu_gauges gauges = gpu_gauges(gpu);
	uint64_t done = 0;
	unsigned int i;

	signal_every(5000);
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, DRM_FAKEGPU_PREFETCH_WRITE, p, size,
				      &done));
	EXPECT_EQ(size, (size_t)done);
	EXPECT_MAPPED(gpu, p, size);
	for (i = 0; i < 30; i++) {
		uint32_t vm, queue;

		ASSERT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &vm));
		ASSERT_EQ(0, fakegpu_queue_create(gpu->fd, vm, &queue));
		ASSERT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		ASSERT_EQ(0, fakegpu_vm_destroy(gpu->fd, vm));
	}
	signal_every(0);
	ASSERT_EQ(0, munmap(p, size));
	EXPECT_SETTLED(gpu, &gauges);
}

TEST_HARNESS_MAIN
