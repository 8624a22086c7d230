/* Four sockets in one loop: the handler of the first sleeps, those of the others wait for it.

   sleeps sleep|lock MILLISECONDS        ten times, in a call or for a mutex */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int wanted, held, served;
static struct timespec length;

/* Holds the mutex for as long once somebody wants it. */
static void *holder(void *unused) {
    for (;;) {
        pthread_mutex_lock(&mutex);
        atomic_store(&held, 1);
        while (!atomic_exchange(&wanted, 0)) usleep(500);
        nanosleep(&length, NULL);
        atomic_store(&held, 0);
        pthread_mutex_unlock(&mutex);
        /* The other one is woken by the unlock, and shall have it, however long that takes. */
        while (!atomic_exchange(&served, 0)) usleep(500);
    }
    return unused;
}

/* The empty statements keep the calls above them from becoming jumps. */
__attribute__((noinline)) static void load_rows(void) {
    nanosleep(&length, NULL);
    __asm__ volatile("");
}

__attribute__((noinline)) static void take_lock(void) {
    pthread_mutex_lock(&mutex);
    __asm__ volatile("");
}

__attribute__((noinline)) static int serve(int fd, int slow, int locks) {
    char bytes[16];
    int sum = read(fd, bytes, sizeof bytes) > 0;
    if (slow && locks) {
        while (!atomic_load(&held)) usleep(500);
        atomic_store(&wanted, 1);
        take_lock();
        pthread_mutex_unlock(&mutex);
        atomic_store(&served, 1);
    } else if (slow) {
        load_rows();
    }
    return sum + (write(fd, bytes, 1) > 0);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int locks = strcmp(argv[1], "lock") == 0, ms = atoi(argv[2]);
    length = (struct timespec){ms / 1000, ms % 1000 * 1000000L};
    pthread_t thread;
    if (locks) pthread_create(&thread, NULL, holder, NULL);
    int epoll = epoll_create1(0), pairs[4][2], sum = 0;
    for (unsigned i = 0; i < 4; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
        epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][0], &event);
    }
    for (int round = 0; round < 10; round++) {
        struct epoll_event events[8];
        char answer[16];
        for (int i = 0; i < 4; i++) sum += write(pairs[i][1], "x", 1);
        int ready = epoll_wait(epoll, events, 8, 1000);
        for (int i = 0; i < ready; i++) {
            unsigned which = events[i].data.u32;
            sum += serve(pairs[which][0], which == 0, locks);
        }
        for (int i = 0; i < 4; i++) sum += read(pairs[i][1], answer, sizeof answer);
    }
    printf("%d\n", sum != 0);
    return 0;
}
