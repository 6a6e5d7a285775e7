/* SPDX-License-Identifier: GPL-2.0 */
/* The C library's headers come here as well, for __u64 and the like. */
#include_next <linux/types.h>
#include "../shim.h"
