// SPDX-License-Identifier: GPL-2.0
/*
 * Area command: what each opcode does, to the byte, also at odd addresses and
 * sizes and when it is interrupted by device faults.
 */
#include "fakegpu_test.h"

GPU_FIXTURE(command);

/* Offsets around the borders of words and pages. */
static const size_t edges[] = { 0, 1, 7, 2048, GPU_PAGE - 8, GPU_PAGE - 1 };
static const size_t lengths[] = {
	1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 4095, GPU_PAGE, 4097, 8191, 12291,
};

#define AREA_SIZE (6 * GPU_PAGE)

/* Behaviour 8: NOP does nothing, any number of times */
TEST_F(command, nop)
{
	struct gpu *gpu = &self->gpu;
	struct drm_fakegpu_cmd *cmds = calloc(gpu->info.max_cmds, sizeof(*cmds));

	ASSERT_NE(NULL, cmds);
	EXPECT_FAULTS(gpu, 0, EXPECT_EQ(0, gpu_run(gpu, cmds, gpu->info.max_cmds)));
	free(cmds);
}

/* Behaviour 8: TOUCH leaves every byte as it is, and asks for no more rights than it needs */
TEST_F(command, touch_keeps_bytes)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(AREA_SIZE);

	gpu_pattern(p, AREA_SIZE, 1);
	EXPECT_RUN(gpu, fakegpu_touch(p + 3, AREA_SIZE - 5, 1, 0));
	EXPECT_ENTRIES(gpu, p, AREA_SIZE, GPU_W, gpu->info.page_shift, SYSTEM);
	EXPECT_RUN(gpu, fakegpu_touch(p + GPU_PAGE - 1, 3, 1, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_ENTRIES(gpu, p, 2 * GPU_PAGE, GPU_WD, gpu->info.page_shift, SYSTEM);
	EXPECT_ENTRIES(gpu, p + 2 * GPU_PAGE, AREA_SIZE - 2 * GPU_PAGE, GPU_W,
		       gpu->info.page_shift, SYSTEM);
	EXPECT_PATTERN(p, AREA_SIZE, 1);
}

/* Behaviour 5, 8: TOUCH accesses the multiples of its stride below the size, no other page */
TEST_F(command, touch_stride)
{
	struct gpu *gpu = &self->gpu;
	size_t stride = 2 * GPU_PAGE, size = 6 * GPU_PAGE + 1, i;
	uint8_t *p = gpu_map_anon(16 * GPU_PAGE);

	EXPECT_RUN(gpu, fakegpu_touch(p + 100, size, stride, DRM_FAKEGPU_CMD_WRITE));
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(i < 7 && i % 2 == 0, gpu_cpu_present(p + i * GPU_PAGE))
			TH_LOG("page %zu", i);
	}
	/* One byte less, and the last page isn't reached. */
	p = gpu_map_anon(16 * GPU_PAGE);
	EXPECT_RUN(gpu, fakegpu_touch(p + 100, size - 1, stride, DRM_FAKEGPU_CMD_WRITE));
	EXPECT_TRUE(gpu_cpu_present(p + 4 * GPU_PAGE));
	EXPECT_FALSE(gpu_cpu_present(p + 6 * GPU_PAGE));
	/* A stride beyond the size, also one that would wrap, accesses one byte. */
	EXPECT_RUN(gpu, fakegpu_touch(p + 9 * GPU_PAGE, GPU_PAGE, ~0ULL, 0));
	EXPECT_UNMAPPED(gpu, p + 10 * GPU_PAGE, GPU_PAGE);
}

/* Behaviour 8: FILL at all alignments: the pattern starts at the first byte, guards hold */
TEST_F(command, fill_unaligned)
{
	struct gpu *gpu = &self->gpu;
	const uint64_t pattern = 0x8877665544332211;
	uint8_t *p = gpu_map_anon(AREA_SIZE);
	size_t i, j, k, at, n, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			at = GPU_PAGE + edges[i];
			n = lengths[j];
			memset(p, 0xdd, AREA_SIZE);
			EXPECT_RUN(gpu, fakegpu_fill(p + at, n, pattern));
			for (k = 0; k < n; k++)
				wrong += p[at + k] != (uint8_t)(pattern >> k % 8 * 8);
			EXPECT_EQ(0UL, wrong)
				TH_LOG("at %zu, %zu bytes", edges[i], n);
			EXPECT_BYTES(p, at, 0xdd);
			EXPECT_BYTES(p + at + n, AREA_SIZE - at - n, 0xdd);
		}
	}
}

/* Behaviour 8: COPY between all alignments of source and destination */
TEST_F(command, copy_unaligned)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *src = gpu_map_anon(AREA_SIZE), *dst = gpu_map_anon(AREA_SIZE);
	size_t i, j, k, to, from, n;

	gpu_pattern(src, AREA_SIZE, 3);
	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		for (j = 0; j < ARRAY_SIZE(edges); j++) {
			for (k = 0; k < ARRAY_SIZE(lengths); k += 2) {
				from = GPU_PAGE + edges[i];
				to = GPU_PAGE + edges[j];
				n = lengths[k];
				memset(dst, 0xcc, AREA_SIZE);
				EXPECT_RUN(gpu, fakegpu_copy(dst + to, src + from, n));
				EXPECT_PATTERN_AT(dst + to, n, 3, from);
				EXPECT_BYTES(dst, to, 0xcc);
				EXPECT_BYTES(dst + to + n, AREA_SIZE - to - n, 0xcc);
			}
		}
	}
	EXPECT_PATTERN(src, AREA_SIZE, 3);
}

/* Behaviour 8: COPY between ranges that touch but don't overlap */
TEST_F(command, copy_adjacent)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(AREA_SIZE);

	gpu_pattern(p, AREA_SIZE, 3);
	EXPECT_RUN(gpu, fakegpu_copy(p + 5001, p, 5001));
	EXPECT_PATTERN(p, 5001, 3);
	EXPECT_PATTERN(p + 5001, 5001, 3);
	EXPECT_PATTERN_AT(p + 10002, AREA_SIZE - 10002, 3, 10002);
	EXPECT_RUN(gpu, fakegpu_copy(p, p + 12001, 12001));
	EXPECT_PATTERN_AT(p, 12001, 3, 12001);
}

/* Behaviour 8: COMPARE finds the first difference, wherever it is, or none */
TEST_F(command, compare_first_difference)
{
	static const size_t diffs[] = {
		0, 1, 7, 8, 9, 4000, 4095, GPU_PAGE, 4097, 8190, 12000, 12290,
	};
	struct gpu *gpu = &self->gpu;
	uint8_t *a = gpu_map_anon(AREA_SIZE), *b = gpu_map_anon(AREA_SIZE);
	size_t n = 12291, i, j;
	uint8_t *pa, *pb;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		pa = a + edges[i];
		pb = b + edges[ARRAY_SIZE(edges) - 1 - i];
		gpu_pattern(pa, n, i);
		gpu_pattern(pb, n, i);
		/* Differences outside the range don't count. */
		pb[n] = ~pa[n];
		EXPECT_RUN(gpu, fakegpu_compare(pa, pb, n, gpu->res + 1));
		EXPECT_EQ(n, gpu->res[1]);
		for (j = ARRAY_SIZE(diffs); j--;) {
			pb[diffs[j]] ^= 0x80;
			gpu->res[1] = ~0ULL;
			EXPECT_RUN(gpu, fakegpu_compare(pa, pb, n, gpu->res + 1));
			EXPECT_EQ(diffs[j], gpu->res[1]);
			gpu->res[1] = ~0ULL;
			EXPECT_RUN(gpu, fakegpu_compare(pb, pa, n, gpu->res + 1));
			EXPECT_EQ(diffs[j], gpu->res[1]);
			/* Without a result it's only an access. */
			EXPECT_RUN(gpu, fakegpu_compare(pa, pb, n, NULL));
			EXPECT_EQ(diffs[j], gpu->res[1]);
		}
	}
}

/* Behaviour 8: CHECKSUM: the vectors of RFC 3720 */
TEST_F(command, checksum_vectors)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(GPU_PAGE);
	int i;

	memcpy(p, "123456789", 9);
	EXPECT_DEVICE_CRC(gpu, p, 9, 0xe3069283);
	memset(p, 0, 32);
	EXPECT_DEVICE_CRC(gpu, p, 32, 0x8a9136aa);
	memset(p, 0xff, 32);
	EXPECT_DEVICE_CRC(gpu, p, 32, 0x62a8ab43);
	for (i = 0; i < 32; i++)
		p[i] = i;
	EXPECT_DEVICE_CRC(gpu, p, 32, 0x46dd794e);
	for (i = 0; i < 32; i++)
		p[i] = 31 - i;
	EXPECT_DEVICE_CRC(gpu, p, 32, 0x113fdb5c);
}

/* Behaviour 8: CHECKSUM at all alignments against a CRC of the test's own */
TEST_F(command, checksum_unaligned)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(AREA_SIZE);
	size_t i, j;

	gpu_pattern(p, AREA_SIZE, 9);
	for (i = 0; i < ARRAY_SIZE(edges); i++)
		for (j = 0; j < ARRAY_SIZE(lengths); j++)
			EXPECT_DEVICE_PATTERN_AT(gpu, p + edges[i], lengths[j], 9, edges[i]);
}

/* Behaviour 8: a result can lie at any byte; its neighbours are not written */
TEST_F(command, result_unaligned)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(AREA_SIZE), *q = gpu_map_anon(GPU_PAGE);
	uint64_t list[2] = { 0, 0x1122334455667788 }, got[2];
	uint64_t crc = gpu_crc_pattern(GPU_PAGE, 4, 0);
	size_t at;

	gpu_pattern(q, GPU_PAGE, 4);
	for (at = GPU_PAGE - 17; at <= GPU_PAGE + 1; at++) {
		memset(p, 0x99, AREA_SIZE);
		EXPECT_RUN(gpu, fakegpu_checksum(q, GPU_PAGE, (uint64_t *)(p + at)));
		memcpy(got, p + at, 8);
		EXPECT_EQ(crc, got[0]);
		EXPECT_BYTES(p, at, 0x99);
		EXPECT_BYTES(p + at + 8, AREA_SIZE - at - 8, 0x99);

		memset(p, 0x99, AREA_SIZE);
		EXPECT_RUN(gpu, fakegpu_chase(list, 5, 0, 8, (uint64_t *)(p + at)));
		memcpy(got, p + at, 16);
		EXPECT_EQ(1UL, got[0]);
		EXPECT_EQ(list[1], got[1]);
		EXPECT_BYTES(p, at, 0x99);
		EXPECT_BYTES(p + at + 16, AREA_SIZE - at - 16, 0x99);
	}
}

/* Behaviour 5, 8: a result across two cold pages of two windows: two faults, written once */
TEST_F(command, result_crosses_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *q = gpu_map_anon(GPU_PAGE), *p, *border;
	uint64_t list[2] = { 0, 7 }, word = 40, got[2];

	EXPECT_RUN(gpu, fakegpu_touch(list, 16, 8, 0),
		   fakegpu_touch(&word, 8, 8, DRM_FAKEGPU_CMD_WRITE),
		   fakegpu_touch(q, 1, 1, 0));

	p = gpu_map_anon(2 * GPU_SZ_2M);
	border = p + GPU_SZ_2M;
	EXPECT_FAULTS(gpu, 2,
		EXPECT_RUN(gpu, fakegpu_checksum(q, 1, (uint64_t *)(border - 3))));
	memcpy(got, border - 3, 8);
	EXPECT_EQ(gpu_crc_byte(1, 0), got[0]);

	p = gpu_map_anon(2 * GPU_SZ_2M);
	border = p + GPU_SZ_2M;
	EXPECT_FAULTS(gpu, 2,
		EXPECT_RUN(gpu, fakegpu_chase(list, 1, 0, 8, (uint64_t *)(border - 11))));
	memcpy(got, border - 11, 16);
	EXPECT_EQ(1UL, got[0]);
	EXPECT_EQ(7UL, got[1]);

	/* The atomic operation happens once although the command is resumed twice. */
	p = gpu_map_anon(2 * GPU_SZ_2M);
	border = p + GPU_SZ_2M;
	EXPECT_FAULTS(gpu, 2,
		EXPECT_RUN(gpu, fakegpu_atomic(&word, 8, DRM_FAKEGPU_ATOMIC_ADD, 2, 0,
					       (uint64_t *)(border - 1))));
	memcpy(got, border - 1, 8);
	EXPECT_EQ(40UL, got[0]);
	EXPECT_EQ(42UL, *(volatile uint64_t *)&word);
}

/* Behaviour 11: a result that runs into a hole: done below it, the command isn't completed */
TEST_F(command, result_crosses_hole)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(2 * GPU_PAGE), *hole = p + GPU_PAGE;
	volatile uint64_t *word = (uint64_t *)gpu_map_anon(GPU_PAGE);
	uint32_t crc = gpu_crc_byte(8, 0);
	uint64_t list[2] = { 0, 7 };

	ASSERT_EQ(0, munmap(hole, GPU_PAGE));
	memset(p, 0x77, GPU_PAGE);
	EXPECT_FATAL(gpu, fakegpu_checksum(word, 8, (uint64_t *)(hole - 4)), EFAULT, hole, WRITE);
	EXPECT_EQ(0, memcmp(hole - 4, &crc, 4));
	EXPECT_BYTES(p, GPU_PAGE - 4, 0x77);

	EXPECT_FATAL(gpu, fakegpu_chase(list, 1, 0, 8, (uint64_t *)(hole - 8)), EFAULT, hole,
		     WRITE);
	EXPECT_EQ(1, hole[-8]);
	EXPECT_BYTES(hole - 7, 7, 0);

	/* The operation itself was done, once. */
	*word = 5;
	EXPECT_FATAL(gpu, fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 3, 0,
					 (uint64_t *)hole), EFAULT, hole, WRITE);
	EXPECT_EQ(8UL, *word);
}

struct node {
	uint64_t pad;
	struct node *next;
	uint64_t fill[5];
	uint64_t value;
};

/* Behaviour 8: CHASE through nodes in random order over many pages, exact number and sum */
TEST_F(command, chase_random)
{
	struct gpu *gpu = &self->gpu;
	enum { NODES = 1000 };
	/* 72 bytes apart and odd: some nodes cross pages. */
	const size_t step = 8 * sizeof(struct node) + 9;
	uint8_t *p = gpu_map_anon(NODES * step + GPU_PAGE);
	uint64_t seed = 5, sum = 0, n;
	int order[NODES], i, j, t;

	for (i = 0; i < NODES; i++)
		order[i] = i;
	for (i = NODES - 1; i > 0; i--) {
		j = gpu_rand(&seed) % (i + 1);
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	for (i = 0; i < NODES; i++) {
		struct node node = { .value = gpu_rand(&seed) };

		if (i + 1 < NODES)
			node.next = (struct node *)(p + order[i + 1] * step + 3);
		memcpy(p + order[i] * step + 3, &node, sizeof(node));
	}
#define CHASE(max) \
	EXPECT_RUN(gpu, fakegpu_chase(p + order[0] * step + 3, max, offsetof(struct node, next), \
				      offsetof(struct node, value), gpu->res + 2))
	seed = 5;
	for (i = NODES - 1; i > 0; i--)
		gpu_rand(&seed);
	for (n = 1; n <= NODES; n++) {
		sum += gpu_rand(&seed);
		if (n != 1 && n != 2 && n != 77 && n < NODES - 1)
			continue;
		CHASE(n);
		EXPECT_EQ(n, gpu->res[2]);
		EXPECT_EQ(sum, gpu->res[3]);
	}
	/* More than there are. */
	CHASE(~0ULL);
	EXPECT_EQ((uint64_t)NODES, gpu->res[2]);
	EXPECT_EQ(sum, gpu->res[3]);
#undef CHASE
}

/* Behaviour 8: CHASE in a circle ends after so many nodes; offsets count modulo 2^64 */
TEST_F(command, chase_circle)
{
	struct gpu *gpu = &self->gpu;
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);

	p[10] = fakegpu_va(&p[20]);
	p[20] = fakegpu_va(&p[10]);
	p[9] = 3;
	p[19] = 100;
	EXPECT_RUN(gpu, fakegpu_chase(&p[10], 10001, 0, -8UL, gpu->res + 2));
	EXPECT_EQ(10001UL, gpu->res[2]);
	EXPECT_EQ(5001 * 3 + 5000 * 100UL, gpu->res[3]);
	/* The sum counts modulo 2^64, too. */
	p[9] = 1UL << 63;
	p[19] = 1UL << 63;
	EXPECT_RUN(gpu, fakegpu_chase(&p[10], 3, 0, -8UL, gpu->res + 2));
	EXPECT_EQ(1UL << 63, gpu->res[3]);
	/* Value and pointer can be the same word. */
	EXPECT_RUN(gpu, fakegpu_chase(&p[10], 1, 0, 0, gpu->res + 2));
	EXPECT_EQ(1UL, gpu->res[2]);
	EXPECT_EQ(p[10], gpu->res[3]);
}

/* Behaviour 5, 8: CHASE resumes after each fault where it was */
TEST_F(command, chase_cold)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(6 * GPU_SZ_2M);
	uint64_t *word;
	int i;

	for (i = 0; i < 6; i++) {
		word = (uint64_t *)(p + i * GPU_SZ_2M);
		word[0] = i < 5 ? fakegpu_va(word) + GPU_SZ_2M : 0;
		word[1] = 1UL << 8 * i;
	}
	EXPECT_FAULTS(gpu, 6, EXPECT_RUN(gpu, fakegpu_chase(p, 100, 0, 8, gpu->res + 2)));
	EXPECT_EQ(6UL, gpu->res[2]);
	EXPECT_EQ(0x010101010101UL, gpu->res[3]);
}

/* Behaviour 10, 13: CHASE into a hole, into the kernel's half and to non-canonical addresses */
TEST_F(command, chase_bad_pointer)
{
	struct gpu *gpu = &self->gpu;
	uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);
	uint64_t hole = fakegpu_va(gpu_va(GPU_PAGE, GPU_SZ_2M));
	const uint64_t bad[] = {
		gpu->info.va_end, 0x800000000000, 0xdeadbeefdeadbeef, 0xffff888000000000,
		0xffffffff81000000, -16UL,
	};
	size_t i;

	p[1] = 1;
	p[2] = hole;
	p[3] = 2;
	p[0] = fakegpu_va(&p[2]);
	gpu->res[2] = 99;
	EXPECT_FATAL(gpu, fakegpu_chase(p, 10, 0, 8, gpu->res + 2), EFAULT, hole + 8, READ);
	EXPECT_EQ(2ULL, gpu->fatal.queue.cmd_done);
	EXPECT_EQ(99UL, gpu->res[2]);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		p[2] = bad[i];
		EXPECT_FATAL(gpu, fakegpu_chase(p, 10, 0, 8, gpu->res + 2), EINVAL, bad[i] + 8,
			     READ);
		EXPECT_EQ(2ULL, gpu->fatal.queue.cmd_done);
	}
	EXPECT_EQ(99UL, gpu->res[2]);
}

/* Behaviour 8: ATOMIC of 8 bytes: what is stored, what was there */
TEST_F(command, atomic_64)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *p = (uint64_t *)gpu_map_anon(GPU_PAGE);

#define ATOMIC(op, operand, compare, result) \
	EXPECT_RUN(gpu, fakegpu_atomic(p + 1, 8, DRM_FAKEGPU_ATOMIC_ ## op, operand, compare, \
				       result))
	p[0] = ~0ULL;
	p[1] = 40;
	p[2] = ~0ULL;
	ATOMIC(ADD, 2, 0, gpu->res + 1);
	EXPECT_EQ(40UL, gpu->res[1]);
	EXPECT_EQ(42UL, p[1]);
	ATOMIC(ADD, -43UL, 0, gpu->res + 1);
	EXPECT_EQ(42UL, gpu->res[1]);
	EXPECT_EQ(~0UL, p[1]);
	ATOMIC(SWAP, 0x123456789abcdef0, 0, gpu->res + 1);
	EXPECT_EQ(~0UL, gpu->res[1]);
	EXPECT_EQ(0x123456789abcdef0UL, p[1]);
	ATOMIC(CAS, 1, 2, gpu->res + 1);
	EXPECT_EQ(0x123456789abcdef0UL, gpu->res[1]);
	EXPECT_EQ(0x123456789abcdef0UL, p[1]);
	ATOMIC(CAS, 1, 0x123456789abcdef0, gpu->res + 1);
	EXPECT_EQ(0x123456789abcdef0UL, gpu->res[1]);
	EXPECT_EQ(1UL, p[1]);
	gpu->res[1] = 5;
	ATOMIC(ADD, 1, 0, NULL);
	EXPECT_EQ(5UL, gpu->res[1]);
	EXPECT_EQ(2UL, p[1]);
	EXPECT_EQ(~0UL, p[0]);
	EXPECT_EQ(~0UL, p[2]);
#undef ATOMIC
}

/* Behaviour 8: ATOMIC of 4 bytes: wraps by itself, the result is zero-extended */
TEST_F(command, atomic_32)
{
	struct gpu *gpu = &self->gpu;
	volatile uint32_t *p = (uint32_t *)gpu_map_anon(GPU_PAGE);

#define ATOMIC(op, operand, compare) do { \
	gpu->res[1] = ~0ULL; \
	EXPECT_RUN(gpu, fakegpu_atomic(p + 1, 4, DRM_FAKEGPU_ATOMIC_ ## op, operand, compare, \
				       gpu->res + 1)); \
} while (0)
	p[0] = 0x11111111;
	p[1] = 0xffffffff;
	p[2] = 0x22222222;
	ATOMIC(ADD, 3, 0);
	EXPECT_EQ(0xffffffffUL, gpu->res[1]);
	EXPECT_EQ(2U, p[1]);
	ATOMIC(SWAP, 0x87654321, 0);
	EXPECT_EQ(2UL, gpu->res[1]);
	EXPECT_EQ(0x87654321U, p[1]);
	ATOMIC(CAS, 7, 0x87654320);
	EXPECT_EQ(0x87654321UL, gpu->res[1]);
	EXPECT_EQ(0x87654321U, p[1]);
	ATOMIC(CAS, 7, 0x87654321);
	EXPECT_EQ(0x87654321UL, gpu->res[1]);
	EXPECT_EQ(7U, p[1]);
	EXPECT_EQ(0x11111111U, p[0]);
	EXPECT_EQ(0x22222222U, p[2]);
#undef ATOMIC
}

/* Behaviour 5, 8: ATOMICs and semaphore additions on cold pages happen exactly once */
TEST_F(command, atomic_cold_once)
{
	struct gpu *gpu = &self->gpu;
	enum { N = 8 };
	uint8_t *p = gpu_map_anon(N * GPU_SZ_2M), *r = gpu_map_anon(N * GPU_SZ_2M);
	volatile uint64_t *word, *old;
	int i;

	for (i = 0; i < N; i++) {
		word = (uint64_t *)(p + i * GPU_SZ_2M + 8 * i);
		old = (uint64_t *)(r + i * GPU_SZ_2M);
		EXPECT_FAULTS(gpu, 2,
			EXPECT_RUN(gpu, fakegpu_atomic(word, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0,
						       old)));
		EXPECT_EQ(1UL, *word);
		EXPECT_EQ(0UL, *old);
		word = (uint64_t *)(p + i * GPU_SZ_2M + GPU_SZ_1M);
		EXPECT_FAULTS(gpu, 1,
			EXPECT_RUN(gpu, fakegpu_sem_signal(word, 5, DRM_FAKEGPU_SEM_ADD)));
		EXPECT_EQ(5UL, *word);
	}
}

/* Behaviour 8: a chain of commands in one submission: each sees what the one before did */
TEST_F(command, chain_in_order)
{
	struct gpu *gpu = &self->gpu;
	uint32_t n = gpu->info.max_cmds < 256 ? gpu->info.max_cmds & ~1u : 256, i;
	volatile uint64_t *p = (uint64_t *)gpu_map_anon(2 * GPU_SZ_2M);
	struct drm_fakegpu_cmd cmds[256];

	p[0] = 1;
	/* Pass a value on from word to word, and add one to it on the way. */
	for (i = 0; i < n; i += 2) {
		cmds[i] = fakegpu_copy(p + 1021 * (i / 2 + 1), p + 1021 * (i / 2), 8);
		cmds[i + 1] = fakegpu_atomic(p + 1021 * (i / 2 + 1), 8, DRM_FAKEGPU_ATOMIC_ADD, 1,
					     0, NULL);
	}
	EXPECT_EQ(0, gpu_run(gpu, cmds, n))
		TH_LOG("%s", gpu_why());
	for (i = 0; i <= n / 2; i++)
		if (p[1021 * i] != i + 1)
			break;
	EXPECT_EQ(n / 2 + 1, i);
}

/* Wait until the queue says that it is blocked in SEM_WAIT. */
static bool blocked(struct gpu *gpu, uint32_t queue)
{
	struct drm_fakegpu_queue_get_state state = { 0 };

	return !fakegpu_queue_state(gpu->fd, queue, &state) &&
	       (state.flags & DRM_FAKEGPU_QUEUE_BLOCKED);
}

/* Behaviour 8: SEM_WAIT holds the queue until the CPU stores the value; equal means equal */
TEST_F(command, sem_wait_cpu)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *sem = (uint64_t *)gpu_map_anon(GPU_PAGE), *done = sem + 1;
	struct drm_fakegpu_cmd cmds[] = {
		fakegpu_fill(done, 8, 1),
		fakegpu_sem_wait(sem, 10, 0),
		fakegpu_fill(done, 8, 2),
		fakegpu_sem_wait(sem, 20, DRM_FAKEGPU_SEM_GE),
		fakegpu_fill(done, 8, 3),
		fakegpu_sem_wait(sem, 1UL << 63, DRM_FAKEGPU_SEM_GE),
	};
	uint64_t seqno = 0;

	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, ARRAY_SIZE(cmds), &seqno));
	EXPECT_EVENTUALLY(true, blocked(gpu, gpu->queue));
	EXPECT_EQ(1UL, *done);
	*sem = 11;
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 20000000));
	EXPECT_EQ(1UL, *done);
	*sem = 10;
	EXPECT_EVENTUALLY(2UL, *done);
	*sem = 19;
	EXPECT_EQ(-ETIME, fakegpu_wait(gpu->fd, gpu->queue, seqno, 20000000));
	EXPECT_EQ(2UL, *done);
	*sem = 21;
	EXPECT_EVENTUALLY(3UL, *done);
	/* Unsigned: this is not below zero. */
	*sem = ~0ULL;
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_FALSE(blocked(gpu, gpu->queue));
}

/* Behaviour 8: SEM_SIGNAL stores or adds, after all commands before it */
TEST_F(command, sem_signal_order)
{
	struct gpu *gpu = &self->gpu;
	volatile uint64_t *sem = (uint64_t *)gpu_map_anon(GPU_PAGE);
	uint8_t *p = gpu_map_anon(GPU_SZ_2M), *q = gpu_map_anon(GPU_SZ_2M);
	uint32_t other = gpu_queue(gpu);
	struct drm_fakegpu_cmd wait[] = {
		fakegpu_sem_wait(sem, 7, 0),
		fakegpu_copy(q, p, GPU_SZ_2M),
		fakegpu_sem_signal(sem, 1UL << 40, DRM_FAKEGPU_SEM_ADD),
	};
	struct drm_fakegpu_cmd signal[] = {
		fakegpu_fill(p, GPU_SZ_2M, 0x3737373737373737),
		fakegpu_sem_signal(sem, 7, 0),
		fakegpu_sem_wait(sem, 8, DRM_FAKEGPU_SEM_GE),
		fakegpu_fill(p, GPU_SZ_2M, 0),
	};
	uint64_t a = 0, b = 0;

	EXPECT_EQ(0, fakegpu_submit(gpu->fd, other, wait, 3, &a));
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, signal, 4, &b));
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, b, GPU_WAIT_NS));
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, other, a, GPU_WAIT_NS));
	EXPECT_EQ(7 + (1UL << 40), *sem);
	EXPECT_BYTES(q, GPU_SZ_2M, 0x37);
	EXPECT_BYTES(p, GPU_SZ_2M, 0);
	EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, other));
}

/* Behaviour 8: more queues wait than there are engines, and work still gets done */
TEST_F(command, sem_wait_no_starving)
{
	struct gpu *gpu = &self->gpu;
	uint32_t n = 2 * gpu->info.num_engines + 1, i, queues[64];
	volatile uint64_t *sem = (uint64_t *)gpu_map_anon(GPU_PAGE);
	struct drm_fakegpu_cmd cmds[2];

	if (n > ARRAY_SIZE(queues))
		n = ARRAY_SIZE(queues);
	if (n > gpu->info.max_queues - 1)
		n = gpu->info.max_queues - 1;
	/* Each waits for the one after it; the last for us. */
	for (i = 0; i < n; i++) {
		queues[i] = gpu_queue(gpu);
		cmds[0] = fakegpu_sem_wait(sem + i, 1, 0);
		cmds[1] = i ? fakegpu_sem_signal(sem + i - 1, 1, 0) : fakegpu_nop();
		EXPECT_EQ(0, fakegpu_submit(gpu->fd, queues[i], cmds, 2, NULL));
	}
	for (i = 0; i < n; i++)
		EXPECT_EVENTUALLY(true, blocked(gpu, queues[i]));
	EXPECT_RUN(gpu, fakegpu_sem_signal(sem + n - 1, 1, 0));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, fakegpu_wait(gpu->fd, queues[i], 1, GPU_WAIT_NS));
		EXPECT_EQ(0, fakegpu_queue_destroy(gpu->fd, queues[i]));
	}
}

/* Behaviour 8: CPU and device hand a counter back and forth */
TEST_F(command, sem_ping_pong)
{
	struct gpu *gpu = &self->gpu;
	enum { ROUNDS = 50 };
	volatile uint64_t *sem = (uint64_t *)gpu_map_anon(GPU_PAGE), *data = sem + 8;
	struct drm_fakegpu_cmd cmds[3 * ROUNDS];
	uint64_t seqno = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		cmds[3 * i] = fakegpu_sem_wait(sem, 2 * i + 1, 0);
		cmds[3 * i + 1] = fakegpu_atomic(data, 8, DRM_FAKEGPU_ATOMIC_ADD, 1, 0, NULL);
		cmds[3 * i + 2] = fakegpu_sem_signal(sem, 1, DRM_FAKEGPU_SEM_ADD);
	}
	EXPECT_EQ(0, fakegpu_submit(gpu->fd, gpu->queue, cmds, 3 * ROUNDS, &seqno));
	for (i = 0; i < ROUNDS; i++) {
		EXPECT_EVENTUALLY(2UL * i, __atomic_load_n(sem, __ATOMIC_ACQUIRE));
		EXPECT_EQ(2UL * i, *data);
		(*data)++;
		__atomic_store_n(sem, 2 * i + 1, __ATOMIC_RELEASE);
	}
	EXPECT_EQ(0, fakegpu_wait(gpu->fd, gpu->queue, seqno, GPU_WAIT_NS));
	EXPECT_EQ(2UL * ROUNDS, *data);
}

/* Behaviour 8: TIMESTAMP is CLOCK_MONOTONIC, never runs back, and lies at any byte */
TEST_F(command, timestamp_monotonic)
{
	struct gpu *gpu = &self->gpu;
	uint8_t *p = gpu_map_anon(AREA_SIZE);
	struct drm_fakegpu_cmd cmds[32];
	uint64_t now[32], before, after;
	size_t i, n = ARRAY_SIZE(cmds);

	memset(p, 0x66, AREA_SIZE);
	/* 9 bytes apart; the 15th crosses a page. */
	for (i = 0; i < n; i++)
		cmds[i] = fakegpu_timestamp(p + GPU_PAGE - 130 + 9 * i);
	before = gpu_now();
	EXPECT_EQ(0, gpu_run(gpu, cmds, n))
		TH_LOG("%s", gpu_why());
	after = gpu_now();
	for (i = 0; i < n; i++) {
		memcpy(&now[i], p + GPU_PAGE - 130 + 9 * i, 8);
		EXPECT_LE(i ? now[i - 1] : before, now[i]);
		EXPECT_EQ(0x66, p[GPU_PAGE - 130 + 9 * i + 8]);
	}
	EXPECT_LE(now[n - 1], after);
	EXPECT_BYTES(p, GPU_PAGE - 130, 0x66);
}

/* Behaviour 5, 8: a long command resumes at each fault where it was: each byte done once */
TEST_F(command, resume_copy)
{
	struct gpu *gpu = &self->gpu;
	size_t size = 2 * GPU_SZ_2M;
	uint8_t *src = gpu_map_anon(size), *dst = gpu_map_anon(size);

	gpu_pattern(src, size, 1);
	/* Of 1000 bytes less on one side: the borders of windows come one by one. */
	EXPECT_FAULTS(gpu, 4, EXPECT_RUN(gpu, fakegpu_copy(dst + 1, src + 1001, size - 1001)));
	EXPECT_EQ(0, dst[0]);
	EXPECT_PATTERN_AT(dst + 1, size - 1001, 1, 1001);
	EXPECT_BYTES(dst + size - 1000, 1000, 0);
	EXPECT_DEVICE_PATTERN_AT(gpu, dst + 1, size - 1001, 1, 1001);
}

TEST_HARNESS_MAIN
