/* A handler that computes in a function called by a function: main, loop, handler, compute, inner. How, its argument says: c at once,
 * a on an aligned stack, s in a signal's handler. With -DAWAY the handler is a library's. */
#include <sys/epoll.h>
#include <sys/socket.h>
#ifdef AWAY
#include <stdio.h>
#include <unistd.h>
unsigned handler(int fd, char how);
#else
#include "nested_handler.c"
#endif

__attribute__((noinline, noclone)) static unsigned loop(int epoll, int pairs[4][2], char how) {
    unsigned sum = 0;
    for (int round = 0; round < 8; round++) {
        struct epoll_event events[8];
        char answer[16];
        for (int i = 0; i < 4; i++) sum += write(pairs[i][1], "x", 1);
        int ready = epoll_wait(epoll, events, 8, 1000);
        for (int i = 0; i < ready; i++) {
            unsigned which = events[i].data.u32;
            sum += handler(pairs[which][0], which == 0 ? how : 0);
        }
        for (int i = 0; i < 4; i++) sum += read(pairs[i][1], answer, sizeof answer);
    }
    return sum;
}

int main(int count, char **arguments) {
    int epoll = epoll_create1(0), pairs[4][2];
    for (unsigned i = 0; i < 4; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    printf("%d\n", loop(epoll, pairs, count > 1 ? arguments[1][0] : 'c') != 0);
    return 0;
}
