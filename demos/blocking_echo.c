/* blocking-echo in C: a handler that stays with its client, in blocking reads, until she has gone.
   cc blocking_echo.c -o blocking-echo && loopscope run -- ./blocking-echo [fixed] */
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A client: four lines, each after the echo of the one before. */
static int talk(int fd, int pause_ms)
{
    char line[8];
    for (int i = 0; i < 4; i++) {
        usleep(1000 * pause_ms);
        if (write(fd, "hello\n", 6) != 6 || read(fd, line, 6) != 6)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int pairs[2][2], epfd = epoll_create1(EPOLL_CLOEXEC), open = 2, gone = 0, bob_after_ann = 0;
    struct epoll_event event = {.events = EPOLLIN};
    char line[64];

    for (int i = 0; i < 2; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        if (fork() == 0) { /* ann thinks for 80 ms before each line, bob for 5 after he has let her begin */
            /* Copies in a child keep a closed connection on the parent's list: see ghost-events. */
            close(pairs[!i][1]), close(pairs[0][0]), close(pairs[1][0]);
            usleep(i == 0 ? 0 : 100000);
            return talk(pairs[i][1], i == 0 ? 80 : 5);
        }
    for (int i = 0; i < 2; i++) {
        close(pairs[i][1]);
        event.data.u32 = i;
        epoll_ctl(epfd, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    while (open > 0) {
        if (epoll_wait(epfd, &event, 1, -1) != 1)
            return 1;
        int who = event.data.u32;
        ssize_t n;
        do {
            /* The trap: the second of these reads sleeps until this client speaks again. */
            n = read(pairs[who][0], line, sizeof line);
            if (n > 0 && write(pairs[who][0], line, n) != n)
                return 1;
            if (who == 1 && n > 0)
                bob_after_ann += gone;
        } while (n > 0 && !fixed); /* the repair: one event, one read, back to the wait */
        if (n <= 0) {
            gone |= who == 0;
            close(pairs[who][0]), open--;
        }
    }
    while (wait(NULL) > 0)
        ;
    printf("%d of bob's 4 lines were served after ann had gone\n", bob_after_ann);
    return bob_after_ann == (fixed ? 0 : 4) ? 0 : 1;
}
