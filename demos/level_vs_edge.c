/* level-vs-edge in C: 1,024 bytes arrive, the handler reads 256 of them. How often does epoll_wait tell of them?
   cc level_vs_edge.c -o level-vs-edge && loopscope run -- ./level-vs-edge [fixed] */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int edge = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pair[2], epfd = epoll_create1(EPOLL_CLOEXEC), wakeups = 0;
    struct epoll_event event = {.events = EPOLLIN | (edge ? EPOLLET : 0)};
    char message[1024], buffer[256];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 1;
    memset(message, 'x', sizeof message);
    epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &event);
    for (int sent = 0; sent < 50; sent++) {
        if (write(pair[1], message, sizeof message) != sizeof message)
            return 1;
        /* 10 ms without an event: the kernel has nothing more to tell. */
        while (epoll_wait(epfd, &event, 1, 10) == 1) {
            wakeups++;
            /* Level-triggered one read is enough: what is left is a state, and is told of again.
               Edge-triggered it is not: the change has been told, so read until EAGAIN. */
            ssize_t n;
            do
                n = read(pair[0], buffer, sizeof buffer);
            while (edge && n > 0);
            if (n < 0 && errno != EAGAIN)
                return 1;
        }
    }
    printf("%d wakeups for 50 messages\n", wakeups);
    return wakeups == (edge ? 50 : 200) ? 0 : 1;
}
