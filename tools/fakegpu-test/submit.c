// SPDX-License-Identifier: GPL-2.0
/*
 * Area submit: commands that cannot work, too many of them, waiting for what
 * isn't there, and ends in the middle of work. Each refusal has one documented
 * errno and leaves everything as it was.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "fakegpu_test.h"

GPU_FIXTURE(submit);

/* Behaviour 13: the same on input: missing fields are zero, a tail has to be: E2BIG */
TEST_F(submit, stride_input)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = sizeof(struct drm_fakegpu_cmd);
	struct drm_fakegpu_submit s = { .queue_id = gpu->queue };
	uint8_t buf[2 * (sizeof(struct drm_fakegpu_cmd) + 32)];
	struct drm_fakegpu_cmd cmd;
	struct gpu_before before;
	size_t stride, i;

	s.cmds.ptr = fakegpu_va(buf);
	s.cmds.count = 2;
	/* Up to operand, but not operand2, result and pad. */
	for (stride = offsetof(struct drm_fakegpu_cmd, operand2); stride <= size + 32;
	     stride += 8) {
		memset(buf, 0, sizeof(buf));
		cmd = fakegpu_atomic(gpu->res + 1, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
		for (i = 0; i < 2; i++)
			memcpy(buf + i * stride, &cmd, stride < size ? stride : size);
		gpu->res[1] = 0;
		s.cmds.stride = stride;
		EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_SUBMIT, &s))
			TH_LOG("stride %zu", stride);
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, s.seqno, GPU_WAIT_NS));
		EXPECT_EQ(2UL, gpu->res[1]);
	}

	before = gpu_look(gpu);
	gpu->res[1] = 0;
	for (i = size; i < size + 32; i++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, &cmd, size);
		memcpy(buf + size + 32, &cmd, size);
		s.cmds.stride = size + 32;
		/* In the second element: the first one isn't executed either. */
		buf[size + 32 + i] = 1;
		EXPECT_EQ(-E2BIG, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_SUBMIT, &s))
			TH_LOG("tail byte %zu", i);
	}
	s.cmds.stride = 0;
	EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_SUBMIT, &s));
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_EQ(0UL, gpu->res[1]);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: no command: EINVAL; more than the most: E2BIG; exactly the most works */
TEST_F(submit, command_count)
{
	struct gpu *gpu = &self->gpu;
	uint32_t max = gpu->info.max_cmds, i;
	struct drm_fakegpu_cmd *cmds = calloc(max + 1, sizeof(*cmds));
	struct gpu_before before = gpu_look(gpu);

	ASSERT_NE(NULL, cmds);
	for (i = 0; i <= max; i++)
		cmds[i] = fakegpu_atomic(gpu->res + 1, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	gpu->res[1] = 0;
	EXPECT_EQ(-EINVAL, fakegpu_submit(gpu->fd, gpu->queue, cmds, 0, NULL));
	EXPECT_EQ(-E2BIG, fakegpu_submit(gpu->fd, gpu->queue, cmds, max + 1, NULL));
	EXPECT_EQ(-E2BIG, fakegpu_submit(gpu->fd, gpu->queue, cmds, ~0u, NULL));
	EXPECT_EQ(0UL, gpu->res[1]);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_EQ(0, gpu_run(gpu, cmds, max))
		TH_LOG("%s", gpu_why());
	EXPECT_EQ((uint64_t)max, gpu->res[1]);
	free(cmds);
}

/* Submit a command that changes something, then the bad one, then another. */
#define EXPECT_REFUSED(gpu, bad, err) do { \
	struct drm_fakegpu_cmd cmds_[] = { \
		fakegpu_fill((gpu)->res + 1, 8, 1), bad, fakegpu_fill((gpu)->res + 1, 8, 2), \
	}; \
	struct drm_fakegpu_submit submit_ = { \
		.queue_id = (gpu)->queue, \
		.cmds = DRM_FAKEGPU_ARRAY(cmds_, 3), \
		.bad_cmd = 77, \
	}; \
	EXPECT_EQ(-(err), gpu_ioctl((gpu)->fd, DRM_IOCTL_FAKEGPU_SUBMIT, &submit_)) \
		TH_LOG("opcode %u flags %#x addr %#llx addr2 %#llx size %#llx " \
		       "operands %#llx %#llx result %#llx", \
		       cmds_[1].opcode, cmds_[1].flags, (unsigned long long)cmds_[1].addr, \
		       (unsigned long long)cmds_[1].addr2, (unsigned long long)cmds_[1].size, \
		       (unsigned long long)cmds_[1].operand, \
		       (unsigned long long)cmds_[1].operand2, \
		       (unsigned long long)cmds_[1].result); \
	EXPECT_EQ(1U, submit_.bad_cmd); \
} while (0)

#define ATOMIC_FLAGS (DRM_FAKEGPU_ATOMIC_ADD | DRM_FAKEGPU_ATOMIC_SWAP | DRM_FAKEGPU_ATOMIC_CAS)

/* One good command of each opcode, with what its fields may hold. */
struct sample {
	struct drm_fakegpu_cmd cmd;
	uint32_t flags;		/* allowed */
	uint64_t span;		/* bytes at addr; 0: unused */
	uint64_t span2;
	uint64_t result;
	bool size, operand, operand2;
};

#define MAX_SAMPLES 12

static size_t samples(struct gpu *gpu, struct sample *s)
{
	volatile uint64_t *r = gpu->res;
	size_t n = 0;

	memset(s, 0, MAX_SAMPLES * sizeof(*s));
	s[n++].cmd = fakegpu_nop();
	s[n++] = (struct sample){ fakegpu_touch(r, 64, 8, 0),
		DRM_FAKEGPU_CMD_WRITE | DRM_FAKEGPU_CMD_NOFAULT, 64, 0, 0, true, true, false };
	s[n++] = (struct sample){ fakegpu_fill(r + 64, 64, 1), 0, 64, 0, 0, true, true, false };
	s[n++] = (struct sample){ fakegpu_copy(r + 64, r + 128, 64), 0, 64, 64, 0, true, false,
		false };
	s[n++] = (struct sample){ fakegpu_compare(r, r + 64, 64, r + 2), 0, 64, 64, 8, true,
		false, false };
	s[n++] = (struct sample){ fakegpu_checksum(r, 64, r + 2), 0, 64, 0, 8, true, false,
		false };
	s[n++] = (struct sample){ fakegpu_chase(r, 1, 0, 0, r + 2), 0, 8, 0, 16, true, true,
		true };
	s[n++] = (struct sample){ fakegpu_atomic(r, 8, DRM_FAKEGPU_ATOMIC_CAS, 0, 0, r + 2),
		ATOMIC_FLAGS, 8, 0, 8, true, true, true };
	s[n++] = (struct sample){ fakegpu_sem_wait(r + 64, 0, DRM_FAKEGPU_SEM_GE),
		DRM_FAKEGPU_SEM_GE, 8, 0, 0, false, true, false };
	s[n++] = (struct sample){ fakegpu_sem_signal(r + 64, 1, 0), DRM_FAKEGPU_SEM_ADD, 8, 0, 0,
		false, true, false };
	s[n++] = (struct sample){ fakegpu_timestamp(r + 64), 0, 8, 0, 0, false, false, false };
	return n;
}

/* Behaviour 13: unknown opcodes: EOPNOTSUPP */
TEST_F(submit, command_unknown_opcode)
{
	struct gpu *gpu = &self->gpu;
	const uint32_t ops[] = { DRM_FAKEGPU_OP_TIMESTAMP + 1, 100, 0x80000000, ~0u };
	struct gpu_before before = gpu_look(gpu);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		EXPECT_REFUSED(gpu, fakegpu_cmd(ops[i], 0), EOPNOTSUPP);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: flags and fields that the opcode doesn't use: EINVAL, for each opcode */
TEST_F(submit, command_unused_fields)
{
	struct gpu *gpu = &self->gpu;
	struct sample s[MAX_SAMPLES];
	size_t n = samples(gpu, s), i, bit;
	struct gpu_before before;
	struct drm_fakegpu_cmd cmd;

	EXPECT_EQ(DRM_FAKEGPU_OP_TIMESTAMP + 1UL, n);
	memset((void *)gpu->res, 0, GPU_PAGE);
	for (i = 0; i < n; i++) {
		/* The good one is good. */
		EXPECT_EQ(i, (size_t)s[i].cmd.opcode);
		EXPECT_RUN(gpu, s[i].cmd);
	}
	before = gpu_look(gpu);
	for (i = 0; i < n; i++) {
		for (bit = 0; bit < 32; bit++) {
			cmd = s[i].cmd;
			cmd.flags |= 1u << bit;
			if (!(s[i].flags & 1u << bit))
				EXPECT_REFUSED(gpu, cmd, EINVAL);
		}
#define REFUSE_VALUE(field, used) do { \
	cmd = s[i].cmd; \
	cmd.field = fakegpu_va(gpu->res); \
	if (!(used)) \
		EXPECT_REFUSED(gpu, cmd, EINVAL); \
} while (0)
		REFUSE_VALUE(addr, s[i].span);
		REFUSE_VALUE(addr2, s[i].span2);
		REFUSE_VALUE(size, s[i].size);
		REFUSE_VALUE(operand, s[i].operand);
		REFUSE_VALUE(operand2, s[i].operand2);
		REFUSE_VALUE(result, s[i].result);
		REFUSE_VALUE(pad, false);
#undef REFUSE_VALUE
	}
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: addresses: kernel, non-canonical, beyond the end, wrapping; each address field */
TEST_F(submit, command_addresses)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	struct sample s[MAX_SAMPLES];
	size_t n = samples(gpu, s), i, j, k;

	for (i = 0; i < n; i++) {
		for (j = 0; j < 3; j++) {
			uint64_t span = j == 0 ? s[i].span : j == 1 ? s[i].span2 : s[i].result;
			const struct {
				uint64_t addr;
				int err;
			} table[] = {
				{ gpu->info.va_end, EINVAL },
				{ gpu->info.va_end - span + 8, EINVAL },
				{ 0x800000000000, EINVAL },
				{ 0xdead000000000000, EINVAL },
				{ 0xffff888000000000, EINVAL },
				{ 0xffffffff81000000, EINVAL },
				{ -2 * span, EINVAL },
				{ -span, EOVERFLOW },
				{ -8UL, EOVERFLOW },
			};

			for (k = 0; span && k < ARRAY_SIZE(table); k++) {
				struct drm_fakegpu_cmd cmd = s[i].cmd;

				if (j == 0)
					cmd.addr = table[k].addr;
				else if (j == 1)
					cmd.addr2 = table[k].addr;
				else
					cmd.result = table[k].addr;
				EXPECT_REFUSED(gpu, cmd, table[k].err);
			}
		}
		if (s[i].span && gpu->info.va_start) {
			struct drm_fakegpu_cmd cmd = s[i].cmd;

			cmd.addr = gpu->info.va_start - 8;
			EXPECT_REFUSED(gpu, cmd, EINVAL);
		}
	}
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: sizes, strides, alignments and overlaps that can never work */
TEST_F(submit, command_values)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *r = gpu->res;
	volatile uint8_t *b = (volatile uint8_t *)r;
	const uint32_t add = DRM_FAKEGPU_ATOMIC_ADD, swap = DRM_FAKEGPU_ATOMIC_SWAP,
		       cas = DRM_FAKEGPU_ATOMIC_CAS;
	static const size_t sizes[] = { 0, 1, 2, 3, 5, 6, 7, 9, 12, 16 };
	struct gpu_before before = gpu_look(gpu);
	size_t i;

	EXPECT_REFUSED(gpu, fakegpu_touch(r, 0, 1, 0), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_touch(r, 8, 0, 0), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_touch(r, ~0ULL, 1, 0), EOVERFLOW);
	EXPECT_REFUSED(gpu, fakegpu_touch(r, 1UL << 62, 1, DRM_FAKEGPU_CMD_NOFAULT), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_fill(r, 0, 1), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_fill(r, gpu->info.va_end, 1), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_copy(r, r + 64, 0), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_copy(r, r, 64), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_copy(b, b + 63, 64), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_copy(b + 63, b, 64), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_compare(r, r + 64, 0, r + 2), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_checksum(r, 0, r + 2), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_chase(r, 0, 0, 0, r + 2), EINVAL);

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		EXPECT_REFUSED(gpu, fakegpu_atomic(r, sizes[i], add, 1, 0, NULL), EINVAL);
	for (i = 1; i < 8; i++) {
		EXPECT_REFUSED(gpu, fakegpu_atomic(b + i, 8, add, 1, 0, NULL), EINVAL);
		if (i != 4)
			EXPECT_REFUSED(gpu, fakegpu_atomic(b + i, 4, add, 1, 0, NULL), EINVAL);
		EXPECT_REFUSED(gpu, fakegpu_sem_wait((uint64_t *)(b + i), 0, 0), EINVAL);
		EXPECT_REFUSED(gpu, fakegpu_sem_signal((uint64_t *)(b + i), 0, 0), EINVAL);
	}
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, 0, 1, 0, NULL), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, add | swap, 1, 0, NULL), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, swap | cas, 1, 0, NULL), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, ATOMIC_FLAGS, 1, 0, NULL), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, add, 1, 1, NULL), EINVAL);
	EXPECT_REFUSED(gpu, fakegpu_atomic(r, 8, swap, 1, 1, NULL), EINVAL);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: an access that may fail, with strides that nearly wrap, ends */
TEST_F(submit, command_huge_stride)
{
	struct gpu *gpu = &self->gpu;
	static const uint64_t strides[] = { 1UL << 32, 1UL << 63, -GPU_PAGE, -2UL, -1UL };
	uint8_t *hole = gpu_va(GPU_SZ_2M, GPU_SZ_2M), *p = gpu_map_anon(2 * GPU_PAGE);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strides); i++) {
		struct drm_fakegpu_cmd cmds[] = {
			fakegpu_touch(p + 5, GPU_PAGE, strides[i], 0),
			fakegpu_touch(hole + 5, GPU_PAGE, strides[i], DRM_FAKEGPU_CMD_NOFAULT),
		};

		/* A command that doesn't end blocks all after it: stop then. */
		EXPECT_DELTA(gpu, faults_nofault, 1, ASSERT_EQ(0, gpu_run(gpu, cmds, 2))
			TH_LOG("stride %#llx: %s", (unsigned long long)strides[i], gpu_why()));
		EXPECT_FATAL(gpu, fakegpu_touch(hole + 5, GPU_PAGE, strides[i], 0), EFAULT,
			     hole + 5, READ);
	}
	EXPECT_UNMAPPED(gpu, p + GPU_PAGE, GPU_PAGE);
}

/* Behaviour 13: a command that overwrites its own command buffer: the copy is executed */
TEST_F(submit, command_own_buffer)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd *cmds = (struct drm_fakegpu_cmd *)gpu_map_anon(GPU_PAGE);

	cmds[0] = fakegpu_fill(cmds, GPU_PAGE, ~0ULL);
	cmds[1] = fakegpu_fill(p, 8, 0x4242);
	cmds[2] = fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
	EXPECT_EQ(0, gpu_run(gpu, cmds, 3))
		TH_LOG("%s", gpu_why());
	EXPECT_EQ(0x4243UL, p[0]);
	EXPECT_BYTES(cmds, GPU_PAGE, 0xff);
	/* Now they are what the device wrote. */
	EXPECT_EQ(-EOPNOTSUPP, fakegpu_submit(gpu->fd, gpu->queue, cmds, 3, NULL));
}

/* Behaviour 13: SUBMIT and WAIT after a fatal fault: EIO, for good; the VM's other queues work */
TEST_F(submit, after_fatal)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *hole = gpu_va(GPU_PAGE, GPU_SZ_2M);
	struct drm_fakegpu_queue_get_state first = { 0 }, state = { 0 };
	struct drm_fakegpu_cmd nop = fakegpu_nop();
	uint32_t queue = gpu_queue(gpu);
	int i;

	EXPECT_RUN_ON(gpu, queue, nop);
	EXPECT_EQ(-EIO, gpu_run_on(gpu, queue, &(struct drm_fakegpu_cmd){
			.opcode = DRM_FAKEGPU_OP_TIMESTAMP, .addr = fakegpu_va(hole) }, 1));
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &first));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EIO, fakegpu_submit(gpu->fd, queue, &nop, 1, NULL));
		EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, 2, 0));
		EXPECT_EQ(-EIO, fakegpu_wait(gpu->fd, queue, 3, GPU_WAIT_NS));
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, queue, 1, 0));
	}
	EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, queue, &state));
	EXPECT_EQ(0, memcmp(&first, &state, sizeof(state)));
	EXPECT_EQ(2ULL, state.submitted);
	EXPECT_EQ(1ULL, state.completed);
	EXPECT_EQ((uint32_t)EFAULT, state.error);
	EXPECT_WORKS(gpu);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
}

/* Behaviour 13: WAIT: sequence number 0, past, future; timeouts now, past and long past */
TEST_F(submit, wait_values)
{
	struct gpu *gpu = &self->gpu;
	static const int64_t past[] = { 0, 1, -1, INT64_MIN };
	struct drm_fakegpu_cmd cmd = fakegpu_sem_wait(gpu->res + 1, 1, 0);
	struct drm_fakegpu_wait w = { .queue_id = gpu->queue };
	uint64_t seqno = 0, i;

	gpu->res[1] = 0;
	EXPECT_RUN(gpu, fakegpu_nop());
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno));
	for (i = 0; i < ARRAY_SIZE(past); i++) {
		w.timeout_ns = past[i];
		w.seqno = 0;
		EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
		EXPECT_EQ(seqno - 1, (uint64_t)w.completed);
		w.seqno = seqno - 1;
		EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
		w.seqno = seqno;
		EXPECT_EQ(-ETIME, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
		w.seqno = seqno + 1;
		EXPECT_EQ(-ETIME, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
		w.seqno = ~0ULL;
		EXPECT_EQ(-ETIME, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
	}
	/* In the future: it is over then, and not before. */
	w.seqno = ~0ULL;
	w.timeout_ns = gpu_now() + 20000000;
	EXPECT_EQ(-ETIME, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
	EXPECT_LE(w.timeout_ns, gpu_now());
	gpu->res[1] = 1;
	w.seqno = seqno;
	w.timeout_ns = INT64_MAX;
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_WAIT, &w));
	EXPECT_EQ(seqno, (uint64_t)w.completed);
}

/* Behaviour 13: WAIT: submissions complete one by one, each when it is done and not before */
TEST_F(submit, wait_one_by_one)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_queue_get_state state;
	uint64_t seqno[4] = { 0 }, i;

	gpu->res[1] = 0;
	for (i = 0; i < ARRAY_SIZE(seqno); i++) {
		struct drm_fakegpu_cmd cmd = fakegpu_sem_wait(gpu->res + 1, i + 1,
							      DRM_FAKEGPU_SEM_GE);

		EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &cmd, 1, &seqno[i]));
		EXPECT_EQ(seqno[0] + i, seqno[i]);
	}
	for (i = 0; i < ARRAY_SIZE(seqno); i++) {
		EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno[i], 0));
		gpu->res[1] = i + 1;
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno[i], GPU_WAIT_NS));
		EXPECT_EQ(0, fakegpu_queue_state(gpu->fd, gpu->queue, &state));
		EXPECT_EQ(seqno[i], (uint64_t)state.completed);
	}
}

struct waiter {
	pthread_t thread;
	int fd;
	uint32_t queue;
	uint64_t seqno;
	pid_t tid;
	int ret;
};

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	w->ret = fakegpu_wait(w->fd, w->queue, w->seqno, GPU_WAIT_NS);
	return NULL;
}

/* Is the thread inside an ioctl? */
static bool waiting(struct waiter *w)
{
	pid_t tid = __atomic_load_n(&w->tid, __ATOMIC_ACQUIRE);
	char path[64];
	int nr = -1;
	FILE *f;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%d", &nr) != 1)
		nr = -1;
	fclose(f);
	return nr == SYS_ioctl;
}

/* Behaviour 13: WAIT for a sequence number that is given out later */
TEST_F(submit, wait_future_seqno)
{
	struct gpu *gpu = &self->gpu;
	struct waiter w = { .fd = gpu->fd, .queue = gpu_queue(gpu), .seqno = 2, .ret = 1 };

	ASSERT_EQ(0, pthread_create(&w.thread, NULL, waiter_main, &w));
	EXPECT_EVENTUALLY(true, waiting(&w));
	EXPECT_RUN_ON(gpu, w.queue, fakegpu_nop());
	EXPECT_RUN_ON(gpu, w.queue, fakegpu_nop());
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	EXPECT_EQ(0, w.ret);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, w.queue));
}

/* Behaviour 13, 96: a queue is destroyed while its work is waited for: ECANCELED */
TEST_F(submit, wait_destroyed_queue)
{
	struct gpu *gpu = &self->gpu;
	struct waiter w = { .fd = gpu->fd, .queue = gpu_queue(gpu), .seqno = 1, .ret = 1 };
	struct drm_fakegpu_cmd cmds[] = {
		fakegpu_sem_wait(gpu->res + 1, 1, 0),
		fakegpu_fill(gpu->res + 2, 8, 1),
	};

	gpu->res[1] = 0;
	gpu->res[2] = 0;
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, w.queue, cmds, 2, NULL));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, waiter_main, &w));
	EXPECT_EVENTUALLY(true, waiting(&w));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, w.queue));
	ASSERT_EQ(0, pthread_join(w.thread, NULL));
	EXPECT_EQ(-ECANCELED, w.ret);
	EXPECT_EQ(-ENOENT, fakegpu_wait(gpu->fd, w.queue, 1, 0));
	/* What was cancelled doesn't happen later. */
	gpu->res[1] = 1;
	EXPECT_WORKS(gpu);
	EXPECT_EQ(0UL, gpu->res[2]);
}

/* Behaviour 96: a queue is destroyed in the middle of a command */
TEST_F(submit, destroy_while_running)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd cmds[2];
	uint32_t queue;
	int i;

	/* A circle: this command has no end. */
	p[0] = fakegpu_va(p);
	cmds[0] = fakegpu_sem_signal(gpu->res + 1, 1, 0);
	cmds[1] = fakegpu_chase(p, ~0ULL, 0, 8, gpu->res + 2);
	for (i = 0; i < 10; i++) {
		queue = gpu_queue(gpu);
		gpu->res[1] = 0;
		gpu->res[2] = 0;
		EXPECT_EQ(0, fakegpu_submit(gpu->fd, queue, cmds, 2, NULL));
		if (i % 2)
			EXPECT_EVENTUALLY(1UL, gpu->res[1]);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queue));
		EXPECT_EQ(0UL, gpu->res[2]);
	}
	EXPECT_EQ(before.gauges.queues, gpu_gauges(gpu).queues);
	EXPECT_WORKS(gpu);
}

/* Behaviour 40, 96: the file is closed while commands run, fault and wait */
TEST_F(submit, close_while_running)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd run, fault, wait;
	struct gpu other = *gpu;
	uint8_t *cold;
	int i;

	p[0] = fakegpu_va(p);
	run = fakegpu_chase(p, ~0ULL, 0, 8, gpu->res + 2);
	wait = fakegpu_sem_wait(gpu->res + 1, 1, 0);
	gpu->res[1] = 0;
	for (i = 0; i < 8; i++) {
		cold = gpu_map_anon(4 * GPU_SZ_2M);
		fault = fakegpu_fill(cold, 4 * GPU_SZ_2M, i);
		other.fd = fakegpu_open(0);
		ASSERT_LE(0, other.fd);
		ASSERT_EQ(0, gpu_vm_create(other.fd, 0, &gpu->conf, &other.vm));
		EXPECT_EQ(0, fakegpu_submit(other.fd, gpu_queue(&other), &run, 1, NULL));
		EXPECT_EQ(0, fakegpu_submit(other.fd, gpu_queue(&other), &fault, 1, NULL));
		EXPECT_EQ(0, fakegpu_submit(other.fd, gpu_queue(&other), &wait, 1, NULL));
		EXPECT_EQ(0, close(other.fd));
		if (i % 2)
			EXPECT_EQ(0, munmap(cold, 4 * GPU_SZ_2M));
	}
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before.gauges))
		TH_LOG("%s", gpu_why());
	EXPECT_WORKS(gpu);
}

TEST_HARNESS_MAIN
