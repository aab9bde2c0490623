/* LD_PRELOAD: each fsync and fdatasync first waits as many microseconds as the file $SLOW_FSYNC_FILE says; "EIO" fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int delayed(void) {
    char text[32] = "";
    const char *path = getenv("SLOW_FSYNC_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
    close(fd);
    if (!strncmp(text, "EIO", 3)) {
        errno = EIO;
        return -1;
    }
    if (atoi(text) > 0) usleep(atoi(text));
    return 0;
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return delayed() ? -1 : real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return delayed() ? -1 : real(fd);
}
