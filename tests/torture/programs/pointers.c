/* Every call that takes an address, with addresses where nothing is, in a child each: what the kernel refuses it refuses
   with a recorder too, what libc reads by itself ends the child either way. On the first stack, a thread's, a coroutine's. */
#include "probe.h"
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>

/* One call in one child. */
#define TRY(call) do { \
    pid_t child_ = fork(); \
    if (!child_) { \
        alarm(2); \
        errno = 0xdead; \
        long answer_ = (long)(call); \
        dprintf(1, "%s %s: %ld %d\n", kind, #call, answer_, errno); \
        _exit(0); \
    } \
    int status_ = 0; \
    waitpid(child_, &status_, 0); \
    if (status_) \
        dprintf(1, "%s %s: status %x\n", kind, #call, status_ & 0xff7f); \
} while (0)

static int ep, ends[2], pair[2], listener, caller, in, tfd, file;
static struct epoll_event some[4];
static char text[64];
static char *argv0[] = {"x", 0};

static struct sockaddr_in to;

/* Somebody to accept; who has called before may still be there. */
static void dial(void) {
    connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to);
}

/* `p` can be read nowhere. */
static void every(const char *kind, void *p) {
    struct timespec none = {0, 1};
    struct timeval none_val = {0, 1};
    struct pollfd polled = {ends[0], POLLIN};
    socklen_t room = sizeof(struct sockaddr_in);
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct iovec good = {text, 4}, bad = {p, 4};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    sigset_t signals;
    sigemptyset(&signals);

    TRY(epoll_ctl(ep, EPOLL_CTL_ADD, in, p));
    TRY(epoll_ctl(ep, EPOLL_CTL_MOD, ends[0], p));
    TRY(epoll_ctl(ep, EPOLL_CTL_DEL, pair[1], p));
    TRY(epoll_ctl(ep, 77, ends[0], p));
    TRY(epoll_ctl(99, EPOLL_CTL_ADD, ends[0], p));
    TRY(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_MOD, ends[0], p));
    TRY(epoll_wait(ep, p, 4, 0));
    TRY(epoll_pwait(ep, p, 4, 0, 0));
    TRY(epoll_pwait(ep, some, 4, 0, p));
    TRY(epoll_pwait2(ep, some, 4, p, 0));
    TRY(epoll_pwait2(ep, some, 4, &none, p));
    TRY(syscall(SYS_epoll_pwait2, ep, some, 4, p, 0, 8));
    TRY(poll(p, 1, 0));
    TRY(ppoll(p, 1, &none, 0));
    TRY(ppoll(&polled, 1, p, 0));
    TRY(ppoll(&polled, 1, &none, p));
    TRY(syscall(SYS_ppoll, &polled, 1, p, 0, 8));
    TRY(select(ends[0] + 1, p, 0, 0, &none_val));
    TRY(select(ends[0] + 1, 0, 0, p, &none_val));
    TRY(select(ends[0] + 1, &set, 0, 0, p));
    TRY(pselect(ends[0] + 1, 0, p, 0, &none, 0));
    TRY(pselect(ends[0] + 1, &set, 0, 0, p, 0));
    TRY(pselect(ends[0] + 1, &set, 0, 0, &none, p));
    TRY(syscall(SYS_pselect6, ends[0] + 1, &set, 0, 0, p, 0));
    TRY(syscall(SYS_pselect6, ends[0] + 1, &set, p, 0, &none, p));
    TRY(read(ends[0], p, 4));
    TRY(write(ends[1], p, 4));
    TRY(eventfd_read(eventfd(1, 0), p));
    TRY(eventfd_read(eventfd(0, EFD_NONBLOCK), p));
    TRY(readv(ends[0], p, 1));
    TRY(readv(ends[0], &bad, 1));
    TRY(writev(ends[1], p, 1));
    TRY(writev(ends[1], &bad, 1));
    TRY(pread(file, p, 4, 0));
    TRY(pwrite(file, p, 4, 0));
    TRY(preadv(file, p, 1, 0));
    TRY(pwritev(file, p, 1, 0));
    TRY(preadv2(file, p, 1, 0, 0));
    TRY(pwritev2(file, p, 1, 0, 0));
    TRY(recv(pair[1], p, 4, MSG_PEEK));
    TRY(recvfrom(pair[1], p, 4, 0, 0, 0));
    TRY(recvfrom(pair[1], text, 4, 0, p, &room));
    TRY(recvfrom(pair[1], text, 4, 0, (void *)&address, p));
    TRY(recvmsg(pair[1], p, 0));
    struct msghdr iov = {.msg_iov = p, .msg_iovlen = 1};
    struct msghdr name = {.msg_name = p, .msg_namelen = 16, .msg_iov = &good, .msg_iovlen = 1};
    struct msghdr control = {.msg_control = p, .msg_controllen = 64, .msg_iov = &good, .msg_iovlen = 1};
    struct mmsghdr two[2] = {{control}, {iov}};
    TRY(recvmsg(pair[1], &iov, MSG_DONTWAIT));
    TRY(recvmsg(pair[1], &name, MSG_DONTWAIT));
    TRY(recvmsg(pair[1], &control, MSG_DONTWAIT));
    TRY(recvmmsg(pair[1], p, 2, MSG_DONTWAIT, 0));
    TRY(recvmmsg(pair[1], two, 2, MSG_DONTWAIT, 0));
    TRY(recvmmsg(pair[1], two, 1, MSG_DONTWAIT, p));
    TRY(send(pair[0], p, 4, 0));
    TRY(sendto(pair[0], p, 4, 0, 0, 0));
    TRY(sendto(in, text, 4, 0, p, 16));
    TRY(sendmsg(pair[0], p, 0));
    TRY(sendmsg(pair[0], &iov, 0));
    TRY(sendmsg(pair[0], &name, 0));
    TRY(sendmsg(pair[0], &control, 0));
    TRY(sendmmsg(pair[0], p, 2, 0));
    TRY(sendmmsg(pair[0], two, 2, 0));
    TRY(sendfile(ends[1], file, p, 4));
    TRY(splice(ends[0], 0, file, p, 4, 0));
    TRY(copy_file_range(file, p, file, 0, 4, 0));
    TRY((dial(), accept(listener, p, &room)));
    TRY((dial(), accept(listener, (void *)&address, p)));
    TRY((dial(), accept4(listener, p, p, SOCK_NONBLOCK)));
    TRY((dial(), accept4(listener, 0, p, SOCK_NONBLOCK)));
    TRY((dial(), syscall(SYS_accept4, listener, &address, p, 0)));
    TRY(connect(in, p, 16));
    TRY(connect(in, p, 200));
    TRY(bind(in, p, 16));
    TRY(getsockname(listener, p, &room));
    TRY(getsockname(listener, (void *)&address, p));
    TRY(getpeername(caller, p, &room));
    TRY(getpeername(caller, p, p));
    TRY(getsockopt(listener, SOL_SOCKET, SO_ERROR, p, &room));
    TRY(getsockopt(listener, SOL_SOCKET, SO_ERROR, text, p));
    TRY(open(p, O_RDONLY));
    TRY(openat(AT_FDCWD, p, O_RDONLY));
    TRY(creat(p, 0600));
    TRY(memfd_create(p, 0));
    TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    TRY(pipe(p));
    TRY(pipe2(p, 0));
    struct itimerspec soon = {{0}, {100}};
    TRY(timerfd_settime(tfd, 0, p, 0));
    TRY(timerfd_settime(tfd, 0, p, p));
    TRY(timerfd_settime(tfd, 0, &soon, p));
    TRY(syscall(SYS_timerfd_settime, tfd, TFD_TIMER_ABSTIME, p, 0));
    TRY(signalfd(-1, p, 0));
    TRY(nanosleep(p, 0));
    TRY(nanosleep(&none, p));
    TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, p, 0));
    TRY(syscall(SYS_nanosleep, p, 0));
    TRY(waitpid(-1, p, WNOHANG));
    TRY(wait4(-1, 0, WNOHANG, p));
    TRY(waitid(P_ALL, 0, p, WEXITED | WNOHANG));
    TRY(semop(0, p, 1));
    TRY(semtimedop(0, (void *)text, 1, p));
    TRY(sigtimedwait(&signals, p, &none));
    if (p)
        TRY(sigtimedwait(&signals, 0, p));
    TRY(execve(p, argv0, environ));
    TRY(execve("/bin/true", p, environ));
    TRY(execve("/bin/true", argv0, p));
    char *half[] = {"A=1", p, 0};
    TRY(execve("/bin/true", argv0, half));
    TRY(execve("/bin/true", half, environ));
    TRY(execveat(AT_FDCWD, p, argv0, environ, 0));
    TRY(execveat(AT_FDCWD, "/bin/true", argv0, half, 0));
    TRY(execvpe("true", argv0, p));
    TRY(execvpe("true", argv0, half));
    TRY(fexecve(file, argv0, half));
    TRY(execvp(p, argv0));
    TRY((environ = half, execv("/bin/true", argv0)));
    TRY((environ = p, execv("/bin/true", argv0)));
    TRY((environ = half, execl("/bin/true", "x", (char *)0)));
    pid_t child = 0;
    TRY(posix_spawn(&child, p, 0, 0, argv0, environ));
    TRY(posix_spawn(&child, "/bin/true", 0, 0, p, environ));
    TRY(posix_spawn(&child, "/bin/true", 0, 0, argv0, p));
    TRY(posix_spawn(&child, "/bin/true", 0, 0, argv0, half));
    TRY(posix_spawnp(&child, "true", 0, 0, argv0, half));
    TRY(posix_spawnp(&child, p, 0, 0, argv0, environ));
    TRY(fopen(p, "r") != 0);
    TRY(fopen("/dev/null", p) != 0);
    TRY(freopen(p, "r", stdin) != 0);
    TRY(popen("true", p) != 0);
    TRY(opendir(p) != 0);
    TRY(mkstemp(p));
    TRY(getaddrinfo(p, "1", 0, (void *)text));
    TRY(getaddrinfo("127.0.0.1", "1", p, (void *)text));
    TRY(getaddrinfo("127.0.0.1", "1", 0, p));
    TRY(prctl(PR_SET_SECCOMP, 2, p));
}

static char *none, *hole;

/* What is nowhere, and what ends in the middle; on all stacks what a wrong guess would take for the stack. */
static void all(const char *where) {
    dprintf(1, "-- %s\n", where);
    memset(hole - 64, 'x', 64);
    every("end", hole - 2);
    if (!*where)
        return;
    every("hole", hole);
    if (*where == 'a')
        return;
    every("null", 0);
    every("low", (void *)8);
    every("none", none);
    every("odd", (void *)0x4141414141414141);
    every("kernel", (void *)0xffff888000000000);
}

/* What is whole, but the next byte is nowhere. */
static void ends_of_memory(const char *kind) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = in};
    TRY(epoll_ctl(ep, EPOLL_CTL_ADD, in, memcpy(hole - sizeof event, &event, sizeof event)));
    struct timespec soon = {0, 1000};
    void *time = memcpy(hole - sizeof soon, &soon, sizeof soon);
    TRY(epoll_pwait2(ep, some, 4, time, 0));
    TRY(nanosleep(time, 0));
    struct itimerspec spec = {{0}, {100}};
    TRY(timerfd_settime(tfd, 0, memcpy(hole - sizeof spec, &spec, sizeof spec), (void *)(hole - sizeof spec)));
    socklen_t *room = (void *)(hole - 4);
    TRY((*room = 16, getsockname(listener, (void *)(hole - 64), room)));
    TRY((*room = 16, getsockname(listener, (void *)(hole - 4), room)));
    TRY((*room = 4, getsockname(listener, (void *)(hole - 8), room)));
    TRY((*room = 16, dial(), accept(listener, (void *)(hole - 32), room)));
    /* The kernel looks at no more of a set than there can be descriptors. */
    unsigned long *set = (void *)(hole - 8);
    TRY((*set = 1ul << ends[0], select(4096, (void *)set, 0, 0, 0)));
    TRY((*set = 1ul << ends[0], pselect(1 << 30, (void *)set, 0, 0, 0, 0)));
    struct pollfd *polled = (void *)(hole - sizeof *polled);
    TRY((*polled = (struct pollfd){ends[0], POLLIN}, poll(polled, 1, 0)));
    char **names = (void *)(hole - 16);
    names[1] = 0;
    TRY((names[0] = strcpy(hole - 20, "A=1"), execve("/bin/true", argv0, names)));
    TRY((names[1] = "B=2", execve("/bin/true", argv0, names)));
    TRY(open(strcpy(hole - 2, "x"), O_RDONLY));
}

static void *thread(void *where) {
    all(where);
    ends_of_memory(where);
    return 0;
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    hole = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
    munmap(hole, 4096);
    ep = epoll_create1(0);
    pipe2(ends, O_NONBLOCK);
    write(ends[1], "abc", 3);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair);
    send(pair[0], "abc", 3, 0);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    listen(listener, 5);
    socklen_t room = sizeof to;
    getsockname(listener, (void *)&to, &room);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    caller = socket(AF_INET, SOCK_STREAM, 0);
    connect(caller, (void *)&to, sizeof to);
    close(accept(listener, 0, 0));
    fcntl(listener, F_SETFL, O_NONBLOCK);
    in = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    tfd = timerfd_create(CLOCK_MONOTONIC, 0);
    file = open("/bin/true", O_RDONLY);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event);
    close(0);
    open("/dev/null", O_RDONLY);

    thread("the first stack");
    pthread_t other;
    pthread_create(&other, 0, thread, "a thread's stack");
    pthread_join(other, 0);
    static char stack[1 << 20];
    static ucontext_t back, there;
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &back;
    makecontext(&there, (void (*)(void))thread, 1, "");
    swapcontext(&back, &there);
    show("end");
    return 6;
}
