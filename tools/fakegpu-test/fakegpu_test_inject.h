/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The knobs in debugfs' inject/ (docs/inject.rst): failures and races on demand.
 */
#ifndef FAKEGPU_TEST_INJECT_H
#define FAKEGPU_TEST_INJECT_H

#include "fakegpu_test.h"

/* What a knob's file says. */
struct inject {
	uint64_t nth;
	uint64_t count;
	uint64_t usecs;
	uint64_t seen;
	uint64_t hits;
	uint64_t held;
	uint64_t expired;
};

/* Return: 0 or a negative errno. */
static inline int inject_write(struct gpu *gpu, const char *name, const char *text)
{
	char file[64], path[256];
	int fd, ret;

	snprintf(file, sizeof(file), "inject/%s", name);
	ret = fakegpu_debug_path(gpu->fd, file, path, sizeof(path));
	if (ret)
		return ret;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline void inject_text(struct gpu *gpu, const char *name, const char *text)
{
	int ret = inject_write(gpu, name, text);

	if (ret)
		gpu_die("debugfs inject/%s: writing \"%s\": %s", name, text, strerror(-ret));
}

/* Off, and let go of who is held. */
static inline void inject_off(struct gpu *gpu, const char *knob)
{
	inject_text(gpu, knob, "0");
}

static inline void inject_usecs(struct gpu *gpu, const char *knob, uint64_t nth, uint64_t count,
				uint64_t usecs)
{
	char text[80];

	snprintf(text, sizeof(text), "%llu %llu %llu", (unsigned long long)nth,
		 (unsigned long long)count, (unsigned long long)usecs);
	inject_text(gpu, knob, text);
}

/* Hit the @nth pass and those after it, @count in all; 0: all. */
static inline void inject_set(struct gpu *gpu, const char *knob, uint64_t nth, uint64_t count)
{
	inject_usecs(gpu, knob, nth, count, 0);
}

/* For room and timeout_ms. */
static inline void inject_value(struct gpu *gpu, const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	inject_text(gpu, name, text);
}

/* Only what is about this range counts from now on. */
static inline void inject_range(struct gpu *gpu, const volatile void *addr, size_t size)
{
	char text[80];

	snprintf(text, sizeof(text), "%llx-%llx", (unsigned long long)fakegpu_va(addr),
		 (unsigned long long)fakegpu_va(addr) + size);
	inject_text(gpu, "range", text);
}

static inline struct inject inject_get(struct gpu *gpu, const char *knob)
{
	unsigned long long v[7] = { 0 };
	char file[64], path[256];
	struct inject inject;
	FILE *f;
	int n;

	snprintf(file, sizeof(file), "inject/%s", knob);
	if (fakegpu_debug_path(gpu->fd, file, path, sizeof(path)))
		gpu_die("no path of debugfs %s", file);
	f = fopen(path, "re");
	if (!f)
		gpu_die("%s: %s", path, strerror(errno));
	n = fscanf(f, "# nth count usecs seen hits held expired\n%llu %llu %llu %llu %llu %llu %llu",
		   &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]);
	fclose(f);
	if (n != 7)
		gpu_die("%s: not a line of seven numbers", path);
	inject = (struct inject){ v[0], v[1], v[2], v[3], v[4], v[5], v[6] };
	return inject;
}

static inline uint64_t inject_hits(struct gpu *gpu, const char *knob)
{
	return inject_get(gpu, knob).hits;
}

/*
 * Let the next pass of a HOLD knob wait, start something, and wait until it is
 * held: what follows happens in the middle of it. INJECT_RELEASE() lets it go.
 */
#define INJECT_HOLD(gpu, knob, ...) do { \
	inject_set(gpu, knob, 1, 1); \
	__VA_ARGS__; \
	EXPECT_EVENTUALLY(1UL, inject_get(gpu, knob).held); \
} while (0)

/* It was held until now, and by nothing but the knob. */
#define INJECT_RELEASE(gpu, knob) do { \
	struct inject inject_ = inject_get(gpu, knob); \
	EXPECT_EQ(1UL, inject_.held); \
	EXPECT_EQ(0UL, inject_.expired); \
	inject_off(gpu, knob); \
} while (0)

/* Submit without waiting, and wait for it later. */
#define EXPECT_SUBMIT(gpu, id, seqno, ...) do { \
	struct drm_fakegpu_cmd cmds_[] = { __VA_ARGS__ }; \
	EXPECT_EQ(0, fakegpu_submit((gpu)->fd, id, cmds_, ARRAY_SIZE(cmds_), seqno)); \
} while (0)
#define EXPECT_DONE(gpu, id, seqno) \
	EXPECT_EQ(0, fakegpu_wait((gpu)->fd, id, seqno, GPU_WAIT_NS))

/* The usual fixture, with all knobs off at both ends. */
#define INJECT_SETUP(gpu, conf) do { \
	GPU_SETUP(gpu, conf); \
	inject_text(gpu, "reset", "1"); \
} while (0)
#define INJECT_TEARDOWN(gpu) do { \
	inject_text(gpu, "reset", "1"); \
	GPU_TEARDOWN(gpu); \
} while (0)

#define INJECT_FIXTURE(area) \
	FIXTURE(area) { struct gpu gpu; }; \
	GPU_VARIANTS(area, 0); \
	FIXTURE_SETUP(area) { INJECT_SETUP(&self->gpu, &variant->conf); } \
	FIXTURE_TEARDOWN(area) { INJECT_TEARDOWN(&self->gpu); } \
	struct inject_fixture_end

#endif /* FAKEGPU_TEST_INJECT_H */
