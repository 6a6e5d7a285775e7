// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints' bodies. Who passes them is in fakegpu_interval.c,
 * fakegpu_service.c and fakegpu_fault.c.
 */

#include "fakegpu_fault.h"
#include "fakegpu_interval.h"

/* sparse doesn't see through the macros. */
#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#include "fakegpu_trace.h"
#endif
