/* A handler that never comes back: two pipes are ready in one batch, the first one's handler sleeps until the program is
   killed, 600 ms later. The second is never served. See tests/run_why.rs.

   never [leaves]   with leaves, it leaves its loop there, takes 300 ms to tidy up, and exits. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

int main(int count, char **words) {
    (void)words;
    int first[2], second[2];
    if (pipe(first) || pipe(second))
        return 1;
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = first[0]}, told[2];
    epoll_ctl(epoll, EPOLL_CTL_ADD, first[0], &event);
    event.data.fd = second[0];
    epoll_ctl(epoll, EPOLL_CTL_ADD, second[0], &event);
    struct itimerval soon = {.it_value = {.tv_usec = 600000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    /* One round goes well. */
    for (int round = 0; round < 2; round++) {
        if (write(first[1], "x", 1) != 1 || write(second[1], "x", 1) != 1)
            return 1;
        int n = epoll_wait(epoll, told, 2, -1);
        for (int i = 0; i < n; i++) {
            char c;
            if (read(told[i].data.fd, &c, 1) != 1)
                return 1;
            if (round == 1 && count > 1) {
                usleep(300000);
                return 0;
            }
            if (round == 1)
                for (;;)
                    pause();
        }
    }
    return 0;
}
