/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_IOCTL_H_
#define _FAKEGPU_IOCTL_H_

#include <linux/types.h>

struct drm_device;
struct drm_fakegpu_array;
struct drm_file;
struct fakegpu_device;
struct fakegpu_vm;

/**
 * struct fakegpu_limits - module parameters that the ioctls ask for
 * @num_engines: queues that execute at the same time.
 * @interval_order: default log2 of a slot's size in bytes.
 * @window_order: default log2 of a window's size in bytes.
 * @fault_timeout_ms: time limit for the service of a window in milliseconds.
 */
struct fakegpu_limits {
	unsigned int num_engines;
	unsigned int interval_order;
	unsigned int window_order;
	unsigned int fault_timeout_ms;
};

extern struct fakegpu_limits fakegpu_limits;

/**
 * struct fakegpu_file - an open file
 * @vms: VMs that it created; &fakegpu_device.vms' lock.
 * @queues: queues that it created; &fakegpu_device.queues' lock.
 * @ranges: that are registered in its VMs; &fakegpu_device.vms' lock.
 */
struct fakegpu_file {
	unsigned int vms;
	unsigned int queues;
	unsigned int ranges;
};

/* For the files that have ioctls. */
int fakegpu_array_check(const struct drm_fakegpu_array *array);
int fakegpu_array_get(const struct drm_fakegpu_array *array, u32 index, void *element, size_t size);
int fakegpu_array_put(const struct drm_fakegpu_array *array, u32 index, const void *element,
		      size_t size);
int fakegpu_vm_lookup(struct fakegpu_device *fdev, struct drm_file *file, u32 id,
		      struct fakegpu_vm **vmp);

/* One for each ioctl; what they do and return is told in fakegpu_drm.h. */
int fakegpu_ioctl_dev_query(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_create(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_query(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_get_state(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_get_faults(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_queue_create(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_queue_destroy(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_queue_get_state(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_prefetch(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_advise(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_vm_query_attrs(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_range_register(struct drm_device *drm, void *data, struct drm_file *file);
int fakegpu_ioctl_range_unregister(struct drm_device *drm, void *data, struct drm_file *file);

int fakegpu_open(struct drm_device *drm, struct drm_file *drm_file);
void fakegpu_postclose(struct drm_device *drm, struct drm_file *drm_file);

#endif /* _FAKEGPU_IOCTL_H_ */
