#include "gateway/ws/frame.h"

#include <string.h>

size_t frame_head(unsigned char head_r[FRAME_HEAD_MAX], enum frame_opcode opcode, uint64_t payload_len)
{
    head_r[0] = 0x80 | (unsigned char)opcode; /* FIN */
    if (payload_len < 126) {
        head_r[1] = (unsigned char)payload_len;
        return 2;
    }
    size_t width = payload_len <= UINT16_MAX ? 2 : 8;
    head_r[1] = width == 2 ? 126 : 127;
    for (size_t i = 0; i < width; i++)
        head_r[2 + i] = (unsigned char)(payload_len >> (8 * (width - 1 - i)));
    return 2 + width;
}

size_t frame_head_len(const char *frame)
{
    unsigned char marker = (unsigned char)frame[1];
    return marker < 126 ? 2 : marker == 126 ? 4 : FRAME_HEAD_MAX;
}

struct message *frame_new(enum frame_opcode opcode, const void *payload, size_t len)
{
    unsigned char head[FRAME_HEAD_MAX];
    size_t head_len = frame_head(head, opcode, len);
    struct message *m = message_new(head_len + len);
    char *bytes = message_fill(m);
    memcpy(bytes, head, head_len);
    if (len > 0)
        memcpy(bytes + head_len, payload, len);
    return m;
}
