/* Preloaded into a database's server, makes each sync take longer by SLOW_SYNC_US microseconds, as on a disk that is reached over a network. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static long delay_us(void)
{
    static long found = -1;
    if (found < 0) {
        const char *said = getenv("SLOW_SYNC_US");
        found = said ? strtol(said, NULL, 10) : 0;
    }
    return found;
}

/* After the true sync; a signal does not shorten it, nor does it change what the caller sees of the true one. */
static int slowly(const char *name, int fd)
{
    sync_call true_call = (sync_call)dlsym(RTLD_NEXT, name);
    int result = true_call(fd), error = errno;
    long us = delay_us();
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (us > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    errno = error;
    return result;
}

int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}

int fsync(int fd)
{
    return slowly("fsync", fd);
}
