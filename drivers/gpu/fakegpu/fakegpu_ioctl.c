// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls: check what user space says, find what it names, and hand over.
 */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/fakegpu_drm.h>

#include "fakegpu_compat.h"
#include "fakegpu_drv.h"
#include "fakegpu_ioctl.h"
#include "fakegpu_queue.h"
#include "fakegpu_scheme_fixed.h"
#include "fakegpu_vm.h"

#define MAX_VMS		64
#define MAX_QUEUES	256

/* ------------------------------------------------ arrays in user memory --- */

/**
 * fakegpu_array_check - check what user space says of an array
 * @array: the array
 *
 * Return: 0, or -EINVAL.
 */
int fakegpu_array_check(const struct drm_fakegpu_array *array)
{
	if (array->stride < sizeof(u64) || !IS_ALIGNED(array->stride, sizeof(u64)))
		return -EINVAL;
	return 0;
}

/**
 * fakegpu_array_get - read an element
 * @array: checked
 * @index: of the element
 * @element: receives it
 * @size: bytes that we know of; what user space has more has to be zero
 *
 * Return: 0, -EFAULT, or -E2BIG.
 */
int fakegpu_array_get(const struct drm_fakegpu_array *array, u32 index, void *element, size_t size)
{
	return copy_struct_from_user(element, size,
				     u64_to_user_ptr(array->ptr + (u64)index * array->stride),
				     array->stride);
}

/**
 * fakegpu_array_put - write an element
 * @array: checked
 * @index: of the element
 * @element: what is written, as far as user space has room; it gets zeros for more
 * @size: bytes of it
 *
 * Return: 0, or -EFAULT.
 */
int fakegpu_array_put(const struct drm_fakegpu_array *array, u32 index, const void *element,
		      size_t size)
{
	void __user *p = u64_to_user_ptr(array->ptr + (u64)index * array->stride);

	if (copy_to_user(p, element, min_t(size_t, size, array->stride)))
		return -EFAULT;
	if (array->stride > size && clear_user(p + size, array->stride - size))
		return -EFAULT;
	return 0;
}

/* ----------------------------------------------------------------- look-up --- */

/* Find a VM of this file that the caller may use. The lock of the ids is held. */
static int vm_find(struct fakegpu_device *fdev, struct drm_file *file, u32 id,
		   struct fakegpu_vm **vmp)
{
	struct fakegpu_vm *vm = xa_load(&fdev->vms, id);

	lockdep_assert_held(&fdev->vms.xa_lock);

	if (!vm || vm->owner != file)
		return -ENOENT;
	*vmp = vm;
	return fakegpu_vm_check_owner(vm);
}

/**
 * fakegpu_vm_lookup - find a VM for an ioctl
 * @fdev: the device
 * @file: whose VM it has to be
 * @id: its id
 * @vmp: receives it; to be released by fakegpu_vm_put()
 *
 * Return: 0; -ENOENT, or -EPERM if the caller may not use it.
 */
int fakegpu_vm_lookup(struct fakegpu_device *fdev, struct drm_file *file, u32 id,
		      struct fakegpu_vm **vmp)
{
	int ret;

	xa_lock(&fdev->vms);
	ret = vm_find(fdev, file, id, vmp);
	if (!ret && !fakegpu_vm_get(*vmp))
		ret = -ENOENT;
	xa_unlock(&fdev->vms);
	return ret;
}

/* Find a queue of this file that the caller may use. The lock of the ids is held. */
static int queue_find(struct fakegpu_device *fdev, struct drm_file *file, u32 id,
		      struct fakegpu_queue **queuep)
{
	struct fakegpu_queue *queue = xa_load(&fdev->queues, id);

	lockdep_assert_held(&fdev->queues.xa_lock);

	if (!queue || queue->owner != file)
		return -ENOENT;
	*queuep = queue;
	/* While the queue can be found, it holds its VM. */
	return fakegpu_vm_check_owner(queue->vm);
}

/* On success there is a reference; release it by fakegpu_queue_put(). */
static int queue_lookup(struct fakegpu_device *fdev, struct drm_file *file, u32 id,
			struct fakegpu_queue **queuep)
{
	int ret;

	xa_lock(&fdev->queues);
	ret = queue_find(fdev, file, id, queuep);
	if (!ret)
		kref_get(&(*queuep)->ref);
	xa_unlock(&fdev->queues);
	return ret;
}

/* Count one more, unless there are @max. */
static int count_up(struct xarray *xa, unsigned int *count, unsigned int max)
{
	int ret = 0;

	xa_lock(xa);
	if (*count < max)
		(*count)++;
	else
		ret = -ENOSPC;
	xa_unlock(xa);
	return ret;
}

static void count_down(struct xarray *xa, unsigned int *count)
{
	xa_lock(xa);
	(*count)--;
	xa_unlock(xa);
}

/* --------------------------------------------------------------- DEV_QUERY --- */

int fakegpu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_dev_query *args = data;
	struct drm_fakegpu_dev_info info = {
		.flags = DRM_FAKEGPU_DEV_SIMULATOR |
			 (FAKEGPU_CAN_DIRECT ? DRM_FAKEGPU_DEV_DIRECT : 0),
		.va_start = 0,
		.va_end = current->mm->task_size,
		.schemes = BIT(DRM_FAKEGPU_SCHEME_SLOT) | BIT(DRM_FAKEGPU_SCHEME_MM) |
			   BIT(DRM_FAKEGPU_SCHEME_VMA) | BIT(DRM_FAKEGPU_SCHEME_FIXED),
		.num_engines = fakegpu_limits.num_engines,
		.page_shift = PAGE_SHIFT,
		.leaf_shift = FAKEGPU_LEAF_SHIFT,
		.interval_order = fakegpu_limits.interval_order,
		.interval_order_min = FAKEGPU_INTERVAL_ORDER_MIN,
		.interval_order_max = FAKEGPU_INTERVAL_ORDER_MAX,
		.window_order = fakegpu_limits.window_order,
		.window_order_min = FAKEGPU_WINDOW_ORDER_MIN,
		.window_order_max = FAKEGPU_WINDOW_ORDER_MAX,
		.max_cmds = FAKEGPU_MAX_CMDS,
		.max_jobs = FAKEGPU_MAX_JOBS,
		.max_queues = MAX_QUEUES,
		.max_vms = MAX_VMS,
		.fault_queue_size = to_fakegpu(drm)->ring.size,
		.fault_log_size = FAKEGPU_FAULT_LOG,
		.fault_timeout_ms = fakegpu_limits.fault_timeout_ms,
		.debug_minor = drm->primary->index,
		.max_attrs = FAKEGPU_MAX_ATTRS,
		.max_ranges = FAKEGPU_MAX_RANGES,
	};

	if (args->type != DRM_FAKEGPU_DEV_QUERY_INFO)
		return -EOPNOTSUPP;
	if (!args->pointer) {
		args->size = sizeof(info);
		return 0;
	}
	args->size = min_t(u32, args->size, sizeof(info));
	if (copy_to_user(u64_to_user_ptr(args->pointer), &info, args->size))
		return -EFAULT;
	return 0;
}

/* --------------------------------------------------------------------- VMs --- */

static int check_vm_create(const struct drm_fakegpu_vm_create *args)
{
	const bool slots = args->scheme == DRM_FAKEGPU_SCHEME_SLOT ||
			   args->scheme == DRM_FAKEGPU_SCHEME_VMA;

	if (args->scheme > DRM_FAKEGPU_SCHEME_FIXED)
		return -EOPNOTSUPP;
	if ((args->flags & ~(DRM_FAKEGPU_VM_SHARED | DRM_FAKEGPU_VM_SCRATCH |
			     DRM_FAKEGPU_VM_DIRECT)) || args->pad)
		return -EINVAL;
	if (args->flags & DRM_FAKEGPU_VM_DIRECT) {
		if (!slots)
			return -EINVAL;
		if (!FAKEGPU_CAN_DIRECT)
			return -EOPNOTSUPP;
	}
	if (args->interval_order &&
	    (!slots || args->interval_order < FAKEGPU_INTERVAL_ORDER_MIN ||
	     args->interval_order > FAKEGPU_INTERVAL_ORDER_MAX))
		return -EINVAL;
	if (args->window_order && (args->window_order < FAKEGPU_WINDOW_ORDER_MIN ||
				   args->window_order > FAKEGPU_WINDOW_ORDER_MAX))
		return -EINVAL;
	return 0;
}

static int vm_create(struct drm_device *drm, struct drm_fakegpu_vm_create *args,
		     struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct fakegpu_file *ff = file->driver_priv;
	struct fakegpu_vm_params params = {
		.mm = current->mm,
		.ring = &fdev->ring,
		.stats = &fdev->stats,
		.race = &fdev->race,
		.wq = fdev->service_wq,
		.flags = args->flags,
		.scheme = args->scheme,
		.interval_order = args->interval_order ?: fakegpu_limits.interval_order,
		.window_order = args->window_order ?: fakegpu_limits.window_order,
		.timeout_ms = fakegpu_limits.fault_timeout_ms,
	};
	struct fakegpu_vm *vm;
	int ret;

	ret = check_vm_create(args);
	if (ret)
		return ret;
	ret = count_up(&fdev->vms, &ff->vms, MAX_VMS);
	if (ret)
		return ret;

	vm = fakegpu_vm_create(&params);
	if (IS_ERR(vm)) {
		ret = PTR_ERR(vm);
		goto err_count;
	}
	vm->owner = file;

	/* The id is taken first and given its VM when all else is there. */
	ret = xa_alloc_cyclic(&fdev->vms, &vm->id, NULL, xa_limit_31b, &fdev->next_vm,
			      GFP_KERNEL);
	if (ret < 0)
		goto err_vm;
	fakegpu_debugfs_add_vm(fdev, vm);
	atomic_inc(&fdev->nr_vms);
	args->vm_id = vm->id;
	xa_store(&fdev->vms, vm->id, vm, GFP_KERNEL);
	return 0;

err_vm:
	fakegpu_vm_destroy(vm);
err_count:
	count_down(&fdev->vms, &ff->vms);
	return ret;
}

/* What is made before the device is unplugged is there to be released by then. */
int fakegpu_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	int idx, ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = vm_create(drm, data, file);
	drm_dev_exit(idx);
	return ret;
}

/*
 * Out of the ids. Until then the file is there, whoever takes the VM: it is closed
 * for good when it has none left.
 */
static void vm_leave(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
	const struct drm_file *file = vm->owner;
	struct fakegpu_file *ff = file->driver_priv;

	lockdep_assert_held(&fdev->vms.xa_lock);

	ff->ranges -= vm->ranges;
	__xa_erase(&fdev->vms, vm->id);
}

/* The VM has left the ids: nobody else gets here with it. */
static void vm_release(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
	fakegpu_debugfs_remove_vm(fdev, vm);
	fakegpu_vm_destroy(vm);
	atomic_dec(&fdev->nr_vms);
}

int fakegpu_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct fakegpu_file *ff = file->driver_priv;
	struct drm_fakegpu_vm_destroy *args = data;
	struct fakegpu_vm *vm;
	int ret;

	if (args->pad)
		return -EINVAL;

	xa_lock(&fdev->vms);
	ret = vm_find(fdev, file, args->vm_id, &vm);
	if (!ret && vm->queues)
		ret = -EBUSY;
	if (!ret) {
		vm_leave(fdev, vm);
		ff->vms--;
	}
	xa_unlock(&fdev->vms);

	if (!ret)
		vm_release(fdev, vm);
	return ret;
}

int fakegpu_ioctl_vm_get_state(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_vm_get_state *args = data;
	struct fakegpu_vm_gauges gauges;
	struct fakegpu_vm *vm;
	int ret;

	if (args->pad)
		return -EINVAL;
	ret = fakegpu_vm_lookup(to_fakegpu(drm), file, args->vm_id, &vm);
	if (ret)
		return ret;

	fakegpu_vm_read_gauges(vm, &gauges);
	args->intervals = gauges.intervals;
	args->pages_small = gauges.pages_small;
	args->leaves_large = gauges.leaves_large;
	args->nodes = gauges.nodes;
	args->faults = fakegpu_stats_read(&vm->stats, faults);
	args->faults_fatal = fakegpu_stats_read(&vm->stats, faults_fatal);
	args->faults_nofault = fakegpu_stats_read(&vm->stats, faults_nofault);
	args->fault_overflows = fakegpu_stats_read(&vm->stats, fault_overflows);
	args->windows = fakegpu_stats_read(&vm->stats, windows);
	args->retries = fakegpu_stats_read(&vm->stats, retries);
	args->intervals_added = fakegpu_stats_read(&vm->stats, intervals_added);
	args->intervals_removed = fakegpu_stats_read(&vm->stats, intervals_removed);
	args->invalidations = fakegpu_stats_read(&vm->stats, invalidations);
	args->invalidations_useful = fakegpu_stats_read(&vm->stats, invalidations_useful);
	args->pages_cleared = fakegpu_stats_read(&vm->stats, pages_cleared);
	args->leaves_split = fakegpu_stats_read(&vm->stats, leaves_split);
	args->leaves_dropped = fakegpu_stats_read(&vm->stats, leaves_dropped);
	args->slots_restored = fakegpu_stats_read(&vm->stats, slots_restored);
	args->attrs = gauges.attrs;
	args->attr_intervals = gauges.attr_intervals;
	args->attrs_kept = fakegpu_stats_read(&vm->stats, attrs_kept);
	args->faults_scratch = fakegpu_stats_read(&vm->stats, faults_scratch);
	args->retries_false = fakegpu_stats_read(&vm->stats, retries_false);
	args->memory = gauges.memory;
	fakegpu_vm_put(vm);
	return 0;
}

int fakegpu_ioctl_vm_get_faults(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_vm_get_faults *args = data;
	struct fakegpu_fault_log *log;
	struct fakegpu_vm *vm;
	u64 first;
	u32 i, count;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = fakegpu_array_check(&args->faults);
	if (ret)
		return ret;
	ret = fakegpu_vm_lookup(to_fakegpu(drm), file, args->vm_id, &vm);
	if (ret)
		return ret;

	log = kmalloc(sizeof(*log), GFP_KERNEL);
	if (!log) {
		ret = -ENOMEM;
		goto out_put;
	}
	spin_lock(&vm->faults.lock);
	*log = vm->faults.fatal;
	spin_unlock(&vm->faults.lock);

	count = min3((u64)args->faults.count, log->total, (u64)FAKEGPU_FAULT_LOG);
	first = log->total - count;
	for (i = 0; !ret && i < count; i++) {
		u64 at = (first + i) % FAKEGPU_FAULT_LOG;

		ret = fakegpu_array_put(&args->faults, i, &log->entries[at].info,
					sizeof(log->entries[at].info));
	}
	args->faults.count = count;
	args->total = log->total;
	kfree(log);
out_put:
	fakegpu_vm_put(vm);
	return ret;
}

/* ------------------------------------------------------------------ queues --- */

/* Tie a queue to its VM, which then can't be destroyed. */
static int vm_add_queue(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
	int ret = 0;

	xa_lock(&fdev->vms);
	if (xa_load(&fdev->vms, vm->id) == vm)
		vm->queues++;
	else
		ret = -ENOENT;
	xa_unlock(&fdev->vms);
	return ret;
}

static int queue_create(struct drm_device *drm, struct drm_fakegpu_queue_create *args,
			struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct fakegpu_file *ff = file->driver_priv;
	struct fakegpu_queue *queue;
	struct fakegpu_vm *vm;
	int ret;

	if (args->flags || args->pad)
		return -EINVAL;
	ret = fakegpu_vm_lookup(fdev, file, args->vm_id, &vm);
	if (ret)
		return ret;
	ret = count_up(&fdev->queues, &ff->queues, MAX_QUEUES);
	if (ret)
		goto err_put;
	ret = vm_add_queue(fdev, vm);
	if (ret)
		goto err_count;

	/* Our use of the VM becomes the queue's. */
	queue = fakegpu_queue_create(vm, fdev->engine_wq);
	if (!queue) {
		ret = -ENOMEM;
		goto err_queues;
	}
	queue->owner = file;
	ret = xa_alloc_cyclic(&fdev->queues, &queue->id, NULL, xa_limit_31b, &fdev->next_queue,
			      GFP_KERNEL);
	if (ret < 0)
		goto err_queue;
	atomic_inc(&fdev->nr_queues);
	args->queue_id = queue->id;
	xa_store(&fdev->queues, queue->id, queue, GFP_KERNEL);
	return 0;

err_queue:
	count_down(&fdev->vms, &vm->queues);
	fakegpu_queue_close(queue);
	count_down(&fdev->queues, &ff->queues);
	return ret;
err_queues:
	count_down(&fdev->vms, &vm->queues);
err_count:
	count_down(&fdev->queues, &ff->queues);
err_put:
	fakegpu_vm_put(vm);
	return ret;
}

int fakegpu_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file)
{
	int idx, ret;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = queue_create(drm, data, file);
	drm_dev_exit(idx);
	return ret;
}

/* The queue has left the ids; nobody else gets here with it. */
static void queue_release(struct fakegpu_device *fdev, struct fakegpu_queue *queue)
{
	struct fakegpu_vm *vm = queue->vm;

	/* Until it is counted down the VM stays: its destruction is refused. */
	fakegpu_vm_get(vm);
	fakegpu_queue_close(queue);
	count_down(&fdev->vms, &vm->queues);
	fakegpu_vm_put(vm);
	atomic_dec(&fdev->nr_queues);
}

int fakegpu_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct fakegpu_file *ff = file->driver_priv;
	struct drm_fakegpu_queue_destroy *args = data;
	struct fakegpu_queue *queue;
	int ret;

	if (args->pad)
		return -EINVAL;

	xa_lock(&fdev->queues);
	ret = queue_find(fdev, file, args->queue_id, &queue);
	if (!ret) {
		__xa_erase(&fdev->queues, queue->id);
		ff->queues--;
	}
	xa_unlock(&fdev->queues);

	if (!ret)
		queue_release(fdev, queue);
	return ret;
}

int fakegpu_ioctl_queue_get_state(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_queue_get_state *args = data;
	struct fakegpu_queue *queue;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = queue_lookup(to_fakegpu(drm), file, args->queue_id, &queue);
	if (ret)
		return ret;
	fakegpu_queue_get_state(queue, args);
	fakegpu_queue_put(queue);
	return 0;
}

/* Copy the commands in once, and check them all before any is accepted. */
static int copy_cmds(const struct drm_fakegpu_submit *args, u64 va_end, struct fakegpu_job *job,
		     u32 *bad)
{
	u32 i;
	int ret;

	for (i = 0; i < job->count; i++) {
		ret = fakegpu_array_get(&args->cmds, i, &job->cmds[i], sizeof(job->cmds[i]));
		if (!ret)
			ret = fakegpu_cmd_check(&job->cmds[i], va_end);
		if (ret) {
			*bad = i;
			return ret;
		}
	}
	return 0;
}

int fakegpu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_submit *args = data;
	struct fakegpu_queue *queue;
	struct fakegpu_job *job = NULL;
	int ret;

	if (args->flags || args->pad || !args->cmds.count)
		return -EINVAL;
	if (args->cmds.count > FAKEGPU_MAX_CMDS)
		return -E2BIG;
	ret = fakegpu_array_check(&args->cmds);
	if (ret)
		return ret;
	ret = queue_lookup(to_fakegpu(drm), file, args->queue_id, &queue);
	if (ret)
		return ret;

	job = fakegpu_job_alloc(args->cmds.count);
	ret = job ? copy_cmds(args, queue->va_end, job, &args->bad_cmd) : -ENOMEM;
	if (!ret)
		ret = fakegpu_queue_submit(queue, job, &args->seqno);
	if (ret)
		fakegpu_job_free(job);
	fakegpu_queue_put(queue);
	return ret;
}

int fakegpu_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_wait *args = data;
	struct fakegpu_queue *queue;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = queue_lookup(to_fakegpu(drm), file, args->queue_id, &queue);
	if (ret)
		return ret;
	ret = fakegpu_queue_wait(queue, args->seqno, args->timeout_ns, &args->completed);
	fakegpu_queue_put(queue);
	return ret;
}

/* ------------------------------------------------------------------- files --- */

/**
 * fakegpu_open - a file is opened
 * @drm: the device
 * @drm_file: the file
 *
 * Return: 0 or -ENOMEM.
 */
int fakegpu_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct fakegpu_file *ff = kzalloc(sizeof(*ff), GFP_KERNEL);

	drm_file->driver_priv = ff;
	return ff ? 0 : -ENOMEM;
}

/* Take a queue of a file, or of any, out of the ids: who finds it is the only one. */
static struct fakegpu_queue *queue_take(struct fakegpu_device *fdev, const struct drm_file *file)
{
	struct fakegpu_queue *queue;
	unsigned long id;

	xa_lock(&fdev->queues);
	xa_for_each(&fdev->queues, id, queue) {
		if (!file || queue->owner == file) {
			__xa_erase(&fdev->queues, id);
			break;
		}
	}
	xa_unlock(&fdev->queues);
	return queue;
}

static struct fakegpu_vm *vm_take(struct fakegpu_device *fdev, const struct drm_file *file)
{
	struct fakegpu_vm *vm;
	unsigned long id;

	xa_lock(&fdev->vms);
	xa_for_each(&fdev->vms, id, vm) {
		if (!file || vm->owner == file) {
			vm_leave(fdev, vm);
			break;
		}
	}
	xa_unlock(&fdev->vms);
	return vm;
}

/* Cancel what runs, take down queues and VMs of a file or, with NULL, of all. */
static void release(struct fakegpu_device *fdev, const struct drm_file *file)
{
	struct fakegpu_queue *queue;
	struct fakegpu_vm *vm;
	unsigned long id;

	/* Services under way needn't run to their end. */
	xa_lock(&fdev->vms);
	xa_for_each(&fdev->vms, id, vm) {
		if (!file || vm->owner == file)
			fakegpu_faults_stop(&vm->faults);
	}
	xa_unlock(&fdev->vms);

	while ((queue = queue_take(fdev, file)))
		queue_release(fdev, queue);
	while ((vm = vm_take(fdev, file)))
		vm_release(fdev, vm);
}

/**
 * fakegpu_postclose - a file is closed for good
 * @drm: the device
 * @drm_file: the file
 *
 * Cancels what runs, and takes down queues and VMs. Nothing of it can fail.
 */
void fakegpu_postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	release(to_fakegpu(drm), drm_file);
	kfree(drm_file->driver_priv);
}

/**
 * fakegpu_release_all - the device is gone
 * @fdev: the device, unplugged
 *
 * As if all files were closed; but they may be open still, with ioctls in
 * progress.
 */
void fakegpu_release_all(struct fakegpu_device *fdev)
{
	release(fdev, NULL);
}

/**
 * fakegpu_device_next_vm - go through the VMs of a device
 * @fdev: the device
 * @id: where to begin; receives the id of the VM
 *
 * Return: the VM with that id or the next higher one, in use until
 * fakegpu_vm_put(); NULL if there is none.
 */
struct fakegpu_vm *fakegpu_device_next_vm(struct fakegpu_device *fdev, unsigned long *id)
{
	struct fakegpu_vm *vm;

	xa_lock(&fdev->vms);
	vm = xa_find(&fdev->vms, id, ULONG_MAX, XA_PRESENT);
	while (vm && !fakegpu_vm_get(vm))
		vm = xa_find_after(&fdev->vms, id, ULONG_MAX, XA_PRESENT);
	xa_unlock(&fdev->vms);
	return vm;
}
