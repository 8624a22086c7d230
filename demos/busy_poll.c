/* busy-poll in C: two connections, and a thread that asks about them without ever waiting.
   cc busy_poll.c -o busy-poll && loopscope run -- ./busy-poll [fixed] */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pairs[2][2], epfd = epoll_create1(EPOLL_CLOEXEC), looks = 0, found = 0, open = 2;
    struct epoll_event event = {.events = EPOLLIN};
    char message[64];

    for (int i = 0; i < 2; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i]) != 0)
            return 1;
    if (fork() == 0) { /* the senders: ten messages each, 10 ms apart */
        for (int n = 0; n < 20; n++, usleep(10000))
            if (write(pairs[n % 2][1], "message", 7) != 7)
                return 1;
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        close(pairs[i][1]); /* the senders' ends are theirs alone */
        event.data.fd = pairs[i][0];
        epoll_ctl(epfd, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    while (open > 0) {
        looks++;
        /* The trap: time-out 0 is a question, not a wait. The answer is nearly always "nothing". */
        if (epoll_wait(epfd, &event, 1, fixed ? -1 : 0) != 1) {
            for (volatile int nothing = 0; nothing < 100000; nothing++)
                ;
            continue;
        }
        ssize_t n = read(event.data.fd, message, sizeof message);
        found += n > 0;
        if (n == 0 && open-- > 0)
            close(event.data.fd);
    }
    wait(NULL);
    printf("%d looks for %d messages\n", looks, found);
    return found > 0 && (fixed ? looks <= 22 : looks > 40) ? 0 : 1;
}
