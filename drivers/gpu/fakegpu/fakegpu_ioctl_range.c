// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls that are about ranges of a VM's addresses: mirror entries, prefetch,
 * attributes, registered ranges.
 */

#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_file.h>
#include <drm/fakegpu_drm.h>

#include "fakegpu_drv.h"
#include "fakegpu_ioctl.h"
#include "fakegpu_scheme_fixed.h"
#include "fakegpu_vm.h"

/* A page-aligned, non-empty range in the user's half. */
static int check_range(const struct fakegpu_vm *vm, u64 start, u64 size, u64 align)
{
	u64 end;

	if (!size || !IS_ALIGNED(start | size, align))
		return -EINVAL;
	if (check_add_overflow(start, size, &end))
		return -EOVERFLOW;
	return end > vm->va_end ? -EINVAL : 0;
}

/* As fakegpu_vm_lookup(), for a range of the VM's addresses. */
static int lookup_range(struct fakegpu_device *fdev, struct drm_file *file, u32 id, u64 start,
			u64 size, u64 align, struct fakegpu_vm **vmp)
{
	int ret;

	ret = fakegpu_vm_lookup(fdev, file, id, vmp);
	if (ret)
		return ret;
	ret = check_range(*vmp, start, size, align);
	if (ret)
		fakegpu_vm_put(*vmp);
	return ret;
}

/* ---------------------------------------------------------------- mirror --- */

int fakegpu_ioctl_vm_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_vm_query *args = data;
	struct drm_fakegpu_vm_run run;
	u64 last = args->start + args->size - 1;
	struct fakegpu_vm *vm;
	u32 count = 0;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = fakegpu_array_check(&args->runs);
	if (ret)
		return ret;
	ret = lookup_range(to_fakegpu(drm), file, args->vm_id, args->start, args->size, PAGE_SIZE,
			   &vm);
	if (ret)
		return ret;

	/* What an invalidation took on its way to something else is coming back. */
	fakegpu_vm_flush_restores(vm);

	args->next = args->start;
	while (count < args->runs.count) {
		if (!fakegpu_vm_next_run(vm, args->next, last, &run)) {
			args->next = last + 1;
			break;
		}
		ret = fakegpu_array_put(&args->runs, count, &run, sizeof(run));
		if (ret)
			break;
		count++;
		args->next = run.end;
		if (run.end > last)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	/* A call that is made again finds its own question. */
	if (ret != -ERESTARTSYS)
		args->runs.count = count;
	fakegpu_vm_put(vm);
	return ret;
}

int fakegpu_ioctl_prefetch(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_prefetch *args = data;
	struct fakegpu_vm *vm;
	int ret;

	args->done = 0;
	if (args->flags != DRM_FAKEGPU_PREFETCH_WRITE &&
	    args->flags != DRM_FAKEGPU_PREFETCH_PRESENT && args->flags)
		return -EINVAL;
	ret = lookup_range(to_fakegpu(drm), file, args->vm_id, args->start, args->size, 1, &vm);
	if (ret)
		return ret;
	ret = fakegpu_vm_prefetch(vm, args->start, args->start + args->size - 1, args->flags,
				  &args->done);
	fakegpu_vm_put(vm);
	return ret;
}

/* -------------------------------------------------------------- attributes --- */

static int check_attr(u32 attr, u64 value)
{
	switch (attr) {
	case DRM_FAKEGPU_ATTR_ACCESS:
		return value <= DRM_FAKEGPU_ATTR_ACCESS_NONE ? 0 : -EOPNOTSUPP;
	case DRM_FAKEGPU_ATTR_ATOMIC:
		return value <= DRM_FAKEGPU_ATTR_ATOMIC_NONE ? 0 : -EOPNOTSUPP;
	case DRM_FAKEGPU_ATTR_LOCATION:
		return value == DRM_FAKEGPU_ATTR_LOCATION_SYSTEM ? 0 : -EOPNOTSUPP;
	case DRM_FAKEGPU_ATTR_WINDOW_ORDER:
		if (value && (value < FAKEGPU_WINDOW_ORDER_MIN ||
			      value > FAKEGPU_WINDOW_ORDER_MAX))
			return -EINVAL;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int fakegpu_ioctl_vm_advise(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_vm_advise *args = data;
	struct fakegpu_vm *vm;
	int ret;

	if (args->flags || args->pad)
		return -EINVAL;
	ret = check_attr(args->attr, args->value);
	if (ret)
		return ret;
	ret = lookup_range(to_fakegpu(drm), file, args->vm_id, args->start, args->size, PAGE_SIZE,
			   &vm);
	if (ret)
		return ret;
	ret = fakegpu_vm_advise(vm, args->start, args->start + args->size - 1, args->attr,
				args->value);
	fakegpu_vm_put(vm);
	return ret;
}

int fakegpu_ioctl_vm_query_attrs(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_fakegpu_vm_query_attrs *args = data;
	u64 last = args->start + args->size - 1;
	struct fakegpu_attr_run run;
	struct fakegpu_vm *vm;
	u32 count = 0;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = fakegpu_array_check(&args->ranges);
	if (ret)
		return ret;
	ret = lookup_range(to_fakegpu(drm), file, args->vm_id, args->start, args->size, PAGE_SIZE,
			   &vm);
	if (ret)
		return ret;

	args->next = args->start;
	while (count < args->ranges.count && args->next <= last) {
		struct drm_fakegpu_vm_attr_range range;

		if (!fakegpu_attrs_next(&vm->attrs, args->next, last, &run)) {
			args->next = last + 1;
			break;
		}
		range = (struct drm_fakegpu_vm_attr_range){
			.start = run.start,
			.end = (u64)run.last + 1,
			.access = run.value.access,
			.atomic = run.value.atomic,
			.location = run.value.location,
			.window_order = run.value.window_order,
		};
		ret = fakegpu_array_put(&args->ranges, count, &range, sizeof(range));
		if (ret)
			break;
		count++;
		args->next = range.end;
	}
	args->ranges.count = count;
	fakegpu_vm_put(vm);
	return ret;
}

/* ----------------------------------------------------- registered ranges --- */

/*
 * Count a range of a VM, and of its file. What is registered in a VM that has left
 * the ids doesn't count: the file has got all of its ranges back.
 */
static int count_range(struct fakegpu_device *fdev, struct fakegpu_file *ff,
		       struct fakegpu_vm *vm)
{
	int ret = 0;

	xa_lock(&fdev->vms);
	if (xa_load(&fdev->vms, vm->id) != vm) {
		ret = -ENOENT;
	} else if (ff->ranges == FAKEGPU_MAX_RANGES) {
		ret = -ENOSPC;
	} else {
		ff->ranges++;
		vm->ranges++;
	}
	xa_unlock(&fdev->vms);
	return ret;
}

static void uncount_range(struct fakegpu_device *fdev, struct fakegpu_file *ff,
			  struct fakegpu_vm *vm)
{
	xa_lock(&fdev->vms);
	if (xa_load(&fdev->vms, vm->id) == vm) {
		ff->ranges--;
		vm->ranges--;
	}
	xa_unlock(&fdev->vms);
}

int fakegpu_ioctl_range_register(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct drm_fakegpu_range_register *args = data;
	struct fakegpu_vm *vm;
	int ret;

	if (args->flags || args->pad)
		return -EINVAL;

	ret = lookup_range(fdev, file, args->vm_id, args->start, args->size, PAGE_SIZE, &vm);
	if (ret)
		return ret;
	if (vm->intervals.scheme == DRM_FAKEGPU_SCHEME_FIXED)
		ret = count_range(fdev, file->driver_priv, vm);
	else
		ret = -EINVAL;
	if (ret)
		goto out_put;

	ret = fakegpu_fixed_register(&vm->intervals, args->start, args->start + args->size - 1,
				     &args->range_id);
	if (ret)
		uncount_range(fdev, file->driver_priv, vm);
out_put:
	fakegpu_vm_put(vm);
	return ret;
}

int fakegpu_ioctl_range_unregister(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);
	struct drm_fakegpu_range_unregister *args = data;
	struct fakegpu_vm *vm;
	int ret;

	ret = fakegpu_vm_lookup(fdev, file, args->vm_id, &vm);
	if (ret)
		return ret;
	ret = fakegpu_fixed_unregister(&vm->intervals, args->range_id);
	if (!ret)
		uncount_range(fdev, file->driver_priv, vm);
	fakegpu_vm_put(vm);
	return ret;
}
