/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _FAKEGPU_DRV_H_
#define _FAKEGPU_DRV_H_

#include <linux/completion.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>

#include "fakegpu_fault.h"
#include "fakegpu_race.h"
#include "fakegpu_stats.h"

struct dentry;
struct drm_minor;
struct fakegpu_vm;
struct workqueue_struct;

/**
 * struct fakegpu_device - a fake GPU
 */
struct fakegpu_device {
	/** @drm: the DRM device. */
	struct drm_device drm;
	/** @engine_wq: queues run here; as many at once as there are engines; immutable. */
	struct workqueue_struct *engine_wq;
	/** @service_wq: device faults are serviced and intervals removed here; immutable. */
	struct workqueue_struct *service_wq;
	/** @ring: room for device faults. */
	struct fakegpu_fault_ring ring;
	/** @stats: counters of all VMs, also those that are gone. */
	struct fakegpu_stats stats;
	/** @race: failures and races that tests ask for. */
	struct fakegpu_race race;
	/** @vms: VMs by id; its lock also protects the counts in files and VMs. */
	struct xarray vms;
	/** @queues: queues by id; its lock also protects the counts in files. */
	struct xarray queues;
	/** @next_vm: where the search for a free VM id begins. */
	u32 next_vm;
	/** @next_queue: where the search for a free queue id begins. */
	u32 next_queue;
	/** @nr_vms: VMs that exist. */
	atomic_t nr_vms;
	/** @nr_queues: queues that exist. */
	atomic_t nr_queues;
	/** @debugfs: the device's directory. */
	struct dentry *debugfs;
	/** @unplugged: completed when the device's nodes and debugfs files are gone. */
	struct completion unplugged;
};

static inline struct fakegpu_device *to_fakegpu(struct drm_device *drm)
{
	return container_of(drm, struct fakegpu_device, drm);
}

void fakegpu_release_all(struct fakegpu_device *fdev);
struct fakegpu_vm *fakegpu_device_next_vm(struct fakegpu_device *fdev, unsigned long *id);

#if IS_ENABLED(CONFIG_DEBUG_FS)
void fakegpu_debugfs_init(struct drm_minor *minor);
void fakegpu_debugfs_add_vm(struct fakegpu_device *fdev, struct fakegpu_vm *vm);
void fakegpu_debugfs_remove_vm(struct fakegpu_device *fdev, struct fakegpu_vm *vm);
#else
static inline void fakegpu_debugfs_add_vm(struct fakegpu_device *fdev, struct fakegpu_vm *vm)
{
}

static inline void fakegpu_debugfs_remove_vm(struct fakegpu_device *fdev,
					     struct fakegpu_vm *vm)
{
}
#endif

#endif /* _FAKEGPU_DRV_H_ */
