/* Threads cancelled inside every call that may block, and by every kind of cancellation. Argument: rounds. */
#include "probe.h"
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

static int in[2], full[2], out[2], ep, counter, listener, locked;
static sem_t never, started;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_t eternal;

static void cleaned(void *count) {
    /* A cleanup handler calls too. */
    char byte;
    assert(recv(in[0], &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    ++*(int *)count;
}
static void unlocked(void *unused) { pthread_mutex_unlock(&mutex); }

static int count;

static void *block(void *which) {
    char room[64] = {0};
    struct epoll_event events[4];
    struct pollfd p = {in[0], POLLIN, 0};
    struct iovec piece = {room, sizeof room};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr messages = {.msg_hdr = message};
    struct timespec long_time = {1000, 0}, until;
    fd_set set;
    sigset_t usr;
    int signal;
    siginfo_t info;
    FD_ZERO(&set);
    FD_SET(in[0], &set);
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1000;
    struct flock lock = {.l_type = F_WRLCK};
    pthread_cleanup_push(cleaned, &count);
    sem_post(&started);
    switch ((long)which) {
    case 0: epoll_wait(ep, events, 4, -1); break;
    case 1: epoll_pwait(ep, events, 4, -1, 0); break;
    case 2: epoll_pwait2(ep, events, 4, 0, 0); break;
    case 3: poll(&p, 1, -1); break;
    case 4: ppoll(&p, 1, 0, 0); break;
    case 5: select(in[0] + 1, &set, 0, 0, 0); break;
    case 6: pselect(in[0] + 1, &set, 0, 0, 0, 0); break;
    case 7: read(in[0], room, 1); break;
    case 8: readv(in[0], &piece, 1); break;
    case 9: recv(in[0], room, 1, 0); break;
    case 10: recvfrom(in[0], room, 1, 0, 0, 0); break;
    case 11: recvmsg(in[0], &message, 0); break;
    case 12: recvmmsg(in[0], &messages, 1, 0, 0); break;
    case 13: accept(listener, 0, 0); break;
    case 14: accept4(listener, 0, 0, SOCK_CLOEXEC); break;
    case 15: write(full[1], room, 1); break;
    case 16: writev(full[1], &piece, 1); break;
    case 17: send(full[1], room, 1, 0); break;
    case 18: sendto(full[1], room, 1, 0, 0, 0); break;
    case 19: sendmsg(full[1], &message, 0); break;
    case 20: sleep(1000); break;
    case 21: usleep(1000000000); break;
    case 22: nanosleep(&long_time, 0); break;
    case 23: clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, 0); break;
    case 24: pause(); break;
    case 25: sigwait(&usr, &signal); break;
    case 26: sigwaitinfo(&usr, &info); break;
    case 27: sigtimedwait(&usr, &info, &long_time); break;
    case 28: sigfillset(&usr); sigdelset(&usr, 32); sigsuspend(&usr); break;
    case 29: fcntl(locked, F_SETLKW, &lock); break;
    case 30: lockf(locked, F_LOCK, 1); break;
    case 31: sem_wait(&never); break;
    case 32: sem_timedwait(&never, &until); break;
    case 33: pthread_join(eternal, 0); break;
    case 34:
        pthread_mutex_lock(&mutex);
        pthread_cleanup_push(unlocked, 0);
        pthread_cond_wait(&condition, &mutex);
        pthread_cleanup_pop(1);
        break;
    case 35:
        pthread_mutex_lock(&mutex);
        pthread_cleanup_push(unlocked, 0);
        pthread_cond_timedwait(&condition, &mutex, &until);
        pthread_cleanup_pop(1);
        break;
    case 36: waitpid(-1, 0, 0); break;
    case 37: { siginfo_t i; waitid(P_ALL, 0, &i, WEXITED); break; }
    case 38: wait(0); break;
    case 39: splice(in[0], 0, out[1], 0, 1, 0); break;
    case 40: sendmmsg(full[1], &messages, 1, 0); break;
    case 41: /* at once, wherever it is */
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, 0);
        for (volatile long i = 0;; i++)
            ;
    case 42: /* asked for before the call */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, 0);
        while (usleep(100) == 0 && count == -1)
            ;
        usleep(3000);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, 0);
        read(in[0], room, 1);
        break;
    case 43:
        for (;;) { /* a close is a point too */
            int fd = dup(in[0]);
            close(fd);
        }
    case 44: getppid(); { struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0torture"}; (void)to; } pthread_exit(PTHREAD_CANCELED);
    case 45: for (;;) { FILE *f = fopen("/dev/null", "r"); fclose(f); }
    case 46: fsync(open("/dev/zero", O_RDWR)); pause(); break;
    case 47: system("exec sleep 1000"); break;
    case 48: { eventfd_t value; eventfd_read(eventfd(0, EFD_CLOEXEC), &value); break; }
    case 49: eventfd_write(counter, 1); break;
    }
    pthread_cleanup_pop(0);
    return 0;
}

static void *for_ever(void *unused) {
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    char fill[4096] = {0};
    sigset_t usr;
    sigemptyset(&usr);
    sigaddset(&usr, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr, 0);
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, in) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, full) == 0);
    while (send(full[1], fill, sizeof fill, MSG_DONTWAIT) > 0)
        ;
    while (send(full[1], fill, 1, MSG_DONTWAIT) > 0)
        ;
    assert(pipe(out) == 0);
    ep = epoll_create1(0);
    counter = eventfd(0, 0);
    assert(eventfd_write(counter, UINT64_MAX - 1) == 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    bind(listener, (void *)&name, sizeof(sa_family_t));
    listen(listener, 1);
    sem_init(&never, 0, 0);
    sem_init(&started, 0, 0);
    pthread_create(&eternal, 0, for_ever, 0);
    /* Somebody else holds the lock. */
    int told[2];
    pipe(told);
    locked = fileno(tmpfile());
    pid_t holder = fork();
    if (holder == 0) {
        struct flock lock = {.l_type = F_WRLCK};
        fcntl(locked, F_SETLK, &lock);
        write(told[1], "x", 1);
        for (;;)
            pause();
    }
    read(told[0], fill, 1);
    for (int round = 0; round < rounds; round++)
        for (long which = 0; which < 50; which++) {
            pthread_t thread;
            void *result = 0;
            int before = count;
            if (which == 43 || which == 45 || which == 47)
                if (round)
                    continue;
            assert(pthread_create(&thread, 0, block, (void *)which) == 0);
            sem_wait(&started);
            usleep(which == 47 ? 50000 : round % 3 * 700);
            pthread_cancel(thread);
            if (which == 47) { /* glibc's system(3) kills and waits for the shell */
            }
            assert(pthread_join(thread, &result) == 0);
            if (round == 0)
                printf("%ld: %s, %d cleaned\n", which, result == PTHREAD_CANCELED ? "cancelled" : "not", count - before);
            fflush(stdout);
        }
    printf("%d cleaned\n", count);
    kill(holder, SIGKILL);
    show_end("holder", holder);
    printf("errno kept\n");
    meant = 2; /* and the eternal one */
    settle();
    show_status();
    return 0;
}
