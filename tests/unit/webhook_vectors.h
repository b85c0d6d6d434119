/*
 * webhook_vectors.h: the signed bodies of line-platform 2.4, and the one that
 * LINE publishes (line-platform 1.2).
 */
#ifndef DARKROOM_TESTS_WEBHOOK_VECTORS_H
#define DARKROOM_TESTS_WEBHOOK_VECTORS_H

#define VECTOR_SECRET "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

struct webhook_vector {
    const char *name;
    const char *signature;
    const char *body;
};

static const struct webhook_vector webhook_vectors[] = {
    {"W1", "lyM+LIgEcdYGHsLikFI+QZSIUk1+ML2vZSDbcJ2WR5Y=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[]}"},
    {"W2", "j0RGlNayNq5V/eARhohnOkKfHWs9SWbi+OtSojnz4c8=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"active\",\"timestamp"
     "\":1790000000123,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000A1\",\"deliveryContext\":{\"isRedelive"
     "ry\":false},\"replyToken\":\"1111222233334444555566667777888"
     "8\",\"message\":{\"type\":\"image\",\"id\":\"600000000000000"
     "001\",\"quoteToken\":\"qT_0001\",\"markAsReadToken\":\"mT_00"
     "01\",\"contentProvider\":{\"type\":\"line\"}}}]}"},
    {"W3", "AJSfiZnhjMRPSvvC2HE3/q1ugaHNcziK4Bfr9PMqnZE=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"active\",\"timestamp"
     "\":1790000001000,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000B1\",\"deliveryContext\":{\"isRedelive"
     "ry\":false},\"replyToken\":\"b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b"
     "1\",\"message\":{\"type\":\"image\",\"id\":\"600000000000000"
     "012\",\"quoteToken\":\"qT_0012\",\"markAsReadToken\":\"mT_00"
     "12\",\"contentProvider\":{\"type\":\"line\"},\"imageSet\":{\""
     "id\":\"A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A"
     "1A1A1A1A1A1\",\"index\":2,\"total\":2}}},{\"type\":\"message"
     "\",\"mode\":\"active\",\"timestamp\":1790000000990,\"source\""
     ":{\"type\":\"user\",\"userId\":\"Uaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaa\"},\"webhookEventId\":\"01K2A0000000000000000000B2\","
     "\"deliveryContext\":{\"isRedelivery\":false},\"replyToken\":"
     "\"b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2\",\"message\":{\"type\":\""
     "image\",\"id\":\"600000000000000011\",\"quoteToken\":\"qT_00"
     "11\",\"markAsReadToken\":\"mT_0011\",\"contentProvider\":{\""
     "type\":\"line\"},\"imageSet\":{\"id\":\"A1A1A1A1A1A1A1A1A1A1"
     "A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1\",\"index\":1,\""
     "total\":2}}},{\"type\":\"follow\",\"mode\":\"active\",\"time"
     "stamp\":1790000001200,\"source\":{\"type\":\"user\",\"userId"
     "\":\"Ubbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"},\"webhookEventId\""
     ":\"01K2A0000000000000000000B3\",\"deliveryContext\":{\"isRed"
     "elivery\":false},\"replyToken\":\"b3b3b3b3b3b3b3b3b3b3b3b3b3"
     "b3b3b3\",\"follow\":{\"isUnblocked\":false}}]}"},
    {"W4", "IcWGnb1qQkViNUvNdyebNHAJ/tGv1Lxl3NDPhDR6GL8=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"active\",\"timestamp"
     "\":1790000000123,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000A1\",\"deliveryContext\":{\"isRedelive"
     "ry\":true},\"replyToken\":\"11112222333344445555666677778888"
     "\",\"message\":{\"type\":\"image\",\"id\":\"6000000000000000"
     "01\",\"quoteToken\":\"qT_0001\",\"markAsReadToken\":\"mT_000"
     "1\",\"contentProvider\":{\"type\":\"line\"}}}]}"},
    {"W5", "6dDMfc6SQC6ZeLaA739wvYGCN0IHp0YhlpUHWeVnWlI=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"active\",\"timestamp"
     "\":1790000002000,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000C1\",\"deliveryContext\":{\"isRedelive"
     "ry\":false},\"replyToken\":\"c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c"
     "1\",\"message\":{\"type\":\"image\",\"id\":\"600000000000000"
     "021\",\"quoteToken\":\"qT_0021\",\"markAsReadToken\":\"mT_00"
     "21\",\"contentProvider\":{\"type\":\"external\",\"originalCo"
     "ntentUrl\":\"https://img.example.com/o.jpg\",\"previewImageU"
     "rl\":\"https://img.example.com/p.jpg\"}}}]}"},
    {"W6", "r2tBPNSQqMlsDJprH/JxZOCaBEo8erG6d7F9mCtE/xg=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"unsend\",\"mode\":\"active\",\"timestamp\""
     ":1790000003000,\"source\":{\"type\":\"group\",\"groupId\":\""
     "Ccccccccccccccccccccccccccccccccc\",\"userId\":\"Ubbbbbbbbbb"
     "bbbbbbbbbbbbbbbbbbbbbb\"},\"webhookEventId\":\"01K2A00000000"
     "00000000000D1\",\"deliveryContext\":{\"isRedelivery\":false}"
     ",\"unsend\":{\"messageId\":\"600000000000000001\"}}]}"},
    {"W7", "g8s+NHkLUwHTD+Myzy2ZSPBz5ZTMEKY4A8XvA+Kc5yk=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"active\",\"timestamp"
     "\":1790000004000,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000E1\",\"deliveryContext\":{\"isRedelive"
     "ry\":false},\"replyToken\":\"e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e"
     "1\",\"message\":{\"type\":\"file\",\"id\":\"6000000000000000"
     "31\",\"markAsReadToken\":\"mT_0031\",\"fileName\":\"../scan "
     "1.png\",\"fileSize\":734211}}]}"},
    {"W8", "RdxwhP/deHPk3N3cIXE2nF5oUcJxoDw/aN6f2ZYiGEs=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"message\",\"mode\":\"standby\",\"timestam"
     "p\":1790000005000,\"source\":{\"type\":\"user\",\"userId\":\""
     "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},\"webhookEventId\":\"01"
     "K2A0000000000000000000F1\",\"deliveryContext\":{\"isRedelive"
     "ry\":false},\"message\":{\"type\":\"image\",\"id\":\"6000000"
     "00000000041\",\"quoteToken\":\"qT_0041\",\"markAsReadToken\""
     ":\"mT_0041\",\"contentProvider\":{\"type\":\"line\"}}}]}"},
    {"W9", "eP7JZW0q26ZlceduLry8mo0Nr+G7uBsnfwS8xomHI60=",
     "{\"destination\":\"U0123456789abcdef0123456789abcdef\",\"eve"
     "nts\":[{\"type\":\"messageEdited\",\"mode\":\"active\",\"tim"
     "estamp\":1790000006000,\"source\":{\"type\":\"group\",\"grou"
     "pId\":\"Ccccccccccccccccccccccccccccccccc\",\"userId\":\"Ubb"
     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"},\"webhookEventId\":\"01K2A"
     "0000000000000000000G1\",\"deliveryContext\":{\"isRedelivery\""
     ":false},\"replyToken\":\"f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9\","
     "\"message\":{\"type\":\"text\",\"id\":\"600000000000000051\""
     ",\"text\":\"fixed \\ud83d\\ude00\",\"quoteToken\":\"qT_0051\""
     "},\"novelty\":{\"deep\":[1,null,{\"x\":\"y\"}]}}]}"},
};

#endif
