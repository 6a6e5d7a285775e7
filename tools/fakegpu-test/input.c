// SPDX-License-Identifier: GPL-2.0
/*
 * Area input: every wrong argument of an ioctl has one documented errno; nothing
 * leaks and nothing is half done. What SUBMIT and WAIT refuse is in area submit.
 */
#include <sys/wait.h>

#include "fakegpu_test.h"

GPU_FIXTURE(input);

union args {
	struct drm_fakegpu_dev_query dev_query;
	struct drm_fakegpu_vm_create vm_create;
	struct drm_fakegpu_vm_destroy vm_destroy;
	struct drm_fakegpu_vm_query vm_query;
	struct drm_fakegpu_vm_get_state vm_get_state;
	struct drm_fakegpu_vm_get_faults vm_get_faults;
	struct drm_fakegpu_queue_create queue_create;
	struct drm_fakegpu_queue_destroy queue_destroy;
	struct drm_fakegpu_queue_get_state queue_get_state;
	struct drm_fakegpu_submit submit;
	struct drm_fakegpu_wait wait;
	struct drm_fakegpu_prefetch prefetch;
	struct drm_fakegpu_vm_advise vm_advise;
	struct drm_fakegpu_vm_query_attrs vm_query_attrs;
	struct drm_fakegpu_range_register range_register;
	struct drm_fakegpu_range_unregister range_unregister;
	uint8_t bytes[256];
};

/* What valid arguments point at. */
static struct drm_fakegpu_cmd nop_cmd;
static struct drm_fakegpu_vm_run some_runs[8];
static struct drm_fakegpu_fault_info some_faults[8];
static struct drm_fakegpu_vm_attr_range some_attrs[8];
static uint8_t some_page[4096] __attribute__((aligned(4096)));

/* A 32-bit field: bits that must be zero, or an id. */
struct field {
	size_t offset;
	uint32_t mask;
};

#define MBZ(type, name, bits) { offsetof(struct drm_fakegpu_ ## type, name), bits }

static const struct ioctl_case {
	const char *name;
	unsigned long nr;
	struct field vm_id;	/* mask 0: has none */
	struct field queue_id;
	struct field mbz[3];
} ioctls[] = {
#define ROW(upper) .name = #upper, .nr = DRM_IOCTL_FAKEGPU_ ## upper
	{ ROW(VM_CREATE),
	  .mbz = { MBZ(vm_create, pad, ~0u),
		   MBZ(vm_create, flags, ~(DRM_FAKEGPU_VM_SHARED | DRM_FAKEGPU_VM_SCRATCH |
					       DRM_FAKEGPU_VM_DIRECT)) } },
	{ ROW(VM_DESTROY), .vm_id = MBZ(vm_destroy, vm_id, 1),
	  .mbz = { MBZ(vm_destroy, pad, ~0u) } },
	{ ROW(VM_QUERY), .vm_id = MBZ(vm_query, vm_id, 1),
	  .mbz = { MBZ(vm_query, flags, ~0u) } },
	{ ROW(VM_GET_STATE), .vm_id = MBZ(vm_get_state, vm_id, 1),
	  .mbz = { MBZ(vm_get_state, pad, ~0u) } },
	{ ROW(VM_GET_FAULTS), .vm_id = MBZ(vm_get_faults, vm_id, 1),
	  .mbz = { MBZ(vm_get_faults, flags, ~0u) } },
	{ ROW(QUEUE_CREATE), .vm_id = MBZ(queue_create, vm_id, 1),
	  .mbz = { MBZ(queue_create, flags, ~0u), MBZ(queue_create, pad, ~0u) } },
	{ ROW(QUEUE_DESTROY), .queue_id = MBZ(queue_destroy, queue_id, 1),
	  .mbz = { MBZ(queue_destroy, pad, ~0u) } },
	{ ROW(QUEUE_GET_STATE), .queue_id = MBZ(queue_get_state, queue_id, 1),
	  .mbz = { MBZ(queue_get_state, flags, ~0u) } },
	{ ROW(SUBMIT), .queue_id = MBZ(submit, queue_id, 1),
	  .mbz = { MBZ(submit, flags, ~0u), MBZ(submit, pad, ~0u) } },
	{ ROW(WAIT), .queue_id = MBZ(wait, queue_id, 1),
	  .mbz = { MBZ(wait, flags, ~0u) } },
	{ ROW(PREFETCH), .vm_id = MBZ(prefetch, vm_id, 1),
	  .mbz = { MBZ(prefetch, flags,
		       ~(DRM_FAKEGPU_PREFETCH_WRITE | DRM_FAKEGPU_PREFETCH_PRESENT)) } },
	{ ROW(VM_ADVISE), .vm_id = MBZ(vm_advise, vm_id, 1),
	  .mbz = { MBZ(vm_advise, flags, ~0u), MBZ(vm_advise, pad, ~0u) } },
	{ ROW(VM_QUERY_ATTRS), .vm_id = MBZ(vm_query_attrs, vm_id, 1),
	  .mbz = { MBZ(vm_query_attrs, flags, ~0u) } },
	{ ROW(RANGE_REGISTER), .vm_id = MBZ(range_register, vm_id, 1),
	  .mbz = { MBZ(range_register, flags, ~0u), MBZ(range_register, pad, ~0u) } },
	{ ROW(RANGE_UNREGISTER), .vm_id = MBZ(range_unregister, vm_id, 1) },
#undef ROW
};

/* Arguments that would succeed, but for the scheme of a range's VM. */
static void valid(struct gpu *gpu, const struct ioctl_case *io, union args *args)
{
	memset(args, 0, sizeof(*args));
	if (io->vm_id.mask)
		memcpy(args->bytes + io->vm_id.offset, &gpu->vm, 4);
	if (io->queue_id.mask)
		memcpy(args->bytes + io->queue_id.offset, &gpu->queue, 4);

	switch (io->nr) {
	case DRM_IOCTL_FAKEGPU_VM_QUERY:
		args->vm_query.start = fakegpu_va(some_page);
		args->vm_query.size = GPU_PAGE;
		args->vm_query.runs = (struct drm_fakegpu_array)DRM_FAKEGPU_ARRAY(some_runs, 8);
		break;
	case DRM_IOCTL_FAKEGPU_VM_GET_FAULTS:
		args->vm_get_faults.faults =
			(struct drm_fakegpu_array)DRM_FAKEGPU_ARRAY(some_faults, 8);
		break;
	case DRM_IOCTL_FAKEGPU_SUBMIT:
		args->submit.cmds = (struct drm_fakegpu_array)DRM_FAKEGPU_ARRAY(&nop_cmd, 1);
		break;
	case DRM_IOCTL_FAKEGPU_PREFETCH:
		args->prefetch.start = fakegpu_va(some_page);
		args->prefetch.size = GPU_PAGE;
		break;
	case DRM_IOCTL_FAKEGPU_VM_ADVISE:
		args->vm_advise.start = fakegpu_va(some_page);
		args->vm_advise.size = GPU_PAGE;
		break;
	case DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS:
		args->vm_query_attrs.start = fakegpu_va(some_page);
		args->vm_query_attrs.size = GPU_PAGE;
		args->vm_query_attrs.ranges =
			(struct drm_fakegpu_array)DRM_FAKEGPU_ARRAY(some_attrs, 8);
		break;
	case DRM_IOCTL_FAKEGPU_RANGE_REGISTER:
		args->range_register.start = fakegpu_va(some_page);
		args->range_register.size = GPU_PAGE;
		break;
	}
}

/* Behaviour 13: nonzero pads and unknown flags, one bit at a time, in each ioctl: EINVAL */
TEST_F(input, mbz_every_ioctl)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	size_t i, j, bit;
	union args args;
	uint32_t value;

	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		for (j = 0; j < ARRAY_SIZE(ioctls[i].mbz); j++) {
			for (bit = 0; bit < 32; bit++) {
				value = 1u << bit;
				if (!(ioctls[i].mbz[j].mask & value))
					continue;
				valid(gpu, &ioctls[i], &args);
				memcpy(args.bytes + ioctls[i].mbz[j].offset, &value, 4);
				EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, ioctls[i].nr, &args))
					TH_LOG("%s, field at %zu, bit %zu", ioctls[i].name,
					       ioctls[i].mbz[j].offset, bit);
			}
		}
	}
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: ids that there are not, in each ioctl: ENOENT */
TEST_F(input, id_unknown_every_ioctl)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	const uint32_t ids[] = { 0, ~0u, 0x80000000, gpu->vm + gpu->queue + 1000 };
	const struct field *field;
	union args args;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		field = ioctls[i].vm_id.mask ? &ioctls[i].vm_id : &ioctls[i].queue_id;
		if (!field->mask)
			continue;
		for (j = 0; j < ARRAY_SIZE(ids); j++) {
			valid(gpu, &ioctls[i], &args);
			memcpy(args.bytes + field->offset, &ids[j], 4);
			EXPECT_EQ(-ENOENT, gpu_ioctl(gpu->fd, ioctls[i].nr, &args))
				TH_LOG("%s, id %u", ioctls[i].name, ids[j]);
		}
	}
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: ids of another file, also of the same process: ENOENT */
TEST_F(input, id_other_file_every_ioctl)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	int fd = fakegpu_open(0);
	union args args;
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		if (!ioctls[i].vm_id.mask && !ioctls[i].queue_id.mask)
			continue;
		valid(gpu, &ioctls[i], &args);
		EXPECT_EQ(-ENOENT, gpu_ioctl(fd, ioctls[i].nr, &args))
			TH_LOG("%s", ioctls[i].name);
	}
	close(fd);
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13, 65: ids of a destroyed VM and queue: ENOENT; a VM with queues: EBUSY */
TEST_F(input, id_destroyed)
{
	struct gpu *gpu = &self->gpu, gone = *gpu;
	union args args;
	size_t i;

	ASSERT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &gone.vm));
	ASSERT_EQ(0, fakegpu_queue_create(gpu->fd, gone.vm, &gone.queue));
	EXPECT_NE(gpu->vm, gone.vm);
	EXPECT_NE(gpu->queue, gone.queue);
	EXPECT_EQ(-EBUSY, fakegpu_vm_destroy(gpu->fd, gone.vm));
	EXPECT_RUN(&gone, fakegpu_fill(gpu->res, 8, 1));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, gone.queue));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, gone.vm));
	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		if (!ioctls[i].vm_id.mask && !ioctls[i].queue_id.mask)
			continue;
		valid(&gone, &ioctls[i], &args);
		EXPECT_EQ(-ENOENT, gpu_ioctl(gpu->fd, ioctls[i].nr, &args))
			TH_LOG("%s", ioctls[i].name);
	}
	EXPECT_WORKS(gpu);
}

/* Run the statements in a child; what it expects counts as the test's. */
#define IN_CHILD(...) do { \
	int status_ = -1; \
	pid_t pid_ = fork(); \
	ASSERT_LE(0, pid_); \
	if (!pid_) { \
		__VA_ARGS__; \
		_exit(0); \
	} \
	EXPECT_EQ(pid_, waitpid(pid_, &status_, 0)); \
	EXPECT_EQ(0, status_); \
} while (0)

/* Behaviour 13, 65: another process with the file names the VM or a queue of it: EPERM */
TEST_F(input, id_other_process_every_ioctl)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before;
	union args args;
	uint32_t vm = 0;
	size_t i;

	IN_CHILD(
		for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
			if (!ioctls[i].vm_id.mask && !ioctls[i].queue_id.mask)
				continue;
			valid(gpu, &ioctls[i], &args);
			EXPECT_EQ(-EPERM, gpu_ioctl(gpu->fd, ioctls[i].nr, &args))
				TH_LOG("%s", ioctls[i].name);
		}
		/* A VM of its own is the child's to use, through the same file. */
		EXPECT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &vm));
		EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, vm));
	);
	EXPECT_WORKS(gpu);
	before = gpu_look(gpu);
	IN_CHILD(
		valid(gpu, &ioctls[1], &args);
		EXPECT_EQ(-EPERM, gpu_ioctl(gpu->fd, ioctls[1].nr, &args));
	);
	EXPECT_EQ(before.vm.faults, gpu_state(gpu).faults);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13, 65: a VM made to be shared: others may name it, it acts on its creator's mm */
TEST_F(input, id_other_process_shared)
{
	struct gpu *gpu = &self->gpu, shared = *gpu;
	volatile uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);

	ASSERT_EQ(0, gpu_vm_create(gpu->fd, DRM_FAKEGPU_VM_SHARED, &gpu->conf, &shared.vm));
	ASSERT_EQ(0, fakegpu_queue_create(gpu->fd, shared.vm, &shared.queue));
	p[0] = 1;
	IN_CHILD(
		p[0] = 50;
		EXPECT_RUN(&shared, fakegpu_atomic(p, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL));
		EXPECT_EQ(50UL, p[0]);
	);
	EXPECT_EQ(2UL, p[0]);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, shared.queue));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, shared.vm));
}

/* Behaviour 13: pointers passed to an ioctl that cannot be read or written: EFAULT */
TEST_F(input, pointer_bad)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_PAGE);
	const uint64_t bad[] = {
		0, 8, fakegpu_va(p + GPU_PAGE), fakegpu_va(p + GPU_PAGE) - 40, 0x800000000000,
		0xdead000000000000, 0xffff888000000000, -8UL,
	};
	struct drm_fakegpu_cmd *cmds = (struct drm_fakegpu_cmd *)(p + GPU_PAGE) - 1;
	struct gpu_before before;
	union args args;
	size_t i;

	ASSERT_EQ(0, munmap(p + GPU_PAGE, GPU_PAGE));
	memset(p, 0, GPU_PAGE);
	/* Something to be written for each of them. */
	EXPECT_RUN(gpu, fakegpu_touch(some_page, 1, 1, 0));
	EXPECT_FATAL(gpu, fakegpu_fill(p + GPU_PAGE, 1, 1), EFAULT, p + GPU_PAGE, WRITE);
	before = gpu_look(gpu);

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(&args, 0, sizeof(args));
		args.vm_query.vm_id = gpu->vm;
		args.vm_query.start = fakegpu_va(some_page);
		args.vm_query.size = GPU_PAGE;
		args.vm_query.runs.stride = sizeof(struct drm_fakegpu_vm_run) + 24;
		args.vm_query.runs.count = 1;
		args.vm_query.runs.ptr = bad[i];
		EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY, &args))
			TH_LOG("%#llx", (unsigned long long)bad[i]);

		memset(&args, 0, sizeof(args));
		args.vm_get_faults.vm_id = gpu->vm;
		args.vm_get_faults.faults.stride = sizeof(struct drm_fakegpu_fault_info) + 16;
		args.vm_get_faults.faults.count = 1;
		args.vm_get_faults.faults.ptr = bad[i];
		EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_GET_FAULTS, &args))
			TH_LOG("%#llx", (unsigned long long)bad[i]);

		memset(&args, 0, sizeof(args));
		args.submit.queue_id = gpu->queue;
		args.submit.cmds.stride = sizeof(struct drm_fakegpu_cmd);
		args.submit.cmds.count = 1;
		args.submit.cmds.ptr = bad[i];
		EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_SUBMIT, &args))
			TH_LOG("%#llx", (unsigned long long)bad[i]);

		/* Zero has a meaning of its own here. */
		memset(&args, 0, sizeof(args));
		args.dev_query.size = sizeof(struct drm_fakegpu_dev_info);
		args.dev_query.pointer = bad[i];
		if (bad[i])
			EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &args));
	}
	/* The first command can be read, the second cannot: none is executed. */
	cmds[0] = fakegpu_fill(p, 1, 9);
	EXPECT_EQ(-EFAULT, fakegpu_submit(gpu->fd, gpu->queue, cmds, 2, NULL));
	EXPECT_EQ(0, p[0]);
	/* The ioctl's own argument. */
	for (i = 0; i < ARRAY_SIZE(ioctls); i++) {
		EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, ioctls[i].nr, NULL));
		EXPECT_EQ(-EFAULT, gpu_ioctl(gpu->fd, ioctls[i].nr, (void *)0xffff888000000000));
	}
	EXPECT_UNCHANGED(gpu, before);
	EXPECT_WORKS(gpu);
}

/* Behaviour 13: an ioctl number that isn't in use: EINVAL, from the DRM core */
TEST_F(input, ioctl_unknown)
{
	struct gpu *gpu = &self->gpu;
	unsigned int nr;

	for (nr = DRM_FAKEGPU_RANGE_UNREGISTER + 1; nr < DRM_COMMAND_END - DRM_COMMAND_BASE; nr++) {
		EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOWR(DRM_COMMAND_BASE + nr, union args),
					some_page))
			TH_LOG("%u", nr);
	}
}

/* Behaviour 13: DEV_QUERY: sizes smaller and larger than the answer, unknown types */
TEST_F(input, dev_query)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_dev_query q = { 0 };
	uint8_t buf[2 * sizeof(struct drm_fakegpu_dev_info)];
	uint32_t i;

	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &q));
	EXPECT_EQ(sizeof(struct drm_fakegpu_dev_info), q.size);

	memset(buf, 0xaa, sizeof(buf));
	q.size = 16;
	q.pointer = fakegpu_va(buf);
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &q));
	EXPECT_EQ(16U, q.size);
	EXPECT_EQ(0, memcmp(buf, &gpu->info, 16));
	EXPECT_BYTES(buf + 16, sizeof(buf) - 16, 0xaa);

	q.size = sizeof(buf);
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &q));
	EXPECT_EQ(sizeof(struct drm_fakegpu_dev_info), q.size);
	EXPECT_EQ(0, memcmp(buf, &gpu->info, sizeof(gpu->info)));
	EXPECT_BYTES(buf + sizeof(gpu->info), sizeof(buf) - sizeof(gpu->info), 0xaa);

	q.size = sizeof(buf);
	q.type = 1;
	EXPECT_EQ(-EOPNOTSUPP, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &q));
	q.type = ~0u;
	EXPECT_EQ(-EOPNOTSUPP, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &q));

	EXPECT_EQ((uint64_t)DRM_FAKEGPU_DEV_SIMULATOR,
		  gpu->info.flags & ~(uint64_t)DRM_FAKEGPU_DEV_DIRECT);
	EXPECT_EQ(15U, gpu->info.schemes & 15);
	for (i = 0; i < 64; i++) {
		const uint32_t want = i & 32 ? DRM_FAKEGPU_VM_DIRECT : 0;
		const char *name = fakegpu_scheme_name(i & 31, want | DRM_FAKEGPU_VM_SHARED);
		uint32_t flags = DRM_FAKEGPU_VM_SHARED | (DRM_FAKEGPU_VM_DIRECT ^ want);
		uint32_t scheme = ~i;

		EXPECT_EQ(want ? (i & 31) == DRM_FAKEGPU_SCHEME_SLOT ||
				 (i & 31) == DRM_FAKEGPU_SCHEME_VMA :
				 gpu->info.schemes >> i & 1, !!name);
		EXPECT_EQ(name ? 0 : -EINVAL, fakegpu_scheme_parse(name ?: "slots", &scheme,
								   &flags));
		EXPECT_EQ(name ? i & 31 : ~i, scheme);
		if (name)
			EXPECT_EQ(want | DRM_FAKEGPU_VM_SHARED, flags);
	}
	EXPECT_EQ(NULL, fakegpu_scheme_name(~0u, 0));
	EXPECT_EQ(12U, gpu->info.page_shift);
	EXPECT_EQ(21U, gpu->info.leaf_shift);
	EXPECT_LE(gpu->info.interval_order_min, gpu->info.interval_order);
	EXPECT_LE(gpu->info.interval_order, gpu->info.interval_order_max);
	EXPECT_LE(gpu->info.window_order_min, gpu->info.window_order);
	EXPECT_LE(gpu->info.window_order, gpu->info.window_order_max);
	EXPECT_LT(fakegpu_va(&q), gpu->info.va_end);
}

/* Behaviour 13: VM_CREATE: schemes and orders, each border and one beyond */
TEST_F(input, vm_create_values)
{
	struct gpu *gpu = &self->gpu;
	const struct drm_fakegpu_dev_info *info = &gpu->info;
	struct gpu_before before = gpu_look(gpu);
	const struct {
		uint32_t scheme, interval, window;
		int ret;
	} table[] = {
		{ 4, 0, 0, -EOPNOTSUPP },
		{ 31, 0, 0, -EOPNOTSUPP },
		{ 32, 0, 0, -EOPNOTSUPP },
		{ ~0u, 0, 0, -EOPNOTSUPP },
		{ DRM_FAKEGPU_SCHEME_SLOT, info->interval_order_min - 1, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, 1, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, info->interval_order_max + 1, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, 64, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, ~0u, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_MM, info->interval_order, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_FIXED, info->interval_order, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_FIXED, 0, info->window_order_min, 0 },
		{ DRM_FAKEGPU_SCHEME_VMA, info->interval_order_min - 1, 0, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_VMA, info->interval_order_max, 0, 0 },
		{ DRM_FAKEGPU_SCHEME_SLOT, 0, info->window_order_min - 1, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, 0, info->window_order_max + 1, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_MM, 0, 64, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_MM, 0, ~0u, -EINVAL },
		{ DRM_FAKEGPU_SCHEME_SLOT, info->interval_order_min, 0, 0 },
		{ DRM_FAKEGPU_SCHEME_SLOT, info->interval_order_max, 0, 0 },
		{ DRM_FAKEGPU_SCHEME_SLOT, 0, info->window_order_min, 0 },
		{ DRM_FAKEGPU_SCHEME_SLOT, 0, info->window_order_max, 0 },
		{ DRM_FAKEGPU_SCHEME_MM, 0, info->window_order_min, 0 },
		{ DRM_FAKEGPU_SCHEME_MM, 0, info->window_order_max, 0 },
	};
	struct gpu other = *gpu;
	uint32_t range;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(table[i].ret, fakegpu_vm_create(gpu->fd, 0, table[i].scheme,
							  table[i].interval, table[i].window,
							  &other.vm))
			TH_LOG("scheme %u interval %u window %u", table[i].scheme,
			       table[i].interval, table[i].window);
		if (table[i].ret)
			continue;
		if (table[i].scheme == DRM_FAKEGPU_SCHEME_FIXED)
			EXPECT_EQ(0, fakegpu_range_register(gpu->fd, other.vm, fakegpu_va(gpu->res),
							    GPU_PAGE, &range));
		/* What is accepted also works. */
		EXPECT_EQ(0, fakegpu_queue_create(gpu->fd, other.vm, &other.queue));
		EXPECT_WORKS(&other);
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, other.queue));
		EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, other.vm));
	}
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before.gauges))
		TH_LOG("%s", gpu_why());
}

/* Behaviour 13: too many VMs or queues: ENOSPC, and one less makes room for one more */
TEST_F(input, too_many_objects)
{
	struct gpu *gpu = &self->gpu;
	struct gpu_before before = gpu_look(gpu);
	uint32_t *ids = calloc(gpu->info.max_vms + gpu->info.max_queues, sizeof(*ids)), i, n;

	ASSERT_NE(NULL, ids);
	n = gpu->info.max_vms - 1;
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &ids[i]));
	EXPECT_EQ(-ENOSPC, gpu_vm_create(gpu->fd, 0, &gpu->conf, &ids[n]));
	EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, ids[n / 2]));
	EXPECT_EQ(0, gpu_vm_create(gpu->fd, 0, &gpu->conf, &ids[n / 2]));
	EXPECT_EQ(-ENOSPC, gpu_vm_create(gpu->fd, 0, &gpu->conf, &ids[n]));
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, fakegpu_vm_destroy(gpu->fd, ids[i]));

	n = gpu->info.max_queues - 1;
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, fakegpu_queue_create(gpu->fd, gpu->vm, &ids[i]));
	EXPECT_EQ(-ENOSPC, fakegpu_queue_create(gpu->fd, gpu->vm, &ids[n]));
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, ids[n / 2]));
	EXPECT_EQ(0, fakegpu_queue_create(gpu->fd, gpu->vm, &ids[n / 2]));
	EXPECT_EQ(-ENOSPC, fakegpu_queue_create(gpu->fd, gpu->vm, &ids[n]));
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, ids[i]));
	EXPECT_EQ(0, gpu_gauges_settle(gpu, &before.gauges))
		TH_LOG("%s", gpu_why());
	EXPECT_WORKS(gpu);
	free(ids);
}

/* Behaviour 13: too many submissions in flight: ENOSPC, and later there is room again */
TEST_F(input, too_many_jobs)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd wait = fakegpu_sem_wait(gpu->res + 1, 1, 0);
	struct drm_fakegpu_cmd count = fakegpu_atomic(gpu->res + 2, 8, DRM_FAKEGPU_ATOMIC_ADD, 1,
						      0, NULL);
	uint64_t seqno = 0, first = 0;
	uint32_t i;

	gpu->res[1] = 0;
	gpu->res[2] = 0;
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &wait, 1, &first));
	for (i = 1; i < gpu->info.max_jobs; i++)
		EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &count, 1, &seqno));
	EXPECT_EQ(first + gpu->info.max_jobs - 1, seqno);
	EXPECT_EQ(-ENOSPC, fakegpu_submit(gpu->fd, gpu->queue, &count, 1, NULL));
	gpu->res[1] = 1;
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ(gpu->info.max_jobs - 1UL, gpu->res[2]);
	/* The refused one took no sequence number. */
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, &count, 1, &first));
	EXPECT_EQ(seqno + 1, first);
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, first, GPU_WAIT_NS));
	EXPECT_EQ((uint64_t)gpu->info.max_jobs, gpu->res[2]);
}

/* Behaviour 13: VM_QUERY and PREFETCH: misaligned, 0, wrap, kernel, non-canonical, top page */
TEST_F(input, range_values)
{
	struct gpu *gpu = &self->gpu;
	uint64_t p = fakegpu_va(some_page), end = gpu->info.va_end, done, next;
	const struct {
		uint64_t start, size;
		int query, prefetch;
	} table[] = {
		{ p, 0, -EINVAL, -EINVAL },
		{ p + 1, GPU_PAGE, -EINVAL, 1 },
		{ p, GPU_PAGE - 1, -EINVAL, 1 },
		{ 0, 0, -EINVAL, -EINVAL },
		{ p, -GPU_PAGE, -EOVERFLOW, -EOVERFLOW },
		{ p, -p, -EOVERFLOW, -EOVERFLOW },
		{ GPU_PAGE, -GPU_PAGE, -EOVERFLOW, -EOVERFLOW },
		{ -GPU_PAGE, GPU_PAGE, -EOVERFLOW, -EOVERFLOW },
		{ -GPU_PAGE, 2 * GPU_PAGE, -EOVERFLOW, -EOVERFLOW },
		{ -2 * GPU_PAGE, GPU_PAGE, -EINVAL, -EINVAL },
		{ end, GPU_PAGE, -EINVAL, -EINVAL },
		{ end - GPU_PAGE, 2 * GPU_PAGE, -EINVAL, -EINVAL },
		{ p, end - p + GPU_PAGE, -EINVAL, -EINVAL },
		{ 0x800000000000, GPU_PAGE, -EINVAL, -EINVAL },
		{ 0xdead000000000000, GPU_PAGE, -EINVAL, -EINVAL },
		{ 0xffff800000000000, GPU_PAGE, -EINVAL, -EINVAL },
		{ 0xffff888000000000, GPU_PAGE, -EINVAL, -EINVAL },
		/* Good addresses, and nothing there. */
		{ end - GPU_PAGE, GPU_PAGE, 0, -EFAULT },
	};
	struct drm_fakegpu_vm_run runs[2];
	struct gpu_before before = gpu_look(gpu);
	uint32_t count;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		const void *start = (void *)(uintptr_t)table[i].start;

		count = 2;
		EXPECT_EQ(table[i].query, fakegpu_vm_query(gpu->fd, gpu->vm, start, table[i].size,
							   runs, &count, &next))
			TH_LOG("%#llx, %#llx", (unsigned long long)table[i].start,
			       (unsigned long long)table[i].size);
		if (table[i].prefetch == 1)
			continue;
		done = 0;
		EXPECT_EQ(table[i].prefetch, fakegpu_prefetch(gpu->fd, gpu->vm, 0, start,
							      table[i].size, &done))
			TH_LOG("%#llx, %#llx", (unsigned long long)table[i].start,
			       (unsigned long long)table[i].size);
		EXPECT_EQ(0UL, done);
	}
	before.vm.windows = gpu_state(gpu).windows;
	EXPECT_UNCHANGED(gpu, before);
	/* Any alignment is fine for PREFETCH. */
	EXPECT_EQ(0, fakegpu_prefetch(gpu->fd, gpu->vm, 0, some_page + 4095, 1, &done));
	EXPECT_EQ(1UL, done);
	EXPECT_MAPPED(gpu, some_page, GPU_PAGE);
}

/* Behaviour 13: VM_QUERY goes on where a short array ended, and finds the same runs */
TEST_F(input, query_continues)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(32 * GPU_PAGE);
	struct drm_fakegpu_vm_run all[40], one;
	uint64_t at = fakegpu_va(p), end = at + 32 * GPU_PAGE, next;
	uint32_t count;
	int n, i;

	/* Runs of 1, 2, 3 ... pages with a hole after each. */
	for (i = 0; i < 32; i++)
		if (i != 1 && i != 4 && i != 8 && i != 13 && i != 19)
			p[i * GPU_PAGE] = 1;
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, 0));
	n = gpu_runs(gpu, p, 32 * GPU_PAGE, all, ARRAY_SIZE(all));
	EXPECT_EQ(6, n);
	for (i = 0; at < end && i < n; i++) {
		count = 1;
		ASSERT_EQ(0, fakegpu_vm_query(gpu->fd, gpu->vm, (void *)(uintptr_t)at, end - at,
					      &one, &count, &next));
		EXPECT_EQ(1U, count);
		EXPECT_EQ(0, memcmp(&one, &all[i], sizeof(one)));
		EXPECT_LT(at, next);
		at = next;
	}
	EXPECT_EQ(n, i);
	/* Clipped to what was asked for. */
	EXPECT_ENTRIES(gpu, p + 21 * GPU_PAGE, 3 * GPU_PAGE, GPU_W, 12, SYSTEM);
}

/* Behaviour 13: arrays whose elements are shorter or longer than the driver's, on output */
TEST_F(input, stride_output)
{
	struct gpu *gpu = &self->gpu;
	const size_t size = sizeof(struct drm_fakegpu_vm_run);
	struct drm_fakegpu_vm_query q = { .vm_id = gpu->vm, .size = GPU_PAGE };
	struct drm_fakegpu_vm_run run;
	uint8_t *p = gpu_map_anon(GPU_PAGE), buf[4 * sizeof(run)];

	p[0] = 1;
	EXPECT_RUN(gpu, fakegpu_touch(p, 1, 1, 0));
	ASSERT_EQ(1, gpu_runs(gpu, p, GPU_PAGE, &run, 1));
	q.start = fakegpu_va(p);
	q.runs.ptr = fakegpu_va(buf);

	memset(buf, 0xaa, sizeof(buf));
	q.runs.stride = 16;
	q.runs.count = 2;
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY, &q));
	EXPECT_EQ(1U, q.runs.count);
	EXPECT_EQ(q.start + GPU_PAGE, (uint64_t)q.next);
	EXPECT_EQ(0, memcmp(buf, &run, 16));
	EXPECT_BYTES(buf + 16, sizeof(buf) - 16, 0xaa);

	memset(buf, 0xaa, sizeof(buf));
	q.runs.stride = size + 16;
	q.runs.count = 2;
	EXPECT_EQ(0, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY, &q));
	EXPECT_EQ(1U, q.runs.count);
	EXPECT_EQ(0, memcmp(buf, &run, size));
	EXPECT_BYTES(buf + size, 16, 0);
	EXPECT_BYTES(buf + size + 16, sizeof(buf) - size - 16, 0xaa);

	q.runs.stride = 0;
	q.runs.count = 1;
	EXPECT_EQ(-EINVAL, gpu_ioctl(gpu->fd, DRM_IOCTL_FAKEGPU_VM_QUERY, &q));
}

TEST_HARNESS_MAIN
