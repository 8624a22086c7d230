/* ghost-events in C: the number is closed, a copy lives, and epoll goes on to report the connection.
   cc ghost_events.c -o ghost-events && loopscope run -- ./ghost-events [fixed] */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pair[2], copy, epfd = epoll_create1(EPOLL_CLOEXEC), ghosts = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 7};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 1;
    epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &event);
    copy = dup(pair[0]); /* for a thread, a child, a library */
    if (fixed)
        epoll_ctl(epfd, EPOLL_CTL_DEL, pair[0], NULL);
    close(pair[0]); /* the trap: closes a number; the connection, which is what is watched, has another one */
    if (write(pair[1], "x", 1) != 1)
        return 1;
    for (int turn = 0; turn < 100; turn++)
        if (epoll_wait(epfd, &event, 1, 5) == 1)
            ghosts++; /* data 7: a client this program has forgotten */
    printf("%d events for a descriptor that is closed\n", ghosts);
    /* Too late: there is no number to name it by. */
    if (epoll_ctl(epfd, EPOLL_CTL_DEL, pair[0], NULL) != -1 || errno != EBADF)
        return 1;
    close(copy); /* the last number: now the kernel forgets it */
    if (epoll_wait(epfd, &event, 1, 50) != 0)
        return 1;
    return ghosts == (fixed ? 0 : 100) ? 0 : 1;
}
