// SPDX-License-Identifier: MIT
/*
 * libfakegpu: what only debugfs tells, for tests and tools that run as root
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fakegpu.h"

#define DEBUGFS_DRI "/sys/kernel/debug/dri"

int fakegpu_debug_path(int fd, const char *name, char *path, size_t size)
{
	struct drm_fakegpu_dev_info info;
	int ret = fakegpu_dev_info(fd, &info);

	if (ret)
		return ret;
	ret = snprintf(path, size, DEBUGFS_DRI "/%u/%s", info.debug_minor, name);
	if (ret < 0 || (size_t)ret >= size)
		return -ENOSPC;
	return 0;
}

static int debug_open(int fd, const char *name, FILE **file)
{
	char path[128];
	int ret = fakegpu_debug_path(fd, name, path, sizeof(path));

	if (ret)
		return ret;
	*file = fopen(path, "re");
	return *file ? 0 : -errno;
}

int fakegpu_stat(int fd, const char *name, uint64_t *value)
{
	size_t len = strlen(name);
	char line[256];
	FILE *file;
	int ret = debug_open(fd, "stats", &file);

	if (ret)
		return ret;

	ret = -ENOENT;
	while (fgets(line, sizeof(line), file)) {
		char *end;

		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		errno = 0;
		*value = strtoull(line + len + 1, &end, 0);
		ret = errno || end == line + len + 1 ? -EPROTO : 0;
		break;
	}
	if (ret == -ENOENT && ferror(file))
		ret = -EIO;
	fclose(file);
	return ret;
}

/* The last line of the report is the verdict. */
static int parse_verdict(const char *line)
{
	uint64_t mismatches;

	if (!strncmp(line, "verify: ok", strlen("verify: ok")))
		return 0;
	if (sscanf(line, "verify: FAILED, %" SCNu64, &mismatches) != 1 || !mismatches)
		return -EPROTO;
	return mismatches > INT32_MAX ? INT32_MAX : (int)mismatches;
}

int fakegpu_verify(int fd, char *report, size_t size)
{
	char *line = NULL, *last = NULL;
	size_t room = 0, used = 0;
	FILE *file;
	ssize_t len;
	int ret;

	if (report && size)
		report[0] = '\0';
	ret = debug_open(fd, "verify", &file);
	if (ret)
		return ret;

	errno = 0;
	while ((len = getline(&line, &room, file)) > 0) {
		/* Whole lines only, so that a short buffer holds no half address. */
		if (report && used + len < size) {
			memcpy(report + used, line, len + 1);
			used += len;
		}
		free(last);
		last = strdup(line);
		if (!last) {
			ret = -ENOMEM;
			goto out;
		}
	}
	if (ferror(file))
		ret = errno ? -errno : -EIO;
	else
		ret = last ? parse_verdict(last) : -EPROTO;
out:
	free(last);
	free(line);
	fclose(file);
	return ret;
}
