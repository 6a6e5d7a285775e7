// SPDX-License-Identifier: MIT
/*
 * Runs of mirror entries: read, print, compare
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runs.h"

int runs_read(int fd, uint32_t vm, uint64_t start, uint64_t size, struct runs *runs)
{
	uint64_t pos = start, end = start + size;
	uint32_t room = 0;

	memset(runs, 0, sizeof(*runs));
	while (pos < end) {
		struct drm_fakegpu_vm_run *more;
		uint64_t next;
		uint32_t n;
		int ret;

		if (runs->count == room) {
			room = room ? 2 * room : 64;
			more = realloc(runs->run, room * sizeof(*more));
			if (!more) {
				runs_free(runs);
				return -ENOMEM;
			}
			runs->run = more;
		}
		n = room - runs->count;
		ret = fakegpu_vm_query(fd, vm, (void *)(uintptr_t)pos, end - pos,
				       runs->run + runs->count, &n, &next);
		if (!ret && next <= pos)
			ret = -EPROTO;
		if (ret) {
			runs_free(runs);
			return ret;
		}
		runs->count += n;
		pos = next;
	}
	return 0;
}

void runs_free(struct runs *runs)
{
	free(runs->run);
	memset(runs, 0, sizeof(*runs));
}

static void print_head(void)
{
	printf("     %s%-25s   %-6s %9s  %-6s %-6s %-6s%s\n", bold(), "range", "region",
	       "size", "leaf", "access", "memory", plain());
}

static void flags_str(uint32_t flags, char *s)
{
	s[0] = 'r';
	s[1] = flags & DRM_FAKEGPU_ENTRY_WRITE ? 'w' : '-';
	s[2] = flags & DRM_FAKEGPU_ENTRY_DIRTY ? 'd' : '-';
	s[3] = '\0';
}

static void print_run(char mark, const struct drm_fakegpu_vm_run *run, const char *label,
		      const char *note)
{
	const char *color = mark == '-' ? red() : mark == '+' ? green() : "";
	char flags[4];

	flags_str(run->flags, flags);
	printf("   %s%c %012" PRIx64 "-%012" PRIx64 "   %-6s %9s  %-6s %-6s %-6s%s%s%s\n",
	       color, mark, (uint64_t)run->start, (uint64_t)run->end, label,
	       human_size(run->end - run->start).s, human_size(1ULL << (run->order & 63)).s,
	       flags, run->where == DRM_FAKEGPU_WHERE_ZERO ? "zeros" : "system",
	       *note ? "  " : "", note, *color ? plain() : "");
}

void runs_print(const struct runs *runs, label_fn label, void *data)
{
	uint32_t i;

	print_head();
	for (i = 0; i < runs->count; i++)
		print_run(' ', &runs->run[i], label(data, runs->run[i].start), "");
}

static const struct drm_fakegpu_vm_run *find(const struct runs *runs, uint64_t addr)
{
	uint32_t i;

	for (i = 0; i < runs->count; i++)
		if (runs->run[i].start <= addr && addr < runs->run[i].end)
			return &runs->run[i];
	return NULL;
}

static int addr_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void runs_print_diff(const struct runs *old, const struct runs *new, label_fn label, void *data)
{
	uint64_t *edge = calloc(2 * ((size_t)old->count + new->count) + 1, sizeof(*edge));
	size_t n = 0, i;

	if (!edge)
		return;
	for (i = 0; i < old->count; i++) {
		edge[n++] = old->run[i].start;
		edge[n++] = old->run[i].end;
	}
	for (i = 0; i < new->count; i++) {
		edge[n++] = new->run[i].start;
		edge[n++] = new->run[i].end;
	}
	qsort(edge, n, sizeof(*edge), addr_cmp);

	print_head();
	for (i = 0; i + 1 < n; i++) {
		const struct drm_fakegpu_vm_run *was, *is;
		struct drm_fakegpu_vm_run part;
		char note[96] = "", flags[4];

		if (edge[i] == edge[i + 1])
			continue;
		was = find(old, edge[i]);
		is = find(new, edge[i]);
		if (!was && !is)
			continue;
		part = is ? *is : *was;
		part.start = edge[i];
		part.end = edge[i + 1];
		if (was && is && was->order > is->order) {
			snprintf(note, sizeof(note), "was part of a %s leaf",
				 human_size(1ULL << (was->order & 63)).s);
		} else if (was && is && was->flags != is->flags) {
			flags_str(was->flags, flags);
			snprintf(note, sizeof(note), "was %s", flags);
		}
		print_run(!was ? '+' : !is ? '-' : '=', &part, label(data, part.start), note);
	}
	free(edge);
}
