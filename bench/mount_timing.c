/* Times file operations without the weight of an interpreter. Prints seconds, one figure for each phase.

   stat    DIR N         stat of DIR/f000000 .. in order
   orc     DIR N         open, read to the end, close of the same
   create  DIR N BYTES   create, write so many bytes, close, of new files DIR/c000000 ..
   read    FILE          sequential, 128 KiB a call
   write   FILE MIB      sequential, 128 KiB a call: until all is written, and until it is closed
   evict   FILE          drop what the kernel caches of its bytes
*/
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE 131072

static char path[4200];
static char *piece;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int opened(const char *name, int flags) {
    int fd = open(name, flags, 0644);
    if (fd < 0) die(name);
    return fd;
}

static void put(int fd, size_t bytes) {
    if (write(fd, piece, bytes) != (ssize_t)bytes) die("write");
}

static void read_all(int fd) {
    ssize_t n;
    while ((n = read(fd, piece, PIECE)) > 0) {
    }
    if (n < 0) die("read");
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *operation = argv[1], *where = argv[2];
    long n = argc > 3 ? atol(argv[3]) : 0, bytes = argc > 4 ? atol(argv[4]) : 0;
    if (posix_memalign((void **)&piece, 4096, PIECE)) return 2;
    memset(piece, 7, PIECE);
    double start = now(), middle = 0;
    if (!strcmp(operation, "stat")) {
        struct stat found;
        for (long i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/f%06ld", where, i);
            if (stat(path, &found)) die(path);
        }
    } else if (!strcmp(operation, "orc")) {
        for (long i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/f%06ld", where, i);
            int fd = opened(path, O_RDONLY);
            read_all(fd);
            close(fd);
        }
    } else if (!strcmp(operation, "create")) {
        for (long i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/c%06ld", where, i);
            int fd = opened(path, O_WRONLY | O_CREAT | O_EXCL);
            memcpy(piece, &i, sizeof i); /* no two alike */
            put(fd, bytes);
            if (close(fd)) die("close");
        }
    } else if (!strcmp(operation, "read")) {
        int fd = opened(where, O_RDONLY);
        read_all(fd);
        close(fd);
    } else if (!strcmp(operation, "write")) {
        int fd = opened(where, O_WRONLY | O_CREAT | O_TRUNC);
        for (long i = 0; i < n * (1048576 / PIECE); i++) put(fd, PIECE);
        middle = now() - start;
        if (close(fd)) die("close");
    } else if (!strcmp(operation, "evict")) {
        int fd = opened(where, O_RDONLY);
        if (fsync(fd) && errno != EROFS) die("fsync");
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    } else {
        return 2;
    }
    double end = now() - start;
    if (middle > 0) printf("%.9f ", middle);
    printf("%.9f\n", end);
    return 0;
}
