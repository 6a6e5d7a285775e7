// SPDX-License-Identifier: MIT
/*
 * fakegpu info: the devices, in plain words
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tool.h"

static const char help[] =
	"Usage: fakegpu info [options]\n"
	"\n"
	"Describe the fakegpu devices of this machine.\n"
	"\n"
	"  -d, --device N   only the Nth (default: all)\n"
	"      --json       print JSON\n"
	"  -h, --help       print this\n";

static void schemes(uint32_t mask, char *buf, size_t size, const char *quote)
{
	size_t used = 0;
	uint32_t i;

	buf[0] = '\0';
	for (i = 0; i < 32; i++) {
		if (!(mask & 1U << i))
			continue;
		used += snprintf(buf + used, size - used, "%s%s%s%s", used ? ", " : "", quote,
				 scheme_name(i, 0), quote);
		if (used >= size)
			return;
	}
}

static void print_json(unsigned int index, const char *node, const char *version,
		       const struct drm_fakegpu_dev_info *info)
{
	char names[64];

	schemes(info->schemes, names, sizeof(names), "\"");
	printf("{\"device\": %u, \"node\": \"%s\", \"version\": \"%s\", \"simulator\": %s,"
	       " \"direct\": %s,\n"
	       " \"va_start\": %" PRIu64 ", \"va_end\": %" PRIu64 ", \"schemes\": [%s],\n"
	       " \"num_engines\": %u, \"page_shift\": %u, \"leaf_shift\": %u,\n"
	       " \"interval_order\": %u, \"interval_order_min\": %u, \"interval_order_max\": %u,\n"
	       " \"window_order\": %u, \"window_order_min\": %u, \"window_order_max\": %u,\n"
	       " \"max_cmds\": %u, \"max_jobs\": %u, \"max_queues\": %u, \"max_vms\": %u,\n"
	       " \"fault_queue_size\": %u, \"fault_log_size\": %u, \"fault_timeout_ms\": %u,\n"
	       " \"debug_minor\": %u, \"max_attrs\": %u, \"max_ranges\": %u}",
	       index, node, version,
	       info->flags & DRM_FAKEGPU_DEV_SIMULATOR ? "true" : "false",
	       info->flags & DRM_FAKEGPU_DEV_DIRECT ? "true" : "false",
	       (uint64_t)info->va_start, (uint64_t)info->va_end, names,
	       info->num_engines, info->page_shift, info->leaf_shift,
	       info->interval_order, info->interval_order_min, info->interval_order_max,
	       info->window_order, info->window_order_min, info->window_order_max,
	       info->max_cmds, info->max_jobs, info->max_queues, info->max_vms,
	       info->fault_queue_size, info->fault_log_size, info->fault_timeout_ms,
	       info->debug_minor, info->max_attrs, info->max_ranges);
}

static void print_order(const char *what, uint32_t order, uint32_t min, uint32_t max)
{
	printf("  %-18s %s (order %u); a VM may choose %s to %s\n", what,
	       human_size(1ULL << order).s, order, human_size(1ULL << min).s,
	       human_size(1ULL << max).s);
}

static void print_plain(unsigned int index, const char *node, const char *version,
			const struct drm_fakegpu_dev_info *info)
{
	char names[64];

	schemes(info->schemes, names, sizeof(names), "");
	printf("%sdevice %u%s  %s, driver %s\n", bold(), index, plain(), node, version);
	printf("  %-18s %s\n", "what it is",
	       info->flags & DRM_FAKEGPU_DEV_SIMULATOR ?
	       "a simulator: no hardware, the CPU plays the GPU" :
	       "not said to be a simulator: is this fakegpu?");
	printf("  %-18s %u: so many queues compute at the same time\n", "engines",
	       info->num_engines);
	printf("  %-18s 0x%" PRIx64 " to 0x%" PRIx64 ": plain user pointers\n", "addresses",
	       (uint64_t)info->va_start, (uint64_t)info->va_end);
	printf("  %-18s %s and %s\n", "mirror leaves", human_size(1ULL << info->page_shift).s,
	       human_size(1ULL << info->leaf_shift).s);
	printf("  %-18s %s; %s\n", "schemes", names,
	       info->flags & DRM_FAKEGPU_DEV_DIRECT ?
	       "callbacks can change intervals (slot-direct, vma-direct)" :
	       "a worker changes intervals");
	print_order("interval (slot)", info->interval_order, info->interval_order_min,
		    info->interval_order_max);
	print_order("fault window", info->window_order, info->window_order_min,
		    info->window_order_max);
	printf("  %-18s %u faults at a time, each serviced within %u ms or given up\n",
	       "fault queue", info->fault_queue_size, info->fault_timeout_ms);
	printf("  %-18s %u commands a submission, %u submissions a queue in flight\n",
	       "limits", info->max_cmds, info->max_jobs);
	printf("  %-18s %u queues and %u VMs a file, %u fatal faults remembered a VM\n", "",
	       info->max_queues, info->max_vms, info->fault_log_size);
	printf("  %-18s %u ranges with attributes a VM\n", "", info->max_attrs);
	printf("  %-18s %u registered ranges (scheme fixed)\n", "", info->max_ranges);
	printf("  %-18s /sys/kernel/debug/dri/%u\n", "debugfs", info->debug_minor);
}

static int print_device(unsigned int index)
{
	struct drm_fakegpu_dev_info info;
	drmVersionPtr version;
	char node[64], words[96];
	int fd, ret;

	common.device = index;
	fd = device_open();
	if (fd < 0)
		return FAILED;

	ret = fakegpu_dev_info(fd, &info);
	if (!ret)
		ret = fakegpu_node(index, node, sizeof(node));
	version = drmGetVersion(fd);
	close(fd);
	if (ret || !version) {
		drmFreeVersion(version);
		return fail("device %u doesn't answer: %s", index, strerror(ret ? -ret : errno));
	}
	snprintf(words, sizeof(words), "%.32s %d.%d", version->name,
		 version->version_major, version->version_minor);
	drmFreeVersion(version);

	if (common.json)
		print_json(index, node, words, &info);
	else
		print_plain(index, node, words, &info);
	return OK;
}

int cmd_info(int argc, char **argv)
{
	static const struct option options[] = { COMMON_OPTIONS, { 0 } };
	unsigned int first, end, i;
	int c, count, ret;

	while ((c = getopt_long(argc, argv, COMMON_SHORT, options, NULL)) != -1) {
		ret = common_option(c, help);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return usage("info: '%s' is too much", argv[optind]);

	count = fakegpu_count();
	if (common.device_set || count <= 0) {
		/* With no device this says why. */
		first = common.device;
		end = first + 1;
	} else {
		first = 0;
		end = count;
	}
	if (common.json)
		fputs("[", stdout);
	for (ret = OK, i = first; i < end && !ret; i++) {
		if (i > first)
			fputs(common.json ? ",\n" : "\n", stdout);
		ret = print_device(i);
	}
	if (common.json)
		fputs("]\n", stdout);
	return ret;
}
