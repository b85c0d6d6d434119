#!/usr/bin/env bash
#
# The example in the manual of lib/image/transcode.h compiles as it stands.

top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/lib/tap.sh"
set -u

# The comment's indented lines, from the function's name to its last brace.
example() {
    sed -n '/^ \*   static enum status normalize/,/^ \*   }/p' \
        "$top/lib/image/transcode.h" |
        sed -n 's/^ \*   \{0,1\}//p'
}

compiles() {
    { echo '#include "image/transcode.h"' && example &&
        echo 'void use(void) { (void)normalize(0, 0); }'; } |
        ${CC:-cc} -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror \
            -fsyntax-only -I "$top/lib" -x c -
}

ok "the example of transcode.h compiles" compiles

done_testing
