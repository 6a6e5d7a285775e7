// SPDX-License-Identifier: GPL-2.0
/*
 * Which address space a VM acts on: the one that it was made in, whoever calls,
 * and whether it still exists or not (I9). Processes that share it, vfork(), and
 * exec() with the file kept open.
 *
 * The file outlives exec(), the address space doesn't:
 *
 *	a VM that isn't shared		EPERM: the caller has another address space
 *	a shared VM			commands: ESRCH at the address; PREFETCH: ESRCH
 *					what needs no memory works, also to destroy it
 */
#include "fakegpu_test_proc.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>

#define PAGES	64UL
#define SIZE	(PAGES * GPU_PAGE)

GPU_FIXTURE(exec);

/* What a program after exec() has to know, as text. */
struct inherited {
	int sock;
	int fd;
	uint32_t vm;
	uint32_t queue;
	uint32_t flags;
	unsigned long addr;
};

#define VARIABLE	"FAKEGPU_TEST_EXEC"

static void checks_after_exec(struct inherited *in)
{
	struct proc up = { .sock = in->sock };
	struct gpu old = { .fd = in->fd, .vm = in->vm, .queue = in->queue };
	struct drm_fakegpu_cmd cmd = fakegpu_nop();
	struct drm_fakegpu_queue_get_state queue;
	struct drm_fakegpu_vm_get_state state;
	uint8_t *p = (uint8_t *)in->addr;
	struct drm_fakegpu_vm_run run;
	uint32_t id, count = 1;
	uint8_t *map;

	/* Other memory at the same address, which the old VM must not get at. */
	map = mmap(p, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHILD_CHECK(map == p);
	memset(p, 0x5a, SIZE);

	if (in->flags & DRM_FAKEGPU_VM_SHARED) {
		/* Its last user may be a worker of the device, which leaves it a little later. */
		while (fakegpu_prefetch(old.fd, old.vm, 0, p, SIZE, NULL) != -ESRCH)
			usleep(1000);
		CHILD_CHECK(!gpu_mapped(&old, p, SIZE));
		CHILD_CHECK(!fakegpu_vm_state(old.fd, old.vm, &state));
		CHILD_CHECK(!state.pages_small && !state.leaves_large);
		cmd = fakegpu_fill(p, SIZE, 0);
		CHILD_CHECK(!gpu_run_fatal(&old, &cmd, 1));
		CHILD_CHECK(old.fatal.info.error == ESRCH);
		CHILD_CHECK(old.fatal.info.addr == in->addr);
		CHILD_CHECK(old.fatal.info.access == DRM_FAKEGPU_ACCESS_WRITE);
		cmd = fakegpu_checksum(p, SIZE, NULL);
		CHILD_CHECK(!gpu_run_fatal(&old, &cmd, 1));
		CHILD_CHECK(old.fatal.info.error == ESRCH);
		CHILD_CHECK(fakegpu_prefetch(old.fd, old.vm, DRM_FAKEGPU_PREFETCH_PRESENT, p, SIZE,
					     NULL) == -ESRCH);
		/* Without memory there is nothing to fail. */
		cmd = fakegpu_nop();
		CHILD_CHECK(!gpu_run(&old, &cmd, 1));
		/* A touch that may fail goes over all of it. */
		cmd = fakegpu_touch(p, SIZE, GPU_PAGE, DRM_FAKEGPU_CMD_NOFAULT);
		CHILD_CHECK(!gpu_run(&old, &cmd, 1));
		CHILD_CHECK(!fakegpu_queue_destroy(old.fd, old.queue));
		CHILD_CHECK(!fakegpu_vm_destroy(old.fd, old.vm));
	} else {
		CHILD_CHECK(fakegpu_submit(old.fd, old.queue, &cmd, 1, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_wait(old.fd, old.queue, 1, 0) == -EPERM);
		CHILD_CHECK(fakegpu_queue_state(old.fd, old.queue, &queue) == -EPERM);
		CHILD_CHECK(fakegpu_queue_create(old.fd, old.vm, &id) == -EPERM);
		CHILD_CHECK(fakegpu_queue_destroy(old.fd, old.queue) == -EPERM);
		CHILD_CHECK(fakegpu_vm_state(old.fd, old.vm, &state) == -EPERM);
		CHILD_CHECK(fakegpu_vm_query(old.fd, old.vm, p, SIZE, &run, &count, NULL) ==
			    -EPERM);
		CHILD_CHECK(fakegpu_prefetch(old.fd, old.vm, 0, p, SIZE, NULL) == -EPERM);
		CHILD_CHECK(fakegpu_vm_destroy(old.fd, old.vm) == -EPERM);
	}
	CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x5a) == SIZE);

	/* The file is as good as any: a new VM acts on the new address space. */
	CHILD_CHECK(!fakegpu_vm_create(in->fd, 0, DRM_FAKEGPU_SCHEME_SLOT, 0, 0, &id));
	CHILD_CHECK(!fakegpu_queue_create(in->fd, id, &count));
	cmd = fakegpu_fill(p, SIZE, 0x6868686868686868);
	CHILD_CHECK(!fakegpu_run(in->fd, count, &cmd, 1));
	CHILD_CHECK(gpu_byte_diff(p, SIZE, 0x68) == SIZE);
	CHILD_CHECK(!fakegpu_queue_destroy(in->fd, count));
	CHILD_CHECK(!fakegpu_vm_destroy(in->fd, id));

	proc_say(&up, 'e');
	CHILD_CHECK(proc_hears(&up, 'x'));
	_exit(0);
}

/* This program is also the one that exec() starts. */
static __attribute__((constructor)) void after_exec(void)
{
	const char *text = getenv(VARIABLE);
	struct inherited in;

	if (!text)
		return;
	if (sscanf(text, "%d %d %u %u %u %lx", &in.sock, &in.fd, &in.vm, &in.queue, &in.flags,
		   &in.addr) != 6)
		_exit(2);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	checks_after_exec(&in);
}

static void exec_self(struct proc *up, struct gpu *own, uint8_t *p)
{
	char text[128], *args[] = { "exec", NULL }, *env[] = { text, NULL };

	snprintf(text, sizeof(text), VARIABLE "=%d %d %u %u %u %lx", up->sock, own->fd, own->vm,
		 own->queue, own->conf.flags, (unsigned long)p);
	fcntl(own->fd, F_SETFD, 0);
	fcntl(up->sock, F_SETFD, 0);
	execve("/proc/self/exe", args, env);
	_exit(3);
}

static void exec_keeps_file(struct __test_metadata *_metadata, struct gpu *gpu,
			    const struct gpu_conf *base, uint32_t flags, bool busy)
{
	struct gpu_gauges gauges = gpu_gauges(gpu);
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc child;

	gpu_pattern(p, SIZE, 68);
	if (proc_fork(&child)) {
		struct drm_fakegpu_cmd cmd = fakegpu_touch(p, SIZE, GPU_PAGE,
							   DRM_FAKEGPU_CMD_WRITE);
		struct gpu_conf conf = *base;
		struct gpu own;
		uint32_t queue;

		conf.flags = flags;
		child_gpu(&own, &conf);
		CHILD_CHECK(!gpu_run(&own, &cmd, 1));
		if (busy) {
			struct ring *ring = gpu_map_anon(GPU_PAGE);

			queue = gpu_queue(&own);
			cmd = endless(ring);
			CHILD_CHECK(!fakegpu_submit(own.fd, queue, &cmd, 1, NULL));
			while (!queue_busy(&own, queue))
				usleep(1000);
		}
		exec_self(&child, &own, p);
	}
	EXPECT_TRUE(proc_hears(&child, 'e'));
	/* Nothing of the old address space is mirrored, whoever holds the file. */
	if (!(flags & DRM_FAKEGPU_VM_SHARED))
		EXPECT_EQ(gauges.vms + 1, gpu_stat(gpu, "vms"));
	EXPECT_VERIFY(gpu);
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_EVENTUALLY(gauges.vms, gpu_stat(gpu, "vms"));
	EXPECT_EVENTUALLY(gauges.queues, gpu_stat(gpu, "queues"));
	EXPECT_PATTERN(p, SIZE, 68);
	EXPECT_DEVICE_PATTERN(gpu, p, SIZE, 68);
}

/* Behaviour 68: exec() with the file kept: a VM of the old address space is refused with EPERM */
TEST_F(exec, private_vm)
{
	exec_keeps_file(_metadata, &self->gpu, &variant->conf, 0, false);
}

/* Behaviour 68: a shared VM of the dead address space: ESRCH, and it can be destroyed */
TEST_F(exec, shared_vm)
{
	exec_keeps_file(_metadata, &self->gpu, &variant->conf, DRM_FAKEGPU_VM_SHARED, false);
}

/* Behaviour 68: exec() while a job runs: it ends, as the memory under it goes */
TEST_F(exec, private_vm_busy)
{
	exec_keeps_file(_metadata, &self->gpu, &variant->conf, 0, true);
}

/* What a vfork()ed child did: it writes to the parent's memory, so to here. */
struct vforked {
	int run;
	int fault;
	int prefetch;
};

/* Behaviour 68: a child of vfork() runs in the parent's address space, so the VM is its own */
TEST_F(exec, vfork_uses_vm)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd = fakegpu_fill(p, SIZE, 0x6868686868686868);
	volatile struct vforked did = { .run = 1, .prefetch = 1 };
	int status = 0;
	pid_t pid;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x1111111111111111));
	EXPECT_FAULTS(gpu, 0,
		pid = vfork();
		if (!pid) {
			did.run = fakegpu_run(gpu->fd, gpu->queue, &cmd, 1);
			did.prefetch = fakegpu_prefetch(gpu->fd, gpu->vm, 0, p, SIZE, NULL);
			_exit(0);
		});
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, did.run);
	EXPECT_EQ(0, did.prefetch);
	/* Its end wasn't the end of the address space. */
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x68));
	EXPECT_BYTES(p, SIZE, 0x68);
}

/* Behaviour 68: vfork() and exec(), as system() does: no event, no copy, in the middle of a job */
TEST_F(exec, vfork_and_exec)
{
	struct gpu *gpu = &self->gpu;
	struct ring *ring = gpu_map_anon(GPU_PAGE);
	uint8_t *p = gpu_map_anon(SIZE);
	struct drm_fakegpu_cmd cmd = endless(ring);
	struct drm_fakegpu_vm_get_state before;
	uint32_t queue = gpu_queue(gpu);
	unsigned int i;
	int status;
	pid_t pid;

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x1111111111111111));
	ASSERT_EQ(0, fakegpu_submit(gpu->fd, queue, &cmd, 1, NULL));
	EXPECT_EVENTUALLY(true, queue_busy(gpu, queue));
	before = gpu_state(gpu);
	for (i = 0; i < 5; i++) {
		pid = vfork();
		if (!pid) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(3);
		}
		ASSERT_LT(0, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
	}
	EXPECT_TRUE(queue_busy(gpu, queue));
	EXPECT_EQ(before.pages_cleared, gpu_state(gpu).pages_cleared);
	EXPECT_EQ(before.faults, gpu_state(gpu).faults);
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x11));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
}

/* A process that shares its parent's address space, but has files of its own. */
struct clone {
	struct gpu *gpu;
	struct proc *up;
	uint8_t *p;
	pid_t opener;
};

#define CLONE_STACK	(32 * GPU_PAGE)

static int shares_memory(void *arg)
{
	struct clone *c = arg;
	struct drm_fakegpu_cmd cmd = fakegpu_fill(c->p, SIZE, 0x2222222222222222);
	uint64_t crc;

	CHILD_CHECK(syscall(SYS_getpid) != c->opener);
	CHILD_CHECK(!gpu_run(c->gpu, &cmd, 1));
	CHILD_CHECK(gpu_byte_diff(c->p, SIZE, 0x22) == SIZE);
	/* From here on alone: the VM's creator exits, the address space stays. */
	proc_say(c->up, 'c');
	while (syscall(SYS_getppid) == c->opener)
		usleep(1000);
	CHILD_CHECK(gpu_mapped(c->gpu, c->p, SIZE) == (int64_t)SIZE);
	cmd = fakegpu_fill(c->p, SIZE, 0x3333333333333333);
	CHILD_CHECK(!gpu_run(c->gpu, &cmd, 1));
	CHILD_CHECK(gpu_byte_diff(c->p, SIZE, 0x33) == SIZE);
	madvise(c->p, SIZE, MADV_DONTNEED);
	CHILD_CHECK(!gpu_mapped(c->gpu, c->p, SIZE));
	CHILD_CHECK(!gpu_device_crc(c->gpu, c->p, SIZE, &crc));
	CHILD_CHECK(crc == gpu_crc_byte(SIZE, 0));
	CHILD_CHECK(!fakegpu_prefetch(c->gpu->fd, c->gpu->vm, 0, c->p, SIZE, NULL));
	CHILD_CHECK(!gpu_verify(c->gpu));
	proc_introduce(c->up);
	_exit(0);
}

/* Behaviour 68: CLONE_VM without CLONE_THREAD: another process, but the same address space */
TEST_F(exec, clone_vm_process)
{
	struct gpu_gauges gauges = gpu_gauges(&self->gpu);
	uint8_t *p = gpu_map_anon(SIZE);
	struct proc opener, orphan;

	proc_adopt_orphans();
	if (proc_fork(&opener)) {
		uint8_t *stack = gpu_map_anon(CLONE_STACK);
		static struct clone c;
		static struct gpu own;

		child_gpu(&own, &variant->conf);
		c = (struct clone){ .gpu = &own, .up = &opener, .p = p, .opener = getpid() };
		CHILD_CHECK(clone(shares_memory, stack + CLONE_STACK, CLONE_VM | SIGCHLD, &c) > 0);
		CHILD_CHECK(proc_hears(&opener, 'x'));
		_exit(0);
	}
	EXPECT_TRUE(proc_hears(&opener, 'c'));
	proc_say(&opener, 'x');
	ASSERT_TRUE(proc_meets(&opener, &orphan));
	EXPECT_EQ(0, proc_wait(&opener));
	EXPECT_EQ(0, proc_wait(&orphan));
	EXPECT_EVENTUALLY(gauges.vms, gpu_stat(&self->gpu, "vms"));
	EXPECT_EVENTUALLY(gauges.queues, gpu_stat(&self->gpu, "queues"));
	EXPECT_BYTES(p, SIZE, 0);
}

static int executes(void *arg)
{
	struct clone *c = arg;

	exec_self(c->up, c->gpu, c->p);
	return 3;
}

/* Behaviour 68: one of two that share an address space calls exec(): the other's VM lives on */
TEST_F(exec, clone_vm_process_execs)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(SIZE), *stack = gpu_map_anon(CLONE_STACK);
	struct clone c = { .gpu = gpu, .p = p };
	struct proc child;
	int pair[2];

	EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0x6868686868686868));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	c.up = &(struct proc){ .sock = pair[0] };
	child.sock = pair[1];
	child.pid = clone(executes, stack + CLONE_STACK, CLONE_VM | SIGCHLD, &c);
	ASSERT_LT(0, child.pid);
	close(pair[0]);
	EXPECT_TRUE(proc_hears(&child, 'e'));
	EXPECT_ENTRIES(gpu, p, SIZE, GPU_WD, 12, SYSTEM);
	EXPECT_FAULTS(gpu, 0, EXPECT_DEVICE_BYTES(gpu, p, SIZE, 0x68));
	proc_say(&child, 'x');
	EXPECT_EQ(0, proc_wait(&child));
	EXPECT_FAULTS(gpu, 0, EXPECT_RUN(gpu, fakegpu_fill(p, SIZE, 0)));
	EXPECT_BYTES(p, SIZE, 0);
}

TEST_HARNESS_MAIN
