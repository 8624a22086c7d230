/* A daemon: its parent is gone before it makes its first call. It reads twenty bytes from a pipe, on a loop. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int gone[2], bytes[2];
    if (pipe(gone) || pipe(bytes))
        return 2;
    if (fork())
        _exit(0);
    /* Until its parent has ended, nobody has the other end. */
    char c;
    close(gone[1]);
    while (read(gone[0], &c, 1) > 0)
        ;
    int epoll = epoll_create1(0);
    struct epoll_event event = { EPOLLIN, { .fd = bytes[0] } };
    epoll_ctl(epoll, EPOLL_CTL_ADD, bytes[0], &event);
    for (int i = 0; i < 20; i++) {
        if (write(bytes[1], "d", 1) != 1 || epoll_wait(epoll, &event, 1, 50) != 1 || read(bytes[0], &c, 1) != 1)
            return 3;
        usleep(5000);
    }
    return 0;
}
