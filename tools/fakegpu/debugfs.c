// SPDX-License-Identifier: MIT
/*
 * Read the tables in debugfs
 *
 * Columns are found by name, so that a module that shows more of them still
 * works with this program.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "debugfs.h"
#include "tool.h"

static int slurp(const char *path, char **text)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, room = 0;
	char *buf = NULL;
	int ret = 0;

	if (!file)
		return -errno;
	for (;;) {
		char *more;
		size_t n;

		if (room - size < 2) {
			room = room ? 2 * room : 64 * KIB;
			more = realloc(buf, room);
			if (!more) {
				ret = -ENOMEM;
				break;
			}
			buf = more;
		}
		n = fread(buf + size, 1, room - size - 1, file);
		size += n;
		if (!n) {
			if (ferror(file))
				ret = errno ? -errno : -EIO;
			break;
		}
	}
	fclose(file);
	if (ret) {
		free(buf);
		return ret;
	}
	buf[size] = '\0';
	*text = buf;
	return 0;
}

static size_t split(char *line, const char **words)
{
	char *save, *word;
	size_t n = 0;

	for (word = strtok_r(line, " \t", &save); word && n < TABLE_COLS;
	     word = strtok_r(NULL, " \t", &save))
		words[n++] = word;
	return n;
}

static int find_col(const struct table *t, const char *col)
{
	size_t i;

	for (i = 0; i < t->cols; i++)
		if (!strcmp(t->name[i], col))
			return i;
	return -1;
}

static int parse(struct table *t, const char *const *need)
{
	size_t lines = 1;
	char *p, *line, *save;

	for (p = t->text; *p; p++)
		lines += *p == '\n';
	t->cell = calloc(lines, sizeof(*t->cell));
	if (!t->cell)
		return -ENOMEM;

	for (line = strtok_r(t->text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (*line == '#') {
			/* Of several, the last one before the rows names the columns. */
			if (!t->rows)
				t->cols = split(line + 1, t->name);
			continue;
		}
		if (!t->cols || split(line, t->cell[t->rows]) < t->cols)
			return -EPROTO;
		t->rows++;
	}
	for (; *need; need++)
		if (find_col(t, *need) < 0)
			return -EPROTO;
	return 0;
}

int table_read(int fd, const char *file, const char *const *need, struct table *t)
{
	char path[128];
	int ret;

	memset(t, 0, sizeof(*t));
	ret = fakegpu_debug_path(fd, file, path, sizeof(path));
	if (!ret)
		ret = slurp(path, &t->text);
	if (!ret)
		ret = parse(t, need);
	if (ret)
		table_free(t);
	return ret;
}

int table_read_vm(int fd, uint32_t vm_id, const char *file, struct table *t)
{
	static const struct {
		const char *file;
		const char *need[8];
	} tables[] = {
		{ "mirror", { "range", "flags", "order", "pages", "where" } },
		{ "intervals", { "range", "scheme", "state", "pages", "seq" } },
		{ "faults", { "time_ns", "queue", "seqno", "cmd", "access", "range", "error" } },
		{ "events", { "time_ns", "event", "range", "interval", "pages_cleared" } },
	};
	char name[64];
	size_t i;

	snprintf(name, sizeof(name), "vm%u/%s", vm_id, file);
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (!strcmp(tables[i].file, file))
			return table_read(fd, name, tables[i].need, t);
	return -EINVAL;
}

void table_free(struct table *t)
{
	free(t->text);
	free(t->cell);
	memset(t, 0, sizeof(*t));
}

const char *table_str(const struct table *t, size_t row, const char *col)
{
	int i = find_col(t, col);

	return i < 0 ? "" : t->cell[row][i];
}

uint64_t table_num(const struct table *t, size_t row, const char *col)
{
	return strtoull(table_str(t, row, col), NULL, 0);
}

bool table_range(const struct table *t, size_t row, const char *col,
		 uint64_t *start, uint64_t *end)
{
	return sscanf(table_str(t, row, col), "%" SCNx64 "-%" SCNx64, start, end) == 2;
}
