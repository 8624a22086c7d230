/* Bad pointers and errno: the kernel answers EFAULT, and nobody may crash instead. */
#include "probe.h"
#include "calls.h"
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <spawn.h>
#include <netinet/in.h>

#define SAY(x) do { errno = 0xdead; long _v = (long)(x); printf("%-60s %ld %d\n", #x, _v, errno); fflush(stdout); } while (0)

int main(void) {
    printf("%d\n", every_call());
    /* Memory that cannot be read, and memory that can only be read. */
    char *none = mmap(0, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *only = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *odd = (void *)0x4141414141414141;
    int ep = epoll_create1(0), fds[2], sv[2], tfd = timerfd_create(CLOCK_MONOTONIC, 0);
    pipe(fds);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, sv);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event);
    write(fds[1], "abc", 3);
    send(sv[0], "abc", 3, 0);
    /* What takes no event looks at none. */
    SAY(epoll_ctl(ep, EPOLL_CTL_DEL, 9999, (void *)none));
    SAY(epoll_ctl(ep, EPOLL_CTL_DEL, sv[0], (void *)none));
    SAY(epoll_ctl(ep, 77, sv[0], odd));
    SAY(epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], (void *)8));
    SAY(epoll_ctl(ep, EPOLL_CTL_ADD, sv[0], odd));
    SAY(epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], 0));
    SAY(epoll_wait(ep, (void *)none, 4, 0));
    SAY(epoll_wait(ep, (void *)only, 4, 0));
    SAY(epoll_wait(ep, odd, 4, 0));
    SAY(epoll_wait(ep, 0, 4, 0));
    SAY(epoll_wait(ep, &event, -1, 0));
    SAY(epoll_wait(ep, &event, 0x7fffffff, 0));
    SAY(epoll_pwait2(ep, &event, 1, odd, 0));
    SAY(poll((void *)none, 1, 0));
    SAY(poll((void *)only, 1, 0));
    SAY(poll(odd, 1, 0));
    SAY(poll(0, 0, 0));
    SAY(poll(0, 1ul << 40, 0));
    SAY(select(1, (void *)none, 0, 0, 0));
    SAY(select(-1, 0, 0, 0, 0));
    SAY(pselect(1, 0, odd, 0, 0, 0));
    SAY(read(fds[0], none, 1));
    SAY(read(fds[0], only, 1));
    SAY(write(fds[1], none, 1));
    SAY(readv(fds[0], (void *)none, 1));
    SAY(writev(fds[1], (void *)none, 1));
    SAY(readv(fds[0], 0, 0));
    struct iovec bad = {none, 4};
    SAY(readv(fds[0], &bad, 1));
    SAY(writev(fds[1], &bad, 1));
    SAY(recvmsg(sv[1], (void *)none, 0));
    SAY(sendmsg(sv[0], (void *)none, 0));
    SAY(recvmmsg(sv[1], (void *)none, 1, 0, 0));
    SAY(sendmmsg(sv[0], (void *)none, 1, 0));
    struct msghdr m = {.msg_iov = (void *)none, .msg_iovlen = 1};
    SAY(recvmsg(sv[1], &m, MSG_DONTWAIT));
    SAY(sendmsg(sv[0], &m, 0));
    struct iovec good = {&event, 1};
    m = (struct msghdr){.msg_iov = &good, .msg_iovlen = 1, .msg_control = none, .msg_controllen = 64};
    SAY(sendmsg(sv[0], &m, 0));
    SAY(recvmsg(sv[1], &m, MSG_DONTWAIT));
    SAY(recvfrom(sv[1], only, 1, MSG_DONTWAIT, (void *)none, (void *)8));
    SAY(sendto(sv[0], none, 1, 0, 0, 0));
    SAY(sendto(sv[0], "x", 1, 0, (void *)none, 16));
    int in = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in to = {.sin_family = AF_INET};
    SAY(bind(in, (void *)none, 16));
    SAY(bind(in, (void *)&to, 4));
    SAY(bind(in, (void *)&to, -1));
    SAY(connect(in, (void *)none, 16));
    SAY(connect(in, odd, 16));
    SAY(bind(in, (void *)&to, sizeof to));
    SAY(listen(in, 5));
    SAY(getsockname(in, (void *)none, (void *)8));
    SAY(getsockname(in, 0, 0));
    SAY(getpeername(in, 0, 0));
    SAY(accept(in, (void *)none, (void *)8));
    SAY(accept4(in, 0, 0, 0x7777));
    SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)none));
    SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)only));
    SAY(pipe((void *)none));
    SAY(pipe2((void *)only, 0));
    SAY(pipe2(fds, 0x77777777));
    SAY(socket(-1, -1, -1));
    SAY(eventfd(0, -1));
    SAY(eventfd_read(-1, (void *)none));
    SAY(eventfd_write(-1, 1));
    SAY(eventfd_write(eventfd(0, 0), UINT64_MAX));
    SAY(timerfd_create(77, 0));
    SAY(timerfd_settime(tfd, 0, (void *)8, 0));
    SAY(timerfd_settime(-1, 0, 0, 0));
    SAY(signalfd(-1, (void *)none, 0));
    SAY(signalfd(77, 0, 0));
    SAY(dup(-1));
    SAY(dup2(77, 78));
    SAY(dup2(0, -1));
    SAY(dup2(0, 1 << 30));
    SAY(dup3(0, 0, 0));
    SAY(dup3(0, 9, 0x77));
    SAY(fcntl(0, F_DUPFD, -1));
    SAY(fcntl(0, F_DUPFD, 1 << 30));
    SAY(fcntl(77, F_GETFL));
    SAY(close(1 << 30));
    SAY(close_range(5, 4, 0));
    SAY(close_range(1000, ~0u, 0x77));
    SAY(syscall(SYS_close_range, 5, 4, 0));
    SAY(open((void *)none, 0));
    SAY(openat(77, "x", 0));
    SAY(openat(-5, odd, 0));
    SAY(creat("", 0));
    SAY(memfd_create((void *)none, 0));
    SAY(memfd_create("x", 0x7777));
    SAY(sendfile(fds[1], 77, 0, 1));
    SAY(sendfile(fds[1], 0, (void *)none, 1));
    SAY(splice(fds[0], (void *)none, fds[1], 0, 1, 0));
    SAY(nanosleep((void *)none, 0));
    SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, (void *)none, 0));
    SAY(clock_nanosleep(77, 0, 0, 0));
    SAY(fsync(fds[0]));
    SAY(waitpid(-1, (void *)none, 0));
    SAY(waitpid(1 << 21, 0, 0));
    SAY(execve((void *)none, 0, 0));
    SAY(execve("/nowhere", odd, 0));
    SAY(execve("/nowhere", 0, 0));
    SAY(execv("/nowhere", 0));
    SAY(execvp("", (char *[]){"x", 0}));
    SAY(fexecve(77, (char *[]){"x", 0}, environ));
    SAY(fexecve(-1, 0, 0));
    pid_t pid = 77;
    SAY(posix_spawn(&pid, "/nowhere", 0, 0, (char *[]){"x", 0}, environ));
    SAY(posix_spawnp(&pid, "nowhere-at-all", 0, 0, (char *[]){"x", 0}, environ));
    printf("%d\n", pid);
    SAY(fopen("", "r"));
    SAY(fopen("/dev/null", "?"));
    SAY(opendir(""));
    SAY(freopen("/nowhere", "r", stdin));
    SAY(popen("true", "?"));
    SAY(system(0));
    SAY(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, 9999, none));
    SAY(syscall(SYS_epoll_wait, ep, none, 4, 0));
    SAY(syscall(SYS_accept4, in, none, 8, 0));
    SAY(syscall(SYS_pipe2, none, 0));
    SAY(syscall(-1));
    SAY(lockf(77, F_LOCK, 1));
    SAY(sleep(0));
    show("end");
    return 4;
}
