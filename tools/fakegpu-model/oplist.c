// SPDX-License-Identifier: GPL-2.0
/*
 * fakegpu-model: lists of operations in files
 *
 * A first line tells how the run was set up, then there is a line for each
 * operation; lines that begin with # are comments.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "trial.h"

bool oplist_save(const char *path, const struct config *config, const struct oplist *list,
		 const char *comment)
{
	FILE *file = fopen(path, "we");
	char line[1024];
	const char *p;
	uint32_t i;

	if (!file) {
		fprintf(stderr, "fakegpu-model: %s: %s\n", path, strerror(errno));
		return false;
	}
	fputs("# ", file);
	for (p = comment; *p; p++) {
		fputc(*p, file);
		if (*p == '\n' && p[1])
			fputs("# ", file);
	}
	fprintf(file, "\nconfig scheme=%u vm-flags=%u interval-order=%u window-order=%u threads=%u pages=%u granule=%u\n",
		config->scheme, config->vm_flags, config->interval_order, config->window_order,
		config->threads, config->pages, config->granule);
	for (i = 0; i < list->count; i++) {
		op_format(&list->ops[i], line, sizeof(line));
		fprintf(file, "%s\n", line);
	}
	return !fclose(file);
}

static bool parse_config(const char *line, struct config *config)
{
	return sscanf(line, "config scheme=%u vm-flags=%u interval-order=%u window-order=%u threads=%u pages=%u granule=%u",
		      &config->scheme, &config->vm_flags, &config->interval_order,
		      &config->window_order, &config->threads, &config->pages,
		      &config->granule) == 7 &&
	       config->threads && config->threads <= MAX_THREADS && config->pages &&
	       config->granule && config->pages % config->granule == 0;
}

static bool load_lines(FILE *file, struct config *config, struct oplist *list)
{
	bool configured = false;
	uint32_t room = 0;
	char line[1024];

	while (fgets(line, sizeof(line), file)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (!configured) {
			configured = parse_config(line, config);
			if (!configured)
				return false;
			continue;
		}
		if (list->count == room) {
			struct op *more;

			room = room ? 2 * room : 256;
			more = realloc(list->ops, room * sizeof(*more));
			if (!more)
				return false;
			list->ops = more;
		}
		if (!op_parse(line, &list->ops[list->count]) ||
		    list->ops[list->count].thread >= config->threads) {
			fprintf(stderr, "fakegpu-model: not an operation: %s", line);
			return false;
		}
		list->count++;
	}
	return configured;
}

bool oplist_load(const char *path, struct config *config, struct oplist *list)
{
	FILE *file = fopen(path, "re");
	bool ok;

	memset(list, 0, sizeof(*list));
	if (!file) {
		fprintf(stderr, "fakegpu-model: %s: %s\n", path, strerror(errno));
		return false;
	}
	ok = load_lines(file, config, list);
	fclose(file);
	if (!ok)
		fprintf(stderr, "fakegpu-model: %s is no list of operations\n", path);
	return ok;
}
