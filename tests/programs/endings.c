/* Children that end in three ways, waited for by every call there is, with and without a place for what it says. */
#define _GNU_SOURCE
#include <assert.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What one that has been continued waits for, or it might have ended before anybody asks. */
static int on[2];

static pid_t child(int how) {
    pid_t pid = fork();
    if (pid)
        return pid;
    uint64_t one;
    int fd = eventfd(1, 0);
    read(fd, &one, 8);
    if (how == 1)
        *(volatile int *)16 = 1;
    if (how == 2) {
        raise(SIGSTOP);
        read(on[0], &one, 1);
    }
    _exit(how == 0 ? 7 : 0);
}

static void print(const char *call, pid_t want, pid_t pid, int status) {
    printf("%s %d %d %d\n", call, pid == want, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(void) {
    struct rlimit none = {0, 0};
    assert(pipe(on) == 0);
    setrlimit(RLIMIT_CORE, &none);
    struct epoll_event ready;
    int ep = epoll_create1(0);
    epoll_wait(ep, &ready, 1, 0);
    for (int how = 0; how < 3; how++)
        for (int call = 0; call < 12; call++) {
            pid_t pid = child(how), got = -1;
            int status = -1;
            siginfo_t info = {0};
            if (how == 2) {
                /* It has stopped, and has not ended. */
                assert(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
                kill(pid, SIGCONT);
                assert(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
                assert(write(on[1], "x", 1) == 1);
                status = -1;
            }
            switch (call) {
            case 0: got = waitpid(pid, &status, 0); break;
            case 1: got = waitpid(pid, NULL, 0); break;
            case 2: got = wait(&status); break;
            case 3: got = wait(NULL); break;
            case 4: got = wait3(&status, 0, NULL); break;
            case 5: got = wait4(pid, NULL, 0, NULL); break;
            case 6: while ((got = waitpid(-1, &status, WNOHANG)) == 0) usleep(100); break;
            case 7: got = waitid(P_PID, pid, &info, WEXITED); break;
            case 8: do got = waitid(P_ALL, 0, &info, WEXITED | WNOHANG); while (info.si_pid == 0); break;
            case 9: got = syscall(SYS_wait4, pid, &status, 0, NULL); break;
            case 10: got = syscall(SYS_waitid, P_PID, pid, &info, WEXITED, NULL); break;
            case 11:
                /* Asked twice: it stays until it is waited for. */
                assert(waitid(P_PID, pid, &info, WEXITED | WNOWAIT) == 0);
                got = waitpid(pid, NULL, 0);
                break;
            }
            printf("%d ", call);
            if (call == 7 || call == 8 || call == 10)
                print("waitid", pid, got == 0 ? info.si_pid : -1,
                      info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status);
            else
                print("wait", pid, got, status);
        }
    /* Nobody is left, and a bad place is the kernel's to refuse. */
    printf("%d %d\n", wait(NULL), waitpid(-1, (int *)8, WNOHANG));
    return 3;
}
