/* et-not-drained in C: edge-triggered, one read an event. What is left over is told of by nobody.
   cc et_not_drained.c -o et-not-drained && loopscope run -- ./et-not-drained [fixed] */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pair[2], epfd = epoll_create1(EPOLL_CLOEXEC), left = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    char request[4000], buffer[1024];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 1;
    memset(request, 'x', sizeof request);
    epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &event);
    if (write(pair[1], request, sizeof request) != sizeof request)
        return 1;
    /* One event comes. After it the kernel is silent, whatever lies in the socket. */
    while (epoll_wait(epfd, &event, 1, 500) == 1) {
        ssize_t n;
        do
            n = read(pair[0], buffer, sizeof buffer); /* the trap: 1,024 of 4,000 */
        while (fixed && n > 0);
    }
    ioctl(pair[0], FIONREAD, &left);
    printf("%d bytes left in the socket, and no event for half a second\n", left);
    return left == (fixed ? 0 : 4000 - 1024) ? 0 : 1;
}
