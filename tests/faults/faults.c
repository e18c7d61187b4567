/* Plants faults into a process: a library for LD_PRELOAD. It counts the operations that change files below a folder,
 * and at a given one kills the process, or lets it and those after it fail. Environment variables, read each time:
 *
 *     FAULTS_FOLDER  path of the folder
 *     FAULTS_AT      number of the operation, from 1; 0: only count
 *     FAULTS_KIND    kill, half (write half of the bytes, then kill), ENOSPC, EIO, EACCES, or a number of seconds
 *                    by which the clock jumps
 *     FAULTS_COUNT   file that gets one byte for each operation
 *
 * Removing files is never refused: a full disk allows it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int operations;

#define REAL(result, name, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (real == NULL) {                                                                                                \
        real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name);                                                         \
    }

static int below(const char *path, const char *folder)
{
    const size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int concerns_path(int at, const char *path)
{
    const char *const folder = getenv("FAULTS_FOLDER");
    char whole[2 * PATH_MAX];
    char base[PATH_MAX];
    if (folder == NULL || path == NULL) {
        return 0;
    }
    if (path[0] == '/') {
        return below(path, folder);
    }
    if (at == AT_FDCWD) {
        if (getcwd(base, sizeof base) == NULL) {
            return 0;
        }
    } else {
        char link[64];
        ssize_t size;
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        size = readlink(link, base, sizeof base - 1u);
        if (size < 0) {
            return 0;
        }
        base[size] = '\0';
    }
    (void)snprintf(whole, sizeof whole, "%s/%s", base, path);
    return below(whole, folder);
}

static int concerns_file(int file)
{
    char link[64];
    char path[PATH_MAX];
    const char *const folder = getenv("FAULTS_FOLDER");
    ssize_t size;
    if (folder == NULL) {
        return 0;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1u);
    if (size < 0) {
        return 0;
    }
    path[size] = '\0';
    return below(path, folder);
}

static const char *kind(void)
{
    const char *const text = getenv("FAULTS_KIND");
    return text != NULL ? text : "";
}

static int reached(void)
{
    const char *const at = getenv("FAULTS_AT");
    return at != NULL && atoi(at) > 0 && operations >= atoi(at);
}

/* Counts an operation. Returns 0, or the error that it must fail with; 1000 asks for half of it. */
static int count(int is_write, int is_removal)
{
    const char *const log = getenv("FAULTS_COUNT");
    operations++;
    if (log != NULL) {
        static int (*real_open)(const char *, int, ...);
        static ssize_t (*real_write)(int, const void *, size_t);
        int file;
        if (real_open == NULL) {
            real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
            real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
        }
        file = real_open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (file >= 0) {
            (void)!real_write(file, ".", 1);
            (void)close(file);
        }
    }
    if (!reached()) {
        return 0;
    }
    if (strcmp(kind(), "kill") == 0 || (strcmp(kind(), "half") == 0 && !is_write)) {
        (void)kill(getpid(), SIGKILL);
    }
    if (strcmp(kind(), "half") == 0) {
        return 1000;
    }
    if (is_removal) {
        return 0;
    }
    return strcmp(kind(), "ENOSPC") == 0 ? ENOSPC : strcmp(kind(), "EIO") == 0 ? EIO : strcmp(kind(), "EACCES") == 0 ? EACCES : 0;
}

#define FAIL(condition, is_removal)                                                                                    \
    if (condition) {                                                                                                   \
        const int error = count(0, is_removal);                                                                        \
        if (error != 0) {                                                                                              \
            errno = error;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
    }

#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        mode_t mode = 0;                                                                                               \
        REAL(int, #name, const char *, int, ...)                                                                       \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                                    \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = (mode_t)va_arg(rest, int);                                                                          \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        FAIL((flags & WRITES) != 0 && concerns_path(AT_FDCWD, path), 0)                                                \
        return real(path, flags, mode);                                                                                \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int at, const char *path, int flags, ...)                                                                 \
    {                                                                                                                  \
        mode_t mode = 0;                                                                                               \
        REAL(int, #name, int, const char *, int, ...)                                                                  \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                                    \
            va_list rest;                                                                                              \
            va_start(rest, flags);                                                                                     \
            mode = (mode_t)va_arg(rest, int);                                                                          \
            va_end(rest);                                                                                              \
        }                                                                                                              \
        FAIL((flags & WRITES) != 0 && concerns_path(at, path), 0)                                                      \
        return real(at, path, flags, mode);                                                                            \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t)
    if (concerns_file(file)) {
        const int error = count(1, 0);
        if (error == 1000) {
            (void)!real(file, bytes, size / 2u);
            (void)kill(getpid(), SIGKILL);
        }
        if (error != 0) {
            errno = error;
            return -1;
        }
    }
    return real(file, bytes, size);
}

ssize_t writev(int file, const struct iovec *parts, int number)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int)
    FAIL(concerns_file(file), 0)
    return real(file, parts, number);
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *)
    FAIL(concerns_path(AT_FDCWD, to), 0)
    return real(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
    REAL(int, "renameat", int, const char *, int, const char *)
    FAIL(concerns_path(to_at, to), 0)
    return real(from_at, from, to_at, to);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *)
    FAIL(concerns_path(AT_FDCWD, path), 1)
    return real(path);
}

int unlinkat(int at, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int)
    FAIL(concerns_path(at, path), 1)
    return real(at, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t)
    FAIL(concerns_path(AT_FDCWD, path), 0)
    return real(path, mode);
}

int chmod(const char *path, mode_t mode)
{
    REAL(int, "chmod", const char *, mode_t)
    FAIL(concerns_path(AT_FDCWD, path), 0)
    return real(path, mode);
}

int fsync(int file)
{
    REAL(int, "fsync", int)
    FAIL(concerns_file(file), 0)
    return real(file);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const long jump = atol(kind());
    int result;
    REAL(int, "clock_gettime", clockid_t, struct timespec *)
    result = real(clock, now);
    if (clock == CLOCK_REALTIME && jump != 0 && reached()) {
        now->tv_sec += jump;
    }
    return result;
}
