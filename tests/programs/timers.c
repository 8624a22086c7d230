/* Timers that are descriptors, in every way to arm one: see tests/preload_timers.rs. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static struct itimerspec in(long first_ms, long every_ms) {
    struct itimerspec spec = {{every_ms / 1000, every_ms % 1000 * 1000000}, {first_ms / 1000, first_ms % 1000 * 1000000}};
    return spec;
}

static struct itimerspec at(int clock, long after_ms) {
    struct itimerspec spec = in(0, 0);
    clock_gettime(clock, &spec.it_value);
    spec.it_value.tv_sec += after_ms / 1000;
    return spec;
}

int main(void) {
    int ep = epoll_create1(0);
    int tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), far = timerfd_create(CLOCK_REALTIME, 0);
    int boot = syscall(SYS_timerfd_create, CLOCK_BOOTTIME, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = tick}, ready;
    struct itimerspec spec, before;
    uint64_t n;

    epoll_ctl(ep, EPOLL_CTL_ADD, tick, &event);
    event.data.fd = far;
    epoll_ctl(ep, EPOLL_CTL_ADD, far, &event);
    event.data.fd = boot;
    epoll_ctl(ep, EPOLL_CTL_ADD, boot, &event);

    /* What was set before is written over what is asked for. */
    /* Long enough that no busy machine makes the waits below late for them. */
    spec = in(1000, 1000);
    assert(timerfd_settime(tick, 0, &spec, &spec) == 0 && spec.it_value.tv_nsec == 0);
    spec = at(CLOCK_REALTIME, 500000);
    assert(timerfd_settime(far, TFD_TIMER_ABSTIME, &spec, &before) == 0);
    spec = at(CLOCK_BOOTTIME, 600000);
    assert(syscall(SYS_timerfd_settime, boot, TFD_TIMER_ABSTIME, &spec, 0) == 0);
    /* A copy arms the same timer; its clock is known. */
    int copy = dup(far);
    spec = at(CLOCK_REALTIME, 700000);
    assert(timerfd_settime(copy, TFD_TIMER_ABSTIME, &spec, 0) == 0);
    /* In the past: at once. Not at all: it is no timer, and nowhere. */
    int past = timerfd_create(CLOCK_MONOTONIC, 0);
    spec = in(1, 0);
    assert(timerfd_settime(past, TFD_TIMER_ABSTIME, &spec, 0) == 0);
    errno = 0;
    assert(timerfd_settime(ep, 0, &spec, 0) == -1 && errno == EINVAL);
    errno = 0;
    assert(timerfd_settime(past, 0, 0, 0) == -1 && errno == EFAULT);

    for (int i = 0; i < 3; i++) {
        assert(epoll_wait(ep, &ready, 1, -1) == 1 && ready.data.fd == tick);
        assert(read(tick, &n, 8) == 8 && n >= 1);
    }
    spec = in(0, 0);
    assert(timerfd_settime(boot, 0, &spec, 0) == 0);
    /* A machine that is busy enough has the next tick in it. */
    epoll_wait(ep, &ready, 1, 20);
    printf("three ticks\n");
    return 0;
}
