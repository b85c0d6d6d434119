/*
 * utf8.c: see utf8.h.
 */
#include "utf8.h"

size_t utf8_len(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

    if ((u[0] >= 0x80 && u[0] < 0xc2) || u[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0; /* also at the end of the text */
    }
    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f) ||
        (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
        return 0;
    return len;
}

bool utf8_is_valid(const char *text)
{
    size_t len = 1;

    for (; *text != '\0' && len > 0; text += len)
        len = utf8_len(text);
    return len > 0;
}

bool utf8_is_control(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;

    return (len == 1 && (u[0] < ' ' || u[0] == 0x7f)) ||
           (len == 2 && u[0] == 0xc2 && u[1] < 0xa0);
}

int utf8_fit(const char *text, int max)
{
    int fit = 0;

    while (text[fit] != '\0') {
        int len = (int)utf8_len(text + fit);

        len += len == 0;
        if (fit + len > max)
            break;
        fit += len;
    }
    return fit;
}

void utf8_clean(char *text)
{
    char *to = text;
    size_t len;

    for (const char *from = text; *from != '\0'; from += len > 0 ? len : 1) {
        len = utf8_len(from);
        if (len == 0) {
            *to++ = '?';
        } else if (utf8_is_control(from, len)) {
            *to++ = ' ';
        } else {
            memmove(to, from, len);
            to += len;
        }
    }
    *to = '\0';
}
