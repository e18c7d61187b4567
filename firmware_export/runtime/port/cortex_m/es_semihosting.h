/* Words to, and an exit from, an emulator or a debugger. */
#ifndef ES_SEMIHOSTING_H
#define ES_SEMIHOSTING_H

#include <stdint.h>

void es_port_text(const char *text);
void es_port_number(uint32_t number); /* decimal */
void es_port_exit(int code);          /* does not return */

#endif
