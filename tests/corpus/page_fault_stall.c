// code: page-fault-stall
// bug: scylladb/seastar#1412: a handler touches a mapped file of which nothing is in memory
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64 << 20, PAGES = 400 };

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, ends[2];
    char name[] = "/var/tmp/cold-XXXXXX"; /* /tmp may be memory */
    static char block[1 << 20];
    int file = mkstemp(name), ep = epoll_create1(EPOLL_CLOEXEC);
    unlink(name);
    for (int at = 0; at < SIZE; at += sizeof block) {
        memset(block, at >> 20 | 1, sizeof block);
        if (write(file, block, sizeof block) != (ssize_t)sizeof block) return 1;
    }
    fsync(file);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e);
    for (int turn = 0; turn < 8; turn++) {
        char byte = 0;
        epoll_wait(ep, &e, 1, 250);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        /* Repaired: what the handler will touch is read before it is asked to. */
        char *map = mmap(0, SIZE, PROT_READ, MAP_SHARED | (fixed ? MAP_POPULATE : 0), file, 0);
        madvise(map, SIZE, MADV_RANDOM);
        if (write(ends[1], &byte, 1) != 1 || epoll_wait(ep, &e, 1, 1000) != 1) return 1;
        if (read(ends[0], &byte, 1) != 1) return 1;
        for (int i = 0; i < PAGES; i++) byte ^= *(volatile char *)&map[(size_t)i * (SIZE / PAGES) & ~4095L];
        if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1) return 1;
        munmap(map, SIZE);
    }
    return 0;
}
