/* An emulated board: a process that prints the name of its pseudo-terminal and answers there. SIGUSR1 restarts the
 * device, as a reset does. The process ends when its standard input is closed. Its first argument, if any, is a file
 * that stands for two slots of flash: then the board takes models over the wire, and keeps them in the file. */
#define _XOPEN_SOURCE 700

#include "es_board.h"
#include "es_update.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SLOT_BYTES 262144u
#define PAGE_BYTES 4096u
#define WRITE_BYTES 8u
#define MODEL_BYTES 65536u /* for a loaded model, its context, and a saved state */
#define WAIT_MS 1000 /* wait for a host that does not read; then output is lost, as on a wire */

typedef struct board {
    int port;
    int lost;            /* 1 if the host does not read */
    size_t waiting;
    struct timespec start;
    uint32_t taken;
    uint8_t out[8192];
} board_t;

static volatile sig_atomic_t reset_asked;

/* ------------------------------------------------------------------------------------------------ flash for models */

static uint8_t *flash_bytes; /* [2 * SLOT_BYTES] */
static union {
    void *alignment;
    uint8_t bytes[MODEL_BYTES];
} loaded[2], context, saved;

static int flash_erase(void *port, unsigned slot, uint32_t offset)
{
    (void)port;
    memset(flash_bytes + slot * SLOT_BYTES + offset, 0xFF, PAGE_BYTES);
    return 1;
}

/* Writing clears bits, and never sets one, as in flash. */
static int flash_write(void *port, unsigned slot, uint32_t offset, const uint8_t *bytes)
{
    uint8_t *const to = flash_bytes + slot * SLOT_BYTES + offset;
    size_t index;
    (void)port;
    for (index = 0; index < WRITE_BYTES; index++) {
        to[index] &= bytes[index];
    }
    return 1;
}

/* Maps the file, which is filled up with 0xFF. Returns 1, or 0 on an error. */
static int open_flash(const char *path)
{
    static const uint8_t erased = 0xFF;
    const int file = open(path, O_RDWR | O_CREAT, 0666);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    for (; size >= 0 && size < (off_t)(2u * SLOT_BYTES); size++) {
        if (write(file, &erased, 1) != 1) {
            return 0;
        }
    }
    if (size < 0) {
        return 0;
    }
    flash_bytes = mmap(NULL, 2u * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)close(file);
    return flash_bytes != MAP_FAILED ? 1 : 0;
}

static int board_fits(const es_model_t *model)
{
    return es_state_bytes(model) <= sizeof saved && es_context_bytes(model) <= sizeof context &&
                   es_board_setup.body_bytes >= ES_WIRE_BODY_BYTES(model->num_classes) &&
                   es_board_setup.stream_bytes >= ES_WIRE_STREAM_BYTES(model->num_channels, model->num_classes) &&
                   model->num_channels == es_board_recording.num_channels
               ? 1
               : 0;
}

/* Lets the setup run the model of the flash, if there is a good one, and take others. */
static int begin_update(es_update_t *update, es_flash_t *flash, es_update_setup_t *setup, es_wire_update_t *port,
                        es_wire_setup_t *wire)
{
    flash->slots[0] = flash_bytes;
    flash->slots[1] = flash_bytes + SLOT_BYTES;
    flash->slot_bytes = SLOT_BYTES;
    flash->page_bytes = PAGE_BYTES;
    flash->write_bytes = WRITE_BYTES;
    flash->erase = flash_erase;
    flash->write = flash_write;
    setup->flash = flash;
    setup->model = es_board_setup.model;
    setup->contract = es_board_setup.contract;
    setup->golden = es_board_setup.golden;
    setup->loaded[0] = &loaded[0];
    setup->loaded[1] = &loaded[1];
    setup->loaded_bytes = sizeof loaded[0];
    setup->memory = &context;
    setup->memory_bytes = sizeof context;
    setup->fits = board_fits;
    port->update = update;
    port->serve = es_update_serve;
    if (es_update_begin(update, setup) != ES_OK) {
        return 0;
    }
    wire->model = update->model;
    wire->contract = update->contract;
    wire->golden = update->golden;
    wire->memory = &context;
    wire->memory_bytes = sizeof context;
    wire->state = saved.bytes;
    wire->update = port;
    return 1;
}

/* ------------------------------------------------------------------------------------------------------- the board */

static void on_signal(int number)
{
    (void)number;
    reset_asked = 1;
}

static void board_flush(board_t *board)
{
    size_t sent = 0;
    while (sent < board->waiting) {
        struct pollfd ready = {.fd = board->port, .events = POLLOUT, .revents = 0};
        const int timeout = board->lost ? 0 : WAIT_MS;
        ssize_t written;
        if (poll(&ready, 1, timeout) <= 0 && errno != EINTR) {
            board->lost = 1;
            break;
        }
        written = write(board->port, board->out + sent, board->waiting - sent);
        if (written > 0) {
            board->lost = 0;
            sent += (size_t)written;
        }
    }
    board->waiting = 0;
}

static void board_write(void *port, const uint8_t *bytes, size_t count)
{
    board_t *const board = port;
    for (; count > 0; count--) {
        if (board->waiting == sizeof board->out) {
            board_flush(board);
        }
        board->out[board->waiting] = *bytes;
        board->waiting++;
        bytes++;
    }
}

static uint32_t board_measure(void *port, es_wire_measure_t what)
{
    struct timespec now;
    (void)port;
    if (what != ES_WIRE_TICKS) {
        return ES_WIRE_UNKNOWN;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)now.tv_sec * 1000000000u + (uint32_t)now.tv_nsec;
}

/* Number of samples modulo 2^32, like an index. Seconds and microseconds are separate, as their product with a rate
 * of up to 10^9 mHz would overflow within hours. The fraction of a sample left by the whole seconds is added to
 * that of the microseconds. */
static uint32_t samples_in(int64_t seconds, int64_t us, int64_t rate_millihz)
{
    const int64_t whole = seconds * rate_millihz; /* below 2^63 for 290 years at 10^9 mHz */
    return (uint32_t)(uint64_t)(whole / 1000 + ((whole % 1000) * 1000000 + us * rate_millihz) / 1000000000);
}

/* Samples since the start. */
static uint32_t board_given(const board_t *board)
{
    struct timespec now;
    int64_t seconds;
    int64_t ns;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = now.tv_sec - board->start.tv_sec;
    ns = now.tv_nsec - board->start.tv_nsec;
    if (ns < 0) {
        seconds--;
        ns += 1000000000;
    }
    return samples_in(seconds, ns / 1000, es_board_recording.rate_millihz);
}

static int board_sensor(void *port, int16_t *counts, uint32_t *index)
{
    board_t *const board = port;
    return es_board_sample(board_given(board), &board->taken, counts, index);
}

/* Keeps the other end of the pseudo-terminal open too, so that hosts may connect and disconnect. */
static int open_port(int *other)
{
    struct termios raw;
    const int port = posix_openpt(O_RDWR | O_NOCTTY);
    const char *name;
    if (port < 0 || grantpt(port) != 0 || unlockpt(port) != 0 || (name = ptsname(port)) == NULL) {
        return -1;
    }
    *other = open(name, O_RDWR | O_NOCTTY);
    if (*other < 0 || tcgetattr(*other, &raw) != 0) {
        return -1;
    }
    raw.c_iflag = 0;
    raw.c_oflag = 0;
    raw.c_lflag = 0;
    raw.c_cflag = CS8 | CREAD | CLOCAL;
    if (tcsetattr(*other, TCSANOW, &raw) != 0 || fcntl(port, F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    printf("%s\n", name);
    fflush(stdout);
    return port;
}

int main(int argc, char **argv)
{
    static board_t board;
    es_wire_port_t port = {.port = &board,
                           .write = board_write,
                           .measure = board_measure,
                           .sensor = board_sensor,
                           .board = "posix",
                           .tick_unit = "ns of the host's clock",
                           .ticks_hz = 1000000000u,
                           .boot = 0};
    es_wire_setup_t setup = es_board_setup;
    es_flash_t flash = {0};
    es_update_setup_t update_setup = {0};
    es_wire_update_t update_port = {0};
    struct sigaction action;
    es_update_t update;
    es_wire_t wire;
    es_board_head_t learner;
    int other = -1;

    setup.port = &port;
    action.sa_handler = on_signal;
    action.sa_flags = 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGUSR1, &action, NULL);
    if (argc > 1 && !open_flash(argv[1])) {
        printf("cannot use %s as flash\n", argv[1]);
        return 1;
    }
    board.port = open_port(&other);
    reset_asked = 1;
    port.boot = (uint32_t)time(NULL) ^ ((uint32_t)getpid() << 16);
    while (board.port >= 0) {
        struct pollfd ready[2] = {{.fd = board.port, .events = POLLIN, .revents = 0},
                                  {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
        uint8_t bytes[512];
        ssize_t got;
        ssize_t index;
        if (reset_asked) {
            reset_asked = 0;
            port.boot++;
            board.taken = 0;
            (void)clock_gettime(CLOCK_MONOTONIC, &board.start);
            if (flash_bytes != NULL && !begin_update(&update, &flash, &update_setup, &update_port, &setup)) {
                return 1;
            }
            if (es_board_begin(&wire, &setup, &learner) != ES_OK) {
                return 1;
            }
        }
        (void)poll(ready, 2, wire.stream_flags != 0u ? 1 : 200);
        if ((ready[1].revents & (POLLIN | POLLHUP)) != 0 && read(STDIN_FILENO, bytes, 1) <= 0) {
            return 0;
        }
        if (wire.stream_flags == 0u) { /* a stream begins with the next sample */
            board.taken = board_given(&board);
        }
        got = read(board.port, bytes, sizeof bytes);
        for (index = 0; index < got; index++) {
            es_wire_receive(&wire, bytes[index]);
        }
        es_wire_poll(&wire);
        board_flush(&board);
    }
    return 1;
}
