/* Somebody else's preloaded library: counts and changes what read(2) and write(2) do, as such libraries do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static ssize_t (*next_read)(int, void *, size_t);
static ssize_t (*next_write)(int, const void *, size_t);
static int (*next_close)(int);

ssize_t read(int fd, void *to, size_t size) {
    if (!next_read)
        next_read = dlsym(RTLD_NEXT, "read");
    return next_read(fd, to, size);
}
int close(int fd) {
    if (!next_close)
        next_close = dlsym(RTLD_NEXT, "close");
    return next_close(fd);
}
ssize_t write(int fd, const void *from, size_t size) {
    char copy[4096];
    if (!next_write)
        next_write = dlsym(RTLD_NEXT, "write");
    if (fd == 1 && size < sizeof copy) {
        memcpy(copy, from, size);
        for (size_t i = 0; i < size; i++)
            if (copy[i] == 'e')
                copy[i] = 'E';
        return next_write(fd, copy, size);
    }
    return next_write(fd, from, size);
}
