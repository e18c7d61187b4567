/* On an emulated part: the self-test of every model, one line each. */
#include "cases.h"
#include "es_semihosting.h"

static union {
    es_context_t alignment;
    unsigned char bytes[4096];
} memory;

int main(void)
{
    unsigned index;
    for (index = 0; index < es_num_cases; index++) {
        es_place_t place = {0, 0};
        const es_status_t status = es_self_test(es_cases[index].golden, &memory, sizeof memory, &place);
        es_port_text(es_cases[index].name);
        es_port_text(status == ES_OK ? ": ok\n" : ": ");
        if (status != ES_OK) {
            es_port_text(es_status_text(status));
            es_port_text(", window ");
            es_port_number(place.window);
            es_port_text(", step ");
            es_port_number(place.step);
            es_port_text("\n");
        }
    }
    return 0;
}
