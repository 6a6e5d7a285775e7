/* SPDX-License-Identifier: GPL-2.0 */
/* The C library's <errno.h> comes here as well. */
#include_next <linux/errno.h>
