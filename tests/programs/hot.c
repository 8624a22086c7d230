/* Four sockets in one loop: the handler of the first computes, those of the others wait for it. */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* Twenty milliseconds of work of its own. */
__attribute__((noinline)) static unsigned parse_rows(void) {
    unsigned x = 1;
    long until = now_ns() + 20000000;
    while (now_ns() < until) {
        for (int i = 0; i < 20000; i++) x = x * 1664525u + 1013904223u;
    }
    return x;
}

__attribute__((noinline)) static unsigned serve(int fd, int slow) {
    char bytes[16];
    unsigned sum = read(fd, bytes, sizeof bytes) > 0;
    if (slow) sum += parse_rows();
    return sum + (write(fd, bytes, 1) > 0);
}

int main(void) {
    int epoll = epoll_create1(0), pairs[4][2];
    unsigned sum = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    for (int round = 0; round < 25; round++) {
        struct epoll_event events[8];
        char answer[16];
        for (int i = 0; i < 4; i++) sum += write(pairs[i][1], "x", 1);
        int ready = epoll_wait(epoll, events, 8, 1000);
        for (int i = 0; i < ready; i++) {
            unsigned which = events[i].data.u32;
            sum += serve(pairs[which][0], which == 0);
        }
        for (int i = 0; i < 4; i++) sum += read(pairs[i][1], answer, sizeof answer);
    }
    printf("%d\n", sum != 0);
    return 0;
}
