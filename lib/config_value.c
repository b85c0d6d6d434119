/*
 * config_value.c: from text to a row's field and back, one function per kind.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>

#include "config_table.h"
#include "crypto.h"
#include "utf8.h"

struct why {
    char *text;
    size_t size;
};

static bool PRINTF_LIKE(2, 3)
    wrong(const struct why *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why->text, why->size, format, args);
    va_end(args);
    return false;
}

static bool starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_graphic(const char *s)
{
    for (; *s != '\0'; s++) {
        if (!isgraph((unsigned char)*s))
            return false;
    }
    return true;
}

/* Characters as LINE counts them, in UTF-16, where an emoji is two. -1: not
 * UTF-8, or with a control character that is not allowed. */
static int text_length(const char *text, bool lines_ok)
{
    size_t len;
    int length = 0;

    for (; *text != '\0'; text += len) {
        len = utf8_len(text);
        if (len == 0 ||
            (utf8_is_control(text, len) && !(lines_ok && *text == '\n')))
            return -1;
        length += len == 4 ? 2 : 1;
    }
    return length;
}

static bool copy(const struct config_setting *row, void *base, const char *text,
                 const struct why *why)
{
    if (str_copy((char *)base + row->offset, row->size, text))
        return true;
    return wrong(why, "is longer than %zu bytes", row->size - 1);
}

static bool set_text(const struct config_setting *row, void *base,
                     const char *text, const struct why *why)
{
    int length = text_length(text, row->kind == CONFIG_MESSAGE ||
                                       row->kind == CONFIG_FAILURE);

    if (length < 0)
        return wrong(why, "is not UTF-8, or has a control character");
    if (row->kind == CONFIG_SENDER && length > SENDER_NAME_MAX_CHARS)
        return wrong(why, "is longer than %d characters",
                     SENDER_NAME_MAX_CHARS);
    return copy(row, base, text, why);
}

static bool set_failure(const struct config_setting *row, void *base,
                        const char *text, const struct why *why)
{
    struct config_channel *channel = base;

    channel->failure_off = str_eq(text, "off");
    return set_text(row, base, channel->failure_off ? "" : text, why);
}

static bool set_number(const struct config_setting *row, void *base,
                       const char *text, const struct why *why)
{
    int64_t number;

    if (!str_to_int64(text, row->min, row->max, &number))
        return wrong(why, "'%.40s' is not a number from %lld to %lld", text,
                     (long long)row->min, (long long)row->max);
    memcpy((char *)base + row->offset, &number, sizeof(number));
    return true;
}

static const struct {
    char letter;
    int64_t ms;
} age_units[] = {{'d', 86400000}, {'h', 3600000}, {'m', 60000}, {'s', 1000}};

bool config_parse_age(const char *text, int64_t *ms)
{
    size_t len = strlen(text);
    char digits[8];
    int64_t number;

    if (len < 2 || !str_copy_n(digits, sizeof(digits), text, len - 1) ||
        !str_to_int64(digits, 0, 999999, &number))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(age_units); i++) {
        if (text[len - 1] != age_units[i].letter)
            continue;
        *ms = number * age_units[i].ms;
        return true;
    }
    return false;
}

/* In the largest unit that has no remainder. */
static void print_age(int64_t ms, char *out, size_t size)
{
    if (ms == 0) {
        (void)str_copy(out, size, "forever");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(age_units); i++) {
        if (ms % age_units[i].ms != 0)
            continue;
        (void)snprintf(out, size, "%lld%c", (long long)(ms / age_units[i].ms),
                       age_units[i].letter);
        return;
    }
}

static bool set_age(const struct config_setting *row, void *base,
                    const char *text, const struct why *why)
{
    char min[16], max[16];
    int64_t ms = 0;

    if (!str_eq(text, "forever") &&
        (!config_parse_age(text, &ms) || ms < row->min || ms > row->max)) {
        print_age(row->min, min, sizeof(min));
        print_age(row->max, max, sizeof(max));
        return wrong(why, "'%.40s' is neither forever nor an age from %s to %s",
                     text, min, max);
    }
    memcpy((char *)base + row->offset, &ms, sizeof(ms));
    return true;
}

static bool set_switch(const struct config_setting *row, void *base,
                       const char *text, const struct why *why)
{
    int64_t number = str_eq(text, "on") ? 1 : 0;

    if (number == 0 && !str_eq(text, "off"))
        return wrong(why, "'%.40s' is neither on nor off", text);
    memcpy((char *)base + row->offset, &number, sizeof(number));
    return true;
}

/* The length of the word at place `index`; *words is moved there. 0: there are
 * not so many. */
static size_t nth_word(const char **words, unsigned index)
{
    for (; index > 0 && **words != '\0'; index--) {
        *words += strcspn(*words, " ");
        *words += strspn(*words, " ");
    }
    return strcspn(*words, " ");
}

static void list_words(const struct config_setting *row, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *p = row->words; *p != '\0' && used < size; p++)
        used += (size_t)snprintf(out + used, size - used, "%s%c",
                                 *p == ' ' ? "," : "", *p);
}

static bool is_word(const struct config_setting *row, const char *text,
                    unsigned *index)
{
    for (*index = 0;; ++*index) {
        const char *word = row->words;
        size_t len = nth_word(&word, *index);

        if (len == 0)
            return false;
        if (strlen(text) == len && memcmp(text, word, len) == 0)
            return true;
    }
}

static bool set_word(const struct config_setting *row, void *base,
                     const char *text, const struct why *why)
{
    char words[CONFIG_WHY_MAX / 2];
    unsigned index;

    if (!is_word(row, text, &index)) {
        list_words(row, words, sizeof(words));
        return wrong(why, "'%.40s' is not one of %s", text, words);
    }
    if (row->kind == CONFIG_LEVEL)
        return copy(row, base, text, why);
    memcpy((char *)base + row->offset, &index, sizeof(index));
    return true;
}

_Static_assert(sizeof(enum config_late) == sizeof(unsigned) &&
                   sizeof(enum config_language) == sizeof(unsigned) &&
                   sizeof(enum config_forward) == sizeof(unsigned),
               "set_word() writes them");

/* Not that a file could not be called so. */
static bool has_remark(const char *text)
{
    return strstr(text, " #") != NULL || strstr(text, " ;") != NULL;
}

static bool set_path(const struct config_setting *row, void *base,
                     const char *text, const struct why *why)
{
    if (text[0] != '/')
        return wrong(why, "'%.80s' is not an absolute path", text);
    if (has_remark(text))
        return wrong(why, "'%.80s': a comment has a line of its own", text);
    return copy(row, base, text, why);
}

/* A 200 promises that the event survives this process. */
static bool set_place(const struct config_setting *row, void *base,
                      const char *text, const struct why *why)
{
    if (starts_with(text, "memory:"))
        return wrong(why,
                     "memory: is for tests, it forgets what LINE was told "
                     "is stored; use sqlite:PATH");
    if (!starts_with(text, row->words) || text[strlen(row->words)] == '\0')
        return wrong(why, "'%.80s' is not %sPATH", text, row->words);
    if (has_remark(text))
        return wrong(why, "'%.80s': a comment has a line of its own", text);
    return copy(row, base, text, why);
}

/* ---- addresses */

/* "user:password@" before the host: a secret where none is expected, or a host
 * that is not the one it seems to be. */
static bool has_userinfo(const char *url)
{
    const char *authority = strstr(url, "://");

    if (authority == NULL)
        return false;
    authority += strlen("://");
    return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

/* The host of "http://HOST[:PORT][/...]", without brackets. */
static bool http_host(const char *url, char *host, size_t size)
{
    const char *from = url + strlen("http://"), *end;

    if (!starts_with(url, "http://"))
        return false;
    if (*from == '[') {
        end = strchr(++from, ']');
        if (end == NULL || !str_copy_n(host, size, from, (size_t)(end - from)))
            return false;
        end++;
    } else {
        end = from + strcspn(from, ":/?#");
        if (!str_copy_n(host, size, from, (size_t)(end - from)))
            return false;
    }
    if (*end == ':')
        end += 1 + strspn(end + 1, "0123456789");
    return *end == '\0' || *end == '/';
}

static bool is_loopback(const char *host)
{
    return str_eq(host, "127.0.0.1") || str_eq(host, "localhost") ||
           str_eq(host, "::1");
}

/* 10/8, 172.16/12, 192.168/16 (RFC 1918) and fc00::/7 (RFC 4193). */
static bool is_private(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1) {
        uint32_t address = ntohl(v4.s_addr);

        return address >> 24 == 10 || address >> 20 == (172 << 4 | 1) ||
               address >> 16 == (192 << 8 | 168);
    }
    return inet_pton(AF_INET6, host, &v6) == 1 &&
           (v6.s6_addr[0] & 0xfe) == 0xfc;
}

static bool may_be_plain(const struct config_setting *row, const char *url)
{
    char host[64];

    if (row->kind == CONFIG_URL || !http_host(url, host, sizeof(host)))
        return false;
    return is_loopback(host) ||
           (row->kind == CONFIG_URL_PRIVATE && is_private(host));
}

/* Kept without slashes at its end. */
static bool set_url(const struct config_setting *row, void *base,
                    const char *text, const struct why *why)
{
    static const char https[] = "https://";
    char *url = (char *)base + row->offset;
    size_t len;

    if (has_userinfo(text))
        return wrong(why, "must not have a user name before the host");
    if (!is_graphic(text))
        return wrong(why,
                     "'%.80s' has a character that no URL has (a name in "
                     "another script is written xn--...)",
                     text);
    if (row->kind != CONFIG_URL_PRIVATE && text[strcspn(text, "?#")] != '\0')
        return wrong(why, "'%.80s': paths are put behind it, so no ? nor #",
                     text);
    if (!(starts_with(text, https) && strchr("/:", text[8]) == NULL) &&
        !may_be_plain(row, text))
        return wrong(why, "'%.80s' is not an https:// URL%s", text,
                     row->kind == CONFIG_URL_PRIVATE
                         ? ", nor http:// to a private address"
                         : "");
    if (!copy(row, base, text, why))
        return false;
    for (len = strlen(url); url[len - 1] == '/'; len--)
        url[len - 1] = '\0';
    return true;
}

/* ---- pictures */

/* WIDTHxHEIGHT in pixels. */
static bool parse_box(const char *mode, int64_t *width_px, int64_t *height_px)
{
    size_t len = strcspn(mode, "x");
    char width[8];

    return mode[len] == 'x' && str_copy_n(width, sizeof(width), mode, len) &&
           str_to_int64(width, 1, IMAGE_SIDE_MAX, width_px) &&
           str_to_int64(mode + len + 1, 1, IMAGE_SIDE_MAX, height_px);
}

static bool set_mode(const struct config_setting *row, void *base,
                     const char *text, const struct why *why)
{
    struct config *config = base;
    int64_t width_px = 0, height_px = 0;

    if (!str_eq(text, "fit") && !str_eq(text, "max") &&
        !parse_box(text, &width_px, &height_px))
        return wrong(why, "'%.40s' is not one of fit, max, WIDTHxHEIGHT", text);
    config->max_pixels_mode = str_eq(text, "max");
    config->box_width_px = width_px;
    config->box_height_px = height_px;
    return copy(row, base, text, why);
}

/* ---- what LINE gave */

static bool set_digits(const struct config_setting *row, void *base,
                       const char *text, const struct why *why)
{
    if (strspn(text, "0123456789") != strlen(text))
        return wrong(why, "'%.40s' is not a number", text);
    return copy(row, base, text, why);
}

/* As a shell would want it; LINE's have none. Here it would be part of it, and
 * every webhook be answered 401. */
static bool is_quoted(const char *text)
{
    return *text == '"' || *text == '\'';
}

static bool set_token(const struct config_setting *row, void *base,
                      const char *text, const struct why *why)
{
    if (is_quoted(text))
        return wrong(why, "begins with a quote: write it without quotes");
    if (is_graphic(text) &&
        str_copy((char *)base + row->offset, row->size, text))
        return true;
    return wrong(why, "is not an access token (too long, or with spaces)");
}

static bool set_secrets(void *base, const char *text, const struct why *why)
{
    struct config_channel *channel = base;

    if (is_quoted(text))
        return wrong(why, "begins with a quote: write it without quotes");
    channel->secret_count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        char *secret;

        if (channel->secret_count == CHANNEL_SECRETS_MAX)
            return wrong(why, "more than %d secrets", CHANNEL_SECRETS_MAX);
        secret = channel->secrets[channel->secret_count];
        if (len == 0 || !str_copy_n(secret, SECRET_MAX + 1, text, len) ||
            !is_graphic(secret))
            return wrong(why,
                         "is not a channel secret (empty, too long, or with "
                         "spaces)");
        channel->secret_count++;
        text += len;
        text += *text == ',';
    }
    return true;
}

/* ---- by kind */

bool config_value_set(const struct config_setting *setting, void *base,
                      const char *text, char *why_text, size_t why_size)
{
    const struct why why = {why_text, why_size};

    if (*text == '\0') /* a default that is "none" */
        return true;
    switch (setting->kind) {
    case CONFIG_MESSAGE:
    case CONFIG_SENDER:
        return set_text(setting, base, text, &why);
    case CONFIG_FAILURE:
        return set_failure(setting, base, text, &why);
    case CONFIG_NUMBER:
        return set_number(setting, base, text, &why);
    case CONFIG_AGE:
        return set_age(setting, base, text, &why);
    case CONFIG_SWITCH:
        return set_switch(setting, base, text, &why);
    case CONFIG_WORD:
    case CONFIG_LEVEL:
        return set_word(setting, base, text, &why);
    case CONFIG_PATH:
        return set_path(setting, base, text, &why);
    case CONFIG_PLACE:
        return set_place(setting, base, text, &why);
    case CONFIG_URL:
    case CONFIG_URL_LOOPBACK:
    case CONFIG_URL_PRIVATE:
        return set_url(setting, base, text, &why);
    case CONFIG_MODE:
        return set_mode(setting, base, text, &why);
    case CONFIG_DIGITS:
        return set_digits(setting, base, text, &why);
    case CONFIG_TOKEN:
        return set_token(setting, base, text, &why);
    case CONFIG_SECRETS:
        return set_secrets(base, text, &why);
    }
    return wrong(&why, "of no known kind");
}

static void print_secret(const struct config_setting *setting,
                         const void *value, const struct config_channel *c,
                         char *out, size_t size)
{
    if (setting->kind == CONFIG_SECRETS && c->secret_count > 1)
        (void)snprintf(out, size, "(%zu are set)", c->secret_count);
    else
        (void)snprintf(out, size, "%s",
                       *(const char *)value != '\0' ? "(set)" : "");
}

void config_value_print(const struct config_setting *setting, const void *base,
                        char *out, size_t size)
{
    const void *value = (const char *)base + setting->offset;
    const struct config_channel *channel = base;
    const char *word = setting->words;
    int64_t number = 0;
    unsigned index;

    switch (setting->kind) {
    case CONFIG_AGE:
        memcpy(&number, value, sizeof(number));
        print_age(number, out, size);
        return;
    case CONFIG_NUMBER:
    case CONFIG_SWITCH:
        memcpy(&number, value, sizeof(number));
        if (setting->kind == CONFIG_NUMBER)
            (void)snprintf(out, size, "%lld", (long long)number);
        else
            (void)snprintf(out, size, "%s", number != 0 ? "on" : "off");
        return;
    case CONFIG_WORD:
        memcpy(&index, value, sizeof(index));
        (void)str_copy_n(out, size, word, nth_word(&word, index));
        return;
    case CONFIG_FAILURE:
        (void)snprintf(out, size, "%s",
                       channel->failure_off ? "off" : (const char *)value);
        return;
    default:
        if (setting->secret)
            print_secret(setting, value, channel, out, size);
        else
            (void)snprintf(out, size, "%s", (const char *)value);
    }
}

void config_value_expects(const struct config_setting *setting, char *out,
                          size_t size)
{
    char min[16], max[16];

    switch (setting->kind) {
    case CONFIG_NUMBER:
        (void)snprintf(out, size, "%lld to %lld", (long long)setting->min,
                       (long long)setting->max);
        return;
    case CONFIG_AGE:
        print_age(setting->min, min, sizeof(min));
        print_age(setting->max, max, sizeof(max));
        (void)snprintf(out, size, "%s to %s, forever", min, max);
        return;
    case CONFIG_SWITCH:
        (void)str_copy(out, size, "on, off");
        return;
    case CONFIG_WORD:
    case CONFIG_LEVEL:
        list_words(setting, out, size);
        return;
    case CONFIG_PATH:
        (void)str_copy(out, size, "an absolute path");
        return;
    case CONFIG_PLACE:
        (void)snprintf(out, size, "%sPATH", setting->words);
        return;
    case CONFIG_URL:
    case CONFIG_URL_LOOPBACK:
        (void)str_copy(out, size, "https://...");
        return;
    case CONFIG_URL_PRIVATE:
        (void)str_copy(out, size, "https://..., http:// to a private address");
        return;
    case CONFIG_MODE:
        (void)str_copy(out, size, "fit, max, WIDTHxHEIGHT");
        return;
    case CONFIG_DIGITS:
        (void)str_copy(out, size, "digits");
        return;
    case CONFIG_SENDER:
        (void)snprintf(out, size, "up to %d characters", SENDER_NAME_MAX_CHARS);
        return;
    case CONFIG_FAILURE:
        (void)str_copy(out, size, "a text, off");
        return;
    case CONFIG_MESSAGE:
        (void)str_copy(out, size, "a text");
        return;
    case CONFIG_TOKEN:
    case CONFIG_SECRETS:
        (void)str_copy(out, size, "from LINE's console");
        return;
    }
}
