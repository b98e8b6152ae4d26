#include "gateway/ws/gate.h"

#include <stddef.h>

const char *const gate_refusal_names[] = {
#define X(name, label, text) label,
    GATE_REFUSAL_LIST(X)
#undef X
        NULL,
};

enum gate_refusal gate_ask(const struct gate *gate, const struct gate_load *load)
{
    if (load->connections >= load->connections_max)
        return GATE_FULL;
    if (load->unauthenticated >= load->unauthenticated_max)
        return GATE_UNAUTHENTICATED;
    unsigned refusal = GATE_FULL;
    while (refusal < GATE_REFUSAL_COUNT && !gate->is_closed[refusal])
        refusal++;
    return (enum gate_refusal)refusal;
}

const char *gate_text(enum gate_refusal refusal)
{
    static const char *const texts[] = {
#define X(name, label, text) text,
        GATE_REFUSAL_LIST(X)
#undef X
    };
    return texts[refusal];
}
