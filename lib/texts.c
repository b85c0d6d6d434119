/*
 * texts.c: one row per reason, one column per language.
 */
#include "texts.h"

enum reason { REASON_TOO_LARGE, REASON_UNREADABLE, REASON_TROUBLE };

static enum reason reason_of(enum status status)
{
    switch (status) {
    case STATUS_TOO_LARGE:
    case STATUS_IMAGE_TOO_MANY_PIXELS:
    case STATUS_IMAGE_TOO_WIDE:
    case STATUS_IMAGE_TOO_HIGH:
    case STATUS_IMAGE_TOO_MUCH_MEMORY:
        return REASON_TOO_LARGE;
    case STATUS_EMPTY:
    case STATUS_NOT_AN_IMAGE:
    case STATUS_IMAGE_BROKEN:
    case STATUS_IMAGE_TRUNCATED:
    case STATUS_IMAGE_UNSUPPORTED:
    case STATUS_IMAGE_TOO_MANY_SCANS:
    case STATUS_IMAGE_CHUNK_TOO_LARGE:
    case STATUS_POISON:
        return REASON_UNREADABLE;
    default:
        return REASON_TROUBLE;
    }
}

const char *texts_failure(enum config_language language, enum status status)
{
    static const char *const texts[][3] = {
        [REASON_TOO_LARGE] =
            {
                [CONFIG_EN] = "Sorry, this picture is too large for me. "
                              "Please send a smaller one.",
                [CONFIG_JA] = "申し訳ありません。この画像は大きすぎます。"
                              "もう少し小さい画像を送ってください。",
                [CONFIG_ZH_TW] = "很抱歉，這張圖片太大了，"
                                 "請傳送較小的圖片。",
            },
        [REASON_UNREADABLE] =
            {
                [CONFIG_EN] = "Sorry, I could not read this picture. "
                              "Please send another one.",
                [CONFIG_JA] = "申し訳ありません。この画像を読み取れません"
                              "でした。別の画像を送ってください。",
                [CONFIG_ZH_TW] = "很抱歉，無法讀取這張圖片，"
                                 "請改傳另一張。",
            },
        [REASON_TROUBLE] =
            {
                [CONFIG_EN] = "Sorry, something went wrong with this "
                              "picture. Please send it again.",
                [CONFIG_JA] = "申し訳ありません。画像の処理中に問題が発生"
                              "しました。もう一度送ってください。",
                [CONFIG_ZH_TW] = "很抱歉，處理這張圖片時發生問題，"
                                 "請再傳送一次。",
            },
    };

    return texts[reason_of(status)][language];
}

const char *texts_busy(enum config_language language)
{
    static const char *const texts[] = {
        [CONFIG_EN] =
            "This picture takes a little longer. "
            "I will send it as soon as it is ready.",
        [CONFIG_JA] =
            "画像の処理に少し時間がかかっています。"
            "できあがり次第お送りします。",
        [CONFIG_ZH_TW] = "圖片處理需要多一點時間，完成後會立即傳送給您。",
    };

    return texts[language];
}
