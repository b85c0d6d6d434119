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
                [CONFIG_EN] = "Sorry, this picture is too large. "
                              "Please send a smaller one.",
                [CONFIG_JA] = "申し訳ありません。画像が大きすぎるため処理"
                              "できませんでした。より小さい画像をお送り"
                              "ください。",
                [CONFIG_ZH_TW] = "很抱歉，這張圖片太大了，"
                                 "請改傳小一點的圖片。",
            },
        [REASON_UNREADABLE] =
            {
                [CONFIG_EN] = "Sorry, I could not open this picture. "
                              "Please send a different one.",
                [CONFIG_JA] = "申し訳ありません。画像を読み込めません"
                              "でした。別の画像をお送りください。",
                [CONFIG_ZH_TW] = "很抱歉，無法讀取這張圖片，"
                                 "請改傳其他圖片。",
            },
        [REASON_TROUBLE] =
            {
                [CONFIG_EN] = "Sorry, something went wrong with this "
                              "picture. Please send it again.",
                [CONFIG_JA] = "申し訳ありません。画像の処理中に問題が発生"
                              "しました。もう一度お送りください。",
                [CONFIG_ZH_TW] = "很抱歉，處理這張圖片時發生問題，"
                                 "請再傳一次。",
            },
    };

    return texts[reason_of(status)][language];
}

const char *texts_busy(enum config_language language)
{
    static const char *const texts[] = {
        [CONFIG_EN] =
            "This picture is taking a little longer. "
            "I will send it as soon as it is ready.",
        [CONFIG_JA] =
            "画像の処理に少し時間がかかっています。"
            "完了しましたらお送りします。",
        [CONFIG_ZH_TW] = "圖片還在處理中，請稍候，完成後會立即傳給您。",
    };

    return texts[language];
}
