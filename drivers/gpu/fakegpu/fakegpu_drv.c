// SPDX-License-Identifier: GPL-2.0
/*
 * The module: parameters, devices, the DRM driver.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/workqueue.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/fakegpu_drm.h>

#include "fakegpu_compat.h"
#include "fakegpu_drv.h"
#include "fakegpu_interval.h"
#include "fakegpu_ioctl.h"
#include "fakegpu_service.h"

/**
 * DOC: Devices
 *
 * A fake GPU is a platform device and can be unbound from the driver while it
 * is in use, as a real one can be pulled out of its slot. What belongs to the
 * hardware goes at once: queues are cancelled, mirrors cleared, intervals
 * removed, so that nothing of the device acts on a process any more. What open
 * files need, that is &struct fakegpu_device and its workqueues, stays until
 * the last one is closed. Until then each ioctl fails with ENODEV.
 */

/*
 * Version of the uapi:
 *  1.0 - the first one
 *  1.1 - VM_ADVISE and VM_QUERY_ATTRS, VM_SCRATCH
 *  1.2 - scheme vma
 *  1.3 - VM_DIRECT; scheme fixed: RANGE_REGISTER and RANGE_UNREGISTER;
 *        vm_get_state.retries_false, .memory
 */
#define DRIVER_MAJOR	1
#define DRIVER_MINOR	3

#define MAX_DEVICES	16
#define MAX_ENGINES	64

static unsigned int num_devices = 1;
module_param(num_devices, uint, 0444);
MODULE_PARM_DESC(num_devices, "Number of devices, 1 to 16 (default: 1)");

static unsigned int fault_queue_size = 256;
module_param(fault_queue_size, uint, 0444);
MODULE_PARM_DESC(fault_queue_size,
		 "Device faults that a device can hold, 1 to 65536; more are dropped and raised again (default: 256)");

struct fakegpu_limits fakegpu_limits = {
	.num_engines = 4,
	.interval_order = 30,
	.window_order = FAKEGPU_LEAF_SHIFT,
	.fault_timeout_ms = 10000,
};

module_param_named(num_engines, fakegpu_limits.num_engines, uint, 0444);
MODULE_PARM_DESC(num_engines, "Queues of a device that execute at once, 1 to 64 (default: 4)");
module_param_named(interval_order, fakegpu_limits.interval_order, uint, 0444);
MODULE_PARM_DESC(interval_order,
		 "log2 of an interval's size in bytes in scheme slot, 21 to 39 (default: 30)");
module_param_named(window_order, fakegpu_limits.window_order, uint, 0444);
MODULE_PARM_DESC(window_order, "log2 of the fault window's size in bytes, 12 to 27 (default: 21)");
module_param_named(fault_timeout_ms, fakegpu_limits.fault_timeout_ms, uint, 0444);
MODULE_PARM_DESC(fault_timeout_ms,
		 "Time limit for the service of a fault window in milliseconds, 1 to 3600000 (default: 10000)");

static struct platform_device *devices[MAX_DEVICES];

/*
 * Where the device goes while an ioctl is under way, so do the objects that it
 * works on. Whatever the ioctl made of that, the caller is told the cause.
 */
static long errno_if_unplugged(struct file *filp, long ret)
{
	struct drm_file *file = filp->private_data;

	return ret && drm_dev_is_unplugged(file->minor->dev) ? -ENODEV : ret;
}

static long fakegpu_unlocked_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return errno_if_unplugged(filp, drm_ioctl(filp, cmd, arg));
}

#ifdef CONFIG_COMPAT
static long fakegpu_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return errno_if_unplugged(filp, drm_compat_ioctl(filp, cmd, arg));
}
#endif

static const struct file_operations fakegpu_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = fakegpu_unlocked_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = fakegpu_compat_ioctl,
#endif
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	FAKEGPU_FOP_FLAGS
};

#define FAKEGPU_IOCTL(id, fn) \
	DRM_IOCTL_DEF_DRV(FAKEGPU_ ## id, fakegpu_ioctl_ ## fn, DRM_RENDER_ALLOW)

static const struct drm_ioctl_desc fakegpu_ioctls[] = {
	FAKEGPU_IOCTL(DEV_QUERY, dev_query),
	FAKEGPU_IOCTL(VM_CREATE, vm_create),
	FAKEGPU_IOCTL(VM_DESTROY, vm_destroy),
	FAKEGPU_IOCTL(VM_QUERY, vm_query),
	FAKEGPU_IOCTL(VM_GET_STATE, vm_get_state),
	FAKEGPU_IOCTL(VM_GET_FAULTS, vm_get_faults),
	FAKEGPU_IOCTL(QUEUE_CREATE, queue_create),
	FAKEGPU_IOCTL(QUEUE_DESTROY, queue_destroy),
	FAKEGPU_IOCTL(QUEUE_GET_STATE, queue_get_state),
	FAKEGPU_IOCTL(SUBMIT, submit),
	FAKEGPU_IOCTL(WAIT, wait),
	FAKEGPU_IOCTL(PREFETCH, prefetch),
	FAKEGPU_IOCTL(VM_ADVISE, vm_advise),
	FAKEGPU_IOCTL(VM_QUERY_ATTRS, vm_query_attrs),
	FAKEGPU_IOCTL(RANGE_REGISTER, range_register),
	FAKEGPU_IOCTL(RANGE_UNREGISTER, range_unregister),
};

static const struct drm_driver fakegpu_driver = {
	.driver_features = DRIVER_RENDER,
	.open = fakegpu_open,
	.postclose = fakegpu_postclose,
	.ioctls = fakegpu_ioctls,
	.num_ioctls = ARRAY_SIZE(fakegpu_ioctls),
	.fops = &fakegpu_fops,
#if IS_ENABLED(CONFIG_DEBUG_FS)
	.debugfs_init = fakegpu_debugfs_init,
#endif
	.name = "fakegpu",
	.desc = "A GPU that exists only in software",
	FAKEGPU_DRIVER_DATE
	.major = DRIVER_MAJOR,
	.minor = DRIVER_MINOR,
};

/* The last file is closed, and the device is gone. */
static void check_empty(struct drm_device *drm, void *unused)
{
	struct fakegpu_device *fdev = to_fakegpu(drm);

	WARN_ON(!xa_empty(&fdev->vms) || !xa_empty(&fdev->queues));
	xa_destroy(&fdev->vms);
	xa_destroy(&fdev->queues);
}

static void destroy_wq(struct drm_device *drm, void *wq)
{
	destroy_workqueue(wq);
}

/* Files work with it even after the device is gone: it lives as long as the DRM device. */
static struct workqueue_struct *create_wq(struct fakegpu_device *fdev, const char *name, int id,
					  unsigned int max_active)
{
	struct workqueue_struct *wq;
	int ret;

	wq = alloc_workqueue("%s/%d", WQ_UNBOUND, max_active, name, id);
	if (!wq)
		return ERR_PTR(-ENOMEM);
	ret = drmm_add_action_or_reset(&fdev->drm, destroy_wq, wq);
	return ret ? ERR_PTR(ret) : wq;
}

/* The driver is unbound from the device, or unloaded. There may be users. */
static void unplug_device(void *data)
{
	struct fakegpu_device *fdev = data;

	/* Nobody makes a VM or a queue after this. */
	drm_dev_unplug(&fdev->drm);
	complete_all(&fdev->unplugged);
	fakegpu_release_all(fdev);
}

static int fakegpu_probe(struct platform_device *platform)
{
	struct fakegpu_device *fdev;
	int ret;

	fdev = devm_drm_dev_alloc(&platform->dev, &fakegpu_driver, struct fakegpu_device, drm);
	if (IS_ERR(fdev))
		return PTR_ERR(fdev);
	fdev->ring.size = fault_queue_size;
	init_completion(&fdev->unplugged);
	fakegpu_race_init(&fdev->race);
	xa_init_flags(&fdev->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&fdev->queues, XA_FLAGS_ALLOC1);
	ret = drmm_add_action_or_reset(&fdev->drm, check_empty, NULL);
	if (ret)
		return ret;

	fdev->engine_wq = create_wq(fdev, "fakegpu-engine", platform->id,
				    fakegpu_limits.num_engines);
	if (IS_ERR(fdev->engine_wq))
		return PTR_ERR(fdev->engine_wq);
	fdev->service_wq = create_wq(fdev, "fakegpu-service", platform->id, 0);
	if (IS_ERR(fdev->service_wq))
		return PTR_ERR(fdev->service_wq);

	ret = drm_dev_register(&fdev->drm, 0);
	if (ret)
		return ret;
	/* Managed resources go in reverse order: this first. */
	ret = devm_add_action_or_reset(&platform->dev, unplug_device, fdev);
	if (ret)
		return ret;
	platform_set_drvdata(platform, fdev);
	return 0;
}

static struct platform_driver fakegpu_platform_driver = {
	.probe = fakegpu_probe,
	.driver = {
		.name = "fakegpu",
		/* Who loads the module finds the devices. */
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static struct platform_device *create_device(unsigned int id)
{
	struct platform_device *platform;

	platform = platform_device_register_simple("fakegpu", id, NULL, 0);
	if (IS_ERR(platform))
		return platform;
	/* The driver core has said why. */
	if (!platform_get_drvdata(platform)) {
		platform_device_unregister(platform);
		return ERR_PTR(-ENODEV);
	}
	return platform;
}

static void destroy_devices(void)
{
	unsigned int i;

	for (i = 0; i < MAX_DEVICES && devices[i]; i++) {
		platform_device_unregister(devices[i]);
		devices[i] = NULL;
	}
	platform_driver_unregister(&fakegpu_platform_driver);
}

static int check_param(const char *name, unsigned int value, unsigned int min, unsigned int max)
{
	if (value >= min && value <= max)
		return 0;
	pr_err("parameter %s=%u: must be from %u to %u\n", name, value, min, max);
	return -EINVAL;
}

static int __init fakegpu_init(void)
{
	unsigned int i;
	int ret;

	if (check_param("num_devices", num_devices, 1, MAX_DEVICES) ||
	    check_param("num_engines", fakegpu_limits.num_engines, 1, MAX_ENGINES) ||
	    check_param("fault_queue_size", fault_queue_size, 1, 65536) ||
	    check_param("interval_order", fakegpu_limits.interval_order,
			FAKEGPU_INTERVAL_ORDER_MIN, FAKEGPU_INTERVAL_ORDER_MAX) ||
	    check_param("window_order", fakegpu_limits.window_order, FAKEGPU_WINDOW_ORDER_MIN,
			FAKEGPU_WINDOW_ORDER_MAX) ||
	    check_param("fault_timeout_ms", fakegpu_limits.fault_timeout_ms, 1, 3600000))
		return -EINVAL;

	ret = platform_driver_register(&fakegpu_platform_driver);
	if (ret)
		return ret;
	for (i = 0; i < num_devices; i++) {
		struct platform_device *platform = create_device(i);

		if (IS_ERR(platform)) {
			destroy_devices();
			return PTR_ERR(platform);
		}
		devices[i] = platform;
	}
	return 0;
}

static void __exit fakegpu_exit(void)
{
	destroy_devices();
}

module_init(fakegpu_init);
module_exit(fakegpu_exit);

MODULE_AUTHOR("The fakegpu developers");
MODULE_DESCRIPTION("A GPU that exists only in software");
MODULE_LICENSE("GPL");
