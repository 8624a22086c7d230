// code: signal-starved
// bug: Tarsnap/libcperciva#94: a server that always has events never gets round to the signals it was sent
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static void on_signal(int n) { (void)n; came = 1; }

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Asks again as soon as it has an answer, from two connections: one of them is always ready. */
static void ask(int a, int b, pid_t server) {
    double start = now();
    char byte = 0;
    int told = 0, n = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct timespec pause = {.tv_nsec = 200000};
    while (now() < start + 4 && (write(n++ % 2 ? a : b, &byte, 1) == 1 || errno == EAGAIN)) {
        if (!told && now() > start + 0.3) told = kill(server, SIGUSR1) == 0;
        nanosleep(&pause, 0);
    }
    _exit(0);
}

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, a[2], b[2], signals = -1, ep = epoll_create1(EPOLL_CLOEXEC);
    sigset_t usr1, none;
    sigemptyset(&usr1), sigaddset(&usr1, SIGUSR1), sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &usr1, 0);
    signal(SIGUSR1, on_signal);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b)) return 1;
    pid_t server = getpid(), child = fork();
    if (child == 0) close(ep), close(a[0]), close(b[0]), ask(a[1], b[1], server);
    close(a[1]), close(b[1]);
    int ends[3] = {a[0], b[0], -1}, open = 2;
    if (fixed) ends[2] = signals = signalfd(-1, &usr1, SFD_NONBLOCK | SFD_CLOEXEC);
    for (int i = 0; i < 2 + fixed; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = ends[i]};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, ends[i], &e)) return 1;
    }
    while (open) {
        struct epoll_event ready[4];
        int n = epoll_pwait(ep, ready, 4, -1, fixed ? 0 : &none);
        for (int i = 0; i < n; i++) {
            char bytes[sizeof(struct signalfd_siginfo)];
            int fd = ready[i].data.fd;
            ssize_t got = read(fd, bytes, fd == signals ? sizeof bytes : 1);
            if (fd == signals && got > 0) came = 1;
            /* Each request is some work: the next one is there before it is done. */
            for (double until = now() + 0.0003; fd != signals && now() < until;);
            if (got == 0) epoll_ctl(ep, EPOLL_CTL_DEL, fd, 0), close(fd), open--;
        }
    }
    waitpid(child, 0, 0);
    return 0;
}
