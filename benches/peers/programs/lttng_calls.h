/* The tracepoints of lttng_calls.c: as much of each call as our own records hold. LTTng-UST includes this file several
 * times over, which is why its guard has a second condition. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER loopscope_peer

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./lttng_calls.h"

#if !defined(LOOPSCOPE_PEER_TRACEPOINTS) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define LOOPSCOPE_PEER_TRACEPOINTS

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(loopscope_peer, call,
    LTTNG_UST_TP_ARGS(uint8_t, which, int32_t, fd, int32_t, answer, uint32_t, asked, uint64_t, entered),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(uint8_t, which, which)
        lttng_ust_field_integer(int32_t, fd, fd)
        lttng_ust_field_integer(int32_t, answer, answer)
        lttng_ust_field_integer(uint32_t, asked, asked)
        lttng_ust_field_integer(uint64_t, entered, entered)))

LTTNG_UST_TRACEPOINT_EVENT(loopscope_peer, batch,
    LTTNG_UST_TP_ARGS(int32_t, fd, int32_t, answer, int32_t, timeout, uint64_t, entered, const uint8_t *, events, uint32_t, bytes),
    LTTNG_UST_TP_FIELDS(
        lttng_ust_field_integer(int32_t, fd, fd)
        lttng_ust_field_integer(int32_t, answer, answer)
        lttng_ust_field_integer(int32_t, timeout, timeout)
        lttng_ust_field_integer(uint64_t, entered, entered)
        lttng_ust_field_sequence(uint8_t, events, events, uint32_t, bytes)))

#endif

#include <lttng/tracepoint-event.h>
