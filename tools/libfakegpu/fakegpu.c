// SPDX-License-Identifier: MIT
/*
 * libfakegpu: devices and ioctls
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fakegpu.h"

#define NSEC_PER_SEC 1000000000LL

/* ---------------------------------------------------------------- devices */

struct candidate {
	char node[64];
	unsigned int minor;
};

static int candidate_cmp(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->minor > y->minor) - (x->minor < y->minor);
}

static int node_open(const char *node)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_fakegpu(int fd)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool found;

	if (!version)
		return false;
	found = version->name && !strcmp(version->name, "fakegpu");
	drmFreeVersion(version);
	return found;
}

typedef int (*device_fn)(int fd, const char *node, void *data);

/* Opening the node of a real GPU could wake it up: leave those alone. */
static bool is_platform_device(unsigned int major, unsigned int minor)
{
	char path[96], target[256];
	const char *name;
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device/subsystem", major, minor);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return false;
	target[len] = '\0';
	name = strrchr(target, '/');
	return name && !strcmp(name, "/platform");
}

/*
 * The render nodes of platform devices, by minor. Not drmGetDevices2(): it takes
 * platform devices without a device tree for one and the same if they have the
 * same driver, and so shows only one of several fakegpu devices.
 */
static int find_candidates(struct candidate **candidates)
{
	struct candidate *list = NULL;
	struct dirent *entry;
	int num = 0, room = 0;
	DIR *dir;

	dir = opendir(DRM_DIR_NAME);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		struct candidate *more;
		struct stat st;

		if (strncmp(entry->d_name, DRM_RENDER_MINOR_NAME, strlen(DRM_RENDER_MINOR_NAME)) ||
		    fstatat(dirfd(dir), entry->d_name, &st, 0) || !S_ISCHR(st.st_mode) ||
		    !is_platform_device(major(st.st_rdev), minor(st.st_rdev)))
			continue;
		if (num == room) {
			room = room ? 2 * room : 8;
			more = realloc(list, room * sizeof(*list));
			if (!more) {
				free(list);
				closedir(dir);
				return -ENOMEM;
			}
			list = more;
		}
		snprintf(list[num].node, sizeof(list[num].node), "%s/%.32s", DRM_DIR_NAME,
			 entry->d_name);
		list[num++].minor = minor(st.st_rdev);
	}
	closedir(dir);
	if (num)
		qsort(list, num, sizeof(*list), candidate_cmp);
	*candidates = list;
	return num;
}

/*
 * Call @found for each fakegpu device, in the order of the render minors,
 * until it returns non-zero. @found owns @fd. Returns that value, or 0, or, if
 * there was no fakegpu device, why a node that may be one couldn't be opened.
 */
static int visit_devices(device_fn found, void *data)
{
	struct candidate *candidates = NULL;
	int seen = 0, err = 0, ret = 0;
	int i, num;

	num = find_candidates(&candidates);
	if (num < 0)
		return num;

	for (i = 0; i < num && !ret; i++) {
		int fd = node_open(candidates[i].node);

		if (fd < 0) {
			err = fd;
			continue;
		}
		if (!is_fakegpu(fd)) {
			close(fd);
			continue;
		}
		seen++;
		ret = found(fd, candidates[i].node, data);
	}
	free(candidates);
	return seen ? ret : err;
}

struct pick {
	unsigned int left;
	int fd;
	char *path;
	size_t size;
};

static int pick_device(int fd, const char *node, void *data)
{
	struct pick *pick = data;

	if (pick->left--) {
		close(fd);
		return 0;
	}
	if (pick->path) {
		close(fd);
		if (strlen(node) >= pick->size)
			return -ENOSPC;
		memcpy(pick->path, node, strlen(node) + 1);
		return 1;
	}
	pick->fd = fd;
	return 1;
}

int fakegpu_open(unsigned int index)
{
	struct pick pick = { .left = index, .fd = -1 };
	int ret = visit_devices(pick_device, &pick);

	if (ret < 0)
		return ret;
	return ret ? pick.fd : -ENODEV;
}

int fakegpu_node(unsigned int index, char *path, size_t size)
{
	struct pick pick = { .left = index, .fd = -1, .path = path, .size = size };
	int ret = visit_devices(pick_device, &pick);

	if (ret < 0)
		return ret;
	return ret ? 0 : -ENODEV;
}

static int count_device(int fd, const char *node, void *data)
{
	(void)node;
	close(fd);
	++*(int *)data;
	return 0;
}

int fakegpu_count(void)
{
	int count = 0;
	int ret = visit_devices(count_device, &count);

	return ret < 0 ? ret : count;
}

static int do_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int fakegpu_dev_info(int fd, struct drm_fakegpu_dev_info *info)
{
	struct drm_fakegpu_dev_query query = {
		.type = DRM_FAKEGPU_DEV_QUERY_INFO,
		.size = sizeof(*info),
		.pointer = fakegpu_va(info),
	};

	/* An older driver writes less: what it doesn't know stays zero. */
	memset(info, 0, sizeof(*info));
	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_DEV_QUERY, &query);
}

/* -------------------------------------------------------------------- VMs */

static const struct {
	const char *name;
	uint32_t scheme;
	uint32_t vm_flags;
} schemes[] = {
	{ "slot", DRM_FAKEGPU_SCHEME_SLOT, 0 },
	{ "vma", DRM_FAKEGPU_SCHEME_VMA, 0 },
	{ "mm", DRM_FAKEGPU_SCHEME_MM, 0 },
	{ "fixed", DRM_FAKEGPU_SCHEME_FIXED, 0 },
	{ "slot-direct", DRM_FAKEGPU_SCHEME_SLOT, DRM_FAKEGPU_VM_DIRECT },
	{ "vma-direct", DRM_FAKEGPU_SCHEME_VMA, DRM_FAKEGPU_VM_DIRECT },
};

#define NR_SCHEMES	(sizeof(schemes) / sizeof(schemes[0]))

const char *fakegpu_scheme_name(uint32_t scheme, uint32_t vm_flags)
{
	uint32_t i;

	for (i = 0; i < NR_SCHEMES; i++)
		if (schemes[i].scheme == scheme &&
		    schemes[i].vm_flags == (vm_flags & DRM_FAKEGPU_VM_DIRECT))
			return schemes[i].name;
	return NULL;
}

int fakegpu_scheme_parse(const char *name, uint32_t *scheme, uint32_t *vm_flags)
{
	uint32_t i;

	for (i = 0; i < NR_SCHEMES; i++) {
		if (strcmp(name, schemes[i].name))
			continue;
		*scheme = schemes[i].scheme;
		*vm_flags = (*vm_flags & ~DRM_FAKEGPU_VM_DIRECT) | schemes[i].vm_flags;
		return 0;
	}
	return -EINVAL;
}

int fakegpu_vm_create(int fd, uint32_t flags, uint32_t scheme,
		      uint32_t interval_order, uint32_t window_order,
		      uint32_t *vm_id)
{
	struct drm_fakegpu_vm_create create = {
		.flags = flags,
		.scheme = scheme,
		.interval_order = interval_order,
		.window_order = window_order,
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_CREATE, &create);

	if (!ret)
		*vm_id = create.vm_id;
	return ret;
}

int fakegpu_vm_destroy(int fd, uint32_t vm_id)
{
	struct drm_fakegpu_vm_destroy destroy = { .vm_id = vm_id };

	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_DESTROY, &destroy);
}

int fakegpu_range_register(int fd, uint32_t vm_id, uint64_t start, uint64_t size,
			   uint32_t *range_id)
{
	struct drm_fakegpu_range_register reg = {
		.vm_id = vm_id,
		.start = start,
		.size = size,
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_RANGE_REGISTER, &reg);

	if (!ret)
		*range_id = reg.range_id;
	return ret;
}

int fakegpu_range_unregister(int fd, uint32_t vm_id, uint32_t range_id)
{
	struct drm_fakegpu_range_unregister unreg = {
		.vm_id = vm_id,
		.range_id = range_id,
	};

	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_RANGE_UNREGISTER, &unreg);
}

static int vm_query(int fd, uint32_t vm_id, uint64_t start, uint64_t size,
		    struct drm_fakegpu_vm_run *runs, uint32_t *count, uint64_t *next)
{
	struct drm_fakegpu_vm_query query = {
		.vm_id = vm_id,
		.start = start,
		.size = size,
		.runs = DRM_FAKEGPU_ARRAY(runs, *count),
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_QUERY, &query);

	if (ret)
		return ret;
	*count = query.runs.count;
	if (next)
		*next = query.next;
	return 0;
}

int fakegpu_vm_query(int fd, uint32_t vm_id, const volatile void *start,
		     size_t size, struct drm_fakegpu_vm_run *runs,
		     uint32_t *count, uint64_t *next)
{
	return vm_query(fd, vm_id, fakegpu_va(start), size, runs, count, next);
}

int64_t fakegpu_vm_mapped(int fd, uint32_t vm_id, const volatile void *start,
			  size_t size)
{
	struct drm_fakegpu_vm_run runs[64];
	uint64_t pos = fakegpu_va(start), end = pos + size, next;
	int64_t bytes = 0;

	do {
		uint32_t count = sizeof(runs) / sizeof(runs[0]);
		uint32_t i;
		int ret;

		ret = vm_query(fd, vm_id, pos, end - pos, runs, &count, &next);
		if (ret)
			return ret;
		/* Never spin on a driver that doesn't advance. */
		if (next <= pos)
			return -EPROTO;
		for (i = 0; i < count; i++)
			bytes += runs[i].end - runs[i].start;
		pos = next;
	} while (pos < end);
	return bytes;
}

int fakegpu_vm_state(int fd, uint32_t vm_id,
		     struct drm_fakegpu_vm_get_state *state)
{
	memset(state, 0, sizeof(*state));
	state->vm_id = vm_id;
	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_GET_STATE, state);
}

int fakegpu_vm_faults(int fd, uint32_t vm_id,
		      struct drm_fakegpu_fault_info *faults, uint32_t *count,
		      uint64_t *total)
{
	struct drm_fakegpu_vm_get_faults get = {
		.vm_id = vm_id,
		.faults = DRM_FAKEGPU_ARRAY(faults, *count),
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_GET_FAULTS, &get);

	if (ret)
		return ret;
	*count = get.faults.count;
	if (total)
		*total = get.total;
	return 0;
}

int fakegpu_vm_advise(int fd, uint32_t vm_id, const volatile void *start, size_t size,
		      uint32_t attr, uint64_t value)
{
	struct drm_fakegpu_vm_advise advise = {
		.vm_id = vm_id,
		.start = fakegpu_va(start),
		.size = size,
		.attr = attr,
		.value = value,
	};

	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_ADVISE, &advise);
}

int fakegpu_vm_attrs(int fd, uint32_t vm_id, const volatile void *start, size_t size,
		     struct drm_fakegpu_vm_attr_range *ranges, uint32_t *count,
		     uint64_t *next)
{
	struct drm_fakegpu_vm_query_attrs query = {
		.vm_id = vm_id,
		.start = fakegpu_va(start),
		.size = size,
		.ranges = DRM_FAKEGPU_ARRAY(ranges, *count),
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_VM_QUERY_ATTRS, &query);

	if (ret)
		return ret;
	*count = query.ranges.count;
	if (next)
		*next = query.next;
	return 0;
}

int fakegpu_prefetch(int fd, uint32_t vm_id, uint32_t flags,
		     const volatile void *start, size_t size, uint64_t *done)
{
	struct drm_fakegpu_prefetch prefetch = {
		.vm_id = vm_id,
		.flags = flags,
		.start = fakegpu_va(start),
		.size = size,
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_PREFETCH, &prefetch);

	if (done)
		*done = prefetch.done;
	return ret;
}

/* ----------------------------------------------------------------- queues */

int fakegpu_queue_create(int fd, uint32_t vm_id, uint32_t *queue_id)
{
	struct drm_fakegpu_queue_create create = { .vm_id = vm_id };
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_QUEUE_CREATE, &create);

	if (!ret)
		*queue_id = create.queue_id;
	return ret;
}

int fakegpu_queue_destroy(int fd, uint32_t queue_id)
{
	struct drm_fakegpu_queue_destroy destroy = { .queue_id = queue_id };

	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_QUEUE_DESTROY, &destroy);
}

int fakegpu_queue_state(int fd, uint32_t queue_id,
			struct drm_fakegpu_queue_get_state *state)
{
	memset(state, 0, sizeof(*state));
	state->queue_id = queue_id;
	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_QUEUE_GET_STATE, state);
}

int fakegpu_submit(int fd, uint32_t queue_id, const struct drm_fakegpu_cmd *cmds,
		   uint32_t count, uint64_t *seqno)
{
	struct drm_fakegpu_submit submit = {
		.queue_id = queue_id,
		.cmds = DRM_FAKEGPU_ARRAY(cmds, count),
	};
	int ret = do_ioctl(fd, DRM_IOCTL_FAKEGPU_SUBMIT, &submit);

	if (!ret && seqno)
		*seqno = submit.seqno;
	return ret;
}

/* The ioctl takes an absolute time, so that a call after a signal waits no longer. */
static int64_t deadline(int64_t timeout_ns)
{
	struct timespec now;
	int64_t now_ns;

	if (!timeout_ns)
		return 0;
	if (timeout_ns < 0)
		return INT64_MAX;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
	return timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

int fakegpu_wait(int fd, uint32_t queue_id, uint64_t seqno, int64_t timeout_ns)
{
	struct drm_fakegpu_wait wait = {
		.queue_id = queue_id,
		.seqno = seqno,
		.timeout_ns = deadline(timeout_ns),
	};

	return do_ioctl(fd, DRM_IOCTL_FAKEGPU_WAIT, &wait);
}

int fakegpu_run(int fd, uint32_t queue_id, const struct drm_fakegpu_cmd *cmds,
		uint32_t count)
{
	uint64_t seqno;
	int ret = fakegpu_submit(fd, queue_id, cmds, count, &seqno);

	return ret ? ret : fakegpu_wait(fd, queue_id, seqno, -1);
}
