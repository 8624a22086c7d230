/* Programs that restrict themselves, then go on calling what they allowed: anything else of ours is their death.
   Argument: how. */
#include "probe.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ALLOW(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static int ep, fd, out;
static volatile int trapped;

static void trap(int signal) { trapped++; }

static void loop(int rounds) {
    struct epoll_event ready[2];
    uint64_t one = 1;
    for (int i = 0; i < rounds; i++) {
        write(fd, &one, 8);
        epoll_wait(ep, ready, 2, 0);
        read(fd, &one, 8);
    }
}

static void filter(unsigned otherwise, int by_syscall) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_epoll_wait), ALLOW(SYS_epoll_pwait), ALLOW(SYS_exit_group),
        ALLOW(SYS_rt_sigreturn), ALLOW(SYS_exit),
        BPF_STMT(BPF_RET | BPF_K, otherwise),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (by_syscall)
        assert(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    else
        assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

static void *thread(void *unused) {
    /* Its first call of all is made under the filter. */
    loop(100);
    write(out, "thread\n", 7);
    syscall(SYS_exit, 0);
    return unused;
}

static void child(int how) {
    pthread_t other;
    struct sigaction action = {.sa_handler = trap};
    ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK), out = 1;
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    loop(how & 1 ? 10 : 0); /* or the first loop of all comes after */
    sigaction(SIGSYS, &action, 0);
    switch (how / 2) {
    case 0: filter(SECCOMP_RET_KILL_PROCESS, 0); break;
    case 1: filter(SECCOMP_RET_KILL_PROCESS, 1); break;
    case 2: filter(SECCOMP_RET_ERRNO | EPERM, 0); break;
    case 3: filter(SECCOMP_RET_TRAP, 0); break;
    case 4: assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0); break;
    case 5: assert(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0) == 0); break;
    case 6: assert(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0); break;
    case 7: /* a thread that starts under it */
        filter(SECCOMP_RET_ERRNO | EPERM, 0);
        break;
    case 8: filter(SECCOMP_RET_KILL_PROCESS, 0); write(out, "end\n", 4); close(fd); break; /* forbidden */
    }
    uint64_t one = 1;
    if (how / 2 == 4 || how / 2 == 5) { /* read, write, exit */
        for (int i = 0; i < 1000; i++)
            if (write(fd, &one, 8) != 8 || read(fd, &one, 8) != 8)
                write(out, "bad\n", 4);
        write(out, "strict\n", 7);
        syscall(SYS_exit, 21);
    }
    loop(50000);
    (void)other;
    (void)thread;
    write(out, trapped ? "trapped\n" : "quiet\n", trapped ? 8 : 6);
    _exit(20);
}

int main(void) {
    for (int how = 0; how < 18; how++) {
        pid_t pid = fork();
        if (pid == 0)
            child(how);
        char name[32];
        snprintf(name, sizeof name, "%d", how);
        show_end(name, pid);
    }
    show("end");
    return 0;
}
