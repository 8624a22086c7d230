/* Kills itself if anybody asks who it is, as seccomp(2) allows: tests/preload_processes.rs. 52 waits. */
#define _GNU_SOURCE
#include <assert.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int ep;

static void *thread(void *unused) {
    struct epoll_event event;
    epoll_wait(ep, &event, 1, 1);
    return unused;
}

int main(void) {
    struct epoll_event event;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    pthread_t other;

    ep = epoll_create1(0);
    epoll_wait(ep, &event, 1, 1);
    assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
    for (int i = 0; i < 50; i++)
        epoll_wait(ep, &event, 1, 0);
    /* A thread that takes a ring of its own now. */
    assert(pthread_create(&other, 0, thread, 0) == 0 && pthread_join(other, 0) == 0);
    puts("alive");
    return 0;
}
