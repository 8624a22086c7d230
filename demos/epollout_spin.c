/* epollout-spin in C: asking for EPOLLOUT all the time, the loop never sleeps.
   cc epollout_spin.c -o epollout-spin && loopscope run -- ./epollout-spin [fixed] */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER 2000000

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pair[2], epfd = epoll_create1(EPOLL_CLOEXEC), idle = 0;
    long unsent = 0, got = 0;
    /* The trap: an idle socket has room to write. That is a state, and level-triggered it is told of again and again. */
    struct epoll_event event = {.events = EPOLLIN | (fixed ? 0 : EPOLLOUT)}, armed = event;
    static char bytes[65536];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return 1;
    epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &event);
    for (int turn = 0; turn < 1000 && got < ANSWER; turn++) {
        if (turn == 200 && write(pair[1], "?", 1) != 1) /* the client asks */
            return 1;
        if (turn > 200)
            for (ssize_t n; (n = read(pair[1], bytes, sizeof bytes)) > 0;)
                got += n;
        if (epoll_wait(epfd, &event, 1, 1) != 1)
            continue;
        if (event.events & EPOLLIN && read(pair[0], bytes, 1) == 1)
            unsent = ANSWER;
        else if (unsent == 0)
            idle++; /* woken for nothing: there is room, and nothing to put there */
        while (unsent > 0) {
            ssize_t n = write(pair[0], bytes, unsent < (long)sizeof bytes ? unsent : (long)sizeof bytes);
            if (n < 0 && errno == EAGAIN)
                break;
            unsent -= n;
        }
        /* The repair: ask for room while something is unsent, and no longer. */
        unsigned wanted = EPOLLIN | (unsent > 0 ? EPOLLOUT : 0);
        if (fixed && wanted != armed.events) {
            armed.events = wanted;
            epoll_ctl(epfd, EPOLL_CTL_MOD, pair[0], &armed);
        }
    }
    printf("woken %d times for nothing; %ld bytes answered\n", idle, got);
    return got == ANSWER && (fixed ? idle == 0 : idle >= 200) ? 0 : 1;
}
