// code: preempted-handler
// bug: haproxy/haproxy#1625 and modal-labs/synchronicity#274: others on the loop's CPU, and its handlers seem slow
// severity: info
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void compute(long ns) {
    struct timespec from, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < ns);
}

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, ends[2], ep = epoll_create1(EPOLL_CLOEXEC);
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && !CPU_COUNT(&one)) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    pid_t busy[3];
    for (int i = 0; i < 3; i++)
        if ((busy[i] = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (!fixed);
            _exit(0);
        }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e);
    for (int turn = 0; turn < 20; turn++) {
        char byte = 0;
        epoll_wait(ep, &e, 1, 50);
        if (write(ends[1], &byte, 1) != 1 || epoll_wait(ep, &e, 1, 1000) != 1) return 1;
        if (read(ends[0], &byte, 1) != 1) return 1;
        compute(fixed ? 500000 : 9000000);
        if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1) return 1;
    }
    for (int i = 0; i < 3; i++) kill(busy[i], SIGKILL), waitpid(busy[i], 0, 0);
    return 0;
}
