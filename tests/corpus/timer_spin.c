// code: timer-spin
// bug: arvidn/libtorrent#757: microseconds divided by 1000 are 0 for the last millisecond
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int ep = epoll_create1(EPOLL_CLOEXEC);
    long long start = now_us(), due = start + 20500;
    while (now_us() - start < 3500000) {
        long long left = due - now_us();
        struct epoll_event e;
        if (left <= 0) {
            due += 20500;
            continue;
        }
        epoll_wait(ep, &e, 1, fixed ? (left + 999) / 1000 : left / 1000);
    }
    return 0;
}
