/* Everything closed, and put over, in every way. */
#include "probe.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void some(void) {
    for (int i = 0; i < 20; i++)
        eventfd(0, i & 1 ? EFD_CLOEXEC : 0);
}

static void works(const char *after) {
    int ep = epoll_create1(0), fd = eventfd(1, 0);
    struct epoll_event event = {.events = EPOLLIN}, ready;
    int ok = epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &ready, 1, 0) == 1;
    printf("after %s: ep %d fd %d %s\n", after, ep, fd, ok ? "ok" : "broken");
    show(after);
    close(ep);
    close(fd);
}

int main(void) {
    int from = open("/dev/null", O_RDWR);
    some();
    show("start");
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    works("close_range cloexec");
    assert(close_range(3, ~0u, 0) == 0);
    works("close_range");
    some();
    closefrom(3);
    works("closefrom");
    some();
    for (int fd = 3; fd < 4096; fd++)
        close(fd);
    works("close one by one");
    from = open("/dev/null", O_RDWR);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 3; fd < 1024; fd++)
        assert(fd == from || dup2(from, fd) == fd);
    struct epoll_event ready;
    printf("full: epoll_wait %d", epoll_wait(900, &ready, 1, 0));
    printf(" errno %d\n", errno);
    for (int fd = 3; fd < 1024; fd++)
        assert(close(fd) == 0);
    works("dup2 over everything");
    some();
    assert(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE) == 0);
    works("syscall close_range unshare");
    /* Every number used up. */
    limit.rlim_cur = 32;
    setrlimit(RLIMIT_NOFILE, &limit);
    while (dup(0) >= 0)
        ;
    printf("dup: %s\n", strerror(errno));
    show("no number left");
    pid_t child = fork();
    if (child == 0) {
        show("child");
        _exit(5);
    }
    show_end("child", child);
    for (int which = 0; which < 4; which++) {
        limit.rlim_cur = which;
        setrlimit(RLIMIT_NOFILE, &limit);
        errno = 0;
        int made = dup(0);
        printf("limit %d: dup %d %s\n", which, made, strerror(errno));
        child = fork();
        if (child == 0) {
            errno = 0;
            made = eventfd(0, 0);
            printf("child's eventfd %d %s\n", made, strerror(errno));
            fflush(stdout);
            _exit(6);
        }
        show_end("child", child);
    }
    /* Without standard streams. */
    FILE *log = fdopen(31, "w");
    (void)log;
    dup2(1, 31);
    limit.rlim_cur = 32;
    setrlimit(RLIMIT_NOFILE, &limit);
    close_range(0, 30, 0);
    int ep = epoll_create1(0), fd = eventfd(1, 0);
    struct epoll_event event = {.events = EPOLLIN};
    int ok = epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &ready, 1, 0) == 1;
    dprintf(31, "at the bottom: ep %d fd %d %d\n", ep, fd, ok);
    return 0;
}
