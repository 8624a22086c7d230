/* A child under ptrace: how many system calls it makes between two marks is how many it asked for. */
#include "probe.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>

#define MARK(n) syscall(SYS_getpriority, 77, n)

static void child(void) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK), pair[2], pipes[2];
    struct epoll_event event = {.events = EPOLLIN}, ready[4];
    uint64_t one = 1;
    char byte;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    fclose(fopen("/dev/null", "r")); /* malloc has begun */
    raise(SIGSTOP);
    MARK(1);
    for (int i = 0; i < 200; i++) {
        write(fd, &one, 8);
        epoll_wait(ep, ready, 4, 0);
        epoll_pwait(ep, ready, 4, 0, 0);
        read(fd, &one, 8);
        send(pair[0], "x", 1, 0);
        recv(pair[1], &byte, 1, 0);
        struct pollfd p = {pair[1], POLLIN, 0};
        poll(&p, 1, 0);
        epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event);
    }
    MARK(2);
    for (int i = 0; i < 50; i++) {
        pipe2(pipes, O_CLOEXEC);
        int copy = dup(pipes[0]);
        dup2(pipes[1], copy);
        close(copy);
        close(pipes[0]);
        close_range(pipes[1], pipes[1], 0);
        close(open("/dev/null", O_RDONLY));
        close(accept(pair[0], 0, 0));
    }
    MARK(3);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, 0, 0);
    MARK(4);
    pid = vfork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, 0, 0);
    MARK(5);
    usleep(1);
    sleep(0);
    fclose(fopen("/dev/null", "r"));
    MARK(6);
    _exit(11);
}

int main(void) {
    pid_t pid = fork();
    if (pid == 0)
        child();
    int status, section = 0, entering = 0;
    long counts[8] = {0};
    assert(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int pass = 0;; pass++) {
        int deliver = WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD ? SIGCHLD : 0;
        assert(ptrace(PTRACE_SYSCALL, pid, 0, deliver) == 0);
        assert(waitpid(pid, &status, 0) == pid);
        if (WIFEXITED(status))
            break;
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        entering = !entering;
        struct user_regs_struct registers;
        ptrace(PTRACE_GETREGS, pid, 0, &registers);
        if (!entering)
            continue;
        /* A collector that has fallen asleep is woken when a ring fills up, as it does on a busy machine: the one call that a
           hook may make. Nobody else wakes anybody across processes here. */
        if (registers.orig_rax == SYS_futex && registers.rsi == 1)
            continue;
        if (registers.orig_rax == SYS_getpriority && registers.rdi == 77)
            section = registers.rsi;
        else if (section < 8)
            counts[section]++;
    }
    for (int i = 1; i < 6; i++)
        printf("section %d: %ld calls\n", i, counts[i]);
    printf("exit %d\n", WEXITSTATUS(status));
    return 0;
}
