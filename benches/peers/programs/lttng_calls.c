/* What one would preload to have LTTng-UST record an event loop: each call becomes one tracepoint, stamped at its entry by
 * us and at its return by LTTng. Built by run.py into a library; compared with our own, which records the same calls. */
#define _GNU_SOURCE
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ, WRITE, WRITEV, RECV, SENDFILE, ACCEPT, CLOSE, CTL };

/* LTTng's own library makes such calls, in its threads and inside a tracepoint: those are not the program's. */
static __thread int inside __attribute__((tls_model("initial-exec")));

static inline uint64_t stamp(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
#endif
}

/* The libc's function, looked up at the first call. */
#define NEXT(name)                                                           \
    static __typeof__(&name) next;                                           \
    if (__builtin_expect(!next, 0)) next = (__typeof__(next))dlsym(RTLD_NEXT, #name)

#define TRACED(name, which, type, parameters, arguments, fd, asked)          \
    type name parameters {                                                   \
        NEXT(name);                                                          \
        if (inside) return next arguments;                                   \
        uint64_t entered = stamp();                                          \
        type answer = next arguments;                                        \
        int error = errno;                                                   \
        inside = 1;                                                          \
        lttng_ust_tracepoint(loopscope_peer, call, which, fd, answer < 0 ? -error : (int)answer, asked, entered); \
        inside = 0;                                                          \
        errno = error;                                                       \
        return answer;                                                       \
    }

TRACED(read, READ, ssize_t, (int fd, void *to, size_t n), (fd, to, n), fd, n)
TRACED(write, WRITE, ssize_t, (int fd, const void *from, size_t n), (fd, from, n), fd, n)
TRACED(writev, WRITEV, ssize_t, (int fd, const struct iovec *from, int n), (fd, from, n), fd, n)
TRACED(recv, RECV, ssize_t, (int fd, void *to, size_t n, int flags), (fd, to, n, flags), fd, n)
TRACED(sendfile, SENDFILE, ssize_t, (int to, int from, off_t *at, size_t n), (to, from, at, n), to, n)
TRACED(accept4, ACCEPT, int, (int fd, struct sockaddr *peer, socklen_t *n, int flags), (fd, peer, n, flags), fd, flags)
TRACED(close, CLOSE, int, (int fd), (fd), fd, 0)
TRACED(epoll_ctl, CTL, int, (int ep, int op, int fd, struct epoll_event *wish), (ep, op, fd, wish), fd, op)

/* nginx is built with 64-bit offsets and calls it by this name. */
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
    return sendfile(to, from, (off_t *)at, n);
}

int epoll_wait(int ep, struct epoll_event *events, int room, int timeout) {
    NEXT(epoll_wait);
    if (inside) return next(ep, events, room, timeout);
    uint64_t entered = stamp();
    int answer = next(ep, events, room, timeout), error = errno;
    inside = 1;
    lttng_ust_tracepoint(loopscope_peer, batch, ep, answer < 0 ? -error : answer, timeout, entered,
                         (const uint8_t *)events, answer > 0 ? answer * sizeof *events : 0);
    inside = 0;
    errno = error;
    return answer;
}
